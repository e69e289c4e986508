#include "event_xml.h"

#include <stdio.h>
#include <string.h>

void xml_open(struct buf *b, const char *element)
{
    buf_add(b, "<", 1);
    buf_str(b, element);
    buf_add(b, ">", 1);
}

void xml_close(struct buf *b, const char *element)
{
    buf_add(b, "</", 2);
    buf_str(b, element);
    buf_add(b, ">", 1);
}

void xml_text(struct buf *b, const char *element, const char *text)
{
    xml_open(b, element);
    buf_xml(b, text);
    xml_close(b, element);
}

void xml_bool(struct buf *b, const char *element, bool value)
{
    xml_open(b, element);
    buf_str(b, value ? "true" : "false");
    xml_close(b, element);
}

void xml_number(struct buf *b, const char *element, long long value)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%lld", value);
    xml_open(b, element);
    buf_add(b, text, (size_t)len);
    xml_close(b, element);
}

void xml_provider(struct buf *b, const char *element, const char *provider)
{
    xml_open(b, element);
    xml_text(b, "c:providerName", provider);
    xml_close(b, element);
}

void xml_address(struct buf *b, const char *element, const struct address *address)
{
    xml_open(b, element);
    xml_text(b, "c:addressName", address->name);
    xml_text(b, "c:addressType", address_type_name(address->type));
    xml_provider(b, "c:provider", address->provider);
    xml_text(b, "c:status", address->state);
    xml_close(b, element);
}

void xml_terminal(struct buf *b, const char *element, const struct terminal *terminal)
{
    xml_open(b, element);
    xml_text(b, "c:terminalName", terminal->name);
    xml_text(b, "c:terminalType", terminal_type_name(terminal->type));
    xml_provider(b, "c:provider", terminal->provider);
    xml_text(b, "c:status", terminal->state);
    xml_close(b, element);
}

void xml_agent(struct buf *b, const char *element, const struct agent *agent)
{
    xml_open(b, element);
    xml_text(b, "c:agentLoginId", agent->id);
    xml_text(b, "c:userName", agent->user_name);
    xml_text(b, "c:agentType", agent_type_name(agent->type));
    xml_close(b, element);
}

void xml_contact(struct buf *b, const char *element, const struct contact *contact)
{
    xml_open(b, element);
    xml_text(b, "c:contactId", contact->id);
    xml_text(b, "c:externalContactId", contact->external_id);
    xml_provider(b, "c:provider", contact->provider);
    buf_str(b, "<c:contactTypes><c:item>");
    xml_text(b, "c:type", contact->contact_type);
    buf_str(b, "</c:item></c:contactTypes>");
    xml_close(b, element);
}

void xml_caps(struct buf *b, const char *element, const struct cap_block *block, uint32_t caps)
{
    xml_open(b, element);
    for (unsigned i = 0; i < block->count; i++) {
        const char *name = block->names[i];
        buf_add(b, "<c:", 3);
        buf_str(b, name);
        buf_str(b, caps >> i & 1 ? ">true</c:" : ">false</c:");
        buf_str(b, name);
        buf_add(b, ">", 1);
    }
    xml_close(b, element);
}
