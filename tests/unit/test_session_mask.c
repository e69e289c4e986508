#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/upstream/session_private.h"

static const char *masked(const char *message, const char *secret)
{
    static char room[CG_ERROR_TEXT_MAX];

    snprintf(room, sizeof(room), "%s", message);
    session_mask(room, sizeof(room), secret);
    return room;
}

static void test_texts(void **state)
{
    static const struct {
        const char *message, *secret, *wanted;
    } rows[] = {
        {"the value 'geheim' is wrong", "geheim", "the value '***' is wrong"},
        {"geheimgeheim", "geheim", "******"},
        {"geheim", "geheim", "***"},
        {"nothing of it", "geheim", "nothing of it"},
        {"", "geheim", ""},
        {"said", "", "said"},
        {"digit 1 of 21 is wrong: <1>", "1", "digit *** of 21 is wrong: <***>"},
        {"1", "1", "***"},
        {"a b", "a b", "***"},
        {"a\tline", "a\nline", "a\tline"}, /* a message is clean; so is what is looked for */
        {"a line", "a\nline", "***"},
        {"gr\xc3\xbc\xc3\x9f gott", "gr\xc3\xbc\xc3\x9f", "*** gott"},
        {"x\xc3\xbc"
         "1",
         "1",
         "x\xc3\xbc"
         "1"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i)
        assert_string_equal(masked(rows[i].message, rows[i].secret), rows[i].wanted);
}

/* A message that was cut within the secret, or that has no room for the mask. */
static void test_cut(void **state)
{
    char message[64], small[4] = "abc";
    size_t size;

    (void)state;
    for (size = 8; size <= sizeof(message); ++size) {
        memset(message, 'x', sizeof(message));
        snprintf(message + size - 7, 7, "geheim");
        session_mask(message, size, "geheimnis");
        assert_null(strstr(message, "gehe"));
        assert_true(strlen(message) < size);
    }
    session_mask(small, sizeof(small), "abc");
    assert_string_equal(small, "***");
    snprintf(message, 6, "a 1 b");
    session_mask(message, 6, "1");
    assert_string_equal(message, "a ***");
    snprintf(small, sizeof(small), "a 1");
    session_mask(small, sizeof(small), "1");
    assert_string_equal(small, "a ");
}

static void test_arguments(void **state)
{
    struct codec_fault fault = {.message =
                                    "agent 2001 at Line 1.0.1 (AGENT): password geheim, pin 4711, "
                                    "data wert, token abcdef, more tiefer"};
    json_t *arguments = json_pack(
        "{s:{s:s, s:s, s:{s:s}}, s:{s:s, s:s}, s:s, s:i, s:[s], s:{s:{s:[{s:s}]}}}", "agent",
        "agentLoginId", "2001", "agentType", "AGENT", "provider", "providerName", "agent",
        "terminal", "terminalName", "Line 1.0.1", "status", "at", "password", "geheim", "number",
        12, "digits", "4711", "data", "keyValueData", "item", "value", "wert");

    (void)state;
    json_object_set_new(arguments, "deep", json_pack("[[{s:s}]]", "inner", "tiefer"));
    session_mask_fault(&fault, "abcdef", arguments);
    assert_string_equal(fault.message,
                        "agent 2001 at Line 1.0.1 (AGENT): password ***, pin ***, data ***, "
                        "token ***, more ***");
    session_mask_fault(&fault, NULL, NULL);
    json_decref(arguments);
}

/* More than can be looked through: nothing is said. */
static void test_too_much(void **state)
{
    struct codec_fault fault = {.message = "geheim"};
    json_t *arguments = json_object(), *list = json_array();
    int i;

    (void)state;
    for (i = 0; i < 5000; ++i)
        json_array_append_new(list, json_string("x"));
    json_array_append_new(list, json_string("geheim"));
    json_object_set_new(arguments, "list", list);
    session_mask_fault(&fault, NULL, arguments);
    assert_string_equal(fault.message, "");
    json_decref(arguments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
