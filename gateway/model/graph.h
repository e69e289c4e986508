/*
 * The contact centre as objects and facts (owner's thread only).
 *
 * A node is one object: its handle as the upstream gave it last, and its facts by field name, as plan.c names them. Related objects
 * stand in the facts by their id; a list of them is an object whose members are the ids, in the order they came.
 *
 * Two sources feed it, reads and events, and they overlap: a read that began before an event came may answer with what was before it.
 * So everything that an event sets carries the event's arrival number (a stamp), and what a read brings is taken only where no event came
 * since the read began. For lists that holds element by element: what an event took out is not put back by an older read.
 *
 * What an event may have changed without saying so (capabilities, for the most part) is dirty until it is read again. A fact is fresh
 * when the subscription that covers its node is active and it is not dirty: it is not asked for again.
 */
#ifndef CCTGATE_MODEL_GRAPH_H
#define CCTGATE_MODEL_GRAPH_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "gateway/model/plan.h"

struct node {
    UT_hash_handle hh;
    enum entity kind;
    const char *id; /* within `key` */
    json_t *handle; /* as the upstream gave it */
    json_t *facts;  /* field -> value */
    json_t *
        stamps; /* field -> arrival number; of a list: field -> {id -> arrival number}. In a fetch: what it read */
    json_t *
        dirty; /* field -> arrival number of what may have changed it; NULL: none. In a fetch: the user asked, if another */
    uint64_t covered; /* subscription; 0: none */
    uint64_t told_at; /* arrival number of the last event about its state */
    int64_t told_ms;  /* the contact centre's time of that event; 0: none yet */
    uint32_t told_by; /* the user whose session told it; not of a leg */
    uint32_t *users;  /* who own it or see it, ascending */
    uint32_t *former; /* of a call: who do not see it any more; the store has not been told */
    size_t num_users, num_former;
    unsigned kept,
        absent; /* 1 << enum record_kind: what the store has of it is of this process; the store has nothing */
    uint64_t visited;   /* by which walk */
    uint64_t dirtied;   /* arrival number of the event that did so last, with all around it */
    uint64_t refreshed; /* by which commit */
    int gone;           /* in a fetch: does not exist any more */
    int ended;  /* a contact whose last connection has gone; it leaves the graph with the commit */
    int unseen; /* ... it goes on, but nobody sees it any more */
    struct node *next;         /* in a fetch: in order of discovery */
    struct node *next_touched; /* self-terminated: `touched` says whether it is in the list */
    int touched;
    int counted; /* a contact that the hour's figure has, capacity.c */
    int untold;  /* a leg that was found by reading, and nobody has been told of */
    int removed; /* out of the graph; freed with the commit */
    char key[];  /* one byte of kind, then the id */
};

struct graph {
    struct node *nodes;
};

struct node *graph_find(const struct graph *graph, enum entity kind, const char *id);
/* Finds or makes; takes a reference to `handle`, which may be NULL. Aborts without memory; NULL: an id that is none. */
struct node *graph_get(struct graph *graph, enum entity kind, const char *id, json_t *handle);
void graph_remove(struct graph *graph, struct node *node);
/* Out of the graph, not out of memory. */
void graph_take_out(struct graph *graph, struct node *node);
void graph_free(struct graph *graph);

void node_free(struct node *node);
struct node *node_new(enum entity kind, const char *id, json_t *handle);
void node_set_handle(struct node *node, json_t *handle);

/* Lists. They return 1 when that changed something. */
int node_link(struct node *node, const char *field, const char *id, uint64_t stamp);
int node_unlink(struct node *node, const char *field, const char *id, uint64_t stamp);
/* What a read that began at `since` says of the list: `ids` is an array. */
int node_merge_list(struct node *node, const char *field, const json_t *ids, uint64_t since);

/* Plain facts. node_tell: by an event (takes the reference). node_merge: by a read that began at `since`. 1: it is another value now. */
int node_tell(struct node *node, const char *field, json_t *value, uint64_t stamp);
int node_merge(struct node *node, const char *field, json_t *value, uint64_t since);

/* An event with this arrival number may have changed the fact: only a read that begins later cleans it. */
void node_dirty(struct node *node, const char *field, uint64_t stamp);
int node_is_dirty(const struct node *node, const char *field);

/* 1: not known before */
int node_add_user(struct node *node, uint32_t user);
void node_remove_user(struct node *node, uint32_t user);
int node_has_user(const struct node *node, uint32_t user);

/* The state of a node as text, from either form; NULL: not known. Borrowed. */
const char *node_state(const struct node *node);

#define GRAPH_FOREACH(graph, node, field, child_kind, child)                                       \
    for (void *i_##child = json_object_iter(json_object_get((node)->facts, (field)));              \
         i_##child != NULL;                                                                        \
         i_##child = json_object_iter_next(json_object_get((node)->facts, (field)), i_##child))    \
        if (((child) = graph_find((graph), (child_kind), json_object_iter_key(i_##child))) != NULL)

#endif
