/* Made-up values that fit the contract. */
#include "cctgate/codec.h"

#include <string.h>

#include "cctgate/memory.h"
#include "gateway/contract/schema.h"

/*
 * Two of everything at every level grows without end in a contract made for it; from here on only
 * what is required.
 */
#define EXAMPLE_VALUES_MAX 20000

struct example {
    int maximal;
    size_t values;
    const struct schema_element *skip; /* the session token */
    const struct schema_type *open[CG_CONTRACT_TYPE_DEPTH_MAX];
    size_t depth;
    int failed;
};

static json_t *example_of_type(struct example *example, const struct schema_type *type);

static json_t *example_integer(const struct schema_simple *simple)
{
    long long value = 1, maximum = (long long)simple->maximum;
    if (value < simple->minimum)
        value = simple->minimum;
    return json_integer(value > maximum ? maximum : value);
}

static json_t *example_simple(const struct schema_simple *simple)
{
    static const char *const texts[] = {
        [SIMPLE_TEXT] = "text",
        [SIMPLE_DIGITS] = "1",
        [SIMPLE_DECIMAL] = "1.5",
        [SIMPLE_DOUBLE] = "1.5",
        [SIMPLE_DATE_TIME] = "2030-01-01T00:00:00Z",
        [SIMPLE_DATE] = "2030-01-01",
        [SIMPLE_TIME] = "12:00:00",
        [SIMPLE_BASE64] = "dGV4dA==",
        [SIMPLE_HEX] = "74657874",
        [SIMPLE_QNAME] = "{urn:example}name",
        [SIMPLE_NCNAME] = "name",
    };
    if (simple->kind == SIMPLE_INTEGER)
        return example_integer(simple);
    if (simple->kind == SIMPLE_BOOLEAN)
        return json_true();
    if (simple->num_values > 0)
        return json_string(simple->values[0]);
    if (strcmp(simple->builtin, "anyURI") == 0)
        return json_string("http://example.invalid/");
    if (strcmp(simple->builtin, "duration") == 0)
        return json_string("PT1S");
    if (strcmp(simple->builtin, "language") == 0)
        return json_string("en");
    return json_string(simple->no_maximum || simple->kind != SIMPLE_DIGITS || !simple->no_minimum
                           ? texts[simple->kind]
                           : "-1");
}

static void put(struct example *example, json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        example->failed = 1;
}

static int wants_optional(const struct example *example)
{
    return example->maximal && example->values < EXAMPLE_VALUES_MAX;
}

/* An optional element of a type that is being made is left out, or it would never end. */
static int is_open(const struct example *example, const struct schema_type *type)
{
    for (size_t i = 0; i < example->depth; i++) {
        if (example->open[i] == type)
            return 1;
    }
    return example->depth == CG_CONTRACT_TYPE_DEPTH_MAX;
}

static json_t *example_array(struct example *example, const struct schema_element *element)
{
    json_t *array = json_array();
    size_t count = element->min < 2 && wants_optional(example) ? 2 : element->min;
    for (size_t i = 0; i < count && example->values < EXAMPLE_VALUES_MAX * 2; i++) {
        if (json_array_append_new(array, example_of_type(example, element->type)) != 0)
            example->failed = 1;
    }
    return array;
}

static void example_element(struct example *example, const struct schema_element *element,
                            json_t *object)
{
    if (element == example->skip)
        return;
    if (element->min == 0 && (!wants_optional(example) || is_open(example, element->type)))
        return;
    put(example, object, element->name,
        element->max > 1 ? example_array(example, element)
                         : example_of_type(example, element->type));
}

static void example_wildcard(struct example *example, const struct schema_particle *particle,
                             json_t *object)
{
    if (json_object_get(object, "#any") != NULL)
        return;
    if (particle->required || (particle->lax && wants_optional(example)))
        put(example, object, "#any",
            json_pack("[{s:s, s:s, s:s}]", "name", "example", "namespace", "urn:example", "content",
                      "text"));
}

static void example_particle(struct example *example, const struct schema_particle *particle,
                             json_t *object)
{
    if (particle->kind == PARTICLE_ELEMENT) {
        example_element(example, particle->element, object);
        return;
    }
    if (particle->kind == PARTICLE_ANY) {
        example_wildcard(example, particle, object);
        return;
    }
    if (particle->optional && !wants_optional(example))
        return;
    size_t count = particle->kind == PARTICLE_CHOICE && particle->children.length > 1
                       ? 1
                       : particle->children.length;
    for (size_t i = 0; i < count; i++)
        example_particle(example, particle->children.items[i], object);
}

static void example_attributes(struct example *example, const struct schema_type *type,
                               json_t *object)
{
    for (size_t i = 0; i < type->attributes.length; i++) {
        const struct schema_attribute *attribute = type->attributes.items[i];
        if (attribute->required || wants_optional(example))
            put(example, object, attribute->member, example_simple(&attribute->type->simple));
    }
}

static json_t *example_with_attributes(struct example *example, const struct schema_type *type)
{
    json_t *object = json_object();
    example_attributes(example, type, object);
    if (json_object_size(object) == 0) {
        json_decref(object);
        return example_simple(&type->simple);
    }
    put(example, object, "#text", example_simple(&type->simple));
    return object;
}

static json_t *example_complex(struct example *example, const struct schema_type *type)
{
    json_t *object = json_object();
    if (example->depth == CG_CONTRACT_TYPE_DEPTH_MAX)
        return object; /* a type that requires itself has no finite value */
    example->open[example->depth++] = type;
    example_attributes(example, type, object);
    if (type->content == CONTENT_MIXED && wants_optional(example))
        put(example, object, "#text", json_string("text"));
    if (type->particle != NULL)
        example_particle(example, type->particle, object);
    example->depth--;
    return object;
}

static json_t *example_of_type(struct example *example, const struct schema_type *type)
{
    example->values++;
    switch (type->content) {
    case CONTENT_SIMPLE:
        return example_simple(&type->simple);
    case CONTENT_SIMPLE_ATTRIBUTES:
        return example_with_attributes(example, type);
    case CONTENT_ANY:
        return json_string("text");
    default:
        return example_complex(example, type);
    }
}

static json_t *example_message(const struct schema_element *element,
                               const struct schema_element *skip, int maximal)
{
    struct example example = {.maximal = maximal, .skip = skip};
    memory_watch();
    json_t *value = element == NULL ? json_object() : example_of_type(&example, element->type);
    if (element != NULL && schema_is_value(element->type))
        value = json_pack("{s:o}", "value", value);
    if (!memory_ran_out() && !example.failed)
        return value;
    json_decref(value);
    return NULL;
}

json_t *codec_example_input(const struct contract_operation *op, int maximal)
{
    return example_message(op->input, op->input->token, maximal);
}

json_t *codec_example_output(const struct contract_operation *op, int maximal)
{
    return example_message(op->output, NULL, maximal);
}
