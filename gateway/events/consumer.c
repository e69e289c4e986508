/* What the consumer knows, whoever serves it: secrets, networks, the queue's bound, its documents. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/sha.h>
#include <uthash.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "gateway/events/consumer_private.h"
#include "gateway/events/network.h"

#define SERVICE "NotificationConsumer"

struct secret {
    UT_hash_handle hh;
    uint8_t digest[CONSUMER_DIGEST_BYTES];
};

struct consumer {
    const struct contract_service *service;
    char *address, *public_url, *contract; /* the contract's directory */
    int has_tls;
    char *url;
    struct contract_documents documents;
    struct consumer_counters counters;
    _Atomic size_t queued;

    struct mailbox *mailbox;
    void (*on_notify)(struct message *);
    void *data;

    pthread_mutex_t mutex; /* what follows */
    struct secret *secrets;
    struct network *networks;
    size_t num_networks;
};

struct consumer_counters *consumer_counters(struct consumer *consumer)
{
    return &consumer->counters;
}

/* ---- networks ---- */

void consumer_configure(struct consumer *consumer, const struct config *config)
{
    struct network *fresh = calloc(config->consumer.num_allow + 1, sizeof(*fresh)), *old;
    size_t i, count = 0;

    if (fresh == NULL)
        abort();
    for (i = 0; i < config->consumer.num_allow; ++i)
        if (network_parse(&fresh[count], config->consumer.allow[i]) == CG_OK)
            ++count;
    pthread_mutex_lock(&consumer->mutex);
    old = consumer->networks;
    consumer->networks = fresh;
    consumer->num_networks = count;
    pthread_mutex_unlock(&consumer->mutex);
    free(old);
}

int consumer_allows(struct consumer *consumer, const struct sockaddr *peer)
{
    int allowed;
    pthread_mutex_lock(&consumer->mutex);
    allowed = network_contains(consumer->networks, consumer->num_networks, peer);
    pthread_mutex_unlock(&consumer->mutex);
    return allowed;
}

/* ---- secrets: only their digests are kept, and found by them, so that the time it takes tells nothing ---- */

int consumer_make_secret(char secret[2 * CONSUMER_SECRET_BYTES + 1],
                         uint8_t digest[CONSUMER_DIGEST_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t random[CONSUMER_SECRET_BYTES];
    size_t i;

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return CG_E_IO;
    for (i = 0; i < sizeof(random); ++i) {
        secret[2 * i] = hex[random[i] >> 4];
        secret[2 * i + 1] = hex[random[i] & 15];
    }
    secret[2 * sizeof(random)] = '\0';
    explicit_bzero(random, sizeof(random));
    SHA256((const unsigned char *)secret, 2 * CONSUMER_SECRET_BYTES, digest);
    return CG_OK;
}

static struct secret *find(struct consumer *consumer, const uint8_t *digest)
{
    struct secret *secret;
    HASH_FIND(hh, consumer->secrets, digest, CONSUMER_DIGEST_BYTES, secret);
    return secret;
}

int consumer_admit(struct consumer *consumer, const uint8_t digest[CONSUMER_DIGEST_BYTES])
{
    struct secret *secret = calloc(1, sizeof(*secret));

    if (secret == NULL)
        return CG_E_NOMEM;
    memcpy(secret->digest, digest, sizeof(secret->digest));
    pthread_mutex_lock(&consumer->mutex);
    HASH_ADD(hh, consumer->secrets, digest, sizeof(secret->digest), secret);
    pthread_mutex_unlock(&consumer->mutex);
    return CG_OK;
}

void consumer_dismiss(struct consumer *consumer, const uint8_t digest[CONSUMER_DIGEST_BYTES])
{
    struct secret *secret;
    pthread_mutex_lock(&consumer->mutex);
    if ((secret = find(consumer, digest)) != NULL)
        HASH_DEL(consumer->secrets, secret);
    pthread_mutex_unlock(&consumer->mutex);
    free(secret);
}

/* ---- bodies ---- */

static size_t cost(size_t length)
{
    return length + sizeof(struct consumer_notify);
}

static struct consumer_notify *notify_new(struct consumer *consumer, const uint8_t *digest,
                                          const char *body, size_t length)
{
    struct consumer_notify *notify = calloc(1, sizeof(*notify));

    if (notify == NULL || (notify->body = malloc(length + 1)) == NULL) {
        free(notify);
        return NULL;
    }
    memcpy(notify->body, body, length);
    notify->body[length] = '\0';
    notify->length = length;
    notify->consumer = consumer;
    memcpy(notify->digest, digest, sizeof(notify->digest));
    atomic_fetch_add(&consumer->queued, cost(length));
    return notify;
}

void consumer_notify_free(struct consumer_notify **in)
{
    struct consumer_notify *notify = *in;
    if (notify == NULL)
        return;
    *in = NULL;
    atomic_fetch_sub(&notify->consumer->queued, cost(notify->length));
    free(notify->body);
    free(notify);
}

int consumer_take(struct consumer *consumer, const char *secret, size_t secret_length,
                  const char *body, size_t length)
{
    uint8_t digest[CONSUMER_DIGEST_BYTES];
    struct consumer_notify *notify;
    int known;

    SHA256((const unsigned char *)secret, secret_length, digest);
    pthread_mutex_lock(&consumer->mutex);
    known = find(consumer, digest) != NULL;
    pthread_mutex_unlock(&consumer->mutex);
    if (!known)
        return CG_E_NOTFOUND;
    if (atomic_load(&consumer->queued) + cost(length) > CG_NOTIFY_QUEUE_BYTES_MAX ||
        (notify = notify_new(consumer, digest, body, length)) == NULL)
        return CG_E_BUSY;
    notify->message.on_deliver = consumer->on_notify;
    notify->data = consumer->data;
    mailbox_send(consumer->mailbox, &notify->message);
    return CG_OK;
}

void consumer_set_receiver(struct consumer *consumer, struct mailbox *mailbox,
                           void (*on_notify)(struct message *), void *data)
{
    consumer->mailbox = mailbox;
    consumer->on_notify = on_notify;
    consumer->data = data;
}

/* ---- the URL and the documents ---- */

static char *make_url(const struct consumer *consumer, unsigned port)
{
    const char *scheme = consumer->has_tls ? "https" : "http";
    char *url = NULL;
    int rc = consumer->public_url != NULL ? asprintf(&url, "%s" CONSUMER_PATH, consumer->public_url)
             : strchr(consumer->address, ':') != NULL
                 ? asprintf(&url, "%s://[%s]:%u" CONSUMER_PATH, scheme, consumer->address, port)
                 : asprintf(&url, "%s://%s:%u" CONSUMER_PATH, scheme, consumer->address, port);
    return rc < 0 ? NULL : url;
}

int consumer_bound(struct consumer *consumer, unsigned port, char *error, size_t error_size)
{
    free(consumer->url);
    if ((consumer->url = make_url(consumer, port)) == NULL)
        return CG_E_NOMEM;
    contract_documents_release(&consumer->documents);
    return contract_publish(&consumer->documents, consumer->contract, consumer->service,
                            consumer->url, error, error_size);
}

const char *consumer_url(const struct consumer *consumer)
{
    return consumer->url;
}

const struct contract_document *consumer_document(const struct consumer *consumer, size_t index)
{
    return index < consumer->documents.num_documents ? &consumer->documents.documents[index] : NULL;
}

/* ---- life ---- */

static int check(const struct consumer *consumer, char *error, size_t error_size)
{
    if (consumer->service != NULL)
        return CG_OK;
    snprintf(error, error_size, "the contract has no service " SERVICE ", which the consumer is");
    return CG_E_INVALID;
}

int consumer_new(struct consumer **out, const struct config *config,
                 const struct contract *contract, char *error, size_t error_size)
{
    struct consumer *consumer = calloc(1, sizeof(*consumer));
    int rc;

    *out = NULL;
    if (consumer == NULL)
        return CG_E_NOMEM;
    if (pthread_mutex_init(&consumer->mutex, NULL) != 0) {
        free(consumer);
        return CG_E_NOMEM;
    }
    consumer->service = contract_find_service(contract, SERVICE);
    consumer->address = strdup(config->consumer.address);
    consumer->has_tls = config->consumer.tls.certificate_file != NULL;
    consumer->contract = strdup(config->contract);
    if (config->consumer.public_url != NULL)
        consumer->public_url = strdup(config->consumer.public_url);
    rc = consumer->address == NULL || consumer->contract == NULL ||
                 (config->consumer.public_url != NULL && consumer->public_url == NULL)
             ? CG_E_NOMEM
             : check(consumer, error, error_size);
    if (rc != CG_OK) {
        consumer_free(&consumer);
        return rc;
    }
    consumer_configure(consumer, config);
    *out = consumer;
    return CG_OK;
}

void consumer_free(struct consumer **in)
{
    struct consumer *consumer = *in;
    struct secret *secret, *next;

    if (consumer == NULL)
        return;
    *in = NULL;
    HASH_ITER(hh, consumer->secrets, secret, next)
    {
        HASH_DEL(consumer->secrets, secret);
        free(secret);
    }
    contract_documents_release(&consumer->documents);
    pthread_mutex_destroy(&consumer->mutex);
    free(consumer->networks);
    free(consumer->url);
    free(consumer->address);
    free(consumer->public_url);
    free(consumer->contract);
    free(consumer);
}

void consumer_get_stats(struct consumer *consumer, struct consumer_stats *stats)
{
    const struct consumer_counters *counters = &consumer->counters;
    stats->accepted = atomic_load(&counters->accepted);
    stats->unknown = atomic_load(&counters->unknown);
    stats->foreign = atomic_load(&counters->foreign);
    stats->refused = atomic_load(&counters->refused);
    stats->overflows = atomic_load(&counters->overflows);
    stats->bytes = atomic_load(&counters->bytes);
    stats->queued_bytes = atomic_load(&consumer->queued);
}
