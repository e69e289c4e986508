/* What payload_data makes of the contract's payloads, as JSON Schema: the same walk over the same tables. Pure. */
#include "gateway/model/payload.h"

#include <string.h>

#include "cctgate/error.h"
#include "gateway/model/live.h"

#define DEFINITIONS "#/$defs/"
#define HOPS_MAX    8

/* Facts whose form is not the wire's (properties.c, public_value). */
static const struct {
    const char *field, *schema;
} public_forms[] = {
    {"calling", "{\"type\":\"string\"}"},
    {"called", "{\"type\":\"string\"}"},
    {"lastRedirected", "{\"type\":\"string\"}"},
    {"callingTerminal", "{\"type\":\"string\"}"},
    {"voiceTerminal", "{\"type\":\"string\"}"},
    {"contactTypes", "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"},
    {"loggedIn", "{\"enum\":[\"LOGGED_IN\",\"LOGGED_OUT\"]}"},
    {"intrinsics",
     "{\"type\":\"object\",\"additionalProperties\":{\"type\":[\"string\",\"null\"]}}"},
    {"data", "{\"type\":\"object\",\"properties\":{\"type\":{\"type\":[\"string\","
             "\"null\"]},\"value\":{}}}"},
    {"forwarding",
     "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"type\":{},\"to\":{},"
     "\"caller\":{},\"whichCalls\":{}}}}"},
    {"messageWaiting",
     "{\"type\":\"object\",\"properties\":{\"messageWaiting\":{\"type\":\"boolean\"},"
     "\"numberOfMessages\":{\"type\":\"integer\"}}}"},
};

/* What must be there, where the payload has it at all. */
static const char *const required[] = {"property", "newState", "state"};

/* ---- the contract's schema ---- */

/* The definition behind an element: of one that may be nil or repeat, too. NULL: it has none. */
static json_t *definition(const json_t *told, json_t *schema)
{
    int hops;

    for (hops = 0; schema != NULL && hops < HOPS_MAX; ++hops) {
        const char *reference = json_string_value(json_object_get(schema, "$ref"));
        if (reference != NULL && strncmp(reference, DEFINITIONS, sizeof(DEFINITIONS) - 1) == 0)
            schema = json_object_get(json_object_get(told, "$defs"),
                                     reference + sizeof(DEFINITIONS) - 1);
        else if (json_object_get(schema, "items") != NULL)
            schema = json_object_get(schema, "items");
        else if (json_object_get(schema, "properties") == NULL)
            schema = json_array_get(json_object_get(schema, "anyOf"), 0);
        else
            return schema;
    }
    return NULL;
}

static json_t *member(const json_t *told, json_t *of, const char *name)
{
    return json_object_get(json_object_get(definition(told, of), "properties"), name);
}

static json_t *payload_definition(const json_t *told, enum event_type type)
{
    json_t *properties = json_object_get(told, "properties");
    json_t *entry = json_object_iter_value(json_object_iter(properties));

    if (element_of_type[type] == NULL)
        return NULL;
    return definition(told, member(told, member(told, entry, "Message"), element_of_type[type]));
}

/* ---- value ---- */

/* What is not known any more is null. */
static json_t *or_null(json_t *form)
{
    return form != NULL ? json_pack("{s:[o, {s:s}]}", "anyOf", form, "type", "null")
                        : json_object();
}

static json_t *form_of(const json_t *told, json_t *body, const struct property_row *row)
{
    json_t *wire = NULL;
    size_t i;

    for (i = 0; i < sizeof(public_forms) / sizeof(public_forms[0]); ++i)
        if (strcmp(public_forms[i].field, row->field) == 0)
            return or_null(json_loads(public_forms[i].schema, 0, NULL));
    if (row->element != NULL)
        wire = member(told, body, row->element);
    if (row->member != NULL)
        wire = member(told, wire, row->member);
    return or_null(json_incref(wire));
}

static json_t *value_of(const json_t *told, json_t *body, const struct property_row *first)
{
    const struct property_row *row;
    json_t *fields;

    if (!property_has_fields(first->type, first->name))
        return form_of(told, body, first);
    fields = json_object();
    for (row = first; row < property_rows + num_property_rows; ++row)
        if (row->type == first->type && strcmp(row->name, first->name) == 0)
            json_object_set_new(fields, row->field, form_of(told, body, row));
    return json_pack("{s:s, s:o}", "type", "object", "properties", fields);
}

/* "value" is what the property says, so its form goes by the property's name. */
static json_t *values(const json_t *told, json_t *body, enum event_type type)
{
    json_t *rules = json_array();
    const char *last = "";
    size_t i;

    for (i = 0; i < num_property_rows; ++i) {
        const struct property_row *row = &property_rows[i];
        if (row->type != type || strcmp(row->name, last) == 0)
            continue;
        last = row->name;
        json_array_append_new(rules, json_pack("{s:{s:{s:{s:s}}}, s:{s:{s:o}}}", "if", "properties",
                                               "property", "const", row->name, "then", "properties",
                                               "value", value_of(told, body, row)));
    }
    return rules;
}

/* ---- the whole ---- */

static void put(json_t *properties, const char *name, json_t *schema, int is_property_event)
{
    const struct payload_member *object = payload_member(name);
    char key[128];

    if (object != NULL)
        json_object_set_new(properties, object->key,
                            json_pack("{s:[s, s]}", "type", "string", "null"));
    else if (payload_is_capabilities(name))
        json_object_set(properties, "capabilities", schema);
    else if (is_property_event && payload_is_property(name))
        json_object_set(properties, "property", schema);
    else if (!is_property_event && payload_key(name, key, sizeof(key)) == CG_OK)
        json_object_set(properties, key, schema);
}

/* A state that was found says what it was before, which not all notifications do. */
static void add_previous(json_t *properties)
{
    json_t *state = json_object_get(properties, "state");
    if (state != NULL)
        json_object_set(properties, "previousState", state);
}

json_t *payload_schema(const json_t *told, enum event_type type)
{
    json_t *body = payload_definition(told, type), *properties, *needed, *data, *schema;
    const char *name;
    size_t i;

    if (body == NULL)
        return NULL;
    properties = json_object();
    needed = json_array();
    json_object_foreach(json_object_get(body, "properties"), name, schema)
        put(properties, name, schema, event_types[type].is_property);
    add_previous(properties);
    for (i = 0; i < sizeof(required) / sizeof(required[0]); ++i)
        if (json_object_get(properties, required[i]) != NULL)
            json_array_append_new(needed, json_string(required[i]));
    data = json_pack("{s:s, s:o, s:o}", "type", "object", "properties", properties, "required",
                     needed);
    if (event_types[type].is_property)
        json_object_set_new(data, "allOf", values(told, body, type));
    return data;
}
