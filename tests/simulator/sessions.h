/*
 * CCT sessions (DOMAIN section 2) and subscriptions (section 5.2): tokens, the sliding timer, and who listens. Nothing is
 * delivered here; whoever delivers walks the subscriptions from a sink of sim_emit.
 */
#ifndef CCTSIM_SESSIONS_H
#define CCTSIM_SESSIONS_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "world.h"

struct session;
TAILQ_HEAD(session_list, session);
TAILQ_HEAD(subscription_list, subscription);

struct session {
    char token[GUID_BYTES];
    char id[GUID_BYTES]; /* the SessionId of notifications */
    struct user *user;
    uint64_t used_ms; /* monotonic */
    TAILQ_ENTRY(session) link;
};

enum { POLICY_FLAGS = 5 };

struct subscription {
    char id[GUID_BYTES];
    char *reference; /* what UserService answered; NULL for NotificationProducer's */
    char *consumer;
    struct session *session;
    xmlDoc *topic;             /* the TopicExpression as it came; NULL = everything the user sees */
    bool policy[POLICY_FLAGS]; /* in the contract's order */
    int64_t ends_ms;           /* wall clock; 0 = with the session */
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
void session_end(struct session *session, const char *why);
/* Ends the sessions of `user`, "*" for all; returns how many. */
size_t sessions_kill(const char *user);
size_t sessions_count(void);

/* A subscription of `session`; takes `topic`, copies the rest. */
struct subscription *subscription_new(struct session *session, const char *consumer, xmlDoc *topic);
/* By id or by reference; only the user's own. */
struct subscription *subscription_find(const struct user *user, const char *name);
void subscription_end(struct subscription *subscription);

#endif
