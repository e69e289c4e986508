/*
 * From batches to commits. As many batches as there is room for go into one transaction. When one of them cannot be written, each gets
 * a transaction of its own, so that it fails alone; when the disk refuses the commit itself, it would refuse each of them.
 */
#include "cache/durable_private.h"
#include "cache/record.h"
#include "cctgate/error.h"
#include "cctgate/log.h"

#include <stdlib.h>

#define TRIM_STEP 64 /* audit entries dropped with a commit, besides one for each that it adds */

int durable_txn_begin(struct durable *durable, struct durable_txn *txn)
{
    *txn = (struct durable_txn){.durable = durable, .audit = durable->audit};
    return mdb_txn_begin(durable->store->durable.env, NULL, 0, &txn->txn);
}

void durable_txn_abort(struct durable_txn *txn)
{
    mdb_txn_abort(txn->txn);
    txn->txn = NULL;
}

int durable_txn_commit(struct durable_txn *txn)
{
    struct durable *durable = txn->durable;
    int mdb_rc = mdb_txn_commit(txn->txn); /* frees it in any case */
    txn->txn = NULL;
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc;
    durable->audit = txn->audit;
    atomic_store_explicit(&durable->audit_entries, txn->audit.entries, memory_order_relaxed);
    atomic_store_explicit(&durable->audit_last, txn->audit.last, memory_order_relaxed);
    atomic_fetch_add_explicit(&durable->commits, 1, memory_order_relaxed);
    return MDB_SUCCESS;
}

/* ---- one transaction ---- */

static int put_row(struct durable_txn *txn, struct change *change, MDB_val *key)
{
    MDB_val value = {.mv_size = SEALED_HEADER_BYTES + change->length};
    MDB_dbi database = durable_table_database(txn->durable->store, change->table);
    int mdb_rc = mdb_put(txn->txn, database, key, &value, MDB_RESERVE);
    if (mdb_rc == MDB_SUCCESS)
        sealed_encode(key, change->bytes + change->key_length, change->length, value.mv_data);
    return mdb_rc;
}

static int apply_change(struct durable_txn *txn, struct change *change)
{
    MDB_val key = change_key(change);
    int mdb_rc;
    switch (change->kind) {
    case CHANGE_PUT:
        return put_row(txn, change, &key);
    case CHANGE_DELETE:
        mdb_rc = mdb_del(txn->txn, durable_table_database(txn->durable->store, change->table), &key,
                         NULL);
        return mdb_rc == MDB_NOTFOUND ? MDB_SUCCESS : mdb_rc;
    case CHANGE_APPEND:
        return audit_append(txn, change->bytes, change->length);
    }
    return MDB_SUCCESS;
}

static int apply_batches(struct durable_txn *txn, struct durable_batch *batches)
{
    for (struct durable_batch *batch = batches; batch != NULL; batch = batch->next) {
        for (struct change *change = batch->first; change != NULL; change = change->next) {
            int mdb_rc = apply_change(txn, change);
            if (mdb_rc != MDB_SUCCESS)
                return mdb_rc;
        }
    }
    return MDB_SUCCESS;
}

static int trim_with(struct durable_txn *txn, size_t pages)
{
    const struct durable *durable = txn->durable;
    uint64_t entries = txn->audit.entries;
    if (entries <= durable->max_audit_entries)
        return MDB_SUCCESS;
    uint64_t over = entries - durable->max_audit_entries;
    uint64_t most = txn->audit.last - durable->audit.last + TRIM_STEP;
    return audit_trim(txn, over < most ? over : most, pages);
}

/* *each_alone: whether it may go better one by one. */
static int commit_batches(struct durable *durable, struct durable_batch *batches, int *each_alone)
{
    struct durable_need need = {0};
    struct durable_room room;
    struct durable_txn txn;
    *each_alone = 1;
    for (const struct durable_batch *batch = batches; batch != NULL; batch = batch->next)
        durable_need_add(durable, &need, batch);
    int mdb_rc = durable_room_measure(durable, &room);
    if (mdb_rc == MDB_SUCCESS)
        mdb_rc = durable_txn_begin(durable, &txn);
    if (mdb_rc != MDB_SUCCESS)
        return store_error(mdb_rc);
    mdb_rc = apply_batches(&txn, batches);
    if (mdb_rc == MDB_SUCCESS)
        mdb_rc = trim_with(&txn, durable_room_left(durable, &room, &need));
    if (mdb_rc == MDB_SUCCESS)
        mdb_rc = audit_save(&txn);
    if (mdb_rc != MDB_SUCCESS) {
        durable_txn_abort(&txn);
        return store_error(mdb_rc);
    }
    int rc = store_error(durable_txn_commit(&txn));
    *each_alone = rc == CG_E_FULL;
    return rc;
}

/* ---- outcomes ---- */

static int outcome_of(int rc)
{
    return rc == CG_OK || rc == CG_E_FULL || rc == CG_E_LIMIT ? rc : CG_E_IO;
}

static void tell(struct durable *durable, struct durable_batch *batch, int rc)
{
    struct durable_done *done = batch->done;
    struct mailbox *reply_to = batch->reply_to;
    atomic_fetch_add_explicit(rc == CG_OK ? &durable->batches : &durable->failures, 1,
                              memory_order_relaxed);
    if (rc != CG_OK)
        log_write(LOG_LEVEL_ERROR, "durableWriteFailed",
                  "What must not be lost could not be written", LOG_S("error", cg_error_name(rc)));
    done->rc = outcome_of(rc);
    if (reply_to != NULL)
        batch->done = NULL; /* the receiver's */
    durable_batch_free(&batch);
    if (reply_to != NULL)
        mailbox_send(reply_to, &done->message);
}

static void tell_all(struct durable *durable, struct durable_batch *batches, int rc)
{
    while (batches != NULL) {
        struct durable_batch *batch = batches;
        batches = batch->next;
        tell(durable, batch, rc);
    }
}

/* ---- groups ---- */

/* When LMDB finds no room where there should be some, what is there may be in pieces: it is given some more. */
static int commit_alone(struct durable *durable, struct durable_batch *batch)
{
    int ignored, rc = commit_batches(durable, batch, &ignored);
    if (rc == CG_E_FULL && durable->audit.entries != 0 && durable_trim(durable) == CG_OK)
        rc = commit_batches(durable, batch, &ignored);
    return rc;
}

static void commit_group(struct durable *durable, struct durable_batch *group)
{
    int each_alone, rc = commit_batches(durable, group, &each_alone);
    if (rc == CG_OK || !each_alone) {
        tell_all(durable, group, rc);
        return;
    }
    while (group != NULL) {
        struct durable_batch *batch = group;
        group = batch->next;
        batch->next = NULL;
        tell(durable, batch, commit_alone(durable, batch));
    }
}

/* Cuts off the batches from the first that there is room for together; none is too large in itself. */
static struct durable_batch *take_group(struct durable *durable, struct durable_batch **batches)
{
    struct durable_need need = {0};
    struct durable_room room;
    struct durable_batch *group = *batches, **end = batches;
    if (durable_room_measure(durable, &room) != MDB_SUCCESS) {
        *batches = NULL;
        return group; /* the commit will say what is wrong */
    }
    while (*end != NULL && (*end)->rc == CG_OK) {
        durable_need_add(durable, &need, *end);
        if (!durable_room_is_enough(durable, &room, &need))
            break;
        end = &(*end)->next;
    }
    if (end == batches)
        return NULL;
    *batches = *end;
    *end = NULL;
    return group;
}

/* The first batch does not fit, or will never: makes room for it, or ends it. */
static void deal_with_first(struct durable *durable, struct durable_batch **batches)
{
    struct durable_batch *first = *batches;
    struct durable_need need = {0};
    int rc = first->rc;
    if (rc == CG_OK) {
        durable_need_add(durable, &need, first);
        rc = durable_room_make(durable, &need);
    }
    if (rc == CG_OK)
        return;
    *batches = first->next;
    tell(durable, first, rc);
}

void durable_write(struct durable *durable, struct durable_batch *batches)
{
    while (batches != NULL) {
        struct durable_batch *group = take_group(durable, &batches);
        if (group != NULL)
            commit_group(durable, group);
        else
            deal_with_first(durable, &batches);
    }
}
