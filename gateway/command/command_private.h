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
    char agent[CG_ID_BYTES_MAX + 1]; /* who acts: whose control is asked for; "": nobody is known */
    char desk[CG_ID_BYTES_MAX + 1];  /* the terminal that the body names, or its workstation */
    char lease_agent[CG_ID_BYTES_MAX + 1]; /* whose control it was that let it pass */
    int needs_lease; /* 0: it touches no agent (a route point), or it is a recorder's */
    uint32_t user;   /* in whose session; 0: not known yet */
};

enum command_outcome { OUTCOME_DONE, OUTCOME_NOT_DONE, OUTCOME_UNKNOWN };
extern const char *const command_outcome_names[];

/* The writers of one call's data, one after the other. */
struct turn {
    struct message message; /* to the loop itself: the next one's turn */
    UT_hash_handle hh;
    struct execution *first, *last; /* the first is at it */
    char contact[];
};

struct outcome_entry;

struct execution {
    struct commands *commands;
    struct command *command;
    struct execution *previous, *next; /* of all that are under way */
    struct scene scene;
    struct fetch_waiter waiter; /* what the model did not know is being read */
    json_t *read;               /* what was read for it: {"<kind>:<id>": true} */
    void (*on_read)(struct execution *execution);
    struct turn *turn; /* NULL: none is needed */
    struct execution *turn_next;
    void (*on_turn)(struct execution *execution);
    const struct command_form *form;     /* NULL: of the catalogue, or none */
    const struct contract_operation *op; /* that is being called, or was */
    json_t *value; /* what builders put in: data, intrinsics; NULL: the body's */
    json_t *steps; /* [{"operation","outcome","fault"}] of those with several */
    void (*on_reply)(struct execution *execution, const struct session_outcome *outcome);
    uint64_t fence;
    int64_t not_after_ms; /* how long the control that let it pass lasts; 0: none was needed */
    uint64_t since; /* live_clock when it was sent, and when what it changes was touched for it */
    uint64_t touched;
    enum command_outcome outcome;
    const char *fault; /* for the audit: the contract's name, or NULL */
    char fault_name[64];
    enum problem problem; /* when the answer is one */
    int called;           /* something went upstream */
    int concluded;        /* the answer stands */
    int logs_in; /* an agent begins who was not there: counted as long as the model does not */
    struct outcome_entry *entry; /* of its key; NULL: no key, or only waiting for the first's */
    struct execution *entry_next;
    struct timer wait_timer; /* Prefer: wait */
    struct execution *waits_next;
};

struct commands {
    struct commands_settings settings;
    struct execution *executions; /* all */
    struct execution *waiting;    /* for an effect */
    struct turn *turns;
    struct outcome_entry *outcomes; /* of keys */
    uint8_t key[32];                /* what keys and bodies are digested with */
    size_t num_outcomes;
    struct timer outcomes_timer;
    struct commands_stats stats;
    int closing;
};

static inline struct model *model_of(const struct execution *execution)
{
    return execution->commands->settings.model;
}

/* commands.c: the stages */
void execution_resolve(struct execution *execution); /* again, after a read */
/* Once it may: the row's own way, or its form. */
void execution_perform(struct execution *execution);
/* One call, with the gate asked once more; takes the reference. on_reply is told, or it has been refused. */
void execution_call(struct execution *execution, const struct contract_operation *op,
                    json_t *arguments,
                    void (*on_reply)(struct execution *, const struct session_outcome *));
/* Reads a resource, then on_read (NULL: resolves again). CG_E_BUSY: it is being read; CG_E_NOTFOUND: that has been done already. */
int execution_read(struct execution *execution, enum record_kind kind, const char *id, int anew,
                   void (*on_read)(struct execution *));
/* on_turn runs when the writers of the call's data before it have ended; at once, if there are none. */
void execution_take_turn(struct execution *execution, void (*on_turn)(struct execution *));
void execution_free(struct execution *execution);
struct session *execution_session(struct execution *execution); /* NULL: refused already */

/* How it ends: exactly one of these, once. */
void conclude(struct execution *execution, int status,
              json_t *answer); /* done; takes the reference */
/* Not done; `format` is the problem's detail. Always returns CG_E_DENIED. */
int refuse(struct execution *execution, enum problem problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with members of its own: takes the reference; may be NULL. */
int refuse_with(struct execution *execution, enum problem problem, const char *detail,
                json_t *members);
/* What the upstream's outcome means for one who commanded; a success is 204. */
void conclude_outcome(struct execution *execution, const struct session_outcome *outcome);
/* For the audit. */
void note_fault(struct execution *execution, const struct codec_fault *fault);
/* A problem whose outcome is not plain "not done". Takes the reference to `members`. */
void conclude_problem(struct execution *execution, enum problem problem,
                      enum command_outcome outcome, const char *detail, json_t *members);
/* When the answer has been written down: to the client. */
void execution_answer(struct execution *execution);

/* scene.c: what both kinds of commands find things with. They return CG_OK; CG_E_BUSY: something is being read; else refused already */
int scene_look(struct execution *execution, enum entity kind, const char *id, struct node **node);
int scene_user_of(struct execution *execution, const struct node *place); /* in whose session */
int scene_act_as(struct execution *execution, const struct node *place);  /* the agent there acts */
int scene_read_login(struct execution *execution, const struct node *place);
/* What the table calls "agent", "terminal", "address", "contact", "connection", "leg"; ENTITY_NONE: nothing. */
enum entity entity_named(const char *name, size_t length);
struct node *scene_node(const struct execution *execution,
                        enum entity kind); /* NULL: not part of it */
void scene_set(struct execution *execution, const struct node *node);
int access_acts_for(const struct execution *execution, uint32_t user);
int scene_sees(struct execution *execution, const struct node *place);
const uint8_t *own_lease(const struct execution *execution); /* NULL: none came */
const char *lease_agent(const struct execution *execution);  /* NULL: none came, or not one */
int is_route_point(const struct node *address);
const char *only_agent(struct execution *execution); /* of the token's user; NULL: not one */
struct node *node_fact(const struct execution *execution, const struct node *node,
                       const char *field, enum entity kind);

/* resolve.c: of a row. legs.c: the one leg that is meant. derive.c: of the catalogue, from the arguments */
int scene_resolve(struct execution *execution);
int scene_place_of_agent(struct execution *execution, struct node *agent);
int scene_address_of(struct execution *execution, struct node *terminal);
int scene_leg(struct execution *execution,
              struct node *contact); /* NULL: the one call in question */
int scene_derive(struct execution *execution);

/* derive.c: the objects that an operation's arguments name, in the order of the contract. Ids are borrowed. */
#define OBJECTS_MAX 16
struct object {
    enum entity kind;
    const char *id;
    int is_other_side;
};
struct objects {
    struct object object[OBJECTS_MAX];
    size_t count;
    int are_too_many; /* some are left out */
};
void objects_collect(struct objects *objects, const struct contract_operation *op,
                     const json_t *arguments);

/* gate.c: CG_OK, or refused already */
int gate_pass(struct execution *execution);
int gate_capability(struct execution *execution);
int gate_capacity(struct execution *execution);

/* arguments.c: NULL: refused already */
json_t *arguments_make(struct execution *execution);
/* The first form that the site has; *op NULL: none. */
const struct command_form *form_choose(const struct commands *commands,
                                       const struct command_row *row,
                                       const struct contract_operation **op);
const char *body_text(const struct execution *execution, const char *name); /* NULL: none */

/* builders.c: a new reference; NULL: refused already */
typedef json_t *(*builder)(struct execution *execution);
builder builder_find(const char *name, size_t length);

/* effects.c */
void effect_touch(struct execution *execution); /* what it touched is not fresh any more */
int effect_shows(struct execution *execution);

/* outcomes.c: what became of commands that had a key */
int outcomes_new(struct commands *commands); /* reads what is on the disk */
void outcomes_free(struct commands *commands);
/* The first of its kind goes on once that is written down; any other is answered by the first's outcome. */
void outcomes_begin(struct execution *execution, void (*go_on)(struct execution *execution));
/* Adds what is to be kept to the batch. */
void outcomes_end(struct execution *execution, struct durable_batch *batch);
/* It is on the disk: those who waited are answered. */
void outcomes_told(struct execution *execution);

/* steps.c, data.c, control_commands.c */
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
void run_set_uui(struct execution *execution);
void run_append_uui(struct execution *execution);

#endif
