/*
 * What was really carried out, command by command: how often each was, told apart by all that its request said but the token. So a
 * test can give every command words of its own and see that none was done twice, and that each that was said to be done was.
 */
#ifndef CCTSIM_JOURNAL_H
#define CCTSIM_JOURNAL_H

#include <jansson.h>

#include "rq.h"

/* Nothing is kept unless the command line says so: requests may hold passwords. */
void journal_note(const struct rq *rq);
/* {"<service>.<operation> <words>": how often}; a new reference. */
json_t *journal_json(void);
void journal_clear(void);

#endif
