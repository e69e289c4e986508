#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event_xml.h"
#include "loop.h"
#include "topic.h"

static struct buf scratch; /* one message at a time */

/* "2030-01-01T00:00:01.250Z"; the part up to the second is kept, for thousands of messages share it. */
static void put_time(struct buf *b, int64_t wall_ms)
{
    static char text[24];
    static time_t last = -1;
    char rest[8];
    time_t seconds = (time_t)(wall_ms / 1000);
    if (seconds != last) {
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
        last = seconds;
    }
    unsigned ms = (unsigned)(wall_ms % 1000);
    snprintf(rest, sizeof(rest), ".%03uZ", ms);
    xml_open(b, "b:Timestamp");
    buf_str(b, text);
    buf_str(b, rest);
    xml_close(b, "b:Timestamp");
}

static void open_message(struct buf *b, const struct subscription *s, enum event_kind kind)
{
    const char *listener = topic_listener_name(kind);
    buf_str(b, "<n:NotificationMessage><b:Topic><b:NotificationTopic>");
    if (listener != NULL) {
        buf_str(b, "<b:");
        buf_str(b, listener);
        buf_str(b, "/>");
    }
    buf_str(b, "</b:NotificationTopic></b:Topic><b:ProducerReference><a:Address>http://");
    buf_xml(b, s->producer);
    buf_str(b, "/SOAOICCT/services/NotificationProducer</a:Address>");
    xml_text(b, "a:SubscriptionId", s->id);
    buf_str(b, "</b:ProducerReference><b:Message>");
    xml_text(b, "b:EventType", sim_event_kind_name(kind));
}

/* A state has been entered at a time that reads tell too; anything else is as of now. */
static int64_t time_of(const struct sim_event *e)
{
    if (e->kind == EVENT_CONNECTION_STATE)
        return e->connection->entered_ms;
    return e->kind == EVENT_TERMINAL_CONNECTION_STATE ? e->termconn->entered_ms : loop_wall_ms();
}

static void close_message(struct buf *b, const struct subscription *s, int64_t at_ms)
{
    xml_close(b, "b:Message");
    xml_text(b, "b:SessionId", s->session->id);
    xml_text(b, "b:SubscriptionId", s->id);
    put_time(b, at_ms);
    xml_close(b, "n:NotificationMessage");
}

/* --- the twelve events a listener can ask for; each returns where its capabilities go --- */

static size_t connection_state(struct buf *b, const struct view *view, const struct sim_event *e)
{
    xml_address(b, "b:Address", e->address);
    xml_open(b, "b:Connection");
    xml_text(b, "c:connectionId", e->connection->id);
    xml_close(b, "b:Connection");
    xml_contact(b, "b:Contact", e->contact);
    size_t split = b->len;
    xml_bool(b, "b:IsRemote", view->remote);
    xml_text(b, "b:NewState", connection_state_name((enum connection_state)e->new_state));
    xml_text(b, "b:PreviousState", connection_state_name((enum connection_state)e->previous_state));
    xml_text(b, "b:Reason", e->reason);
    xml_address(b, "b:SendingAddress", view->sending_address);
    return split;
}

static size_t termconn_state(struct buf *b, const struct view *view, const struct sim_event *e)
{
    xml_terminal(b, "b:Terminal", e->terminal);
    xml_open(b, "b:TerminalConnection");
    xml_text(b, "c:terminalConnectionId", e->termconn->id);
    xml_close(b, "b:TerminalConnection");
    xml_open(b, "b:Connection");
    xml_text(b, "c:connectionId", e->connection->id);
    xml_close(b, "b:Connection");
    size_t split = b->len;
    xml_contact(b, "b:Contact", e->contact);
    xml_text(b, "b:NewState",
             terminal_connection_state_name((enum terminal_connection_state)e->new_state));
    xml_text(b, "b:PreviousState",
             terminal_connection_state_name((enum terminal_connection_state)e->previous_state));
    xml_text(b, "b:Reason", e->reason);
    xml_terminal(b, "b:SendingTerminal", view->sending_terminal);
    return split;
}

static size_t contact_property(struct buf *b, const struct view *view, const struct sim_event *e)
{
    xml_text(b, "b:ContactProperty", e->property);
    xml_address(b, "b:Address", view->address);
    xml_contact(b, "b:Contact", e->contact);
    size_t split = b->len;
    xml_contact_value(b, e, view->address);
    return split;
}

static size_t agent_property(struct buf *b, const struct view *view, const struct sim_event *e)
{
    (void)view;
    xml_text(b, "b:AgentProperty", e->property);
    xml_agent(b, "b:Agent", e->agent);
    size_t split = b->len;
    xml_agent_value(b, e);
    return split;
}

static size_t terminal_property(struct buf *b, const struct view *view, const struct sim_event *e)
{
    (void)view;
    xml_text(b, "b:TerminalProperty", e->property);
    xml_terminal(b, "b:Terminal", e->terminal);
    size_t split = b->len;
    xml_terminal_value(b, e);
    return split;
}

static size_t address_property(struct buf *b, const struct view *view, const struct sim_event *e)
{
    (void)view;
    xml_text(b, "b:AddressProperty", e->property);
    xml_address(b, "b:Address", e->address);
    size_t split = b->len;
    xml_address_value(b, e);
    return split;
}

static size_t address_state(struct buf *b, const struct view *view, const struct sim_event *e)
{
    (void)view;
    xml_address(b, "b:Address", e->address);
    xml_text(b, "b:State", e->state);
    xml_text(b, "b:Reason", e->reason);
    return b->len;
}

static size_t terminal_state(struct buf *b, const struct view *view, const struct sim_event *e)
{
    (void)view;
    xml_terminal(b, "b:Terminal", e->terminal);
    xml_text(b, "b:State", e->state);
    xml_text(b, "b:Reason", e->reason);
    return b->len;
}

static size_t agent_state(struct buf *b, const struct view *view, const struct sim_event *e)
{
    (void)view;
    xml_agent(b, "b:Agent", e->agent);
    xml_text(b, "b:State", e->state);
    return b->len;
}

static size_t provider_status(struct buf *b, const struct view *view, const struct sim_event *e)
{
    (void)view;
    xml_provider(b, "b:Provider", e->provider);
    xml_text(b, "b:Status", e->state);
    return b->len;
}

static size_t contact_only(struct buf *b, const struct view *view, const struct sim_event *e)
{
    (void)view;
    xml_contact(b, "b:Contact", e->contact);
    return b->len;
}

/* --- system events --- */

static size_t system_event(struct buf *b, const struct view *view, const struct sim_event *e)
{
    static const struct {
        const char *event;
        const char *element;
        bool imminent;
    } rows[] = {
        {"SESSION_TERMINATION", "f:SystemEventSessionTermination", false},
        {"SESSION_TERMINATION_IMMINENT", "f:SystemEventSessionTerminationImminent", true},
        {"SUBSCRIPTION_TERMINATION", "f:SystemEventSubscriptionTermination", false},
        {"SUBSCRIPTION_TERMINATION_IMMINENT", "f:SystemEventSubscriptionTerminationImminent", true},
    };
    (void)view;
    xml_text(b, "f:SystemEvent", e->property);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (strcmp(rows[i].event, e->property) != 0)
            continue;
        xml_open(b, rows[i].element);
        if (rows[i].imminent) {
            xml_number(b, "c:remainingTimeInMillis", e->remaining_ms);
        } else {
            xml_text(b, "c:reason", e->reason);
            xml_text(b, "c:info", e->info);
        }
        xml_close(b, rows[i].element);
    }
    return b->len;
}

static const struct form {
    const char *element;
    size_t (*write)(struct buf *b, const struct view *view, const struct sim_event *e);
    const char *caps_element;
    const struct cap_block *block;
} forms[EVENT_KINDS] = {
    [EVENT_CONNECTION_STATE] = {"b:ConnectionStateEvent", connection_state,
                                "b:ConnectionCapabilities", &connection_caps},
    [EVENT_TERMINAL_CONNECTION_STATE] = {"b:TerminalConnectionStateEvent", termconn_state,
                                         "b:TerminalConnectionCapabilities", &termconn_caps},
    [EVENT_CONTACT_PROPERTY] = {"b:ContactPropertyEvent", contact_property, "b:ContactCapabilities",
                                &contact_caps},
    [EVENT_AGENT_PROPERTY] = {"b:AgentPropertyEvent", agent_property, "b:AgentCapabilities",
                              &agent_caps},
    [EVENT_TERMINAL_PROPERTY] = {"b:TerminalPropertyEvent", terminal_property,
                                 "b:TerminalCapabilities", &terminal_caps},
    [EVENT_ADDRESS_PROPERTY] = {"b:AddressPropertyEvent", address_property, "b:AddressCapabilities",
                                &address_caps},
    [EVENT_ADDRESS_STATE] = {"b:AddressStateEvent", address_state, "b:AddressCapabilities",
                             &address_caps},
    [EVENT_TERMINAL_STATE] = {"b:TerminalStateEvent", terminal_state, "b:TerminalCapabilities",
                              &terminal_caps},
    [EVENT_AGENT_STATE] = {"b:AgentStateEvent", agent_state, NULL, NULL},
    [EVENT_SERVICE_PROVIDER_STATUS] = {"b:ServiceProviderStatusEvent", provider_status, NULL, NULL},
    [EVENT_FORCE_DISCONNECT] = {"b:ForceDisconnectEvent", contact_only, NULL, NULL},
    [EVENT_DEFAULT_TREATMENT] = {"b:DefaultTreatmentEvent", contact_only, NULL, NULL},
    [EVENT_SYSTEM] = {"b:SystemEvent", system_event, NULL, NULL},
};

static const void *object_of(const struct sim_event *e)
{
    const void *const objects[EVENT_KINDS] = {
        [EVENT_CONNECTION_STATE] = e->connection, [EVENT_TERMINAL_CONNECTION_STATE] = e->termconn,
        [EVENT_CONTACT_PROPERTY] = e->contact,    [EVENT_AGENT_PROPERTY] = e->agent,
        [EVENT_TERMINAL_PROPERTY] = e->terminal,  [EVENT_ADDRESS_PROPERTY] = e->address,
        [EVENT_ADDRESS_STATE] = e->address,       [EVENT_TERMINAL_STATE] = e->terminal,
    };
    return objects[e->kind];
}

static uint32_t caps_now(enum event_kind kind, const struct user *user, const void *object)
{
    switch (kind) {
    case EVENT_CONNECTION_STATE:
        return caps_of_connection(user, object);
    case EVENT_TERMINAL_CONNECTION_STATE:
        return caps_of_termconn(user, object);
    case EVENT_CONTACT_PROPERTY:
        return caps_of_contact(user, object);
    case EVENT_AGENT_PROPERTY:
        return caps_of_agent(object);
    case EVENT_TERMINAL_PROPERTY:
    case EVENT_TERMINAL_STATE:
        return caps_of_terminal(object);
    case EVENT_ADDRESS_PROPERTY:
    case EVENT_ADDRESS_STATE:
        return caps_of_address(object);
    default:
        return 0;
    }
}

static struct message *keep(struct subscription *s, enum event_kind kind, size_t split)
{
    struct message *m = mem_new(1, sizeof(*m) + scratch.len);
    m->subscription = s;
    m->kind = kind;
    m->split = split;
    m->len = scratch.len;
    memcpy(m->text, scratch.data, scratch.len);
    return m;
}

struct message *message_new(const struct view *view, const struct sim_event *e)
{
    const struct form *form = &forms[e->kind];
    scratch.len = 0;
    open_message(&scratch, view->subscription, e->kind);
    xml_open(&scratch, form->element);
    size_t split = form->write(&scratch, view, e);
    xml_close(&scratch, form->element);
    close_message(&scratch, view->subscription, time_of(e));
    struct message *m = keep(view->subscription, e->kind, split);
    m->block = form->block;
    m->caps_element = form->caps_element;
    m->object = object_of(e);
    return m;
}

struct message *message_new_connection_failure(struct subscription *s, int64_t down_ms,
                                               uint64_t total, uint64_t consecutive)
{
    scratch.len = 0;
    open_message(&scratch, s, EVENT_SYSTEM);
    xml_open(&scratch, "b:SystemEvent");
    xml_text(&scratch, "f:SystemEvent", "CONNECTION_FAILURE");
    xml_open(&scratch, "f:SystemEventConnectionFailure");
    xml_number(&scratch, "c:downTimeInMillis", down_ms);
    xml_number(&scratch, "c:totalFailures", (long long)total);
    xml_number(&scratch, "c:consecutiveFailures", (long long)consecutive);
    xml_close(&scratch, "f:SystemEventConnectionFailure");
    xml_close(&scratch, "b:SystemEvent");
    close_message(&scratch, s, loop_wall_ms());
    return keep(s, EVENT_SYSTEM, scratch.len);
}

void message_settle(struct message *m)
{
    if (m->block != NULL)
        m->caps = caps_now(m->kind, m->subscription->session->user, m->object);
    m->object = NULL;
    m->subscription = NULL;
}

void message_append(struct buf *body, const struct message *m)
{
    buf_add(body, m->text, m->split);
    if (m->block != NULL)
        xml_caps(body, m->caps_element, m->block, m->caps);
    buf_add(body, m->text + m->split, m->len - m->split);
}

void message_open_envelope(struct buf *body)
{
    buf_str(body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\">"
                  "<e:Body><n:Notify "
                  "xmlns:n=\"http://www.nortel.com/soa/oi/cct/types/NotificationConsumer\" "
                  "xmlns:b=\"http://www.nortel.com/soa/oi/cct/BaseNotification\" "
                  "xmlns:a=\"http://schemas.xmlsoap.org/ws/2003/03/addressing\" "
                  "xmlns:f=\"http://www.nortel.com/soa/oi/cct/notification\" "
                  "xmlns:c=\"http://www.nortel.com/soa/oi/cct/types\">");
}

void message_close_envelope(struct buf *body)
{
    buf_str(body, "</n:Notify></e:Body></e:Envelope>");
}

void message_free_scratch(void)
{
    buf_free(&scratch);
}
