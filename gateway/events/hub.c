#include "cctgate/hub.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "cctgate/loop.h"
#include "gateway/events/client.h"
#include "gateway/events/protocol.h"

#define TICK_MS      100
#define VIEWER_TICKS 10
#define VIEWERS                                                                                    \
    (ROLE_VIEWER | ROLE_CONTROLLER | ROLE_SUPERVISOR | ROLE_RECORDER | ROLE_OPERATOR |             \
     ROLE_CAMPAIGNER)

/* ---- viewers ---- */

static const struct access *access_of(const struct policy *policy, const uint8_t sha256[32])
{
    const struct access *access = policy != NULL ? policy_find_digest(policy, sha256) : NULL;
    return access != NULL && (access->roles & VIEWERS) != 0 ? access : NULL;
}

/* Its token was gone, and has come back before the last of its clients was. */
static void admit_again(struct viewer *viewer, struct policy *policy, const struct access *access)
{
    policy_ref(policy);
    policy_unref(&viewer->policy);
    viewer->policy = policy;
    viewer->access = access;
}

struct viewer *viewer_get(struct hub *hub, struct policy *policy, const uint8_t sha256[32])
{
    const struct access *access = access_of(policy, sha256);
    struct viewer *viewer;

    if (access == NULL)
        return NULL;
    for (viewer = hub->viewers; viewer != NULL; viewer = viewer->next)
        if (memcmp(viewer->sha256, sha256, 32) == 0) {
            if (viewer->access == NULL)
                admit_again(viewer, policy, access);
            ++viewer->references;
            return viewer;
        }
    if ((viewer = calloc(1, sizeof(*viewer))) == NULL)
        abort();
    viewer->references = 1;
    memcpy(viewer->sha256, sha256, 32);
    viewer->policy = policy_ref(policy);
    viewer->access = access;
    viewer->next = hub->viewers;
    hub->viewers = viewer;
    return viewer;
}

void viewer_unref(struct hub *hub, struct viewer **in)
{
    struct viewer *viewer = *in, **link = &hub->viewers;

    *in = NULL;
    if (viewer == NULL || --viewer->references > 0)
        return;
    while (*link != viewer)
        link = &(*link)->next;
    *link = viewer->next;
    policy_unref(&viewer->policy);
    free(viewer->visible);
    free(viewer);
}

/* Which of the batch's events the token sees: the same for all of its clients. */
static const unsigned char *visible_to(struct viewer *viewer, const struct label_batch *batch)
{
    size_t i;

    if (viewer->batch == batch->number)
        return viewer->visible;
    if (viewer->capacity < batch->num_events) {
        unsigned char *visible = realloc(viewer->visible, batch->num_events);
        if (visible == NULL)
            abort();
        viewer->visible = visible;
        viewer->capacity = batch->num_events;
    }
    for (i = 0; i < batch->num_events; ++i)
        viewer->visible[i] = (unsigned char)event_is_visible(batch->events[i], viewer->access);
    viewer->batch = batch->number;
    return viewer->visible;
}

static void follow_policy(struct hub *hub, struct viewer *viewer)
{
    struct policy *old = viewer->policy, *fresh = policy_is_of_jwt(old)
                                                      ? policy_renew(old, hub->front->policy)
                                                      : policy_ref(hub->front->policy);

    viewer->access = access_of(fresh, viewer->sha256);
    viewer->batch = 0;
    if (fresh == NULL)
        return;
    viewer->policy = fresh;
    policy_unref(&old);
}

static void close_strangers(struct hub *hub)
{
    struct client *client;
    for (client = hub->clients; client != NULL; client = client->next)
        if (client->viewer->access == NULL)
            client_close(client, CG_CLOSE_UNAUTHORIZED, close_reason(CG_CLOSE_UNAUTHORIZED));
}

/* Who has a stream open uses its bearer; and a JWT comes to its end with its streams. */
static void look_at_viewers(struct hub *hub)
{
    int64_t now_ms = clock_monotonic_ms(), now_unix_ms = clock_unix_ms();
    struct viewer *viewer;
    int ended = 0;

    for (viewer = hub->viewers; viewer != NULL; viewer = viewer->next) {
        if (viewer->access == NULL)
            continue;
        if (viewer->access->use != NULL)
            bearer_use_tell(viewer->access->use, now_ms);
        if (policy_expires_ms(viewer->policy) <= now_unix_ms) {
            viewer->access = NULL;
            viewer->batch = 0;
            ended = 1;
        }
    }
    if (ended)
        close_strangers(hub);
}

void hub_policy_changed(struct hub *hub)
{
    struct viewer *viewer;

    for (viewer = hub->viewers; viewer != NULL; viewer = viewer->next)
        follow_policy(hub, viewer);
    close_strangers(hub);
}

/* ---- publishing ---- */

/* One allocation for all fronts: each has its message inside. */
struct publication {
    atomic_int references;
    size_t num_events;
    struct event **events;
    struct delivery {
        struct message message;
        struct publication *publication;
        struct front *front;
    } deliveries[];
};

static void publication_unref(struct publication *publication)
{
    size_t i;

    if (atomic_fetch_sub_explicit(&publication->references, 1, memory_order_acq_rel) != 1)
        return;
    for (i = 0; i < publication->num_events; ++i)
        event_unref(&publication->events[i]);
    free(publication->events);
    free(publication);
}

static void pass_on(struct client *client, struct label_batch *batch)
{
    const unsigned char *visible = visible_to(client->viewer, batch);
    size_t i;
    unsigned j;

    for (i = 0; i < batch->num_events; ++i) {
        if (!visible[i])
            continue;
        for (j = 0; j < client->num_subscriptions && client->state == CLIENT_OPEN; ++j) {
            struct client_subscription *subscription = client->subscriptions[j];
            if (subscription->state != SUBSCRIPTION_LIVE ||
                batch->events[i]->seq <= subscription->position ||
                !event_filter_matches(&subscription->filter, batch->events[i]))
                continue;
            if (!client_offer(client, label_frame(subscription->label, batch, i)))
                client_overrun(client, batch->events[i]->seq, j);
        }
    }
    client_flush(client);
}

static void deliver(struct hub *hub, struct event *const *events, size_t num_events)
{
    struct client *client;

    ++hub->batch.number;
    hub->batch.events = events;
    hub->batch.num_events = num_events;
    hub->batch.epoch = hub->epoch;
    for (client = hub->clients; client != NULL; client = client->next)
        if (client->state == CLIENT_OPEN && client->num_subscriptions > 0)
            pass_on(client, &hub->batch);
    labels_forget(&hub->batch);
    hub->last_seq = events[num_events - 1]->seq;
}

static void on_publication(struct message *message)
{
    struct delivery *delivery = (struct delivery *)message;
    struct publication *publication = delivery->publication;
    struct hub *hub = delivery->front->hub;

    if (hub != NULL && !hub->stopping)
        deliver(hub, publication->events, publication->num_events);
    publication_unref(publication);
}

void fronts_publish(struct fronts *fronts, struct event *const *events, size_t num_events)
{
    struct publication *publication;
    size_t i;

    if (num_events == 0)
        return;
    publication =
        calloc(1, sizeof(*publication) + fronts->num_fronts * sizeof(publication->deliveries[0]));
    if (publication == NULL ||
        (publication->events = calloc(num_events, sizeof(*publication->events))) == NULL)
        abort();
    atomic_init(&publication->references, (int)fronts->num_fronts);
    publication->num_events = num_events;
    for (i = 0; i < num_events; ++i)
        publication->events[i] = event_ref(events[i]);
    for (i = 0; i < fronts->num_fronts; ++i) {
        struct delivery *delivery = &publication->deliveries[i];
        delivery->message.on_deliver = on_publication;
        delivery->publication = publication;
        delivery->front = &fronts->front[i];
        mailbox_send(&fronts->front[i].mailbox, &delivery->message);
    }
}

/* ---- turns ---- */

void hub_schedule(struct client *client)
{
    struct hub *hub = client->hub;

    if (!client->is_due) {
        client->is_due = 1;
        client->next_due = hub->due;
        hub->due = client;
    }
    if (!hub->turn_is_sent) {
        hub->turn_is_sent = 1;
        mailbox_send(&hub->front->mailbox, &hub->turn);
    }
}

static void on_turn(struct message *message)
{
    struct hub *hub = (struct hub *)((char *)message - offsetof(struct hub, turn));
    struct client *client = hub->due, *next;

    hub->turn_is_sent = 0;
    hub->due = NULL;
    for (; client != NULL; client = next) {
        next = client->next_due;
        client->is_due = 0;
        if (client->state == CLIENT_ENDED) {
            client_free(client);
            continue;
        }
        client_pull(client);
        client_flush(client);
    }
}

static void on_tick(h2o_timeout_entry_t *entry)
{
    struct hub *hub = (struct hub *)((char *)entry - offsetof(struct hub, tick_entry));
    struct client *client, *next;
    int64_t now_ms = clock_monotonic_ms();

    h2o_timeout_link(hub->front->loop, &hub->tick, &hub->tick_entry);
    if (hub->ticks++ % VIEWER_TICKS == 0)
        look_at_viewers(hub);
    for (client = hub->clients; client != NULL; client = next) {
        next = client->next;
        client_tick(client, now_ms);
    }
}

struct hub *hub_new(struct front *front)
{
    struct hub *hub = calloc(1, sizeof(*hub));

    if (hub == NULL)
        return NULL;
    hub->front = front;
    hub->turn.on_deliver = on_turn;
    h2o_timeout_init(front->loop, &hub->tick, TICK_MS);
    hub->tick_entry.cb = on_tick;
    h2o_timeout_link(front->loop, &hub->tick, &hub->tick_entry);
    return hub;
}

void hub_stop(struct hub *hub)
{
    struct client *client;

    hub->stopping = 1;
    for (client = hub->clients; client != NULL; client = client->next)
        client_send_away(client);
}

void hub_release(struct hub **in)
{
    struct hub *hub = *in;

    *in = NULL;
    if (hub == NULL)
        return;
    while (hub->clients != NULL)
        client_free(hub->clients);
    h2o_timeout_unlink(&hub->tick_entry);
    h2o_timeout_dispose(hub->front->loop, &hub->tick);
    frame_unref(&hub->heartbeat);
    frame_unref(&hub->ping);
    free(hub->batch.touched);
    label_table_release(&hub->labels);
    free(hub);
}
