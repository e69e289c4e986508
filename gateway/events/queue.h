/*
 * What a client is still to be sent: a bounded ring of references to frames. A pure core.
 *
 * Up to half full it takes what comes. From there on a property event takes the place of older ones of the same subscription, subject and
 * property that have not begun to leave: the older ones are taken out and the newer one goes to the end, so the order stays that of
 * the log; it tells how many it stands for. State events are never touched. When a frame does not fit, the client is lost
 * (CG_E_BUSY): what the queue holds cannot be told any more without a hole.
 *
 * What is pulled (snapshots, replay) is read from the store when the client has taken what was pulled before. It is bounded by whoever
 * pulls, and does not count here.
 */
#ifndef CCTGATE_EVENTS_QUEUE_H
#define CCTGATE_EVENTS_QUEUE_H

#include <sys/uio.h>

#include "gateway/events/frame.h"

struct queue_entry {
    struct frame *frame; /* NULL: superseded */
    uint32_t coalesced;
    uint32_t is_pulled;
};

struct queue {
    struct queue_entry *ring; /* NULL while nothing was ever queued */
    uint32_t capacity, head;  /* capacity is a power of 2 */
    uint32_t slots;           /* from head on, with the superseded ones */
    uint32_t in_flight;       /* of these, the ones that are being written */
    uint32_t frames, pulled;  /* in the slots; `pulled` are apart */
    size_t bytes;             /* of `frames` */
    uint32_t frames_max;
    size_t bytes_max;
    uint64_t coalesced; /* since the beginning */
    uint64_t passed;    /* slots that have left, since the beginning */
};

void queue_init(struct queue *queue, uint32_t frames_max, size_t bytes_max);
void queue_release(struct queue *queue);

/* Takes a reference of its own. CG_OK or CG_E_BUSY. A queue that is empty takes any frame. */
int queue_push(struct queue *queue, struct frame *frame);
void queue_push_pulled(struct queue *queue, struct frame *frame);

/*
 * Marks what is to be written next and lists it: at most `vectors_max` vectors and `bytes_max` bytes, one frame at least. Returns how many;
 * 0: there is nothing, or something is being written already. The bytes stay where they are until queue_written.
 */
size_t queue_take(struct queue *queue, struct iovec *vectors, size_t vectors_max, size_t bytes_max,
                  uint64_t epoch);
/* What was taken has left. */
void queue_written(struct queue *queue);
/* Forgets what has not begun to leave. */
void queue_drop(struct queue *queue);

/* 1: nothing is left to be taken */
int queue_is_idle(const struct queue *queue);

#endif
