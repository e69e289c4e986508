/* How many connections each client's address has, over all front threads. Any thread. */
#ifndef CCTGATE_REST_ADDRESSES_H
#define CCTGATE_REST_ADDRESSES_H

struct addresses;
struct address;

/* `max` connections for each address; 0: they are not counted, and NULL is returned, which the others take. */
struct addresses *addresses_new(unsigned max);
void addresses_free(struct addresses **addresses);
/* One more from the peer of `fd`: CG_OK, with what addresses_leave wants, NULL for a peer that has no address; CG_E_LIMIT. */
int addresses_enter(struct addresses *addresses, int fd, struct address **address);
void addresses_leave(struct addresses *addresses, struct address *address);

#endif
