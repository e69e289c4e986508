#include "notify.h"

#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "events.h"
#include "loop.h"
#include "message.h"
#include "sessions.h"
#include "topic.h"

static struct message_list fresh = TAILQ_HEAD_INITIALIZER(fresh);
static size_t fresh_count;

static void queue(const struct view *view, const struct sim_event *e)
{
    struct message *m = message_new(view, e);
    TAILQ_INSERT_TAIL(&fresh, m, link);
    fresh_count++;
}

/* --- who is told, and from which side --- */

/* The leg from which a subscription looks at a contact: one that its listener names and its user owns, if any. */
static const struct connection *leg_of(const struct subscription *s, const struct contact *contact,
                                       enum event_kind kind)
{
    const struct connection *c;
    TAILQ_FOREACH(c, &contact->connections, of_contact)
    {
        if (user_owns_address(s->session->user, c->address) &&
            topic_takes_entity(s->topic, kind, c->address->name))
            return c;
    }
    return NULL;
}

static bool sees_connection(struct view *view, const struct sim_event *e)
{
    const struct subscription *s = view->subscription;
    bool own = user_owns_address(s->session->user, e->address) &&
               topic_takes_entity(s->topic, e->kind, e->address->name);
    const struct connection *leg = own ? e->connection : leg_of(s, e->contact, e->kind);
    view->remote = !own;
    view->sending_address = leg != NULL ? leg->address : e->address;
    return user_sees_contact(s->session->user, e->contact) &&
           (leg != NULL || !topic_has_entities(s->topic, e->kind)) &&
           topic_takes_value(s->topic, e->kind,
                             connection_state_name((enum connection_state)e->new_state));
}

static bool sees_termconn(struct view *view, const struct sim_event *e)
{
    const struct subscription *s = view->subscription;
    view->sending_terminal = e->terminal;
    return user_sees_contact(s->session->user, e->contact) &&
           topic_takes_entity(s->topic, e->kind, e->terminal->name) &&
           topic_takes_value(
               s->topic, e->kind,
               terminal_connection_state_name((enum terminal_connection_state)e->new_state));
}

static bool sees_contact_property(struct view *view, const struct sim_event *e)
{
    const struct subscription *s = view->subscription;
    const struct connection *leg = leg_of(s, e->contact, e->kind);
    view->address = leg != NULL ? leg->address : e->address;
    return user_sees_contact(s->session->user, e->contact) &&
           (leg != NULL || !topic_has_entities(s->topic, e->kind)) &&
           topic_takes_value(s->topic, e->kind, e->property);
}

static bool sees_agent(struct view *view, const struct sim_event *e)
{
    const struct subscription *s = view->subscription;
    return user_owns_agent(s->session->user, e->agent) &&
           topic_takes_entity(s->topic, e->kind, e->agent->id) &&
           topic_takes_value(s->topic, e->kind, e->property != NULL ? e->property : e->state);
}

static bool sees_terminal(struct view *view, const struct sim_event *e)
{
    const struct subscription *s = view->subscription;
    return user_owns_terminal(s->session->user, e->terminal) &&
           topic_takes_entity(s->topic, e->kind, e->terminal->name) &&
           topic_takes_value(s->topic, e->kind, e->property != NULL ? e->property : e->state);
}

static bool sees_address(struct view *view, const struct sim_event *e)
{
    const struct subscription *s = view->subscription;
    return user_owns_address(s->session->user, e->address) &&
           topic_takes_entity(s->topic, e->kind, e->address->name) &&
           topic_takes_value(s->topic, e->kind, e->property != NULL ? e->property : e->state);
}

static bool sees_provider(struct view *view, const struct sim_event *e)
{
    return topic_takes_entity(view->subscription->topic, e->kind, e->provider);
}

static bool sees_contact(struct view *view, const struct sim_event *e)
{
    const struct subscription *s = view->subscription;
    return user_sees_contact(s->session->user, e->contact) &&
           topic_takes_entity(s->topic, e->kind, e->contact->provider);
}

static bool (*const seers[EVENT_KINDS])(struct view *view, const struct sim_event *e) = {
    [EVENT_CONNECTION_STATE] = sees_connection,
    [EVENT_TERMINAL_CONNECTION_STATE] = sees_termconn,
    [EVENT_CONTACT_PROPERTY] = sees_contact_property,
    [EVENT_AGENT_PROPERTY] = sees_agent,
    [EVENT_TERMINAL_PROPERTY] = sees_terminal,
    [EVENT_ADDRESS_PROPERTY] = sees_address,
    [EVENT_ADDRESS_STATE] = sees_address,
    [EVENT_TERMINAL_STATE] = sees_terminal,
    [EVENT_AGENT_STATE] = sees_agent,
    [EVENT_SERVICE_PROVIDER_STATUS] = sees_provider,
    [EVENT_FORCE_DISCONNECT] = sees_contact,
    [EVENT_DEFAULT_TREATMENT] = sees_contact,
};

static void tell(struct subscription *s, const struct sim_event *e)
{
    struct view view = {.subscription = s};
    if (topic_listens(s->topic, e->kind) && seers[e->kind](&view, e))
        queue(&view, e);
}

/* --- a contact that an agent's user has not seen before --- */

static bool enters_scope(const struct user *user, const struct sim_event *e)
{
    if (e->kind != EVENT_CONNECTION_STATE || e->previous_state != CS_IDLE || user->agent == NULL ||
        !user_owns_address(user, e->address))
        return false;
    const struct connection *c;
    TAILQ_FOREACH(c, &e->contact->connections, of_contact)
    {
        if (c != e->connection && user_owns_address(user, c->address))
            return false;
    }
    return true;
}

static void tell_leg(struct subscription *s, const struct connection *c)
{
    tell(s, &(struct sim_event){.kind = EVENT_CONNECTION_STATE,
                                .connection = c,
                                .contact = c->contact,
                                .address = c->address,
                                .new_state = (int)c->state,
                                .previous_state = CS_IDLE,
                                .reason = c->reason});
    const struct termconn *t;
    TAILQ_FOREACH(t, &c->termconns, of_connection)
    {
        tell(s, &(struct sim_event){.kind = EVENT_TERMINAL_CONNECTION_STATE,
                                    .connection = c,
                                    .termconn = t,
                                    .contact = c->contact,
                                    .terminal = t->terminal,
                                    .new_state = (int)t->state,
                                    .previous_state = TS_IDLE,
                                    .reason = t->reason});
    }
}

static void tell_property(struct subscription *s, const struct contact *contact,
                          const char *property, bool has)
{
    if (has)
        tell(s, &(struct sim_event){.kind = EVENT_CONTACT_PROPERTY,
                                    .contact = contact,
                                    .address = contact->called,
                                    .property = property});
}

/* Nothing to tell when the contact begins with this leg. */
static void tell_contact(struct subscription *s, const struct contact *contact,
                         const struct connection *but)
{
    bool others = false;
    const struct connection *c;
    TAILQ_FOREACH(c, &contact->connections, of_contact)
    {
        if (c == but || c->state == CS_IDLE)
            continue;
        tell_leg(s, c);
        others = true;
    }
    if (!others)
        return;
    tell_property(s, contact, "CALLING_ADDRESS", true);
    tell_property(s, contact, "CALLED_ADDRESS", true);
    tell_property(s, contact, "CALLING_TERMINAL", contact->calling_terminal != NULL);
    tell_property(s, contact, "LAST_REDIRECTED_ADDRESS", contact->last_redirected != NULL);
    tell_property(s, contact, "ATTACHED_DATA", contact->data.type != DATA_NONE);
    tell_property(s, contact, "INTRINSICS", contact->intrinsic_count > 0);
    tell_property(s, contact, "UUI", *contact->uui != '\0');
}

/* --- system events --- */

/* -1: no such system event. */
static int policy_of(const char *event)
{
    static const char *const names[POLICY_FLAGS] = {
        [POLICY_CONNECTION_FAILURE] = "CONNECTION_FAILURE",
        [POLICY_SESSION_TERMINATION] = "SESSION_TERMINATION",
        [POLICY_SESSION_TERMINATION_IMMINENT] = "SESSION_TERMINATION_IMMINENT",
        [POLICY_SUBSCRIPTION_TERMINATION] = "SUBSCRIPTION_TERMINATION",
        [POLICY_SUBSCRIPTION_TERMINATION_IMMINENT] = "SUBSCRIPTION_TERMINATION_IMMINENT"};
    for (int i = 0; i < POLICY_FLAGS; i++) {
        if (strcmp(names[i], event) == 0)
            return i;
    }
    return -1;
}

static void tell_system(const struct sim_event *e)
{
    int policy = policy_of(e->property);
    struct subscription *s;
    TAILQ_FOREACH(s, &subscriptions, link)
    {
        bool meant = e->subscription != NULL ? s == e->subscription : s->session == e->session;
        if (meant && policy >= 0 && s->policy[policy])
            queue(&(struct view){.subscription = s}, e);
    }
}

static void on_event(const struct sim_event *e)
{
    if (e->kind == EVENT_SYSTEM) {
        tell_system(e);
        return;
    }
    struct subscription *s;
    TAILQ_FOREACH(s, &subscriptions, link)
    {
        if (enters_scope(s->session->user, e))
            tell_contact(s, e->contact, e->connection);
        tell(s, e);
    }
}

void notify_settle(void)
{
    struct message *m;
    while ((m = TAILQ_FIRST(&fresh)) != NULL) {
        struct channel *channel = m->subscription->channel;
        TAILQ_REMOVE(&fresh, m, link);
        fresh_count--;
        message_settle(m);
        channel_put(channel, m);
    }
}

size_t notify_fresh(void)
{
    return fresh_count;
}

static void on_turn_end(void)
{
    notify_settle();
    channels_run();
}

void notify_init(void)
{
    loop_on_turn_end(on_turn_end);
    sim_set_sink(on_event);
}

void notify_free(void)
{
    sim_set_sink(NULL);
    struct message *m;
    while ((m = TAILQ_FIRST(&fresh)) != NULL) {
        TAILQ_REMOVE(&fresh, m, link);
        free(m);
    }
    fresh_count = 0;
    channels_free();
    message_free_scratch();
}
