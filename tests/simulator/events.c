#include "events.h"

#include <stddef.h>

static sim_event_sink sink;
static uint64_t counts[EVENT_KINDS];

static const char *const names[] = {
    "CONNECTION_STATE",  "TERMINAL_CONNECTION_STATE", "CONTACT_PROPERTY",   "AGENT_PROPERTY",
    "TERMINAL_PROPERTY", "ADDRESS_PROPERTY",          "SESSION_TERMINATION"};

void sim_emit(const struct sim_event *event)
{
    counts[event->kind]++;
    if (sink != NULL)
        sink(event);
}

void sim_set_sink(sim_event_sink new_sink)
{
    sink = new_sink;
}

uint64_t sim_event_count(enum event_kind kind)
{
    return counts[kind];
}

const char *sim_event_kind_name(enum event_kind kind)
{
    return names[kind];
}
