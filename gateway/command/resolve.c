/* From a row's path and body to the objects that it is about. */
#include <stdio.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

static int needs(const struct execution *execution, const char *source)
{
    return execution->form != NULL && strstr(execution->form->arguments, source) != NULL;
}

static int asks_right_of(const struct execution *execution, const char *entity)
{
    const char *capability = execution->command->row->capability;
    return capability != NULL && strncmp(capability, entity, strlen(entity)) == 0;
}

/* ---- the place where an agent works ---- */

static int has_voice(const struct node *terminal)
{
    json_t *types = json_object_get(terminal->facts, "contactTypes"), *type;
    size_t i;
    json_array_foreach(types, i, type)
    {
        if (json_is_string(type) && strcmp(json_string_value(type), "Voice") == 0)
            return 1;
    }
    return 0;
}

static int is_logged_in_at(const struct node *terminal, const char *agent)
{
    const char *id = json_string_value(json_object_get(terminal->facts, "loginId"));
    return id != NULL && strcmp(id, agent) == 0;
}

#define PLACES_MAX 32
struct places {
    struct node *nodes[PLACES_MAX];
    size_t count;
};

static void keep(struct places *places, int (*is_good)(const struct node *, const void *),
                 const void *data)
{
    struct places good = {{NULL}, 0};
    size_t i;

    for (i = 0; i < places->count; ++i)
        if (is_good(places->nodes[i], data))
            good.nodes[good.count++] = places->nodes[i];
    if (good.count > 0)
        *places = good;
}

static int is_login_place(const struct node *terminal, const void *agent)
{
    return is_logged_in_at(terminal, agent);
}

static int is_voice_place(const struct node *terminal, const void *data)
{
    (void)data;
    return has_voice(terminal);
}

static int is_named(const struct node *node, const void *name)
{
    return strcmp(node->id, name) == 0;
}

static int is_of_agent_type(const struct node *address, const void *data)
{
    const char *type = json_string_value(json_object_get(address->handle, "addressType"));
    (void)data;
    return type != NULL && strcmp(type, "AGENT") == 0;
}

static void collect(struct execution *execution, const struct node *parent, const char *field,
                    enum entity kind, struct places *places)
{
    struct node *node;

    places->count = 0;
    GRAPH_FOREACH(&model_of(execution)->graph, parent, field, kind, node)
    {
        if (places->count < PLACES_MAX && scene_sees(execution, node))
            places->nodes[places->count++] = node;
    }
}

static int ambiguous(struct execution *execution, const struct places *places, const char *what)
{
    json_t *list = json_array(), *members = json_pack("{s:o}", "candidates", list);
    char detail[128];
    size_t i;

    for (i = 0; i < places->count; ++i)
        json_array_append_new(list, json_pack("{s:s}", what, places->nodes[i]->id));
    snprintf(detail, sizeof(detail),
             places->count > 0 ? "several could be meant: name one as \"%s\""
                               : "no %s is known that it could be done with",
             what);
    return refuse_with(execution, places->count > 0 ? PROBLEM_AMBIGUOUS : PROBLEM_CONFLICT, detail,
                       members);
}

/* Named beside another place, it goes with that: control of the one is no control of anything else. */
static int look_beside(struct execution *execution, const struct node *place, const char *field,
                       enum entity kind, const char *name)
{
    struct node *named;
    struct places places;
    size_t i;
    int rc = scene_look(execution, kind, name, &named);

    if (rc != CG_OK)
        return rc;
    collect(execution, place, field, kind, &places);
    for (i = 0; i < places.count; ++i)
        if (places.nodes[i] == named)
            return CG_OK;
    if (!model_fact_is_live(model_of(execution), place, field) &&
        execution_read(execution, plan_record(place->kind), place->id, 0, NULL) == CG_E_BUSY)
        return CG_E_BUSY;
    return refuse(execution, PROBLEM_CONFLICT, "the address is not at the terminal");
}

/* What the body says of its own, or in `from`. */
static const char *place_text(const struct execution *execution, const char *name)
{
    const json_t *from = json_object_get(execution->command->body, "from");
    const char *text = body_text(execution, name);

    if (text == NULL && execution->command->row->target == TARGET_ORIGIN)
        text = json_string_value(json_object_get(from, name));
    return text;
}

int scene_address_of(struct execution *execution, struct node *terminal)
{
    const char *named = place_text(execution, "address");
    struct places places;

    if (json_object_get(terminal->facts, "addresses") == NULL &&
        execution_read(execution, RECORD_TERMINAL, terminal->id, 0, NULL) == CG_E_BUSY)
        return CG_E_BUSY;
    if (named != NULL)
        return look_beside(execution, terminal, "addresses", ENTITY_ADDRESS, named);
    collect(execution, terminal, "addresses", ENTITY_ADDRESS, &places);
    keep(&places, is_of_agent_type, NULL);
    if (places.count != 1)
        return ambiguous(execution, &places, "address");
    scene_set(execution, places.nodes[0]);
    return CG_OK;
}

static int take_terminal(struct execution *execution, struct node *terminal)
{
    scene_set(execution, terminal);
    return needs(execution, "@address") ? scene_address_of(execution, terminal) : CG_OK;
}

/* Who is logged in at a terminal has it; else those whose it is; else whoever wants it. */
static int may_use(const struct node *terminal, const char *agent)
{
    const char *logged_in = json_string_value(json_object_get(terminal->facts, "loginId"));
    const json_t *agents = json_object_get(terminal->facts, "agentsOf");

    if (logged_in != NULL && *logged_in != '\0')
        return strcmp(logged_in, agent) == 0;
    return json_object_size(agents) == 0 || json_object_get(agents, agent) != NULL;
}

/* The agent that acts must be the one who works there, for it is the agent's control that is asked for. */
static int check_use(struct execution *execution, const struct node *terminal, const char *agent)
{
    if (scene_read_login(execution, terminal) != CG_OK)
        return CG_E_BUSY;
    if (agent_at(model_of(execution), terminal) == NULL &&
        json_object_get(terminal->facts, "state") == NULL &&
        execution_read(execution, RECORD_TERMINAL, terminal->id, 0, NULL) == CG_E_BUSY)
        return CG_E_BUSY;
    if (may_use(terminal, agent))
        return CG_OK;
    return refuse(execution, PROBLEM_CONFLICT, "the agent does not work at that terminal");
}

static int is_among(const struct places *places, const struct node *node)
{
    size_t i;
    for (i = 0; i < places->count; ++i)
        if (places->nodes[i] == node)
            return 1;
    return 0;
}

/*
 * Hot desking: where the agent is logged in need not be one of its own. When another's terminal says so, all that say so are asked again
 * unless they are live, for a login may be over by now, here or there.
 */
static int find_desk(struct execution *execution, const char *agent, struct places *places)
{
    struct model *model = model_of(execution);
    json_t *names = holdings_of(model, execution->scene.user)->terminals, *name;
    struct places found = {{NULL}, 0};
    size_t i, foreign = 0;

    json_array_foreach(names, i, name)
    {
        struct node *terminal = model_find(model, ENTITY_TERMINAL, json_string_value(name));
        if (terminal == NULL || !is_logged_in_at(terminal, agent) || found.count == PLACES_MAX)
            continue;
        foreign += !is_among(places, terminal);
        found.nodes[found.count++] = terminal;
    }
    for (i = 0; foreign > 0 && i < found.count; ++i)
        if (scene_read_login(execution, found.nodes[i]) != CG_OK)
            return CG_E_BUSY;
    if (foreign > 0)
        *places = found;
    return CG_OK;
}

int scene_place_of_agent(struct execution *execution, struct node *agent)
{
    const char *named = body_text(execution, "terminal");
    const json_t *voice = json_object_get(agent->facts, "voiceTerminal");
    const char *at_voice = json_string_value(json_object_get(voice, "terminalName"));
    struct node *terminal;
    struct places places;
    int rc;

    if (named != NULL) {
        if ((rc = scene_look(execution, ENTITY_TERMINAL, named, &terminal)) == CG_OK &&
            (rc = check_use(execution, terminal, agent->id)) == CG_OK)
            rc = take_terminal(execution, terminal);
        return rc;
    }
    if ((json_object_get(agent->facts, "terminals") == NULL ||
         live_coverage(model_of(execution), agent->covered) == NULL) &&
        execution_read(execution, RECORD_AGENT, agent->id, 0, NULL) == CG_E_BUSY)
        return CG_E_BUSY;
    collect(execution, agent, "terminals", ENTITY_TERMINAL, &places);
    if (find_desk(execution, agent->id, &places) != CG_OK)
        return CG_E_BUSY;
    keep(&places, is_login_place, agent->id);
    if (places.count > 1 && at_voice != NULL)
        keep(&places, is_named, at_voice);
    if (places.count > 1)
        keep(&places, is_voice_place, NULL);
    if (places.count != 1)
        return ambiguous(execution, &places, "terminal");
    return take_terminal(execution, places.nodes[0]);
}

/* ---- targets ---- */

static int look_agent(struct execution *execution, const char *id, struct node **agent)
{
    int rc = scene_look(execution, ENTITY_AGENT, id, agent);

    if (rc != CG_OK || (rc = scene_user_of(execution, *agent)) != CG_OK)
        return rc;
    snprintf(execution->scene.agent, sizeof(execution->scene.agent), "%s", (*agent)->id);
    return CG_OK;
}

/* One that is named is the agent's own; what is not known, or not to be seen, is for the arguments to refuse. */
static int check_leg(struct execution *execution, const struct node *agent)
{
    const char *named = body_text(execution, "terminalConnectionId");
    const struct node *leg = model_find(model_of(execution), ENTITY_TERMINAL_CONNECTION, named);
    const struct node *contact = leg != NULL ? contact_of(model_of(execution), leg) : NULL;
    const struct node *terminal =
        leg != NULL ? node_fact(execution, leg, "terminal", ENTITY_TERMINAL) : NULL;

    if (contact == NULL || !scene_sees(execution, contact) ||
        (terminal != NULL && may_use(terminal, agent->id)))
        return CG_OK;
    return refuse(execution, PROBLEM_CONFLICT, "the terminal connection is not the agent's");
}

static int resolve_agent(struct execution *execution)
{
    struct node *agent, *contact = NULL;
    const char *call = body_text(execution, "contactId");
    int rc = look_agent(execution, execution->command->id, &agent);

    if (rc != CG_OK)
        return rc;
    if (needs(execution, "@contact") || asks_right_of(execution, "leg")) {
        if (call != NULL && (rc = scene_look(execution, ENTITY_CONTACT, call, &contact)) != CG_OK)
            return rc;
        return scene_leg(execution, contact);
    }
    if (needs(execution, "@terminal") || needs(execution, "@address") ||
        asks_right_of(execution, "terminal"))
        return scene_place_of_agent(execution, agent);
    return check_leg(execution, agent);
}

static int resolve_control(struct execution *execution)
{
    const struct command *command = execution->command;
    struct node *agent;

    execution->scene.needs_lease = 0;
    if (command->id_length == 0) /* renew, bind: the lease says of whom */
        return CG_OK;
    if (command->access->roles & ROLE_OPERATOR && command->access->every_user) {
        /* an agent need not be known to be reserved or set free */
        snprintf(execution->scene.agent, sizeof(execution->scene.agent), "%s", command->id);
        if (command->row->roles == ROLE_OPERATOR || command->force)
            return CG_OK;
    }
    return look_agent(execution, command->id, &agent);
}

static int resolve_terminal(struct execution *execution, const char *id)
{
    struct node *terminal;
    int rc = scene_look(execution, ENTITY_TERMINAL, id, &terminal);

    if (rc == CG_OK && (rc = scene_user_of(execution, terminal)) == CG_OK &&
        (rc = scene_act_as(execution, terminal)) == CG_OK)
        rc = take_terminal(execution, terminal);
    return rc;
}

static int resolve_address(struct execution *execution, const char *id)
{
    const char *named = place_text(execution, "terminal");
    struct node *address;
    struct places places;
    int rc = scene_look(execution, ENTITY_ADDRESS, id, &address);

    if (rc != CG_OK || (rc = scene_user_of(execution, address)) != CG_OK ||
        (rc = scene_act_as(execution, address)) != CG_OK || !needs(execution, "@terminal"))
        return rc;
    if (json_object_get(address->facts, "terminals") == NULL &&
        execution_read(execution, RECORD_ADDRESS, address->id, 0, NULL) == CG_E_BUSY)
        return CG_E_BUSY;
    if (named != NULL)
        return look_beside(execution, address, "terminals", ENTITY_TERMINAL, named);
    collect(execution, address, "terminals", ENTITY_TERMINAL, &places);
    if (places.count != 1)
        return ambiguous(execution, &places, "terminal");
    scene_set(execution, places.nodes[0]);
    return CG_OK;
}

static int resolve_route_point(struct execution *execution)
{
    struct node *address;
    int rc = scene_look(execution, ENTITY_ADDRESS, execution->command->id, &address);

    if (rc != CG_OK || (rc = scene_user_of(execution, address)) != CG_OK)
        return rc;
    if (!is_route_point(address))
        return refuse(execution, PROBLEM_CONFLICT, "the address is not a route point");
    execution->scene.needs_lease = 0;
    return CG_OK;
}

/* Whoever acts, when no path names it: the body, the lease that came along, the only agent that the token has. */
static int look_actor(struct execution *execution, const char *agent)
{
    struct node *node;
    int rc;

    if (agent == NULL)
        agent = lease_agent(execution);
    if (agent == NULL)
        agent = only_agent(execution);
    if (agent == NULL)
        return refuse(execution,
                      execution->command->user == 0 && execution->command->access->num_users > 1
                          ? PROBLEM_USER_REQUIRED
                          : PROBLEM_AMBIGUOUS,
                      "it is not said who acts: name an agent");
    if ((rc = look_agent(execution, agent, &node)) == CG_OK)
        rc = scene_place_of_agent(execution, node);
    return rc;
}

static int resolve_origin(struct execution *execution)
{
    const json_t *from = json_object_get(execution->command->body, "from");
    const char *terminal = json_string_value(json_object_get(from, "terminal"));
    const char *address = json_string_value(json_object_get(from, "address"));

    if (terminal == NULL && address == NULL && from == NULL) {
        terminal = body_text(execution, "agent") == NULL ? body_text(execution, "terminal") : NULL;
        address = terminal == NULL && body_text(execution, "agent") == NULL
                      ? body_text(execution, "address")
                      : NULL;
    }
    if (terminal != NULL)
        return resolve_terminal(execution, terminal);
    if (address != NULL)
        return resolve_address(execution, address);
    return look_actor(execution, from != NULL ? json_string_value(json_object_get(from, "agent"))
                                              : body_text(execution, "agent"));
}

static int resolve_bystander(struct execution *execution)
{
    const char *terminal = body_text(execution, "terminal");
    struct node *contact;
    int rc = scene_look(execution, ENTITY_CONTACT, execution->command->id, &contact);

    if (rc != CG_OK)
        return rc;
    if (terminal != NULL && body_text(execution, "agent") == NULL)
        return resolve_terminal(execution, terminal);
    return look_actor(execution, body_text(execution, "agent"));
}

/* ---- calls ---- */

/* The call and its legs are read when events do not tell of them. */
static int look_call(struct execution *execution, struct node **contact)
{
    const struct command *command = execution->command;
    int rc = scene_look(execution, ENTITY_CONTACT, command->id, contact);

    if (rc == CG_OK && !model_fact_is_live(model_of(execution), *contact, "connections") &&
        execution_read(execution, RECORD_CALL, command->id, 0, NULL) == CG_E_BUSY)
        return CG_E_BUSY;
    return rc;
}

static int resolve_route_leg(struct execution *execution)
{
    const char *named = body_text(execution, "connectionId");
    struct node *contact, *connection, *address, *found = NULL;
    int rc = look_call(execution, &contact);

    if (rc != CG_OK)
        return rc;
    GRAPH_FOREACH(&model_of(execution)->graph, contact, "connections", ENTITY_CONNECTION,
                  connection)
    {
        address = node_fact(execution, connection, "address", ENTITY_ADDRESS);
        if (address == NULL || !is_route_point(address) || !scene_sees(execution, address) ||
            (named != NULL && strcmp(named, connection->id) != 0))
            continue;
        found = connection;
        scene_set(execution, address);
    }
    if (found == NULL)
        return refuse(execution, PROBLEM_CONFLICT, "the call has no leg at a route point");
    scene_set(execution, found);
    execution->scene.needs_lease = 0;
    return scene_user_of(execution, scene_node(execution, ENTITY_ADDRESS));
}

/* "current" stands for the one call in question. */
static int resolve_call(struct execution *execution)
{
    struct node *contact, *agent;
    const char *named = body_text(execution, "agent");
    int rc;

    if (strcmp(execution->command->id, "current") != 0)
        return (rc = look_call(execution, &contact)) == CG_OK ? scene_leg(execution, contact) : rc;
    if (named == NULL && body_text(execution, "terminal") != NULL)
        return (rc = resolve_terminal(execution, body_text(execution, "terminal"))) == CG_OK
                   ? scene_leg(execution, NULL)
                   : rc;
    if (named == NULL)
        named = lease_agent(execution);
    if (named == NULL)
        named = only_agent(execution);
    if (named == NULL)
        return refuse(execution, PROBLEM_AMBIGUOUS, "it is not said whose call: name an agent");
    return (rc = look_agent(execution, named, &agent)) == CG_OK ? scene_leg(execution, NULL) : rc;
}

static int resolve_target(struct execution *execution)
{
    switch (execution->command->row->target) {
    case TARGET_AGENT:
        return resolve_agent(execution);
    case TARGET_TERMINAL:
        return resolve_terminal(execution, execution->command->id);
    case TARGET_ADDRESS:
        return resolve_address(execution, execution->command->id);
    case TARGET_ROUTE_POINT:
        return resolve_route_point(execution);
    case TARGET_ORIGIN:
        return resolve_origin(execution);
    case TARGET_BYSTANDER:
        return resolve_bystander(execution);
    case TARGET_ROUTE_LEG:
        return resolve_route_leg(execution);
    case TARGET_CONTROL:
        return resolve_control(execution);
    default:
        return resolve_call(execution);
    }
}

/* Who is named acts, or nobody. */
static int check_actor(struct execution *execution)
{
    const char *named = body_text(execution, "agent"), *agent = execution->scene.agent;

    if (named == NULL || *agent == '\0' || strcmp(named, agent) == 0 ||
        execution->command->row->target == TARGET_CONTROL)
        return CG_OK;
    return refuse(execution, PROBLEM_CONFLICT, "the agent that is named is not who would act");
}

int scene_resolve(struct execution *execution)
{
    int rc = resolve_target(execution);
    return rc == CG_OK ? check_actor(execution) : rc;
}
