/*
 * The contacts of a campaign: a page as JSON, or all of them as NDJSON (application/x-ndjson), a contact a line.
 *
 * Either is made of the contact centre's pages, one after the other. As NDJSON the next one is asked for when the client has taken the one
 * before, so a stream holds one page, however long it is and however slow the client. What goes wrong after the first page can only be
 * told by breaking off: a stream that came to its end was whole.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/events/handshake.h"
#include "gateway/events/text.h"
#include "gateway/rest/outbound.h"

#define NDJSON "application/x-ndjson"

struct contacts {
    h2o_generator_t super; /* first */
    struct request *request;
    struct listing listing;
    int64_t campaign, last; /* the last contact that was put down */
    uint64_t limit, count;
    struct text text; /* JSON: the whole answer. NDJSON: the page that is being sent */
    int is_ndjson, is_started, is_cut;
};

static void ask_page(struct contacts *contacts);

static void on_dispose(void *data)
{
    text_release(&((struct contacts *)data)->text);
}

/* ---- what has come ---- */

static int add_text(const char *bytes, size_t length, void *data)
{
    text_add(data, bytes, length);
    return 0;
}

static void add_contact(struct contacts *contacts, const json_t *contact)
{
    if (!contacts->is_ndjson && contacts->count > 0)
        text_add(&contacts->text, ",", 1);
    json_dump_callback(contact, add_text, &contacts->text, JSON_COMPACT);
    if (contacts->is_ndjson)
        text_add(&contacts->text, "\n", 1);
    ++contacts->count;
    contacts->last = json_integer_value(json_object_get(contact, "contactId"));
}

static void add_page(struct contacts *contacts, const json_t *page)
{
    json_t *contact;
    size_t i;

    json_array_foreach((json_t *)page, i, contact)
    {
        if (contacts->count == contacts->limit) {
            contacts->is_cut = 1;
            return;
        }
        add_contact(contacts, contact);
    }
}

/* Nothing more is asked for. */
static int is_over(const struct contacts *contacts)
{
    return contacts->listing.ended || contacts->count == contacts->limit ||
           (!contacts->is_ndjson && contacts->text.length > CG_OUTBOUND_PAGE_BYTES_MAX);
}

/* ---- as a page ---- */

static void link_next(const struct contacts *contacts)
{
    h2o_req_t *req = contacts->request->h2o;
    char text[256];
    int length = snprintf(text, sizeof(text),
                          "</v1/outbound/campaigns/%" PRId64 "/contacts?limit=%" PRIu64
                          "&after=%" PRId64 ">; rel=\"next\"",
                          contacts->campaign, contacts->limit, contacts->last);
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_LINK, NULL,
                   h2o_strdup(&req->pool, text, (size_t)length).base, (size_t)length);
}

static void respond_page_of(struct contacts *contacts)
{
    struct request *request = contacts->request;
    int has_next = contacts->is_cut || !contacts->listing.ended;
    char text[64];

    respond_begin(request, 200, "application/json", "no-store");
    if (has_next)
        link_next(contacts);
    if (has_next)
        snprintf(text, sizeof(text), "],\"next\":%" PRId64 "}", contacts->last);
    else
        snprintf(text, sizeof(text), "],\"next\":null}");
    text_add_string(&contacts->text, text);
    respond_end(request, h2o_iovec_init(contacts->text.bytes, contacts->text.length));
}

/* ---- as a stream ---- */

static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct contacts *contacts = (struct contacts *)generator;

    (void)req;
    contacts->text.length = 0;
    ask_page(contacts);
}

static void on_stop(h2o_generator_t *generator, h2o_req_t *req)
{
    (void)generator;
    (void)req; /* the pool lets go of the rest */
}

static void start_stream(struct contacts *contacts)
{
    struct request *request = contacts->request;
    h2o_req_t *req = request->h2o;
    char text[24];

    contacts->is_started = 1;
    contacts->super.proceed = on_proceed;
    contacts->super.stop = on_stop;
    respond_begin(request, 200, NDJSON, "no-store");
    if (contacts->listing.total >= 0) {
        int length = snprintf(text, sizeof(text), "%" PRId64, contacts->listing.total);
        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("total-count"), 0, NULL,
                              h2o_strdup(&req->pool, text, (size_t)length).base, (size_t)length);
    }
    req->res.content_length = SIZE_MAX;
    h2o_start_response(req, &contacts->super);
}

static void send_page(struct contacts *contacts)
{
    h2o_iovec_t body = h2o_iovec_init(contacts->text.bytes, contacts->text.length);
    int is_last = is_over(contacts) || contacts->request->is_head;

    if (!contacts->is_started)
        start_stream(contacts);
    h2o_send(contacts->request->h2o, &body, body.len > 0 && !contacts->request->is_head ? 1 : 0,
             is_last ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

/* ---- page by page ---- */

static void on_page(struct message *message)
{
    struct outbound_ask *ask = (struct outbound_ask *)message;
    struct contacts *contacts = NULL;
    struct request *request = asking_end(ask->data);

    if (request != NULL)
        contacts = request->data;
    if (contacts == NULL) {
        outbound_ask_free(&ask);
        return;
    }
    if (ask->problem != PROBLEMS && contacts->is_started)
        h2o_send(request->h2o, NULL, 0, H2O_SEND_STATE_ERROR);
    else if (!outbound_respond_problem(request, ask)) {
        contacts->listing = ask->listing;
        add_page(contacts, ask->answer);
        if (contacts->is_ndjson)
            send_page(contacts);
        else if (is_over(contacts))
            respond_page_of(contacts);
        else
            ask_page(contacts);
    }
    outbound_ask_free(&ask);
}

static void ask_page(struct contacts *contacts)
{
    struct outbound_ask *ask =
        outbound_ask_of(contacts->request, OUTBOUND_CONTACTS, contacts->campaign);

    ask->listing = contacts->listing;
    outbound_ask_send(contacts->request, ask, on_page);
}

/* ---- as a job ---- */

static void on_job(struct message *message)
{
    struct outbound_ask *ask = (struct outbound_ask *)message;
    struct request *request = asking_end(ask->data);
    json_t *answer = ask->answer;
    h2o_req_t *req;
    char *location;

    if (request != NULL && !outbound_respond_problem(request, ask)) {
        req = request->h2o;
        location = h2o_mem_alloc_pool(&req->pool, 32 + JOB_ID_BYTES);
        snprintf(location, 32 + JOB_ID_BYTES, "/v1/outbound/jobs/%s",
                 json_string_value(json_object_get(answer, "id")));
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_LOCATION, NULL, location,
                       strlen(location));
        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("preference-applied"), 0,
                              NULL, H2O_STRLIT("respond-async"));
        ask->answer = NULL;
        respond_unkept(request, 202, answer);
    }
    outbound_ask_free(&ask);
}

static void begin_job(struct request *request, int64_t campaign, const struct outbound_query *query)
{
    struct outbound_ask *ask = outbound_ask_of(request, OUTBOUND_LIST, campaign);

    ask->listing.after = query->after;
    ask->limit = query->limit > 0 ? query->limit : UINT64_MAX;
    outbound_ask_send(request, ask, on_job);
}

/* ---- what a job has found ---- */

struct found {
    h2o_generator_t super; /* first */
    struct spool *spool;
    size_t page;
};

static void on_found_dispose(void *data)
{
    spool_unref(&((struct found *)data)->spool);
}

static void send_found(h2o_generator_t *generator, h2o_req_t *req)
{
    struct found *found = (struct found *)generator;
    const struct spool *spool = found->spool;
    h2o_iovec_t body = {NULL, 0};

    if (found->page < spool->num_pages) {
        body = h2o_iovec_init(spool->pages[found->page].bytes, spool->pages[found->page].length);
        ++found->page;
    }
    h2o_send(req, &body, body.len > 0,
             found->page < spool->num_pages ? H2O_SEND_STATE_IN_PROGRESS : H2O_SEND_STATE_FINAL);
}

static void respond_found(struct request *request, struct outbound_ask *ask)
{
    h2o_req_t *req = request->h2o;
    struct found *found = h2o_mem_alloc_shared(&req->pool, sizeof(*found), on_found_dispose);

    memset(found, 0, sizeof(*found));
    found->super.proceed = send_found;
    found->super.stop = on_stop;
    found->spool = ask->spool;
    ask->spool = NULL;
    respond_begin(request, 200, NDJSON, "no-store");
    req->res.content_length = found->spool->bytes;
    if (request->is_head)
        found->page = found->spool->num_pages;
    h2o_start_response(req, &found->super);
    send_found(&found->super, req);
}

static void on_found(struct message *message)
{
    struct outbound_ask *ask = (struct outbound_ask *)message;
    struct request *request = asking_end(ask->data);

    if (request != NULL && !outbound_respond_problem(request, ask))
        respond_found(request, ask);
    outbound_ask_free(&ask);
}

void get_outbound_listed(struct request *request)
{
    struct outbound_ask *ask;

    if (request->id_length != JOB_ID_BYTES) {
        respond_problem(request, PROBLEM_NOT_FOUND, NULL, NULL);
        return;
    }
    ask = outbound_ask_of(request, OUTBOUND_LISTED, 0);
    memcpy(ask->job, request->id, JOB_ID_BYTES);
    outbound_ask_send(request, ask, on_found);
}

/* ---- the request ---- */

static int wants_ndjson(const struct request *request)
{
    const h2o_headers_t *headers = &request->h2o->headers;
    ssize_t at = -1;

    while ((at = h2o_find_header(headers, H2O_TOKEN_ACCEPT, at)) != -1)
        if (handshake_accepts(headers->entries[at].value.base, headers->entries[at].value.len,
                              NDJSON))
            return 1;
    return 0;
}

void get_outbound_contacts(struct request *request)
{
    struct outbound_query query;
    struct contacts *contacts;
    int64_t campaign;

    if (outbound_take_campaign(request, &campaign) != CG_OK ||
        outbound_query_take(request, QUERY_LIMIT | QUERY_AFTER, &query) != CG_OK)
        return;
    outbound_query_release(&query);
    if (!request->is_head && request_prefers(request, "respond-async")) {
        begin_job(request, campaign, &query);
        return;
    }
    contacts = h2o_mem_alloc_shared(&request->h2o->pool, sizeof(*contacts), on_dispose);
    memset(contacts, 0, sizeof(*contacts));
    contacts->request = request;
    contacts->campaign = campaign;
    contacts->last = contacts->listing.after = query.after;
    contacts->is_ndjson = wants_ndjson(request);
    contacts->limit = query.limit > 0       ? query.limit
                      : contacts->is_ndjson ? UINT64_MAX
                                            : CG_PAGE_DEFAULT;
    if (!contacts->is_ndjson)
        text_add_string(&contacts->text, "{\"items\":[");
    request->data = contacts;
    ask_page(contacts);
}
