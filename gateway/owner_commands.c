/* The owner's side of control and commands: the disk, the leases, and what they tell the model. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "gateway/model/acting.h"
#include "gateway/owner_private.h"

/* ---- messages ---- */

static void on_command(struct message *message)
{
    struct command *command = (struct command *)message;
    commands_run(command->commands, command);
}

void owner_command_send(struct owner *owner, struct command *command)
{
    command->commands = owner->commands;
    command->message.on_deliver = on_command;
    mailbox_send(&owner->loop.mailbox, &command->message);
}

struct client_gone {
    struct message message;
    struct owner *owner;
    uint64_t client;
    unsigned silent_ms;
};

static void on_client_gone(struct message *message)
{
    struct client_gone *gone = (struct client_gone *)message;
    commands_client_gone(gone->owner->commands, gone->client, gone->silent_ms);
    free(gone);
}

void owner_client_gone(struct owner *owner, uint64_t client, unsigned silent_ms)
{
    struct client_gone *gone = calloc(1, sizeof(*gone));

    if (gone == NULL)
        abort();
    gone->owner = owner;
    gone->client = client;
    gone->silent_ms = silent_ms;
    gone->message.on_deliver = on_client_gone;
    mailbox_send(&owner->loop.mailbox, &gone->message);
}

/* ---- what control tells ---- */

static void on_control_event(void *data, const struct control_event *event)
{
    static const char *const states[CONTROL_ACTS] = {
        [CONTROL_GRANTED] = "granted",         [CONTROL_RELEASED] = "released",
        [CONTROL_EXPIRED] = "expired",         [CONTROL_FORCED] = "forced",
        [CONTROL_TRANSFERRED] = "transferred", [CONTROL_RESERVED] = "reserved",
        [CONTROL_UNRESERVED] = "unreserved"};
    struct owner *owner = data;
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s?, s:s*, s:s*}", "agent", event->agent, "state",
                  states[event->act], "profile", control_profile_names[event->profile],
                  "application", event->application, "by", event->by, "reason", event->reason);

    if (json == NULL)
        return;
    if (event->to != NULL)
        json_object_set_new(json, "to", json_string(event->to));
    if (event->fence != 0)
        json_object_set_new(json, "fence", json_integer((json_int_t)event->fence));
    json_object_set_new(json, "control", control_describe(owner->control, event->agent));
    model_notice_control(owner->model, event->agent, json);
}

static void on_control_change(void *data, const char *agent)
{
    model_control_changed(((struct owner *)data)->model, agent);
}

static json_t *describe(void *data, const char *agent)
{
    return control_describe(((struct owner *)data)->control, agent);
}

static void on_model_change(void *data)
{
    commands_on_change(((struct owner *)data)->commands);
}

/* ---- beginning ---- */

int owner_make_commands(struct owner *owner, char *error, size_t error_size)
{
    struct durable_settings durable = {owner->config->control.max_audit_entries};
    struct control_settings control = {.loop = &owner->loop,
                                       .config = owner->config,
                                       .on_event = on_control_event,
                                       .on_change = on_control_change,
                                       .data = owner};
    struct commands_settings commands = {.loop = &owner->loop,
                                         .config = owner->config,
                                         .contract = owner->contract,
                                         .model = owner->model,
                                         .sessions = owner->sessions};
    int rc = durable_start(&owner->durable, owner->store, &durable, error, error_size);

    if (rc != CG_OK)
        return rc;
    control.durable = commands.durable = owner->durable;
    if ((rc = control_new(&owner->control, &control)) != CG_OK) {
        snprintf(error, error_size, "control: %s", cg_error_name(rc));
        return rc;
    }
    commands.control = owner->control;
    model_set_controller(owner->model, describe, owner);
    if ((rc = commands_new(&owner->commands, &commands)) != CG_OK) {
        snprintf(error, error_size, "commands: %s", cg_error_name(rc));
        return rc;
    }
    model_set_on_change(owner->model, on_model_change, owner);
    return CG_OK;
}

/*
 * Commands are waited for up to a time, as some wait for the contact centre. Jobs wait for the disk alone, and what it answers makes them
 * write again, which they cannot when it has stopped.
 */
#define END_TIMEOUT_MS 5000
static void await_answers(struct owner *owner)
{
    int64_t end_ms = clock_monotonic_ms() + END_TIMEOUT_MS;
    struct commands_stats stats;

    for (;;) {
        while (mailbox_deliver(&owner->loop.mailbox) > 0)
            ;
        commands_get_stats(owner->commands, &stats);
        if ((stats.in_progress == 0 || clock_monotonic_ms() > end_ms) &&
            !jobs_is_writing(owner->jobs))
            return;
        usleep(1000); /* the disk is at it; nobody else needs this thread any more */
    }
}

void owner_end_commands(struct owner *owner)
{
    if (owner->commands != NULL)
        await_answers(owner);
    control_free(&owner->control);
    if (owner->durable != NULL)
        durable_stop(&owner->durable);
    while (mailbox_deliver(&owner->loop.mailbox) > 0)
        ;
    commands_free(&owner->commands);
}

void owner_configure_commands(struct owner *owner, struct config *config)
{
    control_configure(owner->control, config);
    commands_configure(owner->commands, config);
}

#define I(value) ((json_int_t)(value))
void owner_describe_commands(struct owner *owner, json_t *metrics)
{
    struct commands_stats c;
    struct control_stats l;
    struct durable_stats d;
    json_t *more;

    commands_get_stats(owner->commands, &c);
    control_get_stats(owner->control, &l);
    durable_get_stats(owner->durable, &d);
    more = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I, s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I, "
                     "s:I,s:I,s:I,s:I}",
                     "commands_total", I(c.commands), "commands_done_total", I(c.done),
                     "commands_not_done_total", I(c.not_done), "commands_unknown_total",
                     I(c.unknown), "commands_refused_total", I(c.refused),
                     "commands_replayed_total", I(c.replayed), "command_calls_total",
                     I(c.upstream_calls), "commands_in_progress", I(c.in_progress), //
                     "control_grants_total", I(l.granted), "control_renewals_total", I(l.renewed),
                     "control_releases_total", I(l.released), "control_expiries_total",
                     I(l.expired), "control_forced_total", I(l.forced), "control_refusals_total",
                     I(l.refused), "control_leases", I(l.leases), "control_bound_leases",
                     I(l.bound), //
                     "durable_commits_total", I(d.commits), "durable_batches_total", I(d.batches),
                     "durable_failures_total", I(d.failures), "audit_entries", I(d.audit_entries));
    json_object_update(metrics, more);
    json_decref(more);
}
#undef I

struct control *owner_control(struct owner *owner)
{
    return owner->control;
}

struct durable *owner_durable(struct owner *owner)
{
    return owner->durable;
}
