/*
 * What the transport notices while nobody asks it anything: a server that closes what is idle, one
 * that has gone, one that does not answer a connect; and that it costs nothing to wait.
 */
#include "tests/unit/test_upstream_transport_fixture.h"

#include <dirent.h>

#include "tests/unit/certificates.h"

#define QUIET_MS    1500 /* longer than the second between two probes */
#define BUSY_MAX_NS 200000000LL
#define FILLERS     8

static struct seen {
    unsigned count, endpoint;
} seen;

static void on_notice(struct message *message)
{
    struct upstream_notice *notice = (struct upstream_notice *)message;
    struct seen *mine = notice->data;

    ++mine->count;
    mine->endpoint = notice->endpoint;
    free(notice);
}

static void wait_for_notice(void)
{
    while (seen.count == 0) {
        struct pollfd watched = {.fd = inbox.wake_fd, .events = POLLIN};
        uint64_t rings;
        assert_int_equal(poll(&watched, 1, WAIT_MS), 1);
        assert_int_equal(read(inbox.wake_fd, &rings, sizeof(rings)), sizeof(rings));
        mailbox_deliver(&inbox.mailbox);
    }
}

static struct upstream_endpoint watched_endpoint(const char *part)
{
    struct upstream_endpoint endpoint = endpoint_for(part);

    seen = (struct seen){0};
    endpoint.watcher = (struct upstream_watcher){&inbox.mailbox, on_notice, &seen};
    return endpoint;
}

static void stop_and_count(struct upstream **upstream, unsigned notices)
{
    upstream_stop(upstream, 0);
    mailbox_deliver(&inbox.mailbox);
    assert_int_equal(seen.count, notices);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* First line of a file of one of our threads. */
static int task_line(const char *task, const char *name, char *line, size_t size)
{
    char path[512];
    FILE *file;
    int found;

    snprintf(path, sizeof(path), "/proc/self/task/%s/%s", task, name);
    if ((file = fopen(path, "re")) == NULL)
        return 0;
    found = fgets(line, (int)size, file) != NULL;
    fclose(file);
    return found;
}

/* What the transport's thread has spent on a processor. */
static long long upstream_cpu_ns(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    long long spent = -1;
    char line[256];

    assert_non_null(tasks);
    while ((task = readdir(tasks)) != NULL)
        if (task_line(task->d_name, "comm", line, sizeof(line)) && strcmp(line, "upstream\n") == 0)
            if (task_line(task->d_name, "schedstat", line, sizeof(line)))
                spent = strtoll(line, NULL, 10);
    closedir(tasks);
    assert_true(spent >= 0);
    return spent;
}

/* ---- a server that is there ---- */

/* Each close costs two connects, a second or more apart, and nothing is heard of it. */
static void closing_what_is_idle_is_no_news(void **state)
{
    struct upstream_endpoint endpoint = watched_endpoint("idle-close");
    struct upstream *upstream = start(&endpoint);
    int64_t began_ms = now_ms();
    long long spent_ns;

    (void)state;
    expect(read_once(upstream), CG_OK, 1);
    bad_server_wait(&server, &server.connections, 2);
    spent_ns = upstream_cpu_ns();
    bad_server_wait(&server, &server.connections, 3);
    assert_true(upstream_cpu_ns() - spent_ns < BUSY_MAX_NS);
    assert_true(now_ms() - began_ms >= 1000);
    expect(read_once(upstream), CG_OK, 1);
    bad_server_wait(&server, &server.connections, 6);
    assert_true(now_ms() - began_ms >= 3000);
    stop_and_count(&upstream, 0);
    assert_int_equal(bad_server_read(&server, &server.connections), 6);
}

/* ---- a server that has gone ---- */

static struct bad_server other;

/* Three connections in the pool of the first endpoint. */
static void fill_pool(struct upstream *upstream)
{
    int i;

    for (i = 0; i < 3; ++i)
        upstream_submit(upstream, call_new(&inbox, read_op));
    bad_server_wait(&server, &server.concurrent, 3);
    bad_server_open_gate(&server);
    wait_for_outcomes(&inbox, 3);
}

static void call_endpoint(struct upstream *upstream, unsigned endpoint, unsigned timeout_ms, int rc)
{
    struct upstream_call *call = call_new(&inbox, read_op);

    call->endpoint = endpoint;
    call->timeout_ms = timeout_ms;
    expect(perform(upstream, call), rc, 1);
}

/* The hanging call gives a second notice the time to come, and a busy loop to be seen. */
static void expect_quiet(struct upstream *upstream, unsigned hanging_endpoint)
{
    long long spent_ns = upstream_cpu_ns();

    call_endpoint(upstream, hanging_endpoint, QUIET_MS, CG_E_TIMEOUT);
    assert_true(upstream_cpu_ns() - spent_ns < BUSY_MAX_NS);
}

static void a_server_that_stops_is_noticed_once(void **state)
{
    struct upstream_endpoint endpoints[3];
    char urls[2][256], error[256];
    struct upstream *upstream;
    int i;

    (void)state;
    bad_server_start(&other, NULL, NULL, NULL);
    for (i = 0; i < 3; ++i)
        endpoints[i] = watched_endpoint("gate");
    snprintf(urls[0], sizeof(urls[0]), "http://127.0.0.1:%d/nothing/services", other.port);
    snprintf(urls[1], sizeof(urls[1]), "http://127.0.0.1:%d/hang/services", other.port);
    endpoints[1].url = urls[0];
    endpoints[2].url = urls[1];
    assert_int_equal(upstream_start(&upstream, endpoints, 3, error, sizeof(error)), CG_OK);
    fill_pool(upstream);
    bad_server_stop(&server);
    wait_for_notice();
    expect(read_once(upstream), CG_E_REFUSED, 0);
    call_endpoint(upstream, 1, 0, CG_E_RESET);
    expect_quiet(upstream, 2);
    stop_and_count(&upstream, 1);
    assert_int_equal(seen.endpoint, 0);
    /* a connection that was never in the pool is nobody's concern */
    assert_int_equal(bad_server_read(&other, &other.connections), 2);
    bad_server_stop(&other);
}

static void through_tls_it_is_the_same(void **state)
{
    static char directory[] = "/tmp/cctgate-test-XXXXXX";
    struct upstream_endpoint endpoint;
    struct certificate ca, good;
    struct upstream *upstream;

    (void)state;
    assert_non_null(mkdtemp(directory));
    certificate_make(&ca, NULL, directory, "ca", NULL, 3600);
    certificate_make(&good, &ca, directory, "good", "IP:127.0.0.1", 3600);
    bad_server_start(&server, good.certificate_file, good.key_file, NULL);
    bad_server_set_reply(&server, 200, "text/xml", read_reply);
    endpoint = watched_endpoint("reply");
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/reply/services", server.port);
    endpoint.tls.ca_file = ca.certificate_file;
    upstream = start(&endpoint);
    expect(read_once(upstream), CG_OK, 1);
    bad_server_stop(&server);
    wait_for_notice();
    stop_and_count(&upstream, 1);
    certificate_release(&good);
    certificate_release(&ca);
    assert_int_equal(rmdir(directory), 0);
}

/* ---- servers of our own, which close what and when the test says ---- */

static int listen_on(struct sockaddr_in *address)
{
    socklen_t length = sizeof(*address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)address, length), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)address, &length), 0);
    return listener;
}

static void serve_one_call(int fd)
{
    char request[8192], header[128];
    size_t length = 0;

    do {
        ssize_t n = recv(fd, request + length, sizeof(request) - 1 - length, 0);
        assert_true(n > 0);
        length += (size_t)n;
        request[length] = '\0';
    } while (strstr(request, "</envelope>") == NULL);
    snprintf(header, sizeof(header),
             "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %zu\r\n\r\n",
             strlen(read_reply));
    assert_int_equal(send(fd, header, strlen(header), 0), strlen(header));
    assert_int_equal(send(fd, read_reply, strlen(read_reply), 0), strlen(read_reply));
}

/* The listening socket goes first, then one connection after the other. */
static void a_straggler_is_no_second_outage(void **state)
{
    struct upstream_endpoint endpoints[2] = {watched_endpoint("hang"), watched_endpoint("hang")};
    char own_url[256], error[256];
    struct sockaddr_in address;
    struct upstream *upstream;
    int listener = listen_on(&address), fds[2], i;

    (void)state;
    snprintf(own_url, sizeof(own_url), "http://127.0.0.1:%d/x", ntohs(address.sin_port));
    endpoints[0].url = own_url;
    assert_int_equal(upstream_start(&upstream, endpoints, 2, error, sizeof(error)), CG_OK);
    for (i = 0; i < 2; ++i)
        upstream_submit(upstream, call_new(&inbox, read_op));
    for (i = 0; i < 2; ++i)
        assert_true((fds[i] = accept(listener, NULL, NULL)) >= 0);
    for (i = 0; i < 2; ++i)
        serve_one_call(fds[i]);
    wait_for_outcomes(&inbox, 2);
    close(listener);
    close(fds[0]);
    wait_for_notice();
    close(fds[1]);
    expect_quiet(upstream, 1);
    stop_and_count(&upstream, 1);
}

/* ---- a server that does not answer a connect ---- */

struct full_server {
    int listener, fillers[FILLERS];
    struct sockaddr_in address;
};

/* From here on the system drops what wants to connect. */
static void fill(struct full_server *full)
{
    int i;

    assert_int_equal(listen(full->listener, 0), 0);
    for (i = 0; i < FILLERS; ++i) {
        full->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(full->fillers[i], (struct sockaddr *)&full->address, sizeof(full->address)))
            assert_int_equal(errno, EINPROGRESS);
    }
}

/* A transport with a connection in its pool to a server that takes no other: its end is returned. */
static int start_full(struct full_server *full, unsigned connect_timeout_ms,
                      struct upstream **upstream)
{
    struct upstream_endpoint endpoint = watched_endpoint("reply");
    int fd;

    full->listener = listen_on(&full->address);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/x", ntohs(full->address.sin_port));
    endpoint.connect_timeout_ms = connect_timeout_ms;
    *upstream = start(&endpoint);
    upstream_submit(*upstream, call_new(&inbox, read_op));
    assert_true((fd = accept(full->listener, NULL, NULL)) >= 0);
    serve_one_call(fd);
    wait_for_outcomes(&inbox, 1);
    expect(inbox.calls[0], CG_OK, 1);
    fill(full);
    return fd;
}

static void close_full(struct full_server *full)
{
    int i;

    for (i = 0; i < FILLERS; ++i)
        close(full->fillers[i]);
    close(full->listener);
}

/* How many connections to the server have been asked for and not been answered. */
static int connecting(const struct full_server *full)
{
    FILE *file = fopen("/proc/self/net/tcp", "re");
    char line[512], wanted[64];
    int count = 0;

    assert_non_null(file);
    snprintf(wanted, sizeof(wanted), ":%04X 02 ", ntohs(full->address.sin_port));
    while (fgets(line, sizeof(line), file) != NULL)
        count += strstr(line, wanted) != NULL;
    fclose(file);
    return count;
}

static void silence_is_noticed_too(void **state)
{
    struct full_server full;
    struct upstream *upstream;
    int fd = start_full(&full, 150, &upstream);

    (void)state;
    assert_int_equal(seen.count, 0);
    close(fd);
    wait_for_notice();
    stop_and_count(&upstream, 1);
    close_full(&full);
}

static void stop_ends_a_probe_in_flight(void **state)
{
    struct full_server full;
    struct upstream *upstream;
    int fd = start_full(&full, 60000, &upstream), before = connecting(&full);
    int64_t until_ms = now_ms() + WAIT_MS, began_ms;

    (void)state;
    close(fd);
    while (connecting(&full) == before && now_ms() < until_ms)
        poll(NULL, 0, 5);
    assert_int_equal(connecting(&full), before + 1);
    began_ms = now_ms();
    stop_and_count(&upstream, 0);
    assert_true(now_ms() - began_ms < WAIT_MS);
    assert_int_equal(connecting(&full), before);
    close_full(&full);
}

/* ---- for tests that stop the server themselves, or bring their own ---- */

static int set_up_inbox(void **state)
{
    (void)state;
    inbox_init(&inbox);
    return 0;
}

static int tear_down_inbox(void **state)
{
    (void)state;
    inbox_release(&inbox);
    return 0;
}

#define WITH_INBOX(test) cmocka_unit_test_setup_teardown(test, set_up_inbox, tear_down_inbox)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(closing_what_is_idle_is_no_news),
        cmocka_unit_test_setup_teardown(a_server_that_stops_is_noticed_once, set_up,
                                        tear_down_inbox),
        WITH_INBOX(through_tls_it_is_the_same),
        WITH_SERVER(a_straggler_is_no_second_outage),
        WITH_INBOX(silence_is_noticed_too),
        WITH_INBOX(stop_ends_a_probe_in_flight),
    };

    return cmocka_run_group_tests_name("upstream transport watch", tests, set_up_all,
                                       tear_down_all);
}
