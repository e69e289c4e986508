#include "world.h"

static const char *const connection_states[] = {
    "ACTIVE",      "ALERTING", "ANCHORED",   "CONTROLLED", "DIALING",          "DISCONNECTED",
    "ESTABLISHED", "FAILED",   "IDLE",       "INITIATED",  "NETWORK_ALERTING", "NETWORK_REACHED",
    "OFFERED",     "PARKED",   "RETRIEVING", "ROUTING",    "QUEUED",           "UNKNOWN"};
static const char *const terminal_connection_states[] = {
    "IDLE", "RINGING", "ACTIVE", "HELD", "AUTOHELD", "INUSE", "BRIDGED", "DROPPED", "UNKNOWN"};
static const char *const address_types[] = {"OUT_OF_PROVIDER", "ROUTE_POINT", "GENERIC", "AGENT"};
static const char *const terminal_types[] = {"GENERIC", "AGENT"};
static const char *const agent_types[] = {"Agent", "AgentSupervisor"};
static const char *const recording_states[] = {"NOT_RECORDING", "RECORDING"};

const char *connection_state_name(enum connection_state state)
{
    return connection_states[state];
}

const char *terminal_connection_state_name(enum terminal_connection_state state)
{
    return terminal_connection_states[state];
}

const char *address_type_name(enum address_type type)
{
    return address_types[type];
}

const char *terminal_type_name(enum terminal_type type)
{
    return terminal_types[type];
}

const char *agent_type_name(enum agent_type type)
{
    return agent_types[type];
}

const char *recording_state_name(enum recording_state state)
{
    return recording_states[state];
}
