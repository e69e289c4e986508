#include "calls.h"

#include <stdio.h>
#include <string.h>

#include "events.h"

static struct address *forwarded(struct address *to)
{
    const struct forwarding_list *list = &to->forwarding;
    if (list->count == 0 && to->terminal != NULL)
        list = &to->terminal->forwarding;
    struct address *next = list->count > 0 ? world_dial(list->items[0].destination) : NULL;
    return next != NULL ? next : to;
}

static bool screening;

void call_screening(bool on)
{
    screening = on;
}

static void present_inside(struct connection *c, const char *reason)
{
    connection_enter(c, CS_OFFERED, reason);
    if (screening)
        return;
    connection_enter(c, CS_ALERTING, reason);
    if (c->address->terminal != NULL)
        termconn_enter(termconn_new(c, c->address->terminal), TS_RINGING, reason);
}

struct connection *call_present(struct contact *contact, struct address *to, const char *reason)
{
    struct address *target = forwarded(to);
    if (target != to) {
        contact->last_redirected = to;
        contact_changed(contact, "LAST_REDIRECTED_ADDRESS");
    }
    struct connection *c = connection_new(contact, target);
    bool busy = target->dnd || (target->terminal != NULL && target->terminal->dnd);
    if (target->type == AT_OUT_OF_PROVIDER) {
        connection_enter(c, CS_NETWORK_REACHED, reason);
        connection_enter(c, CS_NETWORK_ALERTING, reason);
    } else if (target->type == AT_ROUTE_POINT) {
        connection_enter(c, CS_OFFERED, reason);
        connection_enter(c, target->controlled ? CS_CONTROLLED : CS_QUEUED, reason);
    } else if (busy) {
        connection_enter(c, CS_FAILED, reason);
    } else {
        present_inside(c, reason);
    }
    return c;
}

/* A terminal talks to one call at a time: whatever else is active there is held. */
static void hold_others(struct terminal *terminal, const struct termconn *but)
{
    struct termconn *t;
    TAILQ_FOREACH(t, &terminal->termconns, of_terminal)
    {
        if (t != but && t->state == TS_ACTIVE)
            termconn_enter(t, TS_AUTOHELD, "DEFAULT");
    }
}

struct contact *call_originate(struct terminal *terminal, struct address *from, struct address *to,
                               const char *reason)
{
    struct contact *contact = contact_new(from, to);
    contact->calling_terminal = terminal;
    struct connection *c = connection_new(contact, from);
    connection_enter(c, CS_INITIATED, reason);
    hold_others(terminal, NULL);
    termconn_enter(termconn_new(c, terminal), TS_ACTIVE, reason);
    connection_enter(c, CS_DIALING, reason);
    contact_changed(contact, "CALLING_ADDRESS");
    contact_changed(contact, "CALLED_ADDRESS");
    contact_changed(contact, "CALLING_TERMINAL");
    call_present(contact, to, reason);
    return contact;
}

struct contact *call_incoming(struct address *from, struct address *to)
{
    struct contact *contact = contact_new(from, to);
    connection_enter(connection_new(contact, from), CS_ESTABLISHED, "DEFAULT");
    contact_changed(contact, "CALLING_ADDRESS");
    contact_changed(contact, "CALLED_ADDRESS");
    call_present(contact, to, "DEFAULT");
    return contact;
}

static void establish_callers(struct contact *contact, const char *reason)
{
    struct connection *c;
    TAILQ_FOREACH(c, &contact->connections, of_contact)
    {
        if (c->state == CS_DIALING || c->state == CS_INITIATED)
            connection_enter(c, CS_ESTABLISHED, reason);
    }
}

void call_answer(struct termconn *termconn, const char *reason)
{
    hold_others(termconn->terminal, termconn);
    termconn_enter(termconn, TS_ACTIVE, reason);
    connection_enter(termconn->connection, CS_ESTABLISHED, reason);
    establish_callers(termconn->connection->contact, reason);
}

void call_answer_outside(struct connection *connection)
{
    connection_enter(connection, CS_ESTABLISHED, "DEFAULT");
    establish_callers(connection->contact, "DEFAULT");
}

void call_hold(struct termconn *termconn, enum terminal_connection_state kind)
{
    termconn_enter(termconn, kind, "DEFAULT");
}

void call_unhold(struct termconn *termconn)
{
    hold_others(termconn->terminal, termconn);
    termconn_enter(termconn, TS_ACTIVE, "DEFAULT");
}

void call_disconnect(struct connection *connection, const char *reason)
{
    struct contact *contact = connection->contact;
    connection_end(connection, reason);
    contact_settle(contact, reason);
}

static const char *consult_property(enum consult_kind kind)
{
    static const char *const names[] = {"CONSULT", "SUPERVISED_TRANSFER_INIT", "CONFERENCE_INIT"};
    return names[kind];
}

static const char *consult_reason(enum consult_kind kind)
{
    static const char *const names[] = {"CONSULT_INIT", "TRANSFER_INIT", "CONFERENCE_INIT"};
    return names[kind];
}

struct contact *call_consult(struct termconn *termconn, struct address *to, enum consult_kind kind)
{
    struct contact *first = termconn->connection->contact;
    if (termconn->state == TS_ACTIVE)
        call_hold(termconn, TS_AUTOHELD);
    struct contact *consult =
        call_originate(termconn->terminal, termconn->connection->address, to, consult_reason(kind));
    contact_copy_all_data(consult, first);
    consult->consult_from = termconn;
    consult->consult_kind = kind;
    memcpy(consult->consult_of, first->id, sizeof(first->id));
    termconn->consults[kind] = consult;
    contact_changed(first, consult_property(kind));
    contact_changed(consult, "ATTACHED_DATA");
    contact_changed(consult, "INTRINSICS");
    contact_changed(consult, "UUI");
    return consult;
}

/* Parties of `from` other than the one at `but` continue in `to` with legs of their own there. */
static void move_parties(struct contact *from, struct contact *to, const struct address *but,
                         const char *reason)
{
    const struct connection *old;
    TAILQ_FOREACH(old, &from->connections, of_contact)
    {
        if (old->address == but)
            continue;
        struct connection *c = connection_new(to, old->address);
        connection_enter(c, old->state, reason);
        const struct termconn *t;
        TAILQ_FOREACH(t, &old->termconns, of_connection)
        {
            termconn_enter(termconn_new(c, t->terminal), t->state, reason);
        }
    }
    establish_callers(to, reason);
}

void call_complete_transfer(struct termconn *termconn, struct contact *consult)
{
    struct contact *first = termconn->connection->contact;
    struct address *agent = termconn->connection->address;
    move_parties(first, consult, agent, "TRANSFER_COMPLETE");
    memcpy(consult->transferred_from, first->id, sizeof(first->id));
    consult->last_redirected = agent;
    struct connection *own = contact_connection_at(consult, agent);
    if (own != NULL)
        connection_end(own, "TRANSFER_COMPLETE");
    contact_end(first, "TRANSFER_COMPLETE");
    contact_changed(consult, "SUPERVISED_TRANSFER_COMPLETE");
    contact_changed(consult, "LAST_REDIRECTED_ADDRESS");
    contact_settle(consult, "TRANSFER_COMPLETE");
}

void call_complete_conference(struct termconn *termconn, struct contact *consult)
{
    struct contact *first = termconn->connection->contact;
    struct address *agent = termconn->connection->address;
    move_parties(consult, first, agent, "CONFERENCE_COMPLETE");
    contact_end(consult, "CONFERENCE_COMPLETE");
    call_unhold(termconn);
    contact_changed(first, "CONFERENCE_COMPLETE");
}

void call_blind_transfer(struct termconn *termconn, struct address *to)
{
    struct connection *own = termconn->connection;
    struct contact *contact = own->contact;
    contact->last_redirected = own->address;
    call_present(contact, to, "TRANSFER_COMPLETE");
    connection_end(own, "TRANSFER_COMPLETE");
    contact_changed(contact, "BLIND_TRANSFER_COMPLETE");
    contact_changed(contact, "LAST_REDIRECTED_ADDRESS");
    contact_settle(contact, "TRANSFER_COMPLETE");
}

struct connection *call_redirect(struct connection *connection, struct address *to)
{
    struct contact *contact = connection->contact;
    contact->last_redirected = connection->address;
    struct connection *next = call_present(contact, to, "REDIRECT");
    connection_end(connection, "REDIRECT");
    contact_changed(contact, "LAST_REDIRECTED_ADDRESS");
    return next;
}

void call_reject(struct connection *connection)
{
    struct contact *contact = connection->contact;
    if (contact->original->type == AT_ROUTE_POINT) /* back to the queue it came from */
        call_present(contact, contact->original, "REJECT");
    connection_end(connection, "REJECT");
    contact_settle(contact, "REJECT");
}

struct connection *call_join(struct contact *contact, struct address *address,
                             struct terminal *terminal, enum terminal_connection_state state,
                             const char *reason)
{
    struct connection *c = connection_new(contact, address);
    hold_others(terminal, NULL);
    connection_enter(c, CS_ESTABLISHED, reason);
    termconn_enter(termconn_new(c, terminal), state, reason);
    return c;
}

struct termconn *call_pickup(struct termconn *ringing, struct terminal *terminal,
                             struct address *address)
{
    struct connection *old = ringing->connection;
    struct contact *contact = old->contact;
    contact->last_redirected = old->address;
    struct connection *c = call_join(contact, address, terminal, TS_ACTIVE, "PULL");
    establish_callers(contact, "PULL");
    connection_end(old, "PULL");
    contact_changed(contact, "LAST_REDIRECTED_ADDRESS");
    return TAILQ_FIRST(&c->termconns);
}

struct connection *call_route(struct connection *queued, struct address *to)
{
    struct contact *contact = queued->contact;
    contact->last_redirected = queued->address;
    connection_enter(queued, CS_ROUTING, "ROUTE");
    struct connection *next = call_present(contact, to, "ROUTE");
    connection_end(queued, "ROUTE");
    contact_changed(contact, "ROUTE");
    contact_changed(contact, "LAST_REDIRECTED_ADDRESS");
    return next;
}
