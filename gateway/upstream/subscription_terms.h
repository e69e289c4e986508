/* What a subscription is about, without the asking: references, times, leases, topics. Pure. */
#ifndef CCTGATE_UPSTREAM_SUBSCRIPTION_TERMS_H
#define CCTGATE_UPSTREAM_SUBSCRIPTION_TERMS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/*
 * The id within the string that UserService.Subscribe gives, "<our URL>:<id>" (DOMAIN 5.2): what is behind our URL, which has colons
 * itself; behind the last colon where it is the URL in another spelling; the string itself where it is none. NULL: there is none.
 */
const char *terms_id(const char *reference, const char *url);

/* How long a lease has to be and may be, as far as it was told; 0: not. */
struct terms_bounds {
    int64_t minimum_ms, maximum_ms;
};
/* The end to ask for, in Unix ms on the other side's clock, which is `skew_ms` ahead of the one that `now_ms` is of. */
int64_t terms_end(int64_t now_ms, int64_t skew_ms, int64_t lease_ms,
                  const struct terms_bounds *bounds);
/* How long to wait with the renewal of what ends at `until_ms` on our clock: about half of what is left. */
int64_t terms_renew_in(int64_t now_ms, int64_t until_ms);

/*
 * From the JSON Schema of Subscribe's arguments: {"TopicExpression", "UseNotify", "SubscriptionPolicy"} with every listener that the
 * contract has and every policy flag on, so that a release with another listener is listened to as well. New reference, NULL when
 * the schema has no topics or there is no memory.
 */
json_t *terms_template(const json_t *schema);
/* 1 when the arguments may have this member. */
int terms_has(const json_t *schema, const char *member);

/* A digest of what a message says, whoever it was said to: the same for both copies of one event. */
uint64_t terms_fingerprint(const json_t *message);

#endif
