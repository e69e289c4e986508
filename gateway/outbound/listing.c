#include "gateway/outbound/listing.h"

#include <stdlib.h>

void listing_begin(struct listing *listing, int64_t after, int64_t total)
{
    *listing = (struct listing){.after = after, .total = after == 0 ? total : -1};
}

static int64_t id_of(const json_t *contact)
{
    return json_integer_value(json_object_get(contact, "contactId"));
}

static int by_id(const void *a, const void *b)
{
    int64_t x = id_of(*(json_t *const *)a), y = id_of(*(json_t *const *)b);
    return (x > y) - (x < y);
}

/* The server sorts, as far as is known. What it repeats is left out. */
static json_t *new_of(struct listing *listing, const json_t *page)
{
    size_t count = json_array_size(page), i;
    json_t **contacts = calloc(count + 1, sizeof(json_t *)), *fresh = json_array();

    if (contacts == NULL || fresh == NULL)
        abort();
    for (i = 0; i < count; ++i)
        contacts[i] = json_array_get(page, i);
    qsort(contacts, count, sizeof(json_t *), by_id);
    for (i = 0; i < count; ++i) {
        if (!json_is_object(contacts[i]) || id_of(contacts[i]) <= listing->after)
            continue; /* nil, or known */
        listing->after = id_of(contacts[i]);
        json_array_append(fresh, contacts[i]);
    }
    free(contacts);
    return fresh;
}

int listing_is_whole(const struct listing *listing)
{
    return listing->total >= 0 && listing->seen >= (uint64_t)listing->total;
}

json_t *listing_take(struct listing *listing, const json_t *page)
{
    json_t *fresh = new_of(listing, page);

    listing->seen += json_array_size(fresh);
    listing->ended = json_array_size(fresh) == 0 ||
                     (json_array_size(page) < LISTING_PAGE && listing_is_whole(listing));
    return fresh;
}
