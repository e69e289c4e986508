/*
 * The requests that have come in this turn of a front's loop, and are answered at its end in the order in which they came.
 * Front threads only, each its own turn.
 */
#ifndef CCTGATE_REST_TURN_H
#define CCTGATE_REST_TURN_H

#include <h2o.h>

struct turn {
    h2o_linklist_t arrivals;
    h2o_timeout_entry_t end; /* linked: something has arrived */
};

/* A connection's request: HTTP/1 has one at a time. Zeroed: none. */
struct turn_request {
    h2o_linklist_t link;
    h2o_req_t *req;
};

void turn_init(struct turn *turn);
/* Its connections are closed. */
void turn_release(struct turn *turn);
/* The request is given to rest_answer when the turn ends. */
void turn_add(struct turn *turn, struct turn_request *arrival, h2o_req_t *req);
/* The connection is closed: its request, if it has one, is answered no more. */
void turn_drop(struct turn_request *arrival);

#endif
