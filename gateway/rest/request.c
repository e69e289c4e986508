/* What a client sent, checked before anything else happens. Every rule that a request breaks is named; nothing upstream is called. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/error.h"
#include "gateway/events/handshake.h"
#include "gateway/rest/rest.h"

h2o_iovec_t request_header(const struct request *request, const char *name)
{
    ssize_t at = h2o_find_header_by_str(&request->h2o->headers, name, strlen(name), -1);
    return at != -1 ? request->h2o->headers.entries[at].value : (h2o_iovec_t){NULL, 0};
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Well-formed UTF-8 (RFC 3629) without control characters. */
static int is_clean_text(const char *text, size_t length)
{
    static const struct {
        unsigned char first_min, first_max, second_min, second_max;
        int more;
    } forms[] = {{0xc2, 0xdf, 0x80, 0xbf, 1}, {0xe0, 0xe0, 0xa0, 0xbf, 2},
                 {0xe1, 0xec, 0x80, 0xbf, 2}, {0xed, 0xed, 0x80, 0x9f, 2},
                 {0xee, 0xef, 0x80, 0xbf, 2}, {0xf0, 0xf0, 0x90, 0xbf, 3},
                 {0xf1, 0xf3, 0x80, 0xbf, 3}, {0xf4, 0xf4, 0x80, 0x8f, 3}};
    const unsigned char *at = (const unsigned char *)text, *end = at + length;

    while (at < end) {
        size_t i;
        int more;
        if (*at >= 0x20 && *at < 0x7f) {
            ++at;
            continue;
        }
        for (i = 0; i < sizeof(forms) / sizeof(forms[0]); ++i)
            if (*at >= forms[i].first_min && *at <= forms[i].first_max)
                break;
        if (i == sizeof(forms) / sizeof(forms[0]) || end - at <= forms[i].more ||
            at[1] < forms[i].second_min || at[1] > forms[i].second_max)
            return 0;
        for (more = 2; more <= forms[i].more; ++more)
            if ((at[more] & 0xc0) != 0x80)
                return 0;
        at += forms[i].more + 1;
    }
    return 1;
}

/* CG_E_INVALID: bad escape, text that is none; CG_E_LIMIT: too long */
int path_decode(const char *at, size_t length, char *out, size_t out_size, size_t *out_length)
{
    size_t i, n = 0;

    for (i = 0; i < length; ++i) {
        char c = at[i];
        if (c == '%') {
            if (i + 2 >= length || hex(at[i + 1]) < 0 || hex(at[i + 2]) < 0)
                return CG_E_INVALID;
            c = (char)(hex(at[i + 1]) * 16 + hex(at[i + 2]));
            i += 2;
        }
        if (n + 1 >= out_size)
            return CG_E_LIMIT;
        out[n++] = c;
    }
    out[n] = '\0';
    *out_length = n;
    return n > 0 && is_clean_text(out, n) ? CG_OK : CG_E_INVALID;
}

/* ---- query: limit, after ---- */

static int take_limit(struct request *request, const char *value, size_t length)
{
    unsigned limit = 0;
    size_t i;

    for (i = 0; i < length && i < 6; ++i) {
        if (value[i] < '0' || value[i] > '9')
            break;
        limit = limit * 10 + (unsigned)(value[i] - '0');
    }
    if (i != length || limit < 1 || limit > CG_PAGE_MAX) {
        respond_problem(request, PROBLEM_BAD_REQUEST, "?limit",
                        "limit: expected an integer from 1 to %d", CG_PAGE_MAX);
        return CG_E_INVALID;
    }
    request->limit = limit;
    return CG_OK;
}

static int take_after(struct request *request, const char *value, size_t length)
{
    if (path_decode(value, length, request->after, sizeof(request->after),
                    &request->after_length) == CG_OK)
        return CG_OK;
    respond_problem(request, PROBLEM_BAD_REQUEST, "?after",
                    "after: expected the id that the last page ended with");
    return CG_E_INVALID;
}

static int take_parameter(struct request *request, const char *at, size_t length)
{
    const char *equals = memchr(at, '=', length);
    size_t name = equals != NULL ? (size_t)(equals - at) : length;
    const char *value = equals != NULL ? equals + 1 : at + length;
    size_t value_length = (size_t)(at + length - value);

    if ((request->takes & TAKES_PAGE) != 0 && h2o_memis(at, name, H2O_STRLIT("limit")))
        return take_limit(request, value, value_length);
    if ((request->takes & TAKES_PAGE) != 0 && h2o_memis(at, name, H2O_STRLIT("after")))
        return take_after(request, value, value_length);
    respond_problem(request, PROBLEM_BAD_REQUEST, "?",
                    "the resource knows no such query parameter; it takes %s",
                    (request->takes & TAKES_PAGE) != 0 ? "limit and after" : "none");
    return CG_E_INVALID;
}

static int parse_query(struct request *request)
{
    const h2o_req_t *req = request->h2o;
    const char *at, *end = req->path.base + req->path.len, *stop;

    request->limit = CG_PAGE_DEFAULT;
    if (req->query_at == SIZE_MAX)
        return CG_OK;
    for (at = req->path.base + req->query_at + 1; at < end; at = stop + 1) {
        int rc;
        if ((stop = memchr(at, '&', (size_t)(end - at))) == NULL)
            stop = end;
        if (stop != at && (rc = take_parameter(request, at, (size_t)(stop - at))) != CG_OK)
            return rc;
    }
    return CG_OK;
}

/* ---- headers ---- */

/* RFC 9110 section 12.5.1, as far as one media type needs it: something that admits application/json; its weight is not looked at */
static int accepts_json(h2o_iovec_t accept)
{
    static const char *const fit[] = {"*/*", "application/*", "application/json",
                                      "application/problem+json"};
    const char *at = accept.base, *end = accept.base + accept.len;

    while (at < end) {
        const char *stop = memchr(at, ',', (size_t)(end - at)), *semicolon;
        size_t i, length;
        if (stop == NULL)
            stop = end;
        while (at < stop && (*at == ' ' || *at == '\t'))
            ++at;
        semicolon = memchr(at, ';', (size_t)(stop - at));
        length = (size_t)((semicolon != NULL ? semicolon : stop) - at);
        while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t'))
            --length;
        for (i = 0; i < sizeof(fit) / sizeof(fit[0]); ++i)
            if (length == strlen(fit[i]) && strncasecmp(at, fit[i], length) == 0)
                return 1;
        at = stop + 1;
    }
    return 0;
}

static int check_accept(struct request *request)
{
    ssize_t at = h2o_find_header(&request->h2o->headers, H2O_TOKEN_ACCEPT, -1);
    h2o_iovec_t value;

    if (at == -1 || request->route->roles == 0)
        return CG_OK;
    value = request->h2o->headers.entries[at].value;
    if (value.len == 0 || h2o_memis(value.base, value.len, H2O_STRLIT("*/*")) ||
        accepts_json(value) ||
        ((request->takes & TAKES_NDJSON) != 0 &&
         handshake_accepts(value.base, value.len, "application/x-ndjson")))
        return CG_OK;
    respond_problem(request, PROBLEM_NOT_ACCEPTABLE, NULL, NULL);
    return CG_E_INVALID;
}

/* version "00", 32 hex digits, 16 hex digits, 2 hex digits (W3C Trace Context section 3.2.2) */
static void take_traceparent(struct request *request)
{
    h2o_iovec_t value = request_header(request, "traceparent");
    size_t i;

    if (value.len != 55)
        return;
    for (i = 0; i < value.len; ++i)
        if ((i == 2 || i == 35 || i == 52) ? value.base[i] != '-' : hex(value.base[i]) < 0)
            return;
    memcpy(request->traceparent, value.base, value.len);
    request->traceparent[value.len] = '\0';
}

static void take_cache_control(struct request *request)
{
    const h2o_headers_t *headers = &request->h2o->headers;
    ssize_t at = -1;
    int found = 0;

    freshness_directives_init(&request->directives);
    while ((at = h2o_find_header(headers, H2O_TOKEN_CACHE_CONTROL, at)) != -1) {
        freshness_parse(&request->directives, headers->entries[at].value.base,
                        headers->entries[at].value.len);
        found = 1;
    }
    if (!found) {
        h2o_iovec_t pragma = request_header(request, "pragma"); /* RFC 9111 section 5.4 */
        if (pragma.len > 0)
            freshness_parse(&request->directives, pragma.base, pragma.len);
    }
}

static int take_user(struct request *request)
{
    h2o_iovec_t name;

    if (request->access == NULL)
        return CG_OK;
    if (request_only_header(request, "cct-user", &name) != CG_OK)
        return CG_E_INVALID;
    if (name.base == NULL) {
        if (request->access->num_users == 1 && !request->access->every_user)
            request->user = &request->access->users[0];
        return CG_OK;
    }
    if ((request->user = access_find_user(request->access, name.base, name.len)) == NULL) {
        respond_problem(request, PROBLEM_FORBIDDEN, NULL,
                        "the token may not act for that CCT user");
        return CG_E_DENIED;
    }
    request->user_chosen = 1;
    return CG_OK;
}

/* The only field of the name, or none. CG_E_INVALID: a problem has been sent. */
int request_only_header(struct request *request, const char *name, h2o_iovec_t *value)
{
    const h2o_headers_t *headers = &request->h2o->headers;
    ssize_t at = h2o_find_header_by_str(headers, name, strlen(name), -1);

    *value = at != -1 ? headers->entries[at].value : (h2o_iovec_t){NULL, 0};
    if (at == -1 || h2o_find_header_by_str(headers, name, strlen(name), at) == -1)
        return CG_OK;
    respond_problem(request, PROBLEM_BAD_REQUEST, NULL, "%s: expected one field, found several",
                    name);
    return CG_E_INVALID;
}

int request_is_media_type(h2o_iovec_t value, const char *type)
{
    size_t length = strlen(type);
    return value.len >= length && strncasecmp(value.base, type, length) == 0 &&
           (value.len == length || value.base[length] == ';' || value.base[length] == ' ');
}

/* A body is JSON (RFC 8259), and only what acts has one; a merge may say that it is one (RFC 7396). */
static int check_body(struct request *request)
{
    h2o_iovec_t type;
    int is_merge = strcmp(request->method, "PATCH") == 0;

    if ((request->takes & (TAKES_BODY | TAKES_COMMAND)) == 0) {
        if (request->h2o->entity.len == 0)
            return CG_OK;
        respond_problem(request, PROBLEM_BAD_REQUEST, "", "expected no body, found one");
        return CG_E_INVALID;
    }
    if (request_only_header(request, "content-type", &type) != CG_OK)
        return CG_E_INVALID;
    if ((request->takes & (TAKES_EMPTY_BODY | TAKES_COMMAND)) != 0 && request->h2o->entity.len == 0)
        return CG_OK;
    if (request_is_media_type(type, "application/json") ||
        (is_merge && request_is_media_type(type, "application/merge-patch+json")) ||
        ((request->takes & TAKES_CONTACTS) != 0 && request_is_contacts(type)))
        return CG_OK;
    respond_problem(request, PROBLEM_MEDIA_TYPE, NULL, "expected Content-Type: application/json%s",
                    is_merge                                 ? " or application/merge-patch+json"
                    : (request->takes & TAKES_CONTACTS) != 0 ? ", application/x-ndjson or text/csv"
                                                             : "");
    return CG_E_INVALID;
}

int request_parse(struct request *request)
{
    int rc;

    take_cache_control(request);
    take_traceparent(request);
    if ((rc = check_body(request)) != CG_OK || (rc = check_accept(request)) != CG_OK ||
        ((request->takes & TAKES_QUERY) == 0 && (rc = parse_query(request)) != CG_OK))
        return rc;
    return take_user(request);
}
