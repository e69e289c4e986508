/* Clients of events that read slowly or not at all: each costs a bounded queue, and the others wait for none of them. */
#include "test_events_hub_fixture.h"

static void test_slow_client(void **cmocka)
{
    struct fixture f;
    struct peer slow, good;
    unsigned code = 0;
    uint64_t last = 0;
    char since[128];
    json_t *json;
    (void)cmocka;

    start(&f, 1, "\"maxQueuedFrames\":64,\"maxQueuedKiB\":1024");
    connect_with(&slow, &f, "token-a", 4096);
    connect_with(&good, &f, "token-a", 0);
    subscribe(&slow, "\"id\":\"s\"");
    subscribe(&good, "\"id\":\"g\"");
    while (COUNTER(&f, event_clients_slow) == 0) {
        publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, 1, 8000);
        assert_int_equal(event_seq(&good, "g"), f.seq);
        if (f.seq > 1500) /* its buffers and its queue are full: it has a moment now */
            usleep(10000);
    }
    while ((json = receive_or_close(&slow, &code)) != NULL) {
        uint64_t seq = number(json_object_get(json, "event"), "seq");
        assert_int_equal(seq, last + 1);
        last = seq;
        json_decref(json);
    }
    assert_int_equal(code, 4408);
    assert_true(last < f.seq);
    disconnect(&slow);
    connect_with(&slow, &f, "token-a", 4096); /* and it comes back */
    snprintf(since, sizeof(since), "\"id\":\"s\",\"since\":\"%" PRIu64 "-%" PRIu64 "\"", f.epoch,
             last);
    subscribe(&slow, since);
    expect_events(&slow, "s", last + 1, f.seq);
    disconnect(&slow);
    disconnect(&good);
    stop(&f);
}

/* One that never reads at all is cut, and what it was owed is given back. */
static void test_client_that_never_reads(void **cmocka)
{
    struct fixture f;
    struct peer peer;
    (void)cmocka;

    start(&f, 1, "\"maxQueuedFrames\":16");
    connect_with(&peer, &f, "token-a", 4096);
    subscribe(&peer, "\"id\":\"s\"");
    while (f.seq < 1500)
        publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, 1, 8000);
    wait_for(&f, offsetof(struct front_counters, event_clients), 0);
    assert_int_equal(COUNTER(&f, event_clients_slow), 1);
    disconnect(&peer);
    stop(&f);
}

/* Replay is paced by the client: a long log does not look like a slow client. */
static void test_replay_of_more_than_the_queue(void **cmocka)
{
    struct fixture f;
    struct peer peer;
    char since[128];
    size_t i;
    (void)cmocka;

    start(&f, 1, "\"maxQueuedFrames\":16,\"maxQueuedKiB\":16");
    for (i = 0; i < 2000; ++i)
        publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, 1, 2000);
    connect_with(&peer, &f, "token-a", 4096);
    snprintf(since, sizeof(since), "\"id\":\"r\",\"since\":\"%" PRIu64 "-0\"", f.epoch);
    subscribe(&peer, since);
    expect_events(&peer, "r", 1, 2000);
    assert_int_equal(COUNTER(&f, event_clients_slow), 0);
    assert_int_equal(COUNTER(&f, events_replayed), 2000);
    disconnect(&peer);
    stop(&f);
}

/* Property events are replaced by the newest, state events are all there, and the order is that of the log. */
static void test_coalescing(void **cmocka)
{
    struct fixture f;
    struct peer peer, witness;
    uint64_t last = 0, states = 0, told = 0, sent_states = 0;
    unsigned i;
    (void)cmocka;

    start(&f, 1, "\"maxQueuedFrames\":100,\"maxQueuedKiB\":100000");
    connect_with(&peer, &f, "token-a", 4096);
    subscribe(&peer, "\"id\":\"c\"");
    connect_with(&witness, &f, "token-a", 0);
    subscribe(&witness, "\"id\":\"w\",\"types\":[\"cct.system\"]");
    for (i = 0; i < 4000; ++i) {
        if (COUNTER(&f, event_frames) < 5) /* until the sockets' buffers are full */
            usleep(100);
        if (i % 200 == 100 && sent_states < 20) {
            publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, 1, 0);
            ++sent_states;
        } else {
            publish_one(&f, EVENT_AGENT_PROPERTY, "/v1/agents/1", i % 2 ? "odd" : "even", 1, 4000);
        }
    }
    publish_one(&f, EVENT_SYSTEM, "/v1/sessions", NULL, 1, 0);
    expect_events(&witness, "w", f.seq, f.seq); /* all of them have been queued before it */
    while (last < f.seq) {
        json_t *json = receive(&peer, "event"), *event = json_object_get(json, "event");
        uint64_t seq = number(event, "seq");
        assert_true(seq > last);
        last = seq;
        assert_int_equal(number(json, "coalesced"), number(event, "coalesced"));
        told += 1 + number(json, "coalesced");
        states += strlen(json_string_value(json_object_get(event, "padding"))) == 0;
        json_decref(json);
    }
    assert_int_equal(states, sent_states + 1);
    assert_int_equal(told, f.seq);
    assert_int_equal(COUNTER(&f, event_clients_slow), 0);
    disconnect(&peer);
    disconnect(&witness);
    wait_for(&f, offsetof(struct front_counters, event_clients), 0);
    assert_true(COUNTER(&f, events_coalesced) > 1000);
    stop(&f);
}

static void test_stop_with_clients(void **cmocka)
{
    struct fixture f;
    struct peer peers[10];
    unsigned code, i;
    (void)cmocka;

    start(&f, 2, "");
    for (i = 0; i < 10; ++i) {
        connect_with(&peers[i], &f, "token-a", 0);
        subscribe(&peers[i], "\"id\":\"x\"");
    }
    fronts_stop(f.fronts, 1000);
    state(&f); /* the owner goes on for a moment */
    for (i = 0; i < 10; ++i) {
        json_decref(receive(&peers[i], "closing"));
        assert_null(receive_or_close(&peers[i], &code));
        assert_int_equal(code, 1012);
        disconnect(&peers[i]);
    }
    fronts_free(&f.fronts);
    policy_unref(&f.policy);
    config_unref(&f.config);
    store_close(&f.store);
    remove_tree(f.directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_client),
        cmocka_unit_test(test_client_that_never_reads),
        cmocka_unit_test(test_replay_of_more_than_the_queue),
        cmocka_unit_test(test_coalescing),
        cmocka_unit_test(test_stop_with_clients),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
