/*
 * The configuration: one JSON file, checked against its JSON Schema's rules by hand-written tables, into one immutable, reference-counted
 * struct. An unknown key, a wrong type or a value out of range is an error that names the JSON pointer, what was expected and
 * what was found. Comments are allowed as members whose name begins with "//". Paths are relative to the file. Secrets come from files,
 * the environment or systemd credentials ({"file"}, {"env"}, {"credential"}), never inline; they are wiped when the configuration
 * is freed. conf/cctgate.schema.json says the same for editors; a test holds the two together.
 */
#ifndef CCTGATE_CONFIG_H
#define CCTGATE_CONFIG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "cctgate/log.h"

enum config_role {
    ROLE_VIEWER = 1 << 0,
    ROLE_CONTROLLER = 1 << 1,
    ROLE_SUPERVISOR = 1 << 2,
    ROLE_RECORDER = 1 << 3,
    ROLE_OPERATOR = 1 << 4,
    ROLE_CAMPAIGNER = 1 << 5
};

/* Time-to-live kinds: cache.ttlMs */
enum config_ttl {
    TTL_AGENT,
    TTL_TERMINAL,
    TTL_ADDRESS,
    TTL_USER,
    TTL_CALL,
    TTL_CAPABILITIES,
    TTL_OUTBOUND,
    TTL_KINDS
};

struct config_tls_server {
    char *certificate_file, *key_file;
    char *client_ca_file; /* NULL: clients are not asked for certificates */
    int client_optional;
};

struct config_tls_client {
    char *ca_file, *certificate_file, *key_file; /* each may be NULL */
};

struct config_listen {
    char *address;                /* numeric IPv4 or IPv6, or a path "/run/..." is not supported */
    unsigned port;                /* 0: any free port */
    struct config_tls_server tls; /* certificate_file NULL: plain HTTP */
};

struct config_endpoint {
    char *name, *url;
    int is_rgn;
};

struct config_session {
    char *user, *domain, *agent; /* agent may be NULL */
    char *password;              /* the secret's value, without its final newline */
    int shared;                  /* one session for many agents: outside the vendor's support */
};

struct config_token {
    char *application;
    uint8_t sha256[32];
    char **users; /* names from sessions[]; every_user instead of {"*"} */
    size_t num_users;
    int every_user;
    unsigned roles; /* enum config_role, or'ed */
    char *
        client_certificate; /* subject (RFC 2253) or SHA-256 of the one that the client must show; NULL: none */
};

struct config_reservation {
    char *agent, *application;
};

/* How long a call may ring before force answer is told: at the terminals of this agent and of this type; NULL: of any. The first that fits counts. */
struct config_workstation { /* hot desking: what an agent logs in at, by the name of the desk */
    char *name, *terminal;
};
struct config_force_answer {
    char *agent, *terminal_type;
    unsigned ms; /* 0: never */
};

struct config {
    atomic_int references;
    char *file; /* absolute path */

    struct config_listen *listen;
    size_t num_listen;
    unsigned threads; /* 0: one per core */
    char *contract;   /* directory, absolute */
    struct {
        char *directory; /* absolute */
        unsigned map_size_mib;
        uint64_t event_log_max_events;
        unsigned event_log_max_mib;
    } data;
    struct {
        struct config_endpoint *endpoints;
        size_t num_endpoints;
        char *topology; /* "missionCritical", "hotStandby", "warmStandby", "none" */
        char *capacity; /* "SIP", "CS1K" */
        unsigned connect_timeout_ms, timeout_ms, max_concurrent, heartbeat_ms, logins_per_second,
            reconcile_ms, rgn_after_ms, poll_ms, lease_ms;
        struct {
            char *start, *stop; /* "Service.Operation" */
        } ha_listener;
        char *subscription; /* "producer", "user" */
        struct config_tls_client tls;
    } upstream;
    struct {
        char *address;
        unsigned port;
        char *public_url; /* may be NULL */
        char **allow;     /* CIDR */
        size_t num_allow;
        struct config_tls_server tls; /* certificate_file NULL: plain HTTP */
        int present;
    } consumer;
    struct config_session *sessions;
    size_t num_sessions;
    unsigned session_linger_ms, session_roles; /* enum config_role, or'ed: of who signs on */
    struct {
        unsigned ttl_ms, max_ms;
        unsigned lockout_after, lockout_ms, lockout_max_ms;
    } bearers;
    struct config_token *tokens;
    size_t num_tokens;
    struct {
        unsigned ttl_ms[TTL_KINDS];
        unsigned stale_while_revalidate_ms, stale_if_error_ms;
        unsigned ended_call_ms; /* how long a call that is over can still be read by its id */
        struct {
            int data, intrinsics, uui, messages;
        } call_data;             /* what a call carries: may it be stored? */
        unsigned jitter_percent; /* a time-to-live is shortened by up to this much, at random */
    } cache;
    struct {
        unsigned ttl_ms, grace_ms;
        struct config_reservation *reserved;
        size_t num_reserved;
        unsigned max_audit_entries;
    } control;
    struct config_workstation *workstations;
    size_t num_workstations;
    struct {
        char **origins;
        size_t num_origins;
        struct config_force_answer *force_answer;
        size_t num_force_answer;
        unsigned max_queued_frames, max_queued_kib, force_answer_ms;
        unsigned heartbeat_ms;
        unsigned max_clients, max_clients_per_token; /* streams, of all front threads together */
    } events;
    struct {
        char *url, *user, *password; /* url NULL: no Outbound */
        int take_over, disposition_numeric, soap_12;
        unsigned interval_ms; /* between two calls of append and close */
    } outbound;
    struct {
        int enforce;
        unsigned max_agents, max_contacts_per_hour; /* 0: the vendor's */
    } capacity;
    struct {
        unsigned requests_per_second; /* per token; 0: no limit */
        unsigned max_connections, max_body_bytes, request_timeout_ms;
        unsigned max_connections_per_address; /* 0: no limit */
        unsigned head_timeout_ms, idle_timeout_ms;
    } limits;
    struct {
        char **after_call_work_codes;
        size_t num_after_call_work_codes;
    } presence;
    struct {
        char *issuer, *audience, *jwks_file; /* issuer NULL: no JWT */
        char *application_claim, *users_claim, *roles_claim;
        int allow_every_user;
        unsigned clock_skew_ms;
    } jwt;
    struct {
        enum log_level level;
        enum log_format format;
        int access; /* a line per request */
    } log;
};

struct config_error {
    char pointer[256];
    char text[512]; /* "expected an integer from 1 to 65535, found a string" */
};

/* CG_OK: *config has one reference. CG_E_IO (file or secret unreadable), CG_E_INVALID, CG_E_NOMEM with `error` filled in. Any thread. */
int config_load(struct config **config, const char *file, struct config_error *error);
struct config *config_ref(struct config *config);
void config_unref(struct config **config); /* wipes secrets with the last reference */

/*
 * For a reload: 1 when everything that differs can be put into force in a running program, else 0 with the names of the settings that
 * need a restart in `what` ("listen, threads"). They are listen, threads, contract, data and where the consumer listens;
 * what certificate and key files hold may change, their names may not. `size` is at least 1. Any thread.
 */
int config_compatible(const struct config *old, const struct config *fresh, char *what,
                      size_t size);

/* The endpoint that is used: the first of role campus; the remote geographic node is never chosen by itself. */
const struct config_endpoint *config_campus(const struct config *config);

/* Role names as in the file: "viewer", ...; 0 for an unknown name, NULL for anything but one role. */
unsigned config_role_from_name(const char *name);
const char *config_role_name(unsigned role);

#endif
