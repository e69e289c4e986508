#include "poster.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "options.h"

#define ACTION "http://www.nortel.com/soa/oi/cct/notificationconsumer/service/Notify"

enum { ANSWER_BYTES_MAX = 256 * 1024, READ_BYTES = 4096 };

/* --- addresses --- */

/* A name is looked up once, when somebody subscribes; that may block, which a test program can bear. */
static void look_up(struct consumer_address *to, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0 || found == NULL)
        return;
    memcpy(&to->addr, found->ai_addr, found->ai_addrlen);
    to->addr_len = found->ai_addrlen;
    freeaddrinfo(found);
}

static void split_authority(struct consumer_address *to)
{
    const char *authority = to->authority;
    const char *bracket = *authority == '[' ? strchr(authority, ']') : NULL;
    const char *colon = strrchr(bracket != NULL ? bracket : authority, ':');
    size_t host_len = colon != NULL ? (size_t)(colon - authority) : strlen(authority);
    char *host = bracket != NULL ? mem_strndup(authority + 1, (size_t)(bracket - authority) - 1)
                                 : mem_strndup(authority, host_len);
    look_up(to, host, colon != NULL ? colon + 1 : "80");
    free(host);
}

bool consumer_address_init(struct consumer_address *to, const char *url)
{
    *to = (struct consumer_address){0};
    if (strncasecmp(url, "http://", 7) != 0)
        return false;
    const char *authority = url + 7;
    size_t len = strcspn(authority, "/?#");
    if (len == 0 || strpbrk(url, " \r\n\t") != NULL)
        return false;
    to->authority = mem_strndup(authority, len);
    const char *rest = authority + len;
    to->path = mem_printf("%s%s", *rest == '/' ? "" : "/", rest);
    split_authority(to);
    return true;
}

void consumer_address_release(struct consumer_address *to)
{
    free(to->authority);
    free(to->path);
    *to = (struct consumer_address){0};
}

/* --- the connection --- */

static void hang_up(struct poster *p)
{
    loop_timer_clear(&p->timeout);
    if (p->io.fd >= 0) {
        loop_remove(&p->io);
        close(p->io.fd);
    }
    p->io.fd = -1;
    p->state = POSTER_CLOSED;
    p->in.len = 0;
}

static void finish(struct poster *p, bool delivered, bool keep)
{
    loop_timer_clear(&p->timeout);
    p->in.len = 0;
    if (keep) {
        p->state = POSTER_IDLE;
        loop_change(&p->io, EPOLLIN | EPOLLRDHUP);
    } else {
        hang_up(p);
    }
    p->on_done(p, delivered);
}

static void on_timeout(struct loop_timer *timer)
{
    struct poster *p = (struct poster *)((char *)timer - offsetof(struct poster, timeout));
    finish(p, false, false);
}

/* The value of a header of the head that ends at `end`; NULL when it has none. */
static const char *header(const char *head, const char *end, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL && line < end;
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':')
            return line + 3 + len + strspn(line + 3 + len, " \t");
    }
    return NULL;
}

/* The status of the answer that `in` starts with, 0 when there is none; interim answers are taken off. */
static long final_status(struct buf *in, const char **end)
{
    for (;;) {
        *end = in->len > 12 ? strstr(in->data, "\r\n\r\n") : NULL;
        if (*end == NULL)
            return 0;
        long status = strncmp(in->data, "HTTP/1.", 7) == 0 ? strtol(in->data + 9, NULL, 10) : 999;
        if (status < 100 || status > 199)
            return status;
        buf_consume(in, (size_t)(*end - in->data) + 4);
    }
}

/* Looks at what has come; an answer whose end cannot be told by a length ends the connection. */
static void read_answer(struct poster *p)
{
    const char *end;
    long status = final_status(&p->in, &end);
    if (end == NULL)
        return;
    size_t head = (size_t)(end - p->in.data) + 4;
    const char *length = header(p->in.data, end, "Content-Length");
    const char *connection = header(p->in.data, end, "Connection");
    bool keep = p->in.data[7] == '1' && (length != NULL || status == 204) &&
                (connection == NULL || strncasecmp(connection, "close", 5) != 0);
    size_t body = length != NULL ? strtoul(length, NULL, 10) : 0;
    if (keep && body > p->in.len - head && body < ANSWER_BYTES_MAX)
        return;
    finish(p, status >= 200 && status < 300, keep && p->in.len == head + body);
}

static void on_readable(struct poster *p)
{
    char chunk[READ_BYTES];
    ssize_t n = recv(p->io.fd, chunk, sizeof(chunk), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (p->state == POSTER_IDLE) { /* the consumer closed it, or speaks without being asked */
        hang_up(p);
        return;
    }
    if (n <= 0 || p->in.len + (size_t)n > ANSWER_BYTES_MAX) {
        finish(p, false, false);
        return;
    }
    buf_add(&p->in, chunk, (size_t)n);
    read_answer(p);
}

static void on_writable(struct poster *p)
{
    p->state = POSTER_WRITING;
    while (p->written < p->out.len) {
        ssize_t n = send(p->io.fd, p->out.data + p->written, p->out.len - p->written, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)) {
            loop_change(&p->io, EPOLLOUT | EPOLLIN);
            return;
        }
        if (n < 0) {
            finish(p, false, false);
            return;
        }
        p->written += (size_t)n;
    }
    p->state = POSTER_READING;
    loop_change(&p->io, EPOLLIN);
}

static void on_ready(struct loop_io *io, uint32_t events)
{
    struct poster *p = (struct poster *)io;
    if (p->state == POSTER_CONNECTING && (events & (EPOLLERR | EPOLLHUP)))
        finish(p, false, false);
    else if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) &&
             p->state != POSTER_CONNECTING)
        on_readable(p);
    else if (events & EPOLLOUT)
        on_writable(p);
}

static bool dial(struct poster *p)
{
    int on = 1;
    int fd = p->to->addr_len > 0
                 ? socket(p->to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
                 : -1;
    if (fd < 0)
        return false;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (const struct sockaddr *)&p->to->addr, p->to->addr_len) != 0 &&
        errno != EINPROGRESS) {
        close(fd);
        return false;
    }
    p->io.fd = fd;
    p->state = POSTER_CONNECTING;
    loop_add(&p->io, EPOLLOUT);
    return true;
}

void poster_init(struct poster *p, const struct consumer_address *to,
                 void (*on_done)(struct poster *poster, bool delivered))
{
    *p = (struct poster){.io = {.fd = -1, .on_ready = on_ready},
                         .timeout = {.on_timer = on_timeout},
                         .to = to,
                         .on_done = on_done};
}

void poster_send(struct poster *p, const struct buf *body)
{
    p->out.len = 0;
    p->written = 0;
    buf_printf(&p->out,
               "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: cctsim\r\n"
               "Content-Type: text/xml; charset=UTF-8\r\nSOAPAction: \"" ACTION "\"\r\n"
               "Content-Length: %zu\r\n\r\n",
               p->to->path, p->to->authority, body->len);
    buf_add(&p->out, body->data, body->len);
    if (p->state == POSTER_CLOSED && !dial(p)) {
        p->on_done(p, false);
        return;
    }
    loop_timer_set(&p->timeout, options.notify_timeout_ms);
    if (p->state == POSTER_IDLE)
        on_writable(p);
}

void poster_release(struct poster *p)
{
    hang_up(p);
    buf_free(&p->out);
    buf_free(&p->in);
}

bool poster_busy(const struct poster *p)
{
    return p->state != POSTER_CLOSED && p->state != POSTER_IDLE;
}
