/*
 * Turns what happens into messages for everybody who listens: visibility (world.h), filters (topic.h), policy. An agent's
 * user learns of a contact when its own leg joins it; what the contact already had by then is told first, because no
 * event told it before.
 */
#ifndef CCTSIM_NOTIFY_H
#define CCTSIM_NOTIFY_H

#include <stddef.h>

void notify_init(void);
void notify_free(void);
/* An operation has done its whole work: its messages get their capabilities and are queued. */
void notify_settle(void);
/* Messages not yet settled. */
size_t notify_fresh(void);

#endif
