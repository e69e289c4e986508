/*
 * Reading operations of the catalogue. What one names must be the user's to see, as everywhere: what is not, or is not there, is answered
 * here, and the contact centre does not hear of it. Whether it is may have to be read first.
 */
#include <stdlib.h>

#include "cctgate/command.h"
#include "cctgate/error.h"
#include "gateway/model/acting.h"
#include "gateway/owner_private.h"

void owner_call_free(struct owner_call **call)
{
    if (*call != NULL) {
        json_decref((*call)->arguments);
        json_decref((*call)->result);
        json_decref((*call)->read);
        fetch_outcome_unref(&(*call)->outcome);
    }
    free(*call);
    *call = NULL;
}

static void answer(struct owner_call *call)
{
    call->message.on_deliver = call->on_reply;
    mailbox_send(call->reply_to, &call->message);
}

static void on_called(void *data, const struct session_outcome *outcome)
{
    struct owner_call *call = data;

    call->outcome = model_outcome(outcome);
    call->result = outcome->rc == CG_OK ? json_incref(outcome->result) : NULL;
    answer(call);
}

static void fail(struct owner_call *call, int rc)
{
    struct session_outcome none = {.rc = rc, .op = call->op};
    on_called(call, &none);
}

static void ask(struct owner_call *call)
{
    struct session *session = sessions_find(call->owner->sessions, call->user);
    struct session_outcome recalled = {.rc = CG_OK, .op = call->op};

    if (!call->anew && (recalled.result = model_recall(call->owner->model, call->user, call->op,
                                                       call->arguments)) != NULL) {
        call->recalled = 1;
        on_called(call, &recalled);
        json_decref(recalled.result);
    } else if (session == NULL) {
        fail(call, CG_E_SESSION);
    } else {
        session_call(session, call->op, call->arguments, 0, call->traceparent, on_called, call);
    }
}

static void look(struct owner_call *call);

static void on_read(struct fetch_waiter *waiter, struct fetch_outcome *outcome)
{
    struct owner_call *call =
        (struct owner_call *)((char *)waiter - offsetof(struct owner_call, waiter));

    if (outcome->rc == CG_OK || outcome->rc == CG_E_NOTFOUND) {
        look(call);
        return;
    }
    call->outcome = fetch_outcome_ref(outcome);
    answer(call);
}

static void look(struct owner_call *call)
{
    struct model *model = call->owner->model;
    struct model_wanted wanted;
    int rc;

    if (sessions_find(call->owner->sessions, call->user) == NULL) {
        fail(call, CG_E_SESSION);
        return;
    }
    rc = commands_look(call->owner->commands,
                       &(struct command_look){call->user, call->op, call->arguments, call->read},
                       &wanted);
    if (rc == CG_E_BUSY) {
        wanted.traceparent = call->traceparent;
        call->waiter.on_done = on_read;
        model_fetch(model, &wanted, &call->waiter);
    } else if (rc == CG_OK) {
        ask(call);
    } else {
        fail(call, rc);
    }
}

static void on_call(struct message *message)
{
    struct owner_call *call = (struct owner_call *)message;

    if ((call->read = json_object()) == NULL)
        abort();
    look(call);
}

void owner_call_send(struct owner *owner, struct owner_call *call)
{
    call->owner = owner;
    call->message.on_deliver = on_call;
    mailbox_send(&owner->loop.mailbox, &call->message);
}
