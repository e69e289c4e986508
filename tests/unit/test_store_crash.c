/*
 * kill -9 at any moment: a child writes and tells, over a pipe, what it has committed; the parent kills it at some point and opens
 * what is left. Everything told is there, each commit is there wholly or not at all, and nothing is corrupt or set aside.
 */
#include "test_store_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { ROUNDS = 30, OBJECTS = 40, BODY_MAX = 3000, KILL_AFTER_US_MAX = 12000 };

struct told {
    uint32_t commit;
    uint32_t unused;
    uint64_t version; /* the highest of the commit */
};

/* Every object is written by each commit, so one commit is one letter, one number in all of them. */
static int write_objects(struct store_txn *txn, uint32_t number, uint64_t *version)
{
    static char body[BODY_MAX];
    size_t length = 1 + number * 97 % (BODY_MAX - 1);
    memset(body, 'a' + (char)(number % 26), sizeof(body));
    for (unsigned i = 0; i < OBJECTS; i++) {
        char id[16];
        snprintf(id, sizeof(id), "object%u", i);
        int rc = put_at(txn, RECORD_CALL, id, body, length, number, version);
        if (rc == CG_OK)
            rc = store_add_owner(txn, RECORD_CALL, id, strlen(id), 1 + number % 5);
        if (rc == CG_OK && number > 0)
            rc = store_remove_owner(txn, RECORD_CALL, id, strlen(id), 1 + (number - 1) % 5);
        if (rc != CG_OK)
            return rc;
    }
    return CG_OK;
}

static _Noreturn void child_writes(struct fixture *f, int pipe_end, uint32_t number)
{
    if (fixture_open(f) != CG_OK || f->opened.cache_set_aside || f->opened.durable_set_aside)
        _exit(2);
    for (;; number++) {
        struct store_txn *txn;
        struct told told = {.commit = number};
        if (store_begin(f->store, &txn) != CG_OK ||
            write_objects(txn, number, &told.version) != CG_OK || store_commit(&txn) != CG_OK)
            _exit(3);
        if (write(pipe_end, &told, sizeof(told)) != sizeof(told))
            _exit(4);
    }
}

static void read_told(int pipe_end, struct told *told)
{
    struct told next;
    while (read(pipe_end, &next, sizeof(next)) == sizeof(next))
        *told = next;
}

/* Where the kill falls matters, not when: from the first moment of the start to some hundred commits later. */
static void kill_after(pid_t child, long us)
{
    struct timespec wait = {.tv_nsec = us * 1000};
    int status;
    nanosleep(&wait, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status)); /* it did not give up by itself */
}

/* What the store holds now: the number of the last commit, the same in every object. */
static uint32_t check_objects(struct fixture *f, const struct told *told)
{
    struct store_reader *reader;
    struct store_stats stats;
    int64_t number = -1;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    for (unsigned i = 0; i < OBJECTS; i++) {
        char id[16];
        struct record out;
        const uint32_t *users;
        size_t count;
        snprintf(id, sizeof(id), "object%u", i);
        assert_int_equal(store_get(reader, RECORD_CALL, id, strlen(id), &out), CG_OK);
        if (number < 0)
            number = out.fetched_at_ms;
        assert_int_equal(out.fetched_at_ms, number);
        assert_int_equal(out.body_length, 1 + (uint32_t)number * 97 % (BODY_MAX - 1));
        assert_int_equal(out.body[out.body_length - 1], 'a' + number % 26);
        assert_true(i + 1 < OBJECTS || out.version >= told->version);
        assert_int_equal(store_owners(reader, RECORD_CALL, id, strlen(id), &users, &count), CG_OK);
        assert_int_equal(count, 1);
        assert_int_equal(users[0], 1 + number % 5);
    }
    store_read_end(reader);
    store_reader_free(&reader);
    store_get_stats(f->store, &stats);
    assert_int_equal(stats.corrupt_records, 0);
    assert_int_equal(stats.records, OBJECTS);
    assert_true(number >= told->commit);
    return (uint32_t)number;
}

static void killed_while_writing(void **state)
{
    struct fixture *f = *state;
    struct told told = {.commit = 0};
    uint64_t epoch = 0;
    unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();
    print_message("seed %u\n", seed);
    uint32_t next = 0;
    assert_int_equal(fixture_open(f), CG_OK);
    struct store_txn *txn = begin(f);
    assert_int_equal(write_objects(txn, next++, &told.version), CG_OK);
    commit(txn);
    for (unsigned round = 0; round < ROUNDS; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        store_close(&f->store);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            child_writes(f, ends[1], next);
        }
        close(ends[1]);
        if (round % 2 == 1) /* every second time it gets as far as writing */
            assert_int_equal(read(ends[0], &told, sizeof(told)), sizeof(told));
        kill_after(child, rand_r(&seed) % KILL_AFTER_US_MAX);
        read_told(ends[0], &told);
        close(ends[0]);
        assert_int_equal(fixture_open(f), CG_OK);
        assert_false(f->opened.cache_set_aside);
        assert_false(f->opened.durable_set_aside);
        assert_true(f->opened.epoch > epoch);
        epoch = f->opened.epoch;
        next = check_objects(f, &told) + 1;
    }
    print_message("%u commits, %llu starts\n", next, (unsigned long long)epoch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_while_writing, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
