/* A CSV's columns: which member of a contact each is, of which kind; and the rows below them as contacts. */
#ifndef CCTGATE_OUTBOUND_COLUMNS_H
#define CCTGATE_OUTBOUND_COLUMNS_H

#include "gateway/outbound/contacts_private.h"

struct columns;

/* `text` stays where it is. NULL without memory. */
struct columns *columns_new(struct parse *parse, const char *text, size_t length);
void columns_free(struct columns **columns);
/* The header, then a row each time: 1: it was read; 0: there is none any more; CG_E_INVALID: columns_error says what is wrong with the text or
 * its header; CG_E_LIMIT: too many rows. */
int columns_step(struct columns *columns);
const char *columns_error(const struct columns *columns);

#endif
