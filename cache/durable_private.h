/*
 * What the files of the durable environment's writer share. Threads: the queue is behind a mutex; figures are atomics; everything else
 * is the writer's alone once it runs. The store writes the environment itself while it is being opened, and never again.
 */
#ifndef CCTGATE_CACHE_DURABLE_PRIVATE_H
#define CCTGATE_CACHE_DURABLE_PRIVATE_H

#include "cache/store_private.h"
#include "cctgate/durable.h"

/* As in the environment's layout (store.c): what is appended to enum durable_table is appended there. */
enum durable_database {
    DURABLE_DB_STATE,
    DURABLE_DB_AUDIT,
    DURABLE_DB_TABLES, /* the first table's */
    DURABLE_DATABASES = DURABLE_DB_TABLES + DURABLE_TABLES - 1
};

_Static_assert(DURABLE_DATABASES <= ENVIRONMENT_DATABASES_MAX, "a database for each table");

static inline MDB_dbi durable_table_database(const struct store *store, enum durable_table table)
{
    return store->durable.databases[DURABLE_DB_TABLES + table - 1];
}

/* ---- durable_batch.c ---- */

enum change_kind { CHANGE_PUT, CHANGE_DELETE, CHANGE_APPEND };

struct change {
    struct change *next;
    enum change_kind kind;
    enum durable_table table; /* but for CHANGE_APPEND */
    size_t key_length, length;
    char bytes[]; /* the key, then the value; of CHANGE_APPEND: the entry's JSON */
};

struct durable_batch {
    struct durable_batch *next;
    struct change *first, **last;
    int rc; /* CG_E_LIMIT: something in it is too large, so nothing of it will happen */
    struct mailbox *reply_to;
    struct durable_done *done;
};

static inline MDB_val change_key(struct change *change)
{
    return (MDB_val){.mv_size = change->key_length, .mv_data = change->bytes};
}

/* ---- the writer ---- */

struct audit {
    uint64_t last, entries; /* `last` never goes back */
};

struct durable {
    struct store *store;
    uint64_t max_audit_entries;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int stopping;
    struct durable_batch *first_batch, **last_batch;
    struct message *first_query, **last_query;
    struct audit audit; /* as committed */
    char *scratch;      /* where an entry gets its number */
    _Atomic uint64_t commits, batches, failures, audit_entries, audit_last;
};

/* What a change may need, from above. */
struct durable_need {
    size_t touched; /* pages that are copied */
    size_t grown_bytes, overflow_pages;
    int appends, puts;
};

/* How full the environment is, in pages. */
struct durable_room {
    size_t map, data, at_hand;
    size_t waiting; /* free, but not before another commit */
    size_t audit;   /* of the data, the audit log's */
    size_t tables;  /* of the data, what a change of a row may copy */
};

/* A write transaction. */
struct durable_txn {
    struct durable *durable;
    MDB_txn *txn;
    struct audit audit;
};

/* LMDB's error. */
int durable_txn_begin(struct durable *durable, struct durable_txn *txn);
int durable_txn_commit(struct durable_txn *txn);
void durable_txn_abort(struct durable_txn *txn);

/* ---- durable_write.c ---- */

/* Writes the batches, delivers their outcomes, frees them. */
void durable_write(struct durable *durable, struct durable_batch *batches);

/* ---- durable_room.c ---- */

void durable_need_add(const struct durable *durable, struct durable_need *need,
                      const struct durable_batch *batch);
/* LMDB's error. */
int durable_room_measure(struct durable *durable, struct durable_room *room);
int durable_room_is_enough(const struct durable *durable, const struct durable_room *room,
                           const struct durable_need *need);
/* Drops audit entries until there is room. CG_OK, CG_E_FULL: nothing helps, or the error of the disk. */
int durable_room_make(struct durable *durable, const struct durable_need *need);
/* What dropping audit entries may spend besides. */
size_t durable_room_left(const struct durable *durable, const struct durable_room *room,
                         const struct durable_need *need);
/* Whether the audit log is over its bound, or has to make way. */
int durable_is_over(struct durable *durable);
/* Drops a bounded number of audit entries in a commit of its own. CG_OK, or what refused it. */
int durable_trim(struct durable *durable);

/* ---- durable_audit.c ---- */

/* LMDB's error. */
int audit_load(struct durable *durable);
/* In a write transaction; LMDB's error. */
int audit_append(struct durable_txn *txn, const char *json, size_t length);
/* Drops at most `count` of the oldest while that costs at most `pages`. */
int audit_trim(struct durable_txn *txn, uint64_t count, size_t pages);
/* Before a commit: writes down the last number. */
int audit_save(struct durable_txn *txn);
void audit_answer(struct durable *durable, struct durable_query *query);
/* What to say before an entry's own members take. */
#define AUDIT_HEAD_BYTES_MAX 32

#endif
