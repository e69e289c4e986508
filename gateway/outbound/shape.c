#include "cctgate/outbound_shape.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "gateway/contract/schema.h"

/* ---- names ---- */

/* Capitals in a row are one word, but the last of them when a small letter follows: "ContactID", "IDNumber". */
void outbound_client_name(char *out, const char *wire, size_t length)
{
    size_t i;
    int in_word = 0, leading = 1;

    if (length >= OUTBOUND_NAME_BYTES)
        length = OUTBOUND_NAME_BYTES - 1;
    for (i = 0; i < length; ++i) {
        unsigned char c = (unsigned char)wire[i];
        int begins = i + 1 < length && islower((unsigned char)wire[i + 1]);
        if (!isupper(c)) {
            leading = in_word = 0;
            out[i] = (char)c;
        } else if (leading) {
            out[i] = (char)(begins && i > 0 ? c : tolower(c));
        } else {
            out[i] = (char)(in_word && !begins ? tolower(c) : c);
            in_word = 1;
        }
    }
    out[length] = '\0';
}

/* ---- what was told ---- */

/* Of elements that the contract does not know: they stay as they are. */
static int is_extra(const char *name)
{
    return name[0] == '#' || name[0] == '@';
}

/* The only member of a value that is nothing but a list: {"OWContact": [...]}. */
static const json_t *list_in(const json_t *wire)
{
    const json_t *list = NULL;
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)wire, name, value)
    {
        if (is_extra(name))
            continue;
        if (list != NULL || !json_is_array(value))
            return NULL;
        list = value;
    }
    return list;
}

static json_t *client_array(const json_t *wire)
{
    json_t *out = json_array(), *value;
    size_t i;

    json_array_foreach((json_t *)wire, i, value)
        json_array_append_new(out, outbound_to_client(value));
    return out;
}

static json_t *client_object(const json_t *wire)
{
    char client[OUTBOUND_NAME_BYTES];
    json_t *out = json_object(), *value;
    const char *name;

    json_object_foreach((json_t *)wire, name, value)
    {
        if (is_extra(name)) {
            json_object_set_new(out, name, json_deep_copy(value));
            continue;
        }
        outbound_client_name(client, name, strlen(name));
        json_object_set_new(out, client, outbound_to_client(value));
    }
    return out;
}

/* As deep as the codec lets a message be. */
json_t *outbound_to_client(const json_t *wire)
{
    const json_t *list;

    if (json_is_array(wire))
        return client_array(wire);
    if (!json_is_object(wire))
        return json_deep_copy(wire);
    return (list = list_in(wire)) != NULL ? client_array(list) : client_object(wire);
}

/* ---- what is given ---- */

struct giving {
    const char *required;
    struct codec_error *error;
    char pointer[sizeof(((struct codec_error *)0)->pointer)];
    size_t length; /* of the pointer */
};

static const char *kind_of(const json_t *value)
{
    if (value == NULL)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "a boolean";
    }
}

static int refuse(struct giving *giving, const char *expected, const char *found)
{
    struct codec_error *error = giving->error;

    snprintf(error->pointer, sizeof(error->pointer), "%s", giving->pointer);
    snprintf(error->expected, sizeof(error->expected), "%s", expected);
    snprintf(error->found, sizeof(error->found), "%s", found);
    snprintf(error->text, sizeof(error->text), "expected %s, found %s", expected, found);
    return CG_E_INVALID;
}

/* One step down (RFC 6901); what does not fit is left out. Gives where to come back to. */
static size_t step_into(struct giving *giving, const char *name)
{
    size_t was = giving->length;

    if (was + 2 < sizeof(giving->pointer))
        giving->pointer[giving->length++] = '/';
    for (; *name != '\0' && giving->length + 3 < sizeof(giving->pointer); ++name) {
        if (*name == '~' || *name == '/') {
            giving->pointer[giving->length++] = '~';
            giving->pointer[giving->length++] = *name == '~' ? '0' : '1';
        } else {
            giving->pointer[giving->length++] = *name;
        }
    }
    giving->pointer[giving->length] = '\0';
    return was;
}

static void step_out(struct giving *giving, size_t was)
{
    giving->length = was;
    giving->pointer[was] = '\0';
}

static int is_named(const char *names, const char *name)
{
    size_t length = strlen(name);

    while (names != NULL && *names != '\0') {
        size_t word = strcspn(names, " ");
        if (word == length && memcmp(names, name, length) == 0)
            return 1;
        names += word + strspn(names + word, " ");
    }
    return 0;
}

static int give(struct giving *giving, const struct schema_type *type, const json_t *client,
                json_t **wire, int depth);

static int give_integer(struct giving *giving, const struct schema_simple *simple,
                        const json_t *client)
{
    json_int_t value = json_integer_value(client);
    char expected[96];

    if (json_is_integer(client) && value >= simple->minimum &&
        (value < 0 || (unsigned long long)value <= simple->maximum))
        return CG_OK;
    snprintf(expected, sizeof(expected), "an integer from %lld to %llu", simple->minimum,
             simple->maximum);
    return refuse(giving, expected, json_is_integer(client) ? "another integer" : kind_of(client));
}

static int give_simple(struct giving *giving, const struct schema_type *type, const json_t *client,
                       json_t **wire)
{
    int rc = CG_OK;

    if (type->simple.kind == SIMPLE_INTEGER)
        rc = give_integer(giving, &type->simple, client);
    else if (type->simple.kind == SIMPLE_BOOLEAN && !json_is_boolean(client))
        rc = refuse(giving, "a boolean", kind_of(client));
    else if (type->simple.kind != SIMPLE_BOOLEAN && !json_is_string(client))
        rc = refuse(giving, "a string", kind_of(client));
    if (rc == CG_OK)
        *wire = json_incref((json_t *)client);
    return rc;
}

static int give_array(struct giving *giving, const struct schema_element *element,
                      const json_t *client, json_t **wire, int depth)
{
    json_t *value, *out;
    char index[24];
    size_t i;
    int rc = CG_OK;

    if (!json_is_array(client))
        return refuse(giving, "an array", kind_of(client));
    out = json_array();
    json_array_foreach((json_t *)client, i, value)
    {
        json_t *one = NULL;
        size_t was;
        snprintf(index, sizeof(index), "%zu", i);
        was = step_into(giving, index);
        if ((rc = give(giving, element->type, value, &one, depth)) != CG_OK)
            break;
        step_out(giving, was);
        json_array_append_new(out, one);
    }
    if (rc == CG_OK)
        *wire = out;
    else
        json_decref(out);
    return rc;
}

/* What the schema asks for and the client has left out. NULL: the client must not. */
static json_t *left_out(const struct schema_element *element)
{
    const struct schema_type *type = element->type;

    if (type->content != CONTENT_SIMPLE)
        return NULL;
    if (type->simple.kind == SIMPLE_INTEGER)
        return json_integer(0);
    return type->simple.kind == SIMPLE_BOOLEAN ? json_false() : NULL;
}

static int give_member(struct giving *giving, const struct schema_element *element,
                       const json_t *client, json_t *out, size_t *used, int depth)
{
    char name[OUTBOUND_NAME_BYTES];
    const json_t *given;
    json_t *wire = NULL;
    size_t was;
    int rc = CG_OK;

    outbound_client_name(name, element->name, strlen(element->name));
    given = json_object_get(client, name);
    *used += given != NULL;
    was = step_into(giving, name);
    if (json_is_null(given))
        given = NULL;
    if (given == NULL && element->min > 0) {
        wire = is_named(giving->required, name) ? NULL : left_out(element);
        if (wire == NULL)
            rc = refuse(giving, "a value", "nothing");
    } else if (given != NULL && element->max > 1) {
        rc = give_array(giving, element, given, &wire, depth);
    } else if (given != NULL) {
        rc = give(giving, element->type, given, &wire, depth);
    }
    if (rc != CG_OK)
        return rc;
    step_out(giving, was);
    if (wire != NULL)
        json_object_set_new(out, element->name, wire);
    return CG_OK;
}

static const struct schema_element *member_at(const struct schema_type *type, size_t index)
{
    return type->members.items[index];
}

static int has_client_name(const struct schema_type *type, const char *name)
{
    char known[OUTBOUND_NAME_BYTES];
    size_t i;

    for (i = 0; i < type->members.length; ++i) {
        const char *wire = member_at(type, i)->name;
        outbound_client_name(known, wire, strlen(wire));
        if (strcmp(known, name) == 0)
            return 1;
    }
    return 0;
}

static int refuse_unknown(struct giving *giving, const struct schema_type *type,
                          const json_t *client)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)client, name, value) if (!has_client_name(type, name))
    {
        step_into(giving, name);
        return refuse(giving, "no such member", kind_of(value));
    }
    return CG_OK;
}

static int give_object(struct giving *giving, const struct schema_type *type, const json_t *client,
                       json_t **wire, int depth)
{
    json_t *out = json_object();
    size_t used = 0, i;
    int rc = CG_OK;

    for (i = 0; rc == CG_OK && i < type->members.length; ++i)
        rc = give_member(giving, member_at(type, i), client, out, &used, depth);
    if (rc == CG_OK && used != json_object_size(client))
        rc = refuse_unknown(giving, type, client);
    if (rc == CG_OK)
        *wire = out;
    else
        json_decref(out);
    return rc;
}

static int is_list(const struct schema_type *type)
{
    return type->content == CONTENT_ELEMENTS && type->members.length == 1 &&
           member_at(type, 0)->max > 1;
}

/* As deep as what the client gave, which body_parse bounds, and no deeper than that here. */
static int give(struct giving *giving, const struct schema_type *type, const json_t *client,
                json_t **wire, int depth)
{
    json_t *list = NULL;
    int rc;

    if (depth > CG_JSON_DEPTH_MAX)
        return refuse(giving, "less nesting", "more");
    if (type->content == CONTENT_SIMPLE)
        return give_simple(giving, type, client, wire);
    if (is_list(type)) {
        if ((rc = give_array(giving, member_at(type, 0), client, &list, depth + 1)) == CG_OK)
            *wire = json_pack("{s:o}", member_at(type, 0)->name, list);
        return rc;
    }
    if (!json_is_object(client))
        return refuse(giving, "an object", kind_of(client));
    return give_object(giving, type, client, wire, depth + 1);
}

int outbound_to_wire(const struct contract_operation *op, const char *member, const json_t *client,
                     const char *required, json_t **wire, struct codec_error *error)
{
    const struct schema_element *element = schema_member_by_name(op->input->type, member);
    struct giving giving = {.required = required, .error = error};

    *wire = NULL;
    memset(error, 0, sizeof(*error));
    if (element == NULL)
        return refuse(&giving, "another contract", "one without such an element");
    return give(&giving, element->type, client, wire, 0);
}
