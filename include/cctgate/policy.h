/*
 * Who may see what: the configuration's tokens with their users resolved to numbers, and the bearers that were signed on. Immutable,
 * reference-counted, read by all front threads without a lock; a reload makes a new one, and so does whoever signs on or off: what is
 * the configuration's is shared by all that were made since the last reload.
 *
 * A token of the identity provider (jwt.h) has a policy of its own, which knows that token alone: who holds it, and `access` with it,
 * needs to know of no difference. It is made of the policy in force and of the claims, and made anew when that changes.
 */
#ifndef CCTGATE_POLICY_H
#define CCTGATE_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "cctgate/config.h"
#include "cctgate/jwt.h"

struct policy;

struct access_user {
    uint32_t number;
    const char *name;
};

/* When a bearer was last used, which fronts write and the owner looks at. Reference-counted; any thread. */
struct bearer_use {
    atomic_int references;
    _Atomic int64_t used_at_ms; /* monotonic */
    char user[];
};
#define BEARER_USE_GRAIN_MS 1000 /* so often is it told at most */
struct bearer_use *bearer_use_new(const char *user, int64_t now_ms);
struct bearer_use *bearer_use_ref(struct bearer_use *use);
void bearer_use_unref(struct bearer_use **use);
void bearer_use_tell(struct bearer_use *use, int64_t now_ms);

struct access {
    const char *application;
    const char *client_certificate; /* that must come with the token; NULL: none */
    const char *subject;    /* of an application that many are behind: which; NULL: it is one */
    struct bearer_use *use; /* NULL: no bearer that was signed on */
    unsigned roles;         /* enum config_role, or'ed */
    int every_user;
    const struct access_user *users; /* ascending by number; for every_user: all configured users */
    size_t num_users;
};

/* `numbers` holds the number of each config->sessions[i]. Takes a reference to `config`. NULL without memory. */
struct policy *policy_new(struct config *config, const uint32_t *numbers);
struct policy_bearer {
    uint8_t sha256[32];
    uint32_t user;
    struct bearer_use *use; /* whose name it holds */
};
/* As `policy`, but with these bearers, of the configuration's roles for them, and these keys (NULL: no JWT is taken). NULL without memory. */
struct policy *policy_with(const struct policy *policy, const struct policy_bearer *bearers,
                           size_t num_bearers, struct jwt_keys *keys);
struct policy *policy_ref(struct policy *policy);
void policy_unref(struct policy **policy);
const struct config *policy_config(const struct policy *policy);

/* The access of a bearer token's bytes; NULL: unknown. The time it takes does not depend on how nearly the token fits. */
const struct access *policy_find(const struct policy *policy, const char *token, size_t length);
/* The same in two steps, for who must find the token again later and must not keep it. policy_digest: 1, or 0 without memory. */
int policy_digest(const char *token, size_t length, uint8_t sha256[32]);
const struct access *policy_find_digest(const struct policy *policy, const uint8_t sha256[32]);

/*
 * Tokens that one thread has recognised lately under one policy: a client asks many times with the same one, and a digest costs
 * more than the rest of finding it. Held in memory as they came, never longer than the policy they were checked against is in
 * force; wiped by policy_memo_forget. Zeroed: empty.
 */
#define POLICY_MEMO_TOKENS      64
#define POLICY_MEMO_TOKEN_BYTES 128 /* longer ones are looked up each time */
struct policy_memo {
    struct policy_memo_token {
        char token[POLICY_MEMO_TOKEN_BYTES];
        size_t length; /* 0: free */
        const struct access *access;
    } tokens[POLICY_MEMO_TOKENS];
};
void policy_memo_forget(struct policy_memo *memo);
/* As policy_find; `memo` is the calling thread's, and knows of no other policy. */
const struct access *policy_recall(const struct policy *policy, struct policy_memo *memo,
                                   const char *token, size_t length);

/* The keys that a JWT must be signed with; NULL: none is taken. */
struct jwt_keys *policy_keys(const struct policy *policy);
/*
 * The policy of one JWT: policy_find_digest knows `sha256` alone. Takes over `claims`, which is zeroed. Users that have neither a
 * configured nor a signed-on session are left out. NULL without memory (`claims` is released).
 */
struct policy *policy_of_jwt(struct policy *policy, const uint8_t sha256[32],
                             struct jwt_claims *claims);
int policy_is_of_jwt(const struct policy *policy);
/* The same JWT under a new policy: NULL if its key, or who may issue tokens, is not the same any more, or without memory. */
struct policy *policy_renew(const struct policy *of_jwt, struct policy *fresh);
/* Unix ms; INT64_MAX: it is not of a JWT. */
int64_t policy_expires_ms(const struct policy *policy);
/* 1: neither before its JWT begins nor after it ends; always, if it is not of one. The clock may have been set back since it was verified. */
int policy_holds_at(const struct policy *policy, int64_t unix_ms);

int access_has_user(const struct access *access, uint32_t number);
/* 1: its roles read what its users own. A campaigner has the outbound campaigns and nothing else. */
int access_reads(const struct access *access);
/* Application and subject as a digest in hexadecimal digits: the same for all tokens of one. */
#define ACCESS_OWNER_BYTES 64
void access_owner(const struct access *access, char owner[ACCESS_OWNER_BYTES + 1]);
const struct access_user *access_find_user(const struct access *access, const char *name,
                                           size_t length);

#endif
