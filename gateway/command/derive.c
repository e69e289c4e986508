/*
 * The catalogue's door: which agent an operation of the contract touches, from its arguments alone. Objects are passed by value
 * (handles), so that whatever operation a site adds, what it is about can be told:
 *
 *   who acts   the first agent, terminal or terminal connection among the arguments, in the order of the contract; else the first
 *              connection or address; else the first contact, for an agent who is in it. One may also be named by its id alone
 *              (`agentId`, as the logins do, `terminalName`). Members that name the other side (destination…, consulted…, supervisor) do not count.
 *   refused    what is not known, not visible to the token, or leads to no agent, though it is not a route point
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

static int is_other_side(const char *member)
{
    static const char *const words[] = {"dest", "desit", "dst", "consult", "supervisor", "new"};
    size_t i;
    for (i = 0; i < sizeof(words) / sizeof(words[0]); ++i)
        if (strncasecmp(member, words[i], strlen(words[i])) == 0)
            return 1;
    return 0;
}

static void note(struct objects *objects, enum entity kind, const char *id, const char *member)
{
    if (id == NULL || *id == '\0')
        return;
    if (objects->count < OBJECTS_MAX)
        objects->object[objects->count++] = (struct object){kind, id, is_other_side(member)};
    else
        objects->are_too_many = 1;
}

/* A handle, or an id alone by the name that it has in one. */
static void note_value(struct objects *objects, const json_t *value, const char *member)
{
    unsigned kind;

    for (kind = ENTITY_AGENT; kind < ENTITIES; ++kind) {
        const char *key = entity_rows[kind].key;
        note(objects, (enum entity)kind, json_string_value(json_object_get(value, key)), member);
        if (strcmp(member, key) == 0)
            note(objects, (enum entity)kind, json_string_value(value), member);
    }
}

/* In the order of the contract: that of the body is the client's to choose. */
void objects_collect(struct objects *objects, const struct contract_operation *op,
                     const json_t *arguments)
{
    const char *member;
    json_t *value, *item;
    size_t i, j;

    for (i = 0; (member = contract_input_member(op, i)) != NULL; ++i) {
        if ((value = json_object_get(arguments, member)) == NULL)
            continue;
        if (strcmp(member, "agentId") == 0)
            note(objects, ENTITY_AGENT, json_string_value(value), member);
        note_value(objects, value, member);
        json_array_foreach(value, j, item) note_value(objects, item, member);
    }
}

/* The order of preference; each is looked for in the order of the contract. */
static const unsigned tiers[] = {
    1u << ENTITY_AGENT | 1u << ENTITY_TERMINAL | 1u << ENTITY_TERMINAL_CONNECTION,
    1u << ENTITY_CONNECTION | 1u << ENTITY_ADDRESS, 1u << ENTITY_CONTACT};

static const struct object *actor_of(const struct objects *objects)
{
    size_t tier, i;

    for (i = 0; i < objects->count; ++i) /* a login's terminal is anybody's until it is done */
        if (objects->object[i].kind == ENTITY_AGENT && !objects->object[i].is_other_side)
            return &objects->object[i];
    for (tier = 0; tier < sizeof(tiers) / sizeof(tiers[0]); ++tier)
        for (i = 0; i < objects->count; ++i)
            if (tiers[tier] & 1u << objects->object[i].kind && !objects->object[i].is_other_side)
                return &objects->object[i];
    return NULL;
}

/* ---- legs ---- */

static int unknown(struct execution *execution)
{
    return refuse(execution, PROBLEM_NOT_FOUND, "%s", "");
}

static struct node *place_of_leg(struct execution *execution, const struct node *leg)
{
    struct node *place = leg->kind == ENTITY_TERMINAL_CONNECTION
                             ? node_fact(execution, leg, "terminal", ENTITY_TERMINAL)
                             : node_fact(execution, leg, "address", ENTITY_ADDRESS);
    return place;
}

/* A leg by its id: events make it known; else the calls of the token's users are read. */
static int look_leg(struct execution *execution, const struct object *object)
{
    struct node *leg = model_find(model_of(execution), object->kind, object->id), *place;
    const struct access *access = execution->command->access;
    const struct node *contact = leg != NULL ? contact_of(model_of(execution), leg) : NULL;
    size_t i;

    if (leg != NULL && (place = place_of_leg(execution, leg)) != NULL) {
        if (!scene_sees(execution, place))
            return unknown(execution);
        scene_set(execution, leg);
        if (contact != NULL)
            scene_set(execution, contact);
        scene_set(execution, place);
        return scene_user_of(execution, place) == CG_OK ? scene_act_as(execution, place)
                                                        : CG_E_DENIED;
    }
    if (contact != NULL &&
        execution_read(execution, RECORD_CALL, contact->id, 0, NULL) == CG_E_BUSY)
        return CG_E_BUSY;
    for (i = 0; i < access->num_users; ++i)
        if (access_acts_for(execution, access->users[i].number) &&
            !model_lists_are_live(model_of(execution), access->users[i].number) &&
            execution_read(execution, RECORD_USER_CALLS, access->users[i].name, 0, NULL) ==
                CG_E_BUSY)
            return CG_E_BUSY;
    return unknown(execution);
}

/* The agent in the call who acts: whose control came along; else the only one that is seen. */
struct participants {
    struct execution *execution;
    char agent[CG_ID_BYTES_MAX + 1];
    int several;
};

static void consider(void *data, const char *agent)
{
    struct participants *in = data;
    const struct node *node = model_find(model_of(in->execution), ENTITY_AGENT, agent);
    const char *mine = lease_agent(in->execution);

    if (node == NULL || !scene_sees(in->execution, node) || strcmp(in->agent, agent) == 0)
        return;
    in->several |= in->agent[0] != '\0';
    if (in->agent[0] == '\0' || (mine != NULL && strcmp(mine, agent) == 0))
        snprintf(in->agent, sizeof(in->agent), "%s", agent);
}

static int act_in_call(struct execution *execution, const char *id)
{
    struct participants in = {.execution = execution};
    const char *mine = lease_agent(execution);
    struct node *contact, *agent;
    int rc = scene_look(execution, ENTITY_CONTACT, id, &contact);

    if (rc != CG_OK)
        return rc;
    if (!model_fact_is_live(model_of(execution), contact, "connections") &&
        execution_read(execution, RECORD_CALL, contact->id, 0, NULL) == CG_E_BUSY)
        return CG_E_BUSY;
    foreach_agent_of_call(model_of(execution), contact, consider, &in);
    if (in.several && (mine == NULL || strcmp(mine, in.agent) != 0))
        return refuse(execution, PROBLEM_AMBIGUOUS,
                      "several agents are in the call, and it is not said who acts");
    if ((agent = model_find(model_of(execution), ENTITY_AGENT, in.agent)) == NULL)
        return CG_OK; /* nobody: the gate refuses */
    snprintf(execution->scene.agent, sizeof(execution->scene.agent), "%s", in.agent);
    return scene_user_of(execution, agent);
}

static int act_at_place(struct execution *execution, const struct object *object)
{
    struct node *place;
    int rc = scene_look(execution, object->kind, object->id, &place);

    if (rc != CG_OK || (rc = scene_user_of(execution, place)) != CG_OK)
        return rc;
    if (object->kind != ENTITY_AGENT)
        return scene_act_as(execution, place);
    snprintf(execution->scene.agent, sizeof(execution->scene.agent), "%s", place->id);
    return CG_OK;
}

/* Everything else that it names is touched, too, as far as it is known. */
static void set_others(struct execution *execution, const struct objects *objects)
{
    size_t i;
    for (i = 0; i < objects->count; ++i) {
        const struct object *object = &objects->object[i];
        const struct node *node = model_find(model_of(execution), object->kind, object->id);
        if (node == NULL)
            continue;
        if (!object->is_other_side && execution->scene.ids[object->kind][0] == '\0')
            scene_set(execution, node);
    }
}

/* As in the table of commands: addresses are anybody's to call, all else is the token's to see. */
static int see(struct execution *execution, const struct object *object)
{
    struct node *node, *contact;

    if (object->kind == ENTITY_ADDRESS)
        return CG_OK;
    if (object->kind != ENTITY_CONNECTION && object->kind != ENTITY_TERMINAL_CONNECTION)
        return scene_look(execution, object->kind, object->id, &node);
    node = model_find(model_of(execution), object->kind, object->id);
    contact = node != NULL ? contact_of(model_of(execution), node) : NULL;
    return contact != NULL && scene_sees(execution, contact) ? CG_OK : unknown(execution);
}

static int see_others(struct execution *execution, const struct objects *objects,
                      const struct object *actor)
{
    struct scene scene = execution->scene;
    size_t i;
    int rc = CG_OK;

    for (i = 0; i < objects->count && rc == CG_OK; ++i)
        if (&objects->object[i] != actor)
            rc = see(execution, &objects->object[i]);
    if (rc == CG_OK)
        execution->scene = scene;
    return rc;
}

/* Sessions and subscriptions are the operator's, and are about nobody. */
static int take_user(struct execution *execution)
{
    const struct command *command = execution->command;

    execution->scene.needs_lease = 0;
    execution->scene.user = command->user;
    if (command->user == 0 && command->access->num_users == 1)
        execution->scene.user = command->access->users[0].number;
    if (execution->scene.user == 0)
        return refuse(execution, PROBLEM_USER_REQUIRED, "it is not said in whose session");
    return CG_OK;
}

int scene_derive(struct execution *execution)
{
    enum operation_kind kind = operation_kind(execution->command->op);
    struct objects objects = {.count = 0};
    const struct object *actor;
    int rc;

    execution->op = execution->command->op;
    if (kind == KIND_SESSION || kind == KIND_SUBSCRIPTION)
        return take_user(execution);
    objects_collect(&objects, execution->op, execution->command->body);
    if (objects.are_too_many)
        return unknown(execution);
    if ((actor = actor_of(&objects)) == NULL)
        return CG_OK; /* it names nothing: the gate refuses */
    if (actor->kind == ENTITY_CONTACT)
        rc = act_in_call(execution, actor->id);
    else if (actor->kind == ENTITY_CONNECTION || actor->kind == ENTITY_TERMINAL_CONNECTION)
        rc = look_leg(execution, actor);
    else
        rc = act_at_place(execution, actor);
    if (rc == CG_OK && (rc = see_others(execution, &objects, actor)) == CG_OK)
        set_others(execution, &objects);
    return rc;
}
