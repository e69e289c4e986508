/*
 * A look at the bytes before libxml2 sees them. libxml2 2.9.14 compares every attribute of an
 * element with every other and looks a prefix up by walking all declarations in scope, so eight
 * megabytes can keep it busy for hours; it also builds whatever a DOCTYPE says. One linear pass
 * counts what would hurt. It need not be a parser: up to the first error in the document it sees
 * the same tags as libxml2, and libxml2 stops at that error.
 */
#ifndef CCTGATE_CONTRACT_XML_SCAN_H
#define CCTGATE_CONTRACT_XML_SCAN_H

#include <stddef.h>

/*
 * CG_OK: worth parsing. CG_E_XML: a DOCTYPE, a NUL byte or an encoding other than UTF-8, US-ASCII
 * and ISO-8859-1. CG_E_LIMIT: too deep, too many elements, too many attributes in scope. `*offset`
 * is the place, `*reason` a constant.
 */
int xml_scan(const char *bytes, size_t length, size_t *offset, const char **reason);

#endif
