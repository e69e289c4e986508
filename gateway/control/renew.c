/* How leases live on: renewals that are asked for, those of a WebSocket that lives, and the grace when one has gone. */
#include <stdlib.h>
#include <string.h>

#include "gateway/control/control_private.h"

#define LEAST_PERIOD_MS 10

static void set_expiry(struct op *op, unsigned delay_ms)
{
    struct control *control = op->control;

    op->serial = ++control->serial;
    op->expires_ms = control_now(control) + delay_ms;
    op->expires_at_ms = control->clock.unix_ms() + delay_ms;
}

/* What is on the disk now is in force, unless the lease has ended meanwhile or its connection was lost after it was asked for. */
static void apply(const struct op *op, struct lease *lease)
{
    if (!lease_is_valid(lease, control_now(op->control)) || op->serial < lease->cut)
        return;
    lease_expire_at(lease, op->expires_ms, op->expires_at_ms);
    if (lease->profile == CONTROL_FULL)
        control_changed(op->control, lease->agent->name);
}

static void audit_failure(const struct control *control, struct durable_batch *batch,
                          const struct lease *lease)
{
    audit_act(control, batch,
              &(struct act_entry){.what = "renewalFailed",
                                  .application = lease->application,
                                  .agent = lease->agent->name,
                                  .profile = lease->profile,
                                  .fence = lease->fence,
                                  .reason = "the disk refused",
                                  .outcome = "notDone"});
}

static void submit_unwatched(struct control *control, struct durable_batch *batch)
{
    if (durable_batch_is_empty(batch))
        durable_batch_free(&batch);
    else
        durable_submit(control->settings.durable, batch, NULL, NULL, NULL);
}

/* ---- many at once ---- */

static void finish_many(struct op *op, int rc)
{
    struct control *control = op->control;
    struct durable_batch *batch = rc != CG_OK && op->renewal ? durable_batch_new() : NULL;
    size_t i;

    for (i = 0; i < op->num_leases; ++i) {
        struct lease *lease = op->leases[i];
        if (rc == CG_OK) {
            control->stats.renewed += op->renewal && lease->agent != NULL;
            apply(op, lease);
        } else if (batch != NULL && lease->agent != NULL) {
            audit_failure(control, batch, lease);
        }
    }
    if (batch != NULL)
        submit_unwatched(control, batch);
    if (op->renewal)
        control->renewing = 0;
}

static struct op *many_new(struct control *control, unsigned delay_ms)
{
    struct control_ask nobody = {.agent = NULL};
    struct op *op = op_new(control, &nobody, finish_many);
    set_expiry(op, delay_ms);
    return op;
}

static void many_add(struct op *op, struct durable_batch *batch, struct lease *lease)
{
    size_t num = op->num_leases;

    if ((num & (num - 1)) == 0)
        op->leases = must(reallocarray(op->leases, num == 0 ? 1 : num * 2, sizeof(*op->leases)));
    op->leases[op->num_leases++] = lease_ref(lease);
    row_put_lease(batch, lease, op->expires_at_ms);
}

static void many_submit(struct op *op, struct durable_batch *batch)
{
    if (op->num_leases > 0) {
        op_submit(op, batch);
        return;
    }
    durable_batch_free(&batch);
    op_free(op);
}

/* ---- WebSockets ---- */

void renew_arm(struct control *control)
{
    int64_t period_ms = control->config->control.ttl_ms / 3;

    if (control->stats.bound == 0)
        timer_disarm(control->settings.loop, &control->renewal);
    else
        timer_arm(control->settings.loop, &control->renewal,
                  period_ms < LEAST_PERIOD_MS ? LEAST_PERIOD_MS : period_ms);
}

void renew_bound(struct control *control)
{
    struct durable_batch *batch;
    struct client *client, *next;
    struct lease *lease;
    struct op *op;

    renew_arm(control);
    if (control->renewing)
        return; /* a slow disk is not given more of the same */
    op = many_new(control, control->config->control.ttl_ms);
    op->renewal = 1;
    batch = durable_batch_new();
    HASH_ITER(hh, control->clients, client, next)
    {
        DL_FOREACH2(client->leases, lease, next_bound)
        if (lease->state == LEASE_HELD)
            many_add(op, batch, lease);
    }
    control->renewing = op->num_leases > 0;
    many_submit(op, batch);
}

/* The end of time that is left counts at once; more time than was left counts when it is on the disk. */
static void cut(struct op *op, struct durable_batch *batch, struct lease *lease)
{
    lease->orphaned = 0;
    lease->cut = op->serial;
    many_add(op, batch, lease);
    if (op->expires_ms < lease->expires_ms) {
        lease_expire_at(lease, op->expires_ms, op->expires_at_ms);
        if (lease->profile == CONTROL_FULL)
            control_changed(op->control, lease->agent->name);
    }
}

void lease_give_grace(struct lease *lease)
{
    struct control *control = lease->control;
    struct op *op = many_new(control, control->config->control.grace_ms);
    struct durable_batch *batch = durable_batch_new();

    cut(op, batch, lease);
    many_submit(op, batch);
}

void control_client_gone(struct control *control, uint64_t number, unsigned silent_ms)
{
    unsigned grace_ms = control->config->control.grace_ms;
    struct client *client = client_find(control, number);
    struct durable_batch *batch;
    struct lease *lease;
    struct op *op, *bind;

    if (client == NULL)
        return;
    op = many_new(control, silent_ms < grace_ms ? grace_ms - silent_ms : 0);
    batch = durable_batch_new();
    client->going = 1;
    while ((bind = client->binds) != NULL) {
        DL_DELETE2(client->binds, bind, prev_bind, next_bind);
        bind->client = NULL;
    }
    while ((lease = client->leases) != NULL) {
        lease_bind(lease, NULL);
        lease->orphaned = 1;
        if (lease->state == LEASE_HELD && lease->binds == 0)
            cut(op, batch, lease);
    }
    client->going = 0;
    client_settle(control, client);
    many_submit(op, batch);
}

/* ---- one that is asked for ---- */

static json_t *renewed_json(const struct lease *lease)
{
    json_t *json = must(json_object());

    json_set_text(json, "agent", lease->agent->name);
    json_set(json, "fence", json_integer((json_int_t)lease->fence));
    json_set_text(json, "profile", control_profile_names[lease->profile]);
    json_set(json, "expiresAt", time_json(lease->expires_at_ms));
    return json;
}

static void move_binding(struct op *op, struct lease *lease)
{
    lease_bind(lease, op->client);
    lease->orphaned = op->client == NULL;
    if (op->client != NULL && !timer_is_armed(&op->control->renewal))
        renew_arm(op->control);
}

/* The bind is over, one way or the other. */
static void end_bind(struct op *op, struct lease *lease)
{
    if (op->client != NULL) {
        DL_DELETE2(op->client->binds, op, prev_bind, next_bind);
        client_settle(op->control, op->client);
    }
    --lease->binds;
    if (lease->orphaned && lease->binds == 0 && lease_is_valid(lease, control_now(op->control)))
        lease_give_grace(lease);
}

static void finish_renewal(struct op *op, int rc)
{
    struct control *control = op->control;
    struct lease *lease = op->lease;
    enum control_answer answer = CONTROL_OK;
    struct durable_batch *batch;

    if (!lease_is_valid(lease, control_now(control))) {
        if (lease->agent != NULL)
            lease_check(lease);
        text_format(op->outcome.detail, sizeof(op->outcome.detail), "%s",
                    fate_of(control, lease->digest));
        answer = CONTROL_LOST;
    } else if (rc != CG_OK) {
        audit_failure(control, batch = durable_batch_new(), lease);
        submit_unwatched(control, batch);
        answer = CONTROL_STORE;
    } else {
        ++control->stats.renewed;
        apply(op, lease);
        if (op->binds)
            move_binding(op, lease);
        op->outcome.body = renewed_json(lease);
    }
    if (op->binds)
        end_bind(op, lease);
    op_tell(op, answer);
}

void renew_submit(struct op *op, struct lease *lease, struct client *client)
{
    struct durable_batch *batch = durable_batch_new();

    op->finish = finish_renewal;
    op->lease = lease_ref(lease);
    set_expiry(op, op->control->config->control.ttl_ms);
    if (client != NULL) {
        op->binds = 1;
        op->client = client;
        ++lease->binds;
        DL_APPEND2(client->binds, op, prev_bind, next_bind);
    }
    row_put_lease(batch, lease, op->expires_at_ms);
    op_submit(op, batch);
}
