/*
 * Events: what happened, told once. The owner makes one of each change that it applied to the model, appends it to the event log in
 * the transaction that changes the model, and publishes it when that is committed (DESIGN section 2, "commit, then publish").
 *
 * An event is immutable and reference-counted; its JSON is made once and shared by all clients. `seq` has no gaps: it is the number
 * line of the log, and with the log's epoch it is the event's id, "<epoch>-<seq>".
 *
 * Who may see it: a token that may act for one of `users`, unless it may act for one of `told` too. The second set is there
 * because one change is notified once per upstream session: the first copy becomes the event; when a later copy shows that more users
 * see the object than were known, those users get an event of their own that says the same, which nobody is shown who saw the first.
 * The progress of an outbound job belongs to no user: operators see it, and who may work campaigns and is the application that its
 * `property` stands for (access_owner).
 */
#ifndef CCTGATE_EVENT_H
#define CCTGATE_EVENT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "cctgate/policy.h"

/* XML cannot carry it, so that no id has it. */
#define EVENT_AGENTS_SEPARATOR '\x1f'

/* What a client subscribes to, in the order of the table in gateway/events/types.c. The numbers are in the log: only append. */
enum event_type {
    EVENT_CONNECTION_STATE,
    EVENT_TERMINAL_CONNECTION_STATE,
    EVENT_CONTACT_PROPERTY,
    EVENT_AGENT_PROPERTY,
    EVENT_AGENT_STATE,
    EVENT_TERMINAL_PROPERTY,
    EVENT_TERMINAL_STATE,
    EVENT_ADDRESS_PROPERTY,
    EVENT_ADDRESS_STATE,
    EVENT_PROVIDER_STATUS,
    EVENT_FORCE_DISCONNECT,
    EVENT_DEFAULT_TREATMENT,
    EVENT_SYSTEM,
    EVENT_USER_STATE,
    EVENT_CONNECTION_PROPERTY,
    EVENT_TERMINAL_CONNECTION_PROPERTY,
    EVENT_FORCE_ANSWER,
    EVENT_GATEWAY_SESSION,
    EVENT_GATEWAY_CONTROL,
    EVENT_GATEWAY_GAP,
    EVENT_GATEWAY_CAPACITY,
    EVENT_OUTBOUND_PROGRESS,
    EVENT_TYPES
};

struct event_type_row {
    const char *name; /* "cct.connection.state" */
    const char *wire; /* the contract's EventType that it comes from; NULL: the gateway's own */
    int is_property; /* a newer one of the same subject and property makes an older one superfluous */
    const char *summary;
    const char *schema; /* JSON Schema of `data`; NULL: the contract's, or any object */
};
extern const struct event_type_row event_types[EVENT_TYPES];
/* EVENT_TYPES: no such name */
enum event_type event_type_by_name(const char *name, size_t length);
enum event_type event_type_by_wire(const char *wire);

struct event {
    atomic_int references;
    uint64_t seq;
    enum event_type type;
    const char *subject; /* the resource's path, "/v1/calls/..." */
    const char *
        agent; /* login ids, EVENT_AGENTS_SEPARATOR between them, the nearest first; NULL: of no agent that is known */
    const char *property; /* which one of the subject, for property events; NULL otherwise */
    const uint32_t *users, *told; /* ascending */
    size_t num_users, num_told;
    const char *json; /* the CloudEvent; not NUL-terminated */
    size_t json_length;
};

/* What an event is made of; everything is copied. */
struct event_parts {
    uint64_t seq;
    enum event_type type;
    const char *subject, *agent, *property;
    const uint32_t *users, *told; /* any order, duplicates allowed */
    size_t num_users, num_told;
    const char *json;
    size_t json_length;
};

/*
 * One block of memory with one reference; NULL without memory, without a subject, or when a part is beyond its limit:
 * CG_PATH_BYTES_MAX (subject), CG_ID_BYTES_MAX (agent, property), CG_EVENT_USERS_MAX (each set), CG_EVENT_BYTES_MAX (JSON).
 */
struct event *event_new(const struct event_parts *parts);
struct event *event_ref(struct event *event); /* any thread */
void event_unref(struct event **event);       /* any thread */

/*
 * The form in the log: numbers little-endian, checked when it is read. `seq` is not in it, it is the log's key. event_encode:
 * returns a malloc'd buffer, NULL without memory. event_decode: CG_E_CORRUPT for what is not the form of
 * any event (the JSON is taken as it is: the log's checksum vouches for it), CG_E_NOMEM. `bytes` need not be aligned.
 */
void *event_encode(const struct event *event, size_t *length);
int event_decode(struct event **event, uint64_t seq, const void *bytes, size_t length);

/*
 * May the token see it? One that may act for every user sees everything, events of no user among it, which nobody else sees;
 * except those with a `told`, since it has seen the first.
 */
int event_is_visible(const struct event *event, const struct access *access);

/*
 * A subscription's filter. Empty sets mean all; sets are and'ed, members of a set or'ed. A subject matches its sub-resources,
 * too: "/v1/calls/x" matches "/v1/calls/x/data", not "/v1/calls/xy"; a slash at its end counts for nothing.
 * An event of no agent does not match a filter that names agents.
 */
struct event_filter {
    uint32_t types; /* 1 << enum event_type, or'ed; 0: all */
    char **subjects, **agents;
    size_t num_subjects, num_agents;
};
void event_filter_release(struct event_filter *filter);
int event_filter_matches(const struct event_filter *filter, const struct event *event);
/* For snapshots: would an event about this subject (and agent, may be NULL) match, whatever its type? */
int event_filter_covers(const struct event_filter *filter, const char *subject, const char *agent);

#endif
