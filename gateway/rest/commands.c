/* Commands over HTTP: what the table of commands has at a path, and what acts in the catalogue. */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/rest/body.h"
#include "gateway/rest/commands.h"

static void refuse(struct request *request, const struct intake_error *error)
{
    const char *pointer = error->about_body || error->pointer[0] != '\0' ? error->pointer : NULL;
    respond_problem(request, error->problem, pointer, "%s", error->detail);
}

/* RFC 7240 section 2: preferences may be in several fields; of one that is there twice the first counts. */
static unsigned wait_of(const struct request *request)
{
    const h2o_headers_t *headers = &request->h2o->headers;
    unsigned wait_ms = 0;
    ssize_t at = -1;

    while ((at = h2o_find_header_by_str(headers, H2O_STRLIT("prefer"), at)) != -1)
        if (intake_wait(headers->entries[at].value.base, headers->entries[at].value.len, &wait_ms))
            break;
    return wait_ms;
}

static int take_query(struct request *request, struct intake *intake)
{
    const h2o_req_t *req = request->h2o;
    struct intake_error error;

    if (req->query_at == SIZE_MAX || (request->takes & TAKES_COMMAND) == 0 ||
        intake_query(intake, req->path.base + req->query_at + 1, req->path.len - req->query_at - 1,
                     &intake->force, &error) == CG_OK)
        return CG_OK;
    refuse(request, &error);
    return CG_E_INVALID;
}

static int take_body(struct request *request, struct intake *intake)
{
    h2o_iovec_t entity = request->h2o->entity;
    struct intake_error error;

    if (entity.len == 0 || (intake->body = intake_body(entity.base, entity.len, &error)) != NULL)
        return CG_OK;
    refuse(request, &error);
    return CG_E_INVALID;
}

int intake_begin(struct intake *intake, struct request *request)
{
    *intake = (struct intake){.route = request->route,
                              .method = request->method,
                              .contract = request->front->fronts->contract,
                              .policy = request->policy,
                              .access = request->access,
                              .user = request->user,
                              .id = request->id,
                              .id_length = request->id_length,
                              .sub_id = request->sub_id,
                              .sub_id_length = request->sub_id_length,
                              .door = "http",
                              .traceparent = request->traceparent,
                              .wait_ms = wait_of(request)};
    if (request_only_header(request, "control-lease", &intake->lease) != CG_OK ||
        request_only_header(request, "idempotency-key", &intake->key) != CG_OK ||
        take_query(request, intake) != CG_OK)
        return CG_E_INVALID;
    return take_body(request, intake);
}

static void on_reply(struct message *message)
{
    struct command *command = (struct command *)message;
    struct request *request = asking_end(command->data);

    if (request != NULL)
        respond_command(request, command);
    command_free(&command);
}

/* The owner answers each, also one that the upstream leaves hanging: it alone can say what became of it. */
static void send_command(struct request *request, struct command *command)
{
    command->data = asking_begin_patiently(request);
    command->reply_to = &request->front->mailbox;
    command->on_reply = on_reply;
    owner_command_send(request->front->owner, command);
}

void intake_end(struct request *request, struct intake *intake, int rc, struct command *command,
                const struct intake_error *error)
{
    if (rc != CG_OK) {
        body_wipe_json(intake->body);
        refuse(request, error);
    }
    json_decref(intake->body);
    if (rc == CG_OK && command != NULL)
        send_command(request, command);
}

void post_command(struct request *request)
{
    struct intake intake;
    struct intake_error error;
    struct command *command = NULL;
    int rc;

    if (intake_begin(&intake, request) != CG_OK)
        return;
    rc = intake_command(&intake, &command, &error);
    intake_end(request, &intake, rc, command, &error);
}
