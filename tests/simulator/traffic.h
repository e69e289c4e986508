/* A working floor, one random step at a time: calls, transfers, conferences, readiness, data, settings. Seeded. */
#ifndef CCTSIM_TRAFFIC_H
#define CCTSIM_TRAFFIC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Also sets the counts of traffic_json to zero. */
void traffic_begin(uint64_t seed, bool everything);
void traffic_step(void);
/* How often each action was done. */
json_t *traffic_json(void);

#endif
