/*
 * A small HTTP/1.1 server on 127.0.0.1 that gives its users full control of the socket, because misbehaving on purpose
 * is half of the simulator's work. One request at a time per connection; pipelined requests wait in order. Bodies by
 * Content-Length or chunked, Expect: 100-continue, keep-alive. Whatever is not proper HTTP/1.1 is answered 400 and told
 * to on_malformed.
 */
#ifndef CCTSIM_HTTP_H
#define CCTSIM_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct http_conn;
struct http_server;

/* All strings are NUL-terminated and live until on_request returns. Absent headers are NULL. */
struct http_request {
    const char *method;
    const char *path;
    const char *query; /* what follows '?', NULL when there is none */
    const char *host;
    const char *content_type;
    const char *soap_action;
    const char *body;
    size_t body_len;
};

struct http_handlers {
    /* Must lead, at once or later, to exactly one of http_reply, http_hang and http_reset. */
    void (*on_request)(struct http_conn *conn, const struct http_request *request);
    void (*on_malformed)(const char *why); /* may be NULL */
};

enum http_manner {
    HTTP_WHOLE,
    HTTP_TRUNCATED, /* half of the body, then the connection is closed */
    HTTP_DRIP,      /* one byte of the reply, headers included, per HTTP_DRIP_MS */
    HTTP_ENDLESS,   /* the body, then `filler` again and again up to HTTP_ENDLESS_BYTES, chunked */
};
enum { HTTP_DRIP_MS = 200 };
#define HTTP_ENDLESS_BYTES ((uint64_t)1 << 30)

struct http_reply {
    int status;
    const char *content_type;
    struct buf *body;  /* contents are taken */
    uint64_t delay_ms; /* before the first byte; other requests go on meanwhile */
    enum http_manner manner;
    const char *filler; /* HTTP_ENDLESS: static text */
};

struct http_counts {
    uint64_t accepted;
    uint64_t open;
    uint64_t in_flight;     /* requests read and not yet answered */
    uint64_t in_flight_max; /* high-water mark since http_reset_counts */
};

/* Listens on 127.0.0.1; port 0 takes a free one. NULL when the port cannot be had (message on stderr). */
struct http_server *http_listen(int port, const struct http_handlers *handlers);
int http_port(const struct http_server *server);
const struct http_counts *http_counts(const struct http_server *server);
void http_reset_counts(struct http_server *server);
/* true: closes the listening socket and every idle connection, busy ones after their reply; false: listens again. */
void http_refuse(struct http_server *server, bool refuse);
/* Closes everything; hooks of the loop must not run any more. */
void http_free(struct http_server **server);

void http_reply(struct http_conn *conn, const struct http_reply *reply);
/* Never answers; the connection stays open until the peer or http_free closes it. */
void http_hang(struct http_conn *conn);
/* Ends the connection with a TCP reset. */
void http_reset(struct http_conn *conn);

#endif
