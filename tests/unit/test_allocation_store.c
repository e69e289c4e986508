/*
 * Memory runs out in the store: in what it allocates itself, and in LMDB, whose calls that may need memory say so in turn. What was there
 * before is there afterwards, and nothing that is only out of memory is set aside as damaged.
 */
#include "test_allocation_fixture.h"

#include <dirent.h>
#include <lmdb.h>

#include "test_store_fixture.h"

/* ---- LMDB without memory ---- */

#define WITHOUT_MEMORY(name, parameters, arguments)                                                \
    int __real_##name parameters;                                                                  \
    int __wrap_##name parameters;                                                                  \
    int __wrap_##name parameters                                                                   \
    {                                                                                              \
        return allocation_fails() ? ENOMEM : __real_##name arguments;                              \
    }

WITHOUT_MEMORY(mdb_env_create, (MDB_env * *env), (env))
WITHOUT_MEMORY(mdb_env_open, (MDB_env * env, const char *path, unsigned flags, mdb_mode_t mode),
               (env, path, flags, mode))
WITHOUT_MEMORY(mdb_txn_begin, (MDB_env * env, MDB_txn *parent, unsigned flags, MDB_txn **txn),
               (env, parent, flags, txn))
WITHOUT_MEMORY(mdb_dbi_open, (MDB_txn * txn, const char *name, unsigned flags, MDB_dbi *dbi),
               (txn, name, flags, dbi))
WITHOUT_MEMORY(mdb_cursor_open, (MDB_txn * txn, MDB_dbi dbi, MDB_cursor **cursor),
               (txn, dbi, cursor))
WITHOUT_MEMORY(mdb_put, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags),
               (txn, dbi, key, value, flags))
WITHOUT_MEMORY(mdb_del, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *value),
               (txn, dbi, key, value))
WITHOUT_MEMORY(mdb_cursor_del, (MDB_cursor * cursor, unsigned flags), (cursor, flags))

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    if (!allocation_fails())
        return __real_mdb_txn_commit(txn);
    mdb_txn_abort(txn); /* as one that fails has ended */
    return ENOMEM;
}

/* ---- the store ---- */

static const char *const ids[] = {"2001", "2002", "2003"};

static unsigned open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        ++count;
    closedir(directory);
    return count;
}

/* A set of records and of who owns them, and three entries in the log. */
static void fill(struct fixture *f)
{
    struct store_txn *txn = begin(f);
    uint64_t seq;
    size_t i;

    for (i = 0; i < sizeof(ids) / sizeof(ids[0]); ++i) {
        assert_int_equal(put(txn, RECORD_AGENT, ids[i], "{}"), CG_OK);
        assert_int_equal(store_add_owner(txn, RECORD_AGENT, ids[i], strlen(ids[i]), 7), CG_OK);
        assert_int_equal(store_log_append(txn, "event", 5, &seq), CG_OK);
    }
    commit(txn);
}

static int count_id(void *data, const char *id, size_t length)
{
    assert_memory_equal(id, ids[*(unsigned *)data], length);
    ++*(unsigned *)data;
    return 0;
}

static int count_entry(void *data, uint64_t seq, const void *entry, size_t length)
{
    (void)seq;
    assert_memory_equal(entry, "event", length);
    ++*(unsigned *)data;
    return 0;
}

/* ---- opening ---- */

static int open_store(void *data)
{
    struct fixture *f = data;
    unsigned files = open_files();
    struct record record;

    f->error[0] = '\0';
    allocation_begin();
    int rc = store_open(&f->store, &f->settings, &f->opened, f->error, sizeof(f->error));
    allocation_end();
    assert_false(f->opened.cache_set_aside || f->opened.durable_set_aside);
    if (rc == CG_OK) {
        assert_int_equal(get_one(f, RECORD_AGENT, "2002", &record), CG_OK);
        store_close(&f->store);
    } else {
        assert_null(f->store);
        assert_true(f->error[0] != '\0');
    }
    assert_int_equal(open_files(), files);
    return rc;
}

static void test_opening(void **state)
{
    struct fixture *f = *state;

    fill(f);
    store_close(&f->store);
    allocation_torture("store_open", open_store, f, ALLOCATION_STRICT);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_false(f->opened.cache_was_empty);
    assert_int_equal(count_names(f, "cache."), 0);
}

/* ---- reading ---- */

static int make_reader(void *data)
{
    struct fixture *f = data;
    struct store_reader *reader;

    allocation_begin();
    int rc = store_reader_new(&reader, f->store);
    allocation_end();
    if (rc != CG_OK) {
        assert_null(reader);
        return rc;
    }
    store_reader_free(&reader);
    return CG_OK;
}

static int read_owners(void *data)
{
    struct fixture *f = data;
    struct store_reader *reader;
    const uint32_t *users;
    size_t num_users;

    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    allocation_begin();
    int rc = store_owners(reader, RECORD_AGENT, "2001", 4, &users, &num_users);
    allocation_end();
    if (rc == CG_OK) {
        assert_int_equal(num_users, 1);
        assert_int_equal(users[0], 7);
    }
    store_read_end(reader);
    store_reader_free(&reader);
    return rc;
}

static int walk_ids(void *data)
{
    struct fixture *f = data;
    struct store_reader *reader;
    unsigned count = 0;

    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    allocation_begin();
    int rc = store_walk(reader, RECORD_AGENT, 7, NULL, 0, count_id, &count);
    allocation_end();
    assert_int_equal(count, rc == CG_OK ? 3 : 0);
    store_read_end(reader);
    store_reader_free(&reader);
    return rc;
}

static int walk_log(void *data)
{
    struct fixture *f = data;
    struct store_reader *reader;
    unsigned count = 0;

    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    allocation_begin();
    int rc = store_log_walk(reader, 0, count_entry, &count);
    allocation_end();
    assert_int_equal(count, rc == CG_OK ? 3 : 0);
    store_read_end(reader);
    store_reader_free(&reader);
    return rc;
}

static void test_reading(void **state)
{
    struct fixture *f = *state;

    fill(f);
    allocation_torture("store_reader_new", make_reader, f, ALLOCATION_STRICT);
    allocation_torture("store_owners", read_owners, f, ALLOCATION_STRICT);
    allocation_torture("store_walk", walk_ids, f, ALLOCATION_STRICT);
    allocation_torture("store_log_walk", walk_log, f, ALLOCATION_STRICT);
}

/* ---- writing ---- */

struct written {
    struct fixture *f;
    unsigned number; /* of the transaction */
    uint64_t last;   /* of the log */
};

static int write_all(struct store_txn *txn, const char *body)
{
    static const char *const owned[] = {"2003", "2001"};
    struct record record = {.provenance = PROVENANCE_FETCH,
                            .user = 7,
                            .fetched_at_ms = 1,
                            .expires_at_ms = 2,
                            .body = body,
                            .body_length = strlen(body)};
    unsigned dropped;
    uint64_t seq;
    int rc;

    if ((rc = store_put(txn, RECORD_AGENT, "2001", 4, &record)) != CG_OK ||
        (rc = store_set_owned(txn, RECORD_AGENT, 9, owned, 2)) != CG_OK ||
        (rc = store_remove_owner(txn, RECORD_AGENT, "2001", 4, 9)) != CG_OK ||
        (rc = store_delete(txn, RECORD_AGENT, "2003", 4)) != CG_OK ||
        (rc = store_log_append(txn, "event", 5, &seq)) != CG_OK)
        return rc;
    return store_log_trim(txn, 2, UINT64_MAX, 100, &dropped);
}

static void assert_body(struct fixture *f, const char *body)
{
    struct store_reader *reader;
    struct record record;

    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    assert_int_equal(store_get(reader, RECORD_AGENT, "2001", 4, &record), CG_OK);
    assert_int_equal(record.body_length, strlen(body));
    assert_memory_equal(record.body, body, record.body_length);
    store_read_end(reader);
    store_reader_free(&reader);
}

/* All of a transaction or nothing; and the next one is not the worse for it. */
static int write_some(void *data)
{
    struct written *written = data;
    struct fixture *f = written->f;
    char before[32], body[32];
    struct store_txn *txn;

    snprintf(before, sizeof(before), "{\"n\":%u}", written->number);
    snprintf(body, sizeof(body), "{\"n\":%u}", ++written->number);
    put_one(f, RECORD_AGENT, "2001", before);
    put_one(f, RECORD_AGENT, "2003", "{}");
    allocation_begin();
    int rc = store_begin(f->store, &txn);
    if (rc == CG_OK && (rc = write_all(txn, body)) != CG_OK)
        store_abort(&txn);
    else if (rc == CG_OK)
        rc = store_commit(&txn);
    allocation_end();
    assert_body(f, rc == CG_OK ? body : before);
    return rc;
}

static void test_writing(void **state)
{
    struct written written = {*state, 0, 0};

    fill(written.f);
    /* how much room there is is estimated where it cannot be measured */
    allocation_torture("a transaction", write_some, &written, ALLOCATION_TOLERANT);
}

static int set_up_libraries(void **state)
{
    (void)state;
    allocation_init();
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opening, fixture_setup_open, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_reading, fixture_setup_open, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_writing, fixture_setup_open, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, set_up_libraries, NULL);
}
