/* Beginning, end and reload; the gate; figures. */
#include <stdlib.h>
#include <string.h>

#include "gateway/control/control_private.h"

const char *const control_profile_names[CONTROL_PROFILES] = {"FullControl", "MonitorOnly",
                                                             "CallRecorder"};

enum control_profile control_profile_by_name(const char *name)
{
    unsigned i;

    for (i = 0; i < CONTROL_PROFILES; ++i)
        if (strcmp(control_profile_names[i], name) == 0)
            return (enum control_profile)i;
    return CONTROL_PROFILES;
}

/* ---- the configuration ---- */

static void reserve_by_configuration(struct control *control)
{
    const struct config *config = control->config;
    struct agent *agent, *next;
    size_t i;

    HASH_ITER(hh, control->agents, agent, next)
    {
        agent->configured_before = agent->configured;
        agent->configured = NULL;
    }
    for (i = 0; i < config->control.num_reserved; ++i)
        agent_get(control, config->control.reserved[i].agent)->configured =
            config->control.reserved[i].application;
}

/* No FullControl where the configuration does not allow it. */
static void enforce(struct control *control)
{
    struct agent *agent, *next;

    HASH_ITER(hh, control->agents, agent, next)
    {
        if (agent->configured != NULL && agent->full != NULL)
            end_by_itself(agent->full, CONTROL_RESERVED, agent->configured, NULL);
    }
}

static int is_same(const char *left, const char *right)
{
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static void tell_changes(struct control *control)
{
    struct agent *agent, *next;

    HASH_ITER(hh, control->agents, agent, next)
    {
        if (!is_same(agent->configured, agent->configured_before))
            control_changed(control, agent->name);
        agent->configured_before = NULL;
        agent_settle(agent);
    }
}

void control_configure(struct control *control, struct config *config)
{
    struct config *former = control->config;

    control->config = config_ref(config);
    reserve_by_configuration(control);
    enforce(control);
    tell_changes(control);
    config_unref(&former);
    renew_arm(control);
}

/* ---- beginning and end ---- */

static void on_renewal(struct timer *timer)
{
    renew_bound(ENCLOSING(struct control, renewal, timer));
}

static void on_retry(struct timer *timer)
{
    end_retry(ENCLOSING(struct control, retry, timer));
}

/* Of several, which cannot be, the newest; where somebody else has the agent, none. */
static void choose_holder(struct agent *agent)
{
    struct lease *lease;

    DL_FOREACH(agent->leases, lease)
    if (lease->profile == CONTROL_FULL &&
        (agent->full == NULL || lease->fence > agent->full->fence))
        agent->full = lease;
    DL_FOREACH(agent->leases, lease)
    {
        if (lease->profile != CONTROL_FULL || lease->state != LEASE_HELD)
            continue;
        if (lease != agent->full)
            end_by_itself(lease, CONTROL_EXPIRED, NULL, "another lease of the agent is newer");
    }
    if (agent->full != NULL && agent->configured == NULL && agent->claim != NULL)
        end_by_itself(agent->full, CONTROL_RESERVED, agent->claim->application, NULL);
}

static void settle_what_was_read(struct control *control)
{
    struct agent *agent, *next_agent;
    struct lease *lease, *next;

    HASH_ITER(hh, control->agents, agent, next_agent) choose_holder(agent);
    enforce(control);
    HASH_ITER(hh, control->leases, lease, next) lease_check(lease);
    HASH_ITER(hh, control->agents, agent, next_agent) claim_check(agent);
}

int control_new_on(struct control **out, const struct control_settings *settings,
                   const struct control_clock *clock)
{
    struct control *control = calloc(1, sizeof(*control));
    int rc;

    *out = NULL;
    if (control == NULL)
        return CG_E_NOMEM;
    control->settings = *settings;
    control->clock = *clock;
    control->config = config_ref(settings->config);
    control->renewal.on_due = on_renewal;
    control->retry.on_due = on_retry;
    if ((rc = rows_read(control)) != CG_OK) {
        control_free(&control);
        return rc;
    }
    reserve_by_configuration(control);
    settle_what_was_read(control);
    *out = control;
    return CG_OK;
}

int control_new(struct control **control, const struct control_settings *settings)
{
    static const struct control_clock clock = {clock_monotonic_ms, clock_steady_ms};
    return control_new_on(control, settings, &clock);
}

static void free_tables(struct control *control)
{
    struct agent *agent, *next_agent;
    struct lease *lease, *next;

    HASH_ITER(hh, control->leases, lease, next) lease_drop(lease);
    HASH_ITER(hh, control->agents, agent, next_agent)
    {
        claim_free(agent->claim);
        claim_put(agent, NULL);
        agent->configured = NULL;
        agent_settle(agent);
    }
    fates_free(control);
}

void control_free(struct control **in)
{
    struct control *control = *in;
    struct client *client, *next_client;
    struct op *op, *next;

    *in = NULL;
    if (control == NULL)
        return;
    timer_disarm(control->settings.loop, &control->renewal);
    timer_disarm(control->settings.loop, &control->retry);
    DL_FOREACH_SAFE(control->ops, op, next)
    {
        op->control = NULL; /* freed when its batch comes back */
        if (op->client != NULL)
            DL_DELETE2(op->client->binds, op, prev_bind, next_bind);
        op->client = NULL;
    }
    while ((op = control->limbo) != NULL) {
        DL_DELETE(control->limbo, op);
        op_free(op);
    }
    free_tables(control);
    HASH_ITER(hh, control->clients, client, next_client) client_settle(control, client);
    config_unref(&control->config);
    free(control);
}

void control_tick(struct control *control)
{
    struct agent *agent, *next_agent;
    struct lease *lease, *next;

    HASH_ITER(hh, control->leases, lease, next) lease_check(lease);
    HASH_ITER(hh, control->agents, agent, next_agent) claim_check(agent);
}

/* ---- the gate ---- */

void control_check(struct control *control, const char *name, const uint8_t *digest,
                   struct control_verdict *verdict)
{
    int64_t now_ms = control_now(control);
    const struct agent *agent = agent_find(control, name);
    const struct lease *lease = digest != NULL ? lease_find(control, digest) : NULL;
    int is_ours = lease != NULL && lease->agent == agent && lease_is_valid(lease, now_ms);
    int has_ended = lease != NULL && lease->agent == agent && !is_ours;
    struct fate *fate = NULL;

    memset(verdict, 0, sizeof(*verdict));
    if (is_ours && agent->full == lease) {
        verdict->answer = CONTROL_OK;
        verdict->fence = lease->fence;
        verdict->valid_until_ms = lease->expires_ms;
        return;
    }
    if (digest != NULL)
        HASH_FIND(hh, control->fates, digest, CONTROL_DIGEST_BYTES, fate);
    if (!has_ended && fate == NULL && agent != NULL &&
        (verdict->holder = describe_holder(agent, NULL, now_ms)) != NULL) {
        verdict->answer = CONTROL_HELD;
        return;
    }
    verdict->answer = digest == NULL || is_ours ? CONTROL_DENIED : CONTROL_LOST;
    text_format(verdict->detail, sizeof(verdict->detail), "%s",
                is_ours ? "the lease's profile does not allow commands" : fate_of(control, digest));
}

const char *control_agent_of(const struct control *control, const uint8_t *digest,
                             enum control_profile *profile)
{
    const struct lease *lease = digest != NULL ? lease_find(control, digest) : NULL;

    if (lease == NULL || !lease_is_valid(lease, control_now(control)))
        return NULL;
    if (profile != NULL)
        *profile = lease->profile;
    return lease->agent->name;
}

const char *control_application_of(const struct control *control, const uint8_t *digest)
{
    const struct lease *lease = digest != NULL ? lease_find(control, digest) : NULL;
    return lease != NULL && lease_is_valid(lease, control_now(control)) ? lease->application : NULL;
}

/* ---- figures ---- */

void control_get_stats(const struct control *control, struct control_stats *stats)
{
    *stats = control->stats;
    stats->leases = HASH_COUNT(control->leases);
    stats->reservations = control->claims + control->config->control.num_reserved;
    stats->fence = control->fence;
}
