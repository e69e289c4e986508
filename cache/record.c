#include "cache/record.h"

#include "cache/checksum.h"
#include "cache/keys.h"
#include "cctgate/error.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define RECORD_FORMAT 1
#define ENTRY_FORMAT  1

struct record_header {
    uint8_t format, provenance;
    uint16_t unused;
    uint32_t checksum; /* of header (with 0 here) and key, then of the body */
    uint32_t user, body_length;
    uint64_t version;
    int64_t fetched_at_ms, expires_at_ms;
};

_Static_assert(sizeof(struct record_header) == RECORD_HEADER_BYTES, "no holes on disk");

static uint32_t record_checksum(const MDB_val *key, struct record_header header, const void *body)
{
    uint8_t head[sizeof(header) + sizeof(((struct key *)0)->bytes)];
    size_t length = sizeof(header) + key->mv_size;
    assert(length <= sizeof(head));
    header.checksum = 0;
    memcpy(head, &header, sizeof(header));
    memcpy(head + sizeof(header), key->mv_data, key->mv_size);
    return checksum(checksum(0, head, length), body, header.body_length);
}

void record_encode(const MDB_val *key, const struct record *record, void *to)
{
    struct record_header header = {.format = RECORD_FORMAT,
                                   .provenance = record->provenance,
                                   .user = record->user,
                                   .body_length = (uint32_t)record->body_length,
                                   .version = record->version,
                                   .fetched_at_ms = record->fetched_at_ms,
                                   .expires_at_ms = record->expires_at_ms};
    header.checksum = record_checksum(key, header, record->body);
    memcpy(to, &header, sizeof(header));
    if (record->body_length != 0)
        memcpy((char *)to + sizeof(header), record->body, record->body_length);
}

static int header_read(const MDB_val *value, struct record_header *header)
{
    if (value->mv_size < sizeof(*header))
        return CG_E_CORRUPT;
    memcpy(header, value->mv_data, sizeof(*header));
    if (header->format != RECORD_FORMAT || header->body_length != value->mv_size - sizeof(*header))
        return CG_E_CORRUPT;
    return CG_OK;
}

static void record_fill(struct record *record, const struct record_header *header,
                        const MDB_val *value)
{
    *record = (struct record){.version = header->version,
                              .fetched_at_ms = header->fetched_at_ms,
                              .expires_at_ms = header->expires_at_ms,
                              .user = header->user,
                              .provenance = header->provenance,
                              .body = (const char *)value->mv_data + sizeof(*header),
                              .body_length = header->body_length};
}

int record_decode(const MDB_val *key, const MDB_val *value, struct record *record)
{
    struct record_header header;
    if (header_read(value, &header) != CG_OK)
        return CG_E_CORRUPT;
    const char *body = (const char *)value->mv_data + sizeof(header);
    if (record_checksum(key, header, body) != header.checksum)
        return CG_E_CORRUPT;
    record_fill(record, &header, value);
    return CG_OK;
}

int record_peek(const MDB_val *value, struct record *record)
{
    struct record_header header;
    if (header_read(value, &header) != CG_OK)
        return CG_E_CORRUPT;
    record_fill(record, &header, value);
    return CG_OK;
}

static uint32_t sealed_checksum(const MDB_val *key, const void *content, size_t length)
{
    return checksum(checksum(0, key->mv_data, key->mv_size), content, length);
}

void sealed_encode(const MDB_val *key, const void *content, size_t length, void *to)
{
    uint32_t sum = sealed_checksum(key, content, length);
    memcpy(to, &sum, sizeof(sum));
    if (length != 0)
        memcpy((char *)to + sizeof(sum), content, length);
}

int sealed_decode(const MDB_val *key, const MDB_val *value, const void **content, size_t *length)
{
    uint32_t sum;
    if (value->mv_size < sizeof(sum))
        return CG_E_CORRUPT;
    memcpy(&sum, value->mv_data, sizeof(sum));
    *content = (const char *)value->mv_data + sizeof(sum);
    *length = value->mv_size - sizeof(sum);
    return sealed_checksum(key, *content, *length) == sum ? CG_OK : CG_E_CORRUPT;
}

struct entry_header {
    uint8_t format, unused[3];
    uint32_t checksum; /* of the format and the key, then of the content */
};

_Static_assert(sizeof(struct entry_header) == ENTRY_HEADER_BYTES, "no holes on disk");

static uint32_t entry_checksum(const MDB_val *key, struct entry_header header, const void *content,
                               size_t length)
{
    uint8_t head[sizeof(header) + sizeof(uint64_t)];
    assert(key->mv_size == sizeof(uint64_t));
    header.checksum = 0;
    memcpy(head, &header, sizeof(header));
    memcpy(head + sizeof(header), key->mv_data, sizeof(uint64_t));
    return checksum(checksum(0, head, sizeof(head)), content, length);
}

void entry_encode(const MDB_val *key, const void *content, size_t length, void *to)
{
    struct entry_header header = {.format = ENTRY_FORMAT};
    header.checksum = entry_checksum(key, header, content, length);
    memcpy(to, &header, sizeof(header));
    if (length != 0)
        memcpy((char *)to + sizeof(header), content, length);
}

int entry_decode(const MDB_val *key, const MDB_val *value, const void **content, size_t *length)
{
    struct entry_header header;
    if (value->mv_size < sizeof(header))
        return CG_E_CORRUPT;
    memcpy(&header, value->mv_data, sizeof(header));
    *content = (const char *)value->mv_data + sizeof(header);
    *length = value->mv_size - sizeof(header);
    if (header.format != ENTRY_FORMAT || key->mv_size != sizeof(uint64_t) ||
        entry_checksum(key, header, *content, *length) != header.checksum)
        return CG_E_CORRUPT;
    return CG_OK;
}

int store_error(int mdb_rc)
{
    switch (mdb_rc) {
    case MDB_SUCCESS:
        return CG_OK;
    case MDB_NOTFOUND:
        return CG_E_NOTFOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
        return CG_E_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return CG_E_CORRUPT;
    case MDB_READERS_FULL:
        return CG_E_LIMIT;
    case ENOMEM:
        return CG_E_NOMEM;
    default:
        return CG_E_IO;
    }
}
