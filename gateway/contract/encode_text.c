#include "gateway/contract/encode.h"

#include <stdio.h>
#include <string.h>

#include "gateway/contract/lexical.h"

#define XMLNS_NAMESPACE "http://www.w3.org/2000/xmlns/"

const json_t *encode_member(struct encode_object *object, const char *name)
{
    const json_t *value = json_object_get(object->object, name);
    if (value != NULL)
        object->used++;
    return value;
}

static int is_known(const struct schema_type *type, const char *name)
{
    if (name[0] == '#')
        return strcmp(name, "#text") == 0
                   ? type == NULL || type->content != CONTENT_ELEMENTS
                   : strcmp(name, "#any") == 0 && (type == NULL || type->has_any);
    if (type == NULL)
        return name[0] == '@';
    for (size_t i = 0; name[0] == '@' && i < type->attributes.length; i++) {
        if (strcmp(((const struct schema_attribute *)type->attributes.items[i])->member, name) == 0)
            return 1;
    }
    return (name[0] == '@' && type->any_attribute) || schema_member_by_name(type, name) != NULL;
}

int encode_check_unknown(struct encoder *encoder, const struct encode_object *object,
                         const struct schema_type *type, const struct codec_path *path)
{
    const char *name;
    json_t *value;
    if (object->used == json_object_size(object->object) || encoder->forward)
        return CG_OK;
    json_object_foreach((json_t *)(size_t)object->object, name, value)
    {
        struct codec_path member = {path, name, 0};
        if (!is_known(type, name))
            return codec_fail(encoder->error, CG_E_INVALID, &member, "no such member",
                              codec_kind(value));
    }
    /* known but never asked for: in an alternative of a choice that was not taken */
    return codec_fail(encoder->error, CG_E_INVALID, path, "members that go together",
                      "members of two alternatives");
}

int encode_escaped(struct encoder *encoder, const char *text, size_t length,
                   enum codec_escape where, const struct codec_path *path)
{
    if (encoder->rc != CG_OK)
        return encoder->rc;
    int rc = codec_buffer_escape(encoder->out, text, length, where);
    if (rc == CG_E_INVALID)
        return codec_fail(encoder->error, rc, path,
                          "text in UTF-8 with characters that XML can carry",
                          "string with another character");
    encoder->rc = rc;
    return rc;
}

static int wrong(struct encoder *encoder, const struct schema_type *type,
                 const struct codec_path *path, const char *found)
{
    char expected[CODEC_EXPECTED_MAX];
    codec_describe(type, expected, sizeof(expected));
    return codec_fail(encoder->error, CG_E_INVALID, path, expected, found);
}

/* Takes "{namespace}name" or "name" apart. */
static int split_qname(struct encode_text *text)
{
    const char *close =
        text->length > 0 && text->text[0] == '{' ? memchr(text->text, '}', text->length) : NULL;
    text->namespace_uri = "";
    text->namespace_length = 0;
    if (close != NULL) {
        size_t used = (size_t)(close + 1 - text->text);
        text->namespace_uri = text->text + 1;
        text->namespace_length = used - 2;
        text->text += used;
        text->length -= used;
    }
    return strlen(text->text) == text->length && lexical_is_name(text->text);
}

/* The written form of a JSON number or boolean; 0 when the type does not take it. */
static int print_number(const struct schema_simple *simple, const json_t *value,
                        struct encode_text *text)
{
    int length = -1;
    int is_numeric = simple->kind == SIMPLE_INTEGER || simple->kind == SIMPLE_DIGITS ||
                     simple->kind == SIMPLE_DECIMAL || simple->kind == SIMPLE_DOUBLE;
    if (json_is_boolean(value) && simple->kind == SIMPLE_BOOLEAN)
        length = snprintf(text->number, sizeof(text->number), "%s",
                          json_is_true(value) ? "true" : "false");
    else if (json_is_integer(value) && is_numeric)
        length = snprintf(text->number, sizeof(text->number), "%" JSON_INTEGER_FORMAT,
                          json_integer_value(value));
    else if (json_is_real(value) &&
             (simple->kind == SIMPLE_DECIMAL || simple->kind == SIMPLE_DOUBLE))
        length = snprintf(text->number, sizeof(text->number), "%.17g", json_real_value(value));
    if (length < 0)
        return 0;
    text->text = text->number;
    text->length = (size_t)length;
    return 1;
}

static int is_listed(const struct schema_simple *simple, const struct encode_text *text)
{
    for (size_t i = 0; i < simple->num_values; i++) {
        if (strlen(simple->values[i]) == text->length &&
            memcmp(simple->values[i], text->text, text->length) == 0)
            return 1;
    }
    return simple->num_values == 0;
}

int encode_read_text(struct encoder *encoder, const struct schema_type *type, const json_t *value,
                     const struct codec_path *path, struct encode_text *text)
{
    const struct schema_simple *simple = &type->simple;
    int takes_string = simple->kind != SIMPLE_INTEGER && simple->kind != SIMPLE_BOOLEAN;
    text->namespace_uri = NULL;
    if (json_is_string(value) && takes_string) {
        text->text = json_string_value(value);
        text->length = json_string_length(value);
    } else if (!print_number(simple, value, text)) {
        return wrong(encoder, type, path, codec_kind(value));
    }
    if (!encoder->forward && !is_listed(simple, text))
        return wrong(encoder, type, path, "a value that is not listed");
    if (simple->kind == SIMPLE_QNAME ? !split_qname(text)
                                     : !lexical_fits(simple, text->text, text->length))
        return wrong(encoder, type, path,
                     json_is_string(value) ? "string of another form" : "number out of range");
    if (simple->kind == SIMPLE_NCNAME &&
        (strlen(text->text) != text->length || !lexical_is_name(text->text)))
        return wrong(encoder, type, path, "string of another form");
    return CG_OK;
}

/* ` xmlns:prefix="..."` */
static int put_declaration(struct encoder *encoder, const char *prefix, const char *namespace_uri,
                           size_t length, const struct codec_path *path)
{
    encode_puts(encoder, " xmlns:");
    encode_puts(encoder, prefix);
    encode_puts(encoder, "=\"");
    int rc = encode_escaped(encoder, namespace_uri, length, ESCAPE_ATTRIBUTE, path);
    encode_puts(encoder, "\"");
    return rc;
}

int encode_text_body(struct encoder *encoder, const struct encode_text *text,
                     const struct codec_path *path)
{
    int rc = CG_OK, has_prefix = text->namespace_uri != NULL && text->namespace_length > 0;
    if (has_prefix)
        rc = put_declaration(encoder, "q", text->namespace_uri, text->namespace_length, path);
    encode_puts(encoder, has_prefix ? ">q:" : ">");
    return rc == CG_OK ? encode_escaped(encoder, text->text, text->length, ESCAPE_TEXT, path) : rc;
}

static int put_attribute(struct encoder *encoder, const struct schema_attribute *attribute,
                         size_t index, const json_t *value, const struct codec_path *path)
{
    struct encode_text text = {.text = ""};
    char prefix[24];
    int rc = encode_read_text(encoder, attribute->type, value, path, &text);
    int has_prefix = rc == CG_OK && text.namespace_uri != NULL && text.namespace_length > 0;
    snprintf(prefix, sizeof(prefix), "q%zu", index);
    if (has_prefix)
        rc = put_declaration(encoder, prefix, text.namespace_uri, text.namespace_length, path);
    if (rc != CG_OK)
        return rc;
    encode_puts(encoder, " ");
    encode_puts(encoder, attribute->tag);
    encode_puts(encoder, "=\"");
    if (has_prefix) {
        encode_puts(encoder, prefix);
        encode_puts(encoder, ":");
    }
    rc = encode_escaped(encoder, text.text, text.length, ESCAPE_ATTRIBUTE, path);
    encode_puts(encoder, "\"");
    return rc;
}

int encode_attributes(struct encoder *encoder, const struct schema_type *type,
                      struct encode_object *object, const struct codec_path *path)
{
    int rc = CG_OK;
    for (size_t i = 0; rc == CG_OK && i < type->attributes.length; i++) {
        const struct schema_attribute *attribute = type->attributes.items[i];
        struct codec_path member = {path, attribute->member, 0};
        const json_t *value = encode_member(object, attribute->member);
        if (value != NULL)
            rc = put_attribute(encoder, attribute, i, value, &member);
        else if (attribute->required)
            rc = wrong(encoder, attribute->type, &member, "absent");
    }
    if (rc == CG_OK && type->any_attribute)
        rc = encode_free_attributes(encoder, type, object, path);
    return rc;
}

static int is_declared(const struct schema_type *type, const char *member)
{
    for (size_t i = 0; type != NULL && i < type->attributes.length; i++) {
        if (strcmp(((const struct schema_attribute *)type->attributes.items[i])->member, member) ==
            0)
            return 1;
    }
    return 0;
}

/* "@name" or "@{namespace}name". "xmlns" would be a declaration, not an attribute. */
static int put_free_attribute(struct encoder *encoder, size_t index, const char *member,
                              const json_t *value, const struct codec_path *path)
{
    struct encode_text name = {.text = member + 1, .length = strlen(member + 1)};
    char prefix[24] = "";
    int rc = CG_OK, is_good = split_qname(&name);
    int is_xml = name.namespace_length == strlen(XML_NAMESPACE) &&
                 memcmp(name.namespace_uri, XML_NAMESPACE, name.namespace_length) == 0;
    if (!is_good || strcmp(name.text, "xmlns") == 0 ||
        (name.namespace_length == strlen(XMLNS_NAMESPACE) &&
         memcmp(name.namespace_uri, XMLNS_NAMESPACE, name.namespace_length) == 0))
        return codec_fail(encoder->error, CG_E_INVALID, path, "the name of an attribute",
                          "another name");
    if (!json_is_string(value))
        return codec_fail(encoder->error, CG_E_INVALID, path, "string", codec_kind(value));
    if (is_xml)
        snprintf(prefix, sizeof(prefix), "xml");
    else if (name.namespace_length > 0)
        snprintf(prefix, sizeof(prefix), "a%zu", index);
    if (prefix[0] == 'a')
        rc = put_declaration(encoder, prefix, name.namespace_uri, name.namespace_length, path);
    if (rc != CG_OK)
        return rc;
    encode_puts(encoder, " ");
    encode_puts(encoder, prefix);
    encode_puts(encoder, prefix[0] == '\0' ? "" : ":");
    encode_puts(encoder, name.text);
    encode_puts(encoder, "=\"");
    rc = encode_escaped(encoder, json_string_value(value), json_string_length(value),
                        ESCAPE_ATTRIBUTE, path);
    encode_puts(encoder, "\"");
    return rc;
}

int encode_free_attributes(struct encoder *encoder, const struct schema_type *type,
                           struct encode_object *object, const struct codec_path *path)
{
    const char *name;
    json_t *value;
    size_t index = 0;
    int rc = CG_OK;
    json_object_foreach((json_t *)(size_t)object->object, name, value)
    {
        struct codec_path member = {path, name, 0};
        if (name[0] != '@' || is_declared(type, name))
            continue;
        object->used++;
        rc = put_free_attribute(encoder, index++, name, value, &member);
        if (rc != CG_OK)
            return rc;
    }
    return rc;
}
