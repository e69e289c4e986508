#include "gateway/events/ticket.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/policy.h"

#define CHAINS 1024 /* what is hashed is uniform already */

struct ticket {
    struct ticket *next;
    uint8_t sha256[32], token_sha256[32];
    struct policy *of_jwt; /* NULL: the token is none */
    int64_t expires_at_ms;
};

struct presence {
    struct presence *next;
    uint8_t token_sha256[32];
    size_t streams;
};

struct doorman {
    pthread_mutex_t mutex;
    struct ticket *tickets[CHAINS];
    struct presence *present[CHAINS];
    size_t num_tickets, num_streams;
    int64_t swept_at_ms;
};

static void ticket_free(struct ticket *ticket)
{
    policy_unref(&ticket->of_jwt);
    free(ticket);
}

static size_t chain_of(const uint8_t *sha256)
{
    return (sha256[0] | (size_t)sha256[1] << 8) % CHAINS;
}

struct doorman *doorman_new(void)
{
    struct doorman *doorman = calloc(1, sizeof(*doorman));
    if (doorman != NULL)
        pthread_mutex_init(&doorman->mutex, NULL);
    return doorman;
}

void doorman_free(struct doorman **in)
{
    struct doorman *doorman = *in;
    size_t i;

    *in = NULL;
    if (doorman == NULL)
        return;
    for (i = 0; i < CHAINS; ++i) {
        struct ticket *ticket = doorman->tickets[i], *next_ticket;
        struct presence *presence = doorman->present[i], *next_presence;
        for (; ticket != NULL; ticket = next_ticket) {
            next_ticket = ticket->next;
            ticket_free(ticket);
        }
        for (; presence != NULL; presence = next_presence) {
            next_presence = presence->next;
            free(presence);
        }
    }
    pthread_mutex_destroy(&doorman->mutex);
    free(doorman);
}

/* ---- tickets ---- */

static void sweep(struct doorman *doorman, int64_t now_ms)
{
    size_t i;

    for (i = 0; i < CHAINS; ++i) {
        struct ticket **link = &doorman->tickets[i], *ticket;
        while ((ticket = *link) != NULL) {
            if (ticket->expires_at_ms > now_ms) {
                link = &ticket->next;
                continue;
            }
            *link = ticket->next;
            ticket_free(ticket);
            --doorman->num_tickets;
        }
    }
    doorman->swept_at_ms = now_ms;
}

static void to_text(char text[TICKET_TEXT_BYTES + 1], const uint8_t bytes[32])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t i;

    for (i = 0; i < TICKET_TEXT_BYTES; ++i) {
        size_t bit = i * 6;
        unsigned high = bytes[bit / 8], low = bit / 8 + 1 < 32 ? bytes[bit / 8 + 1] : 0;
        text[i] = digits[((high << 8 | low) >> (10 - bit % 8)) & 63];
    }
    text[TICKET_TEXT_BYTES] = '\0';
}

static int remember(struct doorman *doorman, struct ticket *ticket, int64_t now_ms)
{
    size_t chain = chain_of(ticket->sha256);
    int rc = CG_OK;

    pthread_mutex_lock(&doorman->mutex);
    if (now_ms - doorman->swept_at_ms >= CG_TICKET_LIFE_MS)
        sweep(doorman, now_ms);
    if (doorman->num_tickets >= CG_TICKETS_MAX) {
        rc = CG_E_BUSY;
    } else {
        ticket->next = doorman->tickets[chain];
        doorman->tickets[chain] = ticket;
        ++doorman->num_tickets;
    }
    pthread_mutex_unlock(&doorman->mutex);
    return rc;
}

int ticket_issue(struct doorman *doorman, const uint8_t token_sha256[32], struct policy *of_jwt,
                 int64_t now_ms, char text[TICKET_TEXT_BYTES + 1])
{
    struct ticket *ticket = calloc(1, sizeof(*ticket));
    uint8_t bytes[32];
    int rc = CG_E_IO;

    if (ticket == NULL)
        abort();
    if (getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes)) {
        to_text(text, bytes);
        SHA256((const unsigned char *)text, TICKET_TEXT_BYTES, ticket->sha256);
        memcpy(ticket->token_sha256, token_sha256, 32);
        ticket->of_jwt = of_jwt != NULL ? policy_ref(of_jwt) : NULL;
        ticket->expires_at_ms = now_ms + CG_TICKET_LIFE_MS;
        rc = remember(doorman, ticket, now_ms);
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    if (rc != CG_OK)
        ticket_free(ticket);
    return rc;
}

int ticket_redeem(struct doorman *doorman, const char *text, size_t length, int64_t now_ms,
                  uint8_t token_sha256[32], struct policy **of_jwt)
{
    struct ticket **link, *ticket;
    uint8_t sha256[32];

    *of_jwt = NULL;
    if (length != TICKET_TEXT_BYTES)
        return CG_E_NOTFOUND;
    SHA256((const unsigned char *)text, length, sha256);
    pthread_mutex_lock(&doorman->mutex);
    link = &doorman->tickets[chain_of(sha256)];
    while ((ticket = *link) != NULL && CRYPTO_memcmp(ticket->sha256, sha256, 32) != 0)
        link = &ticket->next;
    if (ticket != NULL) {
        *link = ticket->next;
        --doorman->num_tickets;
    }
    pthread_mutex_unlock(&doorman->mutex);
    if (ticket != NULL && ticket->expires_at_ms <= now_ms) {
        ticket_free(ticket);
        return CG_E_NOTFOUND;
    }
    if (ticket == NULL)
        return CG_E_NOTFOUND;
    memcpy(token_sha256, ticket->token_sha256, 32);
    *of_jwt = ticket->of_jwt;
    free(ticket);
    return CG_OK;
}

/* ---- streams ---- */

static struct presence **find(struct doorman *doorman, const uint8_t token_sha256[32])
{
    struct presence **link = &doorman->present[chain_of(token_sha256)];
    while (*link != NULL && memcmp((*link)->token_sha256, token_sha256, 32) != 0)
        link = &(*link)->next;
    return link;
}

static int enter(struct doorman *doorman, const uint8_t token_sha256[32], size_t per_token_max,
                 size_t max)
{
    struct presence **link = find(doorman, token_sha256), *presence = *link;

    if (doorman->num_streams >= max)
        return CG_E_BUSY;
    if (presence != NULL && presence->streams >= per_token_max)
        return CG_E_LIMIT;
    if (presence == NULL) {
        if ((presence = calloc(1, sizeof(*presence))) == NULL)
            abort();
        memcpy(presence->token_sha256, token_sha256, 32);
        *link = presence;
    }
    ++presence->streams;
    ++doorman->num_streams;
    return CG_OK;
}

int doorman_enter(struct doorman *doorman, const uint8_t token_sha256[32], size_t per_token_max,
                  size_t max)
{
    int rc;
    pthread_mutex_lock(&doorman->mutex);
    rc = enter(doorman, token_sha256, per_token_max, max);
    pthread_mutex_unlock(&doorman->mutex);
    return rc;
}

void doorman_leave(struct doorman *doorman, const uint8_t token_sha256[32])
{
    struct presence **link, *presence;

    pthread_mutex_lock(&doorman->mutex);
    link = find(doorman, token_sha256);
    if ((presence = *link) != NULL) {
        --doorman->num_streams;
        if (--presence->streams == 0) {
            *link = presence->next;
            free(presence);
        }
    }
    pthread_mutex_unlock(&doorman->mutex);
}
