/* What changes agents, terminals and addresses; every function passes its changes to sim_emit. */
#ifndef CCTSIM_AGENTS_H
#define CCTSIM_AGENTS_H

#include "world.h"

/* Logs `agent` in at `terminal`, taking whoever was logged in there out. */
void agent_login(struct agent *agent, struct terminal *terminal, bool ready);
/* Out of every terminal. */
void agent_logout(struct agent *agent);
/* Out of one terminal; the agent is logged out with the last one. */
void terminal_logout(struct terminal *terminal);
/* The agent and every terminal it is logged in at. Not ready starts without a code. */
void agent_set_ready(struct agent *agent, bool ready);
void agent_set_reason(struct agent *agent, const char *code);
/* One terminal and the agent logged in at it. */
void terminal_set_ready(struct terminal *terminal, bool ready);
void terminal_set_reason(struct terminal *terminal, const char *code);
void terminal_set_activity(struct terminal *terminal, const char *code);
void terminal_set_dnd(struct terminal *terminal, bool on);
void terminal_forwarding_changed(struct terminal *terminal);
void agent_set_voice_terminal(struct agent *agent, struct terminal *terminal);
void agent_set_supervisor(struct agent *agent, struct agent *supervisor);
void address_set_dnd(struct address *address, bool on);
void address_set_message_waiting(struct address *address, bool on, int count);
void address_set_controlled(struct address *address, bool on);
void address_forwarding_changed(struct address *address);
/* Tells those who subscribed to its presence; for calls.c, as calls are half of it. */
void address_presence_changed(struct address *address);
void address_set_uri(struct address *address, const char *uri);
void address_set_acquired(struct address *address, bool on);

/* The contract's word for a resource state, NULL when `name` is none. */
const char *resource_state(const char *name);
/* `state` is one of resource_state's. */
void address_set_state(struct address *address, const char *state, const char *reason);
void terminal_set_state(struct terminal *terminal, const char *state, const char *reason);
void agent_set_mapped(struct agent *agent, bool mapped);

/* Tells a property with the value it has. Of a terminal also those that the simulator does not play, as `value`. */
void address_announce(const struct address *address, const char *property);
void terminal_announce(const struct terminal *terminal, const char *property, const char *value);
void agent_announce(const struct agent *agent, const char *property);

#endif
