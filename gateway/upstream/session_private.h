/* What the files of the session manager share. Owner's thread only. */
#ifndef CCTGATE_SESSION_PRIVATE_H
#define CCTGATE_SESSION_PRIVATE_H

#include "cctgate/session.h"
#include "gateway/upstream/breaker.h"

#define LOGIN_BACKOFF_MIN_MS   500
#define LOGIN_BACKOFF_MAX_MS   30000
#define DENIED_BACKOFF_MIN_MS  30000 /* a wrong password must not lock the account out */
#define DENIED_BACKOFF_MAX_MS  300000
#define PROBE_BACKOFF_MIN_MS   200
#define PROBE_BACKOFF_MAX_MS   5000
#define STABLE_MS              30000 /* up for so long, a loss is news and not the last one again */
#define FREE_LOSSES            5 /* in a row that are answered by a login at once; then it backs off */
#define MISSED_HEARTBEATS_MAX  2 /* a server that takes connections and is silent is away, too */
#define LOGINS_PER_SECOND_MAX  1000
#define PARTING_MS             1000
#define OVERLAP_MS             30000 /* a token that was replaced before its end is kept for so long */
#define LEAVING_BACKOFF_MIN_MS 1000
#define LEAVING_BACKOFF_MAX_MS 60000
#define PROOF_BYTES            32
#define SALT_BYTES             16

#define JOURNAL_ID_BYTES 16

/* Names a row of the journal, together with the user; "": not journalled. */
struct journal_id {
    char text[JOURNAL_ID_BYTES + 1];
};

/* A token that the journal knew at the start. */
struct left_token {
    struct left_token *next;
    char *user, *domain, *token;
    char *endpoint;   /* the name of the one that knows it */
    int64_t since_ms; /* steady */
    json_t *note;     /* session_set_note's, or NULL */
    struct journal_id id;
};

/* A place in the queue of logins: whatever logs in waits here until it may. */
struct login_turn {
    struct login_turn *next;
    void (*on_turn)(struct login_turn *turn);
};

/*
 * A token that nobody wants any more, from the moment that is known until the contact centre has been told: of a session that was
 * removed, of a login that was not for itself. Where it cannot be told, it is tried again.
 */
struct departure {
    struct departure *next, **at;
    struct sessions *all;
    char *user, *token;
    unsigned endpoint; /* where the token is of */
    struct journal_id row;
    enum departure_cause {
        DEPARTURE_REMOVED,
        DEPARTURE_DISCARDED,
        DEPARTURE_LEFT,
        DEPARTURE_END
    } cause;
    size_t parting; /* calls that the logoff waits for */
    int failures;
    struct timer again;
};

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
    int configured;
    size_t attachments;
    struct session *heir; /* removed: what has taken its place, and its attachments */
    struct timer linger;
    int has_proof; /* the password is one that the contact centre took */
    uint8_t salt[SALT_BYTES], proof[PROOF_BYTES];
    enum session_state state;
    int attempted;
    char *token;
    unsigned generation;         /* counts tokens */
    struct journal_id row;       /* of the token */
    int unjournalled;            /* the disk refused it */
    int renewing;                /* a login is under way while the token still lives */
    int adopted;                 /* the token is one that a crash has left, and not proven yet */
    json_t *note, *left_note;    /* what goes with the token; what came with one that was adopted */
    int announced;               /* on_up has run, and on_down has not */
    int proving;                 /* a heartbeat is in flight */
    unsigned proof_generation;   /* of the token that it was sent with */
    struct departure *departing; /* while on_parting runs */
    int busy;                    /* a login or a verification is in flight or queued */
    int logging_off;
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
    struct login_turn login;
    int64_t login_ms; /* how long the last one took */
};

struct sessions {
    struct loop *loop;
    struct upstream *upstream;
    const struct contract *contract;
    struct config *config;
    void (*on_up)(void *, struct session *);
    void (*on_down)(void *, struct session *, const char *);
    void (*on_parting)(void *, struct session *);
    void (*on_removed)(void *, uint32_t);
    void (*on_renewed)(void *, struct session *);
    void *data;
    const struct contract_operation *login, *logoff, *heartbeat;
    struct session *first;
    struct session **by_number; /* SESSION_VIEWS_MAX */
    size_t total;

    /* pacing: when the last logins ended, a ring */
    int64_t login_ring[LOGINS_PER_SECOND_MAX];
    unsigned login_at;
    int64_t login_started_ms; /* the last one */
    struct login_turn *login_first, **login_end;
    struct timer login_timer;

    struct sign_on_line *lines; /* by number: who is signing on */
    size_t num_signing_on;
    struct departure *departures;

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
    uint64_t moves;

    /* shutting down */
    int ending;
    size_t logins_in_flight; /* what they give is to be logged off before the end */
    struct timer logoff_timer;
    void (*logoff_done)(void *);
    void *logoff_data;

    struct journal *journal; /* NULL: nothing is written down */
    struct left_token *left; /* until sessions_settle */

    uint64_t logins, login_failures, losses, heartbeats, adoptions;
};

/* session_login.c */
void session_connect(struct session *session);      /* log in or verify; joins what is under way */
void session_lose(struct session *session, int rc); /* the token is void, or the endpoint is away */
void session_announce_down(struct session *session, const char *why);
/* A login has given it a token: it comes up. */
void session_arrive(struct session *session, const char *token);
void session_forget_token(struct session *session);
void session_set_state(struct session *session, enum session_state state);
void sessions_on_login_timer(struct timer *timer);
/* What is on the screen changes: nothing that was read so far is covered. */
void session_publish_lost(struct session *session);
void session_remember_failure(struct session *session, int rc, struct codec_fault *fault);
void session_on_retry(struct timer *timer);
void session_on_login_turn(struct login_turn *turn);
void session_on_heartbeat(struct timer *timer);
/* The pace of all logins: on_turn runs when there may be one more, and makes it. */
void sessions_queue_login(struct sessions *sessions, struct login_turn *turn);
/* 1: it was in the queue. */
int sessions_unqueue_login(struct sessions *sessions, struct login_turn *turn);
struct login_credentials {
    const char *user, *domain, *password;
};
/* Sends one; on_login ends it by sessions_login_ended. */
void sessions_log_in(struct sessions *sessions, const struct login_credentials *credentials,
                     void (*on_login)(struct message *), void *data);
void sessions_login_ended(struct sessions *sessions);
/* The token in the answer to a login, or NULL. */
const char *login_token(const json_t *result);
int login_is_denied(int rc, const struct codec_fault *fault);
/* No answer, as opposed to one that is of no use. */
int login_is_away(int rc);
int64_t login_backoff(int failures, int64_t min_ms, int64_t max_ms);

/* session_leave.c: tokens that nobody wants any more */
/* Lets others part, then logs its token off: the session has none afterwards. */
void session_leave(struct session *session, enum departure_cause cause);
/* `row` is taken and emptied; NULL: it is not journalled yet, and will be. */
struct departing_token {
    const char *user, *domain, *token;
    struct journal_id *row;
};
void sessions_depart(struct sessions *sessions, const struct departing_token *token,
                     enum departure_cause cause);
/* The same where it is not a token of the endpoint in use. */
void sessions_depart_from(struct sessions *sessions, const struct departing_token *token,
                          enum departure_cause cause, unsigned endpoint);
/* The same in a while: it is still told things by. */
void session_depart_later(struct session *session);
/* Its token may live, but is not used any more. */
void session_abandon_token(struct session *session);
void sessions_check_end(struct sessions *sessions);
void sessions_free_departures(struct sessions *sessions);

/* session_sign_on.c */
/* The session's attempt to come up has ended, or it is gone: those who sign on as its user hear of it. */
void sessions_settled(struct sessions *sessions, uint32_t number);
void sessions_end_lines(struct sessions *sessions); /* the gateway ends: all are told so */
void sessions_free_lines(struct sessions *sessions);
void session_on_linger(struct timer *timer);
void session_linger(struct session *session); /* if nobody needs it */

/* session_journal.c */
struct journal_entry {
    const char *user, *domain, *token;
    json_t *note;          /* may be NULL */
    struct journal_id *id; /* an empty one is filled in */
    unsigned endpoint;     /* that knows the token */
};
/* `on_done` gets a struct durable_done. Without a journal: nothing, and nobody is told. */
void journal_put(struct sessions *sessions, const struct journal_entry *entry,
                 void (*on_done)(struct message *), void *data);
void journal_strike(struct sessions *sessions, const char *user, struct journal_id *id);
/* The newest one of the user that was left (`domain` NULL: any), to be freed; NULL: none. */
struct left_token *journal_take(struct sessions *sessions, const char *user, const char *domain);
void left_token_free(struct left_token **left);
void journal_free(struct journal **journal);
/* The session has none yet: it is to be proven by session_connect. */
void session_adopt(struct session *session, struct left_token *left);

/* session_proof.c: the salted hash of a password that was taken */
void session_prove_password(struct session *session);
int session_is_password(const struct session *session, const char *password);

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
/* Into the table; nothing is begun. NULL: CG_E_LIMIT, CG_E_NOMEM by *rc. `password` may be NULL: it lives as long as its token. */
struct session *sessions_insert(struct sessions *sessions,
                                const struct login_credentials *credentials, uint32_t number,
                                int *rc);
/* Out of the table, logged off, for good. */
void session_remove(struct session *session, const char *why);
int session_set_password(struct session *session, const char *password);

/* session_call.c */
int64_t session_retry_after_ms(const struct session *session);

/*
 * session_mask.c: takes a text out of a message, which has room for `size` bytes; or out of what a fault says the session's token (NULL: none)
 * and the texts of the call's arguments, but for those that name an object.
 */
void session_mask(char *message, size_t size, const char *secret);
void session_mask_fault(struct codec_fault *fault, const char *token, const json_t *arguments);
struct upstream_call *session_new_call(struct sessions *sessions,
                                       const struct contract_operation *op,
                                       void (*on_deliver)(struct message *), void *data);
void session_release_waiting(struct session *session); /* it is up: send them */
void session_fail_waiting(struct session *session, int rc, const struct codec_fault *fault);

#endif
