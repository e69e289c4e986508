/*
 * An XML element to JSON, by its type. The order of elements is not insisted on and what the type
 * does not know is kept under "#any" (DOMAIN rule 2); what is insisted on: that required elements
 * are there, that single ones come once, and that numbers and booleans are such.
 */
#include "gateway/contract/decode.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/xml.h"
#include "gateway/contract/lexical.h"

static json_t *decode_element(struct decoder *decoder, const struct schema_element *element,
                              xmlNodePtr node, const struct codec_path *path);

json_t *decode_fail(struct decoder *decoder, int rc, const struct codec_path *path,
                    const char *expected, const char *found)
{
    decoder->rc = codec_fail(decoder->error, rc, path, expected, found);
    return NULL;
}

json_t *decode_nomem(struct decoder *decoder)
{
    decoder->rc = codec_fail_text(decoder->error, CG_E_NOMEM, "no memory for a message");
    return NULL;
}

static json_t *wrong_value(struct decoder *decoder, const struct schema_type *type,
                           const struct codec_path *path, const struct decode_text *text)
{
    char expected[CODEC_EXPECTED_MAX];
    if (decoder->lenient)
        return json_stringn_nocheck(text->text, text->length);
    codec_describe(type, expected, sizeof(expected));
    return decode_fail(decoder, CG_E_PROTOCOL, path, expected,
                       text->length == 0 ? "no text" : "other text");
}

/* Runs of white space inside become one blank. The ends are trimmed already. */
static json_t *collapsed(struct decoder *decoder, const char *text, size_t length)
{
    size_t used = 0;
    char *copy = malloc(length + 1);
    if (copy == NULL)
        return decode_nomem(decoder);
    for (size_t i = 0; i < length; i++) {
        int is_blank = decode_is_blank(text + i, 1);
        if (!is_blank)
            copy[used++] = text[i];
        else if (used > 0 && copy[used - 1] != ' ')
            copy[used++] = ' ';
    }
    json_t *value = json_stringn_nocheck(copy, used);
    free(copy);
    return value;
}

/* "{namespace}name": the prefix means something in this document only. NULL without memory. */
static json_t *decode_qname(xmlNodePtr node, const char *text, size_t length)
{
    const char *colon = memchr(text, ':', length);
    char *prefix = colon == NULL ? NULL : strndup(text, (size_t)(colon - text));
    if (colon != NULL && prefix == NULL)
        return NULL;
    xmlNsPtr ns = xmlSearchNs(node->doc, node, (const xmlChar *)prefix);
    free(prefix);
    if (ns == NULL || ns->href == NULL || ns->href[0] == '\0')
        return json_stringn_nocheck(text, length);
    const char *name = colon == NULL ? text : colon + 1;
    return json_sprintf("{%s}%.*s", (const char *)ns->href, (int)(length - (size_t)(name - text)),
                        name);
}

static json_t *decode_simple_text(struct decoder *decoder, const struct schema_type *type,
                                  xmlNodePtr node, struct decode_text text,
                                  const struct codec_path *path)
{
    const struct schema_simple *simple = &type->simple;
    long long number;
    int flag;
    if (!simple->collapse)
        return json_stringn_nocheck(text.text, text.length);
    lexical_trim(&text.text, &text.length);
    switch (simple->kind) {
    case SIMPLE_INTEGER:
        if (!lexical_long(text.text, text.length, &number) || number < simple->minimum ||
            number > (long long)simple->maximum)
            return wrong_value(decoder, type, path, &text);
        return json_integer(number);
    case SIMPLE_BOOLEAN:
        if (!lexical_boolean(text.text, text.length, &flag))
            return wrong_value(decoder, type, path, &text);
        return json_boolean(flag);
    case SIMPLE_DIGITS:
    case SIMPLE_DECIMAL:
    case SIMPLE_DOUBLE:
        if (!lexical_fits(simple, text.text, text.length))
            return wrong_value(decoder, type, path, &text);
        return json_stringn_nocheck(text.text, text.length);
    case SIMPLE_QNAME:
        return decode_qname(node, text.text, text.length);
    default:
        return collapsed(decoder, text.text, text.length);
    }
}

static json_t *decode_simple(struct decoder *decoder, const struct schema_element *element,
                             xmlNodePtr node, const struct codec_path *path)
{
    struct decode_text text;
    json_t *value;
    if (decode_text_of(node, &text) != CG_OK)
        return decode_nomem(decoder);
    if (text.length == 0 && element->default_value != NULL && !text.has_elements) {
        text.text = element->default_value;
        text.length = strlen(element->default_value);
    }
    if (text.has_elements && !decoder->lenient)
        value = decode_fail(decoder, CG_E_PROTOCOL, path, "text", "elements");
    else if ((value = decode_simple_text(decoder, element->type, node, text, path)) == NULL &&
             decoder->rc == CG_OK)
        decode_nomem(decoder);
    decode_text_release(&text);
    return value;
}

static const struct schema_attribute *find_attribute(const struct schema_type *type,
                                                     const xmlAttr *attribute)
{
    const char *uri = attribute->ns != NULL && attribute->ns->href != NULL
                          ? (const char *)attribute->ns->href
                          : "";
    for (size_t i = 0; i < type->attributes.length; i++) {
        const struct schema_attribute *known = type->attributes.items[i];
        if (strcmp(known->name, (const char *)attribute->name) == 0 &&
            strcmp(known->namespace_uri, uri) == 0)
            return known;
    }
    return NULL;
}

static int decode_attribute(struct decoder *decoder, const struct schema_attribute *known,
                            xmlNodePtr node, xmlAttrPtr attribute, json_t *object,
                            const struct codec_path *path)
{
    struct codec_path member = {path, known->member, 0};
    char *text = decode_attribute_value(attribute);
    if (text == NULL) {
        decode_nomem(decoder);
        return decoder->rc;
    }
    struct decode_text value = {.text = text, .length = strlen(text)};
    json_t *decoded = decode_simple_text(decoder, known->type, node, value, &member);
    free(text);
    if (decoded == NULL && decoder->rc != CG_OK)
        return decoder->rc;
    if (json_object_set_new_nocheck(object, known->member, decoded) != 0)
        decode_nomem(decoder);
    return decoder->rc;
}

static int decode_attributes(struct decoder *decoder, const struct schema_type *type,
                             xmlNodePtr node, json_t *object, const struct codec_path *path)
{
    for (xmlAttrPtr attribute = node->properties; attribute != NULL; attribute = attribute->next) {
        const struct schema_attribute *known = find_attribute(type, attribute);
        if (known != NULL &&
            decode_attribute(decoder, known, node, attribute, object, path) != CG_OK)
            return decoder->rc;
        if (known == NULL && decode_keep_attribute(object, attribute) != CG_OK) {
            decode_nomem(decoder);
            return decoder->rc;
        }
    }
    return CG_OK;
}

/* A string while there are no attributes, {"#text", "@..."} with them. */
static json_t *decode_text_with_attributes(struct decoder *decoder,
                                           const struct schema_element *element, xmlNodePtr node,
                                           const struct codec_path *path)
{
    struct codec_path member = {path, "#text", 0};
    json_t *object = json_object(), *text;
    if (object == NULL)
        return decode_nomem(decoder);
    if (decode_attributes(decoder, element->type, node, object, path) != CG_OK) {
        json_decref(object);
        return NULL;
    }
    int has_attributes = json_object_size(object) > 0;
    text = decode_simple(decoder, element, node, has_attributes ? &member : path);
    if (text == NULL || !has_attributes) {
        json_decref(object);
        return text;
    }
    if (json_object_set_new_nocheck(object, "#text", text) != 0) {
        json_decref(object);
        return decode_nomem(decoder);
    }
    return object;
}

/* What is going on among the children of one element. */
struct children {
    const struct schema_type *type;
    json_t *object;
    const struct codec_path *path;
    size_t hint;
    const struct schema_element *last; /* the repeated member of the child before, and its array */
    json_t *array;
    uint64_t seen; /* bits of members 0 to 63 */
    int has_text;
};

static int is_seen(const struct children *children, const struct schema_element *member)
{
    if (member->index < 64)
        return (int)(children->seen >> member->index & 1);
    return json_object_get(children->object, member->name) != NULL;
}

static json_t *array_of(struct children *children, const struct schema_element *member)
{
    if (member == children->last)
        return children->array;
    json_t *array = json_object_get(children->object, member->name);
    if (array == NULL) {
        array = json_array();
        if (json_object_set_new_nocheck(children->object, member->name, array) != 0)
            return NULL;
    }
    children->last = member;
    children->array = array;
    return array;
}

static void decode_entry(struct decoder *decoder, struct children *children,
                         const struct schema_element *member, xmlNodePtr node,
                         const struct codec_path *path)
{
    json_t *array = array_of(children, member);
    if (array == NULL) {
        decode_nomem(decoder);
        return;
    }
    struct codec_path entry = {path, NULL, json_array_size(array)};
    json_t *value = decode_element(decoder, member, node, &entry);
    if (value != NULL && json_array_append_new(array, value) != 0)
        decode_nomem(decoder);
}

static void decode_child(struct decoder *decoder, struct children *children, xmlNodePtr node)
{
    const char *uri =
        node->ns != NULL && node->ns->href != NULL ? (const char *)node->ns->href : "";
    const struct schema_element *member =
        schema_member(children->type, uri, (const char *)node->name, &children->hint);
    if (member == NULL) {
        if (decode_keep_element(decoder, children->object, node) != CG_OK)
            decode_nomem(decoder);
        return;
    }
    struct codec_path path = {children->path, member->name, 0};
    if (member == decoder->token_element) {
        decoder->token = node;
    } else if (member->max > 1) {
        decode_entry(decoder, children, member, node, &path);
    } else if (is_seen(children, member) && !decoder->lenient) {
        decode_fail(decoder, CG_E_PROTOCOL, &path, "one element", "2 entries");
    } else {
        json_t *value = decode_element(decoder, member, node, &path);
        if (value != NULL &&
            json_object_set_new_nocheck(children->object, member->name, value) != 0)
            decode_nomem(decoder);
    }
    if (member->index < 64)
        children->seen |= (uint64_t)1 << member->index;
}

/* Elements that did not come: an error, an empty array, or just absent. */
static void decode_absent(struct decoder *decoder, struct children *children,
                          const struct schema_element *member)
{
    struct codec_path path = {children->path, member->name, 0};
    char expected[CODEC_EXPECTED_MAX];
    if (member->always && !decoder->lenient) {
        codec_describe(member->type, expected, sizeof(expected));
        decode_fail(decoder, CG_E_PROTOCOL, &path, expected, "absent");
    } else if (member->max > 1 && !member->in_choice) {
        if (json_object_set_new_nocheck(children->object, member->name, json_array()) != 0)
            decode_nomem(decoder);
    }
}

static void decode_mixed_text(struct decoder *decoder, struct children *children, xmlNodePtr node)
{
    struct decode_text text;
    if (children->type->content != CONTENT_MIXED && !decoder->lenient) {
        decode_fail(decoder, CG_E_PROTOCOL, children->path, "elements", "text");
        return;
    }
    if (decode_text_of(node, &text) != CG_OK) {
        decode_nomem(decoder);
        return;
    }
    if (json_object_set_new_nocheck(children->object, "#text",
                                    json_stringn_nocheck(text.text, text.length)) != 0)
        decode_nomem(decoder);
    decode_text_release(&text);
}

static void decode_children(struct decoder *decoder, struct children *children, xmlNodePtr node)
{
    for (xmlNodePtr child = node->children; child != NULL && decoder->rc == CG_OK;
         child = child->next) {
        const char *piece = decode_piece(child);
        if (child->type == XML_ELEMENT_NODE)
            decode_child(decoder, children, child);
        else if (piece != NULL && !children->has_text)
            children->has_text = !decode_is_blank(piece, strlen(piece));
    }
    if (children->has_text && decoder->rc == CG_OK)
        decode_mixed_text(decoder, children, node);
    for (size_t i = 0; i < children->type->members.length && decoder->rc == CG_OK; i++) {
        const struct schema_element *member = children->type->members.items[i];
        if (member != decoder->token_element && !is_seen(children, member))
            decode_absent(decoder, children, member);
    }
}

static json_t *decode_complex(struct decoder *decoder, const struct schema_type *type,
                              xmlNodePtr node, const struct codec_path *path)
{
    struct children children = {.type = type, .object = json_object(), .path = path};
    if (children.object == NULL)
        return decode_nomem(decoder);
    if (decode_attributes(decoder, type, node, children.object, path) == CG_OK)
        decode_children(decoder, &children, node);
    if (decoder->rc == CG_OK)
        return children.object;
    json_decref(children.object);
    return NULL;
}

/* As deep as the document, which xml_parse has capped. */
static json_t *decode_element(struct decoder *decoder, const struct schema_element *element,
                              xmlNodePtr node, const struct codec_path *path)
{
    if (node->properties != NULL && decode_is_nil(node))
        return json_null();
    switch (element->type->content) {
    case CONTENT_SIMPLE:
        return decode_simple(decoder, element, node, path);
    case CONTENT_SIMPLE_ATTRIBUTES:
        return decode_text_with_attributes(decoder, element, node, path);
    case CONTENT_ANY:
        return decode_any_content(decoder, node);
    default:
        return decode_complex(decoder, element->type, node, path);
    }
}

json_t *decode_root(struct decoder *decoder, const struct schema_element *element, xmlNodePtr node)
{
    struct codec_path root = {NULL, NULL, 0}, path = {&root, "value", 0};
    if (!schema_is_value(element->type))
        return decode_complex(decoder, element->type, node, &root);
    json_t *value = decode_element(decoder, element, node, &path);
    if (value == NULL)
        return NULL;
    json_t *object = json_object();
    if (object == NULL || json_object_set_new_nocheck(object, "value", value) != 0) {
        if (object == NULL)
            json_decref(value);
        json_decref(object);
        return decode_nomem(decoder);
    }
    return object;
}

json_t *decode_entry_of(struct decoder *decoder, const struct schema_element *member,
                        xmlNodePtr node)
{
    struct codec_path root = {NULL, NULL, 0};
    return decode_element(decoder, member, node, &root);
}
