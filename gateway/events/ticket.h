/*
 * What all front threads know of who is connected: tickets, and how many streams each token has. Under one mutex that is held for a
 * few hundred nanoseconds, when a client comes or goes.
 *
 * A ticket stands for its token once, for CG_TICKET_LIFE_MS: a browser's WebSocket and EventSource cannot send Authorization, and a
 * URL is in too many logs to hold the token itself. Only the hash of a ticket is kept, and of the token too.
 */
#ifndef CCTGATE_EVENTS_TICKET_H
#define CCTGATE_EVENTS_TICKET_H

#include <stddef.h>
#include <stdint.h>

#define TICKET_TEXT_BYTES 43 /* 256 bits in the URL's base64, without padding */

struct doorman;
struct policy;

struct doorman *doorman_new(void); /* NULL without memory */
void doorman_free(struct doorman **doorman);

/* `of_jwt` is the token's, where it is a JWT (policy.h), else NULL. CG_OK, CG_E_BUSY (CG_TICKETS_MAX are open), CG_E_IO (no randomness). `text` is NUL-terminated. */
int ticket_issue(struct doorman *doorman, const uint8_t token_sha256[32], struct policy *of_jwt,
                 int64_t now_ms, char text[TICKET_TEXT_BYTES + 1]);
/* CG_OK: it was good, and is spent, and *of_jwt is a reference or NULL; CG_E_NOTFOUND. */
int ticket_redeem(struct doorman *doorman, const char *text, size_t length, int64_t now_ms,
                  uint8_t token_sha256[32], struct policy **of_jwt);

/* One more stream. CG_OK; CG_E_LIMIT: the token has as many as it may; CG_E_BUSY: there are as many as there may be. */
int doorman_enter(struct doorman *doorman, const uint8_t token_sha256[32], size_t per_token_max,
                  size_t max);
void doorman_leave(struct doorman *doorman, const uint8_t token_sha256[32]);

#endif
