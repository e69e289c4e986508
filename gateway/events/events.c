/* GET /v1/events and POST /v1/events/ticket: who may come in, and how. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/loop.h"
#include "cctgate/timestamp.h"
#include "gateway/events/client.h"
#include "gateway/events/handshake.h"
#include "gateway/rest/intake.h"

struct arrival {
    struct request *request;
    struct handshake_protocols protocols;
    int is_websocket, is_sse;
    const char *key; /* Sec-WebSocket-Key */
    uint8_t sha256[32];
    int has_token;
    const char *ticket;
    size_t ticket_length;
    struct subscribe *wanted; /* server-sent events */
};

/* ---- headers ---- */

/* The only field of the name; empty when there is none or there are several. */
static h2o_iovec_t only_header(const struct request *request, const char *name)
{
    const h2o_headers_t *headers = &request->h2o->headers;
    ssize_t at = h2o_find_header_by_str(headers, name, strlen(name), -1);

    if (at == -1 || h2o_find_header_by_str(headers, name, strlen(name), at) != -1)
        return (h2o_iovec_t){NULL, 0};
    return headers->entries[at].value;
}

static void look_at_headers(struct arrival *arrival)
{
    const h2o_req_t *req = arrival->request->h2o;
    const h2o_headers_t *headers = &req->headers;
    ssize_t at = -1;

    arrival->is_websocket =
        req->upgrade.base != NULL &&
        h2o_lcstris(req->upgrade.base, req->upgrade.len, H2O_STRLIT("websocket"));
    while ((at = h2o_find_header(headers, H2O_TOKEN_ACCEPT, at)) != -1)
        if (handshake_accepts(headers->entries[at].value.base, headers->entries[at].value.len,
                              "text/event-stream"))
            arrival->is_sse = !arrival->is_websocket;
    while ((at = h2o_find_header_by_str(headers, H2O_STRLIT("sec-websocket-protocol"), at)) != -1)
        handshake_protocols_add(&arrival->protocols, headers->entries[at].value.base,
                                headers->entries[at].value.len);
}

static h2o_iovec_t query_of(const h2o_req_t *req)
{
    if (req->query_at == SIZE_MAX)
        return h2o_iovec_init("", 0);
    return h2o_iovec_init(req->path.base + req->query_at + 1, req->path.len - req->query_at - 1);
}

/* ---- who ---- */

static int has_authorization(const struct request *request)
{
    return h2o_find_header(&request->h2o->headers, H2O_TOKEN_AUTHORIZATION, -1) != -1;
}

static int refuse_token(struct request *request, int rc)
{
    if (rc == CG_E_NOMEM) { /* it may be a good one */
        respond_problem(request, PROBLEM_OVERLOADED, NULL, NULL);
        return rc;
    }
    request->token_refused = has_authorization(request);
    respond_problem(request, PROBLEM_UNAUTHORIZED, NULL, NULL);
    return CG_E_DENIED;
}

/* The token is known; may it read? */
static int check_roles(struct arrival *arrival)
{
    struct request *request = arrival->request;

    if (request_check_certificate(request) != CG_OK)
        return CG_E_DENIED;
    if ((request->access->roles & request->route->roles) == 0) {
        respond_problem(request, PROBLEM_FORBIDDEN, NULL,
                        "the token's roles do not cover this resource");
        return CG_E_DENIED;
    }
    return CG_OK;
}

/* By header, else by subprotocol, else by a ticket, which is spent later: when nothing else is wrong. */
static int identify(struct arrival *arrival)
{
    struct request *request = arrival->request;
    h2o_iovec_t token = request_bearer(request), query = query_of(request->h2o);
    int rc;

    if (!has_authorization(request) && arrival->is_websocket && arrival->protocols.tokens == 1)
        token = h2o_iovec_init(arrival->protocols.token, arrival->protocols.token_length);
    if (token.len > 0 && token.len <= CG_TOKEN_BYTES_MAX) {
        arrival->has_token = 1;
        rc = policy_digest(token.base, token.len, arrival->sha256)
                 ? request_identify(request, token, arrival->sha256)
                 : CG_E_NOMEM;
        return rc == CG_OK ? check_roles(arrival) : refuse_token(request, rc);
    }
    if (has_authorization(request) || arrival->protocols.tokens > 0 ||
        !query_find(query.base, query.len, "ticket", &arrival->ticket, &arrival->ticket_length))
        return refuse_token(request, CG_E_DENIED);
    return CG_OK;
}

static int spend_ticket(struct arrival *arrival)
{
    struct request *request = arrival->request;
    struct policy *of_jwt;
    int rc;

    if (arrival->has_token)
        return CG_OK;
    if (ticket_redeem(request->front->fronts->doorman, arrival->ticket, arrival->ticket_length,
                      clock_monotonic_ms(), arrival->sha256, &of_jwt) != CG_OK)
        return refuse_token(request, CG_E_DENIED);
    rc = of_jwt != NULL ? request_identify_jwt(request, of_jwt, arrival->sha256)
                        : request_identify(request, (h2o_iovec_t){NULL, 0}, arrival->sha256);
    return rc == CG_OK ? check_roles(arrival) : refuse_token(request, rc);
}

/* ---- from where ---- */

enum origin { ORIGIN_NONE, ORIGIN_OWN, ORIGIN_LISTED, ORIGIN_FOREIGN };

static enum origin origin_of(const struct request *request, h2o_iovec_t *origin)
{
    const struct config *config = policy_config(request->policy);
    const h2o_headers_t *headers = &request->h2o->headers;
    ssize_t at = h2o_find_header_by_str(headers, H2O_STRLIT("origin"), -1);

    if (at == -1)
        return ORIGIN_NONE;
    *origin = headers->entries[at].value;
    if (h2o_find_header_by_str(headers, H2O_STRLIT("origin"), at) != -1)
        return ORIGIN_FOREIGN;
    if (handshake_origin_is_own(origin->base, origin->len, request->h2o->authority.base,
                                request->h2o->authority.len))
        return ORIGIN_OWN;
    return handshake_origin_is_listed(origin->base, origin->len, config->events.origins,
                                      config->events.num_origins)
               ? ORIGIN_LISTED
               : ORIGIN_FOREIGN;
}

static void add_header(struct request *request, const char *name, h2o_iovec_t value)
{
    h2o_req_t *req = request->h2o;
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 0, NULL, value.base,
                          value.len);
}
#define ADD_HEADER(request, name, text)                                                            \
    add_header((request), (name), h2o_iovec_init((text), sizeof(text) - 1))

/* Fetch, CORS: a page of an origin that is listed may read the answer, problems among it, and what its head says. */
void events_share(struct request *request)
{
    h2o_iovec_t origin;
    enum origin kind = request->policy != NULL ? origin_of(request, &origin) : ORIGIN_NONE;

    ADD_HEADER(request, "vary", "Origin");
    if (kind != ORIGIN_OWN && kind != ORIGIN_LISTED)
        return;
    add_header(request, "access-control-allow-origin",
               h2o_strdup(&request->h2o->pool, origin.base, origin.len));
    ADD_HEADER(request, "access-control-expose-headers",
               "etag, age, link, location, total-count, cache-status, cct-sync, retry-after, "
               "preference-applied, idempotency-replayed, ratelimit, ratelimit-policy, "
               "x-request-id");
}

static int check_origin(struct request *request)
{
    h2o_iovec_t origin;

    if (origin_of(request, &origin) != ORIGIN_FOREIGN)
        return CG_OK;
    respond_problem(request, PROBLEM_FORBIDDEN, NULL, "the Origin is not one of events.origins");
    return CG_E_DENIED;
}

void events_preflight(struct request *request)
{
    h2o_iovec_t methods = h2o_iovec_init(request->route->methods, strlen(request->route->methods));

    if (check_origin(request) != CG_OK)
        return;
    add_header(request, "allow", methods);
    add_header(request, "access-control-allow-methods", methods);
    ADD_HEADER(request, "access-control-allow-headers",
               "authorization, cache-control, cct-user, content-type, control-lease, "
               "idempotency-key, if-none-match, last-event-id, prefer, x-request-id");
    ADD_HEADER(request, "access-control-max-age", "600");
    respond_nothing(request);
}

/* ---- how ---- */

/* RFC 6455 section 4.2.1 */
static int check_websocket(struct arrival *arrival)
{
    struct request *request = arrival->request;
    h2o_iovec_t version = only_header(request, "sec-websocket-version"),
                key = only_header(request, "sec-websocket-key"), query = query_of(request->h2o);

    if (!h2o_memis(version.base, version.len, H2O_STRLIT("13"))) {
        ADD_HEADER(request, "sec-websocket-version", "13");
        respond_problem(request, PROBLEM_UPGRADE_REQUIRED, NULL,
                        "expected Sec-WebSocket-Version: 13");
        return CG_E_INVALID;
    }
    if (request->h2o->version < 0x101 || !handshake_key_is_valid(key.base, key.len)) {
        respond_problem(request, PROBLEM_BAD_REQUEST, NULL,
                        "expected HTTP/1.1 and one Sec-WebSocket-Key of 16 bytes in base64");
        return CG_E_INVALID;
    }
    if (arrival->protocols.offered && !arrival->protocols.ours) {
        respond_problem(request, PROBLEM_BAD_REQUEST, NULL,
                        "expected the subprotocol " HANDSHAKE_SUBPROTOCOL " to be offered");
        return CG_E_INVALID;
    }
    if (query.len > 0 && (query.len < 7 || memcmp(query.base, "ticket=", 7) != 0 ||
                          memchr(query.base, '&', query.len) != NULL)) {
        respond_problem(request, PROBLEM_BAD_REQUEST, "?",
                        "a WebSocket's query takes ticket; the rest is said in messages");
        return CG_E_INVALID;
    }
    arrival->key = key.base;
    return CG_OK;
}

/* What the client had last goes before what the page asked for: a browser repeats the same query when it comes back. */
static int take_last_event_id(struct arrival *arrival)
{
    h2o_iovec_t id = request_header(arrival->request, "last-event-id");

    if (id.len == 0)
        return CG_OK;
    arrival->wanted->has_since = 1;
    if (log_place_parse(&arrival->wanted->since, id.base, id.len) == CG_OK)
        return CG_OK;
    respond_problem(arrival->request, PROBLEM_BAD_REQUEST, NULL,
                    "Last-Event-ID: expected <epoch>-<seq>, the id of an event");
    return CG_E_INVALID;
}

static int check_sse(struct arrival *arrival)
{
    h2o_iovec_t query = query_of(arrival->request->h2o);
    struct message_error error;

    if ((arrival->wanted = calloc(1, sizeof(*arrival->wanted))) == NULL)
        abort();
    if (subscribe_parse_query(arrival->wanted, query.base, query.len, &error) == CG_OK)
        return take_last_event_id(arrival);
    respond_problem(arrival->request, error.problem, error.pointer, "%s", error.detail);
    return CG_E_INVALID;
}

static int check_neither(struct request *request)
{
    ssize_t accept = h2o_find_header(&request->h2o->headers, H2O_TOKEN_ACCEPT, -1);

    if (accept != -1 &&
        !h2o_memis(request->h2o->headers.entries[accept].value.base,
                   request->h2o->headers.entries[accept].value.len, H2O_STRLIT("*/*"))) {
        respond_problem(request, PROBLEM_NOT_ACCEPTABLE, NULL,
                        "expected Accept: text/event-stream, or an upgrade to WebSocket");
        return CG_E_INVALID;
    }
    ADD_HEADER(request, "upgrade", "websocket");
    respond_problem(request, PROBLEM_UPGRADE_REQUIRED, NULL,
                    "expected an upgrade to WebSocket, or Accept: text/event-stream");
    return CG_E_INVALID;
}

static int check_form(struct arrival *arrival)
{
    if (arrival->is_websocket)
        return check_websocket(arrival);
    return arrival->is_sse ? check_sse(arrival) : check_neither(arrival->request);
}

/* ---- in ---- */

static int enter(struct arrival *arrival)
{
    struct request *request = arrival->request;
    const struct config *config = policy_config(request->policy);
    int rc = request->front->hub->stopping
                 ? CG_E_SHUTDOWN
                 : doorman_enter(request->front->fronts->doorman, arrival->sha256,
                                 config->events.max_clients_per_token, config->events.max_clients);

    if (rc == CG_E_SHUTDOWN)
        respond_problem(request, PROBLEM_SHUTTING_DOWN, NULL, NULL);
    else if (rc == CG_E_LIMIT)
        respond_problem(request, PROBLEM_TOO_MANY, NULL,
                        "the token has as many streams of events as it may");
    else if (rc != CG_OK)
        respond_problem(request, PROBLEM_OVERLOADED, NULL,
                        "there are as many streams of events as there may be");
    return rc;
}

static void let_in(struct arrival *arrival)
{
    struct request *request = arrival->request;
    struct hub *hub = request->front->hub;
    struct client *client = client_new(hub, arrival->is_websocket ? CLIENT_WEBSOCKET : CLIENT_SSE,
                                       viewer_get(hub, request->policy, arrival->sha256));

    if (arrival->is_websocket) {
        websocket_upgrade(request, client, arrival->key, arrival->protocols.ours);
        return;
    }
    client->wanted = arrival->wanted;
    arrival->wanted = NULL;
    sse_upgrade(request, client);
}

void get_events(struct request *request)
{
    struct arrival arrival = {.request = request};

    look_at_headers(&arrival);
    if (identify(&arrival) == CG_OK && check_form(&arrival) == CG_OK &&
        check_origin(request) == CG_OK && spend_ticket(&arrival) == CG_OK &&
        limit_request(request, arrival.sha256) == CG_OK && enter(&arrival) == CG_OK)
        let_in(&arrival);
    if (arrival.wanted != NULL)
        subscribe_release(arrival.wanted);
    free(arrival.wanted);
}

/* It takes none: what comes is an empty object at most. */
static int check_body(struct request *request)
{
    h2o_iovec_t entity = request->h2o->entity;
    struct intake_error error;
    char pointer[CG_ID_BYTES_MAX] = "";
    json_t *body;
    int is_empty;

    if (entity.len == 0)
        return CG_OK;
    if ((body = intake_body(entity.base, entity.len, &error)) == NULL) {
        respond_problem(request, error.problem, error.pointer, "%s", error.detail);
        return CG_E_INVALID;
    }
    is_empty = json_is_object(body) && json_object_size(body) == 0;
    if (json_object_size(body) > 0)
        snprintf(pointer, sizeof(pointer), "/%.200s", json_object_iter_key(json_object_iter(body)));
    if (!is_empty)
        respond_problem(request, PROBLEM_BAD_REQUEST, pointer, "expected an empty object");
    json_decref(body);
    return is_empty ? CG_OK : CG_E_INVALID;
}

void post_ticket(struct request *request)
{
    h2o_iovec_t token = request_bearer(request);
    char text[TICKET_TEXT_BYTES + 1], expires[TIMESTAMP_BYTES];
    uint8_t sha256[32];

    if (check_body(request) != CG_OK)
        return;
    if (!policy_digest(token.base, token.len, sha256) ||
        ticket_issue(request->front->fronts->doorman, sha256,
                     policy_is_of_jwt(request->policy) ? request->policy : NULL,
                     clock_monotonic_ms(), text) != CG_OK) {
        respond_problem(request, PROBLEM_OVERLOADED, NULL, "too many tickets are open");
        return;
    }
    timestamp_print(expires, clock_unix_ms() + CG_TICKET_LIFE_MS);
    respond_json(request, 201, json_pack("{s:s, s:s}", "ticket", text, "expiresAt", expires));
}
