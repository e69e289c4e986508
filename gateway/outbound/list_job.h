/* Lists of contacts as jobs. The owner's thread. */
#ifndef CCTGATE_OUTBOUND_LIST_JOB_H
#define CCTGATE_OUTBOUND_LIST_JOB_H

#include "cctgate/jobs.h"
#include "gateway/outbound/ask.h"

#define LIST_JOB_KIND "list"

/* Begins where the ask's listing stands. CG_OK: *id is the job's. CG_E_LIMIT: there are as many jobs as there may be. */
int list_job_begin(struct outbound *outbound, struct outbound_ask *ask, const char **id);
/* CG_OK: *spool is a new reference, NULL while it is not done, or when it is kept no longer. CG_E_NOTFOUND: no such job to be seen. */
int list_job_result(const struct outbound_ask *ask, struct spool **spool, enum job_state *state);

#endif
