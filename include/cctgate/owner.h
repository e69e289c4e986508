/*
 * The owner: the one thread that owns every mutable thing (sessions, the model, the store's writer) and decides every upstream
 * call. Others send it messages and are answered by messages; nothing of it is shared but the store's committed pages and
 * the atomics that session.h names.
 */
#ifndef CCTGATE_OWNER_H
#define CCTGATE_OWNER_H

#include "cctgate/config.h"
#include "cctgate/consumer.h"
#include "cctgate/contract.h"
#include "cctgate/mailbox.h"
#include "cctgate/model.h"
#include "cctgate/policy.h"
#include "cctgate/session.h"
#include "cctgate/store.h"
#include "cctgate/upstream.h"

struct owner;

struct owner_settings {
    struct config *config;
    const struct contract *contract;
    struct store *store;
    struct store_opened opened;
    struct consumer *consumer; /* bound; NULL: no events are taken. Outlives the owner */
    /*
     * A new policy (tokens and what they may see) is in force. Owner's thread; takes a reference if it keeps it. `told` is to be sent to
     * `to` when it is in force everywhere.
     */
    void (*on_policy)(void *data, struct policy *policy, struct message *told, struct mailbox *to);
    /* A configuration that owner_reload gave is in force, or (not CG_OK) the one before it still is. Owner's thread; NULL: nobody minds. */
    void (*on_reloaded)(void *data, int rc);
    /* Events that were committed, in order; borrowed. Owner's thread. */
    void (*on_events)(void *data, struct event *const *events, size_t num_events);
    void *data;
};

/* Opens the upstream, resolves users, starts the thread. `error` says why not. */
int owner_start(struct owner **owner, const struct owner_settings *settings, char *error,
                size_t error_size);
/* Logs off every session (bounded), ends the thread, frees. Fronts must no longer send. */
void owner_stop(struct owner **owner);

/* ---- messages to the owner; any thread ---- */

struct owner_fetch {
    struct message message; /* set by owner_fetch_send; on_deliver of the reply is `on_reply` */
    struct fetch_waiter waiter;
    struct owner *owner;
    struct mailbox *reply_to; /* NULL: nobody waits, the owner frees it */
    void (*on_reply)(
        struct message *
            message); /* runs where reply_to is delivered; owns the struct, calls owner_fetch_free */
    void *data;
    struct fetch_outcome *outcome; /* out; one reference */
    enum record_kind kind;
    int anew; /* what events keep fresh is asked for, too */
    size_t id_length;
    char traceparent[64];
    char id[CG_ID_BYTES_MAX];
};
/* malloc'ed; NULL without memory or when the id is too long */
struct owner_fetch *owner_fetch_new(enum record_kind kind, const char *id, size_t id_length);
void owner_fetch_free(struct owner_fetch **fetch);
void owner_fetch_send(struct owner *owner, struct owner_fetch *fetch);

/* A question that only the owner can answer: `run` is called on its thread and leaves its answer in `result`. */
struct owner_query {
    struct message message;
    struct owner *owner;
    struct mailbox *reply_to;
    void (*on_reply)(struct message *message); /* owns the struct: json_decref(result), free */
    void *data;
    struct policy
        *policy; /* whose access decides what is told; one reference or NULL, dropped by on_reply */
    const struct access *access;
    json_t *(*run)(struct owner *owner, const struct owner_query *query);
    json_t *result;
};
void owner_query_send(struct owner *owner, struct owner_query *query);

/*
 * One reading operation of the contract, in the session of a user: called, unless events keep just what it would answer. What it names and the
 * user does not see is CG_E_NOTFOUND, and it is not called.
 */
struct owner_call {
    struct message message;
    struct owner *owner;
    struct mailbox *reply_to;
    void (*on_reply)(struct message *message); /* owns the struct, calls owner_call_free */
    void *data;
    const struct contract_operation *op;
    json_t *arguments; /* one reference */
    uint32_t user;
    int anew; /* called in any case */
    char traceparent[64];
    struct fetch_waiter
        waiter;   /* the owner's, while it reads whether the user sees what is named */
    json_t *read; /* the owner's: what has been read for that */
    int recalled; /* out: it was not called */
    struct fetch_outcome *outcome; /* out; one reference */
    json_t *result;                /* out; CG_OK: one reference */
};
void owner_call_free(struct owner_call **call);
void owner_call_send(struct owner *owner, struct owner_call *call);

/*
 * An operator moves all sessions to another endpoint (DESIGN section 4): written down with its audit entry, then done, then answered.
 * `endpoint` is the name of one, or a role, which stands for the first of that role.
 */
struct owner_failover {
    struct message message;
    struct owner *owner;
    struct mailbox *reply_to;
    void (*on_reply)(struct message *message); /* owns the struct: json_decref(result), free */
    void *data;
    char endpoint[CG_ID_BYTES_MAX + 1];
    char application[CG_ID_BYTES_MAX + 1];    /* who asks */
    char reason[CG_CONTROL_REASON_BYTES + 1]; /* the operator's words; "": none */
    unsigned index;                           /* the owner's */
    int rc; /* out: CG_OK; CG_E_NOTFOUND: there is no such endpoint; CG_E_FULL, CG_E_IO: it could not be written down, and nothing was done */
    json_t
        *result; /* out; CG_OK: {"endpoint","role","changed"}; CG_E_NOTFOUND: the names there are */
};
void owner_failover_send(struct owner *owner, struct owner_failover *failover);

/* When the owner's loop last turned (monotonic ms); it does at least once a second. Any thread. */
int64_t owner_last_turn_ms(const struct owner *owner);

/* Puts a new configuration in force. Takes a reference. Any thread. */
void owner_reload(struct owner *owner, struct config *config);

/* What must not be lost, the audit log among it. Any thread. */
struct durable;
struct durable *owner_durable(struct owner *owner);

/* ---- for `run`: the owner's thread ---- */
struct control;
struct control *owner_control(struct owner *owner);
json_t *owner_describe_sessions(struct owner *owner,
                                const struct owner_query *query); /* {"items": [...]} */
json_t *owner_describe_capacity(struct owner *owner, const struct owner_query *query);
json_t *
owner_describe_readiness(struct owner *owner,
                         const struct owner_query *query); /* {"status","reasons":[...],...} */
json_t *owner_describe_metrics(struct owner *owner,
                               const struct owner_query *query); /* {"name": number, ...} */

#endif
