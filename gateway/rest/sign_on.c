/* /v1/sessions: who is logged in upstream, and signing on and off. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/sign_on.h"
#include "gateway/rest/body.h"
#include "gateway/rest/intake.h"
#include "gateway/rest/rest.h"

/* ---- where it comes from ---- */

/* An IPv6 network of 64 bits is what one client has: all of it is one address to a lock-out. */
static void print_ipv6(char *out, size_t size, struct in6_addr address)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (IN6_IS_ADDR_V4MAPPED(&address)) {
        inet_ntop(AF_INET, &address.s6_addr[12], out, (socklen_t)size);
        return;
    }
    memset(&address.s6_addr[8], 0, 8);
    inet_ntop(AF_INET6, &address, text, sizeof(text));
    snprintf(out, size, "%s/64", text);
}

static void print_address(const struct request *request, char *out, size_t size)
{
    h2o_conn_t *conn = request->h2o->conn;
    struct sockaddr_storage peer;

    memset(&peer, 0, sizeof(peer));
    out[0] = '\0';
    if (conn->callbacks->get_peername(conn, (struct sockaddr *)&peer) == 0)
        return;
    if (peer.ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)&peer)->sin_addr, out, (socklen_t)size);
    else if (peer.ss_family == AF_INET6)
        print_ipv6(out, size, ((const struct sockaddr_in6 *)&peer)->sin6_addr);
}

/* ---- the body ---- */

static const struct field {
    const char *name, *pointer;
    size_t offset, min, max;
    int is_required, is_secret;
} fields[] = {
    {"username", "/username", offsetof(struct sign_ask, user), 1, CG_ID_BYTES_MAX, 1, 0},
    {"password", "/password", offsetof(struct sign_ask, password), 1, SIGN_PASSWORD_BYTES_MAX, 1,
     1},
    {"domain", "/domain", offsetof(struct sign_ask, domain), 0, CG_ID_BYTES_MAX, 0, 0},
};
#define NUM_FIELDS (sizeof(fields) / sizeof(fields[0]))

static int has_control(const char *text)
{
    for (; *text != '\0'; ++text)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return 1;
    return 0;
}

/* What came is not repeated: it may be a password in the wrong place. */
static int take_field(struct request *request, const json_t *body, const struct field *field,
                      struct sign_ask *ask)
{
    const json_t *value = json_object_get(body, field->name);
    const char *text = json_string_value(value);
    char *copy;

    if ((value == NULL || json_is_null(value)) && !field->is_required)
        return CG_OK;
    if (text == NULL || json_string_length(value) < field->min ||
        json_string_length(value) > field->max || (!field->is_secret && has_control(text))) {
        respond_problem(request, PROBLEM_BAD_REQUEST, field->pointer,
                        "%s: expected a text of %zu to %zu bytes%s", field->name, field->min,
                        field->max, field->is_secret ? "" : " without control characters");
        return CG_E_INVALID;
    }
    if ((copy = strdup(text)) == NULL)
        abort();
    memcpy((char *)ask + field->offset, &copy, sizeof(copy));
    /* cppcheck-suppress memleak ; it is the ask's */
    return CG_OK;
}

#define POINTER_BYTES 128
/* RFC 6901; a name that is too long to be told is not told. */
static const char *point_to(char pointer[POINTER_BYTES], const char *name)
{
    size_t n = 0;

    pointer[n++] = '/';
    for (; *name != '\0'; ++name) {
        if (n + 3 > POINTER_BYTES)
            return "";
        if (*name == '~' || *name == '/')
            pointer[n++] = '~';
        pointer[n++] = (char)(*name == '~' ? '0' : *name == '/' ? '1' : *name);
    }
    pointer[n] = '\0';
    return pointer;
}

static int check_members(struct request *request, const json_t *body)
{
    char pointer[POINTER_BYTES];
    const char *name;
    json_t *value;
    size_t i;

    json_object_foreach((json_t *)(uintptr_t)body, name, value)
    {
        for (i = 0; i < NUM_FIELDS && strcmp(name, fields[i].name) != 0; ++i)
            ;
        if (i < NUM_FIELDS)
            continue;
        respond_problem(request, PROBLEM_BAD_REQUEST, point_to(pointer, name),
                        "expected username, password and domain, found another member");
        return CG_E_INVALID;
    }
    return CG_OK;
}

static int take_members(struct request *request, const json_t *body, struct sign_ask *ask)
{
    size_t i;
    int rc = CG_OK;

    if (!json_is_object(body)) {
        respond_problem(request, PROBLEM_BAD_REQUEST, "", "expected an object");
        return CG_E_INVALID;
    }
    rc = check_members(request, body);
    for (i = 0; i < NUM_FIELDS && rc == CG_OK; ++i)
        rc = take_field(request, body, &fields[i], ask);
    return rc;
}

static int take_body(struct request *request, struct sign_ask *ask)
{
    h2o_iovec_t entity = request->h2o->entity;
    struct intake_error error;
    json_t *body;
    int rc;

    if (entity.len > SIGN_BODY_BYTES_MAX) {
        body_wipe(entity.base, entity.len);
        respond_problem(request, PROBLEM_BODY_TOO_LARGE, NULL, NULL);
        return CG_E_LIMIT;
    }
    if ((body = intake_body(entity.base, entity.len, &error)) == NULL) {
        respond_problem(request, error.problem, error.pointer, "%s", error.detail);
        return CG_E_INVALID;
    }
    rc = take_members(request, body, ask);
    body_wipe_json(body);
    json_decref(body);
    return rc;
}

/* ---- answers ---- */

static void answer(struct request *request, const struct sign_ask *ask)
{
    switch (ask->answer) {
    case SIGN_DONE:
        if (ask->is_off)
            respond_nothing(request);
        else
            respond_secret(request, 201, "/v1/sessions", ask->body);
        break;
    case SIGN_DENIED:
        respond_problem(request, PROBLEM_SIGN_ON_DENIED, NULL, NULL);
        break;
    case SIGN_LOCKED:
        respond_problem_after(request, PROBLEM_SIGN_ON_LOCKED, ask->retry_after_ms, NULL);
        break;
    case SIGN_NO_BEARER:
        respond_problem(request, PROBLEM_NOT_SIGNED_ON, NULL, NULL);
        break;
    case SIGN_UNANSWERABLE:
        respond_problem_after(request, problem_of_error(ask->rc), ask->retry_after_ms, NULL);
        break;
    }
}

static void on_reply(struct message *message)
{
    struct sign_ask *ask = (struct sign_ask *)message;
    struct request *request = asking_end(ask->data);

    if (request != NULL)
        answer(request, ask);
    sign_ask_free(&ask);
}

/* It is always answered, and what the contact centre leaves hanging is ended by upstream.timeoutMs. */
static void send_ask(struct request *request, struct sign_ask *ask)
{
    print_address(request, ask->address, sizeof(ask->address));
    ask->data = asking_begin_patiently(request);
    ask->reply_to = &request->front->mailbox;
    ask->on_reply = on_reply;
    sign_ask_send(request->front->owner, ask);
}

static void post_session(struct request *request)
{
    struct sign_ask *ask = sign_ask_new();

    if (take_body(request, ask) == CG_OK)
        send_ask(request, ask);
    else
        sign_ask_free(&ask);
}

static void delete_session(struct request *request)
{
    struct sign_ask *ask = sign_ask_new();
    h2o_iovec_t token = request_bearer(request);

    ask->is_off = 1;
    if (request->h2o->entity.len > 0)
        respond_problem(request, PROBLEM_BAD_REQUEST, "", "expected no body, found one");
    else if (!policy_digest(token.base, token.len, ask->sha256))
        respond_problem(request, PROBLEM_INTERNAL, NULL, NULL);
    else {
        send_ask(request, ask);
        return;
    }
    sign_ask_free(&ask);
}

void serve_sessions(struct request *request)
{
    if (strcmp(request->method, "POST") == 0)
        post_session(request);
    else if (strcmp(request->method, "DELETE") == 0)
        delete_session(request);
    else
        get_sessions(request);
}
