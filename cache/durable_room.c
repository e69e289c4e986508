/*
 * Room in the durable environment; room.c says why there must be some, and how LMDB goes about it. What gives way is the audit log, from
 * its oldest entry: little by little when the map is seven eighths as full as it may be, and as much as it takes when there is no room
 * for a batch. What is left for that in any case is a reserve, which a batch that puts no row may use as well, so that leases
 * can end in a map that is full of leases.
 *
 * Whoever walks a table keeps pages from being used again, which is not reckoned with here: LMDB notices, and the batch is refused.
 */
#include "cache/durable_private.h"
#include "cache/record.h"
#include "cctgate/error.h"

#define RESERVE_PAGES_MIN   48
#define LIMIT_PAGES_MIN     64
#define BASE_PAGES          24 /* roots, the free list, and one more transaction */
#define PAGES_TOUCHED       2  /* by a row; what is above them is among BASE_PAGES */
#define EDGE_PAGES          8  /* of the audit log's tree, and its last number */
#define FREED_PER_PAGE      128
#define PAGE_HEADER_BYTES   16
#define NODE_OVERHEAD_BYTES 10
#define TRIM_STEP           1024 /* entries in one commit */
#define TRIM_PAGES_MIN      16
#define SETTLE_COMMITS      2 /* after which what was free comes free */

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

static size_t data_max(size_t map)
{
    return map - smaller(map, larger(map / 10, LIMIT_PAGES_MIN));
}

static size_t reserve_pages(size_t map)
{
    return larger(map / 20, RESERVE_PAGES_MIN);
}

/* ---- what is needed ---- */

static void add_value(struct durable_need *need, size_t page, size_t key_bytes, size_t value_bytes)
{
    need->grown_bytes += NODE_OVERHEAD_BYTES + key_bytes;
    if (key_bytes + value_bytes + NODE_OVERHEAD_BYTES <= (page - PAGE_HEADER_BYTES) / 2)
        need->grown_bytes += value_bytes;
    else
        need->overflow_pages += (PAGE_HEADER_BYTES - 1 + value_bytes) / page + 1;
}

void durable_need_add(const struct durable *durable, struct durable_need *need,
                      const struct durable_batch *batch)
{
    size_t page = durable->store->durable.page_bytes;
    for (const struct change *change = batch->first; change != NULL; change = change->next) {
        if (change->kind == CHANGE_APPEND) {
            add_value(need, page, sizeof(uint64_t),
                      ENTRY_HEADER_BYTES + AUDIT_HEAD_BYTES_MAX + change->length);
            need->appends = 1;
            continue;
        }
        need->touched += PAGES_TOUCHED;
        if (change->kind == CHANGE_PUT) {
            add_value(need, page, change->key_length, SEALED_HEADER_BYTES + change->length);
            need->puts = 1;
        }
    }
}

static size_t growth_pages(const struct durable *durable, const struct durable_need *need)
{
    size_t page = durable->store->durable.page_bytes;
    return need->overflow_pages + (need->grown_bytes + need->grown_bytes / 2 + page - 1) / page;
}

static size_t needed_pages(const struct durable *durable, const struct durable_room *room,
                           const struct durable_need *need)
{
    return smaller(need->touched, room->tables) + (need->appends ? EDGE_PAGES : 0) +
           growth_pages(durable, need);
}

/* ---- what is there ---- */

static int count_pages(struct durable *durable, MDB_txn *reading, struct durable_room *room)
{
    for (unsigned i = 0; i < DURABLE_DATABASES; i++) {
        MDB_stat stat;
        int mdb_rc = mdb_stat(reading, durable->store->durable.databases[i], &stat);
        if (mdb_rc != MDB_SUCCESS)
            return mdb_rc;
        if (i == DURABLE_DB_AUDIT)
            room->audit = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
        else
            room->tables += stat.ms_branch_pages + stat.ms_leaf_pages;
    }
    return MDB_SUCCESS;
}

int durable_room_measure(struct durable *durable, struct durable_room *room)
{
    const struct environment *environment = &durable->store->durable;
    MDB_txn *reading;
    struct room pages;
    *room = (struct durable_room){.map = environment->map_pages};
    int mdb_rc = mdb_txn_begin(environment->env, NULL, MDB_RDONLY, &reading);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    mdb_rc = room_measure(environment->env, reading, mdb_txn_id(reading), &pages);
    if (mdb_rc == MDB_SUCCESS)
        mdb_rc = count_pages(durable, reading, room);
    mdb_txn_abort(reading);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    room->data = left(pages.high_water, pages.free);
    room->at_hand = left(room->map, pages.high_water) + pages.reclaimable;
    room->waiting = left(pages.free, pages.reclaimable);
    return MDB_SUCCESS;
}

static size_t base_pages(const struct durable_room *room)
{
    return BASE_PAGES + room->at_hand / FREED_PER_PAGE;
}

int durable_room_is_enough(const struct durable *durable, const struct durable_room *room,
                           const struct durable_need *need)
{
    size_t pages = needed_pages(durable, room, need);
    if (!need->puts)
        return pages + base_pages(room) <= room->at_hand;
    return pages + larger(reserve_pages(room->map), base_pages(room)) <= room->at_hand &&
           room->data + growth_pages(durable, need) <= data_max(room->map);
}

size_t durable_room_left(const struct durable *durable, const struct durable_room *room,
                         const struct durable_need *need)
{
    return left(room->at_hand, needed_pages(durable, room, need) + base_pages(room));
}

/* ---- making room ---- */

static int settle(struct durable *durable)
{
    struct environment *environment = &durable->store->durable;
    return environment_save_state(environment, &environment->state);
}

int durable_is_over(struct durable *durable)
{
    struct durable_room room;
    if (durable->audit.entries == 0)
        return 0;
    if (durable->audit.entries > durable->max_audit_entries)
        return 1;
    return durable_room_measure(durable, &room) == MDB_SUCCESS &&
           room.data > data_max(room.map) - data_max(room.map) / 8;
}

/* What is over the bound, or any when it is for room. */
static uint64_t step_of(const struct durable *durable)
{
    uint64_t entries = durable->audit.entries, most = durable->max_audit_entries;
    return entries > most && entries - most < TRIM_STEP ? entries - most : TRIM_STEP;
}

static int trim_within(struct durable *durable, size_t pages)
{
    struct durable_txn txn;
    int mdb_rc = durable_txn_begin(durable, &txn);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    mdb_rc = audit_trim(&txn, step_of(durable), pages);
    if (mdb_rc == MDB_SUCCESS)
        return durable_txn_commit(&txn);
    durable_txn_abort(&txn);
    return mdb_rc;
}

int durable_trim(struct durable *durable)
{
    static const struct durable_need nothing;
    struct durable_room room;
    uint64_t entries = durable->audit.entries;
    int mdb_rc = durable_room_measure(durable, &room);
    for (unsigned i = 0; i < SETTLE_COMMITS && mdb_rc == MDB_SUCCESS && room.waiting != 0 &&
                         durable_room_left(durable, &room, &nothing) < TRIM_PAGES_MIN;
         i++) {
        mdb_rc = settle(durable);
        if (mdb_rc == MDB_SUCCESS)
            mdb_rc = durable_room_measure(durable, &room);
    }
    if (mdb_rc == MDB_SUCCESS)
        mdb_rc = trim_within(durable, durable_room_left(durable, &room, &nothing));
    if (mdb_rc != MDB_SUCCESS)
        return store_error(mdb_rc);
    return durable->audit.entries < entries ? CG_OK : CG_E_FULL;
}

/* Whether there would be room without an audit log. */
static int is_hopeless(const struct durable *durable, const struct durable_room *room,
                       const struct durable_need *need)
{
    struct durable_room best = *room;
    best.data -= smaller(room->audit, room->data);
    best.at_hand += room->waiting + room->audit;
    return !durable_room_is_enough(durable, &best, need);
}

int durable_room_make(struct durable *durable, const struct durable_need *need)
{
    struct durable_room room;
    unsigned settled = 0;
    for (;;) {
        int mdb_rc = durable_room_measure(durable, &room), rc = CG_OK;
        if (mdb_rc != MDB_SUCCESS)
            return store_error(mdb_rc);
        if (durable_room_is_enough(durable, &room, need))
            return CG_OK;
        if (is_hopeless(durable, &room, need))
            return CG_E_FULL;
        if (room.waiting != 0 && settled++ < SETTLE_COMMITS) {
            rc = store_error(settle(durable));
        } else {
            rc = durable->audit.entries != 0 ? durable_trim(durable) : CG_E_FULL;
            settled = 0;
        }
        if (rc != CG_OK)
            return rc;
    }
}
