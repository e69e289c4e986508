/*
 * Makes things happen by itself: a burst is a number of events of a simple kind at a rate, traffic is a number of random
 * steps of a working floor (traffic.h). Both pause while a consumer's queue is half full, so that nothing overflows.
 */
#ifndef CCTSIM_LOAD_H
#define CCTSIM_LOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct load;
extern struct load load_burst, load_traffic;

struct load_order {
    uint64_t amount;     /* events of a burst, steps of traffic */
    uint64_t per_second; /* 0 = as fast as it goes */
    uint64_t seed;       /* of traffic */
    const char *
        kind; /* of a burst: "ready", "calls" or "mixed"; of traffic: "everything" adds what is rare */
};

/* Replaces what it was doing. False when the kind is unknown. */
bool load_start(struct load *load, const struct load_order *order);
/* Stops both. */
void load_stop(void);
/* {"running", "done", "amount", "events", "quiet", ...}; quiet: nothing runs, and every notification is out. */
json_t *load_json(const struct load *load);

#endif
