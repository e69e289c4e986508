/*
 * The contract as the simulator needs it: which operations there are, by which body element each is told, what it may
 * answer, and libxml2's own schema validator for every request. Read once from the WSDL and XSD files at start; nothing
 * of it is shared with the gateway's contract engine, on purpose.
 */
#ifndef CCTSIM_CONTRACT_H
#define CCTSIM_CONTRACT_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "map.h"

struct rq;
typedef int (*op_handler)(struct rq *rq);

struct element_name {
    char *ns;
    char *name;
};

enum op_kind { OP_READ, OP_COMMAND, OP_SESSION, OP_SUBSCRIPTION };

struct operation {
    struct service *service;
    char *name;
    struct element_name in;
    struct element_name out; /* name NULL: the reply's body is empty */
    struct element_name *faults;
    size_t fault_count;
    enum op_kind kind;
    op_handler handler; /* NULL: the contract has an operation the simulator does not know */
    uint64_t calls;
    char *label; /* "Service.Operation" */
};

struct service {
    char *name;
    bool outbound;
    char *wsdl;
    size_t wsdl_len;
    struct operation *operations;
    size_t operation_count;
    struct map by_element; /* "{namespace}name" → operation */
};

enum envelope { ENVELOPE_CCT, ENVELOPE_OUTBOUND_11, ENVELOPE_OUTBOUND_12, ENVELOPE_COUNT };

/* Loads DIR/cct and DIR/outbound; `priority` takes the form of the append operation with that field. False with a
 * message on stderr when something is missing. */
bool contract_load(const char *dir, bool priority);
void contract_free(void);

size_t contract_service_count(void);
struct service *contract_service_at(size_t index);
/* Case-sensitive; NULL when there is none. */
struct service *contract_service(const char *name);
struct operation *contract_operation(const struct service *service, const char *ns,
                                     const char *element);
struct operation *contract_operation_named(const struct service *service, const char *name);
/* Validates a whole envelope. On false the validator's sentences are in `message`. */
bool contract_validate(enum envelope envelope, xmlDoc *doc, struct buf *message);
/* The text of a schema or WSDL file of the CCT contract by its plain file name; NULL when there is none. */
const char *contract_file(const char *name, size_t *len);

#endif
