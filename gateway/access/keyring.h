/* The identity provider's keys as they are in their file: read anew when that changes; one that does not read leaves the old ones. */
#ifndef CCTGATE_ACCESS_KEYRING_H
#define CCTGATE_ACCESS_KEYRING_H

#include "cctgate/config.h"
#include "cctgate/jwt.h"

struct keyring;

struct keyring *keyring_new(void); /* NULL without memory; empty */
void keyring_free(struct keyring **keyring);
/* Takes over a configuration and reads the file in any case; where that fails, who may issue tokens must not have changed for the old keys to stay. */
void keyring_configure(struct keyring *keyring, const struct config *config);
/* 1: the file has changed, and so have the keys. A call of stat, and no more where it has not. */
int keyring_check(struct keyring *keyring, const struct config *config);
struct jwt_keys *keyring_keys(const struct keyring *keyring); /* borrowed; NULL: no JWT is taken */

#endif
