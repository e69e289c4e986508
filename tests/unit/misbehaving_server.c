#include "tests/unit/misbehaving_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>

#define WAIT_S 20

enum after { KEEP, CLOSE, RESET };

/* ---- bytes ---- */

static ssize_t get(struct bad_connection *connection, char *buffer, size_t size)
{
    return connection->tls != NULL ? SSL_read(connection->tls, buffer, (int)size)
                                   : recv(connection->fd, buffer, size, 0);
}

static int put(struct bad_connection *connection, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = connection->tls != NULL ? SSL_write(connection->tls, bytes, (int)length)
                                            : send(connection->fd, bytes, length, MSG_NOSIGNAL);
        if (n <= 0)
            return 0;
        bytes += n;
        length -= (size_t)n;
    }
    return 1;
}

static int put_text(struct bad_connection *connection, const char *text)
{
    return put(connection, text, strlen(text));
}

static int get_more(struct bad_connection *connection)
{
    ssize_t n;

    if (connection->length + 1 >= BAD_SERVER_REQUEST_MAX)
        return 0;
    n = get(connection, connection->request + connection->length,
            BAD_SERVER_REQUEST_MAX - 1 - connection->length);
    if (n <= 0)
        return 0;
    connection->length += (size_t)n;
    connection->request[connection->length] = '\0';
    return 1;
}

static int get_header(struct bad_connection *connection)
{
    const char *end, *length;

    connection->length = 0;
    connection->request[0] = '\0';
    while ((end = strstr(connection->request, "\r\n\r\n")) == NULL)
        if (!get_more(connection))
            return 0;
    connection->header_length = (size_t)(end - connection->request) + 4;
    length = strcasestr(connection->request, "\r\nContent-Length:");
    connection->body_length = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return 1;
}

static int get_body(struct bad_connection *connection)
{
    while (connection->length < connection->header_length + connection->body_length)
        if (!get_more(connection))
            return 0;
    return 1;
}

/* ---- counters ---- */

static void add(struct bad_server *server, unsigned *counter)
{
    pthread_mutex_lock(&server->mutex);
    ++*counter;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

static void begin_work(struct bad_connection *connection)
{
    struct bad_server *server = connection->server;

    pthread_mutex_lock(&server->mutex);
    ++server->bodies;
    if (++server->concurrent > server->concurrent_max)
        server->concurrent_max = server->concurrent;
    snprintf(server->last_request, sizeof(server->last_request), "%s", connection->request);
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

static void end_work(struct bad_server *server)
{
    pthread_mutex_lock(&server->mutex);
    --server->concurrent;
    pthread_mutex_unlock(&server->mutex);
}

/* ---- parts ---- */

static enum after play_reply(struct bad_connection *connection)
{
    struct bad_server *server = connection->server;
    char header[512];
    const char *body;

    pthread_mutex_lock(&server->mutex);
    body = server->body;
    snprintf(header, sizeof(header), "HTTP/1.1 %d Whatever\r\n%s%s%sContent-Length: %zu\r\n\r\n",
             server->status, server->content_type != NULL ? "Content-Type: " : "",
             server->content_type != NULL ? server->content_type : "",
             server->content_type != NULL ? "\r\n" : "", strlen(body));
    pthread_mutex_unlock(&server->mutex);
    end_work(server); /* before the client can have the reply */
    return put_text(connection, header) && put_text(connection, body) ? KEEP : CLOSE;
}

static enum after play_gate(struct bad_connection *connection)
{
    struct bad_server *server = connection->server;

    pthread_mutex_lock(&server->mutex);
    while (!server->gate_open && !server->stopping)
        pthread_cond_wait(&server->changed, &server->mutex);
    pthread_mutex_unlock(&server->mutex);
    return play_reply(connection);
}

static enum after play_hang(struct bad_connection *connection)
{
    char byte;

    while (get(connection, &byte, 1) > 0)
        ;
    end_work(connection->server);
    return CLOSE;
}

static enum after play_text(struct bad_connection *connection, const char *text, enum after after)
{
    end_work(connection->server);
    put_text(connection, text);
    return after;
}

static enum after play_stream(struct bad_connection *connection, const char *head,
                              const char *piece)
{
    struct bad_server *server = connection->server;

    put_text(connection, head);
    while (put_text(connection, piece)) {
        pthread_mutex_lock(&server->mutex);
        server->streamed += strlen(piece);
        pthread_mutex_unlock(&server->mutex);
    }
    end_work(server);
    return CLOSE;
}

static enum after play_drip(struct bad_connection *connection)
{
    struct pollfd watched = {.fd = connection->fd, .events = POLLIN};

    put_text(connection,
             "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 1000000\r\n\r\n<a>");
    while (poll(&watched, 1, 10) == 0 && put(connection, " ", 1))
        ;
    end_work(connection->server);
    return CLOSE;
}

static enum after play_hang_announcing(struct bad_connection *connection)
{
    put_text(connection,
             "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 104857600\r\n\r\n");
    return play_hang(connection);
}

static enum after play_reset(struct bad_connection *connection)
{
    return play_text(connection, "", RESET);
}

static enum after play_nothing(struct bad_connection *connection)
{
    return play_text(connection, "", CLOSE);
}

static enum after play_truncate(struct bad_connection *connection)
{
    return play_text(
        connection,
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<half", CLOSE);
}

static enum after play_garbage(struct bad_connection *connection)
{
    return play_text(connection, "\x01\x02\x03 not HTTP \xff\xfe at all\r\n\r\n\r\n", CLOSE);
}

static enum after play_body_stream(struct bad_connection *connection)
{
    return play_stream(
        connection, "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n<a>",
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567");
}

static enum after play_header_stream(struct bad_connection *connection)
{
    return play_stream(connection, "HTTP/1.1 200 OK\r\n",
                       "X-More: 01234567890123456789012345678901234567890\r\n");
}

static enum after play_idle_close(struct bad_connection *connection)
{
    play_reply(connection);
    return CLOSE;
}

static enum after play_second_close(struct bad_connection *connection)
{
    return connection->requests == 1 ? play_reply(connection) : play_nothing(connection);
}

static enum after play_second_reset(struct bad_connection *connection)
{
    return connection->requests == 1 ? play_reply(connection) : play_reset(connection);
}

static const struct part {
    const char *name;
    enum after (*play)(struct bad_connection *connection);
    unsigned reset_at_header; /* of the nth request; 0: never */
} parts[] = {
    {"reply", play_reply, 0},
    {"gate", play_gate, 0},
    {"hang", play_hang, 0},
    {"reset", play_reset, 0},
    {"nothing", play_nothing, 0},
    {"early", play_reply, 1},
    {"truncate", play_truncate, 0},
    {"garbage", play_garbage, 0},
    {"announce", play_hang_announcing, 0},
    {"stream", play_body_stream, 0},
    {"headers", play_header_stream, 0},
    {"drip", play_drip, 0},
    {"idle-close", play_idle_close, 0},
    {"second-close", play_second_close, 0},
    {"second-reset", play_second_reset, 0},
    {"second-early", play_reply, 2},
};

static const struct part *find_part(const char *request)
{
    static const char start[] = "POST /";
    const char *name = request + strlen(start);
    size_t i, length;

    if (strncmp(request, start, strlen(start)) != 0)
        return NULL;
    length = strcspn(name, "/ ");
    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); ++i)
        if (strlen(parts[i].name) == length && strncmp(parts[i].name, name, length) == 0)
            return &parts[i];
    return NULL;
}

/* ---- connections ---- */

static enum after serve_one(struct bad_connection *connection)
{
    const struct part *part;

    if (!get_header(connection) || (part = find_part(connection->request)) == NULL)
        return CLOSE;
    ++connection->requests;
    add(connection->server, &connection->server->requests);
    if (part->reset_at_header == connection->requests)
        return RESET;
    if (!get_body(connection))
        return CLOSE;
    begin_work(connection);
    return part->play(connection);
}

/* Reads to the end, so that what we sent last is not destroyed by a reset. */
static void drain(int fd)
{
    char rest[4096];

    shutdown(fd, SHUT_WR);
    while (recv(fd, rest, sizeof(rest), 0) > 0)
        ;
}

static void close_connection(struct bad_connection *connection, int with_reset)
{
    struct bad_server *server = connection->server;
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    int fd;

    pthread_mutex_lock(&server->mutex);
    fd = connection->fd;
    connection->fd = -1;
    pthread_mutex_unlock(&server->mutex);
    if (with_reset)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
    SSL_free(connection->tls);
    connection->tls = NULL;
    add(server, &server->closed);
}

static int shake_hands(struct bad_connection *connection)
{
    struct bad_server *server = connection->server;

    if (server->tls == NULL)
        return 1;
    connection->tls = SSL_new(server->tls);
    SSL_set_fd(connection->tls, connection->fd);
    return SSL_accept(connection->tls) == 1;
}

static void *serve(void *data)
{
    struct bad_connection *connection = data;
    enum after after = KEEP;

    if (!shake_hands(connection)) {
        drain(connection->fd);
    } else {
        add(connection->server, &connection->server->connections);
        while (after == KEEP)
            after = serve_one(connection);
    }
    ERR_clear_error();
    close_connection(connection, after == RESET);
    free(connection->request);
    return NULL;
}

static void *accept_all(void *data)
{
    struct bad_server *server = data;
    int fd, one = 1;

    while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct bad_connection *connection;
        pthread_mutex_lock(&server->mutex);
        if (server->stopping || server->num_slots == BAD_SERVER_CONNECTIONS_MAX) {
            pthread_mutex_unlock(&server->mutex);
            close(fd);
            continue;
        }
        connection = &server->slots[server->num_slots++];
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        *connection = (struct bad_connection){.server = server, .fd = fd};
        connection->request = calloc(1, BAD_SERVER_REQUEST_MAX);
        if (connection->request == NULL ||
            pthread_create(&connection->thread, NULL, serve, connection) != 0)
            abort();
        pthread_mutex_unlock(&server->mutex);
    }
    return NULL;
}

static void listen_somewhere(struct bad_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);

    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->listener, 256), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
}

static void set_up_tls(struct bad_server *server, const char *certificate_file,
                       const char *key_file, const char *client_ca_file)
{
    assert_non_null(server->tls = SSL_CTX_new(TLS_server_method()));
    assert_int_equal(SSL_CTX_use_certificate_chain_file(server->tls, certificate_file), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(server->tls, key_file, SSL_FILETYPE_PEM), 1);
    if (client_ca_file == NULL)
        return;
    assert_int_equal(SSL_CTX_load_verify_file(server->tls, client_ca_file), 1);
    SSL_CTX_set_verify(server->tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    assert_int_equal(SSL_CTX_set_session_id_context(server->tls, (const unsigned char *)"test", 4),
                     1);
}

void bad_server_start(struct bad_server *server, const char *certificate_file, const char *key_file,
                      const char *client_ca_file)
{
    memset(server, 0, sizeof(*server));
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->changed, NULL);
    server->status = 200;
    server->body = "";
    signal(SIGPIPE, SIG_IGN); /* SSL_write to a client that has gone */
    listen_somewhere(server);
    if (certificate_file != NULL)
        set_up_tls(server, certificate_file, key_file, client_ca_file);
    assert_int_equal(pthread_create(&server->acceptor, NULL, accept_all, server), 0);
}

void bad_server_stop(struct bad_server *server)
{
    size_t i;

    pthread_mutex_lock(&server->mutex);
    server->stopping = 1;
    pthread_cond_broadcast(&server->changed);
    for (i = 0; i < server->num_slots; ++i)
        if (server->slots[i].fd >= 0)
            shutdown(server->slots[i].fd, SHUT_RDWR);
    pthread_mutex_unlock(&server->mutex);
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->acceptor, NULL);
    for (i = 0; i < server->num_slots; ++i)
        pthread_join(server->slots[i].thread, NULL);
    close(server->listener);
    SSL_CTX_free(server->tls);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->mutex);
}

void bad_server_set_reply(struct bad_server *server, int status, const char *content_type,
                          const char *body)
{
    pthread_mutex_lock(&server->mutex);
    server->status = status;
    server->content_type = content_type;
    server->body = body;
    pthread_mutex_unlock(&server->mutex);
}

void bad_server_open_gate(struct bad_server *server)
{
    pthread_mutex_lock(&server->mutex);
    server->gate_open = 1;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

void bad_server_wait(struct bad_server *server, const unsigned *counter, unsigned value)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&server->mutex);
    while (*counter < value && rc == 0)
        rc = pthread_cond_timedwait(&server->changed, &server->mutex, &until);
    pthread_mutex_unlock(&server->mutex);
    assert_int_equal(rc, 0);
}

unsigned bad_server_read(struct bad_server *server, const unsigned *counter)
{
    unsigned value;

    pthread_mutex_lock(&server->mutex);
    value = *counter;
    pthread_mutex_unlock(&server->mutex);
    return value;
}
