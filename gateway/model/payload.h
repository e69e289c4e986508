/* A notification's payload, taken apart: the objects it names, what changed, and how clients are told. Pure. */
#ifndef CCTGATE_MODEL_PAYLOAD_H
#define CCTGATE_MODEL_PAYLOAD_H

#include <jansson.h>

#include "cctgate/event.h"
#include "gateway/model/plan.h"

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
/* What changed, without who was told, where, and which rights come with it. */
uint64_t payload_hash(const struct payload *payload);
uint64_t payload_place(const struct payload *payload);
/* Unix ms of an xs:dateTime; 0: none. */
int64_t payload_time_ms(const char *text);
/* The `data` of the event: a new reference. */
json_t *payload_data(const struct payload *payload);

/* A fact as clients read it (DESIGN section 10): a new reference. */
json_t *public_value(const char *field, json_t *value);

#endif
