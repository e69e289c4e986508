/* What operators do. */
#include <stdlib.h>
#include <string.h>

#include "gateway/control/control_private.h"

/* NULL: it has been refused. */
static struct op *begin(struct control *control, const struct control_ask *ask, const char *reason)
{
    struct op *op = op_new(control, ask, NULL);

    if ((ask->actor.roles & ROLE_OPERATOR) == 0) {
        ask_refuse(op, CONTROL_DENIED, "only operators may do this");
        return NULL;
    }
    if (!text_is_name(ask->agent, CG_ID_BYTES_MAX)) {
        ask_refuse(op, CONTROL_CONFLICT, "no agent can have this name");
        return NULL;
    }
    op->by = must(strdup(op->actor));
    op->reason = text_keep(reason, CG_CONTROL_REASON_BYTES);
    if (op->reason != NULL && op->reason[0] == '\0') {
        free(op->reason);
        op->reason = NULL;
    }
    return op;
}

void control_force(struct control *control, const struct control_ask *ask, const char *reason)
{
    struct op *op = begin(control, ask, reason);
    struct agent *agent;

    if (op == NULL)
        return;
    agent = agent_find(control, op->agent);
    if (agent == NULL || agent->full == NULL) {
        ask_refuse(op, CONTROL_CONFLICT, "nobody has FullControl of the agent here");
        return;
    }
    op->act = CONTROL_FORCED;
    end_take(op, agent->full);
    end_submit(op);
}

/* ---- claims ---- */

static void finish_claim(struct op *op, int rc)
{
    struct control *control = op->control;
    struct agent *agent = agent_find(control, op->agent);
    struct claim *claim = agent->claim, *former = claim->former;
    uint64_t fence = op->lease != NULL ? op->lease->fence : 0;

    claim->former = NULL;
    if (rc != CG_OK) {
        claim_put(agent, former);
        claim_free(claim);
        if (op->lease != NULL)
            end_undo(op);
        else
            op_tell(op, CONTROL_STORE);
        agent_settle(agent);
        return;
    }
    claim_free(former);
    claim->state = CLAIM_HELD;
    claim_arm(agent);
    if (op->lease != NULL)
        end_done(op);
    control_changed(control, op->agent);
    op_event(op, CONTROL_FULL, fence);
    op_tell(op, CONTROL_OK);
}

static void audit_end(const struct op *op, struct durable_batch *batch)
{
    const struct lease *lease = op->lease;
    char why[2 * CG_ID_BYTES_MAX];

    text_format(why, sizeof(why), "%s `%s`",
                op->act == CONTROL_TRANSFERRED ? "transferred to" : "reserved for", op->to);
    audit_act(op->control, batch,
              &(struct act_entry){.what = "release",
                                  .application = lease->application,
                                  .door = op->door,
                                  .agent = op->agent,
                                  .profile = lease->profile,
                                  .fence = lease->fence,
                                  .by = op->by,
                                  .reason = why,
                                  .outcome = "done"});
}

static void claim_submit(struct op *op, struct agent *agent, struct claim *claim)
{
    struct durable_batch *batch = durable_batch_new();

    claim->former = agent->claim;
    claim_put(agent, claim);
    if (agent->full != NULL)
        end_take(op, agent->full);
    if (op->lease != NULL) {
        row_delete_lease(batch, op->lease);
        audit_end(op, batch);
    }
    row_put_claim(batch, agent, claim);
    audit_act(op->control, batch,
              &(struct act_entry){.what = op->act == CONTROL_TRANSFERRED ? "transfer" : "reserve",
                                  .application = op->to,
                                  .door = op->door,
                                  .agent = op->agent,
                                  .profile = CONTROL_FULL,
                                  .by = op->by,
                                  .reason = op->reason,
                                  .outcome = "done"});
    op->finish = finish_claim;
    op_submit(op, batch);
}

static const char *why_not(const struct control *control, const struct agent *agent,
                           const char *application)
{
    if (application == NULL || !text_is_name(application, CG_ID_BYTES_MAX))
        return "no application can have this name";
    if (agent != NULL && agent->configured != NULL)
        return "the agent is reserved by the configuration";
    if (agent != NULL && agent->claim != NULL && agent->claim->state != CLAIM_HELD)
        return "another change of the agent's control is under way";
    if ((agent == NULL || agent->claim == NULL) && control->claims >= CG_RESERVATIONS_MAX)
        return "there are as many reservations as there may be";
    return NULL;
}

/* The beginning of what keeps an agent for an application; NULL: refused already. */
static struct op *begin_claim(struct control *control, const struct control_ask *ask,
                              const char *application, const char *reason, enum claim_kind kind,
                              struct claim **claim)
{
    struct op *op = begin(control, ask, reason);
    const struct agent *agent;
    const char *why;

    if (op == NULL)
        return NULL;
    agent = agent_find(control, op->agent);
    if ((why = why_not(control, agent, application)) == NULL && kind == CLAIM_TRANSFER &&
        agent != NULL && agent->claim != NULL && agent->claim->kind == CLAIM_RESERVATION)
        why = "the agent is reserved";
    if (why != NULL) {
        ask_refuse(op, CONTROL_CONFLICT, why);
        return NULL;
    }
    op->to = must(strdup(application));
    op->outcome.body = must(json_object());
    json_set_text(op->outcome.body, "application", application);
    *claim = claim_new(kind, application);
    (*claim)->since_ms = control->clock.unix_ms();
    return op;
}

void control_transfer(struct control *control, const struct control_ask *ask,
                      const char *application, const char *reason)
{
    struct claim *claim;
    struct op *op = begin_claim(control, ask, application, reason, CLAIM_TRANSFER, &claim);

    if (op == NULL)
        return;
    op->act = CONTROL_TRANSFERRED;
    claim->expires_ms = control_now(control) + control->config->control.ttl_ms;
    claim->expires_at_ms = claim->since_ms + control->config->control.ttl_ms;
    json_set(op->outcome.body, "expiresAt", time_json(claim->expires_at_ms));
    claim_submit(op, agent_get(control, op->agent), claim);
}

void control_reserve(struct control *control, const struct control_ask *ask,
                     const char *application, const char *reason)
{
    struct claim *claim;
    struct op *op = begin_claim(control, ask, application, reason, CLAIM_RESERVATION, &claim);

    if (op == NULL)
        return;
    op->act = CONTROL_RESERVED;
    op->application = must(strdup(application));
    claim_submit(op, agent_get(control, op->agent), claim);
}

static void finish_unreserve(struct op *op, int rc)
{
    struct control *control = op->control;
    struct agent *agent = agent_find(control, op->agent);

    if (rc != CG_OK) {
        agent->claim->state = CLAIM_HELD;
        op_tell(op, CONTROL_STORE);
        return;
    }
    claim_free(agent->claim);
    claim_put(agent, NULL);
    agent_settle(agent);
    control_changed(control, op->agent);
    op_event(op, CONTROL_FULL, 0);
    op_tell(op, CONTROL_OK);
}

static const char *why_not_unreserve(const struct agent *agent)
{
    if (agent != NULL && agent->configured != NULL)
        return "the agent is reserved by the configuration";
    if (agent == NULL || agent->claim == NULL || agent->claim->kind != CLAIM_RESERVATION)
        return "the agent is not reserved";
    if (agent->claim->state != CLAIM_HELD)
        return "another change of the agent's control is under way";
    return NULL;
}

void control_unreserve(struct control *control, const struct control_ask *ask)
{
    struct op *op = begin(control, ask, NULL);
    struct durable_batch *batch;
    struct agent *agent;
    const char *why;

    if (op == NULL)
        return;
    agent = agent_find(control, op->agent);
    if ((why = why_not_unreserve(agent)) != NULL) {
        ask_refuse(op, CONTROL_CONFLICT, why);
        return;
    }
    op->act = CONTROL_UNRESERVED;
    op->application = must(strdup(agent->claim->application));
    op->finish = finish_unreserve;
    agent->claim->state = CLAIM_ENDING;
    batch = durable_batch_new();
    row_delete_claim(batch, op->agent);
    audit_act(control, batch,
              &(struct act_entry){.what = "unreserve",
                                  .application = op->application,
                                  .door = op->door,
                                  .agent = op->agent,
                                  .profile = CONTROL_PROFILES,
                                  .by = op->by,
                                  .outcome = "done"});
    op_submit(op, batch);
}
