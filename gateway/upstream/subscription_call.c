/* Subscribe, Renew and Unsubscribe, and what their answers mean. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "cctgate/timestamp.h"
#include "gateway/upstream/subscription_names.h"
#include "gateway/upstream/subscription_private.h"

#define RENEW_AGAIN_MS 1000

static struct session *session_of(const struct subscription *subscription)
{
    return subscription->of != NULL ? subscription->of->session : NULL;
}

/* ---- the end of a lease ---- */

/* How far their clock is ahead of the steady one; until that is known they are taken to have our wall clock's time. */
static int64_t skew_of(const struct subscriber *subscriber)
{
    return subscriber->skew_is_known ? subscriber->skew_ms : clock_told_ms(0);
}

static void take_end(struct subscription *subscription, int64_t their_end_ms)
{
    struct subscriber *subscriber = subscription->of;
    int64_t now = clock_steady_ms();

    subscription->until_ms = their_end_ms - skew_of(subscriber);
    timer_arm(subscriber->all->settings.loop, &subscriber->renewal,
              terms_renew_in(now, subscription->until_ms));
}

static int64_t member_time(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    int64_t ms;
    return text != NULL && timestamp_parse(text, TIMESTAMP_DATE_TIME, &ms) == CG_OK ? ms : 0;
}

static int64_t wanted_end(const struct subscriber *subscriber)
{
    return terms_end(clock_steady_ms(), skew_of(subscriber),
                     subscriber->all->config->upstream.lease_ms, &subscriber->bounds);
}

/* The fault names what would have been accepted. 1: there is something to be learned from it. */
static int learn_bounds(struct subscriber *subscriber, const struct codec_fault *fault)
{
    int64_t minimum, maximum, now = clock_steady_ms() + skew_of(subscriber);

    if (fault == NULL || fault->name == NULL || strcmp(fault->name, FAULT_UNACCEPTABLE_END) != 0)
        return 0;
    minimum = member_time(fault->detail, NAME_END_MINIMUM);
    maximum = member_time(fault->detail, NAME_END_MAXIMUM);
    subscriber->bounds.minimum_ms = minimum != 0 ? minimum - now : 0;
    subscriber->bounds.maximum_ms = maximum != 0 ? maximum - now : 0;
    return minimum != 0 || maximum != 0;
}

/* Bounds were told as times and are kept as lengths from their now, as far as it was known. */
static void learn_skew(struct subscriber *subscriber, int64_t skew_ms)
{
    int64_t more = skew_ms - skew_of(subscriber);

    subscriber->skew_ms = skew_ms;
    subscriber->skew_is_known = 1;
    if (subscriber->bounds.minimum_ms != 0)
        subscriber->bounds.minimum_ms -= more;
    if (subscriber->bounds.maximum_ms != 0)
        subscriber->bounds.maximum_ms -= more;
}

/* ---- Unsubscribe ---- */

static void on_unsubscribed(void *data, const struct session_outcome *outcome)
{
    struct subscription *subscription = data;
    if (outcome->rc != CG_OK)
        log_write(LOG_LEVEL_DEBUG, "unsubscribeFailed", "A subscription that is over was not ended",
                  LOG_S("reason", cg_error_name(outcome->rc)),
                  LOG_S("fault", outcome->fault != NULL ? outcome->fault->name : NULL));
    if (outcome->rc != CG_OK && outcome->rc != CG_E_FAULT)
        subscription->orphan = 1; /* tried again when it tells something again */
    subscription_drop(subscription);
}

int subscription_unsubscribe(struct subscription *subscription)
{
    struct subscriptions *all = subscription->all;
    struct session *session = session_of(subscription);

    if (session == NULL || subscription->reference == NULL || !session_is_up(session) ||
        session_endpoint_index(session) != subscription->endpoint)
        return 0;
    ++all->stats.unsubscribes;
    session_call(session, all->ways[subscription->way].unsubscribe, subscription->reference, 1,
                 NULL, on_unsubscribed, subscription_hold(subscription));
    return 1;
}

void subscription_drop_leftovers(struct subscriber *subscriber)
{
    struct subscription *left;
    while ((left = subscriber->leftovers) != NULL) {
        subscriber->leftovers = left->leftover_next;
        left->leftover_next = NULL;
        subscription_drop(left);
    }
}

static void unsubscribe_leftovers(struct subscriber *subscriber)
{
    struct subscription *left;
    for (left = subscriber->leftovers; left != NULL; left = left->leftover_next)
        subscription_unsubscribe(left);
    subscription_drop_leftovers(subscriber);
}

/* ---- Renew ---- */

/* A successor is made while this one still tells; it ends with its lease if that takes too long. */
static void replace(struct subscription *subscription)
{
    struct subscriber *subscriber = subscription->of;
    int64_t left = subscription->until_ms - clock_steady_ms();

    subscription->renewals_refused = 1;
    if (subscription->until_ms != 0)
        timer_arm(subscriber->all->settings.loop, &subscriber->renewal, left > 0 ? left : 0);
    subscriber_attempt(subscriber, 0);
}

static void renewed(struct subscription *subscription, const json_t *result)
{
    struct subscriber *subscriber = subscription->of;
    int64_t end = member_time(result, NAME_END), theirs = member_time(result, NAME_SERVER_TIME);

    ++subscriber->all->stats.renewals;
    if (theirs != 0)
        learn_skew(subscriber, theirs - clock_steady_ms());
    take_end(subscription, end != 0 ? end : wanted_end(subscriber));
}

static void not_renewed(struct subscription *subscription, const struct session_outcome *outcome)
{
    struct subscriber *subscriber = subscription->of;
    const char *fault = outcome->fault != NULL ? outcome->fault->name : NULL;

    ++subscriber->all->stats.failures;
    log_write(LOG_LEVEL_WARNING, "renewFailed", "A subscription could not be renewed",
              LOG_S("user", session_user(subscriber->session)),
              LOG_S("reason", cg_error_name(outcome->rc)), LOG_S("fault", fault));
    if (outcome->rc != CG_E_FAULT)
        timer_arm(subscriber->all->settings.loop, &subscriber->renewal, RENEW_AGAIN_MS);
    else if (fault != NULL && strcmp(fault, FAULT_UNKNOWN) == 0)
        subscription_lose(subscription, "subscription unknown upstream", 0);
    else if (!subscription->renewals_refused && learn_bounds(subscriber, outcome->fault)) {
        subscription->renewals_refused = 1;
        subscription_renew(subscription);
    } else
        replace(subscription);
}

static void on_renewed(void *data, const struct session_outcome *outcome)
{
    struct subscription *subscription = data;

    if (subscription->state == SUBSCRIPTION_ACTIVE && !subscription->all->detached) {
        if (outcome->rc == CG_OK) {
            subscription->renewals_refused = 0;
            subscription->end_announced = 0;
            renewed(subscription, outcome->result);
        } else {
            not_renewed(subscription, outcome);
        }
    }
    subscription_drop(subscription);
}

void subscription_renew(struct subscription *subscription)
{
    struct subscriptions *all = subscription->all;
    struct subscriber *subscriber = subscription->of;
    const struct contract_operation *renew = all->ways[subscription->way].renew;
    char end[TIMESTAMP_BYTES];
    json_t *arguments;

    if (renew == NULL) {
        replace(subscription);
        return;
    }
    timestamp_print(end, wanted_end(subscriber));
    if ((arguments = json_copy(subscription->reference)) == NULL)
        abort();
    json_object_set_new(arguments, NAME_END, json_string(end));
    session_call(subscriber->session, renew, arguments, 1, NULL, on_renewed,
                 subscription_hold(subscription));
    json_decref(arguments);
}

void subscription_on_renewal(struct timer *timer)
{
    struct subscriber *subscriber =
        (struct subscriber *)((char *)timer - offsetof(struct subscriber, renewal));
    struct subscription *active = subscriber->active;

    if (active == NULL)
        return;
    if (active->until_ms != 0 && active->until_ms <= clock_steady_ms())
        subscription_lose(active, "lease ended", 1);
    else
        subscription_renew(active);
}

/* ---- Subscribe ---- */

/* CG_OK: what names the subscription from now on. */
static int take_producer(struct subscription *subscription, json_t *result)
{
    json_t *reference = json_object_get(result, NAME_REFERENCE);
    const char *id = json_string_value(json_object_get(reference, NAME_SUBSCRIPTION_ID));

    if (id == NULL || *id == '\0')
        return CG_E_PROTOCOL;
    if ((subscription->id = strdup(id)) == NULL)
        return CG_E_NOMEM;
    subscription->reference = json_pack("{s:O}", NAME_REFERENCE, reference);
    return CG_OK;
}

static int take_user(struct subscription *subscription, json_t *result)
{
    json_t *reference = json_object_get(result, NAME_REF);
    const char *text = json_string_value(reference);
    const char *id = text != NULL ? terms_id(text, subscription->url) : NULL;

    if (id == NULL)
        return CG_E_PROTOCOL;
    if ((subscription->id = strdup(id)) == NULL)
        return CG_E_NOMEM;
    subscription->reference = json_pack("{s:O}", NAME_REF, reference);
    return CG_OK;
}

static void begin_lease(struct subscription *subscription)
{
    if (subscription->until_ms != 0)
        take_end(subscription, subscription->until_ms + skew_of(subscription->of));
    else if (subscription->all->ways[subscription->way].renew != NULL)
        subscription_renew(subscription);
}

/* After a crash it is known that this one was there. */
static void keep_note(struct subscription *subscription)
{
    json_t *note = json_pack("{s:s, s:O}", "way", subscription->all->ways[subscription->way].name,
                             "reference", subscription->reference);
    if (note != NULL)
        session_set_note(subscription->of->session, note);
    json_decref(note);
}

static void activate(struct subscription *subscription)
{
    struct subscriptions *all = subscription->all;
    struct subscriber *subscriber = subscription->of;
    struct subscription *old = subscriber->active;
    int kept = subscription->suspended;

    if (old != NULL)
        subscription_retire(old, 1);
    subscriber->pending = NULL;
    subscriber->active = subscription;
    subscriber->excused = 0;
    subscription->state = SUBSCRIPTION_ACTIVE;
    subscription->suspended = 0;
    if (!kept)
        subscription->since_ms = clock_steady_ms();
    subscription->active_at_ms = all->settings.loop->now_ms;
    ++all->stats.active;
    log_write(LOG_LEVEL_INFO, "subscribed", "Events are taken from the contact centre",
              LOG_S("user", session_user(subscriber->session)),
              LOG_S("way", all->ways[subscription->way].name), LOG_B("kept", kept));
    begin_lease(subscription);
    if (!kept)
        ha_listen(subscription);
    keep_note(subscription);
    unsubscribe_leftovers(subscriber);
    all->settings.on_subscribed(all->settings.data, subscriber->session);
    subscription_release_held(subscription, 1);
    subscriber_forget_told(subscriber);
}

/* ---- after an outage ---- */

static void on_proven(void *data, const struct session_outcome *outcome)
{
    struct subscription *subscription = data;
    struct subscriber *subscriber = subscription->of;
    int64_t end;

    if (subscription->state == SUBSCRIPTION_PENDING && subscription->suspended &&
        !subscription->all->detached && session_is_up(subscriber->session)) {
        if (outcome->rc == CG_OK) {
            end = member_time(outcome->result, NAME_END);
            subscription->until_ms =
                (end != 0 ? end : wanted_end(subscriber)) - skew_of(subscriber);
            ++subscription->all->stats.kept;
            activate(subscription);
        } else { /* it may live all the same, and is ended when its successor is there */
            subscription_retire(subscription, 1);
            subscriber_attempt(subscriber, 0);
        }
    }
    subscription_drop(subscription);
}

void subscription_prove(struct subscription *subscription)
{
    struct subscriptions *all = subscription->all;
    json_t *arguments = json_copy(subscription->reference);
    char end[TIMESTAMP_BYTES];

    if (arguments == NULL)
        abort();
    timestamp_print(end, wanted_end(subscription->of));
    json_object_set_new(arguments, NAME_END, json_string(end));
    session_call(subscription->of->session, all->ways[subscription->way].renew, arguments, 1, NULL,
                 on_proven, subscription_hold(subscription));
    json_decref(arguments);
}

/* No answer, or one that says nothing: the subscription may exist. */
static int is_outcome_unknown(int rc)
{
    return rc != CG_E_FAULT && rc != CG_E_REFUSED && rc != CG_E_SESSION && rc != CG_E_SHUTDOWN &&
           rc != CG_E_BUSY && rc != CG_E_INVALID && rc != CG_E_TLS;
}

static void not_subscribed(struct subscription *subscription, int rc,
                           const struct session_outcome *outcome)
{
    struct subscriptions *all = subscription->all;
    struct subscriber *subscriber = subscription->of;
    int64_t wait = subscription_backoff(++subscriber->failures);

    ++all->stats.failures;
    log_write(LOG_LEVEL_WARNING, "subscribeFailed", "Could not subscribe to events",
              LOG_S("user", session_user(subscriber->session)), LOG_S("reason", cg_error_name(rc)),
              LOG_S("fault", outcome->fault != NULL ? outcome->fault->name : NULL),
              LOG_I("retryAfterMs", wait));
    subscription_retire(subscription, 0);
    learn_bounds(subscriber, rc == CG_E_FAULT ? outcome->fault : NULL);
    if (subscriber->active == NULL && !subscriber->excused) {
        subscriber->excused = 1;
        all->settings.on_unsubscribed(all->settings.data, subscriber->session, "not subscribed");
    }
    if (rc == CG_E_FAULT)
        session_prove(subscriber->session); /* the producer has no fault that says so for sure */
    if (session_is_up(subscriber->session))
        subscriber_attempt(subscriber, wait);
}

static void on_subscribed(void *data, const struct session_outcome *outcome)
{
    struct subscription *subscription = data;
    struct subscriptions *all = subscription->all;
    int rc = outcome->rc;

    if (rc == CG_OK)
        rc = subscription->way == WAY_PRODUCER ? take_producer(subscription, outcome->result)
                                               : take_user(subscription, outcome->result);
    subscription->orphan = is_outcome_unknown(rc) && rc != CG_OK;
    if (all->detached || subscription->of == NULL)
        ;
    else if (subscription->state == SUBSCRIPTION_PENDING && rc == CG_OK)
        activate(subscription);
    else if (subscription->state == SUBSCRIPTION_PENDING)
        not_subscribed(subscription, rc, outcome);
    else if (session_is_up(subscription->of->session)) /* it was down meanwhile */
        subscription_unsubscribe(subscription);
    else if (subscription->reference != NULL)
        subscription_leave_over(subscription);
    subscription_drop(subscription);
}

static json_t *producer_arguments(struct subscription *subscription)
{
    struct subscriber *subscriber = subscription->of;
    const struct way_row *row = &subscription->all->ways[WAY_PRODUCER];
    json_t *arguments = json_copy(row->template);
    char end[TIMESTAMP_BYTES];

    json_object_set_new(
        arguments, NAME_CONSUMER_REFERENCE,
        json_pack("{s:s, s:s}", NAME_ADDRESS, subscription->url, NAME_SUBSCRIPTION_ID, ""));
    /* every second failure in a row is tried without an end: clocks that differ by more than a lease would never agree on one */
    if (!terms_has(row->schema, NAME_FIRST_END) || subscriber->failures % 2 == 1)
        return arguments;
    timestamp_print(end, wanted_end(subscriber));
    subscription->until_ms = wanted_end(subscriber) - skew_of(subscriber);
    json_object_set_new(arguments, NAME_FIRST_END, json_string(end));
    return arguments;
}

static struct subscription *subscription_new(struct subscriber *subscriber)
{
    struct subscriptions *all = subscriber->all;
    struct subscription *subscription = calloc(1, sizeof(*subscription));
    char secret[2 * CONSUMER_SECRET_BYTES + 1];

    if (subscription == NULL)
        abort();
    subscription->all = all;
    subscription->of = subscriber;
    subscription->way = subscription_way(all);
    subscription->endpoint = session_endpoint_index(subscriber->session);
    subscription->generation = session_generation(subscriber->session);
    subscription->held_end = &subscription->held;
    if (consumer_make_secret(secret, subscription->digest) != CG_OK ||
        asprintf(&subscription->url, "%s/%s", consumer_url(all->settings.consumer), secret) < 0 ||
        consumer_admit(all->settings.consumer, subscription->digest) != CG_OK)
        abort();
    explicit_bzero(secret, sizeof(secret));
    subscription_hold(subscription);
    HASH_ADD(hh, all->by_digest, digest, sizeof(subscription->digest), subscription);
    return subscription;
}

void subscription_start(struct subscriber *subscriber)
{
    struct subscriptions *all = subscriber->all;
    struct subscription *subscription = subscription_new(subscriber);
    json_t *arguments = subscription->way == WAY_PRODUCER
                            ? producer_arguments(subscription)
                            : json_pack("{s:s}", NAME_ENDPOINT, subscription->url);

    if (arguments == NULL)
        abort();
    subscriber->pending = subscription;
    ++all->stats.subscribes;
    session_call(subscriber->session, all->ways[subscription->way].subscribe, arguments, 1, NULL,
                 on_subscribed, subscription_hold(subscription));
    json_decref(arguments);
}
