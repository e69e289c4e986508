/* Readers while the owner writes: records are never torn, versions never go back, an object and its owners are of one moment. */
#include "test_store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

enum { READERS = 4, OBJECTS = 16, COMMITS = 1500, BODY_MAX = 5000 };

struct shared {
    struct store *store;
    _Atomic int done, wrong;
    _Atomic unsigned reads;
};

struct reading {
    struct shared *shared;
    uint64_t seen[OBJECTS];
    unsigned random;
};

/* A body is one letter throughout, its length goes with it, and so does the only owner. */
static unsigned letter_of(unsigned commit, unsigned object)
{
    return (commit * 7 + object) % 26;
}

static size_t length_of(unsigned letter)
{
    return 1 + (size_t)letter * (BODY_MAX / 26);
}

static int is_whole(const struct record *record)
{
    if (record->body_length == 0)
        return 0;
    unsigned letter = (unsigned)(record->body[0] - 'a');
    if (letter >= 26 || record->body_length != length_of(letter) || record->user != 1 + letter ||
        record->fetched_at_ms != (int64_t)letter)
        return 0;
    for (size_t i = 1; i < record->body_length; i++) {
        if (record->body[i] != record->body[0])
            return 0;
    }
    return 1;
}

static int read_object(struct store_reader *reader, struct reading *reading, unsigned object)
{
    struct record record;
    const uint32_t *users;
    size_t count;
    char id[16];
    size_t length = (size_t)snprintf(id, sizeof(id), "call%u", object);
    int rc = store_get(reader, RECORD_CALL, id, length, &record);
    if (rc == CG_E_NOTFOUND) /* deleted now and then, and with it its owner */
        return store_owners(reader, RECORD_CALL, id, length, &users, &count) == CG_E_NOTFOUND;
    if (rc != CG_OK || !is_whole(&record) || record.version < reading->seen[object])
        return 0;
    reading->seen[object] = record.version;
    return store_owners(reader, RECORD_CALL, id, length, &users, &count) == CG_OK && count == 1 &&
           users[0] == record.user;
}

static int on_id(void *data, const char *id, size_t length)
{
    int *wrong = data;
    *wrong |= length < 5 || memcmp(id, "call", 4) != 0;
    return 0;
}

static void *read_on(void *data)
{
    struct reading *reading = data;
    struct shared *shared = reading->shared;
    struct store_reader *reader;
    if (store_reader_new(&reader, shared->store) != CG_OK) {
        atomic_store(&shared->wrong, 1);
        return NULL;
    }
    do {
        int right = store_read_begin(reader) == CG_OK, wrong_id = 0;
        for (unsigned i = 0; right && i < 4; i++) {
            reading->random = reading->random * 1103515245u + 12345u;
            right = read_object(reader, reading, (reading->random >> 16) % OBJECTS);
        }
        if (right && (reading->random >> 20) % 16 == 0)
            right =
                store_walk(reader, RECORD_CALL, 0, NULL, 0, on_id, &wrong_id) == CG_OK && !wrong_id;
        store_read_end(reader);
        if (!right)
            atomic_store(&shared->wrong, 1);
        atomic_fetch_add(&shared->reads, 1);
    } while (!atomic_load(&shared->done) && !atomic_load(&shared->wrong));
    store_reader_free(&reader);
    return NULL;
}

static void *measure_on(void *data)
{
    struct shared *shared = data;
    uint64_t commits = 0;
    do {
        struct store_stats stats;
        store_get_stats(shared->store, &stats);
        if (stats.commits < commits || stats.records > OBJECTS || stats.readers > READERS + 1 ||
            stats.reading > stats.readers + READERS || stats.corrupt_records != 0)
            atomic_store(&shared->wrong, 1);
        commits = stats.commits;
    } while (!atomic_load(&shared->done) && !atomic_load(&shared->wrong));
    return NULL;
}

static void write_object(struct store_txn *txn, unsigned commit_number, unsigned object)
{
    static char body[BODY_MAX];
    char id[16];
    size_t length = (size_t)snprintf(id, sizeof(id), "call%u", object);
    unsigned letter = letter_of(commit_number, object);
    struct record record;
    if (store_txn_get(txn, RECORD_CALL, id, length, &record) == CG_OK)
        assert_int_equal(store_remove_owner(txn, RECORD_CALL, id, length, record.user), CG_OK);
    if (letter == 25) {
        assert_int_equal(store_delete(txn, RECORD_CALL, id, length), CG_OK);
        return;
    }
    memset(body, 'a' + (int)letter, length_of(letter));
    record = (struct record){.fetched_at_ms = letter,
                             .user = 1 + letter,
                             .provenance = PROVENANCE_EVENT,
                             .body = body,
                             .body_length = length_of(letter)};
    assert_int_equal(store_put(txn, RECORD_CALL, id, length, &record), CG_OK);
    assert_int_equal(store_add_owner(txn, RECORD_CALL, id, length, 1 + letter), CG_OK);
}

static void write_on(struct fixture *f, struct shared *shared)
{
    for (unsigned i = 0; i < COMMITS && !atomic_load(&shared->wrong); i++) {
        struct store_txn *txn = begin(f);
        for (unsigned object = 0; object < OBJECTS; object += 1 + i % 3)
            write_object(txn, i, object);
        if (i % 10 == 9)
            store_abort(&txn);
        else
            commit(txn);
    }
}

static void readers_and_the_writer(void **state)
{
    struct fixture *f = *state;
    struct shared shared = {.store = f->store};
    static struct reading readings[READERS];
    pthread_t threads[READERS], measuring;
    for (unsigned i = 0; i < READERS; i++) {
        readings[i] = (struct reading){.shared = &shared, .random = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readings[i]), 0);
    }
    assert_int_equal(pthread_create(&measuring, NULL, measure_on, &shared), 0);
    write_on(f, &shared);
    while (atomic_load(&shared.reads) < 100 && !atomic_load(&shared.wrong))
        sched_yield();
    atomic_store(&shared.done, 1);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(pthread_join(measuring, NULL), 0);
    assert_false(atomic_load(&shared.wrong));
}

/* A reader may be made in one thread, used in another and freed in a third, while others come and go. */
static void *borrow(void *data)
{
    struct store_reader *reader = data;
    for (unsigned i = 0; i < 200; i++) {
        struct record record;
        if (store_read_begin(reader) != CG_OK ||
            store_get(reader, RECORD_AGENT, "a", 1, &record) != CG_OK)
            return NULL;
        store_read_end(reader);
    }
    return reader;
}

static void readers_are_not_bound_to_threads(void **state)
{
    struct fixture *f = *state;
    put_one(f, RECORD_AGENT, "a", "1");
    for (unsigned round = 0; round < 20; round++) {
        struct store_reader *readers[2];
        pthread_t threads[2];
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(store_reader_new(&readers[i], f->store), CG_OK);
            assert_int_equal(pthread_create(&threads[i], NULL, borrow, readers[i]), 0);
        }
        put_one(f, RECORD_AGENT, "a", "2");
        for (unsigned i = 0; i < 2; i++) {
            void *result;
            assert_int_equal(pthread_join(threads[i], &result), 0);
            assert_ptr_equal(result, readers[i]);
            store_reader_free(&readers[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readers_and_the_writer, fixture_setup_open,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(readers_are_not_bound_to_threads, fixture_setup_open,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
