/* What a request for /v1/outbound says in its path, query and Prefer field. */
#include <string.h>
#include <strings.h>

#include "cctgate/error.h"
#include "gateway/rest/outbound.h"

#define VALUE_BYTES (CG_PATH_BYTES_MAX + 1)

int outbound_take_number(const char *text, int64_t max, int64_t *number)
{
    const char *at;

    *number = 0;
    for (at = text; *at >= '0' && *at <= '9'; ++at) {
        int64_t digit = *at - '0';
        if (*number > (max - digit) / 10)
            return CG_E_INVALID;
        *number = *number * 10 + digit;
    }
    return at > text && *at == '\0' ? CG_OK : CG_E_INVALID;
}

/* What is no number of the contract names no campaign. */
int outbound_take_campaign(struct request *request, int64_t *campaign)
{
    if (outbound_take_number(request->id, INT32_MAX, campaign) == CG_OK)
        return CG_OK;
    respond_problem(request, PROBLEM_CAMPAIGN_NOT_ACTIVE, NULL, NULL);
    return CG_E_NOTFOUND;
}

/* ---- the query ---- */

static int take_limit(struct outbound_query *query, const char *text)
{
    int64_t limit;
    if (outbound_take_number(text, CG_OUTBOUND_LIMIT_MAX, &limit) != CG_OK || limit < 1)
        return CG_E_INVALID;
    query->limit = (uint64_t)limit;
    return CG_OK;
}

static int take_after(struct outbound_query *query, const char *text)
{
    return outbound_take_number(text, INT64_MAX, &query->after);
}

/* <int>-<area>-<no>, each of which may be blank: a blank part is left out. */
static int take_phone(struct outbound_query *query, const char *text)
{
    static const char *const names[] = {"intCode", "areaCode", "phoneNo"};
    json_t *phone = json_object();
    size_t i;

    for (i = 0; i < 3; ++i) {
        size_t length = i < 2 ? strcspn(text, "-") : strlen(text);
        if (i < 2 && text[length] == '\0')
            break;
        if (length > 0)
            json_object_set_new(phone, names[i], json_stringn(text, length));
        text += length + (i < 2);
    }
    json_object_set_new(query->words, "phone", phone);
    return i == 3 && json_object_size(phone) > 0 ? CG_OK : CG_E_INVALID;
}

static int take_field(struct outbound_query *query, const char *text)
{
    size_t name = strcspn(text, ":");

    if (name == 0 || text[name] == '\0')
        return CG_E_INVALID;
    json_object_set_new(query->words, "customField",
                        json_pack("{s:s%, s:s}", "name", text, name, "text", text + name + 1));
    return CG_OK;
}

static int take_status(struct outbound_query *query, const char *text)
{
    if (strlen(text) > CG_ID_BYTES_MAX)
        return CG_E_INVALID;
    json_object_set_new(query->words, "status", json_string(text));
    return CG_OK;
}

static int take_priority(struct outbound_query *query, const char *text)
{
    return outbound_take_number(text, INT32_MAX, &query->priority);
}

static int take_on_duplicate(struct outbound_query *query, const char *text)
{
    if (strcmp(text, "skip") != 0 && strcmp(text, "error") != 0)
        return CG_E_INVALID;
    query->on_duplicate = text[0] == 's' ? DUPLICATE_SKIP : DUPLICATE_ERROR;
    return CG_OK;
}

static const struct parameter {
    const char *name;
    unsigned bit;
    int (*take)(struct outbound_query *query, const char *text);
    const char *expected;
} parameters[] = {
    {"limit", QUERY_LIMIT, take_limit, "an integer from 1 to 1000000"},
    {"after", QUERY_AFTER, take_after, "the contact id that the last page ended with"},
    {"phone", QUERY_PHONE, take_phone, "<int>-<area>-<no>, of which parts may be blank"},
    {"customField", QUERY_FIELD, take_field, "<name>:<value>"},
    {"status", QUERY_STATUS, take_status, "the name of a status of contacts"},
    {"priority", QUERY_PRIORITY, take_priority, "an integer of 0 or more"},
    {"onDuplicate", QUERY_ON_DUPLICATE, take_on_duplicate, "skip or error"},
};
#define NUM_PARAMETERS (sizeof(parameters) / sizeof(parameters[0]))

static int refuse(struct request *request, const char *name, const char *expected)
{
    char pointer[32];

    snprintf(pointer, sizeof(pointer), "?%s", name);
    respond_problem(request, PROBLEM_BAD_REQUEST, pointer, "%s: expected %s", name, expected);
    return CG_E_INVALID;
}

static int refuse_unknown(struct request *request, unsigned known)
{
    char names[96] = "";
    size_t i, length = 0;

    for (i = 0; i < NUM_PARAMETERS; ++i)
        if ((known & parameters[i].bit) != 0)
            length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
                                       length > 0 ? ", " : "", parameters[i].name);
    respond_problem(request, PROBLEM_BAD_REQUEST, "?",
                    "the resource knows no such query parameter; it takes %s",
                    length > 0 ? names : "none");
    return CG_E_INVALID;
}

static int take_parameter(struct request *request, unsigned known, struct outbound_query *query,
                          const char *at, size_t length)
{
    const char *equals = memchr(at, '=', length);
    size_t name = equals != NULL ? (size_t)(equals - at) : length, value_length, i;
    char value[VALUE_BYTES];

    for (i = 0; i < NUM_PARAMETERS; ++i) {
        const struct parameter *parameter = &parameters[i];
        if ((known & parameter->bit) == 0 ||
            !h2o_memis(at, name, parameter->name, strlen(parameter->name)))
            continue;
        if ((query->given & parameter->bit) != 0)
            return refuse(request, parameter->name, "it once");
        query->given |= parameter->bit;
        if (equals != NULL &&
            path_decode(equals + 1, length - name - 1, value, sizeof(value), &value_length) ==
                CG_OK &&
            parameter->take(query, value) == CG_OK)
            return CG_OK;
        return refuse(request, parameter->name, parameter->expected);
    }
    return refuse_unknown(request, known);
}

void outbound_query_release(struct outbound_query *query)
{
    json_decref(query->words);
    query->words = NULL;
}

json_t *outbound_query_words(struct outbound_query *query)
{
    json_t *words = query->words;
    query->words = NULL;
    return words;
}

int outbound_query_take(struct request *request, unsigned known, struct outbound_query *query)
{
    const h2o_req_t *req = request->h2o;
    const char *at, *end = req->path.base + req->path.len, *stop;

    *query = (struct outbound_query){.priority = -1, .words = json_object()};
    if (req->query_at == SIZE_MAX)
        return CG_OK;
    for (at = req->path.base + req->query_at + 1; at < end; at = stop + 1) {
        if ((stop = memchr(at, '&', (size_t)(end - at))) == NULL)
            stop = end;
        if (stop != at && take_parameter(request, known, query, at, (size_t)(stop - at)) != CG_OK) {
            outbound_query_release(query);
            return CG_E_INVALID;
        }
    }
    return CG_OK;
}

/* ---- Prefer ---- */

int request_prefers(const struct request *request, const char *preference)
{
    const h2o_headers_t *headers = &request->h2o->headers;
    size_t wanted = strlen(preference);
    ssize_t at = -1;

    while ((at = h2o_find_header_by_str(headers, H2O_STRLIT("prefer"), at)) != -1) {
        h2o_iovec_t field = headers->entries[at].value;
        const char *from = field.base, *end = field.base + field.len, *stop;
        for (; from < end; from = stop + 1) {
            size_t length;
            if ((stop = memchr(from, ',', (size_t)(end - from))) == NULL)
                stop = end;
            while (from < stop && (*from == ' ' || *from == '\t'))
                ++from;
            for (length = 0; from + length < stop && strchr(" \t;=", from[length]) == NULL;)
                ++length;
            if (length == wanted && strncasecmp(from, preference, wanted) == 0)
                return 1;
        }
    }
    return 0;
}
