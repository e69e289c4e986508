/*
 * Upstream subscriptions: one per session that is up (DOMAIN section 5, rules 4, 8, 10 to 15, 22). Owner's thread only.
 *
 * Life: the session comes up; Subscribe (NotificationProducer with all listeners, all policy flags and a lease, or UserService as
 * the configuration says) with a secret address of the consumer; from the answer on the subscription's id is known and its events are
 * taken: on_subscribed tells it, so that reading begins after that (DOMAIN 5.13). What came before the answer is held and follows it.
 * With topology missionCritical it outlives an outage in which its session keeps its token: what comes meanwhile is held, and a Renew proves it.
 * It is renewed before its lease ends. It is lost with its session, by a system event, or when it cannot be renewed; then it is made
 * again, the old one is unsubscribed, and what still comes under the old one is dropped and counted. Where the old one lives while
 * its successor is made, what both of them tell is told once.
 *
 * Notify: the consumer endpoint hands over bodies; they are decoded by the contract here. A message counts only when it came to the
 * subscription's own secret path, its SubscriptionId is that subscription's, and its SessionId is the one that the first such message
 * told. Each message of a batch stands for itself: one that is bad costs none of the others.
 */
#ifndef CCTGATE_SUBSCRIPTION_H
#define CCTGATE_SUBSCRIPTION_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cctgate/config.h"
#include "cctgate/consumer.h"
#include "cctgate/contract.h"
#include "cctgate/loop.h"
#include "cctgate/session.h"

struct subscriptions;

struct subscriptions_settings {
    struct loop *loop;
    const struct contract *contract;
    struct config *config;
    struct consumer *consumer;
    /*
     * The subscription of a session is active: what is read from now on is brought up to date by its events. Also when a successor
     * has taken over from one that was active to the end: the seam between two is closed by reading.
     */
    void (*on_subscribed)(void *data, struct session *session);
    /*
     * It is not any more (`why`: "session lost", ...): what it covered is not live. Also once when the first attempt after the session
     * came up has failed, so that whoever waits for on_subscribed need not wait for ever.
     */
    void (*on_unsubscribed)(void *data, struct session *session, const char *why);
    /*
     * A message of a known subscription: the decoded bn:NotificationMessageHolderType, names as on the wire (Topic, Message, SessionId,
     * SubscriptionId, Timestamp), borrowed. System events come here, too, after the subscription itself has acted on them.
     */
    void (*on_message)(void *data, struct session *session, const json_t *message);
    /* All messages of a Notify have been handed over. */
    void (*on_batch_end)(void *data);
    void *data;
};

/* CG_E_INVALID: the contract lacks an operation that is needed (`error` names it). CG_E_NOMEM. */
int subscriptions_new(struct subscriptions **subscriptions,
                      const struct subscriptions_settings *settings, char *error,
                      size_t error_size);
/* After every session has gone. */
void subscriptions_free(struct subscriptions **subscriptions);
void subscriptions_configure(struct subscriptions *subscriptions, struct config *config);
/* The gateway ends: nobody is told anything any more. */
void subscriptions_detach(struct subscriptions *subscriptions);

/* To be run by sessions_settings' on_up, on_renewed, on_down and on_parting. */
void subscriptions_session_up(struct subscriptions *subscriptions, struct session *session);
void subscriptions_session_renewed(struct subscriptions *subscriptions, struct session *session);
void subscriptions_session_down(struct subscriptions *subscriptions, struct session *session,
                                const char *why);
void subscriptions_session_parting(struct subscriptions *subscriptions, struct session *session);

/* A Notify as it came; takes it. */
void subscriptions_notify(struct subscriptions *subscriptions, struct consumer_notify *notify);

/* {"state": "none" | "subscribing" | "active", "way": "producer" | "user", "since", "until"}: times, or null. New reference. */
json_t *subscriptions_describe(struct subscriptions *subscriptions, const struct session *session);

struct subscriptions_stats {
    size_t active;
    uint64_t notifies, messages;
    uint64_t undecodable; /* messages, or whole bodies, that are not what the contract says */
    uint64_t unknown; /* under another subscription's id, or to a secret that is over for long */
    uint64_t retired; /* under a subscription that is over */
    uint64_t foreign_session; /* under another session's id than the first message told */
    uint64_t duplicates;      /* told by a subscription and its successor */
    uint64_t overflows;       /* not held, since too much came before the subscription's id */
    uint64_t subscribes, renewals, unsubscribes, failures;
    uint64_t kept;                     /* that outlived an outage */
    uint64_t ha_listeners, ha_notices; /* asked for, and told */
};
void subscriptions_get_stats(const struct subscriptions *subscriptions,
                             struct subscriptions_stats *stats);

#endif
