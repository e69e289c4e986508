/* AgentTerminalService and AgentTerminalConnectionService's own part. */
#include <string.h>

#include "agents.h"
#include "calls.h"
#include "ops_shared.h"

static int get_activity_code(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    if (terminal == NULL ||
        !rq_can(rq, caps_of_agent_terminal(terminal), &agent_terminal_caps, AGTT_GET_ACTIVITY))
        return -1;
    put_text(rq, "r:activityCode", terminal->activity_code);
    return 0;
}

static int get_capabilities(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_caps(rq, "r:terminalCapabilities", &agent_terminal_caps, caps_of_agent_terminal(terminal));
    return 0;
}

static int get_dnd(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_bool(rq, "r:doNotDisturb", terminal->dnd);
    return 0;
}

/* Empty when nobody is logged in. */
static int get_login_id(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_text(rq, "r:loginId", terminal->logged_in != NULL ? terminal->logged_in->id : "");
    return 0;
}

static int get_reason_code(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    if (terminal == NULL ||
        !rq_can(rq, caps_of_agent_terminal(terminal), &agent_terminal_caps, AGTT_GET_REASON))
        return -1;
    put_text(rq, "r:notReadyReasonCode", terminal->reason_code);
    return 0;
}

static int get_related_addresses(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    for (size_t i = 0; terminal != NULL && i < terminal->address_count; i++)
        put_address(rq, "r:address", terminal->addresses[i]);
    return terminal != NULL ? 0 : -1;
}

static int get_terminal_connections(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    const struct termconn *t;
    TAILQ_FOREACH(t, &terminal->termconns, of_terminal)
    {
        put_termconn(rq, "r:terminalConnection", t);
    }
    return 0;
}

static int is_forwarded(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_bool(rq, "r:isForwarded", terminal->forwarding.count > 0);
    return 0;
}

static int is_ready(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_bool(rq, "r:isReady", terminal->ready);
    return 0;
}

static int login(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "agentTerminal");
    if (terminal == NULL)
        return -1;
    return do_terminal_login(rq, terminal, rq_text(rq, "agentId"), rq_text(rq, "password"),
                             strcmp(rq_text(rq, "initialState"), "READY") == 0);
}

static int logout(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "agentTerminal");
    return terminal != NULL ? do_terminal_logout(rq, terminal) : -1;
}

static int set_activity_code(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "agentTerminal");
    return terminal != NULL ? do_terminal_activity(rq, terminal, rq_text(rq, "activityCode")) : -1;
}

static int set_is_ready(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    return terminal != NULL ? do_terminal_ready(rq, terminal, rq_bool(rq, "value")) : -1;
}

static int set_reason_code(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    return terminal != NULL ? do_terminal_reason(rq, terminal, rq_text(rq, "value")) : -1;
}

#define AGTT "AgentTerminalService"

const struct op_row ops_agent_terminal[] = {
    {AGTT, "CallSupervisor", do_call_supervisor},
    {AGTT, "GetActivityCode", get_activity_code},
    {AGTT, "GetCapabilities", get_capabilities},
    {AGTT, "GetDoNotDisturb", get_dnd},
    {AGTT, "GetLoginId", get_login_id},
    {AGTT, "GetNotReadyReasonCode", get_reason_code},
    {AGTT, "GetRelatedAddresses", get_related_addresses},
    {AGTT, "GetTerminalConnections", get_terminal_connections},
    {AGTT, "GetVersion", do_version},
    {AGTT, "IsForwarded", is_forwarded},
    {AGTT, "IsReady", is_ready},
    {AGTT, "Login", login},
    {AGTT, "Logout", logout},
    {AGTT, "SetActivityCode", set_activity_code},
    {AGTT, "SetIsReady", set_is_ready},
    {AGTT, "SetNotReadyReasonCode", set_reason_code},
    {NULL, NULL, NULL}};
