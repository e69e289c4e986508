#include "scenario.h"

#include <stdio.h>
#include <string.h>

#include "agents.h"
#include "buf.h"
#include "calls.h"

enum { BLOCK = 20 };

/* What the agent at this place of its block does at the start; the calls follow in block_calls. */
static const struct {
    bool logged_in;
    bool ready;
    const char *reason;   /* of not ready */
    const char *activity; /* "" = none */
} places[BLOCK] = {{true, true, "", ""},     {true, true, "", "77"}, {true, true, "", ""},
                   {true, true, "", ""},     {true, true, "", ""},   {true, true, "", ""},
                   {true, true, "", ""},     {true, true, "", ""},   {true, true, "", ""},
                   {true, false, "1", ""},   {true, false, "2", ""}, {false, false, "", ""},
                   {false, false, "", ""},   {true, true, "", ""},   {true, true, "", ""},
                   {true, false, "3", "12"}, {true, false, "4", ""}, {true, true, "", ""},
                   {false, false, "", ""},   {true, true, "", ""}};
enum {
    AT_ESTABLISHED = 1,
    AT_RINGING,
    AT_HELD,
    AT_CONSULTING,
    AT_CONSULTED,
    AT_CONFERENCE,
    AT_CONFERENCE_2,
    AT_BINARY,
    AT_TWO_CODES = 16,
    AT_EMAIL = 19
};

static void seat(struct agent *agent, size_t place)
{
    if (!places[place].logged_in)
        return;
    agent_login(agent, agent->terminals[0], places[place].ready);
    if (*places[place].reason != '\0')
        agent_set_reason(agent, places[place].reason);
    if (*places[place].activity != '\0')
        terminal_set_activity(agent->terminals[0], places[place].activity);
    if (place == AT_TWO_CODES) /* agent and terminal may name different reasons */
        set_text(&agent->terminals[0]->reason_code, "5");
}

static void add_intrinsics(struct contact *contact, const char *skillset)
{
    char customer[16], id[8];
    snprintf(customer, sizeof(customer), "C%06u", (unsigned)world_random(1000000));
    snprintf(id, sizeof(id), "%u", (unsigned)(100 + world_random(20)));
    contact_intrinsic_put(contact, "CUSTOMERID", customer, false);
    contact_intrinsic_put(contact, "CONTACTID", contact->external_id, true);
    contact_intrinsic_put(contact, "Skillset", skillset, true);
    contact_intrinsic_put(contact, "%SKILLSET%SKILLSET", id, true);
    contact_intrinsic_put(contact, "CONTACTSUBTYPE", "Voice", false);
}

/* A customer who called a route point and was sent on to `agent` ("queued" when NULL). */
static struct contact *customer_call(struct agent *agent, size_t route_point, bool answered)
{
    static const char *const skillsets[] = {"SK_Sales", "SK_Service", "SK_Support"};
    char number[24], uui[24];
    snprintf(number, sizeof(number), "+35391%07u", (unsigned)world_random(10000000));
    snprintf(uui, sizeof(uui), "04%08X", (unsigned)world_random(0xffffffffu));
    struct address *rp = world.route_points[route_point];
    struct contact *contact = call_incoming(world_dial(number), rp);
    add_intrinsics(contact, skillsets[route_point]);
    set_text(&contact->uui, uui);
    contact_data_add_pair(&contact->data, "case", contact->external_id);
    contact_data_add_pair(&contact->data, "name", "O'Neill & Söhne <Galway>");
    if (agent == NULL)
        return contact;
    struct connection *leg = call_route(contact_connection_at(contact, rp), agent->position);
    if (answered && !TAILQ_EMPTY(&leg->termconns))
        call_answer(TAILQ_FIRST(&leg->termconns), "DEFAULT");
    return contact;
}

static struct termconn *leg_of(const struct contact *contact, const struct agent *agent)
{
    return contact_termconn_at(contact, agent->terminals[0]);
}

static void conference(struct agent *first, struct agent *second)
{
    struct contact *call = customer_call(first, 1, true);
    struct contact *consult =
        call_consult(leg_of(call, first), second->position, CONSULT_CONFERENCE);
    call_answer(leg_of(consult, second), "CONFERENCE_INIT");
    call_complete_conference(leg_of(call, first), consult);
}

static void string_data(struct contact *contact)
{
    contact_data_clear(&contact->data);
    contact->data.type = DATA_STRING;
    contact->data.text = mem_strdup("order=4711;note=call back after 5 pm");
}

static void binary_data(struct contact *contact)
{
    static const signed char bytes[] = {1, -2, 3, 127, -128, 0, 65};
    contact_data_clear(&contact->data);
    contact->data.type = DATA_BINARY;
    contact->data.byte_count = sizeof(bytes);
    contact->data.bytes = mem_new(sizeof(bytes), 1);
    memcpy(contact->data.bytes, bytes, sizeof(bytes));
}

static void email(struct agent *agent)
{
    struct terminal *desk = agent->terminals[1];
    agent_login(agent, desk, true);
    struct contact *contact = call_incoming(world_dial("customer@example.com"), desk->addresses[0]);
    contact_intrinsic_put(contact, "CONTACTSUBTYPE", "Web_Communications", false);
    call_answer(TAILQ_FIRST(&desk->termconns), "DEFAULT");
}

static void place_call(struct agent *agents, size_t place, size_t count)
{
    struct agent *agent = &agents[place];
    switch (place) {
    case AT_ESTABLISHED:
        customer_call(agent, 0, true);
        break;
    case AT_RINGING:
        string_data(customer_call(agent, 1, false));
        break;
    case AT_HELD:
        call_hold(leg_of(customer_call(agent, 2, true), agent), TS_HELD);
        break;
    case AT_CONSULTING:
        if (count > AT_CONSULTED)
            call_consult(leg_of(customer_call(agent, 0, true), agent),
                         agents[AT_CONSULTED].position, CONSULT_TRANSFER);
        break;
    case AT_CONFERENCE:
        if (count > AT_CONFERENCE_2)
            conference(agent, &agents[AT_CONFERENCE_2]);
        break;
    case AT_BINARY:
        binary_data(customer_call(agent, 0, true));
        break;
    case AT_EMAIL:
        if (agent->terminal_count > 1)
            email(agent);
        break;
    default:
        break;
    }
}

void scenario_busy(void)
{
    for (size_t start = 0; start < world.agent_count; start += BLOCK) {
        size_t count = world.agent_count - start;
        count = count < BLOCK ? count : BLOCK;
        for (size_t place = 0; place < count; place++)
            seat(&world.agents[start + place], place);
        for (size_t place = 0; place < count; place++)
            place_call(&world.agents[start], place, count);
        customer_call(NULL, 0, false);
    }
}
