/*
 * Jobs on the disk. One row of the table of jobs for each (JSON), and one of the table of their rows for each row: a byte for its state, one for its form, then
 * the call's arguments as JSON while it waits (sealed: a store deletes by forgetting, and its pages keep what was there until they are used again), what became of it as JSON when it is settled, and nothing while it is being sent: who finds
 * that after a crash knows that it may have arrived, and needs no more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "cctgate/control.h"
#include "cctgate/error.h"
#include "cctgate/log.h"
#include "cctgate/session.h"
#include "gateway/outbound/jobs_private.h"

#define ROW_KEY_BYTES  (JOB_ID_BYTES + 4)
#define ROW_NAME_BYTES 80

enum { FORM_PLAIN, FORM_SEALED }; /* on disk */

static char *dump(json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (text == NULL)
        abort();
    return text;
}

/* ---- writing ---- */

static void put_hex(char out[65], const uint8_t bytes[32])
{
    size_t i;
    for (i = 0; i < 32; ++i)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void disk_put_job(struct durable_batch *batch, const struct job *job)
{
    char key[65] = "", request[65] = "", *text;

    if (job->has_key) {
        put_hex(key, job->key);
        put_hex(request, job->request);
    }
    text =
        dump(json_pack("{s:s, s:s, s:I, s:I, s:I, s:i, s:i, s:I, s:s, s:s}", "owner", job->owner,
                       "application", job->application, "campaign", (json_int_t)job->campaign,
                       "created", (json_int_t)job->created_ms, "ended", (json_int_t)job->ended_ms,
                       "state", (int)job->state, "onDuplicate", (int)job->on_duplicate, "rows",
                       (json_int_t)job->num_rows, "key", key, "request", request));
    durable_put(batch, DURABLE_JOBS, job->id, JOB_ID_BYTES, text, strlen(text));
    free(text);
}

static void row_key(uint8_t key[ROW_KEY_BYTES], const struct job *job, size_t row)
{
    memcpy(key, job->id, JOB_ID_BYTES);
    key[JOB_ID_BYTES] = (uint8_t)(row >> 24);
    key[JOB_ID_BYTES + 1] = (uint8_t)(row >> 16);
    key[JOB_ID_BYTES + 2] = (uint8_t)(row >> 8);
    key[JOB_ID_BYTES + 3] = (uint8_t)row;
}

static json_t *outcome_of(const struct job_row *row)
{
    json_t *json = json_object();

    if (row->has_value)
        json_object_set_new(json, "value", json_integer((json_int_t)row->value));
    if (row->problem < PROBLEMS)
        json_object_set_new(json, "problem", json_string(problem_rows[row->problem].slug));
    if (row->detail != NULL)
        json_object_set_new(json, "detail", json_string(row->detail));
    return json;
}

static void print_name(char name[ROW_NAME_BYTES], const struct job *job, size_t row)
{
    snprintf(name, ROW_NAME_BYTES, "outboundJob/%s/%zu", job->id, row);
}

/* What the row is: sealed where there is a key. NULL: it cannot be. */
static char *content_of(const struct job *job, size_t index, size_t *length)
{
    const struct sessions *sessions = job->jobs->settings.sessions;
    const struct job_row *row = &job->rows[index];
    char name[ROW_NAME_BYTES], *text;

    if (row->state == ROW_WAITING && sessions != NULL) {
        print_name(name, job, index);
        return (char *)sessions_seal(sessions, name, row->text, length);
    }
    if (row->state > ROW_SENDING && (row->has_value || row->problem < PROBLEMS))
        text = dump(outcome_of(row));
    else if ((text = strdup(row->state == ROW_WAITING   ? row->text
                            : row->state == ROW_SENDING ? ""
                                                        : "{}")) == NULL)
        abort();
    *length = strlen(text);
    return text;
}

int disk_put_row(struct durable_batch *batch, const struct job *job, size_t index)
{
    uint8_t key[ROW_KEY_BYTES];
    size_t length;
    char *content = content_of(job, index, &length), *value;

    if (content == NULL)
        return CG_E_IO;
    if ((value = malloc(length + 2)) == NULL)
        abort();
    value[0] = (char)job->rows[index].state;
    value[1] = job->rows[index].state == ROW_WAITING && job->jobs->settings.sessions != NULL
                   ? FORM_SEALED
                   : FORM_PLAIN;
    memcpy(value + 2, content, length);
    row_key(key, job, index);
    durable_put(batch, DURABLE_JOB_ROWS, key, sizeof(key), value, length + 2);
    explicit_bzero(value, length + 2);
    explicit_bzero(content, length);
    free(value);
    free(content);
    return CG_OK;
}

void disk_delete(struct durable_batch *batch, const struct job *job)
{
    uint8_t key[ROW_KEY_BYTES];
    size_t i;

    durable_delete(batch, DURABLE_JOBS, job->id, JOB_ID_BYTES);
    for (i = 0; i < job->num_rows; ++i) {
        row_key(key, job, i);
        durable_delete(batch, DURABLE_JOB_ROWS, key, sizeof(key));
    }
}

/* Who wanted how much of which campaign: nothing of a contact. */
void disk_audit(struct durable_batch *batch, const struct job *job, const char *what,
                const struct access *access)
{
    json_t *entry = audit_entry_json(&(struct audit_entry){
        .what = what, .application = access->application, .object = job->id, .outcome = "done"});

    json_object_set_new(entry, "campaign", json_integer((json_int_t)job->campaign));
    json_object_set_new(entry, "rows", json_integer((json_int_t)job->num_rows));
    durable_append(batch, entry);
}

/* ---- reading ---- */

static int from_hex(const char *hex, uint8_t out[32])
{
    size_t i;

    if (hex == NULL || strlen(hex) != 64 || strspn(hex, "0123456789abcdef") != 64)
        return CG_E_INVALID;
    for (i = 0; i < 32; ++i) {
        unsigned value = 0;
        sscanf(hex + 2 * i, "%2x", &value);
        out[i] = (uint8_t)value;
    }
    return CG_OK;
}

static void copy(char *out, size_t size, const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    job_copy_text(out, size, text != NULL ? text : "");
}

static int64_t integer(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

/* Rows that are not found below are unknown. */
static int make_rows(struct jobs *jobs, struct job *job, int64_t count)
{
    int64_t i;

    if (count < 1 || count > CG_JOB_ROWS_MAX)
        return CG_E_CORRUPT;
    if ((job->rows = calloc((size_t)count, sizeof(*job->rows))) == NULL)
        return CG_E_NOMEM;
    job->num_rows = (size_t)count;
    jobs->num_rows += job->num_rows;
    for (i = 0; i < count; ++i) {
        job->rows[i].state = ROW_UNKNOWN;
        job->rows[i].problem = PROBLEM_STORE;
    }
    job->counts[ROW_UNKNOWN] = job->num_rows;
    return CG_OK;
}

/* What the walks find, and what they would have changed. */
struct loading {
    struct jobs *jobs;
    struct durable_batch *batch;
};

static void take_job(struct jobs *jobs, const char *id, const json_t *json)
{
    struct job *job = job_new(jobs, id);

    copy(job->owner, sizeof(job->owner), json, "owner");
    copy(job->application, sizeof(job->application), json, "application");
    job->campaign = integer(json, "campaign");
    job->created_ms = integer(json, "created");
    job->ended_ms = integer(json, "ended");
    job->state = integer(json, "state") == JOB_CANCELLED ? JOB_CANCELLED
                 : job->ended_ms != 0                    ? JOB_DONE
                                                         : JOB_WAITING;
    job->on_duplicate = (enum on_duplicate)integer(json, "onDuplicate");
    job->has_key =
        from_hex(json_string_value(json_object_get(json, "key")), job->key) == CG_OK &&
        from_hex(json_string_value(json_object_get(json, "request")), job->request) == CG_OK;
    job->is_written = 1;
    if (make_rows(jobs, job, integer(json, "rows")) != CG_OK)
        job_free(jobs, &job);
}

static int on_job(void *data, const void *key, size_t key_length, const void *value, size_t length)
{
    struct loading *loading = data;
    json_t *json = json_loadb(value, length, 0, NULL);
    char id[JOB_ID_BYTES + 1] = "";

    if (key_length == JOB_ID_BYTES)
        memcpy(id, key, JOB_ID_BYTES);
    if (json != NULL && strspn(id, "0123456789abcdef") == JOB_ID_BYTES)
        take_job(loading->jobs, id, json);
    json_decref(json);
    if (job_find(loading->jobs, id) == NULL)
        durable_delete(loading->batch, DURABLE_JOBS, key, key_length);
    return 0;
}

static enum problem problem_by_slug(const char *slug)
{
    unsigned i;
    for (i = 0; slug != NULL && i < PROBLEMS; ++i)
        if (strcmp(problem_rows[i].slug, slug) == 0)
            return (enum problem)i;
    return PROBLEMS;
}

static void take_outcome(struct job_row *row, const char *text, size_t length)
{
    json_t *json = json_loadb(text, length, 0, NULL);
    const char *detail = json_string_value(json_object_get(json, "detail"));

    row->has_value = json_is_integer(json_object_get(json, "value"));
    row->value = integer(json, "value");
    row->problem = problem_by_slug(json_string_value(json_object_get(json, "problem")));
    if (detail != NULL && (row->detail = strdup(detail)) == NULL)
        abort();
    json_decref(json);
}

static char *terminated(const char *content, size_t length)
{
    char *text = malloc(length + 1);

    if (text == NULL)
        abort();
    memcpy(text, content, length);
    text[length] = '\0';
    return text;
}

/* NULL: it cannot be read. */
static char *text_of(const struct job *job, size_t index, int form, const char *content,
                     size_t length)
{
    char name[ROW_NAME_BYTES];

    if (form == FORM_PLAIN)
        return terminated(content, length);
    print_name(name, job, index);
    return job->jobs->settings.sessions != NULL
               ? sessions_unseal(job->jobs->settings.sessions, name, content, length)
               : NULL;
}

static void take_row(struct job *job, size_t index, const char *value, size_t length)
{
    struct job_row *row = &job->rows[index];
    enum row_state state =
        (unsigned char)value[0] < ROW_STATES ? (enum row_state)value[0] : ROW_UNKNOWN;

    if (row->text != NULL || row->detail != NULL) /* a damaged disk tells of it twice */
        return;
    if (state == ROW_WAITING &&
        (row->text = text_of(job, index, value[1], value + 2, length - 2)) == NULL)
        return;
    row->problem = PROBLEMS;
    if (state == ROW_WAITING) {
        row->length = strlen(row->text);
        job->waiting_bytes += row->length;
    } else if (state != ROW_SENDING) {
        take_outcome(row, value + 2, length - 2);
    }
    --job->counts[row->state];
    row->state = state;
    ++job->counts[state];
}

static int on_row(void *data, const void *key, size_t key_length, const void *value, size_t length)
{
    struct loading *loading = data;
    const uint8_t *bytes = key;
    char id[JOB_ID_BYTES + 1] = "";
    struct job *job = NULL;
    size_t row = 0;

    if (key_length == ROW_KEY_BYTES && length >= 2) {
        memcpy(id, key, JOB_ID_BYTES);
        row = (size_t)bytes[JOB_ID_BYTES] << 24 | (size_t)bytes[JOB_ID_BYTES + 1] << 16 |
              (size_t)bytes[JOB_ID_BYTES + 2] << 8 | bytes[JOB_ID_BYTES + 3];
        job = job_find(loading->jobs, id);
    }
    if (job != NULL && row < job->num_rows)
        take_row(job, row, value, length);
    else /* nobody knows any more whose it is */
        durable_delete(loading->batch, DURABLE_JOB_ROWS, key, key_length);
    return 0;
}

/* The process that sent it cannot say any more what became of it. */
static void end_sending(struct job *job, struct durable_batch *batch)
{
    size_t i;

    for (i = 0; job->counts[ROW_SENDING] > 0 && i < job->num_rows; ++i) {
        struct job_row *row = &job->rows[i];
        if (row->state != ROW_SENDING)
            continue;
        row->state = ROW_UNKNOWN;
        row->problem = PROBLEM_UPSTREAM_TIMEOUT;
        if ((row->detail = strdup("the gateway was ended while the contact was being sent")) ==
            NULL)
            abort();
        --job->counts[ROW_SENDING];
        ++job->counts[ROW_UNKNOWN];
        disk_put_row(batch, job, i);
        log_write(LOG_LEVEL_WARNING, "outboundRowUnknown",
                  "A contact was being sent when the gateway ended; it is not sent again",
                  LOG_S("job", job->id), LOG_I("row", i + 1));
    }
}

static const char secret_name[] = "jobsKey";

static int on_state(void *data, const void *key, size_t key_length, const void *value,
                    size_t length)
{
    struct jobs *jobs = data;

    if (key_length != sizeof(secret_name) - 1 || memcmp(key, secret_name, key_length) != 0 ||
        length != sizeof(jobs->secret))
        return 0;
    memcpy(jobs->secret, value, length);
    return 1;
}

static int read_secret(struct jobs *jobs)
{
    static const uint8_t none[sizeof(jobs->secret)];
    struct durable *durable = jobs->settings.durable;
    struct durable_batch *batch;
    int rc = durable_walk(durable, DURABLE_STATE, on_state, jobs);

    if (rc != CG_OK || memcmp(jobs->secret, none, sizeof(none)) != 0)
        return rc;
    if (RAND_bytes(jobs->secret, sizeof(jobs->secret)) != 1)
        return CG_E_IO;
    batch = durable_batch_new();
    durable_put(batch, DURABLE_STATE, secret_name, sizeof(secret_name) - 1, jobs->secret,
                sizeof(jobs->secret));
    durable_submit(durable, batch, NULL, NULL, NULL);
    return CG_OK;
}

static int by_age(const struct job *a, const struct job *b)
{
    return (a->created_ms > b->created_ms) - (a->created_ms < b->created_ms);
}

int jobs_load(struct jobs *jobs)
{
    struct durable *durable = jobs->settings.durable;
    struct loading loading = {jobs, durable_batch_new()};
    struct job *job, *next;
    int rc = read_secret(jobs);

    if (rc == CG_OK && (rc = durable_walk(durable, DURABLE_JOBS, on_job, &loading)) == CG_OK)
        rc = durable_walk(durable, DURABLE_JOB_ROWS, on_row, &loading);
    HASH_SORT(jobs->all, by_age);
    HASH_ITER(hh, jobs->all, job, next)
    {
        end_sending(job, loading.batch);
        if (job_follow_rows(jobs, job))
            disk_put_job(loading.batch, job);
        queue_add(&jobs->queue, job);
    }
    if (rc != CG_OK || durable_batch_is_empty(loading.batch))
        durable_batch_free(&loading.batch);
    else
        durable_submit(durable, loading.batch, NULL, NULL, NULL);
    return rc;
}
