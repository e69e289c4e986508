/*
 * What asks for something to be done, by whatever door it came: one set of checks, so that a command over a WebSocket is a command
 * over HTTP. Nothing here sends or answers; what passes is a message that only has to be given to the owner.
 */
#ifndef CCTGATE_REST_INTAKE_H
#define CCTGATE_REST_INTAKE_H

#include "cctgate/owner.h"
#include "gateway/rest/rest.h"

struct intake {
    const struct route *route;
    const char *method;
    const struct contract *contract;
    struct policy *policy; /* what `access` stands in */
    const struct access *access;
    const struct access_user *user; /* NULL: several, not chosen */
    const char *id, *sub_id;        /* the path's, decoded */
    size_t id_length, sub_id_length;
    json_t *body; /* NULL: none came */
    int force;
    h2o_iovec_t lease, key; /* as they came; base NULL: they did not */
    const uint8_t *bound;   /* the digest of a lease that goes along when none came; may be NULL */
    unsigned wait_ms;
    const char *door, *traceparent;
    uint64_t client;
};

struct intake_error {
    enum problem problem;
    int about_body; /* `pointer` is one into the body */
    char pointer[256];
    char detail[512];
};

/* All of these: CG_OK, or CG_E_INVALID, CG_E_DENIED, CG_E_NOTFOUND with `error`. */

/* A command of the table. */
int intake_command(const struct intake *intake, struct command **command,
                   struct intake_error *error);
/* command_renew, command_bind. */
int intake_lease(const struct intake *intake, const struct command_row *row,
                 struct command **command, struct intake_error *error);
/* An operation of the contract: a command, or a call that reads. */
int intake_operation(const struct intake *intake, struct command **command,
                     struct owner_call **call, struct intake_error *error);

/* What a command's query says, without its question mark. */
int intake_query(const struct intake *intake, const char *query, size_t length, int *force,
                 struct intake_error *error);
/* A JSON body. NULL with `error`. Wipes the text. */
json_t *intake_body(const char *text, size_t length, struct intake_error *error);

/*
 * Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): 1 to COMMAND_KEY_BYTES_MAX visible ASCII characters, bare or as a
 * string of RFC 8941; the two forms of one key are one key. CG_OK, CG_E_INVALID.
 */
int intake_key(char out[COMMAND_KEY_BYTES_MAX + 1], const char *text, size_t length);
/* Prefer: wait (RFC 7240) in one field. 1: found; what is no number of seconds is as if it were not there, but found. */
int intake_wait(const char *text, size_t length, unsigned *wait_ms);
unsigned intake_wait_ms(json_int_t seconds);

/* "attach", "release", ...: is the row the one of that name? */
int command_is(const struct command *command, const char *name);
int operation_is_cct(const struct contract_service *service);

#endif
