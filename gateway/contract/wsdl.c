#include "gateway/contract/wsdl.h"

#include <string.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/xml.h"
#include "gateway/contract/wsdl_operation.h"

static int add_definitions(struct wsdl *wsdl, const struct contract_file *file, xmlNodePtr root)
{
    struct loader *loader = wsdl->loader;
    char *target;
    for (size_t i = 0; i < wsdl->definitions.length; i++) {
        if (((const struct wsdl_definitions *)wsdl->definitions.items[i])->root == root)
            return CG_OK;
    }
    int rc = loader_attribute(loader, root, "targetNamespace", &target);
    struct wsdl_definitions *definitions = arena_alloc(loader->arena, sizeof(*definitions));
    if (rc != CG_OK || definitions == NULL ||
        list_push(loader->arena, &wsdl->definitions, definitions) != CG_OK)
        return loader_nomem(loader);
    *definitions = (struct wsdl_definitions){file, root, target == NULL ? "" : target};
    return CG_OK;
}

static int follow_import(struct wsdl *wsdl, const struct wsdl_definitions *from, xmlNodePtr node)
{
    struct contract_file *file;
    char *location;
    int rc = loader_attribute(wsdl->loader, node, "location", &location);
    if (rc == CG_OK && location == NULL)
        return loader_fail(wsdl->loader, CG_E_INVALID, from->file, node, "import without location");
    if (rc == CG_OK)
        rc = loader_follow(wsdl->loader, from->file, node, location, &file);
    if (rc != CG_OK)
        return rc;
    xmlNodePtr root = xmlDocGetRootElement(file->doc);
    if (xml_is(root, WSDL_NAMESPACE, "definitions"))
        return add_definitions(wsdl, file, root);
    if (schema_is(root, "schema"))
        return schema_set_add(&wsdl->set, file, root);
    return loader_fail(wsdl->loader, CG_E_INVALID, from->file, node,
                       "\"%.100s\" is neither WSDL nor XML schema", location);
}

static int add_types(struct wsdl *wsdl, const struct wsdl_definitions *definitions,
                     xmlNodePtr types)
{
    int rc = CG_OK;
    xmlNodePtr node = xml_first_element(types);
    for (; rc == CG_OK && node != NULL; node = xml_next_element(node)) {
        if (schema_is(node, "schema"))
            rc = schema_set_add(&wsdl->set, definitions->file, node);
    }
    return rc;
}

static int read_imports_and_types(struct wsdl *wsdl)
{
    int rc = CG_OK;
    for (size_t i = 0; rc == CG_OK && i < wsdl->definitions.length; i++) {
        const struct wsdl_definitions *definitions = wsdl->definitions.items[i];
        xmlNodePtr node = xml_first_element(definitions->root);
        for (; rc == CG_OK && node != NULL; node = xml_next_element(node)) {
            if (xml_is(node, WSDL_NAMESPACE, "import"))
                rc = follow_import(wsdl, definitions, node);
            else if (xml_is(node, WSDL_NAMESPACE, "types"))
                rc = add_types(wsdl, definitions, node);
        }
    }
    return rc;
}

int wsdl_named_child(struct wsdl *wsdl, xmlNodePtr parent, const char *kind, const char *name,
                     xmlNodePtr *found)
{
    char *its_name;
    *found = NULL;
    for (xmlNodePtr node = xml_first_element(parent); node != NULL; node = xml_next_element(node)) {
        if (!xml_is(node, WSDL_NAMESPACE, kind))
            continue;
        int rc = loader_attribute(wsdl->loader, node, "name", &its_name);
        if (rc != CG_OK)
            return rc;
        if (its_name != NULL && strcmp(its_name, name) == 0) {
            *found = node;
            return CG_OK;
        }
    }
    return CG_OK;
}

int wsdl_find(struct wsdl *wsdl, const struct contract_file *file, xmlNodePtr node,
              const char *kind, const char *attribute, struct wsdl_component *component)
{
    const char *namespace_uri, *name;
    char *qname;
    int rc = loader_attribute(wsdl->loader, node, attribute, &qname);
    if (rc == CG_OK && qname == NULL)
        return loader_fail(wsdl->loader, CG_E_INVALID, file, node,
                           "\"%.20s\" without attribute \"%s\"", node->name, attribute);
    if (rc == CG_OK)
        rc = schema_qname(&wsdl->set, file, node, qname, &namespace_uri, &name);
    for (size_t i = 0; rc == CG_OK && i < wsdl->definitions.length; i++) {
        const struct wsdl_definitions *definitions = wsdl->definitions.items[i];
        if (strcmp(definitions->target, namespace_uri) != 0)
            continue;
        rc = wsdl_named_child(wsdl, definitions->root, kind, name, &component->node);
        component->file = definitions->file;
        if (rc == CG_OK && component->node != NULL)
            return CG_OK;
    }
    if (rc != CG_OK)
        return rc;
    return loader_fail(wsdl->loader, CG_E_INVALID, file, node,
                       "%s \"%.100s\" is not declared anywhere", kind, name);
}

xmlNodePtr wsdl_soap_child(xmlNodePtr parent, const char *name, enum soap_version *version)
{
    for (xmlNodePtr node = xml_first_element(parent); node != NULL; node = xml_next_element(node)) {
        if (xml_is(node, WSDL_SOAP11_NAMESPACE, name)) {
            *version = SOAP_1_1;
            return node;
        }
        if (xml_is(node, WSDL_SOAP12_NAMESPACE, name)) {
            *version = SOAP_1_2;
            return node;
        }
    }
    return NULL;
}

/*
 * "/SOAOICCT/services/AgentService" of "http://localhost:9084/SOAOICCT/services/AgentService?wsdl".
 */
static int address_path(struct loader *loader, const char *location, const char **path)
{
    const char *authority = strstr(location, "://");
    const char *start = strchr(authority == NULL ? location : authority + 3, '/');
    size_t length = start == NULL ? 0 : strcspn(start, "?#");
    *path = length == 0 ? "/" : arena_strndup(loader->arena, start, length);
    return *path == NULL ? loader_nomem(loader) : CG_OK;
}

static int read_address(struct wsdl *wsdl, xmlNodePtr port, struct contract_service *service)
{
    enum soap_version version;
    char *location = NULL;
    int rc = CG_OK;
    xmlNodePtr node = wsdl_soap_child(port, "address", &version);
    if (node != NULL)
        rc = loader_attribute(wsdl->loader, node, "location", &location);
    return rc == CG_OK ? address_path(wsdl->loader, location == NULL ? "" : location,
                                      &service->address_path)
                       : rc;
}

/*
 * The first SOAP binding gives the operations; another one must be the same port type over the
 * other SOAP version.
 */
static int read_port(struct wsdl *wsdl, const struct contract_file *file, xmlNodePtr port,
                     struct contract_service *service, struct wsdl_binding *first)
{
    enum soap_version version;
    char *style;
    struct wsdl_binding binding = {0};
    int rc = wsdl_find(wsdl, file, port, "binding", "binding", &binding.binding);
    if (rc != CG_OK)
        return rc;
    xmlNodePtr soap = wsdl_soap_child(binding.binding.node, "binding", &version);
    if (soap == NULL)
        return CG_OK;
    rc = loader_attribute(wsdl->loader, soap, "style", &style);
    if (rc == CG_OK && style != NULL && strcmp(style, "document") != 0)
        return loader_fail(wsdl->loader, CG_E_INVALID, binding.binding.file, soap,
                           "construct \"style=%.20s\" is not supported", style);
    if (rc == CG_OK)
        rc = wsdl_find(wsdl, binding.binding.file, binding.binding.node, "portType", "type",
                       &binding.port_type);
    if (rc != CG_OK)
        return rc;
    if (first->port_type.node != NULL && first->port_type.node != binding.port_type.node)
        return loader_fail(wsdl->loader, CG_E_INVALID, file, port,
                           "ports of one service with different port types");
    service->soap11 |= version == SOAP_1_1;
    service->soap12 |= version == SOAP_1_2;
    if (first->port_type.node != NULL)
        return CG_OK;
    *first = binding;
    return read_address(wsdl, port, service);
}

/*
 * A service with one port is called like the port, which is the last segment of its URL in CCT; one
 * with several (ASP.NET has a port per protocol) like the service.
 */
static int name_service(struct wsdl *wsdl, const struct contract_file *file, xmlNodePtr node,
                        struct contract_service *service)
{
    xmlNodePtr port, only = NULL;
    size_t ports = 0;
    char *name;
    for (port = xml_first_element(node); port != NULL; port = xml_next_element(port)) {
        if (xml_is(port, WSDL_NAMESPACE, "port")) {
            only = port;
            ports++;
        }
    }
    int rc = loader_attribute(wsdl->loader, ports == 1 ? only : node, "name", &name);
    if (rc == CG_OK && (name == NULL || name[0] == '\0'))
        return loader_fail(wsdl->loader, CG_E_INVALID, file, node, "service without a name");
    service->name = name;
    return rc;
}

static int add_service(struct wsdl *wsdl, const struct wsdl_definitions *definitions,
                       xmlNodePtr node)
{
    struct arena *arena = wsdl->loader->arena;
    struct contract_service *service = arena_alloc(arena, sizeof(*service));
    struct wsdl_service *made = arena_alloc(arena, sizeof(*made));
    struct wsdl_binding binding = {0};
    if (service == NULL || made == NULL)
        return loader_nomem(wsdl->loader);
    service->namespace_uri = definitions->target;
    service->file = definitions->file->path;
    int rc = name_service(wsdl, definitions->file, node, service);
    xmlNodePtr port = xml_first_element(node);
    for (; rc == CG_OK && port != NULL; port = xml_next_element(port)) {
        if (xml_is(port, WSDL_NAMESPACE, "port"))
            rc = read_port(wsdl, definitions->file, port, service, &binding);
    }
    if (rc != CG_OK || binding.port_type.node == NULL)
        return rc;
    *made = (struct wsdl_service){service, definitions->file, node};
    if (list_push(arena, &wsdl->loader->services, made) != CG_OK)
        return loader_nomem(wsdl->loader);
    return wsdl_operations(wsdl, &binding, service);
}

static int read_services(struct wsdl *wsdl)
{
    const struct wsdl_definitions *main_file = wsdl->definitions.items[0];
    size_t first = wsdl->loader->services.length;
    int rc = CG_OK;
    xmlNodePtr node = xml_first_element(main_file->root);
    for (; rc == CG_OK && node != NULL; node = xml_next_element(node)) {
        if (xml_is(node, WSDL_NAMESPACE, "service"))
            rc = add_service(wsdl, main_file, node);
    }
    if (rc == CG_OK)
        rc = schema_set_finish(&wsdl->set);
    for (size_t i = first; rc == CG_OK && i < wsdl->loader->services.length; i++)
        rc = wsdl_complete(wsdl,
                           ((const struct wsdl_service *)wsdl->loader->services.items[i])->service);
    return rc;
}

int wsdl_load(struct loader *loader, const char *path)
{
    struct wsdl wsdl = {.loader = loader, .set = {.loader = loader}};
    struct contract_file *file;
    int rc = loader_open(loader, path, &file);
    if (rc != CG_OK)
        return rc;
    xmlNodePtr root = xmlDocGetRootElement(file->doc);
    if (!xml_is(root, WSDL_NAMESPACE, "definitions"))
        return loader_fail(loader, CG_E_INVALID, file, root, "no WSDL 1.1 definitions");
    rc = add_definitions(&wsdl, file, root);
    if (rc == CG_OK)
        rc = read_imports_and_types(&wsdl);
    if (rc == CG_OK)
        rc = read_services(&wsdl);
    return rc;
}
