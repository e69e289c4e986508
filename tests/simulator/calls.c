#include "calls.h"

#include <stdlib.h>
#include <string.h>

#include "agents.h"
#include "buf.h"
#include "events.h"
#include "loop.h"

static struct contact_list dead_contacts = TAILQ_HEAD_INITIALIZER(dead_contacts);
static struct connection_list dead_connections = TAILQ_HEAD_INITIALIZER(dead_connections);
static struct termconn_list dead_termconns = TAILQ_HEAD_INITIALIZER(dead_termconns);

struct contact *contact_new(struct address *calling, struct address *called)
{
    struct contact *contact = mem_new(1, sizeof(*contact));
    world_guid(contact->id);
    contact->external_id = mem_printf("%u", ++world.next_external_id);
    contact->provider = called->type == AT_OUT_OF_PROVIDER ? calling->provider : called->provider;
    contact->contact_type = strcmp(contact->provider, "CCMM") == 0 ? "Email" : "Voice";
    contact->calling = calling;
    contact->called = contact->original = called;
    contact->uui = mem_strdup("");
    TAILQ_INIT(&contact->connections);
    TAILQ_INSERT_TAIL(&world.contacts, contact, link);
    map_put(&world.contacts_by_id, contact->id, contact);
    map_put(&world.contacts_by_external_id, contact->external_id, contact);
    return contact;
}

struct connection *connection_new(struct contact *contact, struct address *address)
{
    struct connection *c = mem_new(1, sizeof(*c));
    world_guid(c->id);
    c->contact = contact;
    c->address = address;
    c->state = c->last_state = CS_IDLE;
    c->entered_ms = c->last_entered_ms = loop_wall_ms();
    c->reason = c->last_reason = c->recording_reason = "DEFAULT";
    TAILQ_INIT(&c->termconns);
    TAILQ_INSERT_TAIL(&contact->connections, c, of_contact);
    TAILQ_INSERT_TAIL(&address->connections, c, of_address);
    map_put(&world.connections_by_id, c->id, c);
    if (TAILQ_NEXT(TAILQ_FIRST(&address->connections), of_address) == NULL)
        address_presence_changed(address);
    return c;
}

struct termconn *termconn_new(struct connection *connection, struct terminal *terminal)
{
    struct termconn *t = mem_new(1, sizeof(*t));
    world_guid(t->id);
    t->connection = connection;
    t->terminal = terminal;
    t->state = t->last_state = TS_IDLE;
    t->entered_ms = t->last_entered_ms = loop_wall_ms();
    t->reason = t->last_reason = "DEFAULT";
    t->activity_code = mem_strdup("");
    TAILQ_INSERT_TAIL(&connection->termconns, t, of_connection);
    TAILQ_INSERT_TAIL(&terminal->termconns, t, of_terminal);
    map_put(&world.termconns_by_id, t->id, t);
    return t;
}

void connection_enter(struct connection *c, enum connection_state state, const char *reason)
{
    if (c->state == state)
        return;
    c->last_state = c->state;
    c->last_entered_ms = c->entered_ms;
    c->last_reason = c->reason;
    c->state = state;
    c->entered_ms = loop_wall_ms();
    c->reason = reason;
    sim_emit(&(struct sim_event){.kind = EVENT_CONNECTION_STATE,
                                 .connection = c,
                                 .contact = c->contact,
                                 .address = c->address,
                                 .new_state = (int)state,
                                 .previous_state = (int)c->last_state,
                                 .reason = reason});
}

void termconn_enter(struct termconn *t, enum terminal_connection_state state, const char *reason)
{
    if (t->state == state)
        return;
    t->last_state = t->state;
    t->last_entered_ms = t->entered_ms;
    t->last_reason = t->reason;
    t->state = state;
    t->entered_ms = loop_wall_ms();
    t->reason = reason;
    sim_emit(&(struct sim_event){.kind = EVENT_TERMINAL_CONNECTION_STATE,
                                 .connection = t->connection,
                                 .termconn = t,
                                 .contact = t->connection->contact,
                                 .terminal = t->terminal,
                                 .new_state = (int)state,
                                 .previous_state = (int)t->last_state,
                                 .reason = reason});
}

/* What only an injected event brings is kept, so that it can be told again and compared. */
static const char *kept(struct contact *contact, const char *property, const char *value)
{
    for (size_t i = 0; i < contact->extra_count; i++) {
        struct key_value *extra = &contact->extras[i];
        if (strcmp(extra->key, property) != 0)
            continue;
        if (value != NULL)
            set_text(&extra->value, value);
        return extra->value;
    }
    if (value == NULL)
        return NULL;
    contact->extras =
        mem_resize(contact->extras, contact->extra_count + 1, sizeof(*contact->extras));
    struct key_value *extra = &contact->extras[contact->extra_count++];
    *extra = (struct key_value){.key = mem_strdup(property), .value = mem_strdup(value)};
    return extra->value;
}

void contact_announce(struct contact *contact, const char *property, const char *value)
{
    const struct connection *first = TAILQ_FIRST(&contact->connections);
    sim_emit(&(struct sim_event){.kind = EVENT_CONTACT_PROPERTY,
                                 .contact = contact,
                                 .address = first != NULL ? first->address : contact->called,
                                 .property = property,
                                 .text = kept(contact, property, value)});
}

void contact_changed(struct contact *contact, const char *property)
{
    contact_announce(contact, property, NULL);
}

static void termconn_end(struct termconn *t, const char *reason)
{
    termconn_enter(t, TS_DROPPED, reason);
    for (size_t k = 0; k < CONSULT_KINDS; k++) {
        if (t->consults[k] != NULL)
            t->consults[k]->consult_from = NULL;
    }
    TAILQ_REMOVE(&t->connection->termconns, t, of_connection);
    TAILQ_REMOVE(&t->terminal->termconns, t, of_terminal);
    map_remove(&world.termconns_by_id, t->id);
    TAILQ_INSERT_TAIL(&dead_termconns, t, of_connection);
}

void connection_end(struct connection *c, const char *reason)
{
    while (!TAILQ_EMPTY(&c->termconns))
        termconn_end(TAILQ_FIRST(&c->termconns), reason);
    connection_enter(c, CS_DISCONNECTED, reason);
    TAILQ_REMOVE(&c->contact->connections, c, of_contact);
    TAILQ_REMOVE(&c->address->connections, c, of_address);
    map_remove(&world.connections_by_id, c->id);
    TAILQ_INSERT_TAIL(&dead_connections, c, of_contact);
    if (TAILQ_EMPTY(&c->address->connections))
        address_presence_changed(c->address);
}

static void contact_gone(struct contact *contact)
{
    if (contact->ended)
        return;
    contact->ended = true;
    if (contact->consult_from != NULL)
        contact->consult_from->consults[contact->consult_kind] = NULL;
    TAILQ_REMOVE(&world.contacts, contact, link);
    map_remove(&world.contacts_by_id, contact->id);
    map_remove(&world.contacts_by_external_id, contact->external_id);
    TAILQ_INSERT_TAIL(&dead_contacts, contact, link);
}

void contact_end(struct contact *contact, const char *reason)
{
    while (!TAILQ_EMPTY(&contact->connections))
        connection_end(TAILQ_FIRST(&contact->connections), reason);
    contact_gone(contact);
}

size_t contact_party_count(const struct contact *contact)
{
    size_t count = 0;
    const struct connection *c;
    TAILQ_FOREACH(c, &contact->connections, of_contact)
    {
        count++;
    }
    return count;
}

void contact_settle(struct contact *contact, const char *reason)
{
    if (contact_party_count(contact) <= 1)
        contact_end(contact, reason);
}

struct connection *contact_connection_at(const struct contact *contact,
                                         const struct address *address)
{
    struct connection *c;
    TAILQ_FOREACH(c, &contact->connections, of_contact)
    {
        if (c->address == address)
            return c;
    }
    return NULL;
}

struct termconn *contact_termconn_at(const struct contact *contact, const struct terminal *terminal)
{
    struct termconn *t;
    TAILQ_FOREACH(t, &terminal->termconns, of_terminal)
    {
        if (t->connection->contact == contact)
            return t;
    }
    return NULL;
}

void calls_reap(void)
{
    struct termconn *t;
    while ((t = TAILQ_FIRST(&dead_termconns)) != NULL) {
        TAILQ_REMOVE(&dead_termconns, t, of_connection);
        free(t->activity_code);
        free(t);
    }
    struct connection *c;
    while ((c = TAILQ_FIRST(&dead_connections)) != NULL) {
        TAILQ_REMOVE(&dead_connections, c, of_contact);
        free(c);
    }
    struct contact *contact;
    while ((contact = TAILQ_FIRST(&dead_contacts)) != NULL) {
        TAILQ_REMOVE(&dead_contacts, contact, link);
        contact_free_data(contact);
        free(contact->external_id);
        free(contact->uui);
        free(contact);
    }
}

void calls_free_all(void)
{
    while (!TAILQ_EMPTY(&world.contacts))
        contact_end(TAILQ_FIRST(&world.contacts), "SHUTDOWN");
    calls_reap();
}
