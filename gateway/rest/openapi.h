/*
 * What the files share that make /openapi.json: from the route table (openapi.c), the table of commands (openapi_commands.c) and the
 * contract (openapi_services.c), with the resources' types (openapi_schemas.c) and what many operations have in common
 * (openapi_parts.c). Pure: any thread; without memory the program ends.
 */
#ifndef CCTGATE_REST_OPENAPI_H
#define CCTGATE_REST_OPENAPI_H

#include <jansson.h>

#include "cctgate/contract.h"

/* JSON of ours, written with ' for " so that it can be read in C. */
json_t *openapi_parse(const char *text);

/* {"$ref": …} to one of components.<section> */
json_t *openapi_reference(const char *section, const char *name);
#define SCHEMA(name) openapi_reference("schemas", (name))

/* ---- openapi_parts.c ---- */

json_t *openapi_parameters(void);         /* components.parameters */
json_t *openapi_headers(void);            /* components.headers */
json_t *openapi_problem_responses(void);  /* components.responses, from the table of problems */
json_t *openapi_security(unsigned roles); /* any of these; 0: no token needed */
json_t *openapi_path_parameters(const char *path);

/* Puts references to the problems of these statuses, the last is 0, and to what else there may be. */
void openapi_add_problems(json_t *responses, const int *statuses);
/* A response of components.headers' `names`, with spaces between; `schema` (NULL: no body) and `example` (NULL: none) are taken. */
json_t *openapi_response(const char *description, const char *names, const char *media_type,
                         json_t *schema, json_t *example);
/* Puts the operation, whose reference is taken, under the path; one that is there stays. `method` in capitals. */
void openapi_put(json_t *paths, const char *path, const char *method, json_t *operation);

/* ---- the tables ---- */

void openapi_add_commands(json_t *paths);
/* The catalogue's operations; their types go into `schemas`. */
void openapi_add_services(json_t *paths, json_t *schemas, const struct contract *contract);
/* /v1/outbound; before what the route table has of it, which has no more. */
void openapi_add_outbound(json_t *paths, json_t *schemas, const struct contract *contract);
/* An example of a resource's schema that is valid by it; NULL: there is none. */
json_t *openapi_example(const char *schema);

#endif
