#include "sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "buf.h"
#include "events.h"
#include "loop.h"
#include "options.h"

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

static bool expired(const struct session *session)
{
    return loop_now_ms() - session->used_ms >= options.session_timeout_ms;
}

static void sweep(struct loop_timer *timer)
{
    struct session *next;
    for (struct session *s = TAILQ_FIRST(&sessions); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        if (expired(s))
            session_end(s, "SESSION_TERMINATION");
    }
    struct subscription *after;
    for (struct subscription *s = TAILQ_FIRST(&subscriptions); s != NULL; s = after) {
        after = TAILQ_NEXT(s, link);
        if (s->ends_ms != 0 && s->ends_ms <= loop_wall_ms())
            subscription_end(s);
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
        session_end(TAILQ_FIRST(&sessions), "SESSION_TERMINATION");
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
    if (session != NULL && expired(session)) {
        session_end(session, "SESSION_TERMINATION");
        return NULL;
    }
    return session;
}

void session_touch(struct session *session)
{
    session->used_ms = loop_now_ms();
}

void session_end(struct session *session, const char *why)
{
    sim_emit(
        &(struct sim_event){.kind = EVENT_SESSION_TERMINATION, .session = session, .reason = why});
    struct subscription *next;
    for (struct subscription *s = TAILQ_FIRST(&subscriptions); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        if (s->session == session)
            subscription_end(s);
    }
    session->user->sessions--;
    TAILQ_REMOVE(&sessions, session, link);
    map_remove(&by_token, session->token);
    free(session);
}

size_t sessions_kill(const char *user)
{
    size_t count = 0;
    struct session *next;
    for (struct session *s = TAILQ_FIRST(&sessions); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        if (strcmp(user, "*") != 0 && strcmp(user, s->user->name) != 0)
            continue;
        session_end(s, "UNEXPECTED_TERMINATION");
        count++;
    }
    return count;
}

size_t sessions_count(void)
{
    return by_token.count;
}

struct subscription *subscription_new(struct session *session, const char *consumer, xmlDoc *topic)
{
    struct subscription *s = mem_new(1, sizeof(*s));
    fresh_id(s->id);
    s->consumer = mem_strdup(consumer);
    s->session = session;
    s->topic = topic;
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
        subscription_end(s);
        s = NULL;
    }
    return s != NULL && s->session->user == user ? s : NULL;
}

void subscription_end(struct subscription *subscription)
{
    TAILQ_REMOVE(&subscriptions, subscription, link);
    map_remove(&by_subscription, subscription->id);
    if (subscription->topic != NULL)
        xmlFreeDoc(subscription->topic);
    free(subscription->reference);
    free(subscription->consumer);
    free(subscription);
}
