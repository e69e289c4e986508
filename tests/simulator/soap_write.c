#include "soap_write.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loop.h"

#define CCT_TYPES      "http://www.nortel.com/soa/oi/cct/types"
#define OUTBOUND_TYPES "http://datatypes.outboundwebservices.ccmm.applications.nortel.com"
#define CCT_FAULTS     "http://www.nortel.com/soa/oi/cct/faults"
#define BASE_FAULTS    "http://docs.oasis-open.org/wsrf/2004/06/wsrf-WS-BaseFaults-1.2-draft-01.xsd"

const char *soap_content_type(enum envelope envelope)
{
    return envelope == ENVELOPE_OUTBOUND_12 ? "application/soap+xml; charset=utf-8"
                                            : "text/xml;charset=utf-8";
}

static void open_envelope(struct buf *b, enum envelope envelope)
{
    buf_printf(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<e:Envelope xmlns:e=\"%s\"><e:Body>",
               envelope == ENVELOPE_OUTBOUND_12 ? "http://www.w3.org/2003/05/soap-envelope"
                                                : "http://schemas.xmlsoap.org/soap/envelope/");
}

static void close_envelope(struct buf *b)
{
    buf_str(b, "</e:Body></e:Envelope>");
}

void soap_write_time(struct buf *b, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[32];
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(b, "%s.%03dZ", text, (int)(wall_ms % 1000));
}

static void fault_start(struct buf *b, enum envelope envelope, bool client, const char *text)
{
    if (envelope == ENVELOPE_OUTBOUND_12) {
        buf_printf(
            b,
            "<e:Fault><e:Code><e:Value>e:%s</e:Value></e:Code><e:Reason><e:Text xml:lang=\"en\">",
            client ? "Sender" : "Receiver");
        buf_xml(b, text);
        buf_str(b, "</e:Text></e:Reason>");
        return;
    }
    buf_printf(b, "<e:Fault><faultcode>e:%s</faultcode><faultstring>",
               client ? "Client" : "Server");
    buf_xml(b, text);
    buf_str(b, "</faultstring>");
}

static void fault_end(struct buf *b, enum envelope envelope)
{
    if (envelope == ENVELOPE_OUTBOUND_12)
        buf_str(b, "<e:Detail/>");
    else if (envelope == ENVELOPE_OUTBOUND_11)
        buf_str(b, "<detail/>");
    buf_str(b, "</e:Fault>");
}

void soap_write_plain_fault(struct buf *b, enum envelope envelope, bool client, const char *text)
{
    open_envelope(b, envelope);
    fault_start(b, envelope, client, text);
    fault_end(b, envelope);
    close_envelope(b);
}

/* NotificationProducer's faults extend the base fault, which has no message (NOTES.md, Wire conventions). */
static bool is_base_fault(const struct element_name *fault)
{
    return strstr(fault->ns, "/notification/faults") != NULL ||
           strstr(fault->ns, "/types/NotificationProducer") != NULL;
}

static void write_declared_fault(struct buf *b, const struct rq *rq)
{
    const char *text = rq->fault_text.data != NULL ? rq->fault_text.data : "";
    fault_start(b, rq->envelope, false, rq->fault->name);
    buf_printf(b, "<detail><f:%s xmlns:f=\"%s\" xmlns:w=\"" BASE_FAULTS "\"><w:Timestamp>",
               rq->fault->name, rq->fault->ns);
    soap_write_time(b, loop_wall_ms());
    bool base = is_base_fault(rq->fault);
    buf_printf(b, "</w:Timestamp><w:%s>", base ? "Description" : "message");
    buf_xml(b, text);
    buf_printf(b, "</w:%s>", base ? "Description" : "message");
    if (rq->fault_extra.data != NULL)
        buf_str(b, rq->fault_extra.data);
    buf_printf(b, "</f:%s></detail></e:Fault>", rq->fault->name);
}

static void write_result(struct buf *b, const struct rq *rq)
{
    const struct element_name *out = &rq->op->out;
    if (out->name == NULL)
        return;
    buf_printf(b, "<r:%s xmlns:r=\"%s\" xmlns:c=\"%s\">", out->name, out->ns,
               rq->op->service->outbound ? OUTBOUND_TYPES : CCT_TYPES);
    if (rq->out.data != NULL)
        buf_add(b, rq->out.data, rq->out.len);
    buf_printf(b, "</r:%s>", out->name);
}

void soap_write_reply(struct buf *b, const struct rq *rq)
{
    if (rq->failed && rq->fault == NULL) {
        soap_write_plain_fault(b, rq->envelope, false, rq->fault_text.data);
        return;
    }
    open_envelope(b, rq->envelope);
    if (rq->failed)
        write_declared_fault(b, rq);
    else
        write_result(b, rq);
    close_envelope(b);
}

void soap_inject_fault(struct rq *rq, const char *name, const char *message)
{
    static struct element_name undeclared;
    static char ns[] = CCT_FAULTS;
    rq_fail_as(rq, name != NULL ? name : "", "%s",
               message != NULL ? message : "Injected by the simulator");
    if (name == NULL || rq->op->service->outbound)
        return;
    if (rq->fault != NULL && strcmp(rq->fault->name, name) == 0)
        return;
    free(undeclared.name);
    undeclared = (struct element_name){.ns = ns, .name = mem_strdup(name)};
    rq->fault = &undeclared;
}
