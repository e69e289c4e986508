/* Control at random: many who ask, a disk that lags, refuses and forgets, crashes; and what an asker can know of it holds. */
#include "test_control_fixture.h"

enum { STEPS = 10000, AGENTS = 3, LEASES = 64, APPLICATIONS = 3 };

static const char *const agent_names[AGENTS] = {"2001", "2002", "2003"};
static const char *const application_names[APPLICATIONS] = {"a", "b", "c"};

/* What the reference knows of a lease: only what an asker can know. */
struct known {
    struct asker asker;
    int agent;
    enum control_profile profile;
    int asked, held; /* a grant is under way; it has been granted */
    int maybe; /* whether it is held is not to be known: an end was asked for, or a crash was between */
    int64_t expires_ms;
    struct known_renewal {
        struct asker asker;
        int64_t expires_ms;
        int asked;
    } renewal;
};

struct play {
    struct world *w;
    struct known known[LEASES];
    struct asker operators[AGENTS];
    int operating[AGENTS], claimed[AGENTS];
    unsigned seed;
    int failures; /* of the disk: one in so many; 0: none */
    unsigned grants, refusals, ends, crashes;
};

static unsigned draw(struct play *play, unsigned below)
{
    return (unsigned)rand_r(&play->seed) % below;
}

/* Takes note of what has been answered since. */
static void learn_of(struct play *play, struct known *k)
{
    size_t i;

    if (k->asked && k->asker.answered) {
        k->asked = k->asker.answered = 0;
        k->held = k->asker.answer == CONTROL_OK;
        if (k->held) {
            ++play->grants;
            for (i = 0; k->profile == CONTROL_FULL && i < LEASES; ++i)
                if (&play->known[i] != k && play->known[i].held && !play->known[i].maybe &&
                    play->known[i].profile == CONTROL_FULL && play->known[i].agent == k->agent)
                    assert_true(now_ms >= play->known[i].expires_ms);
        } else {
            ++play->refusals;
        }
    }
    if (k->renewal.asked && k->renewal.asker.answered) {
        k->renewal.asked = k->renewal.asker.answered = 0;
        if (k->renewal.asker.answer == CONTROL_OK && k->renewal.expires_ms > k->expires_ms)
            k->expires_ms = k->renewal.expires_ms;
    }
}

static void assert_as_known(struct play *play)
{
    size_t i;
    int a, holders[AGENTS] = {0};

    for (i = 0; i < LEASES; ++i) {
        struct known *k = &play->known[i];
        int is_ok;
        learn_of(play, k);
        if (!k->held)
            continue;
        is_ok = check(play->w, agent_names[k->agent], k->asker.digest) == CONTROL_OK;
        holders[k->agent] += is_ok;
        if (k->profile != CONTROL_FULL)
            assert_false(is_ok);
        else if (!k->maybe)
            assert_int_equal(is_ok, now_ms < k->expires_ms);
        if (now_ms >= k->expires_ms && !k->maybe && !k->renewal.asked)
            k->held = 0;
    }
    for (a = 0; a < AGENTS; ++a) {
        assert_true(holders[a] <= 1);
        if (play->operators[a].answered) {
            play->operators[a].answered = play->operating[a] = 0;
            ++play->ends;
        }
    }
}

static struct known *any(struct play *play, int held)
{
    struct known *k = &play->known[draw(play, LEASES)];
    return (k->held || k->asked || k->renewal.asked) == held && (!held || k->held) ? k : NULL;
}

static void play_attach(struct play *play)
{
    struct known *k = any(play, 0);
    if (k == NULL)
        return;
    asker_release(&k->asker);
    k->agent = (int)draw(play, AGENTS);
    k->profile = draw(play, 5) == 0 ? CONTROL_MONITOR : CONTROL_FULL;
    k->asked = 1;
    k->maybe = 0;
    k->expires_ms = now_ms + TTL_MS;
    attach(play->w, &k->asker, agent_names[k->agent], application_names[draw(play, APPLICATIONS)],
           k->profile);
}

static void play_renew(struct play *play)
{
    struct known *k = any(play, 1);
    struct control_ask ask;
    if (k == NULL || k->renewal.asked)
        return;
    k->renewal.asked = 1;
    k->renewal.expires_ms = now_ms + TTL_MS;
    ask = ask_of(&k->renewal.asker, NULL, "desk", ROLE_CONTROLLER, k->asker.digest);
    control_renew(play->w->control, &ask);
}

static void forget(struct known *k)
{
    k->maybe = 1;
}

static void play_release(struct play *play)
{
    static struct asker ignored;
    struct known *k = any(play, 1);
    struct control_ask ask;
    if (k == NULL)
        return;
    ask = ask_of(&ignored, agent_names[k->agent], "desk", ROLE_CONTROLLER, k->asker.digest);
    control_release(play->w->control, &ask);
    assert_int_not_equal(check(play->w, agent_names[k->agent], k->asker.digest), CONTROL_OK);
    forget(k);
}

static void play_operator(struct play *play)
{
    int agent = (int)draw(play, AGENTS);
    const char *application = application_names[draw(play, APPLICATIONS)];
    struct control_ask ask = operator_ask(&play->operators[agent], agent_names[agent]);
    size_t i;

    if (play->operating[agent])
        return;
    play->operating[agent] = 1;
    switch (draw(play, 5)) {
    case 0:
        control_transfer(play->w->control, &ask, application, "r");
        break;
    case 1:
        control_reserve(play->w->control, &ask, application, "r");
        break;
    case 2:
    case 3:
        control_unreserve(play->w->control, &ask);
        break;
    default:
        control_force(play->w->control, &ask, "r");
    }
    for (i = 0; i < LEASES; ++i)
        if (play->known[i].agent == agent && play->known[i].held &&
            check(play->w, agent_names[agent], play->known[i].asker.digest) != CONTROL_OK)
            forget(&play->known[i]);
}

static void play_crash(struct play *play)
{
    size_t i;
    int a;

    for (i = 0; i < LEASES; ++i) {
        struct known *k = &play->known[i];
        /* what was under way may be on the disk without its asker having been told */
        if (k->renewal.asked)
            forget(k);
        k->renewal.asked = 0;
        k->asked = 0;
    }
    for (a = 0; a < AGENTS; ++a)
        play->operating[a] = 0;
    crash(play->w);
    ++play->crashes;
    for (i = 0; i < LEASES; ++i)
        if (play->known[i].maybe && play->known[i].held &&
            check(play->w, agent_names[play->known[i].agent], play->known[i].asker.digest) !=
                CONTROL_OK)
            play->known[i].held = 0;
}

static void play_step(struct play *play)
{
    unsigned what = draw(play, 100);

    if (what < 25)
        play_attach(play);
    else if (what < 35)
        play_renew(play);
    else if (what < 41)
        play_release(play);
    else if (what < 46)
        play_operator(play);
    else if (what < 76)
        settle_one(play->w, play->failures != 0 && draw(play, (unsigned)play->failures) == 0
                                ? CG_E_IO
                                : CG_OK);
    else if (what < 90)
        deliver(play->w);
    else if (what < 97)
        pass(play->w, draw(play, TTL_MS / 6));
    else if (what < 99)
        end_retry(play->w->control);
    else if (draw(play, 3) == 0)
        play_crash(play);
}

/* What cannot be known is settled now and then, so that there is room for new ones. */
static void play_forget(struct play *play)
{
    size_t i;
    for (i = 0; i < LEASES; ++i)
        if (play->known[i].maybe &&
            check(play->w, agent_names[play->known[i].agent], play->known[i].asker.digest) !=
                CONTROL_OK &&
            play->w->disk.first == NULL)
            play->known[i].held = 0;
}

static void play_all(struct world *w, unsigned seed, int failures)
{
    struct play *play = calloc(1, sizeof(*play));
    struct control_ask ask;
    int i;

    assert_non_null(play);
    play->w = w;
    play->seed = seed;
    play->failures = failures;
    for (i = 0; i < STEPS; ++i) {
        play_step(play);
        assert_as_known(play);
        play_forget(play);
    }
    assert_true(play->grants > 100 && play->refusals > 100 && play->ends > 50);
    assert_true(play->crashes > 5);
    /* in the end everybody can have what nobody has */
    for (i = 0; i < 10; ++i) {
        settle(w);
        end_retry(w->control);
        pass(w, TTL_MS);
    }
    settle(w);
    for (i = 0; i < AGENTS; ++i) {
        struct asker asker = {0};
        ask = operator_ask(&asker, agent_names[i]);
        control_unreserve(w->control, &ask);
        settle(w);
        asker_release(&asker);
        get_full(w, &asker, agent_names[i], "last");
        asker_release(&asker);
    }
    assert_int_equal(disk_rows(&w->disk, DURABLE_LEASES), AGENTS);
    assert_int_equal(disk_rows(&w->disk, DURABLE_RESERVATIONS), 0);
    for (i = 0; i < LEASES; ++i) {
        asker_release(&play->known[i].asker);
        asker_release(&play->known[i].renewal.asker);
    }
    for (i = 0; i < AGENTS; ++i)
        asker_release(&play->operators[i]);
    free(play);
}

static void test_never_two_holders(void **state)
{
    play_all(*state, 1, 0);
}

static void test_never_two_holders_on_a_bad_disk(void **state)
{
    play_all(*state, 2, 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(never_two_holders),
        TEST(never_two_holders_on_a_bad_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
