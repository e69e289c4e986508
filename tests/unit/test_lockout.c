#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cctgate/lockout.h"

static const struct lockout_terms terms = {3, 1000, 60000};

static void test_waits_grow(void **state)
{
    static const int64_t waits[] = {0, 0, 1000, 4000, 16000, 60000, 60000};
    struct lockout *lockout = lockout_new(10);
    int64_t now_ms = 1000000;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(waits) / sizeof(waits[0]); ++i) {
        assert_int_equal(lockout_failed(lockout, "u", &terms, now_ms), waits[i]);
        assert_int_equal(lockout_wait_ms(lockout, "u", now_ms), waits[i]);
        assert_int_equal(lockout_wait_ms(lockout, "v", now_ms), 0);
        now_ms += waits[i];
        assert_int_equal(lockout_wait_ms(lockout, "u", now_ms), 0);
    }
    lockout_succeeded(lockout, "u");
    assert_int_equal(lockout_count(lockout), 0);
    assert_int_equal(lockout_failed(lockout, "u", &terms, now_ms), 0);
    lockout_free(&lockout);
}

static void test_easing(void **state)
{
    struct lockout *lockout = lockout_new(10);
    int i;

    (void)state;
    lockout_eased(lockout, "a");
    for (i = 0; i < 100; ++i) {
        assert_int_equal(lockout_failed(lockout, "a", &terms, 0), 0);
        lockout_eased(lockout, "a");
    }
    for (i = 0; i < 3; ++i)
        lockout_failed(lockout, "a", &terms, 0);
    lockout_eased(lockout, "a");
    assert_int_equal(lockout_wait_ms(lockout, "a", 0), 1000);
    lockout_free(&lockout);
}

static void test_forgets(void **state)
{
    struct lockout *lockout = lockout_new(1000);

    (void)state;
    lockout_failed(lockout, "old", &terms, 0);
    lockout_failed(lockout, "young", &terms, 600000);
    lockout_failed(lockout, "old again", &terms, 0);
    lockout_failed(lockout, "old again", &terms, 700000);
    lockout_sweep(lockout, &terms, 899999);
    assert_int_equal(lockout_count(lockout), 3);
    lockout_sweep(lockout, &terms, 900000);
    assert_int_equal(lockout_count(lockout), 2);
    lockout_free(&lockout);
}

static void test_bound(void **state)
{
    struct lockout *lockout = lockout_new(100);
    char key[16];
    int i;

    (void)state;
    for (i = 0; i < 1000; ++i) {
        snprintf(key, sizeof(key), "u%d", i);
        lockout_failed(lockout, key, &terms, i);
        assert_true(lockout_count(lockout) <= 100);
    }
    for (i = 900; i < 1000; ++i) { /* the newest have stayed */
        snprintf(key, sizeof(key), "u%d", i);
        lockout_failed(lockout, key, &terms, 1000);
        assert_int_equal(lockout_failed(lockout, key, &terms, 1000), 1000);
    }
    lockout_free(&lockout);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_grow),
        cmocka_unit_test(test_easing),
        cmocka_unit_test(test_forgets),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
