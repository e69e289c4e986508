#include "gateway/model/payload.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cctgate/error.h"
#include "cctgate/timestamp.h"
#include "gateway/model/live.h"

static const struct payload_member members[] = {
    {"Address", ENTITY_ADDRESS, "address", 1},
    {"Connection", ENTITY_CONNECTION, "connectionId", 1},
    {"Contact", ENTITY_CONTACT, "contactId", 1},
    {"Terminal", ENTITY_TERMINAL, "terminal", 1},
    {"TerminalConnection", ENTITY_TERMINAL_CONNECTION, "terminalConnectionId", 1},
    {"Agent", ENTITY_AGENT, "agent", 1},
    {"SendingAddress", ENTITY_ADDRESS, "sendingAddress", 0},
    {"SendingTerminal", ENTITY_TERMINAL, "sendingTerminal", 0},
};
#define NUM_MEMBERS (sizeof(members) / sizeof(members[0]))

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

const struct payload_member *payload_member(const char *name)
{
    size_t i;
    for (i = 0; i < NUM_MEMBERS; ++i)
        if (strcmp(members[i].name, name) == 0)
            return &members[i];
    return NULL;
}

int payload_is_capabilities(const char *name)
{
    return ends_with(name, "Capabilities");
}

int payload_is_property(const char *name)
{
    return ends_with(name, "Property");
}

int payload_key(const char *name, char *key, size_t size)
{
    size_t length = strlen(name);

    if (length == 0 || length >= size)
        return CG_E_LIMIT;
    memcpy(key, name, length + 1);
    key[0] = (char)tolower((unsigned char)key[0]);
    return CG_OK;
}

/* ---- time ---- */

int64_t payload_time_ms(const char *text)
{
    int64_t ms;
    return text != NULL && timestamp_parse(text, TIMESTAMP_DATE_TIME, &ms) == CG_OK ? ms : 0;
}

/* ---- taking apart ---- */

static void take_member(struct payload *payload, const char *name, json_t *value)
{
    const struct payload_member *member = payload_member(name);

    if (member != NULL && member->is_subject) {
        payload->handles[member->kind] = value;
        payload->ids[member->kind] = handle_id(member->kind, value);
    } else if (strcmp(name, "NewState") == 0 || strcmp(name, "State") == 0) {
        payload->new_state = json_string_value(value);
    } else if (strcmp(name, "PreviousState") == 0) {
        payload->previous_state = json_string_value(value);
    } else if (strcmp(name, "Reason") == 0) {
        payload->reason = json_string_value(value);
    } else if (payload_is_capabilities(name) && json_is_object(value)) {
        payload->capabilities = value;
    } else if (payload_is_property(name) && json_is_string(value)) {
        payload->property = json_string_value(value);
    }
}

int payload_take(struct payload *payload, const json_t *message)
{
    const json_t *holder = json_object_get(message, "Message");
    const char *wire = json_string_value(json_object_get(holder, "EventType")), *name;
    json_t *value;

    memset(payload, 0, sizeof(*payload));
    payload->type = wire != NULL ? event_type_by_wire(wire) : EVENT_TYPES;
    if (payload->type == EVENT_TYPES)
        return CG_E_NOTFOUND;
    payload->time_ms = payload_time_ms(json_string_value(json_object_get(message, "Timestamp")));
    payload->body = json_object_get(holder, element_of_type[payload->type]);
    if (!json_is_object(payload->body))
        return CG_E_PROTOCOL;
    json_object_foreach((json_t *)payload->body, name, value) take_member(payload, name, value);
    return CG_OK;
}

/* ---- what changed ---- */

static uint64_t mix(uint64_t hash, const char *text)
{
    if (text != NULL)
        for (; *text != '\0'; ++text)
            hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return (hash ^ 0xff) * UINT64_C(1099511628211);
}

static uint64_t mix_json(uint64_t hash, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    hash = mix(hash, text);
    free(text);
    return hash;
}

uint64_t payload_hash(const struct payload *payload)
{
    uint64_t hash = mix(UINT64_C(14695981039346656037), event_types[payload->type].name);
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)payload->body, name, value)
    {
        const struct payload_member *member = payload_member(name);
        if (member != NULL && member->is_subject &&
            !(member->kind == ENTITY_ADDRESS && payload->ids[ENTITY_CONTACT] != NULL))
            hash = mix(hash, payload->ids[member->kind]);
        else if (member == NULL && !payload_is_capabilities(name) && strcmp(name, "IsRemote") != 0)
            hash = mix_json(mix(hash, name), value);
    }
    return hash ^ hash >> 32;
}

uint64_t payload_place(const struct payload *payload)
{
    return mix(mix(UINT64_C(14695981039346656037), payload->ids[ENTITY_ADDRESS]),
               payload->ids[ENTITY_TERMINAL]);
}

/* ---- for clients ---- */

static void put_renamed(json_t *data, const char *name, json_t *value)
{
    char key[128];
    if (payload_key(name, key, sizeof(key)) == CG_OK)
        json_object_set(data, key, value);
}

int payload_tells(const struct payload *payload, const struct property_row *row)
{
    return row->type == payload->type && payload->property != NULL &&
           strcmp(row->name, payload->property) == 0;
}

json_t *payload_fact(const struct payload *payload, const struct property_row *row)
{
    const json_t *element =
        row->element != NULL ? json_object_get(payload->body, row->element) : NULL;
    json_t *value = row->member != NULL ? json_object_get(element, row->member) : (json_t *)element;

    if (value == NULL)
        return NULL;
    return row->convert != NULL ? row->convert(value) : json_incref(value);
}

int property_has_fields(enum event_type type, const char *property)
{
    size_t i, count = 0;
    for (i = 0; i < num_property_rows; ++i)
        count += property_rows[i].type == type && strcmp(property_rows[i].name, property) == 0;
    return count > 1;
}

/* The fact of a property is the value itself; where it tells several, the value is an object of them. */
static void put_value(json_t *data, const struct payload *payload)
{
    json_t *values = json_object(), *only;
    size_t i;

    for (i = 0; i < num_property_rows; ++i) {
        const struct property_row *row = &property_rows[i];
        json_t *fact = payload_tells(payload, row) ? payload_fact(payload, row) : NULL;
        if (fact == NULL)
            continue;
        json_object_set_new(values, row->field, public_value(row->field, fact));
        json_decref(fact);
    }
    if (json_object_size(values) > 0 && property_has_fields(payload->type, payload->property)) {
        json_object_set(data, "value", values);
    } else if (json_object_size(values) > 0) {
        only = json_object_iter_value(json_object_iter(values));
        json_object_set(data, "value", only);
    }
    json_decref(values);
}

json_t *payload_data(const struct payload *payload)
{
    json_t *data = json_object(), *value;
    const char *name;

    json_object_foreach((json_t *)payload->body, name, value)
    {
        const struct payload_member *member = payload_member(name);
        const char *id = member != NULL ? handle_id(member->kind, value) : NULL;
        if (member != NULL)
            json_object_set_new(data, member->key, id != NULL ? json_string(id) : json_null());
        else if (value == payload->capabilities)
            json_object_set(data, "capabilities", value);
        else if (payload->property != NULL && json_string_value(value) == payload->property)
            json_object_set(data, "property", value);
        else if (payload->property == NULL || !json_is_object(value))
            put_renamed(data, name, value);
    }
    put_value(data, payload);
    return data;
}
