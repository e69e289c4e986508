/* What the upstream may answer: what is taken for a reply can be written by the same contract, and then reads the same. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/codec.h"
#include "cctgate/error.h"

/* What the contract does not know (members beside it, enumeration values) is kept, but cannot be written. */
static void write_again(const struct contract_operation *op, const json_t *result)
{
    struct codec_buffer buffer = {NULL, 0, 0};
    struct codec_error error;
    struct codec_fault fault = {0};
    json_t *again = NULL;

    if (codec_encode_response(op, SOAP_1_1, result, &buffer, &error) == CG_OK) {
        FUZZ_CHECK(codec_decode_response(op, buffer.bytes, buffer.length, &again, &fault, &error) ==
                   CG_OK);
        FUZZ_CHECK(fuzz_same(result, again));
    }
    json_decref(again);
    codec_buffer_release(&buffer);
}

static void check_fault(const struct codec_fault *fault)
{
    const char *at;

    FUZZ_CHECK(fault->name != NULL && fault->name[0] != '\0');
    FUZZ_CHECK(memchr(fault->message, '\0', sizeof(fault->message)) != NULL);
    for (at = fault->message; *at != '\0'; ++at)
        FUZZ_CHECK((unsigned char)*at >= ' ' && *at != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct fuzz_input input;
    struct codec_fault fault = {0};
    struct codec_error error = {0};
    const struct contract_operation *op;
    json_t *result = NULL;
    int rc;

    fuzz_split(&input, bytes, length);
    op = fuzz_operation(input.line);
    rc = codec_decode_response(op, input.rest, input.rest_length, &result, &fault, &error);
    FUZZ_CHECK((rc == CG_OK) == (result != NULL));
    if (rc == CG_OK)
        write_again(op, result);
    else if (rc == CG_E_FAULT)
        check_fault(&fault);
    else
        FUZZ_CHECK(error.text[0] != '\0');
    codec_fault_release(&fault);
    json_decref(result);
    return 0;
}
