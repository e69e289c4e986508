/*
 * Life of a read (front threads).
 *
 *   step       looks at the store and either answers or names the keys that it needs
 *   ask        sends a fetch of a key to the owner; the read sleeps until all that it asked for has come back, then steps again
 *   rounds     first whose objects they are (membership), then the records themselves: each is asked for at most once, so a
 *              read ends after at most three steps, whatever the upstream does
 *
 * A read belongs to its request, the fetches to their keys: when the client leaves, the ticket forgets the read, and the fetches go on.
 */
#ifndef CCTGATE_REST_READING_H
#define CCTGATE_REST_READING_H

#include <string.h>

#include "gateway/rest/rest.h"

struct reading;

struct ticket {
    struct reading *reading; /* NULL: the request is gone */
    struct front *front;
    size_t outstanding;
    int collapsed, forwarded;
    struct fetch_outcome *failure; /* the first one of this round */
    struct fetch_outcome *unkept;  /* one that brought what is not stored */
};

struct reading {
    struct request *request;
    struct ticket *ticket; /* NULL: nothing is outstanding */
    void (*step)(struct reading *reading);
    int members_asked, records_asked, guarded;
    int incomplete; /* a user's list is not known at all */
    int collapsed;  /* every fetch of the last round was under way already */
    enum freshness_reason reason;
    struct fetch_outcome *failure;
    struct fetch_outcome *unkept; /* has the body of what was asked for, which is not stored */
    int64_t now_ms;               /* steady, of this step */
    int live_lists;               /* every list that reading_members looked at is live */
    int64_t stale_since_ms; /* of the lists that reading_members looked at; 0: none is stale */
    h2o_timeout_entry_t timeout;
};

struct reading *reading_new(struct request *request, void (*step)(struct reading *));
void reading_ask(struct reading *reading, enum record_kind kind, const char *id, size_t id_length);
/* Asks for a refresh that nobody waits for; the same key at most once a second per front. */
void reading_refresh(struct reading *reading, enum record_kind kind, const char *id,
                     size_t id_length);

/* What the request may know of membership: which users' lists the answer rests on. Asks for those that are not fresh enough
 * (`strict`: to say that something is not there). 1: asked, wait; 0: all is known as far as it can be; then *unknown says whether a list is missing or lost. */
int reading_members(struct reading *reading, enum record_kind list, int strict, int *unknown);

/* What is asked for is not known to be the token's: the lists are read first, for it may only be that they are old; then it is a 404. */
void reading_absent(struct reading *reading, enum record_kind list);

/* Who looks: a request, or a client that outlives the request that it came with. */
struct viewpoint {
    struct store_reader *reader; /* between store_read_begin and store_read_end */
    const struct access *access;
    const struct access_user *only; /* one of the access's users; NULL: all of them */
};
struct viewpoint viewpoint_of(const struct request *request);

/* May the access see the object? Fills in its best source. */
int viewpoint_sees(const struct viewpoint *viewpoint, enum record_kind kind, const char *id,
                   size_t id_length, const struct record *record, struct freshness_source *source);
enum record_kind reading_owned_kind(enum record_kind kind);
/* How fresh the record (NULL: none) is under a configuration. */
struct freshness record_judge(const struct config *config,
                              const struct freshness_directives *directives,
                              const struct record *record, const struct freshness_source *source,
                              int64_t now_ms);
struct freshness reading_judge(const struct reading *reading, const struct record *record,
                               const struct freshness_source *source, int64_t now_ms);

/* ---- text that is built without printf: these run for every cache hit ---- */
static inline char *put_text(char *at, const char *text)
{
    size_t length = strlen(text); /* constant for a literal */
    memcpy(at, text, length);
    return at + length;
}
char *put_decimal(char *at, int64_t value);
char *put_hex(char *at, uint64_t value);

/* The body of a resource as GET gives it, with what it says of its freshness; at most body_length + CG_SYNC_BYTES_MAX bytes. Returns its end. */
#define CG_SYNC_BYTES_MAX 256
char *put_resource(char *at, enum record_kind kind, const struct record *record,
                   const struct freshness *f);
/* An id as a segment of a path, percent-escaped; at most three times as long. Returns its end. */
char *put_segment(char *at, const char *id, size_t length);

/* A page of ids in ascending order, each once, of what a viewpoint sees. */
struct id {
    uint32_t length;
    char bytes[CG_ID_BYTES_MAX];
};
struct page {
    struct id *ids; /* page_release frees */
    size_t count, capacity;
    struct viewpoint viewpoint;
    enum record_kind kind;
    unsigned wanted; /* how many at most */
};
void page_collect(struct page *page, const char *after, size_t after_length);
void page_release(struct page *page);

/* `,"sync":"...","staleSince":...}`: what closes a resource's stored body. Returns its end. At most 96 bytes. */
char *put_sync(char *at, const struct freshness *f, int empty);
/* seconds, rounded down, also below zero */
int64_t floor_seconds(int64_t ms);

#endif
