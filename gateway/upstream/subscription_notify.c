/* What comes to the consumer: whose it is, whether it counts, and in which order it is passed on. */
#include <stdlib.h>
#include <string.h>

#include "cctgate/codec.h"
#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"
#include "gateway/upstream/subscription_names.h"
#include "gateway/upstream/subscription_private.h"

struct batch {
    struct subscription *subscription;
    int overlaps; /* it was held: its predecessor may have told the same */
    size_t delivered, bad;
};

/* ---- the overlap of two subscriptions ---- */

void subscriber_forget_told(struct subscriber *subscriber)
{
    struct told *told, *next;
    HASH_ITER(hh, subscriber->told, told, next)
    {
        HASH_DEL(subscriber->told, told);
        free(told);
    }
}

static struct told *find_told(struct subscriber *subscriber, uint64_t fingerprint)
{
    struct told *told;
    HASH_FIND(hh, subscriber->told, &fingerprint, sizeof(fingerprint), told);
    return told;
}

static void remember_told(struct subscriber *subscriber, const json_t *entry)
{
    uint64_t fingerprint = terms_fingerprint(json_object_get(entry, NAME_MESSAGE));
    struct told *told = find_told(subscriber, fingerprint);

    if (told == NULL && HASH_COUNT(subscriber->told) < CG_NOTIFY_OVERLAP_MAX &&
        (told = calloc(1, sizeof(*told))) != NULL) {
        told->fingerprint = fingerprint;
        HASH_ADD(hh, subscriber->told, fingerprint, sizeof(told->fingerprint), told);
    }
    if (told != NULL)
        ++told->count;
}

/* Each copy that the predecessor told takes one of these away. */
static int was_told(struct subscriber *subscriber, const json_t *entry)
{
    struct told *told =
        find_told(subscriber, terms_fingerprint(json_object_get(entry, NAME_MESSAGE)));
    if (told == NULL || told->count == 0)
        return 0;
    --told->count;
    return 1;
}

/* ---- does it count ---- */

static const char *text_of(const json_t *entry, const char *name)
{
    const char *text = json_string_value(json_object_get(entry, name));
    return text != NULL ? text : "";
}

/* A Subscribe that was never answered did make a subscription after all: now that its id is told, it can be ended. */
static void adopt_orphan(struct subscription *subscription, json_t *entry)
{
    json_t *reference = json_object_get(entry, NAME_PRODUCER_REFERENCE);
    const char *id = text_of(entry, NAME_SUBSCRIPTION_ID);

    if (!subscription->orphan || *id == '\0')
        return;
    if (subscription->reference != NULL)
        ;
    else if (subscription->way == WAY_USER)
        subscription->reference =
            json_pack("{s:o}", NAME_REF, json_sprintf("%s:%s", subscription->url, id));
    else if (json_is_object(reference))
        subscription->reference = json_pack("{s:O}", NAME_REFERENCE, reference);
    else
        subscription->reference =
            json_pack("{s:{s:s, s:s}}", NAME_REFERENCE, NAME_ADDRESS, "", NAME_SUBSCRIPTION_ID, id);
    subscription->orphan = !subscription_unsubscribe(subscription);
}

static int is_same_session(struct subscription *subscription, const char *session_id)
{
    if (subscription->session_id == NULL)
        subscription->session_id = strdup(session_id);
    return subscription->session_id != NULL && strcmp(subscription->session_id, session_id) == 0;
}

static int counts(struct subscription *subscription, json_t *entry)
{
    struct subscriptions_stats *stats = &subscription->all->stats;

    if (subscription->state == SUBSCRIPTION_RETIRED) {
        ++stats->retired;
        adopt_orphan(subscription, entry);
    } else if (strcmp(text_of(entry, NAME_SUBSCRIPTION_ID), subscription->id) != 0) {
        ++stats->unknown;
        if (*text_of(entry, NAME_SUBSCRIPTION_ID) == '\0')
            ha_noticed(subscription);
    } else if (!is_same_session(subscription, text_of(entry, NAME_SESSION_ID))) {
        ++stats->foreign_session;
    } else {
        return 1;
    }
    return 0;
}

/* ---- a batch ---- */

/* The first of a batch is told of; the place and what was expected are, what came never is. */
static void report_bad(struct batch *batch, const struct codec_error *error)
{
    struct subscriber *subscriber = batch->subscription->of;

    ++batch->subscription->all->stats.undecodable;
    ha_noticed(batch->subscription);
    if (batch->bad++ == 0)
        log_write(LOG_LEVEL_WARNING, "notifyUndecodable",
                  "A message was not what the contract says; it was left out",
                  LOG_S("user", subscriber != NULL ? session_user(subscriber->session) : NULL),
                  LOG_S("place", error->pointer), LOG_S("expected", error->expected),
                  LOG_S("problem", error->text));
}

static void on_entry(void *data, json_t *entry, const struct codec_error *error)
{
    struct batch *batch = data;
    struct subscription *subscription = batch->subscription;
    struct subscriptions *all = subscription->all;
    struct subscriber *subscriber = subscription->of;

    if (!json_is_object(entry)) {
        report_bad(batch, error);
        return;
    }
    if (!counts(subscription, entry))
        return;
    if (batch->overlaps && was_told(subscriber, entry)) {
        ++all->stats.duplicates;
        return;
    }
    if (subscriber->pending != NULL)
        remember_told(subscriber, entry);
    ++all->stats.messages;
    ++batch->delivered;
    subscription_act(subscription, entry);
    all->settings.on_message(all->settings.data, subscriber->session, entry);
}

static void read_batch(struct subscription *subscription, struct consumer_notify *notify,
                       int overlaps)
{
    struct subscriptions *all = subscription->all;
    struct batch batch = {subscription_hold(subscription), overlaps, 0, 0};
    struct codec_error error = {0};

    if (codec_decode_list(all->notify, notify->body, notify->length, on_entry, &batch, &error) !=
        CG_OK)
        report_bad(&batch, &error);
    if (batch.delivered > 0)
        all->settings.on_batch_end(all->settings.data);
    subscription_drop(subscription);
    consumer_notify_free(&notify);
}

/* ---- what comes before the id is known ---- */

static void hold(struct subscription *subscription, struct consumer_notify *notify)
{
    if (subscription->held_bytes + notify->length > CG_NOTIFY_HELD_BYTES_MAX) {
        ++subscription->all->stats.overflows;
        consumer_notify_free(&notify);
        return;
    }
    subscription->held_bytes += notify->length;
    notify->message.next = NULL;
    *subscription->held_end = &notify->message;
    subscription->held_end = &notify->message.next;
}

void subscription_release_held(struct subscription *subscription, int deliver)
{
    struct message *message = subscription->held, *next;

    subscription->held = NULL;
    subscription->held_end = &subscription->held;
    subscription->held_bytes = 0;
    for (; message != NULL; message = next) {
        struct consumer_notify *notify = (struct consumer_notify *)message;
        next = message->next;
        if (deliver)
            read_batch(subscription, notify, 1);
        else
            consumer_notify_free(&notify);
    }
}

void subscriptions_notify(struct subscriptions *all, struct consumer_notify *notify)
{
    struct subscription *subscription;

    HASH_FIND(hh, all->by_digest, notify->digest, sizeof(notify->digest), subscription);
    ++all->stats.notifies;
    if (subscription == NULL)
        ++all->stats.unknown;
    if (subscription == NULL || all->detached)
        consumer_notify_free(&notify);
    else if (subscription->state == SUBSCRIPTION_PENDING)
        hold(subscription, notify);
    else
        read_batch(subscription, notify, 0);
}
