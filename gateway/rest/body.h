/* JSON that a client sent, before anything is known of it. Pure. */
#ifndef CCTGATE_REST_BODY_H
#define CCTGATE_REST_BODY_H

#include <stddef.h>

#include <jansson.h>

/*
 * CG_OK: *json is a new reference. CG_E_INVALID, CG_E_NOMEM with `detail`, which begins with `what` ("the body"), and *json NULL. Refused
 * are: nesting deeper than CG_JSON_DEPTH_MAX, members of one name twice, and what is not JSON.
 */
int body_parse(json_t **json, const char *text, size_t length, const char *what, char *detail,
               size_t detail_size);

/* Text that may hold a secret is overwritten where it lies. */
void body_wipe(const char *text, size_t length);
/* The same for all texts of a value, which must not be used any more, but freed. */
void body_wipe_json(json_t *json);

#endif
