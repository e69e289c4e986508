#include "counters.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "loop.h"

struct counters counters;

void counters_violation(const char *where, const char *what)
{
    char **slot = &counters.messages[counters.violations++ % VIOLATION_MESSAGES];
    free(*slot);
    *slot = mem_printf("%s: %s", where, what);
}

/* Whether they succeed or not: what counts is what the server was asked. */
void counters_login(void)
{
    static uint64_t times[LOGIN_TIMES];
    uint64_t now = loop_now_ms(), count = 0;

    times[counters.logins++ % LOGIN_TIMES] = now;
    while (count < counters.logins && count < LOGIN_TIMES &&
           now - times[(counters.logins - 1 - count) % LOGIN_TIMES] < 1000)
        count++;
    if (count > counters.logins_per_second_max)
        counters.logins_per_second_max = count;
}

void counters_operation(struct operation *op)
{
    op->calls++;
    counters.total++;
    if (op->kind == OP_READ)
        counters.reads++;
    if (op->kind == OP_COMMAND)
        counters.commands++;
}

void counters_reset(void)
{
    for (size_t i = 0; i < VIOLATION_MESSAGES; i++)
        free(counters.messages[i]);
    memset(&counters, 0, sizeof(counters));
    for (size_t i = 0; i < contract_service_count(); i++) {
        struct service *service = contract_service_at(i);
        for (size_t j = 0; j < service->operation_count; j++)
            service->operations[j].calls = 0;
    }
}
