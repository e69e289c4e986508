/* The facade's mapping of notifications: which property of the contract is which fact of the model. */
#include <string.h>

#include "gateway/model/live.h"

const char *const element_of_type[EVENT_TYPES] = {
    [EVENT_CONNECTION_STATE] = "ConnectionStateEvent",
    [EVENT_TERMINAL_CONNECTION_STATE] = "TerminalConnectionStateEvent",
    [EVENT_CONTACT_PROPERTY] = "ContactPropertyEvent",
    [EVENT_AGENT_PROPERTY] = "AgentPropertyEvent",
    [EVENT_AGENT_STATE] = "AgentStateEvent",
    [EVENT_TERMINAL_PROPERTY] = "TerminalPropertyEvent",
    [EVENT_TERMINAL_STATE] = "TerminalStateEvent",
    [EVENT_ADDRESS_PROPERTY] = "AddressPropertyEvent",
    [EVENT_ADDRESS_STATE] = "AddressStateEvent",
    [EVENT_PROVIDER_STATUS] = "ServiceProviderStatusEvent",
    [EVENT_FORCE_DISCONNECT] = "ForceDisconnectEvent",
    [EVENT_DEFAULT_TREATMENT] = "DefaultTreatmentEvent",
    [EVENT_SYSTEM] = "SystemEvent",
};

static json_t *is_logged_in(json_t *status)
{
    const char *text = json_string_value(status);
    return json_boolean(text != NULL && strcmp(text, "LOGGED_IN") == 0);
}

static json_t *terminal_named(json_t *name)
{
    return json_string_length(name) > 0 ? json_pack("{s:O}", "terminalName", name) : json_null();
}

static json_t *members(json_t *items, const char *key)
{
    json_t *list = json_array(), *item;
    size_t i;
    json_array_foreach(items, i, item)
    {
        json_t *value = json_is_string(item) ? item : json_object_get(item, key);
        if (value != NULL)
            json_array_append(list, value);
    }
    return list;
}

static json_t *types(json_t *items)
{
    return members(items, "type");
}

static json_t *names(json_t *items)
{
    return members(items, "name");
}

/* As the read operations tell it: the filter of an event is what they call whichCalls. */
static json_t *forwardings(json_t *items)
{
    json_t *list = json_array(), *item;
    size_t i;
    json_array_foreach(items, i, item)
    {
        json_t *copy = json_copy(item);
        json_t *filter = json_object_get(copy, "filter");
        if (filter != NULL)
            json_object_set(copy, "whichCalls", filter);
        json_object_del(copy, "filter");
        json_array_append_new(list, copy);
    }
    return list;
}

static json_t *waiting(json_t *told)
{
    return json_pack("{s:O*, s:O*}", "messageWaiting", json_object_get(told, "messageWaiting"),
                     "numberOfMessages", json_object_get(told, "numberMessageWaiting"));
}

/* clang-format off */
const struct property_row property_rows[] = {
    {EVENT_AGENT_PROPERTY, "LOGIN_STATUS", "AgentPropertyLoginStatus", "status", "loggedIn", is_logged_in},
    {EVENT_AGENT_PROPERTY, "READY_STATUS", "AgentPropertyReadyStatus", "status", "ready", NULL},
    {EVENT_AGENT_PROPERTY, "READY_STATUS", "AgentPropertyReadyStatus", "reasonCode", "notReadyReasonCode", NULL},
    {EVENT_AGENT_PROPERTY, "VOICE_TERMINAL", "AgentPropertyVoiceTerminal", "agentTerminalName", "voiceTerminal", terminal_named},
    {EVENT_AGENT_PROPERTY, "CONTACT_TYPE", "AgentPropertyContactTypeArray", "item", "contactTypes", names},
    {EVENT_AGENT_PROPERTY, "ADDRESS_NAME", "AgentPropertyAddressName", "name", "addressName", NULL},
    {EVENT_AGENT_PROPERTY, "INFORMATION", "AgentPropertyInformation", NULL, "information", NULL},

    {EVENT_TERMINAL_PROPERTY, "DO_NOT_DISTURB", "TerminalPropertyDoNotDisturb", "doNotDisturbSet", "doNotDisturb", NULL},
    {EVENT_TERMINAL_PROPERTY, "FORWARDING", "TerminalPropertyForwardingArray", "item", "forwarding", forwardings},
    {EVENT_TERMINAL_PROPERTY, "CONTACT_TYPE", "TerminalPropertyContactTypeArray", "item", "contactTypes", types},
    {EVENT_TERMINAL_PROPERTY, "TREATMENT_TERMINAL_TYPE", "TerminalPropertyTreatment", "type", "treatmentType", NULL},
    {EVENT_TERMINAL_PROPERTY, "TREATMENT_TRANSPORT_TYPE", "TerminalPropertyTransport", "type", "transportType", NULL},
    {EVENT_TERMINAL_PROPERTY, "NAME", "TerminalPropertyName", "name", "displayName", NULL},
    {EVENT_TERMINAL_PROPERTY, "PORT", "TerminalPropertyPort", "port", "port", NULL},
    {EVENT_TERMINAL_PROPERTY, "AGENT_LOGIN_SESSION", "AgentTerminalPropertyAgentLoginSession", "loginEnded", "loginEnded", NULL},
    {EVENT_TERMINAL_PROPERTY, "AGENT_LOGIN_SESSION_ENDED", "AgentTerminalPropertyAgentLoginSessionEnded", "loginEnded", "loginEnded", NULL},
    {EVENT_TERMINAL_PROPERTY, "ACTIVITY_CODE", "AgentTerminalPropertyActivityCode", "activityCode", "activityCode", NULL},
    {EVENT_TERMINAL_PROPERTY, "READY_STATUS", "AgentTerminalPropertyReadyStatus", "status", "ready", NULL},
    {EVENT_TERMINAL_PROPERTY, "READY_STATUS", "AgentTerminalPropertyReadyStatus", "reasonCode", "notReadyReasonCode", NULL},
    {EVENT_TERMINAL_PROPERTY, "VALIDATE_AGENT_LICENSE", "AgentTerminalPropertyValidateAgentStatus", "adminUserId", "adminUserId", NULL},

    {EVENT_ADDRESS_PROPERTY, "FORWARDING", "AddressPropertyForwardingArray", "item", "forwarding", forwardings},
    {EVENT_ADDRESS_PROPERTY, "DO_NOT_DISTURB", "AddressPropertyDoNotDisturb", "doNotDisturbSet", "doNotDisturb", NULL},
    {EVENT_ADDRESS_PROPERTY, "MESSAGE_WAITING", "AddressPropertyMessageWaiting", NULL, "messageWaiting", waiting},
    {EVENT_ADDRESS_PROPERTY, "ADDRESS_TERMINAL_ASSOCIATION", "AddressPropertyAddressTerminalAssociation", NULL, "association", NULL},
    {EVENT_ADDRESS_PROPERTY, "ACQUIRE_STATUS", "AddressPropertyAcquireStatus", "acquired", "acquired", NULL},
    {EVENT_ADDRESS_PROPERTY, "URI", "AddressPropertyUri", "uri", "uri", NULL},
    {EVENT_ADDRESS_PROPERTY, "PRESENCE", "AddressPropertyPresence", "presence", "presence", NULL},
    {EVENT_ADDRESS_PROPERTY, "CONTROLLED", NULL, NULL, "controlled", NULL},

    {EVENT_CONTACT_PROPERTY, "ATTACHED_DATA", "ContactPropertyAttachedData", "attachedData", "data", NULL},
    {EVENT_CONTACT_PROPERTY, "NETWORK_DIALED_ADDRESS", "ContactPropertyNetworkDialledAddress", "networkDialledAddress", "networkDialledAddress", NULL},
    {EVENT_CONTACT_PROPERTY, "SPEXTERNAL_ID", "ContactPropertySpExternalId", "spExternalId", "spExternalId", NULL},
    {EVENT_CONTACT_PROPERTY, "UUI", "ContactPropertyUui", "uui", "uui", NULL},
    {EVENT_CONTACT_PROPERTY, "CONTACT_TYPE", "ContactPropertyContactTypeArray", "item", "contactTypes", types},
    {EVENT_CONTACT_PROPERTY, "CALLED_ALIAS", "ContactPropertyCalledAlias", "calledAlias", "calledAlias", NULL},
    {EVENT_CONTACT_PROPERTY, "CALLED_ADDRESS", "ContactPropertyCalledAddress", "calledAddress", "called", NULL},
    {EVENT_CONTACT_PROPERTY, "CALLING_ADDRESS", "ContactPropertyCallingAddress", "callingAddress", "calling", NULL},
    {EVENT_CONTACT_PROPERTY, "CALLING_TERMINAL", "ContactPropertyCallingTerminal", "callingTerminal", "callingTerminal", NULL},
    {EVENT_CONTACT_PROPERTY, "LAST_REDIRECTED_ADDRESS", "ContactPropertyLastRedirectedAddress", "lastRedirectedAddress", "lastRedirected", NULL},
    {EVENT_CONTACT_PROPERTY, "CCM_ID", "ContactPropertyCcmId", "ccmId", "ccmId", NULL},
    {EVENT_CONTACT_PROPERTY, "INTRINSICS", "ContactPropertyIntrinsicArray", "item", "intrinsics", NULL},
    {EVENT_CONTACT_PROPERTY, "ROUTE", "ContactPropertyRoute", NULL, "route", NULL},
    {EVENT_CONTACT_PROPERTY, "NODE_ID", "ContactPropertyNodeId", "nodeId", "nodeId", NULL},
    {EVENT_CONTACT_PROPERTY, "SOURCE_SITE_GROUP_ID", "ContactPropertySourceSiteGroupId", "sourceSiteGroupId", "sourceSiteGroupId", NULL},
    {EVENT_CONTACT_PROPERTY, "TARGET_AGENT_POSITION_ID", "ContactPropertyTargetAgentPositionId", "targetAgentPositionId", "targetAgentPositionId", NULL},
};
/* clang-format on */
const size_t num_property_rows = sizeof(property_rows) / sizeof(property_rows[0]);

static enum event_type type_of(enum entity kind)
{
    switch (kind) {
    case ENTITY_AGENT:
        return EVENT_AGENT_PROPERTY;
    case ENTITY_TERMINAL:
        return EVENT_TERMINAL_PROPERTY;
    case ENTITY_ADDRESS:
        return EVENT_ADDRESS_PROPERTY;
    case ENTITY_CONTACT:
        return EVENT_CONTACT_PROPERTY;
    default:
        return EVENT_TYPES;
    }
}

const struct property_row *property_of_fact(enum entity kind, const char *field)
{
    enum event_type type = type_of(kind);
    size_t i;
    for (i = 0; i < num_property_rows; ++i)
        if (property_rows[i].type == type && strcmp(property_rows[i].field, field) == 0)
            return &property_rows[i];
    return NULL;
}
