/*
 * Jobs with a disk that commits when the test says so, a contact centre that answers when the test says so, and a clock that the test
 * moves: killed at every step, refused by the disk, cancelled at every step, and what clients are told.
 */
#include "contract_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/outbound/contacts.h"
#include "gateway/outbound/jobs_private.h"

#define LARGE (2 * CG_JOB_ROWS_TURN + 1)

/* ---- the disk ---- */

struct row {
    struct row *next;
    enum durable_table table;
    size_t key_length, length;
    char key[64];
    char *value; /* NULL in a batch: it is deleted */
};

struct durable_batch {
    struct durable_batch *next;
    struct row *first, **last;
    struct mailbox *reply_to;
    void (*on_done)(struct message *message);
    void *data;
    size_t audited;
};

struct durable {
    struct row *rows;
    struct durable_batch *first, **last;
    size_t audited;
};

static struct durable disk;

struct durable_batch *durable_batch_new(void)
{
    struct durable_batch *batch = calloc(1, sizeof(*batch));
    assert_non_null(batch);
    batch->last = &batch->first;
    return batch;
}

static void free_rows(struct row *row)
{
    struct row *next;
    for (; row != NULL; row = next) {
        next = row->next;
        free(row->value);
        free(row);
    }
}

void durable_batch_free(struct durable_batch **batch)
{
    free_rows((*batch)->first);
    free(*batch);
    *batch = NULL;
}

static struct row *add_change(struct durable_batch *batch, enum durable_table table,
                              const void *key, size_t key_length)
{
    struct row *row = calloc(1, sizeof(*row));

    assert_non_null(row);
    assert_in_range(key_length, 1, sizeof(row->key));
    row->table = table;
    row->key_length = key_length;
    memcpy(row->key, key, key_length);
    *batch->last = row;
    batch->last = &row->next;
    return row;
}

void durable_put(struct durable_batch *batch, enum durable_table table, const void *key,
                 size_t key_length, const void *value, size_t length)
{
    struct row *row = add_change(batch, table, key, key_length);
    row->value = malloc(length + 1);
    assert_non_null(row->value);
    memcpy(row->value, value, length);
    row->value[length] = '\0';
    row->length = length;
}

void durable_delete(struct durable_batch *batch, enum durable_table table, const void *key,
                    size_t key_length)
{
    add_change(batch, table, key, key_length);
}

void durable_append(struct durable_batch *batch, json_t *entry)
{
    ++batch->audited;
    json_decref(entry);
}

int durable_batch_is_empty(const struct durable_batch *batch)
{
    return batch->first == NULL && batch->audited == 0;
}

void durable_submit(struct durable *durable, struct durable_batch *batch, struct mailbox *reply_to,
                    void (*on_done)(struct message *message), void *data)
{
    batch->reply_to = reply_to;
    batch->on_done = on_done;
    batch->data = data;
    *durable->last = batch;
    durable->last = &batch->next;
}

int durable_walk(struct durable *durable, enum durable_table table,
                 int (*on_row)(void *data, const void *key, size_t key_length, const void *value,
                               size_t length),
                 void *data)
{
    const struct row *row;
    for (row = durable->rows; row != NULL; row = row->next)
        if (row->table == table &&
            on_row(data, row->key, row->key_length, row->value, row->length) != 0)
            break;
    return CG_OK;
}

static struct row **disk_find(const struct row *like)
{
    struct row **link = &disk.rows;
    while (*link != NULL &&
           ((*link)->table != like->table || (*link)->key_length != like->key_length ||
            memcmp((*link)->key, like->key, like->key_length) != 0))
        link = &(*link)->next;
    return link;
}

static void disk_apply(struct row *change)
{
    struct row **link = disk_find(change), *old = *link;

    if (old != NULL) {
        *link = old->next;
        free(old->value);
        free(old);
    }
    if (change->value == NULL) {
        free(change);
        return;
    }
    change->next = NULL;
    *disk_find(change) = change;
}

/* The oldest batch ends; 0: there is none. */
static int disk_step(int rc)
{
    struct durable_batch *batch = disk.first;
    struct row *change, *next;

    if (batch == NULL)
        return 0;
    if ((disk.first = batch->next) == NULL)
        disk.last = &disk.first;
    for (change = rc == CG_OK ? batch->first : NULL; change != NULL; change = next) {
        next = change->next;
        disk_apply(change);
    }
    if (rc == CG_OK) {
        disk.audited += batch->audited;
        batch->first = NULL;
    }
    if (batch->on_done != NULL) {
        struct durable_done *done = calloc(1, sizeof(*done));
        assert_non_null(done);
        done->message.on_deliver = batch->on_done;
        done->rc = rc;
        done->data = batch->data;
        mailbox_send(batch->reply_to, &done->message);
    }
    durable_batch_free(&batch);
    return 1;
}

static int disk_holds(const char *text)
{
    const struct row *row;
    for (row = disk.rows; row != NULL; row = row->next)
        if (memmem(row->value, row->length, text, strlen(text)) != NULL)
            return 1;
    return 0;
}

static size_t disk_count(enum durable_table table)
{
    const struct row *row;
    size_t count = 0;
    for (row = disk.rows; row != NULL; row = row->next)
        count += row->table == table;
    return count;
}

/* ---- the contact centre ---- */

struct call {
    const struct contract_operation *op;
    char number[32];
    outbound_done done;
    void *data;
};

struct outbound {
    struct outbound_turn *turn;
    struct call call;   /* done NULL: there is none */
    unsigned sent[100]; /* appends, by the number's last digits */
    unsigned calls;
    int rc_of_campaign;
};

static struct outbound centre;
static struct contract *contract;

int outbound_has_member(const struct contract_operation *op, const char *member)
{
    const char *name;
    size_t i;
    for (i = 0; (name = contract_input_member(op, i)) != NULL; ++i)
        if (strcmp(name, member) == 0)
            return 1;
    return 0;
}

static int is_append(const struct contract_operation *op)
{
    return strcmp(op->name, "AppendContactsToCampaign") == 0;
}

void outbound_call(struct outbound *outbound, const struct contract_operation *op,
                   json_t *arguments, int command, const char *traceparent, outbound_done done,
                   void *data)
{
    const json_t *phone =
        is_append(op) ? json_object_get(json_object_get(arguments, "contact"), "PhoneNumber")
                      : json_object_get(arguments, "phoneNumber");

    (void)traceparent;
    assert_null(outbound->call.done);
    assert_int_equal(command, is_append(op));
    if (is_append(op))
        assert_ptr_equal(outbound->turn, NULL); /* it was taken */
    outbound->call = (struct call){.op = op, .done = done, .data = data};
    snprintf(outbound->call.number, sizeof(outbound->call.number), "%s",
             json_string_value(json_object_get(phone, "PhoneNo")));
    ++outbound->calls;
}

void outbound_turn_ask(struct outbound *outbound, struct outbound_turn *turn)
{
    assert_null(outbound->turn);
    turn->state = TURN_WAITS;
    outbound->turn = turn;
}

void outbound_turn_end(struct outbound *outbound, struct outbound_turn *turn)
{
    if (outbound->turn == turn)
        outbound->turn = NULL;
    turn->state = TURN_NONE;
}

void outbound_campaign(struct outbound *outbound, int64_t id, int anew, outbound_campaign_done done,
                       void *data)
{
    struct outbound_outcome outcome = {.rc = outbound->rc_of_campaign};
    (void)id;
    (void)anew;
    done(data, NULL, &outcome);
}

void outbound_get_stats(const struct outbound *outbound, struct outbound_stats *stats)
{
    memset(stats, 0, sizeof(*stats));
    stats->turns_waiting = outbound->turn != NULL;
}

static int centre_turn(void)
{
    struct outbound_turn *turn = centre.turn;

    if (turn == NULL)
        return 0;
    centre.turn = NULL;
    turn->state = TURN_TAKEN;
    turn->on_turn(turn);
    return 1;
}

static void answer(const struct outbound_outcome *outcome)
{
    struct call call = centre.call;

    assert_non_null(call.done);
    memset(&centre.call, 0, sizeof(centre.call));
    call.done(call.data, outcome);
}

/* As if the request had been sent, and the answer came. */
static int centre_answer(int64_t value)
{
    struct outbound_outcome outcome = {.rc = CG_OK, .op = centre.call.op};
    const char *number = centre.call.number;

    if (centre.call.done == NULL)
        return 0;
    if (is_append(centre.call.op))
        ++centre.sent[(number[3] - '0') * 10 + number[4] - '0'];
    outcome.result = json_pack("{s:I}", "value", (json_int_t)value);
    answer(&outcome);
    json_decref(outcome.result);
    return 1;
}

static void centre_fail(int rc, int unknown, enum outbound_reason reason, const char *message)
{
    static struct codec_fault fault;
    struct outbound_outcome outcome = {.rc = rc, .reason = reason, .unknown = unknown};

    snprintf(fault.message, sizeof(fault.message), "%s", message != NULL ? message : "");
    if (rc == CG_E_FAULT)
        outcome.fault = &fault;
    answer(&outcome);
}

/* ---- the gateway ---- */

static struct loop loop;
static struct jobs *all;
static int64_t now_ms;
static size_t num_told;
static json_t *last_told, *rows;
static struct jobs_ask *answered;
static unsigned num_answered;

static int64_t test_clock(void)
{
    return now_ms;
}

static void on_progress(void *data, const struct job_progress *progress)
{
    (void)data;
    ++num_told;
    json_decref(last_told);
    last_told = progress->data;
}

static void begin(void)
{
    struct jobs_settings settings = {.loop = &loop,
                                     .contract = contract,
                                     .durable = &disk,
                                     .outbound = &centre,
                                     .on_progress = on_progress};

    assert_int_equal(loop_init(&loop), CG_OK);
    assert_int_equal(jobs_new(&all, &settings), CG_OK);
    all->clock_ms = test_clock;
}

/* The process is gone: what was not committed never happened. */
static void kill_gateway(void)
{
    struct durable_batch *batch;

    while ((batch = disk.first) != NULL) {
        disk.first = batch->next;
        if (batch->on_done != NULL)
            free(batch->data != all ? batch->data : NULL);
        durable_batch_free(&batch);
    }
    disk.last = &disk.first;
    while (loop.mailbox.first != NULL) {
        struct durable_done *done = (struct durable_done *)loop.mailbox.first;
        loop.mailbox.first = done->message.next;
        if (done->data != all)
            free(done->data);
        free(done);
    }
    loop.mailbox.last = &loop.mailbox.first;
    centre.turn = NULL;
    memset(&centre.call, 0, sizeof(centre.call));
    jobs_free(&all);
    loop_release(&loop);
}

static int setup(void **state)
{
    (void)state;
    memset(&disk, 0, sizeof(disk));
    disk.last = &disk.first;
    memset(&centre, 0, sizeof(centre));
    now_ms = 1000;
    num_told = num_answered = 0;
    begin();
    assert_int_equal(disk_step(CG_OK), 1); /* its secret */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (all != NULL)
        kill_gateway();
    free_rows(disk.rows);
    jobs_ask_free(&answered);
    json_decref(last_told);
    json_decref(rows);
    last_told = rows = NULL;
    return 0;
}

/* ---- clients ---- */

static const struct access campaigner = {.application = "one", .roles = ROLE_CAMPAIGNER},
                           other = {.application = "two", .roles = ROLE_CAMPAIGNER},
                           subject = {.application = "one",
                                      .subject = "ann",
                                      .roles = ROLE_CAMPAIGNER},
                           op_er = {.application = "ops", .roles = ROLE_OPERATOR},
                           viewer = {.application = "one", .roles = ROLE_VIEWER};

static void on_answer(struct message *message)
{
    jobs_ask_free(&answered);
    answered = (struct jobs_ask *)message;
    ++num_answered;
}

static void ask(struct jobs_ask *question, const struct access *access)
{
    question->access = access;
    question->reply_to = &loop.mailbox;
    question->on_reply = on_answer;
    jobs_run(all, question);
}

/* Contacts with the numbers 555 00, 555 01, ... */
static struct jobs_ask *wanted(unsigned first, unsigned count, enum on_duplicate on_duplicate)
{
    struct contacts_wanted w = {contacts_operation(contract), 101, -1, 0};
    struct jobs_ask *question = jobs_ask_new(JOBS_APPEND);
    static struct contacts_error error;
    char body[4096] = "skillsetId,phoneNumber.phoneNo\n";
    unsigned i;

    for (i = 0; i < count; ++i)
        snprintf(body + strlen(body), sizeof(body) - strlen(body), "1,555%02u\n", first + i);
    question->campaign = 101;
    question->on_duplicate = on_duplicate;
    assert_int_equal(
        contacts_parse(&w, CONTACTS_CSV, body, strlen(body), &question->contacts, &error), CG_OK);
    return question;
}

static void deliver(void)
{
    while (mailbox_deliver(&loop.mailbox) > 0)
        ;
}

/* Everything that can happen next, one thing of it; 0: nothing. */
static int step(void)
{
    if (mailbox_deliver(&loop.mailbox) > 0 || disk_step(CG_OK) || centre_answer(1) || centre_turn())
        return 1;
    if (queue_due_ms(&all->queue) == INT64_MAX || all->sender != SENDER_IDLE || all->closed)
        return 0;
    now_ms = queue_due_ms(&all->queue);
    jobs_pump(all);
    return 1;
}

static void run(void)
{
    while (step())
        ;
}

static void append(unsigned first, unsigned count)
{
    unsigned before = num_answered;

    ask(wanted(first, count, DUPLICATE_APPEND), &campaigner);
    while (num_answered == before) {
        assert_int_equal(disk_step(CG_OK), 1);
        deliver();
    }
    assert_int_equal(answered->rc, CG_OK);
}

static const char *text_of(const char *name)
{
    return json_string_value(json_object_get(answered->answer, name));
}

static json_int_t count_of(const char *name)
{
    return json_integer_value(json_object_get(answered->answer, name));
}

/* The row of the last answer; until the next one. */
static const json_t *row_at(size_t index)
{
    json_decref(rows);
    rows = json_loads(answered->rows, 0, NULL);
    assert_non_null(json_array_get(rows, index));
    return json_array_get(rows, index);
}

static char id_of_answer[JOB_ID_BYTES + 1];

static void get(const char *id, const struct access *access)
{
    struct jobs_ask *question = jobs_ask_new(JOBS_GET);
    memcpy(question->id, id, sizeof(question->id));
    ask(question, access);
    deliver();
}

static const char *take_id(void)
{
    snprintf(id_of_answer, sizeof(id_of_answer), "%s", text_of("id"));
    return id_of_answer;
}

/* ---- tests ---- */

static void in_order(void **state)
{
    unsigned i;

    (void)state;
    append(0, 5);
    take_id();
    assert_string_equal(text_of("state"), "waiting");
    assert_int_equal(disk_count(DURABLE_JOBS), 1);
    assert_int_equal(disk_count(DURABLE_JOB_ROWS), 5);
    assert_true(disk_holds("55504"));
    run();
    get(id_of_answer, &campaigner);
    assert_string_equal(text_of("state"), "done");
    assert_int_equal(count_of("done"), 5);
    for (i = 0; i < 5; ++i)
        assert_int_equal(centre.sent[i], 1);
    assert_false(disk_holds("555"));
    assert_int_equal(disk.audited, 1);
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
    assert_true(disk_holds("55500"));
    assert_int_equal(disk_step(CG_OK), 1);
    assert_false(disk_holds("55500"));
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
        assert_false(disk_holds("555"));
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
    disk_step(CG_E_FULL);
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
    disk_step(CG_E_FULL);
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
    disk_step(CG_OK);
    deliver();
    centre_answer(1);
    disk_step(CG_E_IO);
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
            assert_int_equal(
                mailbox_deliver(&loop.mailbox) > 0 || disk_step(CG_OK) || centre_turn(), 1);
        centre_fail(c->rc, c->unknown, c->reason, "number 55507 is not good");
        while (disk_step(CG_OK))
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
                "number ***** is not good");
        assert_int_equal(disk_holds("55507"), c->state == ROW_WAITING);
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
        assert_int_equal(mailbox_deliver(&loop.mailbox) > 0 || disk_step(CG_OK) || centre_turn(),
                         1);
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
        assert_false(disk_holds("555"));
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
    disk_step(CG_E_FULL);
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
    disk_step(CG_OK);
    deliver();
    take_id();
    assert_string_equal(centre.call.op->name, "GetContactIDByPhoneNumber");
    assert_string_equal(centre.call.number, "55500");
    centre_answer(4711);
    while (centre.call.done == NULL)
        assert_int_equal(disk_step(CG_OK) || mailbox_deliver(&loop.mailbox) > 0, 1);
    assert_string_equal(centre.call.number, "55501");
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
    disk_step(CG_OK);
    deliver();
    take_id();
    centre_answer(4711);
    run();
    get(id_of_answer, &campaigner);
    assert_int_equal(count_of("failed"), 1);
    row = row_at(0);
    assert_string_equal(json_string_value(json_object_get(json_object_get(row, "problem"), "type")),
                        "/problems/duplicate");
    assert_false(disk_holds("555"));
}

/* What cannot be searched for is not sent. */
static void searching_fails(void **state)
{
    (void)state;
    ask(wanted(0, 2, DUPLICATE_SKIP), &campaigner);
    disk_step(CG_OK);
    deliver();
    take_id();
    centre_fail(CG_E_TIMEOUT, 1, OUTBOUND_OTHER, NULL);
    assert_int_equal(all->queue.rows_waiting, 2);
    now_ms = queue_due_ms(&all->queue);
    jobs_pump(all);
    assert_string_equal(centre.call.number, "55500");
    cancel(&campaigner); /* while it is searched for */
    disk_step(CG_OK);
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
    disk_step(CG_OK);
    deliver();
    assert_int_equal(answered->rc, CG_OK);
    assert_int_equal(disk_count(DURABLE_JOB_ROWS), LARGE);
    get(take_id(), &campaigner);
    row_at(LARGE - 1);
    ask(large(), &campaigner);
    assert_int_equal(mailbox_deliver(&loop.mailbox), 1);
    jobs_close(all);
    deliver();
    assert_int_equal(answered->rc, CG_E_SHUTDOWN);
    assert_int_equal(all->num_jobs, 1);
    assert_int_equal(all->num_rows, LARGE);
    assert_int_equal(disk_step(CG_OK), 0);
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
    disk_step(CG_OK);
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
    disk_step(CG_OK);
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
    while (disk_step(CG_OK))
        ;
    assert_int_equal(disk_count(DURABLE_JOBS), CG_JOBS_MAX);
    assert_int_equal(disk_count(DURABLE_JOB_ROWS), CG_JOBS_MAX);
}

static void a_stop_leaves_what_waits(void **state)
{
    (void)state;
    append(0, 3);
    take_id();
    while (centre.call.done == NULL)
        assert_int_equal(mailbox_deliver(&loop.mailbox) > 0 || disk_step(CG_OK) || centre_turn(),
                         1);
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
    while (disk_step(CG_OK))
        ;
    kill_gateway();
    begin();
    run();
    assert_int_equal(disk_count(DURABLE_JOBS), 1);
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
        TEST(damage),
        TEST(other_work),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
