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

#endif
