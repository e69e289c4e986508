/* The tables of control: leases by digest, agents by name, WebSockets by number, fates of leases that are gone. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "gateway/control/control_private.h"

void *must(void *allocated)
{
    if (allocated == NULL)
        abort();
    return allocated;
}

/* ---- agents ---- */

struct agent *agent_find(const struct control *control, const char *name)
{
    struct agent *agent;
    HASH_FIND_STR(control->agents, name, agent);
    return agent;
}

static void on_lapse(struct timer *timer)
{
    claim_check(ENCLOSING(struct agent, lapse, timer));
}

struct agent *agent_get(struct control *control, const char *name)
{
    struct agent *agent = agent_find(control, name);
    size_t length = strlen(name);

    if (agent != NULL)
        return agent;
    agent = must(calloc(1, sizeof(*agent) + length + 1));
    agent->control = control;
    agent->lapse.on_due = on_lapse;
    memcpy(agent->name, name, length);
    HASH_ADD_KEYPTR(hh, control->agents, agent->name, length, agent);
    return agent;
}

void agent_settle(struct agent *agent)
{
    struct control *control = agent->control;

    if (agent->leases != NULL || agent->claim != NULL || agent->configured != NULL ||
        agent->configured_before != NULL)
        return;
    timer_disarm(control->settings.loop, &agent->lapse);
    HASH_DEL(control->agents, agent);
    free(agent);
}

/* ---- leases ---- */

struct lease *lease_find(const struct control *control, const uint8_t digest[CONTROL_DIGEST_BYTES])
{
    struct lease *lease;
    HASH_FIND(hh, control->leases, digest, CONTROL_DIGEST_BYTES, lease);
    return lease;
}

static void on_expiry(struct timer *timer)
{
    lease_check(ENCLOSING(struct lease, expiry, timer));
}

struct lease *lease_new(struct agent *agent, const uint8_t digest[CONTROL_DIGEST_BYTES],
                        enum control_profile profile, const char *application)
{
    struct control *control = agent->control;
    struct lease *lease = must(calloc(1, sizeof(*lease)));

    lease->references = 1; /* the tables' */
    lease->control = control;
    lease->agent = agent;
    lease->profile = profile;
    lease->application = must(strdup(application));
    lease->expiry.on_due = on_expiry;
    memcpy(lease->digest, digest, CONTROL_DIGEST_BYTES);
    HASH_ADD(hh, control->leases, digest, CONTROL_DIGEST_BYTES, lease);
    DL_APPEND(agent->leases, lease);
    return lease;
}

struct lease *lease_ref(struct lease *lease)
{
    ++lease->references;
    return lease;
}

void lease_unref(struct lease **in)
{
    struct lease *lease = *in;

    *in = NULL;
    if (lease == NULL || --lease->references > 0)
        return;
    free(lease->application);
    free(lease);
}

void lease_drop(struct lease *lease)
{
    struct control *control = lease->control;
    struct agent *agent = lease->agent;

    timer_disarm(control->settings.loop, &lease->expiry);
    lease_bind(lease, NULL);
    HASH_DEL(control->leases, lease);
    DL_DELETE(agent->leases, lease);
    if (agent->full == lease)
        agent->full = NULL;
    lease->agent = NULL;
    lease->state = LEASE_ENDED;
    lease_unref(&lease);
    agent_settle(agent);
}

int lease_is_valid(const struct lease *lease, int64_t now_ms)
{
    return lease->agent != NULL && lease->state == LEASE_HELD && now_ms < lease->expires_ms;
}

void lease_expire_at(struct lease *lease, int64_t expires_ms, int64_t expires_at_ms)
{
    struct control *control = lease->control;

    lease->expires_ms = expires_ms;
    lease->expires_at_ms = expires_at_ms;
    timer_arm(control->settings.loop, &lease->expiry, expires_ms - control_now(control));
}

/* ---- WebSockets ---- */

struct client *client_find(const struct control *control, uint64_t number)
{
    struct client *client;
    HASH_FIND(hh, control->clients, &number, sizeof(number), client);
    return client;
}

struct client *client_get(struct control *control, uint64_t number)
{
    struct client *client = client_find(control, number);

    if (client == NULL) {
        client = must(calloc(1, sizeof(*client)));
        client->number = number;
        HASH_ADD(hh, control->clients, number, sizeof(client->number), client);
    }
    return client;
}

void client_settle(struct control *control, struct client *client)
{
    if (client->leases != NULL || client->binds != NULL || client->going)
        return;
    HASH_DEL(control->clients, client);
    free(client);
}

void lease_bind(struct lease *lease, struct client *client)
{
    struct control *control = lease->control;
    struct client *former = lease->client;

    if (former == client)
        return;
    if (former != NULL) {
        DL_DELETE2(former->leases, lease, prev_bound, next_bound);
        --control->stats.bound;
    }
    if (client != NULL) {
        DL_APPEND2(client->leases, lease, prev_bound, next_bound);
        ++control->stats.bound;
    }
    lease->client = client;
    if (former != NULL)
        client_settle(control, former);
}

/* ---- fates ---- */

static void forget_fate(struct control *control, struct fate *fate)
{
    HASH_DEL(control->fates, fate);
    free(fate->text);
    free(fate->agent);
    free(fate);
}

void fate_remember(struct control *control, const struct lease *lease)
{
    struct fate *fate;

    HASH_FIND(hh, control->fates, lease->digest, CONTROL_DIGEST_BYTES, fate);
    if (fate != NULL)
        forget_fate(control, fate);
    else if (HASH_COUNT(control->fates) >= CG_LEASES_REMEMBERED_MAX)
        forget_fate(control, control->fates); /* the head is the oldest */
    fate = must(calloc(1, sizeof(*fate)));
    memcpy(fate->digest, lease->digest, CONTROL_DIGEST_BYTES);
    fate->text = must(strdup(lease->fate));
    fate->agent = must(strdup(lease->agent->name));
    HASH_ADD(hh, control->fates, digest, CONTROL_DIGEST_BYTES, fate);
}

const char *fate_of(const struct control *control, const uint8_t *digest)
{
    const struct lease *lease;
    struct fate *fate;

    if (digest == NULL)
        return "no lease came";
    if ((lease = lease_find(control, digest)) != NULL) {
        if (lease->state == LEASE_ENDED)
            return lease->fate;
        return lease_is_valid(lease, control_now(control)) ? "the lease is of another agent"
                                                           : "expired";
    }
    HASH_FIND(hh, control->fates, digest, CONTROL_DIGEST_BYTES, fate);
    return fate != NULL ? fate->text : "no such lease is known";
}

const char *fate_agent(const struct control *control, const uint8_t *digest)
{
    const struct lease *lease = digest != NULL ? lease_find(control, digest) : NULL;
    struct fate *fate = NULL;

    if (lease != NULL)
        return lease->agent->name;
    if (digest != NULL)
        HASH_FIND(hh, control->fates, digest, CONTROL_DIGEST_BYTES, fate);
    return fate != NULL ? fate->agent : NULL;
}

void fates_free(struct control *control)
{
    struct fate *fate, *next;
    HASH_ITER(hh, control->fates, fate, next) forget_fate(control, fate);
}

/* ---- secrets ---- */

/* Base64 for URLs (RFC 4648 section 5), without padding. */
static void to_text(char text[CONTROL_LEASE_BYTES + 1], const uint8_t bytes[32])
{
    unsigned char padded[CONTROL_LEASE_BYTES + 2];
    size_t i;

    EVP_EncodeBlock(padded, bytes, 32);
    for (i = 0; i < CONTROL_LEASE_BYTES; ++i)
        text[i] = padded[i] == '+' ? '-' : padded[i] == '/' ? '_' : (char)padded[i];
    text[CONTROL_LEASE_BYTES] = '\0';
    OPENSSL_cleanse(padded, sizeof(padded));
}

int secret_make(char text[CONTROL_LEASE_BYTES + 1], uint8_t digest[CONTROL_DIGEST_BYTES])
{
    uint8_t bytes[32];
    int rc = CG_E_IO;

    if (getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes)) {
        to_text(text, bytes);
        SHA256((const unsigned char *)text, CONTROL_LEASE_BYTES, digest);
        rc = CG_OK;
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return rc;
}
