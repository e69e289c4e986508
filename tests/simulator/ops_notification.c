/* NotificationProducer, and UserService's own pair of subscribe operations (DOMAIN section 5). */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loop.h"
#include "ops_shared.h"
#include "options.h"
#include "soap_write.h"
#include "topic.h"

/* The longest lease when no option says otherwise. */
#define LEASE_MAX_MS ((int64_t)3650 * 86400000)

/* Wall-clock milliseconds of an xs:dateTime; without a zone it is taken as UTC. The schema has checked the form. */
static int64_t parse_time(const char *s)
{
    struct tm tm = {0};
    int64_t offset = 0;
    s += strspn(s, " \t\r\n");
    const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL)
        return 0;
    int64_t ms = (int64_t)timegm(&tm) * 1000;
    if (*rest == '.') {
        double fraction = strtod(rest, NULL);
        ms += (int64_t)(fraction * 1000);
        rest += 1 + strspn(rest + 1, "0123456789");
    }
    if (*rest == '+' || *rest == '-') {
        offset = (strtol(rest + 1, NULL, 10) * 60 + strtol(rest + 4, NULL, 10)) * 60000;
        offset = *rest == '-' ? -offset : offset;
    }
    return ms - offset;
}

static int user_subscribe(struct rq *rq)
{
    const char *consumer = rq_text(rq, "ConsumerEndpoint");
    struct subscription *s = subscription_new(rq->session, consumer, rq->host, NULL);
    if (s == NULL)
        return rq_fail(rq, "The consumer endpoint is not an http address");
    for (size_t i = 0; i < POLICY_FLAGS; i++)
        s->policy[i] = true;
    s->reference = mem_printf("%s:%s", consumer, s->id);
    s->ends_ms = 0;
    put_text(rq, "r:SubscriptionRef", s->reference);
    return 0;
}

static int user_unsubscribe(struct rq *rq)
{
    const char *name = rq_text(rq, "SubscriptionRef");
    struct subscription *s = subscription_find(rq->user, name);
    if (s == NULL)
        return rq_fail(rq, "There is no subscription '%s'", name);
    subscription_end(s, true);
    put_bool(rq, "r:Success", true);
    return 0;
}

static bool dialect_known(xmlNode *topic)
{
    xmlChar *dialect = xmlGetNoNsProp(topic, BAD_CAST "Dialect");
    const char *s = (const char *)dialect;
    bool known = s == NULL || *s == '\0' || strncmp(s, "http://www.nortel.com/", 22) == 0 ||
                 strncmp(s, "http://docs.oasis-open.org/", 27) == 0;
    xmlFree(dialect);
    return known;
}

static void read_policy(struct rq *rq, bool policy[POLICY_FLAGS])
{
    xmlNode *node = node_child(rq->root, "SubscriptionPolicy");
    size_t i = 0;
    for (xmlNode *n = node != NULL ? node->children : NULL; n != NULL && i < POLICY_FLAGS;
         n = n->next) {
        if (n->type != XML_ELEMENT_NODE)
            continue;
        const char *on = rq_node_text(rq, n);
        policy[i++] = strchr(on, 't') != NULL || strchr(on, '1') != NULL;
    }
}

static int64_t latest_end(void)
{
    return loop_wall_ms() +
           (options.lease_max_ms > 0 ? (int64_t)options.lease_max_ms : LEASE_MAX_MS);
}

static int subscribe(struct rq *rq)
{
    xmlNode *consumer = node_child(rq->root, "ConsumerReference");
    const char *url = rq_node_text(rq, node_child(consumer, "Address"));
    xmlNode *topic = node_child(rq->root, "TopicExpression");
    xmlNode *end = node_child(rq->root, "InitialTerminationTime");
    int64_t ends_ms = end != NULL ? parse_time(rq_node_text(rq, end)) : 0;
    if (!dialect_known(topic))
        return rq_fail_as(rq, "TopicPathDialectUnknownFault", "The dialect is not known");
    if (end != NULL && ends_ms <= loop_wall_ms())
        return rq_fail_as(rq, "SubscribeCreationFailedFault", "The termination time is over");
    if (options.lease_max_ms > 0 && ends_ms > latest_end())
        return rq_fail_as(rq, "SubscribeCreationFailedFault",
                          "The termination time is too far away");
    struct subscription *s = subscription_new(rq->session, url, rq->host, topic_new(topic));
    if (s == NULL)
        return rq_fail_as(rq, "SubscribeCreationFailedFault",
                          "The consumer is not an http address");
    if (end != NULL)
        s->ends_ms = ends_ms;
    read_policy(rq, s->policy);
    buf_str(&rq->out,
            "<r:SubscriptionReference xmlns:a=\"http://schemas.xmlsoap.org/ws/2003/03/addressing\">"
            "<a:Address>http://");
    buf_xml(&rq->out, rq->host);
    buf_str(&rq->out, "/SOAOICCT/services/NotificationProducer</a:Address>");
    put_text(rq, "a:SubscriptionId", s->id);
    buf_str(&rq->out, "</r:SubscriptionReference>");
    return 0;
}

static struct subscription *referenced(struct rq *rq)
{
    xmlNode *reference = node_child(rq->root, "SubscriptionReference");
    const char *id = rq_node_text(rq, node_child(reference, "SubscriptionId"));
    struct subscription *s = subscription_find(rq->user, id);
    if (s == NULL)
        rq_fail_as(rq, "ResourceUnknownFault", "There is no subscription '%s'", id);
    return s;
}

static int renew(struct rq *rq)
{
    struct subscription *s = referenced(rq);
    if (s == NULL)
        return -1;
    int64_t now = loop_wall_ms();
    int64_t ends_ms = parse_time(rq_text(rq, "TerminationTime"));
    int64_t latest = latest_end();
    if (ends_ms <= now || ends_ms > latest) {
        buf_str(&rq->fault_extra,
                "<n:MinimumTime xmlns:n=\"http://www.nortel.com/soa/oi/cct/notification\">");
        soap_write_time(&rq->fault_extra, now + 1000);
        buf_str(&rq->fault_extra,
                "</n:MinimumTime>"
                "<n:MaximumTime xmlns:n=\"http://www.nortel.com/soa/oi/cct/notification\">");
        soap_write_time(&rq->fault_extra, latest);
        buf_str(&rq->fault_extra, "</n:MaximumTime>");
        return rq_fail_as(rq, "UnacceptableTerminationTimeFault",
                          "The termination time cannot be granted");
    }
    s->ends_ms = ends_ms;
    s->warned = false;
    buf_str(&rq->out, "<r:TerminationTime>");
    soap_write_time(&rq->out, ends_ms);
    buf_str(&rq->out, "</r:TerminationTime><r:CurrentTime>");
    soap_write_time(&rq->out, now);
    buf_str(&rq->out, "</r:CurrentTime>");
    return 0;
}

static int unsubscribe(struct rq *rq)
{
    struct subscription *s = referenced(rq);
    if (s == NULL)
        return -1;
    subscription_end(s, true);
    put_bool(rq, "r:Success", true);
    return 0;
}

const struct op_row ops_notification[] = {{"UserService", "Subscribe", user_subscribe},
                                          {"UserService", "Unsubscribe", user_unsubscribe},
                                          {"NotificationProducer", "GetVersion", do_version},
                                          {"NotificationProducer", "Renew", renew},
                                          {"NotificationProducer", "Subscribe", subscribe},
                                          {"NotificationProducer", "Unsubscribe", unsubscribe},
                                          {NULL, NULL, NULL}};
