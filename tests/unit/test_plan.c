/* The facade's mapping table against the contract: every operation, argument and result it names is there; and how deep it goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cctgate/codec.h"
#include "cctgate/contract.h"
#include "cctgate/xml.h"
#include "gateway/model/plan.h"

#define ROUND_TRIPS_MAX 4

static struct contract *contract;

static int load(void **state)
{
    char error[512];
    (void)state;
    xml_init();
    return contract_load(&contract, "conf/contract", error, sizeof(error));
}

static int unload(void **state)
{
    (void)state;
    contract_free(&contract);
    return 0;
}

static void test_every_step_is_in_the_contract(void **state)
{
    size_t i;
    (void)state;
    for (i = 0; i < plan_num_steps; ++i) {
        const struct plan_step *step = &plan_steps[i];
        const struct contract_operation *op =
            contract_find(contract, step->service, step->operation);
        json_t *input, *output;

        print_message("%s.%s\n", step->service, step->operation);
        assert_non_null(op);
        assert_true(op->takes_token);
        assert_true(strncmp(step->operation, "Get", 3) == 0 ||
                    strncmp(step->operation, "Is", 2) == 0);
        input = codec_example_input(op, 0);
        output = codec_example_output(op, 1);
        assert_int_equal(json_object_size(input), step->argument != NULL ? 1 : 0);
        if (step->argument != NULL)
            assert_non_null(json_object_get(input, step->argument));
        assert_non_null(json_object_get(output, step->result));
        if (step->child != ENTITY_NONE) {
            json_t *handle = json_object_get(output, step->result);
            if (json_is_array(handle))
                handle = json_array_get(handle, 0);
            assert_non_null(json_object_get(handle, entity_rows[step->child].key));
            if (entity_rows[step->child].type != NULL)
                assert_non_null(json_object_get(handle, entity_rows[step->child].type));
        }
        json_decref(input);
        json_decref(output);
    }
}

/* The longest chain of calls, of which each needs the one before: what a cold read costs in round trips. */
static int depth_from(enum record_kind kind, enum entity on, int depth)
{
    int deepest = depth;
    size_t i;

    assert_true(depth < 20);
    for (i = 0; i < plan_num_steps; ++i) {
        const struct plan_step *step = &plan_steps[i];
        int here = depth + 1 + (step->after != NULL);
        if (!(step->kinds & (1u << kind)) || step->on != on)
            continue;
        if (here > deepest)
            deepest = here;
        if (step->child != ENTITY_NONE) {
            int below = depth_from(kind, step->child, here);
            if (below > deepest)
                deepest = below;
        }
    }
    return deepest;
}

static void test_round_trips(void **state)
{
    unsigned kind;
    (void)state;
    for (kind = 1; kind <= RECORD_USER_CALLS; ++kind) {
        int depth = depth_from((enum record_kind)kind, plan_root((enum record_kind)kind), 0);
        print_message("kind %u: %d\n", kind, depth);
        assert_in_range(depth, kind == RECORD_USER_CALLS ? 0 : 1, ROUND_TRIPS_MAX);
    }
    assert_int_equal(depth_from(RECORD_AGENT, ENTITY_AGENT, 0), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_step_is_in_the_contract),
                                       cmocka_unit_test(test_round_trips)};
    return cmocka_run_group_tests(tests, load, unload);
}
