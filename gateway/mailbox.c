#include "cctgate/mailbox.h"

#include <assert.h>
#include <stddef.h>

void mailbox_init(struct mailbox *mailbox, void (*wake)(void *), void *wake_data)
{
    int rc = pthread_mutex_init(&mailbox->mutex, NULL);
    assert(rc == 0); /* a default mutex needs nothing that could run out */
    (void)rc;
    mailbox->first = NULL;
    mailbox->last = &mailbox->first;
    mailbox->wake = wake;
    mailbox->wake_data = wake_data;
}

void mailbox_release(struct mailbox *mailbox)
{
    pthread_mutex_destroy(&mailbox->mutex);
    mailbox->first = NULL;
    mailbox->last = NULL;
}

void mailbox_send(struct mailbox *mailbox, struct message *message)
{
    int was_empty;

    assert(message->on_deliver != NULL);
    message->next = NULL;
    pthread_mutex_lock(&mailbox->mutex);
    was_empty = mailbox->first == NULL;
    *mailbox->last = message;
    mailbox->last = &message->next;
    pthread_mutex_unlock(&mailbox->mutex);
    if (was_empty && mailbox->wake != NULL)
        mailbox->wake(mailbox->wake_data);
}

static struct message *take_all(struct mailbox *mailbox)
{
    struct message *first;

    pthread_mutex_lock(&mailbox->mutex);
    first = mailbox->first;
    mailbox->first = NULL;
    mailbox->last = &mailbox->first;
    pthread_mutex_unlock(&mailbox->mutex);
    return first;
}

unsigned mailbox_deliver(struct mailbox *mailbox)
{
    struct message *message = take_all(mailbox);
    unsigned count = 0;

    while (message != NULL) {
        struct message *next = message->next; /* on_deliver may free the message, or send it on */
        message->next = NULL;
        message->on_deliver(message);
        message = next;
        ++count;
    }
    return count;
}
