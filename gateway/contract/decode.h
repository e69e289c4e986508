/*
 * XML to JSON: what decode.c (elements), decode_any.c (what has no schema) and decode_message.c
 * (envelopes) share.
 */
#ifndef CCTGATE_CONTRACT_DECODE_H
#define CCTGATE_CONTRACT_DECODE_H

#include <libxml/tree.h>

#include "gateway/contract/codec_error.h"

struct decoder {
    struct codec_error *error;
    /*
     * Faults are told whatever they look like: nothing is missed in them, and a value of the wrong
     * form stays a string.
     */
    int lenient;
    const struct schema_element
        *token_element; /* this child of the root is not decoded, but ends up in: */
    xmlNodePtr token;
    int rc;
};

/* Sets decoder->rc and returns NULL. */
json_t *decode_fail(struct decoder *decoder, int rc, const struct codec_path *path,
                    const char *expected, const char *found);
json_t *decode_nomem(struct decoder *decoder);

/* The text of an element. `owned` is to be freed by decode_text_release. */
struct decode_text {
    const char *text;
    size_t length;
    int has_elements;
    char *owned;
};

/* CG_OK or CG_E_NOMEM. Text only: comments and child elements are left out. */
int decode_text_of(xmlNodePtr node, struct decode_text *text);
void decode_text_release(struct decode_text *text);
int decode_is_blank(const char *text, size_t length);
/* The characters of a text node; NULL for a node of another kind. */
const char *decode_piece(const xmlNode *node);

/* xsi:nil */
int decode_is_nil(xmlNodePtr node);

/* A message's root: an object, also {"value": ...}. A new reference, or NULL with decoder->rc. */
json_t *decode_root(struct decoder *decoder, const struct schema_element *element, xmlNodePtr node);

/* One entry of a repeated member, as decode_root decodes a message. */
json_t *decode_entry_of(struct decoder *decoder, const struct schema_element *member,
                        xmlNodePtr node);

/* {"name", "namespace", "content"} of an element that no schema describes. */
json_t *decode_any_item(struct decoder *decoder, xmlNodePtr node);
/* The content alone: a string, null, or an object. */
json_t *decode_any_content(struct decoder *decoder, xmlNodePtr node);
/* Appends an element to "#any" of `object`. CG_OK or CG_E_NOMEM. */
int decode_keep_element(struct decoder *decoder, json_t *object, xmlNodePtr node);
/* Keeps an attribute as "@name" or "@{namespace}name"; those of XML Schema itself are left out. */
int decode_keep_attribute(json_t *object, xmlAttrPtr attribute);
/* The value of an attribute; NULL without memory. */
char *decode_attribute_value(xmlAttrPtr attribute);

#endif
