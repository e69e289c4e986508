/*
 * Hardened XML parsing: the only way that bytes from outside become a tree.
 *
 * libxml2 2.9.14 has no switch against external entities and no amplification limit, so: bytes are capped first, any DOCTYPE is
 * refused, no network, no entity substitution, no DTD loading, no XInclude, no recovery, and depth and number of elements are
 * capped while parsing.
 */
#ifndef CCTGATE_XML_H
#define CCTGATE_XML_H

#include <stddef.h>

#include <libxml/tree.h>

/* Call once at start, before any thread: sets libxml2 up (no external entity loader, silent error handlers). */
void xml_init(void);

/*
 * CG_OK: *doc is the caller's, xmlFreeDoc frees it. CG_E_XML: not well-formed or forbidden; CG_E_LIMIT: larger than
 * `bytes_max`, deeper than CG_XML_DEPTH_MAX or more elements than CG_XML_ELEMENTS_MAX; CG_E_NOMEM. `error` gets a sentence with
 * the line, never a piece of the document. Any thread.
 */
int xml_parse(const char *bytes, size_t length, size_t bytes_max, xmlDocPtr *doc, char *error,
              size_t error_size);

/*
 * 1: since the last xml_parse on this thread libxml2 had no memory for something, whether it said so or not. For who changes a document or
 * writes one out.
 */
int xml_is_starved(void);

/* First child element, next sibling element: text, comments and processing instructions are skipped. NULL at the end. */
xmlNodePtr xml_first_element(xmlNodePtr parent);
xmlNodePtr xml_next_element(xmlNodePtr node);
int xml_is(xmlNodePtr node, const char *namespace_uri, const char *local_name);

#endif
