#include "gateway/contract/schema_set.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"

static int parse_count(struct schema_set *set, const struct schema_document *document,
                       xmlNodePtr node, const char *name, unsigned *count)
{
    char *text, *end;
    int rc = loader_attribute(set->loader, node, name, &text);
    *count = 1;
    if (rc != CG_OK || text == NULL)
        return rc;
    if (strcmp(name, "maxOccurs") == 0 && strcmp(text, "unbounded") == 0) {
        *count = SCHEMA_UNBOUNDED;
        return CG_OK;
    }
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value >= SCHEMA_UNBOUNDED)
        return schema_fail(set, document, node, "%s is no number", name);
    *count = (unsigned)value;
    return CG_OK;
}

static int parse_occurrence(struct schema_set *set, const struct schema_document *document,
                            xmlNodePtr node, unsigned *min, unsigned *max)
{
    int rc = parse_count(set, document, node, "minOccurs", min);
    if (rc == CG_OK)
        rc = parse_count(set, document, node, "maxOccurs", max);
    if (rc == CG_OK && *min > *max)
        return schema_fail(set, document, node, "minOccurs is greater than maxOccurs");
    return rc;
}

static int inline_type(struct schema_set *set, const struct schema_document *document,
                       xmlNodePtr node, struct schema_type **type)
{
    char *name;
    int rc = loader_attribute(set->loader, node, "type", &name);
    if (rc != CG_OK)
        return rc;
    if (name != NULL)
        return schema_type_named(set, document, node, name, type);
    for (xmlNodePtr child = schema_first(node); child != NULL; child = schema_next(child)) {
        if (schema_is(child, "complexType") || schema_is(child, "simpleType"))
            return schema_type_anonymous(set, document, child, type);
    }
    return schema_type_builtin(set, "anyType", type);
}

/* Name, type, nillable and default: what a global and a local declaration have in common. */
static int parse_declaration(struct schema_set *set, const struct schema_document *document,
                             xmlNodePtr node, struct schema_element *element)
{
    struct schema_type *type = NULL;
    char *name, *value;
    int abstract, rc = loader_attribute(set->loader, node, "name", &name);
    if (rc == CG_OK && (name == NULL || name[0] == '\0'))
        return schema_fail(set, document, node, "element without a name");
    if (rc == CG_OK)
        rc = schema_flag(set, node, "abstract", 0, &abstract);
    if (rc == CG_OK && abstract)
        return schema_fail(set, document, node, "construct \"abstract\" is not supported here");
    if (rc == CG_OK)
        rc = schema_flag(set, node, "nillable", 0, &element->nillable);
    if (rc == CG_OK)
        rc = loader_attribute(set->loader, node, "default", &value);
    if (rc == CG_OK)
        rc = inline_type(set, document, node, &type);
    if (rc == CG_OK)
        rc = schema_tag(set, element->namespace_uri, name, &element->tag);
    if (rc != CG_OK)
        return rc;
    element->name = name;
    element->default_value = value;
    element->type = type;
    element->tag_length = strlen(element->tag);
    struct element_use *use = arena_alloc(set->loader->arena, sizeof(*use));
    if (use == NULL || list_push(set->loader->arena, &set->uses, use) != CG_OK)
        return loader_nomem(set->loader);
    *use = (struct element_use){element, document, node};
    return CG_OK;
}

int schema_element_global(struct schema_set *set, struct schema_global *global,
                          struct schema_element **element)
{
    *element = global->component;
    if (*element != NULL)
        return CG_OK;
    *element = arena_alloc(set->loader->arena, sizeof(**element));
    if (*element == NULL)
        return loader_nomem(set->loader);
    (*element)->namespace_uri = global->document->target;
    (*element)->min = (*element)->max = 1;
    global->component = *element;
    return parse_declaration(set, global->document, global->node, *element);
}

static int parse_reference(struct schema_set *set, const struct schema_document *document,
                           xmlNodePtr node, const char *qname, struct schema_element *element)
{
    struct schema_global *global;
    struct schema_element *referred;
    int rc = schema_find(set, document, node, COMPONENT_ELEMENT, qname, &global);
    if (rc == CG_OK)
        rc = schema_element_global(set, global, &referred);
    if (rc == CG_OK)
        *element = *referred;
    return rc;
}

static int is_qualified(struct schema_set *set, const struct schema_document *document,
                        xmlNodePtr node, int *qualified)
{
    char *form;
    int rc = loader_attribute(set->loader, node, "form", &form);
    *qualified = form == NULL ? document->elements_qualified : strcmp(form, "qualified") == 0;
    return rc;
}

static int parse_element(struct schema_set *set, const struct schema_document *document,
                         xmlNodePtr node, unsigned min, unsigned max,
                         struct schema_particle *particle)
{
    char *reference;
    int qualified, rc = loader_attribute(set->loader, node, "ref", &reference);
    struct schema_element *element = arena_alloc(set->loader->arena, sizeof(*element));
    if (element == NULL)
        return loader_nomem(set->loader);
    if (rc == CG_OK && reference != NULL) {
        rc = parse_reference(set, document, node, reference, element);
    } else if (rc == CG_OK) {
        rc = is_qualified(set, document, node, &qualified);
        element->namespace_uri = qualified ? document->target : "";
        if (rc == CG_OK)
            rc = parse_declaration(set, document, node, element);
    }
    element->min = min;
    element->max = max;
    particle->kind = PARTICLE_ELEMENT;
    particle->element = element;
    return rc;
}

static int parse_any(struct schema_set *set, xmlNodePtr node, unsigned min,
                     struct schema_particle *particle)
{
    char *process, *namespaces;
    int rc = loader_attribute(set->loader, node, "processContents", &process);
    if (rc == CG_OK)
        rc = loader_attribute(set->loader, node, "namespace", &namespaces);
    if (rc != CG_OK)
        return rc;
    particle->kind = PARTICLE_ANY;
    particle->required = min > 0;
    particle->lax = process != NULL && strcmp(process, "strict") != 0 &&
                    (namespaces == NULL || strcmp(namespaces, "##any") == 0 ||
                     strcmp(namespaces, "##other") == 0);
    return CG_OK;
}

static int parse_group(struct schema_set *set, const struct schema_document *document,
                       xmlNodePtr node, unsigned min, unsigned max,
                       struct schema_particle *particle)
{
    struct schema_particle *child;
    int rc = CG_OK;
    if (max > 1)
        return schema_fail(set, document, node,
                           "construct \"maxOccurs\" on \"%.20s\" is not supported", node->name);
    particle->kind = schema_is(node, "choice") ? PARTICLE_CHOICE
                     : schema_is(node, "all")  ? PARTICLE_ALL
                                               : PARTICLE_SEQUENCE;
    particle->optional = min == 0;
    for (node = schema_first(node); rc == CG_OK && node != NULL; node = schema_next(node)) {
        rc = schema_particle_parse(set, document, node, &child);
        if (rc == CG_OK && child != NULL &&
            list_push(set->loader->arena, &particle->children, child) != CG_OK)
            rc = loader_nomem(set->loader);
    }
    return rc;
}

/* The recursion is as deep as the file is nested, which xml_parse has capped. */
int schema_particle_parse(struct schema_set *set, const struct schema_document *document,
                          xmlNodePtr node, struct schema_particle **particle)
{
    unsigned min, max;
    *particle = NULL;
    int rc = parse_occurrence(set, document, node, &min, &max);
    if (rc != CG_OK || max == 0)
        return rc;
    *particle = arena_alloc(set->loader->arena, sizeof(**particle));
    if (*particle == NULL)
        return loader_nomem(set->loader);
    if (schema_is(node, "element"))
        return parse_element(set, document, node, min, max, *particle);
    if (schema_is(node, "any"))
        return parse_any(set, node, min, *particle);
    if (schema_is(node, "sequence") || schema_is(node, "choice") || schema_is(node, "all"))
        return parse_group(set, document, node, min, max, *particle);
    return schema_unsupported(set, document, node);
}
