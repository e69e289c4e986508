/* The table of event types: the catalogue that AsyncAPI, filters and the mapping of notifications are made from. */
#include <string.h>

#include "cctgate/event.h"

/* clang-format off */
const struct event_type_row event_types[EVENT_TYPES] = {
    [EVENT_CONNECTION_STATE] = {"cct.connection.state", "CONNECTION_STATE", 0, "A leg of a call changed its state"},
    [EVENT_TERMINAL_CONNECTION_STATE] = {"cct.terminalConnection.state", "TERMINAL_CONNECTION_STATE", 0, "A leg at a terminal changed its state"},
    [EVENT_CONTACT_PROPERTY] = {"cct.contact.property", "CONTACT_PROPERTY", 1, "A property of a call changed"},
    [EVENT_AGENT_PROPERTY] = {"cct.agent.property", "AGENT_PROPERTY", 1, "A property of an agent changed"},
    [EVENT_AGENT_STATE] = {"cct.agent.state", "AGENT_STATE", 0, "An agent was mapped to a user, or unmapped"},
    [EVENT_TERMINAL_PROPERTY] = {"cct.terminal.property", "TERMINAL_PROPERTY", 1, "A property of a terminal changed"},
    [EVENT_TERMINAL_STATE] = {"cct.terminal.state", "TERMINAL_STATE", 0, "A terminal came into or went out of service"},
    [EVENT_ADDRESS_PROPERTY] = {"cct.address.property", "ADDRESS_PROPERTY", 1, "A property of an address changed"},
    [EVENT_ADDRESS_STATE] = {"cct.address.state", "ADDRESS_STATE", 0, "An address came into or went out of service"},
    [EVENT_PROVIDER_STATUS] = {"cct.provider.status", "SERVICE_PROVIDER_STATUS", 0, "A service provider started, restarted or failed"},
    [EVENT_FORCE_DISCONNECT] = {"cct.contact.forceDisconnect", "FORCE_DISCONNECT", 0, "The contact centre asks for a call to be disconnected"},
    [EVENT_DEFAULT_TREATMENT] = {"cct.contact.defaultTreatment", "DEFAULT_TREATMENT", 0, "A call was given the default treatment"},
    [EVENT_SYSTEM] = {"cct.system", "SYSTEM", 0, "The upstream session or its subscription: failures of delivery, imminent and final end"},
    [EVENT_USER_STATE] = {"cct.user.state", NULL, 0, "The state of a CCT user's session, derived"},
    [EVENT_CONNECTION_PROPERTY] = {"cct.connection.property", NULL, 1, "The capabilities of a leg changed, derived"},
    [EVENT_TERMINAL_CONNECTION_PROPERTY] = {"cct.terminalConnection.property", NULL, 1, "The capabilities of a leg at a terminal changed, derived"},
    [EVENT_FORCE_ANSWER] = {"cct.terminalConnection.forceAnswer", NULL, 0, "A call has been ringing longer than the configured time, derived"},
    [EVENT_GATEWAY_SESSION] = {"gateway.session", NULL, 0, "An upstream session was lost, came back, or is in step again"},
    [EVENT_GATEWAY_CONTROL] = {"gateway.control", NULL, 0, "The control of an agent changed hands"},
    [EVENT_GATEWAY_GAP] = {"gateway.gap", NULL, 0, "Notifications were lost, repeated or out of order; the object is read anew"},
    [EVENT_GATEWAY_CAPACITY] = {"gateway.capacity", NULL, 0, "Agents or contacts per hour passed a limit, or came back below it"},
    [EVENT_OUTBOUND_PROGRESS] = {"gateway.outbound.progress", NULL, 0, "An outbound job went on"},
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
