/*
 * /v1/outbound in /openapi.json. What campaigns and contacts are made of comes from the contract, in the form of outbound_shape.h; the rest
 * is a table.
 */
#include <stdio.h>
#include <string.h>

#include "cctgate/codec.h"
#include "cctgate/outbound.h"
#include "cctgate/outbound_shape.h"
#include "gateway/rest/openapi.h"
#include "gateway/rest/rest.h"

#define DEFINITIONS "#/$defs/"
#define DEPTH_MAX   8 /* types within types: one that contains itself is cut there */
#define NDJSON      "application/x-ndjson"

/* ---- the contract's types, as clients see them ---- */

static json_t *client_schema(const json_t *root, const json_t *schema, int depth);

static json_t *client_list(const json_t *root, const json_t *list, int depth)
{
    return json_pack("{s:s, s:o}", "type", "array", "items",
                     client_schema(root, json_object_get(list, "items"), depth));
}

static json_t *client_names(const json_t *names)
{
    char client[OUTBOUND_NAME_BYTES];
    json_t *out = json_array(), *name;
    size_t i;

    json_array_foreach((json_t *)names, i, name)
    {
        outbound_client_name(client, json_string_value(name), json_string_length(name));
        json_array_append_new(out, json_string(client));
    }
    return out;
}

static json_t *client_object(const json_t *root, const json_t *schema, int depth)
{
    json_t *members = json_object_get(schema, "properties"), *properties, *member;
    char client[OUTBOUND_NAME_BYTES];
    const char *name;

    json_object_foreach(members, name, member) if (json_object_size(members) == 1 &&
                                                   json_object_get(member, "items") !=
                                                       NULL) return client_list(root, member,
                                                                                depth);
    properties = json_object();
    json_object_foreach(members, name, member)
    {
        outbound_client_name(client, name, strlen(name));
        json_object_set_new(properties, client, client_schema(root, member, depth));
    }
    return json_pack("{s:s, s:o, s:o}", "type", "object", "required",
                     client_names(json_object_get(schema, "required")), "properties", properties);
}

/* What may be nil is so in lists only, where it is left out. */
static json_t *client_schema(const json_t *root, const json_t *schema, int depth)
{
    const char *reference = json_string_value(json_object_get(schema, "$ref"));

    if (depth > DEPTH_MAX || schema == NULL)
        return json_object();
    if (reference != NULL && strncmp(reference, DEFINITIONS, strlen(DEFINITIONS)) == 0)
        return client_schema(
            root, json_object_get(json_object_get(root, "$defs"), reference + strlen(DEFINITIONS)),
            depth + 1);
    if (json_object_get(schema, "items") != NULL)
        return client_list(root, schema, depth);
    if (json_object_get(schema, "properties") != NULL)
        return client_object(root, schema, depth);
    if (json_array_size(json_object_get(schema, "anyOf")) == 2)
        return client_schema(root, json_array_get(json_object_get(schema, "anyOf"), 0), depth);
    return json_deep_copy(schema);
}

/* What the only members of a message are made of, down to a list's items. A new reference. */
static json_t *items_of(json_t *schema)
{
    json_t *member;
    const char *name;

    while (schema != NULL && json_object_get(schema, "properties") != NULL) {
        json_t *only = NULL;
        json_object_foreach(json_object_get(schema, "properties"), name, member) only = member;
        schema = only;
    }
    return json_incref(json_object_get(schema, "items"));
}

static json_t *listed(const struct contract *contract, const char *service, const char *operation)
{
    const struct contract_operation *op = contract_find(contract, service, operation);
    json_t *root = op != NULL ? codec_output_schema(op) : NULL;
    json_t *client = client_schema(root, root, 0), *items = items_of(client);

    json_decref(client);
    json_decref(root);
    return items != NULL ? items : openapi_parse("{'type':'object'}");
}

static void add(json_t *of, const char *section, const char *members)
{
    json_t *more = openapi_parse(members), *there = json_object_get(of, section);

    if (json_is_array(there))
        json_array_extend(there, more);
    else if (there != NULL)
        json_object_update(there, more);
    json_decref(more);
}

static json_t *given_contact(const struct contract *contract)
{
    const struct contract_operation *op =
        contract_find(contract, OUTBOUND_CAMPAIGN, "AppendContactsToCampaign");
    json_t *root = op != NULL ? codec_input_schema(op) : NULL;
    json_t *member = json_object_get(json_object_get(root, "properties"), "contact");
    json_t *client = client_schema(root, member, 0);

    if (json_object_get(client, "required") != NULL) {
        json_object_set_new(client, "required", json_pack("[s]", "skillsetId"));
        json_object_set_new(client, "additionalProperties", json_false());
        add(client, "properties", "{'priority':{'type':'integer','minimum':0}}");
    }
    json_decref(root);
    return client;
}

/* clang-format off */
static const struct {
    const char *name, *schema;
} own_schemas[] = {
    {"OutboundCampaigns", "{'type':'object','required':['items','sync'],'properties':{'items':{'type':'array','items':{'$ref':'#/components/schemas/OutboundCampaign'}},"
        "'sync':{'$ref':'#/components/schemas/Sync'},'staleSince':{'$ref':'#/components/schemas/Time'}}}"},
    {"OutboundContacts", "{'type':'object','required':['items'],'properties':{'items':{'type':'array','items':{'$ref':'#/components/schemas/OutboundContact'}},"
        "'next':{'type':['integer','null'],'description':'What after goes on with; null: that was all'}}}"},
    {"OutboundStatus", "{'type':'object','required':['campaignId','status'],'properties':{'campaignId':{'type':'integer'},'contactId':{'type':'integer'},"
        "'status':{'type':'object','properties':{'id':{'type':'integer'},'name':{'type':'string'}}}}}"},
    {"OutboundContactId", "{'type':'object','required':['campaignId','contactId'],'properties':{'campaignId':{'type':'integer'},'contactId':{'type':'integer'}}}"},
    {"OutboundClose", "{'type':'object','additionalProperties':false,'properties':{'disposition':{'type':'string','default':'Completed','description':'The name of one of the campaign'},"
        "'text':{'type':'string','maxLength':65536,'description':'The reason, for people'}}}"},
    {"OutboundClosed", "{'type':'object','required':['campaignId','disposition','value'],'properties':{'campaignId':{'type':'integer'},'contactId':{'type':'integer'},"
        "'disposition':{'type':'string'},'value':{'type':'integer','description':'What the contact centre answered'}}}"},
    {"OutboundRow", "{'type':'object','required':['row','state'],'properties':{'row':{'type':'integer','minimum':1},'state':{'type':'string'},'value':{'type':'integer'},"
        "'problem':{'$ref':'#/components/schemas/Problem'}}}"},
    {"OutboundJob", "{'type':'object','required':['id','state','done','failed'],'properties':{'id':{'type':'string'},'kind':{'type':'string'},'campaign':{'type':'integer'},"
        "'state':{'type':'string','enum':['waiting','running','done','failed','cancelled']},'total':{'type':['integer','null']},'done':{'type':'integer','minimum':0},"
        "'failed':{'type':'integer','minimum':0},'createdAt':{'$ref':'#/components/schemas/Time'},'endedAt':{'$ref':'#/components/schemas/Time'},'application':{'type':'string'},"
        "'rows':{'type':'array','items':{'$ref':'#/components/schemas/OutboundRow'}},'problem':{'$ref':'#/components/schemas/Problem'},'waitsFor':{'$ref':'#/components/schemas/Problem'},"
        "'contacts':{'type':'string','description':'Where the contacts are that it has listed'}}}"},
    {"OutboundJobs", "{'type':'object','required':['items','queue'],'properties':{'items':{'type':'array','items':{'$ref':'#/components/schemas/OutboundJob'}},"
        "'queue':{'type':'object','properties':{'contactsWaiting':{'type':'integer','minimum':0},'contactsSending':{'type':'integer','minimum':0},'turnsWaiting':{'type':'integer','minimum':0},"
        "'waitsFor':{'$ref':'#/components/schemas/Problem'}}}}}"},
};

#define CAMPAIGNS "/v1/outbound/campaigns"
#define ONE       CAMPAIGNS "/{campaignId}"
#define JOBS      "/v1/outbound/jobs"

static const struct row {
    const char *method, *path, *id;
    const char *parameters; /* of components.parameters */
    const char *body;       /* a schema; NULL: none */
    const char *schema;     /* of the answer; NULL: a text, as NDJSON */
    const char *headers;    /* of components.headers */
    int status;
    int problems[14];
} table[] = {
    {"GET", CAMPAIGNS, "listCampaigns", "CacheControl IfNoneMatch Limit After", NULL, "OutboundCampaigns", "ETag CacheControl CacheStatus Age Link", 200, {400, 401, 403, 406, 409, 501, 502, 503, 504, 0}},
    {"GET", ONE, "getCampaign", "CacheControl IfNoneMatch", NULL, "OutboundCampaign", "ETag CacheControl CacheStatus Age", 200, {400, 401, 403, 404, 406, 409, 501, 502, 503, 504, 0}},
    {"GET", ONE "/contacts", "listContacts", "ContactLimit ContactAfter PreferAsync", NULL, "OutboundContacts", "CacheControl Link TotalCount", 200, {400, 401, 403, 404, 406, 409, 429, 501, 502, 503, 504, 0}},
    {"POST", ONE "/contacts", "appendContacts", "Priority OnDuplicate IdempotencyKey", "OutboundGiven", "OutboundJob", "CacheControl Location IdempotencyReplayed", 202, {400, 401, 403, 404, 409, 413, 415, 422, 429, 501, 502, 503, 504, 0}},
    {"GET", ONE "/contacts/{contactId}", "getContactStatus", "CustomField", NULL, "OutboundStatus", "CacheControl", 200, {400, 401, 403, 404, 406, 409, 501, 502, 503, 504, 0}},
    {"POST", ONE "/contacts/{contactId}/close", "closeContact", "CustomField IdempotencyKey", "OutboundClose", "OutboundClosed", "CacheControl IdempotencyReplayed", 200, {400, 401, 403, 404, 409, 413, 415, 422, 501, 502, 503, 504, 0}},
    {"GET", ONE "/search", "searchContacts", "Phone CustomField ContactStatus", NULL, "OutboundContacts", "CacheControl", 200, {400, 401, 403, 404, 406, 409, 501, 502, 503, 504, 0}},
    {"GET", ONE "/contact-id", "findContactId", "Phone", NULL, "OutboundContactId", "CacheControl", 200, {400, 401, 403, 404, 406, 409, 501, 502, 503, 504, 0}},
    {"GET", JOBS, "listOutboundJobs", "", NULL, "OutboundJobs", "CacheControl", 200, {400, 401, 403, 406, 0}},
    {"GET", JOBS "/{jobId}", "getOutboundJob", "", NULL, "OutboundJob", "CacheControl", 200, {400, 401, 403, 404, 406, 0}},
    {"DELETE", JOBS "/{jobId}", "cancelOutboundJob", "", NULL, "OutboundJob", "CacheControl", 200, {400, 401, 403, 404, 503, 0}},
    {"GET", JOBS "/{jobId}/contacts", "getListedContacts", "", NULL, NULL, "CacheControl", 200, {400, 401, 403, 404, 406, 409, 501, 0}},
};
/* clang-format on */

static void add_schemas(json_t *schemas, const struct contract *contract)
{
    json_t *campaign = listed(contract, OUTBOUND_CAMPAIGN, "GetCampaigns");
    size_t i;

    add(campaign, "properties",
        "{'progress':{'type':'object','properties':{'processed':{'type':'integer'},'closed':{'type'"
        ":"
        "'integer'},'total':{'type':'integer'}}},'dispositions':{'$ref':'#/components/schemas/"
        "Names'},'statuses':{'type':'array','description':'Of contacts, as far as the contact "
        "centre has told them','items':{'type':'object','properties':{'id':{'type':'integer'},"
        "'name':{'type':'string'}}}},'sync':{'$ref':'#/components/schemas/Sync'},'staleSince':{'$"
        "ref':'#/components/schemas/Time'}}");
    add(campaign, "required", "['progress','dispositions','sync']");
    json_object_set_new(schemas, "OutboundCampaign", campaign);
    json_object_set_new(schemas, "OutboundContact",
                        listed(contract, OUTBOUND_CAMPAIGN, "Get200CampaignContacts"));
    json_object_set_new(schemas, "OutboundNewContact", given_contact(contract));
    json_object_set_new(
        schemas, "OutboundGiven",
        openapi_parse("{'anyOf':[{'$ref':'#/components/schemas/OutboundNewContact'},{'type':'array'"
                      ",'minItems':1,'items':{'$ref':'#/components/schemas/"
                      "OutboundNewContact'}}]}"));
    for (i = 0; i < sizeof(own_schemas) / sizeof(own_schemas[0]); ++i)
        json_object_set_new(schemas, own_schemas[i].name, openapi_parse(own_schemas[i].schema));
}

/* ---- operations ---- */

static const struct route *route_of(const char *path)
{
    size_t i;
    for (i = 0; i < num_routes; ++i)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

static json_t *parameters_of(const struct row *row)
{
    json_t *list = openapi_path_parameters(row->path);
    const char *names = row->parameters;
    char name[32];

    while (*names != '\0') {
        size_t length = strcspn(names, " ");
        snprintf(name, sizeof(name), "%.*s", (int)length, names);
        json_array_append_new(list, openapi_reference("parameters", name));
        names += length + (names[length] == ' ');
    }
    return list;
}

static void add_media(json_t *holder, const char *media_type)
{
    json_object_set_new(json_object_get(holder, "content"), media_type,
                        json_pack("{s:{s:s}}", "schema", "type", "string"));
}

static int is_contacts(const struct row *row)
{
    return strcmp(row->path, ONE "/contacts") == 0;
}

static json_t *body_of(const struct row *row)
{
    json_t *body = json_pack("{s:b, s:{s:{s:o}}}", "required", is_contacts(row), "content",
                             "application/json", "schema", SCHEMA(row->body));

    if (is_contacts(row)) {
        add_media(body, NDJSON);
        add_media(body, "text/csv");
    }
    return body;
}

static json_t *responses_of(const struct row *row, const char *summary)
{
    json_t *responses = json_object(), *response;
    char status[16];

    snprintf(status, sizeof(status), "%d", row->status);
    response = openapi_response(
        summary, row->headers, row->schema != NULL ? "application/json" : NDJSON,
        row->schema != NULL ? SCHEMA(row->schema) : openapi_parse("{'type':'string'}"), NULL);
    json_object_set_new(responses, status, response);
    if (strstr(row->headers, "ETag") != NULL)
        json_object_set_new(
            responses, "304",
            openapi_response("What the client holds is current", row->headers, NULL, NULL, NULL));
    if (is_contacts(row) && row->body == NULL) {
        add_media(response, NDJSON);
        json_object_set_new(responses, "202",
                            openapi_response("A job lists them", "CacheControl Location",
                                             "application/json", SCHEMA("OutboundJob"), NULL));
    }
    openapi_add_problems(responses, row->problems);
    return responses;
}

void openapi_add_outbound(json_t *paths, json_t *schemas, const struct contract *contract)
{
    size_t i;

    add_schemas(schemas, contract);
    for (i = 0; i < sizeof(table) / sizeof(table[0]); ++i) {
        const struct row *row = &table[i];
        const struct route *route = route_of(row->path);
        json_t *operation;

        if (route == NULL || !route_has_method(route, row->method, strlen(row->method)))
            continue;
        operation = json_pack("{s:s, s:s, s:[s], s:o, s:o, s:o}", "operationId", row->id, "summary",
                              route->summary, "tags", "Outbound", "security",
                              openapi_security(route->roles), "parameters", parameters_of(row),
                              "responses", responses_of(row, route->summary));
        if (row->body != NULL)
            json_object_set_new(operation, "requestBody", body_of(row));
        openapi_put(paths, row->path, row->method, operation);
    }
}
