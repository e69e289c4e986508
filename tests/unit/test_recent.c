/* What sessions tell of one object is merged by position: the n-th change one tells is the n-th that another does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/model/live.h"

enum { A = 1, B = 2, C = 3 };
enum { NONE, IDLE, RINGING, ACTIVE, HELD };
#define LEG UINT64_C(4711)

static enum telling tell_as(struct live *live, struct change change, struct recent *recent)
{
    struct pending_event event = {0};
    enum telling telling;

    if (change.hash == 0)
        change.hash = change.previous * 100 + change.state;
    telling = recent_check(live, &change, recent);
    if (telling == TELLING_NEWS)
        recent_add(live, &change, &event);
    return telling;
}

static enum telling tell(struct live *live, uint32_t user, uint64_t previous, uint64_t state,
                         int64_t time_ms)
{
    struct recent recent;
    return tell_as(live,
                   (struct change){.object = LEG,
                                   .place = 77,
                                   .previous = previous,
                                   .state = state,
                                   .user = user,
                                   .time_ms = time_ms},
                   &recent);
}

static enum telling tell_value(struct live *live, uint32_t user, uint64_t object, uint64_t hash,
                               int64_t time_ms)
{
    struct recent recent;
    return tell_as(
        live, (struct change){.object = object, .hash = hash, .user = user, .time_ms = time_ms},
        &recent);
}

static enum telling introduce(struct live *live, uint32_t user, uint64_t state, int64_t time_ms)
{
    struct recent recent;
    return tell_as(live,
                   (struct change){.object = LEG,
                                   .previous = IDLE,
                                   .state = state,
                                   .user = user,
                                   .time_ms = time_ms,
                                   .introduces = 1},
                   &recent);
}

static int begin(void **state)
{
    *state = calloc(1, sizeof(struct live));
    return *state == NULL;
}

static int end(void **state)
{
    recent_free(*state);
    free(*state);
    return 0;
}

static void test_one_millisecond_of_holding(void **state)
{
    static const uint64_t states[] = {IDLE, RINGING, ACTIVE, HELD, ACTIVE, HELD, ACTIVE};
    size_t i;

    for (i = 1; i < 5; ++i)
        assert_int_equal(tell(*state, A, states[i - 1], states[i], 100), TELLING_NEWS);
    for (i = 1; i < 3; ++i)
        assert_int_equal(tell(*state, B, states[i - 1], states[i], 100), TELLING_COPY);
    for (; i < 5; ++i)
        assert_int_equal(tell(*state, C, states[i - 1], states[i], 100), TELLING_COPY);
    for (i = 3; i < 7; ++i)
        assert_int_equal(tell(*state, B, states[i - 1], states[i], 100),
                         i < 5 ? TELLING_COPY : TELLING_NEWS);
    for (i = 5; i < 7; ++i)
        assert_int_equal(tell(*state, A, states[i - 1], states[i], 100), TELLING_COPY);
}

static void test_what_one_was_not_told_another_was(void **state)
{
    assert_int_equal(tell(*state, A, IDLE, RINGING, 100), TELLING_NEWS);
    assert_int_equal(tell(*state, A, RINGING, ACTIVE, 200), TELLING_NEWS);
    assert_int_equal(tell(*state, A, ACTIVE, HELD, 300), TELLING_NEWS);
    assert_int_equal(tell(*state, B, ACTIVE, HELD, 300), TELLING_COPY);
    assert_int_equal(tell(*state, B, HELD, ACTIVE, 400), TELLING_NEWS);
}

static void test_late_is_over_already(void **state)
{
    assert_int_equal(tell(*state, A, IDLE, RINGING, 100), TELLING_NEWS);
    assert_int_equal(tell(*state, A, ACTIVE, HELD, 300), TELLING_NEWS);
    assert_int_equal(tell(*state, B, IDLE, RINGING, 100), TELLING_COPY);
    assert_int_equal(tell(*state, B, RINGING, ACTIVE, 200), TELLING_LATE);
    assert_int_equal(tell(*state, B, ACTIVE, HELD, 300), TELLING_COPY);
}

static void test_repeated_and_backwards(void **state)
{
    assert_int_equal(tell(*state, A, IDLE, RINGING, 100), TELLING_NEWS);
    assert_int_equal(tell(*state, A, IDLE, RINGING, 100), TELLING_REPEATED);
    assert_int_equal(tell(*state, A, RINGING, ACTIVE, 200), TELLING_NEWS);
    assert_int_equal(tell(*state, A, IDLE, RINGING, 100), TELLING_REPEATED);
    assert_int_equal(tell(*state, A, RINGING, HELD, 150), TELLING_BACKWARDS);
    assert_int_equal(tell(*state, A, HELD, RINGING, 160), TELLING_NEWS); /* a clock set back */
}

static void test_sessions_that_tell_other_times(void **state)
{
    assert_int_equal(tell(*state, A, IDLE, RINGING, 100), TELLING_NEWS);
    assert_int_equal(tell(*state, A, RINGING, ACTIVE, 105), TELLING_NEWS);
    assert_int_equal(tell(*state, B, IDLE, RINGING, 140), TELLING_COPY);
    assert_int_equal(tell(*state, B, RINGING, ACTIVE, 145), TELLING_COPY);
    assert_int_equal(tell(*state, C, IDLE, RINGING, 100 + 60000), TELLING_NEWS); /* no skew */
}

static void test_introductions(void **state)
{
    assert_int_equal(tell(*state, A, IDLE, RINGING, 100), TELLING_NEWS);
    assert_int_equal(tell(*state, A, RINGING, ACTIVE, 200), TELLING_NEWS);
    assert_int_equal(introduce(*state, B, ACTIVE, 90000), TELLING_INTRODUCES);
    assert_int_equal(introduce(*state, B, ACTIVE, 90000), TELLING_INTRODUCES); /* came back */
    assert_int_equal(introduce(*state, C, HELD, 100000), TELLING_NEWS);        /* ahead of A */
    assert_int_equal(tell(*state, A, ACTIVE, HELD, 100000), TELLING_COPY);
    assert_int_equal(tell(*state, B, ACTIVE, HELD, 100000), TELLING_COPY);
}

static void test_read_before_it_was_told(void **state)
{
    struct pending_event event = {0};

    recent_read(*state, LEG, ACTIVE, 200, NULL);
    assert_int_equal(tell(*state, A, IDLE, RINGING, 100), TELLING_LATE);
    assert_int_equal(tell(*state, A, RINGING, ACTIVE, 200), TELLING_NEWS); /* nobody was told */
    assert_int_equal(tell(*state, B, RINGING, ACTIVE, 200), TELLING_COPY);
    recent_read(*state, LEG, HELD, 0, &event);
    assert_int_equal(tell(*state, A, ACTIVE, HELD, 300), TELLING_COPY);
    assert_int_equal(tell(*state, A, HELD, ACTIVE, 400), TELLING_NEWS);
}

static void test_properties(void **state)
{
    assert_int_equal(tell_value(*state, A, 1, 10, 100), TELLING_NEWS);
    assert_int_equal(tell_value(*state, A, 1, 20, 100), TELLING_NEWS);
    assert_int_equal(tell_value(*state, A, 1, 10, 100), TELLING_NEWS);
    assert_int_equal(tell_value(*state, B, 1, 10, 100), TELLING_COPY);
    assert_int_equal(tell_value(*state, B, 1, 20, 100), TELLING_COPY);
    assert_int_equal(tell_value(*state, B, 1, 10, 100), TELLING_COPY);
    assert_int_equal(tell_value(*state, C, 1, 10, 90000), TELLING_COPY); /* what still stands */
    assert_int_equal(tell_value(*state, C, 1, 10, 99000), TELLING_NEWS);
    assert_int_equal(tell_value(*state, B, 2, 10, 100), TELLING_NEWS);
}

static void test_forgets_the_oldest(void **state)
{
    uint64_t i;

    for (i = 1; i <= RECENT_MAX; ++i)
        assert_int_equal(tell_value(*state, A, i, 10, 100), TELLING_NEWS);
    assert_int_equal(tell_value(*state, B, 1, 10, 100), TELLING_COPY);
    assert_int_equal(tell_value(*state, A, RECENT_MAX + 1, 10, 100), TELLING_NEWS);
    assert_int_equal(tell_value(*state, B, 1, 10, 100), TELLING_NEWS); /* made room */
    for (i = 0; i < 1000; ++i)
        assert_int_equal(tell_value(*state, A, 2, 20 + i, 200 + (int64_t)i), TELLING_NEWS);
    assert_int_equal(tell_value(*state, B, 2, 20, 200), TELLING_LATE);
    assert_int_equal(tell_value(*state, B, 2, 1019, 1199), TELLING_COPY);
}

static void test_users_are_remembered(void **state)
{
    uint32_t users[] = {4, 9};
    struct pending_event event = {.users = users, .num_users = 2};
    struct change change = {.object = LEG, .hash = 5, .user = A, .time_ms = 1};
    struct recent recent;

    recent_add(*state, &change, &event);
    change.user = B;
    assert_int_equal(recent_check(*state, &change, &recent), TELLING_COPY);
    assert_true(recent.is_newest);
    assert_true(recent_has_user(&recent, 4) && recent_has_user(&recent, 9));
    assert_false(recent_has_user(&recent, B));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_millisecond_of_holding, begin, end),
        cmocka_unit_test_setup_teardown(test_what_one_was_not_told_another_was, begin, end),
        cmocka_unit_test_setup_teardown(test_late_is_over_already, begin, end),
        cmocka_unit_test_setup_teardown(test_repeated_and_backwards, begin, end),
        cmocka_unit_test_setup_teardown(test_sessions_that_tell_other_times, begin, end),
        cmocka_unit_test_setup_teardown(test_introductions, begin, end),
        cmocka_unit_test_setup_teardown(test_read_before_it_was_told, begin, end),
        cmocka_unit_test_setup_teardown(test_properties, begin, end),
        cmocka_unit_test_setup_teardown(test_forgets_the_oldest, begin, end),
        cmocka_unit_test_setup_teardown(test_users_are_remembered, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
