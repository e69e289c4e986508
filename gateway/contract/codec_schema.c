/*
 * The contract's types as JSON Schema 2020-12. Complex types are definitions under "$defs", so that
 * a type may contain itself; the root's own elements stand in the root.
 */
#include "cctgate/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/memory.h"
#include "gateway/contract/schema.h"

#define DIALECT     "https://json-schema.org/draft/2020-12/schema"
#define DEFINITIONS "#/$defs/"

struct export
{
    struct arena arena; /* of the list */
    struct list types;  /* struct schema_type with a definition, in the order of their numbers */
    int is_reply;       /* replies may have more values and members than the contract says */
    const struct schema_element *skip;
    const char *where; /* what stands before a definition's name in a reference */
    int failed;
};

static void set(struct export *export, json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        export->failed = 1;
}

static void append(struct export *export, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        export->failed = 1;
}

static json_t *of_values(struct export *export, const struct schema_simple *simple)
{
    json_t *values = json_array();
    for (size_t i = 0; i < simple->num_values; i++)
        append(export, values, json_string(simple->values[i]));
    /* the upstream may be newer than the contract: its values are passed on */
    return export->is_reply
               ? json_pack("{s:[{s:o}, {s:s}]}", "anyOf", "enum", values, "type", "string")
               : json_pack("{s:o}", "enum", values);
}

static json_t *of_simple(struct export *export, const struct schema_simple *simple)
{
    if (simple->kind == SIMPLE_INTEGER)
        return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum",
                         (json_int_t)simple->minimum, "maximum", (json_int_t)simple->maximum);
    if (simple->kind == SIMPLE_BOOLEAN)
        return json_pack("{s:s}", "type", "boolean");
    if (simple->num_values > 0)
        return of_values(export, simple);
    if (simple->kind == SIMPLE_BASE64)
        return json_pack("{s:s, s:s}", "type", "string", "contentEncoding", "base64");
    /*
     * no "date-time" or "date": XML Schema's may lack a time zone or have one, RFC 3339's may not
     */
    return json_pack("{s:s}", "type", "string");
}

/* OpenAPI's for the names of components; XML has more of them, whose types get a number instead. */
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

/* "address", or "address-7" when that is taken by another namespace. */
static void print_name(const struct export *export, size_t index, char *name, size_t size)
{
    const struct schema_type *type = export->types.items[index];
    for (size_t i = 0; i < index && type->name != NULL; i++) {
        const struct schema_type *other = export->types.items[i];
        if (other->name != NULL && strcmp(other->name, type->name) == 0) {
            snprintf(name, size, "%.200s-%zu", type->name, index);
            return;
        }
    }
    if (type->name == NULL || strspn(type->name, NAME_CHARACTERS) != strlen(type->name))
        snprintf(name, size, "anonymous-%zu", index);
    else
        snprintf(name, size, "%.200s", type->name);
}

static json_t *of_reference(struct export *export, const struct schema_type *type)
{
    char name[240], reference[320];
    size_t index = 0;
    while (index < export->types.length && export->types.items[index] != type)
        index++;
    if (index == export->types.length &&
        list_push(&export->arena, &export->types, (void *)(size_t)type) != 0)
        return NULL;
    print_name(export, index, name, sizeof(name));
    snprintf(reference, sizeof(reference), "%.60s%s", export->where, name);
    return json_pack("{s:s}", "$ref", reference);
}

static void add_attributes(struct export *export, const struct schema_type *type,
                           json_t *properties, json_t *required)
{
    for (size_t i = 0; i < type->attributes.length; i++) {
        const struct schema_attribute *attribute = type->attributes.items[i];
        set(export, properties, attribute->member, of_simple(export, &attribute->type->simple));
        if (attribute->required)
            append(export, required, json_string(attribute->member));
    }
}

/* A string, or an object with the attributes. */
static json_t *of_text_with_attributes(struct export *export, const struct schema_type *type)
{
    json_t *properties = json_object(), *required = json_pack("[s]", "#text");
    set(export, properties, "#text", of_simple(export, &type->simple));
    add_attributes(export, type, properties, required);
    return json_pack("{s:[o, {s:s, s:o, s:o}]}", "anyOf", of_simple(export, &type->simple), "type",
                     "object", "properties", properties, "required", required);
}

static json_t *of_type(struct export *export, const struct schema_type *type)
{
    switch (type->content) {
    case CONTENT_SIMPLE:
        return of_simple(export, &type->simple);
    case CONTENT_SIMPLE_ATTRIBUTES:
        return of_text_with_attributes(export, type);
    case CONTENT_ANY:
        return json_pack("{s:[s, s]}", "type", "string", "object");
    default:
        return of_reference(export, type);
    }
}

static json_t *of_nillable(const struct schema_element *element, json_t *schema)
{
    return element->nillable ? json_pack("{s:[o, {s:s}]}", "anyOf", schema, "type", "null")
                             : schema;
}

static json_t *of_element(struct export *export, const struct schema_element *element)
{
    json_t *schema = of_nillable(element, of_type(export, element->type));
    if (element->max == 1)
        return schema;
    schema = json_pack("{s:s, s:o}", "type", "array", "items", schema);
    if (element->min > 0)
        set(export, schema, "minItems", json_integer(element->min));
    if (element->max != SCHEMA_UNBOUNDED && !export->is_reply)
        set(export, schema, "maxItems", json_integer(element->max));
    return schema;
}

static void add_members(struct export *export, const struct schema_type *type, json_t *properties,
                        json_t *required)
{
    for (size_t i = 0; i < type->members.length; i++) {
        const struct schema_element *element = type->members.items[i];
        if (element == export->skip)
            continue;
        set(export, properties, element->name, of_element(export, element));
        if (element->always)
            append(export, required, json_string(element->name));
    }
}

static json_t *of_object(struct export *export, const struct schema_type *type)
{
    json_t *properties = json_object(), *required = json_array();
    add_attributes(export, type, properties, required);
    add_members(export, type, properties, required);
    if (type->content == CONTENT_MIXED)
        set(export, properties, "#text", json_pack("{s:s}", "type", "string"));
    if (type->has_any)
        set(export, properties, "#any",
            json_pack("{s:s, s:{s:s}}", "type", "array", "items", "type", "object"));
    json_t *schema = json_pack("{s:s, s:o, s:o}", "type", "object", "properties", properties,
                               "required", required);
    if (!export->is_reply && !type->any_attribute)
        set(export, schema, "additionalProperties", json_false());
    return schema;
}

static json_t *of_value(struct export *export, const struct schema_element *element)
{
    return json_pack("{s:s, s:{s:o}, s:[s]}", "type", "object", "properties", "value",
                     of_nillable(element, of_type(export, element->type)), "required", "value");
}

/* Making a definition may ask for more of them, so the list grows under the loop. */
static json_t *make_definitions(struct export *export)
{
    char name[240];
    json_t *definitions = json_object();
    for (size_t i = 0; i < export->types.length && !export->failed; i++) {
        print_name(export, i, name, sizeof(name));
        set(export, definitions, name, of_object(export, export->types.items[i]));
    }
    return definitions;
}

static void add_definitions(struct export *export, json_t *schema)
{
    json_t *definitions = make_definitions(export);
    if (json_object_size(definitions) > 0)
        set(export, schema, "$defs", definitions);
    else
        json_decref(definitions);
}

static json_t *of_message(struct export *export, const struct schema_element *element)
{
    if (element == NULL)
        return json_pack("{s:s}", "type", "object");
    if (schema_is_value(element->type))
        return of_value(export, element);
    return of_object(export, element->type);
}

static json_t *export_message(const struct schema_element *element,
                              const struct schema_element *skip, int is_reply)
{
    struct export export = {.is_reply = is_reply, .skip = skip, .where = DEFINITIONS};
    memory_watch();
    json_t *schema = of_message(&export, element);
    if (schema == NULL || json_object_set_new(schema, "$schema", json_string(DIALECT)) != 0)
        export.failed = 1;
    add_definitions(&export, schema);
    arena_release(&export.arena);
    if (!memory_ran_out() && !export.failed)
        return schema;
    json_decref(schema);
    return NULL;
}

json_t *codec_input_schema(const struct contract_operation *op)
{
    return export_message(op->input, op->input->token, 0);
}

json_t *codec_output_schema(const struct contract_operation *op)
{
    return export_message(op->output, NULL, 1);
}

json_t *codec_told_schema(const struct contract_operation *op)
{
    return export_message(op->input, op->input->token, 1);
}

/* ---- of many operations ---- */

struct codec_schemas {
    struct export export;
};

struct codec_schemas *codec_schemas_new(const char *where, int is_reply)
{
    struct codec_schemas *schemas = calloc(1, sizeof(*schemas));
    if (schemas == NULL)
        return NULL;
    schemas->export.where = where;
    schemas->export.is_reply = is_reply;
    return schemas;
}

json_t *codec_schemas_add(struct codec_schemas *schemas, const struct contract_operation *op)
{
    schemas->export.skip = schemas->export.is_reply ? NULL : op->input->token;
    memory_watch();
    json_t *schema =
        of_message(&schemas->export, schemas->export.is_reply ? op->output : op->input);
    if (!memory_ran_out() && !schemas->export.failed)
        return schema;
    json_decref(schema);
    return NULL;
}

json_t *codec_schemas_definitions(struct codec_schemas *schemas)
{
    memory_watch();
    json_t *definitions = make_definitions(&schemas->export);
    if (!memory_ran_out() && !schemas->export.failed)
        return definitions;
    json_decref(definitions);
    return NULL;
}

void codec_schemas_free(struct codec_schemas **schemas)
{
    if (*schemas == NULL)
        return;
    arena_release(&(*schemas)->export.arena);
    free(*schemas);
    *schemas = NULL;
}
