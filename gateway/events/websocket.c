/*
 * WebSocket, RFC 6455. wslay reads what comes in: frames, fragments, UTF-8, lengths, the form of control frames. It sends
 * nothing: what it would answer by itself is thrown away, and what it decided is said by us, through the client's queue.
 */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/events/client.h"
#include "gateway/events/handshake.h"
#include "gateway/events/protocol.h"
#include "gateway/rest/reading.h"

#define TURN_BYTES 4096 /* what wslay is given before it is asked what it makes of it */

/* ---- the opening handshake ---- */

static void on_upgraded(void *data, h2o_socket_t *sock, size_t request_bytes)
{
    struct client *client = data;

    if (sock == NULL)
        client_free(client);
    else
        client_start(client, sock, request_bytes);
}

static void add_header(h2o_req_t *req, const char *name, const char *value, size_t length)
{
    h2o_iovec_t copy = h2o_strdup(&req->pool, value, length);
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 0, NULL, copy.base,
                          copy.len);
}

void websocket_upgrade(struct request *request, struct client *client, const char *key,
                       int subprotocol)
{
    h2o_req_t *req = request->h2o;
    char accept[HANDSHAKE_ACCEPT_BYTES + 1];

    handshake_accept(accept, key);
    req->res.status = 101;
    req->res.reason = "Switching Protocols";
    add_header(req, "upgrade", "websocket", 9);
    add_header(req, "sec-websocket-accept", accept, HANDSHAKE_ACCEPT_BYTES);
    if (subprotocol)
        add_header(req, "sec-websocket-protocol", HANDSHAKE_SUBPROTOCOL,
                   sizeof(HANDSHAKE_SUBPROTOCOL) - 1);
    h2o_http1_upgrade(req, NULL, 0, on_upgraded, client);
}

/* ---- what comes in ---- */

static ssize_t on_recv(wslay_event_context_ptr parser, uint8_t *buffer, size_t length, int flags,
                       void *data)
{
    struct client *client = data;
    h2o_buffer_t **input = &client->sock->input;
    size_t n = (*input)->size < client->ws.feed ? (*input)->size : client->ws.feed;

    (void)flags;
    if (n > length)
        n = length;
    if (n == 0) {
        wslay_event_set_error(parser, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(buffer, (*input)->bytes, n);
    h2o_buffer_consume(input, n);
    client->ws.feed -= n;
    return (ssize_t)n;
}

static ssize_t on_send(wslay_event_context_ptr parser, const uint8_t *bytes, size_t length,
                       int flags, void *data)
{
    (void)parser;
    (void)bytes;
    (void)flags;
    (void)data;
    return (ssize_t)length;
}

/* Whoever floods us is told so, and not listened to any more: what it still sends waits in its own kernel until the end. */
static void expel(struct client *client, const char *reason)
{
    client_close(client, CG_CLOSE_POLICY, reason);
    h2o_socket_read_stop(client->sock);
}

/* Fragments cost memory each, control frames an answer each: neither is bounded by the length of a message. */
static void on_frame(wslay_event_context_ptr parser,
                     const struct wslay_event_on_frame_recv_start_arg *frame, void *data)
{
    struct client *client = data;

    (void)parser;
    if (wslay_is_ctrl_frame(frame->opcode)) {
        if (++client->ws.controls > CG_CLIENT_CONTROLS_MAX)
            expel(client, "too many control frames");
    } else if (++client->ws.fragments > CG_CLIENT_FRAGMENTS_MAX) {
        expel(client, "too many fragments");
    }
}

/* Answered in kind; nothing new when it is the answer to ours. A code has two bytes, which wslay does not insist on. */
static void on_peer_close(struct client *client, const struct wslay_event_on_msg_recv_arg *message)
{
    client->ws.peer_closed = 1;
    if (message->msg_length == 1)
        client_close(client, WSLAY_CODE_PROTOCOL_ERROR, "not RFC 6455");
    else
        client_close(client, message->status_code, "");
}

static void on_message(wslay_event_context_ptr parser,
                       const struct wslay_event_on_msg_recv_arg *message, void *data)
{
    struct client *client = data;

    (void)parser;
    switch (message->opcode) {
    case WSLAY_CONNECTION_CLOSE:
        on_peer_close(client, message);
        return;
    case WSLAY_PING:
        client_send(client, frame_pong((const char *)message->msg, message->msg_length));
        return;
    case WSLAY_PONG:
        client->ws.ping_open = 0;
        return;
    }
    client->ws.fragments = 0;
    if (client->state != CLIENT_OPEN)
        return;
    if (++client->ws.messages > CG_CLIENT_MESSAGES_MAX)
        expel(client, "too many messages");
    else if (message->opcode == WSLAY_TEXT_FRAME)
        client_message(client, (const char *)message->msg, message->msg_length);
    else
        client_close(client, CG_CLOSE_UNSUPPORTED, close_reason(CG_CLOSE_UNSUPPORTED));
}

/* wslay has refused something: it has queued a close frame with the reason. */
static void on_refused(struct client *client)
{
    unsigned code = wslay_event_get_status_code_sent(client->ws.parser);
    client_close(client, code, close_reason(code));
}

void websocket_read(struct client *client)
{
    wslay_event_context_ptr parser = client->ws.parser;
    int rc;

    while (client->sock->input->size > 0 && !client->ws.peer_closed &&
           h2o_socket_is_reading(client->sock) && wslay_event_want_read(parser) &&
           client->state != CLIENT_ENDED) {
        client->ws.feed = TURN_BYTES;
        if ((rc = wslay_event_recv(parser)) != 0) { /* it cannot read on: not a frame at all */
            unsigned code = rc == WSLAY_ERR_NOMEM ? CG_CLOSE_INTERNAL : WSLAY_CODE_PROTOCOL_ERROR;
            client_close(client, code, close_reason(code));
            break;
        }
        while (wslay_event_want_write(parser) && wslay_event_send(parser) == 0)
            ;
        if (wslay_event_get_close_sent(parser) && !client->ws.peer_closed) {
            on_refused(client);
            break;
        }
    }
}

/* ---- beginning and end ---- */

static void send_hello(struct client *client)
{
    char epoch[24], *text;
    json_t *json;

    *put_decimal(epoch, (int64_t)client->hub->epoch) = '\0';
    json = json_pack("{s:s, s:I, s:i, s:o}", "epoch", epoch, "seq", (json_int_t)client->first_seq,
                     "heartbeatMs", (int)client_heartbeat_ms(client), "limits",
                     protocol_limits(policy_config(client->policy)));
    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL)
        abort();
    client_send(client, frame_message(LABEL_WEBSOCKET, server_messages[MESSAGE_HELLO].op, NULL,
                                      text, strlen(text)));
    free(text);
}

int websocket_open(struct client *client)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
                                                           .send_callback = on_send,
                                                           .on_frame_recv_start_callback = on_frame,
                                                           .on_msg_recv_callback = on_message};

    if (wslay_event_context_server_init(&client->ws.parser, &callbacks, client) != 0)
        return CG_E_NOMEM;
    wslay_event_config_set_max_recv_msg_length(client->ws.parser, CG_CLIENT_MESSAGE_BYTES_MAX);
    send_hello(client);
    return CG_OK;
}

void websocket_release(struct client *client)
{
    if (client->ws.parser != NULL)
        wslay_event_context_free(client->ws.parser);
    client->ws.parser = NULL;
}
