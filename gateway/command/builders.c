/* What the contract wants in a form of its own, from what the body says. */
#include <string.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

static json_t *text_or_empty(const struct execution *execution, const char *name)
{
    const char *text = json_string_value(json_object_get(execution->command->body, name));
    return json_string(text != NULL ? text : "");
}

static json_t *integer_or_0(const struct execution *execution, const char *name)
{
    return json_integer(json_integer_value(json_object_get(execution->command->body, name)));
}

static json_t *make_login_id(struct execution *execution)
{
    return json_string(execution->scene.ids[ENTITY_AGENT]);
}

/* The contract has a number here whose meaning it does not tell; 1 for READY follows the other forms' true. */
static json_t *make_state_number(struct execution *execution)
{
    const char *state = body_text(execution, "initialState");
    return json_integer(state != NULL && strcmp(state, "READY") == 0);
}

static json_t *make_forwarding(struct execution *execution)
{
    return json_pack("[{s:o, s:o, s:o, s:o}]", "caller", text_or_empty(execution, "caller"),
                     "destinationAddress", text_or_empty(execution, "to"), "type",
                     integer_or_0(execution, "type"), "whichCalls",
                     integer_or_0(execution, "whichCalls"));
}

static json_t *make_message_waiting_on(struct execution *execution)
{
    return json_pack("{s:b, s:o}", "messageWaiting", 1, "numberOfMessages",
                     integer_or_0(execution, "messages"));
}

static json_t *make_message_waiting_off(struct execution *execution)
{
    (void)execution;
    return json_pack("{s:b, s:i}", "messageWaiting", 0, "numberOfMessages", 0);
}

static json_t *make_instant_message(struct execution *execution)
{
    const struct node *address = scene_node(execution, ENTITY_ADDRESS);
    return json_pack("{s:o, s:s, s:o, s:s}", "message", text_or_empty(execution, "message"),
                     "sender", address != NULL ? address->id : execution->scene.agent, "type",
                     text_or_empty(execution, "type"), "timeStamp", "");
}

static json_t *make_treatment(struct execution *execution)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:b}", "treatmentAddress",
                     text_or_empty(execution, "treatmentAddress"), "treatmentTerminal",
                     text_or_empty(execution, "treatmentTerminal"), "treatmentParameter",
                     text_or_empty(execution, "treatmentParameter"), "type",
                     text_or_empty(execution, "type"), "interruptible",
                     json_is_true(json_object_get(execution->command->body, "interruptible")));
}

/* What data.c has worked out. */
static json_t *make_value(struct execution *execution)
{
    return json_incref(execution->value);
}

/* The leg that rings at the terminal that the body names. */
static json_t *make_ringing(struct execution *execution)
{
    struct model *model = model_of(execution);
    const struct node *terminal = model_find(model, ENTITY_TERMINAL, body_text(execution, "from"));
    struct node *tc, *found = NULL;

    if (terminal != NULL && scene_sees(execution, terminal)) {
        GRAPH_FOREACH(&model->graph, terminal, "terminalConnections", ENTITY_TERMINAL_CONNECTION,
                      tc)
        {
            const char *state = node_state(tc);
            if (state != NULL && strcmp(state, "RINGING") == 0 && tc->handle != NULL)
                found = tc;
        }
    }
    if (found == NULL) {
        refuse(execution, PROBLEM_CONFLICT, "nothing is known to ring there");
        return NULL;
    }
    return json_incref(found->handle);
}

builder builder_find(const char *name, size_t length)
{
    static const struct {
        const char *name;
        builder make;
    } builders[] = {{"loginId", make_login_id},
                    {"stateNumber", make_state_number},
                    {"forwarding", make_forwarding},
                    {"messageWaitingOn", make_message_waiting_on},
                    {"messageWaitingOff", make_message_waiting_off},
                    {"instantMessage", make_instant_message},
                    {"treatment", make_treatment},
                    {"attachedData", make_value},
                    {"intrinsics", make_value},
                    {"uui", make_value},
                    {"ringing", make_ringing}};
    size_t i;

    for (i = 0; i < sizeof(builders) / sizeof(builders[0]); ++i)
        if (strlen(builders[i].name) == length && memcmp(builders[i].name, name, length) == 0)
            return builders[i].make;
    return NULL;
}
