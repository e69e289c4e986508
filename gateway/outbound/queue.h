/*
 * The queue of contacts that are to be appended: what is known of each row, whose turn it is, and when. Pure: it does no I/O and reads no
 * clock; who uses it writes down what changes.
 *
 * Life of a row. waiting: its call has not been made. sending: it may have been. done, failed (the contact centre refused), skipped
 * (the contact was there already), unknown (nobody can say), cancelled: settled, for good. From sending a row goes back to waiting only
 * when it is certain that the contact centre has not done it.
 *
 * One row is sent at a time. Jobs that have waiting rows stand in a ring and take turns. When the contact centre cannot be asked, all wait,
 * longer each time, since they all wait for the same.
 */
#ifndef CCTGATE_OUTBOUND_QUEUE_H
#define CCTGATE_OUTBOUND_QUEUE_H

#include <uthash.h>

#include "cctgate/jobs.h"
#include "gateway/rest/problem.h"

/* The numbers are on disk: only append. */
enum row_state {
    ROW_WAITING,
    ROW_SENDING,
    ROW_DONE,
    ROW_FAILED,
    ROW_SKIPPED,
    ROW_UNKNOWN,
    ROW_CANCELLED,
    ROW_STATES
};
extern const char *const row_state_names[ROW_STATES];

struct job_row {
    enum row_state state;
    unsigned tries; /* that came too soon */
    char *text;     /* the call's arguments, JSON; NULL: settled */
    size_t length;  /* of it */
    int64_t value;  /* what was answered; has_value */
    int has_value;
    enum problem problem; /* PROBLEMS: none */
    char *detail;         /* of the problem; may be NULL */
};

struct job {
    UT_hash_handle hh; /* by id, in order of age */
    char id[JOB_ID_BYTES + 1];
    char owner[ACCESS_OWNER_BYTES + 1];
    char application[CG_ID_BYTES_MAX + 1];
    const char *kind;
    int64_t campaign;
    int64_t created_ms, ended_ms; /* by the steady clock; ended_ms 0: it has not ended */
    enum job_state state;

    /* of rows */
    enum on_duplicate on_duplicate;
    int has_key;
    uint8_t key[32], request[32]; /* digests of the Idempotency-Key and of what came with it */
    struct job_row *rows;
    size_t num_rows, next; /* next: no row before it waits */
    size_t counts[ROW_STATES];
    size_t waiting_bytes;
    struct job *turn_before, *turn_after; /* in the ring; NULL: not in it */
    int is_written;                       /* it is on the disk, and may be shown and sent */
    struct jobs_ask *asks;                /* that wait for that */

    /* of other work */
    struct jobs *jobs;
    struct job_work work;
    uint64_t work_done, work_total;
    json_t *problem;
    int64_t told_ms; /* monotonic */
};

struct queue {
    struct job *turn; /* whose turn it is; NULL: nothing waits */
    struct job *job;  /* of the row that is being sent; NULL: none is */
    size_t row;
    int64_t not_before_ms; /* monotonic: nothing is sent earlier */
    unsigned holds;        /* in a row */
    size_t rows_waiting, waiting_bytes;
};

#define QUEUE_HOLD_MS     500 /* doubled each time */
#define QUEUE_HOLD_MAX_MS 30000

/* A job whose rows stand as they are; joins the ring if one of them waits. */
void queue_add(struct queue *queue, struct job *job);
/* When the next row may be looked at; INT64_MAX: there is none, or one is being sent. */
int64_t queue_due_ms(const struct queue *queue);
/* Whose row is next, and which; NULL: none now. Does not change anything. */
struct job *queue_next(const struct queue *queue, int64_t now_ms, size_t *row);
/* The row, which waits, is about to be sent: the next job's turn is next. */
void queue_begin(struct queue *queue, struct job *job, size_t row);
/* What is being sent has not been done: it waits again, and so does everything for a while (retry_after_ms 0: for longer each time). */
void queue_back(struct queue *queue, int64_t now_ms, int64_t retry_after_ms);
/* Nothing could be begun: as queue_back, but for a row. */
void queue_hold(struct queue *queue, int64_t now_ms, int64_t retry_after_ms);
/* What is being sent has come to its end. `detail` is copied, may be NULL. */
void queue_settle(struct queue *queue, enum row_state state, enum problem problem,
                  const char *detail);
/* A row that waits comes to its end without being sent. */
void queue_settle_row(struct queue *queue, struct job *job, size_t row, enum row_state state,
                      enum problem problem, const char *detail);
/* Rows that wait are cancelled, their texts stay until queue_drop_texts, or queue_restore, which makes them wait again. How many. */
size_t queue_cancel(struct queue *queue, struct job *job);
void queue_restore(struct queue *queue, struct job *job);
void queue_drop_texts(struct job *job);

/* All rows are settled. */
int job_is_settled(const struct job *job);
void job_rows_free(struct job *job);

#endif
