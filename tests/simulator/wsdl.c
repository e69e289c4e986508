#include "wsdl.h"

#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WSDL_NS "http://schemas.xmlsoap.org/wsdl/"

static bool is_wsdl(const xmlNode *n, const char *name)
{
    return n->type == XML_ELEMENT_NODE && n->ns != NULL &&
           strcmp((const char *)n->ns->href, WSDL_NS) == 0 &&
           strcmp((const char *)n->name, name) == 0;
}

static char *attribute(xmlNode *n, const char *name)
{
    xmlChar *value = xmlGetNoNsProp(n, BAD_CAST name);
    char *copy = value != NULL ? mem_strdup((const char *)value) : NULL;
    xmlFree(value);
    return copy;
}

static const char *local(const char *qname)
{
    const char *colon = strchr(qname, ':');
    return colon != NULL ? colon + 1 : qname;
}

/* Turns the prefixed name in attribute `name` of `n` into namespace and local name. */
static void resolve(xmlNode *n, const char *name, struct element_name *out)
{
    char *qname = attribute(n, name);
    if (qname == NULL)
        return;
    const char *plain = local(qname);
    char *prefix = plain > qname ? mem_strndup(qname, (size_t)(plain - qname) - 1) : NULL;
    xmlNs *ns = xmlSearchNs(n->doc, n, BAD_CAST prefix);
    out->ns = mem_strdup(ns != NULL ? (const char *)ns->href : "");
    out->name = mem_strdup(plain);
    free(prefix);
    free(qname);
}

/* The element that the message referred to by `ref`'s `message` attribute carries; left NULL when it has no part. */
static void message_element(xmlNode *root, xmlNode *ref, struct element_name *out)
{
    char *message = attribute(ref, "message");
    if (message == NULL)
        return;
    for (xmlNode *n = root->children; n != NULL; n = n->next) {
        char *name = is_wsdl(n, "message") ? attribute(n, "name") : NULL;
        if (name != NULL && strcmp(name, local(message)) == 0) {
            for (xmlNode *part = n->children; part != NULL; part = part->next) {
                if (is_wsdl(part, "part"))
                    resolve(part, "element", out);
            }
        }
        free(name);
    }
    free(message);
}

static enum op_kind kind_of(const char *name)
{
    static const char *const sessions[] = {"LogInToCCTServer", "LogOffFromCCTServer", "Dispose",
                                           "OutboundLogin", "OutboundLogoff"};
    static const char *const subscriptions[] = {"Subscribe", "Unsubscribe", "Renew",
                                                "PresenceSubscribe", "PresenceUnsubscribe"};
    for (size_t i = 0; i < 5; i++) {
        if (strcmp(name, sessions[i]) == 0)
            return OP_SESSION;
        if (strcmp(name, subscriptions[i]) == 0)
            return OP_SUBSCRIPTION;
    }
    bool read = strncmp(name, "Get", 3) == 0 || strncmp(name, "Is", 2) == 0 ||
                strncmp(name, "Find", 4) == 0;
    return read ? OP_READ : OP_COMMAND;
}

static void read_operation(struct service *service, xmlNode *root, xmlNode *node)
{
    service->operations =
        mem_resize(service->operations, service->operation_count + 1, sizeof(*service->operations));
    struct operation *op = &service->operations[service->operation_count++];
    *op = (struct operation){.service = service, .name = attribute(node, "name")};
    op->kind = kind_of(op->name);
    op->label = mem_printf("%s.%s", service->name, op->name);
    for (xmlNode *n = node->children; n != NULL; n = n->next) {
        if (is_wsdl(n, "input")) {
            message_element(root, n, &op->in);
        } else if (is_wsdl(n, "output")) {
            message_element(root, n, &op->out);
        } else if (is_wsdl(n, "fault")) {
            op->faults = mem_resize(op->faults, op->fault_count + 1, sizeof(*op->faults));
            op->faults[op->fault_count] = (struct element_name){0};
            message_element(root, n, &op->faults[op->fault_count++]);
        }
    }
}

static bool build_index(struct service *service)
{
    for (size_t i = 0; i < service->operation_count; i++) {
        struct operation *op = &service->operations[i];
        if (op->in.name == NULL) {
            fprintf(stderr, "cctsim: %s has no input element\n", op->label);
            return false;
        }
        map_put(&service->by_element, mem_printf("{%s}%s", op->in.ns, op->in.name), op);
    }
    return service->operation_count > 0;
}

bool wsdl_read(struct service *service)
{
    xmlDoc *doc =
        xmlReadMemory(service->wsdl, (int)service->wsdl_len, service->name, NULL, XML_PARSE_NONET);
    if (doc == NULL)
        return false;
    xmlNode *root = xmlDocGetRootElement(doc);
    for (xmlNode *n = root->children; n != NULL; n = n->next) {
        if (!is_wsdl(n, "portType"))
            continue;
        for (xmlNode *op = n->children; op != NULL; op = op->next) {
            if (is_wsdl(op, "operation"))
                read_operation(service, root, op);
        }
    }
    xmlFreeDoc(doc);
    return build_index(service);
}

void wsdl_free_operation(struct operation *op)
{
    for (size_t i = 0; i < op->fault_count; i++) {
        free(op->faults[i].ns);
        free(op->faults[i].name);
    }
    free(op->faults);
    free(op->in.ns);
    free(op->in.name);
    free(op->out.ns);
    free(op->out.name);
    free(op->name);
    free(op->label);
}

void wsdl_free_index(struct service *service)
{
    map_free_keys(&service->by_element);
    map_free(&service->by_element);
}
