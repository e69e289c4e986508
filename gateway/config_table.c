/*
 * Every setting, its type, range and default. conf/cctgate.schema.json says the same for editors,
 * and tests/unit/test_config.c walks both.
 */
#include "gateway/config_internal.h"

#include "cctgate/limits.h"

/* Where a value goes: in the configuration, or in an item of an array. */
#define IN(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define AT(member)       IN(struct config, member)
#define ITEMS(type, array, count)                                                                  \
    .offset = offsetof(type, array), .count_offset = offsetof(type, count),                        \
    .item_size = sizeof(*((type *)0)->array)

#define INTEGER(key, low, high, value, ...)                                                        \
    {                                                                                              \
        .name = key, .kind = CONFIG_INTEGER, .minimum = low, .maximum = high, .fallback = value,   \
        __VA_ARGS__                                                                                \
    }
#define MILLISECONDS(key, low, high, value, ...) INTEGER(key, low, high, value, __VA_ARGS__)
#define BOOLEAN(key, value, ...)                                                                   \
    {                                                                                              \
        .name = key, .kind = CONFIG_BOOLEAN, .fallback = value, __VA_ARGS__                        \
    }
#define NAME(key, ...)                                                                             \
    {                                                                                              \
        .name = key, .kind = CONFIG_STRING, .minimum = 1, .maximum = CG_ID_BYTES_MAX, __VA_ARGS__  \
    }
#define PATH(key, ...)                                                                             \
    {                                                                                              \
        .name = key, .kind = CONFIG_PATH, .minimum = 1, .maximum = CONFIG_STRING_MAX, __VA_ARGS__  \
    }
#define URL(key, ...)                                                                              \
    {                                                                                              \
        .name = key, .kind = CONFIG_URL, .minimum = 1, .maximum = 2048, .pattern = URL_PATTERN,    \
        .expected = URL_WORDS, .check = config_is_url, __VA_ARGS__                                 \
    }
#define ADDRESS(key, value, ...)                                                                   \
    {                                                                                              \
        .name = key, .kind = CONFIG_STRING, .minimum = 1, .maximum = 64,                           \
        .pattern = "^[0-9A-Fa-f.:]+$", .expected = "a numeric IPv4 or IPv6 address",               \
        .check = config_is_address, .fallback = value, __VA_ARGS__                                 \
    }
#define OPERATION(key, value, ...)                                                                 \
    {                                                                                              \
        .name = key, .kind = CONFIG_STRING, .minimum = 3, .maximum = CG_ID_BYTES_MAX,              \
        .pattern = "^[A-Za-z0-9_]+\\.[A-Za-z0-9_]+$",                                              \
        .expected = "an operation such as \"UserService.Subscribe\"", .fallback = value,           \
        __VA_ARGS__                                                                                \
    }
#define CHOICE(key, names, value, ...)                                                             \
    {                                                                                              \
        .name = key, .kind = CONFIG_CHOICE, .choices = names, .fallback = value, __VA_ARGS__       \
    }
#define CHOICE_INDEX(key, names, value, ...)                                                       \
    {                                                                                              \
        .name = key, .kind = CONFIG_CHOICE_INDEX, .choices = names, .fallback = value, __VA_ARGS__ \
    }
#define STRINGS(key, low, value, ...)                                                              \
    {                                                                                              \
        .name = key, .kind = CONFIG_STRINGS, .minimum = low, .maximum = CONFIG_STRINGS_MAX,        \
        .fallback = value, __VA_ARGS__                                                             \
    }
#define SECRET(key, ...)                                                                           \
    {                                                                                              \
        .name = key, .kind = CONFIG_SECRET, .flags = CONFIG_REQUIRED, __VA_ARGS__                  \
    }
#define OBJECT(key, table, value, ...)                                                             \
    {                                                                                              \
        .name = key, .kind = CONFIG_OBJECT, .rows = table, .fallback = value, __VA_ARGS__          \
    }
#define OBJECTS(key, table, low, high, value, ...)                                                 \
    {                                                                                              \
        .name = key, .kind = CONFIG_OBJECTS, .rows = table, .minimum = low, .maximum = high,       \
        .fallback = value, __VA_ARGS__                                                             \
    }
#define REQUIRED .flags = CONFIG_REQUIRED
#define READABLE .flags = CONFIG_READABLE
#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }

#define HOST_PATTERN "^https?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?"
#define URL_PATTERN  HOST_PATTERN "(/[^?#@ ]*)?$"
#define URL_WORDS    "a URL with http or https, a host and no user name or query"

#define HOUR_MS 3600000
#define DAY_MS  86400000
#define LONG_MS (30LL * DAY_MS)

static const char *const roles_of_endpoint[] = {"campus", "rgn", NULL};
static const char *const topologies[] = {"missionCritical", "hotStandby", "warmStandby", "none",
                                         NULL};
static const char *const capacities[] = {"SIP", "CS1K", NULL};
static const char *const subscriptions[] = {"producer", "user", NULL};
static const char *const client_certificates[] = {"required", "optional", NULL};
static const char *const dispositions[] = {"id", "numeric", NULL};
static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const formats[] = {"auto", "json", "human", NULL};

const char *const config_secret_sources[] = {"file", "env", "credential", NULL};
const char *const config_role_names[] = {"viewer",   "controller", "supervisor", "recorder",
                                         "operator", "campaigner", NULL};

static const struct config_row listen_tls[] = {
    PATH("certificateFile", IN(struct config_listen, tls.certificate_file),
         .flags = CONFIG_REQUIRED | CONFIG_READABLE),
    PATH("keyFile", IN(struct config_listen, tls.key_file),
         .flags = CONFIG_REQUIRED | CONFIG_READABLE),
    PATH("clientCaFile", IN(struct config_listen, tls.client_ca_file), READABLE),
    CHOICE_INDEX("clientCertificate", client_certificates, "\"required\"",
                 IN(struct config_listen, tls.client_optional)),
    END};

static const struct config_row listens[] = {
    ADDRESS("address", "\"127.0.0.1\"", IN(struct config_listen, address)),
    INTEGER("port", 0, 65535, "8080", IN(struct config_listen, port)),
    OBJECT("tls", listen_tls, NULL), END};

static const struct config_row event_log[] = {
    INTEGER("maxEvents", 1, 1000000000, "1000000", AT(data.event_log_max_events)),
    INTEGER("maxMiB", 1, 1048576, "512", AT(data.event_log_max_mib)), END};

static const struct config_row data[] = {
    PATH("directory", AT(data.directory), .fallback = "\"/var/lib/cctgate\""),
    INTEGER("mapSizeMiB", 16, 1048576, "4096", AT(data.map_size_mib)),
    OBJECT("eventLog", event_log, "{}"), END};

static const struct config_row endpoints[] = {
    NAME("name", IN(struct config_endpoint, name), REQUIRED),
    URL("url", IN(struct config_endpoint, url), REQUIRED),
    CHOICE_INDEX("role", roles_of_endpoint, "\"campus\"", IN(struct config_endpoint, is_rgn)), END};

static const struct config_row upstream_tls[] = {
    PATH("caFile", AT(upstream.tls.ca_file), READABLE),
    PATH("certificateFile", AT(upstream.tls.certificate_file), READABLE),
    PATH("keyFile", AT(upstream.tls.key_file), READABLE), END};

static const struct config_row ha_listener[] = {
    OPERATION("start", "\"UserService.StartHASwitchEventListener\"",
              AT(upstream.ha_listener.start)),
    OPERATION("stop", "\"UserService.StopHASwitchEventListener\"", AT(upstream.ha_listener.stop)),
    END};

static const struct config_row upstream[] = {
    OBJECTS("endpoints", endpoints, 1, CONFIG_ENDPOINT_MAX, NULL,
            ITEMS(struct config, upstream.endpoints, upstream.num_endpoints), REQUIRED),
    CHOICE("topology", topologies, "\"none\"", AT(upstream.topology)),
    CHOICE("capacity", capacities, "\"SIP\"", AT(upstream.capacity)),
    MILLISECONDS("connectTimeoutMs", 10, 600000, "3000", AT(upstream.connect_timeout_ms)),
    MILLISECONDS("timeoutMs", 10, 600000, "10000", AT(upstream.timeout_ms)),
    INTEGER("maxConcurrent", 1, 1024, "128", AT(upstream.max_concurrent)),
    MILLISECONDS("heartbeatMs", 100, HOUR_MS, "60000", AT(upstream.heartbeat_ms)),
    INTEGER("loginsPerSecond", 1, 10000, "25", AT(upstream.logins_per_second)),
    MILLISECONDS("reconcileMs", 100, DAY_MS, "300000", AT(upstream.reconcile_ms)),
    MILLISECONDS("rgnAfterMs", 0, DAY_MS, "0", AT(upstream.rgn_after_ms)),
    MILLISECONDS("pollMs", 0, HOUR_MS, "5000", AT(upstream.poll_ms)),
    OBJECT("haListener", ha_listener, "{}"),
    MILLISECONDS("leaseMs", 1000, 7 * DAY_MS, "3600000", AT(upstream.lease_ms)),
    CHOICE("subscription", subscriptions, "\"producer\"", AT(upstream.subscription)),
    OBJECT("tls", upstream_tls, NULL),
    END};

static const struct config_row consumer_tls[] = {
    PATH("certificateFile", AT(consumer.tls.certificate_file),
         .flags = CONFIG_REQUIRED | CONFIG_READABLE),
    PATH("keyFile", AT(consumer.tls.key_file), .flags = CONFIG_REQUIRED | CONFIG_READABLE),
    PATH("clientCaFile", AT(consumer.tls.client_ca_file), READABLE),
    CHOICE_INDEX("clientCertificate", client_certificates, "\"required\"",
                 AT(consumer.tls.client_optional)),
    END};

static const struct config_row consumer[] = {
    ADDRESS("address", "\"127.0.0.1\"", AT(consumer.address)),
    INTEGER("port", 0, 65535, "9091", AT(consumer.port)),
    URL("publicUrl", AT(consumer.public_url)),
    STRINGS("allow", 1, "[\"127.0.0.0/8\", \"::1/128\"]",
            ITEMS(struct config, consumer.allow, consumer.num_allow),
            .pattern = "^[0-9A-Fa-f.:]+/[0-9]{1,3}$",
            .expected = "a network such as \"10.0.0.0/8\" or \"fd00::/8\"",
            .check = config_is_network),
    OBJECT("tls", consumer_tls, NULL),
    END};

static const struct config_row sessions[] = {
    NAME("user", IN(struct config_session, user), REQUIRED),
    {.name = "domain",
     .kind = CONFIG_STRING,
     .maximum = CG_ID_BYTES_MAX,
     .fallback = "\"\"",
     IN(struct config_session, domain)},
    SECRET("password", IN(struct config_session, password)),
    NAME("agent", IN(struct config_session, agent)),
    BOOLEAN("shared", "false", IN(struct config_session, shared)),
    END};

static const struct config_row session[] = {
    MILLISECONDS("lingerMs", 0, LONG_MS, "600000", AT(session_linger_ms)),
    {.name = "roles",
     .kind = CONFIG_CHOICES,
     .minimum = 1,
     .maximum = 6,
     .choices = config_role_names,
     .fallback = "[\"viewer\", \"controller\"]",
     AT(session_roles)},
    MILLISECONDS("bearerTtlMs", 1000, LONG_MS, "3600000", AT(bearers.ttl_ms)),
    MILLISECONDS("bearerMaxMs", 1000, LONG_MS, "43200000", AT(bearers.max_ms)),
    INTEGER("lockoutAfter", 1, 1000, "3", AT(bearers.lockout_after)),
    MILLISECONDS("lockoutMs", 100, HOUR_MS, "1000", AT(bearers.lockout_ms)),
    MILLISECONDS("lockoutMaxMs", 100, DAY_MS, "900000", AT(bearers.lockout_max_ms)),
    END};

static const struct config_row tokens[] = {
    NAME("application", IN(struct config_token, application), REQUIRED),
    {.name = "sha256",
     .kind = CONFIG_SHA256,
     REQUIRED,
     .minimum = 64,
     .maximum = 64,
     .pattern = "^[0-9A-Fa-f]{64}$",
     IN(struct config_token, sha256)},
    STRINGS("users", 1, NULL, ITEMS(struct config_token, users, num_users), REQUIRED),
    {.name = "roles",
     .kind = CONFIG_CHOICES,
     REQUIRED,
     .minimum = 1,
     .maximum = 6,
     .choices = config_role_names,
     IN(struct config_token, roles)},
    NAME("clientCertificate", IN(struct config_token, client_certificate)),
    END};

#define TTL(key, kind, value) MILLISECONDS(key, 0, LONG_MS, value, AT(cache.ttl_ms[kind]))
static const struct config_row ttl[] = {
    TTL("agent", TTL_AGENT, "30000"),       TTL("terminal", TTL_TERMINAL, "30000"),
    TTL("address", TTL_ADDRESS, "300000"),  TTL("user", TTL_USER, "300000"),
    TTL("call", TTL_CALL, "5000"),          TTL("capabilities", TTL_CAPABILITIES, "60000"),
    TTL("outbound", TTL_OUTBOUND, "30000"), END};

static const struct config_row cache[] = {
    OBJECT("ttlMs", ttl, "{}"),
    MILLISECONDS("staleWhileRevalidateMs", 0, LONG_MS, "30000",
                 AT(cache.stale_while_revalidate_ms)),
    MILLISECONDS("staleIfErrorMs", 0, LONG_MS, "86400000", AT(cache.stale_if_error_ms)),
    MILLISECONDS("endedCallMs", 0, HOUR_MS, "2000", AT(cache.ended_call_ms)),
    INTEGER("jitterPercent", 0, 50, "10", AT(cache.jitter_percent)),
    END};

static const struct config_row reserved[] = {
    NAME("agent", IN(struct config_reservation, agent), REQUIRED),
    NAME("application", IN(struct config_reservation, application), REQUIRED), END};

static const struct config_row control[] = {
    MILLISECONDS("ttlMs", 100, HOUR_MS, "30000", AT(control.ttl_ms)),
    MILLISECONDS("graceMs", 0, HOUR_MS, "10000", AT(control.grace_ms)),
    OBJECTS("reserved", reserved, 0, CONFIG_RESERVED_MAX, "[]",
            ITEMS(struct config, control.reserved, control.num_reserved)),
    INTEGER("maxAuditEntries", 1000, 100000000, "1000000", AT(control.max_audit_entries)), END};

static const struct config_row workstations[] = {
    NAME("name", IN(struct config_workstation, name), REQUIRED),
    NAME("terminal", IN(struct config_workstation, terminal), REQUIRED), END};

static const struct config_row force_answers[] = {
    NAME("agent", IN(struct config_force_answer, agent)),
    NAME("terminalType", IN(struct config_force_answer, terminal_type)),
    MILLISECONDS("ms", 0, HOUR_MS, NULL, IN(struct config_force_answer, ms), REQUIRED), END};

static const struct config_row events[] = {
    STRINGS("origins", 0, "[]", ITEMS(struct config, events.origins, events.num_origins),
            .pattern = HOST_PATTERN "$",
            .expected = "an origin such as \"https://desk.example\", without a path",
            .check = config_is_url),
    INTEGER("maxQueuedFrames", 1, 1000000, "1024", AT(events.max_queued_frames)),
    INTEGER("maxQueuedKiB", 1, 1048576, "256", AT(events.max_queued_kib)),
    MILLISECONDS("forceAnswerMs", 0, HOUR_MS, "0", AT(events.force_answer_ms)),
    OBJECTS("forceAnswer", force_answers, 0, CONFIG_RESERVED_MAX, "[]",
            ITEMS(struct config, events.force_answer, events.num_force_answer)),
    MILLISECONDS("heartbeatMs", 100, HOUR_MS, "15000", AT(events.heartbeat_ms)),
    INTEGER("maxClients", 1, CG_CONNECTIONS_MAX, "10000", AT(events.max_clients)),
    INTEGER("maxClientsPerToken", 1, CG_CONNECTIONS_MAX, "5000", AT(events.max_clients_per_token)),
    END};

static const struct config_row outbound[] = {
    URL("url", AT(outbound.url), REQUIRED),
    NAME("user", AT(outbound.user), REQUIRED),
    SECRET("password", AT(outbound.password)),
    BOOLEAN("takeOver", "false", AT(outbound.take_over)),
    CHOICE_INDEX("dispositionValue", dispositions, "\"id\"", AT(outbound.disposition_numeric)),
    END};

static const struct config_row capacity[] = {
    BOOLEAN("enforce", "true", AT(capacity.enforce)),
    INTEGER("maxAgents", 0, 1000000, "0", AT(capacity.max_agents)),
    INTEGER("maxContactsPerHour", 0, 1000000, "0", AT(capacity.max_contacts_per_hour)), END};

static const struct config_row limits[] = {
    INTEGER("requestsPerSecond", 0, 1000000, "0", AT(limits.requests_per_second)),
    INTEGER("maxConnections", 1, CG_CONNECTIONS_MAX, "10000", AT(limits.max_connections)),
    INTEGER("maxBodyKiB", 1, CG_REQUEST_BODY_BYTES_MAX / 1024, "1024", AT(limits.max_body_bytes),
            .scale = 1024),
    INTEGER("maxConnectionsPerAddress", 0, CG_CONNECTIONS_MAX, "0",
            AT(limits.max_connections_per_address)),
    MILLISECONDS("requestTimeoutMs", 100, HOUR_MS, "30000", AT(limits.request_timeout_ms)),
    MILLISECONDS("headTimeoutMs", 100, HOUR_MS, "10000", AT(limits.head_timeout_ms)),
    MILLISECONDS("idleTimeoutMs", 100, HOUR_MS, "60000", AT(limits.idle_timeout_ms)),
    END};

static const struct config_row presence[] = {
    STRINGS(
        "afterCallWorkCodes", 0, "[]",
        ITEMS(struct config, presence.after_call_work_codes, presence.num_after_call_work_codes)),
    END};

static const struct config_row jwt[] = {
    NAME("issuer", AT(jwt.issuer), REQUIRED), NAME("audience", AT(jwt.audience), REQUIRED),
    PATH("jwksFile", AT(jwt.jwks_file), .flags = CONFIG_REQUIRED | CONFIG_READABLE),
    NAME("applicationClaim", AT(jwt.application_claim), .fallback = "\"azp\""),
    NAME("usersClaim", AT(jwt.users_claim), .fallback = "\"cct_users\""),
    NAME("rolesClaim", AT(jwt.roles_claim), .fallback = "\"roles\""),
    BOOLEAN("allowEveryUser", "false", AT(jwt.allow_every_user)),
    MILLISECONDS("clockSkewMs", 0, 300000, "30000", AT(jwt.clock_skew_ms)),
    END};

static const struct config_row log_rows[] = {
    CHOICE_INDEX("level", levels, "\"info\"", AT(log.level)),
    CHOICE_INDEX("format", formats, "\"auto\"", AT(log.format)),
    BOOLEAN("access", "false", AT(log.access)), END};

const struct config_row config_rows[] = {
    {.name = "$schema", .kind = CONFIG_IGNORED, .maximum = CONFIG_STRING_MAX},
    OBJECTS("listen", listens, 1, CONFIG_LISTEN_MAX, "[{}]",
            ITEMS(struct config, listen, num_listen)),
    INTEGER("threads", 0, 64, "0", AT(threads)),
    PATH("contract", AT(contract), .fallback = "\"contract\"", .flags = CONFIG_DIRECTORY),
    OBJECT("data", data, "{}"),
    OBJECT("upstream", upstream, NULL, REQUIRED),
    OBJECT("consumer", consumer, NULL, AT(consumer.present)),
    OBJECTS("sessions", sessions, 0, CG_SESSIONS_MAX, "[]",
            ITEMS(struct config, sessions, num_sessions)),
    OBJECT("session", session, "{}"),
    OBJECTS("tokens", tokens, 0, CG_TOKENS_MAX, "[]", ITEMS(struct config, tokens, num_tokens)),
    OBJECT("cache", cache, "{}"),
    OBJECT("control", control, "{}"),
    OBJECTS("workstations", workstations, 0, CONFIG_RESERVED_MAX, "[]",
            ITEMS(struct config, workstations, num_workstations)),
    OBJECT("events", events, "{}"),
    OBJECT("outbound", outbound, NULL),
    OBJECT("capacity", capacity, "{}"),
    OBJECT("limits", limits, "{}"),
    OBJECT("presence", presence, "{}"),
    OBJECT("jwt", jwt, NULL),
    OBJECT("log", log_rows, "{}"),
    END};
