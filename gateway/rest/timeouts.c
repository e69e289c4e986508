/*
 * libh2o's timers, on the clock that nobody sets.
 *
 * libh2o 2.2 counts them by the wall clock: an hour forward ends every request and every idle connection at once, an hour back keeps a head
 * that never ends, and holds up what is sent to streams, for an hour. The program defines the three functions that look at the
 * time itself, so the dynamic linker gives these to the library, as in head.c. What the library's loop takes for the time stays the wall
 * clock: it makes Date of it, and how long it waits for is told to it in its own time.
 */
#include "gateway/rest/timeouts.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/time.h>

#include "cctgate/clock.h"
#include "cctgate/error.h"

void h2o_timeout_link(h2o_loop_t *loop, h2o_timeout_t *timeout, h2o_timeout_entry_t *entry)
{
    h2o_linklist_insert(&timeout->_entries, &entry->_link); /* at the end: they ascend */
    entry->registered_at = (uint64_t)clock_monotonic_ms();
    h2o_timeout__do_link(loop, timeout, entry);
}

static h2o_timeout_entry_t *first_of(h2o_timeout_t *timeout)
{
    return H2O_STRUCT_FROM_MEMBER(h2o_timeout_entry_t, _link, timeout->_entries.next);
}

void h2o_timeout_run(h2o_loop_t *loop, h2o_timeout_t *timeout, uint64_t now)
{
    (void)now;
    now = (uint64_t)clock_monotonic_ms();
    while (!h2o_linklist_is_empty(&timeout->_entries)) {
        h2o_timeout_entry_t *entry = first_of(timeout);
        if (entry->registered_at + timeout->timeout > now)
            break;
        h2o_linklist_unlink(&entry->_link);
        entry->registered_at = 0;
        entry->cb(entry);
        h2o_timeout__do_post_callback(loop);
    }
}

/* In the library's time, which it looks at next: a millisecond late, since the two clocks do not change together. */
uint64_t h2o_timeout_get_wake_at(h2o_linklist_t *timeouts)
{
    uint64_t wake_at = UINT64_MAX, now = (uint64_t)clock_monotonic_ms();
    h2o_linklist_t *node;

    for (node = timeouts->next; node != timeouts; node = node->next) {
        h2o_timeout_t *timeout = H2O_STRUCT_FROM_MEMBER(h2o_timeout_t, _link, node);
        if (h2o_linklist_is_empty(&timeout->_entries))
            continue;
        uint64_t due = first_of(timeout)->registered_at + timeout->timeout;
        wake_at = due < wake_at ? due : wake_at;
    }
    if (wake_at == UINT64_MAX)
        return wake_at;
    return (uint64_t)clock_unix_ms() + (wake_at > now ? wake_at - now + 1 : 0);
}

int timeouts_take_over(void)
{
    static const struct {
        const char *name;
        void (*ours)(void);
    } functions[] = {{"h2o_timeout_link", (void (*)(void))h2o_timeout_link},
                     {"h2o_timeout_run", (void (*)(void))h2o_timeout_run},
                     {"h2o_timeout_get_wake_at", (void (*)(void))h2o_timeout_get_wake_at}};
    size_t i;

    for (i = 0; i < sizeof(functions) / sizeof(functions[0]); ++i) {
        void *found = dlsym(RTLD_DEFAULT, functions[i].name);
        if (memcmp(&found, &functions[i].ours, sizeof(found)) != 0)
            return CG_E_INVALID;
    }
    return CG_OK;
}
