/*
 * Which endpoint of the contact centre is in use. The choice is the operator's, or the outage's where that is configured, and it
 * outlives the gateway: after a restart nothing goes back to the campus by itself, for who has moved to the remote node has
 * done so on purpose. It is a row in the durable table of state, written with its audit entry before it takes effect.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "gateway/owner_private.h"

#define ROW_ENDPOINT "endpoint"

static const struct config_endpoint *endpoint_at(const struct owner *owner, unsigned endpoint)
{
    return &owner->config->upstream.endpoints[endpoint];
}

/* By name; else the first of a role. The number of endpoints: there is none. */
static unsigned find_endpoint(const struct owner *owner, const char *name)
{
    unsigned count = (unsigned)owner->config->upstream.num_endpoints, i;

    for (i = 0; i < count; ++i)
        if (strcmp(endpoint_at(owner, i)->name, name) == 0)
            return i;
    for (i = 0; i < count; ++i)
        if (strcmp(endpoint_at(owner, i)->is_rgn ? "rgn" : "campus", name) == 0)
            return i;
    return count;
}

/* ---- over restarts ---- */

static int on_row(void *data, const void *key, size_t key_length, const void *value, size_t length)
{
    struct owner *owner = data;
    unsigned endpoint;
    char *name;

    if (key_length != sizeof(ROW_ENDPOINT) - 1 || memcmp(key, ROW_ENDPOINT, key_length) != 0)
        return 0;
    if ((name = strndup(value, length)) == NULL)
        abort();
    endpoint = find_endpoint(owner, name);
    if (endpoint < owner->config->upstream.num_endpoints)
        owner->wanted_endpoint = endpoint;
    else
        log_write(LOG_LEVEL_WARNING, "endpointUnknown",
                  "The endpoint that was in use is not configured any more",
                  LOG_S("endpoint", name));
    free(name);
    return 1;
}

int owner_recall_endpoint(struct owner *owner, char *error, size_t error_size)
{
    int rc;

    owner->wanted_endpoint = sessions_endpoint(owner->sessions);
    rc = durable_walk(owner->durable, DURABLE_STATE, on_row, owner);
    if (rc != CG_OK)
        snprintf(error, error_size, "the endpoint in use: %s", cg_error_name(rc));
    else
        sessions_move(owner->sessions, owner->wanted_endpoint, "as before the restart");
    return rc;
}

static struct durable_batch *batch_of(const struct owner *owner, unsigned endpoint,
                                      const struct audit_entry *entry, const char *reason)
{
    struct durable_batch *batch = durable_batch_new();
    const char *name = endpoint_at(owner, endpoint)->name;
    json_t *json = audit_entry_json(entry);

    if (reason != NULL && *reason != '\0')
        json_object_set_new(json, "reason", json_string(reason));
    durable_put(batch, DURABLE_STATE, ROW_ENDPOINT, sizeof(ROW_ENDPOINT) - 1, name, strlen(name));
    durable_append(batch, json);
    return batch;
}

/* ---- by the operator ---- */

static void reply(struct owner_failover *failover)
{
    failover->message.on_deliver = failover->on_reply;
    mailbox_send(failover->reply_to, &failover->message);
}

static void answer(struct owner_failover *failover, int changed)
{
    const struct config_endpoint *endpoint = endpoint_at(failover->owner, failover->index);

    failover->result = json_pack("{s:s, s:s, s:b}", "endpoint", endpoint->name, "role",
                                 endpoint->is_rgn ? "rgn" : "campus", "changed", changed);
    reply(failover);
}

static void on_written(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct owner_failover *failover = done->data;
    struct owner *owner = failover->owner;
    char why[CG_ID_BYTES_MAX + 32];

    failover->rc = done->rc;
    free(done);
    if (failover->rc != CG_OK) {
        if (owner->wanted_endpoint == failover->index) /* nobody has chosen another meanwhile */
            owner->wanted_endpoint = sessions_endpoint(owner->sessions);
        reply(failover);
        return;
    }
    owner->wanted_endpoint = failover->index;
    snprintf(why, sizeof(why), "failover to %s", endpoint_at(owner, failover->index)->name);
    sessions_move(owner->sessions, failover->index, why);
    answer(failover, 1);
}

static json_t *endpoint_names(const struct owner *owner)
{
    json_t *names = json_array();
    unsigned i;

    for (i = 0; i < owner->config->upstream.num_endpoints; ++i)
        json_array_append_new(names, json_string(endpoint_at(owner, i)->name));
    return names;
}

static void on_failover(struct message *message)
{
    struct owner_failover *failover = (struct owner_failover *)message;
    struct owner *owner = failover->owner;
    struct audit_entry entry = {.what = "failover",
                                .application = failover->application,
                                .door = "http",
                                .outcome = "done"};

    failover->index = find_endpoint(owner, failover->endpoint);
    if (failover->index == owner->config->upstream.num_endpoints) {
        failover->rc = CG_E_NOTFOUND;
        failover->result = endpoint_names(owner);
        reply(failover);
        return;
    }
    if (failover->index == owner->wanted_endpoint) {
        answer(failover, 0);
        return;
    }
    owner->wanted_endpoint = failover->index;
    entry.object = endpoint_at(owner, failover->index)->name;
    durable_submit(owner->durable, batch_of(owner, failover->index, &entry, failover->reason),
                   &owner->loop.mailbox, on_written, failover);
}

void owner_failover_send(struct owner *owner, struct owner_failover *failover)
{
    failover->owner = owner;
    failover->message.on_deliver = on_failover;
    mailbox_send(&owner->loop.mailbox, &failover->message);
}

/* ---- by an outage ---- */

/* A disk that does not take it is no reason to stay where nothing answers: the move is made, for this run. */
static void on_elsewhere_written(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct owner *owner = done->data;
    char why[CG_ID_BYTES_MAX + 64];

    if (done->rc != CG_OK)
        log_write(LOG_LEVEL_ERROR, "endpointNotKept",
                  "The endpoint in use could not be written down; a restart will not know it",
                  LOG_S("reason", cg_error_name(done->rc)));
    free(done);
    snprintf(why, sizeof(why), "the contact centre was away; failover to %s",
             endpoint_at(owner, owner->wanted_endpoint)->name);
    sessions_move(owner->sessions, owner->wanted_endpoint, why);
}

void owner_on_elsewhere(void *data, unsigned endpoint)
{
    struct owner *owner = data;
    struct audit_entry entry = {
        .what = "failover", .object = endpoint_at(owner, endpoint)->name, .outcome = "done"};

    if (owner->wanted_endpoint != sessions_endpoint(owner->sessions))
        return; /* somebody has chosen already */
    owner->wanted_endpoint = endpoint;
    durable_submit(owner->durable, batch_of(owner, endpoint, &entry, "the campus was away"),
                   &owner->loop.mailbox, on_elsewhere_written, owner);
}

/* ---- looking ---- */

void owner_sum_upstream(struct owner *owner, struct upstream_stats *sum)
{
    struct upstream_stats one;
    unsigned i;

    memset(sum, 0, sizeof(*sum));
    for (i = 0; i < owner->config->upstream.num_endpoints; ++i) {
        upstream_get_stats(owner->upstream, i, &one);
        sum->calls += one.calls;
        sum->failures += one.failures;
        sum->faults += one.faults;
        sum->bytes_out += one.bytes_out;
        sum->bytes_in += one.bytes_in;
        sum->connects += one.connects;
        sum->in_flight += one.in_flight;
        sum->queued += one.queued;
    }
}

#define I(value) ((json_int_t)(value))
json_t *owner_describe_endpoints(struct owner *owner)
{
    json_t *endpoints = sessions_describe_endpoints(owner->sessions), *endpoint;
    struct upstream_stats u;
    size_t i;

    json_array_foreach(endpoints, i, endpoint)
    {
        json_t *more;
        upstream_get_stats(owner->upstream, (unsigned)i, &u);
        more = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "calls", I(u.calls), "failures",
                         I(u.failures), "faults", I(u.faults), "connects", I(u.connects),
                         "inFlight", I(u.in_flight), "queued", I(u.queued));
        json_object_update(endpoint, more);
        json_decref(more);
    }
    return endpoints;
}
#undef I
