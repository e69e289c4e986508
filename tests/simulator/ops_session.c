/* SessionService, and what of UserService and MetricsService concerns the session: sign-on, look-ups, the Lite API. */
#include <string.h>

#include "agents.h"
#include "calls.h"
#include "counters.h"
#include "ops_shared.h"

static int log_in(struct rq *rq)
{
    xmlNode *level = node_child(rq->root, "authenticationLevel");
    struct session *session = session_login(rq_node_text(rq, node_child(level, "username")),
                                            rq_node_text(rq, node_child(level, "password")),
                                            rq_node_text(rq, node_child(level, "domain")));
    if (session == NULL)
        return rq_fail(rq, "User name, password or domain is wrong");
    counters_login();
    buf_str(&rq->out, "<r:ssoToken>");
    put_text(rq, "c:token", session->token);
    buf_str(&rq->out, "</r:ssoToken>");
    return 0;
}

static int log_off(struct rq *rq)
{
    counters.logoffs++;
    session_end(rq->session, NULL, NULL); /* the client knows */
    rq->session = NULL;
    rq->user = NULL;
    return 0;
}

static int get_address(struct rq *rq)
{
    const char *name = rq_text(rq, "addressName");
    struct address *address = world_address(name);
    if (address == NULL || !user_owns_address(rq->user, address))
        return rq_fail(rq, "Address '%s' is not known to this user", name);
    put_address(rq, "r:addressResponse", address);
    return 0;
}

static int get_terminal(struct rq *rq)
{
    const char *name = rq_text(rq, "terminalName");
    struct terminal *terminal = world_terminal(name);
    if (terminal == NULL || !user_owns_terminal(rq->user, terminal))
        return rq_fail(rq, "Terminal '%s' is not known to this user", name);
    put_terminal(rq, "r:terminalResponse", terminal);
    return 0;
}

static void put_terminal_addresses(struct rq *rq, const struct terminal *terminal)
{
    for (size_t i = 0; i < terminal->address_count; i++)
        put_address(rq, "r:addresses", terminal->addresses[i]);
}

static void put_agent_addresses(struct rq *rq, const struct agent *agent)
{
    for (size_t i = 0; i < agent->terminal_count; i++)
        put_terminal_addresses(rq, agent->terminals[i]);
}

static void put_agent_terminals(struct rq *rq, const struct agent *agent)
{
    for (size_t i = 0; i < agent->terminal_count; i++)
        put_terminal(rq, "r:terminals", agent->terminals[i]);
}

static int get_addresses(struct rq *rq)
{
    if (rq->user->agent != NULL)
        put_agent_addresses(rq, rq->user->agent);
    for (size_t i = 0; rq->user->agent == NULL && i < world.address_count; i++)
        put_address(rq, "r:addresses", world.addresses[i]);
    return 0;
}

static int get_terminals(struct rq *rq)
{
    if (rq->user->agent != NULL)
        put_agent_terminals(rq, rq->user->agent);
    for (size_t i = 0; rq->user->agent == NULL && i < world.terminal_count; i++)
        put_terminal(rq, "r:terminals", world.terminals[i]);
    return 0;
}

static int get_agents(struct rq *rq)
{
    if (rq->user->agent != NULL)
        put_agent(rq, "r:agents", rq->user->agent);
    for (size_t i = 0; rq->user->agent == NULL && i < world.agent_count; i++)
        put_agent(rq, "r:agents", &world.agents[i]);
    return 0;
}

static int get_agent_addresses(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (agent == NULL)
        return -1;
    put_agent_addresses(rq, agent);
    return 0;
}

static int get_agent_terminals(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (agent == NULL)
        return -1;
    put_agent_terminals(rq, agent);
    return 0;
}

static int get_terminal_addresses(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_terminal_addresses(rq, terminal);
    return 0;
}

static size_t own_terminals(const struct user *user)
{
    return user->agent != NULL ? user->agent->terminal_count : world.terminal_count;
}

static size_t own_addresses(const struct user *user)
{
    size_t count = 0;
    if (user->agent == NULL)
        return world.address_count;
    for (size_t i = 0; i < user->agent->terminal_count; i++)
        count += user->agent->terminals[i]->address_count;
    return count;
}

static int get_address_count(struct rq *rq)
{
    buf_printf(&rq->out, "%zu", own_addresses(rq->user));
    return 0;
}

static int get_terminal_count(struct rq *rq)
{
    buf_printf(&rq->out, "%zu", own_terminals(rq->user));
    return 0;
}

static int get_contact(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    put_contact(rq, "r:contact", contact);
    return 0;
}

static int get_contact_data(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    put_attached_data(rq, "r:contactData", &contact->data);
    return 0;
}

static int set_contact_data(struct rq *rq)
{
    return do_set_data(rq, "contactData");
}

static int get_intrinsics(struct rq *rq)
{
    struct contact *contact = rq_contact(rq, "contact");
    if (contact == NULL)
        return -1;
    put_intrinsics(rq, contact);
    return 0;
}

static int get_ready_state(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_bool(rq, "r:ready", terminal->ready);
    return 0;
}

static int create_contact(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    struct address *from = terminal != NULL ? rq_address(rq, "srcAddress") : NULL;
    struct address *to = from != NULL ? rq_dialled_address(rq, "dstAddress") : NULL;
    return to != NULL ? do_originate(rq, terminal, from, to) : -1;
}

static int answer_contact(struct rq *rq)
{
    struct termconn *leg = rq_leg(rq);
    return leg != NULL ? do_answer(rq, leg) : -1;
}

static int drop_contact(struct rq *rq)
{
    struct termconn *leg = rq_leg(rq);
    if (leg == NULL)
        return -1;
    call_disconnect(leg->connection, "DEFAULT");
    return 0;
}

static int hold_contact(struct rq *rq)
{
    struct termconn *leg = rq_leg(rq);
    return leg != NULL ? do_hold(rq, leg) : -1;
}

static int unhold_contact(struct rq *rq)
{
    struct termconn *leg = rq_leg(rq);
    return leg != NULL ? do_unhold(rq, leg) : -1;
}

static int generate_dtmf(struct rq *rq)
{
    struct termconn *leg = rq_leg(rq);
    return leg != NULL ? do_dtmf(rq, leg) : -1;
}

static int start_consult(struct rq *rq, enum consult_kind kind)
{
    struct termconn *leg = rq_leg(rq);
    struct address *to = leg != NULL ? rq_dialled_address(rq, "address") : NULL;
    return to != NULL ? do_consult(rq, leg, to, kind) : -1;
}

static int initiate_transfer(struct rq *rq)
{
    return start_consult(rq, CONSULT_TRANSFER);
}

static int initiate_conference(struct rq *rq)
{
    return start_consult(rq, CONSULT_CONFERENCE);
}

static int complete_transfer(struct rq *rq)
{
    struct termconn *leg = rq_leg(rq);
    return leg != NULL ? do_complete(rq, leg, CONSULT_TRANSFER) : -1;
}

static int complete_conference(struct rq *rq)
{
    struct termconn *leg = rq_leg(rq);
    return leg != NULL ? do_complete(rq, leg, CONSULT_CONFERENCE) : -1;
}

static int transfer_contact(struct rq *rq)
{
    struct termconn *leg = rq_leg(rq);
    struct address *to = leg != NULL ? rq_dialled_address(rq, "address") : NULL;
    return to != NULL ? do_blind_transfer(rq, leg, to) : -1;
}

static int login_agent(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    return do_terminal_login(rq, terminal, rq_text(rq, "agentId"), rq_text(rq, "agentPassword"),
                             false);
}

/* The contract does not say what the numbers mean; here 0 is not ready, 1 ready, as good as any reading. */
static int login_to_state(struct rq *rq, struct terminal *terminal, const char *password)
{
    long long state = rq_number(rq, "initialState");
    if (terminal == NULL)
        return -1;
    if (state != 0 && state != 1)
        return rq_fail(rq, "initialState must be 0 (not ready) or 1 (ready)");
    return do_terminal_login(rq, terminal, rq_text(rq, "agentId"), password, state == 1);
}

static int login_agent_to_state(struct rq *rq)
{
    return login_to_state(rq, rq_agent_terminal(rq, "terminal"), rq_text(rq, "agentPassword"));
}

static int login_agent_to_terminal(struct rq *rq)
{
    return login_to_state(rq, rq_agent_terminal(rq, "agentTerminal"), rq_text(rq, "password"));
}

static int logout_agent(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    return terminal != NULL ? do_terminal_logout(rq, terminal) : -1;
}

static int logout_from_terminal(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "agentTerminal");
    return terminal != NULL ? do_terminal_logout(rq, terminal) : -1;
}

static int make_set_busy(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    terminal_set_dnd(terminal, true);
    return 0;
}

static int set_activity_code(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    return terminal != NULL ? do_terminal_activity(rq, terminal, rq_text(rq, "activityCode")) : -1;
}

static int set_not_ready(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    return terminal != NULL ? do_terminal_ready(rq, terminal, false) : -1;
}

static int set_ready(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    return terminal != NULL ? do_terminal_ready(rq, terminal, true) : -1;
}

static int set_not_ready_with_code(struct rq *rq)
{
    struct terminal *terminal = rq_agent_terminal(rq, "terminal");
    if (terminal == NULL || do_terminal_ready(rq, terminal, false) != 0)
        return -1;
    return do_terminal_reason(rq, terminal, rq_text(rq, "reasonCode"));
}

static int active_sessions(struct rq *rq)
{
    put_number(rq, "r:count", (long long)sessions_count());
    return 0;
}

static int monitored_addresses(struct rq *rq)
{
    put_number(rq, "r:count", (long long)own_addresses(rq->user));
    return 0;
}

static int monitored_terminals(struct rq *rq)
{
    put_number(rq, "r:count", (long long)own_terminals(rq->user));
    return 0;
}

#define SES "SessionService"
#define USR "UserService"
#define MET "MetricsService"

const struct op_row ops_session[] = {
    {SES, "AnswerContact", answer_contact},
    {SES, "CallSupervisor", do_call_supervisor},
    {SES, "CompleteConference", complete_conference},
    {SES, "CompleteSupervisedTransfer", complete_transfer},
    {SES, "CreateContact", create_contact},
    {SES, "Dispose", log_off},
    {SES, "DropContact", drop_contact},
    {SES, "EmergencyKey", do_emergency},
    {SES, "GenerateDTMF", generate_dtmf},
    {SES, "GetAddress", get_address},
    {SES, "GetAddresses", get_addresses},
    {SES, "GetAgentAddresses", get_agent_addresses},
    {SES, "GetAgentTerminals", get_agent_terminals},
    {SES, "GetAgents", get_agents},
    {SES, "GetContact", get_contact},
    {SES, "GetContactData", get_contact_data},
    {SES, "GetCurrentAddressCount", get_address_count},
    {SES, "GetCurrentTerminalCount", get_terminal_count},
    {SES, "GetIntrinsics", get_intrinsics},
    {SES, "GetReadyState", get_ready_state},
    {SES, "GetTerminal", get_terminal},
    {SES, "GetTerminalAddresses", get_terminal_addresses},
    {SES, "GetTerminals", get_terminals},
    {SES, "GetVersion", do_version},
    {SES, "HoldContact", hold_contact},
    {SES, "InitiateConference", initiate_conference},
    {SES, "InitiateSupervisedTransfer", initiate_transfer},
    {SES, "LogInToCCTServer", log_in},
    {SES, "LogOffFromCCTServer", log_off},
    {SES, "LoginAgent", login_agent},
    {SES, "LoginAgentToState", login_agent_to_state},
    {SES, "LoginAgentToTerminal", login_agent_to_terminal},
    {SES, "LogoutAgent", logout_agent},
    {SES, "LogoutAgentFromTerminal", logout_from_terminal},
    {SES, "MakeSetBusy", make_set_busy},
    {SES, "SetActivityCode", set_activity_code},
    {SES, "SetContactData", set_contact_data},
    {SES, "SetIntrinsics", do_set_intrinsics},
    {SES, "SetToNotReadyState", set_not_ready},
    {SES, "SetToNotReadyStateWithReasonCode", set_not_ready_with_code},
    {SES, "SetToReadyState", set_ready},
    {SES, "TransferContact", transfer_contact},
    {SES, "UnHoldContact", unhold_contact},
    {USR, "GetAddress", get_address},
    {USR, "GetAddresses", get_addresses},
    {USR, "GetAgents", get_agents},
    {USR, "GetTerminal", get_terminal},
    {USR, "GetTerminals", get_terminals},
    {USR, "GetVersion", do_version},
    {USR, "LogInToCCTServer", log_in},
    {USR, "LogOffFromCCTServer", log_off},
    {MET, "GetActiveSessionCount", active_sessions},
    {MET, "GetLicenseConsumedCount", active_sessions},
    {MET, "GetMonitoredAddressCount", monitored_addresses},
    {MET, "GetMonitoredTerminalsCount", monitored_terminals},
    {MET, "GetVersion", do_version},
    {NULL, NULL, NULL}};
