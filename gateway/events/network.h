/* Networks in CIDR notation: who may deliver events. Pure. */
#ifndef CCTGATE_EVENTS_NETWORK_H
#define CCTGATE_EVENTS_NETWORK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* IPv4 is kept as its IPv4-mapped IPv6 form, so that a dual-stack listener's peers match, too. */
struct network {
    uint8_t address[16];
    unsigned bits; /* of 128 */
};

/* "10.0.0.0/8", "fd00::/8". CG_OK or CG_E_INVALID. Bits beyond the prefix do not matter. */
int network_parse(struct network *network, const char *text);

/* 1 when the peer is in one of the networks; a peer that is neither IPv4 nor IPv6 is in none. */
int network_contains(const struct network *networks, size_t num_networks,
                     const struct sockaddr *peer);

#endif
