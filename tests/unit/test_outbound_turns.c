#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cctgate/error.h"
#include "gateway/outbound/client_private.h"

#define INTERVAL_MS 30
#define TURNS       4

struct fixture {
    struct loop loop;
    struct config config;
    struct outbound outbound;
    struct taker {
        struct outbound_turn turn;
        struct fixture *fixture;
        int64_t at_ms;
        int order;
    } takers[TURNS];
    int taken, stop_after, keep;
};

static void on_turn(struct outbound_turn *turn)
{
    struct taker *taker = (struct taker *)turn;
    struct fixture *fixture = taker->fixture;

    assert_int_equal(turn->state, TURN_TAKEN);
    taker->at_ms = clock_monotonic_ms();
    taker->order = ++fixture->taken;
    if (!fixture->keep)
        outbound_turn_end(&fixture->outbound, turn);
    if (fixture->taken == fixture->stop_after)
        loop_stop(&fixture->loop);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    int i;

    assert_int_equal(loop_init(&fixture->loop), CG_OK);
    fixture->config.outbound.interval_ms = INTERVAL_MS;
    fixture->outbound.loop = &fixture->loop;
    fixture->outbound.config = &fixture->config;
    fixture->stop_after = TURNS;
    outbound_turns_init(&fixture->outbound);
    for (i = 0; i < TURNS; ++i) {
        fixture->takers[i].fixture = fixture;
        fixture->takers[i].turn.on_turn = on_turn;
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    timer_disarm(&fixture->loop, &fixture->outbound.turns.timer);
    loop_release(&fixture->loop);
    free(fixture);
    return 0;
}

static void ask_all(struct fixture *fixture)
{
    int i;
    for (i = 0; i < TURNS; ++i)
        outbound_turn_ask(&fixture->outbound, &fixture->takers[i].turn);
}

/* First come, first served, an interval apart; the first waits for one, too: nobody knows what was called before. */
static void test_in_order_and_apart(void **state)
{
    struct fixture *fixture = *state;
    int64_t before = fixture->outbound.turns.last_ms;
    int i;

    ask_all(fixture);
    assert_int_equal(fixture->outbound.turns.waiting, TURNS);
    assert_int_equal(fixture->taken, 0); /* never from within */
    loop_run(&fixture->loop);
    for (i = 0; i < TURNS; ++i) {
        assert_int_equal(fixture->takers[i].order, i + 1);
        assert_true(fixture->takers[i].at_ms - before >= INTERVAL_MS);
        assert_int_equal(fixture->takers[i].turn.state, TURN_NONE);
        before = fixture->takers[i].at_ms;
    }
    assert_int_equal(fixture->outbound.turns.waiting, 0);
}

/* Who goes makes no gap in the line. */
static void test_given_up(void **state)
{
    struct fixture *fixture = *state;

    ask_all(fixture);
    outbound_turn_end(&fixture->outbound, &fixture->takers[3].turn);
    outbound_turn_end(&fixture->outbound, &fixture->takers[1].turn);
    outbound_turn_end(&fixture->outbound, &fixture->takers[1].turn); /* it has none: nothing */
    assert_int_equal(fixture->outbound.turns.waiting, 2);
    fixture->stop_after = 2;
    loop_run(&fixture->loop);
    assert_int_equal(fixture->takers[0].order, 1);
    assert_int_equal(fixture->takers[2].order, 2);
    outbound_turn_ask(&fixture->outbound, &fixture->takers[3].turn);
    assert_int_equal(fixture->outbound.turns.waiting, 1);
    outbound_turn_end(&fixture->outbound, &fixture->takers[3].turn);
}

/* As long as one has it, nobody else gets one; the interval begins when it ends. */
static void test_kept(void **state)
{
    struct fixture *fixture = *state;
    int64_t ended_ms;

    fixture->keep = 1;
    fixture->stop_after = 1;
    ask_all(fixture);
    loop_run(&fixture->loop);
    assert_int_equal(fixture->taken, 1);
    assert_false(timer_is_armed(&fixture->outbound.turns.timer));
    outbound_turn_end(&fixture->outbound, &fixture->takers[0].turn);
    ended_ms = fixture->outbound.turns.last_ms;
    fixture->loop.stopping = 0;
    fixture->stop_after = 2;
    loop_run(&fixture->loop);
    assert_true(fixture->takers[1].at_ms - ended_ms >= INTERVAL_MS);
    fixture->keep = 0;
    outbound_turn_end(&fixture->outbound, &fixture->takers[1].turn);
    outbound_turns_drain(&fixture->outbound);
}

static void test_drained(void **state)
{
    struct fixture *fixture = *state;

    fixture->keep = 1;
    ask_all(fixture);
    outbound_turns_drain(&fixture->outbound);
    assert_int_equal(fixture->taken, TURNS);
    assert_int_equal(fixture->outbound.turns.waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_order_and_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drained, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
