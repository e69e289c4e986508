/* What jwt.c and jwks.c share. */
#ifndef CCTGATE_ACCESS_JWT_PRIVATE_H
#define CCTGATE_ACCESS_JWT_PRIVATE_H

#include <stdatomic.h>

#include <jansson.h>

#include "cctgate/jwt.h"

enum jwt_algorithm { JWT_RS256, JWT_ES256, JWT_EDDSA, JWT_ALGORITHMS };
extern const char *const jwt_algorithm_names[JWT_ALGORITHMS]; /* as in RFC 7518, RFC 8037 */

/* The library changes what it is given: each verification makes its own of the text, which threads share. */
struct jwt_key {
    char *kid;  /* NULL: none */
    char *text; /* the public members, JSON */
    enum jwt_algorithm algorithm;
    uint8_t thumbprint[JWT_KEY_BYTES];
};

struct jwt_keys {
    atomic_int references;
    char *issuer, *audience, *application_claim, *users_claim, *roles_claim;
    int allow_every_user;
    unsigned skew_ms;
    struct jwt_key *keys;
    size_t num_keys;
};

/* An object of well-formed JSON without repeated names. CG_OK; CG_E_INVALID, CG_E_NOMEM with *json NULL. */
int jwt_object(json_t **json, const char *text, size_t length);

#endif
