/* Tokens that nobody wants any more: logged off until the contact centre has heard it, and all of them at the end of the gateway. */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "cctgate/secret.h"
#include "gateway/upstream/session_private.h"

static const struct {
    const char *event, *text;
} causes[] = {
    [DEPARTURE_REMOVED] = {"sessionRemoved", "Logged off a session that is no longer needed"},
    [DEPARTURE_DISCARDED] = {"loginDiscarded", "Logged off a login that was only to be proven"},
    [DEPARTURE_LEFT] = {"zombieLoggedOff", "Logged off a session that a crash had left"},
    [DEPARTURE_END] = {"loggedOff", "Logged off from the contact centre"},
};

/* ---- a departure ---- */

static void free_departure(struct departure *departure)
{
    struct sessions *sessions = departure->all;

    timer_disarm(sessions->loop, &departure->again);
    if ((*departure->at = departure->next) != NULL)
        departure->next->at = departure->at;
    secret_wipe(&departure->token);
    free(departure->user);
    free(departure);
    sessions_check_end(sessions);
}

static void log_off(struct departure *departure);

static void on_again(struct timer *timer)
{
    log_off((struct departure *)((char *)timer - offsetof(struct departure, again)));
}

/* Whatever the contact centre answered, a token that it knows is no longer among them. */
static int is_over(const struct upstream_call *call)
{
    return !login_is_away(call->rc);
}

static void on_logged_off(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct departure *departure = call->data;
    struct sessions *sessions = departure->all;
    int64_t wait;

    if (departure->failures == 0)
        log_write(call->rc == CG_OK || departure->cause != DEPARTURE_END ? LOG_LEVEL_INFO
                                                                         : LOG_LEVEL_WARNING,
                  causes[departure->cause].event, causes[departure->cause].text,
                  LOG_S("user", departure->user), LOG_S("result", cg_error_name(call->rc)));
    if (is_over(call))
        journal_strike(sessions, departure->user, &departure->row);
    if (is_over(call) || sessions->ending || sessions->upstream == NULL) {
        free_departure(departure);
    } else {
        wait = login_backoff(++departure->failures, LEAVING_BACKOFF_MIN_MS, LEAVING_BACKOFF_MAX_MS);
        timer_arm(sessions->loop, &departure->again, wait);
    }
    upstream_call_free(&call);
}

static void log_off(struct departure *departure)
{
    struct sessions *sessions = departure->all;
    struct upstream_call *call;

    if (sessions->upstream == NULL ||
        (sessions->ending && sessions->breakers[departure->endpoint].state != BREAKER_CLOSED)) {
        free_departure(departure);
        return;
    }
    if ((call = session_new_call(sessions, sessions->logoff, on_logged_off, departure)) == NULL)
        abort();
    call->endpoint = departure->endpoint;
    call->rc = codec_encode_request(call->op, call->version, NULL, departure->token, &call->request,
                                    &call->error);
    if (call->rc != CG_OK)
        mailbox_send(call->reply_to, &call->message);
    else
        upstream_submit(sessions->upstream, call);
}

static void parted(struct departure *departure)
{
    if (--departure->parting == 0)
        log_off(departure);
}

static struct departure *new_departure(struct sessions *sessions,
                                       const struct departing_token *token,
                                       enum departure_cause cause, unsigned endpoint)
{
    struct departure *departure = calloc(1, sizeof(*departure));

    if (departure == NULL || (departure->user = strdup(token->user)) == NULL ||
        (departure->token = strdup(token->token)) == NULL)
        abort();
    departure->all = sessions;
    departure->cause = cause;
    departure->endpoint = endpoint;
    departure->parting = 1;
    departure->again.on_due = on_again;
    departure->at = &sessions->departures;
    if ((departure->next = sessions->departures) != NULL)
        departure->next->at = &departure->next;
    sessions->departures = departure;
    if (token->row != NULL) {
        departure->row = *token->row;
        token->row->text[0] = '\0';
    }
    if (departure->row.text[0] == '\0')
        journal_put(sessions,
                    &(struct journal_entry){token->user, token->domain, token->token, NULL,
                                            &departure->row, endpoint},
                    NULL, NULL);
    return departure;
}

static struct departing_token token_of(struct session *session)
{
    return (struct departing_token){session->user, session->domain, session->token, &session->row};
}

void sessions_depart(struct sessions *sessions, const struct departing_token *token,
                     enum departure_cause cause)
{
    sessions_depart_from(sessions, token, cause, sessions->endpoint);
}

void sessions_depart_from(struct sessions *sessions, const struct departing_token *token,
                          enum departure_cause cause, unsigned endpoint)
{
    parted(new_departure(sessions, token, cause, endpoint));
}

void session_depart_later(struct session *session)
{
    struct departing_token token = token_of(session);
    struct departure *departure =
        new_departure(session->all, &token, DEPARTURE_DISCARDED, session->all->endpoint);

    departure->parting = 0;
    timer_arm(session->all->loop, &departure->again, OVERLAP_MS);
    session_forget_token(session);
}

void session_abandon_token(struct session *session)
{
    struct departing_token token = token_of(session);
    if (session->token != NULL)
        sessions_depart(session->all, &token, DEPARTURE_DISCARDED);
    session_forget_token(session);
}

void session_discard(struct session *session, json_t *result)
{
    const char *token = login_token(result);
    if (token != NULL)
        sessions_depart(session->all,
                        &(struct departing_token){session->user, session->domain, token, NULL},
                        DEPARTURE_DISCARDED);
    json_object_del(result, "ssoToken");
}

/* ---- parting ---- */

static void on_parted(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    parted(call->data);
    upstream_call_free(&call);
}

void session_part(struct session *session, const struct contract_operation *op, json_t *arguments)
{
    struct sessions *sessions = session->all;
    struct departure *departure = session->departing;
    struct upstream_call *call;

    if (departure == NULL || sessions->endpoint_down || sessions->upstream == NULL)
        return;
    if ((call = session_new_call(sessions, op, on_parted, departure)) == NULL)
        abort();
    if (codec_encode_forward(op, call->version, arguments,
                             op->takes_token ? departure->token : NULL, &call->request,
                             &call->error) != CG_OK) {
        upstream_call_free(&call);
        return;
    }
    call->command = 1;
    call->timeout_ms = PARTING_MS;
    ++departure->parting;
    upstream_submit(sessions->upstream, call);
}

void session_leave(struct session *session, enum departure_cause cause)
{
    struct sessions *sessions = session->all;
    struct departing_token token = token_of(session);
    struct departure *departure =
        session->token != NULL ? new_departure(sessions, &token, cause, sessions->endpoint) : NULL;

    session->departing = departure;
    if (sessions->on_parting != NULL)
        sessions->on_parting(sessions->data, session);
    session->departing = NULL;
    session_forget_token(session);
    if (departure != NULL)
        parted(departure);
}

/* ---- the end ---- */

static void finish(struct sessions *sessions)
{
    void (*done)(void *) = sessions->logoff_done;
    if (done == NULL)
        return;
    sessions->logoff_done = NULL;
    timer_disarm(sessions->loop, &sessions->logoff_timer);
    done(sessions->logoff_data);
}

void sessions_check_end(struct sessions *sessions)
{
    if (sessions->ending && sessions->logins_in_flight == 0 && sessions->departures == NULL)
        finish(sessions);
}

static void on_logoff_timer(struct timer *timer)
{
    finish((struct sessions *)((char *)timer - offsetof(struct sessions, logoff_timer)));
}

static void hurry_departures(struct sessions *sessions)
{
    struct departure *departure, *next;

    for (departure = sessions->departures; departure != NULL; departure = next) {
        next = departure->next;
        if (!timer_is_armed(&departure->again))
            continue;
        timer_disarm(sessions->loop, &departure->again);
        log_off(departure);
    }
}

void sessions_log_off(struct sessions *sessions, unsigned timeout_ms, void (*done)(void *),
                      void *data)
{
    struct session *session;

    sessions->ending = 1;
    sessions->logoff_timer.on_due = on_logoff_timer;
    timer_arm(sessions->loop, &sessions->logoff_timer, timeout_ms);
    endpoints_stop(sessions);
    timer_disarm(sessions->loop, &sessions->login_timer);
    hurry_departures(sessions);
    for (session = sessions->first; session != NULL; session = session->next) {
        session->logging_off = 1;
        timer_disarm(sessions->loop, &session->retry);
        timer_disarm(sessions->loop, &session->heartbeat);
        timer_disarm(sessions->loop, &session->linger);
        session_fail_waiting(session, CG_E_SHUTDOWN, NULL);
        if (session->token != NULL && !sessions->endpoint_down)
            session_leave(session, DEPARTURE_END);
    }
    sessions_end_lines(sessions);
    sessions->logoff_done = done;
    sessions->logoff_data = data;
    sessions_check_end(sessions);
}

void sessions_free_departures(struct sessions *sessions)
{
    sessions->ending = 0; /* nobody waits for the end any more */
    while (sessions->departures != NULL)
        free_departure(sessions->departures);
}
