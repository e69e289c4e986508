/*
 * Bytes on a client's connection: requests with queries, fields and bodies, or what looks like that. "%TOKEN%" stands for a good token.
 * Every answer is one: a known status, fields that are ours alone, a body of the length that was said, a problem document that says
 * the same as the status line. Nobody gets a 500.
 */
#include "tests/fuzz/front.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MARK "%TOKEN%"

static const char *const own_fields[] = {"date",
                                         "connection",
                                         "content-length",
                                         "content-type",
                                         "cache-control",
                                         "cache-status",
                                         "age",
                                         "etag",
                                         "vary",
                                         "link",
                                         "allow",
                                         "retry-after",
                                         "cct-sync",
                                         "www-authenticate",
                                         "idempotency-replayed",
                                         "preference-applied",
                                         "location",
                                         "total-count",
                                         "x-request-id",
                                         "transfer-encoding",
                                         "x-content-type-options",
                                         "upgrade",
                                         "sec-websocket-accept",
                                         "sec-websocket-protocol",
                                         "sec-websocket-version",
                                         "accept-patch",
                                         "access-control-allow-origin",
                                         "access-control-allow-methods",
                                         "access-control-allow-headers",
                                         "access-control-max-age",
                                         "access-control-expose-headers",
                                         "x-accel-buffering",
                                         "access-control-allow-credentials",
                                         "content-security-policy",
                                         "referrer-policy",
                                         "strict-transport-security",
                                         "ratelimit",
                                         "ratelimit-policy",
                                         "server"};

/* Where it ends, or NULL: it is not whole. */
static const char *check_field(const char *line, size_t *content_length, int *is_problem)
{
    const char *end = strstr(line, "\r\n"), *colon = strchr(line, ':');
    size_t i;

    if (end == NULL)
        return NULL;
    FUZZ_CHECK(colon != NULL && colon < end);
    for (i = 0; i < sizeof(own_fields) / sizeof(own_fields[0]); ++i)
        if (strlen(own_fields[i]) == (size_t)(colon - line) &&
            strncasecmp(own_fields[i], line, (size_t)(colon - line)) == 0)
            break;
    FUZZ_CHECK(i < sizeof(own_fields) / sizeof(own_fields[0]));
    if (strcmp(own_fields[i], "content-length") == 0)
        *content_length = strtoul(colon + 1, NULL, 10);
    if (strcmp(own_fields[i], "content-type") == 0)
        *is_problem = strncmp(colon + 2, "application/problem+json", 24) == 0;
    return end + 2;
}

static void check_problem(const char *body, size_t length, long status)
{
    json_t *problem = json_loadb(body, length, JSON_REJECT_DUPLICATES, NULL);

    FUZZ_CHECK(problem != NULL);
    FUZZ_CHECK(json_integer_value(json_object_get(problem, "status")) == status);
    FUZZ_CHECK(json_is_string(json_object_get(problem, "type")));
    json_decref(problem);
}

/* The first answer; those that follow may be to HEAD, which has a length and no body. */
static void check_answer(const char *answer, size_t length, int is_get)
{
    const char *at;
    size_t content_length = SIZE_MAX;
    int is_problem = 0;
    long status;

    if (length == 0)
        return;
    FUZZ_CHECK(strncmp(answer, "HTTP/1.1 ", 9) == 0);
    status = strtol(answer + 9, NULL, 10);
    FUZZ_CHECK(status >= 100 && status < 600 && status != 500);
    if ((at = strstr(answer, "\r\n")) == NULL)
        return;
    for (at += 2; at != NULL && strncmp(at, "\r\n", 2) != 0;)
        at = check_field(at, &content_length, &is_problem);
    if (at == NULL || !is_get || !is_problem || content_length == SIZE_MAX)
        return;
    at += 2;
    FUZZ_CHECK((size_t)(answer + length - at) >= content_length);
    check_problem(at, content_length, status);
}

static char *with_token(const uint8_t *bytes, size_t length, size_t *out)
{
    const size_t mark = strlen(MARK), token = strlen(FUZZ_TOKEN);
    char *text = malloc(length * 2 + token);
    size_t i = 0, n = 0;

    FUZZ_CHECK(text != NULL && token < 2 * mark);
    while (i < length) {
        if (length - i >= mark && memcmp(bytes + i, MARK, mark) == 0) {
            memcpy(text + n, FUZZ_TOKEN, token);
            n += token;
            i += mark;
        } else {
            text[n++] = (char)bytes[i++];
        }
    }
    *out = n;
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct fuzz_talk talk;
    size_t size;
    char *text = with_token(bytes, length, &size);

    fuzz_talk_begin(&talk);
    fuzz_talk_say(&talk, text, size);
    check_answer(talk.answer, talk.length, size < 5 || memcmp(text, "HEAD ", 5) != 0);
    fuzz_talk_end(&talk);
    free(text);
    return 0;
}
