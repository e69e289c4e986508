#include "caps.h"

#include "options.h"

#define BLOCK(block, ...)                                                                          \
    static const char *const block##_names[] = {__VA_ARGS__};                                      \
    const struct cap_block block = {block##_names, sizeof(block##_names) / sizeof(*block##_names)}

BLOCK(address_caps, "canConference", "canConsult", "canDoNotDisturb", "canForward",
      "canGetMessageWaiting", "canSetMessageWaiting", "canOriginate", "canTransfer");
BLOCK(terminal_caps, "canConference", "canConsult", "canDoNotDisturb", "canForward", "canOriginate",
      "canPickup", "canPickupFromGroup", "canTransfer");
BLOCK(agent_terminal_caps, "canCallSupervisor", "canForcedAnswer", "canGetActivityCode",
      "canGetNotReadyReason", "canGetReadyStatus", "canLogin", "canLogout", "canSetActivityCode",
      "canSetNotReadyReason", "canSetReadyStatus", "canConference", "canConsult", "canDoNotDisturb",
      "canForward", "canOriginate", "canPickup", "canPickupFromGroup", "canTransfer");
BLOCK(agent_caps, "canGetNotReadyReason", "canGetReadyStatus", "canGetSupervisor", "canLogin",
      "canLogout", "canRetrieve", "canSetNotReadyReason", "canSetReadyStatus",
      "canSetStaticVoiceTerminal");
BLOCK(connection_caps, "canAccept", "canAlert", "canDisconnect", "canPark", "canRedirect",
      "canReject");
BLOCK(termconn_caps, "canAnswer", "canBlindTransfer", "canCompleteConference",
      "canCompleteTransfer", "canConsult", "canGenerateDTMF", "canHold", "canAutoHold",
      "canInitiateConference", "canInitiateTransfer", "canUnhold");
BLOCK(agent_termconn_caps, "canAnswer", "canBlindTransfer", "canCompleteConference",
      "canCompleteTransfer", "canEmergency", "canGenerateDTMF", "canHold", "canInitiateConference",
      "canInitiateTransfer", "canUnhold", "canConsult");
BLOCK(contact_caps, "canAddParty", "canBargeIn", "canDrop", "canGetAttachedData",
      "canGetCallingTerminal", "canGetIntrinsics", "canGetInstantMessages",
      "canGetLastRedirectedAddress", "canGetOriginalDestination", "canGetUUI", "canObserve",
      "canSetAttachedData", "canSetIntrinsics", "canSetUUI", "canWhisper");
BLOCK(route_point_caps, "canGiveMusic", "canGiveRingBack", "canGiveSilence", "canRoute",
      "canRetrieveContact", "canGetRetrieverAddress", "canSetRetrieveStatus", "canGiveIvr",
      "canGiveRan", "canGiveOverflow", "canGiveBusy");

static uint32_t flag(unsigned bit, bool on)
{
    return on ? (uint32_t)1 << bit : 0;
}

static bool has_call(const struct terminal *terminal, enum terminal_connection_state state)
{
    const struct termconn *t;
    TAILQ_FOREACH(t, &terminal->termconns, of_terminal)
    {
        if (t->state == state)
            return true;
    }
    return false;
}

static bool talking(const struct terminal *terminal)
{
    return terminal != NULL && has_call(terminal, TS_ACTIVE);
}

uint32_t caps_of_address(const struct address *address)
{
    bool station = address->terminal != NULL;
    bool on_call = talking(address->terminal);
    return flag(ADR_CONFERENCE, on_call) | flag(ADR_CONSULT, on_call) | flag(ADR_DND, station) |
           flag(ADR_FORWARD, station) |
           flag(ADR_GET_MESSAGE_WAITING, station && options.message_waiting) |
           flag(ADR_SET_MESSAGE_WAITING, station && options.message_waiting) |
           flag(ADR_ORIGINATE, station && !on_call) | flag(ADR_TRANSFER, on_call);
}

uint32_t caps_of_terminal(const struct terminal *terminal)
{
    bool on_call = talking(terminal);
    return flag(TER_CONFERENCE, on_call) | flag(TER_CONSULT, on_call) | flag(TER_DND, true) |
           flag(TER_FORWARD, true) | flag(TER_ORIGINATE, !on_call) | flag(TER_PICKUP, !on_call) |
           flag(TER_PICKUP_GROUP, !on_call) | flag(TER_TRANSFER, on_call);
}

uint32_t caps_of_agent_terminal(const struct terminal *terminal)
{
    bool in = terminal->logged_in != NULL;
    return flag(AGTT_CALL_SUPERVISOR, in && terminal->logged_in->supervisor != NULL) |
           flag(AGTT_GET_ACTIVITY, in) | flag(AGTT_GET_REASON, in) | flag(AGTT_GET_READY, in) |
           flag(AGTT_LOGIN, !in) | flag(AGTT_LOGOUT, in) | flag(AGTT_SET_ACTIVITY, in) |
           flag(AGTT_SET_REASON, in && !terminal->ready) | flag(AGTT_SET_READY, in) |
           caps_of_terminal(terminal) << AGTT_TERMINAL_FLAGS;
}

uint32_t caps_of_agent(const struct agent *agent)
{
    bool in = agent->logged_in;
    return flag(AGT_GET_REASON, in) | flag(AGT_GET_READY, in) |
           flag(AGT_GET_SUPERVISOR, agent->supervisor != NULL) | flag(AGT_LOGIN, !in) |
           flag(AGT_LOGOUT, in) | flag(AGT_RETRIEVE, in && !talking(agent->terminals[0])) |
           flag(AGT_SET_REASON, in && !agent->ready) | flag(AGT_SET_READY, in) |
           flag(AGT_SET_VOICE_TERMINAL, agent->type == AGENT_SUPERVISOR);
}

uint32_t caps_of_connection(const struct user *user, const struct connection *connection)
{
    if (!user_owns_address(user, connection->address))
        return 0;
    enum connection_state s = connection->state;
    bool pending = s == CS_OFFERED || s == CS_ALERTING || s == CS_QUEUED || s == CS_CONTROLLED;
    return flag(CON_ACCEPT, s == CS_OFFERED) | flag(CON_ALERT, s == CS_OFFERED) |
           flag(CON_DISCONNECT, s != CS_DISCONNECTED) | flag(CON_REDIRECT, pending) |
           flag(CON_REJECT, s == CS_OFFERED || s == CS_ALERTING);
}

uint32_t caps_of_termconn(const struct user *user, const struct termconn *termconn)
{
    if (!user_owns_terminal(user, termconn->terminal))
        return 0;
    bool active = termconn->state == TS_ACTIVE;
    bool up = termconn->connection->state == CS_ESTABLISHED;
    bool held = termconn->state == TS_HELD || termconn->state == TS_AUTOHELD;
    bool consultable = up && (active || held);
    return flag(TC_ANSWER, termconn->state == TS_RINGING) |
           flag(TC_BLIND_TRANSFER, up && active && !options.sip) |
           flag(TC_COMPLETE_CONFERENCE, termconn->consults[CONSULT_CONFERENCE] != NULL) |
           flag(TC_COMPLETE_TRANSFER, termconn->consults[CONSULT_TRANSFER] != NULL) |
           flag(TC_CONSULT, consultable) | flag(TC_DTMF, up && active) |
           flag(TC_HOLD, up && active) | flag(TC_AUTO_HOLD, up && active) |
           flag(TC_INITIATE_CONFERENCE, consultable) | flag(TC_INITIATE_TRANSFER, consultable) |
           flag(TC_UNHOLD, held);
}

uint32_t caps_of_agent_termconn(const struct user *user, const struct termconn *termconn)
{
    uint32_t plain = caps_of_termconn(user, termconn);
    static const unsigned char from[][2] = {{TC_ANSWER, ATC_ANSWER},
                                            {TC_BLIND_TRANSFER, ATC_BLIND_TRANSFER},
                                            {TC_COMPLETE_CONFERENCE, ATC_COMPLETE_CONFERENCE},
                                            {TC_COMPLETE_TRANSFER, ATC_COMPLETE_TRANSFER},
                                            {TC_DTMF, ATC_DTMF},
                                            {TC_HOLD, ATC_HOLD},
                                            {TC_INITIATE_CONFERENCE, ATC_INITIATE_CONFERENCE},
                                            {TC_INITIATE_TRANSFER, ATC_INITIATE_TRANSFER},
                                            {TC_UNHOLD, ATC_UNHOLD},
                                            {TC_CONSULT, ATC_CONSULT}};
    uint32_t bits = 0;
    for (unsigned i = 0; i < sizeof(from) / sizeof(*from); i++)
        bits |= flag(from[i][1], plain >> from[i][0] & 1);
    const struct agent *agent = termconn->terminal->logged_in;
    return bits | flag(ATC_EMERGENCY,
                       (plain >> TC_HOLD & 1) && agent != NULL && agent->supervisor != NULL);
}

static bool agent_is_talking(const struct contact *contact)
{
    const struct connection *c;
    TAILQ_FOREACH(c, &contact->connections, of_contact)
    {
        if (c->state == CS_ESTABLISHED && c->address->agent != NULL)
            return true;
    }
    return false;
}

static bool owns_a_leg(const struct user *user, const struct contact *contact)
{
    const struct connection *c;
    TAILQ_FOREACH(c, &contact->connections, of_contact)
    {
        if (user_owns_address(user, c->address))
            return true;
    }
    return false;
}

uint32_t caps_of_contact(const struct user *user, const struct contact *contact)
{
    bool own = owns_a_leg(user, contact);
    bool watch = user_supervises(user) && agent_is_talking(contact);
    return flag(CNT_ADD_PARTY, own && agent_is_talking(contact)) | flag(CNT_BARGE_IN, watch) |
           flag(CNT_DROP, own) | flag(CNT_GET_DATA, true) |
           flag(CNT_GET_CALLING_TERMINAL, contact->calling_terminal != NULL) |
           flag(CNT_GET_INTRINSICS, true) | flag(CNT_GET_MESSAGES, true) |
           flag(CNT_GET_LAST_REDIRECTED, contact->last_redirected != NULL) |
           flag(CNT_GET_ORIGINAL, true) | flag(CNT_GET_UUI, true) | flag(CNT_OBSERVE, watch) |
           flag(CNT_SET_DATA, own) | flag(CNT_SET_INTRINSICS, own) | flag(CNT_SET_UUI, own);
}

uint32_t caps_of_route_point(const struct user *user, const struct connection *connection)
{
    bool own = user_owns_address(user, connection->address) &&
               connection->address->type == AT_ROUTE_POINT &&
               (connection->state == CS_QUEUED || connection->state == CS_CONTROLLED);
    bool routable = own && connection->address->controlled;
    return flag(RPC_MUSIC, own) | flag(RPC_RING_BACK, own) | flag(RPC_SILENCE, own) |
           flag(RPC_ROUTE, routable) | flag(RPC_RETRIEVE, own) | flag(RPC_RAN, own) |
           flag(RPC_BUSY, own);
}
