/*
 * Values of the store as bytes. Of anybody: they decode or are corrupt. Our own: they read back as they were written, and one bit that
 * is another, in the value or in its key, is noticed.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "cache/record.h"
#include "cctgate/error.h"

#define KEY_BYTES 24

static int is_same(const struct record *a, const struct record *b)
{
    return a->version == b->version && a->fetched_at_ms == b->fetched_at_ms &&
           a->expires_at_ms == b->expires_at_ms && a->user == b->user &&
           a->provenance == b->provenance && a->flags == b->flags && a->covered == b->covered &&
           a->body_length == b->body_length;
}

static void of_anybody(const MDB_val *key, const MDB_val *value)
{
    struct record record, peeked;
    const void *content;
    size_t length;

    if (record_peek(value, &peeked) == CG_OK)
        FUZZ_CHECK((const char *)value->mv_data + value->mv_size ==
                   peeked.body + peeked.body_length);
    if (record_decode(key, value, &record) == CG_OK)
        FUZZ_CHECK(is_same(&record, &peeked) && record.body == peeked.body);
    if (sealed_decode(key, value, &content, &length) == CG_OK)
        FUZZ_CHECK(length + SEALED_HEADER_BYTES == value->mv_size);
    if (entry_decode(key, value, &content, &length) == CG_OK)
        FUZZ_CHECK(length + ENTRY_HEADER_BYTES == value->mv_size);
}

static void flip(const MDB_val *value, size_t bit)
{
    ((uint8_t *)value->mv_data)[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void record_of(const MDB_val *key, const uint8_t *bytes, size_t length, size_t bit)
{
    struct record in = {.version = bit * UINT64_C(0x9e3779b97f4a7c15),
                        .fetched_at_ms = (int64_t)bit,
                        .expires_at_ms = (int64_t)length,
                        .user = (uint32_t)bit,
                        .provenance = PROVENANCE_EVENT,
                        .flags = RECORD_ENDED,
                        .covered = length,
                        .body = (const char *)bytes,
                        .body_length = length};
    MDB_val value = {RECORD_HEADER_BYTES + length, malloc(RECORD_HEADER_BYTES + length)};
    struct record out;

    FUZZ_CHECK(value.mv_data != NULL);
    record_encode(key, &in, value.mv_data);
    FUZZ_CHECK(record_decode(key, &value, &out) == CG_OK);
    FUZZ_CHECK(is_same(&out, &in) && memcmp(out.body, bytes, length) == 0);
    flip(&value, bit % (8 * value.mv_size));
    FUZZ_CHECK(record_decode(key, &value, &out) == CG_E_CORRUPT);
    free(value.mv_data);
}

typedef void (*encode_fn)(const MDB_val *key, const void *content, size_t length, void *to);
typedef int (*decode_fn)(const MDB_val *key, const MDB_val *value, const void **content,
                         size_t *length);

static void small_of(encode_fn encode, decode_fn decode, size_t header, const MDB_val *key,
                     const uint8_t *bytes, size_t length, size_t bit)
{
    MDB_val value = {header + length, malloc(header + length)};
    const void *content;
    size_t out;

    FUZZ_CHECK(value.mv_data != NULL);
    encode(key, bytes, length, value.mv_data);
    FUZZ_CHECK(decode(key, &value, &content, &out) == CG_OK);
    FUZZ_CHECK(out == length && memcmp(content, bytes, length) == 0);
    flip(key, bit % (8 * key->mv_size));
    FUZZ_CHECK(decode(key, &value, &content, &out) == CG_E_CORRUPT);
    flip(key, bit % (8 * key->mv_size));
    flip(&value, bit % (8 * value.mv_size));
    FUZZ_CHECK(decode(key, &value, &content, &out) == CG_E_CORRUPT);
    free(value.mv_data);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    uint8_t name[KEY_BYTES] = {0};
    size_t key_length = length < KEY_BYTES ? length : KEY_BYTES, bit = length;
    MDB_val key = {key_length > 0 ? key_length : 1, name}, number = {sizeof(uint64_t), name}, value;

    if (length == 0)
        return 0;
    memcpy(name, bytes, key_length);
    bytes += key_length;
    length -= key_length;
    for (size_t i = 0; i < key_length; ++i)
        bit = bit * 131 + name[i];
    value = (MDB_val){length, (void *)bytes};
    of_anybody(&key, &value);
    record_of(&key, bytes, length, bit);
    small_of(sealed_encode, sealed_decode, SEALED_HEADER_BYTES, &key, bytes, length, bit);
    small_of(entry_encode, entry_decode, ENTRY_HEADER_BYTES, &number, bytes, length, bit);
    return 0;
}
