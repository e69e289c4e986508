/* How a question ends: with an answer or a problem, and a close in the audit log and under its key besides. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/control.h"
#include "cctgate/durable.h"
#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "gateway/outbound/ask_private.h"
#include "gateway/outbound/contacts.h"

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

void outbound_ask_deliver(struct outbound_ask *ask)
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
    outbound_ask_deliver(ask);
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
        outbound_ask_deliver(ask);
        return;
    }
    batch = durable_batch_new();
    durable_append(batch, audit_of(ask));
    end_key(ask, batch);
    durable_submit(outbound->durable, batch, &outbound->loop->mailbox, on_audited, ask);
}

void outbound_ask_answer(struct outbound_ask *ask, json_t *json)
{
    if (json == NULL)
        abort();
    ask->answer = json;
    end(ask);
}

void outbound_ask_refuse_with(struct outbound_ask *ask, enum problem problem, json_t *members,
                              const char *detail)
{
    json_t *json = problem_json(problem, detail);

    if (json == NULL && (json = problem_json(problem, NULL)) == NULL)
        abort();
    if (members != NULL)
        json_object_update(json, members);
    json_decref(members);
    ask->problem = problem;
    outbound_ask_answer(ask, json);
}

void outbound_ask_refuse(struct outbound_ask *ask, enum problem problem, const char *format, ...)
{
    char detail[CG_ERROR_TEXT_MAX] = "";
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    outbound_ask_refuse_with(ask, problem, NULL, detail);
}

void outbound_ask_refuse_campaign(struct outbound_ask *ask)
{
    outbound_ask_refuse(ask, PROBLEM_CAMPAIGN_NOT_ACTIVE, "%" PRId64 " is no active campaign",
                        ask->campaign);
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

void outbound_ask_fail(struct outbound_ask *ask, const struct outbound_outcome *outcome)
{
    const struct contract_operation *op = outcome->op;
    const char *detail =
        outcome->fault != NULL ? outcome->fault->message : codec_error_told(outcome->error);
    json_t *members = json_object();
    char blotted[CG_ERROR_TEXT_MAX];

    if (ask->question == OUTBOUND_CLOSE && detail != NULL) { /* it may be kept, by its key */
        snprintf(blotted, sizeof(blotted), "%s", detail);
        contacts_blot(blotted, outbound_ask_word(ask, "text"));
        contacts_blot(blotted, outbound_ask_word(ask, "customField"));
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
    outbound_ask_refuse_with(ask, problem_of(outcome), members, detail);
}
