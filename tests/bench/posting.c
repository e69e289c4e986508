/* The contact centre of ws_clients: posts what a file holds, at a pace, and knows when the last client has seen it. */
#include "tests/bench/ws_clients.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

char posting_place;

static struct {
    int epoll, port, fd;
    const char *path;
} to = {.fd = NOT_CONNECTED};

/* Each event's readers so far, and each body's place among the events. */
static struct {
    int is_running, awaits_answer;
    char *file;
    size_t num_bodies, num_posted, num_events, num_complete, num_watchers;
    struct body {
        const char *bytes;
        size_t length, last; /* number of events up to and with it */
        int64_t posted_ns;
    } * bodies;
    uint32_t *readers;
    int64_t *complete_ns;
    uint64_t messages, bytes;
    double rate;
    size_t window;
    int64_t began_ns, cpu_ns;
} job;

void posting_init(int epoll, int port, const char *path)
{
    to.epoll = epoll;
    to.port = port;
    to.path = path;
}

void posting_next(void)
{
    struct body *body = &job.bodies[job.num_posted++];
    char head[512];
    int length = snprintf(head, sizeof(head),
                          "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                          "Content-Type: text/xml; charset=utf-8\r\nContent-Length: %zu\r\n\r\n",
                          to.path, to.port, body->length);

    if (to.fd == NOT_CONNECTED) {
        to.fd = open_socket(to.port, 0);
        watch(to.epoll, to.fd, &posting_place, EPOLL_CTL_ADD);
    }
    body->posted_ns = now_ns(CLOCK_MONOTONIC);
    job.awaits_answer = 1;
    send_all(to.fd, head, (size_t)length);
    send_all(to.fd, body->bytes, body->length);
}

int64_t posting_due_ns(void)
{
    size_t last;
    int64_t due;

    if (!job.is_running || job.awaits_answer || job.num_posted == job.num_bodies)
        return -1;
    last = job.bodies[job.num_posted].last;
    if (job.window > 0 && job.num_posted > 0 && last > job.num_complete + job.window)
        return -1;
    if (job.rate <= 0)
        return 0;
    due = job.began_ns + (int64_t)((double)job.num_posted / job.rate * NANOSECONDS) -
          now_ns(CLOCK_MONOTONIC);
    return due > 0 ? due : 0;
}

void posting_read(void)
{
    char answer[4096];
    ssize_t n = recv(to.fd, answer, sizeof(answer) - 1, 0);

    if (n <= 0 && !job.awaits_answer) { /* nothing was posted for a while */
        close(to.fd);
        to.fd = NOT_CONNECTED;
        return;
    }
    if (n <= 0)
        die("the consumer closed the connection");
    answer[n] = '\0';
    if (strncmp(answer, "HTTP/1.1 202 ", 13) != 0 || strstr(answer, "\r\n\r\n") == NULL)
        die("the consumer says: %.60s", answer);
    job.awaits_answer = 0;
}

static int order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double ms_of(const int64_t *latencies, size_t index)
{
    return (double)latencies[index] / 1e6;
}

static void job_report(void)
{
    int64_t *latencies = take(job.num_bodies, sizeof(*latencies)), end = job.began_ns;
    size_t i;
    double busy, seconds;

    for (i = 0; job.num_watchers > 0 && i < job.num_bodies; ++i) {
        int64_t at = job.bodies[i].last > 0 ? job.complete_ns[job.bodies[i].last - 1] : 0;
        latencies[i] = at - job.bodies[i].posted_ns;
        end = at > end ? at : end;
    }
    if (job.num_watchers == 0)
        end = now_ns(CLOCK_MONOTONIC);
    qsort(latencies, job.num_bodies, sizeof(*latencies), order);
    seconds = (double)(end - job.began_ns) / NANOSECONDS;
    busy = (double)(now_ns(CLOCK_PROCESS_CPUTIME_ID) - job.cpu_ns) / NANOSECONDS / seconds;
    printf("{\"job\":\"post\",\"clients\":%zu,\"notifies\":%zu,\"events\":%zu,\"seconds\":%.4f,"
           "\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"maxMs\":%.3f,\"loadBusy\":%.3f}\n",
           job.num_watchers, job.num_bodies, job.num_events, seconds, job.messages, job.bytes,
           ms_of(latencies, job.num_bodies / 2), ms_of(latencies, job.num_bodies * 99 / 100),
           ms_of(latencies, job.num_bodies - 1), busy);
    free(latencies);
    free(job.file);
    free(job.bodies);
    free(job.readers);
    free(job.complete_ns);
    memset(&job, 0, sizeof(job));
}

void posting_report_if_complete(void)
{
    if (job.is_running && job.num_posted == job.num_bodies && !job.awaits_answer &&
        (job.num_watchers == 0 || job.num_complete == job.num_events))
        job_report();
}

static char *load_file(const char *name, size_t *length)
{
    FILE *file = fopen(name, "rb");
    struct stat status;
    char *bytes;

    if (file == NULL || fstat(fileno(file), &status) != 0)
        die("%s: %s", name, strerror(errno));
    *length = (size_t)status.st_size;
    bytes = take(*length, 1);
    if (fread(bytes, 1, *length, file) != *length)
        die("%s: %s", name, strerror(errno));
    fclose(file);
    return bytes;
}

static void index_bodies(size_t length)
{
    const char *at = job.file, *end = job.file + length;
    size_t capacity = 0;

    while (at < end) {
        char *next;
        struct body body = {.length = strtoul(at, &next, 10)};
        job.num_events += strtoul(next, &next, 10);
        body.last = job.num_events;
        body.bytes = next + 1;
        if (*next != '\n' || body.length > (size_t)(end - body.bytes))
            die("the file of bodies is damaged");
        if (job.num_bodies == capacity) {
            capacity = capacity * 2 + 64;
            if ((job.bodies = reallocarray(job.bodies, capacity, sizeof(*job.bodies))) == NULL)
                die("out of memory");
        }
        job.bodies[job.num_bodies++] = body;
        at = body.bytes + body.length;
    }
    if (job.num_bodies == 0)
        die("no bodies");
}

void posting_start(const char *file, double rate, size_t window, size_t num_watchers)
{
    size_t length;

    if (job.is_running)
        die("a job is running");
    job.file = load_file(file, &length);
    index_bodies(length);
    job.readers = take(job.num_events, sizeof(*job.readers));
    job.complete_ns = take(job.num_events, sizeof(*job.complete_ns));
    job.num_watchers = num_watchers;
    job.rate = rate;
    job.window = num_watchers > 0 ? window : 0;
    job.is_running = 1;
    job.began_ns = now_ns(CLOCK_MONOTONIC);
    job.cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void posting_seen(uint64_t number, size_t length, int64_t at_ns)
{
    if (!job.is_running || number >= job.num_events)
        return;
    ++job.messages;
    job.bytes += length;
    if (++job.readers[number] < job.num_watchers)
        return;
    job.complete_ns[number] = at_ns;
    job.num_complete = number + 1;
}
