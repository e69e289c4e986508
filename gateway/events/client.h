/*
 * One front's clients of events: WebSockets and streams of server-sent events. Everything here belongs to the front's thread, but for
 * the doorman (ticket.h) and the counters.
 *
 * Life of a client
 *   handshake   events.c checks the request, websocket.c or sse.c answer it by h2o_http1_upgrade, which gives us the socket
 *   open        it subscribes; events come by hub_deliver (live), snapshots and replay by client_pull
 *   closing     its close frame is queued or sent, nothing else is any more; the peer's answer ends it, or the deadline
 *   ended       it is freed in the loop's next turn, so that whoever is in the middle of it may go on
 *
 * Life of a subscription
 *   live        what is published after `position` is passed on as it comes
 *   replaying   what the log has after `position` is read in steps, each when the client has taken the one before; it goes live in the
 *               read transaction in which it has caught up, so nothing is missed and nothing comes twice: what is published was
 *               committed before, and what is not after `position` is skipped
 *   overrun     a batch that is larger than the queue is nobody's slowness: the subscriptions go back to the log (replaying) and the
 *               client has a moment to catch up. One that does not take anything, or does not catch up, is slow: 4408
 *   snapshot    parts of a snapshot, each after all events up to the log's end in the part's own transaction. What a part says is
 *               therefore never older than an event that came before it, nor newer than one that comes after it
 */
#ifndef CCTGATE_EVENTS_CLIENT_H
#define CCTGATE_EVENTS_CLIENT_H

#include <h2o.h>
#include <h2o/http1.h>
#include <wslay/wslay.h>

#include "gateway/events/client_message.h"
#include "gateway/events/label.h"
#include "gateway/events/queue.h"
#include "gateway/events/ticket.h"
#include "gateway/rest/rest.h"

/* A token that has clients here, by its digest: a reload gives it another access, or none. */
struct viewer {
    struct viewer *next;
    unsigned references;
    uint8_t sha256[32];
    struct policy *policy;       /* keeps `access` */
    const struct access *access; /* NULL: the token is gone */
    uint64_t batch;              /* which batch `visible` is of */
    unsigned char *visible;
    size_t capacity;
};

enum subscription_state { SUBSCRIPTION_LIVE, SUBSCRIPTION_REPLAYING, SUBSCRIPTION_SNAPSHOT };

struct client_subscription {
    struct label *label;
    struct event_filter filter;
    enum subscription_state state;
    uint64_t position; /* events up to here have been told, or are older than the subscription */
    struct snapshot *snapshot; /* SUBSCRIPTION_SNAPSHOT */
    const char *gap; /* why there is a hole that has not been told yet; NULL: there is none */
};

enum client_kind { CLIENT_WEBSOCKET, CLIENT_SSE };
enum client_state { CLIENT_OPEN, CLIENT_CLOSING, CLIENT_ENDED };

struct client {
    struct client *next, **link; /* in the hub */
    struct client *next_due;     /* in the hub's list of those who want a turn */
    int is_due;
    struct hub *hub;
    struct viewer *viewer;
    h2o_socket_t *sock; /* NULL until upgraded */
    enum client_kind kind;
    enum client_state state;
    struct queue queue;
    struct client_subscription **subscriptions;
    unsigned num_subscriptions, next_pull;
    uint64_t first_seq; /* of the log when the client came */
    uint64_t acked;
    int64_t writing_since_ms, next_heartbeat_ms, deadline_ms;
    int64_t overrun_since_ms; /* 0: it has not been overrun, or has caught up */
    struct {
        wslay_event_context_ptr parser; /* of what comes in, nothing else */
        int peer_closed;                /* its close frame was here */
        int close_sent;
        int ping_open;     /* not answered */
        uint64_t ping_at;  /* `passed` of the queue when it has left */
        int64_t pinged_ms; /* when it was seen to have left; 0: not yet */
        int64_t
            heard_ms; /* the peer's last sign of life, or the last moment that it could not be asked for one */
        int64_t next_ping_ms;
        unsigned fragments, controls;
        size_t feed; /* what the parser may still take in this turn */
    } ws;
    uint64_t number;        /* of no other client of this process */
    struct errand *errands; /* commands that have not been answered */
    unsigned num_errands;
    struct client_lease *leases; /* that it got or bound, the latest last */
    unsigned num_leases;
    int may_hold;             /* it has asked to attach or to bind a lease */
    struct subscribe *wanted; /* of a stream of server-sent events, until it is open */
    struct policy *policy;    /* settings that it began with */
};

struct hub {
    struct front *front;
    struct client *clients;
    struct client *due;
    struct viewer *viewers;
    struct label_table labels;
    struct label_batch batch;
    uint64_t epoch, last_seq; /* as published */
    struct message turn;
    int turn_is_sent, stopping;
    h2o_timeout_t tick;
    h2o_timeout_entry_t tick_entry;
    struct frame *heartbeat, *ping;
    uint64_t heartbeat_seq;
};

/* ---- hub.c ---- */
struct hub *hub_new(struct front *front); /* NULL without memory */
void hub_release(struct hub **hub);       /* cuts who is left */
void hub_policy_changed(struct hub *hub);
/* No more clients; those who are here are told so and closed. */
void hub_stop(struct hub *hub);
/* The client gets a turn: to be pulled for, or to be freed. */
void hub_schedule(struct client *client);
/* A reference to the token's viewer; NULL: the token is not known (any more), or may not read. */
struct viewer *viewer_get(struct hub *hub, const uint8_t sha256[32]);
void viewer_unref(struct hub *hub, struct viewer **viewer);

/* ---- client.c ---- */
struct client *client_new(struct hub *hub, enum client_kind kind, struct viewer *viewer);
/* The socket is ours: the client is one of the hub's from now on. */
void client_start(struct client *client, h2o_socket_t *sock, size_t request_bytes);
/* Also for one that never started; takes the client out of everything. */
void client_free(struct client *client);
/* For an event of a subscription: 0: the queue is full. */
int client_offer(struct client *client, struct frame *frame);
/*
 * The queue was full at event `seq`, which the first `num_told` subscriptions have: they go on from the log.
 */
void client_overrun(struct client *client, uint64_t seq, unsigned num_told);
/* Takes the reference. A client that cannot take it is closed. */
void client_send(struct client *client, struct frame *frame);
void client_flush(struct client *client);
/* Says goodbye and takes nothing more; `code` as in RFC 6455 section 7.4, 0: none. */
void client_close(struct client *client, unsigned code, const char *reason);
void client_end(struct client *client);
void client_tick(struct client *client, int64_t now_ms);
/* Up to where the client knows all that its subscriptions cover. */
uint64_t client_seq(const struct client *client);
unsigned client_heartbeat_ms(const struct client *client);
unsigned client_silent_ms(
    const struct client *client); /* since its last sign of life; 0 before it is open */

/* ---- subscriptions.c ---- */
/* Where the log stands; keeps its epoch. CG_OK or the store's error. */
int hub_read_bounds(struct hub *hub, struct store_log_bounds *bounds);
/* What the label names begins; takes over `wanted->filter`. CG_OK, or the store's error (nothing begins). */
int client_subscribe(struct client *client, struct label *label, struct subscribe *wanted);
struct client_subscription *client_subscription_find(const struct client *client, const char *id,
                                                     size_t id_length);
void client_unsubscribe(struct client *client, struct client_subscription *subscription);
/* One step of whatever has to be read from the store. */
void client_pull(struct client *client);
int client_is_pulling(const struct client *client);

/* ---- operations.c ---- */
/* Wipes the text: there may be secrets in it. */
void client_message(struct client *client, const char *text, size_t length);

/* ---- commands.c ---- */
int client_run_command(struct client *client, const struct client_message *message,
                       struct message_error *error);
int client_run_renew(struct client *client, const struct client_message *message,
                     struct message_error *error);
int client_run_bind(struct client *client, const struct client_message *message,
                    struct message_error *error);
/* The client goes: nobody is told of what is under way, and its leases begin their grace. */
void client_commands_release(struct client *client);

/* ---- websocket.c ---- */
void websocket_upgrade(struct request *request, struct client *client, const char *key,
                       int subprotocol);
int websocket_open(struct client *client);
void websocket_read(struct client *client);
void websocket_release(struct client *client);

/* ---- sse.c ---- */
void sse_upgrade(struct request *request, struct client *client);
void sse_open(struct client *client);

#endif
