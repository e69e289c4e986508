#include "gateway/model/graph.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/limits.h"

struct node *graph_find(const struct graph *graph, enum entity kind, const char *id)
{
    char key[1 + CG_ID_BYTES_MAX];
    size_t length = id != NULL ? strlen(id) : 0;
    struct node *node;

    if (length == 0 || length > CG_ID_BYTES_MAX)
        return NULL;
    key[0] = (char)kind;
    memcpy(key + 1, id, length);
    HASH_FIND(hh, graph->nodes, key, length + 1, node);
    return node;
}

struct node *node_new(enum entity kind, const char *id, json_t *handle)
{
    size_t length = strlen(id);
    struct node *node = calloc(1, sizeof(*node) + length + 2);
    if (node == NULL || (node->facts = json_object()) == NULL ||
        (node->stamps = json_object()) == NULL)
        abort();
    node->kind = kind;
    node->handle = handle != NULL ? json_incref(handle) : NULL;
    node->key[0] = (char)kind;
    memcpy(node->key + 1, id, length);
    node->id = node->key + 1;
    return node;
}

void node_free(struct node *node)
{
    json_decref(node->handle);
    json_decref(node->facts);
    json_decref(node->stamps);
    json_decref(node->dirty);
    free(node->users);
    free(node->former);
    free(node);
}

void node_set_handle(struct node *node, json_t *handle)
{
    json_incref(handle);
    json_decref(node->handle);
    node->handle = handle;
}

struct node *graph_get(struct graph *graph, enum entity kind, const char *id, json_t *handle)
{
    struct node *node = graph_find(graph, kind, id);

    if (node == NULL) {
        if (id == NULL || *id == '\0' || strlen(id) > CG_ID_BYTES_MAX)
            return NULL;
        node = node_new(kind, id, handle);
        HASH_ADD_KEYPTR(hh, graph->nodes, node->key, strlen(node->id) + 1, node);
    } else if (handle != NULL) {
        node_set_handle(node, handle);
    }
    return node;
}

void graph_remove(struct graph *graph, struct node *node)
{
    HASH_DELETE(hh, graph->nodes, node);
    node_free(node);
}

void graph_take_out(struct graph *graph, struct node *node)
{
    HASH_DELETE(hh, graph->nodes, node);
    node->removed = 1;
}

void graph_free(struct graph *graph)
{
    struct node *node, *next;
    HASH_ITER(hh, graph->nodes, node, next)
    {
        HASH_DELETE(hh, graph->nodes, node);
        node_free(node);
    }
}

/* ---- lists ---- */

static json_t *member(json_t *object, const char *field)
{
    json_t *value = json_object_get(object, field);
    if (!json_is_object(value)) {
        value = json_object();
        json_object_set_new(object, field, value);
    }
    return value;
}

static void clean(struct node *node, const char *field, uint64_t since)
{
    json_t *stamp = json_object_get(node->dirty, field);
    if (stamp != NULL && (uint64_t)json_integer_value(stamp) <= since)
        json_object_del(node->dirty, field);
}

int node_link(struct node *node, const char *field, const char *id, uint64_t stamp)
{
    json_t *list = member(node->facts, field);
    int is_new = json_object_get(list, id) == NULL;

    json_object_set_new(member(node->stamps, field), id, json_integer((json_int_t)stamp));
    if (is_new)
        json_object_set_new(list, id, json_true());
    return is_new;
}

int node_unlink(struct node *node, const char *field, const char *id, uint64_t stamp)
{
    json_object_set_new(member(node->stamps, field), id, json_integer((json_int_t)stamp));
    return json_object_del(json_object_get(node->facts, field), id) == 0;
}

static int is_told(const struct node *node, const char *field, const char *id, uint64_t since)
{
    json_t *stamp = json_object_get(json_object_get(node->stamps, field), id);
    return stamp != NULL && (uint64_t)json_integer_value(stamp) > since;
}

static int drop_unlisted(struct node *node, const char *field, const json_t *ids, uint64_t since)
{
    json_t *list = member(node->facts, field), *listed = json_object(), *id, *one;
    const char *name;
    void *next;
    size_t i;
    int changed = 0;

    json_array_foreach(ids, i, id) json_object_set_new(listed, json_string_value(id), json_true());
    json_object_foreach_safe(list, next, name, one)
    {
        if (json_object_get(listed, name) == NULL && !is_told(node, field, name, since)) {
            json_object_del(list, name);
            changed = 1;
        }
    }
    json_decref(listed);
    return changed;
}

/* Stamps that no read still under way could be older than are of no more use; a read that begins now is newer than all. */
static void forget_stamps(struct node *node, const char *field, uint64_t since)
{
    json_t *stamps = json_object_get(node->stamps, field), *one;
    const char *name;
    void *next;
    json_object_foreach_safe(stamps, next, name, one)
    {
        if ((uint64_t)json_integer_value(one) <= since)
            json_object_del(stamps, name);
    }
}

int node_merge_list(struct node *node, const char *field, const json_t *ids, uint64_t since)
{
    int changed = drop_unlisted(node, field, ids, since);
    json_t *list = member(node->facts, field), *id;
    size_t i;

    json_array_foreach(ids, i, id)
    {
        const char *name = json_string_value(id);
        if (json_object_get(list, name) == NULL && !is_told(node, field, name, since)) {
            json_object_set_new(list, name, json_true());
            changed = 1;
        }
    }
    forget_stamps(node, field, since);
    clean(node, field, since);
    return changed;
}

/* ---- facts ---- */

static int set(struct node *node, const char *field, json_t *value, uint64_t since)
{
    json_t *old = json_object_get(node->facts, field);
    int changed = old == NULL || !json_equal(old, value);
    if (changed)
        json_object_set(node->facts, field, value);
    clean(node, field, since);
    return changed;
}

int node_tell(struct node *node, const char *field, json_t *value, uint64_t stamp)
{
    int changed = set(node, field, value, stamp);
    json_object_set_new(node->stamps, field, json_integer((json_int_t)stamp));
    json_decref(value);
    return changed;
}

int node_merge(struct node *node, const char *field, json_t *value, uint64_t since)
{
    json_t *stamp = json_object_get(node->stamps, field);
    if (stamp != NULL && (uint64_t)json_integer_value(stamp) > since)
        return 0;
    json_object_del(node->stamps, field);
    return set(node, field, value, since);
}

void node_dirty(struct node *node, const char *field, uint64_t stamp)
{
    const json_t *known = json_object_get(node->dirty, field);

    if (node->dirty == NULL)
        node->dirty = json_object();
    if (known == NULL || (uint64_t)json_integer_value(known) < stamp)
        json_object_set_new(node->dirty, field, json_integer((json_int_t)stamp));
}

int node_is_dirty(const struct node *node, const char *field)
{
    return node->dirty != NULL && json_object_get(node->dirty, field) != NULL;
}

const char *node_state(const struct node *node)
{
    json_t *info = json_object_get(node->facts, "state");
    if (json_is_string(info))
        return json_string_value(info);
    return json_string_value(json_object_get(json_object_get(info, "currentState"), "state"));
}

/* ---- who sees it ---- */

static size_t user_at(const struct node *node, uint32_t user)
{
    size_t i = 0;
    while (i < node->num_users && node->users[i] < user)
        ++i;
    return i;
}

int node_has_user(const struct node *node, uint32_t user)
{
    size_t at = user_at(node, user);
    return at < node->num_users && node->users[at] == user;
}

int node_add_user(struct node *node, uint32_t user)
{
    size_t at = user_at(node, user);
    uint32_t *users;

    if (at < node->num_users && node->users[at] == user)
        return 0;
    if ((users = reallocarray(node->users, node->num_users + 1, sizeof(*users))) == NULL)
        abort();
    memmove(users + at + 1, users + at, (node->num_users - at) * sizeof(*users));
    users[at] = user;
    node->users = users;
    ++node->num_users;
    return 1;
}

void node_remove_user(struct node *node, uint32_t user)
{
    size_t at = user_at(node, user);
    if (at == node->num_users || node->users[at] != user)
        return;
    memmove(node->users + at, node->users + at + 1,
            (node->num_users - at - 1) * sizeof(*node->users));
    --node->num_users;
}
