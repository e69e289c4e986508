/* Writers of the contract's types in the namespaces of a Notify: b BaseNotification, f notification, c common types. */
#ifndef CCTSIM_EVENT_XML_H
#define CCTSIM_EVENT_XML_H

#include "buf.h"
#include "caps.h"
#include "events.h"

void xml_text(struct buf *b, const char *element, const char *text);
void xml_bool(struct buf *b, const char *element, bool value);
void xml_number(struct buf *b, const char *element, long long value);
void xml_open(struct buf *b, const char *element);
void xml_close(struct buf *b, const char *element);
void xml_address(struct buf *b, const char *element, const struct address *address);
void xml_terminal(struct buf *b, const char *element, const struct terminal *terminal);
void xml_agent(struct buf *b, const char *element, const struct agent *agent);
void xml_contact(struct buf *b, const char *element, const struct contact *contact);
void xml_provider(struct buf *b, const char *element, const char *provider);
void xml_caps(struct buf *b, const char *element, const struct cap_block *block, uint32_t caps);

/* The property's new value as the contract's element for it; nothing for properties that have none. */
void xml_contact_value(struct buf *b, const struct sim_event *event, const struct address *address);
void xml_agent_value(struct buf *b, const struct sim_event *event);
void xml_terminal_value(struct buf *b, const struct sim_event *event);
void xml_address_value(struct buf *b, const struct sim_event *event);

#endif
