#include "cctgate/sign_on.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"
#include "cctgate/secret.h"
#include "cctgate/timestamp.h"
#include "gateway/access/sign_private.h"
#include "gateway/rest/body.h"

#define ADDRESS_PATIENCE 4  /* many users may be behind one address */
#define WAITING_MAX      16 /* attempts of one user */

/* ---- asks ---- */

struct sign_ask *sign_ask_new(void)
{
    struct sign_ask *ask = calloc(1, sizeof(*ask));
    if (ask == NULL)
        abort();
    return ask;
}

void sign_ask_free(struct sign_ask **in)
{
    struct sign_ask *ask = *in;

    *in = NULL;
    if (ask == NULL)
        return;
    secret_wipe(&ask->password);
    free(ask->user);
    free(ask->domain);
    if (ask->body != NULL)
        body_wipe_json(ask->body);
    json_decref(ask->body);
    free(ask);
}

static void reply(struct sign_ask *ask, enum sign_answer answer, int rc)
{
    ask->answer = answer;
    ask->rc = rc;
    secret_wipe(&ask->password);
    ask->message.on_deliver = ask->on_reply;
    mailbox_send(ask->reply_to, &ask->message);
}

/* ---- attempts ---- */

static struct attempt *attempt_new(struct sign_ons *all, struct sign_ask *ask)
{
    struct attempt *attempt = calloc(1, sizeof(*attempt));

    if (attempt == NULL)
        abort();
    attempt->all = all;
    attempt->ask = ask;
    attempt->is_off = ask->is_off;
    if ((attempt->older = all->attempts) != NULL)
        all->attempts->newer = attempt;
    all->attempts = attempt;
    ++all->num_attempts;
    return attempt;
}

static void attempt_free(struct attempt *attempt)
{
    struct sign_ons *all = attempt->all;

    if (attempt->newer != NULL)
        attempt->newer->older = attempt->older;
    else
        all->attempts = attempt->older;
    if (attempt->older != NULL)
        attempt->older->newer = attempt->newer;
    --all->num_attempts;
    number_return(all, attempt);
    if (attempt->session != NULL)
        session_detach(attempt->session);
    OPENSSL_cleanse(attempt->token, sizeof(attempt->token));
    free(attempt);
}

void attempt_answer(struct attempt *attempt, enum sign_answer answer, int rc)
{
    reply(attempt->ask, answer, rc);
    attempt_free(attempt);
}

/* ---- one user's attempts, one after the other ---- */

static int begin(struct attempt *attempt);

static struct turnstile *turnstile_of(struct sign_ons *all, const char *key)
{
    size_t length = strlen(key);
    struct turnstile *turnstile;

    HASH_FIND(hh, all->turnstiles, key, length, turnstile);
    if (turnstile != NULL)
        return turnstile;
    if ((turnstile = calloc(1, sizeof(*turnstile) + length + 1)) == NULL)
        abort();
    memcpy(turnstile->key, key, length + 1);
    turnstile->end = &turnstile->first;
    HASH_ADD_KEYPTR(hh, all->turnstiles, turnstile->key, length, turnstile);
    return turnstile;
}

/* The first one is under way, the others wait: those that are refused at once leave at once. */
static void go_on(struct sign_ons *all, struct turnstile *turnstile)
{
    while (turnstile->first != NULL && !begin(turnstile->first))
        ;
    if (turnstile->first != NULL)
        return;
    HASH_DEL(all->turnstiles, turnstile);
    free(turnstile);
}

static struct turnstile *leave(struct attempt *attempt)
{
    struct turnstile *turnstile = attempt->turnstile;

    attempt->turnstile = NULL;
    if ((turnstile->first = attempt->next) == NULL)
        turnstile->end = &turnstile->first;
    attempt->next = NULL;
    return turnstile;
}

static void pass(struct attempt *attempt)
{
    struct sign_ons *all = attempt->all;
    go_on(all, leave(attempt));
}

static void enter(struct attempt *attempt)
{
    struct sign_ons *all = attempt->all;
    struct turnstile *turnstile = turnstile_of(all, attempt->user_key);
    const struct attempt *other;
    size_t waiting = 0;

    for (other = turnstile->first; other != NULL; other = other->next)
        ++waiting;
    if (waiting >= WAITING_MAX) {
        attempt->ask->retry_after_ms = all->config->bearers.lockout_ms;
        ++all->refused;
        attempt_answer(attempt, SIGN_LOCKED, CG_E_BUSY);
        return;
    }
    attempt->turnstile = turnstile;
    *turnstile->end = attempt;
    turnstile->end = &attempt->next;
    if (turnstile->first == attempt)
        go_on(all, turnstile);
}

/* ---- wrong passwords ---- */

/* A name that nobody is known by may be a password in the wrong place: it is not written down. */
static const char *name_of(const struct attempt *attempt)
{
    return attempt->is_known ? attempt->user : NULL;
}

static int64_t wait_ms(const struct attempt *attempt)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t user = lockout_wait_ms(attempt->all->users, attempt->user_key, now_ms);
    int64_t address = lockout_wait_ms(attempt->all->addresses, attempt->address_key, now_ms);
    return user > address ? user : address;
}

static void note_lockout(struct attempt *attempt, int64_t ms)
{
    struct sign_ons *all = attempt->all;

    if (ms == 0)
        return;
    ++all->lockouts;
    log_write(LOG_LEVEL_WARNING, "signOnLocked", "Wrong passwords: further ones have to wait",
              LOG_S("user", name_of(attempt)), LOG_S("address", attempt->ask->address),
              LOG_I("waitMs", ms));
    sign_audit_alone(all, "lockOut", name_of(attempt), attempt->ask->address, "done", NULL);
}

static void note_denial(struct attempt *attempt)
{
    struct sign_ons *all = attempt->all;
    struct lockout_terms terms = {all->config->bearers.lockout_after,
                                  all->config->bearers.lockout_ms,
                                  all->config->bearers.lockout_max_ms};
    int64_t now_ms = clock_monotonic_ms(), user, address;

    ++all->denied;
    log_write(LOG_LEVEL_WARNING, "signOnDenied", "A sign-on was denied",
              LOG_S("user", name_of(attempt)), LOG_S("address", attempt->ask->address));
    sign_audit_alone(all, "signOn", name_of(attempt), attempt->ask->address, "notDone",
                     "sign-on-denied");
    user = lockout_failed(all->users, attempt->user_key, &terms, now_ms);
    terms.after *= ADDRESS_PATIENCE;
    address = lockout_failed(all->addresses, attempt->address_key, &terms, now_ms);
    note_lockout(attempt, user > address ? user : address);
}

/* ---- a password was taken ---- */

static int make_token(struct attempt *attempt)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t bytes[33] = {0}; /* the last is no part of it: 43 digits are 258 bits */
    size_t i;

    if (getrandom(bytes, 32, 0) != 32)
        return CG_E_IO;
    for (i = 0; i < SIGN_TOKEN_BYTES; ++i) {
        size_t bit = i * 6;
        unsigned two = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];
        attempt->token[i] = digits[two >> (10 - bit % 8) & 63];
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return policy_digest(attempt->token, SIGN_TOKEN_BYTES, attempt->sha256) ? CG_OK : CG_E_NOMEM;
}

static void on_written(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct attempt *attempt = done->data;
    struct sign_ons *all = attempt->all;
    int rc = done->rc;

    free(done);
    attempt->writing = 0;
    if (all->closed) {
        attempt_answer(attempt, SIGN_UNANSWERABLE, CG_E_SHUTDOWN);
        return;
    }
    if (rc != CG_OK) {
        attempt_answer(attempt, SIGN_UNANSWERABLE, rc);
        return;
    }
    bearer_add(all, attempt->sha256, attempt->number, attempt->user, attempt->session,
               attempt->made_unix_ms);
    attempt->session = NULL;
    ++all->signed_on;
    log_write(LOG_LEVEL_INFO, "signedOn", "A user has signed on", LOG_S("user", attempt->user),
              LOG_S("address", attempt->ask->address));
    bearers_await(all, attempt);
}

static json_t *agents_of(struct attempt *attempt)
{
    struct store_txn *txn;
    struct record record;
    json_t *json = NULL, *agents = NULL;

    if (store_begin(attempt->all->settings.store, &txn) == CG_OK) {
        if (store_txn_get(txn, RECORD_USER, attempt->user, strlen(attempt->user), &record) ==
                CG_OK &&
            record.user == attempt->number)
            json = json_loadb(record.body, record.body_length, 0, NULL);
        store_abort(&txn);
    }
    agents = json_incref(json_object_get(json, "agents"));
    json_decref(json);
    return agents;
}

static void give_bearer(struct attempt *attempt, json_t *agents)
{
    struct sign_ons *all = attempt->all;
    struct durable_batch *batch;
    int64_t now_ms = clock_steady_ms(), expires_ms = bearer_first_expiry_ms(all, now_ms);
    char expires[TIMESTAMP_BYTES];
    int rc = make_token(attempt);

    if (rc != CG_OK) {
        json_decref(agents);
        attempt_answer(attempt, SIGN_UNANSWERABLE, rc);
        return;
    }
    timestamp_print(expires, clock_told_ms(expires_ms));
    attempt->made_unix_ms = now_ms;
    attempt->ask->body = json_pack("{s:s, s:s, s:s, s:o}", "token", attempt->token, "expiresAt",
                                   expires, "user", attempt->user, "agents", agents);
    OPENSSL_cleanse(attempt->token, sizeof(attempt->token));
    batch = durable_batch_new();
    bearer_put(all, batch, attempt->sha256, attempt->user, now_ms, expires_ms);
    sign_audit(batch, "signOn", attempt->user, attempt->ask->address, "done", NULL);
    attempt->writing = 1;
    durable_submit(all->settings.durable, batch, &all->settings.loop->mailbox, on_written, attempt);
}

/* What could not be read is not known: the bearer is good for all that. */
static void on_user_read(struct fetch_waiter *waiter, struct fetch_outcome *outcome)
{
    struct attempt *attempt = (struct attempt *)((char *)waiter - offsetof(struct attempt, waiter));
    json_t *agents = NULL;

    (void)outcome;
    attempt->fetching = 0;
    if (attempt->all->closed) {
        attempt_answer(attempt, SIGN_UNANSWERABLE, CG_E_SHUTDOWN);
        return;
    }
    agents = agents_of(attempt);
    give_bearer(attempt, agents != NULL ? agents : json_array());
}

static void welcome(struct attempt *attempt)
{
    struct sign_ons *all = attempt->all;
    json_t *agents =
        model_has_read(all->settings.model, attempt->number) ? agents_of(attempt) : NULL;

    if (agents != NULL) {
        give_bearer(attempt, agents);
        return;
    }
    attempt->fetching = 1;
    attempt->waiter.on_done = on_user_read;
    model_fetch(all->settings.model,
                &(struct model_wanted){RECORD_USER, attempt->user, strlen(attempt->user), 0, NULL},
                &attempt->waiter);
}

static void on_taken(struct attempt *attempt, struct session *session)
{
    struct sign_ons *all = attempt->all;
    int rc;

    attempt->session = session;
    lockout_succeeded(all->users, attempt->user_key);
    lockout_eased(all->addresses, attempt->address_key);
    rc = number_keep(all, attempt, session_domain(session));
    pass(attempt);
    if (rc != CG_OK)
        attempt_answer(attempt, SIGN_UNANSWERABLE, rc);
    else
        welcome(attempt);
}

/* ---- a sign-on ---- */

static void on_outcome(void *data, const struct sign_on_outcome *outcome)
{
    struct attempt *attempt = data;
    struct sign_ons *all = attempt->all;

    attempt->ask->retry_after_ms = outcome->retry_after_ms;
    if (all->closed) {
        if (outcome->rc == CG_OK)
            session_detach(outcome->session);
        attempt_answer(attempt, SIGN_UNANSWERABLE, CG_E_SHUTDOWN);
        return;
    }
    if (outcome->rc == CG_OK) {
        on_taken(attempt, outcome->session);
        return;
    }
    if (outcome->rc == CG_E_DENIED)
        note_denial(attempt);
    number_return(all, attempt);
    pass(attempt);
    attempt_answer(attempt, outcome->rc == CG_E_DENIED ? SIGN_DENIED : SIGN_UNANSWERABLE,
                   outcome->rc);
}

/* 0: it has been answered, and has left. */
static int begin(struct attempt *attempt)
{
    struct sign_ons *all = attempt->all;
    int64_t ms = wait_ms(attempt);
    int rc;

    if (ms > 0) {
        ++all->refused;
        attempt->ask->retry_after_ms = ms;
        leave(attempt);
        attempt_answer(attempt, SIGN_LOCKED, CG_E_BUSY);
        return 0;
    }
    if ((rc = number_choose(all, attempt)) != CG_OK) {
        leave(attempt);
        attempt_answer(attempt, SIGN_UNANSWERABLE, rc);
        return 0;
    }
    sessions_sign_on(all->settings.sessions, attempt->number, attempt->user, attempt->ask->domain,
                     attempt->ask->password, on_outcome, attempt);
    secret_wipe(&attempt->ask->password);
    return 1;
}

/*
 * Users are of a Windows domain, which does not tell letters of two cases apart: there is one session for all spellings. NULL: nobody is
 * known by that name, or has ever been.
 */
static const char *known_spelling(const struct sign_ons *all, const char *user)
{
    const struct bearer *bearer;
    const struct pin *pin;
    size_t i;

    for (i = 0; i < all->config->num_sessions; ++i)
        if (strcasecmp(all->config->sessions[i].user, user) == 0)
            return all->config->sessions[i].user;
    for (bearer = all->bearers; bearer != NULL; bearer = bearer->hh.next)
        if (strcasecmp(bearer->use->user, user) == 0)
            return bearer->use->user;
    for (pin = all->pins; pin != NULL; pin = pin->hh.next)
        if (strcasecmp(pin->user, user) == 0)
            return user;
    return NULL;
}

static void fold(char *out, size_t size, const char *text)
{
    size_t i;
    for (i = 0; i + 1 < size && text[i] != '\0'; ++i)
        out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
    out[i] = '\0';
}

static void sign_on(struct sign_ons *all, struct sign_ask *ask)
{
    struct attempt *attempt = attempt_new(all, ask);
    const char *known = known_spelling(all, ask->user);

    attempt->is_known = known != NULL;
    snprintf(attempt->user, sizeof(attempt->user), "%s", known != NULL ? known : ask->user);
    fold(attempt->user_key, sizeof(attempt->user_key), ask->user);
    snprintf(attempt->address_key, sizeof(attempt->address_key), "%s", ask->address);
    enter(attempt);
}

/* ---- a sign-off ---- */

static void on_deleted(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct attempt *attempt = done->data;
    struct sign_ons *all = attempt->all;
    struct bearer *bearer = bearer_find(all, attempt->sha256);
    int rc = done->rc;

    free(done);
    attempt->writing = 0;
    if (bearer != NULL) {
        log_write(LOG_LEVEL_INFO, "signedOff", "A user has signed off",
                  LOG_S("user", bearer->use->user));
        ++all->signed_off;
        bearer_remove(all, bearer);
        bearers_changed(all);
    }
    if (all->closed)
        attempt_answer(attempt, SIGN_UNANSWERABLE, CG_E_SHUTDOWN);
    else if (rc != CG_OK)
        attempt_answer(attempt, SIGN_UNANSWERABLE, rc);
    else
        bearers_await(all, attempt);
}

static void sign_off(struct sign_ons *all, struct sign_ask *ask)
{
    struct bearer *bearer = bearer_find(all, ask->sha256);
    struct durable_batch *batch;
    struct attempt *attempt;

    if (bearer == NULL) {
        reply(ask, SIGN_NO_BEARER, CG_E_NOTFOUND);
        return;
    }
    attempt = attempt_new(all, ask);
    memcpy(attempt->sha256, ask->sha256, sizeof(attempt->sha256));
    bearer->is_leaving = 1;
    batch = durable_batch_new();
    durable_delete(batch, DURABLE_BEARERS, bearer->sha256, sizeof(bearer->sha256));
    sign_audit(batch, "signOff", bearer->use->user, ask->address, "done", NULL);
    attempt->writing = 1;
    durable_submit(all->settings.durable, batch, &all->settings.loop->mailbox, on_deleted, attempt);
}

/* ---- all of it ---- */

void sign_ons_ask(struct sign_ons *all, struct sign_ask *ask)
{
    if (all->closed)
        reply(ask, SIGN_UNANSWERABLE, CG_E_SHUTDOWN);
    else if (all->num_attempts >= CG_SIGN_ONS_MAX)
        reply(ask, SIGN_UNANSWERABLE, CG_E_BUSY);
    else if (ask->is_off)
        sign_off(all, ask);
    else
        sign_on(all, ask);
}

int sign_ons_new(struct sign_ons **out, const struct sign_ons_settings *settings)
{
    struct sign_ons *all = calloc(1, sizeof(*all));
    int rc = CG_E_NOMEM;

    *out = NULL;
    if (all == NULL)
        return CG_E_NOMEM;
    all->settings = *settings;
    all->config = config_ref(settings->config);
    all->began_unix_ms = clock_steady_ms();
    all->publish.on_due = bearers_publish;
    all->sweep.on_due = bearers_sweep;
    if ((all->users = lockout_new(CG_LOCKOUTS_MAX)) != NULL &&
        (all->addresses = lockout_new(CG_LOCKOUTS_MAX)) != NULL && (rc = pins_load(all)) == CG_OK)
        rc = bearers_load(all);
    if (rc != CG_OK) {
        sign_ons_free(&all);
        return rc;
    }
    bearers_sweep(&all->sweep);
    *out = all;
    return CG_OK;
}

void sign_ons_configure(struct sign_ons *all, struct config *config)
{
    config_ref(config);
    config_unref(&all->config);
    all->config = config;
}

static void answer_list(struct attempt *attempt)
{
    struct attempt *next;
    for (; attempt != NULL; attempt = next) {
        next = attempt->next;
        attempt_answer(attempt, SIGN_UNANSWERABLE, CG_E_SHUTDOWN);
    }
}

/* Who waits behind another has asked nobody yet; who is under way is answered when its own answer comes. */
static void dismiss_waiting(struct sign_ons *all)
{
    struct turnstile *turnstile, *next;

    HASH_ITER(hh, all->turnstiles, turnstile, next)
    {
        if (turnstile->first != NULL) {
            answer_list(turnstile->first->next);
            turnstile->first->turnstile = NULL;
            turnstile->first->next = NULL;
        }
        HASH_DEL(all->turnstiles, turnstile);
        free(turnstile);
    }
}

void sign_ons_close(struct sign_ons *all)
{
    struct attempt *attempt;
    struct bearer *bearer, *next;

    if (all == NULL || all->closed)
        return;
    all->closed = 1;
    timer_disarm(all->settings.loop, &all->publish);
    timer_disarm(all->settings.loop, &all->sweep);
    dismiss_waiting(all);
    answer_list(all->unpublished);
    answer_list(all->publishing);
    all->unpublished = all->publishing = NULL;
    for (attempt = all->attempts; attempt != NULL; attempt = attempt->older)
        if (attempt->session != NULL) {
            session_detach(attempt->session);
            attempt->session = NULL;
        }
    HASH_ITER(hh, all->bearers, bearer, next)
    if (bearer->session != NULL) {
        session_detach(bearer->session);
        bearer->session = NULL;
    }
}

void sign_ons_free(struct sign_ons **in)
{
    struct sign_ons *all = *in;
    struct bearer *bearer, *next;

    *in = NULL;
    if (all == NULL)
        return;
    while (all->attempts != NULL)
        attempt_answer(all->attempts, SIGN_UNANSWERABLE, CG_E_SHUTDOWN);
    HASH_ITER(hh, all->bearers, bearer, next)
    bearer_remove(all, bearer);
    pins_free(all);
    lockout_free(&all->users);
    lockout_free(&all->addresses);
    config_unref(&all->config);
    free(all->spares);
    free(all->list);
    free(all);
}

void sign_ons_get_stats(const struct sign_ons *all, struct sign_ons_stats *stats)
{
    *stats = (struct sign_ons_stats){.signed_on = all->signed_on,
                                     .signed_off = all->signed_off,
                                     .denied = all->denied,
                                     .lockouts = all->lockouts,
                                     .refused = all->refused,
                                     .expired = all->expired,
                                     .bearers = HASH_COUNT(all->bearers),
                                     .waiting = all->num_attempts};
}
