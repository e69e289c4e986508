/*
 * The upstream thread, and the promise that nothing is sent twice.
 *
 * Life of a call: upstream_submit (any thread) stamps it and puts it into the transport's mailbox;
 * the thread moves it to its endpoint's queue; when the endpoint has fewer than max_concurrent
 * calls on the wire it gets an exchange (a libcurl handle, reused from call to call) and goes into
 * the multi handle; when libcurl is through with it, the outcome is worked out here, on this
 * thread, and the call goes to the mailbox that it named. From any of these stations a deadline or
 * upstream_stop can take it to the end; there is no way to lose one, and each is answered once.
 *
 * Sending twice. libcurl (read in Curl_retry_request, tried on 7.88.1) repeats a request by itself,
 * up to five times, when a connection from the pool ended before the first byte of a reply. That is
 * meant for the server that closed an idle connection just as we picked it, but from here it cannot
 * be told from a server that took the command, acted and died. CURLOPT_FRESH_CONNECT would prevent
 * it at the price of the pool; a body given by a read function that refuses to rewind would too,
 * but costs a second packet per request and says nothing when only the header went out. What is
 * used instead: each attempt, on whatever connection, passes CURLOPT_PREREQFUNCTION before its
 * first byte is written. The first attempt passes. A second one passes only if the call is not a
 * command and libcurl has counted not one byte of the first as accepted by the system
 * (CURLINFO_REQUEST_SIZE, which adds up over attempts); else it is aborted and the call ends with
 * CG_E_RESET. CURLOPT_OPENSOCKETFUNCTION asks the same question earlier, so that no connection is
 * opened in vain. Redirects and authentication, the other reasons to send again, are off.
 *
 * To make the race rare, a command takes only a connection that was in use a moment ago
 * (CURLOPT_MAXAGE_CONN); libcurl looks for a close that has already arrived before it takes any.
 *
 * `sent` is the same count: it is 0 only if the system accepted no byte of the request in any
 * attempt.
 *
 * Secrets: the request buffer is wiped when the call is freed. libcurl and OpenSSL make copies of
 * their own while sending, which live until their buffers are used again.
 *
 * Stopping: `stopping` is set, then the thread is woken. A submitter that saw it unset counts in
 * `submitting` until its call is in the mailbox, so upstream_stop knows when the last one is in,
 * answers it, and only then frees anything.
 */
#include "gateway/upstream/transport.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"

/* The poll ends at the latest after this; what needs the thread earlier wakes it. */
#define IDLE_POLL_MS 60000

struct upstream {
    CURLM *multi;
    pthread_t thread;
    struct mailbox mailbox;
    struct transport_endpoint *endpoints;
    size_t num_endpoints;
    struct transport_exchange *active;
    struct transport_watch watch;
    atomic_int stopping;
    atomic_uint submitting;
    atomic_size_t waiting; /* in the mailbox or a queue, of all endpoints */
    unsigned grace_ms;     /* written before `stopping` */
    int stop_begun;
    int64_t stop_deadline_us;
};

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- calls ---- */

struct upstream_call *upstream_call_new(const struct contract_operation *op)
{
    struct transport_call *call = calloc(1, sizeof(*call));

    if (call == NULL)
        return NULL;
    call->call.op = op;
    call->call.version = SOAP_1_1;
    return &call->call;
}

static void forget_outcome(struct upstream_call *call)
{
    json_decref(call->result);
    call->result = NULL;
    codec_fault_release(&call->fault);
    memset(&call->fault, 0, sizeof(call->fault));
    memset(&call->error, 0, sizeof(call->error));
    call->rc = CG_OK;
    call->sent = 0;
    call->http_status = 0;
    call->queued_us = call->elapsed_us = 0;
}

void upstream_call_free(struct upstream_call **call)
{
    if (*call == NULL)
        return;
    forget_outcome(*call);
    if ((*call)->request.bytes != NULL)
        explicit_bzero((*call)->request.bytes, (*call)->request.capacity > (*call)->request.length
                                                   ? (*call)->request.capacity
                                                   : (*call)->request.length);
    codec_buffer_release(&(*call)->request);
    free((struct transport_call *)*call);
    *call = NULL;
}

static void send_reply(struct transport_call *call)
{
    int64_t now = now_us();

    call->call.elapsed_us = now - call->submitted_us;
    call->call.queued_us = (call->started_us ? call->started_us : now) - call->submitted_us;
    mailbox_send(call->call.reply_to, &call->call.message);
}

/* Counters first: whoever has the outcome finds it counted. */
static void answer(struct transport_endpoint *endpoint, struct transport_call *call)
{
    if (call->call.rc == CG_E_FAULT)
        atomic_fetch_add(&endpoint->counters.faults, 1);
    else if (call->call.rc != CG_OK)
        atomic_fetch_add(&endpoint->counters.failures, 1);
    send_reply(call);
}

/* ---- from the queue to the wire ---- */

static void leave_queue(struct upstream *upstream, struct transport_endpoint *endpoint)
{
    atomic_fetch_sub(&endpoint->counters.queued, 1);
    atomic_fetch_sub(&upstream->waiting, 1);
}

/* Ends a call that has been taken out of the queue and was never started. */
static void answer_unsent(struct upstream *upstream, struct transport_call *call, int rc,
                          const char *text)
{
    struct transport_endpoint *endpoint = &upstream->endpoints[call->call.endpoint];

    leave_queue(upstream, endpoint);
    transport_set_error(&call->call, rc, "%s: %s", endpoint->name, text);
    answer(endpoint, call);
}

static void on_submission(struct message *message)
{
    struct transport_call *call =
        (struct transport_call *)((char *)message - offsetof(struct transport_call, submission));
    struct upstream *upstream = call->upstream;

    if (atomic_load(&upstream->stopping))
        answer_unsent(upstream, call, CG_E_SHUTDOWN, "the gateway is stopping");
    else if (transport_queue_push(&upstream->endpoints[call->call.endpoint].queue, call) != CG_OK)
        answer_unsent(upstream, call, CG_E_NOMEM, "out of memory");
}

static struct transport_exchange *take_exchange(struct transport_endpoint *endpoint)
{
    struct transport_exchange *exchange = endpoint->spare;

    if (exchange == NULL)
        return transport_exchange_new(endpoint);
    endpoint->spare = exchange->next;
    exchange->next = NULL;
    return exchange;
}

static void give_exchange_back(struct transport_endpoint *endpoint,
                               struct transport_exchange *exchange)
{
    transport_exchange_clear(exchange);
    exchange->next = endpoint->spare;
    endpoint->spare = exchange;
}

static void link_active(struct upstream *upstream, struct transport_exchange *exchange)
{
    exchange->previous = NULL;
    exchange->next = upstream->active;
    if (upstream->active != NULL)
        upstream->active->previous = exchange;
    upstream->active = exchange;
    ++exchange->endpoint->active;
    atomic_fetch_add(&exchange->endpoint->counters.in_flight, 1);
}

static void unlink_active(struct upstream *upstream, struct transport_exchange *exchange)
{
    if (exchange->previous != NULL)
        exchange->previous->next = exchange->next;
    else
        upstream->active = exchange->next;
    if (exchange->next != NULL)
        exchange->next->previous = exchange->previous;
    --exchange->endpoint->active;
    atomic_fetch_sub(&exchange->endpoint->counters.in_flight, 1);
}

/* On the wire or, when that cannot be, answered. */
static void start_call(struct upstream *upstream, struct transport_endpoint *endpoint,
                       struct transport_call *call)
{
    struct transport_exchange *exchange = take_exchange(endpoint);
    int64_t now = now_us();
    int rc = exchange != NULL ? transport_exchange_prepare(exchange, call, now) : CG_E_NOMEM;

    if (rc == CG_OK && curl_multi_add_handle(upstream->multi, exchange->easy) != CURLM_OK)
        rc = CG_E_NOMEM;
    if (rc == CG_OK) {
        leave_queue(upstream, endpoint);
        call->started_us = now;
        link_active(upstream, exchange);
        return;
    }
    if (exchange != NULL)
        give_exchange_back(endpoint, exchange);
    answer_unsent(upstream, call, rc,
                  rc == CG_E_INVALID ? "the service's name or SOAPAction cannot go into a request"
                                     : "out of memory");
}

static void expire_waiting(struct upstream *upstream, struct transport_endpoint *endpoint)
{
    int64_t now = now_us();
    struct transport_call *call;

    while ((call = transport_queue_pop_expired(&endpoint->queue, now)) != NULL)
        answer_unsent(upstream, call, CG_E_TIMEOUT,
                      "the deadline passed while the call waited for a free connection");
}

static int is_too_late(const struct upstream_call *call)
{
    return call->not_after_ms != 0 && now_us() / 1000 > call->not_after_ms;
}

static void start_waiting(struct upstream *upstream)
{
    struct transport_call *call;
    size_t i;

    for (i = 0; i < upstream->num_endpoints; ++i) {
        struct transport_endpoint *endpoint = &upstream->endpoints[i];
        expire_waiting(upstream, endpoint);
        while (endpoint->active < endpoint->max_concurrent &&
               (call = transport_queue_pop(&endpoint->queue)) != NULL)
            if (is_too_late(&call->call))
                answer_unsent(upstream, call, CG_E_BUSY,
                              "what allowed the call ended while it waited for a free connection");
            else
                start_call(upstream, endpoint, call);
    }
}

/* ---- from the wire to the caller ---- */

static void finish(struct upstream *upstream, struct transport_exchange *exchange)
{
    struct transport_endpoint *endpoint = exchange->endpoint;
    struct transport_call *call = exchange->call;

    curl_multi_remove_handle(upstream->multi, exchange->easy);
    unlink_active(upstream, exchange);
    give_exchange_back(endpoint, exchange);
    answer(endpoint, call);
}

static void collect_finished(struct upstream *upstream)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(upstream->multi, &left)) != NULL) {
        struct transport_exchange *exchange = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        transport_conclude(exchange, message->data.result);
        if (message->data.result == CURLE_OK)
            transport_watch_answered(&upstream->watch, exchange);
        finish(upstream, exchange);
    }
}

/* ---- the thread ---- */

static void begin_stop(struct upstream *upstream)
{
    struct transport_call *call;
    size_t i;

    upstream->stop_begun = 1;
    upstream->stop_deadline_us = now_us() + (int64_t)upstream->grace_ms * 1000;
    for (i = 0; i < upstream->num_endpoints; ++i)
        while ((call = transport_queue_pop(&upstream->endpoints[i].queue)) != NULL)
            answer_unsent(upstream, call, CG_E_SHUTDOWN, "the gateway is stopping");
}

static void abort_active(struct upstream *upstream)
{
    while (upstream->active != NULL) {
        struct transport_exchange *exchange = upstream->active;
        struct upstream_call *call = &exchange->call->call;
        call->sent = transport_exchange_sent(exchange);
        transport_set_error(call, CG_E_SHUTDOWN, "%s: the gateway is stopping",
                            exchange->endpoint->name);
        finish(upstream, exchange);
    }
}

static int poll_ms(const struct upstream *upstream)
{
    int64_t until = upstream->stop_begun ? upstream->stop_deadline_us
                                         : transport_watch_next_us(&upstream->watch);
    int64_t wait_ms;
    size_t i;

    for (i = 0; i < upstream->num_endpoints; ++i) {
        int64_t deadline = transport_queue_next_deadline(&upstream->endpoints[i].queue);
        until = deadline < until ? deadline : until;
    }
    if (until == INT64_MAX)
        return IDLE_POLL_MS;
    wait_ms = (until - now_us() + 999) / 1000;
    return wait_ms < 0 ? 0 : wait_ms > IDLE_POLL_MS ? IDLE_POLL_MS : (int)wait_ms;
}

static int is_over(const struct upstream *upstream)
{
    return upstream->stop_begun &&
           (upstream->active == NULL || now_us() >= upstream->stop_deadline_us);
}

/* A transport that stops watches nothing any more, and a probe in flight is dropped at the end. */
static void wait_for_work(struct upstream *upstream)
{
    struct curl_waitfd set = {.fd = upstream->watch.set, .events = CURL_WAIT_POLLIN};
    unsigned watching = upstream->watch.set >= 0 && !upstream->stop_begun;

    curl_multi_poll(upstream->multi, &set, watching, poll_ms(upstream), NULL);
    if (set.revents != 0)
        transport_watch_read(&upstream->watch);
    if (watching)
        transport_watch_probe(&upstream->watch, now_us());
}

static void *run(void *data)
{
    struct upstream *upstream = data;
    int running;

    pthread_setname_np(pthread_self(), "upstream");
    for (;;) {
        mailbox_deliver(&upstream->mailbox);
        if (!upstream->stop_begun && atomic_load(&upstream->stopping))
            begin_stop(upstream);
        start_waiting(upstream);
        curl_multi_perform(upstream->multi, &running);
        collect_finished(upstream);
        if (is_over(upstream))
            break;
        /* What came free is used at once; with something new libcurl does not wait. */
        start_waiting(upstream);
        wait_for_work(upstream);
    }
    abort_active(upstream);
    return NULL;
}

static void wake(void *data)
{
    struct upstream *upstream = data;

    curl_multi_wakeup(upstream->multi);
}

/* ---- from outside ---- */

/* Ends a call that the thread has not seen. */
static void refuse(struct upstream *upstream, struct transport_call *call, int rc, const char *text)
{
    transport_set_error(&call->call, rc, "%s", text);
    if (call->call.endpoint < upstream->num_endpoints)
        answer(&upstream->endpoints[call->call.endpoint], call);
    else
        send_reply(call);
}

static void hand_over(struct upstream *upstream, struct transport_call *call)
{
    struct transport_endpoint *endpoint = &upstream->endpoints[call->call.endpoint];
    unsigned timeout_ms = call->call.timeout_ms ? call->call.timeout_ms : endpoint->timeout_ms;

    call->upstream = upstream;
    call->submission.on_deliver = on_submission;
    call->deadline_us = call->submitted_us + (int64_t)timeout_ms * 1000;
    atomic_fetch_add(&endpoint->counters.calls, 1);
    if (atomic_load(&upstream->stopping)) {
        refuse(upstream, call, CG_E_SHUTDOWN, "the gateway is stopping");
        return;
    }
    if (atomic_fetch_add(&upstream->waiting, 1) >= CG_UPSTREAM_QUEUE_MAX) {
        atomic_fetch_sub(&upstream->waiting, 1);
        refuse(upstream, call, CG_E_BUSY, "too many calls wait for the contact centre");
        return;
    }
    atomic_fetch_add(&endpoint->counters.queued, 1);
    mailbox_send(&upstream->mailbox, &call->submission);
}

void upstream_submit(struct upstream *upstream, struct upstream_call *public_call)
{
    struct transport_call *call = (struct transport_call *)public_call;

    assert(public_call->op != NULL && public_call->reply_to != NULL &&
           public_call->message.on_deliver != NULL);
    atomic_fetch_add(&upstream->submitting, 1);
    forget_outcome(public_call);
    call->started_us = 0;
    call->submitted_us = now_us();
    if (public_call->endpoint < upstream->num_endpoints)
        hand_over(upstream, call);
    else
        refuse(upstream, call, CG_E_INVALID, "there is no such endpoint");
    atomic_fetch_sub(&upstream->submitting, 1);
}

struct turn_away {
    struct message message;
    struct upstream *upstream;
    unsigned endpoint;
};

/* What was submitted later is behind this in the mailbox, and is not in the queue yet. */
static void on_turn_away(struct message *message)
{
    struct turn_away *order = (struct turn_away *)message;
    struct transport_call *call;

    while ((call = transport_queue_pop(&order->upstream->endpoints[order->endpoint].queue)) != NULL)
        answer_unsent(order->upstream, call, CG_E_REFUSED,
                      "the endpoint went away while the call waited for a free connection");
    free(order);
}

void upstream_turn_away(struct upstream *upstream, unsigned endpoint)
{
    struct turn_away *order = calloc(1, sizeof(*order));

    if (order == NULL)
        return; /* they end with their own deadlines */
    assert(endpoint < upstream->num_endpoints);
    order->message.on_deliver = on_turn_away;
    order->upstream = upstream;
    order->endpoint = endpoint;
    mailbox_send(&upstream->mailbox, &order->message);
}

void upstream_get_stats(const struct upstream *upstream, unsigned endpoint,
                        struct upstream_stats *stats)
{
    const struct transport_counters *counters;

    memset(stats, 0, sizeof(*stats));
    if (endpoint >= upstream->num_endpoints)
        return;
    counters = &upstream->endpoints[endpoint].counters;
    stats->calls = atomic_load(&counters->calls);
    stats->failures = atomic_load(&counters->failures);
    stats->faults = atomic_load(&counters->faults);
    stats->bytes_out = atomic_load(&counters->bytes_out);
    stats->bytes_in = atomic_load(&counters->bytes_in);
    stats->connects = atomic_load(&counters->connects);
    stats->in_flight = atomic_load(&counters->in_flight);
    stats->queued = atomic_load(&counters->queued);
}

static void destroy(struct upstream *upstream)
{
    size_t i;

    transport_watch_release(&upstream->watch);
    for (i = 0; i < upstream->num_endpoints; ++i)
        transport_endpoint_release(&upstream->endpoints[i]);
    free(upstream->endpoints);
    if (upstream->multi != NULL)
        curl_multi_cleanup(upstream->multi);
    mailbox_release(&upstream->mailbox);
    free(upstream);
    curl_global_cleanup();
}

static int init_endpoints(struct upstream *upstream, const struct upstream_endpoint *endpoints,
                          size_t count, char *error, size_t error_size)
{
    int rc = CG_OK;

    upstream->endpoints = calloc(count, sizeof(*upstream->endpoints));
    if (upstream->endpoints == NULL && count > 0) {
        snprintf(error, error_size, "out of memory");
        return CG_E_NOMEM;
    }
    while (rc == CG_OK && upstream->num_endpoints < count) {
        rc = transport_endpoint_init(&upstream->endpoints[upstream->num_endpoints],
                                     &endpoints[upstream->num_endpoints], error, error_size);
        if (rc == CG_OK)
            ++upstream->num_endpoints;
    }
    return rc;
}

static int init_multi(struct upstream *upstream)
{
    long pool = 0;
    size_t i;

    for (i = 0; i < upstream->num_endpoints && pool < TRANSPORT_POOL_MAX; ++i)
        pool += upstream->endpoints[i].max_concurrent < TRANSPORT_POOL_MAX
                    ? upstream->endpoints[i].max_concurrent
                    : TRANSPORT_POOL_MAX;
    if (pool > TRANSPORT_POOL_MAX)
        pool = TRANSPORT_POOL_MAX;
    upstream->multi = curl_multi_init();
    if (upstream->multi == NULL ||
        curl_multi_setopt(upstream->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) != CURLM_OK ||
        curl_multi_setopt(upstream->multi, CURLMOPT_MAXCONNECTS, pool) != CURLM_OK)
        return CG_E_NOMEM;
    return CG_OK;
}

/*
 * Signals are the main thread's; blocked here, a SIGPIPE from OpenSSL's write(2) is only an EPIPE.
 */
static int start_thread(struct upstream *upstream)
{
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&upstream->thread, NULL, run, upstream);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? CG_E_NOMEM : CG_OK;
}

int upstream_start(struct upstream **result, const struct upstream_endpoint *endpoints,
                   size_t num_endpoints, char *error, size_t error_size)
{
    struct upstream *upstream;
    int rc;

    *result = NULL;
    if ((upstream = calloc(1, sizeof(*upstream))) == NULL ||
        curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        snprintf(error, error_size, "out of memory");
        free(upstream);
        return CG_E_NOMEM;
    }
    upstream->watch.set = -1;
    mailbox_init(&upstream->mailbox, wake, upstream);
    if ((rc = init_endpoints(upstream, endpoints, num_endpoints, error, error_size)) != CG_OK) {
        destroy(upstream);
        return rc;
    }
    if ((rc = init_multi(upstream)) != CG_OK ||
        (rc = transport_watch_init(&upstream->watch, upstream->endpoints,
                                   upstream->num_endpoints)) != CG_OK ||
        (rc = start_thread(upstream)) != CG_OK) {
        snprintf(error, error_size, "the upstream thread cannot be started");
        destroy(upstream);
        return rc;
    }
    *result = upstream;
    return CG_OK;
}

void upstream_stop(struct upstream **upstream_pointer, unsigned grace_ms)
{
    struct upstream *upstream = *upstream_pointer;

    if (upstream == NULL)
        return;
    upstream->grace_ms = grace_ms;
    atomic_store(&upstream->stopping, 1);
    wake(upstream);
    pthread_join(upstream->thread, NULL);
    while (atomic_load(&upstream->submitting) > 0)
        sched_yield();
    mailbox_deliver(
        &upstream->mailbox); /* what came in after the thread had looked for the last time */
    destroy(upstream);
    *upstream_pointer = NULL;
}
