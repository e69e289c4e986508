/* The configuration: every setting arrives, and every wrong one is refused at its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "tests/unit/config_files.h"
#include "tests/unit/json_schema.h"

#define PLANTED "Sw0rdfish-19" /* stands wherever somebody may put a secret by mistake */

static json_t *cases;

static int set_up(void **state)
{
    int rc = files_set_up(state);
    cases = files_read_json("tests/unit/config/cases.json");
    return rc;
}

static int tear_down(void **state)
{
    json_decref(cases);
    return files_tear_down(state);
}

static void test_full_upstream(void **state)
{
    struct config *c = files_must_load(files_full);
    (void)state;
    assert_int_equal(c->upstream.num_endpoints, 2);
    assert_string_equal(c->upstream.endpoints[0].url, "http://cct.example:9084/SOAOICCT/services");
    assert_int_equal(c->upstream.endpoints[0].is_rgn, 0);
    assert_string_equal(c->upstream.endpoints[1].name, "rgn");
    assert_int_equal(c->upstream.endpoints[1].is_rgn, 1);
    assert_string_equal(c->upstream.topology, "missionCritical");
    assert_string_equal(c->upstream.capacity, "CS1K");
    assert_int_equal(c->upstream.connect_timeout_ms, 2000);
    assert_int_equal(c->upstream.timeout_ms, 9000);
    assert_int_equal(c->upstream.max_concurrent, 16);
    assert_int_equal(c->upstream.heartbeat_ms, 45000);
    assert_int_equal(c->upstream.logins_per_second, 20);
    assert_int_equal(c->upstream.reconcile_ms, 120000);
    assert_int_equal(c->upstream.rgn_after_ms, 90000);
    assert_int_equal(c->upstream.poll_ms, 2500);
    assert_string_equal(c->upstream.ha_listener.start, "UserService.Begin");
    assert_string_equal(c->upstream.ha_listener.stop, "UserService.End");
    assert_string_equal(c->upstream.subscription, "user");
    files_assert_path(c->upstream.tls.ca_file, "tls/ca.pem");
    files_assert_path(c->upstream.tls.certificate_file, "tls/cert.pem");
    files_assert_path(c->upstream.tls.key_file, "tls/key.pem");
    assert_int_equal(c->consumer.present, 1);
    assert_string_equal(c->consumer.address, "0.0.0.0");
    assert_int_equal(c->consumer.port, 9191);
    assert_string_equal(c->consumer.public_url, "http://gateway.example:9191");
    assert_int_equal(c->consumer.num_allow, 2);
    assert_string_equal(c->consumer.allow[1], "fd00::/8");
    config_unref(&c);
    assert_null(c);
}

static void test_full_sessions(void **state)
{
    struct config *c = files_must_load(files_full);
    (void)state;
    assert_int_equal(c->num_sessions, 3);
    assert_string_equal(c->sessions[0].user, "agent2001");
    assert_string_equal(c->sessions[0].domain, "CC");
    assert_string_equal(c->sessions[0].agent, "2001");
    assert_string_equal(c->sessions[0].password, "first secret");
    assert_int_equal(c->sessions[0].shared, 0);
    assert_string_equal(c->sessions[1].domain, "");
    assert_string_equal(c->sessions[1].password, "second");
    assert_null(c->sessions[1].agent);
    assert_string_equal(c->sessions[2].password, "fourth");
    assert_int_equal(c->sessions[2].shared, 1);
    assert_int_equal(c->session_linger_ms, 1000);
    assert_int_equal(c->num_tokens, 2);
    assert_string_equal(c->tokens[0].application, "desktop");
    for (int i = 0; i < 32; i++) {
        assert_int_equal(c->tokens[0].sha256[i], i);
        assert_int_equal(c->tokens[1].sha256[i], 0xff);
    }
    assert_int_equal(c->tokens[0].num_users, 2);
    assert_string_equal(c->tokens[0].users[1], "supervisor");
    assert_int_equal(c->tokens[0].every_user, 0);
    assert_int_equal(c->tokens[1].every_user, 1);
    assert_int_equal(c->tokens[0].roles, ROLE_VIEWER | ROLE_CONTROLLER);
    assert_int_equal(c->tokens[1].roles,
                     ROLE_OPERATOR | ROLE_SUPERVISOR | ROLE_RECORDER | ROLE_CAMPAIGNER);
    config_unref(&c);
}

static void test_full_own(void **state)
{
    struct config *c = files_must_load(files_full);
    (void)state;
    files_assert_path(c->file, "test.json");
    assert_int_equal(c->num_listen, 2);
    assert_string_equal(c->listen[0].address, "0.0.0.0");
    assert_int_equal(c->listen[0].port, 8443);
    files_assert_path(c->listen[0].tls.certificate_file, "tls/cert.pem");
    files_assert_path(c->listen[0].tls.key_file, "tls/key.pem");
    assert_null(c->listen[1].tls.certificate_file);
    assert_int_equal(c->listen[1].port, 0);
    assert_int_equal(c->threads, 3);
    files_assert_path(c->contract, "wsdl");
    files_assert_path(c->data.directory, "store");
    assert_int_equal(c->data.map_size_mib, 64);
    assert_int_equal(c->data.event_log_max_events, 500000000);
    assert_int_equal(c->data.event_log_max_mib, 17);
    assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(c->log.format, LOG_FORMAT_JSON);
    assert_int_equal(c->log.access, 1);
    assert_int_equal(c->limits.requests_per_second, 50);
    assert_int_equal(c->limits.max_connections, 500);
    assert_int_equal(c->limits.max_body_bytes, 65536);
    assert_int_equal(c->limits.request_timeout_ms, 5000);
    assert_int_equal(c->capacity.enforce, 0);
    assert_int_equal(c->capacity.max_agents, 400);
    assert_int_equal(c->capacity.max_contacts_per_hour, 3000);
    config_unref(&c);
}

static void test_full_clients(void **state)
{
    static const unsigned ttl[TTL_KINDS] = {1, 2, 3, 4, 5, 0, 2592000000};
    struct config *c = files_must_load(files_full);
    (void)state;
    assert_memory_equal(c->cache.ttl_ms, ttl, sizeof ttl);
    assert_int_equal(c->cache.stale_while_revalidate_ms, 8);
    assert_int_equal(c->cache.stale_if_error_ms, 9);
    assert_int_equal(c->cache.jitter_percent, 0);
    assert_int_equal(c->control.ttl_ms, 20000);
    assert_int_equal(c->control.grace_ms, 5000);
    assert_int_equal(c->control.num_reserved, 1);
    assert_string_equal(c->control.reserved[0].agent, "2050");
    assert_string_equal(c->control.reserved[0].application, "Agent Desktop");
    assert_int_equal(c->events.num_origins, 2);
    assert_string_equal(c->events.origins[1], "http://localhost:3000");
    assert_int_equal(c->events.max_queued_frames, 100);
    assert_int_equal(c->events.max_queued_kib, 50);
    assert_int_equal(c->events.force_answer_ms, 7000);
    assert_string_equal(c->outbound.url, "http://ccmm.example/ccmmoutboundwebservices");
    assert_string_equal(c->outbound.user, "webadmin");
    assert_string_equal(c->outbound.password, " third\r\n"); /* one line break, no more */
    assert_int_equal(c->outbound.take_over, 1);
    assert_int_equal(c->outbound.disposition_numeric, 1);
    assert_int_equal(c->outbound.soap_12, 1);
    assert_int_equal(c->outbound.interval_ms, 2000);
    assert_int_equal(c->presence.num_after_call_work_codes, 2);
    assert_string_equal(c->presence.after_call_work_codes[0], "7");
    assert_string_equal(c->jwt.issuer, "https://id.example");
    assert_string_equal(c->jwt.audience, "cctgate");
    files_assert_path(c->jwt.jwks_file, "jwks.json");
    config_unref(&c);
}

static const char least[] =
    "{\"upstream\":{\"endpoints\":[{\"name\":\"a\",\"url\":\"http://127.0.0.1:9084/x\"}]}}";

static void test_defaults(void **state)
{
    static const unsigned ttl[TTL_KINDS] = {30000, 30000, 300000, 300000, 5000, 60000, 30000};
    struct config *c;
    struct config_error error;
    (void)state;
    assert_int_equal(files_load_text(&c, least, &error), CG_OK);
    assert_int_equal(c->num_listen, 1);
    assert_string_equal(c->listen[0].address, "127.0.0.1");
    assert_int_equal(c->listen[0].port, 8080);
    assert_string_equal(c->contract, CONFIG_CONTRACT_INSTALLED);
    assert_string_equal(c->data.directory, "/var/lib/cctgate");
    assert_int_equal(c->data.event_log_max_events, 1000000);
    assert_string_equal(c->upstream.topology, "none");
    assert_int_equal(c->upstream.poll_ms, 5000);
    assert_string_equal(c->upstream.ha_listener.start, "UserService.StartHASwitchEventListener");
    assert_string_equal(c->upstream.ha_listener.stop, "UserService.StopHASwitchEventListener");
    assert_string_equal(c->upstream.subscription, "producer");
    assert_memory_equal(c->cache.ttl_ms, ttl, sizeof ttl);
    assert_int_equal(c->cache.stale_if_error_ms, 86400000);
    assert_int_equal(c->cache.jitter_percent, 10);
    assert_int_equal(c->limits.max_body_bytes, 1048576);
    assert_int_equal(c->limits.requests_per_second, 0);
    assert_int_equal(c->capacity.enforce, 1);
    assert_int_equal(c->consumer.present, 0);
    assert_null(c->outbound.url);
    assert_null(c->jwt.issuer);
    assert_null(c->upstream.tls.ca_file);
    assert_int_equal(c->num_sessions + c->num_tokens + c->control.num_reserved, 0);
    assert_int_equal(c->log.level, LOG_LEVEL_INFO);
    assert_int_equal(c->log.format, LOG_FORMAT_AUTO);
    config_unref(&c);
}

static void test_contract_beside_the_file(void **state)
{
    struct config *c;
    struct config_error error;
    (void)state;
    files_make_directory("contract");
    assert_int_equal(files_load_text(&c, least, &error), CG_OK);
    files_assert_path(c->contract, "contract");
    config_unref(&c);
    char *path = files_path("contract");
    assert_int_equal(rmdir(path), 0);
    free(path);
}

static void test_file_by_relative_name(void **state)
{
    char before[PATH_MAX];
    struct config *c;
    struct config_error error;
    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    files_write_text("least.json", least);
    assert_int_equal(chdir(files_directory), 0);
    int rc = config_load(&c, "least.json", &error);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(rc, CG_OK);
    files_assert_path(c->file, "least.json");
    config_unref(&c);
}

static void test_file_unreadable(void **state)
{
    struct config *c;
    struct config_error error;
    (void)state;
    assert_int_equal(config_load(&c, "/nowhere/at\033all.json", &error), CG_E_IO);
    assert_null(c);
    assert_string_equal(error.pointer, "");
    assert_string_equal(error.text,
                        "expected a readable file, found \"/nowhere/at?all.json\": No such "
                        "file or directory");
    assert_int_equal(config_load(&c, files_directory, &error), CG_E_IO);
    assert_non_null(strstr(error.text, "Is a directory"));
}

static void test_file_too_big(void **state)
{
    struct config *c;
    struct config_error error;
    size_t size = CG_CONFIG_BYTES_MAX + 2;
    char *text = malloc(size);
    (void)state;
    assert_non_null(text);
    memset(text, ' ', size - 1);
    text[size - 1] = '\0';
    assert_int_equal(files_load_text(&c, text, &error), CG_E_INVALID);
    assert_string_equal(error.text, "expected at most 4 MiB, found more");
    memcpy(text, least, strlen(least));
    text[CG_CONFIG_BYTES_MAX] = '\0';
    assert_int_equal(files_load_text(&c, text, &error), CG_OK);
    config_unref(&c);
    free(text);
}

static void test_default_file(void **state)
{
    struct config *c;
    struct config_error error;
    (void)state;
    if (config_load(&c, "conf/cctgate.json", &error) != CG_OK)
        fail_msg("%s: %s", error.pointer, error.text);
    assert_string_equal(c->upstream.endpoints[0].url, "http://127.0.0.1:9084/SOAOICCT/services");
    config_unref(&c);
}

static void test_references(void **state)
{
    struct config *c = files_must_load(files_full), *other = config_ref(c);
    (void)state;
    assert_ptr_equal(c, other);
    config_unref(&c);
    assert_string_equal(other->sessions[0].password, "first secret");
    config_unref(&other);
    config_unref(&other); /* nothing there: nothing happens */
}

/* ---- the cases of cases.json, seen by the loader and by the schema ---- */

/* full.json as the case changes it; NULL for a raw text. `first` gets the first pointer. */
static json_t *build_case(const json_t *item, const char **first)
{
    const char *pointer, *gone = json_string_value(json_object_get(item, "remove"));
    json_t *value, *json;
    *first = "";
    if (json_object_get(item, "raw") != NULL)
        return NULL;
    json = json_deep_copy(files_full);
    assert_non_null(json);
    json_object_foreach(json_object_get(item, "set"), pointer, value)
    {
        files_edit(json, pointer, value);
        *first = (*first)[0] == '\0' ? pointer : *first;
    }
    if (gone != NULL)
        files_edit(json, gone, NULL);
    return json;
}

static void test_good_cases(void **state)
{
    size_t i;
    json_t *item;
    (void)state;
    json_array_foreach(json_object_get(cases, "good"), i, item)
    {
        const char *first, *name = json_string_value(json_object_get(item, "name"));
        json_t *json = build_case(item, &first);
        struct config *c;
        struct config_error error;
        if (files_load_json(&c, json, &error) != CG_OK)
            fail_msg("%s: refused at %s: %s", name, error.pointer, error.text);
        if (!json_schema_accepts(files_schema, files_schema, json))
            fail_msg("%s: refused by the schema", name);
        config_unref(&c);
        json_decref(json);
    }
    assert_true(i >= 20);
}

static void check_error(const char *name, const json_t *item, const char *first,
                        const struct config_error *error)
{
    const char *pointer = json_string_value(json_object_get(item, "pointer"));
    size_t i;
    json_t *words;
    if (strcmp(error->pointer, pointer != NULL ? pointer : first) != 0)
        fail_msg("%s: refused at %s: %s", name, error->pointer, error->text);
    json_array_foreach(json_object_get(item, "says"), i, words)
    {
        if (strstr(error->text, json_string_value(words)) == NULL)
            fail_msg("%s: says %s", name, error->text);
    }
    assert_true(i > 0);
    if (strncmp(error->text, "expected ", 9) != 0 || strstr(error->text, ", found ") == NULL)
        fail_msg("%s: lacks expected or found: %s", name, error->text);
    if (strstr(error->text, PLANTED) != NULL || strstr(error->text, "19191919") != NULL)
        fail_msg("%s: tells a secret: %s", name, error->text);
}

static void test_bad_cases(void **state)
{
    size_t i;
    json_t *item;
    (void)state;
    json_array_foreach(json_object_get(cases, "bad"), i, item)
    {
        const char *first, *name = json_string_value(json_object_get(item, "name"));
        json_t *json = build_case(item, &first);
        struct config *c;
        struct config_error error;
        int rc = json != NULL
                     ? files_load_json(&c, json, &error)
                     : files_load_text(&c, json_string_value(json_object_get(item, "raw")), &error);
        if (rc != CG_E_INVALID && rc != CG_E_IO)
            fail_msg("%s: loaded, %d", name, rc);
        assert_null(c);
        check_error(name, item, first, &error);
        int accepted = json_is_false(json_object_get(item, "schema"));
        if (json != NULL && json_schema_accepts(files_schema, files_schema, json) != accepted)
            fail_msg("%s: the schema %s it", name, accepted ? "refuses" : "accepts");
        json_decref(json);
    }
    assert_true(i >= 60);
}

static void test_bytes_that_are_no_text(void **state)
{
    static const char bytes[] = "{\"threads\": \"\xff" PLANTED "\"}";
    struct config *c;
    struct config_error error;
    (void)state;
    assert_int_equal(files_load_text(&c, bytes, &error), CG_E_INVALID);
    assert_non_null(strstr(error.text, "line 1, column"));
    assert_null(strstr(error.text, PLANTED));
}

/* Long names must fit the error's fields, and stay UTF-8. */
static void test_long_names(void **state)
{
    char name[600];
    struct config *c;
    struct config_error error;
    json_t *json = json_deep_copy(files_full);
    (void)state;
    for (size_t i = 0; i + 2 < sizeof name; i += 2)
        memcpy(name + i, "\xc3\xa9", 2);
    name[598] = '\0';
    json_object_set_new(json, name, json_true());
    assert_int_equal(files_load_json(&c, json, &error), CG_E_INVALID);
    json_t *text = json_string(error.text), *pointer = json_string(error.pointer);
    assert_non_null(text);
    assert_non_null(pointer);
    assert_non_null(strstr(error.text, "\xe2\x80\xa6\" ("));
    json_decref(text);
    json_decref(pointer);
    json_decref(json);
}

static void test_many_sessions(void **state)
{
    char name[32];
    struct config *c;
    struct config_error error;
    json_t *json = json_deep_copy(files_full), *users = json_array(), *names = json_array();
    (void)state;
    for (int i = 0; i < CG_SESSIONS_MAX; i++) {
        snprintf(name, sizeof name, "agent%d", i);
        json_array_append_new(users, json_pack("{s:s, s:{s:s}}", "user", name, "password", "env",
                                               "CCTGATE_TEST_PASSWORD"));
        json_array_append_new(names, json_string(name));
    }
    files_edit(json, "/sessions", users);
    files_edit(json, "/tokens/0/users", names);
    assert_int_equal(files_load_json(&c, json, &error), CG_OK);
    assert_int_equal(c->tokens[0].num_users, CG_SESSIONS_MAX);
    config_unref(&c);
    json_array_append(users, json_array_get(users, 0));
    assert_int_equal(files_load_json(&c, json, &error), CG_E_INVALID);
    assert_string_equal(error.pointer, "/sessions");
    json_array_remove(users, 5000);
    assert_int_equal(files_load_json(&c, json, &error), CG_E_INVALID);
    assert_string_equal(error.pointer, "/sessions/9999/user");
    json_decref(users);
    json_decref(names);
    json_decref(json);
}

/* ---- reload ---- */

static void expect_restart(const char *pointer, const char *value, const char *expected)
{
    char what[64];
    json_t *json = json_deep_copy(files_full), *fresh_value = NULL;
    if (value != NULL)
        assert_non_null(fresh_value = json_loads(value, JSON_DECODE_ANY, NULL));
    files_edit(json, pointer, fresh_value);
    struct config *old = files_must_load(files_full), *fresh = files_must_load(json);
    assert_int_equal(config_compatible(old, fresh, what, sizeof what), expected[0] == '\0');
    assert_string_equal(what, expected);
    config_unref(&old);
    config_unref(&fresh);
    json_decref(fresh_value);
    json_decref(json);
}

static void test_compatible(void **state)
{
    (void)state;
    expect_restart("/threads", "3", "");
    expect_restart("/log/level", "\"error\"", "");
    expect_restart("/upstream/heartbeatMs", "1234", "");
    expect_restart("/upstream/timeoutMs", "1234", "upstream");
    expect_restart("/upstream/endpoints/0/url", "\"http://elsewhere.example/services\"",
                   "upstream");
    expect_restart("/limits/maxBodyKiB", "7", "limits");
    expect_restart("/limits/maxConnectionsPerAddress", "7", "limits");
    expect_restart("/limits/headTimeoutMs", "700", "limits");
    expect_restart("/limits/idleTimeoutMs", "700", "limits");
    expect_restart("/sessions/1", NULL, "");
    expect_restart("/consumer/allow", "[\"10.0.0.0/8\"]", "");
    expect_restart("/threads", "4", "threads");
    expect_restart("/contract", "\"tls\"", "contract");
    expect_restart("/data/directory", "\"tls\"", "data");
    expect_restart("/data/eventLog/maxMiB", "1", "data");
    expect_restart("/listen/1", NULL, "listen");
    expect_restart("/listen/0/port", "1", "listen");
    expect_restart("/listen/0/tls", NULL, "listen");
    expect_restart("/listen/0/tls/keyFile", "\"tls/ca.pem\"", "listen");
    expect_restart("/consumer/port", "1", "consumer");
    expect_restart("/consumer", NULL, "consumer");
    expect_restart("/outbound/user", "\"other\"", "");
    expect_restart("/outbound/takeOver", "false", "");
    expect_restart("/outbound/intervalMs", "3", "");
    expect_restart("/outbound/url", "\"http://other.example/services\"", "outbound.url");
    expect_restart("/outbound", NULL, "outbound.url");
}

static void test_compatible_lists_all(void **state)
{
    char what[128], small[10];
    struct config_error error;
    struct config *old = files_must_load(files_full), *fresh;
    (void)state;
    assert_int_equal(files_load_text(&fresh, least, &error), CG_OK);
    assert_int_equal(config_compatible(old, fresh, what, sizeof what), 0);
    assert_string_equal(what,
                        "listen, threads, contract, data, upstream, limits, log.access, consumer, "
                        "outbound.url");
    assert_int_equal(config_compatible(old, fresh, small, sizeof small), 0);
    assert_string_equal(small, "listen, t");
    config_unref(&old);
    config_unref(&fresh);
}

static void test_roles(void **state)
{
    (void)state;
    assert_int_equal(config_role_from_name("viewer"), ROLE_VIEWER);
    assert_int_equal(config_role_from_name("campaigner"), ROLE_CAMPAIGNER);
    assert_int_equal(config_role_from_name("Viewer"), 0);
    assert_string_equal(config_role_name(ROLE_OPERATOR), "operator");
    assert_null(config_role_name(ROLE_OPERATOR | ROLE_VIEWER));
    assert_null(config_role_name(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_upstream),
        cmocka_unit_test(test_full_sessions),
        cmocka_unit_test(test_full_own),
        cmocka_unit_test(test_full_clients),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_contract_beside_the_file),
        cmocka_unit_test(test_file_by_relative_name),
        cmocka_unit_test(test_file_unreadable),
        cmocka_unit_test(test_file_too_big),
        cmocka_unit_test(test_default_file),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_good_cases),
        cmocka_unit_test(test_bad_cases),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_many_sessions),
        cmocka_unit_test(test_compatible),
        cmocka_unit_test(test_compatible_lists_all),
        cmocka_unit_test(test_roles),
    };
    return cmocka_run_group_tests_name("config", tests, set_up, tear_down);
}
