/*
 * Signing on: users who bring their own password.
 *
 * Who signs on as one user stands in one line. For each the session is looked at: a password that its live session was logged in with is
 * taken at once; one that the session's own login is being made with waits for that; what is neither is tried at the contact
 * centre, by one login at a time for a line, paced as all logins. A login that was taken becomes the session, where there is none or none with
 * a token, and is logged off otherwise. Its outcome is that of all in the line who brought the same; the others go on by themselves.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <uthash.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"
#include "cctgate/secret.h"
#include "gateway/upstream/session_private.h"

#define LINGER_AGAIN_MS 1000

struct sign_on {
    struct message message;
    struct sign_on *next;
    struct sessions *all;
    uint32_t number;
    char *user, *domain, *password;
    sign_on_done done;
    void *data;
};

struct sign_on_line {
    UT_hash_handle hh;
    struct sessions *all;
    uint32_t number;
    struct sign_on *first, **end;
    struct sign_on
        *tried; /* the one whose password is at the contact centre, or waits for its turn */
    struct login_turn turn;
};

static void answer(struct sign_on *sign_on, const struct sign_on_outcome *outcome)
{
    if (outcome->rc == CG_OK)
        session_attach(outcome->session);
    --sign_on->all->num_signing_on;
    sign_on->done(sign_on->data, outcome);
    secret_wipe(&sign_on->password);
    free(sign_on->user);
    free(sign_on->domain);
    free(sign_on);
}

static struct sign_on *take_out(struct sign_on_line *line, struct sign_on **at)
{
    struct sign_on *sign_on = *at;
    if ((*at = sign_on->next) == NULL)
        line->end = at;
    return sign_on;
}

/* ---- what becomes of one ---- */

enum decision { DECISION_ANSWER, DECISION_WAIT, DECISION_TRY };

static enum decision decide_unknown(const struct sessions *sessions, const struct session *session,
                                    struct sign_on_outcome *outcome)
{
    if (session != NULL && session->busy)
        return DECISION_WAIT;
    if (session == NULL && sessions->total >= CG_SESSIONS_MAX)
        outcome->rc = CG_E_LIMIT;
    else if (!sessions->endpoint_down)
        return DECISION_TRY;
    else {
        outcome->rc = CG_E_REFUSED;
        outcome->retry_after_ms = sessions->probe.due_ms - sessions->loop->now_ms;
    }
    return DECISION_ANSWER;
}

static enum decision decide(const struct sign_on *sign_on, struct sign_on_outcome *outcome)
{
    struct sessions *sessions = sign_on->all;
    struct session *session = sessions_find(sessions, sign_on->number);

    *outcome = (struct sign_on_outcome){.rc = CG_E_SHUTDOWN};
    if (sessions->ending || sessions->upstream == NULL)
        return DECISION_ANSWER;
    outcome->rc = CG_E_CORRUPT;
    if (session != NULL && strcasecmp(session->user, sign_on->user) != 0)
        return DECISION_ANSWER; /* a number that two have is nobody's door */
    outcome->rc = CG_E_DENIED;
    if (session != NULL && sign_on->domain != NULL &&
        strcasecmp(session->domain, sign_on->domain) != 0)
        return DECISION_ANSWER;
    if (session == NULL || !session_is_password(session, sign_on->password) ||
        session->state == SESSION_DENIED)
        return decide_unknown(sessions, session, outcome);
    if (session->busy)
        return DECISION_WAIT;
    outcome->rc = session_is_up(session) ? CG_OK : session->last_rc;
    outcome->session = session;
    if (outcome->rc != CG_OK)
        outcome->retry_after_ms = session_retry_after_ms(session);
    return DECISION_ANSWER;
}

/* ---- trying a password ---- */

static int is_same(const struct sign_on *one, const struct sign_on *other)
{
    size_t length = strlen(one->password);
    return length == strlen(other->password) &&
           secret_equal(one->password, other->password, length) &&
           (one->domain == NULL
                ? other->domain == NULL
                : other->domain != NULL && strcasecmp(one->domain, other->domain) == 0);
}

static void on_tried(struct message *message);

static void on_turn(struct login_turn *turn)
{
    struct sign_on_line *line =
        (struct sign_on_line *)((char *)turn - offsetof(struct sign_on_line, turn));
    const struct session *session = sessions_find(line->all, line->number);
    const struct sign_on *tried = line->tried;
    const char *domain = tried->domain != NULL ? tried->domain
                         : session != NULL     ? session->domain
                                               : "";

    sessions_log_in(line->all, &(struct login_credentials){tried->user, domain, tried->password},
                    on_tried, line);
}

static void free_if_empty(struct sign_on_line *line)
{
    if (line->first != NULL)
        return;
    HASH_DEL(line->all->lines, line);
    free(line);
}

static void go_on(struct sign_on_line *line)
{
    struct sign_on **at = &line->first, *sign_on;
    struct sign_on_outcome outcome;
    enum decision decision;

    while ((sign_on = *at) != NULL) {
        decision = sign_on == line->tried ? DECISION_WAIT : decide(sign_on, &outcome);
        if (decision == DECISION_ANSWER) {
            answer(take_out(line, at), &outcome);
            continue;
        }
        at = &sign_on->next;
        if (decision != DECISION_TRY || line->tried != NULL)
            continue;
        line->tried = sign_on;
        sessions_queue_login(line->all, &line->turn);
    }
    free_if_empty(line);
}

/* All who brought what was tried. */
static void answer_same(struct sign_on_line *line, const struct sign_on *tried,
                        const struct sign_on_outcome *outcome)
{
    struct sign_on **at = &line->first, *last = NULL;

    while (*at != NULL)
        if (*at != tried && is_same(*at, tried))
            answer(take_out(line, at), outcome);
        else
            at = &(*at)->next;
    for (at = &line->first; *at != tried; at = &(*at)->next)
        ;
    last = take_out(line, at);
    answer(last, outcome);
}

static void depart(struct sign_on_line *line, const char *token, enum departure_cause cause)
{
    const struct sign_on *tried = line->tried;
    sessions_depart(line->all,
                    &(struct departing_token){
                        tried->user, tried->domain != NULL ? tried->domain : "", token, NULL},
                    cause);
}

static void depart_from(struct sign_on_line *line, const char *token, unsigned endpoint)
{
    const struct sign_on *tried = line->tried;
    sessions_depart_from(line->all,
                         &(struct departing_token){
                             tried->user, tried->domain != NULL ? tried->domain : "", token, NULL},
                         DEPARTURE_DISCARDED, endpoint);
}

/* The password is right. What it gave is the session's, if that has none; then the line finds a session that takes the password. */
static int take_in(struct sign_on_line *line, const char *token, int64_t login_ms)
{
    struct sessions *sessions = line->all;
    struct session *session = sessions_find(sessions, line->number);
    const struct sign_on *tried = line->tried;
    struct login_credentials credentials = {tried->user, tried->domain != NULL ? tried->domain : "",
                                            tried->password};
    int rc = CG_OK;

    if (session == NULL &&
        (session = sessions_insert(sessions, &credentials, line->number, &rc)) != NULL)
        session_linger(session); /* until somebody attaches */
    else if (session != NULL && !session_is_password(session, tried->password))
        rc = session_set_password(session, tried->password);
    if (session == NULL || rc != CG_OK || session->token != NULL || session->busy) {
        depart(line, token, DEPARTURE_DISCARDED);
        if (session != NULL)
            session_prove_password(session);
        return rc;
    }
    session_prove_password(session);
    session->login_ms = login_ms;
    session_arrive(session, token);
    return CG_OK;
}

static void on_tried(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct sign_on_line *line = call->data;
    struct sessions *sessions = line->all;
    struct sign_on *tried = line->tried;
    struct sign_on_outcome outcome = {.rc = call->rc};
    const char *token = call->rc == CG_OK ? login_token(call->result) : NULL;

    endpoints_observe(sessions, call);
    if (call->rc == CG_OK && token == NULL)
        outcome.rc = CG_E_PROTOCOL;
    if (token != NULL && endpoints_is_left(sessions, call)) {
        depart_from(line, token, call->endpoint);
        outcome.rc = CG_E_SESSION; /* of no use here */
        token = NULL;
    }
    if (token != NULL && sessions->ending)
        depart(line, token, DEPARTURE_END);
    else if (token != NULL)
        outcome.rc = take_in(line, token, call->elapsed_us / 1000);
    else if (login_is_denied(call->rc, &call->fault))
        outcome = (struct sign_on_outcome){.rc = CG_E_DENIED,
                                           .fault = call->rc == CG_E_FAULT ? &call->fault : NULL};
    if (outcome.rc != CG_OK) {
        ++sessions->login_failures;
        answer_same(line, tried, &outcome);
    }
    line->tried = NULL;
    go_on(line);
    sessions_login_ended(sessions);
    upstream_call_free(&call);
}

/* ---- the line ---- */

static struct sign_on_line *find_line(struct sessions *sessions, uint32_t number)
{
    struct sign_on_line *line;
    HASH_FIND(hh, sessions->lines, &number, sizeof(number), line);
    return line;
}

static struct sign_on_line *make_line(struct sessions *sessions, uint32_t number)
{
    struct sign_on_line *line = calloc(1, sizeof(*line));

    if (line == NULL)
        abort();
    line->all = sessions;
    line->number = number;
    line->end = &line->first;
    line->turn.on_turn = on_turn;
    HASH_ADD(hh, sessions->lines, number, sizeof(line->number), line);
    return line;
}

static void on_come(struct message *message)
{
    struct sign_on *sign_on = (struct sign_on *)message;
    struct sessions *sessions = sign_on->all;
    struct sign_on_line *line;

    if (sign_on->number == 0 || sign_on->number >= SESSION_VIEWS_MAX ||
        sessions->num_signing_on > CG_SIGN_ONS_MAX) {
        answer(sign_on, &(struct sign_on_outcome){.rc = CG_E_LIMIT});
        return;
    }
    if ((line = find_line(sessions, sign_on->number)) == NULL)
        line = make_line(sessions, sign_on->number);
    sign_on->next = NULL;
    *line->end = sign_on;
    line->end = &sign_on->next;
    go_on(line);
}

void sessions_sign_on(struct sessions *sessions, uint32_t number, const char *user,
                      const char *domain, const char *password, sign_on_done done, void *data)
{
    struct sign_on *sign_on = calloc(1, sizeof(*sign_on));

    if (sign_on == NULL || (sign_on->user = strdup(user)) == NULL ||
        (sign_on->password = strdup(password)) == NULL ||
        (domain != NULL && (sign_on->domain = strdup(domain)) == NULL))
        abort();
    sign_on->all = sessions;
    sign_on->number = number;
    sign_on->done = done;
    sign_on->data = data;
    sign_on->message.on_deliver = on_come;
    ++sessions->num_signing_on;
    mailbox_send(&sessions->loop->mailbox, &sign_on->message);
}

void sessions_settled(struct sessions *sessions, uint32_t number)
{
    struct sign_on_line *line = find_line(sessions, number);
    if (line != NULL)
        go_on(line);
}

void sessions_end_lines(struct sessions *sessions)
{
    struct sign_on_line *line, *next;

    HASH_ITER(hh, sessions->lines, line, next)
    {
        if (line->tried != NULL && sessions_unqueue_login(sessions, &line->turn))
            line->tried = NULL;
        go_on(line);
    }
}

void sessions_free_lines(struct sessions *sessions)
{
    struct sign_on_line *line, *next;

    HASH_ITER(hh, sessions->lines, line, next)
    {
        sessions_unqueue_login(sessions, &line->turn);
        while (line->first != NULL)
            answer(take_out(line, &line->first), &(struct sign_on_outcome){.rc = CG_E_SHUTDOWN});
        HASH_DEL(sessions->lines, line);
        free(line);
    }
}

/* ---- who needs a session ---- */

int session_is_configured(const struct session *session)
{
    return session->configured;
}

void session_linger(struct session *session)
{
    struct sessions *sessions = session->all;

    if (!session->removed && !session->configured && session->attachments == 0 && !sessions->ending)
        timer_arm(sessions->loop, &session->linger, sessions->config->session_linger_ms);
}

void session_on_linger(struct timer *timer)
{
    struct session *session = (struct session *)((char *)timer - offsetof(struct session, linger));
    struct sessions *sessions = session->all;
    uint32_t number = session->number;

    if (find_line(sessions, number) != NULL) { /* somebody is about to need it */
        timer_arm(sessions->loop, timer, LINGER_AGAIN_MS);
        return;
    }
    session_remove(session, "nobody needs the session any more");
    if (sessions->on_removed != NULL)
        sessions->on_removed(sessions->data, number);
}

/* A configured session whose configuration has changed was made anew. */
static struct session *heir_of(struct session *session)
{
    while (session->heir != NULL)
        session = session->heir;
    return session;
}

void session_attach(struct session *session)
{
    struct session *heir = heir_of(session);

    session_hold(session);
    ++heir->attachments;
    if (!heir->removed)
        timer_disarm(heir->all->loop, &heir->linger);
}

void session_detach(struct session *session)
{
    struct session *heir = heir_of(session);

    if (--heir->attachments == 0)
        session_linger(heir);
    session_drop(session);
}
