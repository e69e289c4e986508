/* What is done wrong to notifications on purpose: lost, doubled, swapped, late, never sent. Seeded, so repeatable. */
#ifndef CCTSIM_MISCHIEF_H
#define CCTSIM_MISCHIEF_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "events.h"

enum { PARALLEL_MAX = 16 };

enum misdeed { MISDEED_NONE, MISDEED_DROP, MISDEED_DUPLICATE, MISDEED_REORDER, MISDEED_KINDS };

void mischief_init(uint64_t seed);
/* Takes the keys that are there; false with `*why` when one is wrong, and nothing is changed. */
bool mischief_set(json_t *body, const char **why);
void mischief_clear(void);
json_t *mischief_json(void);

/* What happens to the next message of that kind to that user. */
enum misdeed mischief_next(const char *user, enum event_kind kind);
bool mischief_muted(const char *user);
uint64_t mischief_delay_ms(void);
unsigned mischief_batch_max(void);
unsigned mischief_parallel(void);

#endif
