/* Facts that reads and events both feed: what an event has told is never undone by a read that is older. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/model/graph.h"

static struct node *terminal(struct graph *graph)
{
    return graph_get(graph, ENTITY_TERMINAL, "Line 1", NULL);
}

static int has(const struct node *node, const char *field, const char *id)
{
    return json_object_get(json_object_get(node->facts, field), id) != NULL;
}

static int merge(struct node *node, const char *first, const char *second, uint64_t since)
{
    json_t *ids = json_array();
    int changed;
    if (first != NULL)
        json_array_append_new(ids, json_string(first));
    if (second != NULL)
        json_array_append_new(ids, json_string(second));
    changed = node_merge_list(node, "legs", ids, since);
    json_decref(ids);
    return changed;
}

static int merge_fact(struct node *node, const char *text, uint64_t since)
{
    json_t *value = json_string(text);
    int changed = node_merge(node, "state", value, since);
    json_decref(value);
    return changed;
}

static void test_nodes(void **state)
{
    struct graph graph = {NULL};
    struct node *node = terminal(&graph);
    char *long_id = calloc(1, 300);

    (void)state;
    memset(long_id, 'x', 299);
    assert_ptr_equal(graph_find(&graph, ENTITY_TERMINAL, "Line 1"), node);
    assert_null(graph_find(&graph, ENTITY_ADDRESS, "Line 1"));
    assert_null(graph_find(&graph, ENTITY_TERMINAL, NULL));
    assert_null(graph_get(&graph, ENTITY_TERMINAL, "", NULL));
    assert_null(graph_get(&graph, ENTITY_TERMINAL, long_id, NULL));
    graph_remove(&graph, node);
    assert_null(graph_find(&graph, ENTITY_TERMINAL, "Line 1"));
    free(long_id);
    graph_free(&graph);
}

static void test_a_read_brings_a_list(void **state)
{
    struct graph graph = {NULL};
    struct node *node = terminal(&graph);

    (void)state;
    assert_true(merge(node, "a", "b", 5));
    assert_false(merge(node, "a", "b", 6));
    assert_true(merge(node, "b", NULL, 7));
    assert_false(has(node, "legs", "a"));
    assert_true(has(node, "legs", "b"));
    graph_free(&graph);
}

static void test_events_outlast_older_reads_of_a_list(void **state)
{
    struct graph graph = {NULL};
    struct node *node = terminal(&graph);

    (void)state;
    merge(node, "a", NULL, 1);
    node_link(node, "legs", "new", 10);
    node_unlink(node, "legs", "a", 11);
    assert_false(merge(node, "a", NULL, 9)); /* began before both */
    assert_true(has(node, "legs", "new"));
    assert_false(has(node, "legs", "a"));
    assert_true(
        merge(node, "a", NULL, 10)); /* began between the two: knows that "new" has gone again */
    assert_false(has(node, "legs", "new"));
    assert_false(has(node, "legs", "a"));
    assert_true(merge(node, "a", NULL, 11)); /* began after both */
    assert_true(has(node, "legs", "a"));
    graph_free(&graph);
}

static void test_events_outlast_older_reads_of_a_fact(void **state)
{
    struct graph graph = {NULL};
    struct node *node = terminal(&graph);

    (void)state;
    assert_true(merge_fact(node, "IDLE", 1));
    assert_true(node_tell(node, "state", json_string("RINGING"), 10));
    assert_false(merge_fact(node, "IDLE", 9));
    assert_string_equal(node_state(node), "RINGING");
    assert_true(merge_fact(node, "ACTIVE", 10));
    assert_string_equal(node_state(node), "ACTIVE");
    assert_false(node_tell(node, "state", json_string("ACTIVE"), 12));
    graph_free(&graph);
}

static void test_dirty_until_a_later_read(void **state)
{
    struct graph graph = {NULL};
    struct node *node = terminal(&graph);

    (void)state;
    merge_fact(node, "IDLE", 1);
    node_dirty(node, "state", 10);
    assert_true(node_is_dirty(node, "state"));
    merge_fact(node, "IDLE", 9);
    assert_true(node_is_dirty(node, "state"));
    merge_fact(node, "IDLE", 10);
    assert_false(node_is_dirty(node, "state"));
    node_dirty(node, "state", 20);
    node_tell(node, "state", json_string("ACTIVE"), 20);
    assert_false(node_is_dirty(node, "state"));
    node_dirty(node, "legs", 30);
    merge(node, "a", NULL, 29);
    assert_true(node_is_dirty(node, "legs"));
    merge(node, "a", NULL, 30);
    assert_false(node_is_dirty(node, "legs"));
    graph_free(&graph);
}

static void test_both_forms_of_a_state(void **state)
{
    struct graph graph = {NULL};
    struct node *node = terminal(&graph);
    json_t *info = json_pack("{s:{s:s}}", "currentState", "state", "HELD");

    (void)state;
    assert_null(node_state(node));
    node_merge(node, "state", info, 1);
    json_decref(info);
    assert_string_equal(node_state(node), "HELD");
    node_tell(node, "state", json_string("ACTIVE"), 2);
    assert_string_equal(node_state(node), "ACTIVE");
    graph_free(&graph);
}

static void test_users(void **state)
{
    struct graph graph = {NULL};
    struct node *node = terminal(&graph);

    (void)state;
    assert_true(node_add_user(node, 7));
    assert_true(node_add_user(node, 3));
    assert_true(node_add_user(node, 9));
    assert_false(node_add_user(node, 7));
    assert_int_equal(node->num_users, 3);
    assert_int_equal(node->users[0], 3);
    assert_int_equal(node->users[2], 9);
    node_remove_user(node, 3);
    node_remove_user(node, 4);
    assert_false(node_has_user(node, 3));
    assert_true(node_has_user(node, 7));
    assert_int_equal(node->num_users, 2);
    graph_free(&graph);
}

static void test_lists_keep_their_order(void **state)
{
    static const char *const ids[] = {"z", "a", "m", "b"};
    struct graph graph = {NULL};
    struct node *node = terminal(&graph), *child;
    size_t i, seen = 0;

    (void)state;
    for (i = 0; i < 4; ++i) {
        graph_get(&graph, ENTITY_TERMINAL_CONNECTION, ids[i], NULL);
        node_link(node, "legs", ids[i], i);
    }
    GRAPH_FOREACH(&graph, node, "legs", ENTITY_TERMINAL_CONNECTION, child)
    {
        assert_string_equal(child->id, ids[seen]);
        ++seen;
    }
    assert_int_equal(seen, 4);
    graph_free(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_a_read_brings_a_list),
        cmocka_unit_test(test_events_outlast_older_reads_of_a_list),
        cmocka_unit_test(test_events_outlast_older_reads_of_a_fact),
        cmocka_unit_test(test_dirty_until_a_later_read),
        cmocka_unit_test(test_both_forms_of_a_state),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_lists_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
