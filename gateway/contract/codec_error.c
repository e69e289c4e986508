#include "gateway/contract/codec_error.h"

#include <stdio.h>
#include <string.h>

#include "cctgate/limits.h"

/* Every element of the document may be an entry of an array. */
#define PATH_STEPS_MAX (2 * CG_XML_DEPTH_MAX + 4)

const char *codec_error_told(const struct codec_error *error)
{
    return error != NULL && !error->is_inside ? error->text : NULL;
}

struct text {
    char *at, *end; /* end: where the NUL must still fit */
};

static void put(struct text *text, const char *bytes, size_t length)
{
    size_t room = (size_t)(text->end - text->at);
    length = length < room ? length : room;
    memcpy(text->at, bytes, length);
    text->at += length;
    *text->at = '\0';
}

/* A member's name with the escapes of RFC 6901. */
static void put_name(struct text *text, const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name == '~')
            put(text, "~0", 2);
        else if (*name == '/')
            put(text, "~1", 2);
        else
            put(text, name, 1);
    }
}

void codec_clean(char *to, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        to[i] = c < 0x20 || c == 0x7f ? ' ' : text[i];
    }
    to[length] = '\0';
}

static void print_path(const struct codec_path *path, char *pointer, size_t size)
{
    const struct codec_path *steps[PATH_STEPS_MAX];
    char index[24], raw[512];
    struct text text = {raw, raw + sizeof(raw) - 1};
    size_t count = 0;
    raw[0] = '\0';
    for (; path != NULL && path->parent != NULL && count < PATH_STEPS_MAX; path = path->parent)
        steps[count++] = path;
    while (count-- > 0) {
        put(&text, "/", 1);
        if (steps[count]->name != NULL) {
            put_name(&text, steps[count]->name);
        } else {
            int length = snprintf(index, sizeof(index), "%zu", steps[count]->index);
            put(&text, index, (size_t)length);
        }
    }
    codec_clean(pointer, size, raw);
}

int codec_fail(struct codec_error *error, int rc, const struct codec_path *path,
               const char *expected, const char *found)
{
    char place[200];
    if (error == NULL)
        return rc;
    print_path(path, error->pointer, sizeof(error->pointer));
    codec_clean(error->expected, sizeof(error->expected), expected);
    codec_clean(error->found, sizeof(error->found), found);
    codec_clean(place, sizeof(place),
                error->pointer[0] == '\0' ? "the whole value" : error->pointer);
    snprintf(error->text, sizeof(error->text), "%s: expected %s, found %s", place, error->expected,
             error->found);
    return rc;
}

int codec_fail_text(struct codec_error *error, int rc, const char *text)
{
    if (error == NULL)
        return rc;
    *error = (struct codec_error){0};
    codec_clean(error->text, sizeof(error->text), text);
    return rc;
}

const char *codec_kind(const json_t *value)
{
    if (value == NULL)
        return "absent";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "real";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    default:
        return "null";
    }
}

static void describe_values(const struct schema_simple *simple, char *text, size_t size)
{
    struct text out = {text, text + size - 1};
    put(&out, "one of ", strlen("one of "));
    for (size_t i = 0; i < simple->num_values; i++) {
        const char *value = simple->values[i];
        if ((size_t)(out.end - out.at) < strlen(value) + strlen(", ...")) {
            put(&out, "...", 3);
            break;
        }
        put(&out, value, strlen(value));
        if (i + 1 < simple->num_values)
            put(&out, ", ", 2);
    }
}

static void describe_digits(const struct schema_simple *simple, char *text, size_t size)
{
    if (simple->no_minimum || simple->no_maximum)
        snprintf(text, size, "string with a number of type %s", simple->builtin);
    else
        snprintf(text, size, "string with a number from %lld to %llu", simple->minimum,
                 simple->maximum);
}

static void describe_simple(const struct schema_simple *simple, char *text, size_t size)
{
    static const char *const forms[] = {
        [SIMPLE_TEXT] = "string",
        [SIMPLE_BOOLEAN] = "boolean",
        [SIMPLE_DECIMAL] = "string with a decimal number",
        [SIMPLE_DOUBLE] = "string with a floating-point number",
        [SIMPLE_DATE_TIME] = "string with a date and time such as 2030-01-01T00:00:00Z",
        [SIMPLE_DATE] = "string with a date such as 2030-01-01",
        [SIMPLE_TIME] = "string with a time such as 12:00:00",
        [SIMPLE_BASE64] = "string in base64",
        [SIMPLE_HEX] = "string of hexadecimal digits",
        [SIMPLE_QNAME] = "string of the form {namespace}name",
        [SIMPLE_NCNAME] = "string with an XML name",
    };
    if (simple->num_values > 0)
        describe_values(simple, text, size);
    else if (simple->kind == SIMPLE_INTEGER)
        snprintf(text, size, "integer from %lld to %lld", simple->minimum,
                 (long long)simple->maximum);
    else if (simple->kind == SIMPLE_DIGITS)
        describe_digits(simple, text, size);
    else
        snprintf(text, size, "%s", forms[simple->kind]);
}

void codec_describe(const struct schema_type *type, char *text, size_t size)
{
    if (type->content == CONTENT_SIMPLE || type->content == CONTENT_SIMPLE_ATTRIBUTES)
        describe_simple(&type->simple, text, size);
    else
        snprintf(text, size, type->content == CONTENT_ANY ? "string or object" : "object");
}
