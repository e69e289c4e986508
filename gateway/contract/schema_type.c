#include "gateway/contract/schema_set.h"

#include <string.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"

static struct schema_type *new_type(struct schema_set *set)
{
    struct schema_type *type = arena_alloc(set->loader->arena, sizeof(*type));
    if (type != NULL && list_push(set->loader->arena, &set->types, type) != CG_OK)
        return NULL;
    return type;
}

int schema_type_builtin(struct schema_set *set, const char *name, struct schema_type **type)
{
    struct arena *arena = set->loader->arena;
    *type = map_get(&set->builtins, COMPONENT_BUILTIN, XSD_NAMESPACE, name);
    if (*type != NULL)
        return CG_OK;
    struct schema_simple simple = {0};
    int is_any = strcmp(name, "anyType") == 0;
    if (!is_any && schema_simple_builtin(name, &simple) != CG_OK)
        return CG_E_NOTFOUND;
    char *copy = arena_strdup(arena, name);
    *type = new_type(set);
    if (copy == NULL || *type == NULL ||
        map_put(arena, &set->builtins, COMPONENT_BUILTIN, XSD_NAMESPACE, copy, *type) != CG_OK)
        return loader_nomem(set->loader);
    (*type)->name = copy;
    (*type)->namespace_uri = XSD_NAMESPACE;
    (*type)->content = is_any ? CONTENT_ANY : CONTENT_SIMPLE;
    (*type)->simple = simple;
    (*type)->any_attribute = is_any;
    (*type)->state = TYPE_RESOLVED;
    return CG_OK;
}

int schema_type_anonymous(struct schema_set *set, const struct schema_document *document,
                          xmlNodePtr node, struct schema_type **type)
{
    *type = new_type(set);
    if (*type == NULL)
        return loader_nomem(set->loader);
    (*type)->namespace_uri = document->target;
    (*type)->node = node;
    (*type)->document = (void *)(size_t)document;
    return CG_OK;
}

static int type_of_global(struct schema_set *set, struct schema_global *global,
                          struct schema_type **type)
{
    char *name;
    *type = global->component;
    if (*type != NULL)
        return CG_OK;
    int rc = loader_attribute(set->loader, global->node, "name", &name);
    if (rc == CG_OK)
        rc = schema_type_anonymous(set, global->document, global->node, type);
    if (rc != CG_OK)
        return rc;
    (*type)->name = name;
    global->component = *type;
    return CG_OK;
}

int schema_type_named(struct schema_set *set, const struct schema_document *document,
                      xmlNodePtr node, const char *qname, struct schema_type **type)
{
    const char *namespace_uri, *name;
    struct schema_global *global;
    int rc = schema_qname(set, document->file, node, qname, &namespace_uri, &name);
    if (rc != CG_OK)
        return rc;
    if (strcmp(namespace_uri, XSD_NAMESPACE) == 0) {
        rc = schema_type_builtin(set, name, type);
        return rc == CG_E_NOTFOUND
                   ? schema_fail(set, document, node, "XML Schema has no type \"%.80s\"", name)
                   : rc;
    }
    rc = schema_find(set, document, node, COMPONENT_TYPE, qname, &global);
    return rc == CG_OK ? type_of_global(set, global, type) : rc;
}

static struct schema_attribute *find_attribute(const struct schema_type *type, const char *member)
{
    for (size_t i = 0; i < type->attributes.length; i++) {
        struct schema_attribute *attribute = type->attributes.items[i];
        if (strcmp(attribute->member, member) == 0)
            return attribute;
    }
    return NULL;
}

/* The type of an attribute: named, inline, or any text. */
static int attribute_type(struct schema_set *set, const struct schema_document *document,
                          xmlNodePtr node, struct schema_type **type)
{
    char *name;
    xmlNodePtr child = schema_first(node);
    int rc = loader_attribute(set->loader, node, "type", &name);
    if (rc != CG_OK)
        return rc;
    if (name != NULL)
        return schema_type_named(set, document, node, name, type);
    return child != NULL && schema_is(child, "simpleType")
               ? schema_type_anonymous(set, document, child, type)
               : schema_type_builtin(set, "anySimpleType", type);
}

static int is_qualified(struct schema_set *set, const struct schema_document *document,
                        xmlNodePtr node, int *qualified)
{
    char *form;
    int rc = loader_attribute(set->loader, node, "form", &form);
    *qualified = form == NULL ? document->attributes_qualified : strcmp(form, "qualified") == 0;
    return rc;
}

static int name_attribute(struct schema_set *set, struct schema_attribute *attribute,
                          const char *namespace_uri, const char *name)
{
    attribute->name = name;
    attribute->namespace_uri = namespace_uri;
    attribute->member = arena_join(set->loader->arena, "@", name, "");
    if (attribute->member == NULL)
        return loader_nomem(set->loader);
    return schema_tag(set, namespace_uri, name, &attribute->tag);
}

static int refer_attribute(struct schema_set *set, const struct schema_document *document,
                           xmlNodePtr node, const char *qname, struct schema_attribute *attribute)
{
    const char *namespace_uri, *name;
    struct schema_global *global;
    struct schema_type *type = NULL;
    int rc = schema_qname(set, document->file, node, qname, &namespace_uri, &name);
    if (rc == CG_OK)
        rc = name_attribute(set, attribute, namespace_uri, name);
    if (rc != CG_OK)
        return rc;
    if (strcmp(namespace_uri, XML_NAMESPACE) == 0) {
        rc = schema_type_builtin(set, "string", &type);
    } else {
        rc = schema_find(set, document, node, COMPONENT_ATTRIBUTE, qname, &global);
        if (rc == CG_OK)
            rc = attribute_type(set, global->document, global->node, &type);
    }
    attribute->type = type;
    return rc;
}

static int declare_attribute(struct schema_set *set, const struct schema_document *document,
                             xmlNodePtr node, struct schema_attribute *attribute)
{
    struct schema_type *type = NULL;
    char *name;
    int qualified, rc = loader_attribute(set->loader, node, "name", &name);
    if (rc == CG_OK && name == NULL)
        return schema_fail(set, document, node, "attribute without a name");
    if (rc == CG_OK)
        rc = is_qualified(set, document, node, &qualified);
    if (rc == CG_OK)
        rc = name_attribute(set, attribute, qualified ? document->target : "", name);
    if (rc == CG_OK)
        rc = attribute_type(set, document, node, &type);
    attribute->type = type;
    return rc;
}

static int parse_attribute(struct schema_set *set, const struct schema_document *document,
                           xmlNodePtr node, struct schema_type *type)
{
    char *use, *reference;
    struct schema_attribute *known,
        *attribute = arena_alloc(set->loader->arena, sizeof(*attribute));
    if (attribute == NULL)
        return loader_nomem(set->loader);
    int rc = loader_attribute(set->loader, node, "use", &use);
    if (rc == CG_OK)
        rc = loader_attribute(set->loader, node, "ref", &reference);
    if (rc != CG_OK || (use != NULL && strcmp(use, "prohibited") == 0))
        return rc;
    attribute->required = use != NULL && strcmp(use, "required") == 0;
    rc = reference != NULL ? refer_attribute(set, document, node, reference, attribute)
                           : declare_attribute(set, document, node, attribute);
    if (rc != CG_OK)
        return rc;
    if ((known = find_attribute(type, attribute->member)) != NULL) {
        *known = *attribute; /* a restriction states the base's attribute anew */
        return CG_OK;
    }
    return list_push(set->loader->arena, &type->attributes, attribute) == CG_OK
               ? CG_OK
               : loader_nomem(set->loader);
}

/*
 * What the base has, the derived type has too. Attributes are copied since a restriction may change
 * its own.
 */
static int inherit_attributes(struct schema_set *set, struct schema_type *type,
                              const struct schema_type *base)
{
    for (size_t i = 0; i < base->attributes.length; i++) {
        struct schema_attribute *copy = arena_alloc(set->loader->arena, sizeof(*copy));
        if (copy == NULL || list_push(set->loader->arena, &type->attributes, copy) != CG_OK)
            return loader_nomem(set->loader);
        *copy = *(const struct schema_attribute *)base->attributes.items[i];
    }
    type->any_attribute |= base->any_attribute;
    return CG_OK;
}

static int is_facet(xmlNodePtr node)
{
    static const char *const facets[] = {
        "enumeration", "pattern",        "length",       "minLength",    "maxLength",
        "whiteSpace",  "minInclusive",   "minExclusive", "maxInclusive", "maxExclusive",
        "totalDigits", "fractionDigits", "simpleType"};
    for (size_t i = 0; i < sizeof(facets) / sizeof(facets[0]); i++) {
        if (schema_is(node, facets[i]))
            return 1;
    }
    return 0;
}

/* Particles and attributes among the children of complexType, extension or restriction. */
static int parse_children(struct schema_set *set, const struct schema_document *document,
                          xmlNodePtr node, struct schema_type *type,
                          struct schema_particle **particle)
{
    int rc = CG_OK;
    *particle = NULL;
    for (node = schema_first(node); rc == CG_OK && node != NULL; node = schema_next(node)) {
        if (schema_is(node, "sequence") || schema_is(node, "choice") || schema_is(node, "all"))
            rc = schema_particle_parse(set, document, node, particle);
        else if (schema_is(node, "attribute"))
            rc = parse_attribute(set, document, node, type);
        else if (schema_is(node, "anyAttribute"))
            type->any_attribute = 1;
        else if (!is_facet(node))
            rc = schema_unsupported(set, document, node);
    }
    return rc;
}

static int base_of(struct schema_set *set, const struct schema_document *document, xmlNodePtr node,
                   struct schema_type **base, int depth)
{
    char *name;
    int rc = loader_attribute(set->loader, node, "base", &name);
    if (rc == CG_OK && name == NULL)
        return schema_fail(set, document, node, "\"%.20s\" without a base", node->name);
    if (rc == CG_OK)
        rc = schema_type_named(set, document, node, name, base);
    return rc == CG_OK ? schema_type_require(set, *base, document, node, depth + 1) : rc;
}

static int parse_simple_content(struct schema_set *set, const struct schema_document *document,
                                xmlNodePtr node, struct schema_type *type, int depth)
{
    struct schema_type *base;
    struct schema_particle *particle;
    int rc = base_of(set, document, node, &base, depth);
    if (rc != CG_OK)
        return rc;
    if (base->content != CONTENT_SIMPLE && base->content != CONTENT_SIMPLE_ATTRIBUTES)
        return schema_fail(set, document, node, "the base has no simple content");
    type->content = CONTENT_SIMPLE_ATTRIBUTES;
    type->simple = base->simple;
    rc = inherit_attributes(set, type, base);
    if (rc == CG_OK)
        rc = parse_children(set, document, node, type, &particle);
    if (rc == CG_OK && particle != NULL)
        return schema_fail(set, document, node, "elements in simple content");
    if (rc == CG_OK && schema_is(node, "restriction"))
        rc = schema_simple_facets(set, document, node, &type->simple);
    return rc;
}

/* The base's elements, then the type's own. */
static int append_particles(struct schema_set *set, struct schema_type *type,
                            struct schema_particle *first, struct schema_particle *second)
{
    if (first == NULL || second == NULL) {
        type->particle = first == NULL ? second : first;
        return CG_OK;
    }
    struct schema_particle *both = arena_alloc(set->loader->arena, sizeof(*both));
    if (both == NULL)
        return loader_nomem(set->loader);
    both->kind = PARTICLE_SEQUENCE;
    type->particle = both;
    if (list_push(set->loader->arena, &both->children, first) != CG_OK ||
        list_push(set->loader->arena, &both->children, second) != CG_OK)
        return loader_nomem(set->loader);
    return CG_OK;
}

static int parse_complex_content(struct schema_set *set, const struct schema_document *document,
                                 xmlNodePtr node, struct schema_type *type, int depth)
{
    struct schema_type *base;
    struct schema_particle *own;
    int is_extension = schema_is(node, "extension");
    int rc = base_of(set, document, node, &base, depth);
    if (rc != CG_OK)
        return rc;
    if (base->content == CONTENT_SIMPLE || base->content == CONTENT_SIMPLE_ATTRIBUTES)
        return schema_fail(set, document, node, "the base has simple content");
    if (base->content == CONTENT_MIXED && is_extension)
        type->content = CONTENT_MIXED;
    if (base->content != CONTENT_ANY)
        rc = inherit_attributes(set, type, base);
    if (rc == CG_OK)
        rc = parse_children(set, document, node, type, &own);
    if (rc == CG_OK)
        rc = append_particles(set, type, is_extension ? base->particle : NULL, own);
    return rc;
}

static int parse_derived(struct schema_set *set, const struct schema_document *document,
                         xmlNodePtr node, struct schema_type *type, int depth)
{
    int mixed, is_simple = schema_is(node, "simpleContent");
    int rc = schema_flag(set, node, "mixed", type->content == CONTENT_MIXED, &mixed);
    if (rc == CG_OK)
        type->content = mixed ? CONTENT_MIXED : CONTENT_ELEMENTS;
    xmlNodePtr child = schema_first(node);
    if (child == NULL || (!schema_is(child, "extension") && !schema_is(child, "restriction")))
        return schema_unsupported(set, document, child == NULL ? node : child);
    if (rc == CG_OK)
        rc = is_simple ? parse_simple_content(set, document, child, type, depth)
                       : parse_complex_content(set, document, child, type, depth);
    return rc;
}

static int parse_complex(struct schema_set *set, const struct schema_document *document,
                         xmlNodePtr node, struct schema_type *type, int depth)
{
    int mixed;
    int rc = schema_flag(set, node, "mixed", 0, &mixed);
    if (rc == CG_OK)
        rc = schema_flag(set, node, "abstract", 0, &type->abstract);
    if (rc != CG_OK)
        return rc;
    type->content = mixed ? CONTENT_MIXED : CONTENT_ELEMENTS;
    xmlNodePtr child = schema_first(node);
    if (child != NULL && (schema_is(child, "simpleContent") || schema_is(child, "complexContent")))
        return parse_derived(set, document, child, type, depth);
    return parse_children(set, document, node, type, &type->particle);
}

int schema_type_require(struct schema_set *set, struct schema_type *type,
                        const struct schema_document *document, xmlNodePtr node, int depth)
{
    if (type->state == TYPE_RESOLVED)
        return CG_OK;
    if (type->state == TYPE_RESOLVING)
        return schema_fail(set, document, node, "a type is derived from itself");
    if (depth > CG_CONTRACT_TYPE_DEPTH_MAX)
        return schema_fail(set, document, node, "types are derived from each other too deep");
    int rc;
    type->state = TYPE_RESOLVING;
    if (schema_is(type->node, "simpleType")) {
        type->content = CONTENT_SIMPLE;
        rc = schema_simple_parse(set, type->document, type->node, &type->simple, depth);
    } else {
        rc = parse_complex(set, type->document, type->node, type, depth);
    }
    type->state = TYPE_RESOLVED;
    return rc;
}
