/*
 * Tokens of the site's identity provider: JWT (RFC 7519) in JWS compact form (RFC 7515), checked as RFC 8725 wants it. Pure: no clock, no
 * file, no network; what a token's header names (jwk, jku, x5u, x5c) is never followed.
 *
 * The key is ours to choose: by `kid` and by what the algorithm needs (RS256: RSA of 2,048 bits and more; ES256: P-256; EdDSA: Ed25519), and
 * a key that says what it is for (`use`, `key_ops`, `alg`) is used for nothing else. Thus a public key never becomes an HMAC's secret, and
 * `none` is no algorithm at all. The bytes that the signature covers are the ones that are read afterwards, by one parser: ours.
 */
#ifndef CCTGATE_JWT_H
#define CCTGATE_JWT_H

#include <stddef.h>
#include <stdint.h>

#define JWT_BYTES_MAX      8192
#define JWT_KEYS_MAX       64
#define JWT_USERS_MAX      1000
#define JWT_JWKS_BYTES_MAX (256 * 1024)
#define JWT_KEY_BYTES      32 /* of a key's thumbprint (RFC 7638, SHA-256) */

/* Strings are copied. */
struct jwt_settings {
    const char *issuer, *audience;
    const char *application_claim, *users_claim, *roles_claim;
    int allow_every_user; /* "*" among the users is every configured one */
    unsigned skew_ms;     /* how far two clocks may differ */
};

void jwt_init(void); /* before there are threads */

struct jwt_keys;
/*
 * From the text of a JWK set (RFC 7517). Keys that no token may be signed with (symmetric, private, too short, for encryption, of an
 * unknown type) are passed over and counted in `passed_over`. CG_E_INVALID with `error`: not a JWK set, or no key is left. CG_E_LIMIT:
 * over JWT_JWKS_BYTES_MAX or JWT_KEYS_MAX. CG_E_NOMEM.
 */
int jwt_keys_new(struct jwt_keys **keys, const struct jwt_settings *settings, const char *jwks,
                 size_t length, size_t *passed_over, char *error, size_t error_size);
struct jwt_keys *jwt_keys_ref(struct jwt_keys *keys); /* any thread; immutable */
void jwt_keys_unref(struct jwt_keys **keys);
/* 1: made with these settings, but for the skew. */
int jwt_keys_are_for(const struct jwt_keys *keys, const struct jwt_settings *settings);
size_t jwt_keys_count(const struct jwt_keys *keys);
/* 1: the key is among them, and tokens are for the same issuer, audience and claims as with `other`. */
int jwt_keys_still_hold(const struct jwt_keys *keys, const struct jwt_keys *other,
                        const uint8_t key[JWT_KEY_BYTES]);

struct jwt_claims {
    char *application;
    char *subject; /* issuer and `sub`; whose idempotency keys are nobody else's. Never NULL */
    char **users;
    size_t num_users;
    int every_user;
    unsigned roles;                /* enum config_role, or'ed; 0: none that is known */
    int64_t begins_ms, expires_ms; /* Unix; the skew is in them. INT64_MIN: at any time */
    uint8_t key[JWT_KEY_BYTES];
};

/*
 * CG_OK: `claims` is the caller's to release. CG_E_DENIED: not a token of these keys that holds now. CG_E_NOMEM. `claims` is
 * zeroed unless CG_OK. Any thread. Without memory for a signature itself the program ends (memory.h).
 */
int jwt_verify(const struct jwt_keys *keys, const char *token, size_t length, int64_t now_ms,
               struct jwt_claims *claims);
void jwt_claims_release(struct jwt_claims *claims);

/* Three parts in base64url and nothing else: worth verifying. */
int jwt_looks_like(const char *token, size_t length);

#endif
