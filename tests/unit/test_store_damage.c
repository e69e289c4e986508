/* What a disk, a power cut or another version may have left behind: never a crash, never a start that fails, never a lie. */
#include "test_store_fixture.h"

#include "cache/inspect.h"

#include <lmdb.h>
#include <sys/wait.h>
#include <time.h>

enum { RECORDS = 1500 };

static void body_of(unsigned i, char body[128])
{
    memset(body, 'b', 127);
    body[127] = '\0';
    body[snprintf(body, 128, "<%u>", i)] = 'b';
}

static void fill(struct fixture *f)
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

static int on_id(void *data, const char *id, size_t length)
{
    (void)id;
    (void)length;
    return ++*(unsigned *)data == 100000;
}

/* Reads everything: what comes must be right, whatever else is lost. Returns how many records came. */
static unsigned read_all(struct fixture *f)
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
static void assert_set_aside(struct fixture *f, const char *reason)
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

static void write_file(const char *path, const void *bytes, size_t length)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}

static char *read_file(const char *path, size_t *length)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    char *bytes = malloc((size_t)status.st_size + 1);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, (size_t)status.st_size), status.st_size);
    close(fd);
    *length = (size_t)status.st_size;
    return bytes;
}

static void sound(void **state)
{
    struct fixture *f = *state;
    fill(f);
    reopen(f);
    assert_false(f->opened.cache_set_aside);
    assert_int_equal(read_all(f), RECORDS - 1);
}

/* Pages that a transaction took and gave back are never written, so a sound file may be shorter than it says. */
static void a_transaction_that_undoes_itself(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 1;
    for (unsigned round = 0; round < 40; round++) {
        struct store_txn *txn = begin(f);
        for (unsigned i = 0; i < 400; i++) {
            char id[16];
            static char body[30000];
            memset(body, 'x', sizeof(body));
            seed = seed * 1103515245u + 12345u;
            snprintf(id, sizeof(id), "%u", (seed >> 16) % 500);
            size_t length = (seed >> 8) % 50 == 0 ? 30000 : (seed >> 4) % 900;
            if ((seed >> 20) % 3 != 0)
                assert_int_equal(put_at(txn, RECORD_CALL, id, body, length, 0, NULL), CG_OK);
            else
                assert_int_equal(store_delete(txn, RECORD_CALL, id, strlen(id)), CG_OK);
        }
        if (round % 5 == 4) {
            unsigned evicted;
            assert_int_equal(store_evict_oldest(txn, INT64_MAX, UINT32_MAX, &evicted), CG_OK);
        }
        commit(txn);
        reopen(f);
        assert_null(f->opened.cache_reason);
    }
}

static void truncated(void **state)
{
    struct fixture *f = *state;
    size_t length;
    fill(f);
    store_close(&f->store);
    char *bytes = read_file(fixture_path(f, "cache/data.mdb"), &length);
    for (size_t cut = 1; cut < length; cut += cut < 8192 ? 511 : 4096 + 1021) {
        const char *damage = NULL;
        write_file(fixture_path(f, "cut"), bytes, cut);
        assert_int_equal(inspect_file(fixture_path(f, "cut"), &damage), CG_E_CORRUPT);
        assert_non_null(damage);
    }
    write_file(fixture_path(f, "cache/data.mdb"), bytes, length / 2);
    assert_set_aside(f, "the file is truncated");
    free(bytes);
}

enum { PAGE = 4096, PAGE_BRANCH = 1, PAGE_LEAF = 2 };

static uint16_t u16_at(const char *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static void put_u16(char *at, unsigned value)
{
    uint16_t narrow = (uint16_t)value;
    memcpy(at, &narrow, sizeof(narrow));
}

static void second_child_is_the_first(char *page)
{
    if (u16_at(page + 10) == PAGE_BRANCH && u16_at(page + 12) >= 20)
        memcpy(page + u16_at(page + 18), page + u16_at(page + 16), 6);
}

static void last_entry_is_lost(char *page)
{
    if (u16_at(page + 10) == PAGE_LEAF && u16_at(page + 12) > 20)
        put_u16(page + 12, u16_at(page + 12) - 2u);
}

static void first_entry_is_in_the_header(char *page)
{
    if (u16_at(page + 10) == PAGE_LEAF)
        put_u16(page + 16, 14);
}

static void first_entry_is_at_the_end(char *page)
{
    if (u16_at(page + 10) == PAGE_LEAF)
        put_u16(page + 16, PAGE - 2);
}

static void first_key_is_too_long(char *page)
{
    if (u16_at(page + 10) == PAGE_LEAF)
        put_u16(page + u16_at(page + 16) + 6, 5000);
}

static void first_value_is_too_long(char *page)
{
    if (u16_at(page + 10) == PAGE_LEAF && u16_at(page + u16_at(page + 16) + 4) == 0)
        put_u16(page + u16_at(page + 16), 5000);
}

/* A leaf of the free list has keys of eight bytes; its own page is in use by itself. */
static void free_page_is_used(char *page)
{
    const char *node = page + u16_at(page + 16);
    if (u16_at(page + 10) == PAGE_LEAF && u16_at(node + 4) == 0 && u16_at(node + 6) == 8 &&
        u16_at(node) >= 16)
        memcpy(page + u16_at(page + 16) + 24, page, 8);
}

static void number_is_another(char *page)
{
    page[0] ^= 1;
}

static void kind_is_another(char *page)
{
    page[10] ^= PAGE_BRANCH | PAGE_LEAF;
}

/* Damages each page in turn (a free one may be damaged without harm); at least one must be found out, and in these words. */
static void pages_that_cannot_be(void **state)
{
    struct fixture *f = *state;
    static const struct {
        void (*change)(char *page);
        const char *damage;
    } cases[] = {{second_child_is_the_first, "a page is used twice"},
                 {last_entry_is_lost, "a database does not have the entries it should have"},
                 {first_entry_is_in_the_header, "an entry lies outside its page"},
                 {first_entry_is_at_the_end, "an entry lies outside its page"},
                 {first_key_is_too_long, "a key lies outside its page"},
                 {first_value_is_too_long, "a value lies outside its page"},
                 {free_page_is_used, "a page is used twice"},
                 {number_is_another, "a page is not the one it should be"},
                 {kind_is_another, "a page is of the wrong kind"}};
    size_t length;
    char saved[PAGE];
    fill(f);
    store_close(&f->store);
    char *bytes = read_file(fixture_path(f, "cache/data.mdb"), &length);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        unsigned found = 0;
        for (size_t at = 2 * PAGE; at + PAGE <= length; at += PAGE) {
            const char *damage;
            memcpy(saved, bytes + at, PAGE);
            cases[i].change(bytes + at);
            write_file(fixture_path(f, "damaged"), bytes, length);
            if (inspect_file(fixture_path(f, "damaged"), &damage) != CG_OK)
                found += strcmp(damage, cases[i].damage) == 0;
            memcpy(bytes + at, saved, PAGE);
        }
        assert_true(found >= (cases[i].change == last_entry_is_lost ? 10 : 1));
    }
    free(bytes);
}

static void empty_file(void **state)
{
    struct fixture *f = *state;
    fill(f);
    store_close(&f->store);
    write_file(fixture_path(f, "cache/data.mdb"), "", 0);
    assert_set_aside(f, "the file is empty");
}

static void garbage(void **state)
{
    struct fixture *f = *state;
    char bytes[50000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7 + i / 256);
    store_close(&f->store);
    write_file(fixture_path(f, "cache/data.mdb"), bytes, sizeof(bytes));
    assert_set_aside(f, "the file is not LMDB's");
}

static void another_version_of_lmdb(void **state)
{
    struct fixture *f = *state;
    size_t length;
    store_close(&f->store);
    char *bytes = read_file(fixture_path(f, "cache/data.mdb"), &length);
    bytes[20] = 2;
    write_file(fixture_path(f, "cache/data.mdb"), bytes, length);
    free(bytes);
    assert_set_aside(f, "the file is of another version of LMDB");
}

static void a_folder_in_place_of_a_file(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    assert_int_equal(unlink(fixture_path(f, "cache/data.mdb")), 0);
    assert_int_equal(mkdir(fixture_path(f, "cache/data.mdb"), 0700), 0);
    assert_set_aside(f, "the data is not a file");
}

static void a_file_in_place_of_the_folder(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    assert_int_equal(rename(fixture_path(f, "cache"), fixture_path(f, "away")), 0);
    write_file(fixture_path(f, "cache"), "x", 1);
    assert_set_aside(f, "it is not a folder");
}

static void a_damaged_reader_table(void **state)
{
    struct fixture *f = *state;
    char bytes[9000];
    fill(f);
    store_close(&f->store);
    memset(bytes, 0xa5, sizeof(bytes));
    write_file(fixture_path(f, "cache/lock.mdb"), bytes, sizeof(bytes));
    assert_int_equal(fixture_open(f), CG_OK);
    assert_false(f->opened.cache_set_aside); /* LMDB makes a new one when nobody else has it */
    assert_int_equal(read_all(f), RECORDS - 1);
    store_close(&f->store);
    assert_int_equal(unlink(fixture_path(f, "cache/lock.mdb")), 0);
    assert_int_equal(mkdir(fixture_path(f, "cache/lock.mdb"), 0700), 0);
    assert_set_aside(f, "the files cannot be opened");
}

static void a_missing_folder_is_new(void **state)
{
    struct fixture *f = *state;
    fill(f);
    store_close(&f->store);
    assert_int_equal(rename(fixture_path(f, "cache"), fixture_path(f, "away")), 0);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_false(f->opened.cache_set_aside);
    assert_true(f->opened.cache_was_empty);
    assert_int_equal(f->opened.epoch, 2);
}

/* Bytes anywhere: the store opens, what it gives is right, and it can be written to. */
static void damage_anywhere(void **state)
{
    struct fixture *f = *state;
    size_t length;
    unsigned seed = 42, aside = 0, kept = 0;
    fill(f);
    store_close(&f->store);
    char *bytes = read_file(fixture_path(f, "cache/data.mdb"), &length);
    char *damaged = malloc(length);
    assert_non_null(damaged);
    for (unsigned round = 0; round < 250; round++) {
        memcpy(damaged, bytes, length);
        unsigned places = 1 + round % 4, run = round % 5 == 0   ? 4096
                                               : round % 3 == 0 ? 64
                                                                : 1 + round % 8;
        for (unsigned i = 0; i < places; i++) {
            seed = seed * 1103515245u + 12345u;
            size_t at = (size_t)(seed >> 4) % (length - run);
            if (round % 2 == 0) /* where it hurts most: headers, offsets, nodes */
                at = at / 4096 * 4096 + at % 64;
            for (unsigned j = 0; j < run && at + j < length; j++) {
                seed = seed * 1103515245u + 12345u;
                damaged[at + j] = round % 7 == 0   ? 0
                                  : round % 7 == 1 ? (char)0xff
                                                   : (char)(seed >> 16);
            }
        }
        write_file(fixture_path(f, "cache/data.mdb"), damaged, length);
        assert_int_equal(fixture_open(f), CG_OK);
        *(f->opened.cache_set_aside ? &aside : &kept) += 1;
        read_all(f);
        struct store_txn *txn = begin(f);
        int rc = CG_OK;
        for (unsigned i = 0; rc == CG_OK && i < 50; i++) {
            char id[16];
            snprintf(id, sizeof(id), "id%u", i * 31);
            rc = put(txn, RECORD_CALL_UUI, id, "{}");
        }
        if (rc == CG_OK)
            rc = store_commit(&txn);
        else
            store_abort(&txn);
        assert_true(rc == CG_OK || rc == CG_E_CORRUPT);
        store_close(&f->store);
    }
    assert_true(aside > 50);
    assert_true(kept > 50);
    free(damaged);
    free(bytes);
}

static void only_two_are_kept(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    assert_int_equal(mkdir(fixture_path(f, "cache.aside-5"), 0700), 0);
    write_file(fixture_path(f, "cache.aside-5/data.mdb"), "x", 1);
    assert_int_equal(mkdir(fixture_path(f, "cache.aside-notes"), 0700), 0);
    for (unsigned i = 1; i <= 5; i++) {
        write_file(fixture_path(f, "cache/data.mdb"), "garbage", i);
        assert_int_equal(fixture_open(f), CG_OK);
        assert_true(f->opened.cache_set_aside);
        store_close(&f->store);
        assert_int_equal(count_names(f, "cache.aside-"), 2 + 1);
    }
    assert_false(exists(fixture_path(f, "cache.aside-5")));
    assert_true(exists(fixture_path(f, "cache.aside-notes")));
}

static void nowhere_to_set_it_aside(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    write_file(fixture_path(f, "cache/data.mdb"), "garbage", 7);
    for (time_t now = time(NULL), at = now; at < now + 1100; at++) {
        char name[64];
        snprintf(name, sizeof(name), "cache.aside-%lld", (long long)at);
        write_file(fixture_path(f, name), "", 0);
    }
    assert_int_equal(fixture_open(f), CG_E_IO);
    assert_null(f->store);
    assert_non_null(strstr(f->error, "aside"));
    assert_true(exists(fixture_path(f, "cache/data.mdb")));
}

/* ---- the durable environment and the epoch ---- */

static void a_damaged_durable_environment(void **state)
{
    struct fixture *f = *state;
    struct record out;
    reopen(f);
    reopen(f);
    put_one(f, RECORD_AGENT, "a", "1");
    assert_int_equal(f->opened.epoch, 3);
    store_close(&f->store);
    write_file(fixture_path(f, "durable/data.mdb"), "garbage", 7);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_true(f->opened.durable_set_aside);
    assert_non_null(f->opened.durable_reason);
    assert_false(f->opened.cache_set_aside);
    assert_int_equal(f->opened.epoch, 4);
    assert_int_equal(count_names(f, "durable.aside-"), 1);
    assert_int_equal(get_one(f, RECORD_AGENT, "a", &out), CG_OK);
}

static void any_one_place_keeps_the_epoch(void **state)
{
    struct fixture *f = *state;
    static const char *const damaged[][2] = {{"durable/data.mdb", "cache/data.mdb"},
                                             {"durable/data.mdb", "lock"},
                                             {"cache/data.mdb", "lock"}};
    uint64_t epoch = f->opened.epoch;
    for (size_t i = 0; i < 3; i++) {
        store_close(&f->store);
        write_file(fixture_path(f, damaged[i][0]), "garbage", 7);
        write_file(fixture_path(f, damaged[i][1]), "garbage", 7);
        assert_int_equal(fixture_open(f), CG_OK);
        assert_int_equal(f->opened.epoch, ++epoch);
        assert_int_equal(f->opened.durable_set_aside, i != 2);
        assert_true(
            f->opened.cache_set_aside); /* without the lock file nobody knows how it was left */
    }
}

/* As when somebody copies the file back from an old backup. */
static void an_old_lock_file(void **state)
{
    struct fixture *f = *state;
    size_t length;
    store_close(&f->store);
    char *old = read_file(fixture_path(f, "lock"), &length);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fixture_open(f), CG_OK);
        store_close(&f->store);
    }
    write_file(fixture_path(f, "lock"), old, length);
    write_file(fixture_path(f, "durable/data.mdb"), "garbage", 7);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_false(f->opened.cache_set_aside);
    assert_int_equal(f->opened.epoch, 5);
    free(old);
}

/* ---- how the last process ended ---- */

static void die_in_use(struct fixture *f)
{
    store_close(&f->store);
    pid_t child = fork();
    if (child == 0) {
        struct store_txn *txn;
        if (fixture_open(f) != CG_OK || store_begin(f->store, &txn) != CG_OK ||
            put(txn, RECORD_AGENT, "from the dead", "1") != CG_OK || store_commit(&txn) != CG_OK)
            _exit(1);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* As another boot of the machine would find it: the text keeps its length. */
static void change_boot(struct fixture *f)
{
    size_t length;
    char *text = read_file(fixture_path(f, "lock"), &length);
    text[length] = '\0';
    char *boot = strstr(text, " boot ");
    assert_non_null(boot);
    boot[6] = boot[6] == 'f' ? '0' : 'f';
    boot[7] = 'z';
    write_file(fixture_path(f, "lock"), text, length);
    free(text);
}

static void a_process_that_died(void **state)
{
    struct fixture *f = *state;
    struct record out;
    die_in_use(f);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_false(f->opened.cache_set_aside);
    assert_int_equal(get_one(f, RECORD_AGENT, "from the dead", &out), CG_OK);
}

static void a_machine_that_went_down(void **state)
{
    struct fixture *f = *state;
    die_in_use(f);
    change_boot(f);
    assert_set_aside(f, "the machine went down while it was in use");
}

static void a_machine_that_was_shut_down(void **state)
{
    struct fixture *f = *state;
    struct record out;
    put_one(f, RECORD_AGENT, "a", "1");
    store_close(&f->store);
    change_boot(f);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_false(f->opened.cache_set_aside);
    assert_int_equal(get_one(f, RECORD_AGENT, "a", &out), CG_OK);
}

static void a_lock_file_that_tells_nothing(void **state)
{
    struct fixture *f = *state;
    put_one(f, RECORD_AGENT, "a", "1");
    store_close(&f->store);
    write_file(fixture_path(f, "lock"), "cctgate lock 1 pid", 18);
    assert_set_aside(f, "the machine went down while it was in use");
    assert_int_equal(f->opened.epoch, 3);
}

static void a_lock_file_with_something_in_it(void **state)
{
    struct fixture *f = *state;
    size_t length;
    store_close(&f->store);
    char *text = read_file(fixture_path(f, "lock"), &length);
    assert_int_equal(length, 128);
    text[120] = 'x';
    write_file(fixture_path(f, "lock"), text, length);
    free(text);
    assert_set_aside(f, "the machine went down while it was in use");
}

/* ---- what LMDB reads and we do not ---- */

static void edit(struct fixture *f, const char *folder, void (*change)(MDB_txn *txn))
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
        OPEN(sound),
        OPEN(a_transaction_that_undoes_itself),
        OPEN(truncated),
        OPEN(pages_that_cannot_be),
        OPEN(empty_file),
        OPEN(garbage),
        OPEN(another_version_of_lmdb),
        OPEN(a_folder_in_place_of_a_file),
        OPEN(a_file_in_place_of_the_folder),
        OPEN(a_damaged_reader_table),
        OPEN(a_missing_folder_is_new),
        OPEN(damage_anywhere),
        OPEN(only_two_are_kept),
        OPEN(nowhere_to_set_it_aside),
        OPEN(a_damaged_durable_environment),
        OPEN(any_one_place_keeps_the_epoch),
        OPEN(an_old_lock_file),
        OPEN(a_process_that_died),
        OPEN(a_machine_that_went_down),
        OPEN(a_machine_that_was_shut_down),
        OPEN(a_lock_file_that_tells_nothing),
        OPEN(a_lock_file_with_something_in_it),
        OPEN(formats),
        OPEN(records_that_do_not_read_back),
        OPEN(owners_that_do_not_read_back),
        OPEN(an_owned_entry_that_does_not_read_back),
        OPEN(a_user_that_does_not_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
