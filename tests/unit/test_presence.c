#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cctgate/presence.h"

static const char *const codes[] = {"1283476004", "9"};

static const struct {
    struct presence_facts facts;
    const char *expected;
} rows[] = {
    {{0, 0, NULL, 0}, "loggedOut"},
    {{0, 1, NULL, 3}, "loggedOut"},
    {{1, 1, NULL, 0}, "ready"},
    {{1, 1, NULL, 1}, "busy"},
    {{1, 1, "9", 1}, "busy"},
    {{1, 0, NULL, 0}, "notReady"},
    {{1, 0, "3", 1}, "notReady"},
    {{1, 0, "9", 0}, "afterCallWork"},
    {{1, 0, "1283476004", 2}, "afterCallWork"},
    {{1, 0, "", 0}, "notReady"},
};

static void test_rows(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i)
        assert_string_equal(presence_derive(&rows[i].facts, codes, 2), rows[i].expected);
}

static void test_without_codes(void **state)
{
    struct presence_facts facts = {1, 0, "9", 0};
    (void)state;
    assert_string_equal(presence_derive(&facts, NULL, 0), "notReady");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_without_codes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
