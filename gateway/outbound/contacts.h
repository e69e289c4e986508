/*
 * Contacts that a client wants appended: from the body of a request to the arguments of one call for each, all of them checked by the
 * contract before anything is queued. Names are the contract's in lower camel case; those that mean something here stand in one table
 * in contacts.c. Pure; any thread.
 */
#ifndef CCTGATE_OUTBOUND_CONTACTS_H
#define CCTGATE_OUTBOUND_CONTACTS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cctgate/contract.h"
#include "cctgate/jobs.h"

enum contacts_type {
    CONTACTS_JSON,   /* an object, or an array of them */
    CONTACTS_NDJSON, /* an object a line */
    CONTACTS_CSV /* a header of column names, "phoneNumber.phoneNo" and "custom.<name>" among them */
};

struct contacts_wanted {
    const struct contract_operation *op; /* contacts_operation */
    int64_t campaign;
    int64_t
        priority; /* for rows that have none; -1: not said. It goes where the contract has it, and nowhere else */
    int needs_phone; /* duplicates are looked for: a row without a number is not good */
};

#define CONTACTS_TOLD_MAX 20 /* bad rows that are told of */
struct contacts_error {
    size_t num_rows, num_bad; /* num_bad 0: it is the body that is bad, rows[0] says how */
    int is_array;             /* the body is a JSON array: row n is its entry n - 1 */
    struct contacts_bad_row {
        size_t row;        /* from 1 */
        char pointer[256]; /* into the row, in the client's names */
        char detail[300];  /* never a value of it */
    } rows[CONTACTS_TOLD_MAX];
};

/* The operation that appends; NULL: the contract has none. */
const struct contract_operation *contacts_operation(const struct contract *contract);

/*
 * Reads a body, some rows at a time, so that who has others to serve can do that between: a large body takes tens of milliseconds. The
 * text is copied, and wiped when it is not needed any more. Aborts without memory.
 */
struct contacts_reader;
struct contacts_reader *contacts_reader_new(const struct contacts_wanted *wanted,
                                            enum contacts_type type, const char *text,
                                            size_t length);
/* Up to so many rows. 1: there may be more of them; 0: that was all. */
int contacts_reader_step(struct contacts_reader *reader, size_t max_rows);
/*
 * What it was, when all is read. CG_OK: `rows` holds at least one. CG_E_INVALID: `error`, and `rows` is empty. CG_E_LIMIT: there are more
 * than CG_JOB_ROWS_MAX. CG_E_NOMEM. Frees the reader; before its end, too.
 */
int contacts_reader_end(struct contacts_reader **reader, struct job_rows *rows,
                        struct contacts_error *error);

/* The same in one go. */
int contacts_parse(const struct contacts_wanted *wanted, enum contacts_type type, const char *text,
                   size_t length, struct job_rows *rows, struct contacts_error *error);

/*
 * To look for a contact's phone number before it is appended: the arguments of the operation that finds an id by it, from those of the
 * one that appends. A new reference; NULL: the contract has no such operation (`*op` is NULL then), or no memory.
 */
json_t *contacts_search(const struct contract *contract, const json_t *arguments,
                        const struct contract_operation **op);

/* A number of the wire as the only member of a reply: CG_OK, CG_E_PROTOCOL. */
int contacts_result(const json_t *reply, int64_t *value);

/* A sentence of the contact centre, with what the row holds blotted out: it is kept longer than the row. In place. */
void contacts_blot(char *sentence, const json_t *arguments);

#endif
