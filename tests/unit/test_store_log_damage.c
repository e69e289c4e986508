/* The event log in an environment that LMDB reads and we do not: each entry and the log's own state, changed behind our back. */
#include "test_store_edit.h"
#include "test_store_log_fixture.h"

#include "cache/checksum.h"
#include "cache/record.h"

#define FORMER_DESCRIPTION 0x7469eb6au /* as the caches of format 1 have it */

static MDB_val key_of(unsigned char seq)
{
    static unsigned char bytes[8];
    bytes[7] = seq;
    return (MDB_val){sizeof(bytes), bytes};
}

/* Writes a copy of a value back with the byte at `at` changed, or all the same under another number. */
static void rewrite(MDB_txn *txn, MDB_dbi dbi, MDB_val from, MDB_val to, size_t at)
{
    char copy[4096];
    MDB_val value;
    assert_int_equal(mdb_get(txn, dbi, &from, &value), 0);
    assert_in_range(value.mv_size, 1, sizeof(copy));
    memcpy(copy, value.mv_data, value.mv_size);
    if (at < value.mv_size)
        copy[at] = (char)(copy[at] + 1);
    value.mv_data = copy;
    assert_int_equal(mdb_put(txn, dbi, &to, &value, 0), 0);
}

static void flip_entry_format(MDB_txn *txn)
{
    rewrite(txn, database(txn, "log"), key_of(5), key_of(5), 0);
}

/* Sealed as it should be. */
static void another_entry_format(MDB_txn *txn)
{
    char bytes[16] = {2}, sealed[8 + 3] = {2};
    MDB_val five = key_of(5), value = {sizeof(sealed), sealed};
    memcpy(bytes + 8, five.mv_data, 8);
    memcpy(sealed + 8, "abc", 3);
    uint32_t sum = checksum(checksum(0, bytes, sizeof(bytes)), "abc", 3);
    memcpy(sealed + 4, &sum, sizeof(sum));
    assert_int_equal(mdb_put(txn, database(txn, "log"), &five, &value, 0), 0);
}

static void flip_entry_head(MDB_txn *txn)
{
    rewrite(txn, database(txn, "log"), key_of(5), key_of(5), 2);
}

static void flip_entry_checksum(MDB_txn *txn)
{
    rewrite(txn, database(txn, "log"), key_of(5), key_of(5), 5);
}

static void flip_entry_end(MDB_txn *txn)
{
    rewrite(txn, database(txn, "log"), key_of(5), key_of(5), 107);
}

static void entry_of_another(MDB_txn *txn)
{
    MDB_val four = key_of(4), value;
    char copy[108];
    MDB_dbi dbi = database(txn, "log");
    assert_int_equal(mdb_get(txn, dbi, &four, &value), 0);
    memcpy(copy, value.mv_data, sizeof(copy));
    MDB_val five = key_of(5);
    value = (MDB_val){sizeof(copy), copy};
    assert_int_equal(mdb_put(txn, dbi, &five, &value, 0), 0);
}

static void short_entry(MDB_txn *txn)
{
    MDB_val five = key_of(5), value = {3, "abc"};
    assert_int_equal(mdb_put(txn, database(txn, "log"), &five, &value, 0), 0);
}

static void long_entry(MDB_txn *txn)
{
    static char bytes[60000];
    MDB_val five = key_of(5), value = {sizeof(bytes), bytes};
    assert_int_equal(mdb_put(txn, database(txn, "log"), &five, &value, 0), 0);
}

/* As many entries as there should be, but one in the middle under a number that is not its own. */
static void lose(MDB_txn *txn, unsigned char seq)
{
    unsigned char strange[9] = {0, 0, 0, 0, 0, 0, 0, 5, 1};
    MDB_val lost = key_of(seq), to = {sizeof(strange), strange}, value = {3, "abc"};
    MDB_dbi dbi = database(txn, "log");
    assert_int_equal(mdb_del(txn, dbi, &lost, NULL), 0);
    assert_int_equal(mdb_put(txn, dbi, &to, &value, 0), 0);
}

static void a_hole(MDB_txn *txn)
{
    lose(txn, 5);
}

static void another_first_entry(MDB_txn *txn)
{
    lose(txn, 1);
}

/* What goes before is given, then it says so; it is counted; and it is gone when it is dropped. */
static void an_entry_that_does_not_read_back(void **state)
{
    (void)state;
    static void (*const changes[])(MDB_txn *) = {
        flip_entry_format,   another_entry_format, flip_entry_head,
        flip_entry_checksum, flip_entry_end,       entry_of_another,
        short_entry,         long_entry,           a_hole};
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        struct fixture *g;
        struct walked walked;
        struct store_stats stats;
        fixture_setup_open((void **)&g);
        append(g, 10, 100);
        edit(g, "cache", changes[i]);
        assert_int_equal(fixture_open(g), CG_OK);
        assert_false(g->opened.cache_set_aside);
        assert_int_equal(walk(g, 0, &walked), CG_E_CORRUPT);
        assert_int_equal(walked.last, 4);
        assert_int_equal(walk(g, 4, &walked), CG_E_CORRUPT);
        assert_int_equal(walked.count, 0);
        assert_int_equal(walk(g, 5, &walked), CG_OK);
        assert_int_equal(walked.count, 5);
        store_get_stats(g->store, &stats);
        assert_int_equal(stats.corrupt_records, 2);
        assert_int_equal(trim(g, 5, UINT64_MAX, 100), 5);
        assert_int_equal(walk(g, 5, &walked), CG_OK);
        assert_int_equal(walked.count, 5);
        trim(g, 0, UINT64_MAX, 100);
        assert_bounds(g, 11, 10, 0);
        append(g, 1, 100);
        assert_bounds(g, 11, 11, 100);
        fixture_teardown((void **)&g);
    }
}

static void flip_state(MDB_txn *txn)
{
    MDB_val key = {3, "log"};
    rewrite(txn, database(txn, "state"), key, key, 14);
}

static void no_state(MDB_txn *txn)
{
    MDB_val key = {3, "log"};
    assert_int_equal(mdb_del(txn, database(txn, "state"), &key, NULL), 0);
}

/* Sealed as it should be: only what it says is wrong. */
static void put_state(MDB_txn *txn, uint64_t epoch, uint64_t last, uint64_t events)
{
    uint64_t content[4] = {epoch, last, events, 100};
    char sealed[SEALED_HEADER_BYTES + sizeof(content)];
    MDB_val key = {3, "log"}, value = {sizeof(sealed), sealed};
    sealed_encode(&key, content, sizeof(content), sealed);
    assert_int_equal(mdb_put(txn, database(txn, "state"), &key, &value, 0), 0);
}

static void no_epoch(MDB_txn *txn)
{
    put_state(txn, 0, 10, 10);
}

static void more_than_there_ever_were(MDB_txn *txn)
{
    put_state(txn, 1, 9, 10);
}

static void other_numbers(MDB_txn *txn)
{
    put_state(txn, 1, 11, 10);
}

static void fewer_entries(MDB_txn *txn)
{
    put_state(txn, 1, 10, 9);
}

static void no_last_entry(MDB_txn *txn)
{
    MDB_val ten = key_of(10);
    assert_int_equal(mdb_del(txn, database(txn, "log"), &ten, NULL), 0);
}

static void another_last_entry(MDB_txn *txn)
{
    no_last_entry(txn);
    rewrite(txn, database(txn, "log"), key_of(9), key_of(9), SIZE_MAX);
    MDB_val twelve = key_of(12), value = {3, "abc"};
    assert_int_equal(mdb_put(txn, database(txn, "log"), &twelve, &value, 0), 0);
}

static void no_database(MDB_txn *txn)
{
    assert_int_equal(mdb_drop(txn, database(txn, "log"), 1), 0);
}

static void a_log_that_does_not_fit_together(void **state)
{
    struct fixture *f = *state;
    static const struct {
        void (*change)(MDB_txn *txn);
        const char *reason;
    } cases[] = {{flip_state, "the event log is not what it says it is"},
                 {no_state, "the event log is not what it says it is"},
                 {no_epoch, "the event log is not what it says it is"},
                 {more_than_there_ever_were, "the event log is not what it says it is"},
                 {other_numbers, "the event log is not what it says it is"},
                 {fewer_entries, "the event log is not what it says it is"},
                 {no_last_entry, "the event log is not what it says it is"},
                 {another_first_entry, "the event log is not what it says it is"},
                 {another_last_entry, "the event log is not what it says it is"},
                 {no_database, "a database is missing"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t epoch = bounds_now(f).epoch;
        append(f, 10, 10);
        edit(f, "cache", cases[i].change);
        assert_int_equal(fixture_open(f), CG_OK);
        assert_true(f->opened.cache_set_aside);
        assert_string_equal(f->opened.cache_reason, cases[i].reason);
        assert_bounds(f, 1, 0, 0);
        assert_true(bounds_now(f).epoch > epoch);
    }
}

/* Makes the cache one of format 1, as it was written before there was a log. */
static void make_former(MDB_txn *txn)
{
    MDB_dbi dbi = database(txn, "state");
    MDB_val key = {11, "environment"}, value;
    char content[64], sealed[64];
    const uint32_t format = 1, description = FORMER_DESCRIPTION;
    no_database(txn);
    no_state(txn);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    size_t length = value.mv_size - SEALED_HEADER_BYTES;
    assert_in_range(length, 12, sizeof(content) - SEALED_HEADER_BYTES);
    memcpy(content, (char *)value.mv_data + SEALED_HEADER_BYTES, length);
    memcpy(content + 4, &format, sizeof(format));
    memcpy(content + 8, &description, sizeof(description));
    sealed_encode(&key, content, length, sealed);
    value = (MDB_val){length + SEALED_HEADER_BYTES, sealed};
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

static void make_former_without_owners(MDB_txn *txn)
{
    make_former(txn);
    assert_int_equal(mdb_drop(txn, database(txn, "owners"), 1), 0);
}

static void a_cache_without_a_log(void **state)
{
    struct fixture *f = *state;
    struct record out;
    uint32_t user, again;
    struct store_txn *txn = begin(f);
    assert_int_equal(put(txn, RECORD_AGENT, "a", "1"), CG_OK);
    assert_int_equal(store_user_id(txn, "alice", &user), CG_OK);
    commit(txn);
    edit(f, "cache", make_former);
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(fixture_open(f), CG_OK);
        assert_false(f->opened.cache_set_aside);
        assert_int_equal(get_one(f, RECORD_AGENT, "a", &out), CG_OK);
        txn = begin(f);
        assert_int_equal(store_user_id(txn, "alice", &again), CG_OK);
        assert_int_equal(again, user);
        commit(txn);
        assert_int_equal(bounds_now(f).epoch, 2);
        assert_bounds(f, 1, round, round * 10);
        append(f, 1, 10);
        store_close(&f->store);
    }
    assert_int_equal(fixture_open(f), CG_OK);
    edit(f, "cache", make_former_without_owners);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_true(f->opened.cache_set_aside);
    assert_string_equal(f->opened.cache_reason, "a database is missing");
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_that_does_not_read_back),
        OPEN(a_log_that_does_not_fit_together),
        OPEN(a_cache_without_a_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
