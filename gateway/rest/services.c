/*
 * The contract as it is: its services and operations, each callable with JSON as on the wire. An operation that a WSDL adds is here
 * without a line of C. What reads is called in the user's session; what acts is a command like any other, and passes the same gate.
 */
#include <stdlib.h>
#include <string.h>

#include "cctgate/codec.h"
#include "cctgate/error.h"
#include "gateway/rest/commands.h"

/* ---- what there is ---- */

static json_t *outline(const struct contract_operation *op)
{
    json_t *json = json_pack("{s:s, s:s, s:b}", "name", op->name, "kind",
                             operation_kind_names[operation_kind(op)], "oneWay", op->one_way);
    if (op->documentation != NULL)
        json_object_set_new(json, "documentation", json_string(op->documentation));
    return json;
}

static json_t *with_schemas(const struct contract_operation *op)
{
    json_t *json = outline(op);
    json_object_set_new(json, "input", codec_input_schema(op));
    json_object_set_new(json, "output", codec_output_schema(op));
    return json;
}

static json_t *with_examples(const struct contract_operation *op)
{
    json_t *json = with_schemas(op), *faults = json_array();
    size_t i;

    for (i = 0; i < op->num_faults; ++i)
        json_array_append_new(faults, json_string(op->faults[i].name));
    json_object_set_new(json, "service", json_string(op->service->name));
    json_object_set_new(json, "faults", faults);
    json_object_set_new(json, "examples",
                        json_pack("{s:o, s:o}", "input", codec_example_input(op, 1), "output",
                                  codec_example_output(op, 1)));
    return json;
}

static json_t *describe(const struct contract_service *service,
                        json_t *(*describe_operation)(const struct contract_operation *))
{
    json_t *operations = json_array();
    size_t i;

    for (i = 0; i < service->num_operations; ++i)
        json_array_append_new(operations, describe_operation(&service->operations[i]));
    return json_pack("{s:s, s:s, s:o}", "name", service->name, "namespace", service->namespace_uri,
                     "operations", operations);
}

void get_services(struct request *request)
{
    const struct contract *contract = request->front->fronts->contract;
    json_t *items = json_array();
    size_t i;

    for (i = 0; i < contract_num_services(contract); ++i)
        json_array_append_new(items, describe(contract_service_at(contract, i), outline));
    respond_json(request, 200, json_pack("{s:o}", "items", items));
}

void get_service(struct request *request)
{
    const struct contract_service *service =
        contract_find_service(request->front->fronts->contract, request->id);

    if (service != NULL)
        respond_json(request, 200, describe(service, with_schemas));
    else
        respond_problem(request, PROBLEM_NOT_FOUND, NULL, NULL);
}

static void get_operation(struct request *request)
{
    const struct contract_operation *op =
        contract_find(request->front->fronts->contract, request->id, request->sub_id);

    if (op != NULL)
        respond_json(request, 200, with_examples(op));
    else
        respond_problem(request, PROBLEM_NOT_FOUND, NULL, NULL);
}

/* ---- calling it ---- */

static void on_reply(struct message *message)
{
    struct owner_call *call = (struct owner_call *)message;
    struct request *request = asking_end(call->data);

    if (request != NULL && call->outcome->rc == CG_OK)
        respond_json_from(request, json_incref(call->result),
                          call->recalled ? "cctgate; hit"
                          : call->anew   ? "cctgate; fwd=request"
                                         : "cctgate; fwd=miss");
    else if (request != NULL)
        respond_outcome(request, call->outcome);
    owner_call_free(&call);
}

static void send_call(struct request *request, struct owner_call *call)
{
    call->anew = request->directives.no_cache;
    call->data = asking_begin(request);
    call->reply_to = &request->front->mailbox;
    call->on_reply = on_reply;
    owner_call_send(request->front->owner, call);
}

static void post_operation(struct request *request)
{
    struct intake intake;
    struct intake_error error;
    struct command *command = NULL;
    struct owner_call *call = NULL;
    int rc;

    if (intake_begin(&intake, request) != CG_OK)
        return;
    rc = intake_operation(&intake, &command, &call, &error);
    intake_end(request, &intake, rc, command, &error);
    if (call != NULL)
        send_call(request, call);
}

void serve_operation(struct request *request)
{
    if ((request->takes & TAKES_BODY) != 0)
        post_operation(request);
    else
        get_operation(request);
}
