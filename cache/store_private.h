/*
 * What the files of the store share. Threads: `txn`, `log`, `next_user`, `sequence` and the eviction hand are the owner's alone; readers
 * are in a list behind a mutex that only making, freeing and measuring them take; figures are atomics.
 */
#ifndef CCTGATE_CACHE_STORE_PRIVATE_H
#define CCTGATE_CACHE_STORE_PRIVATE_H

#include "cache/environment.h"
#include "cache/keys.h"
#include "cache/lockfile.h"
#include "cctgate/store.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

/* Versions are (epoch << VERSION_SEQUENCE_BITS) | sequence. */
#define VERSION_SEQUENCE_BITS 40
#define VERSION_SEQUENCE_MAX  ((UINT64_C(1) << VERSION_SEQUENCE_BITS) - 1)
#define VERSION_EPOCH_MAX     ((UINT64_C(1) << (64 - VERSION_SEQUENCE_BITS)) - 1)

enum cache_database {
    DB_STATE,
    DB_RECORDS,
    DB_OWNERS,
    DB_OWNED,
    DB_USERS,
    DB_LOG,
    CACHE_DATABASES
};

/* What the event log says of itself; on disk as it is here. The numbers that are there end with `last`. */
struct log_state {
    uint64_t epoch, last, events, bytes;
};

/* How full the cache environment is, in pages. */
struct room {
    size_t high_water;  /* pages that the file has ever needed */
    size_t free;        /* of these, not in use */
    size_t reclaimable; /* of these, not in use by any reader's snapshot either */
};

struct store_txn {
    struct store *store;
    MDB_txn *txn; /* NULL: no transaction */
    int failed;   /* the first error that LMDB gave: the transaction is lost */
    struct {
        size_t pages_before,
            touched; /* a transaction copies each page once, so it never copies more than there were */
    } databases[CACHE_DATABASES];
    size_t grown_bytes, overflow_pages;
    size_t pages_for_puts, pages_for_deletes; /* what may be spent */
    struct log_state log;
    int log_changed, log_appended;
    size_t log_halves_dropped, log_bytes_dropped; /* of pages; see event_log.c */
};

/*
 * Where a reader found values lately, and that they read back: as long as nothing was committed since, LMDB's snapshot is the
 * same, and so is every page of it.
 */
#define MEMO_SLOTS     256
#define MEMO_KEY_BYTES 64 /* longer keys are looked up each time */
struct memo {
    uint64_t snapshot; /* 0: free */
    MDB_val value;
    uint8_t database, length;
    uint8_t key[MEMO_KEY_BYTES];
};

struct store_reader {
    struct store *store;
    MDB_txn *txn;              /* reset between reads */
    _Atomic uint64_t snapshot; /* LMDB's transaction number while reading, else 0 */
    uint32_t *users; /* where owners are copied to when the map does not hold them aligned */
    size_t users_max;
    struct memo memo[MEMO_SLOTS];
    struct store_reader *next;
};

struct store {
    struct environment cache, durable;
    struct lockfile lock;
    char directory[PATH_MAX];
    unsigned readers_max;
    uint64_t epoch, sequence;
    uint32_t next_user;
    struct log_state log; /* as committed */
    struct store_txn txn;
    MDB_txn *gauge;  /* the owner's own reading transaction, for looking at the free list */
    struct key hand; /* where store_evict_oldest stopped */
    pthread_mutex_t readers_lock;
    struct store_reader *readers;
    unsigned num_readers;
    _Atomic uint64_t corrupt_records, commits;
};

/* Counts it when it is one. */
static inline int store_corrupt(struct store *store, int rc, int is_corrupt)
{
    if (is_corrupt)
        atomic_fetch_add_explicit(&store->corrupt_records, 1, memory_order_relaxed);
    return rc;
}

/* ---- room.c ---- */

/* Measures in a reading transaction; `oldest` is the oldest snapshot that may still be read. Returns LMDB's error. */
int room_measure(MDB_env *env, MDB_txn *reading, uint64_t oldest, struct room *room);
/* Before a write transaction: lets go of what only LMDB's delay holds back, when room is short. */
void room_settle(struct store *store);
/* What a write transaction that begins now may spend. CG_OK, or the environment's error. */
int room_prepare(struct store_txn *txn);
/* CG_E_FULL when writing `entries` entries of together `bytes` and `overflow_pages` into `database` would leave too little. */
int room_take(struct store_txn *txn, enum cache_database database, size_t entries, size_t bytes,
              size_t overflow_pages);
/* CG_E_FULL when taking one more entry away might use up the last pages. */
int room_to_delete(const struct store_txn *txn);
/* Counts `entries` touched without asking: after a deletion. */
void room_note(struct store_txn *txn, enum cache_database database, size_t entries);
size_t room_overflow_pages(const struct store *store, size_t key_bytes, size_t value_bytes);

/* ---- event_log.c ---- */

/* As environment_layout.check: whether the log is what it says it is. */
int log_check(const struct environment *environment, MDB_txn *txn, const char **damage);
/*
 * Reads the log's state, or starts a new one under the store's epoch. Returns LMDB's error; MDB_MAP_FULL: it is started, and
 * will be written down with its first entry.
 */
int log_start(struct store *store);
/* Before a commit: writes the log's state when the transaction changed it. */
int log_save(struct store_txn *txn);

/* ---- readers.c ---- */

/* The oldest snapshot that a reader is looking at, or `newest`; how many look. */
uint64_t readers_oldest(const struct store *store, uint64_t newest, unsigned *reading);

/* ---- writer.c: every access of the writer goes through these; what LMDB refuses loses the transaction ---- */

int txn_result(struct store_txn *txn, int mdb_rc);
/* CG_OK, CG_E_NOTFOUND, or the error that lost the transaction. */
int txn_get(struct store_txn *txn, enum cache_database database, MDB_val *key, MDB_val *value);
int txn_put(struct store_txn *txn, enum cache_database database, MDB_val *key, MDB_val *value,
            unsigned flags);
int txn_delete(struct store_txn *txn, enum cache_database database,
               MDB_val *key); /* CG_OK when absent */

#endif
