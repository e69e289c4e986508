#include "gateway/outbound/columns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/codec.h"
#include "cctgate/error.h"
#include "cctgate/outbound_shape.h"
#include "gateway/outbound/csv.h"
#include "gateway/rest/body.h"

#define CUSTOM_PREFIX "custom."
#define DEPTH_MAX     4 /* of a dotted name */

enum column_kind { COLUMN_TEXT, COLUMN_INTEGER, COLUMN_BOOLEAN, COLUMN_CUSTOM };

struct column {
    enum column_kind kind;
    char name[CG_ID_BYTES_MAX + 1]; /* dotted; of COLUMN_CUSTOM: the field's own */
};

struct columns {
    struct parse *parse;
    json_t *schema; /* of the operation's arguments */
    struct csv csv;
    struct csv_field fields[CG_JOB_COLUMNS_MAX];
    struct column columns[CG_JOB_COLUMNS_MAX];
    size_t num_columns;
    char detail[300];
};

/* ---- the header ---- */

/* References are resolved, and what may be nil is what it is otherwise. */
static const json_t *plain(const struct columns *all, const json_t *schema)
{
    static const char prefix[] = "#/$defs/";
    const char *reference;

    if (json_object_get(schema, "anyOf") != NULL)
        schema = json_array_get(json_object_get(schema, "anyOf"), 0);
    reference = json_string_value(json_object_get(schema, "$ref"));
    if (reference == NULL || strncmp(reference, prefix, sizeof(prefix) - 1) != 0)
        return schema;
    return json_object_get(json_object_get(all->schema, "$defs"), reference + sizeof(prefix) - 1);
}

/* The member that has the name for clients. */
static const json_t *member(const struct columns *all, const json_t *schema, const char *name,
                            size_t length)
{
    json_t *properties = json_object_get(schema, "properties"), *value;
    char client[OUTBOUND_NAME_BYTES];
    const char *wire;

    json_object_foreach(properties, wire, value)
    {
        outbound_client_name(client, wire, strlen(wire));
        if (strlen(client) == length && memcmp(client, name, length) == 0)
            return plain(all, value);
    }
    return NULL;
}

static int kind_of(const json_t *schema, enum column_kind *kind)
{
    static const char *const types[] = {
        [COLUMN_TEXT] = "string", [COLUMN_INTEGER] = "integer", [COLUMN_BOOLEAN] = "boolean"};
    const char *type = json_string_value(json_object_get(schema, "type"));
    unsigned i;

    if (json_object_get(schema, "enum") != NULL)
        type = types[COLUMN_TEXT];
    for (i = 0; type != NULL && i < sizeof(types) / sizeof(types[0]); ++i)
        if (strcmp(types[i], type) == 0) {
            *kind = (enum column_kind)i;
            return CG_OK;
        }
    return CG_E_INVALID;
}

static int find(const struct columns *all, struct column *column)
{
    const json_t *schema =
        member(all, all->schema, contacts_names.contact, strlen(contacts_names.contact));
    const char *at = column->name;
    unsigned depth = 0;

    if (strcmp(column->name, contacts_names.priority) == 0) {
        column->kind = COLUMN_INTEGER;
        return CG_OK;
    }
    for (; schema != NULL && depth < DEPTH_MAX; ++depth) {
        size_t length = strcspn(at, ".");
        schema = member(all, schema, at, length);
        at += length;
        if (*at == '\0')
            break;
        ++at;
    }
    return schema != NULL && *at == '\0' ? kind_of(schema, &column->kind) : CG_E_INVALID;
}

/* A column's name is the client's own words, not a value: it may be told. */
static int refuse(struct columns *all, size_t index, const char *why)
{
    snprintf(all->detail, sizeof(all->detail), "column %zu: %s", index + 1, why);
    return CG_E_INVALID;
}

static int take_column(struct columns *all, size_t index)
{
    static const size_t prefix = sizeof(CUSTOM_PREFIX) - 1;
    struct csv_field field = all->fields[index];
    struct column *column = &all->columns[index];
    size_t i;

    column->kind = COLUMN_TEXT;
    if (field.length > prefix && memcmp(field.text, CUSTOM_PREFIX, prefix) == 0) {
        column->kind = COLUMN_CUSTOM;
        field.text += prefix;
        field.length -= prefix;
    }
    if (field.length == 0 || field.length > CG_ID_BYTES_MAX)
        return refuse(all, index, "expected a name of 1 to 256 bytes");
    memcpy(column->name, field.text, field.length);
    column->name[field.length] = '\0';
    if (column->kind != COLUMN_CUSTOM && find(all, column) != CG_OK)
        return refuse(all, index,
                      "expected the name of a member of a contact that is a value, or "
                      "custom.<name>");
    for (i = 0; i < index; ++i)
        if ((all->columns[i].kind == COLUMN_CUSTOM) == (column->kind == COLUMN_CUSTOM) &&
            strcmp(all->columns[i].name, column->name) == 0)
            return refuse(all, index, "the name is there twice");
    return CG_OK;
}

static int take_csv_error(struct columns *all)
{
    snprintf(all->detail, sizeof(all->detail), "line %zu: %s", all->csv.line, all->csv.error);
    return CG_E_INVALID;
}

static int take_header(struct columns *all)
{
    int count = csv_next(&all->csv, all->fields, CG_JOB_COLUMNS_MAX), i, rc = CG_OK;

    if (count < 0)
        return take_csv_error(all);
    if (count == 0) {
        snprintf(all->detail, sizeof(all->detail),
                 "expected a header of column names, found nothing");
        return CG_E_INVALID;
    }
    all->num_columns = (size_t)count;
    for (i = 0; i < count && rc == CG_OK; ++i)
        rc = take_column(all, (size_t)i);
    return rc;
}

/* ---- rows ---- */

static json_t *integer_of(const struct csv_field *field)
{
    char text[24], *end;

    if (field->length > 19) /* more than that no integer of the contract has */
        return NULL;
    memcpy(text, field->text, field->length);
    text[field->length] = '\0';
    if (strspn(text + (text[0] == '-'), "0123456789") != field->length - (text[0] == '-') ||
        field->length == (size_t)(text[0] == '-'))
        return NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    return errno == 0 ? json_integer(value) : NULL;
}

static json_t *boolean_of(const struct csv_field *field)
{
    static const struct {
        const char *text;
        int value;
    } words[] = {{"true", 1}, {"false", 0}, {"1", 1}, {"0", 0}};
    size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); ++i)
        if (field->length == strlen(words[i].text) &&
            strncasecmp(field->text, words[i].text, field->length) == 0)
            return json_boolean(words[i].value);
    return NULL;
}

/* NULL: it is none of the kind. */
static json_t *value_of(enum column_kind kind, const struct csv_field *field)
{
    if (kind == COLUMN_INTEGER)
        return integer_of(field);
    if (kind == COLUMN_BOOLEAN)
        return boolean_of(field);
    return json_stringn(field->text, field->length);
}

static json_t *below(json_t *object, const char *name, json_t *fresh)
{
    json_t *there = json_object_get(object, name);

    if (there != NULL) {
        json_decref(fresh);
        return there;
    }
    json_object_set_new(object, name, fresh);
    return fresh;
}

/* Takes the reference. "a" beside "a.b" cannot be: only one of them is a value. */
static void put(json_t *contact, const char *name, json_t *value)
{
    char segment[CG_ID_BYTES_MAX + 1];
    size_t length;

    for (; name[length = strcspn(name, ".")] != '\0'; name += length + 1) {
        memcpy(segment, name, length);
        segment[length] = '\0';
        contact = below(contact, segment, json_object());
    }
    json_object_set_new(contact, name, value);
}

static void put_custom(json_t *contact, const char *name, json_t *text)
{
    json_array_append_new(below(contact, contacts_names.custom, json_array()),
                          json_pack("{s:s, s:o}", contacts_names.custom_name, name,
                                    contacts_names.custom_text, text));
}

static void refuse_value(struct columns *all, const struct column *column)
{
    static const char *const expected[] = {
        [COLUMN_TEXT] = "expected UTF-8 text without a NUL, found another",
        [COLUMN_INTEGER] = "expected an integer, found another",
        [COLUMN_BOOLEAN] = "expected true or false, found another",
        [COLUMN_CUSTOM] = "expected UTF-8 text without a NUL, found another"};
    char pointer[CG_ID_BYTES_MAX + sizeof(CUSTOM_PREFIX) + 1], *dot;

    snprintf(pointer, sizeof(pointer), "/%s%s", column->kind == COLUMN_CUSTOM ? CUSTOM_PREFIX : "",
             column->name);
    for (dot = pointer; column->kind != COLUMN_CUSTOM && (dot = strchr(dot, '.')) != NULL;)
        *dot = '/';
    parse_refuse_row(all->parse, pointer, expected[column->kind]);
}

/* An empty field is one that is not there. CG_E_INVALID: the row was refused. */
static int put_field(struct columns *all, json_t *contact, size_t index)
{
    const struct column *column = &all->columns[index];
    const struct csv_field *field = &all->fields[index];
    json_t *value;

    if (field->length == 0)
        return CG_OK;
    if ((value = value_of(column->kind, field)) == NULL) {
        refuse_value(all, column);
        return CG_E_INVALID;
    }
    if (column->kind == COLUMN_CUSTOM)
        put_custom(contact, column->name, value);
    else
        put(contact, column->name, value);
    return CG_OK;
}

/* NULL: it was refused. */
static json_t *contact_of(struct columns *all, size_t count)
{
    json_t *contact;
    char detail[128];
    size_t i;

    if (count != all->num_columns) {
        snprintf(detail, sizeof(detail), "line %zu: expected %zu fields, found %zu", all->csv.line,
                 all->num_columns, count);
        parse_refuse_row(all->parse, "", detail);
        return NULL;
    }
    if ((contact = json_object()) == NULL)
        abort();
    for (i = 0; i < count; ++i)
        if (put_field(all, contact, i) != CG_OK) {
            body_wipe_json(contact);
            json_decref(contact);
            return NULL;
        }
    return contact;
}

static int take_row(struct columns *all)
{
    int count = csv_next(&all->csv, all->fields, CG_JOB_COLUMNS_MAX);
    json_t *contact;

    if (count <= 0)
        return count == 0 ? 0 : take_csv_error(all);
    if (parse_begin_row(all->parse) != CG_OK)
        return CG_E_LIMIT;
    if ((contact = contact_of(all, (size_t)count)) == NULL)
        return 1;
    parse_take_row(all->parse, contact);
    body_wipe_json(contact);
    json_decref(contact);
    return 1;
}

int columns_step(struct columns *all)
{
    int rc;

    if (all->num_columns > 0)
        return take_row(all);
    rc = take_header(all);
    return rc == CG_OK ? 1 : rc;
}

const char *columns_error(const struct columns *all)
{
    return all->detail;
}

struct columns *columns_new(struct parse *parse, const char *text, size_t length)
{
    struct columns *all = calloc(1, sizeof(*all));

    if (all == NULL)
        return NULL;
    all->parse = parse;
    all->schema = codec_input_schema(parse->wanted.op);
    if (all->schema == NULL || csv_init(&all->csv, text, length) != CG_OK)
        columns_free(&all);
    return all;
}

void columns_free(struct columns **in)
{
    struct columns *all = *in;

    *in = NULL;
    if (all == NULL)
        return;
    csv_release(&all->csv);
    json_decref(all->schema);
    free(all);
}
