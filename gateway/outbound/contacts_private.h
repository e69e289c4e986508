/* What the files share that read contacts from a body. */
#ifndef CCTGATE_OUTBOUND_CONTACTS_PRIVATE_H
#define CCTGATE_OUTBOUND_CONTACTS_PRIVATE_H

#include "gateway/outbound/contacts.h"

/* Members of the contract that mean something here, in the client's names but for `contact`. */
extern const struct contacts_names {
    const char *contact, *priority;
    const char *required; /* what a contact must have, with spaces between */
    const char *phone, *number;
    const char *custom, *custom_name, *custom_text, *custom_visible;
    const char *preferred, *preferred_given;
} contacts_names;

struct parse {
    struct contacts_wanted wanted;
    struct job_rows rows;
    struct contacts_error error;
};

/* Another row comes; CG_E_LIMIT: there are too many. */
int parse_begin_row(struct parse *parse);
/* What it is, as clients give it; it may be changed. */
void parse_take_row(struct parse *parse, json_t *row);
/* It is bad. */
void parse_refuse_row(struct parse *parse, const char *pointer, const char *detail);

#endif
