/*
 * What the tests of control share: a disk that commits, refuses or forgets when the test says so, instead of durable.h's, clocks that
 * the test moves, and an asker that keeps what it was answered.
 */
#ifndef CCTGATE_TEST_CONTROL_FIXTURE_H
#define CCTGATE_TEST_CONTROL_FIXTURE_H

#include "gateway/control/control_private.h"

#include "test_disk_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

/* ---- the disk ---- */

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
    disk_init(&w->disk);
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

static inline int settle_one(struct world *w, int rc)
{
    int settled = disk_settle(&w->disk, rc);
    disk_assert_sound(&w->disk);
    return settled;
}

/* Everything that waits comes to this end, and what follows from it. */
static inline void settle_as(struct world *w, int rc)
{
    while (settle_one(w, rc))
        deliver(w);
}

static inline void settle(struct world *w)
{
    settle_as(w, CG_OK);
}

/* Nothing of what waits is committed; it is told so, for it frees itself then. */
static inline void disk_forget(struct durable *disk)
{
    while (disk_settle(disk, CG_E_IO))
        ;
}

/* As after kill -9: what was not committed never happens. */
static inline void crash(struct world *w)
{
    control_free(&w->control);
    disk_forget(&w->disk);
    deliver(w);
    world_start(w);
}

static inline int world_teardown(void **state)
{
    struct world *w = *state;

    control_free(&w->control);
    disk_forget(&w->disk);
    deliver(w);
    disk_release(&w->disk);
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
