/*
 * WSDL and XSD of another release: a small contract of three files, one of which (named in the first line) is the input. What loads
 * can be described, and a made-up value that can be written for one of its operations reads back.
 */
#include "tests/fuzz/fuzz.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cctgate/codec.h"
#include "cctgate/error.h"

#define FILES 3
static const char *const names[FILES] = {"Small.wsdl", "Small.xsd", "Types.xsd"};
static char *originals[FILES];
static size_t lengths[FILES];
static char folder[PATH_MAX];

static char *read_whole(const char *name, size_t *length)
{
    char path[PATH_MAX], *text = malloc(65536);
    FILE *file;

    snprintf(path, sizeof(path), "tests/fuzz/contract/%s", name);
    if (text == NULL || (file = fopen(path, "rb")) == NULL) {
        perror(path);
        exit(1);
    }
    *length = fread(text, 1, 65536, file);
    fclose(file);
    return text;
}

static void put(size_t index, const void *bytes, size_t length)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s/%s", folder, names[index]);
    fuzz_write(path, bytes, length);
}

static void prepare(void)
{
    size_t i;

    if (folder[0] != '\0')
        return;
    fuzz_init();
    snprintf(folder, sizeof(folder), "%s/contract", fuzz_folder());
    mkdir(folder, 0700);
    for (i = 0; i < FILES; ++i) {
        originals[i] = read_whole(names[i], &lengths[i]);
        put(i, originals[i], lengths[i]);
    }
}

static void write_and_read(const struct contract *contract, const struct contract_operation *op,
                           const json_t *arguments)
{
    const char *token = op->takes_token ? "token" : NULL;
    const struct contract_operation *found = NULL;
    struct codec_buffer envelope = {NULL, 0, 0};
    struct codec_error error;
    json_t *again = NULL;
    char *told = NULL;
    int rc;

    if (codec_encode_request(op, SOAP_1_1, arguments, token, &envelope, &error) == CG_OK) {
        rc = codec_decode_request(contract, op->service->name, envelope.bytes, envelope.length,
                                  &found, &again, &told, &error);
        FUZZ_CHECK(rc == CG_OK);
        FUZZ_CHECK(found->service == op->service);
    }
    codec_buffer_release(&envelope);
    json_decref(again);
    free(told);
}

static void look_at(const struct contract *contract, const struct contract_operation *op)
{
    int maximal;

    FUZZ_CHECK(op->name != NULL && op->input != NULL);
    json_t *in = codec_input_schema(op), *out = codec_output_schema(op);
    FUZZ_CHECK(in != NULL && out != NULL);
    json_decref(in);
    json_decref(out);
    for (maximal = 0; maximal < 2; ++maximal) {
        json_t *arguments = codec_example_input(op, maximal);
        if (arguments != NULL)
            write_and_read(contract, op, arguments);
        json_decref(arguments);
    }
}

static void look_at_all(const struct contract *contract)
{
    size_t i, j;

    for (i = 0; i < contract_num_services(contract); ++i) {
        const struct contract_service *service = contract_service_at(contract, i);
        for (j = 0; j < service->num_operations; ++j) {
            const struct contract_operation *op = &service->operations[j];
            FUZZ_CHECK(contract_find(contract, service->name, op->name) != NULL);
            look_at(contract, op);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct fuzz_input input;
    struct contract *contract;
    char error[CG_ERROR_TEXT_MAX] = "";
    size_t i;
    int rc;

    prepare();
    fuzz_split(&input, bytes, length);
    for (i = 0; i < FILES; ++i)
        if (strcmp(input.line, names[i]) == 0)
            break;
    if (i == FILES)
        i = fuzz_choice(input.line, FILES);
    put(i, input.rest, input.rest_length);
    rc = contract_load(&contract, folder, error, sizeof(error));
    FUZZ_CHECK((rc == CG_OK) == (contract != NULL));
    if (rc == CG_OK)
        look_at_all(contract);
    else
        FUZZ_CHECK(error[0] != '\0');
    contract_free(&contract);
    put(i, originals[i], lengths[i]);
    return 0;
}
