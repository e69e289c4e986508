/*
 * How often a token may ask: the generic cell rate algorithm, a token bucket that needs one number, the time at which the bucket is
 * full again. The number is an atomic word, so that all front threads share it without a lock. A bucket belongs to the
 * digest of a token, holds as many requests as there may be in a second, and outlives a reload. Never reads the clock.
 */
#ifndef CCTGATE_REST_RATE_H
#define CCTGATE_REST_RATE_H

#include <stdint.h>

struct rates;

struct rate_verdict {
    int is_over;        /* the request is one too many, and was not counted */
    unsigned remaining; /* requests that might follow at once */
    unsigned full_s;    /* until the bucket is full, rounded up */
    unsigned retry_ms;  /* is_over: until a request is free */
};

struct rates *rates_new(void);
void rates_free(struct rates **rates);
/* Takes one request out of the bucket; any thread. `per_second` is at least 1; `now_ms` is monotonic. */
struct rate_verdict rate_take(struct rates *rates, const uint8_t token_sha256[32],
                              unsigned per_second, int64_t now_ms);

#endif
