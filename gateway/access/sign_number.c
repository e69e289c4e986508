#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"
#include "gateway/access/sign_private.h"

#define PIN_PREFIX "signOn.domain."
/* No user's name has a control character (the front refuses it). */
#define SPARE_BYTES 48

/* ---- pins ---- */

static struct pin *pin_find(const struct sign_ons *all, const char *user)
{
    struct pin *pin;
    HASH_FIND_STR(all->pins, user, pin);
    return pin;
}

static int pin_set(struct sign_ons *all, const char *user, size_t user_length, const char *domain,
                   size_t domain_length)
{
    struct pin *pin = calloc(1, sizeof(*pin) + user_length + 1), *old;
    char *copy = strndup(domain, domain_length);

    if (pin == NULL || copy == NULL) {
        free(pin);
        free(copy);
        return CG_E_NOMEM;
    }
    memcpy(pin->user, user, user_length);
    pin->domain = copy;
    if ((old = pin_find(all, pin->user)) != NULL) {
        HASH_DEL(all->pins, old);
        free(old->domain);
        free(old);
    }
    HASH_ADD_STR(all->pins, user, pin);
    return CG_OK;
}

static int on_row(void *data, const void *key, size_t key_length, const void *value, size_t length)
{
    const size_t prefix = sizeof(PIN_PREFIX) - 1;

    if (key_length > prefix && memcmp(key, PIN_PREFIX, prefix) == 0)
        return pin_set(data, (const char *)key + prefix, key_length - prefix, value, length);
    return 0;
}

int pins_load(struct sign_ons *all)
{
    return durable_walk(all->settings.durable, DURABLE_STATE, on_row, all);
}

void pins_free(struct sign_ons *all)
{
    struct pin *pin, *next;

    HASH_ITER(hh, all->pins, pin, next)
    {
        HASH_DEL(all->pins, pin);
        free(pin->domain);
        free(pin);
    }
}

/* ---- numbers ---- */

static int number_of(struct sign_ons *all, const char *name, uint32_t *number)
{
    struct store_txn *txn;
    int rc = store_begin(all->settings.store, &txn);

    if (rc != CG_OK)
        return rc;
    rc = store_user_id(txn, name, number);
    if (rc == CG_OK)
        rc = store_commit(&txn);
    else
        store_abort(&txn);
    return rc == CG_OK && *number >= SESSION_VIEWS_MAX ? CG_E_LIMIT : rc;
}

/*
 * Named after the process, too: what an earlier one has given out may have been somebody's when it was killed. No user's name has a
 * control character (the front refuses it).
 */
static void spare_name(const struct sign_ons *all, unsigned spare, char name[SPARE_BYTES])
{
    snprintf(name, SPARE_BYTES, "\x1fspare.%llx.%u", (unsigned long long)all->began_unix_ms, spare);
}

static int take_spare(struct sign_ons *all, struct attempt *attempt)
{
    char name[SPARE_BYTES];

    attempt->spare = all->num_spares > 0 ? all->spares[--all->num_spares] : ++all->num_made;
    spare_name(all, attempt->spare, name);
    return number_of(all, name, &attempt->number);
}

static void give_back(struct sign_ons *all, struct attempt *attempt)
{
    if (all->num_spares == all->spares_size) {
        all->spares_size = all->spares_size * 2 + 16;
        if ((all->spares = reallocarray(all->spares, all->spares_size, sizeof(*all->spares))) ==
            NULL)
            abort();
    }
    all->spares[all->num_spares++] = attempt->spare;
    attempt->spare = 0;
}

/* Not one under which somebody's session has come to be: the next who got it would find that session. */
void number_return(struct sign_ons *all, struct attempt *attempt)
{
    if (attempt->spare == 0 || all->closed)
        return;
    if (sessions_find(all->settings.sessions, attempt->number) == NULL)
        give_back(all, attempt);
    attempt->spare = 0;
}

int number_choose(struct sign_ons *all, struct attempt *attempt)
{
    struct session *session = sessions_find_by_name(all->settings.sessions, attempt->user);
    const char *domain = attempt->ask->domain != NULL ? attempt->ask->domain : "";
    const struct pin *pin;

    if (session != NULL) { /* its domain is compared where its password is */
        attempt->number = session_number(session);
        return CG_OK;
    }
    pin = pin_find(all, attempt->user);
    if (pin != NULL && strcasecmp(pin->domain, domain) == 0)
        return number_of(all, attempt->user, &attempt->number);
    return take_spare(all, attempt);
}

static void write_pin(struct sign_ons *all, const char *user, const char *domain)
{
    char key[sizeof(PIN_PREFIX) + CG_ID_BYTES_MAX];
    struct durable_batch *batch = durable_batch_new();

    snprintf(key, sizeof(key), PIN_PREFIX "%s", user);
    durable_put(batch, DURABLE_STATE, key, strlen(key), domain, strlen(domain));
    durable_submit(all->settings.durable, batch, NULL, NULL, NULL);
}

int number_keep(struct sign_ons *all, struct attempt *attempt, const char *domain)
{
    char name[SPARE_BYTES];
    struct store_txn *txn;
    int rc;

    if (attempt->spare == 0)
        return CG_OK;
    spare_name(all, attempt->spare, name);
    if ((rc = store_begin(all->settings.store, &txn)) != CG_OK)
        return rc;
    rc = store_rename_user(txn, name, attempt->user);
    if (rc == CG_OK)
        rc = store_commit(&txn);
    else
        store_abort(&txn);
    if (rc != CG_OK)
        return rc;
    give_back(all, attempt); /* the name is free again, the number is not */
    write_pin(all, attempt->user, domain);
    return pin_set(all, attempt->user, strlen(attempt->user), domain, strlen(domain));
}
