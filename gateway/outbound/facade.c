/*
 * Which operation answers which question, and what goes into its elements: the one table where those of the Outbound services are spelled,
 * but for the login and for what is appended (contacts.c).
 */
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/outbound_shape.h"
#include "gateway/outbound/ask_private.h"

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

json_t *outbound_ask_word(const struct outbound_ask *ask, const char *name)
{
    return json_object_get(ask->words, name);
}

static json_t *field_word(const struct outbound_ask *ask, const char *name)
{
    return ask->by_field ? json_incref(json_object_get(outbound_ask_word(ask, "customField"), name))
                         : NULL;
}

/* Its Id where the contact centre has told it, else 0: then its name counts (NOTES.md, "Narrowing by ContactStatus"). */
static json_t *status_word(const struct outbound_ask *ask)
{
    json_t *name = outbound_ask_word(ask, "status"), *known;

    if (name == NULL)
        return NULL;
    known = json_object_get(ask->outbound->statuses, json_string_value(name));
    return json_pack("{s:I, s:O}", "id", known != NULL ? json_integer_value(known) : (json_int_t)0,
                     "name", name);
}

static json_t *search_field(const struct outbound_ask *ask)
{
    json_t *field = json_copy(outbound_ask_word(ask, "customField"));
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
        return json_incref(outbound_ask_word(ask, "phone"));
    case FROM_STATUS:
        return status_word(ask);
    case FROM_TEXT:
        return json_incref(outbound_ask_word(ask, "text"));
    case FROM_DISPOSITION:
        return json_integer(ask->disposition);
    default:
        return json_true();
    }
}

/* CG_OK: *arguments is a new reference. CG_E_INVALID: the contract at hand does not take what is asked. */
int facade_arguments(const struct outbound_ask *ask, json_t **arguments, struct codec_error *error)
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

void facade_operation(enum outbound_question question, const char **service, const char **operation)
{
    *service = rows[question].service;
    *operation = rows[question].operation;
}
