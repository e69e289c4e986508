/* What a disk, a power cut or another version may have left behind: never a crash, never a start that fails, never a lie. */
#include "test_store_damage_fixture.h"

#include "cache/inspect.h"

#include "cctgate/clock.h"

#include <lmdb.h>
#include <sys/wait.h>
#include <time.h>

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

static void second_entry_is_the_first(char *page)
{
    if (u16_at(page + 10) == PAGE_LEAF && u16_at(page + 12) >= 20)
        put_u16(page + 18, u16_at(page + 16));
}

static void last_value_reaches_the_next(char *page)
{
    unsigned last = u16_at(page + 12) - 2u, at;

    if (u16_at(page + 10) != PAGE_LEAF || last < 18)
        return;
    at = u16_at(page + last);
    if (u16_at(page + at + 4) == 0 &&
        at + 8u + u16_at(page + at) + u16_at(page + at + 6) + 2 < PAGE)
        put_u16(page + at, u16_at(page + at) + 2u);
}

/* A named database's description, in the leaf of the main one. */
static void entries_are_miscounted(char *page)
{
    char *node = page + u16_at(page + 16);
    if (u16_at(page + 10) == PAGE_LEAF && u16_at(node + 4) == 2)
        node[8 + u16_at(node + 6) + 32] ^= 1;
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

static void freed_by_no_transaction(char *page)
{
    char *node = page + u16_at(page + 16);
    if (u16_at(page + 10) == PAGE_LEAF && u16_at(node + 4) == 0 && u16_at(node + 6) == 8 &&
        u16_at(node) >= 16)
        memset(node + 8, 0, 8);
}

static void free_pages_are_not_in_order(char *page)
{
    char *node = page + u16_at(page + 16), first[8];
    if (u16_at(page + 10) != PAGE_LEAF || u16_at(node + 4) != 0 || u16_at(node + 6) != 8 ||
        u16_at(node) < 24)
        return;
    memcpy(first, node + 24, 8);
    memcpy(node + 24, node + 32, 8);
    memcpy(node + 32, first, 8);
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
                 {entries_are_miscounted, "a database does not have the entries it should have"},
                 {last_entry_is_lost, "entries leave a hole"},
                 {last_value_reaches_the_next, "entries leave a hole"},
                 {second_entry_is_the_first, "entries overlap"},
                 {first_entry_is_in_the_header, "an entry lies outside its page"},
                 {first_entry_is_at_the_end, "an entry lies outside its page"},
                 {first_key_is_too_long, "a key lies outside its page"},
                 {first_value_is_too_long, "a value lies outside its page"},
                 {free_page_is_used, "a page is used twice"},
                 {freed_by_no_transaction, "the free list is not in order"},
                 {free_pages_are_not_in_order, "the free list is not in order"},
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
        if (found < (cases[i].change == last_entry_is_lost ? 10 : 1))
            fail_msg("case %zu: %s: found %u times", i, cases[i].damage, found);
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

/* ---- the steady clock ---- */

/* Puts what `format` makes of the number in place of what stands behind `name`, and blanks for the rest. */
static void edit_clock(struct fixture *f, const char *name, long long number)
{
    char tail[192] = "";
    size_t length;
    char *text = read_file(fixture_path(f, "lock"), &length), *at;
    long long ahead, seen;
    text[length] = '\0';
    at = strstr(text, " ahead ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, " ahead %lld seen %lld", &ahead, &seen), 2);
    if (strcmp(name, "ahead") == 0)
        ahead = number;
    else
        seen = number;
    snprintf(tail, sizeof(tail), " ahead %lld seen %lld", ahead, seen);
    snprintf(at, length - (size_t)(at - text), "%-*s", (int)(text + length - at - 1), tail);
    text[length - 1] = '\n';
    write_file(fixture_path(f, "lock"), text, length);
    free(text);
}

static void the_clock_goes_on_under_the_same_kernel(void **state)
{
    struct fixture *f = *state;
    int64_t before = clock_steady_ahead_ms();
    die_in_use(f);
    edit_clock(f, "ahead", before - 3600000); /* as if the wall clock had been set since */
    assert_int_equal(fixture_open(f), CG_OK);
    assert_int_equal(clock_steady_ahead_ms(), before - 3600000);
    assert_false(f->opened.cache_set_aside);
    store_close(&f->store);
    clock_steady_resume(before);
    assert_int_equal(fixture_open(f), CG_OK); /* it has written down what it went on with */
    assert_int_equal(clock_steady_ahead_ms(), before - 3600000);
    clock_steady_resume(before);
}

static void the_clock_never_goes_back_under_another(void **state)
{
    struct fixture *f = *state;
    int64_t before = clock_steady_ahead_ms(), seen = clock_steady_ms() + 3600000;
    store_close(&f->store);
    edit_clock(f, "seen", seen);
    edit_clock(f, "ahead", 0);
    change_boot(f);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_true(clock_steady_ms() >= seen);
    assert_true(clock_steady_ahead_ms() > before);
    store_close(&f->store);
    clock_steady_resume(before);
    edit_clock(f, "seen", seen - 7200000); /* nor forward, for what is over */
    change_boot(f);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_int_equal(clock_steady_ahead_ms(), before);
}

static void a_lock_file_from_before_the_clock(void **state)
{
    struct fixture *f = *state;
    struct record out;
    char old[129];
    size_t length;
    int64_t before = clock_steady_ahead_ms();
    put_one(f, RECORD_AGENT, "a", "1");
    store_close(&f->store);
    char *text = read_file(fixture_path(f, "lock"), &length);
    text[length] = '\0';
    *strstr(text, " ahead ") = '\0';
    snprintf(old, sizeof(old), "%-127s\n", text);
    assert_int_equal(unlink(fixture_path(f, "lock")), 0);
    write_file(fixture_path(f, "lock"), old, 128);
    free(text);
    assert_int_equal(fixture_open(f), CG_OK);
    assert_false(f->opened.cache_set_aside);
    assert_int_equal(get_one(f, RECORD_AGENT, "a", &out), CG_OK);
    assert_int_equal(clock_steady_ahead_ms(), before);
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
    assert_int_equal(length, 192);
    text[120] = 'x';
    write_file(fixture_path(f, "lock"), text, length);
    free(text);
    assert_set_aside(f, "the machine went down while it was in use");
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
        OPEN(the_clock_goes_on_under_the_same_kernel),
        OPEN(the_clock_never_goes_back_under_another),
        OPEN(a_lock_file_from_before_the_clock),
        OPEN(a_lock_file_that_tells_nothing),
        OPEN(a_lock_file_with_something_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
