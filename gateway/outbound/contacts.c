#include "gateway/outbound/contacts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/codec.h"
#include "cctgate/error.h"
#include "cctgate/outbound.h"
#include "cctgate/outbound_shape.h"
#include "gateway/outbound/columns.h"
#include "gateway/outbound/contacts_private.h"
#include "gateway/rest/body.h"

/* What of the contract is spoken of here: the operations, and their arguments. */
#define APPEND         "AppendContactsToCampaign"
#define APPEND_SERVICE OUTBOUND_CAMPAIGN
#define FIND           "GetContactIDByPhoneNumber"
#define FIND_SERVICE   OUTBOUND_CONTACT
#define CAMPAIGN       "CampaignID"
#define CONTACT        "contact"
#define PRIORITY       "priority"
#define PHONE          "PhoneNumber" /* of a contact */
#define PHONE_WANTED   "phoneNumber" /* of the search */
#define SESSION_KEY    "sessionKey"

const struct contacts_names contacts_names = {.contact = CONTACT,
                                              .priority = PRIORITY,
                                              .required = "skillsetId",
                                              .phone = "phoneNumber",
                                              .number = "phoneNo",
                                              .custom = "customFieldList",
                                              .custom_name = "name",
                                              .custom_text = "text",
                                              .custom_visible = "isTextVisible",
                                              .preferred = "preferredAgentId",
                                              .preferred_given = "preferredAgentSpecified"};

#define PRIORITY_DEFAULT 1 /* NOTES.md, "Values of `priority`": what is known to be taken */

const struct contract_operation *contacts_operation(const struct contract *contract)
{
    const struct contract_operation *op = contract_find(contract, APPEND_SERVICE, APPEND);
    return op != NULL && outbound_has_member(op, CONTACT) ? op : NULL;
}

/* ---- what is wrong ---- */

static int refuse_body(struct parse *parse, const char *detail)
{
    struct contacts_bad_row *row = &parse->error.rows[0];

    parse->error.num_bad = 0;
    row->row = 0;
    row->pointer[0] = '\0';
    snprintf(row->detail, sizeof(row->detail), "%s", detail);
    return CG_E_INVALID;
}

void parse_refuse_row(struct parse *parse, const char *pointer, const char *detail)
{
    struct contacts_error *error = &parse->error;

    if (error->num_bad < CONTACTS_TOLD_MAX) {
        struct contacts_bad_row *row = &error->rows[error->num_bad];
        row->row = error->num_rows;
        snprintf(row->pointer, sizeof(row->pointer), "%s", pointer);
        snprintf(row->detail, sizeof(row->detail), "%s", detail);
    }
    ++error->num_bad;
}

static void refuse_by_contract(struct parse *parse, const char *pointer,
                               const struct codec_error *why)
{
    char detail[300];
    snprintf(detail, sizeof(detail), "expected %s, found %s", why->expected, why->found);
    parse_refuse_row(parse, pointer, detail);
}

/* "/contact/CustomFieldList/OWCustomField/0/Name" is "/customFieldList/0/name" to clients. */
static void client_pointer(const char *wire, char *out, size_t size)
{
    char name[OUTBOUND_NAME_BYTES];
    size_t length = 0, before = 0;

    out[0] = '\0';
    if (strncmp(wire, "/" CONTACT, sizeof(CONTACT)) == 0)
        wire += sizeof(CONTACT);
    while (*wire == '/') {
        size_t segment = strcspn(++wire, "/");
        int is_index = isdigit((unsigned char)*wire);
        if (is_index)
            length = before; /* the list's element: its type is nothing but a list */
        before = length;
        outbound_client_name(name, wire, segment);
        if (length + strlen(name) + 2 > size)
            return;
        length += (size_t)snprintf(out + length, size - length, "/%s", name);
        wire += segment;
    }
}

/* ---- one row ---- */

/* What the wire asks for and a client may leave out, where nothing is not the best guess. */
static void complete(json_t *contact)
{
    json_t *entry, *preferred = json_object_get(contact, contacts_names.preferred);
    size_t i;

    json_array_foreach(json_object_get(contact, contacts_names.custom), i, entry)
    {
        if (json_is_object(entry) && json_object_get(entry, contacts_names.custom_visible) == NULL)
            json_object_set_new(entry, contacts_names.custom_visible, json_true());
    }
    if (json_integer_value(preferred) != 0 &&
        json_object_get(contact, contacts_names.preferred_given) == NULL)
        json_object_set_new(contact, contacts_names.preferred_given, json_true());
}

static int has_phone(const json_t *contact)
{
    const json_t *phone = json_object_get(contact, contacts_names.phone);
    return json_string_length(json_object_get(phone, contacts_names.number)) > 0;
}

static int take_priority(struct parse *parse, json_t *contact, json_t *arguments)
{
    json_t *own = json_object_get(contact, contacts_names.priority);
    json_int_t priority = parse->wanted.priority;

    if (own != NULL && (!json_is_integer(own) || json_integer_value(own) < 0)) {
        parse_refuse_row(parse, "/" PRIORITY, "expected an integer of 0 or more, found another");
        return CG_E_INVALID;
    }
    if (own != NULL)
        priority = json_integer_value(own);
    json_object_del(contact, contacts_names.priority);
    if (outbound_has_member(parse->wanted.op, PRIORITY))
        json_object_set_new(arguments, PRIORITY,
                            json_integer(priority >= 0 ? priority : PRIORITY_DEFAULT));
    return CG_OK;
}

/* The whole message is made once, for what only the codec knows: ranges, and characters that XML cannot carry. */
static int fits_contract(struct parse *parse, json_t *arguments)
{
    const struct contract_operation *op = parse->wanted.op;
    struct codec_buffer buffer = {NULL, 0, 0};
    struct codec_error why = {.pointer = ""};
    char pointer[256];
    int rc;

    if (outbound_has_member(op, SESSION_KEY))
        json_object_set_new(arguments, SESSION_KEY, json_string(""));
    rc = codec_encode_request(op, op->service->soap11 ? SOAP_1_1 : SOAP_1_2, arguments, NULL,
                              &buffer, &why);
    json_object_del(arguments, SESSION_KEY);
    body_wipe(buffer.bytes, buffer.length);
    codec_buffer_release(&buffer);
    if (rc == CG_OK)
        return CG_OK;
    client_pointer(why.pointer, pointer, sizeof(pointer));
    refuse_by_contract(parse, pointer, &why);
    return rc;
}

static void keep(struct parse *parse, const json_t *arguments)
{
    struct job_rows *rows = &parse->rows;
    struct job_row_text *row;

    if (rows->num_rows == rows->capacity) {
        rows->capacity = rows->capacity == 0 ? 16 : rows->capacity * 2;
        rows->rows = reallocarray(rows->rows, rows->capacity, sizeof(*rows->rows));
        if (rows->rows == NULL)
            abort();
    }
    row = &rows->rows[rows->num_rows++];
    if ((row->text = json_dumps(arguments, JSON_COMPACT)) == NULL)
        abort();
    row->length = strlen(row->text);
    rows->bytes += row->length;
    if (row->length > CG_JOB_ROW_BYTES_MAX)
        parse_refuse_row(parse, "", "the contact is too large");
}

static void take_contact(struct parse *parse, json_t *contact)
{
    json_t *arguments = json_pack("{s:I}", CAMPAIGN, (json_int_t)parse->wanted.campaign), *wire;
    struct codec_error why;
    int rc;

    if (arguments == NULL)
        abort();
    if (take_priority(parse, contact, arguments) == CG_OK) {
        complete(contact);
        rc = outbound_to_wire(parse->wanted.op, CONTACT, contact, contacts_names.required, &wire,
                              &why);
        if (rc == CG_E_NOMEM)
            abort();
        if (rc != CG_OK)
            refuse_by_contract(parse, why.pointer, &why);
        else
            json_object_set_new(arguments, CONTACT, wire);
        if (rc == CG_OK && parse->wanted.needs_phone && !has_phone(contact))
            parse_refuse_row(parse, "/phoneNumber/phoneNo",
                             "expected a number to look for duplicates by, found none");
        else if (rc == CG_OK && fits_contract(parse, arguments) == CG_OK &&
                 parse->error.num_bad == 0)
            keep(parse, arguments);
    }
    body_wipe_json(arguments);
    json_decref(arguments);
}

int parse_begin_row(struct parse *parse)
{
    if (parse->error.num_rows == CG_JOB_ROWS_MAX)
        return CG_E_LIMIT;
    ++parse->error.num_rows;
    return CG_OK;
}

void parse_take_row(struct parse *parse, json_t *row)
{
    if (json_is_object(row))
        take_contact(parse, row);
    else
        parse_refuse_row(parse, "", "expected an object, found another");
}

/* ---- a body, row by row ---- */

struct contacts_reader {
    struct parse parse;
    enum contacts_type type;
    char *text;
    size_t length;
    const char *at;          /* CONTACTS_NDJSON */
    json_t *json;            /* CONTACTS_JSON */
    size_t index;            /* in its array */
    struct columns *columns; /* CONTACTS_CSV */
    int rc;                  /* CG_OK: there may be more; 1: that was all */
};

static int begin_json(struct contacts_reader *reader)
{
    char detail[128];
    int rc =
        body_parse(&reader->json, reader->text, reader->length, "the body", detail, sizeof(detail));

    if (rc == CG_E_NOMEM)
        return rc;
    if (rc != CG_OK)
        return refuse_body(&reader->parse, detail);
    reader->parse.error.is_array = json_is_array(reader->json);
    if (json_is_array(reader->json) || json_is_object(reader->json))
        return CG_OK;
    return refuse_body(&reader->parse, "expected an object, or an array of them");
}

/* All three: 1: a row was read; 0: there is none any more. */
static int step_json(struct contacts_reader *reader)
{
    int is_array = json_is_array(reader->json);

    if (reader->index == (is_array ? json_array_size(reader->json) : 1))
        return 0;
    if (parse_begin_row(&reader->parse) != CG_OK)
        return CG_E_LIMIT;
    parse_take_row(&reader->parse,
                   is_array ? json_array_get(reader->json, reader->index) : reader->json);
    ++reader->index;
    return 1;
}

static int is_blank(const char *text, size_t length)
{
    while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL && text[length - 1] != '\0')
        --length;
    return length == 0;
}

static int take_line(struct parse *parse, const char *text, size_t length)
{
    char detail[128];
    json_t *row;
    int rc;

    if (parse_begin_row(parse) != CG_OK)
        return CG_E_LIMIT;
    if ((rc = body_parse(&row, text, length, "the row", detail, sizeof(detail))) == CG_E_NOMEM)
        return rc;
    if (rc != CG_OK) {
        parse_refuse_row(parse, "", detail);
        return 1;
    }
    parse_take_row(parse, row);
    body_wipe_json(row);
    json_decref(row);
    return 1;
}

static int step_line(struct contacts_reader *reader)
{
    const char *end = reader->text + reader->length, *begin, *stop;

    while (reader->at < end) {
        begin = reader->at;
        if ((stop = memchr(begin, '\n', (size_t)(end - begin))) == NULL)
            stop = end;
        reader->at = stop < end ? stop + 1 : end;
        if (!is_blank(begin, (size_t)(stop - begin)))
            return take_line(&reader->parse, begin, (size_t)(stop - begin));
    }
    return 0;
}

static int step_columns(struct contacts_reader *reader)
{
    int rc = columns_step(reader->columns);
    return rc == CG_E_INVALID ? refuse_body(&reader->parse, columns_error(reader->columns)) : rc;
}

static int step(struct contacts_reader *reader)
{
    switch (reader->type) {
    case CONTACTS_JSON:
        return step_json(reader);
    case CONTACTS_NDJSON:
        return step_line(reader);
    default:
        return step_columns(reader);
    }
}

struct contacts_reader *contacts_reader_new(const struct contacts_wanted *wanted,
                                            enum contacts_type type, const char *text,
                                            size_t length)
{
    struct contacts_reader *reader = calloc(1, sizeof(*reader));

    if (reader == NULL || (reader->text = malloc(length > 0 ? length : 1)) == NULL)
        abort();
    if (length > 0)
        memcpy(reader->text, text, length);
    reader->length = length;
    reader->at = reader->text;
    reader->type = type;
    reader->parse.wanted = *wanted;
    if (type == CONTACTS_JSON)
        reader->rc = begin_json(reader);
    else if (type == CONTACTS_CSV &&
             (reader->columns = columns_new(&reader->parse, reader->text, length)) == NULL)
        reader->rc = CG_E_NOMEM;
    return reader;
}

int contacts_reader_step(struct contacts_reader *reader, size_t max_rows)
{
    size_t i;
    int rc;

    for (i = 0; i < max_rows && reader->rc == CG_OK; ++i) {
        rc = step(reader);
        reader->rc = rc > 0 ? CG_OK : rc == 0 ? 1 : rc;
    }
    return reader->rc == CG_OK;
}

int contacts_reader_end(struct contacts_reader **in, struct job_rows *rows,
                        struct contacts_error *error)
{
    struct contacts_reader *reader = *in;
    int rc = reader->rc == 1 ? CG_OK : reader->rc;

    *in = NULL;
    if (rc == CG_OK && reader->parse.error.num_rows == 0)
        rc = refuse_body(&reader->parse, "expected at least one contact, found none");
    if (rc == CG_OK && reader->parse.error.num_bad > 0)
        rc = CG_E_INVALID;
    if (rc != CG_OK)
        job_rows_release(&reader->parse.rows);
    *rows = reader->parse.rows;
    *error = reader->parse.error;
    columns_free(&reader->columns);
    body_wipe_json(reader->json);
    json_decref(reader->json);
    body_wipe(reader->text, reader->length);
    free(reader->text);
    free(reader);
    return rc;
}

int contacts_parse(const struct contacts_wanted *wanted, enum contacts_type type, const char *text,
                   size_t length, struct job_rows *rows, struct contacts_error *error)
{
    struct contacts_reader *reader = contacts_reader_new(wanted, type, text, length);

    contacts_reader_step(reader, SIZE_MAX);
    return contacts_reader_end(&reader, rows, error);
}

/* ---- rows that are sent ---- */

json_t *contacts_search(const struct contract *contract, const json_t *arguments,
                        const struct contract_operation **op)
{
    json_t *phone = json_object_get(json_object_get(arguments, CONTACT), PHONE);

    *op = contract_find(contract, FIND_SERVICE, FIND);
    if (*op == NULL)
        return NULL;
    return json_pack("{s:O, s:O}", PHONE_WANTED, phone, CAMPAIGN,
                     json_object_get(arguments, CAMPAIGN));
}

int contacts_result(const json_t *reply, int64_t *value)
{
    const json_t *only = json_object_iter_value(json_object_iter((json_t *)(uintptr_t)reply));

    if (json_object_size(reply) != 1 || !json_is_integer(only))
        return CG_E_PROTOCOL;
    *value = json_integer_value(only);
    return CG_OK;
}

#define BLOT_MIN 2 /* shorter texts are in every sentence, and say nothing */

static void blot_text(char *sentence, const char *text)
{
    size_t length = strlen(text);
    char *at = sentence;

    while (length >= BLOT_MIN && (at = strcasestr(at, text)) != NULL) {
        memset(at, '*', length);
        at += length;
    }
}

/* As deep as the contract lets a contact be. */
void contacts_blot(char *sentence, const json_t *arguments)
{
    json_t *value, *all = (json_t *)(uintptr_t)arguments;
    const char *name;
    size_t i;

    if (json_is_string(all))
        blot_text(sentence, json_string_value(all));
    else if (json_is_array(all))
        json_array_foreach(all, i, value) contacts_blot(sentence, value);
    else if (json_is_object(all))
        json_object_foreach(all, name, value) contacts_blot(sentence, value);
}
