#include "gateway/events/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void map_v4(uint8_t out[16], const void *v4)
{
    memcpy(out, mapped_prefix, sizeof(mapped_prefix));
    memcpy(out + sizeof(mapped_prefix), v4, 4);
}

/* One to three digits and nothing else; -1 for anything else. */
static int prefix_length(const char *text)
{
    size_t length = strlen(text);
    if (length < 1 || length > 3 || strspn(text, "0123456789") != length)
        return -1;
    return (int)strtol(text, NULL, 10);
}

int network_parse(struct network *network, const char *text)
{
    const char *slash = strchr(text, '/');
    size_t length = slash != NULL ? (size_t)(slash - text) : 0;
    int bits = slash != NULL ? prefix_length(slash + 1) : -1;
    char address[INET6_ADDRSTRLEN];
    struct in_addr v4;

    if (length == 0 || length >= sizeof(address) || bits < 0)
        return CG_E_INVALID;
    memcpy(address, text, length);
    address[length] = '\0';
    if (inet_pton(AF_INET, address, &v4) == 1 && bits <= 32) {
        map_v4(network->address, &v4);
        network->bits = 96 + (unsigned)bits;
        return CG_OK;
    }
    if (inet_pton(AF_INET6, address, network->address) != 1 || bits > 128)
        return CG_E_INVALID;
    network->bits = (unsigned)bits;
    return CG_OK;
}

static int matches(const struct network *network, const uint8_t address[16])
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);
    return memcmp(network->address, address, whole) == 0 &&
           (rest == 0 || (network->address[whole] & mask) == (address[whole] & mask));
}

int network_contains(const struct network *networks, size_t num_networks,
                     const struct sockaddr *peer)
{
    uint8_t address[16];
    size_t i;

    if (peer->sa_family == AF_INET)
        map_v4(address, &((const struct sockaddr_in *)(const void *)peer)->sin_addr);
    else if (peer->sa_family == AF_INET6)
        memcpy(address, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
    else
        return 0;
    for (i = 0; i < num_networks; ++i)
        if (matches(&networks[i], address))
            return 1;
    return 0;
}
