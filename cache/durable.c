/*
 * The durable environment's queue and its writer's thread. The thread takes all batches that have come and at most one question at a time,
 * so a question sees what was submitted before it, and keeps the batches after it waiting for no other. When nobody wants anything
 * it drops what is too much of the audit log, one bounded commit at a time.
 */
#include "cache/durable_private.h"
#include "cache/record.h"
#include "cctgate/error.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>

struct work {
    struct durable_batch *batches;
    struct durable_query *query;
};

/* ---- the queue ---- */

void durable_submit(struct durable *durable, struct durable_batch *batch, struct mailbox *reply_to,
                    void (*on_done)(struct message *message), void *data)
{
    batch->reply_to = on_done != NULL ? reply_to : NULL;
    batch->done->message.on_deliver = on_done;
    batch->done->data = data;
    batch->next = NULL;
    pthread_mutex_lock(&durable->lock);
    assert(!durable->stopping);
    *durable->last_batch = batch;
    durable->last_batch = &batch->next;
    pthread_cond_signal(&durable->wake);
    pthread_mutex_unlock(&durable->lock);
}

void durable_ask(struct durable *durable, struct durable_query *query)
{
    assert(query->limit != 0 && query->look_at != 0);
    query->message.next = NULL;
    pthread_mutex_lock(&durable->lock);
    assert(!durable->stopping);
    *durable->last_query = &query->message;
    durable->last_query = &query->message.next;
    pthread_cond_signal(&durable->wake);
    pthread_mutex_unlock(&durable->lock);
}

static struct durable_query *take_query(struct durable *durable)
{
    struct message *first = durable->first_query;
    if (first == NULL)
        return NULL;
    durable->first_query = first->next;
    if (first->next == NULL)
        durable->last_query = &durable->first_query;
    return (struct durable_query *)((char *)first - offsetof(struct durable_query, message));
}

/* Waits when there is nothing else to do. Returns 0 when it is over. */
static int take_work(struct durable *durable, int may_wait, struct work *work)
{
    pthread_mutex_lock(&durable->lock);
    while (may_wait && durable->first_batch == NULL && durable->first_query == NULL &&
           !durable->stopping)
        pthread_cond_wait(&durable->wake, &durable->lock);
    *work = (struct work){.batches = durable->first_batch, .query = take_query(durable)};
    durable->first_batch = NULL;
    durable->last_batch = &durable->first_batch;
    int goes_on = !durable->stopping || work->batches != NULL || work->query != NULL;
    pthread_mutex_unlock(&durable->lock);
    return goes_on;
}

/* ---- the thread ---- */

static void *run(void *data)
{
    struct durable *durable = data;
    struct work work;
    int is_over = durable_is_over(durable);
    pthread_setname_np(pthread_self(), "durable");
    while (take_work(durable, !is_over, &work)) {
        durable_write(durable, work.batches);
        if (work.query != NULL)
            audit_answer(durable, work.query);
        if (work.batches != NULL)
            is_over = durable_is_over(durable);
        else if (is_over) /* what cannot be dropped now is tried again after the next batch */
            is_over = durable_trim(durable) == CG_OK && durable_is_over(durable);
    }
    return NULL;
}

/* Signals are the main thread's. */
static int start_thread(struct durable *durable)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&durable->thread, NULL, run, durable);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? CG_E_NOMEM : CG_OK;
}

static void release(struct durable *durable)
{
    pthread_cond_destroy(&durable->wake);
    pthread_mutex_destroy(&durable->lock);
    free(durable->scratch);
    free(durable);
}

static struct durable *make(struct store *store, const struct durable_settings *settings)
{
    struct durable *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return NULL;
    made->store = store;
    made->max_audit_entries = settings->max_audit_entries;
    made->last_batch = &made->first_batch;
    made->last_query = &made->first_query;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->wake, NULL);
    made->scratch = malloc(AUDIT_HEAD_BYTES_MAX + CG_AUDIT_ENTRY_BYTES_MAX);
    if (made->scratch != NULL)
        return made;
    release(made);
    return NULL;
}

static int load(struct durable *durable, char *error, size_t error_size)
{
    int mdb_rc = audit_load(durable), rc = store_error(mdb_rc);
    atomic_store(&durable->audit_entries, durable->audit.entries);
    atomic_store(&durable->audit_last, durable->audit.last);
    if (rc == CG_OK)
        return CG_OK;
    snprintf(error, error_size, "cannot read %s/durable: %s", durable->store->directory,
             mdb_strerror(mdb_rc));
    return rc == CG_E_NOMEM || rc == CG_E_CORRUPT ? rc : CG_E_IO;
}

int durable_start(struct durable **durable, struct store *store,
                  const struct durable_settings *settings, char *error, size_t error_size)
{
    assert(settings->max_audit_entries != 0);
    *durable = NULL;
    struct durable *made = make(store, settings);
    if (made == NULL) {
        snprintf(error, error_size, "no memory");
        return CG_E_NOMEM;
    }
    int rc = load(made, error, error_size);
    if (rc == CG_OK && (rc = start_thread(made)) != CG_OK)
        snprintf(error, error_size, "the thread of the durable store cannot be started");
    if (rc == CG_OK)
        *durable = made;
    else
        release(made);
    return rc;
}

void durable_stop(struct durable **durable)
{
    struct durable *stopping = *durable;
    *durable = NULL;
    if (stopping == NULL)
        return;
    pthread_mutex_lock(&stopping->lock);
    stopping->stopping = 1;
    pthread_cond_signal(&stopping->wake);
    pthread_mutex_unlock(&stopping->lock);
    pthread_join(stopping->thread, NULL);
    release(stopping);
}

/* ---- any thread ---- */

static int walk_rows(struct durable *durable, MDB_cursor *cursor,
                     int (*on_row)(void *data, const void *key, size_t key_length,
                                   const void *value, size_t length),
                     void *data)
{
    MDB_val key, value;
    int mdb_rc;
    while ((mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        const void *content;
        size_t length;
        if (sealed_decode(&key, &value, &content, &length) != CG_OK)
            store_corrupt(durable->store, CG_E_CORRUPT, 1);
        else if (on_row(data, key.mv_data, key.mv_size, content, length) != 0)
            return MDB_SUCCESS;
    }
    return mdb_rc == MDB_NOTFOUND ? MDB_SUCCESS : mdb_rc;
}

int durable_walk(struct durable *durable, enum durable_table table,
                 int (*on_row)(void *data, const void *key, size_t key_length, const void *value,
                               size_t length),
                 void *data)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    assert(table >= DURABLE_LEASES && table < DURABLE_TABLES);
    int mdb_rc = mdb_txn_begin(durable->store->durable.env, NULL, MDB_RDONLY, &txn);
    if (mdb_rc == MDB_SUCCESS) {
        mdb_rc = mdb_cursor_open(txn, durable_table_database(durable->store, table), &cursor);
        if (mdb_rc == MDB_SUCCESS) {
            mdb_rc = walk_rows(durable, cursor, on_row, data);
            mdb_cursor_close(cursor);
        }
        mdb_txn_abort(txn);
    }
    int rc = store_error(mdb_rc);
    return rc == CG_OK || rc == CG_E_NOMEM ? rc : CG_E_IO;
}

void durable_get_stats(const struct durable *durable, struct durable_stats *stats)
{
    *stats = (struct durable_stats){
        .commits = atomic_load_explicit(&durable->commits, memory_order_relaxed),
        .batches = atomic_load_explicit(&durable->batches, memory_order_relaxed),
        .failures = atomic_load_explicit(&durable->failures, memory_order_relaxed),
        .audit_entries = atomic_load_explicit(&durable->audit_entries, memory_order_relaxed),
        .audit_last = atomic_load_explicit(&durable->audit_last, memory_order_relaxed)};
}
