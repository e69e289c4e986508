#include <string.h>

#include "channel.h"
#include "events.h"
#include "inject.h"
#include "loop.h"
#include "notify.h"
#include "sessions.h"

static const char *text_of(json_t *body, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(body, key));
    return text != NULL ? text : otherwise;
}

struct notice {
    const char *event;
    const char *reason;
    const char *info;
    int64_t remaining_ms;
    bool real;
};

static void emit_notice(const struct notice *n, const struct session *session,
                        const struct subscription *subscription)
{
    sim_emit(&(struct sim_event){.kind = EVENT_SYSTEM,
                                 .session = session,
                                 .subscription = subscription,
                                 .property = n->event,
                                 .reason = n->reason,
                                 .info = n->info,
                                 .remaining_ms = n->remaining_ms});
}

static void end_session(struct session *s, const struct notice *n)
{
    if (n->real)
        session_end(s, n->reason, n->info);
    else
        emit_notice(n, s, NULL);
}

static void doom_session(struct session *s, const struct notice *n)
{
    if (n->real) {
        s->doomed_ms = loop_now_ms() + (uint64_t)n->remaining_ms;
        s->warned = true;
    }
    emit_notice(n, s, NULL);
}

static void end_subscription(struct subscription *s, const struct notice *n)
{
    if (n->real)
        subscription_terminate(s, n->reason, n->info);
    else
        emit_notice(n, NULL, s);
}

static void doom_subscription(struct subscription *s, const struct notice *n)
{
    if (n->real) {
        s->ends_ms = loop_wall_ms() + n->remaining_ms;
        s->warned = true;
    }
    emit_notice(n, NULL, s);
}

/* Nothing can make this one true; it takes its place behind what was told before. */
static void claim_failure(struct subscription *s, const struct notice *n)
{
    notify_settle();
    if (!s->policy[POLICY_CONNECTION_FAILURE])
        return;
    struct message *m = message_new_connection_failure(s, n->remaining_ms, 1, 1);
    message_settle(m);
    channel_put(s->channel, m);
}

static const struct {
    const char *event;
    const char *reason;
    void (*session)(struct session *s, const struct notice *n);
    void (*subscription)(struct subscription *s, const struct notice *n);
} notices[] = {
    {"SESSION_TERMINATION", "SESSION_TERMINATION", end_session, NULL},
    {"SESSION_TERMINATION_IMMINENT", "", doom_session, NULL},
    {"SUBSCRIPTION_TERMINATION", "SUBSCRIPTION_TERMINATION", NULL, end_subscription},
    {"SUBSCRIPTION_TERMINATION_IMMINENT", "", NULL, doom_subscription},
    {"CONNECTION_FAILURE", "", NULL, claim_failure},
};

static bool is_user(const struct session *session, const char *user)
{
    return strcmp(user, "*") == 0 || strcmp(user, session->user->name) == 0;
}

static size_t each_session(json_t *body, const struct notice *n,
                           void (*act)(struct session *s, const struct notice *n))
{
    size_t count = 0;
    struct session *next;
    for (struct session *s = TAILQ_FIRST(&sessions); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        if (!is_user(s, text_of(body, "user", "*")))
            continue;
        act(s, n);
        count++;
    }
    return count;
}

static size_t each_subscription(json_t *body, const struct notice *n,
                                void (*act)(struct subscription *s, const struct notice *n))
{
    const char *id = text_of(body, "subscription", NULL);
    size_t count = 0;
    struct subscription *next;
    for (struct subscription *s = TAILQ_FIRST(&subscriptions); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        if (id != NULL ? strcmp(id, s->id) != 0 : !is_user(s->session, text_of(body, "user", "*")))
            continue;
        act(s, n);
        count++;
    }
    return count;
}

static bool is_reason(const char *name)
{
    return strcmp(name, "SESSION_TERMINATION") == 0 ||
           strcmp(name, "SUBSCRIPTION_TERMINATION") == 0 ||
           strcmp(name, "UNEXPECTED_TERMINATION") == 0;
}

const char *inject_system(json_t *body, size_t *count)
{
    const char *event = text_of(body, "event", "");
    const char *reason = text_of(body, "reason", NULL);
    json_int_t remaining_ms = json_integer_value(json_object_get(body, "remainingMs"));
    *count = 0;
    if ((reason != NULL && !is_reason(reason)) || remaining_ms < 0)
        return "no such reason, or a negative time";
    for (size_t i = 0; i < sizeof(notices) / sizeof(*notices); i++) {
        if (strcmp(notices[i].event, event) != 0)
            continue;
        struct notice n = {.event = event,
                           .reason = reason != NULL ? reason : notices[i].reason,
                           .info = text_of(body, "info", ""),
                           .remaining_ms = remaining_ms,
                           .real = !json_is_false(json_object_get(body, "true"))};
        *count = notices[i].session != NULL ? each_session(body, &n, notices[i].session)
                                            : each_subscription(body, &n, notices[i].subscription);
        return NULL;
    }
    return "no such system event";
}
