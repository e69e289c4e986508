/* Batches and the audit log: whole or not at all, in order, and there after a restart or kill -9. */
#include "test_durable_fixture.h"

#include "cache/record.h"

#include <inttypes.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/wait.h>

#define FORMER_DESCRIPTION 0x79e70da5u /* as the durable environments of format 3 have it */

enum { THREADS = 4, BATCHES_EACH = 100 };

/* ---- rows ---- */

static void nothing_yet(void **state)
{
    struct test *t = *state;
    for (int table = DURABLE_LEASES; table < DURABLE_TABLES; table++)
        assert_rows(t, table, "");
    struct page page = page_of(t, 0, 10, 10, NULL);
    assert_int_equal(page.count, 0);
    assert_int_equal(page.next, 0);
    assert_int_equal(page_of(t, 17, 10, 10, NULL).count, 0);
    struct durable_stats stats = stats_now(t);
    assert_int_equal(stats.audit_entries, 0);
    assert_int_equal(stats.audit_last, 0);
}

static void rows_survive(void **state)
{
    struct test *t = *state;
    struct durable_batch *batch = durable_batch_new();
    assert_true(durable_batch_is_empty(batch));
    put_text(batch, DURABLE_LEASES, "b", "two");
    put_text(batch, DURABLE_LEASES, "a", "one");
    put_text(batch, DURABLE_LEASES, "gone", "x");
    put_text(batch, DURABLE_RESERVATIONS, "a", "other");
    put_text(batch, DURABLE_STATE, "fence", "17");
    put_text(batch, DURABLE_OUTCOMES, "empty", "");
    durable_delete(batch, DURABLE_LEASES, "gone", 4);
    durable_delete(batch, DURABLE_LEASES, "never", 5);
    append_number(batch, 1);
    assert_false(durable_batch_is_empty(batch));
    assert_int_equal(give_and_wait(t, batch), CG_OK);
    for (unsigned round = 0; round < 2; round++) {
        assert_rows(t, DURABLE_LEASES, round == 0 ? "a=one;b=two;" : "a=uno;b=two;");
        assert_rows(t, DURABLE_RESERVATIONS, "a=other;");
        assert_rows(t, DURABLE_STATE, "fence=17;");
        assert_rows(t, DURABLE_OUTCOMES, "empty=;");
        assert_no_holes(t, 1, 0);
        batch = durable_batch_new();
        put_text(batch, DURABLE_LEASES, "a", "uno");
        assert_int_equal(give_and_wait(t, batch), CG_OK);
        restart(t);
    }
    struct rows rows = {.stop_after = 1};
    assert_int_equal(durable_walk(t->durable, DURABLE_LEASES, on_row, &rows), CG_OK);
    assert_string_equal(rows.text, "a=uno;");
    append_one_by_one(t, 2, 2);
    assert_no_holes(t, 2, 0);
}

static void large_rows(void **state)
{
    struct test *t = *state;
    char key[CG_KEY_BYTES_MAX + 1];
    struct durable_batch *batch = durable_batch_new();
    memset(key, 'k', sizeof(key));
    durable_put(batch, DURABLE_STATE, key, CG_KEY_BYTES_MAX, "v", 1);
    put_filler(batch, DURABLE_OUTCOMES, 1, CG_RECORD_BYTES_MAX);
    append_filler(batch, 1, CG_AUDIT_ENTRY_BYTES_MAX - sizeof("{\"n\":1,\"pad\":\"\"}") + 1);
    assert_int_equal(give_and_wait(t, batch), CG_OK);
    restart(t);
    assert_int_equal(rows_of(t, DURABLE_OUTCOMES)->count, 1);
    assert_int_equal(rows_of(t, DURABLE_STATE)->count, 1);
    assert_no_holes(t, 1, 0);
}

static void batches_that_were_not_given(void **state)
{
    struct test *t = *state;
    struct durable_batch *batch = durable_batch_new();
    put_text(batch, DURABLE_LEASES, "a", "1");
    append_number(batch, 1);
    durable_batch_free(&batch);
    assert_null(batch);
    durable_batch_free(&batch);
    assert_int_equal(give_and_wait(t, durable_batch_new()), CG_OK);
    assert_rows(t, DURABLE_LEASES, "");
}

/* Too large, in one way or another: nothing of the batch happens, everything of its neighbours does, and all are told in order. */
static void bad_batches_among_good_ones(void **state)
{
    struct test *t = *state;
    static const char names[] = "abcdefghij";
    static char large[CG_RECORD_BYTES_MAX + 1];
    struct held held;
    unsigned appended = 0;
    append_one_by_one(t, ++appended, 1);
    unsigned delivered = t->box.delivered;
    hold(t, &held);
    for (size_t i = 0; i < sizeof(names) - 1; i++) {
        struct durable_batch *batch = durable_batch_new();
        durable_put(batch, DURABLE_LEASES, names + i, 1, "1", 1);
        append_number(batch, i % 2 == 0 ? ++appended : 0);
        if (i % 8 == 1)
            durable_put(batch, DURABLE_STATE, large, CG_KEY_BYTES_MAX + 1, "", 0);
        else if (i % 8 == 3)
            durable_put(batch, DURABLE_STATE, "large", 5, large, sizeof(large));
        else if (i % 8 == 5)
            append_filler(batch, 0, CG_AUDIT_ENTRY_BYTES_MAX);
        else if (i % 8 == 7)
            durable_delete(batch, DURABLE_STATE, "", 0);
        append_number(batch, i % 2 == 0 ? ++appended : 0);
        durable_submit(t->durable, batch, &t->box.mailbox, on_done, (void *)(names + i));
    }
    let_go(t, &held);
    wait_for(t, delivered + sizeof(names) - 1);
    assert_memory_equal(t->box.order + delivered, names, sizeof(names) - 1);
    assert_int_equal(t->box.ok, delivered + 5);
    assert_int_equal(t->box.last_rc, CG_E_LIMIT);
    assert_rows(t, DURABLE_LEASES, "a=1;c=1;e=1;g=1;i=1;");
    assert_rows(t, DURABLE_STATE, "");
    assert_int_equal(stats_now(t).failures, 5);
    assert_no_holes(t, appended, 0);
}

static void what_has_come_meanwhile_is_one_commit(void **state)
{
    struct test *t = *state;
    struct held held;
    append_one_by_one(t, 1, 1);
    unsigned delivered = t->box.delivered;
    hold(t, &held);
    struct durable_stats before = stats_now(t);
    for (unsigned i = 2; i <= 100; i++) {
        struct durable_batch *batch = durable_batch_new();
        put_filler(batch, DURABLE_LEASES, i % 10, i);
        append_number(batch, i);
        if (i == 50) /* nobody waits for this one */
            durable_submit(t->durable, batch, NULL, NULL, NULL);
        else
            give(t, batch);
    }
    let_go(t, &held);
    wait_for(t, delivered + 98);
    struct durable_stats after = stats_now(t);
    assert_int_equal(after.commits, before.commits + 1);
    assert_int_equal(after.batches, before.batches + 99);
    assert_int_equal(after.failures, 0);
    assert_int_equal(rows_of(t, DURABLE_LEASES)->count, 10);
    assert_no_holes(t, 100, 0);
}

static void stopping_writes_what_was_given(void **state)
{
    struct test *t = *state;
    struct asked asked = {.answered = 0};
    for (unsigned i = 1; i <= 200; i++) {
        struct durable_batch *batch = durable_batch_new();
        append_number(batch, i);
        give(t, batch);
    }
    ask(t, &asked, 0, 1000, 1000);
    stop(t);
    assert_int_equal(t->box.ok, 200);
    wait_for_answer(t, &asked);
    assert_int_equal(json_array_size(asked.query.items), 200);
    json_decref(asked.query.items);
    reopen(t->f);
    start(t);
    assert_no_holes(t, 200, 0);
}

/* ---- several threads ---- */

struct submitter {
    struct test *t;
    pthread_t thread;
    unsigned number;
};

static void *submit_on(void *data)
{
    struct submitter *submitter = data;
    for (unsigned i = 1; i <= BATCHES_EACH; i++) {
        struct durable_batch *batch = durable_batch_new();
        char key[16], value[16];
        snprintf(key, sizeof(key), "t%u", submitter->number);
        snprintf(value, sizeof(value), "%u", i);
        put_text(batch, DURABLE_STATE, key, value);
        durable_append(batch, json_pack("{s:i, s:i}", "t", (int)submitter->number, "i", (int)i));
        give(submitter->t, batch);
    }
    return NULL;
}

static void several_threads(void **state)
{
    struct test *t = *state;
    struct submitter submitters[THREADS];
    unsigned seen[THREADS] = {0};
    for (unsigned i = 0; i < THREADS; i++) {
        submitters[i] = (struct submitter){.t = t, .number = i};
        assert_int_equal(pthread_create(&submitters[i].thread, NULL, submit_on, &submitters[i]), 0);
    }
    wait_for(t, THREADS * BATCHES_EACH);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(submitters[i].thread, NULL), 0);
    assert_int_equal(t->box.ok, THREADS * BATCHES_EACH);
    assert_rows(t, DURABLE_STATE, "t0=100;t1=100;t2=100;t3=100;");
    struct asked asked = {.answered = 0};
    ask(t, &asked, 0, 1000, 1000);
    wait_for_answer(t, &asked);
    assert_int_equal(json_array_size(asked.query.items), THREADS * BATCHES_EACH);
    for (size_t i = THREADS * BATCHES_EACH;
         i-- > 0;) { /* oldest first: each thread's in its order */
        assert_int_equal(member(asked.query.items, i, "seq"), THREADS * BATCHES_EACH - i);
        unsigned thread = (unsigned)member(asked.query.items, i, "t");
        assert_in_range(thread, 0, THREADS - 1);
        assert_int_equal(member(asked.query.items, i, "i"), ++seen[thread]);
    }
    json_decref(asked.query.items);
}

/* ---- kill -9 ---- */

static int child_pipe;

static void tell_parent(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    uint32_t number = (uint32_t)(uintptr_t)done->data;
    if (done->rc != CG_OK || write(child_pipe, &number, sizeof(number)) != sizeof(number))
        _exit(4);
    test_of->box.delivered++;
    free(done);
}

/* Each batch is one number, in a row of its own among fifty, in one for all, and in the audit log. */
static _Noreturn void child_submits(struct test *t, uint32_t number)
{
    char error[CG_ERROR_TEXT_MAX], text[16];
    unsigned given = 0, window = 1 + number % 40;
    if (fixture_open(t->f) != CG_OK || t->f->opened.durable_set_aside ||
        durable_start(&t->durable, t->f->store, &t->settings, error, sizeof(error)) != CG_OK)
        _exit(2);
    for (t->box.delivered = 0;; number++, given++) {
        struct durable_batch *batch = durable_batch_new();
        snprintf(text, sizeof(text), "%" PRIu32, number);
        put_text(batch, DURABLE_STATE, "last", text);
        put_filler(batch, DURABLE_LEASES, number % 50, 1 + number % 3000);
        append_number(batch, number);
        durable_submit(t->durable, batch, &t->box.mailbox, tell_parent, (void *)(uintptr_t)number);
        while (mailbox_deliver(&t->box.mailbox), given - t->box.delivered >= window)
            sem_wait(&t->box.woken);
    }
}

static uint32_t kill_child(pid_t child, int pipe_end, long us, uint32_t told)
{
    struct timespec wait = {.tv_nsec = us * 1000};
    uint32_t number;
    int status;
    nanosleep(&wait, NULL); /* where the kill falls matters, not when */
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status)); /* it did not give up by itself */
    while (read(pipe_end, &number, sizeof(number)) == sizeof(number)) {
        assert_int_equal(number, told + 1);
        told = number;
    }
    return told;
}

static void killed_while_writing(void **state)
{
    enum { ROUNDS = 20, KILL_AFTER_US_MAX = 30000 };
    struct test *t = *state;
    unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();
    uint32_t last = 0;
    print_message("seed %u\n", seed);
    for (unsigned round = 0; round < ROUNDS; round++) {
        int ends[2];
        char expected[32];
        uint32_t told = last;
        stop(t);
        store_close(&t->f->store);
        t->settings.max_audit_entries = 200 - round; /* so that it is trimmed as well */
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            child_pipe = ends[1];
            child_submits(t, last + 1);
        }
        close(ends[1]);
        if (round % 4 != 0) { /* the others may be killed while they start */
            assert_int_equal(read(ends[0], &told, sizeof(told)), sizeof(told));
            assert_int_equal(told, last + 1);
        }
        told = kill_child(child, ends[0], rand_r(&seed) % KILL_AFTER_US_MAX, told);
        close(ends[0]);
        assert_int_equal(fixture_open(t->f), CG_OK);
        assert_false(t->f->opened.durable_set_aside);
        start(t);
        last = (uint32_t)stats_now(t).audit_last;
        assert_true(last >= told);
        wait_for_entries(t, last < 200 - round ? last : 200 - round);
        assert_no_holes(t, last, 0);
        snprintf(expected, sizeof(expected), "last=%" PRIu32 ";", last);
        assert_rows(t, DURABLE_STATE, last == 0 ? "" : expected);
        assert_int_equal(rows_of(t, DURABLE_LEASES)->count, last < 50 ? last : 50);
        assert_int_equal(corrupt_now(t), 0);
    }
    assert_true(last > ROUNDS / 2);
    print_message("%" PRIu32 " batches\n", last);
}

/* ---- questions ---- */

static int is_multiple_of_seven(const struct durable_query *query, const json_t *entry)
{
    (void)query;
    return json_integer_value(json_object_get(entry, "n")) % 7 == 0;
}

static int never(const struct durable_query *query, const json_t *entry)
{
    (void)query, (void)entry;
    return 0;
}

#define assert_page(page_, count_, first_, last_, next_)                                           \
    do {                                                                                           \
        struct page got_ = (page_);                                                                \
        assert_int_equal(got_.count, count_);                                                      \
        assert_int_equal(got_.first, first_);                                                      \
        assert_int_equal(got_.last, last_);                                                        \
        assert_int_equal(got_.next, next_);                                                        \
    } while (0)

static void pages(void **state)
{
    struct test *t = *state;
    append_one_by_one(t, 1, 20);
    assert_page(page_of(t, 0, 7, 100, NULL), 7, 20, 14, 14);
    assert_page(page_of(t, 14, 7, 100, NULL), 7, 13, 7, 7);
    assert_page(page_of(t, 7, 7, 100, NULL), 6, 6, 1, 0);
    assert_page(page_of(t, 7, 6, 100, NULL), 6, 6, 1, 0); /* nothing more: it does not say go on */
    assert_page(page_of(t, 1, 7, 100, NULL), 0, 0, 0, 0);
    assert_page(page_of(t, 2, 7, 100, NULL), 1, 1, 1, 0);
    assert_page(page_of(t, 1000, 1, 1, NULL), 1, 20, 20, 20);
    assert_page(page_of(t, UINT64_MAX, 1, 1, NULL), 1, 20, 20, 20);
    assert_page(page_of(t, 0, 100, 3, NULL), 3, 20, 18, 18);
    assert_page(page_of(t, 0, 100, 100, is_multiple_of_seven), 2, 14, 7, 0);
    assert_page(page_of(t, 0, 1, 100, is_multiple_of_seven), 1, 14, 14, 14);
    assert_page(page_of(t, 0, 100, 5, is_multiple_of_seven), 0, 0, 0, 16);
    assert_page(page_of(t, 16, 100, 5, is_multiple_of_seven), 1, 14, 14, 11);
    assert_page(page_of(t, 0, 100, 20, never), 0, 0, 0, 0);
    assert_page(page_of(t, 0, 100, 19, never), 0, 0, 0, 2);
}

/* The members are as they were given, behind the number; a "seq" of one's own is not kept. */
static void entries_as_they_were_given(void **state)
{
    struct test *t = *state;
    struct asked asked = {.answered = 0};
    struct durable_batch *batch = durable_batch_new();
    durable_append(batch, json_object());
    durable_append(batch, json_pack("{s:i, s:s}", "seq", 99, "agent", "\xc3\xa4\"\n"));
    durable_append(batch, json_pack("{s:s%, s:n}", "nul", "a\0b", (size_t)3, "none"));
    assert_int_equal(give_and_wait(t, batch), CG_OK);
    ask(t, &asked, 0, 10, 10);
    wait_for_answer(t, &asked);
    char *text = json_dumps(asked.query.items, JSON_COMPACT);
    assert_string_equal(text, "[{\"seq\":3,\"nul\":\"a\\u0000b\",\"none\":null},"
                              "{\"seq\":2,\"agent\":\"\xc3\xa4\\\"\\n\"},{\"seq\":1}]");
    free(text);
    json_decref(asked.query.items);
}

static void a_question_sees_what_was_given_before(void **state)
{
    struct test *t = *state;
    struct asked asked[20] = {{.answered = 0}};
    unsigned delivered = t->box.delivered;
    for (unsigned i = 0; i < 20; i++) {
        struct durable_batch *batch = durable_batch_new();
        append_number(batch, i + 1);
        give(t, batch);
        ask(t, &asked[i], 0, 1, 1);
    }
    for (unsigned i = 0; i < 20; i++) {
        wait_for_answer(t, &asked[i]);
        assert_true(member(asked[i].query.items, 0, "seq") >= i + 1);
        json_decref(asked[i].query.items);
    }
    wait_for(t, delivered + 20);
}

/* ---- dropping audit entries ---- */

static void the_oldest_are_dropped(void **state)
{
    struct test *t = *state;
    stop(t);
    t->settings.max_audit_entries = 10;
    start(t);
    for (unsigned i = 1; i <= 30; i++) {
        append_one_by_one(t, i, i);
        struct durable_stats stats = stats_now(t);
        assert_int_equal(stats.audit_entries, i < 10 ? i : 10); /* with the same commit */
        assert_int_equal(stats.audit_last, i);
        assert_int_equal(stats.commits, i);
    }
    assert_int_equal(assert_no_holes(t, 30, 0), 21);
    assert_page(page_of(t, 0, 100, 100, NULL), 10, 30, 21, 0);
    assert_page(page_of(t, 21, 100, 100, NULL), 0, 0, 0, 0);
}

static void a_lower_bound_after_a_restart(void **state)
{
    enum { ENTRIES = 5000, LEFT = 3 };
    struct test *t = *state;
    struct durable_batch *batch = durable_batch_new();
    for (unsigned i = 1; i <= ENTRIES; i++)
        append_number(batch, i);
    put_text(batch, DURABLE_LEASES, "a", "1");
    assert_int_equal(give_and_wait(t, batch), CG_OK);
    t->settings.max_audit_entries = LEFT;
    restart(t);
    wait_for_entries(t, LEFT);
    assert_true(stats_now(t).commits >= 4); /* not all at once */
    assert_no_holes(t, ENTRIES, 0);
    append_one_by_one(t, ENTRIES + 1, ENTRIES + 1);
    assert_int_equal(assert_no_holes(t, ENTRIES + 1, 0), ENTRIES + 2 - LEFT);
    assert_rows(t, DURABLE_LEASES, "a=1;");
}

/* ---- damage, and what was there before ---- */

static MDB_dbi database(MDB_txn *txn, const char *name)
{
    MDB_dbi dbi;
    assert_int_equal(mdb_dbi_open(txn, name, 0, &dbi), 0);
    return dbi;
}

/* Changes the durable environment while nobody has it open. */
static void edit(struct test *t, void (*change)(MDB_txn *txn))
{
    MDB_env *env;
    MDB_txn *txn;
    stop(t);
    store_close(&t->f->store);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, fixture_path(t->f, "durable"), 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    change(txn);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void open_again(struct test *t)
{
    assert_int_equal(fixture_open(t->f), CG_OK);
    assert_false(t->f->opened.durable_set_aside);
    start(t);
}

static void flip(MDB_txn *txn, const char *name, MDB_val key)
{
    MDB_val value;
    char bytes[256];
    assert_int_equal(mdb_get(txn, database(txn, name), &key, &value), 0);
    assert_in_range(value.mv_size, 1, sizeof(bytes));
    memcpy(bytes, value.mv_data, value.mv_size);
    bytes[value.mv_size - 1] ^= 1;
    value.mv_data = bytes;
    assert_int_equal(mdb_put(txn, database(txn, name), &key, &value, 0), 0);
}

static void damage_a_row_and_an_entry(MDB_txn *txn)
{
    struct key number;
    MDB_val odd = {3, "odd"}, value = {3, "odd"};
    flip(txn, "leases", (MDB_val){1, "b"});
    key_of_entry(&number, 2);
    flip(txn, "audit", key_value(&number));
    assert_int_equal(mdb_put(txn, database(txn, "audit"), &odd, &value, 0), 0);
}

static void damage_the_last_number(MDB_txn *txn)
{
    flip(txn, "state", (MDB_val){5, "audit"});
}

static void damage(void **state)
{
    struct test *t = *state;
    struct durable_batch *batch = durable_batch_new();
    put_text(batch, DURABLE_LEASES, "a", "1");
    put_text(batch, DURABLE_LEASES, "b", "2");
    put_text(batch, DURABLE_LEASES, "c", "3");
    assert_int_equal(give_and_wait(t, batch), CG_OK);
    append_one_by_one(t, 1, 3);
    edit(t, damage_a_row_and_an_entry);
    open_again(t);
    assert_int_equal(corrupt_now(t), 0);
    assert_rows(t, DURABLE_LEASES, "a=1;c=3;");
    assert_int_equal(corrupt_now(t), 1);
    assert_page(page_of(t, 0, 10, 10, NULL), 2, 3, 1, 0);
    assert_int_equal(corrupt_now(t), 3);
    edit(t, damage_the_last_number);
    open_again(t);
    assert_int_equal(corrupt_now(t), 1);
    assert_int_equal(stats_now(t).audit_last, 3);
    append_one_by_one(t, 4, 4);
    assert_page(page_of(t, 0, 1, 2, NULL), 1, 4, 4, 4);
}

/* Makes the environment one of format 3, as it was before there were jobs. */
static void make_former(MDB_txn *txn)
{
    static const char *const later[] = {"jobs", "jobRows"};
    MDB_dbi dbi = database(txn, "state");
    MDB_val key = {11, "environment"}, value;
    char content[64], sealed[64];
    const uint32_t format = 3, description = FORMER_DESCRIPTION;
    for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++)
        assert_int_equal(mdb_drop(txn, database(txn, later[i]), 1), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    size_t length = value.mv_size - SEALED_HEADER_BYTES;
    assert_in_range(length, 12, sizeof(content) - SEALED_HEADER_BYTES);
    memcpy(content, (char *)value.mv_data + SEALED_HEADER_BYTES, length);
    memcpy(content + 4, &format, sizeof(format));
    memcpy(content + 8, &description, sizeof(description));
    sealed_encode(&key, content, length, sealed);
    value = (MDB_val){length + SEALED_HEADER_BYTES, sealed};
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

static void remove_all(struct test *t, const char *name)
{
    nftw(fixture_path(t->f, name), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    assert_false(exists(fixture_path(t->f, name)));
}

/* Nobody but the durable environment knows the epoch any more. */
static void an_environment_of_the_former_format(void **state)
{
    struct test *t = *state;
    struct durable_batch *batch = durable_batch_new();
    put_text(batch, DURABLE_BEARERS, "b", "2");
    assert_int_equal(give_and_wait(t, batch), CG_OK);
    append_one_by_one(t, 1, 1);
    for (unsigned i = 0; i < 5; i++)
        restart(t);
    uint64_t epoch = t->f->opened.epoch;
    assert_true(epoch > 5);
    edit(t, make_former);
    remove_all(t, "cache");
    remove_all(t, "lock");
    open_again(t);
    assert_int_equal(t->f->opened.epoch, epoch + 1);
    assert_int_equal(stats_now(t).audit_last, 1);
    batch = durable_batch_new();
    put_text(batch, DURABLE_JOBS, "a", "1");
    append_number(batch, 2);
    assert_int_equal(give_and_wait(t, batch), CG_OK);
    restart(t);
    assert_int_equal(t->f->opened.epoch, epoch + 2);
    assert_rows(t, DURABLE_JOBS, "a=1;");
    assert_rows(t, DURABLE_BEARERS, "b=2;");
    assert_no_holes(t, 2, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_yet),
        TEST(rows_survive),
        TEST(large_rows),
        TEST(batches_that_were_not_given),
        TEST(bad_batches_among_good_ones),
        TEST(what_has_come_meanwhile_is_one_commit),
        TEST(stopping_writes_what_was_given),
        TEST(several_threads),
        TEST(killed_while_writing),
        TEST(pages),
        TEST(entries_as_they_were_given),
        TEST(a_question_sees_what_was_given_before),
        TEST(the_oldest_are_dropped),
        TEST(a_lower_bound_after_a_restart),
        TEST(damage),
        TEST(an_environment_of_the_former_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
