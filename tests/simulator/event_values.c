/*
 * Which element carries the new value of which property (BaseNotification.xsd and NOTES.md, "Oddities"). A property
 * without an element here has none in the contract: it announces a step of a call and nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include "event_xml.h"

/* --- contacts --- */

static void put_items(struct buf *b, const struct attached_data *data)
{
    for (size_t i = 0; i < data->pair_count; i++) {
        xml_open(b, "c:item");
        xml_text(b, "c:key", data->pairs[i].key);
        xml_text(b, "c:value", data->pairs[i].value);
        xml_close(b, "c:item");
    }
}

static void attached_data(struct buf *b, const struct sim_event *e, const struct address *address)
{
    static const char *const types[] = {"KEY_VALUE_PAIRS", "KEY_VALUE_PAIRS", "STRING", "BINARY"};
    const struct attached_data *data = &e->contact->data;
    (void)address;
    xml_open(b, "c:attachedData");
    xml_text(b, "c:type", types[data->type]);
    if (data->type == DATA_STRING) {
        xml_text(b, "c:stringData", data->text);
    } else if (data->type == DATA_BINARY) {
        xml_open(b, "c:binaryData");
        for (size_t i = 0; i < data->byte_count; i++)
            xml_number(b, "c:item", data->bytes[i]);
        xml_close(b, "c:binaryData");
    } else {
        xml_open(b, "c:keyValueData");
        put_items(b, data);
        xml_close(b, "c:keyValueData");
    }
    xml_close(b, "c:attachedData");
}

static void uui(struct buf *b, const struct sim_event *e, const struct address *address)
{
    (void)address;
    xml_text(b, "c:uui", e->contact->uui);
}

static void contact_type(struct buf *b, const struct sim_event *e, const struct address *address)
{
    (void)address;
    xml_open(b, "c:item");
    xml_text(b, "c:type", e->contact->contact_type);
    xml_close(b, "c:item");
}

static void called(struct buf *b, const struct sim_event *e, const struct address *address)
{
    (void)address;
    xml_address(b, "c:calledAddress", e->contact->called);
}

static void calling(struct buf *b, const struct sim_event *e, const struct address *address)
{
    (void)address;
    xml_address(b, "c:callingAddress", e->contact->calling);
}

static void calling_terminal(struct buf *b, const struct sim_event *e,
                             const struct address *address)
{
    (void)address;
    xml_terminal(b, "c:callingTerminal", e->contact->calling_terminal);
}

static void last_redirected(struct buf *b, const struct sim_event *e, const struct address *address)
{
    (void)address;
    xml_address(b, "c:lastRedirectedAddress", e->contact->last_redirected);
}

static void intrinsics(struct buf *b, const struct sim_event *e, const struct address *address)
{
    (void)address;
    for (size_t i = 0; i < e->contact->intrinsic_count; i++) {
        const struct intrinsic *in = &e->contact->intrinsics[i];
        xml_open(b, "c:item");
        xml_text(b, "c:key", in->key);
        xml_text(b, "c:value", in->value);
        xml_bool(b, "c:immutable", in->immutable);
        xml_close(b, "c:item");
    }
}

static void route(struct buf *b, const struct sim_event *e, const struct address *address)
{
    xml_address(b, "c:address", address);
    xml_contact(b, "c:contact", e->contact);
}

/* Rows with `text` have a single text field, whose value the event brings or the contact keeps. */
static const struct {
    const char *property;
    const char *element;
    const char *text;
    void (*write)(struct buf *b, const struct sim_event *e, const struct address *address);
} contact_values[] = {
    {"ATTACHED_DATA", "b:ContactPropertyAttachedData", NULL, attached_data},
    {"NETWORK_DIALED_ADDRESS", "b:ContactPropertyNetworkDialledAddress", "c:networkDialledAddress",
     NULL},
    {"SPEXTERNAL_ID", "b:ContactPropertySpExternalId", "c:spExternalId", NULL},
    {"UUI", "b:ContactPropertyUui", NULL, uui},
    {"CONTACT_TYPE", "b:ContactPropertyContactTypeArray", NULL, contact_type},
    {"CALLED_ALIAS", "b:ContactPropertyCalledAlias", "c:calledAlias", NULL},
    {"CALLED_ADDRESS", "b:ContactPropertyCalledAddress", NULL, called},
    {"CALLING_ADDRESS", "b:ContactPropertyCallingAddress", NULL, calling},
    {"CALLING_TERMINAL", "b:ContactPropertyCallingTerminal", NULL, calling_terminal},
    {"LAST_REDIRECTED_ADDRESS", "b:ContactPropertyLastRedirectedAddress", NULL, last_redirected},
    {"CCM_ID", "b:ContactPropertyCcmId", "c:ccmId", NULL},
    {"INTRINSICS", "b:ContactPropertyIntrinsicArray", NULL, intrinsics},
    {"ROUTE", "b:ContactPropertyRoute", NULL, route},
    {"NODE_ID", "b:ContactPropertyNodeId", "c:nodeId", NULL},
    {"SOURCE_SITE_GROUP_ID", "b:ContactPropertySourceSiteGroupId", "c:sourceSiteGroupId", NULL},
    {"TARGET_AGENT_POSITION_ID", "b:ContactPropertyTargetAgentPositionId",
     "c:targetAgentPositionId", NULL},
};

/* A value that the contact does not have is left out, as the schema allows. */
static bool has_value(const struct sim_event *e)
{
    if (strcmp(e->property, "CALLING_TERMINAL") == 0)
        return e->contact->calling_terminal != NULL;
    if (strcmp(e->property, "LAST_REDIRECTED_ADDRESS") == 0)
        return e->contact->last_redirected != NULL;
    return true;
}

/* What a text property says when no injected event has said it before. */
static const char *usual_text(const struct sim_event *e)
{
    if (strcmp(e->property, "SPEXTERNAL_ID") == 0)
        return e->contact->external_id;
    if (strcmp(e->property, "NETWORK_DIALED_ADDRESS") == 0)
        return e->contact->called->name;
    return strcmp(e->property, "CCM_ID") == 0 ? "0" : "";
}

void xml_contact_value(struct buf *b, const struct sim_event *e, const struct address *address)
{
    for (size_t i = 0; i < sizeof(contact_values) / sizeof(*contact_values); i++) {
        if (strcmp(contact_values[i].property, e->property) != 0 || !has_value(e))
            continue;
        xml_open(b, contact_values[i].element);
        if (contact_values[i].text != NULL)
            xml_text(b, contact_values[i].text, e->text != NULL ? e->text : usual_text(e));
        else
            contact_values[i].write(b, e, address);
        xml_close(b, contact_values[i].element);
        return;
    }
}

/* --- agents --- */

static void agent_address(struct buf *b, const struct agent *agent)
{
    xml_text(b, "c:name", agent->position->name);
}

static void agent_contact_types(struct buf *b, const struct agent *agent)
{
    for (size_t i = 0; i < agent->contact_type_count; i++) {
        xml_open(b, "c:item");
        xml_text(b, "c:name", agent->contact_types[i]);
        xml_text(b, "c:description", agent->contact_types[i]);
        xml_text(b, "c:providerId", i == 0 ? "1" : "2");
        xml_text(b, "c:providerName", agent->terminals[i]->provider);
        xml_close(b, "c:item");
    }
    xml_text(b, "c:contactPropertyType", "");
    xml_text(b, "c:translationTable", "");
}

static void agent_information(struct buf *b, const struct agent *agent)
{
    static const char *const before[] = {"c:changeId", "c:sortKey", "c:displayTemplate"};
    xml_text(b, "c:templateId", "");
    xml_text(b, "c:positionId", agent->position->name);
    xml_text(b, "c:tnName", agent->seat != NULL ? agent->seat->name : "");
    for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++)
        xml_text(b, before[i], "");
    xml_bool(b, "c:hasSkillset", true);
    xml_bool(b, "c:hasPrimaries", true);
    xml_bool(b, "c:hasSecondaries", false);
    xml_bool(b, "c:referedByTf", false);
    xml_bool(b, "c:referedByTfv", false);
    xml_text(b, "c:viewScope", "");
    xml_text(b, "c:personalDn", agent->personal_dn->name);
    xml_text(b, "c:secondaryDn", "");
    xml_text(b, "c:state", agent->logged_in ? "LOGGED_IN" : "LOGGED_OUT");
    xml_text(b, "c:primeId", agent->supervisor != NULL ? agent->supervisor->id : "");
}

static void agent_login_status(struct buf *b, const struct agent *agent)
{
    xml_text(b, "c:status", agent->logged_in ? "LOGGED_IN" : "LOGGED_OUT");
}

static void agent_ready_status(struct buf *b, const struct agent *agent)
{
    xml_bool(b, "c:status", agent->ready);
    xml_text(b, "c:reasonCode", agent->reason_code);
}

static void agent_voice_terminal(struct buf *b, const struct agent *agent)
{
    const struct terminal *terminal = agent->static_voice_terminal;
    const char *name = terminal != NULL ? terminal->name : "";
    xml_text(b, "c:agentTerminalId", name);
    xml_text(b, "c:agentTerminalName", name);
    xml_text(b, "c:passiveProviderName", terminal != NULL ? terminal->provider : "");
}

static const struct {
    const char *property;
    const char *element;
    void (*write)(struct buf *b, const struct agent *agent);
} agent_values[] = {
    {"ADDRESS_NAME", "b:AgentPropertyAddressName", agent_address},
    {"CONTACT_TYPE", "b:AgentPropertyContactTypeArray", agent_contact_types},
    {"INFORMATION", "b:AgentPropertyInformation", agent_information},
    {"LOGIN_STATUS", "b:AgentPropertyLoginStatus", agent_login_status},
    {"READY_STATUS", "b:AgentPropertyReadyStatus", agent_ready_status},
    {"VOICE_TERMINAL", "b:AgentPropertyVoiceTerminal", agent_voice_terminal},
};

void xml_agent_value(struct buf *b, const struct sim_event *e)
{
    for (size_t i = 0; i < sizeof(agent_values) / sizeof(*agent_values); i++) {
        if (strcmp(agent_values[i].property, e->property) != 0)
            continue;
        xml_open(b, agent_values[i].element);
        agent_values[i].write(b, e->agent);
        xml_close(b, agent_values[i].element);
        return;
    }
}

/* --- terminals and addresses --- */

static void forwardings(struct buf *b, const struct forwarding_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        xml_open(b, "c:item");
        xml_text(b, "c:destinationAddress", list->items[i].destination);
        xml_number(b, "c:filter", list->items[i].which_calls);
        xml_text(b, "c:caller", list->items[i].caller);
        xml_number(b, "c:type", list->items[i].type);
        xml_close(b, "c:item");
    }
}

static void terminal_dnd(struct buf *b, const struct sim_event *e)
{
    xml_bool(b, "c:doNotDisturbSet", e->terminal->dnd);
}

static void terminal_forwarding(struct buf *b, const struct sim_event *e)
{
    forwardings(b, &e->terminal->forwarding);
}

static void terminal_contact_types(struct buf *b, const struct sim_event *e)
{
    xml_open(b, "c:item");
    xml_text(b, "c:type", e->terminal->contact_type);
    xml_close(b, "c:item");
}

static void terminal_media(struct buf *b, const struct sim_event *e)
{
    xml_terminal(b, "c:terminal", e->terminal);
    xml_text(b, "c:type", e->text);
}

static void terminal_name(struct buf *b, const struct sim_event *e)
{
    xml_text(b, "c:name", e->terminal->name);
}

static void terminal_port(struct buf *b, const struct sim_event *e)
{
    xml_text(b, "c:port", e->text);
}

static void terminal_session(struct buf *b, const struct sim_event *e)
{
    xml_bool(b, "c:loginEnded", strcmp(e->property, "AGENT_LOGIN_SESSION") != 0);
}

static void terminal_activity(struct buf *b, const struct sim_event *e)
{
    xml_text(b, "c:activityCode", e->terminal->activity_code);
}

static void terminal_ready(struct buf *b, const struct sim_event *e)
{
    xml_bool(b, "c:status", e->terminal->ready);
    xml_text(b, "c:reasonCode", e->terminal->reason_code);
}

static void terminal_licence(struct buf *b, const struct sim_event *e)
{
    xml_text(b, "c:adminUserId", e->text);
}

static void address_acquired(struct buf *b, const struct sim_event *e)
{
    xml_bool(b, "c:acquired", !e->address->released);
}

static void address_association(struct buf *b, const struct sim_event *e)
{
    xml_address(b, "c:address", e->address);
    xml_terminal(b, "c:terminal", e->address->terminal);
    xml_number(b, "c:orderNo", e->address->terminal->addresses[0] == e->address ? 1 : 2);
}

static void address_dnd(struct buf *b, const struct sim_event *e)
{
    xml_bool(b, "c:doNotDisturbSet", e->address->dnd);
}

static void address_forwarding(struct buf *b, const struct sim_event *e)
{
    forwardings(b, &e->address->forwarding);
}

static void address_message_waiting(struct buf *b, const struct sim_event *e)
{
    xml_bool(b, "c:messageWaiting", e->address->message_waiting);
    xml_number(b, "c:numberMessageWaiting", e->address->message_count);
}

static void address_uri_value(struct buf *b, const struct sim_event *e)
{
    char *uri = address_uri(e->address);
    xml_text(b, "c:uri", uri);
    free(uri);
}

static void address_presence_value(struct buf *b, const struct sim_event *e)
{
    struct presence presence = address_presence(e->address);
    xml_open(b, "c:presence");
    xml_text(b, "c:status", presence.status);
    xml_text(b, "c:extendedStatus", presence.extended);
    xml_text(b, "c:activity", presence.activity);
    xml_text(b, "c:rawXml", "");
    xml_text(b, "c:note", "");
    xml_close(b, "c:presence");
}

struct value_row {
    const char *property;
    const char *element;
    void (*write)(struct buf *b, const struct sim_event *e);
};

static const struct value_row terminal_values[] = {
    {"DO_NOT_DISTURB", "b:TerminalPropertyDoNotDisturb", terminal_dnd},
    {"FORWARDING", "b:TerminalPropertyForwardingArray", terminal_forwarding},
    {"CONTACT_TYPE", "b:TerminalPropertyContactTypeArray", terminal_contact_types},
    {"TREATMENT_TERMINAL_TYPE", "b:TerminalPropertyTreatment", terminal_media},
    {"TREATMENT_TRANSPORT_TYPE", "b:TerminalPropertyTransport", terminal_media},
    {"NAME", "b:TerminalPropertyName", terminal_name},
    {"PORT", "b:TerminalPropertyPort", terminal_port},
    {"AGENT_LOGIN_SESSION", "b:AgentTerminalPropertyAgentLoginSession", terminal_session},
    {"AGENT_LOGIN_SESSION_ENDED", "b:AgentTerminalPropertyAgentLoginSessionEnded",
     terminal_session},
    {"ACTIVITY_CODE", "b:AgentTerminalPropertyActivityCode", terminal_activity},
    {"READY_STATUS", "b:AgentTerminalPropertyReadyStatus", terminal_ready},
    {"VALIDATE_AGENT_LICENSE", "b:AgentTerminalPropertyValidateAgentStatus", terminal_licence},
    {NULL, NULL, NULL}};

/* CONTROLLED has no element (NOTES.md, "Oddities"). */
static const struct value_row address_values[] = {
    {"ACQUIRE_STATUS", "b:AddressPropertyAcquireStatus", address_acquired},
    {"ADDRESS_TERMINAL_ASSOCIATION", "b:AddressPropertyAddressTerminalAssociation",
     address_association},
    {"DO_NOT_DISTURB", "b:AddressPropertyDoNotDisturb", address_dnd},
    {"FORWARDING", "b:AddressPropertyForwardingArray", address_forwarding},
    {"MESSAGE_WAITING", "b:AddressPropertyMessageWaiting", address_message_waiting},
    {"URI", "b:AddressPropertyUri", address_uri_value},
    {"PRESENCE", "b:AddressPropertyPresence", address_presence_value},
    {NULL, NULL, NULL}};

static void write_value(struct buf *b, const struct value_row *rows, const struct sim_event *e)
{
    for (; rows->property != NULL; rows++) {
        if (strcmp(rows->property, e->property) != 0)
            continue;
        xml_open(b, rows->element);
        rows->write(b, e);
        xml_close(b, rows->element);
        return;
    }
}

void xml_terminal_value(struct buf *b, const struct sim_event *e)
{
    write_value(b, terminal_values, e);
}

void xml_address_value(struct buf *b, const struct sim_event *e)
{
    bool lone =
        strcmp(e->property, "ADDRESS_TERMINAL_ASSOCIATION") == 0 && e->address->terminal == NULL;
    if (!lone)
        write_value(b, address_values, e);
}
