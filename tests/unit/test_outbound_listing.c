#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/outbound/listing.h"

/* `count` contacts with ids from `first` on. */
static json_t *page_of(int64_t first, size_t count)
{
    json_t *page = json_array();
    size_t i;
    for (i = 0; i < count; ++i)
        json_array_append_new(page,
                              json_pack("{s:I}", "contactId", (json_int_t)first + (json_int_t)i));
    return page;
}

/* How many are new. Takes the page. */
static size_t take(struct listing *listing, json_t *page)
{
    json_t *fresh = listing_take(listing, page);
    size_t count = json_array_size(fresh);

    json_decref(fresh);
    json_decref(page);
    return count;
}

static json_int_t id_at(const json_t *page, size_t index)
{
    return json_integer_value(json_object_get(json_array_get(page, index), "contactId"));
}

static void test_empty(void **state)
{
    struct listing listing;

    (void)state;
    listing_begin(&listing, 0, 0);
    assert_int_equal(take(&listing, page_of(1, 0)), 0);
    assert_true(listing.ended);
    listing_begin(&listing, 0, 5);
    assert_int_equal(take(&listing, NULL), 0);
    assert_true(listing.ended);
    listing_begin(&listing, 0, 5);
    assert_int_equal(take(&listing, json_object()), 0);
    assert_true(listing.ended);
}

/* A page that is not full, and as many as there are. */
static void test_total_reached(void **state)
{
    struct listing listing;

    (void)state;
    listing_begin(&listing, 0, 201);
    assert_int_equal(take(&listing, page_of(1, 200)), 200);
    assert_false(listing.ended);
    assert_int_equal(listing.after, 200);
    assert_int_equal(take(&listing, page_of(201, 1)), 1);
    assert_true(listing.ended);
    assert_true(listing_is_whole(&listing));
}

/* Full pages may have more behind them. */
static void test_full_page_goes_on(void **state)
{
    struct listing listing;

    (void)state;
    listing_begin(&listing, 0, 200);
    assert_int_equal(take(&listing, page_of(1, 200)), 200);
    assert_false(listing.ended);
    assert_true(listing_is_whole(&listing));
    assert_int_equal(take(&listing, page_of(201, 3)), 3); /* they were added meanwhile */
    assert_true(listing.ended);
}

/* Fewer than 200, but not all that there are. */
static void test_short_page_goes_on(void **state)
{
    struct listing listing;

    (void)state;
    listing_begin(&listing, 0, 100);
    assert_int_equal(take(&listing, page_of(1, 50)), 50);
    assert_false(listing.ended);
    assert_int_equal(take(&listing, page_of(51, 50)), 50);
    assert_true(listing.ended);
}

static void test_nothing_new(void **state)
{
    struct listing listing;

    (void)state;
    listing_begin(&listing, 0, 1000);
    assert_int_equal(take(&listing, page_of(1, 200)), 200);
    assert_int_equal(take(&listing, page_of(1, 200)), 0);
    assert_true(listing.ended);
    assert_false(listing_is_whole(&listing));
}

static void test_each_once_in_order(void **state)
{
    json_t *page = page_of(10, 3), *more = page_of(8, 4), *fresh;
    struct listing listing;

    (void)state;
    json_array_extend(page, more);
    json_array_insert_new(page, 2, json_null());
    listing_begin(&listing, 8, 100);
    fresh = listing_take(&listing, page);
    assert_int_equal(json_array_size(fresh), 4); /* 9 to 12: 8 was had */
    assert_int_equal(id_at(fresh, 0), 9);
    assert_int_equal(id_at(fresh, 3), 12);
    assert_int_equal(listing.after, 12);
    json_decref(fresh);
    json_decref(more);
    json_decref(page);
}

/* From the middle on, how many there are says nothing about the end. */
static void test_from_the_middle(void **state)
{
    struct listing listing;

    (void)state;
    listing_begin(&listing, 100, 3);
    assert_int_equal(take(&listing, page_of(101, 5)), 5);
    assert_false(listing.ended);
    assert_false(listing_is_whole(&listing));
    assert_int_equal(take(&listing, page_of(106, 0)), 0);
    assert_true(listing.ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_total_reached),
        cmocka_unit_test(test_full_page_goes_on),
        cmocka_unit_test(test_short_page_goes_on),
        cmocka_unit_test(test_nothing_new),
        cmocka_unit_test(test_each_once_in_order),
        cmocka_unit_test(test_from_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
