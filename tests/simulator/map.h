/*
 * String-keyed hash table. Keys and values belong to the caller and must outlive their entry; in practice the key is a
 * field of the value.
 */
#ifndef CCTSIM_MAP_H
#define CCTSIM_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_entry;
struct map {
    struct map_entry **buckets;
    size_t bucket_count;
    size_t count;
};

void map_put(struct map *m, const char *key, void *value); /* replaces the value of an equal key */
void *map_get(const struct map *m, const char *key);       /* NULL when absent */
void map_remove(struct map *m, const char *key);
void map_free(struct map *m); /* entries only */
/* Calls `visit` for every entry; it must not change the map. */
void map_each(const struct map *m, void (*visit)(const char *key, void *value));
void map_free_keys(
    struct map *m); /* frees each key, for maps that own theirs; map_free must follow */

#endif
