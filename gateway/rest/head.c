#include "gateway/rest/head.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"

/* ---- refusals ---- */

/* What a refused head is said to ask for: known by where it lies, which no client decides. */
static const char *const targets[HEAD_REFUSALS] = {
    [HEAD_MALFORMED] = "(malformed)", [HEAD_DOUBTFUL] = "(doubtful)", [HEAD_TOO_LARGE] = "(large)"};

const struct head_refusal_row head_refusal_rows[HEAD_REFUSALS] = {
    [HEAD_MALFORMED] = {PROBLEM_BAD_REQUEST, "what came is not the head of an HTTP request"},
    [HEAD_DOUBTFUL] = {PROBLEM_BAD_REQUEST,
                       "the head of the request can be read in more than one way"},
    [HEAD_TOO_LARGE] = {PROBLEM_HEADERS_TOO_LARGE, "a head has at most 100 fields and 32 KiB"}};

enum head_refusal head_refusal_of(const h2o_req_t *req)
{
    enum head_refusal refusal;
    for (refusal = HEAD_MALFORMED; refusal < HEAD_REFUSALS; ++refusal)
        if (req->input.path.base == targets[refusal])
            return refusal;
    return HEAD_FINE;
}

/* ---- a head that can be parsed ---- */

struct seen {
    unsigned lengths, codings, hosts, doubts;
};

/* The value of a line that has the name, without its colon; NULL: another name. */
static const char *value_of(const char *line, const char *end, const char *name, size_t length)
{
    if ((size_t)(end - line) <= length || strncasecmp(line, name, length) != 0 ||
        line[length] != ':')
        return NULL;
    return line + length + 1;
}

/* RFC 3986 section 3.2: what an authority may hold, and no user name */
static int is_authority(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        ++at;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        --end;
    for (; at < end; ++at)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
              (*at >= '0' && *at <= '9') ||
              (*at != '\0' && strchr("-._~:[]%!$&'()*+,;=", *at) != NULL)))
            return 0;
    return 1;
}

static void look_at_line(struct seen *seen, const char *line, const char *end)
{
    const char *value;

    switch (*line | 0x20) { /* most fields are none of these */
    case 'c':
        seen->lengths += value_of(line, end, "content-length", 14) != NULL;
        break;
    case 't':
        seen->codings += value_of(line, end, "transfer-encoding", 17) != NULL;
        break;
    case 'h':
        if ((value = value_of(line, end, "host", 4)) != NULL) {
            ++seen->hosts;
            seen->doubts += !is_authority(value, end);
        }
        break;
    }
}

enum head_refusal head_look(const char *head, size_t length, int minor_version)
{
    const char *at = head, *end = head + length, *stop;
    struct seen seen = {0, 0, 0, 0};

    if (length >= 2 && at[0] == '\r' && at[1] == '\n') /* RFC 9112 section 2.2 */
        at += 2;
    for (; (stop = memchr(at, '\n', (size_t)(end - at))) != NULL; at = stop + 1) {
        if (stop == at || stop[-1] != '\r' || *at == ' ' || *at == '\t')
            return HEAD_DOUBTFUL;
        if (stop == at + 1)
            break;
        look_at_line(&seen, at, stop - 1);
    }
    if (seen.doubts > 0 || seen.lengths > 1 || seen.codings > 1 ||
        (seen.codings > 0 && (seen.lengths > 0 || minor_version < 1)) ||
        (minor_version >= 1 ? seen.hosts != 1 : seen.hosts > 1))
        return HEAD_DOUBTFUL;
    return HEAD_FINE;
}

/* ---- in the library's place ---- */

typedef int (*parse_request)(const char *, size_t, const char **, size_t *, const char **, size_t *,
                             int *, struct phr_header *, size_t *, size_t);
typedef ssize_t (*decode_chunked)(struct phr_chunked_decoder *, char *, size_t *);

/* POSIX has it that a symbol may be a function, ISO C has no cast for it. */
#define FIND(function, where, name)                                                                \
    do {                                                                                           \
        void *symbol = dlsym((where), (name));                                                     \
        memcpy(&(function), &symbol, sizeof(symbol));                                              \
    } while (0)

/* The library's own, which does the parsing. Two threads that look for it at once find the same. */
static parse_request library_parser(void)
{
    static _Atomic(parse_request) found;
    parse_request parser = atomic_load_explicit(&found, memory_order_relaxed);

    if (parser == NULL) {
        FIND(parser, RTLD_NEXT, "phr_parse_request");
        if (parser == NULL)
            abort();
        atomic_store_explicit(&found, parser, memory_order_relaxed);
    }
    return parser;
}

/* What the library finds is what is first in the order of all that was loaded. */
int head_take_over(void)
{
    parse_request parser;
    decode_chunked decoder;

    FIND(parser, RTLD_DEFAULT, "phr_parse_request");
    FIND(decoder, RTLD_DEFAULT, "phr_decode_chunked");
    if (parser != phr_parse_request || decoder != phr_decode_chunked)
        return CG_E_INVALID;
    library_parser();
    return CG_OK;
}

static enum head_refusal judge(int rc, const char *buffer, size_t length, int minor_version,
                               int is_full)
{
    if (rc == -2)
        return length > CG_HEAD_BYTES_MAX ? HEAD_TOO_LARGE : HEAD_FINE;
    if (rc < 0)
        return is_full ? HEAD_TOO_LARGE : HEAD_MALFORMED;
    return rc > CG_HEAD_BYTES_MAX ? HEAD_TOO_LARGE : head_look(buffer, (size_t)rc, minor_version);
}

static _Thread_local size_t last_bytes;

size_t head_last_bytes(void)
{
    return last_bytes;
}

int phr_parse_request(const char *buffer, size_t length, const char **method, size_t *method_length,
                      const char **path, size_t *path_length, int *minor_version,
                      struct phr_header *headers, size_t *num_headers, size_t last_length)
{
    size_t room = *num_headers;
    int rc = library_parser()(buffer, length, method, method_length, path, path_length,
                              minor_version, headers, num_headers, last_length);
    enum head_refusal refusal = judge(rc, buffer, length, *minor_version, *num_headers == room);

    last_bytes = rc > 0 ? (size_t)rc : length;
    if (refusal == HEAD_FINE)
        return rc;
    *method = "GET";
    *method_length = 3;
    *path = targets[refusal];
    *path_length = strlen(targets[refusal]);
    *minor_version = 0; /* the connection does not persist */
    *num_headers = 0;
    return (int)length; /* nothing of what came is looked at again */
}
