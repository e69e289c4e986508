#include <string.h>

#include "rq.h"

void put_text(struct rq *rq, const char *element, const char *text)
{
    buf_printf(&rq->out, "<%s>", element);
    buf_xml(&rq->out, text);
    buf_printf(&rq->out, "</%s>", element);
}

void put_bool(struct rq *rq, const char *element, bool value)
{
    buf_printf(&rq->out, "<%s>%s</%s>", element, value ? "true" : "false", element);
}

void put_number(struct rq *rq, const char *element, long long value)
{
    buf_printf(&rq->out, "<%s>%lld</%s>", element, value, element);
}

static void put_provider(struct rq *rq, const char *provider)
{
    buf_str(&rq->out, "<c:provider>");
    put_text(rq, "c:providerName", provider);
    buf_str(&rq->out, "</c:provider>");
}

void put_address(struct rq *rq, const char *element, const struct address *address)
{
    buf_printf(&rq->out, "<%s>", element);
    put_text(rq, "c:addressName", address->name);
    put_text(rq, "c:addressType", address_type_name(address->type));
    put_provider(rq, address->provider);
    put_text(rq, "c:status", address->state);
    buf_printf(&rq->out, "</%s>", element);
}

void put_terminal(struct rq *rq, const char *element, const struct terminal *terminal)
{
    buf_printf(&rq->out, "<%s>", element);
    put_text(rq, "c:terminalName", terminal->name);
    put_text(rq, "c:terminalType", terminal_type_name(terminal->type));
    put_provider(rq, terminal->provider);
    put_text(rq, "c:status", terminal->state);
    buf_printf(&rq->out, "</%s>", element);
}

void put_agent(struct rq *rq, const char *element, const struct agent *agent)
{
    buf_printf(&rq->out, "<%s>", element);
    put_text(rq, "c:agentLoginId", agent->id);
    put_text(rq, "c:userName", agent->user_name);
    put_text(rq, "c:agentType", agent_type_name(agent->type));
    buf_printf(&rq->out, "</%s>", element);
}

void put_contact(struct rq *rq, const char *element, const struct contact *contact)
{
    buf_printf(&rq->out, "<%s>", element);
    put_text(rq, "c:contactId", contact->id);
    put_text(rq, "c:externalContactId", contact->external_id);
    put_provider(rq, contact->provider);
    buf_str(&rq->out, "<c:contactTypes><c:item>");
    put_text(rq, "c:type", contact->contact_type);
    buf_printf(&rq->out, "</c:item></c:contactTypes></%s>", element);
}

void put_connection(struct rq *rq, const char *element, const struct connection *connection)
{
    buf_printf(&rq->out, "<%s>", element);
    put_text(rq, "c:connectionId", connection->id);
    buf_printf(&rq->out, "</%s>", element);
}

void put_termconn(struct rq *rq, const char *element, const struct termconn *termconn)
{
    buf_printf(&rq->out, "<%s>", element);
    put_text(rq, "c:terminalConnectionId", termconn->id);
    buf_printf(&rq->out, "</%s>", element);
}

void put_caps(struct rq *rq, const char *element, const struct cap_block *block, uint32_t caps)
{
    buf_printf(&rq->out, "<%s>", element);
    for (unsigned i = 0; i < block->count; i++) {
        const char *name = block->names[i];
        buf_printf(&rq->out, "<c:%s>%s</c:%s>", name, caps >> i & 1 ? "true" : "false", name);
    }
    buf_printf(&rq->out, "</%s>", element);
}

void put_forwardings(struct rq *rq, const struct forwarding_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        buf_str(&rq->out, "<r:forwarding>");
        put_text(rq, "c:caller", list->items[i].caller);
        put_text(rq, "c:destinationAddress", list->items[i].destination);
        put_number(rq, "c:type", list->items[i].type);
        put_number(rq, "c:whichCalls", list->items[i].which_calls);
        buf_str(&rq->out, "</r:forwarding>");
    }
}
