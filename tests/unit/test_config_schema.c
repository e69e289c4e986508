/* The loader's tables, conf/cctgate.schema.json and conf/cctgate.json say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/config_files.h"
#include "tests/unit/json_schema.h"

static void test_schema_keywords(void **state)
{
    (void)state;
    json_schema_assert_known(files_schema);
}

static const char *schema_type(const struct config_row *row)
{
    switch (row->kind) {
    case CONFIG_INTEGER:
        return "integer";
    case CONFIG_BOOLEAN:
        return "boolean";
    case CONFIG_OBJECT:
        return "object";
    case CONFIG_STRINGS:
    case CONFIG_CHOICES:
    case CONFIG_OBJECTS:
        return "array";
    default:
        return "string";
    }
}

static void check_bound(const char *name, const json_t *rules, const char *keyword, int64_t value,
                        int present)
{
    const json_t *bound = json_object_get(rules, keyword);
    if ((bound != NULL) != (present != 0) || (present && json_integer_value(bound) != value))
        fail_msg("%s: %s differs from %lld", name, keyword, (long long)value);
}

static void check_text(const char *name, const json_t *rules, const char *keyword, const char *text)
{
    const char *found = json_string_value(json_object_get(rules, keyword));
    if ((found == NULL) != (text == NULL) || (text != NULL && strcmp(found, text) != 0))
        fail_msg("%s: %s differs from %s", name, keyword, text != NULL ? text : "none");
}

static void check_choices(const char *name, const json_t *rules, const char *const *choices)
{
    const json_t *values = json_object_get(rules, "enum");
    size_t count = 0;
    for (; choices[count] != NULL; count++) {
        const char *found = json_string_value(json_array_get(values, count));
        if (found == NULL || strcmp(found, choices[count]) != 0)
            fail_msg("%s: enum lacks %s", name, choices[count]);
    }
    assert_int_equal(json_array_size(values), count);
}

static void check_strings(const struct config_row *row, const json_t *rules)
{
    const json_t *items = json_object_get(rules, "items");
    check_text(row->name, items, "type", "string");
    if (row->kind == CONFIG_CHOICES) {
        check_choices(row->name, items, row->choices);
        return;
    }
    check_bound(row->name, items, "minLength", 1, 1);
    check_bound(row->name, items, "maxLength", CONFIG_STRING_MAX, 1);
    check_text(row->name, items, "pattern", row->pattern);
}

static void check_default(const struct config_row *row, const json_t *rules)
{
    const json_t *found = json_object_get(rules, "default");
    json_t *expected =
        row->fallback != NULL ? json_loads(row->fallback, JSON_DECODE_ANY, NULL) : NULL;
    if ((expected == NULL) != (found == NULL) ||
        (expected != NULL && !json_equal(expected, (json_t *)found)))
        fail_msg("%s: the default differs", row->name);
    if (found != NULL && !json_schema_accepts(files_schema, rules, found))
        fail_msg("%s: the default is not accepted", row->name);
    json_decref(expected);
}

static void check_tables(const struct config_row *rows, const json_t *rules);

static void check_row(const struct config_row *row, const json_t *rules)
{
    int is_array = strcmp(schema_type(row), "array") == 0;
    int is_text = strcmp(schema_type(row), "string") == 0 && row->choices == NULL;
    if (row->kind == CONFIG_SECRET) {
        check_text(row->name, rules, "$ref", "#/$defs/secret");
        return;
    }
    check_text(row->name, rules, "type", schema_type(row));
    check_default(row, rules);
    check_bound(row->name, rules, "minimum", row->minimum, row->kind == CONFIG_INTEGER);
    check_bound(row->name, rules, "maximum", row->maximum, row->kind == CONFIG_INTEGER);
    check_bound(row->name, rules, "minItems", row->minimum, is_array && row->minimum > 0);
    check_bound(row->name, rules, "maxItems", row->maximum, is_array);
    check_bound(row->name, rules, "minLength", row->minimum, is_text && row->minimum > 0);
    check_bound(row->name, rules, "maxLength", row->maximum, is_text);
    check_text(row->name, rules, "pattern", is_array ? NULL : row->pattern);
    if (row->choices != NULL && !is_array)
        check_choices(row->name, rules, row->choices);
    if (row->kind == CONFIG_STRINGS || row->kind == CONFIG_CHOICES)
        check_strings(row, rules);
    if (row->kind == CONFIG_OBJECT)
        check_tables(row->rows, rules);
    if (row->kind == CONFIG_OBJECTS)
        check_tables(row->rows, json_object_get(rules, "items"));
}

static int is_required(const json_t *rules, const char *name)
{
    json_t *text = json_string(name);
    const json_t *names = json_object_get(rules, "required");
    int found = names != NULL && json_schema_lists(names, text);
    json_decref(text);
    return found;
}

static void check_tables(const struct config_row *rows, const json_t *rules)
{
    const json_t *properties = json_object_get(rules, "properties");
    size_t count = 0, required = 0;
    check_text("object", rules, "type", "object");
    assert_true(json_is_false(json_object_get(rules, "additionalProperties")));
    assert_non_null(json_object_get(json_object_get(rules, "patternProperties"), "^//"));
    for (; rows->name != NULL; rows++, count++) {
        const json_t *property = json_object_get(properties, rows->name);
        int wanted = (rows->flags & CONFIG_REQUIRED) != 0;
        if (property == NULL)
            fail_msg("%s is not in the schema", rows->name);
        if (is_required(rules, rows->name) != wanted)
            fail_msg("%s: required differs", rows->name);
        if (rows->kind != CONFIG_SECRET && json_object_get(property, "description") == NULL)
            fail_msg("%s has no description", rows->name);
        assert_false(wanted && rows->fallback != NULL);
        required += wanted != 0;
        check_row(rows, property);
    }
    assert_int_equal(json_object_size(properties), count); /* so every property has a row */
    assert_int_equal(json_array_size(json_object_get(rules, "required")), required);
}

static void test_schema_is_the_tables(void **state)
{
    (void)state;
    check_tables(config_rows, files_schema);
    const json_t *branches =
        json_object_get(json_object_get(json_object_get(files_schema, "$defs"), "secret"), "oneOf");
    size_t i;
    for (i = 0; config_secret_sources[i] != NULL; i++)
        assert_true(is_required(json_array_get(branches, i), config_secret_sources[i]));
    assert_int_equal(json_array_size(branches), i);
}

/* No value that the tables let in is cut off by the C type that takes it. */
static void check_ranges(const struct config_row *rows)
{
    for (; rows->name != NULL; rows++) {
        if (rows->kind == CONFIG_INTEGER) {
            int64_t scale = rows->scale != 0 ? rows->scale : 1;
            assert_true(rows->minimum >= 0 && rows->minimum <= rows->maximum);
            assert_true(rows->size == 8 || rows->size == sizeof(unsigned));
            assert_true(rows->size == 8 || rows->maximum <= (int64_t)UINT_MAX / scale);
        }
        if (rows->rows != NULL)
            check_ranges(rows->rows);
    }
}

static void test_ranges_fit(void **state)
{
    (void)state;
    check_ranges(config_rows);
}

/* The default file names every setting that has a default, with that default and a comment. */
static void check_default_file(const struct config_row *rows, const json_t *json, int top)
{
    char comment[64];
    for (; rows->name != NULL; rows++) {
        const json_t *value = json_object_get(json, rows->name);
        snprintf(comment, sizeof comment, "//%s", rows->name);
        if (top && rows->name[0] != '$' && json_object_get(json, comment) == NULL)
            fail_msg("%s has no comment", rows->name);
        if (rows->fallback == NULL)
            continue;
        if (value == NULL)
            fail_msg("%s is not in the default file", rows->name);
        if (rows->kind == CONFIG_OBJECT) {
            check_default_file(rows->rows, value, 0);
        } else if (rows->kind == CONFIG_OBJECTS && json_array_size(value) > 0) {
            const json_t *item = json_array_get(value, 0);
            check_default_file(rows->rows, item, 0);
        } else {
            json_t *expected = json_loads(rows->fallback, JSON_DECODE_ANY, NULL);
            if (!json_equal(expected, (json_t *)value))
                fail_msg("%s: the default file has another value", rows->name);
            json_decref(expected);
        }
    }
}

static void test_default_file_is_complete(void **state)
{
    (void)state;
    json_t *json = files_read_json("conf/cctgate.json");
    assert_true(json_schema_accepts(files_schema, files_schema, json));
    check_default_file(config_rows, json, 1);
    const struct config_row *upstream = config_rows;
    while (strcmp(upstream->name, "upstream") != 0)
        upstream++;
    check_default_file(upstream->rows, json_object_get(json, "upstream"), 0);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_keywords),
        cmocka_unit_test(test_schema_is_the_tables),
        cmocka_unit_test(test_ranges_fit),
        cmocka_unit_test(test_default_file_is_complete),
    };
    return cmocka_run_group_tests_name("config schema", tests, files_set_up, files_tear_down);
}
