/*
 * The way to one subscription's consumer. Messages wait in order; as many as a batch takes go out in one post, and with
 * one post at a time (mischief apart) the order is kept. Nothing is sent twice: what a failed post carried is lost and
 * counted, and the first post that gets through again is followed by a CONNECTION_FAILURE notice if the policy wants it.
 * A channel outlives its subscription until what was queued is out.
 */
#ifndef CCTSIM_CHANNEL_H
#define CCTSIM_CHANNEL_H

#include "message.h"

struct channel;

struct channel_counts {
    uint64_t posts, failed_posts;
    uint64_t delivered, failed; /* messages */
    uint64_t overflowed;        /* messages that found the queue full */
    uint64_t dropped, duplicated, reordered, muted;
};

/* NULL when the consumer's URL cannot be posted to. */
struct channel *channel_new(struct subscription *subscription);
/* The subscription ended: the queue is still sent out, or with `discard` thrown away. */
void channel_leave(struct channel *channel, bool discard);
/* Takes the message, which must be settled. */
void channel_put(struct channel *channel, struct message *message);
const struct channel_counts *channel_counts(const struct channel *channel);
size_t channel_queued(const struct channel *channel);
size_t channel_in_flight(const struct channel *channel);

/* Of all channels since the last reset, and what they have in hand now. */
extern struct channel_counts channel_totals;
void channels_reset_totals(void);
size_t channels_queued(void);
size_t channels_in_flight(void);
size_t channels_longest_queue(void);
/* Starts what can be started and frees what is done; a hook of the loop. */
void channels_run(void);
void channels_free(void);

#endif
