/* What clients ask of jobs: to append, to see, to cancel. Whoever asks for a change is answered when it is on the disk. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/hmac.h>

#include "cctgate/error.h"
#include "gateway/outbound/jobs_private.h"

/* ---- answers ---- */

static void answer(struct jobs_ask *ask, int rc, json_t *json)
{
    ask->rc = rc;
    ask->answer = json;
    ask->message.on_deliver = ask->on_reply;
    mailbox_send(ask->reply_to, &ask->message);
}

static void answer_job(struct jobs *jobs, struct jobs_ask *ask, const struct job *job)
{
    answer(ask, CG_OK, jobs_describe_one(jobs, job));
}

/* All that wait for the job to be written, or not; whoever came first came with it, the others with its key. */
static void answer_asks(struct jobs *jobs, struct job *job, int rc)
{
    struct jobs_ask *ask = job->asks, *next;

    job->asks = NULL;
    for (; ask != NULL; ask = next) {
        next = (struct jobs_ask *)ask->message.next;
        if (rc == CG_OK)
            answer_job(jobs, ask, job);
        else
            answer(ask, rc, NULL);
    }
}

static void wait_for(struct job *job, struct jobs_ask *ask)
{
    ask->message.next = (struct message *)job->asks;
    job->asks = ask;
}

/* ---- appending ---- */

struct written {
    struct jobs *jobs;
    char id[JOB_ID_BYTES + 1];
};

static struct written *written_new(struct jobs *jobs, const struct job *job)
{
    struct written *written = calloc(1, sizeof(*written));

    if (written == NULL)
        abort();
    written->jobs = jobs;
    memcpy(written->id, job->id, sizeof(written->id));
    ++jobs->writing;
    return written;
}

/* The job that was written; frees. */
static struct job *written_end(struct message *message, struct jobs **jobs, int *rc)
{
    struct durable_done *done = (struct durable_done *)message;
    struct written *written = done->data;
    struct job *job = job_find(written->jobs, written->id);

    *rc = done->rc;
    *jobs = written->jobs;
    --written->jobs->writing;
    free(written);
    free(done);
    return job;
}

static void on_queued(struct message *message)
{
    struct jobs *jobs;
    int rc;
    struct job *job = written_end(message, &jobs, &rc);

    answer_asks(jobs, job, rc);
    if (rc != CG_OK) {
        job_free(jobs, &job);
        return;
    }
    job->is_written = 1;
    ++jobs->stats.jobs_total;
    jobs->stats.rows_total += job->num_rows;
    queue_add(&jobs->queue, job);
    job_tell(jobs, job);
    jobs_pump(jobs);
}

/* ---- Idempotency-Key ---- */

/* Neither is kept as it is: a request may hold no more than a phone number, which a plain digest would give away. */
static void digest(const struct jobs *jobs, const char *owner, const void *bytes, size_t length,
                   uint8_t out[32])
{
    uint8_t text[ACCESS_OWNER_BYTES + sizeof(((struct jobs_ask *)0)->key)];
    unsigned size = 32;

    assert(length <= sizeof(text) - ACCESS_OWNER_BYTES);
    memcpy(text, owner, ACCESS_OWNER_BYTES);
    memcpy(text + ACCESS_OWNER_BYTES, bytes, length);
    if (HMAC(EVP_sha256(), jobs->secret, sizeof(jobs->secret), text, ACCESS_OWNER_BYTES + length,
             out, &size) == NULL)
        abort();
}

static struct job *find_key(const struct jobs *jobs, const uint8_t key[32])
{
    struct job *job;
    for (job = jobs->all; job != NULL; job = job->hh.next)
        if (job->has_key && memcmp(job->key, key, 32) == 0)
            return job;
    return NULL;
}

struct key {
    uint8_t key[32], request[32]; /* digests */
};

static void take_key(const struct jobs *jobs, const struct jobs_ask *ask, struct key *key)
{
    char owner[ACCESS_OWNER_BYTES + 1];

    access_owner(ask->access, owner);
    digest(jobs, owner, ask->key, strlen(ask->key), key->key);
    digest(jobs, owner, ask->request, sizeof(ask->request), key->request);
}

/* 1: the key has come before, and the ask is answered. */
static int replay(struct jobs *jobs, struct jobs_ask *ask)
{
    struct job *job = NULL;
    struct key key;

    if (ask->key[0] == '\0')
        return 0;
    take_key(jobs, ask, &key);
    if ((job = find_key(jobs, key.key)) == NULL)
        return 0;
    ask->replayed = 1;
    if (memcmp(job->request, key.request, sizeof(key.request)) != 0)
        answer(ask, CG_E_INVALID, NULL);
    else if (job->is_written)
        answer_job(jobs, ask, job);
    else
        wait_for(job, ask);
    return 1;
}

/* ---- a new job ---- */

static void take_rows(struct jobs *jobs, struct job *job, struct job_rows *rows)
{
    size_t i;

    if ((job->rows = calloc(rows->num_rows, sizeof(*job->rows))) == NULL)
        abort();
    job->num_rows = rows->num_rows;
    jobs->num_rows += rows->num_rows;
    for (i = 0; i < rows->num_rows; ++i) {
        job->rows[i].text = rows->rows[i].text;
        job->rows[i].length = rows->rows[i].length;
        job->rows[i].problem = PROBLEMS;
        rows->rows[i].text = NULL;
    }
    job->counts[ROW_WAITING] = rows->num_rows;
    job->waiting_bytes = rows->bytes;
}

static struct job *make_job(struct jobs *jobs, struct jobs_ask *ask)
{
    char id[JOB_ID_BYTES + 1];
    struct job *job;
    struct key key;

    job_print_id(id);
    job = job_new(jobs, id);
    job->campaign = ask->campaign;
    job->created_ms = jobs->clock_steady_ms();
    job->on_duplicate = ask->on_duplicate;
    access_owner(ask->access, job->owner);
    job_copy_text(job->application, sizeof(job->application), ask->access->application);
    if ((job->has_key = ask->key[0] != '\0')) {
        take_key(jobs, ask, &key);
        memcpy(job->key, key.key, sizeof(job->key));
        memcpy(job->request, key.request, sizeof(job->request));
    }
    take_rows(jobs, job, &ask->contacts);
    return job;
}

/* A job that is on its way to the disk: some rows in each turn of the loop, so that nobody waits for all of a large one. */
struct building {
    struct message message;
    struct jobs *jobs;
    struct jobs_ask *ask; /* who came with it */
    struct durable_batch *batch;
    size_t next;
    char id[JOB_ID_BYTES + 1];
};

static void give_up(struct building *building, struct job *job, int rc)
{
    durable_batch_free(&building->batch);
    answer_asks(building->jobs, job, rc);
    job_free(building->jobs, &job);
    free(building);
}

static void build(struct message *message)
{
    struct building *building = (struct building *)message;
    struct jobs *jobs = building->jobs;
    struct job *job = job_find(jobs, building->id);
    size_t end = building->next + CG_JOB_ROWS_TURN;
    int rc = jobs->closed ? CG_E_SHUTDOWN : CG_OK;

    for (; rc == CG_OK && building->next < end && building->next < job->num_rows; ++building->next)
        rc = disk_put_row(building->batch, job, building->next);
    if (rc != CG_OK) {
        give_up(building, job, rc);
        return;
    }
    if (building->next < job->num_rows) {
        mailbox_send(&jobs->settings.loop->mailbox, &building->message);
        return;
    }
    disk_put_job(building->batch, job);
    disk_audit(building->batch, job, "outboundAppend", building->ask->access);
    durable_submit(jobs->settings.durable, building->batch, &jobs->settings.loop->mailbox,
                   on_queued, written_new(jobs, job));
    free(building);
}

static void queue_rows(struct jobs *jobs, struct jobs_ask *ask)
{
    struct durable_batch *batch = durable_batch_new();
    int rc = jobs_make_room(jobs, batch, &ask->contacts);
    struct building *building;
    struct job *job;

    jobs_submit(jobs, batch);
    if (rc != CG_OK) {
        answer(ask, rc, NULL);
        return;
    }
    if ((building = calloc(1, sizeof(*building))) == NULL)
        abort();
    job = make_job(jobs, ask);
    wait_for(job, ask);
    building->message.on_deliver = build;
    building->jobs = jobs;
    building->ask = ask;
    building->batch = durable_batch_new();
    memcpy(building->id, job->id, sizeof(building->id));
    build(&building->message);
}

/* ---- the door of appending ---- */

/* What is not known of the campaign stops nobody: its rows wait until the contact centre can be asked. */
static void on_campaign(void *data, json_t *campaign, const struct outbound_outcome *outcome)
{
    struct jobs_ask *ask = data;
    struct jobs *jobs = ask->jobs;

    (void)campaign;
    if (jobs->closed)
        answer(ask, CG_E_SHUTDOWN, NULL);
    else if (outcome->rc == CG_E_NOTFOUND)
        answer(ask, CG_E_NOTFOUND, NULL);
    else if (!replay(jobs, ask)) /* another with the key may have come meanwhile */
        queue_rows(jobs, ask);
}

static void run_append(struct jobs *jobs, struct jobs_ask *ask)
{
    if (jobs->settings.outbound == NULL || jobs->append == NULL)
        answer(ask, CG_E_SHUTDOWN, NULL);
    else if (!replay(jobs, ask))
        outbound_campaign(jobs->settings.outbound, ask->campaign, 0, on_campaign, ask);
}

/* ---- cancelling ---- */

struct cancelling {
    struct jobs *jobs;
    enum job_state before;
    size_t rows;
    char id[JOB_ID_BYTES + 1];
};

static void on_cancelled(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct cancelling *cancelling = done->data;
    struct jobs *jobs = cancelling->jobs;
    struct job *job = job_find(jobs, cancelling->id);

    --jobs->writing;
    if (done->rc == CG_OK) {
        queue_drop_texts(job);
        jobs->stats.cancelled += cancelling->rows;
        job_tell(jobs, job);
    } else {
        queue_restore(&jobs->queue, job);
        job->state = cancelling->before;
        job->ended_ms = 0;
        job_follow_rows(jobs, job);
    }
    answer_asks(jobs, job, done->rc);
    free(cancelling);
    free(done);
    jobs_pump(jobs);
}

/* The asks that wait keep the job from being forgotten meanwhile. */
static void cancel_rows(struct jobs *jobs, struct jobs_ask *ask, struct job *job)
{
    struct cancelling *cancelling = calloc(1, sizeof(*cancelling));
    struct durable_batch *batch = durable_batch_new();
    size_t i;

    if (cancelling == NULL)
        abort();
    cancelling->jobs = jobs;
    cancelling->before = job->state;
    memcpy(cancelling->id, job->id, sizeof(cancelling->id));
    cancelling->rows = queue_cancel(&jobs->queue, job);
    job->state = JOB_CANCELLED;
    job_follow_rows(jobs, job);
    wait_for(job, ask);
    disk_put_job(batch, job);
    for (i = 0; i < job->num_rows; ++i)
        if (job->rows[i].state == ROW_CANCELLED)
            disk_put_row(batch, job, i);
    disk_audit(batch, job, "outboundCancel", ask->access);
    ++jobs->writing;
    durable_submit(jobs->settings.durable, batch, &jobs->settings.loop->mailbox, on_cancelled,
                   cancelling);
}

static void cancel_work(struct jobs *jobs, struct jobs_ask *ask, struct job *job)
{
    void (*release)(void *) = job->work.release;

    job->work.release = NULL;
    job->state = JOB_CANCELLED;
    job->ended_ms = jobs->clock_steady_ms();
    if (release != NULL)
        release(job->work.data);
    job->work.data = NULL;
    ++jobs->stats.cancelled;
    job_tell(jobs, job);
    answer_job(jobs, ask, job);
}

static void run_cancel(struct jobs *jobs, struct jobs_ask *ask, struct job *job)
{
    if (job->asks != NULL) /* another is being written */
        wait_for(job, ask);
    else if (job->ended_ms != 0 || job->state == JOB_CANCELLED)
        answer_job(jobs, ask, job);
    else if (job_is_work(job))
        cancel_work(jobs, ask, job);
    else
        cancel_rows(jobs, ask, job);
}

/* ---- the door ---- */

void jobs_run(struct jobs *jobs, struct jobs_ask *ask)
{
    struct job *job = job_find(jobs, ask->id);

    ask->jobs = jobs;
    if (job != NULL &&
        (!job_is_visible(job, ask->access) || (!job_is_work(job) && !job->is_written)))
        job = NULL;
    if (ask->verb == JOBS_LIST)
        answer(ask, CG_OK, jobs_describe_all(jobs, ask->access));
    else if (ask->verb != JOBS_APPEND && job == NULL)
        answer(ask, CG_E_NOTFOUND, NULL);
    else if (ask->verb == JOBS_GET) {
        ask->rows = job_print_rows(job);
        answer_job(jobs, ask, job);
    } else if (jobs->closed)
        answer(ask, CG_E_SHUTDOWN, NULL);
    else if (ask->verb == JOBS_APPEND)
        run_append(jobs, ask);
    else
        run_cancel(jobs, ask, job);
}

/* ---- what fronts make ---- */

struct jobs_ask *jobs_ask_new(enum jobs_verb verb)
{
    struct jobs_ask *ask = calloc(1, sizeof(*ask));

    if (ask == NULL)
        abort();
    ask->verb = verb;
    return ask;
}

void job_rows_release(struct job_rows *rows)
{
    size_t i;

    for (i = 0; i < rows->num_rows; ++i) {
        if (rows->rows[i].text != NULL)
            explicit_bzero(rows->rows[i].text, rows->rows[i].length);
        free(rows->rows[i].text);
    }
    free(rows->rows);
    *rows = (struct job_rows){NULL, 0, 0, 0};
}

void jobs_ask_free(struct jobs_ask **in)
{
    struct jobs_ask *ask = *in;

    *in = NULL;
    if (ask == NULL)
        return;
    job_rows_release(&ask->contacts);
    free(ask->rows);
    policy_unref(&ask->policy);
    json_decref(ask->answer);
    free(ask);
}
