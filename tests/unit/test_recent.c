/* One change, told by several sessions in whatever interleaving, is judged once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/model/live.h"

enum { A = 1, B = 2, C = 3 };

static enum copy tell(struct live *live, uint64_t hash, int64_t time_ms, uint32_t user)
{
    struct change change = {hash, 77, user, time_ms};
    struct pending_event event = {0};
    struct recent *entry = NULL;
    enum copy copy = recent_check(live, &change, &entry);
    if (copy == COPY_NEW)
        recent_add(live, &change, &event);
    return copy;
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

static void test_copies(void **state)
{
    assert_int_equal(tell(*state, 1, 100, A), COPY_NEW);
    assert_int_equal(tell(*state, 1, 100, B), COPY_OF_ANOTHER_SESSION);
    assert_int_equal(tell(*state, 1, 100, C), COPY_OF_ANOTHER_SESSION);
    assert_int_equal(tell(*state, 2, 100, C), COPY_NEW);
    assert_int_equal(tell(*state, 2, 100, A), COPY_OF_ANOTHER_SESSION);
}

static void test_the_same_change_again_later(void **state)
{
    assert_int_equal(tell(*state, 1, 100, A), COPY_NEW);
    assert_int_equal(tell(*state, 1, 5000, A), COPY_NEW);
    assert_int_equal(tell(*state, 1, 100, B), COPY_OF_ANOTHER_SESSION);
    assert_int_equal(tell(*state, 1, 5000, B), COPY_OF_ANOTHER_SESSION);
    assert_int_equal(tell(*state, 1, 9000, B), COPY_NEW);
}

static void test_a_repetition_is_judged_by_whoever_is_first(void **state)
{
    assert_int_equal(tell(*state, 1, 100, A), COPY_NEW);
    assert_int_equal(tell(*state, 1, 100, A), COPY_DUPLICATE);
    assert_int_equal(tell(*state, 1, 100, B), COPY_OF_ANOTHER_SESSION);
    assert_int_equal(tell(*state, 1, 100, B), COPY_KNOWN);
    assert_int_equal(tell(*state, 1, 100, B), COPY_DUPLICATE); /* B is ahead now */
    assert_int_equal(tell(*state, 1, 100, A), COPY_KNOWN);
}

static void test_sessions_that_tell_other_times(void **state)
{
    assert_int_equal(tell(*state, 1, 100, A), COPY_NEW);
    assert_int_equal(tell(*state, 1, 140, B), COPY_OF_ANOTHER_SESSION);
    assert_int_equal(tell(*state, 1, 100 + 60000, C), COPY_NEW); /* that is no skew */
}

static void test_forgets_the_oldest(void **state)
{
    uint64_t i;
    for (i = 1; i <= RECENT_MAX; ++i)
        assert_int_equal(tell(*state, i * 16384, 100, A), COPY_NEW); /* all in one bucket */
    assert_int_equal(tell(*state, 16384, 100, B), COPY_OF_ANOTHER_SESSION);
    assert_int_equal(tell(*state, (RECENT_MAX + 1) * 16384u, 100, A), COPY_NEW);
    assert_int_equal(tell(*state, 16384, 100, C), COPY_NEW); /* made room */
    assert_int_equal(tell(*state, 2 * 16384 + 1, 100, C), COPY_NEW);
}

static void test_users_are_remembered(void **state)
{
    uint32_t users[] = {4, 9};
    struct pending_event event = {.users = users, .num_users = 2};
    struct change change = {5, 0, A, 1};
    struct recent *entry = NULL;
    size_t count;

    recent_add(*state, &change, &event);
    change.user = B;
    assert_int_equal(recent_check(*state, &change, &entry), COPY_OF_ANOTHER_SESSION);
    assert_memory_equal(recent_users(entry, &count), users, sizeof(users));
    assert_int_equal(count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_copies, begin, end),
        cmocka_unit_test_setup_teardown(test_the_same_change_again_later, begin, end),
        cmocka_unit_test_setup_teardown(test_a_repetition_is_judged_by_whoever_is_first, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_sessions_that_tell_other_times, begin, end),
        cmocka_unit_test_setup_teardown(test_forgets_the_oldest, begin, end),
        cmocka_unit_test_setup_teardown(test_users_are_remembered, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
