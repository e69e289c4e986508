/*
 * A snapshot: what a viewpoint sees of agents, terminals, addresses and calls and what a filter covers, as GET would give it. It is
 * made in parts, each in a read transaction of its own, and keeps nothing between them but where it is.
 *
 * A filter that names agents covers those agents' terminals, addresses and calls too, as their records name them when the snapshot begins.
 */
#ifndef CCTGATE_EVENTS_SNAPSHOT_H
#define CCTGATE_EVENTS_SNAPSHOT_H

#include "cctgate/event.h"
#include "gateway/events/text.h"
#include "gateway/rest/reading.h"

struct snapshot;

struct snapshot_view {
    struct viewpoint viewpoint;
    const struct config *config;
    const struct event_filter *filter;
    int64_t now_ms;
};

struct snapshot *snapshot_new(void); /* aborts without memory */
void snapshot_free(struct snapshot **snapshot);

/*
 * Appends items, `{"subject":...,"data":...}` with commas between, until there are `bytes_max` bytes in `items` or `*records` records
 * have been looked at; counts those down. 1: that was all; 0: there may be more. Between store_read_begin and store_read_end.
 */
int snapshot_next(struct snapshot *snapshot, const struct snapshot_view *view, struct text *items,
                  size_t bytes_max, unsigned *records);

#endif
