/*
 * CCT sessions (DOMAIN section 2) and subscriptions (section 5.2): tokens, the sliding timer, leases, and who listens. What
 * they are told goes through notify.h.
 */
#ifndef CCTSIM_SESSIONS_H
#define CCTSIM_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "world.h"

struct session;
struct topic;
struct channel;
TAILQ_HEAD(session_list, session);
TAILQ_HEAD(subscription_list, subscription);

struct session {
    char token[GUID_BYTES];
    char id[GUID_BYTES]; /* the SessionId of notifications */
    struct user *user;
    uint64_t used_ms;   /* monotonic */
    uint64_t doomed_ms; /* ends then whatever is called; 0 = no */
    bool warned;        /* its end was announced since it was last used */
    TAILQ_ENTRY(session) link;
};

/* In the contract's order. */
enum policy {
    POLICY_CONNECTION_FAILURE,
    POLICY_SESSION_TERMINATION,
    POLICY_SESSION_TERMINATION_IMMINENT,
    POLICY_SUBSCRIPTION_TERMINATION,
    POLICY_SUBSCRIPTION_TERMINATION_IMMINENT,
    POLICY_FLAGS
};

struct subscription {
    char id[GUID_BYTES];
    char *reference; /* what UserService answered; NULL for NotificationProducer's */
    char *consumer;
    struct session *session;
    char *producer;      /* host and port as the client named us */
    struct topic *topic; /* NULL = everything the user sees */
    struct channel *channel;
    bool policy[POLICY_FLAGS];
    int64_t ends_ms; /* wall clock; 0 = with the session */
    bool warned;     /* its end was announced */
    TAILQ_ENTRY(subscription) link;
};

extern struct session_list sessions;
extern struct subscription_list subscriptions;

void sessions_init(void);
void sessions_free(void);
/* NULL when user, password or domain is wrong. */
struct session *session_login(const char *user, const char *password, const char *domain);
/* NULL when the token is unknown or its time is over. */
struct session *session_find(const char *token);
void session_touch(struct session *session);
/* Tells the consumers why, unless `why` is NULL: then it ends in silence. `info` is free text. */
void session_end(struct session *session, const char *why, const char *info);
/* Ends the sessions of `user`, "*" for all; returns how many. */
size_t sessions_kill(const char *user, bool silently);
size_t sessions_count(void);

/* A subscription of `session` for as long as the longest lease; takes `topic`, copies the rest. NULL, with `topic` freed,
 * when the consumer is nothing that could be posted to. */
struct subscription *subscription_new(struct session *session, const char *consumer,
                                      const char *producer, struct topic *topic);
/* By id or by reference; only the user's own. */
struct subscription *subscription_find(const struct user *user, const char *name);
/* `discard`: the client wants nothing more; otherwise what is queued still goes out. */
void subscription_end(struct subscription *subscription, bool discard);
/* Ends because its time is over or an administrator wills it; tells why as session_end does. */
void subscription_terminate(struct subscription *subscription, const char *why, const char *info);

#endif
