#include "gateway/contract/schema_set.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"

/* The built-in types. What is not here, such as xs:ENTITY, is taken for text. */
static const struct schema_simple builtins[] = {
    {.builtin = "string", .kind = SIMPLE_TEXT},
    {.builtin = "normalizedString", .kind = SIMPLE_TEXT},
    {.builtin = "anySimpleType", .kind = SIMPLE_TEXT},
    {.builtin = "token", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "language", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "anyURI", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "duration", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "gYear", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "gYearMonth", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "gMonth", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "gMonthDay", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "gDay", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "Name", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "NMTOKEN", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "NMTOKENS", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "ENTITY", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "ENTITIES", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "IDREFS", .kind = SIMPLE_TEXT, .collapse = 1},
    {.builtin = "NCName", .kind = SIMPLE_NCNAME, .collapse = 1},
    {.builtin = "ID", .kind = SIMPLE_NCNAME, .collapse = 1},
    {.builtin = "IDREF", .kind = SIMPLE_NCNAME, .collapse = 1},
    {.builtin = "QName", .kind = SIMPLE_QNAME, .collapse = 1},
    {.builtin = "boolean", .kind = SIMPLE_BOOLEAN, .collapse = 1},
    {.builtin = "byte",
     .kind = SIMPLE_INTEGER,
     .collapse = 1,
     .minimum = SCHAR_MIN,
     .maximum = SCHAR_MAX},
    {.builtin = "short",
     .kind = SIMPLE_INTEGER,
     .collapse = 1,
     .minimum = SHRT_MIN,
     .maximum = SHRT_MAX},
    {.builtin = "int",
     .kind = SIMPLE_INTEGER,
     .collapse = 1,
     .minimum = INT_MIN,
     .maximum = INT_MAX},
    {.builtin = "long",
     .kind = SIMPLE_INTEGER,
     .collapse = 1,
     .minimum = LLONG_MIN,
     .maximum = LLONG_MAX},
    {.builtin = "unsignedByte", .kind = SIMPLE_DIGITS, .collapse = 1, .maximum = UCHAR_MAX},
    {.builtin = "unsignedShort", .kind = SIMPLE_DIGITS, .collapse = 1, .maximum = USHRT_MAX},
    {.builtin = "unsignedInt", .kind = SIMPLE_DIGITS, .collapse = 1, .maximum = UINT_MAX},
    {.builtin = "unsignedLong", .kind = SIMPLE_DIGITS, .collapse = 1, .maximum = ULLONG_MAX},
    {.builtin = "integer", .kind = SIMPLE_DIGITS, .collapse = 1, .no_minimum = 1, .no_maximum = 1},
    {.builtin = "nonNegativeInteger", .kind = SIMPLE_DIGITS, .collapse = 1, .no_maximum = 1},
    {.builtin = "positiveInteger",
     .kind = SIMPLE_DIGITS,
     .collapse = 1,
     .minimum = 1,
     .no_maximum = 1},
    {.builtin = "nonPositiveInteger", .kind = SIMPLE_DIGITS, .collapse = 1, .no_minimum = 1},
    {.builtin = "negativeInteger", .kind = SIMPLE_DIGITS, .collapse = 1, .no_minimum = 1},
    {.builtin = "decimal", .kind = SIMPLE_DECIMAL, .collapse = 1},
    {.builtin = "double", .kind = SIMPLE_DOUBLE, .collapse = 1},
    {.builtin = "float", .kind = SIMPLE_DOUBLE, .collapse = 1},
    {.builtin = "dateTime", .kind = SIMPLE_DATE_TIME, .collapse = 1},
    {.builtin = "date", .kind = SIMPLE_DATE, .collapse = 1},
    {.builtin = "time", .kind = SIMPLE_TIME, .collapse = 1},
    {.builtin = "base64Binary", .kind = SIMPLE_BASE64, .collapse = 1},
    {.builtin = "hexBinary", .kind = SIMPLE_HEX, .collapse = 1},
};

int schema_simple_builtin(const char *name, struct schema_simple *simple)
{
    for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++) {
        if (strcmp(builtins[i].builtin, name) == 0) {
            *simple = builtins[i];
            return CG_OK;
        }
    }
    return CG_E_NOTFOUND;
}

/* A list or a union: text, for JSON. */
static int take_for_text(struct schema_simple *simple)
{
    return schema_simple_builtin("token", simple);
}

static int base_of(struct schema_set *set, const struct schema_document *document,
                   xmlNodePtr restriction, struct schema_simple *simple, int depth)
{
    struct schema_type *type;
    char *base;
    int rc = loader_attribute(set->loader, restriction, "base", &base);
    if (rc != CG_OK)
        return rc;
    if (base == NULL) {
        xmlNodePtr child = schema_first(restriction);
        if (child == NULL || !schema_is(child, "simpleType"))
            return schema_fail(set, document, restriction, "restriction without a base");
        return schema_simple_parse(set, document, child, simple, depth + 1);
    }
    rc = schema_type_named(set, document, restriction, base, &type);
    if (rc == CG_OK)
        rc = schema_type_require(set, type, document, restriction, depth + 1);
    if (rc != CG_OK)
        return rc;
    if (type->content != CONTENT_SIMPLE)
        return schema_fail(set, document, restriction, "base \"%.80s\" is no simple type", base);
    *simple = type->simple;
    return CG_OK;
}

static int bound(struct schema_simple *simple, xmlNodePtr facet, const char *value)
{
    char *end;
    int lower = schema_is(facet, "minInclusive") || schema_is(facet, "minExclusive");
    int exclusive = schema_is(facet, "minExclusive") || schema_is(facet, "maxExclusive");
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (end == value || *end != '\0' || errno != 0)
        return CG_E_INVALID;
    if (exclusive && __builtin_add_overflow(number, lower ? 1 : -1, &number))
        return CG_E_INVALID;
    if (lower && number > simple->minimum)
        simple->minimum = number;
    if (!lower && number < (long long)simple->maximum) /* of SIMPLE_INTEGER, so it fits */
        simple->maximum = (unsigned long long)number;
    return CG_OK;
}

static int is_bound(xmlNodePtr facet)
{
    return schema_is(facet, "minInclusive") || schema_is(facet, "minExclusive") ||
           schema_is(facet, "maxInclusive") || schema_is(facet, "maxExclusive");
}

static int read_facet(struct schema_set *set, const struct schema_document *document,
                      xmlNodePtr facet, struct schema_simple *simple, struct list *values)
{
    char *value;
    int rc = loader_attribute(set->loader, facet, "value", &value);
    if (rc != CG_OK || value == NULL)
        return rc;
    if (schema_is(facet, "enumeration"))
        return list_push(set->loader->arena, values, value) == CG_OK ? CG_OK
                                                                     : loader_nomem(set->loader);
    if (schema_is(facet, "whiteSpace"))
        simple->collapse = strcmp(value, "collapse") == 0;
    if (is_bound(facet) && simple->kind == SIMPLE_INTEGER && bound(simple, facet, value) != CG_OK)
        return schema_fail(set, document, facet, "the bound is no number");
    return CG_OK; /* pattern, length and the like are the upstream's to enforce */
}

int schema_simple_facets(struct schema_set *set, const struct schema_document *document,
                         xmlNodePtr restriction, struct schema_simple *simple)
{
    struct list values = {0};
    int rc = CG_OK;
    xmlNodePtr facet = schema_first(restriction);
    for (; rc == CG_OK && facet != NULL; facet = schema_next(facet))
        rc = read_facet(set, document, facet, simple, &values);
    if (rc != CG_OK || values.length == 0)
        return rc;
    const char **copy = arena_array(set->loader->arena, values.length, sizeof(*copy));
    if (copy == NULL)
        return loader_nomem(set->loader);
    for (size_t i = 0; i < values.length; i++)
        copy[i] = values.items[i];
    simple->values = copy;
    simple->num_values = values.length;
    return CG_OK;
}

int schema_simple_parse(struct schema_set *set, const struct schema_document *document,
                        xmlNodePtr node, struct schema_simple *simple, int depth)
{
    xmlNodePtr child = schema_first(node);
    if (depth > CG_CONTRACT_TYPE_DEPTH_MAX)
        return schema_fail(set, document, node, "types are derived from each other too deep");
    if (child == NULL)
        return schema_fail(set, document, node, "simpleType without content");
    if (schema_is(child, "list") || schema_is(child, "union"))
        return take_for_text(simple);
    if (!schema_is(child, "restriction"))
        return schema_unsupported(set, document, child);
    int rc = base_of(set, document, child, simple, depth);
    return rc == CG_OK ? schema_simple_facets(set, document, child, simple) : rc;
}
