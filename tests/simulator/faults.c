#include "faults.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

enum { GARBAGE_BYTES = 700 };

static struct injected *list;
static size_t list_count;
static struct injected taken;

static const char *const kind_names[FAULT_KINDS] = {
    "refuse",    "hang",    "reset", "truncate", "garbage", "html",         "huge",   "drip",
    "wrongType", "doctype", "fault", "http500",  "empty",   "wrongElement", "session"};

int faults_kind(const char *kind)
{
    for (int i = 0; i < FAULT_KINDS; i++) {
        if (strcmp(kind_names[i], kind) == 0)
            return i;
    }
    return -1;
}

const char *faults_kind_name(enum fault_kind kind)
{
    return kind_names[kind];
}

static bool executes(enum fault_kind kind)
{
    return kind == FAULT_TRUNCATE || kind == FAULT_HUGE || kind == FAULT_DRIP ||
           kind == FAULT_WRONG_TYPE || kind == FAULT_DOCTYPE || kind == FAULT_WRONG_ELEMENT;
}

void faults_add(enum fault_kind kind, const char *service, const char *operation, long long count,
                int execute, const char *fault, const char *message)
{
    list = mem_resize(list, list_count + 1, sizeof(*list));
    list[list_count++] = (struct injected){
        .kind = kind,
        .service = mem_strdup(service),
        .operation = mem_strdup(operation),
        .left = count,
        .endless = count <= 0,
        .execute = execute < 0 ? executes(kind) : execute > 0,
        .fault = fault != NULL ? mem_strdup(fault) : NULL,
        .message = message != NULL ? mem_strdup(message) : NULL,
    };
}

static void injected_free(struct injected *fault)
{
    free(fault->service);
    free(fault->operation);
    free(fault->fault);
    free(fault->message);
    *fault = (struct injected){0};
}

void faults_clear(void)
{
    for (size_t i = 0; i < list_count; i++)
        injected_free(&list[i]);
    free(list);
    list = NULL;
    list_count = 0;
    injected_free(&taken);
}

size_t faults_count(void)
{
    return list_count;
}

const struct injected *faults_at(size_t index)
{
    return &list[index];
}

bool faults_refuse(void)
{
    for (size_t i = 0; i < list_count; i++) {
        if (list[i].kind == FAULT_REFUSE)
            return true;
    }
    return false;
}

static bool applies(const struct injected *fault, const struct operation *op)
{
    if (fault->kind == FAULT_REFUSE)
        return false;
    return (strcmp(fault->service, "*") == 0 || strcmp(fault->service, op->service->name) == 0) &&
           (strcmp(fault->operation, "*") == 0 || strcmp(fault->operation, op->name) == 0);
}

static char *copy(const char *s)
{
    return s != NULL ? mem_strdup(s) : NULL;
}

bool faults_take(const struct operation *op, struct injected *out)
{
    for (size_t i = 0; i < list_count; i++) {
        struct injected *fault = &list[i];
        if (!applies(fault, op))
            continue;
        injected_free(&taken);
        taken = *fault;
        taken.service = copy(fault->service);
        taken.operation = copy(fault->operation);
        taken.fault = copy(fault->fault);
        taken.message = copy(fault->message);
        if (!fault->endless && --fault->left == 0) {
            injected_free(fault);
            memmove(fault, fault + 1, (--list_count - i) * sizeof(*fault));
        }
        *out = taken;
        return true;
    }
    return false;
}

static void replace_body(struct http_reply *reply, int status, const char *type)
{
    buf_free(reply->body);
    reply->status = status;
    reply->content_type = type;
}

static void garbage(struct http_reply *reply)
{
    replace_body(reply, 200, "text/xml;charset=utf-8");
    for (int i = 0; i < GARBAGE_BYTES; i++) {
        char byte = (char)(world_random(255) + 1);
        buf_add(reply->body, &byte, 1);
    }
}

static void html(struct http_reply *reply)
{
    replace_body(reply, 200, "text/html");
    buf_str(reply->body,
            "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><p>Please sign in to "
            "continue.<br></body></html>\n");
}

/* Is [start, end) a boolean or a whole number? */
static bool typed_value(const char *start, const char *end)
{
    size_t len = (size_t)(end - start);
    if ((len == 4 && memcmp(start, "true", 4) == 0) || (len == 5 && memcmp(start, "false", 5) == 0))
        return true;
    return false;
}

/* An element whose type is a number, told by its name because digits may also be a name or a code. */
static bool number_element(const char *text_start, const char *data)
{
    static const char *const names[] = {"entranceTime>", "count>",         "numberOfMessages>",
                                        "whichCalls>",   "CountResponse>", "ID>",
                                        "Id>",           "ContactID>"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        size_t len = strlen(names[i]);
        if ((size_t)(text_start - data) >= len && memcmp(text_start - len, names[i], len) == 0)
            return true;
    }
    return false;
}

/* Puts a word where the schema has a boolean or a number; a reply without one stays as it is. */
static void wrong_type(struct http_reply *reply)
{
    struct buf out = {0};
    char *data = reply->body->data;
    bool done = false;
    char *at = data;
    for (char *open; !done && at != NULL && (open = strchr(at, '>')) != NULL; at = open + 1) {
        char *start = open + 1;
        char *end = strchr(start, '<');
        if (end == NULL || end == start)
            continue;
        if (!typed_value(start, end) &&
            !(number_element(start, data) && isdigit((unsigned char)*start)))
            continue;
        buf_add(&out, data, (size_t)(start - data));
        buf_str(&out, "perhaps");
        buf_str(&out, end);
        done = true;
    }
    if (!done)
        return;
    buf_free(reply->body);
    *reply->body = out;
}

/* The "billion laughs" in front of the reply, used in its header. */
static void doctype(struct http_reply *reply)
{
    struct buf out = {0};
    const char *root = strstr(reply->body->data, "<e:Envelope");
    const char *body = root != NULL ? strstr(root, "<e:Body") : NULL;
    if (body == NULL)
        return;
    buf_str(
        &out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE lolz [\n<!ENTITY lol0 \"lol\">\n");
    for (int i = 1; i < 10; i++) {
        buf_printf(&out, "<!ENTITY lol%d \"", i);
        for (int j = 0; j < 10; j++)
            buf_printf(&out, "&lol%d;", i - 1);
        buf_str(&out, "\">\n");
    }
    buf_str(&out, "]>\n");
    buf_add(&out, root, (size_t)(body - root));
    buf_str(&out, "<e:Header><h xmlns=\"urn:h\">&lol9;</h></e:Header>");
    buf_str(&out, body);
    buf_free(reply->body);
    *reply->body = out;
}

static void wrong_element(struct http_reply *reply, const struct operation *op)
{
    static const char outbound[] =
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><r:%s "
        "xmlns:r=\"http://nortel.com/CCMMOutboundWebservices/\"/></e:Body></e:Envelope>";
    static const char cct[] =
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><r:%s "
        "xmlns:r=\"http://www.nortel.com/soa/oi/cct/types/MetricsService\">%s</r:%s></e:Body></"
        "e:Envelope>";
    replace_body(reply, 200, "text/xml;charset=utf-8");
    if (op->service->outbound) {
        bool logoff = strcmp(op->name, "OutboundLogoff") == 0;
        buf_printf(reply->body, outbound,
                   logoff ? "OutboundLoginResponse" : "OutboundLogoffResponse");
        return;
    }
    bool same = strcmp(op->label, "MetricsService.GetActiveSessionCount") == 0;
    const char *name = same ? "GetVersionResponse" : "GetActiveSessionCountResponse";
    buf_printf(reply->body, cct, name,
               same ? "<c:version xmlns:c=\"http://www.nortel.com/soa/oi/cct/types\">1</c:version>"
                    : "<r:count>1</r:count>",
               name);
}

/* The true reply's beginning, then elements without end. */
static void huge(struct http_reply *reply)
{
    char *open = reply->body->data != NULL ? strstr(reply->body->data, "<e:Body>") : NULL;
    if (open == NULL)
        return;
    reply->body->len = (size_t)(open - reply->body->data);
    buf_str(reply->body, "<e:Body><r:Everything xmlns:r=\"urn:endless\">");
    reply->manner = HTTP_ENDLESS;
    reply->filler =
        "<r:item><r:name>one more of them</r:name><r:value>12345678</r:value></r:item>\n";
}

void faults_reply(struct http_conn *conn, const struct operation *op, const struct injected *fault,
                  struct http_reply *reply)
{
    switch (fault->kind) {
    case FAULT_HANG:
    case FAULT_RESET:
        buf_free(reply->body);
        if (fault->kind == FAULT_HANG)
            http_hang(conn);
        else
            http_reset(conn);
        return;
    case FAULT_TRUNCATE:
        reply->manner = HTTP_TRUNCATED;
        break;
    case FAULT_DRIP:
        reply->manner = HTTP_DRIP;
        break;
    case FAULT_GARBAGE:
        garbage(reply);
        break;
    case FAULT_HTML:
        html(reply);
        break;
    case FAULT_HUGE:
        huge(reply);
        break;
    case FAULT_WRONG_TYPE:
        wrong_type(reply);
        break;
    case FAULT_DOCTYPE:
        doctype(reply);
        break;
    case FAULT_HTTP500:
        replace_body(reply, 500, "text/plain");
        buf_str(reply->body, fault->message != NULL ? fault->message : "Internal Server Error\n");
        break;
    case FAULT_EMPTY:
        replace_body(reply, 200, "text/xml;charset=utf-8");
        break;
    case FAULT_WRONG_ELEMENT:
        wrong_element(reply, op);
        break;
    default:
        break; /* refuse, fault and session are dealt with before there is a reply */
    }
    http_reply(conn, reply);
}
