/*
 * A front without its owner: a store with a log, one or two front threads, clients on real sockets, and a writer that commits and
 * publishes as the owner does.
 */
#ifndef CCTGATE_TEST_EVENTS_HUB_FIXTURE_H
#define CCTGATE_TEST_EVENTS_HUB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/sha.h>

#include "cctgate/error.h"
#include "cctgate/hub.h"
#include "cctgate/loop.h"
#include "gateway/rest/rest.h"

#define SEEN_BY_BOTH 0

struct fixture {
    char directory[64];
    struct store *store;
    struct config *config;
    struct fronts *fronts;
    struct policy *policy;
    unsigned port;
    uint64_t seq, epoch;
};

/* ---- a gateway without owner ---- */

static inline int remove_entry(const char *path, const struct stat *status, int flag,
                               struct FTW *ftw)
{
    (void)status, (void)flag, (void)ftw;
    return remove(path);
}

static inline void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void write_config(const struct fixture *f, unsigned threads, const char *events,
                                char *file, size_t size)
{
    static const char *const tokens[] = {"token-a", "token-b"};
    char digests[2][65];
    FILE *out;
    size_t i, j;

    for (i = 0; i < 2; ++i) {
        unsigned char sha256[32];
        SHA256((const unsigned char *)tokens[i], strlen(tokens[i]), sha256);
        for (j = 0; j < 32; ++j)
            snprintf(digests[i] + 2 * j, 3, "%02x", sha256[j]);
    }
    umask(077);
    snprintf(file, size, "%s/password", f->directory);
    assert_non_null(out = fopen(file, "w"));
    fputs("secret", out);
    fclose(out);
    snprintf(file, size, "%s/cctgate.json", f->directory);
    assert_non_null(out = fopen(file, "w"));
    fprintf(
        out,
        "{\"listen\":[{\"address\":\"127.0.0.1\",\"port\":0}],\"threads\":%u,\"contract\":\".\","
        "\"data\":{\"directory\":\"data\",\"mapSizeMiB\":64},"
        "\"upstream\":{\"endpoints\":[{\"name\":\"campus\",\"url\":\"http://127.0.0.1:1/\"}]},"
        "\"sessions\":[{\"user\":\"a\",\"domain\":\"D\",\"password\":{\"file\":\"password\"}},"
        "{\"user\":\"b\",\"domain\":\"D\",\"password\":{\"file\":\"password\"}}],"
        "\"tokens\":[{\"application\":\"a\",\"sha256\":\"%s\",\"users\":[\"a\"],\"roles\":["
        "\"viewer\"]},"
        "{\"application\":\"b\",\"sha256\":\"%s\",\"users\":[\"b\"],\"roles\":[\"viewer\"]}],"
        "\"events\":{%s}}",
        threads, digests[0], digests[1], events);
    fclose(out);
}

static inline void open_store(struct fixture *f)
{
    char data[80], error[256] = "";
    struct store_settings settings = {data, (size_t)64 << 20, (size_t)1 << 20, 0};
    struct store_opened opened;

    snprintf(data, sizeof(data), "%s/data", f->directory);
    assert_int_equal(store_open(&f->store, &settings, &opened, error, sizeof(error)), CG_OK);
}

static inline void start(struct fixture *f, unsigned threads, const char *events)
{
    static const uint32_t numbers[] = {1, 2};
    char file[128], error[256] = "";
    struct config_error config_error;
    struct sockaddr_in sin;
    socklen_t length = sizeof(sin);

    memset(f, 0, sizeof(*f));
    snprintf(f->directory, sizeof(f->directory), "/tmp/cctgate-hub-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    write_config(f, threads, events, file, sizeof(file));
    if (config_load(&f->config, file, &config_error) != CG_OK)
        fail_msg("%s: %s", config_error.pointer, config_error.text);
    open_store(f);
    assert_non_null(f->policy = policy_new(f->config, numbers));
    atomic_store(&session_views[1].configured, 1);
    atomic_store(&session_views[2].configured, 1);
    struct fronts_settings settings = {.config = f->config, .store = f->store};
    assert_int_equal(fronts_new(&f->fronts, &settings, error, sizeof(error)), CG_OK);
    assert_int_equal(getsockname(f->fronts->listen_fds[0], (struct sockaddr *)&sin, &length), 0);
    f->port = ntohs(sin.sin_port);
    assert_int_equal(fronts_prepare(f->fronts), CG_OK);
    fronts_set_policy(f->fronts, f->policy, NULL, NULL);
    assert_int_equal(fronts_run(f->fronts, NULL), CG_OK);
}

static inline void stop(struct fixture *f)
{
    fronts_stop(f->fronts, 1000);
    fronts_free(&f->fronts);
    policy_unref(&f->policy);
    config_unref(&f->config);
    store_close(&f->store);
    remove_tree(f->directory);
}

/* ---- what the owner does: append, commit, publish ---- */

struct spec {
    enum event_type type;
    const char *subject, *agent, *property;
    uint32_t user; /* SEEN_BY_BOTH */
    size_t padding;
};

static inline struct event *append(struct fixture *f, struct store_txn *txn,
                                   const struct spec *spec)
{
    static const uint32_t both[] = {1, 2};
    char *json = malloc(256 + spec->padding);
    struct event_parts parts = {.seq = f->seq + 1,
                                .type = spec->type,
                                .subject = spec->subject,
                                .agent = spec->agent,
                                .property = spec->property,
                                .users = spec->user == SEEN_BY_BOTH ? both : &spec->user,
                                .num_users = spec->user == SEEN_BY_BOTH ? 2 : 1};
    struct event *event;
    uint64_t seq;
    size_t length;
    void *entry;

    assert_non_null(json);
    parts.json_length =
        (size_t)snprintf(json, 256, "{\"seq\":%" PRIu64 ",\"padding\":\"", f->seq + 1);
    memset(json + parts.json_length, 'x', spec->padding);
    memcpy(json + parts.json_length + spec->padding, "\"}", 2);
    parts.json_length += spec->padding + 2;
    parts.json = json;
    assert_non_null(event = event_new(&parts));
    assert_non_null(entry = event_encode(event, &length));
    assert_int_equal(store_log_append(txn, entry, length, &seq), CG_OK);
    assert_int_equal(seq, ++f->seq);
    free(entry);
    free(json);
    return event;
}

static inline void publish(struct fixture *f, const struct spec *specs, size_t count)
{
    struct event **events = calloc(count, sizeof(*events));
    struct store_txn *txn;
    size_t i;

    assert_non_null(events);
    assert_int_equal(store_begin(f->store, &txn), CG_OK);
    for (i = 0; i < count; ++i)
        events[i] = append(f, txn, &specs[i]);
    assert_int_equal(store_commit(&txn), CG_OK);
    fronts_publish(f->fronts, events, count);
    for (i = 0; i < count; ++i)
        event_unref(&events[i]);
    free(events);
}

static inline void publish_one(struct fixture *f, enum event_type type, const char *subject,
                               const char *property, uint32_t user, size_t padding)
{
    struct spec spec = {type, subject, NULL, property, user, padding};
    publish(f, &spec, 1);
}

static inline void state(struct fixture *f)
{
    publish_one(f, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, SEEN_BY_BOTH, 0);
}

static inline void put_agent(struct fixture *f, const char *id, uint64_t value, uint32_t user)
{
    struct store_txn *txn;
    char body[128];
    struct record record = {.user = user, .provenance = PROVENANCE_EVENT, .body = body};

    record.fetched_at_ms = clock_unix_ms();
    record.expires_at_ms = record.fetched_at_ms + 600000;
    record.body_length = (size_t)snprintf(body, sizeof(body),
                                          "{\"loginId\":\"%s\",\"value\":%" PRIu64 "}", id, value);
    assert_int_equal(store_begin(f->store, &txn), CG_OK);
    assert_int_equal(store_put(txn, RECORD_AGENT, id, strlen(id), &record), CG_OK);
    assert_int_equal(store_add_owner(txn, RECORD_AGENT, id, strlen(id), user), CG_OK);
    assert_int_equal(store_commit(&txn), CG_OK);
}

/* ---- a client ---- */

struct peer {
    int fd;
    char *buffer;
    size_t length, taken, capacity;
    uint64_t seq; /* of its hello */
};

static inline void fill(struct peer *peer)
{
    ssize_t n;

    if (peer->taken > 0) {
        memmove(peer->buffer, peer->buffer + peer->taken, peer->length - peer->taken);
        peer->length -= peer->taken;
        peer->taken = 0;
    }
    if (peer->capacity - peer->length < 65536) {
        peer->capacity = peer->capacity * 2 + 131072;
        assert_non_null(peer->buffer = realloc(peer->buffer, peer->capacity));
    }
    do
        n = recv(peer->fd, peer->buffer + peer->length, peer->capacity - peer->length, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        fail_msg("the connection ended: %s", n == 0 ? "closed" : strerror(errno));
    peer->length += (size_t)n;
}

static const unsigned char *need(struct peer *peer, size_t count)
{
    while (peer->length - peer->taken < count)
        fill(peer);
    return (const unsigned char *)peer->buffer + peer->taken;
}

/* The next frame: opcode; the payload is valid until the next call. */
static inline int frame_of(struct peer *peer, const char **payload, size_t *length)
{
    const unsigned char *head = need(peer, 2);
    size_t size = head[1] & 0x7f, offset = 2, i;

    if (size > 125) {
        offset = size == 126 ? 4 : 10;
        head = need(peer, offset);
        for (size = 0, i = 2; i < offset; ++i)
            size = size << 8 | head[i];
    }
    head = need(peer, offset + size);
    *payload = (const char *)head + offset;
    *length = size;
    peer->taken += offset + size;
    return head[0] & 15;
}

static inline void send_frame(struct peer *peer, unsigned opcode, const char *text)
{
    size_t length = strlen(text);
    unsigned char head[8] = {(unsigned char)(0x80 | opcode), (unsigned char)(0x80 | length)};
    size_t size = 6; /* with a mask of zeroes */

    if (length > 125) {
        head[1] = 0xfe;
        head[2] = (unsigned char)(length >> 8);
        head[3] = (unsigned char)length;
        size = 8;
    }
    assert_int_equal(send(peer->fd, head, size, MSG_NOSIGNAL), (ssize_t)size);
    assert_int_equal(send(peer->fd, text, length, MSG_NOSIGNAL), (ssize_t)length);
}

/* The next message; NULL: the peer was closed, *code says how. Pings are answered, heartbeats are passed over. */
static inline json_t *receive_or_close(struct peer *peer, unsigned *code)
{
    for (;;) {
        const char *payload;
        size_t length;
        int opcode = frame_of(peer, &payload, &length);
        json_t *json;

        if (opcode == 9)
            send_frame(peer, 10, "");
        if (opcode == 8) {
            *code = length >= 2
                        ? (unsigned)((unsigned char)payload[0] << 8 | (unsigned char)payload[1])
                        : 0;
            return NULL;
        }
        if (opcode != 1)
            continue;
        assert_non_null(json = json_loadb(payload, length, 0, NULL));
        if (strcmp(json_string_value(json_object_get(json, "op")), "heartbeat") != 0)
            return json;
        json_decref(json);
    }
}

static inline json_t *receive(struct peer *peer, const char *op)
{
    unsigned code = 0;
    json_t *json = receive_or_close(peer, &code);

    if (json == NULL)
        fail_msg("closed with %u instead of %s", code, op);
    if (strcmp(json_string_value(json_object_get(json, "op")), op) != 0)
        fail_msg("expected %s, found %s", op, json_dumps(json, 0));
    return json;
}

static inline uint64_t number(const json_t *json, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json, name));
}

static inline uint64_t event_seq(struct peer *peer, const char *id)
{
    json_t *json = receive(peer, "event");
    uint64_t seq = number(json_object_get(json, "event"), "seq");

    assert_string_equal(json_string_value(json_object_get(json, "id")), id);
    json_decref(json);
    return seq;
}

static inline void connect_with(struct peer *peer, struct fixture *f, const char *token,
                                int receive_buffer)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f->port)};
    struct timeval patience = {60, 0};
    char head[512];
    int length;
    json_t *hello;

    memset(peer, 0, sizeof(*peer));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true((peer->fd = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (receive_buffer > 0)
        setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    assert_int_equal(connect(peer->fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    length = snprintf(
        head, sizeof(head),
        "GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Authorization: Bearer %s\r\n\r\n",
        token);
    assert_int_equal(send(peer->fd, head, (size_t)length, MSG_NOSIGNAL), length);
    while (peer->length < 4 || memmem(peer->buffer, peer->length, "\r\n\r\n", 4) == NULL)
        fill(peer);
    assert_memory_equal(peer->buffer, "HTTP/1.1 101 ", 13);
    peer->taken =
        (size_t)((char *)memmem(peer->buffer, peer->length, "\r\n\r\n", 4) - peer->buffer) + 4;
    hello = receive(peer, "hello");
    peer->seq = number(hello, "seq");
    f->epoch = strtoull(json_string_value(json_object_get(hello, "epoch")), NULL, 10);
    json_decref(hello);
}

static inline void disconnect(struct peer *peer)
{
    close(peer->fd);
    free(peer->buffer);
}

static inline void subscribe(struct peer *peer, const char *more)
{
    char text[1024];
    snprintf(text, sizeof(text), "{\"op\":\"subscribe\"%s%s}", *more != '\0' ? "," : "", more);
    send_frame(peer, 1, text);
    json_decref(receive(peer, "subscribed"));
}

static inline void expect_events(struct peer *peer, const char *id, uint64_t first, uint64_t last)
{
    for (; first <= last; ++first)
        assert_int_equal(event_seq(peer, id), first);
}

static inline uint64_t counter(const struct fixture *f, size_t offset)
{
    uint64_t sum = 0;
    size_t i;
    for (i = 0; i < f->fronts->num_fronts; ++i)
        sum += atomic_load(
            (_Atomic uint64_t *)(void *)((char *)&f->fronts->front[i].counters + offset));
    return sum;
}
#define COUNTER(f, name) counter((f), offsetof(struct front_counters, name))

static inline void wait_for(const struct fixture *f, size_t offset, uint64_t value)
{
    int64_t end = clock_monotonic_ms() + 60000;
    while (counter(f, offset) != value) {
        if (clock_monotonic_ms() > end)
            fail_msg("the counter stays at %" PRIu64, counter(f, offset));
        usleep(1000);
    }
}

#endif
