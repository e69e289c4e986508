/*
 * A whole list of contacts as NDJSON, page by page, in memory: written by the owner, and then read by anybody. It is about people, so it is
 * wiped with its last reference and never on a disk.
 */
#ifndef CCTGATE_OUTBOUND_SPOOL_H
#define CCTGATE_OUTBOUND_SPOOL_H

#include <stdatomic.h>
#include <stddef.h>

#include <jansson.h>

struct spool_page {
    char *bytes;
    size_t length;
};
struct spool {
    atomic_int references;
    struct spool_page *pages;
    size_t num_pages, capacity, bytes;
};
struct spool *spool_new(void); /* one reference; aborts without memory, as do all of these */
struct spool *spool_ref(struct spool *spool);
void spool_unref(struct spool **spool);
/* Adds the contacts of a page, `most` of them at most. Nobody else has it yet. Returns how many. */
size_t spool_add(struct spool *spool, const json_t *contacts, size_t most);

#endif
