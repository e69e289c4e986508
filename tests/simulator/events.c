#include "events.h"

#include <stddef.h>
#include <string.h>

static sim_event_sink sink;
static uint64_t counts[EVENT_KINDS];
static uint64_t total;

static const char *const names[] = {"CONNECTION_STATE",
                                    "TERMINAL_CONNECTION_STATE",
                                    "CONTACT_PROPERTY",
                                    "AGENT_PROPERTY",
                                    "TERMINAL_PROPERTY",
                                    "ADDRESS_PROPERTY",
                                    "ADDRESS_STATE",
                                    "TERMINAL_STATE",
                                    "AGENT_STATE",
                                    "SERVICE_PROVIDER_STATUS",
                                    "FORCE_DISCONNECT",
                                    "DEFAULT_TREATMENT",
                                    "SYSTEM"};

void sim_emit(const struct sim_event *event)
{
    counts[event->kind]++;
    total++;
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

uint64_t sim_event_total(void)
{
    return total;
}

const char *sim_event_kind_name(enum event_kind kind)
{
    return names[kind];
}

int sim_event_kind(const char *name)
{
    for (int i = 0; i < EVENT_KINDS; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}
