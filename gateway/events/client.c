#include "gateway/events/client.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/loop.h"
#include "gateway/events/protocol.h"
#include "gateway/events/text.h"

#define WRITE_VECTORS     128
#define WRITE_BYTES       65536
#define STALL_MS_MIN      20000 /* no write comes to its end in this time: the peer does not read */
#define HEARTBEATS_MISS   2
#define SIGNS_PER_SILENCE 4
/* What the kernel takes of a client that does not read; more than a write, so that one that reads never waits for it. */
#define UNSENT_BYTES (2 * WRITE_BYTES)

#define ADD(front, name, value)                                                                    \
    atomic_store_explicit(&(front)->counters.name,                                                 \
                          atomic_load_explicit(&(front)->counters.name, memory_order_relaxed) +    \
                              (value),                                                             \
                          memory_order_relaxed)

static const struct config *settings(const struct client *client)
{
    return policy_config(client->policy);
}

unsigned client_heartbeat_ms(const struct client *client)
{
    return settings(client)->events.heartbeat_ms;
}

struct client *client_new(struct hub *hub, enum client_kind kind, struct viewer *viewer)
{
    struct client *client = calloc(1, sizeof(*client));

    if (client == NULL)
        abort();
    client->hub = hub;
    client->number = atomic_fetch_add(&hub->front->fronts->clients, 1) + 1;
    client->kind = kind;
    client->viewer = viewer;
    client->policy = policy_ref(hub->front->policy);
    queue_init(&client->queue, settings(client)->events.max_queued_frames,
               (size_t)settings(client)->events.max_queued_kib * 1024);
    return client;
}

static void leave_due(struct client *client)
{
    struct client **link = &client->hub->due;

    if (!client->is_due)
        return;
    while (*link != NULL && *link != client)
        link = &(*link)->next_due;
    if (*link != NULL)
        *link = client->next_due;
}

void client_free(struct client *client)
{
    struct hub *hub = client->hub;

    if (client->link != NULL) {
        if ((*client->link = client->next) != NULL)
            client->next->link = client->link;
        ADD(hub->front, event_clients, (uint64_t)-1);
    }
    leave_due(client);
    client_commands_release(client);
    while (client->num_subscriptions > 0)
        client_unsubscribe(client, client->subscriptions[client->num_subscriptions - 1]);
    free(client->subscriptions);
    if (client->sock != NULL)
        h2o_socket_close(client->sock); /* before the queue goes: what is being written is in it */
    ADD(hub->front, events_coalesced, client->queue.coalesced);
    queue_release(&client->queue);
    websocket_release(client);
    if (client->wanted != NULL) {
        subscribe_release(client->wanted);
        free(client->wanted);
    }
    doorman_leave(hub->front->fronts->doorman, client->viewer->sha256);
    viewer_unref(hub, &client->viewer);
    policy_unref(&client->policy);
    free(client);
}

void client_end(struct client *client)
{
    client->state = CLIENT_ENDED;
    hub_schedule(client);
}

/* ---- out ---- */

static unsigned stall_ms(const struct client *client)
{
    unsigned ms = client_heartbeat_ms(client) * HEARTBEATS_MISS;
    return ms > STALL_MS_MIN ? ms : STALL_MS_MIN;
}

/* The goodbye has left. The stream has no other end than that of the connection. */
static void on_said_goodbye(struct client *client)
{
    client->ws.close_sent = 1;
    if (client->kind == CLIENT_SSE || client->ws.peer_closed)
        client_end(client);
}

static void on_written(h2o_socket_t *sock, const char *err)
{
    struct client *client = sock->data;

    if (err != NULL) {
        client_free(client);
        return;
    }
    queue_written(&client->queue);
    if (client->state == CLIENT_CLOSING && queue_is_idle(&client->queue))
        on_said_goodbye(client);
    client_pull(client);
    client_flush(client);
}

void client_flush(struct client *client)
{
    struct iovec vectors[WRITE_VECTORS];
    size_t count;

    if (client->state == CLIENT_ENDED || client->sock == NULL)
        return;
    count = queue_take(&client->queue, vectors, WRITE_VECTORS, WRITE_BYTES, client->hub->epoch);
    if (count == 0)
        return;
    client->writing_since_ms = clock_monotonic_ms();
    ADD(client->hub->front, event_frames, count);
    h2o_socket_write(client->sock, (h2o_iovec_t *)(void *)vectors, count, on_written);
}

static void close_slow(struct client *client)
{
    COUNT(client->hub->front, event_clients_slow);
    client_close(client, CG_CLOSE_SLOW, close_reason(CG_CLOSE_SLOW));
}

void client_send(struct client *client, struct frame *frame)
{
    if (client->state == CLIENT_OPEN && queue_push(&client->queue, frame) != CG_OK)
        close_slow(client);
    frame_unref(&frame);
}

int client_offer(struct client *client, struct frame *frame)
{
    return queue_push(&client->queue, frame) == CG_OK;
}

/* It has been given something, and in all this time has not taken it. */
static int takes_nothing(const struct client *client, int64_t now_ms)
{
    return client->queue.in_flight > 0 && now_ms - client->writing_since_ms > CG_CLIENT_GRACE_MS;
}

void client_overrun(struct client *client, uint64_t seq, unsigned num_told)
{
    int64_t now_ms = clock_monotonic_ms();
    unsigned i;

    if (takes_nothing(client, now_ms)) {
        close_slow(client);
        return;
    }
    for (i = 0; i < client->num_subscriptions; ++i) {
        struct client_subscription *subscription = client->subscriptions[i];
        uint64_t told = i < num_told ? seq : seq - 1;
        if (subscription->state != SUBSCRIPTION_LIVE)
            continue;
        if (subscription->position < told)
            subscription->position = told;
        subscription->state = SUBSCRIPTION_REPLAYING;
    }
    if (client->overrun_since_ms == 0)
        client->overrun_since_ms = now_ms;
    COUNT(client->hub->front, event_overruns);
    hub_schedule(client);
}

static int is_slow(struct client *client, int64_t now_ms)
{
    if (client->overrun_since_ms == 0)
        return 0;
    if (!client_is_pulling(client)) {
        client->overrun_since_ms = 0;
        return 0;
    }
    return takes_nothing(client, now_ms) ||
           now_ms - client->overrun_since_ms > CG_CLIENT_OVERRUN_MS;
}

void client_close(struct client *client, unsigned code, const char *reason)
{
    char payload[125];
    size_t length = strlen(reason);
    struct frame *frame;

    if (client->state != CLIENT_OPEN)
        return;
    client->state = CLIENT_CLOSING;
    client->deadline_ms = clock_monotonic_ms() + CG_CLIENT_CLOSE_MS;
    queue_drop(&client->queue);
    if (client->kind == CLIENT_SSE) {
        if (queue_is_idle(&client->queue))
            client_end(client);
        return;
    }
    if (length > sizeof(payload) - 2)
        length = sizeof(payload) - 2;
    payload[0] = (char)(code >> 8);
    payload[1] = (char)code;
    memcpy(payload + 2, reason, length);
    frame = frame_websocket(FRAME_CLOSE, payload, code == 0 ? 0 : length + 2);
    queue_push_pulled(&client->queue, frame); /* there is always room for it */
    frame_unref(&frame);
    client_flush(client);
}

/* ---- in ---- */

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct client *client = sock->data;

    client->ws.heard_ms = clock_monotonic_ms();
    if (err != NULL || client->state == CLIENT_ENDED) {
        client_free(client);
        return;
    }
    if (client->kind == CLIENT_WEBSOCKET)
        websocket_read(client);
    /* what is left is of no interest; an idle connection keeps no buffer */
    h2o_buffer_dispose(&sock->input);
    h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
    if (client->state == CLIENT_CLOSING && client->ws.close_sent && client->ws.peer_closed)
        client_end(client);
    client_flush(client);
}

static void set_timeouts(const struct client *client, int fd)
{
    unsigned ms = stall_ms(client);
    int on = 1, unsent = UNSENT_BYTES;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

void client_start(struct client *client, h2o_socket_t *sock, size_t request_bytes)
{
    struct hub *hub = client->hub;
    struct store_log_bounds bounds;

    client->first_seq = hub_read_bounds(hub, &bounds) == CG_OK ? bounds.last : hub->last_seq;
    client->sock = sock;
    sock->data = client;
    if ((client->next = hub->clients) != NULL)
        client->next->link = &client->next;
    client->link = &hub->clients;
    hub->clients = client;
    ADD(hub->front, event_clients, 1);
    client->next_heartbeat_ms = clock_monotonic_ms() + client_heartbeat_ms(client);
    set_timeouts(client, h2o_socket_get_fd(sock));
    if (request_bytes > sock->input->size)
        request_bytes = sock->input->size;
    if (request_bytes > 0)
        h2o_buffer_consume(&sock->input, request_bytes);
    h2o_socket_read_start(sock, on_read);
    if (client->kind == CLIENT_SSE)
        sse_open(client);
    else if (websocket_open(client) != CG_OK)
        client_end(client);
    if (hub->stopping)
        client_close(client, CG_CLOSE_RESTART, close_reason(CG_CLOSE_RESTART));
    else if (client->viewer->access == NULL)
        client_close(client, CG_CLOSE_UNAUTHORIZED, close_reason(CG_CLOSE_UNAUTHORIZED));
    on_read(sock, NULL); /* what came behind the request */
}

/* ---- time ---- */

uint64_t client_seq(const struct client *client)
{
    uint64_t published =
        client->hub->last_seq > client->first_seq ? client->hub->last_seq : client->first_seq;
    uint64_t seq = UINT64_MAX;
    unsigned i;

    for (i = 0; i < client->num_subscriptions; ++i) {
        const struct client_subscription *subscription = client->subscriptions[i];
        uint64_t known = subscription->position;
        if (subscription->state == SUBSCRIPTION_LIVE && client->hub->last_seq > known)
            known = client->hub->last_seq;
        if (known < seq)
            seq = known;
    }
    return seq != UINT64_MAX ? seq : published;
}

static void send_heartbeat_message(struct client *client)
{
    struct hub *hub = client->hub;
    uint64_t seq = client_seq(client);
    struct text text = {NULL, 0, 0};

    if (hub->heartbeat == NULL || hub->heartbeat_seq != seq) {
        text_add_string(&text, "{\"seq\":");
        text_add_number(&text, seq);
        text_add(&text, "}", 1);
        frame_unref(&hub->heartbeat);
        hub->heartbeat = frame_message(LABEL_WEBSOCKET, server_messages[MESSAGE_HEARTBEAT].op, NULL,
                                       text.bytes, text.length);
        hub->heartbeat_seq = seq;
        text_release(&text);
    }
    client_send(client, frame_ref(hub->heartbeat));
}

static void send_ping(struct client *client)
{
    struct hub *hub = client->hub;

    if (client->ws.ping_open || client->state != CLIENT_OPEN)
        return;
    if (hub->ping == NULL)
        hub->ping = frame_websocket(FRAME_PING, NULL, 0);
    client_send(client, frame_ref(hub->ping));
    client->ws.ping_open = 1;
    client->ws.pinged_ms = 0;
    client->ws.ping_at = client->queue.passed + client->queue.slots;
}

/* A comment for whatever is between; where the log stands, in an id without data, which is no event (HTML, 9.2.6). */
static void send_comment(struct client *client)
{
    struct text text = {NULL, 0, 0};

    text_add_string(&text, ": heartbeat\n");
    if (!client_is_pulling(client)) {
        text_add_string(&text, "id: ");
        text_add_number(&text, client->hub->epoch);
        text_add(&text, "-", 1);
        text_add_number(&text, client_seq(client));
        text_add(&text, "\n", 1);
    }
    text_add(&text, "\n", 1);
    client_send(client, frame_bytes(text.bytes, text.length));
    text_release(&text);
}

/* Counted from when the ping has left: what waits in front of it is not the peer's fault. */
static int lacks_pong(struct client *client, int64_t now_ms)
{
    if (!client->ws.ping_open)
        return 0;
    if (client->ws.pinged_ms == 0) {
        if (queue_is_idle(&client->queue) || client->queue.passed >= client->ws.ping_at)
            client->ws.pinged_ms = now_ms;
        return 0;
    }
    return now_ms - client->ws.pinged_ms > (int64_t)client_heartbeat_ms(client);
}

/*
 * Of who may hold leases. A line that dies without a word must not keep a lease for longer than one that breaks, but for a heartbeat: it is
 * asked for a sign of life often, and is given up when it has given none for so long; control counts that time as grace.
 */
static int64_t silence_allowed_ms(const struct client *client)
{
    int64_t grace_ms = settings(client)->control.grace_ms,
            heartbeat_ms = client_heartbeat_ms(client);
    return grace_ms > heartbeat_ms ? grace_ms : heartbeat_ms;
}

unsigned client_silent_ms(const struct client *client)
{
    int64_t ms = clock_monotonic_ms() - client->ws.heard_ms;
    return client->sock == NULL || ms < 0 ? 0 : ms > UINT_MAX ? UINT_MAX : (unsigned)ms;
}

/* 1: it has been silent for too long. */
static int watch_holder(struct client *client, int64_t now_ms)
{
    if (!client->may_hold || client->state != CLIENT_OPEN)
        return 0;
    if (!queue_is_idle(&client->queue))
        client->ws.heard_ms = now_ms;
    if (now_ms - client->ws.heard_ms > silence_allowed_ms(client))
        return 1;
    if (now_ms >= client->ws.next_ping_ms && queue_is_idle(&client->queue)) {
        client->ws.next_ping_ms = now_ms + silence_allowed_ms(client) / SIGNS_PER_SILENCE;
        send_ping(client);
        client_flush(client);
    }
    return 0;
}

void client_tick(struct client *client, int64_t now_ms)
{
    if (client->state == CLIENT_ENDED)
        return;
    client->ws.controls = 0;
    if (client->queue.in_flight > 0 && now_ms - client->writing_since_ms > stall_ms(client)) {
        COUNT(client->hub->front, event_clients_slow);
        client_end(client);
    } else if (client->state == CLIENT_CLOSING) {
        if (now_ms >= client->deadline_ms)
            client_end(client);
    } else if (is_slow(client, now_ms)) {
        close_slow(client);
    } else if (watch_holder(client, now_ms)) {
        client_end(client); /* there is nobody to say goodbye to */
    } else if (lacks_pong(client, now_ms)) {
        client_close(client, CG_CLOSE_POLICY, "no pong");
    } else if (now_ms >= client->next_heartbeat_ms && queue_is_idle(&client->queue)) {
        client->next_heartbeat_ms = now_ms + client_heartbeat_ms(client);
        if (client->kind == CLIENT_SSE) {
            send_comment(client);
        } else {
            send_heartbeat_message(client);
            send_ping(client);
        }
        client_flush(client);
    }
}
