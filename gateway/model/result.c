/* What a fetch found: merged into the graph, rendered, and committed before anybody is told. */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/model/live.h"

static json_t *ids_of_kind(const struct fetch *fetch, enum entity kind)
{
    json_t *ids = json_array();
    const struct node *node;
    for (node = fetch->first; node != NULL; node = node->next)
        if (node->kind == kind && !node->gone)
            json_array_append_new(ids, json_string(node->id));
    return ids;
}

static void hold(json_t **held, json_t *ids)
{
    json_decref(*held);
    *held = ids;
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

/* The consult links back to its origin: only the first link that is seen tells which is which. */
static void remember_consult(struct model *model, const struct node *contact, const char *id)
{
    const char *known;
    struct node *consult;

    if (json_object_size(model->consult_of) >= CONSULTS_MAX)
        json_object_clear(model->consult_of); /* lineage is a help, not a promise */
    if (id == NULL || strcmp(id, contact->id) == 0 ||
        json_object_get(model->consult_of, contact->id) != NULL)
        return;
    known = json_string_value(json_object_get(model->consult_of, id));
    if (known != NULL && strcmp(known, contact->id) == 0)
        return;
    json_object_set_new(model->consult_of, id, json_string(contact->id));
    if ((consult = graph_find(&model->graph, ENTITY_CONTACT, id)) != NULL)
        touch(model, consult);
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

static int add_id(void *data, const char *id, size_t length)
{
    json_array_append_new(data, json_stringn(id, length));
    return 0;
}

/* What the user was known to see until now, from an earlier process too: {contact id: true}, a new reference. */
static json_t *calls_before(struct fetch *fetch)
{
    struct model *model = fetch->model;
    json_t *held = holdings_of(model, fetch->user)->calls, *ids = json_array(), *calls, *id;
    size_t i;

    calls = held != NULL ? json_copy(held) : json_object();
    if (store_read_begin(model->reader) == CG_OK) {
        store_walk(model->reader, RECORD_CALL, fetch->user, NULL, 0, add_id, ids);
        store_read_end(model->reader);
    }
    json_array_foreach(ids, i, id) json_object_set_new(calls, json_string_value(id), json_true());
    json_decref(ids);
    return calls;
}

/* ---- a user's lists ---- */

/* What the user owned until now: a copy of the lists. */
static json_t *owned_before(struct fetch *fetch)
{
    const struct node *user = graph_find(&fetch->model->graph, ENTITY_USER, fetch->id);
    return user != NULL ? json_deep_copy(user->facts) : NULL;
}

static void disown_unlisted(struct fetch *fetch, const json_t *before)
{
    json_t *entry;
    const char *id;
    size_t i;

    for (i = 0; i < PLAN_OWNED; ++i)
        json_object_foreach(json_object_get(before, plan_owned[i].field), id, entry)
        {
            struct node *node = graph_find(&fetch->model->graph, plan_owned[i].entity, id);
            if (node != NULL && graph_find(&fetch->own, plan_owned[i].entity, id) == NULL)
                node_remove_user(node, fetch->user);
        }
}

/* A call that the user did not see listed: over for everybody, or only out of this user's sight. */
static void unsee(struct fetch *fetch, const char *id)
{
    struct model *model = fetch->model;
    struct node *contact = graph_get(&model->graph, ENTITY_CONTACT, id, NULL);

    if (contact == NULL || contact->told_at > fetch->since)
        return;
    contact_unsee(model, contact, fetch->user);
    if (contact_is_unseen(model, contact))
        merge_contact_over(model, contact);
    touch(model, contact);
}

static void see(struct fetch *fetch, const struct node *found)
{
    struct node *contact = graph_find(&fetch->model->graph, ENTITY_CONTACT, found->id);
    if (contact == NULL)
        return;
    contact_see(fetch->model, contact, fetch->user);
}

/* Calls that events named and that nobody turned out to see. */
static void forget_unseen(struct fetch *fetch)
{
    struct node *node, *next;
    HASH_ITER(hh, fetch->model->graph.nodes, node, next)
    {
        if (node->kind == ENTITY_CONTACT && node->num_users == 0 && !node->ended &&
            node->told_at != 0 && node->told_at <= fetch->since)
            contact_out_of_sight(fetch->model, node, NULL);
    }
}

/* Returns the calls that the user sees now, {id: true}. Where a terminal would not tell its calls, those that were known go on being known. */
static json_t *note_calls(struct fetch *fetch)
{
    struct model *model = fetch->model;
    struct holdings *holdings = holdings_of(model, fetch->user);
    json_t *before = calls_before(fetch), *entry;
    const struct node *found;
    const char *id;

    hold(&holdings->calls, json_object());
    for (found = fetch->first; found != NULL; found = found->next)
        if (found->kind == ENTITY_CONTACT && !found->gone &&
            !is_over(model, found->id, fetch->since)) {
            json_object_set_new(holdings->calls, found->id, json_true());
            see(fetch, found);
        }
    json_object_foreach(before, id, entry)
    {
        struct node *contact = graph_find(&model->graph, ENTITY_CONTACT, id);
        if (json_object_get(holdings->calls, id) != NULL)
            continue;
        if (fetch->incomplete || (contact != NULL && contact->told_at > fetch->since &&
                                  node_has_user(contact, fetch->user)))
            json_object_set_new(holdings->calls, id, json_true());
        else
            unsee(fetch, id);
    }
    json_decref(before);
    forget_unseen(fetch);
    return holdings->calls;
}

/* ---- the end of a fetch ---- */

/* Nobody has it any more: what the store and the indexes still say goes as well. */
static int gone(struct fetch *fetch)
{
    struct node *contact;

    if (plan_root(fetch->kind) == ENTITY_CONTACT &&
        (contact = graph_get(&fetch->model->graph, ENTITY_CONTACT, fetch->id, NULL)) != NULL) {
        node_add_user(contact, fetch->user);
        contact->ended = 1;
        touch(fetch->model, contact);
    }
    model_commit(fetch->model, NULL, NULL, NULL);
    return CG_E_NOTFOUND;
}

static struct node *root_of(struct fetch *fetch)
{
    return graph_find(&fetch->model->graph, plan_root(fetch->kind), fetch->id);
}

int fetch_store(struct fetch *fetch)
{
    struct model *model = fetch->model;
    json_t *resource, *calls = NULL, *before;
    struct node *root;
    char *body;
    int rc;

    before = fetch->kind == RECORD_USER ? owned_before(fetch) : NULL;
    merge_fetch(fetch);
    if (before != NULL)
        disown_unlisted(fetch, before);
    json_decref(before);
    if (fetch->first->gone || (root = root_of(fetch)) == NULL || root->ended)
        return gone(fetch);
    if (plan_root(fetch->kind) == ENTITY_CONTACT) {
        remember_consults(fetch);
        contact_see(model, root, fetch->user);
    }
    if (fetch->kind == RECORD_USER)
        remember_handles(fetch);
    if (fetch->kind == RECORD_USER_CALLS)
        calls = note_calls(fetch);
    resource = render(model, fetch->kind, root);
    body = resource != NULL ? json_dumps(resource, JSON_COMPACT) : NULL;
    json_decref(resource);
    if (body == NULL)
        return CG_E_NOMEM;
    rc = model_commit(model, fetch, body, calls);
    if (rc == CG_OK && !keeps_kind(model, fetch->kind)) {
        fetch->unkept = body;
        return CG_OK;
    }
    free(body);
    return rc;
}
