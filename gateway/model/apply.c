/*
 * A notification becomes what the model knows. Whether it is news at all, or what another session has told already, is for recent.c to
 * say. What is news is believed (DOMAIN section 3.3): no transition is refused. A previousState that is not what was known means that
 * something was missed: the new state is still the newest that is known, and the object is read anew. So it is when a session's time
 * runs backwards.
 */
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "cctgate/loop.h"
#include "gateway/model/live.h"
#include "gateway/model/payload.h"

/* Which end of the enumerations means what (conf/contract: connectionState, terminalConnectionState, reason, systemEvent). */
static const struct leg_row {
    enum event_type type;
    enum entity leg, place;
    const char *list; /* of the place */
    const char *back; /* of the leg: the place */
    const char *final;
} leg_rows[] = {
    {EVENT_CONNECTION_STATE, ENTITY_CONNECTION, ENTITY_ADDRESS, "connections", "address",
     "DISCONNECTED"},
    {EVENT_TERMINAL_CONNECTION_STATE, ENTITY_TERMINAL_CONNECTION, ENTITY_TERMINAL,
     "terminalConnections", "terminal", "DROPPED"},
};
static const char *const beginnings[] = {"IDLE", "UNKNOWN"};
static const char *const consult_reasons[] = {"CONSULT_INIT", "TRANSFER_INIT", "CONFERENCE_INIT"};
static const char *const consult_properties[] = {"CONSULT", "SUPERVISED_TRANSFER_INIT",
                                                 "CONFERENCE_INIT"};
#define CALLED               "RINGING"
#define REASON_TRANSFERRED   "TRANSFER_COMPLETE"
#define PROPERTY_TRANSFERRED "SUPERVISED_TRANSFER_COMPLETE"
#define DELIVERY_FAILED      "CONNECTION_FAILURE"

struct applying {
    struct model *model;
    uint32_t user;
    uint64_t clock;
    struct payload payload;
    struct change change;
    struct recent recent; /* what was told of it before */
    int in_step;
};

static int is_one_of(const char *text, const char *const *list, size_t length)
{
    size_t i;
    for (i = 0; text != NULL && i < length; ++i)
        if (strcmp(text, list[i]) == 0)
            return 1;
    return 0;
}
#define ONE_OF(text, list) is_one_of((text), (list), sizeof(list) / sizeof((list)[0]))

static struct node *take_node(struct applying *a, enum entity kind)
{
    const char *id = a->payload.ids[kind];
    struct node *node =
        id != NULL ? graph_get(&a->model->graph, kind, id, a->payload.handles[kind]) : NULL;
    uint64_t subscription = live_subscription(a->model, a->user);

    if (node != NULL && !may_cover(a->model, node, node->covered) &&
        may_cover(a->model, node, subscription) && json_object_size(node->facts) == 0)
        node->covered = subscription;
    return node;
}

/* ---- telling ---- */

static struct pending_event *tell(struct applying *a, const struct node *about, const char *agent)
{
    struct notice n = {
        a->payload.type,          about, agent, a->payload.property, a->user, a->payload.time_ms, 0,
        payload_data(&a->payload)};
    return notice(a->model, &n);
}

/* `to`: whose users are told, too; NULL: nobody's. */
static struct pending_event *tell_news(struct applying *a, const struct node *about,
                                       const char *agent, const struct node *to)
{
    struct pending_event *event = tell(a, about, agent);
    pending_add_users(event, to);
    recent_add(a->model->live, &a->change, event);
    return event;
}

static const char *agent_of(const struct applying *a, const struct node *place)
{
    return place != NULL ? agent_at(a->model, place) : NULL;
}

/* ---- lineage ---- */

static void note_lineage(struct applying *a, const struct leg_row *row, struct node *contact,
                         const struct node *place)
{
    const char *reason = a->payload.reason, *state = a->payload.new_state;

    if (row->leg == ENTITY_TERMINAL_CONNECTION) {
        if (ONE_OF(reason, consult_reasons) && strcmp(state, CALLED) != 0 && place != NULL)
            lineage_begun(a->model, contact, place, a->payload.time_ms);
    } else if (reason != NULL && strcmp(reason, REASON_TRANSFERRED) == 0 &&
               strcmp(state, row->final) != 0 &&
               lineage_takes_over(a->model, contact, a->payload.ids[ENTITY_ADDRESS])) {
        lineage_transferred(a->model, contact);
    }
}

static void note_lineage_of_property(struct applying *a, struct node *contact)
{
    if (ONE_OF(a->payload.property, consult_properties))
        lineage_named(a->model, contact, a->payload.time_ms);
    else if (a->payload.property != NULL && strcmp(a->payload.property, PROPERTY_TRANSFERRED) == 0)
        lineage_transferred(a->model, contact);
}

/* ---- legs of calls ---- */

static int is_own(const struct applying *a, const struct node *place)
{
    return place != NULL && node_has_user(place, a->user);
}

/* A leg that was never heard of may have been there before this user saw the call; not so the user's own. */
static int may_be_older(const struct applying *a, const struct node *contact,
                        const struct node *place)
{
    return !is_own(a, place) && !fact_is_fresh(a->model, contact, "connections");
}

/*
 * Something must have been missed, unless a read had seen it already, or the session comes to a leg that others have told of and that
 * is none of its own.
 */
static int is_gap(const struct applying *a, const struct node *leg, const struct node *contact,
                  const struct node *place)
{
    const char *known = leg != NULL ? node_state(leg) : NULL;

    if (!a->in_step || a->payload.previous_state == NULL || a->recent.was_read)
        return 0;
    if (known == NULL)
        return !ONE_OF(a->payload.previous_state, beginnings) && !may_be_older(a, contact, place);
    if (strcmp(known, a->payload.previous_state) == 0 ||
        (leg->told_at == 0 && strcmp(known, a->payload.new_state) == 0))
        return 0;
    return a->recent.had_all || is_own(a, place);
}

static void link_leg(struct applying *a, const struct leg_row *row, struct node *leg,
                     struct node *place, struct node *contact)
{
    struct node *connection = leg;

    if (row->leg == ENTITY_TERMINAL_CONNECTION &&
        (connection = take_node(a, ENTITY_CONNECTION)) != NULL) {
        node_tell(leg, "connection", json_string(connection->id), a->clock);
        node_link(connection, "terminalConnections", leg->id, a->clock);
        if (connection->told_at == 0)
            node_dirty(connection, "terminalConnections", a->clock);
    }
    node_tell(leg, "contact", json_string(contact->id), a->clock);
    if (place != NULL) {
        node_tell(leg, row->back, json_string(place->id), a->clock);
        node_link(place, row->list, leg->id, a->clock);
        touch(a->model, place);
    }
    if (connection != NULL) {
        node_tell(connection, "contact", json_string(contact->id), a->clock);
        node_link(contact, "connections", connection->id, a->clock);
    }
}

/* Rights are those of whoever asks: another user's word about a leg that is not his says nothing. */
static void take_capabilities(struct applying *a, struct node *node, const struct node *place)
{
    if (a->payload.capabilities == NULL)
        return;
    if (place == NULL || place->num_users == 0 || node_has_user(place, a->user))
        node_tell(node, "capabilities", json_incref(a->payload.capabilities), a->clock);
    else if (json_object_get(node->facts, "capabilities") != NULL)
        node_dirty(node, "capabilities", a->clock);
}

/* Whose the leg is sees the call; so does whoever told it, if he has a leg in it, or is about to. */
static void see_call(struct applying *a, struct node *contact, const struct node *place,
                     int is_final)
{
    size_t i;
    for (i = 0; !is_final && place != NULL && i < place->num_users; ++i)
        contact_see(a->model, contact, place->users[i]);
    if (contact_has_leg(a->model, contact, a->user) ||
        (a->change.introduces && a->recent.num_users > 0 && !is_final))
        contact_see(a->model, contact, a->user);
}

static void set_state(struct applying *a, struct node *leg)
{
    leg->told_at = a->clock;
    leg->untold = 0;
    leg->told_ms = a->payload.time_ms;
    node_tell(leg, "state", json_string(a->payload.new_state), a->clock);
    if (json_is_boolean(json_object_get(a->payload.body, "IsRemote")))
        node_tell(leg, "remote", json_incref(json_object_get(a->payload.body, "IsRemote")),
                  a->clock);
}

/* What is told of it from now on is told by sessions that lag. */
static void end_contact(struct applying *a, struct node *contact)
{
    contact->ended = 1;
    contact_is_over(a->model, contact->id);
}

static void end_leg(struct applying *a, struct node *leg, struct node *contact)
{
    const struct node *place = place_of(a->model, leg);
    if (leg->kind == ENTITY_TERMINAL_CONNECTION)
        terminal_connection_over(a->model, leg, a->clock, a->user);
    else
        connection_over(a->model, leg, a->clock, a->user);
    if (json_object_size(json_object_get(contact->facts, "connections")) == 0)
        end_contact(a, contact);
    else
        contact_out_of_sight(a->model, contact, place);
}

static void change_leg(struct applying *a, const struct leg_row *row, struct node *contact,
                       struct node *place)
{
    struct node *leg = take_node(a, row->leg);

    contact->told_at = a->clock;
    contact->ended = contact->unseen = 0;
    link_leg(a, row, leg, place, contact);
    dirty_call(a->model, contact, a->clock);
    set_state(a, leg);
    take_capabilities(a, leg, place);
    touch(a->model, leg);
    touch(a->model, contact);
    if (leg->kind == ENTITY_TERMINAL_CONNECTION)
        force_answer_watch(a->model, leg);
    if (strcmp(a->payload.new_state, row->final) == 0)
        end_leg(a, leg, contact);
}

/* The newcomer alone, and what is known, which may be newer than what this session tells. */
static void introduce(struct applying *a, const struct node *contact, const struct node *place,
                      const struct node *leg)
{
    struct pending_event *event = tell(a, contact, agent_of(a, place));

    json_object_set_new(event->data, "newState", json_string(node_state(leg)));
    json_object_set_new(event->data, "introduced", json_true());
    pending_tell_only(event, a->user, contact->users, contact->num_users);
}

/* 1: about something that has gone already, as a session tells it that lags: no news for anybody. */
static int is_past(struct applying *a, struct node *contact, const struct node *leg,
                   const char *leg_id, int is_new, int is_final)
{
    if ((is_new || contact->ended) && is_over(a->model, contact->id, 0)) {
        contact->ended = 1;
        touch(a->model, contact);
        return 1;
    }
    if (leg != NULL || !is_over(a->model, leg_id, 0))
        return 0;
    /* it went with the leg that it was a part of, or another session was first */
    if (!is_final && a->in_step && who_ended(a->model, leg_id) == a->user)
        live_gap(a->model, contact, "order");
    return 1;
}

/* What he is told follows upon what he knows, which is not what the others know. */
static void tell_user_alone(struct applying *a, const struct node *about, const struct node *place,
                            const uint32_t *others, size_t num_others)
{
    pending_tell_only(tell(a, about, agent_of(a, place)), a->user, others, num_others);
}

/*
 * A session that is ahead of the others, or has come to the leg while they lag, tells what does not follow upon what they have told.
 * Those who know that are told what follows upon it: nothing, if it makes no difference to them.
 */
static void tell_ahead(struct applying *a, const struct node *contact, const struct node *place,
                       const char *known)
{
    int is_stranger = a->recent.num_users > 0 && !recent_has_user(&a->recent, a->user);
    struct pending_event *event;

    if (strcmp(known, a->payload.new_state) == 0 && a->recent.num_users > 0) {
        if (is_stranger)
            tell_user_alone(a, contact, place, a->recent.users, a->recent.num_users);
        recent_pass(a->model->live, &a->change);
        return;
    }
    event = tell_news(a, contact, agent_of(a, place), place);
    json_object_set_new(event->data, "previousState", json_string(known));
    if (is_stranger && !a->change.introduces) {
        pending_leave_out(event, a->user);
        tell_user_alone(a, contact, place, event->users, event->num_users);
    }
}

static void apply_known(struct applying *a, const struct leg_row *row, struct node *contact,
                        struct node *place, struct node *leg)
{
    int gap = is_gap(a, leg, contact, place);
    const char *known = leg != NULL ? node_state(leg) : NULL;

    see_call(a, contact, place, strcmp(a->payload.new_state, row->final) == 0);
    if (gap || known == NULL || a->recent.had_all || a->recent.was_read ||
        a->payload.previous_state == NULL || strcmp(known, a->payload.previous_state) == 0)
        tell_news(a, contact, agent_of(a, place), place);
    else
        tell_ahead(a, contact, place, known);
    change_leg(a, row, contact, place);
    if (gap && !contact->ended)
        live_gap(a->model, contact, "previousState");
}

static void apply_leg(struct applying *a, const struct leg_row *row)
{
    const char *id = a->payload.ids[row->leg];
    struct node *leg = graph_find(&a->model->graph, row->leg, id), *contact, *place;
    int is_final, is_new;

    if (id == NULL || a->payload.ids[ENTITY_CONTACT] == NULL || a->payload.new_state == NULL)
        return;
    is_final = strcmp(a->payload.new_state, row->final) == 0;
    is_new = graph_find(&a->model->graph, ENTITY_CONTACT, a->payload.ids[ENTITY_CONTACT]) == NULL;
    contact = take_node(a, ENTITY_CONTACT);
    place = take_node(a, row->place);
    if (is_new)
        node_dirty(contact, "connections", a->clock);
    if (place != NULL && place->kind == ENTITY_TERMINAL && (!a->in_step || (is_new && is_final)))
        dirty_place(a->model, place, a->clock); /* it may have been read before, as it was then */
    if (is_past(a, contact, leg, id, is_new, is_final))
        return;
    note_lineage(a, row, contact, place);
    if (is_new && is_final) { /* the rest of the call, if there is one, will be heard of */
        tell_news(a, contact, agent_of(a, place), place);
        contact_is_over(a->model, id); /* the leg: whoever read it before must not bring it back */
        contact->ended = contact->unseen = 1;
        touch(a->model, contact);
    } else {
        apply_known(a, row, contact, place, leg);
    }
}

/* ---- properties ---- */

static void dirty_known(struct applying *a, struct node *node, const char *const *fields,
                        size_t count)
{
    size_t i;
    for (i = 0; i < count && fields[i] != NULL; ++i)
        if (!a->in_step || json_object_get(node->facts, fields[i]) != NULL)
            node_dirty(node, fields[i], a->clock); /* what is being read, too */
    touch(a->model, node);
}
#define DIRTY(a, node, list) dirty_known((a), (node), (list), sizeof(list) / sizeof((list)[0]))

/* What one property takes with it, without an event of its own: facts of the same object, of its agents or of its terminals. */
static const struct follow_row {
    enum event_type type;
    const char *property;
    enum entity of; /* the object itself, or the related ones */
    const char *fields[8];
} follows[] = {
    {EVENT_AGENT_PROPERTY,
     "LOGIN_STATUS",
     ENTITY_AGENT,
     {"ready", "notReadyReasonCode", "terminals", "addresses"}},
    {EVENT_AGENT_PROPERTY,
     "LOGIN_STATUS",
     ENTITY_TERMINAL,
     {"loginId", "ready", "notReadyReasonCode", "activityCode", "capabilities",
      "agentCapabilities"}},
    {EVENT_AGENT_PROPERTY,
     "READY_STATUS",
     ENTITY_TERMINAL,
     {"ready", "notReadyReasonCode", "agentCapabilities"}},
    {EVENT_AGENT_PROPERTY, "LOGIN_STATUS", ENTITY_TERMINAL_CONNECTION, {"agentCapabilities"}},
    {EVENT_AGENT_PROPERTY, "ADDRESS_NAME", ENTITY_AGENT, {"addresses"}},
    {EVENT_AGENT_PROPERTY,
     "INFORMATION",
     ENTITY_AGENT,
     {"loggedIn", "terminals", "addresses", "voiceTerminal"}},
    {EVENT_AGENT_PROPERTY, "INFORMATION", ENTITY_TERMINAL_CONNECTION, {"agentCapabilities"}},
    {EVENT_TERMINAL_PROPERTY,
     "READY_STATUS",
     ENTITY_AGENT,
     {"ready", "notReadyReasonCode", "capabilities"}},
    {EVENT_TERMINAL_PROPERTY,
     "AGENT_LOGIN_SESSION",
     ENTITY_TERMINAL,
     {"loginId", "ready", "notReadyReasonCode", "activityCode"}},
    {EVENT_TERMINAL_PROPERTY,
     "AGENT_LOGIN_SESSION",
     ENTITY_AGENT,
     {"loggedIn", "ready", "notReadyReasonCode", "terminals", "capabilities"}},
    {EVENT_TERMINAL_PROPERTY,
     "AGENT_LOGIN_SESSION",
     ENTITY_TERMINAL_CONNECTION,
     {"agentCapabilities"}},
    {EVENT_TERMINAL_PROPERTY,
     "AGENT_LOGIN_SESSION_ENDED",
     ENTITY_TERMINAL,
     {"loginId", "ready", "notReadyReasonCode", "activityCode"}},
    {EVENT_TERMINAL_PROPERTY,
     "AGENT_LOGIN_SESSION_ENDED",
     ENTITY_AGENT,
     {"loggedIn", "ready", "notReadyReasonCode", "terminals", "capabilities"}},
    {EVENT_TERMINAL_PROPERTY,
     "AGENT_LOGIN_SESSION_ENDED",
     ENTITY_TERMINAL_CONNECTION,
     {"agentCapabilities"}},
    {EVENT_ADDRESS_PROPERTY, "ADDRESS_TERMINAL_ASSOCIATION", ENTITY_ADDRESS, {"terminals"}},
    {EVENT_ADDRESS_PROPERTY, "ADDRESS_TERMINAL_ASSOCIATION", ENTITY_TERMINAL, {"addresses"}},
    {EVENT_ADDRESS_PROPERTY, "CONTROLLED", ENTITY_ADDRESS, {"controlled"}},
    {EVENT_ADDRESS_PROPERTY, "CONTROLLED", ENTITY_CONNECTION, {"routePointCapabilities"}},
    {EVENT_CONTACT_PROPERTY,
     "CONTACT",
     ENTITY_CONTACT,
     {"calling", "called", "callingTerminal", "originalDestination", "lastRedirected",
      "contactTypes", "connections", "data"}},
};

/* What an agent may do with a call depends on who is logged in at the terminal, and on his supervisor. */
static void follow_legs(struct applying *a, struct node *terminal, const struct follow_row *row)
{
    struct node *leg;

    terminal->dirtied = a->clock; /* those that are being read, too */
    GRAPH_FOREACH(&a->model->graph, terminal, "terminalConnections", ENTITY_TERMINAL_CONNECTION,
                  leg)
    {
        DIRTY(a, leg, row->fields);
    }
}

static void follow(struct applying *a, struct node *node, const struct follow_row *row)
{
    struct node *related;

    if (row->of == node->kind) {
        DIRTY(a, node, row->fields);
    } else if (row->of == ENTITY_AGENT) {
        GRAPH_FOREACH(&a->model->graph, node, "agentsOf", ENTITY_AGENT, related)
        {
            DIRTY(a, related, row->fields);
        }
    } else if (row->of == ENTITY_CONNECTION) {
        node->dirtied = a->clock; /* those that are being read, too */
        GRAPH_FOREACH(&a->model->graph, node, "connections", ENTITY_CONNECTION, related)
        {
            DIRTY(a, related, row->fields);
            touch(a->model, related);
        }
    } else if (row->of == ENTITY_TERMINAL_CONNECTION && node->kind == ENTITY_TERMINAL) {
        follow_legs(a, node, row);
    } else if (row->of == ENTITY_TERMINAL_CONNECTION) {
        GRAPH_FOREACH(&a->model->graph, node, "terminals", ENTITY_TERMINAL, related)
        {
            follow_legs(a, related, row);
        }
    } else {
        GRAPH_FOREACH(&a->model->graph, node, "terminals", ENTITY_TERMINAL, related)
        {
            DIRTY(a, related, row->fields);
        }
    }
}

static void follow_all(struct applying *a, struct node *node)
{
    static const char *const agent_flags[] = {"agentCapabilities"};
    size_t i;

    for (i = 0; i < sizeof(follows) / sizeof(follows[0]); ++i)
        if (follows[i].type == a->payload.type && a->payload.property != NULL &&
            strcmp(follows[i].property, a->payload.property) == 0)
            follow(a, node, &follows[i]);
    if (node->kind == ENTITY_TERMINAL)
        DIRTY(a, node, agent_flags);
    if (node->kind == ENTITY_CONTACT)
        dirty_call(a->model, node, a->clock);
}

static void take_property(struct applying *a, struct node *node, const struct property_row *row)
{
    json_t *fact = payload_fact(&a->payload, row);

    if (fact != NULL)
        node_tell(node, row->field, fact, a->clock);
    else
        dirty_known(a, node, &row->field, 1);
}

static void take_properties(struct applying *a, struct node *node)
{
    size_t i;
    for (i = 0; i < num_property_rows; ++i)
        if (payload_tells(&a->payload, &property_rows[i]))
            take_property(a, node, &property_rows[i]);
}

/* A place says with every event whether it is in service. */
static void note_status(struct applying *a, struct node *node, enum event_type type)
{
    const char *status = json_string_value(json_object_get(node->handle, "status"));
    const char *known = node_state(node);
    struct notice n = {type, node, agent_at(a->model, node), NULL, a->user, a->payload.time_ms,
                       1,    NULL};

    if (status == NULL || known == NULL || strcmp(status, known) == 0)
        return;
    n.data = json_pack("{s:s, s:s, s:s}", type == EVENT_TERMINAL_STATE ? "terminal" : "address",
                       node->id, "state", status, "previousState", known);
    node_tell(node, "state", json_string(status), a->clock);
    notice(a->model, &n);
}

/* What is the newest word about the object as a whole, and not only about one property. */
static void take_newest(struct applying *a, struct node *node, const struct node *place)
{
    node->told_ms = a->payload.time_ms;
    node->told_by = a->user;
    node->told_at = a->clock;
    take_capabilities(a, node, node->kind == ENTITY_CONTACT ? NULL : place);
    if (node->kind == ENTITY_TERMINAL)
        note_status(a, node, EVENT_TERMINAL_STATE);
    if (node->kind == ENTITY_ADDRESS)
        note_status(a, node, EVENT_ADDRESS_STATE);
}

static void apply_property(struct applying *a, enum entity kind)
{
    struct node *node;
    const struct node *place;
    int is_new, late;

    if (a->payload.ids[kind] == NULL)
        return;
    is_new = graph_find(&a->model->graph, kind, a->payload.ids[kind]) == NULL;
    node = take_node(a, kind);
    place = kind == ENTITY_CONTACT ? take_node(a, ENTITY_ADDRESS) : node;
    if (kind == ENTITY_CONTACT && is_new && is_over(a->model, node->id, 0)) {
        node->ended = 1;
        touch(a->model, node);
        return;
    }
    late = a->payload.time_ms != 0 && a->payload.time_ms < node->told_ms;
    if (late && node->told_by == a->user) {
        if (a->in_step)
            live_gap(a->model, node, "order");
        return;
    }
    if (kind == ENTITY_CONTACT && is_new)
        node_dirty(node, "connections", a->clock);
    if (kind == ENTITY_CONTACT)
        see_call(a, node, NULL, 0);
    if (kind == ENTITY_CONTACT)
        note_lineage_of_property(a, node);
    tell_news(a, node, agent_of(a, place), NULL);
    follow_all(a, node);
    take_properties(a, node);
    if (!late)
        take_newest(a, node, place);
    touch(a->model, node);
}

/* ---- the others ---- */

static void dirty_lists(struct applying *a)
{
    static const char *const lists[] = {"agents", "terminals", "addresses"};
    const struct session *session = sessions_find(a->model->sessions, a->user);
    struct node *user =
        session != NULL ? graph_find(&a->model->graph, ENTITY_USER, session_user(session)) : NULL;
    if (user != NULL)
        DIRTY(a, user, lists);
}

static void apply_state(struct applying *a, enum entity kind, const char *field)
{
    struct node *node = take_node(a, kind);

    if (node == NULL || a->payload.new_state == NULL)
        return;
    tell_news(a, node, agent_of(a, node), NULL);
    node_tell(node, field, json_string(a->payload.new_state), a->clock);
    take_capabilities(a, node, node);
    node->told_at = a->clock;
    touch(a->model, node);
    if (kind == ENTITY_AGENT)
        dirty_lists(a);
}

static void apply_contact(struct applying *a)
{
    struct node *contact = take_node(a, ENTITY_CONTACT);
    if (contact == NULL)
        return;
    see_call(a, contact, NULL, 0);
    tell_news(a, contact, NULL, NULL);
}

static void apply_system(struct applying *a)
{
    const char *what = json_string_value(json_object_get(a->payload.body, "SystemEvent"));

    notice_about_user(a->model, EVENT_SYSTEM, a->user, payload_data(&a->payload));
    if (what != NULL && strcmp(what, DELIVERY_FAILED) == 0)
        live_lost_events(live_user(a->model, a->user), "deliveryFailed");
}

static void apply_payload(struct applying *a)
{
    size_t i;
    for (i = 0; i < sizeof(leg_rows) / sizeof(leg_rows[0]); ++i)
        if (leg_rows[i].type == a->payload.type)
            apply_leg(a, &leg_rows[i]);
    switch (a->payload.type) {
    case EVENT_CONTACT_PROPERTY:
        apply_property(a, ENTITY_CONTACT);
        break;
    case EVENT_AGENT_PROPERTY:
        apply_property(a, ENTITY_AGENT);
        break;
    case EVENT_TERMINAL_PROPERTY:
        apply_property(a, ENTITY_TERMINAL);
        break;
    case EVENT_ADDRESS_PROPERTY:
        apply_property(a, ENTITY_ADDRESS);
        if (a->payload.property != NULL && strcmp(a->payload.property, "ACQUIRE_STATUS") == 0)
            dirty_lists(a);
        break;
    case EVENT_AGENT_STATE:
        apply_state(a, ENTITY_AGENT, "mapping");
        break;
    case EVENT_TERMINAL_STATE:
        apply_state(a, ENTITY_TERMINAL, "state");
        break;
    case EVENT_ADDRESS_STATE:
        apply_state(a, ENTITY_ADDRESS, "state");
        break;
    case EVENT_FORCE_DISCONNECT:
    case EVENT_DEFAULT_TREATMENT:
        apply_contact(a);
        break;
    case EVENT_PROVIDER_STATUS:
        notice_provider(a->model, a->user, payload_data(&a->payload));
        break;
    case EVENT_SYSTEM:
        apply_system(a);
        break;
    default:
        break;
    }
}

/* ---- copies ---- */

static struct node *object_of(const struct applying *a)
{
    static const enum entity order[] = {ENTITY_CONTACT, ENTITY_AGENT, ENTITY_TERMINAL,
                                        ENTITY_ADDRESS};
    size_t i;
    for (i = 0; i < sizeof(order) / sizeof(order[0]); ++i)
        if (a->payload.ids[order[i]] != NULL)
            return graph_find(&a->model->graph, order[i], a->payload.ids[order[i]]);
    return NULL;
}

static struct node *leg_of(const struct applying *a, const struct leg_row **row)
{
    for (*row = leg_rows; *row < leg_rows + sizeof(leg_rows) / sizeof(leg_rows[0]); ++*row)
        if ((*row)->type == a->payload.type)
            return graph_find(&a->model->graph, (*row)->leg, a->payload.ids[(*row)->leg]);
    *row = NULL;
    return NULL;
}

/* Where the leg is; NULL: not known, or it is about no leg. */
static struct node *place_told(const struct applying *a, const struct leg_row *row)
{
    return row != NULL ? graph_find(&a->model->graph, row->place, a->payload.ids[row->place])
                       : NULL;
}

static int property_is_known(const struct applying *a, const struct property_row *row)
{
    const struct node *node = object_of(a);
    json_t *fact =
        node != NULL && payload_tells(&a->payload, row) ? payload_fact(&a->payload, row) : NULL;
    int known = fact == NULL || json_equal(fact, json_object_get(node->facts, row->field));

    json_decref(fact);
    return known;
}

/* Nothing newer is known: a copy that lags so far is no news even for whom it was never told. */
static int is_current(const struct applying *a)
{
    const struct leg_row *row;
    const struct node *leg = leg_of(a, &row);
    const char *state = leg != NULL ? node_state(leg) : row != NULL ? row->final : NULL;
    size_t i;

    if (!a->recent.is_newest)
        return 0;
    if (row != NULL)
        return state != NULL && a->payload.new_state != NULL &&
               strcmp(state, a->payload.new_state) == 0;
    for (i = 0; i < num_property_rows; ++i)
        if (!property_is_known(a, &property_rows[i]))
            return 0;
    return 1;
}

/*
 * What an event keeps from now on, but has gone from here since it was told first: nobody saw the call any more. A leg is not brought
 * back by him who was told then, and lags: he will tell that he has left, too.
 */
static int is_lacking(const struct applying *a, enum telling telling)
{
    const struct leg_row *row;
    const struct node *leg = leg_of(a, &row), *node = object_of(a);
    size_t i;

    if (row != NULL)
        return leg == NULL && a->change.introduces &&
               !is_over(a->model, a->payload.ids[row->leg], 0) &&
               (telling == TELLING_INTRODUCES || !recent_has_user(&a->recent, a->user));
    for (i = 0; node != NULL && i < num_property_rows; ++i)
        if (payload_tells(&a->payload, &property_rows[i]) &&
            json_object_get(node->facts, property_rows[i].field) == NULL)
            return 1;
    return 0;
}

/* This session may have told more of what came before it than the one that was first. */
static void note_lineage_of_copy(struct applying *a, struct node *contact, const struct node *place)
{
    const struct leg_row *row;

    note_lineage_of_property(a, contact);
    leg_of(a, &row);
    if (row != NULL && a->payload.new_state != NULL)
        note_lineage(a, row, contact, place);
}

/* The same change, told to another session: its rights may be the ones that count, and its user may not have been told. */
static void apply_copy(struct applying *a)
{
    const struct leg_row *row;
    struct node *leg = leg_of(a, &row), *about = object_of(a), *place = place_told(a, row);

    ++a->model->live->num_copies;
    if (leg != NULL && is_own(a, place) && is_current(a)) {
        take_capabilities(a, leg, place);
        touch(a->model, leg);
    }
    if (about != NULL && about->kind == ENTITY_CONTACT) {
        if (contact_has_leg(a->model, about, a->user))
            contact_see(a->model, about, a->user);
        else if (!about->ended && row != NULL && is_own(a, place) && leg == NULL)
            contact_out_of_sight(a->model, about, place); /* told before he came to it */
        note_lineage_of_copy(a, about, place);
        if (leg != NULL && a->recent.was_found && !about->ended) {
            dirty_call(a->model, about, a->clock); /* flags may have been read before it happened */
            touch(a->model, about);
        }
    }
    if (about != NULL && is_current(a) && !recent_has_user(&a->recent, a->user))
        tell_user_alone(a, about, place, a->recent.users, a->recent.num_users);
}

static void apply_introduction(struct applying *a)
{
    const struct leg_row *row;
    const struct node *leg = leg_of(a, &row);
    struct node *contact = object_of(a);

    if (leg == NULL || node_state(leg) == NULL || contact == NULL)
        return;
    introduce(a, contact, place_told(a, row), leg);
    see_call(a, contact, NULL, 0);
}

static void apply_fault(struct applying *a, enum telling telling)
{
    struct node *about = object_of(a);

    if (telling == TELLING_REPEATED)
        ++a->model->live->num_duplicates;
    if (about == NULL || about->ended)
        return;
    if (telling == TELLING_REPEATED && a->payload.previous_state != NULL)
        notice_gap(a->model, about, "duplicate");
    if (telling == TELLING_BACKWARDS && a->in_step)
        live_gap(a->model, about, "order");
}

static void take_change(struct applying *a)
{
    const struct leg_row *row;

    leg_of(a, &row);
    a->change = (struct change){.object = payload_object(&a->payload),
                                .hash = payload_hash(&a->payload),
                                .place = payload_place(&a->payload),
                                .state = payload_state(a->payload.new_state),
                                .previous = payload_state(a->payload.previous_state),
                                .user = a->user,
                                .time_ms = a->payload.time_ms};
    a->change.introduces = row != NULL && ONE_OF(a->payload.previous_state, beginnings) &&
                           !is_own(a, place_told(a, row));
}

static int is_news(struct applying *a)
{
    enum telling telling;

    take_change(a);
    telling = recent_check(a->model->live, &a->change, &a->recent);
    switch (telling) {
    case TELLING_NEWS:
        return 1;
    case TELLING_COPY:
    case TELLING_INTRODUCES:
        if (is_lacking(a, telling))
            return 1;
        if (telling == TELLING_COPY)
            apply_copy(a);
        else
            apply_introduction(a);
        return 0;
    case TELLING_LATE:
        return 0;
    default:
        apply_fault(a, telling);
        return 0;
    }
}

void apply_message(struct model *model, uint32_t user, const json_t *message)
{
    struct applying a = {.model = model, .user = user, .clock = live_tick(model)};
    struct coverage *coverage = live_coverage(model, live_subscription(model, user));

    a.in_step = coverage != NULL && coverage->in_step;
    if (coverage != NULL)
        coverage->heard = 1;
    if (payload_take(&a.payload, message) != CG_OK) {
        log_write(LOG_LEVEL_WARNING, "eventUnknown", "A notification of an unknown kind");
        return;
    }
    if (a.payload.type == EVENT_SYSTEM || a.payload.type == EVENT_PROVIDER_STATUS || is_news(&a))
        apply_payload(&a);
}
