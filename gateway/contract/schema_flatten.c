#include "gateway/contract/schema_set.h"

#include <stdio.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/contract/codec_buffer.h"

struct flattening {
    struct schema_set *set;
    struct schema_type *type;
};

static int add_member(struct flattening *flat, struct schema_element *element, int always,
                      int in_choice)
{
    struct schema_type *type = flat->type;
    struct arena *arena = flat->set->loader->arena;
    element->index = type->members.length;
    element->always = always && element->min > 0;
    element->in_choice = in_choice;
    if (list_push(arena, &type->members, element) != CG_OK)
        return loader_nomem(flat->set->loader);
    int rc = map_put(arena, &type->member_map, 0, element->name, "", element);
    if (rc == CG_E_INVALID)
        return schema_fail(flat->set, type->document, type->node,
                           "element \"%.80s\" stands twice in one type, which is not supported",
                           element->name);
    return rc == CG_OK ? CG_OK : loader_nomem(flat->set->loader);
}

/* As deep as types are derived times as deep as their files are nested; both are capped. */
static int flatten(struct flattening *flat, struct schema_particle *particle, int always,
                   int in_choice)
{
    int rc = CG_OK;
    if (particle->kind == PARTICLE_ELEMENT)
        return add_member(flat, particle->element, always, in_choice);
    if (particle->kind == PARTICLE_ANY) {
        flat->type->has_any = 1;
        return CG_OK;
    }
    always = always && !particle->optional && particle->kind != PARTICLE_CHOICE;
    in_choice = in_choice || particle->kind == PARTICLE_CHOICE;
    for (size_t i = 0; rc == CG_OK && i < particle->children.length; i++)
        rc = flatten(flat, particle->children.items[i], always, in_choice);
    return rc;
}

/*
 * An element of a base is a member of every type derived from it, at the same index: the base's
 * elements come first. A base is never restricted by sharing its particles, so `always` is the same
 * too.
 */
int schema_type_flatten(struct schema_set *set, struct schema_type *type)
{
    struct flattening flat = {set, type};
    return type->particle == NULL ? CG_OK : flatten(&flat, type->particle, 1, 0);
}

const struct schema_element *schema_member_by_name(const struct schema_type *type, const char *name)
{
    return map_get(&type->member_map, 0, name, "");
}

static int is_named(const struct schema_element *element, const char *namespace_uri,
                    const char *name)
{
    return strcmp(element->name, name) == 0 && strcmp(element->namespace_uri, namespace_uri) == 0;
}

const struct schema_element *schema_member(const struct schema_type *type,
                                           const char *namespace_uri, const char *name,
                                           size_t *hint)
{
    /*
     * messages keep the schema's order: it is the member of before once more, or the one after it
     */
    for (size_t i = *hint == 0 ? 0 : *hint - 1; i < type->members.length && i <= *hint; i++) {
        const struct schema_element *element = type->members.items[i];
        if (is_named(element, namespace_uri, name)) {
            *hint = i + 1;
            return element;
        }
    }
    const struct schema_element *element = schema_member_by_name(type, name);
    if (element == NULL || strcmp(element->namespace_uri, namespace_uri) != 0)
        return NULL;
    *hint = element->index + 1;
    return element;
}

int schema_is_value(const struct schema_type *type)
{
    return type->content != CONTENT_ELEMENTS && type->content != CONTENT_MIXED;
}

struct declaring {
    struct schema_set *set;
    struct list types;   /* still to be looked at */
    unsigned char *used; /* by index of the namespace */
    int nillable;
};

static void use_namespace(struct declaring *declaring, const char *namespace_uri)
{
    for (size_t i = 0; i < declaring->set->namespaces.length; i++) {
        if (strcmp(declaring->set->namespaces.items[i], namespace_uri) == 0)
            declaring->used[i] = 1;
    }
}

static int use_element(struct declaring *declaring, const struct schema_element *element)
{
    struct schema_type *type = (void *)(size_t)element->type; /* only its mark is written to */
    use_namespace(declaring, element->namespace_uri);
    declaring->nillable |= element->nillable;
    if (type->mark == declaring->set->mark)
        return CG_OK;
    type->mark = declaring->set->mark;
    return list_push(declaring->set->loader->arena, &declaring->types, type);
}

static int use_type(struct declaring *declaring, const struct schema_type *type)
{
    int rc = CG_OK;
    for (size_t i = 0; i < type->attributes.length; i++)
        use_namespace(declaring,
                      ((const struct schema_attribute *)type->attributes.items[i])->namespace_uri);
    for (size_t i = 0; rc == CG_OK && i < type->members.length; i++)
        rc = use_element(declaring, type->members.items[i]);
    return rc;
}

static int print_declaration(struct codec_buffer *out, const char *prefix,
                             const char *namespace_uri)
{
    int rc = codec_buffer_append(out, prefix, strlen(prefix));
    if (rc == CG_OK)
        rc = codec_buffer_escape(out, namespace_uri, strlen(namespace_uri), ESCAPE_ATTRIBUTE);
    return rc == CG_OK ? codec_buffer_append(out, "\"", 1) : rc;
}

static int print_declarations(const struct declaring *declaring, struct codec_buffer *out)
{
    char prefix[40];
    int rc = CG_OK;
    for (size_t i = 0; rc == CG_OK && i < declaring->set->namespaces.length; i++) {
        snprintf(prefix, sizeof(prefix), " xmlns:n%zu=\"", i);
        if (declaring->used[i])
            rc = print_declaration(out, prefix, declaring->set->namespaces.items[i]);
    }
    if (rc == CG_OK && declaring->nillable)
        rc = print_declaration(out, " xmlns:xsi=\"", XSI_NAMESPACE);
    return rc;
}

int schema_set_message(struct schema_set *set, struct schema_element *element)
{
    struct arena *arena = set->loader->arena;
    struct declaring declaring = {.set = set};
    struct codec_buffer out = {0};
    if (element->declarations != NULL)
        return CG_OK;
    set->mark++;
    declaring.used = arena_alloc(arena, set->namespaces.length);
    int rc = declaring.used == NULL ? CG_E_NOMEM : use_element(&declaring, element);
    for (size_t i = 0; rc == CG_OK && i < declaring.types.length; i++)
        rc = use_type(&declaring, declaring.types.items[i]);
    if (rc == CG_OK)
        rc = print_declarations(&declaring, &out);
    if (rc == CG_OK)
        element->declarations = arena_strdup(arena, out.bytes == NULL ? "" : out.bytes);
    codec_buffer_release(&out);
    return element->declarations == NULL ? loader_nomem(set->loader) : CG_OK;
}
