/* A CSV's columns: which member of a contact each is, of which kind; and the rows below them as contacts. */
#ifndef CCTGATE_OUTBOUND_COLUMNS_H
#define CCTGATE_OUTBOUND_COLUMNS_H

#include "gateway/outbound/contacts_private.h"

/* CG_OK; CG_E_INVALID: `detail` says what is wrong with the text or its header; CG_E_LIMIT: too many rows; CG_E_NOMEM. */
int columns_parse(struct parse *parse, const char *text, size_t length, char *detail,
                  size_t detail_size);

#endif
