#include "gateway/contract/wsdl_operation.h"

#include <string.h>

#include "cctgate/error.h"
#include "cctgate/xml.h"

/*
 * The one place where the domain is named: what has this type carries the upstream session (DOMAIN
 * 2.2).
 */
#define TOKEN_TYPE_NAMESPACE "http://www.nortel.com/soa/oi/cct/types"
#define TOKEN_TYPE_NAME      "ssoToken"

static xmlNodePtr wsdl_child(xmlNodePtr parent, const char *name)
{
    xmlNodePtr node = parent == NULL ? NULL : xml_first_element(parent);
    while (node != NULL && !xml_is(node, WSDL_NAMESPACE, name))
        node = xml_next_element(node);
    return node;
}

/* Is this part of the message the body? Without a list of parts every part is. */
static int is_listed(const char *parts, const char *name)
{
    size_t length = name == NULL ? 0 : strlen(name);
    if (parts == NULL)
        return 1;
    for (const char *p = parts; length > 0 && (p = strstr(p, name)) != NULL; p += length) {
        if ((p == parts || p[-1] == ' ') && (p[length] == '\0' || p[length] == ' '))
            return 1;
    }
    return 0;
}

static int check_body(struct wsdl *wsdl, const struct contract_file *file, xmlNodePtr direction,
                      char **parts)
{
    enum soap_version version;
    char *use;
    *parts = NULL;
    xmlNodePtr body = direction == NULL ? NULL : wsdl_soap_child(direction, "body", &version);
    if (body == NULL)
        return CG_OK;
    int rc = loader_attribute(wsdl->loader, body, "use", &use);
    if (rc == CG_OK && use != NULL && strcmp(use, "literal") != 0)
        return loader_fail(wsdl->loader, CG_E_INVALID, file, body,
                           "construct \"use=%.20s\" is not supported", use);
    return rc == CG_OK ? loader_attribute(wsdl->loader, body, "parts", parts) : rc;
}

/* The element of a message's only body part; NULL when the message has no part. */
static int part_element(struct wsdl *wsdl, const struct wsdl_component *message, const char *parts,
                        struct schema_element **element)
{
    char *name, *qname;
    int rc = CG_OK;
    *element = NULL;
    xmlNodePtr node = xml_first_element(message->node);
    for (; rc == CG_OK && node != NULL; node = xml_next_element(node)) {
        if (!xml_is(node, WSDL_NAMESPACE, "part"))
            continue;
        rc = loader_attribute(wsdl->loader, node, "name", &name);
        if (rc != CG_OK || !is_listed(parts, name))
            continue;
        if (*element != NULL)
            return loader_fail(wsdl->loader, CG_E_INVALID, message->file, node,
                               "a message with several body parts");
        rc = loader_attribute(wsdl->loader, node, "element", &qname);
        if (rc == CG_OK && qname == NULL)
            return loader_fail(wsdl->loader, CG_E_INVALID, message->file, node,
                               "construct \"part\" without an element is not supported");
        if (rc == CG_OK)
            rc = schema_set_element(&wsdl->set, message->file, node, qname, element);
    }
    return rc;
}

/* `direction` is wsdl:input, wsdl:output or wsdl:fault of a port type's operation. */
static int message_element(struct wsdl *wsdl, const struct contract_file *file,
                           xmlNodePtr direction, const char *parts, struct schema_element **element)
{
    struct wsdl_component message;
    int rc = wsdl_find(wsdl, file, direction, "message", "message", &message);
    return rc == CG_OK ? part_element(wsdl, &message, parts, element) : rc;
}

static int read_faults(struct wsdl *wsdl, const struct contract_file *file, xmlNodePtr node,
                       struct contract_operation *operation)
{
    struct list elements = {0};
    struct schema_element *element;
    int rc = CG_OK;
    for (node = xml_first_element(node); rc == CG_OK && node != NULL;
         node = xml_next_element(node)) {
        if (!xml_is(node, WSDL_NAMESPACE, "fault"))
            continue;
        rc = message_element(wsdl, file, node, NULL, &element);
        if (rc == CG_OK && element != NULL &&
            list_push(wsdl->loader->arena, &elements, element) != CG_OK)
            rc = loader_nomem(wsdl->loader);
    }
    struct contract_fault *faults =
        arena_array(wsdl->loader->arena, elements.length, sizeof(*faults));
    if (rc != CG_OK || faults == NULL)
        return rc != CG_OK ? rc : loader_nomem(wsdl->loader);
    for (size_t i = 0; i < elements.length; i++) {
        element = elements.items[i];
        faults[i] = (struct contract_fault){element->name, element};
    }
    operation->faults = faults;
    operation->num_faults = elements.length;
    return CG_OK;
}

static int read_messages(struct wsdl *wsdl, const struct wsdl_component *port_type, xmlNodePtr node,
                         const struct wsdl_component *bound, struct contract_operation *operation)
{
    struct schema_element *input = NULL, *output = NULL;
    char *parts;
    xmlNodePtr in = wsdl_child(node, "input"), out = wsdl_child(node, "output");
    if (in == NULL)
        return loader_fail(wsdl->loader, CG_E_INVALID, port_type->file, node,
                           "an operation without input");
    int rc = check_body(wsdl, bound->file, wsdl_child(bound->node, "input"), &parts);
    if (rc == CG_OK)
        rc = message_element(wsdl, port_type->file, in, parts, &input);
    if (rc == CG_OK && input == NULL)
        return loader_fail(wsdl->loader, CG_E_INVALID, port_type->file, in,
                           "an input message without element");
    if (rc == CG_OK && out != NULL) {
        rc = check_body(wsdl, bound->file, wsdl_child(bound->node, "output"), &parts);
        if (rc == CG_OK)
            rc = message_element(wsdl, port_type->file, out, parts, &output);
    }
    if (rc != CG_OK)
        return rc;
    operation->input = input;
    operation->output = output;
    operation->one_way = out == NULL;
    operation->wrapped = strcmp(input->name, operation->name) == 0;
    return read_faults(wsdl, port_type->file, node, operation);
}

static int read_documentation(struct wsdl *wsdl, xmlNodePtr node,
                              struct contract_operation *operation)
{
    xmlNodePtr documentation = wsdl_child(node, "documentation");
    if (documentation == NULL)
        return CG_OK;
    xmlChar *text = xmlNodeGetContent(documentation);
    operation->documentation =
        text == NULL ? NULL : arena_strdup(wsdl->loader->arena, (const char *)text);
    xmlFree(text);
    return operation->documentation == NULL ? loader_nomem(wsdl->loader) : CG_OK;
}

static int read_action(struct wsdl *wsdl, const struct wsdl_component *bound,
                       struct contract_operation *operation)
{
    enum soap_version version;
    char *action = NULL, *style = NULL;
    int rc = CG_OK;
    xmlNodePtr soap = wsdl_soap_child(bound->node, "operation", &version);
    if (soap != NULL)
        rc = loader_attribute(wsdl->loader, soap, "soapAction", &action);
    if (soap != NULL && rc == CG_OK)
        rc = loader_attribute(wsdl->loader, soap, "style", &style);
    if (rc == CG_OK && style != NULL && strcmp(style, "document") != 0)
        return loader_fail(wsdl->loader, CG_E_INVALID, bound->file, soap,
                           "construct \"style=%.20s\" is not supported", style);
    operation->soap_action = action == NULL ? "" : action;
    return rc;
}

static int read_operation(struct wsdl *wsdl, const struct wsdl_binding *binding, xmlNodePtr node,
                          struct contract_operation *operation)
{
    struct wsdl_component bound = {binding->binding.file, NULL};
    char *name;
    int rc = loader_attribute(wsdl->loader, node, "name", &name);
    if (rc == CG_OK && (name == NULL || name[0] == '\0'))
        return loader_fail(wsdl->loader, CG_E_INVALID, binding->port_type.file, node,
                           "operation without a name");
    if (rc == CG_OK)
        rc = wsdl_named_child(wsdl, binding->binding.node, "operation", name, &bound.node);
    if (rc == CG_OK && bound.node == NULL)
        return loader_fail(wsdl->loader, CG_E_INVALID, binding->port_type.file, node,
                           "the binding has no operation \"%.80s\"", name);
    operation->name = name;
    if (rc == CG_OK)
        rc = read_action(wsdl, &bound, operation);
    if (rc == CG_OK)
        rc = read_documentation(wsdl, node, operation);
    if (rc == CG_OK)
        rc = read_messages(wsdl, &binding->port_type, node, &bound, operation);
    return rc;
}

int wsdl_operations(struct wsdl *wsdl, const struct wsdl_binding *binding,
                    struct contract_service *service)
{
    size_t count = 0;
    int rc = CG_OK;
    xmlNodePtr node;
    for (node = xml_first_element(binding->port_type.node); node != NULL;
         node = xml_next_element(node))
        count += (size_t)xml_is(node, WSDL_NAMESPACE, "operation");
    struct contract_operation *operations =
        arena_array(wsdl->loader->arena, count, sizeof(*operations));
    if (operations == NULL)
        return loader_nomem(wsdl->loader);
    service->operations = operations;
    node = xml_first_element(binding->port_type.node);
    for (; rc == CG_OK && node != NULL; node = xml_next_element(node)) {
        if (!xml_is(node, WSDL_NAMESPACE, "operation"))
            continue;
        operations->service = service;
        rc = read_operation(wsdl, binding, node, operations++);
        service->num_operations++;
    }
    return rc;
}

static int is_token(const struct schema_element *element)
{
    const struct schema_type *type = element->type;
    return type->name != NULL && strcmp(type->name, TOKEN_TYPE_NAME) == 0 &&
           strcmp(type->namespace_uri, TOKEN_TYPE_NAMESPACE) == 0 && element->max == 1;
}

static void find_token(struct schema_element *input)
{
    for (size_t i = 0; i < input->type->members.length; i++) {
        const struct schema_element *member = input->type->members.items[i];
        if (!is_token(member) || member->type->members.length != 1)
            continue;
        const struct schema_element *text = member->type->members.items[0];
        if (text->type->content == CONTENT_SIMPLE && text->max == 1) {
            input->token = member;
            input->token_text = text;
        }
    }
}

/* The tables are const to everybody else; here they are still being made. */
static int complete_message(struct wsdl *wsdl, const struct schema_element *element)
{
    return element == NULL
               ? CG_OK
               : schema_set_message(&wsdl->set, (struct schema_element *)(size_t)element);
}

int wsdl_complete(struct wsdl *wsdl, struct contract_service *service)
{
    struct contract_operation *operations =
        (struct contract_operation *)(size_t)service->operations;
    int rc = CG_OK;
    for (size_t i = 0; rc == CG_OK && i < service->num_operations; i++) {
        struct contract_operation *operation = &operations[i];
        rc = complete_message(wsdl, operation->input);
        if (rc == CG_OK)
            rc = complete_message(wsdl, operation->output);
        for (size_t j = 0; rc == CG_OK && j < operation->num_faults; j++)
            rc = complete_message(wsdl, operation->faults[j].element);
        if (rc == CG_OK) {
            find_token((struct schema_element *)(size_t)operation->input);
            operation->takes_token = operation->input->token != NULL;
        }
    }
    return rc;
}
