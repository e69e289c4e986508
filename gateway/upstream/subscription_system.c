/* System events: what they mean for the subscription and its session. Everybody else hears of them afterwards. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cctgate/log.h"
#include "gateway/upstream/subscription_names.h"
#include "gateway/upstream/subscription_private.h"

#define SLACK_MS 5000 /* an announcement this long after the announced end is of another one */

#define SHORT_MS 2000 /* less is too little for a call and another try */

struct announcement {
    const char *stamp;
    int64_t remaining_ms;
};

/* One announcement is delivered twice with one stamp; another one of the same end has another. */
static int is_repeated(char stamp[64], const struct announcement *announcement)
{
    int repeated = strncmp(stamp, announcement->stamp, 63) == 0;
    snprintf(stamp, 64, "%s", announcement->stamp);
    return repeated;
}

static void on_subscription_ended(struct subscription *subscription,
                                  const struct announcement *announcement)
{
    (void)announcement;
    subscription_lose(subscription, "subscription terminated", 0);
}

/* Its end is moved by a renewal; what has no lease, or is announced to end all the same, is replaced while it still tells. */
static void on_subscription_ending(struct subscription *subscription,
                                   const struct announcement *announcement)
{
    int again = subscription->end_announced;

    if (is_repeated(subscription->end_stamp, announcement) && again)
        return;
    subscription->end_announced = 1;
    if (again || subscription->all->ways[subscription->way].renew == NULL)
        subscriber_attempt(subscription->of, 0);
    else
        subscription_renew(subscription);
}

/* What is told of the token before the present one says nothing of the session. */
static int is_former(const struct subscription *subscription)
{
    return subscription->generation != session_generation(subscription->of->session);
}

static void on_session_ended(struct subscription *subscription,
                             const struct announcement *announcement)
{
    (void)announcement;
    if (is_former(subscription))
        subscription_lose(subscription, "its session has ended", 0);
    else
        session_ended(subscription->of->session);
}

void subscription_on_session_end(struct timer *timer)
{
    struct subscriber *subscriber =
        (struct subscriber *)((char *)timer - offsetof(struct subscriber, session_end));
    session_renew(subscriber->session);
}

/*
 * A call moves the timer (DOMAIN 2.4), unless somebody at the contact centre wills the end: nothing tells the one from the other but another
 * announcement, which need not come. So half of what remains is given to the call; then a new session is begun, before the end of this one.
 */
static void on_session_ending(struct subscription *subscription,
                              const struct announcement *announcement)
{
    struct subscriber *subscriber = subscription->of;
    struct loop *loop = subscription->all->settings.loop;
    int again =
        subscriber->session_end_ms != 0 && loop->now_ms <= subscriber->session_end_ms + SLACK_MS;

    if (is_former(subscription) ||
        (is_repeated(subscriber->session_end_stamp, announcement) && again))
        return;
    log_write(LOG_LEVEL_WARNING, "sessionEnding", "The contact centre announces a session's end",
              LOG_S("user", session_user(subscriber->session)),
              LOG_I("remainingMs", announcement->remaining_ms), LOG_B("again", again));
    subscriber->session_end_ms = loop->now_ms + announcement->remaining_ms;
    if (again || announcement->remaining_ms < SHORT_MS) {
        timer_disarm(loop, &subscriber->session_end);
        session_renew(subscriber->session);
    } else {
        timer_arm(loop, &subscriber->session_end, announcement->remaining_ms / 2);
        session_prove(subscriber->session);
    }
}

static const struct {
    const char *event;
    void (*act)(struct subscription *, const struct announcement *);
} acts[] = {
    {"SUBSCRIPTION_TERMINATION", on_subscription_ended},
    {"SUBSCRIPTION_TERMINATION_IMMINENT", on_subscription_ending},
    {"SESSION_TERMINATION", on_session_ended},
    {"SESSION_TERMINATION_IMMINENT", on_session_ending},
};

/* Whatever the record is called that tells the rest. */
static int64_t remaining(const json_t *event)
{
    const char *name;
    json_t *member;

    json_object_foreach((json_t *)event, name, member)
    {
        const json_t *ms = json_object_get(member, NAME_REMAINING);
        if (json_is_integer(ms))
            return json_integer_value(ms);
    }
    return 0;
}

void subscription_act(struct subscription *subscription, const json_t *message)
{
    const json_t *event =
        json_object_get(json_object_get(message, NAME_MESSAGE), NAME_SYSTEM_EVENT);
    const char *name = json_string_value(json_object_get(event, NAME_SYSTEM_EVENT));
    const char *stamp = json_string_value(json_object_get(message, NAME_TIMESTAMP));
    struct announcement announcement = {stamp != NULL ? stamp : "", 0};
    size_t i;

    if (name == NULL || subscription->state != SUBSCRIPTION_ACTIVE)
        return;
    announcement.remaining_ms = remaining(event);
    for (i = 0; i < sizeof(acts) / sizeof(acts[0]); ++i)
        if (strcmp(acts[i].event, name) == 0)
            acts[i].act(subscription, &announcement);
}
