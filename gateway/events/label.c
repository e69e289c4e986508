#include "gateway/events/label.h"

#include <stdlib.h>
#include <string.h>

#define CHAINS_MIN 64

static uint64_t hash_of(enum label_kind kind, const char *id, size_t length)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ (uint64_t)kind;
    size_t i;
    for (i = 0; i < length; ++i)
        hash = (hash ^ (unsigned char)id[i]) * UINT64_C(1099511628211);
    return hash;
}

static void grow(struct label_table *table)
{
    size_t size = table->chains == NULL ? CHAINS_MIN : (table->mask + 1) * 2, i;
    struct label **chains;

    if (table->chains != NULL && table->count <= table->mask)
        return;
    if ((chains = calloc(size, sizeof(*chains))) == NULL)
        abort();
    for (i = 0; table->chains != NULL && i <= table->mask; ++i) {
        struct label *label = table->chains[i], *next;
        for (; label != NULL; label = next) {
            next = label->next;
            label->next = chains[label->hash & (size - 1)];
            chains[label->hash & (size - 1)] = label;
        }
    }
    free(table->chains);
    table->chains = chains;
    table->mask = size - 1;
}

struct label *label_get(struct label_table *table, enum label_kind kind, const char *id,
                        size_t length)
{
    uint64_t hash = hash_of(kind, id, length);
    struct label *label;

    grow(table);
    for (label = table->chains[hash & table->mask]; label != NULL; label = label->next)
        if (label->hash == hash && label->kind == kind && label->id_length == length &&
            memcmp(label->id, id, length) == 0)
            return label_ref(label);
    if ((label = calloc(1, sizeof(*label) + length + 1)) == NULL)
        abort();
    label->references = 1;
    label->kind = kind;
    label->hash = hash;
    label->table = table;
    label->id_length = length;
    memcpy(label->id, id, length);
    label->next = table->chains[hash & table->mask];
    table->chains[hash & table->mask] = label;
    ++table->count;
    return label;
}

struct label *label_ref(struct label *label)
{
    ++label->references;
    return label;
}

void label_unref(struct label **in)
{
    struct label *label = *in, **link;

    *in = NULL;
    if (label == NULL || --label->references > 0)
        return;
    link = &label->table->chains[label->hash & label->table->mask];
    while (*link != label)
        link = &(*link)->next;
    *link = label->next;
    --label->table->count;
    free(label->frames);
    free(label);
}

void label_table_release(struct label_table *table)
{
    free(table->chains);
    *table = (struct label_table){NULL, 0, 0};
}

/* ---- one batch ---- */

static void touch(struct label *label, struct label_batch *batch)
{
    if (batch->num_touched == batch->capacity) {
        size_t capacity = batch->capacity == 0 ? 16 : batch->capacity * 2;
        struct label **touched = reallocarray(batch->touched, capacity, sizeof(*touched));
        if (touched == NULL)
            abort();
        batch->touched = touched;
        batch->capacity = capacity;
    }
    batch->touched[batch->num_touched++] = label_ref(label);
}

static void join(struct label *label, struct label_batch *batch)
{
    if (label->capacity < batch->num_events) {
        struct frame **frames = reallocarray(label->frames, batch->num_events, sizeof(*frames));
        if (frames == NULL)
            abort();
        label->frames = frames;
        label->capacity = batch->num_events;
    }
    memset(label->frames, 0, batch->num_events * sizeof(struct frame *));
    label->num_frames = batch->num_events;
    label->batch = batch->number;
    touch(label, batch);
}

struct frame *label_frame(struct label *label, struct label_batch *batch, size_t index)
{
    if (label->batch != batch->number)
        join(label, batch);
    if (label->frames[index] == NULL)
        label->frames[index] = frame_event(label, batch->events[index], 0, batch->epoch);
    return label->frames[index];
}

void labels_forget(struct label_batch *batch)
{
    size_t i, j;

    for (i = 0; i < batch->num_touched; ++i) {
        struct label *label = batch->touched[i];
        for (j = 0; j < label->num_frames; ++j)
            frame_unref(&label->frames[j]);
        label->num_frames = 0;
        label_unref(&batch->touched[i]);
    }
    batch->num_touched = 0;
}
