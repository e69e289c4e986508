/* What wsdl.c and wsdl_operation.c share while one WSDL is read. */
#ifndef CCTGATE_CONTRACT_WSDL_OPERATION_H
#define CCTGATE_CONTRACT_WSDL_OPERATION_H

#include "cctgate/contract.h"
#include "gateway/contract/schema_set.h"

#define WSDL_NAMESPACE        "http://schemas.xmlsoap.org/wsdl/"
#define WSDL_SOAP11_NAMESPACE "http://schemas.xmlsoap.org/wsdl/soap/"
#define WSDL_SOAP12_NAMESPACE "http://schemas.xmlsoap.org/wsdl/soap12/"

struct wsdl_definitions {
    const struct contract_file *file;
    xmlNodePtr root;
    const char *target;
};

struct wsdl {
    struct loader *loader;
    struct schema_set set;
    struct list definitions; /* struct wsdl_definitions; the file itself is the first */
};

struct wsdl_component {
    const struct contract_file *file;
    xmlNodePtr node;
};

struct wsdl_binding {
    struct wsdl_component binding, port_type;
};

/* The WSDL component `kind` that attribute `attribute` of `node` names. */
int wsdl_find(struct wsdl *wsdl, const struct contract_file *file, xmlNodePtr node,
              const char *kind, const char *attribute, struct wsdl_component *component);
/* The child of this kind and name; *found is NULL when there is none. */
int wsdl_named_child(struct wsdl *wsdl, xmlNodePtr parent, const char *kind, const char *name,
                     xmlNodePtr *found);
/* The first child with this name in either SOAP namespace, or NULL. */
xmlNodePtr wsdl_soap_child(xmlNodePtr parent, const char *name, enum soap_version *version);

/* Reads the operations of a service; their types are not complete yet. */
int wsdl_operations(struct wsdl *wsdl, const struct wsdl_binding *binding,
                    struct contract_service *service);
/*
 * What can only be said once the types are complete: namespaces of messages, the place of the
 * token.
 */
int wsdl_complete(struct wsdl *wsdl, struct contract_service *service);

#endif
