/* What the files of signing on share. The owner's thread. */
#ifndef CCTGATE_ACCESS_SIGN_PRIVATE_H
#define CCTGATE_ACCESS_SIGN_PRIVATE_H

#include <uthash.h>

#include "cctgate/lockout.h"
#include "cctgate/sign_on.h"

#define SIGN_DIGEST_BYTES 32
#define SIGN_KEY_BYTES    (2 * CG_ID_BYTES_MAX + 8)

struct bearer {
    UT_hash_handle hh;
    uint8_t sha256[SIGN_DIGEST_BYTES];
    uint32_t number;
    struct bearer_use *use;  /* holds the user's name, too */
    struct session *session; /* attached to it; NULL: not now */
    int64_t made_unix_ms;
    int64_t ends_ms;           /* monotonic: the longest it may live */
    int64_t written_expiry_ms; /* steady: as it is on the disk */
    int is_leaving;            /* its end is being written: nothing of it is written behind that */
};

/* Under which domain the number of a name was given out. */
struct pin {
    UT_hash_handle hh;
    char *domain;
    char user[];
};

/* Attempts of one user that wait for the one that is under way. */
struct attempt;
struct turnstile {
    UT_hash_handle hh;
    struct attempt *first, **end;
    char key[];
};

struct attempt {
    struct attempt *next;          /* in its turnstile, or among those that await a publication */
    struct attempt *newer, *older; /* of all */
    struct sign_ons *all;
    struct sign_ask *ask;
    struct turnstile *turnstile; /* NULL: it has passed */
    struct session *session;     /* attached to it; NULL: not (any more) */
    struct fetch_waiter waiter;
    char user[CG_ID_BYTES_MAX + 1]; /* as the session's, or as it was given */
    char user_key[SIGN_KEY_BYTES], address_key[SIGN_KEY_BYTES];
    char token[SIGN_TOKEN_BYTES + 1];
    uint8_t sha256[SIGN_DIGEST_BYTES];
    int64_t made_unix_ms;
    uint32_t number;
    unsigned spare; /* which of the spare numbers it has, from 1; 0: none */
    int fetching, writing, is_off;
    int is_known; /* there is, or was, a session of that user: the name is one */
};

struct sign_ons {
    struct sign_ons_settings settings;
    struct config *config;
    struct bearer *bearers;
    struct pin *pins;
    struct turnstile *turnstiles;
    struct lockout *users, *addresses;
    struct attempt *attempts; /* all of them, the newest first */
    size_t num_attempts;
    struct attempt *unpublished, *publishing; /* await the next publication; the one that is out */
    int is_dirty, is_out; /* bearers have changed; a publication has not come back */
    struct timer publish, sweep;
    struct policy_bearer *list; /* as the policy wants them */
    size_t list_size;
    unsigned *spares, num_spares, spares_size, num_made; /* free ones; how many there ever were */
    int64_t began_unix_ms;
    int closed;
    uint64_t signed_on, signed_off, denied, lockouts, refused, expired;
};

/* bearers.c */
int bearers_load(struct sign_ons *all);
struct bearer *bearer_find(struct sign_ons *all, const uint8_t *sha256);
/* Takes over `session` (attached). `bearer_put` has been called for it before. */
struct bearer *bearer_add(struct sign_ons *all, const uint8_t *sha256, uint32_t number,
                          const char *user, struct session *session, int64_t now_unix_ms);
void bearer_put(const struct sign_ons *all, struct durable_batch *batch, const uint8_t *sha256,
                const char *user, int64_t made_unix_ms, int64_t expires_unix_ms);
int64_t bearer_first_expiry_ms(const struct sign_ons *all, int64_t made_unix_ms);
void bearer_remove(struct sign_ons *all, struct bearer *bearer);
void bearers_changed(struct sign_ons *all);                        /* a publication will begin */
void bearers_await(struct sign_ons *all, struct attempt *attempt); /* the next publication */
void bearers_sweep(struct timer *timer);
void bearers_publish(struct timer *timer);

/* sign_audit.c */
void sign_audit(struct durable_batch *batch, const char *what, const char *user,
                const char *address, const char *outcome, const char *problem);
/* The same in a batch of its own that nobody waits for. */
void sign_audit_alone(struct sign_ons *all, const char *what, const char *user, const char *address,
                      const char *outcome, const char *problem);

/* sign_number.c: which number a user has, or gets. CG_OK with number, and spare when it is one; CG_E_DENIED: cannot be; else an error. */
int number_choose(struct sign_ons *all, struct attempt *attempt);
/* The user is real: the spare number is its own from now on. CG_OK or the store's error. */
int number_keep(struct sign_ons *all, struct attempt *attempt, const char *domain);
void number_return(struct sign_ons *all, struct attempt *attempt);
int pins_load(struct sign_ons *all);
void pins_free(struct sign_ons *all);

/* sign_on.c */
void attempt_answer(struct attempt *attempt, enum sign_answer answer, int rc);

#endif
