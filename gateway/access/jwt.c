#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <rhonabwy.h>

#include "cctgate/config.h"
#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "gateway/access/jwt_private.h"

/* Seconds that make no int64_t of milliseconds are no time (the year 285,616,414 is beyond them). */
#define SECONDS_MAX 9.0e15

void jwt_init(void)
{
    r_global_init();
}

struct parts {
    const char *header, *payload, *signature;
    size_t header_length, payload_length, signature_length;
};

/* ---- form ---- */

static int digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* RFC 7515 section 2: base64url without padding; what one text says, no other one says. */
static int decode(const char *at, size_t length, char *out, size_t *out_length)
{
    unsigned bits = 0, value = 0;
    size_t i, n = 0;

    for (i = 0; i < length; ++i) {
        int d = digit(at[i]);
        if (d < 0)
            return CG_E_DENIED;
        value = (value << 6 | (unsigned)d) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (char)(value >> bits & 0xff);
        }
    }
    *out_length = n;
    return length % 4 != 1 && (value & ((1u << bits) - 1)) == 0 ? CG_OK : CG_E_DENIED;
}

static int split(const char *token, size_t length, struct parts *parts)
{
    const char *first = memchr(token, '.', length), *second, *end = token + length;

    if (length > JWT_BYTES_MAX || first == NULL ||
        (second = memchr(first + 1, '.', (size_t)(end - first - 1))) == NULL ||
        memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL)
        return CG_E_DENIED;
    parts->header = token;
    parts->header_length = (size_t)(first - token);
    parts->payload = first + 1;
    parts->payload_length = (size_t)(second - first - 1);
    parts->signature = second + 1;
    parts->signature_length = (size_t)(end - second - 1);
    return parts->header_length > 0 && parts->payload_length > 0 && parts->signature_length > 0
               ? CG_OK
               : CG_E_DENIED;
}

int jwt_looks_like(const char *token, size_t length)
{
    struct parts parts;
    return split(token, length, &parts) == CG_OK;
}

static int part_json(json_t **json, const char *part, size_t length)
{
    char bytes[JWT_BYTES_MAX];
    size_t size;
    int rc = decode(part, length, bytes, &size);

    if (rc == CG_OK && (rc = jwt_object(json, bytes, size)) == CG_E_INVALID)
        rc = CG_E_DENIED;
    explicit_bzero(bytes, sizeof(bytes));
    return rc;
}

/* The library reads a signature with bits to spare as well: one token would have several texts. */
static int check_signature_text(const struct parts *parts)
{
    char bytes[JWT_BYTES_MAX];
    size_t size;
    return decode(parts->signature, parts->signature_length, bytes, &size);
}

/* ---- header ---- */

/* RFC 8725 section 3.11: a JWT of another kind was not made for this. */
static int is_type(const json_t *header)
{
    const json_t *type = json_object_get(header, "typ");
    const char *text = json_string_value(type);

    if (type == NULL)
        return 1;
    if (text == NULL)
        return 0;
    if (strncasecmp(text, "application/", 12) == 0)
        text += 12;
    return strcasecmp(text, "JWT") == 0 || strcasecmp(text, "at+jwt") == 0;
}

/* What must be understood (crit, and b64 with it) is not. */
static int algorithm_of(const json_t *header)
{
    const char *name = json_string_value(json_object_get(header, "alg"));
    int i;

    if (name == NULL || !is_type(header) || json_object_get(header, "crit") != NULL ||
        json_object_get(header, "b64") != NULL)
        return -1;
    for (i = 0; i < JWT_ALGORITHMS; ++i)
        if (strcmp(name, jwt_algorithm_names[i]) == 0)
            return i;
    return -1;
}

/* With a kid the keys of that name, without one all of the algorithm: there are few. */
static int fits(const struct jwt_key *key, int algorithm, const json_t *kid)
{
    if ((int)key->algorithm != algorithm)
        return 0;
    return kid == NULL || (key->kid != NULL && json_is_string(kid) &&
                           strcmp(key->kid, json_string_value(kid)) == 0);
}

/* ---- signature ---- */

static int is_signed_by(const struct jwt_key *key, const char *token, size_t length)
{
    jws_t *jws = NULL;
    jwk_t *jwk = NULL;
    int good = r_jws_init(&jws) == RHN_OK && r_jwk_init(&jwk) == RHN_OK &&
               r_jwk_import_from_json_str(jwk, key->text) == RHN_OK &&
               r_jws_advanced_compact_parsen(jws, token, length, R_PARSE_NONE,
                                             R_FLAG_IGNORE_REMOTE) == RHN_OK &&
               r_jws_verify_signature(jws, jwk, R_FLAG_IGNORE_REMOTE) == RHN_OK;

    r_jws_free(jws);
    r_jwk_free(jwk);
    return good;
}

static const struct jwt_key *signer_of(const struct jwt_keys *keys, const json_t *header,
                                       const char *token, size_t length)
{
    const json_t *kid = json_object_get(header, "kid");
    int algorithm = algorithm_of(header);
    size_t i;

    for (i = 0; algorithm >= 0 && i < keys->num_keys; ++i)
        if (fits(&keys->keys[i], algorithm, kid) && is_signed_by(&keys->keys[i], token, length))
            return &keys->keys[i];
    return NULL;
}

/* ---- claims ---- */

/* Numbers of seconds, with fractions if need be (RFC 7519 section 2). */
static int take_time(const json_t *payload, const char *name, int64_t *ms)
{
    const json_t *value = json_object_get(payload, name);
    double seconds;

    if (!json_is_number(value))
        return CG_E_DENIED;
    seconds = json_number_value(value);
    if (!isfinite(seconds) || fabs(seconds) > SECONDS_MAX / 1000)
        return CG_E_DENIED;
    *ms = (int64_t)(seconds * 1000);
    return CG_OK;
}

/* Not before the later of these two. */
static int take_beginning(const json_t *payload, const char *name, unsigned skew_ms,
                          int64_t *begins_ms)
{
    int64_t at_ms;

    if (json_object_get(payload, name) == NULL)
        return CG_OK;
    if (take_time(payload, name, &at_ms) != CG_OK)
        return CG_E_DENIED;
    if (at_ms - (int64_t)skew_ms > *begins_ms)
        *begins_ms = at_ms - (int64_t)skew_ms;
    return CG_OK;
}

static int check_times(const struct jwt_keys *keys, const json_t *payload, int64_t now_ms,
                       struct jwt_claims *claims)
{
    int64_t expires_ms;

    claims->begins_ms = INT64_MIN;
    if (take_time(payload, "exp", &expires_ms) != CG_OK ||
        take_beginning(payload, "nbf", keys->skew_ms, &claims->begins_ms) != CG_OK ||
        take_beginning(payload, "iat", keys->skew_ms, &claims->begins_ms) != CG_OK)
        return CG_E_DENIED;
    claims->expires_ms = expires_ms + keys->skew_ms;
    return claims->begins_ms <= now_ms && claims->expires_ms > now_ms ? CG_OK : CG_E_DENIED;
}

/* A text, or an array of texts that has it. */
static int names(const json_t *value, const char *wanted)
{
    const json_t *item;
    size_t i;

    if (json_is_string(value))
        return strcmp(json_string_value(value), wanted) == 0;
    json_array_foreach(value, i, item) if (json_is_string(item) &&
                                           strcmp(json_string_value(item), wanted) == 0) return 1;
    return 0;
}

static int check_parties(const struct jwt_keys *keys, const json_t *payload)
{
    const json_t *issuer = json_object_get(payload, "iss");
    return json_is_string(issuer) && names(issuer, keys->issuer) &&
                   names(json_object_get(payload, "aud"), keys->audience)
               ? CG_OK
               : CG_E_DENIED;
}

static const char *name_in(const json_t *payload, const char *claim)
{
    const char *text = json_string_value(json_object_get(payload, claim));
    return text != NULL && *text != '\0' && strlen(text) <= CG_ID_BYTES_MAX ? text : NULL;
}

/* The claim that is configured, else who the client is by RFC 9068, else whose token it is. */
static int take_application(const struct jwt_keys *keys, const json_t *payload,
                            struct jwt_claims *claims)
{
    const char *name = name_in(payload, keys->application_claim);

    if (name == NULL)
        name = name_in(payload, "client_id");
    if (name == NULL)
        name = name_in(payload, "sub");
    if (name == NULL)
        return CG_E_DENIED;
    return (claims->application = strdup(name)) != NULL ? CG_OK : CG_E_NOMEM;
}

static int take_subject(const struct jwt_keys *keys, const json_t *payload,
                        struct jwt_claims *claims)
{
    const char *subject = name_in(payload, "sub");
    size_t length = strlen(keys->issuer), more = subject != NULL ? strlen(subject) : 0;

    if ((claims->subject = calloc(1, length + more + 2)) == NULL)
        return CG_E_NOMEM;
    memcpy(claims->subject, keys->issuer, length);
    claims->subject[length] = ' ';
    if (more > 0)
        memcpy(claims->subject + length + 1, subject, more);
    return CG_OK;
}

static int add_user(const struct jwt_keys *keys, const json_t *value, struct jwt_claims *claims)
{
    const char *name = json_string_value(value);

    if (name == NULL || *name == '\0' || strlen(name) > CG_ID_BYTES_MAX)
        return CG_OK;
    if (strcmp(name, "*") == 0) {
        claims->every_user = keys->allow_every_user;
        return CG_OK;
    }
    if ((claims->users[claims->num_users] = strdup(name)) == NULL)
        return CG_E_NOMEM;
    ++claims->num_users;
    return CG_OK;
}

static int take_users(const struct jwt_keys *keys, const json_t *payload, struct jwt_claims *claims)
{
    const json_t *value = json_object_get(payload, keys->users_claim), *item;
    size_t count = json_is_array(value) ? json_array_size(value) : 1, i;
    int rc = CG_OK;

    if (count > JWT_USERS_MAX)
        return CG_E_DENIED;
    if ((claims->users = calloc(count + 1, sizeof(*claims->users))) == NULL)
        return CG_E_NOMEM;
    if (json_is_string(value))
        return add_user(keys, value, claims);
    json_array_foreach(value, i, item) if (rc == CG_OK) rc = add_user(keys, item, claims);
    return rc;
}

/* An array of names, or one text of them with blanks between, as `scope` has it (RFC 8693 section 4.2). Unknown ones mean nothing here. */
static void take_roles(const struct jwt_keys *keys, const json_t *payload,
                       struct jwt_claims *claims)
{
    const json_t *value = json_object_get(payload, keys->roles_claim), *item;
    const char *at = json_string_value(value);
    char name[32];
    size_t i;

    json_array_foreach(value, i, item) if (json_is_string(item)) claims->roles |=
        config_role_from_name(json_string_value(item));
    while (at != NULL && *at != '\0') {
        size_t length = strcspn(at, " ");
        if (length > 0 && length < sizeof(name)) {
            memcpy(name, at, length);
            name[length] = '\0';
            claims->roles |= config_role_from_name(name);
        }
        at += length + (at[length] == ' ');
    }
}

static int take_claims(const struct jwt_keys *keys, const json_t *payload, int64_t now_ms,
                       struct jwt_claims *claims)
{
    int rc = check_parties(keys, payload);

    if (rc == CG_OK)
        rc = check_times(keys, payload, now_ms, claims);
    if (rc == CG_OK)
        rc = take_application(keys, payload, claims);
    if (rc == CG_OK)
        rc = take_subject(keys, payload, claims);
    if (rc == CG_OK)
        rc = take_users(keys, payload, claims);
    if (rc == CG_OK)
        take_roles(keys, payload, claims);
    return rc;
}

void jwt_claims_release(struct jwt_claims *claims)
{
    size_t i;

    for (i = 0; i < claims->num_users; ++i)
        free(claims->users[i]);
    free(claims->users);
    free(claims->application);
    free(claims->subject);
    memset(claims, 0, sizeof(*claims));
}

/* Claims come first, as they cost a hundredth of a signature: who has no key can make nobody work for long. */
int jwt_verify(const struct jwt_keys *keys, const char *token, size_t length, int64_t now_ms,
               struct jwt_claims *claims)
{
    const struct jwt_key *key = NULL;
    json_t *header = NULL, *payload = NULL;
    struct parts parts;
    int rc;

    memset(claims, 0, sizeof(*claims));
    if ((rc = split(token, length, &parts)) != CG_OK ||
        (rc = check_signature_text(&parts)) != CG_OK)
        return rc;
    rc = part_json(&header, parts.header, parts.header_length);
    if (rc == CG_OK)
        rc = part_json(&payload, parts.payload, parts.payload_length);
    if (rc == CG_OK)
        rc = take_claims(keys, payload, now_ms, claims);
    if (rc == CG_OK && (key = signer_of(keys, header, token, length)) == NULL)
        rc = CG_E_DENIED;
    if (rc == CG_OK)
        memcpy(claims->key, key->thumbprint, JWT_KEY_BYTES);
    else
        jwt_claims_release(claims);
    json_decref(header);
    json_decref(payload);
    return rc;
}
