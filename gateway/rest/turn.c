/*
 * What one turn of the loop brings is answered at its end.
 *
 * Answering each request as it is read wakes its client, reads the next socket meanwhile, and has to wake the next client when that
 * answer is ready. Answered together they leave close behind each other: whoever has many connections (a proxy, the load of
 * tests/bench) is awake when the second one comes, and the code of reading and that of answering each stay in the processor's cache.
 */
#include "gateway/rest/turn.h"

#include <assert.h>

#include "gateway/rest/rest.h"

static void on_turn_end(h2o_timeout_entry_t *entry)
{
    struct turn *turn = (struct turn *)((char *)entry - offsetof(struct turn, end));
    struct front *front = (struct front *)((char *)turn - offsetof(struct front, turn));

    while (!h2o_linklist_is_empty(&turn->arrivals)) {
        struct turn_request *arrival =
            H2O_STRUCT_FROM_MEMBER(struct turn_request, link, turn->arrivals.next);
        h2o_linklist_unlink(&arrival->link);
        rest_answer(front, arrival->req);
    }
}

void turn_init(struct turn *turn)
{
    h2o_linklist_init_anchor(&turn->arrivals);
    turn->end.cb = on_turn_end;
}

void turn_release(struct turn *turn)
{
    h2o_timeout_unlink(&turn->end);
}

void turn_add(struct turn *turn, struct turn_request *arrival, h2o_req_t *req)
{
    h2o_context_t *context = req->conn->ctx;

    assert(!h2o_linklist_is_linked(&arrival->link));
    arrival->req = req;
    h2o_linklist_insert(&turn->arrivals, &arrival->link);
    if (!h2o_timeout_is_linked(&turn->end))
        h2o_timeout_link(context->loop, &context->zero_timeout, &turn->end);
}

void turn_drop(struct turn_request *arrival)
{
    if (h2o_linklist_is_linked(&arrival->link))
        h2o_linklist_unlink(&arrival->link);
}
