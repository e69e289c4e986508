/*
 * What the files of the command room share. Owner's thread only, but for table.c and form.c, which are pure.
 *
 * An execution is one command under way. It is in exactly one stage at a time and waits for exactly one thing: a turn among the writers of a
 * call's data, a fetch, a reply of the upstream, the disk, or an effect. Whoever ends the wait calls on; nothing calls back from within.
 */
#ifndef CCTGATE_COMMAND_PRIVATE_H
#define CCTGATE_COMMAND_PRIVATE_H

#include <uthash.h>

#include "cctgate/command.h"
#include "cctgate/durable.h"
#include "cctgate/loop.h"
#include "cctgate/model.h"
#include "cctgate/session.h"
#include "gateway/model/acting.h"
#include "gateway/rest/problem.h"

/* What a command is about; nodes are looked up anew after every wait, by these ids. */
struct scene {
    char ids[ENTITIES][CG_ID_BYTES_MAX + 1]; /* "": not part of it */
    char consult[CG_ID_BYTES_MAX + 1];       /* the contact that came out of it, or went into it */
    char agent[CG_ID_BYTES_MAX + 1];         /* who acts: whose lease is asked for */
    int needs_lease;                         /* 0: it touches no agent (a route point) */
    uint32_t user;                           /* in whose session */
};

enum command_outcome { OUTCOME_DONE, OUTCOME_NOT_DONE, OUTCOME_UNKNOWN };
extern const char *const command_outcome_names[];

/* The writers of one call's data, one after the other. */
struct turn {
    UT_hash_handle hh;
    struct execution *first, *last; /* the first is at it */
    char contact[];
};

struct execution {
    struct commands *commands;
    struct command *command;
    struct execution *previous, *next; /* of all that are under way */
    struct scene scene;
    struct fetch_waiter waiter; /* what the model did not know is being read */
    unsigned reads;             /* how often it was */
    struct turn *turn;          /* NULL: none is needed */
    struct execution *turn_next;
    const struct contract_operation *op; /* that is being called, or was */
    json_t *value;  /* what builders put in: data, intrinsics; NULL: the body's */
    json_t *steps;  /* [{"operation","outcome","fault"}] of those with several */
    json_t *result; /* of the last reply */
    void (*on_reply)(struct execution *execution, const struct session_outcome *outcome);
    uint64_t fence;
    enum command_outcome outcome;
    int concluded; /* the answer stands */
    /* idempotency */
    struct outcome_entry *entry; /* NULL: no key */
    /* Prefer: wait */
    struct timer wait_timer;
    struct execution *waits_next;
    int is_waiting;
};

struct commands {
    struct commands_settings settings;
    struct execution *executions; /* all */
    struct execution *waiting;    /* for an effect */
    struct turn *turns;
    struct outcomes *outcomes; /* of keys */
    struct commands_stats stats;
    int closing;
};

/* commands.c: the stages */
void execution_resolve(struct execution *execution); /* again, after a read */
void execution_call(struct execution *execution, const struct contract_operation *op,
                    json_t *arguments); /* takes the reference */
/* Reads a resource first, then resolves again. */
void execution_read(struct execution *execution, enum record_kind kind, const char *id, int anew,
                    void (*on_done)(struct fetch_waiter *waiter, struct fetch_outcome *outcome));
struct execution *execution_of(struct fetch_waiter *waiter);

/* How it ends: exactly one of these, once. */
void conclude(struct execution *execution, int status,
              json_t *answer); /* done; takes the reference */
/* The problem's own members are added; `format` is its detail. Not done. */
void refuse(struct execution *execution, enum problem problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What the upstream's outcome means for one who commanded. */
void conclude_outcome(struct execution *execution, const struct session_outcome *outcome);
void refuse_with(struct execution *execution, enum problem problem, const char *detail,
                 json_t *members); /* takes the reference */

/* resolve.c: CG_OK; CG_E_BUSY: something is being read, it is called again; else refused already */
int scene_resolve(struct execution *execution);
/* Of the catalogue: from the arguments. */
int scene_derive(struct execution *execution);
struct node *scene_node(const struct execution *execution, enum entity kind);
json_t *json_handle(const struct node *node); /* new reference */

/* gate.c: CG_OK, or refused already */
int gate_pass(struct execution *execution);
int gate_capability(struct execution *execution);

/* arguments.c: NULL: refused already */
json_t *arguments_make(struct execution *execution, const struct command_form *form);
const struct command_form *form_choose(const struct commands *commands,
                                       const struct command_row *row,
                                       const struct contract_operation **op);
/* builders.c */
typedef json_t *(*builder)(struct execution *execution);
builder builder_find(const char *name, size_t length);

/* effects.c */
void effect_touch(struct execution *execution); /* what it touched is not fresh any more */
int effect_shows(struct execution *execution);
void effect_wait(struct execution *execution);
void effect_forget(struct execution *execution);

/* outcomes.c: what became of commands that had a key */
int outcomes_new(struct commands *commands); /* reads what is on the disk */
void outcomes_free(struct commands *commands);
/* CG_OK: this is the first, it goes on when it has been written down; CG_E_BUSY: the command has been answered or will be by the first. */
void outcomes_begin(struct execution *execution, void (*go_on)(struct execution *execution));
/* Adds what is to be kept to the batch, and answers who waited when the batch is written. */
void outcomes_end(struct execution *execution, struct durable_batch *batch);
void outcomes_told(struct execution *execution);

/* data.c, steps.c, control_commands.c */
void run_not_ready_with_reason(struct execution *execution);
void run_attach(struct execution *execution);
void run_release(struct execution *execution);
void run_transfer_control(struct execution *execution);
void run_reserve(struct execution *execution);
void run_unreserve(struct execution *execution);
void run_renew(struct execution *execution);
void run_bind(struct execution *execution);
void run_set_data(struct execution *execution);
void run_append_data(struct execution *execution);
void run_delete_data(struct execution *execution);
void run_set_intrinsics(struct execution *execution);
void run_merge_intrinsics(struct execution *execution);
void run_delete_intrinsics(struct execution *execution);
void run_append_uui(struct execution *execution);

#endif
