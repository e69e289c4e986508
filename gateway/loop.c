#include "cctgate/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cctgate/error.h"

static void wake(void *data)
{
    struct loop *loop = data;
    uint64_t one = 1;
    ssize_t written;
    do
        written = write(loop->wake_fd, &one, sizeof(one));
    while (written < 0 && errno == EINTR);
}

int loop_init(struct loop *loop)
{
    memset(loop, 0, sizeof(*loop));
    if ((loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return CG_E_IO;
    mailbox_init(&loop->mailbox, wake, loop);
    loop->now_ms = clock_monotonic_ms();
    return CG_OK;
}

void loop_release(struct loop *loop)
{
    mailbox_release(&loop->mailbox);
    close(loop->wake_fd);
    free(loop->heap);
    memset(loop, 0, sizeof(*loop));
}

/* ---- a binary heap, 1-based, of timers by due time ---- */

static void place(struct loop *loop, struct timer *timer, size_t index)
{
    loop->heap[index] = timer;
    timer->index = index;
}

static void sift_up(struct loop *loop, struct timer *timer, size_t index)
{
    while (index > 1 && loop->heap[index / 2]->due_ms > timer->due_ms) {
        place(loop, loop->heap[index / 2], index);
        index /= 2;
    }
    place(loop, timer, index);
}

static void sift_down(struct loop *loop, struct timer *timer, size_t index)
{
    size_t child;
    while ((child = index * 2) <= loop->num_timers) {
        if (child < loop->num_timers && loop->heap[child + 1]->due_ms < loop->heap[child]->due_ms)
            ++child;
        if (loop->heap[child]->due_ms >= timer->due_ms)
            break;
        place(loop, loop->heap[child], index);
        index = child;
    }
    place(loop, timer, index);
}

static void reserve(struct loop *loop)
{
    struct timer **heap;
    size_t capacity = loop->capacity ? loop->capacity * 2 : 64;

    if (loop->num_timers + 2 <= loop->capacity)
        return;
    if ((heap = reallocarray(loop->heap, capacity, sizeof(*heap))) == NULL)
        abort();
    loop->heap = heap;
    loop->capacity = capacity;
}

void timer_arm(struct loop *loop, struct timer *timer, int64_t delay_ms)
{
    timer_disarm(loop, timer);
    reserve(loop);
    timer->due_ms = clock_monotonic_ms() + (delay_ms > 0 ? delay_ms : 0);
    sift_up(loop, timer, ++loop->num_timers);
}

void timer_disarm(struct loop *loop, struct timer *timer)
{
    size_t index = timer->index;
    struct timer *last;

    if (index == 0)
        return;
    timer->index = 0;
    last = loop->heap[loop->num_timers--];
    if (last == timer)
        return;
    if (index > 1 && loop->heap[index / 2]->due_ms > last->due_ms)
        sift_up(loop, last, index);
    else
        sift_down(loop, last, index);
}

int timer_is_armed(const struct timer *timer)
{
    return timer->index != 0;
}

/* Timers that become due while others run wait for the next turn, so a timer that re-arms itself with 0 ms cannot spin here. */
static void run_due(struct loop *loop)
{
    int64_t now = loop->now_ms;
    while (loop->num_timers > 0 && loop->heap[1]->due_ms <= now && !loop->stopping) {
        struct timer *timer = loop->heap[1];
        timer_disarm(loop, timer);
        timer->on_due(timer);
        if (loop->num_timers > 0 && loop->heap[1] == timer)
            break;
    }
}

static int poll_ms(const struct loop *loop)
{
    int64_t wait;
    if (loop->num_timers == 0)
        return -1;
    wait = loop->heap[1]->due_ms - clock_monotonic_ms();
    return wait < 0 ? 0 : wait > 60000 ? 60000 : (int)wait;
}

void loop_run(struct loop *loop)
{
    while (!loop->stopping) {
        struct pollfd fd = {loop->wake_fd, POLLIN, 0};
        uint64_t count;

        if (poll(&fd, 1, poll_ms(loop)) > 0 && read(loop->wake_fd, &count, sizeof(count)) < 0 &&
            errno != EAGAIN)
            abort();
        loop->now_ms = clock_monotonic_ms();
        mailbox_deliver(&loop->mailbox);
        run_due(loop);
    }
}

void loop_stop(struct loop *loop)
{
    loop->stopping = 1;
}
