/*
 * Who may see what: the configuration's tokens with their users resolved to numbers. Immutable, reference-counted, read by all
 * front threads without a lock; a reload makes a new one.
 */
#ifndef CCTGATE_POLICY_H
#define CCTGATE_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "cctgate/config.h"

struct policy;

struct access_user {
    uint32_t number;
    const char *name;
};

struct access {
    const char *application;
    const char *client_certificate; /* that must come with the token; NULL: none */
    unsigned roles;                 /* enum config_role, or'ed */
    int every_user;
    const struct access_user *users; /* ascending by number; for every_user: all configured users */
    size_t num_users;
};

/* `numbers` holds the number of each config->sessions[i]. Takes a reference to `config`. NULL without memory. */
struct policy *policy_new(struct config *config, const uint32_t *numbers);
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

int access_has_user(const struct access *access, uint32_t number);
const struct access_user *access_find_user(const struct access *access, const char *name,
                                           size_t length);

#endif
