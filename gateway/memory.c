#include "cctgate/memory.h"

#include <stdlib.h>

#include <jansson.h>
#include <orcania.h>

static _Thread_local unsigned watches;
static _Thread_local int ran_out;

static void *watched(void *memory)
{
    if (memory == NULL && watches == 0)
        abort();
    ran_out |= memory == NULL;
    return memory;
}

static void *take(size_t size)
{
    return watched(malloc(size));
}

static void *take_more(void *memory, size_t size)
{
    return watched(realloc(memory, size));
}

void memory_init(void)
{
    json_set_alloc_funcs(take, free);
    /* The library for JWT: it frees what it never made when it has no memory, so its calls are not to be watched. */
    o_set_alloc_funcs(take, take_more, free);
}

void memory_watch(void)
{
    if (watches++ == 0)
        ran_out = 0;
}

int memory_ran_out(void)
{
    --watches;
    return ran_out;
}
