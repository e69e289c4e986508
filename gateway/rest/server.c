/* The one file that knows libh2o's ways: contexts, listeners, TLS, threads, and how they end. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "cctgate/loop.h"
#include "cctgate/service_manager.h"
#include "cctgate/version.h"
#include "gateway/events/consumer_http.h"
#include "gateway/events/client.h"
#include "gateway/rest/addresses.h"
#include "gateway/rest/connection.h"
#include "gateway/rest/head.h"
#include "gateway/rest/timeouts.h"
#include "gateway/rest/rest.h"
#include "gateway/rest/tls.h"

#define LAST_WRITES_MS 200
#define TURN_MS                                                                                    \
    1000 /* the longest sleep: the library reads a clock twice to know how long it may, and that may step in between */
#define RECEIVE_BYTES   131072 /* libh2o reads a socket until it is empty: so that it gets empty */
#define WRITE_MS        20000  /* that a peer may take nothing of what is written to it */
#define LIBRARY_LATE_MS 5000   /* libh2o's own time-out is the last resort behind ours */

/* ---- listening sockets ---- */

static int parse_address(const struct config_listen *listen, struct sockaddr_storage *sa,
                         socklen_t *length)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;

    memset(sa, 0, sizeof(*sa));
    if (inet_pton(AF_INET, listen->address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)listen->port);
        *length = sizeof(*v4);
        return CG_OK;
    }
    if (inet_pton(AF_INET6, listen->address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)listen->port);
        *length = sizeof(*v6);
        return CG_OK;
    }
    return CG_E_INVALID;
}

static unsigned bound_port(int fd)
{
    struct sockaddr_storage sa;
    socklen_t length = sizeof(sa);
    if (getsockname(fd, (struct sockaddr *)&sa, &length) != 0)
        return 0;
    return ntohs(sa.ss_family == AF_INET ? ((struct sockaddr_in *)&sa)->sin_port
                                         : ((struct sockaddr_in6 *)&sa)->sin6_port);
}

/* Another thread's socket may be bound there already: the kernel spreads connections over them. They inherit the options. */
static int open_listener(const struct config_listen *listen_on, unsigned port, char *error,
                         size_t error_size)
{
    struct config_listen at = *listen_on;
    struct sockaddr_storage sa;
    socklen_t length;
    int fd, on = 1, receive = RECEIVE_BYTES, write_ms = WRITE_MS;

    at.port = port;
    if (parse_address(&at, &sa, &length) != CG_OK) {
        snprintf(error, error_size, "%s is not a numeric address", at.address);
        return -1;
    }
    if ((fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) >= 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof(receive)) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &write_ms, sizeof(write_ms)) == 0 &&
        bind(fd, (struct sockaddr *)&sa, length) == 0 && listen(fd, H2O_SOMAXCONN) == 0)
        return fd;
    snprintf(error, error_size, "cannot listen on %s port %u: %s", at.address, at.port,
             strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Another process on the same port would share it silently through SO_REUSEPORT: a socket without it finds out. */
static int port_is_free(const struct config_listen *listen_on, char *error, size_t error_size)
{
    struct sockaddr_storage sa;
    socklen_t length;
    int fd, on = 1, rc;

    if (listen_on->port == 0 || parse_address(listen_on, &sa, &length) != CG_OK)
        return 1;
    if ((fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
        return 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    rc = bind(fd, (struct sockaddr *)&sa, length);
    if (rc != 0)
        snprintf(error, error_size, "cannot listen on %s port %u: %s", listen_on->address,
                 listen_on->port, strerror(errno));
    close(fd);
    return rc == 0;
}

/* The socket that the service manager holds for that place, which outlives a restart; -1: it holds none. */
static int inherited(const struct config_listen *listen_on, const char *name)
{
    struct sockaddr_storage sa;
    socklen_t length;
    int on = 1, fd = -1;

    if (parse_address(listen_on, &sa, &length) == CG_OK)
        fd = manager_socket((struct sockaddr *)&sa, length, name);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static int bind_each(struct fronts *fronts, const struct config_listen *listen_on, size_t index,
                     char *error, size_t error_size)
{
    unsigned port = listen_on->port;
    size_t i;

    if (!port_is_free(listen_on, error, error_size))
        return CG_E_IO;
    for (i = 0; i < fronts->num_fronts; ++i) {
        int fd = open_listener(listen_on, port, error, error_size);
        if (fd < 0)
            return CG_E_IO;
        fronts->listen_fds[i * fronts->num_listen + index] = fd;
        port = bound_port(fd);
    }
    return CG_OK;
}

/* All fronts have the one socket: what one of them has not accepted when it ends, another does, or the next process. */
static int share(struct fronts *fronts, int fd, size_t index, char *error, size_t error_size)
{
    size_t i;

    fronts->listen_fds[index] = fd;
    for (i = 1; i < fronts->num_fronts; ++i)
        if ((fronts->listen_fds[i * fronts->num_listen + index] = fcntl(fd, F_DUPFD_CLOEXEC, 0)) <
            0) {
            snprintf(error, error_size, "cannot share a listening socket: %s", strerror(errno));
            return CG_E_IO;
        }
    return CG_OK;
}

static int bind_one(struct fronts *fronts, const struct config_listen *listen_on, size_t index,
                    char *error, size_t error_size)
{
    int rc, fd;

    if (listen_on->tls.certificate_file != NULL &&
        (fronts->ssl[index] = tls_new(&listen_on->tls, error, error_size)) == NULL)
        return CG_E_INVALID;
    fd = inherited(listen_on, "listen");
    rc = fd >= 0 ? share(fronts, fd, index, error, error_size)
                 : bind_each(fronts, listen_on, index, error, error_size);
    if (rc != CG_OK)
        return rc;
    log_write(LOG_LEVEL_INFO, "listening", "Listening", LOG_S("address", listen_on->address),
              LOG_I("port", bound_port(fronts->listen_fds[index])),
              LOG_B("tls", fronts->ssl[index] != NULL), LOG_B("inherited", fd >= 0));
    return CG_OK;
}

/* One socket, of the first front: what comes in there is handed to the owner in the order in which it came. */
static int bind_consumer(struct fronts *fronts, const struct config *config, char *error,
                         size_t error_size)
{
    struct config_listen at = {.address = config->consumer.address, .port = config->consumer.port};
    unsigned port;

    if (fronts->consumer == NULL)
        return CG_OK;
    if (config->consumer.tls.certificate_file != NULL &&
        (fronts->consumer_ssl = tls_new(&config->consumer.tls, error, error_size)) == NULL)
        return CG_E_INVALID;
    if ((fronts->consumer_fd = inherited(&at, "consumer")) < 0 &&
        (!port_is_free(&at, error, error_size) ||
         (fronts->consumer_fd = open_listener(&at, at.port, error, error_size)) < 0))
        return CG_E_IO;
    port = bound_port(fronts->consumer_fd);
    log_write(LOG_LEVEL_INFO, "listening", "Listening for events", LOG_S("address", at.address),
              LOG_I("port", port), LOG_B("tls", fronts->consumer_ssl != NULL),
              LOG_B("consumer", 1));
    return consumer_bound(fronts->consumer, port, error, error_size);
}

static int bind_all(struct fronts *fronts, const struct config *config, char *error,
                    size_t error_size)
{
    size_t i;
    int rc = CG_OK;
    for (i = 0; i < fronts->num_listen && rc == CG_OK; ++i)
        rc = bind_one(fronts, &config->listen[i], i, error, error_size);
    if (rc == CG_OK)
        rc = bind_consumer(fronts, config, error, error_size);
    manager_drop_sockets();
    return rc;
}

/* Descriptors are what connections cost: the cap leaves room for everything else. */
static unsigned connection_cap(unsigned wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        getrlimit(RLIMIT_NOFILE, &limit);
    if (wanted > limit.rlim_cur / 4 * 3) /* the rest is for calls upstream, files and the store */
        wanted = (unsigned)(limit.rlim_cur / 4 * 3);
    return wanted > CG_CONNECTIONS_MAX ? CG_CONNECTIONS_MAX : wanted;
}

static uint64_t longest_wait_ms(const struct fronts *fronts)
{
    uint64_t longest = fronts->idle_timeout_ms;
    if (longest < fronts->head_timeout_ms)
        longest = fronts->head_timeout_ms;
    return longest < fronts->request_timeout_ms ? fronts->request_timeout_ms : longest;
}

static void configure_h2o(struct fronts *fronts, const struct config *config)
{
    h2o_hostconf_t *host;
    h2o_pathconf_t *path;

    h2o_config_init(&fronts->h2o);
    fronts->h2o.server_name = (h2o_iovec_t){NULL, 0}; /* no Server field: RFC 9110 section 10.2.4 */
    fronts->h2o.max_request_entity_size = config->limits.max_body_bytes;
    fronts->h2o.http1.req_timeout = longest_wait_ms(fronts) + LIBRARY_LATE_MS;
    fronts->h2o.http1.upgrade_to_http2 = 0; /* closes `Upgrade: h2c` and the `PRI *` preface */
    host = h2o_config_register_host(&fronts->h2o, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    path = h2o_config_register_path(host, "/", 0);
    fronts->handler = h2o_create_handler(path, sizeof(*fronts->handler));
    fronts->handler->on_req = rest_on_request;
    if (config->log.access)
        access_log_register(path);
    problem_filter_register(path);
    problem_filter_register(&host->fallback_path);
}

int fronts_new(struct fronts **out, const struct fronts_settings *settings, char *error,
               size_t error_size)
{
    const struct config *config = settings->config;
    struct fronts *fronts = calloc(1, sizeof(*fronts));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t i;
    int rc;

    *out = NULL;
    if (fronts == NULL)
        return CG_E_NOMEM;
    if (head_take_over() != CG_OK) {
        snprintf(error, error_size, "libh2o does not use the program's parser of requests");
        free(fronts);
        return CG_E_INVALID;
    }
    if (timeouts_take_over() != CG_OK) {
        snprintf(error, error_size, "libh2o does not use the program's timers");
        free(fronts);
        return CG_E_INVALID;
    }
    routes_build();
    fronts->config = config_ref(settings->config);
    fronts->contract = settings->contract;
    fronts->store = settings->store;
    fronts->consumer = settings->consumer;
    fronts->consumer_fd = -1;
    fronts->num_fronts = config->threads != 0 ? config->threads : cores > 0 ? (size_t)cores : 1;
    fronts->num_listen = config->num_listen;
    fronts->max_connections = connection_cap(config->limits.max_connections);
    fronts->log_access = config->log.access;
    fronts->request_timeout_ms = config->limits.request_timeout_ms;
    fronts->head_timeout_ms = config->limits.head_timeout_ms;
    fronts->idle_timeout_ms = config->limits.idle_timeout_ms;
    fronts->addresses = addresses_new(config->limits.max_connections_per_address);
    fronts->started_at_ms = clock_monotonic_ms();
    fronts->front = calloc(fronts->num_fronts, sizeof(*fronts->front));
    fronts->listen_fds = malloc(fronts->num_fronts * fronts->num_listen * sizeof(int));
    fronts->ssl = calloc(fronts->num_listen + 1, sizeof(*fronts->ssl));
    fronts->doorman = doorman_new();
    fronts->rates = rates_new();
    if (fronts->front == NULL || fronts->listen_fds == NULL || fronts->ssl == NULL ||
        fronts->doorman == NULL)
        abort();
    for (i = 0; i < fronts->num_fronts * fronts->num_listen; ++i)
        fronts->listen_fds[i] = -1;
    configure_h2o(fronts, config);
    if ((rc = bind_all(fronts, config, error, error_size)) != CG_OK) {
        fronts_free(&fronts);
        return rc;
    }
    *out = fronts;
    return CG_OK;
}

/* ---- messages ---- */

static void wake(void *data)
{
    struct front *front = data;
    uint64_t one = 1;
    ssize_t written;
    do
        written = write(front->wake_fd, &one, sizeof(one));
    while (written < 0 && errno == EINTR);
}

static void on_wake(h2o_socket_t *sock, const char *err)
{
    struct front *front = sock->data;
    uint64_t count;
    if (err == NULL && read(front->wake_fd, &count, sizeof(count)) > 0)
        mailbox_deliver(&front->mailbox);
}

/* Who waits for all fronts to have a policy. */
struct policy_news {
    atomic_size_t fronts; /* that have not got it */
    struct message *told;
    struct mailbox *to;
};

struct policy_message {
    struct message message;
    struct front *front;
    struct policy *policy;
    struct policy_news *news; /* NULL: nobody waits */
};

/* What is delivered when the threads have gone has nobody left to be told. */
static void tell(const struct front *front, struct policy_news *news)
{
    if (news == NULL || atomic_fetch_sub(&news->fronts, 1) != 1)
        return;
    if (front->serving)
        mailbox_send(news->to, news->told);
    else
        free(news->told);
    free(news);
}

static void on_policy(struct message *message)
{
    struct policy_message *set = (struct policy_message *)message;
    policy_memo_forget(&set->front->memo);
    jwt_memo_renew(&set->front->jwt_memo, set->policy);
    policy_unref(&set->front->policy);
    set->front->policy = set->policy;
    hub_policy_changed(set->front->hub);
    tell(set->front, set->news);
    free(set);
}

static struct policy_news *news_new(const struct fronts *fronts, struct message *told,
                                    struct mailbox *to)
{
    struct policy_news *news;

    if (told == NULL)
        return NULL;
    if ((news = calloc(1, sizeof(*news))) == NULL)
        abort();
    atomic_init(&news->fronts, fronts->num_fronts);
    news->told = told;
    news->to = to;
    return news;
}

void fronts_set_policy(struct fronts *fronts, struct policy *policy, struct message *told,
                       struct mailbox *to)
{
    struct policy_news *news = news_new(fronts, told, to);
    size_t i;

    for (i = 0; i < fronts->num_fronts; ++i) {
        struct policy_message *set = calloc(1, sizeof(*set));
        if (set == NULL)
            abort();
        set->message.on_deliver = on_policy;
        set->front = &fronts->front[i];
        set->policy = policy_ref(policy);
        set->news = news;
        mailbox_send(&fronts->front[i].mailbox, &set->message);
    }
}

static void on_stop(struct message *message)
{
    struct policy_message *stop = (struct policy_message *)message;
    stop->front->stopping = 1;
    free(stop);
}

/* ---- the thread ---- */

static void close_listeners(struct front *front)
{
    size_t i;
    for (i = 0; i < front->fronts->num_listen; ++i) {
        if (front->listeners[i] != NULL)
            h2o_socket_close(front->listeners[i]);
        front->listeners[i] = NULL;
    }
}

/* Requests in progress end; then what was written leaves; then connections are told to go, and h2o closes them by itself. */
static void drain(struct front *front)
{
    int64_t deadline = clock_monotonic_ms() + front->grace_ms, last;

    close_listeners(front);
    if (front->consumer != NULL)
        consumer_listener_stop(front->consumer);
    /* answers say `Connection: close` from now on; h2o_context_request_shutdown would leave an HTTP/2 timer behind */
    front->context.shutdown_requested = 1;
    hub_stop(front->hub);
    h2o_evloop_run(front->loop, 0); /* what has arrived is in progress */
    while (front->in_progress > 0 && clock_monotonic_ms() < deadline)
        h2o_evloop_run(front->loop, 50);
    last = clock_monotonic_ms() + LAST_WRITES_MS;
    while (front->open_connections > 0 && clock_monotonic_ms() < last)
        h2o_evloop_run(front->loop, 20);
    connections_shut_down(front);
    if (front->consumer != NULL)
        consumer_listener_shut(front->consumer);
    last = clock_monotonic_ms() + 1000;
    while ((front->open_connections > 0 ||
            (front->consumer != NULL && consumer_listener_open(front->consumer) > 0)) &&
           clock_monotonic_ms() < last)
        h2o_evloop_run(front->loop, 20);
}

static void *front_main(void *data)
{
    struct front *front = data;
    pthread_setname_np(pthread_self(), "front");
    tls_serve(front);
    front->serving = 1;
    mailbox_deliver(&front->mailbox);
    connections_listen(front);
    if (front->consumer != NULL)
        consumer_listener_start(front->consumer);
    while (!front->stopping) {
        h2o_evloop_run(front->loop, TURN_MS);
        atomic_store_explicit(&front->last_turn_ms, clock_monotonic_ms(), memory_order_relaxed);
    }
    drain(front);
    front->stopped = 1;
    front->serving = 0;
    return NULL;
}

static void init_listeners(struct front *front, size_t number)
{
    struct fronts *fronts = front->fronts;
    size_t i;

    front->accept = calloc(fronts->num_listen + 1, sizeof(*front->accept));
    front->listeners = calloc(fronts->num_listen + 1, sizeof(*front->listeners));
    if (front->accept == NULL || front->listeners == NULL)
        abort();
    for (i = 0; i < fronts->num_listen; ++i) {
        int *fd = &fronts->listen_fds[number * fronts->num_listen + i];
        front->accept[i].ctx = &front->context;
        front->accept[i].hosts = fronts->h2o.hosts;
        tls_set(&front->accept[i].ssl_ctx, fronts->ssl[i]);
        front->listeners[i] = h2o_evloop_socket_create(front->loop, *fd, H2O_SOCKET_FLAG_DONT_READ);
        front->listeners[i]->data = &front->accept[i];
        *fd = -1;
    }
}

static int front_init(struct fronts *fronts, size_t number)
{
    struct front *front = &fronts->front[number];
    size_t share = fronts->max_connections / fronts->num_fronts;

    front->fronts = fronts;
    front->max_connections = share < 1 ? 1 : (unsigned)share;
    if ((front->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return CG_E_IO;
    mailbox_init(&front->mailbox, wake, front);
    front->loop = h2o_evloop_create();
    h2o_context_init(&front->context, front->loop, &fronts->h2o);
    h2o_context_set_handler_context(&front->context, fronts->handler, front);
    h2o_timeout_init(front->loop, &front->request_timeout, fronts->request_timeout_ms);
    turn_init(&front->turn);
    connections_init(front);
    front->wake = h2o_evloop_socket_create(front->loop, front->wake_fd, H2O_SOCKET_FLAG_DONT_READ);
    front->wake->data = front;
    h2o_socket_read_start(front->wake, on_wake);
    init_listeners(front, number);
    if (number == 0 && fronts->consumer_fd >= 0) {
        front->consumer = consumer_listener_new(fronts->consumer, front->loop, fronts->consumer_fd);
        if (front->consumer == NULL)
            return CG_E_NOMEM;
        consumer_listener_set_tls(front->consumer, fronts->consumer_ssl);
        fronts->consumer_fd = -1;
    }
    if (getrandom(&front->request_seed, sizeof(front->request_seed), 0) !=
        (ssize_t)sizeof(front->request_seed))
        front->request_seed = (uint64_t)clock_unix_ms();
    if ((front->hub = hub_new(front)) == NULL)
        return CG_E_NOMEM;
    return store_reader_new(&front->reader, fronts->store);
}

int fronts_prepare(struct fronts *fronts)
{
    size_t i;
    int rc = CG_OK;
    for (i = 0; i < fronts->num_fronts && rc == CG_OK; ++i)
        rc = front_init(fronts, i);
    return rc;
}

int fronts_run(struct fronts *fronts, struct owner *owner)
{
    size_t i;

    for (i = 0; i < fronts->num_fronts;
         ++i) /* the first may be asked for the health of all at once */
        atomic_store(&fronts->front[i].last_turn_ms, clock_monotonic_ms());
    for (i = 0; i < fronts->num_fronts; ++i) {
        struct front *front = &fronts->front[i];
        front->owner = owner;
        if (pthread_create(&front->thread, NULL, front_main, front) != 0)
            return CG_E_NOMEM;
        front->running = 1;
    }
    return CG_OK;
}

int64_t fronts_last_turn_ms(const struct fronts *fronts)
{
    int64_t oldest = INT64_MAX;
    size_t i;
    for (i = 0; i < fronts->num_fronts; ++i) {
        int64_t turn = atomic_load_explicit(&fronts->front[i].last_turn_ms, memory_order_relaxed);
        oldest = turn < oldest ? turn : oldest;
    }
    return oldest;
}

void fronts_stop(struct fronts *fronts, unsigned grace_ms)
{
    size_t i;
    for (i = 0; i < fronts->num_fronts; ++i) {
        struct policy_message *stop = calloc(1, sizeof(*stop));
        if (stop == NULL)
            abort();
        fronts->front[i].grace_ms = grace_ms;
        stop->message.on_deliver = on_stop;
        stop->front = &fronts->front[i];
        mailbox_send(&fronts->front[i].mailbox, &stop->message);
    }
    for (i = 0; i < fronts->num_fronts; ++i)
        if (fronts->front[i].running)
            pthread_join(fronts->front[i].thread, NULL);
}

static void front_release(struct front *front)
{
    size_t i;

    if (front->loop == NULL)
        return;
    close_listeners(front);
    while (mailbox_deliver(&front->mailbox) > 0)
        ;
    hub_release(&front->hub);
    free(front->asyncapi);
    h2o_socket_close(front->wake);
    connections_release(front);
    turn_release(&front->turn);
    h2o_timeout_dispose(front->loop, &front->request_timeout);
    h2o_context_dispose(&front->context);
    consumer_listener_free(&front->consumer);
    /* the loop is not destroyed: libh2o 2.2 frees it without its last closed sockets, which another turn still owns */
    h2o_evloop_run(front->loop, 0);
    mailbox_release(&front->mailbox);
    store_reader_free(&front->reader);
    policy_memo_forget(&front->memo);
    jwt_memo_forget(&front->jwt_memo);
    policy_unref(&front->policy);
    for (i = 0; front->accept != NULL && i < front->fronts->num_listen; ++i)
        SSL_CTX_free(front->accept[i].ssl_ctx);
    free(front->accept);
    free(front->listeners);
}

void fronts_free(struct fronts **in)
{
    struct fronts *fronts = *in;
    size_t i;

    if (fronts == NULL)
        return;
    *in = NULL;
    for (i = 0; i < fronts->num_fronts; ++i)
        front_release(&fronts->front[i]);
    for (i = 0; i < fronts->num_fronts * fronts->num_listen; ++i)
        if (fronts->listen_fds[i] >= 0)
            close(fronts->listen_fds[i]);
    if (fronts->consumer_fd >= 0)
        close(fronts->consumer_fd);
    for (i = 0; i < fronts->num_listen; ++i)
        SSL_CTX_free(fronts->ssl[i]);
    SSL_CTX_free(fronts->consumer_ssl);
    config_unref(&fronts->config);
    h2o_config_dispose(&fronts->h2o);
    doorman_free(&fronts->doorman);
    addresses_free(&fronts->addresses);
    rates_free(&fronts->rates);
    routes_release();
    free(fronts->listen_fds);
    free(fronts->ssl);
    free(fronts->front);
    free(fronts);
}
