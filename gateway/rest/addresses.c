#include "gateway/rest/addresses.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cctgate/error.h"

#define CHAINS 4096

struct address {
    struct address *next;
    uint8_t bytes[16]; /* IPv6; IPv4 as ::ffff:a.b.c.d */
    unsigned open;
};

struct addresses {
    pthread_mutex_t mutex; /* taken for a connection, never for a request */
    unsigned max;
    struct address *chains[CHAINS];
};

struct addresses *addresses_new(unsigned max)
{
    struct addresses *addresses;

    if (max == 0)
        return NULL;
    if ((addresses = calloc(1, sizeof(*addresses))) == NULL)
        abort();
    pthread_mutex_init(&addresses->mutex, NULL);
    addresses->max = max;
    return addresses;
}

void addresses_free(struct addresses **in)
{
    struct addresses *addresses = *in;
    struct address *address, *next;
    size_t i;

    *in = NULL;
    if (addresses == NULL)
        return;
    for (i = 0; i < CHAINS; ++i)
        for (address = addresses->chains[i]; address != NULL; address = next) {
            next = address->next;
            free(address);
        }
    pthread_mutex_destroy(&addresses->mutex);
    free(addresses);
}

/* 0: none that is counted. The last 64 bits of an IPv6 address are its owner's to choose: they are left out. */
static int peer_of(int fd, uint8_t bytes[16])
{
    struct sockaddr_storage sa = {0};
    socklen_t length = sizeof(sa);

    memset(bytes, 0, 16);
    if (getpeername(fd, (struct sockaddr *)&sa, &length) != 0)
        return 0;
    if (sa.ss_family == AF_INET) {
        bytes[10] = bytes[11] = 0xff;
        memcpy(bytes + 12, &((struct sockaddr_in *)&sa)->sin_addr, 4);
        return 1;
    }
    if (sa.ss_family != AF_INET6)
        return 0;
    memcpy(bytes, &((struct sockaddr_in6 *)&sa)->sin6_addr,
           IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)&sa)->sin6_addr) ? 16 : 8);
    return 1;
}

/* Everybody can choose an address that collides only within a network: a chain is not much longer than the others. */
static struct address **find(struct addresses *addresses, const uint8_t bytes[16])
{
    uint64_t high, low;
    struct address **link;

    memcpy(&high, bytes, 8);
    memcpy(&low, bytes + 8, 8);
    link = &addresses->chains[((high ^ low) * UINT64_C(0x9e3779b97f4a7c15)) >> 52];
    while (*link != NULL && memcmp((*link)->bytes, bytes, 16) != 0)
        link = &(*link)->next;
    return link;
}

static int enter(struct addresses *addresses, const uint8_t bytes[16], struct address **out)
{
    struct address **link = find(addresses, bytes);

    if (*link == NULL) {
        if ((*link = calloc(1, sizeof(**link))) == NULL)
            abort();
        memcpy((*link)->bytes, bytes, 16);
    }
    if ((*link)->open >= addresses->max)
        return CG_E_LIMIT;
    ++(*link)->open;
    *out = *link;
    return CG_OK;
}

int addresses_enter(struct addresses *addresses, int fd, struct address **address)
{
    uint8_t bytes[16];
    int rc;

    *address = NULL;
    if (addresses == NULL || !peer_of(fd, bytes))
        return CG_OK;
    pthread_mutex_lock(&addresses->mutex);
    rc = enter(addresses, bytes, address);
    pthread_mutex_unlock(&addresses->mutex);
    return rc;
}

void addresses_leave(struct addresses *addresses, struct address *address)
{
    struct address **link;

    if (address == NULL)
        return;
    pthread_mutex_lock(&addresses->mutex);
    if (--address->open == 0) {
        link = find(addresses, address->bytes);
        *link = address->next;
        free(address);
    }
    pthread_mutex_unlock(&addresses->mutex);
}
