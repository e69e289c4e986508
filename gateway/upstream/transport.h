/*
 * Private to the transport: what its files share. transport.c has the essay and the thread,
 * transport_queue.c what waits, transport_endpoint.c the checked copy of the settings,
 * transport_http.c one exchange with libcurl, transport_outcome.c what an exchange came to,
 * transport_watch.c whether the server is there while there is no exchange.
 *
 * Everything here belongs to the upstream thread, but for the atomics and upstream_submit's few
 * lines.
 */
#ifndef CCTGATE_UPSTREAM_TRANSPORT_H
#define CCTGATE_UPSTREAM_TRANSPORT_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "cctgate/upstream.h"

/* Header bytes of one reply; the CCT server sends a few hundred. Passing it is CG_E_LIMIT. */
#define TRANSPORT_HEADER_BYTES_MAX (64u * 1024)
/*
 * A reply buffer that grew beyond this is given back after the call instead of being kept for the
 * next one.
 */
#define TRANSPORT_KEEP_BYTES_MAX (64u * 1024)
/* Idle connections kept for all endpoints together. */
#define TRANSPORT_POOL_MAX 4096
/*
 * How long a connection may have been idle and still carry another call, in whole seconds. Servers
 * close idle connections after 5 s (Apache httpd), 30 s (Jetty) or more; a call that meets that
 * moment ends in CG_E_RESET with sent = 1. A read can be repeated, so it takes the longer chance;
 * for a command one round trip of a new connection is the better price.
 */
#define TRANSPORT_READ_IDLE_MAX_S    25L
#define TRANSPORT_COMMAND_IDLE_MAX_S 3L

struct upstream;

/* What upstream_call_new allocates: the call with the transport's own bookkeeping behind it. */
struct transport_call {
    struct upstream_call call; /* first: a pointer to one is a pointer to the other */
    struct message submission;
    struct upstream *upstream;
    struct transport_call *next, *previous; /* in the queue */
    size_t heap_index;
    int64_t submitted_us, started_us, deadline_us; /* monotonic; started_us 0: not yet */
};

/* First in, first out, and by deadline as well. */
struct transport_queue {
    struct transport_call *first, *last;
    struct transport_call **heap; /* earliest deadline on top */
    size_t length, capacity;
};

/* CG_E_NOMEM leaves the queue as it was. */
int transport_queue_push(struct transport_queue *queue, struct transport_call *call);
/* The oldest; NULL when the queue is empty. */
struct transport_call *transport_queue_pop(struct transport_queue *queue);
/* One whose deadline is at or before `now_us`; NULL when there is none. */
struct transport_call *transport_queue_pop_expired(struct transport_queue *queue, int64_t now_us);
/* INT64_MAX when the queue is empty. */
int64_t transport_queue_next_deadline(const struct transport_queue *queue);
/* The queue must be empty. */
void transport_queue_release(struct transport_queue *queue);

struct transport_counters {
    atomic_uint_fast64_t calls, failures, faults, bytes_out, bytes_in, connects, in_flight, queued;
};

/* The connect that follows a close, and what is known of the one before. */
struct transport_probe {
    struct sockaddr_storage peer; /* of a connection that was in the pool */
    socklen_t peer_length;        /* 0: there was none yet, so nothing is ever probed */
    int fd;                       /* -1: none in flight */
    int64_t deadline_us;          /* of the one in flight */
    int64_t not_before_us;        /* the next one; monotonic, as the deadline */
    unsigned left;                /* still to be made on account of a close */
    int noticed;                  /* a notice was sent and no call answered since */
};

struct transport_endpoint {
    char *name, *url, *suffix; /* url without a "/" at the end; suffix never NULL */
    char *ca_file, *certificate_file, *key_file;
    unsigned max_concurrent, connect_timeout_ms, timeout_ms;
    size_t max_reply_bytes;
    struct transport_queue queue;
    struct transport_exchange *spare; /* not in use, kept with their libcurl handle */
    unsigned active;
    struct transport_counters counters;
    struct upstream_watcher watcher;
    struct transport_probe probe;
};

/* Copies and checks; on failure nothing is left to release. Errors as upstream_start. */
int transport_endpoint_init(struct transport_endpoint *endpoint,
                            const struct upstream_endpoint *settings, char *error,
                            size_t error_size);
/* Nothing may be queued or active. */
void transport_endpoint_release(struct transport_endpoint *endpoint);

/* One libcurl handle and the reply that it is receiving. */
struct transport_exchange {
    CURL *easy;
    struct transport_endpoint *endpoint;
    struct transport_call *call;                /* NULL when spare */
    struct transport_exchange *next, *previous; /* among the active, or (next alone) the spare */
    struct curl_slist *headers;
    char *reply;
    size_t reply_length, reply_capacity, header_bytes;
    unsigned attempts;  /* how often libcurl was about to write the request */
    int sent_before;    /* an earlier attempt had bytes accepted by the system */
    int resend_refused; /* libcurl wanted to send again and was not let */
    int limit_passed, out_of_memory;
    char curl_text[CURL_ERROR_SIZE];
};

/* A handle with everything set that does not change from call to call; NULL without memory. */
struct transport_exchange *transport_exchange_new(struct transport_endpoint *endpoint);
/* Not while it is in a multi handle. */
void transport_exchange_free(struct transport_exchange **exchange);
/*
 * Makes it ready to carry `call`, to be given to curl_multi_add_handle. CG_E_INVALID (the
 * operation's names cannot go into a header), CG_E_NOMEM.
 */
int transport_exchange_prepare(struct transport_exchange *exchange, struct transport_call *call,
                               int64_t now_us);
/* Forgets the call and its reply. */
void transport_exchange_clear(struct transport_exchange *exchange);
/* Whether any byte of the request was accepted by the system, in any attempt. */
int transport_exchange_sent(struct transport_exchange *exchange);

/*
 * Fills in the call's outcome from what libcurl and the server said; adds to the endpoint's byte
 * counters.
 */
void transport_conclude(struct transport_exchange *exchange, CURLcode code);
struct transport_watch {
    int set; /* epoll: pooled connections and probes; -1: no endpoint has a watcher */
    struct transport_endpoint *endpoints;
    size_t num_endpoints;
};

/* Borrows the endpoints. CG_E_IO: no descriptor left. */
int transport_watch_init(struct transport_watch *watch, struct transport_endpoint *endpoints,
                         size_t num_endpoints);
/* Before the endpoints are released; ends a probe in flight. */
void transport_watch_release(struct transport_watch *watch);
/* The exchange had a reply; still in the multi handle. Watches its connection if it was kept. */
void transport_watch_answered(struct transport_watch *watch, struct transport_exchange *exchange);
/* The set is readable. */
void transport_watch_read(struct transport_watch *watch);
/* Starts the probes that are due and ends those that take too long. */
void transport_watch_probe(struct transport_watch *watch, int64_t now_us);
/* When transport_watch_probe has something to do; INT64_MAX: not before the set is readable. */
int64_t transport_watch_next_us(const struct transport_watch *watch);

/* Sets rc and error.text, printable ASCII whatever was put in. */
void transport_set_error(struct upstream_call *call, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
