/* A small map, filled: what makes way, what is refused, what still works; and a disk that takes nothing. */
#include "test_durable_fixture.h"

#include <signal.h>
#include <sys/resource.h>

static int setup_small(void **state)
{
    return setup_with(state, MIB);
}

static unsigned fill_with_rows(struct test *t, enum durable_table table, size_t length)
{
    for (unsigned i = 0;; i++) {
        struct durable_batch *batch = durable_batch_new();
        put_filler(batch, table, i, length);
        int rc = give_and_wait(t, batch);
        if (rc != CG_OK) {
            assert_int_equal(rc, CG_E_FULL);
            return i;
        }
        assert_true(i < 100000);
    }
}

/* Rows that only grow in number push the audit log out, and are refused when it is gone; then each can still be taken away, with an entry. */
static void rows_push_the_audit_log_out(struct test *t, size_t length)
{
    unsigned entries = 300, count;
    for (unsigned i = 1; i <= entries; i++) {
        struct durable_batch *batch = durable_batch_new();
        append_filler(batch, i, 500);
        assert_int_equal(give_and_wait(t, batch), CG_OK);
    }
    assert_true(stats_now(t).audit_entries > 100);
    count = fill_with_rows(t, DURABLE_LEASES, length);
    assert_true(count * length > MIB / 3);
    wait_for_entries(t, 0);
    assert_int_equal(stats_now(t).audit_last, entries);
    assert_int_equal(rows_of(t, DURABLE_LEASES)->count, count);
    restart(t);
    assert_int_equal(rows_of(t, DURABLE_LEASES)->count, count);
    for (unsigned i = 0; i < count; i++) {
        char key[16];
        struct durable_batch *batch = durable_batch_new();
        unsigned half = count - count / 2; /* first every second, so that no page comes free */
        snprintf(key, sizeof(key), "row%06u", i < half ? 2 * i : 2 * (i - half) + 1);
        durable_delete(batch, DURABLE_LEASES, key, strlen(key));
        append_filler(batch, i, i < 5 ? 30000 : 10); /* more than a row would get */
        assert_int_equal(give_and_wait(t, batch), CG_OK);
    }
    assert_int_equal(rows_of(t, DURABLE_LEASES)->count, 0);
    assert_int_equal(stats_now(t).audit_last, entries + count);
    assert_true(fill_with_rows(t, DURABLE_OUTCOMES, length) > count / 2);
    assert_int_equal(corrupt_now(t), 0);
}

static void full_of_small_rows(void **state)
{
    rows_push_the_audit_log_out(*state, 300);
}

static void full_of_large_rows(void **state)
{
    rows_push_the_audit_log_out(*state, 20000);
}

/* A row leaves the reserve alone; what only takes away may use it up to what a transaction itself needs. */
static void the_reserve(void **state)
{
    static const struct {
        size_t at_hand, data;
        int puts, is_enough;
    } cases[] = {{53, 100, 1, 1},  {52, 100, 1, 0}, {52, 100, 0, 1}, {27, 100, 0, 1},
                 {26, 100, 0, 0},  {53, 899, 1, 1}, {53, 900, 1, 0}, {53, 900, 0, 1},
                 {500, 900, 1, 0}, {0, 0, 0, 0},    {0, 0, 1, 0}};
    struct test *t = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct durable_room room = {
            .map = 1000, .data = cases[i].data, .at_hand = cases[i].at_hand, .tables = 10};
        struct durable_need need = {.touched = 2, .grown_bytes = 100, .puts = cases[i].puts};
        assert_int_equal(durable_room_is_enough(t->durable, &room, &need), cases[i].is_enough);
    }
}

/* Nothing but entries: they are never refused, the oldest make way. */
static void full_of_entries(void **state)
{
    struct test *t = *state;
    unsigned last = 0;
    struct durable_batch *lease = durable_batch_new();
    put_text(lease, DURABLE_LEASES, "a", "1");
    assert_int_equal(give_and_wait(t, lease), CG_OK);
    for (unsigned round = 0; round < 150; round++) {
        struct durable_batch *batch = durable_batch_new();
        for (unsigned i = 0; i < 20; i++)
            append_filler(batch, ++last, round % 3 == 2 ? 6000 : 1000);
        put_filler(batch, DURABLE_STATE, 1, 100);
        assert_int_equal(give_and_wait(t, batch), CG_OK);
    }
    assert_true(stats_now(t).audit_entries < last);
    assert_no_holes(t, last, 0);
    assert_rows(t, DURABLE_LEASES, "a=1;");
    assert_int_equal(stats_now(t).failures, 0);
}

/* What can never be in this map costs no audit entry; its neighbours are in one commit, or in two. */
static void a_batch_that_is_too_large_for_the_map(void **state)
{
    struct test *t = *state;
    struct held held;
    append_one_by_one(t, 1, 50);
    unsigned delivered = t->box.delivered;
    hold(t, &held);
    for (unsigned i = 0; i < 3; i++) {
        struct durable_batch *batch = durable_batch_new();
        put_filler(batch, DURABLE_LEASES, i, i == 1 ? 2 * MIB : 10);
        durable_submit(t->durable, batch, &t->box.mailbox, on_done, (void *)(&"xyz"[i]));
    }
    let_go(t, &held);
    wait_for(t, delivered + 3);
    assert_memory_equal(t->box.order + delivered, "xyz", 3);
    assert_int_equal(t->box.ok, delivered + 2);
    assert_int_equal(rows_of(t, DURABLE_LEASES)->count, 2);
    assert_no_holes(t, 50, 0);
    assert_int_equal(stats_now(t).audit_entries, 50);
}

/*
 * Somebody who walks holds the pages of that moment, so that LMDB itself runs out of them: of a group each batch is tried alone, and
 * everything gets through when the walk is over.
 */
enum { GROUP = 8 };

static int fill_while_walking(void *data, const void *key, size_t key_length, const void *value,
                              size_t length)
{
    struct test *t = data;
    unsigned rounds = 0;
    (void)key, (void)key_length, (void)value, (void)length;
    do {
        struct held held;
        unsigned delivered = t->box.delivered, ok = t->box.ok;
        hold(t, &held);
        for (unsigned i = 0; i < GROUP; i++) {
            struct durable_batch *batch = durable_batch_new();
            put_filler(batch, DURABLE_OUTCOMES, i, 30000);
            give(t, batch);
        }
        let_go(t, &held);
        wait_for(t, delivered + GROUP);
        if (t->box.ok < ok + GROUP) {
            assert_true(t->box.ok > ok); /* together they failed, the first alone did not */
            return 1;
        }
    } while (++rounds < 1000);
    return 1;
}

static void full_because_of_a_walk(void **state)
{
    struct test *t = *state;
    append_one_by_one(t, 1, 1);
    struct durable_batch *batch = durable_batch_new();
    put_text(batch, DURABLE_LEASES, "a", "1");
    assert_int_equal(give_and_wait(t, batch), CG_OK);
    assert_int_equal(durable_walk(t->durable, DURABLE_LEASES, fill_while_walking, t), CG_OK);
    assert_true(stats_now(t).failures > 0);
    assert_int_equal(t->box.last_rc, CG_E_FULL);
    for (unsigned i = 0; i < 20; i++) {
        batch = durable_batch_new();
        put_filler(batch, DURABLE_OUTCOMES, i % GROUP, 30000);
        assert_int_equal(give_and_wait(t, batch), CG_OK);
    }
    assert_int_equal(rows_of(t, DURABLE_OUTCOMES)->count, GROUP);
    assert_rows(t, DURABLE_LEASES, "a=1;");
    assert_int_equal(corrupt_now(t), 0);
}

/* ---- the disk ---- */

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Nothing of what the disk did not take has happened, and the numbers go on as if it had never been given. */
static void a_disk_that_refuses(void **state)
{
    struct test *t = *state;
    struct held held;
    struct stat status;
    append_one_by_one(t, 1, 3);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(stat(fixture_path(t->f, "durable/data.mdb"), &status), 0);
    unsigned delivered = t->box.delivered, ok = t->box.ok;
    hold(t, &held);
    for (unsigned i = 0; i < 3; i++) {
        struct durable_batch *batch = durable_batch_new();
        append_number(batch, 100 + i);
        put_filler(batch, DURABLE_LEASES, i, 200000);
        give(t, batch);
    }
    limit_file_size((rlim_t)status.st_size);
    let_go(t, &held);
    wait_for(t, delivered + 3);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(t->box.ok, ok);
    assert_int_equal(t->box.last_rc, CG_E_IO);
    assert_int_equal(stats_now(t).failures, 3);
    append_one_by_one(t, 4, 5);
    restart(t);
    assert_rows(t, DURABLE_LEASES, "");
    assert_no_holes(t, 5, 0);
}

#define SMALL(name) cmocka_unit_test_setup_teardown(name, setup_small, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SMALL(full_of_small_rows),
        SMALL(full_of_large_rows),
        SMALL(the_reserve),
        SMALL(full_of_entries),
        SMALL(a_batch_that_is_too_large_for_the_map),
        SMALL(full_because_of_a_walk),
        cmocka_unit_test_setup_teardown(a_disk_that_refuses, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
