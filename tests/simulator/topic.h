/*
 * What a subscription listens to: its TopicExpression's listeners with their entity and value filters, where an empty
 * filter lets everything pass. Entities are told by their key alone (address name, terminal name, login id, provider).
 */
#ifndef CCTSIM_TOPIC_H
#define CCTSIM_TOPIC_H

#include <libxml/tree.h>
#include <stdbool.h>

#include "events.h"

struct topic;

/* From a TopicExpression element of a validated request. */
struct topic *topic_new(const xmlNode *expression);
void topic_free(struct topic *topic);
/* A NULL topic listens to everything. System events are not a listener's matter. */
bool topic_listens(const struct topic *topic, enum event_kind kind);
bool topic_takes_value(const struct topic *topic, enum event_kind kind, const char *value);
bool topic_takes_entity(const struct topic *topic, enum event_kind kind, const char *key);
/* Does the listener name entities at all? */
bool topic_has_entities(const struct topic *topic, enum event_kind kind);
/* "ConnectionStateListener"; NULL for system events. */
const char *topic_listener_name(enum event_kind kind);

#endif
