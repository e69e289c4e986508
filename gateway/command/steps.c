/* Commands of more than one upstream step: done as a whole, or told how far they came. */
#include <stdio.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

static void note_step(struct execution *execution, const struct session_outcome *outcome)
{
    enum command_outcome came = outcome->rc == CG_OK ? OUTCOME_DONE
                                : outcome->unknown   ? OUTCOME_UNKNOWN
                                                     : OUTCOME_NOT_DONE;
    json_t *step =
        json_pack("{s:s, s:s, s:s}", "service", execution->op->service->name, "operation",
                  execution->op->name, "outcome", command_outcome_names[came]);

    if (outcome->fault != NULL)
        json_object_set_new(step, "fault", json_string(outcome->fault->name));
    if (execution->steps == NULL)
        execution->steps = json_array();
    json_array_append_new(execution->steps, step);
}

static void on_second(struct execution *execution, const struct session_outcome *outcome)
{
    note_step(execution, outcome);
    if (outcome->rc == CG_OK) {
        conclude(execution, 204, NULL);
        return;
    }
    if (outcome->fault != NULL)
        note_fault(execution, outcome->fault);
    conclude_problem(
        execution, PROBLEM_HALF_DONE, outcome->unknown ? OUTCOME_UNKNOWN : OUTCOME_NOT_DONE,
        "the agent is not ready; the reason code was not set for sure",
        json_pack("{s:O, s:s*}", "steps", execution->steps, "fault", execution->fault));
}

/* NULL: the one step says it all, or the site lacks the other. */
static const struct command_form *second_form(const struct execution *execution,
                                              const struct contract_operation **op)
{
    const struct command_form *form = command_second_step(execution->form);

    *op = form != NULL ? contract_find(execution->commands->settings.contract, form->service,
                                       form->operation)
                       : NULL;
    return *op != NULL ? form : NULL;
}

static void on_first(struct execution *execution, const struct session_outcome *outcome)
{
    const struct contract_operation *op;
    const struct command_form *second;
    json_t *arguments;

    note_step(execution, outcome);
    if (outcome->rc != CG_OK) {
        conclude_outcome(execution, outcome);
    } else if ((second = second_form(execution, &op)) == NULL) {
        conclude(execution, 204, NULL);
    } else {
        execution->form = second;
        if ((arguments = arguments_make(execution)) != NULL)
            execution_call(execution, op, arguments, on_second);
    }
}

void run_not_ready_with_reason(struct execution *execution)
{
    json_t *arguments;

    if (json_is_true(json_object_get(execution->command->body, "ready")))
        refuse(execution, PROBLEM_BAD_REQUEST, "a reason code goes with \"ready\": false");
    else if ((arguments = arguments_make(execution)) != NULL)
        execution_call(execution, execution->op, arguments, on_first);
}
