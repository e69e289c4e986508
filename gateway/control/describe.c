#include <string.h>

#include "gateway/control/control_private.h"

static json_t *holder_json(const char *application, json_t *since, json_t *expires_at)
{
    json_t *json = must(json_object());

    json_set_text(json, "profile", control_profile_names[CONTROL_FULL]);
    json_set_text(json, "application", application);
    json_set(json, "since", since);
    json_set(json, "expiresAt", expires_at);
    return json;
}

json_t *describe_lease(const struct lease *lease)
{
    json_t *json = holder_json(lease->application, time_json(lease->since_ms),
                               time_json(lease->expires_at_ms));
    json_set_text(json, "profile", control_profile_names[lease->profile]);
    return json;
}

static json_t *describe_reservation(const char *application, json_t *since)
{
    json_t *json = holder_json(application, since, json_null());
    json_set(json, "reserved", json_true());
    return json;
}

static json_t *describe_claim(const struct claim *claim)
{
    json_t *json;

    if (claim->kind == CLAIM_RESERVATION)
        return describe_reservation(claim->application, time_json(claim->since_ms));
    json = holder_json(claim->application, time_json(claim->since_ms),
                       time_json(claim->expires_at_ms));
    json_set(json, "pending", json_true());
    return json;
}

json_t *describe_holder(const struct agent *agent, const char *application, int64_t now_ms)
{
    const struct claim *claim = agent->claim;

    if (agent->full != NULL)
        return describe_lease(agent->full);
    if (agent->configured != NULL)
        return describe_reservation(agent->configured, json_null());
    if (claim == NULL || claim_is_over(claim, now_ms))
        return NULL;
    if (claim->kind == CLAIM_TRANSFER && claim->state == CLAIM_HELD && application != NULL &&
        strcmp(claim->application, application) == 0)
        return NULL;
    return describe_claim(claim);
}

/* ---- what is on the disk ---- */

static const struct claim *claim_told(const struct agent *agent, int64_t now_ms)
{
    const struct claim *claim = agent->claim;

    if (claim != NULL && claim->state == CLAIM_WRITING)
        claim = claim->former;
    return claim == NULL || claim_is_over(claim, now_ms) ? NULL : claim;
}

static json_t *describe_agent(const struct agent *agent, int64_t now_ms)
{
    const struct claim *claim = claim_told(agent, now_ms);

    if (agent->full != NULL && lease_is_valid(agent->full, now_ms))
        return describe_lease(agent->full);
    if (agent->configured != NULL)
        return describe_reservation(agent->configured, json_null());
    return claim != NULL ? describe_claim(claim) : json_null();
}

json_t *control_describe(const struct control *control, const char *name)
{
    const struct agent *agent = agent_find(control, name);
    return agent != NULL ? describe_agent(agent, control_now(control)) : json_null();
}

static json_t *instances(const struct agent *agent, int64_t now_ms)
{
    json_t *array = must(json_array());
    const struct lease *lease;

    DL_FOREACH(agent->leases, lease)
    {
        json_t *json;
        if (!lease_is_valid(lease, now_ms))
            continue;
        json = describe_lease(lease);
        json_set(json, "bound", json_boolean(lease->client != NULL));
        json_array_append_new(array, json);
    }
    return array;
}

static json_t *reservation(const struct agent *agent, int64_t now_ms)
{
    const struct claim *claim = claim_told(agent, now_ms);
    const char *application = agent->configured;
    json_t *json;

    if (application == NULL && claim != NULL && claim->kind == CLAIM_RESERVATION)
        application = claim->application;
    if (application == NULL)
        return json_null();
    json = must(json_object());
    json_set_text(json, "application", application);
    json_set(json, "configured", json_boolean(agent->configured != NULL));
    return json;
}

static json_t *fence_json(const struct agent *agent, int64_t now_ms)
{
    if (agent->full == NULL || !lease_is_valid(agent->full, now_ms))
        return json_null();
    return json_integer((json_int_t)agent->full->fence);
}

json_t *control_describe_all(const struct control *control, const char *name)
{
    const struct agent *agent = agent_find(control, name);
    int64_t now_ms = control_now(control);
    json_t *json = agent != NULL ? describe_agent(agent, now_ms) : json_null();

    if (json_is_null(json))
        json =
            must(json_pack("{s:n, s:n, s:n, s:n}", "profile", "application", "since", "expiresAt"));
    json_set(json, "fence", agent != NULL ? fence_json(agent, now_ms) : json_null());
    json_set(json, "instances", agent != NULL ? instances(agent, now_ms) : json_array());
    json_set(json, "reservation", agent != NULL ? reservation(agent, now_ms) : json_null());
    return json;
}
