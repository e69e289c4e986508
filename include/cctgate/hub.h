/*
 * The hub: events out to clients. The owner publishes what it has committed; every front thread gets one message per batch, with a
 * reference to each event, and passes the events on to its own clients (WebSocket, server-sent events), each through its filters
 * and its token's visibility, into a bounded queue.
 */
#ifndef CCTGATE_HUB_H
#define CCTGATE_HUB_H

#include <stddef.h>

#include "cctgate/event.h"
#include "cctgate/front.h"

/* Any thread, in practice the owner's. References are taken. `events` are in ascending order of seq, and calls are in order, too. */
void fronts_publish(struct fronts *fronts, struct event *const *events, size_t num_events);

#endif
