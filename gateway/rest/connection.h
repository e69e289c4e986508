/*
 * Accepted connections: how many there may be, how long each may take for what, and who has to go when there is no room.
 *
 * A request costs nothing here. Twice a second a front looks at its connections: what libh2o does with a socket shows
 * whether a connection is idle, sends a head or a body, waits for us, or is being written to, and the number of bytes
 * written to it tells one request from the next. So a limit is kept to within half a second. Streams of events
 * look after themselves. Front threads only, each its own connections.
 */
#ifndef CCTGATE_REST_CONNECTION_H
#define CCTGATE_REST_CONNECTION_H

#include <h2o.h>
#include <openssl/x509.h>

struct turn_request;
struct front;

/* Begins to look; no connection is accepted yet. */
void connections_init(struct front *front);
/* Ends that. All connections are closed. */
void connections_release(struct front *front);
/* Connections are accepted from now on. */
void connections_listen(struct front *front);
/* One that was accepted; takes the socket. */
void connection_begin(struct front *front, h2o_accept_ctx_t *accept, h2o_socket_t *sock);
/* All of them, when the front stops. */
void connections_shut_down(struct front *front);

/* The connection has become a stream of events. */
void connection_is_stream(h2o_socket_t *sock);
/*
 * For an answer that ends the connection while the client may still be sending: it is read on for a while, and thrown away, for
 * a kernel that has to discard bytes resets the connection, and the answer is lost with it (RFC 9112 section 9.6). Not with TLS.
 */
void connection_linger(h2o_req_t *req);
/* What stands for the connection's request in the turn in which it has come. */
struct turn_request *connection_turn_request(const h2o_req_t *req);
/* Behind the request more has come than a client may ask for in advance: the connection ends with the answer. */
void connection_check_pipeline(h2o_req_t *req);

/* The connection whose socket lies at `sock` showed a certificate, which has been verified. No such connection: nothing happens. */
void connection_certify(struct front *front, const void *sock, X509 *certificate);
/* 1: the request's client showed the certificate, named by its subject (RFC 2253) or by its SHA-256 in hexadecimal digits. */
int connection_has_certificate(const h2o_req_t *req, const char *name);

#endif
