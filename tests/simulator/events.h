/*
 * The one place every change of the contact centre passes. Whoever delivers notifications registers a sink; the state
 * already holds the new value when the sink runs, and what the event points to lives until the end of the loop's turn.
 */
#ifndef CCTSIM_EVENTS_H
#define CCTSIM_EVENTS_H

#include <stdint.h>

#include "world.h"

/* The contract's event types. */
enum event_kind {
    EVENT_CONNECTION_STATE,
    EVENT_TERMINAL_CONNECTION_STATE,
    EVENT_CONTACT_PROPERTY,
    EVENT_AGENT_PROPERTY,
    EVENT_TERMINAL_PROPERTY,
    EVENT_ADDRESS_PROPERTY,
    EVENT_ADDRESS_STATE,
    EVENT_TERMINAL_STATE,
    EVENT_AGENT_STATE,
    EVENT_SERVICE_PROVIDER_STATUS,
    EVENT_FORCE_DISCONNECT,
    EVENT_DEFAULT_TREATMENT,
    EVENT_SYSTEM,
    EVENT_KINDS
};

struct session;
struct subscription;

/* Only the fields that belong to the kind are set. */
struct sim_event {
    enum event_kind kind;
    const struct connection *connection; /* connection and terminal connection state */
    const struct termconn *termconn;     /* terminal connection state */
    const struct contact *contact; /* the two above, contact property, disconnect, treatment */
    const struct agent *agent;
    const struct terminal *terminal;
    const struct address *address;
    const char *provider; /* service provider status */
    const char *property; /* the contract's name, e.g. "READY_STATUS" */
    const char *text;     /* a property's value where it is not the state's own; NULL = it is */
    int new_state;        /* enum connection_state or terminal_connection_state */
    int previous_state;
    const char *state;  /* of an address, terminal, agent or provider: the contract's name */
    const char *reason; /* the contract's name, e.g. "DEFAULT" */

    /* System events: `property` says which; to all subscriptions of `session`, or to `subscription` alone. */
    const struct session *session;
    const struct subscription *subscription;
    const char *info;
    int64_t remaining_ms;
};

typedef void (*sim_event_sink)(const struct sim_event *event);

void sim_emit(const struct sim_event *event);
/* NULL takes the sink away. */
void sim_set_sink(sim_event_sink sink);
/* How many events of a kind, and of all kinds, were emitted so far. */
uint64_t sim_event_count(enum event_kind kind);
uint64_t sim_event_total(void);
const char *sim_event_kind_name(enum event_kind kind);
/* -1 when there is no such type. */
int sim_event_kind(const char *name);

#endif
