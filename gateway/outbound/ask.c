/*
 * Questions of clients, in steps: is there such a campaign (and such a disposition), is it my turn, what does the contact centre say.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/durable.h"
#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/outbound_shape.h"
#include "gateway/outbound/ask_private.h"
#include "gateway/outbound/list_job.h"

#define TOO_FAST_TRIES 3 /* somebody else calls, too: how often a close takes another turn */

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
        outbound_ask_refuse(ask, PROBLEM_NOT_FOUND, "the campaign has no such contact");
        return;
    }
    learn_status(ask->outbound, status);
    outbound_ask_answer(
        ask, json_pack("{s:I, s:o*, s:o}", "campaignId", (json_int_t)ask->campaign, "contactId",
                       ask->by_field ? NULL : json_integer(ask->contact), "status", status));
}

static void answer_contacts(struct outbound_ask *ask, json_t *value)
{
    json_t *client = value != NULL ? outbound_to_client(value) : NULL;
    json_t *fresh = listing_take(&ask->listing, outbound_list(client));

    json_decref(client);
    outbound_ask_answer(ask, fresh);
}

static void answer_found(struct outbound_ask *ask, json_t *value)
{
    json_t *client = value != NULL ? outbound_to_client(value) : NULL,
           *list = outbound_list(client), *items = json_array(), *contact;
    size_t i;

    json_array_foreach(list, i, contact) if (json_is_object(contact))
        json_array_append(items, contact);
    json_decref(client);
    outbound_ask_answer(ask, json_pack("{s:o}", "items", items));
}

static void answer_contact_id(struct outbound_ask *ask, json_t *value)
{
    json_int_t id = json_integer_value(value);

    if (id < 0)
        outbound_ask_refuse(ask, PROBLEM_NOT_FOUND,
                            "no contact of the campaign has this phone number");
    else
        outbound_ask_answer(
            ask, json_pack("{s:I, s:I}", "campaignId", (json_int_t)ask->campaign, "contactId", id));
}

/* NOTES.md, "CloseContactResult": no fault, and above 0. */
static void answer_closed(struct outbound_ask *ask, json_t *value)
{
    json_int_t result = json_integer_value(value);

    if (result <= 0) {
        outbound_ask_refuse_with(ask, PROBLEM_UPSTREAM_FAULT,
                                 json_pack("{s:s, s:I, s:s, s:s}", "outcome", "notDone", "value",
                                           result, "service", ask->op->service->name, "operation",
                                           ask->op->name),
                                 "the contact centre answered with a value that is no success");
        return;
    }
    outbound_ask_answer(
        ask,
        json_pack("{s:I, s:o*, s:s, s:I}", "campaignId", (json_int_t)ask->campaign, "contactId",
                  ask->by_field ? NULL : json_integer(ask->contact), "disposition",
                  json_string_value(outbound_ask_word(ask, "disposition")), "value", result));
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
        outbound_ask_refuse_campaign(ask);
    } else if (ask->question == OUTBOUND_CONTACTS && listing_is_whole(&ask->listing)) {
        ask->listing.ended = 1;
        outbound_ask_answer(ask, json_array());
    } else if (ask->question == OUTBOUND_STATUS && outcome->reason == OUTBOUND_OTHER) {
        answer_status(ask, NULL);
    } else {
        outbound_ask_fail(ask, outcome);
    }
}

static void on_answer(void *data, const struct outbound_outcome *outcome)
{
    struct outbound_ask *ask = data;

    if (ask->question == OUTBOUND_CLOSE)
        outbound_turn_end(ask->outbound, &ask->turn);
    if (ask->question == OUTBOUND_CLOSE && outcome->reason == OUTBOUND_TOO_FAST &&
        ask->tries < TOO_FAST_TRIES && ask->outbound->state < LOGIN_LEAVING) {
        outbound_turn_ask(ask->outbound, &ask->turn);
        return;
    }
    if (outcome->rc == CG_OK)
        answers[ask->question](ask, outbound_value(outcome->result));
    else if (outcome->rc == CG_E_FAULT)
        on_fault(ask, outcome);
    else
        outbound_ask_fail(ask, outcome);
}

static void call(struct outbound_ask *ask)
{
    struct codec_error error;
    json_t *arguments;
    int rc = facade_arguments(ask, &arguments, &error);

    if (rc != CG_OK) {
        outbound_turn_end(ask->outbound, &ask->turn);
        outbound_ask_refuse(ask, PROBLEM_NOT_IMPLEMENTED,
                            "%s.%s of the contract at hand does not take it: %s",
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
    const char *name = json_string_value(outbound_ask_word(ask, "disposition"));
    const json_t *disposition = find_disposition(campaign, name);

    if (disposition == NULL && !ask->is_anew) {
        ask->is_anew = 1; /* it may have got it meanwhile */
        outbound_campaign(ask->outbound, ask->campaign, 1, on_campaign, ask);
        return;
    }
    if (disposition == NULL) {
        outbound_ask_refuse_with(
            ask, PROBLEM_UNKNOWN_DISPOSITION,
            json_pack("{s:s, s:o?, s:s}", "pointer", "/disposition", "dispositions",
                      json_deep_copy(json_object_get(campaign, "dispositions")), "outcome",
                      "notDone"),
            "the campaign has other dispositions: see `dispositions`");
        return;
    }
    if (ask->outbound->turns.waiting >= CG_OUTBOUND_TURNS_MAX) {
        outbound_ask_refuse(ask, PROBLEM_OVERLOADED, "%d contacts wait for being closed",
                            CG_OUTBOUND_TURNS_MAX);
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
        outbound_ask_refuse(ask, PROBLEM_TOO_MANY, "there are as many jobs as there may be");
        return;
    }
    outbound_ask_answer(
        ask,
        json_pack("{s:s, s:s, s:I, s:s, s:o, s:i, s:i}", "id", id, "kind", LIST_JOB_KIND,
                  "campaign", (json_int_t)ask->campaign, "state", job_state_names[JOB_RUNNING],
                  "total", ask->listing.total >= 0 ? json_integer(ask->listing.total) : json_null(),
                  "done", 0, "failed", 0));
}

static void on_campaign(void *data, json_t *campaign, const struct outbound_outcome *outcome)
{
    struct outbound_ask *ask = data;

    if (outcome->rc == CG_E_NOTFOUND) {
        outbound_ask_refuse_campaign(ask);
    } else if (outcome->rc != CG_OK) {
        outbound_ask_fail(ask, outcome);
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
        outbound_ask_refuse_with(ask, PROBLEM_NOT_FOUND, NULL, NULL);
    else if (ask->spool != NULL)
        outbound_ask_answer(ask, json_object());
    else if (state == JOB_DONE)
        outbound_ask_refuse(ask, PROBLEM_NOT_FOUND, "the list is kept no longer");
    else
        outbound_ask_refuse(ask, PROBLEM_CONFLICT, "the job is %s, not done",
                            job_state_names[state]);
}

static void run_operation(struct outbound_ask *ask)
{
    const char *service, *operation;

    facade_operation(ask->question, &service, &operation);
    if ((ask->op = outbound_operation(ask->outbound, service, operation)) == NULL)
        outbound_ask_refuse(ask, PROBLEM_NOT_IMPLEMENTED, "the contract has no %s.%s", service,
                            operation);
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
        outbound_ask_refuse(ask, PROBLEM_STORE,
                            "the key could not be written down; nothing was done");
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
    outbound_ask_deliver(ask);
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
        outbound_ask_refuse(ask, PROBLEM_KEY_REUSED, "the key came with another request before");
    else if (kept == KEPT_UNDER_WAY)
        outbound_ask_refuse(ask, PROBLEM_CONFLICT, "a request with this key is under way");
    else
        outbound_ask_refuse(ask, PROBLEM_OVERLOADED, "as many keys are kept as may be");
}

void outbound_run(struct outbound *outbound, struct outbound_ask *ask)
{
    ask->outbound = outbound;
    if (outbound == NULL) {
        outbound_ask_refuse(ask, PROBLEM_NOT_IMPLEMENTED, "no Outbound services are configured");
        return;
    }
    if (outbound->asks++ >= CG_OUTBOUND_ASKS_MAX)
        outbound_ask_refuse(ask, PROBLEM_OVERLOADED, "too many questions about campaigns wait");
    else if (ask->question == OUTBOUND_CAMPAIGNS || ask->question == OUTBOUND_ONE)
        outbound_ask_run_campaigns(ask);
    else if (ask->question == OUTBOUND_LIST || ask->question == OUTBOUND_LISTED)
        run_list(ask);
    else if (ask->key[0] != '\0' && ask->commands != NULL && outbound->durable != NULL)
        run_once(ask);
    else
        run_operation(ask);
}
