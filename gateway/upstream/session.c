/* The table of sessions: what exists, and what others may know of it. */
#include "cctgate/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"
#include "cctgate/secret.h"
#include "gateway/upstream/session_private.h"

struct session_view session_views[SESSION_VIEWS_MAX];

/* The operations that a session itself needs: the facade's mapping for the session manager. */
static const struct {
    const char *service, *operation;
    size_t offset;
} needed[] = {
    {"UserService", "LogInToCCTServer", offsetof(struct sessions, login)},
    {"UserService", "LogOffFromCCTServer", offsetof(struct sessions, logoff)},
    {"SessionService", "GetCurrentTerminalCount", offsetof(struct sessions, heartbeat)},
};

const char *session_state_name(enum session_state state)
{
    static const char *const names[] = {"connecting", "up", "down", "denied"};
    return names[state];
}

struct freshness_source session_view_source(uint32_t user)
{
    static const struct freshness_source none = {0, 0, 0};
    if (user >= SESSION_VIEWS_MAX)
        return none;
    return (struct freshness_source){
        atomic_load_explicit(&session_views[user].healthy_since_ms, memory_order_acquire),
        atomic_load_explicit(&session_views[user].lost_at_ms, memory_order_acquire),
        atomic_load_explicit(&session_views[user].live, memory_order_acquire)};
}

static int resolve(struct sessions *sessions, char *error, size_t error_size)
{
    size_t i;
    for (i = 0; i < sizeof(needed) / sizeof(needed[0]); ++i) {
        const struct contract_operation *op =
            contract_find(sessions->contract, needed[i].service, needed[i].operation);
        if (op == NULL) {
            snprintf(error, error_size, "the contract has no operation %s.%s, which sessions need",
                     needed[i].service, needed[i].operation);
            return CG_E_INVALID;
        }
        memcpy((char *)sessions + needed[i].offset, &op, sizeof(op));
    }
    return CG_OK;
}

int sessions_new(struct sessions **out, const struct sessions_settings *settings, char *error,
                 size_t error_size)
{
    struct sessions *sessions;
    int rc;

    *out = NULL;
    if ((sessions = calloc(1, sizeof(*sessions))) == NULL)
        return CG_E_NOMEM;
    sessions->loop = settings->loop;
    sessions->upstream = settings->upstream;
    sessions->contract = settings->contract;
    sessions->config = config_ref(settings->config);
    sessions->on_up = settings->on_up;
    sessions->on_down = settings->on_down;
    sessions->on_parting = settings->on_parting;
    sessions->on_removed = settings->on_removed;
    sessions->on_renewed = settings->on_renewed;
    sessions->data = settings->data;
    sessions->login_end = &sessions->login_first;
    sessions->on_elsewhere = settings->on_elsewhere;
    sessions->login_timer.on_due = sessions_on_login_timer;
    sessions->by_number = calloc(SESSION_VIEWS_MAX, sizeof(*sessions->by_number));
    if (sessions->by_number == NULL || endpoints_init(sessions) != CG_OK ||
        (rc = resolve(sessions, error, error_size)) != CG_OK) {
        rc = sessions->by_number == NULL || sessions->breakers == NULL ? CG_E_NOMEM : CG_E_INVALID;
        sessions_free(&sessions);
        return rc;
    }
    *out = sessions;
    return CG_OK;
}

void session_forget_token(struct session *session)
{
    secret_wipe(&session->token);
}

static void session_free(struct session *session)
{
    if (session->last_fault != NULL)
        codec_fault_release(session->last_fault);
    free(session->last_fault);
    secret_wipe(&session->token);
    secret_wipe(&session->password);
    free(session->user);
    free(session->domain);
    free(session->agent);
    json_decref(session->note);
    json_decref(session->left_note);
    if (session->heir != NULL)
        session_drop(session->heir);
    free(session);
}

/* Nothing of its own may happen to it any more; what is in flight keeps the memory. */
static void retire(struct session *session)
{
    timer_disarm(session->all->loop, &session->retry);
    timer_disarm(session->all->loop, &session->heartbeat);
    timer_disarm(session->all->loop, &session->linger);
    session->removed = 1;
    session->state = SESSION_DOWN;
    if (session->references == 0)
        session_free(session);
}

struct session *session_hold(struct session *session)
{
    ++session->references;
    return session;
}

void session_drop(struct session *session)
{
    if (--session->references == 0 && session->removed)
        session_free(session);
}

static void free_left(struct sessions *sessions)
{
    struct left_token *left;
    while ((left = sessions->left) != NULL) {
        sessions->left = left->next;
        left_token_free(&left);
    }
}

void sessions_free(struct sessions **in)
{
    struct sessions *sessions = *in;
    struct session *session, *next;

    if (sessions == NULL)
        return;
    *in = NULL;
    timer_disarm(sessions->loop, &sessions->login_timer);
    endpoints_release(sessions);
    timer_disarm(sessions->loop, &sessions->logoff_timer);
    sessions_free_lines(sessions);
    sessions_free_departures(sessions);
    for (session = sessions->first; session != NULL; session = next) {
        next = session->next;
        session_hold(session);
        session_fail_waiting(session, CG_E_SHUTDOWN, NULL);
        session_drop(session);
        retire(session);
    }
    free_left(sessions);
    journal_free(&sessions->journal);
    free(sessions->by_number);
    config_unref(&sessions->config);
    free(sessions);
}

static struct session *session_new(struct sessions *sessions,
                                   const struct login_credentials *credentials, uint32_t number)
{
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return NULL;
    session->all = sessions;
    session->number = number;
    session->waiting_end = &session->waiting;
    session->retry.on_due = session_on_retry;
    session->heartbeat.on_due = session_on_heartbeat;
    session->linger.on_due = session_on_linger;
    session->login.on_turn = session_on_login_turn;
    session->user = strdup(credentials->user);
    session->domain = strdup(credentials->domain);
    if (session->user == NULL || session->domain == NULL ||
        (credentials->password != NULL &&
         session_set_password(session, credentials->password) != CG_OK)) {
        session_free(session);
        return NULL;
    }
    return session;
}

struct session *sessions_insert(struct sessions *sessions,
                                const struct login_credentials *credentials, uint32_t number,
                                int *rc)
{
    struct session *session;
    struct session_view *view = &session_views[number];

    if ((session = session_new(sessions, credentials, number)) == NULL) {
        *rc = CG_E_NOMEM;
        return NULL;
    }
    session->next = sessions->first;
    sessions->first = session;
    sessions->by_number[number] = session;
    ++sessions->total;
    atomic_store(&view->healthy_since_ms, 0);
    atomic_store(&view->lost_at_ms, clock_steady_ms());
    atomic_store(&view->configured, 1);
    session_set_state(session, SESSION_CONNECTING);
    return session;
}

static void unlink_session(struct session *session)
{
    struct session **at;
    for (at = &session->all->first; *at != session; at = &(*at)->next)
        ;
    *at = session->next;
    sessions_unqueue_login(session->all, &session->login);
    session->all->by_number[session->number] = NULL;
    --session->all->total;
}

void session_remove(struct session *session, const char *why)
{
    struct sessions *sessions = session->all;
    uint32_t number = session->number;

    session_hold(session);
    session_announce_down(session, why);
    session->removed = 1;
    session_fail_waiting(session, CG_E_SHUTDOWN, NULL);
    session_leave(session, DEPARTURE_REMOVED);
    atomic_store(&session_views[number].configured, 0);
    atomic_store(&session_views[number].healthy_since_ms, 0);
    atomic_store(&session_views[number].lost_at_ms, clock_steady_ms());
    unlink_session(session);
    retire(session);
    session_drop(session);
    sessions_settled(sessions, number);
}

/* ---- what the configuration names ---- */

static int configure(struct session *session, const struct config_session *config)
{
    char *agent = config->agent != NULL ? strdup(config->agent) : NULL;

    if (config->agent != NULL && agent == NULL)
        return CG_E_NOMEM;
    free(session->agent);
    session->agent = agent;
    session->shared = config->shared;
    session->configured = 1;
    timer_disarm(session->all->loop, &session->linger);
    return CG_OK;
}

/* It goes on living with the token it has; its next login is made with the configured password. */
static int take_over(struct session *session, const struct config_session *config)
{
    int rc = configure(session, config);

    if (rc == CG_OK && !session_is_password(session, config->password))
        rc = session_set_password(session, config->password);
    if (rc == CG_OK && session->state != SESSION_UP)
        session_connect(session);
    return rc;
}

static struct session *make_anew(struct sessions *sessions, struct session *old,
                                 const struct login_credentials *credentials, uint32_t number)
{
    struct session *session;
    int rc;

    if (old != NULL) {
        session_hold(old);
        session_remove(old, "session configured anew");
    }
    session = sessions_insert(sessions, credentials, number, &rc);
    if (session != NULL && old != NULL) {
        old->heir = session_hold(session);
        session->attachments = old->attachments;
        old->attachments = 0;
    }
    if (old != NULL)
        session_drop(old);
    return session;
}

int sessions_add(struct sessions *sessions, const struct config_session *config, uint32_t number)
{
    struct login_credentials credentials = {
        config->user, config->domain != NULL ? config->domain : "", config->password};
    struct left_token *left;
    struct session *session;

    if (number == 0 || number >= SESSION_VIEWS_MAX)
        return CG_E_LIMIT;
    session = sessions->by_number[number];
    if (session != NULL && !session->configured &&
        strcasecmp(session->domain, credentials.domain) == 0)
        return take_over(session, config);
    if ((session = make_anew(sessions, session, &credentials, number)) == NULL)
        return CG_E_NOMEM;
    if (configure(session, config) != CG_OK) {
        session_remove(session, "no memory");
        return CG_E_NOMEM;
    }
    if ((left = journal_take(sessions, credentials.user, credentials.domain)) != NULL)
        session_adopt(session, left);
    left_token_free(&left);
    session_connect(session);
    return CG_OK;
}

int sessions_remove(struct sessions *sessions, uint32_t number)
{
    struct session *session = sessions_find(sessions, number);

    if (session == NULL || !session->configured)
        return 0;
    if (session->attachments > 0) {
        session->configured = session->shared = 0;
        free(session->agent);
        session->agent = NULL;
        return 0;
    }
    session_remove(session, "session removed");
    return 1;
}

void sessions_detach(struct sessions *sessions)
{
    if (sessions != NULL)
        sessions->upstream = NULL;
}

struct session *sessions_find(struct sessions *sessions, uint32_t number)
{
    return number < SESSION_VIEWS_MAX ? sessions->by_number[number] : NULL;
}

struct session *sessions_find_by_name(struct sessions *sessions, const char *user)
{
    struct session *session;
    for (session = sessions->first; session != NULL; session = session->next)
        if (strcmp(session->user, user) == 0)
            return session;
    return NULL;
}

void sessions_configure(struct sessions *sessions, struct config *config)
{
    config_ref(config);
    config_unref(&sessions->config);
    sessions->config = config;
    endpoints_configure(sessions);
}

const char *session_user(const struct session *session)
{
    return session->user;
}

const char *session_domain(const struct session *session)
{
    return session->domain;
}

const char *session_agent(const struct session *session)
{
    return session->agent;
}

uint32_t session_number(const struct session *session)
{
    return session->number;
}

const char *session_endpoint(const struct session *session)
{
    return session->all->config->upstream.endpoints[session->all->endpoint].name;
}

unsigned session_endpoint_index(const struct session *session)
{
    return session->all->endpoint;
}

unsigned session_generation(const struct session *session)
{
    return session->generation;
}

int session_has_token(const struct session *session)
{
    return session->token != NULL;
}

int session_is_shared(const struct session *session)
{
    return session->shared;
}

int session_is_up(const struct session *session)
{
    return session->state == SESSION_UP && !session->removed && !session->logging_off;
}

static json_t *describe_one(const struct session *session)
{
    const struct session_view *view = &session_views[session->number];
    int64_t since = atomic_load(&view->healthy_since_ms);
    json_t *object = json_pack(
        "{s:s, s:s, s:s?, s:s, s:s, s:b, s:b}", "user", session->user, "domain", session->domain,
        "agent", session->agent, "state", session_state_name(session->state), "endpoint",
        session_endpoint(session), "shared", session->shared, "signedOn", !session->configured);
    if (object == NULL)
        return NULL;
    json_object_set_new(object, "sinceMs",
                        since != 0 ? json_integer(clock_told_ms(since)) : json_null());
    json_object_set_new(object, "staleSinceMs",
                        since == 0 ? json_integer(clock_told_ms(atomic_load(&view->lost_at_ms)))
                                   : json_null());
    if (session->state != SESSION_UP && session->attempted)
        json_object_set_new(object, "reason", json_string(cg_error_name(session->last_rc)));
    if (session->shared)
        json_object_set_new(object, "unsupportedMapping", json_true());
    return object;
}

static int is_among(uint32_t number, const uint32_t *users, size_t num_users)
{
    size_t i;
    if (users == NULL)
        return 1;
    for (i = 0; i < num_users; ++i)
        if (users[i] == number)
            return 1;
    return 0;
}

json_t *sessions_describe(struct sessions *sessions, const uint32_t *users, size_t num_users)
{
    json_t *array = json_array();
    const struct session *session;
    for (session = sessions->first; array != NULL && session != NULL; session = session->next)
        if (is_among(session->number, users, num_users))
            json_array_append_new(array, describe_one(session));
    return array;
}

void sessions_summarise(const struct sessions *sessions, struct sessions_summary *summary,
                        int (*unread)(void *data, uint32_t user), void *data)
{
    const struct departure *departure;
    const struct session *session;
    memset(summary, 0, sizeof(*summary));
    for (session = sessions->first; session != NULL; session = session->next) {
        ++summary->total;
        summary->up += session->state == SESSION_UP;
        summary->denied += session->state == SESSION_DENIED;
        summary->attempted += session->attempted != 0;
        summary->signed_on += !session->configured;
    }
    for (session = sessions->first; unread != NULL && session != NULL; session = session->next)
        summary->unread += session->state == SESSION_UP && unread(data, session->number);
    for (departure = sessions->departures; departure != NULL; departure = departure->next)
        ++summary->leaving;
    summary->endpoint_down = sessions->endpoint_down;
    summary->endpoint = sessions->config->upstream.endpoints[sessions->endpoint].name;
    summary->moves = sessions->moves;
    summary->logins = sessions->logins;
    summary->login_failures = sessions->login_failures;
    summary->losses = sessions->losses;
    summary->heartbeats = sessions->heartbeats;
    summary->adoptions = sessions->adoptions;
}
