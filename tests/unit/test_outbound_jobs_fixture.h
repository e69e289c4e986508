/*
 * What the tests of jobs share: a disk that commits when the test says so, a contact centre that answers when the test says so, a clock that
 * the test moves, and clients that keep what they were answered.
 */
#ifndef CCTGATE_TEST_OUTBOUND_JOBS_FIXTURE_H
#define CCTGATE_TEST_OUTBOUND_JOBS_FIXTURE_H

#include "contract_support.h"
#include "test_disk_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/outbound/contacts.h"
#include "gateway/outbound/jobs_private.h"

/* Of the contacts: too long for a time or an identifier to contain it by chance. */
#define NUMBERS "+35391555"
#define LARGE   (2 * CG_JOB_ROWS_TURN + 1)

/* ---- the disk ---- */

static struct durable disk;

static int disk_holds(const char *text)
{
    const struct row *row;
    for (row = disk.rows; row != NULL; row = row->next)
        if (memmem(row->value, row->length, text, strlen(text)) != NULL)
            return 1;
    return 0;
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
        ++centre.sent[strtoul(number + strlen(number) - 2, NULL, 10)];
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
    disk_init(&disk);
    memset(&centre, 0, sizeof(centre));
    now_ms = 1000;
    num_told = num_answered = 0;
    begin();
    assert_int_equal(disk_settle(&disk, CG_OK), 1); /* its secret */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (all != NULL)
        kill_gateway();
    disk_release(&disk);
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

/* Contacts with the numbers NUMBERS 00, NUMBERS 01, ... */
static struct jobs_ask *wanted(unsigned first, unsigned count, enum on_duplicate on_duplicate)
{
    struct contacts_wanted w = {contacts_operation(contract), 101, -1, 0};
    struct jobs_ask *question = jobs_ask_new(JOBS_APPEND);
    static struct contacts_error error;
    char body[4096] = "skillsetId,phoneNumber.phoneNo\n";
    unsigned i;

    for (i = 0; i < count; ++i)
        snprintf(body + strlen(body), sizeof(body) - strlen(body), "1," NUMBERS "%02u\n",
                 first + i);
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
    if (mailbox_deliver(&loop.mailbox) > 0 || disk_settle(&disk, CG_OK) || centre_answer(1) ||
        centre_turn())
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
        assert_int_equal(disk_settle(&disk, CG_OK), 1);
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

#endif
