/* What the tests of damaged stores share: a store with something in it, and a look at all of it. */
#ifndef TEST_STORE_DAMAGE_FIXTURE_H
#define TEST_STORE_DAMAGE_FIXTURE_H

#include "test_store_fixture.h"

enum { RECORDS = 1500 };

static inline void body_of(unsigned i, char body[128])
{
    memset(body, 'b', 127);
    body[127] = '\0';
    body[snprintf(body, 128, "<%u>", i)] = 'b';
}

static inline void fill(struct fixture *f)
{
    struct store_txn *txn = begin(f);
    char id[16], body[128];
    for (unsigned i = 0; i < RECORDS; i++) {
        snprintf(id, sizeof(id), "id%u", i);
        body_of(i, body);
        assert_int_equal(put(txn, RECORD_CALL, id, body), CG_OK);
        assert_int_equal(store_add_owner(txn, RECORD_CALL, id, strlen(id), 1 + i % 7), CG_OK);
    }
    static char large[20000];
    memset(large, 'L', sizeof(large));
    assert_int_equal(put_at(txn, RECORD_CALL_DATA, "large", large, sizeof(large), 0, NULL), CG_OK);
    commit(txn);
    txn = begin(f);
    assert_int_equal(store_delete(txn, RECORD_CALL, "id700", 5),
                     CG_OK); /* so that the free list is not empty */
    commit(txn);
}

static inline int on_id(void *data, const char *id, size_t length)
{
    (void)id;
    (void)length;
    return ++*(unsigned *)data == 100000;
}

/* Reads everything: what comes must be right, whatever else is lost. Returns how many records came. */
static inline unsigned read_all(struct fixture *f)
{
    struct store_reader *reader;
    unsigned found = 0, walked = 0;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    for (unsigned i = 0; i < RECORDS; i++) {
        char id[16], body[128];
        struct record out;
        const uint32_t *users;
        size_t count;
        snprintf(id, sizeof(id), "id%u", i);
        body_of(i, body);
        int rc = store_get(reader, RECORD_CALL, id, strlen(id), &out);
        assert_true(rc == CG_OK || rc == CG_E_NOTFOUND || rc == CG_E_CORRUPT);
        if (rc == CG_OK) {
            assert_int_equal(out.body_length, strlen(body));
            assert_memory_equal(out.body, body, out.body_length);
            found++;
        }
        rc = store_owners(reader, RECORD_CALL, id, strlen(id), &users, &count);
        assert_true(rc == CG_OK || rc == CG_E_NOTFOUND || rc == CG_E_CORRUPT);
        if (rc == CG_OK) {
            assert_int_equal(count, 1);
            assert_int_equal(users[0], 1 + i % 7);
        }
    }
    for (uint32_t user = 0; user < 9; user++)
        store_walk(reader, RECORD_CALL, user, NULL, 0, on_id, &walked);
    store_read_end(reader);
    store_reader_free(&reader);
    return found;
}

/* The start succeeds, the cache was set aside for a reason, and the new one works. */
static inline void assert_set_aside(struct fixture *f, const char *reason)
{
    struct record out;
    assert_int_equal(fixture_open(f), CG_OK);
    assert_true(f->opened.cache_set_aside);
    assert_true(f->opened.cache_was_empty);
    assert_non_null(f->opened.cache_reason);
    if (reason != NULL)
        assert_string_equal(f->opened.cache_reason, reason);
    assert_false(f->opened.durable_set_aside);
    assert_true(count_names(f, "cache.aside-") >= 1);
    put_one(f, RECORD_AGENT, "new", "1");
    reopen(f);
    assert_false(f->opened.cache_set_aside);
    assert_int_equal(get_one(f, RECORD_AGENT, "new", &out), CG_OK);
}

#endif
