/*
 * What is on its way to the journal: a mapped file that a killed process leaves as it was, without waiting for a disk. It bridges the time
 * between the contact centre's answer and the durable commit; it is no substitute for that, since a power cut loses it. Owner's thread.
 */
#ifndef CCTGATE_UPSTREAM_SESSION_SLOTS_H
#define CCTGATE_UPSTREAM_SESSION_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#define SLOTS_FILE "session.slots"
#define SLOTS      256
#define SLOT_BYTES 1024 /* what does not fit waits for the disk alone */

struct slots;

/* NULL: no room, or a file that is refused (logged); everything below takes that. */
struct slots *slots_open(const char *directory);
void slots_close(struct slots **slots);
/* Nothing when it does not fit or all are taken. */
void slots_put(struct slots *slots, const void *key, size_t key_length, const void *value,
               size_t length);
void slots_drop(struct slots *slots, const void *key, size_t key_length);
/* What the process before has left; a slot that it was just writing may hold anything. */
void slots_walk(const struct slots *slots,
                void (*on_row)(void *data, const void *key, size_t key_length, const void *value,
                               size_t length),
                void *data);

#endif
