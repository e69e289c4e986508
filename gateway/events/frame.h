/*
 * Frames: bytes that are ready for the wire. One is built for each (event, subscription id) and shared by all clients of a front
 * that use the id; it is counted, and belongs to one thread.
 *
 * A label is the id of a subscription as clients chose it, known once per front. What is the same for every client of a batch of
 * events hangs on it.
 */
#ifndef CCTGATE_EVENTS_FRAME_H
#define CCTGATE_EVENTS_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "cctgate/event.h"

enum label_kind {
    LABEL_WEBSOCKET, /* {"op":"event","id":<id>,"event":...} */
    LABEL_SSE,       /* id:, event:, data: */
    LABEL_SSE_NO_ID /* the same without id:, while a client that comes back could not go on there */
};

struct label {
    struct label_table *table;
    struct label *next; /* of a hash chain */
    unsigned references;
    enum label_kind kind;
    uint64_t hash;
    uint64_t batch; /* which batch `frames` are of */
    struct frame **frames;
    size_t num_frames, capacity;
    size_t id_length;
    char id[]; /* a JSON string with its quotes */
};

struct frame {
    unsigned references;
    size_t length;
    uint64_t key;        /* what newer frames may take the place of this one; 0: none may */
    struct event *event; /* for frames with a key; one reference */
    struct label *label; /* for frames with a key; one reference */
    char bytes[];
};

#define FRAME_TEXT  0x1
#define FRAME_CLOSE 0x8
#define FRAME_PING  0x9
#define FRAME_PONG  0xa

/* All functions abort without memory: what they need is bounded by the queue that it goes into. */
struct frame *frame_ref(struct frame *frame);
void frame_unref(struct frame **frame);

/* A WebSocket frame, RFC 6455 section 5.2: final, not masked. */
struct frame *frame_websocket(unsigned opcode, const char *payload, size_t length);
/* Bytes as they are. */
struct frame *frame_bytes(const char *bytes, size_t length);
/* A pong that has not left gives way to a newer one (RFC 6455 section 5.5.3). */
struct frame *frame_pong(const char *payload, size_t length);
/*
 * A message for a client of the kind: {"op":<name>,...}, or event: <name> with an id: when it is not NULL. `json` is an object.
 */
struct frame *frame_message(enum label_kind kind, const char *name, const char *id,
                            const char *json, size_t length);

/* `coalesced`: how many older ones it stands for; told in the message when it is not 0. */
struct frame *frame_event(struct label *label, struct event *event, unsigned coalesced,
                          uint64_t epoch);

/* Does the newer one make the older one superfluous? */
int frame_supersedes(const struct frame *newer, const struct frame *older);
/* Does it always, not only when there is no room? */
int frame_is_pong(const struct frame *frame);

#endif
