/* Points in time as text: RFC 3339, and the xs:dateTime of the contract. Pure; any thread. */
#ifndef CCTGATE_TIMESTAMP_H
#define CCTGATE_TIMESTAMP_H

#include <stddef.h>
#include <stdint.h>

#define TIMESTAMP_BYTES 25 /* "2026-11-21T12:34:56.789Z" and its end */

/* UTC with milliseconds; what is before 1970 or after 9999 counts as the nearest that is not. Returns the length, always the same. */
size_t timestamp_print(char out[TIMESTAMP_BYTES], int64_t unix_ms);

enum timestamp_form {
    TIMESTAMP_RFC3339,  /* section 5.6: with a zone */
    TIMESTAMP_DATE_TIME /* XML Schema: the zone may be left out, and is UTC then */
};
/* Fractions beyond milliseconds are cut. CG_OK; CG_E_INVALID, also for what is before 1970: *unix_ms is as it was. */
int timestamp_parse(const char *text, enum timestamp_form form, int64_t *unix_ms);

#endif
