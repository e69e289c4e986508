#include "gateway/contract/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/xml.h"

int decode_is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r' && text[i] != '\n')
            return 0;
    }
    return 1;
}

const char *decode_piece(const xmlNode *node)
{
    if (node->type != XML_TEXT_NODE && node->type != XML_CDATA_SECTION_NODE)
        return NULL;
    return node->content == NULL ? "" : (const char *)node->content;
}

/* Several pieces, as comments or elements between them make them. */
static int join_text(xmlNodePtr node, size_t length, struct decode_text *text)
{
    char *to = malloc(length + 1);
    if (to == NULL)
        return CG_E_NOMEM;
    text->owned = to;
    text->text = to;
    text->length = length;
    for (xmlNodePtr child = node->children; child != NULL; child = child->next) {
        const char *piece = decode_piece(child);
        size_t piece_length = piece == NULL ? 0 : strlen(piece);
        if (piece_length > 0)
            memcpy(to, piece, piece_length);
        to += piece_length;
    }
    *to = '\0';
    return CG_OK;
}

int decode_text_of(xmlNodePtr node, struct decode_text *text)
{
    size_t length = 0, pieces = 0;
    *text = (struct decode_text){.text = ""};
    for (xmlNodePtr child = node->children; child != NULL; child = child->next) {
        if (child->type == XML_ELEMENT_NODE)
            text->has_elements = 1;
        const char *piece = decode_piece(child);
        if (piece == NULL)
            continue;
        text->text = piece;
        length += strlen(piece);
        pieces++;
    }
    text->length = length;
    return pieces < 2 ? CG_OK : join_text(node, length, text);
}

void decode_text_release(struct decode_text *text)
{
    free(text->owned);
    text->owned = NULL;
}

static const char *attribute_namespace(const xmlAttr *attribute)
{
    return attribute->ns != NULL && attribute->ns->href != NULL ? (const char *)attribute->ns->href
                                                                : "";
}

char *decode_attribute_value(xmlAttrPtr attribute)
{
    struct decode_text text;
    if (decode_text_of((xmlNodePtr)attribute, &text) != CG_OK)
        return NULL;
    char *value = text.owned != NULL ? text.owned : strndup(text.text, text.length);
    return value;
}

int decode_is_nil(xmlNodePtr node)
{
    for (xmlAttrPtr attribute = node->properties; attribute != NULL; attribute = attribute->next) {
        if (strcmp((const char *)attribute->name, "nil") != 0 ||
            strcmp(attribute_namespace(attribute), XSI_NAMESPACE) != 0)
            continue;
        const char *value = attribute->children == NULL || attribute->children->content == NULL
                                ? ""
                                : (const char *)attribute->children->content;
        return strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    }
    return 0;
}

int decode_keep_attribute(json_t *object, xmlAttrPtr attribute)
{
    const char *uri = attribute_namespace(attribute), *name = (const char *)attribute->name;
    if (strcmp(uri, XSI_NAMESPACE) == 0)
        return CG_OK;
    size_t size = strlen(uri) + strlen(name) + sizeof("@{}");
    char *key = malloc(size), *value = decode_attribute_value(attribute);
    int rc = key == NULL || value == NULL ? CG_E_NOMEM : CG_OK;
    if (rc == CG_OK) {
        snprintf(key, size, uri[0] == '\0' ? "@%s%s" : "@{%s}%s", uri, name);
        if (json_object_set_new_nocheck(object, key, json_string_nocheck(value)) != 0)
            rc = CG_E_NOMEM;
    }
    free(key);
    free(value);
    return rc;
}

int decode_keep_element(struct decoder *decoder, json_t *object, xmlNodePtr node)
{
    json_t *items = json_object_get(object, "#any");
    if (items == NULL) {
        items = json_array();
        if (json_object_set_new_nocheck(object, "#any", items) != 0)
            return CG_E_NOMEM;
    }
    json_t *item = decode_any_item(decoder, node);
    return item == NULL || json_array_append_new(items, item) != 0 ? CG_E_NOMEM : CG_OK;
}

static json_t *any_object(struct decoder *decoder, xmlNodePtr node, const struct decode_text *text)
{
    json_t *object = json_object();
    int rc = object == NULL ? CG_E_NOMEM : CG_OK;
    for (xmlAttrPtr attribute = node->properties; rc == CG_OK && attribute != NULL;
         attribute = attribute->next)
        rc = decode_keep_attribute(object, attribute);
    if (rc == CG_OK && !decode_is_blank(text->text, text->length) &&
        json_object_set_new_nocheck(object, "#text",
                                    json_stringn_nocheck(text->text, text->length)) != 0)
        rc = CG_E_NOMEM;
    for (xmlNodePtr child = xml_first_element(node); rc == CG_OK && child != NULL;
         child = xml_next_element(child))
        rc = decode_keep_element(decoder, object, child);
    if (rc == CG_OK)
        return object;
    json_decref(object);
    return decode_nomem(decoder);
}

/* Attributes that tell something; those of XML Schema (nil, type, schemaLocation) do not. */
static int has_attributes(xmlNodePtr node)
{
    for (xmlAttrPtr attribute = node->properties; attribute != NULL; attribute = attribute->next) {
        if (strcmp(attribute_namespace(attribute), XSI_NAMESPACE) != 0)
            return 1;
    }
    return 0;
}

json_t *decode_any_content(struct decoder *decoder, xmlNodePtr node)
{
    struct decode_text text;
    json_t *content;
    if (decode_is_nil(node))
        return json_null();
    if (decode_text_of(node, &text) != CG_OK)
        return decode_nomem(decoder);
    if (text.has_elements || has_attributes(node))
        content = any_object(decoder, node, &text);
    else
        content = json_stringn_nocheck(text.text, text.length);
    decode_text_release(&text);
    return content == NULL ? decode_nomem(decoder) : content;
}

/* The recursion ends with the document, whose depth xml_parse has capped. */
json_t *decode_any_item(struct decoder *decoder, xmlNodePtr node)
{
    const char *uri =
        node->ns != NULL && node->ns->href != NULL ? (const char *)node->ns->href : "";
    json_t *item = json_object(), *content = decode_any_content(decoder, node);
    if (item == NULL || content == NULL) {
        json_decref(item);
        json_decref(content);
        return decode_nomem(decoder);
    }
    if (json_object_set_new_nocheck(item, "name", json_string_nocheck((const char *)node->name)) !=
            0 ||
        json_object_set_new_nocheck(item, "namespace", json_string_nocheck(uri)) != 0) {
        json_decref(item);
        json_decref(content);
        return decode_nomem(decoder);
    }
    if (json_object_set_new_nocheck(item, "content", content) != 0) {
        json_decref(item);
        return decode_nomem(decoder);
    }
    return item;
}
