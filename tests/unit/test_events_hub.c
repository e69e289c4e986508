/*
 * Events through a whole front: a store with a log, one or two front threads, clients on real sockets, and a writer that commits and
 * publishes as the owner does. What is checked is what is promised: each client gets what its token sees and its filter names, in
 * order, once, with no hole between snapshot, replay and live, and one that does not read costs a bounded queue.
 */
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

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status, (void)flag, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void write_config(const struct fixture *f, unsigned threads, const char *events, char *file,
                         size_t size)
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

static void open_store(struct fixture *f)
{
    char data[80], error[256] = "";
    struct store_settings settings = {data, (size_t)64 << 20, (size_t)1 << 20, 0};
    struct store_opened opened;

    snprintf(data, sizeof(data), "%s/data", f->directory);
    assert_int_equal(store_open(&f->store, &settings, &opened, error, sizeof(error)), CG_OK);
}

static void start(struct fixture *f, unsigned threads, const char *events)
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

static void stop(struct fixture *f)
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

static struct event *append(struct fixture *f, struct store_txn *txn, const struct spec *spec)
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

static void publish(struct fixture *f, const struct spec *specs, size_t count)
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

static void publish_one(struct fixture *f, enum event_type type, const char *subject,
                        const char *property, uint32_t user, size_t padding)
{
    struct spec spec = {type, subject, NULL, property, user, padding};
    publish(f, &spec, 1);
}

static void state(struct fixture *f)
{
    publish_one(f, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, SEEN_BY_BOTH, 0);
}

static void put_agent(struct fixture *f, const char *id, uint64_t value, uint32_t user)
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

static void fill(struct peer *peer)
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
static int frame_of(struct peer *peer, const char **payload, size_t *length)
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

static void send_frame(struct peer *peer, unsigned opcode, const char *text)
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
static json_t *receive_or_close(struct peer *peer, unsigned *code)
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

static json_t *receive(struct peer *peer, const char *op)
{
    unsigned code = 0;
    json_t *json = receive_or_close(peer, &code);

    if (json == NULL)
        fail_msg("closed with %u instead of %s", code, op);
    if (strcmp(json_string_value(json_object_get(json, "op")), op) != 0)
        fail_msg("expected %s, found %s", op, json_dumps(json, 0));
    return json;
}

static uint64_t number(const json_t *json, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json, name));
}

static uint64_t event_seq(struct peer *peer, const char *id)
{
    json_t *json = receive(peer, "event");
    uint64_t seq = number(json_object_get(json, "event"), "seq");

    assert_string_equal(json_string_value(json_object_get(json, "id")), id);
    json_decref(json);
    return seq;
}

static void connect_with(struct peer *peer, struct fixture *f, const char *token,
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

static void disconnect(struct peer *peer)
{
    close(peer->fd);
    free(peer->buffer);
}

static void subscribe(struct peer *peer, const char *more)
{
    char text[1024];
    snprintf(text, sizeof(text), "{\"op\":\"subscribe\"%s%s}", *more != '\0' ? "," : "", more);
    send_frame(peer, 1, text);
    json_decref(receive(peer, "subscribed"));
}

static void expect_events(struct peer *peer, const char *id, uint64_t first, uint64_t last)
{
    for (; first <= last; ++first)
        assert_int_equal(event_seq(peer, id), first);
}

static uint64_t counter(const struct fixture *f, size_t offset)
{
    uint64_t sum = 0;
    size_t i;
    for (i = 0; i < f->fronts->num_fronts; ++i)
        sum += atomic_load(
            (_Atomic uint64_t *)(void *)((char *)&f->fronts->front[i].counters + offset));
    return sum;
}
#define COUNTER(f, name) counter((f), offsetof(struct front_counters, name))

static void wait_for(const struct fixture *f, size_t offset, uint64_t value)
{
    int64_t end = clock_monotonic_ms() + 60000;
    while (counter(f, offset) != value) {
        if (clock_monotonic_ms() > end)
            fail_msg("the counter stays at %" PRIu64, counter(f, offset));
        usleep(1000);
    }
}

/* ---- tests ---- */

static void test_live(void **cmocka)
{
    struct fixture f;
    struct peer all, other;
    size_t i;
    (void)cmocka;

    start(&f, 2, "");
    connect_with(&all, &f, "token-a", 0);
    connect_with(&other, &f, "token-b", 0);
    subscribe(&all, "\"id\":\"x\"");
    subscribe(&all, "\"id\":\"y\",\"types\":[\"cct.agent.property\"]");
    subscribe(&other, "\"id\":\"x\",\"subjects\":[\"/v1/calls\"]");
    publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, SEEN_BY_BOTH, 0);
    publish_one(&f, EVENT_AGENT_PROPERTY, "/v1/agents/1", "readyStatus", SEEN_BY_BOTH, 0);
    publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/2", NULL, 1, 0);
    publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/3", NULL, 2, 0);
    assert_int_equal(event_seq(&all, "x"), 1);
    assert_int_equal(event_seq(&all, "x"), 2);
    assert_int_equal(event_seq(&all, "y"), 2);
    assert_int_equal(event_seq(&all, "x"), 3);
    assert_int_equal(event_seq(&other, "x"), 1);
    assert_int_equal(event_seq(&other, "x"), 4);
    send_frame(&all, 1, "{\"op\":\"unsubscribe\",\"id\":\"x\"}");
    json_decref(receive(&all, "unsubscribed"));
    for (i = 0; i < 100; ++i)
        publish_one(&f, EVENT_AGENT_PROPERTY, "/v1/agents/1", "readyStatus", SEEN_BY_BOTH, 0);
    expect_events(&all, "y", 5, 104);
    disconnect(&all);
    disconnect(&other);
    stop(&f);
}

static void test_batches(void **cmocka)
{
    struct spec batch[200];
    struct fixture f;
    struct peer peers[20];
    size_t i;
    uint64_t seq;
    (void)cmocka;

    start(&f, 2, "");
    for (i = 0; i < 200; ++i)
        batch[i] =
            (struct spec){EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, NULL, SEEN_BY_BOTH, i * 20};
    for (i = 0; i < 20; ++i) {
        connect_with(&peers[i], &f, "token-a", 0);
        subscribe(&peers[i], i % 2 ? "\"id\":\"odd\"" : "\"id\":\"even\"");
    }
    publish(&f, batch, 200);
    publish(&f, batch, 200);
    for (seq = 1; seq <= 400; ++seq) /* all of them read all the time: none is slow */
        for (i = 0; i < 20; ++i)
            assert_int_equal(event_seq(&peers[i], i % 2 ? "odd" : "even"), seq);
    for (i = 0; i < 20; ++i)
        disconnect(&peers[i]);
    assert_int_equal(COUNTER(&f, event_clients_slow), 0);
    assert_true(COUNTER(&f, event_overruns) > 0);
    stop(&f);
}

static void test_resume(void **cmocka)
{
    struct fixture f;
    struct peer peer;
    char since[128];
    size_t i;
    (void)cmocka;

    start(&f, 1, "");
    for (i = 0; i < 3000; ++i)
        state(&f);
    connect_with(&peer, &f, "token-a", 0);
    assert_int_equal(peer.seq, 3000);
    snprintf(since, sizeof(since), "\"id\":\"r\",\"since\":\"%" PRIu64 "-%d\"", f.epoch, 10);
    subscribe(&peer, since);
    for (i = 0; i < 500; ++i)
        state(&f);
    expect_events(&peer, "r", 11, 3500);
    state(&f);
    expect_events(&peer, "r", 3501, 3501);
    snprintf(since, sizeof(since), "\"id\":\"now\",\"since\":\"%" PRIu64 "-%d\"", f.epoch, 3501);
    subscribe(&peer, since);
    state(&f);
    expect_events(&peer, "r", 3502, 3502);
    expect_events(&peer, "now", 3502, 3502);
    disconnect(&peer);
    stop(&f);
}

/* The writer goes on while clients come, resume somewhere, and go. */
struct writer {
    pthread_t thread;
    struct fixture *f;
    atomic_int stop;
};

static void *write_on(void *data)
{
    struct writer *writer = data;
    while (!atomic_load(&writer->stop))
        state(writer->f);
    return NULL;
}

static void test_resume_while_events_come(void **cmocka)
{
    struct fixture f;
    struct writer writer = {.f = &f};
    uint64_t had = 0;
    unsigned round;
    (void)cmocka;

    start(&f, 2, "\"maxQueuedFrames\":100000,\"maxQueuedKiB\":65536");
    atomic_init(&writer.stop, 0);
    assert_int_equal(pthread_create(&writer.thread, NULL, write_on, &writer), 0);
    for (round = 0; round < 60; ++round) {
        char since[128];
        struct peer peer;
        unsigned i;
        connect_with(&peer, &f, "token-a", 0);
        snprintf(since, sizeof(since), "\"id\":\"r\",\"since\":\"%" PRIu64 "-%" PRIu64 "\"",
                 f.epoch, had);
        subscribe(&peer, since);
        for (i = 0; i < 50 + round * 3; ++i)
            assert_int_equal(event_seq(&peer, "r"), ++had);
        disconnect(&peer);
    }
    atomic_store(&writer.stop, 1);
    pthread_join(writer.thread, NULL);
    stop(&f);
}

/* One agent's value grows with every event about it: a snapshot must not be older than the event before, nor newer than the one after. */
static void grow_one(struct fixture *f, unsigned n)
{
    char id[16], subject[32], body[2200];
    struct spec spec = {EVENT_AGENT_STATE, subject, id, NULL, 1, 0};
    struct record record = {.user = 1, .provenance = PROVENANCE_EVENT, .body = body};
    struct store_txn *txn;
    struct event *event;

    snprintf(id, sizeof(id), "%u", 1000 + n % 600);
    snprintf(subject, sizeof(subject), "/v1/agents/%s", id);
    record.fetched_at_ms = clock_unix_ms();
    record.expires_at_ms = record.fetched_at_ms + 600000;
    record.body_length = (size_t)snprintf(
        body, sizeof(body), "{\"loginId\":\"%s\",\"value\":%" PRIu64 ",\"padding\":\"%02000d\"}",
        id, f->seq + 1, 0);
    assert_int_equal(store_begin(f->store, &txn), CG_OK);
    assert_int_equal(store_put(txn, RECORD_AGENT, id, strlen(id), &record), CG_OK);
    event = append(f, txn, &spec);
    assert_int_equal(store_commit(&txn), CG_OK);
    fronts_publish(f->fronts, &event, 1);
    event_unref(&event);
}

static void *grow(void *data)
{
    struct writer *writer = data;
    unsigned n = 0;

    while (!atomic_load(&writer->stop))
        grow_one(writer->f, n++);
    return NULL;
}

static void check_snapshot(struct fixture *f)
{
    uint64_t seq = 0;
    size_t items = 0, parts = 0, after = 0;
    struct peer peer;
    int more = 1;

    connect_with(&peer, f, "token-a", 0);
    subscribe(&peer, "\"id\":\"s\",\"snapshot\":true");
    while (more || after < 200) {
        unsigned code;
        json_t *json = receive_or_close(&peer, &code), *item;
        size_t i;
        assert_non_null(json);
        if (strcmp(json_string_value(json_object_get(json, "op")), "event") == 0) {
            uint64_t at = number(json_object_get(json, "event"), "seq");
            assert_true(seq == 0 || at == seq + 1); /* no hole, nothing twice */
            seq = at;
            after += !more;
        } else {
            uint64_t at = number(json, "seq");
            assert_true(seq == 0 || at == seq);
            seq = at;
            json_array_foreach(json_object_get(json, "items"), i, item)
                assert_true(number(json_object_get(item, "data"), "value") <= at);
            items += json_array_size(json_object_get(json, "items"));
            more = json_is_true(json_object_get(json, "more"));
            ++parts;
        }
        json_decref(json);
    }
    assert_int_equal(items, 600);
    assert_true(parts > 4);
    disconnect(&peer);
}

static void test_snapshot_while_events_come(void **cmocka)
{
    struct fixture f;
    struct writer writer = {.f = &f};
    unsigned i;
    (void)cmocka;

    start(&f, 2, "\"maxQueuedFrames\":100000,\"maxQueuedKiB\":65536");
    for (i = 0; i < 600; ++i) {
        char id[16];
        snprintf(id, sizeof(id), "%u", 1000 + i);
        put_agent(&f, id, 0, 1);
        grow_one(&f, i); /* so large that they are not all in one message */
    }
    atomic_init(&writer.stop, 0);
    assert_int_equal(pthread_create(&writer.thread, NULL, grow, &writer), 0);
    for (i = 0; i < 5; ++i)
        check_snapshot(&f);
    atomic_store(&writer.stop, 1);
    pthread_join(writer.thread, NULL);
    stop(&f);
}

static void test_expired(void **cmocka)
{
    struct fixture f;
    struct peer peer;
    struct store_txn *txn;
    char since[128];
    unsigned dropped, i;
    json_t *gap;
    (void)cmocka;

    start(&f, 1, "");
    put_agent(&f, "1000", 7, 1);
    put_agent(&f, "2000", 7, 2);
    for (i = 0; i < 20; ++i)
        state(&f);
    assert_int_equal(store_begin(f.store, &txn), CG_OK);
    assert_int_equal(store_log_trim(txn, 5, UINT64_MAX, 100, &dropped), CG_OK);
    assert_int_equal(store_commit(&txn), CG_OK);
    assert_int_equal(dropped, 15);
    connect_with(&peer, &f, "token-a", 0);
    snprintf(since, sizeof(since), "\"id\":\"in\",\"since\":\"%" PRIu64 "-15\"", f.epoch);
    subscribe(&peer, since);
    expect_events(&peer, "in", 16, 20);
    snprintf(since, sizeof(since), "\"id\":\"out\",\"since\":\"%" PRIu64 "-14\"", f.epoch);
    subscribe(&peer, since);
    gap = receive(&peer, "gap");
    assert_string_equal(json_string_value(json_object_get(gap, "reason")), "expired");
    json_decref(gap);
    gap = receive(&peer, "snapshot");
    assert_int_equal(number(gap, "seq"), 20);
    assert_int_equal(json_array_size(json_object_get(gap, "items")), 1); /* not that of user 2 */
    json_decref(gap);
    state(&f);
    expect_events(&peer, "in", 21, 21);
    expect_events(&peer, "out", 21, 21);
    disconnect(&peer);
    stop(&f);
}

static void test_slow_client(void **cmocka)
{
    struct fixture f;
    struct peer slow, good;
    unsigned code = 0;
    uint64_t last = 0;
    char since[128];
    json_t *json;
    (void)cmocka;

    start(&f, 1, "\"maxQueuedFrames\":64,\"maxQueuedKiB\":1024");
    connect_with(&slow, &f, "token-a", 4096);
    connect_with(&good, &f, "token-a", 0);
    subscribe(&slow, "\"id\":\"s\"");
    subscribe(&good, "\"id\":\"g\"");
    while (COUNTER(&f, event_clients_slow) == 0) {
        publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, 1, 8000);
        assert_int_equal(event_seq(&good, "g"), f.seq);
        if (f.seq > 1500) /* its buffers and its queue are full: it has a moment now */
            usleep(10000);
    }
    while ((json = receive_or_close(&slow, &code)) != NULL) {
        uint64_t seq = number(json_object_get(json, "event"), "seq");
        assert_int_equal(seq, last + 1);
        last = seq;
        json_decref(json);
    }
    assert_int_equal(code, 4408);
    assert_true(last < f.seq);
    disconnect(&slow);
    connect_with(&slow, &f, "token-a", 4096); /* and it comes back */
    snprintf(since, sizeof(since), "\"id\":\"s\",\"since\":\"%" PRIu64 "-%" PRIu64 "\"", f.epoch,
             last);
    subscribe(&slow, since);
    expect_events(&slow, "s", last + 1, f.seq);
    disconnect(&slow);
    disconnect(&good);
    stop(&f);
}

/* One that never reads at all is cut, and what it was owed is given back. */
static void test_client_that_never_reads(void **cmocka)
{
    struct fixture f;
    struct peer peer;
    (void)cmocka;

    start(&f, 1, "\"maxQueuedFrames\":16");
    connect_with(&peer, &f, "token-a", 4096);
    subscribe(&peer, "\"id\":\"s\"");
    while (f.seq < 1500)
        publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, 1, 8000);
    wait_for(&f, offsetof(struct front_counters, event_clients), 0);
    assert_int_equal(COUNTER(&f, event_clients_slow), 1);
    disconnect(&peer);
    stop(&f);
}

/* Replay is paced by the client: a long log does not look like a slow client. */
static void test_replay_of_more_than_the_queue(void **cmocka)
{
    struct fixture f;
    struct peer peer;
    char since[128];
    size_t i;
    (void)cmocka;

    start(&f, 1, "\"maxQueuedFrames\":16,\"maxQueuedKiB\":16");
    for (i = 0; i < 2000; ++i)
        publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, 1, 2000);
    connect_with(&peer, &f, "token-a", 4096);
    snprintf(since, sizeof(since), "\"id\":\"r\",\"since\":\"%" PRIu64 "-0\"", f.epoch);
    subscribe(&peer, since);
    expect_events(&peer, "r", 1, 2000);
    assert_int_equal(COUNTER(&f, event_clients_slow), 0);
    assert_int_equal(COUNTER(&f, events_replayed), 2000);
    disconnect(&peer);
    stop(&f);
}

/* Property events are replaced by the newest, state events are all there, and the order is that of the log. */
static void test_coalescing(void **cmocka)
{
    struct fixture f;
    struct peer peer, witness;
    uint64_t last = 0, states = 0, told = 0, sent_states = 0;
    unsigned i;
    (void)cmocka;

    start(&f, 1, "\"maxQueuedFrames\":100,\"maxQueuedKiB\":100000");
    connect_with(&peer, &f, "token-a", 4096);
    subscribe(&peer, "\"id\":\"c\"");
    connect_with(&witness, &f, "token-a", 0);
    subscribe(&witness, "\"id\":\"w\",\"types\":[\"cct.system\"]");
    for (i = 0; i < 4000; ++i) {
        if (COUNTER(&f, event_frames) < 5) /* until the sockets' buffers are full */
            usleep(100);
        if (i % 200 == 100 && sent_states < 20) {
            publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, 1, 0);
            ++sent_states;
        } else {
            publish_one(&f, EVENT_AGENT_PROPERTY, "/v1/agents/1", i % 2 ? "odd" : "even", 1, 4000);
        }
    }
    publish_one(&f, EVENT_SYSTEM, "/v1/sessions", NULL, 1, 0);
    expect_events(&witness, "w", f.seq, f.seq); /* all of them have been queued before it */
    while (last < f.seq) {
        json_t *json = receive(&peer, "event"), *event = json_object_get(json, "event");
        uint64_t seq = number(event, "seq");
        assert_true(seq > last);
        last = seq;
        assert_int_equal(number(json, "coalesced"), number(event, "coalesced"));
        told += 1 + number(json, "coalesced");
        states += strlen(json_string_value(json_object_get(event, "padding"))) == 0;
        json_decref(json);
    }
    assert_int_equal(states, sent_states + 1);
    assert_int_equal(told, f.seq);
    assert_int_equal(COUNTER(&f, event_clients_slow), 0);
    disconnect(&peer);
    disconnect(&witness);
    wait_for(&f, offsetof(struct front_counters, event_clients), 0);
    assert_true(COUNTER(&f, events_coalesced) > 1000);
    stop(&f);
}

static void test_stop_with_clients(void **cmocka)
{
    struct fixture f;
    struct peer peers[10];
    unsigned code, i;
    (void)cmocka;

    start(&f, 2, "");
    for (i = 0; i < 10; ++i) {
        connect_with(&peers[i], &f, "token-a", 0);
        subscribe(&peers[i], "\"id\":\"x\"");
    }
    fronts_stop(f.fronts, 1000);
    state(&f); /* the owner goes on for a moment */
    for (i = 0; i < 10; ++i) {
        json_decref(receive(&peers[i], "closing"));
        assert_null(receive_or_close(&peers[i], &code));
        assert_int_equal(code, 1012);
        disconnect(&peers[i]);
    }
    fronts_free(&f.fronts);
    policy_unref(&f.policy);
    config_unref(&f.config);
    store_close(&f.store);
    remove_tree(f.directory);
}

/* ---- health ---- */

struct obstacle {
    struct message message;
    atomic_int reached, lifted;
};

static void on_obstacle(struct message *message)
{
    struct obstacle *obstacle = (struct obstacle *)message;
    atomic_store(&obstacle->reached, 1);
    while (!atomic_load(&obstacle->lifted))
        usleep(1000);
}

/* The one that hangs counts, not those that turn. */
static void a_front_that_hangs_is_noticed(void **state)
{
    struct obstacle obstacle = {.message = {.on_deliver = on_obstacle}};
    struct fixture f;
    int64_t hung;

    (void)state;
    start(&f, 2, "");
    mailbox_send(&f.fronts->front[1].mailbox, &obstacle.message);
    while (!atomic_load(&obstacle.reached))
        usleep(1000);
    hung = atomic_load(&f.fronts->front[1].last_turn_ms);
    while (atomic_load(&f.fronts->front[0].last_turn_ms) < hung + 500)
        usleep(1000);
    assert_int_equal(fronts_last_turn_ms(f.fronts), hung);
    atomic_store(&obstacle.lifted, 1);
    while (fronts_last_turn_ms(f.fronts) < hung + 500)
        usleep(1000);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_front_that_hangs_is_noticed),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_resume_while_events_come),
        cmocka_unit_test(test_snapshot_while_events_come),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_slow_client),
        cmocka_unit_test(test_client_that_never_reads),
        cmocka_unit_test(test_replay_of_more_than_the_queue),
        cmocka_unit_test(test_coalescing),
        cmocka_unit_test(test_stop_with_clients),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
