/*
 * How a row is sent, one at a time:
 *
 *   search   where duplicates are not wanted: is the phone number in the campaign already? A read, as often as it takes
 *   turn     one call of append or close a second, in one line with all others who call them
 *   mark     the row is on the disk as being sent, without its personal data
 *   call     once
 *   settle   what became of it is written down, then told
 *
 * What is certain: a fault says that nothing was done, and so does every failure before the request left. Anything else is unknown. A row
 * that was certainly not appended for a reason that passes (no connection, no login, too soon after another) waits again.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/outbound/contacts.h"
#include "gateway/outbound/jobs_private.h"
#include "gateway/rest/body.h"

#define DUPLICATE_NONE (-1) /* operations.md, GetContactIDByPhoneNumber */

static void drop_arguments(struct jobs *jobs)
{
    body_wipe_json(jobs->arguments);
    json_decref(jobs->arguments);
    jobs->arguments = NULL;
}

static void be_idle(struct jobs *jobs)
{
    drop_arguments(jobs);
    jobs->sender = SENDER_IDLE;
}

/* ---- why all wait ---- */

static void hold_because(struct jobs *jobs, enum problem problem, const char *detail)
{
    if (jobs->hold_problem != problem)
        log_write(LOG_LEVEL_WARNING, "outboundQueueHeld", "Contacts that are to be appended wait",
                  LOG_S("problem", problem_rows[problem].slug),
                  LOG_I("waiting", jobs->queue.rows_waiting));
    jobs->hold_problem = problem;
    snprintf(jobs->hold_detail, sizeof(jobs->hold_detail), "%s", detail);
}

static void hold_is_over(struct jobs *jobs)
{
    if (jobs->hold_problem < PROBLEMS)
        log_write(LOG_LEVEL_INFO, "outboundQueueGoesOn", "Contacts are appended again");
    jobs->hold_problem = PROBLEMS;
    jobs->hold_detail[0] = '\0';
}

static void hold_for(struct jobs *jobs, const struct outbound_outcome *outcome)
{
    if (outcome->reason == OUTBOUND_IN_USE)
        hold_because(jobs, PROBLEM_ALREADY_LOGGED_IN, "");
    else
        hold_because(jobs, problem_of_error(outcome->rc), "");
}

/* ---- the end of a row ---- */

static void count(struct jobs *jobs, enum row_state state)
{
    uint64_t *const counters[ROW_STATES] = {[ROW_DONE] = &jobs->stats.appended,
                                            [ROW_FAILED] = &jobs->stats.failed,
                                            [ROW_SKIPPED] = &jobs->stats.skipped,
                                            [ROW_UNKNOWN] = &jobs->stats.unknown,
                                            [ROW_CANCELLED] = &jobs->stats.cancelled};
    ++*counters[state];
}

struct settled {
    struct jobs *jobs;
    char id[JOB_ID_BYTES + 1];
};

/* What is told is on the disk. */
static void on_settled(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct settled *settled = done->data;
    struct job *job = job_find(settled->jobs, settled->id);

    --settled->jobs->writing;
    if (done->rc != CG_OK)
        log_write(LOG_LEVEL_ERROR, "outboundRowNotWritten",
                  "What became of a contact could not be written down; after a restart it would "
                  "be unknown",
                  LOG_S("job", settled->id), LOG_S("reason", cg_error_name(done->rc)));
    if (job != NULL)
        job_tell(settled->jobs, job);
    free(settled);
    free(done);
}

static void write_row(struct jobs *jobs, struct job *job, size_t row)
{
    struct settled *settled = calloc(1, sizeof(*settled));
    struct durable_batch *batch = durable_batch_new();

    if (settled == NULL)
        abort();
    settled->jobs = jobs;
    memcpy(settled->id, job->id, sizeof(settled->id));
    disk_put_row(batch, job, row);
    if (job_follow_rows(jobs, job))
        disk_put_job(batch, job);
    ++jobs->writing;
    durable_submit(jobs->settings.durable, batch, &jobs->settings.loop->mailbox, on_settled,
                   settled);
}

static void settle(struct jobs *jobs, enum row_state state, enum problem problem,
                   const char *detail)
{
    struct job *job = jobs->queue.job;
    size_t row = jobs->queue.row;

    queue_settle(&jobs->queue, state, problem, detail);
    count(jobs, state);
    write_row(jobs, job, row);
}

static void settle_value(struct jobs *jobs, int64_t value)
{
    struct job_row *row = &jobs->queue.job->rows[jobs->queue.row];
    char detail[64];

    row->has_value = 1;
    row->value = value;
    snprintf(detail, sizeof(detail), "the contact centre answered %lld", (long long)value);
    if (value == 1) /* operations.md, AppendContactsToCampaign: anything else is a failure */
        settle(jobs, ROW_DONE, PROBLEMS, NULL);
    else
        settle(jobs, ROW_FAILED, PROBLEM_UPSTREAM_FAULT, detail);
}

/* The contact centre's words, without the row's. */
static void print_fault(const struct jobs *jobs, const struct outbound_outcome *outcome,
                        char detail[CG_JOB_DETAIL_BYTES])
{
    char message[CG_ERROR_TEXT_MAX];

    snprintf(message, sizeof(message), "%s", outcome->fault != NULL ? outcome->fault->message : "");
    contacts_blot(message, jobs->arguments);
    job_copy_text(detail, CG_JOB_DETAIL_BYTES, message);
}

static void settle_fault(struct jobs *jobs, const struct outbound_outcome *outcome)
{
    char detail[CG_JOB_DETAIL_BYTES];

    print_fault(jobs, outcome, detail);
    settle(jobs, ROW_FAILED, PROBLEM_UPSTREAM_FAULT, detail);
}

/* It was certainly not done: on the disk, too, it waits. */
static void put_back(struct jobs *jobs, int64_t retry_after_ms)
{
    struct job *job = jobs->queue.job;
    size_t row = jobs->queue.row;

    if (job->state == JOB_CANCELLED) { /* while it was on its way */
        settle(jobs, ROW_CANCELLED, PROBLEMS, NULL);
        return;
    }
    queue_back(&jobs->queue, jobs->clock_ms(), retry_after_ms);
    write_row(jobs, job, row);
}

static int came_too_soon(struct jobs *jobs, const struct outbound_outcome *outcome)
{
    struct job_row *row = &jobs->queue.job->rows[jobs->queue.row];

    if (outcome->reason != OUTBOUND_TOO_FAST)
        return 0;
    ++jobs->stats.too_fast;
    return ++row->tries < CG_JOB_TRIES_MAX;
}

static void take_outcome(struct jobs *jobs, const struct outbound_outcome *outcome)
{
    int64_t value;

    if (outcome->rc == CG_OK || outcome->rc == CG_E_FAULT)
        hold_is_over(jobs);
    if (outcome->rc == CG_OK && contacts_result(outcome->result, &value) == CG_OK)
        settle_value(jobs, value);
    else if (outcome->rc == CG_OK || outcome->unknown)
        settle(jobs, ROW_UNKNOWN,
               problem_of_error(outcome->rc == CG_OK ? CG_E_PROTOCOL : outcome->rc), NULL);
    else if (outcome->rc == CG_E_INVALID)
        settle(jobs, ROW_FAILED, PROBLEM_BAD_REQUEST, "it does not fit the contract any more");
    else if (came_too_soon(jobs, outcome))
        put_back(jobs, 0);
    else if (outcome->rc == CG_E_FAULT)
        settle_fault(jobs, outcome);
    else {
        put_back(jobs, outcome->retry_after_ms);
        hold_for(jobs, outcome);
    }
}

/* ---- call, mark, turn ---- */

static void on_called(void *data, const struct outbound_outcome *outcome)
{
    struct jobs *jobs = data;

    assert(jobs->sender == SENDER_CALLING);
    take_outcome(jobs, outcome);
    be_idle(jobs);
    outbound_turn_end(jobs->settings.outbound, &jobs->turn);
    jobs_pump(jobs);
}

static void on_marked(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct jobs *jobs = done->data;
    int rc = done->rc;

    free(done);
    --jobs->writing;
    assert(jobs->sender == SENDER_MARKING);
    if (rc == CG_OK && !jobs->closed) {
        jobs->sender = SENDER_CALLING;
        outbound_call(jobs->settings.outbound, jobs->append, jobs->arguments, 1, "", on_called,
                      jobs);
        return;
    }
    if (rc != CG_OK)
        hold_because(jobs, PROBLEM_STORE, "what is sent could not be written down");
    put_back(jobs, 0);
    be_idle(jobs);
    outbound_turn_end(jobs->settings.outbound, &jobs->turn);
    jobs_pump(jobs);
}

/* NULL: it is not to be sent any more. */
static struct job *chosen(const struct jobs *jobs)
{
    struct job *job = job_find(jobs, jobs->sender_job);
    return job != NULL && jobs->sender_row < job->num_rows &&
                   job->rows[jobs->sender_row].state == ROW_WAITING
               ? job
               : NULL;
}

static void on_turn(struct outbound_turn *turn)
{
    struct jobs *jobs = (struct jobs *)((char *)turn - offsetof(struct jobs, turn));
    struct durable_batch *batch;
    struct job *job = chosen(jobs);

    assert(jobs->sender == SENDER_ASKED);
    if (job == NULL) {
        be_idle(jobs);
        outbound_turn_end(jobs->settings.outbound, turn);
        jobs_pump(jobs);
        return;
    }
    queue_begin(&jobs->queue, job, jobs->sender_row);
    job_follow_rows(jobs, job);
    jobs->sender = SENDER_MARKING;
    batch = durable_batch_new();
    disk_put_row(batch, job, jobs->sender_row);
    ++jobs->writing;
    durable_submit(jobs->settings.durable, batch, &jobs->settings.loop->mailbox, on_marked, jobs);
}

static void ask_turn(struct jobs *jobs)
{
    jobs->sender = SENDER_ASKED;
    jobs->turn.on_turn = on_turn;
    outbound_turn_ask(jobs->settings.outbound, &jobs->turn);
}

/* ---- search ---- */

static void settle_duplicate(struct jobs *jobs, struct job *job, int64_t contact)
{
    struct job_row *row = &job->rows[jobs->sender_row];
    enum row_state state = job->on_duplicate == DUPLICATE_SKIP ? ROW_SKIPPED : ROW_FAILED;

    row->has_value = 1;
    row->value = contact;
    queue_settle_row(&jobs->queue, job, jobs->sender_row, state,
                     state == ROW_FAILED ? PROBLEM_DUPLICATE : PROBLEMS, NULL);
    count(jobs, state);
    write_row(jobs, job, jobs->sender_row);
}

static void take_found(struct jobs *jobs, struct job *job, const struct outbound_outcome *outcome)
{
    char detail[CG_JOB_DETAIL_BYTES];
    int64_t contact;

    if (outcome->rc == CG_OK && contacts_result(outcome->result, &contact) == CG_OK) {
        hold_is_over(jobs);
        if (contact == DUPLICATE_NONE)
            jobs->sender_searched = 1;
        else
            settle_duplicate(jobs, job, contact);
    } else if (outcome->rc == CG_E_FAULT && outcome->reason != OUTBOUND_TOO_FAST) {
        print_fault(jobs, outcome, detail);
        queue_settle_row(&jobs->queue, job, jobs->sender_row, ROW_FAILED, PROBLEM_UPSTREAM_FAULT,
                         detail);
        count(jobs, ROW_FAILED);
        write_row(jobs, job, jobs->sender_row);
    } else {
        hold_for(jobs, outcome);
        queue_hold(&jobs->queue, jobs->clock_ms(), outcome->retry_after_ms);
    }
}

static void on_found(void *data, const struct outbound_outcome *outcome)
{
    struct jobs *jobs = data;
    struct job *job = chosen(jobs);

    assert(jobs->sender == SENDER_SEARCHING);
    if (job != NULL && !jobs->closed)
        take_found(jobs, job, outcome);
    if (job != NULL && !jobs->closed && jobs->sender_searched) {
        ask_turn(jobs);
        return;
    }
    be_idle(jobs);
    jobs_pump(jobs);
}

static void search(struct jobs *jobs)
{
    const struct contract_operation *op;
    json_t *wanted = contacts_search(jobs->settings.contract, jobs->arguments, &op);

    if (wanted == NULL) {
        hold_because(jobs, PROBLEM_NOT_IMPLEMENTED,
                     "the contract has no operation to look for duplicates with");
        queue_hold(&jobs->queue, jobs->clock_ms(), 0);
        be_idle(jobs);
        jobs_pump(jobs);
        return;
    }
    jobs->sender = SENDER_SEARCHING;
    outbound_call(jobs->settings.outbound, op, wanted, 0, "", on_found, jobs);
    json_decref(wanted);
}

/* ---- the next one ---- */

static void begin(struct jobs *jobs, struct job *job, size_t row)
{
    memcpy(jobs->sender_job, job->id, sizeof(jobs->sender_job));
    jobs->sender_row = row;
    jobs->sender_searched = 0;
    jobs->arguments = json_loadb(job->rows[row].text, job->rows[row].length, 0, NULL);
    if (jobs->arguments == NULL)
        jobs->arguments = json_object(); /* the contract will refuse it */
    if (job->on_duplicate == DUPLICATE_APPEND)
        ask_turn(jobs);
    else
        search(jobs);
}

void jobs_pump(struct jobs *jobs)
{
    int64_t now_ms = jobs->clock_ms(), due_ms = queue_due_ms(&jobs->queue);
    struct job *job;
    size_t row;

    if (jobs->closed || jobs->sender != SENDER_IDLE || jobs->settings.outbound == NULL ||
        jobs->append == NULL || due_ms == INT64_MAX)
        return;
    if ((job = queue_next(&jobs->queue, now_ms, &row)) != NULL)
        begin(jobs, job, row);
    else
        timer_arm(jobs->settings.loop, &jobs->due, due_ms - now_ms);
}

static void on_due(struct timer *timer)
{
    jobs_pump((struct jobs *)((char *)timer - offsetof(struct jobs, due)));
}

void jobs_send_init(struct jobs *jobs)
{
    jobs->due.on_due = on_due;
}

void jobs_send_close(struct jobs *jobs)
{
    timer_disarm(jobs->settings.loop, &jobs->due);
    if (jobs->sender != SENDER_ASKED)
        return;
    outbound_turn_end(jobs->settings.outbound, &jobs->turn);
    be_idle(jobs);
}
