#include "gateway/model/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "cctgate/secret.h"

/* ---- outcomes ---- */

struct fetch_outcome *fetch_outcome_new(const struct outcome_detail *detail)
{
    struct fetch_outcome *outcome = calloc(1, sizeof(*outcome));
    if (outcome == NULL)
        abort();
    atomic_init(&outcome->references, 1);
    outcome->rc = detail->rc;
    outcome->retry_after_ms = detail->retry_after_ms;
    snprintf(outcome->service, sizeof(outcome->service), "%s",
             detail->service != NULL ? detail->service : "");
    snprintf(outcome->operation, sizeof(outcome->operation), "%s",
             detail->operation != NULL ? detail->operation : "");
    snprintf(outcome->fault, sizeof(outcome->fault), "%s",
             detail->fault != NULL ? detail->fault : "");
    snprintf(outcome->detail, sizeof(outcome->detail), "%s",
             detail->detail != NULL ? detail->detail : "");
    return outcome;
}

struct fetch_outcome *fetch_outcome_ref(struct fetch_outcome *outcome)
{
    atomic_fetch_add(&outcome->references, 1);
    return outcome;
}

void fetch_outcome_unref(struct fetch_outcome **outcome)
{
    if (*outcome != NULL && atomic_fetch_sub(&(*outcome)->references, 1) == 1) {
        secret_wipe(&(*outcome)->unkept);
        free(*outcome);
    }
    *outcome = NULL;
}

/* ---- nodes ---- */

static void fetch_free(struct fetch *fetch)
{
    graph_free(&fetch->own);
    secret_wipe(&fetch->unkept);
    free(fetch->id);
    free(fetch);
}

/* ---- calls ---- */

static void launch(struct fetch *fetch, struct node *node, const char *after);
static void pump(struct fetch *fetch);

static void enqueue(struct fetch *fetch, struct node *node, size_t step)
{
    struct step_call *call = calloc(1, sizeof(*call));
    if (call == NULL)
        abort();
    call->fetch = fetch;
    call->node = node;
    call->step = step;
    *fetch->queued_end = call;
    fetch->queued_end = &call->next;
}

/* What the model has already, kept fresh by events, is not asked for. */
static int take_known(struct fetch *fetch, struct node *node, const struct plan_step *step);

static void launch(struct fetch *fetch, struct node *node, const char *after)
{
    size_t i;
    for (i = 0; i < plan_num_steps; ++i)
        if (step_applies(&fetch->own, node, &plan_steps[i], fetch->kind, after) &&
            fetch->model->operations[i] != NULL && !take_known(fetch, node, &plan_steps[i]))
            enqueue(fetch, node, i);
}

struct node *fetch_node(struct fetch *fetch, enum entity kind, json_t *handle)
{
    const char *id = handle_id(kind, handle);
    struct node *node;

    if (id == NULL)
        return NULL;
    if ((node = graph_find(&fetch->own, kind, id)) == NULL) {
        node = graph_get(&fetch->own, kind, id, handle);
        *fetch->nodes_end = node;
        fetch->nodes_end = &node->next;
        launch(fetch, node, NULL);
    }
    return node;
}

/*
 * One handle, or an array of them: the facts keep each id once, the handles become nodes. A null or empty entry is nobody. The
 * links are counted, since a hostile answer could name everything everywhere.
 */
static json_t *take_handles(struct fetch *fetch, enum entity kind, json_t *handles)
{
    json_t *seen = json_object(), *ids = json_array(), *handle;
    size_t i;
    json_array_foreach(handles, i, handle)
    {
        struct node *child =
            ++fetch->links <= CG_FETCH_LINKS_MAX ? fetch_node(fetch, kind, handle) : NULL;
        if (child == NULL || json_object_get(seen, child->id) != NULL)
            continue;
        json_object_set_new(seen, child->id, json_true());
        json_array_append_new(ids, json_string(child->id));
    }
    json_decref(seen);
    return ids;
}

static void take_children(struct fetch *fetch, struct node *node, const struct plan_step *step,
                          json_t *value)
{
    if (json_is_array(value)) {
        json_object_set_new(node->facts, step->field, take_handles(fetch, step->child, value));
    } else {
        struct node *child = fetch_node(fetch, step->child, value);
        json_object_set_new(node->facts, step->field,
                            child != NULL ? json_string(child->id) : json_null());
    }
    launch(fetch, node, step->field);
}

/* The handles of what the model has under the field: one, or a list. NULL: it has none of somebody, so that the field has to be read. */
static json_t *known_handles(struct fetch *fetch, enum entity kind, json_t *value)
{
    json_t *handles, *handle, *one;
    const char *id;

    if (json_is_string(value))
        return json_incref(handle_find(fetch->model, kind, json_string_value(value)));
    handles = json_array();
    json_object_foreach(value, id, one)
    {
        if ((handle = handle_find(fetch->model, kind, id)) == NULL) {
            json_decref(handles);
            return NULL;
        }
        json_array_append(handles, handle);
    }
    return handles;
}

static int take_known(struct fetch *fetch, struct node *node, const struct plan_step *step)
{
    const struct node *known = graph_find(&fetch->model->graph, node->kind, node->id);
    json_t *value, *handles;

    if (fetch->force || known == NULL || !fact_is_fresh(fetch->model, known, step->field))
        return 0;
    value = json_object_get(known->facts, step->field);
    if (step->child == ENTITY_NONE || json_is_null(value)) {
        json_object_set(node->facts, step->field, value);
        return 1;
    }
    if ((handles = known_handles(fetch, step->child, value)) == NULL)
        return 0;
    take_children(fetch, node, step, handles);
    json_decref(handles);
    return 1;
}

static void take_result(struct fetch *fetch, struct node *node, const struct plan_step *step,
                        json_t *result)
{
    json_t *value = json_object_get(result, step->result);
    if (value == NULL)
        value = json_object_get(result, "value");
    if (step->child != ENTITY_NONE && value != NULL)
        take_children(fetch, node, step, value);
    else if (value != NULL)
        json_object_set(node->facts, step->field, value);
}

struct fetch_outcome *model_outcome(const struct session_outcome *outcome)
{
    struct outcome_detail detail = {
        outcome->rc, outcome->op->service->name, outcome->op->name, NULL,
        NULL,        outcome->retry_after_ms};

    if (outcome->fault != NULL && outcome->fault->name != NULL) {
        detail.fault = outcome->fault->name;
        detail.detail = outcome->fault->message;
    } else {
        detail.detail = codec_error_told(outcome->error);
    }
    return fetch_outcome_new(&detail);
}

static void fail(struct fetch *fetch, const struct session_outcome *outcome)
{
    struct fetch_outcome *shared = model_outcome(outcome);

    log_write(LOG_LEVEL_WARNING, "upstreamCallFailed", "An upstream call failed",
              LOG_S("service", shared->service), LOG_S("operation", shared->operation),
              LOG_S("reason", cg_error_name(shared->rc)),
              LOG_S("fault", shared->fault[0] != '\0' ? shared->fault : NULL),
              LOG_S("detail", shared->fault[0] == '\0' && outcome->error != NULL
                                  ? outcome->error->text
                                  : NULL));
    fetch_end(fetch, shared);
    fetch_outcome_unref(&shared);
}

static void fail_with(struct fetch *fetch, int rc, const char *text)
{
    struct outcome_detail detail = {rc, NULL, NULL, NULL, text, 0};
    struct fetch_outcome *outcome = fetch_outcome_new(&detail);
    fetch_end(fetch, outcome);
    fetch_outcome_unref(&outcome);
}

static void complete(struct fetch *fetch)
{
    struct outcome_detail detail = {fetch_store(fetch), NULL, NULL, NULL, NULL, 0};
    struct fetch_outcome *outcome = fetch_outcome_new(&detail);

    outcome->was_asked = fetch->calls > 0;
    outcome->unkept = fetch->unkept;
    fetch->unkept = NULL;
    fetch_end(fetch, outcome);
    fetch_outcome_unref(&outcome);
}

/*
 * A declared fault of such a step says that the object has gone. Not so of the call itself while events keep it: they
 * would have told, unless a command has just ended it. Then it is the read that failed, and the lists are asked whether the call is there.
 */
static int is_gone(struct fetch *fetch, const struct node *node, const struct plan_step *step,
                   const struct session_outcome *outcome)
{
    const struct node *known = graph_find(&fetch->model->graph, node->kind, node->id);

    if (outcome->rc != CG_E_FAULT || !outcome->fault->declared || step->on_fault != FAULT_GONE)
        return 0;
    if (node->kind != ENTITY_CONTACT || known == NULL ||
        live_coverage(fetch->model, known->covered) == NULL || node_is_dirty(known, "connections"))
        return 1;
    live_verify_calls(fetch->model, fetch->user);
    return 0;
}

static void on_called(void *data, const struct session_outcome *outcome)
{
    struct step_call *call = data;
    struct fetch *fetch = call->fetch;
    struct node *node = call->node;
    const struct plan_step *step = &plan_steps[call->step];
    uint64_t since = call->since;

    free(call);
    --fetch->in_flight;
    if (fetch->ended) {
        if (fetch->in_flight == 0)
            fetch_free(fetch);
        return;
    }
    if (sessions_find(fetch->model->sessions, fetch->user) == NULL) {
        fail_with(fetch, CG_E_SESSION, "the session is no longer configured");
        return;
    }
    if (fetch->first_answer_at_ms == 0)
        fetch->first_answer_at_ms = clock_steady_ms();
    json_object_set_new(node->stamps, step->field, json_integer((json_int_t)since));
    if (outcome->rc == CG_OK)
        take_result(fetch, node, step, outcome->result);
    else if (is_gone(fetch, node, step, outcome))
        node->gone = 1;
    else if (outcome->rc == CG_E_FAULT && outcome->fault->declared &&
             step->on_fault == FAULT_ABSENT) {
        fetch->incomplete = 1;
        json_object_set_new(node->facts, step->field, json_null());
    } else {
        fail(fetch, outcome);
        return;
    }
    pump(fetch);
}

static void start_call(struct fetch *fetch, struct step_call *call)
{
    struct model *model = fetch->model;
    const struct plan_step *step = &plan_steps[call->step];
    json_t *arguments = json_object();
    uint32_t user =
        is_rights(step->field) ? rights_user(model, call->node, fetch->user) : fetch->user;

    if (user != fetch->user)
        node_dirty(call->node, step->field, user); /* in a fetch: who was asked */
    if (step->argument != NULL)
        json_object_set(arguments, step->argument, call->node->handle);
    call->since = live_clock(model);
    ++fetch->in_flight;
    ++fetch->calls;
    ++model->num_calls;
    session_call(sessions_find(model->sessions, user), model->operations[call->step], arguments, 0,
                 fetch->traceparent[0] != '\0' ? fetch->traceparent : NULL, on_called, call);
    json_decref(arguments);
}

static struct step_call *next_queued(struct fetch *fetch)
{
    struct step_call *call = fetch->queued;
    if ((fetch->queued = call->next) == NULL)
        fetch->queued_end = &fetch->queued;
    return call;
}

static void pump(struct fetch *fetch)
{
    while (fetch->queued != NULL && fetch->in_flight < fetch->window) {
        struct step_call *call;
        if (fetch->calls >= CG_FETCH_CALLS_MAX || fetch->links > CG_FETCH_LINKS_MAX) {
            fail_with(fetch, CG_E_LIMIT,
                      "the resource is made of more parts than one read may cost");
            return;
        }
        call = next_queued(fetch);
        if (call->node->gone)
            free(call);
        else
            start_call(fetch, call);
    }
    if (fetch->in_flight == 0 && fetch->queued == NULL)
        complete(fetch);
}

/* ---- beginning and end ---- */

static void fetch_key(struct model *model, const char *key, size_t key_length, int force,
                      const char *traceparent, struct fetch_waiter *waiter);

/* Those who wanted everything asked anew, when part of it had been taken as known already. */
static void ask_again(struct fetch *fetch, struct fetch_outcome *outcome)
{
    struct fetch_waiter *waiter, *next;
    for (waiter = fetch->later; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (outcome->rc == CG_E_SHUTDOWN)
            waiter->on_done(waiter, outcome);
        else
            fetch_key(fetch->model, fetch->key, fetch->key_length, 1, fetch->traceparent, waiter);
    }
    fetch->later = NULL;
}

void fetch_end(struct fetch *fetch, struct fetch_outcome *outcome)
{
    struct model *model = fetch->model;
    struct fetch_waiter *waiter, *next;

    fetch->ended = 1;
    model->num_failures += outcome->rc != CG_OK;
    HASH_DELETE(hh, model->fetches, fetch);
    while (fetch->queued != NULL)
        free(next_queued(fetch));
    for (waiter = fetch->waiters; waiter != NULL; waiter = next) {
        next = waiter->next;
        waiter->found = outcome->rc == CG_OK && fetch->first != NULL ? fetch->first->facts : NULL;
        waiter->on_done(waiter, outcome);
    }
    ask_again(fetch, outcome);
    if (fetch->in_flight == 0)
        fetch_free(fetch);
}

/*
 * Any owner's session will do. One that is up is better than one that is not, and a session of the object's own user better
 * than one that many share, which the vendor does not support; the lowest number makes it the same one each time.
 */
static int rank(const struct session *session)
{
    int up = atomic_load(&session_views[session_number(session)].state) == SESSION_UP;
    return 1 + 2 * up + !session_is_shared(session);
}

static uint32_t choose_user(struct fetch *fetch)
{
    struct model *model = fetch->model;
    const uint32_t *owners;
    size_t num_owners = 0, i;
    uint32_t chosen = 0;
    int best = 0;

    if (store_read_begin(model->reader) != CG_OK)
        return 0;
    if (store_owners(model->reader, plan_record(plan_root(fetch->kind)), fetch->id,
                     fetch->id_length, &owners, &num_owners) != CG_OK)
        num_owners = 0;
    for (i = 0; i < num_owners; ++i) {
        const struct session *session = sessions_find(model->sessions, owners[i]);
        if (session != NULL && rank(session) > best) {
            best = rank(session);
            chosen = owners[i];
        }
    }
    store_read_end(model->reader);
    return chosen;
}

static void begin_at_user(struct fetch *fetch, struct session *session)
{
    json_t *handle = json_pack("{s:s}", "user", session_user(session));
    fetch_node(fetch, ENTITY_USER, handle);
    json_decref(handle);
}

static void add_held(struct fetch *fetch, enum entity kind, json_t *names)
{
    json_t *name;
    size_t i;
    json_array_foreach(names, i, name)
    {
        json_t *handle = handle_find(fetch->model, kind, json_string_value(name));
        if (handle != NULL)
            fetch_node(fetch, kind, handle);
    }
}

static void on_dependency(struct fetch_waiter *waiter, struct fetch_outcome *outcome);

static void depend_on(struct fetch *fetch, enum record_kind kind, struct session *session)
{
    const char *user = session_user(session);
    fetch->depended = 1;
    fetch->dependency.on_done = on_dependency;
    ++fetch->in_flight; /* keeps the struct */
    model_fetch(fetch->model,
                &(struct model_wanted){kind, user, strlen(user), 0, fetch->traceparent},
                &fetch->dependency);
}

static int lists_are_recent(const struct fetch *fetch, const struct holdings *holdings)
{
    return holdings->terminals != NULL && clock_steady_ms() - holdings->read_at_ms <=
                                              (int64_t)fetch->model->config->cache.ttl_ms[TTL_USER];
}

/* 1: the fetch is under way, or waits for another; 0: the object is not known */
static int begin(struct fetch *fetch, struct session *session)
{
    enum entity root = plan_root(fetch->kind);
    struct holdings *holdings = holdings_of(fetch->model, fetch->user);
    json_t *handle;

    if (fetch->kind == RECORD_USER) {
        begin_at_user(fetch, session);
        return 1;
    }
    if (fetch->kind == RECORD_USER_CALLS) {
        if (!lists_are_recent(fetch, holdings) && !fetch->depended) {
            depend_on(fetch, RECORD_USER, session);
            return 1;
        }
        begin_at_user(fetch, session);
        add_held(fetch, ENTITY_TERMINAL, holdings->terminals);
        add_held(fetch, ENTITY_ADDRESS, holdings->addresses);
        return 1;
    }
    if ((handle = handle_find(fetch->model, root, fetch->id)) != NULL) {
        fetch_node(fetch, root, handle);
        return 1;
    }
    if (fetch->depended)
        return 0;
    depend_on(fetch, root == ENTITY_CONTACT ? RECORD_USER_CALLS : RECORD_USER, session);
    return 1;
}

static void fetch_begin(struct fetch *fetch)
{
    struct session *session;

    if (fetch->kind == RECORD_USER || fetch->kind == RECORD_USER_CALLS)
        session = sessions_find_by_name(fetch->model->sessions, fetch->id);
    else if (fetch->depended)
        session = sessions_find(fetch->model->sessions,
                                fetch->user); /* whose lists have just been read */
    else
        session = sessions_find(fetch->model->sessions, choose_user(fetch));
    if (session == NULL) {
        fail_with(fetch, CG_E_NOTFOUND, NULL);
        return;
    }
    fetch->user = session_number(session);
    fetch->since = live_clock(fetch->model);
    fetch->covering = live_subscription(fetch->model, fetch->user);
    if (!begin(fetch, session))
        fail_with(fetch, CG_E_NOTFOUND, NULL);
    else if (fetch->in_flight == 0)
        pump(fetch);
}

static void on_dependency(struct fetch_waiter *waiter, struct fetch_outcome *outcome)
{
    struct fetch *fetch = (struct fetch *)((char *)waiter - offsetof(struct fetch, dependency));
    --fetch->in_flight;
    if (fetch->ended) {
        if (fetch->in_flight == 0)
            fetch_free(fetch);
        return;
    }
    if (outcome->rc != CG_OK)
        fetch_end(fetch, outcome);
    else
        fetch_begin(fetch);
}

struct starter {
    struct message message;
    struct model *model;
    size_t key_length;
    char key[1 + CG_ID_BYTES_MAX];
};

/* A fetch starts on the next turn, so that on_done never runs inside model_fetch. */
static void on_start(struct message *message)
{
    struct starter *starter = (struct starter *)message;
    struct fetch *fetch;
    HASH_FIND(hh, starter->model->fetches, starter->key, starter->key_length, fetch);
    if (fetch != NULL && fetch->first == NULL && !fetch->depended)
        fetch_begin(fetch);
    free(starter);
}

static struct fetch *fetch_new(struct model *model, const char *key, size_t key_length, int force)
{
    struct fetch *fetch = calloc(1, sizeof(*fetch) + key_length);
    struct starter *starter = calloc(1, sizeof(*starter));
    /* what one object is made of may take all places: each wait would be a round trip more; a floor's calls may not */
    unsigned window = (enum record_kind)(unsigned char)key[0] == RECORD_USER_CALLS
                          ? model->config->upstream.max_concurrent / 2
                          : model->config->upstream.max_concurrent;

    if (fetch == NULL || starter == NULL || (fetch->id = calloc(1, key_length)) == NULL)
        abort();
    memcpy(fetch->id, key + 1, key_length - 1);
    fetch->model = model;
    fetch->force = force;
    fetch->kind = (enum record_kind)(unsigned char)key[0];
    fetch->id_length = key_length - 1;
    fetch->started_at_ms = clock_steady_ms();
    fetch->waiters_end = &fetch->waiters;
    fetch->nodes_end = &fetch->first;
    fetch->queued_end = &fetch->queued;
    fetch->window = window < 4 ? 4 : window;
    fetch->key_length = key_length;
    memcpy(fetch->key, key, key_length);
    HASH_ADD_KEYPTR(hh, model->fetches, fetch->key, key_length, fetch);
    starter->message.on_deliver = on_start;
    starter->model = model;
    starter->key_length = key_length;
    memcpy(starter->key, key, key_length);
    mailbox_send(&model->loop->mailbox, &starter->message);
    return fetch;
}

static void fetch_key(struct model *model, const char *key, size_t key_length, int force,
                      const char *traceparent, struct fetch_waiter *waiter)
{
    struct fetch *fetch;

    HASH_FIND(hh, model->fetches, key, key_length, fetch);
    waiter->collapsed = fetch != NULL;
    if (fetch == NULL) {
        fetch = fetch_new(model, key, key_length, force);
        snprintf(fetch->traceparent, sizeof(fetch->traceparent), "%s",
                 traceparent != NULL ? traceparent : "");
        ++model->num_fetches;
    } else {
        ++model->num_collapsed;
        if (fetch->first == NULL)
            fetch->force =
                force > fetch->force ? force : fetch->force; /* it has not begun to ask */
        else if (force > fetch->force || force == FETCH_FROM_NOW) {
            waiter->next = fetch->later;
            fetch->later = waiter;
            return;
        }
    }
    waiter->next = NULL;
    *fetch->waiters_end = waiter;
    fetch->waiters_end = &waiter->next;
}

static size_t make_key(char *key, enum record_kind kind, const char *id, size_t id_length)
{
    if (id_length > CG_ID_BYTES_MAX)
        abort(); /* the callers check what clients send */
    key[0] = (char)kind;
    memcpy(key + 1, id, id_length);
    return id_length + 1;
}

void model_fetch(struct model *model, const struct model_wanted *wanted,
                 struct fetch_waiter *waiter)
{
    char key[1 + CG_ID_BYTES_MAX];
    size_t length = make_key(key, wanted->kind, wanted->id, wanted->id_length);
    fetch_key(model, key, length, wanted->anew, wanted->traceparent, waiter);
}
