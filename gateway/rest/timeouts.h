#ifndef CCTGATE_REST_TIMEOUTS_H
#define CCTGATE_REST_TIMEOUTS_H

#include <h2o.h>

/* CG_OK, or CG_E_INVALID: the library would use its own functions, whose timers follow the wall clock. Before the first request. */
int timeouts_take_over(void);

#endif
