/*
 * Events through a whole front. What is checked is what is promised: each client gets what its token sees and its filter names, in
 * order, once, with no hole between snapshot, replay and live.
 */
#include "test_events_hub_fixture.h"

static void test_live(void **cmocka)
{
    struct fixture f;
    struct peer all, other;
    size_t i;
    (void)cmocka;

    start(&f, 2, "");
    connect_with(&all, &f, "token-a", 0);
    connect_with(&other, &f, "token-b", 0);
    subscribe(&all, "\"id\":\"x\"");
    subscribe(&all, "\"id\":\"y\",\"types\":[\"cct.agent.property\"]");
    subscribe(&other, "\"id\":\"x\",\"subjects\":[\"/v1/calls\"]");
    publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, SEEN_BY_BOTH, 0);
    publish_one(&f, EVENT_AGENT_PROPERTY, "/v1/agents/1", "readyStatus", SEEN_BY_BOTH, 0);
    publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/2", NULL, 1, 0);
    publish_one(&f, EVENT_CONNECTION_STATE, "/v1/calls/3", NULL, 2, 0);
    assert_int_equal(event_seq(&all, "x"), 1);
    assert_int_equal(event_seq(&all, "x"), 2);
    assert_int_equal(event_seq(&all, "y"), 2);
    assert_int_equal(event_seq(&all, "x"), 3);
    assert_int_equal(event_seq(&other, "x"), 1);
    assert_int_equal(event_seq(&other, "x"), 4);
    send_frame(&all, 1, "{\"op\":\"unsubscribe\",\"id\":\"x\"}");
    json_decref(receive(&all, "unsubscribed"));
    for (i = 0; i < 100; ++i)
        publish_one(&f, EVENT_AGENT_PROPERTY, "/v1/agents/1", "readyStatus", SEEN_BY_BOTH, 0);
    expect_events(&all, "y", 5, 104);
    disconnect(&all);
    disconnect(&other);
    stop(&f);
}

static void test_batches(void **cmocka)
{
    struct spec batch[200];
    struct fixture f;
    struct peer peers[20];
    size_t i;
    uint64_t seq;
    (void)cmocka;

    start(&f, 2, "");
    for (i = 0; i < 200; ++i)
        batch[i] =
            (struct spec){EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, NULL, SEEN_BY_BOTH, i * 20};
    for (i = 0; i < 20; ++i) {
        connect_with(&peers[i], &f, "token-a", 0);
        subscribe(&peers[i], i % 2 ? "\"id\":\"odd\"" : "\"id\":\"even\"");
    }
    publish(&f, batch, 200);
    publish(&f, batch, 200);
    for (seq = 1; seq <= 400; ++seq) /* all of them read all the time: none is slow */
        for (i = 0; i < 20; ++i)
            assert_int_equal(event_seq(&peers[i], i % 2 ? "odd" : "even"), seq);
    for (i = 0; i < 20; ++i)
        disconnect(&peers[i]);
    assert_int_equal(COUNTER(&f, event_clients_slow), 0);
    assert_true(COUNTER(&f, event_overruns) > 0);
    stop(&f);
}

static void test_resume(void **cmocka)
{
    struct fixture f;
    struct peer peer;
    char since[128];
    size_t i;
    (void)cmocka;

    start(&f, 1, "");
    for (i = 0; i < 3000; ++i)
        state(&f);
    connect_with(&peer, &f, "token-a", 0);
    assert_int_equal(peer.seq, 3000);
    snprintf(since, sizeof(since), "\"id\":\"r\",\"since\":\"%" PRIu64 "-%d\"", f.epoch, 10);
    subscribe(&peer, since);
    for (i = 0; i < 500; ++i)
        state(&f);
    expect_events(&peer, "r", 11, 3500);
    state(&f);
    expect_events(&peer, "r", 3501, 3501);
    snprintf(since, sizeof(since), "\"id\":\"now\",\"since\":\"%" PRIu64 "-%d\"", f.epoch, 3501);
    subscribe(&peer, since);
    state(&f);
    expect_events(&peer, "r", 3502, 3502);
    expect_events(&peer, "now", 3502, 3502);
    disconnect(&peer);
    stop(&f);
}

/* The writer goes on while clients come, resume somewhere, and go. */
struct writer {
    pthread_t thread;
    struct fixture *f;
    atomic_int stop;
};

static void *write_on(void *data)
{
    struct writer *writer = data;
    while (!atomic_load(&writer->stop))
        state(writer->f);
    return NULL;
}

static void test_resume_while_events_come(void **cmocka)
{
    struct fixture f;
    struct writer writer = {.f = &f};
    uint64_t had = 0;
    unsigned round;
    (void)cmocka;

    start(&f, 2, "\"maxQueuedFrames\":100000,\"maxQueuedKiB\":65536");
    atomic_init(&writer.stop, 0);
    assert_int_equal(pthread_create(&writer.thread, NULL, write_on, &writer), 0);
    for (round = 0; round < 60; ++round) {
        char since[128];
        struct peer peer;
        unsigned i;
        connect_with(&peer, &f, "token-a", 0);
        snprintf(since, sizeof(since), "\"id\":\"r\",\"since\":\"%" PRIu64 "-%" PRIu64 "\"",
                 f.epoch, had);
        subscribe(&peer, since);
        for (i = 0; i < 50 + round * 3; ++i)
            assert_int_equal(event_seq(&peer, "r"), ++had);
        disconnect(&peer);
    }
    atomic_store(&writer.stop, 1);
    pthread_join(writer.thread, NULL);
    stop(&f);
}

/* One agent's value grows with every event about it: a snapshot must not be older than the event before, nor newer than the one after. */
static void grow_one(struct fixture *f, unsigned n)
{
    char id[16], subject[32], body[2200];
    struct spec spec = {EVENT_AGENT_STATE, subject, id, NULL, 1, 0};
    struct record record = {.user = 1, .provenance = PROVENANCE_EVENT, .body = body};
    struct store_txn *txn;
    struct event *event;

    snprintf(id, sizeof(id), "%u", 1000 + n % 600);
    snprintf(subject, sizeof(subject), "/v1/agents/%s", id);
    record.fetched_at_ms = clock_unix_ms();
    record.expires_at_ms = record.fetched_at_ms + 600000;
    record.body_length = (size_t)snprintf(
        body, sizeof(body), "{\"loginId\":\"%s\",\"value\":%" PRIu64 ",\"padding\":\"%02000d\"}",
        id, f->seq + 1, 0);
    assert_int_equal(store_begin(f->store, &txn), CG_OK);
    assert_int_equal(store_put(txn, RECORD_AGENT, id, strlen(id), &record), CG_OK);
    event = append(f, txn, &spec);
    assert_int_equal(store_commit(&txn), CG_OK);
    fronts_publish(f->fronts, &event, 1);
    event_unref(&event);
}

static void *grow(void *data)
{
    struct writer *writer = data;
    unsigned n = 0;

    while (!atomic_load(&writer->stop))
        grow_one(writer->f, n++);
    return NULL;
}

static void check_snapshot(struct fixture *f)
{
    uint64_t seq = 0;
    size_t items = 0, parts = 0, after = 0;
    struct peer peer;
    int more = 1;

    connect_with(&peer, f, "token-a", 0);
    subscribe(&peer, "\"id\":\"s\",\"snapshot\":true");
    while (more || after < 200) {
        unsigned code;
        json_t *json = receive_or_close(&peer, &code), *item;
        size_t i;
        assert_non_null(json);
        if (strcmp(json_string_value(json_object_get(json, "op")), "event") == 0) {
            uint64_t at = number(json_object_get(json, "event"), "seq");
            assert_true(seq == 0 || at == seq + 1); /* no hole, nothing twice */
            seq = at;
            after += !more;
        } else {
            uint64_t at = number(json, "seq");
            assert_true(seq == 0 || at == seq);
            seq = at;
            json_array_foreach(json_object_get(json, "items"), i, item)
                assert_true(number(json_object_get(item, "data"), "value") <= at);
            items += json_array_size(json_object_get(json, "items"));
            more = json_is_true(json_object_get(json, "more"));
            ++parts;
        }
        json_decref(json);
    }
    assert_int_equal(items, 600);
    assert_true(parts > 4);
    disconnect(&peer);
}

static void test_snapshot_while_events_come(void **cmocka)
{
    struct fixture f;
    struct writer writer = {.f = &f};
    unsigned i;
    (void)cmocka;

    start(&f, 2, "\"maxQueuedFrames\":100000,\"maxQueuedKiB\":65536");
    for (i = 0; i < 600; ++i) {
        char id[16];
        snprintf(id, sizeof(id), "%u", 1000 + i);
        put_agent(&f, id, 0, 1);
        grow_one(&f, i); /* so large that they are not all in one message */
    }
    atomic_init(&writer.stop, 0);
    assert_int_equal(pthread_create(&writer.thread, NULL, grow, &writer), 0);
    for (i = 0; i < 5; ++i)
        check_snapshot(&f);
    atomic_store(&writer.stop, 1);
    pthread_join(writer.thread, NULL);
    stop(&f);
}

static void test_expired(void **cmocka)
{
    struct fixture f;
    struct peer peer;
    struct store_txn *txn;
    char since[128];
    unsigned dropped, i;
    json_t *gap;
    (void)cmocka;

    start(&f, 1, "");
    put_agent(&f, "1000", 7, 1);
    put_agent(&f, "2000", 7, 2);
    for (i = 0; i < 20; ++i)
        state(&f);
    assert_int_equal(store_begin(f.store, &txn), CG_OK);
    assert_int_equal(store_log_trim(txn, 5, UINT64_MAX, 100, &dropped), CG_OK);
    assert_int_equal(store_commit(&txn), CG_OK);
    assert_int_equal(dropped, 15);
    connect_with(&peer, &f, "token-a", 0);
    snprintf(since, sizeof(since), "\"id\":\"in\",\"since\":\"%" PRIu64 "-15\"", f.epoch);
    subscribe(&peer, since);
    expect_events(&peer, "in", 16, 20);
    snprintf(since, sizeof(since), "\"id\":\"out\",\"since\":\"%" PRIu64 "-14\"", f.epoch);
    subscribe(&peer, since);
    gap = receive(&peer, "gap");
    assert_string_equal(json_string_value(json_object_get(gap, "reason")), "expired");
    json_decref(gap);
    gap = receive(&peer, "snapshot");
    assert_int_equal(number(gap, "seq"), 20);
    assert_int_equal(json_array_size(json_object_get(gap, "items")), 1); /* not that of user 2 */
    json_decref(gap);
    state(&f);
    expect_events(&peer, "in", 21, 21);
    expect_events(&peer, "out", 21, 21);
    disconnect(&peer);
    stop(&f);
}

/* ---- health ---- */

struct obstacle {
    struct message message;
    atomic_int reached, lifted;
};

static void on_obstacle(struct message *message)
{
    struct obstacle *obstacle = (struct obstacle *)message;
    atomic_store(&obstacle->reached, 1);
    while (!atomic_load(&obstacle->lifted))
        usleep(1000);
}

/* The one that hangs counts, not those that turn. */
static void a_front_that_hangs_is_noticed(void **state)
{
    struct obstacle obstacle = {.message = {.on_deliver = on_obstacle}};
    struct fixture f;
    int64_t hung;

    (void)state;
    start(&f, 2, "");
    mailbox_send(&f.fronts->front[1].mailbox, &obstacle.message);
    while (!atomic_load(&obstacle.reached))
        usleep(1000);
    hung = atomic_load(&f.fronts->front[1].last_turn_ms);
    while (atomic_load(&f.fronts->front[0].last_turn_ms) < hung + 500)
        usleep(1000);
    assert_int_equal(fronts_last_turn_ms(f.fronts), hung);
    atomic_store(&obstacle.lifted, 1);
    while (fronts_last_turn_ms(f.fronts) < hung + 500)
        usleep(1000);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_front_that_hangs_is_noticed),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_resume_while_events_come),
        cmocka_unit_test(test_snapshot_while_events_come),
        cmocka_unit_test(test_expired),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
