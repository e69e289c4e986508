/* What the files of the session manager share. Owner's thread only. */
#ifndef CCTGATE_SESSION_PRIVATE_H
#define CCTGATE_SESSION_PRIVATE_H

#include "cctgate/session.h"
#include "gateway/upstream/breaker.h"

#define LOGIN_BACKOFF_MIN_MS  500
#define LOGIN_BACKOFF_MAX_MS  30000
#define DENIED_BACKOFF_MIN_MS 30000 /* a wrong password must not lock the account out */
#define DENIED_BACKOFF_MAX_MS 300000
#define PROBE_BACKOFF_MIN_MS  200
#define PROBE_BACKOFF_MAX_MS  5000
#define STABLE_MS             30000 /* up for so long, a loss is news and not the last one again */
#define FREE_LOSSES           5 /* in a row that are answered by a login at once; then it backs off */
#define MISSED_HEARTBEATS_MAX 2 /* a server that takes connections and is silent is away, too */
#define LOGINS_PER_SECOND_MAX 1000
#define PARTING_MS            1000

struct pending_call {
    struct pending_call *next;
    struct session *session;
    const struct contract_operation *op;
    json_t *arguments;
    int64_t not_after_ms;
    int command, repeated;
    unsigned generation; /* of the token it was sent with */
    char traceparent[64];
    session_done done;
    void *data;
};

struct session {
    struct sessions *all;
    struct session *next;
    char *user, *domain, *agent, *password;
    uint32_t number;
    int shared;
    enum session_state state;
    int attempted;
    char *token;
    unsigned generation;       /* counts tokens */
    int announced;             /* on_up has run, and on_down has not */
    int proving;               /* a heartbeat is in flight */
    unsigned proof_generation; /* of the token that it was sent with */
    size_t parting;            /* calls that the logoff waits for */
    int busy;                  /* a login or a verification is in flight or queued */
    int logging_off;
    int login_in_flight;
    int missed_heartbeats;
    int losses;          /* one soon after the other */
    int64_t up_since_ms; /* monotonic */
    int removed;         /* out of the table; freed with its last reference */
    size_t references;   /* by calls that wait or are in flight */
    int failed_attempts;
    int last_rc; /* why it is not up */
    struct codec_fault *last_fault;
    int64_t last_activity_ms; /* monotonic */
    int64_t retry_at_ms;      /* monotonic */
    struct timer retry, heartbeat;
    struct pending_call *waiting, **waiting_end;
    struct session *login_next; /* in the queue of logins */
};

struct sessions {
    struct loop *loop;
    struct upstream *upstream;
    const struct contract *contract;
    struct config *config;
    void (*on_up)(void *, struct session *);
    void (*on_down)(void *, struct session *, const char *);
    void (*on_parting)(void *, struct session *);
    void *data;
    const struct contract_operation *login, *logoff, *heartbeat;
    struct session *first;
    struct session **by_number; /* SESSION_VIEWS_MAX */
    size_t total;

    /* pacing: when the last logins_per_second logins were started, a ring */
    int64_t login_ring[LOGINS_PER_SECOND_MAX];
    unsigned login_at;
    struct session *login_first, **login_end;
    struct timer login_timer;

    /* the endpoints: endpoints.c */
    void (*on_elsewhere)(void *, unsigned);
    struct breaker *breakers; /* as many as the configuration has endpoints */
    size_t num_endpoints;
    unsigned endpoint; /* the one in use */
    int endpoint_down; /* its breaker is not closed */
    int suspecting;    /* a probe finds out whether it is to be opened */
    int looking;       /* a probe of another endpoint is in flight */
    int look_failures;
    unsigned look_at;         /* the other endpoint that was tried last */
    int64_t down_ms;          /* monotonic: since when it is */
    int64_t proved_all_ms;    /* monotonic: when a loss made all be proven */
    int64_t other_loss_ms;    /* monotonic: the last loss before that */
    uint32_t polled;          /* the user's number whose session was polled last */
    struct timer probe, look; /* of the endpoint in use, of others */
    struct timer poll;
    int stopping;
    uint64_t moves;

    /* shutting down */
    size_t logoffs_left;
    struct timer logoff_timer;
    void (*logoff_done)(void *);
    void *logoff_data;

    uint64_t logins, login_failures, losses, heartbeats;
};

/* session_login.c */
void session_connect(struct session *session);      /* log in or verify; joins what is under way */
void session_lose(struct session *session, int rc); /* the token is void, or the endpoint is away */
void session_announce_down(struct session *session, const char *why);
/* Lets others part, then logs off, as a session that was removed or as one of all; at once when there is nothing to wait for. */
void session_leave(struct session *session);
void session_forget_token(struct session *session);
void session_set_state(struct session *session, enum session_state state);
void sessions_run_logins(struct sessions *sessions);
void sessions_on_login_timer(struct timer *timer);
int64_t session_backoff(int failures, int64_t min_ms, int64_t max_ms);
/* What is on the screen changes: nothing that was read so far is covered. */
void session_publish_lost(struct session *session);
void session_remember_failure(struct session *session, int rc, struct codec_fault *fault);
/* No answer, as opposed to one that is of no use. */
int session_is_away(int rc);
/* Ends a token at an endpoint that is not in use any more. */
void session_log_off_at(struct session *session, const char *token, unsigned endpoint);
void session_on_retry(struct timer *timer);
void session_on_heartbeat(struct timer *timer);

/* endpoints.c */
int endpoints_init(struct sessions *sessions); /* CG_E_NOMEM */
void endpoints_release(struct sessions *sessions);
void endpoints_configure(struct sessions *sessions);
/* What a call has come to says of its endpoint. Before anything else is made of it. */
void endpoints_observe(struct sessions *sessions, const struct upstream_call *call);
void sessions_endpoint_lost(struct sessions *sessions);
/* A session was found void: others may be as well. */
void endpoints_session_lost(struct sessions *sessions);
/* The call went to an endpoint that has been left. */
int endpoints_is_left(const struct sessions *sessions, const struct upstream_call *call);
void endpoints_stop(struct sessions *sessions);

/* session.c */
struct session *session_hold(struct session *session);
void session_drop(struct session *session);
void session_say_farewell(struct session *session); /* logs off one that was removed */

/* session_call.c */
struct upstream_call *session_new_call(struct sessions *sessions,
                                       const struct contract_operation *op,
                                       void (*on_deliver)(struct message *), void *data);
void session_release_waiting(struct session *session); /* it is up: send them */
void session_fail_waiting(struct session *session, int rc, const struct codec_fault *fault);

#endif
