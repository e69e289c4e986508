#include "topic.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "rq.h"

struct listener {
    bool on;
    struct map entities;
    struct map values;
};

struct topic {
    struct listener listeners[EVENT_KINDS];
};

static const char *const names[EVENT_KINDS] = {
    [EVENT_CONNECTION_STATE] = "ConnectionStateListener",
    [EVENT_TERMINAL_CONNECTION_STATE] = "TerminalConnectionStateListener",
    [EVENT_CONTACT_PROPERTY] = "ContactPropertyListener",
    [EVENT_AGENT_PROPERTY] = "AgentPropertyListener",
    [EVENT_TERMINAL_PROPERTY] = "TerminalPropertyListener",
    [EVENT_ADDRESS_PROPERTY] = "AddressPropertyListener",
    [EVENT_ADDRESS_STATE] = "AddressStateListener",
    [EVENT_TERMINAL_STATE] = "TerminalStateListener",
    [EVENT_AGENT_STATE] = "AgentStateListener",
    [EVENT_SERVICE_PROVIDER_STATUS] = "ServiceProviderStatusListener",
    [EVENT_FORCE_DISCONNECT] = "ForceDisconnectListener",
    [EVENT_DEFAULT_TREATMENT] = "DefaultTreatmentListener",
};

const char *topic_listener_name(enum event_kind kind)
{
    return names[kind];
}

static const xmlNode *first_element(const xmlNode *parent)
{
    for (const xmlNode *n = parent->children; n != NULL; n = n->next) {
        if (n->type == XML_ELEMENT_NODE)
            return n;
    }
    return NULL;
}

static void remember(struct map *map, const xmlNode *node)
{
    xmlChar *text = xmlNodeGetContent((xmlNode *)node);
    if (text != NULL && map_get(map, (const char *)text) == NULL) {
        char *key = mem_strdup((const char *)text);
        map_put(map, key, key);
    }
    xmlFree(text);
}

/* An entity is a record whose first field is its key; a value is plain text. */
static void read_listener(struct listener *listener, const xmlNode *node)
{
    listener->on = true;
    for (const xmlNode *n = node->children; n != NULL; n = n->next) {
        if (n->type != XML_ELEMENT_NODE)
            continue;
        const xmlNode *key = first_element(n);
        remember(key != NULL ? &listener->entities : &listener->values, key != NULL ? key : n);
    }
}

struct topic *topic_new(const xmlNode *expression)
{
    struct topic *topic = mem_new(1, sizeof(*topic));
    const xmlNode *topics = node_child(expression, "NotificationTopic");
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        const xmlNode *node = names[kind] != NULL ? node_child(topics, names[kind]) : NULL;
        if (node != NULL)
            read_listener(&topic->listeners[kind], node);
    }
    return topic;
}

void topic_free(struct topic *topic)
{
    if (topic == NULL)
        return;
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        struct listener *listener = &topic->listeners[kind];
        map_free_keys(&listener->entities);
        map_free(&listener->entities);
        map_free_keys(&listener->values);
        map_free(&listener->values);
    }
    free(topic);
}

bool topic_listens(const struct topic *topic, enum event_kind kind)
{
    return topic == NULL || topic->listeners[kind].on;
}

bool topic_takes_value(const struct topic *topic, enum event_kind kind, const char *value)
{
    const struct map *values = topic != NULL ? &topic->listeners[kind].values : NULL;
    return values == NULL || values->count == 0 || map_get(values, value) != NULL;
}

bool topic_takes_entity(const struct topic *topic, enum event_kind kind, const char *key)
{
    return !topic_has_entities(topic, kind) ||
           map_get(&topic->listeners[kind].entities, key) != NULL;
}

bool topic_has_entities(const struct topic *topic, enum event_kind kind)
{
    return topic != NULL && topic->listeners[kind].entities.count > 0;
}
