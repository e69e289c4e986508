/*
 * Jobs: outbound work that outlives the request that asked for it. GET /v1/outbound/jobs shows them, DELETE ends them, and
 * gateway.outbound.progress tells how they go on. The owner's thread, but where it says otherwise.
 *
 * Two kinds. Contacts to append are rows of a durable queue: a row is on the disk before the client is answered, is marked there as being
 * sent before the call goes out, and its personal data is deleted with its outcome. So a process that dies knows afterwards which row
 * may have arrived: that one becomes `unknown` and is never sent again; those that waited go on. Jobs take turns, a row of each, so
 * that a large one does not starve a small one. What another part of the gateway does (a listing) is a job in memory alone: it is shown,
 * told of and cancelled by the same means, and is gone after a restart.
 *
 * A job is seen by the application that began it (and by the subject, where many are behind one application), and by operators.
 */
#ifndef CCTGATE_JOBS_H
#define CCTGATE_JOBS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cctgate/config.h"
#include "cctgate/contract.h"
#include "cctgate/limits.h"
#include "cctgate/loop.h"
#include "cctgate/mailbox.h"
#include "cctgate/policy.h"

struct jobs;
struct job;
struct owner;
struct durable;
struct outbound;
struct sessions;

#define JOB_ID_BYTES 32 /* hexadecimal digits: 128 random bits */

enum job_state { JOB_WAITING, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED };
extern const char *const job_state_names[]; /* "waiting", ... */

/* What a change of a job is told with. Borrowed. */
struct job_progress {
    const char *id, *owner; /* owner: as access_owner has it */
    json_t *data;           /* of the event; one reference is given away */
};

struct jobs_settings {
    struct loop *loop;
    const struct contract *contract;
    struct durable *durable;
    struct sessions
        *sessions; /* whose journal's key seals contacts on the disk; NULL: they are not sealed */
    struct outbound *outbound; /* NULL: outbound is not configured; what is queued waits */
    void (*on_progress)(void *data, const struct job_progress *progress);
    void *data;
};

/* Reads what an earlier process left. CG_OK, CG_E_IO, CG_E_NOMEM. */
int jobs_new(struct jobs **jobs, const struct jobs_settings *settings);
/* The gateway is about to stop: nothing is sent any more, what waits stays on the disk. Before the outbound client is stopped. */
void jobs_close(struct jobs *jobs);
/* Something of it is not known to be on the disk yet, and what is known of it then may have to be written, too. NULL: no. */
int jobs_is_writing(const struct jobs *jobs);
/* The disk and the outbound client have stopped, and their outcomes have been delivered. */
void jobs_free(struct jobs **jobs);

struct jobs_stats {
    uint64_t jobs_total, rows_total, appended, failed, skipped, unknown, cancelled, too_fast;
    size_t jobs, active; /* that are shown; of those, not ended */
    size_t rows_waiting, sending;
    size_t waiting_bytes;
};
void jobs_get_stats(const struct jobs *jobs, struct jobs_stats *stats);

/* ---- what another part of the gateway does as a job, such as a listing ---- */

struct job_work {
    const char *kind; /* "list": a literal */
    int64_t campaign;
    const struct access *access; /* who asks */
    /* DELETE has come, or its time is over: `data` is not used by the job after `release`. job_end must not be called any more. */
    void (*release)(void *data);
    void *data;
};
/* CG_OK; CG_E_LIMIT: there are as many as there may be. */
int job_begin(struct jobs *jobs, const struct job_work *work, struct job **job);
const char *job_id(const struct job *job);
/* `total` 0: not known. Told as an event, not more often than every JOB_PROGRESS_MS. */
void job_advance(struct job *job, uint64_t done, uint64_t total);
#define JOB_PROGRESS_MS 200
/* It is over: `problem` NULL (done), or a problem document (a reference is taken). Its data stays until it is forgotten. */
void job_end(struct job *job, json_t *problem);
/* The job's data, if it is of `kind` and the access may see it; NULL: there is none. *state may be NULL. */
void *job_find_work(const struct jobs *jobs, const char *id, const char *kind,
                    const struct access *access, enum job_state *state);

/* ---- for fronts ---- */

/* Rows to append, as contacts.h makes them: JSON texts of the operation's arguments. */
struct job_row_text {
    char *text; /* wiped when it is freed */
    size_t length;
};
struct job_rows {
    struct job_row_text *rows;
    size_t num_rows, capacity, bytes;
};
void job_rows_release(struct job_rows *rows); /* wipes */

enum on_duplicate { DUPLICATE_APPEND, DUPLICATE_SKIP, DUPLICATE_ERROR };

enum jobs_verb { JOBS_APPEND, JOBS_LIST, JOBS_GET, JOBS_CANCEL };

/* A question about jobs, answered on the owner's thread. */
struct jobs_ask {
    struct message message; /* on_deliver of the answer is `on_reply` */
    struct owner *owner;
    struct jobs *jobs;
    struct mailbox *reply_to;
    void (*on_reply)(struct message *message); /* owns the struct, calls jobs_ask_free */
    void *data;

    /* in */
    enum jobs_verb verb;
    struct policy *policy; /* one reference: what `access` stands in */
    const struct access *access;
    char id[JOB_ID_BYTES + 1]; /* JOBS_GET, JOBS_CANCEL */
    /* JOBS_APPEND */
    int64_t campaign;
    struct job_rows contacts;
    enum on_duplicate on_duplicate;
    char key[256];       /* Idempotency-Key; "": none */
    uint8_t request[32]; /* with a key: SHA-256 of all that was asked */

    /* out */
    int rc; /* CG_OK; CG_E_NOTFOUND: no such job or campaign; CG_E_LIMIT: too much waits, or too many jobs; CG_E_INVALID: the key came with
               another request before; CG_E_FULL, CG_E_IO: it could not be written down, and nothing is queued */
    int replayed;   /* the job of an earlier request with the same key */
    json_t *answer; /* CG_OK: one reference */
    char *
        rows; /* JOBS_GET of a job that has rows: their array as JSON text, for it may be long; else NULL */
};
struct jobs_ask *jobs_ask_new(enum jobs_verb verb); /* zeroed; aborts without memory */
void jobs_ask_free(struct jobs_ask **ask);
/* Owner's thread. Answered later, exactly once. */
void jobs_run(struct jobs *jobs, struct jobs_ask *ask);

void owner_jobs_send(struct owner *owner, struct jobs_ask *ask); /* any thread */

#endif
