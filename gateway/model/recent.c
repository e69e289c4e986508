/*
 * One change is told once by each session that sees it, and the sessions lag behind each other. What they tell of one object (a leg,
 * a property of a call or of a place) are therefore copies of one log, each in its own order: they are merged by position.
 *
 * The history of an object is that log, the latest of it; each teller stands somewhere in it. What he tells is looked for from there on.
 *
 *   it is there        a copy: he moves behind it; what he passed over, he has not been told, and others have
 *   it is not, and he  had told all: it is the newest
 *   it is not, and     others are ahead of him: only what is newer than their last word is news, by its time or, within one
 *                      millisecond, by following upon that word; anything else is late, and over already
 *
 * So times need not differ, nor be the same for all sessions: they only tell the same change from one like it that came much later.
 *
 * Two kinds of entry are known by the state alone. A newcomer to a call is introduced to legs that are there already, as if they
 * began now; and a read may find a state before any session tells of it.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/model/live.h"

#define TIME_SKEW_MS 1000
#define READ_SKEW_MS 3600000 /* beyond that a read's times have another base */
#define HISTORY_MAX  32      /* changes of one object */
#define NOWHERE      SIZE_MAX

struct entry {
    uint64_t hash, state;
    int64_t time_ms; /* the contact centre's */
    int by_state;    /* an introduction, or read */
    int read;        /* and nobody has been told */
    uint32_t *users; /* who were told */
    size_t num_users;
};

struct teller {
    uint32_t user;
    size_t at; /* the entries before that are behind him */
    int64_t time_ms;
    uint64_t place;
};

struct history {
    UT_hash_handle hh;
    uint64_t object;
    struct entry *entries;
    struct teller *tellers;
    size_t length, num_tellers;
};

static void entry_release(struct entry *entry)
{
    free(entry->users);
}

static void history_free(struct live *live, struct history *history)
{
    size_t i;
    HASH_DELETE(hh, live->histories, history);
    for (i = 0; i < history->length; ++i)
        entry_release(&history->entries[i]);
    free(history->entries);
    free(history->tellers);
    free(history);
}

void recent_free(struct live *live)
{
    struct history *history, *next;
    HASH_ITER(hh, live->histories, history, next)
    {
        history_free(live, history);
    }
}

static struct history *find_history(const struct live *live, uint64_t object)
{
    struct history *history;
    HASH_FIND(hh, live->histories, &object, sizeof(object), history);
    return history;
}

/* In the order of their last change: the first is the one to go. */
static struct history *history_to_change(struct live *live, uint64_t object)
{
    struct history *history = find_history(live, object);

    if (history != NULL) {
        HASH_DELETE(hh, live->histories, history);
    } else {
        if (HASH_COUNT(live->histories) >= RECENT_MAX)
            history_free(live, live->histories);
        if ((history = calloc(1, sizeof(*history))) == NULL)
            abort();
        history->object = object;
    }
    HASH_ADD(hh, live->histories, object, sizeof(history->object), history);
    return history;
}

static struct teller *teller_of(struct history *history, uint32_t user)
{
    struct teller *more;
    size_t i;

    for (i = 0; i < history->num_tellers; ++i)
        if (history->tellers[i].user == user)
            return &history->tellers[i];
    more = reallocarray(history->tellers, history->num_tellers + 1, sizeof(*more));
    if (more == NULL)
        abort();
    history->tellers = more;
    more[history->num_tellers] = (struct teller){.user = user};
    return &more[history->num_tellers++];
}

/* ---- is it the same ---- */

static int is_exactly(const struct entry *entry, const struct change *change)
{
    return entry->hash == change->hash && entry->time_ms == change->time_ms;
}

static int is_near(const struct entry *entry, const struct change *change)
{
    int64_t skew = entry->time_ms - change->time_ms;
    return skew >= -TIME_SKEW_MS && skew <= TIME_SKEW_MS;
}

/* The newest word stands until there is another: whoever is told it much later has come to the object since. */
static int is_same(const struct history *history, size_t at, const struct change *change)
{
    const struct entry *entry = &history->entries[at];
    int by_state = change->state != 0 && (entry->by_state || change->introduces);

    if (entry->hash != change->hash && !(by_state && entry->state == change->state))
        return 0;
    return is_near(entry, change) ||
           (at + 1 == history->length && (by_state || change->previous == 0));
}

static size_t find(const struct history *history, size_t from, const struct change *change)
{
    size_t i;
    for (i = from; i < history->length; ++i)
        if (is_exactly(&history->entries[i], change))
            return i;
    for (i = from; i < history->length; ++i)
        if (is_same(history, i, change))
            return i;
    return NOWHERE;
}

/* ---- what is told ---- */

static int follows(const struct history *history, const struct change *change)
{
    return change->previous != 0 && history->entries[history->length - 1].state == change->previous;
}

static int was_told_before(const struct history *history, const struct teller *teller,
                           const struct change *change)
{
    size_t i;
    for (i = 0; i < teller->at; ++i)
        if (is_exactly(&history->entries[i], change))
            return 1;
    return 0;
}

/* Of whom had told all. */
static enum telling next_word(const struct history *history, struct teller *teller,
                              const struct change *change)
{
    int backwards = change->time_ms != 0 && change->time_ms < teller->time_ms;

    if (change->previous != 0 && !follows(history, change) &&
        was_told_before(history, teller, change))
        return TELLING_REPEATED;
    teller->time_ms = change->time_ms; /* a clock that was set back is believed, the next time */
    return backwards ? TELLING_BACKWARDS : TELLING_NEWS;
}

/* Of whom others are ahead. */
static enum telling word_of_laggard(const struct history *history, const struct change *change)
{
    const struct entry *last = &history->entries[history->length - 1];
    int64_t since = change->time_ms - last->time_ms;

    if (last->by_state && (last->time_ms == 0 || since > READ_SKEW_MS || since < -READ_SKEW_MS))
        return TELLING_NEWS;
    if (since == 0)
        return follows(history, change) || change->introduces ? TELLING_NEWS : TELLING_LATE;
    return since > 0 ? TELLING_NEWS : TELLING_LATE;
}

static enum telling found_at(const struct history *history, struct teller *teller, size_t at,
                             const struct change *change, struct recent *recent)
{
    const struct entry *entry = &history->entries[at];
    int was_behind = at < teller->at;

    recent->users = entry->users;
    recent->num_users = entry->num_users;
    recent->is_newest = at + 1 == history->length;
    recent->was_read = entry->read;
    if (!was_behind)
        teller->at = at + 1;
    teller->time_ms = change->time_ms;
    teller->place = change->place;
    if (change->introduces && (was_behind || entry->hash != change->hash))
        return TELLING_INTRODUCES;
    return entry->read && recent->is_newest ? TELLING_NEWS : TELLING_COPY;
}

enum telling recent_check(struct live *live, const struct change *change, struct recent *recent)
{
    struct history *history = find_history(live, change->object);
    struct teller *teller;
    enum telling telling;
    size_t at;

    *recent = (struct recent){0};
    if (history == NULL)
        return TELLING_NEWS;
    teller = teller_of(history, change->user);
    if (!change->introduces && teller->at > 0 &&
        is_exactly(&history->entries[teller->at - 1], change))
        return teller->place == change->place ? TELLING_REPEATED : TELLING_LATE;
    at = find(history, teller->at > 0 && change->introduces ? teller->at - 1 : teller->at, change);
    if (at != NOWHERE)
        return found_at(history, teller, at, change, recent);
    recent->had_all = teller->at == history->length;
    telling =
        recent->had_all ? next_word(history, teller, change) : word_of_laggard(history, change);
    return change->introduces && telling != TELLING_NEWS ? TELLING_INTRODUCES : telling;
}

int recent_has_user(const struct recent *recent, uint32_t user)
{
    size_t i;
    for (i = 0; i < recent->num_users; ++i)
        if (recent->users[i] == user)
            return 1;
    return 0;
}

/* ---- what was told, or read ---- */

static void drop_oldest(struct history *history)
{
    size_t i;

    entry_release(&history->entries[0]);
    memmove(history->entries, history->entries + 1, --history->length * sizeof(struct entry));
    for (i = 0; i < history->num_tellers; ++i)
        if (history->tellers[i].at > 0)
            --history->tellers[i].at;
}

/* The place of the newest: what only a read had found gives it up to whoever tells it. */
static struct entry *place_for(struct history *history, uint64_t state)
{
    struct entry *last = history->length > 0 ? &history->entries[history->length - 1] : NULL;

    if (last != NULL && last->read && last->state == state) {
        entry_release(last);
        return last;
    }
    if (history->length == HISTORY_MAX)
        drop_oldest(history);
    history->entries =
        reallocarray(history->entries, history->length + 1, sizeof(*history->entries));
    if (history->entries == NULL)
        abort();
    return &history->entries[history->length++];
}

static void set_users(struct entry *entry, const struct pending_event *event)
{
    if (event == NULL || event->num_users == 0 ||
        (entry->users = calloc(event->num_users, sizeof(*entry->users))) == NULL)
        return;
    memcpy(entry->users, event->users, event->num_users * sizeof(*entry->users));
    entry->num_users = event->num_users;
}

void recent_add(struct live *live, const struct change *change, const struct pending_event *event)
{
    struct history *history = history_to_change(live, change->object);
    struct teller *teller = teller_of(history, change->user);
    struct entry *entry = place_for(history, change->state);

    *entry = (struct entry){.hash = change->hash,
                            .state = change->state,
                            .time_ms = change->time_ms,
                            .by_state = change->introduces};
    set_users(entry, event);
    *teller = (struct teller){change->user, history->length, change->time_ms, change->place};
}

void recent_read(struct live *live, uint64_t object, uint64_t state, int64_t time_ms,
                 const struct pending_event *event)
{
    struct history *history = history_to_change(live, object);
    struct entry *entry = place_for(history, state);

    *entry =
        (struct entry){.state = state, .time_ms = time_ms, .by_state = 1, .read = event == NULL};
    set_users(entry, event);
}
