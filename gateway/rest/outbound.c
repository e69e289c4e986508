/* /v1/outbound: campaigns, and one contact at a time. Lists of contacts are in outbound_list.c. */
#include "gateway/rest/outbound.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/owner.h"
#include "cctgate/timestamp.h"
#include "gateway/rest/intake.h"
#include "gateway/rest/reading.h"

#define BY_FIELD "-" /* in the place of a contact's id */

/* ---- asking ---- */

struct outbound_ask *outbound_ask_of(struct request *request, enum outbound_question question,
                                     int64_t campaign)
{
    struct outbound_ask *ask = outbound_ask_new(question);

    ask->campaign = campaign;
    ask->policy = policy_ref(request->policy);
    ask->access = request->access;
    memcpy(ask->traceparent, request->traceparent, sizeof(ask->traceparent));
    return ask;
}

/* What is about people is not kept, so a request for what is kept has no answer. */
static int is_uncached(const struct outbound_ask *ask)
{
    return ask->question != OUTBOUND_CAMPAIGNS && ask->question != OUTBOUND_ONE &&
           ask->question != OUTBOUND_CLOSE && ask->question != OUTBOUND_LISTED;
}

void outbound_ask_send(struct request *request, struct outbound_ask *ask,
                       void (*on_reply)(struct message *))
{
    if (request->directives.only_if_cached && is_uncached(ask)) {
        outbound_ask_free(&ask);
        respond_problem(request, PROBLEM_NOT_CACHED, NULL, NULL);
        return;
    }
    ask->data = asking_begin_patiently(request);
    ask->reply_to = &request->front->mailbox;
    ask->on_reply = on_reply;
    owner_outbound_send(request->front->owner, ask);
}

int outbound_respond_problem(struct request *request, struct outbound_ask *ask)
{
    if (ask->problem == PROBLEMS)
        return 0;
    respond_document(request, ask->problem, json_incref(ask->answer), ask->retry_after_ms);
    return 1;
}

/* ---- campaigns ---- */

/* The owner speaks in Unix ms, clients read RFC 3339. */
static void set_time(json_t *json)
{
    json_t *since = json_object_get(json, "staleSince");
    char text[TIMESTAMP_BYTES];

    if (!json_is_integer(since))
        return;
    timestamp_print(text, json_integer_value(since));
    json_object_set_new(json, "staleSince", json_string(text));
}

/* FNV-1a */
static uint64_t hash_of(h2o_iovec_t body)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    size_t i;
    for (i = 0; i < body.len; ++i)
        hash = (hash ^ (unsigned char)body.base[i]) * UINT64_C(1099511628211);
    return hash;
}

static void put_cache_status(const struct outbound_ask *ask, char *at)
{
    at = put_text(at, "cctgate; ");
    if (!ask->called) {
        at = put_text(at, "hit");
    } else {
        at = put_text(put_text(at, "fwd="),
                      freshness_reason_name(ask->freshness.reason != FORWARD_NONE
                                                ? ask->freshness.reason
                                                : FORWARD_MISS));
        at =
            put_text(at, ask->freshness.label == SYNC_STALE ? "; detail=served-stale" : "; stored");
    }
    *put_decimal(put_text(at, "; ttl="), floor_seconds(ask->freshness.ttl_ms)) = '\0';
}

static void count_cache(struct request *request, const struct outbound_ask *ask)
{
    if (ask->called)
        COUNT(request->front, misses);
    else
        COUNT(request->front, hits);
    if (ask->freshness.label == SYNC_STALE)
        COUNT(request->front, stale);
}

static void respond_campaigns(struct request *request, const struct outbound_ask *ask,
                              h2o_iovec_t link)
{
    struct representation r = {{NULL, 0}, "", "", "", -1, NULL, {NULL, 0}};
    char *text = json_dumps(ask->answer, JSON_COMPACT);

    if (text == NULL)
        abort();
    r.body = h2o_strdup(&request->h2o->pool, text, SIZE_MAX);
    free(text);
    *put_text(put_hex(put_text(r.etag, "\"c"), hash_of(r.body)), "\"") = '\0';
    put_cache_status(ask, r.cache_status);
    r.age_ms = ask->age_ms;
    r.link = link;
    count_cache(request, ask);
    respond(request, 200, &r);
}

static h2o_iovec_t next_campaigns(struct request *request, json_int_t last)
{
    char *text = h2o_mem_alloc_pool(&request->h2o->pool, 128), *at = text;

    at = put_decimal(put_text(at, "</v1/outbound/campaigns?limit="), request->limit);
    at = put_text(put_decimal(put_text(at, "&after="), last), ">; rel=\"next\"");
    return h2o_iovec_init(text, (size_t)(at - text));
}

/* The page that was asked for; they come in the order of their ids. Gives a link to the next. */
static h2o_iovec_t cut_page(struct request *request, json_t *items, int64_t after)
{
    size_t i = 0;

    while (i < json_array_size(items)) {
        json_t *item = json_array_get(items, i);
        if (json_integer_value(json_object_get(item, "id")) <= after)
            json_array_remove(items, i);
        else if (i == request->limit)
            break;
        else
            ++i;
    }
    if (i == json_array_size(items))
        return (h2o_iovec_t){NULL, 0};
    while (json_array_size(items) > i)
        json_array_remove(items, i);
    return next_campaigns(request,
                          json_integer_value(json_object_get(json_array_get(items, i - 1), "id")));
}

static void on_campaigns(struct message *message)
{
    struct outbound_ask *ask = (struct outbound_ask *)message;
    struct request *request = asking_end(ask->data);
    json_t *items = json_object_get(ask->answer, "items"), *item;
    h2o_iovec_t link = {NULL, 0};
    size_t i;

    if (request != NULL && !outbound_respond_problem(request, ask)) {
        set_time(ask->answer);
        json_array_foreach(items, i, item) set_time(item);
        if (items != NULL)
            link = cut_page(request, items, ask->contact);
        respond_campaigns(request, ask, link);
    }
    outbound_ask_free(&ask);
}

void get_outbound_campaigns(struct request *request)
{
    struct outbound_ask *ask;
    int64_t after = -1;

    if (request->after_length > 0 &&
        outbound_take_number(request->after, INT64_MAX, &after) != CG_OK) {
        respond_problem(request, PROBLEM_BAD_REQUEST, "?after",
                        "after: expected the id that the last page ended with");
        return;
    }
    ask = outbound_ask_of(request, OUTBOUND_CAMPAIGNS, 0);
    ask->contact = after;
    ask->directives = request->directives;
    outbound_ask_send(request, ask, on_campaigns);
}

void get_outbound_campaign(struct request *request)
{
    struct outbound_ask *ask;
    int64_t campaign;

    if (outbound_take_campaign(request, &campaign) != CG_OK)
        return;
    ask = outbound_ask_of(request, OUTBOUND_ONE, campaign);
    ask->directives = request->directives;
    outbound_ask_send(request, ask, on_campaigns);
}

/* ---- a contact ---- */

static void on_answer(struct message *message)
{
    struct outbound_ask *ask = (struct outbound_ask *)message;
    struct request *request = asking_end(ask->data);
    json_t *answer = ask->answer;

    if (request != NULL && ask->replayed)
        h2o_add_header_by_str(&request->h2o->pool, &request->h2o->res.headers,
                              H2O_STRLIT("idempotency-replayed"), 0, NULL, H2O_STRLIT("true"));
    if (request != NULL && !outbound_respond_problem(request, ask)) {
        ask->answer = NULL;
        respond_unkept(request, 200, answer);
    }
    outbound_ask_free(&ask);
}

/* By its id, or by a custom field where the path has "-" for it. */
static int take_contact(struct request *request, const struct outbound_query *query,
                        struct outbound_ask *ask)
{
    int by_field = (query->given & QUERY_FIELD) != 0;

    if (strcmp(request->sub_id, BY_FIELD) == 0 && by_field) {
        ask->by_field = 1;
        return CG_OK;
    }
    if (by_field || strcmp(request->sub_id, BY_FIELD) == 0) {
        respond_problem(request, PROBLEM_BAD_REQUEST, "?customField",
                        "customField: expected together with `" BY_FIELD
                        "` in the place of the contact's id");
        return CG_E_INVALID;
    }
    if (outbound_take_number(request->sub_id, INT64_MAX, &ask->contact) == CG_OK)
        return CG_OK;
    respond_problem(request, PROBLEM_NOT_FOUND, NULL, NULL);
    return CG_E_NOTFOUND;
}

static struct outbound_ask *contact_ask(struct request *request, enum outbound_question question)
{
    struct outbound_query query;
    struct outbound_ask *ask;
    int64_t campaign;

    if (outbound_take_campaign(request, &campaign) != CG_OK ||
        outbound_query_take(request, QUERY_FIELD, &query) != CG_OK)
        return NULL;
    ask = outbound_ask_of(request, question, campaign);
    ask->words = outbound_query_words(&query);
    if (take_contact(request, &query, ask) != CG_OK)
        outbound_ask_free(&ask);
    outbound_query_release(&query);
    return ask;
}

void get_outbound_contact(struct request *request)
{
    struct outbound_ask *ask = contact_ask(request, OUTBOUND_STATUS);
    if (ask != NULL)
        outbound_ask_send(request, ask, on_answer);
}

static int refuse_body(struct request *request, const char *pointer, const char *detail)
{
    respond_problem(request, PROBLEM_BAD_REQUEST, pointer, "%s", detail);
    return CG_E_INVALID;
}

static int take_word(struct request *request, const char *name, json_t *value, json_t *words)
{
    char pointer[CG_ID_BYTES_MAX];

    snprintf(pointer, sizeof(pointer), "/%s", name);
    if (strcmp(name, "disposition") != 0 && strcmp(name, "text") != 0)
        return refuse_body(request, pointer, "expected disposition and text, found another member");
    if (!json_is_string(value) || json_string_length(value) > CG_COMMAND_TEXT_BYTES_MAX ||
        strlen(json_string_value(value)) != json_string_length(value))
        return refuse_body(request, pointer, "expected a string");
    json_object_set(words, name, value);
    return CG_OK;
}

/* {"disposition","text"}: each may be left out. */
static int take_closing(struct request *request, json_t *words)
{
    h2o_iovec_t entity = request->h2o->entity;
    struct intake_error error;
    json_t *body, *value;
    const char *name;
    int rc = CG_OK;

    json_object_set_new(words, "disposition", json_string("Completed"));
    if (entity.len == 0)
        return CG_OK;
    if ((body = intake_body(entity.base, entity.len, &error)) == NULL)
        return refuse_body(request, "", error.detail);
    if (!json_is_object(body))
        rc = refuse_body(request, "", "expected an object");
    json_object_foreach(body, name, value) if (rc == CG_OK) rc =
        take_word(request, name, value, words);
    json_decref(body);
    return rc;
}

static int take_key(struct request *request, struct outbound_ask *ask)
{
    h2o_iovec_t key;

    if (request_only_header(request, "idempotency-key", &key) != CG_OK)
        return CG_E_INVALID;
    if (key.base == NULL || intake_key(ask->key, key.base, key.len) == CG_OK)
        return CG_OK;
    respond_problem(request, PROBLEM_BAD_REQUEST, NULL,
                    "Idempotency-Key: expected 1 to %d visible ASCII characters, bare or quoted",
                    COMMAND_KEY_BYTES_MAX);
    return CG_E_INVALID;
}

void post_outbound_close(struct request *request)
{
    struct outbound_ask *ask = contact_ask(request, OUTBOUND_CLOSE);

    if (ask == NULL)
        return;
    if (take_key(request, ask) == CG_OK && take_closing(request, ask->words) == CG_OK)
        outbound_ask_send(request, ask, on_answer);
    else
        outbound_ask_free(&ask);
}

/* ---- searching ---- */

static int check_phone(struct request *request, const json_t *words)
{
    if (json_object_get(json_object_get(words, "phone"), "phoneNo") != NULL)
        return CG_OK;
    respond_problem(request, PROBLEM_BAD_REQUEST, "?phone",
                    "phone: expected a number as its last part, which must not be empty");
    return CG_E_INVALID;
}

/* By what is searched: one of the two. */
static int take_search(struct request *request, const struct outbound_query *query,
                       enum outbound_question *question)
{
    unsigned by = query->given & (QUERY_PHONE | QUERY_FIELD);

    *question = by == QUERY_PHONE ? OUTBOUND_BY_PHONE : OUTBOUND_BY_FIELD;
    if (by == QUERY_PHONE)
        return check_phone(request, query->words);
    if (by == QUERY_FIELD)
        return CG_OK;
    respond_problem(request, PROBLEM_BAD_REQUEST, "?", "expected either phone or customField");
    return CG_E_INVALID;
}

void get_outbound_search(struct request *request)
{
    struct outbound_query query;
    enum outbound_question question;
    struct outbound_ask *ask;
    int64_t campaign;

    if (outbound_take_campaign(request, &campaign) != CG_OK ||
        outbound_query_take(request, QUERY_PHONE | QUERY_FIELD | QUERY_STATUS, &query) != CG_OK)
        return;
    if (take_search(request, &query, &question) == CG_OK) {
        ask = outbound_ask_of(request, question, campaign);
        ask->words = outbound_query_words(&query);
        outbound_ask_send(request, ask, on_answer);
    }
    outbound_query_release(&query);
}

void get_outbound_contact_id(struct request *request)
{
    struct outbound_query query;
    struct outbound_ask *ask;
    int64_t campaign;

    if (outbound_take_campaign(request, &campaign) != CG_OK ||
        outbound_query_take(request, QUERY_PHONE, &query) != CG_OK)
        return;
    if ((query.given & QUERY_PHONE) == 0) {
        respond_problem(request, PROBLEM_BAD_REQUEST, "?phone",
                        "phone: expected <int>-<area>-<no>, of which parts may be blank");
    } else {
        ask = outbound_ask_of(request, OUTBOUND_CONTACT_ID, campaign);
        ask->words = outbound_query_words(&query);
        outbound_ask_send(request, ask, on_answer);
    }
    outbound_query_release(&query);
}
