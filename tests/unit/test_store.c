/* Every function of the store on a sound data directory. */
#include "test_store_fixture.h"

#include <sys/wait.h>
#include <time.h>

static void a_new_directory(void **state)
{
    struct fixture *f = *state;
    char inner[96];
    struct stat status;
    snprintf(inner, sizeof(inner), "%s/data", f->directory);
    f->settings.directory = inner;
    assert_int_equal(fixture_open(f), CG_OK);
    assert_int_equal(f->opened.epoch, 1);
    assert_true(f->opened.cache_was_empty);
    assert_false(f->opened.cache_set_aside);
    assert_false(f->opened.durable_set_aside);
    assert_null(f->opened.cache_reason);
    assert_int_equal(stat(inner, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    static const char *const folders[] = {"data/cache", "data/durable"};
    static const char *const files[] = {"data/lock", "data/cache/data.mdb", "data/cache/lock.mdb",
                                        "data/durable/data.mdb"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(stat(fixture_path(f, folders[i]), &status), 0);
        assert_int_equal(status.st_mode & 0777, 0700);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(stat(fixture_path(f, files[i]), &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

static void a_record_comes_back(void **state)
{
    struct fixture *f = *state;
    struct store_txn *txn = begin(f);
    struct record in = {.fetched_at_ms = -5,
                        .expires_at_ms = INT64_MAX,
                        .user = 4000000000u,
                        .provenance = PROVENANCE_EVENT,
                        .body = "{\"a\":1}",
                        .body_length = 7};
    struct record out;
    assert_int_equal(store_txn_get(txn, RECORD_AGENT, "2001", 4, &out), CG_E_NOTFOUND);
    assert_int_equal(store_put(txn, RECORD_AGENT, "2001", 4, &in), CG_OK);
    assert_int_equal(in.version, f->opened.epoch << 40 | 1);
    assert_int_equal(store_txn_get(txn, RECORD_AGENT, "2001", 4, &out), CG_OK);
    assert_int_equal(out.version, in.version);
    assert_int_equal(get_one(f, RECORD_AGENT, "2001", &out), CG_E_NOTFOUND);
    commit(txn);

    struct store_reader *reader;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    assert_int_equal(store_get(reader, RECORD_AGENT, "2001", 4, &out), CG_OK);
    assert_int_equal(out.version, in.version);
    assert_int_equal(out.fetched_at_ms, -5);
    assert_true(out.expires_at_ms == INT64_MAX);
    assert_int_equal(out.user, 4000000000u);
    assert_int_equal(out.provenance, PROVENANCE_EVENT);
    assert_int_equal(out.body_length, 7);
    assert_memory_equal(out.body, "{\"a\":1}", 7);
    assert_int_equal(store_get(reader, RECORD_TERMINAL, "2001", 4, &out), CG_E_NOTFOUND);
    assert_int_equal(store_get(reader, RECORD_AGENT, "200", 3, &out), CG_E_NOTFOUND);
    store_read_end(reader);
    store_reader_free(&reader);
    assert_null(reader);
}

static void a_snapshot_stays(void **state)
{
    struct fixture *f = *state;
    struct store_reader *reader;
    struct record out;
    put_one(f, RECORD_CALL, "c", "old");
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    put_one(f, RECORD_CALL, "c", "new");
    assert_int_equal(store_get(reader, RECORD_CALL, "c", 1, &out), CG_OK);
    assert_memory_equal(out.body, "old", 3);
    struct store_stats stats;
    store_get_stats(f->store, &stats);
    assert_int_equal(stats.readers, 1);
    assert_int_equal(stats.reading, 1);
    assert_int_equal(stats.oldest_read_lag, 1);
    store_read_end(reader);
    store_get_stats(f->store, &stats);
    assert_int_equal(stats.reading, 0);
    assert_int_equal(stats.oldest_read_lag, 0);
    assert_int_equal(store_read_begin(reader), CG_OK);
    assert_int_equal(store_get(reader, RECORD_CALL, "c", 1, &out), CG_OK);
    assert_memory_equal(out.body, "new", 3);
    store_read_end(reader);
    store_reader_free(&reader);
    store_reader_free(&reader);
}

static void an_abort_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct record out;
    struct store_txn *txn = begin(f);
    uint64_t first, second;
    assert_int_equal(put_at(txn, RECORD_CALL, "c", "x", 1, 0, &first), CG_OK);
    store_abort(&txn);
    assert_null(txn);
    store_abort(&txn);
    assert_int_equal(get_one(f, RECORD_CALL, "c", &out), CG_E_NOTFOUND);
    txn = begin(f);
    assert_int_equal(put_at(txn, RECORD_CALL, "c", "x", 1, 0, &second), CG_OK);
    commit(txn);
    assert_true(second > first);
    struct store_stats stats;
    store_get_stats(f->store, &stats);
    assert_int_equal(stats.commits, 1);
    assert_int_equal(stats.records, 1);
}

static void bodies_of_every_length(void **state)
{
    struct fixture *f = *state;
    static const size_t lengths[] = {0,   1,    7,    8,    23,   24,    25,
                                     600, 1990, 2040, 2041, 4096, 70000, CG_RECORD_BYTES_MAX};
    char *body = malloc(CG_RECORD_BYTES_MAX + 1);
    assert_non_null(body);
    for (size_t i = 0; i <= CG_RECORD_BYTES_MAX; i++)
        body[i] = (char)(i * 31 >> 3);
    struct store_txn *txn = begin(f);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        char id[8];
        snprintf(id, sizeof(id), "b%u", i);
        assert_int_equal(put_at(txn, RECORD_CALL_DATA, id, body, lengths[i], 0, NULL), CG_OK);
    }
    assert_int_equal(
        put_at(txn, RECORD_CALL_DATA, "too large", body, CG_RECORD_BYTES_MAX + 1, 0, NULL),
        CG_E_LIMIT);
    commit(txn);
    reopen(f);
    struct store_reader *reader;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        char id[8];
        struct record out;
        snprintf(id, sizeof(id), "b%u", i);
        assert_int_equal(store_get(reader, RECORD_CALL_DATA, id, strlen(id), &out), CG_OK);
        assert_int_equal(out.body_length, lengths[i]);
        assert_int_equal(memcmp(out.body, body, lengths[i]), 0);
    }
    store_read_end(reader);
    store_reader_free(&reader);
    free(body);
}

static void ids_of_any_bytes(void **state)
{
    struct fixture *f = *state;
    char longest[CG_ID_BYTES_MAX + 1];
    memset(longest, 0xff, sizeof(longest));
    struct {
        const char *id;
        size_t length;
    } ids[] = {{"", 0},
               {"\0", 1},
               {"\0\0", 2},
               {"a\0b", 3},
               {"a\0c", 3},
               {"\xff", 1},
               {longest, CG_ID_BYTES_MAX}};
    struct store_txn *txn = begin(f);
    for (size_t i = 0; i < 7; i++) {
        struct record in = {
            .provenance = PROVENANCE_FETCH, .user = 1 + (uint32_t)i, .body = "", .body_length = 0};
        assert_int_equal(store_put(txn, RECORD_ADDRESS, ids[i].id, ids[i].length, &in), CG_OK);
        assert_int_equal(
            store_add_owner(txn, RECORD_ADDRESS, ids[i].id, ids[i].length, 1 + (uint32_t)i), CG_OK);
    }
    struct record in = {.provenance = PROVENANCE_FETCH, .body = "", .body_length = 0};
    assert_int_equal(store_put(txn, RECORD_ADDRESS, longest, sizeof(longest), &in), CG_E_LIMIT);
    assert_int_equal(store_add_owner(txn, RECORD_ADDRESS, longest, sizeof(longest), 1), CG_E_LIMIT);
    assert_int_equal(store_remove_owner(txn, RECORD_ADDRESS, longest, sizeof(longest), 1),
                     CG_E_LIMIT);
    assert_int_equal(store_delete(txn, RECORD_ADDRESS, longest, sizeof(longest)), CG_OK);
    assert_int_equal(store_txn_get(txn, RECORD_ADDRESS, longest, sizeof(longest), &in),
                     CG_E_NOTFOUND);
    commit(txn);
    struct store_reader *reader;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    for (size_t i = 0; i < 7; i++) {
        struct record out;
        const uint32_t *users;
        size_t count;
        assert_int_equal(store_get(reader, RECORD_ADDRESS, ids[i].id, ids[i].length, &out), CG_OK);
        assert_int_equal(out.user, 1 + i);
        assert_int_equal(
            store_owners(reader, RECORD_ADDRESS, ids[i].id, ids[i].length, &users, &count), CG_OK);
        assert_int_equal(count, 1);
        assert_int_equal(users[0], 1 + i);
    }
    struct record out;
    const uint32_t *users;
    size_t count;
    assert_int_equal(store_get(reader, RECORD_ADDRESS, longest, sizeof(longest), &out),
                     CG_E_NOTFOUND);
    assert_int_equal(store_owners(reader, RECORD_ADDRESS, longest, sizeof(longest), &users, &count),
                     CG_E_NOTFOUND);
    store_read_end(reader);
    store_reader_free(&reader);
}

static void what_put_refuses(void **state)
{
    struct fixture *f = *state;
    struct store_txn *txn = begin(f);
    struct record in = {.provenance = PROVENANCE_RESTORE, .body = "", .body_length = 0};
    assert_int_equal(store_put(txn, RECORD_AGENT, "a", 1, &in), CG_E_INVALID);
    in.provenance = PROVENANCE_FETCH;
    assert_int_equal(store_put(txn, 0, "a", 1, &in), CG_E_INVALID);
    assert_int_equal(store_put(txn, RECORD_KINDS, "a", 1, &in), CG_E_INVALID);
    assert_int_equal(in.version, 0);
    assert_int_equal(store_put(txn, RECORD_AGENT, "a", 1, &in), CG_OK); /* the transaction stands */
    commit(txn);
}

static void deleting(void **state)
{
    struct fixture *f = *state;
    struct record out;
    put_one(f, RECORD_AGENT, "a", "1");
    struct store_txn *txn = begin(f);
    assert_int_equal(store_delete(txn, RECORD_AGENT, "a", 1), CG_OK);
    assert_int_equal(store_delete(txn, RECORD_AGENT, "a", 1), CG_OK);
    assert_int_equal(store_txn_get(txn, RECORD_AGENT, "a", 1, &out), CG_E_NOTFOUND);
    commit(txn);
    assert_int_equal(get_one(f, RECORD_AGENT, "a", &out), CG_E_NOTFOUND);
}

static void versions_grow_across_restarts(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0, version;
    for (unsigned start = 1; start <= 4; start++) {
        assert_int_equal(f->opened.epoch, start);
        for (unsigned i = 1; i <= 3; i++) {
            struct store_txn *txn = begin(f);
            assert_int_equal(put_at(txn, RECORD_AGENT, "a", "1", 1, 0, &version), CG_OK);
            commit(txn);
            assert_int_equal(version, (uint64_t)start << 40 | i);
            assert_true(version > last);
            last = version;
        }
        reopen(f);
        assert_false(f->opened.cache_was_empty);
        struct record out;
        assert_int_equal(get_one(f, RECORD_AGENT, "a", &out), CG_OK);
        assert_int_equal(out.version, last);
    }
}

static void assert_owners(struct fixture *f, enum record_kind kind, const char *id,
                          const uint32_t *expected, size_t count)
{
    struct store_reader *reader;
    const uint32_t *users;
    size_t found = 0;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    int rc = store_owners(reader, kind, id, strlen(id), &users, &found);
    assert_int_equal(rc, count == 0 ? CG_E_NOTFOUND : CG_OK);
    if (count != 0) {
        assert_int_equal(found, count);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(users[i], expected[i]); /* UBSan sees a misaligned one */
    }
    store_read_end(reader);
    store_reader_free(&reader);
}

static void owners_ascend(void **state)
{
    struct fixture *f = *state;
    struct store_txn *txn = begin(f);
    static const uint32_t added[] = {5, 1, 4000000000u, 3, 5};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(store_add_owner(txn, RECORD_CALL, "c", 1, added[i]), CG_OK);
    commit(txn);
    assert_owners(f, RECORD_CALL, "c", (const uint32_t[]){1, 3, 5, 4000000000u}, 4);
    assert_owners(f, RECORD_AGENT, "c", NULL, 0);
    txn = begin(f);
    assert_int_equal(store_remove_owner(txn, RECORD_CALL, "c", 1, 3), CG_OK);
    assert_int_equal(store_remove_owner(txn, RECORD_CALL, "c", 1, 4), CG_OK);
    commit(txn);
    assert_owners(f, RECORD_CALL, "c", (const uint32_t[]){1, 5, 4000000000u}, 3);
    txn = begin(f);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(store_remove_owner(txn, RECORD_CALL, "c", 1, added[i]), CG_OK);
    commit(txn);
    assert_owners(f, RECORD_CALL, "c", NULL, 0);
}

static void what_owners_refuse(void **state)
{
    struct fixture *f = *state;
    struct store_txn *txn = begin(f);
    const char *ids[] = {"a"};
    char longer[CG_ID_BYTES_MAX + 2];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    const char *too_long[] = {longer};
    assert_int_equal(store_add_owner(txn, RECORD_USER, "a", 1, 1), CG_E_INVALID);
    assert_int_equal(store_add_owner(txn, RECORD_AGENT, "a", 1, 0), CG_E_INVALID);
    assert_int_equal(store_remove_owner(txn, RECORD_AGENT_CAPABILITIES, "a", 1, 1), CG_E_INVALID);
    assert_int_equal(store_set_owned(txn, RECORD_CALL_DATA, 1, ids, 1), CG_E_INVALID);
    assert_int_equal(store_set_owned(txn, RECORD_AGENT, 0, ids, 1), CG_E_INVALID);
    assert_int_equal(store_set_owned(txn, RECORD_AGENT, 1, too_long, 1), CG_E_LIMIT);
    commit(txn);
    assert_owners(f, RECORD_USER, "a", NULL, 0);
}

struct walked {
    char text[4096];
    unsigned count, max;
};

static int on_id(void *data, const char *id, size_t length)
{
    struct walked *walked = data;
    size_t used = strlen(walked->text);
    snprintf(walked->text + used, sizeof(walked->text) - used, "%.*s ", (int)length, id);
    return ++walked->count == walked->max;
}

static struct walked walk(struct fixture *f, enum record_kind kind, uint32_t user,
                          const char *after, unsigned max)
{
    struct store_reader *reader;
    struct walked walked = {.max = max};
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    assert_int_equal(
        store_walk(reader, kind, user, after, after == NULL ? 0 : strlen(after), on_id, &walked),
        CG_OK);
    store_read_end(reader);
    store_reader_free(&reader);
    return walked;
}

#define assert_walk(kind, user, after, max, expected)                                              \
    do {                                                                                           \
        struct walked w = walk(f, (kind), (user), (after), (max));                                 \
        assert_string_equal(w.text, (expected));                                                   \
    } while (0)

static void walking(void **state)
{
    struct fixture *f = *state;
    const char *one[] = {"b", "a", "ab", "b", "a"}, *two[] = {"b", "c"}, *calls[] = {"x"};
    struct store_txn *txn = begin(f);
    assert_int_equal(store_set_owned(txn, RECORD_TERMINAL, 1, one, 5), CG_OK);
    assert_int_equal(store_set_owned(txn, RECORD_TERMINAL, 2, two, 2), CG_OK);
    assert_int_equal(store_set_owned(txn, RECORD_ADDRESS, 1, calls, 1), CG_OK);
    assert_int_equal(put(txn, RECORD_USER, "u2", "{}"), CG_OK);
    assert_int_equal(put(txn, RECORD_USER, "u1", "{}"), CG_OK);
    commit(txn);
    assert_walk(RECORD_TERMINAL, 1, NULL, 0, "a ab b ");
    assert_walk(RECORD_TERMINAL, 2, NULL, 0, "b c ");
    assert_walk(RECORD_TERMINAL, 3, NULL, 0, "");
    assert_walk(RECORD_TERMINAL, 0, NULL, 0, "a ab b c ");
    assert_walk(RECORD_TERMINAL, 0, NULL, 2, "a ab ");
    assert_walk(RECORD_TERMINAL, 0, "", 0, "a ab b c ");
    assert_walk(RECORD_TERMINAL, 0, "a", 0, "ab b c ");
    assert_walk(RECORD_TERMINAL, 0, "aa", 0, "ab b c ");
    assert_walk(RECORD_TERMINAL, 1, "ab", 0, "b ");
    assert_walk(RECORD_TERMINAL, 1, "b", 0, "");
    assert_walk(RECORD_TERMINAL, 2, "zzz", 0, "");
    assert_walk(RECORD_ADDRESS, 0, NULL, 0, "x ");
    assert_walk(RECORD_CALL, 0, NULL, 0, "");
    assert_walk(RECORD_USER, 0, NULL, 0, "u1 u2 ");
    assert_walk(RECORD_USER, 0, "u1", 0, "u2 ");
    assert_walk(RECORD_USER, 1, NULL, 0, "");
    char longer[400];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_walk(RECORD_TERMINAL, 0, longer, 0, "ab b c ");
    longer[CG_ID_BYTES_MAX] = '\0';
    const char *longest[] = {longer};
    txn = begin(f);
    assert_int_equal(store_set_owned(txn, RECORD_CALL, 9, longest, 1), CG_OK);
    commit(txn);
    longer[CG_ID_BYTES_MAX] = 'a';
    assert_walk(RECORD_CALL, 9, longer, 0, "");
}

static void setting_what_is_owned(void **state)
{
    struct fixture *f = *state;
    const char *first[] = {"a", "b", "c"}, *second[] = {"d", "b"};
    struct store_txn *txn = begin(f);
    assert_int_equal(store_add_owner(txn, RECORD_AGENT, "b", 1, 2), CG_OK);
    assert_int_equal(store_set_owned(txn, RECORD_AGENT, 1, first, 3), CG_OK);
    commit(txn);
    txn = begin(f);
    assert_int_equal(store_set_owned(txn, RECORD_AGENT, 1, second, 2), CG_OK);
    commit(txn);
    assert_walk(RECORD_AGENT, 1, NULL, 0, "b d ");
    assert_walk(RECORD_AGENT, 0, NULL, 0, "b d ");
    assert_owners(f, RECORD_AGENT, "a", NULL, 0);
    assert_owners(f, RECORD_AGENT, "b", (const uint32_t[]){1, 2}, 2);
    assert_owners(f, RECORD_AGENT, "d", (const uint32_t[]){1}, 1);
    txn = begin(f);
    assert_int_equal(store_set_owned(txn, RECORD_AGENT, 1, NULL, 0), CG_OK);
    commit(txn);
    assert_walk(RECORD_AGENT, 1, NULL, 0, "");
    assert_owners(f, RECORD_AGENT, "b", (const uint32_t[]){2}, 1);
}

/* LMDB does not count an empty transaction, so neither does a list that is the same again change the file. */
static void nothing_is_written_when_nothing_changes(void **state)
{
    struct fixture *f = *state;
    const char *ids[] = {"a", "b"}, *again[] = {"b", "a", "a"};
    struct store_reader *reader;
    struct store_stats stats;
    struct store_txn *txn = begin(f);
    assert_int_equal(store_set_owned(txn, RECORD_AGENT, 1, ids, 2), CG_OK);
    commit(txn);
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    txn = begin(f);
    assert_int_equal(store_set_owned(txn, RECORD_AGENT, 1, again, 3), CG_OK);
    assert_int_equal(store_add_owner(txn, RECORD_AGENT, "a", 1, 1), CG_OK);
    assert_int_equal(store_remove_owner(txn, RECORD_AGENT, "a", 1, 2), CG_OK);
    commit(txn);
    store_get_stats(f->store, &stats);
    assert_int_equal(stats.oldest_read_lag, 0);
    store_read_end(reader);
    store_reader_free(&reader);
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void a_long_list_is_quick(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 5000 };
    static char texts[COUNT][24];
    static const char *ids[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof(texts[i]), "terminal-%u", i * 7919 % COUNT);
        ids[i] = texts[i];
    }
    for (unsigned round = 0; round < 3; round++) {
        int64_t start = now_us();
        struct store_txn *txn = begin(f);
        assert_int_equal(
            store_set_owned(txn, RECORD_TERMINAL, 1, ids, round == 2 ? COUNT / 2 : COUNT), CG_OK);
        commit(txn);
        int64_t took = now_us() - start;
        if (getenv("STORE_TEST_TIMES") != NULL)
            print_message("set_owned, round %u: %lld us\n", round, (long long)took);
        assert_true(
            took <
            500000); /* about 8 ms without a sanitizer; this bound only catches the quadratic */
    }
    assert_int_equal(walk(f, RECORD_TERMINAL, 1, NULL, 0).count, COUNT / 2);
}

static void users_have_numbers(void **state)
{
    struct fixture *f = *state;
    uint32_t a, b, again;
    char name[CG_ID_BYTES_MAX + 2];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct store_txn *txn = begin(f);
    assert_int_equal(store_user_id(txn, "alice", &a), CG_OK);
    assert_int_equal(store_user_id(txn, "bob", &b), CG_OK);
    assert_int_equal(store_user_id(txn, "alice", &again), CG_OK);
    assert_int_equal(again, a);
    assert_true(a >= 1 && b >= 1 && a != b);
    assert_int_equal(store_user_id(txn, "", &again), CG_E_INVALID);
    assert_int_equal(store_user_id(txn, name, &again), CG_E_LIMIT);
    commit(txn);
    reopen(f);
    txn = begin(f);
    assert_int_equal(store_user_id(txn, "bob", &again), CG_OK);
    assert_int_equal(again, b);
    uint32_t lost, c;
    assert_int_equal(store_user_id(txn, "lost", &lost), CG_OK);
    store_abort(&txn);
    txn = begin(f);
    assert_int_equal(store_user_id(txn, "carol", &c), CG_OK);
    assert_true(c != a && c != b && c != lost);
    commit(txn);
}

static void forgetting_a_user(void **state)
{
    struct fixture *f = *state;
    uint32_t a, b, again;
    struct record out;
    const char *ids[] = {"x", "y"};
    struct store_txn *txn = begin(f);
    assert_int_equal(store_user_id(txn, "alice", &a), CG_OK);
    assert_int_equal(store_user_id(txn, "bob", &b), CG_OK);
    assert_int_equal(store_set_owned(txn, RECORD_TERMINAL, a, ids, 2), CG_OK);
    assert_int_equal(store_set_owned(txn, RECORD_CALL, a, ids, 1), CG_OK);
    assert_int_equal(store_set_owned(txn, RECORD_TERMINAL, b, ids + 1, 1), CG_OK);
    for (unsigned i = 0; i < 3000; i++) {
        char id[16];
        snprintf(id, sizeof(id), "t%u", i);
        struct record in = {.provenance = PROVENANCE_FETCH,
                            .user = i % 3 == 0 ? a : b,
                            .body = "{}",
                            .body_length = 2};
        assert_int_equal(store_put(txn, RECORD_TERMINAL, id, strlen(id), &in), CG_OK);
    }
    commit(txn);
    txn = begin(f);
    assert_int_equal(store_forget_user(txn, a), CG_OK);
    commit(txn);
    assert_walk(RECORD_TERMINAL, a, NULL, 0, "");
    assert_walk(RECORD_CALL, 0, NULL, 0, "");
    assert_walk(RECORD_TERMINAL, b, NULL, 0, "y ");
    assert_owners(f, RECORD_TERMINAL, "y", &b, 1);
    struct store_stats stats;
    store_get_stats(f->store, &stats);
    assert_int_equal(stats.records, 2000);
    assert_int_equal(get_one(f, RECORD_TERMINAL, "t0", &out), CG_E_NOTFOUND);
    assert_int_equal(get_one(f, RECORD_TERMINAL, "t2999", &out), CG_OK);
    assert_int_equal(get_one(f, RECORD_TERMINAL, "t2997", &out), CG_E_NOTFOUND);
    txn = begin(f);
    assert_int_equal(store_user_id(txn, "bob", &again), CG_OK);
    assert_int_equal(again, b);
    assert_int_equal(store_user_id(txn, "alice", &again), CG_OK);
    assert_true(again != a && again != b);
    assert_int_equal(store_forget_user(txn, 12345), CG_OK);
    commit(txn);
}

static void readers_have_a_limit(void **state)
{
    struct fixture *f = *state;
    struct store_reader *readers[8], *one_more;
    struct record out;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(store_reader_new(&readers[i], f->store), CG_OK);
        assert_int_equal(store_read_begin(readers[i]), CG_OK);
    }
    assert_int_equal(store_reader_new(&one_more, f->store), CG_E_LIMIT);
    assert_null(one_more);
    put_one(f, RECORD_AGENT, "a", "1");
    struct store_stats stats;
    store_get_stats(f->store, &stats);
    assert_int_equal(stats.records, 1); /* figures have room of their own */
    assert_int_equal(stats.readers, 8);
    for (size_t i = 0; i < 8; i++) {
        store_read_end(readers[7 - i]);
        store_reader_free(&readers[7 - i]);
    }
    assert_int_equal(get_one(f, RECORD_AGENT, "a", &out), CG_OK);
}

static void figures(void **state)
{
    struct fixture *f = *state;
    struct store_stats before, after;
    store_get_stats(f->store, &before);
    assert_int_equal(before.records, 0);
    assert_int_equal(before.cache_map_bytes, 64 * MIB);
    assert_int_equal(before.durable_map_bytes, 4 * MIB);
    assert_true(before.cache_used_bytes > 0 && before.cache_used_bytes < MIB);
    assert_true(before.durable_used_bytes > 0 && before.durable_used_bytes < MIB);
    char body[600];
    memset(body, 'x', sizeof(body));
    struct store_txn *txn = begin(f);
    for (unsigned i = 0; i < 5000; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%u", i);
        assert_int_equal(put_at(txn, RECORD_AGENT, id, body, sizeof(body), 0, NULL), CG_OK);
    }
    commit(txn);
    store_get_stats(f->store, &after);
    assert_int_equal(after.records, 5000);
    assert_int_equal(after.commits, 1);
    assert_int_equal(after.corrupt_records, 0);
    assert_in_range(after.cache_used_bytes, 5000 * 640, 5000 * 640 * 2);
    unsigned evicted;
    txn = begin(f);
    assert_int_equal(store_evict_oldest(txn, 1, 10000, &evicted), CG_OK);
    assert_int_equal(evicted, 5000);
    commit(txn);
    store_get_stats(f->store, &after);
    assert_int_equal(after.records, 0);
    assert_true(after.cache_used_bytes < MIB);
}

static void one_process_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct store *second;
    struct store_opened opened;
    char error[256];
    pid_t child = fork();
    if (child == 0) {
        f->store = NULL;
        int rc = store_open(&second, &f->settings, &opened, error, sizeof(error));
        char pid[32];
        snprintf(pid, sizeof(pid), "(%d)", (int)getppid());
        _exit(rc == CG_E_IO && second == NULL &&
                      strstr(error, "in use by another process") != NULL &&
                      strstr(error, pid) != NULL
                  ? 42
                  : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    put_one(f, RECORD_AGENT, "a", "1");
    reopen(f);
    assert_int_equal(f->opened.epoch, 2);
}

static void directories_that_do_not_do(void **state)
{
    struct fixture *f = *state;
    int fd = open(fixture_path(f, "file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    f->settings.directory = fixture_path(f, "file");
    assert_int_equal(fixture_open(f), CG_E_IO);
    assert_null(f->store);
    assert_non_null(strstr(f->error, "not a directory"));
    f->settings.directory = fixture_path(f, "no/such");
    assert_int_equal(fixture_open(f), CG_E_IO);
    assert_non_null(strstr(f->error, "No such file"));
    f->settings.directory = "";
    assert_int_equal(fixture_open(f), CG_E_IO);
    assert_int_equal(store_open(&f->store, &f->settings, &f->opened, NULL, 0), CG_E_IO);
    char *longer = malloc(10000);
    assert_non_null(longer);
    memset(longer, 'x', 9999);
    longer[9999] = '\0';
    f->settings.directory = longer;
    assert_int_equal(fixture_open(f), CG_E_IO);
    free(longer);
}

static void maps_that_do_not_do(void **state)
{
    struct fixture *f = *state;
    f->settings.cache_map_bytes = MIB - 1;
    assert_int_equal(fixture_open(f), CG_E_INVALID);
    f->settings.cache_map_bytes = 0;
    assert_int_equal(fixture_open(f), CG_E_INVALID);
    f->settings.cache_map_bytes = (size_t)1 << 62;
    assert_int_equal(fixture_open(f), CG_E_NOMEM);
    assert_null(f->store);
    assert_non_null(strstr(f->error, "cache"));
    assert_int_equal(count_names(f, "cache.aside"), 0);
    f->settings.cache_map_bytes = MIB;
    assert_int_equal(fixture_open(f), CG_OK);
}

static void closing_nothing(void **state)
{
    struct store *none = NULL;
    (void)state;
    store_close(&none);
}

#define OPEN(test)   cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)
#define CLOSED(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOSED(a_new_directory),
        OPEN(a_record_comes_back),
        OPEN(a_snapshot_stays),
        OPEN(an_abort_leaves_nothing),
        OPEN(bodies_of_every_length),
        OPEN(ids_of_any_bytes),
        OPEN(what_put_refuses),
        OPEN(deleting),
        OPEN(versions_grow_across_restarts),
        OPEN(owners_ascend),
        OPEN(what_owners_refuse),
        OPEN(walking),
        OPEN(setting_what_is_owned),
        OPEN(nothing_is_written_when_nothing_changes),
        OPEN(a_long_list_is_quick),
        OPEN(users_have_numbers),
        OPEN(forgetting_a_user),
        OPEN(readers_have_a_limit),
        OPEN(figures),
        OPEN(one_process_at_a_time),
        CLOSED(directories_that_do_not_do),
        CLOSED(maps_that_do_not_do),
        cmocka_unit_test(closing_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
