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
    unsigned notify_batch;    /* messages per Notify */
    unsigned notify_parallel; /* posts at a time to one consumer */
    uint64_t notify_queue;    /* messages that may wait for one consumer */
    uint64_t notify_timeout_ms;
    const char *notify;    /* JSON as for POST /notify; NULL = none */
    uint64_t lease_max_ms; /* 0 = ten years */
    uint64_t imminent_ms;  /* how long before an end it is announced; 0 = not */
    bool priority;
    bool outbound_rate_limit;
    bool journal; /* commands that were carried out are kept, with their words */
};

extern struct options options;

#endif
