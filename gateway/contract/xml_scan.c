#include "gateway/contract/xml_scan.h"

#include <string.h>
#include <strings.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"

struct scan {
    const char *at, *end;
    size_t elements, depth, attributes;
    size_t attributes_of[CG_XML_DEPTH_MAX + 1];
    const char *reason;
};

static int fail(struct scan *scan, int rc, const char *reason)
{
    scan->reason = reason;
    return rc;
}

static int starts_with(const struct scan *scan, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(scan->end - scan->at) >= length && memcmp(scan->at, text, length) == 0;
}

/*
 * Moves behind the next `text`; to the end when there is none, which the parser will complain
 * about.
 */
static void skip_past(struct scan *scan, const char *text)
{
    while (scan->at < scan->end) {
        const char *found = memchr(scan->at, text[0], (size_t)(scan->end - scan->at));
        if (found == NULL)
            break;
        scan->at = found;
        if (starts_with(scan, text)) {
            scan->at += strlen(text);
            return;
        }
        scan->at++;
    }
    scan->at = scan->end;
}

/*
 * Moves behind the '>' of a tag; counts the attributes and says whether the tag was empty ("/>").
 */
static size_t skip_tag(struct scan *scan, int *empty)
{
    size_t attributes = 0;
    char quote = '\0', last = '\0';
    for (; scan->at < scan->end; scan->at++) {
        char c = *scan->at;
        if (quote != '\0') {
            if (c == quote)
                quote = '\0';
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '=') {
            attributes++;
        } else if (c == '>') {
            break;
        }
        last = c;
    }
    if (scan->at < scan->end)
        scan->at++;
    *empty = last == '/';
    return attributes;
}

static int start_tag(struct scan *scan)
{
    const char *tag = scan->at;
    int empty, rc = CG_OK;
    size_t attributes = skip_tag(scan, &empty);
    if (scan->depth >= CG_XML_DEPTH_MAX)
        rc = fail(scan, CG_E_LIMIT, "elements are nested deeper than is accepted");
    else if (scan->attributes + attributes > CG_XML_ATTRIBUTES_MAX)
        rc = fail(scan, CG_E_LIMIT, "more attributes in scope than are accepted");
    if (rc != CG_OK) {
        scan->at = tag;
        return rc;
    }
    if (!empty) {
        scan->attributes += attributes;
        scan->attributes_of[scan->depth++] = attributes;
    }
    return CG_OK;
}

/*
 * Comments and the like count as elements do: each is a node in the tree, and cuts a text in two.
 */
static int one_construct(struct scan *scan)
{
    int empty, is_end = starts_with(scan, "</");
    if (!is_end && ++scan->elements > CG_XML_ELEMENTS_MAX)
        return fail(scan, CG_E_LIMIT, "more elements than are accepted");
    if (starts_with(scan, "<!--")) {
        scan->at += strlen("<!--");
        skip_past(scan, "-->");
    } else if (starts_with(scan, "<![CDATA[")) {
        skip_past(scan, "]]>");
    } else if (starts_with(scan, "<?")) {
        skip_past(scan, "?>");
    } else if (starts_with(scan, "<!")) {
        return fail(scan, CG_E_XML, "a document type declaration is not accepted");
    } else if (is_end) {
        skip_tag(scan, &empty);
        if (scan->depth > 0)
            scan->attributes -= scan->attributes_of[--scan->depth];
    } else {
        return start_tag(scan);
    }
    return CG_OK;
}

/*
 * The value of encoding="..." in the declaration `[at, end)`; 0 when it is none that we can scan
 * bytewise.
 */
static int encoding_accepted(const char *at, const char *end)
{
    static const char *const accepted[] = {"utf-8", "utf8", "us-ascii", "iso-8859-1"};
    const char *blanks = " \t\r\n";
    while (at < end && strchr(blanks, *at) != NULL)
        at++;
    if (at == end || *at++ != '=')
        return 0;
    while (at < end && strchr(blanks, *at) != NULL)
        at++;
    if (at == end || (*at != '"' && *at != '\''))
        return 0;
    const char *close = memchr(at + 1, *at, (size_t)(end - at - 1));
    if (close == NULL)
        return 0;
    size_t length = (size_t)(close - at - 1);
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        if (strlen(accepted[i]) == length && strncasecmp(accepted[i], at + 1, length) == 0)
            return 1;
    }
    return 0;
}

static int check_encoding(struct scan *scan)
{
    if (memchr(scan->at, '\0', (size_t)(scan->end - scan->at)) != NULL ||
        starts_with(scan, "\xff\xfe") || starts_with(scan, "\xfe\xff"))
        return fail(scan, CG_E_XML, "only UTF-8, US-ASCII and ISO-8859-1 are accepted");
    if (starts_with(scan, "\xef\xbb\xbf"))
        scan->at += 3;
    if (!starts_with(scan, "<?xml"))
        return CG_OK;
    size_t length = (size_t)(scan->end - scan->at);
    const char *close = memmem(scan->at, length, "?>", 2);
    const char *end = close == NULL ? scan->end : close;
    const char *encoding =
        memmem(scan->at, (size_t)(end - scan->at), "encoding", strlen("encoding"));
    if (encoding != NULL && !encoding_accepted(encoding + strlen("encoding"), end))
        return fail(scan, CG_E_XML, "only UTF-8, US-ASCII and ISO-8859-1 are accepted");
    return CG_OK;
}

int xml_scan(const char *bytes, size_t length, size_t *offset, const char **reason)
{
    struct scan scan = {.at = bytes, .end = bytes + length, .reason = ""};
    int rc = check_encoding(&scan);
    while (rc == CG_OK) {
        const char *next = memchr(scan.at, '<', (size_t)(scan.end - scan.at));
        if (next == NULL)
            break;
        scan.at = next;
        rc = one_construct(&scan);
    }
    *offset = (size_t)(scan.at - bytes);
    *reason = scan.reason;
    return rc;
}
