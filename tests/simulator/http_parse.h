/* HTTP/1.1 request parsing without I/O: bytes in, a verdict out. */
#ifndef CCTSIM_HTTP_PARSE_H
#define CCTSIM_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "http.h"

enum { HTTP_HEAD_BYTES_MAX = 64 * 1024, HTTP_BODY_BYTES_MAX = 16 * 1024 * 1024 };

enum http_verdict { HTTP_MORE, HTTP_COMPLETE, HTTP_MALFORMED };

struct http_head {
    char *text; /* owned; the request's strings point into it */
    struct http_request request;
    bool keep_alive;
    bool chunked;
    bool expect_continue;
    size_t content_length;
};

/* Takes the head off `in` once it is whole. On HTTP_MALFORMED `*why` is a static sentence. */
enum http_verdict http_parse_head(struct buf *in, struct http_head *head, const char **why);
/* Moves the body from `in` to `body` once it is whole. */
enum http_verdict http_parse_body(struct buf *in, const struct http_head *head, struct buf *body,
                                  const char **why);
void http_head_free(struct http_head *head);

#endif
