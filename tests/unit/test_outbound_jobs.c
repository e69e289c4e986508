/* Jobs: killed at every step, refused by the disk, cancelled at every step, and what clients are told. */
#include "test_outbound_jobs_fixture.h"

static void in_order(void **state)
{
    unsigned i;

    (void)state;
    append(0, 5);
    take_id();
    assert_string_equal(text_of("state"), "waiting");
    assert_int_equal(disk_rows(&disk, DURABLE_JOBS), 1);
    assert_int_equal(disk_rows(&disk, DURABLE_JOB_ROWS), 5);
    assert_true(disk_holds(NUMBERS "04"));
    run();
    get(id_of_answer, &campaigner);
    assert_string_equal(text_of("state"), "done");
    assert_int_equal(count_of("done"), 5);
    for (i = 0; i < 5; ++i)
        assert_int_equal(centre.sent[i], 1);
    assert_false(disk_holds(NUMBERS));
    assert_int_equal(json_array_size(disk.audit), 1);
    assert_true(num_told >= 6);
    assert_string_equal(json_string_value(json_object_get(last_told, "state")), "done");
    assert_null(json_object_get(last_told, "rows"));
}

/* It is on the disk as being sent, without its personal data, before the call. */
static void marked_before_it_is_sent(void **state)
{
    (void)state;
    append(0, 1);
    assert_int_equal(centre_turn(), 1);
    assert_null(centre.call.done);
    assert_true(disk_holds(NUMBERS "00"));
    assert_int_equal(disk_settle(&disk, CG_OK), 1);
    assert_false(disk_holds(NUMBERS "00"));
    assert_null(centre.call.done);
    deliver();
    assert_non_null(centre.call.done);
}

/*
 * Killed after n steps, for every n: each row arrives once, or it is unknown and was sent once at most, and there is one such row at most.
 */
static void killed_at_every_step(void **state)
{
    unsigned kills, i, steps;
    int ended = 0;

    (void)state;
    teardown(NULL);
    for (kills = 0; !ended; ++kills) {
        json_int_t unknown;
        setup(NULL);
        append(0, 4);
        take_id();
        for (steps = 0; steps < kills && step(); ++steps)
            ;
        ended = steps < kills;
        kill_gateway();
        begin();
        run();
        get(id_of_answer, &campaigner);
        assert_int_equal(answered->rc, CG_OK);
        assert_string_equal(text_of("state"), "done");
        unknown = count_of("unknown");
        assert_in_range(unknown, 0, 1);
        assert_int_equal(count_of("done") + unknown, 4);
        for (i = 0; i < 4; ++i) {
            const json_t *row = row_at(i);
            const char *is = json_string_value(json_object_get(row, "state"));
            if (strcmp(is, "done") == 0)
                assert_int_equal(centre.sent[i], 1);
            else
                assert_in_range(centre.sent[i], 0, 1);
        }
        assert_false(disk_holds(NUMBERS));
        teardown(NULL);
    }
    assert_true(kills > 20);
    setup(NULL);
}

/* Before the job is on the disk nothing of it is; its client is not answered. */
static void killed_before_it_is_written(void **state)
{
    (void)state;
    ask(wanted(0, 2, DUPLICATE_APPEND), &campaigner);
    jobs_ask_free(&all->all->asks); /* what its client would be answered with */
    kill_gateway();
    begin();
    run();
    assert_int_equal(centre.calls, 0);
    assert_int_equal(all->num_jobs, 0);
    assert_int_equal(num_answered, 0);
}

static void the_disk_refuses_a_job(void **state)
{
    (void)state;
    ask(wanted(0, 2, DUPLICATE_APPEND), &campaigner);
    disk_settle(&disk, CG_E_FULL);
    deliver();
    assert_int_equal(answered->rc, CG_E_FULL);
    assert_int_equal(all->num_jobs, 0);
    assert_int_equal(all->num_rows, 0);
    run();
    assert_int_equal(centre.calls, 0);
}

static void the_disk_refuses_a_mark(void **state)
{
    (void)state;
    append(0, 1);
    centre_turn();
    disk_settle(&disk, CG_E_FULL);
    deliver();
    assert_int_equal(centre.calls, 0);
    assert_int_equal(all->queue.rows_waiting, 1);
    assert_true(queue_due_ms(&all->queue) > now_ms);
    get(take_id(), &campaigner);
    assert_non_null(json_object_get(answered->answer, "waitsFor"));
    run();
    assert_int_equal(centre.sent[0], 1);
    get(id_of_answer, &campaigner);
    assert_null(json_object_get(answered->answer, "waitsFor"));
}

/* What is done stays done here; the next process could only say that it is unknown. */
static void the_disk_refuses_an_outcome(void **state)
{
    (void)state;
    append(0, 1);
    take_id();
    centre_turn();
    disk_settle(&disk, CG_OK);
    deliver();
    centre_answer(1);
    disk_settle(&disk, CG_E_IO);
    deliver();
    get(id_of_answer, &campaigner);
    assert_string_equal(text_of("state"), "done");
    kill_gateway();
    begin();
    run();
    get(id_of_answer, &campaigner);
    assert_int_equal(count_of("unknown"), 1);
    assert_int_equal(centre.calls, 1);
}

struct outcome_case {
    int rc, unknown;
    enum outbound_reason reason;
    enum row_state state; /* ROW_WAITING: it is tried again */
    const char *problem;
};

static void outcomes(void **state)
{
    static const struct outcome_case cases[] = {
        {CG_E_REFUSED, 0, OUTBOUND_OTHER, ROW_WAITING, NULL},
        {CG_E_TLS, 0, OUTBOUND_OTHER, ROW_WAITING, NULL},
        {CG_E_BUSY, 0, OUTBOUND_OTHER, ROW_WAITING, NULL},
        {CG_E_TIMEOUT, 0, OUTBOUND_OTHER, ROW_WAITING, NULL},
        {CG_E_DENIED, 0, OUTBOUND_IN_USE, ROW_WAITING, NULL},
        {CG_E_DENIED, 0, OUTBOUND_DENIED, ROW_WAITING, NULL},
        {CG_E_SESSION, 0, OUTBOUND_EXPIRED, ROW_WAITING, NULL},
        {CG_E_FAULT, 0, OUTBOUND_TOO_FAST, ROW_WAITING, NULL},
        {CG_E_FAULT, 0, OUTBOUND_OTHER, ROW_FAILED, "/problems/upstream-fault"},
        {CG_E_INVALID, 0, OUTBOUND_OTHER, ROW_FAILED, "/problems/bad-request"},
        {CG_E_TIMEOUT, 1, OUTBOUND_OTHER, ROW_UNKNOWN, "/problems/upstream-timeout"},
        {CG_E_RESET, 1, OUTBOUND_OTHER, ROW_UNKNOWN, "/problems/upstream-broken"},
        {CG_E_PROTOCOL, 1, OUTBOUND_OTHER, ROW_UNKNOWN, "/problems/upstream-invalid"},
        {CG_E_XML, 1, OUTBOUND_OTHER, ROW_UNKNOWN, "/problems/upstream-invalid"}};
    size_t i;

    (void)state;
    teardown(NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        const struct outcome_case *c = &cases[i];
        const json_t *row;
        setup(NULL);
        append(7, 1);
        take_id();
        while (centre.call.done == NULL)
            assert_int_equal(mailbox_deliver(&loop.mailbox) > 0 || disk_settle(&disk, CG_OK) ||
                                 centre_turn(),
                             1);
        centre_fail(c->rc, c->unknown, c->reason, "number " NUMBERS "07 is not good");
        while (disk_settle(&disk, CG_OK))
            deliver();
        get(id_of_answer, &campaigner);
        row = row_at(0);
        assert_string_equal(json_string_value(json_object_get(row, "state")),
                            row_state_names[c->state]);
        if (c->problem != NULL)
            assert_string_equal(
                json_string_value(json_object_get(json_object_get(row, "problem"), "type")),
                c->problem);
        if (c->rc == CG_E_FAULT && c->state == ROW_FAILED)
            assert_string_equal(
                json_string_value(json_object_get(json_object_get(row, "problem"), "detail")),
                "number *********** is not good");
        assert_int_equal(disk_holds(NUMBERS "07"), c->state == ROW_WAITING);
        run();
        assert_int_equal(centre.sent[7], c->state == ROW_WAITING);
        assert_int_equal(centre.calls, c->state == ROW_WAITING ? 2 : 1);
        teardown(NULL);
    }
    setup(NULL);
}

static void not_for_ever_too_fast(void **state)
{
    (void)state;
    append(0, 1);
    take_id();
    for (;;) {
        while (centre.call.done == NULL && step())
            ;
        if (centre.call.done == NULL)
            break;
        centre_fail(CG_E_FAULT, 0, OUTBOUND_TOO_FAST, "once per second at most");
    }
    assert_int_equal(centre.calls, CG_JOB_TRIES_MAX);
    get(id_of_answer, &campaigner);
    assert_int_equal(count_of("failed"), 1);
}

static void other_results_are_failures(void **state)
{
    const json_t *row;

    (void)state;
    append(0, 1);
    take_id();
    while (!centre_answer(-1))
        assert_int_equal(
            mailbox_deliver(&loop.mailbox) > 0 || disk_settle(&disk, CG_OK) || centre_turn(), 1);
    run();
    kill_gateway();
    begin();
    get(id_of_answer, &campaigner);
    assert_int_equal(count_of("failed"), 1);
    row = row_at(0);
    assert_int_equal(json_integer_value(json_object_get(row, "value")), -1);
}

static void cancel(const struct access *access)
{
    struct jobs_ask *question = jobs_ask_new(JOBS_CANCEL);
    memcpy(question->id, id_of_answer, sizeof(question->id));
    ask(question, access);
}

/* Cancelled after n steps, for every n: what is told as cancelled was never sent. */
static void cancelled_at_every_step(void **state)
{
    unsigned n, i, steps;
    int ended = 0;

    (void)state;
    teardown(NULL);
    for (n = 0; !ended; ++n) {
        setup(NULL);
        append(0, 3);
        take_id();
        for (steps = 0; steps < n && step(); ++steps)
            ;
        ended = steps < n;
        cancel(&campaigner);
        run();
        get(id_of_answer, &campaigner);
        assert_int_equal(count_of("waiting") + count_of("sending"), 0);
        assert_int_equal(count_of("done") + count_of("cancelled"), 3);
        for (i = 0; i < 3; ++i)
            assert_int_equal(centre.sent[i], i < (unsigned)count_of("done"));
        if (count_of("cancelled") > 0)
            assert_string_equal(text_of("state"), "cancelled");
        assert_false(disk_holds(NUMBERS));
        kill_gateway();
        begin();
        run();
        get(id_of_answer, &campaigner);
        assert_int_equal(count_of("done") + count_of("cancelled"), 3);
        teardown(NULL);
    }
    setup(NULL);
}

static void the_disk_refuses_to_cancel(void **state)
{
    (void)state;
    append(0, 2);
    take_id();
    cancel(&campaigner);
    cancel(&op_er); /* waits for the first */
    disk_settle(&disk, CG_E_FULL);
    deliver();
    assert_int_equal(num_answered, 3);
    assert_int_equal(answered->rc, CG_E_FULL);
    run();
    get(id_of_answer, &campaigner);
    assert_string_equal(text_of("state"), "done");
    assert_int_equal(count_of("done"), 2);
}

static void duplicates(void **state)
{
    const json_t *row;

    (void)state;
    ask(wanted(0, 2, DUPLICATE_SKIP), &campaigner);
    disk_settle(&disk, CG_OK);
    deliver();
    take_id();
    assert_string_equal(centre.call.op->name, "GetContactIDByPhoneNumber");
    assert_string_equal(centre.call.number, NUMBERS "00");
    centre_answer(4711);
    while (centre.call.done == NULL)
        assert_int_equal(disk_settle(&disk, CG_OK) || mailbox_deliver(&loop.mailbox) > 0, 1);
    assert_string_equal(centre.call.number, NUMBERS "01");
    centre_answer(-1);
    assert_non_null(centre.turn);
    run();
    assert_int_equal(centre.sent[0], 0);
    assert_int_equal(centre.sent[1], 1);
    get(id_of_answer, &campaigner);
    assert_int_equal(count_of("skipped"), 1);
    row = row_at(0);
    assert_int_equal(json_integer_value(json_object_get(row, "value")), 4711);
    ask(wanted(0, 1, DUPLICATE_ERROR), &campaigner);
    disk_settle(&disk, CG_OK);
    deliver();
    take_id();
    centre_answer(4711);
    run();
    get(id_of_answer, &campaigner);
    assert_int_equal(count_of("failed"), 1);
    row = row_at(0);
    assert_string_equal(json_string_value(json_object_get(json_object_get(row, "problem"), "type")),
                        "/problems/duplicate");
    assert_false(disk_holds(NUMBERS));
}

/* What cannot be searched for is not sent. */
static void searching_fails(void **state)
{
    (void)state;
    ask(wanted(0, 2, DUPLICATE_SKIP), &campaigner);
    disk_settle(&disk, CG_OK);
    deliver();
    take_id();
    centre_fail(CG_E_TIMEOUT, 1, OUTBOUND_OTHER, NULL);
    assert_int_equal(all->queue.rows_waiting, 2);
    now_ms = queue_due_ms(&all->queue);
    jobs_pump(all);
    assert_string_equal(centre.call.number, NUMBERS "00");
    cancel(&campaigner); /* while it is searched for */
    disk_settle(&disk, CG_OK);
    deliver();
    centre_answer(-1);
    run();
    assert_int_equal(centre.sent[0] + centre.sent[1], 0);
    get(id_of_answer, &campaigner);
    assert_int_equal(count_of("cancelled"), 2);
}

/* A job that takes several turns of the loop to be made ready is whole on the disk, or is not there at all. */
static struct jobs_ask *large(void)
{
    struct contacts_wanted w = {contacts_operation(contract), 101, -1, 0};
    struct jobs_ask *question = jobs_ask_new(JOBS_APPEND);
    static struct contacts_error error;
    static char body[8 * LARGE];
    unsigned i;

    snprintf(body, sizeof(body), "skillsetId\n");
    for (i = 0; i < LARGE; ++i)
        memcpy(body + 11 + 2 * i, "1\n", 3);
    question->campaign = 101;
    assert_int_equal(
        contacts_parse(&w, CONTACTS_CSV, body, strlen(body), &question->contacts, &error), CG_OK);
    return question;
}

static void in_several_turns(void **state)
{
    unsigned turns;

    (void)state;
    ask(large(), &campaigner);
    for (turns = 0; disk.first == NULL; ++turns)
        assert_int_equal(mailbox_deliver(&loop.mailbox), 1);
    assert_int_equal(turns, (LARGE - 1) / CG_JOB_ROWS_TURN);
    assert_int_equal(num_answered, 0);
    disk_settle(&disk, CG_OK);
    deliver();
    assert_int_equal(answered->rc, CG_OK);
    assert_int_equal(disk_rows(&disk, DURABLE_JOB_ROWS), LARGE);
    get(take_id(), &campaigner);
    row_at(LARGE - 1);
    ask(large(), &campaigner);
    assert_int_equal(mailbox_deliver(&loop.mailbox), 1);
    jobs_close(all);
    deliver();
    assert_int_equal(answered->rc, CG_E_SHUTDOWN);
    assert_int_equal(all->num_jobs, 1);
    assert_int_equal(all->num_rows, LARGE);
    assert_int_equal(disk_settle(&disk, CG_OK), 0);
}

static void who_sees_what(void **state)
{
    static const struct {
        const struct access *access;
        int sees;
    } cases[] = {{&campaigner, 1}, {&other, 0}, {&subject, 0}, {&op_er, 1}, {&viewer, 0}};
    size_t i;

    (void)state;
    append(0, 1);
    take_id();
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        get(id_of_answer, cases[i].access);
        assert_int_equal(answered->rc, cases[i].sees ? CG_OK : CG_E_NOTFOUND);
        ask(jobs_ask_new(JOBS_LIST), cases[i].access);
        deliver();
        assert_int_equal(json_array_size(json_object_get(answered->answer, "items")),
                         cases[i].sees);
        if (!cases[i].sees) {
            cancel(cases[i].access);
            deliver();
            assert_int_equal(answered->rc, CG_E_NOTFOUND);
        }
    }
    run();
    assert_int_equal(centre.sent[0], 1);
}

static struct jobs_ask *with_key(unsigned first, const char *key, uint8_t request)
{
    struct jobs_ask *question = wanted(first, 1, DUPLICATE_APPEND);
    snprintf(question->key, sizeof(question->key), "%s", key);
    memset(question->request, request, sizeof(question->request));
    return question;
}

static void idempotency(void **state)
{
    char first[JOB_ID_BYTES + 1];

    (void)state;
    ask(with_key(1, "k", 1), &campaigner);
    ask(with_key(1, "k", 1), &campaigner); /* waits for the first */
    assert_int_equal(num_answered, 0);
    disk_settle(&disk, CG_OK);
    deliver();
    assert_int_equal(num_answered, 2);
    memcpy(first, take_id(), sizeof(first));
    ask(with_key(2, "k", 2), &campaigner);
    deliver();
    assert_int_equal(answered->rc, CG_E_INVALID);
    run();
    kill_gateway();
    begin();
    ask(with_key(1, "k", 1), &campaigner);
    deliver();
    assert_int_equal(answered->replayed, 1);
    assert_string_equal(take_id(), first);
    centre.rc_of_campaign = CG_E_NOTFOUND; /* it has closed meanwhile */
    ask(with_key(1, "k", 1), &campaigner);
    deliver();
    assert_int_equal(answered->rc, CG_OK);
    centre.rc_of_campaign = CG_OK;
    ask(with_key(1, "k", 1), &other); /* another's key is another key */
    disk_settle(&disk, CG_OK);
    deliver();
    assert_int_equal(answered->replayed, 0);
    run();
    assert_int_equal(centre.sent[1], 2);
    assert_int_equal(centre.sent[2], 0);
}

static void unknown_campaigns(void **state)
{
    (void)state;
    centre.rc_of_campaign = CG_E_NOTFOUND;
    ask(wanted(0, 1, DUPLICATE_APPEND), &campaigner);
    deliver();
    assert_int_equal(answered->rc, CG_E_NOTFOUND);
    assert_null(disk.first);
    centre.rc_of_campaign = CG_E_REFUSED; /* nobody knows: it waits */
    append(0, 1);
}

static void too_much(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < CG_JOBS_MAX; ++i)
        append(0, 1);
    ask(wanted(0, 1, DUPLICATE_APPEND), &campaigner);
    deliver();
    assert_int_equal(answered->rc, CG_E_LIMIT);
    for (i = 0; i < 30; ++i)
        step();
    assert_true(all->all->ended_ms != 0);
    append(0, 1); /* the oldest has ended, and makes room */
    assert_int_equal(all->num_jobs, CG_JOBS_MAX);
    while (disk_settle(&disk, CG_OK))
        ;
    assert_int_equal(disk_rows(&disk, DURABLE_JOBS), CG_JOBS_MAX);
    assert_int_equal(disk_rows(&disk, DURABLE_JOB_ROWS), CG_JOBS_MAX);
}

static void a_stop_leaves_what_waits(void **state)
{
    (void)state;
    append(0, 3);
    take_id();
    while (centre.call.done == NULL)
        assert_int_equal(
            mailbox_deliver(&loop.mailbox) > 0 || disk_settle(&disk, CG_OK) || centre_turn(), 1);
    jobs_close(all);
    centre_fail(CG_E_SHUTDOWN, 0, OUTBOUND_OTHER, NULL); /* it never left */
    run();
    kill_gateway();
    begin();
    get(id_of_answer, &campaigner);
    assert_int_equal(count_of("waiting"), 3);
    run();
    get(id_of_answer, &campaigner);
    assert_int_equal(count_of("done"), 3);
    assert_int_equal(centre.sent[0], 1);
}

/* The disk may be stopped when nothing is being written: not between a mark and its being taken back. */
static void a_stop_waits_for_the_disk(void **state)
{
    (void)state;
    append(0, 2);
    take_id();
    assert_false(jobs_is_writing(all));
    assert_int_equal(centre_turn(), 1);
    jobs_close(all);
    assert_true(jobs_is_writing(all));
    assert_int_equal(disk_settle(&disk, CG_OK), 1);
    assert_true(jobs_is_writing(all));
    deliver();
    assert_null(centre.call.done);
    assert_true(jobs_is_writing(all));
    assert_int_equal(disk_settle(&disk, CG_OK), 1);
    deliver();
    assert_false(jobs_is_writing(all));
    kill_gateway();
    begin();
    get(id_of_answer, &campaigner);
    assert_int_equal(count_of("waiting"), 2);
}

/* Rows and jobs on the disk that are none. */
static void damage(void **state)
{
    struct durable_batch *batch = durable_batch_new();
    char key[JOB_ID_BYTES + 4];

    (void)state;
    append(0, 3);
    take_id();
    memcpy(key, id_of_answer, JOB_ID_BYTES);
    memcpy(key + JOB_ID_BYTES, "\0\0\0\1", 4);
    durable_delete(batch, DURABLE_JOB_ROWS, key, sizeof(key)); /* one is lost */
    memcpy(key + JOB_ID_BYTES, "\0\0\0\2", 4);
    durable_put(batch, DURABLE_JOB_ROWS, key, sizeof(key), "\0\1sealed", 8);
    memcpy(key + JOB_ID_BYTES, "\0\0\0\3", 4);
    durable_put(batch, DURABLE_JOB_ROWS, key, sizeof(key), "\0\0{}", 4);
    memset(key, 'x', JOB_ID_BYTES);
    durable_put(batch, DURABLE_JOB_ROWS, key, sizeof(key), "\0\0{}", 4);
    durable_put(batch, DURABLE_JOB_ROWS, "short", 5, "", 0);
    durable_put(batch, DURABLE_JOBS, key, JOB_ID_BYTES, "{", 1);
    memset(key, 'y', JOB_ID_BYTES);
    durable_put(batch, DURABLE_JOBS, key, JOB_ID_BYTES, "{\"rows\":99999999}", 17);
    memset(key, 'z', JOB_ID_BYTES);
    durable_put(batch, DURABLE_JOBS, key, JOB_ID_BYTES, "[1]", 3);
    durable_submit(&disk, batch, NULL, NULL, NULL);
    while (disk_settle(&disk, CG_OK))
        ;
    kill_gateway();
    begin();
    run();
    assert_int_equal(disk_rows(&disk, DURABLE_JOBS), 1);
    get(id_of_answer, &campaigner);
    assert_int_equal(count_of("done"), 1);
    assert_int_equal(count_of("unknown"), 2);
    assert_int_equal(centre.calls, 1);
}

/* ---- other work ---- */

static unsigned num_released;

static void on_release(void *data)
{
    ++num_released;
    assert_string_equal(data, "work");
}

static void other_work(void **state)
{
    static char data[] = "work";
    struct job_work work = {.kind = "list",
                            .campaign = 101,
                            .access = &campaigner,
                            .release = on_release,
                            .data = data};
    enum job_state is;
    struct job *job;
    char id[JOB_ID_BYTES + 1];

    (void)state;
    num_released = 0;
    assert_int_equal(job_begin(all, &work, &job), CG_OK);
    memcpy(id, job_id(job), sizeof(id));
    job_advance(job, 200, 1234);
    assert_int_equal(num_told, 1);
    job_advance(job, 400, 1234); /* too soon after */
    assert_int_equal(num_told, 1);
    now_ms += JOB_PROGRESS_MS;
    job_advance(job, 600, 1234);
    assert_int_equal(json_integer_value(json_object_get(last_told, "done")), 600);
    assert_ptr_equal(job_find_work(all, id, "list", &campaigner, &is), data);
    assert_int_equal(is, JOB_RUNNING);
    assert_null(job_find_work(all, id, "append", &campaigner, NULL));
    assert_null(job_find_work(all, id, "list", &other, NULL));
    job_end(job, NULL);
    assert_string_equal(json_string_value(json_object_get(last_told, "state")), "done");
    assert_int_equal(num_released, 0);

    assert_int_equal(job_begin(all, &work, &job), CG_OK);
    memcpy(id_of_answer, job_id(job), sizeof(id_of_answer));
    cancel(&campaigner);
    deliver();
    assert_string_equal(text_of("state"), "cancelled");
    assert_int_equal(num_released, 1);
    assert_null(job_find_work(all, id_of_answer, "list", &campaigner, &is));
    kill_gateway();
    assert_int_equal(num_released, 2);
    begin();
    assert_int_equal(all->num_jobs, 0); /* it was in memory alone */
}

static int setup_all(void **state)
{
    (void)state;
    support_init();
    contract = support_load(CONTRACT_DIRECTORY);
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    contract_free(&contract);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(in_order),
        TEST(marked_before_it_is_sent),
        TEST(killed_at_every_step),
        TEST(killed_before_it_is_written),
        TEST(the_disk_refuses_a_job),
        TEST(the_disk_refuses_a_mark),
        TEST(the_disk_refuses_an_outcome),
        TEST(outcomes),
        TEST(not_for_ever_too_fast),
        TEST(other_results_are_failures),
        TEST(cancelled_at_every_step),
        TEST(the_disk_refuses_to_cancel),
        TEST(duplicates),
        TEST(searching_fails),
        TEST(in_several_turns),
        TEST(who_sees_what),
        TEST(idempotency),
        TEST(unknown_campaigns),
        TEST(too_much),
        TEST(a_stop_leaves_what_waits),
        TEST(a_stop_waits_for_the_disk),
        TEST(damage),
        TEST(other_work),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
