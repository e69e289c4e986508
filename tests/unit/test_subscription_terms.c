/* References, leases and topics of subscriptions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cctgate/codec.h"
#include "cctgate/contract.h"
#include "cctgate/error.h"
#include "cctgate/xml.h"
#include "gateway/upstream/subscription_terms.h"

#define URL "http://10.0.0.1:9091/NotificationConsumer/00ff"

static void test_reference_is_cut_behind_our_own_url(void **state)
{
    (void)state;
    assert_string_equal(terms_id(URL ":subscription-1", URL), "subscription-1");
    assert_string_equal(terms_id(URL ":a:b", URL), "a:b");
    /* the same place in another spelling */
    assert_string_equal(terms_id("http://GATEWAY:9091/NotificationConsumer/00ff:77", URL), "77");
    /* no URL at all */
    assert_string_equal(terms_id("subscription-0001", URL), "subscription-0001");
    assert_string_equal(terms_id("a:b", URL), "a:b");
    assert_null(terms_id("", URL));
    assert_null(terms_id(URL ":", URL));
    assert_null(terms_id("http://host/path", URL));
}

static void test_lease(void **state)
{
    static const struct terms_bounds none = {0, 0}, bounds = {5000, 20000};

    (void)state;
    assert_int_equal(terms_end(1000000, 0, 3600000, &none), 4600000);
    assert_int_equal(terms_end(1000000, -7000, 3600000, &none), 4593000);
    assert_int_equal(terms_end(1000000, 50, 3600000, &bounds), 1020050);
    assert_int_equal(terms_end(1000000, 50, 10, &bounds), 1005050);
    assert_int_equal(terms_end(1000000, 50, 10000, &bounds), 1010050);
    assert_int_equal(terms_renew_in(1000, 3601000), 1800000);
    assert_in_range(terms_renew_in(1000, 1010), 1, 1000); /* soon, not at once */
    assert_in_range(terms_renew_in(5000, 1000), 1, 1000);
}

/* ---- what is asked for ---- */

static const struct contract_operation *find(struct contract *contract)
{
    return contract_find(contract, "NotificationProducer", "Subscribe");
}

static void test_every_listener_and_flag_of_the_contract(void **state)
{
    struct contract *contract;
    struct codec_error why;
    struct codec_buffer out = {0};
    char error[512];
    json_t *schema, *template, *topics, *policy, *flag;
    const char *name;

    (void)state;
    assert_int_equal(contract_load(&contract, "conf/contract", error, sizeof(error)), CG_OK);
    schema = codec_input_schema(find(contract));
    template = terms_template(schema);
    topics = json_object_get(json_object_get(template, "TopicExpression"), "NotificationTopic");
    assert_int_equal(json_object_size(topics), 12);
    assert_int_equal(json_object_size(json_object_get(topics, "AgentPropertyListener")), 0);
    policy = json_object_get(template, "SubscriptionPolicy");
    assert_int_equal(json_object_size(policy), 5);
    json_object_foreach(policy, name, flag) assert_true(json_is_true(flag));
    assert_true(terms_has(schema, "InitialTerminationTime"));
    assert_false(terms_has(schema, "Anything"));
    json_object_set_new(template, "ConsumerReference",
                        json_pack("{s:s, s:s}", "Address", URL, "SubscriptionId", ""));
    assert_int_equal(codec_encode_request(find(contract), SOAP_1_1, template, "t", &out, &why),
                     CG_OK);
    codec_buffer_release(&out);
    json_decref(template);
    json_decref(schema);
    contract_free(&contract);
}

static void test_listeners_of_another_release(void **state)
{
    json_t *schema = json_loads(
        "{\"properties\":{\"TopicExpression\":{\"$ref\":\"#/$defs/T\"}},\"$defs\":{"
        "\"T\":{\"properties\":{\"NotificationTopic\":{\"$ref\":\"#/$defs/N\"}}},"
        "\"N\":{\"properties\":{\"MoodListener\":{\"$ref\":\"#/$defs/L\"},"
        "\"PickyListener\":{\"$ref\":\"#/$defs/P\"},\"@Dialect\":{\"type\":\"string\"}}},"
        "\"L\":{\"properties\":{},\"required\":[]},"
        "\"P\":{\"properties\":{\"a\":{}},\"required\":[\"a\"]}}}",
        0, NULL);
    json_t *template = terms_template(schema), *expected;

    (void)state;
    expected =
        json_loads("{\"TopicExpression\":{\"NotificationTopic\":{\"MoodListener\":{}}}}", 0, NULL);
    assert_true(json_equal(template, expected));
    json_decref(expected);
    json_decref(template);
    json_decref(schema);
    schema = json_loads("{\"properties\":{\"x\":{\"type\":\"string\"}}}", 0, NULL);
    assert_null(terms_template(schema));
    json_decref(schema);
}

static void test_fingerprint_is_of_what_is_said(void **state)
{
    json_t *a = json_loads("{\"a\":1,\"b\":[true]}", 0, NULL);
    json_t *b = json_loads("{\"b\":[true],\"a\":1}", 0, NULL);
    json_t *c = json_loads("{\"b\":[false],\"a\":1}", 0, NULL);

    (void)state;
    assert_int_equal(terms_fingerprint(a), terms_fingerprint(b));
    assert_int_not_equal(terms_fingerprint(a), terms_fingerprint(c));
    json_decref(a);
    json_decref(b);
    json_decref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_is_cut_behind_our_own_url),
        cmocka_unit_test(test_lease),
        cmocka_unit_test(test_every_listener_and_flag_of_the_contract),
        cmocka_unit_test(test_listeners_of_another_release),
        cmocka_unit_test(test_fingerprint_is_of_what_is_said),
    };
    xml_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
