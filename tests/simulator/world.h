/*
 * The contact centre that the simulator plays: users, agents, terminals, addresses and the calls between them (DOMAIN
 * section 3). Everything is found by hash; agents, terminals and addresses live as long as the program, calls until
 * their last connection is DISCONNECTED. State is changed only through agents.h and calls.h, because every change must
 * pass sim_emit (events.h).
 */
#ifndef CCTSIM_WORLD_H
#define CCTSIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "map.h"

/* The enumerations of the contract, in its order; names in world_names.c. */
enum connection_state {
    CS_ACTIVE,
    CS_ALERTING,
    CS_ANCHORED,
    CS_CONTROLLED,
    CS_DIALING,
    CS_DISCONNECTED,
    CS_ESTABLISHED,
    CS_FAILED,
    CS_IDLE,
    CS_INITIATED,
    CS_NETWORK_ALERTING,
    CS_NETWORK_REACHED,
    CS_OFFERED,
    CS_PARKED,
    CS_RETRIEVING,
    CS_ROUTING,
    CS_QUEUED,
    CS_UNKNOWN
};
enum terminal_connection_state {
    TS_IDLE,
    TS_RINGING,
    TS_ACTIVE,
    TS_HELD,
    TS_AUTOHELD,
    TS_INUSE,
    TS_BRIDGED,
    TS_DROPPED,
    TS_UNKNOWN
};
enum address_type { AT_OUT_OF_PROVIDER, AT_ROUTE_POINT, AT_GENERIC, AT_AGENT };
enum terminal_type { TT_GENERIC, TT_AGENT };
enum agent_type { AGENT_PLAIN, AGENT_SUPERVISOR };
enum recording_state { RS_NOT_RECORDING, RS_RECORDING };
enum consult_kind { CONSULT_PLAIN, CONSULT_TRANSFER, CONSULT_CONFERENCE, CONSULT_KINDS };
enum data_type { DATA_NONE, DATA_KEY_VALUE, DATA_STRING, DATA_BINARY };

const char *connection_state_name(enum connection_state state);
const char *terminal_connection_state_name(enum terminal_connection_state state);
const char *address_type_name(enum address_type type);
const char *terminal_type_name(enum terminal_type type);
const char *agent_type_name(enum agent_type type);
const char *recording_state_name(enum recording_state state);

struct agent;
struct contact;
struct connection;
struct termconn;
TAILQ_HEAD(connection_list, connection);
TAILQ_HEAD(termconn_list, termconn);
TAILQ_HEAD(contact_list, contact);

enum { GUID_BYTES = 37, FORWARDINGS_MAX = 16, TERMINALS_PER_AGENT = 2, ADDRESSES_PER_TERMINAL = 2 };

struct forwarding {
    char *caller;
    char *destination;
    int type;
    int which_calls;
};

struct forwarding_list {
    struct forwarding items[FORWARDINGS_MAX];
    size_t count;
};

struct address {
    char *name;
    enum address_type type;
    const char *provider;
    struct agent *agent;       /* who owns it; NULL for route points and outside numbers */
    struct terminal *terminal; /* NULL when it has none */
    bool dnd;
    bool message_waiting;
    int message_count;
    bool presence_subscribed;
    bool controlled;   /* route points */
    bool released;     /* no longer acquired */
    const char *state; /* the contract's resource state */
    char *uri;         /* NULL: made of the name */
    struct forwarding_list forwarding;
    struct connection_list connections;
};

struct terminal {
    char *name;
    enum terminal_type type;
    const char *provider;
    const char *contact_type;
    const char *pickup_group;
    const char *state;       /* the contract's resource state */
    struct agent *agent;     /* who owns it; NULL for common sets */
    struct agent *logged_in; /* who is logged in at it */
    bool ready;
    char *reason_code;   /* of not ready; "" when none */
    char *activity_code; /* "" when none */
    bool dnd;
    struct forwarding_list forwarding;
    struct address *addresses[ADDRESSES_PER_TERMINAL];
    size_t address_count;
    struct termconn_list termconns;
};

struct agent {
    char *id;
    char *user_name;
    enum agent_type type;
    struct agent *supervisor; /* NULL: the first supervisor */
    struct terminal *terminals[TERMINALS_PER_AGENT];
    size_t terminal_count;
    struct address *position;    /* type AGENT, at the voice terminal */
    struct address *personal_dn; /* type GENERIC, at the voice terminal */
    struct terminal *static_voice_terminal;
    struct terminal *seat; /* where it logged in last and still is */
    bool unmapped;
    bool logged_in;
    bool ready;
    char *reason_code;
    const char *contact_types[2];
    size_t contact_type_count;
};

struct user {
    char *name;
    struct agent *agent; /* NULL: owns the whole floor */
    size_t sessions;
};

struct key_value {
    char *key;
    char *value;
};

struct attached_data {
    enum data_type type;
    struct key_value *pairs;
    size_t pair_count;
    char *text;
    signed char *bytes;
    size_t byte_count;
};

struct intrinsic {
    char *key;
    char *value;
    bool immutable;
};

struct instant_message {
    char *message, *sender, *type, *time_stamp;
};

struct contact {
    char id[GUID_BYTES];
    char *external_id;
    const char *provider;
    const char *contact_type;
    struct connection_list connections;
    struct address *calling;
    struct address *called;
    struct address *original;
    struct address *last_redirected; /* NULL: never redirected */
    struct terminal *calling_terminal;
    struct attached_data data;
    struct intrinsic *intrinsics;
    size_t intrinsic_count;
    char *uui;
    struct instant_message *messages;
    size_t message_count;
    struct termconn *consult_from; /* the leg this consult was started from; NULL when none */
    enum consult_kind consult_kind;
    char consult_of[GUID_BYTES]; /* lineage; "" when none */
    char transferred_from[GUID_BYTES];
    struct key_value
        *extras; /* properties that only an injected event has, by the contract's name */
    size_t extra_count;
    bool ended;
    TAILQ_ENTRY(contact) link;
};

struct connection {
    char id[GUID_BYTES];
    struct contact *contact;
    struct address *address;
    enum connection_state state, last_state;
    int64_t entered_ms, last_entered_ms;
    const char *reason, *last_reason;
    enum recording_state recording;
    const char *recording_reason;
    struct termconn_list termconns;
    TAILQ_ENTRY(connection) of_contact;
    TAILQ_ENTRY(connection) of_address;
};

struct termconn {
    char id[GUID_BYTES];
    struct connection *connection;
    struct terminal *terminal;
    enum terminal_connection_state state, last_state;
    int64_t entered_ms, last_entered_ms;
    const char *reason, *last_reason;
    char *activity_code;
    struct contact *consults[CONSULT_KINDS];
    TAILQ_ENTRY(termconn) of_connection;
    TAILQ_ENTRY(termconn) of_terminal;
};

struct world {
    struct agent *agents;
    size_t agent_count;
    struct address **addresses; /* of the floor, outside numbers excluded */
    size_t address_count;
    struct terminal **terminals;
    size_t terminal_count;
    struct user *users;
    size_t user_count;
    struct map agents_by_id, addresses_by_name, outside_by_name, terminals_by_name, users_by_name;
    struct map contacts_by_id, contacts_by_external_id, connections_by_id, termconns_by_id;
    struct contact_list contacts;
    struct address *route_points[3];
    uint64_t random;
    unsigned next_external_id;
};

extern struct world world;

/* Builds users, agents, terminals and addresses; deterministic for a seed. */
void world_build(size_t agents, uint64_t seed);
void world_free(void);

/* A pseudo-random number below `below`, and a random GUID in its usual form, both from the seed. */
uint32_t world_random(uint32_t below);
void world_guid(char guid[GUID_BYTES]);

struct agent *world_agent(const char *id);
struct address *world_address(const char *name); /* of the floor */
struct terminal *world_terminal(const char *name);
struct user *world_user(const char *name);
struct contact *world_contact(const char *id);
struct connection *world_connection(const char *id);
struct termconn *world_termconn(const char *id);
/* The address of a dialled number: of the floor, an agent's position for an agent id, or an outside number, made when
 * it is new. NULL for "". */
struct address *world_dial(const char *number);

/* A token of a user finds only what the user owns (DOMAIN 8.8). A contact and its legs are seen when one of the contact's
 * addresses or terminals is, by the users of the whole floor always; but only the user's own legs may be acted on. */
bool user_owns_agent(const struct user *user, const struct agent *agent);
bool user_owns_address(const struct user *user, const struct address *address);
bool user_owns_terminal(const struct user *user, const struct terminal *terminal);
bool user_sees_contact(const struct user *user, const struct contact *contact);
bool user_supervises(const struct user *user);

/* An address's presence, which follows its calls and its do-not-disturb, and its URI, which the caller frees. */
struct presence {
    const char *status, *extended, *activity;
};
struct presence address_presence(const struct address *address);
char *address_uri(const struct address *address);

void forwarding_clear(struct forwarding_list *list);
/* Replaces `*slot`. */
void set_text(char **slot, const char *value);

#endif
