/* What many operations of /openapi.json have in common: parameters, headers, problems, security. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/rest/openapi.h"
#include "gateway/rest/rest.h"

#define TEXT_OF(number)  TEXT_OF_(number)
#define TEXT_OF_(number) #number

json_t *openapi_parse(const char *text)
{
    char *own = strdup(text), *at;
    json_t *json;

    if (own == NULL)
        abort();
    for (at = own; (at = strchr(at, '\'')) != NULL;)
        *at = '"';
    json = json_loads(own, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    free(own);
    if (json == NULL) /* our own text: a defect, which any test of the document meets */
        abort();
    return json;
}

json_t *openapi_reference(const char *section, const char *name)
{
    return json_pack("{s:o}", "$ref", json_sprintf("#/components/%s/%s", section, name));
}

/* clang-format off */
struct named {
    const char *name, *text;
};

static const struct named parameters[] = {
    {"Limit", "{'name':'limit','in':'query','description':'How many items a page has','schema':{'type':'integer','minimum':1,"
        "'maximum':" TEXT_OF(CG_PAGE_MAX) ",'default':" TEXT_OF(CG_PAGE_DEFAULT) "}}"},
    {"After", "{'name':'after','in':'query','description':'The id that the last page ended with','schema':{'type':'string'}}"},
    {"CctUser", "{'name':'CCT-User','in':'header','description':'One of the CCT users of the token, where the objects named do not decide it',"
        "'schema':{'type':'string','minLength':1}}"},
    {"CacheControl", "{'name':'Cache-Control','in':'header','description':'no-cache, only-if-cached, max-age, max-stale, min-fresh (RFC 9111)',"
        "'schema':{'type':'string'},'example':'no-cache'}"},
    {"IfNoneMatch", "{'name':'If-None-Match','in':'header','description':'An ETag that the client holds','schema':{'type':'string'}}"},
    {"ControlLease", "{'name':'Control-Lease','in':'header','description':'The lease by which the client has FullControl of the agent that the command touches: "
        "from PUT /v1/agents/{loginId}/control. A secret.','schema':{'type':'string','pattern':'^[A-Za-z0-9_-]{43}$'}}"},
    {"IdempotencyKey", "{'name':'Idempotency-Key','in':'header','description':'1 to 255 visible ASCII characters, in quotes or not. A repeat with the key gives "
        "the first outcome instead of acting twice; the key with another body is 422. Kept for 24 hours.',"
        "'schema':{'type':'string','minLength':1,'maxLength':257,'pattern':'^[!-~]+$'},'example':'5a2ff0a6-41f4-4e51-9b34-0a9d1b6c7a3e'}"},
    {"Prefer", "{'name':'Prefer','in':'header','description':'wait=N (RFC 7240): the answer waits up to N seconds, at most 30, for the event that proves the effect; "
        "202 when it has not come by then','schema':{'type':'string'},'example':'wait=5'}"},
    {"Force", "{'name':'force','in':'query','description':'true: ends the FullControl lease of another; for operators','schema':{'type':'boolean','default':false}}"},
    {"EventTypes", "{'name':'types','in':'query','description':'Event types, with commas between; for text/event-stream, as are the others','schema':{'type':'string'}}"},
    {"EventSubjects", "{'name':'subjects','in':'query','description':'Paths of resources, with commas between; what is below them, too','schema':{'type':'string'}}"},
    {"EventAgents", "{'name':'agents','in':'query','description':'Login ids, with commas between','schema':{'type':'string'}}"},
    {"EventsSince", "{'name':'since','in':'query','description':'The id of the last event that the client has','schema':{'type':'string','pattern':'^[0-9]+-[0-9]+$'}}"},
    {"EventsSnapshot", "{'name':'snapshot','in':'query','description':'true: what there is comes first','schema':{'type':'boolean','default':false}}"},
    {"EventsTicket", "{'name':'ticket','in':'query','description':'A ticket instead of a token, for a WebSocket, too','schema':{'type':'string'}}"},
    {"LastEventId", "{'name':'Last-Event-ID','in':'header','description':'Goes before since','schema':{'type':'string','pattern':'^[0-9]+-[0-9]+$'}}"},
    {"ContactLimit", "{'name':'limit','in':'query','description':'How many contacts at most; as application/x-ndjson all of them otherwise','schema':{'type':'integer','minimum':1,"
        "'maximum':" TEXT_OF(CG_OUTBOUND_LIMIT_MAX) "}}"},
    {"ContactAfter", "{'name':'after','in':'query','description':'The contact id that the last page ended with','schema':{'type':'integer','minimum':0}}"},
    {"PreferAsync", "{'name':'Prefer','in':'header','description':'respond-async (RFC 7240): a job lists them','schema':{'type':'string'},'example':'respond-async'}"},
    {"Phone", "{'name':'phone','in':'query','description':'<int>-<area>-<no>, of which parts may be blank','schema':{'type':'string'},'example':'353-91-5550001'}"},
    {"CustomField", "{'name':'customField','in':'query','description':'<name>:<value>; in the path of a contact, - stands for its id then','schema':{'type':'string'},'example':'Account:A17'}"},
    {"ContactStatus", "{'name':'status','in':'query','description':'Contacts of this status alone','schema':{'type':'string'},'example':'New'}"},
    {"Priority", "{'name':'priority','in':'query','description':'Of the contacts that have none of their own; sent where the contract has it','schema':{'type':'integer','minimum':0}}"},
    {"OnDuplicate", "{'name':'onDuplicate','in':'query','description':'A contact whose phone number the campaign has is passed over, or fails; else it is appended','schema':{'type':'string','enum':['skip','error']}}"},
    {"AuditLimit", "{'name':'limit','in':'query','description':'How many entries the answer has','schema':{'type':'integer','minimum':1,'maximum':1000,'default':100}}"},
    {"AuditBefore", "{'name':'before','in':'query','description':'Entries with a smaller seq','schema':{'type':'integer','minimum':1}}"},
    {"AuditAgent", "{'name':'agent','in':'query','description':'Entries about this agent','schema':{'type':'string'}}"},
    {"AuditApplication", "{'name':'application','in':'query','description':'Entries about what this application did','schema':{'type':'string'}}"},
    {"AuditWhat", "{'name':'what','in':'query','description':'Entries of this kind','schema':{'type':'string'},'example':'command'}"},
    {"AuditSince", "{'name':'since','in':'query','description':'From this time on','schema':{'type':'string','format':'date-time'}}"},
    {"AuditUntil", "{'name':'until','in':'query','description':'Up to this time','schema':{'type':'string','format':'date-time'}}"},
};

static const struct named headers[] = {
    {"ETag", "{'description':'Strong: of the representation, with its sync','schema':{'type':'string'}}"},
    {"CacheStatus", "{'description':'RFC 9211: cctgate; hit; ttl=…, or cctgate; fwd=miss; stored','schema':{'type':'string'}}"},
    {"Age", "{'description':'Seconds since it was fetched; 0 while it is live','schema':{'type':'integer','minimum':0}}"},
    {"CacheControl", "{'description':'private, no-cache; no-store for what holds a lease, and for problems','schema':{'type':'string'}}"},
    {"CctSync", "{'description':'live, cached, or stale; since=…, for bodies that have no place for it','schema':{'type':'string'}}"},
    {"Link", "{'description':'rel=next: the next page (RFC 8288)','schema':{'type':'string'}}"},
    {"Location", "{'description':'Where the job is','schema':{'type':'string'}}"},
    {"TotalCount", "{'description':'Of a list from its beginning, as application/x-ndjson: how many contacts the campaign has','schema':{'type':'integer','minimum':0}}"},
    {"RetryAfter", "{'description':'Seconds','schema':{'type':'integer','minimum':1}}"},
    {"Allow", "{'description':'The methods that the resource has','schema':{'type':'string'}}"},
    {"WwwAuthenticate", "{'description':'Bearer','schema':{'type':'string'}}"},
    {"PreferenceApplied", "{'description':'wait: the answer has waited for the event that proves the effect','schema':{'type':'string'}}"},
    {"IdempotencyReplayed", "{'description':'true: the outcome of an earlier command with the same key','schema':{'type':'string','const':'true'}}"},
};

/* config.h */
static const struct {
    unsigned role;
    const char *name;
} role_names[] = {{ROLE_VIEWER, "viewer"},     {ROLE_CONTROLLER, "controller"}, {ROLE_SUPERVISOR, "supervisor"},
                  {ROLE_RECORDER, "recorder"}, {ROLE_OPERATOR, "operator"},     {ROLE_CAMPAIGNER, "campaigner"}};
/* clang-format on */
#define READING_ROLES                                                                              \
    (ROLE_VIEWER | ROLE_CONTROLLER | ROLE_SUPERVISOR | ROLE_RECORDER | ROLE_OPERATOR)

static json_t *all_of(const struct named *rows, size_t num_rows)
{
    json_t *all = json_object();
    size_t i;
    for (i = 0; i < num_rows; ++i)
        json_object_set_new(all, rows[i].name, openapi_parse(rows[i].text));
    return all;
}

json_t *openapi_parameters(void)
{
    return all_of(parameters, sizeof(parameters) / sizeof(parameters[0]));
}

json_t *openapi_headers(void)
{
    return all_of(headers, sizeof(headers) / sizeof(headers[0]));
}

json_t *openapi_path_parameters(const char *path)
{
    json_t *list = json_array();
    const char *open;

    for (open = strchr(path, '{'); open != NULL; open = strchr(open + 1, '{'))
        json_array_append_new(list, json_pack("{s:o, s:s, s:b, s:s, s:{s:s, s:i}}", "name",
                                              json_stringn(open + 1, strcspn(open + 1, "}")), "in",
                                              "path", "required", 1, "description",
                                              "Percent-encoded UTF-8", "schema", "type", "string",
                                              "minLength", 1));
    return list;
}

/* One requirement per role: any of them will do. The array of a bearer scheme names roles (OpenAPI 3.1, Security Requirement Object). */
json_t *openapi_security(unsigned roles)
{
    json_t *any = json_array();
    size_t i;

    if (roles == READING_ROLES)
        json_array_append_new(any, json_pack("{s:[]}", "bearer"));
    for (i = 0; roles != READING_ROLES && i < sizeof(role_names) / sizeof(role_names[0]); ++i)
        if ((roles & role_names[i].role) != 0)
            json_array_append_new(any, json_pack("{s:[s]}", "bearer", role_names[i].name));
    return any;
}

/* CacheStatus: Cache-Status */
static void print_field(const char *name, size_t length, char *field, size_t size)
{
    size_t i, out = 0;
    for (i = 0; i < length && out + 2 < size; ++i) {
        if (i > 0 && isupper((unsigned char)name[i]) && islower((unsigned char)name[i - 1]))
            field[out++] = '-';
        field[out++] = name[i];
    }
    field[out] = '\0';
}

static json_t *header_references(const char *names)
{
    json_t *fields = json_object();
    while (*names != '\0') {
        size_t length = strcspn(names, " ");
        char name[32], field[40];
        snprintf(name, sizeof(name), "%.*s", (int)length, names);
        print_field(names, length, field, sizeof(field));
        json_object_set_new(fields, field, openapi_reference("headers", name));
        names += length + (names[length] == ' ');
    }
    return fields;
}

json_t *openapi_response(const char *description, const char *names, const char *media_type,
                         json_t *schema, json_t *example)
{
    json_t *response = json_pack("{s:s}", "description", description), *media;

    if (*names != '\0')
        json_object_set_new(response, "headers", header_references(names));
    if (schema == NULL)
        return response;
    media = json_pack("{s:o}", "schema", schema);
    if (example != NULL)
        json_object_set_new(media, "example", example);
    json_object_set_new(response, "content", json_pack("{s:o}", media_type, media));
    return response;
}

/* ---- problems ---- */

static void print_problem_name(int status, char *name, size_t size)
{
    snprintf(name, size, "Problem%d", status);
}

static json_t *problem_response(int status)
{
    json_t *examples = json_object(), *response;
    char description[512] = "";
    size_t i, length = 0;

    for (i = 0; i < PROBLEMS; ++i) {
        const struct problem_row *row = &problem_rows[i];
        if (row->status != status)
            continue;
        if (length + strlen(row->title) + 3 < sizeof(description))
            length += (size_t)snprintf(description + length, sizeof(description) - length, "%s%s",
                                       length > 0 ? "; " : "", row->title);
        json_object_set_new(examples, row->slug,
                            json_pack("{s:s, s:o}", "summary", row->title, "value",
                                      problem_json((enum problem)i, NULL)));
    }
    response = openapi_response(description,
                                status == 401                    ? "WwwAuthenticate"
                                : status == 405                  ? "Allow"
                                : status == 429 || status == 503 ? "RetryAfter"
                                                                 : "",
                                "application/problem+json", SCHEMA("Problem"), NULL);
    json_object_set_new(
        json_object_get(json_object_get(response, "content"), "application/problem+json"),
        "examples", examples);
    return response;
}

json_t *openapi_problem_responses(void)
{
    json_t *all = json_object();
    char name[32];
    size_t i;

    for (i = 0; i < PROBLEMS; ++i) {
        print_problem_name(problem_rows[i].status, name, sizeof(name));
        if (json_object_get(all, name) == NULL)
            json_object_set_new(all, name, problem_response(problem_rows[i].status));
    }
    json_object_set_new(all, "Problem",
                        openapi_response("A problem document", "", "application/problem+json",
                                         SCHEMA("Problem"), NULL));
    return all;
}

void openapi_add_problems(json_t *responses, const int *statuses)
{
    char name[32], status[16];

    for (; *statuses != 0; ++statuses) {
        print_problem_name(*statuses, name, sizeof(name));
        snprintf(status, sizeof(status), "%d", *statuses);
        json_object_set_new(responses, status, openapi_reference("responses", name));
    }
    json_object_set_new(responses, "default", openapi_reference("responses", "Problem"));
}

void openapi_put(json_t *paths, const char *path, const char *method, json_t *operation)
{
    json_t *item = json_object_get(paths, path);
    char name[16];
    size_t i;

    for (i = 0; method[i] != '\0' && i + 1 < sizeof(name); ++i)
        name[i] = (char)tolower((unsigned char)method[i]);
    name[i] = '\0';
    if (item == NULL) {
        item = json_object();
        json_object_set_new(paths, path, item);
    }
    if (json_object_get(item, name) == NULL)
        json_object_set(item, name, operation);
    json_decref(operation);
}
