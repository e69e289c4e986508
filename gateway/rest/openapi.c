/* /openapi.json, made from the route table and the table of problems. */
#include <stdio.h>
#include <string.h>

#include "cctgate/version.h"
#include "gateway/rest/rest.h"

static const char *const schema_of_kind[RECORD_KINDS] = {
    [RECORD_AGENT] = "Agent",
    [RECORD_TERMINAL] = "Terminal",
    [RECORD_ADDRESS] = "Address",
    [RECORD_CALL] = "Call",
    [RECORD_USER] = "User",
    [RECORD_AGENT_CAPABILITIES] = "Capabilities",
    [RECORD_TERMINAL_CAPABILITIES] = "Capabilities",
    [RECORD_ADDRESS_CAPABILITIES] = "Capabilities",
    [RECORD_CALL_CAPABILITIES] = "Capabilities",
    [RECORD_CALL_DATA] = "CallData",
    [RECORD_CALL_INTRINSICS] = "Intrinsics",
    [RECORD_CALL_UUI] = "Uui",
    [RECORD_CALL_MESSAGES] = "Messages",
};

/* Clients must allow for more members than are named; the named ones are fixed. */
static const struct {
    const char *name, *schema;
} schemas[] = {
    {"Sync", "{\"type\":\"string\",\"enum\":[\"live\",\"cached\",\"stale\"]}"},
    {"Time", "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"},
    {"Agent",
     "{\"type\":\"object\",\"required\":[\"loginId\",\"sync\"],\"properties\":{\"loginId\":{"
     "\"type\":\"string\"},"
     "\"userName\":{\"type\":[\"string\",\"null\"]},\"agentType\":{\"type\":[\"string\",\"null\"]},"
     "\"loginStatus\":{\"type\":\"string\"},\"readyStatus\":{\"type\":[\"string\",\"null\"]},"
     "\"notReadyReasonCode\":{\"type\":[\"string\",\"null\"]},\"activityCode\":{\"type\":["
     "\"string\",\"null\"]},"
     "\"presence\":{\"type\":\"string\",\"enum\":[\"loggedOut\",\"notReady\",\"ready\",\"busy\","
     "\"afterCallWork\"]},"
     "\"voiceTerminal\":{\"type\":[\"string\",\"null\"]},\"terminals\":{\"$ref\":\"#/components/"
     "schemas/Names\"},"
     "\"addresses\":{\"$ref\":\"#/components/schemas/"
     "Names\"},\"supervisor\":{\"type\":[\"string\",\"null\"]},"
     "\"contactTypes\":{\"$ref\":\"#/components/schemas/"
     "Names\"},\"calls\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
     "\"capabilities\":{\"$ref\":\"#/components/schemas/"
     "Flags\"},\"control\":{\"type\":[\"object\",\"null\"]},"
     "\"sync\":{\"$ref\":\"#/components/schemas/Sync\"},\"staleSince\":{\"$ref\":\"#/components/"
     "schemas/Time\"}}}"},
    {"Names", "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"},
    {"Flags", "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"boolean\"}}"},
    {"Terminal",
     "{\"type\":\"object\",\"required\":[\"name\",\"sync\"],\"properties\":{\"name\":{\"type\":"
     "\"string\"},"
     "\"type\":{\"type\":[\"string\",\"null\"]},\"state\":{\"type\":[\"string\",\"null\"]},"
     "\"addresses\":{\"$ref\":\"#/components/schemas/"
     "Names\"},\"terminalConnections\":{\"type\":\"array\",\"items\":"
     "{\"type\":\"object\"}},\"agent\":{\"type\":[\"string\",\"null\"]},\"doNotDisturb\":{\"type\":"
     "[\"boolean\",\"null\"]},"
     "\"forwarding\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"capabilities\":{\"$"
     "ref\":"
     "\"#/components/schemas/Flags\"},\"sync\":{\"$ref\":\"#/components/schemas/"
     "Sync\"},\"staleSince\":{\"$ref\":"
     "\"#/components/schemas/Time\"}}}"},
    {"Address",
     "{\"type\":\"object\",\"required\":[\"name\",\"sync\"],\"properties\":{\"name\":{\"type\":"
     "\"string\"},"
     "\"type\":{\"type\":[\"string\",\"null\"]},\"state\":{\"type\":[\"string\",\"null\"]},"
     "\"terminals\":{\"$ref\":\"#/components/schemas/"
     "Names\"},\"connections\":{\"type\":\"array\",\"items\":"
     "{\"type\":\"object\"}},\"doNotDisturb\":{\"type\":[\"boolean\",\"null\"]},\"forwarding\":{"
     "\"type\":\"array\","
     "\"items\":{\"type\":\"object\"}},\"messageWaiting\":{\"type\":[\"boolean\",\"null\"]},"
     "\"capabilities\":{\"$ref\":"
     "\"#/components/schemas/Flags\"},\"sync\":{\"$ref\":\"#/components/schemas/"
     "Sync\"},\"staleSince\":{\"$ref\":"
     "\"#/components/schemas/Time\"}}}"},
    {"Call",
     "{\"type\":\"object\",\"required\":[\"contactId\",\"sync\"],\"properties\":{\"contactId\":{"
     "\"type\":\"string\"},"
     "\"externalContactId\":{\"type\":[\"string\",\"null\"]},\"contactTypes\":{\"$ref\":\"#/"
     "components/schemas/Names\"},"
     "\"calling\":{\"type\":[\"string\",\"null\"]},\"called\":{\"type\":[\"string\",\"null\"]},"
     "\"originalDestination\":{\"type\":[\"string\",\"null\"]},\"lastRedirected\":{\"type\":["
     "\"string\",\"null\"]},"
     "\"connections\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"data\":{\"type\":["
     "\"object\",\"null\"]},"
     "\"intrinsics\":{\"type\":\"object\"},\"uui\":{\"type\":[\"string\",\"null\"]},\"consultOf\":{"
     "\"type\":[\"string\",\"null\"]},"
     "\"transferredFrom\":{\"$ref\":\"#/components/schemas/Names\"},\"capabilities\":{\"$ref\":\"#/"
     "components/schemas/Flags\"},"
     "\"sync\":{\"$ref\":\"#/components/schemas/Sync\"},\"staleSince\":{\"$ref\":\"#/components/"
     "schemas/Time\"}}}"},
    {"User", "{\"type\":\"object\",\"required\":[\"user\",\"sync\"],\"properties\":{\"user\":{"
             "\"type\":\"string\"},\"domain\":"
             "{\"type\":\"string\"},\"agents\":{\"$ref\":\"#/components/schemas/"
             "Names\"},\"terminals\":{\"$ref\":"
             "\"#/components/schemas/Names\"},\"addresses\":{\"$ref\":\"#/components/schemas/"
             "Names\"},\"session\":{\"type\":\"object\"},"
             "\"unsupportedMapping\":{\"type\":\"boolean\"},\"sync\":{\"$ref\":\"#/components/"
             "schemas/Sync\"},\"staleSince\":{\"$ref\":"
             "\"#/components/schemas/Time\"}}}"},
    {"Capabilities", "{\"type\":\"object\",\"description\":\"The flags by name, each a boolean, "
                     "with sync and staleSince\"}"},
    {"CallData", "{\"type\":\"object\",\"description\":\"Key-value pairs, or {type, value} for "
                 "strings and binary\"}"},
    {"Intrinsics",
     "{\"type\":\"object\",\"additionalProperties\":{\"type\":[\"string\",\"null\"]}}"},
    {"Uui", "{\"type\":\"object\",\"properties\":{\"uui\":{\"type\":[\"string\",\"null\"]}}}"},
    {"Messages", "{\"type\":\"object\",\"properties\":{\"items\":{\"type\":[\"array\",\"null\"],"
                 "\"items\":{\"type\":\"object\"}}}}"},
    {"Problem",
     "{\"type\":\"object\",\"required\":[\"type\",\"title\",\"status\"],\"properties\":{\"type\":{"
     "\"type\":\"string\"},"
     "\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":"
     "\"string\"},\"pointer\":"
     "{\"type\":\"string\"},\"fault\":{\"type\":\"string\"},\"service\":{\"type\":\"string\"},"
     "\"operation\":{\"type\":"
     "\"string\"},\"outcome\":{\"type\":\"string\"},\"retryAfter\":{\"type\":\"integer\"}}}"},
};

static json_t *reference(const char *name)
{
    char text[64];
    snprintf(text, sizeof(text), "#/components/schemas/%s", name);
    return json_pack("{s:s}", "$ref", text);
}

static json_t *schema_of(const struct route *route)
{
    const char *name = route->kind != 0 ? schema_of_kind[route->kind] : NULL;
    if (name == NULL)
        return json_pack("{s:s}", "type", "object");
    if ((route->takes & TAKES_PAGE) != 0)
        return json_pack("{s:s, s:[s], s:{s:{s:s, s:o}}}", "type", "object", "required", "items",
                         "properties", "items", "type", "array", "items", reference(name));
    return reference(name);
}

static json_t *parameter(const char *name, const char *in, int required, json_t *schema,
                         const char *description)
{
    return json_pack("{s:s, s:s, s:b, s:o, s:s}", "name", name, "in", in, "required", required,
                     "schema", schema, "description", description);
}

static json_t *text_schema(void)
{
    return json_pack("{s:s}", "type", "string");
}

static void add_events_parameters(json_t *list)
{
    static const struct {
        const char *name, *in, *description;
    } rows[] = {
        {"types", "query",
         "event types, with commas between; for text/event-stream, as are the others"},
        {"subjects", "query", "paths of resources, with commas between; what is below them, too"},
        {"agents", "query", "login ids, with commas between"},
        {"since", "query", "the id of the last event that the client has"},
        {"snapshot", "query", "true: what there is comes first"},
        {"ticket", "query", "a ticket instead of a token, for a WebSocket, too"},
        {"Last-Event-ID", "header", "goes before since"}};
    size_t i;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i)
        json_array_append_new(
            list, parameter(rows[i].name, rows[i].in, 0, text_schema(), rows[i].description));
}

static json_t *parameters_of(const struct route *route)
{
    json_t *list = json_array();
    const char *open;

    for (open = strchr(route->path, '{'); open != NULL; open = strchr(open + 1, '{')) {
        char name[32];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(open + 1, "}"), open + 1);
        json_array_append_new(list,
                              parameter(name, "path", 1, text_schema(), "percent-encoded UTF-8"));
    }
    if ((route->takes & TAKES_PAGE) != 0) {
        json_t *range = json_pack("{s:s, s:i, s:i, s:i}", "type", "integer", "minimum", 1,
                                  "maximum", CG_PAGE_MAX, "default", CG_PAGE_DEFAULT);
        json_array_append_new(list,
                              parameter("limit", "query", 0, range, "how many items a page has"));
        json_array_append_new(list, parameter("after", "query", 0, text_schema(),
                                              "the id that the last page ended with"));
    }
    if (route->handler == get_events)
        add_events_parameters(list);
    if (route->roles != 0 && route->handler != get_events && route->handler != post_ticket) {
        json_array_append_new(list, parameter("CCT-User", "header", 0, text_schema(),
                                              "one of the token's CCT users"));
        json_array_append_new(list,
                              parameter("Cache-Control", "header", 0, text_schema(),
                                        "no-cache, only-if-cached, max-age, max-stale, min-fresh"));
        json_array_append_new(list, parameter("If-None-Match", "header", 0, text_schema(),
                                              "an ETag that the client holds"));
    }
    return list;
}

static json_t *problem_response(const char *description)
{
    return json_pack("{s:s, s:{s:{s:o}}}", "description", description, "content",
                     "application/problem+json", "schema", reference("Problem"));
}

static const char *media_type(const struct route *route)
{
    if (route->handler == get_events)
        return "text/event-stream";
    if (route->handler == get_metrics)
        return "application/openmetrics-text";
    return route->handler == get_index ? "text/html" : "application/json";
}

static const char *success_of(const struct route *route)
{
    return route->handler == post_ticket ? "201" : "200";
}

static json_t *operation_of(const struct route *route)
{
    json_t *responses =
        json_pack("{s:{s:s, s:{s:{s:o}}}, s:o}", success_of(route), "description", route->summary,
                  "content", media_type(route), "schema", schema_of(route), "default",
                  problem_response("A problem document"));
    json_t *operation = json_pack("{s:s, s:o, s:o}", "summary", route->summary, "parameters",
                                  parameters_of(route), "responses", responses);

    if (route->kind != 0)
        json_object_set_new(responses, "304",
                            json_pack("{s:s}", "description", "What the client holds is current"));
    if (route->handler == get_events)
        json_object_set_new(
            responses, "101",
            json_pack("{s:s}", "description", "A WebSocket: Upgrade, subprotocol cctgate.v1"));
    if (route->roles != 0) {
        json_object_set_new(responses, "401", problem_response("No valid token"));
        json_object_set_new(operation, "security", json_pack("[{s:[]}]", "bearer"));
    }
    if (route->handler == get_events)
        json_object_set_new(responses, "101",
                            json_pack("{s:s}", "description", "A WebSocket; see /asyncapi.json"));
    if (strcmp(route->methods, "POST") == 0)
        json_object_set_new(operation, "requestBody",
                            json_pack("{s:b, s:{s:{s:{s:s}}}}", "required",
                                      (route->takes & TAKES_EMPTY_BODY) == 0, "content",
                                      "application/json", "schema", "type", "object"));
    return operation;
}

json_t *openapi_schemas(void)
{
    json_t *all = json_object();
    size_t i;
    for (i = 0; i < sizeof(schemas) / sizeof(schemas[0]); ++i)
        json_object_set_new(all, schemas[i].name, json_loads(schemas[i].schema, 0, NULL));
    return all;
}

static json_t *components(void)
{
    return json_pack("{s:o, s:{s:{s:s, s:s}}}", "schemas", openapi_schemas(), "securitySchemes",
                     "bearer", "type", "http", "scheme", "bearer");
}

void get_openapi(struct request *request)
{
    json_t *paths = json_object();
    size_t i;

    for (i = 0; i < num_routes; ++i)
        json_object_set_new(paths, routes[i].path,
                            json_pack("{s:o}",
                                      strcmp(routes[i].methods, "POST") == 0 ? "post" : "get",
                                      operation_of(&routes[i])));
    respond_json(request, 200,
                 json_pack("{s:s, s:{s:s, s:s}, s:o, s:o}", "openapi", "3.1.0", "info", "title",
                           "cctgate", "version", CCTGATE_VERSION, "paths", paths, "components",
                           components()));
}
