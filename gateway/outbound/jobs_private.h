/* What the files of the jobs share. The owner's thread. */
#ifndef CCTGATE_OUTBOUND_JOBS_PRIVATE_H
#define CCTGATE_OUTBOUND_JOBS_PRIVATE_H

#include "cctgate/durable.h"
#include "cctgate/jobs.h"
#include "cctgate/outbound.h"
#include "gateway/outbound/queue.h"

/* What is being done for the next row. */
enum sender_state {
    SENDER_IDLE,
    SENDER_SEARCHING, /* for a duplicate */
    SENDER_ASKED,     /* for a turn */
    SENDER_MARKING,   /* the row is being written as sent */
    SENDER_CALLING
};

struct jobs {
    struct jobs_settings settings;
    const struct contract_operation *append; /* NULL: the contract has none */
    struct queue queue;
    struct job *all; /* by id, the oldest first */
    size_t num_jobs, num_rows;
    uint8_t secret[32]; /* for digests */
    int64_t (*clock_ms)(void), (*clock_steady_ms)(void);

    enum sender_state sender;
    char
        sender_job[JOB_ID_BYTES + 1]; /* whose row is searched for: it may be forgotten meanwhile */
    size_t sender_row;
    int sender_searched; /* there is no duplicate of that row */
    json_t *arguments;   /* of the call that is made; wiped */
    struct outbound_turn turn;
    struct timer due, sweep;
    enum problem hold_problem; /* why all wait; PROBLEMS: they do not */
    char hold_detail[CG_JOB_DETAIL_BYTES];

    int closed;
    size_t writing; /* batches of which the end is awaited */
    struct jobs_stats stats;
};

/* ---- jobs_disk.c ---- */

/* Reads secret, jobs and rows; what was being sent becomes unknown. */
int jobs_load(struct jobs *jobs);
void disk_put_job(struct durable_batch *batch, const struct job *job);
/* CG_OK; CG_E_IO: a contact could not be sealed, and nothing was put. */
int disk_put_row(struct durable_batch *batch, const struct job *job, size_t row);
void disk_delete(struct durable_batch *batch, const struct job *job);
void disk_audit(struct durable_batch *batch, const struct job *job, const char *what,
                const struct access *access);

/* ---- jobs.c ---- */

struct job *job_find(const struct jobs *jobs, const char *id);
struct job *job_new(struct jobs *jobs, const char *id);
/* Forgets it; nothing of it is being sent or written. */
void job_free(struct jobs *jobs, struct job **job);
int job_is_visible(const struct job *job, const struct access *access);
/* As much of the text as there is room for, cut between two characters of UTF-8. */
void job_copy_text(char *out, size_t size, const char *text);
int job_is_work(const struct job *job);
void job_print_id(char id[JOB_ID_BYTES + 1]); /* a new one */
/* Its state follows its rows; 1: it has ended just now. */
int job_follow_rows(struct jobs *jobs, struct job *job);
void job_tell(struct jobs *jobs, struct job *job);
/* Room for one more, and for these rows (may be NULL): the oldest that have ended are forgotten. CG_E_LIMIT: there is none. */
int jobs_make_room(struct jobs *jobs, struct durable_batch *batch, const struct job_rows *rows);
/* The batch may be empty; nobody waits for it. */
void jobs_submit(struct jobs *jobs, struct durable_batch *batch);

/* ---- jobs_send.c ---- */

/* Whatever can be done next is done, or waited for. */
void jobs_pump(struct jobs *jobs);
void jobs_send_init(struct jobs *jobs);
void jobs_send_close(struct jobs *jobs);

/* ---- jobs_show.c ---- */

/* What is shown of it; a new reference. */
json_t *job_describe(const struct job *job);
/* The same, and why what of it waits does so. */
json_t *jobs_describe_one(const struct jobs *jobs, const struct job *job);
/* Its rows as JSON, malloc'ed; NULL: it has none. */
char *job_print_rows(const struct job *job);
/* What the access may see, and how long the queue is. */
json_t *jobs_describe_all(const struct jobs *jobs, const struct access *access);

#endif
