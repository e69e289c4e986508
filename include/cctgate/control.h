/*
 * Control: one FullControl application instance per agent (DESIGN section 5, DOMAIN section 8).
 *
 * An instance attaches to an agent under a profile and gets a lease: 256 random bits that only it has (we keep their SHA-256), a fence that
 * grows with every grant of this gateway, and an expiry. FullControl is granted to one instance at a time; MonitorOnly and CallRecorder to
 * any number. A lease lives control.ttlMs from its last renewal. One that is bound to a WebSocket is renewed as long as that connection
 * lives, and has control.graceMs from its end. An agent that is reserved (by the configuration or an operator) belongs to an application
 * that the gateway cannot see: nobody gets FullControl here.
 *
 * Every change is on the disk (durable.h) with its audit entry before it is answered, told to clients, or counts for a command; an end
 * counts at once. A grant that is under way keeps others out. After a restart the leases are there with what was left of their time; no lease
 * is ever bound then. If the disk refuses, nothing changed, and the answer says so.
 *
 * Owner's thread only, but for control_profile_names.
 */
#ifndef CCTGATE_CONTROL_H
#define CCTGATE_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cctgate/config.h"
#include "cctgate/durable.h"
#include "cctgate/limits.h"
#include "cctgate/loop.h"

struct control;

#define CONTROL_LEASE_BYTES  43 /* the secret as text: base64url of 32 bytes, without padding */
#define CONTROL_DIGEST_BYTES 32 /* SHA-256 of that text */

enum control_profile { CONTROL_FULL, CONTROL_MONITOR, CONTROL_RECORDER, CONTROL_PROFILES };
/* "FullControl", "MonitorOnly", "CallRecorder": the vendor's names */
extern const char *const control_profile_names[CONTROL_PROFILES];
enum control_profile control_profile_by_name(const char *name); /* CONTROL_PROFILES: none */

/* Who asks; copied where it is kept. */
struct control_actor {
    const char *application;
    unsigned roles;   /* enum config_role, or'ed */
    const char *door; /* "http", "websocket": for the audit */
};

/* What happened to an agent's control, as clients and the audit log are told. */
enum control_act {
    CONTROL_GRANTED,
    CONTROL_RELEASED,
    CONTROL_EXPIRED,
    CONTROL_FORCED,      /* an operator released it */
    CONTROL_TRANSFERRED, /* an operator gave it to another application */
    CONTROL_RESERVED,
    CONTROL_UNRESERVED,
    CONTROL_ACTS
};
struct control_event {
    enum control_act act;
    const char *agent;
    enum control_profile profile;
    const char *
        application; /* whose lease it is or was; of a reservation: the reserving one's; NULL: nobody had one */
    const char *by;     /* the operator's application; NULL: the holder itself, or time */
    const char *to;     /* CONTROL_TRANSFERRED: who may have it now; else NULL */
    const char *reason; /* the operator's words or ours; NULL: none */
    uint64_t fence;
    uint64_t client; /* the WebSocket that the lease was bound to; 0: none */
};

struct control_settings {
    struct loop *loop;
    struct durable *durable;
    struct config *config;
    /* It has happened and is on the disk: the agent's resource and whoever listens are to be told. */
    void (*on_event)(void *data, const struct control_event *event);
    /* What control_describe says of the agent has changed (also by a renewal). */
    void (*on_change)(void *data, const char *agent);
    void *data;
};

/* Reads what is on the disk, and writes down what has expired meanwhile. CG_E_NOMEM, CG_E_IO. */
int control_new(struct control **control, const struct control_settings *settings);
/* Outcomes that are under way are not told any more. */
void control_free(struct control **control);
void control_configure(struct control *control, struct config *config);

/* ---- changes: answered later, exactly once, never from within the call ---- */

enum control_answer {
    CONTROL_OK,
    CONTROL_HELD, /* another instance, or a reservation, has FullControl: `body` is the holder */
    CONTROL_LOST, /* the lease is not (any more) one of this agent; `detail` says what became of it where that is known */
    CONTROL_DENIED,   /* the roles do not allow it */
    CONTROL_CONFLICT, /* it is as the configuration says, or there is nothing to take away */
    CONTROL_STORE     /* the disk refused: nothing changed */
};
struct control_outcome {
    enum control_answer answer;
    char detail[256];
    json_t *
        body; /* CONTROL_OK: what DESIGN section 10 says; CONTROL_HELD: {"profile","application","since","expiresAt"}; borrowed, may be NULL */
};
typedef void (*control_done)(void *data, const struct control_outcome *outcome);

struct control_ask {
    const char *agent;
    struct control_actor actor;
    const uint8_t *lease; /* digest; NULL: none came */
    uint64_t client;      /* the WebSocket that asks; 0: none */
    control_done done;
    void *data;
};

/*
 * Without a lease: a new instance, answered {"lease","fence","profile","expiresAt"}. With one: a renewal, answered
 * {"agent","fence","profile","expiresAt"} with the same fence; another profile than the lease's is CONTROL_CONFLICT. FullControl needs
 * role controller or supervisor, CallRecorder role recorder, MonitorOnly any reading role. Binds to no WebSocket.
 */
void control_attach(struct control *control, const struct control_ask *ask,
                    enum control_profile profile);
/* The lease's own end. */
void control_release(struct control *control, const struct control_ask *ask);
/* Operators: ends the FullControl lease, tells its holder `reason` (may be NULL). CONTROL_CONFLICT: nobody holds it. */
void control_force(struct control *control, const struct control_ask *ask, const char *reason);
/*
 * Operators: ends the FullControl lease, if there is one, and for control.ttlMs only `application` can get FullControl. Answered
 * {"application","expiresAt"}.
 */
void control_transfer(struct control *control, const struct control_ask *ask,
                      const char *application, const char *reason);
/* Operators. A FullControl lease that is there is ended. What the configuration reserves cannot be unreserved: CONTROL_CONFLICT. */
void control_reserve(struct control *control, const struct control_ask *ask,
                     const char *application, const char *reason);
void control_unreserve(struct control *control, const struct control_ask *ask);
/*
 * Binds a lease, of whatever agent, to the WebSocket that asks, instead of to the one it was bound to; also renews it. Answered
 * {"agent","fence","profile","expiresAt"}. control_renew only renews.
 */
void control_bind(struct control *control, const struct control_ask *ask);
void control_renew(struct control *control, const struct control_ask *ask);
/* The WebSocket has gone, and had given no sign of life for `silent_ms` before: so much of the grace is over. */
void control_client_gone(struct control *control, uint64_t client, unsigned silent_ms);

/* ---- the gate ---- */

struct control_verdict {
    enum control_answer
        answer; /* CONTROL_OK, CONTROL_HELD, CONTROL_LOST; CONTROL_DENIED: no lease came, or one of another profile, and nobody else has FullControl */
    uint64_t fence;         /* CONTROL_OK */
    int64_t valid_until_ms; /* CONTROL_OK: monotonic; what is sent later must ask again */
    char detail[256];
    json_t *holder; /* CONTROL_HELD: as above; a new reference */
};
/*
 * May whoever has this lease (NULL: none came) act on the agent now? Only a FullControl lease of this very agent that has not expired
 * allows it. A lease that is known to have ended is CONTROL_LOST also while somebody else has FullControl, for its holder is to be told why; one
 * that is not known is CONTROL_HELD then. Changes nothing.
 */
void control_check(struct control *control, const char *agent, const uint8_t *lease,
                   struct control_verdict *verdict);
/* The agent that a valid lease is of, whatever its profile; NULL: none. Borrowed. */
const char *control_agent_of(const struct control *control, const uint8_t *lease,
                             enum control_profile *profile);

/* The application that a valid lease was granted to; NULL: none. Borrowed. */
const char *control_application_of(const struct control *control, const uint8_t *lease);

/* ---- looking ---- */

/* The `control` of an agent's resource: {"profile","application","since","expiresAt"} of the FullControl holder, or of a reservation
 * (with "reserved":true, "expiresAt":null), or of who may take up a transfer (with "pending":true), or null. New reference. */
json_t *control_describe(const struct control *control, const char *agent);
/* GET …/control: the same with "fence", "instances":[{"profile","application","since","expiresAt","bound"}] and "reservation":{"application","configured"}|null. New reference. */
json_t *control_describe_all(const struct control *control, const char *agent);

struct control_stats {
    uint64_t granted, renewed, released, expired, forced, refused;
    size_t leases, bound,
        reservations; /* also what is being written; transfers that wait are reservations */
    uint64_t fence;
};
void control_get_stats(const struct control *control, struct control_stats *stats);

/* ---- audit ---- */

/* Of what a command did or was refused; strings are copied, NULL is left out. Never a body, never a lease. */
struct audit_entry {
    const char *what; /* "command", "refused"; acts of control write their own */
    const char *application, *door, *agent, *user, *command, *object, *service, *operation;
    const char *outcome; /* "done", "notDone", "unknown" */
    const char *problem; /* slug */
    const char *fault;
    uint64_t fence; /* 0: none */
};
/* The entry with its "time": a new reference for durable_append. */
json_t *audit_entry_json(const struct audit_entry *entry);

#endif
