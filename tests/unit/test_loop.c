/* The owner's loop: timers in order, re-arming, disarming; messages from other threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cctgate/loop.h"

#define TIMERS 500

static struct loop loop;
static int64_t last_due;
static int fired;

static void on_due(struct timer *timer)
{
    assert_true(timer->due_ms >= last_due);
    assert_true(clock_monotonic_ms() >= timer->due_ms);
    last_due = timer->due_ms;
    ++fired;
}

static void on_end(struct timer *timer)
{
    (void)timer;
    loop_stop(&loop);
}

static void test_timers_in_order(void **state)
{
    static struct timer timers[TIMERS], end;
    unsigned seed = 7;
    int i, disarmed = 0;

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    last_due = fired = 0;
    for (i = 0; i < TIMERS; ++i) {
        timers[i].on_due = on_due;
        timer_arm(&loop, &timers[i], rand_r(&seed) % 50);
    }
    for (i = 0; i < TIMERS; i += 3) {
        timer_disarm(&loop, &timers[i]);
        assert_false(timer_is_armed(&timers[i]));
        ++disarmed;
    }
    for (i = 1; i < TIMERS; i += 3)
        timer_arm(&loop, &timers[i], rand_r(&seed) % 50); /* moves */
    end.on_due = on_end;
    timer_arm(&loop, &end, 60);
    loop_run(&loop);
    assert_int_equal(fired, TIMERS - disarmed);
    loop_release(&loop);
}

static int turns;

static void on_spin(struct timer *timer)
{
    if (++turns == 5)
        loop_stop(&loop);
    else
        timer_arm(&loop, timer, 0);
}

static void test_rearming_with_zero_ends_the_turn(void **state)
{
    struct timer timer = {0, 0, on_spin};
    (void)state;
    turns = 0;
    assert_int_equal(loop_init(&loop), 0);
    timer_arm(&loop, &timer, 0);
    loop_run(&loop);
    assert_int_equal(turns, 5);
    loop_release(&loop);
}

static int delivered;

static void on_message(struct message *message)
{
    free(message);
    if (++delivered == 3000)
        loop_stop(&loop);
}

static void *sender(void *data)
{
    int i;
    (void)data;
    for (i = 0; i < 1000; ++i) {
        struct message *message = calloc(1, sizeof(*message));
        message->on_deliver = on_message;
        mailbox_send(&loop.mailbox, message);
    }
    return NULL;
}

static void test_messages(void **state)
{
    pthread_t threads[3];
    int i;

    (void)state;
    delivered = 0;
    assert_int_equal(loop_init(&loop), 0);
    for (i = 0; i < 3; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, sender, NULL), 0);
    loop_run(&loop);
    for (i = 0; i < 3; ++i)
        pthread_join(threads[i], NULL);
    assert_int_equal(delivered, 3000);
    loop_release(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_timers_in_order),
                                       cmocka_unit_test(test_rearming_with_zero_ends_the_turn),
                                       cmocka_unit_test(test_messages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
