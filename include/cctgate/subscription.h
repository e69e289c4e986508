/*
 * Upstream subscriptions: one per session that is up (DOMAIN section 5, rules 4, 8, 10 to 15, 22). Owner's thread only.
 *
 * Life: the session comes up; Subscribe (NotificationProducer with all listeners, all policy flags and a lease, or UserService as
 * the configuration says) with the consumer's address; from the answer on the subscription's id is known and its events are taken:
 * on_subscribed tells it, so that reading begins after that (DOMAIN 5.13). It is renewed before its lease ends. It is lost with its
 * session, by a system event, or when it cannot be renewed; then it is made again, the old one is unsubscribed, and what still comes
 * under the old id is dropped and counted.
 *
 * Notify: the consumer endpoint hands over bodies (consumer_take); they are decoded by the contract here. A message counts only
 * when it came to the subscription's own secret path, its SubscriptionId is that subscription's, and its SessionId is the one
 * that the first such message told. Each message of a batch stands for itself: one that is bad costs none of the others.
 */
#ifndef CCTGATE_SUBSCRIPTION_H
#define CCTGATE_SUBSCRIPTION_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cctgate/config.h"
#include "cctgate/contract.h"
#include "cctgate/loop.h"
#include "cctgate/mailbox.h"
#include "cctgate/session.h"

struct subscriptions;

struct subscriptions_settings {
    struct loop *loop;
    const struct contract *contract;
    struct config *config;
    const char *
        base_url; /* where the consumer is reached from the contact centre: "http://gateway.example:9091" */
    /* The subscription of a session is active: what is read from now on is brought up to date by its events. */
    void (*on_subscribed)(void *data, struct session *session);
    /* It is not any more (`why`: "session lost", ...): what it covered is not live. Also runs after on_subscribed of a successor never ran. */
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
void subscriptions_free(struct subscriptions **subscriptions);
void subscriptions_configure(struct subscriptions *subscriptions, struct config *config);

void subscriptions_session_up(struct subscriptions *subscriptions, struct session *session);
void subscriptions_session_down(struct subscriptions *subscriptions,
                                struct session *session); /* lost, or removed */

/* A Notify body as it came; takes `body` (malloc'd). `secret` is the path's last segment. Owner's thread. */
void subscriptions_notify(struct subscriptions *subscriptions, const char *secret, char *body,
                          size_t length);

struct subscriptions_stats {
    size_t active;
    uint64_t notifies, messages, undecodable, unknown, retired, foreign_session, subscribes,
        renewals, failures;
};
void subscriptions_get_stats(const struct subscriptions *subscriptions,
                             struct subscriptions_stats *stats);

#endif
