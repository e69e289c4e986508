/*
 * What is said on a stream of events, as tables: the subprotocol cctgate.v1 and its like in server-sent events. AsyncAPI is made from
 * them, and tests hold what the gateway sends against AsyncAPI.
 */
#ifndef CCTGATE_EVENTS_PROTOCOL_H
#define CCTGATE_EVENTS_PROTOCOL_H

#include <stddef.h>

#include "gateway/events/client_message.h"

struct client;
struct config;

/* What a client of a WebSocket may ask for (operations.c). */
struct client_operation {
    const char *op;
    int (*run)(struct client *client, const struct client_message *message,
               struct message_error *error);
    const char *answer;  /* the message that says it worked; NULL: none does */
    const char *summary; /* NULL: known, and not there yet: AsyncAPI does not tell of it */
    const char *schema;  /* of the message without `op` */
};
extern const struct client_operation client_operations[];
extern const size_t num_client_operations;

/* What the gateway says besides events. */
enum stream { STREAM_WEBSOCKET = 1, STREAM_SSE = 2 };
enum server_message {
    MESSAGE_HELLO,
    MESSAGE_SNAPSHOT,
    MESSAGE_GAP,
    MESSAGE_HEARTBEAT,
    MESSAGE_SUBSCRIBED,
    MESSAGE_UNSUBSCRIBED,
    MESSAGE_PONG,
    MESSAGE_RESULT,
    MESSAGE_ERROR,
    MESSAGE_CLOSING,
    SERVER_MESSAGES
};
struct server_message_row {
    const char *op;   /* in a WebSocket; the event's name in server-sent events */
    unsigned streams; /* where it comes, or'ed */
    int names_one;    /* a WebSocket's says by `id` which subscription it is for */
    int is_answer;    /* only to what the client has said */
    const char *summary;
    const char *schema; /* without `op` and that `id` */
};
extern const struct server_message_row server_messages[SERVER_MESSAGES];

/* Why a WebSocket is closed, RFC 6455 section 7.4. */
struct close_code {
    unsigned code;
    int may_resume;     /* coming back with `since` is the right answer */
    const char *reason; /* as it is sent, where there is but one */
    const char *summary;
};
extern const struct close_code close_codes[];
extern const size_t num_close_codes;
/* "" for a code that has no reason of its own */
const char *close_reason(unsigned code);

/* What hello says of the bounds of a connection: a new reference, NULL without memory. */
json_t *protocol_limits(const struct config *config);

#endif
