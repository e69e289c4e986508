/* The one gate: whoever wants something done passes here, from whatever door, before each call that acts. */
#include <stdio.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

/* ---- roles ---- */

static unsigned roles_of(const struct execution *execution)
{
    const struct command *command = execution->command;
    return command->row != NULL ? command->row->roles : operation_roles(command->op);
}

/* Recorders read and record, without control (DOMAIN section 10). */
static int records(const struct execution *execution)
{
    return (execution->command->access->roles & ROLE_RECORDER) != 0 &&
           (roles_of(execution) & ROLE_RECORDER) != 0;
}

/* ---- control ---- */

/* A supervisor may command the agents whose supervisor is the agent that it controls. */
static int supervises(struct execution *execution, const char *supervisor)
{
    const struct command_row *row = execution->command->row;
    struct node *agent = scene_node(execution, ENTITY_AGENT);
    json_t *handle = agent != NULL ? json_object_get(agent->facts, "supervisor") : NULL;
    const char *id = json_string_value(json_object_get(handle, "agentLoginId"));

    return (execution->command->access->roles & ROLE_SUPERVISOR) != 0 &&
           (row == NULL || row->target == TARGET_AGENT) && id != NULL && supervisor != NULL &&
           strcmp(id, supervisor) == 0;
}

static int deny(struct execution *execution, struct control_verdict *verdict)
{
    static const enum problem problems[] = {[CONTROL_HELD] = PROBLEM_CONTROL_HELD,
                                            [CONTROL_LOST] = PROBLEM_CONTROL_LOST,
                                            [CONTROL_DENIED] = PROBLEM_CONTROL_REQUIRED};
    json_t *members = json_pack("{s:s}", "agent", execution->scene.agent);

    if (verdict->holder != NULL)
        json_object_set_new(members, "holder", verdict->holder);
    return refuse_with(execution, problems[verdict->answer], verdict->detail, members);
}

static int passes(struct execution *execution, const char *agent, struct control_verdict *verdict)
{
    control_check(execution->commands->settings.control, agent, own_lease(execution), verdict);
    if (verdict->answer != CONTROL_OK)
        return 0;
    execution->fence = verdict->fence;
    execution->not_after_ms = verdict->valid_until_ms;
    snprintf(execution->scene.lease_agent, sizeof(execution->scene.lease_agent), "%s", agent);
    return 1;
}

static int has_control(struct execution *execution)
{
    struct control_verdict verdict, other;
    const char *mine = lease_agent(execution);

    if (passes(execution, execution->scene.agent, &verdict))
        return CG_OK;
    if (mine != NULL && strcmp(mine, execution->scene.agent) != 0 && supervises(execution, mine)) {
        if (passes(execution, mine, &other)) {
            json_decref(verdict.holder);
            return CG_OK;
        }
        json_decref(other.holder);
    }
    return deny(execution, &verdict);
}

/* ---- what ends for all who are in the call ---- */

static int drops_call(const struct execution *execution)
{
    const struct command *command = execution->command;
    size_t i, j;

    if (command->row != NULL)
        return command->row->effect != NULL && strcmp(command->row->effect, "contact=-") == 0;
    for (i = 0; i < num_command_rows; ++i)
        for (j = 0; j < COMMAND_FORMS && command_rows[i].forms[j].service != NULL; ++j)
            if (command_rows[i].effect != NULL &&
                strcmp(command_rows[i].effect, "contact=-") == 0 &&
                strstr(command_rows[i].forms[j].arguments, "@terminal") == NULL &&
                strcmp(command_rows[i].forms[j].service, command->op->service->name) == 0 &&
                strcmp(command_rows[i].forms[j].operation, command->op->name) == 0)
                return 1;
    return 0;
}

struct others {
    struct execution *execution;
    struct control_verdict verdict;
    char agent[CG_ID_BYTES_MAX + 1]; /* whom another application controls; "": nobody */
};

static void look_at_other(void *data, const char *agent)
{
    struct others *others = data;
    struct control_verdict verdict;

    if (agent == NULL || others->agent[0] != '\0' ||
        strcmp(agent, others->execution->scene.agent) == 0)
        return;
    control_check(others->execution->commands->settings.control, agent, NULL, &verdict);
    if (verdict.answer != CONTROL_HELD)
        return;
    others->verdict = verdict;
    snprintf(others->agent, sizeof(others->agent), "%s", agent);
}

/* Whoever ends a call for all ends it for those, too, whom another application controls. */
static int spares_others(struct execution *execution)
{
    struct others others = {.execution = execution};
    struct node *contact = scene_node(execution, ENTITY_CONTACT);

    if (!drops_call(execution) || contact == NULL)
        return CG_OK;
    foreach_agent_of_call(model_of(execution), contact, look_at_other, &others);
    if (others.agent[0] == '\0')
        return CG_OK;
    snprintf(execution->scene.agent, sizeof(execution->scene.agent), "%s", others.agent);
    return deny(execution, &others.verdict);
}

int gate_pass(struct execution *execution)
{
    if ((execution->command->access->roles & roles_of(execution)) == 0)
        return refuse(execution, PROBLEM_FORBIDDEN, "the token's roles do not cover it");
    if (!execution->scene.needs_lease || records(execution))
        return CG_OK;
    if (execution->scene.agent[0] == '\0')
        return refuse(execution, PROBLEM_CONTROL_REQUIRED,
                      "which agent it touches cannot be told, so that nobody's control allows it");
    return has_control(execution) == CG_OK ? spares_others(execution) : CG_E_DENIED;
}

/* ---- capabilities ---- */

enum right { RIGHT_UNKNOWN, RIGHT_NO, RIGHT_LIVE_NO };

/* What is known of the row's capability: one block that says yes is enough. */
static enum right right_of(const struct execution *execution, const struct node *node,
                           const char *flag)
{
    static const char *const blocks[] = {"capabilities", "agentCapabilities",
                                         "routePointCapabilities"};
    enum right right = RIGHT_UNKNOWN;
    size_t i;

    for (i = 0; i < sizeof(blocks) / sizeof(blocks[0]); ++i) {
        const json_t *value = json_object_get(json_object_get(node->facts, blocks[i]), flag);
        int live = model_fact_is_live(model_of(execution), node, blocks[i]);
        if (json_is_true(value))
            return RIGHT_UNKNOWN;
        if (json_is_false(value) && right != RIGHT_NO)
            right = live ? RIGHT_LIVE_NO : RIGHT_NO;
    }
    return right;
}

static const struct node *capable(const struct execution *execution, const char **flag)
{
    const struct command_row *row = execution->command->row;
    const char *name;

    if (row == NULL || row->capability == NULL)
        return NULL;
    *flag = strchr(row->capability, '.') + 1;
    name = row->capability + (row->capability[0] == '!');
    return scene_node(execution, entity_named(name, strcspn(name, ".")));
}

/*
 * Only a live no refuses (DOMAIN rule 19): a stale one is worse than the contact centre's own word. Of what no provider implements, any no
 * that was ever heard is as good.
 */
int gate_capability(struct execution *execution)
{
    char detail[CG_ERROR_TEXT_MAX];
    const char *flag;
    const struct node *node = capable(execution, &flag);

    enum right right = node != NULL ? right_of(execution, node, flag) : RIGHT_UNKNOWN;

    if (right == RIGHT_UNKNOWN ||
        (right == RIGHT_NO && execution->command->row->capability[0] != '!'))
        return CG_OK;
    snprintf(detail, sizeof(detail), "the contact centre says that %s is false of %s", flag,
             node->id);
    return refuse_with(execution, PROBLEM_CAPABILITY_ABSENT, detail,
                       json_pack("{s:s}", "capability", flag));
}

/* ---- capacity ---- */

static int logs_in(const struct execution *execution)
{
    static const char effect[] = "agent.loggedIn=true";
    const struct command *command = execution->command;
    size_t i, j;

    if (command->row != NULL)
        return command->row->effect != NULL && strcmp(command->row->effect, effect) == 0;
    for (i = 0; i < num_command_rows; ++i)
        for (j = 0; j < COMMAND_FORMS && command_rows[i].forms[j].service != NULL; ++j)
            if (command_rows[i].effect != NULL && strcmp(command_rows[i].effect, effect) == 0 &&
                strcmp(command_rows[i].forms[j].service, command->op->service->name) == 0 &&
                strcmp(command_rows[i].forms[j].operation, command->op->name) == 0)
                return 1;
    return 0;
}

static int is_logged_in(const struct execution *execution)
{
    const struct node *agent = scene_node(execution, ENTITY_AGENT);
    return agent != NULL && json_is_true(json_object_get(agent->facts, "loggedIn"));
}

/* Logins under way, but for those whose agent is counted already: the event may come before the answer. */
static size_t logging_in(const struct commands *commands)
{
    const struct execution *execution;
    size_t count = 0;

    for (execution = commands->executions; execution != NULL; execution = execution->next)
        count += execution->logs_in &&
                 !model_counts_agent(model_of(execution), execution->scene.ids[ENTITY_AGENT]);
    return count;
}

/* At the contact centre's limit no agent begins who is not there already; logins under way count as done. */
int gate_capacity(struct execution *execution)
{
    struct commands *commands = execution->commands;

    if (execution->logs_in || !logs_in(execution) || is_logged_in(execution))
        return CG_OK;
    if (!model_admits_agent(model_of(execution), logging_in(commands),
                            &execution->command->retry_after_s)) {
        ++commands->stats.over_capacity;
        return refuse(execution, PROBLEM_CAPACITY_EXHAUSTED,
                      "no agent may begin; /v1/capacity says which limit is reached");
    }
    execution->logs_in = 1;
    return CG_OK;
}
