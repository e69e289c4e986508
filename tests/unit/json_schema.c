#include "tests/unit/json_schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <regex.h>
#include <string.h>

#define DEPTH_MAX 16

static int accepts(const json_t *root, const json_t *rules, const json_t *json, int depth);

static int type_matches(const char *type, const json_t *json)
{
    if (strcmp(type, "object") == 0)
        return json_is_object(json);
    if (strcmp(type, "array") == 0)
        return json_is_array(json);
    if (strcmp(type, "string") == 0)
        return json_is_string(json);
    if (strcmp(type, "integer") == 0)
        return json_is_integer(json);
    assert_string_equal(type, "boolean");
    return json_is_boolean(json);
}

static int pattern_matches(const char *pattern, const char *text)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int rc = regexec(&regex, text, 0, NULL, 0);
    regfree(&regex);
    return rc == 0;
}

static json_int_t text_length(const char *text)
{
    json_int_t length = 0;
    for (; *text != '\0'; text++)
        length += ((unsigned char)*text & 0xc0) != 0x80;
    return length;
}

/* minimum and maximum, minLength and maxLength, minItems and maxItems, by which of them applies. */
static int within(const json_t *rules, const char *low, const char *high, json_int_t value)
{
    const json_t *minimum = json_object_get(rules, low), *maximum = json_object_get(rules, high);
    return (minimum == NULL || value >= json_integer_value(minimum)) &&
           (maximum == NULL || value <= json_integer_value(maximum));
}

static int member_accepted(const json_t *root, const json_t *rules, const char *name,
                           const json_t *member, int depth)
{
    const char *pattern;
    json_t *sub;
    const json_t *own = json_object_get(json_object_get(rules, "properties"), name);
    int named = own != NULL;
    if (own != NULL && !accepts(root, own, member, depth))
        return 0;
    json_object_foreach(json_object_get(rules, "patternProperties"), pattern, sub)
    {
        if (!pattern_matches(pattern, name))
            continue;
        named = 1;
        if (!accepts(root, sub, member, depth))
            return 0;
    }
    return named || !json_is_false(json_object_get(rules, "additionalProperties"));
}

static int object_accepted(const json_t *root, const json_t *rules, const json_t *json, int depth)
{
    const char *name;
    json_t *member;
    size_t i;
    json_array_foreach(json_object_get(rules, "required"), i, member)
    {
        if (json_object_get(json, json_string_value(member)) == NULL)
            return 0;
    }
    json_object_foreach((json_t *)json, name, member)
    {
        if (!member_accepted(root, rules, name, member, depth))
            return 0;
    }
    return 1;
}

static int array_accepted(const json_t *root, const json_t *rules, const json_t *json, int depth)
{
    const json_t *items = json_object_get(rules, "items");
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)json, i, item)
    {
        if (items != NULL && !accepts(root, items, item, depth))
            return 0;
    }
    return within(rules, "minItems", "maxItems", (json_int_t)json_array_size(json));
}

static int string_accepted(const json_t *rules, const char *text)
{
    const char *pattern = json_string_value(json_object_get(rules, "pattern"));
    return within(rules, "minLength", "maxLength", text_length(text)) &&
           (pattern == NULL || pattern_matches(pattern, text));
}

int json_schema_lists(const json_t *values, const json_t *json)
{
    size_t i;
    json_t *value;
    json_array_foreach((json_t *)values, i, value)
    {
        if (json_equal(value, (json_t *)json))
            return 1;
    }
    return values == NULL;
}

static const json_t *resolve(const json_t *root, const json_t *rules)
{
    static const char prefix[] = "#/$defs/";
    const char *reference = json_string_value(json_object_get(rules, "$ref"));
    if (reference == NULL)
        return rules;
    assert_memory_equal(reference, prefix, sizeof prefix - 1);
    const json_t *found =
        json_object_get(json_object_get(root, "$defs"), reference + sizeof prefix - 1);
    assert_non_null(found);
    return found;
}

static int accepts(const json_t *root, const json_t *rules, const json_t *json, int depth)
{
    size_t i, accepted = 0;
    json_t *branch;
    assert_true(depth < DEPTH_MAX);
    rules = resolve(root, rules);
    const char *type = json_string_value(json_object_get(rules, "type"));
    if (type != NULL && !type_matches(type, json))
        return 0;
    if (!json_schema_lists(json_object_get(rules, "enum"), json))
        return 0;
    json_array_foreach(json_object_get(rules, "oneOf"), i, branch)
    {
        accepted += (size_t)accepts(root, branch, json, depth + 1);
    }
    if (json_object_get(rules, "oneOf") != NULL && accepted != 1)
        return 0;
    if (json_is_object(json))
        return object_accepted(root, rules, json, depth + 1);
    if (json_is_array(json))
        return array_accepted(root, rules, json, depth + 1);
    if (json_is_string(json))
        return string_accepted(rules, json_string_value(json));
    return !json_is_integer(json) || within(rules, "minimum", "maximum", json_integer_value(json));
}

/* The checker above must know every keyword that the schema uses. */
static void walk(const json_t *rules, int depth)
{
    static const char *const known[] = {"$schema",
                                        "$defs",
                                        "$ref",
                                        "title",
                                        "description",
                                        "default",
                                        "type",
                                        "enum",
                                        "oneOf",
                                        "required",
                                        "properties",
                                        "patternProperties",
                                        "additionalProperties",
                                        "items",
                                        "minItems",
                                        "maxItems",
                                        "minimum",
                                        "maximum",
                                        "minLength",
                                        "maxLength",
                                        "pattern"};
    const char *name;
    json_t *value;
    size_t i;
    assert_true(depth < DEPTH_MAX);
    json_object_foreach((json_t *)rules, name, value)
    {
        for (i = 0; i < sizeof known / sizeof *known && strcmp(known[i], name) != 0; i++)
            continue;
        if (i == sizeof known / sizeof *known)
            fail_msg("keyword %s is not checked", name);
    }
    json_object_foreach(json_object_get(rules, "properties"), name, value)
    {
        walk(value, depth + 1);
    }
    json_object_foreach(json_object_get(rules, "$defs"), name, value)
    {
        walk(value, depth + 1);
    }
    json_array_foreach(json_object_get(rules, "oneOf"), i, value)
    {
        walk(value, depth + 1);
    }
    if (json_object_get(rules, "items") != NULL)
        walk(json_object_get(rules, "items"), depth + 1);
}

int json_schema_accepts(const json_t *root, const json_t *rules, const json_t *json)
{
    return accepts(root, rules, json, 0);
}

void json_schema_assert_known(const json_t *root)
{
    walk(root, 0);
}
