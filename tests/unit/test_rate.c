/* How often a token may ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/rest/rate.h"

static const uint8_t one[32] = {1}, other[32] = {3};

static unsigned take_all(struct rates *rates, const uint8_t *token, unsigned limit, int64_t now_ms)
{
    unsigned taken = 0;
    while (!rate_take(rates, token, limit, now_ms).is_over)
        ++taken;
    return taken;
}

static void a_bucket_holds_a_second(void **state)
{
    struct rates *rates = rates_new();
    struct rate_verdict verdict = rate_take(rates, one, 10, 5000);

    (void)state;
    assert_false(verdict.is_over);
    assert_int_equal(verdict.remaining, 9);
    assert_int_equal(verdict.full_s, 1);
    assert_int_equal(take_all(rates, one, 10, 5000), 9);
    verdict = rate_take(rates, one, 10, 5000);
    assert_true(verdict.is_over);
    assert_int_equal(verdict.remaining, 0);
    assert_in_range(verdict.retry_ms, 100, 101);
    assert_int_equal(take_all(rates, one, 10, 5099), 0); /* refusals cost nothing */
    assert_int_equal(take_all(rates, one, 10, 5100), 1);
    assert_int_equal(take_all(rates, one, 10, 5400), 3);
    assert_int_equal(take_all(rates, one, 10, 60000), 10); /* never more than a second's */
    rates_free(&rates);
}

static void tokens_have_buckets_of_their_own(void **state)
{
    struct rates *rates = rates_new();

    (void)state;
    assert_int_equal(take_all(rates, one, 3, 5000), 3);
    assert_int_equal(take_all(rates, other, 5, 5000), 5);
    assert_int_equal(take_all(rates, one, 3, 5000), 0);
    rates_free(&rates);
}

static void any_rate_is_exact(void **state)
{
    static const unsigned limits[] = {1, 3, 7, 1000, 999999, 1000000};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(limits) / sizeof(limits[0]); ++i) {
        struct rates *rates = rates_new();
        assert_int_equal(take_all(rates, one, limits[i], 5000), limits[i]);
        rates_free(&rates);
    }
}

/* More tokens than one neighbourhood has room for: the full buckets make way. */
static void slots_are_used_again(void **state)
{
    struct rates *rates = rates_new();
    unsigned i;

    (void)state;
    for (i = 0; i < 100; ++i) {
        uint8_t token[32] = {9};
        token[4] = (uint8_t)i; /* beyond what chooses the slot */
        assert_int_equal(take_all(rates, token, 2, 5000 + 1000 * (int64_t)i), 2);
    }
    rates_free(&rates);
}

#define THREADS 4

static struct rates *shared;
static atomic_uint taken;

static void *take_in_thread(void *data)
{
    (void)data;
    atomic_fetch_add(&taken, take_all(shared, one, 10000, 5000));
    return NULL;
}

static void threads_share_a_bucket(void **state)
{
    pthread_t threads[THREADS];
    unsigned i;

    (void)state;
    shared = rates_new();
    for (i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, take_in_thread, NULL), 0);
    for (i = 0; i < THREADS; ++i)
        pthread_join(threads[i], NULL);
    assert_int_equal(taken, 10000);
    rates_free(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_holds_a_second),
        cmocka_unit_test(tokens_have_buckets_of_their_own),
        cmocka_unit_test(any_rate_is_exact),
        cmocka_unit_test(slots_are_used_again),
        cmocka_unit_test(threads_share_a_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
