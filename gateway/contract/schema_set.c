#include "gateway/contract/schema_set.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/xml.h"
#include "gateway/contract/lexical.h"

#define XMLNS_NAMESPACE "http://www.w3.org/2000/xmlns/"

int schema_fail(const struct schema_set *set, const struct schema_document *document,
                xmlNodePtr node, const char *format, ...)
{
    char reason[CG_ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    return loader_fail(set->loader, CG_E_INVALID, document == NULL ? NULL : document->file, node,
                       "%s", reason);
}

int schema_unsupported(const struct schema_set *set, const struct schema_document *document,
                       xmlNodePtr node)
{
    return schema_fail(set, document, node, "construct \"%.60s\" is not supported here",
                       node->name);
}

int schema_is(xmlNodePtr node, const char *name)
{
    return xml_is(node, XSD_NAMESPACE, name);
}

static xmlNodePtr skip_foreign(xmlNodePtr node)
{
    while (node != NULL &&
           (node->ns == NULL || strcmp((const char *)node->ns->href, XSD_NAMESPACE) != 0 ||
            schema_is(node, "annotation")))
        node = xml_next_element(node);
    return node;
}

xmlNodePtr schema_first(xmlNodePtr parent)
{
    return skip_foreign(xml_first_element(parent));
}

xmlNodePtr schema_next(xmlNodePtr node)
{
    return skip_foreign(xml_next_element(node));
}

int schema_flag(struct schema_set *set, xmlNodePtr node, const char *name, int otherwise,
                int *value)
{
    char *text;
    int rc = loader_attribute(set->loader, node, name, &text);
    *value = text == NULL ? otherwise : strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return rc;
}

/* Cuts white space off both ends, in place. */
static char *trim(char *text)
{
    const char *blanks = " \t\r\n";
    text += strspn(text, blanks);
    size_t length = strlen(text);
    while (length > 0 && strchr(blanks, text[length - 1]) != NULL)
        text[--length] = '\0';
    return text;
}

int schema_qname(struct schema_set *set, const struct contract_file *file, xmlNodePtr node,
                 const char *qname, const char **namespace_uri, const char **name)
{
    char *copy = arena_strdup(set->loader->arena, qname);
    if (copy == NULL)
        return loader_nomem(set->loader);
    copy = trim(copy);
    char *colon = strchr(copy, ':');
    if (colon != NULL)
        *colon = '\0';
    xmlNsPtr ns = xmlSearchNs(node->doc, node, colon == NULL ? NULL : (const xmlChar *)copy);
    if (ns == NULL && colon != NULL)
        return loader_fail(set->loader, CG_E_INVALID, file, node,
                           "prefix \"%.60s\" is not declared", copy);
    *name = colon == NULL ? copy : colon + 1;
    *namespace_uri = "";
    if (ns != NULL && ns->href != NULL)
        *namespace_uri = arena_strdup(set->loader->arena, (const char *)ns->href);
    return *namespace_uri == NULL ? loader_nomem(set->loader) : CG_OK;
}

static const char *kind_name(enum component_kind kind)
{
    static const char *const names[] = {"", "element", "type", "attribute", "type"};
    return names[kind];
}

int schema_find(struct schema_set *set, const struct schema_document *document, xmlNodePtr node,
                enum component_kind kind, const char *qname, struct schema_global **global)
{
    const char *namespace_uri, *name;
    int rc = schema_qname(set, document->file, node, qname, &namespace_uri, &name);
    if (rc != CG_OK)
        return rc;
    /*
     * a file without target namespace takes the one of the file that includes it, and so do its
     * references
     */
    if (namespace_uri[0] == '\0' &&
        xmlHasNsProp(document->root, (const xmlChar *)"targetNamespace", NULL) == NULL)
        namespace_uri = document->target;
    *global = map_get(&set->globals, kind, namespace_uri, name);
    if (*global == NULL)
        return schema_fail(set, document, node, "%s {%.120s}%.80s is not declared anywhere",
                           kind_name(kind), namespace_uri, name);
    return CG_OK;
}

static int namespace_index(struct schema_set *set, const char *namespace_uri, size_t *index)
{
    for (*index = 0; *index < set->namespaces.length; (*index)++) {
        if (strcmp(set->namespaces.items[*index], namespace_uri) == 0)
            return CG_OK;
    }
    char *copy = arena_strdup(set->loader->arena, namespace_uri);
    if (copy == NULL || list_push(set->loader->arena, &set->namespaces, copy) != CG_OK)
        return loader_nomem(set->loader);
    return CG_OK;
}

int schema_prefix(struct schema_set *set, const char *namespace_uri, char *prefix, size_t size)
{
    size_t index;
    int rc = namespace_index(set, namespace_uri, &index);
    snprintf(prefix, size, "n%zu", index);
    return rc;
}

int schema_tag(struct schema_set *set, const char *namespace_uri, const char *name,
               const char **tag)
{
    char prefix[24];
    int rc = CG_OK;
    /* what is written under it must be XML, and its own */
    if (!lexical_is_name(name) || strcmp(namespace_uri, XMLNS_NAMESPACE) == 0 ||
        (namespace_uri[0] == '\0' && strcmp(name, "xmlns") == 0))
        return loader_fail(set->loader, CG_E_INVALID, NULL, NULL,
                           "\"%.60s\" cannot be the name of an element or attribute", name);
    if (namespace_uri[0] == '\0') {
        *tag = name;
    } else if (strcmp(namespace_uri, XML_NAMESPACE) == 0) {
        *tag = arena_join(set->loader->arena, "xml", ":", name);
    } else {
        rc = schema_prefix(set, namespace_uri, prefix, sizeof(prefix));
        *tag = arena_join(set->loader->arena, prefix, ":", name);
    }
    return rc == CG_OK && *tag == NULL ? loader_nomem(set->loader) : rc;
}

static int add_document(struct schema_set *set, const struct contract_file *file, xmlNodePtr root,
                        const char *target)
{
    struct arena *arena = set->loader->arena;
    for (size_t i = 0; i < set->documents.length; i++) {
        const struct schema_document *known = set->documents.items[i];
        if (known->root == root && strcmp(known->target, target) == 0)
            return CG_OK;
    }
    if (set->documents.length >= CG_CONTRACT_FILES_MAX)
        return loader_fail(set->loader, CG_E_LIMIT, file, root, "more than %d schemas",
                           CG_CONTRACT_FILES_MAX);
    struct schema_document *document = arena_alloc(arena, sizeof(*document));
    char *elements, *attributes;
    if (document == NULL ||
        loader_attribute(set->loader, root, "elementFormDefault", &elements) != CG_OK ||
        loader_attribute(set->loader, root, "attributeFormDefault", &attributes) != CG_OK ||
        list_push(arena, &set->documents, document) != CG_OK)
        return loader_nomem(set->loader);
    *document = (struct schema_document){file, root, target, 0, 0};
    document->elements_qualified = elements != NULL && strcmp(elements, "qualified") == 0;
    document->attributes_qualified = attributes != NULL && strcmp(attributes, "qualified") == 0;
    return CG_OK;
}

static int target_of(struct schema_set *set, xmlNodePtr root, const char **target)
{
    char *text;
    int rc = loader_attribute(set->loader, root, "targetNamespace", &text);
    *target = text == NULL ? "" : text;
    return rc;
}

/* Adds the schema that an import or include names. `namespace_uri` is what it must declare. */
static int follow(struct schema_set *set, const struct schema_document *document, xmlNodePtr node,
                  const char *location, const char *namespace_uri, int is_include)
{
    struct contract_file *file;
    const char *target;
    int rc = loader_follow(set->loader, document->file, node, location, &file);
    if (rc != CG_OK)
        return rc;
    xmlNodePtr root = xmlDocGetRootElement(file->doc);
    if (!schema_is(root, "schema"))
        return schema_fail(set, document, node, "\"%.100s\" is no XML schema", location);
    if ((rc = target_of(set, root, &target)) != CG_OK)
        return rc;
    if (is_include && target[0] == '\0')
        target = namespace_uri;
    if (strcmp(target, namespace_uri) != 0)
        return schema_fail(set, document, node,
                           "\"%.100s\" declares namespace \"%.120s\", not \"%.120s\"", location,
                           target, namespace_uri);
    return add_document(set, file, root, target);
}

static int import_or_include(struct schema_set *set, const struct schema_document *document,
                             xmlNodePtr node)
{
    char *location, *namespace_uri = NULL;
    int is_include = schema_is(node, "include");
    int rc = loader_attribute(set->loader, node, "schemaLocation", &location);
    if (rc == CG_OK && !is_include)
        rc = loader_attribute(set->loader, node, "namespace", &namespace_uri);
    if (rc != CG_OK)
        return rc;
    if (is_include)
        return location == NULL ? schema_fail(set, document, node, "include without schemaLocation")
                                : follow(set, document, node, location, document->target, 1);
    /*
     * without a place it stands in the same WSDL; the attributes of the xml namespace are built in
     */
    if (location == NULL || (namespace_uri != NULL && strcmp(namespace_uri, XML_NAMESPACE) == 0))
        return CG_OK;
    return follow(set, document, node, location, namespace_uri == NULL ? "" : namespace_uri, 0);
}

static int add_global(struct schema_set *set, struct schema_document *document, xmlNodePtr node,
                      enum component_kind kind)
{
    struct arena *arena = set->loader->arena;
    char *name;
    int rc = loader_attribute(set->loader, node, "name", &name);
    if (rc != CG_OK)
        return rc;
    if (name == NULL)
        return schema_fail(set, document, node, "%s without a name", kind_name(kind));
    struct schema_global *global = arena_alloc(arena, sizeof(*global));
    if (global == NULL)
        return loader_nomem(set->loader);
    *global = (struct schema_global){document, node, NULL};
    rc = map_put(arena, &set->globals, kind, document->target, name, global);
    if (rc == CG_E_INVALID)
        return schema_fail(set, document, node, "%s \"%.80s\" is declared twice", kind_name(kind),
                           name);
    return rc == CG_OK ? CG_OK : loader_nomem(set->loader);
}

static int read_top_level(struct schema_set *set, struct schema_document *document, xmlNodePtr node)
{
    if (schema_is(node, "import") || schema_is(node, "include"))
        return import_or_include(set, document, node);
    if (schema_is(node, "element") &&
        xmlHasNsProp(node, (const xmlChar *)"substitutionGroup", NULL) != NULL)
        return schema_fail(set, document, node, "construct \"substitutionGroup\" is not supported");
    if (schema_is(node, "element"))
        return add_global(set, document, node, COMPONENT_ELEMENT);
    if (schema_is(node, "complexType") || schema_is(node, "simpleType"))
        return add_global(set, document, node, COMPONENT_TYPE);
    if (schema_is(node, "attribute"))
        return add_global(set, document, node, COMPONENT_ATTRIBUTE);
    if (schema_is(node, "group") || schema_is(node, "attributeGroup") ||
        schema_is(node, "notation"))
        return CG_OK; /* refused where something refers to it */
    return schema_unsupported(set, document, node);
}

int schema_set_add(struct schema_set *set, const struct contract_file *file, xmlNodePtr root)
{
    const char *target;
    size_t first = set->documents.length;
    int rc = target_of(set, root, &target);
    if (rc == CG_OK)
        rc = add_document(set, file, root, target);
    /*
     * what is imported is appended to the list, so a chain of files needs no recursion and a circle
     * ends
     */
    for (size_t i = first; rc == CG_OK && i < set->documents.length; i++) {
        struct schema_document *document = set->documents.items[i];
        xmlNodePtr node = schema_first(document->root);
        for (; rc == CG_OK && node != NULL; node = schema_next(node))
            rc = read_top_level(set, document, node);
    }
    return rc;
}

int schema_set_element(struct schema_set *set, const struct contract_file *file, xmlNodePtr node,
                       const char *qname, struct schema_element **element)
{
    const char *namespace_uri, *name;
    int rc = schema_qname(set, file, node, qname, &namespace_uri, &name);
    if (rc != CG_OK)
        return rc;
    struct schema_global *global = map_get(&set->globals, COMPONENT_ELEMENT, namespace_uri, name);
    if (global == NULL)
        return loader_fail(set->loader, CG_E_INVALID, file, node,
                           "element {%.120s}%.80s is not declared anywhere", namespace_uri, name);
    return schema_element_global(set, global, element);
}

static int check_use(const struct schema_set *set, const struct element_use *use)
{
    const struct schema_type *type = use->element->type;
    if (type->abstract)
        return schema_fail(set, use->document, use->node, "element \"%.80s\" has an abstract type",
                           use->element->name);
    return CG_OK;
}

int schema_set_finish(struct schema_set *set)
{
    int rc = CG_OK;
    size_t first = set->types_done;
    for (; rc == CG_OK && set->types_done < set->types.length; set->types_done++)
        rc = schema_type_require(set, set->types.items[set->types_done], NULL, NULL, 0);
    for (size_t i = first; rc == CG_OK && i < set->types.length; i++)
        rc = schema_type_flatten(set, set->types.items[i]);
    for (size_t i = 0; rc == CG_OK && i < set->uses.length; i++)
        rc = check_use(set, set->uses.items[i]);
    return rc;
}
