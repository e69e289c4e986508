/* The rows of control: JSON in durable tables. */
#include <stdlib.h>
#include <string.h>

#include "cctgate/log.h"
#include "gateway/control/control_private.h"

#define ROW_FENCE "fence"

static void put(struct durable_batch *batch, enum durable_table table, const void *key,
                size_t key_length, json_t *json)
{
    char *text = must(json_dumps(json, JSON_COMPACT));

    durable_put(batch, table, key, key_length, text, strlen(text));
    free(text);
    json_decref(json);
}

void row_put_lease(struct durable_batch *batch, const struct lease *lease, int64_t expires_at_ms)
{
    put(batch, DURABLE_LEASES, lease->digest, CONTROL_DIGEST_BYTES,
        must(json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "agent", lease->agent->name, "profile",
                       control_profile_names[lease->profile], "application", lease->application,
                       "fence", (json_int_t)lease->fence, "since", (json_int_t)lease->since_ms,
                       "expires", (json_int_t)expires_at_ms)));
}

void row_delete_lease(struct durable_batch *batch, const struct lease *lease)
{
    durable_delete(batch, DURABLE_LEASES, lease->digest, CONTROL_DIGEST_BYTES);
}

void row_put_claim(struct durable_batch *batch, const struct agent *agent,
                   const struct claim *claim)
{
    put(batch, DURABLE_RESERVATIONS, agent->name, strlen(agent->name),
        must(json_pack("{s:s, s:s, s:I, s:I}", "kind",
                       claim->kind == CLAIM_TRANSFER ? "transfer" : "reservation", "application",
                       claim->application, "since", (json_int_t)claim->since_ms, "expires",
                       (json_int_t)claim->expires_at_ms)));
}

void row_delete_claim(struct durable_batch *batch, const char *agent)
{
    durable_delete(batch, DURABLE_RESERVATIONS, agent, strlen(agent));
}

void row_put_fence(struct durable_batch *batch, uint64_t fence)
{
    put(batch, DURABLE_STATE, ROW_FENCE, strlen(ROW_FENCE),
        must(json_pack("{s:I}", "last", (json_int_t)fence)));
}

/* ---- at start ---- */

struct reading {
    struct control *control;
    int64_t now_ms, unix_ms;
};

/* What is left, never more than a time-to-live, on the clock that counts from now on. */
static int64_t left_until(const struct reading *reading, int64_t expires_at_ms)
{
    int64_t ttl_ms = reading->control->config->control.ttl_ms;
    int64_t left_ms = expires_at_ms > reading->unix_ms ? expires_at_ms - reading->unix_ms : 0;
    return reading->now_ms + (left_ms < ttl_ms ? left_ms : ttl_ms);
}

static void note_unreadable(const char *table)
{
    log_write(LOG_LEVEL_WARNING, "controlRowUnreadable",
              "A row of control is not what it should be", LOG_S("table", table));
}

static int lease_from(struct reading *reading, const void *digest, const json_t *json)
{
    const char *agent, *profile, *application;
    json_int_t fence, since, expires;
    enum control_profile number;
    struct lease *lease;

    if (json_unpack((json_t *)json, "{s:s, s:s, s:s, s:I, s:I, s:I}", "agent", &agent, "profile",
                    &profile, "application", &application, "fence", &fence, "since", &since,
                    "expires", &expires) != 0 ||
        !text_is_name(agent, CG_ID_BYTES_MAX) || fence <= 0 || since < 0 || expires < 0 ||
        (number = control_profile_by_name(profile)) == CONTROL_PROFILES ||
        lease_find(reading->control, digest) != NULL)
        return CG_E_CORRUPT;
    lease = lease_new(agent_get(reading->control, agent), digest, number, application);
    lease->state = LEASE_HELD;
    lease->committed = 1;
    lease->fence = (uint64_t)fence;
    lease->since_ms = since;
    lease->expires_at_ms = expires;
    lease->expires_ms = left_until(reading, expires);
    if (lease->fence > reading->control->fence)
        reading->control->fence = lease->fence;
    return CG_OK;
}

static int on_lease(void *data, const void *key, size_t key_length, const void *value,
                    size_t length)
{
    json_t *json = json_loadb(value, length, JSON_REJECT_DUPLICATES, NULL);

    if (key_length != CONTROL_DIGEST_BYTES || json == NULL || lease_from(data, key, json) != CG_OK)
        note_unreadable("leases");
    json_decref(json);
    return 0;
}

static int claim_from(struct reading *reading, const char *name, const json_t *json)
{
    const char *kind, *application;
    json_int_t since, expires;
    struct agent *agent;
    struct claim *claim;

    if (json_unpack((json_t *)json, "{s:s, s:s, s:I, s:I}", "kind", &kind, "application",
                    &application, "since", &since, "expires", &expires) != 0 ||
        !text_is_name(name, CG_ID_BYTES_MAX) || since < 0 || expires < 0 ||
        (strcmp(kind, "reservation") != 0 && strcmp(kind, "transfer") != 0))
        return CG_E_CORRUPT;
    agent = agent_get(reading->control, name);
    if (agent->claim != NULL)
        return CG_E_CORRUPT;
    claim =
        claim_new(strcmp(kind, "transfer") == 0 ? CLAIM_TRANSFER : CLAIM_RESERVATION, application);
    claim->state = CLAIM_HELD;
    claim->since_ms = since;
    claim->expires_at_ms = expires;
    claim->expires_ms = left_until(reading, expires);
    claim_put(agent, claim);
    return CG_OK;
}

static int on_claim(void *data, const void *key, size_t key_length, const void *value,
                    size_t length)
{
    json_t *json = json_loadb(value, length, JSON_REJECT_DUPLICATES, NULL);
    char name[CG_ID_BYTES_MAX + 1] = "";

    if (key_length < sizeof(name)) {
        memcpy(name, key, key_length);
        name[key_length] = '\0';
    }
    if (json == NULL || strlen(name) != key_length || claim_from(data, name, json) != CG_OK)
        note_unreadable("reservations");
    json_decref(json);
    return 0;
}

static int on_state(void *data, const void *key, size_t key_length, const void *value,
                    size_t length)
{
    struct reading *reading = data;
    json_int_t last;
    json_t *json;

    if (key_length != strlen(ROW_FENCE) || memcmp(key, ROW_FENCE, key_length) != 0)
        return 0;
    json = json_loadb(value, length, JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL || json_unpack(json, "{s:I}", "last", &last) != 0 || last < 0)
        note_unreadable("state");
    else if ((uint64_t)last > reading->control->fence)
        reading->control->fence = (uint64_t)last;
    json_decref(json);
    return 1;
}

int rows_read(struct control *control)
{
    struct durable *durable = control->settings.durable;
    struct reading reading = {control, control_now(control), control->clock.unix_ms()};
    int rc;

    if ((rc = durable_walk(durable, DURABLE_STATE, on_state, &reading)) != CG_OK ||
        (rc = durable_walk(durable, DURABLE_LEASES, on_lease, &reading)) != CG_OK)
        return rc;
    return durable_walk(durable, DURABLE_RESERVATIONS, on_claim, &reading);
}
