/*
 * Reading all that a user has: after a subscription became active (DOMAIN 5.13), when deliveries failed, and now and then to find
 * what was missed (DOMAIN rule 15). First the lists, then which calls there are, then each object. A few users at a time and a few
 * objects of each, so that a thousand sessions that come back together wait here and not in the queue of calls, where they would
 * time out.
 */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/model/live.h"

#define USERS_AT_ONCE   8
#define OBJECTS_AT_ONCE 16
#define RETRY_MIN_MS    500
#define RETRY_MAX_MS    30000
#define DOUBTFUL_MS     5000

struct warm_object {
    enum record_kind kind;
    char *id;
};

struct warming {
    struct warm_object *objects;
    size_t count, capacity, next;
};

struct warm_waiter {
    struct fetch_waiter waiter;
    struct coverage *coverage;
};

static void advance(struct coverage *coverage);
static void run(struct live *live);

static void on_read(struct fetch_waiter *waiter, struct fetch_outcome *outcome)
{
    struct coverage *coverage = ((struct warm_waiter *)waiter)->coverage;

    free(waiter);
    if (outcome->rc != CG_OK && outcome->rc != CG_E_NOTFOUND)
        coverage->failed = 1;
    --coverage->outstanding;
    if (outcome->rc != CG_E_SHUTDOWN)
        advance(coverage);
}

static void read_anew(struct coverage *coverage, enum record_kind kind, const char *id)
{
    struct warm_waiter *waiter = calloc(1, sizeof(*waiter));

    if (waiter == NULL)
        abort();
    waiter->waiter.on_done = on_read;
    waiter->coverage = coverage;
    ++coverage->outstanding;
    model_fetch(coverage->model, &(struct model_wanted){kind, id, strlen(id), 1, NULL},
                &waiter->waiter);
}

static void add_object(struct warming *warming, enum record_kind kind, const char *id)
{
    if (warming->count == warming->capacity) {
        warming->capacity = warming->capacity ? warming->capacity * 2 : 16;
        warming->objects =
            reallocarray(warming->objects, warming->capacity, sizeof(*warming->objects));
        if (warming->objects == NULL)
            abort();
    }
    warming->objects[warming->count++] = (struct warm_object){kind, strdup(id)};
}

static void collect(struct coverage *coverage, const char *user)
{
    struct model *model = coverage->model;
    const struct node *node = graph_find(&model->graph, ENTITY_USER, user);
    const char *id;
    json_t *entry;
    size_t i;

    for (i = 0; node != NULL && i < PLAN_OWNED; ++i)
        json_object_foreach(json_object_get(node->facts, plan_owned[i].field), id, entry)
            add_object(coverage->work, plan_owned[i].record, id);
    json_object_foreach(holdings_of(model, coverage->user)->calls, id, entry)
        add_object(coverage->work, RECORD_CALL, id);
}

void warm_forget(struct coverage *coverage)
{
    struct warming *work = coverage->work;
    size_t i;
    for (i = 0; work != NULL && i < work->count; ++i)
        free(work->objects[i].id);
    if (work != NULL)
        free(work->objects);
    free(work);
    coverage->work = NULL;
}

/* ---- one user ---- */

/*
 * What came before it was known what belongs together may have been taken for more, or for less, than it said. The second time that is
 * known, and what comes then is understood.
 */
static int must_read_twice(const struct coverage *coverage)
{
    return coverage->subscription != 0 && coverage->heard && !coverage->in_step && !coverage->twice;
}

static void finish(struct coverage *coverage)
{
    struct live *live = coverage->model->live;
    int64_t wait = RETRY_MIN_MS;
    int i;

    warm_forget(coverage);
    coverage->stage = WARM_IDLE;
    --live->warming;
    if (coverage->subscription != 0 &&
        (coverage->again || coverage->subscription != coverage->warming)) {
        coverage->again = 0;
        warm(coverage);
    } else if (coverage->subscription != 0 && coverage->failed) {
        for (i = 0; i < coverage->failures && wait < RETRY_MAX_MS; ++i)
            wait *= 2;
        ++coverage->failures;
        timer_arm(coverage->model->loop, &coverage->retry, wait);
    } else if (must_read_twice(coverage)) {
        coverage->twice = 1;
        warm(coverage);
    } else if (coverage->subscription != 0) {
        coverage->doubtful = coverage->twice && coverage->heard;
        coverage->twice = 0;
        live_set_in_step(coverage);
    }
    warm_schedule(coverage);
    run(live);
}

static void read_objects(struct coverage *coverage)
{
    struct warming *work = coverage->work;
    while (work->next < work->count && coverage->outstanding < OBJECTS_AT_ONCE) {
        const struct warm_object *object = &work->objects[work->next++];
        read_anew(coverage, object->kind, object->id);
    }
}

static const char *name_of(const struct coverage *coverage)
{
    const struct session *session = sessions_find(coverage->model->sessions, coverage->user);
    return session != NULL ? session_user(session) : NULL;
}

static void advance(struct coverage *coverage)
{
    const char *user = name_of(coverage);

    if (coverage->stage == WARM_OBJECTS && !coverage->failed && coverage->subscription != 0)
        read_objects(coverage);
    if (coverage->outstanding > 0)
        return;
    if (user == NULL || coverage->failed || coverage->subscription == 0 ||
        coverage->subscription != coverage->warming || coverage->stage == WARM_OBJECTS) {
        finish(coverage);
    } else if (coverage->stage == WARM_LISTS) {
        coverage->stage = WARM_CALLS;
        read_anew(coverage, RECORD_USER_CALLS, user);
    } else {
        coverage->stage = WARM_OBJECTS;
        collect(coverage, user);
        advance(coverage);
    }
}

static void start(struct coverage *coverage)
{
    const char *user = name_of(coverage);

    coverage->stage = WARM_LISTS;
    coverage->warming = coverage->subscription;
    coverage->failed = coverage->again = coverage->heard = 0;
    ++coverage->model->live->warming;
    if ((coverage->work = calloc(1, sizeof(*coverage->work))) == NULL)
        abort();
    read_anew(coverage, RECORD_USER, user);
}

/* ---- who is next ---- */

static void run(struct live *live)
{
    struct coverage *coverage;
    while (live->warming < USERS_AT_ONCE && (coverage = live->warm_first) != NULL) {
        if ((live->warm_first = coverage->warm_next) == NULL)
            live->warm_end = &live->warm_first;
        if (name_of(coverage) != NULL && coverage->subscription != 0)
            start(coverage);
        else
            coverage->stage = WARM_IDLE;
    }
}

void warm(struct coverage *coverage)
{
    struct live *live = coverage->model->live;

    timer_disarm(coverage->model->loop, &coverage->retry);
    if (coverage->stage != WARM_IDLE) {
        coverage->again = 1;
        return;
    }
    coverage->stage = WARM_QUEUED;
    coverage->warm_next = NULL;
    *live->warm_end = coverage;
    live->warm_end = &coverage->warm_next;
    run(live);
}

void warm_schedule(struct coverage *coverage)
{
    struct model *model = coverage->model;
    unsigned period = model->config->upstream.reconcile_ms;

    if (coverage->doubtful && period > DOUBTFUL_MS)
        period = DOUBTFUL_MS;
    coverage->doubtful = 0;

    timer_disarm(model->loop, &coverage->reconcile);
    if (coverage->subscription != 0)
        timer_arm(
            model->loop, &coverage->reconcile,
            freshness_jitter(period, model->config->cache.jitter_percent, model_random(model)));
}
