#include "cache/record.h"
#include "cache/store_private.h"
#include "cctgate/error.h"

#include <assert.h>

int txn_result(struct store_txn *txn, int mdb_rc)
{
    int rc = store_error(mdb_rc);
    if (rc != CG_OK && rc != CG_E_NOTFOUND && txn->failed == CG_OK)
        txn->failed = rc;
    return rc;
}

int txn_get(struct store_txn *txn, enum cache_database database, MDB_val *key, MDB_val *value)
{
    if (txn->failed != CG_OK)
        return txn->failed;
    return txn_result(txn, mdb_get(txn->txn, txn->store->cache.databases[database], key, value));
}

int txn_put(struct store_txn *txn, enum cache_database database, MDB_val *key, MDB_val *value,
            unsigned flags)
{
    if (txn->failed != CG_OK)
        return txn->failed;
    return txn_result(txn,
                      mdb_put(txn->txn, txn->store->cache.databases[database], key, value, flags));
}

int txn_delete(struct store_txn *txn, enum cache_database database, MDB_val *key)
{
    if (txn->failed != CG_OK)
        return txn->failed;
    int rc = txn_result(txn, mdb_del(txn->txn, txn->store->cache.databases[database], key, NULL));
    if (rc == CG_E_NOTFOUND)
        return CG_OK;
    if (rc == CG_OK)
        room_note(txn, database, 1);
    return rc;
}

int store_begin(struct store *store, struct store_txn **txn)
{
    assert(store->txn.txn == NULL); /* one at a time */
    *txn = NULL;
    room_settle(store);
    store->txn = (struct store_txn){.store = store, .log = store->log};
    int rc = store_error(mdb_txn_begin(store->cache.env, NULL, 0, &store->txn.txn));
    if (rc == CG_OK)
        rc = room_prepare(&store->txn);
    if (rc == CG_OK) {
        *txn = &store->txn;
        return CG_OK;
    }
    mdb_txn_abort(store->txn.txn);
    store->txn.txn = NULL;
    return rc == CG_E_NOMEM ? rc : CG_E_IO;
}

void store_abort(struct store_txn **txn)
{
    if (*txn == NULL)
        return;
    mdb_txn_abort((*txn)->txn);
    (*txn)->txn = NULL;
    *txn = NULL;
}

int store_commit(struct store_txn **txn)
{
    struct store_txn *ending = *txn;
    int rc = ending->failed != CG_OK ? ending->failed : log_save(ending);
    if (rc != CG_OK) {
        store_abort(txn);
        return rc;
    }
    *txn = NULL;
    rc = store_error(mdb_txn_commit(ending->txn)); /* frees it in any case */
    ending->txn = NULL;
    if (rc == CG_OK) {
        ending->store->log = ending->log;
        atomic_fetch_add_explicit(&ending->store->commits, 1, memory_order_relaxed);
    }
    return rc;
}

static int check_put(const struct store *store, enum record_kind kind, size_t id_length,
                     const struct record *record)
{
    if (!kind_is_known(kind) ||
        (record->provenance != PROVENANCE_FETCH && record->provenance != PROVENANCE_EVENT))
        return CG_E_INVALID;
    if (id_length > CG_ID_BYTES_MAX || record->body_length > CG_RECORD_BYTES_MAX ||
        store->sequence ==
            VERSION_SEQUENCE_MAX) /* a million a second for twelve days; the next start goes on */
        return CG_E_LIMIT;
    return CG_OK;
}

int store_put(struct store_txn *txn, enum record_kind kind, const char *id, size_t id_length,
              struct record *record)
{
    struct store *store = txn->store;
    struct key key;
    int rc = txn->failed != CG_OK ? txn->failed : check_put(store, kind, id_length, record);
    if (rc != CG_OK)
        return rc;
    key_of_object(&key, kind, id, id_length);
    MDB_val name = key_value(&key), value = {.mv_size = RECORD_HEADER_BYTES + record->body_length};
    size_t overflow = room_overflow_pages(store, name.mv_size, value.mv_size);
    rc =
        room_take(txn, DB_RECORDS, 1, name.mv_size + (overflow == 0 ? value.mv_size : 0), overflow);
    if (rc != CG_OK)
        return rc;
    rc = txn_put(txn, DB_RECORDS, &name, &value, MDB_RESERVE);
    if (rc != CG_OK)
        return rc;
    if (record->version == 0)
        record->version = store->epoch << VERSION_SEQUENCE_BITS | ++store->sequence;
    record_encode(&name, record, value.mv_data);
    return CG_OK;
}

int store_txn_get(struct store_txn *txn, enum record_kind kind, const char *id, size_t id_length,
                  struct record *record)
{
    struct key key;
    if (id_length > CG_ID_BYTES_MAX)
        return CG_E_NOTFOUND;
    key_of_object(&key, kind, id, id_length);
    MDB_val name = key_value(&key), value;
    int rc = txn_get(txn, DB_RECORDS, &name, &value);
    if (rc != CG_OK)
        return rc;
    rc = record_decode(&name, &value, record);
    return store_corrupt(txn->store, rc, rc != CG_OK);
}

int store_delete(struct store_txn *txn, enum record_kind kind, const char *id, size_t id_length)
{
    struct key key;
    if (id_length > CG_ID_BYTES_MAX)
        return txn->failed;
    key_of_object(&key, kind, id, id_length);
    MDB_val name = key_value(&key);
    int rc = txn->failed != CG_OK ? txn->failed : room_to_delete(txn);
    return rc != CG_OK ? rc : txn_delete(txn, DB_RECORDS, &name);
}

/* ---- making room ---- */

struct sweep {
    struct store_txn *txn;
    MDB_cursor *cursor;
    int64_t fetched_before_ms;
    unsigned records_max, evicted;
};

static int sweep_is_over(const struct sweep *sweep)
{
    return sweep->evicted == sweep->records_max || room_to_delete(sweep->txn) != CG_OK;
}

/* A record that does not read back is of no use to anybody, whatever its time. */
static int sweep_wants(const struct sweep *sweep, const MDB_val *value)
{
    struct record record;
    return record_peek(value, &record) != CG_OK || record.fetched_at_ms < sweep->fetched_before_ms;
}

static int sweep_delete(struct sweep *sweep)
{
    int mdb_rc = mdb_cursor_del(sweep->cursor, 0);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    sweep->evicted++;
    room_note(sweep->txn, DB_RECORDS, 1);
    return MDB_SUCCESS;
}

/* From `from` (inclusive; NULL: the first) to `to` (exclusive; NULL: the last). Leaves the hand where it stops. */
static int sweep_range(struct sweep *sweep, struct key *from, const struct key *to)
{
    struct store *store = sweep->txn->store;
    MDB_val key, value, end;
    MDB_dbi records = store->cache.databases[DB_RECORDS];
    if (from != NULL)
        key = key_value(from);
    if (to != NULL)
        end = (MDB_val){.mv_size = to->length, .mv_data = (void *)to->bytes};
    int mdb_rc =
        mdb_cursor_get(sweep->cursor, &key, &value, from == NULL ? MDB_FIRST : MDB_SET_RANGE);
    for (; mdb_rc == MDB_SUCCESS; mdb_rc = mdb_cursor_get(sweep->cursor, &key, &value, MDB_NEXT)) {
        if (to != NULL && mdb_cmp(sweep->txn->txn, records, &key, &end) >= 0)
            break;
        if (sweep_is_over(sweep)) {
            store->hand.length = 0;
            key_append(&store->hand, key.mv_data,
                       key.mv_size < sizeof(store->hand.bytes) ? key.mv_size : 0);
            break;
        }
        if (sweep_wants(sweep, &value) && (mdb_rc = sweep_delete(sweep)) != MDB_SUCCESS)
            break;
    }
    return mdb_rc;
}

static int sweep_round(struct sweep *sweep)
{
    struct key start = sweep->txn->store->hand;
    int mdb_rc = sweep_range(sweep, start.length != 0 ? &start : NULL, NULL);
    if (mdb_rc == MDB_NOTFOUND) { /* came to the end: the hand goes on from the first */
        sweep->txn->store->hand.length = 0;
        if (start.length != 0)
            mdb_rc = sweep_range(sweep, NULL, &start);
    }
    return mdb_rc == MDB_NOTFOUND ? MDB_SUCCESS : mdb_rc;
}

int store_evict_oldest(struct store_txn *txn, int64_t fetched_before_ms, unsigned max_records,
                       unsigned *evicted)
{
    struct sweep sweep = {
        .txn = txn, .fetched_before_ms = fetched_before_ms, .records_max = max_records};
    *evicted = 0;
    if (txn->failed != CG_OK)
        return txn->failed;
    if (room_to_delete(txn) != CG_OK)
        return CG_E_FULL;
    int mdb_rc = mdb_cursor_open(txn->txn, txn->store->cache.databases[DB_RECORDS], &sweep.cursor);
    if (mdb_rc == MDB_SUCCESS) {
        mdb_rc = sweep_round(&sweep);
        mdb_cursor_close(sweep.cursor);
    }
    *evicted = sweep.evicted;
    return txn_result(txn, mdb_rc);
}
