#include "gateway/rest/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"
#include "cctgate/loop.h"
#include "gateway/rest/addresses.h"
#include "gateway/rest/head.h"
#include "gateway/rest/rest.h"

#define ACCEPTS_PER_TURN 32
#define CUTS_PER_TURN                                                                              \
    32 /* thousands may have come at once, and be late at once: others are served in between */
#define SWEEP_MS    500
#define SWEEP_ON_MS 1

/* What libh2o is doing with a connection. */
enum doing {
    DOING_NOTHING, /* it waits for a request */
    DOING_HEAD,
    DOING_BODY,
    DOING_WORK, /* the request is ours */
    DOING_WRITE,
    DOINGS
};

struct connection {
    struct connection *next, **link; /* in the order of their coming, the latest last */
    struct front *front;
    h2o_socket_t *sock;
    struct address *address;         /* NULL: not counted */
    struct certificate *certificate; /* NULL: the client showed none */
    struct turn_request arrival;
    int is_stream, is_cut;
    enum doing doing;
    int64_t since_ms;
    size_t written; /* at that time: another request has another number */
    size_t looked;  /* bytes in which the end of the head is not */
};

struct certificate {
    char sha256[2 * SHA256_DIGEST_LENGTH + 1];
    char *subject; /* RFC 2253 */
};

/* A connection that is over, but for what the client still sends. */
struct lingering {
    struct lingering *next, **link;
    struct front *front;
    h2o_socket_t *sock;
    int64_t until_ms;
    size_t bytes;
};

static struct connection *connection_of(const h2o_socket_t *sock)
{
    return sock->on_close.data;
}

/* ---- listening ---- */

static void on_accept(h2o_socket_t *listener, const char *err);

void connections_listen(struct front *front)
{
    size_t i;
    for (i = 0; i < front->fronts->num_listen; ++i)
        if (front->listeners[i] != NULL && !h2o_socket_is_reading(front->listeners[i]))
            h2o_socket_read_start(front->listeners[i], on_accept);
}

/* Until a connection has ended, or the next look. */
static void listen_no_more(struct front *front)
{
    size_t i;
    for (i = 0; i < front->fronts->num_listen; ++i)
        if (front->listeners[i] != NULL)
            h2o_socket_read_stop(front->listeners[i]);
}

static int has_room(const struct front *front)
{
    return front->open_connections < front->max_connections;
}

/* ---- certificates ---- */

static void certificate_free(struct certificate *certificate)
{
    if (certificate != NULL)
        free(certificate->subject);
    free(certificate);
}

static char *subject_of(X509 *x509)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text, *subject = NULL;
    long length;

    if (bio != NULL &&
        X509_NAME_print_ex(bio, X509_get_subject_name(x509), 0, XN_FLAG_RFC2253) >= 0 &&
        BIO_write(bio, "", 1) == 1 && (length = BIO_get_mem_data(bio, &text)) > 1)
        subject = strdup(text);
    BIO_free(bio);
    return subject;
}

static struct certificate *certificate_new(X509 *x509)
{
    struct certificate *certificate = calloc(1, sizeof(*certificate));
    unsigned char sha256[EVP_MAX_MD_SIZE];
    unsigned length = 0, i;

    if (certificate == NULL)
        abort();
    if (X509_digest(x509, EVP_sha256(), sha256, &length) == 1)
        for (i = 0; i < SHA256_DIGEST_LENGTH; ++i)
            snprintf(certificate->sha256 + 2 * i, 3, "%02x", sha256[i]);
    certificate->subject = subject_of(x509);
    return certificate;
}

void connection_certify(struct front *front, const void *sock, X509 *x509)
{
    struct connection *connection = front->connections;

    while (connection != NULL && connection->sock != sock)
        connection = connection->next;
    if (connection == NULL)
        return;
    certificate_free(connection->certificate);
    connection->certificate = certificate_new(x509);
}

int connection_has_certificate(const h2o_req_t *req, const char *name)
{
    const struct certificate *certificate =
        connection_of(req->conn->callbacks->get_socket(req->conn))->certificate;

    return certificate != NULL &&
           (strcasecmp(certificate->sha256, name) == 0 ||
            (certificate->subject != NULL && strcmp(certificate->subject, name) == 0));
}

/* ---- those that are open ---- */

static void on_close(void *data)
{
    struct connection *connection = data;
    struct front *front = connection->front;

    if ((*connection->link = connection->next) != NULL)
        connection->next->link = connection->link;
    else
        front->last_connection = connection->link;
    turn_drop(&connection->arrival);
    addresses_leave(front->fronts->addresses, connection->address);
    certificate_free(connection->certificate);
    free(connection);
    --front->open_connections;
    COUNT_DOWN(front, open_connections);
    if (!front->stopping && has_room(front))
        connections_listen(front);
}

/* 0: the client's address has as many as it may */
static int track(struct front *front, h2o_socket_t *sock)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL)
        abort();
    if (addresses_enter(front->fronts->addresses, h2o_socket_get_fd(sock), &connection->address) !=
        CG_OK) {
        free(connection);
        COUNT(front, connections_refused);
        return 0;
    }
    connection->front = front;
    connection->sock = sock;
    connection->since_ms = clock_monotonic_ms();
    connection->link = front->last_connection;
    *front->last_connection = connection;
    front->last_connection = &connection->next;
    sock->on_close.cb = on_close;
    sock->on_close.data = connection;
    ++front->open_connections;
    COUNT(front, connections);
    COUNT(front, open_connections);
    return 1;
}

/* libh2o finds the end of its input, and closes. */
static void cut(struct connection *connection)
{
    connection->is_cut = 1;
    shutdown(h2o_socket_get_fd(connection->sock), SHUT_RDWR);
}

void connection_is_stream(h2o_socket_t *sock)
{
    connection_of(sock)->is_stream = 1;
}

/* ---- when there is no room ---- */

/* Something has come that has not been read yet. */
static int has_news(const struct connection *connection)
{
    int length = 0;
    return ioctl(h2o_socket_get_fd(connection->sock), FIONREAD, &length) == 0 && length > 0;
}

/* No request of it has been answered, or is about to be: the first to go. */
static int is_fresh(const struct connection *connection)
{
    return connection->sock->bytes_written == 0 && h2o_socket_is_reading(connection->sock) &&
           !has_news(connection);
}

/* It waits for its next request: a client has to expect that it is closed. */
static int is_idle(const struct connection *connection)
{
    return h2o_socket_is_reading(connection->sock) && connection->sock->input->size == 0;
}

static unsigned evict(struct front *front, int (*may_go)(const struct connection *), unsigned count)
{
    struct connection *connection;
    unsigned evicted = 0;

    for (connection = front->connections; connection != NULL && evicted < count;
         connection = connection->next) {
        if (connection->is_stream || connection->is_cut || !may_go(connection))
            continue;
        cut(connection);
        ++evicted;
        COUNT(front, connections_evicted);
    }
    return evicted;
}

/* The oldest go, so that whoever comes and asks at once is served, however many come and say nothing. */
static void make_room(struct front *front)
{
    unsigned evicted = evict(front, is_fresh, CUTS_PER_TURN);
    if (evicted < CUTS_PER_TURN)
        evict(front, is_idle, CUTS_PER_TURN - evicted);
}

void connection_begin(struct front *front, h2o_accept_ctx_t *accept, h2o_socket_t *sock)
{
    if (track(front, sock))
        h2o_accept(accept, sock);
    else
        h2o_socket_close(sock);
}

static void on_accept(h2o_socket_t *listener, const char *err)
{
    h2o_accept_ctx_t *accept = listener->data;
    struct front *front = (struct front *)((char *)accept->ctx - offsetof(struct front, context));
    int i;

    if (err != NULL)
        return;
    if (!has_room(front)) { /* and somebody waits, or this would not be called */
        make_room(front);
        listen_no_more(front);
    }
    for (i = 0; i < ACCEPTS_PER_TURN && has_room(front); ++i) {
        h2o_socket_t *sock;
        errno = 0;
        if ((sock = h2o_evloop_socket_accept(listener)) == NULL) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                make_room(front); /* and the listener would be ready again at once */
                listen_no_more(front);
            }
            return;
        }
        connection_begin(front, accept, sock);
    }
}

/* ---- how long it takes ---- */

static enum doing find_out(struct connection *connection)
{
    static const char end[] = "\r\n\r\n";
    const h2o_buffer_t *input = connection->sock->input;
    size_t from = connection->looked;

    if (h2o_socket_is_writing(connection->sock))
        return DOING_WRITE;
    if (!h2o_socket_is_reading(connection->sock))
        return DOING_WORK;
    if (input->size == 0)
        return connection->sock->bytes_written == 0 ? DOING_HEAD : DOING_NOTHING;
    if (connection->doing == DOING_BODY)
        return DOING_BODY;
    if (connection->doing != DOING_HEAD || from > input->size)
        from = 0;
    connection->looked = input->size >= 3 ? input->size - 3 : 0;
    return memmem(input->bytes + from, input->size - from, end, 4) != NULL ? DOING_BODY
                                                                           : DOING_HEAD;
}

static unsigned limit_ms(const struct front *front, enum doing doing)
{
    const struct fronts *fronts = front->fronts;
    switch (doing) {
    case DOING_NOTHING:
        return fronts->idle_timeout_ms;
    case DOING_HEAD:
        return fronts->head_timeout_ms;
    case DOING_BODY:
    case DOING_WRITE:
        return fronts->request_timeout_ms;
    default:
        return UINT32_MAX; /* what we do ends by itself */
    }
}

/* libh2o has no answer for it, and what it waits for would never come: so it is written past it. */
static void answer_timeout(const struct connection *connection)
{
    json_t *json = problem_json(PROBLEM_REQUEST_TIMEOUT, NULL);
    char *body = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL, answer[512];
    int length;

    if (body != NULL) {
        length =
            snprintf(answer, sizeof(answer),
                     "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: %zu\r\n"
                     "content-type: application/problem+json\r\ncache-control: no-store\r\n\r\n%s",
                     strlen(body), body);
        if (length > 0 && (size_t)length < sizeof(answer))
            (void)!send(h2o_socket_get_fd(connection->sock), answer, (size_t)length,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    free(body);
    json_decref(json);
}

static void time_out(struct connection *connection)
{
    COUNT(connection->front, connections_timed_out);
    if (connection->sock->ssl == NULL && connection->sock->input->size > 0 &&
        (connection->doing == DOING_HEAD || connection->doing == DOING_BODY)) {
        COUNT(connection->front, problems[4]);
        answer_timeout(connection);
    }
    cut(connection);
}

/* Whether it was too slow. */
static int look_at(struct connection *connection, int64_t now_ms)
{
    enum doing doing = find_out(connection);

    if (doing != connection->doing || connection->sock->bytes_written != connection->written) {
        connection->doing = doing;
        connection->written = connection->sock->bytes_written;
        connection->since_ms = now_ms;
        if (doing != DOING_HEAD)
            connection->looked = 0;
    } else if (now_ms - connection->since_ms >= (int64_t)limit_ms(connection->front, doing)) {
        time_out(connection);
    }
    return connection->is_cut;
}

/* 0: there are more than may be cut at once. Those that are cut have gone when the others are looked at. */
static int look_at_all(const struct front *front, int64_t now_ms)
{
    struct connection *connection;
    unsigned cuts = 0;

    for (connection = front->connections; connection != NULL; connection = connection->next) {
        if (connection->is_stream || connection->is_cut)
            continue;
        cuts += look_at(connection, now_ms);
        if (cuts == CUTS_PER_TURN)
            return 0;
    }
    return 1;
}

/* ---- lingering ---- */

static void linger_no_more(struct lingering *lingering)
{
    if ((*lingering->link = lingering->next) != NULL)
        lingering->next->link = lingering->link;
    --lingering->front->num_lingering;
    h2o_socket_close(lingering->sock);
    free(lingering);
}

static void on_late(h2o_socket_t *sock, const char *err)
{
    struct lingering *lingering = sock->data;

    lingering->bytes += sock->input->size;
    h2o_buffer_consume(&sock->input, sock->input->size);
    if (err != NULL || lingering->bytes > CG_LINGER_BYTES_MAX)
        linger_no_more(lingering);
}

/* The request is over, its connection about to be closed: what is left of it is kept under another number. */
static void on_last_dispose(void *data)
{
    h2o_socket_t *sock = *(h2o_socket_t **)data;
    struct front *front = connection_of(sock)->front;
    struct lingering *lingering;
    int fd;

    if (front->stopping || front->num_lingering >= CG_LINGERING_MAX ||
        (fd = dup(h2o_socket_get_fd(sock))) < 0)
        return;
    shutdown(fd, SHUT_WR);
    if ((lingering = calloc(1, sizeof(*lingering))) == NULL)
        abort();
    lingering->front = front;
    lingering->until_ms = clock_monotonic_ms() + CG_LINGER_MS;
    if ((lingering->next = front->lingering) != NULL)
        lingering->next->link = &lingering->next;
    lingering->link = &front->lingering;
    front->lingering = lingering;
    ++front->num_lingering;
    lingering->sock = h2o_evloop_socket_create(front->loop, fd, 0);
    lingering->sock->data = lingering;
    h2o_socket_read_start(lingering->sock, on_late);
}

static h2o_socket_t *socket_of(const h2o_req_t *req)
{
    return req->conn->callbacks->get_socket(req->conn);
}

void connection_linger(h2o_req_t *req)
{
    h2o_socket_t *sock = socket_of(req);

    if (sock->ssl == NULL)
        *(h2o_socket_t **)h2o_mem_alloc_shared(&req->pool, sizeof(sock), on_last_dispose) = sock;
}

struct turn_request *connection_turn_request(const h2o_req_t *req)
{
    return &connection_of(socket_of(req))->arrival;
}

/* A client that has sent a thousand requests at once would be answered them one behind the other, and everybody else would wait. */
void connection_check_pipeline(h2o_req_t *req)
{
    const h2o_buffer_t *input = socket_of(req)->input;
    size_t own = req->entity.base != NULL
                     ? (size_t)(req->entity.base + req->entity.len - input->bytes)
                     : head_last_bytes();

    if (input->size > own && input->size - own > CG_PIPELINE_BYTES_MAX)
        req->http1_is_persistent = 0;
}

/* ---- life ---- */

static void on_sweep(h2o_timeout_entry_t *entry)
{
    struct front *front = (struct front *)((char *)entry - offsetof(struct front, sweep_entry));
    struct lingering *lingering, *next;
    int64_t now_ms = clock_monotonic_ms();

    h2o_timeout_link(front->loop, look_at_all(front, now_ms) ? &front->sweep : &front->sweep_on,
                     entry);
    for (lingering = front->lingering; lingering != NULL; lingering = next) {
        next = lingering->next;
        if (now_ms >= lingering->until_ms)
            linger_no_more(lingering);
    }
    if (!front->stopping) /* descriptors may be there again, or somebody may go who was busy */
        connections_listen(front);
}

void connections_init(struct front *front)
{
    front->last_connection = &front->connections;
    h2o_timeout_init(front->loop, &front->sweep, SWEEP_MS);
    h2o_timeout_init(front->loop, &front->sweep_on, SWEEP_ON_MS);
    front->sweep_entry.cb = on_sweep;
    h2o_timeout_link(front->loop, &front->sweep, &front->sweep_entry);
}

void connections_release(struct front *front)
{
    h2o_timeout_unlink(&front->sweep_entry);
    h2o_timeout_dispose(front->loop, &front->sweep);
    h2o_timeout_dispose(front->loop, &front->sweep_on);
}

void connections_shut_down(struct front *front)
{
    struct connection *connection;

    while (front->lingering != NULL) /* here: libh2o's sockets end on the thread that began them */
        linger_no_more(front->lingering);
    for (connection = front->connections; connection != NULL; connection = connection->next)
        shutdown(h2o_socket_get_fd(connection->sock), SHUT_RDWR);
}
