/* What the command line chose; set once by main, read everywhere. */
#ifndef CCTSIM_OPTIONS_H
#define CCTSIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    int port;
    int admin_port;
    const char *contract;
    int agents;
    uint64_t seed;
    bool busy;
    bool sip;
    bool message_waiting;
    const char *password;
    const char *agent_password;
    const char *domain;
    uint64_t session_timeout_ms;
    uint64_t latency_ms;
    uint64_t jitter_ms;
    bool priority;
    bool outbound_rate_limit;
};

extern struct options options;

#endif
