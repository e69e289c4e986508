/* Users' names and numbers, and forgetting a user. Names are the keys of a database of their own; numbers are never reused. */
#include "cache/record.h"
#include "cache/store_private.h"
#include "cctgate/error.h"

#include <stdlib.h>

static int new_number(struct store_txn *txn, MDB_val *name, uint32_t *id)
{
    struct store *store = txn->store;
    if (store->next_user == UINT32_MAX)
        return CG_E_LIMIT;
    int rc = room_take(txn, DB_USERS, 1, name->mv_size + SEALED_HEADER_BYTES + sizeof(*id), 0);
    if (rc != CG_OK)
        return rc;
    uint32_t number = store->next_user;
    uint8_t sealed[SEALED_HEADER_BYTES + sizeof(number)];
    MDB_val value = {.mv_size = sizeof(sealed), .mv_data = sealed};
    sealed_encode(name, &number, sizeof(number), sealed);
    rc = txn_put(txn, DB_USERS, name, &value, 0);
    if (rc != CG_OK)
        return rc;
    /* The number is used up, whatever becomes of the transaction. */
    store->next_user = store->cache.state.next_user = number + 1;
    rc = txn_result(txn, environment_put_state(&store->cache, txn->txn, &store->cache.state));
    if (rc == CG_OK)
        *id = number;
    return rc;
}

int store_user_id(struct store_txn *txn, const char *user, uint32_t *id)
{
    size_t length = strlen(user);
    if (length == 0)
        return CG_E_INVALID;
    if (length > CG_ID_BYTES_MAX)
        return CG_E_LIMIT;
    MDB_val name = {.mv_size = length, .mv_data = (void *)user}, value;
    const void *content;
    int rc = txn_get(txn, DB_USERS, &name, &value);
    if (rc == CG_OK && sealed_decode(&name, &value, &content, &length) == CG_OK &&
        length == sizeof(*id)) {
        memcpy(id, content, sizeof(*id));
        return CG_OK;
    }
    if (rc == CG_OK) /* does not read back: nobody knows whose number it was */
        store_corrupt(txn->store, 0, 1);
    return rc == CG_OK || rc == CG_E_NOTFOUND ? new_number(txn, &name, id) : rc;
}

int store_rename_user(struct store_txn *txn, const char *from, const char *to)
{
    MDB_val old = {.mv_size = strlen(from), .mv_data = (void *)from}, value;
    MDB_val name = {.mv_size = strlen(to), .mv_data = (void *)to};
    const void *content;
    size_t length;
    uint32_t number;
    if (old.mv_size == 0 || old.mv_size > CG_ID_BYTES_MAX || name.mv_size == 0 ||
        name.mv_size > CG_ID_BYTES_MAX)
        return CG_E_INVALID;
    int rc = txn_get(txn, DB_USERS, &old, &value);
    if (rc != CG_OK)
        return rc;
    if (sealed_decode(&old, &value, &content, &length) != CG_OK || length != sizeof(number))
        return CG_E_CORRUPT;
    memcpy(&number, content, sizeof(number));
    uint8_t sealed[SEALED_HEADER_BYTES + sizeof(number)];
    value = (MDB_val){.mv_size = sizeof(sealed), .mv_data = sealed};
    sealed_encode(&name, &number, sizeof(number), sealed);
    rc = room_take(txn, DB_USERS, 1, name.mv_size + sizeof(sealed), 0);
    if (rc == CG_OK)
        rc = txn_delete(txn, DB_USERS, &old);
    return rc == CG_OK ? txn_put(txn, DB_USERS, &name, &value, 0) : rc;
}

typedef int (*wanted_fn)(const MDB_val *key, const MDB_val *value, uint32_t user);

static int is_record_of(const MDB_val *key, const MDB_val *value, uint32_t user)
{
    struct record record;
    (void)key;
    return record_peek(value, &record) != CG_OK || record.user == user;
}

static int is_name_of(const MDB_val *key, const MDB_val *value, uint32_t user)
{
    const void *content;
    size_t length;
    return sealed_decode(key, value, &content, &length) != CG_OK || length != sizeof(user) ||
           memcmp(content, &user, sizeof(user)) == 0;
}

static int delete_where(struct store_txn *txn, enum cache_database database, uint32_t user,
                        wanted_fn is_wanted)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc =
        txn_result(txn, mdb_cursor_open(txn->txn, txn->store->cache.databases[database], &cursor));
    if (rc != CG_OK)
        return rc;
    int mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (mdb_rc == MDB_SUCCESS) {
        if (is_wanted(&key, &value, user)) {
            mdb_rc = room_to_delete(txn) == CG_OK ? mdb_cursor_del(cursor, 0) : MDB_MAP_FULL;
            room_note(txn, database, 1);
        }
        if (mdb_rc == MDB_SUCCESS)
            mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return mdb_rc == MDB_NOTFOUND ? CG_OK : txn_result(txn, mdb_rc);
}

/*
 * Owner entries are taken away one after the other, each time looking for the first that is left: the walk is over when
 * there is none, and needs no memory.
 */
static int disown_all(struct store_txn *txn, uint32_t user)
{
    struct key prefix;
    key_of_owned(&prefix, user, 0, NULL, 0);
    MDB_cursor *cursor;
    int rc =
        txn_result(txn, mdb_cursor_open(txn->txn, txn->store->cache.databases[DB_OWNED], &cursor));
    if (rc != CG_OK)
        return rc;
    while (rc == CG_OK) {
        MDB_val key = {.mv_size = USER_BYTES, .mv_data = prefix.bytes}, value;
        rc = txn_result(txn, mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
        if (rc != CG_OK || !key_starts_with(&key, &prefix, USER_BYTES))
            break;
        struct key owned = {.length = 0};
        if (key.mv_size < OWNED_HEAD_BYTES || key.mv_size > sizeof(owned.bytes))
            break; /* not ours: no call could have written it */
        key_append(&owned, key.mv_data, key.mv_size);
        enum record_kind kind = owned.bytes[USER_BYTES];
        const char *id = (const char *)owned.bytes + OWNED_HEAD_BYTES;
        MDB_val name = key_value(&owned);
        rc = kind_has_owners(kind)
                 ? store_remove_owner(txn, kind, id, owned.length - OWNED_HEAD_BYTES, user)
                 : txn_delete(txn, DB_OWNED, &name);
    }
    mdb_cursor_close(cursor);
    return rc == CG_E_NOTFOUND ? CG_OK : rc;
}

int store_forget_user(struct store_txn *txn, uint32_t user)
{
    if (txn->failed != CG_OK)
        return txn->failed;
    int rc = disown_all(txn, user);
    if (rc == CG_OK)
        rc = delete_where(txn, DB_RECORDS, user, is_record_of);
    if (rc == CG_OK)
        rc = delete_where(txn, DB_USERS, user, is_name_of);
    if (rc != CG_OK && txn->failed == CG_OK)
        txn->failed = rc; /* half of it must not be committed */
    return rc;
}
