/*
 * Questions of clients, in steps: is there such a campaign (and such a disposition), is it my turn, what does the contact centre say. Which
 * operation answers which question, and what goes into its elements, is the table below and stands nowhere else.
 */
#include "gateway/outbound/ask.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/control.h"
#include "cctgate/durable.h"
#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/outbound_shape.h"
#include "gateway/outbound/client_private.h"
#include "gateway/outbound/fault.h"
#include "gateway/outbound/list_job.h"

#define TOO_FAST_TRIES 3 /* somebody else calls, too: how often a close takes another turn */

/* ---- the table ---- */

enum source {
    FROM_NOTHING,
    FROM_CAMPAIGN,
    FROM_AFTER,
    FROM_CONTACT,
    FROM_BY_FIELD,
    FROM_FIELD_NAME,
    FROM_FIELD_VALUE,
    FROM_FIELD,
    FROM_PHONE,
    FROM_STATUS,
    FROM_TEXT,
    FROM_DISPOSITION,
    FROM_TRUE
};

static const struct facade_row {
    const char *service, *operation;
    struct {
        const char *member;
        enum source source;
    } arguments[10];
} rows[OUTBOUND_QUESTIONS] = {
    [OUTBOUND_CONTACTS] = {OUTBOUND_CAMPAIGN,
                           "Get200CampaignContacts",
                           {{"CampaignID", FROM_CAMPAIGN}, {"LastContactID", FROM_AFTER}}},
    [OUTBOUND_STATUS] = {OUTBOUND_CONTACT,
                         "GetContactStatus",
                         {{"contactId", FROM_CONTACT},
                          {"campaignID", FROM_CAMPAIGN},
                          {"customFieldName", FROM_FIELD_NAME},
                          {"customFieldValue", FROM_FIELD_VALUE},
                          {"customFieldPassed", FROM_BY_FIELD}}},
    [OUTBOUND_CLOSE] = {OUTBOUND_CONTACT,
                        "CloseContact",
                        {{"campaignId", FROM_CAMPAIGN},
                         {"contactId", FROM_CONTACT},
                         {"customFieldName", FROM_FIELD_NAME},
                         {"customFieldValue", FROM_FIELD_VALUE},
                         {"customFieldSpecified", FROM_BY_FIELD},
                         {"closureText", FROM_TEXT},
                         {"closedReasonCodeValue", FROM_DISPOSITION},
                         {"closedReasonCodeSpecified", FROM_TRUE}}},
    [OUTBOUND_CONTACT_ID] = {OUTBOUND_CONTACT,
                             "GetContactIDByPhoneNumber",
                             {{"phoneNumber", FROM_PHONE}, {"CampaignID", FROM_CAMPAIGN}}},
    [OUTBOUND_BY_PHONE] = {OUTBOUND_CONTACT,
                           "FindContactsByPhoneNumber",
                           {{"ContactStatus", FROM_STATUS},
                            {"CampaignID", FROM_CAMPAIGN},
                            {"PhoneNumber", FROM_PHONE}}},
    [OUTBOUND_BY_FIELD] = {OUTBOUND_CONTACT,
                           "FindContactsByCustomField",
                           {{"ContactStatus", FROM_STATUS},
                            {"CampaignID", FROM_CAMPAIGN},
                            {"CustomField", FROM_FIELD}}},
};

static json_t *word(const struct outbound_ask *ask, const char *name)
{
    return json_object_get(ask->words, name);
}

static json_t *field_word(const struct outbound_ask *ask, const char *name)
{
    return ask->by_field ? json_incref(json_object_get(word(ask, "customField"), name)) : NULL;
}

/* Its Id where the contact centre has told it, else 0: then its name counts (NOTES.md, "Narrowing by ContactStatus"). */
static json_t *status_word(const struct outbound_ask *ask)
{
    json_t *name = word(ask, "status"), *known;

    if (name == NULL)
        return NULL;
    known = json_object_get(ask->outbound->statuses, json_string_value(name));
    return json_pack("{s:I, s:O}", "id", known != NULL ? json_integer_value(known) : (json_int_t)0,
                     "name", name);
}

static json_t *search_field(const struct outbound_ask *ask)
{
    json_t *field = json_copy(word(ask, "customField"));
    json_object_set_new(field, "isTextVisible", json_true()); /* asked for, and ignored */
    return field;
}

/* As clients see it: a new reference, NULL to leave the element out. */
static json_t *client_value(const struct outbound_ask *ask, enum source source)
{
    switch (source) {
    case FROM_CAMPAIGN:
        return json_integer(ask->campaign);
    case FROM_AFTER:
        return json_integer(ask->listing.after);
    case FROM_CONTACT:
        return json_integer(ask->by_field ? 0 : ask->contact);
    case FROM_BY_FIELD:
        return json_boolean(ask->by_field);
    case FROM_FIELD_NAME:
        return field_word(ask, "name");
    case FROM_FIELD_VALUE:
        return field_word(ask, "text");
    case FROM_FIELD:
        return search_field(ask);
    case FROM_PHONE:
        return json_incref(word(ask, "phone"));
    case FROM_STATUS:
        return status_word(ask);
    case FROM_TEXT:
        return json_incref(word(ask, "text"));
    case FROM_DISPOSITION:
        return json_integer(ask->disposition);
    default:
        return json_true();
    }
}

/* CG_OK: *arguments is a new reference. CG_E_INVALID: the contract at hand does not take what is asked. */
static int make_arguments(const struct outbound_ask *ask, json_t **arguments,
                          struct codec_error *error)
{
    const struct facade_row *row = &rows[ask->question];
    size_t i;
    int rc = CG_OK;

    *arguments = json_object();
    for (i = 0; rc == CG_OK && row->arguments[i].member != NULL; ++i) {
        json_t *client = client_value(ask, row->arguments[i].source), *wire = NULL;
        if (client == NULL)
            continue;
        rc = outbound_to_wire(ask->op, row->arguments[i].member, client, NULL, &wire, error);
        json_decref(client);
        if (rc == CG_OK)
            json_object_set_new(*arguments, row->arguments[i].member, wire);
    }
    if (rc != CG_OK) {
        json_decref(*arguments);
        *arguments = NULL;
    }
    return rc;
}

/* ---- how a question ends ---- */

struct outbound_ask *outbound_ask_new(enum outbound_question question)
{
    struct outbound_ask *ask = calloc(1, sizeof(*ask));

    if (ask == NULL)
        abort();
    ask->question = question;
    ask->problem = PROBLEMS;
    freshness_directives_init(&ask->directives);
    return ask;
}

void outbound_ask_free(struct outbound_ask **ask)
{
    if (*ask != NULL) {
        json_decref((*ask)->words);
        json_decref((*ask)->answer);
        spool_unref(&(*ask)->spool);
        policy_unref(&(*ask)->policy);
    }
    free(*ask);
    *ask = NULL;
}

static void deliver(struct outbound_ask *ask)
{
    ask->found = NULL;
    if (ask->outbound != NULL)
        --ask->outbound->asks;
    ask->message.on_deliver = ask->on_reply;
    mailbox_send(ask->reply_to, &ask->message);
}

static void on_audited(struct message *message)
{
    struct outbound_ask *ask = ((struct durable_done *)message)->data;

    free(message);
    if (ask->entry != NULL)
        commands_kept_told(ask->commands, ask->entry);
    deliver(ask);
}

/* Who closed which contact: its id alone, and not what it was found by. */
static json_t *audit_of(const struct outbound_ask *ask)
{
    const char *outcome = json_string_value(json_object_get(ask->answer, "outcome"));
    char object[128] = "-";

    if (!ask->by_field)
        snprintf(object, sizeof(object), "%" PRId64, ask->contact);
    char path[sizeof(object) + 96];
    snprintf(path, sizeof(path), "/v1/outbound/campaigns/%" PRId64 "/contacts/%s", ask->campaign,
             object);
    return audit_entry_json(&(struct audit_entry){
        .what = ask->tries > 0 ? "command" : "refused",
        .application = ask->access != NULL ? ask->access->application : NULL,
        .door = "http",
        .command = "closeContact",
        .object = path,
        .service = ask->op != NULL ? ask->op->service->name : NULL,
        .operation = ask->op != NULL ? ask->op->name : NULL,
        .outcome = ask->problem == PROBLEMS ? "done"
                   : outcome != NULL        ? outcome
                                            : "notDone",
        .problem = ask->problem != PROBLEMS ? problem_rows[ask->problem].slug : NULL,
        .fault = ask->fault[0] != '\0' ? ask->fault : NULL});
}

/* Nothing was done that could be done twice, or it was turned away with a time to try again (outcomes.c): the key is free. */
static int leaves_key(const struct outbound_ask *ask)
{
    const char *outcome = json_string_value(json_object_get(ask->answer, "outcome"));

    if (ask->problem == PROBLEMS || (outcome != NULL && strcmp(outcome, "notDone") != 0))
        return 0;
    return ask->tries == 0 || (problem_rows[ask->problem].status == 503 && ask->retry_after_ms > 0);
}

static void end_key(struct outbound_ask *ask, struct durable_batch *batch)
{
    int is_problem = ask->problem != PROBLEMS;

    if (ask->entry != NULL)
        commands_kept_end(ask->entry, is_problem ? problem_rows[ask->problem].status : 200,
                          is_problem, leaves_key(ask) ? NULL : ask->answer, batch);
}

static void end(struct outbound_ask *ask)
{
    struct outbound *outbound = ask->outbound;
    struct durable_batch *batch;

    if (ask->question != OUTBOUND_CLOSE || outbound == NULL || outbound->durable == NULL) {
        deliver(ask);
        return;
    }
    batch = durable_batch_new();
    durable_append(batch, audit_of(ask));
    end_key(ask, batch);
    durable_submit(outbound->durable, batch, &outbound->loop->mailbox, on_audited, ask);
}

static void answer(struct outbound_ask *ask, json_t *json)
{
    if (json == NULL)
        abort();
    ask->answer = json;
    end(ask);
}

static void refuse_with(struct outbound_ask *ask, enum problem problem, json_t *members,
                        const char *detail)
{
    json_t *json = problem_json(problem, detail);

    if (json == NULL && (json = problem_json(problem, NULL)) == NULL)
        abort();
    if (members != NULL)
        json_object_update(json, members);
    json_decref(members);
    ask->problem = problem;
    answer(ask, json);
}

static void refuse(struct outbound_ask *ask, enum problem problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void refuse(struct outbound_ask *ask, enum problem problem, const char *format, ...)
{
    char detail[CG_ERROR_TEXT_MAX] = "";
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    refuse_with(ask, problem, NULL, detail);
}

static void refuse_campaign(struct outbound_ask *ask)
{
    refuse(ask, PROBLEM_CAMPAIGN_NOT_ACTIVE, "%" PRId64 " is no active campaign", ask->campaign);
}

static enum problem problem_of(const struct outbound_outcome *outcome)
{
    switch (outcome->reason) {
    case OUTBOUND_IN_USE:
        return PROBLEM_ALREADY_LOGGED_IN;
    case OUTBOUND_DENIED:
        return PROBLEM_SESSION_DENIED;
    case OUTBOUND_EXPIRED:
        return PROBLEM_SESSION_LOST;
    case OUTBOUND_TOO_FAST:
        return PROBLEM_OVERLOADED;
    default:
        if (outcome->rc == CG_E_INVALID) /* a text that XML cannot carry */
            return PROBLEM_BAD_REQUEST;
        return problem_of_error(outcome->rc == CG_E_NOTFOUND ? CG_E_PROTOCOL : outcome->rc);
    }
}

static void fail(struct outbound_ask *ask, const struct outbound_outcome *outcome)
{
    const struct contract_operation *op = outcome->op;
    const char *detail = outcome->fault != NULL   ? outcome->fault->message
                         : outcome->error != NULL ? outcome->error->text
                                                  : NULL;
    json_t *members = json_object();
    char blotted[CG_ERROR_TEXT_MAX];

    if (ask->question == OUTBOUND_CLOSE && detail != NULL) { /* it may be kept, by its key */
        snprintf(blotted, sizeof(blotted), "%s", detail);
        outbound_fault_blot(blotted, json_string_value(word(ask, "text")));
        outbound_fault_blot(blotted,
                            json_string_value(json_object_get(word(ask, "customField"), "text")));
        detail = blotted;
    }
    if (outcome->fault != NULL) {
        snprintf(ask->fault, sizeof(ask->fault), "%s", outcome->fault->name);
        json_object_set_new(members, "fault", json_string(outcome->fault->name));
    }
    if (op != NULL) {
        json_object_set_new(members, "service", json_string(op->service->name));
        json_object_set_new(members, "operation", json_string(op->name));
    }
    if (ask->question == OUTBOUND_CLOSE)
        json_object_set_new(members, "outcome",
                            json_string(outcome->unknown ? "unknown" : "notDone"));
    ask->retry_after_ms = outcome->retry_after_ms;
    refuse_with(ask, problem_of(outcome), members, detail);
}

/* ---- the campaigns ---- */

static void add_sync(json_t *json, const struct freshness *f)
{
    json_object_set_new(json, "sync", json_string(sync_label_name(f->label)));
    /* the owner speaks in Unix ms; the front makes a time of it */
    json_object_set_new(json, "staleSince",
                        f->label == SYNC_STALE ? json_integer(f->stale_since_ms) : json_null());
}

static json_t *list_statuses(const struct outbound *outbound)
{
    json_t *list = json_array(), *id;
    const char *name;

    json_object_foreach(outbound->statuses, name, id)
        json_array_append_new(list, json_pack("{s:O, s:s}", "id", id, "name", name));
    return list;
}

/* Nothing is shared with what the owner keeps: another thread is to have it. */
static json_t *show(const struct outbound_ask *ask, const json_t *campaign)
{
    json_t *copy = json_deep_copy(campaign);

    json_object_set_new(copy, "statuses", list_statuses(ask->outbound));
    add_sync(copy, &ask->freshness);
    return copy;
}

static void show_campaigns(struct outbound_ask *ask)
{
    const struct campaigns *campaigns = &ask->outbound->campaigns;
    json_t *items = json_array(), *campaign, *json;
    size_t i;

    ask->age_ms = clock_unix_ms() - campaigns->fetched_at_ms;
    if (ask->question == OUTBOUND_ONE) {
        json_decref(items);
        if ((campaign = outbound_find_campaign(ask->outbound, ask->campaign)) == NULL)
            refuse_campaign(ask);
        else
            answer(ask, show(ask, campaign));
        return;
    }
    json_array_foreach(campaigns->items, i, campaign)
        json_array_append_new(items, show(ask, campaign));
    json = json_pack("{s:o}", "items", items);
    add_sync(json, &ask->freshness);
    answer(ask, json);
}

struct fetching {
    struct campaigns_waiter waiter;
    struct outbound_ask *ask; /* NULL: nobody waits */
};

static void on_fetched(struct campaigns_waiter *waiter, const struct outbound_outcome *outcome)
{
    struct outbound_ask *ask = ((struct fetching *)waiter)->ask;
    enum freshness_reason reason;
    int serve = 0;

    free(waiter);
    if (ask == NULL)
        return;
    if (outcome->rc != CG_OK)
        serve = ask->freshness.serve_on_error && !ask->directives.no_cache &&
                ask->outbound->campaigns.items != NULL;
    if (outcome->rc != CG_OK && !serve) {
        fail(ask, outcome);
        return;
    }
    reason = ask->freshness.reason;
    freshness_directives_init(&ask->directives); /* what has just been fetched will do */
    ask->directives.only_if_cached = 1;
    ask->freshness = outbound_judge_campaigns(ask->outbound, &ask->directives, clock_unix_ms());
    ask->freshness.reason = reason;
    if (outcome->rc == CG_OK)
        ask->freshness.label = SYNC_CACHED;
    show_campaigns(ask);
}

static void fetch(struct outbound *outbound, struct outbound_ask *ask)
{
    struct fetching *fetching = calloc(1, sizeof(*fetching));

    if (fetching == NULL)
        abort();
    fetching->waiter.on_done = on_fetched;
    fetching->ask = ask;
    if (ask != NULL)
        ask->called = 1;
    outbound_fetch_campaigns(outbound, &fetching->waiter);
}

static int is_missing(const struct outbound_ask *ask)
{
    return ask->question == OUTBOUND_ONE &&
           outbound_find_campaign(ask->outbound, ask->campaign) == NULL;
}

static void run_campaigns(struct outbound_ask *ask)
{
    struct outbound *outbound = ask->outbound;

    ask->freshness = outbound_judge_campaigns(outbound, &ask->directives, clock_unix_ms());
    if (ask->freshness.action == FRESHNESS_NOTHING) {
        refuse_with(ask, PROBLEM_NOT_CACHED, NULL, NULL);
        return;
    }
    if (ask->freshness.action == FRESHNESS_FETCH ||
        (is_missing(ask) && !ask->directives.only_if_cached)) {
        fetch(outbound, ask);
        return;
    }
    if ((ask->freshness.action == FRESHNESS_SERVE_AND_REFRESH ||
         ask->freshness.label == SYNC_STALE) &&
        !outbound->campaigns.fetching)
        fetch(outbound, NULL);
    show_campaigns(ask);
}

/* ---- what the contact centre says ---- */

static void learn_status(struct outbound *outbound, const json_t *status)
{
    const char *name = json_string_value(json_object_get(status, "name"));
    json_t *id = json_object_get(status, "id");

    if (name != NULL && *name != '\0' && strlen(name) <= CG_ID_BYTES_MAX && json_is_integer(id) &&
        (json_object_get(outbound->statuses, name) != NULL ||
         json_object_size(outbound->statuses) < CG_OUTBOUND_STATUSES_MAX))
        json_object_set(outbound->statuses, name, id);
}

static void answer_status(struct outbound_ask *ask, json_t *value)
{
    json_t *status = value != NULL ? outbound_to_client(value) : NULL;

    if (!json_is_object(status)) {
        json_decref(status);
        refuse(ask, PROBLEM_NOT_FOUND, "the campaign has no such contact");
        return;
    }
    learn_status(ask->outbound, status);
    answer(ask, json_pack("{s:I, s:o*, s:o}", "campaignId", (json_int_t)ask->campaign, "contactId",
                          ask->by_field ? NULL : json_integer(ask->contact), "status", status));
}

static void answer_contacts(struct outbound_ask *ask, json_t *value)
{
    json_t *client = value != NULL ? outbound_to_client(value) : NULL;

    ask->answer = listing_take(&ask->listing, outbound_list(client));
    json_decref(client);
    end(ask);
}

static void answer_found(struct outbound_ask *ask, json_t *value)
{
    json_t *client = value != NULL ? outbound_to_client(value) : NULL,
           *list = outbound_list(client), *items = json_array(), *contact;
    size_t i;

    json_array_foreach(list, i, contact) if (json_is_object(contact))
        json_array_append(items, contact);
    json_decref(client);
    answer(ask, json_pack("{s:o}", "items", items));
}

static void answer_contact_id(struct outbound_ask *ask, json_t *value)
{
    json_int_t id = json_integer_value(value);

    if (id < 0)
        refuse(ask, PROBLEM_NOT_FOUND, "no contact of the campaign has this phone number");
    else
        answer(ask,
               json_pack("{s:I, s:I}", "campaignId", (json_int_t)ask->campaign, "contactId", id));
}

/* NOTES.md, "CloseContactResult": no fault, and above 0. */
static void answer_closed(struct outbound_ask *ask, json_t *value)
{
    json_int_t result = json_integer_value(value);

    if (result <= 0) {
        refuse_with(ask, PROBLEM_UPSTREAM_FAULT,
                    json_pack("{s:s, s:I, s:s, s:s}", "outcome", "notDone", "value", result,
                              "service", ask->op->service->name, "operation", ask->op->name),
                    "the contact centre answered with a value that is no success");
        return;
    }
    answer(ask,
           json_pack("{s:I, s:o*, s:s, s:I}", "campaignId", (json_int_t)ask->campaign, "contactId",
                     ask->by_field ? NULL : json_integer(ask->contact), "disposition",
                     json_string_value(word(ask, "disposition")), "value", result));
}

static void (*const answers[OUTBOUND_QUESTIONS])(struct outbound_ask *, json_t *) = {
    [OUTBOUND_CONTACTS] = answer_contacts, [OUTBOUND_STATUS] = answer_status,
    [OUTBOUND_CLOSE] = answer_closed,      [OUTBOUND_CONTACT_ID] = answer_contact_id,
    [OUTBOUND_BY_PHONE] = answer_found,    [OUTBOUND_BY_FIELD] = answer_found,
};

/* Refused with a good key. The campaigns were asked for again meanwhile: is it still one of them? */
static void on_fault(struct outbound_ask *ask, const struct outbound_outcome *outcome)
{
    if (outcome->reason == OUTBOUND_OTHER &&
        outbound_find_campaign(ask->outbound, ask->campaign) == NULL) {
        refuse_campaign(ask);
    } else if (ask->question == OUTBOUND_CONTACTS && listing_is_whole(&ask->listing)) {
        ask->listing.ended = 1;
        answer(ask, json_array());
    } else if (ask->question == OUTBOUND_STATUS && outcome->reason == OUTBOUND_OTHER) {
        answer_status(ask, NULL);
    } else {
        fail(ask, outcome);
    }
}

static void on_answer(void *data, const struct outbound_outcome *outcome)
{
    struct outbound_ask *ask = data;

    if (ask->question == OUTBOUND_CLOSE)
        outbound_turn_end(ask->outbound, &ask->turn);
    if (outcome->reason == OUTBOUND_TOO_FAST && ask->tries < TOO_FAST_TRIES &&
        ask->outbound->state < LOGIN_LEAVING) {
        outbound_turn_ask(ask->outbound, &ask->turn);
        return;
    }
    if (outcome->rc == CG_OK)
        answers[ask->question](ask, outbound_value(outcome->result));
    else if (outcome->rc == CG_E_FAULT)
        on_fault(ask, outcome);
    else
        fail(ask, outcome);
}

static void call(struct outbound_ask *ask)
{
    struct codec_error error;
    json_t *arguments;
    int rc = make_arguments(ask, &arguments, &error);

    if (rc != CG_OK) {
        outbound_turn_end(ask->outbound, &ask->turn);
        refuse(ask, PROBLEM_NOT_IMPLEMENTED, "%s.%s of the contract at hand does not take it: %s",
               ask->op->service->name, ask->op->name, error.text);
        return;
    }
    ++ask->tries;
    outbound_call(ask->outbound, ask->op, arguments, ask->question == OUTBOUND_CLOSE,
                  ask->traceparent, on_answer, ask);
    json_decref(arguments);
}

static void on_turn(struct outbound_turn *turn)
{
    call((struct outbound_ask *)((char *)turn - offsetof(struct outbound_ask, turn)));
}

/* ---- the way there ---- */

static void on_campaign(void *data, json_t *campaign, const struct outbound_outcome *outcome);

/* By its name, as it is or in other letters. */
static const json_t *find_disposition(const json_t *campaign, const char *name)
{
    const json_t *alike = NULL;
    json_t *disposition;
    size_t i;

    json_array_foreach(json_object_get(campaign, "dispositionCodes"), i, disposition)
    {
        const char *known = json_string_value(json_object_get(disposition, "name"));
        if (known != NULL && strcmp(known, name) == 0)
            return disposition;
        if (known != NULL && alike == NULL && strcasecmp(known, name) == 0)
            alike = disposition;
    }
    return alike;
}

static void close_contact(struct outbound_ask *ask, const json_t *campaign)
{
    const char *name = json_string_value(word(ask, "disposition"));
    const json_t *disposition = find_disposition(campaign, name);

    if (disposition == NULL && !ask->is_anew) {
        ask->is_anew = 1; /* it may have got it meanwhile */
        outbound_campaign(ask->outbound, ask->campaign, 1, on_campaign, ask);
        return;
    }
    if (disposition == NULL) {
        refuse_with(ask, PROBLEM_UNKNOWN_DISPOSITION,
                    json_pack("{s:s, s:O?, s:s}", "pointer", "/disposition", "dispositions",
                              json_object_get(campaign, "dispositions"), "outcome", "notDone"),
                    "the campaign has other dispositions: see `dispositions`");
        return;
    }
    if (ask->outbound->turns.waiting >= CG_OUTBOUND_TURNS_MAX) {
        refuse(ask, PROBLEM_OVERLOADED, "%d contacts wait for being closed", CG_OUTBOUND_TURNS_MAX);
        return;
    }
    ask->disposition = json_integer_value(json_object_get(
        disposition, ask->outbound->config->outbound.disposition_numeric ? "numbericValue" : "id"));
    ask->turn.on_turn = on_turn;
    outbound_turn_ask(ask->outbound, &ask->turn);
}

/* The job goes on behind the answer. */
static void begin_list(struct outbound_ask *ask)
{
    const char *id;

    if (list_job_begin(ask->outbound, ask, &id) != CG_OK) {
        refuse(ask, PROBLEM_TOO_MANY, "there are as many jobs as there may be");
        return;
    }
    answer(ask, json_pack("{s:s, s:s, s:I, s:s, s:o, s:i, s:i}", "id", id, "kind", LIST_JOB_KIND,
                          "campaign", (json_int_t)ask->campaign, "state",
                          job_state_names[JOB_RUNNING], "total",
                          ask->listing.total >= 0 ? json_integer(ask->listing.total) : json_null(),
                          "done", 0, "failed", 0));
}

static void on_campaign(void *data, json_t *campaign, const struct outbound_outcome *outcome)
{
    struct outbound_ask *ask = data;

    if (outcome->rc == CG_E_NOTFOUND) {
        refuse_campaign(ask);
    } else if (outcome->rc != CG_OK) {
        fail(ask, outcome);
    } else if (ask->question == OUTBOUND_CLOSE) {
        close_contact(ask, campaign);
    } else {
        if (ask->question == OUTBOUND_CONTACTS || ask->question == OUTBOUND_LIST)
            listing_begin(&ask->listing, ask->listing.after,
                          json_integer_value(json_object_get(campaign, "numberOfContacts")));
        if (ask->question == OUTBOUND_LIST)
            begin_list(ask);
        else
            call(ask);
    }
}

static void run_list(struct outbound_ask *ask)
{
    enum job_state state = JOB_FAILED;

    if (ask->question == OUTBOUND_LIST)
        outbound_campaign(ask->outbound, ask->campaign, 0, on_campaign, ask);
    else if (list_job_result(ask, &ask->spool, &state) != CG_OK)
        refuse_with(ask, PROBLEM_NOT_FOUND, NULL, NULL);
    else if (ask->spool != NULL)
        answer(ask, json_object());
    else if (state == JOB_DONE)
        refuse(ask, PROBLEM_NOT_FOUND, "the list is kept no longer");
    else
        refuse(ask, PROBLEM_CONFLICT, "the job is %s, not done", job_state_names[state]);
}

static void run_operation(struct outbound_ask *ask)
{
    const struct facade_row *row = &rows[ask->question];

    if ((ask->op = outbound_operation(ask->outbound, row->service, row->operation)) == NULL)
        refuse(ask, PROBLEM_NOT_IMPLEMENTED, "the contract has no %s.%s", row->service,
               row->operation);
    else if (ask->question == OUTBOUND_CONTACTS && ask->listing.seen > 0)
        call(ask); /* the list has begun */
    else
        outbound_campaign(ask->outbound, ask->campaign, 0, on_campaign, ask);
}

/* ---- a close that must not be done twice ---- */

static void on_begun(struct message *message)
{
    struct durable_done *done = (struct durable_done *)message;
    struct outbound_ask *ask = done->data;
    int rc = done->rc;

    free(done);
    if (rc == CG_OK)
        run_operation(ask);
    else
        refuse(ask, PROBLEM_STORE, "the key could not be written down; nothing was done");
}

static enum problem problem_of_answer(const json_t *answer)
{
    const char *type = json_string_value(json_object_get(answer, "type"));
    unsigned i;

    for (i = 0; i < PROBLEMS; ++i)
        if (type != NULL && strncmp(type, "/problems/", 10) == 0 &&
            strcmp(type + 10, problem_rows[i].slug) == 0)
            return (enum problem)i;
    return PROBLEM_UPSTREAM_FAULT;
}

static void replay(struct outbound_ask *ask, const struct outcome_entry *entry)
{
    int status, is_problem;

    ask->answer = commands_kept_answer(entry, &status, &is_problem);
    ask->problem = is_problem ? problem_of_answer(ask->answer) : PROBLEMS;
    ask->replayed = 1;
    deliver(ask);
}

static void run_once(struct outbound_ask *ask)
{
    struct durable_batch *batch = durable_batch_new();
    char what[128];
    struct outcome_entry *entry;
    enum kept kept;

    snprintf(what, sizeof(what), "outbound close %" PRId64 " %" PRId64, ask->campaign,
             ask->by_field ? (int64_t)-1 : ask->contact);
    kept = commands_keep(ask->commands,
                         &(struct kept_request){ask->access, ask->key, what, ask->words}, batch,
                         &entry);
    if (kept == KEPT_NEW) {
        ask->entry = entry;
        durable_submit(ask->outbound->durable, batch, &ask->outbound->loop->mailbox, on_begun, ask);
        return;
    }
    durable_batch_free(&batch);
    if (kept == KEPT_TOLD)
        replay(ask, entry);
    else if (kept == KEPT_OTHER)
        refuse(ask, PROBLEM_KEY_REUSED, "the key came with another request before");
    else if (kept == KEPT_UNDER_WAY)
        refuse(ask, PROBLEM_CONFLICT, "a request with this key is under way");
    else
        refuse(ask, PROBLEM_OVERLOADED, "as many keys are kept as may be");
}

void outbound_run(struct outbound *outbound, struct outbound_ask *ask)
{
    ask->outbound = outbound;
    if (outbound == NULL) {
        refuse(ask, PROBLEM_NOT_IMPLEMENTED, "no Outbound services are configured");
        return;
    }
    if (outbound->asks++ >= CG_OUTBOUND_ASKS_MAX)
        refuse(ask, PROBLEM_OVERLOADED, "too many questions about campaigns wait");
    else if (ask->question == OUTBOUND_CAMPAIGNS || ask->question == OUTBOUND_ONE)
        run_campaigns(ask);
    else if (ask->question == OUTBOUND_LIST || ask->question == OUTBOUND_LISTED)
        run_list(ask);
    else if (ask->key[0] != '\0' && ask->commands != NULL && outbound->durable != NULL)
        run_once(ask);
    else
        run_operation(ask);
}
