/* The ground truth as JSON. */
#ifndef CCTSIM_ADMIN_STATE_H
#define CCTSIM_ADMIN_STATE_H

#include <jansson.h>

#include "world.h"

json_t *admin_state(void);
/* What that user's read operations would answer at this moment, with the capabilities of everything. */
json_t *admin_truth(const struct user *viewer);
json_t *admin_call(const struct contact *contact);
json_t *admin_subscriptions(void);
json_t *admin_notify_counts(void);

#endif
