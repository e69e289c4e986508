/*
 * How long whoever gave wrong passwords has to wait. Pure: `now_ms` is the monotonic clock's. One entry is a user or an address; what is
 * forgotten is what has not failed for long, and, at the bound, the oldest.
 *
 * After `after` failures in a row each one makes the next attempt wait: `first_ms`, then four times as long each time, `max_ms` at most.
 */
#ifndef CCTGATE_LOCKOUT_H
#define CCTGATE_LOCKOUT_H

#include <stddef.h>
#include <stdint.h>

struct lockout;

struct lockout_terms {
    unsigned after, first_ms, max_ms;
};

struct lockout *lockout_new(size_t max_entries); /* NULL without memory */
void lockout_free(struct lockout **lockout);
/* How long from now on; 0: at once. */
int64_t lockout_wait_ms(const struct lockout *lockout, const char *key, int64_t now_ms);
/* Returns how long the next attempt has to wait; 0: it need not. */
int64_t lockout_failed(struct lockout *lockout, const char *key, const struct lockout_terms *terms,
                       int64_t now_ms);
/* It is as if it had never failed. */
void lockout_succeeded(struct lockout *lockout, const char *key);
/* One failure less, for what many share: whoever waits goes on waiting. */
void lockout_eased(struct lockout *lockout, const char *key);
/* Forgets who has not failed for twice max_ms, and a quarter of an hour at least. */
void lockout_sweep(struct lockout *lockout, const struct lockout_terms *terms, int64_t now_ms);
size_t lockout_count(const struct lockout *lockout);

#endif
