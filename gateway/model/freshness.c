#include "cctgate/freshness.h"

#include <strings.h>

const char *sync_label_name(enum sync_label label)
{
    static const char *const names[] = {"cached", "stale", "live"};
    return names[label];
}

const char *freshness_reason_name(enum freshness_reason reason)
{
    static const char *const names[] = {"", "miss", "request", "stale"};
    return names[reason];
}

void freshness_directives_init(struct freshness_directives *directives)
{
    *directives =
        (struct freshness_directives){0, 0, FRESHNESS_UNSET, FRESHNESS_UNSET, FRESHNESS_UNSET};
}

static int is_name(const char *at, size_t length, const char *name, size_t name_length)
{
    return length == name_length && strncasecmp(at, name, length) == 0;
}
#define IS(at, length, name) is_name((at), (length), name, sizeof(name) - 1)

/* delta-seconds (RFC 9111 section 1.2.2), to ms; too large counts as the largest; not a number as 0, the careful reading */
static int64_t delta_seconds(const char *at, size_t length)
{
    int64_t seconds = 0;
    size_t i;

    if (length >= 2 && at[0] == '"' && at[length - 1] == '"') {
        ++at;
        length -= 2;
    }
    for (i = 0; i < length; ++i) {
        if (at[i] < '0' || at[i] > '9')
            return 0;
        if (seconds < INT64_C(2147483648))
            seconds = seconds * 10 + (at[i] - '0');
    }
    return seconds * 1000;
}

static void parse_one(struct freshness_directives *d, const char *at, size_t length)
{
    size_t name = 0;
    const char *value;
    size_t value_length;

    while (name < length && at[name] != '=')
        ++name;
    value = name < length ? at + name + 1 : NULL;
    value_length = name < length ? length - name - 1 : 0;
    if (IS(at, name, "no-cache"))
        d->no_cache = 1;
    else if (IS(at, name, "only-if-cached"))
        d->only_if_cached = 1;
    else if (IS(at, name, "max-age"))
        d->max_age_ms = value != NULL ? delta_seconds(value, value_length) : 0;
    else if (IS(at, name, "min-fresh"))
        d->min_fresh_ms = value != NULL ? delta_seconds(value, value_length) : 0;
    else if (IS(at, name, "max-stale"))
        d->max_stale_ms = value != NULL ? delta_seconds(value, value_length) : INT64_MAX;
}

void freshness_parse(struct freshness_directives *directives, const char *value, size_t length)
{
    size_t start = 0, end;

    while (start < length) {
        size_t stop;
        for (end = start; end < length && value[end] != ','; ++end)
            ;
        stop = end;
        while (start < stop && (value[start] == ' ' || value[start] == '\t'))
            ++start;
        while (stop > start && (value[stop - 1] == ' ' || value[stop - 1] == '\t'))
            --stop;
        if (stop > start)
            parse_one(directives, value + start, stop - start);
        start = end + 1;
    }
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What can be said of the record whatever the request wants. */
static struct freshness describe(const struct freshness_record *record,
                                 const struct freshness_source *source,
                                 const struct freshness_policy *policy, int64_t now)
{
    struct freshness f = {
        FRESHNESS_SERVE, FORWARD_NONE, SYNC_CACHED, 0, record->expires_at_ms - now, 0};
    int healthy = source->healthy_since_ms != 0;
    int covered = healthy && record->fetched_at_ms >= source->healthy_since_ms;

    if (covered && record->covered != 0 && record->covered == source->live && !record->dirty) {
        f.label = SYNC_LIVE;
        f.ttl_ms = record->expires_at_ms - record->fetched_at_ms;
        return f;
    }
    if (covered && f.ttl_ms > 0) {
        f.action = record->dirty ? FRESHNESS_FETCH : FRESHNESS_SERVE;
        f.reason = record->dirty ? FORWARD_STALE : FORWARD_NONE;
        f.serve_on_error = record->dirty;
        return f;
    }
    f.label = SYNC_STALE;
    f.reason = FORWARD_STALE;
    f.stale_since_ms =
        covered ? record->expires_at_ms : min64(record->expires_at_ms, source->lost_at_ms);
    if (f.stale_since_ms < record->fetched_at_ms)
        f.stale_since_ms = record->fetched_at_ms;
    f.ttl_ms = min64(f.ttl_ms, f.stale_since_ms - now);
    f.serve_on_error = now - f.stale_since_ms <= policy->stale_if_error_ms;
    if (!f.serve_on_error)
        f.action = FRESHNESS_FETCH;
    else if (!healthy)
        f.action = FRESHNESS_SERVE;
    else if (!record->dirty &&
             (!covered || now - record->expires_at_ms <= policy->stale_while_revalidate_ms))
        f.action = FRESHNESS_SERVE_AND_REFRESH;
    else
        f.action = FRESHNESS_FETCH;
    return f;
}

/* The client knows how old it may be and how stale; beyond that only a fetch will do, and a failure is told. */
static int refused_by_request(const struct freshness *f, const struct freshness_record *record,
                              const struct freshness_directives *d, int64_t now)
{
    if (f->label != SYNC_LIVE && d->max_age_ms != FRESHNESS_UNSET &&
        now - record->fetched_at_ms > d->max_age_ms &&
        !(d->max_stale_ms != FRESHNESS_UNSET &&
          now - record->fetched_at_ms - d->max_age_ms <= d->max_stale_ms))
        return 1;
    if (d->min_fresh_ms != FRESHNESS_UNSET && f->ttl_ms < d->min_fresh_ms)
        return 1;
    return f->label == SYNC_STALE && d->max_stale_ms != FRESHNESS_UNSET &&
           now - f->stale_since_ms > d->max_stale_ms;
}

struct freshness freshness_decide(const struct freshness_record *record,
                                  const struct freshness_source *source,
                                  const struct freshness_policy *policy,
                                  const struct freshness_directives *d, int64_t now)
{
    struct freshness f = {FRESHNESS_FETCH, FORWARD_MISS, SYNC_CACHED, 0, 0, 0};

    if (record != NULL) {
        f = describe(record, source, policy, now);
        if (d->no_cache || refused_by_request(&f, record, d, now)) {
            f.action = FRESHNESS_FETCH;
            f.reason = d->no_cache || f.label != SYNC_STALE ? FORWARD_REQUEST : FORWARD_STALE;
            f.serve_on_error = 0;
        } else if (f.action == FRESHNESS_FETCH && f.serve_on_error &&
                   d->max_stale_ms != FRESHNESS_UNSET) {
            f.action = FRESHNESS_SERVE_AND_REFRESH; /* the staleness is welcome: no need to wait */
        }
    }
    if (!d->only_if_cached)
        return f;
    if (record == NULL || d->no_cache || refused_by_request(&f, record, d, now) ||
        (f.label == SYNC_STALE && !f.serve_on_error))
        f.action = FRESHNESS_NOTHING;
    else
        f.action = FRESHNESS_SERVE; /* never upstream, not even behind */
    return f;
}

int64_t freshness_jitter(int64_t ttl_ms, unsigned jitter_percent, uint32_t random)
{
    int64_t span = ttl_ms * (int64_t)jitter_percent / 100;
    return span > 0 ? ttl_ms - (int64_t)(random % (uint64_t)(span + 1)) : ttl_ms;
}
