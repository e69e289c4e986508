/*
 * /openapi.json, OpenAPI 3.1: what is read, from the route table; commands from theirs, the catalogue from the contract. The document is the
 * same for all requests as long as the program runs: made for the first that asks, sent from where it lies.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/version.h"
#include "gateway/rest/openapi.h"
#include "gateway/rest/rest.h"

#define NAME_BYTES 128

/* ---- what resources answer ---- */

static const char *const schema_of_kind[RECORD_KINDS] = {
    [RECORD_AGENT] = "Agent",
    [RECORD_TERMINAL] = "Terminal",
    [RECORD_ADDRESS] = "Address",
    [RECORD_CALL] = "Call",
    [RECORD_USER] = "User",
    [RECORD_AGENT_CAPABILITIES] = "AgentCapabilities",
    [RECORD_TERMINAL_CAPABILITIES] = "TerminalCapabilities",
    [RECORD_ADDRESS_CAPABILITIES] = "AddressCapabilities",
    [RECORD_CALL_CAPABILITIES] = "CallCapabilities",
    [RECORD_CALL_DATA] = "CallData",
    [RECORD_CALL_INTRINSICS] = "Intrinsics",
    [RECORD_CALL_UUI] = "Uui",
    [RECORD_CALL_MESSAGES] = "Messages",
};

/* Of those that are no record: by path, ids are told by their places. The schema is NULL for a text. */
static const struct answer {
    const char *path, *id, *media_type, *schema;
    int unready; /* with 503 it answers the same, not a problem */
    const char *parameters;
} answers[] = {
    {"/v1/sessions", "listSessions", "application/json", "Sessions", 0, ""},
    {"/v1/capacity", "getCapacity", "application/json", "Capacity", 0, ""},
    {"/v1/services", "listServices", "application/json", "Services", 0, ""},
    {"/v1/services/{}", "getService", "application/json", "Service", 0, ""},
    {"/v1/services/{}/{}", "getServiceOperation", "application/json", "ServiceOperation", 0, ""},
    {"/v1/agents/{}/control", "getControl", "application/json", "Control", 0, ""},
    {"/v1/audit", "listAudit", "application/json", "Audit", 0,
     "AuditLimit AuditBefore AuditAgent AuditApplication AuditWhat AuditSince AuditUntil"},
    {"/v1/events", "getEvents", "text/event-stream", NULL, 0,
     "EventTypes EventSubjects EventAgents EventsSince EventsSnapshot EventsTicket LastEventId"},
    {"/openapi.json", "getOpenapi", "application/json", NULL, 0, ""},
    {"/asyncapi.json", "getAsyncapi", "application/json", NULL, 0, ""},
    {"/metrics", "getMetrics", "application/openmetrics-text", NULL, 0, ""},
    {"/healthz", "getHealth", "application/json", "Health", 1, ""},
    {"/readyz", "getReadiness", "application/json", "Readiness", 1, ""},
    {"/problems/{}", "getProblem", "application/json", "ProblemType", 0, ""},
    {"/", "getIndex", "text/html", NULL, 0, ""},
};

/* "/v1/services/{service}" is "/v1/services/{}" */
static int is_path(const char *path, const char *pattern)
{
    for (; *path != '\0' && *pattern != '\0'; ++path, ++pattern) {
        if (*path != *pattern)
            return 0;
        if (*path == '{') {
            path = strchr(path, '}');
            ++pattern;
        }
    }
    return *path == *pattern;
}

static const struct answer *answer_of(const struct route *route)
{
    size_t i;
    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); ++i)
        if (is_path(route->path, answers[i].path))
            return &answers[i];
    return NULL;
}

/* ---- reads ---- */

static const char *schema_name(const struct route *route)
{
    const struct answer *answer = answer_of(route);
    if (route->kind != 0)
        return schema_of_kind[route->kind];
    return answer != NULL ? answer->schema : NULL;
}

static json_t *schema_of(const struct route *route)
{
    const char *name = schema_name(route);
    const struct answer *answer = answer_of(route);

    if (name == NULL)
        return json_pack("{s:s}", "type",
                         answer != NULL && strcmp(answer->media_type, "application/json") != 0
                             ? "string"
                             : "object");
    if ((route->takes & TAKES_PAGE) != 0)
        return json_pack("{s:s, s:[s], s:{s:{s:s, s:o}}}", "type", "object", "required", "items",
                         "properties", "items", "type", "array", "items", SCHEMA(name));
    return SCHEMA(name);
}

static json_t *example_of(const struct route *route)
{
    const char *name = schema_name(route);
    json_t *example = name != NULL ? openapi_example(name) : NULL;

    if (example != NULL && (route->takes & TAKES_PAGE) != 0)
        return json_pack("{s:[o]}", "items", example);
    return example;
}

static void add_parameters(json_t *list, const char *names)
{
    while (*names != '\0') {
        char name[32];
        size_t length = strcspn(names, " ");
        snprintf(name, sizeof(name), "%.*s", (int)length, names);
        json_array_append_new(list, openapi_reference("parameters", name));
        names += length + (names[length] == ' ');
    }
}

static json_t *parameters_of(const struct route *route)
{
    json_t *list = openapi_path_parameters(route->path);
    const struct answer *answer = answer_of(route);

    if (route->kind != 0)
        add_parameters(list, "CctUser CacheControl IfNoneMatch");
    if ((route->takes & TAKES_PAGE) != 0)
        add_parameters(list, "Limit After");
    if (answer != NULL)
        add_parameters(list, answer->parameters);
    return list;
}

static const char *headers_of(const struct route *route)
{
    if ((route->takes & TAKES_PAGE) != 0)
        return "ETag CacheControl CacheStatus Age Link";
    if (route->kind == RECORD_CALL_DATA || route->kind == RECORD_CALL_INTRINSICS)
        return "ETag CacheControl CacheStatus Age CctSync";
    if (route->kind != 0)
        return "ETag CacheControl CacheStatus Age";
    if (is_path(route->path, "/v1/audit"))
        return "CacheControl Link";
    return is_path(route->path, "/openapi.json") ? "ETag CacheControl" : "CacheControl";
}

static json_t *responses_of(const struct route *route)
{
    static const int of_records[] = {400, 401, 403, 404, 406, 502, 503, 504, 0};
    static const int of_others[] = {400, 401, 403, 404, 503, 504, 0};
    static const int of_events[] = {400, 401, 403, 406, 426, 429, 503, 0};
    static const int open[] = {404, 0}, none[] = {0};
    const struct answer *answer = answer_of(route);
    json_t *responses = json_object();

    json_object_set_new(responses, "200",
                        openapi_response(route->summary, headers_of(route),
                                         answer != NULL ? answer->media_type : "application/json",
                                         schema_of(route), example_of(route)));
    if (strstr(headers_of(route), "ETag") != NULL)
        json_object_set_new(responses, "304",
                            openapi_response("What the client holds is current", headers_of(route),
                                             NULL, NULL, NULL));
    if (answer != NULL && answer->unready)
        json_object_set_new(responses, "503",
                            openapi_response("The same, when it is not so", "CacheControl",
                                             answer->media_type, schema_of(route), NULL));
    if (route->handler == get_events)
        json_object_set_new(responses, "101",
                            openapi_response("A WebSocket, subprotocol cctgate.v1; see "
                                             "/asyncapi.json",
                                             "", NULL, NULL, NULL));
    openapi_add_problems(responses, route->handler == get_events ? of_events
                                    : route->kind != 0           ? of_records
                                    : route->roles != 0          ? of_others
                                    : strchr(route->path, '{')   ? open
                                                                 : none);
    return responses;
}

/* listAgents, getAgent, getCallUui */
static json_t *operation_id(const struct route *route)
{
    const struct answer *answer = answer_of(route);
    const char *schema = route->kind != 0 ? schema_of_kind[route->kind] : NULL;

    if (answer != NULL)
        return json_string(answer->id);
    if (schema == NULL)
        return NULL;
    if ((route->takes & TAKES_PAGE) != 0)
        return json_sprintf("list%s%s", schema, schema[strlen(schema) - 1] == 's' ? "es" : "s");
    return json_sprintf(
        "get%s%s",
        strstr(route->path, "/calls/") != NULL && strncmp(schema, "Call", 4) != 0 ? "Call" : "",
        schema);
}

static json_t *read_of(const struct route *route)
{
    json_t *id = operation_id(route);
    json_t *operation = json_pack("{s:s, s:[s], s:o, s:o}", "summary", route->summary, "tags",
                                  route->roles != 0 ? "Read" : "Gateway", "parameters",
                                  parameters_of(route), "responses", responses_of(route));
    if (id != NULL)
        json_object_set_new(operation, "operationId", id);
    json_object_set_new(operation, "security", openapi_security(route->roles));
    return operation;
}

static json_t *ticket_of(const struct route *route)
{
    static const int problems[] = {400, 401, 403, 429, 503, 0};
    json_t *responses = json_object();

    json_object_set_new(responses, "201",
                        openapi_response(route->summary, "CacheControl", "application/json",
                                         SCHEMA("Ticket"), NULL));
    openapi_add_problems(responses, problems);
    return json_pack("{s:s, s:s, s:[s], s:o, s:o, s:{s:b, s:{s:{s:{s:s}}}}}", "operationId",
                     "createTicket", "summary", route->summary, "tags", "Events", "security",
                     openapi_security(route->roles), "responses", responses, "requestBody",
                     "required", 0, "content", "application/json", "schema", "type", "object");
}

static json_t *sign_on_of(const struct route *route)
{
    static const int problems[] = {400, 401, 413, 415, 429, 502, 503, 504, 0};
    json_t *responses = json_object();

    json_object_set_new(responses, "201",
                        openapi_response("The password was taken: a bearer token for the user",
                                         "CacheControl", "application/json", SCHEMA("SignedOn"),
                                         openapi_example("SignedOn")));
    openapi_add_problems(responses, problems);
    return json_pack("{s:s, s:s, s:[s], s:o, s:o, s:{s:b, s:{s:{s:o}}}}", "operationId", "signOn",
                     "summary", "Signs a CCT user on", "tags", "Sessions", "security",
                     openapi_security(route_roles(route, "POST")), "responses", responses,
                     "requestBody", "required", 1, "content", "application/json", "schema",
                     SCHEMA("SignOn"));
}

static json_t *sign_off_of(const struct route *route)
{
    static const int problems[] = {400, 401, 403, 409, 503, 0};
    json_t *responses = json_object();

    json_object_set_new(
        responses, "204",
        openapi_response("The token is good for nothing any more", "", NULL, NULL, NULL));
    openapi_add_problems(responses, problems);
    return json_pack("{s:s, s:s, s:[s], s:o, s:o}", "operationId", "signOff", "summary",
                     "Revokes the bearer token that asks", "tags", "Sessions", "security",
                     openapi_security(route_roles(route, "DELETE")), "responses", responses);
}

static json_t *failover_of(const struct route *route)
{
    static const int problems[] = {400, 401, 403, 413, 415, 503, 0};
    json_t *responses = json_object();

    json_object_set_new(responses, "200",
                        openapi_response("Where the sessions log in from now on", "CacheControl",
                                         "application/json", SCHEMA("FailoverResult"), NULL));
    openapi_add_problems(responses, problems);
    return json_pack("{s:s, s:s, s:[s], s:o, s:o, s:{s:b, s:{s:{s:{s:s}}}}}", "operationId",
                     "failover", "summary", route->summary, "tags", "Gateway", "security",
                     openapi_security(route->roles), "responses", responses, "requestBody",
                     "required", 1, "content", "application/json", "schema", "$ref",
                     "#/components/schemas/Failover");
}

/* ---- the document ---- */

static json_t *make_paths(json_t *schemas, const struct contract *contract)
{
    json_t *paths = json_object();
    size_t i;

    openapi_add_outbound(paths, schemas, contract);
    for (i = 0; i < num_routes; ++i) {
        if (strncmp(routes[i].methods, "GET", 3) == 0)
            openapi_put(paths, routes[i].path, "GET", read_of(&routes[i]));
        if (routes[i].handler == serve_sessions) {
            openapi_put(paths, routes[i].path, "POST", sign_on_of(&routes[i]));
            openapi_put(paths, routes[i].path, "DELETE", sign_off_of(&routes[i]));
        } else if (routes[i].handler == post_ticket)
            openapi_put(paths, routes[i].path, "POST", ticket_of(&routes[i]));
        else if (routes[i].handler == post_failover)
            openapi_put(paths, routes[i].path, "POST", failover_of(&routes[i]));
    }
    openapi_add_commands(paths);
    openapi_add_services(paths, schemas, contract);
    return paths;
}

static char *make_document(const struct contract *contract)
{
    json_t *schemas = openapi_schemas(contract), *paths = make_paths(schemas, contract), *json;
    char *text;

    json = json_pack(
        "{s:s, s:{s:s, s:s, s:s}, s:[{s:s}], s:o, s:{s:o, s:o, s:o, s:o, s:{s:{s:s, s:s, s:s}}}}",
        "openapi", "3.1.0", "info", "title", "cctgate", "version", CCTGATE_VERSION, "description",
        "The contact centre as JSON resources, commands, and its own operations. Objects may have "
        "more members than are named here, and values that are open may be others.",
        "servers", "url", "/", "paths", paths, "components", "schemas", schemas, "parameters",
        openapi_parameters(), "headers", openapi_headers(), "responses",
        openapi_problem_responses(), "securitySchemes", "bearer", "type", "http", "scheme",
        "bearer", "description", "A token. What a requirement names besides is a role of it");
    if (json == NULL || (text = json_dumps(json, JSON_COMPACT)) == NULL)
        abort();
    json_decref(json);
    return text;
}

static struct {
    pthread_mutex_t mutex;
    char *text, etag[24];
    size_t length;
} document = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* FNV-1a */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text != '\0'; ++text)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

static void make_once(const struct contract *contract)
{
    pthread_mutex_lock(&document.mutex);
    if (document.text == NULL) {
        document.text = make_document(contract);
        document.length = strlen(document.text);
        snprintf(document.etag, sizeof(document.etag), "\"%016llx\"",
                 (unsigned long long)hash_of(document.text));
    }
    pthread_mutex_unlock(&document.mutex);
}

void get_openapi(struct request *request)
{
    struct representation r = {{NULL, 0}, "", "", "", -1, NULL, {NULL, 0}};

    make_once(request->front->fronts->contract);
    r.body = h2o_iovec_init(document.text, document.length);
    snprintf(r.etag, sizeof(r.etag), "%s", document.etag);
    respond(request, 200, &r);
}
