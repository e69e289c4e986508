/*
 * Server-sent events (HTML, section 9.2): one subscription, made of the query. The answer has no length and no chunks, it ends with the
 * connection; so it is ours to write, as a WebSocket is, and its leaving is noticed.
 */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/events/client.h"
#include "gateway/events/text.h"

#define RETRY_MS 2000

static void on_upgraded(void *data, h2o_socket_t *sock, size_t request_bytes)
{
    struct client *client = data;

    if (sock == NULL)
        client_free(client);
    else
        client_start(client, sock, request_bytes);
}

void sse_upgrade(struct request *request, struct client *client)
{
    h2o_req_t *req = request->h2o;

    req->res.status = 200;
    req->res.reason = "OK";
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                   H2O_STRLIT("text/event-stream"));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL,
                   H2O_STRLIT("no-store"));
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-accel-buffering"), 0, NULL,
                          H2O_STRLIT("no"));
    h2o_http1_upgrade(req, NULL, 0, on_upgraded, client);
}

/* `id:` when the client may go on from here: not while a snapshot is under way, nor before what is replayed. */
static void send_hello(struct client *client, const struct client_subscription *subscription)
{
    struct text text = {NULL, 0, 0};

    text_add_string(&text, "retry: ");
    text_add_number(&text, RETRY_MS);
    if (subscription->state != SUBSCRIPTION_SNAPSHOT) {
        text_add_string(&text, "\nid: ");
        text_add_number(&text, client->hub->epoch);
        text_add(&text, "-", 1);
        text_add_number(&text, subscription->position);
    }
    text_add_string(&text, "\nevent: hello\ndata: {\"epoch\":\"");
    text_add_number(&text, client->hub->epoch);
    text_add_string(&text, "\",\"seq\":");
    text_add_number(&text, client->first_seq);
    text_add_string(&text, ",\"heartbeatMs\":");
    text_add_number(&text, client_heartbeat_ms(client));
    text_add_string(&text, "}\n\n");
    client_send(client, frame_bytes(text.bytes, text.length));
    text_release(&text);
}

void sse_open(struct client *client)
{
    struct label *label = label_get(&client->hub->labels, LABEL_SSE, "", 0);
    int rc = client_subscribe(client, label, client->wanted);

    label_unref(&label);
    if (rc == CG_OK)
        send_hello(client, client->subscriptions[0]);
    else
        client_end(client);
}
