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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_login),
        cmocka_unit_test(test_of_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
