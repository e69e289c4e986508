/* The contract as served to clients: WSDL and schema files with every service address turned to the host they asked. */
#ifndef CCTSIM_CONTRACT_FILES_H
#define CCTSIM_CONTRACT_FILES_H

#include "contract.h"

bool contract_files_wsdl(struct buf *out, const struct service *service, const char *host);
/* By plain file name, e.g. "types.xsd". */
bool contract_files_named(struct buf *out, const char *name, const char *host);

#endif
