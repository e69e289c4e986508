/* GET /v1/audit: the log of who did what, for operators. Asked of the thread that writes it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/durable.h"
#include "cctgate/error.h"
#include "cctgate/owner.h"
#include "cctgate/timestamp.h"
#include "gateway/events/text.h"
#include "gateway/rest/reading.h"

/* Which entries are asked for; "": any. */
struct audit_filter {
    uint64_t before;
    unsigned limit;
    char agent[CG_ID_BYTES_MAX + 1], application[CG_ID_BYTES_MAX + 1], what[CG_ID_BYTES_MAX + 1];
    char since[TIMESTAMP_BYTES],
        until[TIMESTAMP_BYTES]; /* in the form that entries have: they compare as text */
};

struct audit_query {
    struct durable_query query; /* first */
    struct audit_filter filter;
};

/* ---- the query ---- */

/* In the form that entries have, so that they compare as text. */
static int take_time(const char *text, char out[TIMESTAMP_BYTES])
{
    int64_t unix_ms;

    if (timestamp_parse(text, TIMESTAMP_RFC3339, &unix_ms) != CG_OK)
        return CG_E_INVALID;
    timestamp_print(out, unix_ms);
    return CG_OK;
}

static int take_number(const char *text, uint64_t max, uint64_t *number)
{
    const char *at = text;

    *number = 0;
    for (; *at >= '0' && *at <= '9'; ++at) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (*number > (max - digit) / 10)
            return CG_E_INVALID;
        *number = *number * 10 + digit;
    }
    return at > text && *at == '\0' && *number >= 1 ? CG_OK : CG_E_INVALID;
}

static int take_limit(struct audit_filter *filter, const char *text)
{
    uint64_t limit;
    if (take_number(text, CG_PAGE_MAX, &limit) != CG_OK)
        return CG_E_INVALID;
    filter->limit = (unsigned)limit;
    return CG_OK;
}

static int take_before(struct audit_filter *filter, const char *text)
{
    return take_number(text, INT64_MAX, &filter->before);
}

static int take_agent(struct audit_filter *filter, const char *text)
{
    snprintf(filter->agent, sizeof(filter->agent), "%s", text);
    return CG_OK;
}

static int take_application(struct audit_filter *filter, const char *text)
{
    snprintf(filter->application, sizeof(filter->application), "%s", text);
    return CG_OK;
}

static int take_what(struct audit_filter *filter, const char *text)
{
    snprintf(filter->what, sizeof(filter->what), "%s", text);
    return CG_OK;
}

static int take_since(struct audit_filter *filter, const char *text)
{
    return take_time(text, filter->since);
}

static int take_until(struct audit_filter *filter, const char *text)
{
    return take_time(text, filter->until);
}

static const struct {
    const char *name;
    int (*take)(struct audit_filter *filter, const char *text);
    const char *expected;
} parameters[] = {
    {"limit", take_limit, "an integer from 1 to 1000"},
    {"before", take_before, "the seq of an entry"},
    {"agent", take_agent, "the login id of an agent"},
    {"application", take_application, "the name of an application"},
    {"what", take_what, "what an entry is of"},
    {"since", take_since, "a time, RFC 3339"},
    {"until", take_until, "a time, RFC 3339"},
};

static int take_parameter(struct request *request, struct audit_filter *filter, const char *at,
                          size_t length)
{
    const char *equals = memchr(at, '=', length);
    size_t name = equals != NULL ? (size_t)(equals - at) : length, value_length, i;
    char value[CG_ID_BYTES_MAX + 1], pointer[16];

    for (i = 0; i < sizeof(parameters) / sizeof(parameters[0]); ++i) {
        if (!h2o_memis(at, name, parameters[i].name, strlen(parameters[i].name)))
            continue;
        if (equals != NULL &&
            path_decode(equals + 1, length - name - 1, value, sizeof(value), &value_length) ==
                CG_OK &&
            parameters[i].take(filter, value) == CG_OK)
            return CG_OK;
        snprintf(pointer, sizeof(pointer), "?%s", parameters[i].name);
        respond_problem(request, PROBLEM_BAD_REQUEST, pointer, "%s: expected %s",
                        parameters[i].name, parameters[i].expected);
        return CG_E_INVALID;
    }
    respond_problem(request, PROBLEM_BAD_REQUEST, "?",
                    "the resource knows no such query parameter; it takes limit, before, agent, "
                    "application, what, since and until");
    return CG_E_INVALID;
}

static int take_query(struct request *request, struct audit_filter *filter)
{
    const h2o_req_t *req = request->h2o;
    const char *at, *end = req->path.base + req->path.len, *stop;

    filter->limit = CG_PAGE_DEFAULT;
    if (req->query_at == SIZE_MAX)
        return CG_OK;
    for (at = req->path.base + req->query_at + 1; at < end; at = stop + 1) {
        if ((stop = memchr(at, '&', (size_t)(end - at))) == NULL)
            stop = end;
        if (stop != at && take_parameter(request, filter, at, (size_t)(stop - at)) != CG_OK)
            return CG_E_INVALID;
    }
    return CG_OK;
}

/* ---- the log ---- */

static int is(const json_t *entry, const char *member, const char *wanted)
{
    const char *text = json_string_value(json_object_get(entry, member));
    return *wanted == '\0' || (text != NULL && strcmp(text, wanted) == 0);
}

/* On the writer's thread. */
static int matches(const struct durable_query *query, const json_t *entry)
{
    const struct audit_filter *filter = &((const struct audit_query *)query)->filter;
    const char *time = json_string_value(json_object_get(entry, "time"));

    if (time == NULL)
        time = "";
    return is(entry, "agent", filter->agent) &&
           (is(entry, "application", filter->application) ||
            is(entry, "by", filter->application)) &&
           is(entry, "what", filter->what) && strcmp(time, filter->since) >= 0 &&
           (filter->until[0] == '\0' || strcmp(time, filter->until) < 0);
}

static void add_value(struct text *text, const char *name, const char *value)
{
    char escaped[CG_ID_BYTES_MAX * 3];

    if (*value == '\0')
        return;
    text_add(text, "&", 1);
    text_add_string(text, name);
    text_add(text, "=", 1);
    text_add(text, escaped, (size_t)(put_segment(escaped, value, strlen(value)) - escaped));
}

static h2o_iovec_t next_link(struct request *request, const struct audit_filter *filter,
                             uint64_t before)
{
    struct text text = {NULL, 0, 0};
    h2o_iovec_t link;

    text_add_string(&text, "</v1/audit?limit=");
    text_add_number(&text, filter->limit);
    text_add_string(&text, "&before=");
    text_add_number(&text, before);
    add_value(&text, "agent", filter->agent);
    add_value(&text, "application", filter->application);
    add_value(&text, "what", filter->what);
    add_value(&text, "since", filter->since);
    add_value(&text, "until", filter->until);
    text_add_string(&text, ">; rel=\"next\"");
    link = h2o_strdup(&request->h2o->pool, text.bytes, text.length);
    text_release(&text);
    return link;
}

static void answer(struct request *request, const struct audit_query *asked)
{
    const struct durable_query *query = &asked->query;
    json_t *next = query->next != 0 ? json_integer((json_int_t)query->next) : json_null();

    if (query->next != 0)
        respond_page(request, json_pack("{s:O, s:o}", "items", query->items, "next", next),
                     next_link(request, &asked->filter, query->next));
    else
        respond_json(request, 200, json_pack("{s:O, s:o}", "items", query->items, "next", next));
}

static void on_reply(struct message *message)
{
    struct audit_query *asked = (struct audit_query *)message;
    struct request *request = asking_end(asked->query.data);

    if (request != NULL && asked->query.rc == CG_OK)
        answer(request, asked);
    else if (request != NULL)
        respond_problem(request, PROBLEM_STORE, NULL, NULL);
    json_decref(asked->query.items);
    free(asked);
}

void get_audit(struct request *request)
{
    struct audit_query *asked = calloc(1, sizeof(*asked));

    if (asked == NULL)
        abort();
    if (take_query(request, &asked->filter) != CG_OK) {
        free(asked);
        return;
    }
    asked->query.data = asking_begin(request);
    asked->query.reply_to = &request->front->mailbox;
    asked->query.on_reply = on_reply;
    asked->query.matches = matches;
    asked->query.before = asked->filter.before;
    asked->query.limit = asked->filter.limit;
    asked->query.look_at = CG_AUDIT_LOOK_AT_MAX;
    durable_ask(owner_durable(request->front->owner), &asked->query);
}
