/* What stands in the header fields of a command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cctgate/error.h"
#include "gateway/rest/body.h"
#include "gateway/rest/intake.h"

static void keys_of_both_forms_are_one(void **state)
{
    static const struct {
        const char *text, *key;
    } rows[] = {{"a", "a"},
                {"\"a\"", "a"},
                {"a\"b", "a\"b"},
                {"\"a\\\"b\\\\\"", "a\"b\\"},
                {"8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
                {"!~", "!~"},
                {"", NULL},
                {"\"\"", NULL},
                {"\"", NULL},
                {"\"a", NULL},
                {"\"a\"b", NULL},
                {"\"a\\", NULL},
                {"\"a\\n\"", NULL},
                {"a b", NULL},
                {" a", NULL},
                {"\"a b\"", NULL},
                {"a\x7f", NULL},
                {"\xc3\xa4", NULL},
                {"a\t", NULL}};
    char key[COMMAND_KEY_BYTES_MAX + 1];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        int rc = intake_key(key, rows[i].text, strlen(rows[i].text));
        assert_int_equal(rc, rows[i].key != NULL ? CG_OK : CG_E_INVALID);
        if (rc == CG_OK)
            assert_string_equal(key, rows[i].key);
    }
}

static void keys_have_a_length(void **state)
{
    char text[COMMAND_KEY_BYTES_MAX + 4], key[COMMAND_KEY_BYTES_MAX + 1];

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(intake_key(key, text, COMMAND_KEY_BYTES_MAX), CG_OK);
    assert_int_equal(strlen(key), COMMAND_KEY_BYTES_MAX);
    assert_int_equal(intake_key(key, text, COMMAND_KEY_BYTES_MAX + 1), CG_E_INVALID);
    text[0] = text[COMMAND_KEY_BYTES_MAX + 1] = '"';
    assert_int_equal(intake_key(key, text, COMMAND_KEY_BYTES_MAX + 2), CG_OK);
    assert_int_equal(strlen(key), COMMAND_KEY_BYTES_MAX);
    text[COMMAND_KEY_BYTES_MAX + 1] = 'x';
    text[COMMAND_KEY_BYTES_MAX + 2] = '"';
    assert_int_equal(intake_key(key, text, COMMAND_KEY_BYTES_MAX + 3), CG_E_INVALID);
    assert_int_equal(intake_key(key, "a\0b", 3), CG_E_INVALID);
}

static void wait_is_found(void **state)
{
    static const struct {
        const char *text;
        int found;
        unsigned ms;
    } rows[] = {{"wait=5", 1, 5000},
                {"WAIT = 5", 1, 5000},
                {"wait=\"7\"", 1, 7000},
                {"wait=5;x=y", 1, 5000},
                {"respond-async, wait=10", 1, 10000},
                {"wait=1, wait=2", 1, 1000},
                {"foo=\"a, wait=1\", wait=2", 1, 2000},
                {"foo=\"a\\\", wait=1\", wait=2", 1, 2000},
                {"foo; wait=3", 0, 0},
                {"foo;wait=3, wait=4", 1, 4000},
                {"wait=30", 1, 30000},
                {"wait=31", 1, 30000},
                {"wait=99999999999999999999999999", 1, 30000},
                {"wait=0", 1, 0},
                {"wait=00012", 1, 12000},
                {"wait", 1, 0},
                {"wait=", 1, 0},
                {"wait=-1", 1, 0},
                {"wait=5s", 1, 0},
                {"wait=\"5", 1, 0},
                {"waiting=5", 0, 0},
                {"", 0, 0},
                {",,;=,\"", 0, 0}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        unsigned ms = 0;
        assert_int_equal(intake_wait(rows[i].text, strlen(rows[i].text), &ms), rows[i].found);
        assert_int_equal(ms, rows[i].ms);
    }
}

static void bodies_are_wiped(void **state)
{
    char text[] = "{\"password\":\"correct horse\",\"more\":[{\"a\":\"staple\"},\"battery\"]}";
    static const char blank[sizeof(text)];
    struct intake_error error;
    json_t *json = intake_body(text, strlen(text), &error), *more;

    (void)state;
    assert_non_null(json);
    assert_memory_equal(text, blank, sizeof(text));
    assert_string_equal(json_string_value(json_object_get(json, "password")), "correct horse");
    more = json_object_get(json, "more");
    body_wipe_json(json);
    assert_memory_equal(json_string_value(json_object_get(json, "password")), blank, 13);
    assert_memory_equal(json_string_value(json_object_get(json_array_get(more, 0), "a")), blank, 6);
    assert_memory_equal(json_string_value(json_array_get(more, 1)), blank, 7);
    json_decref(json);
}

static void bodies_are_bounded(void **state)
{
    char text[256], detail[128];
    json_t *json;

    (void)state;
    memset(text, '[', CG_JSON_DEPTH_MAX + 1);
    memset(text + CG_JSON_DEPTH_MAX + 1, ']', CG_JSON_DEPTH_MAX + 1);
    assert_int_equal(
        body_parse(&json, text, 2 * (CG_JSON_DEPTH_MAX + 1), "it", detail, sizeof(detail)),
        CG_E_INVALID);
    assert_null(json);
    assert_non_null(strstr(detail, "it is nested deeper"));
    assert_int_equal(
        body_parse(&json, text + 1, (size_t)2 * CG_JSON_DEPTH_MAX, "it", detail, sizeof(detail)),
        CG_OK);
    assert_non_null(json);
    json_decref(json);
    assert_int_equal(body_parse(&json, "{\"a\":1,\"a\":2}", 13, "it", detail, sizeof(detail)),
                     CG_E_INVALID);
    assert_int_equal(body_parse(&json, "{\"a\":\"\\u0000\"}", 14, "it", detail, sizeof(detail)),
                     CG_E_INVALID);
    assert_int_equal(body_parse(&json, "", 0, "it", detail, sizeof(detail)), CG_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_both_forms_are_one),
        cmocka_unit_test(keys_have_a_length),
        cmocka_unit_test(wait_is_found),
        cmocka_unit_test(bodies_are_wiped),
        cmocka_unit_test(bodies_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
