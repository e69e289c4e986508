/* The form of a command's body: which row of the table it is, and whether its members are what the row wants. Pure. */
#include <stdio.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

static const struct {
    const char *name;
    enum command_field_type type;
} types[] = {{"string", FIELD_STRING}, {"boolean", FIELD_BOOLEAN}, {"integer", FIELD_INTEGER},
             {"object", FIELD_OBJECT}, {"array", FIELD_ARRAY},     {"any", FIELD_ANY},
             {"origin", FIELD_ORIGIN}};

/* Whoever acts may be named in any command. */
static const char actors[] = "agent terminal address terminalConnectionId connectionId";

static size_t copy_word(char *out, size_t size, const char *at, const char *end_at)
{
    size_t length = strcspn(at, end_at);
    snprintf(out, size, "%.*s", (int)length, at);
    return length;
}

static void take_type(struct command_field *field, const char *name, size_t length)
{
    size_t i;
    for (i = 0; i < sizeof(types) / sizeof(types[0]); ++i)
        if (strlen(types[i].name) == length && memcmp(types[i].name, name, length) == 0)
            field->type = types[i].type;
}

int command_field_next(const char **at, struct command_field *field)
{
    const char *text = *at + strspn(*at, " ");

    memset(field, 0, sizeof(*field));
    if (*text == '\0' || *text == '*')
        return 0;
    text += copy_word(field->name, sizeof(field->name), text, " :=!^");
    for (; *text != ' ' && *text != '\0';) {
        char mark = *text++;
        if (mark == '!') {
            field->required = 1;
        } else if (mark == '^') {
            field->secret = 1;
        } else if (mark == ':') {
            size_t length = strcspn(text, " !^");
            take_type(field, text, length);
            text += length;
        } else {
            field->type = FIELD_CHOICE;
            text += copy_word(field->choices, sizeof(field->choices), text, " !^");
        }
    }
    *at = text;
    return 1;
}

size_t command_rows_of(const char *path, const char *method, const struct command_row **first)
{
    size_t i, count = 0;
    for (i = 0; i < num_command_rows; ++i) {
        if (strcmp(command_rows[i].path, path) != 0 || strcmp(command_rows[i].method, method) != 0)
            continue;
        if (count++ == 0)
            *first = &command_rows[i];
    }
    return count;
}

/* ---- which row ---- */

static int has_any(const json_t *body, const char *names)
{
    while (*names != '\0') {
        char name[32];
        names += copy_word(name, sizeof(name), names, "|");
        names += *names == '|';
        if (json_object_get(body, name) != NULL)
            return 1;
    }
    return 0;
}

static int fits(const struct command_row *row, const json_t *body)
{
    char name[32];
    const char *value = row->when != NULL ? strchr(row->when, '=') : NULL;
    const json_t *member;

    if (row->when == NULL)
        return 1;
    if (value == NULL)
        return has_any(body, row->when);
    copy_word(name, sizeof(name), row->when, "=");
    member = json_object_get(body, name);
    if (json_is_boolean(member))
        return strcmp(value + 1, json_is_true(member) ? "true" : "false") == 0;
    return json_is_string(member) && strcmp(json_string_value(member), value + 1) == 0;
}

/* ---- its members ---- */

static int bad(struct command_error *error, const char *name, const char *expected,
               const json_t *found)
{
    static const char *const kinds[] = {"an object", "an array", "a string", "an integer",
                                        "a number",  "true",     "false",    "null"};
    snprintf(error->pointer, sizeof(error->pointer), "/%s", name);
    snprintf(error->detail, sizeof(error->detail), "expected %s, found %s", expected,
             found != NULL ? kinds[json_typeof(found)] : "nothing");
    return CG_E_INVALID;
}

static int is_choice(const char *choices, const char *text)
{
    const size_t length = strlen(text);
    while (*choices != '\0') {
        const size_t choice = strcspn(choices, "|");
        if (length == choice && length > 0 && memcmp(choices, text, length) == 0)
            return 1;
        choices += choice;
        choices += *choices == '|';
    }
    return 0;
}

static int check_choice(const struct command_field *field, const json_t *value,
                        struct command_error *error)
{
    char expected[160];

    if (json_is_string(value) && is_choice(field->choices, json_string_value(value)))
        return CG_OK;
    snprintf(expected, sizeof(expected), "one of %s", field->choices);
    if (!json_is_string(value))
        return bad(error, field->name, expected, value);
    snprintf(error->pointer, sizeof(error->pointer), "/%s", field->name);
    snprintf(error->detail, sizeof(error->detail), "expected %s, found another text", expected);
    return CG_E_INVALID;
}

static int check_origin(const struct command_field *field, const json_t *value,
                        struct command_error *error)
{
    static const char *const names[] = {"agent", "terminal", "address"};
    size_t i, count = 0;

    for (i = 0; i < 3; ++i)
        count += json_string_length(json_object_get(value, names[i])) > 0;
    if (count == 0 || count != json_object_size(value))
        return bad(error, field->name, "an object with agent, terminal or address, as text", value);
    return CG_OK;
}

static int check_value(const struct command_field *field, const json_t *value,
                       struct command_error *error)
{
    switch (field->type) {
    case FIELD_STRING:
        if (json_is_string(value) && json_string_length(value) <= CG_COMMAND_TEXT_BYTES_MAX &&
            (!field->required || json_string_length(value) > 0))
            return CG_OK;
        return bad(error, field->name, field->required ? "a text that is not empty" : "a text",
                   value);
    case FIELD_BOOLEAN:
        return json_is_boolean(value) ? CG_OK : bad(error, field->name, "true or false", value);
    case FIELD_INTEGER:
        return json_is_integer(value) && json_integer_value(value) >= 0 &&
                       json_integer_value(value) <= INT32_MAX
                   ? CG_OK
                   : bad(error, field->name, "an integer from 0 to 2147483647", value);
    case FIELD_OBJECT:
        return json_is_object(value) ? CG_OK : bad(error, field->name, "an object", value);
    case FIELD_ARRAY:
        return json_is_array(value) ? CG_OK : bad(error, field->name, "an array", value);
    case FIELD_ORIGIN:
        return check_origin(field, value, error);
    case FIELD_CHOICE:
        return check_choice(field, value, error);
    default:
        return CG_OK;
    }
}

static int check_fields(const char *fields, const json_t *body, struct command_error *error)
{
    struct command_field field;

    while (command_field_next(&fields, &field)) {
        const json_t *value = json_object_get(body, field.name);
        if (value == NULL && !field.required)
            continue;
        if (value == NULL)
            return bad(error, field.name, "a value", NULL);
        if (check_value(&field, value, error) != CG_OK)
            return CG_E_INVALID;
    }
    return CG_OK;
}

static int is_field(const char *fields, const char *name)
{
    struct command_field field;
    while (command_field_next(&fields, &field))
        if (strcmp(field.name, name) == 0)
            return 1;
    return 0;
}

static int may_name_actor(const struct command_row *row)
{
    return row->target != TARGET_CONTROL;
}

/* A member that nobody knows is a mistake that would otherwise act on something else. */
static int check_names(const struct command_row *row, json_t *body, struct command_error *error)
{
    const char *name;
    json_t *value;

    json_object_foreach(body, name, value)
    {
        if (is_field(row->fields, name) || (may_name_actor(row) && is_field(actors, name)))
            continue;
        snprintf(error->pointer, sizeof(error->pointer), "/%.200s", name);
        snprintf(error->detail, sizeof(error->detail), "the command has no such member");
        return CG_E_INVALID;
    }
    return CG_OK;
}

static int check(const struct command_row *row, json_t *body, struct command_error *error)
{
    if (row->fields[0] == '*') /* its own check */
        return CG_OK;
    if (may_name_actor(row) && check_fields(actors, body, error) != CG_OK)
        return CG_E_INVALID;
    if (check_fields(row->fields, body, error) != CG_OK)
        return CG_E_INVALID;
    return check_names(row, body, error);
}

const struct command_row *command_choose(const struct command_row *first, size_t num_rows,
                                         const json_t *body, struct command_error *error)
{
    const struct command_row *row, *end = command_rows + num_command_rows;

    memset(error, 0, sizeof(*error));
    for (row = first; row < end && num_rows > 0; ++row) {
        if (strcmp(row->path, first->path) != 0 || strcmp(row->method, first->method) != 0)
            continue;
        --num_rows;
        if (fits(row, body))
            return check(row, (json_t *)body, error) == CG_OK ? row : NULL;
    }
    snprintf(error->detail, sizeof(error->detail), "the body fits no form of this command");
    return NULL;
}

/* ---- kinds of operations ---- */

const char *const operation_kind_names[] = {"read", "command", "session", "subscription"};

static int begins(const char *name, const char *word)
{
    return strncmp(name, word, strlen(word)) == 0;
}

/* By name (DOMAIN section 1.4): every Get* and Is* reads, and nothing else does. */
enum operation_kind operation_kind(const struct contract_operation *op)
{
    static const char *const sessions[] = {"LogIn", "LogOff", "Dispose"};
    static const char *const subscriptions[] = {"Subscribe", "Unsubscribe", "Renew", "Notify"};
    size_t i;

    if (begins(op->name, "Get") || begins(op->name, "Is"))
        return KIND_READ;
    for (i = 0; i < sizeof(sessions) / sizeof(sessions[0]); ++i)
        if (begins(op->name, sessions[i]) && strstr(op->name, "Agent") == NULL)
            return KIND_SESSION;
    for (i = 0; i < sizeof(subscriptions) / sizeof(subscriptions[0]); ++i)
        if (strcmp(op->name, subscriptions[i]) == 0)
            return KIND_SUBSCRIPTION;
    return KIND_COMMAND;
}

/* ---- who may ---- */

static unsigned roles_of_rows(const struct contract_operation *op)
{
    unsigned roles = 0;
    size_t i, j;

    for (i = 0; i < num_command_rows; ++i)
        for (j = 0; j < COMMAND_FORMS && command_rows[i].forms[j].service != NULL; ++j)
            if (strcmp(command_rows[i].forms[j].service, op->service->name) == 0 &&
                strcmp(command_rows[i].forms[j].operation, op->name) == 0)
                roles |= command_rows[i].roles;
    return roles;
}

unsigned operation_roles(const struct contract_operation *op)
{
    unsigned roles;

    switch (operation_kind(op)) {
    case KIND_READ:
        return ROLE_VIEWER | ROLE_CONTROLLER | ROLE_SUPERVISOR | ROLE_RECORDER | ROLE_OPERATOR;
    case KIND_COMMAND:
        roles = roles_of_rows(op);
        return roles != 0 ? roles : ROLE_CONTROLLER | ROLE_SUPERVISOR;
    default:
        return ROLE_OPERATOR;
    }
}
