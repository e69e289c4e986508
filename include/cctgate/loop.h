/*
 * The owner's event loop: a mailbox and timers on the monotonic clock, nothing else. (Front threads run h2o's own loop;
 * its timers come one list per duration, which is why the owner does not use it.)
 */
#ifndef CCTGATE_LOOP_H
#define CCTGATE_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "cctgate/clock.h"
#include "cctgate/mailbox.h"

struct timer {
    int64_t due_ms;
    size_t index; /* place in the heap, from 1; 0: not armed */
    void (*on_due)(struct timer *timer);
};

struct loop {
    struct mailbox mailbox; /* anybody may send */
    int wake_fd;
    int stopping;
    int64_t now_ms; /* monotonic, as of the current turn */
    struct timer **heap;
    size_t num_timers, capacity;
};

/* CG_OK, CG_E_IO (no descriptor left), CG_E_NOMEM. */
int loop_init(struct loop *loop);
void loop_release(struct loop *loop);

/* Runs until loop_stop; loop's thread. */
void loop_run(struct loop *loop);
/* Ends loop_run after the current turn; loop's thread (others send a message that calls it). */
void loop_stop(struct loop *loop);

/* (Re)arms: on_due runs once, on the loop's thread, not before `delay_ms` from now. Aborts without memory: timers are few and bounded. */
void timer_arm(struct loop *loop, struct timer *timer, int64_t delay_ms);
void timer_disarm(struct loop *loop, struct timer *timer);
int timer_is_armed(const struct timer *timer);

#endif
