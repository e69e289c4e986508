#include "gateway/model/plan.h"

#include <string.h>

const struct entity_row entity_rows[ENTITIES] = {
    [ENTITY_USER] = {"user", NULL},
    [ENTITY_AGENT] = {"agentLoginId", "agentType"},
    [ENTITY_TERMINAL] = {"terminalName", "terminalType"},
    [ENTITY_ADDRESS] = {"addressName", "addressType"},
    [ENTITY_CONTACT] = {"contactId", NULL},
    [ENTITY_CONNECTION] = {"connectionId", NULL},
    [ENTITY_TERMINAL_CONNECTION] = {"terminalConnectionId", NULL},
};

#define AGENT         (1u << RECORD_AGENT)
#define TERMINAL      (1u << RECORD_TERMINAL)
#define ADDRESS       (1u << RECORD_ADDRESS)
#define CALL          (1u << RECORD_CALL)
#define USER          (1u << RECORD_USER)
#define USER_CALLS    (1u << RECORD_USER_CALLS)
#define AGENT_CAPS    (1u << RECORD_AGENT_CAPABILITIES)
#define TERMINAL_CAPS (1u << RECORD_TERMINAL_CAPABILITIES)
#define ADDRESS_CAPS  (1u << RECORD_ADDRESS_CAPABILITIES)
#define CALL_CAPS     (1u << RECORD_CALL_CAPABILITIES)
#define DATA          (1u << RECORD_CALL_DATA)
#define INTRINSICS    (1u << RECORD_CALL_INTRINSICS)
#define UUI           (1u << RECORD_CALL_UUI)
#define MESSAGES      (1u << RECORD_CALL_MESSAGES)

#define A  ENTITY_AGENT
#define T  ENTITY_TERMINAL
#define D  ENTITY_ADDRESS
#define C  ENTITY_CONTACT
#define N  ENTITY_CONNECTION
#define TC ENTITY_TERMINAL_CONNECTION
#define U  ENTITY_USER
#define __ ENTITY_NONE

/* clang-format off */
const struct plan_step plan_steps[] = {
    /* a user's lists */
    {USER, U, "UserService", "GetAgents", NULL, "agents", "agents", A, FAULT_FAILS, NULL, NULL},
    {USER, U, "UserService", "GetTerminals", NULL, "terminals", "terminals", T, FAULT_FAILS, NULL, NULL},
    {USER, U, "UserService", "GetAddresses", NULL, "addresses", "addresses", D, FAULT_FAILS, NULL, NULL},

    /* an agent */
    {AGENT | AGENT_CAPS, A, "AgentService", "GetCapabilities", "agent", "agentCapabilities", "capabilities", __, FAULT_FAILS, NULL, NULL},
    {AGENT, A, "AgentService", "IsLoggedIn", "agent", "response", "loggedIn", __, FAULT_FAILS, NULL, NULL},
    {AGENT, A, "AgentService", "IsReady", "agent", "response", "ready", __, FAULT_ABSENT, NULL, NULL},
    {AGENT, A, "AgentService", "GetNotReadyReasonCode", "agent", "response", "notReadyReasonCode", __, FAULT_ABSENT, NULL, NULL},
    {AGENT, A, "AgentService", "GetStaticVoiceTerminal", "agent", "terminal", "voiceTerminal", __, FAULT_ABSENT, NULL, NULL},
    {AGENT, A, "AgentService", "GetSupervisor", "agent", "agent", "supervisor", __, FAULT_ABSENT, NULL, NULL},
    {AGENT, A, "AgentService", "GetContactTypes", "agent", "contactTypes", "contactTypes", __, FAULT_ABSENT, NULL, NULL},
    {AGENT, A, "SessionService", "GetAgentTerminals", "agent", "terminals", "terminals", T, FAULT_ABSENT, NULL, NULL},
    {AGENT, A, "SessionService", "GetAgentAddresses", "agent", "addresses", "addresses", D, FAULT_ABSENT, NULL, NULL},
    {AGENT | TERMINAL, T, "AgentTerminalService", "GetActivityCode", "terminal", "activityCode", "activityCode", __, FAULT_ABSENT, "AGENT", NULL},

    /* a terminal */
    {TERMINAL | TERMINAL_CAPS, T, "TerminalService", "GetCapabilities", "terminal", "terminalCapabilities", "capabilities", __, FAULT_FAILS, NULL, NULL},
    {TERMINAL | TERMINAL_CAPS, T, "AgentTerminalService", "GetCapabilities", "terminal", "terminalCapabilities", "agentCapabilities", __, FAULT_ABSENT, "AGENT", NULL},
    {TERMINAL, T, "TerminalService", "GetState", "terminal", "resourseState", "state", __, FAULT_FAILS, NULL, NULL},
    {TERMINAL, T, "TerminalService", "GetDoNotDisturb", "terminal", "doNotDisturb", "doNotDisturb", __, FAULT_ABSENT, NULL, NULL},
    {TERMINAL, T, "TerminalService", "GetForwarding", "terminal", "forwarding", "forwarding", __, FAULT_ABSENT, NULL, NULL},
    {TERMINAL, T, "TerminalService", "GetContactTypes", "terminal", "contactTypes", "contactTypes", __, FAULT_ABSENT, NULL, NULL},
    {TERMINAL, T, "TerminalService", "GetRelatedAddresses", "terminal", "address", "addresses", D, FAULT_ABSENT, NULL, NULL},
    {TERMINAL, T, "AgentTerminalService", "GetLoginId", "terminal", "loginId", "loginId", __, FAULT_ABSENT, "AGENT", NULL},
    {TERMINAL, T, "AgentTerminalService", "IsReady", "terminal", "isReady", "ready", __, FAULT_ABSENT, "AGENT", NULL},
    {TERMINAL, T, "AgentTerminalService", "GetNotReadyReasonCode", "terminal", "notReadyReasonCode", "notReadyReasonCode", __, FAULT_ABSENT, "AGENT", NULL},
    {AGENT | TERMINAL | USER_CALLS, T, "TerminalService", "GetTerminalConnections", "terminal", "terminalConnection", "terminalConnections", TC, FAULT_ABSENT, NULL, NULL},

    /* an address */
    {ADDRESS | ADDRESS_CAPS, D, "AddressService", "GetCapabilities", "address", "addressCapabilities", "capabilities", __, FAULT_FAILS, NULL, NULL},
    {ADDRESS, D, "AddressService", "GetState", "address", "resourseState", "state", __, FAULT_FAILS, NULL, NULL},
    {ADDRESS, D, "AddressService", "GetDoNotDisturb", "address", "doNotDisturb", "doNotDisturb", __, FAULT_ABSENT, NULL, NULL},
    {ADDRESS, D, "AddressService", "GetForwarding", "address", "forwarding", "forwarding", __, FAULT_ABSENT, NULL, NULL},
    {ADDRESS, D, "AddressService", "GetMessageWaiting", "address", "messageWaiting", "messageWaiting", __, FAULT_ABSENT, NULL, NULL},
    {ADDRESS, D, "AddressService", "GetPresence", "address", "presence", "presence", __, FAULT_ABSENT, NULL, NULL},
    {ADDRESS, D, "AddressService", "GetUri", "address", "uri", "uri", __, FAULT_ABSENT, NULL, NULL},
    {ADDRESS, D, "AddressService", "GetTerminals", "address", "terminals", "terminals", T, FAULT_ABSENT, NULL, NULL},
    {ADDRESS, D, "AddressService", "GetConnections", "address", "connection", "connections", N, FAULT_ABSENT, NULL, NULL},
    {ADDRESS, D, "RoutePointAddressService", "IsControlled", "routePointAddress", "response", "controlled", __, FAULT_ABSENT, "ROUTE_POINT", NULL},
    {ADDRESS, D, "RoutePointAddressService", "IsControlled", "routePointAddress", "response", "controlled", __, FAULT_ABSENT, "NETWORK_ROUTE_POINT", NULL},
    {ADDRESS, N, "ConnectionService", "GetState", "connection", "connectionStateInfo", "state", __, FAULT_GONE, NULL, NULL},
    {ADDRESS, N, "ConnectionService", "GetContact", "connection", "contact", "contact", C, FAULT_GONE, NULL, NULL},

    /* the calls at a user's terminals, and those at his addresses that have come to no terminal: offered, queued, failed */
    {USER_CALLS, D, "AddressService", "GetConnections", "address", "connection", "connections", N, FAULT_ABSENT, NULL, NULL},
    {USER_CALLS, N, "ConnectionService", "GetContact", "connection", "contact", "contact", C, FAULT_GONE, NULL, NULL},
    {AGENT | TERMINAL | USER_CALLS, TC, "TerminalConnectionService", "GetContact", "terminalConnection", "contact", "contact", C, FAULT_GONE, NULL, NULL},
    {AGENT | TERMINAL | CALL, TC, "TerminalConnectionService", "GetState", "terminalConnection", "terminalConnectionStateInfo", "state", __, FAULT_GONE, NULL, NULL},
    {AGENT | CALL, C, "ContactService", "GetCallingAddress", "contact", "address", "calling", __, FAULT_ABSENT, NULL, NULL},
    {AGENT | CALL, C, "ContactService", "GetCalledAddress", "contact", "address", "called", __, FAULT_ABSENT, NULL, NULL},

    /* a call */
    {CALL | CALL_CAPS, C, "ContactService", "GetCapabilities", "contact", "contactCapabilities", "capabilities", __, FAULT_GONE, NULL, NULL},
    {CALL, C, "ContactService", "GetOriginalDestinationAddress", "contact", "address", "originalDestination", __, FAULT_ABSENT, NULL, NULL},
    {CALL, C, "ContactService", "GetLastRedirectedAddress", "contact", "address", "lastRedirected", __, FAULT_ABSENT, NULL, NULL},
    {CALL, C, "ContactService", "GetCallingTerminal", "contact", "terminal", "callingTerminal", __, FAULT_ABSENT, NULL, NULL},
    {CALL, C, "ContactService", "GetContactTypes", "contact", "contactTypes", "contactTypes", __, FAULT_ABSENT, NULL, NULL},
    {CALL, C, "ContactService", "GetAttachedData", "contact", "attachedData", "data", __, FAULT_ABSENT, NULL, NULL},
    {CALL, C, "ContactService", "GetIntrinsics", "contact", "intrinsic", "intrinsics", __, FAULT_ABSENT, NULL, NULL},
    {CALL, C, "ContactService", "GetUUI", "contact", "uui", "uui", __, FAULT_ABSENT, NULL, NULL},
    {CALL | CALL_CAPS, C, "ContactService", "GetConnections", "contact", "connection", "connections", N, FAULT_GONE, NULL, NULL},
    {CALL | CALL_CAPS, N, "ConnectionService", "GetAddress", "connection", "address", "address", D, FAULT_GONE, NULL, NULL},
    {CALL, N, "ConnectionService", "GetState", "connection", "connectionStateInfo", "state", __, FAULT_GONE, NULL, NULL},
    {CALL | CALL_CAPS, N, "ConnectionService", "GetConnectionCapabilities", "connection", "connectionCapabilities", "capabilities", __, FAULT_ABSENT, NULL, NULL},
    {CALL | CALL_CAPS, N, "ConnectionService", "GetTerminalConnections", "connection", "terminalConnections", "terminalConnections", TC, FAULT_ABSENT, NULL, NULL},
    {CALL | CALL_CAPS, N, "RoutePointConnectionService", "GetCapabilities", "connection", "connectionCapabilities", "routePointCapabilities", __, FAULT_ABSENT, "ROUTE_POINT", "address"},
    {CALL | CALL_CAPS, N, "RoutePointConnectionService", "GetCapabilities", "connection", "connectionCapabilities", "routePointCapabilities", __, FAULT_ABSENT, "NETWORK_ROUTE_POINT", "address"},
    {CALL | CALL_CAPS, TC, "TerminalConnectionService", "GetTerminal", "terminalConnection", "terminal", "terminal", T, FAULT_GONE, NULL, NULL},
    {CALL | CALL_CAPS, TC, "TerminalConnectionService", "GetTerminalConnectionCapabilities", "terminalConnection", "terminalConnectionCapabilities", "capabilities", __, FAULT_ABSENT, NULL, NULL},
    {CALL | CALL_CAPS, TC, "AgentTerminalConnectionService", "GetTerminalConnectionCapabilities", "terminalConnection", "agentTerminalConnectionCapabilities", "agentCapabilities", __, FAULT_ABSENT, "AGENT", "terminal"},
    {CALL, TC, "TerminalConnectionService", "GetConsultContact", "terminalConnection", "contact", "consult", __, FAULT_ABSENT, NULL, NULL},
    {CALL, TC, "TerminalConnectionService", "GetTransferConsultContact", "terminalConnection", "contact", "transferConsult", __, FAULT_ABSENT, NULL, NULL},
    {CALL, TC, "TerminalConnectionService", "GetConferenceConsultContact", "terminalConnection", "contact", "conferenceConsult", __, FAULT_ABSENT, NULL, NULL},

    /* the parts of a call that are resources of their own */
    {DATA, C, "ContactService", "GetAttachedData", "contact", "attachedData", "data", __, FAULT_GONE, NULL, NULL},
    {INTRINSICS, C, "ContactService", "GetIntrinsics", "contact", "intrinsic", "intrinsics", __, FAULT_GONE, NULL, NULL},
    {UUI, C, "ContactService", "GetUUI", "contact", "uui", "uui", __, FAULT_GONE, NULL, NULL},
    {MESSAGES, C, "ContactService", "GetInstantMessages", "contact", "instantMessage", "messages", __, FAULT_GONE, NULL, NULL},
};
/* clang-format on */
const size_t plan_num_steps = sizeof(plan_steps) / sizeof(plan_steps[0]);

const struct plan_owned plan_owned[PLAN_OWNED] = {
    {"agents", ENTITY_AGENT, RECORD_AGENT},
    {"terminals", ENTITY_TERMINAL, RECORD_TERMINAL},
    {"addresses", ENTITY_ADDRESS, RECORD_ADDRESS},
};

enum record_kind plan_record(enum entity entity)
{
    size_t i;
    for (i = 0; i < PLAN_OWNED; ++i)
        if (plan_owned[i].entity == entity)
            return plan_owned[i].record;
    return RECORD_CALL;
}

enum entity plan_child(enum entity on, const char *field)
{
    size_t i;
    for (i = 0; i < plan_num_steps; ++i)
        if (plan_steps[i].on == on && strcmp(plan_steps[i].field, field) == 0)
            return plan_steps[i].child;
    return ENTITY_NONE;
}

enum entity plan_root(enum record_kind kind)
{
    switch (kind) {
    case RECORD_AGENT:
    case RECORD_AGENT_CAPABILITIES:
        return ENTITY_AGENT;
    case RECORD_TERMINAL:
    case RECORD_TERMINAL_CAPABILITIES:
        return ENTITY_TERMINAL;
    case RECORD_ADDRESS:
    case RECORD_ADDRESS_CAPABILITIES:
        return ENTITY_ADDRESS;
    case RECORD_USER:
    case RECORD_USER_CALLS:
        return ENTITY_USER;
    default:
        return ENTITY_CONTACT;
    }
}
