/* The table of event types: the catalogue that AsyncAPI, filters and the mapping of notifications are made from. */
#include <string.h>

#include "cctgate/event.h"

/* clang-format off */
#define SESSION_SCHEMA \
    "{\"type\":\"object\",\"required\":[\"user\",\"state\"],\"properties\":{\"user\":{\"type\":\"string\"},\"state\":{\"type\":\"string\",\"enum\":[\"live\",\"resynced\",\"stale\"]},\"reason\":{\"type\":\"string\"},\"endpoint\":{\"type\":\"string\"}}}"
const struct event_type_row event_types[EVENT_TYPES] = {
    [EVENT_CONNECTION_STATE] = {"cct.connection.state", "CONNECTION_STATE", 0, "A leg of a call changed its state", NULL},
    [EVENT_TERMINAL_CONNECTION_STATE] = {"cct.terminalConnection.state", "TERMINAL_CONNECTION_STATE", 0, "A leg at a terminal changed its state", NULL},
    [EVENT_CONTACT_PROPERTY] = {"cct.contact.property", "CONTACT_PROPERTY", 1, "A property of a call changed", NULL},
    [EVENT_AGENT_PROPERTY] = {"cct.agent.property", "AGENT_PROPERTY", 1, "A property of an agent changed", NULL},
    [EVENT_AGENT_STATE] = {"cct.agent.state", "AGENT_STATE", 0, "An agent was mapped to a user, or unmapped", NULL},
    [EVENT_TERMINAL_PROPERTY] = {"cct.terminal.property", "TERMINAL_PROPERTY", 1, "A property of a terminal changed", NULL},
    [EVENT_TERMINAL_STATE] = {"cct.terminal.state", "TERMINAL_STATE", 0, "A terminal came into or went out of service", NULL},
    [EVENT_ADDRESS_PROPERTY] = {"cct.address.property", "ADDRESS_PROPERTY", 1, "A property of an address changed", NULL},
    [EVENT_ADDRESS_STATE] = {"cct.address.state", "ADDRESS_STATE", 0, "An address came into or went out of service", NULL},
    [EVENT_PROVIDER_STATUS] = {"cct.provider.status", "SERVICE_PROVIDER_STATUS", 0, "A service provider started, restarted or failed", NULL},
    [EVENT_FORCE_DISCONNECT] = {"cct.contact.forceDisconnect", "FORCE_DISCONNECT", 0, "The contact centre asks for a call to be disconnected", NULL},
    [EVENT_DEFAULT_TREATMENT] = {"cct.contact.defaultTreatment", "DEFAULT_TREATMENT", 0, "A call was given the default treatment", NULL},
    [EVENT_SYSTEM] = {"cct.system", "SYSTEM", 0, "The upstream session or its subscription: failures of delivery, imminent and final end", NULL},
    [EVENT_USER_STATE] = {"cct.user.state", NULL, 0, "The state of a CCT user's session, derived", SESSION_SCHEMA},
    [EVENT_CONNECTION_PROPERTY] = {"cct.connection.property", NULL, 1, "The capabilities of a leg changed, derived",
        "{\"type\":\"object\",\"required\":[\"connectionId\",\"property\",\"capabilities\"],\"properties\":{\"connectionId\":{\"type\":\"string\"},\"contactId\":{\"type\":\"string\"},\"address\":{\"type\":[\"string\",\"null\"]},\"property\":{\"const\":\"CAPABILITIES\"},\"capabilities\":{\"$ref\":\"#/components/schemas/Flags\"}}}"},
    [EVENT_TERMINAL_CONNECTION_PROPERTY] = {"cct.terminalConnection.property", NULL, 1, "The capabilities of a leg at a terminal changed, derived",
        "{\"type\":\"object\",\"required\":[\"terminalConnectionId\",\"property\",\"capabilities\"],\"properties\":{\"terminalConnectionId\":{\"type\":\"string\"},\"contactId\":{\"type\":\"string\"},\"terminal\":{\"type\":[\"string\",\"null\"]},\"property\":{\"const\":\"CAPABILITIES\"},\"capabilities\":{\"$ref\":\"#/components/schemas/Flags\"}}}"},
    [EVENT_FORCE_ANSWER] = {"cct.terminalConnection.forceAnswer", NULL, 0, "A call has been ringing longer than the configured time, derived",
        "{\"type\":\"object\",\"required\":[\"terminalConnectionId\",\"contactId\",\"terminal\",\"ringingMs\"],\"properties\":{\"terminalConnectionId\":{\"type\":\"string\"},\"contactId\":{\"type\":\"string\"},\"terminal\":{\"type\":\"string\"},\"ringingMs\":{\"type\":\"integer\"}}}"},
    [EVENT_GATEWAY_SESSION] = {"gateway.session", NULL, 0, "An upstream session was lost, came back, or is in step again", SESSION_SCHEMA},
    [EVENT_GATEWAY_CONTROL] = {"gateway.control", NULL, 0, "The control of an agent changed hands",
        "{\"type\":\"object\",\"required\":[\"agent\",\"state\",\"application\",\"control\"],\"properties\":{\"agent\":{\"type\":\"string\"},\"state\":{\"type\":\"string\",\"enum\":[\"granted\",\"released\",\"expired\",\"forced\",\"transferred\",\"reserved\",\"unreserved\"]},\"profile\":{\"type\":\"string\"},\"application\":{\"type\":[\"string\",\"null\"]},\"to\":{\"type\":\"string\"},\"by\":{\"type\":\"string\"},\"reason\":{\"type\":\"string\"},\"fence\":{\"type\":\"integer\"},\"control\":{\"type\":[\"object\",\"null\"]}}}"},
    [EVENT_GATEWAY_GAP] = {"gateway.gap", NULL, 0, "Notifications were lost, repeated or out of order; the object is read anew",
        "{\"type\":\"object\",\"required\":[\"reason\"],\"properties\":{\"reason\":{\"type\":\"string\"},\"contactId\":{\"type\":\"string\"}}}"},
    [EVENT_GATEWAY_CAPACITY] = {"gateway.capacity", NULL, 0, "Agents or contacts per hour passed a limit, or came back below it",
        "{\"type\":\"object\",\"required\":[\"topology\",\"level\",\"loggedInAgents\",\"contactsPerHour\"],\"properties\":{\"topology\":{\"type\":\"string\"},\"level\":{\"$ref\":\"#/components/schemas/CapacityLevel\"},\"loggedInAgents\":{\"$ref\":\"#/components/schemas/Gauge\"},\"contactsPerHour\":{\"$ref\":\"#/components/schemas/Gauge\"}}}"},
    [EVENT_OUTBOUND_PROGRESS] = {"gateway.outbound.progress", NULL, 1, "An outbound job began, went on or ended; told to operators and to the application whose job it is",
        "{\"type\":\"object\",\"required\":[\"id\",\"kind\",\"campaign\",\"state\",\"total\",\"done\",\"failed\"],\"properties\":{\"id\":{\"type\":\"string\"},\"kind\":{\"type\":\"string\"},\"campaign\":{\"type\":\"integer\"},\"state\":{\"type\":\"string\",\"enum\":[\"waiting\",\"running\",\"done\",\"failed\",\"cancelled\"]},\"total\":{\"type\":[\"integer\",\"null\"]},\"done\":{\"type\":\"integer\"},\"failed\":{\"type\":\"integer\"}}}"},
};
/* clang-format on */

enum event_type event_type_by_name(const char *name, size_t length)
{
    size_t i;
    for (i = 0; i < EVENT_TYPES; ++i)
        if (strlen(event_types[i].name) == length && memcmp(event_types[i].name, name, length) == 0)
            return (enum event_type)i;
    return EVENT_TYPES;
}

enum event_type event_type_by_wire(const char *wire)
{
    size_t i;
    for (i = 0; i < EVENT_TYPES; ++i)
        if (event_types[i].wire != NULL && strcmp(event_types[i].wire, wire) == 0)
            return (enum event_type)i;
    return EVENT_TYPES;
}
