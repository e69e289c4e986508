#include "cctgate/presence.h"

#include <string.h>

const char *presence_derive(const struct presence_facts *facts,
                            const char *const *after_call_work_codes, size_t num_codes)
{
    size_t i;

    if (!facts->logged_in)
        return "loggedOut";
    if (facts->ready)
        return facts->num_calls > 0 ? "busy" : "ready";
    for (i = 0; facts->not_ready_reason_code != NULL && i < num_codes; ++i)
        if (strcmp(after_call_work_codes[i], facts->not_ready_reason_code) == 0)
            return "afterCallWork";
    return "notReady";
}
