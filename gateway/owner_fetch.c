/* What a front asks the owner to fetch: it is made and freed on any thread, without an owner. */
#include "cctgate/owner.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/limits.h"

struct owner_fetch *owner_fetch_new(enum record_kind kind, const char *id, size_t id_length)
{
    struct owner_fetch *fetch;
    if (id_length > CG_ID_BYTES_MAX || (fetch = calloc(1, sizeof(*fetch))) == NULL)
        return NULL;
    fetch->kind = kind;
    fetch->id_length = id_length;
    memcpy(fetch->id, id, id_length);
    return fetch;
}

void owner_fetch_free(struct owner_fetch **fetch)
{
    if (*fetch != NULL)
        fetch_outcome_unref(&(*fetch)->outcome);
    free(*fetch);
    *fetch = NULL;
}
