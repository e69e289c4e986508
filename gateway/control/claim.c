/* Reservations by operators, and transfers that wait to be taken up. */
#include <stdlib.h>
#include <string.h>

#include "gateway/control/control_private.h"

struct claim *claim_new(enum claim_kind kind, const char *application)
{
    struct claim *claim = must(calloc(1, sizeof(*claim)));
    claim->kind = kind;
    claim->application = must(strdup(application));
    return claim;
}

void claim_free(struct claim *claim)
{
    if (claim == NULL)
        return;
    claim_free(claim->former); /* one deep: only a claim that is in force becomes a former one */
    free(claim->application);
    free(claim);
}

int claim_is_over(const struct claim *claim, int64_t now_ms)
{
    return claim->kind == CLAIM_TRANSFER && claim->state != CLAIM_WRITING &&
           now_ms >= claim->expires_ms;
}

void claim_put(struct agent *agent, struct claim *claim)
{
    struct control *control = agent->control;

    control->claims += claim != NULL;
    control->claims -= agent->claim != NULL;
    agent->claim = claim;
    claim_arm(agent);
}

void claim_arm(struct agent *agent)
{
    struct control *control = agent->control;
    const struct claim *claim = agent->claim;

    if (claim != NULL && claim->kind == CLAIM_TRANSFER && claim->state == CLAIM_HELD)
        timer_arm(control->settings.loop, &agent->lapse, claim->expires_ms - control_now(control));
    else
        timer_disarm(control->settings.loop, &agent->lapse);
}

/* ---- a transfer that nobody took up in time ---- */

static void finish_lapse(struct op *op, int rc)
{
    struct control *control = op->control;
    struct agent *agent = agent_find(control, op->agent);

    if (rc != CG_OK) {
        agent->claim->state = CLAIM_HELD;
        timer_arm(control->settings.loop, &agent->lapse, CG_CONTROL_RETRY_MS);
        return;
    }
    claim_free(agent->claim);
    claim_put(agent, NULL);
    agent_settle(agent);
    control_changed(control, op->agent);
    op_event(op, CONTROL_FULL, 0);
}

void claim_check(struct agent *agent)
{
    struct control *control = agent->control;
    struct claim *claim = agent->claim;
    struct control_ask nobody = {.agent = agent->name};
    struct durable_batch *batch;
    struct op *op;

    if (claim == NULL || claim->state != CLAIM_HELD || claim->kind != CLAIM_TRANSFER)
        return;
    if (!claim_is_over(claim, control_now(control))) {
        claim_arm(agent);
        return;
    }
    claim->state = CLAIM_ENDING;
    op = op_new(control, &nobody, finish_lapse);
    op->act = CONTROL_EXPIRED;
    op->application = must(strdup(claim->application));
    op->reason = must(strdup("the transfer was not taken up"));
    batch = durable_batch_new();
    row_delete_claim(batch, agent->name);
    audit_act(control, batch,
              &(struct act_entry){.what = "expire",
                                  .application = claim->application,
                                  .agent = agent->name,
                                  .profile = CONTROL_FULL,
                                  .reason = op->reason,
                                  .outcome = "done"});
    op_submit(op, batch);
}
