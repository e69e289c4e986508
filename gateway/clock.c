#include "cctgate/clock.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define STEP_MS 500
#define UNSET   INT64_MIN

static _Atomic int64_t ahead_of_boot_ms = UNSET;
static _Atomic int64_t wall_ahead_ms; /* of the steady clock, as it was last noticed */

static int64_t read_ms(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_monotonic_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

int64_t clock_unix_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

int64_t clock_steady_ahead_ms(void)
{
    int64_t ahead_ms = atomic_load_explicit(&ahead_of_boot_ms, memory_order_relaxed);

    if (ahead_ms != UNSET)
        return ahead_ms;
    int64_t fresh_ms = clock_unix_ms() - read_ms(CLOCK_BOOTTIME);
    return atomic_compare_exchange_strong(&ahead_of_boot_ms, &ahead_ms, fresh_ms) ? fresh_ms
                                                                                  : ahead_ms;
}

int64_t clock_steady_ms(void)
{
    return read_ms(CLOCK_BOOTTIME) + clock_steady_ahead_ms();
}

void clock_steady_resume(int64_t ahead_ms)
{
    atomic_store(&ahead_of_boot_ms, ahead_ms);
}

void clock_steady_not_before(int64_t steady_ms)
{
    int64_t missing_ms = steady_ms - clock_steady_ms();

    if (missing_ms > 0)
        atomic_store(&ahead_of_boot_ms, clock_steady_ahead_ms() + missing_ms);
}

/* Two clocks are never read at once: a difference that came of that would make one time look like many. */
int64_t clock_told_ms(int64_t steady_ms)
{
    int64_t known_ms = atomic_load_explicit(&wall_ahead_ms, memory_order_relaxed);
    int64_t now_ms = clock_unix_ms() - clock_steady_ms();

    if (llabs(now_ms - known_ms) >= STEP_MS) {
        known_ms = now_ms;
        atomic_store_explicit(&wall_ahead_ms, known_ms, memory_order_relaxed);
    }
    return steady_ms + known_ms;
}
