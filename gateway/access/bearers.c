/* The bearers: in memory, on the disk, in the policy. */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/access/sign_private.h"

#define SWEEP_MS    1000
#define PRESENT_MS  10000 /* after its last use a bearer is still a client of the session */
#define REWRITE_MS  60000 /* so often is a later expiry written down */
#define COALESCE_MS 2

struct bearer *bearer_find(struct sign_ons *all, const uint8_t *sha256)
{
    struct bearer *bearer;
    HASH_FIND(hh, all->bearers, sha256, SIGN_DIGEST_BYTES, bearer);
    return bearer;
}

/* ---- when it ends ---- */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t bearer_first_expiry_ms(const struct sign_ons *all, int64_t made_unix_ms)
{
    return made_unix_ms + smaller(all->config->bearers.ttl_ms, all->config->bearers.max_ms);
}

static int64_t idle_ms(const struct bearer *bearer, int64_t now_ms)
{
    return now_ms - atomic_load_explicit(&bearer->use->used_at_ms, memory_order_relaxed);
}

/* How long it has, if it is not used again; it has ended at 0. */
static int64_t left_ms(const struct sign_ons *all, const struct bearer *bearer, int64_t now_ms)
{
    int64_t left =
        smaller(all->config->bearers.ttl_ms - idle_ms(bearer, now_ms), bearer->ends_ms - now_ms);
    return left > 0 ? left : 0;
}

/* ---- on the disk ---- */

void bearer_put(const struct sign_ons *all, struct durable_batch *batch, const uint8_t *sha256,
                const char *user, int64_t made_unix_ms, int64_t expires_unix_ms)
{
    json_t *json = json_pack("{s:s, s:I, s:I}", "user", user, "made", (json_int_t)made_unix_ms,
                             "expires", (json_int_t)expires_unix_ms);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

    (void)all;
    if (text == NULL)
        abort();
    durable_put(batch, DURABLE_BEARERS, sha256, SIGN_DIGEST_BYTES, text, strlen(text));
    free(text);
    json_decref(json);
}

static int number_of_user(struct sign_ons *all, const char *user, uint32_t *number)
{
    struct store_txn *txn;
    int rc = store_begin(all->settings.store, &txn);

    if (rc != CG_OK)
        return rc;
    if ((rc = store_user_id(txn, user, number)) == CG_OK && *number < SESSION_VIEWS_MAX)
        return store_commit(&txn);
    store_abort(&txn);
    return rc != CG_OK ? rc : CG_E_LIMIT;
}

/* As if it had been used when the disk says so: the steady clock counts only from one process to the next. */
static void revive(struct sign_ons *all, const uint8_t *sha256, const char *user, int64_t made,
                   int64_t expires)
{
    int64_t now_unix_ms = clock_steady_ms(), now_ms = clock_monotonic_ms();
    int64_t left = smaller(expires - now_unix_ms, all->config->bearers.ttl_ms);
    struct bearer *bearer;
    uint32_t number;

    if (left <= 0 || number_of_user(all, user, &number) != CG_OK)
        return;
    bearer = bearer_add(all, sha256, number, user, NULL, smaller(made, now_unix_ms));
    bearer->ends_ms = now_ms + bearer->made_unix_ms + all->config->bearers.max_ms - now_unix_ms;
    bearer->written_expiry_ms = expires;
    atomic_store(&bearer->use->used_at_ms, now_ms + left - all->config->bearers.ttl_ms);
}

static int on_row(void *data, const void *key, size_t key_length, const void *value, size_t length)
{
    json_t *json = json_loadb(value, length, JSON_REJECT_DUPLICATES, NULL);
    const char *user = json_string_value(json_object_get(json, "user"));

    if (key_length == SIGN_DIGEST_BYTES && user != NULL)
        revive(data, key, user, json_integer_value(json_object_get(json, "made")),
               json_integer_value(json_object_get(json, "expires")));
    json_decref(json);
    return 0;
}

int bearers_load(struct sign_ons *all)
{
    return durable_walk(all->settings.durable, DURABLE_BEARERS, on_row, all);
}

void sign_ons_take_up(struct sign_ons *all)
{
    struct bearer *bearer, *next;

    HASH_ITER(hh, all->bearers, bearer, next)
    {
        if (bearer->session != NULL)
            continue;
        bearer->session =
            sessions_take_up(all->settings.sessions, bearer->number, bearer->use->user);
        if (bearer->session != NULL)
            session_attach(bearer->session);
    }
}

/* ---- in memory ---- */

struct bearer *bearer_add(struct sign_ons *all, const uint8_t *sha256, uint32_t number,
                          const char *user, struct session *session, int64_t now_unix_ms)
{
    struct bearer *bearer = calloc(1, sizeof(*bearer));
    int64_t now_ms = clock_monotonic_ms();

    if (bearer == NULL || (bearer->use = bearer_use_new(user, now_ms)) == NULL)
        abort();
    memcpy(bearer->sha256, sha256, sizeof(bearer->sha256));
    bearer->number = number;
    bearer->session = session;
    bearer->made_unix_ms = now_unix_ms;
    bearer->ends_ms = now_ms + all->config->bearers.max_ms;
    bearer->written_expiry_ms = bearer_first_expiry_ms(all, now_unix_ms);
    HASH_ADD(hh, all->bearers, sha256, sizeof(bearer->sha256), bearer);
    return bearer;
}

void bearer_remove(struct sign_ons *all, struct bearer *bearer)
{
    HASH_DEL(all->bearers, bearer);
    if (bearer->session != NULL)
        session_detach(bearer->session);
    bearer_use_unref(&bearer->use);
    free(bearer);
}

/* ---- in the policy ---- */

const struct policy_bearer *sign_ons_bearers(struct sign_ons *all, size_t *count)
{
    size_t wanted = HASH_COUNT(all->bearers), n = 0;
    struct bearer *bearer, *next;

    if (wanted > all->list_size) {
        all->list_size = wanted * 2;
        if ((all->list = reallocarray(all->list, all->list_size, sizeof(*all->list))) == NULL)
            abort();
    }
    HASH_ITER(hh, all->bearers, bearer, next)
    {
        memcpy(all->list[n].sha256, bearer->sha256, sizeof(all->list[n].sha256));
        all->list[n].user = bearer->number;
        all->list[n++].use = bearer->use;
    }
    *count = n;
    return all->list;
}

void bearers_changed(struct sign_ons *all)
{
    all->is_dirty = 1;
    if (!all->closed && !all->is_out && !timer_is_armed(&all->publish))
        timer_arm(all->settings.loop, &all->publish, COALESCE_MS);
}

void bearers_await(struct sign_ons *all, struct attempt *attempt)
{
    attempt->next = all->unpublished;
    all->unpublished = attempt;
    bearers_changed(all);
}

/* One at a time: what changes meanwhile goes into the next. */
void bearers_publish(struct timer *timer)
{
    struct sign_ons *all = (struct sign_ons *)((char *)timer - offsetof(struct sign_ons, publish));

    if (all->is_out || !all->is_dirty)
        return;
    all->is_dirty = 0;
    all->is_out = 1;
    all->publishing = all->unpublished;
    all->unpublished = NULL;
    all->settings.publish(all->settings.data);
}

void sign_ons_published(struct sign_ons *all)
{
    struct attempt *attempt = all->publishing, *next;

    all->is_out = 0;
    all->publishing = NULL;
    for (; attempt != NULL; attempt = next) {
        next = attempt->next;
        attempt_answer(attempt, SIGN_DONE, CG_OK);
    }
    if (all->is_dirty)
        bearers_changed(all);
}

/* ---- time passes ---- */

static void follow_presence(struct sign_ons *all, struct bearer *bearer, int64_t now_ms)
{
    struct session *session = sessions_find(all->settings.sessions, bearer->number);
    int is_present = idle_ms(bearer, now_ms) < PRESENT_MS;

    if (bearer->session != NULL && (bearer->session != session || !is_present)) {
        session_detach(bearer->session);
        bearer->session = NULL;
    }
    if (is_present && bearer->session == NULL && session != NULL) {
        session_attach(session);
        bearer->session = session;
    }
}

static void rewrite(struct sign_ons *all, struct bearer *bearer, int64_t expires_unix_ms,
                    struct durable_batch *batch)
{
    if (bearer->is_leaving || expires_unix_ms - bearer->written_expiry_ms < REWRITE_MS)
        return;
    bearer->written_expiry_ms = expires_unix_ms;
    bearer_put(all, batch, bearer->sha256, bearer->use->user, bearer->made_unix_ms,
               expires_unix_ms);
}

static void end_bearer(struct sign_ons *all, struct bearer *bearer, struct durable_batch *batch,
                       const char *why)
{
    durable_delete(batch, DURABLE_BEARERS, bearer->sha256, sizeof(bearer->sha256));
    sign_audit(batch, why, bearer->use->user, NULL, "done", NULL);
    log_write(LOG_LEVEL_INFO, why, "A bearer token has ended", LOG_S("user", bearer->use->user));
    ++all->expired;
    bearer_remove(all, bearer);
    bearers_changed(all);
}

static void submit(struct sign_ons *all, struct durable_batch *batch)
{
    if (durable_batch_is_empty(batch))
        durable_batch_free(&batch);
    else
        durable_submit(all->settings.durable, batch, NULL, NULL, NULL);
}

void bearers_sweep(struct timer *timer)
{
    struct sign_ons *all = (struct sign_ons *)((char *)timer - offsetof(struct sign_ons, sweep));
    struct lockout_terms terms = {all->config->bearers.lockout_after,
                                  all->config->bearers.lockout_ms,
                                  all->config->bearers.lockout_max_ms};
    struct durable_batch *batch = durable_batch_new();
    int64_t now_ms = clock_monotonic_ms(), now_unix_ms = clock_steady_ms();
    struct bearer *bearer, *next;

    HASH_ITER(hh, all->bearers, bearer, next)
    {
        int64_t left = left_ms(all, bearer, now_ms);
        if (left == 0) {
            end_bearer(all, bearer, batch, "bearerExpired");
            continue;
        }
        follow_presence(all, bearer, now_ms);
        rewrite(all, bearer, now_unix_ms + left, batch);
    }
    submit(all, batch);
    lockout_sweep(all->users, &terms, now_ms);
    lockout_sweep(all->addresses, &terms, now_ms);
    timer_arm(all->settings.loop, timer, SWEEP_MS);
}

void sign_ons_session_removed(struct sign_ons *all, uint32_t user)
{
    struct durable_batch *batch = durable_batch_new();
    struct bearer *bearer, *next;

    HASH_ITER(hh, all->bearers, bearer, next)
    if (bearer->number == user)
        end_bearer(all, bearer, batch, "bearerEnded");
    submit(all, batch);
}
