/* What clients say: messages, queries, handshakes, and tickets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "gateway/events/client_message.h"
#include "gateway/events/handshake.h"
#include "gateway/events/ticket.h"

/* ---- messages ---- */

static void test_places(void **state)
{
    static const struct {
        const char *text;
        int rc;
        uint64_t epoch, seq;
    } rows[] = {{"1-2", CG_OK, 1, 2},
                {"0-0", CG_OK, 0, 0},
                {"18446744073709551615-18446744073709551615", CG_OK, UINT64_MAX, UINT64_MAX},
                {"18446744073709551616-1", CG_E_INVALID, 0, 0},
                {"1-99999999999999999999", CG_E_INVALID, 0, 0},
                {"", CG_E_INVALID, 0, 0},
                {"1", CG_E_INVALID, 0, 0},
                {"1-", CG_E_INVALID, 0, 0},
                {"-1", CG_E_INVALID, 0, 0},
                {"1-2-3", CG_E_INVALID, 0, 0},
                {"1--2", CG_E_INVALID, 0, 0},
                {" 1-2", CG_E_INVALID, 0, 0},
                {"+1-2", CG_E_INVALID, 0, 0},
                {"0x1-2", CG_E_INVALID, 0, 0}};
    struct log_place place;
    size_t i;
    (void)state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        assert_int_equal(log_place_parse(&place, rows[i].text, strlen(rows[i].text)), rows[i].rc);
        if (rows[i].rc == CG_OK) {
            assert_true(place.epoch == rows[i].epoch);
            assert_true(place.seq == rows[i].seq);
        }
    }
}

static void test_subscribe(void **state)
{
    static const char text[] =
        "{\"op\":\"subscribe\",\"id\":\"a\",\"types\":[\"cct.connection.state\","
        "\"gateway.gap\"],\"subjects\":[\"/v1/terminals/Line 1\",\"/v1/calls/a%2fb\"],"
        "\"agents\":[\"2001\"],\"since\":\"3-4\",\"snapshot\":true}";
    struct client_message message;
    struct message_error error;
    struct subscribe subscribe;
    (void)state;

    assert_int_equal(client_message_parse(&message, text, sizeof(text) - 1, &error), CG_OK);
    assert_string_equal(message.op, "subscribe");
    assert_string_equal(message.id, "a");
    assert_int_equal(subscribe_parse(&subscribe, message.json, &error), CG_OK);
    assert_int_equal(subscribe.filter.types,
                     1u << EVENT_CONNECTION_STATE | 1u << EVENT_GATEWAY_GAP);
    assert_int_equal(subscribe.filter.num_subjects, 2);
    assert_string_equal(subscribe.filter.subjects[0], "/v1/terminals/Line%201");
    assert_string_equal(subscribe.filter.subjects[1], "/v1/calls/a%2Fb");
    assert_int_equal(subscribe.filter.num_agents, 1);
    assert_string_equal(subscribe.filter.agents[0], "2001");
    assert_true(subscribe.has_since && subscribe.wants_snapshot);
    assert_int_equal(subscribe.since.epoch, 3);
    assert_int_equal(subscribe.since.seq, 4);
    subscribe_release(&subscribe);
    client_message_release(&message);
}

static void test_nothing_is_all(void **state)
{
    struct message_error error;
    struct subscribe subscribe;
    json_t *json =
        json_loads("{\"types\":null,\"subjects\":[],\"since\":null,\"snapshot\":null}", 0, NULL);
    (void)state;

    assert_int_equal(subscribe_parse(&subscribe, json, &error), CG_OK);
    assert_int_equal(subscribe.filter.types, 0);
    assert_int_equal(subscribe.filter.num_subjects, 0);
    assert_false(subscribe.has_since || subscribe.wants_snapshot);
    subscribe_release(&subscribe);
    json_decref(json);
}

static void test_depth(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } rows[] = {{"{\"op\":\"x\",\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}", CG_OK},
                {"{\"op\":\"x\",\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}", CG_OK},
                {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", CG_E_INVALID}};
    struct client_message message;
    struct message_error error;
    size_t i;
    (void)state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        assert_int_equal(client_message_parse(&message, rows[i].text, strlen(rows[i].text), &error),
                         rows[i].rc);
        client_message_release(&message);
    }
    assert_non_null(strstr(error.detail, "deeper"));
}

static void test_members_at_their_limit(void **state)
{
    struct message_error error;
    struct subscribe subscribe;
    json_t *json = json_object(), *agents = json_array();
    size_t i;
    (void)state;

    json_object_set_new(json, "agents", agents);
    for (i = 0; i < CG_FILTER_MEMBERS_MAX; ++i)
        json_array_append_new(agents, json_sprintf("%zu", i));
    assert_int_equal(subscribe_parse(&subscribe, json, &error), CG_OK);
    assert_int_equal(subscribe.filter.num_agents, CG_FILTER_MEMBERS_MAX);
    subscribe_release(&subscribe);
    json_array_append_new(agents, json_string("one more"));
    assert_int_not_equal(subscribe_parse(&subscribe, json, &error), CG_OK);
    assert_string_equal(error.pointer, "/agents");
    subscribe_release(&subscribe);
    json_decref(json);
}

/* ---- queries ---- */

static int parse_query(struct subscribe *subscribe, const char *query, struct message_error *error)
{
    return subscribe_parse_query(subscribe, query, strlen(query), error);
}

static void test_query(void **state)
{
    struct message_error error;
    struct subscribe subscribe;
    (void)state;

    assert_int_equal(
        parse_query(&subscribe,
                    "types=cct.system,gateway.session&subjects=/v1/calls/x%252Fy,/v1/agents"
                    "&agents=20%2C01,2002&&since=5-6&snapshot=true&ticket=abc",
                    &error),
        CG_OK);
    assert_int_equal(subscribe.filter.types, 1u << EVENT_SYSTEM | 1u << EVENT_GATEWAY_SESSION);
    assert_string_equal(subscribe.filter.subjects[0], "/v1/calls/x%2Fy");
    assert_string_equal(subscribe.filter.subjects[1], "/v1/agents");
    assert_string_equal(subscribe.filter.agents[0], "20,01");
    assert_string_equal(subscribe.filter.agents[1], "2002");
    assert_true(subscribe.wants_snapshot);
    assert_int_equal(subscribe.since.seq, 6);
    subscribe_release(&subscribe);
    assert_int_equal(parse_query(&subscribe, "", &error), CG_OK);
    subscribe_release(&subscribe);
}

static void test_wrong_queries(void **state)
{
    static const struct {
        const char *query, *pointer;
    } rows[] = {{"types=nothing", "?types"},
                {"types=cct.system,,", "?types"},
                {"subjects=x", "?subjects"},
                {"agents=%zz", "?agents"},
                {"agents=%00", "?agents"},
                {"agents=%2", "?agents"},
                {"since=", "?since"},
                {"since=1", "?since"},
                {"snapshot=yes", "?snapshot"},
                {"snapshot", "?snapshot"},
                {"color=red", "?"},
                {"=", "?"}};
    struct message_error error;
    struct subscribe subscribe;
    size_t i;
    (void)state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        assert_int_equal(parse_query(&subscribe, rows[i].query, &error), CG_E_INVALID);
        assert_string_equal(error.pointer, rows[i].pointer);
        subscribe_release(&subscribe);
    }
}

static void test_query_find(void **state)
{
    const char *value;
    size_t length;
    (void)state;

    assert_true(query_find("a=1&ticket=xyz&b", 16, "ticket", &value, &length));
    assert_int_equal(length, 3);
    assert_memory_equal(value, "xyz", 3);
    assert_false(query_find("tickets=1&ticket", 16, "ticket", &value, &length));
    assert_false(query_find("", 0, "ticket", &value, &length));
}

/* ---- handshakes ---- */

static void test_key(void **state)
{
    static const struct {
        const char *key;
        int valid;
    } rows[] = {{"dGhlIHNhbXBsZSBub25jZQ==", 1},
                {"AAAAAAAAAAAAAAAAAAAAAA==", 1},
                {"", 0},
                {"dGhlIHNhbXBsZSBub25jZQ=", 0},
                {"dGhlIHNhbXBsZSBub25jZQ===", 0},
                {"dGhlIHNhbXBsZSBub25jZR==", 0},
                {"dGhl IHNhbXBsZSBub25jZQ=", 0},
                {"dGhlIHNhbXBsZSBub25jZ-==", 0},
                {"dGhlIHNhbXBsZSBub25jZTEy", 0}};
    char accept[HANDSHAKE_ACCEPT_BYTES + 1];
    size_t i;
    (void)state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i)
        assert_int_equal(handshake_key_is_valid(rows[i].key, strlen(rows[i].key)), rows[i].valid);
    handshake_accept(accept, rows[0].key);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455 section 1.3 */
}

static void test_protocols(void **state)
{
    static const struct {
        const char *field;
        int offered, ours, tokens;
    } rows[] = {{"cctgate.v1", 1, 1, 0},
                {" cctgate.v1 ,bearer.abc", 1, 1, 1},
                {"bearer.a, bearer.b", 1, 0, 2},
                {"cctgate.v11, Cctgate.v1", 1, 0, 0},
                {"bearer.", 1, 0, 0},
                {",, ,", 0, 0, 0},
                {"", 0, 0, 0}};
    size_t i;
    (void)state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        struct handshake_protocols protocols = {0};
        handshake_protocols_add(&protocols, rows[i].field, strlen(rows[i].field));
        assert_int_equal(protocols.offered, rows[i].offered);
        assert_int_equal(protocols.ours, rows[i].ours);
        assert_int_equal(protocols.tokens, rows[i].tokens);
        if (i == 1) {
            assert_int_equal(protocols.token_length, 3);
            assert_memory_equal(protocols.token, "abc", 3);
        }
    }
}

static void test_origins(void **state)
{
    static char *origins[] = {"https://desk.example", "http://localhost:3000"};
    static const struct {
        const char *origin, *host;
        int own, listed;
    } rows[] = {{"http://gate.example", "gate.example", 1, 0},
                {"http://gate.example", "gate.example:80", 1, 0},
                {"https://gate.example", "gate.example:443", 1, 0},
                {"https://gate.example", "gate.example:80", 0, 0},
                {"https://gate.example:8443", "GATE.example:8443", 1, 0},
                {"http://gate.example:81", "gate.example", 0, 0},
                {"http://gate.example.evil", "gate.example", 0, 0},
                {"http://gate", "gate.example", 0, 0},
                {"http://", "", 0, 0},
                {"null", "null", 0, 0},
                {"ftp://gate.example", "gate.example", 0, 0},
                {"", "", 0, 0},
                {"https://desk.example", "gate.example", 0, 1},
                {"HTTPS://DESK.example", "gate.example", 0, 1},
                {"https://desk.example.evil", "gate.example", 0, 0},
                {"https://desk.exampl", "gate.example", 0, 0},
                {"http://desk.example", "gate.example", 0, 0},
                {"http://localhost:3000", "gate.example", 0, 1}};
    size_t i;
    (void)state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        size_t length = strlen(rows[i].origin);
        assert_int_equal(
            handshake_origin_is_own(rows[i].origin, length, rows[i].host, strlen(rows[i].host)),
            rows[i].own);
        assert_int_equal(handshake_origin_is_listed(rows[i].origin, length, origins, 2),
                         rows[i].listed);
    }
}

static void test_accept(void **state)
{
    static const struct {
        const char *field;
        int accepts;
    } rows[] = {{"text/event-stream", 1},
                {"Text/Event-Stream;q=1", 1},
                {"a/b, text/event-stream ;x", 1},
                {"text/event-streams", 0},
                {"text/*", 0},
                {"*/*", 0},
                {"", 0}};
    size_t i;
    (void)state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i)
        assert_int_equal(
            handshake_accepts(rows[i].field, strlen(rows[i].field), "text/event-stream"),
            rows[i].accepts);
}

/* ---- tickets and streams ---- */

static void test_tickets(void **state)
{
    struct doorman *doorman = doorman_new();
    char text[TICKET_TEXT_BYTES + 1], other[TICKET_TEXT_BYTES + 1];
    uint8_t token[32] = {1, 2, 3}, found[32];
    struct policy *of_jwt;
    (void)state;

    assert_int_equal(ticket_issue(doorman, token, NULL, 1000, text), CG_OK);
    assert_int_equal(strlen(text), TICKET_TEXT_BYTES);
    assert_int_equal(ticket_issue(doorman, token, NULL, 1000, other), CG_OK);
    assert_string_not_equal(text, other);
    assert_int_equal(ticket_redeem(doorman, text, TICKET_TEXT_BYTES - 1, 1000, found, &of_jwt),
                     CG_E_NOTFOUND);
    assert_int_equal(ticket_redeem(doorman, text, TICKET_TEXT_BYTES, 1000 + CG_TICKET_LIFE_MS - 1,
                                   found, &of_jwt),
                     CG_OK);
    assert_memory_equal(found, token, 32);
    assert_int_equal(ticket_redeem(doorman, text, TICKET_TEXT_BYTES, 1000, found, &of_jwt),
                     CG_E_NOTFOUND);
    assert_int_equal(
        ticket_redeem(doorman, other, TICKET_TEXT_BYTES, 1000 + CG_TICKET_LIFE_MS, found, &of_jwt),
        CG_E_NOTFOUND);
    assert_int_equal(ticket_redeem(doorman, other, TICKET_TEXT_BYTES, 1000, found, &of_jwt),
                     CG_E_NOTFOUND);
    doorman_free(&doorman);
}

static void test_tickets_are_bounded(void **state)
{
    struct doorman *doorman = doorman_new();
    char text[TICKET_TEXT_BYTES + 1];
    uint8_t token[32] = {0};
    size_t i;
    (void)state;

    for (i = 0; i < CG_TICKETS_MAX; ++i)
        assert_int_equal(ticket_issue(doorman, token, NULL, 100000, text), CG_OK);
    assert_int_equal(ticket_issue(doorman, token, NULL, 100000, text), CG_E_BUSY);
    assert_int_equal(ticket_issue(doorman, token, NULL, 100000 + CG_TICKET_LIFE_MS, text), CG_OK);
    doorman_free(&doorman);
}

static void test_streams(void **state)
{
    struct doorman *doorman = doorman_new();
    uint8_t a[32] = {1}, b[32] = {1, 0, 2}; /* in one chain */
    (void)state;

    assert_int_equal(doorman_enter(doorman, a, 2, 3), CG_OK);
    assert_int_equal(doorman_enter(doorman, a, 2, 3), CG_OK);
    assert_int_equal(doorman_enter(doorman, a, 2, 3), CG_E_LIMIT);
    assert_int_equal(doorman_enter(doorman, b, 2, 3), CG_OK);
    assert_int_equal(doorman_enter(doorman, b, 2, 3), CG_E_BUSY);
    doorman_leave(doorman, a);
    assert_int_equal(doorman_enter(doorman, b, 2, 3), CG_OK);
    doorman_leave(doorman, a);
    doorman_leave(doorman, a); /* not there any more: nothing */
    doorman_leave(doorman, b);
    assert_int_equal(doorman_enter(doorman, a, 2, 3), CG_OK);
    doorman_free(&doorman);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_subscribe),
        cmocka_unit_test(test_nothing_is_all),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_members_at_their_limit),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_wrong_queries),
        cmocka_unit_test(test_query_find),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_tickets),
        cmocka_unit_test(test_tickets_are_bounded),
        cmocka_unit_test(test_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
