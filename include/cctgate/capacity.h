/*
 * How near the contact centre is to the vendor's published limits of SOA-OI (DOMAIN section 7): agents that are logged in, and contacts in an
 * hour. Pure: the caller says what time it is.
 *
 * Contacts are counted in a sliding window of an hour, made of buckets; the bucket in which the hour began counts as a whole, so that the
 * figure is never too low, and too high by what one bucket holds at most. Times are of a clock that is not set: the caller's monotonic
 * one. What is written down says the steady clock's time (clock.h) instead, for the next process.
 */
#ifndef CCTGATE_CAPACITY_H
#define CCTGATE_CAPACITY_H

#include <stddef.h>
#include <stdint.h>

#define CAPACITY_WINDOW_MS 3600000
#define CAPACITY_BUCKET_MS 20000
#define CAPACITY_BUCKETS   (CAPACITY_WINDOW_MS / CAPACITY_BUCKET_MS + 1)

struct capacity {
    int64_t newest;                     /* number of the newest bucket: its time in buckets */
    uint32_t buckets[CAPACITY_BUCKETS]; /* by number modulo CAPACITY_BUCKETS */
    uint64_t contacts;                  /* in all of them */
};

void capacity_init(struct capacity *capacity, int64_t now_ms);
/* A contact has appeared. A time before the newest one counts as that. */
void capacity_count(struct capacity *capacity, int64_t now_ms);
uint64_t capacity_contacts(struct capacity *capacity, int64_t now_ms);
/* Until fewer than `limit` contacts are in the window, if none comes; 0: that is so now. */
int64_t capacity_room_after_ms(struct capacity *capacity, uint64_t limit, int64_t now_ms);

/* What is written down: bytes of this size at most. capacity_load: CG_OK, CG_E_INVALID with `capacity` as it was. */
#define CAPACITY_SAVED_BYTES (16 + 4 * CAPACITY_BUCKETS)
size_t capacity_save(struct capacity *capacity, void *bytes, int64_t now_ms, int64_t unix_ms);
int capacity_load(struct capacity *capacity, const void *bytes, size_t length, int64_t now_ms,
                  int64_t unix_ms);

/* ---- the limits ---- */

struct capacity_limits {
    const char *name; /* "SIP", "CS1K" */
    unsigned agents, contacts_per_hour;
};
/*
 * The vendor's by name (SIP, the lower one, for any other and for NULL), or what the site says of its own, where that is lower; 0: it says
 * nothing.
 */
struct capacity_limits capacity_limits(const char *name, unsigned max_agents,
                                       unsigned max_contacts_per_hour);

enum capacity_level { CAPACITY_OK, CAPACITY_WARNING, CAPACITY_EXHAUSTED };
extern const char *const capacity_level_names[];

/* Where the warning begins: within 15% of the limit. */
unsigned capacity_warning_at(unsigned limit);
enum capacity_level capacity_level(uint64_t value, unsigned limit);
/* The level to announce after `before`: up at once, down only when the value is a hundredth of the limit below the line. */
enum capacity_level capacity_next_level(enum capacity_level before, uint64_t value, unsigned limit);
/* In hundredths, rounded down: 100 is said of no value below the limit. */
unsigned capacity_percent(uint64_t value, unsigned limit);

/* May one more agent begin, with `agents` logged in or logging in and `contacts` in the hour? */
int capacity_admits(const struct capacity_limits *limits, uint64_t agents, uint64_t contacts);

#endif
