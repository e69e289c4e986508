#include "cctgate/jobs.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "cctgate/error.h"
#include "cctgate/timestamp.h"
#include "gateway/outbound/contacts.h"
#include "gateway/outbound/jobs_private.h"

#define KEEP_MS  (24 * 3600 * 1000LL) /* a job that has ended is shown so long */
#define SWEEP_MS 60000

const char *const job_state_names[] = {[JOB_WAITING] = "waiting",
                                       [JOB_RUNNING] = "running",
                                       [JOB_DONE] = "done",
                                       [JOB_FAILED] = "failed",
                                       [JOB_CANCELLED] = "cancelled"};
static const char append_kind[] = "append";

/* ---- whose ---- */

int job_is_visible(const struct job *job, const struct access *access)
{
    char owner[ACCESS_OWNER_BYTES + 1];

    if ((access->roles & ROLE_OPERATOR) != 0)
        return 1;
    if ((access->roles & ROLE_CAMPAIGNER) == 0)
        return 0;
    access_owner(access, owner);
    return strcmp(job->owner, owner) == 0;
}

/* ---- one job ---- */

void job_copy_text(char *out, size_t size, const char *text)
{
    size_t length = strnlen(text, size - 1);

    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        --length;
    memcpy(out, text, length);
    out[length] = '\0';
}

struct job *job_find(const struct jobs *jobs, const char *id)
{
    struct job *job;
    HASH_FIND_STR(jobs->all, id, job);
    return job;
}

struct job *job_new(struct jobs *jobs, const char *id)
{
    struct job *job = calloc(1, sizeof(*job));

    if (job == NULL)
        abort();
    snprintf(job->id, sizeof(job->id), "%s", id);
    job->jobs = jobs;
    job->kind = append_kind;
    HASH_ADD_STR(jobs->all, id, job);
    ++jobs->num_jobs;
    return job;
}

void job_free(struct jobs *jobs, struct job **in)
{
    struct job *job = *in;

    *in = NULL;
    HASH_DEL(jobs->all, job);
    --jobs->num_jobs;
    jobs->num_rows -= job->num_rows;
    job_rows_free(job);
    if (job->work.release != NULL)
        job->work.release(job->work.data);
    json_decref(job->problem);
    free(job);
}

void job_print_id(char id[JOB_ID_BYTES + 1])
{
    uint8_t bytes[JOB_ID_BYTES / 2];
    size_t i;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        abort();
    for (i = 0; i < sizeof(bytes); ++i)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

int job_is_work(const struct job *job)
{
    return job->kind != append_kind;
}

int job_follow_rows(struct jobs *jobs, struct job *job)
{
    if (job->ended_ms != 0)
        return 0;
    if (job->state != JOB_CANCELLED)
        job->state = job_is_settled(job)                        ? JOB_DONE
                     : job->counts[ROW_WAITING] < job->num_rows ? JOB_RUNNING
                                                                : JOB_WAITING;
    if (!job_is_settled(job))
        return 0;
    job->ended_ms = jobs->clock_steady_ms();
    return 1;
}

/* ---- telling ---- */

void job_tell(struct jobs *jobs, struct job *job)
{
    struct job_progress progress = {job->id, job->owner, NULL};

    if (jobs->settings.on_progress == NULL || jobs->closed)
        return;
    progress.data = job_describe(job);
    json_object_del(progress.data, "application");
    jobs->settings.on_progress(jobs->settings.data, &progress);
}

/* ---- room ---- */

static int has_ended(const struct job *job)
{
    return job->ended_ms != 0 && job->asks == NULL;
}

/* The oldest that has ended is forgotten; 0: there is none. */
static int forget_one(struct jobs *jobs, struct durable_batch *batch)
{
    struct job *job, *next;

    HASH_ITER(hh, jobs->all, job, next)
    {
        if (!has_ended(job))
            continue;
        if (!job_is_work(job))
            disk_delete(batch, job);
        job_free(jobs, &job);
        return 1;
    }
    return 0;
}

int jobs_make_room(struct jobs *jobs, struct durable_batch *batch, const struct job_rows *rows)
{
    size_t num_rows = rows != NULL ? rows->num_rows : 0;

    if (rows != NULL && jobs->queue.waiting_bytes + rows->bytes > CG_JOBS_WAITING_BYTES)
        return CG_E_LIMIT;
    while (jobs->num_jobs >= CG_JOBS_MAX || jobs->num_rows + num_rows > CG_JOBS_ROWS_MAX)
        if (!forget_one(jobs, batch))
            return CG_E_LIMIT;
    return CG_OK;
}

void jobs_submit(struct jobs *jobs, struct durable_batch *batch)
{
    if (durable_batch_is_empty(batch))
        durable_batch_free(&batch);
    else
        durable_submit(jobs->settings.durable, batch, NULL, NULL, NULL);
}

static void on_sweep(struct timer *timer)
{
    struct jobs *jobs = (struct jobs *)((char *)timer - offsetof(struct jobs, sweep));
    struct durable_batch *batch = durable_batch_new();
    int64_t now_ms = jobs->clock_steady_ms();
    struct job *job, *next;

    HASH_ITER(hh, jobs->all, job, next)
    {
        if (!has_ended(job) || now_ms - job->ended_ms < KEEP_MS)
            continue;
        if (!job_is_work(job))
            disk_delete(batch, job);
        job_free(jobs, &job);
    }
    jobs_submit(jobs, batch);
    timer_arm(jobs->settings.loop, timer, SWEEP_MS);
}

/* ---- other work ---- */

int job_begin(struct jobs *jobs, const struct job_work *work, struct job **out)
{
    struct durable_batch *batch = durable_batch_new();
    char id[JOB_ID_BYTES + 1];
    int rc = jobs_make_room(jobs, batch, NULL);
    struct job *job;

    jobs_submit(jobs, batch);
    *out = NULL;
    if (rc != CG_OK)
        return rc;
    job_print_id(id);
    *out = job = job_new(jobs, id);
    job->kind = work->kind;
    job->work = *work;
    job->work.access = NULL;
    job->campaign = work->campaign;
    job->created_ms = jobs->clock_steady_ms();
    job->state = JOB_RUNNING;
    access_owner(work->access, job->owner);
    job_copy_text(job->application, sizeof(job->application), work->access->application);
    ++jobs->stats.jobs_total;
    return CG_OK;
}

const char *job_id(const struct job *job)
{
    return job->id;
}

void job_advance(struct job *job, uint64_t done, uint64_t total)
{
    int64_t now_ms = job->jobs->clock_ms();

    job->work_done = done;
    job->work_total = total;
    if (now_ms - job->told_ms < JOB_PROGRESS_MS)
        return;
    job->told_ms = now_ms;
    job_tell(job->jobs, job);
}

void job_end(struct job *job, json_t *problem)
{
    assert(job->ended_ms == 0);
    job->problem = json_incref(problem);
    job->state = problem != NULL ? JOB_FAILED : JOB_DONE;
    job->ended_ms = job->jobs->clock_steady_ms();
    job_tell(job->jobs, job);
}

void *job_find_work(const struct jobs *jobs, const char *id, const char *kind,
                    const struct access *access, enum job_state *state)
{
    const struct job *job = job_find(jobs, id);

    if (job == NULL || strcmp(job->kind, kind) != 0 || !job_is_visible(job, access))
        return NULL;
    if (state != NULL)
        *state = job->state;
    return job->work.data;
}

/* ---- beginning and end ---- */

int jobs_new(struct jobs **out, const struct jobs_settings *settings)
{
    struct jobs *jobs = calloc(1, sizeof(*jobs));
    int rc;

    *out = NULL;
    if (jobs == NULL)
        return CG_E_NOMEM;
    jobs->settings = *settings;
    jobs->append = contacts_operation(settings->contract);
    jobs->clock_ms = clock_monotonic_ms;
    jobs->clock_steady_ms = clock_steady_ms;
    jobs->hold_problem = PROBLEMS;
    jobs->sweep.on_due = on_sweep;
    jobs_send_init(jobs);
    if ((rc = jobs_load(jobs)) != CG_OK) {
        jobs_free(&jobs);
        return rc;
    }
    timer_arm(settings->loop, &jobs->sweep, SWEEP_MS);
    *out = jobs;
    jobs_pump(jobs);
    return CG_OK;
}

void jobs_close(struct jobs *jobs)
{
    if (jobs == NULL)
        return;
    jobs->closed = 1;
    jobs_send_close(jobs);
    timer_disarm(jobs->settings.loop, &jobs->sweep);
}

int jobs_is_writing(const struct jobs *jobs)
{
    return jobs != NULL && jobs->writing > 0;
}

void jobs_free(struct jobs **in)
{
    struct jobs *jobs = *in;
    struct job *job, *next;

    *in = NULL;
    if (jobs == NULL)
        return;
    jobs_close(jobs);
    jobs->queue.job = NULL;
    json_decref(jobs->arguments);
    HASH_ITER(hh, jobs->all, job, next)
    {
        job_free(jobs, &job);
    }
    explicit_bzero(jobs->secret, sizeof(jobs->secret));
    free(jobs);
}

void jobs_get_stats(const struct jobs *jobs, struct jobs_stats *stats)
{
    const struct job *job;

    *stats = jobs->stats;
    stats->jobs = jobs->num_jobs;
    stats->rows_waiting = jobs->queue.rows_waiting;
    stats->waiting_bytes = jobs->queue.waiting_bytes;
    stats->sending = jobs->queue.job != NULL;
    for (job = jobs->all; job != NULL; job = job->hh.next)
        stats->active += job->ended_ms == 0;
}
