/* Leases: who gets one, what ends it, what is told of it, and what a disk that refuses or a crash leaves. */
#include "test_control_fixture.h"

/* ---- grants ---- */

static void test_grant_renew_release(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, b = {0};
    struct control_ask ask;
    uint64_t fence;

    get_full(w, &a, "2001", "desk");
    assert_string_equal(w->events, "granted 2001 desk;");
    assert_string_equal(text_of(a.body, "profile"), "FullControl");
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    assert_int_equal(audited(w, "grant"), 1);
    fence = a.fence;

    pass(w, 20000);
    ask = ask_of(&a, "2001", "desk", ROLE_CONTROLLER, a.digest);
    control_attach(w->control, &ask, CONTROL_MONITOR);
    settle(w);
    told(&a, CONTROL_CONFLICT);
    control_attach(w->control, &ask, CONTROL_FULL);
    assert_int_equal(a.answered, 0);
    settle(w);
    told(&a, CONTROL_OK);
    assert_null(json_object_get(a.body, "lease"));
    assert_int_equal(json_integer_value(json_object_get(a.body, "fence")), fence);
    pass(w, 20000);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    assert_int_equal(audited(w, "grant"), 1);

    release(w, &a, "2002");
    settle(w);
    told(&a, CONTROL_LOST);
    release(w, &a, "2001");
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST); /* at once */
    attach(w, &b, "2001", "other", CONTROL_FULL);               /* and free at once */
    settle(w);
    told(&a, CONTROL_OK);
    told(&b, CONTROL_OK);
    assert_true(b.fence > fence);
    assert_string_equal(w->events, "granted 2001 desk;released 2001 desk;granted 2001 other;");
    assert_int_equal(audited(w, "release"), 1);
    assert_int_equal(disk_rows(&w->disk, DURABLE_LEASES), 1);
    asker_release(&a);
    asker_release(&b);
}

static void test_one_that_is_being_written_keeps_others_out(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, b = {0};

    attach(w, &a, "2001", "desk", CONTROL_FULL);
    attach(w, &b, "2001", "other", CONTROL_FULL);
    assert_int_equal(a.answered + b.answered, 0);
    assert_int_equal(check(w, "2001", NULL), CONTROL_HELD);
    json_t *shown = control_describe(w->control, "2001");
    assert_true(json_is_null(shown)); /* not told before it is on the disk */
    json_decref(shown);
    settle(w);
    told(&a, CONTROL_OK);
    told(&b, CONTROL_HELD);
    assert_string_equal(text_of(b.body, "application"), "desk");
    assert_string_equal(text_of(b.body, "profile"), "FullControl");
    assert_int_equal(audited(w, "refuse"), 1);
    asker_release(&a);
    asker_release(&b);
}

static void test_the_disk_refuses_a_grant(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, b = {0};

    attach(w, &a, "2001", "desk", CONTROL_FULL);
    settle_as(w, CG_E_FULL);
    told(&a, CONTROL_STORE);
    assert_null(a.body);
    assert_int_equal(check(w, "2001", NULL), CONTROL_DENIED);
    assert_string_equal(w->events, "");
    get_full(w, &b, "2001", "other");
    assert_true(b.fence >= 2); /* the first one's is not used again */
    asker_release(&a);
    asker_release(&b);
}

static void test_profiles_and_roles(void **state)
{
    static const struct {
        unsigned roles;
        enum control_profile profile;
        enum control_answer answer;
    } rows[] = {
        {ROLE_VIEWER, CONTROL_FULL, CONTROL_DENIED},
        {ROLE_OPERATOR, CONTROL_FULL, CONTROL_DENIED},
        {ROLE_RECORDER, CONTROL_FULL, CONTROL_DENIED},
        {ROLE_SUPERVISOR, CONTROL_FULL, CONTROL_OK},
        {ROLE_VIEWER, CONTROL_MONITOR, CONTROL_OK},
        {ROLE_OPERATOR, CONTROL_MONITOR, CONTROL_OK},
        {ROLE_CAMPAIGNER, CONTROL_MONITOR, CONTROL_DENIED},
        {ROLE_CONTROLLER, CONTROL_RECORDER, CONTROL_DENIED},
        {ROLE_RECORDER, CONTROL_RECORDER, CONTROL_OK},
        {ROLE_RECORDER, CONTROL_RECORDER, CONTROL_OK},
    };
    struct world *w = *state;
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        struct asker a = {0};
        struct control_ask ask = ask_of(&a, "2001", "desk", rows[i].roles, NULL);
        control_attach(w->control, &ask, rows[i].profile);
        settle(w);
        told(&a, rows[i].answer);
        asker_release(&a);
    }
    json_t *all = control_describe_all(w->control, "2001");
    assert_int_equal(json_array_size(json_object_get(all, "instances")), 5);
    assert_true(json_is_integer(json_object_get(all, "fence")));
    json_decref(all);
}

static void test_bounds(void **state)
{
    struct world *w = *state;
    struct asker a = {0};
    char name[CG_ID_BYTES_MAX + 2];
    int i;

    for (i = 0; i < CG_AGENT_INSTANCES_MAX; ++i) {
        attach(w, &a, "2001", "desk", CONTROL_MONITOR);
        settle(w);
        told(&a, CONTROL_OK);
    }
    attach(w, &a, "2001", "desk", CONTROL_FULL);
    settle(w);
    told(&a, CONTROL_CONFLICT);
    assert_true(a.detail[0] != '\0');
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    attach(w, &a, name, "desk", CONTROL_FULL);
    settle(w);
    told(&a, CONTROL_CONFLICT);
    attach(w, &a, "20\xff", "desk", CONTROL_FULL);
    settle(w);
    told(&a, CONTROL_CONFLICT);
    attach(w, &a, "", "desk", CONTROL_FULL);
    settle(w);
    told(&a, CONTROL_CONFLICT);
    asker_release(&a);
}

static void test_verdicts(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, m = {0};
    struct control_verdict verdict;
    uint8_t unknown[CONTROL_DIGEST_BYTES] = {1};
    enum control_profile profile;

    assert_int_equal(check(w, "2001", NULL), CONTROL_DENIED);
    assert_detail(w, "2001", unknown, "no such lease is known");
    attach(w, &m, "2001", "wall", CONTROL_MONITOR);
    settle(w);
    assert_int_equal(check(w, "2001", m.digest), CONTROL_DENIED);
    get_full(w, &a, "2001", "desk");
    control_check(w->control, "2001", a.digest, &verdict);
    assert_int_equal(verdict.answer, CONTROL_OK);
    assert_int_equal(verdict.fence, a.fence);
    assert_int_equal(verdict.valid_until_ms, now_ms + TTL_MS);
    control_check(w->control, "2001", unknown, &verdict);
    assert_int_equal(verdict.answer, CONTROL_HELD);
    assert_string_equal(text_of(verdict.holder, "application"), "desk");
    json_decref(verdict.holder);
    assert_int_equal(check(w, "2001", NULL), CONTROL_HELD);
    assert_int_equal(check(w, "2001", m.digest), CONTROL_HELD);
    assert_detail(w, "2002", a.digest, "the lease is of another agent");
    assert_string_equal(control_agent_of(w->control, a.digest, &profile), "2001");
    assert_int_equal(profile, CONTROL_FULL);
    assert_null(control_agent_of(w->control, unknown, NULL));
    now_ms += TTL_MS; /* no timer has run */
    assert_detail(w, "2001", a.digest, "expired");
    assert_null(control_agent_of(w->control, a.digest, NULL));
    asker_release(&a);
    asker_release(&m);
}

/* ---- time ---- */

static void test_expiry(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, b = {0};

    get_full(w, &a, "2001", "desk");
    unix_ms += 86400000; /* the wall clock is set */
    pass(w, TTL_MS - 1);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    pass(w, 1);
    assert_detail(w, "2001", a.digest, "expired");
    get_full(w, &b, "2001", "other");
    assert_string_equal(w->events, "granted 2001 desk;expired 2001 desk;granted 2001 other;");
    assert_int_equal(audited(w, "expire"), 1);
    assert_detail(w, "2001", a.digest, "expired");
    renew(w, &a);
    settle(w);
    told(&a, CONTROL_LOST);
    assert_string_equal(a.detail, "expired");
    assert_int_equal(audited(w, "renewalFailed"), 1);
    assert_string_equal(audit_last(w, "agent"), "2001");
    asker_release(&a);
    asker_release(&b);
}

static void test_a_renewal_counts_when_it_is_written(void **state)
{
    struct world *w = *state;
    struct asker a = {0};

    get_full(w, &a, "2001", "desk");
    pass(w, TTL_MS - 10);
    renew(w, &a);
    settle_as(w, CG_E_IO);
    told(&a, CONTROL_STORE);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    settle(w);
    renew(w, &a);
    pass(w, 10); /* before the disk has it */
    settle(w);
    told(&a, CONTROL_LOST);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    assert_int_equal(disk_rows(&w->disk, DURABLE_LEASES), 0);
    asker_release(&a);
}

static void test_a_reload_changes_times(void **state)
{
    struct world *w = *state;
    struct asker a = {0};

    get_full(w, &a, "2001", "desk");
    w->config.control.ttl_ms = 1000;
    control_configure(w->control, &w->config);
    pass(w, 5000);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    renew(w, &a);
    settle(w);
    told(&a, CONTROL_OK);
    pass(w, 1000);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    asker_release(&a);
}

/* ---- WebSockets ---- */

static void test_bound_leases_live_on(void **state)
{
    struct world *w = *state;
    struct asker a = {0};
    struct control_stats stats;
    int i;

    get_full(w, &a, "2001", "desk");
    bind_to(w, &a, 7);
    settle(w);
    told(&a, CONTROL_OK);
    assert_string_equal(text_of(a.body, "agent"), "2001");
    assert_true(timer_is_armed(&w->control->renewal));
    for (i = 0; i < 10; ++i) {
        pass(w, TTL_MS / 3);
        renew_bound(w->control);
        assert_non_null(w->disk.first);
        assert_null(w->disk.first->next);
        settle(w);
        assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    }
    assert_int_equal(audited(w, "grant"), json_array_size(w->disk.audit));
    control_client_gone(w->control, 8, 0);
    control_client_gone(w->control, 7, 0);
    settle(w);
    pass(w, GRACE_MS - 1);
    renew_bound(w->control);
    settle(w);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    pass(w, 1);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    settle(w);
    control_get_stats(w->control, &stats);
    assert_int_equal(stats.bound, 0);
    assert_int_equal(stats.leases, 0);
    assert_int_equal(stats.expired, 1);
    asker_release(&a);
}

static void test_what_has_ended_is_not_renewed(void **state)
{
    struct world *w = *state;
    struct asker a = {0};
    int i;

    for (i = 0; i < 2; ++i) {
        get_full(w, &a, "2001", "desk");
        bind_to(w, &a, 7);
        settle(w);
        release(w, &a, "2001");
        if (i == 0)
            control_client_gone(w->control, 7, 0);
        else
            renew_bound(w->control);
        settle(w);
        assert_int_equal(disk_rows(&w->disk, DURABLE_LEASES), 0);
        a.answered = 0;
    }
    asker_release(&a);
}

static void test_grace_counts_over_a_renewal_under_way(void **state)
{
    struct world *w = *state;
    struct asker a = {0};

    get_full(w, &a, "2001", "desk");
    bind_to(w, &a, 7);
    settle(w);
    a.answered = 0;
    renew_bound(w->control);
    control_client_gone(w->control, 7, 0);
    settle(w);
    pass(w, GRACE_MS);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    settle(w);

    get_full(w, &a, "2001", "desk"); /* also when the disk took the one and refused the other */
    bind_to(w, &a, 8);
    settle(w);
    renew_bound(w->control);
    control_client_gone(w->control, 8, 0);
    settle_one(w, CG_OK);
    settle_as(w, CG_E_IO);
    pass(w, GRACE_MS);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    settle(w);
    a.answered = 0;

    get_full(w, &a, "2001", "desk"); /* and one that comes afterwards counts over the grace */
    bind_to(w, &a, 9);
    settle(w);
    control_client_gone(w->control, 9, 0);
    renew(w, &a);
    settle(w);
    pass(w, GRACE_MS);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    asker_release(&a);
}

static void test_grace_that_is_longer_than_what_was_left(void **state)
{
    struct world *w = *state;
    struct asker a = {0};

    get_full(w, &a, "2001", "desk");
    bind_to(w, &a, 7);
    settle(w);
    pass(w, TTL_MS - 1000);
    control_client_gone(w->control, 7, 0);
    settle(w);
    pass(w, GRACE_MS - 1);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    pass(w, 1);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    asker_release(&a);
}

/* What the connection was silent for counts as grace that is over. */
static void test_grace_after_silence(void **state)
{
    struct world *w = *state;
    struct asker a = {0};

    get_full(w, &a, "2001", "desk");
    bind_to(w, &a, 7);
    settle(w);
    control_client_gone(w->control, 7, GRACE_MS - 1000);
    settle(w);
    pass(w, 999);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    pass(w, 1);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    asker_release(&a);

    get_full(w, &a, "2001", "desk");
    bind_to(w, &a, 8);
    settle(w);
    control_client_gone(w->control, 8, 2 * GRACE_MS);
    settle(w);
    pass(w, 0);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    asker_release(&a);
}

static void test_a_binding_moves(void **state)
{
    struct world *w = *state;
    struct asker a = {0};

    get_full(w, &a, "2001", "desk");
    bind_to(w, &a, 0);
    settle(w);
    told(&a, CONTROL_CONFLICT);
    bind_to(w, &a, 7);
    settle(w);
    bind_to(w, &a, 8);
    control_client_gone(w->control, 7, 0); /* while the move is being written */
    settle(w);
    pass(w, GRACE_MS);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    control_client_gone(w->control, 7, 0);
    pass(w, GRACE_MS / 2);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);

    bind_to(w, &a, 9); /* a move that the disk refuses */
    settle_as(w, CG_E_IO);
    control_client_gone(w->control, 9, 0);
    renew_bound(w->control);
    settle(w);
    assert_int_equal(w->control->stats.bound, 1);
    bind_to(w, &a, 10); /* one whose connection has gone before it is written */
    control_client_gone(w->control, 10, 0);
    settle(w);
    assert_int_equal(w->control->stats.bound, 0);
    pass(w, GRACE_MS);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    asker_release(&a);
}

static void test_a_failed_move_leaves_the_grace(void **state)
{
    struct world *w = *state;
    struct asker a = {0};

    get_full(w, &a, "2001", "desk");
    bind_to(w, &a, 7);
    settle(w);
    bind_to(w, &a, 8);
    control_client_gone(w->control, 7, 0);
    settle_one(w, CG_E_IO);
    deliver(w);
    assert_null(w->control->clients);
    settle(w);
    pass(w, GRACE_MS - 1);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    pass(w, 1);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    asker_release(&a);
}

/* ---- ends that the disk refuses ---- */

static void test_a_refused_end_is_undone(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, o = {0};
    struct control_ask ask = operator_ask(&o, "2001");

    get_full(w, &a, "2001", "desk");
    release(w, &a, "2001");
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    settle_as(w, CG_E_IO);
    told(&a, CONTROL_STORE);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    control_reserve(w->control, &ask, "x", NULL);
    settle_as(w, CG_E_IO);
    told(&o, CONTROL_STORE);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    control_transfer(w->control, &ask, "x", NULL);
    settle_as(w, CG_E_IO);
    told(&o, CONTROL_STORE);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    pass(w, TTL_MS);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    asker_release(&a);
    asker_release(&o);
}

static void test_a_refused_end_with_a_successor(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, b = {0};

    get_full(w, &a, "2001", "desk");
    release(w, &a, "2001");
    attach(w, &b, "2001", "other", CONTROL_FULL);
    settle_one(w, CG_E_IO); /* one refused, the next taken: the disk has one lease */
    settle_one(w, CG_OK);
    deliver(w);
    told(&a, CONTROL_STORE);
    told(&b, CONTROL_OK);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    assert_int_equal(check(w, "2001", b.digest), CONTROL_OK);
    assert_true(timer_is_armed(&w->control->retry));
    assert_int_equal(audited(w, "release"), 0);
    end_retry(w->control);
    settle_as(w, CG_E_IO);
    end_retry(w->control);
    settle(w);
    assert_int_equal(audited(w, "release"), 1);
    assert_int_equal(a.answered, 0); /* was told once */
    asker_release(&a);
    asker_release(&b);
}

static void test_a_refused_end_of_one_that_may_not_be(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, o = {0};
    struct control_ask ask = operator_ask(&o, "2001");
    static struct config fresh;

    fresh = w->config;
    get_full(w, &a, "2001", "desk");
    release(w, &a, "2001");
    control_reserve(w->control, &ask, "x", NULL);
    settle_one(w, CG_E_IO);
    settle_one(w, CG_OK);
    deliver(w);
    told(&a, CONTROL_STORE);
    told(&o, CONTROL_OK);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    end_retry(w->control);
    settle(w);

    get_full(w, &a, "2002", "desk");
    release(w, &a, "2002");
    w->reserved[0] = (struct config_reservation){(char *)"2002", (char *)"Agent Desktop"};
    fresh.control.num_reserved = 1;
    control_configure(w->control, &fresh);
    settle_as(w, CG_E_IO);
    assert_int_equal(check(w, "2002", a.digest), CONTROL_LOST);
    end_retry(w->control);
    settle(w);
    assert_int_equal(disk_rows(&w->disk, DURABLE_LEASES), 0);
    asker_release(&a);
    asker_release(&o);
}

/* ---- restarts ---- */

static void test_a_restart_keeps_what_is_left(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, b = {0}, c = {0};
    uint64_t fence;

    get_full(w, &a, "2001", "desk");
    get_full(w, &b, "2002", "desk");
    bind_to(w, &b, 7);
    settle(w);
    pass(w, 20000);
    attach(w, &c, "2003", "desk", CONTROL_FULL); /* never committed */
    fence = b.fence;
    now_ms = 5; /* another boot */
    crash(w);
    c.answered = 0;
    assert_int_equal(check(w, "2001", a.digest), CONTROL_OK);
    assert_int_equal(check(w, "2003", NULL), CONTROL_DENIED);
    assert_int_equal(w->control->stats.bound, 0);
    attach(w, &c, "2001", "other", CONTROL_FULL);
    settle(w);
    told(&c, CONTROL_HELD);
    pass(w, 9999);
    assert_int_equal(check(w, "2002", b.digest), CONTROL_OK);
    pass(w, 1);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    assert_int_equal(check(w, "2002", b.digest), CONTROL_LOST);
    settle(w);
    get_full(w, &c, "2001", "other");
    assert_true(c.fence > fence);

    unix_ms -= 86400000; /* the clock of the machine went back: not more than a time-to-live */
    crash(w);
    pass(w, TTL_MS);
    assert_int_equal(check(w, "2001", c.digest), CONTROL_LOST);
    settle(w);
    get_full(w, &c, "2001", "other");
    unix_ms += TTL_MS; /* while it was down */
    crash(w);
    assert_int_equal(check(w, "2001", c.digest), CONTROL_LOST);
    settle(w);
    assert_string_equal(audit_last(w, "what"), "expire");
    assert_int_equal(disk_rows(&w->disk, DURABLE_LEASES), 0);
    asker_release(&a);
    asker_release(&b);
    asker_release(&c);
}

static void put_row(struct world *w, enum durable_table table, const char *key, size_t key_length,
                    const char *value)
{
    struct durable_batch *batch = durable_batch_new();
    durable_put(batch, table, key, key_length, value, strlen(value));
    durable_submit(&w->disk, batch, NULL, NULL, NULL);
    settle(w);
}

static void test_rows_that_are_not_what_they_should_be(void **state)
{
    static const char *const values[] = {
        "",
        "[]",
        "{",
        "{\"agent\":\"2001\"}",
        "{\"agent\":\"2001\",\"profile\":\"All\",\"application\":\"x\",\"fence\":3,\"since\":1,"
        "\"expires\":9000000000000}",
        "{\"agent\":\"\",\"profile\":\"FullControl\",\"application\":\"x\",\"fence\":3,\"since\":1,"
        "\"expires\":9000000000000}",
        "{\"agent\":\"2009\",\"profile\":\"FullControl\",\"application\":\"x\",\"fence\":-3,"
        "\"since\":1,\"expires\":9000000000000}"};
    struct world *w = *state;
    struct asker a = {0};
    char key[CONTROL_DIGEST_BYTES] = {0};
    size_t i;

    for (i = 0; i < sizeof(values) / sizeof(values[0]); ++i) {
        key[0] = (char)(i + 1);
        put_row(w, DURABLE_LEASES, key, sizeof(key), values[i]);
        put_row(w, DURABLE_RESERVATIONS, key, 1 + i, values[i]);
    }
    put_row(w, DURABLE_LEASES, "short", 5, values[0]);
    put_row(w, DURABLE_STATE, "fence", 5, "{}");
    crash(w);
    assert_null(w->control->leases);
    assert_null(w->control->agents);
    get_full(w, &a, "2001", "desk");
    asker_release(&a);
}

/* ---- what is kept and told ---- */

static void test_secrets_stay_secret(void **state)
{
    struct world *w = *state;
    struct asker a = {0};
    const struct row *row;
    char *secret, *audit;
    json_t *all;

    attach(w, &a, "2001", "desk", CONTROL_FULL);
    settle(w);
    secret = strdup(text_of(a.body, "lease"));
    release(w, &a, "2001");
    settle(w);
    audit = json_dumps(w->disk.audit, 0);
    assert_null(strstr(audit, secret));
    free(audit);
    a.answered = 0;
    get_full(w, &a, "2001", "desk");
    assert_string_not_equal(text_of(a.body, "lease"), secret);
    free(secret);
    secret = strdup(text_of(a.body, "lease"));
    for (row = w->disk.rows; row != NULL; row = row->next)
        assert_null(memmem(row->value, row->length, secret, 43));
    all = control_describe_all(w->control, "2001");
    audit = json_dumps(all, 0);
    assert_null(strstr(audit, secret));
    json_decref(all);
    free(audit);
    free(secret);
    asker_release(&a);
}

static void test_only_so_many_are_remembered(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, first = {0};
    int i;

    get_full(w, &first, "2001", "desk");
    release(w, &first, "2001");
    settle(w);
    assert_detail(w, "2001", first.digest, "released");
    for (i = 0; i < CG_LEASES_REMEMBERED_MAX; ++i) {
        attach(w, &a, "2001", "desk", CONTROL_FULL);
        settle(w);
        release(w, &a, "2001");
        settle(w);
    }
    assert_int_equal(HASH_COUNT(w->control->fates), CG_LEASES_REMEMBERED_MAX);
    assert_detail(w, "2001", first.digest, "no such lease is known");
    assert_detail(w, "2001", a.digest, "released");
    assert_null(w->control->agents);
    asker_release(&a);
    asker_release(&first);
}

static void test_audit_entries(void **state)
{
    struct audit_entry entry = {.what = "command",
                                .application = "desk",
                                .object = "a\nb\xff",
                                .command = "answer",
                                .outcome = "done",
                                .fence = 7};
    json_t *json = audit_entry_json(&entry);

    (void)state;
    assert_string_equal(text_of(json, "what"), "command");
    assert_string_equal(text_of(json, "object"), "ab");
    assert_int_equal(json_integer_value(json_object_get(json, "fence")), 7);
    assert_null(json_object_get(json, "fault"));
    assert_int_equal(strlen(text_of(json, "time")), strlen("2026-01-01T00:00:00.000Z"));
    json_decref(json);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(grant_renew_release),
        TEST(one_that_is_being_written_keeps_others_out),
        TEST(the_disk_refuses_a_grant),
        TEST(profiles_and_roles),
        TEST(bounds),
        TEST(verdicts),
        TEST(expiry),
        TEST(a_renewal_counts_when_it_is_written),
        TEST(a_reload_changes_times),
        TEST(bound_leases_live_on),
        TEST(what_has_ended_is_not_renewed),
        TEST(grace_counts_over_a_renewal_under_way),
        TEST(grace_that_is_longer_than_what_was_left),
        TEST(grace_after_silence),
        TEST(a_binding_moves),
        TEST(a_failed_move_leaves_the_grace),
        TEST(a_refused_end_is_undone),
        TEST(a_refused_end_with_a_successor),
        TEST(a_refused_end_of_one_that_may_not_be),
        TEST(a_restart_keeps_what_is_left),
        TEST(rows_that_are_not_what_they_should_be),
        TEST(secrets_stay_secret),
        TEST(only_so_many_are_remembered),
        TEST(audit_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
