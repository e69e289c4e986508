/* Graph to store: records of what was touched, owners and events in one transaction, then the events are published. */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/freshness.h"
#include "cctgate/log.h"
#include "gateway/model/live.h"

#define EVICT_RECORDS 1000
#define TRIM_ENTRIES  4096
#define LOG_SHARE     3      /* of the map, for the log at most: one part of so many */
#define LOG_GIVES     10     /* when the map is full: one part of so many */
#define PENDING_MAX   100000 /* events that wait for a store that refuses */
#define RETRY_MS      1000

static const enum config_ttl ttl_of_kind[RECORD_KINDS] = {
    [RECORD_AGENT] = TTL_AGENT,
    [RECORD_TERMINAL] = TTL_TERMINAL,
    [RECORD_ADDRESS] = TTL_ADDRESS,
    [RECORD_CALL] = TTL_CALL,
    [RECORD_USER] = TTL_USER,
    [RECORD_AGENT_CAPABILITIES] = TTL_CAPABILITIES,
    [RECORD_TERMINAL_CAPABILITIES] = TTL_CAPABILITIES,
    [RECORD_ADDRESS_CAPABILITIES] = TTL_CAPABILITIES,
    [RECORD_CALL_CAPABILITIES] = TTL_CAPABILITIES,
    [RECORD_CALL_DATA] = TTL_CALL,
    [RECORD_CALL_INTRINSICS] = TTL_CALL,
    [RECORD_CALL_UUI] = TTL_CALL,
    [RECORD_CALL_MESSAGES] = TTL_CALL,
    [RECORD_USER_CALLS] = TTL_CALL,
};

/* The resources of an object, by what it is. */
#define BIT(kind) (1u << (kind))
static const unsigned kinds_of_entity[ENTITIES] = {
    [ENTITY_USER] = BIT(RECORD_USER),
    [ENTITY_AGENT] = BIT(RECORD_AGENT) | BIT(RECORD_AGENT_CAPABILITIES),
    [ENTITY_TERMINAL] = BIT(RECORD_TERMINAL) | BIT(RECORD_TERMINAL_CAPABILITIES),
    [ENTITY_ADDRESS] = BIT(RECORD_ADDRESS) | BIT(RECORD_ADDRESS_CAPABILITIES),
    [ENTITY_CONTACT] = BIT(RECORD_CALL) | BIT(RECORD_CALL_CAPABILITIES) | BIT(RECORD_CALL_DATA) |
                       BIT(RECORD_CALL_INTRINSICS) | BIT(RECORD_CALL_UUI) |
                       BIT(RECORD_CALL_MESSAGES),
};

struct commit {
    struct model *model;
    struct store_txn *txn;
    struct fetch *fetch; /* whose record is among them; NULL: none */
    const char *body;    /* of that record */
    json_t *calls;       /* of its user, where it read those */
    uint64_t number;
    int rc;
};

uint32_t model_random(struct model *model)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (uint32_t)(model->random >> 16);
}

/* A composite that shows capabilities is no fresher than they are; a call's capabilities are no fresher than the call. */
static int64_t time_to_live_ms(struct model *model, enum record_kind kind)
{
    const unsigned *ttl = model->config->cache.ttl_ms;
    unsigned ms = ttl[ttl_of_kind[kind]];

    if ((kind == RECORD_AGENT || kind == RECORD_TERMINAL || kind == RECORD_ADDRESS ||
         kind == RECORD_CALL) &&
        ttl[TTL_CAPABILITIES] < ms)
        ms = ttl[TTL_CAPABILITIES];
    if (kind == RECORD_CALL_CAPABILITIES && ttl[TTL_CALL] < ms)
        ms = ttl[TTL_CALL];
    return freshness_jitter(ms, model->config->cache.jitter_percent, model_random(model));
}

/*
 * When the facts were true: when the fetch began, or, where it had to wait for the session first and everything was answered
 * inside it, when the session came up.
 */
static int64_t fetched_at(const struct fetch *fetch)
{
    struct freshness_source source = session_view_source(fetch->user);
    if (source.healthy_since_ms > fetch->started_at_ms &&
        fetch->first_answer_at_ms >= source.healthy_since_ms)
        return source.healthy_since_ms;
    return fetch->started_at_ms;
}

/* ---- records ---- */

/* Who keeps it up to date, and whether all of it is known. */
static void describe_cover(struct commit *commit, struct node *root, enum record_kind kind,
                           struct record *record)
{
    const struct coverage *coverage = live_coverage(commit->model, root->covered);

    if (coverage == NULL || kind == RECORD_CALL_MESSAGES)
        return; /* no event tells of messages: they have a time-to-live */
    if (kind == RECORD_USER_CALLS || resource_is_complete(commit->model, kind, root)) {
        record->covered = root->covered;
        record->user = coverage->user;
    } else {
        record->flags |= RECORD_DIRTY;
    }
}

static int put_record(struct commit *commit, enum record_kind kind, const char *id,
                      size_t id_length, struct record *record)
{
    struct record before;
    int rc = store_txn_get(commit->txn, kind, id, id_length, &before);

    record->version = 0;
    if (rc == CG_OK && before.body_length == record->body_length &&
        memcmp(before.body, record->body, record->body_length) == 0)
        record->version =
            before.version; /* nothing changed: what clients hold is still what it is */
    return store_put(commit->txn, kind, id, id_length, record);
}

static int put_fetched(struct commit *commit)
{
    struct fetch *fetch = commit->fetch;
    struct node *root = graph_find(&commit->model->graph, plan_root(fetch->kind), fetch->id);
    struct record record = {0};

    if (!keeps_kind(commit->model, fetch->kind))
        return store_delete(commit->txn, fetch->kind, fetch->id, fetch->id_length);
    record.fetched_at_ms = fetched_at(fetch);
    record.expires_at_ms = record.fetched_at_ms + time_to_live_ms(commit->model, fetch->kind);
    record.user = fetch->user;
    record.provenance = PROVENANCE_FETCH;
    record.body = commit->body;
    record.body_length = strlen(commit->body);
    if (fetch->kind == RECORD_USER_CALLS && fetch->incomplete)
        record.expires_at_ms =
            record.fetched_at_ms; /* good for what it holds, not for what it lacks */
    else if (fetch->kind == RECORD_USER_CALLS)
        record.covered =
            live_coverage(commit->model, fetch->covering) != NULL ? fetch->covering : 0;
    else
        describe_cover(commit, root, fetch->kind, &record);
    root->kept |= BIT(fetch->kind);
    root->absent &= ~BIT(fetch->kind);
    return put_record(commit, fetch->kind, fetch->id, fetch->id_length, &record);
}

/* It is of this process, so that it can be made anew from the graph. */
static int put_known(struct commit *commit, struct node *root, enum record_kind kind)
{
    size_t length = strlen(root->id);
    json_t *resource = render(commit->model, kind, root);
    char *body = resource != NULL ? json_dumps(resource, JSON_COMPACT) : NULL;
    const struct coverage *coverage;
    struct record record = {0}, before;
    int rc;

    json_decref(resource);
    if (body == NULL)
        return CG_E_NOMEM;
    record.fetched_at_ms = clock_steady_ms();
    record.expires_at_ms = record.fetched_at_ms + time_to_live_ms(commit->model, kind);
    if (store_txn_get(commit->txn, kind, root->id, length, &before) == CG_OK)
        record = (struct record){.fetched_at_ms = before.fetched_at_ms,
                                 .expires_at_ms = before.expires_at_ms,
                                 .user = before.user};
    else if ((coverage = live_coverage(commit->model, root->covered)) != NULL)
        record.user = coverage->user;
    record.body = body;
    record.body_length = strlen(body);
    record.provenance = PROVENANCE_EVENT;
    describe_cover(commit, root, kind, &record);
    if (record.covered != 0) {
        record.fetched_at_ms = clock_steady_ms();
        record.expires_at_ms = record.fetched_at_ms + time_to_live_ms(commit->model, kind);
    } else {
        record.flags |= RECORD_DIRTY;
    }
    rc = record.user != 0 ? put_record(commit, kind, root->id, length, &record) : CG_OK;
    free(body);
    return rc;
}

/* It is of an earlier process, and no longer true: whoever wants it reads it anew. */
static int spoil(struct commit *commit, struct node *root, enum record_kind kind)
{
    size_t length = strlen(root->id);
    struct record record;
    char *body;
    int rc = store_txn_get(commit->txn, kind, root->id, length, &record);

    if (rc != CG_OK) {
        root->absent |= BIT(kind);
        return rc == CG_E_NOTFOUND || rc == CG_E_CORRUPT ? CG_OK : rc;
    }
    if (record.flags & RECORD_DIRTY)
        return CG_OK;
    if ((body = malloc(record.body_length + 1)) == NULL)
        return CG_E_NOMEM;
    memcpy(body, record.body, record.body_length);
    record.body = body;
    record.flags |= RECORD_DIRTY;
    record.covered = 0;
    rc = store_put(commit->txn, kind, root->id, length, &record);
    free(body);
    return rc;
}

static int forget_kind(struct commit *commit, struct node *root, enum record_kind kind)
{
    root->kept &= ~BIT(kind);
    root->absent |= BIT(kind);
    return store_delete(commit->txn, kind, root->id, strlen(root->id));
}

static int give_up(struct commit *commit, struct node *root, enum record_kind kind)
{
    log_write(LOG_LEVEL_WARNING, "recordTooLarge", "A resource is too large to be kept",
              LOG_S("id", root->id), LOG_I("recordKind", kind));
    return forget_kind(commit, root, kind);
}

static int is_the_fetchs(const struct commit *commit, const struct node *root,
                         enum record_kind kind)
{
    return commit->fetch != NULL && commit->fetch->kind == kind &&
           strcmp(commit->fetch->id, root->id) == 0;
}

static void refresh_root(void *data, struct node *root)
{
    struct commit *commit = data;
    unsigned kinds = kinds_of_entity[root->kind];
    unsigned kind;

    if (commit->rc != CG_OK || root->ended || root->refreshed == commit->number)
        return;
    root->refreshed = commit->number;
    if (root->kind == ENTITY_CONTACT && live_coverage(commit->model, root->covered) != NULL)
        root->kept |=
            BIT(RECORD_CALL); /* events alone make it known: lists and snapshots show it */
    for (kind = 1; kind < RECORD_KINDS && commit->rc == CG_OK; ++kind) {
        if (!(kinds & BIT(kind)) || (root->absent & ~root->kept & BIT(kind)) ||
            is_the_fetchs(commit, root, (enum record_kind)kind))
            continue;
        if (!keeps_kind(commit->model, (enum record_kind)kind)) { /* it was, until a reload */
            commit->rc = forget_kind(commit, root, (enum record_kind)kind);
            continue;
        }
        commit->rc = root->kept & BIT(kind) ? put_known(commit, root, (enum record_kind)kind)
                                            : spoil(commit, root, (enum record_kind)kind);
        if (commit->rc == CG_E_LIMIT) /* that one cannot be kept; whoever wants it is told so */
            commit->rc = give_up(commit, root, (enum record_kind)kind);
    }
}

/* ---- calls: who sees them, and their end ---- */

static int own_call(struct commit *commit, const struct node *contact)
{
    size_t i;
    int rc = CG_OK;
    for (i = 0; i < contact->num_former && rc == CG_OK; ++i)
        if (!node_has_user(contact, contact->former[i]))
            rc = store_remove_owner(commit->txn, RECORD_CALL, contact->id, strlen(contact->id),
                                    contact->former[i]);
    for (i = 0; i < contact->num_users && rc == CG_OK; ++i)
        rc = store_add_owner(commit->txn, RECORD_CALL, contact->id, strlen(contact->id),
                             contact->users[i]);
    return rc;
}

static int delete_kinds(struct commit *commit, const char *id, unsigned but)
{
    unsigned kind;
    int rc = CG_OK;
    for (kind = 1; kind < RECORD_KINDS && rc == CG_OK; ++kind)
        if (kinds_of_entity[ENTITY_CONTACT] & BIT(kind) & ~but)
            rc = store_delete(commit->txn, (enum record_kind)kind, id, strlen(id));
    return rc;
}

static int disown(struct commit *commit, const char *id, const uint32_t *users, size_t num_users)
{
    size_t i;
    int rc = CG_OK;
    for (i = 0; i < num_users && rc == CG_OK; ++i)
        rc = store_remove_owner(commit->txn, RECORD_CALL, id, strlen(id), users[i]);
    return rc;
}

/* As it is now, without legs, and said to be over: a malloc'd text. */
static char *ended_body(struct model *model, const struct node *contact)
{
    json_t *call = render(model, RECORD_CALL, contact);
    char *text;

    json_object_set_new(call, "ended", json_true());
    text = call != NULL ? json_dumps(call, JSON_COMPACT) : NULL;
    json_decref(call);
    return text;
}

/* For a while it can still be read by its id, as what it was, but is in no list. */
static int keep_ended(struct commit *commit, const struct node *contact)
{
    struct record record;
    size_t length = strlen(contact->id);
    char *body;
    int rc = store_txn_get(commit->txn, RECORD_CALL, contact->id, length, &record);

    if (rc != CG_OK)
        return rc == CG_E_NOTFOUND || rc == CG_E_CORRUPT ? CG_OK : rc;
    if ((body = ended_body(commit->model, contact)) == NULL)
        return CG_E_NOMEM;
    record.body = body;
    record.body_length = strlen(body);
    record.version = 0;
    record.covered = 0;
    record.flags = RECORD_ENDED;
    record.fetched_at_ms = clock_steady_ms();
    record.expires_at_ms = record.fetched_at_ms + commit->model->config->cache.ended_call_ms;
    rc = store_put(commit->txn, RECORD_CALL, contact->id, length, &record);
    free(body);
    return rc;
}

static int forget_call(struct commit *commit, const struct node *contact)
{
    int keeps = commit->model->config->cache.ended_call_ms > 0 && !contact->unseen &&
                (contact->kept & BIT(RECORD_CALL));
    int rc = delete_kinds(commit, contact->id, keeps ? BIT(RECORD_CALL) : 0);

    if (rc == CG_OK)
        rc = disown(commit, contact->id, contact->former, contact->num_former);
    if (rc != CG_OK)
        return rc;
    return keeps ? keep_ended(commit, contact)
                 : disown(commit, contact->id, contact->users, contact->num_users);
}

/* ---- owners as a user's lists say ---- */

static int set_owned(struct commit *commit, enum record_kind kind, const json_t *ids)
{
    size_t count = json_object_size(ids), i = 0;
    const char **names = calloc(count + 1, sizeof(*names)), *id;
    json_t *entry;
    int rc;

    if (names == NULL)
        return CG_E_NOMEM;
    json_object_foreach((json_t *)ids, id, entry) names[i++] = id;
    rc = store_set_owned(commit->txn, kind, commit->fetch->user, names, count);
    free(names);
    return rc;
}

static int put_owned(struct commit *commit)
{
    const struct node *user;
    size_t i;
    int rc = CG_OK;

    if (commit->fetch->kind == RECORD_USER_CALLS)
        return set_owned(commit, RECORD_CALL, commit->calls);
    if (commit->fetch->kind != RECORD_USER)
        return CG_OK;
    user = graph_find(&commit->model->graph, ENTITY_USER, commit->fetch->id);
    for (i = 0; i < PLAN_OWNED && rc == CG_OK; ++i)
        rc = set_owned(commit, plan_owned[i].record,
                       json_object_get(user->facts, plan_owned[i].field));
    return rc;
}

/* ---- events ---- */

static int append_events(struct commit *commit)
{
    struct live *live = commit->model->live;
    struct store_log_bounds bounds;
    struct pending_event *pending;
    int rc = CG_OK;

    store_log_txn_bounds(commit->txn, &bounds);
    for (pending = live->pending; pending != NULL && rc == CG_OK; pending = pending->next) {
        uint64_t seq = bounds.last + 1;
        size_t length;
        void *entry;
        event_unref(&pending->event);
        keep_out_of_event(commit->model, pending->type, pending->property, pending->data);
        if ((pending->event = pending_make(pending, bounds.epoch, seq)) == NULL) {
            pending_is_too_large(pending);
            pending->event = pending_make(pending, bounds.epoch, seq);
        }
        if (pending->event == NULL)
            return CG_E_NOMEM;
        if ((entry = event_encode(pending->event, &length)) == NULL)
            return CG_E_NOMEM;
        rc = store_log_append(commit->txn, entry, length, &bounds.last);
        free(entry);
    }
    return rc;
}

/* What the configuration says, but never so much that the log would crowd out what it is about. */
static uint64_t log_bytes_max(const struct config *config)
{
    uint64_t wanted = (uint64_t)config->data.event_log_max_mib << 20;
    uint64_t share = ((uint64_t)config->data.map_size_mib << 20) / LOG_SHARE;
    return wanted < share ? wanted : share;
}

static int trim(struct commit *commit)
{
    unsigned dropped;
    return store_log_trim(commit->txn, commit->model->config->data.event_log_max_events,
                          log_bytes_max(commit->model->config), TRIM_ENTRIES, &dropped);
}

static void publish(struct model *model)
{
    struct live *live = model->live;
    struct event **events = calloc(live->num_pending + 1, sizeof(*events));
    struct pending_event *pending;
    size_t count = 0, i;

    if (events == NULL)
        abort();
    while ((pending = live->pending) != NULL) {
        live->pending = pending->next;
        if (pending->event != NULL)
            events[count++] = event_ref(pending->event);
        pending_free(pending);
    }
    live->pending_end = &live->pending;
    live->num_pending = 0;
    live->num_events += count;
    if (count > 0 && live->publish != NULL)
        live->publish(live->publish_data, events, count);
    for (i = 0; i < count; ++i)
        event_unref(&events[i]);
    free(events);
}

/* ---- the transaction ---- */

static int write_touched(struct commit *commit)
{
    struct node *node;

    for (node = commit->model->live->touched; node != NULL; node = node->next_touched) {
        if (node->removed)
            continue;
        if (node->kind == ENTITY_CONTACT && node->ended)
            commit->rc = forget_call(commit, node);
        else if (node->kind == ENTITY_CONTACT)
            commit->rc = own_call(commit, node);
        else if (node->kind == ENTITY_AGENT)
            note_agent(commit->model, node);
        if (commit->rc == CG_OK)
            foreach_affected(commit->model, node, refresh_root, commit);
        if (commit->rc != CG_OK)
            return commit->rc;
    }
    return CG_OK;
}

static int try_commit(struct commit *commit)
{
    int rc = store_begin(commit->model->store, &commit->txn);

    if (rc != CG_OK)
        return rc;
    commit->rc = CG_OK;
    commit->number = ++commit->model->live->visit;
    if (commit->fetch != NULL && (rc = put_owned(commit)) == CG_OK)
        rc = put_fetched(commit);
    if (rc == CG_OK)
        rc = write_touched(commit);
    if (rc == CG_OK)
        rc = capacity_put(commit->model, commit->txn);
    if (rc == CG_OK)
        rc = append_events(commit);
    if (rc == CG_OK && commit->model->live->pending != NULL)
        rc = trim(commit);
    if (rc == CG_OK)
        return store_commit(&commit->txn);
    store_abort(&commit->txn);
    return rc;
}

/* The oldest events make room, too: in portions, since the room left may not allow more in one transaction. */
static void shorten_log(struct model *model)
{
    struct store_log_bounds bounds;
    struct store_txn *txn;
    unsigned dropped = 1;
    uint64_t keep;

    if (store_begin(model->store, &txn) != CG_OK)
        return;
    store_log_txn_bounds(txn, &bounds);
    store_abort(&txn);
    keep = bounds.bytes - bounds.bytes / LOG_GIVES;
    while (dropped > 0 && store_begin(model->store, &txn) == CG_OK) {
        if (store_log_trim(txn, UINT64_MAX, keep, TRIM_ENTRIES / 16, &dropped) != CG_OK ||
            dropped == 0) {
            store_abort(&txn);
            return;
        }
        if (store_commit(&txn) != CG_OK)
            return;
    }
}

/* The map is full: the oldest records make room, once. */
static int make_room(struct model *model)
{
    struct store_txn *txn;
    unsigned evicted = 0;
    int64_t age_ms = 3600000;
    int rc = CG_OK;

    shorten_log(model);
    while (rc == CG_OK && evicted == 0 && age_ms >= 1000) {
        if ((rc = store_begin(model->store, &txn)) != CG_OK)
            return rc;
        if ((rc = store_evict_oldest(txn, clock_steady_ms() - age_ms, EVICT_RECORDS, &evicted)) ==
            CG_OK)
            rc = store_commit(&txn);
        else
            store_abort(&txn);
        age_ms /= 4;
    }
    log_write(LOG_LEVEL_WARNING, "storeFull",
              "The cache's map is full; the oldest records made room", LOG_I("evicted", evicted));
    return rc;
}

/* ---- ended calls: when their while is over ---- */

struct ended_call {
    struct ended_call *next;
    int64_t due_ms; /* monotonic */
    size_t num_users;
    uint32_t *users;
    char id[];
};

static void ended_free(struct ended_call *call)
{
    free(call->users);
    free(call);
}

static void remember_ended(struct model *model, const struct node *contact)
{
    struct live *live = model->live;
    struct ended_call *call = calloc(1, sizeof(*call) + strlen(contact->id) + 1);

    if (call == NULL ||
        (call->users = calloc(contact->num_users + 1, sizeof(*call->users))) == NULL)
        abort();
    memcpy(call->id, contact->id, strlen(contact->id) + 1);
    if (contact->num_users > 0)
        memcpy(call->users, contact->users, contact->num_users * sizeof(*call->users));
    call->num_users = contact->num_users;
    call->due_ms = clock_monotonic_ms() + model->config->cache.ended_call_ms;
    *live->ended_calls_end = call;
    live->ended_calls_end = &call->next;
    if (!timer_is_armed(&live->ended_timer))
        timer_arm(model->loop, &live->ended_timer, model->config->cache.ended_call_ms);
}

static int erase_ended(struct commit *commit, const struct ended_call *call)
{
    if (graph_find(&commit->model->graph, ENTITY_CONTACT, call->id) != NULL)
        return CG_OK; /* it has come back */
    commit->rc = delete_kinds(commit, call->id, 0);
    return commit->rc == CG_OK ? disown(commit, call->id, call->users, call->num_users)
                               : commit->rc;
}

static void pop_ended(struct live *live)
{
    struct ended_call *call = live->ended_calls;
    if ((live->ended_calls = call->next) == NULL)
        live->ended_calls_end = &live->ended_calls;
    ended_free(call);
}

void commit_erase_ended(struct model *model, int64_t now_ms)
{
    struct live *live = model->live;
    struct commit commit = {.model = model};
    const struct ended_call *call;
    int rc = CG_OK;

    if (live->ended_calls == NULL || store_begin(model->store, &commit.txn) != CG_OK)
        return;
    for (call = live->ended_calls; call != NULL && call->due_ms <= now_ms && rc == CG_OK;
         call = call->next)
        rc = erase_ended(&commit, call);
    if (rc == CG_OK)
        rc = store_commit(&commit.txn);
    else
        store_abort(&commit.txn);
    if (rc != CG_OK)
        log_write(LOG_LEVEL_ERROR, "storeFailed", "Ended calls could not be erased",
                  LOG_S("reason", cg_error_name(rc)));
    while (live->ended_calls != NULL && live->ended_calls->due_ms <= now_ms)
        pop_ended(live);
    if (live->ended_calls != NULL)
        timer_arm(model->loop, &live->ended_timer, live->ended_calls->due_ms - now_ms);
}

void commit_forget_ended(struct live *live)
{
    while (live->ended_calls != NULL)
        pop_ended(live);
}

static void forget_contact(struct model *model, struct node *contact)
{
    if (model->config->cache.ended_call_ms > 0 && !contact->unseen &&
        (contact->kept & BIT(RECORD_CALL)))
        remember_ended(model, contact);

    size_t i;
    for (i = 0; i < contact->num_users; ++i)
        json_object_del(holdings_of(model, contact->users[i])->calls, contact->id);
    json_object_del(model->consult_of, contact->id);
    json_object_del(model->live->lineage, contact->id);
    json_object_del(model->live->begun, contact->id);
    if (contact->unseen)
        note_forgotten(model, contact->id);
    else
        contact_is_over(model, contact->id);
    graph_remove(&model->graph, contact);
}

void commit_untouch(struct model *model)
{
    struct node *node;
    while ((node = model->live->touched) != NULL) {
        model->live->touched = node->next_touched;
        node->touched = 0;
        node->next_touched = NULL;
        node->num_former = 0;
        if (node->removed)
            node_free(node);
        else if (node->kind == ENTITY_CONTACT && node->ended)
            forget_contact(model, node);
    }
}

/*
 * The store would not take what has happened, so that nothing it holds may be called live: everybody is read anew under a new
 * number, which no old record has. What was touched and what happened stay, and go with the next commit that succeeds.
 */
static void lose_step(struct model *model, int rc)
{
    struct live *live = model->live;
    struct coverage *coverage, *next;

    log_write(LOG_LEVEL_ERROR, "commitFailed", "What happened could not be stored; reading anew",
              LOG_S("reason", cg_error_name(rc)));
    HASH_ITER(hh, live->users, coverage, next)
    {
        live_restart(coverage);
    }
    if (!timer_is_armed(&live->commit_retry))
        timer_arm(model->loop, &live->commit_retry, RETRY_MS);
}

/* More than can be held: what is dropped is announced as lost, for everybody, once there is room again. */
static void bound_pending(struct live *live)
{
    while (live->num_pending > PENDING_MAX) {
        struct pending_event *first = live->pending;
        live->pending = first->next;
        --live->num_pending;
        pending_free(first);
        live->pending_lost = 1;
    }
}

static void tell_lost(struct model *model)
{
    struct coverage *coverage, *next;

    if (!model->live->pending_lost)
        return;
    model->live->pending_lost = 0;
    HASH_ITER(hh, model->live->users, coverage, next)
    {
        if (coverage->subscription != 0)
            live_lost_events(coverage, "notStored");
    }
}

int model_commit(struct model *model, struct fetch *fetch, const char *body, json_t *calls)
{
    struct commit commit = {model, NULL, fetch, body, calls, 0, CG_OK};
    int rc;

    if (fetch == NULL && model->live->touched == NULL && model->live->pending == NULL)
        return CG_OK;
    if ((rc = try_commit(&commit)) == CG_E_FULL && make_room(model) == CG_OK)
        rc = try_commit(&commit);
    if (rc == CG_OK) {
        model->capacity_unsaved = 0;
        publish(model);
        commit_untouch(model);
        merge_forget_ended(model);
        tell_lost(model);
        if (model->on_change != NULL)
            model->on_change(model->change_data);
    } else if (model->live->active != NULL || model->live->pending != NULL) {
        bound_pending(model->live);
        lose_step(model, rc);
    } else {
        commit_untouch(model);
    }
    return rc;
}
