/*
 * Where something is wrong, and in which words that is said. Values themselves are never put into
 * an error.
 */
#ifndef CCTGATE_CONTRACT_CODEC_ERROR_H
#define CCTGATE_CONTRACT_CODEC_ERROR_H

#include "cctgate/codec.h"
#include "gateway/contract/schema.h"

/*
 * A place in the JSON value, as a chain on the stack from the leaf up. The root has no parent and
 * no name.
 */
struct codec_path {
    const struct codec_path *parent;
    const char *name; /* a member, or NULL: */
    size_t index;     /* an entry of an array */
};

#define CODEC_EXPECTED_MAX 128

/* Fills in `error` (which may be NULL) and returns `rc`. */
int codec_fail(struct codec_error *error, int rc, const struct codec_path *path,
               const char *expected, const char *found);
/* An error without a place. */
int codec_fail_text(struct codec_error *error, int rc, const char *text);

/* "string", "array", ...; "absent" for NULL. */
const char *codec_kind(const json_t *value);

/* "integer from -128 to 127", "one of READY, NOT_READY", "object". */
void codec_describe(const struct schema_type *type, char *text, size_t size);

/* Copies text for a person: control characters become blanks, and it is cut between characters. */
void codec_clean(char *to, size_t size, const char *text);

#endif
