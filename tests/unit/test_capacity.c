/* The capacity meter on a clock that the test sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cctgate/capacity.h"
#include "cctgate/error.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define UNIX   INT64_C(1790000000000)

static void count_many(struct capacity *capacity, unsigned count, int64_t now_ms)
{
    while (count-- > 0)
        capacity_count(capacity, now_ms);
}

static void test_an_hour_and_no_more(void **state)
{
    struct capacity c;
    int64_t t = 5 * HOUR + 12345;

    (void)state;
    capacity_init(&c, t);
    assert_int_equal(capacity_contacts(&c, t), 0);
    count_many(&c, 10, t);
    count_many(&c, 5, t + 30 * MINUTE);
    assert_int_equal(capacity_contacts(&c, t + HOUR - 1), 15);
    assert_int_equal(capacity_contacts(&c, t + HOUR + CAPACITY_BUCKET_MS), 5);
    assert_int_equal(capacity_contacts(&c, t + 90 * MINUTE + CAPACITY_BUCKET_MS), 0);
}

/* Never below the truth, and never above it by more than what one bucket's time brought. */
static void test_against_the_truth(void **state)
{
    static int64_t times[200000];
    size_t count = 0, first = 0;
    uint32_t random = 12345;
    struct capacity c;
    int64_t t;

    (void)state;
    capacity_init(&c, 0);
    for (t = 0; t < 4 * HOUR; t += 500) {
        size_t exact, with_bucket, at;
        random = random * 1664525 + 1013904223;
        if (random >> 30 != 0 || t < HOUR) {
            capacity_count(&c, t);
            times[count++] = t;
        }
        while (times[first] < t - HOUR - CAPACITY_BUCKET_MS)
            ++first;
        for (at = first; at < count && times[at] <= t - HOUR; ++at)
            ;
        exact = count - at;
        with_bucket = count - first;
        assert_in_range(capacity_contacts(&c, t), exact, with_bucket);
    }
    assert_true(count > 20000);
}

static void test_silence_of_any_length(void **state)
{
    struct capacity c;

    (void)state;
    capacity_init(&c, 0);
    count_many(&c, 7, 0);
    assert_int_equal(capacity_contacts(&c, INT64_MAX / 4), 0);
    count_many(&c, 3, INT64_MAX / 4);
    assert_int_equal(capacity_contacts(&c, INT64_MAX / 4), 3);
    /* a time before the newest counts as that */
    capacity_count(&c, 5);
    assert_int_equal(capacity_contacts(&c, INT64_MAX / 4), 4);
}

static void test_when_there_is_room(void **state)
{
    struct capacity c;
    int64_t wait;

    (void)state;
    capacity_init(&c, HOUR);
    count_many(&c, 60, HOUR);
    count_many(&c, 40, HOUR + 10 * MINUTE);
    assert_int_equal(capacity_room_after_ms(&c, 101, HOUR + 10 * MINUTE), 0);
    wait = capacity_room_after_ms(&c, 100, HOUR + 10 * MINUTE);
    assert_in_range(wait, 50 * MINUTE, 50 * MINUTE + CAPACITY_BUCKET_MS);
    assert_int_equal(capacity_contacts(&c, HOUR + 10 * MINUTE + wait - 1), 100);
    assert_int_equal(capacity_contacts(&c, HOUR + 10 * MINUTE + wait), 40);
    capacity_init(&c, HOUR);
    count_many(&c, 60, HOUR);
    count_many(&c, 40, HOUR + 10 * MINUTE);
    wait = capacity_room_after_ms(&c, 30, HOUR + 10 * MINUTE);
    assert_in_range(wait, HOUR, HOUR + CAPACITY_BUCKET_MS);
    assert_int_equal(capacity_contacts(&c, HOUR + 10 * MINUTE + wait), 0);
}

static void test_survives_a_restart(void **state)
{
    uint8_t saved[CAPACITY_SAVED_BYTES];
    struct capacity c, other;
    int64_t t = 7 * HOUR + 7;

    (void)state;
    capacity_init(&c, t);
    count_many(&c, 100, t);
    count_many(&c, 50, t + 20 * MINUTE);
    assert_int_equal(capacity_save(&c, saved, t + 20 * MINUTE, UNIX), sizeof(saved));

    /* the next process's clock begins somewhere else; ten minutes have gone */
    capacity_init(&other, 3);
    assert_int_equal(capacity_load(&other, saved, sizeof(saved), 3, UNIX + 10 * MINUTE), CG_OK);
    assert_int_equal(capacity_contacts(&other, 3), 150);
    assert_int_equal(capacity_contacts(&other, 3 + 29 * MINUTE), 150);
    assert_int_equal(capacity_contacts(&other, 3 + 31 * MINUTE), 50);
    count_many(&other, 1, 3 + 31 * MINUTE);
    assert_int_equal(capacity_contacts(&other, 3 + 52 * MINUTE), 1);

    /* a day later nothing of it counts; a clock that was set back loses nothing */
    assert_int_equal(capacity_load(&other, saved, sizeof(saved), 3, UNIX + 24 * HOUR), CG_OK);
    assert_int_equal(capacity_contacts(&other, 3), 0);
    assert_int_equal(capacity_load(&other, saved, sizeof(saved), 3, UNIX - 24 * HOUR), CG_OK);
    assert_int_equal(capacity_contacts(&other, 3), 150);
}

static void test_refuses_what_it_did_not_write(void **state)
{
    uint8_t saved[CAPACITY_SAVED_BYTES + 1];
    struct capacity c, before;

    (void)state;
    memset(saved, 0xff, sizeof(saved));
    capacity_init(&c, 0);
    count_many(&c, 2, 0);
    before = c;
    assert_int_equal(capacity_load(&c, saved, CAPACITY_SAVED_BYTES, 0, UNIX), CG_E_INVALID);
    assert_int_equal(capacity_load(&c, saved, 0, 0, UNIX), CG_E_INVALID);
    assert_int_equal(capacity_load(&c, saved, sizeof(saved), 0, UNIX), CG_E_INVALID);
    memset(saved, 0, sizeof(saved));
    saved[9] = 0x7f; /* more of the newest bucket than it has */
    assert_int_equal(capacity_load(&c, saved, CAPACITY_SAVED_BYTES, 0, UNIX), CG_E_INVALID);
    assert_memory_equal(&c, &before, sizeof(c));
}

static void test_the_vendors_table(void **state)
{
    struct capacity_limits sip = capacity_limits("SIP", 0, 0), cs1k = capacity_limits("CS1K", 0, 0);
    struct capacity_limits own = capacity_limits("CS1K", 400, 99999);

    (void)state;
    assert_int_equal(sip.agents, 1000);
    assert_int_equal(sip.contacts_per_hour, 10000);
    assert_int_equal(cs1k.agents, 1500);
    assert_int_equal(cs1k.contacts_per_hour, 15000);
    assert_int_equal(capacity_limits(NULL, 0, 0).agents, 1000);
    assert_int_equal(own.agents, 400);
    assert_int_equal(own.contacts_per_hour, 15000);
    assert_int_equal(capacity_warning_at(1000), 850);
    assert_int_equal(capacity_warning_at(1500), 1275);
    assert_int_equal(capacity_warning_at(10000), 8500);
    assert_int_equal(capacity_warning_at(15000), 12750);
}

static void test_levels(void **state)
{
    (void)state;
    assert_int_equal(capacity_level(849, 1000), CAPACITY_OK);
    assert_int_equal(capacity_level(850, 1000), CAPACITY_WARNING);
    assert_int_equal(capacity_level(999, 1000), CAPACITY_WARNING);
    assert_int_equal(capacity_level(1000, 1000), CAPACITY_EXHAUSTED);
    assert_int_equal(capacity_percent(999, 1000), 99);
    assert_int_equal(capacity_percent(1000, 1000), 100);
    assert_int_equal(capacity_percent(1100, 1000), 110);
    /* up at once, down a little later */
    assert_int_equal(capacity_next_level(CAPACITY_OK, 850, 1000), CAPACITY_WARNING);
    assert_int_equal(capacity_next_level(CAPACITY_OK, 1000, 1000), CAPACITY_EXHAUSTED);
    assert_int_equal(capacity_next_level(CAPACITY_WARNING, 849, 1000), CAPACITY_WARNING);
    assert_int_equal(capacity_next_level(CAPACITY_WARNING, 840, 1000), CAPACITY_WARNING);
    assert_int_equal(capacity_next_level(CAPACITY_WARNING, 839, 1000), CAPACITY_OK);
    assert_int_equal(capacity_next_level(CAPACITY_EXHAUSTED, 990, 1000), CAPACITY_EXHAUSTED);
    assert_int_equal(capacity_next_level(CAPACITY_EXHAUSTED, 989, 1000), CAPACITY_WARNING);
    assert_int_equal(capacity_next_level(CAPACITY_EXHAUSTED, 0, 1000), CAPACITY_OK);
}

static void test_admission(void **state)
{
    struct capacity_limits sip = capacity_limits("SIP", 0, 0);

    (void)state;
    assert_true(capacity_admits(&sip, 999, 9999));
    assert_false(capacity_admits(&sip, 1000, 0));
    assert_false(capacity_admits(&sip, 0, 10000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_hour_and_no_more),
        cmocka_unit_test(test_against_the_truth),
        cmocka_unit_test(test_silence_of_any_length),
        cmocka_unit_test(test_when_there_is_room),
        cmocka_unit_test(test_survives_a_restart),
        cmocka_unit_test(test_refuses_what_it_did_not_write),
        cmocka_unit_test(test_the_vendors_table),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_admission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
