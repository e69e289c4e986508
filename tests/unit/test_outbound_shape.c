#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cctgate/error.h"
#include "cctgate/outbound_shape.h"
#include "contract_support.h"

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

static const struct contract_operation *append_of(void **state)
{
    const struct contract_operation *op =
        contract_find(*state, "OutboundCampaignWS", "AppendContactsToCampaign");
    assert_non_null(op);
    return op;
}

static void test_names(void **state)
{
    static const struct {
        const char *wire, *client;
    } names[] = {
        {"ID", "id"},
        {"Id", "id"},
        {"ContactID", "contactId"},
        {"SkillsetID", "skillsetId"},
        {"NumbericValue", "numbericValue"},
        {"NumberOfContacts", "numberOfContacts"},
        {"AddressLine1", "addressLine1"},
        {"IsTextVisible", "isTextVisible"},
        {"AutoDialTimeOut", "autoDialTimeOut"},
        {"sessionkey", "sessionkey"},
        {"campaignID", "campaignId"},
        {"OWCampaign", "owCampaign"},
        {"URLOfID", "urlOfId"},
        {"A", "a"},
        {"", ""},
    };
    char client[OUTBOUND_NAME_BYTES];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        outbound_client_name(client, names[i].wire, strlen(names[i].wire));
        assert_string_equal(client, names[i].client);
    }
}

static void test_long_name(void **state)
{
    char wire[3 * OUTBOUND_NAME_BYTES], client[OUTBOUND_NAME_BYTES];

    (void)state;
    memset(wire, 'x', sizeof(wire));
    outbound_client_name(client, wire, sizeof(wire));
    assert_int_equal(strlen(client), OUTBOUND_NAME_BYTES - 1);
}

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    return json;
}

static void expect_client(const char *wire_text, const char *client_text)
{
    json_t *wire = parse(wire_text), *expected = parse(client_text);
    json_t *client = outbound_to_client(wire);

    assert_true(json_equal(client, expected));
    json_decref(client);
    json_decref(expected);
    json_decref(wire);
}

static void test_to_client(void **state)
{
    (void)state;
    expect_client(
        "{\"ContactID\":7,\"CustomFieldList\":{\"OWCustomField\":[{\"Name\":\"a\"},null]},"
        "\"PhoneNumber\":{\"PhoneNo\":\"1\"}}",
        "{\"contactId\":7,\"customFieldList\":[{\"name\":\"a\"},null],"
        "\"phoneNumber\":{\"phoneNo\":\"1\"}}");
    expect_client("{\"ContactList\":{\"OWContact\":[]}}", "{\"contactList\":[]}");
    expect_client("{\"ContactList\":{\"OWContact\":[{\"ContactID\":1}],\"#any\":[]}}",
                  "{\"contactList\":[{\"contactId\":1}]}");
    expect_client("{\"Id\":1,\"#any\":[{\"name\":\"New\"}]}",
                  "{\"id\":1,\"#any\":[{\"name\":\"New\"}]}");
    expect_client("{\"A\":[1],\"B\":[2]}", "{\"a\":[1],\"b\":[2]}");
    expect_client("{}", "{}");
    expect_client("null", "null");
    expect_client("5", "5");
}

static void test_to_wire(void **state)
{
    json_t *client = parse("{\"firstName\":\"Ann\",\"phoneNumber\":{\"phoneNo\":\"5550001\"},"
                           "\"customFieldList\":[{\"name\":\"Account\",\"text\":\"X\"}],"
                           "\"lastName\":null,\"skillsetId\":10001}");
    json_t *expected =
        parse("{\"ContactID\":0,\"CustomFieldList\":{\"OWCustomField\":[{\"Name\":\"Account\","
              "\"Text\":\"X\",\"IsTextVisible\":false}]},\"FirstName\":\"Ann\",\"PhoneNumber\":{"
              "\"PhoneNo\":\"5550001\"},\"PreferredAgentID\":0,\"PreferredAgentSpecified\":false,"
              "\"SkillsetID\":10001}");
    struct codec_error error;
    json_t *wire;

    assert_int_equal(
        outbound_to_wire(append_of(state), "contact", client, "skillsetId", &wire, &error), CG_OK);
    assert_true(json_equal(wire, expected));
    json_decref(wire);
    json_decref(expected);
    json_decref(client);
}

/* What is seen can be given: there and back again. */
static void test_there_and_back(void **state)
{
    const struct contract_operation *op = append_of(state);
    json_t *example = codec_example_input(op, 1), *contact = json_object_get(example, "contact");
    json_t *client = outbound_to_client(contact), *wire;
    struct codec_error error;

    assert_non_null(json_object_get(client, "preferredAgentSpecified"));
    assert_int_equal(outbound_to_wire(op, "contact", client, NULL, &wire, &error), CG_OK);
    assert_true(json_equal(wire, contact));
    json_decref(wire);
    json_decref(client);
    json_decref(example);
}

static void test_refused(void **state)
{
    static const struct {
        const char *client, *pointer, *expected;
    } cases[] = {
        {"{}", "/skillsetId", "a value"},
        {"{\"skillsetId\":null}", "/skillsetId", "a value"},
        {"{\"skillsetId\":\"1\"}", "/skillsetId", "an integer"},
        {"{\"skillsetId\":1.5}", "/skillsetId", "an integer"},
        {"{\"skillsetId\":1,\"SkillsetID\":1}", "/SkillsetID", "no such member"},
        {"{\"skillsetId\":1,\"x~/y\":1}", "/x~0~1y", "no such member"},
        {"{\"skillsetId\":1,\"firstName\":1}", "/firstName", "a string"},
        {"{\"skillsetId\":1,\"preferredAgentSpecified\":0}", "/preferredAgentSpecified",
         "a boolean"},
        {"{\"skillsetId\":1,\"phoneNumber\":\"1\"}", "/phoneNumber", "an object"},
        {"{\"skillsetId\":1,\"phoneNumber\":{\"no\":\"1\"}}", "/phoneNumber/no", "no such member"},
        {"{\"skillsetId\":1,\"customFieldList\":{}}", "/customFieldList", "an array"},
        {"{\"skillsetId\":1,\"customFieldList\":[{},{\"text\":5}]}", "/customFieldList/1/text",
         "a string"},
        {"[]", "", "an object"},
    };
    struct codec_error error;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        json_t *client = parse(cases[i].client), *wire = NULL;
        assert_int_equal(
            outbound_to_wire(append_of(state), "contact", client, "skillsetId", &wire, &error),
            CG_E_INVALID);
        assert_null(wire);
        assert_string_equal(error.pointer, cases[i].pointer);
        assert_memory_equal(error.expected, cases[i].expected, strlen(cases[i].expected));
        json_decref(client);
    }
}

static void test_ranges_are_the_contracts(void **state)
{
    struct codec_error error;
    json_t *wire = NULL, *largest = json_integer(INT32_MAX),
           *larger = json_integer((json_int_t)INT32_MAX + 1);

    assert_int_equal(outbound_to_wire(append_of(state), "CampaignID", largest, NULL, &wire, &error),
                     CG_OK);
    json_decref(wire);
    assert_int_equal(outbound_to_wire(append_of(state), "CampaignID", larger, NULL, &wire, &error),
                     CG_E_INVALID);
    assert_int_equal(outbound_to_wire(append_of(state), "campaignID", largest, NULL, &wire, &error),
                     CG_E_INVALID); /* the element has another name */
    json_decref(largest);
    json_decref(larger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_to_client),
        cmocka_unit_test(test_to_wire),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ranges_are_the_contracts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
