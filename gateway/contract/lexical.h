/*
 * The written forms of XML Schema's simple types. Nothing here allocates; text need not end in NUL.
 */
#ifndef CCTGATE_CONTRACT_LEXICAL_H
#define CCTGATE_CONTRACT_LEXICAL_H

#include <stddef.h>

#include "gateway/contract/schema.h"

/* Moves both ends inwards over XML white space. */
void lexical_trim(const char **text, size_t *length);

/* 1: an integer within long long, in *value. */
int lexical_long(const char *text, size_t length, long long *value);

/* 1: "true", "false", "1" or "0". */
int lexical_boolean(const char *text, size_t length, int *value);

/*
 * 1: the text has the form, and for SIMPLE_DIGITS the range, of the type. Enumerations are not
 * looked at.
 */
int lexical_fits(const struct schema_simple *simple, const char *text, size_t length);

/* 1: an XML name without colon; `name` ends in NUL. */
int lexical_is_name(const char *name);

#endif
