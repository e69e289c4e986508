/* The freshness core: every row of the table in freshness.h, and Cache-Control as clients send it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cctgate/freshness.h"

#define NOW INT64_C(1000000000)

static const struct freshness_policy policy = {30000, 3600000};

struct row {
    const char *name;
    int64_t fetched_ago, expires_in; /* relative to NOW */
    int64_t healthy_ago, lost_ago;   /* healthy_ago 0: lost */
    const char *cache_control;
    enum freshness_action action;
    enum sync_label label;
    int64_t stale_ago;
    int serve_on_error;
};

static const struct row rows[] = {
    {"fresh", 1000, 5000, 9000, 9500, "", FRESHNESS_SERVE, SYNC_CACHED, 0, 0},
    {"just expired", 9000, 0, 9500, 9900, "", FRESHNESS_SERVE_AND_REFRESH, SYNC_STALE, 0, 1},
    {"expired within stale-while-revalidate", 80000, -30000, 90000, 99000, "",
     FRESHNESS_SERVE_AND_REFRESH, SYNC_STALE, 30000, 1},
    {"expired beyond it", 90000, -30001, 99000, 99900, "", FRESHNESS_FETCH, SYNC_STALE, 30001, 1},
    {"older than stale-if-error", 9000000, -3600001, 9900000, 9990000, "", FRESHNESS_FETCH,
     SYNC_STALE, 3600001, 0},
    {"read before the session came back", 9000, 5000, 100, 4000, "", FRESHNESS_SERVE_AND_REFRESH,
     SYNC_STALE, 4000, 1},
    {"the same, expired before it was lost", 9000, -6000, 100, 4000, "",
     FRESHNESS_SERVE_AND_REFRESH, SYNC_STALE, 6000, 1},
    {"lost, inside its time-to-live", 9000, 5000, 0, 4000, "", FRESHNESS_SERVE, SYNC_STALE, 4000,
     1},
    {"lost, expired since", 9000, -1000, 0, 4000, "", FRESHNESS_SERVE, SYNC_STALE, 4000, 1},
    {"lost too long ago", 9000000, 5000, 0, 3600001, "", FRESHNESS_FETCH, SYNC_STALE, 3600001, 0},
    {"stale since no earlier than it was read", 1000, 5000, 0, 4000, "", FRESHNESS_SERVE,
     SYNC_STALE, 1000, 1},
    {"no-cache", 1000, 5000, 9000, 9500, "no-cache", FRESHNESS_FETCH, SYNC_CACHED, 0, 0},
    {"no-cache while lost", 9000, 5000, 0, 4000, "no-cache", FRESHNESS_FETCH, SYNC_STALE, 4000, 0},
    {"max-age not reached", 1000, 5000, 9000, 9500, "max-age=2", FRESHNESS_SERVE, SYNC_CACHED, 0,
     0},
    {"max-age passed", 3000, 5000, 9000, 9500, "max-age=2", FRESHNESS_FETCH, SYNC_CACHED, 0, 0},
    {"max-age=0", 1, 5000, 9000, 9500, "max-age=0", FRESHNESS_FETCH, SYNC_CACHED, 0, 0},
    {"min-fresh", 1000, 5000, 9000, 9500, "min-fresh=6", FRESHNESS_FETCH, SYNC_CACHED, 0, 0},
    {"max-stale allows", 80000, -20000, 90000, 99000, "max-stale=30", FRESHNESS_SERVE_AND_REFRESH,
     SYNC_STALE, 20000, 1},
    {"max-stale forbids", 80000, -20000, 90000, 99000, "max-stale=10", FRESHNESS_FETCH, SYNC_STALE,
     20000, 0},
    {"max-stale without a number spares the wait", 90000, -60000, 99000, 99900, "max-stale",
     FRESHNESS_SERVE_AND_REFRESH, SYNC_STALE, 60000, 1},
    {"only-if-cached, fresh", 1000, 5000, 9000, 9500, "only-if-cached", FRESHNESS_SERVE,
     SYNC_CACHED, 0, 0},
    {"only-if-cached, stale: nothing goes upstream", 9000, -1, 9500, 9900, "only-if-cached",
     FRESHNESS_SERVE, SYNC_STALE, 1, 1},
    {"only-if-cached, staler than wanted", 80000, -20000, 90000, 99000,
     "only-if-cached, max-stale=10", FRESHNESS_NOTHING, SYNC_STALE, 20000, 0},
    {"only-if-cached, too stale for anybody", 9000000, -3600001, 9900000, 9990000, "only-if-cached",
     FRESHNESS_NOTHING, SYNC_STALE, 3600001, 0},
    {"only-if-cached with no-cache", 1000, 5000, 9000, 9500, "only-if-cached, no-cache",
     FRESHNESS_NOTHING, SYNC_CACHED, 0, 0},
};

static struct freshness decide(const struct row *row)
{
    struct freshness_record record = {NOW - row->fetched_ago, NOW + row->expires_in, 0, 0};
    struct freshness_source source = {row->healthy_ago ? NOW - row->healthy_ago : 0,
                                      NOW - row->lost_ago, 0};
    struct freshness_directives directives;

    freshness_directives_init(&directives);
    freshness_parse(&directives, row->cache_control, strlen(row->cache_control));
    return freshness_decide(&record, &source, &policy, &directives, NOW);
}

static void test_table(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        struct freshness f = decide(&rows[i]);
        print_message("%s\n", rows[i].name);
        assert_int_equal(f.action, rows[i].action);
        assert_int_equal(f.label, rows[i].label);
        assert_int_equal(f.serve_on_error, rows[i].serve_on_error);
        if (f.label == SYNC_STALE)
            assert_int_equal(f.stale_since_ms, NOW - rows[i].stale_ago);
        else
            assert_int_equal(f.ttl_ms, rows[i].expires_in);
    }
}

static void test_stale_ttl_is_negative(void **state)
{
    static const struct row lost = {"lost", 9000, 5000, 0, 4000, "", 0, 0, 0, 0};
    (void)state;
    assert_int_equal(decide(&lost).ttl_ms, -4000);
}

/* What a subscription keeps: record covered by `covered` of an active `live`, `dirty` or not. */
static const struct live_row {
    const char *name;
    uint64_t covered, live;
    int dirty, healthy, expired;
    const char *cache_control;
    enum freshness_action action;
    enum sync_label label;
} live_rows[] = {
    {"live", 7, 7, 0, 1, 0, "", FRESHNESS_SERVE, SYNC_LIVE},
    {"live past its time-to-live", 7, 7, 0, 1, 1, "", FRESHNESS_SERVE, SYNC_LIVE},
    {"live, max-age=0", 7, 7, 0, 1, 1, "max-age=0", FRESHNESS_SERVE, SYNC_LIVE},
    {"live, no-cache", 7, 7, 0, 1, 0, "no-cache", FRESHNESS_FETCH, SYNC_LIVE},
    {"live, only-if-cached", 7, 7, 0, 1, 1, "only-if-cached", FRESHNESS_SERVE, SYNC_LIVE},
    {"an earlier subscription's", 6, 7, 0, 1, 0, "", FRESHNESS_SERVE, SYNC_CACHED},
    {"no subscription is in step", 7, 0, 0, 1, 0, "", FRESHNESS_SERVE, SYNC_CACHED},
    {"covered by none", 0, 0, 0, 1, 0, "", FRESHNESS_SERVE, SYNC_CACHED},
    {"dirty", 7, 7, 1, 1, 0, "", FRESHNESS_FETCH, SYNC_CACHED},
    {"dirty and past its time", 7, 7, 1, 1, 1, "", FRESHNESS_FETCH, SYNC_STALE},
    {"the session is lost", 7, 7, 0, 0, 0, "", FRESHNESS_SERVE, SYNC_STALE},
};

static void test_live(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < sizeof(live_rows) / sizeof(live_rows[0]); ++i) {
        const struct live_row *row = &live_rows[i];
        struct freshness_record record = {NOW - 1000, row->expired ? NOW - 10 : NOW + 5000,
                                          row->covered, row->dirty};
        struct freshness_source source = {row->healthy ? NOW - 2000 : 0, NOW - 500, row->live};
        struct freshness_directives directives;
        struct freshness f;
        print_message("%s\n", row->name);
        freshness_directives_init(&directives);
        freshness_parse(&directives, row->cache_control, strlen(row->cache_control));
        f = freshness_decide(&record, &source, &policy, &directives, NOW);
        assert_int_equal(f.action, row->action);
        assert_int_equal(f.label, row->label);
    }
}

static void test_nothing_stored(void **state)
{
    struct freshness_source source = {NOW - 1, NOW - 2, 0};
    struct freshness_directives directives;
    struct freshness f;

    (void)state;
    freshness_directives_init(&directives);
    f = freshness_decide(NULL, &source, &policy, &directives, NOW);
    assert_int_equal(f.action, FRESHNESS_FETCH);
    assert_int_equal(f.reason, FORWARD_MISS);
    directives.only_if_cached = 1;
    f = freshness_decide(NULL, &source, &policy, &directives, NOW);
    assert_int_equal(f.action, FRESHNESS_NOTHING);
}

static void test_never_live(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i)
        assert_int_not_equal(decide(&rows[i]).label, SYNC_LIVE);
}

static void parse(const char *text, struct freshness_directives *d)
{
    freshness_directives_init(d);
    freshness_parse(d, text, strlen(text));
}

static void test_parse(void **state)
{
    struct freshness_directives d;

    (void)state;
    parse("", &d);
    assert_false(d.no_cache || d.only_if_cached);
    assert_int_equal(d.max_age_ms, FRESHNESS_UNSET);
    parse(" No-Cache ,\tmax-age=\"12\",, foo=bar, MAX-STALE", &d);
    assert_true(d.no_cache);
    assert_int_equal(d.max_age_ms, 12000);
    assert_true(d.max_stale_ms == INT64_MAX);
    parse("max-age=99999999999999999999999999", &d);
    assert_true(d.max_age_ms > INT64_C(2147483648) * 1000 - 1);
    parse("max-age=-1", &d);
    assert_int_equal(d.max_age_ms, 0);
    parse("no-cachet, xno-cache, only-if-cache", &d);
    assert_false(d.no_cache || d.only_if_cached);
}

static void test_jitter(void **state)
{
    uint32_t random;
    int seen_less = 0;
    (void)state;
    assert_int_equal(freshness_jitter(1000, 0, 12345), 1000);
    assert_int_equal(freshness_jitter(0, 10, 12345), 0);
    for (random = 0; random < 1000; ++random) {
        int64_t ttl = freshness_jitter(1000, 10, random * 2654435761u);
        assert_in_range(ttl, 900, 1000);
        seen_less |= ttl < 1000;
    }
    assert_true(seen_less);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),      cmocka_unit_test(test_stale_ttl_is_negative),
        cmocka_unit_test(test_live),       cmocka_unit_test(test_nothing_stored),
        cmocka_unit_test(test_never_live), cmocka_unit_test(test_parse),
        cmocka_unit_test(test_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
