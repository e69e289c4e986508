/*
 * The simulator's only thread: an epoll loop with timers. Callbacks may close anything, also what the current batch of
 * events still names; memory is given back in the end-of-turn hooks.
 */
#ifndef CCTSIM_LOOP_H
#define CCTSIM_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop_io {
    int fd;
    void (*on_ready)(struct loop_io *io, uint32_t events);
};

struct loop_timer {
    uint64_t at_ms;
    size_t slot; /* place in the heap plus one; 0 = not armed */
    void (*on_timer)(struct loop_timer *timer);
};

void loop_init(void);
void loop_free(void);
/* `events` are epoll's. The io must stay until the end of the turn in which it was removed. */
void loop_add(struct loop_io *io, uint32_t events);
void loop_change(struct loop_io *io, uint32_t events);
void loop_remove(struct loop_io *io);
/* Arms or re-arms; one shot. */
void loop_timer_set(struct loop_timer *timer, uint64_t delay_ms);
void loop_timer_clear(struct loop_timer *timer);
/* Runs `hook` after every turn, in the order of registration. */
void loop_on_turn_end(void (*hook)(void));
/* Until loop_stop. */
void loop_run(void);
void loop_stop(void);
/* Monotonic milliseconds, and the wall clock in milliseconds since 1970. */
uint64_t loop_now_ms(void);
int64_t loop_wall_ms(void);

#endif
