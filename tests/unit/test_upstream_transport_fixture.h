/*
 * What the transport's tests share: the operations and sample replies they use, a server that
 * misbehaves, an inbox for outcomes, and short ways to start a transport and to make a call. Each
 * test program has its own copy.
 */
#ifndef CCTGATE_TESTS_UPSTREAM_TRANSPORT_FIXTURE_H
#define CCTGATE_TESTS_UPSTREAM_TRANSPORT_FIXTURE_H

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
#include "tests/unit/misbehaving_server.h"

#define WAIT_MS      20000
#define OUTCOMES_MAX 2048
#define SAMPLES      "conf/contract/cct/samples/"

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

static inline char *read_file(const char *name)
{
    FILE *file = fopen(name, "re");
    char *text = calloc(1, 65536);

    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

static inline int set_up_all(void **state)
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

static inline int tear_down_all(void **state)
{
    (void)state;
    free(read_reply);
    free(void_reply);
    free(fault_reply);
    contract_free(&contract);
    return 0;
}

static inline void ring(void *data)
{
    uint64_t one = 1;

    assert_int_equal(write(((struct inbox *)data)->wake_fd, &one, sizeof(one)), sizeof(one));
}

static inline void inbox_init(struct inbox *box)
{
    box->count = 0;
    box->wake_fd = eventfd(0, EFD_CLOEXEC);
    assert_true(box->wake_fd >= 0);
    mailbox_init(&box->mailbox, ring, box);
}

static inline void inbox_release(struct inbox *box)
{
    size_t i;

    mailbox_deliver(&box->mailbox);
    for (i = 0; i < box->count; ++i)
        upstream_call_free(&box->calls[i]);
    mailbox_release(&box->mailbox);
    close(box->wake_fd);
}

static inline void on_outcome(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct inbox *box = call->data;

    assert_true(box->count < OUTCOMES_MAX);
    box->calls[box->count++] = call;
}

static inline void wait_for_outcomes(struct inbox *box, size_t count)
{
    while (box->count < count) {
        struct pollfd watched = {.fd = box->wake_fd, .events = POLLIN};
        uint64_t rings;
        assert_int_equal(poll(&watched, 1, WAIT_MS), 1);
        assert_int_equal(read(box->wake_fd, &rings, sizeof(rings)), sizeof(rings));
        mailbox_deliver(&box->mailbox);
    }
}

static inline int set_up(void **state)
{
    (void)state;
    inbox_init(&inbox);
    bad_server_start(&server, NULL, NULL, NULL);
    bad_server_set_reply(&server, 200, "text/xml; charset=utf-8", read_reply);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    bad_server_stop(&server);
    inbox_release(&inbox);
    return 0;
}

static char url[256];

static inline struct upstream_endpoint endpoint_for(const char *part)
{
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/%s/services", server.port, part);
    return (struct upstream_endpoint){.name = "test",
                                      .url = url,
                                      .max_concurrent = 4,
                                      .connect_timeout_ms = 10000,
                                      .timeout_ms = 10000};
}

static inline struct upstream *start(const struct upstream_endpoint *endpoint)
{
    struct upstream *upstream = NULL;
    char error[256] = "";

    if (upstream_start(&upstream, endpoint, 1, error, sizeof(error)) != CG_OK)
        fail_msg("%s", error);
    return upstream;
}

static inline struct upstream *start_for(const char *part)
{
    struct upstream_endpoint endpoint = endpoint_for(part);

    return start(&endpoint);
}

static inline struct upstream_call *call_new(struct inbox *box, const struct contract_operation *op)
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
static inline struct upstream_call *perform(struct upstream *upstream, struct upstream_call *call)
{
    struct inbox *box = call->data;
    size_t before = box->count;

    upstream_submit(upstream, call);
    wait_for_outcomes(box, before + 1);
    return box->calls[before];
}

static inline struct upstream_call *read_once(struct upstream *upstream)
{
    return perform(upstream, call_new(&inbox, read_op));
}

static inline struct upstream_call *command_new(void)
{
    struct upstream_call *call = call_new(&inbox, read_op);

    call->command = 1;
    return call;
}

static inline void expect(const struct upstream_call *call, int rc, int sent)
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
static inline struct upstream_call *try_part(const char *part, int rc, int sent)
{
    struct upstream *upstream = start_for(part);
    struct upstream_call *call = read_once(upstream);

    expect(call, rc, sent);
    upstream_stop(&upstream, 0);
    assert_null(upstream);
    return call;
}

static inline void expect_refused_settings(const struct upstream_endpoint *endpoint, int rc,
                                           const char *secret)
{
    struct upstream *upstream = NULL;
    char error[256] = "";

    assert_int_equal(upstream_start(&upstream, endpoint, 1, error, sizeof(error)), rc);
    assert_null(upstream);
    assert_non_null(strstr(error, "\"test\""));
    assert_null(strstr(error, secret));
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
