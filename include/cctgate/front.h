/*
 * Front threads: HTTP in, JSON out. Each has an h2o loop, a reader of the store and a policy of its own, and shares nothing that needs a lock. A cache hit
 * is answered on the spot; everything else is a message to the owner and an answer when the owner's message comes back.
 */
#ifndef CCTGATE_FRONT_H
#define CCTGATE_FRONT_H

#include "cctgate/config.h"
#include "cctgate/consumer.h"
#include "cctgate/contract.h"
#include "cctgate/owner.h"
#include "cctgate/policy.h"
#include "cctgate/store.h"

struct fronts;

struct fronts_settings {
    struct config *config; /* a reference is taken */
    const struct contract *contract;
    struct store *store;
    struct consumer *consumer; /* NULL: none; outlives the fronts */
};

/* Binds the listening sockets, or takes those that the service manager holds for their addresses (service_manager.h); logs one `listening` line each. CG_E_IO with `error`. No request is served before fronts_run. */
int fronts_new(struct fronts **fronts, const struct fronts_settings *settings, char *error,
               size_t error_size);
/* Loops, readers and mailboxes: from here on fronts_set_policy may be called. CG_E_IO. */
int fronts_prepare(struct fronts *fronts);
/* Starts the threads. */
int fronts_run(struct fronts *fronts, struct owner *owner);
/* A new policy is in force for requests from now on; any thread. `told` (malloc'ed; NULL: nobody waits) is sent to `to` when every front has it. */
void fronts_set_policy(struct fronts *fronts, struct policy *policy, struct message *told,
                       struct mailbox *to);
/*
 * Reads the certificates, keys and authorities again, for connections from now on; open ones stay. CG_E_INVALID with `error`: nothing has changed.
 * The thread that calls fronts_stop.
 */
int fronts_reload_tls(struct fronts *fronts, char *error, size_t error_size);
/* When the loop that has turned least lately did so (monotonic ms); each does several times a second. From fronts_run on; any thread. */
int64_t fronts_last_turn_ms(const struct fronts *fronts);
/* Stops accepting, lets requests in progress end (at most `grace_ms`), joins the threads. */
void fronts_stop(struct fronts *fronts, unsigned grace_ms);
void fronts_free(struct fronts **fronts);

#endif
