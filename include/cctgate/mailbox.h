/*
 * How one thread tells another something: an unbounded, intrusive, first-in first-out list, many senders, one receiver.
 *
 * The sender gives a message away; the receiver takes the whole list at once, outside the lock, and calls each message's
 * `on_deliver`, which owns the message from then on. What bounds the number of messages is the bound on what they stand
 * for (requests, calls, connections), so sending never fails.
 */
#ifndef CCTGATE_MAILBOX_H
#define CCTGATE_MAILBOX_H

#include <pthread.h>

struct message {
    struct message *next;
    void (*on_deliver)(
        struct message *message); /* runs on the receiver's thread; owns the message */
};

struct mailbox {
    pthread_mutex_t mutex;
    struct message *first, **last;
    void (*wake)(
        void *
            wake_data); /* called, outside the lock, when the list stops being empty; must be callable from any thread */
    void *wake_data;
};

void mailbox_init(struct mailbox *mailbox, void (*wake)(void *), void *wake_data);
/* Messages that are still in it are the caller's business. */
void mailbox_release(struct mailbox *mailbox);

/* Any thread. */
void mailbox_send(struct mailbox *mailbox, struct message *message);

/* Receiver's thread: delivers everything that was in the box when the call began; returns how many that were. */
unsigned mailbox_deliver(struct mailbox *mailbox);

#endif
