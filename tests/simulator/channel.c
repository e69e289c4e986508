#include "channel.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "mischief.h"
#include "options.h"
#include "poster.h"

enum { HELD_MS = 200 };

/* A post on its way: the batch may first have to wait out a delay. */
struct slot {
    struct poster poster; /* first: callbacks cast back */
    struct loop_timer delay;
    struct channel *channel;
    struct buf body;
    size_t carried; /* messages in it; 0 = the slot is free */
};

struct channel {
    struct consumer_address to;
    struct subscription *subscription; /* NULL when it has ended */
    const struct user *user;
    struct message_list queue;
    size_t queued;
    struct message *held; /* goes out after the next one */
    struct loop_timer held_timer;
    struct slot *slots[PARALLEL_MAX];
    size_t in_flight; /* messages */
    size_t busy;      /* slots */
    struct channel_counts counts;
    uint64_t consecutive;
    uint64_t down_since_ms;
    TAILQ_ENTRY(channel) link;
};
TAILQ_HEAD(channel_list, channel);

struct channel_counts channel_totals;
static struct channel_list channels = TAILQ_HEAD_INITIALIZER(channels);

/* Counts both for the channel and in total. */
#define COUNT(channel, field, n) ((channel)->counts.field += (n), channel_totals.field += (n))

static void append(struct channel *c, struct message *m)
{
    if (c->queued >= options.notify_queue) {
        COUNT(c, overflowed, 1);
        free(m);
        return;
    }
    TAILQ_INSERT_TAIL(&c->queue, m, link);
    c->queued++;
}

static void release_held(struct channel *c)
{
    struct message *m = c->held;
    c->held = NULL;
    loop_timer_clear(&c->held_timer);
    if (m != NULL)
        append(c, m);
}

static void on_held(struct loop_timer *timer)
{
    release_held((struct channel *)((char *)timer - offsetof(struct channel, held_timer)));
}

struct channel *channel_new(struct subscription *subscription)
{
    struct channel *c = mem_new(1, sizeof(*c));
    if (!consumer_address_init(&c->to, subscription->consumer)) {
        free(c);
        return NULL;
    }
    c->subscription = subscription;
    c->user = subscription->session->user;
    c->held_timer.on_timer = on_held;
    TAILQ_INIT(&c->queue);
    TAILQ_INSERT_TAIL(&channels, c, link);
    return c;
}

static void discard_queue(struct channel *c)
{
    struct message *m;
    while ((m = TAILQ_FIRST(&c->queue)) != NULL) {
        TAILQ_REMOVE(&c->queue, m, link);
        free(m);
    }
    c->queued = 0;
    loop_timer_clear(&c->held_timer);
    free(c->held);
    c->held = NULL;
}

void channel_leave(struct channel *c, bool discard)
{
    c->subscription = NULL;
    if (discard)
        discard_queue(c);
}

static void duplicate(struct channel *c, const struct message *m)
{
    struct message *copy = mem_new(1, sizeof(*copy) + m->len);
    memcpy(copy, m, sizeof(*copy) + m->len);
    append(c, copy);
}

/* The message waits until the next one has overtaken it. */
static void hold_back(struct channel *c, struct message *m)
{
    c->held = m;
    COUNT(c, reordered, 1);
    loop_timer_set(&c->held_timer, HELD_MS);
}

void channel_put(struct channel *c, struct message *m)
{
    if (mischief_muted(c->user->name)) {
        COUNT(c, muted, 1);
        free(m);
        return;
    }
    enum misdeed misdeed = mischief_next(c->user->name, m->kind);
    if (misdeed == MISDEED_DROP) {
        COUNT(c, dropped, 1);
        free(m);
        return;
    }
    if (misdeed == MISDEED_REORDER && c->held == NULL) {
        hold_back(c, m);
        return;
    }
    if (misdeed == MISDEED_DUPLICATE) {
        COUNT(c, duplicated, 1);
        duplicate(c, m);
    }
    append(c, m);
    release_held(c);
}

/* --- posting --- */

static void notice_failure(struct channel *c)
{
    COUNT(c, failed_posts, 1);
    if (c->consecutive++ == 0)
        c->down_since_ms = loop_now_ms();
}

static void notice_success(struct channel *c)
{
    uint64_t failures = c->consecutive;
    c->consecutive = 0;
    if (failures == 0 || c->subscription == NULL ||
        !c->subscription->policy[POLICY_CONNECTION_FAILURE])
        return;
    int64_t down_ms = (int64_t)(loop_now_ms() - c->down_since_ms);
    struct message *m =
        message_new_connection_failure(c->subscription, down_ms, c->counts.failed_posts, failures);
    message_settle(m);
    TAILQ_INSERT_HEAD(&c->queue, m, link);
    c->queued++;
}

static void on_done(struct poster *poster, bool delivered)
{
    struct slot *slot = (struct slot *)poster;
    struct channel *c = slot->channel;
    size_t carried = slot->carried;
    slot->carried = 0;
    c->in_flight -= carried;
    c->busy--;
    if (delivered) {
        COUNT(c, delivered, carried);
        notice_success(c);
    } else {
        COUNT(c, failed, carried);
        notice_failure(c);
    }
}

static void post(struct slot *slot)
{
    COUNT(slot->channel, posts, 1);
    poster_send(&slot->poster, &slot->body);
}

static void on_delay(struct loop_timer *timer)
{
    post((struct slot *)((char *)timer - offsetof(struct slot, delay)));
}

static struct slot *free_slot(struct channel *c)
{
    for (unsigned i = 0; i < mischief_parallel(); i++) {
        if (c->slots[i] == NULL) {
            struct slot *slot = c->slots[i] = mem_new(1, sizeof(*slot));
            poster_init(&slot->poster, &c->to, on_done);
            slot->delay.on_timer = on_delay;
            slot->channel = c;
        }
        if (c->slots[i]->carried == 0)
            return c->slots[i];
    }
    return NULL;
}

static void fill(struct slot *slot, struct channel *c)
{
    unsigned most = mischief_batch_max();
    slot->body.len = 0;
    message_open_envelope(&slot->body);
    while (slot->carried < most && !TAILQ_EMPTY(&c->queue)) {
        struct message *m = TAILQ_FIRST(&c->queue);
        TAILQ_REMOVE(&c->queue, m, link);
        message_append(&slot->body, m);
        free(m);
        slot->carried++;
    }
    message_close_envelope(&slot->body);
    c->queued -= slot->carried;
    c->in_flight += slot->carried;
    c->busy++;
}

static void run(struct channel *c)
{
    struct slot *slot;
    while (!TAILQ_EMPTY(&c->queue) && (slot = free_slot(c)) != NULL) {
        uint64_t delay_ms = mischief_delay_ms();
        fill(slot, c);
        if (delay_ms > 0)
            loop_timer_set(&slot->delay, delay_ms);
        else
            post(slot);
    }
}

static void channel_free(struct channel *c)
{
    discard_queue(c);
    for (size_t i = 0; i < PARALLEL_MAX; i++) {
        if (c->slots[i] == NULL)
            continue;
        loop_timer_clear(&c->slots[i]->delay);
        poster_release(&c->slots[i]->poster);
        buf_free(&c->slots[i]->body);
        free(c->slots[i]);
    }
    consumer_address_release(&c->to);
    TAILQ_REMOVE(&channels, c, link);
    free(c);
}

void channels_run(void)
{
    struct channel *next;
    for (struct channel *c = TAILQ_FIRST(&channels); c != NULL; c = next) {
        next = TAILQ_NEXT(c, link);
        run(c);
        if (c->subscription == NULL && c->busy == 0 && c->queued == 0 && c->held == NULL)
            channel_free(c);
    }
}

void channels_free(void)
{
    struct channel *c;
    while ((c = TAILQ_FIRST(&channels)) != NULL)
        channel_free(c);
}

const struct channel_counts *channel_counts(const struct channel *c)
{
    return &c->counts;
}

size_t channel_queued(const struct channel *c)
{
    return c->queued + (c->held != NULL);
}

size_t channel_in_flight(const struct channel *c)
{
    return c->in_flight;
}

void channels_reset_totals(void)
{
    channel_totals = (struct channel_counts){0};
}

size_t channels_queued(void)
{
    size_t sum = 0;
    const struct channel *c;
    TAILQ_FOREACH(c, &channels, link)
    {
        sum += channel_queued(c);
    }
    return sum;
}

size_t channels_in_flight(void)
{
    size_t sum = 0;
    const struct channel *c;
    TAILQ_FOREACH(c, &channels, link)
    {
        sum += c->in_flight;
    }
    return sum;
}

size_t channels_longest_queue(void)
{
    size_t longest = 0;
    const struct channel *c;
    TAILQ_FOREACH(c, &channels, link)
    {
        if (c->queued > longest)
            longest = c->queued;
    }
    return longest;
}
