/* What commands may know of the model and do to it. */
#include "gateway/model/acting.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"

struct node *model_find(struct model *model, enum entity kind, const char *id)
{
    return id != NULL && *id != '\0' ? graph_find(&model->graph, kind, id) : NULL;
}

int model_fact_is_live(struct model *model, const struct node *node, const char *field)
{
    return fact_is_fresh(model, node, field);
}

/* ---- who sees what ---- */

int model_owners(struct model *model, enum entity kind, const char *id,
                 void (*on_user)(void *data, uint32_t user), void *data)
{
    const struct node *node = model_find(model, kind, id);
    const uint32_t *users;
    size_t num_users = 0, i;

    if (kind == ENTITY_CONTACT && node != NULL && node->num_users > 0) {
        for (i = 0; i < node->num_users; ++i)
            on_user(data, node->users[i]);
        return CG_OK;
    }
    if (store_read_begin(model->reader) != CG_OK)
        return CG_E_IO;
    if (store_owners(model->reader, plan_record(kind), id, strlen(id), &users, &num_users) != CG_OK)
        num_users = 0;
    for (i = 0; i < num_users; ++i)
        on_user(data, users[i]);
    store_read_end(model->reader);
    return CG_OK;
}

int model_lists_are_live(struct model *model, uint32_t user)
{
    uint64_t subscription = live_subscription(model, user);
    return subscription != 0 && holdings_of(model, user)->calls != NULL &&
           live_coverage(model, subscription) != NULL;
}

/* ---- what a command changes ---- */

static void spoil_list(struct model *model, uint32_t user)
{
    struct session *session = sessions_find(model->sessions, user);
    const char *name = session != NULL ? session_user(session) : NULL;
    struct record record;
    struct store_txn *txn;
    char *body;

    if (name == NULL || model_lists_are_live(model, user) ||
        store_begin(model->store, &txn) != CG_OK)
        return;
    if (store_txn_get(txn, RECORD_USER_CALLS, name, strlen(name), &record) != CG_OK ||
        (body = malloc(record.body_length + 1)) == NULL) {
        store_abort(&txn);
        return;
    }
    memcpy(body, record.body, record.body_length);
    record.body = body;
    record.flags |= RECORD_DIRTY;
    record.covered = 0;
    if (store_put(txn, RECORD_USER_CALLS, name, strlen(name), &record) == CG_OK)
        store_commit(&txn);
    else
        store_abort(&txn);
    free(body);
}

static int is_after(const json_t *stamps, const char *field, uint64_t since)
{
    const json_t *stamp = json_object_get(stamps, field);
    return json_is_integer(stamp) && (uint64_t)json_integer_value(stamp) > since;
}

int model_was_told(const struct node *node, const char *field, uint64_t since)
{
    return is_after(node->stamps, field, since) || is_after(node->dirty, field, since);
}

static void spoil_fact(struct node *node, const char *field, uint64_t stamp, uint64_t since)
{
    if (!model_was_told(node, field, since))
        node_dirty(node, field, stamp);
}

void model_touched(struct model *model, struct node *node, const char *field, uint64_t since)
{
    uint64_t stamp = live_tick(model);
    const char *name;
    json_t *value;

    if (field != NULL && json_object_get(node->facts, field) != NULL) {
        spoil_fact(node, field, stamp, since);
    } else if (field == NULL) {
        json_object_foreach(node->facts, name, value) spoil_fact(node, name, stamp, since);
    }
    touch(model, node);
}

void model_touched_around(struct model *model, struct node *node)
{
    struct node *contact;

    if (node->kind == ENTITY_TERMINAL)
        dirty_place(model, node, live_tick(model));
    else if (!is_place(node) && (contact = contact_of(model, node)) != NULL)
        dirty_call(model, contact, live_tick(model));
}

void model_calls_touched(struct model *model, uint32_t user)
{
    spoil_list(model, user);
}

void model_introduce(struct model *model, json_t *handle, uint32_t user, uint64_t since)
{
    const char *id = handle_id(ENTITY_CONTACT, handle);
    struct node *contact;

    if (id == NULL || is_over(model, id, since))
        return;
    contact = graph_get(&model->graph, ENTITY_CONTACT, id, handle);
    if (contact == NULL || node_has_user(contact, user))
        return;
    contact_see(model, contact, user);
    model_commit(model, NULL, NULL, NULL);
}

void model_commit_touched(struct model *model)
{
    model_commit(model, NULL, NULL, NULL);
}

/* ---- what the gateway itself knows ---- */

void model_tell(struct model *model, struct node *node, const char *field, json_t *value)
{
    uint64_t stamp = live_tick(model);

    node_tell(node, field, value, stamp);
    node_dirty(node, field, stamp); /* until the contact centre has said so, too */
    touch(model, node);
}

void model_set_controller(struct model *model, json_t *(*describe)(void *data, const char *agent),
                          void *data)
{
    model->describe_control = describe;
    model->control_data = data;
}

void model_control_changed(struct model *model, const char *agent)
{
    struct node *node = model_find(model, ENTITY_AGENT, agent);

    if (node == NULL && (node = graph_get(&model->graph, ENTITY_AGENT, agent, NULL)) == NULL)
        return;
    touch(model, node);
    model_commit_later(model);
}

void model_notice_control(struct model *model, const char *agent, json_t *data)
{
    struct node *node = model_find(model, ENTITY_AGENT, agent);
    struct notice n = {EVENT_GATEWAY_CONTROL, node, agent, NULL, 0, 0, 0, data};

    if (node == NULL) {
        json_decref(data);
        return;
    }
    notice(model, &n);
    model_commit_later(model);
}

void model_set_on_change(struct model *model, void (*on_change)(void *data), void *data)
{
    model->on_change = on_change;
    model->change_data = data;
}
