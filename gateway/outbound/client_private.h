/* What the files of the Outbound client share. The owner's thread. */
#ifndef CCTGATE_OUTBOUND_CLIENT_PRIVATE_H
#define CCTGATE_OUTBOUND_CLIENT_PRIVATE_H

#include "cctgate/freshness.h"
#include "cctgate/outbound.h"
#include "cctgate/upstream.h"
#include "gateway/outbound/fault.h"

#define OUTBOUND_TAKEOVERS_MAX 3 /* logoffs in one attempt to log in */

enum login_state {
    LOGIN_NONE,      /* the next call logs in, when it may */
    LOGIN_UNDER_WAY, /* calls wait */
    LOGIN_UP,        /* there is a key */
    LOGIN_LEAVING,   /* nothing is called any more but the logoff */
    LOGIN_LEFT       /* nor that */
};

/* A call that has not been answered. */
struct outbound_pending {
    struct outbound_pending *next; /* of those that wait for the login */
    struct outbound *outbound;
    const struct contract_operation *op;
    json_t *arguments;
    int command, repeated;
    unsigned generation;       /* of the key it was sent with */
    enum outbound_fault fault; /* what was meant by the last one */
    char traceparent[64];
    outbound_done done;
    void *data;
};

/* Who waits for the campaigns. */
struct campaigns_waiter {
    struct campaigns_waiter *next;
    void (*on_done)(struct campaigns_waiter *waiter, const struct outbound_outcome *outcome);
};

/* What GetCampaigns told last. */
struct campaigns {
    json_t *items; /* as clients see them; NULL: nothing yet */
    int64_t fetched_at_ms, expires_at_ms;
    struct freshness_source source;
    int fetching;
    struct campaigns_waiter *waiting, **waiting_end;
};

struct turns {
    struct outbound_turn *first, **end, *taken;
    int64_t last_ms; /* when the last call that took one ended */
    struct timer timer;
    uint64_t waiting, total;
};

struct outbound {
    struct loop *loop;
    struct config *config;
    const struct contract *contract;
    struct durable *durable;
    struct sessions *sessions;
    struct upstream *upstream;
    const struct contract_operation *login_op, *logoff_op, *campaigns_op;

    enum login_state state;
    char *key;      /* LOGIN_UP */
    char *doubtful; /* the key before, while a login finds out whether it was good; or NULL */
    char *user;     /* whose key it is */
    char *password; /* that is being tried: a reload may bring another meanwhile; or NULL */
    unsigned generation;
    unsigned takeovers, denials, failures;
    int is_leaving; /* the login that is under way is not wanted any more */
    int64_t
        not_before_ms; /* monotonic: until then nobody logs in, and calls fail as the last login did */
    int64_t doubt_after_ms;
    int last_rc;
    enum outbound_reason last_reason;
    struct codec_fault *last_fault;
    struct outbound_pending *waiting, **waiting_end;

    size_t in_flight; /* calls on their way, but logoffs */
    struct timer leaving;
    int64_t leave_by_ms;
    void (*on_left)(void *data);
    void *on_left_data;

    struct turns turns;
    struct campaigns campaigns;
    json_t *statuses;     /* of contacts, by name: what GetContactStatus has told of them */
    size_t spooled_bytes; /* of lists that jobs hold */
    size_t asks;          /* questions that have not been answered */
    struct outbound_stats stats;
};

/* client.c */
struct upstream_call *outbound_new_call(struct outbound *outbound,
                                        const struct contract_operation *op,
                                        void (*on_deliver)(struct message *), void *data);
/* Encodes, wipes the arguments' text of `secret`, and submits; what fails is delivered as if it had been answered. */
void outbound_submit(struct outbound *outbound, struct upstream_call *call, json_t *arguments,
                     const char *secret_member, const char *secret);
void outbound_send(struct outbound_pending *pending);
void outbound_fail_later(struct outbound_pending *pending, int rc);
void outbound_finish(struct outbound_pending *pending, const struct outbound_outcome *outcome);
/* Sends it, has it wait for the login, or fails it. */
void outbound_begin(struct outbound_pending *pending);

/* login.c */
void outbound_connect(struct outbound *outbound);
/* The key of that generation is no good. */
void outbound_lose_key(struct outbound *outbound, unsigned generation);
/* It may be no good: a new one is asked for, and it is kept if the contact centre says that it has a login of the user's. */
void outbound_doubt_key(struct outbound *outbound, unsigned generation);
/* Sends the logoff of whoever is logged in; LOGIN_UP only. `on_reply` is told. */
void outbound_send_logoff(struct outbound *outbound, const char *user,
                          void (*on_reply)(struct message *));
void outbound_forget_key(struct outbound *outbound);
void outbound_login_reset(struct outbound *outbound);

/* key.c: where a crash finds the key */
void outbound_recall_key(struct outbound *outbound);
void outbound_keep_key(struct outbound *outbound);
void outbound_strike_key(struct outbound *outbound);

/* turns.c */
void outbound_turns_init(struct outbound *outbound);
/* Everybody's turn at once: nothing is called any more. */
void outbound_turns_drain(struct outbound *outbound);

/* campaigns.c */
/* The waiter is told once, never from within this function. What is on its way already will do. */
void outbound_fetch_campaigns(struct outbound *outbound, struct campaigns_waiter *waiter);
json_t *outbound_find_campaign(const struct outbound *outbound, int64_t id); /* borrowed */
struct freshness outbound_judge_campaigns(const struct outbound *outbound,
                                          const struct freshness_directives *directives,
                                          int64_t now_ms);
/* The value in a reply, which has one member: borrowed; NULL: it has none. */
json_t *outbound_value(const json_t *result);
/* The list in a value as clients see it, however deep; NULL: there is none. Borrowed. */
json_t *outbound_list(json_t *value);

#endif
