/*
 * The load of bench_events.py: WebSocket clients (RFC 6455, as much of it as a client that trusts its server needs) and the contact centre
 * that posts Notify, in one thread on one epoll, so that a post and what every client gets of it are stamped by the same clock.
 *
 *   ws_clients PORT TOKEN CONSUMER_PORT CONSUMER_PATH
 *
 * takes a command per line on standard input and answers each with a line of JSON on standard output:
 *   connect N RCVBUF     opens N clients that subscribe to what the contact centre tells; RCVBUF > 0: they are the slow ones, with that
 *                        much of the kernel's room
 *   drop N               closes the N youngest
 *   post FILE RATE WINDOW posts the bodies of FILE, each "<bytes> <events>\n" and the body: RATE a second (0: one after the other's
 *                        answer), never more than WINDOW events ahead of the last client (0: no such bound); answers when every client
 *                        that is not slow has got all of it
 *   replay PLACE N       a client that resumes after PLACE; answers when it has got N events
 *   pause, resume        the slow ones stop reading, and go on
 *   closes               close codes so far
 */
#include "tests/bench/ws_clients.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROOM        (1u << 20) /* of what is read at once, with what was left of a frame */
#define CLIENTS_MAX 4096
#define OPENING_MAX 64
#define EVENTS_MAX  256
#define CODES_MAX   16
#define KEY         "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455 section 1.3, with its answer */
#define ACCEPT      "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum opcode { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };

struct client {
    int fd;
    int is_open, is_slow, is_paused, is_replaying;
    uint64_t events; /* of this job */
    char *left;      /* the beginning of a frame */
    size_t left_length;
};

static struct {
    int epoll, port;
    const char *token;
    struct client *clients[CLIENTS_MAX];
    size_t num_clients, num_open, num_opening, num_wanted;
    int receive_buffer;
    char *room;
    struct {
        unsigned code, count;
    } codes[CODES_MAX];
} load = {.num_clients = 0};

static struct {
    struct client *client;
    uint64_t wanted;
    const char *place;
    char place_text[64];
    int64_t began_ns;
    uint64_t bytes;
} replay;

/* ---- connections ---- */

static void send_frame(const struct client *client, enum opcode opcode, const char *payload,
                       size_t length)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    char frame[8 + 1024];
    size_t at = 2, i;

    if (length > 1024)
        die("a frame of %zu bytes", length);
    frame[0] = (char)(0x80 | opcode);
    frame[1] = (char)(0x80 | (length < 126 ? length : 126));
    if (length >= 126) {
        frame[at++] = (char)(length >> 8);
        frame[at++] = (char)length;
    }
    memcpy(frame + at, mask, 4);
    at += 4;
    for (i = 0; i < length; ++i)
        frame[at + i] = (char)(payload[i] ^ mask[i % 4]);
    send_all(client->fd, frame, at + length);
}

static void client_open(int is_replaying)
{
    struct client *client = take(1, sizeof(*client));
    char request[1024];
    int length = snprintf(request, sizeof(request),
                          "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY
                          "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: cctgate.v1\r\n"
                          "Authorization: Bearer %s\r\n\r\n",
                          load.port, load.token);

    if (load.num_clients == CLIENTS_MAX)
        die("more than %d clients", CLIENTS_MAX);
    client->fd = open_socket(load.port, load.receive_buffer);
    client->is_slow = load.receive_buffer > 0;
    client->is_replaying = is_replaying;
    load.clients[load.num_clients++] = client;
    ++load.num_opening;
    send_all(client->fd, request, (size_t)length);
    watch(load.epoll, client->fd, client, EPOLL_CTL_ADD);
    if (is_replaying)
        replay.client = client;
}

static void client_close(struct client *client)
{
    if (client->fd != NOT_CONNECTED)
        close(client->fd);
    client->fd = NOT_CONNECTED;
    load.num_open -= (size_t)client->is_open;
    client->is_open = 0;
    free(client->left);
    client->left = NULL;
}

/* Only those of the contact centre: what is derived or told by the gateway would be counted as well. */
static void subscribe(const struct client *client)
{
    char text[1024];
    int length =
        snprintf(text, sizeof(text),
                 "{\"op\":\"subscribe\",\"id\":\"a\",%s%s%s\"types\":[\"cct.connection.state\","
                 "\"cct.terminalConnection.state\",\"cct.contact.property\",\"cct.agent.property\","
                 "\"cct.terminal.property\",\"cct.agent.state\",\"cct.address.property\"]}",
                 client->is_replaying ? "\"since\":\"" : "",
                 client->is_replaying ? replay.place : "", client->is_replaying ? "\"," : "");
    if (client->is_replaying)
        replay.began_ns = now_ns(CLOCK_MONOTONIC);
    send_frame(client, TEXT, text, (size_t)length);
}

/* ---- what comes to a client ---- */

static void count_close(unsigned code)
{
    size_t i = 0;
    while (i < CODES_MAX - 1 && load.codes[i].count > 0 && load.codes[i].code != code)
        ++i;
    load.codes[i].code = code;
    ++load.codes[i].count;
}

static void report_replay(void)
{
    double seconds = (double)(now_ns(CLOCK_MONOTONIC) - replay.began_ns) / NANOSECONDS;

    printf("{\"job\":\"replay\",\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.4f}\n",
           replay.client->events, replay.bytes, seconds);
    client_close(replay.client);
    replay.client = NULL;
}

static void on_event(struct client *client, size_t length, int64_t at_ns)
{
    uint64_t number = client->events++;

    if (client->is_replaying) {
        replay.bytes += length;
        return;
    }
    if (!client->is_slow)
        posting_seen(number, length, at_ns);
}

static int starts_with(const char *payload, size_t length, const char *beginning)
{
    size_t n = strlen(beginning);
    return length >= n && memcmp(payload, beginning, n) == 0;
}

static void on_text(struct client *client, const char *payload, size_t length, int64_t at_ns)
{
    if (starts_with(payload, length, "{\"op\":\"event\"")) {
        on_event(client, length, at_ns);
    } else if (starts_with(payload, length, "{\"op\":\"subscribed\"")) {
        client->is_open = 1;
        ++load.num_open;
        --load.num_opening;
    } else if (!starts_with(payload, length, "{\"op\":\"hello\"") &&
               !starts_with(payload, length, "{\"op\":\"heartbeat\"")) {
        die("unexpected: %.*s", (int)(length < 300 ? length : 300), payload);
    }
}

static void on_close(struct client *client, const char *payload, size_t length)
{
    unsigned code =
        length >= 2 ? (unsigned)(unsigned char)payload[0] << 8 | (unsigned char)payload[1] : 1005;

    count_close(code);
    if (!client->is_slow)
        die("a client that reads was closed with %u", code);
    client_close(client);
}

/* Length of the frame at `bytes` with its head, 0 while that is not known; server frames are not masked. */
static size_t frame_length(const unsigned char *bytes, size_t have, size_t *head)
{
    size_t payload = have >= 2 ? bytes[1] & 127u : 0, i;

    *head = payload < 126 ? 2 : payload == 126 ? 4 : 10;
    if (have < 2 || have < *head)
        return 0;
    if (*head > 2)
        for (payload = 0, i = 2; i < *head; ++i)
            payload = payload << 8 | bytes[i];
    if (payload > ROOM / 2)
        die("a frame of %zu bytes", payload);
    return *head + payload;
}

static void on_frame(struct client *client, const char *frame, size_t head, size_t length,
                     int64_t at_ns)
{
    switch (frame[0] & 15) {
    case TEXT:
        on_text(client, frame + head, length - head, at_ns);
        break;
    case PING:
        send_frame(client, PONG, frame + head, length - head);
        break;
    case CLOSE:
        on_close(client, frame + head, length - head);
        break;
    default:
        die("opcode %d", frame[0] & 15);
    }
}

static size_t take_frames(struct client *client, const char *bytes, size_t have, int64_t at_ns)
{
    size_t at = 0, head, length;

    while (client->fd != NOT_CONNECTED &&
           (length = frame_length((const unsigned char *)bytes + at, have - at, &head)) != 0 &&
           length <= have - at) {
        on_frame(client, bytes + at, head, length, at_ns);
        at += length;
    }
    return at;
}

/* The answer to the handshake, and what may have come with it: 0 while it is not whole. */
static size_t take_upgrade(struct client *client, const char *bytes, size_t have)
{
    const char *end = memmem(bytes, have, "\r\n\r\n", 4);

    if (end == NULL)
        return 0;
    if (!starts_with(bytes, have, "HTTP/1.1 101 ") ||
        memmem(bytes, (size_t)(end - bytes), ACCEPT, sizeof(ACCEPT) - 1) == NULL)
        die("no upgrade: %.*s", (int)(end - bytes), bytes);
    subscribe(client);
    return (size_t)(end - bytes) + 4;
}

static void keep_rest(struct client *client, const char *bytes, size_t length)
{
    free(client->left);
    client->left = NULL;
    client->left_length = length;
    if (length == 0)
        return;
    client->left = take(length, 1);
    memcpy(client->left, bytes, length);
}

static void client_read(struct client *client)
{
    size_t have = client->left_length, used = 0;
    int64_t at_ns;
    ssize_t n;

    memcpy(load.room, client->left != NULL ? client->left : "", have);
    if ((n = recv(client->fd, load.room + have, ROOM - have, 0)) <= 0) {
        count_close(1006);
        if (!client->is_slow)
            die("a client that reads lost its connection");
        client_close(client);
        return;
    }
    at_ns = now_ns(CLOCK_MONOTONIC);
    have += (size_t)n;
    if (load.room[0] == 'H') /* no frame begins with it: FIN is not set */
        used = take_upgrade(client, load.room, have);
    if (load.room[0] != 'H' || used > 0)
        used += take_frames(client, load.room + used, have - used, at_ns);
    if (client->fd != NOT_CONNECTED)
        keep_rest(client, load.room + used, have - used);
    if (client == replay.client && client->events >= replay.wanted)
        report_replay();
}

/* ---- commands ---- */

static void open_more(void)
{
    while (load.num_wanted > 0 && load.num_opening < OPENING_MAX) {
        --load.num_wanted;
        client_open(0);
    }
}

static void run_post(const char *file, double rate, size_t window)
{
    size_t num_watchers = 0, i;

    for (i = 0; i < load.num_clients; ++i) {
        load.clients[i]->events = 0;
        num_watchers += load.clients[i]->is_open && !load.clients[i]->is_slow;
    }
    posting_start(file, rate, window, num_watchers);
}

static void run_drop(size_t count)
{
    for (; count > 0 && load.num_clients > 0; --count) {
        struct client *client = load.clients[--load.num_clients];
        client_close(client);
        free(client);
    }
    puts("{\"job\":\"drop\"}");
}

static void run_pause(int is_paused)
{
    size_t i;
    for (i = 0; i < load.num_clients; ++i) {
        struct client *client = load.clients[i];
        if (client->is_slow && client->fd != NOT_CONNECTED && client->is_paused != is_paused)
            watch(load.epoll, client->fd, client, is_paused ? EPOLL_CTL_DEL : EPOLL_CTL_ADD);
        client->is_paused = is_paused;
    }
    printf("{\"job\":\"%s\"}\n", is_paused ? "pause" : "resume");
}

static void run_closes(void)
{
    size_t i;
    printf("{\"job\":\"closes\",\"codes\":{");
    for (i = 0; i < CODES_MAX && load.codes[i].count > 0; ++i)
        printf("%s\"%u\":%u", i > 0 ? "," : "", load.codes[i].code, load.codes[i].count);
    puts("}}");
}

static void run_command(char *line)
{
    char name[256];
    unsigned long count, window;
    double rate;
    int size;

    if (sscanf(line, "connect %lu %d", &count, &size) == 2) {
        load.num_wanted = count;
        load.receive_buffer = size;
        open_more();
    } else if (sscanf(line, "post %255s %lf %lu", name, &rate, &window) == 3) {
        run_post(name, rate, window);
    } else if (sscanf(line, "replay %63s %lu", replay.place_text, &count) == 2) {
        replay.place = replay.place_text;
        replay.wanted = count;
        replay.bytes = 0;
        load.receive_buffer = 0;
        client_open(1);
    } else if (sscanf(line, "drop %lu", &count) == 1) {
        run_drop(count);
    } else if (strcmp(line, "pause\n") == 0 || strcmp(line, "resume\n") == 0) {
        run_pause(line[0] == 'p');
    } else if (strcmp(line, "closes\n") == 0) {
        run_closes();
    } else {
        die("what is %s", line);
    }
}

/* A command is one write of the other side, and small. */
static void read_commands(void)
{
    char text[4096], *line = text, *end;
    ssize_t n = read(STDIN_FILENO, text, sizeof(text) - 1);

    if (n <= 0)
        exit(0);
    text[n] = '\0';
    for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        char one[512];
        snprintf(one, sizeof(one), "%.*s", (int)(end + 1 - line), line);
        run_command(one);
    }
}

/* ---- the loop ---- */

static void turn(struct epoll_event *events)
{
    int64_t due_ns = posting_due_ns();
    int i, count;

    if (due_ns == 0) {
        posting_next();
        due_ns = posting_due_ns();
    }
    count = epoll_wait(load.epoll, events, EVENTS_MAX,
                       due_ns < 0 ? -1 : (int)((due_ns + 999999) / 1000000));
    for (i = 0; i < count; ++i) {
        if (events[i].data.ptr == &load)
            read_commands();
        else if (events[i].data.ptr == &posting_place)
            posting_read();
        else if (((struct client *)events[i].data.ptr)->fd != NOT_CONNECTED)
            client_read(events[i].data.ptr);
    }
}

/* Only when nothing is opening and nothing more is wanted has `connect` come to its end. */
static void report_connected(void)
{
    static int was_opening;
    int is_opening = load.num_opening + load.num_wanted > 0;

    if (was_opening && !is_opening && replay.client == NULL)
        printf("{\"job\":\"connect\",\"clients\":%zu}\n", load.num_open);
    was_opening = is_opening && replay.client == NULL;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    static struct epoll_event events[EVENTS_MAX];

    if (argc != 5)
        die("usage: ws_clients PORT TOKEN CONSUMER_PORT CONSUMER_PATH");
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    load.port = (int)strtol(argv[1], NULL, 10);
    load.token = argv[2];
    load.room = take(ROOM, 1);
    if ((load.epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
        die("epoll: %s", strerror(errno));
    posting_init(load.epoll, (int)strtol(argv[3], NULL, 10), argv[4]);
    watch(load.epoll, STDIN_FILENO, &load, EPOLL_CTL_ADD);
    for (;;) {
        turn(events);
        open_more();
        report_connected();
        posting_report_if_complete();
        fflush(stdout);
    }
}
