/* Changing an environment behind the store's back. */
#ifndef TEST_STORE_EDIT_H
#define TEST_STORE_EDIT_H

#include "test_store_fixture.h"

#include <lmdb.h>

/* Behind the store's back: `change` in a transaction of an environment that is closed before. */
static inline void edit(struct fixture *f, const char *folder, void (*change)(MDB_txn *txn))
{
    MDB_env *env;
    MDB_txn *txn;
    store_close(&f->store);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 16), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 64 * MIB), 0);
    assert_int_equal(mdb_env_open(env, fixture_path(f, folder), 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    change(txn);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static inline MDB_dbi database(MDB_txn *txn, const char *name)
{
    MDB_dbi dbi;
    assert_int_equal(mdb_dbi_open(txn, name, 0, &dbi), 0);
    return dbi;
}

#endif
