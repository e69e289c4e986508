#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"
#include "gateway/rest/problem.h"

struct command *command_new(void)
{
    struct command *command = calloc(1, sizeof(*command));
    if (command == NULL)
        abort();
    return command;
}

void command_free(struct command **command)
{
    if (*command != NULL) {
        json_decref((*command)->body);
        json_decref((*command)->answer);
        policy_unref(&(*command)->policy);
    }
    free(*command);
    *command = NULL;
}

int commands_new(struct commands **out, const struct commands_settings *settings)
{
    if ((*out = calloc(1, sizeof(**out))) == NULL)
        return CG_E_NOMEM;
    (*out)->settings = *settings;
    return CG_OK;
}

void commands_free(struct commands **commands)
{
    free(*commands);
    *commands = NULL;
}

void commands_run(struct commands *commands, struct command *command)
{
    command->commands = commands;
    command->answer = problem_json(PROBLEM_NOT_IMPLEMENTED, NULL);
    command->status = problem_rows[PROBLEM_NOT_IMPLEMENTED].status;
    command->is_problem = 1;
    command->message.on_deliver = command->on_reply;
    mailbox_send(command->reply_to, &command->message);
}

void commands_client_gone(struct commands *commands, uint64_t client)
{
    (void)commands, (void)client;
}

#define NOT_YET(name)                                                                              \
    void name(struct execution *execution)                                                         \
    {                                                                                              \
        (void)execution;                                                                           \
    }
NOT_YET(run_not_ready_with_reason)
NOT_YET(run_attach)
NOT_YET(run_release)
NOT_YET(run_transfer_control)
NOT_YET(run_reserve)
NOT_YET(run_unreserve)
NOT_YET(run_renew)
NOT_YET(run_bind)
NOT_YET(run_set_data)
NOT_YET(run_append_data)
NOT_YET(run_delete_data)
NOT_YET(run_set_intrinsics)
NOT_YET(run_merge_intrinsics)
NOT_YET(run_delete_intrinsics)
NOT_YET(run_append_uui)
