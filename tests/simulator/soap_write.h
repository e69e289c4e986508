/* Envelopes and faults as text. The prefix of the envelope's namespace is e, which the injected faults rely on. */
#ifndef CCTSIM_SOAP_WRITE_H
#define CCTSIM_SOAP_WRITE_H

#include "rq.h"

const char *soap_content_type(enum envelope envelope);
/* A fault without detail; `client` says whose fault it was. */
void soap_write_plain_fault(struct buf *body, enum envelope envelope, bool client,
                            const char *text);
/* The reply of a handled request: its result or its fault. */
void soap_write_reply(struct buf *body, const struct rq *rq);
/* Makes the request fail with the fault of that name, declared or not. */
void soap_inject_fault(struct rq *rq, const char *name, const char *message);
/* "2030-01-01T00:00:00.123Z" */
void soap_write_time(struct buf *b, int64_t wall_ms);

#endif
