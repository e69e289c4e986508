/* The queue of a client: bounds, order, what may take the place of what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/events/label.h"
#include "gateway/events/queue.h"

#define EPOCH 7

static struct label_table labels;

static struct frame *make(uint64_t seq, enum event_type type, const char *subject,
                          const char *property, const char *id)
{
    static const uint32_t user = 1;
    char json[64];
    struct event_parts parts = {.seq = seq,
                                .type = type,
                                .subject = subject,
                                .property = property,
                                .users = &user,
                                .num_users = 1,
                                .json = json};
    struct label *label = label_get(&labels, LABEL_WEBSOCKET, id, strlen(id));
    struct event *event;
    struct frame *frame;

    parts.json_length = (size_t)snprintf(json, sizeof(json), "{\"n\":%d}", (int)seq);
    event = event_new(&parts);
    assert_non_null(event);
    frame = frame_event(label, event, 0, EPOCH);
    event_unref(&event);
    label_unref(&label);
    return frame;
}

static int push(struct queue *queue, struct frame *frame)
{
    int rc = queue_push(queue, frame);
    frame_unref(&frame);
    return rc;
}

static int push_state(struct queue *queue, uint64_t seq)
{
    return push(queue, make(seq, EVENT_CONNECTION_STATE, "/v1/calls/1", NULL, "\"a\""));
}

static int push_property(struct queue *queue, uint64_t seq, const char *property)
{
    return push(queue, make(seq, EVENT_AGENT_PROPERTY, "/v1/agents/1", property, "\"a\""));
}

/* All that is there, as JSON texts with commas between: "7*2" is event 7 that stands for 2 more. */
static long number_at(const char *at, const char *end)
{
    long number = 0;
    for (; at < end && *at >= '0' && *at <= '9'; ++at)
        number = number * 10 + (*at - '0');
    return number;
}

static void drain(struct queue *queue, char *out, size_t size)
{
    struct iovec vectors[4];
    size_t n, i;

    *out = '\0';
    while ((n = queue_take(queue, vectors, 4, 1000000, EPOCH)) > 0) {
        for (i = 0; i < n; ++i) {
            const char *at = memmem(vectors[i].iov_base, vectors[i].iov_len, "\"n\":", 4);
            const char *more =
                memmem(vectors[i].iov_base, vectors[i].iov_len, "\"coalesced\":", 12);
            size_t used = strlen(out);
            assert_non_null(at);
            snprintf(out + used, size - used, used > 0 ? ",%ld" : "%ld",
                     number_at(at + 4, (const char *)vectors[i].iov_base + vectors[i].iov_len));
            used = strlen(out);
            if (more != NULL)
                snprintf(
                    out + used, size - used, "*%ld",
                    number_at(more + 12, (const char *)vectors[i].iov_base + vectors[i].iov_len));
        }
        queue_written(queue);
    }
    assert_true(queue_is_idle(queue));
    assert_int_equal(queue->bytes, 0);
}

static void expect(struct queue *queue, const char *expected)
{
    char found[1000];
    drain(queue, found, sizeof(found));
    assert_string_equal(found, expected);
}

static void test_order(void **state)
{
    struct queue queue;
    uint64_t seq;
    (void)state;

    queue_init(&queue, 100, 100000);
    for (seq = 1; seq <= 20; ++seq)
        assert_int_equal(push_state(&queue, seq), CG_OK);
    expect(&queue, "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20");
    expect(&queue, "");
    queue_release(&queue);
}

static void test_full(void **state)
{
    struct queue queue;
    uint64_t seq;
    (void)state;

    queue_init(&queue, 5, 100000);
    for (seq = 1; seq <= 5; ++seq)
        assert_int_equal(push_state(&queue, seq), CG_OK);
    assert_int_equal(push_state(&queue, 6), CG_E_BUSY);
    expect(&queue, "1,2,3,4,5");
    queue_release(&queue);
    queue_init(&queue, 100, 10); /* less than a frame: one is taken all the same */
    assert_int_equal(push_state(&queue, 1), CG_OK);
    assert_int_equal(push_state(&queue, 2), CG_E_BUSY);
    expect(&queue, "1");
    queue_release(&queue);
}

static void test_coalescing_begins_at_half(void **state)
{
    struct queue queue;
    uint64_t seq;
    (void)state;

    queue_init(&queue, 10, 100000);
    for (seq = 1; seq <= 5; ++seq)
        assert_int_equal(push_property(&queue, seq, "readyStatus"), CG_OK);
    assert_int_equal(queue.frames, 5);
    assert_int_equal(push_property(&queue, 6, "readyStatus"),
                     CG_OK); /* takes the place of all five */
    assert_int_equal(queue.frames, 1);
    for (seq = 7; seq <= 8; ++seq)
        push_property(&queue, seq, "readyStatus"); /* below half again */
    expect(&queue, "6*5,7,8");
    assert_int_equal(queue.coalesced, 5);
    queue_release(&queue);
}

static void test_what_takes_the_place_of_what(void **state)
{
    struct queue queue;
    (void)state;

    queue_init(&queue, 8, 100000);
    push_property(&queue, 1, "readyStatus");
    push_property(&queue, 2, "activityCode");
    push(&queue, make(3, EVENT_AGENT_PROPERTY, "/v1/agents/2", "readyStatus", "\"a\""));
    push(&queue, make(4, EVENT_AGENT_PROPERTY, "/v1/agents/1", "readyStatus", "\"b\""));
    push(&queue, make(5, EVENT_TERMINAL_PROPERTY, "/v1/agents/1", "readyStatus", "\"a\""));
    push_state(&queue, 6);
    push_property(&queue, 7, "readyStatus"); /* only of 1 */
    push_state(&queue, 8);
    push_property(&queue, 9, "readyStatus"); /* of 7, which stood for 1 */
    expect(&queue, "2,3,4,5,6,8,9*2");
    queue_release(&queue);
}

static void test_states_are_never_replaced(void **state)
{
    struct queue queue;
    uint64_t seq;
    (void)state;

    queue_init(&queue, 10, 100000);
    for (seq = 1; seq <= 10; ++seq)
        assert_int_equal(push_state(&queue, seq), CG_OK);
    assert_int_equal(push_state(&queue, 11), CG_E_BUSY);
    assert_int_equal(push_property(&queue, 12, "readyStatus"), CG_E_BUSY);
    expect(&queue, "1,2,3,4,5,6,7,8,9,10");
    queue_release(&queue);
}

/* A property that keeps changing never fills a queue, and its ring does not grow either. */
static void test_one_property_for_ever(void **state)
{
    struct queue queue;
    uint64_t seq;
    (void)state;

    queue_init(&queue, 16, 100000);
    for (seq = 1; seq <= 8; ++seq)
        push_state(&queue, seq);
    for (; seq <= 100000; ++seq)
        assert_int_equal(push_property(&queue, seq, "readyStatus"), CG_OK);
    assert_int_equal(queue.frames, 9);
    assert_true(queue.capacity <= 32);
    expect(&queue, "1,2,3,4,5,6,7,8,100000*99991");
    queue_release(&queue);
}

static void test_in_flight_is_not_touched(void **state)
{
    struct iovec vectors[2];
    struct queue queue;
    (void)state;

    queue_init(&queue, 4, 100000);
    push_property(&queue, 1, "readyStatus");
    push_property(&queue, 2, "readyStatus");
    assert_int_equal(queue_take(&queue, vectors, 1, 100000, EPOCH), 1);
    assert_int_equal(queue_take(&queue, vectors, 1, 100000, EPOCH), 0); /* one write at a time */
    push_property(&queue, 3, "readyStatus");
    assert_non_null(memmem(vectors[0].iov_base, vectors[0].iov_len, "\"n\":1", 5));
    queue_drop(&queue);
    assert_int_equal(queue.frames, 1);
    queue_written(&queue);
    expect(&queue, "");
    queue_release(&queue);
}

static void test_bytes_of_a_write(void **state)
{
    struct iovec vectors[10];
    struct queue queue;
    uint64_t seq;
    (void)state;

    queue_init(&queue, 100, 100000);
    for (seq = 1; seq <= 6; ++seq)
        push_state(&queue, seq);
    assert_int_equal(queue_take(&queue, vectors, 10, 1, EPOCH), 1); /* one at least */
    queue_written(&queue);
    assert_int_equal(queue_take(&queue, vectors, 10, vectors[0].iov_len * 2, EPOCH), 2);
    queue_written(&queue);
    expect(&queue, "4,5,6");
    queue_release(&queue);
}

/* What is pulled is bounded by whoever pulls: it neither fills the queue nor gives way. */
static void test_pulled(void **state)
{
    struct queue queue;
    uint64_t seq;
    (void)state;

    queue_init(&queue, 4, 100000);
    for (seq = 1; seq <= 20; ++seq) {
        struct frame *frame = make(seq, EVENT_AGENT_PROPERTY, "/v1/agents/1", "x", "\"a\"");
        queue_push_pulled(&queue, frame);
        frame_unref(&frame);
    }
    for (; seq <= 24; ++seq)
        assert_int_equal(push_state(&queue, seq), CG_OK);
    assert_int_equal(push_property(&queue, 25, "x"), CG_E_BUSY);
    expect(&queue, "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24");
    queue_release(&queue);
}

static void test_only_the_newest_pong(void **state)
{
    struct iovec vectors[4];
    struct queue queue;
    (void)state;

    queue_init(&queue, 100, 100000);
    push(&queue, frame_pong("old", 3));
    push(&queue, frame_pong("new", 3));
    assert_int_equal(queue_take(&queue, vectors, 4, 1000, EPOCH), 1);
    assert_memory_equal(vectors[0].iov_base, "\x8a\x03new", 5);
    queue_release(&queue);
}

static void test_frame_lengths(void **state)
{
    static const struct {
        size_t length;
        const char *head;
        size_t head_length;
    } rows[] = {{0, "\x81\x00", 2},
                {125, "\x81\x7d", 2},
                {126, "\x81\x7e\x00\x7e", 4},
                {65535, "\x81\x7e\xff\xff", 4},
                {65536, "\x81\x7f\0\0\0\0\0\x01\0\0", 10}};
    char *payload = calloc(1, 65536);
    size_t i;
    (void)state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        struct frame *frame = frame_websocket(FRAME_TEXT, payload, rows[i].length);
        assert_int_equal(frame->length, rows[i].head_length + rows[i].length);
        assert_memory_equal(frame->bytes, rows[i].head, rows[i].head_length);
        frame_unref(&frame);
    }
    free(payload);
}

static void expect_frame(struct frame *frame, const char *text)
{
    assert_int_equal(frame->length, strlen(text));
    assert_memory_equal(frame->bytes, text, strlen(text));
    frame_unref(&frame);
}

static void test_server_sent_events(void **state)
{
    struct label *with_id = label_get(&labels, LABEL_SSE, "", 0);
    struct label *without = label_get(&labels, LABEL_SSE_NO_ID, "", 0);
    struct event_parts parts = {.seq = 9,
                                .type = EVENT_SYSTEM,
                                .subject = "/v1/sessions",
                                .json = "{\"a\":\n1}",
                                .json_length = 8};
    struct event *event = event_new(&parts);
    (void)state;

    assert_ptr_not_equal(with_id, without);
    expect_frame(frame_event(with_id, event, 0, 7),
                 "id: 7-9\nevent: cct.system\ndata: {\"a\": 1}\n\n");
    expect_frame(frame_event(without, event, 0, 7), "event: cct.system\ndata: {\"a\": 1}\n\n");
    expect_frame(frame_event(without, event, 3, 7),
                 "event: cct.system\ndata: {\"a\": 1,\"coalesced\":3}\n\n");
    expect_frame(frame_message(LABEL_SSE, "gap", "7-1", "{\"b\":2}", 7),
                 "id: 7-1\nevent: gap\ndata: {\"b\":2}\n\n");
    event_unref(&event);
    label_unref(&with_id);
    label_unref(&without);
}

/* One frame for each event and id in a batch, whoever asks for it. */
static void test_labels_share(void **state)
{
    struct label *a = label_get(&labels, LABEL_WEBSOCKET, "\"a\"", 3);
    struct label *again = label_get(&labels, LABEL_WEBSOCKET, "\"a\"", 3);
    struct label *b = label_get(&labels, LABEL_WEBSOCKET, "\"b\"", 3);
    struct event_parts parts = {
        .type = EVENT_SYSTEM, .subject = "/", .json = "{}", .json_length = 2};
    struct event *events[2] = {event_new(&parts), event_new(&parts)};
    struct label_batch batch = {.number = 1, .events = events, .num_events = 2};
    struct frame *frame;
    (void)state;

    assert_ptr_equal(a, again);
    frame = label_frame(a, &batch, 1);
    assert_ptr_equal(label_frame(again, &batch, 1), frame);
    assert_ptr_not_equal(label_frame(a, &batch, 0), frame);
    assert_ptr_not_equal(label_frame(b, &batch, 1), frame);
    assert_int_equal(frame->references, 1);
    labels_forget(&batch);
    free(batch.touched);
    label_unref(&a);
    label_unref(&again);
    label_unref(&b);
    event_unref(&events[0]);
    event_unref(&events[1]);
    assert_int_equal(labels.count, 0);
}

static void test_many_labels(void **state)
{
    static struct label *many[5000];
    char id[16];
    size_t i;
    (void)state;

    for (i = 0; i < 5000; ++i) {
        snprintf(id, sizeof(id), "\"%zu\"", i);
        many[i] = label_get(&labels, LABEL_WEBSOCKET, id, strlen(id));
    }
    assert_int_equal(labels.count, 5000);
    for (i = 0; i < 5000; ++i) {
        struct label *same;
        snprintf(id, sizeof(id), "\"%zu\"", i);
        same = label_get(&labels, LABEL_WEBSOCKET, id, strlen(id));
        assert_ptr_equal(same, many[i]);
        label_unref(&same);
        label_unref(&many[i]);
    }
    assert_int_equal(labels.count, 0);
}

static int release_labels(void **state)
{
    (void)state;
    label_table_release(&labels);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_coalescing_begins_at_half),
        cmocka_unit_test(test_what_takes_the_place_of_what),
        cmocka_unit_test(test_states_are_never_replaced),
        cmocka_unit_test(test_one_property_for_ever),
        cmocka_unit_test(test_in_flight_is_not_touched),
        cmocka_unit_test(test_bytes_of_a_write),
        cmocka_unit_test(test_pulled),
        cmocka_unit_test(test_only_the_newest_pong),
        cmocka_unit_test(test_frame_lengths),
        cmocka_unit_test(test_server_sent_events),
        cmocka_unit_test(test_labels_share),
        cmocka_unit_test(test_many_labels),
    };
    return cmocka_run_group_tests(tests, NULL, release_labels);
}
