/* Handles: upstream operations take objects by value, so what they look like is remembered by kind and id. */
#include <stdlib.h>
#include <string.h>

#include "gateway/model/fetch.h"

const char *handle_id(enum entity kind, const json_t *handle)
{
    const char *id = json_string_value(json_object_get(handle, entity_rows[kind].key));
    return id != NULL && *id != '\0' && strlen(id) <= CG_ID_BYTES_MAX ? id : NULL;
}

json_t *handle_find(struct model *model, enum entity kind, const char *id)
{
    const struct node *node = graph_find(&model->graph, kind, id);
    return node != NULL ? node->handle : NULL;
}

void handle_remember(struct model *model, enum entity kind, json_t *handle)
{
    const char *id = handle_id(kind, handle);
    if (id != NULL)
        graph_get(&model->graph, kind, id, handle);
}

struct holdings *holdings_of(struct model *model, uint32_t user)
{
    struct holdings *holdings;
    HASH_FIND(hh, model->holdings, &user, sizeof(user), holdings);
    if (holdings != NULL)
        return holdings;
    if ((holdings = calloc(1, sizeof(*holdings))) == NULL)
        abort();
    holdings->user = user;
    HASH_ADD(hh, model->holdings, user, sizeof(holdings->user), holdings);
    return holdings;
}

void holdings_free(struct model *model)
{
    struct holdings *holdings, *next;

    HASH_ITER(hh, model->holdings, holdings, next)
    {
        HASH_DEL(model->holdings, holdings);
        json_decref(holdings->terminals);
        json_decref(holdings->addresses);
        json_decref(holdings->calls);
        free(holdings);
    }
}
