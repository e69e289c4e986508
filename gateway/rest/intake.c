#include "gateway/rest/intake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/codec.h"
#include "cctgate/error.h"
#include "gateway/rest/body.h"

static int refuse(struct intake_error *error, int rc, enum problem problem, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static int refuse(struct intake_error *error, int rc, enum problem problem, const char *format, ...)
{
    va_list arguments;

    error->problem = problem;
    error->about_body = 0;
    error->pointer[0] = error->detail[0] = '\0';
    if (format != NULL) {
        va_start(arguments, format);
        vsnprintf(error->detail, sizeof(error->detail), format, arguments);
        va_end(arguments);
    }
    return rc;
}

static int refuse_body(struct intake_error *error, const char *pointer, const char *detail)
{
    refuse(error, CG_E_INVALID, PROBLEM_BAD_REQUEST, "%s", detail);
    error->about_body = 1;
    snprintf(error->pointer, sizeof(error->pointer), "%s", pointer);
    return CG_E_INVALID;
}

/* ---- header fields, or members of a message that stand for them ---- */

/* RFC 8941 section 3.3.3 */
static int unquote(char *out, size_t size, const char *at, const char *end)
{
    size_t n = 0;

    for (++at; at < end && *at != '"'; ++at) {
        if (*at == '\\' && (++at == end || (*at != '"' && *at != '\\')))
            return CG_E_INVALID;
        if (n + 1 >= size)
            return CG_E_INVALID;
        out[n++] = *at;
    }
    out[n] = '\0';
    return at + 1 == end ? CG_OK : CG_E_INVALID;
}

int intake_key(char out[COMMAND_KEY_BYTES_MAX + 1], const char *text, size_t length)
{
    size_t i;
    int rc = CG_OK;

    out[0] = '\0';
    if (length == 0 || memchr(text, '\0', length) != NULL)
        return CG_E_INVALID;
    if (*text == '"') {
        rc = unquote(out, COMMAND_KEY_BYTES_MAX + 1, text, text + length);
    } else if (length <= COMMAND_KEY_BYTES_MAX) {
        memcpy(out, text, length);
        out[length] = '\0';
    }
    for (i = 0; out[i] != '\0'; ++i)
        if (out[i] <= ' ' || out[i] > '~')
            rc = CG_E_INVALID;
    return i > 0 ? rc : CG_E_INVALID;
}

unsigned intake_wait_ms(json_int_t seconds)
{
    if (seconds <= 0)
        return 0;
    return (unsigned)(seconds < CG_COMMAND_WAIT_S_MAX ? seconds : CG_COMMAND_WAIT_S_MAX) * 1000;
}

static const char *trim(const char *at, const char **end)
{
    while (at < *end && (*at == ' ' || *at == '\t'))
        ++at;
    while (at < *end && ((*end)[-1] == ' ' || (*end)[-1] == '\t'))
        --*end;
    return at;
}

/* Where a list's member, or a member's part, ends: at the separator that is not within quotes. */
static const char *part_end(const char *at, const char *end, char separator)
{
    int in_quotes = 0;
    for (; at < end && (in_quotes || *at != separator); ++at) {
        if (in_quotes && *at == '\\' && at + 1 < end)
            ++at;
        else if (*at == '"')
            in_quotes = !in_quotes;
    }
    return at;
}

static unsigned seconds_of(const char *at, const char *end)
{
    json_int_t seconds = 0;

    at = trim(at, &end);
    if (end - at >= 2 && *at == '"' && end[-1] == '"') {
        ++at;
        --end;
    }
    if (at == end)
        return 0;
    for (; at < end; ++at) {
        if (*at < '0' || *at > '9')
            return 0;
        if (seconds < CG_COMMAND_WAIT_S_MAX)
            seconds = seconds * 10 + (*at - '0');
    }
    return intake_wait_ms(seconds);
}

int intake_wait(const char *text, size_t length, unsigned *wait_ms)
{
    const char *at = text, *end = text + length, *stop;

    for (; at < end; at = stop + 1) {
        const char *value_end, *equals, *name, *name_end;
        stop = part_end(at, end, ',');
        value_end = part_end(at, stop, ';'); /* its parameters say nothing to us */
        name_end = equals = part_end(at, value_end, '=');
        name = trim(at, &name_end);
        if (name_end - name != 4 || strncasecmp(name, "wait", 4) != 0)
            continue;
        *wait_ms = equals < value_end ? seconds_of(equals + 1, value_end) : 0;
        return 1;
    }
    return 0;
}

static int is_lease(h2o_iovec_t text)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t i;

    if (text.len != CONTROL_LEASE_BYTES)
        return 0;
    for (i = 0; i < text.len; ++i)
        if (memchr(alphabet, text.base[i], sizeof(alphabet) - 1) == NULL)
            return 0;
    return 1;
}

/* The secret itself goes no further than here. */
static int take_lease(struct command *command, const struct intake *intake,
                      struct intake_error *error)
{
    if (intake->lease.base == NULL) {
        if ((command->has_lease = intake->bound != NULL))
            memcpy(command->lease, intake->bound, sizeof(command->lease));
        return CG_OK;
    }
    if (!is_lease(intake->lease) ||
        !policy_digest(intake->lease.base, intake->lease.len, command->lease))
        return refuse(error, CG_E_INVALID, PROBLEM_BAD_REQUEST,
                      "Control-Lease: expected a lease, %d characters of base64url",
                      CONTROL_LEASE_BYTES);
    command->has_lease = 1;
    return CG_OK;
}

static int take_key(struct command *command, const struct intake *intake,
                    struct intake_error *error)
{
    if (intake->key.base == NULL ||
        intake_key(command->key, intake->key.base, intake->key.len) == CG_OK)
        return CG_OK;
    return refuse(error, CG_E_INVALID, PROBLEM_BAD_REQUEST,
                  "Idempotency-Key: expected 1 to %d visible ASCII characters, bare or quoted",
                  COMMAND_KEY_BYTES_MAX);
}

/* ---- query and body ---- */

static int takes_force(const struct intake *intake)
{
    const struct command_row *row;
    return command_rows_of(intake->route->path, intake->method, &row) > 0 &&
           strcmp(row->name, "release") == 0;
}

static int take_parameter(const struct intake *intake, const char *at, size_t length, int *force,
                          struct intake_error *error)
{
    if (takes_force(intake) && length >= 6 && memcmp(at, "force=", 6) == 0) {
        *force = length == 10 && memcmp(at, "force=true", 10) == 0;
        if (*force || (length == 11 && memcmp(at, "force=false", 11) == 0))
            return CG_OK;
        refuse(error, CG_E_INVALID, PROBLEM_BAD_REQUEST, "force: expected true or false");
        snprintf(error->pointer, sizeof(error->pointer), "?force");
        return CG_E_INVALID;
    }
    refuse(error, CG_E_INVALID, PROBLEM_BAD_REQUEST,
           "the command knows no such query parameter; it takes %s",
           takes_force(intake) ? "force" : "none");
    snprintf(error->pointer, sizeof(error->pointer), "?");
    return CG_E_INVALID;
}

int intake_query(const struct intake *intake, const char *query, size_t length, int *force,
                 struct intake_error *error)
{
    const char *at, *end = query + length, *stop;

    *force = 0;
    for (at = query; at < end; at = stop + 1) {
        if ((stop = memchr(at, '&', (size_t)(end - at))) == NULL)
            stop = end;
        if (stop != at && take_parameter(intake, at, (size_t)(stop - at), force, error) != CG_OK)
            return CG_E_INVALID;
    }
    return CG_OK;
}

json_t *intake_body(const char *text, size_t length, struct intake_error *error)
{
    char detail[128];
    json_t *json;
    int rc = body_parse(&json, text, length, "the body", detail, sizeof(detail));

    body_wipe(text, length);
    if (rc == CG_E_NOMEM)
        refuse(error, rc, PROBLEM_OVERLOADED, "%s", detail);
    else if (rc != CG_OK)
        refuse_body(error, "", detail);
    return json;
}

static json_t *body_of(const struct intake *intake)
{
    return intake->body != NULL ? json_incref(intake->body) : json_object();
}

/* ---- commands ---- */

int command_is(const struct command *command, const char *name)
{
    return command->row != NULL && strcmp(command->row->name, name) == 0;
}

static int check_roles(const struct intake *intake, unsigned roles, struct intake_error *error)
{
    if ((intake->access->roles & roles) != 0)
        return CG_OK;
    return refuse(error, CG_E_DENIED, PROBLEM_FORBIDDEN,
                  "the token's roles do not cover this command");
}

/* All that does not depend on which command it is; takes the reference to `body`. */
static int make(const struct intake *intake, json_t *body, struct command **out,
                struct intake_error *error)
{
    struct command *command = command_new();

    command->body = body;
    if (take_lease(command, intake, error) != CG_OK || take_key(command, intake, error) != CG_OK) {
        command_free(&command);
        return CG_E_INVALID;
    }
    command->id_length = intake->id_length;
    memcpy(command->id, intake->id, intake->id_length);
    command->sub_id_length = intake->sub_id_length;
    memcpy(command->sub_id, intake->sub_id, intake->sub_id_length);
    command->policy = policy_ref(intake->policy);
    command->access = intake->access;
    command->user = intake->user != NULL ? intake->user->number : 0;
    command->door = intake->door;
    command->client = intake->client;
    command->wait_ms = intake->wait_ms;
    command->force = intake->force;
    snprintf(command->traceparent, sizeof(command->traceparent), "%s", intake->traceparent);
    *out = command;
    return CG_OK;
}

/* Which row of the path and method it is, as the body says. NULL with `error`. */
static const struct command_row *choose(const struct intake *intake, const json_t *body,
                                        struct intake_error *error)
{
    const struct command_row *first = NULL, *row;
    struct command_error why;
    size_t count = command_rows_of(intake->route->path, intake->method, &first), i;
    unsigned roles = 0;

    for (i = 0; i < count; ++i)
        roles |= first[i].roles;
    if (check_roles(intake, roles, error) != CG_OK)
        return NULL;
    if (!json_is_object(body) || (intake->body == NULL && first->fields[0] == '*')) {
        refuse_body(error, "", "expected an object");
        return NULL;
    }
    if ((row = command_choose(first, count, body, &why)) == NULL) {
        refuse_body(error, why.pointer, why.detail);
        return NULL;
    }
    if (check_roles(intake, row->roles, error) != CG_OK ||
        (intake->force && check_roles(intake, ROLE_OPERATOR, error) != CG_OK))
        return NULL;
    return row;
}

int intake_command(const struct intake *intake, struct command **command,
                   struct intake_error *error)
{
    json_t *body = body_of(intake);
    const struct command_row *row = choose(intake, body, error);
    int rc;

    if (row == NULL) {
        json_decref(body);
        return CG_E_INVALID;
    }
    if ((rc = make(intake, body, command, error)) == CG_OK)
        (*command)->row = row;
    return rc;
}

int intake_lease(const struct intake *intake, const struct command_row *row,
                 struct command **command, struct intake_error *error)
{
    int rc;

    if (check_roles(intake, row->roles, error) != CG_OK)
        return CG_E_DENIED;
    if (intake->lease.base == NULL)
        return refuse(error, CG_E_INVALID, PROBLEM_BAD_REQUEST, "lease: expected a lease");
    if ((rc = make(intake, json_object(), command, error)) == CG_OK)
        (*command)->row = row;
    return rc;
}

/* ---- operations of the contract ---- */

/* Only services with the session's token are the CCT server's. */
int operation_is_cct(const struct contract_service *service)
{
    size_t i;
    for (i = 0; i < service->num_operations; ++i)
        if (service->operations[i].takes_token)
            return 1;
    return 0;
}

/* The contract is asked before the owner is: a bad body costs no message and no upstream call. */
static int fits_contract(const struct contract_operation *op, const json_t *arguments,
                         struct intake_error *error)
{
    struct codec_buffer buffer = {NULL, 0, 0};
    struct codec_error why;
    char detail[300];
    int rc = codec_encode_request(op, op->service->soap11 ? SOAP_1_1 : SOAP_1_2, arguments,
                                  op->takes_token ? "" : NULL, &buffer, &why);

    body_wipe(buffer.bytes, buffer.length);
    codec_buffer_release(&buffer);
    if (rc == CG_OK)
        return CG_OK;
    snprintf(detail, sizeof(detail), "expected %s, found %s", why.expected, why.found);
    return refuse_body(error, why.pointer, detail);
}

static struct owner_call *make_call(const struct intake *intake,
                                    const struct contract_operation *op, json_t *arguments)
{
    struct owner_call *call = calloc(1, sizeof(*call));

    if (call == NULL)
        abort();
    call->op = op;
    call->arguments = arguments;
    call->user = intake->user->number;
    snprintf(call->traceparent, sizeof(call->traceparent), "%s", intake->traceparent);
    return call;
}

static int check_operation(const struct intake *intake, const struct contract_operation *op,
                           const json_t *arguments, struct intake_error *error)
{
    int rc;

    if (op == NULL || !operation_is_cct(op->service))
        return refuse(error, CG_E_NOTFOUND, PROBLEM_NOT_FOUND, NULL);
    if ((rc = check_roles(intake, operation_roles(op), error)) != CG_OK)
        return rc;
    if (operation_kind(op) == KIND_READ && intake->user == NULL)
        return refuse(error, CG_E_INVALID, PROBLEM_USER_REQUIRED, NULL);
    return fits_contract(op, arguments, error);
}

int intake_operation(const struct intake *intake, struct command **command,
                     struct owner_call **call, struct intake_error *error)
{
    const struct contract_operation *op =
        contract_find(intake->contract, intake->id, intake->sub_id);
    json_t *arguments = body_of(intake);
    int rc = check_operation(intake, op, arguments, error);

    *command = NULL;
    *call = NULL;
    if (rc != CG_OK) {
        json_decref(arguments);
        return rc;
    }
    if (operation_kind(op) == KIND_READ) {
        *call = make_call(intake, op, arguments);
        return CG_OK;
    }
    if ((rc = make(intake, arguments, command, error)) == CG_OK)
        (*command)->op = op;
    return rc;
}
