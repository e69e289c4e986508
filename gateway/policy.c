#include "cctgate/policy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

/* Found by their SHA-256, which is uniform: an open-addressed table needs no further hash. */
struct slot {
    uint8_t sha256[32];
    struct access access;
    struct access_user *own; /* NULL: shares policy->all */
    int used;
};

struct policy {
    atomic_int references;
    struct config *config;
    struct access_user *all;
    size_t num_all;
    struct slot *slots;
    size_t mask;
};

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct access_user *)a)->number,
             y = ((const struct access_user *)b)->number;
    return x < y ? -1 : x > y;
}

static size_t slot_of(const uint8_t *sha256, size_t mask)
{
    size_t hash;
    memcpy(&hash, sha256, sizeof(hash));
    return hash & mask;
}

static const struct access_user *user_named(const struct policy *policy, const char *name)
{
    size_t i;
    for (i = 0; i < policy->num_all; ++i)
        if (strcmp(policy->all[i].name, name) == 0)
            return &policy->all[i];
    return NULL;
}

static int fill_users(struct policy *policy, struct slot *slot, const struct config_token *token)
{
    size_t i;

    if (token->every_user) {
        slot->access.users = policy->all;
        slot->access.num_users = policy->num_all;
        return 0;
    }
    if ((slot->own = calloc(token->num_users + 1, sizeof(*slot->own))) == NULL)
        return -1;
    for (i = 0; i < token->num_users; ++i) {
        const struct access_user *user = user_named(policy, token->users[i]);
        if (user != NULL)
            slot->own[slot->access.num_users++] = *user;
    }
    qsort(slot->own, slot->access.num_users, sizeof(*slot->own), by_number);
    slot->access.users = slot->own;
    return 0;
}

static int add_token(struct policy *policy, const struct config_token *token)
{
    size_t at = slot_of(token->sha256, policy->mask);
    struct slot *slot;

    while (policy->slots[at].used)
        at = (at + 1) & policy->mask;
    slot = &policy->slots[at];
    slot->used = 1;
    memcpy(slot->sha256, token->sha256, sizeof(slot->sha256));
    slot->access.application = token->application;
    slot->access.client_certificate = token->client_certificate;
    slot->access.roles = token->roles;
    slot->access.every_user = token->every_user;
    return fill_users(policy, slot, token);
}

struct policy *policy_new(struct config *config, const uint32_t *numbers)
{
    struct policy *policy = calloc(1, sizeof(*policy));
    size_t capacity = 16, i;

    if (policy == NULL)
        return NULL;
    atomic_init(&policy->references, 1);
    policy->config = config_ref(config);
    while (capacity < config->num_tokens * 2)
        capacity *= 2;
    policy->mask = capacity - 1;
    policy->slots = calloc(capacity, sizeof(*policy->slots));
    policy->all = calloc(config->num_sessions + 1, sizeof(*policy->all));
    if (policy->slots == NULL || policy->all == NULL)
        goto Error;
    for (i = 0; i < config->num_sessions; ++i)
        policy->all[policy->num_all++] = (struct access_user){numbers[i], config->sessions[i].user};
    qsort(policy->all, policy->num_all, sizeof(*policy->all), by_number);
    for (i = 0; i < config->num_tokens; ++i)
        if (add_token(policy, &config->tokens[i]) != 0)
            goto Error;
    return policy;
Error:
    policy_unref(&policy);
    return NULL;
}

struct policy *policy_ref(struct policy *policy)
{
    atomic_fetch_add(&policy->references, 1);
    return policy;
}

void policy_unref(struct policy **in)
{
    struct policy *policy = *in;
    size_t i;

    *in = NULL;
    if (policy == NULL || atomic_fetch_sub(&policy->references, 1) != 1)
        return;
    for (i = 0; policy->slots != NULL && i <= policy->mask; ++i)
        free(policy->slots[i].own);
    free(policy->slots);
    free(policy->all);
    config_unref(&policy->config);
    free(policy);
}

const struct config *policy_config(const struct policy *policy)
{
    return policy->config;
}

/*
 * For every request: OpenSSL's direct functions, which 3.0 marks as deprecated, take a third of the time that EVP needs to find
 * and set up the same code. Short of a major version they stay.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
int policy_digest(const char *token, size_t length, uint8_t sha256[32])
{
    SHA256_CTX context;
    int rc = SHA256_Init(&context) == 1 && SHA256_Update(&context, token, length) == 1 &&
             SHA256_Final(sha256, &context) == 1;
    OPENSSL_cleanse(&context, sizeof(context));
    return rc;
}
#pragma GCC diagnostic pop

/* The digest is looked up, not the token: what a comparison's time could tell is about a value that nobody can steer. */
const struct access *policy_find_digest(const struct policy *policy, const uint8_t sha256[32])
{
    size_t at;

    for (at = slot_of(sha256, policy->mask); policy->slots[at].used; at = (at + 1) & policy->mask)
        if (CRYPTO_memcmp(policy->slots[at].sha256, sha256, SHA256_DIGEST_LENGTH) == 0)
            return &policy->slots[at].access;
    return NULL;
}

const struct access *policy_find(const struct policy *policy, const char *token, size_t length)
{
    uint8_t sha256[SHA256_DIGEST_LENGTH];

    return policy_digest(token, length, sha256) ? policy_find_digest(policy, sha256) : NULL;
}

void policy_memo_forget(struct policy_memo *memo)
{
    OPENSSL_cleanse(memo, sizeof(*memo));
}

/* Any byte will do to spread tokens, which are random to their end; what is compared is compared in constant time. */
static struct policy_memo_token *memo_slot(struct policy_memo *memo, const char *token,
                                           size_t length)
{
    unsigned char a = (unsigned char)token[length - 1], b = (unsigned char)token[length / 2];
    return &memo->tokens[(a * 31u + b) % POLICY_MEMO_TOKENS];
}

const struct access *policy_recall(const struct policy *policy, struct policy_memo *memo,
                                   const char *token, size_t length)
{
    struct policy_memo_token *slot;
    const struct access *access;

    if (length == 0 || length > POLICY_MEMO_TOKEN_BYTES)
        return policy_find(policy, token, length);
    slot = memo_slot(memo, token, length);
    if (slot->length == length && CRYPTO_memcmp(slot->token, token, length) == 0)
        return slot->access;
    if ((access = policy_find(policy, token, length)) != NULL) {
        OPENSSL_cleanse(slot->token, sizeof(slot->token));
        memcpy(slot->token, token, length);
        slot->length = length;
        slot->access = access;
    }
    return access;
}

int access_has_user(const struct access *access, uint32_t number)
{
    size_t low = 0, high = access->num_users;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (access->users[middle].number == number)
            return 1;
        if (access->users[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

const struct access_user *access_find_user(const struct access *access, const char *name,
                                           size_t length)
{
    size_t i;
    for (i = 0; i < access->num_users; ++i)
        if (strlen(access->users[i].name) == length &&
            memcmp(access->users[i].name, name, length) == 0)
            return &access->users[i];
    return NULL;
}
