/* How a session comes to life, is lost, and is had back: log in, verify, heartbeat, probe, log off. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cctgate/durable.h"
#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/upstream/session_private.h"

static int64_t jittered(int64_t ms)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = 0;
    return ms - (int64_t)(random % (uint64_t)(ms / 4 + 1));
}

int64_t login_backoff(int failures, int64_t min_ms, int64_t max_ms)
{
    int64_t ms = min_ms;
    while (--failures > 0 && ms < max_ms)
        ms *= 2;
    return jittered(ms < max_ms ? ms : max_ms);
}

/* ---- state, as others see it ---- */

void session_set_state(struct session *session, enum session_state state)
{
    session->state = state;
    atomic_store(&session_views[session->number].state, (int)state);
}

/* From here on, what is read through the session is covered; what was read before is not. */
static void publish_healthy(struct session *session)
{
    struct session_view *view = &session_views[session->number];
    if (atomic_load(&view->healthy_since_ms) == 0)
        atomic_store_explicit(&view->healthy_since_ms, clock_steady_ms(), memory_order_release);
}

void session_publish_lost(struct session *session)
{
    struct session_view *view = &session_views[session->number];
    if (atomic_load(&view->healthy_since_ms) == 0)
        return;
    atomic_store_explicit(&view->lost_at_ms, clock_steady_ms(), memory_order_release);
    atomic_store_explicit(&view->healthy_since_ms, 0, memory_order_release);
}

void session_remember_failure(struct session *session, int rc, struct codec_fault *fault)
{
    session->last_rc = rc;
    if (session->last_fault != NULL)
        codec_fault_release(session->last_fault);
    free(session->last_fault);
    session->last_fault = NULL;
    if (fault == NULL || fault->name == NULL ||
        (session->last_fault = calloc(1, sizeof(*fault))) == NULL)
        return;
    *session->last_fault = *fault;
    session->last_fault->detail = NULL;
    session->last_fault->message[0] = '\0'; /* it is about a password, and goes to clients */
    snprintf(session->last_fault->storage, sizeof(session->last_fault->storage), "%s", fault->name);
    session->last_fault->name = session->last_fault->storage;
}

/* ---- pacing: at most logins_per_second in any second ---- */

static unsigned cap(const struct sessions *sessions)
{
    unsigned n = sessions->config->upstream.logins_per_second;
    return n < 1 ? 1 : n > LOGINS_PER_SECOND_MAX ? LOGINS_PER_SECOND_MAX : n;
}

/*
 * A login reaches the server at some moment between its start and its end, since it may wait for a connection. So what is under way
 * and what has ended within the last second are fewer than the cap when one more begins: then no second at the server has more. The
 * 5 ms keep the promise on its clock, too. And evenly: what is on its way when the process is killed is lost to the journal, so as
 * little as possible is at any time. Negative: not before one has ended.
 */
static int64_t login_wait_ms(const struct sessions *sessions)
{
    unsigned most = cap(sessions), back;
    int64_t now = clock_monotonic_ms(), then, due, next;

    if (sessions->logins_in_flight >= most)
        return -1;
    back = most - (unsigned)sessions->logins_in_flight;
    then = sessions->login_ring[(sessions->login_at + LOGINS_PER_SECOND_MAX - back) %
                                LOGINS_PER_SECOND_MAX];
    due = then == 0 ? now : then + 1005;
    next = sessions->login_started_ms == 0 ? now : sessions->login_started_ms + 1000 / most;
    due = due > next ? due : next;
    return due > now ? due - now : 0;
}

static void on_verified(struct message *message);

static void submit(struct session *session, const struct contract_operation *op, const char *token,
                   void (*on_deliver)(struct message *))
{
    struct upstream_call *call =
        session_new_call(session->all, op, on_deliver, session_hold(session));
    if (call == NULL)
        abort();
    call->rc = codec_encode_request(op, call->version, NULL, token, &call->request, &call->error);
    if (call->rc == CG_OK && session->all->upstream == NULL)
        call->rc = CG_E_SHUTDOWN;
    if (call->rc != CG_OK)
        mailbox_send(call->reply_to, &call->message);
    else
        upstream_submit(session->all->upstream, call);
}

static void wipe_string(json_t *string)
{
    /* jansson keeps its own copy of the password; it must not outlive the call */
    const char *value = json_string_value(string);
    if (value != NULL)
        explicit_bzero((char *)value, json_string_length(string));
}

void sessions_log_in(struct sessions *sessions, const struct login_credentials *credentials,
                     void (*on_login)(struct message *), void *data)
{
    struct upstream_call *call = session_new_call(sessions, sessions->login, on_login, data);
    json_t *password = json_string(credentials->password);
    json_t *arguments =
        json_pack("{s:{s:s, s:O, s:s}}", "authenticationLevel", "username", credentials->user,
                  "password", password, "domain", credentials->domain);

    if (call == NULL)
        abort();
    ++sessions->logins;
    ++sessions->logins_in_flight;
    call->command = 1;
    call->rc = codec_encode_request(call->op, call->version, arguments, NULL, &call->request,
                                    &call->error);
    wipe_string(password);
    json_decref(arguments);
    json_decref(password);
    if (call->rc == CG_OK && sessions->upstream == NULL)
        call->rc = CG_E_SHUTDOWN;
    if (call->rc != CG_OK)
        mailbox_send(call->reply_to, &call->message);
    else
        upstream_submit(sessions->upstream, call);
}

static void run_logins(struct sessions *sessions);

void sessions_login_ended(struct sessions *sessions)
{
    --sessions->logins_in_flight;
    sessions->login_ring[sessions->login_at] = clock_monotonic_ms();
    sessions->login_at = (sessions->login_at + 1) % LOGINS_PER_SECOND_MAX;
    run_logins(sessions);
    sessions_check_end(sessions);
}

static void run_logins(struct sessions *sessions)
{
    struct login_turn *turn;
    int64_t wait;

    while ((turn = sessions->login_first) != NULL && !sessions->ending) {
        wait = login_wait_ms(sessions);
        if (wait > 0)
            timer_arm(sessions->loop, &sessions->login_timer, wait);
        if (wait != 0)
            return;
        if ((sessions->login_first = turn->next) == NULL)
            sessions->login_end = &sessions->login_first;
        turn->next = NULL;
        sessions->login_started_ms = clock_monotonic_ms();
        turn->on_turn(turn);
    }
}

void sessions_on_login_timer(struct timer *timer)
{
    run_logins((struct sessions *)((char *)timer - offsetof(struct sessions, login_timer)));
}

void sessions_queue_login(struct sessions *sessions, struct login_turn *turn)
{
    turn->next = NULL;
    *sessions->login_end = turn;
    sessions->login_end = &turn->next;
    run_logins(sessions);
}

int sessions_unqueue_login(struct sessions *sessions, struct login_turn *turn)
{
    struct login_turn **at = &sessions->login_first;

    while (*at != NULL && *at != turn)
        at = &(*at)->next;
    if (*at == NULL)
        return 0;
    if ((*at = turn->next) == NULL)
        sessions->login_end = at;
    return 1;
}

static void cannot_connect(struct session *session);

void session_connect(struct session *session)
{
    struct sessions *sessions = session->all;

    if (session->busy || session->logging_off || session->removed)
        return;
    timer_disarm(sessions->loop, &session->retry);
    if (session->token == NULL && session->password == NULL) {
        cannot_connect(session);
        return;
    }
    session->busy = 1;
    session_set_state(session, SESSION_CONNECTING);
    if (session->renewing)
        return; /* that login serves as well */
    if (session->token != NULL)
        submit(session, sessions->heartbeat, session->token, on_verified);
    else
        sessions_queue_login(sessions, &session->login);
}

/* ---- how an attempt ends ---- */

static void arm_heartbeat(struct session *session)
{
    unsigned ms = session->all->config->upstream.heartbeat_ms;
    if (ms != 0)
        timer_arm(session->all->loop, &session->heartbeat, jittered((int64_t)ms));
}

static void came_up(struct session *session)
{
    struct sessions *sessions = session->all;

    session->busy = 0;
    session->attempted = 1;
    session->failed_attempts = 0;
    session->up_since_ms = sessions->loop->now_ms;
    session->missed_heartbeats = 0;
    session->last_activity_ms = sessions->loop->now_ms;
    if (session->adopted) {
        ++sessions->adoptions;
        log_write(LOG_LEVEL_INFO, "sessionAdopted", "A session that a crash had left lives on",
                  LOG_S("user", session->user));
    }
    session->adopted = 0;
    session_remember_failure(session, CG_OK, NULL);
    session_set_state(session, SESSION_UP);
    publish_healthy(session);
    arm_heartbeat(session);
    session_release_waiting(session);
    session->announced = 1;
    sessions->on_up(sessions->data, session);
    sessions_settled(sessions, session->number);
}

static void log_logged_in(const struct session *session)
{
    log_write(LOG_LEVEL_INFO, "loggedIn", "Logged in to the contact centre",
              LOG_S("user", session->user), LOG_I("elapsedMs", session->login_ms));
}

struct arrival {
    struct session *session;
    unsigned generation;
};

/* Nobody is told of the session before its token is on the disk; where the disk refuses that, the session matters more. */
static void on_journalled(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct arrival *arrival = done->data;
    struct session *session = arrival->session;
    int current = !session->removed && !session->logging_off && session->token != NULL &&
                  session->generation == arrival->generation;

    if (current && done->rc != CG_OK)
        log_write(LOG_LEVEL_ERROR, "sessionNotJournalled",
                  "A crash would leave this session at the contact centre",
                  LOG_S("user", session->user), LOG_S("reason", cg_error_name(done->rc)));
    if (current)
        session->unjournalled = done->rc != CG_OK;
    if (current && session->state == SESSION_CONNECTING) {
        log_logged_in(session);
        came_up(session);
    }
    session_drop(session);
    free(arrival);
    free(done);
}

static void journal(struct session *session)
{
    struct arrival *arrival = malloc(sizeof(*arrival));

    if (arrival == NULL)
        abort();
    *arrival = (struct arrival){session_hold(session), session->generation};
    journal_put(session->all,
                &(struct journal_entry){session->user, session->domain, session->token,
                                        session->note, &session->row, session->all->endpoint},
                on_journalled, arrival);
}

void session_arrive(struct session *session, const char *token)
{
    timer_disarm(session->all->loop, &session->retry);
    session_abandon_token(session);
    if ((session->token = strdup(token)) == NULL)
        abort();
    ++session->generation;
    session_prove_password(session);
    if (session->all->journal == NULL) {
        log_logged_in(session);
        came_up(session);
        return;
    }
    session->busy = 1;
    session_set_state(session, SESSION_CONNECTING);
    journal(session);
}

void session_announce_down(struct session *session, const char *why)
{
    if (!session->announced)
        return;
    session->announced = 0;
    if (session->all->on_down != NULL)
        session->all->on_down(session->all->data, session, why);
}

int login_is_denied(int rc, const struct codec_fault *fault)
{
    return (rc == CG_E_FAULT && fault != NULL && fault->declared) || rc == CG_E_DENIED;
}

static void attempt_failed(struct session *session, int rc, struct codec_fault *fault)
{
    struct sessions *sessions = session->all;
    int denied = login_is_denied(rc, fault);
    int64_t wait;

    session->busy = 0;
    session->attempted = 1;
    session_publish_lost(session);
    ++session->failed_attempts;
    ++sessions->login_failures;
    session_remember_failure(session, denied ? CG_E_DENIED : rc, fault);
    session_set_state(session, denied ? SESSION_DENIED : SESSION_DOWN);
    wait =
        denied
            ? login_backoff(session->failed_attempts, DENIED_BACKOFF_MIN_MS, DENIED_BACKOFF_MAX_MS)
            : login_backoff(session->failed_attempts, LOGIN_BACKOFF_MIN_MS, LOGIN_BACKOFF_MAX_MS);
    session->retry_at_ms = sessions->loop->now_ms + wait;
    log_write(LOG_LEVEL_WARNING, "loginFailed", "Could not log in to the contact centre",
              LOG_S("user", session->user), LOG_S("reason", cg_error_name(session->last_rc)),
              LOG_S("fault", fault != NULL ? fault->name : NULL), LOG_I("retryAfterMs", wait));
    if (!sessions->endpoint_down)
        timer_arm(sessions->loop, &session->retry, wait);
    session_fail_waiting(session, session->last_rc, session->last_fault);
    sessions_settled(sessions, session->number);
}

/* Its token is gone, and nobody knows its password: until its user signs on again, or nobody needs it. */
static void cannot_connect(struct session *session)
{
    session->attempted = 1;
    if (session->last_rc == CG_OK)
        session_remember_failure(session, CG_E_SESSION, NULL);
    session->retry_at_ms = 0;
    session_set_state(session, SESSION_DOWN);
    session_fail_waiting(session, session->last_rc, NULL);
    sessions_settled(session->all, session->number);
}

const char *login_token(const json_t *result)
{
    const char *token =
        json_string_value(json_object_get(json_object_get(result, "ssoToken"), "token"));
    return token != NULL && *token != '\0' ? token : NULL;
}

/* The call's session, unless it was removed meanwhile. The reference goes when the message has been dealt with. */
static struct session *session_of(struct upstream_call *call)
{
    struct session *session = call->data;
    return session->removed ? NULL : session;
}

static void end_call(struct upstream_call *call)
{
    session_drop(call->data);
    upstream_call_free(&call);
}

/* ---- a new token before the end of the old one ---- */

static void renewed(struct session *session, const char *token)
{
    struct sessions *sessions = session->all;

    session_depart_later(session);
    if ((session->token = strdup(token)) == NULL)
        abort();
    ++session->generation;
    session->missed_heartbeats = 0;
    session->up_since_ms = session->last_activity_ms = sessions->loop->now_ms;
    session_prove_password(session);
    log_write(LOG_LEVEL_INFO, "sessionRenewed", "Logged in anew before the session's end",
              LOG_S("user", session->user));
    if (sessions->journal != NULL)
        journal(session);
    if (sessions->on_renewed != NULL)
        sessions->on_renewed(sessions->data, session);
}

void session_renew(struct session *session)
{
    if (!session_is_up(session) || session->renewing || session->password == NULL)
        return;
    session->renewing = 1;
    sessions_queue_login(session->all, &session->login);
}

static void login_done(struct session *session, struct upstream_call *call)
{
    const char *token = call->rc == CG_OK ? login_token(call->result) : NULL;
    int renewing = session->renewing;

    session->renewing = 0;
    if (renewing && session_is_up(session)) {
        if (token != NULL)
            renewed(session, token);
        else
            log_write(LOG_LEVEL_WARNING, "renewalFailed",
                      "Could not log in anew before the session's end",
                      LOG_S("user", session->user), LOG_S("reason", cg_error_name(call->rc)));
        return;
    }
    if (token != NULL && (session->removed || session->logging_off)) {
        /* it came too late, for a session that is no longer wanted: it must not live on upstream */
        sessions_depart(session->all,
                        &(struct departing_token){session->user, session->domain, token, NULL},
                        session->removed ? DEPARTURE_DISCARDED : DEPARTURE_END);
    } else if (token != NULL) {
        session->login_ms = call->elapsed_us / 1000;
        session_arrive(session, token);
    } else if (!session->removed && !session->logging_off) {
        attempt_failed(session, call->rc == CG_OK ? CG_E_PROTOCOL : call->rc,
                       call->rc == CG_E_FAULT ? &call->fault : NULL);
    }
}

/* It came too late, from an endpoint that is not in use any more: what it gave must not live on there. */
static void login_left(struct sessions *sessions, const struct upstream_call *call)
{
    const struct session *session = call->data;
    const char *token = call->rc == CG_OK ? login_token(call->result) : NULL;

    if (token != NULL)
        sessions_depart_from(sessions,
                             &(struct departing_token){session->user, session->domain, token, NULL},
                             DEPARTURE_DISCARDED, call->endpoint);
}

static void on_login(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct sessions *sessions = ((struct session *)call->data)->all;

    endpoints_observe(sessions, call);
    if (endpoints_is_left(sessions, call))
        login_left(sessions, call);
    else
        login_done(call->data, call);
    end_call(call);
    sessions_login_ended(sessions);
}

void session_on_login_turn(struct login_turn *turn)
{
    struct session *session = (struct session *)((char *)turn - offsetof(struct session, login));

    sessions_log_in(session->all,
                    &(struct login_credentials){session->user, session->domain, session->password},
                    on_login, session_hold(session));
}

/* No answer, as opposed to one that is of no use. */
int login_is_away(int rc)
{
    return rc == CG_E_REFUSED || rc == CG_E_TIMEOUT || rc == CG_E_TLS || rc == CG_E_RESET ||
           rc == CG_E_SHUTDOWN;
}

static void on_verified(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct session *session = session_of(call);

    endpoints_observe(((struct session *)call->data)->all, call);
    if (session != NULL && !session->logging_off && !endpoints_is_left(session->all, call)) {
        ++session->all->heartbeats;
        session->busy = 0;
        if (call->rc == CG_OK || (call->rc == CG_E_FAULT && !call->fault.session_lost)) {
            came_up(session);
        } else if (call->rc == CG_E_FAULT || !login_is_away(call->rc)) {
            if (call->rc != CG_E_FAULT)
                session_abandon_token(session); /* it cannot be proven, a new one can */
            session_lose(session, CG_E_SESSION);
        } else {
            attempt_failed(session, call->rc, NULL);
        }
    }
    end_call(call);
}

void session_on_retry(struct timer *timer)
{
    session_connect((struct session *)((char *)timer - offsetof(struct session, retry)));
}

/* ---- loss ---- */

void session_lose(struct session *session, int rc)
{
    ++session->all->losses;
    log_write(LOG_LEVEL_WARNING, "sessionLost", "The upstream session is gone; logging in again",
              LOG_S("user", session->user), LOG_S("reason", cg_error_name(rc)));
    session_publish_lost(session);
    session_forget_token(session);
    journal_strike(session->all, session->user, &session->row);
    json_decref(session->note);
    json_decref(session->left_note);
    session->note = session->left_note = NULL;
    session->adopted = 0;
    timer_disarm(session->all->loop, &session->heartbeat);
    session_set_state(session, SESSION_DOWN);
    session_remember_failure(session, rc, NULL);
    session_announce_down(session, "session lost");
    if (session->all->loop->now_ms - session->up_since_ms >= STABLE_MS)
        session->losses = 0;
    if (++session->losses <= FREE_LOSSES) {
        session_connect(session);
    } else { /* a server that takes logins and then knows nobody is not flooded with them */
        session->failed_attempts = session->losses - FREE_LOSSES - 1;
        attempt_failed(session, rc, NULL);
    }
    endpoints_session_lost(session->all);
}

/* ---- heartbeat ---- */

static void on_heartbeat_reply(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct session *session = session_of(call);

    endpoints_observe(((struct session *)call->data)->all, call);
    if (session != NULL && !endpoints_is_left(session->all, call))
        session->proving = 0;
    if (session != NULL && session->state == SESSION_UP &&
        session->proof_generation == session->generation) {
        ++session->all->heartbeats;
        session->missed_heartbeats = login_is_away(call->rc) ? session->missed_heartbeats + 1 : 0;
        if (call->rc == CG_E_FAULT && call->fault.session_lost)
            session_lose(session, CG_E_SESSION);
        else if (session->missed_heartbeats >= MISSED_HEARTBEATS_MAX)
            sessions_endpoint_lost(session->all);
    }
    end_call(call);
}

void session_prove(struct session *session)
{
    if (!session_is_up(session) || session->proving)
        return;
    session->proving = 1;
    session->proof_generation = session->generation;
    session->last_activity_ms = session->all->loop->now_ms;
    submit(session, session->all->heartbeat, session->token, on_heartbeat_reply);
}

void session_ended(struct session *session)
{
    if (session_is_up(session))
        session_lose(session, CG_E_SESSION);
}

void session_on_heartbeat(struct timer *timer)
{
    struct session *session =
        (struct session *)((char *)timer - offsetof(struct session, heartbeat));
    int64_t idle = session->all->loop->now_ms - session->last_activity_ms;

    if (session->state != SESSION_UP)
        return;
    if (session->unjournalled)
        journal(session);
    if (idle * 2 >= (int64_t)session->all->config->upstream.heartbeat_ms)
        session_prove(session);
    arm_heartbeat(session);
}
