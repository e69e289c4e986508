/*
 * What waits for a free connection: a list in order of arrival, and over the same calls a binary
 * heap by deadline, so that of 200,000 waiting calls the one that runs out first is known without a
 * search.
 */
#include "gateway/upstream/transport.h"

#include <assert.h>
#include <stdlib.h>

#include "cctgate/error.h"

static void heap_put(struct transport_queue *queue, size_t index, struct transport_call *call)
{
    queue->heap[index] = call;
    call->heap_index = index;
}

static void heap_up(struct transport_queue *queue, struct transport_call *call)
{
    size_t index = call->heap_index;

    while (index > 0) {
        struct transport_call *parent = queue->heap[(index - 1) / 2];
        if (parent->deadline_us <= call->deadline_us)
            break;
        heap_put(queue, index, parent);
        index = (index - 1) / 2;
    }
    heap_put(queue, index, call);
}

static void heap_down(struct transport_queue *queue, struct transport_call *call)
{
    size_t index = call->heap_index;

    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= queue->length)
            break;
        if (child + 1 < queue->length &&
            queue->heap[child + 1]->deadline_us < queue->heap[child]->deadline_us)
            ++child;
        if (queue->heap[child]->deadline_us >= call->deadline_us)
            break;
        heap_put(queue, index, queue->heap[child]);
        index = child;
    }
    heap_put(queue, index, call);
}

static int heap_reserve(struct transport_queue *queue)
{
    size_t capacity = queue->capacity ? queue->capacity * 2 : 64;
    struct transport_call **heap;

    if (queue->length < queue->capacity)
        return CG_OK;
    heap = reallocarray(queue->heap, capacity, sizeof(struct transport_call *));
    if (heap == NULL)
        return CG_E_NOMEM;
    queue->heap = heap;
    queue->capacity = capacity;
    return CG_OK;
}

int transport_queue_push(struct transport_queue *queue, struct transport_call *call)
{
    if (heap_reserve(queue) != CG_OK)
        return CG_E_NOMEM;
    call->next = NULL;
    call->previous = queue->last;
    if (queue->last != NULL)
        queue->last->next = call;
    else
        queue->first = call;
    queue->last = call;
    heap_put(queue, queue->length++, call);
    heap_up(queue, call);
    return CG_OK;
}

static void unlink_call(struct transport_queue *queue, struct transport_call *call)
{
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        queue->first = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    else
        queue->last = call->previous;
    call->next = call->previous = NULL;
}

static struct transport_call *take(struct transport_queue *queue, struct transport_call *call)
{
    size_t index = call->heap_index;
    struct transport_call *moved = queue->heap[--queue->length];

    assert(queue->heap[index] == call);
    unlink_call(queue, call);
    if (moved != call) {
        heap_put(queue, index, moved);
        heap_up(queue, moved);
        heap_down(queue, moved);
    }
    return call;
}

struct transport_call *transport_queue_pop(struct transport_queue *queue)
{
    return queue->first != NULL ? take(queue, queue->first) : NULL;
}

struct transport_call *transport_queue_pop_expired(struct transport_queue *queue, int64_t now_us)
{
    if (transport_queue_next_deadline(queue) > now_us || queue->length == 0)
        return NULL;
    return take(queue, queue->heap[0]);
}

int64_t transport_queue_next_deadline(const struct transport_queue *queue)
{
    return queue->length > 0 ? queue->heap[0]->deadline_us : INT64_MAX;
}

void transport_queue_release(struct transport_queue *queue)
{
    assert(queue->length == 0);
    free(queue->heap);
    *queue = (struct transport_queue){0};
}
