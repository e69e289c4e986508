#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cctgate/error.h"
#include "contract_support.h"
#include "gateway/outbound/ask_private.h"

#define OPERATIONS (OUTBOUND_BY_FIELD - OUTBOUND_CONTACTS + 1) /* questions with one of their own */

static int set_up(void **state)
{
    *state = support_load(OUTBOUND_DIRECTORY);
    return 0;
}

static int tear_down(void **state)
{
    struct contract *contract = *state;
    contract_free(&contract);
    return 0;
}

static void fill(struct outbound_ask *ask, struct outbound *outbound, int by_field)
{
    memset(outbound, 0, sizeof(*outbound));
    outbound->statuses = json_pack("{s:i}", "Closed", 3);
    ask->outbound = outbound;
    ask->campaign = 105;
    ask->contact = 10500001;
    ask->by_field = by_field;
    ask->disposition = 41;
    ask->listing.after = 10500000;
    ask->words = json_pack("{s:{s:s}, s:{s:s, s:s}, s:s, s:s, s:s}", "phone", "phoneNo", "5550001",
                           "customField", "name", "Account", "text", "A & B", "status", "Closed",
                           "text", "done", "disposition", "Completed");
}

static const struct contract_operation *operation_of(void **state, enum outbound_question question)
{
    const char *service, *operation;
    const struct contract_operation *op;

    facade_operation(question, &service, &operation);
    assert_non_null(service);
    op = contract_find(*state, service, operation);
    assert_non_null(op);
    return op;
}

/* With the key, which has a place of its own in each, it is a message of the contract. */
static void check_message(const struct contract_operation *op, json_t *arguments)
{
    static const enum soap_version versions[] = {SOAP_1_1, SOAP_1_2};
    struct codec_error error;
    size_t i;

    json_object_set_new(arguments,
                        outbound_has_member(op, "sessionKey") ? "sessionKey" : "sessionkey",
                        json_string("key"));
    for (i = 0; i < 2; ++i) {
        struct codec_buffer buffer = {NULL, 0, 0};
        assert_int_equal(codec_encode_request(op, versions[i], arguments, NULL, &buffer, &error),
                         CG_OK);
        codec_buffer_release(&buffer);
    }
}

static void check(void **state, enum outbound_question question, int by_field)
{
    struct outbound_ask *ask = outbound_ask_new(question);
    struct codec_error error;
    struct outbound outbound;
    json_t *arguments;

    fill(ask, &outbound, by_field);
    ask->op = operation_of(state, question);
    assert_int_equal(facade_arguments(ask, &arguments, &error), CG_OK);
    check_message(ask->op, arguments);
    json_decref(arguments);
    json_decref(outbound.statuses);
    outbound_ask_free(&ask);
}

static void test_the_contract_has_it_all(void **state)
{
    int question;

    assert_int_equal(OPERATIONS, 6);
    for (question = OUTBOUND_CONTACTS; question <= OUTBOUND_BY_FIELD; ++question) {
        check(state, (enum outbound_question)question, 0);
        check(state, (enum outbound_question)question, 1);
    }
}

static json_t *arguments_of(void **state, struct outbound_ask *ask)
{
    struct codec_error error;
    json_t *arguments;

    ask->op = operation_of(state, ask->question);
    assert_int_equal(facade_arguments(ask, &arguments, &error), CG_OK);
    return arguments;
}

static void expect(void **state, enum outbound_question question, int by_field, const char *text)
{
    struct outbound_ask *ask = outbound_ask_new(question);
    json_t *expected = json_loads(text, 0, NULL), *arguments;
    struct outbound outbound;

    fill(ask, &outbound, by_field);
    arguments = arguments_of(state, ask);
    assert_true(json_equal(arguments, expected));
    json_decref(arguments);
    json_decref(expected);
    json_decref(outbound.statuses);
    outbound_ask_free(&ask);
}

/* operations.md, "Spelling and type traps" */
static void test_traps(void **state)
{
    expect(state, OUTBOUND_STATUS, 0,
           "{\"contactId\":10500001,\"campaignID\":105,\"customFieldPassed\":false}");
    expect(state, OUTBOUND_STATUS, 1,
           "{\"contactId\":0,\"campaignID\":105,\"customFieldName\":\"Account\","
           "\"customFieldValue\":\"A & B\",\"customFieldPassed\":true}");
    expect(state, OUTBOUND_CLOSE, 0,
           "{\"campaignId\":105,\"contactId\":10500001,\"customFieldSpecified\":false,"
           "\"closureText\":\"done\",\"closedReasonCodeValue\":41,"
           "\"closedReasonCodeSpecified\":true}");
    expect(state, OUTBOUND_CONTACT_ID, 0,
           "{\"phoneNumber\":{\"PhoneNo\":\"5550001\"},\"CampaignID\":105}");
    expect(state, OUTBOUND_BY_PHONE, 0,
           "{\"ContactStatus\":{\"Id\":3,\"Name\":\"Closed\"},\"CampaignID\":105,"
           "\"PhoneNumber\":{\"PhoneNo\":\"5550001\"}}");
    expect(state, OUTBOUND_BY_FIELD, 0,
           "{\"ContactStatus\":{\"Id\":3,\"Name\":\"Closed\"},\"CampaignID\":105,"
           "\"CustomField\":{\"Name\":\"Account\",\"Text\":\"A & B\",\"IsTextVisible\":true}}");
    expect(state, OUTBOUND_CONTACTS, 0, "{\"CampaignID\":105,\"LastContactID\":10500000}");
}

/* A status that was never told goes by its name. */
static void test_status_by_name(void **state)
{
    struct outbound_ask *ask = outbound_ask_new(OUTBOUND_BY_PHONE);
    struct outbound outbound;
    json_t *arguments, *status;

    fill(ask, &outbound, 0);
    json_object_set_new(ask->words, "status", json_string("New"));
    arguments = arguments_of(state, ask);
    status = json_object_get(arguments, "ContactStatus");
    assert_int_equal(json_integer_value(json_object_get(status, "Id")), 0);
    assert_string_equal(json_string_value(json_object_get(status, "Name")), "New");
    json_decref(arguments);
    json_object_del(ask->words, "status");
    arguments = arguments_of(state, ask);
    assert_null(json_object_get(arguments, "ContactStatus"));
    json_decref(arguments);
    json_decref(outbound.statuses);
    outbound_ask_free(&ask);
}

/* A campaign's number is an int in some operations: what does not fit is refused, not cut. */
static void test_number_too_large(void **state)
{
    struct outbound_ask *ask = outbound_ask_new(OUTBOUND_CONTACT_ID);
    struct codec_error error;
    struct outbound outbound;
    json_t *arguments;

    fill(ask, &outbound, 0);
    ask->op = operation_of(state, OUTBOUND_CONTACT_ID);
    ask->campaign = (int64_t)INT32_MAX + 1;
    assert_int_equal(facade_arguments(ask, &arguments, &error), CG_E_INVALID);
    assert_null(arguments);
    json_decref(outbound.statuses);
    outbound_ask_free(&ask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_contract_has_it_all),
        cmocka_unit_test(test_traps),
        cmocka_unit_test(test_status_by_name),
        cmocka_unit_test(test_number_too_large),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
