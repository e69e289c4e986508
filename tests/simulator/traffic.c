#include "traffic.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agents.h"
#include "buf.h"
#include "calls.h"
#include "caps.h"
#include "events.h"
#include "options.h"

enum { TRIES = 6 };

static uint64_t state;

static uint32_t dice(uint32_t below)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 16) % below;
}

/* --- whom it happens to --- */

static struct agent *any_agent(void)
{
    return &world.agents[dice((uint32_t)world.agent_count)];
}

static struct agent *any_agent_in(bool logged_in)
{
    size_t first = dice((uint32_t)world.agent_count);
    for (size_t i = 0; i < world.agent_count; i++) {
        struct agent *agent = &world.agents[(first + i) % world.agent_count];
        if (agent->logged_in == logged_in)
            return agent;
    }
    return NULL;
}

static struct address *outside(void)
{
    static const char *const numbers[] = {"+35391555001", "+35391555002", "+35391555003",
                                          "+35391555004", "+35391555005", "+4930555006",
                                          "+4930555007",  "+12125550008"};
    return world_dial(numbers[dice(sizeof(numbers) / sizeof(*numbers))]);
}

static struct termconn *any_leg(enum terminal_connection_state in)
{
    size_t first = dice((uint32_t)world.terminal_count);
    for (size_t i = 0; i < world.terminal_count; i++) {
        struct terminal *terminal = world.terminals[(first + i) % world.terminal_count];
        struct termconn *t;
        TAILQ_FOREACH(t, &terminal->termconns, of_terminal)
        {
            if (t->state == in)
                return t;
        }
    }
    return NULL;
}

/* A leg that talks or holds and whose own connection is up. */
static struct termconn *any_call_leg(void)
{
    struct termconn *t = any_leg(dice(2) ? TS_ACTIVE : TS_HELD);
    return t != NULL && t->connection->state == CS_ESTABLISHED ? t : NULL;
}

static struct termconn *any_consulting(enum consult_kind kind)
{
    for (int tries = 0; tries < TRIES; tries++) {
        struct termconn *t = any_leg(dice(4) ? TS_AUTOHELD : TS_HELD);
        if (t != NULL && t->consults[kind] != NULL)
            return t;
    }
    return NULL;
}

static struct contact *any_contact(void)
{
    struct termconn *t = any_leg(dice(3) ? TS_ACTIVE : TS_RINGING);
    return t != NULL ? t->connection->contact : TAILQ_FIRST(&world.contacts);
}

/* A connection in that state in one of the older calls. */
static struct connection *any_connection(enum connection_state in)
{
    struct contact *contact;
    TAILQ_FOREACH(contact, &world.contacts, link)
    {
        struct connection *c;
        TAILQ_FOREACH(c, &contact->connections, of_contact)
        {
            if (c->state == in)
                return c;
        }
    }
    return NULL;
}

static struct address *target_for(const struct contact *contact)
{
    for (int tries = 0; tries < TRIES; tries++) {
        struct address *to = dice(5) ? any_agent()->position : outside();
        if (contact_connection_at(contact, to) == NULL)
            return to;
    }
    return NULL;
}

/* --- what happens; true when it did --- */

static bool call_in(void)
{
    struct address *to = dice(2) ? world.route_points[dice(3)] : any_agent()->position;
    struct contact *contact = call_incoming(outside(), to);
    char value[16];
    snprintf(value, sizeof(value), "C%06u", dice(1000000));
    contact_intrinsic_put(contact, "CUSTOMERID", value, false);
    contact_changed(contact, "INTRINSICS");
    return true;
}

static bool email_in(void)
{
    struct agent *agent = any_agent();
    if (agent->terminal_count < 2)
        return false;
    call_incoming(world_dial("customer@example.com"), agent->terminals[1]->addresses[0]);
    return true;
}

static bool call_out(void)
{
    struct agent *agent = any_agent();
    struct terminal *line = agent->terminals[0];
    struct address *to = dice(2) ? outside() : any_agent()->position;
    if (to == agent->position || !(caps_of_terminal(line) >> TER_ORIGINATE & 1))
        return false;
    call_originate(line, dice(3) ? agent->position : agent->personal_dn, to, "DEFAULT");
    return true;
}

static bool route(void)
{
    struct connection *queued = any_connection(dice(4) ? CS_QUEUED : CS_CONTROLLED);
    struct agent *agent = any_agent_in(true);
    if (queued == NULL || agent == NULL ||
        contact_connection_at(queued->contact, agent->position) != NULL)
        return false;
    call_route(queued, agent->position);
    return true;
}

static bool answer(void)
{
    struct termconn *ringing = any_leg(TS_RINGING);
    if (ringing != NULL)
        call_answer(ringing, "DEFAULT");
    return ringing != NULL;
}

static bool answer_outside(void)
{
    struct connection *c = any_connection(CS_NETWORK_ALERTING);
    if (c != NULL)
        call_answer_outside(c);
    return c != NULL;
}

static bool hold(void)
{
    struct termconn *t = any_leg(TS_ACTIVE);
    if (t == NULL || t->connection->state != CS_ESTABLISHED)
        return false;
    call_hold(t, TS_HELD);
    return true;
}

static bool unhold(void)
{
    struct termconn *t = any_leg(dice(3) ? TS_HELD : TS_AUTOHELD);
    if (t != NULL)
        call_unhold(t);
    return t != NULL;
}

static bool consult(void)
{
    struct termconn *t = any_call_leg();
    struct address *to = t != NULL ? target_for(t->connection->contact) : NULL;
    enum consult_kind kind = (enum consult_kind)dice(CONSULT_KINDS);
    if (to == NULL || t->consults[kind] != NULL)
        return false;
    call_consult(t, to, kind);
    return true;
}

static bool complete_transfer(void)
{
    struct termconn *t = any_consulting(CONSULT_TRANSFER);
    if (t != NULL)
        call_complete_transfer(t, t->consults[CONSULT_TRANSFER]);
    return t != NULL;
}

static bool complete_conference(void)
{
    struct termconn *t = any_consulting(CONSULT_CONFERENCE);
    if (t != NULL)
        call_complete_conference(t, t->consults[CONSULT_CONFERENCE]);
    return t != NULL;
}

static bool blind_transfer(void)
{
    struct termconn *t = any_leg(TS_ACTIVE);
    struct address *to = t != NULL && t->connection->state == CS_ESTABLISHED
                             ? target_for(t->connection->contact)
                             : NULL;
    if (to != NULL)
        call_blind_transfer(t, to);
    return to != NULL;
}

static bool pick_up(void)
{
    struct termconn *ringing = any_leg(TS_RINGING);
    struct agent *agent = any_agent_in(true);
    if (ringing == NULL || agent == NULL || ringing->terminal == agent->terminals[0] ||
        contact_connection_at(ringing->connection->contact, agent->position) != NULL)
        return false;
    call_pickup(ringing, agent->terminals[0], agent->position);
    return true;
}

static bool observe(void)
{
    struct termconn *t = any_call_leg();
    struct agent *boss =
        t != NULL && t->terminal->agent != NULL ? t->terminal->agent->supervisor : NULL;
    if (boss == NULL || contact_connection_at(t->connection->contact, boss->position) != NULL)
        return false;
    bool barge = dice(2);
    call_join(t->connection->contact, boss->position, boss->terminals[0],
              barge ? TS_ACTIVE : TS_BRIDGED, barge ? "BARGE_IN" : "OBSERVE");
    return true;
}

static bool reject(void)
{
    struct termconn *ringing = any_leg(TS_RINGING);
    if (ringing != NULL)
        call_reject(ringing->connection);
    return ringing != NULL;
}

static bool redirect(void)
{
    struct termconn *ringing = any_leg(TS_RINGING);
    struct address *to = ringing != NULL ? target_for(ringing->connection->contact) : NULL;
    if (to != NULL)
        call_redirect(ringing->connection, to);
    return to != NULL;
}

static bool drop(void)
{
    struct termconn *t = any_leg(dice(3) ? TS_ACTIVE : dice(2) ? TS_HELD : TS_AUTOHELD);
    if (t != NULL)
        call_disconnect(t->connection, "DEFAULT");
    return t != NULL;
}

static bool end(void)
{
    struct contact *contact = TAILQ_FIRST(&world.contacts);
    if (contact != NULL)
        contact_end(contact, "DEFAULT");
    return contact != NULL;
}

static bool ready(void)
{
    struct agent *agent = any_agent_in(true);
    if (agent == NULL)
        return false;
    bool on = !agent->ready;
    agent_set_ready(agent, on);
    if (!on && dice(2))
        agent_set_reason(agent, dice(2) ? "3" : "17");
    return true;
}

static bool activity(void)
{
    struct agent *agent = any_agent_in(true);
    if (agent == NULL || agent->terminals[0]->logged_in != agent)
        return false;
    terminal_set_activity(agent->terminals[0], dice(2) ? "12" : "77");
    return true;
}

static bool login(void)
{
    struct agent *agent = any_agent_in(false);
    if (agent != NULL)
        agent_login(agent, agent->terminals[dice((uint32_t)agent->terminal_count)], dice(2));
    return agent != NULL;
}

static bool login_second(void)
{
    struct agent *agent = any_agent_in(true);
    if (agent == NULL || agent->terminal_count < 2 || agent->terminals[1]->logged_in != NULL)
        return false;
    agent_login(agent, agent->terminals[1], dice(2));
    return true;
}

static bool logout(void)
{
    struct agent *agent = any_agent_in(true);
    if (agent == NULL)
        return false;
    if (agent->seat != NULL && dice(2))
        terminal_logout(agent->seat);
    else
        agent_logout(agent);
    return true;
}

static bool data(void)
{
    struct contact *contact = any_contact();
    char value[16];
    if (contact == NULL)
        return false;
    snprintf(value, sizeof(value), "%u", dice(100000));
    contact_data_clear(&contact->data);
    contact_data_add_pair(&contact->data, "case", value);
    contact_data_add_pair(&contact->data, "note", "a & b <c>");
    contact_changed(contact, "ATTACHED_DATA");
    return true;
}

static bool intrinsics(void)
{
    struct contact *contact = any_contact();
    if (contact == NULL)
        return false;
    contact_intrinsic_put(contact, dice(2) ? "MOOD" : "STEP", dice(2) ? "good" : "bad", false);
    contact_changed(contact, "INTRINSICS");
    return true;
}

static bool uui(void)
{
    struct contact *contact = any_contact();
    char value[16];
    if (contact == NULL)
        return false;
    snprintf(value, sizeof(value), "04%08X", dice(0xffffffffu));
    set_text(&contact->uui, value);
    contact_changed(contact, "UUI");
    return true;
}

/* Mostly off again soon, or the floor would fall silent. */
static bool dnd(void)
{
    struct agent *agent = any_agent();
    bool on = dice(4) == 0;
    if (dice(2))
        address_set_dnd(agent->position, on);
    else
        terminal_set_dnd(agent->terminals[0], on);
    return true;
}

static void forward(struct forwarding_list *list, bool on)
{
    forwarding_clear(list);
    if (on)
        list->items[list->count++] =
            (struct forwarding){.caller = mem_strdup(""),
                                .destination = mem_strdup(any_agent()->personal_dn->name),
                                .type = 1};
}

static bool forwarding(void)
{
    struct agent *agent = any_agent();
    bool on = dice(4) == 0;
    if (dice(2)) {
        forward(&agent->position->forwarding, on);
        address_forwarding_changed(agent->position);
    } else {
        forward(&agent->terminals[0]->forwarding, on);
        terminal_forwarding_changed(agent->terminals[0]);
    }
    return true;
}

/* Only where it can also be read. */
static bool message_waiting(void)
{
    if (!options.message_waiting)
        return false;
    int count = (int)dice(4);
    address_set_message_waiting(any_agent()->personal_dn, count > 0, count);
    return true;
}

static bool control(void)
{
    struct address *point = world.route_points[dice(3)];
    address_set_controlled(point, !point->controlled);
    return true;
}

/* --- what changes by itself: in and out of service, and properties that nothing else in here touches --- */

/* Mostly back in service soon. */
static const char *any_state(void)
{
    static const char *const names[] = {"OUT_OF_SERVICE", "INVALID", "UNKNOWN"};
    return resource_state(dice(3) ? "IN_SERVICE" : names[dice(3)]);
}

static bool address_service(void)
{
    struct address *address = world.addresses[dice((uint32_t)world.address_count)];
    address_set_state(address, any_state(), dice(2) ? "maintenance" : "");
    return true;
}

static bool terminal_service(void)
{
    struct terminal *terminal = world.terminals[dice((uint32_t)world.terminal_count)];
    terminal_set_state(terminal, any_state(), dice(2) ? "maintenance" : "");
    return true;
}

static bool mapping(void)
{
    agent_set_mapped(any_agent(), dice(3));
    return true;
}

static bool provider(void)
{
    static const char *const names[] = {"STARTUP", "FAILURE_MASTER_APPLICATION",
                                        "FAILURE_SUPPORTING_APPLICATION", "RESTART"};
    sim_emit(&(struct sim_event){.kind = EVENT_SERVICE_PROVIDER_STATUS,
                                 .provider = dice(2) ? "Passive" : "CCMM",
                                 .state = names[dice(4)]});
    return true;
}

static bool announce_call(enum event_kind kind)
{
    struct contact *contact = any_contact();
    if (contact != NULL)
        sim_emit(&(struct sim_event){.kind = kind, .contact = contact});
    return contact != NULL;
}

static bool default_treatment(void)
{
    return announce_call(EVENT_DEFAULT_TREATMENT);
}

/* What is asked for happens, or does not. */
static bool force_disconnect(void)
{
    struct contact *contact = TAILQ_FIRST(&world.contacts);
    if (contact == NULL)
        return false;
    sim_emit(&(struct sim_event){.kind = EVENT_FORCE_DISCONNECT, .contact = contact});
    if (dice(2))
        contact_end(contact, "FORCE_DISCONNECT");
    return true;
}

/* Properties that are told and never read, with a new value; and those whose value is what it was. */
static bool contact_property(void)
{
    static const char *const told[] = {
        "NETWORK_DIALED_ADDRESS", "SPEXTERNAL_ID",           "CALLED_ALIAS", "CCM_ID", "NODE_ID",
        "SOURCE_SITE_GROUP_ID",   "TARGET_AGENT_POSITION_ID"};
    static const char *const same[] = {"CONTACT", "CONTACT_TYPE", "ROUTE", "CALLING_TERMINAL"};
    struct contact *contact = any_contact();
    char value[16];
    if (contact == NULL)
        return false;
    snprintf(value, sizeof(value), "%u", dice(1000));
    if (dice(3))
        contact_announce(contact, told[dice(sizeof(told) / sizeof(*told))], value);
    else
        contact_changed(contact, same[dice(sizeof(same) / sizeof(*same))]);
    return true;
}

static bool agent_property(void)
{
    static const char *const names[] = {"CONTACT_TYPE", "ADDRESS_NAME", "INFORMATION"};
    struct agent *agent = any_agent();
    unsigned what = dice(5);
    if (what == 0)
        agent_set_voice_terminal(agent, any_agent()->terminals[0]);
    else if (what == 1)
        agent_set_supervisor(agent, &world.agents[0] != agent ? &world.agents[0] : NULL);
    else
        agent_announce(agent, names[what - 2]);
    return true;
}

static bool terminal_property(void)
{
    static const char *const names[] = {"CONTACT_TYPE",
                                        "NAME",
                                        "PORT",
                                        "TREATMENT_TERMINAL_TYPE",
                                        "TREATMENT_TRANSPORT_TYPE",
                                        "VALIDATE_AGENT_LICENSE"};
    const struct terminal *terminal = world.terminals[dice((uint32_t)world.terminal_count)];
    terminal_announce(terminal, names[dice(sizeof(names) / sizeof(*names))], "7");
    return true;
}

static bool address_property(void)
{
    static const char *const names[] = {"PRESENCE", "ADDRESS_TERMINAL_ASSOCIATION"};
    struct address *address = world.addresses[dice((uint32_t)world.address_count)];
    char uri[48];
    switch (dice(4)) {
    case 0:
        address_set_acquired(address, dice(4));
        return true;
    case 1:
        snprintf(uri, sizeof(uri), "sip:%u@cct.example.com", dice(100000));
        address_set_uri(address, uri);
        return true;
    default:
        address_announce(address, names[dice(2)]);
        return true;
    }
}

static const struct {
    const char *name;
    unsigned weight;
    bool (*act)(void);
} actions[] = {
    {"callIn", 14, call_in},
    {"emailIn", 1, email_in},
    {"callOut", 6, call_out},
    {"route", 10, route},
    {"answer", 16, answer},
    {"answerOutside", 4, answer_outside},
    {"hold", 5, hold},
    {"unhold", 6, unhold},
    {"consult", 6, consult},
    {"completeTransfer", 3, complete_transfer},
    {"completeConference", 3, complete_conference},
    {"blindTransfer", 1, blind_transfer},
    {"pickup", 1, pick_up},
    {"observe", 1, observe},
    {"reject", 1, reject},
    {"redirect", 1, redirect},
    {"drop", 14, drop},
    {"end", 2, end},
    {"ready", 10, ready},
    {"activity", 2, activity},
    {"login", 3, login},
    {"loginSecond", 1, login_second},
    {"logout", 2, logout},
    {"data", 3, data},
    {"intrinsics", 2, intrinsics},
    {"uui", 1, uui},
    {"doNotDisturb", 1, dnd},
    {"forwarding", 1, forwarding},
    {"messageWaiting", 1, message_waiting},
    {"control", 1, control},
    /* only when everything is asked for: the others come in the same order for a seed as without them */
    {"addressService", 2, address_service},
    {"terminalService", 2, terminal_service},
    {"mapping", 1, mapping},
    {"provider", 1, provider},
    {"defaultTreatment", 1, default_treatment},
    {"forceDisconnect", 1, force_disconnect},
    {"contactProperty", 4, contact_property},
    {"agentProperty", 2, agent_property},
    {"terminalProperty", 2, terminal_property},
    {"addressProperty", 2, address_property},
};
enum {
    ACTIONS = sizeof(actions) / sizeof(*actions),
    EVERYTHING = 10,
    USUAL = ACTIONS - EVERYTHING
};
static size_t in_use = USUAL;

static uint64_t counts[ACTIONS];

void traffic_begin(uint64_t seed, bool everything)
{
    state = seed;
    in_use = everything ? ACTIONS : USUAL;
    memset(counts, 0, sizeof(counts));
}

static bool crowded(void)
{
    return world.contacts_by_id.count > world.agent_count + 5;
}

static size_t pick(void)
{
    unsigned sum = actions[0].weight;
    for (size_t i = 1; i < in_use; i++)
        sum += actions[i].weight;
    unsigned at = dice(sum);
    size_t i = 0;
    while (at >= actions[i].weight)
        at -= actions[i++].weight;
    return i;
}

/* An action that finds nobody it could happen to is replaced by another; a crowded floor first empties. */
void traffic_step(void)
{
    if (crowded() && dice(2)) {
        end();
        return;
    }
    for (int tries = 0; tries < TRIES; tries++) {
        size_t i = pick();
        if (actions[i].act()) {
            counts[i]++;
            return;
        }
    }
}

json_t *traffic_json(void)
{
    json_t *o = json_object();
    for (size_t i = 0; i < ACTIONS; i++)
        json_object_set_new(o, actions[i].name, json_integer((json_int_t)counts[i]));
    return o;
}
