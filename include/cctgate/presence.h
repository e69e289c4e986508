/*
 * Presence: what an agent is doing, in one word. The contact centre has no such state; it is derived (DOMAIN section 3.5): busy is
 * ready with a call, after-call work is not ready with one of the site's codes. A pure core.
 */
#ifndef CCTGATE_PRESENCE_H
#define CCTGATE_PRESENCE_H

#include <stddef.h>

struct presence_facts {
    int logged_in, ready;
    const char *not_ready_reason_code; /* NULL: none */
    size_t num_calls;                  /* terminal connections of the agent's terminals */
};

/* "loggedOut", "notReady", "ready", "busy" or "afterCallWork"; a constant. */
const char *presence_derive(const struct presence_facts *facts,
                            const char *const *after_call_work_codes, size_t num_codes);

#endif
