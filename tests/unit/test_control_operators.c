/* What operators do to leases: force, transfer, reservation, also by the configuration. */
#include "test_control_fixture.h"

static void test_force_tells_why(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, o = {0};
    struct control_ask ask = operator_ask(&o, "2001"),
                       viewer = ask_of(&o, "2001", "desk", ROLE_CONTROLLER, NULL);
    char reason[1000];
    size_t i;

    control_force(w->control, &viewer, "mine");
    settle(w);
    told(&o, CONTROL_DENIED);
    control_force(w->control, &ask, "x");
    settle(w);
    told(&o, CONTROL_CONFLICT);
    get_full(w, &a, "2001", "desk");
    bind_to(w, &a, 7);
    settle(w);
    control_force(w->control, &ask, "end of\r\n shift\x1b[31m \xc3\xbc\xff");
    assert_detail(w, "2001", a.digest,
                  "released by an operator (application `ops`): end of shift[31m \xc3\xbc");
    settle(w);
    told(&o, CONTROL_OK);
    assert_detail(w, "2001", a.digest,
                  "released by an operator (application `ops`): end of shift[31m \xc3\xbc");
    assert_string_equal(w->last_reason, "end of shift[31m \xc3\xbc");
    assert_int_equal(w->last_client, 7);
    assert_string_equal(audit_last(w, "what"), "force");
    assert_string_equal(audit_last(w, "by"), "ops");
    assert_string_equal(audit_last(w, "application"), "desk");
    a.answered = 0;
    release(w, &a, "2001");
    settle(w);
    told(&a, CONTROL_LOST);
    assert_non_null(strstr(a.detail, "end of shift"));

    for (i = 0; i < sizeof(reason) - 2; i += 2)
        memcpy(reason + i, "\xc3\xa4", 2);
    reason[i] = '\0';
    get_full(w, &a, "2001", "desk");
    control_force(w->control, &ask, reason + 1); /* begins and is cut within a character */
    settle(w);
    assert_true(strlen(w->last_reason) <= CG_CONTROL_REASON_BYTES);
    assert_true(text_is_name(w->last_reason, 1000));
    asker_release(&a);
    asker_release(&o);
}

static void test_force_on_one_that_is_being_written(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, o = {0};
    struct control_ask ask = operator_ask(&o, "2001");

    attach(w, &a, "2001", "desk", CONTROL_FULL);
    control_force(w->control, &ask, NULL);
    settle(w);
    told(&a, CONTROL_LOST);
    told(&o, CONTROL_OK);
    assert_string_equal(w->events, "granted 2001 desk;forced 2001 desk;");
    attach(w, &a, "2001", "desk", CONTROL_FULL);
    control_force(w->control, &ask, NULL);
    settle_as(w, CG_E_IO);
    end_retry(w->control);
    settle(w);
    assert_int_equal(check(w, "2001", NULL), CONTROL_DENIED);
    assert_int_equal(disk_rows(&w->disk, DURABLE_LEASES), 0);
    asker_release(&a);
    asker_release(&o);
}

static void test_transfer(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, b = {0}, c = {0}, o = {0};
    struct control_ask ask = operator_ask(&o, "2001");

    get_full(w, &a, "2001", "desk");
    control_transfer(w->control, &ask, "crm", "hand over");
    assert_detail(w, "2001", a.digest,
                  "transferred to `crm` by an operator (application `ops`): hand over");
    attach(w, &b, "2001", "desk", CONTROL_FULL); /* nobody, as long as it is being written */
    attach(w, &c, "2001", "crm", CONTROL_FULL);
    settle(w);
    told(&o, CONTROL_OK);
    told(&b, CONTROL_HELD);
    told(&c, CONTROL_HELD);
    asker_release(&c);
    assert_string_equal(text_of(o.body, "application"), "crm");
    assert_string_equal(text_of(b.body, "application"), "crm");
    assert_string_equal(w->last_to, "crm");
    assert_string_equal(w->events, "granted 2001 desk;transferred 2001 desk;");
    assert_int_equal(disk_rows(&w->disk, DURABLE_LEASES), 0);

    pass(w, 10000);
    crash(w); /* keeps it, and what was left of its time */
    attach(w, &b, "2001", "desk", CONTROL_FULL);
    settle(w);
    told(&b, CONTROL_HELD);
    attach(w, &b, "2001", "crm", CONTROL_FULL);
    settle_as(w, CG_E_IO);
    told(&b, CONTROL_STORE);
    attach(w, &a, "2001", "desk", CONTROL_FULL);
    settle(w);
    assert_int_equal(a.answer, CONTROL_HELD);
    get_full(w, &b, "2001", "crm");
    assert_int_equal(disk_rows(&w->disk, DURABLE_RESERVATIONS), 0);
    assert_int_equal(check(w, "2001", b.digest), CONTROL_OK);
    asker_release(&a);
    asker_release(&b);
    asker_release(&o);
}

static void test_a_transfer_lapses(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, o = {0};
    struct control_ask ask = operator_ask(&o, "2001");

    control_transfer(w->control, &ask, "crm", NULL);
    settle(w);
    told(&o, CONTROL_OK);
    assert_string_equal(w->events, "transferred 2001 -;");
    pass(w, 10000);
    crash(w);
    assert_int_equal(check(w, "2001", NULL), CONTROL_HELD);
    pass(w, TTL_MS - 10000);
    assert_int_equal(check(w, "2001", NULL), CONTROL_DENIED);
    settle(w);
    assert_int_equal(disk_rows(&w->disk, DURABLE_RESERVATIONS), 0);
    assert_int_equal(audited(w, "expire"), 1);
    get_full(w, &a, "2001", "desk");
    control_transfer(w->control, &ask, "crm\n", NULL);
    settle(w);
    told(&o, CONTROL_CONFLICT);
    asker_release(&a);
    asker_release(&o);
}

static void test_reservation(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, m = {0}, o = {0};
    struct control_ask ask = operator_ask(&o, "2001");

    control_unreserve(w->control, &ask);
    settle(w);
    told(&o, CONTROL_CONFLICT);
    get_full(w, &a, "2001", "desk");
    control_reserve(w->control, &ask, "Agent Desktop", NULL);
    settle(w);
    told(&o, CONTROL_OK);
    assert_string_equal(w->events, "granted 2001 desk;reserved 2001 Agent Desktop;");
    assert_detail(w, "2001", a.digest,
                  "reserved for `Agent Desktop` by an operator (application `ops`)");
    pass(w, 10 * TTL_MS);
    crash(w);
    attach(w, &a, "2001", "Agent Desktop", CONTROL_FULL);
    settle(w);
    told(&a, CONTROL_HELD);
    assert_true(json_is_true(json_object_get(a.body, "reserved")));
    attach(w, &m, "2001", "wall", CONTROL_MONITOR);
    control_transfer(w->control, &ask, "crm", NULL);
    settle(w);
    told(&m, CONTROL_OK);
    told(&o, CONTROL_CONFLICT);
    control_unreserve(w->control, &ask);
    assert_int_equal(check(w, "2001", NULL), CONTROL_HELD);
    settle_as(w, CG_E_IO);
    told(&o, CONTROL_STORE);
    assert_int_equal(check(w, "2001", NULL), CONTROL_HELD);
    control_unreserve(w->control, &ask);
    settle(w);
    told(&o, CONTROL_OK);
    assert_string_equal(audit_last(w, "what"), "unreserve");
    get_full(w, &a, "2001", "desk");
    asker_release(&a);
    asker_release(&m);
    asker_release(&o);
}

static void test_reserved_by_the_configuration(void **state)
{
    struct world *w = *state;
    struct asker a = {0}, o = {0};
    struct control_ask ask = operator_ask(&o, "2001");
    static struct config fresh, none;

    fresh = none = w->config;
    get_full(w, &a, "2001", "desk");
    w->reserved[0] = (struct config_reservation){(char *)"2001", (char *)"Agent Desktop"};
    fresh.control.num_reserved = 1;
    w->changes[0] = '\0';
    control_configure(w->control, &fresh);
    assert_detail(w, "2001", a.digest, "reserved for `Agent Desktop`");
    assert_string_equal(w->changes, "2001;");
    settle(w);
    assert_string_equal(w->events, "granted 2001 desk;reserved 2001 Agent Desktop;");
    control_reserve(w->control, &ask, "x", NULL);
    settle(w);
    told(&o, CONTROL_CONFLICT);
    control_unreserve(w->control, &ask);
    settle(w);
    told(&o, CONTROL_CONFLICT);
    attach(w, &a, "2001", "desk", CONTROL_FULL);
    settle(w);
    told(&a, CONTROL_HELD);
    json_t *all = control_describe_all(w->control, "2001");
    assert_true(json_is_true(json_object_get(json_object_get(all, "reservation"), "configured")));
    json_decref(all);
    control_configure(w->control, &none);
    get_full(w, &a, "2001", "desk");
    w->config = fresh; /* a start with it */
    crash(w);
    assert_int_equal(check(w, "2001", a.digest), CONTROL_LOST);
    settle(w);
    assert_int_equal(disk_rows(&w->disk, DURABLE_LEASES), 0);
    asker_release(&a);
    asker_release(&o);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(force_tells_why), TEST(force_on_one_that_is_being_written),
        TEST(transfer),        TEST(a_transfer_lapses),
        TEST(reservation),     TEST(reserved_by_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
