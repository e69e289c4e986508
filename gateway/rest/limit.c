/* limits.requestsPerSecond, at the doors: requests, and what a WebSocket asks for. */
#include <stdio.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/loop.h"
#include "gateway/rest/rate.h"
#include "gateway/rest/rest.h"

int limit_take(struct front *front, const struct policy *policy, const uint8_t sha256[32],
               struct rate_verdict *verdict)
{
    unsigned limit = policy_config(policy)->limits.requests_per_second;

    *verdict = (struct rate_verdict){0, 0, 0, 0};
    if (limit == 0)
        return CG_OK;
    *verdict = rate_take(front->fronts->rates, sha256, limit, clock_monotonic_ms());
    if (!verdict->is_over)
        return CG_OK;
    COUNT(front, requests_limited);
    return CG_E_BUSY;
}

static void add_field(h2o_req_t *req, const char *name, const char *text)
{
    h2o_iovec_t value = h2o_strdup(&req->pool, text, SIZE_MAX);
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 0, NULL, value.base,
                          value.len);
}

/* draft-ietf-httpapi-ratelimit-headers-10 */
int limit_request(struct request *request, const uint8_t sha256[32])
{
    unsigned limit = policy_config(request->policy)->limits.requests_per_second;
    struct rate_verdict verdict;
    char text[64];
    int rc;

    if (limit == 0)
        return CG_OK;
    rc = limit_take(request->front, request->policy, sha256, &verdict);
    snprintf(text, sizeof(text), "\"token\";q=%u;w=1", limit);
    add_field(request->h2o, "ratelimit-policy", text);
    snprintf(text, sizeof(text), "\"token\";r=%u;t=%u", verdict.remaining, verdict.full_s);
    add_field(request->h2o, "ratelimit", text);
    if (rc != CG_OK)
        respond_problem_after(request, PROBLEM_RATE_LIMITED, verdict.retry_ms,
                              "the token may ask %u times a second", limit);
    return rc;
}
