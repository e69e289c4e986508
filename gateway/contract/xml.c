#include "cctgate/xml.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/xmlIO.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "gateway/contract/xml_scan.h"

/*
 * CDATA becomes text, so that nobody has to know of it. None of NOENT, DTDLOAD, HUGE, RECOVER,
 * XINCLUDE.
 */
#define PARSE_OPTIONS                                                                              \
    (XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

static xmlParserInputPtr refuse_entity(const char *url, const char *id, xmlParserCtxtPtr context)
{
    (void)url;
    (void)id;
    (void)context;
    return NULL;
}

static void be_silent(void *data, const char *format, ...)
{
    (void)data;
    (void)format;
}

/*
 * Not every part of libxml2 says so when it had no memory: a namespace or an attribute is left out of the document, and that is
 * all. So it is noted here. What it is given is malloc's and goes to free, whoever frees it.
 */
static _Thread_local int starved;

static void *starving(void *memory)
{
    starved |= memory == NULL;
    return memory;
}

static void *take(size_t size)
{
    return starving(malloc(size));
}

static void *take_more(void *memory, size_t size)
{
    return starving(realloc(memory, size));
}

static char *take_copy(const char *text)
{
    return starving(strdup(text));
}

void xml_init(void)
{
    xmlMemSetup(free, take, take_more, take_copy);
    xmlInitParser();
    xmlSetExternalEntityLoader(refuse_entity);
    xmlSetGenericErrorFunc(NULL, be_silent);
    xmlThrDefSetGenericErrorFunc(NULL, be_silent); /* libxml2 keeps the handler per thread */
}

int xml_is_starved(void)
{
    return starved;
}

static size_t line_of(const char *bytes, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset; i++)
        line += bytes[i] == '\n';
    return line;
}

/*
 * A SAX callback must not refuse quietly: the scan already has, so a subset here means that it was
 * fooled.
 */
static void refuse_subset(void *data, const xmlChar *name, const xmlChar *external,
                          const xmlChar *system)
{
    (void)name;
    (void)external;
    (void)system;
    xmlStopParser(data);
}

/* The first error counts; what follows from it only confuses. */
struct complaint {
    int code, line;
};

static void remember(void *data, xmlErrorPtr error)
{
    struct complaint *complaint = ((xmlParserCtxtPtr)data)->_private;
    if (error->level < XML_ERR_ERROR)
        return;
    if (complaint->code == XML_ERR_OK)
        *complaint = (struct complaint){error->code, error->line};
}

/* libxml2's own sentences quote the document, so only its number is passed on. */
static int report(const struct complaint *complaint, char *error, size_t error_size)
{
    if (starved) { /* which explains whatever else is wrong */
        snprintf(error, error_size, "no memory for an XML document");
        return CG_E_NOMEM;
    }
    snprintf(error, error_size, "line %d: not well-formed XML (error %d)", complaint->line,
             complaint->code);
    return CG_E_XML;
}

/*
 * Where entities are not substituted, libxml2 leaves an ampersand in an attribute as "&#38;" and resolves it when it makes the
 * attribute's node. A namespace gets no such node, and would keep it.
 */
static void mend_uri(xmlChar *uri)
{
    xmlChar *to = uri;
    while (uri != NULL && *uri != '\0') {
        *to++ = *uri;
        uri += strncmp((const char *)uri, "&#38;", 5) == 0 ? 5 : 1;
    }
    if (to != NULL)
        *to = '\0';
}

static xmlNodePtr next_node(xmlNodePtr node)
{
    if (node->children != NULL && node->type == XML_ELEMENT_NODE)
        return node->children;
    while (node != NULL && node->next == NULL)
        node = node->parent;
    return node != NULL ? node->next : NULL;
}

static void mend_namespaces(xmlDocPtr doc)
{
    for (xmlNodePtr node = xmlDocGetRootElement(doc); node != NULL; node = next_node(node)) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        for (xmlNsPtr ns = node->nsDef; ns != NULL; ns = ns->next)
            mend_uri((xmlChar *)(uintptr_t)ns->href);
    }
}

static int parse(const char *bytes, size_t length, xmlDocPtr *doc, char *error, size_t error_size)
{
    struct complaint complaint = {XML_ERR_OK, 1};
    int rc = CG_OK;
    starved = 0;
    xmlParserCtxtPtr context = xmlNewParserCtxt();
    if (context == NULL)
        return report(&complaint, error, error_size);
    context->_private = &complaint;
    context->sax->internalSubset = refuse_subset;
    context->sax->serror = remember;
    *doc = xmlCtxtReadMemory(context, bytes, (int)length, NULL, NULL, PARSE_OPTIONS);
    if (*doc == NULL || !context->wellFormed || xmlDocGetRootElement(*doc) == NULL || starved) {
        rc = report(&complaint, error, error_size);
        xmlFreeDoc(*doc);
        *doc = NULL;
    } else if (memchr(bytes, '&', length) != NULL) {
        mend_namespaces(*doc);
    }
    xmlFreeParserCtxt(context);
    return rc;
}

int xml_parse(const char *bytes, size_t length, size_t bytes_max, xmlDocPtr *doc, char *error,
              size_t error_size)
{
    size_t offset;
    const char *reason;
    *doc = NULL;
    if (length > bytes_max || length > INT_MAX) {
        snprintf(error, error_size, "an XML document of %zu bytes is larger than is accepted",
                 length);
        return CG_E_LIMIT;
    }
    if (length == 0) {
        snprintf(error, error_size, "an empty document");
        return CG_E_XML;
    }
    int rc = xml_scan(bytes, length, &offset, &reason);
    if (rc != CG_OK) {
        snprintf(error, error_size, "line %zu: %s", line_of(bytes, offset), reason);
        return rc;
    }
    return parse(bytes, length, doc, error, error_size);
}

static xmlNodePtr this_or_next_element(xmlNodePtr node)
{
    while (node != NULL && node->type != XML_ELEMENT_NODE)
        node = node->next;
    return node;
}

xmlNodePtr xml_first_element(xmlNodePtr parent)
{
    return this_or_next_element(parent->children);
}

xmlNodePtr xml_next_element(xmlNodePtr node)
{
    return this_or_next_element(node->next);
}

int xml_is(xmlNodePtr node, const char *namespace_uri, const char *local_name)
{
    const char *uri =
        node->ns != NULL && node->ns->href != NULL ? (const char *)node->ns->href : "";
    return strcmp((const char *)node->name, local_name) == 0 && strcmp(uri, namespace_uri) == 0;
}
