/* Calls in a session: waiting for the login, sending, and the one repeat of a read after the session was lost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/upstream/session_private.h"

static void on_reply(struct message *message);

struct upstream_call *session_new_call(struct sessions *sessions,
                                       const struct contract_operation *op,
                                       void (*on_deliver)(struct message *), void *data)
{
    struct upstream_call *call = upstream_call_new(op);
    if (call == NULL)
        return NULL;
    call->message.on_deliver = on_deliver;
    call->reply_to = &sessions->loop->mailbox;
    call->version = op->service->soap11 ? SOAP_1_1 : SOAP_1_2;
    call->endpoint = sessions->endpoint;
    call->data = data;
    return call;
}

static void pending_free(struct pending_call *pending)
{
    json_decref(pending->arguments);
    session_drop(pending->session);
    free(pending);
}

static void finish(struct pending_call *pending, const struct session_outcome *outcome)
{
    pending->done(pending->data, outcome);
    pending_free(pending);
}

/* A failure without an exchange is told through the mailbox as well, so that `done` never runs inside session_call. */
static void fail_later(struct pending_call *pending, int rc)
{
    struct upstream_call *call =
        session_new_call(pending->session->all, pending->op, on_reply, pending);
    if (call == NULL)
        abort();
    call->rc = rc;
    call->http_status = -1;
    mailbox_send(call->reply_to, &call->message);
}

static void send_call(struct pending_call *pending)
{
    struct session *session = pending->session;
    struct sessions *sessions = session->all;
    struct upstream_call *call = session_new_call(sessions, pending->op, on_reply, pending);

    if (call == NULL)
        abort();
    call->command = pending->command;
    call->not_after_ms = pending->not_after_ms;
    memcpy(call->traceparent, pending->traceparent, sizeof(call->traceparent));
    pending->generation = session->generation;
    call->rc = codec_encode_forward(pending->op, call->version, pending->arguments,
                                    pending->op->takes_token ? session->token : NULL,
                                    &call->request, &call->error);
    if (call->rc == CG_OK && sessions->upstream == NULL)
        call->rc = CG_E_SHUTDOWN;
    if (call->rc != CG_OK) {
        call->http_status = -1;
        mailbox_send(call->reply_to, &call->message);
        return;
    }
    if (pending->op->takes_token)
        session->last_activity_ms = sessions->loop->now_ms;
    upstream_submit(sessions->upstream, call);
}

static void wait_for_session(struct pending_call *pending)
{
    pending->next = NULL;
    *pending->session->waiting_end = pending;
    pending->session->waiting_end = &pending->next;
}

static int may_wait(const struct session *session)
{
    return session->busy && !session->logging_off && !session->removed;
}

static void begin_call(struct session *session, const struct contract_operation *op,
                       json_t *arguments, int command, int64_t not_after_ms,
                       const char *traceparent, session_done done, void *data)
{
    struct pending_call *pending = calloc(1, sizeof(*pending));
    if (pending == NULL)
        abort();
    pending->session = session_hold(session);
    pending->op = op;
    pending->arguments = json_incref(arguments);
    pending->command = command;
    pending->not_after_ms = not_after_ms;
    pending->done = done;
    pending->data = data;
    if (traceparent != NULL)
        snprintf(pending->traceparent, sizeof(pending->traceparent), "%s", traceparent);
    if (session->logging_off || session->all->upstream == NULL)
        fail_later(pending, CG_E_SHUTDOWN);
    else if (session->state == SESSION_UP)
        send_call(pending);
    else if (may_wait(session))
        wait_for_session(pending);
    else if (session->all->endpoint_down && session->state != SESSION_DENIED)
        fail_later(pending, CG_E_REFUSED);
    else
        fail_later(pending, session->last_rc != CG_OK ? session->last_rc : CG_E_SESSION);
}

void session_command(struct session *session, const struct contract_operation *op,
                     json_t *arguments, int64_t not_after_ms, const char *traceparent,
                     session_done done, void *data)
{
    begin_call(session, op, arguments, 1, not_after_ms, traceparent, done, data);
}

void session_call(struct session *session, const struct contract_operation *op, json_t *arguments,
                  int command, const char *traceparent, session_done done, void *data)
{
    begin_call(session, op, arguments, command, 0, traceparent, done, data);
}

/* The session is away: the sooner of the two things that may bring it back. */
int64_t session_retry_after_ms(const struct session *session)
{
    int64_t at = session->all->endpoint_down ? session->all->probe.due_ms : session->retry_at_ms;
    int64_t wait = at - session->all->loop->now_ms;
    return wait > 1000 ? wait : 1000;
}

/* 1: the call goes on, nothing is to be told yet. */
static int repeat(struct pending_call *pending, const struct upstream_call *call)
{
    struct session *session = pending->session;

    if (call->rc != CG_E_FAULT || !call->fault.session_lost || !pending->op->takes_token)
        return 0;
    if (call->fault.session_doubtful) {
        session_prove(session);
        return 0;
    }
    if (!session->removed && pending->generation == session->generation &&
        session->state == SESSION_UP)
        session_lose(session, CG_E_SESSION);
    if (pending->repeated || pending->command || session->removed)
        return 0;
    pending->repeated = 1;
    if (session->state == SESSION_UP)
        send_call(pending);
    else if (may_wait(session))
        wait_for_session(pending);
    else
        return 0;
    return 1;
}

/* Of a session that is over the words may be about a token that we have not got any more: its name says enough. */
static void mask(const struct pending_call *pending, struct codec_fault *fault)
{
    const struct session *session = pending->session;

    if (fault->session_lost || pending->generation != session->generation)
        fault->message[0] = '\0';
    else
        session_mask_fault(fault, session->token, pending->arguments);
}

static int is_unknown(const struct upstream_call *call)
{
    return call->sent && call->http_status != -1 && call->rc != CG_OK && call->rc != CG_E_FAULT &&
           call->rc != CG_E_DENIED;
}

static void on_reply(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct pending_call *pending = call->data;
    struct session *session = pending->session;
    struct session_outcome outcome = {call->rc,     call->op, call->result,    &call->fault,
                                      &call->error, 0,        is_unknown(call)};

    mask(pending, &call->fault);
    endpoints_observe(session->all, call);
    if (repeat(pending, call)) {
        upstream_call_free(&call);
        return;
    }
    if (call->rc == CG_E_FAULT && call->fault.session_lost && !call->fault.session_doubtful)
        outcome.rc = CG_E_SESSION;
    if (outcome.rc == CG_E_REFUSED || outcome.rc == CG_E_SESSION || outcome.rc == CG_E_DENIED ||
        call->http_status == -1)
        outcome.retry_after_ms = session_retry_after_ms(session);
    if (call->http_status == -1 && session->last_fault != NULL)
        outcome.fault = session->last_fault;
    finish(pending, &outcome);
    upstream_call_free(&call);
}

static struct pending_call *take_waiting(struct session *session)
{
    struct pending_call *first = session->waiting;
    session->waiting = NULL;
    session->waiting_end = &session->waiting;
    return first;
}

void session_release_waiting(struct session *session)
{
    struct pending_call *pending = take_waiting(session), *next;
    for (; pending != NULL; pending = next) {
        next = pending->next;
        send_call(pending);
    }
}

void session_fail_waiting(struct session *session, int rc, const struct codec_fault *fault)
{
    struct pending_call *pending = take_waiting(session), *next;
    struct session_outcome outcome = {rc, NULL, NULL, fault, NULL, session_retry_after_ms(session),
                                      0};
    for (; pending != NULL; pending = next) {
        next = pending->next;
        outcome.op = pending->op;
        finish(pending, &outcome);
    }
}
