#include "admin.h"

#include <stdlib.h>
#include <string.h>

#include "admin_state.h"
#include "agents.h"
#include "calls.h"
#include "channel.h"
#include "counters.h"
#include "faults.h"
#include "journal.h"
#include "notify.h"
#include "outbound.h"
#include "sessions.h"
#include "soap.h"

static struct http_server *soap;

void admin_init(struct http_server *server)
{
    soap = server;
}

void admin_reply(struct http_conn *conn, int status, json_t *value)
{
    struct buf body = {0};
    char *text = json_dumps(value, JSON_SORT_KEYS | JSON_COMPACT);
    json_decref(value);
    buf_str(&body, text != NULL ? text : "null");
    buf_str(&body, "\n");
    free(text);
    http_reply(conn, &(struct http_reply){
                         .status = status, .content_type = "application/json", .body = &body});
}

void admin_reply_ok(struct http_conn *conn)
{
    admin_reply(conn, 200, json_pack("{s:b}", "ok", 1));
}

void admin_reply_error(struct http_conn *conn, int status, const char *message)
{
    admin_reply(conn, status, json_pack("{s:s}", "error", message));
}

static json_t *violation_messages(void)
{
    json_t *a = json_array();
    uint64_t first =
        counters.violations > VIOLATION_MESSAGES ? counters.violations - VIOLATION_MESSAGES : 0;
    for (uint64_t i = first; i < counters.violations; i++) {
        const char *text = counters.messages[i % VIOLATION_MESSAGES];
        json_t *s = text != NULL ? json_string(text) : NULL;
        json_array_append_new(a, s != NULL ? s : json_string("(not UTF-8)"));
    }
    return a;
}

static json_t *operation_counts(void)
{
    json_t *o = json_object();
    for (size_t i = 0; i < contract_service_count(); i++) {
        const struct service *service = contract_service_at(i);
        for (size_t j = 0; j < service->operation_count; j++) {
            const struct operation *op = &service->operations[j];
            if (op->calls > 0)
                json_object_set_new(o, op->label, json_integer((json_int_t)op->calls));
        }
    }
    return o;
}

static void get_counters(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    const struct http_counts *http = http_counts(soap);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"total", counters.total},           {"violations", counters.violations},
        {"logins", counters.logins},         {"maxLoginsPerSecond", counters.logins_per_second_max},
        {"logoffs", counters.logoffs},       {"sessions", sessions_count()},
        {"commands", counters.commands},     {"reads", counters.reads},
        {"faults", counters.faults},         {"connections", http->accepted},
        {"openConnections", http->open},     {"inFlight", http->in_flight},
        {"maxInFlight", http->in_flight_max}};
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        json_object_set_new(o, rows[i].name, json_integer((json_int_t)rows[i].value));
    json_object_set_new(o, "violationMessages", violation_messages());
    json_object_set_new(o, "operations", operation_counts());
    json_object_set_new(o, "notify", admin_notify_counts());
    admin_reply(conn, 200, o);
}

static void reset_counters(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    counters_reset();
    http_reset_counts(soap);
    channels_reset_totals();
    admin_reply_ok(conn);
}

static void get_state(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    admin_reply(conn, 200, admin_state());
}

static void get_executed(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    admin_reply(conn, 200, journal_json());
}

static void get_health(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    admin_reply_ok(conn);
}

const char *admin_text(json_t *body, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(body, key));
    return text != NULL ? text : otherwise;
}

static void set_latency(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)argument;
    json_int_t ms = json_integer_value(json_object_get(body, "ms"));
    json_int_t jitter = json_integer_value(json_object_get(body, "jitterMs"));
    if (ms < 0 || jitter < 0) {
        admin_reply_error(conn, 400, "ms and jitterMs must not be negative");
        return;
    }
    soap_set_latency((uint64_t)ms, (uint64_t)jitter);
    admin_reply_ok(conn);
}

static void get_faults(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    json_t *a = json_array();
    for (size_t i = 0; i < faults_count(); i++) {
        const struct injected *f = faults_at(i);
        json_array_append_new(
            a, json_pack("{s:s, s:s, s:s, s:I, s:b}", "kind", faults_kind_name(f->kind), "service",
                         f->service, "operation", f->operation, "left",
                         (json_int_t)(f->endless ? 0 : f->left), "execute", f->execute));
    }
    admin_reply(conn, 200, a);
}

static void add_fault(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)argument;
    int kind = faults_kind(admin_text(body, "kind", ""));
    if (kind < 0) {
        admin_reply_error(conn, 400, "no such kind of fault");
        return;
    }
    json_t *execute = json_object_get(body, "execute");
    faults_add((enum fault_kind)kind, admin_text(body, "service", "*"),
               admin_text(body, "operation", "*"),
               json_integer_value(json_object_get(body, "count")),
               json_is_boolean(execute) ? json_is_true(execute) : -1,
               admin_text(body, "fault", NULL), admin_text(body, "message", NULL));
    http_refuse(soap, faults_refuse());
    admin_reply_ok(conn);
}

static void clear_faults(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    faults_clear();
    http_refuse(soap, false);
    admin_reply_ok(conn);
}

static void kill_sessions(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)argument;
    const char *user = admin_text(body, "user", "*");
    size_t ended = sessions_kill(user, json_is_true(json_object_get(body, "silently")));
    outbound_expire(user);
    admin_reply(conn, 200, json_pack("{s:I}", "ended", (json_int_t)ended));
}

static void add_data(struct contact *contact, json_t *data)
{
    const char *key;
    json_t *value;
    json_object_foreach(data, key, value)
    {
        if (json_is_string(value))
            contact_data_add_pair(&contact->data, key, json_string_value(value));
    }
    if (contact->data.pair_count > 0)
        contact_changed(contact, "ATTACHED_DATA");
}

/* Answers the leg that alerts, at a terminal or outside; false when none does. */
static bool answer_any(struct contact *contact)
{
    struct connection *c;
    TAILQ_FOREACH(c, &contact->connections, of_contact)
    {
        struct termconn *t = TAILQ_FIRST(&c->termconns);
        if (t != NULL && t->state == TS_RINGING) {
            call_answer(t, "DEFAULT");
            return true;
        }
        if (t == NULL && (c->state == CS_NETWORK_ALERTING || c->state == CS_ALERTING)) {
            call_answer_outside(c);
            return true;
        }
    }
    return false;
}

static void new_call(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)argument;
    const char *to_name = admin_text(body, "to", "");
    struct address *from = world_dial(admin_text(body, "from", "+35315550000"));
    struct address *to = world_dial(to_name);
    if (from == NULL || to == NULL || to->type == AT_OUT_OF_PROVIDER || from == to) {
        admin_reply_error(conn, 400, "'to' must be an agent id or an address, 'from' a number");
        return;
    }
    bool screened = json_is_true(json_object_get(body, "offered"));
    call_screening(screened);
    struct contact *contact = from->terminal != NULL
                                  ? call_originate(from->terminal, from, to, "DEFAULT")
                                  : call_incoming(from, to);
    call_screening(false);
    add_data(contact, json_object_get(body, "data"));
    if (json_is_true(json_object_get(body, "answer")))
        answer_any(contact);
    admin_reply(conn, 200, admin_call(contact));
}

static void end_call(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    struct contact *contact = world_contact(argument);
    if (contact == NULL) {
        admin_reply_error(conn, 404, "no such call");
        return;
    }
    contact_end(contact, "DEFAULT");
    admin_reply_ok(conn);
}

static void answer_call(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    struct contact *contact = world_contact(argument);
    if (contact == NULL) {
        admin_reply_error(conn, 404, "no such call");
        return;
    }
    if (!answer_any(contact)) {
        admin_reply_error(conn, 409, "no leg of the call alerts");
        return;
    }
    admin_reply(conn, 200, admin_call(contact));
}

static void change_readiness(struct agent *agent, json_t *body)
{
    json_t *ready = json_object_get(body, "ready");
    const char *reason = admin_text(body, "reasonCode", NULL);
    const char *activity = admin_text(body, "activityCode", NULL);
    if (json_is_boolean(ready) && json_is_true(ready) != agent->ready)
        agent_set_ready(agent, json_is_true(ready));
    if (reason != NULL && !agent->ready)
        agent_set_reason(agent, reason);
    if (activity != NULL)
        terminal_set_activity(agent->terminals[0], activity);
}

static void change_agent(struct http_conn *conn, json_t *body, const char *argument)
{
    struct agent *agent = world_agent(argument);
    json_t *in = json_object_get(body, "loggedIn");
    if (agent == NULL) {
        admin_reply_error(conn, 404, "no such agent");
        return;
    }
    if (json_is_false(in))
        agent_logout(agent);
    else if (json_is_true(in) && !agent->logged_in)
        agent_login(agent, agent->terminals[0], json_is_true(json_object_get(body, "ready")));
    if (agent->logged_in)
        change_readiness(agent, body);
    admin_reply_ok(conn);
}

static const struct admin_route routes[] = {
    {"GET", "/counters", get_counters},
    {"POST", "/counters/reset", reset_counters},
    {"GET", "/state", get_state},
    {"GET", "/executed", get_executed},
    {"GET", "/health", get_health},
    {"POST", "/latency", set_latency},
    {"GET", "/faults", get_faults},
    {"POST", "/faults", add_fault},
    {"DELETE", "/faults", clear_faults},
    {"POST", "/sessions/kill", kill_sessions},
    {"POST", "/calls", new_call},
    {"POST", "/calls/*/end", end_call},
    {"POST", "/calls/*/answer", answer_call},
    {"POST", "/agents/*", change_agent},
    {NULL, NULL, NULL},
};

/* Does `path` match? `*argument` is what stood for '*', to be freed. */
static bool match(const char *pattern, const char *path, char **argument)
{
    const char *star = strchr(pattern, '*');
    if (star == NULL)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(star - pattern);
    if (strncmp(pattern, path, before) != 0)
        return false;
    size_t len = strcspn(path + before, "/");
    if (len == 0 || strcmp(path + before + len, star + 1) != 0)
        return false;
    *argument = mem_strndup(path + before, len);
    return true;
}

static bool dispatch(const struct admin_route *table, struct http_conn *conn,
                     const struct http_request *request, json_t *body)
{
    for (; table->method != NULL; table++) {
        char *argument = NULL;
        if (strcmp(table->method, request->method) != 0 ||
            !match(table->path, request->path, &argument))
            continue;
        table->handler(conn, body, argument);
        free(argument);
        return true;
    }
    return false;
}

void admin_on_request(struct http_conn *conn, const struct http_request *request)
{
    json_t *body = request->body_len > 0 ? json_loadb(request->body, request->body_len, 0, NULL)
                                         : json_object();
    if (!json_is_object(body)) {
        json_decref(body);
        admin_reply_error(conn, 400, "the body is not a JSON object");
        return;
    }
    if (!dispatch(routes, conn, request, body) &&
        !dispatch(admin_live_routes, conn, request, body) &&
        !dispatch(admin_outbound_routes, conn, request, body))
        admin_reply_error(conn, 404, "no such resource");
    notify_settle();
    json_decref(body);
}
