/*
 * The session key over a crash: a login that was left behind would block the next one until somebody logged it off. It is written down
 * when it is had, sealed like the tokens of the CCT sessions, and struck out when the contact centre has said that it is over. One that
 * was on its way when the process was killed is left behind all the same.
 */
#include <stdlib.h>
#include <string.h>

#include "cctgate/durable.h"
#include "cctgate/error.h"
#include "cctgate/log.h"
#include "cctgate/secret.h"
#include "cctgate/session.h"
#include "gateway/outbound/client_private.h"

#define ROW "outbound.key"

static int on_row(void *data, const void *key, size_t key_length, const void *value, size_t length)
{
    struct outbound *outbound = data;

    if (key_length != strlen(ROW) || memcmp(key, ROW, key_length) != 0)
        return 0;
    outbound->key = sessions_unseal(outbound->sessions, ROW, value, length);
    return 1;
}

/* The row is the user, a line's end, the key: of another user it is of no use. */
void outbound_recall_key(struct outbound *outbound)
{
    const char *user = outbound->config->outbound.user;
    char *row, *end;

    if (outbound->durable == NULL || outbound->sessions == NULL ||
        durable_walk(outbound->durable, DURABLE_STATE, on_row, outbound) != CG_OK ||
        outbound->key == NULL)
        return;
    row = outbound->key;
    outbound->key = NULL;
    end = strchr(row, '\n');
    if (end != NULL && (size_t)(end - row) == strlen(user) &&
        memcmp(row, user, strlen(user)) == 0 && (outbound->key = strdup(end + 1)) != NULL &&
        (outbound->user = strdup(user)) != NULL) {
        outbound->state = LOGIN_UP;
        log_write(LOG_LEVEL_INFO, "outboundKeyFound",
                  "An Outbound login that a crash had left is taken up", LOG_S("user", user));
    } else {
        outbound_strike_key(outbound);
    }
    secret_wipe(&row);
}

void outbound_keep_key(struct outbound *outbound)
{
    size_t user = strlen(outbound->user), key = strlen(outbound->key), length = 0;
    struct durable_batch *batch;
    uint8_t *sealed;
    char *row;

    if (outbound->durable == NULL || outbound->sessions == NULL)
        return;
    if ((row = malloc(user + key + 2)) == NULL)
        abort();
    memcpy(row, outbound->user, user);
    row[user] = '\n';
    memcpy(row + user + 1, outbound->key, key + 1);
    sealed = sessions_seal(outbound->sessions, ROW, row, &length);
    secret_wipe(&row);
    if (sealed == NULL) {
        log_write(LOG_LEVEL_ERROR, "outboundKeyNotKept",
                  "A crash would leave this login at the contact centre",
                  LOG_S("user", outbound->user));
        return;
    }
    batch = durable_batch_new();
    durable_put(batch, DURABLE_STATE, ROW, strlen(ROW), sealed, length);
    durable_submit(outbound->durable, batch, NULL, NULL, NULL);
    free(sealed);
}

void outbound_strike_key(struct outbound *outbound)
{
    struct durable_batch *batch;

    if (outbound->durable == NULL)
        return;
    batch = durable_batch_new();
    durable_delete(batch, DURABLE_STATE, ROW, strlen(ROW));
    durable_submit(outbound->durable, batch, NULL, NULL, NULL);
}
