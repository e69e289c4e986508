/*
 * WSDL 1.1 to services and operations. Document/literal over SOAP 1.1 and 1.2; other bindings of a
 * service are passed over.
 */
#ifndef CCTGATE_CONTRACT_WSDL_H
#define CCTGATE_CONTRACT_WSDL_H

#include "cctgate/contract.h"
#include "gateway/contract/loader.h"

/* A service while it is made, and where it stands, for messages. */
struct wsdl_service {
    struct contract_service *service;
    const struct contract_file *file;
    xmlNodePtr node;
};

/*
 * Adds the services of one WSDL file to `loader->services` (struct wsdl_service). A file without
 * one adds none.
 */
int wsdl_load(struct loader *loader, const char *path);

#endif
