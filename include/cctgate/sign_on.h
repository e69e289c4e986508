/*
 * Signing on and off: how a CCT user who brings a password gets a bearer token, and what becomes of it. The owner's thread only, but for
 * sign_ask_new, sign_ask_free and sign_ask_send.
 *
 * Life of a sign-on. Attempts of one user go one after the other, so that none is under way that a lock-out would have refused. Whoever has
 * to wait (lockout.h; the user, or the address it comes from) is refused without a call upstream. Then the session is asked for
 * (session.h: sessions_sign_on). A password that was taken becomes a bearer: what the user has is read, the SHA-256 of the token and the audit entry
 * are on the disk, every front has the policy that knows it; only then it is answered.
 *
 * Life of a bearer. It ends when it was not used for session.bearerTtlMs, or session.bearerMaxMs after its making, when it signs off, or
 * when the session of its user is logged off for good. It survives a restart; where its session does not, what is known is still read, as stale. It is a client of the session (session_attach) while it is used: when it was not for
 * PRESENT_MS, and has no stream of events open, the session lingers.
 *
 * A user's number is its name's as long as the domain is the same: another person of that name in another domain gets another
 * number. A number that was given out for a name that the contact centre did not know is used again: nobody has ever had it.
 */
#ifndef CCTGATE_SIGN_ON_H
#define CCTGATE_SIGN_ON_H

#include <jansson.h>

#include "cctgate/config.h"
#include "cctgate/durable.h"
#include "cctgate/loop.h"
#include "cctgate/model.h"
#include "cctgate/policy.h"
#include "cctgate/session.h"
#include "cctgate/store.h"

#define SIGN_BODY_BYTES_MAX     8192
#define SIGN_PASSWORD_BYTES_MAX 1024
#define SIGN_ADDRESS_BYTES      64
#define SIGN_TOKEN_BYTES        43 /* 256 bits, base64url without padding */

struct owner;

enum sign_answer {
    SIGN_DONE,         /* on: `body`; off */
    SIGN_DENIED,       /* the password is not right, or the user is none */
    SIGN_LOCKED,       /* `retry_after_ms` */
    SIGN_NO_BEARER,    /* off: the token was not signed on */
    SIGN_UNANSWERABLE, /* `rc` says why; `retry_after_ms` may */
};

/* A message to the owner and back. */
struct sign_ask {
    struct message message;
    struct owner *owner;
    struct mailbox *reply_to;
    void (*on_reply)(struct message *message); /* owns the struct: sign_ask_free */
    void *data;
    int is_off;
    /* on; domain NULL: that of the user's session. Wiped with the struct at the latest */
    char *user, *domain, *password;
    char address[SIGN_ADDRESS_BYTES]; /* where it comes from */
    uint8_t sha256[32];               /* off */
    /* out */
    enum sign_answer answer;
    int rc;
    int64_t retry_after_ms;
    json_t *body; /* holds the token: to be wiped */
};
struct sign_ask *sign_ask_new(void); /* aborts without memory */
void sign_ask_free(struct sign_ask **ask);
void sign_ask_send(struct owner *owner, struct sign_ask *ask);

struct sign_ons;
struct sign_ons_settings {
    struct loop *loop;
    struct config *config;
    struct store *store;
    struct durable *durable;
    struct sessions *sessions;
    struct model *model;
    /* The bearers have changed: a policy that knows so is to be published, and sign_ons_published called when it is in force everywhere. */
    void (*publish)(void *data);
    void *data;
};
/* Reads the bearers that an earlier process has left. CG_E_NOMEM, CG_E_IO... */
int sign_ons_new(struct sign_ons **sign_ons, const struct sign_ons_settings *settings);
/* Answers all that wait with CG_E_SHUTDOWN and gives sessions back; before the sessions go. Nothing is asked afterwards. */
void sign_ons_close(struct sign_ons *sign_ons);
void sign_ons_free(struct sign_ons **sign_ons);
void sign_ons_configure(struct sign_ons *sign_ons, struct config *config);

/* The sessions that an earlier process has left are given to the bearers of their users: once, when those of the configuration are there. */
void sign_ons_take_up(struct sign_ons *sign_ons);
void sign_ons_ask(struct sign_ons *sign_ons, struct sign_ask *ask);
/* The session of a user that had signed on has gone for good. */
void sign_ons_session_removed(struct sign_ons *sign_ons, uint32_t user);

/* For the policy: borrowed, as long as nothing else is called; *count may be 0. */
const struct policy_bearer *sign_ons_bearers(struct sign_ons *sign_ons, size_t *count);
/* What sign_ons_bearers said when the last publication began is in force. */
void sign_ons_published(struct sign_ons *sign_ons);

struct sign_ons_stats {
    uint64_t signed_on, signed_off, denied, lockouts, refused, expired;
    size_t bearers, waiting;
};
void sign_ons_get_stats(const struct sign_ons *sign_ons, struct sign_ons_stats *stats);

#endif
