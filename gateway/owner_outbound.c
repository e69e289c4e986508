/* The owner's side of the Outbound campaigns. */
#include "cctgate/error.h"
#include "gateway/outbound/ask.h"
#include "gateway/owner_private.h"

int owner_make_outbound(struct owner *owner, char *error, size_t error_size)
{
    struct outbound_settings settings = {.loop = &owner->loop,
                                         .config = owner->config,
                                         .contract = owner->contract,
                                         .durable = owner->durable,
                                         .sessions = owner->sessions};
    return outbound_new(&owner->outbound, &settings, error, error_size);
}

static void on_ask(struct message *message)
{
    struct outbound_ask *ask = (struct outbound_ask *)message;
    ask->jobs = ask->owner->jobs;
    ask->commands = ask->owner->commands;
    outbound_run(ask->owner->outbound, ask);
}

void owner_outbound_send(struct owner *owner, struct outbound_ask *ask)
{
    ask->owner = owner;
    ask->message.on_deliver = on_ask;
    mailbox_send(&owner->loop.mailbox, &ask->message);
}

#define I(value) ((json_int_t)(value))
void owner_describe_outbound(struct owner *owner, json_t *metrics)
{
    struct outbound_stats s;
    json_t *own;

    if (owner->outbound == NULL)
        return;
    outbound_get_stats(owner->outbound, &s);
    own = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "outbound_calls_total", I(s.calls),
                    "outbound_failures_total", I(s.failures), "outbound_logins_total", I(s.logins),
                    "outbound_login_failures_total", I(s.login_failures),
                    "outbound_takeovers_total", I(s.takeovers), "outbound_key_renewals_total",
                    I(s.renewals), "outbound_turns_total", I(s.turns), "outbound_turns_waiting",
                    I(s.turns_waiting), "outbound_logged_in", I(s.logged_in));
    json_object_update(metrics, own);
    json_decref(own);
}
#undef I
