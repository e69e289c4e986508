/*
 * One NotificationMessage of a Notify, written as text without a tree: the new value stands in it as it was when the
 * event arose, the capability block is left open until message_settle, because what an operation allows is known only
 * when it has done its whole work.
 */
#ifndef CCTSIM_MESSAGE_H
#define CCTSIM_MESSAGE_H

#include "buf.h"
#include "caps.h"
#include "events.h"
#include "sessions.h"

struct message {
    TAILQ_ENTRY(message) link;
    struct subscription *subscription; /* until it is settled */
    enum event_kind kind;
    const void *object; /* whose capabilities; until it is settled */
    const struct cap_block *block;
    const char *caps_element;
    uint32_t caps;
    size_t split; /* where the capabilities stand */
    size_t len;
    char text[];
};
TAILQ_HEAD(message_list, message);

/* What one subscription sees of an event: the side from which it looks. */
struct view {
    struct subscription *subscription;
    const struct address *sending_address; /* connection states: whose leg the user has */
    const struct terminal *sending_terminal;
    const struct address *address; /* contact properties: the same */
    bool remote;
};

struct message *message_new(const struct view *view, const struct sim_event *event);
/* A system event with its record already known. */
struct message *message_new_connection_failure(struct subscription *subscription, int64_t down_ms,
                                               uint64_t total, uint64_t consecutive);
/* Computes the capabilities and lets go of the objects. */
void message_settle(struct message *message);
void message_append(struct buf *body, const struct message *message);
/* A whole envelope around what message_append writes. */
void message_open_envelope(struct buf *body);
void message_close_envelope(struct buf *body);
void message_free_scratch(void);

#endif
