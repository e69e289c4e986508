/* The transport against a server that misbehaves: every way an exchange can end, bounds, TLS, and nothing sent twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/upstream.h"
#include "cctgate/xml.h"
#include "gateway/upstream/transport.h"
#include "tests/unit/certificates.h"
#include "tests/unit/misbehaving_server.h"

#define WAIT_MS      20000
#define OUTCOMES_MAX 2048
#define SAMPLES      "conf/contract/cct/samples/"
#define DAY_S        (24L * 60 * 60)

/* ---- what the tests share ---- */

static struct contract *contract;
static const struct contract_operation *read_op, *void_op, *one_way_op;
static char *read_reply, *void_reply, *fault_reply;

static struct bad_server server;

/* Where outcomes arrive: a mailbox whose owner is the test's thread. */
struct inbox {
    struct mailbox mailbox;
    int wake_fd;
    struct upstream_call *calls[OUTCOMES_MAX];
    size_t count;
};
static struct inbox inbox;

static char *read_file(const char *name)
{
    FILE *file = fopen(name, "re");
    char *text = calloc(1, 65536);

    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

static int set_up_all(void **state)
{
    char error[512] = "";

    (void)state;
    xml_init();
    if (contract_load(&contract, "conf/contract", error, sizeof(error)) != CG_OK)
        fail_msg("%s", error);
    assert_non_null(read_op = contract_find(contract, "TerminalConnectionService", "GetState"));
    assert_non_null(void_op = contract_find(contract, "TerminalConnectionService", "Hold"));
    assert_non_null(one_way_op = contract_find(contract, "NotificationConsumer", "Notify"));
    read_reply = read_file(SAMPLES "TerminalConnectionService.GetState.response.xml");
    void_reply = read_file(SAMPLES "TerminalConnectionService.Hold.response.xml");
    fault_reply = read_file(SAMPLES "SessionService.GetTerminals.fault.xml");
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    free(read_reply);
    free(void_reply);
    free(fault_reply);
    contract_free(&contract);
    return 0;
}

static void ring(void *data)
{
    uint64_t one = 1;

    assert_int_equal(write(((struct inbox *)data)->wake_fd, &one, sizeof(one)), sizeof(one));
}

static void inbox_init(struct inbox *box)
{
    box->count = 0;
    box->wake_fd = eventfd(0, EFD_CLOEXEC);
    assert_true(box->wake_fd >= 0);
    mailbox_init(&box->mailbox, ring, box);
}

static void inbox_release(struct inbox *box)
{
    size_t i;

    mailbox_deliver(&box->mailbox);
    for (i = 0; i < box->count; ++i)
        upstream_call_free(&box->calls[i]);
    mailbox_release(&box->mailbox);
    close(box->wake_fd);
}

static void on_outcome(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct inbox *box = call->data;

    assert_true(box->count < OUTCOMES_MAX);
    box->calls[box->count++] = call;
}

static void wait_for_outcomes(struct inbox *box, size_t count)
{
    while (box->count < count) {
        struct pollfd watched = {.fd = box->wake_fd, .events = POLLIN};
        uint64_t rings;
        assert_int_equal(poll(&watched, 1, WAIT_MS), 1);
        assert_int_equal(read(box->wake_fd, &rings, sizeof(rings)), sizeof(rings));
        mailbox_deliver(&box->mailbox);
    }
}

static int set_up(void **state)
{
    (void)state;
    inbox_init(&inbox);
    bad_server_start(&server, NULL, NULL, NULL);
    bad_server_set_reply(&server, 200, "text/xml; charset=utf-8", read_reply);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bad_server_stop(&server);
    inbox_release(&inbox);
    return 0;
}

/* ---- starting and calling ---- */

static char url[256];

static struct upstream_endpoint endpoint_for(const char *part)
{
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/%s/services", server.port, part);
    return (struct upstream_endpoint){.name = "test",
                                      .url = url,
                                      .max_concurrent = 4,
                                      .connect_timeout_ms = 10000,
                                      .timeout_ms = 10000};
}

static struct upstream *start(const struct upstream_endpoint *endpoint)
{
    struct upstream *upstream = NULL;
    char error[256] = "";

    if (upstream_start(&upstream, endpoint, 1, error, sizeof(error)) != CG_OK)
        fail_msg("%s", error);
    return upstream;
}

static struct upstream *start_for(const char *part)
{
    struct upstream_endpoint endpoint = endpoint_for(part);

    return start(&endpoint);
}

static struct upstream_call *call_new(struct inbox *box, const struct contract_operation *op)
{
    static const char envelope[] = "<envelope>request</envelope>";
    struct upstream_call *call = upstream_call_new(op);

    assert_non_null(call);
    call->message.on_deliver = on_outcome;
    call->reply_to = &box->mailbox;
    call->data = box;
    call->request.bytes = strdup(envelope);
    call->request.length = strlen(envelope);
    call->request.capacity = sizeof(envelope);
    return call;
}

/* Submits and waits; the outcome belongs to the inbox. */
static struct upstream_call *perform(struct upstream *upstream, struct upstream_call *call)
{
    struct inbox *box = call->data;
    size_t before = box->count;

    upstream_submit(upstream, call);
    wait_for_outcomes(box, before + 1);
    return box->calls[before];
}

static struct upstream_call *read_once(struct upstream *upstream)
{
    return perform(upstream, call_new(&inbox, read_op));
}

static struct upstream_call *command_new(void)
{
    struct upstream_call *call = call_new(&inbox, void_op);

    call->command = 1;
    return call;
}

static void expect(const struct upstream_call *call, int rc, int sent)
{
    if (call->rc != rc || call->sent != sent)
        print_message("%s sent %d: %s\n", cg_error_name(call->rc), call->sent, call->error.text);
    assert_int_equal(call->rc, rc);
    assert_int_equal(call->sent, sent);
    assert_true(call->elapsed_us >= call->queued_us && call->queued_us >= 0);
    if (rc == CG_OK)
        assert_non_null(call->result);
    else
        assert_null(call->result);
    if (rc != CG_OK && rc != CG_E_FAULT)
        assert_true(call->error.text[0] != '\0');
}

/* One call against one part of the server. */
static struct upstream_call *try_part(const char *part, int rc, int sent)
{
    struct upstream *upstream = start_for(part);
    struct upstream_call *call = read_once(upstream);

    expect(call, rc, sent);
    upstream_stop(&upstream, 0);
    assert_null(upstream);
    return call;
}

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
    int status;
    const char *type;
    char *const *body; /* NULL: empty */
    int rc;
};

static char *html = "<html><body>Please log in</body></html>";
static char *blank = "\r\n ";

static const struct status_case status_cases[] = {
    {&read_op, 200, "text/xml", &read_reply, CG_OK},
    {&read_op, 200, "TEXT/XML ; charset=utf-8", &read_reply, CG_OK},
    {&read_op, 200, "application/soap+xml", &read_reply, CG_OK},
    {&read_op, 200, "application/xml", &read_reply, CG_OK},
    {&read_op, 200, "text/html", &html, CG_E_PROTOCOL},
    {&read_op, 200, "text/html", &read_reply, CG_E_PROTOCOL},
    {&read_op, 200, "text/xmlish", &read_reply, CG_E_PROTOCOL},
    {&read_op, 200, NULL, &read_reply, CG_E_PROTOCOL},
    {&read_op, 200, "text/xml", NULL, CG_E_PROTOCOL},
    {&read_op, 202, "text/xml", NULL, CG_E_PROTOCOL},
    {&read_op, 204, NULL, NULL, CG_E_PROTOCOL},
    {&read_op, 500, "text/xml", &fault_reply, CG_E_FAULT},
    {&read_op, 200, "text/xml", &fault_reply, CG_E_FAULT},
    {&read_op, 400, "text/xml", &fault_reply, CG_E_FAULT},
    {&read_op, 403, "text/xml", &fault_reply, CG_E_FAULT},
    {&read_op, 404, "text/xml", &read_reply, CG_E_PROTOCOL},
    {&read_op, 500, "text/html", &html, CG_E_PROTOCOL},
    {&read_op, 503, "text/html", &html, CG_E_PROTOCOL},
    {&read_op, 503, NULL, NULL, CG_E_PROTOCOL},
    {&read_op, 302, "text/html", &html, CG_E_PROTOCOL},
    {&read_op, 401, "text/html", &html, CG_E_DENIED},
    {&read_op, 403, NULL, NULL, CG_E_DENIED},
    {&void_op, 200, "text/xml", &void_reply, CG_OK},
    {&void_op, 200, NULL, NULL, CG_OK},
    {&void_op, 200, "text/xml", &blank, CG_OK},
    {&void_op, 202, NULL, NULL, CG_OK},
    {&void_op, 204, NULL, NULL, CG_OK},
    {&void_op, 200, "text/html", &html, CG_E_PROTOCOL},
    {&one_way_op, 202, NULL, NULL, CG_OK},
    {&one_way_op, 202, "text/plain", &blank, CG_OK},
    {&one_way_op, 200, NULL, NULL, CG_OK},
    {&one_way_op, 500, "text/xml", &fault_reply, CG_E_FAULT},
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

/* The second request of a connection is taken and not answered, which makes libcurl want to send it again. */
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
    assert_null(strcasestr(server.last_request, "\r\nExpect:"));
    assert_int_equal(bad_server_read(&server, &server.bodies), 1);
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

/* ---- queue and cap ---- */

static void never_more_than_the_cap_at_once(void **state)
{
    struct upstream *upstream = start_for("gate");
    struct upstream_stats stats;
    size_t i;

    (void)state;
    for (i = 0; i < 40; ++i)
        upstream_submit(upstream, call_new(&inbox, read_op));
    bad_server_wait(&server, &server.concurrent, 4);
    upstream_get_stats(upstream, 0, &stats);
    assert_int_equal(stats.in_flight, 4);
    assert_int_equal(stats.queued, 36);
    bad_server_open_gate(&server);
    wait_for_outcomes(&inbox, 40);
    for (i = 0; i < 40; ++i)
        expect(inbox.calls[i], CG_OK, 1);
    assert_int_equal(server.concurrent_max, 4);
    assert_true(bad_server_read(&server, &server.connections) <= 4);
    upstream_stop(&upstream, 0);
}

static void endpoints_do_not_share_their_caps(void **state)
{
    char open_url[256];
    struct upstream_endpoint endpoints[2] = {endpoint_for("gate"), endpoint_for("gate")};
    struct upstream *upstream = NULL;
    struct upstream_call *call;
    char error[256];
    int i;

    (void)state;
    snprintf(open_url, sizeof(open_url), "http://127.0.0.1:%d/reply/services/", server.port);
    endpoints[1].url = open_url;
    assert_int_equal(upstream_start(&upstream, endpoints, 2, error, sizeof(error)), CG_OK);
    for (i = 0; i < 6; ++i)
        upstream_submit(upstream, call_new(&inbox, read_op));
    bad_server_wait(&server, &server.concurrent, 4);
    call = call_new(&inbox, read_op);
    call->endpoint = 1;
    expect(perform(upstream, call), CG_OK, 1);
    assert_ptr_equal(inbox.calls[0], call);
    call = call_new(&inbox, read_op);
    call->endpoint = 2;
    expect(perform(upstream, call), CG_E_INVALID, 0);
    bad_server_open_gate(&server);
    wait_for_outcomes(&inbox, 8);
    upstream_stop(&upstream, 0);
}

static void the_deadline_counts_in_the_queue(void **state)
{
    struct upstream_endpoint endpoint = endpoint_for("gate");
    struct upstream *upstream;
    struct upstream_call *call;

    (void)state;
    endpoint.max_concurrent = 1;
    upstream = start(&endpoint);
    upstream_submit(upstream, call_new(&inbox, read_op));
    bad_server_wait(&server, &server.concurrent, 1);
    upstream_submit(upstream, call_new(&inbox, read_op));
    call = call_new(&inbox, void_op);
    call->timeout_ms =
        400; /* beyond libcurl's own early timers, which would wake the thread in our place */
    expect(perform(upstream, call), CG_E_TIMEOUT, 0);
    assert_ptr_equal(inbox.calls[0], call);
    assert_true(call->queued_us >= 400000 && call->queued_us < 5000000);
    bad_server_open_gate(&server);
    wait_for_outcomes(&inbox, 3);
    expect(inbox.calls[1], CG_OK, 1);
    expect(inbox.calls[2], CG_OK, 1);
    assert_int_equal(bad_server_read(&server, &server.requests), 2);
    upstream_stop(&upstream, 0);
}

#define QUEUED 1000

static void the_queue_keeps_both_orders(void **state)
{
    static struct transport_call calls[QUEUED];
    struct transport_queue queue = {0};
    struct transport_call *call;
    int64_t before = -1;
    size_t i, expired = 0;

    (void)state;
    assert_null(transport_queue_pop(&queue));
    assert_null(transport_queue_pop_expired(&queue, INT64_MAX));
    for (i = 0; i < QUEUED; ++i) {
        calls[i].deadline_us = (int64_t)(i * 7919 % QUEUED);
        assert_int_equal(transport_queue_push(&queue, &calls[i]), CG_OK);
    }
    for (i = 0; i < QUEUED / 4; ++i)
        assert_ptr_equal(transport_queue_pop(&queue), &calls[i]);
    while ((call = transport_queue_pop_expired(&queue, QUEUED / 2)) != NULL) {
        assert_true(call >= &calls[QUEUED / 4] && call->deadline_us > before &&
                    call->deadline_us <= QUEUED / 2);
        before = call->deadline_us;
        ++expired;
    }
    assert_true(transport_queue_next_deadline(&queue) > QUEUED / 2);
    assert_int_equal(queue.length, QUEUED - QUEUED / 4 - expired);
    for (i = 0, before = -1; (call = transport_queue_pop(&queue)) != NULL; ++i) {
        assert_true(call->deadline_us > QUEUED / 2 && call - calls > before);
        before = call - calls;
    }
    assert_int_equal(i, QUEUED - QUEUED / 4 - expired);
    assert_true(transport_queue_next_deadline(&queue) == INT64_MAX);
    transport_queue_release(&queue);
}

#define THREADS    4
#define PER_THREAD 500

static void *submit_many(void *data)
{
    struct upstream *upstream = data;
    struct inbox *own = calloc(1, sizeof(*own));
    size_t i, good = 0;

    inbox_init(own);
    for (i = 0; i < PER_THREAD; ++i)
        upstream_submit(upstream, call_new(own, read_op));
    wait_for_outcomes(own, PER_THREAD);
    for (i = 0; i < PER_THREAD; ++i)
        good += own->calls[i]->rc == CG_OK;
    inbox_release(own);
    free(own);
    return (void *)(uintptr_t)good;
}

static void many_calls_from_many_threads(void **state)
{
    struct upstream_endpoint endpoint = endpoint_for("reply");
    struct upstream *upstream;
    struct upstream_stats stats;
    pthread_t threads[THREADS];
    void *good;
    int i;

    (void)state;
    endpoint.max_concurrent = 16;
    endpoint.timeout_ms = 120000;
    upstream = start(&endpoint);
    for (i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, upstream), 0);
    for (i = 0; i < THREADS; ++i) {
        pthread_join(threads[i], &good);
        assert_int_equal((uintptr_t)good, PER_THREAD);
    }
    upstream_get_stats(upstream, 0, &stats);
    assert_int_equal(stats.calls, THREADS * PER_THREAD);
    assert_int_equal(bad_server_read(&server, &server.bodies), THREADS * PER_THREAD);
    assert_true(server.concurrent_max <= 16);
    assert_int_equal(stats.connects, bad_server_read(&server, &server.connections));
    assert_true(stats.connects <= 16);
    upstream_stop(&upstream, 0);
}

static void an_ended_call_can_be_given_away_again(void **state)
{
    struct upstream *upstream = start_for("reply");
    struct upstream_call *call;

    (void)state;
    bad_server_set_reply(&server, 500, "text/xml", fault_reply);
    call = read_once(upstream);
    expect(call, CG_E_FAULT, 1);
    bad_server_set_reply(&server, 200, "text/xml", read_reply);
    inbox.count = 0;
    expect(perform(upstream, call), CG_OK, 1);
    assert_null(call->fault.name);
    upstream_stop(&upstream, 0);
}

/* ---- stopping ---- */

static void stop_answers_everything(void **state)
{
    struct upstream *upstream = start_for("hang");
    size_t i, sent = 0;

    (void)state;
    for (i = 0; i < 9; ++i)
        upstream_submit(upstream, call_new(&inbox, read_op));
    bad_server_wait(&server, &server.concurrent, 4);
    upstream_stop(&upstream, 50);
    wait_for_outcomes(&inbox, 9);
    for (i = 0; i < 9; ++i) {
        assert_int_equal(inbox.calls[i]->rc, CG_E_SHUTDOWN);
        sent += (size_t)inbox.calls[i]->sent;
    }
    assert_int_equal(sent, 4);
}

static void *stop_slowly(void *data)
{
    upstream_stop(data, WAIT_MS);
    return NULL;
}

static void stop_lets_calls_in_flight_end(void **state)
{
    struct upstream_endpoint endpoint = endpoint_for("gate");
    struct upstream *upstream, *handle;
    pthread_t stopper;

    (void)state;
    endpoint.max_concurrent = 1;
    upstream = handle = start(&endpoint);
    upstream_submit(upstream, call_new(&inbox, read_op));
    bad_server_wait(&server, &server.concurrent, 1);
    upstream_submit(upstream, call_new(&inbox, read_op));
    assert_int_equal(pthread_create(&stopper, NULL, stop_slowly, &handle), 0);
    wait_for_outcomes(&inbox, 1); /* the one that waited: the stop has begun */
    expect(inbox.calls[0], CG_E_SHUTDOWN, 0);
    expect(read_once(upstream), CG_E_SHUTDOWN, 0);
    bad_server_open_gate(&server);
    pthread_join(stopper, NULL);
    wait_for_outcomes(&inbox, 3);
    expect(inbox.calls[2], CG_OK, 1);
}

static void *submit_until_stopped(void *data)
{
    struct upstream *upstream = data;
    struct inbox *own = calloc(1, sizeof(*own));
    size_t i;
    int rc = CG_OK;

    inbox_init(own);
    for (i = 0; rc != CG_E_SHUTDOWN && i < OUTCOMES_MAX; ++i)
        rc = perform(upstream, call_new(own, read_op))->rc;
    inbox_release(own);
    free(own);
    return (void *)(intptr_t)rc;
}

/* A call behind the gate keeps the stop from ending before every thread has seen it. */
static void stop_while_others_submit(void **state)
{
    struct upstream_endpoint endpoints[2] = {endpoint_for("gate"), endpoint_for("gate")};
    char open_url[256], error[256];
    struct upstream *upstream = NULL, *handle;
    struct upstream_call *gated;
    pthread_t threads[THREADS], stopper;
    void *last;
    int i;

    (void)state;
    snprintf(open_url, sizeof(open_url), "http://127.0.0.1:%d/reply/services", server.port);
    endpoints[0].url = open_url;
    assert_int_equal(upstream_start(&upstream, endpoints, 2, error, sizeof(error)), CG_OK);
    handle = upstream;
    gated = call_new(&inbox, read_op);
    gated->endpoint = 1;
    upstream_submit(upstream, gated);
    bad_server_wait(&server, &server.concurrent, 1);
    for (i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_until_stopped, upstream), 0);
    bad_server_wait(&server, &server.requests, 50);
    assert_int_equal(pthread_create(&stopper, NULL, stop_slowly, &handle), 0);
    for (i = 0; i < THREADS; ++i) {
        pthread_join(threads[i], &last);
        assert_int_equal((intptr_t)last, CG_E_SHUTDOWN);
    }
    bad_server_open_gate(&server);
    pthread_join(stopper, NULL);
    wait_for_outcomes(&inbox, 1);
    expect(gated, CG_OK, 1);
}

/* ---- settings ---- */

static void expect_refused_settings(const struct upstream_endpoint *endpoint, int rc,
                                    const char *secret)
{
    struct upstream *upstream = NULL;
    char error[256] = "";

    assert_int_equal(upstream_start(&upstream, endpoint, 1, error, sizeof(error)), rc);
    assert_null(upstream);
    assert_non_null(strstr(error, "\"test\""));
    assert_null(strstr(error, secret));
}

static void bad_settings_are_refused_at_the_start(void **state)
{
    static const char *const urls[] = {
        NULL,
        "",
        "ftp://127.0.0.1/x",
        "http://user:hunter2@127.0.0.1/x",
        "http://127.0.0.1/x?wsdl",
        "http://127.0.0.1/x#top",
        "http://127.0.0.1:99999/",
        "/only/a/path",
    };
    struct upstream_endpoint endpoint = endpoint_for("reply");
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); ++i) {
        endpoint.url = urls[i];
        expect_refused_settings(&endpoint, CG_E_INVALID, "hunter2");
    }
    endpoint = endpoint_for("reply");
    endpoint.max_concurrent = 0;
    expect_refused_settings(&endpoint, CG_E_INVALID, "hunter2");
    endpoint = endpoint_for("reply");
    endpoint.timeout_ms = 0;
    expect_refused_settings(&endpoint, CG_E_INVALID, "hunter2");
    endpoint = endpoint_for("reply");
    endpoint.tls.ca_file = "/nonexistent/ca.pem";
    expect_refused_settings(&endpoint, CG_E_IO, "hunter2");
    endpoint.tls.ca_file = SAMPLES "README.md";
    expect_refused_settings(&endpoint, CG_E_INVALID, "hunter2");
}

/* ---- TLS ---- */

static char directory[] = "/tmp/cctgate-test-XXXXXX";
static struct certificate ca, other_ca, good, wrong_host, expired, foreign, client;

static int make_certificates(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    certificate_make(&ca, NULL, directory, "ca", NULL, DAY_S);
    certificate_make(&other_ca, NULL, directory, "other-ca", NULL, DAY_S);
    certificate_make(&good, &ca, directory, "good", "IP:127.0.0.1", DAY_S);
    certificate_make(&wrong_host, &ca, directory, "wrong-host", "DNS:elsewhere.example", DAY_S);
    certificate_make(&expired, &ca, directory, "expired", "IP:127.0.0.1", -60);
    certificate_make(&foreign, &other_ca, directory, "foreign", "IP:127.0.0.1", DAY_S);
    certificate_make(&client, &ca, directory, "client", NULL, DAY_S);
    return 0;
}

static int remove_certificates(void **state)
{
    struct certificate *all[] = {&ca, &other_ca, &good, &wrong_host, &expired, &foreign, &client};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(all) / sizeof(all[0]); ++i)
        certificate_release(all[i]);
    return rmdir(directory);
}

static struct upstream_endpoint tls_endpoint(void)
{
    struct upstream_endpoint endpoint = endpoint_for("reply");

    snprintf(url, sizeof(url), "https://127.0.0.1:%d/reply/services", server.port);
    endpoint.tls.ca_file = ca.certificate_file;
    return endpoint;
}

/* Two calls with these settings against a server with this certificate. */
static void try_tls(const struct certificate *certificate, const char *client_ca_file,
                    struct upstream_tls tls, int rc, int sent)
{
    struct upstream_endpoint endpoint;
    struct upstream *upstream;

    bad_server_start(&server, certificate->certificate_file, certificate->key_file, client_ca_file);
    bad_server_set_reply(&server, 200, "text/xml", read_reply);
    endpoint = tls_endpoint();
    endpoint.tls = tls;
    upstream = start(&endpoint);
    expect(read_once(upstream), rc, sent);
    expect(read_once(upstream), rc, sent);
    if (rc == CG_OK)
        assert_int_equal(bad_server_read(&server, &server.connections), 1);
    else
        assert_int_equal(bad_server_read(&server, &server.requests), 0);
    upstream_stop(&upstream, 0);
    bad_server_stop(&server);
}

static void certificates_are_verified(void **state)
{
    struct upstream_tls ours = {.ca_file = ca.certificate_file};

    (void)state;
    inbox_init(&inbox);
    try_tls(&good, NULL, ours, CG_OK, 1);
    try_tls(&wrong_host, NULL, ours, CG_E_TLS, 0);
    try_tls(&expired, NULL, ours, CG_E_TLS, 0);
    try_tls(&foreign, NULL, ours, CG_E_TLS, 0);
    try_tls(&good, NULL, (struct upstream_tls){0}, CG_E_TLS,
            0); /* the system does not know our CA */
    inbox_release(&inbox);
}

static void client_certificates_are_shown(void **state)
{
    struct upstream_tls without = {.ca_file = ca.certificate_file}, with = without, pair = without;
    struct upstream_endpoint mismatched;

    (void)state;
    inbox_init(&inbox);
    with.certificate_file = client.certificate_file;
    with.key_file = client.key_file;
    try_tls(&good, ca.certificate_file, with, CG_OK, 1);
    try_tls(&good, ca.certificate_file, without, CG_E_TLS,
            1); /* TLS 1.3: known only after the request went out */
    pair.certificate_file = client.certificate_file;
    pair.key_file = good.key_file;
    mismatched = tls_endpoint();
    mismatched.tls = pair;
    expect_refused_settings(&mismatched, CG_E_INVALID, "hunter2");
    inbox_release(&inbox);
}

static void tls_without_tls_there(void **state)
{
    struct upstream_endpoint endpoint;
    struct upstream *upstream;

    (void)state;
    inbox_init(&inbox);
    bad_server_start(&server, NULL, NULL, NULL);
    endpoint = tls_endpoint();
    endpoint.timeout_ms = 300; /* the server waits for the end of a header that never comes */
    upstream = start(&endpoint);
    expect(read_once(upstream), CG_E_TIMEOUT, 0);
    upstream_stop(&upstream, 0);
    bad_server_stop(&server);
    inbox_release(&inbox);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

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
        WITH_SERVER(never_more_than_the_cap_at_once),
        WITH_SERVER(endpoints_do_not_share_their_caps),
        WITH_SERVER(the_deadline_counts_in_the_queue),
        cmocka_unit_test(the_queue_keeps_both_orders),
        WITH_SERVER(many_calls_from_many_threads),
        WITH_SERVER(an_ended_call_can_be_given_away_again),
        WITH_SERVER(stop_answers_everything),
        WITH_SERVER(stop_lets_calls_in_flight_end),
        WITH_SERVER(stop_while_others_submit),
        WITH_SERVER(bad_settings_are_refused_at_the_start),
    };
    const struct CMUnitTest tls_tests[] = {
        cmocka_unit_test(certificates_are_verified),
        cmocka_unit_test(client_certificates_are_shown),
        cmocka_unit_test(tls_without_tls_there),
    };
    int failed =
        cmocka_run_group_tests_name("upstream transport", tests, set_up_all, tear_down_all);

    if (set_up_all(NULL) != 0)
        return 1;
    failed += cmocka_run_group_tests_name("upstream transport, TLS", tls_tests, make_certificates,
                                          remove_certificates);
    tear_down_all(NULL);
    return failed;
}
