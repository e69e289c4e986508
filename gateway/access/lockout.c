#include "cctgate/lockout.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#define FORGET_MS_MIN (15 * 60 * 1000)
#define GROWTH        4

struct entry {
    UT_hash_handle hh; /* in the order of the last failures: the first is the oldest */
    unsigned failures;
    int64_t until_ms, failed_at_ms;
    char key[];
};

struct lockout {
    struct entry *entries;
    size_t max_entries;
};

struct lockout *lockout_new(size_t max_entries)
{
    struct lockout *lockout = calloc(1, sizeof(*lockout));
    if (lockout != NULL)
        lockout->max_entries = max_entries;
    return lockout;
}

static void forget(struct lockout *lockout, struct entry *entry)
{
    HASH_DEL(lockout->entries, entry);
    free(entry);
}

void lockout_free(struct lockout **in)
{
    struct lockout *lockout = *in;

    *in = NULL;
    if (lockout == NULL)
        return;
    while (lockout->entries != NULL)
        forget(lockout, lockout->entries);
    free(lockout);
}

static struct entry *find(const struct lockout *lockout, const char *key)
{
    struct entry *entry;
    HASH_FIND_STR(lockout->entries, key, entry);
    return entry;
}

int64_t lockout_wait_ms(const struct lockout *lockout, const char *key, int64_t now_ms)
{
    const struct entry *entry = find(lockout, key);
    return entry != NULL && entry->until_ms > now_ms ? entry->until_ms - now_ms : 0;
}

static int64_t penalty_ms(unsigned failures, const struct lockout_terms *terms)
{
    int64_t ms = terms->first_ms;
    unsigned i;

    if (failures < terms->after)
        return 0;
    for (i = terms->after; i < failures && ms < terms->max_ms; ++i)
        ms *= GROWTH;
    return ms < terms->max_ms ? ms : terms->max_ms;
}

/* The entry as the newest. */
static struct entry *touch(struct lockout *lockout, const char *key)
{
    struct entry *entry = find(lockout, key);
    size_t length = strlen(key);

    if (entry != NULL) {
        HASH_DEL(lockout->entries, entry);
    } else {
        if (HASH_COUNT(lockout->entries) >= lockout->max_entries)
            forget(lockout, lockout->entries);
        if ((entry = calloc(1, sizeof(*entry) + length + 1)) == NULL)
            abort();
        memcpy(entry->key, key, length + 1);
    }
    HASH_ADD_KEYPTR(hh, lockout->entries, entry->key, length, entry);
    return entry;
}

int64_t lockout_failed(struct lockout *lockout, const char *key, const struct lockout_terms *terms,
                       int64_t now_ms)
{
    struct entry *entry = touch(lockout, key);
    int64_t ms;

    if (entry->failures < UINT32_MAX)
        ++entry->failures;
    entry->failed_at_ms = now_ms;
    ms = penalty_ms(entry->failures, terms);
    entry->until_ms = now_ms + ms;
    return ms;
}

void lockout_succeeded(struct lockout *lockout, const char *key)
{
    struct entry *entry = find(lockout, key);
    if (entry != NULL)
        forget(lockout, entry);
}

void lockout_eased(struct lockout *lockout, const char *key)
{
    struct entry *entry = find(lockout, key);
    if (entry != NULL && entry->failures > 0)
        --entry->failures;
}

void lockout_sweep(struct lockout *lockout, const struct lockout_terms *terms, int64_t now_ms)
{
    int64_t age_ms = 2 * (int64_t)terms->max_ms;
    struct entry *entry, *next;

    if (age_ms < FORGET_MS_MIN)
        age_ms = FORGET_MS_MIN;
    HASH_ITER(hh, lockout->entries, entry, next)
    {
        if (now_ms - entry->failed_at_ms < age_ms)
            return;
        forget(lockout, entry);
    }
}

size_t lockout_count(const struct lockout *lockout)
{
    return HASH_COUNT(lockout->entries);
}
