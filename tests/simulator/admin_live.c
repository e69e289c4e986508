/* The part of the admin port that concerns notifications and traffic. */
#include <string.h>

#include "admin.h"
#include "admin_state.h"
#include "inject.h"
#include "load.h"
#include "mischief.h"

static void get_subscriptions(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    admin_reply(conn, 200, admin_subscriptions());
}

static void get_truth(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    const struct user *viewer = world_user(argument != NULL ? argument : "admin");
    if (viewer == NULL)
        admin_reply_error(conn, 404, "no such user");
    else
        admin_reply(conn, 200, admin_truth(viewer));
}

static void get_notify(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    admin_reply(conn, 200, mischief_json());
}

static void set_notify(struct http_conn *conn, json_t *body, const char *argument)
{
    const char *why;
    (void)argument;
    if (mischief_set(body, &why))
        admin_reply_ok(conn);
    else
        admin_reply_error(conn, 400, why);
}

static void clear_notify(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    mischief_clear();
    admin_reply_ok(conn);
}

static void post_event(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)argument;
    const char *wrong = inject_event(body);
    if (wrong == NULL)
        admin_reply_ok(conn);
    else
        admin_reply_error(conn, 400, wrong);
}

static void post_system(struct http_conn *conn, json_t *body, const char *argument)
{
    size_t count;
    (void)argument;
    const char *wrong = inject_system(body, &count);
    if (wrong == NULL)
        admin_reply(conn, 200, json_pack("{s:I}", "concerned", (json_int_t)count));
    else
        admin_reply_error(conn, 400, wrong);
}

static bool count_of(json_t *body, const char *key, uint64_t otherwise, uint64_t *value)
{
    json_t *v = json_object_get(body, key);
    *value = v != NULL ? (uint64_t)json_integer_value(v) : otherwise;
    return v == NULL || (json_is_integer(v) && json_integer_value(v) >= 0);
}

static void start_load(struct http_conn *conn, json_t *body, struct load *load, const char *unit)
{
    struct load_order order = {.kind = admin_text(body, "kind", "mixed")};
    if (!count_of(body, unit, 0, &order.amount) ||
        !count_of(body, "perSecond", 0, &order.per_second) ||
        !count_of(body, "seed", 1, &order.seed) || !load_start(load, &order))
        admin_reply_error(conn, 400, "a count must be an integer; kind is ready, calls or mixed");
    else
        admin_reply(conn, 200, load_json(load));
}

static void start_burst(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)argument;
    start_load(conn, body, &load_burst, "events");
}

static void start_traffic(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)argument;
    start_load(conn, body, &load_traffic, "steps");
}

static void get_burst(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    admin_reply(conn, 200, load_json(&load_burst));
}

static void get_traffic(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    admin_reply(conn, 200, load_json(&load_traffic));
}

static void stop_load(struct http_conn *conn, json_t *body, const char *argument)
{
    (void)body;
    (void)argument;
    load_stop();
    admin_reply_ok(conn);
}

const struct admin_route admin_live_routes[] = {
    {"GET", "/subscriptions", get_subscriptions},
    {"GET", "/truth", get_truth},
    {"GET", "/truth/*", get_truth},
    {"GET", "/notify", get_notify},
    {"POST", "/notify", set_notify},
    {"DELETE", "/notify", clear_notify},
    {"POST", "/events", post_event},
    {"POST", "/system", post_system},
    {"POST", "/burst", start_burst},
    {"GET", "/burst", get_burst},
    {"POST", "/traffic", start_traffic},
    {"GET", "/traffic", get_traffic},
    {"DELETE", "/traffic", stop_load},
    {NULL, NULL, NULL},
};
