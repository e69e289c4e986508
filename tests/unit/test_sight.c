/* Who sees a call: by legs at places of his, whoever's session found them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/model/live.h"

struct floor {
    struct model model;
    struct config config;
    struct node *contact;
};

static struct node *place(struct floor *f, const char *name, uint32_t user)
{
    struct node *node = graph_get(&f->model.graph, ENTITY_ADDRESS, name, NULL);
    if (user != 0)
        node_add_user(node, user);
    return node;
}

static struct node *leg(struct floor *f, const char *id, struct node *at)
{
    struct node *node = graph_get(&f->model.graph, ENTITY_CONNECTION, id, NULL);
    node_tell(node, "contact", json_string(f->contact->id), 1);
    node_tell(node, "address", json_string(at->id), 1);
    node_link(f->contact, "connections", id, 1);
    node_link(at, "connections", id, 1);
    return node;
}

static int begin(void **state)
{
    struct floor *f = calloc(1, sizeof(*f));
    struct model_settings settings = {0};

    if (f == NULL || live_new(&f->model, &settings) != 0)
        return -1;
    f->model.config = &f->config;
    f->model.consult_of = json_object();
    f->contact = graph_get(&f->model.graph, ENTITY_CONTACT, "call", NULL);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct floor *f = *state;
    live_free(&f->model);
    holdings_free(&f->model);
    graph_free(&f->model.graph);
    json_decref(f->model.consult_of);
    free(f);
    return 0;
}

static void test_stays_for_whose_leg_was_only_read(void **state)
{
    struct floor *f = *state;
    struct node *mine = place(f, "mine", 1), *his = place(f, "his", 2);
    struct node *gone = leg(f, "n1", mine);

    leg(f, "n2", his);
    contact_see(&f->model, f->contact, 1);
    connection_over(&f->model, gone, 2, 1);
    contact_out_of_sight(&f->model, f->contact, mine);
    assert_false(f->contact->ended);
    assert_false(node_has_user(f->contact, 1));
    assert_true(node_has_user(f->contact, 2));
    assert_non_null(json_object_get(json_object_get(his->facts, "connections"), "n2"));
}

static void test_goes_with_the_last_who_had_a_leg(void **state)
{
    struct floor *f = *state;
    struct node *mine = place(f, "mine", 1), *outside = place(f, "outside", 0);
    struct node *gone = leg(f, "n1", mine);

    leg(f, "n2", outside);
    contact_see(&f->model, f->contact, 1);
    connection_over(&f->model, gone, 2, 1);
    contact_out_of_sight(&f->model, f->contact, mine);
    assert_true(f->contact->ended && f->contact->unseen);
    assert_null(graph_find(&f->model.graph, ENTITY_CONNECTION, "n2"));
    assert_null(graph_find(&f->model.graph, ENTITY_ADDRESS, "outside"));
    assert_false(is_over(&f->model, "n2", 0)); /* it goes on elsewhere, and may come back */
    assert_true(is_over(&f->model, "n1", 0));
}

static void test_one_of_two_legs_is_enough(void **state)
{
    struct floor *f = *state;
    struct node *mine = place(f, "mine", 1), *also = place(f, "also", 1);
    struct node *gone = leg(f, "n1", mine);

    leg(f, "n2", also);
    contact_see(&f->model, f->contact, 1);
    connection_over(&f->model, gone, 2, 1);
    contact_out_of_sight(&f->model, f->contact, mine);
    assert_true(node_has_user(f->contact, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stays_for_whose_leg_was_only_read, begin, end),
        cmocka_unit_test_setup_teardown(test_goes_with_the_last_who_had_a_leg, begin, end),
        cmocka_unit_test_setup_teardown(test_one_of_two_legs_is_enough, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
