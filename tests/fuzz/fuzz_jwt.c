/*
 * Tokens of an identity provider. The first line says what an input is:
 *
 *   token    anybody's: nobody has the key, so none is good
 *   signed   a header and, on the next line, claims, signed with the key: what is taken says what we ask for
 *   keys     a JWK set: those that are taken are within the bounds, and no token is good that they did not sign
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "cctgate/config.h"
#include "cctgate/error.h"
#include "cctgate/jwt.h"

#define ISSUER       "https://id.example"
#define AUDIENCE     "cctgate"
#define NOW_MS       INT64_C(1900000000000)
#define SKEW_MS      30000
#define SIGNED_BYTES 64

static const struct jwt_settings settings = {ISSUER, AUDIENCE, "azp", "users", "roles", 1, SKEW_MS};
static EVP_PKEY *key;
static struct jwt_keys *keys;

/* ---- the key ---- */

static size_t base64url(char *out, const void *bytes, size_t length)
{
    size_t i, n = (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)length);

    while (n > 0 && out[n - 1] == '=')
        --n;
    for (i = 0; i < n; ++i)
        out[i] = (char)(out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i]);
    out[n] = '\0';
    return n;
}

/* Always the same, so that what was found is found again. */
static void prepare(void)
{
    static const unsigned char seed[32] = {7};
    unsigned char public[32];
    size_t length = sizeof(public), passed_over;
    char x[64], jwks[256], error[256];

    if (keys != NULL)
        return;
    fuzz_init();
    jwt_init();
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
    FUZZ_CHECK(key != NULL && EVP_PKEY_get_raw_public_key(key, public, &length) == 1);
    base64url(x, public, length);
    snprintf(jwks, sizeof(jwks),
             "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":\"%s\"}]}", x);
    FUZZ_CHECK(jwt_keys_new(&keys, &settings, jwks, strlen(jwks), &passed_over, error,
                            sizeof(error)) == CG_OK);
}

/* ---- tokens ---- */

static char *sign(const char *header, size_t header_length, const char *claims,
                  size_t claims_length)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char signature[SIGNED_BYTES];
    size_t length = sizeof(signature), n;
    char *token = malloc(4 * (header_length + claims_length + sizeof(signature)) / 3 + 32);

    FUZZ_CHECK(context != NULL && token != NULL);
    n = base64url(token, header, header_length);
    token[n++] = '.';
    n += base64url(token + n, claims, claims_length);
    FUZZ_CHECK(EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
               EVP_DigestSign(context, signature, &length, (unsigned char *)token, n) == 1);
    token[n++] = '.';
    base64url(token + n, signature, length);
    EVP_MD_CTX_free(context);
    return token;
}

static int is_for_us(const json_t *audience)
{
    size_t i;
    json_t *one;

    if (json_is_string(audience))
        return strcmp(json_string_value(audience), AUDIENCE) == 0;
    json_array_foreach(audience, i, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), AUDIENCE) == 0)
            return 1;
    }
    return 0;
}

/* By another parser's reading. */
static void check_taken(const char *header, size_t header_length, const char *text, size_t length,
                        const struct jwt_claims *claims)
{
    json_t *head = json_loadb(header, header_length, JSON_REJECT_DUPLICATES, NULL);
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const char *issuer = json_string_value(json_object_get(json, "iss"));

    FUZZ_CHECK(head != NULL && json != NULL);
    FUZZ_CHECK(strcmp(json_string_value(json_object_get(head, "alg")), "EdDSA") == 0);
    FUZZ_CHECK(json_object_get(head, "crit") == NULL);
    FUZZ_CHECK(issuer != NULL && strcmp(issuer, ISSUER) == 0);
    FUZZ_CHECK(is_for_us(json_object_get(json, "aud")));
    FUZZ_CHECK(json_is_number(json_object_get(json, "exp")));
    FUZZ_CHECK(claims->expires_ms > NOW_MS);
    FUZZ_CHECK(claims->application != NULL && claims->subject != NULL);
    FUZZ_CHECK(claims->num_users <= JWT_USERS_MAX);
    json_decref(head);
    json_decref(json);
}

static void signed_by_us(const char *text, size_t length)
{
    const char *end = memchr(text, '\n', length);
    size_t header_length = end != NULL ? (size_t)(end - text) : length;
    const char *claims_text = end != NULL ? end + 1 : "";
    size_t claims_length = length - header_length - (end != NULL);
    struct jwt_claims claims;
    char *token;

    if (length > JWT_BYTES_MAX)
        return;
    token = sign(text, header_length, claims_text, claims_length);
    if (jwt_verify(keys, token, strlen(token), NOW_MS, &claims) == CG_OK) {
        FUZZ_CHECK(jwt_looks_like(token, strlen(token)));
        check_taken(text, header_length, claims_text, claims_length, &claims);
        jwt_claims_release(&claims);
        token[strlen(token) - 10] ^= 1; /* a signature of something else */
        FUZZ_CHECK(jwt_verify(keys, token, strlen(token), NOW_MS, &claims) != CG_OK);
    }
    free(token);
}

static void anybodys(const struct jwt_keys *with, const char *text, size_t length)
{
    struct jwt_claims claims;

    FUZZ_CHECK(jwt_verify(with, text, length, NOW_MS, &claims) != CG_OK);
    FUZZ_CHECK(claims.application == NULL && claims.users == NULL && claims.num_users == 0);
}

static void key_set(const char *text, size_t length)
{
    static const char header[] = "{\"alg\":\"EdDSA\"}",
                      claims[] = "{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE
                                 "\",\"exp\":1900000300,\"azp\":\"a\",\"sub\":\"s\",\"users\":"
                                 "[\"u\"],\"roles\":[\"viewer\"]}";
    struct jwt_keys *read;
    size_t passed_over;
    char error[256], *token;

    if (jwt_keys_new(&read, &settings, text, length, &passed_over, error, sizeof(error)) != CG_OK) {
        FUZZ_CHECK(read == NULL && strlen(error) < sizeof(error));
        return;
    }
    FUZZ_CHECK(jwt_keys_count(read) > 0 && jwt_keys_count(read) <= JWT_KEYS_MAX);
    token = sign(header, strlen(header), claims, strlen(claims));
    anybodys(read, token, strlen(token));
    free(token);
    jwt_keys_unref(&read);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct fuzz_input input;

    prepare();
    fuzz_split(&input, bytes, length);
    if (strcmp(input.line, "signed") == 0)
        signed_by_us(input.rest, input.rest_length);
    else if (strcmp(input.line, "keys") == 0)
        key_set(input.rest, input.rest_length);
    else
        anybodys(keys, input.rest, input.rest_length);
    return 0;
}
