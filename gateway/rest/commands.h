/* A request as an intake. Front threads. */
#ifndef CCTGATE_REST_COMMANDS_H
#define CCTGATE_REST_COMMANDS_H

#include "gateway/rest/intake.h"

/* Takes headers, query and body. CG_OK, or a problem has been sent; intake_end ends it. */
int intake_begin(struct intake *intake, struct request *request);
/* Refuses it, if `rc` is not CG_OK; else gives the command (NULL: there is none) to the owner, who answers. */
void intake_end(struct request *request, struct intake *intake, int rc, struct command *command,
                const struct intake_error *error);

#endif
