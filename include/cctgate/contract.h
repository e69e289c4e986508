/*
 * The contract: what WSDL and XSD say about the services, as tables.
 *
 * Everything under a directory is loaded once at start; the tables are immutable afterwards and shared by all
 * threads without a lock. No service, operation, element or enumeration value is spelled out in C: a file with another
 * operation makes that operation callable. A WSDL found in a folder whose name begins with "variant-" is not loaded (it
 * is another form of a service that is already there); a folder named "samples" is never looked at.
 *
 * Dispatch is on (service, qualified name of the body's first child), never on SOAPAction, which is not unique in this
 * contract (conf/contract/cct/NOTES.md, "Oddities"; DOMAIN rule 1).
 */
#ifndef CCTGATE_CONTRACT_H
#define CCTGATE_CONTRACT_H

#include <stddef.h>

struct contract;
struct schema_type;    /* private to gateway/contract */
struct schema_element; /* private to gateway/contract */

enum soap_version { SOAP_1_1 = 11, SOAP_1_2 = 12 };

struct contract_fault {
    const char *name; /* the local name of the detail element, what clients see as `fault` */
    const struct schema_element *element; /* the detail element */
};

struct contract_operation {
    const struct contract_service *service;
    const char *name;
    const char *soap_action;   /* sent, never used to tell operations apart */
    const char *documentation; /* wsdl:documentation, or NULL */
    const struct schema_element *input;
    const struct schema_element
        *output; /* NULL: the reply's body is empty, or there is no reply (one_way) */
    int one_way;
    int wrapped;     /* the input element is named like the operation */
    int takes_token; /* the contract has a place for the session token in the request */
    const struct contract_fault *faults;
    size_t num_faults;
};

struct contract_service {
    const char *
        name; /* the port's name for CCT ("AgentService"), as it stands in the URL's last segment */
    const char *namespace_uri;
    const char *
        address_path; /* path of soap:address, "/SOAOICCT/services/AgentService"; the host in it is never usable */
    const char *file;   /* the WSDL, its real path */
    int soap11, soap12; /* bindings that exist */
    const struct contract_operation *operations;
    size_t num_operations;
};

/*
 * Loads every *.wsdl below `directory` with its schemas. On failure *contract is NULL and `error` names file, line where
 * known, and reason. CG_E_IO, CG_E_XML, CG_E_INVALID (a construct that we do not support, a name that resolves to
 * nothing, two services of one name), CG_E_LIMIT, CG_E_NOMEM. Not thread-safe against itself.
 */
int contract_load(struct contract **contract, const char *directory, char *error,
                  size_t error_size);
void contract_free(struct contract **contract);

size_t contract_num_services(const struct contract *contract);
const struct contract_service *contract_service_at(const struct contract *contract, size_t index);
const struct contract_service *contract_find_service(const struct contract *contract,
                                                     const char *service);

/* NULL when there is none. Constant time. */
const struct contract_operation *contract_find(const struct contract *contract, const char *service,
                                               const char *operation);

/* The request's members in the order of the contract, the token's among them; NULL: no more. */
const char *contract_input_member(const struct contract_operation *op, size_t index);

/* The operation of `service` whose request body begins with {namespace_uri}local_name; NULL when there is none. */
const struct contract_operation *contract_dispatch(const struct contract *contract,
                                                   const char *service, const char *namespace_uri,
                                                   const char *local_name);

/*
 * A service's WSDL and all that it imports, for publication (DOMAIN rule 3): soap:address is `address`, and imports name the other
 * documents as `address`?wsdl=<n> or ?xsd=<n>, n being the index here. The WSDL itself is document 0.
 */
struct contract_document {
    char *bytes;
    size_t length;
};
struct contract_documents {
    struct contract_document *documents;
    size_t num_documents;
};

/* Reads the files below `directory` again. Errors as of contract_load; on failure `documents` is empty. */
int contract_publish(struct contract_documents *documents, const char *directory,
                     const struct contract_service *service, const char *address, char *error,
                     size_t error_size);
void contract_documents_release(struct contract_documents *documents);

#endif
