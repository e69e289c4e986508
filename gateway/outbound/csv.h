/*
 * Comma-separated values, RFC 4180 to the letter, but that a line may end with LF alone: UTF-8, with a byte order mark or without. Lines
 * that are empty are passed over. Pure.
 */
#ifndef CCTGATE_OUTBOUND_CSV_H
#define CCTGATE_OUTBOUND_CSV_H

#include <stddef.h>

struct csv_field {
    const char *text; /* not NUL-terminated; as it is meant, without quotes */
    size_t length;
};

struct csv {
    const char *at, *end;
    char *scratch, *used; /* the record's fields */
    size_t line;          /* where the record begins, from 1 */
    size_t next_line;
    const char *error; /* after CG_E_INVALID: what is wrong with the record, a constant */
};

/* `text` stays where it is until csv_release. CG_OK, CG_E_NOMEM. */
int csv_init(struct csv *csv, const char *text, size_t length);
/* The next record: how many fields it has, good until the next call; 0: there is none. CG_E_INVALID: `error`; no record is read after it. */
int csv_next(struct csv *csv, struct csv_field *fields, size_t max);
/* Overwrites what was read. */
void csv_release(struct csv *csv);

#endif
