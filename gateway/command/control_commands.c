/* Commands on the lease itself: nothing goes upstream. */
#include <string.h>

#include <openssl/sha.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

static void on_done(void *data, const struct control_outcome *outcome)
{
    static const enum problem problems[] = {[CONTROL_HELD] = PROBLEM_CONTROL_HELD,
                                            [CONTROL_LOST] = PROBLEM_CONTROL_LOST,
                                            [CONTROL_DENIED] = PROBLEM_FORBIDDEN,
                                            [CONTROL_CONFLICT] = PROBLEM_CONFLICT,
                                            [CONTROL_STORE] = PROBLEM_STORE};
    struct execution *execution = data;
    json_t *members = NULL;

    execution->called = 1; /* control has audited it */
    if (outcome->answer == CONTROL_OK) {
        execution->command->secret_answer = 1;
        conclude(execution, 200, json_deep_copy(outcome->body));
        return;
    }
    if (execution->scene.agent[0] != '\0')
        members = json_pack("{s:s}", "agent", execution->scene.agent);
    if (outcome->answer == CONTROL_HELD)
        json_object_set((members != NULL ? members : (members = json_object())), "holder",
                        outcome->body != NULL ? outcome->body : json_null());
    refuse_with(execution, problems[outcome->answer], outcome->detail, members);
}

static struct control_ask ask_of(struct execution *execution)
{
    const struct command *command = execution->command;
    return (struct control_ask){
        .agent = execution->scene.agent,
        .actor = {command->access->application, command->access->roles, command->door},
        .lease = own_lease(execution),
        .client = command->client,
        .done = on_done,
        .data = execution};
}

static struct control *control_of(struct execution *execution)
{
    return execution->commands->settings.control;
}

/* The lease is the connection's from the start; if that cannot be written down, the lease stands all the same. */
static void on_bound(void *data, const struct control_outcome *outcome)
{
    struct execution *execution = data;

    (void)outcome;
    execution->command->secret_answer = 1;
    conclude(execution, 200, json_incref(execution->value));
}

static void on_attached(void *data, const struct control_outcome *outcome)
{
    struct execution *execution = data;
    struct control_ask ask = ask_of(execution);
    const char *lease = json_string_value(json_object_get(outcome->body, "lease"));
    uint8_t digest[CONTROL_DIGEST_BYTES];

    if (outcome->answer != CONTROL_OK || lease == NULL) {
        on_done(data, outcome);
        return;
    }
    execution->called = 1;
    execution->value = json_incref(outcome->body);
    SHA256((const unsigned char *)lease, strlen(lease), digest);
    ask.lease = digest;
    ask.done = on_bound;
    control_bind(control_of(execution), &ask);
}

void run_attach(struct execution *execution)
{
    struct control_ask ask = ask_of(execution);

    if (execution->command->client != 0)
        ask.done = on_attached;
    control_attach(control_of(execution), &ask,
                   control_profile_by_name(body_text(execution, "profile")));
}

void run_release(struct execution *execution)
{
    struct control_ask ask = ask_of(execution);

    if (!execution->command->force)
        control_release(control_of(execution), &ask);
    else if (execution->command->access->roles & ROLE_OPERATOR)
        control_force(control_of(execution), &ask, body_text(execution, "reason"));
    else
        refuse(execution, PROBLEM_FORBIDDEN, "only an operator can force it");
}

void run_transfer_control(struct execution *execution)
{
    struct control_ask ask = ask_of(execution);
    control_transfer(control_of(execution), &ask, body_text(execution, "application"),
                     body_text(execution, "reason"));
}

void run_reserve(struct execution *execution)
{
    struct control_ask ask = ask_of(execution);
    control_reserve(control_of(execution), &ask, body_text(execution, "application"),
                    body_text(execution, "reason"));
}

void run_unreserve(struct execution *execution)
{
    struct control_ask ask = ask_of(execution);
    control_unreserve(control_of(execution), &ask);
}

void run_renew(struct execution *execution)
{
    struct control_ask ask = ask_of(execution);
    control_renew(control_of(execution), &ask);
}

void run_bind(struct execution *execution)
{
    struct control_ask ask = ask_of(execution);
    control_bind(control_of(execution), &ask);
}
