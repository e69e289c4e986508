/* The event log: numbers, bounds, epoch, dropping, and what is left of it after damage, a full map and kill -9. */
#include "test_store_fixture.h"

#include "cache/checksum.h"
#include "cache/record.h"

#include <lmdb.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define FORMER_DESCRIPTION 0x7469eb6au /* as the caches of format 1 have it */

static struct store_log_bounds bounds_now(struct fixture *f)
{
    struct store_log_bounds bounds;
    struct store_reader *reader;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    assert_int_equal(store_log_get_bounds(reader, &bounds), CG_OK);
    store_read_end(reader);
    store_reader_free(&reader);
    return bounds;
}

#define assert_bounds(f, the_first, the_last, the_bytes)                                           \
    do {                                                                                           \
        struct store_log_bounds now_ = bounds_now(f);                                              \
        assert_int_equal(now_.first, the_first);                                                   \
        assert_int_equal(now_.last, the_last);                                                     \
        assert_int_equal(now_.bytes, the_bytes);                                                   \
    } while (0)

/* What entry `seq` holds in these tests: its number, then as many letters as it is long. */
static size_t entry_of(uint64_t seq, size_t length, char *entry)
{
    memset(entry, 'a' + (char)(seq % 26), length);
    if (length >= sizeof(seq))
        memcpy(entry, &seq, sizeof(seq));
    return length;
}

static int append_to(struct store_txn *txn, size_t length, uint64_t *seq)
{
    static char entry[CG_EVENT_ENTRY_BYTES_MAX];
    struct store_log_bounds bounds;
    store_log_txn_bounds(txn, &bounds);
    entry_of(bounds.last + 1, length, entry);
    return store_log_append(txn, entry, length, seq);
}

static void append(struct fixture *f, unsigned count, size_t length)
{
    struct store_txn *txn = begin(f);
    uint64_t seq, last = bounds_now(f).last;
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(append_to(txn, length, &seq), CG_OK);
        assert_int_equal(seq, last + 1 + i);
    }
    commit(txn);
}

static unsigned trim(struct fixture *f, uint64_t max_events, uint64_t max_bytes, unsigned at_most)
{
    struct store_txn *txn = begin(f);
    unsigned dropped;
    assert_int_equal(store_log_trim(txn, max_events, max_bytes, at_most, &dropped), CG_OK);
    commit(txn);
    return dropped;
}

struct walked {
    uint64_t first, last, count, stop_after, bytes;
};

static int on_entry(void *data, uint64_t seq, const void *entry, size_t length)
{
    static char expected[CG_EVENT_ENTRY_BYTES_MAX];
    struct walked *walked = data;
    if (walked->count == 0)
        walked->first = seq;
    else
        assert_int_equal(seq, walked->last + 1);
    assert_memory_equal(entry, expected, entry_of(seq, length, expected));
    walked->last = seq;
    walked->bytes += length;
    return ++walked->count == walked->stop_after;
}

static int walk_until(struct fixture *f, uint64_t after, uint64_t stop_after, struct walked *walked)
{
    struct store_reader *reader;
    *walked = (struct walked){.stop_after = stop_after};
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    int rc = store_log_walk(reader, after, on_entry, walked);
    store_read_end(reader);
    store_reader_free(&reader);
    return rc;
}

static int walk(struct fixture *f, uint64_t after, struct walked *walked)
{
    return walk_until(f, after, 0, walked);
}

/* What the bounds say is there, wholly and in order. */
static void assert_log_is_whole(struct fixture *f)
{
    struct store_log_bounds bounds = bounds_now(f);
    struct walked walked;
    assert_int_equal(walk(f, bounds.first - 1, &walked), CG_OK);
    assert_int_equal(walked.count, bounds.last - bounds.first + 1);
    assert_int_equal(walked.bytes, bounds.bytes);
    if (walked.count != 0) {
        assert_int_equal(walked.first, bounds.first);
        assert_int_equal(walked.last, bounds.last);
    }
}

static void an_empty_log(void **state)
{
    struct fixture *f = *state;
    struct walked walked;
    assert_bounds(f, 1, 0, 0);
    assert_int_equal(bounds_now(f).epoch, f->opened.epoch);
    assert_int_equal(walk(f, 0, &walked), CG_OK);
    assert_int_equal(walk(f, 17, &walked), CG_OK);
    assert_int_equal(walk(f, UINT64_MAX, &walked), CG_OK);
    assert_int_equal(walked.count, 0);
    assert_int_equal(trim(f, 0, 0, 10), 0);
}

static void in_order(void **state)
{
    struct fixture *f = *state;
    struct walked walked;
    for (unsigned i = 0; i < 40; i++)
        append(f, i % 7, 100 + i * 37);
    uint64_t last = bounds_now(f).last;
    assert_int_equal(last, 115);
    assert_log_is_whole(f);
    for (uint64_t after = 0; after <= last; after++) {
        assert_int_equal(walk(f, after, &walked), CG_OK);
        assert_int_equal(walked.count, last - after);
        assert_int_equal(walked.first, after == last ? 0 : after + 1);
    }
    assert_int_equal(walk_until(f, 50, 10, &walked), CG_OK);
    assert_int_equal(walked.last, 60);
    assert_int_equal(walk(f, last + 1, &walked), CG_OK);
    assert_int_equal(walk(f, UINT64_MAX, &walked), CG_OK);
    assert_int_equal(walked.count, 0);
    reopen(f);
    assert_log_is_whole(f);
    assert_int_equal(bounds_now(f).last, last);
}

/* Empty ones, those that just fit into a page, those that need their own, and one that is too long. */
static void of_any_length(void **state)
{
    struct fixture *f = *state;
    static const size_t lengths[] = {
        0,    1,    7,    8,     2000,  2021,   2022,
        2023, 2024, 2025, 2040,  4000,  4080,   4088,
        4089, 8192, 9000, 65536, 70000, 200000, CG_EVENT_ENTRY_BYTES_MAX};
    struct store_txn *txn = begin(f);
    uint64_t seq, bytes = 0;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        assert_int_equal(append_to(txn, lengths[i], &seq), CG_OK);
        bytes += lengths[i];
    }
    char *long_entry = calloc(1, CG_EVENT_ENTRY_BYTES_MAX + 1);
    assert_non_null(long_entry);
    assert_int_equal(store_log_append(txn, long_entry, CG_EVENT_ENTRY_BYTES_MAX + 1, &seq),
                     CG_E_LIMIT);
    assert_int_equal(store_log_append(txn, NULL, 0, &seq), CG_OK);
    free(long_entry);
    commit(txn);
    assert_int_equal(bounds_now(f).bytes, bytes);
    assert_log_is_whole(f);
    assert_int_equal(trim(f, 1, UINT64_MAX, UINT32_MAX), sizeof(lengths) / sizeof(*lengths));
    assert_int_equal(bounds_now(f).bytes, 0);
}

static void a_transaction_sees_itself(void **state)
{
    struct fixture *f = *state;
    struct store_log_bounds bounds;
    uint64_t seq;
    unsigned dropped;
    append(f, 10, 100);
    struct store_txn *txn = begin(f);
    assert_int_equal(append_to(txn, 50, &seq), CG_OK);
    assert_int_equal(store_log_trim(txn, 3, UINT64_MAX, 100, &dropped), CG_OK);
    assert_int_equal(dropped, 8);
    assert_int_equal(append_to(txn, 60, &seq), CG_OK);
    store_log_txn_bounds(txn, &bounds);
    assert_int_equal(bounds.epoch, bounds_now(f).epoch);
    assert_int_equal(bounds.first, 9);
    assert_int_equal(bounds.last, 12);
    assert_int_equal(bounds.bytes, 310);
    assert_bounds(f, 1, 10, 1000); /* others do not, yet */
    commit(txn);
    assert_bounds(f, 9, 12, 310);
    assert_log_is_whole(f);
}

static void an_abort_changes_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t seq;
    unsigned dropped;
    append(f, 10, 100);
    for (unsigned round = 0; round < 3; round++) {
        struct store_txn *txn = begin(f);
        assert_int_equal(append_to(txn, 50, &seq), CG_OK);
        assert_int_equal(seq, 11);
        assert_int_equal(store_log_trim(txn, 3, UINT64_MAX, 100, &dropped), CG_OK);
        store_abort(&txn);
        assert_bounds(f, 1, 10, 1000);
        assert_log_is_whole(f);
    }
    append(f, 1, 10);
    assert_bounds(f, 1, 11, 1010);
    reopen(f);
    assert_bounds(f, 1, 11, 1010);
}

static void trimmed_by_count(void **state)
{
    struct fixture *f = *state;
    append(f, 100, 30);
    assert_int_equal(trim(f, 100, UINT64_MAX, 1000), 0);
    assert_int_equal(trim(f, 60, UINT64_MAX, 0), 0);
    assert_int_equal(trim(f, 60, UINT64_MAX, 25), 25);
    assert_bounds(f, 26, 100, 75 * 30);
    assert_int_equal(trim(f, 60, UINT64_MAX, 25), 15);
    assert_bounds(f, 41, 100, 60 * 30);
    assert_log_is_whole(f);
    assert_int_equal(trim(f, 0, UINT64_MAX, 1000), 60);
    assert_bounds(f, 101, 100, 0);
    append(f, 2, 5); /* the numbers go on */
    assert_bounds(f, 101, 102, 10);
    assert_log_is_whole(f);
}

static void trimmed_by_bytes(void **state)
{
    struct fixture *f = *state;
    append(f, 10, 100);
    append(f, 10, 5000);
    assert_int_equal(trim(f, UINT64_MAX, 51000, 1000), 0);
    assert_int_equal(trim(f, UINT64_MAX, 50999, 1000), 1);
    assert_int_equal(trim(f, UINT64_MAX, 9999, 4), 4);
    assert_int_equal(trim(f, UINT64_MAX, 9999, 1000), 14);
    assert_bounds(f, 20, 20, 5000);
    assert_int_equal(trim(f, UINT64_MAX, 0, 1000), 1);
    assert_bounds(f, 21, 20, 0);
    struct store_txn *txn = begin(f);
    uint64_t seq;
    assert_int_equal(append_to(txn, 0, &seq), CG_OK); /* nothing is not more than nothing */
    commit(txn);
    assert_int_equal(trim(f, UINT64_MAX, 0, 1000), 0);
    assert_bounds(f, 21, 21, 0);
}

static void what_was_dropped(void **state)
{
    struct fixture *f = *state;
    struct walked walked;
    append(f, 10, 100);
    trim(f, 4, UINT64_MAX, 100);
    for (uint64_t after = 0; after < 6; after++) {
        assert_int_equal(walk(f, after, &walked), CG_E_NOTFOUND);
        assert_int_equal(walked.count, 0);
    }
    assert_int_equal(walk(f, 6, &walked), CG_OK);
    assert_int_equal(walked.first, 7);
    assert_int_equal(walked.count, 4);
    trim(f, 0, 0, 100);
    assert_int_equal(walk(f, 9, &walked), CG_E_NOTFOUND);
    assert_int_equal(walk(f, 10, &walked), CG_OK);
    assert_int_equal(walked.count, 0);
}

/* A walk sees the log as it was when its reading began. */
static void a_reader_keeps_what_it_sees(void **state)
{
    struct fixture *f = *state;
    struct store_reader *reader;
    struct store_log_bounds bounds;
    struct walked walked = {.count = 0};
    append(f, 10, 100);
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    append(f, 10, 100);
    trim(f, 1, UINT64_MAX, 100);
    assert_int_equal(store_log_get_bounds(reader, &bounds), CG_OK);
    assert_int_equal(bounds.first, 1);
    assert_int_equal(bounds.last, 10);
    assert_int_equal(store_log_walk(reader, 0, on_entry, &walked), CG_OK);
    assert_int_equal(walked.count, 10);
    store_read_end(reader);
    store_reader_free(&reader);
    assert_bounds(f, 20, 20, 100);
}

/* In and out for long: what is dropped is used again, and the two edges meet now and then. */
static void in_and_out(void **state)
{
    struct fixture *f = *state;
    struct store_stats stats;
    unsigned seed = 7;
    uint64_t seq;
    for (unsigned round = 0; round < 1500; round++) {
        struct store_txn *txn = begin(f);
        unsigned dropped;
        for (unsigned i = 0; i < round % 40; i++) {
            seed = seed * 1103515245u + 12345u;
            size_t length = (seed >> 8) % 60 == 0 ? 20000 : (seed >> 4) % 1500;
            assert_int_equal(append_to(txn, length, &seq), CG_OK);
        }
        assert_int_equal(store_log_trim(txn, round % 100 == 0 ? 0 : 1000, 500000, 60, &dropped),
                         CG_OK);
        commit(txn);
        if (round % 100 < 2)
            assert_log_is_whole(f);
    }
    assert_log_is_whole(f);
    store_get_stats(f->store, &stats);
    assert_true(stats.cache_used_bytes < 3 * MIB);
    reopen(f);
    assert_false(f->opened.cache_set_aside);
    assert_log_is_whole(f);
}

/* ---- the epoch ---- */

static void the_epoch_lasts(void **state)
{
    struct fixture *f = *state;
    uint64_t epoch = bounds_now(f).epoch;
    assert_true(epoch > 0);
    for (unsigned i = 0; i < 3; i++) {
        reopen(f); /* empty, too */
        assert_int_equal(bounds_now(f).epoch, epoch);
    }
    append(f, 3, 10);
    reopen(f);
    assert_int_equal(bounds_now(f).epoch, epoch);
    assert_bounds(f, 1, 3, 30);
    trim(f, 0, 0, 10);
    reopen(f);
    assert_int_equal(bounds_now(f).epoch, epoch);
    assert_bounds(f, 4, 3, 0);
}

static void overwrite(const char *path, const char *text)
{
    int fd = open(path, O_TRUNC | O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* Set aside, or gone: another number line, with a greater epoch. */
static void a_lost_log(void **state)
{
    struct fixture *f = *state;
    for (unsigned round = 0; round < 4; round++) {
        uint64_t epoch = bounds_now(f).epoch;
        append(f, 3, 10);
        store_close(&f->store);
        if (round % 2 == 0)
            overwrite(fixture_path(f, "cache/data.mdb"), "garbage");
        else
            assert_int_equal(unlink(fixture_path(f, "cache/data.mdb")), 0);
        if (round == 2)
            overwrite(fixture_path(f, "durable/data.mdb"), "garbage");
        assert_int_equal(fixture_open(f), CG_OK);
        assert_int_equal(f->opened.cache_set_aside, round % 2 == 0);
        assert_true(bounds_now(f).epoch > epoch);
        assert_bounds(f, 1, 0, 0);
        append(f, 1, 10);
        reopen(f);
        assert_bounds(f, 1, 1, 10);
    }
}

/* ---- what LMDB reads and we do not ---- */

static void edit(struct fixture *f, void (*change)(MDB_txn *txn))
{
    MDB_env *env;
    MDB_txn *txn;
    store_close(&f->store);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 16), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 64 * MIB), 0);
    assert_int_equal(mdb_env_open(env, fixture_path(f, "cache"), 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    change(txn);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static MDB_dbi database(MDB_txn *txn, const char *name)
{
    MDB_dbi dbi;
    assert_int_equal(mdb_dbi_open(txn, name, 0, &dbi), 0);
    return dbi;
}

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
        edit(g, changes[i]);
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
        edit(f, cases[i].change);
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
    edit(f, make_former);
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
    edit(f, make_former_without_owners);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_true(f->opened.cache_set_aside);
    assert_string_equal(f->opened.cache_reason, "a database is missing");
}

/* ---- a full map ---- */

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

/* ---- kill -9 ---- */

enum { ROUNDS = 25, LOG_MAX = 150, KILL_AFTER_US_MAX = 12000 };

/* Each commit also writes how far the log has come into a record: they never disagree. */
static int commit_some(struct store *store, unsigned count, uint64_t *seq)
{
    struct store_txn *txn;
    char body[32];
    unsigned dropped;
    int rc = store_begin(store, &txn);
    for (unsigned i = 0; rc == CG_OK && i < count; i++)
        rc = append_to(txn, (*seq * 131 + i) % 3000, seq);
    if (rc == CG_OK)
        rc = store_log_trim(txn, LOG_MAX, UINT64_MAX, 50, &dropped);
    snprintf(body, sizeof(body), "%llu", (unsigned long long)*seq);
    if (rc == CG_OK)
        rc = put(txn, RECORD_CALL, "last", body);
    if (rc == CG_OK)
        return store_commit(&txn);
    return rc;
}

static _Noreturn void child_appends(struct fixture *f, int pipe_end)
{
    uint64_t seq = 0;
    if (fixture_open(f) != CG_OK || f->opened.cache_set_aside)
        _exit(2);
    for (unsigned round = 0;; round++) {
        if (commit_some(f->store, 1 + round % 13, &seq) != CG_OK)
            _exit(3);
        if (write(pipe_end, &seq, sizeof(seq)) != sizeof(seq))
            _exit(4);
    }
}

static void kill_after(pid_t child, long us)
{
    struct timespec wait = {.tv_nsec = us * 1000};
    int status;
    nanosleep(&wait, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status)); /* it did not give up by itself */
}

static uint64_t last_of_record(struct fixture *f)
{
    struct store_txn *txn = begin(f);
    struct record out;
    char text[32] = "";
    int rc = store_txn_get(txn, RECORD_CALL, "last", 4, &out);
    if (rc == CG_OK)
        memcpy(text, out.body, out.body_length);
    store_abort(&txn);
    assert_int_equal(rc, CG_OK);
    return strtoull(text, NULL, 10);
}

static void killed_while_appending(void **state)
{
    struct fixture *f = *state;
    uint64_t told = 0, next, seq = 0, epoch = bounds_now(f).epoch;
    unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();
    print_message("seed %u\n", seed);
    assert_int_equal(commit_some(f->store, 1, &seq), CG_OK);
    for (unsigned round = 0; round < ROUNDS; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        store_close(&f->store);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            child_appends(f, ends[1]);
        }
        close(ends[1]);
        if (round % 2 == 1) /* every second time it gets as far as writing */
            assert_int_equal(read(ends[0], &told, sizeof(told)), sizeof(told));
        kill_after(child, rand_r(&seed) % KILL_AFTER_US_MAX);
        while (read(ends[0], &next, sizeof(next)) == sizeof(next))
            told = next;
        close(ends[0]);
        assert_int_equal(fixture_open(f), CG_OK);
        assert_false(f->opened.cache_set_aside);
        struct store_log_bounds bounds = bounds_now(f);
        assert_int_equal(bounds.epoch, epoch);
        assert_true(bounds.last >= told);
        assert_int_equal(bounds.last, last_of_record(f));
        assert_true(bounds.last - bounds.first < LOG_MAX);
        assert_log_is_whole(f);
    }
    print_message("%llu entries\n", (unsigned long long)bounds_now(f).last);
    assert_true(bounds_now(f).first > 1);
}

#define OPEN(test)  cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)
#define SMALL(test) cmocka_unit_test_setup_teardown(test, setup_small, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPEN(an_empty_log),
        OPEN(in_order),
        OPEN(of_any_length),
        OPEN(a_transaction_sees_itself),
        OPEN(an_abort_changes_nothing),
        OPEN(trimmed_by_count),
        OPEN(trimmed_by_bytes),
        OPEN(what_was_dropped),
        OPEN(a_reader_keeps_what_it_sees),
        OPEN(in_and_out),
        OPEN(the_epoch_lasts),
        OPEN(a_lost_log),
        cmocka_unit_test(an_entry_that_does_not_read_back),
        OPEN(a_log_that_does_not_fit_together),
        OPEN(a_cache_without_a_log),
        SMALL(full_of_small_entries),
        SMALL(full_of_entries),
        SMALL(full_in_one_transaction),
        SMALL(full_of_large_entries),
        SMALL(full_of_entries_that_waste_room),
        SMALL(full_of_records),
        SMALL(a_stuck_reader),
        OPEN(killed_while_appending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
