#include "gateway/model/live.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"

/* ---- numbers ---- */

uint64_t live_clock(const struct model *model)
{
    return model->live->clock;
}

uint64_t live_tick(struct model *model)
{
    return ++model->live->clock;
}

struct coverage *live_coverage(const struct model *model, uint64_t subscription)
{
    struct coverage *coverage = NULL;
    if (subscription != 0)
        HASH_FIND(by_number, model->live->active, &subscription, sizeof(subscription), coverage);
    return coverage;
}

uint64_t live_subscription(const struct model *model, uint32_t user)
{
    struct coverage *coverage;
    HASH_FIND(hh, model->live->users, &user, sizeof(user), coverage);
    return coverage != NULL ? coverage->subscription : 0;
}

static void on_retry(struct timer *timer)
{
    warm((struct coverage *)((char *)timer - offsetof(struct coverage, retry)));
}

static void on_reconcile(struct timer *timer)
{
    struct coverage *coverage =
        (struct coverage *)((char *)timer - offsetof(struct coverage, reconcile));
    ++coverage->model->live->num_reconciled;
    warm(coverage);
}

struct coverage *live_user(struct model *model, uint32_t user)
{
    struct coverage *coverage;
    HASH_FIND(hh, model->live->users, &user, sizeof(user), coverage);
    if (coverage != NULL)
        return coverage;
    if ((coverage = calloc(1, sizeof(*coverage))) == NULL)
        abort();
    coverage->user = user;
    coverage->model = model;
    coverage->retry.on_due = on_retry;
    coverage->reconcile.on_due = on_reconcile;
    HASH_ADD(hh, model->live->users, user, sizeof(coverage->user), coverage);
    return coverage;
}

/* ---- what is known ---- */

/* What no event tells of: it is known for as long as a time-to-live, never live. */
static int is_untold(const char *field)
{
    static const char *const untold[] = {"messages"};
    size_t i;
    for (i = 0; i < sizeof(untold) / sizeof(untold[0]); ++i)
        if (strcmp(untold[i], field) == 0)
            return 1;
    return 0;
}

int fact_is_fresh(const struct model *model, const struct node *node, const char *field)
{
    return !is_untold(field) && live_coverage(model, node->covered) != NULL &&
           json_object_get(node->facts, field) != NULL && !node_is_dirty(node, field);
}

static int type_is(const struct node *node, const char *type)
{
    const char *name = entity_rows[node->kind].type;
    const char *value =
        name != NULL ? json_string_value(json_object_get(node->handle, name)) : NULL;
    return value != NULL && strcmp(value, type) == 0;
}

int step_applies(const struct graph *graph, const struct node *node, const struct plan_step *step,
                 enum record_kind kind, const char *after)
{
    const struct node *subject = node;

    if (step->on != node->kind || !(step->kinds & (1u << kind)))
        return 0;
    if (step->after == NULL ? after != NULL : after == NULL || strcmp(step->after, after) != 0)
        return 0;
    if (step->after != NULL)
        subject = graph_find(graph, plan_child(node->kind, step->after),
                             json_string_value(json_object_get(node->facts, step->after)));
    return subject != NULL && (step->only_type == NULL || type_is(subject, step->only_type));
}

/*
 * Everything that the plan of a resource would ask for, walked over the graph: nodes once each, without recursion. What is not fresh
 * makes the resource incomplete.
 */
struct walk {
    struct model *model;
    enum record_kind kind;
    struct node **queue;
    size_t length, capacity;
};

static void walk_add(struct walk *walk, struct node *node)
{
    if (node == NULL || node->visited == walk->model->live->visit)
        return;
    node->visited = walk->model->live->visit;
    if (walk->length == walk->capacity) {
        walk->capacity = walk->capacity ? walk->capacity * 2 : 32;
        walk->queue = reallocarray(walk->queue, walk->capacity, sizeof(*walk->queue));
        if (walk->queue == NULL)
            abort();
    }
    walk->queue[walk->length++] = node;
}

static void walk_children(struct walk *walk, const struct plan_step *step, const struct node *node)
{
    json_t *value = json_object_get(node->facts, step->field), *one;
    const char *id;

    if (json_is_string(value))
        walk_add(walk, graph_find(&walk->model->graph, step->child, json_string_value(value)));
    json_object_foreach(value, id, one)
        walk_add(walk, graph_find(&walk->model->graph, step->child, id));
}

static int walk_node(struct walk *walk, const struct node *node)
{
    const struct graph *graph = &walk->model->graph;
    size_t i;
    for (i = 0; i < plan_num_steps; ++i) {
        const struct plan_step *step = &plan_steps[i];
        if (step->on != node->kind || walk->model->operations[i] == NULL ||
            !step_applies(graph, node, step, walk->kind, step->after))
            continue;
        if (!fact_is_fresh(walk->model, node, step->field))
            return 0;
        if (step->child != ENTITY_NONE)
            walk_children(walk, step, node);
    }
    return 1;
}

int resource_is_complete(struct model *model, enum record_kind kind, struct node *root)
{
    struct walk walk = {model, kind, NULL, 0, 0};
    size_t at;
    int complete = 1;

    ++model->live->visit;
    walk_add(&walk, root);
    for (at = 0; at < walk.length && complete; ++at)
        complete = walk_node(&walk, walk.queue[at]);
    free(walk.queue);
    return complete;
}

void touch(struct model *model, struct node *node)
{
    if (node->touched)
        return;
    node->touched = 1;
    node->next_touched = model->live->touched;
    model->live->touched = node;
}

/* ---- gaps ---- */

static void on_reread(struct fetch_waiter *waiter, struct fetch_outcome *outcome)
{
    (void)outcome; /* what could not be read stays dirty, and whoever asks for it asks again */
    free(waiter);
}

static void dirty_all(struct node *node, uint64_t stamp)
{
    const char *field;
    json_t *value;
    json_object_foreach(node->facts, field, value) node_dirty(node, field, stamp);
}

void live_gap(struct model *model, struct node *node, const char *reason)
{
    struct fetch_waiter *waiter = calloc(1, sizeof(*waiter));

    if (waiter == NULL)
        abort();
    ++model->live->num_gaps;
    notice_gap(model, node, reason);
    node->told_ms = 0; /* a clock that was set back must not make everything late for ever */
    dirty_all(node, live_clock(model));
    if (node->kind == ENTITY_CONTACT)
        dirty_call(model, node, live_clock(model));
    touch(model, node);
    waiter->on_done = on_reread;
    model_fetch(
        model, &(struct model_wanted){plan_record(node->kind), node->id, strlen(node->id), 1, NULL},
        waiter);
}

void live_verify_calls(struct model *model, uint32_t user)
{
    const struct session *session = sessions_find(model->sessions, user);
    struct fetch_waiter *waiter = calloc(1, sizeof(*waiter));

    if (waiter == NULL)
        abort();
    if (session == NULL) {
        free(waiter);
        return;
    }
    waiter->on_done = on_reread;
    model_fetch(model,
                &(struct model_wanted){RECORD_USER_CALLS, session_user(session),
                                       strlen(session_user(session)), 1, NULL},
                waiter);
}

/* ---- subscriptions ---- */

void live_set_in_step(struct coverage *coverage)
{
    struct model *model = coverage->model;
    int was = coverage->in_step;

    coverage->in_step = 1;
    coverage->failures = 0;
    atomic_store(&session_views[coverage->user].live, coverage->subscription);
    if (was)
        return;
    log_write(LOG_LEVEL_INFO, "inStep", "A session's objects are live",
              LOG_I("userNumber", coverage->user));
    if (model->live->restarted &&
        !coverage->told_restart) /* what changed while nobody was there is not known */
        notice_about_user(model, EVENT_GATEWAY_GAP, coverage->user,
                          json_pack("{s:s}", "reason", "restart"));
    notice_session(
        model, coverage->user,
        coverage->lost || (model->live->restarted && !coverage->told_restart) ? "resynced" : "live",
        NULL);
    coverage->lost = 0;
    coverage->told_restart = 1;
}

/* What it kept may be shown by resources that another subscription keeps: those are not live any more, either. */
static void touch_shared(struct coverage *coverage)
{
    struct model *model = coverage->model;
    struct node *node, *next;

    if (HASH_CNT(hh, model->live->users) < 2)
        return;
    HASH_ITER(hh, model->graph.nodes, node, next)
    {
        if (node->covered == coverage->subscription)
            touch(model, node);
    }
    model_commit_later(model);
}

static void deactivate(struct coverage *coverage)
{
    struct live *live = coverage->model->live;

    if (coverage->subscription == 0)
        return;
    HASH_DELETE(by_number, live->active, coverage);
    touch_shared(coverage);
    coverage->subscription = 0;
    coverage->in_step = coverage->twice = 0;
    coverage->lost = 1;
    atomic_store(&session_views[coverage->user].live, 0);
    timer_disarm(coverage->model->loop, &coverage->retry);
    timer_disarm(coverage->model->loop, &coverage->reconcile);
}

static void activate(struct coverage *coverage)
{
    struct live *live = coverage->model->live;

    coverage->subscription = ++live->next_subscription;
    HASH_ADD(by_number, live->active, subscription, sizeof(coverage->subscription), coverage);
    warm(coverage);
    warm_schedule(coverage);
}

void live_restart(struct coverage *coverage)
{
    if (coverage->subscription == 0)
        return;
    deactivate(coverage);
    activate(coverage);
}

void live_lost_events(struct coverage *coverage, const char *reason)
{
    if (coverage->subscription == 0)
        return;
    ++coverage->model->live->num_gaps;
    notice_about_user(coverage->model, EVENT_GATEWAY_GAP, coverage->user,
                      json_pack("{s:s}", "reason", reason));
    live_restart(coverage);
}

void model_on_subscribed(struct model *model, struct session *session)
{
    struct coverage *coverage = live_user(model, session_number(session));

    deactivate(coverage);
    activate(coverage);
}

void model_on_unsubscribed(struct model *model, struct session *session, const char *why)
{
    struct coverage *coverage = live_user(model, session_number(session));
    int was = coverage->subscription != 0;

    deactivate(coverage);
    if (was)
        notice_session(model, coverage->user, "stale", why);
}

void model_on_message(struct model *model, struct session *session, const json_t *message)
{
    apply_message(model, session_number(session), message);
}

#define COMMIT_AT 256 /* events: what is told in one go is published in one go */
void model_on_batch_end(struct model *model)
{
    if (model->live->num_pending >= COMMIT_AT && !timer_is_armed(&model->live->commit_retry))
        model_commit(model, NULL, NULL, NULL);
    else
        model_commit_later(model);
}

/* ---- life ---- */

static void on_commit_due(struct message *message)
{
    struct live *live = (struct live *)((char *)message - offsetof(struct live, commit_due));
    live->commit_scheduled = 0;
    model_commit(live->model, NULL, NULL, NULL);
}

void model_commit_later(struct model *model)
{
    struct live *live = model->live;
    if (live->commit_scheduled)
        return;
    live->commit_scheduled = 1;
    mailbox_send(&model->loop->mailbox, &live->commit_due);
}

static void on_ended(struct timer *timer)
{
    struct live *live = (struct live *)((char *)timer - offsetof(struct live, ended_timer));
    commit_erase_ended(live->model, clock_monotonic_ms());
}

static void on_commit_retry(struct timer *timer)
{
    struct live *live = (struct live *)((char *)timer - offsetof(struct live, commit_retry));
    model_commit(live->model, NULL, NULL, NULL);
}

int live_new(struct model *model, const struct model_settings *settings)
{
    struct live *live = calloc(1, sizeof(*live));

    if (live == NULL)
        return CG_E_NOMEM;
    model->live = live;
    live->model = model;
    live->next_subscription = settings->epoch << 32;
    live->restarted = settings->restarted;
    live->pending_end = &live->pending;
    live->warm_end = &live->warm_first;
    live->ended_calls_end = &live->ended_calls;
    live->ended_timer.on_due = on_ended;
    live->commit_retry.on_due = on_commit_retry;
    live->ended = json_object();
    live->forgotten = json_object();
    live->lineage = json_object();
    live->begun = json_object();
    live->commit_due.on_deliver = on_commit_due;
    return live->ended != NULL && live->forgotten != NULL && live->lineage != NULL &&
                   live->begun != NULL
               ? CG_OK
               : CG_E_NOMEM;
}

static void coverage_free(struct coverage *coverage)
{
    timer_disarm(coverage->model->loop, &coverage->retry);
    timer_disarm(coverage->model->loop, &coverage->reconcile);
    atomic_store(&session_views[coverage->user].live, 0);
    warm_forget(coverage);
    free(coverage);
}

void live_free(struct model *model)
{
    struct live *live = model->live;
    struct coverage *coverage, *next;
    struct pending_event *pending;

    if (live == NULL)
        return;
    force_answer_free(live);
    commit_untouch(model);
    HASH_CLEAR(by_number, live->active);
    HASH_ITER(hh, live->users, coverage, next)
    {
        HASH_DELETE(hh, live->users, coverage);
        coverage_free(coverage);
    }
    while ((pending = live->pending) != NULL) {
        live->pending = pending->next;
        pending_free(pending);
    }
    recent_free(live);
    timer_disarm(model->loop, &live->ended_timer);
    timer_disarm(model->loop, &live->commit_retry);
    commit_forget_ended(live);
    json_decref(live->ended);
    json_decref(live->forgotten);
    json_decref(live->lineage);
    json_decref(live->begun);
    free(live);
    model->live = NULL;
}

void live_get_stats(struct model *model, struct model_stats *stats)
{
    const struct live *live = model->live;
    struct coverage *coverage, *next;

    stats->events = live->num_events;
    stats->event_duplicates = live->num_duplicates;
    stats->event_copies = live->num_copies;
    stats->event_gaps = live->num_gaps;
    stats->event_differences = live->num_differences;
    stats->reconciliations = live->num_reconciled;
    stats->objects = HASH_COUNT(model->graph.nodes);
    HASH_ITER(hh, live->users, coverage, next)
    {
        stats->users_live += (size_t)coverage->in_step;
    }
}

void model_set_publisher(struct model *model,
                         void (*publish)(void *, struct event *const *, size_t), void *data)
{
    model->live->publish = publish;
    model->live->publish_data = data;
}
