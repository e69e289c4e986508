/* What the tests of the gateway ask about: how often which operation came, and what was wrong with requests. */
#ifndef CCTSIM_COUNTERS_H
#define CCTSIM_COUNTERS_H

#include <stdint.h>

#include "contract.h"

enum { VIOLATION_MESSAGES = 20, LOGIN_TIMES = 4096 };

struct counters {
    uint64_t total; /* requests that named a known operation, faulted ones included */
    uint64_t violations;
    uint64_t logins;
    uint64_t logins_per_second_max; /* in any second, as far as LOGIN_TIMES tells */
    uint64_t logoffs;
    uint64_t commands;
    uint64_t reads;
    uint64_t faults;                    /* SOAP faults answered */
    char *messages[VIOLATION_MESSAGES]; /* a ring: message i is at i % VIOLATION_MESSAGES */
};

extern struct counters counters;

void counters_violation(const char *where, const char *what);
void counters_login(void);
void counters_operation(struct operation *op);
void counters_reset(void);

#endif
