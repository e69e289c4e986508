/*
 * A reader that two commits overtake while it begins. What LMDB makes of that (the number of one commit with the roots of a later one) can
 * neither be brought about from outside nor be told from a reader that was only overtaken, so that either begins anew.
 */
#include "test_store_fixture.h"

#include <lmdb.h>

static struct fixture *overtaking; /* who commits in the next renewal */

int __real_mdb_txn_renew(MDB_txn *txn);
int __wrap_mdb_txn_renew(MDB_txn *txn);
int __wrap_mdb_txn_renew(MDB_txn *txn)
{
    struct fixture *f = overtaking;
    int rc = __real_mdb_txn_renew(txn);

    overtaking = NULL;
    if (f != NULL) {
        put_one(f, RECORD_CALL, "c", "2");
        put_one(f, RECORD_CALL, "c", "3");
    }
    return rc;
}

static void assert_body(struct store_reader *reader, const char *body)
{
    struct record record;
    assert_int_equal(store_get(reader, RECORD_CALL, "c", 1, &record), CG_OK);
    assert_int_equal(record.body_length, strlen(body));
    assert_memory_equal(record.body, body, strlen(body));
}

static void an_overtaken_reader_begins_anew(void **state)
{
    struct fixture *f = *state;
    struct store_reader *reader;

    put_one(f, RECORD_CALL, "c", "1");
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    overtaking = f;
    assert_int_equal(store_read_begin(reader), CG_OK);
    assert_body(reader, "3");
    store_read_end(reader);
    store_reader_free(&reader);
}

/* What is committed after it has begun is of another moment. */
static void a_reader_stays_where_it_began(void **state)
{
    struct fixture *f = *state;
    struct store_reader *reader;

    put_one(f, RECORD_CALL, "c", "1");
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    put_one(f, RECORD_CALL, "c", "2");
    put_one(f, RECORD_CALL, "c", "3");
    assert_body(reader, "1");
    store_read_end(reader);
    store_reader_free(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_overtaken_reader_begins_anew, fixture_setup_open,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_reader_stays_where_it_began, fixture_setup_open,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
