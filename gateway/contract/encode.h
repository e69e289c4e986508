/*
 * JSON to XML: what encode.c (messages, elements, particles), encode_text.c (values, attributes)
 * and encode_any.c share.
 */
#ifndef CCTGATE_CONTRACT_ENCODE_H
#define CCTGATE_CONTRACT_ENCODE_H

#include <string.h>

#include "cctgate/error.h"
#include "gateway/contract/codec_buffer.h"
#include "gateway/contract/codec_error.h"

struct encoder {
    struct codec_buffer *out;
    struct codec_error *error;
    const struct schema_element *token_element,
        *token_text; /* NULL: the message carries no token */
    const char *token;
    int forward; /* the values came from the upstream: it may know more than our contract */
    int rc;      /* of the buffer; once it is not CG_OK nothing more is written */
};

/*
 * An object whose members are read one after the other; those never asked for do not belong there.
 */
struct encode_object {
    const json_t *object; /* NULL counts as empty */
    size_t used;
    int any_done;
};

static inline void encode_put(struct encoder *encoder, const char *bytes, size_t length)
{
    if (encoder->rc == CG_OK)
        encoder->rc = codec_buffer_append(encoder->out, bytes, length);
}

static inline void encode_puts(struct encoder *encoder, const char *text)
{
    encode_put(encoder, text, strlen(text));
}

/* The member or NULL, counted as used when it is there. */
const json_t *encode_member(struct encode_object *object, const char *name);
/*
 * CG_E_INVALID when the object has a member that was not used; `type` tells which those are, NULL:
 * none but "@", "#text" and "#any".
 */
int encode_check_unknown(struct encoder *encoder, const struct encode_object *object,
                         const struct schema_type *type, const struct codec_path *path);

/* Text with the characters that XML needs escaped. */
int encode_escaped(struct encoder *encoder, const char *text, size_t length,
                   enum codec_escape where, const struct codec_path *path);

/* A simple value in its written form. It points into the JSON value or into `number`. */
struct encode_text {
    const char *text;
    size_t length;
    const char *namespace_uri; /* of a QName, else NULL; not NUL-terminated */
    size_t namespace_length;
    char number[48];
};

int encode_read_text(struct encoder *encoder, const struct schema_type *type, const json_t *value,
                     const struct codec_path *path, struct encode_text *text);

/* `<tag` is written already: what a QName needs, `>` and the text. */
int encode_text_body(struct encoder *encoder, const struct encode_text *text,
                     const struct codec_path *path);

/*
 * The attributes that the type declares and, where it allows any, the others. `<tag` is written
 * already.
 */
int encode_attributes(struct encoder *encoder, const struct schema_type *type,
                      struct encode_object *object, const struct codec_path *path);
/*
 * The members of `object` that begin with "@", but those that the type (which may be NULL)
 * declares.
 */
int encode_free_attributes(struct encoder *encoder, const struct schema_type *type,
                           struct encode_object *object, const struct codec_path *path);

/* One entry of "#any". */
int encode_any_item(struct encoder *encoder, const json_t *item, const struct codec_path *path,
                    int depth);
/* All of them. `items` may be NULL. */
int encode_any_items(struct encoder *encoder, const json_t *items, const struct codec_path *parent,
                     int depth);
/*
 * Content without a schema: string, object or null. `<tag` is written already, and `</tag>` or `/>`
 * is added.
 */
int encode_any_content(struct encoder *encoder, const char *tag, const json_t *content,
                       const struct codec_path *path, int depth);

int encode_depth(struct encoder *encoder, const struct codec_path *path, int depth);

#endif
