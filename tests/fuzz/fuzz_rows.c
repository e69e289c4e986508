/*
 * Rows of the durable environment, as a later or damaged program may have left them: one in a line, its table first (L a lease, R a
 * reservation, S state, O an outcome, J an outbound job, W a row of one), then key and value with a blank between. A row that is not what
 * it should be is passed over; what is taken can be described, ages, and is let go. The key of a job's row ends with its number after a
 * slash, and its value begins with two digits for state and form.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "cctgate/durable.h"
#include "cctgate/error.h"
#include "cctgate/loop.h"
#include "gateway/command/command_private.h"
#include "gateway/control/control_private.h"
#include "gateway/outbound/jobs_private.h"

/* ---- the disk: holds the input, and forgets what is written ---- */

struct durable {
    const char *rows;
    size_t length;
};

struct durable_batch {
    size_t changes;
};

struct durable_batch *durable_batch_new(void)
{
    struct durable_batch *batch = calloc(1, sizeof(*batch));
    FUZZ_CHECK(batch != NULL);
    return batch;
}

void durable_batch_free(struct durable_batch **batch)
{
    free(*batch);
    *batch = NULL;
}

void durable_put(struct durable_batch *batch, enum durable_table table, const void *key,
                 size_t key_length, const void *value, size_t length)
{
    (void)table, (void)key, (void)value;
    FUZZ_CHECK(key_length > 0 && key_length <= CG_KEY_BYTES_MAX && length <= CG_RECORD_BYTES_MAX);
    ++batch->changes;
}

void durable_delete(struct durable_batch *batch, enum durable_table table, const void *key,
                    size_t key_length)
{
    (void)table, (void)key;
    FUZZ_CHECK(key_length > 0 && key_length <= CG_KEY_BYTES_MAX);
    ++batch->changes;
}

void durable_append(struct durable_batch *batch, json_t *entry)
{
    FUZZ_CHECK(json_is_object(entry));
    json_decref(entry);
    ++batch->changes;
}

int durable_batch_is_empty(const struct durable_batch *batch)
{
    return batch->changes == 0;
}

void durable_submit(struct durable *durable, struct durable_batch *batch, struct mailbox *reply_to,
                    void (*on_done)(struct message *message), void *data)
{
    struct durable_done *done;

    (void)durable;
    durable_batch_free(&batch);
    if (reply_to == NULL)
        return;
    FUZZ_CHECK((done = calloc(1, sizeof(*done))) != NULL);
    done->message.on_deliver = on_done;
    done->data = data;
    mailbox_send(reply_to, &done->message);
}

/* What is said of a digest stands for one. */
static size_t take_key(enum durable_table table, const char *text, size_t length,
                       unsigned char key[CG_KEY_BYTES_MAX])
{
    if (table == DURABLE_LEASES || table == DURABLE_OUTCOMES) {
        SHA256((const unsigned char *)text, length, key);
        return length % 5 == 4 ? 16 : SHA256_DIGEST_LENGTH;
    }
    length = length < CG_KEY_BYTES_MAX ? length : CG_KEY_BYTES_MAX;
    memcpy(key, text, length);
    if (table == DURABLE_JOB_ROWS && length > JOB_ID_BYTES + 1 && text[JOB_ID_BYTES] == '/') {
        memset(key + JOB_ID_BYTES, 0, 4);
        key[JOB_ID_BYTES + 3] = (unsigned char)(text[JOB_ID_BYTES + 1] - '0');
        length = JOB_ID_BYTES + 4;
    }
    return length;
}

/* The digits are those that the disk has as bytes. */
static int tell_row(enum durable_table table, const char *value, size_t length,
                    int (*on_row)(void *data, const void *key, size_t key_length, const void *value,
                                  size_t length),
                    void *data, const unsigned char *key, size_t key_length)
{
    char *copy = malloc(length + 1);
    int rc;

    FUZZ_CHECK(copy != NULL);
    memcpy(copy, value, length);
    if (table == DURABLE_JOB_ROWS && length >= 2) {
        copy[0] = (char)(copy[0] - '0');
        copy[1] = (char)(copy[1] - '0');
    }
    rc = on_row(data, key, key_length, copy, length);
    free(copy);
    return rc;
}

int durable_walk(struct durable *durable, enum durable_table table,
                 int (*on_row)(void *data, const void *key, size_t key_length, const void *value,
                               size_t length),
                 void *data)
{
    static const char letters[DURABLE_TABLES] = {
        [DURABLE_LEASES] = 'L',   [DURABLE_RESERVATIONS] = 'R', [DURABLE_STATE] = 'S',
        [DURABLE_OUTCOMES] = 'O', [DURABLE_JOBS] = 'J',         [DURABLE_JOB_ROWS] = 'W'};
    const char *at = durable->rows, *end = at + durable->length, *stop;
    unsigned char key[CG_KEY_BYTES_MAX];

    for (; at < end; at = stop + 1) {
        const char *blank;
        size_t length;
        if ((stop = memchr(at, '\n', (size_t)(end - at))) == NULL)
            stop = end;
        if (*at != letters[table] || (blank = memchr(at, ' ', (size_t)(stop - at))) == NULL)
            continue;
        length = take_key(table, at + 1, (size_t)(blank - at) - 1, key);
        if (length > 0 &&
            tell_row(table, blank + 1, (size_t)(stop - blank) - 1, on_row, data, key, length) != 0)
            break;
    }
    return CG_OK;
}

/* ---- who reads them ---- */

#define JOBS_PRINTED 4 /* a line makes a job of ten thousand rows, an input has many lines */

static int64_t now_ms;

static int64_t monotonic_ms(void)
{
    return now_ms;
}

static int64_t unix_ms(void)
{
    return now_ms + INT64_C(1795955696789);
}

static void on_event(void *data, const struct control_event *event)
{
    (void)data;
    FUZZ_CHECK(event->agent != NULL);
}

static void on_change(void *data, const char *agent)
{
    (void)data;
    FUZZ_CHECK(agent[0] != '\0');
}

static void describe(struct control *control)
{
    struct agent *agent, *next;

    HASH_ITER(hh, control->agents, agent, next)
    {
        json_t *all = control_describe_all(control, agent->name);
        char *text = json_dumps(all, JSON_COMPACT);
        FUZZ_CHECK(text != NULL);
        free(text);
        json_decref(all);
    }
}

static void read_control(struct durable *durable, struct loop *loop, struct config *config)
{
    static const struct control_clock clock = {monotonic_ms, unix_ms};
    struct control_settings settings = {loop, durable, config, on_event, on_change, NULL};
    struct control *control;
    int i;

    now_ms = 1000000;
    FUZZ_CHECK(control_new_on(&control, &settings, &clock) == CG_OK);
    for (i = 0; i < 3; ++i) {
        describe(control);
        now_ms += config->control.ttl_ms;
        control_tick(control);
        mailbox_deliver(&loop->mailbox);
    }
    describe(control);
    FUZZ_CHECK(control->leases == NULL); /* none lives longer than a time-to-live */
    control_free(&control);
    mailbox_deliver(&loop->mailbox);
}

static void read_outcomes(struct durable *durable, struct loop *loop, struct config *config)
{
    struct commands commands = {.settings = {.loop = loop, .config = config, .durable = durable}};

    FUZZ_CHECK(outcomes_new(&commands) == CG_OK);
    FUZZ_CHECK((commands.outcomes == NULL) == (commands.num_outcomes == 0));
    outcomes_free(&commands);
    FUZZ_CHECK(commands.outcomes == NULL && commands.num_outcomes == 0);
}

static void check_print(const struct job *job)
{
    char *text = job_print_rows(job);
    json_t *rows;

    FUZZ_CHECK(text != NULL && (rows = json_loads(text, 0, NULL)) != NULL);
    FUZZ_CHECK(json_array_size(rows) == job->num_rows);
    json_decref(rows);
    free(text);
}

static void check_job(const struct job *job)
{
    size_t counts[ROW_STATES] = {0}, i;

    FUZZ_CHECK(job->num_rows > 0 && job->num_rows <= CG_JOB_ROWS_MAX);
    for (i = 0; i < job->num_rows; ++i) {
        ++counts[job->rows[i].state];
        FUZZ_CHECK((job->rows[i].state == ROW_WAITING) == (job->rows[i].text != NULL));
    }
    FUZZ_CHECK(memcmp(counts, job->counts, sizeof(counts)) == 0 && counts[ROW_SENDING] == 0);
    FUZZ_CHECK((job->turn_after != NULL) == (counts[ROW_WAITING] > 0));
    json_decref(job_describe(job));
}

/* Nothing is sent: there is no client of the Outbound services. */
static void read_jobs(struct durable *durable, struct loop *loop)
{
    struct jobs_settings settings = {.loop = loop, .contract = fuzz_contract(), .durable = durable};
    const struct job *job;
    struct jobs *jobs;
    unsigned n = 0;

    FUZZ_CHECK(jobs_new(&jobs, &settings) == CG_OK);
    for (job = jobs->all; job != NULL; job = job->hh.next) {
        check_job(job);
        if (n++ < JOBS_PRINTED)
            check_print(job);
    }
    jobs_free(&jobs);
    mailbox_deliver(&loop->mailbox);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct config config = {.control = {.ttl_ms = 30000, .grace_ms = 10000}};
    struct durable durable = {length > 0 ? (const char *)bytes : "", length};
    struct loop loop;

    fuzz_init();
    atomic_init(&config.references, 1000);
    FUZZ_CHECK(loop_init(&loop) == CG_OK);
    read_control(&durable, &loop, &config);
    read_outcomes(&durable, &loop, &config);
    read_jobs(&durable, &loop);
    loop_release(&loop);
    return 0;
}
