#include "inject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents.h"
#include "buf.h"
#include "calls.h"
#include "events.h"

static const char wrong_value[] = "the value does not fit the property";
static const char wrong_property[] = "no such property";

static const char *text_of(json_t *body, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(body, key));
    return text != NULL ? text : otherwise;
}

/* The name as the contract's table has it, for what must outlive the request. */
static const char *known(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return names[i];
    }
    return NULL;
}

#define KNOWN(names, name) known(names, sizeof(names) / sizeof(*(names)), name)

/* A number or a word as text; NULL for anything else. */
static const char *plain(json_t *value)
{
    static char digits[24];
    if (json_is_integer(value)) {
        snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return digits;
    }
    return json_string_value(value);
}

/* --- addresses --- */

static void forward_to(struct forwarding_list *list, json_t *value)
{
    const char *to = json_string_value(value);
    forwarding_clear(list);
    if (to != NULL)
        list->items[list->count++] =
            (struct forwarding){.caller = mem_strdup(""), .destination = mem_strdup(to), .type = 1};
}

static bool address_forward(struct address *address, json_t *value)
{
    if (!json_is_string(value) && !json_is_null(value))
        return false;
    forward_to(&address->forwarding, value);
    address_forwarding_changed(address);
    return true;
}

static bool address_dnd(struct address *address, json_t *value)
{
    if (json_is_boolean(value))
        address_set_dnd(address, json_is_true(value));
    return json_is_boolean(value);
}

static bool address_messages(struct address *address, json_t *value)
{
    int count = (int)json_integer_value(value);
    if (json_is_integer(value))
        address_set_message_waiting(address, count > 0, count);
    return json_is_integer(value);
}

static bool address_acquire(struct address *address, json_t *value)
{
    if (json_is_boolean(value))
        address_set_acquired(address, json_is_true(value));
    return json_is_boolean(value);
}

static bool address_name(struct address *address, json_t *value)
{
    if (json_is_string(value))
        address_set_uri(address, json_string_value(value));
    return json_is_string(value);
}

static bool address_control(struct address *address, json_t *value)
{
    if (json_is_boolean(value))
        address_set_controlled(address, json_is_true(value));
    return json_is_boolean(value);
}

static const struct {
    const char *property;
    bool (*set)(struct address *address, json_t *value); /* NULL: has no value of its own */
} address_rows[] = {{"FORWARDING", address_forward},       {"DO_NOT_DISTURB", address_dnd},
                    {"MESSAGE_WAITING", address_messages}, {"ADDRESS_TERMINAL_ASSOCIATION", NULL},
                    {"ACQUIRE_STATUS", address_acquire},   {"URI", address_name},
                    {"CONTROLLED", address_control},       {"PRESENCE", NULL}};

static const char *address_property(json_t *body)
{
    struct address *address = world_address(text_of(body, "address", ""));
    const char *property = text_of(body, "property", "");
    json_t *value = json_object_get(body, "value");
    if (address == NULL)
        return "no such address";
    for (size_t i = 0; i < sizeof(address_rows) / sizeof(*address_rows); i++) {
        if (strcmp(address_rows[i].property, property) != 0)
            continue;
        if (value != NULL && address_rows[i].set != NULL)
            return address_rows[i].set(address, value) ? NULL : wrong_value;
        address_announce(address, address_rows[i].property);
        return NULL;
    }
    return wrong_property;
}

static const char *address_state(json_t *body)
{
    struct address *address = world_address(text_of(body, "address", ""));
    const char *state = resource_state(text_of(body, "state", ""));
    if (address == NULL || state == NULL)
        return "no such address or state";
    address_set_state(address, state, text_of(body, "reason", ""));
    return NULL;
}

/* --- terminals --- */

static bool terminal_change(struct terminal *terminal, const char *property, json_t *value)
{
    if (strcmp(property, "DO_NOT_DISTURB") == 0)
        terminal_set_dnd(terminal, json_is_true(value));
    else if (strcmp(property, "READY_STATUS") == 0 && terminal->logged_in != NULL)
        terminal_set_ready(terminal, json_is_true(value));
    else if (strcmp(property, "ACTIVITY_CODE") == 0 && json_is_string(value))
        terminal_set_activity(terminal, json_string_value(value));
    else
        return false;
    return true;
}

static const char *terminal_property(json_t *body)
{
    static const char *const names[] = {"DO_NOT_DISTURB",
                                        "FORWARDING",
                                        "CONTACT_TYPE",
                                        "TREATMENT_TERMINAL_TYPE",
                                        "TREATMENT_TRANSPORT_TYPE",
                                        "NAME",
                                        "PORT",
                                        "AGENT_LOGIN_SESSION",
                                        "ACTIVITY_CODE",
                                        "AGENT_LOGIN_SESSION_ENDED",
                                        "READY_STATUS",
                                        "VALIDATE_AGENT_LICENSE"};
    struct terminal *terminal = world_terminal(text_of(body, "terminal", ""));
    const char *property = KNOWN(names, text_of(body, "property", ""));
    json_t *value = json_object_get(body, "value");
    if (terminal == NULL)
        return "no such terminal";
    if (property == NULL)
        return wrong_property;
    if (value != NULL && strcmp(property, "FORWARDING") == 0) {
        forward_to(&terminal->forwarding, value);
        terminal_forwarding_changed(terminal);
    } else if (value == NULL || !terminal_change(terminal, property, value)) {
        terminal_announce(terminal, property, plain(value));
    }
    return NULL;
}

static const char *terminal_state(json_t *body)
{
    struct terminal *terminal = world_terminal(text_of(body, "terminal", ""));
    const char *state = resource_state(text_of(body, "state", ""));
    if (terminal == NULL || state == NULL)
        return "no such terminal or state";
    terminal_set_state(terminal, state, text_of(body, "reason", ""));
    return NULL;
}

/* --- agents --- */

static const char *agent_property(json_t *body)
{
    static const char *const names[] = {"CONTACT_TYPE", "ADDRESS_NAME", "VOICE_TERMINAL",
                                        "LOGIN_STATUS", "INFORMATION",  "READY_STATUS"};
    struct agent *agent = world_agent(text_of(body, "agent", ""));
    const char *property = KNOWN(names, text_of(body, "property", ""));
    if (agent == NULL)
        return "no such agent";
    if (property == NULL)
        return wrong_property;
    struct terminal *terminal = world_terminal(text_of(body, "value", ""));
    if (terminal != NULL && strcmp(property, "VOICE_TERMINAL") == 0)
        agent_set_voice_terminal(agent, terminal);
    else
        agent_announce(agent, property);
    return NULL;
}

static const char *agent_state(json_t *body)
{
    struct agent *agent = world_agent(text_of(body, "agent", ""));
    const char *state = text_of(body, "state", "");
    bool mapped = strcmp(state, "MAPPED") == 0;
    if (agent == NULL || (!mapped && strcmp(state, "UNMAPPED") != 0))
        return "no such agent or state";
    agent_set_mapped(agent, mapped);
    return NULL;
}

/* --- contacts --- */

static void set_data(struct contact *contact, json_t *pairs)
{
    const char *key;
    json_t *value;
    contact_data_clear(&contact->data);
    json_object_foreach(pairs, key, value)
    {
        if (json_is_string(value))
            contact_data_add_pair(&contact->data, key, json_string_value(value));
    }
}

static void set_intrinsics(struct contact *contact, json_t *pairs)
{
    const char *key;
    json_t *value;
    json_object_foreach(pairs, key, value)
    {
        if (json_is_string(value))
            contact_intrinsic_put(contact, key, json_string_value(value), false);
    }
}

/* True when the property is state of the simulator and now has the value. */
static bool contact_change(struct contact *contact, const char *property, json_t *value)
{
    if (strcmp(property, "ATTACHED_DATA") == 0)
        set_data(contact, value);
    else if (strcmp(property, "INTRINSICS") == 0)
        set_intrinsics(contact, value);
    else if (strcmp(property, "UUI") == 0 && json_is_string(value))
        set_text(&contact->uui, json_string_value(value));
    else
        return false;
    return true;
}

static const char *contact_property(json_t *body)
{
    static const char *const names[] = {"CONTACT",
                                        "CONFERENCE_INIT",
                                        "CONFERENCE_COMPLETE",
                                        "BLIND_TRANSFER_COMPLETE",
                                        "SUPERVISED_TRANSFER_INIT",
                                        "SUPERVISED_TRANSFER_COMPLETE",
                                        "CONSULT",
                                        "ATTACHED_DATA",
                                        "NETWORK_DIALED_ADDRESS",
                                        "SPEXTERNAL_ID",
                                        "UUI",
                                        "CONTACT_TYPE",
                                        "CALLED_ALIAS",
                                        "CALLED_ADDRESS",
                                        "CALLING_ADDRESS",
                                        "CALLING_TERMINAL",
                                        "LAST_REDIRECTED_ADDRESS",
                                        "CCM_ID",
                                        "INTRINSICS",
                                        "ROUTE",
                                        "NODE_ID",
                                        "SOURCE_SITE_GROUP_ID",
                                        "TARGET_AGENT_POSITION_ID"};
    struct contact *contact = world_contact(text_of(body, "contact", ""));
    const char *property = KNOWN(names, text_of(body, "property", ""));
    json_t *value = json_object_get(body, "value");
    if (contact == NULL)
        return "no such contact";
    if (property == NULL)
        return wrong_property;
    if (strcmp(property, "CCM_ID") == 0 && value != NULL && !json_is_integer(value))
        return wrong_value;
    bool own = value != NULL && contact_change(contact, property, value);
    contact_announce(contact, property, own ? NULL : plain(value));
    return NULL;
}

static const char *about_contact(json_t *body, enum event_kind kind)
{
    struct contact *contact = world_contact(text_of(body, "contact", ""));
    if (contact == NULL)
        return "no such contact";
    sim_emit(&(struct sim_event){.kind = kind, .contact = contact});
    return NULL;
}

/* The contact is ended when the request says so. */
static const char *force_disconnect(json_t *body)
{
    const char *wrong = about_contact(body, EVENT_FORCE_DISCONNECT);
    if (wrong == NULL && json_is_true(json_object_get(body, "end")))
        contact_end(world_contact(text_of(body, "contact", "")), "FORCE_DISCONNECT");
    return wrong;
}

static const char *default_treatment(json_t *body)
{
    return about_contact(body, EVENT_DEFAULT_TREATMENT);
}

static const char *provider_status(json_t *body)
{
    static const char *const names[] = {"STARTUP", "FAILURE_MASTER_APPLICATION",
                                        "FAILURE_SUPPORTING_APPLICATION", "RESTART"};
    const char *status = KNOWN(names, text_of(body, "state", ""));
    if (status == NULL)
        return "no such provider status";
    sim_emit(&(struct sim_event){.kind = EVENT_SERVICE_PROVIDER_STATUS,
                                 .provider = text_of(body, "provider", "Passive"),
                                 .state = status});
    return NULL;
}

static const char *(*const injectors[EVENT_KINDS])(json_t *body) = {
    [EVENT_CONTACT_PROPERTY] = contact_property,
    [EVENT_AGENT_PROPERTY] = agent_property,
    [EVENT_TERMINAL_PROPERTY] = terminal_property,
    [EVENT_ADDRESS_PROPERTY] = address_property,
    [EVENT_ADDRESS_STATE] = address_state,
    [EVENT_TERMINAL_STATE] = terminal_state,
    [EVENT_AGENT_STATE] = agent_state,
    [EVENT_SERVICE_PROVIDER_STATUS] = provider_status,
    [EVENT_FORCE_DISCONNECT] = force_disconnect,
    [EVENT_DEFAULT_TREATMENT] = default_treatment,
};

const char *inject_event(json_t *body)
{
    int kind = sim_event_kind(text_of(body, "type", ""));
    if (kind < 0 || injectors[kind] == NULL)
        return "no event type that can be injected";
    return injectors[kind](body);
}
