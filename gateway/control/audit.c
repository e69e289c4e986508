#include <string.h>

#include "gateway/control/control_private.h"

json_t *audit_entry_json(const struct audit_entry *entry)
{
    json_t *json = must(json_object());

    json_set(json, "time", time_json(clock_steady_ms()));
    json_set_text(json, "what", entry->what);
    json_set_text(json, "application", entry->application);
    json_set_text(json, "door", entry->door);
    json_set_text(json, "agent", entry->agent);
    json_set_text(json, "user", entry->user);
    json_set_text(json, "command", entry->command);
    json_set_text(json, "object", entry->object);
    json_set_text(json, "service", entry->service);
    json_set_text(json, "operation", entry->operation);
    json_set_text(json, "outcome", entry->outcome);
    json_set_text(json, "problem", entry->problem);
    json_set_text(json, "fault", entry->fault);
    if (entry->fence != 0)
        json_set(json, "fence", json_integer((json_int_t)entry->fence));
    return json;
}

void audit_act(const struct control *control, struct durable_batch *batch,
               const struct act_entry *entry)
{
    json_t *json = must(json_object());

    json_set(json, "time", time_json(control->clock.unix_ms()));
    json_set_text(json, "what", entry->what);
    json_set_text(json, "application", entry->application);
    json_set_text(json, "door", entry->door);
    json_set_text(json, "agent", entry->agent);
    if (entry->profile < CONTROL_PROFILES)
        json_set_text(json, "profile", control_profile_names[entry->profile]);
    if (entry->fence != 0)
        json_set(json, "fence", json_integer((json_int_t)entry->fence));
    json_set_text(json, "by", entry->by);
    json_set_text(json, "reason", entry->reason);
    json_set_text(json, "outcome", entry->outcome);
    durable_append(batch, json);
}
