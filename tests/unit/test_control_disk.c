/* Control on a real disk, a real loop and real clocks: a WebSocket's lease lives on and ends, and kill -9 loses nothing that was told. */
#include "test_store_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <openssl/sha.h>

#include "cctgate/control.h"

#define PATIENCE_MS 120000

struct test {
    struct fixture *f;
    struct durable *durable;
    struct control *control;
    struct loop loop;
    struct timer patience;
    struct config config;
    int expired;
    uint64_t renewed_until;
};

static void on_patience(struct timer *timer)
{
    (void)timer;
    fail_msg("nothing happened");
}

static void on_event(void *data, const struct control_event *event)
{
    struct test *t = data;
    if (event->act == CONTROL_EXPIRED) {
        t->expired = 1;
        loop_stop(&t->loop);
    }
}

static void on_change(void *data, const char *agent)
{
    struct test *t = data;
    struct control_stats stats;
    (void)agent;
    control_get_stats(t->control, &stats);
    if (t->renewed_until != 0 && stats.renewed >= t->renewed_until)
        loop_stop(&t->loop);
}

static void start(struct test *t)
{
    static const struct durable_settings settings = {.max_audit_entries = 100000};
    struct control_settings about = {.loop = &t->loop,
                                     .config = &t->config,
                                     .on_event = on_event,
                                     .on_change = on_change,
                                     .data = t};
    char error[CG_ERROR_TEXT_MAX];

    if (fixture_open(t->f) != CG_OK || t->f->opened.durable_set_aside ||
        durable_start(&t->durable, t->f->store, &settings, error, sizeof(error)) != CG_OK ||
        loop_init(&t->loop) != CG_OK)
        abort();
    about.durable = t->durable;
    if (control_new(&t->control, &about) != CG_OK)
        abort();
}

static void stop(struct test *t)
{
    control_free(&t->control);
    durable_stop(&t->durable);
    mailbox_deliver(&t->loop.mailbox);
    loop_release(&t->loop);
    store_close(&t->f->store);
}

static int setup(void **state)
{
    struct test *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    fixture_setup((void **)&t->f);
    t->f->settings.cache_map_bytes = 2 * MIB;
    t->f->settings.durable_map_bytes = 16 * MIB;
    t->config.references = 1000; /* never freed */
    t->config.control.ttl_ms = 3600000;
    t->patience.on_due = on_patience;
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct test *t = *state;
    fixture_teardown((void **)&t->f);
    free(t);
    return 0;
}

static void run(struct test *t)
{
    timer_arm(&t->loop, &t->patience, PATIENCE_MS);
    t->loop.stopping = 0;
    loop_run(&t->loop);
    timer_disarm(&t->loop, &t->patience);
}

struct told {
    uint64_t fence;
    unsigned agent;
    int released; /* its end has been asked for */
    uint8_t digest[CONTROL_DIGEST_BYTES];
};

static struct told granted;

static void on_granted(void *data, const struct control_outcome *outcome)
{
    struct test *t = data;
    const char *secret = json_string_value(json_object_get(outcome->body, "lease"));

    if (outcome->answer != CONTROL_OK || secret == NULL)
        abort();
    SHA256((const unsigned char *)secret, strlen(secret), granted.digest);
    granted.fence = (uint64_t)json_integer_value(json_object_get(outcome->body, "fence"));
    loop_stop(&t->loop);
}

static void on_done(void *data, const struct control_outcome *outcome)
{
    struct test *t = data;
    if (outcome->answer != CONTROL_OK)
        abort();
    loop_stop(&t->loop);
}

static void get_full(struct test *t, unsigned agent)
{
    char name[16];
    struct control_ask ask = {
        .agent = name, .actor = {"desk", ROLE_CONTROLLER, "http"}, .done = on_granted, .data = t};
    snprintf(name, sizeof(name), "%u", agent);
    granted = (struct told){.agent = agent};
    control_attach(t->control, &ask, CONTROL_FULL);
    run(t);
}

static void release(struct test *t, const struct told *told)
{
    char name[16];
    struct control_ask ask = {.agent = name,
                              .actor = {"desk", ROLE_CONTROLLER, "http"},
                              .lease = told->digest,
                              .done = on_done,
                              .data = t};
    snprintf(name, sizeof(name), "%u", told->agent);
    control_release(t->control, &ask);
    run(t);
}

/* ---- a WebSocket ---- */

static void test_a_bound_lease(void **state)
{
    struct test *t = *state;
    struct control_ask ask = {.actor = {"desk", ROLE_CONTROLLER, "websocket"},
                              .lease = granted.digest,
                              .client = 7,
                              .done = on_done,
                              .data = t};

    t->config.control.ttl_ms = 6000;
    t->config.control.grace_ms = 20;
    start(t);
    get_full(t, 2001);
    control_bind(t->control, &ask);
    run(t);
    t->renewed_until = 2; /* the bind itself, and the timer */
    run(t);
    t->renewed_until = 0;
    assert_non_null(control_agent_of(t->control, granted.digest, NULL));
    assert_false(t->expired);
    control_client_gone(t->control, 7, 0);
    run(t);
    assert_true(t->expired);
    assert_null(control_agent_of(t->control, granted.digest, NULL));
    stop(t);
}

/* ---- kill -9 ---- */

enum { ROUNDS = 15, AGENTS = 40 };

static void tell(int pipe_end, const struct told *told)
{
    if (write(pipe_end, told, sizeof(*told)) != sizeof(*told))
        _exit(4);
}

/* Each agent's lease is released some time, and had anew. */
static _Noreturn void child_attaches(struct test *t, int pipe_end, unsigned first)
{
    struct told mine[AGENTS];
    unsigned i;

    memset(mine, 0, sizeof(mine));
    start(t);
    for (i = 0;; i = (i + 7) % AGENTS) {
        if (mine[i].fence != 0) {
            mine[i].released = 1;
            tell(pipe_end, &mine[i]);
            release(t, &mine[i]);
        }
        get_full(t, first + i);
        mine[i] = granted;
        tell(pipe_end, &granted);
    }
}

/* Returns the greatest fence that anybody was told. */
static uint64_t learn(int pipe_end, struct told held[AGENTS], uint64_t last)
{
    struct told told;

    while (read(pipe_end, &told, sizeof(told)) == sizeof(told)) {
        if (!told.released) {
            assert_true(told.fence > last);
            last = told.fence;
        }
        held[told.agent % AGENTS] = told;
    }
    return last;
}

/* What was told is there; what was being released may be. */
static uint64_t compare(struct test *t, const struct told held[AGENTS], uint64_t last)
{
    unsigned i;

    start(t);
    for (i = 0; i < AGENTS; ++i)
        if (held[i].fence != 0 && !held[i].released)
            assert_non_null(control_agent_of(t->control, held[i].digest, NULL));
    get_full(t, 1000000 + (unsigned)last); /* an agent of its own */
    assert_true(granted.fence > last);
    last = granted.fence;
    stop(t);
    return last;
}

static void test_kill(void **state)
{
    struct test *t = *state;
    uint64_t last = 0;
    unsigned round, seed = (unsigned)time(NULL);

    print_message("seed %u\n", seed);
    for (round = 0; round < ROUNDS; ++round) {
        struct timespec wait = {.tv_nsec = (long)(rand_r(&seed) % 40) * 1000000};
        struct told held[AGENTS], first;
        int ends[2], status;
        pid_t child;

        memset(held, 0, sizeof(held));
        assert_int_equal(pipe(ends), 0);
        assert_true((child = fork()) >= 0);
        if (child == 0) {
            close(ends[0]);
            child_attaches(t, ends[1], round * AGENTS);
        }
        close(ends[1]);
        if (round % 3 != 0) { /* the others may be killed while they start */
            assert_int_equal(read(ends[0], &first, sizeof(first)), sizeof(first));
            assert_true(first.fence > last);
            last = first.fence;
            held[first.agent % AGENTS] = first;
        }
        nanosleep(&wait, NULL); /* where the kill falls matters, not when */
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        last = learn(ends[0], held, last);
        close(ends[0]);
        last = compare(t, held, last);
    }
    assert_true(last > ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_bound_lease, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
