/* Resources about the gateway itself. What only the owner knows is asked of it by message; nothing here waits. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/loop.h"
#include "cctgate/timestamp.h"
#include "cctgate/version.h"
#include "gateway/rest/rest.h"

/* Lives and dies with the request; `asking` is nulled by whichever of answer and time-out comes first. */
struct asked {
    struct request *request;
    struct asking *asking;
    h2o_timeout_entry_t timeout;
};

static void let_go(struct asked *asked)
{
    if (h2o_timeout_is_linked(&asked->timeout))
        h2o_timeout_unlink(&asked->timeout);
    if (asked->asking != NULL)
        asked->asking->request = NULL;
    asked->asking = NULL;
}

static void on_dispose(void *data)
{
    let_go(data);
}

static void on_timeout(h2o_timeout_entry_t *entry)
{
    struct asked *asked = (struct asked *)((char *)entry - offsetof(struct asked, timeout));
    let_go(asked);
    respond_problem(asked->request, PROBLEM_UPSTREAM_TIMEOUT, NULL,
                    "the answer takes longer than limits.requestTimeoutMs");
}

struct asking *asking_begin_patiently(struct request *request)
{
    struct asking *asking = calloc(1, sizeof(*asking));
    if (asking == NULL)
        abort();
    request->asked = h2o_mem_alloc_shared(&request->h2o->pool, sizeof(*request->asked), on_dispose);
    memset(request->asked, 0, sizeof(*request->asked));
    request->asked->request = request;
    request->asked->asking = asking;
    asking->request = request;
    asking->front = request->front;
    asking->policy = policy_ref(request->policy);
    ++request->front->in_progress;
    return asking;
}

struct asking *asking_begin(struct request *request)
{
    struct asking *asking = asking_begin_patiently(request);

    request->asked->timeout.cb = on_timeout;
    h2o_timeout_link(request->front->loop, &request->front->request_timeout,
                     &request->asked->timeout);
    return asking;
}

struct request *asking_end(struct asking *asking)
{
    struct request *request = asking->request;
    --asking->front->in_progress;
    if (request != NULL)
        let_go(request->asked);
    if (asking->front->stopped)
        request = NULL;
    policy_unref(&asking->policy);
    free(asking);
    return request;
}

static void ask(struct request *request, json_t *(*run)(struct owner *, const struct owner_query *),
                void (*on_reply)(struct message *))
{
    struct owner_query *query = calloc(1, sizeof(*query));

    if (query == NULL)
        abort();
    query->data = asking_begin(request);
    query->run = run;
    query->policy = policy_ref(request->policy);
    query->access = request->access;
    query->reply_to = &request->front->mailbox;
    query->on_reply = on_reply;
    owner_query_send(request->front->owner, query);
}

/* The request (NULL: it is gone) and the answer, which the caller owns. */
static struct request *take_answer(struct message *message, json_t **result)
{
    struct owner_query *query = (struct owner_query *)message;
    struct request *request = asking_end(query->data);

    *result = query->result != NULL ? query->result : json_object();
    policy_unref(&query->policy);
    free(query);
    if (request == NULL)
        json_decref(*result);
    return request;
}

/* The owner speaks in Unix ms, clients read RFC 3339. */
static void to_time(json_t *object, const char *from, const char *to)
{
    json_t *ms = json_object_get(object, from);
    char text[TIMESTAMP_BYTES];

    if (json_is_integer(ms))
        timestamp_print(text, json_integer_value(ms));
    json_object_set_new(object, to, json_is_integer(ms) ? json_string(text) : json_null());
    json_object_del(object, from);
}

static void endpoint_times(json_t *result)
{
    json_t *endpoint;
    size_t i;

    json_array_foreach(json_object_get(result, "endpoints"), i, endpoint)
        to_time(endpoint, "downSinceMs", "downSince");
}

static void answer_sessions(struct message *message)
{
    json_t *result;
    struct request *request = take_answer(message, &result);
    json_t *item;
    size_t i;

    if (request == NULL)
        return;
    json_array_foreach(json_object_get(result, "items"), i, item)
    {
        to_time(item, "sinceMs", "since");
        to_time(item, "staleSinceMs", "staleSince");
    }
    endpoint_times(result);
    respond_json(request, 200, result);
}

void get_sessions(struct request *request)
{
    ask(request, owner_describe_sessions, answer_sessions);
}

static void answer_ok(struct message *message)
{
    json_t *result;
    struct request *request = take_answer(message, &result);
    if (request != NULL)
        respond_json(request, 200, result);
}

void get_capacity(struct request *request)
{
    ask(request, owner_describe_capacity, answer_ok);
}

static void answer_readiness(struct message *message)
{
    json_t *result;
    struct request *request = take_answer(message, &result);
    const char *status;

    if (request == NULL)
        return;
    endpoint_times(result);
    status = json_string_value(json_object_get(result, "status"));
    respond_json(request, status != NULL && strcmp(status, "ready") == 0 ? 200 : 503, result);
}

static void not_ready(struct request *request, const char *reason)
{
    respond_json(request, 503, json_pack("{s:s, s:[s]}", "status", "notReady", "reasons", reason));
}

/* An owner that does not turn would never answer. */
void get_readiness(struct request *request)
{
    int64_t silent = clock_monotonic_ms() - owner_last_turn_ms(request->front->owner);

    if (request->front->stopping)
        not_ready(request, "the gateway is stopping");
    else if (silent > CG_UNREADY_MS)
        not_ready(request, "the gateway is too busy to say how it is");
    else
        ask(request, owner_describe_readiness, answer_readiness);
}

/* That this is answered shows that this front's loop turns; when they last turned, the others. */
void get_health(struct request *request)
{
    int64_t now = clock_monotonic_ms();
    const char *status = "ok";

    if (now - owner_last_turn_ms(request->front->owner) > CG_SILENT_MS)
        status = "ownerSilent";
    else if (now - fronts_last_turn_ms(request->front->fronts) > CG_SILENT_MS)
        status = "frontSilent";
    respond_json(request, strcmp(status, "ok") == 0 ? 200 : 503,
                 json_pack("{s:s, s:s}", "status", status, "version", CCTGATE_VERSION));
}

/* ---- metrics ---- */

struct text {
    char *bytes;
    size_t length, capacity;
};

static void print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void print(struct text *text, const char *format, ...)
{
    va_list arguments;
    int length;

    if (text->capacity - text->length < 256) {
        size_t capacity = text->capacity * 2 + 4096;
        char *bytes = realloc(text->bytes, capacity);
        if (bytes == NULL)
            abort();
        text->bytes = bytes;
        text->capacity = capacity;
    }
    va_start(arguments, format);
    length =
        vsnprintf(text->bytes + text->length, text->capacity - text->length, format, arguments);
    va_end(arguments);
    if (length > 0)
        text->length += (size_t)length < text->capacity - text->length ? (size_t)length : 0;
}

/* OpenMetrics: a counter's family is named without _total, its sample with it */
static void metric_type(struct text *text, const char *name)
{
    size_t length = strlen(name);
    int counter = length > 6 && strcmp(name + length - 6, "_total") == 0;
    print(text, "# TYPE cctgate_%.*s %s\n", (int)(counter ? length - 6 : length), name,
          counter ? "counter" : "gauge");
}

static void metric(struct text *text, const char *name, uint64_t value)
{
    metric_type(text, name);
    print(text, "cctgate_%s %" PRIu64 "\n", name, value);
}

static const struct {
    const char *name;
    size_t offset;
} front_metrics[] = {
    {"requests_total", offsetof(struct front_counters, requests)},
    {"cache_hits_total", offsetof(struct front_counters, hits)},
    {"cache_misses_total", offsetof(struct front_counters, misses)},
    {"stale_answers_total", offsetof(struct front_counters, stale)},
    {"not_modified_total", offsetof(struct front_counters, not_modified)},
    {"client_errors_total", offsetof(struct front_counters, problems[4])},
    {"server_errors_total", offsetof(struct front_counters, problems[5])},
    {"requests_limited_total", offsetof(struct front_counters, requests_limited)},
    {"jwt_verified_total", offsetof(struct front_counters, jwt_verified)},
    {"jwt_refused_total", offsetof(struct front_counters, jwt_refused)},
    {"connections_total", offsetof(struct front_counters, connections)},
    {"connections_open", offsetof(struct front_counters, open_connections)},
    {"connections_refused_total", offsetof(struct front_counters, connections_refused)},
    {"connections_evicted_total", offsetof(struct front_counters, connections_evicted)},
    {"connections_timed_out_total", offsetof(struct front_counters, connections_timed_out)},
    {"event_clients", offsetof(struct front_counters, event_clients)},
    {"event_frames_total", offsetof(struct front_counters, event_frames)},
    {"events_coalesced_total", offsetof(struct front_counters, events_coalesced)},
    {"events_replayed_total", offsetof(struct front_counters, events_replayed)},
    {"event_gaps_total", offsetof(struct front_counters, event_gaps)},
    {"event_snapshots_total", offsetof(struct front_counters, event_snapshots)},
    {"event_clients_slow_total", offsetof(struct front_counters, event_clients_slow)},
    {"event_overruns_total", offsetof(struct front_counters, event_overruns)},
};

static const struct {
    const char *name, *member;
} endpoint_metrics[] = {
    {"endpoint_breaker_opened_total", "opened"}, {"endpoint_calls_total", "calls"},
    {"endpoint_failures_total", "failures"},     {"endpoint_faults_total", "faults"},
    {"endpoint_connects_total", "connects"},     {"endpoint_calls_in_flight", "inFlight"},
    {"endpoint_calls_queued", "queued"},
};

/* A label's value: what OpenMetrics wants escaped, is. */
static void print_label(struct text *text, const char *value)
{
    for (; *value != '\0'; ++value)
        if (*value == '\n')
            print(text, "\\n");
        else if (*value == '"' || *value == '\\')
            print(text, "\\%c", *value);
        else
            print(text, "%c", *value);
}

static void endpoint_sample(struct text *text, const char *name, const json_t *endpoint,
                            const char *more, uint64_t value)
{
    print(text, "cctgate_%s{endpoint=\"", name);
    print_label(text, json_string_value(json_object_get(endpoint, "name")));
    print(text, "\"%s} %" PRIu64 "\n", more, value);
}

/* Which is in use, and the state of each one's breaker: a state set has a sample for every state. */
static void endpoint_states(struct text *text, const json_t *endpoints)
{
    static const char *const states[] = {"closed", "open", "halfOpen"};
    char label[64];
    json_t *endpoint;
    size_t i, j;

    print(text, "# TYPE cctgate_endpoint_current gauge\n");
    json_array_foreach((json_t *)endpoints, i, endpoint) endpoint_sample(
        text, "endpoint_current", endpoint, "", json_is_true(json_object_get(endpoint, "current")));
    print(text, "# TYPE cctgate_endpoint_breaker stateset\n");
    json_array_foreach((json_t *)endpoints, i,
                       endpoint) for (j = 0; j < sizeof(states) / sizeof(states[0]); ++j)
    {
        const char *state = json_string_value(json_object_get(endpoint, "breaker"));
        snprintf(label, sizeof(label), ",cctgate_endpoint_breaker=\"%s\"", states[j]);
        endpoint_sample(text, "endpoint_breaker", endpoint, label,
                        state != NULL && strcmp(state, states[j]) == 0);
    }
}

static void describe_endpoints(struct text *text, const json_t *endpoints)
{
    json_t *endpoint;
    size_t i, j;

    endpoint_states(text, endpoints);
    for (j = 0; j < sizeof(endpoint_metrics) / sizeof(endpoint_metrics[0]); ++j) {
        metric_type(text, endpoint_metrics[j].name);
        json_array_foreach((json_t *)endpoints, i, endpoint) endpoint_sample(
            text, endpoint_metrics[j].name, endpoint, "",
            (uint64_t)json_integer_value(json_object_get(endpoint, endpoint_metrics[j].member)));
    }
}

static uint64_t sum_fronts(const struct fronts *fronts, size_t offset)
{
    uint64_t sum = 0;
    size_t i;
    for (i = 0; i < fronts->num_fronts; ++i) {
        const char *counters = (const char *)&fronts->front[i].counters;
        sum += atomic_load_explicit((const _Atomic uint64_t *)(const void *)(counters + offset),
                                    memory_order_relaxed);
    }
    return sum;
}

static void answer_metrics(struct message *message)
{
    json_t *result;
    struct request *request = take_answer(message, &result);
    struct text text = {NULL, 0, 0};
    const char *name;
    json_t *value;
    size_t i;

    if (request == NULL)
        return;
    for (i = 0; i < sizeof(front_metrics) / sizeof(front_metrics[0]); ++i)
        metric(&text, front_metrics[i].name,
               sum_fronts(request->front->fronts, front_metrics[i].offset));
    describe_endpoints(&text, json_object_get(result, "endpoints"));
    json_object_del(result, "endpoints");
    json_object_foreach(result, name, value)
        metric(&text, name, (uint64_t)json_integer_value(value));
    metric(&text, "log_dropped_total", log_dropped());
    metric(&text, "uptime_seconds",
           (uint64_t)((clock_monotonic_ms() - request->front->fronts->started_at_ms) / 1000));
    print(&text, "# TYPE cctgate_build info\ncctgate_build_info{version=\"%s\"} 1\n# EOF\n",
          CCTGATE_VERSION);
    json_decref(result);
    respond_text(request, "application/openmetrics-text; version=1.0.0; charset=utf-8", text.bytes,
                 text.length);
    free(text.bytes);
}

void get_metrics(struct request *request)
{
    ask(request, owner_describe_metrics, answer_metrics);
}

/* ---- for people ---- */

void get_index(struct request *request)
{
    struct text text = {NULL, 0, 0};
    size_t i;

    print(&text, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>cctgate</title>"
                 "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:3rem "
                 "auto;padding:0 1rem;color:#1b2733}");
    print(&text, "h1{font-size:1.6rem}table{border-collapse:collapse;width:100%%}td{padding:.3rem "
                 ".6rem .3rem 0;"
                 "border-bottom:1px solid "
                 "#dde4ea;vertical-align:top}code{font-size:.95em;white-space:nowrap}</style>");
    print(&text,
          "<h1>cctgate %s</h1><p>A caching gateway in front of the contact centre. Resources under "
          "<code>/v1</code> "
          "want <code>Authorization: Bearer &lt;token&gt;</code>.</p><table>",
          CCTGATE_VERSION);
    for (i = 0; i < num_routes; ++i)
        print(&text, "<tr><td><code>%s</code><td>%s</tr>", routes[i].path, routes[i].summary);
    print(&text, "</table></html>\n");
    respond_policy(request);
    respond_text(request, "text/html; charset=utf-8", text.bytes, text.length);
    free(text.bytes);
}

void get_problem(struct request *request)
{
    char type[64];
    size_t i;
    for (i = 0; i < PROBLEMS; ++i) {
        const struct problem_row *row = &problem_rows[i];
        if (strcmp(row->slug, request->id) == 0) {
            snprintf(type, sizeof(type), "/problems/%s", row->slug);
            respond_json(request, 200,
                         json_pack("{s:s, s:s, s:i, s:s}", "type", type, "title", row->title,
                                   "status", row->status, "meaning", row->meaning));
            return;
        }
    }
    respond_problem(request, PROBLEM_NOT_FOUND, NULL, NULL);
}
