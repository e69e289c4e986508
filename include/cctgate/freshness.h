/*
 * Is a stored record good enough for this request? A pure core: no I/O, no clock; `now` and the facts go in, a decision comes
 * out. Times are the steady clock's (clock.h).
 *
 * A record is inside its time-to-live and *covered* when it was read after its source (the upstream session it came through)
 * last became healthy: what was read before an outage, or by an earlier process, is true no more than "then". So:
 *
 *   its subscription is active and in step          live: serve; there is no end to that but an event
 *   the same, but a part may have changed silently  fetch that part, and serve as it was on error
 *   source healthy, record covered, now < expires   cached: serve
 *   source healthy, record covered, expired         stale since `expires`: serve and refresh behind, for as long as
 *                                                   stale-while-revalidate; after that fetch, and serve stale on error
 *   source healthy, record from before              stale since the source was lost (or it expired): serve and refresh behind
 *   source lost                                     the same label: serve, nobody to ask; the owner works on the source
 *
 * until stale-if-error has passed. The request's Cache-Control (RFC 9111 section 5.2.1) then narrows that: no-cache and
 * max-age fetch, only-if-cached never does, max-stale says how much staleness is welcome.
 */
#ifndef CCTGATE_FRESHNESS_H
#define CCTGATE_FRESHNESS_H

#include <stddef.h>
#include <stdint.h>

enum sync_label { SYNC_CACHED, SYNC_STALE, SYNC_LIVE };
const char *sync_label_name(enum sync_label label);

struct freshness_source {
    int64_t healthy_since_ms; /* 0: lost or never had */
    int64_t lost_at_ms;       /* when it was last lost; at start: when the process started */
    uint64_t live; /* the subscription that is active and in step with the upstream; 0: none */
};

struct freshness_record {
    int64_t fetched_at_ms, expires_at_ms;
    uint64_t covered; /* the subscription whose events keep it up to date; 0: none */
    int dirty;        /* a part of it may have changed without being told */
};

struct freshness_policy {
    int64_t stale_while_revalidate_ms, stale_if_error_ms;
};

#define FRESHNESS_UNSET (-1)
struct freshness_directives {
    int no_cache, only_if_cached;
    int64_t max_age_ms, max_stale_ms,
        min_fresh_ms; /* FRESHNESS_UNSET when absent; max-stale without value is INT64_MAX */
};

enum freshness_action {
    FRESHNESS_SERVE,             /* answer from the record */
    FRESHNESS_SERVE_AND_REFRESH, /* the same, and have it fetched behind */
    FRESHNESS_FETCH,             /* ask the upstream first */
    FRESHNESS_NOTHING            /* only-if-cached, and nothing that may be served: 504 */
};

enum freshness_reason {
    FORWARD_NONE,
    FORWARD_MISS,
    FORWARD_REQUEST,
    FORWARD_STALE
}; /* RFC 9211 `fwd` */
const char *freshness_reason_name(enum freshness_reason reason);

struct freshness {
    enum freshness_action action;
    enum freshness_reason reason; /* for FETCH */
    enum sync_label label;        /* of the record, if it is served now */
    int64_t stale_since_ms;       /* SYNC_STALE */
    int64_t ttl_ms;               /* what is left; negative when stale */
    int serve_on_error;           /* FETCH failed: the record may be served all the same */
};

void freshness_directives_init(struct freshness_directives *directives);
/* Adds one Cache-Control field value; what it does not know it ignores. */
void freshness_parse(struct freshness_directives *directives, const char *value, size_t length);

/* `record` NULL: there is none. */
struct freshness freshness_decide(const struct freshness_record *record,
                                  const struct freshness_source *source,
                                  const struct freshness_policy *policy,
                                  const struct freshness_directives *directives, int64_t now_ms);

/* A time-to-live shortened by up to `jitter_percent`, by `random` (any 32 bits), so that what was read together does not expire together. */
int64_t freshness_jitter(int64_t ttl_ms, unsigned jitter_percent, uint32_t random);

#endif
