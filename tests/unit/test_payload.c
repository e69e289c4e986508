/* Notifications taken apart: the contract's own samples, and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cctgate/error.h"
#include "gateway/model/payload.h"

static json_t *load(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

#define LEG                                                                                        \
    "{\"Message\":{\"EventType\":\"TERMINAL_CONNECTION_STATE\",\"TerminalConnectionStateEvent\":{" \
    "\"Terminal\":{\"terminalName\":\"Line 1\"},\"TerminalConnection\":"                           \
    "{\"terminalConnectionId\":\"tc\"},\"Connection\":{\"connectionId\":\"n\"},"                   \
    "\"TerminalConnectionCapabilities\":{\"canAnswer\":%s},\"Contact\":{\"contactId\":\"c\"},"     \
    "\"NewState\":\"%s\",\"PreviousState\":\"IDLE\",\"Reason\":\"DEFAULT\",\"SendingTerminal\":"   \
    "{\"terminalName\":\"Line 2\"}}},\"Timestamp\":\"2030-01-01T01:00:01.250+01:00\"}"

static json_t *leg(const char *can, const char *state)
{
    char text[2048];
    snprintf(text, sizeof(text), LEG, can, state);
    return load(text);
}

static void test_a_leg(void **state)
{
    json_t *message = leg("true", "RINGING"), *data;
    struct payload p;

    (void)state;
    assert_int_equal(payload_take(&p, message), CG_OK);
    assert_int_equal(p.type, EVENT_TERMINAL_CONNECTION_STATE);
    assert_true(p.time_ms == INT64_C(1893456001250));
    assert_string_equal(p.ids[ENTITY_TERMINAL], "Line 1");
    assert_string_equal(p.ids[ENTITY_CONTACT], "c");
    assert_string_equal(p.new_state, "RINGING");
    data = payload_data(&p);
    assert_string_equal(json_string_value(json_object_get(data, "terminal")), "Line 1");
    assert_string_equal(json_string_value(json_object_get(data, "contactId")), "c");
    assert_string_equal(json_string_value(json_object_get(data, "newState")), "RINGING");
    assert_string_equal(json_string_value(json_object_get(data, "previousState")), "IDLE");
    assert_string_equal(json_string_value(json_object_get(data, "sendingTerminal")), "Line 2");
    assert_true(json_is_true(json_object_get(json_object_get(data, "capabilities"), "canAnswer")));
    json_decref(data);
    json_decref(message);
}

static uint64_t hash_of(json_t *message)
{
    struct payload p;
    uint64_t hash;
    assert_int_equal(payload_take(&p, message), CG_OK);
    hash = payload_hash(&p);
    json_decref(message);
    return hash;
}

static void test_what_makes_a_change(void **state)
{
    (void)state;
    assert_true(hash_of(leg("true", "RINGING")) == hash_of(leg("false", "RINGING")));
    assert_true(hash_of(leg("true", "RINGING")) != hash_of(leg("true", "ACTIVE")));
}

static void test_properties(void **state)
{
    json_t *message = load(
        "{\"Message\":{\"EventType\":\"AGENT_PROPERTY\",\"AgentPropertyEvent\":{\"AgentProperty\":"
        "\"READY_STATUS\",\"Agent\":{\"agentLoginId\":\"4001\"},\"AgentCapabilities\":{},"
        "\"AgentPropertyReadyStatus\":{\"status\":false,\"reasonCode\":\"7\"}}}}");
    struct payload p;
    json_t *data, *value;

    (void)state;
    assert_int_equal(payload_take(&p, message), CG_OK);
    assert_string_equal(p.property, "READY_STATUS");
    assert_true(p.time_ms == 0);
    data = payload_data(&p);
    value = json_object_get(data, "value");
    assert_true(json_is_false(json_object_get(value, "ready")));
    assert_string_equal(json_string_value(json_object_get(value, "notReadyReasonCode")), "7");
    assert_string_equal(json_string_value(json_object_get(data, "agent")), "4001");
    json_decref(data);
    json_decref(message);
}

static const struct {
    const char *name, *text;
    int rc;
} hostile[] = {
    {"nothing", "{}", CG_E_NOTFOUND},
    {"no type", "{\"Message\":{}}", CG_E_NOTFOUND},
    {"a type that is none", "{\"Message\":{\"EventType\":\"EARTHQUAKE\"}}", CG_E_NOTFOUND},
    {"a number for a type", "{\"Message\":{\"EventType\":7}}", CG_E_NOTFOUND},
    {"another type's payload", "{\"Message\":{\"EventType\":\"SYSTEM\",\"AgentStateEvent\":{}}}",
     CG_E_PROTOCOL},
    {"a payload that is none", "{\"Message\":{\"EventType\":\"SYSTEM\",\"SystemEvent\":[]}}",
     CG_E_PROTOCOL},
    {"everything of a wrong type",
     "{\"Message\":{\"EventType\":\"CONNECTION_STATE\",\"ConnectionStateEvent\":{\"Address\":7,"
     "\"Contact\":[],\"Connection\":{\"connectionId\":{}},\"NewState\":false,"
     "\"ConnectionCapabilities\":\"x\"}},\"Timestamp\":{}}",
     CG_OK},
    {"an empty payload",
     "{\"Message\":{\"EventType\":\"CONTACT_PROPERTY\",\"ContactPropertyEvent\":{}}}", CG_OK},
};

static void test_hostile(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); ++i) {
        json_t *message = load(hostile[i].text);
        struct payload p;
        print_message("%s\n", hostile[i].name);
        assert_int_equal(payload_take(&p, message), hostile[i].rc);
        if (hostile[i].rc == CG_OK) {
            assert_null(p.ids[ENTITY_CONTACT]);
            assert_null(p.new_state);
            payload_hash(&p);
            json_decref(payload_data(&p));
        }
        json_decref(message);
    }
}

static void test_times(void **state)
{
    (void)state;
    assert_true(payload_time_ms(NULL) == 0);
    assert_true(payload_time_ms("yesterday") == 0);
    assert_true(payload_time_ms("1970-01-01T00:00:00Z") == 0);
    assert_true(payload_time_ms("1970-01-01T00:00:01Z") == 1000);
    assert_true(payload_time_ms("1970-01-01T00:00:01.5Z") == 1500);
    assert_true(payload_time_ms("1970-01-01T00:00:01.1234567Z") == 1123);
    assert_true(payload_time_ms("1970-01-01T02:00:01+02:00") == 1000);
    assert_true(payload_time_ms("1969-12-31T22:30:01.250-01:30") == 1250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_leg),      cmocka_unit_test(test_what_makes_a_change),
        cmocka_unit_test(test_properties), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
