/* Signing on: one session per user, a password is verified and never assumed, and a session goes when nobody needs it. */
#include "tests/unit/test_session_fixture.h"

static struct session *of(uint32_t number)
{
    return sessions_find(w.sessions, number);
}

static void test_the_first_sign_on_logs_in(void **state)
{
    (void)state;
    ask(0, 7, "right");
    assert_int_equal(w.asked[0].answered, 0); /* never from within */
    assert_true(answered(0, CG_OK));
    assert_ptr_equal(w.asked[0].session, of(7));
    assert_true(session_is_up(of(7)));
    assert_false(session_is_configured(of(7)));
    assert_int_equal(centre.logins, 1);
    assert_int_equal(centre_sessions(), 1);
    session_detach(of(7));
}

static void test_a_second_one_is_verified_without_asking(void **state)
{
    (void)state;
    ask(0, 7, "right");
    assert_true(answered(0, CG_OK));
    ask(1, 7, "right");
    assert_true(answered(1, CG_OK));
    assert_ptr_equal(w.asked[1].session, w.asked[0].session);
    assert_int_equal(centre.logins, 1);
    session_detach(of(7));
    session_detach(of(7));
}

static void test_a_wrong_password_leaves_nothing(void **state)
{
    (void)state;
    ask(0, 7, "wrong");
    assert_true(answered(0, CG_E_DENIED));
    assert_null(of(7));
    assert_int_equal(centre_sessions(), 0);
    assert_int_equal(w.ups, 0);
}

static void test_a_wrong_password_disturbs_no_live_session(void **state)
{
    (void)state;
    ask(0, 7, "right");
    assert_true(answered(0, CG_OK));
    ask(1, 7, "wrong");
    assert_true(answered(1, CG_E_DENIED));
    assert_null(w.asked[1].session);
    assert_true(session_is_up(of(7)));
    assert_int_equal(centre.logins, 2);
    assert_int_equal(w.downs, 0);
    assert_int_equal(centre_sessions(), 1);
    session_detach(of(7));
}

static void test_a_changed_password_is_verified_upstream(void **state)
{
    (void)state;
    ask(0, 7, "right");
    assert_true(answered(0, CG_OK));
    centre.password = "changed";
    ask(1, 7, "changed");
    assert_true(answered(1, CG_OK));
    assert_int_equal(centre.logins, 2);
    EVENTUALLY(centre_sessions() == 1); /* what only verified is logged off */
    ask(2, 7, "changed");
    assert_true(answered(2, CG_OK));
    assert_int_equal(centre.logins, 2);
    ask(3, 7, "right"); /* it was, once */
    assert_true(answered(3, CG_E_DENIED));
    session_detach(of(7));
    session_detach(of(7));
    session_detach(of(7));
}

static void test_many_at_once_make_one_login(void **state)
{
    size_t i;
    (void)state;
    centre.held = 1;
    for (i = 0; i < 50; ++i)
        ask(i, 7, i % 10 == 9 ? "wrong" : "right");
    turn();
    assert_int_equal(centre.logins, 1);
    assert_int_equal(w.asked[0].answered, 0);
    centre_answer();
    turn();
    for (i = 0; i < 50; ++i)
        assert_int_equal(w.asked[i].answered, i % 10 != 9);
    assert_int_equal(centre.logins,
                     2); /* the second: one login for all of the five that brought another */
    centre_answer();
    for (i = 9; i < 50; i += 10)
        assert_true(answered(i, CG_E_DENIED));
    assert_int_equal(centre.logins, 2);
    for (i = 0; i < 45; ++i)
        session_detach(of(7));
}

static void test_right_ones_do_not_wait_behind_a_wrong_one(void **state)
{
    (void)state;
    ask(0, 7, "right");
    assert_true(answered(0, CG_OK));
    centre.held = 1;
    ask(1, 7, "wrong");
    turn();
    ask(2, 7, "right");
    assert_true(answered(2, CG_OK));
    assert_int_equal(w.asked[1].answered, 0);
    centre_answer();
    assert_true(answered(1, CG_E_DENIED));
    session_detach(of(7));
    session_detach(of(7));
}

static void test_another_domain_is_another_user(void **state)
{
    (void)state;
    ask(0, 7, "right");
    assert_true(answered(0, CG_OK));
    sessions_sign_on(w.sessions, 7, "agent7", "OTHER", "right", on_asked, &w.asked[1]);
    assert_true(answered(1, CG_E_DENIED));
    sessions_sign_on(w.sessions, 7, "agent7", NULL, "right", on_asked, &w.asked[2]);
    assert_true(answered(2, CG_OK));
    assert_int_equal(centre.logins, 1);
    session_detach(of(7));
    session_detach(of(7));
}

static void test_unreachable_is_not_denied(void **state)
{
    (void)state;
    centre.refuses = 1;
    ask(0, 7, "right");
    assert_true(answered(0, CG_E_REFUSED));
    assert_null(of(7));
}

static void test_nobody_left_lingers_and_goes(void **state)
{
    (void)state;
    w.config.session_linger_ms = 30;
    ask(0, 7, "right");
    ask(1, 7, "right");
    assert_true(answered(0, CG_OK) && answered(1, CG_OK));
    session_detach(of(7));
    assert_false(timer_is_armed(&of(7)->linger));
    session_detach(of(7));
    session_attach(of(7)); /* came back */
    assert_false(timer_is_armed(&of(7)->linger));
    session_detach(of(7));
    EVENTUALLY(of(7) == NULL);
    EVENTUALLY(centre_sessions() == 0);
    assert_int_equal(w.removed, 7);
    assert_int_equal(w.downs, 1);
    assert_int_equal(atomic_load(&session_views[7].configured), 0);
}

static void test_a_configured_session_takes_over(void **state)
{
    (void)state;
    w.config.session_linger_ms = 30;
    ask(0, 7, "right");
    assert_true(answered(0, CG_OK));
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    assert_ptr_equal(of(7), w.asked[0].session);
    assert_true(session_is_configured(of(7)));
    session_detach(of(7));
    assert_false(timer_is_armed(&of(7)->linger));
    assert_int_equal(centre.logins, 1);
    assert_int_equal(w.downs, 0);
}

static void test_a_signed_on_session_outlives_its_configuration(void **state)
{
    (void)state;
    w.config.session_linger_ms = 30;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    EVENTUALLY(session_is_up(of(7)));
    ask(0, 7, "right");
    assert_true(answered(0, CG_OK));
    assert_int_equal(centre.logins, 1);
    assert_int_equal(sessions_remove(w.sessions, 7), 0);
    assert_true(session_is_up(of(7)));
    assert_false(session_is_configured(of(7)));
    session_detach(of(7));
    EVENTUALLY(of(7) == NULL && centre_sessions() == 0);
}

static void test_a_session_configured_anew_keeps_its_attachments(void **state)
{
    struct session *old;
    (void)state;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    EVENTUALLY(session_is_up(of(7)));
    ask(0, 7, "right");
    assert_true(answered(0, CG_OK));
    old = of(7);
    centre.password = "rotated";
    assert_int_equal(configure_agent(7, "rotated"), CG_OK);
    assert_ptr_not_equal(of(7), old);
    EVENTUALLY(session_is_up(of(7)) && centre_sessions() == 1);
    assert_int_equal(sessions_remove(w.sessions, 7), 0); /* attached */
    session_detach(old);
    assert_true(timer_is_armed(&of(7)->linger));
}

static void test_a_denied_session_comes_up_by_the_right_password(void **state)
{
    (void)state;
    assert_int_equal(configure_agent(7, "outdated"), CG_OK);
    EVENTUALLY(of(7)->state == SESSION_DENIED);
    ask(0, 7, "outdated");
    assert_true(answered(0, CG_E_DENIED));
    ask(1, 7, "right");
    assert_true(answered(1, CG_OK));
    assert_true(session_is_up(of(7)));
    assert_int_equal(centre_sessions(), 1);
    session_detach(of(7));
}

static void test_waits_for_the_login_under_way(void **state)
{
    (void)state;
    centre.held = 1;
    assert_int_equal(configure_agent(7, "right"), CG_OK);
    ask(0, 7, "right");
    ask(1, 7, "wrong");
    turn();
    assert_int_equal(centre.logins, 1);
    centre_answer();
    turn();
    centre.held = 0;
    centre_answer();
    assert_true(answered(0, CG_OK));
    assert_true(answered(1, CG_E_DENIED));
    EVENTUALLY(centre_sessions() == 1);
    session_detach(of(7));
}

static void test_the_pace_holds_for_all(void **state)
{
    size_t i;
    (void)state;
    w.config.upstream.logins_per_second = 20;
    assert_int_equal(configure_agent(1, "right"), CG_OK);
    ask(0, 1, "wrong");
    for (i = 1; i < 45; ++i)
        ask(i, (uint32_t)i + 1, i % 2 == 0 ? "right" : "wrong");
    for (i = 0; i < 45; ++i)
        EVENTUALLY(w.asked[i].answered);
    assert_int_equal(centre.logins, 46);
    for (i = 20; i < 46; ++i)
        assert_true(centre.login_ms[i] - centre.login_ms[i - 20] >= 1000);
    for (i = 2; i < 45; i += 2)
        session_detach(w.asked[i].session);
}

static int ended;
static void on_ended(void *data)
{
    (void)data;
    ended = 1;
}

static void test_the_end_waits_for_what_is_under_way(void **state)
{
    (void)state;
    ended = 0;
    ask(0, 7, "right");
    assert_true(answered(0, CG_OK));
    centre.held = 1;
    ask(1, 7, "other");
    ask(2, 8, "right");
    EVENTUALLY(centre.logins == 3);
    sessions_log_off(w.sessions, 10000, on_ended, NULL);
    turn();
    assert_int_equal(ended, 0);
    centre.held = 0;
    centre_answer();
    EVENTUALLY(ended);
    assert_int_equal(centre_sessions(), 0); /* the login that was under way, too */
    assert_true(answered(1, CG_E_DENIED));
    assert_true(answered(2, CG_E_SHUTDOWN));
    session_detach(w.asked[0].session);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_sign_on_logs_in),
        TEST(test_a_second_one_is_verified_without_asking),
        TEST(test_a_wrong_password_leaves_nothing),
        TEST(test_a_wrong_password_disturbs_no_live_session),
        TEST(test_a_changed_password_is_verified_upstream),
        TEST(test_many_at_once_make_one_login),
        TEST(test_right_ones_do_not_wait_behind_a_wrong_one),
        TEST(test_another_domain_is_another_user),
        TEST(test_unreachable_is_not_denied),
        TEST(test_nobody_left_lingers_and_goes),
        TEST(test_a_configured_session_takes_over),
        TEST(test_a_signed_on_session_outlives_its_configuration),
        TEST(test_a_session_configured_anew_keeps_its_attachments),
        TEST(test_a_denied_session_comes_up_by_the_right_password),
        TEST(test_waits_for_the_login_under_way),
        TEST(test_the_pace_holds_for_all),
        TEST(test_the_end_waits_for_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, load_contract, unload_contract);
}
