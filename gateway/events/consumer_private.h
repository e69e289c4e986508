/* What the consumer's two files share: the state (consumer.c) and the listener (consumer_http.c). */
#ifndef CCTGATE_EVENTS_CONSUMER_PRIVATE_H
#define CCTGATE_EVENTS_CONSUMER_PRIVATE_H

#include <stdatomic.h>
#include <sys/socket.h>

#include "cctgate/consumer.h"

/* Written by the one thread that listens, read by any. */
struct consumer_counters {
    _Atomic uint64_t accepted, unknown, foreign, refused, overflows, bytes;
};
struct consumer_counters *consumer_counters(struct consumer *consumer);
#define CONSUMER_COUNT(consumer, name, amount)                                                     \
    atomic_fetch_add_explicit(&consumer_counters(consumer)->name, (amount), memory_order_relaxed)

int consumer_allows(struct consumer *consumer, const struct sockaddr *peer);

/* Hands a body over, copied. CG_OK; CG_E_NOTFOUND: nobody's secret; CG_E_BUSY: too much waits, or no memory. */
int consumer_take(struct consumer *consumer, const char *secret, size_t secret_length,
                  const char *body, size_t length);

/* NULL: there is no such document. The bytes live as long as the consumer. */
const struct contract_document *consumer_document(const struct consumer *consumer, size_t index);

#endif
