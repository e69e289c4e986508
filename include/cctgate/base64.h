/* Base64 (RFC 4648 section 4), by OpenSSL, as JSON. */
#ifndef CCTGATE_BASE64_H
#define CCTGATE_BASE64_H

#include <stddef.h>

#include <jansson.h>

/* A new JSON string; NULL without memory. `bytes` may be NULL when `length` is 0. */
json_t *base64_to_json(const unsigned char *bytes, size_t length);

#endif
