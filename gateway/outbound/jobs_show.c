/* How jobs look from outside. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/timestamp.h"
#include "gateway/outbound/jobs_private.h"

#define ROW_BYTES_MAX 128
#define PROBLEM_BYTES_MAX                                                                          \
    (512 + 6 * CG_JOB_DETAIL_BYTES) /* a character may become an escape of six */

static json_t *time_of(int64_t steady_ms)
{
    char text[TIMESTAMP_BYTES];

    if (steady_ms == 0)
        return json_null();
    timestamp_print(text, clock_told_ms(steady_ms));
    return json_string(text);
}

static char *put_problem(char *at, const struct job_row *row)
{
    json_t *json = problem_json(row->problem, row->detail);
    char *text;
    size_t length;

    if (json != NULL && row->state == ROW_UNKNOWN)
        json_object_set_new(json, "outcome", json_string("unknown"));
    if ((text = json_dumps(json, JSON_COMPACT)) == NULL)
        abort();
    length = strlen(text);
    assert(length <= PROBLEM_BYTES_MAX);
    memcpy(at, ",\"problem\":", 11);
    memcpy(at + 11, text, length);
    free(text);
    json_decref(json);
    return at + 11 + length;
}

/* Without objects: there may be thousands, and the owner has more to do. At most ROW_BYTES_MAX, and PROBLEM_BYTES_MAX. */
static char *put_row(char *at, const struct job_row *row, size_t number)
{
    at += snprintf(at, ROW_BYTES_MAX, "%s{\"row\":%zu,\"state\":\"%s\"", number > 1 ? "," : "",
                   number, row_state_names[row->state]);
    if (row->has_value)
        at += snprintf(at, ROW_BYTES_MAX / 2, ",\"value\":%" PRId64, row->value);
    if (row->problem < PROBLEMS)
        at = put_problem(at, row);
    *at++ = '}';
    return at;
}

char *job_print_rows(const struct job *job)
{
    size_t size = 3, i;
    char *text, *at;

    if (job_is_work(job))
        return NULL;
    for (i = 0; i < job->num_rows; ++i)
        size += ROW_BYTES_MAX + (job->rows[i].problem < PROBLEMS ? PROBLEM_BYTES_MAX : 0);
    if ((text = at = malloc(size)) == NULL)
        abort();
    *at++ = '[';
    for (i = 0; i < job->num_rows; ++i)
        at = put_row(at, &job->rows[i], i + 1);
    *at++ = ']';
    *at = '\0';
    return text;
}

static void describe_counts(const struct job *job, json_t *json)
{
    unsigned i;

    json_object_set_new(json, "total", json_integer((json_int_t)job->num_rows));
    for (i = 0; i < ROW_STATES; ++i)
        json_object_set_new(json, row_state_names[i], json_integer((json_int_t)job->counts[i]));
}

json_t *job_describe(const struct job *job)
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
    json_t *json = job_describe(job);
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
            json_array_insert_new(items, 0, job_describe(job));
    return json_pack("{s:o, s:o}", "items", items, "queue", describe_queue(jobs));
}
