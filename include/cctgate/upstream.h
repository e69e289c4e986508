/*
 * The upstream transport: SOAP exchanges over HTTP(S) with the contact centre's server, on a thread of their own (libcurl multi).
 *
 * It knows nothing of sessions, tokens or the model: it takes a finished envelope for an operation, posts it to an endpoint,
 * decodes the reply by the contract on its own thread and sends the outcome to the mailbox that the call names. One
 * transport serves all endpoints; connections are kept alive and pooled per host; each endpoint has a cap on concurrent
 * calls, what is above it waits in a queue of its own, first in first out, within the call's own deadline. Nothing is ever
 * sent twice: libcurl's silent retry on a reused connection that turned out dead happens only when not a byte of the request was
 * accepted, and not at all for a call that is marked `command`.
 */
#ifndef CCTGATE_UPSTREAM_H
#define CCTGATE_UPSTREAM_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cctgate/codec.h"
#include "cctgate/contract.h"
#include "cctgate/mailbox.h"

struct upstream;

struct upstream_tls {
    const char *ca_file;          /* NULL: the system's */
    const char *certificate_file; /* client certificate, PEM; NULL: none */
    const char *key_file;
};

/*
 * The endpoint's server has gone while nobody was asking it anything: a connection that was kept
 * alive was closed by the peer, and a new TCP connection to the same address then failed. Noticed
 * without polling, as a rule within milliseconds, and within about a second (or connect_timeout_ms,
 * if the address does not answer at all) when the server closed its connections before it stopped
 * to listen. A server that merely closes what has been idle sees a connect without a request, and
 * one more a second later, and nothing is sent here. Without a kept connection there is nothing to
 * notice, and nothing is ever probed.
 *
 * One notice, then none until a call has been answered again. The receiver frees it with free().
 */
struct upstream_notice {
    struct message message; /* first: a pointer to one is a pointer to the other */
    unsigned endpoint;      /* index into the endpoints */
    void *data;             /* the watcher's */
};

/* Who wants notices. The mailbox must outlive the transport and be drained after upstream_stop. */
struct upstream_watcher {
    struct mailbox *mailbox; /* NULL: nobody, and connections are not watched */
    void (*on_notice)(struct message *message);
    void *data;
};

struct upstream_endpoint {
    const char *name; /* "campus"; for logs and metrics */
    const char *
        url; /* base, "http://cct.example:9084/SOAOICCT/services"; the service's name is appended after a "/" */
    const char *
        service_suffix; /* appended after the service's name, ".asmx" for Outbound; NULL: nothing */
    struct upstream_tls tls;
    unsigned max_concurrent; /* >= 1 */
    unsigned connect_timeout_ms;
    unsigned timeout_ms;    /* total deadline of a call, time in the queue included */
    size_t max_reply_bytes; /* 0: CG_XML_BYTES_MAX */
    struct upstream_watcher watcher;
};

/*
 * Strings are copied. The thread starts with all signals blocked. CG_E_NOMEM, CG_E_INVALID (a URL
 * we cannot use), CG_E_IO (CA file unreadable; no descriptor left).
 */
int upstream_start(struct upstream **upstream, const struct upstream_endpoint *endpoints,
                   size_t num_endpoints, char *error, size_t error_size);

/*
 * Stops: calls in flight get up to `grace_ms` to end, the rest are answered with CG_E_SHUTDOWN; then the thread is joined. Whoever
 * receives the outcomes must go on draining its mailbox afterwards.
 */
void upstream_stop(struct upstream **upstream, unsigned grace_ms);

struct upstream_call {
    struct message message; /* set on_deliver; it is sent to `reply_to` when the call has ended */
    struct mailbox *reply_to;

    /* in */
    const struct contract_operation *op;
    unsigned endpoint; /* index into the endpoints */
    enum soap_version version;
    struct codec_buffer
        request; /* the envelope; owned by the call; wiped before it is freed, since it may hold a password */
    unsigned timeout_ms; /* 0: the endpoint's */
    int command;         /* not a read: see above */
    int64_t
        not_after_ms; /* monotonic: what is still in the queue then is not sent, CG_E_BUSY; 0: the deadline alone */
    char traceparent[64]; /* W3C trace context, passed on as a header; "" for none */
    void *data;           /* the caller's */

    /* out */
    int rc;   /* CG_OK, or why not */
    int sent; /* bytes of the request left this machine: after CG_E_TIMEOUT or CG_E_RESET the outcome of a command is unknown */
    long http_status; /* 0 when there was none */
    json_t *result;   /* CG_OK: decoded reply (one-way: an empty object), owned by the call */
    struct codec_fault fault;      /* CG_E_FAULT */
    struct codec_error error;      /* else: where and what */
    int64_t queued_us, elapsed_us; /* monotonic: in the queue, and from submission to the end */
};

/* A zeroed call; NULL without memory. */
struct upstream_call *upstream_call_new(const struct contract_operation *op);
void upstream_call_free(struct upstream_call **call);

/* Gives the call away until its on_deliver runs. Never blocks and never fails: an error is an outcome (CG_E_BUSY when the queue is full). Any thread. */
void upstream_submit(struct upstream *upstream, struct upstream_call *call);

/*
 * The endpoint is known to be away: what was submitted before this and waits for a free connection ends with CG_E_REFUSED, unsent. What
 * is on the wire goes on. Any thread.
 */
void upstream_turn_away(struct upstream *upstream, unsigned endpoint);

/* Counters since the start, one struct per endpoint; any thread, each value is exact by itself. */
struct upstream_stats {
    uint64_t calls, failures, faults, bytes_out, bytes_in, connects;
    uint64_t in_flight, queued;
};
void upstream_get_stats(const struct upstream *upstream, unsigned endpoint,
                        struct upstream_stats *stats);

#endif
