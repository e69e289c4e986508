/* An environment that LMDB reads and we do not: formats, records and indexes, changed behind our back. */
#include "test_store_damage_fixture.h"
#include "test_store_edit.h"

/* Copies a value, changes a byte of it unless `at` is SIZE_MAX, and puts it under `to`. */
static void copy_value(MDB_txn *txn, const char *database, const char *from, size_t from_length,
                       const char *to, size_t to_length, size_t at)
{
    MDB_dbi dbi;
    char copy[4096];
    MDB_val key = {from_length, (void *)from}, to_key = {to_length, (void *)to}, value;
    assert_int_equal(mdb_dbi_open(txn, database, 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    assert_in_range(value.mv_size, 1, sizeof(copy));
    memcpy(copy, value.mv_data, value.mv_size);
    if (at != SIZE_MAX)
        copy[at] = (char)(copy[at] + 1);
    MDB_val new_value = {value.mv_size, copy};
    assert_int_equal(mdb_put(txn, dbi, &to_key, &new_value, 0), 0);
}

#define STATE "environment"

static void newer_format(MDB_txn *txn)
{
    copy_value(txn, "state", STATE, 11, STATE, 11, 8);
}

static void older_format(MDB_txn *txn)
{
    MDB_dbi dbi;
    MDB_val key = {11, STATE}, value;
    char copy[64];
    assert_int_equal(mdb_dbi_open(txn, "state", 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[8] = 0;
    value.mv_data = copy;
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

static void another_description(MDB_txn *txn)
{
    copy_value(txn, "state", STATE, 11, STATE, 11, 13);
}

static void another_magic(MDB_txn *txn)
{
    copy_value(txn, "state", STATE, 11, STATE, 11, 4);
}

static void no_state(MDB_txn *txn)
{
    MDB_dbi dbi;
    MDB_val key = {11, STATE};
    assert_int_equal(mdb_dbi_open(txn, "state", 0, &dbi), 0);
    assert_int_equal(mdb_del(txn, dbi, &key, NULL), 0);
}

static void short_state(MDB_txn *txn)
{
    MDB_dbi dbi;
    MDB_val key = {11, STATE}, value = {3, "abc"};
    assert_int_equal(mdb_dbi_open(txn, "state", 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

static void drop(MDB_txn *txn, const char *database)
{
    MDB_dbi dbi;
    assert_int_equal(mdb_dbi_open(txn, database, 0, &dbi), 0);
    assert_int_equal(mdb_drop(txn, dbi, 1), 0);
}

static void no_state_database(MDB_txn *txn)
{
    drop(txn, "state");
}

static void no_owners_database(MDB_txn *txn)
{
    drop(txn, "owners");
}

static void a_stray_value(MDB_txn *txn)
{
    MDB_dbi dbi;
    MDB_val key = {5, "stray"}, value = {3, "abc"};
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

static void a_database_with_duplicates(MDB_txn *txn)
{
    MDB_dbi dbi;
    assert_int_equal(mdb_dbi_open(txn, "strange", MDB_CREATE | MDB_DUPSORT, &dbi), 0);
}

static void formats(void **state)
{
    struct fixture *f = *state;
    static const struct {
        void (*change)(MDB_txn *txn);
        const char *reason;
    } cases[] = {{newer_format, "it is of a newer format"},
                 {older_format, "it is of an older format"},
                 {another_description, "the description is damaged"},
                 {another_magic, "the format is not given"},
                 {no_state, "the format is not given"},
                 {short_state, "the format is not given"},
                 {no_state_database, "the format is not given"},
                 {no_owners_database, "a database is missing"},
                 {a_stray_value, "an entry is of an unknown kind"},
                 {a_database_with_duplicates, "the description of a database is damaged"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        edit(f, "cache", cases[i].change);
        assert_set_aside(f, cases[i].reason);
    }
    edit(f, "durable", newer_format);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_true(f->opened.durable_set_aside);
    assert_string_equal(f->opened.durable_reason, "it is of a newer format");
}

static void flip_body(MDB_txn *txn)
{
    copy_value(txn, "records", "\1a", 2, "\1a", 2, 40);
}

static void flip_time(MDB_txn *txn)
{
    copy_value(txn, "records", "\1a", 2, "\1a", 2, 26);
}

static void flip_user(MDB_txn *txn)
{
    copy_value(txn, "records", "\1a", 2, "\1a", 2, 8);
}

static void flip_record_format(MDB_txn *txn)
{
    copy_value(txn, "records", "\1a", 2, "\1a", 2, 0);
}

static void another_record(MDB_txn *txn)
{
    copy_value(txn, "records", "\1b", 2, "\1a", 2, SIZE_MAX);
}

static void short_record(MDB_txn *txn)
{
    MDB_dbi dbi;
    MDB_val key = {2, "\1a"}, value = {39, "........................................"};
    assert_int_equal(mdb_dbi_open(txn, "records", 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

static void records_that_do_not_read_back(void **state)
{
    struct fixture *f = *state;
    void (*const changes[])(MDB_txn *) = {flip_body,          flip_time,      flip_user,
                                          flip_record_format, another_record, short_record};
    struct store_stats stats;
    struct record out;
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        put_one(f, RECORD_AGENT, "a", "{\"of\":\"a\"}");
        put_one(f, RECORD_AGENT, "b", "{\"of\":\"b\"}");
        edit(f, "cache", changes[i]);
        assert_int_equal(fixture_open(f), CG_OK);
        assert_false(f->opened.cache_set_aside);
        assert_int_equal(get_one(f, RECORD_AGENT, "a", &out), CG_E_CORRUPT);
        assert_int_equal(get_one(f, RECORD_AGENT, "b", &out), CG_OK);
        struct store_txn *txn = begin(f);
        assert_int_equal(store_txn_get(txn, RECORD_AGENT, "a", 1, &out), CG_E_CORRUPT);
        store_get_stats(f->store, &stats);
        assert_int_equal(stats.corrupt_records, 2);
        assert_int_equal(put(txn, RECORD_AGENT, "a", "1"),
                         CG_OK); /* the transaction stands, the record heals */
        commit(txn);
        assert_int_equal(get_one(f, RECORD_AGENT, "a", &out), CG_OK);
    }
}

static void flip_owners(MDB_txn *txn)
{
    copy_value(txn, "owners", "\4c", 2, "\4c", 2, 4);
}

static void owners_of_another(MDB_txn *txn)
{
    copy_value(txn, "owners", "\4d", 2, "\4c", 2, SIZE_MAX);
}

static void flip_owned(MDB_txn *txn)
{
    copy_value(txn, "owned", "\0\0\0\2\4c", 6, "\0\0\0\2\4c", 6, 1);
}

static void flip_users(MDB_txn *txn)
{
    copy_value(txn, "users", "alice", 5, "alice", 5, 4);
}

static int owners_of(struct fixture *f, const char *id, uint32_t *first, size_t *count)
{
    struct store_reader *reader;
    const uint32_t *users;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    int rc = store_owners(reader, RECORD_CALL, id, strlen(id), &users, count);
    if (rc == CG_OK)
        *first = users[0];
    store_read_end(reader);
    store_reader_free(&reader);
    return rc;
}

static unsigned walk_count(struct fixture *f, uint32_t user)
{
    struct store_reader *reader;
    unsigned count = 0;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    assert_int_equal(store_walk(reader, RECORD_CALL, user, NULL, 0, on_id, &count), CG_OK);
    store_read_end(reader);
    store_reader_free(&reader);
    return count;
}

static void owners_that_do_not_read_back(void **state)
{
    struct fixture *f = *state;
    void (*const changes[])(MDB_txn *) = {flip_owners, owners_of_another};
    uint32_t user, first;
    size_t count;
    for (size_t i = 0; i < 2; i++) {
        struct store_txn *txn = begin(f);
        static const char *const names[] = {"alice", "bob", "carol"};
        for (size_t j = 0; j < 3; j++)
            assert_int_equal(store_user_id(txn, names[j], &user), CG_OK);
        assert_int_equal(store_add_owner(txn, RECORD_CALL, "c", 1, 2), CG_OK);
        assert_int_equal(store_add_owner(txn, RECORD_CALL, "c", 1, 3), CG_OK);
        assert_int_equal(store_add_owner(txn, RECORD_CALL, "d", 1, 1), CG_OK);
        commit(txn);
        edit(f, "cache", changes[i]);
        assert_int_equal(fixture_open(f), CG_OK);
        assert_int_equal(owners_of(f, "c", &first, &count), CG_E_CORRUPT);
        assert_int_equal(walk_count(f, 0), 1);
        struct store_stats stats;
        store_get_stats(f->store, &stats);
        assert_int_equal(stats.corrupt_records, 2);
        /* The next change rebuilds it from the other direction. */
        txn = begin(f);
        assert_int_equal(store_add_owner(txn, RECORD_CALL, "c", 1, 1), CG_OK);
        commit(txn);
        assert_int_equal(owners_of(f, "c", &first, &count), CG_OK);
        assert_int_equal(count, 3);
        assert_int_equal(first, 1);
        txn = begin(f);
        assert_int_equal(store_remove_owner(txn, RECORD_CALL, "c", 1, 1), CG_OK);
        commit(txn);
    }
}

static void an_owned_entry_that_does_not_read_back(void **state)
{
    struct fixture *f = *state;
    const char *ids[] = {"c", "d"};
    struct store_txn *txn = begin(f);
    assert_int_equal(store_set_owned(txn, RECORD_CALL, 2, ids, 2), CG_OK);
    commit(txn);
    edit(f, "cache", flip_owned);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_int_equal(walk_count(f, 2), 1);
    txn = begin(f);
    assert_int_equal(store_set_owned(txn, RECORD_CALL, 2, ids, 2), CG_OK);
    commit(txn);
    assert_int_equal(walk_count(f, 2), 2);
    assert_int_equal(walk_count(f, 0), 2);
}

static void a_user_that_does_not_read_back(void **state)
{
    struct fixture *f = *state;
    uint32_t alice, bob, again;
    struct store_txn *txn = begin(f);
    assert_int_equal(store_user_id(txn, "alice", &alice), CG_OK);
    assert_int_equal(store_user_id(txn, "bob", &bob), CG_OK);
    commit(txn);
    edit(f, "cache", flip_users);
    assert_int_equal(fixture_open(f), CG_OK);
    txn = begin(f);
    assert_int_equal(store_user_id(txn, "alice", &again), CG_OK);
    assert_true(again != alice && again != bob);
    commit(txn);
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPEN(formats),
        OPEN(records_that_do_not_read_back),
        OPEN(owners_that_do_not_read_back),
        OPEN(an_owned_entry_that_does_not_read_back),
        OPEN(a_user_that_does_not_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
