#include "map.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"

struct map_entry {
    struct map_entry *next;
    uint64_t hash;
    const char *key;
    void *value;
};

/* FNV-1a: keys are our own short names, so no defence against chosen keys is needed. */
static uint64_t hash_of(const char *key)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * 0x100000001b3u;
    return hash;
}

static struct map_entry **find(const struct map *m, const char *key, uint64_t hash)
{
    struct map_entry **link = &m->buckets[hash & (m->bucket_count - 1)];
    while (*link != NULL && ((*link)->hash != hash || strcmp((*link)->key, key) != 0))
        link = &(*link)->next;
    return link;
}

static void grow(struct map *m)
{
    struct map bigger = {.bucket_count = m->bucket_count ? m->bucket_count * 2 : 64};
    bigger.buckets = mem_new(bigger.bucket_count, sizeof(*bigger.buckets));
    bigger.count = m->count;
    for (size_t i = 0; i < m->bucket_count; i++) {
        struct map_entry *next;
        for (struct map_entry *e = m->buckets[i]; e != NULL; e = next) {
            struct map_entry **head = &bigger.buckets[e->hash & (bigger.bucket_count - 1)];
            next = e->next;
            e->next = *head;
            *head = e;
        }
    }
    free(m->buckets);
    *m = bigger;
}

void map_put(struct map *m, const char *key, void *value)
{
    if (m->count >= m->bucket_count)
        grow(m);
    uint64_t hash = hash_of(key);
    struct map_entry **link = find(m, key, hash);
    if (*link == NULL) {
        *link = mem_new(1, sizeof(**link));
        (*link)->hash = hash;
        m->count++;
    }
    (*link)->key = key;
    (*link)->value = value;
}

void *map_get(const struct map *m, const char *key)
{
    if (m->bucket_count == 0)
        return NULL;
    struct map_entry *e = *find(m, key, hash_of(key));
    return e != NULL ? e->value : NULL;
}

void map_remove(struct map *m, const char *key)
{
    if (m->bucket_count == 0)
        return;
    struct map_entry **link = find(m, key, hash_of(key));
    struct map_entry *e = *link;
    if (e == NULL)
        return;
    *link = e->next;
    m->count--;
    free(e);
}

void map_free(struct map *m)
{
    for (size_t i = 0; i < m->bucket_count; i++) {
        struct map_entry *next;
        for (struct map_entry *e = m->buckets[i]; e != NULL; e = next) {
            next = e->next;
            free(e);
        }
    }
    free(m->buckets);
    *m = (struct map){0};
}

void map_free_keys(struct map *m)
{
    for (size_t i = 0; i < m->bucket_count; i++) {
        for (struct map_entry *e = m->buckets[i]; e != NULL; e = e->next)
            free((void *)(uintptr_t)e->key);
    }
}

void map_each(const struct map *m, void (*visit)(const char *key, void *value))
{
    for (size_t i = 0; i < m->bucket_count; i++) {
        struct map_entry *next;
        for (struct map_entry *e = m->buckets[i]; e != NULL; e = next) {
            next = e->next; /* the value, and the key in it, may be freed by the visit */
            visit(e->key, e->value);
        }
    }
}
