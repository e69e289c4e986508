/*
 * Way of a request: HTTP form (method, Content-Type, SOAPAction) → XML without DOCTYPE → schema → operation by body
 * element → token → injected fault or handler → envelope. What fails before the token is a violation of the contract:
 * counted, and answered with a Client fault.
 */
#include "soap.h"

#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "contract_files.h"
#include "counters.h"
#include "journal.h"
#include "faults.h"
#include "loop.h"
#include "notify.h"
#include "outbound.h"
#include "soap_write.h"

#define CCT_FOLDER      "/SOAOICCT/services/"
#define OUTBOUND_FOLDER "/ccmmoutboundwebservices/"

static struct {
    uint64_t ms;
    uint64_t jitter_ms;
} latency;

static const struct op_row *const tables[] = {
    ops_session,    ops_agent,    ops_agent_terminal, ops_address,      ops_terminal, ops_contact,
    ops_connection, ops_termconn, ops_route_point,    ops_notification, ops_outbound};

size_t soap_bind(void)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        for (const struct op_row *row = tables[i]; row->service != NULL; row++) {
            struct service *service = contract_service(row->service);
            struct operation *op =
                service != NULL ? contract_operation_named(service, row->operation) : NULL;
            if (op != NULL)
                op->handler = row->handler;
        }
    }
    size_t missing = 0;
    for (size_t i = 0; i < contract_service_count(); i++) {
        struct service *service = contract_service_at(i);
        for (size_t j = 0; j < service->operation_count; j++)
            missing += service->operations[j].handler == NULL;
    }
    return missing;
}

void soap_set_latency(uint64_t ms, uint64_t jitter_ms)
{
    latency.ms = ms;
    latency.jitter_ms = jitter_ms;
}

void soap_latency(uint64_t *ms, uint64_t *jitter_ms)
{
    *ms = latency.ms;
    *jitter_ms = latency.jitter_ms;
}

void soap_on_malformed(const char *why)
{
    counters_violation("HTTP", why);
}

static struct http_reply new_reply(enum envelope envelope, struct buf *body)
{
    uint64_t delay = latency.ms;
    if (latency.jitter_ms > 0)
        delay += (uint64_t)rand() % (latency.jitter_ms + 1);
    return (struct http_reply){.status = 200,
                               .content_type = soap_content_type(envelope),
                               .body = body,
                               .delay_ms = delay};
}

static void violate(struct http_conn *conn, const char *where, enum envelope envelope,
                    const char *what)
{
    counters_violation(where, what);
    counters.faults++;
    struct buf body = {0};
    soap_write_plain_fault(&body, envelope, true, what);
    struct http_reply reply = new_reply(envelope, &body);
    reply.status = 500;
    http_reply(conn, &reply);
}

static void reply_text(struct http_conn *conn, int status, const char *text)
{
    struct buf body = {0};
    buf_str(&body, text);
    http_reply(conn,
               &(struct http_reply){.status = status, .content_type = "text/plain", .body = &body});
}

/* The service that a path names, NULL when none. */
static struct service *route(const char *path)
{
    bool outbound = strncasecmp(path, OUTBOUND_FOLDER, strlen(OUTBOUND_FOLDER)) == 0;
    if (!outbound && strncmp(path, CCT_FOLDER, strlen(CCT_FOLDER)) != 0)
        return NULL;
    const char *name = path + strlen(outbound ? OUTBOUND_FOLDER : CCT_FOLDER);
    char *plain = mem_strdup(name);
    size_t len = strlen(plain);
    bool asmx = len > 5 && strcasecmp(plain + len - 5, ".asmx") == 0;
    if (outbound && asmx)
        plain[len - 5] = '\0';
    struct service *service = outbound == asmx ? contract_service(plain) : NULL;
    free(plain);
    return service != NULL && service->outbound == outbound ? service : NULL;
}

static void serve_get(struct http_conn *conn, const struct http_request *request)
{
    struct buf body = {0};
    struct service *service = route(request->path);
    bool found = false;
    if (service != NULL && request->query != NULL && strcasecmp(request->query, "wsdl") == 0)
        found = contract_files_wsdl(&body, service, request->host);
    else if (strncmp(request->path, CCT_FOLDER, strlen(CCT_FOLDER)) == 0 && service == NULL)
        found = contract_files_named(&body, request->path + strlen(CCT_FOLDER), request->host);
    if (found) {
        struct http_reply reply = new_reply(ENVELOPE_CCT, &body);
        http_reply(conn, &reply);
        return;
    }
    buf_free(&body);
    counters_violation(request->path, "GET without ?wsdl");
    reply_text(conn, 405, "Only POST\n");
}

static bool media_type_is(const char *value, const char *type)
{
    size_t len = strlen(type);
    return value != NULL && strncasecmp(value, type, len) == 0 &&
           (value[len] == '\0' || value[len] == ';' || value[len] == ' ');
}

/* What is wrong with the HTTP form of a SOAP request, or NULL; sets the envelope to expect. */
static const char *check_form(const struct service *service, const struct http_request *request,
                              enum envelope *envelope)
{
    *envelope = service->outbound ? ENVELOPE_OUTBOUND_11 : ENVELOPE_CCT;
    if (service->outbound && media_type_is(request->content_type, "application/soap+xml")) {
        *envelope = ENVELOPE_OUTBOUND_12;
        return NULL;
    }
    if (!media_type_is(request->content_type, "text/xml"))
        return "Content-Type is not text/xml";
    return request->soap_action == NULL ? "no SOAPAction header" : NULL;
}

static xmlNode *first_element(const xmlNode *parent)
{
    xmlNode *n = parent != NULL ? parent->children : NULL;
    while (n != NULL && n->type != XML_ELEMENT_NODE)
        n = n->next;
    return n;
}

static xmlNode *body_element(xmlDoc *doc)
{
    xmlNode *body = node_child(xmlDocGetRootElement(doc), "Body");
    xmlNode *element = first_element(body);
    if (element == NULL)
        return NULL;
    for (xmlNode *n = element->next; n != NULL; n = n->next) {
        if (n->type == XML_ELEMENT_NODE)
            return NULL;
    }
    return element;
}

/* What is wrong with the document, or NULL. */
static const char *check_document(struct rq *rq, const struct service *service, xmlDoc *doc,
                                  struct buf *message)
{
    if (doc == NULL)
        return "not well-formed XML";
    if (doc->intSubset != NULL)
        return "a DOCTYPE, which SOAP forbids";
    if (!contract_validate(rq->envelope, doc, message))
        return message->data != NULL ? message->data : "not valid";
    rq->root = body_element(doc);
    if (rq->root == NULL || rq->root->ns == NULL)
        return "the body must hold one element";
    rq->op =
        contract_operation(service, (const char *)rq->root->ns->href, (const char *)rq->root->name);
    return rq->op == NULL ? "the body's element names no operation of this service" : NULL;
}

static int check_token(struct rq *rq)
{
    xmlNode *sso = node_child(rq->root, "ssoToken");
    if (sso == NULL)
        return 0;
    rq->session = session_find(rq_node_text(rq, node_child(sso, "token")));
    if (rq->session == NULL) {
        const char *name = strcmp(rq->op->service->name, "NotificationProducer") == 0
                               ? "ResourceUnknownFault"
                               : "SessionNotCreatedException";
        return rq_fail_as(rq, name, "The session does not exist or has ended");
    }
    session_touch(rq->session);
    rq->user = rq->session->user;
    return 0;
}

static int run(struct rq *rq)
{
    outbound_soap11 += rq->envelope == ENVELOPE_OUTBOUND_11;
    outbound_soap12 += rq->envelope == ENVELOPE_OUTBOUND_12;
    if (check_token(rq) != 0)
        return -1;
    /* An operation that only a site's own contract has: an empty reply is the best that can be said. */
    int rc = rq->op->handler != NULL ? rq->op->handler(rq) : 0;
    notify_settle();
    return rc;
}

static void answer(struct http_conn *conn, struct rq *rq)
{
    struct buf body = {0};
    struct injected fault;
    bool spoilt = faults_take(rq->op, &fault);
    if (spoilt && fault.kind == FAULT_SESSION)
        rq_fail_as(rq, "SessionNotCreatedException", "The session does not exist or has ended");
    else if (spoilt && fault.kind == FAULT_DECLARED)
        soap_inject_fault(rq, fault.fault, fault.message);
    else if ((!spoilt || fault.execute) && run(rq) == 0)
        journal_note(rq);
    soap_write_reply(&body, rq);
    struct http_reply reply = new_reply(rq->envelope, &body);
    if (rq->failed) {
        reply.status = 500;
        counters.faults++;
    }
    if (spoilt)
        faults_reply(conn, rq->op, &fault, &reply);
    else
        http_reply(conn, &reply);
}

static void serve_post(struct http_conn *conn, const struct http_request *request,
                       const struct service *service)
{
    struct rq rq = {.host = request->host};
    const char *wrong = check_form(service, request, &rq.envelope);
    if (wrong != NULL) {
        violate(conn, service->name, rq.envelope, wrong);
        return;
    }
    struct buf message = {0};
    xmlDoc *doc = xmlReadMemory(request->body, (int)request->body_len, NULL, NULL,
                                XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    wrong = check_document(&rq, service, doc, &message);
    if (wrong != NULL) {
        violate(conn, service->name, rq.envelope, wrong);
    } else {
        counters_operation(rq.op);
        answer(conn, &rq);
    }
    buf_free(&message);
    rq_free(&rq);
    xmlFreeDoc(doc);
}

void soap_on_request(struct http_conn *conn, const struct http_request *request)
{
    if (strcmp(request->method, "GET") == 0) {
        serve_get(conn, request);
        return;
    }
    if (strcmp(request->method, "POST") != 0) {
        counters_violation(request->path, "neither POST nor GET");
        reply_text(conn, 405, "Only POST\n");
        return;
    }
    struct service *service = route(request->path);
    if (service == NULL) {
        counters_violation(request->path, "no such service");
        reply_text(conn, 404, "No such service\n");
        return;
    }
    serve_post(conn, request, service);
}
