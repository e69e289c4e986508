/* The catalogue in /openapi.json: each operation of the contract under its own path, typed by the contract, which all share their types. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/codec.h"
#include "cctgate/command.h"
#include "gateway/rest/openapi.h"
#include "gateway/rest/rest.h"

#define INPUT_PREFIX  "cct.in."
#define OUTPUT_PREFIX "cct.out."
#define SCHEMAS       "#/components/schemas/"
#define NAME_BYTES    256

struct catalogue {
    json_t *paths;
    struct codec_schemas *inputs, *outputs;
};

/* Only services with the session's token are the CCT server's. */
static int is_cct(const struct contract_service *service)
{
    size_t i;
    for (i = 0; i < service->num_operations; ++i)
        if (service->operations[i].takes_token)
            return 1;
    return 0;
}

static json_t *or_abort(json_t *json)
{
    if (json == NULL)
        abort();
    return json;
}

static json_t *request_body(struct catalogue *catalogue, const struct contract_operation *op)
{
    json_t *schema = or_abort(codec_schemas_add(catalogue->inputs, op));
    int required = json_array_size(json_object_get(schema, "required")) > 0;

    return json_pack("{s:b, s:{s:{s:o, s:o}}}", "required", required, "content", "application/json",
                     "schema", schema, "example", or_abort(codec_example_input(op, 0)));
}

static json_t *responses(struct catalogue *catalogue, const struct contract_operation *op)
{
    static const int of_reads[] = {400, 401, 403, 404, 413, 415, 502, 503, 504, 0};
    static const int of_others[] = {400, 401, 403, 404, 409, 413, 415,
                                    422, 429, 501, 502, 503, 504, 0};
    int is_read = operation_kind(op) == KIND_READ;
    json_t *all = json_object();

    if (op->one_way)
        json_object_set_new(all, "202",
                            openapi_response("Sent; there is no reply", "", NULL, NULL, NULL));
    else
        json_object_set_new(
            all, "200",
            openapi_response("The reply, as on the wire",
                             is_read ? "CacheControl" : "CacheControl IdempotencyReplayed",
                             "application/json",
                             or_abort(codec_schemas_add(catalogue->outputs, op)),
                             or_abort(codec_example_output(op, 0))));
    openapi_add_problems(all, is_read ? of_reads : of_others);
    return all;
}

static json_t *parameters(const struct contract_operation *op)
{
    json_t *list = json_pack("[o]", openapi_reference("parameters", "CctUser"));
    if (operation_kind(op) == KIND_READ)
        return list;
    json_array_append_new(list, openapi_reference("parameters", "ControlLease"));
    json_array_append_new(list, openapi_reference("parameters", "IdempotencyKey"));
    return list;
}

static void add_operation(struct catalogue *catalogue, const struct contract_operation *op)
{
    enum operation_kind kind = operation_kind(op);
    char path[NAME_BYTES];
    json_t *operation =
        json_pack("{s:o, s:o, s:[s], s:o, s:o, s:o, s:o, s:s}", "operationId",
                  json_sprintf("%s_%s", op->service->name, op->name), "summary",
                  json_sprintf("%s: %s", op->service->name, op->name), "tags", op->service->name,
                  "security", openapi_security(operation_roles(op)), "parameters", parameters(op),
                  "requestBody", request_body(catalogue, op), "responses", responses(catalogue, op),
                  "x-kind", operation_kind_names[kind]);

    if (op->documentation != NULL)
        json_object_set_new(operation, "description", json_string(op->documentation));
    snprintf(path, sizeof(path), "/v1/services/%s/%s", op->service->name, op->name);
    openapi_put(catalogue->paths, path, "POST", operation);
}

static void add_definitions(json_t *schemas, struct codec_schemas *from, const char *prefix)
{
    json_t *definitions = or_abort(codec_schemas_definitions(from)), *definition;
    const char *name;

    json_object_foreach(definitions, name, definition)
    {
        json_t *full = json_sprintf("%s%s", prefix, name);
        json_object_set(schemas, json_string_value(full), definition);
        json_decref(full);
    }
    json_decref(definitions);
}

void openapi_add_services(json_t *paths, json_t *schemas, const struct contract *contract)
{
    struct catalogue catalogue = {paths, codec_schemas_new(SCHEMAS INPUT_PREFIX, 0),
                                  codec_schemas_new(SCHEMAS OUTPUT_PREFIX, 1)};
    size_t i, j;

    if (catalogue.inputs == NULL || catalogue.outputs == NULL)
        abort();
    for (i = 0; i < contract_num_services(contract); ++i) {
        const struct contract_service *service = contract_service_at(contract, i);
        for (j = 0; is_cct(service) && j < service->num_operations; ++j)
            add_operation(&catalogue, &service->operations[j]);
    }
    add_definitions(schemas, catalogue.inputs, INPUT_PREFIX);
    add_definitions(schemas, catalogue.outputs, OUTPUT_PREFIX);
    codec_schemas_free(&catalogue.inputs);
    codec_schemas_free(&catalogue.outputs);
}
