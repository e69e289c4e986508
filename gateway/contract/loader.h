/*
 * Files of the contract: found below one directory, parsed once, and never followed out of it.
 * Errors are collected in the words "file:line: reason".
 */
#ifndef CCTGATE_CONTRACT_LOADER_H
#define CCTGATE_CONTRACT_LOADER_H

#include <stddef.h>

#include <libxml/tree.h>

#include "gateway/contract/arena.h"

struct contract_file {
    const char *path;  /* real path */
    const char *label; /* relative to the contract's directory, for messages */
    xmlDocPtr doc;
};

struct loader {
    struct arena *arena; /* the tables' */
    const char *root;    /* real path of the contract's directory */
    struct list files;   /* struct contract_file */
    struct list services;
    char *error;
    size_t error_size;
};

/* Writes the message and returns `rc`. `file` and `node` may be NULL. */
int loader_fail(struct loader *loader, int rc, const struct contract_file *file, xmlNodePtr node,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
int loader_nomem(struct loader *loader);

/* Parses a file, once. CG_E_IO, CG_E_XML, CG_E_LIMIT, CG_E_NOMEM. */
int loader_open(struct loader *loader, const char *path, struct contract_file **file);

/*
 * Opens what `location` in an import or include of `from` names. An address with a scheme, an
 * absolute path and a path that leaves the contract's directory are CG_E_INVALID.
 */
int loader_follow(struct loader *loader, const struct contract_file *from, xmlNodePtr node,
                  const char *location, struct contract_file **file);

/* Puts the real paths of all WSDL files below the root into `paths`, sorted. */
int loader_find_wsdl(struct loader *loader, struct list *paths);

/* Frees the parsed documents. */
void loader_close(struct loader *loader);

/*
 * An attribute's value, copied into the arena. A missing attribute gives NULL and CG_OK. Only
 * attributes without a namespace, which all of XSD's and WSDL's are.
 */
int loader_attribute(struct loader *loader, xmlNodePtr node, const char *name, char **value);

#endif
