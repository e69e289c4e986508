/*
 * The contacts of a campaign, 200 at a time, as one list: each once, in ascending order of their ids. When it is at its end follows from
 * what the pages hold (conf/contract/outbound/NOTES.md, "Page after the last contact"). Pure.
 */
#ifndef CCTGATE_OUTBOUND_LISTING_H
#define CCTGATE_OUTBOUND_LISTING_H

#include <stdint.h>

#include <jansson.h>

#define LISTING_PAGE 200 /* operations.md, Get200CampaignContacts */

struct listing {
    int64_t after; /* LastContactID of the next call */
    int64_t
        total; /* NumberOfContacts when the list began; -1: not known, or it did not begin at the first contact */
    uint64_t seen;
    int ended;
};

/* Behind the contact `after`; 0: from the first. `total` as the campaign says, -1: not known. */
void listing_begin(struct listing *listing, int64_t after, int64_t total);
/*
 * A page has come, in the form of outbound_shape.h; NULL: no list was in the answer. What is new of it, in order: a new reference. The
 * list is at its end with a page that is absent, or empty, or has no contact that is new, and with one that is not full when as many
 * have been seen as the campaign has: one that is full may have more behind it that were added meanwhile.
 */
json_t *listing_take(struct listing *listing, const json_t *page);
/* The contact centre refuses to go on: 1, it need not, for all have been seen. */
int listing_is_whole(const struct listing *listing);

#endif
