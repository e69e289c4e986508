#include "cache/record.h"
#include "cache/store_private.h"
#include "cctgate/error.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int store_reader_new(struct store_reader **reader, struct store *store)
{
    *reader = NULL;
    struct store_reader *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return CG_E_NOMEM;
    made->store = store;
    pthread_mutex_lock(&store->readers_lock);
    int rc = store->num_readers < store->readers_max
                 ? store_error(mdb_txn_begin(store->cache.env, NULL, MDB_RDONLY, &made->txn))
                 : CG_E_LIMIT;
    if (rc == CG_OK) {
        mdb_txn_reset(made->txn);
        made->next = store->readers;
        store->readers = made;
        store->num_readers++;
        *reader = made;
    } else {
        free(made);
    }
    pthread_mutex_unlock(&store->readers_lock);
    return rc;
}

void store_reader_free(struct store_reader **reader)
{
    struct store_reader *gone = *reader;
    *reader = NULL;
    if (gone == NULL)
        return;
    pthread_mutex_lock(&gone->store->readers_lock);
    struct store_reader **at = &gone->store->readers;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    gone->store->num_readers--;
    mdb_txn_abort(gone->txn);
    pthread_mutex_unlock(&gone->store->readers_lock);
    free(gone->users);
    free(gone);
}

uint64_t readers_oldest(const struct store *store, uint64_t newest, unsigned *reading)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&store->readers_lock;
    unsigned count = 0;
    pthread_mutex_lock(lock);
    for (struct store_reader *reader = store->readers; reader != NULL; reader = reader->next) {
        uint64_t snapshot = atomic_load_explicit(&reader->snapshot, memory_order_relaxed);
        count += snapshot != 0;
        if (snapshot != 0 && snapshot < newest)
            newest = snapshot;
    }
    pthread_mutex_unlock(lock);
    if (reading != NULL)
        *reading = count;
    return newest;
}

/*
 * LMDB gives a reader the number of the newest commit first, and the roots of the trees then. Where two commits come between, the roots
 * are later ones than the number says, or half of them are; what is remembered by the number (memo_recall) would be of another moment.
 */
static int has_its_roots(const struct store_reader *reader)
{
    MDB_envinfo info;
    return mdb_env_info(reader->store->cache.env, &info) == MDB_SUCCESS &&
           info.me_last_txnid == mdb_txn_id(reader->txn);
}

int store_read_begin(struct store_reader *reader)
{
    assert(atomic_load_explicit(&reader->snapshot, memory_order_relaxed) == 0);
    for (;;) {
        if (mdb_txn_renew(reader->txn) != MDB_SUCCESS)
            return CG_E_IO;
        if (has_its_roots(reader))
            break;
        mdb_txn_reset(reader->txn);
    }
    atomic_store_explicit(&reader->snapshot, mdb_txn_id(reader->txn), memory_order_relaxed);
    return CG_OK;
}

void store_read_end(struct store_reader *reader)
{
    atomic_store_explicit(&reader->snapshot, 0, memory_order_relaxed);
    mdb_txn_reset(reader->txn);
}

static int read_value(struct store_reader *reader, enum cache_database database, MDB_val *key,
                      MDB_val *value)
{
    int rc =
        store_error(mdb_get(reader->txn, reader->store->cache.databases[database], key, value));
    return rc == CG_OK || rc == CG_E_NOTFOUND ? rc : store_corrupt(reader->store, CG_E_CORRUPT, 1);
}

static struct memo *memo_of(struct store_reader *reader, enum cache_database database,
                            const MDB_val *key)
{
    const uint8_t *bytes = key->mv_data;
    uint32_t hash = 2166136261u ^ (uint32_t)database;
    for (size_t i = 0; i < key->mv_size; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return &reader->memo[(hash ^ hash >> 16) % MEMO_SLOTS];
}

static int memo_recall(struct store_reader *reader, enum cache_database database,
                       const MDB_val *key, MDB_val *value)
{
    const struct memo *memo = memo_of(reader, database, key);
    if (memo->snapshot != atomic_load_explicit(&reader->snapshot, memory_order_relaxed) ||
        memo->database != database || memo->length != key->mv_size ||
        memcmp(memo->key, key->mv_data, key->mv_size) != 0)
        return 0;
    *value = memo->value;
    return 1;
}

static void memo_keep(struct store_reader *reader, enum cache_database database, const MDB_val *key,
                      const MDB_val *value)
{
    struct memo *memo = memo_of(reader, database, key);
    if (key->mv_size > MEMO_KEY_BYTES)
        return;
    memo->snapshot = atomic_load_explicit(&reader->snapshot, memory_order_relaxed);
    memo->value = *value;
    memo->database = (uint8_t)database;
    memo->length = (uint8_t)key->mv_size;
    memcpy(memo->key, key->mv_data, key->mv_size);
}

int store_get(struct store_reader *reader, enum record_kind kind, const char *id, size_t id_length,
              struct record *record)
{
    struct key key;
    if (id_length > CG_ID_BYTES_MAX)
        return CG_E_NOTFOUND;
    key_of_object(&key, kind, id, id_length);
    MDB_val name = key_value(&key), value;
    if (memo_recall(reader, DB_RECORDS, &name, &value))
        return record_peek(&value, record);
    int rc = read_value(reader, DB_RECORDS, &name, &value);
    if (rc != CG_OK)
        return rc;
    if ((rc = record_decode(&name, &value, record)) == CG_OK)
        memo_keep(reader, DB_RECORDS, &name, &value);
    return store_corrupt(reader->store, rc, rc != CG_OK);
}

/* LMDB aligns values to two bytes only. */
static int align_users(struct store_reader *reader, const void *content, size_t count,
                       const uint32_t **users)
{
    if ((uintptr_t)content % _Alignof(uint32_t) == 0) {
        *users = content;
        return CG_OK;
    }
    if (count > reader->users_max) {
        size_t room = count < 16 ? 16 : count;
        uint32_t *grown = reallocarray(reader->users, room, sizeof(*grown));
        if (grown == NULL)
            return CG_E_NOMEM;
        reader->users = grown;
        reader->users_max = room;
    }
    memcpy(reader->users, content, count * sizeof(**users));
    *users = reader->users;
    return CG_OK;
}

int store_owners(struct store_reader *reader, enum record_kind kind, const char *id,
                 size_t id_length, const uint32_t **users, size_t *num_users)
{
    struct key key;
    const void *content;
    size_t length;
    if (id_length > CG_ID_BYTES_MAX || !kind_has_owners(kind))
        return CG_E_NOTFOUND;
    key_of_object(&key, kind, id, id_length);
    MDB_val name = key_value(&key), value;
    if (memo_recall(reader, DB_OWNERS, &name, &value)) { /* the content itself */
        *num_users = value.mv_size / sizeof(**users);
        return align_users(reader, value.mv_data, *num_users, users);
    }
    int rc = read_value(reader, DB_OWNERS, &name, &value);
    if (rc != CG_OK)
        return rc;
    if (sealed_decode(&name, &value, &content, &length) != CG_OK || length == 0 ||
        length % sizeof(**users) != 0)
        return store_corrupt(reader->store, CG_E_CORRUPT, 1);
    memo_keep(reader, DB_OWNERS, &name,
              &(MDB_val){.mv_data = (void *)(uintptr_t)content, .mv_size = length});
    *num_users = length / sizeof(**users);
    return align_users(reader, content, *num_users, users);
}

struct range {
    enum cache_database database;
    struct key from;      /* first key wanted, or the one after which it begins */
    size_t prefix_length; /* of `from`: what every key of the range begins with */
    int after;
};

/* An index entry that does not read back is counted and passed over: better unseen than shown to the wrong user. */
static int entry_is_sound(struct store_reader *reader, enum cache_database database,
                          const MDB_val *key, const MDB_val *value)
{
    const void *content;
    size_t length;
    if (database == DB_RECORDS)
        return 1;
    int sound = sealed_decode(key, value, &content, &length) == CG_OK;
    return store_corrupt(reader->store, sound, !sound);
}

static int walk_range(struct store_reader *reader, MDB_cursor *cursor, const struct range *range,
                      int (*on_id)(void *data, const char *id, size_t id_length), void *data)
{
    struct key from = range->from;
    MDB_val key = key_value(&from), value;
    int mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (mdb_rc == MDB_SUCCESS && range->after && key.mv_size == from.length &&
        key_starts_with(&key, &range->from, range->from.length))
        mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    for (; mdb_rc == MDB_SUCCESS && key_starts_with(&key, &range->from, range->prefix_length);
         mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        const char *id = (const char *)key.mv_data + range->prefix_length;
        if (entry_is_sound(reader, range->database, &key, &value) &&
            on_id(data, id, key.mv_size - range->prefix_length) != 0)
            break;
    }
    return mdb_rc == MDB_SUCCESS || mdb_rc == MDB_NOTFOUND ? CG_OK : CG_E_IO;
}

int store_walk(struct store_reader *reader, enum record_kind kind, uint32_t user, const char *after,
               size_t after_length, int (*on_id)(void *data, const char *id, size_t id_length),
               void *data)
{
    struct range range = {.database = kind_has_owners(kind) ? DB_OWNERS : DB_RECORDS,
                          .after = after != NULL};
    if (user != 0 && !kind_has_owners(kind))
        return CG_OK;
    /* What is longer than any id orders among them as its first CG_ID_BYTES_MAX bytes do. */
    size_t length = after == NULL                    ? 0
                    : after_length < CG_ID_BYTES_MAX ? after_length
                                                     : CG_ID_BYTES_MAX;
    if (user != 0) {
        range.database = DB_OWNED;
        key_of_owned(&range.from, user, kind, after, length);
        range.prefix_length = OWNED_HEAD_BYTES;
    } else {
        key_of_object(&range.from, kind, after, length);
        range.prefix_length = KIND_BYTES;
    }
    MDB_cursor *cursor;
    int mdb_rc =
        mdb_cursor_open(reader->txn, reader->store->cache.databases[range.database], &cursor);
    if (mdb_rc != MDB_SUCCESS)
        return mdb_rc == ENOMEM ? CG_E_NOMEM : CG_E_IO;
    int rc = walk_range(reader, cursor, &range, on_id, data);
    mdb_cursor_close(cursor);
    return rc;
}
