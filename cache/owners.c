/*
 * Who owns what, in two directions that are always written together:
 *   owners   kind, id -> the users, ascending         (may this user see that object?)
 *   owned    user, kind, id -> nothing                (what does this user own?)
 * Each value is sealed with its key. The second direction can rebuild a value of the first that does not read back.
 */
#include "cache/record.h"
#include "cache/store_private.h"
#include "cctgate/error.h"

#include <stdlib.h>

struct users {
    uint32_t *items; /* room for one more than `count` */
    size_t count;
};

static size_t users_position(const struct users *users, uint32_t user)
{
    size_t low = 0, high = users->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (users->items[middle] < user)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int users_hold(const struct users *users, size_t position, uint32_t user)
{
    return position < users->count && users->items[position] == user;
}

static int users_reserve(struct users *users, size_t count)
{
    users->items = reallocarray(NULL, count + 1, sizeof(*users->items));
    return users->items == NULL ? CG_E_NOMEM : CG_OK;
}

/* For an entry that does not read back: asks the other direction about every user there ever was. */
static int users_rebuild(struct store_txn *txn, const MDB_val *name, struct users *users)
{
    uint32_t end = txn->store->next_user;
    int rc = users_reserve(users, end);
    store_corrupt(txn->store, 0, 1);
    for (uint32_t user = 1; rc == CG_OK && user < end; user++) {
        const uint8_t *bytes = name->mv_data;
        struct key key;
        key_of_owned(&key, user, bytes[0], bytes + KIND_BYTES, name->mv_size - KIND_BYTES);
        MDB_val owned = key_value(&key), value;
        rc = txn_get(txn, DB_OWNED, &owned, &value);
        if (rc == CG_OK)
            users->items[users->count++] = user;
        else if (rc == CG_E_NOTFOUND)
            rc = CG_OK;
    }
    return rc;
}

/* The owners now, none when there is no entry. users->items is the caller's to free in any case. */
static int users_load(struct store_txn *txn, MDB_val *name, struct users *users)
{
    MDB_val value;
    const void *content;
    size_t length;
    *users = (struct users){.items = NULL};
    int rc = txn_get(txn, DB_OWNERS, name, &value);
    if (rc == CG_E_NOTFOUND)
        return users_reserve(users, 0);
    if (rc != CG_OK)
        return rc;
    if (sealed_decode(name, &value, &content, &length) != CG_OK ||
        length % sizeof(*users->items) != 0)
        return users_rebuild(txn, name, users);
    rc = users_reserve(users, length / sizeof(*users->items));
    if (rc == CG_OK) {
        users->count = length / sizeof(*users->items);
        memcpy(users->items, content, length);
    }
    return rc;
}

static int users_save(struct store_txn *txn, MDB_val *name, const struct users *users)
{
    size_t length = users->count * sizeof(*users->items);
    MDB_val value = {.mv_size = SEALED_HEADER_BYTES + length};
    if (users->count == 0)
        return txn_delete(txn, DB_OWNERS, name);
    int rc = txn_put(txn, DB_OWNERS, name, &value, MDB_RESERVE);
    if (rc == CG_OK)
        sealed_encode(name, users->items, length, value.mv_data);
    return rc;
}

static int owned_put(struct store_txn *txn, struct key *key)
{
    uint8_t seal[SEALED_HEADER_BYTES];
    MDB_val name = key_value(key), value = {.mv_size = sizeof(seal), .mv_data = seal};
    sealed_encode(&name, NULL, 0, seal);
    return txn_put(txn, DB_OWNED, &name, &value, 0);
}

/* What adding an owner to an object with `count` owners may take. */
static int take_room(struct store_txn *txn, size_t id_length, size_t count)
{
    size_t key = KIND_BYTES + id_length,
           value = SEALED_HEADER_BYTES + (count + 1) * sizeof(uint32_t);
    size_t overflow = room_overflow_pages(txn->store, key, value);
    int rc = room_take(txn, DB_OWNERS, 1, key + (overflow == 0 ? value : 0), overflow);
    return rc != CG_OK
               ? rc
               : room_take(txn, DB_OWNED, 1, OWNED_HEAD_BYTES + id_length + SEALED_HEADER_BYTES, 0);
}

static int add_to(struct store_txn *txn, MDB_val *name, struct users *users, uint32_t user,
                  struct key *owned)
{
    size_t at = users_position(users, user);
    if (users_hold(users, at, user))
        return CG_OK;
    int rc = take_room(txn, name->mv_size - KIND_BYTES, users->count);
    if (rc != CG_OK)
        return rc;
    memmove(users->items + at + 1, users->items + at, (users->count - at) * sizeof(*users->items));
    users->items[at] = user;
    users->count++;
    rc = users_save(txn, name, users);
    return rc != CG_OK ? rc : owned_put(txn, owned);
}

static int remove_from(struct store_txn *txn, MDB_val *name, struct users *users, uint32_t user,
                       struct key *owned)
{
    size_t at = users_position(users, user);
    MDB_val owned_name = key_value(owned);
    int rc = CG_OK;
    if (users_hold(users, at, user)) {
        users->count--;
        memmove(users->items + at, users->items + at + 1,
                (users->count - at) * sizeof(*users->items));
        rc = users_save(txn, name, users);
        room_note(txn, DB_OWNERS, 1);
    }
    return rc != CG_OK ? rc : txn_delete(txn, DB_OWNED, &owned_name);
}

static int change_owner(struct store_txn *txn, enum record_kind kind, const char *id,
                        size_t id_length, uint32_t user, int add)
{
    struct key key, owned;
    struct users users;
    key_of_object(&key, kind, id, id_length);
    key_of_owned(&owned, user, kind, id, id_length);
    MDB_val name = key_value(&key);
    int rc = users_load(txn, &name, &users);
    if (rc == CG_OK)
        rc = (add ? add_to : remove_from)(txn, &name, &users, user, &owned);
    free(users.items);
    return rc;
}

static int check_owner(const struct store_txn *txn, enum record_kind kind, size_t id_length,
                       uint32_t user)
{
    if (txn->failed != CG_OK)
        return txn->failed;
    if (!kind_has_owners(kind) || user == 0)
        return CG_E_INVALID;
    return id_length > CG_ID_BYTES_MAX ? CG_E_LIMIT : CG_OK;
}

int store_add_owner(struct store_txn *txn, enum record_kind kind, const char *id, size_t id_length,
                    uint32_t user)
{
    int rc = check_owner(txn, kind, id_length, user);
    return rc != CG_OK ? rc : change_owner(txn, kind, id, id_length, user, 1);
}

int store_remove_owner(struct store_txn *txn, enum record_kind kind, const char *id,
                       size_t id_length, uint32_t user)
{
    int rc = check_owner(txn, kind, id_length, user);
    if (rc == CG_OK)
        rc = room_to_delete(txn);
    return rc != CG_OK ? rc : change_owner(txn, kind, id, id_length, user, 0);
}

/* ---- a whole list ---- */

struct id {
    const char *bytes;
    size_t length;
};

struct ids {
    struct id *items;
    size_t count, max;
};

static int id_order(const void *a, const void *b)
{
    const struct id *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, x->length < y->length ? x->length : y->length);
    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

static int ids_add(struct ids *ids, struct id id)
{
    if (ids->count == ids->max) {
        size_t max = ids->max == 0 ? 64 : ids->max * 2;
        struct id *grown = reallocarray(ids->items, max, sizeof(*grown));
        if (grown == NULL)
            return CG_E_NOMEM;
        ids->items = grown;
        ids->max = max;
    }
    ids->items[ids->count++] = id;
    return CG_OK;
}

/* Sorted; one that comes twice is added twice, which changes nothing. */
static int ids_wanted(struct ids *wanted, const char *const *texts, size_t count)
{
    int rc = CG_OK;
    for (size_t i = 0; rc == CG_OK && i < count; i++) {
        struct id id = {.bytes = texts[i], .length = strlen(texts[i])};
        rc = id.length > CG_ID_BYTES_MAX ? CG_E_LIMIT : ids_add(wanted, id);
    }
    if (rc == CG_OK && wanted->count != 0)
        qsort(wanted->items, wanted->count, sizeof(*wanted->items), id_order);
    return rc;
}

struct difference {
    struct ids missing; /* wanted, not owned; bytes are the caller's */
    struct ids surplus; /* owned, not wanted; copies */
};

static int surplus_add(struct difference *difference, const struct id *id)
{
    char *copy = malloc(id->length + 1);
    if (copy == NULL)
        return CG_E_NOMEM;
    memcpy(copy, id->bytes, id->length);
    int rc = ids_add(&difference->surplus, (struct id){.bytes = copy, .length = id->length});
    if (rc != CG_OK)
        free(copy);
    return rc;
}

static void difference_release(struct difference *difference)
{
    for (size_t i = 0; i < difference->surplus.count; i++)
        free((char *)difference->surplus.items[i].bytes);
    free(difference->surplus.items);
    free(difference->missing.items);
}

/*
 * Goes through what is owned and what is wanted side by side; both ascend. An entry whose seal is broken counts as missing, so that it
 * is written again, but only after it was taken away.
 */
static int difference_step(struct difference *difference, const struct ids *wanted, size_t *next,
                           const struct id *owned, int sound)
{
    int rc = CG_OK;
    while (rc == CG_OK && *next < wanted->count && id_order(&wanted->items[*next], owned) < 0)
        rc = ids_add(&difference->missing, wanted->items[(*next)++]);
    if (rc != CG_OK)
        return rc;
    if (sound && *next < wanted->count && id_order(&wanted->items[*next], owned) == 0) {
        (*next)++;
        return CG_OK;
    }
    return surplus_add(difference, owned);
}

static int difference_walk(struct store_txn *txn, MDB_cursor *cursor, struct key *prefix,
                           const struct ids *wanted, struct difference *difference)
{
    size_t next = 0;
    MDB_val key = key_value(prefix), value;
    int rc = CG_OK, mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == CG_OK && mdb_rc == MDB_SUCCESS && key_starts_with(&key, prefix, prefix->length)) {
        const void *content;
        size_t length;
        struct id owned = {.bytes = (const char *)key.mv_data + OWNED_HEAD_BYTES,
                           .length = key.mv_size - OWNED_HEAD_BYTES};
        int sound = sealed_decode(&key, &value, &content, &length) == CG_OK;
        if (owned.length <= CG_ID_BYTES_MAX) /* else not ours: no call could have written it */
            rc = difference_step(difference, wanted, &next, &owned, sound);
        mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (rc == CG_OK && mdb_rc != MDB_SUCCESS && mdb_rc != MDB_NOTFOUND)
        rc = txn_result(txn, mdb_rc);
    while (rc == CG_OK && next < wanted->count)
        rc = ids_add(&difference->missing, wanted->items[next++]);
    return rc;
}

static int difference_find(struct store_txn *txn, enum record_kind kind, uint32_t user,
                           const struct ids *wanted, struct difference *difference)
{
    struct key prefix;
    MDB_cursor *cursor;
    key_of_owned(&prefix, user, kind, NULL, 0);
    int rc =
        txn_result(txn, mdb_cursor_open(txn->txn, txn->store->cache.databases[DB_OWNED], &cursor));
    if (rc != CG_OK)
        return rc;
    rc = difference_walk(txn, cursor, &prefix, wanted, difference);
    mdb_cursor_close(cursor);
    return rc;
}

/* Whether all that is missing can be added, before the first of it is. Objects with many owners are counted as they come. */
static int difference_fits(struct store_txn *txn, const struct difference *difference)
{
    struct store_txn probe = *txn;
    int rc = CG_OK;
    for (size_t i = 0; rc == CG_OK && i < difference->missing.count; i++)
        rc = take_room(&probe, difference->missing.items[i].length, 0);
    return rc;
}

static int change_all(struct store_txn *txn, enum record_kind kind, uint32_t user,
                      const struct ids *ids, int add)
{
    int rc = CG_OK;
    for (size_t i = 0; rc == CG_OK && i < ids->count; i++) {
        rc = add ? CG_OK : room_to_delete(txn);
        if (rc == CG_OK)
            rc = change_owner(txn, kind, ids->items[i].bytes, ids->items[i].length, user, add);
    }
    return rc;
}

/* Half a list must never be committed: what fails after the first change loses the transaction. */
static int difference_apply(struct store_txn *txn, enum record_kind kind, uint32_t user,
                            const struct difference *difference)
{
    int rc = difference_fits(txn, difference);
    if (rc != CG_OK)
        return rc;
    rc = change_all(txn, kind, user, &difference->surplus, 0);
    if (rc == CG_OK)
        rc = change_all(txn, kind, user, &difference->missing, 1);
    if (rc != CG_OK && txn->failed == CG_OK)
        txn->failed = rc;
    return rc;
}

int store_set_owned(struct store_txn *txn, enum record_kind kind, uint32_t user,
                    const char *const *ids, size_t num_ids)
{
    struct ids wanted = {.items = NULL};
    struct difference difference = {.missing = {.items = NULL}};
    int rc = check_owner(txn, kind, 0, user);
    if (rc == CG_OK)
        rc = ids_wanted(&wanted, ids, num_ids);
    if (rc == CG_OK)
        rc = difference_find(txn, kind, user, &wanted, &difference);
    if (rc == CG_OK)
        rc = difference_apply(txn, kind, user, &difference);
    difference_release(&difference);
    free(wanted.items);
    return rc;
}
