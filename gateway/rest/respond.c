/* How answers leave: JSON with validators, 304, HEAD, and problem documents (RFC 9457) for everything that went wrong. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/rest/body.h"
#include "gateway/rest/connection.h"
#include "gateway/rest/reading.h"

static h2o_generator_t nothing_more;

static void add(h2o_req_t *req, const h2o_token_t *token, const char *value, size_t length)
{
    h2o_add_header(&req->pool, &req->res.headers, token, NULL, value, length);
}

static void add_named(h2o_req_t *req, const char *name, size_t name_length, const char *value,
                      size_t length)
{
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, name_length, 0, NULL, value, length);
}
#define ADD_NAMED(req, name, value, length)                                                        \
    add_named((req), name, sizeof(name) - 1, (value), (length))

static const char *pooled(h2o_req_t *req, const char *text, size_t length)
{
    return h2o_strdup(&req->pool, text, length).base;
}

static void send_body(struct request *request, h2o_iovec_t body)
{
    h2o_req_t *req = request->h2o;
    size_t count = body.len > 0 && !request->is_head && req->res.status != 304 ? 1 : 0;

    req->res.content_length = req->res.status == 304 ? SIZE_MAX : body.len;
    h2o_start_response(req, &nothing_more);
    h2o_send(req, &body, count, H2O_SEND_STATE_FINAL);
}

/* RFC 9110 section 13.1.2: weak comparison, any of a list, or * */
static int etag_matches(h2o_iovec_t field, const char *etag)
{
    size_t length = strlen(etag);
    const char *at = field.base, *end = field.base + field.len;

    if (field.len == 1 && *at == '*')
        return 1;
    while (at < end) {
        const char *stop;
        while (at < end && (*at == ' ' || *at == ',' || *at == '\t'))
            ++at;
        if (end - at > 2 && at[0] == 'W' && at[1] == '/')
            at += 2;
        if ((size_t)(end - at) >= length && memcmp(at, etag, length) == 0 &&
            ((size_t)(end - at) == length || at[length] == ',' || at[length] == ' ' ||
             at[length] == '\t'))
            return 1;
        if (at < end && *at == '"' && (stop = memchr(at + 1, '"', (size_t)(end - at - 1))) != NULL)
            at = stop + 1;
        else if ((stop = memchr(at, ',', (size_t)(end - at))) != NULL)
            at = stop + 1;
        else
            at = end;
    }
    return 0;
}

int request_has(const struct request *request, const char *etag)
{
    ssize_t at = -1;
    if (etag[0] == '\0')
        return 0;
    while ((at = h2o_find_header(&request->h2o->headers, H2O_TOKEN_IF_NONE_MATCH, at)) != -1)
        if (etag_matches(request->h2o->headers.entries[at].value, etag))
            return 1;
    return 0;
}

static const char *reason_phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 406:
        return "Not Acceptable";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 422:
        return "Unprocessable Content";
    case 426:
        return "Upgrade Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return "Error";
    }
}

static void count_status(struct request *request, int status)
{
    if (status >= 400)
        COUNT(request->front, problems[status / 100 < 6 ? status / 100 : 5]);
    else if (status == 304)
        COUNT(request->front, not_modified);
}

static void add_age(h2o_req_t *req, int64_t age_ms)
{
    char text[24];
    size_t length = (size_t)(put_decimal(text, age_ms / 1000) - text);
    add(req, H2O_TOKEN_AGE, pooled(req, text, length), length);
}

/*
 * A request id helps to find the line in the log: the client's own, if it is harmless, else a new one. It goes into a
 * header, so that equal problems have equal bodies.
 */
static void add_request_id(struct request *request)
{
    struct front *front = request->front;
    h2o_iovec_t given = request_header(request, "x-request-id");
    char id[40], *end;
    size_t i;

    for (i = 0; i < given.len; ++i)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.",
                   given.base[i]) == NULL)
            break;
    if (given.len > 0 && given.len <= 64 && i == given.len) {
        ADD_NAMED(request->h2o, "x-request-id", given.base, given.len);
        return;
    }
    end = put_hex(put_text(put_hex(id, front->request_seed), "-"), ++front->request_sequence);
    ADD_NAMED(request->h2o, "x-request-id", pooled(request->h2o, id, (size_t)(end - id)),
              (size_t)(end - id));
}

void respond(struct request *request, int status, const struct representation *r)
{
    respond_compared(request, status == 200 && request_has(request, r->etag) ? 304 : status, r);
}

void respond_compared(struct request *request, int status, const struct representation *r)
{
    h2o_req_t *req = request->h2o;

    req->res.status = status;
    req->res.reason = reason_phrase(req->res.status);
    count_status(request, req->res.status);
    h2o_vector_reserve(&req->pool, &req->res.headers, 8);
    if (req->res.status != 304) {
        const char *type = r->content_type != NULL ? r->content_type : "application/json";
        add(req, H2O_TOKEN_CONTENT_TYPE, type, strlen(type));
    }
    if (r->etag[0] != '\0') {
        size_t length = strlen(r->etag);
        add(req, H2O_TOKEN_ETAG, pooled(req, r->etag, length), length);
    }
    add(req, H2O_TOKEN_CACHE_CONTROL, H2O_STRLIT("private, no-cache"));
    if (r->age_ms >= 0)
        add_age(req, r->age_ms);
    if (r->cache_status[0] != '\0') {
        size_t length = strlen(r->cache_status);
        ADD_NAMED(req, "cache-status", pooled(req, r->cache_status, length), length);
    }
    if (r->sync[0] != '\0')
        ADD_NAMED(req, "cct-sync", pooled(req, r->sync, strlen(r->sync)), strlen(r->sync));
    if (r->link.len > 0)
        add(req, H2O_TOKEN_LINK, r->link.base, r->link.len);
    if (request->front->fronts->log_access)
        add_request_id(request);
    send_body(request, r->body);
}

void respond_text(struct request *request, const char *content_type, const char *text,
                  size_t length)
{
    struct representation r = {{NULL, 0}, "", "", "", -1, content_type, {NULL, 0}};
    r.body = h2o_strdup(&request->h2o->pool, text, length);
    respond(request, 200, &r);
}

/* CSP3: a page that runs and loads nothing, and is in nobody's frame. */
void respond_policy(struct request *request)
{
    static const char policy[] = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
                                 "form-action 'none'; frame-ancestors 'none'";
    ADD_NAMED(request->h2o, "content-security-policy", policy, sizeof(policy) - 1);
}

static h2o_iovec_t dump(h2o_req_t *req, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    h2o_iovec_t body =
        text != NULL ? h2o_strdup(&req->pool, text, SIZE_MAX) : h2o_iovec_init(H2O_STRLIT("{}"));
    free(text);
    json_decref(json);
    return body;
}

void respond_begin(struct request *request, int status, const char *content_type,
                   const char *cache_control)
{
    h2o_req_t *req = request->h2o;

    req->res.status = status;
    req->res.reason = reason_phrase(status);
    count_status(request, status);
    add(req, H2O_TOKEN_CONTENT_TYPE, content_type, strlen(content_type));
    add(req, H2O_TOKEN_CACHE_CONTROL, cache_control, strlen(cache_control));
    if (request->front->fronts->log_access)
        add_request_id(request);
}

void respond_end(struct request *request, h2o_iovec_t body)
{
    send_body(request, body);
}

void respond_unkept(struct request *request, int status, json_t *json)
{
    respond_begin(request, status, "application/json", "no-store");
    respond_end(request, dump(request->h2o, json));
}

void respond_nothing(struct request *request)
{
    h2o_req_t *req = request->h2o;
    req->res.status = 204;
    req->res.reason = reason_phrase(204);
    h2o_start_response(req, &nothing_more);
    h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
}

void respond_json_from(struct request *request, json_t *json, const char *cache_status)
{
    struct representation r = {{NULL, 0}, "", "", "", -1, NULL, {NULL, 0}};
    r.body = dump(request->h2o, json);
    snprintf(r.cache_status, sizeof(r.cache_status), "%s", cache_status);
    respond(request, 200, &r);
}

void respond_json(struct request *request, int status, json_t *json)
{
    struct representation r = {{NULL, 0}, "", "", "", -1, NULL, {NULL, 0}};
    r.body = dump(request->h2o, json);
    respond(request, status, &r);
}

void respond_page(struct request *request, json_t *json, h2o_iovec_t link)
{
    struct representation r = {{NULL, 0}, "", "", "", -1, NULL, link};
    r.body = dump(request->h2o, json);
    respond(request, 200, &r);
}

/* ---- commands ---- */

struct wiped {
    size_t length;
    char bytes[];
};

static void on_wiped_dispose(void *data)
{
    struct wiped *wiped = data;
    explicit_bzero(wiped->bytes, wiped->length);
}

/* A body that is overwritten when the request is over. */
static h2o_iovec_t dump_secret(h2o_req_t *req, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    struct wiped *wiped;
    size_t length;

    if (text == NULL)
        abort();
    length = strlen(text);
    wiped = h2o_mem_alloc_shared(&req->pool, sizeof(*wiped) + length, on_wiped_dispose);
    wiped->length = length;
    memcpy(wiped->bytes, text, length);
    body_wipe(text, length);
    free(text);
    return h2o_iovec_init(wiped->bytes, length);
}

void respond_secret(struct request *request, int status, const char *location, const json_t *json)
{
    h2o_req_t *req = request->h2o;

    req->res.status = status;
    req->res.reason = reason_phrase(status);
    add(req, H2O_TOKEN_CONTENT_TYPE, H2O_STRLIT("application/json"));
    add(req, H2O_TOKEN_CACHE_CONTROL, H2O_STRLIT("no-store"));
    add(req, H2O_TOKEN_LOCATION, location, strlen(location));
    if (request->front->fronts->log_access)
        add_request_id(request);
    send_body(request, dump_secret(req, json));
}

static void add_command_fields(struct request *request, const struct command *command)
{
    h2o_req_t *req = request->h2o;

    add(req, H2O_TOKEN_CACHE_CONTROL, H2O_STRLIT("no-store"));
    if (command->answer != NULL && command->is_problem)
        add(req, H2O_TOKEN_CONTENT_TYPE, H2O_STRLIT("application/problem+json"));
    else if (command->answer != NULL)
        add(req, H2O_TOKEN_CONTENT_TYPE, H2O_STRLIT("application/json"));
    if (command->retry_after_s > 0) {
        char text[24];
        size_t length = (size_t)(put_decimal(text, command->retry_after_s) - text);
        add(req, H2O_TOKEN_RETRY_AFTER, pooled(req, text, length), length);
    }
    if (command->waited)
        ADD_NAMED(req, "preference-applied", "wait", 4);
    if (command->replayed)
        ADD_NAMED(req, "idempotency-replayed", "true", 4);
    if (command->is_problem || request->front->fronts->log_access)
        add_request_id(request);
}

void respond_command(struct request *request, const struct command *command)
{
    h2o_req_t *req = request->h2o;

    req->res.status = command->status;
    req->res.reason = reason_phrase(command->status);
    count_status(request, command->status);
    add_command_fields(request, command);
    if (command->answer != NULL) {
        send_body(request, dump_secret(req, command->answer));
        return;
    }
    if (command->status != 204)
        req->res.content_length = 0;
    h2o_start_response(req, &nothing_more);
    h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
}

/* ---- problems ---- */

/* RFC 6750 section 3.1; without a token nothing is said to be wrong with it. */
static void add_challenge(struct request *request, int status)
{
    h2o_req_t *req = request->h2o;

    if (status == 401 && request->token_refused)
        add(req, H2O_TOKEN_WWW_AUTHENTICATE,
            H2O_STRLIT("Bearer realm=\"cctgate\", error=\"invalid_token\""));
    else if (status == 401)
        add(req, H2O_TOKEN_WWW_AUTHENTICATE, H2O_STRLIT("Bearer realm=\"cctgate\""));
    else if (status == 403 && request->token_refused)
        add(req, H2O_TOKEN_WWW_AUTHENTICATE,
            H2O_STRLIT("Bearer realm=\"cctgate\", error=\"insufficient_scope\""));
}

static void send_problem(struct request *request, enum problem problem, json_t *json,
                         int64_t retry_after_ms)
{
    h2o_req_t *req = request->h2o;
    int status = problem_rows[problem].status;

    req->res.status = status;
    req->res.reason = reason_phrase(status);
    count_status(request, status);
    add(req, H2O_TOKEN_CONTENT_TYPE, H2O_STRLIT("application/problem+json"));
    add(req, H2O_TOKEN_CACHE_CONTROL, H2O_STRLIT("no-store"));
    add_challenge(request, status);
    if (problem == PROBLEM_METHOD_NOT_ALLOWED && request->route != NULL)
        add(req, H2O_TOKEN_ALLOW, request->route->methods, strlen(request->route->methods));
    if (status == 503 || status == 429) {
        int64_t seconds = retry_after_ms > 0 ? (retry_after_ms + 999) / 1000 : 1;
        char text[24];
        int length = snprintf(text, sizeof(text), "%" PRId64, seconds);
        add(req, H2O_TOKEN_RETRY_AFTER, pooled(req, text, (size_t)length), (size_t)length);
        json_object_set_new(json, "retryAfter", json_integer(seconds));
    }
    add_request_id(request);
    if (!req->http1_is_persistent)
        connection_linger(req);
    send_body(request, dump(req, json));
}

static json_t *problem_or_less(enum problem problem, const char *format, va_list arguments)
{
    char detail[512] = "";
    json_t *json;

    if (format != NULL)
        vsnprintf(detail, sizeof(detail), format, arguments);
    if ((json = problem_json(problem, detail)) == NULL &&
        (json = problem_json(problem, NULL)) == NULL)
        json = json_object();
    return json;
}

void respond_problem(struct request *request, enum problem problem, const char *pointer,
                     const char *format, ...)
{
    va_list arguments;
    json_t *json;

    va_start(arguments, format);
    json = problem_or_less(problem, format, arguments);
    va_end(arguments);
    if (pointer != NULL)
        json_object_set_new(json, "pointer", json_string(pointer));
    send_problem(request, problem, json, 0);
}

void respond_problem_after(struct request *request, enum problem problem, int64_t retry_after_ms,
                           const char *format, ...)
{
    va_list arguments;
    json_t *json;

    va_start(arguments, format);
    json = problem_or_less(problem, format, arguments);
    va_end(arguments);
    send_problem(request, problem, json, retry_after_ms);
}

json_t *outcome_json(const struct fetch_outcome *outcome)
{
    enum problem problem = problem_of_error(outcome->rc);
    json_t *json = problem_json(problem, problem == PROBLEM_NOT_FOUND ? NULL : outcome->detail);

    if (json == NULL)
        json = problem_json(problem, NULL);
    if (problem == PROBLEM_NOT_FOUND)
        return json;
    if (outcome->fault[0] != '\0')
        json_object_set_new(json, "fault", json_string(outcome->fault));
    if (outcome->service[0] != '\0') {
        json_object_set_new(json, "service", json_string(outcome->service));
        json_object_set_new(json, "operation", json_string(outcome->operation));
    }
    return json;
}

void respond_outcome(struct request *request, const struct fetch_outcome *outcome)
{
    enum problem problem = problem_of_error(outcome->rc);

    if (problem != PROBLEM_NOT_FOUND) {
        char status[64];
        int length =
            snprintf(status, sizeof(status), "cctgate; fwd=%s; detail=%s",
                     request->directives.no_cache ? "request" : "miss", cg_error_name(outcome->rc));
        ADD_NAMED(request->h2o, "cache-status", pooled(request->h2o, status, (size_t)length),
                  (size_t)length);
    }
    send_problem(request, problem, outcome_json(outcome), outcome->retry_after_ms);
}

void respond_document(struct request *request, enum problem problem, json_t *document,
                      int64_t retry_after_ms)
{
    send_problem(request, problem, document, retry_after_ms);
}

/* ---- every answer; what the HTTP library refuses by itself, in our form ---- */

struct replacement {
    h2o_ostream_t super;
    h2o_iovec_t body;
    int sent;
};

static void replace_body(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t bufcnt,
                         h2o_send_state_t state)
{
    struct replacement *replacement = (struct replacement *)self;
    (void)bufs;
    (void)bufcnt;
    int is_head = h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD"));
    h2o_ostream_send_next(&replacement->super, req, &replacement->body,
                          replacement->sent++ || is_head ? 0 : 1, state);
}

static void on_setup_ostream(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot)
{
    ssize_t type = h2o_find_header(&req->res.headers, H2O_TOKEN_CONTENT_TYPE, -1);
    (void)self;
    ADD_NAMED(req, "x-content-type-options", "nosniff", 7); /* Fetch section 3.6 */
    if (req->res.status >= 400 && type != -1 &&
        h2o_memis(req->res.headers.entries[type].value.base, 10, H2O_STRLIT("text/plain"))) {
        struct replacement *replacement =
            (struct replacement *)h2o_add_ostream(req, sizeof(*replacement), slot);
        enum problem problem = problem_of_status(req->res.status);
        replacement->super.do_send = replace_body;
        replacement->body = dump(req, problem_json(problem, NULL));
        replacement->sent = 0;
        req->res.content_length = replacement->body.len;
        h2o_set_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE,
                       H2O_STRLIT("application/problem+json"), 1);
        slot = &replacement->super.next;
        if (!req->http1_is_persistent)
            connection_linger(req);
    }
    h2o_setup_next_ostream(req, slot);
}

void problem_filter_register(h2o_pathconf_t *pathconf)
{
    h2o_filter_t *filter = h2o_create_filter(pathconf, sizeof(*filter));
    filter->on_setup_ostream = on_setup_ostream;
}
