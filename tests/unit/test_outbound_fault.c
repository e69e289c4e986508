#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/outbound/fault.h"

static void test_of_login(void **state)
{
    (void)state;
    /* what a public client looks for, with and without what ASP.NET puts before it */
    assert_int_equal(
        outbound_fault_of_login("Application administrator, user ID x, is already logged in"),
        OUTBOUND_FAULT_IN_USE);
    assert_int_equal(outbound_fault_of_login("System.Web.Services.Protocols.SoapException: Server "
                                             "was unable to process request. ---> x Is Already "
                                             "Logged In\n   at y"),
                     OUTBOUND_FAULT_IN_USE);
    assert_int_equal(outbound_fault_of_login("Expired"), OUTBOUND_FAULT_EXPIRED);
    assert_int_equal(outbound_fault_of_login("Invalid user name or password"),
                     OUTBOUND_FAULT_OTHER);
    assert_int_equal(outbound_fault_of_login(""), OUTBOUND_FAULT_OTHER);
    assert_int_equal(outbound_fault_of_login(NULL), OUTBOUND_FAULT_OTHER);
}

static void test_of_call(void **state)
{
    (void)state;
    assert_int_equal(outbound_fault_of_call("Invalid or expired session key"), OUTBOUND_FAULT_KEY);
    assert_int_equal(outbound_fault_of_call("The SessionKey is wrong"), OUTBOUND_FAULT_KEY);
    assert_int_equal(outbound_fault_of_call("Your session has expired."), OUTBOUND_FAULT_KEY);
    assert_int_equal(outbound_fault_of_call("The campaign has expired"), OUTBOUND_FAULT_OTHER);
    assert_int_equal(
        outbound_fault_of_call("AppendContactsToCampaign may be called once per second at most"),
        OUTBOUND_FAULT_TOO_FAST);
    assert_int_equal(outbound_fault_of_call("Campaign 107 is not active"), OUTBOUND_FAULT_OTHER);
    assert_int_equal(outbound_fault_of_call(NULL), OUTBOUND_FAULT_OTHER);
}

static void test_secrets_are_blotted_out(void **state)
{
    char message[] = "The key 4711-0815 is not 4711-0815", whole[] = "4711";

    (void)state;
    outbound_fault_blot(message, "4711-0815");
    assert_string_equal(message, "The key ********* is not *********");
    outbound_fault_blot(message, NULL);
    outbound_fault_blot(message, "");
    outbound_fault_blot(message, "absent");
    assert_string_equal(message, "The key ********* is not *********");
    outbound_fault_blot(whole, "4711");
    assert_string_equal(whole, "****");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_login),
        cmocka_unit_test(test_of_call),
        cmocka_unit_test(test_secrets_are_blotted_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
