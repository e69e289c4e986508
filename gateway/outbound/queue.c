#include "gateway/outbound/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *const row_state_names[ROW_STATES] = {
    [ROW_WAITING] = "waiting",    [ROW_SENDING] = "sending", [ROW_DONE] = "done",
    [ROW_FAILED] = "failed",      [ROW_SKIPPED] = "skipped", [ROW_UNKNOWN] = "unknown",
    [ROW_CANCELLED] = "cancelled"};

/* ---- the ring ---- */

static void join(struct queue *queue, struct job *job)
{
    if (job->turn_after != NULL || job->counts[ROW_WAITING] == 0)
        return;
    if (queue->turn == NULL) {
        queue->turn = job->turn_before = job->turn_after = job;
        return;
    }
    job->turn_after = queue->turn;
    job->turn_before = queue->turn->turn_before;
    job->turn_before->turn_after = job->turn_after->turn_before = job;
}

static void leave(struct queue *queue, struct job *job)
{
    if (job->turn_after == NULL)
        return;
    if (queue->turn == job)
        queue->turn = job->turn_after != job ? job->turn_after : NULL;
    job->turn_before->turn_after = job->turn_after;
    job->turn_after->turn_before = job->turn_before;
    job->turn_before = job->turn_after = NULL;
}

/* ---- rows ---- */

static void set_state(struct queue *queue, struct job *job, size_t index, enum row_state state)
{
    struct job_row *row = &job->rows[index];

    if (row->state == ROW_WAITING) {
        --queue->rows_waiting;
        queue->waiting_bytes -= row->length;
        job->waiting_bytes -= row->length;
    }
    --job->counts[row->state];
    row->state = state;
    ++job->counts[state];
    if (state == ROW_WAITING) {
        ++queue->rows_waiting;
        queue->waiting_bytes += row->length;
        job->waiting_bytes += row->length;
        if (index < job->next)
            job->next = index;
    }
    if (job->counts[ROW_WAITING] > 0)
        join(queue, job);
    else
        leave(queue, job);
}

static void drop_text(struct job_row *row)
{
    if (row->text != NULL)
        explicit_bzero(row->text, row->length);
    free(row->text);
    row->text = NULL;
}

static void end_row(struct queue *queue, struct job *job, size_t index, enum row_state state,
                    enum problem problem, const char *detail)
{
    struct job_row *row = &job->rows[index];

    assert(state > ROW_SENDING);
    set_state(queue, job, index, state);
    drop_text(row);
    row->problem = problem;
    if (detail != NULL && (row->detail = strdup(detail)) == NULL)
        abort();
}

static size_t first_waiting(const struct job *job)
{
    size_t i = job->next;
    while (i < job->num_rows && job->rows[i].state != ROW_WAITING)
        ++i;
    return i;
}

void queue_add(struct queue *queue, struct job *job)
{
    queue->rows_waiting += job->counts[ROW_WAITING];
    queue->waiting_bytes += job->waiting_bytes;
    join(queue, job);
}

int64_t queue_due_ms(const struct queue *queue)
{
    return queue->turn != NULL && queue->job == NULL ? queue->not_before_ms : INT64_MAX;
}

struct job *queue_next(const struct queue *queue, int64_t now_ms, size_t *row)
{
    if (queue_due_ms(queue) > now_ms)
        return NULL;
    queue->turn->next = *row = first_waiting(queue->turn);
    assert(*row < queue->turn->num_rows);
    return queue->turn;
}

void queue_begin(struct queue *queue, struct job *job, size_t row)
{
    assert(queue->job == NULL && job->rows[row].state == ROW_WAITING);
    queue->job = job;
    queue->row = row;
    if (queue->turn == job)
        queue->turn = job->turn_after;
    set_state(queue, job, row, ROW_SENDING);
}

void queue_hold(struct queue *queue, int64_t now_ms, int64_t retry_after_ms)
{
    int64_t delay = QUEUE_HOLD_MS << (queue->holds < 8 ? queue->holds : 8);

    ++queue->holds;
    if (retry_after_ms > 0)
        delay = retry_after_ms;
    if (delay > QUEUE_HOLD_MAX_MS)
        delay = QUEUE_HOLD_MAX_MS;
    queue->not_before_ms = now_ms + delay;
}

void queue_back(struct queue *queue, int64_t now_ms, int64_t retry_after_ms)
{
    struct job *job = queue->job;

    queue->job = NULL;
    set_state(queue, job, queue->row, ROW_WAITING);
    queue_hold(queue, now_ms, retry_after_ms);
}

void queue_settle(struct queue *queue, enum row_state state, enum problem problem,
                  const char *detail)
{
    struct job *job = queue->job;

    queue->job = NULL;
    queue->holds = 0;
    end_row(queue, job, queue->row, state, problem, detail);
}

void queue_settle_row(struct queue *queue, struct job *job, size_t row, enum row_state state,
                      enum problem problem, const char *detail)
{
    assert(job->rows[row].state == ROW_WAITING);
    if (queue->turn == job)
        queue->turn = job->turn_after;
    end_row(queue, job, row, state, problem, detail);
}

size_t queue_cancel(struct queue *queue, struct job *job)
{
    size_t i, count = 0;

    for (i = job->next; i < job->num_rows; ++i)
        if (job->rows[i].state == ROW_WAITING) {
            set_state(queue, job, i, ROW_CANCELLED);
            ++count;
        }
    return count;
}

void queue_restore(struct queue *queue, struct job *job)
{
    size_t i;
    for (i = 0; i < job->num_rows; ++i)
        if (job->rows[i].state == ROW_CANCELLED && job->rows[i].text != NULL)
            set_state(queue, job, i, ROW_WAITING);
}

void queue_drop_texts(struct job *job)
{
    size_t i;
    for (i = 0; i < job->num_rows; ++i)
        if (job->rows[i].state == ROW_CANCELLED)
            drop_text(&job->rows[i]);
}

int job_is_settled(const struct job *job)
{
    return job->counts[ROW_WAITING] + job->counts[ROW_SENDING] == 0;
}

void job_rows_free(struct job *job)
{
    size_t i;
    for (i = 0; i < job->num_rows; ++i) {
        drop_text(&job->rows[i]);
        free(job->rows[i].detail);
    }
    free(job->rows);
    job->rows = NULL;
    job->num_rows = 0;
}
