/* The event log in a map that is full, or that a reader keeps full. */
#include "test_store_log_fixture.h"

static int setup_small(void **state)
{
    fixture_setup(state);
    struct fixture *f = *state;
    f->settings.cache_map_bytes = MIB;
    assert_int_equal(fixture_open(f), CG_OK);
    return 0;
}

static uint64_t count_entries(struct fixture *f)
{
    struct store_log_bounds bounds = bounds_now(f);
    return bounds.last - bounds.first + 1;
}

/*
 * Appends until it is refused, `batch` to a commit. What went before stands; except that an entry of several pages may find no
 * room in one piece among what is free, which LMDB only notices when it is too late: then nothing of the transaction happens.
 */
static void fill(struct fixture *f, size_t length, unsigned batch)
{
    for (unsigned round = 0;; round++) {
        struct store_txn *txn = begin(f);
        uint64_t seq = 0, count = count_entries(f);
        int rc = CG_OK;
        for (unsigned i = 0; rc == CG_OK && i < batch; i++) {
            rc = append_to(txn, length, &seq);
            count += rc == CG_OK;
        }
        int committed = store_commit(&txn);
        assert_true(committed == CG_OK || (committed == CG_E_FULL && rc != CG_OK && length > 2000));
        if (committed == CG_OK)
            assert_int_equal(count_entries(f), count);
        if (rc != CG_OK) {
            assert_int_equal(rc, CG_E_FULL);
            assert_log_is_whole(f);
            return;
        }
        assert_true(round < 100000);
    }
}

static void trim_all_but(struct fixture *f, uint64_t left)
{
    for (unsigned round = 0; count_entries(f) > left; round++) {
        struct store_txn *txn = begin(f);
        unsigned dropped;
        int rc = store_log_trim(txn, left, UINT64_MAX, 100000, &dropped);
        assert_true(rc == CG_OK || (rc == CG_E_FULL && dropped == 0));
        commit(txn);
        assert_true(round < 100);
    }
    assert_int_equal(count_entries(f), left);
}

static void filled_and_trimmed(struct fixture *f, size_t length, unsigned batch)
{
    uint64_t first = 0;
    for (unsigned round = 0; round < 6; round++) {
        fill(f, length, batch);
        uint64_t count = count_entries(f);
        if (round == 0)
            first = count;
        assert_true(count * length > MIB / 3);
        assert_true(count > first / 2);
        trim_all_but(f, round % 2 == 0 ? 0 : first / 3);
        append(f, 1, length); /* at once, not two commits later */
        assert_log_is_whole(f);
        reopen(f);
        assert_false(f->opened.cache_set_aside);
    }
}

static void full_of_small_entries(void **state)
{
    filled_and_trimmed(*state, 60, 1);
}

static void full_of_entries(void **state)
{
    filled_and_trimmed(*state, 600, 5);
}

static void full_in_one_transaction(void **state)
{
    filled_and_trimmed(*state, 600, 100000);
}

static void full_of_large_entries(void **state)
{
    filled_and_trimmed(*state, 30000, 1);
}

static void full_of_entries_that_waste_room(void **state)
{
    filled_and_trimmed(*state, 1370, 3);
}

/* Records fill the map: the log cannot grow, can be trimmed, and what it gives back can be had by records. */
static void full_of_records(void **state)
{
    struct fixture *f = *state;
    int rc = CG_OK;
    append(f, 500, 600);
    for (unsigned i = 0; rc == CG_OK; i++) {
        char id[16], body[600];
        struct store_txn *txn = begin(f);
        snprintf(id, sizeof(id), "%05u", i);
        memset(body, 'x', sizeof(body));
        rc = put_at(txn, RECORD_AGENT, id, body, sizeof(body), 1, NULL);
        commit(txn);
    }
    assert_int_equal(rc, CG_E_FULL);
    fill(f, 600, 1);
    trim_all_but(f, 100);
    put_one(f, RECORD_AGENT, "a", "1");
    append(f, 20, 600);
    assert_log_is_whole(f);
}

/* Under a reader that never ends nothing comes free: refused in time, and nothing breaks. */
static void a_stuck_reader(void **state)
{
    struct fixture *f = *state;
    struct store_reader *reader;
    uint64_t seq;
    unsigned dropped, commits = 0;
    append(f, 300, 600);
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    for (int rc = CG_OK; rc == CG_OK; commits++) {
        struct store_txn *txn = begin(f);
        rc = append_to(txn, 600, &seq);
        assert_true(rc == CG_OK || rc == CG_E_FULL);
        commit(txn);
        assert_true(commits < 10000);
    }
    struct store_txn *once = begin(f); /* all at once is more than there is room for */
    assert_int_equal(store_log_trim(once, 0, 0, UINT32_MAX, &dropped), CG_OK);
    assert_true(dropped > 0 && dropped < 300);
    store_abort(&once);
    commits = 0;
    for (int rc = CG_OK; rc == CG_OK; commits++) {
        struct store_txn *txn = begin(f);
        rc = store_log_trim(txn, 0, 0, 3, &dropped);
        assert_true(rc == CG_E_FULL || dropped > 0);
        commit(txn);
        assert_true(commits < 100);
    }
    assert_log_is_whole(f);
    store_read_end(reader);
    store_reader_free(&reader);
    trim_all_but(f, 0);
    append(f, 100, 600);
    assert_log_is_whole(f);
}

#define SMALL(test) cmocka_unit_test_setup_teardown(test, setup_small, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SMALL(full_of_small_entries),
        SMALL(full_of_entries),
        SMALL(full_in_one_transaction),
        SMALL(full_of_large_entries),
        SMALL(full_of_entries_that_waste_room),
        SMALL(full_of_records),
        SMALL(a_stuck_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
