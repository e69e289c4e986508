/*
 * What a call carries is its caller's. Each part is kept in the store, and in the log of events, unless the configuration says that it is
 * not (cache.callData): then it is in memory alone, and no page of a file has ever held it.
 */
#include <string.h>

#include "gateway/model/live.h"

static const struct {
    const char *fields[2]; /* of the call's resource; NULL: none */
    const char *fact;
    enum record_kind kind;
    size_t offset;
} parts[] = {
#define PART(member) offsetof(struct config, cache.call_data.member)
    {{"data", NULL}, "data", RECORD_CALL_DATA, PART(data)},
    {{"intrinsics", "immutableIntrinsics"}, "intrinsics", RECORD_CALL_INTRINSICS, PART(intrinsics)},
    {{"uui", NULL}, "uui", RECORD_CALL_UUI, PART(uui)},
    {{NULL, NULL}, "messages", RECORD_CALL_MESSAGES, PART(messages)},
};
#define NUM_PARTS (sizeof(parts) / sizeof(parts[0]))

static int is_kept(const struct model *model, size_t part)
{
    int value;
    memcpy(&value, (const char *)model->config + parts[part].offset, sizeof(value));
    return value;
}

int keeps_kind(const struct model *model, enum record_kind kind)
{
    size_t i;
    for (i = 0; i < NUM_PARTS; ++i)
        if (parts[i].kind == kind)
            return is_kept(model, i);
    return 1;
}

void keep_out_of_call(const struct model *model, json_t *call)
{
    json_t *names = json_array();
    size_t i, j;

    for (i = 0; i < NUM_PARTS; ++i) {
        if (is_kept(model, i) || parts[i].fields[0] == NULL)
            continue;
        for (j = 0; j < 2 && parts[i].fields[j] != NULL; ++j)
            json_object_del(call, parts[i].fields[j]);
        json_array_append_new(names, json_string(parts[i].fact));
    }
    if (json_array_size(names) > 0)
        json_object_set(call, "notKept", names);
    json_decref(names);
}

void keep_out_of_event(const struct model *model, enum event_type type, const char *property,
                       json_t *data)
{
    size_t i;

    if (type != EVENT_CONTACT_PROPERTY || property == NULL)
        return;
    for (i = 0; i < NUM_PARTS; ++i) {
        const struct property_row *row = property_of_fact(ENTITY_CONTACT, parts[i].fact);
        if (row == NULL || strcmp(row->name, property) != 0 || is_kept(model, i))
            continue;
        json_object_del(data, "value");
        json_object_set_new(data, "notKept", json_true());
    }
}
