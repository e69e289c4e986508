/* How a session comes to life, is lost, and is had back: log in, verify, heartbeat, probe, log off. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

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

int64_t session_backoff(int failures, int64_t min_ms, int64_t max_ms)
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
        atomic_store_explicit(&view->healthy_since_ms, clock_unix_ms(), memory_order_release);
}

void session_publish_lost(struct session *session)
{
    struct session_view *view = &session_views[session->number];
    if (atomic_load(&view->healthy_since_ms) == 0)
        return;
    atomic_store_explicit(&view->lost_at_ms, clock_unix_ms(), memory_order_release);
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
    snprintf(session->last_fault->storage, sizeof(session->last_fault->storage), "%s", fault->name);
    session->last_fault->name = session->last_fault->storage;
}

/* ---- pacing: at most logins_per_second in any second ---- */

static unsigned cap(const struct sessions *sessions)
{
    unsigned n = sessions->config->upstream.logins_per_second;
    return n < 1 ? 1 : n > LOGINS_PER_SECOND_MAX ? LOGINS_PER_SECOND_MAX : n;
}

/* The login that is `cap` back must be more than a second old; the 5 ms keep the promise on the server's clock, too. */
static int64_t login_wait_ms(const struct sessions *sessions)
{
    unsigned back =
        (sessions->login_at + LOGINS_PER_SECOND_MAX - cap(sessions)) % LOGINS_PER_SECOND_MAX;
    int64_t then = sessions->login_ring[back];
    return then == 0 ? 0 : then + 1005 - clock_monotonic_ms();
}

static void on_login(struct message *message);
static void on_verified(struct message *message);

static void submit_at(struct session *session, const struct contract_operation *op,
                      json_t *arguments, const char *token, void (*on_deliver)(struct message *),
                      unsigned endpoint)
{
    struct upstream_call *call =
        session_new_call(session->all, op, on_deliver, session_hold(session));
    if (call == NULL)
        abort();
    call->endpoint = endpoint;
    call->command = op == session->all->login;
    call->rc =
        codec_encode_request(op, call->version, arguments, token, &call->request, &call->error);
    if (call->rc == CG_OK && session->all->upstream == NULL)
        call->rc = CG_E_SHUTDOWN;
    if (call->rc != CG_OK)
        mailbox_send(call->reply_to, &call->message);
    else
        upstream_submit(session->all->upstream, call);
}

static void submit(struct session *session, const struct contract_operation *op, json_t *arguments,
                   const char *token, void (*on_deliver)(struct message *))
{
    submit_at(session, op, arguments, token, on_deliver, session->all->endpoint);
}

static void wipe_string(json_t *string)
{
    /* jansson keeps its own copy of the password; it must not outlive the call */
    const char *value = json_string_value(string);
    if (value != NULL)
        explicit_bzero((char *)value, json_string_length(string));
}

static void start_login(struct session *session)
{
    struct sessions *sessions = session->all;
    json_t *password = json_string(session->password);
    json_t *arguments = json_pack("{s:{s:s, s:O, s:s}}", "authenticationLevel", "username",
                                  session->user, "password", password, "domain", session->domain);

    sessions->login_ring[sessions->login_at] = clock_monotonic_ms();
    sessions->login_at = (sessions->login_at + 1) % LOGINS_PER_SECOND_MAX;
    ++sessions->logins;
    session->login_in_flight = 1;
    submit(session, sessions->login, arguments, NULL, on_login);
    wipe_string(password);
    json_decref(arguments);
    json_decref(password);
}

void sessions_run_logins(struct sessions *sessions)
{
    struct session *session;
    int64_t wait;

    while ((session = sessions->login_first) != NULL) {
        if ((wait = login_wait_ms(sessions)) > 0) {
            timer_arm(sessions->loop, &sessions->login_timer, wait);
            return;
        }
        if ((sessions->login_first = session->login_next) == NULL)
            sessions->login_end = &sessions->login_first;
        session->login_next = NULL;
        start_login(session);
    }
}

void sessions_on_login_timer(struct timer *timer)
{
    sessions_run_logins(
        (struct sessions *)((char *)timer - offsetof(struct sessions, login_timer)));
}

void session_connect(struct session *session)
{
    struct sessions *sessions = session->all;

    if (session->busy || session->logging_off || session->removed)
        return;
    session->busy = 1;
    timer_disarm(sessions->loop, &session->retry);
    session_set_state(session, SESSION_CONNECTING);
    if (session->token != NULL) {
        submit(session, sessions->heartbeat, NULL, session->token, on_verified);
        return;
    }
    session->login_next = NULL;
    *sessions->login_end = session;
    sessions->login_end = &session->login_next;
    sessions_run_logins(sessions);
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
    session_remember_failure(session, CG_OK, NULL);
    session_set_state(session, SESSION_UP);
    publish_healthy(session);
    arm_heartbeat(session);
    session_release_waiting(session);
    session->announced = 1;
    sessions->on_up(sessions->data, session);
}

void session_announce_down(struct session *session, const char *why)
{
    if (!session->announced)
        return;
    session->announced = 0;
    if (session->all->on_down != NULL)
        session->all->on_down(session->all->data, session, why);
}

static void attempt_failed(struct session *session, int rc, struct codec_fault *fault)
{
    struct sessions *sessions = session->all;
    int denied = (rc == CG_E_FAULT && fault != NULL && fault->declared) || rc == CG_E_DENIED;
    int64_t wait;

    session->busy = 0;
    session->attempted = 1;
    session_publish_lost(session);
    ++session->failed_attempts;
    ++sessions->login_failures;
    session_remember_failure(session, denied ? CG_E_DENIED : rc, fault);
    session_set_state(session, denied ? SESSION_DENIED : SESSION_DOWN);
    wait = denied ? session_backoff(session->failed_attempts, DENIED_BACKOFF_MIN_MS,
                                    DENIED_BACKOFF_MAX_MS)
                  : session_backoff(session->failed_attempts, LOGIN_BACKOFF_MIN_MS,
                                    LOGIN_BACKOFF_MAX_MS);
    session->retry_at_ms = sessions->loop->now_ms + wait;
    log_write(LOG_LEVEL_WARNING, "loginFailed", "Could not log in to the contact centre",
              LOG_S("user", session->user), LOG_S("reason", cg_error_name(session->last_rc)),
              LOG_S("fault", fault != NULL ? fault->name : NULL), LOG_I("retryAfterMs", wait));
    if (!sessions->endpoint_down)
        timer_arm(sessions->loop, &session->retry, wait);
    session_fail_waiting(session, session->last_rc, session->last_fault);
}

static int take_token(struct session *session, const json_t *result)
{
    const char *token =
        json_string_value(json_object_get(json_object_get(result, "ssoToken"), "token"));
    session_forget_token(session);
    if (token == NULL || *token == '\0' || (session->token = strdup(token)) == NULL)
        return CG_E_PROTOCOL;
    ++session->generation;
    return CG_OK;
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

static void on_logged_off(struct message *message);

static void on_left(struct message *message)
{
    end_call((struct upstream_call *)message);
}

void session_log_off_at(struct session *session, const char *token, unsigned endpoint)
{
    submit_at(session, session->all->logoff, NULL, token, on_left, endpoint);
}

static void discard_at(struct session *session, json_t *result, unsigned endpoint)
{
    const char *token =
        json_string_value(json_object_get(json_object_get(result, "ssoToken"), "token"));
    if (token != NULL)
        session_log_off_at(session, token, endpoint);
    json_object_del(result, "ssoToken");
}

void session_discard(struct session *session, json_t *result)
{
    discard_at(session, result, session->all->endpoint);
}

/* The login came too late, for a session that is no longer wanted there: it must not live on upstream. */
static void leave(struct upstream_call *call)
{
    if (call->rc == CG_OK)
        discard_at(call->data, call->result, call->endpoint);
}

static void logoff_finished(struct sessions *sessions);

/* The gateway is stopping and waits for this login's end. */
static void login_at_the_end(struct session *session, int rc)
{
    struct sessions *sessions = session->all;
    if (rc == CG_OK)
        submit(session, sessions->logoff, NULL, session->token, on_logged_off);
    else if (--sessions->logoffs_left == 0)
        logoff_finished(sessions);
}

static void on_login(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct session *session = session_of(call);
    int rc = call->rc;

    endpoints_observe(((struct session *)call->data)->all, call);
    if (session == NULL || endpoints_is_left(session->all, call)) {
        leave(call);
        end_call(call);
        return;
    }
    session->login_in_flight = 0;
    if (rc == CG_OK)
        rc = take_token(session, call->result);
    if (session->logging_off) {
        login_at_the_end(session, rc);
    } else if (rc == CG_OK) {
        log_write(LOG_LEVEL_INFO, "loggedIn", "Logged in to the contact centre",
                  LOG_S("user", session->user), LOG_I("elapsedMs", call->elapsed_us / 1000));
        came_up(session);
    } else {
        attempt_failed(session, rc, call->rc == CG_E_FAULT ? &call->fault : NULL);
    }
    end_call(call);
}

int session_is_away(int rc)
{
    return rc == CG_E_REFUSED || rc == CG_E_TIMEOUT || rc == CG_E_TLS || rc == CG_E_RESET ||
           rc == CG_E_SHUTDOWN;
}

static void on_verified(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct session *session = session_of(call);

    endpoints_observe(((struct session *)call->data)->all, call);
    if (session != NULL && !endpoints_is_left(session->all, call)) {
        ++session->all->heartbeats;
        session->busy = 0;
        if (call->rc == CG_OK || (call->rc == CG_E_FAULT && !call->fault.session_lost)) {
            came_up(session);
        } else if (call->rc == CG_E_FAULT || !session_is_away(call->rc)) {
            session_lose(session,
                         CG_E_SESSION); /* the token is void, or cannot be proven: a new one can */
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
        session->missed_heartbeats = session_is_away(call->rc) ? session->missed_heartbeats + 1 : 0;
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
    submit(session, session->all->heartbeat, NULL, session->token, on_heartbeat_reply);
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
    if (idle * 2 >= (int64_t)session->all->config->upstream.heartbeat_ms)
        session_prove(session);
    arm_heartbeat(session);
}

/* ---- the end ---- */

static void logoff_finished(struct sessions *sessions)
{
    void (*done)(void *) = sessions->logoff_done;
    if (done == NULL)
        return;
    sessions->logoff_done = NULL;
    timer_disarm(sessions->loop, &sessions->logoff_timer);
    done(sessions->logoff_data);
}

static void on_logged_off(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct session *session = call->data;
    struct sessions *sessions = session->all;

    log_write(call->rc == CG_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "loggedOff",
              "Logged off from the contact centre", LOG_S("user", session->user),
              LOG_S("result", cg_error_name(call->rc)));
    end_call(call);
    if (--sessions->logoffs_left == 0)
        logoff_finished(sessions);
}

/* ---- parting ---- */

static void parted(struct session *session)
{
    if (--session->parting > 0)
        return;
    if (session->removed)
        session_say_farewell(session);
    else
        submit(session, session->all->logoff, NULL, session->token, on_logged_off);
}

static void on_parted(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    parted(call->data);
    end_call(call);
}

void session_part(struct session *session, const struct contract_operation *op, json_t *arguments)
{
    struct sessions *sessions = session->all;
    struct upstream_call *call = session_new_call(sessions, op, on_parted, session);

    if (call == NULL)
        abort();
    if (session->parting == 0 || session->token == NULL || sessions->endpoint_down ||
        sessions->upstream == NULL ||
        codec_encode_forward(op, call->version, arguments, op->takes_token ? session->token : NULL,
                             &call->request, &call->error) != CG_OK) {
        upstream_call_free(&call);
        return;
    }
    call->command = 1;
    call->timeout_ms = PARTING_MS;
    ++session->parting;
    session_hold(session);
    upstream_submit(sessions->upstream, call);
}

void session_leave(struct session *session)
{
    struct sessions *sessions = session->all;

    session->parting = 1;
    if (sessions->on_parting != NULL)
        sessions->on_parting(sessions->data, session);
    parted(session);
}

static void on_logoff_timer(struct timer *timer)
{
    logoff_finished((struct sessions *)((char *)timer - offsetof(struct sessions, logoff_timer)));
}

void sessions_log_off(struct sessions *sessions, unsigned timeout_ms, void (*done)(void *),
                      void *data)
{
    struct session *session;

    sessions->logoff_done = done;
    sessions->logoff_data = data;
    sessions->logoffs_left = 1;
    sessions->logoff_timer.on_due = on_logoff_timer;
    timer_arm(sessions->loop, &sessions->logoff_timer, timeout_ms);
    endpoints_stop(sessions);
    timer_disarm(sessions->loop, &sessions->login_timer);
    for (session = sessions->first; session != NULL; session = session->next) {
        session->logging_off = 1;
        timer_disarm(sessions->loop, &session->retry);
        timer_disarm(sessions->loop, &session->heartbeat);
        session_fail_waiting(session, CG_E_SHUTDOWN, NULL);
        if (session->login_in_flight)
            ++sessions->logoffs_left;
        if (session->token == NULL || sessions->endpoint_down)
            continue;
        ++sessions->logoffs_left;
        session_leave(session);
    }
    if (--sessions->logoffs_left == 0)
        logoff_finished(sessions);
}
