/*
 * The transport against a server that misbehaves: every way an exchange can end, and nothing sent
 * twice.
 */
#include "tests/unit/test_upstream_transport_fixture.h"

/* ---- replies ---- */

static void a_reply_is_decoded(void **state)
{
    struct upstream_call *call = try_part("reply", CG_OK, 1);

    (void)state;
    assert_int_equal(call->http_status, 200);
    assert_true(json_object_size(call->result) > 0);
}

static void the_request_is_what_soap_wants(void **state)
{
    struct upstream_endpoint endpoint = endpoint_for("reply");
    struct upstream *upstream;
    struct upstream_call *call = call_new(&inbox, read_op);
    char expected[512];

    (void)state;
    endpoint.service_suffix = ".asmx";
    upstream = start(&endpoint);
    snprintf(call->traceparent, sizeof(call->traceparent),
             "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    expect(perform(upstream, call), CG_OK, 1);
    bad_server_wait(&server, &server.bodies, 1); /* what it noted is ours to read */
    assert_non_null(strstr(server.last_request,
                           "POST /reply/services/TerminalConnectionService.asmx HTTP/1.1\r\n"));
    snprintf(expected, sizeof(expected), "\r\nSOAPAction: \"%s\"\r\n", read_op->soap_action);
    assert_non_null(strstr(server.last_request, expected));
    assert_non_null(strstr(server.last_request, "\r\nContent-Type: text/xml; charset=utf-8\r\n"));
    assert_non_null(
        strstr(server.last_request, "\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    assert_non_null(strstr(server.last_request, "\r\n\r\n<envelope>request</envelope>"));
    assert_null(strcasestr(server.last_request, "\r\nExpect:"));
    assert_null(strcasestr(server.last_request, "\r\nAccept-Encoding:"));
    upstream_stop(&upstream, 0);
}

static void soap_12_names_the_action_in_the_type(void **state)
{
    struct upstream *upstream = start_for("reply");
    struct upstream_call *call = call_new(&inbox, read_op);
    char expected[512];

    (void)state;
    call->version = SOAP_1_2;
    snprintf(call->traceparent, sizeof(call->traceparent), "00-bad\r\nX-Injected: 1");
    expect(perform(upstream, call), CG_OK, 1);
    bad_server_wait(&server, &server.bodies, 1);
    snprintf(expected, sizeof(expected),
             "\r\nContent-Type: application/soap+xml; charset=utf-8; action=\"%s\"\r\n",
             read_op->soap_action);
    assert_non_null(strstr(server.last_request, expected));
    assert_null(strcasestr(server.last_request, "SOAPAction"));
    assert_null(strcasestr(server.last_request, "Injected"));
    assert_null(strcasestr(server.last_request, "traceparent"));
    upstream_stop(&upstream, 0);
}

static void names_that_would_break_a_header_are_refused(void **state)
{
    struct contract_operation bad = *read_op;
    struct upstream *upstream = start_for("reply");

    (void)state;
    bad.soap_action = "x\"\r\nX-Injected: 1";
    expect(perform(upstream, call_new(&inbox, &bad)), CG_E_INVALID, 0);
    assert_int_equal(bad_server_read(&server, &server.connections), 0);
    upstream_stop(&upstream, 0);
}

struct status_case {
    const struct contract_operation *const *op;
    int status, rc;
    const char *type;
    char *const *body; /* NULL: empty */
};

static char *html = "<html><body>Please log in</body></html>";
static char *blank = "\r\n ";

static const struct status_case status_cases[] = {
    {&read_op, 200, CG_OK, "text/xml", &read_reply},
    {&read_op, 200, CG_OK, "TEXT/XML ; charset=utf-8", &read_reply},
    {&read_op, 200, CG_OK, "application/soap+xml", &read_reply},
    {&read_op, 200, CG_OK, "application/xml", &read_reply},
    {&read_op, 200, CG_E_PROTOCOL, "text/html", &html},
    {&read_op, 200, CG_E_PROTOCOL, "text/html", &read_reply},
    {&read_op, 200, CG_E_PROTOCOL, "text/xmlish", &read_reply},
    {&read_op, 200, CG_E_PROTOCOL, NULL, &read_reply},
    {&read_op, 200, CG_E_PROTOCOL, "text/xml", NULL},
    {&read_op, 202, CG_E_PROTOCOL, "text/xml", NULL},
    {&read_op, 204, CG_E_PROTOCOL, NULL, NULL},
    {&read_op, 500, CG_E_FAULT, "text/xml", &fault_reply},
    {&read_op, 200, CG_E_FAULT, "text/xml", &fault_reply},
    {&read_op, 400, CG_E_FAULT, "text/xml", &fault_reply},
    {&read_op, 403, CG_E_FAULT, "text/xml", &fault_reply},
    {&read_op, 404, CG_E_PROTOCOL, "text/xml", &read_reply},
    {&read_op, 500, CG_E_PROTOCOL, "text/html", &html},
    {&read_op, 503, CG_E_PROTOCOL, "text/html", &html},
    {&read_op, 503, CG_E_PROTOCOL, NULL, NULL},
    {&read_op, 302, CG_E_PROTOCOL, "text/html", &html},
    {&read_op, 401, CG_E_DENIED, "text/html", &html},
    {&read_op, 403, CG_E_DENIED, NULL, NULL},
    {&void_op, 200, CG_OK, "text/xml", &void_reply},
    {&void_op, 200, CG_OK, NULL, NULL},
    {&void_op, 200, CG_OK, "text/xml", &blank},
    {&void_op, 202, CG_OK, NULL, NULL},
    {&void_op, 204, CG_OK, NULL, NULL},
    {&void_op, 200, CG_E_PROTOCOL, "text/html", &html},
    {&one_way_op, 202, CG_OK, NULL, NULL},
    {&one_way_op, 202, CG_OK, "text/plain", &blank},
    {&one_way_op, 200, CG_OK, NULL, NULL},
    {&one_way_op, 500, CG_E_FAULT, "text/xml", &fault_reply},
};

static void status_and_type_decide(void **state)
{
    struct upstream *upstream = start_for("reply");
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(status_cases) / sizeof(status_cases[0]); ++i) {
        const struct status_case *the_case = &status_cases[i];
        struct upstream_call *call;
        bad_server_set_reply(&server, the_case->status, the_case->type,
                             the_case->body ? *the_case->body : "");
        call = perform(upstream, call_new(&inbox, *the_case->op));
        if (call->rc != the_case->rc)
            print_message("case %zu\n", i);
        expect(call, the_case->rc, 1);
        assert_int_equal(call->http_status, the_case->status);
    }
    upstream_stop(&upstream, 0);
}

static void a_fault_keeps_its_name(void **state)
{
    struct upstream_call *call;

    (void)state;
    bad_server_set_reply(&server, 500, "text/xml", fault_reply);
    call = try_part("reply", CG_E_FAULT, 1);
    assert_string_equal(call->fault.name, "SessionNotCreatedException");
}

static void a_mismatch_says_what_came(void **state)
{
    struct upstream_call *call;

    (void)state;
    bad_server_set_reply(&server, 502, "text/html; title=\x1b[31m\xff", html);
    call = try_part("reply", CG_E_PROTOCOL, 1);
    assert_non_null(strstr(call->error.text, "502"));
    assert_non_null(strstr(call->error.text, "text/html; title=?[31m?"));
    assert_null(strstr(call->error.text, "Please"));
}

static void xml_that_is_no_soap_is_refused(void **state)
{
    struct upstream_call *call;
    struct upstream *upstream = start_for("reply");

    (void)state;
    bad_server_set_reply(&server, 200, "text/xml", "<?xml version=\"1.0\"?><html><body/></html>");
    call = read_once(upstream);
    expect(call, CG_E_PROTOCOL, 1);
    bad_server_set_reply(&server, 200, "text/xml", "not even XML");
    call = read_once(upstream);
    expect(call, CG_E_XML, 1);
    upstream_stop(&upstream, 0);
}

/* ---- the network's faults ---- */

static void ends_without_a_reply(void **state)
{
    (void)state;
    try_part("reset", CG_E_RESET, 1);
    try_part("nothing", CG_E_RESET, 1);
    try_part("early", CG_E_RESET, 1);
    try_part("truncate", CG_E_RESET, 1);
    try_part("garbage", CG_E_PROTOCOL, 1);
}

static void a_hang_ends_with_the_deadline(void **state)
{
    struct upstream *upstream = start_for("hang");
    struct upstream_call *call = call_new(&inbox, read_op);

    (void)state;
    call->timeout_ms = 150;
    expect(perform(upstream, call), CG_E_TIMEOUT, 1);
    assert_true(call->elapsed_us >= 140000 && call->elapsed_us < 5000000);
    upstream_stop(&upstream, 0);
}

static void a_drip_ends_with_the_deadline(void **state)
{
    struct upstream *upstream = start_for("drip");
    struct upstream_call *call = call_new(&inbox, read_op);

    (void)state;
    call->timeout_ms = 300;
    expect(perform(upstream, call), CG_E_TIMEOUT, 1);
    assert_true(call->elapsed_us >= 290000 && call->elapsed_us < 5000000);
    upstream_stop(&upstream, 0);
}

static void too_much_is_cut_off(void **state)
{
    struct upstream_endpoint endpoint = endpoint_for("announce");
    struct upstream *upstream;

    (void)state;
    endpoint.max_reply_bytes = 100000;
    upstream = start(&endpoint);
    expect(read_once(upstream), CG_E_LIMIT, 1); /* although the server sends none of it */
    upstream_stop(&upstream, 0);
    endpoint = endpoint_for("stream");
    endpoint.max_reply_bytes = 100000;
    upstream = start(&endpoint);
    expect(read_once(upstream), CG_E_LIMIT, 1);
    upstream_stop(&upstream, 0);
    try_part("headers", CG_E_LIMIT, 1);
}

static void the_limit_itself_fits(void **state)
{
    struct upstream_endpoint endpoint = endpoint_for("reply");
    struct upstream *upstream;

    (void)state;
    endpoint.max_reply_bytes = strlen(read_reply);
    upstream = start(&endpoint);
    expect(read_once(upstream), CG_OK, 1);
    upstream_stop(&upstream, 0);
    --endpoint.max_reply_bytes;
    upstream = start(&endpoint);
    expect(read_once(upstream), CG_E_LIMIT, 1);
    upstream_stop(&upstream, 0);
}

static int socket_on(struct sockaddr_in *address)
{
    socklen_t length = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &length), 0);
    return fd;
}

static void nobody_there_is_refused(void **state)
{
    struct upstream_endpoint endpoint = endpoint_for("reply");
    struct sockaddr_in address;
    struct upstream *upstream;
    int fd = socket_on(&address); /* bound, not listening */

    (void)state;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/x", ntohs(address.sin_port));
    upstream = start(&endpoint);
    expect(read_once(upstream), CG_E_REFUSED, 0);
    upstream_stop(&upstream, 0);
    /* A label of more than 63 letters: not even the resolver's own rules let it be asked for. */
    snprintf(url, sizeof(url), "http://%0100d.invalid/x", 1);
    upstream = start(&endpoint);
    expect(read_once(upstream), CG_E_REFUSED, 0);
    upstream_stop(&upstream, 0);
    close(fd);
}

/* A full backlog is a host that does not answer: the kernel drops what asks for a connection. */
static void a_connection_that_takes_too_long(void **state)
{
    struct upstream_endpoint endpoint = endpoint_for("reply");
    struct sockaddr_in address;
    struct upstream *upstream;
    int fd = socket_on(&address), fillers[8], i;

    (void)state;
    assert_int_equal(listen(fd, 0), 0);
    for (i = 0; i < 8; ++i) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(fillers[i], (struct sockaddr *)&address, sizeof(address)) != 0)
            assert_int_equal(errno, EINPROGRESS);
    }
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/x", ntohs(address.sin_port));
    endpoint.connect_timeout_ms = 150;
    upstream = start(&endpoint);
    expect(read_once(upstream), CG_E_TIMEOUT, 0);
    assert_true(inbox.calls[0]->elapsed_us < 5000000);
    upstream_stop(&upstream, 0);
    for (i = 0; i < 8; ++i)
        close(fillers[i]);
    close(fd);
}

/* ---- connections ---- */

static void connections_are_kept(void **state)
{
    struct upstream *upstream = start_for("reply");
    struct upstream_stats stats;
    int i;

    (void)state;
    for (i = 0; i < 20; ++i)
        expect(i % 2 ? perform(upstream, command_new()) : read_once(upstream), CG_OK, 1);
    upstream_get_stats(upstream, 0, &stats);
    assert_int_equal(bad_server_read(&server, &server.connections), 1);
    assert_int_equal(stats.connects, 1);
    assert_int_equal(stats.calls, 20);
    assert_int_equal(stats.failures + stats.faults + stats.in_flight + stats.queued, 0);
    assert_true(stats.bytes_in > 20 * strlen(read_reply));
    assert_true(stats.bytes_out > 20 * strlen("<envelope>request</envelope>"));
    upstream_stop(&upstream, 0);
}

static void a_close_that_has_arrived_is_noticed(void **state)
{
    struct upstream *upstream = start_for("idle-close");
    unsigned i;

    (void)state;
    for (i = 1; i <= 3; ++i) {
        expect(perform(upstream, command_new()), CG_OK, 1);
        bad_server_wait(&server, &server.closed, i);
    }
    assert_int_equal(bad_server_read(&server, &server.connections), 3);
    assert_int_equal(bad_server_read(&server, &server.requests), 3);
    upstream_stop(&upstream, 0);
}

/*
 * The second request of a connection is taken and not answered, which makes libcurl want to send it
 * again.
 */
static void not_sent_twice(const char *part, struct upstream_call *second)
{
    struct upstream *upstream = start_for(part);
    unsigned requests = bad_server_read(&server, &server.requests);
    unsigned connections = bad_server_read(&server, &server.connections);

    expect(read_once(upstream), CG_OK, 1);
    expect(perform(upstream, second), CG_E_RESET, 1);
    upstream_stop(&upstream, 0);
    assert_int_equal(bad_server_read(&server, &server.requests), requests + 2);
    assert_int_equal(bad_server_read(&server, &server.connections), connections + 1);
}

#define LARGE_BYTES                                                                                \
    (1200 * 1024) /* libcurl adds "Expect: 100-continue" from 1 MB on, unless told not to */

static struct upstream_call *with_a_large_body(struct upstream_call *call)
{
    size_t size = LARGE_BYTES;

    free(call->request.bytes);
    call->request.bytes = malloc(size + 1);
    assert_non_null(call->request.bytes);
    memset(call->request.bytes, 'x', size);
    call->request.bytes[size] = '\0';
    call->request.length = size;
    call->request.capacity = size + 1;
    return call;
}

static void a_command_is_never_sent_twice(void **state)
{
    (void)state;
    not_sent_twice("second-close", command_new());
    not_sent_twice("second-reset", command_new());
    not_sent_twice("second-close", with_a_large_body(command_new()));
    not_sent_twice("second-early", with_a_large_body(command_new()));
}

static void a_read_that_was_taken_is_not_sent_twice(void **state)
{
    (void)state;
    not_sent_twice("second-close", call_new(&inbox, read_op));
    not_sent_twice("second-reset", call_new(&inbox, read_op));
}

static void a_large_request_arrives(void **state)
{
    struct upstream *upstream = start_for("reply");
    struct upstream_stats stats;

    (void)state;
    expect(perform(upstream, with_a_large_body(command_new())), CG_OK, 1);
    upstream_get_stats(upstream, 0, &stats);
    assert_true(stats.bytes_out > LARGE_BYTES && stats.bytes_out < LARGE_BYTES + 2048);
    assert_int_equal(bad_server_read(&server, &server.bodies), 1);
    assert_null(strcasestr(server.last_request, "\r\nExpect:"));
    upstream_stop(&upstream, 0);
}

static void the_environment_s_proxy_is_ignored(void **state)
{
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    try_part("reply", CG_OK, 1);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(a_reply_is_decoded),
        WITH_SERVER(the_request_is_what_soap_wants),
        WITH_SERVER(soap_12_names_the_action_in_the_type),
        WITH_SERVER(names_that_would_break_a_header_are_refused),
        WITH_SERVER(status_and_type_decide),
        WITH_SERVER(a_fault_keeps_its_name),
        WITH_SERVER(a_mismatch_says_what_came),
        WITH_SERVER(xml_that_is_no_soap_is_refused),
        WITH_SERVER(ends_without_a_reply),
        WITH_SERVER(a_hang_ends_with_the_deadline),
        WITH_SERVER(a_drip_ends_with_the_deadline),
        WITH_SERVER(too_much_is_cut_off),
        WITH_SERVER(the_limit_itself_fits),
        WITH_SERVER(nobody_there_is_refused),
        WITH_SERVER(a_connection_that_takes_too_long),
        WITH_SERVER(connections_are_kept),
        WITH_SERVER(a_close_that_has_arrived_is_noticed),
        WITH_SERVER(a_command_is_never_sent_twice),
        WITH_SERVER(a_read_that_was_taken_is_not_sent_twice),
        WITH_SERVER(a_large_request_arrives),
        WITH_SERVER(the_environment_s_proxy_is_ignored),
    };

    return cmocka_run_group_tests_name("upstream transport", tests, set_up_all, tear_down_all);
}
