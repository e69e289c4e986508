/* From facts to resources: the shapes of DESIGN section 10. What the upstream did not tell is null, never made up. */
#include <string.h>

#include "cctgate/base64.h"
#include "cctgate/presence.h"
#include "gateway/model/live.h"
#include "gateway/model/payload.h"

static json_t *or_null(json_t *value)
{
    return value != NULL ? json_incref(value) : json_null();
}

static json_t *fact(const struct node *node, const char *field)
{
    return or_null(json_object_get(node->facts, field));
}

static const char *fact_id(const struct node *node, const char *field)
{
    return json_string_value(json_object_get(node->facts, field));
}

static json_t *of_handle(const struct node *node, const char *member)
{
    return or_null(json_object_get(node->handle, member));
}

/* A fact that is a whole handle, of which clients see the name. */
static json_t *name_of(const struct node *node, const char *field, enum entity kind)
{
    const char *id = handle_id(kind, json_object_get(node->facts, field));
    return id != NULL ? json_string(id) : json_null();
}

int says_nothing(const json_t *value)
{
    return value == NULL || json_is_null(value) ||
           (json_is_string(value) && json_string_length(value) == 0);
}

static json_t *text_or_null(json_t *value)
{
    return says_nothing(value) ? json_null() : json_incref(value);
}

static json_t *state_of(const struct node *node)
{
    const char *state = node_state(node);
    return state != NULL ? json_string(state) : json_null();
}

static json_t *ids_of(const struct node *node, const char *field)
{
    json_t *ids = json_array(), *one;
    const char *id;
    json_object_foreach(json_object_get(node->facts, field), id, one)
        json_array_append_new(ids, json_string(id));
    return ids;
}

#define FOREACH_CHILD(model, node, field, kind, child)                                             \
    GRAPH_FOREACH(&(model)->graph, node, field, kind, child)

/* {"item":[{"type":"Voice"}]} as in handles, or ["Voice"] as operations answer */
static json_t *contact_types(const struct node *node)
{
    json_t *told = json_object_get(node->facts, "contactTypes"), *item, *types;
    size_t i;

    if (json_is_array(told))
        return json_incref(told);
    types = json_array();
    json_array_foreach(json_object_get(json_object_get(node->handle, "contactTypes"), "item"), i,
                       item)
    {
        json_t *type = json_object_get(item, "type");
        if (json_is_string(type))
            json_array_append(types, type);
    }
    return types;
}

static json_t *capabilities(const struct node *node)
{
    static const char *const fields[] = {"capabilities", "agentCapabilities",
                                         "routePointCapabilities"};
    json_t *all = json_object();
    size_t i;
    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); ++i) {
        json_t *flags = json_object_get(node->facts, fields[i]);
        if (json_is_object(flags))
            json_object_update(all, flags);
    }
    return all;
}

static json_t *forwarding_public(const json_t *entries)
{
    json_t *list = json_array(), *entry;
    size_t i;
    json_array_foreach(entries, i, entry)
    {
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:o}", "type", or_null(json_object_get(entry, "type")),
                            "to", or_null(json_object_get(entry, "destinationAddress")), "caller",
                            or_null(json_object_get(entry, "caller")), "whichCalls",
                            or_null(json_object_get(entry, "whichCalls"))));
    }
    return list;
}

static json_t *forwarding(const struct node *node)
{
    return forwarding_public(json_object_get(node->facts, "forwarding"));
}

/* ---- agent ---- */

static json_t *agent_call(struct model *model, const struct node *tc, const struct node *terminal)
{
    const char *contact_id = fact_id(tc, "contact");
    const struct node *contact =
        contact_id != NULL ? graph_find(&model->graph, ENTITY_CONTACT, contact_id) : NULL;

    if (contact == NULL)
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "contactId", contact->id,
                     "terminalConnectionId", tc->id, "terminal", terminal->id, "state",
                     state_of(tc), "calling", name_of(contact, "calling", ENTITY_ADDRESS), "called",
                     name_of(contact, "called", ENTITY_ADDRESS), "contactTypes",
                     contact_types(contact));
}

static json_t *agent_calls(struct model *model, const struct node *agent)
{
    json_t *calls = json_array();
    const struct node *terminal, *tc;
    FOREACH_CHILD(model, agent, "terminals", ENTITY_TERMINAL, terminal)
    {
        FOREACH_CHILD(model, terminal, "terminalConnections", ENTITY_TERMINAL_CONNECTION, tc)
        {
            json_t *call = agent_call(model, tc, terminal);
            if (call != NULL)
                json_array_append_new(calls, call);
        }
    }
    return calls;
}

static json_t *activity_code(struct model *model, const struct node *agent)
{
    const struct node *terminal;
    FOREACH_CHILD(model, agent, "terminals", ENTITY_TERMINAL, terminal)
    {
        json_t *code = json_object_get(terminal->facts, "activityCode");
        if (!says_nothing(code))
            return json_incref(code);
    }
    return json_null();
}

static json_t *presence(struct model *model, const struct node *agent, size_t num_calls)
{
    const struct config *config = model->config;
    struct presence_facts facts = {json_is_true(json_object_get(agent->facts, "loggedIn")),
                                   json_is_true(json_object_get(agent->facts, "ready")),
                                   fact_id(agent, "notReadyReasonCode"), num_calls};
    return json_string(presence_derive(&facts,
                                       (const char *const *)config->presence.after_call_work_codes,
                                       config->presence.num_after_call_work_codes));
}

static json_t *control(struct model *model, const struct node *agent)
{
    return model->describe_control != NULL ? model->describe_control(model->control_data, agent->id)
                                           : json_null();
}

static json_t *ready_status(const struct node *agent)
{
    json_t *ready = json_object_get(agent->facts, "ready");
    if (!json_is_true(json_object_get(agent->facts, "loggedIn")) || !json_is_boolean(ready))
        return json_null();
    return json_string(json_is_true(ready) ? "READY" : "NOT_READY");
}

static json_t *render_agent(struct model *model, const struct node *agent)
{
    json_t *calls = agent_calls(model, agent);
    json_t *code = json_is_true(json_object_get(agent->facts, "ready"))
                       ? json_null()
                       : text_or_null(json_object_get(agent->facts, "notReadyReasonCode"));
    return json_pack(
        "{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "loginId", agent->id, "userName", of_handle(agent, "userName"), "agentType",
        of_handle(agent, "agentType"), "loginStatus",
        json_is_true(json_object_get(agent->facts, "loggedIn")) ? "LOGGED_IN" : "LOGGED_OUT",
        "readyStatus", ready_status(agent), "notReadyReasonCode", code, "activityCode",
        activity_code(model, agent), "presence", presence(model, agent, json_array_size(calls)),
        "voiceTerminal", name_of(agent, "voiceTerminal", ENTITY_TERMINAL), "terminals",
        ids_of(agent, "terminals"), "addresses", ids_of(agent, "addresses"), "supervisor",
        name_of(agent, "supervisor", ENTITY_AGENT), "contactTypes", contact_types(agent), "calls",
        calls, "capabilities", capabilities(agent), "control", control(model, agent));
}

/* ---- terminal, address ---- */

static json_t *terminal_connections(struct model *model, const struct node *terminal)
{
    json_t *list = json_array();
    const struct node *tc;
    FOREACH_CHILD(model, terminal, "terminalConnections", ENTITY_TERMINAL_CONNECTION, tc)
    {
        json_array_append_new(list,
                              json_pack("{s:s, s:o, s:o}", "terminalConnectionId", tc->id,
                                        "contactId", fact(tc, "contact"), "state", state_of(tc)));
    }
    return list;
}

static json_t *render_terminal(struct model *model, const struct node *terminal)
{
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
        terminal->id, "type", of_handle(terminal, "terminalType"), "provider",
        or_null(json_object_get(json_object_get(terminal->handle, "provider"), "providerName")),
        "state", state_of(terminal), "addresses", ids_of(terminal, "addresses"),
        "terminalConnections", terminal_connections(model, terminal), "agent",
        text_or_null(json_object_get(terminal->facts, "loginId")), "ready", fact(terminal, "ready"),
        "notReadyReasonCode", text_or_null(json_object_get(terminal->facts, "notReadyReasonCode")),
        "activityCode", text_or_null(json_object_get(terminal->facts, "activityCode")),
        "doNotDisturb", fact(terminal, "doNotDisturb"), "forwarding", forwarding(terminal),
        "contactTypes", contact_types(terminal), "capabilities", capabilities(terminal));
}

static json_t *address_connections(struct model *model, const struct node *address)
{
    json_t *list = json_array();
    const struct node *connection;
    FOREACH_CHILD(model, address, "connections", ENTITY_CONNECTION, connection)
    {
        json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "connectionId", connection->id,
                                              "contactId", fact(connection, "contact"), "state",
                                              state_of(connection)));
    }
    return list;
}

static json_t *render_address(struct model *model, const struct node *address)
{
    json_t *waiting = json_object_get(address->facts, "messageWaiting");
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
        address->id, "type", of_handle(address, "addressType"), "provider",
        or_null(json_object_get(json_object_get(address->handle, "provider"), "providerName")),
        "state", state_of(address), "terminals", ids_of(address, "terminals"), "connections",
        address_connections(model, address), "doNotDisturb", fact(address, "doNotDisturb"),
        "forwarding", forwarding(address), "messageWaiting",
        or_null(json_object_get(waiting, "messageWaiting")), "numberOfMessages",
        or_null(json_object_get(waiting, "numberOfMessages")), "presence",
        fact(address, "presence"), "uri", text_or_null(json_object_get(address->facts, "uri")),
        "controlled", fact(address, "controlled"), "capabilities", capabilities(address));
}

/* ---- call ---- */

static json_t *call_terminal_connections(struct model *model, const struct node *connection)
{
    json_t *list = json_array();
    const struct node *tc;
    FOREACH_CHILD(model, connection, "terminalConnections", ENTITY_TERMINAL_CONNECTION, tc)
    {
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o}", "terminalConnectionId",
                                              tc->id, "terminal", fact(tc, "terminal"), "state",
                                              state_of(tc), "capabilities", capabilities(tc)));
    }
    return list;
}

/* An address outside the provider is the far end of a call; an event says so itself. */
static int is_remote(struct model *model, const struct node *connection)
{
    const char *name = fact_id(connection, "address");
    const struct node *address =
        name != NULL ? graph_find(&model->graph, ENTITY_ADDRESS, name) : NULL;
    json_t *told = json_object_get(connection->facts, "remote");
    const char *type =
        address != NULL ? json_string_value(json_object_get(address->handle, "addressType")) : NULL;

    if (json_is_boolean(told))
        return json_is_true(told);
    return type != NULL && strcmp(type, "OUT_OF_PROVIDER") == 0;
}

static json_t *call_connections(struct model *model, const struct node *contact)
{
    json_t *list = json_array();
    const struct node *connection;
    FOREACH_CHILD(model, contact, "connections", ENTITY_CONNECTION, connection)
    {
        json_array_append_new(
            list,
            json_pack("{s:s, s:o, s:o, s:b, s:o, s:o}", "connectionId", connection->id, "address",
                      fact(connection, "address"), "state", state_of(connection), "remote",
                      is_remote(model, connection), "capabilities", capabilities(connection),
                      "terminalConnections", call_terminal_connections(model, connection)));
    }
    return list;
}

static json_t *key_values(const json_t *items)
{
    json_t *object = json_object(), *item;
    size_t i;
    json_array_foreach(items, i, item)
    {
        const char *key = json_string_value(json_object_get(item, "key"));
        json_t *value = json_object_get(item, "value");
        if (key != NULL)
            json_object_set_new(object, key, or_null(value));
    }
    return object;
}

static json_t *binary(const json_t *items)
{
    size_t length = json_array_size(items), i;
    unsigned char *bytes = length > 0 ? malloc(length) : NULL;
    json_t *text;

    for (i = 0; bytes != NULL && i < length; ++i)
        bytes[i] = (unsigned char)json_integer_value(json_array_get(items, i));
    text = base64_to_json(bytes, bytes != NULL ? length : 0);
    free(bytes);
    return text;
}

static json_t *attached_value(const json_t *data)
{
    const char *type = json_string_value(json_object_get(data, "type"));

    if (type == NULL)
        return json_null();
    if (strcmp(type, "KEY_VALUE_PAIRS") == 0)
        return key_values(json_object_get(json_object_get(data, "keyValueData"), "item"));
    if (strcmp(type, "BINARY") == 0)
        return binary(json_object_get(json_object_get(data, "binaryData"), "item"));
    return or_null(json_object_get(data, "stringData"));
}

static json_t *attached(const struct node *contact)
{
    json_t *data = json_object_get(contact->facts, "data");
    if (!json_is_object(data))
        return json_null();
    return json_pack("{s:o, s:o}", "type", or_null(json_object_get(data, "type")), "value",
                     attached_value(data));
}

static json_t *immutable_keys(const json_t *intrinsics)
{
    json_t *keys = json_array(), *item;
    size_t i;
    json_array_foreach(intrinsics, i, item)
    {
        if (json_is_true(json_object_get(item, "immutable")))
            json_array_append(keys, json_object_get(item, "key"));
    }
    return keys;
}

const char *const consult_fields[CONSULT_FIELDS] = {"consult", "transferConsult",
                                                    "conferenceConsult"};

static json_t *consults(struct model *model, const struct node *contact)
{
    json_t *found = json_object(), *ids = json_array();
    const struct node *connection, *tc;
    const char *id;
    json_t *one;
    size_t i;

    FOREACH_CHILD(model, contact, "connections", ENTITY_CONNECTION, connection)
    {
        FOREACH_CHILD(model, connection, "terminalConnections", ENTITY_TERMINAL_CONNECTION, tc)
        {
            for (i = 0; i < CONSULT_FIELDS; ++i)
                if ((id = handle_id(ENTITY_CONTACT,
                                    json_object_get(tc->facts, consult_fields[i]))) != NULL &&
                    strcmp(id, contact->id) != 0)
                    json_object_set_new(found, id, json_true());
        }
    }
    json_object_foreach(found, id, one) json_array_append_new(ids, json_string(id));
    json_decref(found);
    return ids;
}

/* What no operation reads: known when an event has told it. */
static void put_told(json_t *call, const struct node *contact)
{
    static const char *const fields[] = {
        "networkDialledAddress", "calledAlias",           "ccmId",       "route", "nodeId",
        "sourceSiteGroupId",     "targetAgentPositionId", "spExternalId"};
    size_t i;
    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); ++i) {
        json_t *value = json_object_get(contact->facts, fields[i]);
        if (value != NULL)
            json_object_set(call, fields[i], value);
    }
}

static json_t *render_call(struct model *model, const struct node *contact)
{
    json_t *intrinsics = json_object_get(contact->facts, "intrinsics"), *call;
    json_t *lineage = json_object_get(model->live->lineage, contact->id);

    call = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o}",
        "contactId", contact->id, "externalContactId", of_handle(contact, "externalContactId"),
        "provider",
        or_null(json_object_get(json_object_get(contact->handle, "provider"), "providerName")),
        "contactTypes", contact_types(contact), "calling",
        name_of(contact, "calling", ENTITY_ADDRESS), "called",
        name_of(contact, "called", ENTITY_ADDRESS), "callingTerminal",
        name_of(contact, "callingTerminal", ENTITY_TERMINAL), "originalDestination",
        name_of(contact, "originalDestination", ENTITY_ADDRESS), "lastRedirected",
        name_of(contact, "lastRedirected", ENTITY_ADDRESS), "connections",
        call_connections(model, contact), "data", attached(contact), "intrinsics",
        key_values(intrinsics), "immutableIntrinsics", immutable_keys(intrinsics), "uui",
        text_or_null(json_object_get(contact->facts, "uui")), "consults", consults(model, contact),
        "consultOf", or_null(json_object_get(model->consult_of, contact->id)), "transferredFrom",
        lineage != NULL ? json_incref(lineage) : json_array(), "capabilities",
        capabilities(contact));
    put_told(call, contact);
    keep_out_of_call(model, call);
    return call;
}

static json_t *render_call_capabilities(struct model *model, const struct node *contact)
{
    json_t *flags = capabilities(contact);
    json_object_set_new(flags, "connections", call_connections(model, contact));
    return flags;
}

/* Key-value data reads as the pairs themselves, so that it can be written back as it was read. */
static json_t *render_data(const struct node *contact)
{
    json_t *data = json_object_get(contact->facts, "data");
    const char *type = json_string_value(json_object_get(data, "type"));
    if (type != NULL && strcmp(type, "KEY_VALUE_PAIRS") == 0)
        return attached_value(data);
    return json_is_object(data) ? attached(contact) : json_object();
}

/* ---- user ---- */

static json_t *render_user(struct model *model, const struct node *user)
{
    const struct session *session = sessions_find_by_name(model->sessions, user->id);
    json_t *agents = ids_of(user, "agents"), *object;
    int unsupported =
        (session != NULL && session_is_shared(session)) || json_array_size(agents) > 1;

    object =
        json_pack("{s:s, s:s, s:o, s:o, s:o}", "user", user->id, "domain",
                  session != NULL ? session_domain(session) : "", "agents", agents, "terminals",
                  ids_of(user, "terminals"), "addresses", ids_of(user, "addresses"));
    if (unsupported && object != NULL)
        json_object_set_new(object, "unsupportedMapping", json_true());
    return object;
}

json_t *render(struct model *model, enum record_kind kind, const struct node *root)
{
    switch (kind) {
    case RECORD_AGENT:
        return render_agent(model, root);
    case RECORD_TERMINAL:
        return render_terminal(model, root);
    case RECORD_ADDRESS:
        return render_address(model, root);
    case RECORD_CALL:
        return render_call(model, root);
    case RECORD_USER:
        return render_user(model, root);
    case RECORD_CALL_CAPABILITIES:
        return render_call_capabilities(model, root);
    case RECORD_CALL_DATA:
        return render_data(root);
    case RECORD_CALL_INTRINSICS:
        return key_values(json_object_get(root->facts, "intrinsics"));
    case RECORD_CALL_UUI:
        return json_pack("{s:o}", "uui", text_or_null(json_object_get(root->facts, "uui")));
    case RECORD_CALL_MESSAGES:
        return json_pack("{s:o}", "items", fact(root, "messages"));
    case RECORD_AGENT_CAPABILITIES:
    case RECORD_TERMINAL_CAPABILITIES:
    case RECORD_ADDRESS_CAPABILITIES:
        return capabilities(root);
    default:
        return json_object();
    }
}

/* ---- single facts, for events ---- */

static json_t *id_of(enum entity kind, const json_t *handle)
{
    const char *id = handle_id(kind, handle);
    return id != NULL ? json_string(id) : json_null();
}

static json_t *attached_public(const json_t *data)
{
    return json_is_object(data)
               ? json_pack("{s:o, s:o}", "type", or_null(json_object_get(data, "type")), "value",
                           attached_value(data))
               : json_null();
}

json_t *public_value(const char *field, json_t *value)
{
    static const struct {
        const char *field;
        enum entity kind;
    } handles[] = {{"calling", ENTITY_ADDRESS},          {"called", ENTITY_ADDRESS},
                   {"lastRedirected", ENTITY_ADDRESS},   {"originalDestination", ENTITY_ADDRESS},
                   {"callingTerminal", ENTITY_TERMINAL}, {"voiceTerminal", ENTITY_TERMINAL}};
    size_t i;

    if (value == NULL)
        return json_null();
    for (i = 0; i < sizeof(handles) / sizeof(handles[0]); ++i)
        if (strcmp(field, handles[i].field) == 0)
            return id_of(handles[i].kind, value);
    if (strcmp(field, "data") == 0)
        return attached_public(value);
    if (strcmp(field, "intrinsics") == 0)
        return key_values(value);
    if (strcmp(field, "loggedIn") == 0)
        return json_string(json_is_true(value) ? "LOGGED_IN" : "LOGGED_OUT");
    if (strcmp(field, "forwarding") == 0)
        return forwarding_public(value);
    return json_incref(value);
}
