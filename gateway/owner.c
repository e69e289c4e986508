#include "gateway/owner_private.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/command.h"
#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"
#include "cctgate/loop.h"
#include "cctgate/subscription.h"

#define LOGOFF_TIMEOUT_MS 3000

/* ---- fetches ---- */

static void on_fetched(struct fetch_waiter *waiter, struct fetch_outcome *outcome)
{
    struct owner_fetch *fetch =
        (struct owner_fetch *)((char *)waiter - offsetof(struct owner_fetch, waiter));
    if (fetch->reply_to == NULL) {
        owner_fetch_free(&fetch);
        return;
    }
    fetch->outcome = fetch_outcome_ref(outcome);
    fetch->message.on_deliver = fetch->on_reply;
    mailbox_send(fetch->reply_to, &fetch->message);
}

static void on_fetch(struct message *message)
{
    struct owner_fetch *fetch = (struct owner_fetch *)message;
    fetch->waiter.on_done = on_fetched;
    model_fetch(fetch->owner->model,
                &(struct model_wanted){fetch->kind, fetch->id, fetch->id_length, fetch->anew,
                                       fetch->traceparent},
                &fetch->waiter);
}

void owner_fetch_send(struct owner *owner, struct owner_fetch *fetch)
{
    fetch->owner = owner;
    fetch->message.on_deliver = on_fetch;
    mailbox_send(&owner->loop.mailbox, &fetch->message);
}

/* ---- queries ---- */

static void on_query(struct message *message)
{
    struct owner_query *query = (struct owner_query *)message;
    query->result = query->run(query->owner, query);
    query->message.on_deliver = query->on_reply;
    mailbox_send(query->reply_to, &query->message);
}

void owner_query_send(struct owner *owner, struct owner_query *query)
{
    query->owner = owner;
    query->message.on_deliver = on_query;
    mailbox_send(&owner->loop.mailbox, &query->message);
}

static void add_subscriptions(struct owner *owner, json_t *items)
{
    json_t *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        const char *user = json_string_value(json_object_get(item, "user"));
        struct session *session = sessions_find_by_name(owner->sessions, user);
        if (session != NULL)
            json_object_set_new(item, "subscription",
                                subscriptions_describe(owner->subscriptions, session));
    }
}

json_t *owner_describe_sessions(struct owner *owner, const struct owner_query *query)
{
    const struct access *access = query->access;
    uint32_t *numbers = calloc(access->num_users + 1, sizeof(*numbers));
    json_t *items = NULL;
    size_t i;

    for (i = 0; numbers != NULL && i < access->num_users; ++i)
        numbers[i] = access->users[i].number;
    if (numbers != NULL)
        items = sessions_describe(owner->sessions, (access->roles & ROLE_OPERATOR) ? NULL : numbers,
                                  access->num_users);
    if (owner->subscriptions != NULL)
        add_subscriptions(owner, items);
    free(numbers);
    return json_pack("{s:o, s:o}", "items", items != NULL ? items : json_array(), "endpoints",
                     sessions_describe_endpoints(owner->sessions));
}

static void reason(json_t *reasons, int applies, const char *text)
{
    if (applies)
        json_array_append_new(reasons, json_string(text));
}

static int is_unread(void *data, uint32_t user)
{
    return !model_has_read(((struct owner *)data)->model, user);
}

json_t *owner_describe_readiness(struct owner *owner, const struct owner_query *query)
{
    struct sessions_summary sessions;
    json_t *reasons = json_array();
    char away[CG_ID_BYTES_MAX + 128];
    int ready;

    (void)query;
    sessions_summarise(owner->sessions, &sessions, is_unread, owner);
    snprintf(away, sizeof(away), "the contact centre cannot be reached at `%s`; answers are stale",
             sessions.endpoint);
    reason(reasons, sessions.endpoint_down, away);
    reason(reasons, sessions.attempted < sessions.total, "sessions are still logging in");
    reason(reasons, sessions.total > 0 && sessions.attempted == sessions.total && sessions.up == 0,
           "no session is up");
    reason(reasons, sessions.unread > 0, "the lists of sessions are still being read");
    ready = json_array_size(reasons) == 0;
    reason(reasons, sessions.denied > 0, "sessions were denied: see /v1/sessions");
    return json_pack("{s:s, s:o, s:o, s:{s:I, s:I, s:I}}", "status", ready ? "ready" : "notReady",
                     "reasons", reasons, "endpoints", sessions_describe_endpoints(owner->sessions),
                     "sessions", "total", (json_int_t)sessions.total, "up", (json_int_t)sessions.up,
                     "denied", (json_int_t)sessions.denied);
}

#define I(value) ((json_int_t)(value))

static void describe_model(const struct model_stats *m, json_t *metrics)
{
    json_t *own = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "events_total", I(m->events),
                            "event_duplicates_total", I(m->event_duplicates), "event_copies_total",
                            I(m->event_copies), "event_losses_total", I(m->event_gaps),
                            "event_differences_total", I(m->event_differences),
                            "reconciliations_total", I(m->reconciliations), "model_objects",
                            I(m->objects), "sessions_live", I(m->users_live));
    json_object_update(metrics, own);
    json_decref(own);
}

static void describe_events(struct owner *owner, json_t *metrics)
{
    struct subscriptions_stats s;
    struct consumer_stats c;
    json_t *more;

    if (owner->subscriptions == NULL)
        return;
    subscriptions_get_stats(owner->subscriptions, &s);
    consumer_get_stats(owner->consumer, &c);
    more = json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I, s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I, "
        "s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
        "subscriptions_active", I(s.active), "subscribes_total", I(s.subscribes), "renewals_total",
        I(s.renewals), "unsubscribes_total", I(s.unsubscribes), "subscription_failures_total",
        I(s.failures), "subscriptions_kept_total", I(s.kept), "switch_listeners_total",
        I(s.ha_listeners), "switch_notices_total", I(s.ha_notices), //
        "notifies_total", I(s.notifies), "notify_messages_total", I(s.messages),
        "notify_undecodable_total", I(s.undecodable), "notify_unknown_total", I(s.unknown),
        "notify_retired_total", I(s.retired), "notify_foreign_session_total", I(s.foreign_session),
        "notify_duplicates_total", I(s.duplicates), "notify_not_held_total", I(s.overflows), //
        "consumer_accepted_total", I(c.accepted), "consumer_unknown_total", I(c.unknown),
        "consumer_foreign_total", I(c.foreign), "consumer_refused_total", I(c.refused),
        "consumer_busy_total", I(c.overflows), "consumer_received_bytes_total", I(c.bytes),
        "consumer_queued_bytes", I(c.queued_bytes));
    json_object_update(metrics, more);
    json_decref(more);
}

json_t *owner_describe_metrics(struct owner *owner, const struct owner_query *query)
{
    json_t *metrics;
    struct sessions_summary s;
    struct model_stats m;
    struct store_stats t;
    struct upstream_stats u;

    (void)query;
    sessions_summarise(owner->sessions, &s, NULL, NULL);
    model_get_stats(owner->model, &m);
    store_get_stats(owner->store, &t);
    owner_sum_upstream(owner, &u);
    metrics = json_pack(
        "{s:I,s:I,s:I,s:I,s:I, s:I,s:I,s:I,s:I,s:I,s:I, s:I,s:I,s:I,s:I,s:I, s:I,s:I,s:I,s:I,s:I, "
        "s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
        "sessions", I(s.total), "sessions_signed_on", I(s.signed_on), "sessions_leaving",
        I(s.leaving), "sessions_up", I(s.up), "sessions_denied", I(s.denied), //
        "session_logins_total", I(s.logins), "session_login_failures_total", I(s.login_failures),
        "session_losses_total", I(s.losses), "session_heartbeats_total", I(s.heartbeats),
        "session_adoptions_total", I(s.adoptions), "session_failovers_total", I(s.moves), //
        "fetches_total", I(m.fetches), "fetches_collapsed_total", I(m.collapsed),
        "fetch_failures_total", I(m.failures), "fetch_calls_total", I(m.calls),
        "fetches_in_progress", I(m.fetching), //
        "store_records", I(t.records), "store_corrupt_records_total", I(t.corrupt_records),
        "store_commits_total", I(t.commits), "store_cache_used_bytes", I(t.cache_used_bytes),
        "store_cache_map_bytes", I(t.cache_map_bytes), //
        "upstream_calls_total", I(u.calls), "upstream_failures_total", I(u.failures),
        "upstream_faults_total", I(u.faults), "upstream_sent_bytes_total", I(u.bytes_out),
        "upstream_received_bytes_total", I(u.bytes_in), "upstream_connects_total", I(u.connects),
        "upstream_calls_in_flight", I(u.in_flight), "upstream_calls_queued", I(u.queued));
    describe_model(&m, metrics);
    owner_describe_commands(owner, metrics);
    owner_describe_load(owner, metrics);
    owner_describe_access(owner, metrics);
    describe_events(owner, metrics);
    owner_describe_outbound(owner, metrics);
    owner_describe_jobs(owner, metrics);
    json_object_set_new(metrics, "endpoints", owner_describe_endpoints(owner));
    return metrics;
}
#undef I

/* ---- sessions, configuration ---- */

static void on_lists_read(struct fetch_waiter *waiter, struct fetch_outcome *outcome)
{
    (void)outcome; /* a failure was logged, and the next read asks again */
    free(waiter);
}

static void read_lists(struct owner *owner, struct session *session)
{
    struct fetch_waiter *waiter = calloc(1, sizeof(*waiter));
    const char *user = session_user(session);

    if (waiter == NULL)
        return;
    waiter->on_done = on_lists_read;
    model_fetch(owner->model, &(struct model_wanted){RECORD_USER, user, strlen(user), 0, NULL},
                waiter);
}

/* Where events are taken, reading waits for them: what is read before may be outdated without notice (DOMAIN 5.13). */
static void on_session_up(void *data, struct session *session)
{
    struct owner *owner = data;
    if (owner->subscriptions != NULL)
        subscriptions_session_up(owner->subscriptions, session);
    else
        read_lists(owner, session);
}

static void on_session_down(void *data, struct session *session, const char *why)
{
    struct owner *owner = data;
    if (owner->subscriptions != NULL)
        subscriptions_session_down(owner->subscriptions, session, why);
}

static void on_session_parting(void *data, struct session *session)
{
    struct owner *owner = data;
    if (owner->subscriptions != NULL)
        subscriptions_session_parting(owner->subscriptions, session);
}

static void on_session_renewed(void *data, struct session *session)
{
    struct owner *owner = data;
    if (owner->subscriptions != NULL)
        subscriptions_session_renewed(owner->subscriptions, session);
}

/*
 * Nobody may see any more what was read for the user: it stays as it is, for when the user comes back, and forgetting it would cost the
 * user its number, of which there are few.
 */
static void on_session_removed(void *data, uint32_t user)
{
    struct owner *owner = data;
    sign_ons_session_removed(owner->sign_ons, user);
}

/* ---- events ---- */

static void on_subscribed(void *data, struct session *session)
{
    struct owner *owner = data;
    model_on_subscribed(owner->model, session);
}

static void on_unsubscribed(void *data, struct session *session, const char *why)
{
    struct owner *owner = data;
    model_on_unsubscribed(owner->model, session, why);
    if (session_is_up(session) && !model_has_read(owner->model, session_number(session)))
        read_lists(owner, session); /* without events, then */
}

static void on_event(void *data, struct session *session, const json_t *message)
{
    model_on_message(((struct owner *)data)->model, session, message);
}

static void on_events_end(void *data)
{
    model_on_batch_end(((struct owner *)data)->model);
}

static void on_notify(struct message *message)
{
    struct consumer_notify *notify = (struct consumer_notify *)message;
    struct owner *owner = notify->data;

    if (owner->subscriptions != NULL)
        subscriptions_notify(owner->subscriptions, notify);
    else
        consumer_notify_free(&notify);
}

static int make_subscriptions(struct owner *owner, char *error, size_t error_size)
{
    struct subscriptions_settings settings = {
        .loop = &owner->loop,
        .contract = owner->contract,
        .config = owner->config,
        .consumer = owner->consumer,
        .on_subscribed = on_subscribed,
        .on_unsubscribed = on_unsubscribed,
        .on_message = on_event,
        .on_batch_end = on_events_end,
        .data = owner,
    };
    if (owner->consumer == NULL)
        return CG_OK;
    consumer_set_receiver(owner->consumer, &owner->loop.mailbox, on_notify, owner);
    return subscriptions_new(&owner->subscriptions, &settings, error, error_size);
}

static int number_users(struct owner *owner, const struct config *config, uint32_t **numbers)
{
    struct store_txn *txn;
    size_t i;
    int rc;

    if ((*numbers = calloc(config->num_sessions + 1, sizeof(**numbers))) == NULL)
        return CG_E_NOMEM;
    if ((rc = store_begin(owner->store, &txn)) == CG_OK) {
        for (i = 0; i < config->num_sessions && rc == CG_OK; ++i)
            if ((rc = store_user_id(txn, config->sessions[i].user, &(*numbers)[i])) == CG_OK &&
                (*numbers)[i] >= SESSION_VIEWS_MAX)
                rc = CG_E_LIMIT;
        if (rc == CG_OK)
            rc = store_commit(&txn);
        else
            store_abort(&txn);
    }
    if (rc != CG_OK)
        free(*numbers);
    return rc;
}

static int is_configured(uint32_t number, const uint32_t *numbers, size_t count)
{
    size_t i;
    for (i = 0; i < count; ++i)
        if (numbers[i] == number)
            return 1;
    return 0;
}

static void remove_sessions(struct owner *owner, const struct config *config,
                            const uint32_t *numbers)
{
    size_t i;
    for (i = 0; i < owner->config->num_sessions; ++i) {
        struct session *session =
            sessions_find_by_name(owner->sessions, owner->config->sessions[i].user);
        uint32_t number = session != NULL ? session_number(session) : 0;
        if (number != 0 && !is_configured(number, numbers, config->num_sessions) &&
            sessions_remove(owner->sessions, number))
            model_forget_user(owner->model, number);
    }
}

static int same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static const struct config_session *find_session(const struct config *config, const char *user)
{
    size_t i;
    for (i = 0; i < config->num_sessions; ++i)
        if (strcmp(config->sessions[i].user, user) == 0)
            return &config->sessions[i];
    return NULL;
}

static void add_sessions(struct owner *owner, const struct config *config, const uint32_t *numbers)
{
    size_t i;
    for (i = 0; i < config->num_sessions; ++i) {
        const struct config_session *fresh = &config->sessions[i];
        const struct config_session *old = find_session(owner->config, fresh->user);
        if (sessions_find(owner->sessions, numbers[i]) != NULL && old != NULL &&
            same(old->password, fresh->password) && same(old->domain, fresh->domain) &&
            same(old->agent, fresh->agent) && old->shared == fresh->shared)
            continue;
        if (sessions_add(owner->sessions, fresh, numbers[i]) != CG_OK)
            log_write(LOG_LEVEL_ERROR, "sessionNotAdded", "A session could not be added",
                      LOG_S("user", fresh->user));
    }
}

/* `told` is delivered when all fronts have the policy; not the caller's any more when it worked. */
static int apply(struct owner *owner, struct config *config, struct message *told)
{
    uint32_t *numbers;
    int rc = number_users(owner, config, &numbers);

    if (rc != CG_OK)
        return rc;
    if ((rc = owner_configure_access(owner, config, numbers)) != CG_OK) {
        free(numbers);
        return rc;
    }
    sessions_configure(owner->sessions, config);
    model_configure(owner->model, config);
    owner_configure_commands(owner, config);
    if (owner->outbound != NULL)
        outbound_configure(owner->outbound, config);
    if (owner->subscriptions != NULL) {
        subscriptions_configure(owner->subscriptions, config);
        consumer_configure(owner->consumer, config);
    }
    remove_sessions(owner, config, numbers);
    add_sessions(owner, config, numbers);
    free(numbers);
    config_ref(config);
    config_unref(&owner->config);
    owner->config = config;
    return owner_publish_access(owner, told);
}

struct reload {
    struct message message;
    struct owner *owner;
    struct config *config;
};

static void end_reload(struct owner *owner, const char *file, int rc)
{
    log_write(rc == CG_OK ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "reloaded",
              rc == CG_OK ? "The new configuration is in force"
                          : "The new configuration could not be put in force",
              LOG_S("file", file), LOG_S("result", cg_error_name(rc)));
    if (owner->on_reloaded != NULL)
        owner->on_reloaded(owner->data, rc);
}

/* Nobody is let in any more by what has gone. */
static void on_in_force(struct message *message)
{
    struct owner *owner = ((struct owner_told *)message)->owner;

    free(message);
    end_reload(owner, owner->config->file, CG_OK);
}

static void on_reload(struct message *message)
{
    struct reload *reload = (struct reload *)message;
    struct owner_told *told = calloc(1, sizeof(*told));
    int rc = CG_E_NOMEM;

    if (told != NULL) {
        told->message.on_deliver = on_in_force;
        told->owner = reload->owner;
        rc = apply(reload->owner, reload->config, &told->message);
    }
    if (rc != CG_OK) {
        free(told);
        end_reload(reload->owner, reload->config->file, rc);
    }
    config_unref(&reload->config);
    free(reload);
}

void owner_reload(struct owner *owner, struct config *config)
{
    struct reload *reload = calloc(1, sizeof(*reload));
    if (reload == NULL)
        return;
    reload->message.on_deliver = on_reload;
    reload->owner = owner;
    reload->config = config_ref(config);
    mailbox_send(&owner->loop.mailbox, &reload->message);
}

/* ---- start and stop ---- */

static void on_upstream_gone(struct message *message)
{
    struct owner *owner = ((struct upstream_notice *)message)->data;

    if (owner->sessions != NULL)
        sessions_endpoint_refused(owner->sessions, ((struct upstream_notice *)message)->endpoint);
    free(message);
}

static int start_upstream(struct owner *owner, char *error, size_t error_size)
{
    const struct config *config = owner->config;
    size_t count = config->upstream.num_endpoints, i;
    struct upstream_endpoint *endpoints = calloc(count, sizeof(*endpoints));
    int rc;

    if (endpoints == NULL)
        return CG_E_NOMEM;
    for (i = 0; i < count; ++i) {
        endpoints[i].name = config->upstream.endpoints[i].name;
        endpoints[i].url = config->upstream.endpoints[i].url;
        endpoints[i].tls.ca_file = config->upstream.tls.ca_file;
        endpoints[i].tls.certificate_file = config->upstream.tls.certificate_file;
        endpoints[i].tls.key_file = config->upstream.tls.key_file;
        endpoints[i].max_concurrent = config->upstream.max_concurrent;
        endpoints[i].connect_timeout_ms = config->upstream.connect_timeout_ms;
        endpoints[i].timeout_ms = config->upstream.timeout_ms;
        endpoints[i].watcher =
            (struct upstream_watcher){&owner->loop.mailbox, on_upstream_gone, owner};
    }
    rc = upstream_start(&owner->upstream, endpoints, count, error, error_size);
    free(endpoints);
    return rc;
}

static int build(struct owner *owner, char *error, size_t error_size)
{
    struct sessions_settings sessions = {.loop = &owner->loop,
                                         .contract = owner->contract,
                                         .config = owner->config,
                                         .on_up = on_session_up,
                                         .on_down = on_session_down,
                                         .on_parting = on_session_parting,
                                         .on_elsewhere = owner_on_elsewhere,
                                         .on_removed = on_session_removed,
                                         .on_renewed = on_session_renewed,
                                         .data = owner};
    struct model_settings model = {&owner->loop,        owner->store,
                                   owner->contract,     owner->config,
                                   owner->opened.epoch, !owner->opened.cache_was_empty};
    int rc;

    if ((rc = start_upstream(owner, error, error_size)) != CG_OK)
        return rc;
    sessions.upstream = owner->upstream;
    if ((rc = model_new(&owner->model, &model)) != CG_OK) {
        snprintf(error, error_size, "the model: %s", cg_error_name(rc));
        return rc;
    }
    if (owner->on_events != NULL)
        model_set_publisher(owner->model, owner->on_events, owner->data);
    if ((rc = sessions_new(&owner->sessions, &sessions, error, error_size)) != CG_OK)
        return rc;
    model_set_sessions(owner->model, owner->sessions);
    if ((rc = owner_make_commands(owner, error, error_size)) != CG_OK)
        return rc;
    if ((rc = owner_recall_endpoint(owner, error, error_size)) != CG_OK)
        return rc;
    if ((rc = sessions_open_journal(owner->sessions, owner->durable, owner->config->data.directory,
                                    error, error_size)) != CG_OK)
        return rc;
    if ((rc = owner_make_outbound(owner, error, error_size)) != CG_OK ||
        (rc = owner_make_jobs(owner, error, error_size)) != CG_OK ||
        (rc = make_subscriptions(owner, error, error_size)) != CG_OK ||
        (rc = owner_make_access(owner, error, error_size)) != CG_OK)
        return rc;
    if ((rc = apply(owner, owner->config, NULL)) != CG_OK) {
        snprintf(error, error_size, "sessions and tokens: %s", cg_error_name(rc));
        return rc;
    }
    sign_ons_take_up(owner->sign_ons);
    sessions_settle(owner->sessions); /* everybody who may want one has taken it */
    return CG_OK;
}

static void on_pulse(struct timer *timer)
{
    struct owner *owner = (struct owner *)((char *)timer - offsetof(struct owner, pulse));
    atomic_store_explicit(&owner->last_turn_ms, clock_monotonic_ms(), memory_order_relaxed);
    if (owner->model != NULL)
        model_watch_capacity(owner->model);
    timer_arm(&owner->loop, &owner->pulse, 1000);
}

int64_t owner_last_turn_ms(const struct owner *owner)
{
    return atomic_load_explicit(&owner->last_turn_ms, memory_order_relaxed);
}

static void *owner_main(void *data)
{
    struct owner *owner = data;
    pthread_setname_np(pthread_self(), "owner");
    loop_run(&owner->loop);
    return NULL;
}

static void release(struct owner *owner)
{
    sign_ons_close(owner->sign_ons);
    jobs_close(owner->jobs);
    if (owner->upstream != NULL)
        upstream_stop(&owner->upstream, 0);
    outbound_detach(owner->outbound);
    sessions_detach(owner->sessions);
    subscriptions_detach(owner->subscriptions);
    while (mailbox_deliver(&owner->loop.mailbox) > 0)
        ;
    owner_end_commands(owner);
    jobs_free(&owner->jobs);
    model_free(&owner->model);
    sessions_free(&owner->sessions);
    while (mailbox_deliver(&owner->loop.mailbox) > 0)
        ;
    subscriptions_free(&owner->subscriptions);
    outbound_free(&owner->outbound);
    owner_end_access(owner);
    config_unref(&owner->config);
    loop_release(&owner->loop);
    free(owner);
}

int owner_start(struct owner **out, const struct owner_settings *settings, char *error,
                size_t error_size)
{
    struct owner *owner = calloc(1, sizeof(*owner));
    int rc;

    *out = NULL;
    if (owner == NULL)
        return CG_E_NOMEM;
    if ((rc = loop_init(&owner->loop)) != CG_OK) {
        free(owner);
        return rc;
    }
    owner->config = config_ref(settings->config);
    owner->contract = settings->contract;
    owner->store = settings->store;
    owner->consumer = settings->consumer;
    owner->opened = settings->opened;
    owner->on_policy = settings->on_policy;
    owner->on_reloaded = settings->on_reloaded;
    owner->on_events = settings->on_events;
    owner->data = settings->data;
    owner->pulse.on_due = on_pulse;
    on_pulse(&owner->pulse);
    rc = build(owner, error, error_size);
    if (rc == CG_OK && pthread_create(&owner->thread, NULL, owner_main, owner) != 0) {
        snprintf(error, error_size, "no thread");
        rc = CG_E_NOMEM;
    }
    if (rc != CG_OK) {
        release(owner);
        return rc;
    }
    *out = owner;
    return CG_OK;
}

static void on_logged_off(void *data)
{
    struct owner *owner = data;
    if (--owner->leaving == 0)
        loop_stop(&owner->loop);
}

struct stop {
    struct message message;
    struct owner *owner;
};

static void on_stop(struct message *message)
{
    struct owner *owner = ((struct stop *)message)->owner;
    free(message);
    commands_close(owner->commands);
    jobs_close(owner->jobs);
    owner->leaving = 2;
    outbound_log_off(owner->outbound, LOGOFF_TIMEOUT_MS, on_logged_off, owner);
    sessions_log_off(owner->sessions, LOGOFF_TIMEOUT_MS, on_logged_off, owner);
}

void owner_stop(struct owner **in)
{
    struct owner *owner = *in;
    struct stop *stop;

    if (owner == NULL)
        return;
    *in = NULL;
    if ((stop = calloc(1, sizeof(*stop))) == NULL)
        abort();
    stop->message.on_deliver = on_stop;
    stop->owner = owner;
    mailbox_send(&owner->loop.mailbox, &stop->message);
    pthread_join(owner->thread, NULL);
    release(owner);
}
