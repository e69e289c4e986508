/* TLS for those who come in: clients of the API, and the contact centre with its events. */
#ifndef CCTGATE_REST_TLS_H
#define CCTGATE_REST_TLS_H

#include <stddef.h>

#include <openssl/ssl.h>

#include "cctgate/config.h"

struct front;

/*
 * TLS 1.2 and later, forward secrecy and AEAD only (Mozilla's "intermediate", without DHE). No ALPN: HTTP/2 stays shut. Client
 * certificates as `tls` says. NULL with `error`: the files do not fit, or cannot be read.
 */
SSL_CTX *tls_new(const struct config_tls_server *tls, char *error, size_t error_size);

/* `ssl` (may be NULL) in place of what is there. Every place has a reference of its own: another thread may be in a handshake. */
void tls_set(SSL_CTX **place, SSL_CTX *ssl);

/* The calling thread's front: its connections are told of the certificates that clients showed. */
void tls_serve(struct front *front);

#endif
