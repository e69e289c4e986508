#include "gateway/contract/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"

#define ARENA_BLOCK_BYTES 65536
#define ARENA_ALIGNMENT   16
#define LIST_FIRST_LENGTH 8
#define MAP_FIRST_BUCKETS 16

struct arena_block {
    struct arena_block *next;
    size_t used, size;
};

/* The header's size, rounded up so that what follows is aligned. */
static size_t header_size(void)
{
    return (sizeof(struct arena_block) + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static struct arena_block *add_block(struct arena *arena, size_t size)
{
    struct arena_block *block = calloc(1, header_size() + size);
    if (block == NULL)
        return NULL;
    block->size = size;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    struct arena_block *block = arena->blocks;
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    if (size == 0)
        size = ARENA_ALIGNMENT;
    if (block == NULL || block->size - block->used < size)
        block = add_block(arena, size > ARENA_BLOCK_BYTES ? size : ARENA_BLOCK_BYTES);
    if (block == NULL)
        return NULL;
    void *memory = (char *)block + header_size() + block->used;
    block->used += size;
    return memory;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return arena_alloc(arena, bytes);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    if (length == SIZE_MAX)
        return NULL;
    char *copy = arena_alloc(arena, length + 1);
    if (copy != NULL)
        memcpy(copy, text, length);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_join(struct arena *arena, const char *a, const char *b, const char *c)
{
    size_t la = strlen(a), lb = strlen(b), lc = strlen(c);
    char *joined = arena_alloc(arena, la + lb + lc + 1);
    if (joined == NULL)
        return NULL;
    memcpy(joined, a, la);
    memcpy(joined + la, b, lb);
    memcpy(joined + la + lb, c, lc);
    return joined;
}

void arena_release(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
}

int list_push(struct arena *arena, struct list *list, void *item)
{
    if (list->length == list->capacity) {
        size_t capacity = list->capacity == 0 ? LIST_FIRST_LENGTH : list->capacity * 2;
        void **items = arena_array(arena, capacity, sizeof(*items));
        if (items == NULL)
            return CG_E_NOMEM;
        if (list->length != 0)
            memcpy(items, list->items, list->length * sizeof(*items));
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->length++] = item;
    return CG_OK;
}

/* FNV-1a over both strings with their NULs. */
static size_t hash_key(size_t kind, const char *a, const char *b)
{
    uint64_t hash = 14695981039346656037u ^ kind;
    const char *strings[] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        for (const char *p = strings[i]; *p != '\0'; p++)
            hash = (hash ^ (unsigned char)*p) * 1099511628211u;
        hash = (hash ^ 0xff) * 1099511628211u;
    }
    return (size_t)(hash ^ hash >> 32);
}

void *map_get(const struct map *map, size_t kind, const char *a, const char *b)
{
    if (map->num_buckets == 0)
        return NULL;
    struct map_entry *entry = map->buckets[hash_key(kind, a, b) % map->num_buckets];
    for (; entry != NULL; entry = entry->next) {
        if (entry->kind == kind && strcmp(entry->a, a) == 0 && strcmp(entry->b, b) == 0)
            return entry->value;
    }
    return NULL;
}

static int map_grow(struct arena *arena, struct map *map)
{
    size_t num_buckets = map->num_buckets == 0 ? MAP_FIRST_BUCKETS : map->num_buckets * 2;
    struct map_entry **buckets = arena_array(arena, num_buckets, sizeof(struct map_entry *));
    if (buckets == NULL)
        return CG_E_NOMEM;
    for (size_t i = 0; i < map->num_buckets; i++) {
        for (struct map_entry *entry = map->buckets[i], *next; entry != NULL; entry = next) {
            size_t at = hash_key(entry->kind, entry->a, entry->b) % num_buckets;
            next = entry->next;
            entry->next = buckets[at];
            buckets[at] = entry;
        }
    }
    map->buckets = buckets;
    map->num_buckets = num_buckets;
    return CG_OK;
}

int map_put(struct arena *arena, struct map *map, size_t kind, const char *a, const char *b,
            void *value)
{
    if (map_get(map, kind, a, b) != NULL)
        return CG_E_INVALID;
    if (map->num_entries >= map->num_buckets && map_grow(arena, map) != CG_OK)
        return CG_E_NOMEM;
    struct map_entry *entry = arena_alloc(arena, sizeof(*entry));
    if (entry == NULL)
        return CG_E_NOMEM;
    size_t at = hash_key(kind, a, b) % map->num_buckets;
    *entry = (struct map_entry){map->buckets[at], kind, a, b, value};
    map->buckets[at] = entry;
    map->num_entries++;
    return CG_OK;
}
