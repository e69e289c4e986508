/*
 * Room in the cache environment. LMDB copies every page it changes, so deleting needs pages before it gives any back, and
 * a map that is full to the last page can never be emptied again. Therefore puts end early: they stop when the data fills
 * nine tenths of the map, or when a twentieth is all that can be allocated at the moment. Deleting may use that twentieth, up to a
 * last few pages with which the next transaction can still begin.
 *
 * LMDB does not tell what a transaction will need, so this is an estimate from above: each entry touched copies two pages, but
 * no page twice; entries grow the tree by one and a half times their size; large values are counted exactly. Pages that a
 * commit frees can be allocated again two commits later; until then the twentieth is what carries on.
 */
#include "cache/record.h"
#include "cache/store_private.h"
#include "cctgate/error.h"

#define RESERVE_PAGES_MIN   48  /* for deleting, when a twentieth of the map is less */
#define LIMIT_PAGES_MIN     64  /* kept out of what data may fill, when a tenth is less */
#define BASE_PAGES          24  /* roots, the free list, and one more transaction */
#define PAGES_TOUCHED       2   /* per entry */
#define FREED_PER_PAGE      128 /* of the free list; four times what fits */
#define PAGE_HEADER_BYTES   16
#define NODE_OVERHEAD_BYTES 10 /* node header and its offset */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t left(size_t have, size_t used)
{
    return have > used ? have - used : 0;
}

/* The free list is database 0: transaction that freed them -> count, page numbers. Only a reading transaction may look. */
static int add_free(MDB_txn *reading, uint64_t oldest, struct room *room)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int mdb_rc = mdb_cursor_open(reading, 0, &cursor);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    while ((mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        size_t freed_by, count;
        if (key.mv_size != sizeof(freed_by) || value.mv_size < sizeof(count))
            continue;
        memcpy(&freed_by, key.mv_data, sizeof(freed_by));
        memcpy(&count, value.mv_data, sizeof(count));
        room->free += count;
        if (freed_by < oldest)
            room->reclaimable += count;
    }
    mdb_cursor_close(cursor);
    return mdb_rc == MDB_NOTFOUND ? MDB_SUCCESS : mdb_rc;
}

int room_measure(MDB_env *env, MDB_txn *reading, uint64_t oldest, struct room *room)
{
    MDB_envinfo info;
    int mdb_rc = mdb_env_info(env, &info);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    *room = (struct room){.high_water = info.me_last_pgno + 1};
    return add_free(reading, oldest, room);
}

struct now {
    struct room room;
    int waits_for_commit; /* free pages that nobody but LMDB's own delay of one commit holds back */
};

static int measure_now(struct store *store, struct now *now)
{
    int mdb_rc = mdb_txn_renew(store->gauge);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    uint64_t newest = mdb_txn_id(store->gauge), oldest = readers_oldest(store, newest, NULL);
    mdb_rc = room_measure(store->cache.env, store->gauge, oldest, &now->room);
    now->waits_for_commit = oldest == newest && now->room.free > now->room.reclaimable;
    mdb_txn_reset(store->gauge);
    return mdb_rc;
}

static int count_pages(struct store_txn *txn)
{
    for (unsigned i = 0; i < CACHE_DATABASES; i++) {
        MDB_stat stat;
        int mdb_rc = mdb_stat(txn->txn, txn->store->cache.databases[i], &stat);
        if (mdb_rc != MDB_SUCCESS)
            return mdb_rc;
        txn->databases[i].pages_before = stat.ms_branch_pages + stat.ms_leaf_pages;
    }
    return MDB_SUCCESS;
}

static size_t reserve_pages(size_t map)
{
    return larger(map / 20, RESERVE_PAGES_MIN);
}

static size_t pages_at_hand(size_t map, const struct room *room)
{
    return left(map, room->high_water) + room->reclaimable;
}

/*
 * What the last commit freed comes free with the next that changes something, and an owner who is refused and ends the
 * transaction changes nothing: without this he would be refused for ever. The same when most of what is free waits: what is at
 * hand may be single pages then, and large values need several in one piece.
 */
static int room_is_short(size_t map, const struct room *room)
{
    size_t at_hand = pages_at_hand(map, room);
    return at_hand < 2 * reserve_pages(map) || room->free - room->reclaimable > at_hand;
}

void room_settle(struct store *store)
{
    struct now now;
    size_t map = store->cache.map_pages;
    if (measure_now(store, &now) == MDB_SUCCESS && now.waits_for_commit &&
        room_is_short(map, &now.room))
        environment_save_state(&store->cache,
                               &store->cache.state); /* when it fails, nothing is worse */
}

int room_prepare(struct store_txn *txn)
{
    struct now now;
    int mdb_rc = measure_now(txn->store, &now);
    if (mdb_rc == MDB_SUCCESS)
        mdb_rc = count_pages(txn);
    if (mdb_rc != MDB_SUCCESS)
        return store_error(mdb_rc);
    size_t map = txn->store->cache.map_pages, at_hand = pages_at_hand(map, &now.room);
    size_t data_max = map - smaller(map, larger(map / 10, LIMIT_PAGES_MIN));
    size_t data = left(now.room.high_water, now.room.free);
    txn->pages_for_puts = smaller(left(data_max, data), left(at_hand, reserve_pages(map)));
    txn->pages_for_deletes = left(at_hand, BASE_PAGES + at_hand / FREED_PER_PAGE);
    return CG_OK;
}

size_t room_overflow_pages(const struct store *store, size_t key_bytes, size_t value_bytes)
{
    size_t page = store->cache.page_bytes;
    if (key_bytes + value_bytes + NODE_OVERHEAD_BYTES <= (page - PAGE_HEADER_BYTES) / 2)
        return 0;
    return (PAGE_HEADER_BYTES - 1 + value_bytes) / page + 1;
}

static size_t spent(const struct store_txn *txn, size_t more_bytes)
{
    size_t pages = txn->overflow_pages;
    for (unsigned i = 0; i < CACHE_DATABASES; i++)
        pages += smaller(txn->databases[i].touched, txn->databases[i].pages_before);
    size_t bytes = txn->grown_bytes + more_bytes;
    return pages +
           (bytes + bytes / 2 + txn->store->cache.page_bytes - 1) / txn->store->cache.page_bytes;
}

int room_take(struct store_txn *txn, enum cache_database database, size_t entries, size_t bytes,
              size_t overflow_pages)
{
    bytes += entries * NODE_OVERHEAD_BYTES;
    size_t copies = entries * PAGES_TOUCHED;
    size_t uncopied = left(txn->databases[database].pages_before, txn->databases[database].touched);
    if (spent(txn, bytes) + smaller(copies, uncopied) + overflow_pages > txn->pages_for_puts)
        return CG_E_FULL;
    txn->databases[database].touched += copies;
    txn->grown_bytes += bytes;
    txn->overflow_pages += overflow_pages;
    return CG_OK;
}

int room_to_delete(const struct store_txn *txn)
{
    return spent(txn, 0) + PAGES_TOUCHED > txn->pages_for_deletes ? CG_E_FULL : CG_OK;
}

void room_note(struct store_txn *txn, enum cache_database database, size_t entries)
{
    txn->databases[database].touched += entries * PAGES_TOUCHED;
}
