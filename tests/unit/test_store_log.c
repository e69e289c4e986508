/* The event log: numbers, bounds, epoch, dropping, and what is left of it after kill -9. */
#include "test_store_log_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

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

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

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
        OPEN(killed_while_appending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
