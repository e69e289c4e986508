/* What a fetch found becomes part of the graph; what that changes, and no event told, is told as an event. */
#include <stdlib.h>
#include <string.h>

#include "cctgate/log.h"
#include "cctgate/loop.h"
#include "gateway/model/live.h"
#include "gateway/model/payload.h"

/* The states that a leg ends with, and the one that nothing is known of (conf/contract: connectionState, terminalConnectionState). */
#define CONNECTION_ENDS          "DISCONNECTED"
#define TERMINAL_CONNECTION_ENDS "DROPPED"
#define STATE_UNKNOWN            "UNKNOWN"

struct merging {
    struct model *model;
    struct fetch *fetch;
    int telling; /* the session's objects were known before, so that differences are news */
};

/* ---- telling ---- */

static void put(json_t *data, const char *key, const json_t *value)
{
    if (json_is_string(value))
        json_object_set_new(data, key, json_string(json_string_value(value)));
}

static json_t *leg_data(struct model *model, const struct node *leg)
{
    const struct node *contact = contact_of(model, leg);
    json_t *data = json_object();

    json_object_set_new(data,
                        leg->kind == ENTITY_CONNECTION ? "connectionId" : "terminalConnectionId",
                        json_string(leg->id));
    if (contact != NULL)
        json_object_set_new(data, "contactId", json_string(contact->id));
    if (leg->kind == ENTITY_TERMINAL_CONNECTION)
        put(data, "connectionId", json_object_get(leg->facts, "connection"));
    put(data, "address", json_object_get(leg->facts, "address"));
    put(data, "terminal", json_object_get(leg->facts, "terminal"));
    json_object_set_new(data, "reconciled", json_true());
    return data;
}

static const char *leg_agent(struct model *model, const struct node *leg)
{
    const struct node *place =
        graph_find(&model->graph, leg->kind == ENTITY_CONNECTION ? ENTITY_ADDRESS : ENTITY_TERMINAL,
                   json_string_value(json_object_get(
                       leg->facts, leg->kind == ENTITY_CONNECTION ? "address" : "terminal")));
    return place != NULL ? agent_at(model, place) : NULL;
}

static enum event_type state_event(const struct node *leg)
{
    return leg->kind == ENTITY_CONNECTION ? EVENT_CONNECTION_STATE
                                          : EVENT_TERMINAL_CONNECTION_STATE;
}

/* So that it is known again when a session tells it; `event`: as it was told, NULL: it was not. */
static void remember_state(struct model *model, const struct node *leg, const char *state,
                           const struct pending_event *event)
{
    json_t *read = json_object_get(json_object_get(leg->facts, "state"), "currentState");
    const char *known = node_state(leg);
    int64_t time_ms = known != NULL && strcmp(known, state) == 0
                          ? json_integer_value(json_object_get(read, "entranceTime"))
                          : 0;

    recent_read(model->live, payload_object_of_leg(state_event(leg), leg->id), payload_state(state),
                time_ms, event);
}

static void tell_state(struct model *model, const struct node *leg, const char *now,
                       const char *before)
{
    const struct node *contact = contact_of(model, leg);
    json_t *data = leg_data(model, leg);
    struct notice n = {
        state_event(leg), contact, leg_agent(model, leg), NULL, 0, clock_unix_ms(), 0, data};

    json_object_set_new(data, "newState", json_string(now));
    json_object_set_new(data, "previousState", json_string(before));
    if (contact != NULL)
        remember_state(model, leg, now, notice(model, &n));
    else
        json_decref(data);
}

/* One property may be several facts: told once, with all of them. */
static struct pending_event *just_told(const struct model *model, const struct node *node,
                                       const struct property_row *row)
{
    struct live *live = model->live;
    struct pending_event *last =
        live->pending != NULL ? (struct pending_event *)((char *)live->pending_end -
                                                         offsetof(struct pending_event, next))
                              : NULL;
    return last != NULL && last->about == node && last->type == row->type &&
                   last->property != NULL && strcmp(last->property, row->name) == 0
               ? last
               : NULL;
}

static json_t *property_value(const struct node *node, const struct property_row *row)
{
    json_t *values = json_object(), *only;
    size_t i;

    for (i = 0; i < num_property_rows; ++i)
        if (property_rows[i].type == row->type && strcmp(property_rows[i].name, row->name) == 0)
            json_object_set_new(values, property_rows[i].field,
                                public_value(property_rows[i].field,
                                             json_object_get(node->facts, property_rows[i].field)));
    if (property_has_fields(row->type, row->name) || json_object_size(values) != 1)
        return values;
    only = json_incref(json_object_iter_value(json_object_iter(values)));
    json_decref(values);
    return only;
}

static void tell_property(struct model *model, const struct node *node,
                          const struct property_row *row)
{
    struct pending_event *event = just_told(model, node, row);
    struct notice n = {row->type, node, agent_at(model, node), row->name, 0, clock_unix_ms(),
                       0,         NULL};

    if (event == NULL) {
        n.data = json_pack("{s:s, s:b}", "property", row->name, "reconciled", 1);
        event = notice(model, &n);
        event->about = node;
    }
    json_object_set_new(event->data, "value", property_value(node, row));
}

static void tell_flags(struct model *model, const struct node *leg)
{
    const struct node *contact = contact_of(model, leg);
    json_t *data = leg_data(model, leg);
    struct notice n = {leg->kind == ENTITY_CONNECTION ? EVENT_CONNECTION_PROPERTY
                                                      : EVENT_TERMINAL_CONNECTION_PROPERTY,
                       contact,
                       leg_agent(model, leg),
                       leg->id,
                       0,
                       clock_unix_ms(),
                       1,
                       data};

    json_object_set_new(data, "property", json_string("CAPABILITIES"));
    json_object_set(data, "capabilities", json_object_get(leg->facts, "capabilities"));
    if (contact != NULL)
        notice(model, &n);
    else
        json_decref(data);
}

static int is_leg(const struct node *node)
{
    return node->kind == ENTITY_CONNECTION || node->kind == ENTITY_TERMINAL_CONNECTION;
}

/* ---- one fact ---- */

static void found_missed(struct merging *merging, const struct node *node, const char *field)
{
    const struct node *about = is_leg(node) ? contact_of(merging->model, node) : node;
    if (about == NULL)
        return;
    ++merging->model->live->num_gaps;
    log_write(LOG_LEVEL_WARNING, "difference", "What was read is not what notifications had told",
              LOG_S("id", node->id), LOG_S("field", field),
              LOG_I("userNumber", merging->fetch->user));
    notice_gap(merging->model, about, "reconciliation");
}

/* Events tell of it only where somebody has asked for that (PresenceSubscribe): that none came is no loss. */
static int is_told_on_request(const char *field)
{
    return strcmp(field, "presence") == 0;
}

static void tell_change(struct merging *merging, struct node *node, const char *field,
                        const char *state_before, int was_fresh)
{
    const struct property_row *row = property_of_fact(node->kind, field);
    const char *now = node_state(node);

    ++merging->model->live->num_differences;
    if (is_leg(node) && strcmp(field, "state") == 0) {
        if (now == NULL || (state_before != NULL && strcmp(now, state_before) == 0))
            return; /* the same state, told in another form */
        if (was_fresh)
            found_missed(merging, node, field);
        if (state_before != NULL)
            tell_state(merging->model, node, now, state_before);
        else
            node->untold = 1;
    } else if (is_leg(node) && strcmp(field, "capabilities") == 0) {
        tell_flags(merging->model, node);
    } else if (row != NULL) {
        if (was_fresh && !is_told_on_request(field))
            found_missed(merging, node, field);
        tell_property(merging->model, node, row);
    }
}

/* A leg that nobody had heard of is told when it is known where it belongs. */
static void tell_untold(struct merging *merging, struct node *leg)
{
    const char *back = leg->kind == ENTITY_CONNECTION ? "address" : "connection";

    if (!leg->untold || node_state(leg) == NULL || contact_of(merging->model, leg) == NULL ||
        json_object_get(leg->facts, back) == NULL)
        return;
    leg->untold = 0;
    tell_state(merging->model, leg, node_state(leg), STATE_UNKNOWN);
}

static void leg_over(struct merging *merging, struct node *leg)
{
    if (merging->telling && node_state(leg) != NULL)
        tell_state(merging->model, leg,
                   leg->kind == ENTITY_CONNECTION ? CONNECTION_ENDS : TERMINAL_CONNECTION_ENDS,
                   node_state(leg));
    if (leg->kind == ENTITY_CONNECTION)
        connection_over(merging->model, leg, live_clock(merging->model), 0);
    else
        terminal_connection_over(merging->model, leg, live_clock(merging->model), 0);
}

/* Legs that were in the list and are not any more. */
static void end_unlisted(struct merging *merging, struct node *node, const char *field,
                         enum entity child, json_t *before)
{
    json_t *now = json_object_get(node->facts, field), *entry;
    const char *id;
    struct node *leg;

    json_object_foreach(before, id, entry)
    {
        if (json_object_get(now, id) != NULL ||
            (leg = graph_find(&merging->model->graph, child, id)) == NULL)
            continue;
        if (is_leg(leg))
            leg_over(merging, leg);
        else if (node->kind == ENTITY_AGENT)
            node_unlink(leg, "agentsOf", node->id, live_clock(merging->model));
    }
}

static int merge_list(struct merging *merging, struct node *node, const char *field,
                      enum entity child, const json_t *ids, uint64_t since)
{
    json_t *before = json_copy(json_object_get(node->facts, field)), *entry;
    int was_fresh = fact_is_fresh(merging->model, node, field);
    int changed = node_merge_list(node, field, ids, since);
    struct node *leg;
    const char *id;
    void *next;

    if (changed && was_fresh && merging->telling)
        found_missed(merging, node, field);
    json_object_foreach_safe(json_object_get(node->facts, field), next, id, entry)
    {
        if (graph_find(&merging->model->graph, child, id) == NULL) {
            if (is_over(merging->model, id, since)) { /* since it was read */
                node_unlink(node, field, id, live_clock(merging->model));
                continue;
            }
            graph_get(&merging->model->graph, child, id, NULL);
        }
        relate(merging->model, node, field, id);
        if ((leg = graph_find(&merging->model->graph, child, id)) != NULL)
            tell_untold(merging, leg);
    }
    if (changed && before != NULL)
        end_unlisted(merging, node, field, child, before);
    json_decref(before);
    return changed;
}

/* It is found by reading before any event has told of it: what is found first is told, too. */
static int is_newcomer(const struct node *node, const char *field)
{
    if (node->kind == ENTITY_CONTACT)
        return node->told_at == 0 && node->kept == 0;
    return is_leg(node) && strcmp(field, "state") == 0 && node->told_at == 0 && node->visited == 0;
}

/* What is read may differ in what nobody is shown, such as the status within another object's handle: that is no news. */
static int is_shown_the_same(const char *field, json_t *before, json_t *now)
{
    json_t *shown_before = public_value(field, before), *shown_now = public_value(field, now);
    int is_same = json_equal(shown_before, shown_now) ||
                  (says_nothing(shown_before) && says_nothing(shown_now));

    json_decref(shown_before);
    json_decref(shown_now);
    return is_same;
}

static int merge_fact(struct merging *merging, struct node *node, const char *field, json_t *value,
                      uint64_t since)
{
    json_t *known = json_incref(json_object_get(node->facts, field));
    int was_fresh = fact_is_fresh(merging->model, node, field);
    const char *state = node_state(node);
    char *before = state != NULL ? strdup(state) : NULL;
    int changed = node_merge(node, field, value, since);

    if (changed && is_leg(node) && strcmp(field, "state") == 0 && node_state(node) != NULL &&
        (before == NULL || strcmp(before, node_state(node)) != 0))
        remember_state(merging->model, node, node_state(node), NULL);
    if (changed && merging->telling &&
        (known != NULL ? !is_shown_the_same(field, known, value) : is_newcomer(node, field)))
        tell_change(merging, node, field, before, was_fresh && known != NULL);
    json_decref(known);
    free(before);
    return changed;
}

/* Another subscription keeps it from now on; what the old one knew is to be read once more. */
static void cover(struct merging *merging, struct node *node)
{
    uint64_t covering = merging->fetch->covering;
    const char *field;
    json_t *value;

    if (node->covered == covering || !may_cover(merging->model, node, covering) ||
        may_cover(merging->model, node, node->covered))
        return;
    json_object_foreach(node->facts, field, value) node_dirty(node, field, merging->fetch->since);
    node->covered = covering;
}

/* Through whose session a fact was read. */
static uint32_t read_by(const struct merging *merging, const struct node *found, const char *field)
{
    json_t *user = json_object_get(found->dirty, field);
    return user != NULL ? (uint32_t)json_integer_value(user) : merging->fetch->user;
}

/* When what its flags follow was last said to be another: the call, the terminals where it is. */
static uint64_t dirtied_around(struct model *model, const struct node *node)
{
    const struct node *contact = is_leg(node) ? contact_of(model, node) : NULL, *terminal;
    const struct node *place = is_leg(node) ? place_of(model, node) : node;
    uint64_t stamp = node->dirtied;

    if (contact != NULL && contact->dirtied > stamp)
        stamp = contact->dirtied;
    if (place != NULL && place->dirtied > stamp)
        stamp = place->dirtied;
    if (place == NULL || !is_place(place) || place->kind == ENTITY_TERMINAL)
        return stamp;
    GRAPH_FOREACH(&model->graph, place, "terminals", ENTITY_TERMINAL, terminal)
    {
        if (terminal->dirtied > stamp)
            stamp = terminal->dirtied;
    }
    return stamp;
}

/* Events that came while it was read, and before it was known what it hangs together with, could not say that it is outdated. */
static void doubt_flags(struct model *model, struct node *node, const struct node *found)
{
    uint64_t dirtied = dirtied_around(model, node);
    const char *field;
    json_t *stamp;

    json_object_foreach(found->stamps, field, stamp)
    {
        if (is_rights(field) && (uint64_t)json_integer_value(stamp) < dirtied &&
            json_object_get(node->facts, field) != NULL &&
            (uint64_t)json_integer_value(json_object_get(node->stamps, field)) < dirtied)
            node_dirty(node, field, dirtied);
    }
}

/* Events told of it while it was read, and what they told went when nobody saw it. */
static void doubt_all(struct model *model, struct node *node)
{
    const char *field;
    json_t *value;

    json_object_foreach(node->facts, field, value) node_dirty(node, field, live_clock(model));
}

static void merge_node(struct merging *merging, const struct node *found)
{
    struct model *model = merging->model;
    int is_new = graph_find(&model->graph, found->kind, found->id) == NULL;
    struct node *node = graph_get(&model->graph, found->kind, found->id, found->handle);
    const char *field;
    json_t *stamp;
    int changed = 0;

    if (node == NULL)
        return;
    if (merging->fetch->kind == RECORD_USER && is_place(node))
        node_add_user(node, merging->fetch->user);
    cover(merging, node);
    json_object_foreach(found->stamps, field, stamp)
    {
        json_t *value = json_object_get(found->facts, field);
        enum entity child = plan_child(found->kind, field);
        uint64_t since = (uint64_t)json_integer_value(stamp);
        if (value == NULL || (is_rights(field) && rights_user(model, node, merging->fetch->user) !=
                                                      read_by(merging, found, field)))
            continue;
        if (json_is_null(value) && json_is_object(json_object_get(node->facts, field)))
            node_dirty(node, field, live_clock(model)); /* it would not tell the list this time */
        else if (child != ENTITY_NONE && json_is_array(value))
            changed |= merge_list(merging, node, field, child, value, since);
        else
            changed |= merge_fact(merging, node, field, value, since);
    }
    tell_untold(merging, node);
    doubt_flags(model, node, found);
    if (is_new && was_forgotten(model, found->id, merging->fetch->since))
        doubt_all(model, node);
    if (changed)
        touch(model, node);
}

/* ---- ends ---- */

void merge_contact_over(struct model *model, struct node *contact)
{
    struct merging merging = {model, NULL, 1};
    json_t *legs = json_incref(json_object_get(contact->facts, "connections")), *entry;
    struct node *leg;
    const char *id;
    void *next;

    merging.telling = contact->covered != 0;
    json_object_foreach_safe(legs, next, id, entry)
    {
        if ((leg = graph_find(&model->graph, ENTITY_CONNECTION, id)) != NULL)
            leg_over(&merging, leg);
    }
    json_decref(legs);
    contact->ended = 1;
    touch(model, contact);
}

static void merge_gone(struct merging *merging, const struct node *found)
{
    struct node *node = graph_find(&merging->model->graph, found->kind, found->id);

    if (node == NULL || node->told_at > merging->fetch->since)
        return;
    if (live_coverage(merging->model, node->covered) != NULL) {
        /* a fault alone ends nothing that events keep: lists tell what has gone */
        node_dirty(node, "state", live_clock(merging->model));
        touch(merging->model, node);
        return;
    }
    if (node->kind == ENTITY_CONTACT)
        merge_contact_over(merging->model, node);
    else if (is_leg(node))
        leg_over(merging, node);
}

/* Ids are never used again, so that the oldest may be forgotten at any time; half of them, now and then. */
#define ENDED_MAX 8192
static void forget_older_half(json_t *remembered)
{
    json_t *value;
    const char *id;
    void *next;
    size_t left = ENDED_MAX / 2;

    if (json_object_size(remembered) < ENDED_MAX)
        return;
    json_object_foreach_safe(remembered, next, id, value)
    {
        if (left-- == 0)
            break;
        json_object_del(remembered, id);
    }
}

void merge_forget_ended(struct model *model)
{
    forget_older_half(model->live->ended);
    forget_older_half(model->live->forgotten);
}

/*
 * What came while all of a user's was being read said of other objects, too, that they may have changed; only now it is known which those
 * are.
 */
static void doubt_related(struct merging *merging)
{
    struct model *model = merging->model;
    const struct node *found;

    for (found = merging->fetch->first; found != NULL; found = found->next) {
        struct node *node = graph_find(&model->graph, found->kind, found->id);
        uint64_t stamp = node != NULL ? node->dirtied : 0;
        if (stamp <= merging->fetch->since)
            continue;
        node->dirtied = 0;
        if (node->kind == ENTITY_CONTACT)
            dirty_call(model, node, stamp);
        else if (node->kind == ENTITY_TERMINAL)
            dirty_place(model, node, stamp);
        else
            node->dirtied = stamp;
    }
}

void merge_fetch(struct fetch *fetch)
{
    struct merging merging = {fetch->model, fetch, 0};
    const struct coverage *coverage = live_user(fetch->model, fetch->user);
    const struct node *found;

    merging.telling = coverage->in_step || coverage->lost;
    live_tick(fetch->model);
    for (found = fetch->first; found != NULL; found = found->next) {
        if (found->gone)
            merge_gone(&merging, found);
        else if (!is_over(fetch->model, found->id, fetch->since))
            merge_node(&merging, found);
    }
    if (!coverage->in_step)
        doubt_related(&merging);
}
