#include "gateway/outbound/client_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"
#include "cctgate/secret.h"
#include "gateway/outbound/contacts.h"
#include "gateway/outbound/fault.h"

#define SESSION_KEY "sessionkey" /* in whatever case */

/* ---- one exchange ---- */

static enum soap_version version_of(const struct outbound *outbound,
                                    const struct contract_operation *op)
{
    int wants_12 = outbound->config->outbound.soap_12;

    if (wants_12 ? op->service->soap12 : !op->service->soap11)
        return SOAP_1_2;
    return SOAP_1_1;
}

struct upstream_call *outbound_new_call(struct outbound *outbound,
                                        const struct contract_operation *op,
                                        void (*on_deliver)(struct message *), void *data)
{
    struct upstream_call *call = upstream_call_new(op);

    if (call == NULL)
        abort();
    call->message.on_deliver = on_deliver;
    call->reply_to = &outbound->loop->mailbox;
    call->version = version_of(outbound, op);
    call->data = data;
    return call;
}

/* jansson keeps its own copy of the secret: it must not outlive the call. */
static void wipe(json_t *string)
{
    const char *value = json_string_value(string);
    if (value != NULL)
        explicit_bzero((char *)value, json_string_length(string));
    json_decref(string);
}

void outbound_submit(struct outbound *outbound, struct upstream_call *call, json_t *arguments,
                     const char *secret_member, const char *secret)
{
    json_t *whole = arguments != NULL ? json_copy(arguments) : json_object(), *string = NULL;

    if (whole == NULL)
        abort();
    if (secret_member != NULL && secret != NULL) {
        string = json_string(secret);
        json_object_set(whole, secret_member, string);
    }
    call->rc =
        codec_encode_request(call->op, call->version, whole, NULL, &call->request, &call->error);
    json_decref(whole);
    wipe(string);
    if (call->rc == CG_OK && outbound->upstream == NULL)
        call->rc = CG_E_SHUTDOWN;
    if (call->rc == CG_OK) {
        upstream_submit(outbound->upstream, call);
        return;
    }
    call->http_status = -1;
    mailbox_send(call->reply_to, &call->message);
}

/* ---- calls ---- */

const struct contract_operation *outbound_operation(const struct outbound *outbound,
                                                    const char *service, const char *operation)
{
    return contract_find(outbound->contract, service, operation);
}

static const char *find_member(const struct contract_operation *op, const char *name,
                               int (*compare)(const char *, const char *))
{
    const char *member;
    size_t i;

    for (i = 0; (member = contract_input_member(op, i)) != NULL; ++i)
        if (compare(member, name) == 0)
            return member;
    return NULL;
}

int outbound_has_member(const struct contract_operation *op, const char *member)
{
    return find_member(op, member, strcmp) != NULL;
}

void outbound_finish(struct outbound_pending *pending, const struct outbound_outcome *outcome)
{
    if (outcome->rc != CG_OK)
        ++pending->outbound->stats.failures;
    pending->done(pending->data, outcome);
    json_decref(pending->arguments);
    free(pending);
}

static void on_reply(struct message *message);

void outbound_fail_later(struct outbound_pending *pending, int rc)
{
    struct outbound *outbound = pending->outbound;
    struct upstream_call *call = outbound_new_call(outbound, pending->op, on_reply, pending);

    call->rc = rc;
    call->http_status = -1;
    ++outbound->in_flight;
    mailbox_send(call->reply_to, &call->message);
}

void outbound_send(struct outbound_pending *pending)
{
    struct outbound *outbound = pending->outbound;
    struct upstream_call *call = outbound_new_call(outbound, pending->op, on_reply, pending);

    call->command = pending->command;
    memcpy(call->traceparent, pending->traceparent, sizeof(call->traceparent));
    pending->generation = outbound->generation;
    ++outbound->in_flight;
    ++outbound->stats.calls;
    outbound_submit(outbound, call, pending->arguments,
                    find_member(pending->op, SESSION_KEY, strcasecmp), outbound->key);
}

void outbound_begin(struct outbound_pending *pending)
{
    struct outbound *outbound = pending->outbound;

    if (outbound->state >= LOGIN_LEAVING) {
        outbound_fail_later(pending, CG_E_SHUTDOWN);
    } else if (outbound->state == LOGIN_UP) {
        outbound_send(pending);
    } else if (outbound->state == LOGIN_NONE && outbound->loop->now_ms < outbound->not_before_ms) {
        outbound_fail_later(pending, outbound->last_rc);
    } else {
        pending->next = NULL;
        *outbound->waiting_end = pending;
        outbound->waiting_end = &pending->next;
        if (outbound->state == LOGIN_NONE)
            outbound_connect(outbound);
    }
}

void outbound_call(struct outbound *outbound, const struct contract_operation *op,
                   json_t *arguments, int command, const char *traceparent, outbound_done done,
                   void *data)
{
    struct outbound_pending *pending = calloc(1, sizeof(*pending));

    if (pending == NULL)
        abort();
    pending->outbound = outbound;
    pending->op = op;
    pending->arguments = json_incref(arguments);
    pending->command = command;
    if (traceparent != NULL)
        snprintf(pending->traceparent, sizeof(pending->traceparent), "%s", traceparent);
    pending->done = done;
    pending->data = data;
    outbound_begin(pending);
}

/* ---- what comes back ---- */

static int is_unknown(const struct upstream_call *call)
{
    return call->sent && call->http_status != -1 && call->rc != CG_OK && call->rc != CG_E_FAULT &&
           call->rc != CG_E_DENIED;
}

/* It was not sent, because nobody could log in: as the login failed. */
static void of_login(const struct outbound *outbound, struct outbound_outcome *outcome)
{
    int64_t wait = outbound->not_before_ms - outbound->loop->now_ms;

    outcome->reason = outbound->last_reason;
    outcome->fault = outbound->last_fault;
    outcome->retry_after_ms = wait > 1000 ? wait : 1000;
}

static void conclude(struct outbound_pending *pending, struct upstream_call *call, int expired)
{
    struct outbound_outcome outcome = {call->rc, OUTBOUND_OTHER, call->op, call->result,
                                       NULL,     &call->error,   0,        is_unknown(call)};

    if (call->rc == CG_E_FAULT)
        outcome.fault = &call->fault;
    if (call->http_status == -1 && call->rc == pending->outbound->last_rc && call->rc != CG_OK)
        of_login(pending->outbound, &outcome);
    if (call->rc == CG_E_REFUSED)
        outcome.retry_after_ms = 1000;
    if (expired) {
        outcome.rc = CG_E_SESSION;
        outcome.reason = OUTBOUND_EXPIRED;
        outcome.retry_after_ms = 1000;
    } else if (call->rc == CG_E_FAULT && pending->fault == OUTBOUND_FAULT_TOO_FAST) {
        outcome.reason = OUTBOUND_TOO_FAST;
        outcome.retry_after_ms = 1000;
    }
    outbound_finish(pending, &outcome);
    upstream_call_free(&call);
}

/* A read is called again, once. */
static int repeat(struct outbound_pending *pending, struct upstream_call **call)
{
    if (pending->repeated || pending->command || pending->outbound->state >= LOGIN_LEAVING)
        return 0;
    pending->repeated = 1;
    upstream_call_free(call);
    outbound_begin(pending);
    return 1;
}

/* The key it was sent with is gone. */
static void key_is_gone(struct outbound_pending *pending, struct upstream_call *call)
{
    outbound_lose_key(pending->outbound, pending->generation);
    if (!repeat(pending, &call))
        conclude(pending, call, 1);
}

/* GetCampaigns takes nothing but the key, so what it refuses is likely that. A login tells. */
static void key_may_be_gone(struct outbound_pending *pending, struct upstream_call *call)
{
    if (!pending->repeated)
        outbound_doubt_key(pending->outbound, pending->generation);
    if (!repeat(pending, &call))
        conclude(pending, call, 0);
}

/* A fault that may come of anything: GetCampaigns tells whether the key is good, since it takes nothing else. */
struct doubt {
    struct campaigns_waiter waiter;
    struct outbound_pending *pending;
    struct upstream_call *call;
};

static void on_proven(struct campaigns_waiter *waiter, const struct outbound_outcome *outcome)
{
    struct doubt *doubt = (struct doubt *)waiter;
    struct outbound_pending *pending = doubt->pending;
    struct upstream_call *call = doubt->call;

    (void)outcome;
    free(doubt);
    if (pending->generation != pending->outbound->generation)
        key_is_gone(pending, call);
    else
        conclude(pending, call, 0);
}

static void prove_key(struct outbound_pending *pending, struct upstream_call *call)
{
    struct doubt *doubt = calloc(1, sizeof(*doubt));

    if (doubt == NULL)
        abort();
    doubt->waiter.on_done = on_proven;
    doubt->pending = pending;
    doubt->call = call;
    outbound_fetch_campaigns(pending->outbound, &doubt->waiter);
}

static void leave_if_idle(struct outbound *outbound)
{
    if (outbound->state == LOGIN_LEAVING && outbound->in_flight == 0)
        timer_arm(outbound->loop, &outbound->leaving, 0);
}

static int says(const json_t *arguments, enum outbound_fault fault)
{
    json_t *value, *all = (json_t *)(uintptr_t)arguments;
    const char *name;
    size_t i;

    json_array_foreach(all, i, value) if (says(value, fault)) return 1;
    json_object_foreach(all, name, value) if (says(value, fault)) return 1;
    return json_is_string(all) && outbound_fault_of_call(json_string_value(all)) == fault;
}

/*
 * What a client sent may be repeated to us: its words must neither end the login nor hold the queue. Parts of "once per second" are in
 * many a name, so that it is the client's only if one of its texts says all of it.
 */
static enum outbound_fault fault_of(const struct outbound_pending *pending, const char *message)
{
    enum outbound_fault fault = outbound_fault_of_call(message);
    char theirs[CG_ERROR_TEXT_MAX];

    if (fault == OUTBOUND_FAULT_TOO_FAST && !says(pending->arguments, fault))
        return fault;
    snprintf(theirs, sizeof(theirs), "%s", message);
    contacts_blot(theirs, pending->arguments);
    return outbound_fault_of_call(theirs);
}

static void on_reply(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct outbound_pending *pending = call->data;
    struct outbound *outbound = pending->outbound;

    --outbound->in_flight;
    pending->fault = OUTBOUND_FAULT_OTHER;
    leave_if_idle(outbound);
    if (call->rc == CG_E_FAULT) {
        outbound_fault_blot(call->fault.message, outbound->key);
        outbound_fault_blot(call->fault.message, outbound->doubtful);
    }
    if (call->rc != CG_E_FAULT || call->http_status == -1) {
        conclude(pending, call, 0);
        return;
    }
    pending->fault = fault_of(pending, call->fault.message);
    if (pending->fault == OUTBOUND_FAULT_KEY)
        key_is_gone(pending, call);
    else if (call->op == outbound->campaigns_op)
        key_may_be_gone(pending, call);
    else if (pending->fault == OUTBOUND_FAULT_TOO_FAST || outbound->state >= LOGIN_LEAVING)
        conclude(pending, call, 0);
    else
        prove_key(pending, call);
}

/* ---- life ---- */

static void on_leaving(struct timer *timer);

static int start_upstream(struct outbound *outbound, char *error, size_t error_size)
{
    const struct config *config = outbound->config;
    struct upstream_endpoint endpoint = {
        .name = "outbound",
        .url = config->outbound.url,
        .service_suffix = ".asmx",
        .tls = {config->upstream.tls.ca_file, config->upstream.tls.certificate_file,
                config->upstream.tls.key_file},
        .max_concurrent = CG_OUTBOUND_CONCURRENT_MAX,
        .connect_timeout_ms = config->upstream.connect_timeout_ms,
        .timeout_ms = config->upstream.timeout_ms,
    };
    return upstream_start(&outbound->upstream, &endpoint, 1, error, error_size);
}

int outbound_new(struct outbound **out, const struct outbound_settings *settings, char *error,
                 size_t error_size)
{
    struct outbound *outbound;
    int rc;

    *out = NULL;
    if (settings->config->outbound.url == NULL ||
        contract_find(settings->contract, OUTBOUND_CAMPAIGN, "GetCampaigns") == NULL)
        return CG_OK;
    if ((outbound = calloc(1, sizeof(*outbound))) == NULL)
        return CG_E_NOMEM;
    outbound->loop = settings->loop;
    outbound->config = config_ref(settings->config);
    outbound->contract = settings->contract;
    outbound->durable = settings->durable;
    outbound->sessions = settings->sessions;
    outbound->login_op = contract_find(settings->contract, OUTBOUND_UTILITY, "OutboundLogin");
    outbound->logoff_op = contract_find(settings->contract, OUTBOUND_UTILITY, "OutboundLogoff");
    outbound->campaigns_op = contract_find(settings->contract, OUTBOUND_CAMPAIGN, "GetCampaigns");
    outbound->waiting_end = &outbound->waiting;
    outbound->campaigns.waiting_end = &outbound->campaigns.waiting;
    outbound->campaigns.source.lost_at_ms = clock_steady_ms();
    outbound->statuses = json_object();
    outbound->leaving.on_due = on_leaving;
    outbound_turns_init(outbound);
    if (outbound->login_op == NULL || outbound->logoff_op == NULL) {
        snprintf(error, error_size, "the contract has no " OUTBOUND_UTILITY " to log in with");
        rc = CG_E_INVALID;
    } else {
        rc = start_upstream(outbound, error, error_size);
    }
    if (rc != CG_OK) {
        outbound_free(&outbound);
        return rc;
    }
    outbound_recall_key(outbound);
    *out = outbound;
    return CG_OK;
}

static int same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static void on_old_user_left(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    upstream_call_free(&call);
}

void outbound_configure(struct outbound *outbound, struct config *config)
{
    const char *user = outbound->config->outbound.user;
    int other_user = !same(user, config->outbound.user);

    if (other_user || !same(outbound->config->outbound.password, config->outbound.password) ||
        outbound->config->outbound.take_over != config->outbound.take_over)
        outbound_login_reset(outbound);
    if (other_user && outbound->state == LOGIN_UP) {
        outbound_send_logoff(outbound, outbound->user, on_old_user_left);
        outbound_lose_key(outbound, outbound->generation);
    }
    config_ref(config);
    config_unref(&outbound->config);
    outbound->config = config;
}

void outbound_detach(struct outbound *outbound)
{
    if (outbound == NULL || outbound->upstream == NULL)
        return;
    upstream_stop(&outbound->upstream, 0);
    outbound->state = LOGIN_LEFT;
    outbound_turns_drain(outbound);
}

void outbound_free(struct outbound **in)
{
    struct outbound *outbound = *in;

    *in = NULL;
    if (outbound == NULL)
        return;
    outbound_detach(outbound);
    timer_disarm(outbound->loop, &outbound->leaving);
    timer_disarm(outbound->loop, &outbound->turns.timer);
    secret_wipe(&outbound->key);
    secret_wipe(&outbound->doubtful);
    secret_wipe(&outbound->password);
    free(outbound->user);
    if (outbound->last_fault != NULL)
        codec_fault_release(outbound->last_fault);
    free(outbound->last_fault);
    json_decref(outbound->campaigns.items);
    json_decref(outbound->statuses);
    config_unref(&outbound->config);
    free(outbound);
}

/* ---- leaving ---- */

static void left(struct outbound *outbound)
{
    if (outbound->state == LOGIN_LEFT)
        return;
    outbound->state = LOGIN_LEFT;
    timer_disarm(outbound->loop, &outbound->leaving);
    outbound->on_left(outbound->on_left_data);
}

static void on_logged_off(struct message *message)
{
    struct upstream_call *call = (struct upstream_call *)message;
    struct outbound *outbound = call->data;

    if (call->rc == CG_OK)
        outbound_strike_key(outbound);
    upstream_call_free(&call);
    left(outbound);
}

/* What was on its way has ended, or has had its time: log off. Or the logoff has had its time, too. */
static void on_leaving(struct timer *timer)
{
    struct outbound *outbound =
        (struct outbound *)((char *)timer - offsetof(struct outbound, leaving));
    int64_t rest = outbound->leave_by_ms - outbound->loop->now_ms;

    if (rest > 0 && outbound->is_leaving) {
        timer_arm(outbound->loop, &outbound->leaving, rest); /* a login is still on its way */
        return;
    }
    if (outbound->key == NULL || rest <= 0 || outbound->upstream == NULL) {
        left(outbound);
        return;
    }
    outbound_send_logoff(outbound, outbound->user, on_logged_off);
    secret_wipe(&outbound->key); /* the row stays until the answer */
    timer_arm(outbound->loop, &outbound->leaving, rest);
}

void outbound_log_off(struct outbound *outbound, unsigned timeout_ms, void (*on_done)(void *data),
                      void *data)
{
    struct outbound_pending *pending;

    if (outbound == NULL || outbound->state >= LOGIN_LEAVING) {
        on_done(data);
        return;
    }
    outbound->on_left = on_done;
    outbound->on_left_data = data;
    outbound->is_leaving = outbound->state == LOGIN_UNDER_WAY;
    outbound->state = LOGIN_LEAVING;
    outbound->leave_by_ms = outbound->loop->now_ms + timeout_ms;
    while ((pending = outbound->waiting) != NULL) {
        if ((outbound->waiting = pending->next) == NULL)
            outbound->waiting_end = &outbound->waiting;
        outbound_fail_later(pending, CG_E_SHUTDOWN);
    }
    if (outbound->turns.first != NULL)
        timer_arm(outbound->loop, &outbound->turns.timer, 0);
    timer_arm(outbound->loop, &outbound->leaving,
              outbound->in_flight > 0 || outbound->is_leaving ? timeout_ms / 2 : 0);
}

void outbound_get_stats(const struct outbound *outbound, struct outbound_stats *stats)
{
    memset(stats, 0, sizeof(*stats));
    if (outbound == NULL)
        return;
    *stats = outbound->stats;
    stats->turns = outbound->turns.total;
    stats->turns_waiting = outbound->turns.waiting;
    stats->logged_in = outbound->state == LOGIN_UP;
}
