/*
 * The facade's mapping table: which operation gives which part of which resource. Together with session.c's `needed` it is the only place where
 * names of the contract stand in C.
 */
#ifndef CCTGATE_MODEL_PLAN_H
#define CCTGATE_MODEL_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "cctgate/store.h"

/* What handles stand for (DOMAIN section 3.1). */
enum entity {
    ENTITY_USER,
    ENTITY_AGENT,
    ENTITY_TERMINAL,
    ENTITY_ADDRESS,
    ENTITY_CONTACT,
    ENTITY_CONNECTION,
    ENTITY_TERMINAL_CONNECTION,
    ENTITIES,
    ENTITY_NONE = ENTITIES
};

struct entity_row {
    const char *key;  /* the handle's member that identifies it */
    const char *type; /* the handle's member that holds its type, or NULL */
};
extern const struct entity_row entity_rows[ENTITIES];

enum step_fault {
    FAULT_ABSENT, /* a declared fault means that this part is not there: null */
    FAULT_GONE,   /* ... that the object has gone meanwhile: it is left out of the resource */
    FAULT_FAILS   /* ... that the resource cannot be read */
};

struct plan_step {
    uint32_t kinds; /* 1 << enum record_kind, or'ed: the resources that it is part of */
    enum entity on; /* launched for each object of this kind that the resource reaches */
    const char *service, *operation;
    const char *argument; /* the request's member that takes the handle; NULL: none */
    const char *result;   /* the reply's member with the value */
    const char *field;    /* where it goes in the object's facts */
    enum entity
        child; /* the value is a handle or an array of handles of this kind; ENTITY_NONE: a plain value */
    enum step_fault on_fault;
    const char *only_type; /* only for objects of this type... */
    const char *
        after; /* ... or, when set, whose related object in this field has come and has that type */
};
extern const struct plan_step plan_steps[];
extern const size_t plan_num_steps;

/* Is the field a list of related objects, or one? ENTITY_NONE: a plain value. */
enum entity plan_child(enum entity on, const char *field);

/* The lists of what a user owns: the user's facts, and what their members are. */
#define PLAN_OWNED 3
struct plan_owned {
    const char *field;
    enum entity entity;
    enum record_kind record;
};
extern const struct plan_owned plan_owned[PLAN_OWNED];

/* The resource that an object is, as a whole. */
enum record_kind plan_record(enum entity entity);

/* The object a resource starts from. */
enum entity plan_root(enum record_kind kind);

#endif
