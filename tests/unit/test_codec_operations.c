/* Every operation of both contracts: made-up values go out valid and come back equal. */
#include "contract_support.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
    struct contract *contract;
    struct support_schema cct, outbound11, outbound12;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    support_init();
    support_schema_load(&fixture->cct, CCT_DIRECTORY "/samples/soap11-envelope.xsd");
    support_schema_load(&fixture->outbound11, OUTBOUND_DIRECTORY "/xsd/check-soap11.xsd");
    support_schema_load(&fixture->outbound12, OUTBOUND_DIRECTORY "/xsd/check-soap12.xsd");
    fixture->contract = support_load(CONTRACT_DIRECTORY);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    contract_free(&fixture->contract);
    support_schema_release(&fixture->cct);
    support_schema_release(&fixture->outbound11);
    support_schema_release(&fixture->outbound12);
    free(fixture);
    return 0;
}

static const struct support_schema *schema_for(const struct fixture *fixture,
                                               const struct contract_operation *op,
                                               enum soap_version version)
{
    if (version == SOAP_1_2)
        return &fixture->outbound12;
    return op->service->soap12 ? &fixture->outbound11 : &fixture->cct;
}

static void assert_same(const json_t *expected, const json_t *got, const char *label)
{
    json_t *a = support_without_empty_arrays(expected), *b = support_without_empty_arrays(got);
    if (!json_equal(a, b)) {
        char *x = json_dumps(a, JSON_SORT_KEYS), *y = json_dumps(b, JSON_SORT_KEYS);
        fail_msg("%s: sent %s, got %s", label, x, y);
    }
    json_decref(a);
    json_decref(b);
}

static void check_request(const struct fixture *fixture, const struct contract_operation *op,
                          enum soap_version version, int maximal, const char *label)
{
    struct codec_buffer buffer = {0};
    struct codec_error error = {0};
    const struct contract_operation *found;
    const char *sent = op->takes_token ? "token-<&>-1" : NULL;
    json_t *arguments = codec_example_input(op, maximal), *decoded;
    char *token;
    if (codec_encode_request(op, version, arguments, sent, &buffer, &error) != CG_OK)
        fail_msg("%s: %s", label, error.text);
    support_assert_valid(schema_for(fixture, op, version), &buffer, label);
    if (codec_decode_request(fixture->contract, op->service->name, buffer.bytes, buffer.length,
                             &found, &decoded, &token, &error) != CG_OK)
        fail_msg("%s: %s", label, error.text);
    assert_ptr_equal(found, op);
    assert_same(arguments, decoded, label);
    if (sent == NULL)
        assert_null(token);
    else
        assert_string_equal(token, sent);
    free(token);
    json_decref(decoded);
    json_decref(arguments);
    codec_buffer_release(&buffer);
}

static void check_response(const struct fixture *fixture, const struct contract_operation *op,
                           enum soap_version version, int maximal, const char *label)
{
    struct codec_buffer buffer = {0};
    struct codec_error error = {0};
    struct codec_fault fault;
    json_t *result = codec_example_output(op, maximal), *decoded;
    if (codec_encode_response(op, version, result, &buffer, &error) != CG_OK)
        fail_msg("%s: %s", label, error.text);
    support_assert_valid(schema_for(fixture, op, version), &buffer, label);
    if (codec_decode_response(op, buffer.bytes, buffer.length, &decoded, &fault, &error) != CG_OK)
        fail_msg("%s: %s", label, error.text);
    assert_same(result, decoded, label);
    json_decref(decoded);
    json_decref(result);
    codec_buffer_release(&buffer);
}

static void check_operation(const struct fixture *fixture, const struct contract_operation *op,
                            enum soap_version version)
{
    for (int maximal = 0; maximal < 2; maximal++) {
        char *label = support_format("%s.%s SOAP %d %s", op->service->name, op->name, version,
                                     maximal ? "maximal" : "minimal");
        check_request(fixture, op, version, maximal, label);
        if (!op->one_way)
            check_response(fixture, op, version, maximal, label);
        free(label);
    }
}

static void every_operation_goes_out_valid_and_comes_back_equal(void **state)
{
    const struct fixture *fixture = *state;
    size_t checked = 0;
    for (size_t i = 0; i < contract_num_services(fixture->contract); i++) {
        const struct contract_service *service = contract_service_at(fixture->contract, i);
        for (size_t j = 0; j < service->num_operations; j++) {
            check_operation(fixture, &service->operations[j], SOAP_1_1);
            if (service->soap12)
                check_operation(fixture, &service->operations[j], SOAP_1_2);
            checked++;
        }
    }
    assert_int_equal(checked, 228);
}

/* The alternative of an anyOf that an object stands for, and what a reference refers to. */
static const json_t *resolve(const json_t *root, const json_t *schema)
{
    json_t *alternative;
    size_t i;
    json_array_foreach(json_object_get(schema, "anyOf"), i, alternative)
    {
        if (json_object_get(alternative, "$ref") != NULL ||
            json_object_get(alternative, "properties") != NULL)
            return resolve(root, alternative);
    }
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    return reference == NULL
               ? schema
               : json_object_get(json_object_get(root, "$defs"), reference + strlen("#/$defs/"));
}

/* A schema that does not describe what the codec takes would mislead every client. */
static void assert_describes(const json_t *root, const json_t *schema, const json_t *value,
                             int depth)
{
    const char *name;
    json_t *member, *required;
    size_t i;
    schema = resolve(root, schema);
    assert_non_null(schema);
    assert_true(depth < 40);
    if (json_object_get(schema, "properties") == NULL)
        return; /* anything goes */
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        const json_t *property = json_object_get(json_object_get(schema, "properties"), name);
        if (property == NULL)
            fail_msg("the schema has no %s", name);
        if (json_is_array(member))
            assert_describes(root, json_object_get(property, "items"), json_array_get(member, 0),
                             depth + 1);
        else if (json_is_object(member))
            assert_describes(root, property, member, depth + 1);
    }
    json_array_foreach(json_object_get(schema, "required"), i, required)
    {
        if (json_is_object(value) && json_object_get(value, json_string_value(required)) == NULL)
            fail_msg("%s is required, but the example lacks it", json_string_value(required));
    }
}

static void every_operation_has_schemas(void **state)
{
    const struct fixture *fixture = *state;
    for (size_t i = 0; i < contract_num_services(fixture->contract); i++) {
        const struct contract_service *service = contract_service_at(fixture->contract, i);
        for (size_t j = 0; j < service->num_operations; j++) {
            const struct contract_operation *op = &service->operations[j];
            json_t *input = codec_input_schema(op), *output = codec_output_schema(op);
            json_t *arguments = codec_example_input(op, 1), *result = codec_example_output(op, 1);
            assert_describes(input, input, arguments, 0);
            assert_describes(output, output, result, 0);
            json_decref(input);
            json_decref(output);
            json_decref(arguments);
            json_decref(result);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_goes_out_valid_and_comes_back_equal),
        cmocka_unit_test(every_operation_has_schemas),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
