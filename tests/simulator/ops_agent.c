/* AgentService and AgentTerminalService. */
#include <string.h>

#include "agents.h"
#include "calls.h"
#include "ops_shared.h"
#include "options.h"

static bool can(struct rq *rq, const struct agent *agent, enum agent_cap cap)
{
    return agent != NULL && rq_can(rq, caps_of_agent(agent), &agent_caps, cap);
}

/* The agents that this one supervises, as far as the user owns them. */
static int get_agents(struct rq *rq)
{
    struct agent *supervisor = rq_agent(rq, "agent");
    if (supervisor == NULL)
        return -1;
    for (size_t i = 0; i < world.agent_count; i++) {
        if (world.agents[i].supervisor == supervisor && user_owns_agent(rq->user, &world.agents[i]))
            put_agent(rq, "r:agents", &world.agents[i]);
    }
    return 0;
}

static int get_capabilities(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (agent == NULL)
        return -1;
    put_caps(rq, "r:agentCapabilities", &agent_caps, caps_of_agent(agent));
    return 0;
}

static int get_contact_types(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (agent == NULL)
        return -1;
    for (size_t i = 0; i < agent->contact_type_count; i++)
        put_text(rq, "r:contactTypes", agent->contact_types[i]);
    return 0;
}

static int get_reason_code(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (!can(rq, agent, AGT_GET_REASON))
        return -1;
    put_text(rq, "r:response", agent->reason_code);
    return 0;
}

static int get_voice_terminal(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (agent == NULL)
        return -1;
    if (agent->static_voice_terminal == NULL)
        return rq_fail(rq, "Agent '%s' has no static voice terminal", agent->id);
    put_terminal(rq, "r:terminal", agent->static_voice_terminal);
    return 0;
}

static int get_supervisor(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (!can(rq, agent, AGT_GET_SUPERVISOR))
        return -1;
    put_agent(rq, "r:agent", agent->supervisor);
    return 0;
}

static int get_type(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (agent == NULL)
        return -1;
    put_text(rq, "r:response", agent_type_name(agent->type));
    return 0;
}

static int is_logged_in(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (agent == NULL)
        return -1;
    put_bool(rq, "r:response", agent->logged_in);
    return 0;
}

static int is_ready(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (agent == NULL)
        return -1;
    put_bool(rq, "r:response", agent->ready);
    return 0;
}

static int is_supervisor(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (agent == NULL)
        return -1;
    put_bool(rq, "r:response", agent->type == AGENT_SUPERVISOR);
    return 0;
}

static bool wants_ready(struct rq *rq)
{
    return strcmp(rq_text(rq, "initialState"), "READY") == 0;
}

/* At the static voice terminal, else at the agent's own line. */
static int login(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (!can(rq, agent, AGT_LOGIN))
        return -1;
    struct terminal *terminal = agent->static_voice_terminal;
    return do_terminal_login(rq, terminal != NULL ? terminal : agent->terminals[0], agent->id,
                             rq_text(rq, "password"), wants_ready(rq));
}

static int logout(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (!can(rq, agent, AGT_LOGOUT))
        return -1;
    agent_logout(agent);
    return 0;
}

static struct connection *queued_leg(struct contact *contact)
{
    struct connection *c;
    TAILQ_FOREACH(c, &contact->connections, of_contact)
    {
        if (c->state == CS_QUEUED || c->state == CS_CONTROLLED)
            return c;
    }
    return NULL;
}

/* Takes a waiting contact, which need not be the user's yet. */
static int retrieve(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    const char *id = rq_text(rq, "contactExternalId");
    if (!can(rq, agent, AGT_RETRIEVE))
        return -1;
    struct contact *contact = map_get(&world.contacts_by_external_id, id);
    struct connection *queued = contact != NULL ? queued_leg(contact) : NULL;
    if (queued == NULL)
        return rq_fail(rq, "No waiting contact has the external id '%s'", id);
    call_route(queued, agent->position);
    put_contact(rq, "r:contact", contact);
    return 0;
}

static int set_reason_code(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (!can(rq, agent, AGT_SET_REASON))
        return -1;
    agent_set_reason(agent, rq_text(rq, "reasonCode"));
    return 0;
}

static int set_ready(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    if (!can(rq, agent, AGT_SET_READY))
        return -1;
    agent_set_ready(agent, rq_bool(rq, "ready"));
    return 0;
}

static int set_voice_terminal(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    struct terminal *terminal = agent != NULL ? rq_terminal(rq, "terminal") : NULL;
    if (terminal == NULL || !can(rq, agent, AGT_SET_VOICE_TERMINAL))
        return -1;
    agent_set_voice_terminal(agent, terminal);
    return 0;
}

static int set_supervisor(struct rq *rq)
{
    struct agent *agent = rq_agent(rq, "agent");
    struct agent *supervisor = agent != NULL ? rq_agent(rq, "supervisor") : NULL;
    if (supervisor == NULL)
        return -1;
    if (supervisor->type != AGENT_SUPERVISOR || supervisor == agent)
        return rq_fail(rq, "Agent '%s' cannot supervise '%s'", supervisor->id, agent->id);
    agent_set_supervisor(agent, supervisor);
    return 0;
}

#define AGT "AgentService"

const struct op_row ops_agent[] = {{AGT, "GetAgents", get_agents},
                                   {AGT, "GetCapabilities", get_capabilities},
                                   {AGT, "GetContactTypes", get_contact_types},
                                   {AGT, "GetNotReadyReasonCode", get_reason_code},
                                   {AGT, "GetStaticVoiceTerminal", get_voice_terminal},
                                   {AGT, "GetSupervisor", get_supervisor},
                                   {AGT, "GetType", get_type},
                                   {AGT, "GetVersion", do_version},
                                   {AGT, "IsLoggedIn", is_logged_in},
                                   {AGT, "IsReady", is_ready},
                                   {AGT, "IsSupervisor", is_supervisor},
                                   {AGT, "Login", login},
                                   {AGT, "Logout", logout},
                                   {AGT, "Retrieve", retrieve},
                                   {AGT, "SetNotReadyReasonCode", set_reason_code},
                                   {AGT, "SetReady", set_ready},
                                   {AGT, "SetStaticVoiceTerminal", set_voice_terminal},
                                   {AGT, "SetSupervisor", set_supervisor},
                                   {NULL, NULL, NULL}};
