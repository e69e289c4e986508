#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>
#include <rhonabwy.h>

#include "cctgate/error.h"
#include "cctgate/memory.h"
#include "gateway/access/jwt_private.h"
#include "gateway/rest/body.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192 /* a verification must stay cheap */

const char *const jwt_algorithm_names[JWT_ALGORITHMS] = {
    [JWT_RS256] = "RS256", [JWT_ES256] = "ES256", [JWT_EDDSA] = "EdDSA"};

/* What a key of the algorithm is (RFC 7518 section 6, RFC 8037 section 2), and what its thumbprint is made of, in order (RFC 7638). */
static const struct key_form {
    enum jwt_algorithm algorithm;
    const char *kty, *crv;
    const char *members[5];
} forms[] = {
    {JWT_RS256, "RSA", NULL, {"e", "kty", "n", NULL}},
    {JWT_ES256, "EC", "P-256", {"crv", "kty", "x", "y", NULL}},
    {JWT_EDDSA, "OKP", "Ed25519", {"crv", "kty", "x", NULL}},
};

int jwt_object(json_t **json, const char *text, size_t length)
{
    char detail[128];
    int rc = body_parse(json, text, length, "it", detail, sizeof(detail));

    if (rc != CG_OK || json_is_object(*json))
        return rc;
    json_decref(*json);
    *json = NULL;
    return CG_E_INVALID;
}

static int is_absent_or(const json_t *object, const char *name, const char *wanted)
{
    const json_t *value = json_object_get(object, name);
    return value == NULL ||
           (json_is_string(value) && strcmp(json_string_value(value), wanted) == 0);
}

static const struct key_form *form_of(const json_t *jwk)
{
    const char *kty = json_string_value(json_object_get(jwk, "kty"));
    const char *crv = json_string_value(json_object_get(jwk, "crv"));
    size_t i;

    for (i = 0; kty != NULL && i < sizeof(forms) / sizeof(forms[0]); ++i)
        if (strcmp(kty, forms[i].kty) == 0 &&
            (forms[i].crv == NULL || (crv != NULL && strcmp(crv, forms[i].crv) == 0)))
            return &forms[i];
    return NULL;
}

/* RFC 7517 section 4.3: what it is for, where it says so */
static int may_verify(const json_t *jwk)
{
    const json_t *operations = json_object_get(jwk, "key_ops"), *operation;
    size_t i;

    if (operations == NULL)
        return 1;
    json_array_foreach(operations, i,
                       operation) if (json_is_string(operation) &&
                                      strcmp(json_string_value(operation), "verify") == 0) return 1;
    return 0;
}

/* Both curves' coordinates are 32 octets (RFC 7518 section 6.2.1.2, RFC 8037 section 2): 43 digits. */
static int are_coordinates(const json_t *jwk, const struct key_form *form)
{
    return json_string_length(json_object_get(jwk, "x")) == 43 &&
           (form->algorithm != JWT_ES256 || json_string_length(json_object_get(jwk, "y")) == 43);
}

static int is_usable(const json_t *jwk, const struct key_form *form)
{
    static const char *const private_members[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};
    const json_t *kid = json_object_get(jwk, "kid");
    size_t i;

    for (i = 0; i < sizeof(private_members) / sizeof(private_members[0]); ++i)
        if (json_object_get(jwk, private_members[i]) != NULL)
            return 0;
    for (i = 0; form->members[i] != NULL; ++i)
        if (!json_is_string(json_object_get(jwk, form->members[i])))
            return 0;
    if (form->crv != NULL && !are_coordinates(jwk, form))
        return 0;
    return is_absent_or(jwk, "use", "sig") && may_verify(jwk) &&
           is_absent_or(jwk, "alg", jwt_algorithm_names[form->algorithm]) &&
           (kid == NULL || json_is_string(kid));
}

/* Is what the members say really such a key, and long enough? */
static int is_sound(const char *text, const struct key_form *form)
{
    unsigned bits = 0;
    int type = R_KEY_TYPE_NONE;
    jwk_t *jwk = NULL;

    if (r_jwk_init(&jwk) != RHN_OK)
        return 0;
    if (r_jwk_import_from_json_str(jwk, text) == RHN_OK)
        type = r_jwk_key_type(jwk, &bits, R_FLAG_IGNORE_REMOTE);
    r_jwk_free(jwk);
    if ((type & R_KEY_TYPE_PUBLIC) == 0)
        return 0;
    switch (form->algorithm) {
    case JWT_RS256:
        return (type & R_KEY_TYPE_RSA) != 0 && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    case JWT_ES256:
        return (type & R_KEY_TYPE_EC) != 0 && bits == 256;
    default:
        return (type & R_KEY_TYPE_EDDSA) != 0;
    }
}

/* The members that make the key, and nothing else: no certificate, no URL comes near the library. */
static char *public_text(const json_t *jwk, const struct key_form *form)
{
    json_t *out = json_object();
    char *text;
    size_t i;

    for (i = 0; form->members[i] != NULL; ++i)
        json_object_set(out, form->members[i], json_object_get(jwk, form->members[i]));
    text = json_dumps(out, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(out);
    return text;
}

/* CG_OK, CG_E_INVALID: not one to verify with, CG_E_NOMEM. */
static int add_key(struct jwt_keys *keys, const json_t *jwk)
{
    const struct key_form *form = json_is_object(jwk) ? form_of(jwk) : NULL;
    const char *kid = json_string_value(json_object_get(jwk, "kid"));
    struct jwt_key *key = &keys->keys[keys->num_keys];
    char *text;
    int rc;

    if (form == NULL || !is_usable(jwk, form))
        return CG_E_INVALID;
    memory_watch();
    text = public_text(jwk, form);
    rc = memory_ran_out() ? CG_E_NOMEM : is_sound(text, form) ? CG_OK : CG_E_INVALID;
    if (rc != CG_OK) {
        free(text);
        return rc;
    }
    key->text = text;
    key->algorithm = form->algorithm;
    SHA256((const unsigned char *)text, strlen(text), key->thumbprint);
    ++keys->num_keys;
    return kid != NULL && (key->kid = strdup(kid)) == NULL ? CG_E_NOMEM : CG_OK;
}

static int add_keys(struct jwt_keys *keys, const json_t *list, size_t *passed_over)
{
    const json_t *jwk;
    size_t i;

    if ((keys->keys = calloc(json_array_size(list) + 1, sizeof(*keys->keys))) == NULL)
        return CG_E_NOMEM;
    json_array_foreach(list, i, jwk)
    {
        int rc = add_key(keys, jwk);
        if (rc == CG_E_NOMEM)
            return rc;
        *passed_over += rc != CG_OK;
    }
    return keys->num_keys > 0 ? CG_OK : CG_E_INVALID;
}

static int take_settings(struct jwt_keys *keys, const struct jwt_settings *settings)
{
    keys->issuer = strdup(settings->issuer);
    keys->audience = strdup(settings->audience);
    keys->application_claim = strdup(settings->application_claim);
    keys->users_claim = strdup(settings->users_claim);
    keys->roles_claim = strdup(settings->roles_claim);
    keys->allow_every_user = settings->allow_every_user;
    keys->skew_ms = settings->skew_ms;
    return keys->issuer != NULL && keys->audience != NULL && keys->application_claim != NULL &&
                   keys->users_claim != NULL && keys->roles_claim != NULL
               ? CG_OK
               : CG_E_NOMEM;
}

static int fill(struct jwt_keys *keys, const char *jwks, size_t length, size_t *passed_over,
                char *error, size_t error_size)
{
    json_t *json, *list;
    int rc = jwt_object(&json, jwks, length);

    if (rc == CG_E_NOMEM)
        return rc;
    list = json_object_get(json, "keys");
    if (!json_is_array(list)) {
        rc = CG_E_INVALID;
        snprintf(error, error_size, "expected a JWK set: an object with an array `keys`");
    } else if (json_array_size(list) > JWT_KEYS_MAX) {
        snprintf(error, error_size, "expected at most %d keys", JWT_KEYS_MAX);
        rc = CG_E_LIMIT;
    } else if ((rc = add_keys(keys, list, passed_over)) == CG_E_INVALID) {
        snprintf(error, error_size,
                 "expected a public key for RS256 (2,048 bits and more), ES256 or EdDSA (Ed25519)");
    }
    json_decref(json);
    return rc;
}

int jwt_keys_new(struct jwt_keys **out, const struct jwt_settings *settings, const char *jwks,
                 size_t length, size_t *passed_over, char *error, size_t error_size)
{
    struct jwt_keys *keys;
    int rc;

    *out = NULL;
    *passed_over = 0;
    snprintf(error, error_size, "no memory");
    if (length > JWT_JWKS_BYTES_MAX) {
        snprintf(error, error_size, "expected at most %d bytes", JWT_JWKS_BYTES_MAX);
        return CG_E_LIMIT;
    }
    if ((keys = calloc(1, sizeof(*keys))) == NULL)
        return CG_E_NOMEM;
    atomic_init(&keys->references, 1);
    if ((rc = take_settings(keys, settings)) == CG_OK)
        rc = fill(keys, jwks, length, passed_over, error, error_size);
    if (rc != CG_OK) {
        jwt_keys_unref(&keys);
        return rc;
    }
    *out = keys;
    return CG_OK;
}

struct jwt_keys *jwt_keys_ref(struct jwt_keys *keys)
{
    if (keys != NULL)
        atomic_fetch_add(&keys->references, 1);
    return keys;
}

void jwt_keys_unref(struct jwt_keys **in)
{
    struct jwt_keys *keys = *in;
    size_t i;

    *in = NULL;
    if (keys == NULL || atomic_fetch_sub(&keys->references, 1) != 1)
        return;
    for (i = 0; i < keys->num_keys; ++i) {
        free(keys->keys[i].kid);
        free(keys->keys[i].text);
    }
    free(keys->keys);
    free(keys->issuer);
    free(keys->audience);
    free(keys->application_claim);
    free(keys->users_claim);
    free(keys->roles_claim);
    free(keys);
}

size_t jwt_keys_count(const struct jwt_keys *keys)
{
    return keys->num_keys;
}

int jwt_keys_are_for(const struct jwt_keys *keys, const struct jwt_settings *settings)
{
    return strcmp(keys->issuer, settings->issuer) == 0 &&
           strcmp(keys->audience, settings->audience) == 0 &&
           strcmp(keys->application_claim, settings->application_claim) == 0 &&
           strcmp(keys->users_claim, settings->users_claim) == 0 &&
           strcmp(keys->roles_claim, settings->roles_claim) == 0 &&
           keys->allow_every_user == settings->allow_every_user;
}

int jwt_keys_still_hold(const struct jwt_keys *keys, const struct jwt_keys *other,
                        const uint8_t key[JWT_KEY_BYTES])
{
    struct jwt_settings settings = {
        other->issuer,      other->audience,    other->application_claim,
        other->users_claim, other->roles_claim, other->allow_every_user,
        other->skew_ms};
    size_t i;

    if (!jwt_keys_are_for(keys, &settings))
        return 0;
    for (i = 0; i < keys->num_keys; ++i)
        if (memcmp(keys->keys[i].thumbprint, key, JWT_KEY_BYTES) == 0)
            return 1;
    return 0;
}
