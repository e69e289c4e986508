/*
 * Life of a connection: READING (idle or in the middle of a request) → PENDING (the request was handed over; a delay or
 * a hang also sits here) → WRITING, DRIPPING or ENDLESS → READING again or closed. A closed connection leaves the loop
 * at once and gives its memory back at the end of the turn.
 */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_parse.h"
#include "loop.h"

enum { READ_BYTES = 64 * 1024, ACCEPTS_PER_TURN = 64 };

enum conn_state { READING, PENDING, WRITING, DRIPPING, ENDLESS, CLOSED };

struct http_conn {
    struct loop_io io; /* first: callbacks cast back */
    struct loop_timer timer;
    struct http_server *server;
    enum conn_state state;
    struct buf in;
    struct buf out;
    size_t written;
    struct http_head head;
    bool have_head;
    struct buf body;
    bool close_after;
    bool processing;
    bool in_flight;
    enum http_manner manner;
    const char *filler;
    uint64_t endless_bytes;
    TAILQ_ENTRY(http_conn) link;
};
TAILQ_HEAD(conn_list, http_conn);

struct http_server {
    struct loop_io io;
    struct http_handlers handlers;
    int port;
    bool refusing;
    struct http_counts counts;
    struct conn_list conns;
    struct loop_timer accept_pause;
};

static struct conn_list graveyard = TAILQ_HEAD_INITIALIZER(graveyard);

static void conn_process(struct http_conn *conn);

static void conn_free(struct http_conn *conn)
{
    buf_free(&conn->in);
    buf_free(&conn->out);
    buf_free(&conn->body);
    http_head_free(&conn->head);
    free(conn);
}

static void bury(void)
{
    struct http_conn *conn;
    while ((conn = TAILQ_FIRST(&graveyard)) != NULL) {
        TAILQ_REMOVE(&graveyard, conn, link);
        conn_free(conn);
    }
}

static void flight_end(struct http_conn *conn)
{
    if (conn->in_flight)
        conn->server->counts.in_flight--;
    conn->in_flight = false;
}

static void conn_close(struct http_conn *conn)
{
    if (conn->state == CLOSED)
        return;
    flight_end(conn);
    conn->state = CLOSED;
    loop_timer_clear(&conn->timer);
    loop_remove(&conn->io);
    close(conn->io.fd);
    conn->io.fd = -1;
    conn->server->counts.open--;
    TAILQ_REMOVE(&conn->server->conns, conn, link);
    TAILQ_INSERT_TAIL(&graveyard, conn, link);
}

static void reply_done(struct http_conn *conn)
{
    flight_end(conn);
    conn->out.len = 0;
    conn->written = 0;
    if (conn->close_after || conn->server->refusing) {
        conn_close(conn);
        return;
    }
    conn->state = READING;
    if (!conn->processing) {
        loop_change(&conn->io, EPOLLIN | EPOLLRDHUP);
        conn_process(conn);
    }
}

/* Adds one chunk of filler, or the end of the body. */
static void refill(struct http_conn *conn)
{
    conn->out.len = 0;
    conn->written = 0;
    struct buf block = {0};
    while (block.len < 32 * 1024)
        buf_str(&block, conn->filler);
    buf_printf(&conn->out, "%zx\r\n", block.len);
    buf_add(&conn->out, block.data, block.len);
    buf_str(&conn->out, "\r\n");
    conn->endless_bytes += block.len;
    buf_free(&block);
}

static void flush(struct http_conn *conn)
{
    while (conn->state == WRITING || conn->state == ENDLESS) {
        if (conn->written == conn->out.len) {
            if (conn->state == WRITING) {
                reply_done(conn);
                return;
            }
            if (conn->endless_bytes >= HTTP_ENDLESS_BYTES) {
                conn_close(conn);
                return;
            }
            refill(conn);
        }
        ssize_t n = send(conn->io.fd, conn->out.data + conn->written, conn->out.len - conn->written,
                         MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            loop_change(&conn->io, EPOLLOUT | EPOLLRDHUP);
            return;
        }
        if (n < 0) {
            conn_close(conn);
            return;
        }
        conn->written += (size_t)n;
    }
}

static void drip(struct http_conn *conn)
{
    if (conn->written < conn->out.len) {
        ssize_t n = send(conn->io.fd, conn->out.data + conn->written, 1, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            conn_close(conn);
            return;
        }
        conn->written += n > 0 ? 1 : 0;
    }
    if (conn->written == conn->out.len)
        reply_done(conn);
    else
        loop_timer_set(&conn->timer, HTTP_DRIP_MS);
}

static void start_reply(struct http_conn *conn)
{
    if (conn->manner == HTTP_DRIP) {
        conn->state = DRIPPING;
        drip(conn);
        return;
    }
    conn->state = conn->manner == HTTP_ENDLESS ? ENDLESS : WRITING;
    flush(conn);
}

static void on_timer(struct loop_timer *timer)
{
    struct http_conn *conn =
        (struct http_conn *)((char *)timer - offsetof(struct http_conn, timer));
    if (conn->state == DRIPPING)
        drip(conn);
    else
        start_reply(conn);
}

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    default:
        return "Internal Server Error";
    }
}

void http_reply(struct http_conn *conn, const struct http_reply *reply)
{
    conn->manner = reply->manner;
    conn->filler = reply->filler;
    conn->endless_bytes = 0;
    if (reply->manner == HTTP_TRUNCATED || reply->manner == HTTP_ENDLESS || conn->server->refusing)
        conn->close_after = true;
    struct buf *out = &conn->out;
    out->len = 0;
    conn->written = 0;
    buf_printf(out, "HTTP/1.1 %d %s\r\nServer: cctsim\r\n", reply->status,
               reason_of(reply->status));
    if (reply->content_type != NULL)
        buf_printf(out, "Content-Type: %s\r\n", reply->content_type);
    size_t len = reply->body != NULL ? reply->body->len : 0;
    if (reply->manner == HTTP_ENDLESS)
        buf_printf(out, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", len);
    else
        buf_printf(out, "Content-Length: %zu\r\n%s\r\n", len,
                   conn->close_after ? "Connection: close\r\n" : "");
    if (len > 0)
        buf_add(out, reply->body->data, reply->manner == HTTP_TRUNCATED ? len / 2 : len);
    if (reply->manner == HTTP_ENDLESS)
        buf_str(out, "\r\n");
    if (reply->body != NULL)
        buf_free(reply->body);
    if (reply->delay_ms > 0)
        loop_timer_set(&conn->timer, reply->delay_ms);
    else
        start_reply(conn);
}

void http_hang(struct http_conn *conn)
{
    conn->close_after = true; /* stays PENDING */
}

void http_reset(struct http_conn *conn)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(conn->io.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    conn_close(conn);
}

static void refuse_request(struct http_conn *conn, const char *why)
{
    if (conn->server->handlers.on_malformed != NULL)
        conn->server->handlers.on_malformed(why);
    struct buf body = {0};
    buf_printf(&body, "%s\n", why);
    conn->close_after = true;
    conn->state = PENDING;
    http_reply(conn,
               &(struct http_reply){.status = 400, .content_type = "text/plain", .body = &body});
}

static void hand_over(struct http_conn *conn)
{
    struct http_counts *counts = &conn->server->counts;
    conn->state = PENDING;
    conn->in_flight = true;
    conn->close_after = !conn->head.keep_alive;
    if (++counts->in_flight > counts->in_flight_max)
        counts->in_flight_max = counts->in_flight;
    conn->head.request.body = conn->body.data;
    conn->head.request.body_len = conn->body.len;
    conn->server->handlers.on_request(conn, &conn->head.request);
    http_head_free(&conn->head);
    conn->have_head = false;
}

/* Reads one request from what has arrived; false when more bytes are needed. */
static bool next_request(struct http_conn *conn)
{
    const char *why = NULL;
    if (!conn->have_head) {
        http_head_free(&conn->head);
        enum http_verdict verdict = http_parse_head(&conn->in, &conn->head, &why);
        if (verdict == HTTP_MORE)
            return false;
        if (verdict == HTTP_MALFORMED) {
            refuse_request(conn, why);
            return false;
        }
        conn->have_head = true;
        if (conn->head.expect_continue && conn->in.len == 0)
            (void)!send(conn->io.fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
    }
    enum http_verdict verdict = http_parse_body(&conn->in, &conn->head, &conn->body, &why);
    if (verdict == HTTP_MALFORMED)
        refuse_request(conn, why);
    if (verdict == HTTP_COMPLETE)
        hand_over(conn);
    return verdict == HTTP_COMPLETE;
}

static void conn_process(struct http_conn *conn)
{
    conn->processing = true;
    while (conn->state == READING && next_request(conn))
        continue;
    conn->processing = false;
    if (conn->state == PENDING || conn->state == DRIPPING)
        loop_change(&conn->io, EPOLLRDHUP);
}

static void on_readable(struct http_conn *conn)
{
    static char chunk[READ_BYTES];
    ssize_t n = recv(conn->io.fd, chunk, sizeof(chunk), 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        conn_close(conn);
        return;
    }
    buf_add(&conn->in, chunk, (size_t)n);
    conn_process(conn);
}

static void on_conn(struct loop_io *io, uint32_t events)
{
    struct http_conn *conn = (struct http_conn *)io;
    if (conn->state == READING && (events & EPOLLIN))
        on_readable(conn);
    else if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        conn_close(conn);
    else if (events & EPOLLOUT)
        flush(conn);
}

static void add_conn(struct http_server *server, int fd)
{
    struct http_conn *conn = mem_new(1, sizeof(*conn));
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn->io = (struct loop_io){.fd = fd, .on_ready = on_conn};
    conn->timer.on_timer = on_timer;
    conn->server = server;
    TAILQ_INSERT_TAIL(&server->conns, conn, link);
    server->counts.accepted++;
    server->counts.open++;
    loop_add(&conn->io, EPOLLIN | EPOLLRDHUP);
}

static void on_accept(struct loop_io *io, uint32_t events)
{
    struct http_server *server = (struct http_server *)io;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            add_conn(server, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE) { /* wait for descriptors instead of spinning */
            loop_change(io, 0);
            loop_timer_set(&server->accept_pause, 100);
        }
        return;
    }
}

static void accept_again(struct loop_timer *timer)
{
    struct http_server *server =
        (struct http_server *)((char *)timer - offsetof(struct http_server, accept_pause));
    if (server->io.fd >= 0)
        loop_change(&server->io, EPOLLIN);
}

static int open_listener(int port, int *got)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof(sa);
    int on = 1;
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || listen(fd, 4096) != 0) {
        perror("cctsim: listen");
        close(fd);
        return -1;
    }
    getsockname(fd, (struct sockaddr *)&sa, &len);
    *got = ntohs(sa.sin_port);
    return fd;
}

struct http_server *http_listen(int port, const struct http_handlers *handlers)
{
    static bool hooked;
    struct http_server *server = mem_new(1, sizeof(*server));
    server->handlers = *handlers;
    TAILQ_INIT(&server->conns);
    server->accept_pause.on_timer = accept_again;
    server->io = (struct loop_io){.fd = open_listener(port, &server->port), .on_ready = on_accept};
    if (server->io.fd < 0) {
        free(server);
        return NULL;
    }
    loop_add(&server->io, EPOLLIN);
    if (!hooked)
        loop_on_turn_end(bury);
    hooked = true;
    return server;
}

int http_port(const struct http_server *server)
{
    return server->port;
}

const struct http_counts *http_counts(const struct http_server *server)
{
    return &server->counts;
}

void http_reset_counts(struct http_server *server)
{
    server->counts.accepted = 0;
    server->counts.in_flight_max = server->counts.in_flight;
}

static void close_listener(struct http_server *server)
{
    loop_timer_clear(&server->accept_pause);
    if (server->io.fd < 0)
        return;
    loop_remove(&server->io);
    close(server->io.fd);
    server->io.fd = -1;
}

void http_refuse(struct http_server *server, bool refuse)
{
    if (refuse == server->refusing)
        return;
    server->refusing = refuse;
    if (!refuse) {
        server->io.fd = open_listener(server->port, &server->port);
        if (server->io.fd >= 0)
            loop_add(&server->io, EPOLLIN);
        return;
    }
    close_listener(server);
    struct http_conn *next;
    for (struct http_conn *conn = TAILQ_FIRST(&server->conns); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, link);
        if (conn->state == READING)
            conn_close(conn);
    }
}

void http_free(struct http_server **server)
{
    if (*server == NULL)
        return;
    close_listener(*server);
    struct http_conn *conn;
    while ((conn = TAILQ_FIRST(&(*server)->conns)) != NULL)
        conn_close(conn);
    bury();
    free(*server);
    *server = NULL;
}
