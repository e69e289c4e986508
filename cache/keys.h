/*
 * Keys of the cache environment. LMDB orders them as bytes, so numbers are written with the highest byte first:
 *   records, owners   kind (1), id
 *   owned             user (4), kind (1), id
 *   log               number (8)
 */
#ifndef CCTGATE_CACHE_KEYS_H
#define CCTGATE_CACHE_KEYS_H

#include "cctgate/limits.h"
#include "cctgate/store.h"

#include <lmdb.h>
#include <string.h>

#define KIND_BYTES       1
#define USER_BYTES       4
#define OWNED_HEAD_BYTES (USER_BYTES + KIND_BYTES)

struct key {
    size_t length;
    uint8_t bytes[OWNED_HEAD_BYTES + CG_ID_BYTES_MAX];
};

_Static_assert(OWNED_HEAD_BYTES + CG_ID_BYTES_MAX <= CG_KEY_BYTES_MAX && CG_KEY_BYTES_MAX <= 511,
               "keys must fit into what LMDB takes");

/* `length` is at most CG_ID_BYTES_MAX, `id` may be NULL when it is 0. */
static inline void key_append(struct key *key, const void *id, size_t length)
{
    if (length != 0)
        memcpy(key->bytes + key->length, id, length);
    key->length += length;
}

static inline void key_of_object(struct key *key, enum record_kind kind, const void *id,
                                 size_t length)
{
    key->bytes[0] = (uint8_t)kind;
    key->length = KIND_BYTES;
    key_append(key, id, length);
}

static inline void key_of_owned(struct key *key, uint32_t user, enum record_kind kind,
                                const void *id, size_t length)
{
    for (unsigned i = 0; i < USER_BYTES; i++)
        key->bytes[i] = (uint8_t)(user >> (24 - 8 * i));
    key->bytes[USER_BYTES] = (uint8_t)kind;
    key->length = OWNED_HEAD_BYTES;
    key_append(key, id, length);
}

static inline void key_of_entry(struct key *key, uint64_t number)
{
    for (unsigned i = 0; i < sizeof(number); i++)
        key->bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    key->length = sizeof(number);
}

static inline MDB_val key_value(struct key *key)
{
    return (MDB_val){.mv_size = key->length, .mv_data = key->bytes};
}

static inline int key_starts_with(const MDB_val *key, const struct key *prefix,
                                  size_t prefix_length)
{
    return key->mv_size >= prefix_length && memcmp(key->mv_data, prefix->bytes, prefix_length) == 0;
}

static inline int kind_is_known(enum record_kind kind)
{
    return kind >= RECORD_AGENT && kind < RECORD_KINDS;
}

static inline int kind_has_owners(enum record_kind kind)
{
    return kind == RECORD_AGENT || kind == RECORD_TERMINAL || kind == RECORD_ADDRESS ||
           kind == RECORD_CALL;
}

#endif
