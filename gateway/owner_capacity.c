/* /v1/capacity and its metrics: how near the contact centre is to its limits. */
#include "cctgate/capacity.h"
#include "gateway/owner_private.h"

static enum capacity_level worse(enum capacity_level a, enum capacity_level b)
{
    return a > b ? a : b;
}

static json_t *gauge(uint64_t value, unsigned limit)
{
    return model_capacity_gauge(capacity_level(value, limit), value, limit);
}

static enum capacity_level level_of(const struct capacity_limits *limits,
                                    const struct model_stats *stats)
{
    return worse(capacity_level(stats->agents_logged_in, limits->agents),
                 capacity_level(stats->contacts_last_hour, limits->contacts_per_hour));
}

json_t *owner_describe_capacity(struct owner *owner, const struct owner_query *query)
{
    struct capacity_limits limits = model_capacity_limits(owner->model);
    struct model_stats stats;

    (void)query;
    model_get_stats(owner->model, &stats);
    return json_pack(
        "{s:s, s:b, s:s, s:o, s:o, s:{s:I, s:I}}", "topology", limits.name, "enforce",
        owner->config->capacity.enforce, "level", capacity_level_names[level_of(&limits, &stats)],
        "loggedInAgents", gauge(stats.agents_logged_in, limits.agents), "contactsPerHour",
        gauge(stats.contacts_last_hour, limits.contacts_per_hour), "observed", "agents",
        (json_int_t)stats.agents_known, "contacts", (json_int_t)stats.contacts_last_hour);
}

void owner_describe_load(struct owner *owner, json_t *metrics)
{
    struct capacity_limits limits = model_capacity_limits(owner->model);
    struct model_stats stats;
    struct commands_stats commands;
    json_t *own;

    model_get_stats(owner->model, &stats);
    commands_get_stats(owner->commands, &commands);
    own = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "capacity_agents",
                    (json_int_t)stats.agents_logged_in, "capacity_agents_limit",
                    (json_int_t)limits.agents, "capacity_contacts_per_hour",
                    (json_int_t)stats.contacts_last_hour, "capacity_contacts_per_hour_limit",
                    (json_int_t)limits.contacts_per_hour, "capacity_level",
                    (json_int_t)level_of(&limits, &stats), "capacity_refusals_total",
                    (json_int_t)commands.over_capacity);
    json_object_update(metrics, own);
    json_decref(own);
}
