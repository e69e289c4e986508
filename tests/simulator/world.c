#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "calls.h"

enum { FIRST_AGENT_ID = 2001, SUPERVISOR_EVERY = 10, EMAIL_EVERY = 4, PICKUP_GROUP_SIZE = 10 };

struct world world;

static const char voice_provider[] = "Passive";
static const char multimedia_provider[] = "CCMM";

/* splitmix64: small, seedable, good enough for made-up data. */
static uint64_t next_random(void)
{
    uint64_t z = (world.random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t world_random(uint32_t below)
{
    return (uint32_t)(next_random() % below);
}

void world_guid(char guid[GUID_BYTES])
{
    uint64_t a = next_random();
    uint64_t b = next_random();
    snprintf(guid, GUID_BYTES, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32),
             (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
             0x8000 | ((unsigned)(b >> 48) & 0x3fff), (unsigned long long)(b & 0xffffffffffffu));
}

void set_text(char **slot, const char *value)
{
    char *copy = mem_strdup(value);
    free(*slot);
    *slot = copy;
}

static struct address *new_address(char *name, enum address_type type, const char *provider)
{
    struct address *address = mem_new(1, sizeof(*address));
    address->name = name;
    address->type = type;
    address->provider = provider;
    address->state = type == AT_OUT_OF_PROVIDER ? "UNKNOWN" : "IN_SERVICE";
    TAILQ_INIT(&address->connections);
    return address;
}

static struct address *add_address(char *name, enum address_type type, const char *provider)
{
    struct address *address = new_address(name, type, provider);
    world.addresses[world.address_count++] = address;
    map_put(&world.addresses_by_name, address->name, address);
    return address;
}

static struct terminal *add_terminal(char *name, enum terminal_type type, const char *provider)
{
    struct terminal *terminal = mem_new(1, sizeof(*terminal));
    terminal->name = name;
    terminal->type = type;
    terminal->provider = provider;
    terminal->contact_type = provider == voice_provider ? "Voice" : "Email";
    terminal->pickup_group = "Group0";
    terminal->state = "IN_SERVICE";
    terminal->reason_code = mem_strdup("");
    terminal->activity_code = mem_strdup("");
    TAILQ_INIT(&terminal->termconns);
    world.terminals[world.terminal_count++] = terminal;
    map_put(&world.terminals_by_name, terminal->name, terminal);
    return terminal;
}

static void attach(struct terminal *terminal, struct address *address, struct agent *agent)
{
    terminal->addresses[terminal->address_count++] = address;
    address->terminal = terminal;
    address->agent = agent;
}

static void build_voice(struct agent *agent, size_t index, int id)
{
    static const char *const groups[] = {"Group1", "Group2", "Group3", "Group4"};
    struct terminal *line =
        add_terminal(mem_printf("Line 1.0.%zu", index + 1), TT_AGENT, voice_provider);
    line->agent = agent;
    line->pickup_group = groups[index / PICKUP_GROUP_SIZE % 4];
    agent->terminals[agent->terminal_count++] = line;
    agent->position = add_address(mem_printf("5%d", id), AT_AGENT, voice_provider);
    agent->personal_dn = add_address(mem_printf("6%d", id), AT_GENERIC, voice_provider);
    attach(line, agent->position, agent);
    attach(line, agent->personal_dn, agent);
    agent->contact_types[agent->contact_type_count++] = "Voice";
}

/* The multimedia address carries the agent's id as its third part (DOMAIN 12.1). */
static void build_multimedia(struct agent *agent, int id)
{
    struct terminal *desk = add_terminal(mem_printf("CCMM_%d", id), TT_AGENT, multimedia_provider);
    desk->agent = agent;
    agent->terminals[agent->terminal_count++] = desk;
    attach(desk, add_address(mem_printf("ccmm_email_%d", id), AT_AGENT, multimedia_provider),
           agent);
    agent->contact_types[agent->contact_type_count++] = "Email";
}

static void build_agent(size_t index)
{
    struct agent *agent = &world.agents[index];
    int id = FIRST_AGENT_ID + (int)index;
    agent->id = mem_printf("%d", id);
    agent->user_name = mem_printf("agent%d", id);
    agent->reason_code = mem_strdup("");
    map_put(&world.agents_by_id, agent->id, agent);
    build_voice(agent, index, id);
    if (index % EMAIL_EVERY == EMAIL_EVERY - 1)
        build_multimedia(agent, id);
    size_t own_supervisor = index - index % SUPERVISOR_EVERY;
    if (index == own_supervisor) {
        agent->type = AGENT_SUPERVISOR;
        agent->static_voice_terminal = agent->terminals[0];
        agent->supervisor = index > 0 ? &world.agents[0] : NULL;
    } else {
        agent->supervisor = &world.agents[own_supervisor];
    }
}

static void add_user(const char *name, struct agent *agent)
{
    struct user *user = &world.users[world.user_count++];
    user->name = mem_strdup(name);
    user->agent = agent;
    map_put(&world.users_by_name, user->name, user);
}

static void build_common(void)
{
    static const char *const names[] = {"RP_Sales", "RP_Service", "RP_Support"};
    for (size_t i = 0; i < 3; i++)
        world.route_points[i] = add_address(mem_strdup(names[i]), AT_ROUTE_POINT, voice_provider);
    struct terminal *lobby = add_terminal(mem_strdup("Phone 1"), TT_GENERIC, voice_provider);
    attach(lobby, add_address(mem_strdup("8001"), AT_GENERIC, voice_provider), NULL);
}

void world_build(size_t agents, uint64_t seed)
{
    world.random = seed;
    world.next_external_id = 13740;
    TAILQ_INIT(&world.contacts);
    world.agents = mem_new(agents, sizeof(*world.agents));
    world.agent_count = agents;
    world.addresses = mem_new(agents * 3 + 8, sizeof(*world.addresses));
    world.terminals = mem_new(agents * 2 + 8, sizeof(*world.terminals));
    world.users = mem_new(agents + 3, sizeof(*world.users));
    for (size_t i = 0; i < agents; i++) {
        build_agent(i);
        add_user(world.agents[i].user_name, &world.agents[i]);
    }
    add_user("supervisor", NULL);
    add_user("admin", NULL);
    add_user("recorder", NULL);
    build_common();
}

struct agent *world_agent(const char *id)
{
    return map_get(&world.agents_by_id, id);
}

struct address *world_address(const char *name)
{
    return map_get(&world.addresses_by_name, name);
}

struct terminal *world_terminal(const char *name)
{
    return map_get(&world.terminals_by_name, name);
}

struct user *world_user(const char *name)
{
    return map_get(&world.users_by_name, name);
}

struct contact *world_contact(const char *id)
{
    return map_get(&world.contacts_by_id, id);
}

struct connection *world_connection(const char *id)
{
    return map_get(&world.connections_by_id, id);
}

struct termconn *world_termconn(const char *id)
{
    return map_get(&world.termconns_by_id, id);
}

struct address *world_dial(const char *number)
{
    if (*number == '\0')
        return NULL;
    struct address *address = world_address(number);
    struct agent *agent = address == NULL ? world_agent(number) : NULL;
    if (agent != NULL)
        return agent->position;
    if (address == NULL)
        address = map_get(&world.outside_by_name, number);
    if (address == NULL) {
        address = new_address(mem_strdup(number), AT_OUT_OF_PROVIDER, voice_provider);
        map_put(&world.outside_by_name, address->name, address);
    }
    return address;
}

bool user_owns_agent(const struct user *user, const struct agent *agent)
{
    return user->agent == NULL || user->agent == agent;
}

bool user_owns_address(const struct user *user, const struct address *address)
{
    if (address->type == AT_OUT_OF_PROVIDER)
        return false;
    return user->agent == NULL || user->agent == address->agent;
}

bool user_owns_terminal(const struct user *user, const struct terminal *terminal)
{
    return user->agent == NULL || user->agent == terminal->agent;
}

bool user_sees_contact(const struct user *user, const struct contact *contact)
{
    if (user->agent == NULL)
        return true;
    const struct connection *c;
    TAILQ_FOREACH(c, &contact->connections, of_contact)
    {
        if (user_owns_address(user, c->address))
            return true;
        const struct termconn *t;
        TAILQ_FOREACH(t, &c->termconns, of_connection)
        {
            if (user_owns_terminal(user, t->terminal))
                return true;
        }
    }
    return false;
}

bool user_supervises(const struct user *user)
{
    return user->agent == NULL || user->agent->type == AGENT_SUPERVISOR;
}

struct presence address_presence(const struct address *address)
{
    bool busy = !TAILQ_EMPTY(&address->connections);
    return (struct presence){.status = address->dnd ? "CLOSED" : "OPEN",
                             .extended = busy ? "EXT_BUSY" : "EXT_REACHABLE",
                             .activity = address->dnd ? "DO_NOT_DISTURB"
                                         : busy       ? "ON_THE_PHONE"
                                                      : "AVAILABLE"};
}

char *address_uri(const struct address *address)
{
    return address->uri != NULL ? mem_strdup(address->uri)
                                : mem_printf("sip:%s@cct.example.com", address->name);
}

void forwarding_clear(struct forwarding_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].caller);
        free(list->items[i].destination);
    }
    list->count = 0;
}

static void free_address(struct address *address)
{
    forwarding_clear(&address->forwarding);
    free(address->uri);
    free(address->name);
    free(address);
}

static void free_terminal(struct terminal *terminal)
{
    forwarding_clear(&terminal->forwarding);
    free(terminal->name);
    free(terminal->reason_code);
    free(terminal->activity_code);
    free(terminal);
}

static void free_outside(const char *name, void *address)
{
    (void)name;
    free_address(address);
}

void world_free(void)
{
    calls_free_all();
    map_each(&world.outside_by_name, free_outside);
    for (size_t i = 0; i < world.address_count; i++)
        free_address(world.addresses[i]);
    for (size_t i = 0; i < world.terminal_count; i++)
        free_terminal(world.terminals[i]);
    for (size_t i = 0; i < world.agent_count; i++) {
        free(world.agents[i].id);
        free(world.agents[i].user_name);
        free(world.agents[i].reason_code);
    }
    for (size_t i = 0; i < world.user_count; i++)
        free(world.users[i].name);
    struct map *maps[] = {&world.agents_by_id,
                          &world.addresses_by_name,
                          &world.outside_by_name,
                          &world.terminals_by_name,
                          &world.users_by_name,
                          &world.contacts_by_id,
                          &world.contacts_by_external_id,
                          &world.connections_by_id,
                          &world.termconns_by_id};
    for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
        map_free(maps[i]);
    free(world.addresses);
    free(world.terminals);
    free(world.agents);
    free(world.users);
}
