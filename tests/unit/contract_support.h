/* What the tests of the contract engine share: files, schemas, comparing documents. */
#ifndef CCTGATE_TESTS_CONTRACT_SUPPORT_H
#define CCTGATE_TESTS_CONTRACT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <libxml/tree.h>
#include <libxml/xmlschemas.h>

#include "cctgate/codec.h"
#include "cctgate/contract.h"
#include "cctgate/error.h"

#define CONTRACT_DIRECTORY "conf/contract"
#define CCT_DIRECTORY      CONTRACT_DIRECTORY "/cct"
#define OUTBOUND_DIRECTORY CONTRACT_DIRECTORY "/outbound"

/* Before anything else; sets libxml2 up as the program does. */
void support_init(void);

/* A contract that must load. */
struct contract *support_load(const char *directory);

/* The whole file, NUL-terminated; the test fails when it cannot be read. `length` may be NULL. */
char *support_read(const char *path, size_t *length);
void support_write(const char *directory, const char *name, const char *text);
/* A new folder below TMPDIR; remove takes it away with everything in it. */
char *support_folder(void);
void support_remove(char **folder);
/* Copies the files with one of two endings from one folder to another. */
void support_copy(const char *from, const char *to, const char *ending, const char *other_ending);
/* `text` with the first `mark` replaced by `instead`, malloc'ed. */
char *support_replace(const char *text, const char *mark, const char *instead);
char *support_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An XSD of libxml2's own validator. */
struct support_schema {
    xmlSchemaParserCtxtPtr parser;
    xmlSchemaPtr schema;
};
void support_schema_load(struct support_schema *schema, const char *path);
void support_schema_release(struct support_schema *schema);
/* The test fails, naming `label`, when the document is not valid. */
void support_assert_valid(const struct support_schema *schema, const struct codec_buffer *document,
                          const char *label);

/*
 * A document in a form in which equal ones are equal strings: no prefixes, comments or white space
 * between elements.
 */
char *support_canonical(const char *xml, size_t length);

/* A copy without empty arrays: an absent repeated element reads as one. */
json_t *support_without_empty_arrays(const json_t *value);

/* Parses JSON written with ' for ". */
json_t *support_json(const char *text);

#endif
