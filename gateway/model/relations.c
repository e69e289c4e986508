/* What hangs together: legs and their places, calls and who sees them, and what changes silently when a call does. */
#include <stdlib.h>
#include <string.h>

#include "gateway/model/live.h"

/* What a list tells of its members: the way back. */
static const struct {
    enum entity parent;
    const char *field;
    enum entity child;
    const char *back; /* the child's fact, or, where there may be several, its list */
    int is_list;
} ways_back[] = {
    {ENTITY_TERMINAL, "terminalConnections", ENTITY_TERMINAL_CONNECTION, "terminal", 0},
    {ENTITY_CONTACT, "connections", ENTITY_CONNECTION, "contact", 0},
    {ENTITY_ADDRESS, "connections", ENTITY_CONNECTION, "address", 0},
    {ENTITY_CONNECTION, "terminalConnections", ENTITY_TERMINAL_CONNECTION, "connection", 0},
    {ENTITY_AGENT, "terminals", ENTITY_TERMINAL, "agentsOf", 1},
    {ENTITY_AGENT, "addresses", ENTITY_ADDRESS, "agentsOf", 1},
};

int is_place(const struct node *node)
{
    return node->kind == ENTITY_AGENT || node->kind == ENTITY_TERMINAL ||
           node->kind == ENTITY_ADDRESS;
}

/* A call is told to all who see it; an agent, a terminal or an address only to whom it belongs. */
int may_cover(const struct model *model, const struct node *node, uint64_t subscription)
{
    const struct coverage *coverage = live_coverage(model, subscription);
    return coverage != NULL && (!is_place(node) || node_has_user(node, coverage->user));
}

void relate(struct model *model, struct node *parent, const char *field, const char *child_id)
{
    size_t i;
    for (i = 0; i < sizeof(ways_back) / sizeof(ways_back[0]); ++i) {
        struct node *child;
        if (ways_back[i].parent != parent->kind || strcmp(ways_back[i].field, field) != 0 ||
            (child = graph_find(&model->graph, ways_back[i].child, child_id)) == NULL)
            continue;
        if (child->covered == 0 && json_object_size(child->facts) == 0 && !is_place(child))
            child->covered = parent->covered;
        if (ways_back[i].is_list)
            node_link(child, ways_back[i].back, parent->id, 0);
        else if (json_object_get(child->facts, ways_back[i].back) == NULL)
            json_object_set_new(child->facts, ways_back[i].back, json_string(parent->id));
    }
}

static struct node *one(struct model *model, const struct node *node, const char *field,
                        enum entity kind)
{
    return graph_find(&model->graph, kind, json_string_value(json_object_get(node->facts, field)));
}

struct node *contact_of(struct model *model, const struct node *leg)
{
    const struct node *connection = leg;
    struct node *contact;

    if (leg->kind == ENTITY_CONTACT)
        return graph_find(&model->graph, ENTITY_CONTACT, leg->id);
    if ((contact = one(model, leg, "contact", ENTITY_CONTACT)) != NULL)
        return contact;
    if (leg->kind == ENTITY_TERMINAL_CONNECTION &&
        (connection = one(model, leg, "connection", ENTITY_CONNECTION)) != NULL)
        return one(model, connection, "contact", ENTITY_CONTACT);
    return NULL;
}

/* Who is logged in there, else whose it is. */
const char *agent_at(struct model *model, const struct node *place)
{
    const char *id = json_string_value(json_object_get(place->facts, "loginId"));
    json_t *agents = json_object_get(place->facts, "agentsOf"), *entry;
    const struct node *terminal;

    if (place->kind == ENTITY_AGENT)
        return place->id;
    if (id != NULL && *id != '\0')
        return id;
    json_object_foreach(agents, id, entry) return id;
    if (place->kind != ENTITY_ADDRESS)
        return NULL;
    GRAPH_FOREACH(&model->graph, place, "terminals", ENTITY_TERMINAL, terminal)
    {
        if ((id = agent_at(model, terminal)) != NULL)
            return id;
    }
    return NULL;
}

void foreach_agent_of_call(struct model *model, const struct node *contact,
                           void (*on_agent)(void *data, const char *agent), void *data)
{
    const struct node *connection, *tc, *place;
    GRAPH_FOREACH(&model->graph, contact, "connections", ENTITY_CONNECTION, connection)
    {
        GRAPH_FOREACH(&model->graph, connection, "terminalConnections", ENTITY_TERMINAL_CONNECTION,
                      tc)
        {
            if ((place = one(model, tc, "terminal", ENTITY_TERMINAL)) != NULL)
                on_agent(data, agent_at(model, place));
        }
        if ((place = one(model, connection, "address", ENTITY_ADDRESS)) != NULL)
            on_agent(data, agent_at(model, place));
    }
}

/* ---- ends ---- */

/* When, and who told it: arrival number and user in one. */
#define STAMPS_MAX  64
#define OVER_BITS   16
#define ONLY_FORGET UINT32_MAX
_Static_assert(SESSION_VIEWS_MAX <= 1 << OVER_BITS, "a user's number has room");

static void set_over(struct model *model, const char *id, uint64_t stamp, uint32_t user)
{
    json_object_set_new(model->live->ended, id,
                        json_integer((json_int_t)(stamp << OVER_BITS | user)));
}

uint32_t who_ended(const struct model *model, const char *id)
{
    json_t *value = json_object_get(model->live->ended, id);
    return (uint32_t)((uint64_t)json_integer_value(value) & ((1u << OVER_BITS) - 1));
}

int is_over(const struct model *model, const char *id, uint64_t since)
{
    json_t *stamp = json_object_get(model->live->ended, id);
    return stamp != NULL && (uint64_t)json_integer_value(stamp) >> OVER_BITS >= since;
}

void note_forgotten(struct model *model, const char *id)
{
    json_object_set_new(model->live->forgotten, id, json_integer((json_int_t)live_clock(model)));
}

int was_forgotten(const struct model *model, const char *id, uint64_t since)
{
    json_t *stamp = json_object_get(model->live->forgotten, id);
    return stamp != NULL && (uint64_t)json_integer_value(stamp) >= since;
}

/* It leaves the graph at once, and memory with the commit: whoever holds the pointer may still look at it until then. */
static void remove_node(struct model *model, struct node *node, uint64_t stamp, uint32_t user)
{
    if (user != ONLY_FORGET)
        set_over(model, node->id, stamp, user);
    else if (!is_place(node))
        note_forgotten(model, node->id);
    touch(model, node);
    graph_take_out(&model->graph, node);
}

/* Nobody reads that began before: what events took out cannot come back, and need not be remembered. */
static void forget_old_stamps(struct model *model, struct node *place, const char *field)
{
    if (model->fetches == NULL &&
        json_object_size(json_object_get(place->stamps, field)) > STAMPS_MAX)
        json_object_del(place->stamps, field);
}

static int is_unused(const struct node *place)
{
    return json_object_size(json_object_get(place->facts, "connections")) == 0 &&
           json_object_size(json_object_get(place->facts, "terminalConnections")) == 0 &&
           json_object_size(json_object_get(place->facts, "agentsOf")) == 0;
}

static void unlink_at(struct model *model, const struct node *leg, const char *fact,
                      enum entity kind, const char *field, uint64_t stamp)
{
    struct node *place = one(model, leg, fact, kind);
    if (place == NULL)
        return;
    node_unlink(place, field, leg->id, stamp);
    forget_old_stamps(model, place, field);
    touch(model, place);
    if (is_place(place) && place->num_users == 0 && is_unused(place))
        remove_node(model, place, stamp, ONLY_FORGET); /* an outside number, for the most part */
}

void contact_is_over(struct model *model, const char *id)
{
    set_over(model, id, live_clock(model), 0);
}

void terminal_connection_over(struct model *model, struct node *tc, uint64_t stamp, uint32_t user)
{
    struct node *contact = contact_of(model, tc);
    unlink_at(model, tc, "terminal", ENTITY_TERMINAL, "terminalConnections", stamp);
    unlink_at(model, tc, "connection", ENTITY_CONNECTION, "terminalConnections", stamp);
    if (contact != NULL)
        touch(model, contact);
    remove_node(model, tc, stamp, user);
}

void connection_over(struct model *model, struct node *connection, uint64_t stamp, uint32_t user)
{
    json_t *legs = json_incref(json_object_get(connection->facts, "terminalConnections")), *entry;
    struct node *tc;
    const char *id;
    void *next;

    json_object_foreach_safe(legs, next, id, entry)
    {
        if ((tc = graph_find(&model->graph, ENTITY_TERMINAL_CONNECTION, id)) != NULL)
            terminal_connection_over(model, tc, stamp, user);
    }
    json_decref(legs);
    unlink_at(model, connection, "contact", ENTITY_CONTACT, "connections", stamp);
    unlink_at(model, connection, "address", ENTITY_ADDRESS, "connections", stamp);
    remove_node(model, connection, stamp, user);
}

/* Nobody sees it any more, but it goes on elsewhere: nothing is said to be over. */
static void forget_legs(struct model *model, struct node *contact)
{
    json_t *legs = json_incref(json_object_get(contact->facts, "connections")), *entry;
    const char *id;
    void *next;

    json_object_foreach_safe(legs, next, id, entry)
    {
        struct node *connection = graph_find(&model->graph, ENTITY_CONNECTION, id);
        if (connection == NULL)
            continue;
        connection_over(model, connection, live_clock(model), ONLY_FORGET);
    }
    json_decref(legs);
}

/* ---- who sees a call ---- */

void contact_see(struct model *model, struct node *contact, uint32_t user)
{
    struct holdings *holdings;

    if (user == 0 || !node_add_user(contact, user))
        return;
    if (contact->num_users == 1)
        note_contact(model, contact);
    holdings = holdings_of(model, user);
    if (holdings->calls == NULL)
        holdings->calls = json_object();
    json_object_set_new(holdings->calls, contact->id, json_true());
    touch(model, contact);
}

struct node *place_of(struct model *model, const struct node *leg)
{
    return leg->kind == ENTITY_CONNECTION ? one(model, leg, "address", ENTITY_ADDRESS)
                                          : one(model, leg, "terminal", ENTITY_TERMINAL);
}

int contact_has_leg(struct model *model, const struct node *contact, uint32_t user)
{
    const struct node *connection, *tc, *place;
    GRAPH_FOREACH(&model->graph, contact, "connections", ENTITY_CONNECTION, connection)
    {
        if ((place = place_of(model, connection)) != NULL && node_has_user(place, user))
            return 1;
        GRAPH_FOREACH(&model->graph, connection, "terminalConnections", ENTITY_TERMINAL_CONNECTION,
                      tc)
        {
            if ((place = place_of(model, tc)) != NULL && node_has_user(place, user))
                return 1;
        }
    }
    return 0;
}

/* Who sees it still and is in step has been told all along: that subscription keeps it now. */
static uint64_t other_cover(const struct model *model, const struct node *contact)
{
    size_t i;
    for (i = 0; i < contact->num_users; ++i) {
        const struct coverage *coverage =
            live_coverage(model, live_subscription(model, contact->users[i]));
        if (coverage != NULL && coverage->in_step)
            return coverage->subscription;
    }
    return 0;
}

static void cover_anew(struct model *model, struct node *contact, uint64_t gone)
{
    uint64_t other = other_cover(model, contact);
    struct node *connection, *tc;

    if (contact->covered == gone)
        contact->covered = other;
    GRAPH_FOREACH(&model->graph, contact, "connections", ENTITY_CONNECTION, connection)
    {
        if (connection->covered == gone)
            connection->covered = other;
        GRAPH_FOREACH(&model->graph, connection, "terminalConnections", ENTITY_TERMINAL_CONNECTION,
                      tc)
        {
            if (tc->covered == gone)
                tc->covered = other;
        }
    }
}

void contact_unsee(struct model *model, struct node *contact, uint32_t user)
{
    uint32_t *former =
        reallocarray(contact->former, contact->num_former + 1, sizeof(*contact->former));

    if (former == NULL)
        abort();
    contact->former = former;
    contact->former[contact->num_former++] = user;
    node_remove_user(contact, user);
    if (live_subscription(model, user) != 0)
        cover_anew(model, contact, live_subscription(model, user));
    json_object_del(holdings_of(model, user)->calls, contact->id);
    touch(model, contact);
}

static void see_at(struct model *model, struct node *contact, const struct node *place)
{
    size_t i;
    for (i = 0; place != NULL && i < place->num_users; ++i)
        contact_see(model, contact, place->users[i]);
}

/* A leg may have been found by reading, through another's session: then those whose place it is have not been noted yet. */
int contact_is_unseen(struct model *model, struct node *contact)
{
    const struct node *connection, *tc;

    if (contact->num_users > 0)
        return 0;
    GRAPH_FOREACH(&model->graph, contact, "connections", ENTITY_CONNECTION, connection)
    {
        see_at(model, contact, place_of(model, connection));
        GRAPH_FOREACH(&model->graph, connection, "terminalConnections", ENTITY_TERMINAL_CONNECTION,
                      tc)
        {
            see_at(model, contact, place_of(model, tc));
        }
    }
    return contact->num_users == 0;
}

/* A user sees a call by a leg at an address or terminal of his; when the last of those has gone, so has the call from his sight. */
void contact_out_of_sight(struct model *model, struct node *contact, const struct node *place)
{
    size_t i;
    for (i = 0; place != NULL && i < place->num_users; ++i)
        if (node_has_user(contact, place->users[i]) &&
            !contact_has_leg(model, contact, place->users[i]))
            contact_unsee(model, contact, place->users[i]);
    if (!contact_is_unseen(model, contact))
        return;
    contact->ended = contact->unseen = 1;
    forget_legs(model, contact);
}

/* ---- what follows a call without a word ---- */

static const char *const flag_fields[] = {"capabilities", "agentCapabilities",
                                          "routePointCapabilities"};

int is_rights(const char *field)
{
    size_t i;
    for (i = 0; i < sizeof(flag_fields) / sizeof(flag_fields[0]); ++i)
        if (strcmp(field, flag_fields[i]) == 0)
            return 1;
    return 0;
}

/* Rights are those of whoever asks: of a leg, those count that its place's owner has, where he has a session. */
uint32_t rights_user(struct model *model, const struct node *leg, uint32_t asking)
{
    const struct node *known = graph_find(&model->graph, leg->kind, leg->id), *place;
    size_t i;

    if ((leg->kind != ENTITY_CONNECTION && leg->kind != ENTITY_TERMINAL_CONNECTION) ||
        known == NULL || (place = place_of(model, known)) == NULL || node_has_user(place, asking))
        return asking;
    for (i = 0; i < place->num_users; ++i)
        if (atomic_load(&session_views[place->users[i]].state) == SESSION_UP &&
            sessions_find(model->sessions, place->users[i]) != NULL)
            return place->users[i];
    return asking;
}

static void dirty_flags(struct model *model, struct node *node, uint64_t stamp)
{
    size_t i;
    for (i = 0; i < sizeof(flag_fields) / sizeof(flag_fields[0]); ++i)
        if (json_object_get(node->facts, flag_fields[i]) != NULL)
            node_dirty(node, flag_fields[i], stamp);
    touch(model, node);
}

static void dirty_leg(struct model *model, struct node *tc, uint64_t stamp)
{
    size_t i;
    dirty_flags(model, tc, stamp);
    for (i = 0; i < CONSULT_FIELDS; ++i)
        if (json_object_get(tc->facts, consult_fields[i]) != NULL)
            node_dirty(tc, consult_fields[i], stamp);
}

void dirty_place(struct model *model, struct node *terminal, uint64_t stamp)
{
    struct node *agent, *tc, *address;

    if (terminal->dirtied == stamp)
        return;
    if (terminal->dirtied < stamp)
        terminal->dirtied = stamp;
    dirty_flags(model, terminal, stamp);
    GRAPH_FOREACH(&model->graph, terminal, "addresses", ENTITY_ADDRESS, address)
    {
        dirty_flags(model, address, stamp);
    }
    GRAPH_FOREACH(&model->graph, terminal, "agentsOf", ENTITY_AGENT, agent)
    {
        dirty_flags(model, agent, stamp);
    }
    GRAPH_FOREACH(&model->graph, terminal, "terminalConnections", ENTITY_TERMINAL_CONNECTION, tc)
    {
        dirty_leg(model, tc, stamp);
    }
}

void dirty_call(struct model *model, struct node *contact, uint64_t stamp)
{
    struct node *connection, *tc, *place;

    if (contact->dirtied == stamp)
        return;
    if (contact->dirtied < stamp)
        contact->dirtied = stamp;
    dirty_flags(model, contact, stamp);
    GRAPH_FOREACH(&model->graph, contact, "connections", ENTITY_CONNECTION, connection)
    {
        dirty_flags(model, connection, stamp);
        if ((place = one(model, connection, "address", ENTITY_ADDRESS)) != NULL)
            dirty_flags(model, place, stamp);
        GRAPH_FOREACH(&model->graph, connection, "terminalConnections", ENTITY_TERMINAL_CONNECTION,
                      tc)
        {
            dirty_leg(model, tc, stamp);
            if ((place = one(model, tc, "terminal", ENTITY_TERMINAL)) != NULL)
                dirty_place(model, place, stamp);
        }
    }
}

/* ---- which resources show it ---- */

static void agents_of(struct model *model, const struct node *terminal,
                      void (*on_root)(void *, struct node *), void *data)
{
    struct node *agent;
    GRAPH_FOREACH(&model->graph, terminal, "agentsOf", ENTITY_AGENT, agent)
    {
        on_root(data, agent);
    }
}

static void terminals_of(struct model *model, const struct node *contact,
                         void (*on_root)(void *, struct node *), void *data)
{
    const struct node *connection, *tc, *terminal;
    GRAPH_FOREACH(&model->graph, contact, "connections", ENTITY_CONNECTION, connection)
    {
        GRAPH_FOREACH(&model->graph, connection, "terminalConnections", ENTITY_TERMINAL_CONNECTION,
                      tc)
        {
            if ((terminal = one(model, tc, "terminal", ENTITY_TERMINAL)) != NULL)
                agents_of(model, terminal, on_root, data);
        }
    }
}

static void give(struct node *node, void (*on_root)(void *, struct node *), void *data)
{
    if (node != NULL)
        on_root(data, node);
}

void foreach_affected(struct model *model, struct node *node,
                      void (*on_root)(void *data, struct node *root), void *data)
{
    struct node *terminal;

    switch (node->kind) {
    case ENTITY_CONTACT:
        on_root(data, node);
        terminals_of(model, node, on_root, data);
        break;
    case ENTITY_CONNECTION:
        give(one(model, node, "address", ENTITY_ADDRESS), on_root, data);
        give(contact_of(model, node), on_root, data);
        break;
    case ENTITY_TERMINAL_CONNECTION:
        if ((terminal = one(model, node, "terminal", ENTITY_TERMINAL)) != NULL) {
            on_root(data, terminal);
            agents_of(model, terminal, on_root, data);
        }
        give(contact_of(model, node), on_root, data);
        break;
    case ENTITY_TERMINAL:
        on_root(data, node);
        agents_of(model, node, on_root, data);
        break;
    default:
        on_root(data, node);
    }
}
