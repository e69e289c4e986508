/* An operation's arguments, from a form's list of member=source and what was resolved. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

const char *body_text(const struct execution *execution, const char *name)
{
    const char *text = json_string_value(json_object_get(execution->command->body, name));
    return text != NULL && *text != '\0' ? text : NULL;
}

const struct command_form *form_choose(const struct commands *commands,
                                       const struct command_row *row,
                                       const struct contract_operation **op)
{
    size_t i;

    *op = NULL;
    for (i = 0; i < COMMAND_FORMS && row->forms[i].service != NULL; ++i)
        if ((*op = contract_find(commands->settings.contract, row->forms[i].service,
                                 row->forms[i].operation)) != NULL)
            return &row->forms[i];
    return NULL;
}

/* ---- sources: a new reference; NULL: refused already ---- */

static json_t *missing(struct execution *execution, const char *what)
{
    refuse(execution, PROBLEM_CONFLICT, "the command's %s is not known", what);
    return NULL;
}

static json_t *resolved(struct execution *execution, const char *name)
{
    const struct node *node = scene_node(execution, entity_named(name, strlen(name)));

    if (node != NULL && node->handle != NULL)
        return json_incref(node->handle);
    return missing(execution, name);
}

struct presence {
    const char *agent;
    int seen;
};

static void on_agent(void *data, const char *agent)
{
    struct presence *presence = data;
    presence->seen |= agent != NULL && strcmp(agent, presence->agent) == 0;
}

/* As far as the call's legs are known. */
static int is_in_call(const struct execution *execution, const struct node *contact)
{
    struct presence presence = {execution->scene.agent, 0};

    if (presence.agent[0] == '\0' ||
        json_object_size(json_object_get(contact->facts, "connections")) == 0)
        return 1;
    foreach_agent_of_call(model_of(execution), contact, on_agent, &presence);
    return presence.seen;
}

/* An object of the model that the body names, and that the token may see. */
static json_t *named(struct execution *execution, const char *member, enum entity kind)
{
    const char *id = body_text(execution, member);
    struct model *model = model_of(execution);
    const struct node *node = model_find(model, kind, id), *place = node;

    if (kind == ENTITY_TERMINAL_CONNECTION && node != NULL)
        place = contact_of(model, node);
    if (node == NULL || node->handle == NULL || place == NULL || !scene_sees(execution, place)) {
        refuse(execution, PROBLEM_NOT_FOUND, "%s", "");
        return NULL;
    }
    if (kind == ENTITY_CONTACT && !is_in_call(execution, node)) {
        refuse(execution, PROBLEM_CONFLICT, "whoever acts is not in the call that \"%s\" names",
               member);
        return NULL;
    }
    if (kind == ENTITY_CONTACT)
        snprintf(execution->scene.consult, sizeof(execution->scene.consult), "%s", id);
    return json_incref(node->handle);
}

/* One that we do not know is outside; it is written like one that we do. */
static json_t *address_named(struct execution *execution, const char *member)
{
    struct model *model = model_of(execution);
    const char *name = body_text(execution, member);
    const struct node *node = model_find(model, ENTITY_ADDRESS, name), *like;
    json_t *handle;

    if (node != NULL && node->handle != NULL)
        return json_incref(node->handle);
    like = scene_node(execution, ENTITY_ADDRESS);
    if (like == NULL)
        like = scene_node(execution, ENTITY_TERMINAL);
    if (like == NULL || like->handle == NULL)
        return missing(execution, "address");
    handle = json_object();
    json_object_set_new(handle, "addressName", json_string(name));
    json_object_set_new(handle, "addressType", json_string("OUT_OF_PROVIDER"));
    json_object_set(handle, "provider", json_object_get(like->handle, "provider"));
    json_object_set(handle, "status", json_object_get(like->handle, "status"));
    return handle;
}

static json_t *address_of_terminal(struct execution *execution, const char *member)
{
    struct model *model = model_of(execution);
    const struct node *terminal = model_find(model, ENTITY_TERMINAL, body_text(execution, member));
    struct node *address;

    if (terminal == NULL || !scene_sees(execution, terminal))
        return missing(execution, "other party's terminal");
    GRAPH_FOREACH(&model->graph, terminal, "addresses", ENTITY_ADDRESS, address)
    {
        if (address->handle != NULL)
            return json_incref(address->handle);
    }
    return missing(execution, "other party's address");
}

static const char *terminal_of_workstation(const struct execution *execution)
{
    const struct config *config = execution->commands->settings.config;
    const char *workstation = body_text(execution, "workstation");
    size_t i;

    for (i = 0; workstation != NULL && i < config->num_workstations; ++i)
        if (strcmp(config->workstations[i].name, workstation) == 0)
            return config->workstations[i].terminal;
    return NULL;
}

static json_t *terminal_named(struct execution *execution, const char *member)
{
    const char *name = body_text(execution, member);
    const struct node *node;

    if (name == NULL)
        name = terminal_of_workstation(execution);
    node = model_find(model_of(execution), ENTITY_TERMINAL, name);
    if (node == NULL || node->handle == NULL || !scene_sees(execution, node)) {
        if (body_text(execution, member) != NULL)
            refuse(execution, PROBLEM_NOT_FOUND, "%s", "");
        else
            refuse(execution, PROBLEM_CONFLICT,
                   "the workstation has no terminal that the token may use");
        return NULL;
    }
    snprintf(execution->scene.desk, sizeof(execution->scene.desk), "%s", name);
    return json_incref(node->handle);
}

static json_t *value_of(struct execution *execution, const char *name)
{
    char member[40];
    const char *otherwise = strchr(name, '?');
    size_t length = strcspn(name, "?");
    json_t *value;

    snprintf(member, sizeof(member), "%.*s", (int)length, name);
    if ((value = json_object_get(execution->command->body, member)) != NULL)
        return json_incref(value);
    if (otherwise == NULL)
        return missing(execution, member);
    ++otherwise;
    return *otherwise >= '0' && *otherwise <= '9' ? json_integer(strtol(otherwise, NULL, 10))
                                                  : json_string(otherwise);
}

static json_t *constant(const char *text)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return json_boolean(*text == 't');
    return json_integer(strtol(text, NULL, 10));
}

static json_t *source(struct execution *execution, const char *text)
{
    builder make;

    switch (*text) {
    case '@':
        return resolved(execution, text + 1);
    case '$':
        return value_of(execution, text + 1);
    case '>':
        return address_named(execution, text + 1);
    case '*':
        return address_of_terminal(execution, text + 1);
    case '^':
        return terminal_named(execution, text + 1);
    case '&':
        return named(execution, text + 1, ENTITY_AGENT);
    case '~':
        return named(execution, text + 1, ENTITY_CONTACT);
    case '+':
        return named(execution, text + 1, ENTITY_TERMINAL_CONNECTION);
    case '#':
        return constant(text + 1);
    case '%':
        if ((make = builder_find(text + 1, strlen(text + 1))) != NULL)
            return make(execution);
        return missing(execution, text + 1);
    default: /* ' */
        return json_string(text + 1);
    }
}

json_t *arguments_make(struct execution *execution)
{
    const char *at = execution->form->arguments;
    json_t *arguments = json_object(), *value;

    while (*at != '\0') {
        char member[40], text[64];
        size_t length = strcspn(at, "=");
        snprintf(member, sizeof(member), "%.*s", (int)length, at);
        at += length + 1;
        length = strcspn(at, " ");
        snprintf(text, sizeof(text), "%.*s", (int)length, at);
        at += length + strspn(at + length, " ");
        if ((value = source(execution, text)) == NULL) {
            json_decref(arguments);
            return NULL;
        }
        json_object_set_new(arguments, member, value);
    }
    return arguments;
}
