/*
 * What must not be lost: control leases, reservations, the outcomes of commands that have a key, and the audit log, in the store's
 * durable environment. Every commit is synced, which takes a disk's time, so a thread of its own writes: whoever changes something
 * fills a batch, gives it away, and is told by a message when it is on the disk (or never will be). All batches that have come
 * meanwhile go into one commit. A batch happens as a whole or not at all, and batches happen in the order they were given.
 *
 * Rows are opaque bytes under opaque keys of at most CG_KEY_BYTES_MAX; sealed with a checksum, as all that the store writes. The audit log
 * is a list of JSON texts under numbers that grow by one, the first is 1; the oldest are dropped beyond a bound.
 */
#ifndef CCTGATE_DURABLE_H
#define CCTGATE_DURABLE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cctgate/mailbox.h"
#include "cctgate/store.h"

struct durable;
struct durable_batch;

/* The numbers are on disk: only append. */
enum durable_table {
    DURABLE_LEASES = 1,       /* SHA-256 of the lease -> JSON */
    DURABLE_RESERVATIONS = 2, /* agent -> JSON */
    DURABLE_STATE = 3,        /* name -> what there is one of: the last fence, keys */
    DURABLE_OUTCOMES = 4,     /* digest of an idempotency key -> {steady ms when it may go, JSON} */
    DURABLE_BEARERS = 5,      /* SHA-256 of a bearer token that was signed on -> JSON */
    DURABLE_SESSIONS = 6,     /* CCT user NUL number -> a token of the upstream, encrypted */
    DURABLE_JOBS = 7,         /* id of a job -> JSON */
    DURABLE_JOB_ROWS =
        8, /* id of a job, number of a row -> its state, what it is or what became of it */
    DURABLE_TABLES
};

struct durable_settings {
    uint64_t max_audit_entries; /* >= 1 */
};

/* Starts the thread. The store outlives it. CG_E_NOMEM, CG_E_IO, CG_E_CORRUPT (`error` says what). */
int durable_start(struct durable **durable, struct store *store,
                  const struct durable_settings *settings, char *error, size_t error_size);
/*
 * Commits what was given, delivers every outcome and answer, ends the thread, frees. Nobody submits or asks any more. The mailboxes that
 * are told must still be drained afterwards. NULL: nothing.
 */
void durable_stop(struct durable **durable);

/*
 * Walks the rows of a table in order of their keys until on_row returns non-zero. Before the first batch, or on any thread that may
 * wait for a disk. A row that does not read back is passed over and counted among the store's corrupt records; bytes point into the map
 * and are not aligned. Be quick: what is walked cannot be reused meanwhile. CG_OK, CG_E_IO, CG_E_NOMEM.
 */
int durable_walk(struct durable *durable, enum durable_table table,
                 int (*on_row)(void *data, const void *key, size_t key_length, const void *value,
                               size_t length),
                 void *data);

/* Never NULL: aborts without memory, as what it stands for cannot be refused half-way. One thread at a time; bytes are copied. A
 * key of no bytes or more than CG_KEY_BYTES_MAX, a value of more than CG_RECORD_BYTES_MAX, an entry of more than CG_AUDIT_ENTRY_BYTES_MAX:
 * the batch will fail with CG_E_LIMIT. */
struct durable_batch *durable_batch_new(void);
void durable_batch_free(struct durable_batch **batch); /* one that was not submitted */
void durable_put(struct durable_batch *batch, enum durable_table table, const void *key,
                 size_t key_length, const void *value, size_t length);
void durable_delete(struct durable_batch *batch, enum durable_table table, const void *key,
                    size_t key_length);
/* Appends to the audit log. `entry` is an object; its member "seq" is added by the writer, one that it has is taken out. Takes the reference. */
void durable_append(struct durable_batch *batch, json_t *entry);
int durable_batch_is_empty(const struct durable_batch *batch);

struct durable_done {
    struct message message; /* on_deliver owns the struct: free() */
    int rc; /* CG_OK: it is on the disk. CG_E_FULL, CG_E_IO, CG_E_LIMIT: nothing of it happened */
    void *data;
};
/*
 * Gives the batch away; an empty one is only told. `on_done` runs where `reply_to` is delivered, in the order of submission; NULL: nobody waits (a failure is
 * logged). Any thread; never blocks.
 */
void durable_submit(struct durable *durable, struct durable_batch *batch, struct mailbox *reply_to,
                    void (*on_done)(struct message *message), void *data);

/*
 * A question to the audit log, answered on the writer's thread: newest first, below `before` (0: from the newest). It sees every batch that
 * was submitted before it. Entries that do not read back are passed over and counted.
 */
struct durable_query {
    struct message message; /* on_deliver of the answer is `on_reply` */
    struct mailbox *reply_to;
    void (*on_reply)(
        struct message *message); /* owns the struct: json_decref(items), then its own */
    void *data;
    uint64_t before;
    unsigned limit; /* how many at most; >= 1 */
    unsigned
        look_at; /* how many entries are looked at, at most, >= 1; then `next` says where to go on */
    /* 1: this one. Runs on the writer's thread; must not keep the entry. NULL: all */
    int (*matches)(const struct durable_query *query, const json_t *entry);
    /* out */
    int rc;        /* CG_OK, CG_E_IO, CG_E_NOMEM */
    json_t *items; /* array; new reference; NULL unless CG_OK */
    uint64_t next; /* what `before` goes on with; 0: that was all */
};
void durable_ask(struct durable *durable, struct durable_query *query);

struct durable_stats {
    uint64_t commits;                   /* synced; those that only drop audit entries as well */
    uint64_t batches, failures;         /* that are on the disk, and that never will be */
    uint64_t audit_entries, audit_last; /* how many are there; the number of the last there was */
};
void durable_get_stats(const struct durable *durable, struct durable_stats *stats); /* any thread */

#endif
