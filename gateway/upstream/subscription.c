/* The life of subscriptions: when one is wanted, when one is over. */
#include "cctgate/subscription.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"
#include "cctgate/timestamp.h"
#include "gateway/upstream/subscription_names.h"
#include "gateway/upstream/subscription_private.h"

static const struct {
    const char *name, *service, *subscribe, *renew, *unsubscribe;
} way_names[WAYS] = {
    [WAY_PRODUCER] = {"producer", "NotificationProducer", "Subscribe", "Renew", "Unsubscribe"},
    [WAY_USER] = {"user", "UserService", "Subscribe", NULL, "Unsubscribe"},
};
#define NOTIFY_SERVICE   "NotificationConsumer"
#define NOTIFY_OPERATION "Notify"

/* ---- one ---- */

struct subscription *subscription_hold(struct subscription *subscription)
{
    ++subscription->references;
    return subscription;
}

void subscription_drop(struct subscription *subscription)
{
    if (--subscription->references > 0)
        return;
    subscription_release_held(subscription, 0);
    json_decref(subscription->reference);
    if (subscription->url != NULL)
        explicit_bzero(subscription->url, strlen(subscription->url));
    free(subscription->url);
    free(subscription->id);
    free(subscription->session_id);
    free(subscription);
}

static void forget(struct subscription *subscription)
{
    struct subscriptions *all = subscription->all;

    *(subscription->older != NULL ? &subscription->older->newer : &all->retired_first) =
        subscription->newer;
    *(subscription->newer != NULL ? &subscription->newer->older : &all->retired_last) =
        subscription->older;
    --all->num_retired;
    HASH_DEL(all->by_digest, subscription);
    consumer_dismiss(all->settings.consumer, subscription->digest);
    subscription_drop(subscription);
}

static void forget_old(struct subscriptions *all)
{
    int64_t before = all->settings.loop->now_ms - RETIRED_MS;
    while (all->retired_first != NULL &&
           (all->num_retired > CG_RETIRED_MAX || all->retired_first->retired_at_ms < before))
        forget(all->retired_first);
}

void subscription_leave_over(struct subscription *subscription)
{
    struct subscription **at = &subscription->of->leftovers;
    size_t count = 0;

    for (; *at != NULL; at = &(*at)->leftover_next)
        ++count;
    if (count < LEFTOVERS_MAX)
        *at = subscription_hold(subscription);
}

void subscription_retire(struct subscription *subscription, int leftover)
{
    struct subscriptions *all = subscription->all;
    struct subscriber *subscriber = subscription->of;

    if (subscription->state == SUBSCRIPTION_RETIRED)
        return;
    if (subscriber != NULL && subscriber->active == subscription) {
        subscriber->active = NULL;
        timer_disarm(all->settings.loop, &subscriber->renewal);
        --all->stats.active;
    }
    if (subscriber != NULL && subscriber->pending == subscription)
        subscriber->pending = NULL;
    subscription->state = SUBSCRIPTION_RETIRED;
    subscription->retired_at_ms = all->settings.loop->now_ms;
    subscription->newer = NULL;
    if ((subscription->older = all->retired_last) != NULL)
        all->retired_last->newer = subscription;
    else
        all->retired_first = subscription;
    all->retired_last = subscription;
    ++all->num_retired;
    subscription_release_held(subscription, 0);
    if (leftover && subscriber != NULL && subscription->reference != NULL)
        subscription_leave_over(subscription);
    forget_old(all);
}

/* ---- when to subscribe ---- */

int64_t subscription_backoff(int failures)
{
    int64_t ms = SUBSCRIBE_BACKOFF_MIN_MS;
    uint32_t random = 0;

    while (--failures > 0 && ms < SUBSCRIBE_BACKOFF_MAX_MS)
        ms *= 2;
    if (ms > SUBSCRIBE_BACKOFF_MAX_MS)
        ms = SUBSCRIBE_BACKOFF_MAX_MS;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = 0;
    return ms - (int64_t)(random % (uint64_t)(ms / 4 + 1));
}

/* As evenly as logins: a place in the pace is taken when the attempt is due, and the attempt made when the place has come. */
static int64_t take_slot(struct subscriptions *all)
{
    unsigned per_second = all->config->upstream.logins_per_second;
    int64_t now = clock_monotonic_ms();
    int64_t slot = all->next_slot_ms > now ? all->next_slot_ms : now;

    all->next_slot_ms = slot + 1000 / (per_second > 0 && per_second < 1000 ? per_second : 1000);
    return slot - now;
}

static void on_attempt(struct timer *timer)
{
    struct subscriber *subscriber =
        (struct subscriber *)((char *)timer - offsetof(struct subscriber, attempt));
    int64_t wait;

    if (!session_is_up(subscriber->session) || subscriber->pending != NULL)
        return;
    if (!subscriber->slotted && (wait = take_slot(subscriber->all)) > 0) {
        subscriber->slotted = 1;
        timer_arm(subscriber->all->settings.loop, timer, wait);
        return;
    }
    subscriber->slotted = 0;
    subscription_start(subscriber);
}

void subscriber_attempt(struct subscriber *subscriber, int64_t delay_ms)
{
    if (subscriber->pending != NULL || timer_is_armed(&subscriber->attempt))
        return;
    subscriber->slotted = 0;
    timer_arm(subscriber->all->settings.loop, &subscriber->attempt, delay_ms);
}

void subscription_lose(struct subscription *subscription, const char *why, int leftover)
{
    struct subscriptions *all = subscription->all;
    struct subscriber *subscriber = subscription->of;
    int64_t lived = all->settings.loop->now_ms - subscription->active_at_ms;

    if (subscriber == NULL || subscriber->active != subscription)
        return;
    log_write(LOG_LEVEL_WARNING, "subscriptionLost", "Events have stopped; subscribing again",
              LOG_S("user", session_user(subscriber->session)), LOG_S("reason", why));
    subscription_retire(subscription, leftover);
    subscriber->failures = lived >= SUBSCRIPTION_STABLE_MS ? 0 : subscriber->failures + 1;
    subscriber->excused = 1;
    all->settings.on_unsubscribed(all->settings.data, subscriber->session, why);
    subscriber_attempt(subscriber,
                       subscriber->failures > 1 ? subscription_backoff(subscriber->failures) : 0);
}

/* ---- sessions ---- */

static struct subscriber *find_subscriber(struct subscriptions *all, uint32_t number)
{
    struct subscriber *subscriber;
    HASH_FIND(hh, all->subscribers, &number, sizeof(number), subscriber);
    return subscriber;
}

static struct subscriber *make_subscriber(struct subscriptions *all, struct session *session)
{
    struct subscriber *subscriber = calloc(1, sizeof(*subscriber));

    if (subscriber == NULL)
        abort();
    subscriber->all = all;
    subscriber->session = session;
    subscriber->number = session_number(session);
    subscriber->attempt.on_due = on_attempt;
    subscriber->renewal.on_due = subscription_on_renewal;
    subscriber->session_end.on_due = subscription_on_session_end;
    HASH_ADD(hh, all->subscribers, number, sizeof(subscriber->number), subscriber);
    return subscriber;
}

/* Its server keeps it over a switch, for as long as it keeps the session. */
static void suspend(struct subscriber *subscriber)
{
    struct subscriptions *all = subscriber->all;
    struct subscription *subscription = subscriber->active;

    timer_disarm(all->settings.loop, &subscriber->renewal);
    --all->stats.active;
    subscriber->active = NULL;
    subscriber->pending = subscription;
    subscription->state = SUBSCRIPTION_PENDING;
    subscription->suspended = 1;
}

static int keeps(const struct subscriber *subscriber)
{
    const struct subscriptions *all = subscriber->all;
    return strcmp(all->config->upstream.topology, TOPOLOGY_KEEPS) == 0 &&
           session_has_token(subscriber->session) && subscriber->active != NULL &&
           all->ways[subscriber->active->way].renew != NULL;
}

/* 1: there is one to be proven. It went with its session if that has another token by now. */
static int has_kept(struct subscriber *subscriber)
{
    struct subscription *pending = subscriber->pending;

    if (pending == NULL || !pending->suspended)
        return 0;
    if (session_generation(subscriber->session) == pending->generation)
        return 1;
    subscription_retire(pending, 0);
    return 0;
}

/* A crash has left one, which tells to where nobody listens: it is over when its successor is there. */
static void take_left(struct subscriber *subscriber)
{
    struct subscriptions *all = subscriber->all;
    json_t *note = session_take_left_note(subscriber->session);
    const char *way = json_string_value(json_object_get(note, "way"));
    json_t *reference = json_object_get(note, "reference");
    struct subscription *left;
    int i;

    for (i = 0; i < WAYS && way != NULL && json_is_object(reference); ++i)
        if (strcmp(way_names[i].name, way) == 0 && all->ways[i].unsubscribe != NULL) {
            if ((left = calloc(1, sizeof(*left))) == NULL)
                abort();
            left->all = all;
            left->of = subscriber;
            left->way = (enum way)i;
            left->state = SUBSCRIPTION_RETIRED;
            left->held_end = &left->held;
            left->reference = json_incref(reference);
            subscription_hold(left);
            subscription_leave_over(left);
            subscription_drop(left);
        }
    json_decref(note);
}

void subscriptions_session_up(struct subscriptions *all, struct session *session)
{
    struct subscriber *subscriber = find_subscriber(all, session_number(session));

    if (subscriber == NULL)
        subscriber = make_subscriber(all, session);
    subscriber->excused = 0;
    subscriber->failures = 0;
    subscriber->session_end_ms = 0;
    take_left(subscriber);
    if (!has_kept(subscriber))
        subscriber_attempt(subscriber, 0);
    else
        subscription_prove(subscriber->pending);
}

void subscriptions_session_renewed(struct subscriptions *all, struct session *session)
{
    struct subscriber *subscriber = find_subscriber(all, session_number(session));

    if (subscriber == NULL)
        return;
    subscriber->session_end_ms = 0;
    timer_disarm(all->settings.loop, &subscriber->session_end);
    subscriber_attempt(subscriber, 0);
}

void subscriptions_session_down(struct subscriptions *all, struct session *session, const char *why)
{
    struct subscriber *subscriber = find_subscriber(all, session_number(session));
    int was_active;

    if (subscriber == NULL)
        return;
    was_active = subscriber->active != NULL;
    timer_disarm(all->settings.loop, &subscriber->attempt);
    timer_disarm(all->settings.loop, &subscriber->session_end);
    if (subscriber->pending != NULL &&
        !(subscriber->pending->suspended && session_has_token(session)))
        subscription_retire(subscriber->pending, 0);
    if (keeps(subscriber) && subscriber->pending == NULL)
        suspend(subscriber);
    else if (was_active)
        subscription_retire(subscriber->active, 1);
    subscriber_forget_told(subscriber);
    if ((was_active || !subscriber->excused) && !all->detached)
        all->settings.on_unsubscribed(all->settings.data, session, why);
    subscriber->excused = 1;
}

static void free_subscriber(struct subscriber *subscriber)
{
    struct subscriptions *all = subscriber->all;
    struct subscription *subscription;

    timer_disarm(all->settings.loop, &subscriber->attempt);
    timer_disarm(all->settings.loop, &subscriber->renewal);
    timer_disarm(all->settings.loop, &subscriber->session_end);
    if (subscriber->pending != NULL)
        subscription_retire(subscriber->pending, 0);
    if (subscriber->active != NULL)
        subscription_retire(subscriber->active, 0);
    for (subscription = all->retired_first; subscription != NULL;
         subscription = subscription->newer)
        if (subscription->of == subscriber)
            subscription->of = NULL;
    subscription_drop_leftovers(subscriber);
    subscriber_forget_told(subscriber);
    HASH_DEL(all->subscribers, subscriber);
    free(subscriber);
}

void subscriptions_session_parting(struct subscriptions *all, struct session *session)
{
    struct subscriber *subscriber = find_subscriber(all, session_number(session));
    struct subscription *left;

    if (subscriber == NULL)
        return;
    if (subscriber->active != NULL)
        ha_part(subscriber->active);
    if (subscriber->active != NULL)
        subscription_retire(subscriber->active, 1);
    if (subscriber->pending != NULL && subscriber->pending->suspended)
        subscription_retire(subscriber->pending, 1);
    for (left = subscriber->leftovers; left != NULL; left = left->leftover_next) {
        session_part(session, all->ways[left->way].unsubscribe, left->reference);
        ++all->stats.unsubscribes;
    }
    free_subscriber(subscriber);
}

/* ---- all ---- */

static int resolve(struct subscriptions *all, char *error, size_t error_size)
{
    const struct contract *contract = all->settings.contract;
    int way;

    for (way = 0; way < WAYS; ++way) {
        struct way_row *row = &all->ways[way];
        const char *service = way_names[way].service;
        row->name = way_names[way].name;
        row->subscribe = contract_find(contract, service, way_names[way].subscribe);
        row->unsubscribe = contract_find(contract, service, way_names[way].unsubscribe);
        if (way_names[way].renew != NULL)
            row->renew = contract_find(contract, service, way_names[way].renew);
        if (row->subscribe == NULL || row->unsubscribe == NULL)
            continue;
        if ((row->schema = codec_input_schema(row->subscribe)) == NULL)
            return CG_E_NOMEM;
        row->template = way == WAY_PRODUCER ? terms_template(row->schema) : json_object();
    }
    if ((all->notify = contract_find(contract, NOTIFY_SERVICE, NOTIFY_OPERATION)) != NULL)
        return CG_OK;
    snprintf(error, error_size,
             "the contract has no operation " NOTIFY_SERVICE "." NOTIFY_OPERATION
             ", which events come by");
    return CG_E_INVALID;
}

static enum way configured_way(const struct config *config)
{
    return strcmp(config->upstream.subscription, way_names[WAY_USER].name) == 0 ? WAY_USER
                                                                                : WAY_PRODUCER;
}

enum way subscription_way(const struct subscriptions *all)
{
    enum way way = configured_way(all->config);
    if (all->ways[way].template == NULL)
        way = way == WAY_USER ? WAY_PRODUCER : WAY_USER;
    return way;
}

int subscriptions_new(struct subscriptions **out, const struct subscriptions_settings *settings,
                      char *error, size_t error_size)
{
    struct subscriptions *all = calloc(1, sizeof(*all));
    enum way way = configured_way(settings->config);
    int rc;

    *out = NULL;
    if (all == NULL)
        return CG_E_NOMEM;
    all->settings = *settings;
    all->config = config_ref(settings->config);
    rc = resolve(all, error, error_size);
    if (rc == CG_OK && all->ways[way].template == NULL) {
        snprintf(error, error_size, "the contract has no %s.%s that events could be asked for with",
                 way_names[way].service, way_names[way].subscribe);
        rc = CG_E_INVALID;
    }
    if (rc != CG_OK) {
        subscriptions_free(&all);
        return rc;
    }
    ha_resolve(all);
    *out = all;
    return CG_OK;
}

void subscriptions_free(struct subscriptions **in)
{
    struct subscriptions *all = *in;
    struct subscriber *subscriber, *next;
    int way;

    if (all == NULL)
        return;
    *in = NULL;
    HASH_ITER(hh, all->subscribers, subscriber, next)
    {
        free_subscriber(subscriber);
    }
    while (all->retired_first != NULL)
        forget(all->retired_first);
    for (way = 0; way < WAYS; ++way) {
        json_decref(all->ways[way].schema);
        json_decref(all->ways[way].template);
    }
    config_unref(&all->config);
    free(all);
}

void subscriptions_configure(struct subscriptions *all, struct config *config)
{
    if (all->ways[configured_way(config)].template == NULL)
        log_write(LOG_LEVEL_ERROR, "subscriptionWayMissing",
                  "The contract lacks the configured way to subscribe; the other one is used");
    config_ref(config);
    config_unref(&all->config);
    all->config = config;
    ha_resolve(all);
}

void subscriptions_detach(struct subscriptions *all)
{
    if (all != NULL)
        all->detached = 1;
}

static void set_time(json_t *object, const char *name, int64_t steady_ms)
{
    char text[TIMESTAMP_BYTES];
    if (steady_ms != 0)
        timestamp_print(text, clock_told_ms(steady_ms));
    json_object_set_new(object, name, steady_ms != 0 ? json_string(text) : json_null());
}

json_t *subscriptions_describe(struct subscriptions *all, const struct session *session)
{
    struct subscriber *subscriber = find_subscriber(all, session_number(session));
    const struct subscription *active = subscriber != NULL ? subscriber->active : NULL;
    const char *state = active != NULL                         ? "active"
                        : subscriber == NULL                   ? "none"
                        : subscriber->pending != NULL          ? "subscribing"
                        : timer_is_armed(&subscriber->attempt) ? "subscribing"
                                                               : "none";
    enum way way = active != NULL ? active->way : subscription_way(all);
    json_t *object = json_pack("{s:s, s:s}", "state", state, "way", way_names[way].name);

    set_time(object, "since", active != NULL ? active->since_ms : 0);
    set_time(object, "until", active != NULL ? active->until_ms : 0);
    return object;
}

void subscriptions_get_stats(const struct subscriptions *all, struct subscriptions_stats *stats)
{
    *stats = all->stats;
}
