/*
 * Events that no operation causes, from the admin port: what the simulator has a state for is changed first, so that the
 * event tells the truth; of the rest the event alone is told.
 */
#ifndef CCTSIM_INJECT_H
#define CCTSIM_INJECT_H

#include <jansson.h>

/* {"type":T, "address" | "terminal" | "agent" | "contact" | "provider": key, "property":P, "value":V, "state":S,
 * "reason":R}. NULL when it is done, else what is wrong. */
const char *inject_event(json_t *body);
/* {"event":E, "user":"*" or "subscription":id, "remainingMs":N, "reason":R, "info":text, "true":bool}: true (the default)
 * makes it so. `*count` is how many sessions or subscriptions it concerned. */
const char *inject_system(json_t *body, size_t *count);

#endif
