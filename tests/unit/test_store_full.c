/* A small map, filled: what is refused, what still works, and what fails when the disk does. */
#include "test_store_fixture.h"

#include <lmdb.h>
#include <signal.h>
#include <sys/resource.h>

static int setup_small(void **state)
{
    fixture_setup(state);
    struct fixture *f = *state;
    f->settings.cache_map_bytes = MIB;
    assert_int_equal(fixture_open(f), CG_OK);
    return 0;
}

static int put_number(struct store_txn *txn, unsigned i, size_t length, int64_t fetched_at_ms)
{
    static char body[100000];
    char id[16];
    snprintf(id, sizeof(id), "%05u", i);
    memset(body, 'x', length);
    return put_at(txn, RECORD_AGENT, id, body, length, fetched_at_ms, NULL);
}

/* Puts records of `length` bytes, `batch` to a commit, until one is refused. Returns how many are in. */
static unsigned fill(struct fixture *f, size_t length, unsigned batch)
{
    for (unsigned i = 0;; i++) {
        struct store_txn *txn = begin(f);
        for (unsigned j = 0; j < batch; j++) {
            int rc = put_number(txn, i * batch + j, length, 1000 + i);
            if (rc != CG_OK) {
                assert_int_equal(rc, CG_E_FULL);
                commit(txn); /* what went before stands */
                return i * batch + j;
            }
        }
        commit(txn);
        assert_true(i < 100000);
    }
}

static uint64_t records(struct fixture *f)
{
    struct store_stats stats;
    store_get_stats(f->store, &stats);
    assert_true(stats.cache_used_bytes <= stats.cache_map_bytes);
    return stats.records;
}

static void evict_all_but(struct fixture *f, uint64_t left)
{
    for (unsigned round = 0; records(f) > left; round++) {
        unsigned evicted;
        struct store_txn *txn = begin(f);
        int rc = store_evict_oldest(txn, INT64_MAX, (unsigned)(records(f) - left), &evicted);
        assert_true(rc == CG_OK || rc == CG_E_FULL);
        commit(txn);
        assert_true(round < 1000);
    }
}

static void filled_and_emptied(struct fixture *f, size_t length, unsigned batch)
{
    unsigned first = 0;
    for (unsigned round = 0; round < 6; round++) {
        unsigned count = fill(f, length, batch);
        assert_int_equal(records(f), count);
        assert_true(count * length > MIB / 4);
        if (round == 0)
            first = count;
        assert_true(count > first / 2);
        struct store_txn *txn = begin(f);
        assert_int_equal(store_delete(txn, RECORD_AGENT, "00000", 5), CG_OK);
        commit(txn);
        evict_all_but(f, round % 2 == 0 ? 0 : count / 2);
        txn = begin(f);
        assert_int_equal(put_number(txn, 0, length, 1), CG_OK); /* at once, not two commits later */
        commit(txn);
        evict_all_but(f, 0);
    }
}

static void full_of_small_records(void **state)
{
    filled_and_emptied(*state, 100, 1);
}

static void full_of_records(void **state)
{
    filled_and_emptied(*state, 600, 5);
}

static void full_in_one_transaction(void **state)
{
    filled_and_emptied(*state, 600, 100000);
}

static void full_of_large_records(void **state)
{
    filled_and_emptied(*state, 30000, 1);
}

static void full_of_large_records_at_once(void **state)
{
    filled_and_emptied(*state, 30000, 100000);
}

/* Every second record goes, so every page is copied and none comes free: more than one transaction has room for. */
static void evicting_every_second(void **state)
{
    struct fixture *f = *state;
    unsigned count = 0, evicted, rounds = 0, total = 0;
    for (int rc = CG_OK; rc == CG_OK; count += rc == CG_OK) {
        struct store_txn *txn = begin(f);
        rc = put_number(txn, count, 100, count % 2 == 0 ? 10 : 20);
        commit(txn);
    }
    do {
        struct store_txn *txn = begin(f);
        int rc = store_evict_oldest(txn, 15, UINT32_MAX, &evicted);
        assert_true(rc == CG_OK || rc == CG_E_FULL);
        commit(txn);
        if (rc == CG_E_FULL) /* the pages of the last two transactions come back with the next */
            evicted = 1;
        else
            total += evicted;
        assert_true(++rounds < 1000);
    } while (evicted != 0);
    assert_true(rounds > 2);
    assert_int_equal(total, (count + 1) / 2);
    assert_int_equal(records(f), count / 2);
}

/* After a transaction that deleted as much as it could, the next one has room again. */
static void room_comes_back(void **state)
{
    struct fixture *f = *state;
    unsigned count = fill(f, 100, 1), next = 0, refused = 0;
    evict_all_but(f, count * 3 / 4); /* what is left may well be written */
    for (unsigned deleted = 4; next < count; deleted += 2) {
        struct store_txn *txn = begin(f);
        for (unsigned i = 0; i < deleted;
             i++) { /* far from each other, each on a page of its own */
            char id[16];
            snprintf(id, sizeof(id), "%05u", (next + i) * 61 % count);
            if (store_delete(txn, RECORD_AGENT, id, 5) != CG_OK) {
                refused++;
                break;
            }
        }
        next += deleted;
        commit(txn);
        put_one(f, RECORD_CALL, "c", "1");
    }
    assert_true(refused > 0); /* else nothing was tried here */
}

/* The free pages of a commit wait for one more: whoever overwrites what is there must not be held up by that, nor by an abort. */
static void what_was_freed_can_be_used(void **state)
{
    struct fixture *f = *state;
    const size_t length = 90000;
    unsigned count = fill(f, length, 1);
    for (unsigned left = count - 2; left >= 2; left--) {
        evict_all_but(f, left);
        for (unsigned round = 0; round < 10; round++) {
            unsigned written = 0;
            struct store_txn *txn =
                begin(f); /* as many of those that are there as it takes in one transaction */
            while (written < left && put_number(txn, count - 1 - written, length, 1) == CG_OK)
                written++;
            commit(txn);
            assert_true(written > 0);
            txn = begin(f);
            assert_int_equal(put_number(txn, count - 1, length, 1), CG_OK);
            store_abort(&txn);
        }
    }
}

/* However a map came to be filled to its last page, the next start can empty it. */
static void a_map_without_a_page_left(void **state)
{
    struct fixture *f = *state;
    MDB_env *env;
    store_close(&f->store);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_set_mapsize(env, MIB), 0);
    assert_int_equal(mdb_env_open(env, fixture_path(f, "cache"), 0, 0600), 0);
    int rc = 0;
    for (size_t size = 3000; size > 4; size /= 2, rc = 0) {
        for (unsigned i = 0; rc == 0; i++) {
            MDB_txn *txn;
            MDB_dbi dbi;
            char id[16], value[3000] = "";
            MDB_val key = {(size_t)snprintf(id, sizeof(id), "%zu.%u", size, i), id},
                    data = {size, value};
            assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
            assert_int_equal(mdb_dbi_open(txn, "records", 0, &dbi), 0);
            rc = mdb_put(txn, dbi, &key, &data, 0);
            if (rc == 0)
                rc = mdb_txn_commit(txn);
            else
                mdb_txn_abort(txn);
        }
        assert_int_equal(rc, MDB_MAP_FULL);
    }
    mdb_env_close(env);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_false(f->opened.cache_set_aside);
    assert_false(f->opened.cache_was_empty);
    for (unsigned round = 0; round < 300; round++) {
        struct store_txn *txn = begin(f);
        unsigned evicted;
        rc = store_evict_oldest(txn, INT64_MAX, UINT32_MAX, &evicted);
        assert_true(rc == CG_OK || rc == CG_E_FULL);
        commit(txn);
    }
    struct store_stats stats;
    store_get_stats(f->store, &stats);
    assert_int_equal(stats.records, 0);
    put_one(f, RECORD_AGENT, "a", "1");
}

/* A list, or a user, that cannot be taken away wholly is not taken away at all. */
static void half_a_list(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 1000 };
    char *texts = malloc((size_t)COUNT * 64);
    const char **ids = malloc(COUNT * sizeof(*ids));
    assert_non_null(texts);
    assert_non_null(ids);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(texts + 64 * i, 64, "%u-a-terminal-with-a-name-that-takes-some-room", i);
        ids[i] = texts + 64 * i;
    }
    for (unsigned i = 0; i < COUNT; i += 100) { /* in parts: all at once would not fit */
        struct store_txn *txn = begin(f);
        for (unsigned j = i; j < i + 100; j++)
            assert_int_equal(store_add_owner(txn, RECORD_TERMINAL, ids[j], strlen(ids[j]), 1),
                             CG_OK);
        commit(txn);
    }
    struct store_reader *reader;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    for (unsigned way = 0; way < 2; way++) {
        struct store_txn *txn = begin(f);
        int rc = CG_OK;
        while (rc == CG_OK) { /* use up what may be used */
            rc = put_number(txn, 1, 3000, 1);
            commit(txn);
            txn = begin(f);
        }
        rc = way == 0 ? store_set_owned(txn, RECORD_TERMINAL, 1, NULL, 0)
                      : store_forget_user(txn, 1);
        assert_int_equal(rc, CG_E_FULL);
        assert_int_equal(store_commit(&txn), CG_E_FULL);
        const uint32_t *users;
        size_t count;
        store_read_end(reader);
        assert_int_equal(store_read_begin(reader), CG_OK);
        for (unsigned i = 0; i < COUNT; i++)
            assert_int_equal(
                store_owners(reader, RECORD_TERMINAL, ids[i], strlen(ids[i]), &users, &count),
                CG_OK);
    }
    store_read_end(reader);
    store_reader_free(&reader);
    free(ids);
    free(texts);
}

/* Writing again what is there copies every page: refused in time, and what was written before that stands. */
static void overwriting_everything_at_once(void **state)
{
    struct fixture *f = *state;
    unsigned count = fill(f, 600, 1);
    evict_all_but(f, count * 2 / 3);
    for (unsigned round = 0; round < 5; round++) {
        struct store_txn *txn = begin(f);
        int rc = CG_OK;
        for (unsigned i = 0; rc == CG_OK && i < count; i++) {
            struct record out;
            char id[16];
            unsigned at = i * 7919 % count;
            snprintf(id, sizeof(id), "%05u", at);
            if (store_txn_get(txn, RECORD_AGENT, id, 5, &out) == CG_OK)
                rc = put_number(txn, at, 600, 1);
        }
        assert_int_equal(rc, CG_E_FULL);
        commit(txn);
        put_one(f, RECORD_CALL, "c", "1"); /* two commits later the copied pages are free */
        put_one(f, RECORD_CALL, "c", "2");
    }
    assert_int_equal(records(f), count * 2 / 3 + 1);
}

static void full_survives_a_restart(void **state)
{
    struct fixture *f = *state;
    unsigned count = fill(f, 600, 1);
    for (unsigned i = 0; i < 30; i++) {
        reopen(f);
        assert_false(f->opened.cache_set_aside);
    }
    assert_int_equal(records(f), count);
    evict_all_but(f, 0);
    put_one(f, RECORD_AGENT, "a", "1");
}

static void overwriting_does_not_fill(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 5000; i++) {
        struct store_txn *txn = begin(f);
        assert_int_equal(put_number(txn, i % 300, 600, i), CG_OK);
        commit(txn);
    }
    assert_int_equal(records(f), 300);
}

static void owners_are_refused_whole(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 20000 };
    char *texts = malloc((size_t)COUNT * 16);
    const char **ids = malloc(COUNT * sizeof(*ids));
    assert_non_null(texts);
    assert_non_null(ids);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(texts + 16 * i, 16, "t%u", i);
        ids[i] = texts + 16 * i;
    }
    struct store_txn *txn = begin(f);
    assert_int_equal(store_set_owned(txn, RECORD_TERMINAL, 1, ids, 100), CG_OK);
    assert_int_equal(store_set_owned(txn, RECORD_TERMINAL, 1, ids, COUNT), CG_E_FULL);
    commit(txn);
    struct store_reader *reader;
    const uint32_t *users;
    size_t count;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    assert_int_equal(store_owners(reader, RECORD_TERMINAL, "t99", 3, &users, &count), CG_OK);
    assert_int_equal(store_owners(reader, RECORD_TERMINAL, "t100", 4, &users, &count),
                     CG_E_NOTFOUND);
    store_read_end(reader);
    store_reader_free(&reader);
    fill(f, 600, 1);
    txn = begin(f);
    int rc = CG_OK;
    for (unsigned i = 0; rc == CG_OK && i < COUNT; i++)
        rc = store_add_owner(txn, RECORD_CALL, ids[i], strlen(ids[i]), 2);
    assert_int_equal(rc, CG_E_FULL);
    for (unsigned i = 0; rc == CG_E_FULL && i < 200;
         i++) { /* a user may have been given a page, not many */
        char name[CG_ID_BYTES_MAX + 1];
        uint32_t id;
        memset(name, 'a' + (char)(i % 26), CG_ID_BYTES_MAX);
        name[CG_ID_BYTES_MAX] = '\0';
        snprintf(name, 8, "%06u", i);
        name[6] = 'x';
        rc = store_user_id(txn, name, &id) == CG_E_FULL ? CG_OK : CG_E_FULL;
    }
    assert_int_equal(rc, CG_OK);
    assert_int_equal(store_remove_owner(txn, RECORD_TERMINAL, "t0", 2, 1), CG_OK);
    assert_int_equal(store_set_owned(txn, RECORD_TERMINAL, 1, NULL, 0), CG_OK);
    commit(txn);
    free(ids);
    free(texts);
}

/* A reader that does not end keeps every old page: puts are refused in time, nothing breaks, and it is over when it ends. */
static void a_stuck_reader(void **state)
{
    struct fixture *f = *state;
    struct store_reader *reader;
    struct store_stats stats;
    struct record out;
    put_one(f, RECORD_CALL, "c", "kept");
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    int rc = CG_OK;
    unsigned commits = 0;
    for (; rc == CG_OK; commits++) {
        struct store_txn *txn = begin(f);
        rc = put_number(txn, 1, 600, 1);
        commit(txn);
        assert_true(commits < 10000);
    }
    assert_int_equal(rc, CG_E_FULL);
    store_get_stats(f->store, &stats);
    assert_true(stats.oldest_read_lag > 10);
    assert_int_equal(stats.reading, 1);
    assert_int_equal(store_get(reader, RECORD_CALL, "c", 1, &out), CG_OK);
    assert_memory_equal(out.body, "kept", 4);
    struct store_txn *txn = begin(f);
    assert_int_equal(store_delete(txn, RECORD_AGENT, "00001", 5), CG_OK);
    commit(txn);
    store_read_end(reader);
    store_reader_free(&reader);
    put_one(f, RECORD_CALL, "c", "new");
}

/* What deletes is refused as well, in time, under a reader that never ends; half a list or half a user never is committed. */
static void the_last_pages(void **state)
{
    struct fixture *f = *state;
    struct store_reader *reader;
    struct record out;
    struct store_txn *txn = begin(f);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(put_number(txn, i, 600, 1), CG_OK);
    commit(txn);
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    int rc = CG_OK;
    unsigned deleted = 0;
    while (rc == CG_OK) {
        char id[16];
        snprintf(id, sizeof(id), "%05u", deleted);
        assert_true(deleted < 300);
        txn = begin(f);
        rc = store_delete(txn, RECORD_AGENT, id, 5);
        deleted += rc == CG_OK;
        commit(txn);
    }
    assert_int_equal(rc, CG_E_FULL);
    assert_int_equal(records(f), 300 - deleted);
    txn = begin(f);
    unsigned evicted;
    assert_int_equal(store_evict_oldest(txn, INT64_MAX, 1, &evicted), CG_E_FULL);
    assert_int_equal(store_remove_owner(txn, RECORD_AGENT, "a", 1, 1), CG_E_FULL);
    assert_int_equal(store_txn_get(txn, RECORD_AGENT, "00299", 5, &out), CG_OK);
    assert_int_equal(store_forget_user(txn, 7), CG_E_FULL); /* may have begun */
    assert_int_equal(store_txn_get(txn, RECORD_AGENT, "00299", 5, &out), CG_E_FULL);
    assert_int_equal(put_number(txn, 1, 1, 1), CG_E_FULL);
    assert_int_equal(store_add_owner(txn, RECORD_AGENT, "a", 1, 1), CG_E_FULL);
    assert_int_equal(store_commit(&txn), CG_E_FULL);
    assert_null(txn);
    assert_int_equal(records(f), 300 - deleted);
    assert_int_equal(store_get(reader, RECORD_AGENT, "00000", 5, &out), CG_OK);
    store_read_end(reader);
    store_reader_free(&reader);
    evict_all_but(f, 0);
    put_one(f, RECORD_CALL, "c", "new");
    reopen(f);
    assert_false(f->opened.cache_set_aside);
    assert_int_equal(get_one(f, RECORD_CALL, "c", &out), CG_OK);
}

static void evicting_the_old(void **state)
{
    struct fixture *f = *state;
    struct record out;
    unsigned evicted;
    struct store_txn *txn = begin(f);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(put_number(txn, i, 100, i % 2 == 0 ? 10 : 20), CG_OK);
    assert_int_equal(store_add_owner(txn, RECORD_AGENT, "00000", 5, 3), CG_OK);
    commit(txn);
    txn = begin(f);
    assert_int_equal(store_evict_oldest(txn, 10, 100, &evicted), CG_OK);
    assert_int_equal(evicted, 0);
    assert_int_equal(store_evict_oldest(txn, 11, 0, &evicted), CG_OK);
    assert_int_equal(evicted, 0);
    assert_int_equal(store_evict_oldest(txn, 11, 8, &evicted), CG_OK);
    assert_int_equal(evicted, 8);
    assert_int_equal(store_txn_get(txn, RECORD_AGENT, "00014", 5, &out), CG_E_NOTFOUND);
    assert_int_equal(store_txn_get(txn, RECORD_AGENT, "00016", 5, &out), CG_OK);
    commit(txn);
    /* The hand goes on from there, round the end, and stops where it began. */
    txn = begin(f);
    assert_int_equal(put_number(txn, 0, 100, 10), CG_OK);
    assert_int_equal(store_evict_oldest(txn, 11, 4, &evicted), CG_OK);
    assert_int_equal(evicted, 4);
    assert_int_equal(store_txn_get(txn, RECORD_AGENT, "00000", 5, &out), CG_OK);
    commit(txn);
    unsigned total = 0;
    do {
        txn = begin(f);
        assert_int_equal(store_evict_oldest(txn, 11, 7, &evicted), CG_OK);
        commit(txn);
        total += evicted;
    } while (evicted != 0);
    assert_int_equal(total, 50 - 8 - 4 + 1);
    assert_int_equal(records(f), 50);
    struct store_reader *reader;
    const uint32_t *users;
    size_t count;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    assert_int_equal(store_owners(reader, RECORD_AGENT, "00000", 5, &users, &count), CG_OK);
    store_read_end(reader);
    store_reader_free(&reader);
}

/* The disk refuses: no file may grow beyond a size. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_disk_that_is_full(void **state)
{
    struct fixture *f = *state;
    struct record out;
    put_one(f, RECORD_AGENT, "a", "1");
    signal(SIGXFSZ, SIG_IGN);
    limit_files(200 * 1024);
    int rc = CG_OK;
    for (unsigned i = 0; rc == CG_OK && i < 1000; i++) {
        struct store_txn *txn = begin(f);
        assert_int_equal(put_number(txn, i, 600, 1), CG_OK);
        rc = store_commit(&txn);
        assert_null(txn);
    }
    limit_files(RLIM_INFINITY);
    assert_int_equal(rc, CG_E_IO);
    assert_int_equal(get_one(f, RECORD_AGENT, "a", &out), CG_OK);
    put_one(f, RECORD_AGENT, "b", "1");
    reopen(f);
    assert_false(f->opened.cache_set_aside);
    assert_int_equal(get_one(f, RECORD_AGENT, "a", &out), CG_OK);
    assert_int_equal(get_one(f, RECORD_AGENT, "b", &out), CG_OK);
}

static void a_disk_that_is_full_at_the_start(void **state)
{
    struct fixture *f = *state;
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t bytes = 0; bytes < 200 * 1024; bytes += 4096) {
        limit_files(bytes);
        int rc = fixture_open(f);
        limit_files(RLIM_INFINITY);
        if (rc == CG_OK) {
            assert_true(bytes > 0);
            store_close(&f->store);
        } else {
            assert_int_equal(rc, CG_E_IO);
            assert_null(f->store);
            assert_string_not_equal(f->error, "");
        }
    }
    assert_int_equal(fixture_open(f), CG_OK);
    put_one(f, RECORD_AGENT, "a", "1");
}

#define SMALL(test) cmocka_unit_test_setup_teardown(test, setup_small, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SMALL(full_of_small_records),
        SMALL(full_of_records),
        SMALL(full_in_one_transaction),
        SMALL(full_of_large_records),
        SMALL(full_of_large_records_at_once),
        SMALL(evicting_every_second),
        SMALL(room_comes_back),
        SMALL(what_was_freed_can_be_used),
        SMALL(a_map_without_a_page_left),
        SMALL(half_a_list),
        SMALL(overwriting_everything_at_once),
        SMALL(full_survives_a_restart),
        SMALL(overwriting_does_not_fill),
        SMALL(owners_are_refused_whole),
        SMALL(a_stuck_reader),
        SMALL(the_last_pages),
        SMALL(evicting_the_old),
        SMALL(a_disk_that_is_full),
        cmocka_unit_test_setup_teardown(a_disk_that_is_full_at_the_start, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
