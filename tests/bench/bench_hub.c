/*
 * What one front thread does for WebSocket clients: memory of an idle one, messages a second and CPU per message, time from publishing
 * to the last client, replay from the log. The clients are a process of their own. Numbers as JSON on standard output.
 *
 * bench_hub [clients [events]]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "cctgate/error.h"
#include "cctgate/hub.h"
#include "cctgate/loop.h"
#include "gateway/rest/rest.h"

#define MESSAGE_BYTES 250
#define PACED_EVENTS  200
#define REPLAYED      100000
#define BATCH_MAX     1000
#define STUCK         10 /* that do not read, beside those that do */

static void die(const char *what)
{
    fprintf(stderr, "bench_hub: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* ---- the clients' process ---- */

static int receive_buffer; /* 0: as the system has it */

struct peer {
    int fd;
    size_t have, skip; /* bytes of a frame's head; of its payload, still to come */
    unsigned char head[4];
    uint64_t frames;
};

static void send_text(int fd, const char *text)
{
    unsigned char frame[140] = {0x81, (unsigned char)(0x80 | strlen(text))};
    memcpy(frame + 6, text, strlen(text));
    if (write(fd, frame, 6 + strlen(text)) < 0)
        die("write");
}

static void open_peer(struct peer *peer, unsigned port, const char *subscribe)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    static const char head[] =
        "GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Authorization: Bearer token\r\n\r\n";
    char byte, last[4] = "";

    memset(peer, 0, sizeof(*peer));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if ((peer->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0)
        die("socket");
    if (receive_buffer > 0)
        setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    if (connect(peer->fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 ||
        write(peer->fd, head, sizeof(head) - 1) < 0)
        die("connect");
    while (memcmp(last, "\r\n\r\n", 4) != 0) {
        if (read(peer->fd, &byte, 1) != 1)
            die("handshake");
        memmove(last, last + 1, 3);
        last[3] = byte;
    }
    send_text(peer->fd, subscribe);
}

/* Counts frames; nothing longer than 65535 bytes comes. */
static void consume(struct peer *peer, const unsigned char *at, size_t n)
{
    static const unsigned char pong[6] = {0x8a, 0x80};

    while (n > 0) {
        size_t take = peer->skip < n ? peer->skip : n;
        at += take;
        n -= take;
        peer->skip -= take;
        while (n > 0 && peer->skip == 0) {
            size_t wanted = peer->have >= 2 && (peer->head[1] & 0x7f) == 126 ? 4 : 2;
            if (peer->have < wanted) {
                peer->head[peer->have++] = *at++;
                --n;
                continue;
            }
            peer->skip = wanted == 4 ? (size_t)peer->head[2] << 8 | peer->head[3]
                                     : (size_t)(peer->head[1] & 0x7f);
            peer->have = 0;
            peer->frames += (peer->head[0] & 15) == 1;
            if ((peer->head[0] & 15) == 9 && write(peer->fd, pong, sizeof(pong)) < 0)
                die("pong");
            if (peer->skip == 0)
                continue;
        }
    }
}

/* Tells the parent "all have n messages" by writing the time to the pipe, for each n that comes on the other pipe. */
static void be_clients(unsigned port, size_t count, const char *subscribe, int in, int out)
{
    struct peer *peers = calloc(count, sizeof(*peers));
    struct epoll_event events[256], event = {.events = EPOLLIN};
    int poller = epoll_create1(0), i, n;
    uint64_t goal = 0, reached = 0;
    unsigned char buffer[65536];
    size_t j;

    if (peers == NULL || poller < 0)
        die("epoll");
    for (j = 0; j < count; ++j) {
        open_peer(&peers[j], port, subscribe);
        event.data.ptr = &peers[j];
        epoll_ctl(poller, EPOLL_CTL_ADD, peers[j].fd, &event);
    }
    event.data.ptr = NULL;
    epoll_ctl(poller, EPOLL_CTL_ADD, in, &event);
    while ((n = epoll_wait(poller, events, 256, -1)) >= 0 || errno == EINTR) {
        for (i = 0; i < n; ++i) {
            struct peer *peer = events[i].data.ptr;
            uint64_t before;
            ssize_t got;
            if (peer == NULL) {
                if (read(in, &goal, sizeof(goal)) != sizeof(goal))
                    exit(0);
                for (reached = 0, j = 0; j < count; ++j)
                    reached += peers[j].frames >= goal;
            } else {
                before = peer->frames;
                if ((got = read(peer->fd, buffer, sizeof(buffer))) <= 0)
                    die("a client was closed");
                consume(peer, buffer, (size_t)got);
                reached += before < goal && peer->frames >= goal;
            }
            if (goal > 0 && reached == count) {
                int64_t time = now_us();
                goal = 0;
                if (write(out, &time, sizeof(time)) != sizeof(time))
                    exit(0);
            }
        }
    }
    exit(0);
}

struct clients {
    pid_t pid;
    int to, from;
};

static void start_clients(struct clients *clients, unsigned port, size_t count,
                          const char *subscribe)
{
    int to[2], from[2];
    fflush(stdout); /* the child has a copy of what is buffered */
    if (pipe(to) != 0 || pipe(from) != 0 || (clients->pid = fork()) < 0)
        die("fork");
    if (clients->pid == 0) {
        close(to[1]);
        close(from[0]);
        be_clients(port, count, subscribe, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    clients->to = to[1];
    clients->from = from[0];
}

static void ask(struct clients *clients, uint64_t goal)
{
    if (write(clients->to, &goal, sizeof(goal)) != sizeof(goal))
        die("pipe");
}

static int64_t answer(struct clients *clients)
{
    int64_t time;
    if (read(clients->from, &time, sizeof(time)) != sizeof(time))
        die("the clients have gone");
    return time;
}

static void stop_clients(struct clients *clients)
{
    close(clients->to);
    close(clients->from);
    waitpid(clients->pid, NULL, 0);
}

/* ---- the gateway ---- */

struct gateway {
    char directory[64];
    struct store *store;
    struct config *config;
    struct policy *policy;
    struct fronts *fronts;
    unsigned port;
    uint64_t seq;
};

static void load_config(struct gateway *g)
{
    unsigned char sha256[32];
    char file[128], digest[65];
    struct config_error error;
    FILE *out;
    size_t i;

    SHA256((const unsigned char *)"token", 5, sha256);
    for (i = 0; i < 32; ++i)
        snprintf(digest + 2 * i, 3, "%02x", sha256[i]);
    umask(077);
    snprintf(file, sizeof(file), "%s/password", g->directory);
    if ((out = fopen(file, "w")) == NULL)
        die(file);
    fputs("secret", out);
    fclose(out);
    snprintf(file, sizeof(file), "%s/cctgate.json", g->directory);
    if ((out = fopen(file, "w")) == NULL)
        die(file);
    fprintf(out,
            "{\"listen\":[{\"address\":\"127.0.0.1\",\"port\":0}],\"threads\":1,\"contract\":\".\","
            "\"log\":{\"level\":\"error\"},\"data\":{\"directory\":\"data\",\"mapSizeMiB\":1024},"
            "\"upstream\":{\"endpoints\":[{\"name\":\"x\",\"url\":\"http://127.0.0.1:1/\"}]},"
            "\"sessions\":[{\"user\":\"a\",\"domain\":\"D\",\"password\":{\"file\":\"password\"}}],"
            "\"tokens\":[{\"application\":\"a\",\"sha256\":\"%s\",\"users\":[\"a\"],\"roles\":["
            "\"viewer\"]}],\"events\":{\"heartbeatMs\":3600000}}",
            digest);
    fclose(out);
    if (config_load(&g->config, file, &error) != CG_OK)
        die(error.text);
    log_configure(g->config->log.level, g->config->log.format);
}

static void start_gateway(struct gateway *g)
{
    static const uint32_t numbers[] = {1};
    char data[80], error[256] = "";
    struct store_settings settings = {data, (size_t)1024 << 20, (size_t)1 << 20, 0};
    struct store_opened opened;
    struct sockaddr_in sin;
    socklen_t length = sizeof(sin);

    memset(g, 0, sizeof(*g));
    snprintf(g->directory, sizeof(g->directory), "/tmp/cctgate-bench-XXXXXX");
    if (mkdtemp(g->directory) == NULL)
        die("mkdtemp");
    load_config(g);
    snprintf(data, sizeof(data), "%s/data", g->directory);
    if (store_open(&g->store, &settings, &opened, error, sizeof(error)) != CG_OK)
        die(error);
    atomic_store(&session_views[1].configured, 1);
    g->policy = policy_new(g->config, numbers);
    struct fronts_settings fronts = {.config = g->config, .store = g->store};
    if (fronts_new(&g->fronts, &fronts, error, sizeof(error)) != CG_OK)
        die(error);
    getsockname(g->fronts->listen_fds[0], (struct sockaddr *)&sin, &length);
    g->port = ntohs(sin.sin_port);
    if (fronts_prepare(g->fronts) != CG_OK)
        die("fronts_prepare");
    fronts_set_policy(g->fronts, g->policy, NULL, NULL);
    if (fronts_run(g->fronts, NULL) != CG_OK)
        die("fronts_run");
}

static struct event *make_event(struct gateway *g)
{
    static const uint32_t users[] = {1};
    static char json[MESSAGE_BYTES];
    const char *head = "{\"specversion\":\"1.0\",\"padding\":\"";
    size_t length = MESSAGE_BYTES - sizeof("{\"op\":\"event\",\"id\":\"a\",\"event\":}") + 1;
    struct event_parts parts = {.seq = ++g->seq,
                                .type = EVENT_CONNECTION_STATE,
                                .subject = "/v1/calls/1",
                                .agent = "2001",
                                .users = users,
                                .num_users = 1,
                                .json = json,
                                .json_length = length};
    struct event *event;

    memset(json, 'x', length);
    memcpy(json, head, strlen(head));
    memcpy(json + length - 2, "\"}", 2);
    if ((event = event_new(&parts)) == NULL)
        die("event_new");
    return event;
}

/* As the owner does: into the log, then out. */
static void append(struct gateway *g, struct event **events, size_t count)
{
    struct store_txn *txn;
    size_t i, length;
    uint64_t seq;

    if (store_begin(g->store, &txn) != CG_OK)
        die("store_begin");
    for (i = 0; i < count; ++i) {
        void *entry;
        events[i] = make_event(g);
        if ((entry = event_encode(events[i], &length)) == NULL ||
            store_log_append(txn, entry, length, &seq) != CG_OK)
            die("store_log_append");
        free(entry);
    }
    if (store_commit(&txn) != CG_OK)
        die("store_commit");
}

static void publish(struct gateway *g, size_t count, int only_log)
{
    struct event *events[BATCH_MAX];
    size_t i;

    append(g, events, count);
    if (!only_log)
        fronts_publish(g->fronts, events, count);
    for (i = 0; i < count; ++i)
        event_unref(&events[i]);
}

static uint64_t counter(const struct gateway *g, size_t offset)
{
    const char *counters = (const char *)&g->fronts->front[0].counters;
    return atomic_load((const _Atomic uint64_t *)(const void *)(counters + offset));
}
#define COUNTER(g, name) counter((g), offsetof(struct front_counters, name))

static int64_t front_cpu_us(const struct gateway *g)
{
    struct timespec ts;
    clockid_t clock;
    pthread_getcpuclockid(g->fronts->front[0].thread, &clock);
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static size_t resident_bytes(void)
{
    unsigned long pages = 0, ignored;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu %lu", &ignored, &pages) != 2)
        die("statm");
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- measurements ---- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void measure_rate(struct gateway *g, struct clients *clients, size_t count, size_t events,
                         size_t batch, uint64_t *frames)
{
    int64_t from = now_us(), cpu = front_cpu_us(g), to;
    size_t sent;

    ask(clients, *frames += events);
    for (sent = 0; sent < events; sent += batch) {
        /* no further ahead than a quarter of a client's queue: the rate is measured, not the queues */
        while (COUNTER(g, event_frames) + 256 * count < (g->seq - REPLAYED) * count)
            usleep(200);
        publish(g, batch, 0);
    }
    to = answer(clients);
    cpu = front_cpu_us(g) - cpu;
    printf(" \"batch%zu\": {\"messagesPerSecond\": %.0f, \"cpuNsPerMessage\": %.0f},\n", batch,
           (double)(events * count) * 1e6 / (double)(to - from),
           (double)cpu * 1000 / (double)(events * count));
}

static void measure_latency(struct gateway *g, struct clients *clients, uint64_t *frames)
{
    int64_t took[PACED_EVENTS], cpu = front_cpu_us(g), began = now_us();
    const size_t middle = PACED_EVENTS / 2, last = PACED_EVENTS * 99 / 100;
    size_t i;

    for (i = 0; i < PACED_EVENTS; ++i) {
        int64_t from;
        ask(clients, ++*frames);
        from = now_us();
        publish(g, 1, 0);
        took[i] = answer(clients) - from;
        usleep((useconds_t)(50000 > took[i] ? 50000 - took[i] : 0));
    }
    cpu = front_cpu_us(g) - cpu;
    qsort(took, PACED_EVENTS, sizeof(took[0]), by_value);
    printf(" \"at20PerSecond\": {\"p50Ms\": %.2f, \"p99Ms\": %.2f, \"cpuPercent\": %.1f},\n",
           (double)took[middle] / 1000, (double)took[last] / 1000,
           (double)cpu * 100 / (double)(now_us() - began));
}

static void measure_replay(struct gateway *g, uint64_t epoch)
{
    struct clients one = {0};
    char subscribe[120];
    int64_t from = now_us();

    snprintf(subscribe, sizeof(subscribe),
             "{\"op\":\"subscribe\",\"id\":\"a\",\"since\":\"%" PRIu64 "-0\"}", epoch);
    start_clients(&one, g->port, 1, subscribe);
    ask(&one, REPLAYED + 2); /* hello, subscribed */
    printf(" \"replayedPerSecond\": %.0f,\n", REPLAYED * 1e6 / (double)(answer(&one) - from));
    stop_clients(&one);
}

static uint64_t epoch_of(const struct gateway *g)
{
    struct store_log_bounds bounds;
    struct store_reader *reader;

    if (store_reader_new(&reader, g->store) != CG_OK || store_read_begin(reader) != CG_OK)
        die("store_reader_new");
    store_log_get_bounds(reader, &bounds);
    store_read_end(reader);
    store_reader_free(&reader);
    return bounds.epoch;
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status, (void)flag, (void)ftw;
    return remove(path);
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    size_t events = argc > 2 ? strtoul(argv[2], NULL, 10) : 4000;
    struct clients clients = {0}, stuck = {0};
    struct gateway g;
    uint64_t frames = 2; /* hello, subscribed */
    size_t before;

    signal(SIGPIPE, SIG_IGN);
    start_gateway(&g);
    while (g.seq < REPLAYED)
        publish(&g, BATCH_MAX, 1);
    printf("{\"clients\": %zu,\n", count);
    measure_replay(&g, epoch_of(&g));
    usleep(100000);
    malloc_trim(0);
    before = resident_bytes();
    start_clients(&clients, g.port, count, "{\"op\":\"subscribe\",\"id\":\"a\"}");
    ask(&clients, frames);
    answer(&clients);
    malloc_trim(0);
    printf(" \"bytesPerIdleClient\": %zu,\n", (resident_bytes() - before) / count);
    measure_latency(&g, &clients, &frames);
    measure_rate(&g, &clients, count, events, 1, &frames);
    measure_rate(&g, &clients, count, events, 8, &frames);
    receive_buffer = 4096;
    start_clients(&stuck, g.port, STUCK, "{\"op\":\"subscribe\",\"id\":\"a\"}");
    ask(&stuck, 2);
    answer(&stuck);
    kill(stuck.pid, SIGSTOP);
    before = resident_bytes();
    measure_rate(&g, &clients, count, events * 8, 1, &frames);
    measure_latency(&g, &clients, &frames);
    printf(" \"stuckClients\": %d, \"grownByBytes\": %zd,\n", STUCK,
           (ssize_t)(resident_bytes() - before));
    printf(" \"slow\": %" PRIu64 ", \"overruns\": %" PRIu64 "}\n", COUNTER(&g, event_clients_slow),
           COUNTER(&g, event_overruns));
    kill(stuck.pid, SIGCONT);
    kill(stuck.pid, SIGTERM);
    stop_clients(&stuck);
    stop_clients(&clients);
    fronts_stop(g.fronts, 1000);
    fronts_free(&g.fronts);
    policy_unref(&g.policy);
    config_unref(&g.config);
    store_close(&g.store);
    nftw(g.directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
