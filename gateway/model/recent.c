/*
 * Has this change been told already? One change is notified once per session that sees it, and a faulty delivery may repeat it. The last
 * RECENT_MAX changes are remembered by a hash of what changed; sessions that told a change stand in its entry. A copy belongs to the
 * oldest entry of its hash that its session has not told yet: sessions keep their own order.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/model/live.h"

#define TELLERS_MAX 16
#define COPY_AGE_MS 60000

struct recent {
    uint64_t hash, place;
    int64_t time_ms;    /* the contact centre's */
    int64_t arrived_ms; /* ours */
    uint32_t tellers[TELLERS_MAX];
    size_t num_tellers;
    uint32_t *users; /* who were told */
    size_t num_users;
    size_t older; /* 1 + index of the next older entry of the same bucket; 0: none */
};

#define BUCKETS 16384
struct recent_table {
    struct recent entries[RECENT_MAX];
    size_t newest[BUCKETS]; /* 1 + index; may have been overwritten since: the hash tells */
};

static struct recent_table *table_of(struct live *live)
{
    if (live->recent == NULL && (live->recent = calloc(1, sizeof(struct recent_table))) == NULL)
        abort();
    return live->recent;
}

static int told_by(const struct recent *entry, uint32_t user)
{
    size_t i;
    for (i = 0; i < entry->num_tellers; ++i)
        if (entry->tellers[i] == user)
            return 1;
    return 0;
}

enum copy recent_check(struct live *live, const struct change *change, struct recent **found)
{
    struct recent_table *table = table_of(live);
    size_t at = table->newest[change->hash % BUCKETS], steps = 0;
    int64_t now = clock_monotonic_ms();
    enum copy copy = COPY_NEW;

    for (; at != 0 && steps < RECENT_MAX; ++steps, at = table->entries[at - 1].older) {
        struct recent *entry = &table->entries[at - 1];
        if (entry->hash % BUCKETS != change->hash % BUCKETS ||
            now - entry->arrived_ms > COPY_AGE_MS)
            break; /* overwritten since, or too old to be the same */
        if (entry->hash != change->hash)
            continue;
        if (told_by(entry, change->user)) {
            if (entry->time_ms == change->time_ms && copy == COPY_NEW) {
                *found = entry;
                return entry->place == change->place ? COPY_DUPLICATE : COPY_OF_ANOTHER_SESSION;
            }
            break; /* what is older was told by it as well */
        }
        *found = entry;
        copy = COPY_OF_ANOTHER_SESSION;
    }
    return copy;
}

void recent_tell(struct recent *entry, uint32_t user)
{
    if (entry->num_tellers < TELLERS_MAX)
        entry->tellers[entry->num_tellers++] = user;
}

const uint32_t *recent_users(const struct recent *entry, size_t *num_users)
{
    *num_users = entry->num_users;
    return entry->users;
}

void recent_add(struct live *live, const struct change *change, const struct pending_event *event)
{
    struct recent_table *table = table_of(live);
    struct recent *entry = &table->entries[live->recent_at];
    size_t *newest = &table->newest[change->hash % BUCKETS];

    free(entry->users);
    *entry = (struct recent){change->hash,
                             change->place,
                             change->time_ms,
                             clock_monotonic_ms(),
                             {change->user},
                             1,
                             NULL,
                             0,
                             *newest};
    if (event->num_users > 0 &&
        (entry->users = malloc(event->num_users * sizeof(*entry->users))) != NULL) {
        memcpy(entry->users, event->users, event->num_users * sizeof(*entry->users));
        entry->num_users = event->num_users;
    }
    *newest = live->recent_at + 1;
    live->recent_at = (live->recent_at + 1) % RECENT_MAX;
}

void recent_free(struct live *live)
{
    struct recent_table *table = live->recent;
    size_t i;
    for (i = 0; table != NULL && i < RECENT_MAX; ++i)
        free(table->entries[i].users);
    free(table);
    live->recent = NULL;
}
