/* What an event stream's request may say: the opening handshake of RFC 6455 section 4.2 and Origin. Pure. */
#ifndef CCTGATE_EVENTS_HANDSHAKE_H
#define CCTGATE_EVENTS_HANDSHAKE_H

#include <stddef.h>

#define HANDSHAKE_SUBPROTOCOL  "cctgate.v1"
#define HANDSHAKE_ACCEPT_BYTES 28

/* Base64 of 16 bytes, as section 4.1 wants it. */
int handshake_key_is_valid(const char *key, size_t length);
/* Sec-WebSocket-Accept for a valid key; NUL-terminated. */
void handshake_accept(char accept[HANDSHAKE_ACCEPT_BYTES + 1], const char *key);

/* What a Sec-WebSocket-Protocol field offers; called for each of several fields in turn, beginning with zeroes. */
struct handshake_protocols {
    int offered; /* anything at all */
    int ours;    /* cctgate.v1 is among them */
    int tokens;  /* how many bearer.<token> */
    const char *token;
    size_t token_length;
};
void handshake_protocols_add(struct handshake_protocols *protocols, const char *field,
                             size_t length);

/*
 * May a page of this origin connect? The gateway's own (same host and port as the request's Host) may, and those that are listed.
 */
int handshake_origin_is_own(const char *origin, size_t origin_length, const char *host,
                            size_t host_length);
int handshake_origin_is_listed(const char *origin, size_t length, char *const *origins,
                               size_t num_origins);

/* Does an Accept field name the media type (its parameters and weight are not looked at)? */
int handshake_accepts(const char *field, size_t length, const char *type);

#endif
