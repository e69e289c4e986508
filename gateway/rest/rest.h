/* What the files of the REST room share. Front threads only, unless said otherwise. */
#ifndef CCTGATE_REST_REST_H
#define CCTGATE_REST_REST_H

#include <stdatomic.h>

#include <h2o.h>
#include <jansson.h>

#include "cctgate/command.h"
#include "cctgate/freshness.h"
#include "cctgate/front.h"
#include "cctgate/mailbox.h"
#include "gateway/rest/problem.h"
#include "gateway/rest/rate.h"
#include "gateway/rest/turn.h"

struct route;

#define ROUTE_METHOD_BYTES  8  /* the longest is OPTIONS */
#define ROUTE_METHODS_BYTES 40 /* all of them */

/* Counters are written by one thread and read by any: relaxed, never locked. */
struct front_counters {
    _Atomic uint64_t requests, hits, misses, stale, not_modified,
        problems[6]; /* problems by status / 100 */
    _Atomic uint64_t requests_limited;
    _Atomic uint64_t connections, connections_refused, connections_evicted, connections_timed_out,
        open_connections; /* open_connections goes down, too */
    _Atomic uint64_t event_clients, event_frames, events_coalesced, events_replayed, event_gaps,
        event_snapshots, event_clients_slow, event_overruns; /* event_clients goes down, too */
    _Atomic uint64_t jwt_verified, jwt_refused;
};

/* When a refresh of a key was last asked for, so that a thousand readers of a stale record ask once. */
#define FRONT_REFRESHES 1024
struct refresh {
    uint64_t hash;
    int64_t asked_at_ms;
};

/* JWT that a front has verified, by their digest; of the policy that is in force. Zeroed: empty. */
#define JWT_MEMO_SETS 256
#define JWT_MEMO_WAYS 4
struct jwt_memo {
    struct jwt_memo_entry {
        uint8_t sha256[32];
        struct policy *policy; /* policy_of_jwt; NULL: free */
    } entries[JWT_MEMO_SETS][JWT_MEMO_WAYS];
};

struct hub;
struct doorman;

struct front {
    struct fronts *fronts;
    struct hub *hub; /* clients of events */
    pthread_t thread;
    int running;
    _Atomic int64_t
        last_turn_ms; /* monotonic; the hub's tick turns the loop when nothing else does */
    h2o_evloop_t *loop;
    h2o_context_t context;
    h2o_accept_ctx_t *accept; /* one per listen entry */
    h2o_socket_t **listeners;
    char *asyncapi; /* what /asyncapi.json says to everybody; NULL: not asked for yet */
    struct consumer_listener *consumer; /* the first front's, where events are taken */
    struct mailbox mailbox;
    h2o_socket_t *wake;
    int wake_fd;
    struct store_reader *reader;
    struct policy *policy;
    struct policy_memo memo;  /* of `policy` */
    struct jwt_memo jwt_memo; /* the same */
    struct owner *owner;
    struct front_counters counters;
    struct turn turn;
    h2o_timeout_t request_timeout;
    struct refresh refreshes[FRONT_REFRESHES];
    uint64_t request_seed, request_sequence;
    size_t in_progress; /* requests that wait for the owner */
    struct connection *connections, **last_connection;
    struct lingering *lingering;
    size_t num_lingering;
    h2o_timeout_t sweep, sweep_on; /* on: when one turn was not enough */
    h2o_timeout_entry_t sweep_entry;
    unsigned open_connections, max_connections;
    unsigned grace_ms;
    int serving;           /* its thread delivers what is sent to it */
    int stopping, stopped; /* stopped: the thread has gone, nothing is answered any more */
};

struct fronts {
    h2o_globalconf_t h2o;
    h2o_handler_t *handler;
    const struct contract *contract;
    struct store *store;
    size_t num_fronts, num_listen;
    unsigned max_connections, request_timeout_ms, head_timeout_ms, idle_timeout_ms;
    struct addresses *addresses; /* NULL: not counted */
    int log_access;
    struct front *front;
    int *listen_fds;           /* num_fronts x num_listen */
    struct consumer *consumer; /* NULL: no events are taken */
    int consumer_fd;
    SSL_CTX **ssl;         /* one per listen entry, NULL: plain */
    SSL_CTX *consumer_ssl; /* NULL: plain */
    struct config *config; /* what all this is made of; policy_config is what is in force */
    int64_t started_at_ms;
    _Atomic uint64_t clients; /* of events, that ever were: the number of the latest */
    struct rates *rates;
    struct doorman *doorman; /* tickets, and how many streams a token has */
};

/* What a request asked for, checked. */
struct request {
    h2o_req_t *h2o;
    struct front *front;
    const struct route *route;
    const struct access *access;
    struct policy *
        policy; /* borrowed: whoever sleeps takes a reference, so that `access` outlives a reload */
    int token_refused; /* there was one, and it is none or may not do this: RFC 6750 section 3.1 */
    struct freshness_directives directives;
    int is_head;
    unsigned takes;                 /* enum route_takes, of this method */
    const struct command_row *rows; /* TAKES_COMMAND: the first */
    char method[ROUTE_METHOD_BYTES];
    const struct access_user *user; /* CCT-User, or the only one; NULL: several, not chosen */
    int user_chosen;                /* by the header */
    char id[CG_ID_BYTES_MAX + 1];   /* the path's id, decoded */
    size_t id_length;
    char sub_id[CG_ID_BYTES_MAX + 1]; /* the second one, where the path has two */
    size_t sub_id_length;
    unsigned limit; /* lists */
    char after[CG_ID_BYTES_MAX + 1];
    size_t after_length;
    char traceparent[64];
    struct asked *asked; /* the question that has not been answered */
    void *data;          /* the handler's */
};

/*
 * A question to the owner that one answer ends: the request may be gone by then. `request` is nulled when it is, and the front
 * counts it as in progress until asking_end.
 */
struct asking {
    struct request *request;
    struct front *front;
    struct policy *policy;
};
struct asking *asking_begin(struct request *request);
/* The same without a time-out: for what is always answered, and whose answer says what became of it. */
struct asking *asking_begin_patiently(struct request *request);
/* The request, or NULL; frees. */
struct request *asking_end(struct asking *asking);

typedef void (*route_handler)(struct request *request);

/* What a resource takes, or'ed. */
enum route_takes {
    TAKES_PAGE = 1,       /* limit and after */
    TAKES_EMPTY_BODY = 2, /* a POST that may leave its body out */
    TAKES_ITSELF = 4,     /* its handler looks at token, query and Accept itself */
    TAKES_QUERY = 8,      /* its handler looks at the query itself */
    TAKES_CONTACTS = 128, /* a body may be application/x-ndjson or text/csv, too */
    TAKES_NDJSON = 64,    /* answers application/x-ndjson, too */
    /* of a method, never of a row */
    TAKES_BODY = 16,   /* JSON */
    TAKES_COMMAND = 32 /* a body, or none, as the table of commands has it */
};

struct route {
    const char *path;                  /* "/v1/agents/{loginId}" */
    char methods[ROUTE_METHODS_BYTES]; /* "GET, HEAD" */
    unsigned roles; /* any of these; 0: no token needed. Commands have their own besides */
    enum record_kind kind;
    unsigned takes; /* enum route_takes */
    route_handler handler;
    const char *summary; /* for OpenAPI */
};
extern const struct route *routes;
extern size_t num_routes;

/* routes.c */
void routes_build(void); /* before there are threads */
void routes_release(void);
/* NULL: nothing has that path. `ids` are the segments that stand for {…}, as they are. */
const struct route *route_find(const char *path, size_t length, h2o_iovec_t ids[2]);
/* Who may: any of these roles; 0: anybody, without a token. */
unsigned route_roles(const struct route *route, const char *method);
int route_has_method(const struct route *route, const char *method, size_t method_length);
/* A request has been read; it is answered when the turn ends. */
int rest_on_request(h2o_handler_t *self, h2o_req_t *req);
/* Then. */
void rest_answer(struct front *front, h2o_req_t *req);

/* The client shows the certificate that the token wants, if it wants one: CG_OK, or a problem has been sent. */
int request_check_certificate(struct request *request);
/* identify.c */
/*
 * Whose token it is: sets the request's access and policy. `token` may be empty where only the digest is known. CG_OK; CG_E_DENIED,
 * CG_E_NOMEM (it may be a good one), and no problem has been sent.
 */
int request_identify(struct request *request, h2o_iovec_t token, const uint8_t sha256[32]);
/* The same without a digest at hand: a token that was seen lately costs none. */
int request_recognise(struct request *request, h2o_iovec_t token);
/* A ticket of a JWT was given: as request_identify; takes the reference. */
int request_identify_jwt(struct request *request, struct policy *of_jwt, const uint8_t sha256[32]);
/* Another policy is in force. */
void jwt_memo_renew(struct jwt_memo *memo, struct policy *fresh);
void jwt_memo_forget(struct jwt_memo *memo);

/* request.c: CG_OK, or a problem has been sent */
int request_parse(struct request *request);
/* The token of the Authorization field; empty: there is none. */
h2o_iovec_t request_bearer(const struct request *request);
h2o_iovec_t request_header(const struct request *request, const char *name);
/* The only field of the name, base NULL: none. CG_OK, or there are several and a problem has been sent. */
int request_only_header(struct request *request, const char *name, h2o_iovec_t *value);
int path_decode(const char *at, size_t length, char *out, size_t out_size, size_t *out_length);

/*
 * limit.c: one request of the token's allowance. CG_OK, or CG_E_BUSY: the token asks too often; limit_request has sent a problem then,
 * and adds the RateLimit fields either way.
 */
int limit_request(struct request *request, const uint8_t sha256[32]);
int limit_take(struct front *front, const struct policy *policy, const uint8_t sha256[32],
               struct rate_verdict *verdict);

/* read.c, list.c */
void read_one(struct request *request);
void read_list(struct request *request);

/* respond.c */
struct representation {
    h2o_iovec_t body;         /* in the request's pool */
    char etag[96];            /* with quotes; "" for none */
    char cache_status[160];   /* "" for none */
    char sync[64];            /* CCT-Sync, for bodies that have no place for it; "" for none */
    int64_t age_ms;           /* negative: none */
    const char *content_type; /* NULL: application/json */
    h2o_iovec_t link;         /* empty for none */
};
/* 200 becomes 304 where the client has it. */
void respond(struct request *request, int status, const struct representation *representation);
/* 1: the client has the representation with that ETag (RFC 9110 section 13.1.2): 304, which needs no body. */
int request_has(const struct request *request, const char *etag);
/* The status is what request_has has made of it. */
void respond_compared(struct request *request, int status,
                      const struct representation *representation);
void respond_json(struct request *request, int status,
                  json_t *json); /* takes the reference; no validators */
void respond_page(struct request *request, json_t *json,
                  h2o_iovec_t link); /* the same, 200 and with a Link */
/* The same with a Cache-Status (RFC 9211). */
void respond_json_from(struct request *request, json_t *json, const char *cache_status);
void respond_policy(
    struct request *request); /* for a page: what browsers may do with it; before it is sent */
void respond_text(struct request *request, const char *content_type, const char *text,
                  size_t length);
void respond_nothing(struct request *request); /* 204 */
/* The same as respond_json, but nobody keeps it: it is about people. */
void respond_unkept(struct request *request, int status, json_t *json);
/* An answer in parts: begins it, further header fields may be added then; ends it with a body in the request's pool, or as long-lived. */
void respond_begin(struct request *request, int status, const char *content_type,
                   const char *cache_control);
void respond_end(struct request *request, h2o_iovec_t body);
/* A problem document that was made elsewhere; takes the reference. */
void respond_document(struct request *request, enum problem problem, json_t *document,
                      int64_t retry_after_ms);
void respond_problem(struct request *request, enum problem problem, const char *detail,
                     const char *format, ...);
/* The same with a Retry-After; 429 and 503 only. */
void respond_problem_after(struct request *request, enum problem problem, int64_t retry_after_ms,
                           const char *format, ...);
/* A body that holds a secret, kept by nobody: overwritten when the request is over. `location` is a literal. */
void respond_secret(struct request *request, int status, const char *location, const json_t *json);
json_t *outcome_json(const struct fetch_outcome *outcome); /* the problem document of a failure */
void respond_outcome(struct request *request, const struct fetch_outcome *outcome);
void respond_command(struct request *request, const struct command *command);
void problem_filter_register(
    h2o_pathconf_t *pathconf); /* h2o's own error pages become problem documents */

/* access.c */
void access_log_register(h2o_pathconf_t *pathconf);

/* system.c */
void get_health(struct request *request);
void get_readiness(struct request *request);
void get_metrics(struct request *request);
void get_sessions(struct request *request);

/* sign_on.c */
void serve_sessions(struct request *request); /* GET lists, POST signs on, DELETE signs off */

/* system.c */
void get_capacity(struct request *request);
void get_index(struct request *request);
void get_problem(struct request *request);

/* gateway/events/events.c */
void get_events(struct request *request);
void post_ticket(struct request *request);
void events_share(struct request *request); /* CORS */
void events_preflight(struct request *request);

/* services.c */
void get_services(struct request *request);
void get_service(struct request *request);
void serve_operation(struct request *request); /* GET tells of it, POST calls it */

/* commands.c */
void post_command(struct request *request);

/* control.c */
void get_control(struct request *request);

/* failover.c */
void post_failover(struct request *request);

/* outbound.c, outbound_list.c */
void get_outbound_campaigns(struct request *request);
void get_outbound_campaign(struct request *request);
void get_outbound_contacts(struct request *request);
void get_outbound_listed(struct request *request);
void get_outbound_contact(struct request *request);
void post_outbound_close(struct request *request);
void get_outbound_search(struct request *request);
void get_outbound_contact_id(struct request *request);

/* jobs.c */
void serve_outbound_contacts(struct request *request); /* GET lists, POST queues */
void get_jobs(struct request *request);
void serve_job(struct request *request);
/* "type/subtype", whatever its parameters */
int request_is_media_type(h2o_iovec_t value, const char *type);
int request_is_contacts(h2o_iovec_t content_type); /* a type that only a body of contacts has */

/* audit.c */
void get_audit(struct request *request);

/* openapi.c */
void get_openapi(struct request *request);
json_t *openapi_schemas(const struct contract *contract); /* components.schemas: a new reference */

/* asyncapi.c */
void get_asyncapi(struct request *request);

#define COUNT_BY(front, name, value)                                                               \
    atomic_store_explicit(&(front)->counters.name,                                                 \
                          atomic_load_explicit(&(front)->counters.name, memory_order_relaxed) +    \
                              (value),                                                             \
                          memory_order_relaxed)
#define COUNT(front, name)      COUNT_BY(front, name, 1)
#define COUNT_DOWN(front, name) COUNT_BY(front, name, (uint64_t)-1)

#endif
