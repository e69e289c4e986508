/* What a client subscribed to, and what is read from the store for it: snapshots and replay (client.h: life of a subscription). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/loop.h"
#include "gateway/events/client.h"
#include "gateway/events/protocol.h"
#include "gateway/events/snapshot.h"
#include "gateway/events/text.h"

/* A step: what one client may cost the loop at a time, and have in memory of what is pulled for it. */
#define STEP_BYTES    (256u * 1024)
#define STEP_FRAMES   512
#define STEP_ENTRIES  4096 /* of the log, most of them perhaps not for this client */
#define STEP_RECORDS  2048
#define MESSAGE_BYTES (64u * 1024) /* of one message of a snapshot, unless one item is larger */

struct step {
    struct client *client;
    struct client_subscription *subscription;
    struct store_log_bounds bounds;
    struct label *label; /* of the events */
    size_t bytes;
    unsigned frames, entries;
    int is_full, rc;
};

static void push(struct step *step, struct frame *frame)
{
    step->bytes += frame->length;
    ++step->frames;
    queue_push_pulled(&step->client->queue, frame);
    frame_unref(&frame);
}

/* ---- messages about a subscription ---- */

static void add_id(const struct client *client, const struct label *label, struct text *text)
{
    if (client->kind == CLIENT_SSE)
        return;
    text_add_string(text, "\"id\":");
    text_add(text, label->id, label->id_length);
    text_add(text, ",", 1);
}

static struct frame *message(const struct client *client, const char *name, const char *id,
                             const struct text *text)
{
    return frame_message(client->kind == CLIENT_SSE ? LABEL_SSE : LABEL_WEBSOCKET, name, id,
                         text->bytes, text->length);
}

static void push_gap(struct step *step, const char *reason)
{
    struct client *client = step->client;
    struct text text = {NULL, 0, 0};

    text_add(&text, "{", 1);
    add_id(client, step->subscription->label, &text);
    text_add_string(&text, "\"reason\":\"");
    text_add_string(&text, reason);
    text_add_string(&text, "\"}");
    push(step, message(client, server_messages[MESSAGE_GAP].op, NULL, &text));
    COUNT(client->hub->front, event_gaps);
    text_release(&text);
}

static void to_snapshot(struct client *client, struct client_subscription *subscription,
                        uint64_t position)
{
    snapshot_free(&subscription->snapshot);
    subscription->snapshot = snapshot_new();
    subscription->state = SUBSCRIPTION_SNAPSHOT;
    subscription->position = position;
    COUNT(client->hub->front, event_snapshots);
}

/* ---- beginning and ending ---- */

/* NULL: what comes after the place is in the log */
static const char *gap_of(const struct log_place *since, const struct store_log_bounds *bounds)
{
    if (since->epoch != bounds->epoch)
        return "otherEpoch";
    if (since->seq > bounds->last)
        return "future";
    return since->seq + 1 < bounds->first ? "expired" : NULL;
}

static void place(struct client *client, struct client_subscription *subscription,
                  const struct subscribe *wanted, const struct store_log_bounds *bounds)
{
    const char *reason = wanted->has_since ? gap_of(&wanted->since, bounds) : NULL;

    subscription->position = bounds->last;
    subscription->state = SUBSCRIPTION_LIVE;
    if (reason != NULL) {
        subscription->gap = reason;
        to_snapshot(client, subscription, bounds->last);
    } else if (wanted->has_since) {
        subscription->position = wanted->since.seq;
        if (wanted->since.seq < bounds->last)
            subscription->state = SUBSCRIPTION_REPLAYING;
    } else if (wanted->wants_snapshot) {
        to_snapshot(client, subscription, bounds->last);
    }
}

int hub_read_bounds(struct hub *hub, struct store_log_bounds *bounds)
{
    struct store_reader *reader = hub->front->reader;
    int rc = store_read_begin(reader);

    if (rc != CG_OK)
        return rc;
    rc = store_log_get_bounds(reader, bounds);
    store_read_end(reader);
    if (rc == CG_OK)
        hub->epoch = bounds->epoch;
    return rc;
}

int client_subscribe(struct client *client, struct label *label, struct subscribe *wanted)
{
    size_t bytes = (client->num_subscriptions + 1) * sizeof(*client->subscriptions);
    struct client_subscription *subscription, **all;
    struct store_log_bounds bounds;
    int rc = hub_read_bounds(client->hub, &bounds);

    if (rc != CG_OK)
        return rc;
    if ((subscription = calloc(1, sizeof(*subscription))) == NULL ||
        (all = realloc(client->subscriptions, bytes)) == NULL)
        abort();
    client->subscriptions = all;
    all[client->num_subscriptions++] = subscription;
    subscription->label = label_ref(label);
    subscription->filter = wanted->filter;
    wanted->filter = (struct event_filter){0};
    place(client, subscription, wanted, &bounds);
    if (subscription->state != SUBSCRIPTION_LIVE)
        hub_schedule(client);
    return CG_OK;
}

struct client_subscription *client_subscription_find(const struct client *client, const char *id,
                                                     size_t id_length)
{
    unsigned i;
    for (i = 0; i < client->num_subscriptions; ++i) {
        const struct label *label = client->subscriptions[i]->label;
        if (label->id_length == id_length && memcmp(label->id, id, id_length) == 0)
            return client->subscriptions[i];
    }
    return NULL;
}

void client_unsubscribe(struct client *client, struct client_subscription *subscription)
{
    unsigned i;

    for (i = 0; client->subscriptions[i] != subscription; ++i)
        ;
    for (--client->num_subscriptions; i < client->num_subscriptions; ++i)
        client->subscriptions[i] = client->subscriptions[i + 1];
    snapshot_free(&subscription->snapshot);
    event_filter_release(&subscription->filter);
    label_unref(&subscription->label);
    free(subscription);
}

/* ---- replay ---- */

static int on_entry(void *data, uint64_t seq, const void *entry, size_t length)
{
    struct step *step = data;
    struct client_subscription *subscription = step->subscription;
    struct event *event;

    if (step->bytes >= STEP_BYTES || step->frames >= STEP_FRAMES || step->entries >= STEP_ENTRIES) {
        step->is_full = 1;
        return 1;
    }
    if ((step->rc = event_decode(&event, seq, entry, length)) != CG_OK)
        return 1;
    ++step->entries;
    subscription->position = seq;
    if (event_is_visible(event, step->client->viewer->access) &&
        event_filter_matches(&subscription->filter, event)) {
        push(step, frame_event(step->label, event, 0, step->bounds.epoch));
        COUNT(step->client->hub->front, events_replayed);
    }
    event_unref(&event);
    return 0;
}

/* 1: the subscription has all that the log has */
static int replay(struct step *step)
{
    struct client_subscription *subscription = step->subscription;
    int rc;

    if (subscription->position >= step->bounds.last)
        return 1;
    step->rc = CG_OK;
    rc = store_log_walk(step->client->hub->front->reader, subscription->position, on_entry, step);
    if (rc == CG_OK)
        rc = step->rc;
    if (rc == CG_OK)
        return !step->is_full;
    push_gap(step, rc == CG_E_NOTFOUND ? "expired" : "damaged");
    to_snapshot(step->client, subscription, step->bounds.last);
    return 1;
}

/* ---- snapshot ---- */

static void push_part(struct step *step, const struct text *items, int is_last)
{
    const struct client_subscription *subscription = step->subscription;
    struct text text = {NULL, 0, 0};
    char place_id[48];

    text_add(&text, "{", 1);
    add_id(step->client, subscription->label, &text);
    text_add_string(&text, "\"seq\":");
    text_add_number(&text, subscription->position);
    text_add_string(&text, is_last ? ",\"items\":[" : ",\"more\":true,\"items\":[");
    text_add(&text, items->bytes, items->length);
    text_add_string(&text, "]}");
    snprintf(place_id, sizeof(place_id), "%llu-%llu", (unsigned long long)step->bounds.epoch,
             (unsigned long long)subscription->position);
    push(step, message(step->client, server_messages[MESSAGE_SNAPSHOT].op,
                       is_last ? place_id : NULL, &text));
    text_release(&text);
}

/* 1: that was its end */
static int snapshot_parts(struct step *step)
{
    struct client *client = step->client;
    struct snapshot_view view = {{client->hub->front->reader, client->viewer->access, NULL},
                                 policy_config(client->viewer->policy),
                                 &step->subscription->filter,
                                 clock_steady_ms()};
    unsigned records = STEP_RECORDS;
    int is_last = 0;

    while (!is_last && step->bytes < STEP_BYTES && records > 0) {
        struct text items = {NULL, 0, 0};
        is_last =
            snapshot_next(step->subscription->snapshot, &view, &items, MESSAGE_BYTES, &records);
        if (is_last || items.length > 0)
            push_part(step, &items, is_last);
        text_release(&items);
    }
    return is_last;
}

/* ---- steps ---- */

static void take_step(struct step *step)
{
    struct client_subscription *subscription = step->subscription;
    struct hub *hub = step->client->hub;

    step->label = subscription->state == SUBSCRIPTION_SNAPSHOT && step->client->kind == CLIENT_SSE
                      ? label_get(&hub->labels, LABEL_SSE_NO_ID, "", 0)
                      : label_ref(subscription->label);
    if (subscription->gap != NULL)
        push_gap(step, subscription->gap);
    subscription->gap = NULL;
    if (replay(step) && (subscription->state != SUBSCRIPTION_SNAPSHOT || snapshot_parts(step))) {
        subscription->state = SUBSCRIPTION_LIVE;
        snapshot_free(&subscription->snapshot);
    }
    label_unref(&step->label);
}

int client_is_pulling(const struct client *client)
{
    unsigned i;
    for (i = 0; i < client->num_subscriptions; ++i)
        if (client->subscriptions[i]->state != SUBSCRIPTION_LIVE)
            return 1;
    return 0;
}

static struct client_subscription *next_to_pull(struct client *client)
{
    unsigned i;
    for (i = 0; i < client->num_subscriptions; ++i) {
        unsigned at = (client->next_pull + i) % client->num_subscriptions;
        if (client->subscriptions[at]->state != SUBSCRIPTION_LIVE) {
            client->next_pull = at + 1;
            return client->subscriptions[at];
        }
    }
    return NULL;
}

void client_pull(struct client *client)
{
    struct step step = {.client = client};
    struct store_reader *reader = client->hub->front->reader;

    if (client->state != CLIENT_OPEN || client->viewer->access == NULL ||
        client->queue.pulled > 0 || (step.subscription = next_to_pull(client)) == NULL)
        return;
    if (store_read_begin(reader) != CG_OK) {
        client_close(client, CG_CLOSE_INTERNAL, "the store cannot be read");
        return;
    }
    if (store_log_get_bounds(reader, &step.bounds) == CG_OK)
        take_step(&step);
    else
        client_close(client, CG_CLOSE_INTERNAL, "the store cannot be read");
    store_read_end(reader);
    if (client->queue.pulled == 0 && client_is_pulling(client))
        hub_schedule(client);
}
