/*
 * Which endpoint the sessions use, whether it is there, and how another one becomes it (DOMAIN
 * section 6, rule 24).
 *
 * One endpoint is in use at a time, by all sessions. Each has a breaker. A refused connection opens
 * that of the endpoint in use; silence is a suspicion that a probe of its own has to confirm. While
 * it is open nothing is sent there but one probe at a time; what waited for a free connection is
 * turned away unsent. When a probe is answered, each session proves its token or logs in anew:
 * after a mission-critical switch the tokens still live, after one to a hot or warm standby they do
 * not, and that is found out the same way.
 *
 * A standby that takes over the address within a blink refuses nothing: only the sessions are gone.
 * So one session that is found void makes all of them be proven at once (the first with hotStandby
 * and warmStandby, else the second within OTHER_LOSS_MS, for one alone may have been ended), and
 * with these topologies one session is proven every upstream.pollMs.
 *
 * Another endpoint is used when an operator says so. By itself the gateway leaves the campus only
 * while that is away: for another campus endpoint at once, for the remote node after
 * upstream.rgnAfterMs, and only for one that has answered. Nothing but an operator leads back from
 * the remote node, so that nothing flaps. What is left is left behind: logins that are still under
 * way there are undone when they are answered, and what was sent there is never sent again.
 */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/upstream/session_private.h"

#define OTHER_LOSS_MS      5000
#define PROVE_ALL_AGAIN_MS 5000
#define NO_TOKEN           "none" /* any answer to a probe will do, so it needs no token that lives */

static const struct config_endpoint *settings_of(const struct sessions *sessions, unsigned endpoint)
{
    return &sessions->config->upstream.endpoints[endpoint];
}

static const char *name_of(const struct sessions *sessions, unsigned endpoint)
{
    return settings_of(sessions, endpoint)->name;
}

static int topology_is(const struct sessions *sessions, const char *name)
{
    return strcmp(sessions->config->upstream.topology, name) == 0;
}

static int loses_sessions(const struct sessions *sessions)
{
    return topology_is(sessions, "hotStandby") || topology_is(sessions, "warmStandby");
}

/* ---- probes ---- */

static void end_probe(struct upstream_call *call)
{
    upstream_call_free(&call);
}

static void send_probe(struct sessions *sessions, unsigned endpoint, unsigned timeout_ms,
                       void (*on_deliver)(struct message *))
{
    struct upstream_call *call =
        session_new_call(sessions, sessions->heartbeat, on_deliver, sessions);

    if (call == NULL)
        abort();
    call->endpoint = endpoint;
    call->timeout_ms = timeout_ms;
    call->rc =
        codec_encode_request(call->op, call->version, NULL, NO_TOKEN, &call->request, &call->error);
    if (call->rc == CG_OK && sessions->upstream == NULL)
        call->rc = CG_E_SHUTDOWN;
    if (call->rc != CG_OK)
        mailbox_send(call->reply_to, &call->message);
    else
        upstream_submit(sessions->upstream, call);
}

static void on_suspected(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct sessions *sessions = call->data;
    int left = endpoints_is_left(sessions, call);

    if (!left)
        sessions->suspecting = 0;
    if (call->rc == CG_E_SHUTDOWN)
        ;
    else if (!login_is_away(call->rc))
        breaker_answered(&sessions->breakers[call->endpoint], clock_monotonic_ms());
    else if (!left)
        sessions_endpoint_lost(sessions);
    end_probe(call);
}

static void suspect(struct sessions *sessions)
{
    if (sessions->suspecting)
        return;
    sessions->suspecting = 1;
    log_write(LOG_LEVEL_WARNING, "endpointSilent", "The contact centre has stopped answering",
              LOG_S("endpoint", name_of(sessions, sessions->endpoint)));
    send_probe(sessions, sessions->endpoint, sessions->config->upstream.connect_timeout_ms,
               on_suspected);
}

/* ---- what calls tell ---- */

int endpoints_is_left(const struct sessions *sessions, const struct upstream_call *call)
{
    return call->endpoint != sessions->endpoint;
}

/* It never got as far as a connection. */
static int has_only_waited(const struct upstream_call *call)
{
    return call->queued_us == call->elapsed_us;
}

static int is_answer(int rc)
{
    return rc == CG_OK || rc == CG_E_FAULT || rc == CG_E_XML || rc == CG_E_PROTOCOL ||
           rc == CG_E_LIMIT || rc == CG_E_DENIED;
}

void endpoints_observe(struct sessions *sessions, const struct upstream_call *call)
{
    struct breaker *breaker = &sessions->breakers[call->endpoint];
    int64_t now_ms = clock_monotonic_ms();

    if (call->http_status == -1)
        return; /* there was no exchange */
    if (is_answer(call->rc)) {
        breaker_answered(breaker, now_ms);
    } else if (endpoints_is_left(sessions, call)) {
        ;
    } else if (call->rc == CG_E_REFUSED) {
        sessions_endpoint_lost(sessions);
    } else if (login_is_away(call->rc) && call->rc != CG_E_SHUTDOWN && !has_only_waited(call) &&
               breaker_unanswered(breaker, now_ms - (call->elapsed_us - call->queued_us) / 1000)) {
        suspect(sessions);
    }
}

/* ---- sessions that did not outlive a switch ---- */

static void prove_all(struct sessions *sessions)
{
    struct session *session;

    sessions->proved_all_ms = sessions->loop->now_ms;
    for (session = sessions->first; session != NULL; session = session->next)
        session_prove(session);
}

void endpoints_session_lost(struct sessions *sessions)
{
    int64_t now = sessions->loop->now_ms, other = sessions->other_loss_ms;

    sessions->other_loss_ms = now;
    if (!loses_sessions(sessions) && (other == 0 || now - other > OTHER_LOSS_MS))
        return;
    if (sessions->proved_all_ms == 0 || now - sessions->proved_all_ms >= PROVE_ALL_AGAIN_MS)
        prove_all(sessions);
}

/* The session that is up and whose number follows that of the last one. */
static struct session *next_to_poll(const struct sessions *sessions)
{
    struct session *session, *next = NULL, *lowest = NULL;

    for (session = sessions->first; session != NULL; session = session->next) {
        if (!session_is_up(session))
            continue;
        if (lowest == NULL || session->number < lowest->number)
            lowest = session;
        if (session->number > sessions->polled && (next == NULL || session->number < next->number))
            next = session;
    }
    return next != NULL ? next : lowest;
}

static void arm_poll(struct sessions *sessions)
{
    unsigned ms = sessions->config->upstream.poll_ms;

    timer_disarm(sessions->loop, &sessions->poll);
    if (loses_sessions(sessions) && ms != 0)
        timer_arm(sessions->loop, &sessions->poll, ms);
}

static void on_poll(struct timer *timer)
{
    struct sessions *sessions =
        (struct sessions *)((char *)timer - offsetof(struct sessions, poll));
    struct session *session = next_to_poll(sessions);

    if (session != NULL) {
        sessions->polled = session->number;
        session_prove(session);
    }
    arm_poll(sessions);
}

/* ---- somewhere else ---- */

static int has_waited_for_rgn(const struct sessions *sessions)
{
    unsigned after_ms = sessions->config->upstream.rgn_after_ms;
    return after_ms != 0 && sessions->loop->now_ms - sessions->down_ms >= after_ms;
}

static int is_candidate(const struct sessions *sessions, unsigned endpoint)
{
    return endpoint != sessions->endpoint && !settings_of(sessions, sessions->endpoint)->is_rgn &&
           (!settings_of(sessions, endpoint)->is_rgn || has_waited_for_rgn(sessions));
}

/* How long until there may be something to look at; negative: never. */
static int64_t look_in_ms(const struct sessions *sessions)
{
    unsigned after_ms = sessions->config->upstream.rgn_after_ms, i;
    int64_t in_ms = -1;

    for (i = 0; i < sessions->num_endpoints; ++i) {
        if (is_candidate(sessions, i))
            return login_backoff(sessions->look_failures + 1, PROBE_BACKOFF_MIN_MS,
                                 PROBE_BACKOFF_MAX_MS);
        if (settings_of(sessions, i)->is_rgn && after_ms != 0 &&
            !settings_of(sessions, sessions->endpoint)->is_rgn)
            in_ms = sessions->down_ms + after_ms - sessions->loop->now_ms;
    }
    return in_ms;
}

static void arm_look(struct sessions *sessions)
{
    int64_t in_ms = look_in_ms(sessions);

    if (in_ms >= 0 && sessions->endpoint_down)
        timer_arm(sessions->loop, &sessions->look, in_ms);
}

static void on_looked(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct sessions *sessions = call->data;

    sessions->looking = 0;
    if (call->rc == CG_E_SHUTDOWN || !sessions->endpoint_down ||
        !is_candidate(sessions, call->endpoint)) {
        ;
    } else if (login_is_away(call->rc)) {
        ++sessions->look_failures;
        arm_look(sessions);
    } else if (sessions->on_elsewhere != NULL) {
        sessions->on_elsewhere(sessions->data, call->endpoint);
    }
    end_probe(call);
}

static void on_look(struct timer *timer)
{
    struct sessions *sessions =
        (struct sessions *)((char *)timer - offsetof(struct sessions, look));
    unsigned i;

    if (!sessions->endpoint_down || sessions->looking)
        return;
    for (i = 0; i < sessions->num_endpoints; ++i) {
        sessions->look_at = (sessions->look_at + 1) % (unsigned)sessions->num_endpoints;
        if (!is_candidate(sessions, sessions->look_at))
            continue;
        sessions->looking = 1;
        send_probe(sessions, sessions->look_at, sessions->config->upstream.connect_timeout_ms,
                   on_looked);
        return;
    }
    arm_look(sessions);
}

/* ---- away, and back ---- */

static void go_down(struct session *session)
{
    struct sessions *sessions = session->all;

    if (sessions_unqueue_login(sessions, &session->login))
        session->renewing = session->busy = 0; /* it is begun with anew when the endpoint is back */
    session_publish_lost(session);
    timer_disarm(sessions->loop, &session->retry);
    timer_disarm(sessions->loop, &session->heartbeat);
    if (session->state == SESSION_UP || (session->state == SESSION_CONNECTING && !session->busy)) {
        session_set_state(session, SESSION_DOWN);
        session_remember_failure(session, CG_E_REFUSED, NULL);
        session_fail_waiting(session, CG_E_REFUSED, NULL);
    }
    session_announce_down(session, "contact centre not reachable");
}

void sessions_endpoint_lost(struct sessions *sessions)
{
    struct session *session;

    if (!breaker_open(&sessions->breakers[sessions->endpoint], clock_unix_ms()))
        return;
    sessions->endpoint_down = 1;
    sessions->down_ms = sessions->loop->now_ms;
    sessions->look_failures = 0;
    log_write(LOG_LEVEL_ERROR, "endpointLost",
              "The contact centre cannot be reached; serving stale",
              LOG_S("endpoint", name_of(sessions, sessions->endpoint)));
    if (sessions->upstream != NULL)
        upstream_turn_away(sessions->upstream, sessions->endpoint);
    for (session = sessions->first; session != NULL; session = session->next)
        go_down(session);
    timer_arm(sessions->loop, &sessions->probe,
              login_backoff(1, PROBE_BACKOFF_MIN_MS, PROBE_BACKOFF_MAX_MS));
    arm_look(sessions);
}

/* Without a session there is nothing to be stale, and nobody to probe for. */
void sessions_endpoint_refused(struct sessions *sessions, unsigned endpoint)
{
    if (sessions->first != NULL && endpoint == sessions->endpoint)
        sessions_endpoint_lost(sessions);
}

static void connect_all(struct sessions *sessions)
{
    struct session *session;

    for (session = sessions->first; session != NULL; session = session->next)
        if (session->state == SESSION_DENIED)
            timer_arm(sessions->loop, &session->retry,
                      session->retry_at_ms - sessions->loop->now_ms);
        else if (session->state != SESSION_UP)
            session_connect(session);
}

static void endpoint_back(struct sessions *sessions)
{
    sessions->endpoint_down = 0;
    timer_disarm(sessions->loop, &sessions->look);
    log_write(LOG_LEVEL_INFO, "endpointBack", "The contact centre answers again",
              LOG_S("endpoint", name_of(sessions, sessions->endpoint)),
              LOG_I("downMs", sessions->loop->now_ms - sessions->down_ms));
    connect_all(sessions);
}

static void on_probed(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct sessions *sessions = call->data;
    struct breaker *breaker = &sessions->breakers[call->endpoint];

    if (call->rc == CG_E_SHUTDOWN)
        ;
    else if (breaker_tried(breaker, !login_is_away(call->rc), clock_monotonic_ms())) {
        if (!endpoints_is_left(sessions, call))
            endpoint_back(sessions);
    } else if (!endpoints_is_left(sessions, call) && sessions->endpoint_down) {
        timer_arm(
            sessions->loop, &sessions->probe,
            login_backoff(breaker->failed_probes, PROBE_BACKOFF_MIN_MS, PROBE_BACKOFF_MAX_MS));
    }
    end_probe(call);
}

static void on_probe(struct timer *timer)
{
    struct sessions *sessions =
        (struct sessions *)((char *)timer - offsetof(struct sessions, probe));
    struct breaker *breaker = &sessions->breakers[sessions->endpoint];

    if (sessions->first == NULL) { /* nobody needs it; whoever does next finds out */
        breaker_reset(breaker);
        sessions->endpoint_down = 0;
    } else if (breaker_try(breaker)) {
        send_probe(sessions, sessions->endpoint, 0, on_probed);
    }
}

/* ---- moving ---- */

/* What is left behind: the token, which is logged off where it is of, as soon as that answers. */
static void leave_behind(struct session *session)
{
    struct sessions *sessions = session->all;

    session_publish_lost(session);
    timer_disarm(sessions->loop, &session->retry);
    timer_disarm(sessions->loop, &session->heartbeat);
    session_abandon_token(session);
    json_decref(session->note);
    json_decref(session->left_note);
    session->note = session->left_note = NULL;
}

/* It is as if it had never been: nothing of the endpoint that is left is valid here. */
static void move_session(struct session *session, const char *why)
{
    sessions_unqueue_login(session->all, &session->login);
    session->busy = session->renewing = session->adopted = session->proving = 0;
    session->missed_heartbeats = session->failed_attempts = session->losses = 0;
    session_set_state(session, SESSION_DOWN);
    session_remember_failure(session, CG_E_SESSION, NULL);
    session_announce_down(session, why);
    session_fail_waiting(session, CG_E_SESSION, NULL);
    session_connect(session);
}

static void use(struct sessions *sessions, unsigned endpoint)
{
    ++sessions->moves;
    sessions->endpoint = endpoint;
    sessions->endpoint_down = sessions->suspecting = 0;
    breaker_reset(&sessions->breakers[endpoint]);
    timer_disarm(sessions->loop, &sessions->probe);
    timer_disarm(sessions->loop, &sessions->look);
}

void sessions_move(struct sessions *sessions, unsigned endpoint, const char *why)
{
    unsigned from = sessions->endpoint;
    struct session *session;

    if (endpoint == from || endpoint >= sessions->num_endpoints || sessions->ending)
        return;
    log_write(LOG_LEVEL_WARNING, "failover", "The sessions move to another endpoint",
              LOG_S("from", name_of(sessions, from)), LOG_S("to", name_of(sessions, endpoint)),
              LOG_S("reason", why));
    if (sessions->upstream != NULL)
        upstream_turn_away(sessions->upstream, from);
    for (session = sessions->first; session != NULL; session = session->next)
        leave_behind(session);
    use(sessions, endpoint);
    for (session = sessions->first; session != NULL; session = session->next)
        move_session(session, why);
}

unsigned sessions_endpoint(const struct sessions *sessions)
{
    return sessions->endpoint;
}

json_t *sessions_describe_endpoints(const struct sessions *sessions)
{
    json_t *array = json_array();
    unsigned i;

    for (i = 0; i < sessions->num_endpoints; ++i) {
        const struct breaker *breaker = &sessions->breakers[i];
        json_t *one = json_pack(
            "{s:s, s:s, s:b, s:s, s:I}", "name", name_of(sessions, i), "role",
            settings_of(sessions, i)->is_rgn ? "rgn" : "campus", "current", i == sessions->endpoint,
            "breaker", breaker_state_names[breaker->state], "opened", (json_int_t)breaker->opened);
        json_object_set_new(one, "downSinceMs",
                            breaker->state != BREAKER_CLOSED ? json_integer(breaker->open_since_ms)
                                                             : json_null());
        json_array_append_new(array, one);
    }
    return array;
}

/* ---- life ---- */

static unsigned first_campus(const struct config *config)
{
    return (unsigned)(config_campus(config) - config->upstream.endpoints);
}

int endpoints_init(struct sessions *sessions)
{
    sessions->num_endpoints = sessions->config->upstream.num_endpoints;
    sessions->breakers = calloc(sessions->num_endpoints, sizeof(*sessions->breakers));
    if (sessions->breakers == NULL)
        return CG_E_NOMEM;
    sessions->endpoint = sessions->look_at = first_campus(sessions->config);
    sessions->probe.on_due = on_probe;
    sessions->look.on_due = on_look;
    sessions->poll.on_due = on_poll;
    arm_poll(sessions);
    return CG_OK;
}

void endpoints_configure(struct sessions *sessions)
{
    arm_poll(sessions);
    timer_disarm(sessions->loop, &sessions->look);
    arm_look(sessions);
}

void endpoints_stop(struct sessions *sessions)
{
    timer_disarm(sessions->loop, &sessions->probe);
    timer_disarm(sessions->loop, &sessions->look);
    timer_disarm(sessions->loop, &sessions->poll);
}

void endpoints_release(struct sessions *sessions)
{
    endpoints_stop(sessions);
    free(sessions->breakers);
    sessions->breakers = NULL;
}
