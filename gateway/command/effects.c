/* What a command changes: which facts are no guess any more, and what an event will show. */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

struct effect {
    int is_none; /* nothing that is known of */
    int is_new;  /* "+contact" */
    int consult;
    enum entity entity;
    char field[40]; /* "": it is to be gone */
    const char *value;
};

static int parse(const char *text, struct effect *effect)
{
    size_t length;

    memset(effect, 0, sizeof(*effect));
    if (text == NULL)
        return 0;
    if ((effect->is_none = strcmp(text, "none") == 0))
        return 1;
    effect->entity = ENTITY_CONTACT;
    if ((effect->is_new = *text == '+'))
        return 1;
    if ((effect->consult = strncmp(text, "consult", 7) == 0))
        return 1;
    length = strcspn(text, ".=");
    effect->entity = entity_named(text, length);
    effect->value = strchr(text, '=') + 1;
    if (text[length] == '.') {
        size_t field = strcspn(text + length + 1, "=");
        memcpy(effect->field, text + length + 1, field);
    }
    return 1;
}

/* ---- what is not fresh any more ---- */

static void touch_all(struct execution *execution)
{
    struct model *model = model_of(execution);
    unsigned kind;

    for (kind = ENTITY_AGENT; kind < ENTITIES; ++kind) {
        struct node *node = scene_node(execution, (enum entity)kind);
        if (node == NULL)
            continue;
        model_touched(model, node, NULL, execution->since);
        model_touched_around(model, node);
    }
}

/* What one leg does others follow, and the last one ends the call. */
static void touch_legs(struct execution *execution, int ends)
{
    struct model *model = model_of(execution);
    struct node *contact = scene_node(execution, ENTITY_CONTACT), *connection, *tc, *terminal;

    if (contact == NULL)
        return;
    if (ends)
        model_touched(model, contact, "connections", execution->since);
    GRAPH_FOREACH(&model->graph, contact, "connections", ENTITY_CONNECTION, connection)
    {
        model_touched(model, connection, "state", execution->since);
        model_touched(model, connection, "terminalConnections", execution->since);
        GRAPH_FOREACH(&model->graph, connection, "terminalConnections", ENTITY_TERMINAL_CONNECTION,
                      tc)
        {
            model_touched(model, tc, "state", execution->since);
            if ((terminal = node_fact(execution, tc, "terminal", ENTITY_TERMINAL)) != NULL)
                model_touched(model, terminal, "terminalConnections", execution->since);
        }
    }
}

/* An agent and the terminals where it works say the same things of each other. */
static void touch_desks(struct execution *execution)
{
    static const char *const fields[] = {"loginId", "ready", "notReadyReasonCode", "activityCode",
                                         "agentCapabilities"};
    struct model *model = model_of(execution);
    struct node *agent = scene_node(execution, ENTITY_AGENT), *terminal;
    size_t i;

    if (agent == NULL)
        return;
    GRAPH_FOREACH(&model->graph, agent, "terminals", ENTITY_TERMINAL, terminal)
    {
        for (i = 0; i < sizeof(fields) / sizeof(fields[0]); ++i)
            model_touched(model, terminal, fields[i], execution->since);
    }
}

static void touch_effect(struct execution *execution, const struct effect *effect)
{
    static const char state[] = "state";
    struct model *model = model_of(execution);
    struct node *node = scene_node(execution, effect->entity);
    struct node *terminal = scene_node(execution, ENTITY_TERMINAL), *other;

    if (effect->is_none)
        return;
    if (effect->is_new || effect->consult) {
        if (terminal != NULL)
            model_touched(model, terminal, "terminalConnections", execution->since);
        if ((node = scene_node(execution, ENTITY_TERMINAL_CONNECTION)) != NULL)
            model_touched(model, node, state, execution->since);
        node = terminal;
    } else if (node != NULL) {
        model_touched(model, node, effect->field[0] != '\0' ? effect->field : state,
                      execution->since);
    }
    execution->touched = live_clock(model);
    if ((other = model_find(model, ENTITY_CONTACT, execution->scene.consult)) != NULL) {
        model_touched(model, other, "connections", execution->since);
        model_touched_around(model, other);
    }
    if (effect->entity == ENTITY_AGENT)
        touch_desks(execution);
    else if (effect->field[0] == '\0' || strcmp(effect->field, state) == 0)
        touch_legs(execution, effect->field[0] == '\0');
    if (node != NULL && (effect->value == NULL || strcmp(effect->value, "*") != 0))
        model_touched_around(model, node);
    /* a terminal and its agent say the same things of each other */
    if (effect->entity == ENTITY_AGENT && terminal != NULL) {
        model_touched(model, terminal, NULL, execution->since);
        model_touched_around(model, terminal);
    }
}

/* Rights follow what was done, and no event of their own need tell them. */
static void touch_agent(struct execution *execution)
{
    struct model *model = model_of(execution);
    struct node *agent = scene_node(execution, ENTITY_AGENT);

    if (agent != NULL) {
        model_touched(model, agent, "capabilities", execution->since);
        model_touched(model, agent, "notReadyReasonCode", execution->since);
        model_touched(model, agent, "ready", execution->since);
    }
}

static int is_followed_by_events(struct execution *execution)
{
    static const enum entity order[] = {ENTITY_TERMINAL_CONNECTION,
                                        ENTITY_CONNECTION,
                                        ENTITY_CONTACT,
                                        ENTITY_TERMINAL,
                                        ENTITY_ADDRESS,
                                        ENTITY_AGENT};
    size_t i;
    for (i = 0; i < sizeof(order) / sizeof(order[0]); ++i) {
        const struct node *node = scene_node(execution, order[i]);
        if (node != NULL)
            return live_coverage(model_of(execution), node->covered) != NULL;
    }
    return 0;
}

/* A login has put the agent there: nothing that is read of the agent says so. What events tell since then counts more. */
static void note_desk(struct execution *execution)
{
    static const char login[] = "agent.loggedIn=true";
    const struct command_row *row = execution->command->row;
    struct node *desk = model_find(model_of(execution), ENTITY_TERMINAL, execution->scene.desk);

    if (execution->outcome == OUTCOME_DONE && desk != NULL && row != NULL && row->effect != NULL &&
        strcmp(row->effect, login) == 0)
        model_tell(model_of(execution), desk, "loginId", json_string(execution->scene.agent));
}

static void read_again(struct execution *execution);

void effect_touch(struct execution *execution)
{
    const struct command_row *row = execution->command->row;
    struct effect effect;
    int known = parse(row != NULL ? row->effect : NULL, &effect);

    if (execution->outcome != OUTCOME_UNKNOWN && known && is_followed_by_events(execution)) {
        touch_effect(execution, &effect);
        if (effect.entity == ENTITY_AGENT)
            touch_agent(execution);
    } else {
        touch_all(execution);
    }
    note_desk(execution);
    model_calls_touched(model_of(execution), execution->scene.user);
    model_commit_touched(model_of(execution));
    if (execution->outcome == OUTCOME_UNKNOWN)
        read_again(execution);
}

/* ---- after an outcome that is not known ---- */

struct look {
    struct fetch_waiter waiter;
};

static void on_looked(struct fetch_waiter *waiter, struct fetch_outcome *outcome)
{
    (void)outcome; /* it was written down, or is stale and says so */
    free(waiter);
}

static void look_at(struct execution *execution, enum record_kind kind, const char *id)
{
    struct look *look = calloc(1, sizeof(*look));

    if (look == NULL)
        return;
    look->waiter.on_done = on_looked;
    model_fetch(model_of(execution), &(struct model_wanted){kind, id, strlen(id), 0, NULL},
                &look->waiter);
}

static void read_again(struct execution *execution)
{
    static const enum entity order[] = {ENTITY_CONTACT, ENTITY_TERMINAL, ENTITY_ADDRESS,
                                        ENTITY_AGENT};
    struct session *session =
        sessions_find(execution->commands->settings.sessions, execution->scene.user);
    size_t i;

    for (i = 0; i < sizeof(order) / sizeof(order[0]); ++i)
        if (execution->scene.ids[order[i]][0] != '\0')
            look_at(execution, plan_record(order[i]), execution->scene.ids[order[i]]);
    if (session != NULL && execution->command->row != NULL &&
        execution->command->row->target == TARGET_ORIGIN)
        look_at(execution, RECORD_USER_CALLS, session_user(session));
}

/* ---- has it come ---- */

static int is_over_there(const struct execution *execution, const struct node *node)
{
    const char *state;

    if (node == NULL)
        return 1;
    state = node_state(node);
    return model_fact_is_live(model_of(execution), node, "state") && state != NULL &&
           (strcmp(state, "DROPPED") == 0 || strcmp(state, "DISCONNECTED") == 0);
}

/* By an event since it was sent; or it was so before, and still is. */
static int is_told(const struct execution *execution, const struct node *node, const char *field)
{
    const json_t *dirty = json_object_get(node->dirty, field);

    if (model_fact_is_live(model_of(execution), node, field))
        return 1;
    return model_was_told(node, field, execution->since) &&
           (dirty == NULL || (uint64_t)json_integer_value(dirty) != execution->touched);
}

static int is_value(const struct execution *execution, const struct node *node,
                    const struct effect *effect)
{
    const json_t *fact = json_object_get(node->facts, effect->field);
    const char *wanted =
        effect->value[0] == '$' ? body_text(execution, effect->value + 1) : effect->value;
    const char *text =
        strcmp(effect->field, "state") == 0 ? node_state(node) : json_string_value(fact);

    if (wanted == NULL || !is_told(execution, node, effect->field))
        return 0;
    if (strcmp(wanted, "*") == 0)
        return 1;
    if (json_is_boolean(fact))
        return json_is_true(fact) == (strcmp(wanted, "true") == 0);
    return text != NULL && strcmp(text, wanted) == 0;
}

int effect_shows(struct execution *execution)
{
    const struct node *node;
    struct effect effect;

    if (!parse(execution->command->row->effect, &effect) || effect.is_none)
        return 1;
    if (effect.is_new || effect.consult) {
        node = model_find(model_of(execution), ENTITY_CONTACT, execution->scene.consult);
        return effect.consult
                   ? node == NULL || node->ended
                   : node != NULL &&
                         json_object_size(json_object_get(node->facts, "connections")) > 0;
    }
    node = scene_node(execution, effect.entity);
    if (effect.field[0] == '\0')
        return is_over_there(execution, node);
    return node != NULL && is_value(execution, node, &effect);
}
