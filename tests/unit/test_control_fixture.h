/*
 * What the tests of control share: a disk that commits, refuses or forgets when the test says so, instead of durable.h's, clocks that
 * the test moves, and an asker that keeps what it was answered.
 */
#ifndef CCTGATE_TEST_CONTROL_FIXTURE_H
#define CCTGATE_TEST_CONTROL_FIXTURE_H

#include "gateway/control/control_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

/* ---- the disk ---- */

struct row {
    struct row *next;
    enum durable_table table;
    size_t key_length, length;
    char bytes[600], value[2048];
};

struct change {
    struct change *next;
    int deletes;
    struct row row;
    json_t *entry; /* an audit entry; NULL: a row */
};

struct durable_batch {
    struct durable_batch *next;
    struct change *first, **last;
    struct mailbox *reply_to;
    void (*on_done)(struct message *message);
    void *data;
};

struct durable {
    struct row *rows;
    json_t *audit;
    struct durable_batch *first, **last;
    size_t waiting;
};

struct durable_batch *durable_batch_new(void)
{
    struct durable_batch *batch = calloc(1, sizeof(*batch));
    assert_non_null(batch);
    batch->last = &batch->first;
    return batch;
}

void durable_batch_free(struct durable_batch **in)
{
    struct durable_batch *batch = *in;
    struct change *change, *next;

    *in = NULL;
    for (change = batch->first; change != NULL; change = next) {
        next = change->next;
        json_decref(change->entry);
        free(change);
    }
    free(batch);
}

static struct change *disk_change(struct durable_batch *batch, enum durable_table table,
                                  const void *key, size_t key_length)
{
    struct change *change = calloc(1, sizeof(*change));
    assert_non_null(change);
    assert_true(key_length > 0 && key_length <= CG_KEY_BYTES_MAX);
    change->row.table = table;
    change->row.key_length = key_length;
    memcpy(change->row.bytes, key, key_length);
    *batch->last = change;
    batch->last = &change->next;
    return change;
}

void durable_put(struct durable_batch *batch, enum durable_table table, const void *key,
                 size_t key_length, const void *value, size_t length)
{
    struct change *change = disk_change(batch, table, key, key_length);
    assert_true(length <= sizeof(change->row.value));
    memcpy(change->row.value, value, length);
    change->row.length = length;
}

void durable_delete(struct durable_batch *batch, enum durable_table table, const void *key,
                    size_t key_length)
{
    disk_change(batch, table, key, key_length)->deletes = 1;
}

void durable_append(struct durable_batch *batch, json_t *entry)
{
    disk_change(batch, DURABLE_STATE, "audit", 5)->entry = entry;
}

int durable_batch_is_empty(const struct durable_batch *batch)
{
    return batch->first == NULL;
}

void durable_submit(struct durable *disk, struct durable_batch *batch, struct mailbox *reply_to,
                    void (*on_done)(struct message *message), void *data)
{
    batch->reply_to = reply_to;
    batch->on_done = on_done;
    batch->data = data;
    *disk->last = batch;
    disk->last = &batch->next;
    ++disk->waiting;
}

int durable_walk(struct durable *disk, enum durable_table table,
                 int (*on_row)(void *data, const void *key, size_t key_length, const void *value,
                               size_t length),
                 void *data)
{
    const struct row *row;
    for (row = disk->rows; row != NULL; row = row->next)
        if (row->table == table &&
            on_row(data, row->bytes, row->key_length, row->value, row->length) != 0)
            break;
    return CG_OK;
}

static struct row **disk_find(struct durable *disk, const struct row *like)
{
    struct row **link = &disk->rows;
    while (*link != NULL &&
           ((*link)->table != like->table || (*link)->key_length != like->key_length ||
            memcmp((*link)->bytes, like->bytes, like->key_length) != 0))
        link = &(*link)->next;
    return link;
}

static inline void disk_apply(struct durable *disk, struct change *change)
{
    struct row **link = disk_find(disk, &change->row), *row = *link;

    if (change->entry != NULL) {
        json_array_append(disk->audit, change->entry);
    } else if (change->deletes) {
        if (row != NULL) {
            *link = row->next;
            free(row);
        }
    } else {
        if (row == NULL) {
            *link = row = calloc(1, sizeof(*row));
            assert_non_null(row);
        }
        change->row.next = row->next;
        *row = change->row;
    }
}

static inline const char *text_of(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text != NULL ? text : "";
}

/* No agent has two FullControl leases, whatever has been committed. */
static inline void disk_assert_sound(const struct durable *disk)
{
    const struct row *row;
    json_t *seen = json_object();

    for (row = disk->rows; row != NULL; row = row->next) {
        json_t *json;
        if (row->table != DURABLE_LEASES)
            continue;
        json = json_loadb(row->value, row->length, 0, NULL);
        if (strcmp(text_of(json, "profile"), "FullControl") == 0) {
            const char *agent = text_of(json, "agent");
            assert_null(json_object_get(seen, agent));
            json_object_set_new(seen, agent, json_true());
        }
        json_decref(json);
    }
    json_decref(seen);
}

/* The first batch that waits comes to this end; 0: none waits. */
static inline int disk_settle(struct durable *disk, int rc)
{
    struct durable_batch *batch = disk->first;
    struct change *change;

    if (batch == NULL)
        return 0;
    if ((disk->first = batch->next) == NULL)
        disk->last = &disk->first;
    --disk->waiting;
    for (change = batch->first; rc == CG_OK && change != NULL; change = change->next)
        disk_apply(disk, change);
    disk_assert_sound(disk);
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

static inline size_t disk_rows(const struct durable *disk, enum durable_table table)
{
    const struct row *row;
    size_t count = 0;
    for (row = disk->rows; row != NULL; row = row->next)
        count += row->table == table;
    return count;
}

/* ---- the world ---- */

#define TTL_MS   30000
#define GRACE_MS 10000

struct world {
    struct loop loop;
    struct durable disk;
    struct config config;
    struct config_reservation reserved[2];
    struct control *control;
    char events[4096], changes[4096]; /* "granted 2001 desk;" */
    char last_reason[512], last_to[64];
    uint64_t last_client;
};

static int64_t now_ms, unix_ms;
static uint64_t last_fence; /* that anybody was told of */

static int64_t fake_monotonic_ms(void)
{
    return now_ms;
}

static int64_t fake_unix_ms(void)
{
    return unix_ms;
}

static const struct control_clock fake_clock = {fake_monotonic_ms, fake_unix_ms};

static inline void note(char *list, size_t size, const char *text)
{
    size_t length = strlen(list);
    if (length + strlen(text) + 1 < size)
        snprintf(list + length, size - length, "%s", text);
}

static inline void on_event(void *data, const struct control_event *event)
{
    static const char *const names[CONTROL_ACTS] = {
        "granted", "released", "expired", "forced", "transferred", "reserved", "unreserved"};
    struct world *w = data;
    char text[256];

    snprintf(text, sizeof(text), "%s %s %s;", names[event->act], event->agent,
             event->application != NULL ? event->application : "-");
    note(w->events, sizeof(w->events), text);
    snprintf(w->last_reason, sizeof(w->last_reason), "%s",
             event->reason != NULL ? event->reason : "");
    snprintf(w->last_to, sizeof(w->last_to), "%s", event->to != NULL ? event->to : "");
    w->last_client = event->client;
}

static inline void on_change(void *data, const char *agent)
{
    struct world *w = data;
    json_t *json = control_describe(w->control, agent); /* as the model does */
    assert_non_null(json);
    json_decref(json);
    note(w->changes, sizeof(w->changes), agent);
    note(w->changes, sizeof(w->changes), ";");
}

static inline void world_start(struct world *w)
{
    struct control_settings settings = {.loop = &w->loop,
                                        .durable = &w->disk,
                                        .config = &w->config,
                                        .on_event = on_event,
                                        .on_change = on_change,
                                        .data = w};
    assert_int_equal(control_new_on(&w->control, &settings, &fake_clock), CG_OK);
}

static inline int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    assert_int_equal(loop_init(&w->loop), CG_OK);
    w->disk.last = &w->disk.first;
    w->disk.audit = json_array();
    w->config.references = 1000; /* never freed */
    w->config.control.ttl_ms = TTL_MS;
    w->config.control.grace_ms = GRACE_MS;
    w->config.control.reserved = w->reserved;
    now_ms = 1000000;
    last_fence = 0;
    unix_ms = INT64_C(1790000000000);
    world_start(w);
    *state = w;
    return 0;
}

static inline void deliver(struct world *w)
{
    mailbox_deliver(&w->loop.mailbox);
}

/* Everything that waits comes to this end, and what follows from it. */
static inline void settle_as(struct world *w, int rc)
{
    while (disk_settle(&w->disk, rc))
        deliver(w);
}

static inline void settle(struct world *w)
{
    settle_as(w, CG_OK);
}

static inline void disk_forget_queue(struct durable *disk)
{
    while (disk->first != NULL) {
        struct durable_batch *batch = disk->first;
        disk->first = batch->next;
        if (batch->on_done != NULL) { /* so that what waits for it is freed */
            struct durable_done *done = calloc(1, sizeof(*done));
            assert_non_null(done);
            done->message.on_deliver = batch->on_done;
            done->rc = CG_E_IO;
            done->data = batch->data;
            mailbox_send(batch->reply_to, &done->message);
        }
        durable_batch_free(&batch);
    }
    disk->last = &disk->first;
    disk->waiting = 0;
}

/* As after kill -9: what was not committed never happens. */
static inline void crash(struct world *w)
{
    control_free(&w->control);
    disk_forget_queue(&w->disk);
    deliver(w);
    world_start(w);
}

static inline int world_teardown(void **state)
{
    struct world *w = *state;
    struct row *row, *next;

    control_free(&w->control);
    disk_forget_queue(&w->disk);
    deliver(w);
    for (row = w->disk.rows; row != NULL; row = next) {
        next = row->next;
        free(row);
    }
    json_decref(w->disk.audit);
    assert_int_equal(w->loop.num_timers, 0);
    loop_release(&w->loop);
    free(w);
    return 0;
}

static inline void pass(struct world *w, int64_t ms)
{
    now_ms += ms;
    unix_ms += ms;
    control_tick(w->control);
}

/* ---- asking ---- */

struct asker {
    int answered;
    enum control_answer answer;
    char detail[256];
    json_t *body;
    uint8_t digest[CONTROL_DIGEST_BYTES]; /* of the lease that was granted */
    uint64_t fence;
};

static inline void on_answer(void *data, const struct control_outcome *outcome)
{
    struct asker *asker = data;
    const char *secret = json_string_value(json_object_get(outcome->body, "lease"));

    ++asker->answered;
    asker->answer = outcome->answer;
    snprintf(asker->detail, sizeof(asker->detail), "%s", outcome->detail);
    json_decref(asker->body);
    asker->body = json_incref(outcome->body);
    if (secret != NULL) {
        assert_int_equal(strlen(secret), CONTROL_LEASE_BYTES);
        SHA256((const unsigned char *)secret, CONTROL_LEASE_BYTES, asker->digest);
        asker->fence = (uint64_t)json_integer_value(json_object_get(outcome->body, "fence"));
        assert_true(asker->fence > last_fence);
        last_fence = asker->fence;
    }
}

static inline void asker_release(struct asker *asker)
{
    json_decref(asker->body);
    memset(asker, 0, sizeof(*asker));
}

static inline struct control_ask ask_of(struct asker *asker, const char *agent,
                                        const char *application, unsigned roles,
                                        const uint8_t *lease)
{
    return (struct control_ask){.agent = agent,
                                .actor = {application, roles, "http"},
                                .lease = lease,
                                .done = on_answer,
                                .data = asker};
}

static inline void attach(struct world *w, struct asker *asker, const char *agent,
                          const char *application, enum control_profile profile)
{
    struct control_ask ask =
        ask_of(asker, agent, application, ROLE_CONTROLLER | ROLE_RECORDER, NULL);
    control_attach(w->control, &ask, profile);
}

static inline enum control_answer check(struct world *w, const char *agent, const uint8_t *lease)
{
    struct control_verdict verdict;
    control_check(w->control, agent, lease, &verdict);
    json_decref(verdict.holder);
    return verdict.answer;
}

/* How many audit entries have this `what` */
static inline size_t audited(const struct world *w, const char *what)
{
    size_t i, count = 0;
    json_t *entry;
    json_array_foreach(w->disk.audit, i, entry) count +=
        strcmp(json_string_value(json_object_get(entry, "what")), what) == 0;
    return count;
}

static inline const char *audit_last(const struct world *w, const char *member)
{
    json_t *entry = json_array_get(w->disk.audit, json_array_size(w->disk.audit) - 1);
    const char *text = json_string_value(json_object_get(entry, member));
    return text != NULL ? text : "";
}

static inline void told(struct asker *asker, enum control_answer answer)
{
    assert_int_equal(asker->answered, 1);
    assert_int_equal(asker->answer, answer);
    asker->answered = 0;
}

static inline void get_full(struct world *w, struct asker *asker, const char *agent,
                            const char *application)
{
    attach(w, asker, agent, application, CONTROL_FULL);
    settle(w);
    told(asker, CONTROL_OK);
}

static inline struct control_ask operator_ask(struct asker *asker, const char *agent)
{
    return ask_of(asker, agent, "ops", ROLE_OPERATOR, NULL);
}

static inline void renew(struct world *w, struct asker *asker)
{
    struct control_ask ask = ask_of(asker, NULL, "desk", ROLE_CONTROLLER, asker->digest);
    control_renew(w->control, &ask);
}

static inline void bind_to(struct world *w, struct asker *asker, uint64_t client)
{
    struct control_ask ask = ask_of(asker, NULL, "desk", ROLE_CONTROLLER, asker->digest);
    ask.client = client;
    control_bind(w->control, &ask);
}

static inline void release(struct world *w, struct asker *asker, const char *agent)
{
    struct control_ask ask = ask_of(asker, agent, "desk", ROLE_CONTROLLER, asker->digest);
    control_release(w->control, &ask);
}

static inline void assert_detail(struct world *w, const char *agent, const uint8_t *lease,
                                 const char *expected)
{
    struct control_verdict verdict;
    control_check(w->control, agent, lease, &verdict);
    json_decref(verdict.holder);
    assert_int_equal(verdict.answer, CONTROL_LOST);
    assert_string_equal(verdict.detail, expected);
}

#endif
