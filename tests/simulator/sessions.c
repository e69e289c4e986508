#include "sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "buf.h"
#include "channel.h"
#include "events.h"
#include "loop.h"
#include "notify.h"
#include "options.h"
#include "topic.h"

enum { SWEEP_MS = 200 };

struct session_list sessions = TAILQ_HEAD_INITIALIZER(sessions);
struct subscription_list subscriptions = TAILQ_HEAD_INITIALIZER(subscriptions);

static struct map by_token;
static struct map by_subscription;
static struct loop_timer sweeper;

/* Tokens come from the kernel, not from the seed: after a restart those of the run before must be unknown. */
static void fresh_id(char id[GUID_BYTES])
{
    unsigned char r[16];
    if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
        memset(r, 0, sizeof(r));
    for (size_t i = 0; i < sizeof(r); i++)
        snprintf(id + 2 * i, 3, "%02x", r[i]);
}

/* Milliseconds until the session ends by itself; 0 when its time is over. */
static uint64_t left_ms(const struct session *session)
{
    uint64_t now = loop_now_ms();
    uint64_t end = session->used_ms + options.session_timeout_ms;
    if (session->doomed_ms != 0 && session->doomed_ms < end)
        end = session->doomed_ms;
    return end > now ? end - now : 0;
}

static void sweep_session(struct session *s)
{
    uint64_t left = left_ms(s);
    if (left == 0) {
        session_end(s, "SESSION_TERMINATION", "The session's time is over");
        return;
    }
    if (left > options.imminent_ms || s->warned)
        return;
    s->warned = true;
    sim_emit(&(struct sim_event){.kind = EVENT_SYSTEM,
                                 .session = s,
                                 .property = "SESSION_TERMINATION_IMMINENT",
                                 .remaining_ms = (int64_t)left});
}

static void sweep_subscription(struct subscription *s)
{
    int64_t left = s->ends_ms - loop_wall_ms();
    if (s->ends_ms == 0)
        return;
    if (left <= 0) {
        subscription_terminate(s, "SUBSCRIPTION_TERMINATION", "The lease is over");
        return;
    }
    if (left > (int64_t)options.imminent_ms || s->warned)
        return;
    s->warned = true;
    sim_emit(&(struct sim_event){.kind = EVENT_SYSTEM,
                                 .subscription = s,
                                 .property = "SUBSCRIPTION_TERMINATION_IMMINENT",
                                 .remaining_ms = left});
}

static void sweep(struct loop_timer *timer)
{
    struct session *next;
    for (struct session *s = TAILQ_FIRST(&sessions); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        sweep_session(s);
    }
    struct subscription *after;
    for (struct subscription *s = TAILQ_FIRST(&subscriptions); s != NULL; s = after) {
        after = TAILQ_NEXT(s, link);
        sweep_subscription(s);
    }
    loop_timer_set(timer, SWEEP_MS);
}

void sessions_init(void)
{
    sweeper.on_timer = sweep;
    loop_timer_set(&sweeper, SWEEP_MS);
}

void sessions_free(void)
{
    while (!TAILQ_EMPTY(&sessions))
        session_end(TAILQ_FIRST(&sessions), NULL, NULL);
    map_free(&by_token);
    map_free(&by_subscription);
}

struct session *session_login(const char *user, const char *password, const char *domain)
{
    struct user *known = world_user(user);
    if (known == NULL || strcmp(password, options.password) != 0 ||
        strcasecmp(domain, options.domain) != 0)
        return NULL;
    struct session *session = mem_new(1, sizeof(*session));
    fresh_id(session->token);
    fresh_id(session->id);
    session->user = known;
    session->used_ms = loop_now_ms();
    known->sessions++;
    TAILQ_INSERT_TAIL(&sessions, session, link);
    map_put(&by_token, session->token, session);
    return session;
}

struct session *session_find(const char *token)
{
    struct session *session = map_get(&by_token, token);
    if (session != NULL && left_ms(session) == 0) {
        session_end(session, "SESSION_TERMINATION", "The session's time is over");
        return NULL;
    }
    return session;
}

void session_touch(struct session *session)
{
    session->used_ms = loop_now_ms();
    if (session->doomed_ms == 0)
        session->warned = false;
}

void session_end(struct session *session, const char *why, const char *info)
{
    if (why != NULL)
        sim_emit(&(struct sim_event){.kind = EVENT_SYSTEM,
                                     .session = session,
                                     .property = "SESSION_TERMINATION",
                                     .reason = why,
                                     .info = info});
    struct subscription *next;
    for (struct subscription *s = TAILQ_FIRST(&subscriptions); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        if (s->session == session)
            subscription_end(s, why == NULL);
    }
    session->user->sessions--;
    TAILQ_REMOVE(&sessions, session, link);
    map_remove(&by_token, session->token);
    free(session);
}

size_t sessions_kill(const char *user, bool silently)
{
    size_t count = 0;
    struct session *next;
    for (struct session *s = TAILQ_FIRST(&sessions); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        if (strcmp(user, "*") != 0 && strcmp(user, s->user->name) != 0)
            continue;
        session_end(s, silently ? NULL : "UNEXPECTED_TERMINATION", "Ended by an administrator");
        count++;
    }
    return count;
}

size_t sessions_count(void)
{
    return by_token.count;
}

struct subscription *subscription_new(struct session *session, const char *consumer,
                                      const char *producer, struct topic *topic)
{
    struct subscription *s = mem_new(1, sizeof(*s));
    fresh_id(s->id);
    s->consumer = mem_strdup(consumer);
    s->session = session;
    s->channel = channel_new(s);
    if (s->channel == NULL) {
        topic_free(topic);
        free(s->consumer);
        free(s);
        return NULL;
    }
    s->producer = mem_strdup(producer != NULL ? producer : "localhost");
    s->topic = topic;
    if (options.lease_max_ms > 0)
        s->ends_ms = loop_wall_ms() + (int64_t)options.lease_max_ms;
    TAILQ_INSERT_TAIL(&subscriptions, s, link);
    map_put(&by_subscription, s->id, s);
    return s;
}

struct subscription *subscription_find(const struct user *user, const char *name)
{
    struct subscription *s = map_get(&by_subscription, name);
    if (s == NULL) { /* UserService's form ends in ":<id>" */
        const char *colon = strrchr(name, ':');
        s = colon != NULL ? map_get(&by_subscription, colon + 1) : NULL;
        if (s != NULL && (s->reference == NULL || strcmp(s->reference, name) != 0))
            s = NULL;
    }
    if (s != NULL && s->ends_ms != 0 && s->ends_ms <= loop_wall_ms()) {
        subscription_terminate(s, "SUBSCRIPTION_TERMINATION", "The lease is over");
        s = NULL;
    }
    return s != NULL && s->session->user == user ? s : NULL;
}

void subscription_end(struct subscription *subscription, bool discard)
{
    notify_settle(); /* what was said so far still needs the subscription */
    channel_leave(subscription->channel, discard);
    TAILQ_REMOVE(&subscriptions, subscription, link);
    map_remove(&by_subscription, subscription->id);
    topic_free(subscription->topic);
    free(subscription->producer);
    free(subscription->reference);
    free(subscription->consumer);
    free(subscription);
}

void subscription_terminate(struct subscription *subscription, const char *why, const char *info)
{
    if (why != NULL)
        sim_emit(&(struct sim_event){.kind = EVENT_SYSTEM,
                                     .subscription = subscription,
                                     .property = "SUBSCRIPTION_TERMINATION",
                                     .reason = why,
                                     .info = info});
    subscription_end(subscription, why == NULL);
}
