/* Every sample envelope decodes, and encodes to an equal document; broken ones never do harm. */
#include "contract_support.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/xml.h"

#define SAMPLES_MAX 128
#define MUTATIONS   20000

enum sample_kind { SAMPLE_REQUEST, SAMPLE_RESPONSE, SAMPLE_FAULT };

struct sample {
    char *name;
    const struct contract *contract;
    const struct contract_operation *op;
    enum sample_kind kind;
    enum soap_version version;
    char *xml;
    size_t length;
};

struct fixture {
    struct contract *contract, *variant;
    struct sample samples[SAMPLES_MAX];
    size_t count;
};

/* "Service.Operation..." in the CCT folder, "Operation..." in the Outbound one. */
static const struct contract_operation *operation_of(const struct contract *contract,
                                                     const char *name)
{
    char first[128], second[128];
    snprintf(first, sizeof(first), "%.*s", (int)strcspn(name, "."), name);
    const char *rest = name + strcspn(name, ".") + 1;
    snprintf(second, sizeof(second), "%.*s", (int)strcspn(rest, "."), rest);
    if (contract_find_service(contract, first) != NULL)
        return contract_find(contract, first, second);
    for (size_t i = 0; i < contract_num_services(contract); i++) {
        const struct contract_service *service = contract_service_at(contract, i);
        if (service->soap12 && contract_find(contract, service->name, first) != NULL)
            return contract_find(contract, service->name, first);
    }
    return NULL;
}

static void add_sample(struct fixture *fixture, const char *folder, const char *name)
{
    assert_true(fixture->count < SAMPLES_MAX);
    struct sample *sample = &fixture->samples[fixture->count++];
    char *path = support_format("%s/%s", folder, name);
    sample->name = strdup(name);
    sample->contract =
        strstr(name, "priority-variant") != NULL ? fixture->variant : fixture->contract;
    sample->op = operation_of(sample->contract, name);
    if (sample->op == NULL)
        fail_msg("no operation for %s", path);
    sample->kind = strstr(name, ".request.xml") != NULL    ? SAMPLE_REQUEST
                   : strstr(name, ".response.xml") != NULL ? SAMPLE_RESPONSE
                                                           : SAMPLE_FAULT;
    sample->version = strstr(folder, "soap12") != NULL ? SOAP_1_2 : SOAP_1_1;
    sample->xml = support_read(path, &sample->length);
    free(path);
}

static void add_folder(struct fixture *fixture, const char *folder, size_t expected)
{
    struct dirent *entry;
    size_t before = fixture->count;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        const char *end = strrchr(entry->d_name, '.');
        if (end != NULL && strcmp(end, ".xml") == 0)
            add_sample(fixture, folder, entry->d_name);
    }
    closedir(directory);
    assert_int_equal(fixture->count - before, expected);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sample *)a)->name, ((const struct sample *)b)->name);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    support_init();
    fixture->contract = support_load(CONTRACT_DIRECTORY);
    fixture->variant = support_load(OUTBOUND_DIRECTORY "/variant-priority");
    add_folder(fixture, CCT_DIRECTORY "/samples", 76);
    add_folder(fixture, OUTBOUND_DIRECTORY "/samples", 35);
    add_folder(fixture, OUTBOUND_DIRECTORY "/samples/soap12", 5);
    qsort(fixture->samples, fixture->count, sizeof(fixture->samples[0]),
          by_name); /* for the seed below */
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < fixture->count; i++) {
        free(fixture->samples[i].name);
        free(fixture->samples[i].xml);
    }
    contract_free(&fixture->contract);
    contract_free(&fixture->variant);
    free(fixture);
    return 0;
}

static void again_request(const struct sample *sample, struct codec_buffer *out)
{
    const struct contract_operation *op;
    struct codec_error error = {0};
    json_t *arguments;
    char *token;
    if (codec_decode_request(sample->contract, sample->op->service->name, sample->xml,
                             sample->length, &op, &arguments, &token, &error) != CG_OK)
        fail_msg("%s: %s", sample->name, error.text);
    assert_ptr_equal(op, sample->op);
    assert_int_equal(token != NULL, op->takes_token);
    if (codec_encode_request(op, sample->version, arguments, token, out, &error) != CG_OK)
        fail_msg("%s: %s", sample->name, error.text);
    json_decref(arguments);
    free(token);
}

static void again_response(const struct sample *sample, struct codec_buffer *out)
{
    struct codec_error error = {0};
    struct codec_fault fault;
    json_t *result;
    if (codec_decode_response(sample->op, sample->xml, sample->length, &result, &fault, &error) !=
        CG_OK)
        fail_msg("%s: %s", sample->name, error.text);
    if (codec_encode_response(sample->op, sample->version, result, out, &error) != CG_OK)
        fail_msg("%s: %s", sample->name, error.text);
    json_decref(result);
}

/* The fault string: codec_fault prefers the message in the detail. */
static char *reason_of(const struct sample *sample)
{
    xmlDocPtr doc;
    char error[CG_ERROR_TEXT_MAX];
    assert_int_equal(
        xml_parse(sample->xml, sample->length, sample->length, &doc, error, sizeof(error)), CG_OK);
    xmlNodePtr node =
        xml_first_element(xml_first_element(xml_first_element(xmlDocGetRootElement(doc))));
    node = xml_next_element(node);
    if (sample->version == SOAP_1_2)
        node = xml_first_element(node);
    xmlChar *text = xmlNodeGetContent(node);
    char *copy = strdup((const char *)text);
    xmlFree(text);
    xmlFreeDoc(doc);
    return copy;
}

static void again_fault(const struct sample *sample, struct codec_buffer *out)
{
    struct codec_error error = {0};
    struct codec_fault fault;
    json_t *result;
    char *reason = reason_of(sample);
    assert_int_equal(
        codec_decode_response(sample->op, sample->xml, sample->length, &result, &fault, &error),
        CG_E_FAULT);
    assert_null(result);
    if (codec_encode_fault(sample->op, sample->version, fault.declared ? fault.name : NULL,
                           fault.detail, fault.code, reason, out, &error) != CG_OK)
        fail_msg("%s: %s", sample->name, error.text);
    codec_fault_release(&fault);
    free(reason);
}

static void every_sample_decodes_and_encodes_to_an_equal_document(void **state)
{
    const struct fixture *fixture = *state;
    assert_int_equal(fixture->count, 116);
    for (size_t i = 0; i < fixture->count; i++) {
        const struct sample *sample = &fixture->samples[i];
        struct codec_buffer out = {0};
        if (sample->kind == SAMPLE_REQUEST)
            again_request(sample, &out);
        else if (sample->kind == SAMPLE_RESPONSE)
            again_response(sample, &out);
        else
            again_fault(sample, &out);
        char *before = support_canonical(sample->xml, sample->length);
        char *after = support_canonical(out.bytes, out.length);
        if (strcmp(before, after) != 0)
            fail_msg("%s\n%s\n%s", sample->name, before, after);
        free(before);
        free(after);
        codec_buffer_release(&out);
    }
}

/* The comparison above must be able to fail. */
static void canonical_form_tells_documents_apart(void **state)
{
    (void)state;
    const char *a = "<a xmlns='u' b='1'> <c>x</c> </a>";
    static const char *const same[] = {"<p:a xmlns:p='u' b='1'><p:c>x</p:c></p:a>",
                                       "<a b='1' xmlns='u'><!-- --><c>x</c></a>"};
    static const char *const other[] = {
        "<a xmlns='v' b='1'><c>x</c></a>", "<a xmlns='u' b='2'><c>x</c></a>",
        "<a xmlns='u' b='1'><c>x </c></a>", "<a xmlns='u' b='1'><c/></a>",
        "<a xmlns='u' b='1'><c>x</c><c>x</c></a>"};
    char *form = support_canonical(a, strlen(a));
    for (size_t i = 0; i < 2; i++) {
        char *again = support_canonical(same[i], strlen(same[i]));
        assert_string_equal(form, again);
        free(again);
    }
    for (size_t i = 0; i < 5; i++) {
        char *again = support_canonical(other[i], strlen(other[i]));
        assert_string_not_equal(form, again);
        free(again);
    }
    free(form);
}

static uint64_t seed = 0x9e3779b97f4a7c15u;

static size_t random_below(size_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return limit == 0 ? 0 : (size_t)(seed % limit);
}

static size_t insert_bytes(char *text, size_t length, size_t at, const char *bytes, size_t count)
{
    memmove(text + at + count, text + at, length - at);
    memcpy(text + at, bytes, count);
    return length + count;
}

static size_t insert_piece(char *text, size_t length)
{
    static const char *const pieces[] = {
        "<",
        ">",
        "</",
        "/>",
        "&",
        "&amp;",
        "&#x1F600;",
        "&#0;",
        "\"",
        "'",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?x ?>",
        "<a/>",
        "<a>b</a>",
        "<!DOCTYPE a>",
        " xsi:nil=\"true\"",
        " xmlns=\"\"",
        " xmlns:cct=\"u\"",
        "-",
        "99999999999",
        "2147483648",
        "true",
        "\xc3",
        "\xff",
        "\x01",
        "text",
        "     ",
        "\r\n",
        "<soapenv:Fault>",
        "</soapenv:Body>",
    };
    const char *piece = pieces[random_below(sizeof(pieces) / sizeof(pieces[0]))];
    return insert_bytes(text, length, random_below(length + 1), piece, strlen(piece));
}

/* `text` has room for twice its length and some. */
static size_t mutate(char *text, size_t length)
{
    size_t at = random_below(length), count = random_below(length - at) % 200;
    char copy[200];
    switch (random_below(6)) {
    case 0:
        if (length > 0)
            text[at] = (char)random_below(256);
        return length;
    case 1:
        memmove(text + at, text + at + count, length - at - count);
        return length - count;
    case 2:
        memcpy(copy, text + at, count);
        return insert_bytes(text, length, random_below(length + 1), copy, count);
    case 3:
        return random_below(20) == 0 ? at : length;
    default:
        return insert_piece(text, length);
    }
}

/* What decodes encodes again or is refused; neither may do harm. The sanitizers watch. */
static int try_one(const struct sample *sample, const char *xml, size_t length)
{
    const struct contract_operation *op;
    struct codec_buffer out = {0};
    struct codec_fault fault = {0};
    struct codec_error error = {0};
    json_t *value;
    char *token = NULL;
    int rc;
    if (sample->kind == SAMPLE_REQUEST) {
        rc = codec_decode_request(sample->contract, sample->op->service->name, xml, length, &op,
                                  &value, &token, &error);
        if (rc == CG_OK)
            (void)codec_encode_request(op, sample->version, value, token, &out, &error);
    } else {
        rc = codec_decode_response(sample->op, xml, length, &value, &fault, &error);
        if (rc == CG_OK)
            (void)codec_encode_response(sample->op, sample->version, value, &out, &error);
        else if (rc == CG_E_FAULT)
            assert_true(fault.name[0] != '\0');
    }
    assert_int_equal(rc == CG_OK, value != NULL);
    assert_true(rc == CG_OK || rc == CG_E_FAULT || rc == CG_E_XML || rc == CG_E_LIMIT ||
                rc == CG_E_PROTOCOL || rc == CG_E_NOTFOUND);
    json_decref(value);
    codec_fault_release(&fault);
    codec_buffer_release(&out);
    free(token);
    return rc;
}

static void mutated_samples_do_no_harm(void **state)
{
    const struct fixture *fixture = *state;
    size_t good = 0, bad = 0;
    for (size_t i = 0; i < MUTATIONS; i++) {
        const struct sample *sample = &fixture->samples[random_below(fixture->count)];
        size_t length = sample->length, rounds = 1 + random_below(4);
        char *text = malloc(length * 2 + 2000);
        memcpy(text, sample->xml, length);
        for (size_t j = 0; j < rounds; j++)
            length = mutate(text, length);
        char *exact = malloc(length == 0 ? 1 : length); /* so that reading behind the end is seen */
        memcpy(exact, text, length);
        if (try_one(sample, exact, length) == CG_OK)
            good++;
        else
            bad++;
        free(exact);
        free(text);
    }
    assert_true(good > MUTATIONS / 50); /* else the mutations are too wild to reach anything */
    assert_true(bad > MUTATIONS / 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_decodes_and_encodes_to_an_equal_document),
        cmocka_unit_test(canonical_form_tells_documents_apart),
        cmocka_unit_test(mutated_samples_do_no_harm),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
