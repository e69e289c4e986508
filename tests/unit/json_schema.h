/*
 * A checker for the keywords of JSON Schema that our own schemas use: $ref into $defs, type, enum,
 * oneOf, required, properties, patternProperties, additionalProperties, items, and the bounds of
 * integers, strings and arrays. It shares no code with the loader, so that the two can be held
 * against each other.
 */
#ifndef CCTGATE_TESTS_JSON_SCHEMA_H
#define CCTGATE_TESTS_JSON_SCHEMA_H

#include <jansson.h>

/* 1 when `json` meets `rules`, a part of the schema `root`. */
int json_schema_accepts(const json_t *root, const json_t *rules, const json_t *json);

/* Fails the test when the schema uses a keyword that the checker would pass over. */
void json_schema_assert_known(const json_t *root);

/* 1 when the array has the value, or there is no array. */
int json_schema_lists(const json_t *values, const json_t *json);

#endif
