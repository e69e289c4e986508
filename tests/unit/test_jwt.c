/* Tokens of an identity provider: what is taken, and every way in which one may be wrong. Keys are made on the spot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "cctgate/config.h"
#include "cctgate/error.h"
#include "cctgate/jwt.h"

#define NOW_MS 1900000000000

enum { RSA_KEY, P256_KEY, ED_KEY, OTHER_RSA_KEY, SHORT_RSA_KEY, P384_KEY, KEYS };
static EVP_PKEY *keys[KEYS];

/* ---- writing ---- */

static char *base64url(const void *bytes, size_t length)
{
    size_t i, n = 0;
    char *text = malloc(length * 4 / 3 + 8);

    assert_non_null(text);
    n = (size_t)EVP_EncodeBlock((unsigned char *)text, bytes, (int)length);
    while (n > 0 && text[n - 1] == '=')
        --n;
    text[n] = '\0';
    for (i = 0; i < n; ++i)
        text[i] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    return text;
}

static char *number(int key, const char *name, int size)
{
    BIGNUM *bn = NULL;
    unsigned char bytes[1024];
    int length;

    assert_int_equal(EVP_PKEY_get_bn_param(keys[key], name, &bn), 1);
    length = size > 0 ? size : BN_num_bytes(bn);
    assert_int_equal(BN_bn2binpad(bn, bytes, length), length);
    BN_free(bn);
    return base64url(bytes, (size_t)length);
}

/* {"kty":…} of a key, with `more` members. */
static json_t *jwk(int key, const char *more)
{
    json_t *json = NULL, *others = json_loads(more, 0, NULL);
    char *a = NULL, *b = NULL;

    if (key == ED_KEY) {
        unsigned char raw[32];
        size_t length = sizeof(raw);
        assert_int_equal(EVP_PKEY_get_raw_public_key(keys[key], raw, &length), 1);
        a = base64url(raw, length);
        json = json_pack("{s:s, s:s, s:s}", "kty", "OKP", "crv", "Ed25519", "x", a);
    } else if (key == P256_KEY || key == P384_KEY) {
        int size = key == P256_KEY ? 32 : 48;
        a = number(key, OSSL_PKEY_PARAM_EC_PUB_X, size);
        b = number(key, OSSL_PKEY_PARAM_EC_PUB_Y, size);
        json = json_pack("{s:s, s:s, s:s, s:s}", "kty", "EC", "crv",
                         key == P256_KEY ? "P-256" : "P-384", "x", a, "y", b);
    } else {
        a = number(key, OSSL_PKEY_PARAM_RSA_N, 0);
        b = number(key, OSSL_PKEY_PARAM_RSA_E, 0);
        json = json_pack("{s:s, s:s, s:s}", "kty", "RSA", "n", a, "e", b);
    }
    assert_non_null(others);
    json_object_update(json, others);
    json_decref(others);
    free(a);
    free(b);
    return json;
}

static size_t sign_ecdsa(const unsigned char *der, size_t length, unsigned char *raw)
{
    const BIGNUM *r, *s;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)length);

    assert_non_null(signature);
    ECDSA_SIG_get0(signature, &r, &s);
    assert_int_equal(BN_bn2binpad(r, raw, 32), 32);
    assert_int_equal(BN_bn2binpad(s, raw + 32, 32), 32);
    ECDSA_SIG_free(signature);
    return 64;
}

static size_t sign(int key, const char *text, unsigned char *out, size_t size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char bytes[1024];
    size_t length = sizeof(bytes);

    assert_int_equal(
        EVP_DigestSignInit(context, NULL, key == ED_KEY ? NULL : EVP_sha256(), NULL, keys[key]), 1);
    assert_int_equal(
        EVP_DigestSign(context, bytes, &length, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(context);
    if (key == P256_KEY)
        return sign_ecdsa(bytes, length, out);
    assert_true(length <= size);
    memcpy(out, bytes, length);
    return length;
}

/* The PEM of a public key as the secret of an HMAC: what key confusion is. */
static size_t sign_hmac_of_pem(int key, const char *text, unsigned char *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    unsigned length = 0;
    char *pem;
    long size;

    assert_int_equal(PEM_write_bio_PUBKEY(bio, keys[key]), 1);
    size = BIO_get_mem_data(bio, &pem);
    assert_non_null(HMAC(EVP_sha256(), pem, (int)size, (const unsigned char *)text, strlen(text),
                         out, &length));
    BIO_free(bio);
    return length;
}

enum { SIGN_NOTHING = -1, SIGN_HMAC = -2 };

static char *make(int key, const char *header, const char *payload)
{
    char *first = base64url(header, strlen(header)), *second = base64url(payload, strlen(payload));
    char *third, *token;
    size_t size = strlen(first) + strlen(second) + 2, length = 0;
    unsigned char signature[1024];
    char *signed_text = malloc(size);

    snprintf(signed_text, size, "%s.%s", first, second);
    if (key == SIGN_HMAC)
        length = sign_hmac_of_pem(RSA_KEY, signed_text, signature);
    else if (key != SIGN_NOTHING)
        length = sign(key, signed_text, signature, sizeof(signature));
    third = length > 0 ? base64url(signature, length) : calloc(1, 1);
    token = malloc(size + strlen(third) + 1);
    snprintf(token, size + strlen(third) + 1, "%s.%s", signed_text, third);
    free(first);
    free(second);
    free(third);
    free(signed_text);
    return token;
}

/* ---- the keys ---- */

static const struct jwt_settings settings = {
    "https://id.example", "cctgate", "azp", "cct_users", "roles", 0, 30000};

static struct jwt_keys *load(json_t *list, const struct jwt_settings *with, int *rc, size_t *passed)
{
    json_t *set = json_pack("{s:o}", "keys", list);
    char *text = json_dumps(set, 0), error[256];
    struct jwt_keys *loaded;

    *rc = jwt_keys_new(&loaded, with, text, strlen(text), passed, error, sizeof(error));
    free(text);
    json_decref(set);
    return loaded;
}

static struct jwt_keys *ours(const struct jwt_settings *with)
{
    json_t *list = json_pack("[o,o,o]", jwk(RSA_KEY, "{\"kid\":\"r\",\"use\":\"sig\"}"),
                             jwk(P256_KEY, "{\"kid\":\"e\",\"alg\":\"ES256\"}"),
                             jwk(ED_KEY, "{\"kid\":\"d\",\"key_ops\":[\"verify\"]}"));
    size_t passed;
    int rc;
    struct jwt_keys *loaded = load(list, with, &rc, &passed);

    assert_int_equal(rc, CG_OK);
    assert_int_equal(passed, 0);
    assert_int_equal(jwt_keys_count(loaded), 3);
    return loaded;
}

#define CLAIMS(more)                                                                               \
    "{\"iss\":\"https://id.example\",\"aud\":\"cctgate\",\"exp\":1900000300,\"azp\":\"desk\","     \
    "\"sub\":\"s1\",\"cct_users\":[\"agent2001\"],\"roles\":[\"viewer\"]" more "}"
#define BASE_CLAIMS CLAIMS("")

static int verify(const struct jwt_keys *with, const char *token, struct jwt_claims *claims)
{
    return jwt_verify(with, token, strlen(token), NOW_MS, claims);
}

static void test_taken(void **state)
{
    static const struct {
        int key;
        const char *header;
    } rows[] = {
        {RSA_KEY, "{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":\"JWT\"}"},
        {P256_KEY, "{\"alg\":\"ES256\",\"kid\":\"e\",\"typ\":\"at+jwt\"}"},
        {ED_KEY, "{\"alg\":\"EdDSA\",\"kid\":\"d\",\"typ\":\"application/at+JWT\"}"},
        {RSA_KEY, "{\"alg\":\"RS256\"}"},
    };
    struct jwt_keys *with = ours(&settings);
    struct jwt_claims claims;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        char *token = make(rows[i].key, rows[i].header, BASE_CLAIMS);
        assert_true(jwt_looks_like(token, strlen(token)));
        assert_int_equal(verify(with, token, &claims), CG_OK);
        assert_string_equal(claims.application, "desk");
        assert_string_equal(claims.subject, "https://id.example s1");
        assert_int_equal(claims.num_users, 1);
        assert_string_equal(claims.users[0], "agent2001");
        assert_int_equal(claims.roles, ROLE_VIEWER);
        assert_int_equal(claims.expires_ms, 1900000330000);
        assert_true(jwt_keys_still_hold(with, with, claims.key));
        jwt_claims_release(&claims);
        free(token);
    }
    jwt_keys_unref(&with);
}

#define RS256 "{\"alg\":\"RS256\",\"kid\":\"r\"}"

static void test_refused(void **state)
{
    static const struct {
        const char *what;
        int key;
        const char *header, *payload;
    } rows[] = {
        {"no algorithm", SIGN_NOTHING, "{\"alg\":\"none\"}", BASE_CLAIMS},
        {"no algorithm, in another spelling", SIGN_NOTHING, "{\"alg\":\"nOnE\",\"kid\":\"r\"}",
         BASE_CLAIMS},
        {"no algorithm, but signed", RSA_KEY, "{\"alg\":\"none\",\"kid\":\"r\"}", BASE_CLAIMS},
        {"a public key as HMAC's secret", SIGN_HMAC, "{\"alg\":\"HS256\",\"kid\":\"r\"}",
         BASE_CLAIMS},
        {"the same, said to be RS256", SIGN_HMAC, RS256, BASE_CLAIMS},
        {"ES256 with the RSA key's name", P256_KEY, "{\"alg\":\"ES256\",\"kid\":\"r\"}",
         BASE_CLAIMS},
        {"RS256 with the EC key's name", RSA_KEY, "{\"alg\":\"RS256\",\"kid\":\"e\"}", BASE_CLAIMS},
        {"said ES256, signed with RSA", RSA_KEY, "{\"alg\":\"ES256\",\"kid\":\"e\"}", BASE_CLAIMS},
        {"an algorithm that is not ours", RSA_KEY, "{\"alg\":\"PS256\",\"kid\":\"r\"}",
         BASE_CLAIMS},
        {"in lower case", RSA_KEY, "{\"alg\":\"rs256\",\"kid\":\"r\"}", BASE_CLAIMS},
        {"no algorithm at all", RSA_KEY, "{\"kid\":\"r\"}", BASE_CLAIMS},
        {"an algorithm that is no text", RSA_KEY, "{\"alg\":[\"RS256\"],\"kid\":\"r\"}",
         BASE_CLAIMS},
        {"an unknown key", RSA_KEY, "{\"alg\":\"RS256\",\"kid\":\"x\"}", BASE_CLAIMS},
        {"a kid that is no text", RSA_KEY, "{\"alg\":\"RS256\",\"kid\":1}", BASE_CLAIMS},
        {"another's signature", OTHER_RSA_KEY, RS256, BASE_CLAIMS},
        {"no signature", SIGN_NOTHING, RS256, BASE_CLAIMS},
        {"crit", RSA_KEY, "{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[\"exp\"],\"exp\":1}",
         BASE_CLAIMS},
        {"b64", RSA_KEY, "{\"alg\":\"RS256\",\"kid\":\"r\",\"b64\":true}", BASE_CLAIMS},
        {"a logout token", RSA_KEY, "{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":\"logout+jwt\"}",
         BASE_CLAIMS},
        {"a member twice", RSA_KEY, "{\"alg\":\"RS256\",\"alg\":\"RS256\",\"kid\":\"r\"}",
         BASE_CLAIMS},
        {"a header that is no object", RSA_KEY, "[\"RS256\"]", BASE_CLAIMS},
        {"a payload that is none", RSA_KEY, RS256, "[]"},
        {"a claim twice", RSA_KEY, RS256, CLAIMS(",\"exp\":1900000300")},
        {"no issuer", RSA_KEY, RS256, "{\"aud\":\"cctgate\",\"exp\":1900000300,\"sub\":\"s\"}"},
        {"another issuer", RSA_KEY, RS256,
         "{\"iss\":\"https://id.example/\",\"aud\":\"cctgate\",\"exp\":1900000300,\"sub\":\"s\"}"},
        {"issuers", RSA_KEY, RS256,
         "{\"iss\":[\"https://id.example\"],\"aud\":\"cctgate\",\"exp\":1900000300,\"sub\":\"s\"}"},
        {"no audience", RSA_KEY, RS256,
         "{\"iss\":\"https://id.example\",\"exp\":1900000300,\"sub\":\"s\"}"},
        {"other audiences", RSA_KEY, RS256,
         "{\"iss\":\"https://"
         "id.example\",\"aud\":[\"a\",1,\"cctgat\"],\"exp\":1900000300,\"sub\":\"s\"}"},
        {"no expiry", RSA_KEY, RS256,
         "{\"iss\":\"https://id.example\",\"aud\":\"cctgate\",\"sub\":\"s\"}"},
        {"an expiry in text", RSA_KEY, RS256,
         "{\"iss\":\"https://"
         "id.example\",\"aud\":\"cctgate\",\"exp\":\"1900000300\",\"sub\":\"s\"}"},
        {"an expiry beyond time", RSA_KEY, RS256,
         "{\"iss\":\"https://id.example\",\"aud\":\"cctgate\",\"exp\":1e300,\"sub\":\"s\"}"},
        {"expired by the skew", RSA_KEY, RS256,
         "{\"iss\":\"https://id.example\",\"aud\":\"cctgate\",\"exp\":1899999970,\"sub\":\"s\"}"},
        {"not yet", RSA_KEY, RS256, CLAIMS(",\"nbf\":1900000031")},
        {"nbf in text", RSA_KEY, RS256, CLAIMS(",\"nbf\":\"1\"")},
        {"from the future", RSA_KEY, RS256, CLAIMS(",\"iat\":1900000031")},
        {"nobody's", RSA_KEY, RS256,
         "{\"iss\":\"https://id.example\",\"aud\":\"cctgate\",\"exp\":1900000300}"},
    };
    struct jwt_keys *with = ours(&settings);
    struct jwt_claims claims;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        char *token = make(rows[i].key, rows[i].header, rows[i].payload);
        if (verify(with, token, &claims) != CG_E_DENIED)
            fail_msg("taken: %s", rows[i].what);
        assert_null(claims.application);
        free(token);
    }
    jwt_keys_unref(&with);
}

/* What the header brings is never used: neither instead of our keys nor beside them. */
static void test_embedded_keys(void **state)
{
    static const char *const names[] = {"jku", "x5u"};
    struct jwt_keys *with = ours(&settings);
    struct jwt_claims claims;
    json_t *own = jwk(OTHER_RSA_KEY, "{\"kid\":\"r\"}");
    char *own_text = json_dumps(own, JSON_COMPACT), header[2048], *token;
    size_t i;

    (void)state;
    snprintf(header, sizeof(header), "{\"alg\":\"RS256\",\"jwk\":%s}", own_text);
    token = make(OTHER_RSA_KEY, header, BASE_CLAIMS);
    assert_int_equal(verify(with, token, &claims), CG_E_DENIED);
    free(token);
    token = make(RSA_KEY, header, BASE_CLAIMS); /* ours all the same */
    assert_int_equal(verify(with, token, &claims), CG_OK);
    jwt_claims_release(&claims);
    free(token);
    for (i = 0; i < 2; ++i) {
        snprintf(header, sizeof(header), "{\"alg\":\"RS256\",\"%s\":\"http://127.0.0.1:1/k\"}",
                 names[i]);
        token = make(OTHER_RSA_KEY, header, BASE_CLAIMS);
        assert_int_equal(verify(with, token, &claims), CG_E_DENIED);
        free(token);
    }
    free(own_text);
    json_decref(own);
    jwt_keys_unref(&with);
}

/* Each bit of the text counts, and no byte more may be there. */
static void test_changed(void **state)
{
    struct jwt_keys *with = ours(&settings);
    char *token = make(ED_KEY, "{\"alg\":\"EdDSA\",\"kid\":\"d\"}", BASE_CLAIMS);
    size_t length = strlen(token), i;
    char *copy = malloc(length + 16);
    struct jwt_claims claims;

    (void)state;
    for (i = 0; i < length; ++i) {
        memcpy(copy, token, length + 1);
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        if (jwt_verify(with, copy, length, NOW_MS, &claims) == CG_OK)
            fail_msg("taken with byte %zu changed", i);
        assert_int_not_equal(jwt_verify(with, token, i, NOW_MS, &claims), CG_OK);
    }
    snprintf(copy, length + 16, "%s=", token);
    assert_int_equal(verify(with, copy, &claims), CG_E_DENIED);
    snprintf(copy, length + 16, "%s.", token);
    assert_int_equal(verify(with, copy, &claims), CG_E_DENIED);
    snprintf(copy, length + 16, " %s", token);
    assert_int_equal(verify(with, copy, &claims), CG_E_DENIED);
    free(copy);
    free(token);
    jwt_keys_unref(&with);
}

static void test_too_long(void **state)
{
    struct jwt_keys *with = ours(&settings);
    char *payload = malloc(JWT_BYTES_MAX), *token;
    struct jwt_claims claims;

    (void)state;
    snprintf(payload, JWT_BYTES_MAX, "%.*s,\"x\":\"%05000d\"}", (int)strlen(BASE_CLAIMS) - 1,
             BASE_CLAIMS, 0);
    token = make(RSA_KEY, RS256, payload);
    assert_int_equal(verify(with, token, &claims), CG_OK);
    jwt_claims_release(&claims);
    free(token);
    snprintf(payload, JWT_BYTES_MAX, "%.*s,\"x\":\"%06500d\"}", (int)strlen(BASE_CLAIMS) - 1,
             BASE_CLAIMS, 0);
    token = make(RSA_KEY, RS256, payload);
    assert_true(strlen(token) > JWT_BYTES_MAX);
    assert_int_equal(verify(with, token, &claims), CG_E_DENIED);
    free(token);
    free(payload);
    jwt_keys_unref(&with);
}

static void test_claims(void **state)
{
    static const struct {
        const char *payload, *application;
        size_t num_users;
        int every;
        unsigned roles;
    } rows[] = {
        {CLAIMS(""), "desk", 1, 0, ROLE_VIEWER},
        {"{\"iss\":\"https://"
         "id.example\",\"aud\":[\"x\",\"cctgate\"],\"exp\":1900000300.5,\"client_id\":\"c\","
         "\"sub\":\"s\","
         "\"cct_users\":\"agent2001\",\"roles\":\"openid controller  operator "
         "root\",\"nbf\":1900000030,\"iat\":1900000029}",
         "c", 1, 0, ROLE_CONTROLLER | ROLE_OPERATOR},
        {"{\"iss\":\"https://"
         "id.example\",\"aud\":\"cctgate\",\"exp\":1900000300,\"sub\":\"s\",\"cct_users\":[1,\"\","
         "\"a\",\"*\",\"b\"],\"roles\":{}}",
         "s", 2, 1, 0},
        {"{\"iss\":\"https://"
         "id.example\",\"aud\":\"cctgate\",\"exp\":1899999971,\"azp\":7,\"sub\":\"s\"}",
         "s", 0, 0, 0},
    };
    struct jwt_settings all = settings;
    struct jwt_keys *with = ours(&settings), *generous;
    struct jwt_claims claims;
    size_t i;

    (void)state;
    all.allow_every_user = 1;
    generous = ours(&all);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        char *token = make(RSA_KEY, RS256, rows[i].payload);
        assert_int_equal(verify(with, token, &claims), CG_OK);
        assert_string_equal(claims.application, rows[i].application);
        assert_int_equal(claims.num_users, rows[i].num_users);
        assert_int_equal(claims.roles, rows[i].roles);
        assert_int_equal(claims.every_user, 0);
        assert_false(jwt_keys_still_hold(generous, with, claims.key));
        jwt_claims_release(&claims);
        assert_int_equal(verify(generous, token, &claims), CG_OK);
        assert_int_equal(claims.every_user, rows[i].every);
        jwt_claims_release(&claims);
        free(token);
    }
    jwt_keys_unref(&with);
    jwt_keys_unref(&generous);
}

static void test_key_sets(void **state)
{
    static const struct {
        int key;
        const char *more;
        int is_good;
    } rows[] = {
        {RSA_KEY, "{}", 1},
        {RSA_KEY, "{\"use\":\"sig\",\"alg\":\"RS256\",\"key_ops\":[\"x\",\"verify\"]}", 1},
        {RSA_KEY, "{\"use\":\"enc\"}", 0},
        {RSA_KEY, "{\"alg\":\"RS512\"}", 0},
        {RSA_KEY, "{\"alg\":\"HS256\"}", 0},
        {RSA_KEY, "{\"key_ops\":[\"encrypt\"]}", 0},
        {RSA_KEY, "{\"key_ops\":\"verify\"}", 0},
        {RSA_KEY, "{\"d\":\"AQAB\"}", 0},
        {RSA_KEY, "{\"n\":7}", 0},
        {RSA_KEY, "{\"n\":\"!\"}", 0},
        {RSA_KEY, "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}", 0},
        {RSA_KEY, "{\"kid\":7}", 0},
        {SHORT_RSA_KEY, "{}", 0},
        {P384_KEY, "{}", 0},
        {P256_KEY, "{\"alg\":\"RS256\"}", 0},
        {P256_KEY, "{\"crv\":\"P-384\"}", 0},
        {P256_KEY, "{\"y\":\"AAAA\"}", 0},
        {ED_KEY, "{\"crv\":\"X25519\"}", 0},
        {ED_KEY, "{\"alg\":\"EdDSA\"}", 1},
    };
    size_t i, passed;
    int rc;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        struct jwt_keys *with =
            load(json_pack("[o]", jwk(rows[i].key, rows[i].more)), &settings, &rc, &passed);
        if ((rc == CG_OK) != rows[i].is_good)
            fail_msg("key %zu", i);
        assert_int_equal(passed, !rows[i].is_good);
        jwt_keys_unref(&with);
    }
}

static void test_broken_sets(void **state)
{
    static const char *const texts[] = {
        "", "[]", "{", "{}", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[1,null,\"x\",[]]}"};
    struct jwt_keys *with;
    char error[256];
    size_t i, passed;

    (void)state;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); ++i) {
        assert_int_equal(jwt_keys_new(&with, &settings, texts[i], strlen(texts[i]), &passed, error,
                                      sizeof(error)),
                         CG_E_INVALID);
        assert_null(with);
        assert_true(strlen(error) > 0);
    }
}

/* A rotation: while both keys are there, both sign; then the old one does not any more. */
static void test_rotation(void **state)
{
    json_t *both =
        json_pack("[o,o]", jwk(RSA_KEY, "{\"kid\":\"r\"}"), jwk(OTHER_RSA_KEY, "{\"kid\":\"r2\"}"));
    json_t *fresh = json_pack("[o]", jwk(OTHER_RSA_KEY, "{\"kid\":\"r2\"}"));
    char *old_token = make(RSA_KEY, RS256, BASE_CLAIMS);
    char *token = make(OTHER_RSA_KEY, "{\"alg\":\"RS256\",\"kid\":\"r2\"}", BASE_CLAIMS);
    size_t passed;
    int rc;
    struct jwt_keys *during = load(both, &settings, &rc, &passed),
                    *after = load(fresh, &settings, &rc, &passed);
    struct jwt_claims claims;

    (void)state;
    assert_int_equal(verify(during, token, &claims), CG_OK);
    assert_true(jwt_keys_still_hold(after, during, claims.key));
    jwt_claims_release(&claims);
    assert_int_equal(verify(during, old_token, &claims), CG_OK);
    assert_false(jwt_keys_still_hold(after, during, claims.key));
    jwt_claims_release(&claims);
    assert_int_equal(verify(after, token, &claims), CG_OK);
    jwt_claims_release(&claims);
    assert_int_equal(verify(after, old_token, &claims), CG_E_DENIED);
    free(token);
    free(old_token);
    jwt_keys_unref(&during);
    jwt_keys_unref(&after);
}

static int make_keys(void **state)
{
    int i;

    (void)state;
    jwt_init();
    keys[RSA_KEY] = EVP_RSA_gen(2048);
    keys[OTHER_RSA_KEY] = EVP_RSA_gen(2048);
    keys[SHORT_RSA_KEY] = EVP_RSA_gen(1024);
    keys[P256_KEY] = EVP_EC_gen("P-256");
    keys[P384_KEY] = EVP_EC_gen("P-384");
    keys[ED_KEY] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    for (i = 0; i < KEYS; ++i)
        if (keys[i] == NULL)
            return -1;
    return 0;
}

static int free_keys(void **state)
{
    int i;
    (void)state;
    for (i = 0; i < KEYS; ++i)
        EVP_PKEY_free(keys[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_embedded_keys), cmocka_unit_test(test_changed),
        cmocka_unit_test(test_too_long),      cmocka_unit_test(test_claims),
        cmocka_unit_test(test_key_sets),      cmocka_unit_test(test_broken_sets),
        cmocka_unit_test(test_rotation),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
