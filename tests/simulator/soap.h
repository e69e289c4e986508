/* The SOAP port: routes, validates, dispatches on (service, body element), answers; and serves the contract files. */
#ifndef CCTSIM_SOAP_H
#define CCTSIM_SOAP_H

#include "http.h"
#include "rq.h"

/* Joins the contract's operations with the handlers; returns how many operations have none. */
size_t soap_bind(void);
void soap_on_request(struct http_conn *conn, const struct http_request *request);
void soap_on_malformed(const char *why);
/* Injected before every reply of the SOAP port. */
void soap_set_latency(uint64_t ms, uint64_t jitter_ms);
void soap_latency(uint64_t *ms, uint64_t *jitter_ms);

#endif
