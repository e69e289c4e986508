/* TerminalConnectionService and AgentTerminalConnectionService: most reads are the same under both. */
#include <string.h>

#include "calls.h"
#include "ops_shared.h"

static int answer(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    return t != NULL ? do_answer(rq, t) : -1;
}

static int hold(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    return t != NULL ? do_hold(rq, t) : -1;
}

static int unhold(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    return t != NULL ? do_unhold(rq, t) : -1;
}

static int generate_dtmf(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    return t != NULL ? do_dtmf(rq, t) : -1;
}

static int blind_transfer(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    struct address *to = t != NULL ? rq_dialled(rq, "destinationAddress") : NULL;
    return to != NULL ? do_blind_transfer(rq, t, to) : -1;
}

static int start_consult(struct rq *rq, enum consult_kind kind)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    struct address *to = t != NULL ? rq_dialled(rq, "destinationAddress") : NULL;
    return to != NULL ? do_consult(rq, t, to, kind) : -1;
}

static int consult(struct rq *rq)
{
    return start_consult(rq, CONSULT_PLAIN);
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
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    return t != NULL ? do_complete(rq, t, CONSULT_TRANSFER) : -1;
}

static int complete_conference(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    return t != NULL ? do_complete(rq, t, CONSULT_CONFERENCE) : -1;
}

static int get_consult_of_kind(struct rq *rq, enum consult_kind kind)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    if (t == NULL)
        return -1;
    if (t->consults[kind] == NULL)
        return rq_fail(rq, "There is no such consult");
    put_contact(rq, "r:contact", t->consults[kind]);
    return 0;
}

static int get_consult(struct rq *rq)
{
    return get_consult_of_kind(rq, CONSULT_PLAIN);
}

static int get_transfer_consult(struct rq *rq)
{
    return get_consult_of_kind(rq, CONSULT_TRANSFER);
}

static int get_conference_consult(struct rq *rq)
{
    return get_consult_of_kind(rq, CONSULT_CONFERENCE);
}

static int get_connection(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    if (t == NULL)
        return -1;
    put_connection(rq, "r:connection", t->connection);
    return 0;
}

static int get_contact(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    if (t == NULL)
        return -1;
    put_contact(rq, "r:contact", t->connection->contact);
    return 0;
}

static int get_contact_type(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    if (t == NULL)
        return -1;
    put_text(rq, "r:contactType", t->connection->contact->contact_type);
    return 0;
}

static int get_terminal(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    if (t == NULL)
        return -1;
    put_terminal(rq, "r:terminal", t->terminal);
    return 0;
}

static int get_capabilities(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    if (t == NULL)
        return -1;
    put_caps(rq, "r:terminalConnectionCapabilities", &termconn_caps, caps_of_termconn(rq->user, t));
    return 0;
}

static int get_agent_capabilities(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    if (t == NULL)
        return -1;
    put_caps(rq, "r:agentTerminalConnectionCapabilities", &agent_termconn_caps,
             caps_of_agent_termconn(rq->user, t));
    return 0;
}

static void put_holder(struct rq *rq, const char *element, enum terminal_connection_state state,
                       int64_t entered_ms, const char *reason)
{
    buf_printf(&rq->out, "<%s>", element);
    put_text(rq, "c:state", terminal_connection_state_name(state));
    put_number(rq, "c:entranceTime", entered_ms);
    put_text(rq, "c:reasonCode", reason);
    buf_printf(&rq->out, "</%s>", element);
}

static int get_state(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    if (t == NULL)
        return -1;
    buf_str(&rq->out, "<r:terminalConnectionStateInfo>");
    put_holder(rq, "c:currentState", t->state, t->entered_ms, t->reason);
    put_holder(rq, "c:lastState", t->last_state, t->last_entered_ms, t->last_reason);
    put_text(rq, "c:type", "TerminalConnection");
    put_text(rq, "c:parentId", t->connection->id);
    buf_str(&rq->out, "</r:terminalConnectionStateInfo>");
    return 0;
}

static int get_activity_code(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    if (t == NULL)
        return -1;
    put_text(rq, "r:activityCode", t->activity_code);
    return 0;
}

static int set_activity_code(struct rq *rq)
{
    struct termconn *t = rq_termconn(rq, "terminalConnection");
    if (t == NULL)
        return -1;
    if (!user_owns_terminal(rq->user, t->terminal) || t->terminal->logged_in == NULL)
        return rq_fail(rq, "No agent of this user is logged in at '%s'", t->terminal->name);
    set_text(&t->activity_code, rq_text(rq, "activityCode"));
    return 0;
}

#define TC  "TerminalConnectionService"
#define ATC "AgentTerminalConnectionService"

const struct op_row ops_termconn[] = {
    {TC, "Answer", answer},
    {TC, "BlindTransfer", blind_transfer},
    {TC, "CompleteConference", complete_conference},
    {TC, "CompleteSupervisedTransfer", complete_transfer},
    {TC, "Consult", consult},
    {TC, "GenerateDTMF", generate_dtmf},
    {TC, "GetConferenceConsultContact", get_conference_consult},
    {TC, "GetConnection", get_connection},
    {TC, "GetConsultContact", get_consult},
    {TC, "GetContact", get_contact},
    {TC, "GetContactType", get_contact_type},
    {TC, "GetState", get_state},
    {TC, "GetTerminal", get_terminal},
    {TC, "GetTerminalConnectionCapabilities", get_capabilities},
    {TC, "GetTransferConsultContact", get_transfer_consult},
    {TC, "GetVersion", do_version},
    {TC, "Hold", hold},
    {TC, "InitiateConference", initiate_conference},
    {TC, "InitiateSupervisedTransfer", initiate_transfer},
    {TC, "Unhold", unhold},
    {ATC, "EmergencyKey", do_emergency},
    {ATC, "GetActivityCode", get_activity_code},
    {ATC, "GetConferenceConsultContact", get_conference_consult},
    {ATC, "GetConnection", get_connection},
    {ATC, "GetConsultContact", get_consult},
    {ATC, "GetContact", get_contact},
    {ATC, "GetState", get_state},
    {ATC, "GetTerminal", get_terminal},
    {ATC, "GetTerminalConnectionCapabilities", get_agent_capabilities},
    {ATC, "GetTransferConsultContact", get_transfer_consult},
    {ATC, "GetVersion", do_version},
    {ATC, "SetActivityCode", set_activity_code},
    {NULL, NULL, NULL}};
