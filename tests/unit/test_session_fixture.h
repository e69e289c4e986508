/*
 * The session manager with a contact centre of its own in place of the transport: it takes logins, knows who is logged in, and answers
 * at once or when the test says so. The loop turns on the test's thread.
 */
#ifndef CCTGATE_TEST_SESSION_FIXTURE_H
#define CCTGATE_TEST_SESSION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/xml.h"
#include "gateway/upstream/session_private.h"

#define BOUND_MS    20000
#define TOKENS_MAX  4096
#define PENDING_MAX 4096

/* ---- the contact centre ---- */

struct centre {
    const char *password; /* every user's */
    int held;             /* answers wait for centre_answer */
    int refuses;          /* connections */
    struct upstream_call *pending[PENDING_MAX];
    size_t num_pending;
    char tokens[TOKENS_MAX][32]; /* "": logged off */
    size_t num_tokens;
    size_t logins, logoffs, heartbeats;
    int64_t login_ms[TOKENS_MAX];
};
static struct centre centre;

static size_t centre_sessions(void)
{
    size_t i, n = 0;
    for (i = 0; i < centre.num_tokens; ++i)
        n += centre.tokens[i][0] != '\0';
    return n;
}

static char *text_of(const char *envelope, const char *element)
{
    char mark[64];
    const char *at, *end;

    snprintf(mark, sizeof(mark), "%s>", element);
    if ((at = strstr(envelope, mark)) == NULL)
        return strdup("");
    at += strlen(mark);
    end = strchr(at, '<');
    return strndup(at, (size_t)(end - at));
}

static size_t find_token(const char *token)
{
    size_t i;
    for (i = 0; i < centre.num_tokens; ++i)
        if (*token != '\0' && strcmp(centre.tokens[i], token) == 0)
            break;
    return i;
}

static void fault(struct upstream_call *call, const char *name, int lost)
{
    call->rc = CG_E_FAULT;
    call->fault.declared = 1;
    call->fault.session_lost = lost;
    snprintf(call->fault.storage, sizeof(call->fault.storage), "%s", name);
    call->fault.name = call->fault.storage;
}

static void centre_log_in(struct upstream_call *call, const char *envelope)
{
    char *password = text_of(envelope, "password");
    char *token;

    if (strcmp(password, centre.password) != 0) {
        fault(call, "LogInToCCTServerException", 0);
    } else {
        assert_true(centre.num_tokens < TOKENS_MAX);
        token = centre.tokens[centre.num_tokens++];
        snprintf(token, sizeof(centre.tokens[0]), "token-%zu", centre.num_tokens);
        call->result = json_pack("{s:{s:s}}", "ssoToken", "token", token);
    }
    free(password);
}

static void centre_perform(struct upstream_call *call)
{
    char *envelope = strndup(call->request.bytes, call->request.length);
    char *token = text_of(envelope, "token");
    size_t at = find_token(token);

    call->sent = 1;
    call->rc = CG_OK;
    if (centre.refuses)
        call->rc = CG_E_REFUSED;
    else if (strcmp(call->op->name, "LogInToCCTServer") == 0)
        centre_log_in(call, envelope);
    else if (at == centre.num_tokens)
        fault(call, "SessionNotCreatedException", 1);
    else if (strcmp(call->op->name, "LogOffFromCCTServer") == 0)
        centre.tokens[at][0] = '\0';
    if (call->rc == CG_OK && call->result == NULL)
        call->result = json_object();
    free(token);
    free(envelope);
}

static void centre_count(const struct upstream_call *call)
{
    if (strcmp(call->op->name, "LogInToCCTServer") == 0)
        centre.login_ms[centre.logins++] = clock_monotonic_ms();
    else if (strcmp(call->op->name, "LogOffFromCCTServer") == 0)
        ++centre.logoffs;
    else
        ++centre.heartbeats;
}

static void centre_answer(void)
{
    size_t i, n = centre.num_pending;
    centre.num_pending = 0;
    for (i = 0; i < n; ++i) {
        centre_perform(centre.pending[i]);
        mailbox_send(centre.pending[i]->reply_to, &centre.pending[i]->message);
    }
}

struct upstream_call *upstream_call_new(const struct contract_operation *op)
{
    struct upstream_call *call = calloc(1, sizeof(*call));
    assert_non_null(call);
    call->op = op;
    return call;
}

void upstream_call_free(struct upstream_call **call)
{
    if (*call == NULL)
        return;
    codec_buffer_release(&(*call)->request);
    json_decref((*call)->result);
    free(*call);
    *call = NULL;
}

void upstream_submit(struct upstream *upstream, struct upstream_call *call)
{
    (void)upstream;
    centre_count(call);
    assert_true(centre.num_pending < PENDING_MAX);
    centre.pending[centre.num_pending++] = call;
    if (!centre.held)
        centre_answer();
}

void upstream_turn_away(struct upstream *upstream, unsigned endpoint)
{
    (void)upstream, (void)endpoint; /* nothing waits here for a connection */
}

/* ---- the gateway's side ---- */

struct asked {
    int answered, rc;
    struct session *session;
};

struct world {
    struct loop loop;
    struct config config;
    struct config_endpoint endpoint;
    struct config_session entry;
    struct sessions *sessions;
    struct asked asked[1200];
    size_t ups, downs;
    uint32_t removed;
};
static struct world w;
static struct contract *contract;

static void on_up(void *data, struct session *session)
{
    (void)data;
    (void)session;
    ++w.ups;
}

static void on_down(void *data, struct session *session, const char *why)
{
    (void)data;
    (void)session;
    (void)why;
    ++w.downs;
}

static void on_removed(void *data, uint32_t user)
{
    (void)data;
    w.removed = user;
}

static void on_asked(void *data, const struct sign_on_outcome *outcome)
{
    struct asked *asked = data;
    assert_int_equal(asked->answered, 0);
    asked->answered = 1;
    asked->rc = outcome->rc;
    asked->session = outcome->session;
}

static void ask(size_t i, uint32_t number, const char *password)
{
    char user[32];
    snprintf(user, sizeof(user), "agent%u", number);
    memset(&w.asked[i], 0, sizeof(w.asked[i]));
    sessions_sign_on(w.sessions, number, user, "CC", password, on_asked, &w.asked[i]);
}

/* One turn that does not sleep. */
static void turn(void)
{
    w.loop.now_ms = clock_monotonic_ms();
    while (mailbox_deliver(&w.loop.mailbox) > 0)
        ;
    while (w.loop.num_timers > 0 && w.loop.heap[1]->due_ms <= clock_monotonic_ms()) {
        struct timer *due = w.loop.heap[1];
        timer_disarm(&w.loop, due);
        due->on_due(due);
    }
    while (mailbox_deliver(&w.loop.mailbox) > 0)
        ;
}

#define EVENTUALLY(condition)                                                                      \
    do {                                                                                           \
        int64_t until_ms = clock_monotonic_ms() + BOUND_MS;                                        \
        for (turn(); !(condition); turn()) {                                                       \
            if (clock_monotonic_ms() > until_ms)                                                   \
                fail_msg("not within the bound: %s", #condition);                                  \
            usleep(500);                                                                           \
        }                                                                                          \
    } while (0)

static int answered(size_t i, int rc)
{
    EVENTUALLY(w.asked[i].answered);
    return w.asked[i].rc == rc;
}

static void make_sessions(void)
{
    struct sessions_settings settings = {.loop = &w.loop,
                                         .upstream = (struct upstream *)&centre,
                                         .contract = contract,
                                         .config = &w.config,
                                         .on_up = on_up,
                                         .on_down = on_down,
                                         .on_removed = on_removed,
                                         .data = &w};
    char error[256];
    assert_int_equal(sessions_new(&w.sessions, &settings, error, sizeof(error)), CG_OK);
}

static int set_up(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    memset(&centre, 0, sizeof(centre));
    centre.password = "right";
    assert_int_equal(loop_init(&w.loop), CG_OK);
    w.config.references = 1000; /* never freed */
    w.endpoint.name = (char *)"campus";
    w.config.upstream.endpoints = &w.endpoint;
    w.config.upstream.num_endpoints = 1;
    w.config.upstream.topology = (char *)"none";
    w.config.upstream.logins_per_second = 1000;
    w.config.session_linger_ms = 600000;
    make_sessions();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    centre.held = 0;
    centre_answer();
    sessions_detach(w.sessions);
    turn();
    sessions_free(&w.sessions);
    turn();
    loop_release(&w.loop);
    return 0;
}

static int load_contract(void **state)
{
    char error[512];
    (void)state;
    xml_init();
    return contract_load(&contract, "conf/contract", error, sizeof(error));
}

static int unload_contract(void **state)
{
    (void)state;
    contract_free(&contract);
    return 0;
}

/* The configuration names agent<number>. */
static int configure_agent(uint32_t number, const char *password)
{
    char user[32];
    snprintf(user, sizeof(user), "agent%u", number);
    w.entry =
        (struct config_session){.user = user, .domain = (char *)"CC", .password = (char *)password};
    return sessions_add(w.sessions, &w.entry, number);
}

#endif
