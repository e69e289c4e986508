/*
 * Commands: what a client asks the contact centre to do, from whatever door (HTTP resources, the catalogue, a WebSocket), and what became of it.
 *
 * Life of a command. A front finds its row (or, in the catalogue, its operation), checks the body's form, and gives it to the owner. There:
 *   key        with an Idempotency-Key: the first of its kind is written down before anything happens; any other gets the first's outcome
 *   resolve    what it is about is found in the model: the agent, terminal, address, call and legs, each visible to the token, else 404; what is
 *              ambiguous is 409 with the candidates. What the model does not know is read first
 *   gate       the agent that acts is known; the lease that came is FullControl of it, now (control.h)
 *   may it     a live capability that says no refuses early (DOMAIN rule 19)
 *   call       the upstream operation, once, never repeated (rule 18); several steps one after the other
 *   after      what it touched is no longer fresh, whatever came of it (rule 17); on an unknown outcome it is read anew at once
 *   told       audit and outcome are on the disk, then the client is answered; with Prefer: wait the answer waits for the event that proves it
 *
 * The rows are the facade's mapping table: the only place, with plan.h's, where names of the contract stand in C.
 */
#ifndef CCTGATE_COMMAND_H
#define CCTGATE_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cctgate/contract.h"
#include "cctgate/control.h"
#include "cctgate/limits.h"
#include "cctgate/mailbox.h"
#include "cctgate/policy.h"

/* ---- the table ---- */

/* What the ids of the path and the body lead to. */
enum command_target {
    TARGET_AGENT,       /* {loginId} */
    TARGET_TERMINAL,    /* {name} */
    TARGET_ADDRESS,     /* {name} */
    TARGET_ROUTE_POINT, /* {address} */
    TARGET_ORIGIN,      /* the body's `from` */
    TARGET_LEG,         /* {contactId}: the leg at a terminal of whoever acts */
    TARGET_CONNECTION,  /* {contactId}: the connection of whoever acts */
    TARGET_CALL,        /* {contactId}: the call as a whole, for an agent who is in it */
    TARGET_BYSTANDER,   /* {contactId}: a call of others, for whoever acts from outside */
    TARGET_ROUTE_LEG,   /* {contactId}: the connection at a route point */
    TARGET_CONTROL      /* {loginId}: the agent's lease, nothing upstream */
};

/*
 * One way to do it upstream. `arguments` is a list of member=source:
 *   @agent @terminal @address @contact @connection @leg   handles of what was resolved
 *   $name      the body's member, as it is            $name?x   with x when it is absent
 *   >name      an address named by the body's member (one that we do not know is made up, of type OUT_OF_PROVIDER)
 *   ^name      a terminal     &name   an agent     ~name   a contact     +name   a terminal connection: known ones, else 404
 *   *name      the address of the terminal that the body's member names
 *   'text      a string       #true #false #1         a value
 *   %name      what the builder of that name makes of the body (builders.c)
 */
struct command_form {
    const char *service, *operation;
    const char *arguments;
};
#define COMMAND_FORMS 3

struct command_row;
struct execution;

struct command_row {
    const char *method, *path; /* as in the route table */
    const char *name;          /* for the audit, metrics and OpenAPI's operationId */
    enum command_target target;
    unsigned roles; /* any of these */
    const char *
        when; /* "mode=blind": this row, if the body says so; "group": if the body has it; NULL: any */
    const char *fields; /* the body: see command_field_next */
    const char *
        capability; /* "leg.canAnswer": of what was resolved; "!…": no provider implements it (DOMAIN 4.3); NULL: none is defined */
    struct command_form
        forms[COMMAND_FORMS]; /* the first that the site's contract has; none: 501 */
    const char *result;       /* the reply's member that holds the new object's handle; NULL: 204 */
    /*
     * What an event will show: "leg.state=ACTIVE", "agent.ready=true", "contact.data=*" (whatever it is then); "leg=-": it has gone;
     * "consult=-": the consult has; "+contact": the new call is there; "none": nothing. It is also what is not fresh any more; NULL: all is not.
     */
    const char *effect;
    void (*run)(
        struct execution *execution); /* instead of the forms: several steps, or no upstream call */
    const char *summary;
};
extern const struct command_row command_rows[];
extern const size_t num_command_rows;
/* The step that follows a row's form, where it takes two; NULL: none does. */
const struct command_form *command_second_step(const struct command_form *first);
/* Of no path: what only a WebSocket asks for, its lease renewed or bound to the connection. */
extern const struct command_row command_renew, command_bind;

/*
 * The body's members, from `fields`: "to! mode=blind|supervised ready:boolean! value:any". A type (string if none is named; boolean, integer, object,
 * array, any, origin) or a choice; `!`: required; `^`: a secret, which no log and no example shows. 0: no more. `at` begins as the row's `fields`.
 */
enum command_field_type {
    FIELD_STRING,
    FIELD_BOOLEAN,
    FIELD_INTEGER,
    FIELD_OBJECT,
    FIELD_ARRAY,
    FIELD_ANY,
    FIELD_ORIGIN, /* {"agent"} or {"terminal"} or {"address"} */
    FIELD_CHOICE
};
struct command_field {
    char name[32];
    enum command_field_type type;
    char choices[128]; /* "blind|supervised" */
    int required, secret;
};
int command_field_next(const char **at, struct command_field *field);

/* The rows of a route's method; the first, and how many follow each other in the table. 0: none */
size_t command_rows_of(const char *path, const char *method, const struct command_row **first);

struct command_error {
    char pointer[256];
    char detail[256];
};
/*
 * The row that fits the body, whose members are then what the row wants; NULL with `error`. `body` is an object. Any thread. Who acts may
 * be named in every row whose target allows it: "agent", "terminal", "terminalConnectionId", "connectionId".
 */
const struct command_row *command_choose(const struct command_row *first, size_t num_rows,
                                         const json_t *body, struct command_error *error);

/* "read", "command", "session", "subscription": which door of the gate an operation is. By what its messages are made of, and its name. */
enum operation_kind { KIND_READ, KIND_COMMAND, KIND_SESSION, KIND_SUBSCRIPTION };
enum operation_kind operation_kind(const struct contract_operation *op);
extern const char *const operation_kind_names[];
/* Any of these may call it: for what acts, those of the rows that it belongs to. */
unsigned operation_roles(const struct contract_operation *op);

/* ---- one command ---- */

struct commands;

#define COMMAND_KEY_BYTES_MAX 255
struct command {
    struct message message; /* on_deliver of the answer is `on_reply` */
    struct commands *commands;
    struct mailbox *reply_to;
    void (*on_reply)(struct message *message); /* owns the struct, calls command_free */
    void *data;

    /* in */
    const struct command_row *row;       /* NULL: of the catalogue */
    const struct contract_operation *op; /* of the catalogue */
    size_t id_length, sub_id_length;
    char id[CG_ID_BYTES_MAX + 1], sub_id[CG_ID_BYTES_MAX + 1]; /* the path's, decoded */
    json_t *body;          /* an object; one reference; wiped when the command is freed */
    struct policy *policy; /* one reference: what `access` stands in */
    const struct access *access;
    uint32_t user;    /* CCT-User, or the only one; 0: several, not chosen */
    const char *door; /* "http", "websocket" */
    uint64_t client;  /* the WebSocket's number; 0: none */
    int has_lease;
    uint8_t lease[CONTROL_DIGEST_BYTES];
    char key[COMMAND_KEY_BYTES_MAX + 1]; /* Idempotency-Key; "": none */
    unsigned wait_ms;                    /* Prefer: wait; 0: not asked for */
    int force;                           /* ?force=true */
    char traceparent[64];

    /* out */
    int status;
    json_t *answer;    /* the body, NULL: none; one reference */
    int is_problem;    /* `answer` is a problem document */
    int retry_after_s; /* 0: not said */
    int replayed;      /* the outcome of an earlier command with the same key */
    int waited;        /* Prefer: wait was honoured */
    int secret_answer; /* holds a lease: not to be stored by anybody */
};
struct command *command_new(void); /* zeroed; aborts without memory */
void command_free(struct command **command);

/* ---- the owner's side ---- */

struct model;
struct sessions;
struct store;
struct commands_settings {
    struct loop *loop;
    struct config *config;
    const struct contract *contract;
    struct model *model;
    struct sessions *sessions;
    struct control *control;
    struct durable *durable;
};
int commands_new(struct commands **commands, const struct commands_settings *settings);
/* The gateway is about to stop: nothing begins any more, and who waits for an effect is answered. Before the upstream is stopped. */
void commands_close(struct commands *commands);
/* The upstream and the disk have stopped, and all their outcomes have been delivered. */
void commands_free(struct commands **commands);
void commands_configure(struct commands *commands, struct config *config);
/* Owner's thread. Answered later, exactly once. */
void commands_run(struct commands *commands, struct command *command);
/* A WebSocket has gone: its leases begin their grace. */
void commands_client_gone(struct commands *commands, uint64_t client, unsigned silent_ms);
/* The model has changed: whoever waits for an effect looks again. */
void commands_on_change(struct commands *commands);

/*
 * May the user see what a reading operation of the catalogue names? CG_OK; CG_E_NOTFOUND: no, or it is not there; CG_E_BUSY: *wanted is to be
 * fetched first, then ask again, with the same `read` (an object that is empty at first). Owner's thread.
 */
struct model_wanted;
struct command_look {
    uint32_t user;
    const struct contract_operation *op;
    const json_t *arguments;
    json_t *read;
};
int commands_look(const struct commands *commands, const struct command_look *look,
                  struct model_wanted *wanted);

/*
 * What is no command of the table, and must not be done twice either (Idempotency-Key): its outcome is kept with theirs. Another part of
 * the gateway does it, and brings its own batches for the disk.
 */
struct durable_batch;
struct outcome_entry;
struct kept_request {
    const struct access *access;
    const char *key;    /* as of intake_key */
    const char *what;   /* which operation on which object */
    const json_t *body; /* with `what` all that makes it this request and no other */
};
enum kept {
    KEPT_NEW, /* it is the first: that it has begun is in the batch, to be on the disk before anything is done */
    KEPT_TOLD,      /* it has been done: commands_kept_answer */
    KEPT_UNDER_WAY, /* the first has not ended */
    KEPT_OTHER,     /* the key came with another request */
    KEPT_FULL       /* there are as many keys as may be */
};
enum kept commands_keep(struct commands *commands, const struct kept_request *request,
                        struct durable_batch *batch, struct outcome_entry **entry);
/* KEPT_TOLD: a new reference. */
json_t *commands_kept_answer(const struct outcome_entry *entry, int *status, int *is_problem);
/* KEPT_NEW has ended: `answer` is copied; NULL: nothing was done, and the key is free. When the batch is on the disk: commands_kept_told. */
void commands_kept_end(struct outcome_entry *entry, int status, int is_problem,
                       const json_t *answer, struct durable_batch *batch);
void commands_kept_told(struct commands *commands, struct outcome_entry *entry);

struct commands_stats {
    uint64_t commands, done, not_done, unknown, refused, replayed, upstream_calls;
    uint64_t over_capacity; /* logins refused at the limit */
    size_t in_progress, waiting;
};
void commands_get_stats(const struct commands *commands, struct commands_stats *stats);

/* ---- for fronts ---- */

struct owner;
/* Gives the command to the owner. Any thread. */
void owner_command_send(struct owner *owner, struct command *command);
/* A WebSocket has gone: its leases begin their grace. Any thread. */
void owner_client_gone(struct owner *owner, uint64_t client, unsigned silent_ms);

#endif
