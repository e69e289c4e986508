#include "gateway/events/protocol.h"

#include "cctgate/config.h"
#include "cctgate/limits.h"

/* clang-format off */
const struct server_message_row server_messages[SERVER_MESSAGES] = {
    [MESSAGE_HELLO] = {"hello", STREAM_WEBSOCKET | STREAM_SSE, 0, 0,
        "The first message: where the event log stands",
        "{\"type\":\"object\",\"required\":[\"epoch\",\"seq\",\"heartbeatMs\"],\"properties\":{"
        "\"epoch\":{\"type\":\"string\",\"pattern\":\"^[0-9]+$\",\"description\":\"Of the event log; another one is another log, and what was remembered of the old one is void\"},"
        "\"seq\":{\"$ref\":\"#/components/schemas/Seq\"},"
        "\"heartbeatMs\":{\"type\":\"integer\",\"description\":\"The stream is never silent for longer\"},"
        "\"limits\":{\"$ref\":\"#/components/schemas/Limits\"}}}"},
    [MESSAGE_SNAPSHOT] = {"snapshot", STREAM_WEBSOCKET | STREAM_SSE, 1, 0,
        "What the token sees and the filter covers, as GET would give it; in parts, between which events may come",
        "{\"type\":\"object\",\"required\":[\"seq\",\"items\"],\"properties\":{"
        "\"seq\":{\"$ref\":\"#/components/schemas/Seq\"},"
        "\"more\":{\"const\":true,\"description\":\"Another part follows\"},"
        "\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"subject\",\"data\"],\"properties\":{"
        "\"subject\":{\"$ref\":\"#/components/schemas/Subject\"},"
        "\"data\":{\"anyOf\":[{\"$ref\":\"#/components/schemas/Agent\"},{\"$ref\":\"#/components/schemas/Terminal\"},"
        "{\"$ref\":\"#/components/schemas/Address\"},{\"$ref\":\"#/components/schemas/Call\"}]}}}}}}"},
    [MESSAGE_GAP] = {"gap", STREAM_WEBSOCKET | STREAM_SSE, 1, 0,
        "What came after `since` cannot be told event by event any more; a snapshot follows",
        "{\"type\":\"object\",\"required\":[\"reason\"],\"properties\":{\"reason\":{"
        "\"type\":\"string\",\"enum\":[\"otherEpoch\",\"future\",\"expired\",\"damaged\"]}}}"},
    [MESSAGE_HEARTBEAT] = {"heartbeat", STREAM_WEBSOCKET, 0, 0,
        "Up to `seq` the client has all that its subscriptions cover; server-sent events say the same by a comment with an id",
        "{\"type\":\"object\",\"required\":[\"seq\"],\"properties\":{\"seq\":{\"$ref\":\"#/components/schemas/Seq\"}}}"},
    [MESSAGE_SUBSCRIBED] = {"subscribed", STREAM_WEBSOCKET, 1, 1, "The subscription is open",
        "{\"type\":\"object\"}"},
    [MESSAGE_UNSUBSCRIBED] = {"unsubscribed", STREAM_WEBSOCKET, 1, 1, "Nothing more comes for the subscription",
        "{\"type\":\"object\"}"},
    [MESSAGE_PONG] = {"pong", STREAM_WEBSOCKET, 0, 1, "The answer to ping; as heartbeat",
        "{\"type\":\"object\",\"required\":[\"seq\"],\"properties\":{\"seq\":{\"$ref\":\"#/components/schemas/Seq\"},"
        "\"id\":{\"type\":\"string\",\"description\":\"That of the ping\"}}}"},
    [MESSAGE_RESULT] = {"result", STREAM_WEBSOCKET, 0, 1, "The answer to command, renew or bind: what HTTP would answer",
        "{\"type\":\"object\",\"required\":[\"id\",\"status\",\"body\"],\"properties\":{"
        "\"id\":{\"$ref\":\"#/components/schemas/MessageId\"},"
        "\"status\":{\"type\":\"integer\",\"minimum\":200,\"maximum\":599},"
        "\"body\":{\"type\":[\"object\",\"null\"],\"description\":\"From 400 on a problem document, see the schema Problem; null: HTTP's answer has none\"},"
        "\"waited\":{\"const\":true,\"description\":\"As Preference-Applied: wait\"},"
        "\"replayed\":{\"const\":true,\"description\":\"As Idempotency-Replayed: the outcome of an earlier command with this key\"}}}"},
    [MESSAGE_ERROR] = {"error", STREAM_WEBSOCKET, 0, 1, "What the client said was refused, and changed nothing",
        "{\"type\":\"object\",\"required\":[\"id\",\"problem\"],\"properties\":{"
        "\"id\":{\"type\":[\"string\",\"null\"],\"description\":\"That of the message, where it had one\"},"
        "\"problem\":{\"$ref\":\"#/components/schemas/Problem\"}}}"},
    [MESSAGE_CLOSING] = {"closing", STREAM_WEBSOCKET | STREAM_SSE, 0, 0,
        "The gateway stops or restarts, and the stream ends after this; server-sent events say the time by `retry` as well",
        "{\"type\":\"object\",\"required\":[\"retryAfterMs\"],\"properties\":{\"retryAfterMs\":{\"type\":\"integer\",\"minimum\":0,"
        "\"description\":\"When to come back: another time for each client, so that not all come at once\"}}}"},
};

const struct close_code close_codes[] = {
    {1000, 0, NULL, "The client closed; its own code is sent back"},
    {1002, 0, "not RFC 6455", "What the client sent is not a WebSocket's"},
    {CG_CLOSE_UNSUPPORTED, 0, "messages are text", "The client sent a binary message"},
    {1007, 0, "not UTF-8", "The client sent text that is not UTF-8"},
    {CG_CLOSE_POLICY, 1, NULL, "The client did not answer a ping in time, or sent too many control frames or fragments"},
    {1009, 0, "the message is too long", "The client sent a message longer than limits.messageBytes"},
    {CG_CLOSE_INTERNAL, 1, NULL, "The gateway cannot read its store"},
    {CG_CLOSE_RESTART, 1, "the gateway is stopping", "The gateway stops or restarts"},
    {CG_CLOSE_UNAUTHORIZED, 0, "the token is no longer valid", "The token was withdrawn"},
    {CG_CLOSE_SLOW, 1, "the client takes events too slowly; it can resume", "The client's queue was full"},
};
/* clang-format on */
const size_t num_close_codes = sizeof(close_codes) / sizeof(close_codes[0]);

const char *close_reason(unsigned code)
{
    size_t i;
    for (i = 0; i < num_close_codes; ++i)
        if (close_codes[i].code == code && close_codes[i].reason != NULL)
            return close_codes[i].reason;
    return "";
}

json_t *protocol_limits(const struct config *config)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "messageBytes", CG_CLIENT_MESSAGE_BYTES_MAX,
                     "subscriptions", CG_CLIENT_SUBSCRIPTIONS_MAX, "filterMembers",
                     CG_FILTER_MEMBERS_MAX, "commands", CG_CLIENT_COMMANDS_MAX, "queuedFrames",
                     (int)config->events.max_queued_frames, "queuedKiB",
                     (int)config->events.max_queued_kib);
}
