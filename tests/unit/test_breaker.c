/* The circuit breaker: what opens it, what gets through, what closes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/upstream/breaker.h"

static void test_silence_counts_only_where_nothing_was_answered(void **state)
{
    struct breaker breaker = {0};
    int i;

    (void)state;
    breaker_answered(&breaker, 1000);
    for (i = 0; i < 10; ++i) /* others were answered after these were sent */
        assert_false(breaker_unanswered(&breaker, 900));
    for (i = 1; i < BREAKER_SILENT_MAX; ++i)
        assert_false(breaker_unanswered(&breaker, 1100));
    assert_true(breaker_unanswered(&breaker, 1100));
    assert_true(breaker_unanswered(&breaker, 1100)); /* until somebody probes */
    breaker_answered(&breaker, 1200);
    assert_false(breaker_unanswered(&breaker, 1300));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
}

static void test_an_answer_told_late_is_no_older_than_it_is(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    breaker_answered(&breaker, 2000);
    breaker_answered(&breaker, 1500);
    assert_false(breaker_unanswered(&breaker, 1800));
    assert_int_equal(breaker.silent, 0);
}

static void test_one_probe_at_a_time(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    assert_false(breaker_try(&breaker));
    assert_true(breaker_open(&breaker, 77));
    assert_false(breaker_open(&breaker, 99));
    assert_int_equal(breaker.open_since_ms, 77);
    assert_int_equal(breaker.opened, 1);
    assert_false(breaker_unanswered(&breaker, 5000)); /* it is known */
    assert_true(breaker_try(&breaker));
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
    assert_false(breaker_try(&breaker));
    assert_false(breaker_open(&breaker, 88));
}

static void test_a_probe_opens_or_closes(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    breaker_open(&breaker, 1);
    assert_false(breaker_tried(&breaker, 1, 10)); /* none was under way */
    breaker_try(&breaker);
    assert_false(breaker_tried(&breaker, 0, 20));
    assert_int_equal(breaker.state, BREAKER_OPEN);
    assert_int_equal(breaker.failed_probes, 1);
    breaker_try(&breaker);
    assert_true(breaker_tried(&breaker, 1, 30));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    assert_int_equal(breaker.failed_probes, 0);
    assert_int_equal(breaker.answered_ms, 30);
    assert_int_equal(breaker.opened, 1);
}

static void test_begun_with_anew(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    breaker_open(&breaker, 1);
    breaker_try(&breaker);
    breaker_reset(&breaker);
    assert_false(breaker_tried(&breaker, 0, 5)); /* the probe of before says nothing */
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    assert_true(breaker_open(&breaker, 2));
    assert_int_equal(breaker.opened, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence_counts_only_where_nothing_was_answered),
        cmocka_unit_test(test_an_answer_told_late_is_no_older_than_it_is),
        cmocka_unit_test(test_one_probe_at_a_time),
        cmocka_unit_test(test_a_probe_opens_or_closes),
        cmocka_unit_test(test_begun_with_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
