#include "http_parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum http_verdict malformed(const char **why, const char *reason)
{
    *why = reason;
    return HTTP_MALFORMED;
}

static char *trim(char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    size_t len = strlen(s);
    while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
        s[--len] = '\0';
    return s;
}

static bool parse_length(const char *s, size_t *length)
{
    if (*s == '\0' || strlen(s) > 10 || strspn(s, "0123456789") != strlen(s))
        return false;
    *length = strtoul(s, NULL, 10);
    return true;
}

struct seen {
    bool length;
    bool encoding;
};

static const char *take_length(struct http_head *head, struct seen *seen, const char *value)
{
    size_t length = 0;
    if (!parse_length(value, &length))
        return "Content-Length is not a number";
    if (seen->length && length != head->content_length)
        return "two different Content-Length headers";
    seen->length = true;
    head->content_length = length;
    return NULL;
}

/* Returns what is wrong, or NULL. */
static const char *take_header(struct http_head *head, struct seen *seen, const char *name,
                               char *value)
{
    if (strcasecmp(name, "Content-Length") == 0)
        return take_length(head, seen, value);
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        seen->encoding = head->chunked = true;
        return strcasecmp(value, "chunked") == 0 ? NULL : "Transfer-Encoding other than chunked";
    }
    if (strcasecmp(name, "Host") == 0) {
        if (head->request.host != NULL)
            return "two Host headers";
        head->request.host = value;
    } else if (strcasecmp(name, "Content-Type") == 0) {
        head->request.content_type = value;
    } else if (strcasecmp(name, "SOAPAction") == 0) {
        head->request.soap_action = value;
    } else if (strcasecmp(name, "Connection") == 0) {
        if (strcasestr(value, "close") != NULL)
            head->keep_alive = false;
    } else if (strcasecmp(name, "Expect") == 0) {
        head->expect_continue = strcasecmp(value, "100-continue") == 0;
    }
    return NULL;
}

/* Cuts the first line off `*cursor`. */
static char *next_line(char **cursor)
{
    char *line = *cursor;
    char *end = strstr(line, "\r\n");
    if (end == NULL)
        return NULL;
    *end = '\0';
    *cursor = end + 2;
    return line;
}

static const char *parse_request_line(struct http_head *head, char *line)
{
    char *target = strchr(line, ' ');
    char *version = target != NULL ? strchr(target + 1, ' ') : NULL;
    if (version == NULL || target[1] != '/')
        return "bad request line";
    *target++ = '\0';
    *version++ = '\0';
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return "not HTTP/1.0 or HTTP/1.1";
    head->keep_alive = version[7] == '1';
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    head->request.method = line;
    head->request.path = target;
    head->request.query = query;
    return NULL;
}

static const char *parse_headers(struct http_head *head, char *cursor)
{
    struct seen seen = {0};
    char *line;
    while ((line = next_line(&cursor)) != NULL && *line != '\0') {
        char *colon = strchr(line, ':');
        if (colon == NULL || colon == line || isspace((unsigned char)*line))
            return "bad header line";
        *colon = '\0';
        if (strpbrk(line, " \t") != NULL)
            return "white space in a header name";
        const char *wrong = take_header(head, &seen, line, trim(colon + 1));
        if (wrong != NULL)
            return wrong;
    }
    if (seen.length && seen.encoding)
        return "both Content-Length and Transfer-Encoding";
    if (head->content_length > HTTP_BODY_BYTES_MAX)
        return "body too large";
    if (strcmp(head->request.method, "POST") == 0 && !seen.length && !seen.encoding)
        return "POST without a length";
    return head->request.host == NULL ? "no Host header" : NULL;
}

enum http_verdict http_parse_head(struct buf *in, struct http_head *head, const char **why)
{
    if (in->len == 0)
        return HTTP_MORE;
    char *end = memmem(in->data, in->len, "\r\n\r\n", 4);
    if (end == NULL)
        return in->len > HTTP_HEAD_BYTES_MAX ? malformed(why, "header too large") : HTTP_MORE;
    size_t len = (size_t)(end - in->data) + 4;
    if (len > HTTP_HEAD_BYTES_MAX)
        return malformed(why, "header too large");
    if (memchr(in->data, '\0', len) != NULL)
        return malformed(why, "NUL in the header");
    *head = (struct http_head){.text = mem_strndup(in->data, len)};
    buf_consume(in, len);
    char *cursor = head->text;
    const char *wrong = parse_request_line(head, next_line(&cursor));
    if (wrong == NULL)
        wrong = parse_headers(head, cursor);
    return wrong != NULL ? malformed(why, wrong) : HTTP_COMPLETE;
}

static bool chunk_size(const char *line, size_t *size)
{
    size_t digits = strspn(line, "0123456789abcdefABCDEF");
    if (digits == 0 || digits > 7 || strchr("\r; ", line[digits]) == NULL)
        return false;
    *size = strtoul(line, NULL, 16);
    return true;
}

/* Skips the trailer after the last chunk; `at` is just behind its size line. */
static enum http_verdict skip_trailer(struct buf *in, size_t at)
{
    for (;;) {
        char *line = in->data + at;
        char *end = memmem(line, in->len - at, "\r\n", 2);
        if (end == NULL)
            return HTTP_MORE;
        at = (size_t)(end - in->data) + 2;
        if (end == line) {
            buf_consume(in, at);
            return HTTP_COMPLETE;
        }
    }
}

static enum http_verdict parse_chunks(struct buf *in, struct buf *body, const char **why)
{
    size_t at = 0;
    body->len = 0;
    while (at < in->len) {
        size_t size = 0;
        char *end = memmem(in->data + at, in->len - at, "\r\n", 2);
        if (end == NULL)
            return in->len - at > 1024 ? malformed(why, "bad chunk size") : HTTP_MORE;
        if (!chunk_size(in->data + at, &size))
            return malformed(why, "bad chunk size");
        at = (size_t)(end - in->data) + 2;
        if (size == 0)
            return skip_trailer(in, at);
        if (body->len + size > HTTP_BODY_BYTES_MAX)
            return malformed(why, "body too large");
        if (in->len - at < size + 2)
            return HTTP_MORE;
        if (memcmp(in->data + at + size, "\r\n", 2) != 0)
            return malformed(why, "chunk longer than its size");
        buf_add(body, in->data + at, size);
        at += size + 2;
    }
    return HTTP_MORE;
}

enum http_verdict http_parse_body(struct buf *in, const struct http_head *head, struct buf *body,
                                  const char **why)
{
    if (head->chunked)
        return parse_chunks(in, body, why);
    if (in->len < head->content_length)
        return HTTP_MORE;
    body->len = 0;
    buf_add(body, in->data != NULL ? in->data : "", head->content_length);
    buf_consume(in, head->content_length);
    return HTTP_COMPLETE;
}

void http_head_free(struct http_head *head)
{
    free(head->text);
    *head = (struct http_head){0};
}
