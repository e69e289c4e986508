/*
 * What clients send: good values in every form, bad ones refused with place, expectation and
 * finding.
 */
#include "contract_support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int set_up(void **state)
{
    support_init();
    *state = support_load(CONTRACT_DIRECTORY);
    return 0;
}

static int tear_down(void **state)
{
    struct contract *contract = *state;
    contract_free(&contract);
    return 0;
}

#define AGENT    "'agent': {'agentLoginId': '2001', 'userName': 'u', 'agentType': 'Agent'}"
#define PROVIDER "'provider': {'providerName': 'p'}"
#define CONTACT                                                                                    \
    "'contact': {'contactId': 'c', 'externalContactId': 'x', " PROVIDER                            \
    ", 'contactTypes': {'item': [{'type': 'Voice'}]}}"

static const struct {
    const char *service, *operation, *arguments, *pointer, *expected, *found;
} bad[] = {
    {"AgentService", "GetCapabilities", "{}", "/agent", "object", "absent"},
    {"AgentService", "GetCapabilities", "[]", "", "object", "array"},
    {"AgentService", "GetCapabilities", "'x'", "", "object", "string"},
    {"AgentService", "GetCapabilities", "null", "", "object", "null"},
    {"AgentService", "GetCapabilities", "{'agent': null}", "/agent", "object", "null"},
    {"AgentService", "GetCapabilities", "{'agent': 'x'}", "/agent", "object", "string"},
    {"AgentService", "GetCapabilities",
     "{'agent': {'agentLoginId': 2001, 'userName': 'u', 'agentType': 'Agent'}}",
     "/agent/agentLoginId", "string", "integer"},
    {"AgentService", "GetCapabilities", "{'agent': {'agentLoginId': '2001', 'agentType': 'Agent'}}",
     "/agent/userName", "string", "absent"},
    {"AgentService", "GetCapabilities",
     "{'agent': {'agentLoginId': '1', 'userName': 'u', 'agentType': 'AGENT'}}", "/agent/agentType",
     "one of Agent, AgentSupervisor, Supervisor", "a value that is not listed"},
    {"AgentService", "GetCapabilities", "{" AGENT ", 'x/y~z': 1}", "/x~1y~0z", "no such member",
     "integer"},
    {"AgentService", "GetCapabilities", "{" AGENT ", '@id': 'x'}", "/@id", "no such member",
     "string"},
    {"AgentService", "GetCapabilities", "{" AGENT ", '#any': []}", "/#any", "no such member",
     "array"},
    {"AgentService", "GetCapabilities", "{" AGENT ", '#text': 'x'}", "/#text", "no such member",
     "string"},
    {"AgentService", "GetCapabilities", "{" AGENT ", 'ssoToken': {'token': 'mine'}}", "/ssoToken",
     "no session token: the gateway adds it", "object"},
    {"AgentService", "GetVersion", "{'x': {}}", "/x", "no such member", "object"},
    {"AgentService", "SetReady", "{" AGENT ", 'ready': 'true'}", "/ready", "boolean", "string"},
    {"AgentService", "SetReady", "{" AGENT ", 'ready': 1}", "/ready", "boolean", "integer"},
    {"AgentService", "Login", "{" AGENT ", 'password': 'p', 'initialState': 'SLEEPING'}",
     "/initialState", "one of READY, NOT_READY", "a value that is not listed"},
    {"AddressService", "PresenceSubscribe",
     "{'address': {'addressName': 'a', 'addressType': 'AGENT', " PROVIDER
     ", 'status': 's'}, 'duration': 2147483648}",
     "/duration", "integer from -2147483648 to 2147483647", "number out of range"},
    {"AddressService", "PresenceSubscribe",
     "{'address': {'addressName': 'a', 'addressType': 'AGENT', " PROVIDER
     ", 'status': 's'}, 'duration': 1.0}",
     "/duration", "integer from -2147483648 to 2147483647", "real"},
    {"AddressService", "PresenceSubscribe",
     "{'address': {'addressName': 'a', 'addressType': 'AGENT', " PROVIDER
     ", 'status': 's'}, 'duration': '1'}",
     "/duration", "integer from -2147483648 to 2147483647", "string"},
    {"AddressService", "SetForwarding",
     "{'address': {'addressName': 'a', 'addressType': 'AGENT', " PROVIDER
     ", 'status': 's'}, 'forwarding': {}}",
     "/forwarding", "array of object", "object"},
    {"AddressService", "SetForwarding",
     "{'address': {'addressName': 'a', 'addressType': 'AGENT', " PROVIDER
     ", 'status': 's'}, 'forwarding': [null, 7]}",
     "/forwarding/1", "object", "integer"},
    {"AddressService", "SetForwarding",
     "{'address': {'addressName': 'a', 'addressType': 'AGENT', " PROVIDER
     ", 'status': 's'}, 'forwarding': null}",
     "/forwarding", "array of object", "null"},
    {"ContactService", "SetAttachedData",
     "{" CONTACT ", 'attachedData': {'type': 'BINARY', 'binaryData': {'item': [1, -128, 128]}}}",
     "/attachedData/binaryData/item/2", "integer from -128 to 127", "number out of range"},
    {"NotificationConsumer", "Notify", "{'NotificationMessage': []}", "/NotificationMessage",
     "at least 1 entry", "0 entries"},
    {"NotificationConsumer", "Notify", "{}", "/NotificationMessage", "array of object", "absent"},
    {"NotificationProducer", "Renew",
     "{'SubscriptionReference': {'Address': 'a', 'SubscriptionId': 's'}, 'TerminationTime': "
     "'2030-13-01T00:00:00Z'}",
     "/TerminationTime", "string with a date and time such as 2030-01-01T00:00:00Z",
     "string of another form"},
    {"NotificationProducer", "Renew",
     "{'SubscriptionReference': {'Address': 'a', 'PortType': 'wsa:x', 'SubscriptionId': 's'}, "
     "'TerminationTime': '2030-01-01T00:00:00'}",
     "/SubscriptionReference/PortType", "string of the form {namespace}name",
     "string of another form"},
    {"NotificationProducer", "Renew",
     "{'SubscriptionReference': {'Address': {'@attributeValue': 'n'}, 'SubscriptionId': 's'}, "
     "'TerminationTime': '2030-01-01T00:00:00'}",
     "/SubscriptionReference/Address/#text", "string", "absent"},
    {"NotificationProducer", "Renew",
     "{'SubscriptionReference': {'Address': {'#text': 'a', '@x': 'n'}, 'SubscriptionId': 's'}, "
     "'TerminationTime': '2030-01-01T00:00:00'}",
     "/SubscriptionReference/Address/@x", "no such member", "string"},
    {"NotificationProducer", "Renew",
     "{'SubscriptionReference': {'Address': 'a', 'ReferenceProperties': {'#any': [{'name': 'a "
     "b'}]}, 'SubscriptionId': 's'},"
     " 'TerminationTime': '2030-01-01T00:00:00'}",
     "/SubscriptionReference/ReferenceProperties/#any/0/name", "string with an XML name",
     "another string"},
    {"NotificationProducer", "Renew",
     "{'SubscriptionReference': {'Address': 'a', 'ReferenceProperties': {'#any': [{'name': 'a', "
     "'content': {'@xmlns': 'u'}}]},"
     " 'SubscriptionId': 's'}, 'TerminationTime': '2030-01-01T00:00:00'}",
     "/SubscriptionReference/ReferenceProperties/#any/0/content/@xmlns", "the name of an attribute",
     "another name"},
    {"OutboundContactWS", "GetContactStatus",
     "{'contactId': 9223372036854775807, 'campaignID': 1, 'customFieldPassed': null}",
     "/customFieldPassed", "boolean", "null"},
    {"OutboundContactWS", "GetContactStatus",
     "{'contactID': 1, 'campaignID': 1, 'customFieldPassed': true}", "/contactId",
     "integer from -9223372036854775808 to 9223372036854775807", "absent"},
};

static const struct contract_operation *find(const struct contract *contract, const char *service,
                                             const char *name)
{
    const struct contract_operation *op = contract_find(contract, service, name);
    assert_non_null(op);
    return op;
}

static void refuses_bad_arguments_with_their_place(void **state)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct contract_operation *op = find(*state, bad[i].service, bad[i].operation);
        struct codec_buffer buffer = {0};
        struct codec_error error;
        json_t *arguments = support_json(bad[i].arguments);
        memset(&error, 'x', sizeof(error));
        int rc = codec_encode_request(op, SOAP_1_1, arguments, op->takes_token ? "t" : NULL,
                                      &buffer, &error);
        if (rc != CG_E_INVALID)
            fail_msg("%s gives %d", bad[i].arguments, rc);
        if (strcmp(error.pointer, bad[i].pointer) != 0 ||
            strcmp(error.expected, bad[i].expected) != 0 || strcmp(error.found, bad[i].found) != 0)
            fail_msg("%s:\n%s | %s | %s instead of\n%s | %s | %s", bad[i].arguments, error.pointer,
                     error.expected, error.found, bad[i].pointer, bad[i].expected, bad[i].found);
        assert_non_null(strstr(error.text, bad[i].found));
        assert_int_equal(buffer.length, 0);
        json_decref(arguments);
        codec_buffer_release(&buffer);
    }
}

static void long_lists_of_values_are_cut(void **state)
{
    const struct contract_operation *op = find(*state, "AddressService", "GetCapabilities");
    struct codec_buffer buffer = {0};
    struct codec_error error;
    json_t *arguments = support_json(
        "{'address': {'addressName': 'a', 'addressType': 'NONE', " PROVIDER ", 'status': 's'}}");
    assert_int_equal(codec_encode_request(op, SOAP_1_1, arguments, "t", &buffer, &error),
                     CG_E_INVALID);
    assert_string_equal(error.pointer, "/address/addressType");
    assert_true(strlen(error.expected) < sizeof(error.expected));
    assert_non_null(strstr(error.expected, "UNDEFINED, OUT_OF_PROVIDER"));
    assert_string_equal(error.expected + strlen(error.expected) - 3, "...");
    json_decref(arguments);
    codec_buffer_release(&buffer);
}

static void failure_leaves_the_buffer_as_it_was(void **state)
{
    const struct contract_operation *op = find(*state, "AgentService", "GetCapabilities");
    struct codec_buffer buffer = {0};
    struct codec_error error;
    json_t *good = support_json("{" AGENT "}"), *wrong = support_json("{" AGENT ", 'more': 1}");
    assert_int_equal(codec_encode_request(op, SOAP_1_1, good, "t", &buffer, &error), CG_OK);
    char *before = strdup(buffer.bytes);
    size_t length = buffer.length;
    assert_int_equal(codec_encode_request(op, SOAP_1_1, wrong, "t", &buffer, &error), CG_E_INVALID);
    assert_int_equal(buffer.length, length);
    assert_string_equal(buffer.bytes, before);
    assert_int_equal(codec_encode_request(op, SOAP_1_1, good, "t", &buffer, &error), CG_OK);
    assert_int_equal(buffer.length, length * 2);
    assert_int_equal(strncmp(buffer.bytes + length, before, length), 0);
    free(before);
    json_decref(good);
    json_decref(wrong);
    codec_buffer_release(&buffer);
}

static void a_token_is_needed_and_checked(void **state)
{
    const struct contract_operation *op = find(*state, "AgentService", "GetCapabilities");
    struct codec_buffer buffer = {0};
    struct codec_error error;
    json_t *good = support_json("{" AGENT "}");
    assert_int_equal(codec_encode_request(op, SOAP_1_1, good, NULL, &buffer, &error), CG_E_INVALID);
    assert_string_equal(error.pointer, "/ssoToken");
    assert_int_equal(codec_encode_request(op, SOAP_1_1, good, "a\001b", &buffer, &error),
                     CG_E_INVALID);
    assert_null(strstr(error.text, "a\001b"));
    assert_int_equal(codec_encode_request(op, SOAP_1_1, good, "a</b>&", &buffer, &error), CG_OK);
    assert_non_null(strstr(buffer.bytes, "token>a&lt;/b&gt;&amp;</"));
    json_decref(good);
    codec_buffer_release(&buffer);
}

static void no_arguments_count_as_none(void **state)
{
    struct codec_buffer buffer = {0};
    struct codec_error error;
    const struct contract_operation *op = find(*state, "AgentService", "GetVersion");
    assert_int_equal(codec_encode_request(op, SOAP_1_1, NULL, NULL, &buffer, &error), CG_OK);
    op = find(*state, "OutboundCampaignWS", "GetCampaigns");
    assert_int_equal(codec_encode_request(op, SOAP_1_2, NULL, NULL, &buffer, &error), CG_OK);
    op = find(*state, "AgentService", "GetCapabilities");
    assert_int_equal(codec_encode_request(op, SOAP_1_1, NULL, "t", &buffer, &error), CG_E_INVALID);
    op = find(*state, "AgentService", "Logout");
    assert_int_equal(codec_encode_response(op, SOAP_1_1, NULL, &buffer, &error), CG_OK);
    json_t *something = support_json("{'x': 1}");
    assert_int_equal(codec_encode_response(op, SOAP_1_1, something, &buffer, &error), CG_E_INVALID);
    json_decref(something);
    codec_buffer_release(&buffer);
}

/* Encodes and decodes one string in Login's password. */
static int through_the_wire(const struct contract *contract, const char *text, size_t length,
                            json_t **back, char **xml)
{
    const struct contract_operation *op = find(contract, "AgentService", "Login"), *found;
    struct codec_buffer buffer = {0};
    struct codec_error error;
    char *token;
    json_t *arguments = support_json("{" AGENT ", 'initialState': 'READY'}"), *decoded;
    json_object_set_new(arguments, "password", json_stringn_nocheck(text, length));
    int rc = codec_encode_request(op, SOAP_1_1, arguments, "t", &buffer, &error);
    json_decref(arguments);
    if (rc == CG_OK) {
        assert_int_equal(codec_decode_request(contract, "AgentService", buffer.bytes, buffer.length,
                                              &found, &decoded, &token, &error),
                         CG_OK);
        *back = json_incref(json_object_get(decoded, "password"));
        *xml = strdup(buffer.bytes);
        json_decref(decoded);
        free(token);
    } else {
        assert_string_equal(error.pointer, "/password");
    }
    codec_buffer_release(&buffer);
    return rc;
}

static void any_text_that_xml_can_carry_survives(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "  x  ",
        "\t\r\n",
        "a\r\nb\rc",
        "<",
        "]]>",
        "</soap:Body>",
        "<!--",
        "&amp;",
        "&#0;",
        "'\"",
        "<![CDATA[x]]>",
        "<n0:ssoToken>",
        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
        "\x7f",
        "\xef\xbf\xbd",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "\xc2\x80",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *back;
        char *xml;
        if (through_the_wire(*state, texts[i], strlen(texts[i]), &back, &xml) != CG_OK)
            fail_msg("text %zu", i);
        assert_string_equal(json_string_value(back), texts[i]);
        json_decref(back);
        free(xml);
    }
}

static void text_that_xml_cannot_carry_is_refused(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } texts[] = {
        {"a\0b", 3},
        {"\x01", 1},
        {"\x0b", 1},
        {"\x1f", 1},
        {"x\x08y", 3},
        {"\xef\xbf\xbe", 3},
        {"\xef\xbf\xbf", 3},
        {"\xed\xa0\x80", 3},
        {"\xed\xbf\xbf", 3},
        {"\xff", 1},
        {"\xc3", 1},
        {"a\xe2\x82", 3},
        {"\xc0\x80", 2},
        {"\xe0\x80\x80", 3},
        {"\xf0\x80\x80\x80", 4},
        {"\xf4\x90\x80\x80", 4},
        {"\x80", 1},
        {"\xf5\x80\x80\x80", 4},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *back;
        char *xml;
        if (through_the_wire(*state, texts[i].text, texts[i].length, &back, &xml) != CG_E_INVALID)
            fail_msg("text %zu", i);
    }
}

static const struct {
    const char *time;
    int good;
} times[] = {
    {"2030-01-01T00:00:00Z", 1},
    {"2030-01-01T00:00:00", 1},
    {"2030-12-31T23:59:59.123456+14:00", 1},
    {"2028-02-29T24:00:00-05:30", 1},
    {"-0044-03-15T00:00:00Z", 1},
    {"12030-01-01T00:00:00Z", 1},
    {"2030-02-29T00:00:00Z", 0},
    {"2030-01-01", 0},
    {"2030-01-01T24:00:01Z", 0},
    {"2030-01-01T00:00:00.Z", 0},
    {"2030-01-01T00:00:00+14:01", 0},
    {"2030-1-1T00:00:00Z", 0},
    {"2030-01-01 00:00:00", 0},
    {" 2030-01-01T00:00:00Z", 0},
    {"2030-01-01T00:00:00Zx", 0},
    {"0000-01-01T00:00:00Z", 0},
    {"02030-01-01T00:00:00Z", 0},
    {"", 0},
    {"now", 0},
};

static void checks_the_form_of_times(void **state)
{
    const struct contract_operation *op = find(*state, "NotificationProducer", "Renew");
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct codec_buffer buffer = {0};
        struct codec_error error;
        json_t *arguments = json_pack("{s:{s:s, s:s}, s:s}", "SubscriptionReference", "Address",
                                      "a", "SubscriptionId", "", "TerminationTime", times[i].time);
        int rc = codec_encode_request(op, SOAP_1_1, arguments, "t", &buffer, &error);
        if (rc != (times[i].good ? CG_OK : CG_E_INVALID))
            fail_msg("%s", times[i].time);
        json_decref(arguments);
        codec_buffer_release(&buffer);
    }
}

static void depth_is_bounded(void **state)
{
    const struct contract_operation *op = find(*state, "NotificationProducer", "Renew");
    struct codec_buffer buffer = {0};
    struct codec_error error;
    json_t *content = json_string("x");
    for (int i = 0; i < 100; i++)
        content = json_pack("{s:[{s:s, s:s, s:o}]}", "#any", "name", "a", "namespace", "u",
                            "content", content);
    json_t *arguments = json_pack("{s:{s:s, s:o, s:s}, s:s}", "SubscriptionReference", "Address",
                                  "a", "ReferenceProperties", content, "SubscriptionId", "",
                                  "TerminationTime", "2030-01-01T00:00:00Z");
    assert_int_equal(codec_encode_request(op, SOAP_1_1, arguments, "t", &buffer, &error),
                     CG_E_LIMIT);
    assert_int_equal(buffer.length, 0);
    json_decref(arguments);
    codec_buffer_release(&buffer);
}

static void large_arrays_are_linear(void **state)
{
    const struct contract_operation *op = find(*state, "ContactService", "SetAttachedData"), *found;
    struct codec_buffer buffer = {0};
    struct codec_error error;
    char *token;
    json_t *arguments = support_json(
        "{" CONTACT ", 'attachedData': {'type': 'BINARY', 'binaryData': {'item': []}}}");
    json_t *items = json_object_get(
               json_object_get(json_object_get(arguments, "attachedData"), "binaryData"), "item"),
           *back;
    for (int i = 0; i < 100000; i++)
        json_array_append_new(items, json_integer(i % 256 - 128));
    clock_t start = clock();
    assert_int_equal(codec_encode_request(op, SOAP_1_1, arguments, "t", &buffer, &error), CG_OK);
    assert_int_equal(codec_decode_request(*state, "ContactService", buffer.bytes, buffer.length,
                                          &found, &back, &token, &error),
                     CG_OK);
    assert_true((clock() - start) / CLOCKS_PER_SEC < 10); /* half a second with sanitizers */
    assert_true(json_equal(arguments, back));
    json_decref(arguments);
    json_decref(back);
    free(token);
    codec_buffer_release(&buffer);
}

/* A handle that the upstream told goes back as it came, also when our contract does not know all of it (rule 2). */
static void what_the_upstream_told_is_passed_back(void **state)
{
    const struct contract_operation *op = contract_find(*state, "AddressService", "GetState");
    struct codec_buffer out = {NULL, 0, 0};
    struct codec_error error;
    json_t *told =
        json_pack("{s:{s:s, s:s, s:{s:s}, s:s, s:[{s:s, s:s, s:s}]}}", "address", "addressName",
                  "7", "addressType", "HOLOGRAM", "provider", "providerName", "p", "status", "",
                  "#any", "name", "extra", "namespace", "urn:x", "content", "y");

    assert_non_null(told);
    assert_int_equal(codec_encode_request(op, SOAP_1_1, told, "t", &out, &error), CG_E_INVALID);
    assert_int_equal(codec_encode_forward(op, SOAP_1_1, told, "t", &out, &error), CG_OK);
    assert_non_null(strstr(out.bytes, ">HOLOGRAM<"));
    assert_null(strstr(out.bytes, "extra"));
    json_object_set_new(json_object_get(told, "address"), "addressType", json_string("a\x01"));
    codec_buffer_release(&out);
    assert_int_equal(codec_encode_forward(op, SOAP_1_1, told, "t", &out, &error), CG_E_INVALID);
    codec_buffer_release(&out);
    json_decref(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_arguments_with_their_place),
        cmocka_unit_test(long_lists_of_values_are_cut),
        cmocka_unit_test(failure_leaves_the_buffer_as_it_was),
        cmocka_unit_test(a_token_is_needed_and_checked),
        cmocka_unit_test(no_arguments_count_as_none),
        cmocka_unit_test(any_text_that_xml_can_carry_survives),
        cmocka_unit_test(text_that_xml_cannot_carry_is_refused),
        cmocka_unit_test(checks_the_form_of_times),
        cmocka_unit_test(what_the_upstream_told_is_passed_back),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(large_arrays_are_linear),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
