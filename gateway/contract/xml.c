#include "cctgate/xml.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/xmlIO.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "gateway/contract/xml_scan.h"

/* CDATA becomes text, so that nobody has to know of it. None of NOENT, DTDLOAD, HUGE, RECOVER, XINCLUDE. */
#define PARSE_OPTIONS (XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

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

void xml_init(void)
{
    xmlInitParser();
    xmlSetExternalEntityLoader(refuse_entity);
    xmlSetGenericErrorFunc(NULL, be_silent);
    xmlThrDefSetGenericErrorFunc(NULL, be_silent); /* libxml2 keeps the handler per thread */
}

static size_t line_of(const char *bytes, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset; i++)
        line += bytes[i] == '\n';
    return line;
}

/* A SAX callback must not refuse quietly: the scan already has, so a subset here means that it was fooled. */
static void refuse_subset(void *data, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
    (void)name;
    (void)external;
    (void)system;
    xmlStopParser(data);
}

/* libxml2's own sentences quote the document, so only its number is passed on. */
static int report(xmlParserCtxtPtr context, char *error, size_t error_size)
{
    int code = context->lastError.code;
    if (code == XML_ERR_NO_MEMORY) {
        snprintf(error, error_size, "no memory for an XML document");
        return CG_E_NOMEM;
    }
    snprintf(error, error_size, "line %d: not well-formed XML (libxml2 error %d)",
             context->lastError.line, code);
    return CG_E_XML;
}

static int parse(const char *bytes, size_t length, xmlDocPtr *doc, char *error, size_t error_size)
{
    int rc = CG_OK;
    xmlParserCtxtPtr context = xmlNewParserCtxt();
    if (context == NULL) {
        snprintf(error, error_size, "no memory for an XML parser");
        return CG_E_NOMEM;
    }
    context->sax->internalSubset = refuse_subset;
    *doc = xmlCtxtReadMemory(context, bytes, (int)length, NULL, NULL, PARSE_OPTIONS);
    if (*doc == NULL || !context->wellFormed || xmlDocGetRootElement(*doc) == NULL) {
        rc = report(context, error, error_size);
        xmlFreeDoc(*doc);
        *doc = NULL;
    }
    xmlFreeParserCtxt(context);
    return rc;
}

int xml_parse(const char *bytes, size_t length, size_t bytes_max, xmlDocPtr *doc, char *error, size_t error_size)
{
    size_t offset;
    const char *reason;
    *doc = NULL;
    if (length > bytes_max || length > INT_MAX) {
        snprintf(error, error_size, "an XML document of %zu bytes is larger than is accepted", length);
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
    const char *uri = node->ns != NULL && node->ns->href != NULL ? (const char *)node->ns->href : "";
    return strcmp((const char *)node->name, local_name) == 0 && strcmp(uri, namespace_uri) == 0;
}
