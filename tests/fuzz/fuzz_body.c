/*
 * JSON bodies. Of a command ("POST /v1/calls/{contactId}/dtmf" in the first line): one row or a reason why not. Of an operation
 * ("Service/Operation"): what becomes an envelope reads back as exactly what was asked for, and as nothing else.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/codec.h"
#include "cctgate/command.h"
#include "cctgate/error.h"
#include "gateway/rest/intake.h"

#define TOKEN "<token & \"secret\">"

static json_t *take_body(const char *text, size_t length)
{
    struct intake_error error = {0};
    char *copy = malloc(length + 1);
    json_t *json;
    size_t i;

    FUZZ_CHECK(copy != NULL);
    memcpy(copy, text, length);
    json = intake_body(copy, length, &error);
    FUZZ_CHECK(json != NULL || error.detail[0] != '\0');
    for (i = 0; i < length; ++i)
        FUZZ_CHECK(copy[i] == '\0');
    free(copy);
    return json;
}

/* Each member that is a choice is one of them, and not two. */
static void check_choices(const struct command_row *row, const json_t *body)
{
    const char *at = row->fields;
    struct command_field field;

    while (at != NULL && command_field_next(&at, &field)) {
        const json_t *value = json_object_get(body, field.name);
        if (field.type == FIELD_CHOICE && json_is_string(value))
            FUZZ_CHECK(strchr(json_string_value(value), '|') == NULL &&
                       strstr(field.choices, json_string_value(value)) != NULL);
    }
}

static void choose(const char *line, const json_t *body)
{
    struct command_error error = {"", ""};
    const struct command_row *row = NULL, *chosen;
    size_t i, count;

    for (i = 0; i < num_command_rows; ++i) {
        size_t method = strlen(command_rows[i].method);
        if (strncmp(line, command_rows[i].method, method) == 0 && line[method] == ' ' &&
            strcmp(line + method + 1, command_rows[i].path) == 0)
            break;
    }
    if (i == num_command_rows)
        i = fuzz_choice(line, num_command_rows);
    count = command_rows_of(command_rows[i].path, command_rows[i].method, &row);
    FUZZ_CHECK(count > 0);
    if ((chosen = command_choose(row, count, body, &error)) == NULL) {
        FUZZ_CHECK(error.detail[0] != '\0');
        return;
    }
    FUZZ_CHECK(chosen >= row && chosen < row + count);
    check_choices(chosen, body);
}

static void read_back(const struct contract_operation *op, const struct codec_buffer *envelope,
                      const json_t *arguments)
{
    const struct contract_operation *found = NULL;
    struct codec_error error;
    json_t *again = NULL;
    char *token = NULL;

    FUZZ_CHECK(codec_decode_request(fuzz_contract(), op->service->name, envelope->bytes,
                                    envelope->length, &found, &again, &token, &error) == CG_OK);
    FUZZ_CHECK(found == op);
    FUZZ_CHECK(!op->takes_token || (token != NULL && strcmp(token, TOKEN) == 0));
    FUZZ_CHECK(fuzz_alike(arguments, again));
    json_decref(again);
    free(token);
}

static void encode(const char *line, const json_t *arguments)
{
    const struct contract_operation *op = fuzz_operation(line);
    const char *token = op->takes_token ? TOKEN : NULL;
    struct codec_buffer envelope = {NULL, 0, 0}, forward = {NULL, 0, 0};
    struct codec_error error = {0};
    int rc = codec_encode_request(op, SOAP_1_1, arguments, token, &envelope, &error);

    if (rc == CG_OK)
        read_back(op, &envelope, arguments);
    else
        FUZZ_CHECK(envelope.length == 0 && error.text[0] != '\0');
    if (codec_encode_forward(op, SOAP_1_2, arguments, token, &forward, &error) != CG_OK)
        FUZZ_CHECK(rc != CG_OK && forward.length == 0);
    codec_buffer_release(&envelope);
    codec_buffer_release(&forward);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct fuzz_input input;
    json_t *body;

    fuzz_init();
    fuzz_split(&input, bytes, length);
    if ((body = take_body(input.rest, input.rest_length)) == NULL)
        return 0;
    if (json_is_object(body)) {
        if (strchr(input.line, ' ') != NULL)
            choose(input.line, body);
        else
            encode(input.line, body);
    }
    json_decref(body);
    return 0;
}
