/*
 * The transport under load and at its end: caps, queue, deadlines, many threads, stopping; and
 * settings it refuses.
 */
#include "tests/unit/test_upstream_transport_fixture.h"

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

static void what_waits_is_turned_away_unsent(void **state)
{
    struct upstream *upstream = start_for("gate");
    size_t i;

    (void)state;
    for (i = 0; i < 10; ++i)
        upstream_submit(upstream, call_new(&inbox, read_op));
    bad_server_wait(&server, &server.concurrent, 4);
    upstream_turn_away(upstream, 0);
    wait_for_outcomes(&inbox, 6);
    for (i = 0; i < 6; ++i)
        expect(inbox.calls[i], CG_E_REFUSED, 0);
    upstream_submit(upstream, call_new(&inbox, read_op)); /* it came later, and is not meant */
    bad_server_open_gate(&server);
    wait_for_outcomes(&inbox, 11);
    for (i = 6; i < 11; ++i)
        expect(inbox.calls[i], CG_OK, 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(never_more_than_the_cap_at_once),
        WITH_SERVER(endpoints_do_not_share_their_caps),
        WITH_SERVER(what_waits_is_turned_away_unsent),
        WITH_SERVER(the_deadline_counts_in_the_queue),
        cmocka_unit_test(the_queue_keeps_both_orders),
        WITH_SERVER(many_calls_from_many_threads),
        WITH_SERVER(an_ended_call_can_be_given_away_again),
        WITH_SERVER(stop_answers_everything),
        WITH_SERVER(stop_lets_calls_in_flight_end),
        WITH_SERVER(stop_while_others_submit),
        WITH_SERVER(bad_settings_are_refused_at_the_start),
    };

    return cmocka_run_group_tests_name("upstream transport, queue", tests, set_up_all,
                                       tear_down_all);
}
