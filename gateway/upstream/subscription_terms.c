#include "gateway/upstream/subscription_terms.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "gateway/upstream/subscription_names.h"

#define RENEW_MIN_MS 250

/* ---- references ---- */

const char *terms_id(const char *reference, const char *url)
{
    size_t length = strlen(url);
    const char *id = reference;

    if (strncmp(reference, url, length) == 0 && reference[length] == ':')
        id = reference + length + 1;
    else if (strstr(reference, "://") != NULL)
        id = strrchr(reference, ':') + 1;
    return *id == '\0' || strncmp(id, "//", 2) == 0 ? NULL : id;
}

/* ---- times ---- */

int64_t terms_end(int64_t now_ms, int64_t skew_ms, int64_t lease_ms,
                  const struct terms_bounds *bounds)
{
    if (bounds->maximum_ms != 0 && lease_ms > bounds->maximum_ms)
        lease_ms = bounds->maximum_ms;
    if (bounds->minimum_ms != 0 && lease_ms < bounds->minimum_ms)
        lease_ms = bounds->minimum_ms;
    return now_ms + skew_ms + lease_ms;
}

int64_t terms_renew_in(int64_t now_ms, int64_t until_ms)
{
    int64_t half = (until_ms - now_ms) / 2;
    return half < RENEW_MIN_MS ? RENEW_MIN_MS : half;
}

/* ---- topics ---- */

/* The properties of what `schema` says about a member, or of the schema itself for NULL; $ref is followed. */
static const json_t *properties(const json_t *root, const json_t *schema)
{
    static const char prefix[] = "#/$defs/";
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    if (reference != NULL && strncmp(reference, prefix, sizeof(prefix) - 1) == 0)
        schema = json_object_get(json_object_get(root, "$defs"), reference + sizeof(prefix) - 1);
    return json_object_get(schema, "properties");
}

static int is_undemanding(const json_t *root, const json_t *schema)
{
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    if (reference != NULL)
        schema = json_object_get(json_object_get(root, "$defs"), strrchr(reference, '/') + 1);
    return json_array_size(json_object_get(schema, "required")) == 0;
}

int terms_has(const json_t *schema, const char *member)
{
    return json_object_get(properties(schema, schema), member) != NULL;
}

/* Each listener without a filter listens to everything; one that must be told what for cannot be made up. */
static json_t *listeners(const json_t *schema)
{
    const json_t *topic = json_object_get(properties(schema, schema), NAME_TOPIC_EXPRESSION);
    const json_t *kinds = json_object_get(properties(schema, topic), NAME_TOPIC);
    json_t *all = json_object(), *kind;
    const char *name;

    json_object_foreach((json_t *)properties(schema, kinds), name, kind)
    {
        if (name[0] != '@' && name[0] != '#' && is_undemanding(schema, kind))
            json_object_set_new(all, name, json_object());
    }
    return all;
}

static json_t *policy(const json_t *schema)
{
    const json_t *flags = json_object_get(properties(schema, schema), NAME_POLICY);
    json_t *all = json_object(), *flag;
    const char *name, *type;

    json_object_foreach((json_t *)properties(schema, flags), name, flag)
    {
        type = json_string_value(json_object_get(flag, "type"));
        if (type != NULL && strcmp(type, "boolean") == 0)
            json_object_set_new(all, name, json_true());
    }
    return all;
}

json_t *terms_template(const json_t *schema)
{
    json_t *topics = listeners(schema), *flags, *template;

    if (json_object_size(topics) == 0) {
        json_decref(topics);
        return NULL;
    }
    template = json_pack("{s:{s:o}}", NAME_TOPIC_EXPRESSION, NAME_TOPIC, topics);
    if (template != NULL && terms_has(schema, NAME_USE_NOTIFY))
        json_object_set_new(template, NAME_USE_NOTIFY, json_true());
    flags = policy(schema);
    if (template != NULL && json_object_size(flags) > 0)
        json_object_set(template, NAME_POLICY, flags);
    json_decref(flags);
    return template;
}

uint64_t terms_fingerprint(const json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    uint64_t hash = UINT64_C(14695981039346656037);
    const char *at;

    for (at = text; at != NULL && *at != '\0'; ++at)
        hash = (hash ^ (uint8_t)*at) * UINT64_C(1099511628211);
    free(text);
    return hash;
}
