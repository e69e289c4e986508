/*
 * What a reading operation of the catalogue names: is it the user's to see? The same rule as for the gateway's own resources, of the same
 * index. Where that may be out of date it is read first: the user's lists, for legs the user's calls.
 */
#include <stdio.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

#define READS_MAX 64

struct looking {
    const struct commands *commands;
    const struct command_look *look;
    struct model_wanted *wanted;
};

static struct model *model_of_looking(const struct looking *looking)
{
    return looking->commands->settings.model;
}

struct owner_sought {
    uint32_t user;
    int found;
};

static void on_owner(void *data, uint32_t user)
{
    struct owner_sought *sought = data;
    sought->found |= user == sought->user;
}

static int sees(const struct looking *looking, enum entity kind, const char *id)
{
    struct owner_sought sought = {looking->look->user, 0};

    return model_owners(model_of_looking(looking), kind, id, on_owner, &sought) == CG_OK &&
           sought.found;
}

/* Kept by events, or within its time. */
static int is_fresh(struct model *model, enum record_kind kind, const char *id)
{
    struct record record;
    int fresh;

    if (store_read_begin(model->reader) != CG_OK)
        return 0;
    fresh =
        store_get(model->reader, kind, id, strlen(id), &record) == CG_OK &&
        (record.flags & RECORD_DIRTY) == 0 &&
        (live_coverage(model, record.covered) != NULL || clock_steady_ms() < record.expires_at_ms);
    store_read_end(model->reader);
    return fresh;
}

/* CG_E_BUSY: it is to be read; CG_E_NOTFOUND: nothing new would come of that. */
static int read_first(const struct looking *looking, enum record_kind kind, const char *id)
{
    json_t *read = looking->look->read;
    char key[CG_ID_BYTES_MAX + 16];

    snprintf(key, sizeof(key), "%d:%s", (int)kind, id);
    if (json_object_get(read, key) != NULL || json_object_size(read) >= READS_MAX ||
        is_fresh(model_of_looking(looking), kind, id))
        return CG_E_NOTFOUND;
    json_object_set_new(read, key, json_true());
    *looking->wanted = (struct model_wanted){.kind = kind, .id = id, .id_length = strlen(id)};
    return CG_E_BUSY;
}

static int read_list(const struct looking *looking, enum record_kind kind)
{
    struct session *session =
        sessions_find(looking->commands->settings.sessions, looking->look->user);
    return session != NULL ? read_first(looking, kind, session_user(session)) : CG_E_NOTFOUND;
}

static int look_object(const struct looking *looking, enum entity kind, const char *id)
{
    if (sees(looking, kind, id))
        return CG_OK;
    return read_list(looking, kind == ENTITY_CONTACT ? RECORD_USER_CALLS : RECORD_USER);
}

/* The far legs of a call are known when the call has been read. */
static int read_calls(const struct looking *looking)
{
    struct model *model = model_of_looking(looking);
    json_t *calls = holdings_of(model, looking->look->user)->calls, *entry;
    const char *id;

    json_object_foreach(calls, id, entry)
    {
        const struct node *contact = model_find(model, ENTITY_CONTACT, id);
        if (contact != NULL && model_fact_is_live(model, contact, "connections"))
            continue;
        if (read_first(looking, RECORD_CALL, id) == CG_E_BUSY)
            return CG_E_BUSY;
    }
    return CG_E_NOTFOUND;
}

static int look_leg(const struct looking *looking, const struct object *object)
{
    struct model *model = model_of_looking(looking);
    const struct node *leg = model_find(model, object->kind, object->id);
    const struct node *contact = leg != NULL ? contact_of(model, leg) : NULL;

    if (contact != NULL)
        return look_object(looking, ENTITY_CONTACT, contact->id);
    if (read_list(looking, RECORD_USER_CALLS) == CG_E_BUSY)
        return CG_E_BUSY;
    return read_calls(looking);
}

/* Addresses are anybody's to name beside something else: they are the other side. */
static int is_beside(const struct objects *objects, const struct object *object)
{
    size_t i;

    if (object->kind != ENTITY_ADDRESS)
        return 0;
    for (i = 0; i < objects->count; ++i)
        if (objects->object[i].kind != ENTITY_ADDRESS)
            return 1;
    return 0;
}

int commands_look(const struct commands *commands, const struct command_look *look,
                  struct model_wanted *wanted)
{
    struct looking looking = {commands, look, wanted};
    struct objects objects = {.count = 0};
    size_t i;
    int rc;

    objects_collect(&objects, look->op, look->arguments);
    rc = objects.are_too_many ? CG_E_NOTFOUND : CG_OK;
    for (i = 0; i < objects.count && rc == CG_OK; ++i) {
        const struct object *object = &objects.object[i];
        if (is_beside(&objects, object))
            continue;
        rc = object->kind == ENTITY_CONNECTION || object->kind == ENTITY_TERMINAL_CONNECTION
                 ? look_leg(&looking, object)
                 : look_object(&looking, object->kind, object->id);
    }
    return rc;
}
