/*
 * Has this change been told already? One change is notified once per session that sees it, and a faulty delivery may repeat it. The last
 * RECENT_MAX changes are remembered by a hash of what changed and by the contact centre's time, with how often each session has told
 * it. The n-th telling by one session is the n-th by any other: once judged, by whichever session was first, it is not judged again, since
 * the model may be ahead of the session that lags. Where sessions are told different times of one change, the oldest entry of
 * about that time that the session has not told yet is meant.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/model/live.h"

#define COPY_AGE_MS  60000
#define TIME_SKEW_MS 1000

struct recent {
    uint64_t hash, place;
    int64_t time_ms;    /* the contact centre's */
    int64_t arrived_ms; /* ours */
    struct teller {
        uint32_t user;
        unsigned times;
    } * tellers;
    size_t num_tellers;
    unsigned judged; /* tellings that were found to be a change, or not */
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

static struct teller *teller_of(const struct recent *entry, uint32_t user)
{
    size_t i;
    for (i = 0; i < entry->num_tellers; ++i)
        if (entry->tellers[i].user == user)
            return &entry->tellers[i];
    return NULL;
}

static struct teller *add_teller(struct recent *entry, uint32_t user)
{
    struct teller *more =
        reallocarray(entry->tellers, entry->num_tellers + 1, sizeof(*entry->tellers));
    if (more == NULL)
        abort();
    entry->tellers = more;
    more[entry->num_tellers] = (struct teller){user, 0};
    return &more[entry->num_tellers++];
}

static int has_told(const struct recent *entry, uint32_t user)
{
    return teller_of(entry, user) != NULL;
}

/* The next older entry of the same bucket that is still there, from `at` on: 1 + its index; 0: none. */
static size_t living(const struct recent_table *table, size_t at, uint64_t hash)
{
    const struct recent *entry = at != 0 ? &table->entries[at - 1] : NULL;
    return entry != NULL && entry->hash % BUCKETS == hash % BUCKETS &&
                   clock_monotonic_ms() - entry->arrived_ms <= COPY_AGE_MS
               ? at
               : 0;
}

static struct recent *same_time(struct recent_table *table, const struct change *change)
{
    size_t at = living(table, table->newest[change->hash % BUCKETS], change->hash), steps = 0;
    for (; at != 0 && steps < RECENT_MAX;
         ++steps, at = living(table, table->entries[at - 1].older, change->hash))
        if (table->entries[at - 1].hash == change->hash &&
            table->entries[at - 1].time_ms == change->time_ms)
            return &table->entries[at - 1];
    return NULL;
}

static struct recent *about_that_time(struct recent_table *table, const struct change *change)
{
    size_t at = living(table, table->newest[change->hash % BUCKETS], change->hash), steps = 0;
    struct recent *found = NULL;

    for (; at != 0 && steps < RECENT_MAX;
         ++steps, at = living(table, table->entries[at - 1].older, change->hash)) {
        struct recent *entry = &table->entries[at - 1];
        int64_t skew = entry->time_ms - change->time_ms;
        if (entry->hash != change->hash)
            continue;
        if (has_told(entry, change->user) || skew > TIME_SKEW_MS || skew < -TIME_SKEW_MS)
            break;
        found = entry;
    }
    return found;
}

enum copy recent_check(struct live *live, const struct change *change, struct recent **found)
{
    struct recent_table *table = table_of(live);
    struct recent *entry = same_time(table, change);
    struct teller *teller;

    if (entry == NULL && (entry = about_that_time(table, change)) == NULL)
        return COPY_NEW;
    *found = entry;
    if ((teller = teller_of(entry, change->user)) == NULL)
        teller = add_teller(entry, change->user);
    if (++teller->times <= entry->judged)
        return teller->times == 1 ? COPY_OF_ANOTHER_SESSION : COPY_KNOWN;
    ++entry->judged;
    return entry->place == change->place ? COPY_DUPLICATE : COPY_KNOWN;
}

const uint32_t *recent_users(const struct recent *entry, size_t *num_users)
{
    *num_users = entry->num_users;
    return entry->users;
}

size_t recent_tellers(const struct recent *entry)
{
    return entry->num_tellers;
}

void recent_add(struct live *live, const struct change *change, const struct pending_event *event)
{
    struct recent_table *table = table_of(live);
    struct recent *entry = &table->entries[live->recent_at];
    size_t *newest = &table->newest[change->hash % BUCKETS];

    free(entry->users);
    free(entry->tellers);
    *entry = (struct recent){.hash = change->hash,
                             .place = change->place,
                             .time_ms = change->time_ms,
                             .arrived_ms = clock_monotonic_ms(),
                             .judged = 1,
                             .older = *newest};
    add_teller(entry, change->user)->times = 1;
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
    for (i = 0; table != NULL && i < RECENT_MAX; ++i) {
        free(table->entries[i].users);
        free(table->entries[i].tellers);
    }
    free(table);
    live->recent = NULL;
}
