/*
 * Life of a fetch (owner's thread only).
 *
 *   model_fetch    finds the fetch of the key, or makes one, and adds the waiter
 *   fetch_begin    needs the root's handle (objects are passed by value upstream). When it is not known, the user's lists or
 *                  calls are fetched first, as a fetch of their own; still unknown then means that the object does not exist.
 *   nodes          every object that the resource reaches is a node, once, with the facts that calls have told of it
 *   launch         each step of the plan that fits a new node becomes a call; at most `window` are in flight, the rest wait here
 *   fetch_end      all answered: render, store, tell. The first failure that is not a declared "absent" or "gone" ends it at once; calls
 *                  still in flight keep the struct alive, not the waiters.
 */
#ifndef CCTGATE_MODEL_FETCH_H
#define CCTGATE_MODEL_FETCH_H

#include <jansson.h>
#include <uthash.h>

#include "cctgate/capacity.h"
#include "cctgate/limits.h"
#include "cctgate/model.h"
#include "gateway/model/graph.h"
#include "gateway/model/plan.h"

struct step_call {
    struct step_call *next;
    struct fetch *fetch;
    struct node *node;
    size_t step;
    uint64_t since; /* events that had arrived when it was sent */
};

struct fetch {
    UT_hash_handle hh;
    struct model *model;
    enum record_kind kind;
    char *id;
    size_t id_length;
    uint32_t user; /* through whose session */
    char traceparent[64];
    int64_t started_at_ms;      /* steady: no fact is older than this */
    int64_t first_answer_at_ms; /* steady; 0: none yet */
    struct fetch_waiter *waiters, **waiters_end;
    struct fetch_waiter *later;     /* who wants it asked anew when this one has ended */
    struct fetch_waiter dependency; /* this fetch waiting for another one */
    int depended;
    struct graph own; /* what it has gathered; lists of related objects are arrays of ids here */
    struct node *first, **nodes_end; /* in order of discovery; the first is the root */
    uint64_t since;                  /* events that have arrived when it began */
    uint64_t covering;               /* the subscription of its session then; 0: none */
    int force;                       /* asks the upstream for everything */
    struct step_call *queued, **queued_end;
    unsigned in_flight, window, calls, links;
    char *unkept;   /* the resource, where it is not to be stored */
    int incomplete; /* a declared fault left a part out */
    int ended;
    size_t key_length;
    char key[]; /* one byte of kind, then the id */
};

/* What one user owns and may see, in this process: ids by kind, as last read. */
struct holdings {
    UT_hash_handle hh;
    uint32_t user;
    json_t *terminals, *addresses; /* arrays of names */
    json_t *calls;                 /* {contact id: true} of those in progress; NULL: not read yet */
    int64_t read_at_ms;            /* steady: terminals and addresses */
};

struct model {
    struct loop *loop;
    struct store *store;
    struct store_reader *reader;
    const struct contract *contract;
    struct config *config;
    struct sessions *sessions;
    const struct contract_operation **operations; /* by step; NULL: this site's contract lacks it */
    struct fetch *fetches;
    struct graph graph;
    struct holdings *holdings;
    struct live *live;
    json_t *consult_of;       /* contact id -> the contact it is a consult of */
    json_t *agent_states;     /* loginId -> true when logged in: capacity.c */
    size_t agents_logged_in;  /* of those */
    struct capacity capacity; /* contacts in an hour */
    enum capacity_level agents_level, contacts_level; /* as announced */
    int capacity_unsaved;                             /* the store has older figures */
    uint64_t random;
    uint64_t num_fetches, num_collapsed, num_failures, num_calls;
    json_t *(*describe_control)(void *data,
                                const char *agent); /* acting.h; NULL: nobody controls */
    void *control_data;
    void (*on_change)(void *data);
    void *change_data;
};

/* fetch.c */
void fetch_end(struct fetch *fetch, struct fetch_outcome *outcome);
struct node *fetch_node(struct fetch *fetch, enum entity kind, json_t *handle);

/* handles.c */
json_t *handle_find(struct model *model, enum entity kind, const char *id); /* borrowed */
void handle_remember(struct model *model, enum entity kind, json_t *handle);
const char *handle_id(enum entity kind, const json_t *handle); /* NULL: not such a handle */
struct holdings *holdings_of(struct model *model, uint32_t user);
void holdings_free(struct model *model);

/* the facts of a terminal connection that hold the contact it consults */
#define CONSULTS_MAX   20000
#define CONSULT_FIELDS 3
extern const char *const consult_fields[CONSULT_FIELDS];

/* render.c: the resource as clients see it (DESIGN section 10), without sync; a new reference, NULL without memory */
json_t *render(struct model *model, enum record_kind kind, const struct node *root);

struct outcome_detail {
    int rc;
    const char *service, *operation, *fault, *detail;
    int64_t retry_after_ms;
};
struct fetch_outcome *fetch_outcome_new(const struct outcome_detail *detail);

#endif
