/*
 * The contract as it is: its services and operations, and the reading ones callable with JSON as on the wire. An operation that a
 * WSDL adds is here without a line of C. What acts is refused: that door opens with control leases, never before.
 */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/rest/rest.h"

/* By name: every Get* and Is* of the contract reads, and nothing else does (DOMAIN section 1.4). */
static const char *kind_of(const struct contract_operation *op)
{
    return strncmp(op->name, "Get", 3) == 0 || strncmp(op->name, "Is", 2) == 0 ? "read" : "command";
}

/* Only services with the session's token are the CCT server's. */
static int is_cct(const struct contract_service *service)
{
    size_t i;
    for (i = 0; i < service->num_operations; ++i)
        if (service->operations[i].takes_token)
            return 1;
    return 0;
}

void get_services(struct request *request)
{
    const struct contract *contract = request->front->fronts->contract;
    json_t *items = json_array();
    size_t i, j;

    for (i = 0; i < contract_num_services(contract); ++i) {
        const struct contract_service *service = contract_service_at(contract, i);
        json_t *operations = json_array();
        for (j = 0; j < service->num_operations; ++j)
            json_array_append_new(operations,
                                  json_pack("{s:s, s:s, s:b}", "name", service->operations[j].name,
                                            "kind", kind_of(&service->operations[j]), "oneWay",
                                            service->operations[j].one_way));
        json_array_append_new(items,
                              json_pack("{s:s, s:s, s:o}", "name", service->name, "namespace",
                                        service->namespace_uri, "operations", operations));
    }
    respond_json(request, 200, json_pack("{s:o}", "items", items));
}

static void on_reply(struct message *message)
{
    struct owner_call *call = (struct owner_call *)message;
    struct request *request = asking_end(call->data);

    if (request != NULL && call->outcome->rc == CG_OK)
        respond_json(request, 200, json_incref(call->result));
    else if (request != NULL)
        respond_outcome(request, call->outcome);
    owner_call_free(&call);
}

static void send_call(struct request *request, const struct contract_operation *op,
                      json_t *arguments)
{
    struct owner_call *call = calloc(1, sizeof(*call));

    if (call == NULL)
        abort();
    call->op = op;
    call->arguments = json_incref(arguments);
    call->user = request->user->number;
    memcpy(call->traceparent, request->traceparent, sizeof(call->traceparent));
    call->data = asking_begin(request);
    call->reply_to = &request->front->mailbox;
    call->on_reply = on_reply;
    owner_call_send(request->front->owner, call);
}

static json_t *parse_body(struct request *request)
{
    h2o_iovec_t entity = request->h2o->entity;
    json_error_t error;
    json_t *json;

    if (entity.len == 0)
        return json_object();
    json = json_loadb(entity.base, entity.len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        respond_problem(request, PROBLEM_BAD_REQUEST, "",
                        "the body is not JSON: line %d, column %d", error.line, error.column);
    return json;
}

/* The contract is asked before the owner is: a bad body costs no message and no upstream call. */
static int fits_contract(struct request *request, const struct contract_operation *op,
                         const json_t *arguments)
{
    struct codec_buffer buffer = {NULL, 0, 0};
    struct codec_error error;
    int rc = codec_encode_request(op, op->service->soap11 ? SOAP_1_1 : SOAP_1_2, arguments,
                                  op->takes_token ? "" : NULL, &buffer, &error);

    codec_buffer_release(&buffer);
    if (rc != CG_OK)
        respond_problem(request, PROBLEM_BAD_REQUEST, error.pointer, "expected %s, found %s",
                        error.expected, error.found);
    return rc;
}

void post_operation(struct request *request)
{
    const struct contract *contract = request->front->fronts->contract;
    const struct contract_operation *op = contract_find(contract, request->id, request->sub_id);
    json_t *arguments;

    if (op == NULL || !is_cct(op->service)) {
        respond_problem(request, PROBLEM_NOT_FOUND, NULL, NULL);
        return;
    }
    if (strcmp(kind_of(op), "read") != 0) {
        respond_problem(request, PROBLEM_NOT_IMPLEMENTED, NULL, "operations that act are being built");
        return;
    }
    if (request->user == NULL) {
        respond_problem(request, PROBLEM_USER_REQUIRED, NULL, NULL);
        return;
    }
    if ((arguments = parse_body(request)) == NULL)
        return;
    if (fits_contract(request, op, arguments) == CG_OK)
        send_call(request, op, arguments);
    json_decref(arguments);
}
