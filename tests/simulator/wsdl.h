/* The walk over one WSDL 1.1 file: portType → message → element. Only contract.c uses it. */
#ifndef CCTSIM_WSDL_H
#define CCTSIM_WSDL_H

#include "contract.h"

/* Fills the operations of `service` from its `wsdl` text; false with a message on stderr. */
bool wsdl_read(struct service *service);
void wsdl_free_operation(struct operation *op);
void wsdl_free_index(struct service *service);

#endif
