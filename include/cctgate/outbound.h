/*
 * The client of the CCMM Outbound Web Services: one login, one session key, ten operations. The owner's thread, but where it says
 * otherwise.
 *
 * It has an upstream of its own, since the services are another server's. The key is asked for when the first call needs one, by one
 * login at a time, and is put where the schema of each operation has an element `sessionKey`, in whatever case. The contact centre
 * allows one login per user (operations.md, OutboundLogin): somebody else's is reported, or ended where outbound.takeOver is on. A key
 * that a crash has left is known to the next start. Wrong credentials are not tried again before a back-off has passed, which grows, so
 * that asking does not lock the account. A key that is no longer good is renewed once; a read is repeated then, a command never is.
 *
 * Append and close may be called once per second (operations.md): whoever calls them takes a turn first. There is one line for both.
 */
#ifndef CCTGATE_OUTBOUND_H
#define CCTGATE_OUTBOUND_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cctgate/codec.h"
#include "cctgate/config.h"
#include "cctgate/contract.h"
#include "cctgate/loop.h"

struct outbound;
struct durable;
struct sessions;

/* The services, as the contract names them. */
#define OUTBOUND_UTILITY  "OutboundUtilityWS"
#define OUTBOUND_CAMPAIGN "OutboundCampaignWS"
#define OUTBOUND_CONTACT  "OutboundContactWS"

struct outbound_settings {
    struct loop *loop;
    struct config *config;
    const struct contract *contract;
    struct durable *durable;   /* where the key is kept over a crash; NULL: nowhere */
    struct sessions *sessions; /* whose journal's key seals it; NULL: nowhere */
};

/* *outbound is NULL, and CG_OK, where outbound.url is not set or the contract has not the services. */
int outbound_new(struct outbound **outbound, const struct outbound_settings *settings, char *error,
                 size_t error_size);
/* Other credentials are tried at once. */
void outbound_configure(struct outbound *outbound, struct config *config);
/* Nothing more is called but the logoff; `on_done` is told within timeout_ms, at once where nobody is logged in. NULL: told at once. */
void outbound_log_off(struct outbound *outbound, unsigned timeout_ms, void (*on_done)(void *data),
                      void *data);
/* The upstream ends: what was under way is answered by the next delivery of the loop's mailbox. */
void outbound_detach(struct outbound *outbound);
void outbound_free(struct outbound **outbound);

/* ---- calls ---- */

/* What a failure comes from, where that is known. */
enum outbound_reason {
    OUTBOUND_OTHER, /* rc says it all */
    OUTBOUND_IN_USE, /* rc CG_E_DENIED: somebody is logged in as the configured user, and takeOver is off */
    OUTBOUND_DENIED, /* rc CG_E_DENIED: the credentials are not taken; retry_after_ms says until when nobody tries */
    OUTBOUND_EXPIRED, /* rc CG_E_SESSION: the key was not good any more: a command was not done. The next call has a new one */
    OUTBOUND_TOO_FAST /* rc CG_E_FAULT: append or close came too soon after another: it was not done */
};

struct outbound_outcome {
    int rc; /* CG_OK; CG_E_FAULT: the contact centre refused, so nothing was done; else as of upstream.h, and CG_E_INVALID: `error` */
    enum outbound_reason reason;
    const struct contract_operation *op;
    json_t *result;                  /* CG_OK: as codec.h decodes it; borrowed */
    const struct codec_fault *fault; /* CG_E_FAULT, and of a login that failed; or NULL */
    const struct codec_error *error; /* or NULL */
    int64_t retry_after_ms;          /* 0: nobody knows */
    int unknown; /* whether the contact centre did it is not known: a command must not be repeated */
};
typedef void (*outbound_done)(void *data, const struct outbound_outcome *outcome);

/* NULL: the contract has not the operation. */
const struct contract_operation *outbound_operation(const struct outbound *outbound,
                                                    const char *service, const char *operation);
/* 1: the request has this member, such as "priority". */
int outbound_has_member(const struct contract_operation *op, const char *member);

/*
 * Calls `op` with `arguments` as codec.h has them (a reference is taken), without the key, which is added. `done` is told once, never from
 * within this function. `command`: it changes something, and is sent once at most.
 */
void outbound_call(struct outbound *outbound, const struct contract_operation *op,
                   json_t *arguments, int command, const char *traceparent, outbound_done done,
                   void *data);

/* ---- turns: at most one call of append and close every outbound.intervalMs ---- */

struct outbound_turn {
    struct outbound_turn *next;
    enum { TURN_NONE, TURN_WAITS, TURN_TAKEN } state;
    void (*on_turn)(struct outbound_turn *turn); /* never from within outbound_turn_ask */
};
/* First come, first served; whoever has many calls to make asks for one turn at a time, so that nobody is starved. */
void outbound_turn_ask(struct outbound *outbound, struct outbound_turn *turn);
/* It is not wanted any more, or (when it was taken) its call has ended, whatever became of it: the interval begins now. */
void outbound_turn_end(struct outbound *outbound, struct outbound_turn *turn);

/* ---- what there is ---- */

struct outbound_stats {
    uint64_t calls, failures, logins, login_failures, takeovers, renewals, turns;
    uint64_t turns_waiting; /* the one that is taken is not among them */
    int logged_in;
};
void outbound_get_stats(const struct outbound *outbound, struct outbound_stats *stats);

/*
 * The campaign of that id as GetCampaigns tells it, in the form of outbound_shape.h: `done` is told CG_OK with it; CG_E_NOTFOUND: there
 * is no active campaign of this id; else why nobody knows. What was told lately is told again; `anew`: the contact centre is asked in
 * any case.
 */
typedef void (*outbound_campaign_done)(void *data, json_t *campaign,
                                       const struct outbound_outcome *outcome);
void outbound_campaign(struct outbound *outbound, int64_t id, int anew, outbound_campaign_done done,
                       void *data);

#endif
