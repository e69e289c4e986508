/*
 * Three clocks. Any thread.
 *
 * clock_monotonic_ms: for what begins and ends in this process: timers, leases, limits.
 *
 * clock_steady_ms: for what is written down, to be compared by a later process: when a record was fetched and expires, when a lease, a
 * bearer or a key ends. It is Unix time as the wall clock had it when the data directory was first used under this kernel, and
 * goes on from there whatever is done to the wall clock, also from one process to the next (the lock file keeps how far it is ahead
 * of the time since boot). Under another kernel it begins again at the wall clock's time, but never before the last
 * that is known to have been.
 *
 * clock_unix_ms: the wall clock. It steps, so that nothing but what is told to others is taken from it, and what others tell us by
 * theirs: times of events, `exp` and `nbf` of a JWT.
 */
#ifndef CCTGATE_CLOCK_H
#define CCTGATE_CLOCK_H

#include <stdint.h>

int64_t clock_monotonic_ms(void);
int64_t clock_steady_ms(void);
int64_t clock_unix_ms(void);

/* A steady time as Unix time for others, by the wall clock as it is now. Steps below half a second are none. */
int64_t clock_told_ms(int64_t steady_ms);

/* How far the steady clock is ahead of the time since boot. */
int64_t clock_steady_ahead_ms(void);
/* At start, before anybody has asked: as an earlier process under this kernel had it. */
void clock_steady_resume(int64_t ahead_ms);
/* At start: it is not before this. */
void clock_steady_not_before(int64_t steady_ms);

#endif
