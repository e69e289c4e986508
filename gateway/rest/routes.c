/*
 * The route table: one row per resource. What commands there are stands in the table of commands alone: their methods join the row of
 * their path, or get one of their own, when the program starts. OpenAPI is made from it, and the tests walk it.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/error.h"
#include "gateway/rest/connection.h"
#include "gateway/rest/head.h"
#include "gateway/rest/rest.h"

#define OUTBOUND_ROLES (ROLE_OPERATOR | ROLE_CAMPAIGNER)
#define READERS        (ROLE_VIEWER | ROLE_CONTROLLER | ROLE_SUPERVISOR | ROLE_RECORDER | ROLE_OPERATOR)
#define GET            "GET, HEAD"
#define POST           "POST"

/* clang-format off */
static const struct route own_routes[] = {
    {"/v1/agents", GET, READERS, RECORD_AGENT, 1, read_list, "The agents that the token may see"},
    {"/v1/agents/{loginId}", GET, READERS, RECORD_AGENT, 0, read_one, "An agent as a whole"},
    {"/v1/agents/{loginId}/control", GET, READERS, 0, 0, get_control, "Who controls the agent, and which instances are attached to it"},
    {"/v1/agents/{loginId}/capabilities", GET, READERS, RECORD_AGENT_CAPABILITIES, 0, read_one, "What may be done with the agent now"},
    {"/v1/terminals", GET, READERS, RECORD_TERMINAL, 1, read_list, "The terminals that the token may see"},
    {"/v1/terminals/{name}", GET, READERS, RECORD_TERMINAL, 0, read_one, "A terminal"},
    {"/v1/terminals/{name}/capabilities", GET, READERS, RECORD_TERMINAL_CAPABILITIES, 0, read_one, "What may be done with the terminal now"},
    {"/v1/addresses", GET, READERS, RECORD_ADDRESS, 1, read_list, "The addresses that the token may see"},
    {"/v1/addresses/{name}", GET, READERS, RECORD_ADDRESS, 0, read_one, "An address"},
    {"/v1/addresses/{name}/capabilities", GET, READERS, RECORD_ADDRESS_CAPABILITIES, 0, read_one, "What may be done with the address now"},
    {"/v1/calls", GET, READERS, RECORD_CALL, 1, read_list, "The calls in progress that the token may see"},
    {"/v1/calls/{contactId}", GET, READERS, RECORD_CALL, 0, read_one, "A call as a whole"},
    {"/v1/calls/{contactId}/capabilities", GET, READERS, RECORD_CALL_CAPABILITIES, 0, read_one, "What may be done with the call and its parts now"},
    {"/v1/calls/{contactId}/data", GET, READERS, RECORD_CALL_DATA, 0, read_one, "The call's attached data"},
    {"/v1/calls/{contactId}/intrinsics", GET, READERS, RECORD_CALL_INTRINSICS, 0, read_one, "The call's intrinsics"},
    {"/v1/calls/{contactId}/uui", GET, READERS, RECORD_CALL_UUI, 0, read_one, "The call's user-to-user information"},
    {"/v1/calls/{contactId}/messages", GET, READERS, RECORD_CALL_MESSAGES, 0, read_one, "The call's instant messages"},
    {"/v1/users", GET, READERS, RECORD_USER, 1, read_list, "The CCT users that the token may act for"},
    {"/v1/users/{user}", GET, READERS, RECORD_USER, 0, read_one, "A CCT user: what it owns, and its session; `me` where the token has one"},
    {"/v1/sessions", GET ", " POST ", DELETE", READERS, 0, TAKES_EMPTY_BODY, serve_sessions, "The upstream sessions of the token's users; all of them for an operator; POST signs a user on, DELETE off"},
    {"/v1/sessions/failover", POST, ROLE_OPERATOR, 0, 0, post_failover, "Moves all sessions to another endpoint of the contact centre"},
    {"/v1/capacity", GET, READERS, 0, 0, get_capacity, "Agents and contacts per hour against the published limits"},
    {"/v1/services", GET, READERS, 0, 0, get_services, "The contract's services and operations"},
    {"/v1/services/{service}", GET, READERS, 0, 0, get_service, "A service's operations, with the JSON Schemas of what they take and give"},
    {"/v1/services/{service}/{operation}", GET ", " POST, READERS, 0, TAKES_EMPTY_BODY, serve_operation, "An operation of the contract; POST calls it, JSON as on the wire"},
    {"/v1/outbound/campaigns", GET, OUTBOUND_ROLES, 0, TAKES_PAGE, get_outbound_campaigns, "The active outbound campaigns"},
    {"/v1/outbound/campaigns/{campaignId}", GET, OUTBOUND_ROLES, 0, 0, get_outbound_campaign, "An active outbound campaign, with its dispositions and its progress"},
    {"/v1/outbound/campaigns/{campaignId}/contacts", GET ", " POST, OUTBOUND_ROLES, 0, TAKES_QUERY | TAKES_NDJSON | TAKES_CONTACTS, serve_outbound_contacts, "The contacts of a campaign, all of them as application/x-ndjson; POST queues contacts to append"},
    {"/v1/outbound/campaigns/{campaignId}/contacts/{contactId}", GET, OUTBOUND_ROLES, 0, TAKES_QUERY, get_outbound_contact, "The status of a contact, by its id or, with - in its place, by a custom field"},
    {"/v1/outbound/campaigns/{campaignId}/contacts/{contactId}/close", POST, OUTBOUND_ROLES, 0, TAKES_QUERY | TAKES_EMPTY_BODY, post_outbound_close, "Closes a contact with a disposition of the campaign"},
    {"/v1/outbound/campaigns/{campaignId}/search", GET, OUTBOUND_ROLES, 0, TAKES_QUERY, get_outbound_search, "Contacts of a campaign by phone number or custom field"},
    {"/v1/outbound/campaigns/{campaignId}/contact-id", GET, OUTBOUND_ROLES, 0, TAKES_QUERY, get_outbound_contact_id, "The id of the first contact of a campaign with a phone number"},
    {"/v1/outbound/jobs", GET, OUTBOUND_ROLES, 0, 0, get_jobs, "The outbound jobs of the application, all of them for an operator, and how long the queue is"},
    {"/v1/outbound/jobs/{jobId}/contacts", GET, OUTBOUND_ROLES, 0, TAKES_NDJSON, get_outbound_listed, "The contacts that a listing job has found, as application/x-ndjson"},
    {"/v1/outbound/jobs/{jobId}", GET ", DELETE", OUTBOUND_ROLES, 0, TAKES_EMPTY_BODY, serve_job, "An outbound job with what became of each row; DELETE cancels what of it waits"},
    {"/v1/audit", GET, ROLE_OPERATOR, 0, TAKES_QUERY, get_audit, "Who did what to which agent, newest first"},
    {"/v1/events", "GET", READERS | ROLE_CAMPAIGNER, 0, TAKES_ITSELF, get_events, "Events: a WebSocket, or text/event-stream"},
    {"/v1/events/ticket", POST, READERS | ROLE_CAMPAIGNER, 0, TAKES_EMPTY_BODY, post_ticket, "A ticket that stands for the token in one URL, once"},
    {"/openapi.json", GET, 0, 0, 0, get_openapi, "This description"},
    {"/asyncapi.json", GET, 0, 0, 0, get_asyncapi, "The events, and how to come by them"},
    {"/metrics", GET, 0, 0, 0, get_metrics, "OpenMetrics"},
    {"/healthz", GET, 0, 0, 0, get_health, "Liveness: the loops turn"},
    {"/readyz", GET, 0, 0, 0, get_readiness, "Readiness, with reasons"},
    {"/problems/{slug}", GET, 0, 0, 0, get_problem, "What a problem type means"},
    {"/", GET, 0, 0, 0, get_index, "Where to begin"},
};
/* clang-format on */

/* Methods that ask for other roles than their row. */
static const struct {
    const char *method, *path;
    unsigned roles; /* 0: no token needed */
} exceptions[] = {
    {"POST", "/v1/sessions", 0},
    {"DELETE", "/v1/sessions", READERS | ROLE_CAMPAIGNER},
};
#define NUM_OWN_ROUTES (sizeof(own_routes) / sizeof(own_routes[0]))

static struct route *table;
const struct route *routes;
size_t num_routes;

/* 1: the path fits; `ids` are the segments that stand for {…} */
static int fits(const struct route *route, const char *path, size_t length, h2o_iovec_t ids[2])
{
    const char *pattern = route->path, *end = path + length;
    size_t n = 0;

    ids[0] = ids[1] = (h2o_iovec_t){NULL, 0};
    while (*pattern != '\0') {
        if (*pattern == '{') {
            const char *start = path;
            while (path < end && *path != '/')
                ++path;
            if (path == start)
                return 0;
            ids[n++] = h2o_iovec_init(start, (size_t)(path - start));
            pattern = strchr(pattern, '}') + 1;
        } else if (path == end || *path++ != *pattern++) {
            return 0;
        }
    }
    return path == end;
}

const struct route *route_find(const char *path, size_t length, h2o_iovec_t ids[2])
{
    size_t i;
    for (i = 0; i < num_routes; ++i)
        if (fits(&routes[i], path, length, ids))
            return &routes[i];
    return NULL;
}

unsigned route_roles(const struct route *route, const char *method)
{
    size_t i;
    for (i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); ++i)
        if (strcmp(exceptions[i].method, method) == 0 &&
            strcmp(exceptions[i].path, route->path) == 0)
            return exceptions[i].roles;
    return route->roles;
}

int route_has_method(const struct route *route, const char *method, size_t method_length)
{
    const char *at = route->methods;
    while (at != NULL) {
        size_t length = strcspn(at, ",");
        if (method_length == length && memcmp(method, at, length) == 0)
            return 1;
        at = strchr(at, ' ');
        if (at != NULL)
            ++at;
    }
    return 0;
}

/* ---- commands join ---- */

static void add_method(struct route *route, const char *method)
{
    size_t length = strlen(route->methods), more = strlen(method);

    if (route_has_method(route, method, more))
        return;
    if (length + more + sizeof(", ") > sizeof(route->methods))
        abort();
    if (length > 0) {
        memcpy(route->methods + length, ", ", 2);
        length += 2;
    }
    memcpy(route->methods + length, method, more + 1);
}

/* In front of the first row that would take its path for one with an id: what is named goes before what is not. */
static struct route *add_route(const struct command_row *row)
{
    h2o_iovec_t ids[2];
    size_t i;

    for (i = 0; i < num_routes; ++i)
        if (fits(&table[i], row->path, strlen(row->path), ids))
            break;
    memmove(&table[i + 1], &table[i], (num_routes++ - i) * sizeof(*table));
    table[i] = (struct route){.path = row->path, .handler = post_command, .summary = row->summary};
    return &table[i];
}

static struct route *route_of(const struct command_row *row)
{
    size_t i;
    for (i = 0; i < num_routes; ++i)
        if (strcmp(table[i].path, row->path) == 0)
            return &table[i];
    return add_route(row);
}

void routes_build(void)
{
    size_t i;

    if ((table = calloc(NUM_OWN_ROUTES + num_command_rows, sizeof(*table))) == NULL)
        abort();
    memcpy(table, own_routes, sizeof(own_routes));
    num_routes = NUM_OWN_ROUTES;
    for (i = 0; i < num_command_rows; ++i) {
        struct route *route = route_of(&command_rows[i]);
        add_method(route, command_rows[i].method);
        route->roles |= command_rows[i].roles;
    }
    routes = table;
}

void routes_release(void)
{
    free(table);
    table = NULL;
    routes = NULL;
    num_routes = 0;
}

/* ---- a request finds its way ---- */

/* RFC 6750 section 2.1: one Authorization field, one b64token */
h2o_iovec_t request_bearer(const struct request *request)
{
    const h2o_headers_t *headers = &request->h2o->headers;
    ssize_t at = h2o_find_header(headers, H2O_TOKEN_AUTHORIZATION, -1);
    h2o_iovec_t value;

    if (at == -1 || h2o_find_header(headers, H2O_TOKEN_AUTHORIZATION, at) != -1)
        return (h2o_iovec_t){NULL, 0};
    value = headers->entries[at].value;
    if (value.len < 8 || value.len > CG_TOKEN_BYTES_MAX ||
        strncasecmp(value.base, "Bearer ", 7) != 0)
        return (h2o_iovec_t){NULL, 0};
    for (value.base += 7, value.len -= 7; value.len > 0 && *value.base == ' ';
         ++value.base, --value.len)
        ;
    return value;
}

/* The digest is of a token that is known; it is needed for nothing else. */
static int limit(struct request *request, h2o_iovec_t token)
{
    uint8_t sha256[32];

    if (policy_config(request->policy)->limits.requests_per_second == 0 ||
        !policy_digest(token.base, token.len, sha256))
        return CG_OK;
    return limit_request(request, sha256);
}

int request_check_certificate(struct request *request)
{
    const char *name = request->access->client_certificate;

    if (name == NULL || connection_has_certificate(request->h2o, name))
        return CG_OK;
    respond_problem(request, PROBLEM_FORBIDDEN, NULL,
                    "the token is good only with its client certificate");
    return CG_E_DENIED;
}

static int authorize(struct request *request)
{
    unsigned roles = route_roles(request->route, request->method);
    h2o_iovec_t token;
    int rc;

    if (roles == 0)
        return CG_OK;
    token = request_bearer(request);
    rc = token.len > 0 ? request_recognise(request, token) : CG_E_DENIED;
    if (rc == CG_E_NOMEM) {
        respond_problem(request, PROBLEM_OVERLOADED, NULL, NULL);
        return rc;
    }
    if (rc != CG_OK) {
        request->token_refused = token.len > 0;
        respond_problem(request, PROBLEM_UNAUTHORIZED, NULL, NULL);
        return CG_E_DENIED;
    }
    if (limit(request, token) != CG_OK)
        return CG_E_BUSY;
    if (request_check_certificate(request) != CG_OK)
        return CG_E_DENIED;
    if ((request->access->roles & roles) == 0) {
        request->token_refused = 1;
        respond_problem(request, PROBLEM_FORBIDDEN, NULL,
                        "the token's roles do not cover this resource");
        return CG_E_DENIED;
    }
    return CG_OK;
}

static int take_id(struct request *request, h2o_iovec_t id, char *out, size_t size, size_t *length)
{
    int rc;

    if (id.base == NULL)
        return CG_OK;
    rc = path_decode(id.base, id.len, out, size, length);
    if (rc == CG_E_LIMIT) /* nothing has such a long name: absent, like any other */
        respond_problem(request, PROBLEM_NOT_FOUND, NULL, NULL);
    else if (rc != CG_OK)
        respond_problem(request, PROBLEM_BAD_REQUEST, NULL,
                        "expected UTF-8 text with valid percent-escapes in the path");
    return rc;
}

static int take_ids(struct request *request, const h2o_iovec_t ids[2])
{
    int rc = take_id(request, ids[0], request->id, sizeof(request->id), &request->id_length);
    if (rc == CG_OK)
        rc = take_id(request, ids[1], request->sub_id, sizeof(request->sub_id),
                     &request->sub_id_length);
    return rc;
}

static int check_form(struct request *request)
{
    h2o_req_t *req = request->h2o;
    enum head_refusal refusal = head_refusal_of(req);

    if (refusal != HEAD_FINE) {
        const struct head_refusal_row *row = &head_refusal_rows[refusal];
        respond_problem(request, row->problem, NULL, "%s", row->detail);
        return CG_E_INVALID;
    }
    if (req->path.len > CG_PATH_BYTES_MAX) {
        respond_problem(request, PROBLEM_URI_TOO_LONG, NULL, NULL);
        return CG_E_LIMIT;
    }
    if (req->path.len == 0 || req->path.base[0] != '/' ||
        memchr(req->path.base, '\0', req->path.len) != NULL) {
        respond_problem(request, PROBLEM_BAD_REQUEST, NULL, "the request target is not a path");
        return CG_E_INVALID;
    }
    return CG_OK;
}

/* What is asked for: a command of the path, or what the path's own row does. */
static void take_method(struct request *request)
{
    h2o_iovec_t method = request->h2o->method;

    memcpy(request->method, method.base, method.len);
    request->method[method.len] = '\0';
    if (request->is_head || strcmp(request->method, "GET") == 0)
        request->takes = request->route->takes;
    else if (command_rows_of(request->route->path, request->method, &request->rows) > 0)
        request->takes = TAKES_COMMAND | TAKES_QUERY;
    else
        request->takes = request->route->takes | TAKES_BODY;
}

static void serve(struct request *request, const h2o_iovec_t ids[2])
{
    if (authorize(request) != CG_OK || request_parse(request) != CG_OK ||
        take_ids(request, ids) != CG_OK)
        return;
    if ((request->takes & TAKES_COMMAND) != 0)
        post_command(request);
    else
        request->route->handler(request);
}

static void dispatch(struct request *request)
{
    h2o_req_t *req = request->h2o;
    h2o_iovec_t ids[2];

    if (check_form(request) != CG_OK)
        return;
    if (req->path.len > 4 && memcmp(req->path.base, "/v1/", 4) == 0)
        events_share(request);
    request->route =
        route_find(req->path.base, req->query_at != SIZE_MAX ? req->query_at : req->path.len, ids);
    if (request->route == NULL) {
        respond_problem(request, PROBLEM_NOT_FOUND, NULL, NULL);
        return;
    }
    if (request->route->roles != 0 &&
        h2o_memis(req->method.base, req->method.len, H2O_STRLIT("OPTIONS"))) {
        events_preflight(request);
        return;
    }
    if (!route_has_method(request->route, req->method.base, req->method.len)) {
        respond_problem(request, PROBLEM_METHOD_NOT_ALLOWED, NULL, "the resource has %s",
                        request->route->methods);
        return;
    }
    take_method(request);
    if ((request->takes & TAKES_ITSELF) != 0)
        request->route->handler(request);
    else
        serve(request, ids);
}

int rest_on_request(h2o_handler_t *self, h2o_req_t *req)
{
    struct front *front = h2o_context_get_handler_context(req->conn->ctx, self);

    COUNT(front, requests);
    connection_check_pipeline(req);
    turn_add(&front->turn, connection_turn_request(req), req);
    return 0;
}

void rest_answer(struct front *front, h2o_req_t *req)
{
    struct request *request = h2o_mem_alloc_pool(&req->pool, sizeof(*request));

    memset(request, 0, offsetof(struct request, id));
    request->id[0] = request->sub_id[0] = request->after[0] = request->traceparent[0] = '\0';
    request->id_length = request->sub_id_length = request->after_length = 0;
    request->asked = NULL;
    request->data = NULL;
    request->h2o = req;
    request->front = front;
    request->policy = front->policy; /* whoever answers later takes a reference */
    request->is_head = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
    dispatch(request);
}
