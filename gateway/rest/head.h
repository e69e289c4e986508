/*
 * What stands at the beginning of a request, before libh2o takes it for one.
 *
 * libh2o reads heads with picohttpparser, which it exports and calls by name. The program defines phr_parse_request and
 * phr_decode_chunked itself, so the dynamic linker gives these to the library (ELF symbol interposition, as with malloc). Two things
 * come of it that the library has no hook for:
 *  - A head that cannot be parsed would be answered by a constant text written straight to the socket. It is turned into a
 *    request that head_refusal knows, and gets a problem document on the common way.
 *  - A head that two parsers may read differently is found where all of it can be seen (RFC 9112 sections 3.2, 5.1, 5.2, 6.3).
 * head_take_over finds out whether the linker did so.
 */
#ifndef CCTGATE_REST_HEAD_H
#define CCTGATE_REST_HEAD_H

#include <stddef.h>
#include <sys/types.h>

#include <h2o.h>

#include "gateway/rest/problem.h"

/* CG_OK, or CG_E_INVALID: the library would use its own functions. Before the first request. */
int head_take_over(void);

enum head_refusal {
    HEAD_FINE,
    HEAD_MALFORMED, /* not a request at all */
    HEAD_DOUBTFUL,  /* more than one reading */
    HEAD_TOO_LARGE, /* more than CG_HEAD_BYTES_MAX bytes, or more fields than the library has room for */
    HEAD_REFUSALS
};

/* Why the library was given a stand-in for the head it should have parsed. The connection ends with the answer. */
enum head_refusal head_refusal_of(const h2o_req_t *req);
/* The length of the head that this thread parsed last: of a request without a body, its own. */
size_t head_last_bytes(void);
struct head_refusal_row {
    enum problem problem;
    const char *detail;
};
extern const struct head_refusal_row head_refusal_rows[HEAD_REFUSALS];

/*
 * Looks at a whole head that can be parsed: HEAD_FINE, or HEAD_DOUBTFUL for Content-Length twice or beside Transfer-Encoding,
 * Transfer-Encoding twice or before HTTP/1.1, Host twice, missing in HTTP/1.1 or with bytes that no authority has, a line
 * that ends in a bare LF, a folded line, whitespace before a colon. Pure.
 */
enum head_refusal head_look(const char *head, size_t length, int minor_version);

/* picohttpparser.h, which libh2o does not install */
struct phr_header;
struct phr_chunked_decoder {
    size_t bytes_left_in_chunk;
    char consume_trailer, hex_count, state;
};

int phr_parse_request(const char *buffer, size_t length, const char **method, size_t *method_length,
                      const char **path, size_t *path_length, int *minor_version,
                      struct phr_header *headers, size_t *num_headers, size_t last_length);

/*
 * Decodes chunks in place; *length becomes the number of decoded bytes. -1: not what RFC 9112 section 7.1 describes, or a chunk extension, which
 * nobody needs and parsers read differently; -2: more is to come; else the number of bytes behind the body, which lie
 * behind what was decoded.
 */
ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buffer, size_t *length);

#endif
