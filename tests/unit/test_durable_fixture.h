/* What the tests of durable.h share: a mailbox whose outcomes are counted, and short ways to write and to ask. */
#ifndef CCTGATE_TEST_DURABLE_FIXTURE_H
#define CCTGATE_TEST_DURABLE_FIXTURE_H

#include "test_store_fixture.h"

#include "cache/durable_private.h"

#include <semaphore.h>
#include <time.h>

enum { PATIENCE_S = 120 };

/* ---- waiting for outcomes ---- */

struct box {
    struct mailbox mailbox;
    sem_t woken;
    unsigned delivered, ok;
    int last_rc;
    char order[4096]; /* of the outcomes, as `data` says */
};

static inline void wake_box(void *data)
{
    sem_post(&((struct box *)data)->woken);
}

struct test {
    struct fixture *f;
    struct durable *durable;
    struct durable_settings settings;
    struct box box;
};

/* Whose box on_done fills: outcomes are delivered by the test's own thread. */
static struct test *test_of;

static inline void on_done(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct box *box = &test_of->box;
    if (done->data != NULL && box->delivered + 1 < sizeof(box->order))
        box->order[box->delivered] = *(const char *)done->data;
    box->delivered++;
    box->ok += done->rc == CG_OK;
    box->last_rc = done->rc;
    free(done);
}

static inline void wait_woken(struct box *box)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    assert_int_equal(sem_timedwait(&box->woken, &until), 0);
}

static inline void wait_for(struct test *t, unsigned delivered)
{
    for (;;) {
        mailbox_deliver(&t->box.mailbox);
        if (t->box.delivered >= delivered)
            break;
        wait_woken(&t->box);
    }
    assert_int_equal(t->box.delivered, delivered);
}

static inline void start(struct test *t)
{
    char error[CG_ERROR_TEXT_MAX] = "";
    int rc = durable_start(&t->durable, t->f->store, &t->settings, error, sizeof(error));
    assert_string_equal(error, "");
    assert_int_equal(rc, CG_OK);
}

static inline void stop(struct test *t)
{
    durable_stop(&t->durable);
    assert_null(t->durable);
    mailbox_deliver(&t->box.mailbox);
}

static inline void restart(struct test *t)
{
    stop(t);
    reopen(t->f);
    assert_false(t->f->opened.durable_set_aside);
    start(t);
}

static inline int setup_with(void **state, size_t map_bytes)
{
    struct test *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    fixture_setup((void **)&t->f);
    t->f->settings.cache_map_bytes = 2 * MIB;
    t->f->settings.durable_map_bytes = map_bytes;
    assert_int_equal(fixture_open(t->f), CG_OK);
    t->settings.max_audit_entries = 1000000;
    assert_int_equal(sem_init(&t->box.woken, 0, 0), 0);
    mailbox_init(&t->box.mailbox, wake_box, &t->box);
    test_of = t;
    start(t);
    *state = t;
    return 0;
}

static inline int setup(void **state)
{
    return setup_with(state, 16 * MIB);
}

static inline int teardown(void **state)
{
    struct test *t = *state;
    stop(t);
    fixture_teardown((void **)&t->f);
    mailbox_release(&t->box.mailbox);
    sem_destroy(&t->box.woken);
    free(t);
    return 0;
}

/* ---- short ways to write ---- */

static inline void give(struct test *t, struct durable_batch *batch)
{
    durable_submit(t->durable, batch, &t->box.mailbox, on_done, NULL);
}

static inline int give_and_wait(struct test *t, struct durable_batch *batch)
{
    unsigned delivered = t->box.delivered;
    give(t, batch);
    wait_for(t, delivered + 1);
    return t->box.last_rc;
}

static inline void put_text(struct durable_batch *batch, enum durable_table table, const char *key,
                            const char *value)
{
    durable_put(batch, table, key, strlen(key), value, strlen(value));
}

static inline void append_number(struct durable_batch *batch, unsigned number)
{
    durable_append(batch, json_pack("{s:i}", "n", (int)number));
}

static inline void put_filler(struct durable_batch *batch, enum durable_table table,
                              unsigned number, size_t length)
{
    static char value[CG_RECORD_BYTES_MAX];
    char key[16];
    memset(value, 'x', length);
    snprintf(key, sizeof(key), "row%06u", number);
    durable_put(batch, table, key, strlen(key), value, length);
}

/* A padded entry, so that few of them fill a map. */
static inline void append_filler(struct durable_batch *batch, unsigned number, size_t length)
{
    char *pad = malloc(length + 1);
    assert_non_null(pad);
    memset(pad, 'p', length);
    pad[length] = '\0';
    durable_append(batch, json_pack("{s:i, s:s}", "n", (int)number, "pad", pad));
    free(pad);
}

static inline void append_one_by_one(struct test *t, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        struct durable_batch *batch = durable_batch_new();
        append_number(batch, i);
        assert_int_equal(give_and_wait(t, batch), CG_OK);
    }
}

static inline struct durable_stats stats_now(struct test *t)
{
    struct durable_stats stats;
    durable_get_stats(t->durable, &stats);
    return stats;
}

static inline uint64_t corrupt_now(struct test *t)
{
    struct store_stats stats;
    store_get_stats(t->f->store, &stats);
    return stats.corrupt_records;
}

/* What happens by itself on the writer's thread. */
static inline void wait_for_entries(struct test *t, uint64_t entries)
{
    for (unsigned i = 0; stats_now(t).audit_entries != entries; i++) {
        assert_true(i < PATIENCE_S * 1000);
        usleep(1000);
    }
}

/* ---- short ways to read ---- */

/* "key=value;" of each row. */
struct rows {
    char text[8192];
    size_t length;
    unsigned count, stop_after;
};

static inline int on_row(void *data, const void *key, size_t key_length, const void *value,
                         size_t length)
{
    struct rows *rows = data;
    rows->count++;
    if (rows->length + key_length + length + 3 < sizeof(rows->text))
        rows->length += (size_t)snprintf(
            rows->text + rows->length, sizeof(rows->text) - rows->length, "%.*s=%.*s;",
            (int)key_length, (const char *)key, (int)length, (const char *)value);
    return rows->count == rows->stop_after;
}

static inline const struct rows *rows_of(struct test *t, enum durable_table table)
{
    static struct rows rows;
    rows = (struct rows){.count = 0};
    assert_int_equal(durable_walk(t->durable, table, on_row, &rows), CG_OK);
    return &rows;
}

#define assert_rows(t, table, expected) assert_string_equal(rows_of(t, table)->text, expected)

struct asked {
    struct durable_query query;
    int answered;
};

static inline void on_reply(struct message *message)
{
    ((struct asked *)message)->answered++;
}

static inline void ask(struct test *t, struct asked *asked, uint64_t before, unsigned limit,
                       unsigned look_at)
{
    asked->query.reply_to = &t->box.mailbox;
    asked->query.on_reply = on_reply;
    asked->query.before = before;
    asked->query.limit = limit;
    asked->query.look_at = look_at;
    durable_ask(t->durable, &asked->query);
}

static inline void wait_for_answer(struct test *t, struct asked *asked)
{
    while (mailbox_deliver(&t->box.mailbox), !asked->answered)
        wait_woken(&t->box);
    assert_int_equal(asked->answered, 1);
    assert_int_equal(asked->query.rc, CG_OK);
    assert_non_null(asked->query.items);
}

static inline json_int_t member(const json_t *items, size_t i, const char *name)
{
    return json_integer_value(json_object_get(json_array_get(items, i), name));
}

/* Asks for one page: how many there were; the numbers of the first and the last. */
struct page {
    size_t count;
    uint64_t first, last, next;
};

static inline struct page page_of(struct test *t, uint64_t before, unsigned limit, unsigned look_at,
                                  int (*matches)(const struct durable_query *query,
                                                 const json_t *entry))
{
    struct asked asked = {.query.matches = matches};
    ask(t, &asked, before, limit, look_at);
    wait_for_answer(t, &asked);
    struct page page = {.count = json_array_size(asked.query.items), .next = asked.query.next};
    if (page.count != 0) {
        page.first = (uint64_t)member(asked.query.items, 0, "seq");
        page.last = (uint64_t)member(asked.query.items, page.count - 1, "seq");
    }
    json_decref(asked.query.items);
    return page;
}

/* Every entry that is there, newest first, without a hole, and its own member "n" off by the same from its number. */
static inline uint64_t assert_no_holes(struct test *t, uint64_t last, uint64_t offset)
{
    uint64_t before = 0, expected = last;
    do {
        struct asked asked = {.answered = 0};
        ask(t, &asked, before, 100, 1000);
        wait_for_answer(t, &asked);
        for (size_t i = 0; i < json_array_size(asked.query.items); i++, expected--) {
            assert_int_equal(member(asked.query.items, i, "seq"), expected);
            assert_int_equal(member(asked.query.items, i, "n") + (json_int_t)offset, expected);
        }
        before = asked.query.next;
        json_decref(asked.query.items);
    } while (before != 0);
    assert_int_equal(stats_now(t).audit_last, last);
    assert_int_equal(stats_now(t).audit_entries, last - expected);
    return expected + 1;
}

/* Keeps the writer busy until it is let go: what is submitted meanwhile waits together. */
struct held {
    struct asked asked;
    sem_t entered, go;
};

static inline int hold_on(const struct durable_query *query, const json_t *entry)
{
    struct held *held = query->data;
    (void)entry;
    sem_post(&held->entered);
    sem_wait(&held->go);
    return 1;
}

static inline void hold(struct test *t, struct held *held)
{
    *held = (struct held){.asked.query = {.matches = hold_on, .data = held}};
    assert_int_equal(sem_init(&held->entered, 0, 0), 0);
    assert_int_equal(sem_init(&held->go, 0, 0), 0);
    ask(t, &held->asked, 0, 1, 1);
    assert_int_equal(sem_wait(&held->entered), 0);
}

static inline void let_go(struct test *t, struct held *held)
{
    sem_post(&held->go);
    wait_for_answer(t, &held->asked);
    json_decref(held->asked.query.items);
    sem_destroy(&held->entered);
    sem_destroy(&held->go);
}

#endif
