/*
 * The store: what the gateway knows, in LMDB, so that a read needs neither a lock nor the upstream, and a restart is warm.
 *
 * Two environments below the data directory:
 *   cache/    large, MDB_NOSYNC: records and indexes that the upstream can give again. A killed process loses nothing
 *             committed; a power cut may cost the whole environment, which is then set aside and rebuilt.
 *   durable/  small, every commit synced: what must not be lost: the epoch, and what durable.h is for. Synced commits take a disk's
 *             time, so they are made while the store is opened, and then by durable.h's thread alone.
 *
 * One writer thread (the owner), any number of readers (front threads), each with a `store_reader` of its own. A reader's
 * transaction is renewed for a read and reset after it: no pointer into the map outlives store_read_end(), and no read
 * lasts longer than one turn of a loop.
 *
 * Format. Each environment carries a format number and a checksum of its description; another number, a missing one or an
 * environment that LMDB cannot open makes it be renamed to <name>.aside-<unix time> and a new one created (the newest two
 * set aside are kept), which `store_open` reports: a damaged cache is never a crash and never stops the start. A damaged
 * durable environment is set aside as well, loudly: the caller decides whether to go on. A file is looked at page by page before
 * LMDB maps it (cache/inspect.h), and a cache that was in use when the machine, not just the process, went down is set aside
 * unseen (cache/lockfile.h).
 * Each record carries its own format number and a checksum over its body; one that does not read back is CG_E_CORRUPT, is
 * counted, and counts as absent for readers.
 */
#ifndef CCTGATE_STORE_H
#define CCTGATE_STORE_H

#include <stddef.h>
#include <stdint.h>

struct store;
struct store_reader;
struct store_txn;

/* What kind of thing a record holds. The numbers are on disk: only append. */
enum record_kind {
    RECORD_AGENT = 1,
    RECORD_TERMINAL = 2,
    RECORD_ADDRESS = 3,
    RECORD_CALL = 4,
    RECORD_USER = 5,
    RECORD_AGENT_CAPABILITIES = 6,
    RECORD_TERMINAL_CAPABILITIES = 7,
    RECORD_ADDRESS_CAPABILITIES = 8,
    RECORD_CALL_CAPABILITIES = 9,
    RECORD_CALL_DATA = 10,
    RECORD_CALL_INTRINSICS = 11,
    RECORD_CALL_UUI = 12,
    RECORD_CALL_MESSAGES = 13,
    RECORD_USER_CALLS = 14, /* when a user's list of calls was last read; no body of its own */
    RECORD_METER = 15,      /* a figure of the gateway's own, by name; not JSON (capacity.h) */
    RECORD_KINDS
};

/* How the record came to be what it is. */
enum record_provenance {
    PROVENANCE_FETCH = 1, /* read from the upstream */
    PROVENANCE_EVENT = 2, /* brought up to date by a notification */
    PROVENANCE_RESTORE =
        3 /* found in the store at start and not confirmed since; told by comparing with the session, not written */
};

enum record_flag {
    RECORD_DIRTY =
        1
        << 0, /* a part may have changed without being told: to be read anew before it is served */
    RECORD_ENDED = 1 << 1 /* a call that is over: no longer in lists */
};

struct record {
    uint64_t
        version; /* grows with every write of any record, across restarts too; what an ETag is made of */
    int64_t fetched_at_ms; /* steady (clock.h): when the upstream said so */
    int64_t expires_at_ms; /* end of the time-to-live */
    uint32_t user;         /* the user through whose session it was read (store_user_id) */
    uint8_t provenance;    /* enum record_provenance */
    uint16_t flags;        /* enum record_flag, or'ed */
    uint64_t covered;      /* the subscription whose events keep it up to date; 0: none does */
    const char *body;      /* JSON text, not NUL-terminated */
    size_t body_length;
};

struct store_settings {
    const char *directory; /* created with mode 0700 when absent; files 0600 */
    size_t cache_map_bytes,
        durable_map_bytes; /* at least 1 MiB; a map grows to what it already holds */
    unsigned max_readers;  /* 0: 126 */
};

struct store_opened {
    int cache_set_aside, durable_set_aside; /* an older or damaged environment was moved away */
    const char *cache_reason,
        *durable_reason; /* why, for people: a constant, NULL when not set aside */
    int cache_was_empty; /* no record in it, for whatever reason */
    uint64_t epoch; /* counts the starts of this data directory; synced before store_open returns */
};

/*
 * Opens or creates both environments. CG_E_IO (directory not usable, or another process has it open: `error` says which),
 * CG_E_NOMEM (the map does not fit into the address space, too), CG_E_INVALID (a map below 1 MiB). A full disk or too many
 * open files are CG_E_IO and set nothing aside. Once per process, never across fork.
 */
int store_open(struct store **store, const struct store_settings *settings,
               struct store_opened *opened, char *error, size_t error_size);
/* All readers freed and transactions ended. Syncs the cache environment: takes a disk's time. */
void store_close(struct store **store);

/* ---- readers: any thread, one reader per thread ---- */

/* CG_E_LIMIT: more than max_readers. CG_E_NOMEM, CG_E_IO. */
int store_reader_new(struct store_reader **reader, struct store *store);
void store_reader_free(struct store_reader **reader);

/* Between begin and end, record bodies point into the map. begin: CG_OK or CG_E_IO. */
int store_read_begin(struct store_reader *reader);
void store_read_end(struct store_reader *reader);

/* CG_OK, CG_E_NOTFOUND, CG_E_CORRUPT. `id` is any bytes; nothing is known by one of more than CG_ID_BYTES_MAX. */
int store_get(struct store_reader *reader, enum record_kind kind, const char *id, size_t id_length,
              struct record *record);

/*
 * Who may see an object: ascending user numbers, valid until store_read_end() or the reader's next store_owners(). CG_OK with
 * *num_users >= 1, CG_E_NOTFOUND, CG_E_CORRUPT (counted; nobody may see it), CG_E_NOMEM. Only kinds AGENT, TERMINAL, ADDRESS, CALL
 * have owners.
 */
int store_owners(struct store_reader *reader, enum record_kind kind, const char *id,
                 size_t id_length, const uint32_t **users, size_t *num_users);

/*
 * Walks the ids of `kind` in ascending byte order, those of `user` (or everybody's, each id once, when user is 0), starting after
 * `after` (NULL: from the first), until `on_id` returns non-zero or there are no more. Returns CG_OK, CG_E_NOMEM or CG_E_IO.
 * What is walked is the index of owners, so ids that have an owner and no record yet are among them; for kinds that have no
 * owners it is the records when user is 0, and nothing otherwise. The id points into the map.
 */
int store_walk(struct store_reader *reader, enum record_kind kind, uint32_t user, const char *after,
               size_t after_length, int (*on_id)(void *data, const char *id, size_t id_length),
               void *data);

/* ---- the writer: one thread ---- */

/*
 * One write transaction on the cache environment at a time. CG_E_IO, CG_E_NOMEM.
 *
 * Inside it, CG_E_FULL means: refused for want of room, nothing of that call was written, the rest of the transaction stands.
 * Puts are refused before the map is full (about nine tenths), because deleting needs pages too; a call that deletes is refused
 * when it might take the last pages: commit and go on in the next transaction. A reader that does not end holds all pages
 * back. When LMDB itself fails in a call (its map is full after all, the disk fails, the file is damaged: CG_E_CORRUPT), or a call
 * that changes many entries fails half-way, every later call and the commit return the same error, and nothing of the
 * transaction happens.
 */
int store_begin(struct store *store, struct store_txn **txn);
/* Ends the transaction in any case and nulls *txn. CG_OK: readers that begin from now on see it. CG_E_FULL, CG_E_IO,
 * CG_E_CORRUPT: nothing of it happened. */
int store_commit(struct store_txn **txn);
void store_abort(struct store_txn **txn);

/*
 * record->version 0 gets a new version, as every change must; another value is kept, for a record that was only confirmed. CG_E_LIMIT (body or id too large), CG_E_INVALID (no such kind; a provenance that is not
 * written), CG_E_FULL, CG_E_IO. Owners are independent of records.
 */
int store_put(struct store_txn *txn, enum record_kind kind, const char *id, size_t id_length,
              struct record *record);
/* The record as this transaction sees it; body valid until the next write. CG_OK, CG_E_NOTFOUND, CG_E_CORRUPT. */
int store_txn_get(struct store_txn *txn, enum record_kind kind, const char *id, size_t id_length,
                  struct record *record);
/* CG_OK when absent, too; CG_E_FULL, CG_E_IO. Owners stay. */
int store_delete(struct store_txn *txn, enum record_kind kind, const char *id, size_t id_length);

/*
 * Makes room: deletes records (not what they are owned by) that were fetched before a time, at most `max_records`, fewer where the
 * room left in the map does not allow more in one transaction; *evicted says how many. Goes on where the last call
 * stopped and looks at each record at most once, some 100 ns each; 0 evicted means that there was none. Commit, then put again.
 * CG_E_FULL: this transaction has no room left for deleting.
 */
int store_evict_oldest(struct store_txn *txn, int64_t fetched_before_ms, unsigned max_records,
                       unsigned *evicted);

/*
 * Adds or removes `user` as an owner of an object; both directions of the index stay in step. CG_OK when nothing changes, too.
 * CG_E_INVALID: a kind without owners, user 0. CG_E_LIMIT: id too long. CG_E_FULL, CG_E_IO, CG_E_NOMEM.
 */
int store_add_owner(struct store_txn *txn, enum record_kind kind, const char *id, size_t id_length,
                    uint32_t user);
int store_remove_owner(struct store_txn *txn, enum record_kind kind, const char *id,
                       size_t id_length, uint32_t user);
/* Makes what `user` owns of `kind` exactly `ids` (any order, duplicates allowed), writing only what differs. Errors as above. */
int store_set_owned(struct store_txn *txn, enum record_kind kind, uint32_t user,
                    const char *const *ids, size_t num_ids);

/*
 * The number (>= 1) that stands for a user's name in records and indexes; the same across restarts while the cache lives, and
 * never given to another name. A new name gets a new number. CG_E_INVALID: an empty name. CG_E_LIMIT: over CG_ID_BYTES_MAX.
 */
int store_user_id(struct store_txn *txn, const char *user, uint32_t *id);
/* The number of `from` is that of `to` from now on, and the one `to` had is nobody's. CG_E_NOTFOUND: `from` has none. */
int store_rename_user(struct store_txn *txn, const char *from, const char *to);

/*
 * Erases every record that was read through a user's session, every index entry and the number of a user who is no longer
 * configured. Looks at every record, some 100 ns each. CG_E_FULL loses the transaction: evict first.
 */
int store_forget_user(struct store_txn *txn, uint32_t user);

/* ---- the event log: in the cache environment, so that model and log change in one transaction ---- */

/*
 * Entries are opaque bytes under numbers that grow by one, the first is 1. The epoch names the number line: it lasts as long as
 * the log does, across restarts, and is another one when the log was lost; a later log's epoch is greater. The log is lost with
 * the cache environment, and the environment is set aside when the log is not what it says it is. An entry that does not
 * read back is CG_E_CORRUPT, is counted among the corrupt records, and stays until it is dropped.
 */
struct store_log_bounds {
    uint64_t epoch;
    uint64_t first,
        last; /* what is there; first > last: nothing. `last` never goes back within an epoch */
    uint64_t bytes; /* of the entries that are there */
};

/*
 * Appends; *seq is the entry's number, and is given again when the transaction is not committed. CG_E_LIMIT (over
 * CG_EVENT_ENTRY_BYTES_MAX), CG_E_IO, CG_E_FULL: trim and commit, then append again. In a map that is nearly full an entry of more
 * than half a page may find no room in one piece, which LMDB notices too late: that CG_E_FULL loses the transaction.
 */
int store_log_append(struct store_txn *txn, const void *entry, size_t length, uint64_t *seq);
/* As the transaction sees it. */
void store_log_txn_bounds(const struct store_txn *txn, struct store_log_bounds *bounds);
/*
 * Drops the oldest entries while there are more than either bound, at most `max_entries` of them, fewer where the room left in the
 * map does not allow more in one transaction; *dropped says how many. Some 400 ns each. CG_E_FULL: this transaction has no room left
 * for dropping. CG_E_IO, CG_E_NOMEM.
 */
int store_log_trim(struct store_txn *txn, uint64_t max_events, uint64_t max_bytes,
                   unsigned max_entries, unsigned *dropped);

/* Between store_read_begin and store_read_end; takes as long whatever is in the log. CG_OK, CG_E_CORRUPT. */
int store_log_get_bounds(struct store_reader *reader, struct store_log_bounds *bounds);
/*
 * Walks the entries after `after` in order until `on_entry` returns non-zero or there are no more; bytes point into the map and are
 * not aligned. CG_E_NOTFOUND: the entry after `after` has been dropped already, nothing was walked. CG_E_CORRUPT: the walk came
 * to an entry that does not read back; those before it were walked. CG_OK, also when `after` is beyond the last. CG_E_IO, CG_E_NOMEM.
 */
int store_log_walk(struct store_reader *reader, uint64_t after,
                   int (*on_entry)(void *data, uint64_t seq, const void *entry, size_t length),
                   void *data);

/* ---- figures ---- */

struct store_stats {
    size_t cache_used_bytes, cache_map_bytes, durable_used_bytes, durable_map_bytes;
    uint64_t records, corrupt_records,
        commits;      /* corrupt_records counts readings since the start, not records */
    unsigned readers; /* that exist */
    unsigned reading; /* that are between begin and end */
    uint64_t
        oldest_read_lag; /* commits since the oldest of those began; what grows here keeps old pages alive */
};
void store_get_stats(const struct store *store, struct store_stats *stats); /* any thread */

#endif
