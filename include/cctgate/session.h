/*
 * Upstream sessions: one per CCT user, shared by all clients of that user. The owner's thread only, but for the views.
 *
 * Life of a session. It exists because the configuration names it, or because its user signed on. LogIn is paced (evenly, never more than upstream.loginsPerSecond
 * in any second, over all sessions and sign-ons) and single-flight: every call that needs the session meanwhile waits for that one login.
 * A failure backs off exponentially with jitter; until the next attempt calls are answered at once with the reason. A refused connection takes the
 * endpoint down: all its sessions turn stale at once, and one probe at a time, not one per session, finds out when it is back;
 * then each session proves its token by a real call or logs in anew. When a call is told that the session does not exist
 * (by the fault's qualified name, DOMAIN rule 10) the session is logged in again, once for all, and the call, if it is a read,
 * is repeated once. A call that takes a token counts as activity; when there was none for heartbeatMs, the heartbeat makes a
 * small real call (never GetVersion, DOMAIN rule 7).
 */
#ifndef CCTGATE_SESSION_H
#define CCTGATE_SESSION_H

#include <stdatomic.h>
#include <stdint.h>

#include <jansson.h>

#include "cctgate/config.h"
#include "cctgate/contract.h"
#include "cctgate/freshness.h"
#include "cctgate/loop.h"
#include "cctgate/upstream.h"

struct durable;
struct sessions;
struct session;

enum session_state { SESSION_CONNECTING, SESSION_UP, SESSION_DOWN, SESSION_DENIED };
const char *session_state_name(enum session_state state);

/*
 * What front threads see of a session, indexed by the user's number (store_user_id): written by the owner, read by anybody,
 * without a lock. A slot whose `configured` is 0 is not a session (any more).
 */
#define SESSION_VIEWS_MAX 65536
struct session_view {
    _Atomic int64_t healthy_since_ms, lost_at_ms;
    _Atomic int state; /* enum session_state */
    _Atomic int configured;
    _Atomic uint64_t live; /* the subscription that is active and in step; 0: none */
};
extern struct session_view session_views[SESSION_VIEWS_MAX];
struct freshness_source session_view_source(uint32_t user);

struct sessions_settings {
    struct loop *loop;
    struct upstream *upstream;
    const struct contract *contract;
    struct config *config;
    /* A session came (back) up: its user's lists are to be read. Owner's thread. */
    void (*on_up)(void *data, struct session *session);
    /* It is not up any more (lost, denied, its endpoint gone, removed): once for each on_up. It is logged in again by itself. NULL: nobody minds. */
    void (*on_down)(void *data, struct session *session, const char *why);
    /*
     * It is about to be logged off for good: removed, after on_down if it was up, or at the end of the gateway, without. What is to be
     * said in it before that is said by session_part from within. NULL: nothing is.
     */
    void (*on_parting)(void *data, struct session *session);
    /*
     * The endpoint in use has been away for long enough, and this one, to which upstream.endpoints leads, answers. Whoever is told writes that down
     * and then calls sessions_move; until then it may be told again. NULL: it stays as it is.
     */
    void (*on_elsewhere)(void *data, unsigned endpoint);
    /* A session that was signed on has lingered long enough and is gone for good: nothing of its user is live any more. NULL: nobody minds. */
    void (*on_removed)(void *data, uint32_t user);
    /* session_renew has given it another token; the one before lives on for a moment. It is up all the while. NULL: nobody minds. */
    void (*on_renewed)(void *data, struct session *session);
    void *data;
};

/* CG_E_INVALID: the contract at hand lacks an operation that sessions need (`error` names it). CG_E_NOMEM. */
int sessions_new(struct sessions **sessions, const struct sessions_settings *settings, char *error,
                 size_t error_size);
void sessions_free(struct sessions **sessions);

/*
 * Adds a session under the user's number and starts to log it in. The configuration entry is copied. A session that is there is taken over, if it was
 * signed on: it lives on; a configured one is logged off and made anew, with its attachments. CG_E_LIMIT, CG_E_NOMEM.
 */
int sessions_add(struct sessions *sessions, const struct config_session *config, uint32_t user);
/*
 * The configuration does not name it any more: logged off and forgotten; calls that wait are answered with CG_E_SHUTDOWN. 0: it is none
 * of the configured ones, or lives on as one that was signed on, since somebody is attached to it.
 */
int sessions_remove(struct sessions *sessions, uint32_t user);

/*
 * The journal of tokens (DOMAIN rule 9): every token is written to DURABLE_SESSIONS, encrypted, before its session is announced, and
 * struck out when it is over. Opened once, before the first session is added; `directory` holds the key's file. What a crash has left is read here:
 * sessions_add takes up the token of its user, and proves it by a real call before it logs in anew. CG_E_IO, CG_E_NOMEM,
 * CG_E_LIMIT (`error` says what).
 */
int sessions_open_journal(struct sessions *sessions, struct durable *durable, const char *directory,
                          char *error, size_t error_size);
/*
 * A secret of another part of the gateway, sealed as the journal's tokens are; `name` is the row it is kept in, and no other. A new buffer;
 * NULL: there is no journal, or no randomness; of unsealing: it was not sealed here under that name. secret_wipe what was unsealed.
 */
uint8_t *sessions_seal(const struct sessions *sessions, const char *name, const char *text,
                       size_t *length);
char *sessions_unseal(const struct sessions *sessions, const char *name, const void *sealed,
                      size_t length);
/*
 * The session of a user that the configuration may not name, for whom a bearer was found after a restart: the one that is there, or one with
 * the token that a crash has left, which is proven first; attach to it. NULL: there is neither; the user must sign on again. Before sessions_settle.
 */
struct session *sessions_take_up(struct sessions *sessions, uint32_t number, const char *user);
/* Whoever wants one of the tokens that were left has taken it: the others are logged off. */
void sessions_settle(struct sessions *sessions);

/* Something that is to be known after a crash, kept with the token, encrypted like it, and forgotten with it. Takes a reference. */
void session_set_note(struct session *session, json_t *note);
/* The note of the crashed process, once, in on_up. The reference is the caller's. NULL: there is none. */
json_t *session_take_left_note(struct session *session);

struct session *sessions_find(struct sessions *sessions, uint32_t user);
struct session *sessions_find_by_name(struct sessions *sessions, const char *user);
/* Takes over pacing, heartbeat and time-outs of a new configuration. */
void sessions_configure(struct sessions *sessions, struct config *config);

/*
 * Signing on (DESIGN.md section 4): a user who brings its own password. There is one session per CCT user, whatever made it: the
 * first sign-on logs it in (paced and single-flight as any login), a later one of a user whose session exists is verified, never assumed:
 * against a salted hash of the password that the live session was logged in with, or, where that does not fit, against the
 * contact centre by a login of its own that is discarded. `number` is the user's (store_user_id). Strings are borrowed; copies are wiped.
 * `done` runs exactly once, later, on the owner's loop, never from within this call. CG_OK: the session is up, and has one attachment more, which is
 * the caller's to give back by session_detach. CG_E_DENIED: the contact centre does not take this password. CG_E_LIMIT: no more sessions
 * are allowed. Else why the contact centre could not be asked (CG_E_REFUSED, CG_E_TIMEOUT, CG_E_SHUTDOWN...).
 */
struct sign_on_outcome {
    int rc;
    struct session *session;         /* CG_OK */
    const struct codec_fault *fault; /* CG_E_DENIED, may be NULL */
    int64_t retry_after_ms;          /* > 0: when it is worth asking again */
};
typedef void (*sign_on_done)(void *data, const struct sign_on_outcome *outcome);
void sessions_sign_on(struct sessions *sessions, uint32_t number, const char *user,
                      const char *domain, const char *password, sign_on_done done, void *data);

/*
 * Whoever needs a session that the configuration does not name, attaches to it: a bearer that was signed on, one a restart has found
 * again. When nobody has for session.lingerMs, its heartbeat stops: it is logged off and removed (settings.on_removed). Configured
 * sessions do not mind. session_attach cancels the lingering. An attachment goes over to the session that takes this one's place.
 */
void session_attach(struct session *session);
void session_detach(struct session *session);
int session_is_configured(const struct session *session);

const char *session_user(const struct session *session);
const char *session_domain(const struct session *session);
const char *session_agent(const struct session *session); /* NULL: not configured */
uint32_t session_number(const struct session *session);
int session_is_shared(const struct session *session);
const char *session_endpoint(const struct session *session); /* the name of the one in use */
unsigned session_endpoint_index(const struct session *session);
unsigned session_generation(const struct session *session); /* counts its tokens */
int session_has_token(const struct session *session); /* down, it may come up with the same one */

struct session_outcome {
    int rc;
    const struct contract_operation *op;
    json_t *result;                  /* CG_OK: borrowed, take a reference to keep it */
    const struct codec_fault *fault; /* CG_E_FAULT, CG_E_SESSION, CG_E_DENIED (may be NULL) */
    const struct codec_error *error; /* may be NULL */
    int64_t retry_after_ms;          /* > 0: when it is worth asking again */
    int unknown; /* neither done nor refused for sure: it left this machine, and no answer that counts came back */
};
typedef void (*session_done)(void *data, const struct session_outcome *outcome);

/*
 * Calls an operation in the session; `arguments` is borrowed. `done` runs exactly once, later, on the owner's loop, never from within this call.
 * `traceparent` may be NULL.
 */
void session_call(struct session *session, const struct contract_operation *op, json_t *arguments,
                  int command, const char *traceparent, session_done done, void *data);

/* The same for what acts: never repeated, and not sent any more after `not_after_ms` (monotonic; 0: no such bound). */
void session_command(struct session *session, const struct contract_operation *op,
                     json_t *arguments, int64_t not_after_ms, const char *traceparent,
                     session_done done, void *data);

/*
 * For on_parting alone: a call of which nobody awaits the outcome; the logoff is sent when the last of them has been answered, or has
 * taken a second. `arguments` is borrowed.
 */
void session_part(struct session *session, const struct contract_operation *op, json_t *arguments);

/* What a login that was not the session's own has given: logged off at once, and taken out of `result`. */
void session_discard(struct session *session, json_t *result);

int session_is_up(const struct session *session);
/* A small real call at once, as the heartbeat makes it: moves the upstream's timer, and finds out whether the session is there. */
void session_prove(struct session *session);
/*
 * Its end is near and a call does not move it: logs in anew while the token still lives, and goes over to the new one (on_renewed). Where that comes to
 * nothing, the end is a loss as any other.
 */
void session_renew(struct session *session);
/* The upstream has told that the session has ended: as if a call had been told so by a fault. */
void session_ended(struct session *session);

/* [{"user","domain","agent","state","endpoint","since","staleSince","shared","signedOn"}], for those of `users` (numbers; NULL: all). New reference. */
json_t *sessions_describe(struct sessions *sessions, const uint32_t *users, size_t num_users);

struct sessions_summary {
    size_t total, up, denied, attempted; /* attempted: the first login has ended, however */
    size_t signed_on;                    /* of total: not configured */
    size_t leaving;                      /* not of total: tokens that are not logged off yet */
    size_t unread; /* up, and `unread` says that its lists have not been read */
    int endpoint_down;
    const char *endpoint; /* the name of the one in use; borrowed */
    uint64_t logins, login_failures, losses, heartbeats, moves;
    uint64_t adoptions; /* sessions that a crash had left and that live on */
};
/* `unread` may be NULL. */
void sessions_summarise(const struct sessions *sessions, struct sessions_summary *summary,
                        int (*unread)(void *data, uint32_t user), void *data);

/* The upstream has stopped: whatever is still delivered submits nothing more. */
void sessions_detach(struct sessions *sessions);

/*
 * An endpoint was found to refuse connections by somebody else (upstream_notice): if it is the one in use, every session is
 * stale from now on, until a probe finds it again. Nothing new if that is known already.
 */
void sessions_endpoint_refused(struct sessions *sessions, unsigned endpoint);

/* Indexes are those of the configuration. The first of role campus is in use until sessions_move. */
unsigned sessions_endpoint(const struct sessions *sessions);
/*
 * From now on this endpoint is in use: every session is stale at once, is logged off where it was if that is there, and logs in here (paced).
 * What is on the wire ends as it ends; what waits for a session is answered with CG_E_SESSION. `why` goes to on_down. The same one: nothing.
 */
void sessions_move(struct sessions *sessions, unsigned endpoint, const char *why);
/* [{"name","role","current","breaker":"closed"|"open"|"halfOpen","opened","downSinceMs"}]: what is not in use is as it was left. New reference. */
json_t *sessions_describe_endpoints(const struct sessions *sessions);

/* Logs off every session; `done` runs when all have been answered, or never later than `timeout_ms`. */
void sessions_log_off(struct sessions *sessions, unsigned timeout_ms, void (*done)(void *data),
                      void *data);

#endif
