/* What a command is about: objects by id, seen by the token, and the agent who acts there. */
#include <stdio.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

enum entity entity_named(const char *name, size_t length)
{
    static const struct {
        const char *name;
        enum entity entity;
    } rows[] = {{"agent", ENTITY_AGENT},           {"terminal", ENTITY_TERMINAL},
                {"address", ENTITY_ADDRESS},       {"contact", ENTITY_CONTACT},
                {"connection", ENTITY_CONNECTION}, {"leg", ENTITY_TERMINAL_CONNECTION}};
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i)
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0)
            return rows[i].entity;
    return ENTITY_NONE;
}

void scene_set(struct execution *execution, const struct node *node)
{
    snprintf(execution->scene.ids[node->kind], sizeof(execution->scene.ids[0]), "%s", node->id);
}

struct node *scene_node(const struct execution *execution, enum entity kind)
{
    return kind != ENTITY_NONE ? model_find(model_of(execution), kind, execution->scene.ids[kind])
                               : NULL;
}

struct node *node_fact(const struct execution *execution, const struct node *node,
                       const char *field, enum entity kind)
{
    return model_find(model_of(execution), kind,
                      json_string_value(json_object_get(node->facts, field)));
}

int access_acts_for(const struct execution *execution, uint32_t user)
{
    const struct command *command = execution->command;
    return command->user != 0 ? command->user == user : access_has_user(command->access, user);
}

/* A lease is good in the hands of the application that it was granted to, whoever has come to know it. */
const uint8_t *own_lease(const struct execution *execution)
{
    static const uint8_t nobodys[CONTROL_DIGEST_BYTES];
    const struct command *command = execution->command;
    const char *application;

    if (!command->has_lease)
        return NULL;
    application = control_application_of(execution->commands->settings.control, command->lease);
    if (application != NULL && strcmp(application, command->access->application) != 0)
        return nobodys;
    return command->lease;
}

const char *lease_agent(const struct execution *execution)
{
    const uint8_t *lease = own_lease(execution);
    return lease != NULL ? control_agent_of(execution->commands->settings.control, lease, NULL)
                         : NULL;
}

int is_route_point(const struct node *address)
{
    const char *type = json_string_value(json_object_get(address->handle, "addressType"));
    return type != NULL &&
           (strcmp(type, "ROUTE_POINT") == 0 || strcmp(type, "NETWORK_ROUTE_POINT") == 0);
}

/* ---- in whose session ---- */

struct pick {
    struct execution *execution;
    uint32_t user;
    int best;
};

/* One that is up is better than one that is not, and the object's own user better than one that many share; then the lowest. */
static void consider(void *data, uint32_t user)
{
    struct pick *pick = data;
    struct session *session;
    int rank;

    if (!access_acts_for(pick->execution, user) ||
        (session = sessions_find(pick->execution->commands->settings.sessions, user)) == NULL)
        return;
    rank = 1 + 2 * session_is_up(session) + !session_is_shared(session);
    if (rank > pick->best) {
        pick->best = rank;
        pick->user = user;
    }
}

static uint32_t user_of(struct execution *execution, enum entity kind, const char *id)
{
    struct pick pick = {execution, 0, 0};
    if (model_owners(model_of(execution), kind, id, consider, &pick) != CG_OK)
        return 0;
    return pick.user;
}

int scene_sees(struct execution *execution, const struct node *place)
{
    return user_of(execution, place->kind, place->id) != 0;
}

int scene_user_of(struct execution *execution, const struct node *place)
{
    uint32_t user = user_of(execution, place->kind, place->id);

    if (user == 0)
        return refuse(execution, PROBLEM_NOT_FOUND, "%s", "");
    execution->scene.user = user;
    return CG_OK;
}

/* ---- what is there ---- */

/* The lists of the token's users, as long as one is not known, one after the other. */
static int read_lists(struct execution *execution, enum entity kind)
{
    const struct access *access = execution->command->access;
    struct model *model = model_of(execution);
    size_t i;

    for (i = 0; i < access->num_users; ++i) {
        uint32_t user = access->users[i].number;
        if (!access_acts_for(execution, user) ||
            (kind == ENTITY_CONTACT ? model_lists_are_live(model, user)
                                    : model_has_read(model, user)))
            continue;
        if (execution_read(execution, kind == ENTITY_CONTACT ? RECORD_USER_CALLS : RECORD_USER,
                           access->users[i].name, 0, NULL) == CG_E_BUSY)
            return CG_E_BUSY;
    }
    return refuse(execution, PROBLEM_NOT_FOUND, "%s", "");
}

int scene_look(struct execution *execution, enum entity kind, const char *id, struct node **node)
{
    if (user_of(execution, kind, id) == 0)
        return read_lists(execution, kind);
    *node = model_find(model_of(execution), kind, id);
    if (*node != NULL && (*node)->handle != NULL) {
        scene_set(execution, *node);
        return CG_OK;
    }
    if (execution_read(execution, plan_record(kind), id, 0, NULL) == CG_E_BUSY)
        return CG_E_BUSY;
    return refuse(execution, PROBLEM_NOT_FOUND, "%s", "");
}

/* ---- who acts ---- */

/* The only agent of the only user that is meant. */
const char *only_agent(struct execution *execution)
{
    const struct command *command = execution->command;
    uint32_t user = execution->scene.user != 0 ? execution->scene.user : command->user;
    struct session *session;
    const struct node *node;
    json_t *agents;

    if (user == 0 && command->access->num_users == 1)
        user = command->access->users[0].number;
    if (user == 0 ||
        (session = sessions_find(execution->commands->settings.sessions, user)) == NULL)
        return NULL;
    if (session_agent(session) != NULL)
        return session_agent(session);
    node = model_find(model_of(execution), ENTITY_USER, session_user(session));
    agents = node != NULL ? json_object_get(node->facts, "agents") : NULL;
    return json_object_size(agents) == 1 ? json_object_iter_key(json_object_iter(agents)) : NULL;
}

/* Who is logged in there; else whose it is: of several the one whose control came along. */
static const char *agent_of(struct execution *execution, const struct node *place)
{
    const char *logged_in = json_string_value(json_object_get(place->facts, "loginId"));
    const char *mine = lease_agent(execution);

    if (logged_in != NULL && *logged_in != '\0')
        return logged_in;
    if (mine != NULL && json_object_get(json_object_get(place->facts, "agentsOf"), mine) != NULL)
        return mine;
    return agent_at(model_of(execution), place);
}

/* Who is logged in decides whose control is asked for: what may be another by now is read first, once. */
int scene_read_login(struct execution *execution, const struct node *place)
{
    if (place->kind != ENTITY_TERMINAL || json_object_get(place->facts, "loginId") == NULL ||
        model_fact_is_live(model_of(execution), place, "loginId"))
        return CG_OK;
    return execution_read(execution, RECORD_TERMINAL, place->id, 0, NULL) == CG_E_BUSY ? CG_E_BUSY
                                                                                       : CG_OK;
}

int scene_act_as(struct execution *execution, const struct node *place)
{
    const char *agent;

    if (scene_read_login(execution, place) != CG_OK)
        return CG_E_BUSY;
    agent = agent_of(execution, place);
    if (agent == NULL && place->kind == ENTITY_ADDRESS && is_route_point(place)) {
        execution->scene.needs_lease = 0;
        return CG_OK;
    }
    if (agent == NULL && json_object_get(place->facts, "state") == NULL &&
        execution_read(execution, plan_record(place->kind), place->id, 0, NULL) == CG_E_BUSY)
        return CG_E_BUSY;
    if (agent == NULL)
        agent = only_agent(execution);
    if (agent != NULL)
        snprintf(execution->scene.agent, sizeof(execution->scene.agent), "%s", agent);
    return CG_OK;
}
