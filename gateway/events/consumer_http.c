/*
 * The consumer endpoint's HTTP. Its contexts are its own: nothing of the clients' API can be reached here, and the limits are
 * others. There are two: peers in allowed networks, and all others, who get one answer, few connections and small bodies.
 */
#include "gateway/events/consumer_http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "gateway/events/consumer_private.h"
#include "gateway/rest/head.h"

#define ACCEPTS_PER_TURN 32

enum side { SIDE_ALLOWED, SIDE_FOREIGN, SIDES };

struct peer {
    struct peer *next, **link;
    struct consumer_listener *listener;
    enum side side;
    int fd;
};

struct consumer_handler {
    h2o_handler_t super;
    struct consumer_listener *listener;
};

struct consumer_listener {
    struct consumer *consumer;
    h2o_socket_t *socket;
    struct {
        h2o_globalconf_t conf;
        h2o_context_t context;
        h2o_accept_ctx_t accept;
        size_t open;
    } sides[SIDES];
    struct peer *peers;
    int stopping;
};

/* ---- answers ---- */

static int answer(h2o_req_t *req, int status, const char *reason)
{
    req->res.status = status;
    req->res.reason = reason;
    req->res.content_length = 0; /* else libh2o ends the answer by closing the connection */
    h2o_send_inline(req, H2O_STRLIT(""));
    return 0;
}

static int not_found(h2o_req_t *req, struct consumer *consumer)
{
    CONSUMER_COUNT(consumer, unknown, 1);
    return answer(req, 404, "Not Found");
}

static int wrong_method(h2o_req_t *req, struct consumer *consumer, const char *allow)
{
    CONSUMER_COUNT(consumer, refused, 1);
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ALLOW, NULL, allow, strlen(allow));
    return answer(req, 405, "Method Not Allowed");
}

static int bad_head(h2o_req_t *req, struct consumer *consumer)
{
    CONSUMER_COUNT(consumer, refused, 1);
    return head_refusal_of(req) == HEAD_TOO_LARGE
               ? answer(req, 431, "Request Header Fields Too Large")
               : answer(req, 400, "Bad Request");
}

/* ---- documents ---- */

/* "wsdl", "wsdl=3", "xsd=3"; SIZE_MAX for anything else. */
static size_t document_index(const char *query, size_t length)
{
    static const char *const names[] = {"wsdl", "xsd"};
    size_t i, at, index = 0;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        size_t name = strlen(names[i]);
        if (length < name || strncasecmp(query, names[i], name) != 0)
            continue;
        if (length == name)
            return i == 0 ? 0 : SIZE_MAX;
        if (query[name] != '=' || length - name < 2 || length - name > 5)
            return SIZE_MAX;
        for (at = name + 1; at < length && query[at] >= '0' && query[at] <= '9'; ++at)
            index = index * 10 + (size_t)(query[at] - '0');
        return at == length ? index : SIZE_MAX;
    }
    return SIZE_MAX;
}

static int get_document(h2o_req_t *req, struct consumer *consumer, h2o_iovec_t query)
{
    const struct contract_document *document =
        consumer_document(consumer, document_index(query.base, query.len));

    if (document == NULL)
        return not_found(req, consumer);
    req->res.status = 200;
    req->res.reason = "OK";
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                   H2O_STRLIT("text/xml; charset=utf-8"));
    req->res.content_length = document->length;
    if (h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"))) {
        static h2o_generator_t nothing = {NULL, NULL};
        h2o_start_response(req, &nothing);
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    } else {
        h2o_send_inline(req, document->bytes, document->length);
    }
    return 0;
}

/* ---- Notify ---- */

static int is_xml(const h2o_req_t *req)
{
    static const char *const types[] = {"text/xml", "application/soap+xml", "application/xml"};
    ssize_t at = h2o_find_header(&req->headers, H2O_TOKEN_CONTENT_TYPE, -1);
    h2o_iovec_t value;
    size_t length = 0, i;

    if (at < 0)
        return 1;
    value = req->headers.entries[at].value;
    while (length < value.len && value.base[length] != ';' && value.base[length] != ' ')
        ++length;
    for (i = 0; i < sizeof(types) / sizeof(types[0]); ++i)
        if (h2o_lcstris(value.base, length, types[i], strlen(types[i])))
            return 1;
    return 0;
}

static int is_encoded(const h2o_req_t *req)
{
    ssize_t at = h2o_find_header(&req->headers, H2O_TOKEN_CONTENT_ENCODING, -1);
    return at >= 0 && !h2o_lcstris(req->headers.entries[at].value.base,
                                   req->headers.entries[at].value.len, H2O_STRLIT("identity"));
}

static int post_notify(h2o_req_t *req, struct consumer *consumer, const char *secret, size_t length)
{
    int rc;

    if (!is_xml(req) || is_encoded(req)) {
        CONSUMER_COUNT(consumer, refused, 1);
        return answer(req, 415, "Unsupported Media Type");
    }
    rc = consumer_take(consumer, secret, length, req->entity.base != NULL ? req->entity.base : "",
                       req->entity.len);
    if (rc == CG_E_NOTFOUND)
        return not_found(req, consumer);
    if (rc != CG_OK) {
        CONSUMER_COUNT(consumer, overflows, 1);
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, H2O_STRLIT("1"));
        return answer(req, 503, "Service Unavailable");
    }
    CONSUMER_COUNT(consumer, accepted, 1);
    CONSUMER_COUNT(consumer, bytes, req->entity.len);
    return answer(req, 202, "Accepted");
}

/* ---- requests ---- */

static int is_read(const h2o_req_t *req)
{
    return h2o_memis(req->method.base, req->method.len, H2O_STRLIT("GET")) ||
           h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
}

static int on_allowed(h2o_handler_t *self, h2o_req_t *req)
{
    struct consumer *consumer = ((struct consumer_handler *)self)->listener->consumer;
    size_t fixed = strlen(CONSUMER_PATH),
           path = req->query_at != SIZE_MAX ? req->query_at : req->path.len;
    h2o_iovec_t query = {NULL, 0};

    if (head_refusal_of(req) != HEAD_FINE)
        return bad_head(req, consumer);
    if (path < req->path.len)
        query = h2o_iovec_init(req->path.base + path + 1, req->path.len - path - 1);
    if (path < fixed || memcmp(req->path.base, CONSUMER_PATH, fixed) != 0 ||
        (path > fixed && req->path.base[fixed] != '/'))
        return not_found(req, consumer);
    if (path == fixed)
        return is_read(req) ? get_document(req, consumer, query)
                            : wrong_method(req, consumer, "GET, HEAD");
    if (!h2o_memis(req->method.base, req->method.len, H2O_STRLIT("POST")))
        return wrong_method(req, consumer, "POST");
    return post_notify(req, consumer, req->path.base + fixed + 1, path - fixed - 1);
}

static int on_foreign(h2o_handler_t *self, h2o_req_t *req)
{
    CONSUMER_COUNT(((struct consumer_handler *)self)->listener->consumer, foreign, 1);
    req->http1_is_persistent = 0;
    return answer(req, 403, "Forbidden");
}

/* ---- connections ---- */

static void on_closed(void *data)
{
    struct peer *peer = data;
    if ((*peer->link = peer->next) != NULL)
        peer->next->link = peer->link;
    --peer->listener->sides[peer->side].open;
    free(peer);
}

/* What is above the cap is closed at once: whoever posts comes again, and a listener that rests would keep the caller waiting. */
static int has_room(const struct consumer_listener *listener, enum side side)
{
    static const size_t caps[SIDES] = {CG_CONSUMER_CONNECTIONS_MAX, CG_CONSUMER_FOREIGN_MAX};
    return listener->sides[side].open < caps[side];
}

static enum side side_of(struct consumer_listener *listener, int fd)
{
    struct sockaddr_storage sa = {0};
    socklen_t length = sizeof(sa);
    return getpeername(fd, (struct sockaddr *)&sa, &length) == 0 &&
                   consumer_allows(listener->consumer, (struct sockaddr *)&sa)
               ? SIDE_ALLOWED
               : SIDE_FOREIGN;
}

static void take_connection(struct consumer_listener *listener, h2o_socket_t *sock)
{
    enum side side = side_of(listener, h2o_socket_get_fd(sock));
    struct peer *peer = has_room(listener, side) ? calloc(1, sizeof(*peer)) : NULL;

    if (peer == NULL) {
        if (side == SIDE_FOREIGN)
            CONSUMER_COUNT(listener->consumer, foreign, 1);
        else
            CONSUMER_COUNT(listener->consumer, overflows, 1);
        h2o_socket_close(sock);
        return;
    }
    peer->listener = listener;
    peer->side = side;
    peer->fd = h2o_socket_get_fd(sock);
    if ((peer->next = listener->peers) != NULL)
        peer->next->link = &peer->next;
    peer->link = &listener->peers;
    listener->peers = peer;
    ++listener->sides[side].open;
    sock->on_close.cb = on_closed;
    sock->on_close.data = peer;
    h2o_accept(&listener->sides[side].accept, sock);
}

static void on_connection(h2o_socket_t *socket, const char *err)
{
    struct consumer_listener *listener = socket->data;
    int i;

    for (i = 0; err == NULL && i < ACCEPTS_PER_TURN; ++i) {
        h2o_socket_t *sock = h2o_evloop_socket_accept(socket);
        if (sock == NULL)
            return;
        take_connection(listener, sock);
    }
}

/* ---- life ---- */

static void init_side(struct consumer_listener *listener, enum side side, h2o_loop_t *loop)
{
    h2o_globalconf_t *conf = &listener->sides[side].conf;
    struct consumer_handler *handler;
    h2o_hostconf_t *host;

    h2o_config_init(conf);
    conf->server_name = (h2o_iovec_t){NULL, 0};
    conf->max_request_entity_size =
        side == SIDE_ALLOWED ? CG_NOTIFY_BYTES_MAX : CG_CONSUMER_FOREIGN_BYTES;
    conf->http1.req_timeout = CG_CONSUMER_TIMEOUT_MS;
    conf->http1.upgrade_to_http2 = 0;
    host = h2o_config_register_host(conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    handler = (struct consumer_handler *)h2o_create_handler(h2o_config_register_path(host, "/", 0),
                                                            sizeof(*handler));
    handler->super.on_req = side == SIDE_ALLOWED ? on_allowed : on_foreign;
    handler->listener = listener;
    h2o_context_init(&listener->sides[side].context, loop, conf);
    listener->sides[side].accept.ctx = &listener->sides[side].context;
    listener->sides[side].accept.hosts = conf->hosts;
}

struct consumer_listener *consumer_listener_new(struct consumer *consumer, h2o_loop_t *loop, int fd)
{
    struct consumer_listener *listener = calloc(1, sizeof(*listener));

    if (listener == NULL)
        return NULL;
    listener->consumer = consumer;
    init_side(listener, SIDE_ALLOWED, loop);
    init_side(listener, SIDE_FOREIGN, loop);
    listener->socket = h2o_evloop_socket_create(loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    listener->socket->data = listener;
    return listener;
}

void consumer_listener_set_tls(struct consumer_listener *listener, SSL_CTX *ssl)
{
    int side;
    for (side = 0; side < SIDES; ++side) {
        SSL_CTX *old = listener->sides[side].accept.ssl_ctx;
        if (ssl != NULL)
            SSL_CTX_up_ref(ssl);
        listener->sides[side].accept.ssl_ctx = ssl;
        SSL_CTX_free(old);
    }
}

void consumer_listener_start(struct consumer_listener *listener)
{
    h2o_socket_read_start(listener->socket, on_connection);
}

void consumer_listener_stop(struct consumer_listener *listener)
{
    int side;
    if (listener->socket != NULL)
        h2o_socket_close(listener->socket);
    listener->socket = NULL;
    for (side = 0; side < SIDES; ++side)
        listener->sides[side].context.shutdown_requested = 1;
}

size_t consumer_listener_open(const struct consumer_listener *listener)
{
    return listener->sides[SIDE_ALLOWED].open + listener->sides[SIDE_FOREIGN].open;
}

void consumer_listener_shut(struct consumer_listener *listener)
{
    struct peer *peer;
    for (peer = listener->peers; peer != NULL; peer = peer->next)
        shutdown(peer->fd, SHUT_RDWR);
}

void consumer_listener_free(struct consumer_listener **in)
{
    struct consumer_listener *listener = *in;
    int side;

    if (listener == NULL)
        return;
    *in = NULL;
    consumer_listener_stop(listener);
    consumer_listener_set_tls(listener, NULL);
    for (side = 0; side < SIDES; ++side) {
        h2o_context_dispose(&listener->sides[side].context);
        h2o_config_dispose(&listener->sides[side].conf);
    }
    free(listener);
}
