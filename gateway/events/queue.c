#include "gateway/events/queue.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"

#define CAPACITY_MIN  8
#define CAPACITY_KEPT 64 /* by a queue that has run empty */

void queue_init(struct queue *queue, uint32_t frames_max, size_t bytes_max)
{
    memset(queue, 0, sizeof(*queue));
    queue->frames_max = frames_max;
    queue->bytes_max = bytes_max;
}

static struct queue_entry *slot(const struct queue *queue, uint32_t index)
{
    return &queue->ring[(queue->head + index) & (queue->capacity - 1)];
}

/* Takes an entry's frame out of the books. */
static void leave(struct queue *queue, struct queue_entry *entry)
{
    if (entry->is_pulled) {
        --queue->pulled;
    } else {
        --queue->frames;
        queue->bytes -= entry->frame->length;
    }
    frame_unref(&entry->frame);
}

void queue_release(struct queue *queue)
{
    uint32_t i;
    for (i = 0; i < queue->slots; ++i)
        frame_unref(&slot(queue, i)->frame);
    free(queue->ring);
    queue->ring = NULL;
    queue->capacity = queue->slots = queue->in_flight = queue->frames = queue->pulled = 0;
    queue->bytes = 0;
}

/* Superseded slots cost nothing but room: they are closed up when there is none left. */
static void close_up(struct queue *queue)
{
    uint32_t from, to = queue->in_flight;
    for (from = to; from < queue->slots; ++from)
        if (slot(queue, from)->frame != NULL)
            *slot(queue, to++) = *slot(queue, from);
    queue->slots = to;
}

static void grow(struct queue *queue)
{
    uint32_t capacity = queue->capacity == 0 ? CAPACITY_MIN : queue->capacity * 2, i;
    struct queue_entry *ring = calloc(capacity, sizeof(*ring));

    if (ring == NULL)
        abort();
    for (i = 0; i < queue->slots; ++i)
        ring[i] = *slot(queue, i);
    free(queue->ring);
    queue->ring = ring;
    queue->capacity = capacity;
    queue->head = 0;
}

static void append(struct queue *queue, struct frame *frame, uint32_t coalesced, int is_pulled)
{
    if (queue->slots == queue->capacity && queue->frames + queue->pulled < queue->slots)
        close_up(queue);
    if (queue->slots == queue->capacity)
        grow(queue);
    *slot(queue, queue->slots++) =
        (struct queue_entry){frame_ref(frame), coalesced, (uint32_t)is_pulled};
    if (is_pulled) {
        ++queue->pulled;
    } else {
        ++queue->frames;
        queue->bytes += frame->length;
    }
}

/* How many older ones the frame takes the place of, counting those that they stood for. */
static uint32_t supersede(struct queue *queue, const struct frame *frame)
{
    uint32_t i, count = 0;

    for (i = queue->in_flight; i < queue->slots; ++i) {
        struct queue_entry *entry = slot(queue, i);
        if (entry->frame != NULL && !entry->is_pulled && frame_supersedes(frame, entry->frame)) {
            count += 1 + entry->coalesced;
            leave(queue, entry);
        }
    }
    return count;
}

static int is_half_full(const struct queue *queue)
{
    return queue->frames >= queue->frames_max - queue->frames_max / 2 ||
           queue->bytes >= queue->bytes_max - queue->bytes_max / 2;
}

int queue_push(struct queue *queue, struct frame *frame)
{
    uint32_t coalesced = 0;

    if (frame_is_pong(frame)) {
        supersede(queue, frame);
    } else if (frame->key != 0 && is_half_full(queue)) {
        coalesced = supersede(queue, frame);
        queue->coalesced += coalesced;
    }
    if (queue->frames > 0 &&
        (queue->frames >= queue->frames_max || queue->bytes + frame->length > queue->bytes_max))
        return CG_E_BUSY;
    append(queue, frame, coalesced, 0);
    return CG_OK;
}

void queue_push_pulled(struct queue *queue, struct frame *frame)
{
    append(queue, frame, 0, 1);
}

/* A frame that stands for others says so: it is built anew, now that no more will join. */
static void tell_coalesced(struct queue *queue, struct queue_entry *entry, uint64_t epoch)
{
    struct frame *frame =
        frame_event(entry->frame->label, entry->frame->event, entry->coalesced, epoch);
    queue->bytes += frame->length - entry->frame->length;
    frame_unref(&entry->frame);
    entry->frame = frame;
}

size_t queue_take(struct queue *queue, struct iovec *vectors, size_t vectors_max, size_t bytes_max,
                  uint64_t epoch)
{
    size_t count = 0, bytes = 0;

    if (queue->in_flight > 0)
        return 0;
    while (queue->in_flight < queue->slots && count < vectors_max) {
        struct queue_entry *entry = slot(queue, queue->in_flight);
        if (entry->frame != NULL) {
            if (entry->coalesced > 0 && entry->frame->event != NULL)
                tell_coalesced(queue, entry, epoch);
            if (count > 0 && bytes + entry->frame->length > bytes_max)
                break;
            entry->coalesced = 0; /* told */
            vectors[count++] = (struct iovec){entry->frame->bytes, entry->frame->length};
            bytes += entry->frame->length;
        }
        ++queue->in_flight;
    }
    if (count == 0)
        queue_written(queue); /* nothing but superseded slots */
    return count;
}

void queue_written(struct queue *queue)
{
    for (; queue->in_flight > 0; --queue->in_flight) {
        struct queue_entry *entry = slot(queue, 0);
        if (entry->frame != NULL)
            leave(queue, entry);
        queue->head = (queue->head + 1) & (queue->capacity - 1);
        --queue->slots;
        ++queue->passed;
    }
    if (queue->slots == 0 && queue->capacity > CAPACITY_KEPT) {
        free(queue->ring);
        queue->ring = NULL;
        queue->capacity = queue->head = 0;
    }
}

void queue_drop(struct queue *queue)
{
    while (queue->slots > queue->in_flight) {
        struct queue_entry *entry = slot(queue, --queue->slots);
        if (entry->frame != NULL)
            leave(queue, entry);
    }
}

int queue_is_idle(const struct queue *queue)
{
    return queue->frames == 0 && queue->pulled == 0;
}
