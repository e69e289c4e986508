/* Which of a call's legs is meant: what the body names, then whose control came along, then what is possible. */
#include <stdio.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

#define LEGS_MAX 64
struct leg {
    const struct node *contact, *connection, *tc, *terminal,
        *address;      /* tc, terminal: may be NULL */
    const char *agent; /* may be NULL */
};
struct legs {
    struct leg leg[LEGS_MAX];
    size_t count;
    struct execution *execution;
};

static int is_in_state(const struct node *node, const char *state)
{
    const char *now = node_state(node);
    return now != NULL && strcmp(now, state) == 0;
}

static void add(struct legs *legs, const struct leg *leg)
{
    const struct node *place = leg->terminal != NULL ? leg->terminal : leg->address;

    if (legs->count >= LEGS_MAX || place == NULL || !scene_sees(legs->execution, place))
        return;
    legs->leg[legs->count] = *leg;
    legs->leg[legs->count++].agent = agent_at(model_of(legs->execution), place);
}

static void add_terminal_connection(struct legs *legs, struct leg leg, const struct node *tc)
{
    if (is_in_state(tc, "DROPPED"))
        return;
    leg.tc = tc;
    leg.terminal = node_fact(legs->execution, tc, "terminal", ENTITY_TERMINAL);
    add(legs, &leg);
}

static void add_connection(struct legs *legs, const struct node *contact,
                           const struct node *connection)
{
    struct leg leg = {.contact = contact, .connection = connection};
    struct node *tc;
    size_t before = legs->count;

    if (is_in_state(connection, "DISCONNECTED"))
        return;
    leg.address = node_fact(legs->execution, connection, "address", ENTITY_ADDRESS);
    GRAPH_FOREACH(&model_of(legs->execution)->graph, connection, "terminalConnections",
                  ENTITY_TERMINAL_CONNECTION, tc)
    {
        add_terminal_connection(legs, leg, tc);
    }
    if (legs->count == before) /* offered, or queued: at no terminal yet */
        add(legs, &leg);
}

static void add_call(struct legs *legs, const struct node *contact)
{
    struct node *connection;
    GRAPH_FOREACH(&model_of(legs->execution)->graph, contact, "connections", ENTITY_CONNECTION,
                  connection)
    {
        add_connection(legs, contact, connection);
    }
}

static void add_calls_at(struct legs *legs, const struct node *terminal)
{
    struct model *model = model_of(legs->execution);
    struct node *tc;
    GRAPH_FOREACH(&model->graph, terminal, "terminalConnections", ENTITY_TERMINAL_CONNECTION, tc)
    {
        struct leg leg = {.contact = contact_of(model, tc)};
        leg.connection = node_fact(legs->execution, tc, "connection", ENTITY_CONNECTION);
        if (leg.connection != NULL)
            leg.address = node_fact(legs->execution, leg.connection, "address", ENTITY_ADDRESS);
        if (leg.contact != NULL)
            add_terminal_connection(legs, leg, tc);
    }
}

/* ---- narrowing ---- */

static int is(const struct node *node, const char *id)
{
    return node != NULL && strcmp(node->id, id) == 0;
}

static int works_at(const struct leg *leg, const char *agent)
{
    return (leg->agent != NULL && strcmp(leg->agent, agent) == 0);
}

static int fits_body(const struct leg *leg, const struct execution *execution)
{
    const char *agent = body_text(execution, "agent"), *terminal = body_text(execution, "terminal");
    const char *tc = body_text(execution, "terminalConnectionId");
    const char *connection = body_text(execution, "connectionId");
    const char *address = body_text(execution, "address");

    return (agent == NULL || works_at(leg, agent)) &&
           (terminal == NULL || is(leg->terminal, terminal)) && (tc == NULL || is(leg->tc, tc)) &&
           (connection == NULL || is(leg->connection, connection)) &&
           (address == NULL || is(leg->address, address));
}

static int is_lease_agents(const struct leg *leg, const struct execution *execution)
{
    const char *agent = lease_agent(execution);
    return agent != NULL && works_at(leg, agent);
}

static int is_at_terminal(const struct leg *leg, const struct execution *execution)
{
    (void)execution;
    return leg->tc != NULL;
}

/* The capability says yes, as far as is known. */
static int is_possible(const struct leg *leg, const struct execution *execution)
{
    const struct command_row *row = execution->command->row;
    const char *capability = row != NULL ? row->capability : NULL;
    const char *flag = capability != NULL ? strchr(capability, '.') : NULL;
    const struct node *node;

    if (flag == NULL)
        return 1;
    node = strncmp(capability, "leg", 3) == 0 ? leg->tc : leg->connection;
    return node != NULL &&
           (json_is_true(json_object_get(json_object_get(node->facts, "capabilities"), flag + 1)) ||
            json_is_true(
                json_object_get(json_object_get(node->facts, "agentCapabilities"), flag + 1)));
}

static int is_active(const struct leg *leg, const struct execution *execution)
{
    (void)execution;
    return leg->tc != NULL && is_in_state(leg->tc, "ACTIVE");
}

/* 1: some are left */
static int narrow(struct legs *legs, int (*is_good)(const struct leg *, const struct execution *))
{
    size_t i, count = 0;

    for (i = 0; i < legs->count; ++i)
        if (is_good(&legs->leg[i], legs->execution))
            ++count;
    if (count == 0)
        return 0;
    for (i = count = 0; i < legs->count; ++i)
        if (is_good(&legs->leg[i], legs->execution))
            legs->leg[count++] = legs->leg[i];
    legs->count = count;
    return 1;
}

/* ---- the one ---- */

static void say(json_t *candidate, const char *name, const char *id)
{
    if (id != NULL)
        json_object_set_new(candidate, name, json_string(id));
}

static const char *id_of(const struct node *node)
{
    return node != NULL ? node->id : NULL;
}

static int tell_candidates(struct legs *legs)
{
    json_t *list = json_array(), *members = json_pack("{s:o}", "candidates", list);
    size_t i;

    for (i = 0; i < legs->count; ++i) {
        const struct leg *leg = &legs->leg[i];
        json_t *candidate = json_object();
        say(candidate, "contactId", leg->contact->id);
        say(candidate, "connectionId", id_of(leg->connection));
        say(candidate, "terminalConnectionId", id_of(leg->tc));
        say(candidate, "terminal", id_of(leg->terminal));
        say(candidate, "address", id_of(leg->address));
        say(candidate, "agent", leg->agent);
        say(candidate, "state", node_state(leg->tc != NULL ? leg->tc : leg->connection));
        json_array_append_new(list, candidate);
    }
    return refuse_with(legs->execution, PROBLEM_AMBIGUOUS,
                       "several legs could be meant: name an agent, a terminal, or one of the ids",
                       members);
}

static int take(struct execution *execution, const struct leg *leg)
{
    const struct node *place = leg->terminal != NULL ? leg->terminal : leg->address;
    int rc;

    scene_set(execution, leg->contact);
    if (leg->connection != NULL)
        scene_set(execution, leg->connection);
    if (leg->tc != NULL)
        scene_set(execution, leg->tc);
    if (leg->terminal != NULL)
        scene_set(execution, leg->terminal);
    if (leg->address != NULL)
        scene_set(execution, leg->address);
    execution->scene.agent[0] = '\0';
    if ((rc = scene_user_of(execution, place)) != CG_OK)
        return rc;
    return scene_act_as(execution, place);
}

/* Several legs of one agent in one call: for the call as a whole any of them will do. */
static int is_same_actor(const struct legs *legs)
{
    size_t i;
    for (i = 1; i < legs->count; ++i)
        if (legs->leg[i].agent == NULL || legs->leg[0].agent == NULL ||
            strcmp(legs->leg[i].agent, legs->leg[0].agent) != 0 ||
            legs->leg[i].contact != legs->leg[0].contact)
            return 0;
    return 1;
}

static int gather(struct legs *legs, struct node *contact)
{
    struct execution *execution = legs->execution;
    struct node *agent = scene_node(execution, ENTITY_AGENT);
    struct node *terminal = scene_node(execution, ENTITY_TERMINAL);

    if (contact != NULL) {
        add_call(legs, contact);
        if (agent != NULL) { /* the path names who acts */
            const char *id = agent->id;
            size_t i, count = 0;
            for (i = 0; i < legs->count; ++i)
                if (works_at(&legs->leg[i], id))
                    legs->leg[count++] = legs->leg[i];
            legs->count = count;
        }
        return CG_OK;
    }
    if (terminal != NULL) {
        add_calls_at(legs, terminal);
        return CG_OK;
    }
    if (!model_fact_is_live(model_of(execution), agent, "terminals") &&
        execution_read(execution, RECORD_AGENT, agent->id, 0, NULL) == CG_E_BUSY)
        return CG_E_BUSY;
    GRAPH_FOREACH(&model_of(execution)->graph, agent, "terminals", ENTITY_TERMINAL, terminal)
    {
        add_calls_at(legs, terminal);
    }
    return CG_OK;
}

/* Where the agent that is named, or whose control came along, works: without that no leg is known to be its. */
static int look_who(struct execution *execution)
{
    const char *named = body_text(execution, "agent"),
               *id = named != NULL ? named : lease_agent(execution);
    struct node *agent;
    int rc;

    if (id == NULL)
        return CG_OK;
    agent = model_find(model_of(execution), ENTITY_AGENT, id);
    if ((agent == NULL || (named != NULL && !scene_sees(execution, agent))) &&
        (rc = scene_look(execution, ENTITY_AGENT, id, &agent)) != CG_OK)
        return rc;
    if (json_object_get(agent->facts, "terminals") == NULL &&
        execution_read(execution, RECORD_AGENT, id, 0, NULL) == CG_E_BUSY)
        return CG_E_BUSY;
    return CG_OK;
}

int scene_leg(struct execution *execution, struct node *contact)
{
    const struct command_row *row = execution->command->row;
    struct legs legs = {.count = 0, .execution = execution};
    int rc = look_who(execution);

    if (rc != CG_OK || (rc = gather(&legs, contact)) != CG_OK)
        return rc;
    if (row->target == TARGET_LEG && !narrow(&legs, is_at_terminal))
        legs.count = 0;
    if (legs.count == 0 || !narrow(&legs, fits_body))
        return refuse(execution, PROBLEM_CONFLICT,
                      "no leg in progress fits: whoever is to act is not in the call");
    narrow(&legs, is_lease_agents);
    if (legs.count > 1 && row->target != TARGET_CALL)
        narrow(&legs, is_possible);
    if (legs.count > 1 && row->target == TARGET_AGENT)
        narrow(&legs, is_active);
    if (legs.count > 1 && !(row->target == TARGET_CALL && is_same_actor(&legs)))
        return tell_candidates(&legs);
    return take(execution, &legs.leg[0]);
}
