/* How leases end: at once in memory, and then on the disk, for good or not (see control_private.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/control/control_private.h"

static const char *const end_names[CONTROL_ACTS] = {[CONTROL_RELEASED] = "release",
                                                    [CONTROL_EXPIRED] = "expire",
                                                    [CONTROL_FORCED] = "force",
                                                    [CONTROL_TRANSFERRED] = "release",
                                                    [CONTROL_RESERVED] = "release"};

static void decree_fate(const struct op *op, struct lease *lease)
{
    char what[2 * CG_ID_BYTES_MAX] = "released", who[2 * CG_ID_BYTES_MAX] = "";

    if (op->act == CONTROL_EXPIRED)
        text_format(what, sizeof(what), "expired");
    else if (op->act == CONTROL_TRANSFERRED)
        text_format(what, sizeof(what), "transferred to `%.*s`", 64, op->to);
    else if (op->act == CONTROL_RESERVED)
        text_format(what, sizeof(what), "reserved for `%.*s`", 64, op->to);
    if (op->by != NULL)
        text_format(who, sizeof(who), " by an operator (application `%.*s`)", 64, op->by);
    text_format(lease->fate, sizeof(lease->fate), "%s%s%s%s", what, who,
                op->reason != NULL ? ": " : "", op->reason != NULL ? op->reason : "");
}

void end_take(struct op *op, struct lease *lease)
{
    struct agent *agent = lease->agent;

    op->lease = lease_ref(lease);
    op->event_client = lease->client != NULL ? lease->client->number : 0;
    if (op->application == NULL)
        op->application = must(strdup(lease->application));
    decree_fate(op, lease);
    timer_disarm(lease->control->settings.loop, &lease->expiry);
    if (lease->state == LEASE_WRITING)
        lease->superseded = 1; /* nobody has been told its secret */
    lease->state = LEASE_ENDED;
    if (agent->full == lease)
        agent->full = NULL;
}

static void submit(struct op *op)
{
    struct durable_batch *batch = durable_batch_new();
    const struct lease *lease = op->lease;

    row_delete_lease(batch, lease);
    audit_act(op->control, batch,
              &(struct act_entry){.what = end_names[op->act],
                                  .application = lease->application,
                                  .door = op->door,
                                  .agent = op->agent,
                                  .profile = lease->profile,
                                  .fence = lease->fence,
                                  .by = op->by,
                                  .reason = op->reason,
                                  .outcome = "done"});
    op_submit(op, batch);
}

static void count(struct control *control, enum control_act act)
{
    if (act == CONTROL_RELEASED)
        ++control->stats.released;
    else if (act == CONTROL_EXPIRED)
        ++control->stats.expired;
    else
        ++control->stats.forced;
}

void end_done(struct op *op)
{
    struct lease *lease = op->lease;

    fate_remember(op->control, lease);
    count(op->control, op->act);
    lease_drop(lease);
}

/* ---- when the disk has refused ---- */

static int can_be_held_again(const struct lease *lease, int64_t now_ms)
{
    json_t *holder;

    if (!lease->committed || lease->superseded || now_ms >= lease->expires_ms)
        return 0;
    if (lease->profile != CONTROL_FULL)
        return 1;
    holder = describe_holder(lease->agent, NULL, now_ms);
    json_decref(holder);
    return holder == NULL;
}

static void hold_again(struct lease *lease)
{
    lease->state = LEASE_HELD;
    if (lease->profile == CONTROL_FULL)
        lease->agent->full = lease;
    lease_expire_at(lease, lease->expires_ms, lease->expires_at_ms);
    if (lease->orphaned && lease->binds == 0)
        lease_give_grace(lease);
}

static void finish_end(struct op *op, int rc)
{
    enum control_profile profile = op->lease->profile;

    if (rc != CG_OK) {
        end_undo(op);
        return;
    }
    end_done(op);
    if (op->lease->committed) {
        if (profile == CONTROL_FULL)
            control_changed(op->control, op->agent);
        op_event(op, profile, op->lease->fence);
    }
    op_tell(op, CONTROL_OK);
}

void end_undo(struct op *op)
{
    struct control *control = op->control;
    struct lease *lease = op->lease;

    if (can_be_held_again(lease, control_now(control))) {
        hold_again(lease);
    } else {
        text_format(op->outcome.detail, sizeof(op->outcome.detail),
                    "the disk refused; the lease has ended all the same, and that will be written");
        op->finish = finish_end;
        op->kept = 1;
        DL_APPEND(control->limbo, op);
        if (!timer_is_armed(&control->retry))
            timer_arm(control->settings.loop, &control->retry, CG_CONTROL_RETRY_MS);
    }
    if (lease->profile == CONTROL_FULL)
        control_changed(control, op->agent);
    op_tell(op, CONTROL_STORE);
}

void end_retry(struct control *control)
{
    struct op *op, *next, *limbo = control->limbo;

    control->limbo = NULL;
    DL_FOREACH_SAFE(limbo, op, next)
    {
        DL_DELETE(limbo, op);
        submit(op);
    }
}

/* ---- ends ---- */

void end_submit(struct op *op)
{
    op->finish = finish_end;
    submit(op);
}

void end_by_itself(struct lease *lease, enum control_act act, const char *to, const char *reason)
{
    struct control_ask nobody = {.agent = lease->agent->name};
    struct op *op = op_new(lease->control, &nobody, NULL);

    op->act = act;
    op->to = to != NULL ? must(strdup(to)) : NULL;
    op->application = to != NULL ? must(strdup(to)) : NULL;
    op->reason = reason != NULL ? must(strdup(reason)) : NULL;
    end_take(op, lease);
    end_submit(op);
}

void lease_check(struct lease *lease)
{
    if (lease->state != LEASE_HELD)
        return;
    if (control_now(lease->control) >= lease->expires_ms)
        end_by_itself(lease, CONTROL_EXPIRED, NULL, NULL);
    else
        lease_expire_at(lease, lease->expires_ms, lease->expires_at_ms);
}
