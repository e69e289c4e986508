#include "loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"

enum { EVENTS_PER_TURN = 256, HOOKS_MAX = 8 };

static struct {
    int epoll_fd;
    bool stopping;
    struct loop_timer **heap;
    size_t timer_count;
    size_t timer_cap;
    void (*hooks[HOOKS_MAX])(void);
    size_t hook_count;
} loop;

static uint64_t clock_ms(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

uint64_t loop_now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t loop_wall_ms(void)
{
    return (int64_t)clock_ms(CLOCK_REALTIME);
}

void loop_init(void)
{
    loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop.epoll_fd < 0) {
        perror("cctsim: epoll_create1");
        exit(1);
    }
}

void loop_free(void)
{
    free(loop.heap);
    loop.heap = NULL;
    loop.timer_count = loop.timer_cap = 0;
    close(loop.epoll_fd);
}

static void control(int op, struct loop_io *io, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = io};
    if (epoll_ctl(loop.epoll_fd, op, io->fd, &ev) != 0)
        perror("cctsim: epoll_ctl");
}

void loop_add(struct loop_io *io, uint32_t events)
{
    control(EPOLL_CTL_ADD, io, events);
}

void loop_change(struct loop_io *io, uint32_t events)
{
    control(EPOLL_CTL_MOD, io, events);
}

void loop_remove(struct loop_io *io)
{
    control(EPOLL_CTL_DEL, io, 0);
}

/* A binary heap on at_ms; slot numbers start at 1 so that the arithmetic of parents is the textbook's. */
static void place(struct loop_timer *timer, size_t slot)
{
    loop.heap[slot - 1] = timer;
    timer->slot = slot;
}

static void sift_up(struct loop_timer *timer, size_t slot)
{
    while (slot > 1 && loop.heap[slot / 2 - 1]->at_ms > timer->at_ms) {
        place(loop.heap[slot / 2 - 1], slot);
        slot /= 2;
    }
    place(timer, slot);
}

static void sift_down(struct loop_timer *timer, size_t slot)
{
    for (;;) {
        size_t child = slot * 2;
        if (child > loop.timer_count)
            break;
        if (child < loop.timer_count && loop.heap[child]->at_ms < loop.heap[child - 1]->at_ms)
            child++;
        if (loop.heap[child - 1]->at_ms >= timer->at_ms)
            break;
        place(loop.heap[child - 1], slot);
        slot = child;
    }
    place(timer, slot);
}

void loop_timer_clear(struct loop_timer *timer)
{
    size_t slot = timer->slot;
    if (slot == 0)
        return;
    timer->slot = 0;
    struct loop_timer *last = loop.heap[--loop.timer_count];
    if (last == timer)
        return;
    if (slot > 1 && loop.heap[slot / 2 - 1]->at_ms > last->at_ms)
        sift_up(last, slot);
    else
        sift_down(last, slot);
}

void loop_timer_set(struct loop_timer *timer, uint64_t delay_ms)
{
    loop_timer_clear(timer);
    if (loop.timer_count == loop.timer_cap) {
        loop.timer_cap = loop.timer_cap ? loop.timer_cap * 2 : 64;
        loop.heap = mem_resize(loop.heap, loop.timer_cap, sizeof(*loop.heap));
    }
    timer->at_ms = loop_now_ms() + delay_ms;
    sift_up(timer, ++loop.timer_count);
}

void loop_on_turn_end(void (*hook)(void))
{
    if (loop.hook_count < HOOKS_MAX)
        loop.hooks[loop.hook_count++] = hook;
}

static int wait_time(void)
{
    if (loop.timer_count == 0)
        return -1;
    uint64_t now = loop_now_ms();
    uint64_t at = loop.heap[0]->at_ms;
    if (at <= now)
        return 0;
    return at - now > 60000 ? 60000 : (int)(at - now);
}

static void fire_timers(void)
{
    uint64_t now = loop_now_ms();
    while (loop.timer_count > 0 && loop.heap[0]->at_ms <= now) {
        struct loop_timer *timer = loop.heap[0];
        loop_timer_clear(timer);
        timer->on_timer(timer);
    }
}

void loop_run(void)
{
    struct epoll_event events[EVENTS_PER_TURN];
    while (!loop.stopping) {
        int count = epoll_wait(loop.epoll_fd, events, EVENTS_PER_TURN, wait_time());
        for (int i = 0; i < count; i++) {
            struct loop_io *io = events[i].data.ptr;
            if (io->fd >= 0)
                io->on_ready(io, events[i].events);
        }
        fire_timers();
        for (size_t i = 0; i < loop.hook_count; i++)
            loop.hooks[i]();
    }
}

void loop_stop(void)
{
    loop.stopping = true;
}
