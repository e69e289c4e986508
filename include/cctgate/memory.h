/*
 * Memory for JSON. That jansson has none is told by what is not there: a member that could not be set, a text that is cut (its parser
 * keeps what it could hold of a string, and says nothing). A command with an argument less would be another command. So the
 * allocations themselves are watched: without memory the program ends, as it does with libh2o's and with what the owner's
 * thread needs, except inside a watch, whose end tells.
 *
 * A watch is of its thread. They nest: what is missing in the inner one is missing in the outer one, too.
 */
#ifndef CCTGATE_MEMORY_H
#define CCTGATE_MEMORY_H

/* Before there are threads, and before there is JSON. What the libraries give away is free's all the same. */
void memory_init(void);

/* A watch begins. */
void memory_watch(void);
/* It ends. 1: something could not be had, and nothing that was made meanwhile can be trusted. */
int memory_ran_out(void);

#endif
