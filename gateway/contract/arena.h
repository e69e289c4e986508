/*
 * What the contract's tables are made of: an arena (everything dies together in contract_free), a
 * growing list and a map from two strings to a pointer. Nothing here is thread-safe while it is
 * written to; reading is, afterwards.
 */
#ifndef CCTGATE_CONTRACT_ARENA_H
#define CCTGATE_CONTRACT_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
};

/* Zeroed and aligned for anything; NULL without memory. */
void *arena_alloc(struct arena *arena, size_t size);
/* `count` things of `size` bytes, overflow-checked. */
void *arena_array(struct arena *arena, size_t count, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
/* The three strings one after the other. */
char *arena_join(struct arena *arena, const char *a, const char *b, const char *c);
void arena_release(struct arena *arena);

/* A list of pointers. The items live in the arena. */
struct list {
    void **items;
    size_t length, capacity;
};

/* CG_OK or CG_E_NOMEM; the list is unchanged then. */
int list_push(struct arena *arena, struct list *list, void *item);

/* A map with keys (kind, a, b); the strings must live as long as the map. */
struct map_entry {
    struct map_entry *next;
    size_t kind;
    const char *a, *b;
    void *value;
};

struct map {
    struct map_entry **buckets;
    size_t num_buckets, num_entries;
};

void *map_get(const struct map *map, size_t kind, const char *a, const char *b);
/* CG_OK, CG_E_INVALID when the key is there already, CG_E_NOMEM. */
int map_put(struct arena *arena, struct map *map, size_t kind, const char *a, const char *b,
            void *value);

#endif
