#include "cctgate/error.h"

#include <stddef.h>

static const char *const names[] = {
    "ok",      "no-memory", "invalid",  "not-found", "limit",  "malformed-xml", "protocol",
    "refused", "timeout",   "reset",    "tls",       "fault",  "session-lost",  "io",
    "full",    "corrupt",   "shutdown", "busy",      "denied",
};

const char *cg_error_name(int rc)
{
    size_t index = rc <= 0 ? (size_t)-rc : (size_t)-1;
    return index < sizeof(names) / sizeof(names[0]) ? names[index] : "unknown";
}
