/*
 * Commands over a WebSocket: the same table, checks and answers as over HTTP.
 *
 * A connection remembers the leases that it got or bound, by their digest: a command that brings none is given the one that its agent is
 * held by. That is a convenience; whether a lease is good for anything is the gate's to say, each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/owner.h"
#include "gateway/events/client.h"
#include "gateway/events/protocol.h"
#include "gateway/rest/body.h"
#include "gateway/rest/intake.h"

struct client_lease {
    uint8_t digest[CONTROL_DIGEST_BYTES];
    char agent[CG_ID_BYTES_MAX + 1];
    enum control_profile profile;
};

/* A command or a call that has not been answered. */
struct errand {
    struct errand *next, **link; /* in the client's list */
    struct client *client;       /* NULL: it has gone */
    struct front *front;
    json_t *id;
};

/* ---- answers ---- */

/* Takes the references. `secret`: it holds a lease. */
static void send_result(struct client *client, json_t *id, int status, json_t *body, json_t *more,
                        int secret)
{
    json_t *json = json_pack("{s:o, s:i, s:o}", "id", id, "status", status, "body",
                             body != NULL ? body : json_null());
    char *text;

    if (more != NULL)
        json_object_update(json, more);
    json_decref(more);
    if ((text = json_dumps(json, JSON_COMPACT)) == NULL)
        abort();
    json_decref(json);
    client_send(client, frame_message(LABEL_WEBSOCKET, server_messages[MESSAGE_RESULT].op, NULL,
                                      text, strlen(text)));
    if (secret)
        body_wipe(text, strlen(text));
    free(text);
}

static void send_problem(struct client *client, json_t *id, const struct intake_error *error)
{
    json_t *json = problem_json(error->problem, error->detail);

    if (error->about_body || error->pointer[0] != '\0')
        json_object_set_new(json, "pointer", json_string(error->pointer));
    send_result(client, id, problem_rows[error->problem].status, json, NULL, 0);
}

static struct errand *errand_new(struct client *client, json_t *id)
{
    struct errand *errand = calloc(1, sizeof(*errand));

    if (errand == NULL)
        abort();
    errand->client = client;
    errand->front = client->hub->front;
    errand->id = json_incref(id);
    if ((errand->next = client->errands) != NULL)
        errand->next->link = &errand->next;
    errand->link = &client->errands;
    client->errands = errand;
    ++client->num_errands;
    return errand;
}

static void leave(struct errand *errand)
{
    if (errand->client == NULL)
        return;
    if ((*errand->link = errand->next) != NULL)
        errand->next->link = errand->link;
    --errand->client->num_errands;
    errand->client = NULL;
}

/* The client (NULL: it has gone, or says nothing more) and its id, which the caller owns; frees. */
static struct client *errand_end(struct errand *errand, json_t **id)
{
    struct client *client = errand->client;

    *id = errand->id;
    leave(errand);
    free(errand);
    if (client != NULL && client->state == CLIENT_OPEN)
        return client;
    json_decref(*id);
    return NULL;
}

/* ---- leases that the connection knows ---- */

static int may_bind(const struct command *command)
{
    return command_is(command, "attach") || command_is(command, "bind");
}

static void forget(struct client *client, const uint8_t *digest)
{
    unsigned i;

    for (i = 0; i < client->num_leases; ++i)
        if (memcmp(client->leases[i].digest, digest, CONTROL_DIGEST_BYTES) == 0)
            break;
    if (i == client->num_leases)
        return;
    --client->num_leases;
    memmove(&client->leases[i], &client->leases[i + 1],
            (client->num_leases - i) * sizeof(*client->leases));
}

/* Of one agent there is one FullControl at a time: an older one is void. */
static void supersede(struct client *client, const struct client_lease *lease)
{
    unsigned i;

    for (i = client->num_leases; i-- > 0 && lease->profile == CONTROL_FULL;)
        if (client->leases[i].profile == CONTROL_FULL &&
            strcmp(client->leases[i].agent, lease->agent) == 0)
            forget(client, client->leases[i].digest);
    if (client->num_leases == CG_CLIENT_LEASES_MAX)
        forget(client, client->leases[0].digest);
}

static void remember(struct client *client, const struct client_lease *lease)
{
    forget(client, lease->digest);
    supersede(client, lease);
    if (client->leases == NULL &&
        (client->leases = calloc(CG_CLIENT_LEASES_MAX, sizeof(*client->leases))) == NULL)
        abort();
    client->leases[client->num_leases++] = *lease;
}

/* From the answer to one that attaches or binds. */
static void learn_lease(struct client *client, const struct command *command)
{
    const char *text = json_string_value(json_object_get(command->answer, "lease")),
               *agent = json_string_value(json_object_get(command->answer, "agent")),
               *profile = json_string_value(json_object_get(command->answer, "profile"));
    struct client_lease lease;

    memset(&lease, 0, sizeof(lease));
    memcpy(lease.digest, command->lease, sizeof(lease.digest));
    if (profile == NULL || (text == NULL && !command->has_lease) ||
        (text != NULL && !policy_digest(text, strlen(text), lease.digest)))
        return;
    lease.profile = control_profile_by_name(profile);
    snprintf(lease.agent, sizeof(lease.agent), "%s", agent != NULL ? agent : command->id);
    remember(client, &lease);
}

/* Over, not only of no use for another agent than its own. */
static int is_lost(const struct client *client, const struct command *command)
{
    const char *type = json_string_value(json_object_get(command->answer, "type")),
               *agent = json_string_value(json_object_get(command->answer, "agent"));
    char lost[64];
    unsigned i;

    snprintf(lost, sizeof(lost), "/problems/%s", problem_rows[PROBLEM_CONTROL_LOST].slug);
    if (!command->is_problem || type == NULL || agent == NULL || strcmp(type, lost) != 0)
        return 0;
    for (i = 0; i < client->num_leases; ++i)
        if (memcmp(client->leases[i].digest, command->lease, CONTROL_DIGEST_BYTES) == 0)
            return strcmp(client->leases[i].agent, agent) == 0;
    return 0;
}

static int is_released(const struct command *command)
{
    return !command->is_problem && !command->force && command_is(command, "release");
}

static void learn(struct client *client, const struct command *command)
{
    if (!command->is_problem && may_bind(command))
        learn_lease(client, command);
    else if (command->has_lease && (is_released(command) || is_lost(client, command)))
        forget(client, command->lease);
}

/* ---- which lease goes along ---- */

static const struct client_lease *held_of(const struct client *client, const char *agent)
{
    unsigned i;

    for (i = client->num_leases; agent != NULL && i-- > 0;)
        if (client->leases[i].profile == CONTROL_FULL &&
            strcmp(client->leases[i].agent, agent) == 0)
            return &client->leases[i];
    return NULL;
}

static const struct client_lease *only_held(const struct client *client)
{
    const struct client_lease *found = NULL;
    unsigned i;

    for (i = 0; i < client->num_leases; ++i) {
        if (client->leases[i].profile != CONTROL_FULL)
            continue;
        if (found != NULL)
            return NULL;
        found = &client->leases[i];
    }
    return found;
}

/* What gives an instance's own attachment back, whatever it is attached as. */
static const struct client_lease *latest_of(const struct client *client, const char *agent)
{
    const struct client_lease *held = held_of(client, agent);
    unsigned i;

    for (i = client->num_leases; held == NULL && i-- > 0;)
        if (strcmp(client->leases[i].agent, agent) == 0)
            held = &client->leases[i];
    return held;
}

static const char *agent_named(const struct intake *intake)
{
    const json_t *from = json_object_get(intake->body, "from");
    const char *agent = json_string_value(json_object_get(intake->body, "agent"));

    if (strncmp(intake->route->path, "/v1/agents/{", 12) == 0)
        return intake->id;
    return agent != NULL ? agent : json_string_value(json_object_get(from, "agent"));
}

static const uint8_t *bound_lease(const struct client *client, const struct intake *intake)
{
    const struct command_row *row = NULL;
    const struct client_lease *lease;

    if (command_rows_of(intake->route->path, intake->method, &row) > 0 &&
        row->target == TARGET_CONTROL) {
        /* to attach without a lease is to be another instance */
        if (strcmp(row->name, "release") != 0 || intake->force)
            return NULL;
        lease = latest_of(client, intake->id);
    } else if ((lease = only_held(client)) == NULL) {
        lease = held_of(client, agent_named(intake));
    }
    return lease != NULL ? lease->digest : NULL;
}

/* ---- sending ---- */

/* What was bound after the connection had been told of as gone would be renewed for good. */
static void let_go(const struct errand *errand, const struct command *command)
{
    if (errand->client == NULL && may_bind(command) && !errand->front->stopping)
        owner_client_gone(errand->front->owner, command->client, 0);
}

static void send_answer(struct client *client, json_t *id, const struct command *command)
{
    json_t *more = json_object();

    if (command->waited)
        json_object_set_new(more, "waited", json_true());
    if (command->replayed)
        json_object_set_new(more, "replayed", json_true());
    send_result(client, id, command->status, json_incref(command->answer), more,
                command->secret_answer);
    client_flush(client);
}

static void on_command(struct message *message)
{
    struct command *command = (struct command *)message;
    struct client *client;
    json_t *id;

    let_go(command->data, command);
    if ((client = errand_end(command->data, &id)) != NULL) {
        learn(client, command);
        send_answer(client, id, command);
    }
    command_free(&command);
}

static void send_command(struct client *client, json_t *id, struct command *command)
{
    command->data = errand_new(client, id);
    command->reply_to = &client->hub->front->mailbox;
    command->on_reply = on_command;
    if (may_bind(command))
        client->may_hold = 1;
    owner_command_send(client->hub->front->owner, command);
}

static void on_call(struct message *message)
{
    struct owner_call *call = (struct owner_call *)message;
    json_t *id;
    struct client *client = errand_end(call->data, &id);

    if (client != NULL) {
        if (call->outcome->rc == CG_OK)
            send_result(client, id, 200, json_incref(call->result), NULL, 0);
        else
            send_result(client, id, problem_rows[problem_of_error(call->outcome->rc)].status,
                        outcome_json(call->outcome), NULL, 0);
        client_flush(client);
    }
    owner_call_free(&call);
}

static void send_call(struct client *client, json_t *id, struct owner_call *call)
{
    call->data = errand_new(client, id);
    call->reply_to = &client->hub->front->mailbox;
    call->on_reply = on_call;
    owner_call_send(client->hub->front->owner, call);
}

void client_commands_release(struct client *client)
{
    while (client->errands != NULL)
        leave(client->errands);
    if (client->leases != NULL)
        explicit_bzero(client->leases, CG_CLIENT_LEASES_MAX * sizeof(*client->leases));
    free(client->leases);
    client->leases = NULL;
    /* when we are what ends, the leases keep the time that they have */
    if (client->may_hold && !client->hub->stopping)
        owner_client_gone(client->hub->front->owner, client->number, client_silent_ms(client));
}

/* ---- what the message says ---- */

struct said {
    struct intake intake;
    char method[ROUTE_METHOD_BYTES];
    char id[CG_ID_BYTES_MAX + 1], sub_id[CG_ID_BYTES_MAX + 1];
};

static int refuse(struct intake_error *error, enum problem problem, const char *pointer,
                  const char *detail)
{
    error->problem = problem;
    error->about_body = 0;
    snprintf(error->pointer, sizeof(error->pointer), "%s", pointer);
    snprintf(error->detail, sizeof(error->detail), "%s", detail);
    return CG_E_INVALID;
}

/* A text that may be left out. */
static int take_text(const json_t *json, const char *name, h2o_iovec_t *text,
                     struct intake_error *error)
{
    const json_t *value = json_object_get(json, name);
    char pointer[32];

    *text = (h2o_iovec_t){NULL, 0};
    if (value == NULL || json_is_null(value))
        return CG_OK;
    if (json_is_string(value)) {
        text->base = (char *)(uintptr_t)json_string_value(value);
        text->len = json_string_length(value);
        return CG_OK;
    }
    snprintf(pointer, sizeof(pointer), "/%s", name);
    return refuse(error, PROBLEM_BAD_REQUEST, pointer, "expected a text");
}

static int take_wait(struct intake *intake, const json_t *json, struct intake_error *error)
{
    const json_t *wait = json_object_get(json, "wait");

    if (wait == NULL || json_is_null(wait))
        return CG_OK;
    if (!json_is_integer(wait) || json_integer_value(wait) < 0)
        return refuse(error, PROBLEM_BAD_REQUEST, "/wait", "expected a number of seconds");
    intake->wait_ms = intake_wait_ms(json_integer_value(wait));
    return CG_OK;
}

/* As CCT-User. */
static int take_user(struct intake *intake, const json_t *json, struct intake_error *error)
{
    const struct access *access = intake->access;
    h2o_iovec_t name;

    if (take_text(json, "user", &name, error) != CG_OK)
        return CG_E_INVALID;
    if (name.base == NULL) {
        if (access->num_users == 1 && !access->every_user)
            intake->user = &access->users[0];
        return CG_OK;
    }
    if ((intake->user = access_find_user(access, name.base, name.len)) != NULL)
        return CG_OK;
    return refuse(error, PROBLEM_FORBIDDEN, "/user", "the token may not act for that CCT user");
}

/* As the fields of the request. */
static int take_fields(struct said *said, const struct client *client, const json_t *json,
                       struct intake_error *error)
{
    struct intake *intake = &said->intake;

    intake->contract = client->hub->front->fronts->contract;
    intake->policy = client->viewer->policy;
    intake->access = client->viewer->access;
    intake->id = said->id;
    intake->sub_id = said->sub_id;
    intake->method = said->method;
    intake->door = "websocket";
    intake->traceparent = "";
    intake->client = client->number;
    if (take_text(json, "lease", &intake->lease, error) != CG_OK ||
        take_text(json, "idempotencyKey", &intake->key, error) != CG_OK ||
        take_wait(intake, json, error) != CG_OK)
        return CG_E_INVALID;
    return take_user(intake, json, error);
}

static int take_method(struct said *said, const json_t *json, struct intake_error *error)
{
    h2o_iovec_t method;

    if (take_text(json, "method", &method, error) != CG_OK)
        return CG_E_INVALID;
    if (method.len == 0)
        return refuse(error, PROBLEM_BAD_REQUEST, "/method", "expected the method of a command");
    /* a longer one is none, and is told so when the path is known */
    snprintf(said->method, sizeof(said->method), "%s",
             method.len < sizeof(said->method) ? method.base : "?");
    return CG_OK;
}

static int decode(h2o_iovec_t segment, char *out, size_t size, size_t *length,
                  struct intake_error *error)
{
    int rc =
        segment.base != NULL ? path_decode(segment.base, segment.len, out, size, length) : CG_OK;

    if (rc == CG_E_LIMIT)
        return refuse(error, PROBLEM_NOT_FOUND, "", "");
    if (rc != CG_OK)
        return refuse(error, PROBLEM_BAD_REQUEST, "/path",
                      "expected UTF-8 text with valid percent-escapes in the path");
    return CG_OK;
}

/* Reading has its own messages, and the rest of the API is for HTTP. */
static int check_method(const struct said *said, struct intake_error *error)
{
    const struct route *route = said->intake.route;
    const struct command_row *row;

    if (strcmp(said->method, "GET") == 0 || strcmp(said->method, "HEAD") == 0)
        return refuse(error, PROBLEM_METHOD_NOT_ALLOWED, "/method",
                      "a WebSocket reads by snapshots: subscribe with \"snapshot\":true");
    if (command_rows_of(route->path, said->method, &row) > 0 ||
        (route->handler == serve_operation && strcmp(said->method, "POST") == 0))
        return CG_OK;
    refuse(error, PROBLEM_METHOD_NOT_ALLOWED, "/method", "");
    snprintf(error->detail, sizeof(error->detail), "the resource has %s, and not all are commands",
             route->methods);
    return CG_E_INVALID;
}

static int take_path(struct said *said, const json_t *json, struct intake_error *error)
{
    struct intake *intake = &said->intake;
    h2o_iovec_t path, ids[2];
    const char *query;
    size_t length;

    if (take_text(json, "path", &path, error) != CG_OK)
        return CG_E_INVALID;
    if (path.len == 0 || *path.base != '/')
        return refuse(error, PROBLEM_BAD_REQUEST, "/path", "expected the path of a resource");
    if (path.len > CG_PATH_BYTES_MAX)
        return refuse(error, PROBLEM_URI_TOO_LONG, "/path", "");
    query = memchr(path.base, '?', path.len);
    length = query != NULL ? (size_t)(query - path.base) : path.len;
    if ((intake->route = route_find(path.base, length, ids)) == NULL)
        return refuse(error, PROBLEM_NOT_FOUND, "", "");
    if (check_method(said, error) != CG_OK)
        return CG_E_INVALID;
    if ((intake->access->roles & intake->route->roles) == 0)
        return refuse(error, PROBLEM_FORBIDDEN, "", "the token's roles do not cover this resource");
    if (query != NULL &&
        intake_query(intake, query + 1, path.len - length - 1, &intake->force, error) != CG_OK)
        return CG_E_INVALID;
    if (decode(ids[0], said->id, sizeof(said->id), &intake->id_length, error) != CG_OK)
        return CG_E_INVALID;
    return decode(ids[1], said->sub_id, sizeof(said->sub_id), &intake->sub_id_length, error);
}

static int take_body(struct intake *intake, json_t *json, struct intake_error *error)
{
    json_t *body = json_object_get(json, "body");

    if (body == NULL || json_is_null(body))
        return CG_OK;
    if (json_is_object(body)) {
        intake->body = body;
        return CG_OK;
    }
    refuse(error, PROBLEM_BAD_REQUEST, "", "expected an object");
    error->about_body = 1;
    return CG_E_INVALID;
}

/* ---- the operations ---- */

/* What the answer repeats: a text, a number, or null where none came. */
static int take_message_id(const struct client_message *message, json_t **id,
                           struct message_error *error)
{
    *id = json_object_get(message->json, "id");
    if (*id == NULL || json_is_null(*id)) {
        *id = json_null();
        return CG_OK;
    }
    if (json_is_integer(*id) ||
        (json_is_string(*id) && json_string_length(*id) <= CG_SUBSCRIPTION_ID_BYTES_MAX))
        return CG_OK;
    error->problem = PROBLEM_BAD_REQUEST;
    snprintf(error->pointer, sizeof(error->pointer), "/id");
    snprintf(error->detail, sizeof(error->detail),
             "expected a string of at most %d bytes, or an integer", CG_SUBSCRIPTION_ID_BYTES_MAX);
    return CG_E_INVALID;
}

static int has_room(const struct client *client, struct intake_error *error)
{
    if (client->num_errands < CG_CLIENT_COMMANDS_MAX)
        return CG_OK;
    return refuse(error, PROBLEM_TOO_MANY, "",
                  "the connection has as many commands under way as it may");
}

static int begin(struct client *client, json_t *json, json_t *id, struct intake_error *error)
{
    struct said said = {.method = ""};
    struct intake *intake = &said.intake;
    struct command *command = NULL;
    struct owner_call *call = NULL;
    int rc;

    if (has_room(client, error) != CG_OK || take_fields(&said, client, json, error) != CG_OK ||
        take_method(&said, json, error) != CG_OK || take_path(&said, json, error) != CG_OK ||
        take_body(intake, json, error) != CG_OK)
        return CG_E_INVALID;
    intake->bound = intake->lease.base == NULL ? bound_lease(client, intake) : NULL;
    rc = intake->route->handler == serve_operation
             ? intake_operation(intake, &command, &call, error)
             : intake_command(intake, &command, error);
    if (command != NULL)
        send_command(client, id, command);
    if (call != NULL)
        send_call(client, id, call);
    return rc;
}

int client_run_command(struct client *client, const struct client_message *message,
                       struct message_error *error)
{
    struct intake_error why;
    json_t *id;

    if (take_message_id(message, &id, error) != CG_OK)
        return CG_E_INVALID;
    if (begin(client, message->json, id, &why) != CG_OK) {
        body_wipe_json(json_object_get(message->json, "body"));
        send_problem(client, json_incref(id), &why);
    }
    body_wipe_json(json_object_get(message->json, "lease"));
    return CG_OK;
}

/* A row of no path: there is nothing but the lease. */
static int run_lease(struct client *client, const struct client_message *message,
                     struct message_error *error, const struct command_row *row)
{
    struct said said = {.method = ""};
    struct intake_error why;
    struct command *command = NULL;
    json_t *id;

    if (take_message_id(message, &id, error) != CG_OK)
        return CG_E_INVALID;
    if (has_room(client, &why) == CG_OK &&
        take_fields(&said, client, message->json, &why) == CG_OK &&
        intake_lease(&said.intake, row, &command, &why) == CG_OK)
        send_command(client, id, command);
    else
        send_problem(client, json_incref(id), &why);
    body_wipe_json(json_object_get(message->json, "lease"));
    return CG_OK;
}

int client_run_renew(struct client *client, const struct client_message *message,
                     struct message_error *error)
{
    return run_lease(client, message, error, &command_renew);
}

int client_run_bind(struct client *client, const struct client_message *message,
                    struct message_error *error)
{
    return run_lease(client, message, error, &command_bind);
}
