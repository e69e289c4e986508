/* Contract files of every sort, made here: what loads, and what is refused in which words. */
#include "contract_support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cctgate/limits.h"

#define XS "xmlns:xs=\"http://www.w3.org/2001/XMLSchema\""

struct fixture {
    char *folder, *root; /* the contract's directory is inside, so that there is an outside */
    char error[CG_ERROR_TEXT_MAX];
};

static int set_up_libxml2(void **state)
{
    (void)state;
    support_init();
    return 0;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->folder = support_folder();
    fixture->root = support_format("%s/root", fixture->folder);
    assert_int_equal(mkdir(fixture->root, 0700), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    support_remove(&fixture->folder);
    free(fixture->root);
    free(fixture);
    return 0;
}

/* One service S with one operation Do, whose request is t:DoIn and whose reply is t:DoOut. */
static char *wsdl_with(const char *types)
{
    return support_format(
        "<w:definitions xmlns:w=\"http://schemas.xmlsoap.org/wsdl/\" "
        "xmlns:soap=\"http://schemas.xmlsoap.org/wsdl/soap/\" " XS
        " xmlns:t=\"urn:t\" targetNamespace=\"urn:t\">\n<w:types>%s</w:types>\n"
        "<w:message name=\"In\"><w:part name=\"p\" element=\"t:DoIn\"/></w:message>"
        "<w:message name=\"Out\"><w:part name=\"p\" element=\"t:DoOut\"/></w:message>\n"
        "<w:portType name=\"P\"><w:operation name=\"Do\"><w:input message=\"t:In\"/><w:output "
        "message=\"t:Out\"/>"
        "</w:operation></w:portType>\n"
        "<w:binding name=\"B\" type=\"t:P\"><soap:binding "
        "transport=\"http://schemas.xmlsoap.org/soap/http\"/>"
        "<w:operation name=\"Do\"><soap:operation soapAction=\"do\"/><w:input><soap:body "
        "use=\"literal\"/></w:input>"
        "<w:output><soap:body use=\"literal\"/></w:output></w:operation></w:binding>\n"
        "<w:service name=\"Service\"><w:port name=\"S\" binding=\"t:B\"><soap:address "
        "location=\"http://h/p/S?x\"/>"
        "</w:port></w:service></w:definitions>",
        types);
}

static char *schema_with(const char *content)
{
    return support_format(
        "<xs:schema " XS
        " xmlns:t=\"urn:t\" targetNamespace=\"urn:t\" elementFormDefault=\"qualified\">"
        "%s</xs:schema>",
        content);
}

/* Both messages are elements of type t:T, which `content` declares. */
static char *wsdl_with_type(const char *content)
{
    char *all = support_format(
        "%s<xs:element name=\"DoIn\" type=\"t:T\"/><xs:element name=\"DoOut\" type=\"t:T\"/>",
        content);
    char *schema = schema_with(all), *wsdl = wsdl_with(schema);
    free(all);
    free(schema);
    return wsdl;
}

static int load(struct fixture *fixture, struct contract **contract)
{
    fixture->error[0] = '\0';
    int rc = contract_load(contract, fixture->root, fixture->error, sizeof(fixture->error));
    assert_int_equal(rc == CG_OK, *contract != NULL);
    return rc;
}

static void assert_refused(struct fixture *fixture, int expected, const char *const *words,
                           size_t count, const char *label)
{
    struct contract *contract;
    int rc = load(fixture, &contract);
    if (rc != expected)
        fail_msg("%s: %d instead of %d: %s", label, rc, expected, fixture->error);
    for (size_t i = 0; i < count; i++) {
        if (words[i] != NULL && strstr(fixture->error, words[i]) == NULL)
            fail_msg("%s: \"%s\" is not in: %s", label, words[i], fixture->error);
    }
}

static const struct {
    const char *type;
    int rc;
    const char *words[3];
} bad_types[] = {
    {"", CG_E_INVALID, {"S.wsdl:", "{urn:t}T", "not declared"}},
    {"<xs:complexType name='T'><xs:sequence><xs:element name='a' "
     "type='t:Missing'/></xs:sequence></xs:complexType>",
     CG_E_INVALID,
     {"S.wsdl:2:", "{urn:t}Missing", "not declared"}},
    {"<xs:complexType name='T'><xs:sequence><xs:element name='a' "
     "type='nobody:X'/></xs:sequence></xs:complexType>",
     CG_E_INVALID,
     {"S.wsdl:2:", "prefix \"nobody\""}},
    {"<xs:complexType name='T'><xs:sequence><xs:element name='a' "
     "type='xs:integr'/></xs:sequence></xs:complexType>",
     CG_E_INVALID,
     {"integr"}},
    {"<xs:complexType name='T'><xs:sequence><xs:element "
     "ref='t:Missing'/></xs:sequence></xs:complexType>",
     CG_E_INVALID,
     {"{urn:t}Missing"}},
    {"<xs:complexType name='T'><xs:sequence><xs:group ref='t:G'/></xs:sequence></xs:complexType>",
     CG_E_INVALID,
     {"S.wsdl:2:", "\"group\""}},
    {"<xs:complexType name='T'><xs:attributeGroup ref='t:G'/></xs:complexType>",
     CG_E_INVALID,
     {"\"attributeGroup\""}},
    {"<xs:complexType name='T'><xs:choice maxOccurs='2'><xs:element "
     "name='a'/></xs:choice></xs:complexType>",
     CG_E_INVALID,
     {"\"maxOccurs\"", "choice"}},
    {"<xs:complexType name='T'><xs:sequence><xs:element name='a'/><xs:element "
     "name='b'/><xs:element name='a'/></xs:sequence>"
     "</xs:complexType>",
     CG_E_INVALID,
     {"\"a\"", "twice"}},
    {"<xs:complexType name='T'/><xs:complexType name='T'/>",
     CG_E_INVALID,
     {"\"T\"", "declared twice"}},
    {"<xs:complexType name='T'><xs:complexContent><xs:extension "
     "base='t:T'/></xs:complexContent></xs:complexType>",
     CG_E_INVALID,
     {"derived from itself"}},
    {"<xs:simpleType name='T'><xs:restriction base='t:U'/></xs:simpleType>"
     "<xs:simpleType name='U'><xs:restriction base='t:T'/></xs:simpleType>",
     CG_E_INVALID,
     {"derived from itself"}},
    {"<xs:complexType name='T' abstract='true'/>", CG_E_INVALID, {"abstract"}},
    {"<xs:complexType name='T'/><xs:element name='x' substitutionGroup='t:DoIn'/>",
     CG_E_INVALID,
     {"substitutionGroup"}},
    {"<xs:complexType name='T'><xs:simpleContent><xs:extension "
     "base='t:U'/></xs:simpleContent></xs:complexType>"
     "<xs:complexType name='U'/>",
     CG_E_INVALID,
     {"no simple content"}},
    {"<xs:complexType name='T'><xs:complexContent><xs:extension "
     "base='xs:string'/></xs:complexContent></xs:complexType>",
     CG_E_INVALID,
     {"simple content"}},
    {"<xs:complexType name='T'><xs:sequence><xs:element name='a' "
     "minOccurs='2'/></xs:sequence></xs:complexType>",
     CG_E_INVALID,
     {"minOccurs"}},
    {"<xs:complexType name='T'><xs:sequence><xs:element name='a' "
     "maxOccurs='many'/></xs:sequence></xs:complexType>",
     CG_E_INVALID,
     {"maxOccurs"}},
    {"<xs:complexType name='T'><xs:sequence><xs:element/></xs:sequence></xs:complexType>",
     CG_E_INVALID,
     {"without a name"}},
    {"<xs:redefine schemaLocation='x.xsd'/><xs:complexType name='T'/>",
     CG_E_INVALID,
     {"\"redefine\""}},
    {"<xs:import namespace='urn:x' schemaLocation='http://example.invalid/x.xsd'/><xs:complexType "
     "name='T'/>",
     CG_E_INVALID,
     {"http://example.invalid/x.xsd", "not a relative path"}},
    {"<xs:import namespace='urn:x' schemaLocation='file:///etc/passwd'/><xs:complexType name='T'/>",
     CG_E_INVALID,
     {"not a relative path"}},
    {"<xs:import namespace='urn:x' schemaLocation='/etc/passwd'/><xs:complexType name='T'/>",
     CG_E_INVALID,
     {"not a relative path"}},
    {"<xs:import namespace='urn:x' schemaLocation='../outside.xsd'/><xs:complexType name='T'/>",
     CG_E_INVALID,
     {"leaves the contract"}},
    {"<xs:import namespace='urn:x' schemaLocation='link.xsd'/><xs:complexType name='T'/>",
     CG_E_INVALID,
     {"leaves the contract"}},
    {"<xs:import namespace='urn:x' schemaLocation='missing.xsd'/><xs:complexType name='T'/>",
     CG_E_IO,
     {"S.wsdl:2:", "missing.xsd"}},
    {"<xs:import namespace='urn:x' schemaLocation='S.wsdl'/><xs:complexType name='T'/>",
     CG_E_INVALID,
     {"no XML schema"}},
    {"<xs:import namespace='urn:x' schemaLocation='other.xsd'/><xs:complexType name='T'/>",
     CG_E_INVALID,
     {"urn:other", "urn:x"}},
    {"<xs:import namespace='urn:x' schemaLocation='broken.xsd'/><xs:complexType name='T'/>",
     CG_E_XML,
     {"broken.xsd", "line 1"}},
    {"<xs:import namespace='urn:x' schemaLocation='bomb.xsd'/><xs:complexType name='T'/>",
     CG_E_XML,
     {"bomb.xsd", "document type"}},
    {"<xs:import namespace='urn:x' schemaLocation='huge.xsd'/><xs:complexType name='T'/>",
     CG_E_LIMIT,
     {"huge.xsd"}},
    {"<xs:import namespace='urn:x' schemaLocation='folder'/><xs:complexType name='T'/>",
     CG_E_IO,
     {"folder"}},
};

static void write_surroundings(struct fixture *fixture)
{
    char *outside = support_format("%s/outside.xsd", fixture->folder),
         *link = support_format("%s/link.xsd", fixture->root);
    char *huge = support_format("%s/huge.xsd", fixture->root),
         *inner = support_format("%s/folder", fixture->root);
    support_write(fixture->folder, "outside.xsd", "<xs:schema " XS " targetNamespace='urn:x'/>");
    support_write(fixture->root, "other.xsd", "<xs:schema " XS " targetNamespace='urn:other'/>");
    support_write(fixture->root, "broken.xsd", "<xs:schema");
    support_write(fixture->root, "bomb.xsd", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>");
    support_write(fixture->root, "huge.xsd", " ");
    assert_int_equal(truncate(huge, (off_t)CG_CONTRACT_FILE_BYTES_MAX + 1), 0);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(mkdir(inner, 0700), 0);
    free(outside);
    free(link);
    free(huge);
    free(inner);
}

static void refuses_broken_schemas_in_clear_words(void **state)
{
    struct fixture *fixture = *state;
    write_surroundings(fixture);
    for (size_t i = 0; i < sizeof(bad_types) / sizeof(bad_types[0]); i++) {
        char *wsdl = wsdl_with_type(bad_types[i].type);
        support_write(fixture->root, "S.wsdl", wsdl);
        assert_refused(fixture, bad_types[i].rc, bad_types[i].words, 3, bad_types[i].type);
        free(wsdl);
    }
}

static const struct {
    const char *mark, *instead, *word;
} bad_wsdls[] = {
    {"<w:input message=\"t:In\"/>", "", "without input"},
    {"message=\"t:In\"", "message=\"t:Inn\"", "\"Inn\""},
    {"message=\"t:In\"", "", "without attribute \"message\""},
    {"element=\"t:DoIn\"", "element=\"t:DoInn\"", "DoInn"},
    {"element=\"t:DoIn\"", "type=\"xs:string\"", "\"part\""},
    {"<w:part name=\"p\" element=\"t:DoIn\"/>", "", "without element"},
    {"<w:part name=\"p\" element=\"t:DoIn\"/>",
     "<w:part name=\"p\" element=\"t:DoIn\"/><w:part name=\"q\" element=\"t:DoIn\"/>",
     "several body parts"},
    {"type=\"t:P\"", "type=\"t:Q\"", "\"Q\""},
    {"binding=\"t:B\"", "binding=\"t:C\"", "\"C\""},
    {"use=\"literal\"", "use=\"encoded\"", "use=encoded"},
    {"<soap:binding ", "<soap:binding style=\"rpc\" ", "style=rpc"},
    {"<soap:operation ", "<soap:operation style=\"rpc\" ", "style=rpc"},
    {"<soap:binding transport=\"http://schemas.xmlsoap.org/soap/http\"/>", "", "names a service"},
    {"</w:portType>",
     "<w:operation name=\"More\"><w:input message=\"t:In\"/></w:operation></w:portType>",
     "\"More\""},
    {"<w:port name=\"S\"", "<w:port", "without a name"},
    {"http://schemas.xmlsoap.org/wsdl/\"", "http://www.w3.org/ns/wsdl\"", "no WSDL 1.1"},
    {"<w:types>", "<w:import namespace=\"urn:t\" location=\"http://h/x.wsdl\"/><w:types>",
     "not a relative path"},
};

static void refuses_broken_wsdl_in_clear_words(void **state)
{
    struct fixture *fixture = *state;
    char *good = wsdl_with_type("<xs:complexType name=\"T\"/>");
    struct contract *contract;
    support_write(fixture->root, "S.wsdl", good);
    assert_int_equal(load(fixture, &contract), CG_OK);
    assert_string_equal(contract_service_at(contract, 0)->name, "S");
    assert_string_equal(contract_service_at(contract, 0)->address_path, "/p/S");
    contract_free(&contract);
    for (size_t i = 0; i < sizeof(bad_wsdls) / sizeof(bad_wsdls[0]); i++) {
        char *bad = support_replace(good, bad_wsdls[i].mark, bad_wsdls[i].instead);
        support_write(fixture->root, "S.wsdl", bad);
        assert_refused(fixture, CG_E_INVALID, &bad_wsdls[i].word, 1, bad_wsdls[i].instead);
        free(bad);
    }
    free(good);
}

static void refuses_two_of_one_name(void **state)
{
    struct fixture *fixture = *state;
    static const char *const service_words[] = {"\"S\"", "two services"},
                             *const element_words[] = {"two request elements"};
    char *wsdl = wsdl_with_type("<xs:complexType name=\"T\"/>"), *more, *both;
    support_write(fixture->root, "S.wsdl", wsdl);
    support_write(fixture->root, "S2.wsdl", wsdl);
    assert_refused(fixture, CG_E_INVALID, service_words, 2, "two services");
    char *second = support_format("%s/S2.wsdl", fixture->root);
    assert_int_equal(unlink(second), 0);
    free(second);
    more = support_replace(
        wsdl, "</w:portType>",
        "<w:operation name=\"Again\"><w:input message=\"t:In\"/></w:operation></w:portType>");
    both = support_replace(more, "</w:binding>", "<w:operation name=\"Again\"/></w:binding>");
    support_write(fixture->root, "S.wsdl", both);
    assert_refused(fixture, CG_E_INVALID, element_words, 1, "two request elements");
    free(wsdl);
    free(more);
    free(both);
}

static void refuses_folders_that_are_none(void **state)
{
    struct fixture *fixture = *state;
    static const char *const words[] = {"names a service"};
    struct contract *contract;
    assert_refused(fixture, CG_E_INVALID, words, 1, "empty folder");
    assert_int_equal(
        contract_load(&contract, "/nonexistent", fixture->error, sizeof(fixture->error)), CG_E_IO);
    assert_non_null(strstr(fixture->error, "/nonexistent"));
    assert_int_equal(contract_load(&contract, "/dev/null", fixture->error, sizeof(fixture->error)),
                     CG_E_IO);
    support_write(fixture->root, "S.wsdl", "no xml");
    assert_refused(fixture, CG_E_XML, (const char *const[]){"S.wsdl", "line 1"}, 2, "no xml");
}

static void passes_over_samples_and_variants(void **state)
{
    struct fixture *fixture = *state;
    struct contract *contract;
    char *wsdl = wsdl_with_type("<xs:complexType name=\"T\"/>"), *inner;
    static const char *const folders[] = {"samples", "variant-x", ".hidden", "deep"};
    for (size_t i = 0; i < 4; i++) {
        inner = support_format("%s/%s", fixture->root, folders[i]);
        assert_int_equal(mkdir(inner, 0700), 0);
        support_write(inner, "S.wsdl", i == 3 ? wsdl : "not even XML");
        free(inner);
    }
    assert_int_equal(load(fixture, &contract), CG_OK);
    assert_int_equal(contract_num_services(contract), 1);
    contract_free(&contract);
    free(wsdl);
}

static void refuses_folders_without_end(void **state)
{
    struct fixture *fixture = *state;
    char *link = support_format("%s/again", fixture->root);
    assert_int_equal(symlink(".", link), 0);
    assert_refused(fixture, CG_E_LIMIT, (const char *const[]){"too deep"}, 1, "a folder in itself");
    free(link);
}

static void follows_circles_once(void **state)
{
    struct fixture *fixture = *state;
    struct contract *contract;
    char *wsdl = wsdl_with("<xs:schema targetNamespace=\"urn:w\"><xs:import namespace=\"urn:t\" "
                           "schemaLocation=\"a.xsd\"/></xs:schema>");
    support_write(fixture->root, "S.wsdl", wsdl);
    support_write(fixture->root, "a.xsd",
                  "<xs:schema " XS " xmlns:t='urn:t' targetNamespace='urn:t'><xs:import "
                  "namespace='urn:b' schemaLocation='b.xsd'/>"
                  "<xs:include schemaLocation='a.xsd'/><xs:include "
                  "schemaLocation='c.xsd'/><xs:element name='DoIn' type='t:C'/>"
                  "<xs:element name='DoOut' type='t:C'/></xs:schema>");
    support_write(fixture->root, "b.xsd",
                  "<xs:schema " XS " targetNamespace='urn:b'><xs:import namespace='urn:t' "
                  "schemaLocation='./a.xsd'/></xs:schema>");
    /* no target namespace of its own: it takes its includer's */
    support_write(
        fixture->root, "c.xsd",
        "<xs:schema " XS
        "><xs:complexType name='C'><xs:sequence><xs:element name='x' type='D' form='qualified'/>"
        "</xs:sequence></xs:complexType><xs:simpleType name='D'><xs:restriction "
        "base='xs:int'/></xs:simpleType></xs:schema>");
    if (load(fixture, &contract) != CG_OK)
        fail_msg("%s", fixture->error);
    const struct contract_operation *op = contract_find(contract, "S", "Do");
    json_t *example = codec_example_input(op, 0), *expected = support_json("{'x': 1}");
    assert_true(json_equal(example, expected));
    struct codec_buffer buffer = {0};
    assert_int_equal(codec_encode_request(op, SOAP_1_1, example, NULL, &buffer, NULL), CG_OK);
    char *canonical = support_canonical(buffer.bytes, buffer.length);
    assert_non_null(strstr(canonical, "<{urn:t}x>1</>"));
    free(canonical);
    codec_buffer_release(&buffer);
    json_decref(example);
    json_decref(expected);
    contract_free(&contract);
    free(wsdl);
}

static void follows_wsdl_imports(void **state)
{
    struct fixture *fixture = *state;
    struct contract *contract;
    char *whole = wsdl_with_type("<xs:complexType name=\"T\"/>");
    const char *service = strstr(whole, "<w:service");
    char *interface = support_format("%.*s</w:definitions>", (int)(service - whole), whole);
    char *outer = support_format("<w:definitions xmlns:w='http://schemas.xmlsoap.org/wsdl/' "
                                 "xmlns:t='urn:t' targetNamespace='urn:t' "
                                 "xmlns:soap='http://schemas.xmlsoap.org/wsdl/soap/'><w:import "
                                 "namespace='urn:t' location='I.wsdl'/>%s",
                                 service);
    support_write(fixture->root, "I.wsdl", interface);
    support_write(fixture->root, "S.wsdl", outer);
    if (load(fixture, &contract) != CG_OK)
        fail_msg("%s", fixture->error);
    assert_int_equal(contract_num_services(contract), 1);
    assert_non_null(contract_find(contract, "S", "Do"));
    contract_free(&contract);
    free(whole);
    free(interface);
    free(outer);
}

static void a_deep_derivation_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char *types = support_format("<xs:complexType name=\"T0\"/>"), *next;
    for (int i = 1; i <= 60; i++) {
        next = support_format("%s<xs:complexType name=\"T%d\"><xs:complexContent><xs:extension "
                              "base=\"t:T%d\"/></xs:complexContent>"
                              "</xs:complexType>",
                              types, i, i - 1);
        free(types);
        types = next;
    }
    next = support_format("%s<xs:complexType name=\"T\"><xs:complexContent><xs:extension "
                          "base=\"t:T60\"/></xs:complexContent>"
                          "</xs:complexType>",
                          types);
    char *wsdl = wsdl_with_type(next);
    support_write(fixture->root, "S.wsdl", wsdl);
    assert_refused(fixture, CG_E_INVALID, (const char *const[]){"too deep"}, 1, "deep derivation");
    free(types);
    free(next);
    free(wsdl);
}

/* Cuts and flips of a real file: an error or a contract, never harm. */
static void damaged_files_do_no_harm(void **state)
{
    struct fixture *fixture = *state;
    struct contract *contract;
    size_t length;
    char *wsdl = support_read(OUTBOUND_DIRECTORY "/OutboundContactWS.wsdl", &length);
    for (size_t i = 0; i < 400; i++) {
        char *copy = strdup(wsdl);
        size_t at = i * 7919 % length;
        if (i % 4 == 0)
            copy[at] = '\0';
        else
            copy[at] = "<>\"/:=x "[i % 8];
        support_write(fixture->root, "S.wsdl", copy);
        int rc = load(fixture, &contract);
        if (rc != CG_OK)
            assert_true(fixture->error[0] != '\0');
        contract_free(&contract);
        free(copy);
    }
    free(wsdl);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(refuses_broken_schemas_in_clear_words),
        TEST(refuses_broken_wsdl_in_clear_words),
        TEST(refuses_two_of_one_name),
        TEST(refuses_folders_that_are_none),
        TEST(passes_over_samples_and_variants),
        TEST(refuses_folders_without_end),
        TEST(follows_circles_once),
        TEST(follows_wsdl_imports),
        TEST(a_deep_derivation_is_refused),
        TEST(damaged_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, set_up_libxml2, NULL);
}
