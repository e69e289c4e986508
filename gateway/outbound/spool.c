#include "gateway/outbound/spool.h"

#include <stdlib.h>
#include <string.h>

struct spool *spool_new(void)
{
    struct spool *spool = calloc(1, sizeof(*spool));

    if (spool == NULL)
        abort();
    atomic_init(&spool->references, 1);
    return spool;
}

struct spool *spool_ref(struct spool *spool)
{
    atomic_fetch_add(&spool->references, 1);
    return spool;
}

void spool_unref(struct spool **in)
{
    struct spool *spool = *in;
    size_t i;

    *in = NULL;
    if (spool == NULL || atomic_fetch_sub(&spool->references, 1) > 1)
        return;
    for (i = 0; i < spool->num_pages; ++i) {
        explicit_bzero(spool->pages[i].bytes, spool->pages[i].length);
        free(spool->pages[i].bytes);
    }
    free(spool->pages);
    free(spool);
}

static struct spool_page *add_page(struct spool *spool)
{
    if (spool->num_pages == spool->capacity) {
        size_t capacity = spool->capacity > 0 ? spool->capacity * 2 : 16;
        struct spool_page *pages = reallocarray(spool->pages, capacity, sizeof(*pages));
        if (pages == NULL)
            abort();
        spool->pages = pages;
        spool->capacity = capacity;
    }
    spool->pages[spool->num_pages] = (struct spool_page){NULL, 0};
    return &spool->pages[spool->num_pages++];
}

struct writing {
    char *at;
    size_t length;
};

static int count(const char *bytes, size_t length, void *data)
{
    (void)bytes;
    ((struct writing *)data)->length += length;
    return 0;
}

static int copy(const char *bytes, size_t length, void *data)
{
    struct writing *writing = data;
    memcpy(writing->at, bytes, length);
    writing->at += length;
    return 0;
}

/* Twice: to know how long it is, and to write it where it stays. A buffer that grows would leave copies behind. */
size_t spool_add(struct spool *spool, const json_t *contacts, size_t most)
{
    size_t number = json_array_size(contacts) < most ? json_array_size(contacts) : most, i;
    struct writing writing = {NULL, number};
    struct spool_page *page;

    if (number == 0)
        return 0;
    for (i = 0; i < number; ++i)
        json_dump_callback(json_array_get(contacts, i), count, &writing, JSON_COMPACT);
    page = add_page(spool);
    page->length = writing.length;
    if ((page->bytes = writing.at = malloc(page->length)) == NULL)
        abort();
    for (i = 0; i < number; ++i) {
        json_dump_callback(json_array_get(contacts, i), copy, &writing, JSON_COMPACT);
        *writing.at++ = '\n';
    }
    spool->bytes += page->length;
    return number;
}
