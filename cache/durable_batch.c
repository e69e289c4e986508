#include "cache/durable_private.h"
#include "cctgate/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What a batch stands for cannot be refused half-way, and is small. */
static void *must_have(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

struct durable_batch *durable_batch_new(void)
{
    struct durable_batch *batch = must_have(calloc(1, sizeof(*batch)));
    batch->done = must_have(calloc(1, sizeof(*batch->done)));
    batch->last = &batch->first;
    return batch;
}

void durable_batch_free(struct durable_batch **batch)
{
    struct durable_batch *gone = *batch;
    *batch = NULL;
    if (gone == NULL)
        return;
    while (gone->first != NULL) {
        struct change *change = gone->first;
        gone->first = change->next;
        free(change);
    }
    free(gone->done);
    free(gone);
}

int durable_batch_is_empty(const struct durable_batch *batch)
{
    return batch->first == NULL && batch->rc == CG_OK;
}

static void copy(char *to, const void *from, size_t length)
{
    if (length != 0)
        memcpy(to, from, length);
}

/* The lengths are within their bounds. */
static void add(struct durable_batch *batch, enum change_kind kind, enum durable_table table,
                MDB_val key, MDB_val value)
{
    struct change *change = must_have(malloc(sizeof(*change) + key.mv_size + value.mv_size));
    change->next = NULL;
    change->kind = kind;
    change->table = table;
    change->key_length = key.mv_size;
    change->length = value.mv_size;
    copy(change->bytes, key.mv_data, key.mv_size);
    copy(change->bytes + key.mv_size, value.mv_data, value.mv_size);
    *batch->last = change;
    batch->last = &change->next;
}

static MDB_val bytes_of(const void *data, size_t length)
{
    return (MDB_val){.mv_size = length, .mv_data = (void *)data};
}

static int is_within(struct durable_batch *batch, size_t key_length, size_t length)
{
    if (key_length == 0 || key_length > CG_KEY_BYTES_MAX || length > CG_RECORD_BYTES_MAX)
        batch->rc = CG_E_LIMIT;
    return batch->rc == CG_OK;
}

static void assert_table(enum durable_table table)
{
    assert(table >= DURABLE_LEASES && table < DURABLE_TABLES);
    (void)table;
}

void durable_put(struct durable_batch *batch, enum durable_table table, const void *key,
                 size_t key_length, const void *value, size_t length)
{
    assert_table(table);
    if (is_within(batch, key_length, length))
        add(batch, CHANGE_PUT, table, bytes_of(key, key_length), bytes_of(value, length));
}

void durable_delete(struct durable_batch *batch, enum durable_table table, const void *key,
                    size_t key_length)
{
    assert_table(table);
    if (is_within(batch, key_length, 0))
        add(batch, CHANGE_DELETE, table, bytes_of(key, key_length), bytes_of(NULL, 0));
}

/* Made into text here, so that no JSON value is ever seen by two threads. */
void durable_append(struct durable_batch *batch, json_t *entry)
{
    assert(json_is_object(entry));
    json_object_del(entry, "seq");
    char *text = must_have(json_dumps(entry, JSON_COMPACT));
    size_t length = strlen(text);
    json_decref(entry);
    if (length > CG_AUDIT_ENTRY_BYTES_MAX)
        batch->rc = CG_E_LIMIT;
    if (batch->rc == CG_OK)
        add(batch, CHANGE_APPEND, 0, bytes_of(NULL, 0), bytes_of(text, length));
    free(text);
}
