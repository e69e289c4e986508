/*
 * What the files of control share. A lease's life:
 *
 *   WRITING  granted in memory, and its batch is on the way to the disk: keeps others out, allows nothing yet
 *   HELD     on the disk; allows what its profile allows until expires_ms
 *   ENDED    allows nothing any more, and keeps nobody out; its row may still be on the disk
 *   (gone)   off the disk, out of the tables; what became of it is remembered as a fate
 *
 * Batches happen in the order they were given, but one of them may fail and the next succeed. So: only a lease that is HELD has its row
 * written, and never after the batch that deletes it; a grant of FullControl deletes the rows of all ENDED leases of its agent too
 * (they are superseded), so that the disk never has two; when an end fails, its lease is HELD again if that is possible ("nothing
 * changed"), and else the end is written again until the disk takes it.
 *
 * A claim is what keeps an agent for an application that has no lease: a reservation by an operator, or a transfer that waits to be taken
 * up. There is one at most, it is one row, and operators change it one at a time. While it is WRITING it keeps everybody out.
 *
 * Expiry is judged by the monotonic clock; the row has the steady clock's time, which counts at the next start alone. What a renewal brings counts
 * from when it is on the disk, but not if the lease's connection was lost after it was asked for (`cut`).
 */
#ifndef CCTGATE_CONTROL_PRIVATE_H
#define CCTGATE_CONTROL_PRIVATE_H

#include <uthash.h>
#include <utlist.h>

#include "cctgate/control.h"
#include "cctgate/error.h"
#include "gateway/control/text.h"

struct control_clock {
    int64_t (*monotonic_ms)(void);
    int64_t (*unix_ms)(void);
};

enum lease_state { LEASE_WRITING, LEASE_HELD, LEASE_ENDED };

struct client;
struct agent;

struct lease {
    UT_hash_handle hh; /* by digest */
    uint8_t digest[CONTROL_DIGEST_BYTES];
    unsigned references;
    struct control *control;
    struct agent *agent;       /* NULL: gone */
    struct lease *prev, *next; /* of the agent, in order of their grants */
    enum lease_state state;
    enum control_profile profile;
    char *application;
    uint64_t fence;
    int64_t since_ms;      /* steady */
    int64_t expires_ms;    /* monotonic */
    int64_t expires_at_ms; /* the same by the steady clock */
    struct timer expiry;
    uint64_t cut;          /* what was asked for before this number does not prolong it */
    struct client *client; /* the WebSocket that it is bound to; NULL: none */
    struct lease *prev_bound, *next_bound;
    unsigned binds; /* under way */
    int orphaned;   /* its WebSocket has gone and its grace is not given yet */
    int committed;  /* was on the disk */
    int superseded; /* may be off the disk: cannot be HELD again */
    char fate[256]; /* ENDED */
};

struct client {
    UT_hash_handle hh;
    uint64_t number;
    struct lease *leases;
    struct op *binds; /* under way */
    int going;
};

enum claim_kind { CLAIM_RESERVATION, CLAIM_TRANSFER };
/* WRITING: not on the disk yet; ENDING: its end, or who takes it up, is not */
enum claim_state { CLAIM_WRITING, CLAIM_HELD, CLAIM_ENDING };

struct claim {
    enum claim_kind kind;
    enum claim_state state;
    char *application;
    int64_t since_ms;                  /* steady */
    int64_t expires_ms, expires_at_ms; /* of a transfer: monotonic, steady */
    struct claim *former;              /* WRITING: in force again when it fails */
};

struct agent {
    UT_hash_handle hh;
    struct control *control;
    struct lease *leases;
    struct lease *full; /* WRITING or HELD */
    struct claim *claim;
    struct timer lapse;            /* of a transfer */
    const char *configured_before; /* during a reload */
    const char *configured; /* the application that the configuration reserves it for; NULL: none */
    char name[];
};

struct fate {
    UT_hash_handle hh; /* newest last */
    uint8_t digest[CONTROL_DIGEST_BYTES];
    char *text, *agent;
};

/* One batch on its way, and what is to be done when it is on the disk. */
struct op {
    struct op *prev, *next;
    struct control *control; /* NULL: it has been freed */
    void (*finish)(struct op *op, int rc);
    int kept; /* by finish: to be submitted again */
    control_done done;
    void *data;
    struct control_outcome outcome; /* owns the body */
    char *agent, *actor, *door;
    /* what is told of it */
    enum control_act act;
    char *application, *to, *by, *reason;
    uint64_t event_client;
    enum control_profile profile; /* that was asked for; CONTROL_PROFILES: none */
    struct lease *lease;
    struct claim *claim;
    char secret[CONTROL_LEASE_BYTES + 1];
    /* a renewal: of `lease`, or of many */
    struct lease **leases;
    size_t num_leases;
    int renewal;
    int64_t expires_ms, expires_at_ms;
    uint64_t serial;
    struct client *client; /* a bind: NULL when it has gone */
    int binds;             /* counted in lease->binds */
    struct op *prev_bind, *next_bind;
};

struct control {
    struct control_settings settings;
    struct control_clock clock;
    struct config *config;
    struct lease *leases;
    struct agent *agents;
    struct client *clients;
    struct fate *fates;
    struct op *ops;
    struct op *limbo; /* ends that the disk refused */
    struct timer renewal, retry;
    int renewing;
    uint64_t fence, serial;
    size_t claims;
    struct control_stats stats;
};

#define ENCLOSING(type, member, pointer)                                                           \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* As control_new, on other clocks. */
int control_new_on(struct control **control, const struct control_settings *settings,
                   const struct control_clock *clock);
/* Looks at the time, as every timer that is armed would. */
void control_tick(struct control *control);

static inline int64_t control_now(const struct control *control)
{
    return control->clock.monotonic_ms();
}

/* ---- lease.c: the tables ---- */

void *must(void *allocated);
struct agent *agent_find(const struct control *control, const char *name);
struct agent *agent_get(struct control *control, const char *name);
/* Frees it if nothing is known of it. */
void agent_settle(struct agent *agent);

struct lease *lease_find(const struct control *control, const uint8_t digest[CONTROL_DIGEST_BYTES]);
struct lease *lease_new(struct agent *agent, const uint8_t digest[CONTROL_DIGEST_BYTES],
                        enum control_profile profile, const char *application);
struct lease *lease_ref(struct lease *lease);
void lease_unref(struct lease **lease);
/* Out of the tables. */
void lease_drop(struct lease *lease);
int lease_is_valid(const struct lease *lease, int64_t now_ms);
void lease_expire_at(struct lease *lease, int64_t expires_ms, int64_t expires_at_ms);

void lease_bind(struct lease *lease, struct client *client); /* NULL: unbinds */
struct client *client_get(struct control *control, uint64_t number);
struct client *client_find(const struct control *control, uint64_t number);
/* Frees it if nothing is known of it. */
void client_settle(struct control *control, struct client *client);

void fate_remember(struct control *control, const struct lease *lease);
/* What became of a lease that is not valid; never NULL. */
const char *fate_agent(const struct control *control, const uint8_t *digest); /* NULL: unknown */
const char *fate_of(const struct control *control, const uint8_t *digest);
void fates_free(struct control *control);

/* CG_OK; CG_E_IO: no randomness. */
int secret_make(char text[CONTROL_LEASE_BYTES + 1], uint8_t digest[CONTROL_DIGEST_BYTES]);

/* ---- claim.c ---- */

struct claim *claim_new(enum claim_kind kind, const char *application);
void claim_free(struct claim *claim);
int claim_is_over(const struct claim *claim, int64_t now_ms);
void claim_arm(struct agent *agent);
/* Sets the agent's claim; counts it. */
void claim_put(struct agent *agent, struct claim *claim);
void claim_check(struct agent *agent);

/* ---- op.c ---- */

struct op *op_new(struct control *control, const struct control_ask *ask,
                  void (*finish)(struct op *op, int rc));
void op_free(struct op *op);
void op_submit(struct op *op, struct durable_batch *batch);
void op_tell(struct op *op, enum control_answer answer);
void op_event(const struct op *op, enum control_profile profile, uint64_t fence);
/* Audits it as `what`, and tells it afterwards. */
void op_refuse(struct op *op, enum control_answer answer, const char *what);
void control_changed(struct control *control, const char *agent);

/* ---- ask.c ---- */

void ask_refuse(struct op *op, enum control_answer answer, const char *detail);

/* ---- end.c ---- */

/* The lease is HELD or WRITING; it is ENDED from now on. `op` has act, by, to, reason. */
void end_take(struct op *op, struct lease *lease);
/* ... and that is written. */
void end_submit(struct op *op);
/* When the disk has refused what `op` said of its lease. */
void end_undo(struct op *op);
void end_done(struct op *op);
/* Without an asker. */
void end_by_itself(struct lease *lease, enum control_act act, const char *to, const char *reason);
void end_retry(struct control *control);
void lease_check(struct lease *lease);

/* ---- renew.c ---- */

/* Renews for whoever asks; with `client`, binds. */
void renew_submit(struct op *op, struct lease *lease, struct client *client);
void renew_bound(struct control *control);
void renew_arm(struct control *control);
void lease_give_grace(struct lease *lease);

/* ---- persist.c ---- */

void row_put_lease(struct durable_batch *batch, const struct lease *lease, int64_t expires_at_ms);
void row_delete_lease(struct durable_batch *batch, const struct lease *lease);
void row_put_claim(struct durable_batch *batch, const struct agent *agent,
                   const struct claim *claim);
void row_delete_claim(struct durable_batch *batch, const char *agent);
void row_put_fence(struct durable_batch *batch, uint64_t fence);
/* Into empty tables. CG_OK, CG_E_IO, CG_E_NOMEM. */
int rows_read(struct control *control);

/* ---- audit.c ---- */

struct act_entry {
    const char *what, *application, *door, *agent, *by, *reason, *outcome;
    enum control_profile profile; /* CONTROL_PROFILES: none */
    uint64_t fence;
};
void audit_act(const struct control *control, struct durable_batch *batch,
               const struct act_entry *entry);

/* ---- describe.c ---- */

/* New references. */
json_t *describe_lease(const struct lease *lease);
/* Who has, or will have, FullControl, as those are told who cannot have it; NULL: nobody, or `application` may take it. */
json_t *describe_holder(const struct agent *agent, const char *application, int64_t now_ms);

#endif
