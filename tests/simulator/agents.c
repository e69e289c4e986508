#include "agents.h"

#include "events.h"

static void emit_agent(const struct agent *agent, const char *property)
{
    sim_emit(
        &(struct sim_event){.kind = EVENT_AGENT_PROPERTY, .agent = agent, .property = property});
}

static void emit_terminal(const struct terminal *terminal, const char *property)
{
    sim_emit(&(struct sim_event){.kind = EVENT_TERMINAL_PROPERTY,
                                 .terminal = terminal,
                                 .agent = terminal->logged_in,
                                 .property = property});
}

static void emit_address(const struct address *address, const char *property)
{
    sim_emit(&(struct sim_event){
        .kind = EVENT_ADDRESS_PROPERTY, .address = address, .property = property});
}

/* An agent may also sit at a terminal that is not its own, so all of them are looked at. */
static bool logged_in_anywhere(const struct agent *agent)
{
    for (size_t i = 0; i < world.terminal_count; i++) {
        if (world.terminals[i]->logged_in == agent)
            return true;
    }
    return false;
}

static void apply_ready(struct terminal *terminal, bool ready)
{
    terminal->ready = ready;
    set_text(&terminal->reason_code, "");
    emit_terminal(terminal, "READY_STATUS");
}

static void apply_agent_ready(struct agent *agent, bool ready)
{
    agent->ready = ready;
    set_text(&agent->reason_code, "");
    emit_agent(agent, "READY_STATUS");
}

void agent_login(struct agent *agent, struct terminal *terminal, bool ready)
{
    if (terminal->logged_in != NULL)
        terminal_logout(terminal);
    terminal->logged_in = agent;
    set_text(&terminal->activity_code, "");
    emit_terminal(terminal, "AGENT_LOGIN_SESSION");
    if (!agent->logged_in) {
        agent->logged_in = true;
        emit_agent(agent, "LOGIN_STATUS");
        emit_agent(agent, "INFORMATION");
    }
    apply_ready(terminal, ready);
    apply_agent_ready(agent, ready);
}

void terminal_logout(struct terminal *terminal)
{
    struct agent *agent = terminal->logged_in;
    if (agent == NULL)
        return;
    terminal->logged_in = NULL;
    terminal->ready = false;
    set_text(&terminal->reason_code, "");
    set_text(&terminal->activity_code, "");
    emit_terminal(terminal, "AGENT_LOGIN_SESSION_ENDED");
    if (logged_in_anywhere(agent))
        return;
    agent->logged_in = false;
    agent->ready = false;
    set_text(&agent->reason_code, "");
    emit_agent(agent, "LOGIN_STATUS");
}

void agent_logout(struct agent *agent)
{
    for (size_t i = 0; i < world.terminal_count && agent->logged_in; i++) {
        if (world.terminals[i]->logged_in == agent)
            terminal_logout(world.terminals[i]);
    }
}

void agent_set_ready(struct agent *agent, bool ready)
{
    for (size_t i = 0; i < world.terminal_count; i++) {
        if (world.terminals[i]->logged_in == agent)
            apply_ready(world.terminals[i], ready);
    }
    apply_agent_ready(agent, ready);
}

void agent_set_reason(struct agent *agent, const char *code)
{
    for (size_t i = 0; i < world.terminal_count; i++) {
        if (world.terminals[i]->logged_in != agent)
            continue;
        set_text(&world.terminals[i]->reason_code, code);
        emit_terminal(world.terminals[i], "READY_STATUS");
    }
    set_text(&agent->reason_code, code);
    emit_agent(agent, "READY_STATUS");
}

void terminal_set_ready(struct terminal *terminal, bool ready)
{
    apply_ready(terminal, ready);
    if (terminal->logged_in != NULL)
        apply_agent_ready(terminal->logged_in, ready);
}

void terminal_set_reason(struct terminal *terminal, const char *code)
{
    set_text(&terminal->reason_code, code);
    emit_terminal(terminal, "READY_STATUS");
    if (terminal->logged_in != NULL) {
        set_text(&terminal->logged_in->reason_code, code);
        emit_agent(terminal->logged_in, "READY_STATUS");
    }
}

void terminal_set_activity(struct terminal *terminal, const char *code)
{
    set_text(&terminal->activity_code, code);
    emit_terminal(terminal, "ACTIVITY_CODE");
}

void terminal_set_dnd(struct terminal *terminal, bool on)
{
    terminal->dnd = on;
    emit_terminal(terminal, "DO_NOT_DISTURB");
}

void terminal_forwarding_changed(struct terminal *terminal)
{
    emit_terminal(terminal, "FORWARDING");
}

void agent_set_voice_terminal(struct agent *agent, struct terminal *terminal)
{
    agent->static_voice_terminal = terminal;
    emit_agent(agent, "VOICE_TERMINAL");
}

void agent_set_supervisor(struct agent *agent, struct agent *supervisor)
{
    agent->supervisor = supervisor;
    emit_agent(agent, "INFORMATION");
}

void address_set_dnd(struct address *address, bool on)
{
    address->dnd = on;
    emit_address(address, "DO_NOT_DISTURB");
}

void address_set_message_waiting(struct address *address, bool on, int count)
{
    address->message_waiting = on;
    address->message_count = count;
    emit_address(address, "MESSAGE_WAITING");
}

void address_set_controlled(struct address *address, bool on)
{
    address->controlled = on;
    emit_address(address, "CONTROLLED");
}

void address_forwarding_changed(struct address *address)
{
    emit_address(address, "FORWARDING");
}
