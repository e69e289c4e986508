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
    struct access_user *own; /* NULL: shares base->all */
    int used;
};

struct table {
    struct slot *slots;
    size_t mask;
};

/* What is the configuration's. */
struct base {
    atomic_int references;
    struct config *config;
    struct access_user *all;
    size_t num_all;
    struct table tokens;
};

/* The claims of a JWT, which its policies share. */
struct passport {
    atomic_int references;
    uint8_t sha256[32];
    struct jwt_claims claims;
};

struct policy {
    atomic_int references;
    struct base *base;
    struct table bearers;
    struct jwt_keys *keys;
    struct access_user *known; /* by name: whom the claims of a JWT may name */
    size_t num_known;
    /* of a JWT */
    struct policy *parent; /* keeps `known`, which the names below are of */
    struct passport *passport;
    struct access access;
    struct access_user *own;
};

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct access_user *)a)->number,
             y = ((const struct access_user *)b)->number;
    return x < y ? -1 : x > y;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct access_user *)a)->name, ((const struct access_user *)b)->name);
}

/* ---- bearers ---- */

struct bearer_use *bearer_use_new(const char *user, int64_t now_ms)
{
    size_t length = strlen(user);
    struct bearer_use *use = calloc(1, sizeof(*use) + length + 1);

    if (use == NULL)
        return NULL;
    atomic_init(&use->references, 1);
    atomic_init(&use->used_at_ms, now_ms);
    memcpy(use->user, user, length + 1);
    return use;
}

struct bearer_use *bearer_use_ref(struct bearer_use *use)
{
    atomic_fetch_add(&use->references, 1);
    return use;
}

void bearer_use_unref(struct bearer_use **in)
{
    struct bearer_use *use = *in;
    *in = NULL;
    if (use != NULL && atomic_fetch_sub(&use->references, 1) == 1)
        free(use);
}

void bearer_use_tell(struct bearer_use *use, int64_t now_ms)
{
    if (now_ms - atomic_load_explicit(&use->used_at_ms, memory_order_relaxed) >=
        BEARER_USE_GRAIN_MS)
        atomic_store_explicit(&use->used_at_ms, now_ms, memory_order_relaxed);
}

/* ---- tables ---- */

static size_t slot_of(const uint8_t *sha256, size_t mask)
{
    size_t hash;
    memcpy(&hash, sha256, sizeof(hash));
    return hash & mask;
}

static int table_init(struct table *table, size_t count)
{
    size_t capacity = 16;
    while (capacity < count * 2)
        capacity *= 2;
    table->mask = capacity - 1;
    table->slots = calloc(capacity, sizeof(*table->slots));
    return table->slots != NULL ? 0 : -1;
}

static struct slot *table_add(struct table *table, const uint8_t *sha256)
{
    size_t at = slot_of(sha256, table->mask);

    while (table->slots[at].used)
        at = (at + 1) & table->mask;
    table->slots[at].used = 1;
    memcpy(table->slots[at].sha256, sha256, sizeof(table->slots[at].sha256));
    return &table->slots[at];
}

/* The digest is looked up, not the token: what a comparison's time could tell is about a value that nobody can steer. */
static const struct access *table_find(const struct table *table, const uint8_t *sha256)
{
    size_t at;

    if (table->slots == NULL)
        return NULL;
    for (at = slot_of(sha256, table->mask); table->slots[at].used; at = (at + 1) & table->mask)
        if (CRYPTO_memcmp(table->slots[at].sha256, sha256, SHA256_DIGEST_LENGTH) == 0)
            return &table->slots[at].access;
    return NULL;
}

static void table_release(struct table *table)
{
    size_t i;
    for (i = 0; table->slots != NULL && i <= table->mask; ++i) {
        free(table->slots[i].own);
        bearer_use_unref(&table->slots[i].access.use);
    }
    free(table->slots);
}

/* ---- the configuration's part ---- */

static const struct access_user *user_named(const struct base *base, const char *name)
{
    size_t i;
    for (i = 0; i < base->num_all; ++i)
        if (strcmp(base->all[i].name, name) == 0)
            return &base->all[i];
    return NULL;
}

static int fill_users(struct base *base, struct slot *slot, const struct config_token *token)
{
    size_t i;

    if (token->every_user) {
        slot->access.users = base->all;
        slot->access.num_users = base->num_all;
        return 0;
    }
    if ((slot->own = calloc(token->num_users + 1, sizeof(*slot->own))) == NULL)
        return -1;
    for (i = 0; i < token->num_users; ++i) {
        const struct access_user *user = user_named(base, token->users[i]);
        if (user != NULL)
            slot->own[slot->access.num_users++] = *user;
    }
    qsort(slot->own, slot->access.num_users, sizeof(*slot->own), by_number);
    slot->access.users = slot->own;
    return 0;
}

static int add_token(struct base *base, const struct config_token *token)
{
    struct slot *slot = table_add(&base->tokens, token->sha256);

    slot->access.application = token->application;
    slot->access.client_certificate = token->client_certificate;
    slot->access.roles = token->roles;
    slot->access.every_user = token->every_user;
    return fill_users(base, slot, token);
}

static void base_unref(struct base **in)
{
    struct base *base = *in;

    *in = NULL;
    if (base == NULL || atomic_fetch_sub(&base->references, 1) != 1)
        return;
    table_release(&base->tokens);
    free(base->all);
    config_unref(&base->config);
    free(base);
}

static struct base *base_new(struct config *config, const uint32_t *numbers)
{
    struct base *base = calloc(1, sizeof(*base));
    size_t i;

    if (base == NULL)
        return NULL;
    atomic_init(&base->references, 1);
    base->config = config_ref(config);
    if (table_init(&base->tokens, config->num_tokens) != 0 ||
        (base->all = calloc(config->num_sessions + 1, sizeof(*base->all))) == NULL)
        goto Error;
    for (i = 0; i < config->num_sessions; ++i)
        base->all[base->num_all++] = (struct access_user){numbers[i], config->sessions[i].user};
    qsort(base->all, base->num_all, sizeof(*base->all), by_number);
    for (i = 0; i < config->num_tokens; ++i)
        if (add_token(base, &config->tokens[i]) != 0)
            goto Error;
    return base;
Error:
    base_unref(&base);
    return NULL;
}

/* ---- policies ---- */

static struct policy *policy_of_base(struct base *base)
{
    struct policy *policy = calloc(1, sizeof(*policy));

    if (policy == NULL)
        return NULL;
    atomic_init(&policy->references, 1);
    atomic_fetch_add(&base->references, 1);
    policy->base = base;
    return policy;
}

struct policy *policy_new(struct config *config, const uint32_t *numbers)
{
    struct base *base = base_new(config, numbers);
    struct policy *policy = base != NULL ? policy_of_base(base) : NULL;

    base_unref(&base);
    return policy;
}

/* A bearer acts for one user, as an application of that user's name. */
static int add_bearer(struct policy *policy, const struct policy_bearer *bearer)
{
    struct slot *slot = table_add(&policy->bearers, bearer->sha256);

    if ((slot->own = calloc(1, sizeof(*slot->own))) == NULL)
        return -1;
    slot->access.use = bearer_use_ref(bearer->use);
    slot->own[0] = (struct access_user){bearer->user, bearer->use->user};
    slot->access.application = slot->access.subject = bearer->use->user;
    slot->access.roles = policy->base->config->session_roles;
    slot->access.users = slot->own;
    slot->access.num_users = 1;
    return 0;
}

/* Configured users, and those that signed on; each once. */
static int know_users(struct policy *policy, const struct policy_bearer *bearers,
                      size_t num_bearers)
{
    size_t count = policy->base->num_all, i, n = 0;

    if ((policy->known = calloc(count + num_bearers + 1, sizeof(*policy->known))) == NULL)
        return -1;
    for (i = 0; i < count; ++i)
        policy->known[i] = policy->base->all[i];
    for (i = 0; i < num_bearers; ++i)
        policy->known[count++] = (struct access_user){bearers[i].user, bearers[i].use->user};
    qsort(policy->known, count, sizeof(*policy->known), by_name);
    for (i = 0; i < count; ++i)
        if (n == 0 || by_name(&policy->known[n - 1], &policy->known[i]) != 0)
            policy->known[n++] = policy->known[i];
    policy->num_known = n;
    return 0;
}

struct policy *policy_with(const struct policy *old, const struct policy_bearer *bearers,
                           size_t num_bearers, struct jwt_keys *keys)
{
    struct policy *policy = policy_of_base(old->base);
    size_t i;

    if (policy == NULL)
        return NULL;
    policy->keys = jwt_keys_ref(keys);
    if (table_init(&policy->bearers, num_bearers) != 0 ||
        (keys != NULL && know_users(policy, bearers, num_bearers) != 0))
        goto Error;
    for (i = 0; i < num_bearers; ++i)
        if (add_bearer(policy, &bearers[i]) != 0)
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

static void passport_unref(struct passport **in)
{
    struct passport *passport = *in;

    *in = NULL;
    if (passport == NULL || atomic_fetch_sub(&passport->references, 1) != 1)
        return;
    jwt_claims_release(&passport->claims);
    free(passport);
}

void policy_unref(struct policy **in)
{
    struct policy *policy = *in;

    *in = NULL;
    if (policy == NULL || atomic_fetch_sub(&policy->references, 1) != 1)
        return;
    table_release(&policy->bearers);
    jwt_keys_unref(&policy->keys);
    free(policy->known);
    free(policy->own);
    passport_unref(&policy->passport);
    policy_unref(&policy->parent); /* one level: a JWT's is never another's parent */
    base_unref(&policy->base);
    free(policy);
}

const struct config *policy_config(const struct policy *policy)
{
    return policy->base->config;
}

struct jwt_keys *policy_keys(const struct policy *policy)
{
    return policy->keys;
}

/* ---- of a JWT ---- */

static int admit_users(struct policy *policy, const struct policy *parent,
                       const struct jwt_claims *claims)
{
    size_t i, n = 0;

    policy->access.every_user = claims->every_user;
    if (claims->every_user) {
        policy->access.users = policy->base->all;
        policy->access.num_users = policy->base->num_all;
        return 0;
    }
    if ((policy->own = calloc(claims->num_users + 1, sizeof(*policy->own))) == NULL)
        return -1;
    for (i = 0; i < claims->num_users; ++i) {
        struct access_user wanted = {0, claims->users[i]};
        const struct access_user *user = parent->num_known > 0
                                             ? bsearch(&wanted, parent->known, parent->num_known,
                                                       sizeof(*parent->known), by_name)
                                             : NULL;
        if (user != NULL)
            policy->own[policy->access.num_users++] = *user;
    }
    qsort(policy->own, policy->access.num_users, sizeof(*policy->own), by_number);
    for (i = 0; i < policy->access.num_users; ++i)
        if (n == 0 || policy->own[n - 1].number != policy->own[i].number)
            policy->own[n++] = policy->own[i];
    policy->access.num_users = n;
    policy->access.users = policy->own;
    return 0;
}

/* Takes a reference to the passport. */
static struct policy *admit(struct policy *parent, struct passport *passport)
{
    struct policy *policy = policy_of_base(parent->base);

    if (policy == NULL)
        return NULL;
    policy->parent = policy_ref(parent);
    policy->keys = jwt_keys_ref(parent->keys);
    atomic_fetch_add(&passport->references, 1);
    policy->passport = passport;
    policy->access.application = passport->claims.application;
    policy->access.subject = passport->claims.subject;
    policy->access.roles = passport->claims.roles;
    if (admit_users(policy, parent, &passport->claims) != 0)
        policy_unref(&policy);
    return policy;
}

struct policy *policy_of_jwt(struct policy *policy, const uint8_t sha256[32],
                             struct jwt_claims *claims)
{
    struct passport *passport = calloc(1, sizeof(*passport));
    struct policy *of_jwt;

    if (passport == NULL) {
        jwt_claims_release(claims);
        return NULL;
    }
    atomic_init(&passport->references, 1);
    memcpy(passport->sha256, sha256, sizeof(passport->sha256));
    passport->claims = *claims;
    memset(claims, 0, sizeof(*claims));
    of_jwt = admit(policy, passport);
    passport_unref(&passport);
    return of_jwt;
}

int policy_is_of_jwt(const struct policy *policy)
{
    return policy->passport != NULL;
}

struct policy *policy_renew(const struct policy *of_jwt, struct policy *fresh)
{
    if (fresh->keys == NULL || of_jwt->passport == NULL ||
        !jwt_keys_still_hold(fresh->keys, of_jwt->keys, of_jwt->passport->claims.key))
        return NULL;
    return admit(fresh, of_jwt->passport);
}

int64_t policy_expires_ms(const struct policy *policy)
{
    return policy->passport != NULL ? policy->passport->claims.expires_ms : INT64_MAX;
}

int policy_holds_at(const struct policy *policy, int64_t unix_ms)
{
    return policy->passport == NULL || (policy->passport->claims.begins_ms <= unix_ms &&
                                        policy->passport->claims.expires_ms > unix_ms);
}

/* ---- tokens ---- */

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

const struct access *policy_find_digest(const struct policy *policy, const uint8_t sha256[32])
{
    const struct access *access;

    if (policy->passport != NULL)
        return CRYPTO_memcmp(policy->passport->sha256, sha256, SHA256_DIGEST_LENGTH) == 0
                   ? &policy->access
                   : NULL;
    access = table_find(&policy->base->tokens, sha256);
    return access != NULL ? access : table_find(&policy->bearers, sha256);
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

int access_reads(const struct access *access)
{
    return access->roles != ROLE_CAMPAIGNER;
}

/* Neither has a NUL in it, so that no two pairs give one text. */
void access_owner(const struct access *access, char owner[ACCESS_OWNER_BYTES + 1])
{
    size_t application = strlen(access->application) + 1;
    size_t subject = access->subject != NULL ? strlen(access->subject) + 1 : 0, i;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char *text = malloc(application + subject);

    if (text == NULL)
        abort();
    memcpy(text, access->application, application);
    if (subject > 0)
        memcpy(text + application, access->subject, subject);
    SHA256((const uint8_t *)text, application + subject, digest);
    free(text);
    for (i = 0; i < sizeof(digest); ++i)
        snprintf(owner + 2 * i, 3, "%02x", digest[i]);
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
