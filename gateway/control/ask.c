/* What is asked for, and whether it may be. */
#include <stdlib.h>
#include <string.h>

#include "gateway/control/control_private.h"

static const unsigned roles_of[CONTROL_PROFILES] = {
    [CONTROL_FULL] = ROLE_CONTROLLER | ROLE_SUPERVISOR,
    [CONTROL_MONITOR] =
        ROLE_VIEWER | ROLE_CONTROLLER | ROLE_SUPERVISOR | ROLE_RECORDER | ROLE_OPERATOR,
    [CONTROL_RECORDER] = ROLE_RECORDER};

#define DETAIL(op, ...) text_format((op)->outcome.detail, sizeof((op)->outcome.detail), __VA_ARGS__)

static void refuse_held(struct op *op, json_t *holder)
{
    DETAIL(op, "`%.*s` has FullControl of the agent", 64,
           json_string_value(json_object_get(holder, "application")));
    op->outcome.body = holder;
    op_refuse(op, CONTROL_HELD, "refuse");
}

void ask_refuse(struct op *op, enum control_answer answer, const char *detail)
{
    DETAIL(op, "%s", detail);
    op_refuse(op, answer, "refuse");
}

/* ---- a new instance ---- */

static json_t *granted_json(const struct op *op)
{
    const struct lease *lease = op->lease;
    json_t *json = must(json_object());

    json_set(json, "lease", json_string(op->secret));
    json_set(json, "fence", json_integer((json_int_t)lease->fence));
    json_set_text(json, "profile", control_profile_names[lease->profile]);
    json_set(json, "expiresAt", time_json(lease->expires_at_ms));
    return json;
}

/* The transfer that this grant takes up, if any, is over or waits again. */
static void settle_claim(struct op *op, struct agent *agent, int rc)
{
    if (op->claim == NULL)
        return;
    if (rc == CG_OK) {
        claim_free(agent->claim);
        claim_put(agent, NULL);
        return;
    }
    agent->claim->state = CLAIM_HELD;
    claim_arm(agent);
}

static void grant_failed(struct op *op)
{
    struct lease *lease = op->lease;

    settle_claim(op, lease->agent, CG_E_IO);
    if (lease->state == LEASE_WRITING)
        lease_drop(lease); /* else its end is under way already */
    op_tell(op, CONTROL_STORE);
}

static void finish_grant(struct op *op, int rc)
{
    struct control *control = op->control;
    struct lease *lease = op->lease;
    int is_held = lease->state == LEASE_WRITING;

    if (rc != CG_OK) {
        grant_failed(op);
        return;
    }
    settle_claim(op, lease->agent, rc);
    lease->committed = 1;
    ++control->stats.granted;
    if (is_held) {
        lease->state = LEASE_HELD;
        lease_expire_at(lease, lease->expires_ms, lease->expires_at_ms);
        op->outcome.body = granted_json(op);
    } else {
        DETAIL(op, "%s", lease->fate);
    }
    if (lease->profile == CONTROL_FULL)
        control_changed(control, op->agent);
    op_event(op, lease->profile, lease->fence);
    op_tell(op, is_held ? CONTROL_OK : CONTROL_LOST);
}

static struct durable_batch *grant_batch(struct op *op)
{
    struct durable_batch *batch = durable_batch_new();
    const struct lease *lease = op->lease;
    struct lease *other;

    if (lease->profile == CONTROL_FULL) {
        DL_FOREACH(lease->agent->leases, other)
        {
            if (other->profile != CONTROL_FULL || other->state != LEASE_ENDED)
                continue;
            other->superseded = 1;
            row_delete_lease(batch, other);
        }
        if (lease->agent->claim != NULL)
            row_delete_claim(batch, op->agent);
    }
    row_put_lease(batch, lease, lease->expires_at_ms);
    row_put_fence(batch, lease->fence);
    audit_act(op->control, batch,
              &(struct act_entry){.what = "grant",
                                  .application = op->actor,
                                  .door = op->door,
                                  .agent = op->agent,
                                  .profile = lease->profile,
                                  .fence = lease->fence,
                                  .outcome = "done"});
    return batch;
}

static void take_up(struct op *op, struct agent *agent)
{
    struct claim *claim = agent->claim;

    if (claim == NULL || claim->state != CLAIM_HELD)
        return;
    claim->state = CLAIM_ENDING;
    claim_arm(agent);
    op->claim = claim;
}

static void grant(struct op *op, struct agent *agent, enum control_profile profile,
                  const uint8_t *digest)
{
    struct control *control = op->control;
    unsigned ttl_ms = control->config->control.ttl_ms;
    struct lease *lease = lease_new(agent, digest, profile, op->actor);

    op->finish = finish_grant;
    op->act = CONTROL_GRANTED;
    op->application = must(strdup(op->actor));
    op->lease = lease_ref(lease);
    lease->fence = ++control->fence;
    lease->since_ms = control->clock.unix_ms();
    lease->expires_ms = control_now(control) + ttl_ms;
    lease->expires_at_ms = lease->since_ms + ttl_ms;
    if (profile == CONTROL_FULL) {
        agent->full = lease;
        take_up(op, agent);
    }
    op_submit(op, grant_batch(op));
}

static size_t num_instances(const struct agent *agent)
{
    const struct lease *lease;
    size_t num = 0;

    DL_FOREACH(agent->leases, lease)
    num += lease->state != LEASE_ENDED;
    return num;
}

static void attach_new(struct op *op, enum control_profile profile)
{
    struct control *control = op->control;
    struct agent *agent = agent_find(control, op->agent);
    uint8_t digest[CONTROL_DIGEST_BYTES];
    json_t *holder = NULL;

    if (agent != NULL && profile == CONTROL_FULL)
        holder = describe_holder(agent, op->actor, control_now(control));
    if (holder != NULL)
        refuse_held(op, holder);
    else if (agent != NULL && num_instances(agent) >= CG_AGENT_INSTANCES_MAX)
        ask_refuse(op, CONTROL_CONFLICT,
                   "as many instances as there may be are attached to the agent");
    else if (HASH_COUNT(control->leases) >= CG_LEASES_MAX)
        ask_refuse(op, CONTROL_CONFLICT, "there are as many leases as there may be");
    else if (secret_make(op->secret, digest) != CG_OK)
        ask_refuse(op, CONTROL_STORE, "no randomness could be had");
    else
        grant(op, agent_get(control, op->agent), profile, digest);
}

/* ---- one that is there ---- */

/* The lease that came, if it is valid and of the agent that is named, if one is. */
static struct lease *lease_of(const struct op *op, const uint8_t *digest)
{
    struct lease *lease = digest != NULL ? lease_find(op->control, digest) : NULL;

    if (lease == NULL || !lease_is_valid(lease, control_now(op->control)) ||
        (op->agent != NULL && strcmp(lease->agent->name, op->agent) != 0))
        return NULL;
    return lease;
}

static void refuse_lost(struct op *op, const uint8_t *digest, const char *what)
{
    DETAIL(op, "%s", fate_of(op->control, digest));
    if (op->agent == NULL)
        op->agent = text_keep(fate_agent(op->control, digest), CG_ID_BYTES_MAX);
    op_refuse(op, CONTROL_LOST, what);
}

static void attach_again(struct op *op, const uint8_t *digest, enum control_profile profile)
{
    struct lease *lease = lease_of(op, digest);

    if (lease == NULL) {
        refuse_lost(op, digest, "renewalFailed");
    } else if (lease->profile != profile) {
        DETAIL(op, "the lease is of profile %s", control_profile_names[lease->profile]);
        op_refuse(op, CONTROL_CONFLICT, "renewalFailed");
    } else {
        renew_submit(op, lease, NULL);
    }
}

void control_attach(struct control *control, const struct control_ask *ask,
                    enum control_profile profile)
{
    struct op *op = op_new(control, ask, NULL);

    op->profile = profile;
    if ((ask->actor.roles & roles_of[profile]) == 0)
        ask_refuse(op, CONTROL_DENIED, "the application's roles do not allow this profile");
    else if (!text_is_name(ask->agent, CG_ID_BYTES_MAX))
        ask_refuse(op, CONTROL_CONFLICT, "no agent can have this name");
    else if (ask->lease != NULL)
        attach_again(op, ask->lease, profile);
    else
        attach_new(op, profile);
}

void control_release(struct control *control, const struct control_ask *ask)
{
    struct op *op = op_new(control, ask, NULL);
    struct lease *lease = lease_of(op, ask->lease);

    if (lease == NULL) {
        refuse_lost(op, ask->lease, "refuse");
        return;
    }
    op->act = CONTROL_RELEASED;
    end_take(op, lease);
    end_submit(op);
}

static void renew(struct control *control, const struct control_ask *ask, int binds)
{
    struct op *op = op_new(control, ask, NULL);
    struct lease *lease;

    free(op->agent); /* the lease says which */
    op->agent = NULL;
    if ((lease = lease_of(op, ask->lease)) == NULL)
        refuse_lost(op, ask->lease, "renewalFailed");
    else
        renew_submit(op, lease, binds ? client_get(control, ask->client) : NULL);
}

void control_bind(struct control *control, const struct control_ask *ask)
{
    if (ask->client == 0)
        ask_refuse(op_new(control, ask, NULL), CONTROL_CONFLICT,
                   "there is no connection to bind to");
    else
        renew(control, ask, 1);
}

void control_renew(struct control *control, const struct control_ask *ask)
{
    renew(control, ask, 0);
}
