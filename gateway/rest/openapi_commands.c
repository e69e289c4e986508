/*
 * The commands of /openapi.json, from their table: one operation for the rows of one path and method.
 *
 * Rows that share path and method are told apart by the body, the first that fits (command.h). Their schemas are made so that a body is
 * valid by exactly one of them, which is then the row that command_choose finds: what an earlier row asks for, a later one excludes.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cctgate/command.h"
#include "gateway/rest/openapi.h"
#include "gateway/rest/rest.h"

#define NAME_BYTES       128
#define COMMAND_ROWS_MAX 16 /* of one path and method */

/* The rows of one path and method, in the order of the table. */
struct group {
    const struct command_row *rows[COMMAND_ROWS_MAX];
    size_t num_rows;
};

static void take_group(struct group *group, const struct command_row *first)
{
    const struct command_row *row;
    group->num_rows = 0;
    for (row = first; row < command_rows + num_command_rows; ++row)
        if (strcmp(row->path, first->path) == 0 && strcmp(row->method, first->method) == 0 &&
            group->num_rows < COMMAND_ROWS_MAX)
            group->rows[group->num_rows++] = row;
}

/* Some rows stand for no path: they are a WebSocket's only. */
static int is_first(const struct command_row *row)
{
    const struct command_row *first;
    return row->path[0] == '/' && command_rows_of(row->path, row->method, &first) > 0 &&
           first == row;
}

/* ---- names ---- */

static const struct {
    const char *segment, *name;
} resources[] = {{"agents", "Agent"},
                 {"terminals", "Terminal"},
                 {"addresses", "Address"},
                 {"calls", "Call"},
                 {"route-points", "RoutePoint"}};

static const char *resource_of(const char *path)
{
    const char *segment = path + strlen("/v1/");
    size_t i;
    for (i = 0; i < sizeof(resources) / sizeof(resources[0]); ++i)
        if (strncmp(segment, resources[i].segment, strlen(resources[i].segment)) == 0)
            return resources[i].name;
    return "";
}

/* do-not-disturb: DoNotDisturb */
static size_t add_camel(char *out, size_t size, size_t at, const char *words, size_t length)
{
    int begins = 1;
    size_t i;
    for (i = 0; i < length && at + 1 < size; ++i) {
        if (words[i] == '-') {
            begins = 1;
            continue;
        }
        out[at++] = begins ? (char)toupper((unsigned char)words[i]) : words[i];
        begins = 0;
    }
    out[at] = '\0';
    return at;
}

/* The row's name; of rows with several: what the path ends with. */
static void print_base(const struct command_row *first, char *name, size_t size)
{
    struct group group;
    size_t i, length = 0;

    take_group(&group, first);
    for (i = 1; i < group.num_rows; ++i)
        if (strcmp(group.rows[i]->name, first->name) != 0)
            break;
    if (i == group.num_rows) {
        snprintf(name, size, "%s", first->name);
        return;
    }
    if (strcmp(first->method, "PUT") == 0)
        length = (size_t)snprintf(name, size, "set");
    add_camel(name, size, length, strrchr(first->path, '/') + 1,
              strlen(strrchr(first->path, '/') + 1));
    name[0] = (char)tolower((unsigned char)name[0]);
}

static void print_operation_id(const struct command_row *first, char *name, size_t size)
{
    char base[NAME_BYTES], other[NAME_BYTES];
    const struct command_row *row;

    print_base(first, base, sizeof(base));
    snprintf(name, size, "%s", base);
    for (row = command_rows; row < command_rows + num_command_rows; ++row) {
        if (row == first || !is_first(row))
            continue;
        print_base(row, other, sizeof(other));
        if (strcmp(base, other) == 0) {
            snprintf(name, size, "%s%s", base, resource_of(first->path));
            return;
        }
    }
}

/* ---- bodies ---- */

/* clang-format off */
static const char *const type_schemas[] = {
    [FIELD_BOOLEAN] = "{'type':'boolean'}",
    [FIELD_INTEGER] = "{'type':'integer','minimum':0,'maximum':2147483647}",
    [FIELD_OBJECT] = "{'type':'object'}",
    [FIELD_ARRAY] = "{'type':'array'}",
    [FIELD_ANY] = "{}",
    [FIELD_ORIGIN] = "{'$ref':'#/components/schemas/Origin'}",
};

static const struct {
    const char *name, *schema;
} actors[] = {
    {"agent", "{'type':'string','description':'Who acts: a login id'}"},
    {"terminal", "{'type':'string','description':'Where'}"},
    {"address", "{'type':'string','description':'By which address of it'}"},
    {"terminalConnectionId", "{'type':'string','description':'Which leg at a terminal'}"},
    {"connectionId", "{'type':'string','description':'Which leg'}"},
};

/* What the examples say. */
static const struct {
    const char *name, *value;
} samples[] = {
    {"to", "'7001'"}, {"from", "{'agent':'2001'}"}, {"reasonCode", "'3'"}, {"activityCode", "'101'"}, {"terminal", "'Line 1.2001'"},
    {"supervisor", "'2900'"}, {"profile", "'FullControl'"}, {"application", "'desktop'"}, {"message", "'Please call back'"},
    {"group", "'3'"}, {"consultContactId", "'1002'"}, {"externalContactId", "'00001000021700000000'"}, {"uui", "'04C8'"},
    {"type", "'RAN'"}, {"terminalConnectionId", "'1001-7001-2001'"}, {"state", "'start'"},
};
/* clang-format on */

static json_t *text_schema(const struct command_field *field)
{
    json_t *schema =
        json_pack("{s:s, s:i}", "type", "string", "maxLength", CG_COMMAND_TEXT_BYTES_MAX);
    if (field->required)
        json_object_set_new(schema, "minLength", json_integer(1));
    return schema;
}

static json_t *choice_schema(const char *choices)
{
    json_t *values = json_array();
    while (*choices != '\0') {
        size_t length = strcspn(choices, "|");
        json_array_append_new(values, json_stringn(choices, length));
        choices += length + (choices[length] == '|');
    }
    return json_pack("{s:s, s:o}", "type", "string", "enum", values);
}

static json_t *field_schema(const struct command_field *field)
{
    json_t *schema = field->type == FIELD_STRING   ? text_schema(field)
                     : field->type == FIELD_CHOICE ? choice_schema(field->choices)
                                                   : openapi_parse(type_schemas[field->type]);
    if (field->secret) {
        json_object_set_new(schema, "format", json_string("password"));
        json_object_set_new(schema, "writeOnly", json_true());
    }
    return schema;
}

static int has_text(const json_t *array, const char *text)
{
    json_t *value;
    size_t i;
    json_array_foreach(array, i, value) if (strcmp(json_string_value(value), text) == 0) return 1;
    return 0;
}

static void add_required(json_t *schema, const char *name)
{
    json_t *required = json_object_get(schema, "required");
    if (!has_text(required, name))
        json_array_append_new(required, json_string(name));
}

/* `when` is "name=value": its name; else NULL. */
static const char *split(const char *when, char *name, size_t size)
{
    snprintf(name, size, "%.*s", (int)strcspn(when, "="), when);
    return strchr(when, '=') != NULL ? strchr(when, '=') + 1 : NULL;
}

/* This row's own condition. */
static void demand(json_t *schema, const char *when)
{
    json_t *any = json_array();
    char name[64];
    const char *value = split(when, name, sizeof(name));

    if (value != NULL) {
        json_t *member = json_object_get(json_object_get(schema, "properties"), name);
        int is_choice = json_object_del(member, "enum") == 0;
        json_object_set_new(member, "const",
                            is_choice ? json_string(value)
                                      : json_boolean(strcmp(value, "true") == 0));
        add_required(schema, name);
    }
    while (value == NULL && *when != '\0') {
        size_t length = strcspn(when, "|");
        json_array_append_new(any, json_pack("{s:[s%]}", "required", when, length));
        when += length + (when[length] == '|');
    }
    if (json_array_size(any) == 1)
        add_required(schema, name);
    else if (json_array_size(any) > 1)
        json_object_set(schema, "anyOf", any);
    json_decref(any);
}

static void remove_choice(json_t *values, const char *value)
{
    size_t i;
    for (i = json_array_size(values); i-- > 0;)
        if (strcmp(json_string_value(json_array_get(values, i)), value) == 0)
            json_array_remove(values, i);
}

/* An earlier row's condition: it would have been that one. */
static void exclude(json_t *schema, const char *when)
{
    json_t *properties = json_object_get(schema, "properties");
    char name[64];
    const char *value = split(when, name, sizeof(name));

    if (value != NULL) {
        json_t *member = json_object_get(properties, name);
        if (json_object_get(member, "enum") != NULL)
            remove_choice(json_object_get(member, "enum"), value);
        else if (member != NULL)
            json_object_set_new(member, "const", json_boolean(strcmp(value, "true") != 0));
        return;
    }
    while (*when != '\0') {
        size_t length = strcspn(when, "|");
        snprintf(name, sizeof(name), "%.*s", (int)length, when);
        json_object_del(properties, name);
        when += length + (when[length] == '|');
    }
}

static json_t *row_schema(const struct group *group, size_t index)
{
    const struct command_row *row = group->rows[index];
    json_t *properties = json_object();
    json_t *schema =
        json_pack("{s:s, s:s, s:o, s:[], s:b}", "type", "object", "description", row->summary,
                  "properties", properties, "required", "additionalProperties", 0);
    const char *at = row->fields;
    struct command_field field;
    size_t i;

    for (i = 0; row->target != TARGET_CONTROL && i < sizeof(actors) / sizeof(actors[0]); ++i)
        json_object_set_new(properties, actors[i].name, openapi_parse(actors[i].schema));
    while (command_field_next(&at, &field)) {
        json_object_set_new(properties, field.name, field_schema(&field));
        if (field.required)
            add_required(schema, field.name);
    }
    for (i = 0; i < index; ++i)
        if (group->rows[i]->when != NULL)
            exclude(schema, group->rows[i]->when);
    if (row->when != NULL)
        demand(schema, row->when);
    return schema;
}

/* What a call carries has a form of its own. */
static json_t *free_schema(const struct command_row *row)
{
    int is_data = strstr(row->path, "/intrinsics") == NULL;
    if (strcmp(row->method, "PATCH") == 0)
        return SCHEMA(is_data ? "CallDataChange" : "IntrinsicsChange");
    return SCHEMA(is_data ? "CallData" : "Intrinsics");
}

static int is_free(const struct command_row *row)
{
    return row->fields[0] == '*';
}

static json_t *body_schema(const struct group *group)
{
    json_t *forms;
    size_t i;

    if (is_free(group->rows[0]))
        return free_schema(group->rows[0]);
    if (group->num_rows == 1)
        return row_schema(group, 0);
    forms = json_array();
    for (i = 0; i < group->num_rows; ++i)
        json_array_append_new(forms, row_schema(group, i));
    return json_pack("{s:o}", "oneOf", forms);
}

/* ---- examples ---- */

static json_t *sample(const char *name, json_t *schema)
{
    json_t *fixed = json_object_get(schema, "const"), *values = json_object_get(schema, "enum");
    const char *type = json_string_value(json_object_get(schema, "type"));
    size_t i;

    if (fixed != NULL)
        return json_incref(fixed);
    if (values != NULL)
        return json_incref(json_array_get(values, 0));
    for (i = 0; i < sizeof(samples) / sizeof(samples[0]); ++i)
        if (strcmp(samples[i].name, name) == 0 &&
            (type == NULL || (strcmp(type, "string") == 0) == (samples[i].value[0] == '\'')))
            return openapi_parse(samples[i].value);
    if (type != NULL && strcmp(type, "boolean") == 0)
        return json_true();
    return type != NULL && strcmp(type, "integer") == 0 ? json_integer(1) : json_string("text");
}

/* The least that the form takes; NULL: a secret is part of it, which no example shows. */
static json_t *form_example(json_t *schema)
{
    json_t *example = json_object(), *properties = json_object_get(schema, "properties"), *name;
    json_t *any = json_array_get(json_object_get(schema, "anyOf"), 0);
    size_t i;

    json_array_foreach(json_object_get(schema, "required"), i, name)
    {
        json_t *member = json_object_get(properties, json_string_value(name));
        if (json_object_get(member, "writeOnly") != NULL) {
            json_decref(example);
            return NULL;
        }
        json_object_set_new(example, json_string_value(name),
                            sample(json_string_value(name), member));
    }
    json_array_foreach(json_object_get(any, "required"), i, name) json_object_set_new(
        example, json_string_value(name), sample(json_string_value(name), NULL));
    if (json_object_size(example) == 1 && json_object_get(example, "to") != NULL &&
        json_object_get(properties, "from") != NULL)
        json_object_set_new(example, "from", sample("from", NULL));
    return example;
}

static json_t *examples_of(const struct group *group, json_t *schema)
{
    json_t *all = json_object(), *forms = json_object_get(schema, "oneOf");
    char name[NAME_BYTES];
    size_t i;

    if (is_free(group->rows[0])) {
        json_object_set_new(all, group->rows[0]->name,
                            json_pack("{s:s, s:{s:s}}", "summary", group->rows[0]->summary, "value",
                                      "customer", "4711"));
        return all;
    }
    for (i = 0; i < group->num_rows; ++i) {
        json_t *example = form_example(forms != NULL ? json_array_get(forms, i) : schema);
        snprintf(name, sizeof(name), "%s", group->rows[i]->name);
        if (json_object_get(all, name) != NULL)
            snprintf(name, sizeof(name), "%s%zu", group->rows[i]->name, i + 1);
        if (example != NULL)
            json_object_set_new(
                all, name,
                json_pack("{s:s, s:o}", "summary", group->rows[i]->summary, "value", example));
    }
    return all;
}

/* An empty body is {}: it may be left out where a form takes that. */
static int is_required(const struct group *group, const json_t *schema)
{
    const json_t *forms = json_object_get(schema, "oneOf"), *form;
    size_t i;

    if (is_free(group->rows[0]))
        return 1;
    if (forms == NULL)
        return json_array_size(json_object_get(schema, "required")) > 0 ||
               json_object_get(schema, "anyOf") != NULL;
    json_array_foreach(forms, i, form)
    {
        if (json_array_size(json_object_get(form, "required")) == 0 &&
            json_object_get(form, "anyOf") == NULL)
            return 0;
    }
    return 1;
}

static json_t *request_body(const struct group *group)
{
    json_t *schema = body_schema(group), *examples = examples_of(group, schema);
    json_t *media, *content;
    int required = is_required(group, schema);

    media = json_pack("{s:o}", "schema", schema);
    if (json_object_size(examples) > 0)
        json_object_set(media, "examples", examples);
    json_decref(examples);
    content = json_pack("{s:o}", "application/json", media);
    if (strcmp(group->rows[0]->method, "PATCH") == 0)
        json_object_set(content, "application/merge-patch+json", media);
    return json_pack("{s:b, s:o}", "required", required, "content", content);
}

/* ---- answers ---- */

#define SUCCESS_HEADERS "CacheControl IdempotencyReplayed PreferenceApplied"

static const struct {
    const char *result, *schema;
} results[] = {{"contact", "ContactResult"},
               {"connection", "ConnectionResult"},
               {"terminalConnection", "TerminalConnectionResult"}};

/* Those of the steps that tell something, and of control. */
static const struct {
    const char *name, *schema;
} told[] = {{"attach", "Lease"}, {"transferControl", "ControlTransfer"}};

static const char *result_schema(const struct command_row *row)
{
    size_t i;
    for (i = 0; i < sizeof(told) / sizeof(told[0]); ++i)
        if (row->target == TARGET_CONTROL && strcmp(row->name, told[i].name) == 0)
            return told[i].schema;
    for (i = 0; row->result != NULL && i < sizeof(results) / sizeof(results[0]); ++i)
        if (strcmp(row->result, results[i].result) == 0)
            return results[i].schema;
    return NULL;
}

/* Neither an operation nor steps: 501, always. */
static int can_succeed(const struct command_row *row)
{
    return row->run != NULL || row->forms[0].operation != NULL;
}

static json_t *result_of(const struct group *group)
{
    json_t *any = json_array(), *one;
    size_t i, j;

    for (i = 0; i < group->num_rows; ++i) {
        const char *name = result_schema(group->rows[i]);
        for (j = 0; name != NULL && j < i; ++j)
            if (result_schema(group->rows[j]) != NULL &&
                strcmp(result_schema(group->rows[j]), name) == 0)
                name = NULL;
        if (name != NULL)
            json_array_append_new(any, SCHEMA(name));
    }
    if (json_array_size(any) > 1)
        return json_pack("{s:o}", "anyOf", any);
    one = json_array_size(any) == 1 ? json_incref(json_array_get(any, 0)) : NULL;
    json_decref(any);
    return one;
}

static json_t *responses_of(const struct group *group)
{
    static const int problems[] = {400, 401, 403, 404, 409, 413, 415,
                                   422, 429, 501, 502, 503, 504, 0};
    json_t *responses = json_object(), *result = result_of(group);
    int without = 0, waits = 0;
    size_t i;

    for (i = 0; i < group->num_rows; ++i) {
        const struct command_row *row = group->rows[i];
        without |= can_succeed(row) && result_schema(row) == NULL;
        waits |= can_succeed(row) && row->effect != NULL;
    }
    if (result != NULL)
        json_object_set_new(responses, "200",
                            openapi_response("Done", SUCCESS_HEADERS, "application/json",
                                             json_incref(result), NULL));
    if (without)
        json_object_set_new(responses, "204",
                            openapi_response("Done", SUCCESS_HEADERS, NULL, NULL, NULL));
    if (waits)
        json_object_set_new(responses, "202",
                            openapi_response("The contact centre has accepted it, and the event "
                                             "that proves the effect has not come in the time "
                                             "of Prefer: wait",
                                             SUCCESS_HEADERS, "application/json",
                                             json_incref(result), NULL));
    json_decref(result);
    openapi_add_problems(responses, problems);
    return responses;
}

/* ---- operations ---- */

static json_t *parameters_of(const struct group *group)
{
    const struct command_row *first = group->rows[0];
    json_t *list = openapi_path_parameters(first->path);
    size_t i, waits = 0;

    for (i = 0; i < group->num_rows; ++i)
        waits += group->rows[i]->effect != NULL;
    if (first->roles != ROLE_OPERATOR)
        json_array_append_new(list, openapi_reference("parameters", "ControlLease"));
    json_array_append_new(list, openapi_reference("parameters", "IdempotencyKey"));
    if (waits > 0)
        json_array_append_new(list, openapi_reference("parameters", "Prefer"));
    json_array_append_new(list, openapi_reference("parameters", "CctUser"));
    if (first->target == TARGET_CONTROL && strcmp(first->name, "release") == 0)
        json_array_append_new(list, openapi_reference("parameters", "Force"));
    return list;
}

static json_t *summary_of(const struct group *group)
{
    json_t *summary = json_string(group->rows[0]->summary), *longer;
    size_t i;
    for (i = 1; i < group->num_rows; ++i) {
        longer = json_sprintf("%s; or: %s", json_string_value(summary), group->rows[i]->summary);
        json_decref(summary);
        summary = longer;
    }
    return summary;
}

static json_t *operation_of(const struct group *group)
{
    char id[NAME_BYTES];
    unsigned roles = 0;
    size_t i;

    print_operation_id(group->rows[0], id, sizeof(id));
    for (i = 0; i < group->num_rows; ++i)
        roles |= group->rows[i]->roles;
    return json_pack("{s:s, s:o, s:[s], s:o, s:o, s:o, s:o}", "operationId", id, "summary",
                     summary_of(group), "tags", resource_of(group->rows[0]->path), "security",
                     openapi_security(roles), "parameters", parameters_of(group), "requestBody",
                     request_body(group), "responses", responses_of(group));
}

void openapi_add_commands(json_t *paths)
{
    const struct command_row *row;
    struct group group;

    for (row = command_rows; row < command_rows + num_command_rows; ++row) {
        if (!is_first(row))
            continue;
        take_group(&group, row);
        openapi_put(paths, row->path, row->method, operation_of(&group));
    }
}
