/*
 * The tables that XSD becomes. They are built once by schema_set.c, schema_type.c and
 * schema_simple.c and never change afterwards; every pointer is owned by the contract's arena.
 *
 * A complex type keeps two views of the same elements: the tree of particles (order, choices,
 * optional groups; the encoder walks it) and the flat list of members (what may stand in the JSON
 * object; the decoder looks names up in it). In one type no two members have the same local name:
 * JSON could not tell them apart, so such a type does not load.
 */
#ifndef CCTGATE_CONTRACT_SCHEMA_H
#define CCTGATE_CONTRACT_SCHEMA_H

#include <stddef.h>

#include "gateway/contract/arena.h"

#define SCHEMA_UNBOUNDED 0xffffffffu
#define XSD_NAMESPACE    "http://www.w3.org/2001/XMLSchema"
#define XSI_NAMESPACE    "http://www.w3.org/2001/XMLSchema-instance"
#define XML_NAMESPACE    "http://www.w3.org/XML/1998/namespace"

enum simple_kind {
    SIMPLE_TEXT,    /* any string */
    SIMPLE_INTEGER, /* fits long long: a JSON integer */
    /* an integer that JSON carries as a string: unsigned types and those without bounds */
    SIMPLE_DIGITS,
    SIMPLE_BOOLEAN,
    SIMPLE_DECIMAL,
    SIMPLE_DOUBLE, /* and float */
    SIMPLE_DATE_TIME,
    SIMPLE_DATE,
    SIMPLE_TIME,
    SIMPLE_BASE64,
    SIMPLE_HEX,
    SIMPLE_QNAME, /* "{namespace}name" in JSON, since a prefix means nothing there */
    SIMPLE_NCNAME
};

struct schema_simple {
    const char *builtin; /* the XML Schema type that it comes from, such as "int" */
    enum simple_kind kind;
    int collapse;               /* white space around the value means nothing */
    int no_minimum, no_maximum; /* SIMPLE_DIGITS only */
    long long minimum;
    unsigned long long maximum;
    const char *const *values; /* enumeration; num_values is 0 when there is none */
    size_t num_values;
};

enum schema_content {
    CONTENT_UNKNOWN, /* only while loading */
    CONTENT_SIMPLE,
    CONTENT_SIMPLE_ATTRIBUTES, /* text with attributes */
    CONTENT_ELEMENTS,          /* also empty */
    CONTENT_MIXED,
    CONTENT_ANY /* xs:anyType */
};

enum particle_kind {
    PARTICLE_ELEMENT,
    PARTICLE_ANY,
    PARTICLE_SEQUENCE,
    PARTICLE_CHOICE,
    PARTICLE_ALL
};

struct schema_particle {
    enum particle_kind kind;
    int optional; /* groups: minOccurs="0" */
    int lax;      /* any: processContents is lax or skip, and any namespace will do */
    int required; /* any: minOccurs is not 0 */
    struct schema_element *element; /* element */
    struct list children;           /* groups: struct schema_particle */
};

struct schema_attribute {
    const char *name, *namespace_uri;
    const char *tag;    /* as written: "Dialect", "n3:mode", "xml:lang" */
    const char *member; /* "@Dialect" */
    const struct schema_type *type;
    int required;
};

enum type_state { TYPE_NEW, TYPE_RESOLVING, TYPE_RESOLVED };

struct schema_type {
    const char *name, *namespace_uri; /* name is NULL for an anonymous type */
    enum schema_content content;
    struct schema_simple simple;      /* CONTENT_SIMPLE, CONTENT_SIMPLE_ATTRIBUTES */
    struct schema_particle *particle; /* NULL: no elements */
    struct list attributes;           /* struct schema_attribute */
    int any_attribute;
    struct list members; /* struct schema_element, in the order of the particles */
    struct map member_map;
    int has_any; /* a wildcard among the particles */

    enum type_state state; /* the rest matters while loading only */
    int abstract;
    unsigned mark;
    void *node, *document;
};

struct schema_element {
    const char *name, *namespace_uri; /* namespace_uri is "" for none */
    const char *tag;                  /* "n3:name" */
    size_t tag_length;
    const struct schema_type *type;
    unsigned min, max;
    int nillable;
    const char *default_value; /* or NULL */
    size_t index;              /* among the members of its type */
    int always;                /* min is not 0 and no choice or optional group is around it */
    int in_choice;

    /* only for the root of a message: */
    const char *declarations;           /* ' xmlns:n0="..."' of every namespace that can occur */
    const struct schema_element *token; /* the child that carries the session token, or NULL */
    const struct schema_element *token_text; /* its only child */
};

/*
 * The member with this name, or NULL. `*hint` is where to look first, and is moved behind what was
 * found.
 */
const struct schema_element *schema_member(const struct schema_type *type,
                                           const char *namespace_uri, const char *name,
                                           size_t *hint);
/* The member that a JSON name stands for, or NULL. */
const struct schema_element *schema_member_by_name(const struct schema_type *type,
                                                   const char *name);

/* Does a value of this type stand for the whole message as {"value": ...}? */
int schema_is_value(const struct schema_type *type);

#endif
