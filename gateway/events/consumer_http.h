/* The consumer's listener on a front thread's loop. That thread only; `consumer_listener_new` before it runs. */
#ifndef CCTGATE_EVENTS_CONSUMER_HTTP_H
#define CCTGATE_EVENTS_CONSUMER_HTTP_H

#include <h2o.h>

#include "cctgate/consumer.h"

struct consumer_listener;

/* Takes the listening socket. NULL without memory. */
struct consumer_listener *consumer_listener_new(struct consumer *consumer, h2o_loop_t *loop,
                                                int fd);
/* For connections from now on; NULL: plain. Takes references. */
void consumer_listener_set_tls(struct consumer_listener *listener, SSL_CTX *ssl);
void consumer_listener_start(struct consumer_listener *listener);
/* Accepts no more; answers say `Connection: close`. */
void consumer_listener_stop(struct consumer_listener *listener);
/* Connections that are left; `shut` ends them, and a few turns of the loop later there are none. */
size_t consumer_listener_open(const struct consumer_listener *listener);
void consumer_listener_shut(struct consumer_listener *listener);
void consumer_listener_free(struct consumer_listener **listener);

#endif
