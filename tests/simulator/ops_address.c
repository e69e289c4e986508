/* AddressService. */
#include <stdlib.h>
#include <string.h>

#include "agents.h"
#include "calls.h"
#include "ops_shared.h"

static bool can(struct rq *rq, const struct address *address, enum address_cap cap)
{
    return address != NULL && rq_can(rq, caps_of_address(address), &address_caps, cap);
}

static int cancel_forwarding(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (!can(rq, address, ADR_FORWARD))
        return -1;
    forwarding_clear(&address->forwarding);
    address_forwarding_changed(address);
    return 0;
}

static int get_capabilities(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (address == NULL)
        return -1;
    put_caps(rq, "r:addressCapabilities", &address_caps, caps_of_address(address));
    return 0;
}

static int get_connection(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    struct contact *contact = address != NULL ? rq_contact(rq, "contact") : NULL;
    if (contact == NULL)
        return -1;
    struct connection *c = contact_connection_at(contact, address);
    if (c == NULL)
        return rq_fail(rq, "Address '%s' is not in contact '%s'", address->name, contact->id);
    put_connection(rq, "r:connection", c);
    return 0;
}

static int get_connections(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (address == NULL)
        return -1;
    const struct connection *c;
    TAILQ_FOREACH(c, &address->connections, of_address)
    {
        put_connection(rq, "r:connection", c);
    }
    return 0;
}

static int get_dnd(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (address == NULL)
        return -1;
    put_bool(rq, "r:doNotDisturb", address->dnd);
    return 0;
}

static int get_forwarding(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (address == NULL)
        return -1;
    put_forwardings(rq, &address->forwarding);
    return 0;
}

static bool waiting_allowed(struct rq *rq, const struct address *address, enum address_cap cap)
{
    if (address == NULL)
        return false;
    if (caps_of_address(address) >> cap & 1)
        return true;
    rq_fail(rq, "Message waiting is not supported by any provider");
    return false;
}

static int get_message_waiting(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (!waiting_allowed(rq, address, ADR_GET_MESSAGE_WAITING))
        return -1;
    buf_str(&rq->out, "<r:messageWaiting>");
    put_bool(rq, "c:messageWaiting", address->message_waiting);
    put_number(rq, "c:numberOfMessages", address->message_count);
    buf_str(&rq->out, "</r:messageWaiting>");
    return 0;
}

static int is_message_waiting(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (!waiting_allowed(rq, address, ADR_GET_MESSAGE_WAITING))
        return -1;
    put_bool(rq, "r:isMessageWaiting", address->message_waiting);
    return 0;
}

static int set_message_waiting(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (!waiting_allowed(rq, address, ADR_SET_MESSAGE_WAITING))
        return -1;
    xmlNode *value = node_child(rq->root, "messageWaiting");
    const char *on = rq_node_text(rq, node_child(value, "messageWaiting"));
    const char *count = rq_node_text(rq, node_child(value, "numberOfMessages"));
    address_set_message_waiting(address, strchr(on, 't') != NULL || strchr(on, '1') != NULL,
                                (int)strtol(count, NULL, 10));
    return 0;
}

static int get_presence(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (address == NULL)
        return -1;
    struct presence now = address_presence(address);
    buf_str(&rq->out, "<r:presence>");
    put_text(rq, "c:status", now.status);
    put_text(rq, "c:extendedStatus", now.extended);
    put_text(rq, "c:activity", now.activity);
    put_text(rq, "c:rawXml", "");
    put_text(rq, "c:note", "");
    buf_str(&rq->out, "</r:presence>");
    return 0;
}

static int get_state(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (address == NULL)
        return -1;
    put_text(rq, "r:resourseState", address->state);
    return 0;
}

static int get_terminal_status(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (address == NULL)
        return -1;
    put_text(rq, "r:terminalStatus",
             address->terminal != NULL ? address->terminal->state : "UNKNOWN");
    return 0;
}

static int get_terminals(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (address == NULL)
        return -1;
    if (address->terminal != NULL)
        put_terminal(rq, "r:terminals", address->terminal);
    return 0;
}

static int get_uri(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (address == NULL)
        return -1;
    char *uri = address_uri(address);
    put_text(rq, "r:uri", uri);
    free(uri);
    return 0;
}

static int is_forwarded(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (address == NULL)
        return -1;
    put_bool(rq, "r:isForwarded", address->forwarding.count > 0);
    return 0;
}

static int originate(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    struct terminal *terminal = address != NULL ? rq_terminal(rq, "terminal") : NULL;
    struct address *to = terminal != NULL ? rq_dialled(rq, "destinationAddress") : NULL;
    return to != NULL ? do_originate(rq, terminal, address, to) : -1;
}

static int presence(struct rq *rq, bool on)
{
    struct address *address = rq_address(rq, "address");
    if (address == NULL)
        return -1;
    if (!on && !address->presence_subscribed)
        return rq_fail(rq, "There is no presence subscription for '%s'", address->name);
    address->presence_subscribed = on;
    address_presence_changed(address);
    return 0;
}

static int presence_subscribe(struct rq *rq)
{
    if (rq_number(rq, "duration") <= 0)
        return rq_fail(rq, "The duration must be positive");
    return presence(rq, true);
}

static int presence_unsubscribe(struct rq *rq)
{
    return presence(rq, false);
}

static struct contact *common_contact(const struct address *a, const struct address *b)
{
    const struct connection *c;
    TAILQ_FOREACH(c, &a->connections, of_address)
    {
        if (contact_connection_at(c->contact, b) != NULL)
            return c->contact;
    }
    return NULL;
}

/* Into the call that both are in, if there is one; else it is delivered and forgotten. */
static int send_instant_message(struct rq *rq)
{
    struct address *from = rq_address(rq, "sourceAddress");
    struct address *to = from != NULL ? rq_dialled_address(rq, "destinationAddress") : NULL;
    if (to == NULL)
        return -1;
    struct contact *contact = common_contact(from, to);
    xmlNode *m = node_child(rq->root, "message");
    if (contact != NULL)
        contact_message_add(contact, rq_node_text(rq, node_child(m, "message")),
                            rq_node_text(rq, node_child(m, "sender")),
                            rq_node_text(rq, node_child(m, "type")),
                            rq_node_text(rq, node_child(m, "timeStamp")));
    return 0;
}

static int set_dnd(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (!can(rq, address, ADR_DND))
        return -1;
    address_set_dnd(address, rq_bool(rq, "doNotDisturb"));
    return 0;
}

static int set_forwarding(struct rq *rq)
{
    struct address *address = rq_address(rq, "address");
    if (!can(rq, address, ADR_FORWARD) || do_set_forwarding(rq, &address->forwarding) != 0)
        return -1;
    address_forwarding_changed(address);
    return 0;
}

#define ADR "AddressService"

const struct op_row ops_address[] = {{ADR, "CancelForwarding", cancel_forwarding},
                                     {ADR, "GetCapabilities", get_capabilities},
                                     {ADR, "GetConnection", get_connection},
                                     {ADR, "GetConnections", get_connections},
                                     {ADR, "GetDoNotDisturb", get_dnd},
                                     {ADR, "GetForwarding", get_forwarding},
                                     {ADR, "GetMessageWaiting", get_message_waiting},
                                     {ADR, "GetPresence", get_presence},
                                     {ADR, "GetState", get_state},
                                     {ADR, "GetTerminalStatus", get_terminal_status},
                                     {ADR, "GetTerminals", get_terminals},
                                     {ADR, "GetUri", get_uri},
                                     {ADR, "GetVersion", do_version},
                                     {ADR, "IsForwarded", is_forwarded},
                                     {ADR, "IsMessageWaiting", is_message_waiting},
                                     {ADR, "Originate", originate},
                                     {ADR, "PresenceSubscribe", presence_subscribe},
                                     {ADR, "PresenceUnsubscribe", presence_unsubscribe},
                                     {ADR, "SendInstantMessage", send_instant_message},
                                     {ADR, "SetDoNotDisturb", set_dnd},
                                     {ADR, "SetForwarding", set_forwarding},
                                     {ADR, "SetMessageWaiting", set_message_waiting},
                                     {NULL, NULL, NULL}};
