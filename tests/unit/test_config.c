/*
 * The configuration: every setting arrives, every wrong one is refused at its place, and the loader's tables and
 * conf/cctgate.schema.json say the same. Run from the top of the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/secret.h"
#include "gateway/config_internal.h"

#define PLANTED "Sw0rdfish-19" /* stands wherever somebody may put a secret by mistake */

static char directory[] = "/tmp/cctgate-config-XXXXXX";
static json_t *schema, *full, *cases;

/* ---- the files that full.json names ---- */

static char *in_directory(const char *name)
{
    char *path = config_resolve(directory, name);
    assert_non_null(path);
    return path;
}

static void write_bytes(const char *name, const char *bytes, size_t length, mode_t mode)
{
    char *path = in_directory(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    free(path);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text), 0600);
}

static void make_directory(const char *name)
{
    char *path = in_directory(name);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
}

static void make_secrets(void)
{
    char *path = in_directory("secrets/fifo");
    char *text = calloc(1, CG_SECRET_BYTES_MAX + 3);
    assert_non_null(text);
    memset(text, 'x', CG_SECRET_BYTES_MAX + 1);
    write_text("secrets/agent", "first secret\n");
    write_text("secrets/outbound", " third\r\n\r\n");
    write_text("secrets/empty", "\n");
    write_bytes("secrets/nul", "a\0b", 3, 0600);
    write_text("secrets/long", text);
    text[CG_SECRET_BYTES_MAX] = '\n';
    write_text("secrets/longest", text);
    assert_int_equal(mkfifo(path, 0600), 0);
    write_text("credentials/supervisor", "fourth");
    free(text);
    free(path);
}

static json_t *read_json(const char *path)
{
    json_error_t error;
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        fail_msg("%s: line %d: %s", path, error.line, error.text);
    return json;
}

static int set_up(void **state)
{
    static const char *const names[] = {"secrets", "credentials", "tls", "wsdl"};
    (void)state;
    assert_non_null(mkdtemp(directory));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        make_directory(names[i]);
    make_secrets();
    write_text("tls/cert.pem", "x");
    write_text("tls/key.pem", "x");
    write_text("tls/ca.pem", "x");
    write_text("jwks.json", "{}");
    char *credentials = in_directory("credentials");
    setenv("CREDENTIALS_DIRECTORY", credentials, 1);
    setenv("CCTGATE_TEST_PASSWORD", "second", 1);
    setenv("CCTGATE_TEST_EMPTY", "", 1);
    free(credentials);
    schema = read_json("conf/cctgate.schema.json");
    full = read_json("tests/unit/config/full.json");
    cases = read_json("tests/unit/config/cases.json");
    return 0;
}

static int remove_one(const char *path, const struct stat *about, int flag, struct FTW *place)
{
    (void)about;
    (void)flag;
    (void)place;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(schema);
    json_decref(full);
    json_decref(cases);
    return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- loading ---- */

static int load_text(struct config **config, const char *text, struct config_error *error)
{
    write_text("test.json", text);
    char *path = in_directory("test.json");
    int rc = config_load(config, path, error);
    free(path);
    return rc;
}

static int load_json(struct config **config, const json_t *json, struct config_error *error)
{
    char *text = json_dumps(json, JSON_ENCODE_ANY);
    assert_non_null(text);
    int rc = load_text(config, text, error);
    free(text);
    return rc;
}

static struct config *must_load(const json_t *json)
{
    struct config *config;
    struct config_error error;
    int rc = load_json(&config, json, &error);
    if (rc != CG_OK)
        fail_msg("%s: %s", error.pointer, error.text);
    assert_string_equal(error.text, "");
    return config;
}

static void assert_in_directory(const char *path, const char *name)
{
    char *expected = in_directory(name);
    assert_string_equal(path, expected);
    free(expected);
}

static void test_full_upstream(void **state)
{
    struct config *c = must_load(full);
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
    assert_string_equal(c->upstream.subscription, "user");
    assert_in_directory(c->upstream.tls.ca_file, "tls/ca.pem");
    assert_in_directory(c->upstream.tls.certificate_file, "tls/cert.pem");
    assert_in_directory(c->upstream.tls.key_file, "tls/key.pem");
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
    struct config *c = must_load(full);
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
    struct config *c = must_load(full);
    (void)state;
    assert_in_directory(c->file, "test.json");
    assert_int_equal(c->num_listen, 2);
    assert_string_equal(c->listen[0].address, "0.0.0.0");
    assert_int_equal(c->listen[0].port, 8443);
    assert_in_directory(c->listen[0].tls.certificate_file, "tls/cert.pem");
    assert_in_directory(c->listen[0].tls.key_file, "tls/key.pem");
    assert_null(c->listen[1].tls.certificate_file);
    assert_int_equal(c->listen[1].port, 0);
    assert_int_equal(c->threads, 3);
    assert_in_directory(c->contract, "wsdl");
    assert_in_directory(c->data.directory, "store");
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
    assert_int_equal(c->capacity_enforce, 0);
    config_unref(&c);
}

static void test_full_clients(void **state)
{
    static const unsigned ttl[TTL_KINDS] = {1, 2, 3, 4, 5, 0, 2592000000};
    struct config *c = must_load(full);
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
    assert_int_equal(c->presence.num_after_call_work_codes, 2);
    assert_string_equal(c->presence.after_call_work_codes[0], "7");
    assert_string_equal(c->jwt.issuer, "https://id.example");
    assert_string_equal(c->jwt.audience, "cctgate");
    assert_in_directory(c->jwt.jwks_file, "jwks.json");
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
    assert_int_equal(load_text(&c, least, &error), CG_OK);
    assert_int_equal(c->num_listen, 1);
    assert_string_equal(c->listen[0].address, "127.0.0.1");
    assert_int_equal(c->listen[0].port, 8080);
    assert_string_equal(c->contract, CONFIG_CONTRACT_INSTALLED);
    assert_string_equal(c->data.directory, "/var/lib/cctgate");
    assert_int_equal(c->data.event_log_max_events, 1000000);
    assert_string_equal(c->upstream.topology, "none");
    assert_string_equal(c->upstream.subscription, "producer");
    assert_memory_equal(c->cache.ttl_ms, ttl, sizeof ttl);
    assert_int_equal(c->cache.stale_if_error_ms, 86400000);
    assert_int_equal(c->cache.jitter_percent, 10);
    assert_int_equal(c->limits.max_body_bytes, 1048576);
    assert_int_equal(c->limits.requests_per_second, 0);
    assert_int_equal(c->capacity_enforce, 1);
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
    make_directory("contract");
    assert_int_equal(load_text(&c, least, &error), CG_OK);
    assert_in_directory(c->contract, "contract");
    config_unref(&c);
    char *path = in_directory("contract");
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
    write_text("least.json", least);
    assert_int_equal(chdir(directory), 0);
    int rc = config_load(&c, "least.json", &error);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(rc, CG_OK);
    assert_in_directory(c->file, "least.json");
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
    assert_string_equal(error.text, "expected a readable file, found \"/nowhere/at?all.json\": No such "
                                    "file or directory");
    assert_int_equal(config_load(&c, directory, &error), CG_E_IO);
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
    assert_int_equal(load_text(&c, text, &error), CG_E_INVALID);
    assert_string_equal(error.text, "expected at most 4 MiB, found more");
    memcpy(text, least, strlen(least));
    text[CG_CONFIG_BYTES_MAX] = '\0';
    assert_int_equal(load_text(&c, text, &error), CG_OK);
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
    struct config *c = must_load(full), *other = config_ref(c);
    (void)state;
    assert_ptr_equal(c, other);
    config_unref(&c);
    assert_string_equal(other->sessions[0].password, "first secret");
    config_unref(&other);
    config_unref(&other); /* nothing there: nothing happens */
}

/* ---- the cases of cases.json, seen by the loader and by the schema ---- */

static int schema_accepts(const json_t *rules, const json_t *json, int depth);

/* Finds what a JSON pointer's last segment is in; `last` gets the segment. */
static json_t *find_parent(json_t *root, const char *pointer, char *last, size_t size)
{
    json_t *at = root;
    for (;;) {
        size_t length = 0;
        for (pointer++; *pointer != '\0' && *pointer != '/' && length + 1 < size; pointer++) {
            char c = *pointer;
            if (c == '~')
                c = *++pointer == '0' ? '~' : '/';
            last[length++] = c;
        }
        last[length] = '\0';
        if (*pointer == '\0')
            return at;
        at = json_is_array(at) ? json_array_get(at, (size_t)strtoul(last, NULL, 10))
                               : json_object_get(at, last);
        assert_non_null(at);
    }
}

static void edit(json_t *root, const char *pointer, json_t *value)
{
    char last[128];
    json_t *parent = find_parent(root, pointer, last, sizeof last);
    size_t index = (size_t)strtoul(last, NULL, 10);
    int rc;
    if (json_is_array(parent))
        rc = value != NULL ? json_array_set(parent, index, value) : json_array_remove(parent, index);
    else
        rc = value != NULL ? json_object_set(parent, last, value) : json_object_del(parent, last);
    assert_int_equal(rc, 0);
}

/* full.json as the case changes it; NULL for a raw text. `first` gets the first pointer. */
static json_t *build_case(const json_t *item, const char **first)
{
    const char *pointer, *gone = json_string_value(json_object_get(item, "remove"));
    json_t *value, *json;
    *first = "";
    if (json_object_get(item, "raw") != NULL)
        return NULL;
    json = json_deep_copy(full);
    assert_non_null(json);
    json_object_foreach(json_object_get(item, "set"), pointer, value)
    {
        edit(json, pointer, value);
        *first = (*first)[0] == '\0' ? pointer : *first;
    }
    if (gone != NULL)
        edit(json, gone, NULL);
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
        if (load_json(&c, json, &error) != CG_OK)
            fail_msg("%s: refused at %s: %s", name, error.pointer, error.text);
        if (!schema_accepts(schema, json, 0))
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
                     ? load_json(&c, json, &error)
                     : load_text(&c, json_string_value(json_object_get(item, "raw")), &error);
        if (rc != CG_E_INVALID && rc != CG_E_IO)
            fail_msg("%s: loaded, %d", name, rc);
        assert_null(c);
        check_error(name, item, first, &error);
        int accepted = json_is_false(json_object_get(item, "schema"));
        if (json != NULL && schema_accepts(schema, json, 0) != accepted)
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
    assert_int_equal(load_text(&c, bytes, &error), CG_E_INVALID);
    assert_non_null(strstr(error.text, "line 1, column"));
    assert_null(strstr(error.text, PLANTED));
}

/* Long names must fit the error's fields, and stay UTF-8. */
static void test_long_names(void **state)
{
    char name[600];
    struct config *c;
    struct config_error error;
    json_t *json = json_deep_copy(full);
    (void)state;
    for (size_t i = 0; i + 2 < sizeof name; i += 2)
        memcpy(name + i, "\xc3\xa9", 2);
    name[598] = '\0';
    json_object_set_new(json, name, json_true());
    assert_int_equal(load_json(&c, json, &error), CG_E_INVALID);
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
    json_t *json = json_deep_copy(full), *users = json_array(), *names = json_array();
    (void)state;
    for (int i = 0; i < CG_SESSIONS_MAX; i++) {
        snprintf(name, sizeof name, "agent%d", i);
        json_array_append_new(users, json_pack("{s:s, s:{s:s}}", "user", name, "password", "env",
                                               "CCTGATE_TEST_PASSWORD"));
        json_array_append_new(names, json_string(name));
    }
    edit(json, "/sessions", users);
    edit(json, "/tokens/0/users", names);
    assert_int_equal(load_json(&c, json, &error), CG_OK);
    assert_int_equal(c->tokens[0].num_users, CG_SESSIONS_MAX);
    config_unref(&c);
    json_array_append(users, json_array_get(users, 0));
    assert_int_equal(load_json(&c, json, &error), CG_E_INVALID);
    assert_string_equal(error.pointer, "/sessions");
    json_array_remove(users, 5000);
    assert_int_equal(load_json(&c, json, &error), CG_E_INVALID);
    assert_string_equal(error.pointer, "/sessions/9999/user");
    json_decref(users);
    json_decref(names);
    json_decref(json);
}

/* ---- the schema: the keywords that it uses ---- */

static int type_matches(const char *type, const json_t *json)
{
    if (strcmp(type, "object") == 0)
        return json_is_object(json);
    if (strcmp(type, "array") == 0)
        return json_is_array(json);
    if (strcmp(type, "string") == 0)
        return json_is_string(json);
    if (strcmp(type, "integer") == 0)
        return json_is_integer(json);
    assert_string_equal(type, "boolean");
    return json_is_boolean(json);
}

static int pattern_matches(const char *pattern, const char *text)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int rc = regexec(&regex, text, 0, NULL, 0);
    regfree(&regex);
    return rc == 0;
}

static json_int_t text_length(const char *text)
{
    json_int_t length = 0;
    for (; *text != '\0'; text++)
        length += ((unsigned char)*text & 0xc0) != 0x80;
    return length;
}

/* minimum and maximum, minLength and maxLength, minItems and maxItems, by which of them applies. */
static int within(const json_t *rules, const char *low, const char *high, json_int_t value)
{
    const json_t *minimum = json_object_get(rules, low), *maximum = json_object_get(rules, high);
    return (minimum == NULL || value >= json_integer_value(minimum)) &&
           (maximum == NULL || value <= json_integer_value(maximum));
}

static int member_accepted(const json_t *rules, const char *name, const json_t *member, int depth)
{
    const char *pattern;
    json_t *sub;
    const json_t *own = json_object_get(json_object_get(rules, "properties"), name);
    int named = own != NULL;
    if (own != NULL && !schema_accepts(own, member, depth))
        return 0;
    json_object_foreach(json_object_get(rules, "patternProperties"), pattern, sub)
    {
        if (!pattern_matches(pattern, name))
            continue;
        named = 1;
        if (!schema_accepts(sub, member, depth))
            return 0;
    }
    return named || !json_is_false(json_object_get(rules, "additionalProperties"));
}

static int object_accepted(const json_t *rules, const json_t *json, int depth)
{
    const char *name;
    json_t *member;
    size_t i;
    json_array_foreach(json_object_get(rules, "required"), i, member)
    {
        if (json_object_get(json, json_string_value(member)) == NULL)
            return 0;
    }
    json_object_foreach((json_t *)json, name, member)
    {
        if (!member_accepted(rules, name, member, depth))
            return 0;
    }
    return 1;
}

static int array_accepted(const json_t *rules, const json_t *json, int depth)
{
    const json_t *items = json_object_get(rules, "items");
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)json, i, item)
    {
        if (items != NULL && !schema_accepts(items, item, depth))
            return 0;
    }
    return within(rules, "minItems", "maxItems", (json_int_t)json_array_size(json));
}

static int string_accepted(const json_t *rules, const char *text)
{
    const char *pattern = json_string_value(json_object_get(rules, "pattern"));
    return within(rules, "minLength", "maxLength", text_length(text)) &&
           (pattern == NULL || pattern_matches(pattern, text));
}

static int in_enum(const json_t *values, const json_t *json)
{
    size_t i;
    json_t *value;
    json_array_foreach((json_t *)values, i, value)
    {
        if (json_equal(value, (json_t *)json))
            return 1;
    }
    return values == NULL;
}

static const json_t *resolve(const json_t *rules)
{
    static const char prefix[] = "#/$defs/";
    const char *reference = json_string_value(json_object_get(rules, "$ref"));
    if (reference == NULL)
        return rules;
    assert_memory_equal(reference, prefix, sizeof prefix - 1);
    const json_t *found =
        json_object_get(json_object_get(schema, "$defs"), reference + sizeof prefix - 1);
    assert_non_null(found);
    return found;
}

static int schema_accepts(const json_t *rules, const json_t *json, int depth)
{
    size_t i, accepted = 0;
    json_t *branch;
    assert_true(depth < 16);
    rules = resolve(rules);
    const char *type = json_string_value(json_object_get(rules, "type"));
    if (type != NULL && !type_matches(type, json))
        return 0;
    if (!in_enum(json_object_get(rules, "enum"), json))
        return 0;
    json_array_foreach(json_object_get(rules, "oneOf"), i, branch)
    {
        accepted += (size_t)schema_accepts(branch, json, depth + 1);
    }
    if (json_object_get(rules, "oneOf") != NULL && accepted != 1)
        return 0;
    if (json_is_object(json))
        return object_accepted(rules, json, depth + 1);
    if (json_is_array(json))
        return array_accepted(rules, json, depth + 1);
    if (json_is_string(json))
        return string_accepted(rules, json_string_value(json));
    return !json_is_integer(json) || within(rules, "minimum", "maximum", json_integer_value(json));
}

/* The checker above must know every keyword that the schema uses. */
static void check_keywords(const json_t *rules, int depth)
{
    static const char *const known[] = {
        "$schema",   "$defs",     "$ref",     "title",    "description", "default",
        "type",      "enum",      "oneOf",    "required", "properties",  "patternProperties",
        "additionalProperties",   "items",    "minItems", "maxItems",    "minimum",
        "maximum",   "minLength", "maxLength", "pattern"};
    const char *name;
    json_t *value;
    size_t i;
    assert_true(depth < 16);
    json_object_foreach((json_t *)rules, name, value)
    {
        for (i = 0; i < sizeof known / sizeof *known && strcmp(known[i], name) != 0; i++)
            continue;
        if (i == sizeof known / sizeof *known)
            fail_msg("keyword %s is not checked", name);
    }
    json_object_foreach(json_object_get(rules, "properties"), name, value)
    {
        check_keywords(value, depth + 1);
    }
    json_object_foreach(json_object_get(rules, "$defs"), name, value)
    {
        check_keywords(value, depth + 1);
    }
    json_array_foreach(json_object_get(rules, "oneOf"), i, value)
    {
        check_keywords(value, depth + 1);
    }
    if (json_object_get(rules, "items") != NULL)
        check_keywords(json_object_get(rules, "items"), depth + 1);
}

static void test_schema_keywords(void **state)
{
    (void)state;
    check_keywords(schema, 0);
}

/* ---- the schema and the tables ---- */

static const char *schema_type(const struct config_row *row)
{
    switch (row->kind) {
    case CONFIG_INTEGER:
        return "integer";
    case CONFIG_BOOLEAN:
        return "boolean";
    case CONFIG_OBJECT:
        return "object";
    case CONFIG_STRINGS:
    case CONFIG_CHOICES:
    case CONFIG_OBJECTS:
        return "array";
    default:
        return "string";
    }
}

static void check_bound(const char *name, const json_t *rules, const char *keyword, int64_t value,
                        int present)
{
    const json_t *bound = json_object_get(rules, keyword);
    if ((bound != NULL) != (present != 0) || (present && json_integer_value(bound) != value))
        fail_msg("%s: %s differs from %lld", name, keyword, (long long)value);
}

static void check_text(const char *name, const json_t *rules, const char *keyword, const char *text)
{
    const char *found = json_string_value(json_object_get(rules, keyword));
    if ((found == NULL) != (text == NULL) || (text != NULL && strcmp(found, text) != 0))
        fail_msg("%s: %s differs from %s", name, keyword, text != NULL ? text : "none");
}

static void check_choices(const char *name, const json_t *rules, const char *const *choices)
{
    const json_t *values = json_object_get(rules, "enum");
    size_t count = 0;
    for (; choices[count] != NULL; count++) {
        const char *found = json_string_value(json_array_get(values, count));
        if (found == NULL || strcmp(found, choices[count]) != 0)
            fail_msg("%s: enum lacks %s", name, choices[count]);
    }
    assert_int_equal(json_array_size(values), count);
}

static void check_strings(const struct config_row *row, const json_t *rules)
{
    const json_t *items = json_object_get(rules, "items");
    check_text(row->name, items, "type", "string");
    if (row->kind == CONFIG_CHOICES) {
        check_choices(row->name, items, row->choices);
        return;
    }
    check_bound(row->name, items, "minLength", 1, 1);
    check_bound(row->name, items, "maxLength", CONFIG_STRING_MAX, 1);
    check_text(row->name, items, "pattern", row->pattern);
}

static void check_default(const struct config_row *row, const json_t *rules)
{
    const json_t *found = json_object_get(rules, "default");
    json_t *expected = row->fallback != NULL ? json_loads(row->fallback, JSON_DECODE_ANY, NULL) : NULL;
    if ((expected == NULL) != (found == NULL) ||
        (expected != NULL && !json_equal(expected, (json_t *)found)))
        fail_msg("%s: the default differs", row->name);
    if (found != NULL && !schema_accepts(rules, found, 0))
        fail_msg("%s: the default is not accepted", row->name);
    json_decref(expected);
}

static void check_tables(const struct config_row *rows, const json_t *rules);

static void check_row(const struct config_row *row, const json_t *rules)
{
    int is_array = strcmp(schema_type(row), "array") == 0;
    int is_text = strcmp(schema_type(row), "string") == 0 && row->choices == NULL;
    if (row->kind == CONFIG_SECRET) {
        check_text(row->name, rules, "$ref", "#/$defs/secret");
        return;
    }
    check_text(row->name, rules, "type", schema_type(row));
    check_default(row, rules);
    check_bound(row->name, rules, "minimum", row->minimum, row->kind == CONFIG_INTEGER);
    check_bound(row->name, rules, "maximum", row->maximum, row->kind == CONFIG_INTEGER);
    check_bound(row->name, rules, "minItems", row->minimum, is_array && row->minimum > 0);
    check_bound(row->name, rules, "maxItems", row->maximum, is_array);
    check_bound(row->name, rules, "minLength", row->minimum, is_text && row->minimum > 0);
    check_bound(row->name, rules, "maxLength", row->maximum, is_text);
    check_text(row->name, rules, "pattern", is_array ? NULL : row->pattern);
    if (row->choices != NULL && !is_array)
        check_choices(row->name, rules, row->choices);
    if (row->kind == CONFIG_STRINGS || row->kind == CONFIG_CHOICES)
        check_strings(row, rules);
    if (row->kind == CONFIG_OBJECT)
        check_tables(row->rows, rules);
    if (row->kind == CONFIG_OBJECTS)
        check_tables(row->rows, json_object_get(rules, "items"));
}

static int is_required(const json_t *rules, const char *name)
{
    json_t *text = json_string(name);
    const json_t *names = json_object_get(rules, "required");
    int found = names != NULL && in_enum(names, text);
    json_decref(text);
    return found;
}

static void check_tables(const struct config_row *rows, const json_t *rules)
{
    const json_t *properties = json_object_get(rules, "properties");
    size_t count = 0, required = 0;
    check_text("object", rules, "type", "object");
    assert_true(json_is_false(json_object_get(rules, "additionalProperties")));
    assert_non_null(json_object_get(json_object_get(rules, "patternProperties"), "^//"));
    for (; rows->name != NULL; rows++, count++) {
        const json_t *property = json_object_get(properties, rows->name);
        int wanted = (rows->flags & CONFIG_REQUIRED) != 0;
        if (property == NULL)
            fail_msg("%s is not in the schema", rows->name);
        if (is_required(rules, rows->name) != wanted)
            fail_msg("%s: required differs", rows->name);
        if (rows->kind != CONFIG_SECRET && json_object_get(property, "description") == NULL)
            fail_msg("%s has no description", rows->name);
        assert_false(wanted && rows->fallback != NULL);
        required += wanted != 0;
        check_row(rows, property);
    }
    assert_int_equal(json_object_size(properties), count); /* so every property has a row */
    assert_int_equal(json_array_size(json_object_get(rules, "required")), required);
}

static void test_schema_is_the_tables(void **state)
{
    (void)state;
    check_tables(config_rows, schema);
    const json_t *branches =
        json_object_get(json_object_get(json_object_get(schema, "$defs"), "secret"), "oneOf");
    size_t i;
    for (i = 0; config_secret_sources[i] != NULL; i++)
        assert_true(is_required(json_array_get(branches, i), config_secret_sources[i]));
    assert_int_equal(json_array_size(branches), i);
}

/* No value that the tables let in is cut off by the C type that takes it. */
static void check_ranges(const struct config_row *rows)
{
    for (; rows->name != NULL; rows++) {
        if (rows->kind == CONFIG_INTEGER) {
            int64_t scale = rows->scale != 0 ? rows->scale : 1;
            assert_true(rows->minimum >= 0 && rows->minimum <= rows->maximum);
            assert_true(rows->size == 8 || rows->size == sizeof(unsigned));
            assert_true(rows->size == 8 || rows->maximum <= (int64_t)UINT_MAX / scale);
        }
        if (rows->rows != NULL)
            check_ranges(rows->rows);
    }
}

static void test_ranges_fit(void **state)
{
    (void)state;
    check_ranges(config_rows);
}

/* The default file names every setting that has a default, with that default and a comment. */
static void check_default_file(const struct config_row *rows, const json_t *json, int top)
{
    char comment[64];
    for (; rows->name != NULL; rows++) {
        const json_t *value = json_object_get(json, rows->name);
        snprintf(comment, sizeof comment, "//%s", rows->name);
        if (top && rows->name[0] != '$' && json_object_get(json, comment) == NULL)
            fail_msg("%s has no comment", rows->name);
        if (rows->fallback == NULL)
            continue;
        if (value == NULL)
            fail_msg("%s is not in the default file", rows->name);
        if (rows->kind == CONFIG_OBJECT) {
            check_default_file(rows->rows, value, 0);
        } else if (rows->kind == CONFIG_OBJECTS && json_array_size(value) > 0) {
            const json_t *item = json_array_get(value, 0);
            check_default_file(rows->rows, item, 0);
        } else {
            json_t *expected = json_loads(rows->fallback, JSON_DECODE_ANY, NULL);
            if (!json_equal(expected, (json_t *)value))
                fail_msg("%s: the default file has another value", rows->name);
            json_decref(expected);
        }
    }
}

static void test_default_file_is_complete(void **state)
{
    (void)state;
    json_t *json = read_json("conf/cctgate.json");
    assert_true(schema_accepts(schema, json, 0));
    check_default_file(config_rows, json, 1);
    const struct config_row *upstream = config_rows;
    while (strcmp(upstream->name, "upstream") != 0)
        upstream++;
    check_default_file(upstream->rows, json_object_get(json, "upstream"), 0);
    json_decref(json);
}

/* ---- reload ---- */

static void expect_restart(const char *pointer, const char *value, const char *expected)
{
    char what[64];
    json_t *json = json_deep_copy(full), *fresh_value = NULL;
    if (value != NULL)
        assert_non_null(fresh_value = json_loads(value, JSON_DECODE_ANY, NULL));
    edit(json, pointer, fresh_value);
    struct config *old = must_load(full), *fresh = must_load(json);
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
    expect_restart("/upstream/timeoutMs", "1234", "");
    expect_restart("/sessions/1", NULL, "");
    expect_restart("/consumer/allow", "[]", "");
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
}

static void test_compatible_lists_all(void **state)
{
    char what[64], small[10];
    struct config_error error;
    struct config *old = must_load(full), *fresh;
    (void)state;
    assert_int_equal(load_text(&fresh, least, &error), CG_OK);
    assert_int_equal(config_compatible(old, fresh, what, sizeof what), 0);
    assert_string_equal(what, "listen, threads, contract, data, consumer");
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

/* ---- secrets ---- */

static void test_secret_files(void **state)
{
    char why[128], *secret, *path = in_directory("secrets/longest");
    (void)state;
    assert_int_equal(secret_read_file(&secret, path, why, sizeof why), CG_OK);
    assert_int_equal(strlen(secret), CG_SECRET_BYTES_MAX);
    secret_wipe(&secret);
    assert_null(secret);
    secret_wipe(&secret);
    free(path);
    write_bytes("secrets/return", "a\r", 2, 0600); /* no line break: part of the secret */
    path = in_directory("secrets/return");
    assert_int_equal(secret_read_file(&secret, path, why, sizeof why), CG_OK);
    assert_string_equal(secret, "a\r");
    secret_wipe(&secret);
    free(path);
}

static void test_no_credentials_directory(void **state)
{
    char why[128], *secret, *before = strdup(getenv("CREDENTIALS_DIRECTORY"));
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(secret_read_credential(&secret, "supervisor", why, sizeof why), CG_E_IO);
    assert_string_equal(why, "no CREDENTIALS_DIRECTORY in the environment");
    assert_int_equal(secret_read_credential(&secret, "", why, sizeof why), CG_E_INVALID);
    setenv("CREDENTIALS_DIRECTORY", before, 1);
    free(before);
}

static void test_secret_helpers(void **state)
{
    uint8_t digest[32] = {1};
    (void)state;
    assert_int_equal(secret_equal("abc", "abc", 3), 1);
    assert_int_equal(secret_equal("abc", "abd", 3), 0);
    assert_int_equal(secret_equal("bbc", "abc", 3), 0);
    assert_int_equal(secret_equal("a", "b", 0), 1);
    assert_int_equal(secret_sha256_from_hex(digest, "00"), CG_E_INVALID);
    assert_int_equal(digest[0], 1);
}

static int hits_in(const unsigned char *bytes, size_t size, const char *hidden, size_t length)
{
    const unsigned char *at = bytes, *end = bytes + size;
    int hits = 0;
    while ((size_t)(end - at) >= length &&
           (at = memchr(at, (unsigned char)~hidden[0], (size_t)(end - at))) != NULL) {
        size_t same = 0;
        while (same < length && at + same < end && at[same] == (unsigned char)~hidden[same])
            same++;
        hits += same == length;
        at++;
    }
    return hits;
}

/*
 * Looks for text in all memory that this process can write, as a core dump would show it. `hidden` is the text with each
 * byte inverted, so that the search itself is no hit.
 */
static int memory_holds(const char *hidden, size_t length)
{
    static unsigned char buffer[1 << 18];
    char line[512], rights[8];
    unsigned long from, to;
    int hits = 0, memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_true(memory >= 0 && maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[1] != 'w' ||
            to - from > 1ul << 28) /* a sanitizer's shadow is terabytes */
            continue;
        for (unsigned long at = from; at < to; at += sizeof buffer - 256) {
            size_t want = to - at < sizeof buffer ? to - at : sizeof buffer;
            ssize_t got = pread(memory, buffer, want, (off_t)at);
            hits += got > 0 ? hits_in(buffer, (size_t)got, hidden, length) : 0;
            explicit_bzero(buffer, sizeof buffer);
        }
    }
    fclose(maps);
    close(memory);
    return hits;
}

static void test_secrets_leave_memory(void **state)
{
    char text[64], hidden[64];
    size_t length = 48;
    struct config *c;
    struct config_error error;
    (void)state;
    for (size_t i = 0; i < length; i++) {
        text[i] = (char)('a' + (i * 7 + 3) % 26);
        hidden[i] = (char)~text[i];
    }
    write_bytes("secrets/wiped", text, length, 0600);
    explicit_bzero(text, sizeof text);
    static const char with_secret[] = /* the closing brace is added */
        "{\"upstream\":{\"endpoints\":[{\"name\":\"a\",\"url\":\"http://a\"}]},\"sessions\":[{\"user\":\"u\","
        "\"password\":{\"file\":\"secrets/wiped\"}}],\"outbound\":{\"url\":\"http://a\",\"user\":\"u\","
        "\"password\":{\"file\":\"secrets/wiped\"}}";
    char whole[512];
    snprintf(whole, sizeof whole, "%s}", with_secret);
    assert_int_equal(load_text(&c, whole, &error), CG_OK);
    assert_true(memory_holds(hidden, length) > 0); /* the search finds what is there */
    config_unref(&c);
    assert_int_equal(memory_holds(hidden, length), 0);
    /* and the same when the load fails after the secrets were read */
    snprintf(whole, sizeof whole, "%s,\"log\":1}", with_secret);
    assert_int_equal(load_text(&c, whole, &error), CG_E_INVALID);
    assert_string_equal(error.pointer, "/log");
    assert_int_equal(memory_holds(hidden, length), 0);
}

static int capture_stderr(int *saved)
{
    int fd = (int)memfd_create("log", MFD_CLOEXEC);
    assert_true(fd >= 0);
    *saved = dup(STDERR_FILENO);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    return fd;
}

static void test_world_readable_secret_is_told(void **state)
{
    char text[1024], why[128], *secret, *path = in_directory("secrets/open");
    int saved, fd = capture_stderr(&saved);
    (void)state;
    write_bytes("secrets/open", PLANTED, strlen(PLANTED), 0644);
    int rc = secret_read_file(&secret, path, why, sizeof why);
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
    assert_int_equal(rc, CG_OK);
    assert_true(length > 0);
    text[length] = '\0';
    assert_non_null(strstr(text, "\"event\":\"secretReadable\""));
    assert_non_null(strstr(text, path));
    assert_null(strstr(text, PLANTED));
    secret_wipe(&secret);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_own),
        cmocka_unit_test(test_full_upstream),
        cmocka_unit_test(test_full_sessions),
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
        cmocka_unit_test(test_schema_keywords),
        cmocka_unit_test(test_schema_is_the_tables),
        cmocka_unit_test(test_ranges_fit),
        cmocka_unit_test(test_default_file_is_complete),
        cmocka_unit_test(test_compatible),
        cmocka_unit_test(test_compatible_lists_all),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_secret_files),
        cmocka_unit_test(test_no_credentials_directory),
        cmocka_unit_test(test_secret_helpers),
        cmocka_unit_test(test_secrets_leave_memory),
        cmocka_unit_test(test_world_readable_secret_is_told),
    };
    return cmocka_run_group_tests_name("config", tests, set_up, tear_down);
}
