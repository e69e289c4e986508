/* A reading operation of the catalogue, answered from what events keep up to date, where that is the same to the letter. */
#include "gateway/model/acting.h"

#include <string.h>

static const struct plan_step *step_of(const struct contract_operation *op)
{
    size_t i;
    for (i = 0; i < plan_num_steps; ++i)
        if (plan_steps[i].argument != NULL && strcmp(plan_steps[i].operation, op->name) == 0 &&
            strcmp(plan_steps[i].service, op->service->name) == 0)
            return &plan_steps[i];
    return NULL;
}

/*
 * Values that events tell in the form in which they are read: truth values, texts, and the rights of a place, which are the same for all
 * whose it is. States, lists and handles come in other forms; rights in a call depend on who asks.
 */
static int is_same_form(const struct node *node, const struct plan_step *step, const json_t *value)
{
    if (step->child != ENTITY_NONE || (!is_place(node) && is_rights(step->field)))
        return 0;
    return json_is_boolean(value) || (json_is_string(value) && strcmp(step->field, "state") != 0) ||
           is_rights(step->field);
}

json_t *model_recall(struct model *model, uint32_t user, const struct contract_operation *op,
                     const json_t *arguments)
{
    const struct plan_step *step = step_of(op);
    const struct node *node;
    json_t *handle, *value;

    if (step == NULL || json_object_size(arguments) != 1 ||
        (handle = json_object_get(arguments, step->argument)) == NULL ||
        (node = model_find(model, step->on, handle_id(step->on, handle))) == NULL)
        return NULL;
    value = json_object_get(node->facts, step->field);
    if (!node_has_user(node, user) || !model_fact_is_live(model, node, step->field) ||
        !is_same_form(node, step, value))
        return NULL;
    return json_pack("{s:o}", step->result, json_deep_copy(value));
}
