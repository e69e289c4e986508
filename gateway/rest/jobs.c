/* Outbound jobs: contacts that are to be appended come in, and what became of them is shown. The owner has the jobs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "cctgate/error.h"
#include "cctgate/jobs.h"
#include "gateway/outbound/contacts.h"
#include "gateway/rest/body.h"
#include "gateway/rest/intake.h"
#include "gateway/rest/outbound.h"
#include "gateway/rest/reading.h"
#include "gateway/rest/rest.h"

/* ---- answers ---- */

static void respond_failure(struct request *request, const struct jobs_ask *ask)
{
    switch (ask->rc) {
    case CG_E_NOTFOUND:
        respond_problem(request,
                        ask->verb == JOBS_APPEND ? PROBLEM_CAMPAIGN_NOT_ACTIVE : PROBLEM_NOT_FOUND,
                        NULL, NULL);
        break;
    case CG_E_LIMIT:
        respond_problem(request, PROBLEM_TOO_MANY, NULL,
                        "as many contacts wait to be appended as may, or as many jobs");
        break;
    case CG_E_INVALID:
        respond_problem(request, PROBLEM_KEY_REUSED, NULL,
                        "the key came with another request before");
        break;
    default:
        respond_problem(request, problem_of_error(ask->rc), NULL, "nothing was changed");
    }
}

/* RFC 9110 section 15.3.3: it is told where to look. */
static void respond_accepted(struct request *request, const struct jobs_ask *ask)
{
    h2o_req_t *req = request->h2o;
    const char *id = json_string_value(json_object_get(ask->answer, "id"));
    char *location = h2o_mem_alloc_pool(&req->pool, 32 + JOB_ID_BYTES);
    int length = snprintf(location, 32 + JOB_ID_BYTES, "/v1/outbound/jobs/%s", id);

    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_LOCATION, NULL, location,
                   (size_t)length);
    if (ask->replayed)
        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("idempotency-replayed"), 0,
                              NULL, H2O_STRLIT("true"));
    respond_json(request, 202, json_incref(ask->answer));
}

/* The rows were printed by the owner: they go behind the job's other members. */
static void respond_job(struct request *request, const struct jobs_ask *ask)
{
    struct representation r = {{NULL, 0}, "", "", "", -1, NULL, {NULL, 0}};
    char *text = json_dumps(ask->answer, JSON_COMPACT), *at;
    size_t length;

    if (text == NULL)
        abort();
    length = strlen(text);
    r.body.base = h2o_mem_alloc_pool(&request->h2o->pool, length + strlen(ask->rows) + 16);
    memcpy(r.body.base, text, length - 1); /* an object, and not an empty one */
    free(text);
    at = put_text(put_text(put_text(r.body.base + length - 1, ",\"rows\":"), ask->rows), "}");
    r.body.len = (size_t)(at - r.body.base);
    respond(request, 200, &r);
}

static void on_reply(struct message *message)
{
    struct jobs_ask *ask = (struct jobs_ask *)message;
    struct request *request = asking_end(ask->data);

    if (request != NULL && ask->rc != CG_OK)
        respond_failure(request, ask);
    else if (request != NULL && ask->verb == JOBS_APPEND)
        respond_accepted(request, ask);
    else if (request != NULL && ask->rows != NULL)
        respond_job(request, ask);
    else if (request != NULL)
        respond_json(request, 200, json_incref(ask->answer));
    jobs_ask_free(&ask);
}

/* It is always answered: what is asked of the contact centre for it ends by upstream.timeoutMs. */
static void send_ask(struct request *request, struct jobs_ask *ask)
{
    ask->policy = policy_ref(request->policy);
    ask->access = request->access;
    ask->data = asking_begin_patiently(request);
    ask->reply_to = &request->front->mailbox;
    ask->on_reply = on_reply;
    owner_jobs_send(request->front->owner, ask);
}

/* ---- what there is ---- */

void get_jobs(struct request *request)
{
    send_ask(request, jobs_ask_new(JOBS_LIST));
}

/* GET shows it, DELETE cancels what of it waits. */
void serve_job(struct request *request)
{
    int is_delete = strcmp(request->method, "DELETE") == 0;
    struct jobs_ask *ask;

    if (request->id_length != JOB_ID_BYTES) {
        respond_problem(request, PROBLEM_NOT_FOUND, NULL, NULL);
        return;
    }
    if (is_delete && request->h2o->entity.len > 0) {
        respond_problem(request, PROBLEM_BAD_REQUEST, "", "expected no body, found one");
        return;
    }
    ask = jobs_ask_new(is_delete ? JOBS_CANCEL : JOBS_GET);
    memcpy(ask->id, request->id, JOB_ID_BYTES);
    send_ask(request, ask);
}

/* ---- contacts: the query ---- */

struct appending {
    struct message message; /* to this front itself: more is to be read */
    struct asking *asking;
    struct jobs_ask *ask;
    struct contacts_wanted wanted;
    enum contacts_type type;
    struct contacts_reader *reader;
};

static int take_query(struct request *request, struct appending *appending)
{
    struct outbound_query query;

    if (outbound_query_take(request, QUERY_PRIORITY | QUERY_ON_DUPLICATE, &query) != CG_OK)
        return CG_E_INVALID;
    appending->wanted.priority = query.priority;
    appending->ask->on_duplicate = query.on_duplicate;
    appending->wanted.needs_phone = query.on_duplicate != DUPLICATE_APPEND;
    outbound_query_release(&query);
    return CG_OK;
}

/* ---- contacts: path, header fields ---- */

static int take_campaign(struct request *request, struct appending *appending)
{
    int rc = outbound_take_campaign(request, &appending->wanted.campaign);
    appending->ask->campaign = appending->wanted.campaign;
    return rc;
}

int request_is_contacts(h2o_iovec_t content_type)
{
    return request_is_media_type(content_type, "application/x-ndjson") ||
           request_is_media_type(content_type, "text/csv");
}

static int take_type(struct request *request, struct appending *appending)
{
    h2o_iovec_t value;

    if (request_only_header(request, "content-type", &value) != CG_OK)
        return CG_E_INVALID;
    appending->type = request_is_media_type(value, "application/x-ndjson") ? CONTACTS_NDJSON
                      : request_is_media_type(value, "text/csv")           ? CONTACTS_CSV
                                                                           : CONTACTS_JSON;
    return CG_OK;
}

/* All that makes it the request that it is. */
static int digest_request(struct request *request, struct appending *appending)
{
    const h2o_req_t *req = request->h2o;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int ok = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
             EVP_DigestUpdate(context, &appending->type, sizeof(appending->type)) == 1 &&
             EVP_DigestUpdate(context, req->path.base, req->path.len) == 1 &&
             EVP_DigestUpdate(context, "", 1) == 1 &&
             EVP_DigestUpdate(context, req->entity.base, req->entity.len) == 1 &&
             EVP_DigestFinal_ex(context, appending->ask->request, NULL) == 1;

    EVP_MD_CTX_free(context);
    return ok ? CG_OK : CG_E_NOMEM;
}

static int take_key(struct request *request, struct appending *appending)
{
    h2o_iovec_t key;

    if (request_only_header(request, "idempotency-key", &key) != CG_OK)
        return CG_E_INVALID;
    if (key.base == NULL)
        return CG_OK;
    if (intake_key(appending->ask->key, key.base, key.len) != CG_OK) {
        respond_problem(request, PROBLEM_BAD_REQUEST, NULL,
                        "Idempotency-Key: expected 1 to %d visible ASCII characters, bare or "
                        "quoted",
                        COMMAND_KEY_BYTES_MAX);
        return CG_E_INVALID;
    }
    if (digest_request(request, appending) == CG_OK)
        return CG_OK;
    respond_problem(request, PROBLEM_INTERNAL, NULL, NULL);
    return CG_E_NOMEM;
}

/* ---- contacts: the rows ---- */

/* A pointer into a JSON body; of other bodies: into the row. */
static void print_pointer(const struct contacts_error *error, char *out, size_t size)
{
    if (error->is_array)
        snprintf(out, size, "/%zu%s", error->rows[0].row - 1, error->rows[0].pointer);
    else
        snprintf(out, size, "%s", error->rows[0].pointer);
}

static void refuse_rows(struct request *request, const struct contacts_error *error)
{
    json_t *rows = json_array(), *problem;
    char pointer[300], detail[128];
    size_t i;

    for (i = 0; i < error->num_bad && i < CONTACTS_TOLD_MAX; ++i)
        json_array_append_new(
            rows, json_pack("{s:I, s:s, s:s}", "row", (json_int_t)error->rows[i].row, "pointer",
                            error->rows[i].pointer, "detail", error->rows[i].detail));
    snprintf(detail, sizeof(detail), "%zu of %zu contacts are not good; nothing was queued",
             error->num_bad, error->num_rows);
    print_pointer(error, pointer, sizeof(pointer));
    problem = problem_json(PROBLEM_BAD_REQUEST, detail);
    json_object_set_new(problem, "pointer", json_string(pointer));
    json_object_set_new(problem, "rows", rows);
    respond_document(request, PROBLEM_BAD_REQUEST, problem, 0);
}

static void respond_unread(struct request *request, int rc, const struct contacts_error *error)
{
    if (rc == CG_E_LIMIT)
        respond_problem(request, PROBLEM_BODY_TOO_LARGE, NULL,
                        "there are more than %d contacts; nothing was queued", CG_JOB_ROWS_MAX);
    else if (rc == CG_E_INVALID && error->num_bad == 0)
        respond_problem(request, PROBLEM_BAD_REQUEST, "", "%s", error->rows[0].detail);
    else if (rc == CG_E_INVALID)
        refuse_rows(request, error);
    else
        respond_problem(request, PROBLEM_INTERNAL, NULL, NULL);
}

/* The body is read; the client may have gone. */
static void end_reading(struct appending *appending)
{
    struct contacts_error *error = malloc(sizeof(*error));
    struct request *request = asking_end(appending->asking);
    int rc;

    if (error == NULL)
        abort();
    rc = contacts_reader_end(&appending->reader, &appending->ask->contacts, error);
    if (request != NULL && rc == CG_OK) {
        send_ask(request, appending->ask);
        appending->ask = NULL;
    } else if (request != NULL) {
        respond_unread(request, rc, error);
    }
    free(error);
    jobs_ask_free(&appending->ask);
    free(appending);
}

/* Some rows in each turn of the loop: other requests of the front are not kept waiting for a large body. */
static void read_on(struct message *message)
{
    struct appending *appending = (struct appending *)message;

    if (appending->asking->request != NULL &&
        contacts_reader_step(appending->reader, CG_JOB_ROWS_TURN))
        mailbox_send(&appending->asking->front->mailbox, message);
    else
        end_reading(appending);
}

static void begin_reading(struct request *request, struct appending *appending)
{
    h2o_iovec_t body = request->h2o->entity;

    appending->message.on_deliver = read_on;
    appending->reader =
        contacts_reader_new(&appending->wanted, appending->type, body.base, body.len);
    body_wipe(body.base, body.len);
    appending->asking = asking_begin_patiently(request);
    read_on(&appending->message);
}

static int check_outbound(struct request *request, const struct contract_operation *op)
{
    if (op != NULL && policy_config(request->policy)->outbound.url != NULL)
        return CG_OK;
    respond_problem(request, PROBLEM_NOT_IMPLEMENTED, NULL,
                    op == NULL ? "the contract has no operation that appends a contact"
                               : "outbound is not configured");
    return CG_E_NOTFOUND;
}

static void post_contacts(struct request *request)
{
    struct appending *appending = calloc(1, sizeof(*appending));

    if (appending == NULL)
        abort();
    appending->ask = jobs_ask_new(JOBS_APPEND);
    appending->wanted.op = contacts_operation(request->front->fronts->contract);
    if (check_outbound(request, appending->wanted.op) == CG_OK &&
        take_campaign(request, appending) == CG_OK && take_query(request, appending) == CG_OK &&
        take_type(request, appending) == CG_OK && take_key(request, appending) == CG_OK) {
        begin_reading(request, appending);
        return;
    }
    jobs_ask_free(&appending->ask);
    free(appending);
}

void serve_outbound_contacts(struct request *request)
{
    if (strcmp(request->method, "POST") == 0)
        post_contacts(request);
    else
        get_outbound_contacts(request);
}
