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
 * Times need not differ. Nor need they be the same for all sessions: he who stands at a place for sure tells what comes next, if it is
 * alike. Otherwise it is only the time that tells a change from one like it; about the same will do as long as the sessions have not
 * been seen to tell the very same, as they do where the contact centre tells when it happened and not when it was told.
 *
 * Two kinds of entry are known by the state alone. A newcomer to a call is introduced to legs that are there already, as if they
 * began now; and a read may find a state before any session tells of it.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/model/live.h"

#define TIME_SKEW_MS  1000
#define TELLING_MS    2
#define READ_SKEW_MS  3600000 /* beyond that a read's times have another base */
#define AGREEMENT_MAX 64      /* copies of the very same time */
#define AGREEMENT_MIN 16
#define DISAGREED     32 /* so many does one of another time outweigh */
#define HISTORY_MAX   32 /* changes of one object */
#define NOWHERE       SIZE_MAX

struct entry {
    uint64_t hash, state;
    int64_t time_ms; /* the contact centre's */
    int by_state;    /* an introduction, or read */
    int found;       /* by a read */
    int read;        /* ... and nobody has been told */
    int jumps; /* there may be more between it and the one before: who told it had not told that */
    uint32_t *users; /* who were told */
    size_t num_users;
};

struct teller {
    uint32_t user;
    size_t at;   /* the entries before that are behind him */
    int is_sure; /* ... and the last of them is what he told last */
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

static int is_alike(const struct entry *entry, const struct change *change)
{
    return entry->hash == change->hash || (change->state != 0 && entry->state == change->state &&
                                           (entry->by_state || change->introduces));
}

static int has_other_base(const struct entry *entry, const struct change *change)
{
    int64_t skew = entry->time_ms - change->time_ms;
    return entry->by_state && (entry->time_ms == 0 || skew > READ_SKEW_MS || skew < -READ_SKEW_MS);
}

/* The newest word stands until there is another: whoever is told it much later has come to the object since. */
static int still_stands(const struct history *history, size_t at, const struct change *change)
{
    return at + 1 == history->length && (change->introduces || change->previous == 0 ||
                                         has_other_base(&history->entries[at], change));
}

/* The very next after what he told last, which was surely that: then the order says so, whatever the times. */
static int is_next(const struct history *history, const struct teller *teller, size_t at)
{
    const struct entry *entry = &history->entries[at];
    return at == teller->at && (at == 0 || teller->is_sure) && !entry->by_state && !entry->jumps;
}

/* At about that time, and not before what came before it. */
static int is_about_then(const struct history *history, size_t at, const struct change *change)
{
    const struct entry *entry = &history->entries[at];
    int64_t since = change->time_ms - entry->time_ms;

    return since <= TIME_SKEW_MS && since >= (entry->by_state ? 0 : -TIME_SKEW_MS) &&
           (at == 0 || change->time_ms >= history->entries[at - 1].time_ms);
}

/* Where sessions are told the same times, he who may be a newcomer must be told so, too; but for what telling one by one takes. */
static int is_near(const struct live *live, const struct entry *entry, const struct change *change)
{
    int64_t since = change->time_ms - entry->time_ms;
    int64_t skew =
        change->introduces && live->agreement >= AGREEMENT_MIN ? TELLING_MS : TIME_SKEW_MS;
    return since <= skew && since >= -skew;
}

static size_t find(const struct live *live, const struct history *history,
                   const struct teller *teller, size_t from, const struct change *change)
{
    size_t i;

    for (i = from; i < history->length; ++i)
        if (history->entries[i].time_ms == change->time_ms &&
            is_alike(&history->entries[i], change))
            return i;
    for (i = from; i < history->length; ++i)
        if (is_alike(&history->entries[i], change) &&
            (still_stands(history, i, change) ||
             (is_next(history, teller, i) && is_near(live, &history->entries[i], change)) ||
             (live->agreement < AGREEMENT_MIN && is_about_then(history, i, change))))
            return i;
    return NOWHERE;
}

/* Do the sessions tell the same times? Those say so whose place is sure. */
static void note_agreement(struct live *live, int is_sure, int same_time)
{
    if (same_time)
        live->agreement += live->agreement < AGREEMENT_MAX;
    else if (is_sure)
        live->agreement = live->agreement > DISAGREED ? live->agreement - DISAGREED : 0;
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

    if (has_other_base(last, change))
        return TELLING_NEWS;
    if (since == 0)
        return follows(history, change) || change->introduces ? TELLING_NEWS : TELLING_LATE;
    return since > 0 ? TELLING_NEWS : TELLING_LATE;
}

static void set_recent(struct recent *recent, const struct history *history, size_t at)
{
    recent->users = history->entries[at].users;
    recent->num_users = history->entries[at].num_users;
    recent->is_newest = at + 1 == history->length;
}

static enum telling found_at(struct live *live, const struct history *history,
                             struct teller *teller, size_t at, const struct change *change,
                             struct recent *recent)
{
    const struct entry *entry = &history->entries[at];
    int was_behind = at < teller->at;

    set_recent(recent, history, at);
    recent->was_found = entry->found;
    recent->was_read = entry->read;
    if (!change->introduces && !entry->by_state)
        note_agreement(live, is_next(history, teller, at), entry->time_ms == change->time_ms);
    teller->is_sure =
        entry->hash == change->hash && (!change->introduces || entry->time_ms == change->time_ms);
    if (!was_behind)
        teller->at = at + 1;
    teller->time_ms = change->time_ms;
    teller->place = change->place;
    if (change->introduces &&
        (was_behind || entry->hash != change->hash || !is_near(live, entry, change)))
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
    if (!change->introduces && teller->is_sure &&
        is_exactly(&history->entries[teller->at - 1], change))
        return teller->place == change->place ? TELLING_REPEATED : TELLING_LATE;
    at = find(live, history, teller, teller->at - (teller->at > 0 && change->introduces), change);
    if (at != NOWHERE)
        return found_at(live, history, teller, at, change, recent);
    set_recent(recent, history, history->length - 1);
    recent->had_all = teller->at == history->length;
    teller->is_sure = 0;
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
    for (i = 0; i < history->num_tellers; ++i) {
        struct teller *teller = &history->tellers[i];
        teller->at -= teller->at > 0;
        teller->is_sure &= teller->at > 0;
    }
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

/* `more`: one more; 0: none. */
static void set_users(struct entry *entry, const uint32_t *users, size_t num_users, uint32_t more)
{
    if (num_users + (more != 0) == 0 ||
        (entry->users = calloc(num_users + 1, sizeof(*entry->users))) == NULL)
        return;
    if (num_users > 0)
        memcpy(entry->users, users, num_users * sizeof(*users));
    entry->num_users = num_users;
    if (more != 0)
        entry->users[entry->num_users++] = more;
}

static struct entry *append(struct live *live, const struct change *change)
{
    struct history *history = history_to_change(live, change->object);
    struct teller *teller = teller_of(history, change->user);
    int jumps = teller->at < history->length;
    struct entry *entry = place_for(history, change->state);

    *entry = (struct entry){.hash = change->hash,
                            .state = change->state,
                            .time_ms = change->time_ms,
                            .by_state = change->introduces,
                            .jumps = jumps};
    *teller = (struct teller){change->user, history->length, 1, change->time_ms, change->place};
    return entry;
}

void recent_add(struct live *live, const struct change *change, const struct pending_event *event)
{
    set_users(append(live, change), event->users, event->num_users, 0);
}

void recent_pass(struct live *live, const struct change *change)
{
    struct entry *entry = append(live, change);
    if (entry > find_history(live, change->object)->entries)
        set_users(entry, entry[-1].users, entry[-1].num_users, change->user);
}

void recent_read(struct live *live, uint64_t object, uint64_t state, int64_t time_ms,
                 const struct pending_event *event)
{
    struct history *history = history_to_change(live, object);
    struct entry *entry = place_for(history, state);

    *entry = (struct entry){
        .state = state, .time_ms = time_ms, .by_state = 1, .found = 1, .read = event == NULL};
    if (event != NULL)
        set_users(entry, event->users, event->num_users, 0);
}
