#include "cctgate/capacity.h"

#include <string.h>

#include "cctgate/error.h"

#define SAVED_HEAD_BYTES 16 /* when, and how many milliseconds of the newest bucket had gone */

static const struct capacity_limits published[] = {{"SIP", 1000, 10000}, {"CS1K", 1500, 15000}};
const char *const capacity_level_names[] = {"ok", "warning", "exhausted"};

/* ---- the window ---- */

static int64_t number_at(int64_t ms)
{
    return ms / CAPACITY_BUCKET_MS - (ms % CAPACITY_BUCKET_MS < 0);
}

void capacity_init(struct capacity *capacity, int64_t now_ms)
{
    memset(capacity, 0, sizeof(*capacity));
    capacity->newest = number_at(now_ms);
}

static uint32_t *bucket(struct capacity *capacity, int64_t number)
{
    int64_t at = number % CAPACITY_BUCKETS;
    return &capacity->buckets[at < 0 ? at + CAPACITY_BUCKETS : at];
}

/* What is an hour old leaves. */
static void advance(struct capacity *capacity, int64_t now_ms)
{
    int64_t now = number_at(now_ms);

    if (now - capacity->newest >= CAPACITY_BUCKETS) {
        capacity_init(capacity, now_ms);
        return;
    }
    while (capacity->newest < now) {
        uint32_t *oldest = bucket(capacity, ++capacity->newest);
        capacity->contacts -= *oldest;
        *oldest = 0;
    }
}

void capacity_count(struct capacity *capacity, int64_t now_ms)
{
    uint32_t *newest;

    advance(capacity, now_ms);
    newest = bucket(capacity, capacity->newest);
    if (*newest == UINT32_MAX)
        return;
    ++*newest;
    ++capacity->contacts;
}

uint64_t capacity_contacts(struct capacity *capacity, int64_t now_ms)
{
    advance(capacity, now_ms);
    return capacity->contacts;
}

int64_t capacity_room_after_ms(struct capacity *capacity, uint64_t limit, int64_t now_ms)
{
    uint64_t left = capacity_contacts(capacity, now_ms);
    int64_t number = capacity->newest - CAPACITY_BUCKETS;

    if (left < limit)
        return 0;
    while (left >= limit && number < capacity->newest)
        left -= *bucket(capacity, ++number);
    return (number + CAPACITY_BUCKETS) * CAPACITY_BUCKET_MS - now_ms;
}

/* ---- written down: numbers little-endian, the oldest bucket first ---- */

static void put(uint8_t *to, uint64_t value, unsigned bytes)
{
    unsigned i;
    for (i = 0; i < bytes; ++i)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;
    unsigned i;
    for (i = 0; i < bytes; ++i)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

size_t capacity_save(struct capacity *capacity, void *bytes, int64_t now_ms, int64_t unix_ms)
{
    uint8_t *at = bytes;
    int64_t i;

    advance(capacity, now_ms);
    put(at, (uint64_t)unix_ms, 8);
    put(at + 8, (uint64_t)(now_ms - capacity->newest * CAPACITY_BUCKET_MS), 8);
    for (i = 0; i < CAPACITY_BUCKETS; ++i)
        put(at + SAVED_HEAD_BYTES + 4 * i,
            *bucket(capacity, capacity->newest - CAPACITY_BUCKETS + 1 + i), 4);
    return CAPACITY_SAVED_BYTES;
}

int capacity_load(struct capacity *capacity, const void *bytes, size_t length, int64_t now_ms,
                  int64_t unix_ms)
{
    const uint8_t *from = bytes;
    struct capacity loaded;
    int64_t saved_ms, into_ms, age_ms, first;
    int i;

    if (length != CAPACITY_SAVED_BYTES)
        return CG_E_INVALID;
    saved_ms = (int64_t)get(from, 8);
    into_ms = (int64_t)get(from + 8, 8);
    if (saved_ms < 0 || into_ms < 0 || into_ms >= CAPACITY_BUCKET_MS)
        return CG_E_INVALID;
    age_ms = unix_ms > saved_ms ? unix_ms - saved_ms : 0;
    if (age_ms > 2 * CAPACITY_WINDOW_MS)
        age_ms = 2 * CAPACITY_WINDOW_MS;
    /* on this clock the newest bucket is where its beginning falls, the later one of two */
    capacity_init(&loaded, now_ms - age_ms - into_ms + CAPACITY_BUCKET_MS - 1);
    first = loaded.newest - CAPACITY_BUCKETS + 1;
    for (i = 0; i < CAPACITY_BUCKETS; ++i) {
        *bucket(&loaded, first + i) = (uint32_t)get(from + SAVED_HEAD_BYTES + 4 * i, 4);
        loaded.contacts += *bucket(&loaded, first + i);
    }
    advance(&loaded, now_ms);
    *capacity = loaded;
    return CG_OK;
}

/* ---- the limits ---- */

static unsigned lower(unsigned limit, unsigned own)
{
    return own != 0 && own < limit ? own : limit;
}

struct capacity_limits capacity_limits(const char *name, unsigned max_agents,
                                       unsigned max_contacts_per_hour)
{
    struct capacity_limits limits = published[0];
    size_t i;

    for (i = 0; name != NULL && i < sizeof(published) / sizeof(published[0]); ++i)
        if (strcmp(published[i].name, name) == 0)
            limits = published[i];
    limits.agents = lower(limits.agents, max_agents);
    limits.contacts_per_hour = lower(limits.contacts_per_hour, max_contacts_per_hour);
    return limits;
}

unsigned capacity_warning_at(unsigned limit)
{
    return (unsigned)((uint64_t)limit * 85 / 100);
}

enum capacity_level capacity_level(uint64_t value, unsigned limit)
{
    if (value >= limit)
        return CAPACITY_EXHAUSTED;
    return value >= capacity_warning_at(limit) ? CAPACITY_WARNING : CAPACITY_OK;
}

enum capacity_level capacity_next_level(enum capacity_level before, uint64_t value, unsigned limit)
{
    enum capacity_level now = capacity_level(value, limit);
    enum capacity_level held = capacity_level(value + limit / 100, limit);

    if (now >= before)
        return now;
    return held < before ? held : before;
}

unsigned capacity_percent(uint64_t value, unsigned limit)
{
    return limit == 0 ? 100 : (unsigned)(value * 100 / limit);
}

int capacity_admits(const struct capacity_limits *limits, uint64_t agents, uint64_t contacts)
{
    return agents < limits->agents && contacts < limits->contacts_per_hour;
}
