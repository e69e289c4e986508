/* Requests that are lists: each entry stands for itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cctgate/codec.h"
#include "cctgate/error.h"
#include "cctgate/xml.h"

static struct contract *contract;
static const struct contract_operation *notify;

#define OPEN                                                                                       \
    "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "                           \
    "xmlns:nc=\"http://www.nortel.com/soa/oi/cct/types/NotificationConsumer\" "                    \
    "xmlns:bn=\"http://www.nortel.com/soa/oi/cct/BaseNotification\" "                              \
    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><s:Body>"
#define CLOSE "</s:Body></s:Envelope>"
#define MESSAGE(session, more)                                                                     \
    "<nc:NotificationMessage><bn:Topic><bn:NotificationTopic/></bn:Topic><bn:Message>"             \
    "<bn:EventType>WHATEVER</bn:EventType>" more "</bn:Message><bn:SessionId>" session             \
    "</bn:SessionId><bn:SubscriptionId>u</bn:SubscriptionId>"                                      \
    "<bn:Timestamp>2030-01-01T00:00:00Z</bn:Timestamp></nc:NotificationMessage>"

struct told {
    char text[256]; /* session ids, "!" for a bad one */
    char pointer[64];
};

static void on_entry(void *data, json_t *entry, const struct codec_error *error)
{
    struct told *told = data;
    const char *session = json_string_value(json_object_get(entry, "SessionId"));
    strncat(told->text, session != NULL ? session : "!", sizeof(told->text) - 10);
    if (entry == NULL)
        strncpy(told->pointer, error->pointer, sizeof(told->pointer) - 1);
}

static int decode(const char *xml, struct told *told)
{
    struct codec_error error = {0};
    memset(told, 0, sizeof(*told));
    return codec_decode_list(notify, xml, strlen(xml), on_entry, told, &error);
}

static void test_each_entry_stands_for_itself(void **state)
{
    struct told told;
    (void)state;
    assert_int_equal(
        decode(OPEN "<nc:Notify>" MESSAGE("a", "") MESSAGE("b", "<bn:Mood>x</bn:Mood>")
                   MESSAGE("c", "<bn:AgentStateEvent/>") "<nc:Other/>" MESSAGE(
                       "d", "") "<nc:NotificationMessage/>" MESSAGE("e", "") "</nc:Notify>" CLOSE,
               &told),
        CG_OK);
    assert_string_equal(told.text, "ab!!d!e");
}

static void test_the_place_of_the_offence_is_told(void **state)
{
    struct told told;
    (void)state;
    assert_int_equal(
        decode(OPEN "<nc:Notify>" MESSAGE("c", "<bn:AgentStateEvent/>") "</nc:Notify>" CLOSE,
               &told),
        CG_OK);
    assert_string_equal(told.pointer, "/Message/AgentStateEvent/Agent");
}

static void test_what_is_not_known_is_kept(void **state)
{
    static const char xml[] =
        OPEN "<nc:Notify>" MESSAGE("a", "<bn:Mood>x</bn:Mood>") "</nc:Notify>" CLOSE;
    const struct contract_operation *op;
    struct codec_error error;
    json_t *arguments, *message;
    char *token;

    (void)state;
    /* the same as when the whole is decoded */
    assert_int_equal(codec_decode_request(contract, "NotificationConsumer", xml, strlen(xml), &op,
                                          &arguments, &token, &error),
                     CG_OK);
    message = json_object_get(json_array_get(json_object_get(arguments, "NotificationMessage"), 0),
                              "Message");
    assert_string_equal(json_string_value(json_object_get(message, "EventType")), "WHATEVER");
    assert_int_equal(json_array_size(json_object_get(message, "#any")), 1);
    json_decref(arguments);
}

static void test_what_is_no_list_of_ours(void **state)
{
    struct told told;
    (void)state;
    assert_int_equal(decode("", &told), CG_E_XML);
    assert_int_equal(decode("<a>", &told), CG_E_XML);
    assert_int_equal(decode("<a/>", &told), CG_E_PROTOCOL);
    assert_int_equal(decode(OPEN CLOSE, &told), CG_E_PROTOCOL);
    assert_int_equal(decode(OPEN "<nc:Other/>" CLOSE, &told), CG_E_NOTFOUND);
    assert_int_equal(decode(OPEN "<Notify/>" CLOSE, &told), CG_E_NOTFOUND);
    assert_int_equal(decode(OPEN "<nc:Notify/>" CLOSE, &told), CG_OK);
    assert_string_equal(told.text, "");
}

static void test_an_operation_that_is_no_list(void **state)
{
    const struct contract_operation *op =
        contract_find(contract, "UserService", "LogInToCCTServer");
    struct codec_error error;
    (void)state;
    assert_int_equal(codec_decode_list(op, OPEN CLOSE, strlen(OPEN CLOSE), on_entry, NULL, &error),
                     CG_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_entry_stands_for_itself),
        cmocka_unit_test(test_the_place_of_the_offence_is_told),
        cmocka_unit_test(test_what_is_not_known_is_kept),
        cmocka_unit_test(test_what_is_no_list_of_ours),
        cmocka_unit_test(test_an_operation_that_is_no_list),
    };
    char error[512];
    int failed;

    xml_init();
    if (contract_load(&contract, "conf/contract", error, sizeof(error)) != CG_OK)
        return 1;
    notify = contract_find(contract, "NotificationConsumer", "Notify");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    contract_free(&contract);
    return failed;
}
