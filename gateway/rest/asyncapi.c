/*
 * /asyncapi.json, AsyncAPI 3.0: the events and how to come by them, made from the tables that the program runs on (event types, operations,
 * messages, close codes, limits) and from the contract's own types.
 *
 * What depends on the request or on settings is made each time; the rest, which is long, once per front.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/codec.h"
#include "cctgate/config.h"
#include "cctgate/version.h"
#include "gateway/events/handshake.h"
#include "gateway/events/protocol.h"
#include "gateway/events/text.h"
#include "gateway/model/payload.h"
#include "gateway/rest/rest.h"

#define EVENTS_PATH       "/v1/events"
#define NOTIFY_SERVICE    "NotificationConsumer"
#define NOTIFY_OPERATION  "Notify"
#define DEFINITIONS       "#/$defs/"
#define WIRE_PREFIX       "wire."
#define SCHEMA_NAME_BYTES 256
#define TEXT_OF(number)   TEXT_OF_(number)
#define TEXT_OF_(number)  #number

/* clang-format off */
static const struct {
    const char *name, *schema;
} schemas[] = {
    {"Seq", "{\"type\":\"integer\",\"minimum\":0,\"description\":\"A place in the gateway's one number line of events\"}"},
    {"EventId", "{\"type\":\"string\",\"pattern\":\"^[0-9]+-[0-9]+$\",\"description\":\"<epoch>-<seq>\"}"},
    {"Subject", "{\"type\":\"string\",\"pattern\":\"^/\",\"description\":\"The path of the resource\"}"},
    {"SubscriptionId", "{\"type\":\"string\",\"minLength\":1,\"maxLength\":" TEXT_OF(CG_SUBSCRIPTION_ID_BYTES_MAX) "}"},
    {"MessageId", "{\"type\":[\"string\",\"integer\",\"null\"],\"maxLength\":" TEXT_OF(CG_SUBSCRIPTION_ID_BYTES_MAX) ",\"description\":\"What the answer repeats\"}"},
    {"Lease", "{\"type\":\"string\",\"minLength\":" TEXT_OF(CONTROL_LEASE_BYTES) ",\"maxLength\":" TEXT_OF(CONTROL_LEASE_BYTES) ",\"pattern\":\"^[A-Za-z0-9_-]*$\",\"description\":\"A secret, as attaching to an agent gave it\"}"},
    {"Limits", "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}"},
    {"CloudEvent",
        "{\"type\":\"object\",\"required\":[\"specversion\",\"id\",\"source\",\"type\",\"subject\",\"time\",\"datacontenttype\",\"seq\",\"data\"],\"properties\":{"
        "\"specversion\":{\"const\":\"1.0\"},\"id\":{\"$ref\":\"#/components/schemas/EventId\"},\"source\":{\"const\":\"/cctgate\"},"
        "\"type\":{\"$ref\":\"#/components/schemas/EventType\"},\"subject\":{\"$ref\":\"#/components/schemas/Subject\"},"
        "\"time\":{\"type\":\"string\",\"format\":\"date-time\"},\"datacontenttype\":{\"const\":\"application/json\"},"
        "\"seq\":{\"$ref\":\"#/components/schemas/Seq\"},"
        "\"agent\":{\"type\":\"string\",\"description\":\"The login id of the agent it is about, where known\"},"
        "\"agents\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"description\":\"The login ids of all agents whom it concerns\"},"
     "\"derived\":{\"const\":true,\"description\":\"Not notified by the contact centre: found by the gateway\"},"
        "\"coalesced\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"So many older ones of this property were left out for a slow client\"},"
        "\"data\":{\"type\":\"object\"}}}"},
    {"EventData",
     "{\"type\":\"object\",\"description\":\"What any event may say; the rest goes by its type\",\"properties\":{"
     "\"agent\":{\"type\":[\"string\",\"null\"],\"description\":\"The login id of the agent it is about, where known\"},"
     "\"derived\":{\"const\":true,\"description\":\"Not notified by the contact centre: found by the gateway\"},"
     "\"reconciled\":{\"const\":true,\"description\":\"Found by reading again\"}}}"},
    {"Filter",
        "{\"type\":\"object\",\"description\":\"Sets are and'ed, members of a set or'ed; an empty set is no condition\",\"properties\":{"
        "\"types\":{\"type\":[\"array\",\"null\"],\"items\":{\"$ref\":\"#/components/schemas/EventType\"},\"maxItems\":" TEXT_OF(CG_FILTER_MEMBERS_MAX) "},"
        "\"subjects\":{\"type\":[\"array\",\"null\"],\"items\":{\"$ref\":\"#/components/schemas/Subject\"},\"maxItems\":" TEXT_OF(CG_FILTER_MEMBERS_MAX) ",\"description\":\"Resources with all that is below them\"},"
        "\"agents\":{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"string\"},\"maxItems\":" TEXT_OF(CG_FILTER_MEMBERS_MAX) "}}}"},
};

static const char websocket_bindings[] =
    "{\"ws\":{\"method\":\"GET\",\"bindingVersion\":\"0.1.0\","
    "\"query\":{\"type\":\"object\",\"properties\":{\"ticket\":{\"type\":\"string\"}}},"
    "\"headers\":{\"type\":\"object\",\"properties\":{\"Sec-WebSocket-Protocol\":{\"type\":\"string\",\"examples\":[\"" HANDSHAKE_SUBPROTOCOL "\",\"" HANDSHAKE_SUBPROTOCOL ", bearer.<token>\"]}}}}}";

static const char stream_bindings[] =
    "{\"http\":{\"method\":\"GET\",\"bindingVersion\":\"0.3.0\",\"query\":{\"type\":\"object\",\"properties\":{"
    "\"types\":{\"type\":\"string\",\"description\":\"Names, with commas between\"},"
    "\"subjects\":{\"type\":\"string\",\"description\":\"Paths, with commas between; a comma inside one is escaped\"},"
    "\"agents\":{\"type\":\"string\",\"description\":\"Login ids, with commas between\"},"
    "\"since\":{\"$ref\":\"#/components/schemas/EventId\"},\"snapshot\":{\"type\":\"boolean\"},\"ticket\":{\"type\":\"string\"}}}}}";

static const char security[] =
    "{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
    "\"subprotocol\":{\"type\":\"httpApiKey\",\"in\":\"header\",\"name\":\"Sec-WebSocket-Protocol\",\"description\":\"bearer.<token> beside " HANDSHAKE_SUBPROTOCOL "; only " HANDSHAKE_SUBPROTOCOL " is echoed\"},"
    "\"ticket\":{\"type\":\"httpApiKey\",\"in\":\"query\",\"name\":\"ticket\",\"description\":\"From POST /v1/events/ticket with the bearer token; good for one stream\"}}";
/* clang-format on */

static json_t *parse(const char *text)
{
    return json_loads(text, 0, NULL);
}

static json_t *reference(const char *where, const char *name)
{
    return json_pack("{s:s+}", "$ref", where, name);
}
#define SCHEMA(name) reference("#/components/schemas/", (name))

/* ---- schemas ---- */

static json_t *told_schema(const struct contract *contract)
{
    const struct contract_operation *op = contract_find(contract, NOTIFY_SERVICE, NOTIFY_OPERATION);
    return op != NULL ? codec_told_schema(op) : NULL;
}

static json_t *data_schema(const json_t *told, enum event_type type)
{
    json_t *schema = NULL;

    if (event_types[type].schema != NULL)
        return parse(event_types[type].schema);
    if (told != NULL && event_types[type].wire != NULL)
        schema = payload_schema(told, type);
    return schema != NULL ? schema : json_pack("{s:s}", "type", "object");
}

/* A type's own event: the envelope with its name and its data. */
static void add_event_schema(json_t *all, const json_t *told, enum event_type type)
{
    const char *name = event_types[type].name;
    char data_name[SCHEMA_NAME_BYTES];

    snprintf(data_name, sizeof(data_name), "%s.data", name);
    json_object_set_new(all, data_name, data_schema(told, type));
    json_object_set_new(all, name,
                        json_pack("{s:[o, {s:{s:{s:s}, s:{s:[o, o]}}}], s:s}", "allOf",
                                  SCHEMA("CloudEvent"), "properties", "type", "const", name, "data",
                                  "allOf", SCHEMA("EventData"), SCHEMA(data_name), "description",
                                  event_types[type].summary));
}

static json_t *own_schemas(const struct contract *contract, const json_t *told)
{
    json_t *all = openapi_schemas(contract), *names = json_array();
    size_t i;

    for (i = 0; i < sizeof(schemas) / sizeof(schemas[0]); ++i)
        json_object_set_new(all, schemas[i].name, parse(schemas[i].schema));
    for (i = 0; i < EVENT_TYPES; ++i) {
        json_array_append_new(names, json_string(event_types[i].name));
        add_event_schema(all, told, (enum event_type)i);
    }
    json_object_set_new(all, "EventType", json_pack("{s:o}", "enum", names));
    return all;
}

/* ---- the contract's definitions, those that are referred to ---- */

/* Looks at one more reference of the text; *at moves behind it. 0: there is none. */
static int next_reference(const char **at, char *name, size_t size)
{
    const char *end;

    if ((*at = strstr(*at, "\"" DEFINITIONS)) == NULL)
        return 0;
    *at += 1 + strlen(DEFINITIONS);
    end = strchr(*at, '"');
    snprintf(name, size, "%.*s", (int)(end - *at), *at);
    return 1;
}

/* What the schema refers to gets a place in `all`, and is put in the queue if it had none. */
static void want_references(json_t *all, json_t *queue, const json_t *schema)
{
    char *text = json_dumps(schema, JSON_COMPACT), name[SCHEMA_NAME_BYTES],
         own[SCHEMA_NAME_BYTES + sizeof(WIRE_PREFIX)];
    const char *at = text;

    while (at != NULL && next_reference(&at, name, sizeof(name))) {
        snprintf(own, sizeof(own), WIRE_PREFIX "%s", name);
        if (json_object_get(all, own) != NULL)
            continue;
        json_object_set_new(all, own, json_object());
        json_array_append_new(queue, json_string(name));
    }
    free(text);
}

static void add_definitions(json_t *all, const json_t *told)
{
    json_t *queue = json_array();
    size_t i;

    want_references(all, queue, all);
    for (i = 0; i < json_array_size(queue); ++i) {
        const char *name = json_string_value(json_array_get(queue, i));
        json_t *found = json_object_get(json_object_get(told, "$defs"), name);
        char own[SCHEMA_NAME_BYTES + sizeof(WIRE_PREFIX)];
        snprintf(own, sizeof(own), WIRE_PREFIX "%s", name);
        json_object_set(all, own, found);
        want_references(all, queue, found);
    }
    json_decref(queue);
}

/* The document's references are to the places that the definitions have there. */
static char *relocate(const char *text)
{
    static const char from[] = "\"" DEFINITIONS, to[] = "\"#/components/schemas/" WIRE_PREFIX;
    struct text out = {NULL, 0, 0};
    const char *stop;

    for (; (stop = strstr(text, from)) != NULL; text = stop + sizeof(from) - 1) {
        text_add(&out, text, (size_t)(stop - text));
        text_add(&out, to, sizeof(to) - 1);
    }
    text_add(&out, text, strlen(text) + 1);
    return out.bytes;
}

/* ---- messages ---- */

/* What a WebSocket says: the schema with `op`, and with the subscription's id where it names one. */
static json_t *with_op(const char *op, int names_one, json_t *schema)
{
    json_t *head = json_pack("{s:s, s:[s], s:{s:{s:s}}}", "type", "object", "required", "op",
                             "properties", "op", "const", op);
    if (names_one) {
        json_array_append_new(json_object_get(head, "required"), json_string("id"));
        json_object_set_new(json_object_get(head, "properties"), "id", SCHEMA("SubscriptionId"));
    }
    return json_pack("{s:[o, o]}", "allOf", head, schema);
}

static json_t *message(const char *name, const char *summary, json_t *payload)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "name", name, "summary", summary, "contentType",
                     "application/json", "payload", payload);
}

static json_t *event_payload(enum event_type type, enum stream stream)
{
    json_t *event = SCHEMA(event_types[type].name);

    if (stream == STREAM_SSE)
        return event;
    return with_op("event", 1,
                   json_pack("{s:s, s:[s], s:{s:o, s:{s:s, s:i}}}", "type", "object", "required",
                             "event", "properties", "event", event, "coalesced", "type", "integer",
                             "minimum", 1));
}

static json_t *messages_of(enum stream stream)
{
    json_t *all = json_object();
    size_t i;

    for (i = 0; i < SERVER_MESSAGES; ++i) {
        const struct server_message_row *row = &server_messages[i];
        json_t *schema = parse(row->schema);
        if (stream == STREAM_WEBSOCKET)
            schema = with_op(row->op, row->names_one, schema);
        if ((row->streams & stream) != 0)
            json_object_set_new(all, row->op, message(row->op, row->summary, schema));
        else
            json_decref(schema);
    }
    for (i = 0; i < EVENT_TYPES; ++i)
        json_object_set_new(all, event_types[i].name,
                            message(event_types[i].name, event_types[i].summary,
                                    event_payload((enum event_type)i, stream)));
    for (i = 0; stream == STREAM_WEBSOCKET && i < num_client_operations; ++i)
        if (client_operations[i].summary != NULL)
            json_object_set_new(
                all, client_operations[i].op,
                message(client_operations[i].op, client_operations[i].summary,
                        with_op(client_operations[i].op, 0, parse(client_operations[i].schema))));
    return all;
}

/* ---- channels ---- */

static json_t *closes(void)
{
    json_t *all = json_array();
    size_t i;
    for (i = 0; i < num_close_codes; ++i)
        json_array_append_new(all, json_pack("{s:i, s:b, s:s}", "code", (int)close_codes[i].code,
                                             "mayResume", close_codes[i].may_resume, "summary",
                                             close_codes[i].summary));
    return all;
}

static json_t *channels(void)
{
    json_t *websocket = json_pack(
        "{s:s, s:s, s:s, s:[o], s:o, s:o, s:o}", "address", EVENTS_PATH, "title", "WebSocket",
        "description",
        "Subprotocol " HANDSHAKE_SUBPROTOCOL ". Pages of another origin may connect where "
        "events.origins of the configuration names it. After a loss, subscribe with `since`: the "
        "id "
        "of the last event, or the epoch with the last seq that was told.",
        "servers", reference("#/servers/", "websocket"), "bindings", parse(websocket_bindings),
        "messages", messages_of(STREAM_WEBSOCKET), "x-close-codes", closes());
    json_t *stream = json_pack(
        "{s:s, s:s, s:s, s:[o], s:o}", "address", EVENTS_PATH, "title", "Server-sent events",
        "description",
        "Accept: text/event-stream. One subscription, made of the query; the event's name is the "
        "message's. Last-Event-ID resumes and goes before `since`.",
        "servers", reference("#/servers/", "stream"), "messages", messages_of(STREAM_SSE));

    return json_pack("{s:o, s:o}", "websocket", websocket, "stream", stream);
}

/* ---- operations: what the gateway receives and sends ---- */

static json_t *message_reference(const char *channel, const char *name)
{
    return json_pack("{s:o}", "$ref", json_sprintf("#/channels/%s/messages/%s", channel, name));
}

static json_t *operation(const char *action, const char *channel, const char *summary,
                         json_t *messages)
{
    return json_pack("{s:s, s:o, s:s, s:o}", "action", action, "channel",
                     reference("#/channels/", channel), "summary", summary, "messages", messages);
}

static json_t *client_operation(const struct client_operation *row)
{
    json_t *json = operation("receive", "websocket", row->summary,
                             json_pack("[o]", message_reference("websocket", row->op)));
    json_t *answers = json_pack("[o]", message_reference("websocket", "error"));

    if (row->answer != NULL)
        json_array_append_new(answers, message_reference("websocket", row->answer));
    json_object_set_new(json, "reply",
                        json_pack("{s:o, s:o}", "channel", reference("#/channels/", "websocket"),
                                  "messages", answers));
    return json;
}

static json_t *event_references(const char *channel)
{
    json_t *all = json_array();
    size_t i;
    for (i = 0; i < EVENT_TYPES; ++i)
        json_array_append_new(all, message_reference(channel, event_types[i].name));
    return all;
}

static void add_operation(json_t *all, const char *channel, const char *name, json_t *json)
{
    char id[SCHEMA_NAME_BYTES];
    snprintf(id, sizeof(id), "%s.%s", channel, name);
    json_object_set_new(all, id, json);
}

static void add_sending(json_t *all, const char *channel, enum stream stream)
{
    json_t *events = operation("send", channel, "The events, in the order of their seq, each once",
                               event_references(channel));
    size_t i;

    for (i = 0; i < SERVER_MESSAGES; ++i) {
        const struct server_message_row *row = &server_messages[i];
        if ((row->streams & stream) != 0 && !row->is_answer)
            add_operation(all, channel, row->op,
                          operation("send", channel, row->summary,
                                    json_pack("[o]", message_reference(channel, row->op))));
    }
    if (stream == STREAM_SSE)
        json_object_set_new(events, "bindings", parse(stream_bindings));
    add_operation(all, channel, "events", events);
}

static json_t *operations(void)
{
    json_t *all = json_object();
    size_t i;

    for (i = 0; i < num_client_operations; ++i)
        if (client_operations[i].summary != NULL)
            add_operation(all, "websocket", client_operations[i].op,
                          client_operation(&client_operations[i]));
    add_sending(all, "websocket", STREAM_WEBSOCKET);
    add_sending(all, "stream", STREAM_SSE);
    return all;
}

/* ---- the document ---- */

/* The part that is the same for all requests, without its opening brace; malloc'ed. */
static char *make_rest(const struct contract *contract)
{
    json_t *told = told_schema(contract), *all = own_schemas(contract, told), *json;
    char *text, *relocated;

    add_definitions(all, told);
    json = json_pack("{s:o, s:o, s:{s:o, s:o}}", "channels", channels(), "operations", operations(),
                     "components", "schemas", all, "securitySchemes", parse(security));
    text = json_dumps(json, JSON_COMPACT);
    if (text == NULL)
        abort();
    relocated = relocate(text + 1);
    free(text);
    json_decref(json);
    json_decref(told);
    return relocated;
}

static json_t *server(const char *protocol, const char *host, const char *description,
                      int by_subprotocol)
{
    json_t *ways = json_pack("[o, o]", reference("#/components/securitySchemes/", "bearer"),
                             reference("#/components/securitySchemes/", "ticket"));
    if (by_subprotocol)
        json_array_append_new(ways, reference("#/components/securitySchemes/", "subprotocol"));
    return json_pack("{s:s, s:s, s:s, s:o}", "host", host, "protocol", protocol, "description",
                     description, "security", ways);
}

/* The client's own word for where it found us, if it could be a host and a port. */
static void take_host(const struct request *request, char *host, size_t size)
{
    h2o_iovec_t authority = request->h2o->authority;
    size_t i;

    snprintf(host, size, "localhost");
    if (authority.len == 0 || authority.len >= size)
        return;
    for (i = 0; i < authority.len; ++i)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]",
                   authority.base[i]) == NULL ||
            authority.base[i] == '\0')
            return;
    snprintf(host, size, "%.*s", (int)authority.len, authority.base);
}

static json_t *make_head(const struct request *request)
{
    int is_tls = request->h2o->scheme == &H2O_URL_SCHEME_HTTPS;
    char host[300];

    take_host(request, host, sizeof(host));
    return json_pack(
        "{s:s, s:{s:s, s:s, s:s}, s:s, s:{s:o, s:o}, s:o}", "asyncapi", "3.0.0", "info", "title",
        "cctgate", "version", CCTGATE_VERSION, "description",
        "Events of the contact centre and of the gateway. An event arrives in order and once per "
        "subscription, or the gap is announced.",
        "defaultContentType", "application/json", "servers", "websocket",
        server(is_tls ? "wss" : "ws", host, "RFC 6455", 1), "stream",
        server(is_tls ? "https" : "http", host, "Server-sent events", 0), "x-limits",
        protocol_limits(policy_config(request->policy)));
}

void get_asyncapi(struct request *request)
{
    struct front *front = request->front;
    json_t *head = make_head(request);
    char *begin = json_dumps(head, JSON_COMPACT);
    struct text text = {NULL, 0, 0};

    if (begin == NULL)
        abort();
    if (front->asyncapi == NULL)
        front->asyncapi = make_rest(front->fronts->contract);
    text_add(&text, begin, strlen(begin) - 1);
    text_add(&text, ",", 1);
    text_add_string(&text, front->asyncapi);
    respond_text(request, "application/json", text.bytes, text.length);
    text_release(&text);
    free(begin);
    json_decref(head);
}
