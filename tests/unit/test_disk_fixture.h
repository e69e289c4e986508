/* A disk instead of durable.h's: what is submitted to it is committed, refused or forgotten when the test says so. */
#ifndef CCTGATE_TEST_DISK_FIXTURE_H
#define CCTGATE_TEST_DISK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cctgate/durable.h"
#include "cctgate/error.h"
#include "cctgate/limits.h"

struct row {
    struct row *next;
    enum durable_table table;
    size_t key_length, length;
    char key[CG_KEY_BYTES_MAX];
    char *value; /* NULL in a batch: it is deleted */
};

struct durable_batch {
    struct durable_batch *next;
    struct row *first, **last;
    json_t *audit;
    struct mailbox *reply_to;
    void (*on_done)(struct message *message);
    void *data;
};

struct durable {
    struct row *rows;
    json_t *audit;
    struct durable_batch *first, **last;
};

static inline void disk_init(struct durable *disk)
{
    memset(disk, 0, sizeof(*disk));
    disk->last = &disk->first;
    disk->audit = json_array();
}

static inline void disk_free_row(struct row *row)
{
    free(row->value);
    free(row);
}

static inline void disk_free_rows(struct row *row)
{
    struct row *next;
    for (; row != NULL; row = next) {
        next = row->next;
        disk_free_row(row);
    }
}

/* Nothing waits for it any more. */
static inline void disk_release(struct durable *disk)
{
    assert_null(disk->first);
    disk_free_rows(disk->rows);
    json_decref(disk->audit);
    memset(disk, 0, sizeof(*disk));
}

struct durable_batch *durable_batch_new(void)
{
    struct durable_batch *batch = calloc(1, sizeof(*batch));
    assert_non_null(batch);
    batch->last = &batch->first;
    batch->audit = json_array();
    return batch;
}

void durable_batch_free(struct durable_batch **batch)
{
    disk_free_rows((*batch)->first);
    json_decref((*batch)->audit);
    free(*batch);
    *batch = NULL;
}

static struct row *disk_change(struct durable_batch *batch, enum durable_table table,
                               const void *key, size_t key_length)
{
    struct row *row = calloc(1, sizeof(*row));
    assert_non_null(row);
    assert_in_range(key_length, 1, sizeof(row->key));
    row->table = table;
    row->key_length = key_length;
    memcpy(row->key, key, key_length);
    *batch->last = row;
    batch->last = &row->next;
    return row;
}

void durable_put(struct durable_batch *batch, enum durable_table table, const void *key,
                 size_t key_length, const void *value, size_t length)
{
    struct row *row = disk_change(batch, table, key, key_length);
    row->value = malloc(length + 1);
    assert_non_null(row->value);
    memcpy(row->value, value, length);
    row->value[length] = '\0';
    row->length = length;
}

void durable_delete(struct durable_batch *batch, enum durable_table table, const void *key,
                    size_t key_length)
{
    disk_change(batch, table, key, key_length);
}

void durable_append(struct durable_batch *batch, json_t *entry)
{
    json_array_append_new(batch->audit, entry);
}

int durable_batch_is_empty(const struct durable_batch *batch)
{
    return batch->first == NULL && json_array_size(batch->audit) == 0;
}

void durable_submit(struct durable *disk, struct durable_batch *batch, struct mailbox *reply_to,
                    void (*on_done)(struct message *message), void *data)
{
    batch->reply_to = reply_to;
    batch->on_done = on_done;
    batch->data = data;
    *disk->last = batch;
    disk->last = &batch->next;
}

int durable_walk(struct durable *disk, enum durable_table table,
                 int (*on_row)(void *data, const void *key, size_t key_length, const void *value,
                               size_t length),
                 void *data)
{
    const struct row *row;
    for (row = disk->rows; row != NULL; row = row->next)
        if (row->table == table &&
            on_row(data, row->key, row->key_length, row->value, row->length) != 0)
            break;
    return CG_OK;
}

static inline struct row **disk_find(struct durable *disk, const struct row *like)
{
    struct row **link = &disk->rows;
    while (*link != NULL &&
           ((*link)->table != like->table || (*link)->key_length != like->key_length ||
            memcmp((*link)->key, like->key, like->key_length) != 0))
        link = &(*link)->next;
    return link;
}

static inline void disk_apply(struct durable *disk, struct row *change)
{
    struct row **link = disk_find(disk, change), *old = *link;

    if (old != NULL) {
        *link = old->next;
        disk_free_row(old);
    }
    change->next = NULL;
    if (change->value != NULL)
        *disk_find(disk, change) = change;
    else
        disk_free_row(change);
}

static inline void disk_commit(struct durable *disk, struct durable_batch *batch)
{
    struct row *change;

    while ((change = batch->first) != NULL) {
        batch->first = change->next;
        disk_apply(disk, change);
    }
    json_array_extend(disk->audit, batch->audit);
}

/* The batch that has waited longest ends so; 0: none waits. */
static inline int disk_settle(struct durable *disk, int rc)
{
    struct durable_batch *batch = disk->first;

    if (batch == NULL)
        return 0;
    if ((disk->first = batch->next) == NULL)
        disk->last = &disk->first;
    if (rc == CG_OK)
        disk_commit(disk, batch);
    if (batch->on_done != NULL) {
        struct durable_done *done = calloc(1, sizeof(*done));
        assert_non_null(done);
        done->message.on_deliver = batch->on_done;
        done->rc = rc;
        done->data = batch->data;
        mailbox_send(batch->reply_to, &done->message);
    }
    durable_batch_free(&batch);
    return 1;
}

static inline size_t disk_rows(const struct durable *disk, enum durable_table table)
{
    const struct row *row;
    size_t count = 0;
    for (row = disk->rows; row != NULL; row = row->next)
        count += row->table == table;
    return count;
}

#endif
