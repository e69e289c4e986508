#include "agents.h"

#include <string.h>

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

/* INFORMATION names the terminal, which no other event does. */
static void take_seat(struct agent *agent, struct terminal *terminal)
{
    agent->seat = terminal;
    emit_agent(agent, "INFORMATION");
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
    }
    take_seat(agent, terminal);
    apply_ready(terminal, ready);
    apply_agent_ready(agent, ready);
}

static void clear_terminal(struct terminal *terminal)
{
    bool had_status = terminal->ready || *terminal->reason_code != '\0';
    bool had_activity = *terminal->activity_code != '\0';
    terminal->ready = false;
    set_text(&terminal->reason_code, "");
    set_text(&terminal->activity_code, "");
    if (had_status)
        emit_terminal(terminal, "READY_STATUS");
    if (had_activity)
        emit_terminal(terminal, "ACTIVITY_CODE");
}

/* An agent may also sit at a terminal that is not its own, so all of them are looked at. */
static struct terminal *other_seat(const struct agent *agent)
{
    for (size_t i = 0; i < world.terminal_count; i++) {
        if (world.terminals[i]->logged_in == agent)
            return world.terminals[i];
    }
    return NULL;
}

void terminal_logout(struct terminal *terminal)
{
    struct agent *agent = terminal->logged_in;
    if (agent == NULL)
        return;
    terminal->logged_in = NULL;
    emit_terminal(terminal, "AGENT_LOGIN_SESSION_ENDED");
    clear_terminal(terminal);
    struct terminal *left = other_seat(agent);
    if (left == NULL) {
        bool had_status = agent->ready || *agent->reason_code != '\0';
        agent->logged_in = false;
        agent->ready = false;
        set_text(&agent->reason_code, "");
        emit_agent(agent, "LOGIN_STATUS");
        if (had_status)
            emit_agent(agent, "READY_STATUS");
    }
    take_seat(agent, left);
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
    address_presence_changed(address);
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

void address_presence_changed(struct address *address)
{
    if (address->presence_subscribed)
        emit_address(address, "PRESENCE");
}

void address_set_uri(struct address *address, const char *uri)
{
    set_text(&address->uri, uri);
    emit_address(address, "URI");
}

void address_set_acquired(struct address *address, bool on)
{
    address->released = !on;
    emit_address(address, "ACQUIRE_STATUS");
}

void address_announce(const struct address *address, const char *property)
{
    emit_address(address, property);
}

void terminal_announce(const struct terminal *terminal, const char *property, const char *value)
{
    sim_emit(&(struct sim_event){.kind = EVENT_TERMINAL_PROPERTY,
                                 .terminal = terminal,
                                 .agent = terminal->logged_in,
                                 .property = property,
                                 .text = value});
}

void agent_announce(const struct agent *agent, const char *property)
{
    emit_agent(agent, property);
}

const char *resource_state(const char *name)
{
    static const char *const names[] = {"IN_SERVICE", "OUT_OF_SERVICE", "INVALID", "UNKNOWN"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(names[i], name) == 0)
            return names[i];
    }
    return NULL;
}

void address_set_state(struct address *address, const char *state, const char *reason)
{
    address->state = state;
    sim_emit(&(struct sim_event){
        .kind = EVENT_ADDRESS_STATE, .address = address, .state = state, .reason = reason});
}

void terminal_set_state(struct terminal *terminal, const char *state, const char *reason)
{
    terminal->state = state;
    sim_emit(&(struct sim_event){
        .kind = EVENT_TERMINAL_STATE, .terminal = terminal, .state = state, .reason = reason});
}

void agent_set_mapped(struct agent *agent, bool mapped)
{
    agent->unmapped = !mapped;
    sim_emit(&(struct sim_event){
        .kind = EVENT_AGENT_STATE, .agent = agent, .state = mapped ? "MAPPED" : "UNMAPPED"});
}
