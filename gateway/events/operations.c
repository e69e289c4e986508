/* What clients of a WebSocket may ask for: a table of operations, DESIGN section 10. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/events/client.h"
#include "gateway/events/protocol.h"
#include "gateway/events/text.h"
#include "gateway/rest/body.h"

static void send_json(struct client *client, enum server_message message, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    if (text == NULL)
        abort();
    client_send(client, frame_message(LABEL_WEBSOCKET, server_messages[message].op, NULL, text,
                                      strlen(text)));
    free(text);
}

static void send_error(struct client *client, const char *id, const struct message_error *error)
{
    json_t *problem = problem_json(error->problem, error->detail), *json = json_object();

    if (error->pointer[0] != '\0')
        json_object_set_new(problem, "pointer", json_string(error->pointer));
    json_object_set_new(json, "id", id != NULL ? json_string(id) : json_null());
    json_object_set_new(json, "problem", problem);
    send_json(client, MESSAGE_ERROR, json);
}

static int refuse(struct message_error *error, enum problem problem, const char *pointer,
                  const char *detail)
{
    error->problem = problem;
    snprintf(error->pointer, sizeof(error->pointer), "%s", pointer);
    snprintf(error->detail, sizeof(error->detail), "%s", detail);
    return CG_E_INVALID;
}

/* ---- subscribe, unsubscribe ---- */

/* The id as JSON text with its quotes, which the caller frees; NULL with `error`. */
static char *take_id(const struct client_message *message, struct message_error *error)
{
    const json_t *id = json_object_get(message->json, "id");
    char *text;

    if (!json_is_string(id) || json_string_length(id) == 0 ||
        json_string_length(id) > CG_SUBSCRIPTION_ID_BYTES_MAX) {
        refuse(error, PROBLEM_BAD_REQUEST, "/id", "expected a string of 1 to 128 bytes");
        return NULL;
    }
    if ((text = json_dumps(id, JSON_ENCODE_ANY)) == NULL)
        abort();
    return text;
}

static int begin(struct client *client, const struct client_message *message, const char *id,
                 struct subscribe *wanted, struct message_error *error)
{
    struct label *label;
    int rc;

    if (client->num_subscriptions >= CG_CLIENT_SUBSCRIPTIONS_MAX)
        return refuse(error, PROBLEM_TOO_MANY, "",
                      "the connection has as many subscriptions as it may");
    if (client_subscription_find(client, id, strlen(id)) != NULL)
        return refuse(error, PROBLEM_BAD_REQUEST, "/id", "a subscription of this id is open");
    label = label_get(&client->hub->labels, LABEL_WEBSOCKET, id, strlen(id));
    rc = client_subscribe(client, label, wanted);
    label_unref(&label);
    if (rc != CG_OK)
        return refuse(error, PROBLEM_STORE, "", "the event log cannot be read");
    send_json(client, MESSAGE_SUBSCRIBED, json_pack("{s:s}", "id", message->id));
    return CG_OK;
}

static int run_subscribe(struct client *client, const struct client_message *message,
                         struct message_error *error)
{
    struct subscribe wanted;
    char *id = take_id(message, error);
    int rc;

    if (id == NULL)
        return CG_E_INVALID;
    if ((rc = subscribe_parse(&wanted, message->json, error)) == CG_OK)
        rc = begin(client, message, id, &wanted, error);
    subscribe_release(&wanted);
    free(id);
    return rc;
}

static int run_unsubscribe(struct client *client, const struct client_message *message,
                           struct message_error *error)
{
    char *id = take_id(message, error);
    struct client_subscription *subscription;

    if (id == NULL)
        return CG_E_INVALID;
    subscription = client_subscription_find(client, id, strlen(id));
    free(id);
    if (subscription == NULL)
        return refuse(error, PROBLEM_NOT_FOUND, "/id", "no subscription of this id is open");
    client_unsubscribe(client, subscription);
    send_json(client, MESSAGE_UNSUBSCRIBED, json_pack("{s:s}", "id", message->id));
    return CG_OK;
}

/* ---- the rest ---- */

static int run_ack(struct client *client, const struct client_message *message,
                   struct message_error *error)
{
    const json_t *seq = json_object_get(message->json, "seq");

    if (!json_is_integer(seq) || json_integer_value(seq) < 0)
        return refuse(error, PROBLEM_BAD_REQUEST, "/seq", "expected the seq of an event");
    client->acked = (uint64_t)json_integer_value(seq);
    return CG_OK;
}

static int run_ping(struct client *client, const struct client_message *message,
                    struct message_error *error)
{
    json_t *json = json_object(), *id = json_object_get(message->json, "id");

    (void)error;
    if (json_is_string(id) && json_string_length(id) <= CG_SUBSCRIPTION_ID_BYTES_MAX)
        json_object_set(json, "id", id);
    json_object_set_new(json, "seq", json_integer((json_int_t)client_seq(client)));
    send_json(client, MESSAGE_PONG, json);
    return CG_OK;
}

/* clang-format off */
#define MESSAGE_ID "\"id\":{\"$ref\":\"#/components/schemas/MessageId\"}"
#define LEASE "\"lease\":{\"$ref\":\"#/components/schemas/Lease\"}"
#define ID "\"id\":{\"$ref\":\"#/components/schemas/SubscriptionId\"}"
const struct client_operation client_operations[] = {
    {"subscribe", run_subscribe, "subscribed",
        "Opens a subscription: a filter, from now on, from `since` on or with a snapshot first. A filter without members is all that the token may see",
        "{\"allOf\":[{\"$ref\":\"#/components/schemas/Filter\"},{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{" ID ","
        "\"since\":{\"$ref\":\"#/components/schemas/EventId\"},"
        "\"snapshot\":{\"type\":[\"boolean\",\"null\"],\"default\":false}}}]}"},
    {"unsubscribe", run_unsubscribe, "unsubscribed", "Closes a subscription",
        "{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{" ID "}}"},
    {"ack", run_ack, NULL, "Tells how far the client has come; nothing is answered and nothing depends on it",
        "{\"type\":\"object\",\"required\":[\"seq\"],\"properties\":{\"seq\":{\"$ref\":\"#/components/schemas/Seq\"}}}"},
    {"ping", run_ping, "pong", "Is answered, for clients that cannot send a WebSocket's own ping",
        "{\"type\":\"object\",\"properties\":{" ID "}}"},
    {"renew", client_run_renew, "result", "Renews a lease; those that are bound to the connection are renewed without it",
        "{\"type\":\"object\",\"required\":[\"lease\"],\"properties\":{" MESSAGE_ID "," LEASE "}}"},
    {"bind", client_run_bind, "result", "Binds a lease to the connection, which renews it as long as it lives",
        "{\"type\":\"object\",\"required\":[\"lease\"],\"properties\":{" MESSAGE_ID "," LEASE "}}"},
    {"command", client_run_command, "result",
        "A command of the HTTP interface, as /openapi.json describes it; what attaches to an agent is bound to the connection. Where no lease is named, the one goes along that the connection holds, or of several the one of the agent that the command names",
        "{\"type\":\"object\",\"required\":[\"method\",\"path\"],\"properties\":{" MESSAGE_ID ","
        "\"method\":{\"type\":\"string\",\"enum\":[\"POST\",\"PUT\",\"PATCH\",\"DELETE\"]},"
        "\"path\":{\"type\":\"string\",\"pattern\":\"^/v1/\",\"description\":\"With its query, percent-encoded\"},"
        "\"body\":{\"type\":[\"object\",\"null\"]}," LEASE ","
        "\"idempotencyKey\":{\"type\":[\"string\",\"null\"],\"description\":\"As Idempotency-Key\"},"
        "\"wait\":{\"type\":[\"integer\",\"null\"],\"minimum\":0,\"description\":\"Seconds, as Prefer: wait\"},"
        "\"user\":{\"type\":[\"string\",\"null\"],\"description\":\"As CCT-User\"}}}"},
};
/* clang-format on */
const size_t num_client_operations = sizeof(client_operations) / sizeof(client_operations[0]);

/* What costs the gateway next to nothing costs the token nothing. */
static int is_free(const char *op)
{
    return strcmp(op, "ack") == 0 || strcmp(op, "ping") == 0;
}

static int run(struct client *client, const struct client_message *message,
               struct message_error *error)
{
    struct rate_verdict verdict;
    size_t i;

    if (!is_free(message->op) && limit_take(client->hub->front, client->hub->front->policy,
                                            client->viewer->sha256, &verdict) != CG_OK)
        return refuse(error, PROBLEM_RATE_LIMITED, "", "the token asks too often");
    for (i = 0; i < num_client_operations; ++i)
        if (strcmp(client_operations[i].op, message->op) == 0)
            return client_operations[i].run(client, message, error);
    return refuse(error, PROBLEM_BAD_REQUEST, "/op",
                  "expected subscribe, unsubscribe, ack, ping, renew, bind or command");
}

void client_message(struct client *client, const char *text, size_t length)
{
    struct client_message message;
    struct message_error error;
    int rc = client_message_parse(&message, text, length, &error);

    if (rc == CG_OK)
        rc = run(client, &message, &error);
    if (rc != CG_OK)
        send_error(client, message.id, &error);
    client_message_release(&message);
    body_wipe(text, length);
}
