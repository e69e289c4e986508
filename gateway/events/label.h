/* The labels of one front: each id once, however many clients use it. */
#ifndef CCTGATE_EVENTS_LABEL_H
#define CCTGATE_EVENTS_LABEL_H

#include "gateway/events/frame.h"

struct label_table {
    struct label **chains;
    size_t mask, count; /* mask + 1 chains */
};

/* `id` is a JSON string with its quotes; "" for server-sent events. One reference. Aborts without memory. */
struct label *label_get(struct label_table *table, enum label_kind kind, const char *id,
                        size_t id_length);
struct label *label_ref(struct label *label);
/* The last one takes it out of its table. */
void label_unref(struct label **label);
void label_table_release(struct label_table *table); /* no label is left */

/*
 * The frame of the batch's event `index`, borrowed; built when it is asked for the first time in this batch. *touched lists the
 * labels that hold frames, until labels_forget.
 */
struct label_batch {
    uint64_t number;
    struct event *const *events;
    size_t num_events;
    uint64_t epoch;
    struct label **touched;
    size_t num_touched, capacity;
};
struct frame *label_frame(struct label *label, struct label_batch *batch, size_t index);
/* The batch is over. */
void labels_forget(struct label_batch *batch);

#endif
