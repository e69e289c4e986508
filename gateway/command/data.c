/*
 * What a call carries. The contract only gets and sets as a whole (DOMAIN section 9), so that to change a part is to read, change and write: one
 * writer of a call at a time, in the order they came.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "cctgate/error.h"
#include "gateway/command/command_private.h"

static void write_value(struct execution *execution);

static void on_written(struct execution *execution, const struct session_outcome *outcome)
{
    conclude_outcome(execution, outcome);
}

static void write_value(struct execution *execution)
{
    json_t *arguments = arguments_make(execution);
    if (arguments != NULL)
        execution_call(execution, execution->op, arguments, on_written);
}

static int bad(struct execution *execution, const char *pointer, const char *detail)
{
    return refuse_with(execution, PROBLEM_BAD_REQUEST, detail,
                       json_pack("{s:s}", "pointer", pointer));
}

/* ---- attached data ---- */

/* {"type","value"} with a type that is not of keys; a body of any other form is keys. */
static const char *type_of(const json_t *body)
{
    const char *type = json_string_value(json_object_get(body, "type"));
    if (json_object_size(body) == 2 && json_object_get(body, "value") != NULL && type != NULL &&
        (strcmp(type, "STRING") == 0 || strcmp(type, "BINARY") == 0 ||
         strcmp(type, "KEY_VALUE_PAIRS") == 0))
        return type;
    return "KEY_VALUE_PAIRS";
}

static const json_t *pairs_of(const json_t *body)
{
    const json_t *value = json_object_get(body, "value");
    const char *type = json_string_value(json_object_get(body, "type"));
    return json_object_size(body) == 2 && json_is_object(value) && type != NULL &&
                   strcmp(type, "KEY_VALUE_PAIRS") == 0
               ? value
               : body;
}

static json_t *binary_of(struct execution *execution, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t length = json_string_length(value), i;
    unsigned char *bytes = malloc(length + 4);
    int count = text != NULL && bytes != NULL && length % 4 == 0
                    ? EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)length)
                    : -1;
    json_t *items;

    if (length == 0 && text != NULL)
        count = 0;
    if (count < 0) {
        free(bytes);
        bad(execution, "/value", "expected base64 text, with padding");
        return NULL;
    }
    for (i = length; i > 0 && text[i - 1] == '='; --i)
        --count;
    items = json_array();
    for (i = 0; i < (size_t)count; ++i)
        json_array_append_new(items, json_integer((signed char)bytes[i]));
    free(bytes);
    return items;
}

static json_t *wire_of_pairs(const json_t *pairs)
{
    json_t *items = json_array(), *value;
    const char *key;

    json_object_foreach((json_t *)pairs, key, value)
        json_array_append_new(items, json_pack("{s:s, s:O}", "key", key, "value", value));
    return json_pack("{s:s, s:{s:o}}", "type", "KEY_VALUE_PAIRS", "keyValueData", "item", items);
}

static int are_texts(struct execution *execution, const json_t *pairs, int may_be_null)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)pairs, key, value)
    {
        if (json_is_string(value) || (may_be_null && json_is_null(value)))
            continue;
        char pointer[200];
        snprintf(pointer, sizeof(pointer), "/%.180s", key);
        bad(execution, pointer, "expected a text");
        return 0;
    }
    return 1;
}

/* The attached data as the contract has it; NULL: refused already. */
static json_t *wire_of_body(struct execution *execution)
{
    const json_t *body = execution->command->body, *value = json_object_get(body, "value");
    const char *type = type_of(body);
    json_t *items;

    if (strcmp(type, "STRING") == 0) {
        if (json_is_string(value))
            return json_pack("{s:s, s:O}", "type", type, "stringData", value);
        bad(execution, "/value", "expected a text");
        return NULL;
    }
    if (strcmp(type, "BINARY") == 0) {
        items = binary_of(execution, value);
        return items != NULL
                   ? json_pack("{s:s, s:{s:o}}", "type", type, "binaryData", "item", items)
                   : NULL;
    }
    return are_texts(execution, pairs_of(body), 0) ? wire_of_pairs(pairs_of(body)) : NULL;
}

static void on_turn_to_write(struct execution *execution)
{
    write_value(execution);
}

void run_set_data(struct execution *execution)
{
    if ((execution->value = wire_of_body(execution)) != NULL)
        execution_take_turn(execution, on_turn_to_write);
}

/* ---- read, change, write ---- */

static void read_part(struct execution *execution, enum record_kind kind,
                      void (*change)(struct execution *))
{
    execution_read(execution, kind, execution->scene.ids[ENTITY_CONTACT], 1, change);
}

/* As it was read, after the last writer was answered. What is known may be older: an event of the time before that came meanwhile. */
static json_t *fact(const struct execution *execution, const char *field)
{
    return json_object_get(execution->waiter.found, field);
}

static json_t *pairs_of_wire(const json_t *items)
{
    json_t *pairs = json_object(), *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        const char *key = json_string_value(json_object_get(item, "key"));
        json_t *value = json_object_get(item, "value");
        if (key != NULL)
            json_object_set_new(pairs, key,
                                json_is_string(value) ? json_incref(value) : json_string(""));
    }
    return pairs;
}

/* RFC 7396: null removes. */
static void merge(json_t *pairs, const json_t *changes)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)changes, key, value)
    {
        if (json_is_null(value))
            json_object_del(pairs, key);
        else
            json_object_set(pairs, key, value);
    }
}

static json_t *joined_text(const char *before, const char *after)
{
    size_t first = before != NULL ? strlen(before) : 0, second = strlen(after);
    char *text = malloc(first + second + 1);
    json_t *json;

    if (text == NULL)
        abort();
    if (first > 0)
        memcpy(text, before, first);
    memcpy(text + first, after, second + 1);
    json = json_string(text);
    explicit_bzero(text, first + second);
    free(text);
    return json;
}

static json_t *appended_items(const json_t *before, json_t *after)
{
    json_t *items = json_array();
    json_array_extend(items, (json_t *)before);
    json_array_extend(items, after);
    json_decref(after);
    return items;
}

static json_t *appended(struct execution *execution, const json_t *data, const char *type)
{
    const json_t *body = execution->command->body, *value = json_object_get(body, "value");
    const char *had = json_string_value(json_object_get(data, "type"));
    json_t *pairs, *wire, *items;

    if (had != NULL && strcmp(had, type) != 0 && json_object_size(data) > 1) {
        refuse(execution, PROBLEM_CONFLICT, "the call's data is %s: PUT replaces it", had);
        return NULL;
    }
    if (strcmp(type, "STRING") == 0)
        return json_pack("{s:s, s:o}", "type", type, "stringData",
                         joined_text(json_string_value(json_object_get(data, "stringData")),
                                     json_string_value(value)));
    if (strcmp(type, "BINARY") == 0) {
        if ((items = binary_of(execution, value)) == NULL)
            return NULL;
        items = appended_items(json_object_get(json_object_get(data, "binaryData"), "item"), items);
        return json_pack("{s:s, s:{s:o}}", "type", type, "binaryData", "item", items);
    }
    pairs = pairs_of_wire(json_object_get(json_object_get(data, "keyValueData"), "item"));
    merge(pairs, pairs_of(body));
    wire = wire_of_pairs(pairs);
    json_decref(pairs);
    return wire;
}

static void on_data_to_append(struct execution *execution)
{
    execution->value =
        appended(execution, fact(execution, "data"), type_of(execution->command->body));
    if (execution->value != NULL)
        write_value(execution);
}

static void on_turn_to_append(struct execution *execution)
{
    read_part(execution, RECORD_CALL_DATA, on_data_to_append);
}

void run_append_data(struct execution *execution)
{
    const json_t *body = execution->command->body;
    const char *type = type_of(body);

    if (strcmp(type, "KEY_VALUE_PAIRS") == 0) {
        if (!are_texts(execution, pairs_of(body), 1))
            return;
    } else if (!json_is_string(json_object_get(body, "value"))) {
        bad(execution, "/value", "expected a text");
        return;
    }
    execution_take_turn(execution, on_turn_to_append);
}

static void on_data_to_delete(struct execution *execution)
{
    const json_t *data = fact(execution, "data");
    json_t *pairs = pairs_of_wire(json_object_get(json_object_get(data, "keyValueData"), "item"));

    if (json_object_del(pairs, execution->command->sub_id) != 0) {
        json_decref(pairs);
        refuse(execution, PROBLEM_NOT_FOUND, "%s", "");
        return;
    }
    execution->value = wire_of_pairs(pairs);
    json_decref(pairs);
    write_value(execution);
}

static void on_turn_to_delete(struct execution *execution)
{
    read_part(execution, RECORD_CALL_DATA, on_data_to_delete);
}

void run_delete_data(struct execution *execution)
{
    if (execution->command->sub_id_length > 0) {
        execution_take_turn(execution, on_turn_to_delete);
        return;
    }
    execution->value =
        json_pack("{s:s, s:{s:[]}}", "type", "KEY_VALUE_PAIRS", "keyValueData", "item");
    execution_take_turn(execution, on_turn_to_write);
}

/* ---- intrinsics ---- */

static json_t *find_key(const json_t *items, const char *key)
{
    json_t *item;
    size_t i;
    json_array_foreach(items, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "key"));
        if (name != NULL && strcmp(name, key) == 0)
            return item;
    }
    return NULL;
}

static int is_immutable(const json_t *items, const char *key)
{
    return json_is_true(json_object_get(find_key(items, key), "immutable"));
}

static json_t *intrinsic(const char *key, json_t *value)
{
    return json_pack("{s:s, s:O, s:b}", "key", key, "value", value, "immutable", 0);
}

/* What is immutable stays as it is; that a change of it is wanted is an error, and nothing is written. */
static json_t *changed(struct execution *execution, const json_t *before, const json_t *changes,
                       int replace)
{
    json_t *items = json_array(), *item, *value;
    const char *key;
    size_t i;

    json_array_foreach(before, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "key"));
        int stays = is_immutable(before, name) || (!replace && !json_object_get(changes, name));
        if (name != NULL && stays)
            json_array_append(items, item);
    }
    json_object_foreach((json_t *)changes, key, value)
    {
        if (is_immutable(before, key)) {
            json_decref(items);
            refuse(execution, PROBLEM_CONFLICT, "an intrinsic that is immutable cannot be changed");
            return NULL;
        }
        if (!json_is_null(value))
            json_array_append_new(items, intrinsic(key, value));
    }
    return items;
}

static void write_intrinsics(struct execution *execution, const json_t *changes, int replace)
{
    execution->value = changed(execution, fact(execution, "intrinsics"), changes, replace);
    if (execution->value != NULL)
        write_value(execution);
}

static void on_intrinsics_to_set(struct execution *execution)
{
    write_intrinsics(execution, execution->command->body, 1);
}

static void on_intrinsics_to_merge(struct execution *execution)
{
    write_intrinsics(execution, execution->command->body, 0);
}

static void on_intrinsics_to_delete(struct execution *execution)
{
    const char *key = execution->command->sub_id;
    json_t *changes;

    if (*key != '\0' && find_key(fact(execution, "intrinsics"), key) == NULL) {
        refuse(execution, PROBLEM_NOT_FOUND, "%s", "");
        return;
    }
    changes = *key != '\0' ? json_pack("{s:n}", key) : json_object();
    write_intrinsics(execution, changes, *key == '\0');
    json_decref(changes);
}

static void on_turn_to_set_intrinsics(struct execution *execution)
{
    read_part(execution, RECORD_CALL_INTRINSICS, on_intrinsics_to_set);
}

static void on_turn_to_merge_intrinsics(struct execution *execution)
{
    read_part(execution, RECORD_CALL_INTRINSICS, on_intrinsics_to_merge);
}

static void on_turn_to_delete_intrinsics(struct execution *execution)
{
    read_part(execution, RECORD_CALL_INTRINSICS, on_intrinsics_to_delete);
}

void run_set_intrinsics(struct execution *execution)
{
    if (are_texts(execution, execution->command->body, 0))
        execution_take_turn(execution, on_turn_to_set_intrinsics);
}

void run_merge_intrinsics(struct execution *execution)
{
    if (are_texts(execution, execution->command->body, 1))
        execution_take_turn(execution, on_turn_to_merge_intrinsics);
}

void run_delete_intrinsics(struct execution *execution)
{
    execution_take_turn(execution, on_turn_to_delete_intrinsics);
}

/* ---- user-to-user information ---- */

void run_set_uui(struct execution *execution)
{
    execution_take_turn(execution, on_turn_to_write);
}

static void on_uui_to_append(struct execution *execution)
{
    execution->value =
        joined_text(json_string_value(fact(execution, "uui")), body_text(execution, "uui"));
    write_value(execution);
}

static void on_turn_to_append_uui(struct execution *execution)
{
    read_part(execution, RECORD_CALL_UUI, on_uui_to_append);
}

void run_append_uui(struct execution *execution)
{
    execution_take_turn(execution, on_turn_to_append_uui);
}
