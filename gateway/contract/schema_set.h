/*
 * A schema set is what one WSDL and its imports and includes declare. Sets are kept apart per WSDL
 * since several of them may declare the same name in the same namespace differently. Components are
 * made when something asks for them: what no operation reaches may hold constructs that we do not
 * support.
 */
#ifndef CCTGATE_CONTRACT_SCHEMA_SET_H
#define CCTGATE_CONTRACT_SCHEMA_SET_H

#include "gateway/contract/loader.h"
#include "gateway/contract/schema.h"

enum component_kind {
    COMPONENT_ELEMENT = 1,
    COMPONENT_TYPE,
    COMPONENT_ATTRIBUTE,
    COMPONENT_BUILTIN
};

struct schema_document {
    const struct contract_file *file;
    xmlNodePtr root; /* xs:schema */
    const char *target;
    int elements_qualified, attributes_qualified;
};

/* A global declaration, and the component once it was asked for. */
struct schema_global {
    struct schema_document *document;
    xmlNodePtr node;
    void *component;
};

struct schema_set {
    struct loader *loader;
    struct list documents;  /* struct schema_document */
    struct map globals;     /* (component_kind, namespace, name) to struct schema_global */
    struct map builtins;    /* (COMPONENT_BUILTIN, XSD_NAMESPACE, name) to struct schema_type */
    struct list namespaces; /* char *; the index is in the prefix: "n3" */
    struct list types;      /* struct schema_type, in the order they were asked for */
    struct list uses;       /* struct element_use, to be checked when all types are known */
    size_t types_done;
    unsigned mark;
};

struct element_use {
    const struct schema_element *element;
    const struct schema_document *document;
    xmlNodePtr node;
};

/* Adds xs:schema element `root` of `file`, with everything that it imports and includes. */
int schema_set_add(struct schema_set *set, const struct contract_file *file, xmlNodePtr root);

/*
 * The global element that the QName in attribute value `qname` names; `file` and `node` are where
 * it stands. Its type is not complete before schema_set_finish.
 */
int schema_set_element(struct schema_set *set, const struct contract_file *file, xmlNodePtr node,
                       const char *qname, struct schema_element **element);

/* Completes every type that was asked for. */
int schema_set_finish(struct schema_set *set);

/*
 * Makes a global element fit to be the root of a message: namespace declarations. After
 * schema_set_finish.
 */
int schema_set_message(struct schema_set *set, struct schema_element *element);

/* For schema_type.c and schema_simple.c. */
int schema_fail(const struct schema_set *set, const struct schema_document *document,
                xmlNodePtr node, const char *format, ...) __attribute__((format(printf, 4, 5)));
int schema_unsupported(const struct schema_set *set, const struct schema_document *document,
                       xmlNodePtr node);
int schema_is(xmlNodePtr node, const char *name);
/* The first or next XSD child element that is no annotation; NULL at the end. */
xmlNodePtr schema_first(xmlNodePtr parent);
xmlNodePtr schema_next(xmlNodePtr node);
int schema_flag(struct schema_set *set, xmlNodePtr node, const char *name, int otherwise,
                int *value);
int schema_qname(struct schema_set *set, const struct contract_file *file, xmlNodePtr node,
                 const char *qname, const char **namespace_uri, const char **name);
int schema_find(struct schema_set *set, const struct schema_document *document, xmlNodePtr node,
                enum component_kind kind, const char *qname, struct schema_global **global);
/* "n3" for a namespace. */
int schema_prefix(struct schema_set *set, const char *namespace_uri, char *prefix, size_t size);
int schema_tag(struct schema_set *set, const char *namespace_uri, const char *name,
               const char **tag);

/* The type that an attribute of `node` names, or the shell of a global one. schema_type.c */
int schema_type_named(struct schema_set *set, const struct schema_document *document,
                      xmlNodePtr node, const char *qname, struct schema_type **type);
/* The shell of the anonymous type `node`. */
int schema_type_anonymous(struct schema_set *set, const struct schema_document *document,
                          xmlNodePtr node, struct schema_type **type);
int schema_type_builtin(struct schema_set *set, const char *name, struct schema_type **type);
/* Completes one type now; a base is needed before what is derived from it. */
int schema_type_require(struct schema_set *set, struct schema_type *type,
                        const struct schema_document *document, xmlNodePtr node, int depth);
int schema_type_flatten(struct schema_set *set, struct schema_type *type);
int schema_element_global(struct schema_set *set, struct schema_global *global,
                          struct schema_element **element);

/* Elements, groups and wildcards. schema_particle.c */
int schema_particle_parse(struct schema_set *set, const struct schema_document *document,
                          xmlNodePtr node, struct schema_particle **particle);

/* Simple types. schema_simple.c */
int schema_simple_builtin(const char *name, struct schema_simple *simple);
int schema_simple_parse(struct schema_set *set, const struct schema_document *document,
                        xmlNodePtr node, struct schema_simple *simple, int depth);
int schema_simple_facets(struct schema_set *set, const struct schema_document *document,
                         xmlNodePtr restriction, struct schema_simple *simple);

#endif
