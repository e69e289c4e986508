/* Whose token a request has: one that was configured, one that was signed on, or a JWT, which is verified once and remembered. */
#include <openssl/crypto.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/jwt.h"
#include "cctgate/loop.h"
#include "gateway/rest/rest.h"

void jwt_memo_forget(struct jwt_memo *memo)
{
    size_t i, j;
    for (i = 0; i < JWT_MEMO_SETS; ++i)
        for (j = 0; j < JWT_MEMO_WAYS; ++j)
            policy_unref(&memo->entries[i][j].policy);
}

/* What was verified has been; whom it lets in, and whether its key still holds, is the policy's to say. */
void jwt_memo_renew(struct jwt_memo *memo, struct policy *fresh)
{
    size_t i, j;
    for (i = 0; i < JWT_MEMO_SETS; ++i)
        for (j = 0; j < JWT_MEMO_WAYS; ++j) {
            struct policy **entry = &memo->entries[i][j].policy, *old = *entry;
            if (old != NULL)
                *entry = policy_renew(old, fresh);
            policy_unref(&old);
        }
}

static struct jwt_memo_entry *find(struct jwt_memo *memo, const uint8_t *sha256)
{
    struct jwt_memo_entry *set = memo->entries[sha256[0]];
    size_t i;

    for (i = 0; i < JWT_MEMO_WAYS; ++i)
        if (set[i].policy != NULL && CRYPTO_memcmp(set[i].sha256, sha256, 32) == 0)
            return &set[i];
    return NULL;
}

/* The newest is the first of its set, the last goes. Takes the reference. */
static struct policy *remember(struct jwt_memo *memo, const uint8_t *sha256, struct policy *policy)
{
    struct jwt_memo_entry *set = memo->entries[sha256[0]];

    policy_unref(&set[JWT_MEMO_WAYS - 1].policy);
    memmove(&set[1], &set[0], (JWT_MEMO_WAYS - 1) * sizeof(set[0]));
    memcpy(set[0].sha256, sha256, sizeof(set[0].sha256));
    return set[0].policy = policy;
}

static int verify(struct front *front, h2o_iovec_t token, const uint8_t *sha256, int64_t now_ms,
                  struct policy **policy)
{
    struct jwt_claims claims;
    int rc = jwt_verify(policy_keys(front->policy), token.base, token.len, now_ms, &claims);

    if (rc == CG_OK && (*policy = policy_of_jwt(front->policy, sha256, &claims)) == NULL)
        rc = CG_E_NOMEM;
    if (rc == CG_E_DENIED)
        COUNT(front, jwt_refused);
    if (rc != CG_OK)
        return rc;
    COUNT(front, jwt_verified);
    remember(&front->jwt_memo, sha256, *policy);
    return CG_OK;
}

static int of_jwt(struct front *front, h2o_iovec_t token, const uint8_t *sha256,
                  struct policy **policy)
{
    struct jwt_memo_entry *entry = find(&front->jwt_memo, sha256);
    int64_t now_ms = clock_unix_ms();

    if (entry != NULL && policy_holds_at(entry->policy, now_ms)) {
        *policy = entry->policy;
        return CG_OK;
    }
    if (entry != NULL) {
        policy_unref(&entry->policy);
        return CG_E_DENIED;
    }
    /* a ticket has the digest alone of the token that it was given for */
    return token.len > 0 && jwt_looks_like(token.base, token.len)
               ? verify(front, token, sha256, now_ms, policy)
               : CG_E_DENIED;
}

/* It is used, and by whom the request acts is known. */
static int take_access(struct request *request, struct policy *policy, const struct access *access)
{
    if (access == NULL)
        return CG_E_DENIED;
    if (access->use != NULL)
        bearer_use_tell(access->use, clock_monotonic_ms());
    request->policy = policy;
    request->access = access;
    return CG_OK;
}

int request_identify(struct request *request, h2o_iovec_t token, const uint8_t sha256[32])
{
    struct front *front = request->front;
    const struct access *access = policy_find_digest(front->policy, sha256);
    struct policy *policy;
    int rc;

    if (access != NULL || policy_keys(front->policy) == NULL)
        return take_access(request, front->policy, access);
    if ((rc = of_jwt(front, token, sha256, &policy)) != CG_OK)
        return rc;
    return take_access(request, policy, policy_find_digest(policy, sha256));
}

int request_recognise(struct request *request, h2o_iovec_t token)
{
    struct front *front = request->front;
    const struct access *access;
    uint8_t sha256[32];

    if (token.len <= POLICY_MEMO_TOKEN_BYTES || policy_keys(front->policy) == NULL) {
        access = policy_recall(front->policy, &front->memo, token.base, token.len);
        if (access != NULL || policy_keys(front->policy) == NULL)
            return take_access(request, front->policy, access);
    }
    return policy_digest(token.base, token.len, sha256) ? request_identify(request, token, sha256)
                                                        : CG_E_NOMEM;
}

int request_identify_jwt(struct request *request, struct policy *ticket, const uint8_t sha256[32])
{
    struct front *front = request->front;
    struct jwt_memo_entry *entry = find(&front->jwt_memo, sha256);
    struct policy *policy = entry != NULL ? entry->policy : policy_renew(ticket, front->policy);

    if (policy != NULL && entry == NULL)
        remember(&front->jwt_memo, sha256, policy);
    policy_unref(&ticket);
    if (policy == NULL || !policy_holds_at(policy, clock_unix_ms()))
        return CG_E_DENIED;
    return take_access(request, policy, policy_find_digest(policy, sha256));
}
