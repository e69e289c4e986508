/* A notification's payload, taken apart: the objects it names, what changed, and how clients are told. Pure. */
#ifndef CCTGATE_MODEL_PAYLOAD_H
#define CCTGATE_MODEL_PAYLOAD_H

#include <jansson.h>

#include "cctgate/event.h"
#include "gateway/model/plan.h"

/* A member of a payload that names an object: clients are told its id. */
struct payload_member {
    const char *name; /* of the payload */
    enum entity kind;
    const char *key; /* for clients */
    int is_subject;  /* else only told */
};
/* NULL: the member names no object. */
const struct payload_member *payload_member(const char *name);
/* The name that clients read, in lower camel case; CG_E_LIMIT: too long for one. */
int payload_key(const char *name, char *key, size_t size);
int payload_is_capabilities(const char *name);
int payload_is_property(const char *name);

struct payload {
    enum event_type type;
    const json_t *body;        /* the event's element; borrowed */
    int64_t time_ms;           /* the contact centre's; 0: it told none */
    const char *ids[ENTITIES]; /* of the objects it is about; NULL: not named */
    json_t *handles[ENTITIES];
    const char *property;                            /* property events */
    const char *new_state, *previous_state, *reason; /* state events */
    json_t *capabilities;
};

/* CG_E_NOTFOUND: an event type that this program does not know. CG_E_PROTOCOL: no payload in it. */
int payload_take(struct payload *payload, const json_t *message);
/* What it is that changes: a leg, a state, a property. Never 0. */
uint64_t payload_object(const struct payload *payload);
uint64_t payload_object_of_leg(enum event_type type, const char *id);
/* 0: none */
uint64_t payload_state(const char *state);
/* How it changed, without who was told, where, and which rights come with it. */
uint64_t payload_hash(const struct payload *payload);
uint64_t payload_place(const struct payload *payload);
/* Unix ms of an xs:dateTime; 0: none. */
int64_t payload_time_ms(const char *text);
/* The `data` of the event: a new reference. */
json_t *payload_data(const struct payload *payload);

/* Is the row of this event's property, and the fact that it is of: a new reference; NULL: the value is not in it. */
struct property_row;
int payload_tells(const struct payload *payload, const struct property_row *row);
json_t *payload_fact(const struct payload *payload, const struct property_row *row);

/* A fact as clients read it (DESIGN section 10): a new reference. */
json_t *public_value(const char *field, json_t *value);
/* 1: none, null, or "", which is how a server says that there is none: clients read null. */
int says_nothing(const json_t *value);
/* 1: the property tells several facts, so `value` is an object of them, however many come. */
int property_has_fields(enum event_type type, const char *property);

/*
 * JSON Schema of what payload_data makes of an event of the contract, a new reference. `told` is the contract's own schema of the
 * notification (codec_told_schema); references to its "$defs" stay as they are. NULL: the contract has no such event, or no memory.
 */
json_t *payload_schema(const json_t *told, enum event_type type);

#endif
