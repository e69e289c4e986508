/* What a fetch found goes to the store: first committed, then told. */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/freshness.h"
#include "cctgate/log.h"
#include "gateway/model/fetch.h"

#define CONTACT_TIMES_MAX 65536
#define EVICT_RECORDS     1000

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

static uint32_t next_random(struct model *model)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (uint32_t)(model->random >> 16);
}

/* A composite that shows capabilities is no fresher than they are; a call's capabilities are no fresher than the call. */
int64_t model_ttl_ms(struct model *model, enum record_kind kind)
{
    const unsigned *ttl = model->config->cache.ttl_ms;
    unsigned ms = ttl[ttl_of_kind[kind]];

    if ((kind == RECORD_AGENT || kind == RECORD_TERMINAL || kind == RECORD_ADDRESS ||
         kind == RECORD_CALL) &&
        ttl[TTL_CAPABILITIES] < ms)
        ms = ttl[TTL_CAPABILITIES];
    if (kind == RECORD_CALL_CAPABILITIES && ttl[TTL_CALL] < ms)
        ms = ttl[TTL_CALL];
    return freshness_jitter(ms, model->config->cache.jitter_percent, next_random(model));
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

static json_t *ids_of_kind(const struct fetch *fetch, enum entity kind)
{
    json_t *ids = json_array();
    const struct node *node;
    for (node = fetch->first; node != NULL; node = node->next)
        if (node->kind == kind && !node->gone)
            json_array_append_new(ids, json_string(node->id));
    return ids;
}

static int set_owned(struct store_txn *txn, enum record_kind kind, uint32_t user, const json_t *ids)
{
    size_t count = json_array_size(ids), i;
    const char **names = calloc(count + 1, sizeof(*names));
    int rc;

    if (names == NULL)
        return CG_E_NOMEM;
    for (i = 0; i < count; ++i)
        names[i] = json_string_value(json_array_get(ids, i));
    rc = store_set_owned(txn, kind, user, names, count);
    free(names);
    return rc;
}

static void hold(json_t **held, json_t *ids)
{
    json_decref(*held);
    *held = ids;
}

static int store_user(struct fetch *fetch, struct store_txn *txn)
{
    static const struct {
        enum entity entity;
        enum record_kind kind;
    } lists[] = {{ENTITY_AGENT, RECORD_AGENT},
                 {ENTITY_TERMINAL, RECORD_TERMINAL},
                 {ENTITY_ADDRESS, RECORD_ADDRESS}};
    size_t i;
    int rc = CG_OK;

    for (i = 0; i < sizeof(lists) / sizeof(lists[0]) && rc == CG_OK; ++i) {
        json_t *ids = ids_of_kind(fetch, lists[i].entity);
        rc = set_owned(txn, lists[i].kind, fetch->user, ids);
        json_decref(ids);
    }
    return rc;
}

static void remember_handles(struct fetch *fetch)
{
    struct holdings *holdings = holdings_of(fetch->model, fetch->user);
    const struct node *node;

    for (node = fetch->first; node != NULL; node = node->next)
        if (node->kind == ENTITY_AGENT || node->kind == ENTITY_TERMINAL ||
            node->kind == ENTITY_ADDRESS)
            handle_remember(fetch->model, node->kind, node->handle);
    hold(&holdings->terminals, ids_of_kind(fetch, ENTITY_TERMINAL));
    hold(&holdings->addresses, ids_of_kind(fetch, ENTITY_ADDRESS));
    holdings->read_at_ms = fetch->started_at_ms;
}

static void count_contact(struct model *model)
{
    if (model->contact_times == NULL &&
        (model->contact_times = calloc(CONTACT_TIMES_MAX, sizeof(*model->contact_times))) == NULL)
        return;
    model->contact_times[model->contact_at] = clock_unix_ms();
    model->contact_at = (model->contact_at + 1) % CONTACT_TIMES_MAX;
    if (model->num_contacts < CONTACT_TIMES_MAX)
        ++model->num_contacts;
}

static void remember_calls(struct fetch *fetch, json_t *ids)
{
    struct holdings *holdings = holdings_of(fetch->model, fetch->user);
    const struct node *node;

    for (node = fetch->first; node != NULL; node = node->next) {
        if (node->kind != ENTITY_CONTACT || node->gone)
            continue;
        if (handle_find(fetch->model, ENTITY_CONTACT, node->id) == NULL)
            count_contact(fetch->model);
        handle_remember(fetch->model, ENTITY_CONTACT, node->handle);
    }
    hold(&holdings->calls, ids);
}

static void forget_call(struct model *model, struct store_txn *txn, const char *id)
{
    static const enum record_kind kinds[] = {RECORD_CALL,      RECORD_CALL_CAPABILITIES,
                                             RECORD_CALL_DATA, RECORD_CALL_INTRINSICS,
                                             RECORD_CALL_UUI,  RECORD_CALL_MESSAGES};
    size_t i;
    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); ++i)
        store_delete(txn, kinds[i], id, strlen(id));
    handle_forget(model, ENTITY_CONTACT, id);
    json_object_del(model->consult_of, id);
}

static int has_owner(struct model *model, const char *id)
{
    const uint32_t *users;
    size_t num_users;
    int rc = store_read_begin(model->reader);
    if (rc != CG_OK)
        return 1;
    rc = store_owners(model->reader, RECORD_CALL, id, strlen(id), &users, &num_users);
    store_read_end(model->reader);
    return rc == CG_OK;
}

/* The calls that this user no longer sees, and nobody else does, have ended: nothing of them stays. */
static void forget_ended(struct fetch *fetch, json_t *before)
{
    struct model *model = fetch->model;
    struct store_txn *txn = NULL;
    json_t *id;
    size_t i;

    json_array_foreach(before, i, id)
    {
        if (fetch_find(fetch, ENTITY_CONTACT, json_string_value(id)) != NULL ||
            has_owner(model, json_string_value(id)))
            continue;
        if (txn == NULL && store_begin(model->store, &txn) != CG_OK)
            return;
        forget_call(model, txn, json_string_value(id));
    }
    if (txn != NULL && store_commit(&txn) != CG_OK)
        log_write(LOG_LEVEL_ERROR, "storeFailed", "Could not forget ended calls");
}

/* The consult links back to its origin: only the first link that is seen tells which is which. */
static void remember_consult(struct model *model, const struct node *contact, const char *id)
{
    if (json_object_size(model->consult_of) >= CONSULTS_MAX)
        json_object_clear(model->consult_of); /* lineage is a help, not a promise */
    if (id != NULL && strcmp(id, contact->id) != 0 &&
        json_object_get(model->consult_of, contact->id) == NULL)
        json_object_set_new(model->consult_of, id, json_string(contact->id));
}

static void remember_consults(struct fetch *fetch)
{
    const struct node *node;
    size_t i;
    for (node = fetch->first; node != NULL; node = node->next)
        for (i = 0; i < CONSULT_FIELDS; ++i)
            remember_consult(
                fetch->model, fetch->first,
                handle_id(ENTITY_CONTACT, json_object_get(node->facts, consult_fields[i])));
}

static int put_record(struct fetch *fetch, struct store_txn *txn, const char *body, size_t length)
{
    struct record record = {0}, before;
    int rc;

    record.fetched_at_ms = fetched_at(fetch);
    record.expires_at_ms = record.fetched_at_ms + model_ttl_ms(fetch->model, fetch->kind);
    if (fetch->kind == RECORD_USER_CALLS && fetch->incomplete)
        record.expires_at_ms =
            record.fetched_at_ms; /* good for what it holds, not for what it lacks */
    record.user = fetch->user;
    record.provenance = PROVENANCE_FETCH;
    record.body = body;
    record.body_length = length;
    rc = store_txn_get(txn, fetch->kind, fetch->id, fetch->id_length, &before);
    if (rc == CG_OK && before.body_length == length && memcmp(before.body, body, length) == 0)
        record.version =
            before.version; /* nothing changed: what clients hold is still what it is */
    return store_put(txn, fetch->kind, fetch->id, fetch->id_length, &record);
}

static int write_all(struct fetch *fetch, const char *body, size_t length, json_t *calls)
{
    struct store_txn *txn;
    int rc = store_begin(fetch->model->store, &txn);

    if (rc != CG_OK)
        return rc;
    if (fetch->kind == RECORD_USER)
        rc = store_user(fetch, txn);
    else if (fetch->kind == RECORD_USER_CALLS)
        rc = set_owned(txn, RECORD_CALL, fetch->user, calls);
    if (rc == CG_OK)
        rc = put_record(fetch, txn, body, length);
    if (rc == CG_OK)
        return store_commit(&txn);
    store_abort(&txn);
    return rc;
}

/* The map is full: the oldest records make room, once. */
static int make_room(struct model *model)
{
    struct store_txn *txn;
    unsigned evicted = 0;
    int64_t age_ms = 3600000;
    int rc = CG_OK;

    while (rc == CG_OK && evicted == 0 && age_ms >= 1000) {
        if ((rc = store_begin(model->store, &txn)) != CG_OK)
            return rc;
        if ((rc = store_evict_oldest(txn, clock_unix_ms() - age_ms, EVICT_RECORDS, &evicted)) ==
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

static int gone(struct fetch *fetch)
{
    struct model *model = fetch->model;
    const struct node *root = fetch->first;
    struct store_txn *txn;

    if (root->kind != ENTITY_CONTACT || store_begin(model->store, &txn) != CG_OK)
        return CG_E_NOTFOUND;
    forget_call(model, txn, fetch->id);
    store_remove_owner(txn, RECORD_CALL, fetch->id, fetch->id_length, fetch->user);
    if (store_commit(&txn) != CG_OK)
        log_write(LOG_LEVEL_ERROR, "storeFailed", "Could not forget an ended call");
    return CG_E_NOTFOUND;
}

static void note_agent(struct fetch *fetch)
{
    if (fetch->kind == RECORD_AGENT)
        json_object_set_new(
            fetch->model->agent_states, fetch->id,
            json_boolean(json_is_true(json_object_get(fetch->first->facts, "loggedIn"))));
}

static int add_id(void *data, const char *id, size_t length)
{
    json_array_append_new(data, json_stringn(id, length));
    return 0;
}

/* What the user was known to see until now, from an earlier process too. */
static json_t *calls_before(struct fetch *fetch)
{
    struct model *model = fetch->model;
    json_t *calls = holdings_of(model, fetch->user)->calls;

    if (calls != NULL)
        return json_incref(calls);
    calls = json_array();
    if (store_read_begin(model->reader) == CG_OK) {
        store_walk(model->reader, RECORD_CALL, fetch->user, NULL, 0, add_id, calls);
        store_read_end(model->reader);
    }
    return calls;
}

/* A terminal would not tell its calls: those that were known go on being known, until each is found to have ended. */
static void keep_calls(json_t *calls, json_t *before)
{
    json_t *id;
    size_t i;
    json_array_foreach(before, i, id) json_array_append(calls, id);
}

int fetch_store(struct fetch *fetch)
{
    json_t *resource, *calls = NULL, *before = NULL;
    char *body;
    int rc;

    if (fetch->first->gone)
        return gone(fetch);
    if (plan_root(fetch->kind) == ENTITY_CONTACT)
        remember_consults(fetch);
    resource = render(fetch);
    body = resource != NULL ? json_dumps(resource, JSON_COMPACT) : NULL;
    json_decref(resource);
    if (body == NULL)
        return CG_E_NOMEM;
    if (fetch->kind == RECORD_USER_CALLS) {
        calls = ids_of_kind(fetch, ENTITY_CONTACT);
        before = calls_before(fetch);
        if (fetch->incomplete)
            keep_calls(calls, before);
    }
    rc = write_all(fetch, body, strlen(body), calls);
    if (rc == CG_E_FULL && make_room(fetch->model) == CG_OK)
        rc = write_all(fetch, body, strlen(body), calls);
    free(body);
    if (rc == CG_OK && fetch->kind == RECORD_USER)
        remember_handles(fetch);
    if (rc == CG_OK && calls != NULL) {
        remember_calls(fetch, json_incref(calls));
        if (!fetch->incomplete)
            forget_ended(fetch, before);
    }
    note_agent(fetch);
    json_decref(calls);
    json_decref(before);
    return rc;
}
