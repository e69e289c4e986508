/* Points in time: what is printed is parsed, and what is no time is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cctgate/error.h"
#include "cctgate/timestamp.h"

static void prints(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {{0, "1970-01-01T00:00:00.000Z"},
                {1, "1970-01-01T00:00:00.001Z"},
                {1795955696789, "2026-11-29T12:34:56.789Z"},
                {951782400000, "2000-02-29T00:00:00.000Z"},
                {253402300799999, "9999-12-31T23:59:59.999Z"},
                {253402300800000, "9999-12-31T23:59:59.999Z"},
                {INT64_MAX, "9999-12-31T23:59:59.999Z"},
                {-1, "1970-01-01T00:00:00.000Z"}};
    char text[TIMESTAMP_BYTES];
    size_t i;
    (void)state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        assert_int_equal(timestamp_print(text, rows[i].ms), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
    }
}

static void parses_what_it_prints(void **state)
{
    char text[TIMESTAMP_BYTES];
    int64_t ms, found;
    (void)state;

    for (ms = 0; ms < 253402300799999; ms += 86399999983) {
        timestamp_print(text, ms);
        assert_int_equal(timestamp_parse(text, TIMESTAMP_RFC3339, &found), CG_OK);
        assert_true(found == ms);
    }
}

static void parses(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {{"1970-01-01t00:00:01z", 1000},          {"1970-01-01T00:00:01.5Z", 1500},
                {"1970-01-01T00:00:01.1234567Z", 1123},  {"1970-01-01T02:00:01+02:00", 1000},
                {"1969-12-31T22:30:01.250-01:30", 1250}, {"2016-12-31T23:59:60Z", 1483228799000}};
    int64_t found;
    size_t i;
    (void)state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        assert_int_equal(timestamp_parse(rows[i].text, TIMESTAMP_RFC3339, &found), CG_OK);
        assert_true(found == rows[i].ms);
    }
    assert_int_equal(timestamp_parse("1970-01-01T00:00:01", TIMESTAMP_RFC3339, &found),
                     CG_E_INVALID);
    assert_int_equal(timestamp_parse("1970-01-01T00:00:01", TIMESTAMP_DATE_TIME, &found), CG_OK);
    assert_true(found == 1000);
}

static void refuses(void **state)
{
    static const char *const texts[] = {"",
                                        "yesterday",
                                        "1970-01-01",
                                        "1970-1-1T00:00:00Z",
                                        "1970\r01\r01T00:00:00Z",
                                        "2026-02-29T00:00:00Z",
                                        "2026-13-01T00:00:00Z",
                                        "2026-00-01T00:00:00Z",
                                        "2026-01-00T00:00:00Z",
                                        "2026-01-01T24:00:00Z",
                                        "2026-01-01T00:60:00Z",
                                        "2026-01-01T00:00:61Z",
                                        "2026-01-01T00:00:00.Z",
                                        "2026-01-01T00:00:00+24:00",
                                        "2026-01-01T00:00:00+2:00",
                                        "2026-01-01T00:00:00+02:0x",
                                        "2026-01-01T00:00:00Z ",
                                        " 2026-01-01T00:00:00Z",
                                        "1969-12-31T23:59:59Z"};
    int64_t found = 7;
    size_t i;
    (void)state;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); ++i)
        assert_int_equal(timestamp_parse(texts[i], TIMESTAMP_DATE_TIME, &found), CG_E_INVALID);
    assert_true(found == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints),
        cmocka_unit_test(parses_what_it_prints),
        cmocka_unit_test(parses),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
