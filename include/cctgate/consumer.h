/*
 * The consumer endpoint: where the contact centre delivers events (DOMAIN section 5). Its listener is apart from the clients' ones
 * and serves nothing else: POST /NotificationConsumer/<secret> takes a Notify, GET /NotificationConsumer?wsdl tells the contract.
 *
 * Every subscription has a secret path of its own, so a forged post costs a digest and a look-up; what the secret's owner posts is
 * handed over as it came and answered at once with 202 (DOMAIN rule 12). There is no token here: it is the contact centre that calls.
 * Who is not in an allowed network, knows no secret, or comes with another method is told 403, 404 or 405, and nothing more.
 *
 * The set of secrets and of networks stands behind a mutex, the one that a front thread takes: a secret must be known here before
 * the Subscribe that tells it has left, which a message to the thread could not promise. It is held for a look-up, never for I/O.
 */
#ifndef CCTGATE_CONSUMER_H
#define CCTGATE_CONSUMER_H

#include <stddef.h>
#include <stdint.h>

#include "cctgate/config.h"
#include "cctgate/contract.h"
#include "cctgate/mailbox.h"

#define CONSUMER_PATH         "/NotificationConsumer"
#define CONSUMER_DIGEST_BYTES 32
#define CONSUMER_SECRET_BYTES 32 /* random ones; twice as many characters in the path */

struct consumer;

/*
 * The contract's service files are read and rewritten here. CG_E_INVALID: the contract has no such service; `error` says so.
 * CG_E_NOMEM.
 */
int consumer_new(struct consumer **consumer, const struct config *config,
                 const struct contract *contract, char *error, size_t error_size);
void consumer_free(struct consumer **consumer);

/*
 * The port that was bound; from here on consumer_url is known, and the documents are made. Before any other thread knows the
 * consumer. CG_E_NOMEM, CG_E_IO and what else contract_publish says.
 */
int consumer_bound(struct consumer *consumer, unsigned port, char *error, size_t error_size);
/* "http://gateway.example:9091/NotificationConsumer": what a secret is appended to after a "/". */
const char *consumer_url(const struct consumer *consumer);

/* The networks of a new configuration. Any thread. */
void consumer_configure(struct consumer *consumer, const struct config *config);

/* A Notify body as it came. The receiver frees it with consumer_notify_free, which gives its bytes back to the queue's bound. */
struct consumer_notify {
    struct message message;
    struct consumer *consumer;
    void *data;
    uint8_t digest[CONSUMER_DIGEST_BYTES]; /* of the secret it came to */
    char *body;                            /* NUL-terminated */
    size_t length;
};
void consumer_notify_free(struct consumer_notify **notify);

/* Who takes bodies: `on_notify` runs where `mailbox` is delivered. Until it is set there are no secrets either. */
void consumer_set_receiver(struct consumer *consumer, struct mailbox *mailbox,
                           void (*on_notify)(struct message *message), void *data);

/* A new secret, in hexadecimal, and its digest. CG_E_IO: the system has no random bytes. */
int consumer_make_secret(char secret[2 * CONSUMER_SECRET_BYTES + 1],
                         uint8_t digest[CONSUMER_DIGEST_BYTES]);
/* Takes posts to this secret from now on; CG_E_NOMEM. Or not any more. Any thread. */
int consumer_admit(struct consumer *consumer, const uint8_t digest[CONSUMER_DIGEST_BYTES]);
void consumer_dismiss(struct consumer *consumer, const uint8_t digest[CONSUMER_DIGEST_BYTES]);

struct consumer_stats {
    uint64_t accepted, unknown, foreign, refused; /* refused: method, type, form */
    uint64_t overflows;                           /* told to come again later */
    uint64_t bytes;
    size_t queued_bytes;
};
void consumer_get_stats(struct consumer *consumer, struct consumer_stats *stats); /* any thread */

#endif
