#include "gateway/outbound/fault.h"

#include <stddef.h>
#include <string.h>

/* The first row whose words are all in the message. */
struct words {
    const char *one, *other; /* other NULL: one will do */
    enum outbound_fault fault;
};

static const struct words of_login[] = {
    {"already logged in", NULL, OUTBOUND_FAULT_IN_USE},
    {"expired", NULL, OUTBOUND_FAULT_EXPIRED},
};

static const struct words of_call[] = {
    {"per second", NULL, OUTBOUND_FAULT_TOO_FAST}, {"session key", NULL, OUTBOUND_FAULT_KEY},
    {"sessionkey", NULL, OUTBOUND_FAULT_KEY},      {"session", "expired", OUTBOUND_FAULT_KEY},
    {"session", "invalid", OUTBOUND_FAULT_KEY},    {"not logged in", NULL, OUTBOUND_FAULT_KEY},
};

static enum outbound_fault find(const struct words *rows, size_t count, const char *message)
{
    size_t i;

    for (i = 0; message != NULL && i < count; ++i)
        if (strcasestr(message, rows[i].one) != NULL &&
            (rows[i].other == NULL || strcasestr(message, rows[i].other) != NULL))
            return rows[i].fault;
    return OUTBOUND_FAULT_OTHER;
}

void outbound_fault_blot(char *message, const char *secret)
{
    size_t length = secret != NULL ? strlen(secret) : 0;
    char *at;

    if (length == 0)
        return;
    for (at = message; (at = strstr(at, secret)) != NULL; at += length)
        memset(at, '*', length);
}

enum outbound_fault outbound_fault_of_login(const char *message)
{
    return find(of_login, sizeof(of_login) / sizeof(of_login[0]), message);
}

enum outbound_fault outbound_fault_of_call(const char *message)
{
    return find(of_call, sizeof(of_call) / sizeof(of_call[0]), message);
}
