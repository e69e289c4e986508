/*
 * Append and close: one call at a time, and an interval between the end of one and the beginning of the next. That is more than the
 * contact centre asks for, since it counts from the moment that it took a call; whatever lies on the way, two calls never come to it
 * closer than that. A process begins with an interval: the one before may have called just now.
 */
#include <stdlib.h>

#include "gateway/outbound/client_private.h"

#define CLOCKS_MS 5 /* theirs may be a little slower */

static void next(struct outbound *outbound)
{
    struct turns *turns = &outbound->turns;
    int64_t due = turns->last_ms + outbound->config->outbound.interval_ms + CLOCKS_MS;
    int64_t now = clock_monotonic_ms();

    if (outbound->state >= LOGIN_LEAVING)
        due = now; /* nothing is called any more: they only have to be told so */
    if (turns->first == NULL || turns->taken != NULL)
        timer_disarm(outbound->loop, &turns->timer);
    else
        timer_arm(outbound->loop, &turns->timer, due > now ? due - now : 0);
}

static void grant(struct turns *turns)
{
    struct outbound_turn *turn = turns->first;

    if ((turns->first = turn->next) == NULL)
        turns->end = &turns->first;
    --turns->waiting;
    ++turns->total;
    turns->taken = turn;
    turn->next = NULL;
    turn->state = TURN_TAKEN;
    turn->on_turn(turn);
}

static void on_due(struct timer *timer)
{
    struct turns *turns =
        &((struct outbound *)((char *)timer - offsetof(struct outbound, turns.timer)))->turns;

    if (turns->first != NULL && turns->taken == NULL)
        grant(turns);
}

void outbound_turns_drain(struct outbound *outbound)
{
    while (outbound->turns.first != NULL)
        grant(&outbound->turns);
}

void outbound_turns_init(struct outbound *outbound)
{
    struct turns *turns = &outbound->turns;

    turns->end = &turns->first;
    turns->last_ms = clock_monotonic_ms();
    turns->timer.on_due = on_due;
}

void outbound_turn_ask(struct outbound *outbound, struct outbound_turn *turn)
{
    struct turns *turns = &outbound->turns;

    if (turn->state != TURN_NONE)
        abort();
    turn->next = NULL;
    turn->state = TURN_WAITS;
    *turns->end = turn;
    turns->end = &turn->next;
    ++turns->waiting;
    next(outbound);
}

void outbound_turn_end(struct outbound *outbound, struct outbound_turn *turn)
{
    struct turns *turns = &outbound->turns;
    struct outbound_turn **at = &turns->first;

    if (turn->state == TURN_TAKEN) {
        if (turns->taken == turn)
            turns->taken = NULL;
        turns->last_ms = clock_monotonic_ms();
    } else if (turn->state == TURN_WAITS) {
        while (*at != turn)
            at = &(*at)->next;
        if ((*at = turn->next) == NULL)
            turns->end = at;
        --turns->waiting;
    }
    turn->state = TURN_NONE;
    next(outbound);
}
