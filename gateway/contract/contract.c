#include "cctgate/contract.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cctgate/error.h"
#include "gateway/contract/schema.h"
#include "gateway/contract/wsdl.h"

/*
 * Kinds of keys in `names`: services, operations by name, and from DISPATCH on the body elements of
 * the nth service.
 */
enum { NAMES_SERVICE, NAMES_OPERATION, NAMES_DISPATCH };

struct contract {
    struct arena arena;
    struct list services; /* struct indexed_service */
    struct map names;
};

struct indexed_service {
    const struct contract_service *service;
    size_t index;
};

static int add_name(struct loader *loader, struct contract *contract,
                    const struct wsdl_service *made, size_t kind, const char *a, const char *b,
                    const void *value)
{
    int rc = map_put(&contract->arena, &contract->names, kind, a, b, (void *)(size_t)value);
    if (rc == CG_E_INVALID)
        return loader_fail(loader, rc, made->file, made->node,
                           "service \"%.80s\": two %s of one name, \"%.80s\"", made->service->name,
                           kind == NAMES_SERVICE     ? "services"
                           : kind == NAMES_OPERATION ? "operations"
                                                     : "request elements",
                           b[0] == '\0' ? a : b);
    return rc == CG_OK ? CG_OK : loader_nomem(loader);
}

static int index_service(struct loader *loader, struct contract *contract,
                         const struct wsdl_service *made)
{
    const struct contract_service *service = made->service;
    struct indexed_service *indexed = arena_alloc(&contract->arena, sizeof(*indexed));
    if (indexed == NULL)
        return loader_nomem(loader);
    *indexed = (struct indexed_service){service, contract->services.length};
    int rc = add_name(loader, contract, made, NAMES_SERVICE, service->name, "", indexed);
    if (rc == CG_OK && list_push(&contract->arena, &contract->services, indexed) != CG_OK)
        rc = loader_nomem(loader);
    for (size_t i = 0; rc == CG_OK && i < service->num_operations; i++) {
        const struct contract_operation *operation = &service->operations[i];
        const struct schema_element *input = operation->input;
        rc = add_name(loader, contract, made, NAMES_OPERATION, service->name, operation->name,
                      operation);
        if (rc == CG_OK)
            rc = add_name(loader, contract, made, NAMES_DISPATCH + indexed->index,
                          input->namespace_uri, input->name, operation);
    }
    return rc;
}

static int load_all(struct loader *loader, struct contract *contract)
{
    struct list paths = {0};
    int rc = loader_find_wsdl(loader, &paths);
    for (size_t i = 0; rc == CG_OK && i < paths.length; i++)
        rc = wsdl_load(loader, paths.items[i]);
    for (size_t i = 0; rc == CG_OK && i < loader->services.length; i++)
        rc = index_service(loader, contract, loader->services.items[i]);
    if (rc == CG_OK && contract->services.length == 0)
        rc = loader_fail(loader, CG_E_INVALID, NULL, NULL, "no WSDL file below %s names a service",
                         loader->root);
    return rc;
}

int contract_load(struct contract **contract, const char *directory, char *error, size_t error_size)
{
    char root[PATH_MAX];
    struct stat status;
    *contract = NULL;
    if (realpath(directory, root) == NULL || stat(root, &status) != 0) {
        snprintf(error, error_size, "contract directory %s: %s", directory, strerror(errno));
        return CG_E_IO;
    }
    if (!S_ISDIR(status.st_mode)) {
        snprintf(error, error_size, "contract directory %s: not a directory", directory);
        return CG_E_IO;
    }
    struct contract *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        snprintf(error, error_size, "no memory for the contract");
        return CG_E_NOMEM;
    }
    struct loader loader = {
        .arena = &made->arena, .root = root, .error = error, .error_size = error_size};
    int rc = load_all(&loader, made);
    loader_close(&loader);
    if (rc == CG_OK)
        *contract = made;
    else
        contract_free(&made);
    return rc;
}

void contract_free(struct contract **contract)
{
    if (*contract == NULL)
        return;
    arena_release(&(*contract)->arena);
    free(*contract);
    *contract = NULL;
}

size_t contract_num_services(const struct contract *contract)
{
    return contract->services.length;
}

const struct contract_service *contract_service_at(const struct contract *contract, size_t index)
{
    return ((const struct indexed_service *)contract->services.items[index])->service;
}

const struct contract_service *contract_find_service(const struct contract *contract,
                                                     const char *service)
{
    const struct indexed_service *indexed = map_get(&contract->names, NAMES_SERVICE, service, "");
    return indexed == NULL ? NULL : indexed->service;
}

const struct contract_operation *contract_find(const struct contract *contract, const char *service,
                                               const char *operation)
{
    return map_get(&contract->names, NAMES_OPERATION, service, operation);
}

const char *contract_input_member(const struct contract_operation *op, size_t index)
{
    const struct schema_type *type = op->input != NULL ? op->input->type : NULL;

    if (type == NULL || index >= type->members.length)
        return NULL;
    return ((const struct schema_element *)type->members.items[index])->name;
}

const struct contract_operation *contract_dispatch(const struct contract *contract,
                                                   const char *service, const char *namespace_uri,
                                                   const char *local_name)
{
    const struct indexed_service *indexed = map_get(&contract->names, NAMES_SERVICE, service, "");
    if (indexed == NULL)
        return NULL;
    return map_get(&contract->names, NAMES_DISPATCH + indexed->index, namespace_uri, local_name);
}
