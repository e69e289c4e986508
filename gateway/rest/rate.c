#include "gateway/rest/rate.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS  65536 /* far more than there are tokens that ask in one second */
#define PROBES 8
#define SECOND UINT64_C(1000000000)

/* Of a bucket that is full nothing need be remembered: its slot is free for another token. */
struct slot {
    _Atomic uint64_t key, full_at; /* ns */
};

struct rates {
    struct slot slots[SLOTS];
};

struct rates *rates_new(void)
{
    struct rates *rates = calloc(1, sizeof(*rates));
    if (rates == NULL)
        abort();
    return rates;
}

void rates_free(struct rates **rates)
{
    free(*rates);
    *rates = NULL;
}

/* 1: the slot is the key's now, or was already. `was`: what it was taken to hold. */
static int claim(struct slot *slot, uint64_t was, uint64_t key)
{
    return atomic_compare_exchange_strong(&slot->key, &was, key) || was == key;
}

static struct slot *find(struct rates *rates, uint64_t key, uint64_t now)
{
    struct slot *slot;
    unsigned i;

    for (i = 0; i < PROBES; ++i) {
        slot = &rates->slots[(key + i) % SLOTS];
        if (atomic_load_explicit(&slot->key, memory_order_relaxed) == key)
            return slot;
    }
    for (i = 0; i < PROBES; ++i) {
        uint64_t was;
        slot = &rates->slots[(key + i) % SLOTS];
        was = atomic_load_explicit(&slot->key, memory_order_relaxed);
        if (atomic_load_explicit(&slot->full_at, memory_order_relaxed) <= now &&
            claim(slot, was, key))
            return slot;
    }
    return &rates->slots[key % SLOTS]; /* shared: rather too strict than without bound */
}

static unsigned in_seconds(uint64_t ns)
{
    return (unsigned)((ns + SECOND - 1) / SECOND);
}

struct rate_verdict rate_take(struct rates *rates, const uint8_t token_sha256[32],
                              unsigned per_second, int64_t now_ms)
{
    struct rate_verdict verdict = {0, 0, 0, 0};
    uint64_t now = (uint64_t)now_ms * 1000000, one = SECOND / per_second, whole = one * per_second,
             key, full_at, next;
    struct slot *slot;

    memcpy(&key, token_sha256, sizeof(key));
    slot = find(rates, key | 1, now);
    full_at = atomic_load_explicit(&slot->full_at, memory_order_relaxed);
    do {
        next = (full_at > now ? full_at : now) + one;
        if (next > now + whole) {
            verdict.is_over = 1;
            verdict.full_s = in_seconds(full_at - now);
            verdict.retry_ms = (unsigned)((next - now - whole) / 1000000 + 1);
            return verdict;
        }
    } while (!atomic_compare_exchange_weak_explicit(&slot->full_at, &full_at, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    verdict.remaining = (unsigned)((now + whole - next) / one);
    verdict.full_s = in_seconds(next - now);
    return verdict;
}
