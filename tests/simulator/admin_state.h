/* The ground truth as JSON. */
#ifndef CCTSIM_ADMIN_STATE_H
#define CCTSIM_ADMIN_STATE_H

#include <jansson.h>

#include "world.h"

json_t *admin_state(void);
json_t *admin_call(const struct contact *contact);

#endif
