/*
 * One login at a time. What it fails with is remembered, so that those who ask meanwhile are told the same without the contact centre's
 * being asked: for a moment where it may get better by itself, and for longer each time where the credentials were not taken.
 */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"
#include "cctgate/secret.h"
#include "gateway/outbound/client_private.h"
#include "gateway/outbound/fault.h"

#define AGAIN_MS      1000  /* after a failure that is nobody's fault */
#define DOUBT_MS      10000 /* between two logins that only find out whether the key is good */
#define DENIED_MS     30000
#define DENIED_MAX_MS 3600000
#define DENIED_GROWTH 4

static void on_login(struct message *message);
static void on_logged_off(struct message *message);

static void log_in(struct outbound *outbound)
{
    const struct config *config = outbound->config;
    json_t *arguments = json_pack("{s:s}", "username", config->outbound.user);
    struct upstream_call *call =
        outbound_new_call(outbound, outbound->login_op, on_login, outbound);

    free(outbound->user);
    secret_wipe(&outbound->password);
    if (arguments == NULL || (outbound->user = strdup(config->outbound.user)) == NULL ||
        (outbound->password = strdup(config->outbound.password)) == NULL)
        abort();
    call->command = 1;
    ++outbound->stats.logins;
    outbound_submit(outbound, call, arguments, "password", outbound->password);
    json_decref(arguments);
}

void outbound_connect(struct outbound *outbound)
{
    outbound->state = LOGIN_UNDER_WAY;
    outbound->takeovers = 0;
    log_in(outbound);
}

void outbound_send_logoff(struct outbound *outbound, const char *user,
                          void (*on_reply)(struct message *))
{
    struct upstream_call *call =
        outbound_new_call(outbound, outbound->logoff_op, on_reply, outbound);
    json_t *arguments = json_pack("{s:s}", "username", user);

    call->command = 1;
    outbound_submit(outbound, call, arguments, NULL, NULL);
    json_decref(arguments);
}

/* ---- the key ---- */

void outbound_forget_key(struct outbound *outbound)
{
    secret_wipe(&outbound->key);
    ++outbound->generation;
}

void outbound_lose_key(struct outbound *outbound, unsigned generation)
{
    if (generation != outbound->generation || outbound->key == NULL)
        return;
    ++outbound->stats.renewals;
    outbound_strike_key(outbound);
    outbound_forget_key(outbound);
    if (outbound->state == LOGIN_UP)
        outbound->state = LOGIN_NONE;
    log_write(LOG_LEVEL_INFO, "outboundKeyLost", "The Outbound session key is no longer good",
              LOG_S("user", outbound->user));
}

void outbound_doubt_key(struct outbound *outbound, unsigned generation)
{
    if (generation != outbound->generation || outbound->state != LOGIN_UP ||
        outbound->loop->now_ms < outbound->doubt_after_ms)
        return;
    outbound->doubt_after_ms = outbound->loop->now_ms + DOUBT_MS;
    secret_wipe(&outbound->doubtful);
    outbound->doubtful = outbound->key;
    outbound->key = NULL;
    outbound_connect(outbound);
}

/* ---- how an attempt ends ---- */

static struct outbound_pending *take_waiting(struct outbound *outbound)
{
    struct outbound_pending *first = outbound->waiting;
    outbound->waiting = NULL;
    outbound->waiting_end = &outbound->waiting;
    return first;
}

static void remember(struct outbound *outbound, int rc, enum outbound_reason reason,
                     struct codec_fault *fault)
{
    if (outbound->last_fault != NULL)
        codec_fault_release(outbound->last_fault);
    free(outbound->last_fault);
    outbound->last_fault = NULL;
    outbound->last_rc = rc;
    outbound->last_reason = reason;
    if (fault == NULL || fault->name == NULL ||
        (outbound->last_fault = calloc(1, sizeof(*fault))) == NULL)
        return;
    *outbound->last_fault = *fault;
    outbound->last_fault->detail = NULL;
    memmove(outbound->last_fault->storage, fault->name,
            strnlen(fault->name, sizeof(fault->storage) - 1));
    outbound->last_fault->storage[strnlen(fault->name, sizeof(fault->storage) - 1)] = '\0';
    outbound->last_fault->name = outbound->last_fault->storage;
}

static void release_waiting(struct outbound *outbound)
{
    struct outbound_pending *pending = take_waiting(outbound), *next;

    for (; pending != NULL; pending = next) {
        next = pending->next;
        outbound_send(pending);
    }
}

static void fail_waiting(struct outbound *outbound)
{
    struct outbound_pending *pending = take_waiting(outbound), *next;

    for (; pending != NULL; pending = next) {
        next = pending->next;
        outbound_fail_later(pending, outbound->last_rc);
    }
}

/* The gateway is stopping: whatever came of the login, it is time to go. */
static int leave(struct outbound *outbound, const char *key)
{
    if (outbound->state < LOGIN_LEAVING)
        return 0;
    if (outbound->state == LOGIN_LEAVING) {
        outbound->is_leaving = 0;
        outbound->key = key != NULL ? strdup(key) : NULL;
        timer_arm(outbound->loop, &outbound->leaving, 0);
    }
    return 1;
}

static void came_up(struct outbound *outbound, const char *key)
{
    if (outbound->doubtful != NULL)
        ++outbound->stats.renewals;
    secret_wipe(&outbound->doubtful);
    outbound_forget_key(outbound);
    if ((outbound->key = strdup(key)) == NULL)
        abort();
    outbound->denials = outbound->failures = 0;
    outbound->not_before_ms = 0;
    remember(outbound, CG_OK, OUTBOUND_OTHER, NULL);
    outbound->state = LOGIN_UP;
    outbound_keep_key(outbound);
    log_write(LOG_LEVEL_INFO, "outboundLoggedIn", "Logged in to the Outbound services",
              LOG_S("user", outbound->user));
    release_waiting(outbound);
}

static int64_t denied_ms(unsigned denials)
{
    int64_t ms = DENIED_MS;
    while (--denials > 0 && ms < DENIED_MAX_MS)
        ms *= DENIED_GROWTH;
    return ms < DENIED_MAX_MS ? ms : DENIED_MAX_MS;
}

static void failed(struct outbound *outbound, int rc, enum outbound_reason reason,
                   struct codec_fault *fault)
{
    int64_t wait = AGAIN_MS;

    ++outbound->stats.login_failures;
    if (reason == OUTBOUND_DENIED)
        wait = denied_ms(++outbound->denials);
    outbound->not_before_ms = outbound->loop->now_ms + wait;
    remember(outbound, rc, reason, fault);
    log_write(LOG_LEVEL_WARNING, "outboundLoginFailed",
              reason == OUTBOUND_IN_USE
                  ? "Somebody is logged in to the Outbound services as the configured user"
                  : "Could not log in to the Outbound services",
              LOG_S("user", outbound->user), LOG_S("reason", cg_error_name(rc)),
              LOG_I("againInMs", wait));
    if (outbound->doubtful != NULL) { /* it is the better one */
        outbound->key = outbound->doubtful;
        outbound->doubtful = NULL;
        outbound->state = LOGIN_UP;
        release_waiting(outbound);
        return;
    }
    outbound->state = LOGIN_NONE;
    fail_waiting(outbound);
}

/* 1: whoever is logged in is logged off, and the login is tried again. */
static int take_over(struct outbound *outbound)
{
    if (!outbound->config->outbound.take_over || outbound->takeovers >= OUTBOUND_TAKEOVERS_MAX)
        return 0;
    ++outbound->takeovers;
    ++outbound->stats.takeovers;
    log_write(LOG_LEVEL_WARNING, "outboundTakeOver",
              "Logging off who is logged in to the Outbound services as the configured user",
              LOG_S("user", outbound->user));
    outbound_send_logoff(outbound, outbound->user, on_logged_off);
    return 1;
}

static void on_logged_off(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct outbound *outbound = call->data;

    if (!leave(outbound, NULL)) {
        if (call->rc == CG_OK || call->rc == CG_E_FAULT)
            log_in(outbound);
        else
            failed(outbound, call->rc, OUTBOUND_OTHER, NULL);
    }
    upstream_call_free(&call);
}

static void on_refused(struct outbound *outbound, struct codec_fault *fault)
{
    outbound_fault_blot(fault->message, outbound->password);
    switch (outbound_fault_of_login(fault->message)) {
    case OUTBOUND_FAULT_IN_USE:
        if (!take_over(outbound))
            failed(outbound, CG_E_DENIED, OUTBOUND_IN_USE, fault);
        return;
    case OUTBOUND_FAULT_EXPIRED:
        if (!take_over(outbound))
            failed(outbound, CG_E_DENIED, OUTBOUND_DENIED, fault);
        return;
    default:
        failed(outbound, CG_E_DENIED, OUTBOUND_DENIED, fault);
    }
}

static void on_login(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct outbound *outbound = call->data;
    const char *key = call->rc == CG_OK ? json_string_value(outbound_value(call->result)) : NULL;

    if (key != NULL && *key == '\0')
        key = NULL;
    if (leave(outbound, key))
        ;
    else if (key != NULL && strcmp(outbound->user, outbound->config->outbound.user) != 0)
        outbound_send_logoff(outbound, outbound->user, on_logged_off); /* a reload came between */
    else if (key != NULL)
        came_up(outbound, key);
    else if (call->rc == CG_E_FAULT)
        on_refused(outbound, &call->fault);
    else
        failed(outbound, call->rc == CG_OK ? CG_E_PROTOCOL : call->rc,
               call->rc == CG_E_DENIED ? OUTBOUND_DENIED : OUTBOUND_OTHER, NULL);
    if (outbound->state != LOGIN_UNDER_WAY)
        secret_wipe(&outbound->password);
    if (call->result != NULL) { /* the key's copy */
        const char *text = json_string_value(outbound_value(call->result));
        if (text != NULL)
            explicit_bzero((char *)text, strlen(text));
    }
    upstream_call_free(&call);
}

void outbound_login_reset(struct outbound *outbound)
{
    outbound->denials = 0;
    outbound->not_before_ms = 0;
}
