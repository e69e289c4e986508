/*
 * JSON to SOAP. The schema leads: its particles are walked in order and each asks the JSON object
 * for its member; what nobody asked for is unknown and refused. Errors leave the output buffer as
 * it was: the public functions cut it back.
 */
#include "gateway/contract/encode.h"

#include <stdio.h>

#include "gateway/contract/soap.h"

static int encode_element(struct encoder *encoder, const struct schema_element *element,
                          const json_t *value, const struct codec_path *path, int depth);

static void open_tag(struct encoder *encoder, const struct schema_element *element)
{
    encode_put(encoder, "<", 1);
    encode_put(encoder, element->tag, element->tag_length);
}

static void close_tag(struct encoder *encoder, const struct schema_element *element)
{
    encode_put(encoder, "</", 2);
    encode_put(encoder, element->tag, element->tag_length);
    encode_put(encoder, ">", 1);
}

static int wrong_kind(struct encoder *encoder, const struct schema_element *element,
                      const json_t *value, const struct codec_path *path)
{
    char type[CODEC_EXPECTED_MAX], expected[CODEC_EXPECTED_MAX + 16];
    codec_describe(element->type, type, sizeof(type));
    snprintf(expected, sizeof(expected), "%s%s",
             element->max > 1 && path->name != NULL ? "array of " : "", type);
    return codec_fail(encoder->error, CG_E_INVALID, path, expected, codec_kind(value));
}

/* The token goes where its type stands; that a client brings one along is refused. */
static int encode_token(struct encoder *encoder, struct encode_object *object,
                        const struct schema_element *element, const struct codec_path *path)
{
    const json_t *value = encode_member(object, element->name);
    if (value != NULL)
        return codec_fail(encoder->error, CG_E_INVALID, path,
                          "no session token: the gateway adds it", codec_kind(value));
    if (encoder->token == NULL)
        return codec_fail(encoder->error, CG_E_INVALID, path, "a session token", "absent");
    open_tag(encoder, element);
    encode_put(encoder, ">", 1);
    open_tag(encoder, encoder->token_text);
    encode_put(encoder, ">", 1);
    int rc = encode_escaped(encoder, encoder->token, strlen(encoder->token), ESCAPE_TEXT, path);
    close_tag(encoder, encoder->token_text);
    close_tag(encoder, element);
    return rc;
}

static int wrong_count(struct encoder *encoder, const struct schema_element *element, size_t count,
                       const struct codec_path *path)
{
    char expected[48], found[48];
    if (count < element->min)
        snprintf(expected, sizeof(expected), "at least %u %s", element->min,
                 element->min == 1 ? "entry" : "entries");
    else
        snprintf(expected, sizeof(expected), "at most %u entries", element->max);
    snprintf(found, sizeof(found), "%zu %s", count, count == 1 ? "entry" : "entries");
    return codec_fail(encoder->error, CG_E_INVALID, path, expected, found);
}

static int encode_array(struct encoder *encoder, const struct schema_element *element,
                        const json_t *value, const struct codec_path *path, int depth)
{
    size_t count = json_array_size(value);
    int rc = CG_OK;
    if (!json_is_array(value))
        return wrong_kind(encoder, element, value, path);
    if (count < element->min || count > element->max)
        return wrong_count(encoder, element, count, path);
    for (size_t i = 0; rc == CG_OK && i < count; i++) {
        struct codec_path entry = {path, NULL, i};
        rc = encode_element(encoder, element, json_array_get(value, i), &entry, depth);
    }
    return rc;
}

static int encode_member_element(struct encoder *encoder, const struct schema_element *element,
                                 struct encode_object *object, const struct codec_path *parent,
                                 int depth)
{
    struct codec_path path = {parent, element->name, 0};
    if (element == encoder->token_element)
        return encode_token(encoder, object, element, &path);
    const json_t *value = encode_member(object, element->name);
    if (value == NULL)
        return element->min == 0 ? CG_OK : wrong_kind(encoder, element, value, &path);
    if (element->max > 1)
        return encode_array(encoder, element, value, &path, depth);
    return encode_element(encoder, element, value, &path, depth);
}

/* Does the object have anything of this part of the schema? An empty array is as good as none. */
static int is_present(const struct schema_particle *particle, const struct encode_object *object)
{
    const json_t *value;
    if (particle->kind == PARTICLE_ANY)
        return json_object_get(object->object, "#any") != NULL;
    if (particle->kind == PARTICLE_ELEMENT) {
        value = json_object_get(object->object, particle->element->name);
        return value != NULL && !(json_is_array(value) && json_array_size(value) == 0);
    }
    for (size_t i = 0; i < particle->children.length; i++) {
        if (is_present(particle->children.items[i], object))
            return 1;
    }
    return 0;
}

/* Could the particle stand for nothing at all? */
static int is_emptiable(const struct schema_particle *particle)
{
    int is_choice = particle->kind == PARTICLE_CHOICE;
    if (particle->kind == PARTICLE_ELEMENT)
        return particle->element->min == 0;
    if (particle->kind == PARTICLE_ANY)
        return !particle->required;
    if (particle->optional || particle->children.length == 0)
        return 1;
    for (size_t i = 0; i < particle->children.length; i++) {
        if (is_emptiable(particle->children.items[i]) == is_choice)
            return is_choice;
    }
    return !is_choice;
}

static int encode_particle(struct encoder *encoder, const struct schema_particle *particle,
                           struct encode_object *object, const struct codec_path *path, int depth);

static int encode_choice(struct encoder *encoder, const struct schema_particle *particle,
                         struct encode_object *object, const struct codec_path *path, int depth)
{
    const struct schema_particle *chosen = NULL;
    for (size_t i = 0; i < particle->children.length; i++) {
        const struct schema_particle *child = particle->children.items[i];
        if (!is_present(child, object))
            continue;
        if (chosen != NULL)
            return codec_fail(encoder->error, CG_E_INVALID, path, "one of several alternatives",
                              "two of them");
        chosen = child;
    }
    if (chosen != NULL)
        return encode_particle(encoder, chosen, object, path, depth);
    return is_emptiable(particle) ? CG_OK
                                  : codec_fail(encoder->error, CG_E_INVALID, path,
                                               "one of several alternatives", "none of them");
}

static int encode_wildcard(struct encoder *encoder, const struct schema_particle *particle,
                           struct encode_object *object, const struct codec_path *path, int depth)
{
    struct codec_path any = {path, "#any", 0};
    if (object->any_done)
        return CG_OK;
    object->any_done = 1;
    const json_t *items = encode_member(object, "#any");
    if (particle->required && json_array_size(items) == 0)
        return codec_fail(encoder->error, CG_E_INVALID, &any, "array with an element",
                          codec_kind(items));
    return encode_any_items(encoder, items, path, depth);
}

/* As deep as the groups of a type are nested, which the files bound. */
static int encode_particle(struct encoder *encoder, const struct schema_particle *particle,
                           struct encode_object *object, const struct codec_path *path, int depth)
{
    int rc = CG_OK;
    if (particle->kind == PARTICLE_ELEMENT)
        return encode_member_element(encoder, particle->element, object, path, depth);
    if (particle->kind == PARTICLE_ANY)
        return encode_wildcard(encoder, particle, object, path, depth);
    if (particle->kind == PARTICLE_CHOICE)
        return encode_choice(encoder, particle, object, path, depth);
    if (particle->optional && !is_present(particle, object))
        return CG_OK;
    for (size_t i = 0; rc == CG_OK && i < particle->children.length; i++)
        rc = encode_particle(encoder, particle->children.items[i], object, path, depth);
    return rc;
}

static int encode_mixed_text(struct encoder *encoder, struct encode_object *object,
                             const struct codec_path *path)
{
    struct codec_path member = {path, "#text", 0};
    const json_t *text = encode_member(object, "#text");
    if (text == NULL)
        return CG_OK;
    if (!json_is_string(text))
        return codec_fail(encoder->error, CG_E_INVALID, &member, "string", codec_kind(text));
    return encode_escaped(encoder, json_string_value(text), json_string_length(text), ESCAPE_TEXT,
                          &member);
}

static int encode_complex(struct encoder *encoder, const struct schema_element *element,
                          const json_t *value, const struct codec_path *path, int depth)
{
    const struct schema_type *type = element->type;
    struct encode_object object = {.object = value};
    if (value != NULL && !json_is_object(value))
        return codec_fail(encoder->error, CG_E_INVALID, path, "object", codec_kind(value));
    open_tag(encoder, element);
    int rc = encode_attributes(encoder, type, &object, path);
    encode_put(encoder, ">", 1);
    if (rc == CG_OK && type->content == CONTENT_MIXED)
        rc = encode_mixed_text(encoder, &object, path);
    if (rc == CG_OK && type->particle != NULL)
        rc = encode_particle(encoder, type->particle, &object, path, depth);
    if (rc == CG_OK)
        rc = encode_check_unknown(encoder, &object, type, path);
    close_tag(encoder, element);
    return rc;
}

/* Text, or {"#text", "@..."} where the type has attributes. */
static int encode_simple(struct encoder *encoder, const struct schema_element *element,
                         const json_t *value, const struct codec_path *path)
{
    const struct schema_type *type = element->type;
    struct encode_object object = {.object = json_is_object(value) ? value : NULL};
    struct codec_path member = {path, "#text", 0};
    struct encode_text text;
    int rc = CG_OK, is_object = type->content == CONTENT_SIMPLE_ATTRIBUTES && json_is_object(value);
    open_tag(encoder, element);
    if (type->content == CONTENT_SIMPLE_ATTRIBUTES)
        rc = encode_attributes(encoder, type, &object, path);
    if (rc == CG_OK)
        rc = encode_read_text(encoder, type, is_object ? encode_member(&object, "#text") : value,
                              is_object ? &member : path, &text);
    if (rc == CG_OK && is_object)
        rc = encode_check_unknown(encoder, &object, type, path);
    if (rc == CG_OK)
        rc = encode_text_body(encoder, &text, is_object ? &member : path);
    close_tag(encoder, element);
    return rc;
}

static int encode_element(struct encoder *encoder, const struct schema_element *element,
                          const json_t *value, const struct codec_path *path, int depth)
{
    int rc = encode_depth(encoder, path, depth);
    if (rc != CG_OK)
        return rc;
    if (json_is_null(value) && element->nillable) {
        open_tag(encoder, element);
        encode_puts(encoder, " xsi:nil=\"true\"/>");
        return CG_OK;
    }
    switch (element->type->content) {
    case CONTENT_SIMPLE:
    case CONTENT_SIMPLE_ATTRIBUTES:
        return encode_simple(encoder, element, value, path);
    case CONTENT_ANY:
        open_tag(encoder, element);
        return encode_any_content(encoder, element->tag, value, path, depth);
    default:
        return encode_complex(encoder, element, value, path, depth + 1);
    }
}

static int encode_root(struct encoder *encoder, const struct schema_element *element,
                       const json_t *value)
{
    struct codec_path root = {NULL, NULL, 0}, path = {&root, "value", 0};
    if (value != NULL && !json_is_object(value))
        return codec_fail(encoder->error, CG_E_INVALID, &root, "object", codec_kind(value));
    if (!schema_is_value(element->type))
        return encode_complex(encoder, element, value, &root, 1);
    const json_t *inner = json_object_get(value, "value");
    if (inner == NULL)
        return wrong_kind(encoder, element, NULL, &path);
    if (json_object_size(value) != 1)
        return codec_fail(encoder->error, CG_E_INVALID, &root, "member value alone",
                          "another member");
    return encode_element(encoder, element, inner, &path, 1);
}

static void put_envelope_start(struct encoder *encoder, enum soap_version version,
                               const char *declarations)
{
    encode_puts(encoder, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soap:Envelope xmlns:soap=\"");
    encode_puts(encoder, version == SOAP_1_2 ? SOAP12_NAMESPACE : SOAP11_NAMESPACE);
    encode_puts(encoder, "\"");
    encode_puts(encoder, declarations);
    encode_puts(encoder, "><soap:Body>");
}

static void put_envelope_end(struct encoder *encoder)
{
    encode_puts(encoder, "</soap:Body></soap:Envelope>");
}

/* Cuts back what a failure left behind, and finds a word for failures of the buffer. */
static int finish(struct encoder *encoder, size_t start, int rc)
{
    if (rc == CG_OK || encoder->rc != CG_OK) {
        rc = encoder->rc;
        if (rc == CG_E_LIMIT)
            codec_fail_text(encoder->error, rc, "the message is larger than is accepted");
        else if (rc != CG_OK)
            codec_fail_text(encoder->error, rc, "no memory for a message");
    }
    if (rc != CG_OK)
        codec_buffer_truncate(encoder->out, start);
    return rc;
}

static int encode_message(struct encoder *encoder, const struct schema_element *element,
                          enum soap_version version, const json_t *value)
{
    size_t start = encoder->out->length;
    int rc = CG_OK;
    put_envelope_start(encoder, version, element == NULL ? "" : element->declarations);
    if (element != NULL)
        rc = encode_root(encoder, element, value);
    else if (json_object_size(value) != 0 || (value != NULL && !json_is_object(value)))
        rc = codec_fail(encoder->error, CG_E_INVALID, NULL, "an empty object", codec_kind(value));
    put_envelope_end(encoder);
    return finish(encoder, start, rc);
}

int codec_encode_request(const struct contract_operation *op, enum soap_version version,
                         const json_t *arguments, const char *token, struct codec_buffer *out,
                         struct codec_error *error)
{
    struct encoder encoder = {.out = out,
                              .error = error,
                              .token_element = op->input->token,
                              .token_text = op->input->token_text,
                              .token = token};
    return encode_message(&encoder, op->input, version, arguments);
}

int codec_encode_forward(const struct contract_operation *op, enum soap_version version,
                         const json_t *arguments, const char *token, struct codec_buffer *out,
                         struct codec_error *error)
{
    struct encoder encoder = {.out = out,
                              .error = error,
                              .token_element = op->input->token,
                              .token_text = op->input->token_text,
                              .token = token,
                              .forward = 1};
    return encode_message(&encoder, op->input, version, arguments);
}

int codec_encode_response(const struct contract_operation *op, enum soap_version version,
                          const json_t *result, struct codec_buffer *out, struct codec_error *error)
{
    struct encoder encoder = {.out = out, .error = error};
    return encode_message(&encoder, op->output, version, result);
}

static const struct contract_fault *find_fault(const struct contract_operation *op,
                                               const char *name)
{
    for (size_t i = 0; name != NULL && i < op->num_faults; i++) {
        if (strcmp(op->faults[i].name, name) == 0)
            return &op->faults[i];
    }
    return NULL;
}

static int put_fault(struct encoder *encoder, enum soap_version version, const char *code,
                     const char *text)
{
    static const char *const start[] = {"<soap:Fault><faultcode>soap:",
                                        "<soap:Fault><soap:Code><soap:Value>soap:"};
    static const char *const middle[] = {
        "</faultcode><faultstring>",
        "</soap:Value></soap:Code><soap:Reason><soap:Text xml:lang=\"en\">",
    };
    static const char *const end[] = {"</faultstring><detail>",
                                      "</soap:Text></soap:Reason><soap:Detail>"};
    size_t is12 = version == SOAP_1_2;
    encode_puts(encoder, start[is12]);
    int rc = encode_escaped(encoder, code, strlen(code), ESCAPE_TEXT, NULL);
    encode_puts(encoder, middle[is12]);
    if (rc == CG_OK)
        rc = encode_escaped(encoder, text, strlen(text), ESCAPE_TEXT, NULL);
    encode_puts(encoder, end[is12]);
    return rc;
}

int codec_encode_fault(const struct contract_operation *op, enum soap_version version,
                       const char *name, const json_t *detail, const char *code, const char *text,
                       struct codec_buffer *out, struct codec_error *error)
{
    struct encoder encoder = {.out = out, .error = error};
    const struct contract_fault *fault = find_fault(op, name);
    size_t start = out->length;
    if (name != NULL && fault == NULL)
        return codec_fail_text(error, CG_E_INVALID, "the operation declares no fault of this name");
    put_envelope_start(&encoder, version, fault == NULL ? "" : fault->element->declarations);
    int rc = put_fault(&encoder, version, code, text);
    if (rc == CG_OK && fault != NULL)
        rc = encode_root(&encoder, fault->element, detail);
    encode_puts(&encoder,
                version == SOAP_1_2 ? "</soap:Detail></soap:Fault>" : "</detail></soap:Fault>");
    put_envelope_end(&encoder);
    return finish(&encoder, start, rc);
}
