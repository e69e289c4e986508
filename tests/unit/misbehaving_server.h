/*
 * A small HTTP/1.1 server, plain or TLS, that does what contact centre servers and the boxes in
 * front of them do on bad days. What it does is named by the first segment of the request's path,
 * so one server plays every part:
 *
 *   /reply/     the reply set in the server, on a kept-alive connection
 *   /gate/      the same, but not before the gate is open
 *   /hang/      reads the request and never answers
 *   /reset/     reads the request and resets the connection
 *   /nothing/   reads the request and closes
 *   /early/     resets as soon as it has the header
 *   /truncate/  announces more than it sends, and closes
 *   /garbage/   answers with something that is not HTTP
 *   /announce/  announces 100 MB
 *   /stream/    sends without end and without a length
 *   /headers/   sends header fields without end
 *   /drip/      one byte of the reply every 10 ms, without end
 *   /idle-close/   answers properly, then closes without having said so
 *   /second-close/ answers a connection's first request, reads the second and closes
 *   /second-reset/ the same with a reset
 *   /second-early/ answers a connection's first request, resets at the header of the second
 */
#ifndef CCTGATE_TESTS_MISBEHAVING_SERVER_H
#define CCTGATE_TESTS_MISBEHAVING_SERVER_H

#include <pthread.h>
#include <stddef.h>

#include <openssl/ssl.h>

#define BAD_SERVER_CONNECTIONS_MAX 256
#define BAD_SERVER_REQUEST_MAX     (2 * 1024 * 1024)

struct bad_server;

struct bad_connection {
    struct bad_server *server;
    pthread_t thread;
    int fd;
    SSL *tls;
    unsigned requests; /* that have begun, this one included */
    char *request;     /* header and body, NUL-terminated */
    size_t length, header_length, body_length;
};

struct bad_server {
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    /* set by the test before the call */
    int status;
    const char *content_type; /* NULL: none */
    const char *body;
    int gate_open;
    /* seen */
    unsigned connections;                /* accepted, with their handshake if TLS */
    unsigned requests;                   /* whose header came in whole */
    unsigned bodies;                     /* that came in whole, header and body */
    unsigned closed;                     /* connections ended by the server */
    unsigned concurrent, concurrent_max; /* requests being worked on */
    size_t streamed;                     /* bytes that /stream/ got rid of */
    char last_request[8192];
    /* private */
    int port, listener, stopping;
    SSL_CTX *tls;
    pthread_t acceptor;
    struct bad_connection slots[BAD_SERVER_CONNECTIONS_MAX];
    size_t num_slots;
};

/*
 * On 127.0.0.1, a port of its own. With a certificate file: TLS; with a client CA file: client
 * certificates are required.
 */
void bad_server_start(struct bad_server *server, const char *certificate_file, const char *key_file,
                      const char *client_ca_file);
void bad_server_stop(struct bad_server *server);
void bad_server_set_reply(struct bad_server *server, int status, const char *content_type,
                          const char *body);
void bad_server_open_gate(struct bad_server *server);
/* Waits until *counter (one of the server's) is at least `value`; fails the test after 20 s. */
void bad_server_wait(struct bad_server *server, const unsigned *counter, unsigned value);
unsigned bad_server_read(struct bad_server *server, const unsigned *counter);

#endif
