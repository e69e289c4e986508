/* Memory runs out in the cores that are not of the contract: configuration, tokens, policy, messages of clients, events. */
#include "test_allocation_fixture.h"

#include <openssl/evp.h>
#include <rhonabwy.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cctgate/config.h"
#include "cctgate/event.h"
#include "cctgate/jwt.h"
#include "cctgate/lockout.h"
#include "cctgate/memory.h"
#include "cctgate/policy.h"
#include "cctgate/secret.h"
#include "config_files.h"
#include "gateway/events/client_message.h"
#include "gateway/rest/body.h"
#include "gateway/rest/intake.h"

#define NOW_MS 1900000000000

/* ---- configuration ---- */

static int load_config(void *data)
{
    struct config_error error;
    struct config *config = data;

    allocation_begin();
    int rc = config_load(&config, data, &error);
    allocation_end();
    if (rc == CG_OK) {
        assert_int_equal(config->num_sessions, 3);
        for (size_t i = 0; i < config->num_sessions; ++i)
            assert_non_null(config->sessions[i].password);
        assert_string_equal(config->tokens[0].users[0], "agent2001");
        assert_non_null(config->jwt.jwks_file);
    } else {
        assert_null(config);
        assert_string_equal(error.text, "no memory");
    }
    config_unref(&config);
    return rc;
}

static void test_configuration(void **state)
{
    char *text = json_dumps(files_full, 0), *path = files_path("test.json");

    (void)state;
    files_write_text("test.json", text);
    allocation_torture("config_load", load_config, path, ALLOCATION_STRICT);
    free(text);
    free(path);
}

static int read_secret(void *data)
{
    char *secret, why[128] = "";

    allocation_begin();
    int rc = secret_read_file(&secret, data, why, sizeof(why));
    allocation_end();
    if (rc == CG_OK)
        assert_string_equal(secret, "first secret");
    else
        assert_null(secret);
    secret_wipe(&secret);
    return rc;
}

static int read_credential(void *data)
{
    char *secret, why[128] = "";

    allocation_begin();
    int rc = secret_read_credential(&secret, data, why, sizeof(why));
    allocation_end();
    if (rc == CG_OK)
        assert_string_equal(secret, "fourth");
    else
        assert_null(secret);
    secret_wipe(&secret);
    return rc;
}

static void test_secrets(void **state)
{
    static char supervisor[] = "supervisor";
    char *path = files_path("secrets/agent");

    (void)state;
    allocation_torture("secret_read_file", read_secret, path, ALLOCATION_STRICT);
    allocation_torture("secret_read_credential", read_credential, supervisor, ALLOCATION_STRICT);
    free(path);
}

/* ---- tokens of an identity provider ---- */

/* What the library does is not ours to fail: it does not live through it, and memory.c sees to it that it need not. */
#define OF_THE_LIBRARY(type, name, parameters, arguments)                                          \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        int armed = allocation.armed;                                                              \
        if (fixture.in_signature == 0)                                                             \
            fixture.in_signature = allocation.count + 1;                                           \
        allocation.armed = fixture.library_fails && armed;                                         \
        type result = __real_##name arguments;                                                     \
        allocation.armed = armed;                                                                  \
        return result;                                                                             \
    }

static const struct jwt_settings settings = {
    "https://id.example", "cctgate", "azp", "cct_users", "roles", 0, 30000};
static const char header[] = "{\"alg\":\"EdDSA\",\"kid\":\"d\",\"typ\":\"JWT\"}";
static const char claims_text[] =
    "{\"iss\":\"https://id.example\",\"aud\":[\"other\",\"cctgate\"],\"exp\":1900000300,\"azp\":"
    "\"desk\",\"sub\":\"s1\",\"cct_users\":[\"agent2001\",\"agent2002\"],\"roles\":\"viewer "
    "controller\"}";

static struct {
    char jwks[512], token[1024];
    struct jwt_keys *keys;
    struct config *config;
    struct policy *base, *policy;
    int library_fails;
    size_t in_signature; /* the number of its first allocation; 0: to be found */
} fixture;

OF_THE_LIBRARY(int, r_jws_init, (jws_t * *jws), (jws))
OF_THE_LIBRARY(int, r_jwk_init, (jwk_t * *jwk), (jwk))
OF_THE_LIBRARY(int, r_jwk_import_from_json_str, (jwk_t * jwk, const char *text), (jwk, text))
OF_THE_LIBRARY(int, r_jwk_key_type, (jwk_t * jwk, unsigned *bits, int flags), (jwk, bits, flags))
OF_THE_LIBRARY(int, r_jws_advanced_compact_parsen,
               (jws_t * jws, const char *text, size_t length, uint32_t parse, int flags),
               (jws, text, length, parse, flags))
OF_THE_LIBRARY(int, r_jws_verify_signature, (jws_t * jws, jwk_t *jwk, int flags), (jws, jwk, flags))

static size_t base64url(char *out, const void *bytes, size_t length)
{
    size_t n = (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)length);

    while (n > 0 && out[n - 1] == '=')
        --n;
    out[n] = '\0';
    for (size_t i = 0; i < n; ++i)
        out[i] = (char)(out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i]);
    return n;
}

static void make_token(void)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char raw[32], signature[64];
    size_t raw_length = sizeof(raw), signature_length = sizeof(signature), n;
    char x[64];

    assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &raw_length), 1);
    base64url(x, raw, raw_length);
    snprintf(fixture.jwks, sizeof(fixture.jwks),
             "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\",\"kid\":\"d\"},{\"kty\":"
             "\"oct\",\"k\":\"AAAA\"}]}",
             x);
    n = base64url(fixture.token, header, strlen(header));
    fixture.token[n++] = '.';
    n += base64url(fixture.token + n, claims_text, strlen(claims_text));
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &signature_length,
                                    (const unsigned char *)fixture.token, n),
                     1);
    fixture.token[n++] = '.';
    base64url(fixture.token + n, signature, signature_length);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

static int make_keys(void *data)
{
    struct jwt_keys *keys = data;
    char error[256];
    size_t passed_over;

    allocation_begin();
    int rc = jwt_keys_new(&keys, &settings, fixture.jwks, strlen(fixture.jwks), &passed_over, error,
                          sizeof(error));
    allocation_end();
    if (rc == CG_OK) {
        assert_int_equal(jwt_keys_count(keys), 1);
        assert_int_equal(passed_over, 1);
    } else {
        assert_null(keys);
    }
    jwt_keys_unref(&keys);
    return rc;
}

static int verify(void *data)
{
    struct jwt_claims claims;

    (void)data;
    allocation_begin();
    int rc = jwt_verify(fixture.keys, fixture.token, strlen(fixture.token), NOW_MS, &claims);
    allocation_end();
    if (rc == CG_OK) {
        assert_string_equal(claims.application, "desk");
        assert_string_equal(claims.subject, "https://id.example s1");
        assert_int_equal(claims.num_users, 2);
        assert_string_equal(claims.users[1], "agent2002");
        assert_int_equal(claims.roles, ROLE_VIEWER | ROLE_CONTROLLER);
    } else {
        assert_true(claims.application == NULL && claims.users == NULL && claims.subject == NULL);
    }
    jwt_claims_release(&claims);
    return rc;
}

static void test_jwt(void **state)
{
    (void)state;
    allocation_torture("jwt_keys_new", make_keys, fixture.keys, ALLOCATION_STRICT);
    allocation_torture("jwt_verify", verify, NULL, ALLOCATION_STRICT);
}

/* ---- policy ---- */

static const uint32_t numbers[] = {1, 2, 3};
static const uint8_t bearer_sha256[32] = {7}, jwt_sha256[32] = {9};

static int make_policy(void *data)
{
    (void)data;
    allocation_begin();
    struct policy *policy = policy_new(fixture.config, numbers);
    allocation_end();
    if (policy == NULL)
        return CG_E_NOMEM;
    const struct access *access = policy_find_digest(policy, fixture.config->tokens[0].sha256);
    assert_non_null(access);
    assert_int_equal(access->num_users, fixture.config->tokens[0].num_users);
    policy_unref(&policy);
    return CG_OK;
}

static int make_policy_with(void *data)
{
    struct policy_bearer bearer = {.user = 17, .use = bearer_use_new("late", 0)};

    (void)data;
    memcpy(bearer.sha256, bearer_sha256, sizeof(bearer.sha256));
    allocation_begin();
    struct policy *policy = policy_with(fixture.base, &bearer, 1, fixture.keys);
    allocation_end();
    bearer_use_unref(&bearer.use);
    if (policy == NULL)
        return CG_E_NOMEM;
    assert_int_equal(policy_find_digest(policy, bearer_sha256)->users[0].number, 17);
    assert_non_null(policy_find_digest(policy, fixture.config->tokens[0].sha256));
    policy_unref(&policy);
    return CG_OK;
}

static int make_policy_of_jwt(void *data)
{
    struct policy *of_jwt, *renewed = NULL;
    struct jwt_claims claims;

    (void)data;
    assert_int_equal(
        jwt_verify(fixture.keys, fixture.token, strlen(fixture.token), NOW_MS, &claims), CG_OK);
    allocation_begin();
    if ((of_jwt = policy_of_jwt(fixture.policy, jwt_sha256, &claims)) != NULL)
        renewed = policy_renew(of_jwt, fixture.policy);
    allocation_end();
    assert_true(claims.application == NULL && claims.users == NULL);
    if (renewed != NULL) {
        const struct access *access = policy_find_digest(renewed, jwt_sha256);
        assert_string_equal(access->application, "desk");
        assert_int_equal(access->num_users, 1); /* the configuration has one of them */
    }
    policy_unref(&of_jwt);
    if (renewed == NULL)
        return CG_E_NOMEM;
    policy_unref(&renewed);
    return CG_OK;
}

static void test_policy(void **state)
{
    (void)state;
    allocation_torture("policy_new", make_policy, NULL, ALLOCATION_STRICT);
    allocation_torture("policy_with", make_policy_with, NULL, ALLOCATION_STRICT);
    allocation_torture("policy_of_jwt", make_policy_of_jwt, NULL, ALLOCATION_STRICT);
}

static int count_failures(void *data)
{
    (void)data;
    allocation_begin();
    struct lockout *lockout = lockout_new(10);
    allocation_end();
    if (lockout == NULL)
        return CG_E_NOMEM;
    lockout_free(&lockout);
    assert_null(lockout);
    return CG_OK;
}

static void test_lockout(void **state)
{
    (void)state;
    allocation_torture("lockout_new", count_failures, NULL, ALLOCATION_STRICT);
}

/* ---- what clients send ---- */

static int parse_body(void *data)
{
    struct intake_error error = {0};
    char text[] = "{\"a\":[1,2.5,null,true,{\"b\":\"c\"}],\"d\":\"\\u00e4\"}";

    (void)data;
    allocation_begin();
    json_t *json = intake_body(text, sizeof(text) - 1, &error);
    allocation_end();
    if (json != NULL) {
        assert_int_equal(json_object_size(json), 2);
        assert_int_equal(json_array_size(json_object_get(json, "a")), 5);
        json_decref(json);
        return CG_OK;
    }
    assert_int_equal(error.problem, PROBLEM_OVERLOADED);
    assert_false(error.about_body);
    return CG_E_NOMEM;
}

static int parse_message(void *data)
{
    static const char text[] =
        "{\"op\":\"subscribe\",\"id\":\"a\",\"types\":[\"cct.agent.state\"],\"subjects\":["
        "\"/v1/agents/2001\",\"/v1/calls\"],\"agents\":[\"2001\",\"2002\"],\"since\":\"7-9\"}";
    struct message_error error = {0};
    struct subscribe wanted = {0};
    struct client_message message;

    (void)data;
    allocation_begin();
    int rc = client_message_parse(&message, text, sizeof(text) - 1, &error);
    if (rc == CG_OK)
        rc = subscribe_parse(&wanted, message.json, &error);
    allocation_end();
    if (rc == CG_OK) {
        assert_int_equal(wanted.filter.num_subjects, 2);
        assert_string_equal(wanted.filter.agents[1], "2002");
        assert_int_equal(wanted.since.seq, 9);
    } else {
        assert_int_equal(error.problem, PROBLEM_OVERLOADED);
    }
    subscribe_release(&wanted);
    client_message_release(&message);
    return rc;
}

static int parse_query(void *data)
{
    static const char query[] = "subjects=/v1/agents/2001,/v1/calls&agents=2001&snapshot=true";
    struct message_error error = {0};
    struct subscribe wanted;

    (void)data;
    allocation_begin();
    int rc = subscribe_parse_query(&wanted, query, sizeof(query) - 1, &error);
    allocation_end();
    if (rc == CG_OK) {
        assert_int_equal(wanted.filter.num_subjects, 2);
        assert_int_equal(wanted.filter.num_agents, 1);
    } else {
        assert_int_equal(error.problem, PROBLEM_OVERLOADED);
    }
    subscribe_release(&wanted);
    return rc;
}

static int make_problem(void *data)
{
    (void)data;
    memory_watch();
    allocation_begin();
    json_t *json = problem_json(PROBLEM_CONFLICT, "why");
    allocation_end();
    assert_int_equal(memory_ran_out(), allocation.failed > 0);
    if (json == NULL)
        return CG_E_NOMEM;
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 409);
    assert_string_equal(json_string_value(json_object_get(json, "type")), "/problems/conflict");
    assert_non_null(json_object_get(json, "title"));
    json_decref(json);
    return CG_OK;
}

static void test_clients(void **state)
{
    (void)state;
    allocation_torture("intake_body", parse_body, NULL, ALLOCATION_STRICT);
    allocation_torture("client_message_parse", parse_message, NULL, ALLOCATION_STRICT);
    allocation_torture("subscribe_parse_query", parse_query, NULL, ALLOCATION_STRICT);
    allocation_torture("problem_json", make_problem, NULL, ALLOCATION_TOLERANT); /* no detail */
}

/* ---- events ---- */

static int make_event(void *data)
{
    static const uint32_t users[] = {5, 2, 5};
    struct event_parts parts = {.seq = 3,
                                .type = EVENT_AGENT_STATE,
                                .subject = "/v1/agents/2001",
                                .agent = "2001",
                                .users = users,
                                .num_users = 3,
                                .json = "{}",
                                .json_length = 2};
    struct event *event, *again = NULL;
    void *bytes = NULL;
    size_t length;
    int rc = CG_E_NOMEM;

    (void)data;
    allocation_begin();
    if ((event = event_new(&parts)) != NULL && (bytes = event_encode(event, &length)) != NULL)
        rc = event_decode(&again, 3, bytes, length);
    allocation_end();
    if (rc == CG_OK) {
        assert_string_equal(again->subject, parts.subject);
        assert_int_equal(again->num_users, 2);
    } else {
        assert_null(again);
    }
    free(bytes);
    event_unref(&event);
    event_unref(&again);
    return rc;
}

static void test_events(void **state)
{
    (void)state;
    allocation_torture("event", make_event, NULL, ALLOCATION_STRICT);
}

/* ---- where nobody watches ---- */

static void set_member(void)
{
    json_t *json = json_object();

    allocation_begin();
    json_object_set_new(json, "to", json_string("2002"));
}

static void verify_signature(void)
{
    struct jwt_claims claims;

    fixture.library_fails = 1;
    allocation_begin();
    jwt_verify(fixture.keys, fixture.token, strlen(fixture.token), NOW_MS, &claims);
}

/* The signal that ends it when allocation `at` fails; 0: none. */
static int end_of(void (*act)(void), size_t at)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        allocation.at = at;
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_nobody_watches(void **state)
{
    json_t *json = json_object();

    (void)state;
    assert_int_equal(end_of(set_member, 1), SIGABRT);
    fixture.in_signature = allocation.at = 0;
    assert_int_equal(verify(NULL), CG_OK);
    assert_int_equal(end_of(verify_signature, 0), 0);
    assert_int_equal(end_of(verify_signature, fixture.in_signature), SIGABRT);
    memory_watch();
    memory_watch();
    allocation.at = 1;
    allocation_begin();
    assert_int_not_equal(json_object_set_new(json, "to", json_string("2002")), 0);
    allocation_end();
    assert_true(memory_ran_out());
    assert_true(memory_ran_out());
    memory_watch();
    assert_false(memory_ran_out());
    json_decref(json);
}

static int set_up(void **state)
{
    char error[256];
    size_t passed_over;

    allocation_init();
    jwt_init();
    if (files_set_up(state) != 0)
        return -1;
    make_token();
    assert_int_equal(jwt_keys_new(&fixture.keys, &settings, fixture.jwks, strlen(fixture.jwks),
                                  &passed_over, error, sizeof(error)),
                     CG_OK);
    fixture.config = files_must_load(files_full);
    fixture.base = policy_new(fixture.config, numbers);
    fixture.policy = policy_with(fixture.base, NULL, 0, fixture.keys);
    return 0;
}

static int tear_down(void **state)
{
    policy_unref(&fixture.policy);
    policy_unref(&fixture.base);
    config_unref(&fixture.config);
    jwt_keys_unref(&fixture.keys);
    return files_tear_down(state);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configuration), cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_jwt),           cmocka_unit_test(test_policy),
        cmocka_unit_test(test_lockout),       cmocka_unit_test(test_clients),
        cmocka_unit_test(test_events),        cmocka_unit_test(test_nobody_watches),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
