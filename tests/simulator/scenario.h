/* What the floor is doing when the simulator starts. */
#ifndef CCTSIM_SCENARIO_H
#define CCTSIM_SCENARIO_H

/* A busy floor: every twenty agents have the same mix of states and calls. Without it nobody is logged in. */
void scenario_busy(void);

#endif
