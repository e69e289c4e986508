/*
 * The event log: entries under ascending numbers in a database of their own, and what the log says of itself in the state
 * database. Both are written in the transaction that changes the model, so whatever becomes of it, they agree.
 *
 * Appending writes to the right edge of a tree and dropping to its left edge; the pages of an edge are copied once in a
 * transaction and then used again and again, so both take far less room than as many changes anywhere else would: an edge,
 * plus what was added, or plus what rebalancing leaves behind for each page that was emptied.
 */
#include "cache/record.h"
#include "cache/store_private.h"
#include "cctgate/error.h"

#include <errno.h>

#define STATE_KEY          "log"
#define EDGE_ENTRIES       4 /* that together touch more pages than an edge has */
#define NODE_BYTES         18 /* of an entry in its page, without the value: header, offset and key */
#define BIG_NODE_BYTES     26 /* with the number of the page that the value is on */
#define FREED_BYTES_A_PAGE 32 /* what a page given back costs in the free list, four times over */

static MDB_val state_key(void)
{
    static const char key[] = STATE_KEY;
    return (MDB_val){.mv_size = sizeof(key) - 1, .mv_data = (char *)key};
}

static int state_decode(const MDB_val *value, struct log_state *log)
{
    MDB_val key = state_key();
    const void *content;
    size_t length;
    if (sealed_decode(&key, value, &content, &length) != CG_OK || length != sizeof(*log))
        return CG_E_CORRUPT;
    memcpy(log, content, sizeof(*log));
    return log->epoch != 0 && log->events <= log->last ? CG_OK : CG_E_CORRUPT;
}

/* Returns LMDB's error; MDB_CORRUPTED when it does not read back. */
static int state_read(MDB_txn *txn, MDB_dbi state, struct log_state *log)
{
    MDB_val key = state_key(), value;
    int mdb_rc = mdb_get(txn, state, &key, &value);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    return state_decode(&value, log) == CG_OK ? MDB_SUCCESS : MDB_CORRUPTED;
}

static int state_write(MDB_txn *txn, MDB_dbi state, const struct log_state *log)
{
    uint8_t sealed[SEALED_HEADER_BYTES + sizeof(*log)];
    MDB_val key = state_key(), value = {.mv_size = sizeof(sealed), .mv_data = sealed};
    sealed_encode(&key, log, sizeof(*log), sealed);
    return mdb_put(txn, state, &key, &value, 0);
}

static void bounds_of(const struct log_state *log, struct store_log_bounds *bounds)
{
    *bounds = (struct store_log_bounds){.epoch = log->epoch,
                                        .first = log->last - log->events + 1,
                                        .last = log->last,
                                        .bytes = log->bytes};
}

static int is_number(const MDB_val *key, uint64_t number)
{
    struct key expected;
    key_of_entry(&expected, number);
    return key->mv_size == expected.length &&
           memcmp(key->mv_data, expected.bytes, key->mv_size) == 0;
}

/* ---- opening ---- */

/* When the first and the last are right, and as many as there should be, then so are those between them. */
static int check_ends(MDB_txn *txn, MDB_dbi entries, const struct log_state *log, int *sound)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int mdb_rc = mdb_cursor_open(txn, entries, &cursor);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    *sound = mdb_rc == MDB_SUCCESS && is_number(&key, log->last - log->events + 1);
    if (*sound)
        mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    *sound = *sound && mdb_rc == MDB_SUCCESS && is_number(&key, log->last);
    mdb_cursor_close(cursor);
    return mdb_rc;
}

int log_check(const struct environment *environment, MDB_txn *txn, const char **damage)
{
    MDB_dbi entries = environment->databases[DB_LOG];
    struct log_state log = {.epoch = 0};
    MDB_stat stat;
    int sound = 1, mdb_rc = state_read(txn, environment->databases[DB_STATE], &log);
    if (mdb_rc == MDB_SUCCESS || mdb_rc == MDB_NOTFOUND) { /* it says nothing: it is empty */
        mdb_rc = mdb_stat(txn, entries, &stat);
        sound = mdb_rc == MDB_SUCCESS && stat.ms_entries == log.events;
    }
    if (mdb_rc == MDB_SUCCESS && sound && log.events != 0)
        mdb_rc = check_ends(txn, entries, &log, &sound);
    if (!sound || mdb_rc == MDB_CORRUPTED)
        *damage = "the event log is not what it says it is";
    return mdb_rc;
}

static int start_in(struct store *store, MDB_txn *txn)
{
    MDB_dbi state = store->cache.databases[DB_STATE];
    int mdb_rc = state_read(txn, state, &store->log);
    if (mdb_rc != MDB_NOTFOUND)
        return mdb_rc;
    store->log = (struct log_state){.epoch = store->epoch};
    return state_write(txn, state, &store->log);
}

int log_start(struct store *store)
{
    MDB_txn *txn;
    int mdb_rc = mdb_txn_begin(store->cache.env, NULL, 0, &txn);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    mdb_rc = start_in(store, txn);
    if (mdb_rc == MDB_SUCCESS)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return mdb_rc;
}

/* ---- the writer ---- */

int log_save(struct store_txn *txn)
{
    if (!txn->log_changed)
        return CG_OK;
    return txn_result(txn, state_write(txn->txn, txn->store->cache.databases[DB_STATE], &txn->log));
}

/* The state's room is taken with the first change, so that the commit does not have to ask. */
static int take_room(struct store_txn *txn, size_t bytes, size_t overflow_pages)
{
    struct store_txn probe = *txn;
    int rc = CG_OK;
    if (!txn->log_changed)
        rc = room_take(&probe, DB_STATE, 1, sizeof(txn->log), 0);
    if (rc == CG_OK && !txn->log_appended)
        rc = room_take(&probe, DB_LOG, EDGE_ENTRIES, 0, 0);
    if (rc == CG_OK)
        rc = room_take(&probe, DB_LOG, 0, bytes, overflow_pages);
    if (rc == CG_OK)
        *txn = probe;
    return rc;
}

int store_log_append(struct store_txn *txn, const void *entry, size_t length, uint64_t *seq)
{
    struct key key;
    if (txn->failed != CG_OK)
        return txn->failed;
    if (length > CG_EVENT_ENTRY_BYTES_MAX)
        return CG_E_LIMIT;
    key_of_entry(&key, txn->log.last + 1);
    MDB_val number = key_value(&key), value = {.mv_size = ENTRY_HEADER_BYTES + length};
    size_t overflow = room_overflow_pages(txn->store, number.mv_size, value.mv_size);
    size_t node = overflow == 0 ? NODE_BYTES + value.mv_size : BIG_NODE_BYTES;
    int rc = take_room(txn, node, overflow);
    if (rc == CG_OK)
        rc = txn_put(txn, DB_LOG, &number, &value, MDB_APPEND | MDB_RESERVE);
    if (rc != CG_OK)
        return rc;
    entry_encode(&number, entry, length, value.mv_data);
    txn->log_changed = txn->log_appended = 1;
    txn->log.events++;
    txn->log.bytes += length;
    *seq = ++txn->log.last;
    return CG_OK;
}

void store_log_txn_bounds(const struct store_txn *txn, struct store_log_bounds *bounds)
{
    bounds_of(&txn->log, bounds);
}

/* Two pages for each half page's worth of entries that is gone. */
static void note_dropped(struct store_txn *txn, size_t value_bytes)
{
    const struct store *store = txn->store;
    size_t overflow = room_overflow_pages(store, sizeof(uint64_t), value_bytes);
    txn->log_bytes_dropped +=
        overflow == 0 ? NODE_BYTES + value_bytes : BIG_NODE_BYTES + overflow * FREED_BYTES_A_PAGE;
    size_t halves = EDGE_ENTRIES + txn->log_bytes_dropped / (store->cache.page_bytes / 2);
    room_note(txn, DB_LOG, halves - txn->log_halves_dropped);
    txn->log_halves_dropped = halves;
    if (!txn->log_changed)
        room_note(txn, DB_STATE, 1);
    txn->log_changed = 1;
}

static int drop_first(struct store_txn *txn, MDB_cursor *cursor)
{
    MDB_val key, value;
    int mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc == MDB_NOTFOUND ? MDB_CORRUPTED : mdb_rc;
    size_t length = value.mv_size;
    mdb_rc = mdb_cursor_del(cursor, 0);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    note_dropped(txn, length);
    size_t content = length < ENTRY_HEADER_BYTES ? 0 : length - ENTRY_HEADER_BYTES;
    struct log_state *log = &txn->log;
    log->events--;
    /* A damaged entry may have another length than was counted: what is empty has no bytes all the same. */
    log->bytes = log->events == 0 || content > log->bytes ? 0 : log->bytes - content;
    return MDB_SUCCESS;
}

static int is_over(const struct log_state *log, uint64_t max_events, uint64_t max_bytes)
{
    return log->events > max_events || (log->bytes > max_bytes && log->events > 0);
}

int store_log_trim(struct store_txn *txn, uint64_t max_events, uint64_t max_bytes,
                   unsigned max_entries, unsigned *dropped)
{
    MDB_cursor *cursor;
    *dropped = 0;
    if (txn->failed != CG_OK || !is_over(&txn->log, max_events, max_bytes) || max_entries == 0)
        return txn->failed;
    if (room_to_delete(txn) != CG_OK)
        return CG_E_FULL;
    int mdb_rc = mdb_cursor_open(txn->txn, txn->store->cache.databases[DB_LOG], &cursor);
    if (mdb_rc != MDB_SUCCESS)
        return txn_result(txn, mdb_rc);
    while (mdb_rc == MDB_SUCCESS && *dropped < max_entries && room_to_delete(txn) == CG_OK &&
           is_over(&txn->log, max_events, max_bytes)) {
        mdb_rc = drop_first(txn, cursor);
        *dropped += mdb_rc == MDB_SUCCESS;
    }
    mdb_cursor_close(cursor);
    return txn_result(txn, mdb_rc);
}

/* ---- readers ---- */

/* A log that could not be written down at the start is a new one: its epoch is the store's. */
static int read_log(struct store_reader *reader, struct log_state *log)
{
    struct store *store = reader->store;
    *log = (struct log_state){.epoch = store->epoch};
    int mdb_rc = state_read(reader->txn, store->cache.databases[DB_STATE], log);
    if (mdb_rc == MDB_SUCCESS || mdb_rc == MDB_NOTFOUND)
        return CG_OK;
    return store_corrupt(store, CG_E_CORRUPT, 1);
}

int store_log_get_bounds(struct store_reader *reader, struct store_log_bounds *bounds)
{
    struct log_state log;
    int rc = read_log(reader, &log);
    if (rc == CG_OK)
        bounds_of(&log, bounds);
    return rc;
}

struct walk {
    struct store_reader *reader;
    MDB_cursor *cursor;
    uint64_t from, to;
    int (*on_entry)(void *data, uint64_t seq, const void *entry, size_t length);
    void *data;
};

static int walk_entries(const struct walk *walk)
{
    struct store *store = walk->reader->store;
    struct key from;
    key_of_entry(&from, walk->from);
    MDB_val key = key_value(&from), value;
    int mdb_rc = mdb_cursor_get(walk->cursor, &key, &value, MDB_SET_KEY);
    for (uint64_t seq = walk->from;; seq++) {
        const void *content;
        size_t length;
        if (mdb_rc != MDB_SUCCESS && mdb_rc != MDB_NOTFOUND)
            return CG_E_IO;
        if (mdb_rc == MDB_NOTFOUND || !is_number(&key, seq) ||
            entry_decode(&key, &value, &content, &length) != CG_OK)
            return store_corrupt(store, CG_E_CORRUPT, 1);
        if (walk->on_entry(walk->data, seq, content, length) != 0 || seq == walk->to)
            return CG_OK;
        mdb_rc = mdb_cursor_get(walk->cursor, &key, &value, MDB_NEXT);
    }
}

int store_log_walk(struct store_reader *reader, uint64_t after,
                   int (*on_entry)(void *data, uint64_t seq, const void *entry, size_t length),
                   void *data)
{
    struct log_state log;
    int rc = read_log(reader, &log);
    if (rc != CG_OK || after >= log.last)
        return rc;
    if (after < log.last - log.events)
        return CG_E_NOTFOUND;
    struct walk walk = {
        .reader = reader, .from = after + 1, .to = log.last, .on_entry = on_entry, .data = data};
    int mdb_rc = mdb_cursor_open(reader->txn, reader->store->cache.databases[DB_LOG], &walk.cursor);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc == ENOMEM ? CG_E_NOMEM : CG_E_IO;
    rc = walk_entries(&walk);
    mdb_cursor_close(walk.cursor);
    return rc;
}
