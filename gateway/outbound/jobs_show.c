/* How jobs look from outside. */
#include <stdlib.h>

#include "cctgate/error.h"
#include "cctgate/timestamp.h"
#include "gateway/outbound/jobs_private.h"

static json_t *time_of(int64_t unix_ms)
{
    char text[TIMESTAMP_BYTES];

    if (unix_ms == 0)
        return json_null();
    timestamp_print(text, unix_ms);
    return json_string(text);
}

static json_t *describe_row(const struct job_row *row, size_t number)
{
    json_t *json =
        json_pack("{s:I, s:s}", "row", (json_int_t)number, "state", row_state_names[row->state]);

    if (row->has_value)
        json_object_set_new(json, "value", json_integer((json_int_t)row->value));
    if (row->problem < PROBLEMS)
        json_object_set_new(json, "problem", problem_json(row->problem, row->detail));
    if (row->state == ROW_UNKNOWN)
        json_object_set_new(json_object_get(json, "problem"), "outcome", json_string("unknown"));
    return json;
}

static json_t *describe_rows(const struct job *job)
{
    json_t *rows = json_array();
    size_t i;

    for (i = 0; i < job->num_rows; ++i)
        json_array_append_new(rows, describe_row(&job->rows[i], i + 1));
    return rows;
}

static void describe_counts(const struct job *job, json_t *json)
{
    unsigned i;

    json_object_set_new(json, "total", json_integer((json_int_t)job->num_rows));
    for (i = 0; i < ROW_STATES; ++i)
        json_object_set_new(json, row_state_names[i], json_integer((json_int_t)job->counts[i]));
}

json_t *job_describe(const struct job *job, int with_rows)
{
    json_t *json = json_pack("{s:s, s:s, s:I, s:s, s:o, s:o, s:s}", "id", job->id, "kind",
                             job->kind, "campaign", (json_int_t)job->campaign, "state",
                             job_state_names[job->state], "createdAt", time_of(job->created_ms),
                             "endedAt", time_of(job->ended_ms), "application", job->application);

    if (json == NULL)
        abort();
    if (!job_is_work(job)) {
        describe_counts(job, json);
    } else {
        json_object_set_new(json, "total",
                            job->work_total != 0 ? json_integer((json_int_t)job->work_total)
                                                 : json_null());
        json_object_set_new(json, "done", json_integer((json_int_t)job->work_done));
        json_object_set_new(json, "failed", json_integer(job->state == JOB_FAILED));
        if (job->state == JOB_DONE)
            json_object_set_new(json, "contacts",
                                json_sprintf("/v1/outbound/jobs/%s/contacts", job->id));
        if (job->problem != NULL)
            json_object_set_new(json, "problem", json_deep_copy(job->problem));
    }
    if (with_rows)
        json_object_set_new(json, "rows", describe_rows(job));
    return json;
}

/* Why all wait that waits. */
static void describe_hold(const struct jobs *jobs, json_t *json)
{
    if (jobs->settings.outbound == NULL)
        json_object_set_new(json, "waitsFor",
                            problem_json(PROBLEM_NOT_IMPLEMENTED, "outbound is not configured"));
    else if (jobs->hold_problem < PROBLEMS)
        json_object_set_new(json, "waitsFor", problem_json(jobs->hold_problem, jobs->hold_detail));
}

json_t *jobs_describe_one(const struct jobs *jobs, const struct job *job)
{
    json_t *json = job_describe(job, 1);
    if (job->counts[ROW_WAITING] > 0)
        describe_hold(jobs, json);
    return json;
}

static json_t *describe_queue(const struct jobs *jobs)
{
    struct outbound_stats outbound = {.turns_waiting = 0};
    json_t *json;

    if (jobs->settings.outbound != NULL)
        outbound_get_stats(jobs->settings.outbound, &outbound);
    json = json_pack("{s:I, s:I, s:I}", "contactsWaiting", (json_int_t)jobs->queue.rows_waiting,
                     "contactsSending", (json_int_t)(jobs->queue.job != NULL), "turnsWaiting",
                     (json_int_t)outbound.turns_waiting);
    if (jobs->queue.rows_waiting > 0)
        describe_hold(jobs, json);
    return json;
}

/* The newest first. */
json_t *jobs_describe_all(const struct jobs *jobs, const struct access *access)
{
    json_t *items = json_array();
    const struct job *job;

    for (job = jobs->all; job != NULL; job = job->hh.next)
        if (job_is_visible(job, access) && (job_is_work(job) || job->is_written))
            json_array_insert_new(items, 0, job_describe(job, 0));
    return json_pack("{s:o, s:o}", "items", items, "queue", describe_queue(jobs));
}
