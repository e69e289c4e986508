/* Which objects there are for somebody to see: pages of ids out of the index of owners. */
#include <stdlib.h>
#include <string.h>

#include "gateway/rest/reading.h"

static void add_id(struct page *page, const char *id, size_t length)
{
    if (page->count == page->capacity) {
        size_t capacity = page->capacity ? page->capacity * 2 : 128;
        struct id *ids = reallocarray(page->ids, capacity, sizeof(*ids));
        if (ids == NULL)
            abort();
        page->ids = ids;
        page->capacity = capacity;
    }
    page->ids[page->count].length = (uint32_t)length;
    memcpy(page->ids[page->count++].bytes, id, length);
}

static int on_id(void *data, const char *id, size_t length)
{
    struct page *page = data;
    if (length > CG_ID_BYTES_MAX)
        return 0;
    /* everybody's index may hold users who are no longer configured */
    if (page->viewpoint.access->every_user && page->viewpoint.only == NULL &&
        !viewpoint_sees(&page->viewpoint, page->kind, id, length, NULL, NULL))
        return 0;
    add_id(page, id, length);
    return page->count >= page->wanted;
}

static int by_bytes(const void *a, const void *b)
{
    const struct id *x = a, *y = b;
    size_t shorter = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->bytes, y->bytes, shorter);
    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

static void sort_unique(struct page *page)
{
    size_t i, kept = 0;
    if (page->count == 0)
        return;
    qsort(page->ids, page->count, sizeof(*page->ids), by_bytes);
    for (i = 0; i < page->count; ++i)
        if (kept == 0 || by_bytes(&page->ids[kept - 1], &page->ids[i]) != 0)
            page->ids[kept++] = page->ids[i];
    page->count = kept < page->wanted ? kept : page->wanted;
}

/* Users are listed from the token, the rest from the index, user by user. */
void page_collect(struct page *page, const char *after, size_t after_length)
{
    const struct viewpoint *viewpoint = &page->viewpoint;
    const struct access *access = viewpoint->access;
    const struct access_user *users = viewpoint->only != NULL ? viewpoint->only : access->users;
    size_t num_users = viewpoint->only != NULL ? 1 : access->num_users, i;
    unsigned wanted = page->wanted;

    if (page->kind == RECORD_USER) {
        for (i = 0; i < num_users; ++i)
            if (after == NULL || strcmp(users[i].name, after) > 0)
                add_id(page, users[i].name, strlen(users[i].name));
    } else if (access->every_user && viewpoint->only == NULL) {
        store_walk(viewpoint->reader, page->kind, 0, after, after_length, on_id, page);
        return;
    } else {
        for (i = 0; i < num_users; ++i) {
            page->wanted += (unsigned)page->count; /* each user may fill the page alone */
            store_walk(viewpoint->reader, page->kind, users[i].number, after, after_length, on_id,
                       page);
            page->wanted = wanted;
            sort_unique(page);
        }
    }
    sort_unique(page);
}

void page_release(struct page *page)
{
    free(page->ids);
    page->ids = NULL;
    page->count = page->capacity = 0;
}
