#include "gateway/contract/encode.h"

#include "cctgate/limits.h"
#include "gateway/contract/lexical.h"

int encode_depth(struct encoder *encoder, const struct codec_path *path, int depth)
{
    if (depth <= CG_JSON_DEPTH_MAX)
        return CG_OK;
    return codec_fail(encoder->error, CG_E_LIMIT, path, "values nested less deep", "another level");
}

/* "#any" may carry what it likes, but not step into the namespaces that XML keeps for itself. */
static int is_free_namespace(const char *uri)
{
    return strcmp(uri, XML_NAMESPACE) != 0 && strcmp(uri, "http://www.w3.org/2000/xmlns/") != 0;
}

static int encode_object_content(struct encoder *encoder, const char *tag, const json_t *content,
                                 const struct codec_path *path, int depth)
{
    struct encode_object object = {.object = content};
    struct codec_path text_path = {path, "#text", 0};
    int rc = encode_free_attributes(encoder, NULL, &object, path);
    if (rc != CG_OK)
        return rc;
    encode_puts(encoder, ">");
    const json_t *text = encode_member(&object, "#text");
    if (text != NULL && !json_is_string(text))
        return codec_fail(encoder->error, CG_E_INVALID, &text_path, "string", codec_kind(text));
    if (text != NULL)
        rc = encode_escaped(encoder, json_string_value(text), json_string_length(text), ESCAPE_TEXT,
                            &text_path);
    if (rc == CG_OK)
        rc = encode_any_items(encoder, encode_member(&object, "#any"), path, depth);
    if (rc == CG_OK)
        rc = encode_check_unknown(encoder, &object, NULL, path);
    encode_puts(encoder, "</");
    encode_puts(encoder, tag);
    encode_puts(encoder, ">");
    return rc;
}

int encode_any_content(struct encoder *encoder, const char *tag, const json_t *content,
                       const struct codec_path *path, int depth)
{
    if (json_is_null(content)) {
        encode_puts(encoder, " xmlns:xsi=\"" XSI_NAMESPACE "\" xsi:nil=\"true\"/>");
        return CG_OK;
    }
    if (json_is_object(content))
        return encode_object_content(encoder, tag, content, path, depth);
    if (!json_is_string(content))
        return codec_fail(encoder->error, CG_E_INVALID, path, "string or object",
                          codec_kind(content));
    encode_puts(encoder, ">");
    int rc = encode_escaped(encoder, json_string_value(content), json_string_length(content),
                            ESCAPE_TEXT, path);
    encode_puts(encoder, "</");
    encode_puts(encoder, tag);
    encode_puts(encoder, ">");
    return rc;
}

static int check_text_member(struct encoder *encoder, const json_t *value,
                             const struct codec_path *path)
{
    if (json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value))
        return CG_OK;
    return codec_fail(encoder->error, CG_E_INVALID, path, "string", codec_kind(value));
}

int encode_any_item(struct encoder *encoder, const json_t *item, const struct codec_path *path,
                    int depth)
{
    struct encode_object object = {.object = item};
    struct codec_path name_path = {path, "name", 0}, namespace_path = {path, "namespace", 0};
    struct codec_path content_path = {path, "content", 0};
    int rc = encode_depth(encoder, path, depth);
    if (rc == CG_OK && !json_is_object(item))
        rc = codec_fail(encoder->error, CG_E_INVALID, path, "object", codec_kind(item));
    const json_t *name = encode_member(&object, "name"), *uri = encode_member(&object, "namespace");
    const json_t *content = encode_member(&object, "content");
    if (rc == CG_OK)
        rc = check_text_member(encoder, name, &name_path);
    if (rc == CG_OK && !lexical_is_name(json_string_value(name)))
        rc = codec_fail(encoder->error, CG_E_INVALID, &name_path, "string with an XML name",
                        "another string");
    if (rc == CG_OK && uri != NULL)
        rc = check_text_member(encoder, uri, &namespace_path);
    if (rc == CG_OK && uri != NULL && !is_free_namespace(json_string_value(uri)))
        rc = codec_fail(encoder->error, CG_E_INVALID, &namespace_path, "a namespace",
                        "a reserved one");
    if (rc == CG_OK && object.used != json_object_size(item))
        rc = codec_fail(encoder->error, CG_E_INVALID, path, "members name, namespace and content",
                        "another member");
    if (rc != CG_OK)
        return rc;
    encode_puts(encoder, "<");
    encode_puts(encoder, json_string_value(name));
    encode_puts(encoder, " xmlns=\"");
    if (uri != NULL)
        rc = encode_escaped(encoder, json_string_value(uri), json_string_length(uri),
                            ESCAPE_ATTRIBUTE, &namespace_path);
    encode_puts(encoder, "\"");
    return rc == CG_OK
               ? encode_any_content(encoder, json_string_value(name), content, &content_path, depth)
               : rc;
}

int encode_any_items(struct encoder *encoder, const json_t *items, const struct codec_path *parent,
                     int depth)
{
    struct codec_path path = {parent, "#any", 0};
    int rc = CG_OK;
    if (items != NULL && !json_is_array(items))
        return codec_fail(encoder->error, CG_E_INVALID, &path, "array", codec_kind(items));
    for (size_t i = 0; rc == CG_OK && i < json_array_size(items); i++) {
        struct codec_path entry = {&path, NULL, i};
        rc = encode_any_item(encoder, json_array_get(items, i), &entry, depth + 1);
    }
    return rc;
}
