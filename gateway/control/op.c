/* What is on its way to the disk, and how whoever asked is told. */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "gateway/control/control_private.h"

static char *copy(const char *text)
{
    return text != NULL ? must(strdup(text)) : NULL;
}

struct op *op_new(struct control *control, const struct control_ask *ask,
                  void (*finish)(struct op *op, int rc))
{
    struct op *op = must(calloc(1, sizeof(*op)));

    op->control = control;
    op->profile = CONTROL_PROFILES;
    op->finish = finish;
    op->done = ask->done;
    op->data = ask->data;
    op->agent = text_keep(ask->agent, CG_ID_BYTES_MAX);
    op->actor = text_keep(ask->actor.application, CG_ID_BYTES_MAX);
    op->door = copy(ask->actor.door);
    return op;
}

void op_free(struct op *op)
{
    size_t i;

    json_decref(op->outcome.body);
    free(op->agent);
    free(op->actor);
    free(op->door);
    free(op->application);
    free(op->to);
    free(op->by);
    free(op->reason);
    lease_unref(&op->lease);
    for (i = 0; i < op->num_leases; ++i)
        lease_unref(&op->leases[i]);
    free(op->leases);
    OPENSSL_cleanse(op->secret, sizeof(op->secret));
    free(op);
}

static void on_written(struct message *message)
{
    struct durable_done *done = ENCLOSING(struct durable_done, message, message);
    struct op *op = done->data;
    int rc = done->rc;

    free(done);
    if (op->control != NULL) {
        DL_DELETE(op->control->ops, op);
        op->kept = 0;
        op->finish(op, rc);
        if (op->kept)
            return;
    }
    op_free(op);
}

void op_submit(struct op *op, struct durable_batch *batch)
{
    struct control *control = op->control;

    DL_APPEND(control->ops, op);
    durable_submit(control->settings.durable, batch, &control->settings.loop->mailbox, on_written,
                   op);
}

void op_tell(struct op *op, enum control_answer answer)
{
    control_done done = op->done;

    op->done = NULL;
    op->outcome.answer = answer;
    if (answer != CONTROL_OK && answer != CONTROL_HELD) {
        json_decref(op->outcome.body);
        op->outcome.body = NULL;
    }
    if (answer == CONTROL_STORE && op->outcome.detail[0] == '\0')
        text_format(op->outcome.detail, sizeof(op->outcome.detail),
                    "the disk refused, and nothing changed");
    if (done != NULL)
        done(op->data, &op->outcome);
}

void op_event(const struct op *op, enum control_profile profile, uint64_t fence)
{
    const struct control_settings *settings = &op->control->settings;
    struct control_event event = {.act = op->act,
                                  .agent = op->agent,
                                  .profile = profile,
                                  .application = op->application,
                                  .by = op->by,
                                  .to = op->act == CONTROL_TRANSFERRED ? op->to : NULL,
                                  .reason = op->reason,
                                  .fence = fence,
                                  .client = op->event_client};

    if (settings->on_event != NULL)
        settings->on_event(settings->data, &event);
}

void control_changed(struct control *control, const char *agent)
{
    if (control->settings.on_change != NULL)
        control->settings.on_change(control->settings.data, agent);
}

static void finish_refused(struct op *op, int rc)
{
    (void)rc; /* it is refused in any case */
    op_tell(op, op->outcome.answer);
}

void op_refuse(struct op *op, enum control_answer answer, const char *what)
{
    struct durable_batch *batch = durable_batch_new();

    ++op->control->stats.refused;
    op->outcome.answer = answer;
    op->finish = finish_refused;
    audit_act(op->control, batch,
              &(struct act_entry){.what = what,
                                  .application = op->actor,
                                  .door = op->door,
                                  .agent = op->agent,
                                  .profile = op->profile,
                                  .reason = op->outcome.detail,
                                  .outcome = "notDone"});
    op_submit(op, batch);
}
