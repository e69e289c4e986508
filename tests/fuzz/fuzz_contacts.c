/*
 * A body of contacts. The first line says of which type it is (json, ndjson or csv; "phone": each must have a number); the rest is the
 * body. What is taken makes a message that the contract takes; what is not has a reason, and nothing of it is kept.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/codec.h"
#include "cctgate/error.h"
#include "gateway/outbound/contacts.h"

static enum contacts_type type_of(const char *line)
{
    if (strstr(line, "ndjson") != NULL)
        return CONTACTS_NDJSON;
    return strstr(line, "json") != NULL ? CONTACTS_JSON : CONTACTS_CSV;
}

static void send_row(const struct contacts_wanted *wanted, const struct job_row_text *row)
{
    struct codec_buffer buffer = {NULL, 0, 0};
    const struct contract_operation *op;
    struct codec_error error;
    json_t *arguments, *search;

    FUZZ_CHECK(row->length > 0 && row->length <= CG_JOB_ROW_BYTES_MAX);
    FUZZ_CHECK(row->text[row->length] == '\0' && strlen(row->text) == row->length);
    FUZZ_CHECK((arguments = json_loadb(row->text, row->length, 0, NULL)) != NULL);
    FUZZ_CHECK(codec_encode_request(wanted->op, SOAP_1_1, arguments, NULL, &buffer, &error) ==
               CG_OK);
    codec_buffer_release(&buffer);
    if (wanted->needs_phone) {
        FUZZ_CHECK((search = contacts_search(fuzz_contract(), arguments, &op)) != NULL);
        FUZZ_CHECK(codec_encode_request(op, SOAP_1_1, search, NULL, &buffer, &error) == CG_OK);
        codec_buffer_release(&buffer);
        json_decref(search);
    }
    json_decref(arguments);
}

static void look_at_rows(const struct contacts_wanted *wanted, const struct job_rows *rows,
                         const struct contacts_error *error)
{
    size_t i, bytes = 0;

    FUZZ_CHECK(rows->num_rows > 0 && rows->num_rows == error->num_rows && error->num_bad == 0);
    for (i = 0; i < rows->num_rows; ++i) {
        if (i < 8)
            send_row(wanted, &rows->rows[i]);
        bytes += rows->rows[i].length;
    }
    FUZZ_CHECK(bytes == rows->bytes);
}

static void look_at_error(const struct job_rows *rows, const struct contacts_error *error)
{
    size_t i;

    FUZZ_CHECK(rows->rows == NULL && rows->num_rows == 0 && rows->bytes == 0);
    FUZZ_CHECK(error->num_bad <= error->num_rows);
    FUZZ_CHECK(error->rows[0].detail[0] != '\0');
    for (i = 0; i < error->num_bad && i < CONTACTS_TOLD_MAX; ++i)
        FUZZ_CHECK(error->rows[i].row >= 1 && error->rows[i].row <= error->num_rows &&
                   error->rows[i].detail[0] != '\0' &&
                   (error->rows[i].pointer[0] == '\0' || error->rows[i].pointer[0] == '/'));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct contacts_error error;
    struct contacts_wanted wanted = {.campaign = 101, .priority = -1};
    struct fuzz_input input;
    struct job_rows rows = {NULL, 0, 0, 0};
    int rc;

    fuzz_init();
    fuzz_split(&input, bytes, length);
    wanted.op = contacts_operation(fuzz_contract());
    wanted.needs_phone = strstr(input.line, "phone") != NULL;
    rc = contacts_parse(&wanted, type_of(input.line), input.rest, input.rest_length, &rows, &error);
    FUZZ_CHECK(rc == CG_OK || rc == CG_E_INVALID || rc == CG_E_LIMIT);
    if (rc == CG_OK)
        look_at_rows(&wanted, &rows, &error);
    else if (rc == CG_E_INVALID)
        look_at_error(&rows, &error);
    job_rows_release(&rows);
    return 0;
}
