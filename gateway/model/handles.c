/* Handles: upstream operations take objects by value, so what they look like is remembered by kind and id. */
#include <stdlib.h>
#include <string.h>

#include "gateway/model/fetch.h"

#define KEY_MAX (1 + CG_ID_BYTES_MAX)

static size_t make_key(char *key, enum entity kind, const char *id)
{
    size_t length = strlen(id);
    if (length > CG_ID_BYTES_MAX)
        return 0;
    key[0] = (char)kind;
    memcpy(key + 1, id, length);
    return length + 1;
}

const char *handle_id(enum entity kind, const json_t *handle)
{
    const char *id = json_string_value(json_object_get(handle, entity_rows[kind].key));
    return id != NULL && *id != '\0' && strlen(id) <= CG_ID_BYTES_MAX ? id : NULL;
}

json_t *handle_find(struct model *model, enum entity kind, const char *id)
{
    char key[KEY_MAX];
    size_t length = make_key(key, kind, id);
    struct handle *found = NULL;
    if (length != 0)
        HASH_FIND(hh, model->handles, key, length, found);
    return found != NULL ? found->handle : NULL;
}

void handle_remember(struct model *model, enum entity kind, json_t *handle)
{
    const char *id = handle_id(kind, handle);
    char key[KEY_MAX];
    size_t length;
    struct handle *found = NULL;

    if (id == NULL || (length = make_key(key, kind, id)) == 0)
        return;
    HASH_FIND(hh, model->handles, key, length, found);
    if (found != NULL) {
        json_incref(handle);
        json_decref(found->handle);
        found->handle = handle;
        return;
    }
    if ((found = calloc(1, sizeof(*found) + length)) == NULL)
        abort();
    memcpy(found->key, key, length);
    found->handle = json_incref(handle);
    HASH_ADD_KEYPTR(hh, model->handles, found->key, length, found);
}

void handle_forget(struct model *model, enum entity kind, const char *id)
{
    char key[KEY_MAX];
    size_t length = make_key(key, kind, id);
    struct handle *found = NULL;
    if (length != 0)
        HASH_FIND(hh, model->handles, key, length, found);
    if (found == NULL)
        return;
    HASH_DEL(model->handles, found);
    json_decref(found->handle);
    free(found);
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

void handles_free(struct model *model)
{
    struct handle *handle, *next_handle;
    struct holdings *holdings, *next_holdings;

    HASH_ITER(hh, model->handles, handle, next_handle)
    {
        HASH_DEL(model->handles, handle);
        json_decref(handle->handle);
        free(handle);
    }
    HASH_ITER(hh, model->holdings, holdings, next_holdings)
    {
        HASH_DEL(model->holdings, holdings);
        json_decref(holdings->terminals);
        json_decref(holdings->addresses);
        json_decref(holdings->calls);
        free(holdings);
    }
}
