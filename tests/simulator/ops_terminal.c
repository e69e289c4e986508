/* TerminalService. */
#include <string.h>

#include "agents.h"
#include "calls.h"
#include "ops_shared.h"

static bool can(struct rq *rq, const struct terminal *terminal, enum terminal_cap cap)
{
    return terminal != NULL && rq_can(rq, caps_of_terminal(terminal), &terminal_caps, cap);
}

static int cancel_forwarding(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (!can(rq, terminal, TER_FORWARD))
        return -1;
    forwarding_clear(&terminal->forwarding);
    terminal_forwarding_changed(terminal);
    return 0;
}

static int get_capabilities(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_caps(rq, "r:terminalCapabilities", &terminal_caps, caps_of_terminal(terminal));
    return 0;
}

static int get_contact_types(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_text(rq, "r:contactTypes", terminal->contact_type);
    return 0;
}

static int get_default_contact_type(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_text(rq, "r:response", terminal->contact_type);
    return 0;
}

static int get_dnd(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_bool(rq, "r:doNotDisturb", terminal->dnd);
    return 0;
}

static int get_forwarding(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_forwardings(rq, &terminal->forwarding);
    return 0;
}

static int get_related_addresses(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    for (size_t i = 0; terminal != NULL && i < terminal->address_count; i++)
        put_address(rq, "r:address", terminal->addresses[i]);
    return terminal != NULL ? 0 : -1;
}

static int get_state(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_text(rq, "r:resourseState", terminal->state);
    return 0;
}

static int get_terminal_connections(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    const struct termconn *t;
    TAILQ_FOREACH(t, &terminal->termconns, of_terminal)
    {
        put_termconn(rq, "r:terminalConnection", t);
    }
    return 0;
}

static int is_forwarded(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    put_bool(rq, "r:isForwarded", terminal->forwarding.count > 0);
    return 0;
}

static int originate(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    struct address *from = terminal != NULL ? rq_address(rq, "address") : NULL;
    struct address *to = from != NULL ? rq_dialled(rq, "destinationAddress") : NULL;
    return to != NULL ? do_originate(rq, terminal, from, to) : -1;
}

static struct termconn *ringing_at(const struct terminal *terminal, const struct address *address)
{
    struct termconn *t;
    TAILQ_FOREACH(t, &terminal->termconns, of_terminal)
    {
        if (t->state == TS_RINGING && (address == NULL || t->connection->address == address))
            return t;
    }
    return NULL;
}

/* The picking-up side must be the user's; whose call it is may be anybody's. */
static int pick_up(struct rq *rq, struct terminal *terminal, enum terminal_cap cap,
                   struct termconn *ringing)
{
    struct address *own = terminal != NULL ? rq_address(rq, "terminalAddress") : NULL;
    if (own == NULL || !can(rq, terminal, cap))
        return -1;
    if (own->terminal != terminal)
        return rq_fail(rq, "Address '%s' is not at terminal '%s'", own->name, terminal->name);
    if (ringing == NULL || ringing->state != TS_RINGING || ringing->terminal == terminal)
        return rq_fail(rq, "There is no call to pick up");
    put_termconn(rq, "r:terminalConnection", call_pickup(ringing, terminal, own));
    return 0;
}

static int pickup_from_address(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    struct address *at = terminal != NULL ? rq_dialled_address(rq, "destinationAddress") : NULL;
    if (at == NULL)
        return -1;
    struct termconn *ringing = at->terminal != NULL ? ringing_at(at->terminal, at) : NULL;
    return pick_up(rq, terminal, TER_PICKUP, ringing);
}

static int pickup_from_terminal(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (terminal == NULL)
        return -1;
    xmlNode *other = node_child(rq->root, "terminalConnection");
    const char *id = rq_node_text(rq, node_child(other, "terminalConnectionId"));
    return pick_up(rq, terminal, TER_PICKUP, world_termconn(id));
}

static int pickup_from_group(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    const char *group = rq_text(rq, "pickupGroup");
    struct termconn *ringing = NULL;
    for (size_t i = 0; terminal != NULL && ringing == NULL && i < world.terminal_count; i++) {
        struct terminal *other = world.terminals[i];
        if (other != terminal && strcmp(other->pickup_group, group) == 0)
            ringing = ringing_at(other, NULL);
    }
    return terminal != NULL ? pick_up(rq, terminal, TER_PICKUP_GROUP, ringing) : -1;
}

static int set_dnd(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (!can(rq, terminal, TER_DND))
        return -1;
    terminal_set_dnd(terminal, rq_bool(rq, "doNotDisturb"));
    return 0;
}

static int set_forwarding(struct rq *rq)
{
    struct terminal *terminal = rq_terminal(rq, "terminal");
    if (!can(rq, terminal, TER_FORWARD) || do_set_forwarding(rq, &terminal->forwarding) != 0)
        return -1;
    terminal_forwarding_changed(terminal);
    return 0;
}

#define TER "TerminalService"

const struct op_row ops_terminal[] = {{TER, "CancelForwarding", cancel_forwarding},
                                      {TER, "GetCapabilities", get_capabilities},
                                      {TER, "GetContactTypes", get_contact_types},
                                      {TER, "GetDefaultContactType", get_default_contact_type},
                                      {TER, "GetDoNotDisturb", get_dnd},
                                      {TER, "GetForwarding", get_forwarding},
                                      {TER, "GetRelatedAddresses", get_related_addresses},
                                      {TER, "GetState", get_state},
                                      {TER, "GetTerminalConnections", get_terminal_connections},
                                      {TER, "GetVersion", do_version},
                                      {TER, "IsForwarded", is_forwarded},
                                      {TER, "Originate", originate},
                                      {TER, "PickupFromAddress", pickup_from_address},
                                      {TER, "PickupFromGroup", pickup_from_group},
                                      {TER, "PickupFromTerminal", pickup_from_terminal},
                                      {TER, "SetDoNotDisturb", set_dnd},
                                      {TER, "SetForwarding", set_forwarding},
                                      {NULL, NULL, NULL}};
