/* The beginning of a request, and bodies in chunks: what is taken, what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "gateway/rest/head.h"

/* as libh2o lays them out */
struct phr_header {
    const char *name;
    size_t name_length;
    const char *value;
    size_t value_length;
};

static void heads_are_looked_at(void **state)
{
    static const struct {
        const char *head;
        int minor;
        enum head_refusal refusal;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1, HEAD_FINE},
        {"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 1, HEAD_FINE},
        {"GET / HTTP/1.0\r\n\r\n", 0, HEAD_FINE},
        {"GET / HTTP/1.1\r\nHost: [::1]:80\r\nHostess: a b\r\n\r\n", 1, HEAD_FINE},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 1, HEAD_FINE},
        {"POST / HTTP/1.1\r\nhOST: x\r\nContent-Length: 5\r\n\r\nHost: y\r\nHost: z\r\n", 1,
         HEAD_FINE},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length-Of: 1\r\nContent-Length: 1\r\n\r\n", 1,
         HEAD_FINE},
        {"GET / HTTP/1.1\r\n\r\n", 1, HEAD_DOUBTFUL},
        {"GET / HTTP/1.1\nHost: x\r\n\r\n", 1, HEAD_DOUBTFUL},
        {"GET / HTTP/1.1\r\nHost: x\n\r\n", 1, HEAD_DOUBTFUL},
        {"GET / HTTP/1.1\r\nHost: x\r\n\n", 1, HEAD_DOUBTFUL},
        {"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 1, HEAD_DOUBTFUL},
        {"GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n", 1, HEAD_DOUBTFUL},
        {"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", 0, HEAD_DOUBTFUL},
        {"GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", 1, HEAD_DOUBTFUL},
        {"GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", 1, HEAD_DOUBTFUL},
        {"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 1,
         HEAD_DOUBTFUL},
        {"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: a\r\nTransfer-Encoding: b\r\n\r\n", 1,
         HEAD_DOUBTFUL},
        {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0, HEAD_DOUBTFUL},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i)
        if (head_look(rows[i].head, strlen(rows[i].head), rows[i].minor) != rows[i].refusal)
            fail_msg("%s", rows[i].head);
}

static void the_library_takes_what_is_ours(void **state)
{
    (void)state;
    assert_int_equal(head_take_over(), CG_OK);
}

/* What the library is told of a head. */
static int parse(const char *head, size_t length, h2o_req_t *req, size_t *num_headers)
{
    struct phr_header headers[4];
    int minor_version = -1;

    *num_headers = 4;
    return phr_parse_request(head, length, (const char **)&req->input.method.base,
                             &req->input.method.len, (const char **)&req->input.path.base,
                             &req->input.path.len, &minor_version, headers, num_headers, 0);
}

static void heads_that_are_refused_become_requests(void **state)
{
    static const struct {
        const char *head;
        enum head_refusal refusal;
    } rows[] = {{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", HEAD_FINE},
                {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", HEAD_MALFORMED},
                {"PRI * HTTP/2.0\r\n\r\n", HEAD_MALFORMED},
                {"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", HEAD_DOUBTFUL},
                {"GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\n\r\n", HEAD_TOO_LARGE}};
    h2o_req_t *req = calloc(1, sizeof(*req));
    size_t i, num_headers;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        size_t length = strlen(rows[i].head);
        assert_int_equal(parse(rows[i].head, length, req, &num_headers), length);
        assert_int_equal(head_refusal_of(req), rows[i].refusal);
        assert_int_equal(num_headers, rows[i].refusal == HEAD_FINE ? 1 : 0);
    }
    free(req);
}

static void heads_have_a_length(void **state)
{
    static const char begin[] = "GET / HTTP/1.1\r\nHost: x\r\nX: ";
    const size_t size = CG_HEAD_BYTES_MAX + 1;
    char *head = malloc(size);
    h2o_req_t *req = calloc(1, sizeof(*req));
    size_t num_headers;

    (void)state;
    memset(head, 'x', size);
    memcpy(head, begin, sizeof(begin) - 1);
    assert_int_equal(parse(head, size - 1, req, &num_headers), -2); /* more may come */
    assert_int_equal(parse(head, size, req, &num_headers), size);
    assert_int_equal(head_refusal_of(req), HEAD_TOO_LARGE);
    memcpy(head + size - 4, "\r\n\r\n", 4);
    assert_int_equal(parse(head, size, req, &num_headers), size);
    assert_int_equal(head_refusal_of(req), HEAD_TOO_LARGE);
    memcpy(head + size - 5, "\r\n\r\n", 4);
    assert_int_equal(parse(head, size - 1, req, &num_headers), size - 1);
    assert_int_equal(head_refusal_of(req), HEAD_FINE);
    free(head);
    free(req);
}

/* ---- chunks ---- */

static const struct {
    const char *chunks, *body; /* NULL: refused */
    ssize_t rc;
} bodies[] = {
    {"0\r\n\r\n", "", 0},
    {"2\r\n{}\r\n0\r\n\r\n", "{}", 0},
    {"00000002\r\n{}\r\n0\r\n\r\nGET /", "{}", 5},
    {"1\r\na\r\nA\r\n0123456789\r\n0\r\nName: value\r\nOther: \r\n\r\n", "a0123456789", 0},
    {"2\r\n{}\r\n0\r\n", "{}", -2},
    {"2\r\n{", "{", -2},
    {"", "", -2},
    {"\r\n\r\n", NULL, -1},
    {"000000002\r\n{}\r\n", NULL, -1},
    {"10000000000000000\r\n", NULL, -1},
    {"2;a=b\r\n{}\r\n0\r\n\r\n", NULL, -1},
    {"2 \r\n{}\r\n", NULL, -1},
    {" 2\r\n{}\r\n", NULL, -1},
    {"+2\r\n{}\r\n", NULL, -1},
    {"0x2\r\n{}\r\n", NULL, -1},
    {"2\n{}\r\n0\r\n\r\n", NULL, -1},
    {"2\r{}\r\n", NULL, -1},
    {"2\r\n{}\n0\r\n\r\n", NULL, -1},
    {"2\r\n{}}\r\n0\r\n\r\n", NULL, -1},
    {"2\r\n{}\r0\r\n\r\n", NULL, -1},
    {"0\r\n\n", NULL, -1},
    {"0\r\n folded: x\r\n\r\n", NULL, -1},
    {"0\r\nName: \x01\r\n\r\n", NULL, -1},
    {"0\r\nName: x\n\r\n", NULL, -1},
    {"0\r\nName: x\r\r\n", NULL, -1},
};

/* The body in one piece, or byte by byte, as libh2o does: what was decoded stays, what comes is put behind it. */
static ssize_t decode(const char *chunks, size_t step, char *body, size_t *body_length)
{
    struct phr_chunked_decoder decoder = {.consume_trailer = 1};
    size_t length = strlen(chunks), at = 0, decoded = 0;
    ssize_t rc = -2;

    while (rc == -2 && at < length) {
        size_t n = length - at < step ? length - at : step;
        memcpy(body + decoded, chunks + at, n);
        at += n;
        rc = phr_decode_chunked(&decoder, body + decoded, &n);
        decoded += n;
    }
    *body_length = decoded;
    return rc;
}

static void chunks_are_decoded(void **state)
{
    char body[128];
    size_t i, length;

    (void)state;
    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); ++i) {
        ssize_t rc = decode(bodies[i].chunks, sizeof(body), body, &length);
        if (rc != bodies[i].rc)
            fail_msg("%s: %zd", bodies[i].chunks, rc);
        if (bodies[i].body != NULL) {
            assert_int_equal(length, strlen(bodies[i].body));
            assert_memory_equal(body, bodies[i].body, length);
        }
        if (rc > 0)
            assert_memory_equal(body + length, "GET /", (size_t)rc);
    }
}

static void chunks_come_in_pieces(void **state)
{
    char body[128];
    size_t i, length;

    (void)state;
    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); ++i) {
        ssize_t rc = decode(bodies[i].chunks, 1, body, &length);
        assert_int_equal(rc, bodies[i].rc > 0 ? 0 : bodies[i].rc);
        if (bodies[i].body != NULL)
            assert_memory_equal(body, bodies[i].body, length);
    }
}

static void trailers_have_a_length(void **state)
{
    struct phr_chunked_decoder decoder = {.consume_trailer = 1};
    char text[3 + CG_TRAILER_BYTES_MAX + 1];
    size_t length = sizeof(text) - 1;

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "0\r\n", 3);
    assert_int_equal(phr_decode_chunked(&decoder, text, &length), -2);
    length = 1;
    assert_int_equal(phr_decode_chunked(&decoder, text + sizeof(text) - 1, &length), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_looked_at),
        cmocka_unit_test(the_library_takes_what_is_ours),
        cmocka_unit_test(heads_that_are_refused_become_requests),
        cmocka_unit_test(heads_have_a_length),
        cmocka_unit_test(chunks_are_decoded),
        cmocka_unit_test(chunks_come_in_pieces),
        cmocka_unit_test(trailers_have_a_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
