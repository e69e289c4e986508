/*
 * Constructs of XML Schema that the shipped contracts have rarely or not at all, but another
 * release's may.
 */
#include "contract_support.h"

#include <stdlib.h>
#include <string.h>

/*
 * Each type T becomes an operation T of service S, whose request is an element T of that type and
 * whose reply is TOut.
 */
static const char types[] =
    "<xs:complexType name='Choice'><xs:choice><xs:element name='a' "
    "type='xs:int'/><xs:sequence><xs:element name='b' type='xs:string'/>"
    "<xs:element name='c' type='xs:string' minOccurs='0' "
    "maxOccurs='unbounded'/></xs:sequence></xs:choice></xs:complexType>"
    "<xs:complexType name='Group'><xs:sequence><xs:sequence minOccurs='0'><xs:element name='a' "
    "type='xs:int'/>"
    "<xs:element name='b' type='xs:int'/></xs:sequence><xs:choice minOccurs='0'><xs:element "
    "name='c' type='xs:int'/>"
    "<xs:element name='d' type='xs:int'/></xs:choice></xs:sequence></xs:complexType>"
    "<xs:complexType name='All'><xs:all><xs:element name='x' type='xs:int'/><xs:element name='y' "
    "type='xs:int' minOccurs='0'/></xs:all>"
    "</xs:complexType>"
    "<xs:complexType name='Numbers'><xs:sequence><xs:element name='ub' type='xs:unsignedByte' "
    "minOccurs='0'/>"
    "<xs:element name='ul' type='xs:unsignedLong' minOccurs='0'/><xs:element name='i' "
    "type='xs:integer' minOccurs='0'/>"
    "<xs:element name='p' type='xs:positiveInteger' minOccurs='0'/><xs:element name='d' "
    "type='xs:decimal' minOccurs='0'/>"
    "<xs:element name='f' type='xs:double' minOccurs='0'/><xs:element name='s' type='xs:short' "
    "minOccurs='0'/>"
    "<xs:element name='small' type='t:Small' minOccurs='0'/><xs:element name='n' type='t:Neg' "
    "minOccurs='0'/></xs:sequence></xs:complexType>"
    "<xs:simpleType name='Small'><xs:restriction base='xs:int'><xs:minInclusive "
    "value='1'/><xs:maxExclusive value='10'/></xs:restriction>"
    "</xs:simpleType>"
    "<xs:simpleType name='Neg'><xs:restriction base='xs:int'><xs:maxInclusive "
    "value='-5'/></xs:restriction></xs:simpleType>"
    "<xs:complexType name='Texts'><xs:sequence><xs:element name='b' type='xs:base64Binary' "
    "minOccurs='0'/>"
    "<xs:element name='h' type='xs:hexBinary' minOccurs='0'/><xs:element name='n' type='xs:NCName' "
    "minOccurs='0'/>"
    "<xs:element name='t' type='xs:token' minOccurs='0'/><xs:element name='l' "
    "minOccurs='0'><xs:simpleType><xs:list itemType='xs:int'/>"
    "</xs:simpleType></xs:element><xs:element name='u' minOccurs='0'><xs:simpleType><xs:union "
    "memberTypes='xs:int xs:string'/></xs:simpleType>"
    "</xs:element><xs:element name='p' minOccurs='0'><xs:simpleType><xs:restriction "
    "base='xs:string'><xs:pattern value='[a-z]+'/>"
    "<xs:maxLength value='3'/></xs:restriction></xs:simpleType></xs:element><xs:element name='d' "
    "type='xs:int' default='7' minOccurs='0'/>"
    "</xs:sequence></xs:complexType>"
    "<xs:complexType name='Attributes'><xs:sequence><xs:element name='e' type='xs:string' "
    "minOccurs='0' form='unqualified'/></xs:sequence>"
    "<xs:attribute name='r' type='xs:int' use='required'/><xs:attribute name='o' "
    "form='qualified'><xs:simpleType>"
    "<xs:restriction base='xs:string'><xs:enumeration value='A'/><xs:enumeration "
    "value='B'/></xs:restriction></xs:simpleType></xs:attribute>"
    "<xs:attribute ref='xml:lang'/><xs:attribute name='no' use='prohibited'/><xs:anyAttribute "
    "processContents='lax'/></xs:complexType>"
    "<xs:complexType name='Base'><xs:sequence><xs:element name='one' "
    "type='xs:int'/></xs:sequence><xs:attribute name='at'/></xs:complexType>"
    "<xs:complexType name='Middle'><xs:complexContent><xs:extension "
    "base='t:Base'><xs:sequence><xs:element name='two' type='xs:int'/>"
    "</xs:sequence></xs:extension></xs:complexContent></xs:complexType>"
    "<xs:complexType name='Derived'><xs:complexContent><xs:extension "
    "base='t:Middle'><xs:sequence><xs:element name='three' type='t:Derived'"
    " minOccurs='0'/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>"
    "<xs:complexType name='Restricted'><xs:complexContent><xs:restriction "
    "base='t:Middle'><xs:sequence><xs:element name='one' type='xs:int'/>"
    "</xs:sequence><xs:attribute name='at' "
    "use='required'/></xs:restriction></xs:complexContent></xs:complexType>"
    "<xs:complexType name='Any'><xs:sequence><xs:element name='a' type='xs:anyType' "
    "nillable='true'/><xs:element name='b' minOccurs='0'/>"
    "<xs:any namespace='##other' processContents='skip' minOccurs='0' "
    "maxOccurs='unbounded'/></xs:sequence></xs:complexType>"
    "<xs:complexType name='Amount'><xs:simpleContent><xs:extension base='xs:int'><xs:attribute "
    "name='unit' type='xs:string'/></xs:extension>"
    "</xs:simpleContent></xs:complexType>"
    "<xs:simpleType name='Colour'><xs:restriction base='xs:string'><xs:enumeration "
    "value='RED'/><xs:enumeration value='BLUE'/></xs:restriction>"
    "</xs:simpleType>"
    "<xs:element name='shared' type='t:Amount'/>"
    "<xs:complexType name='Ref'><xs:sequence><xs:element ref='t:shared' "
    "maxOccurs='2'/></xs:sequence></xs:complexType>"
    "<xs:complexType name='Prices'><xs:sequence><xs:element name='price' type='t:Amount' "
    "maxOccurs='unbounded'/></xs:sequence></xs:complexType>"
    "<xs:complexType name='Endless'><xs:sequence><xs:element name='next' "
    "type='t:Endless'/></xs:sequence></xs:complexType>"
    "<xs:complexType name='Wide'><xs:sequence><xs:element name='w1' type='t:Wide1' minOccurs='0' "
    "maxOccurs='unbounded'/></xs:sequence>"
    "</xs:complexType><xs:complexType name='Wide1'><xs:sequence><xs:element name='w' "
    "type='t:Wide2' minOccurs='0' maxOccurs='unbounded'/>"
    "<xs:element name='v' type='t:Wide2' minOccurs='0' "
    "maxOccurs='unbounded'/></xs:sequence></xs:complexType>"
    "<xs:complexType name='Wide2'><xs:sequence><xs:element name='w' type='t:Wide3' minOccurs='0' "
    "maxOccurs='unbounded'/>"
    "<xs:element name='v' type='t:Wide3' minOccurs='0' "
    "maxOccurs='unbounded'/></xs:sequence></xs:complexType>"
    "<xs:complexType name='Wide3'><xs:sequence><xs:element name='w' type='t:Prices' minOccurs='0' "
    "maxOccurs='unbounded'/></xs:sequence></xs:complexType>"
    "<xs:complexType name='Integer'><xs:simpleContent><xs:extension "
    "base='xs:int'/></xs:simpleContent></xs:complexType>";

static const char *const operations[] = {"Choice",     "Group",  "All",    "Numbers", "Texts",
                                         "Attributes", "Base",   "Middle", "Derived", "Restricted",
                                         "Any",        "Amount", "Colour", "Ref",     "Prices",
                                         "Endless",    "Wide",   "Integer"};

struct fixture {
    char *folder;
    struct contract *contract;
    struct support_schema schema;
};

static void write_wsdl(const char *folder)
{
    char *text;
    size_t length, count = sizeof(operations) / sizeof(operations[0]);
    FILE *out = open_memstream(&text, &length);
    fputs("<w:definitions xmlns:w='http://schemas.xmlsoap.org/wsdl/' "
          "xmlns:soap='http://schemas.xmlsoap.org/wsdl/soap/' xmlns:t='urn:t' "
          "xmlns:xs='http://www.w3.org/2001/XMLSchema' "
          "targetNamespace='urn:t'><w:types><xs:schema><xs:import namespace='urn:t' "
          "schemaLocation='t.xsd'/></xs:schema></w:types>",
          out);
    for (size_t i = 0; i < count; i++)
        fprintf(out,
                "<w:message name='%sIn'><w:part name='p' element='t:%s'/></w:message><w:message "
                "name='%sOut'>"
                "<w:part name='p' element='t:%sOut'/></w:message>",
                operations[i], operations[i], operations[i], operations[i]);
    fputs("<w:portType name='P'>", out);
    for (size_t i = 0; i < count; i++)
        fprintf(out,
                "<w:operation name='%s'><w:input message='t:%sIn'/><w:output "
                "message='t:%sOut'/></w:operation>",
                operations[i], operations[i], operations[i]);
    fputs("</w:portType><w:binding name='B' type='t:P'><soap:binding "
          "transport='http://schemas.xmlsoap.org/soap/http'/>",
          out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "<w:operation name='%s'/>", operations[i]);
    fputs("</w:binding><w:service name='X'><w:port name='S' "
          "binding='t:B'/></w:service></w:definitions>",
          out);
    fclose(out);
    support_write(folder, "S.wsdl", text);
    free(text);
}

static void write_xsd(const char *folder)
{
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    fprintf(
        out,
        "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' xmlns:t='urn:t' "
        "targetNamespace='urn:t' elementFormDefault='qualified'>"
        "<xs:import namespace='http://www.w3.org/XML/1998/namespace' schemaLocation='xml.xsd'/>%s",
        types);
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        fprintf(out, "<xs:element name='%s' type='t:%s'/><xs:element name='%sOut' type='t:%s'/>",
                operations[i], operations[i], operations[i], operations[i]);
    fputs("</xs:schema>", out);
    fclose(out);
    support_write(folder, "t.xsd", text);
    support_write(folder, "xml.xsd",
                  "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' "
                  "targetNamespace='http://www.w3.org/XML/1998/namespace'><xs:attribute "
                  "name='lang' type='xs:language'/></xs:schema>");
    support_write(folder, "check.xsd",
                  "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' "
                  "xmlns:e='http://schemas.xmlsoap.org/soap/envelope/' "
                  "targetNamespace='http://schemas.xmlsoap.org/soap/envelope/'><xs:import "
                  "namespace='urn:t' schemaLocation='t.xsd'/>"
                  "<xs:element name='Envelope'><xs:complexType><xs:sequence><xs:element "
                  "ref='e:Body'/></xs:sequence></xs:complexType></xs:element>"
                  "<xs:element name='Body'><xs:complexType><xs:sequence><xs:any "
                  "processContents='strict'/></xs:sequence></xs:complexType>"
                  "</xs:element></xs:schema>");
    free(text);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    support_init();
    fixture->folder = support_folder();
    write_wsdl(fixture->folder);
    write_xsd(fixture->folder);
    char *check = support_format("%s/check.xsd", fixture->folder);
    support_schema_load(&fixture->schema, check);
    free(check);
    fixture->contract = support_load(fixture->folder);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    contract_free(&fixture->contract);
    support_schema_release(&fixture->schema);
    support_remove(&fixture->folder);
    free(fixture);
    return 0;
}

/* JSON that goes out valid and comes back as it was, or as `back` says. */
static const struct {
    const char *operation, *arguments, *back;
} good[] = {
    {"Choice", "{'a': 1}", NULL},
    {"Choice", "{'b': 'x'}", NULL},
    {"Choice", "{'b': 'x', 'c': ['y', 'z']}", NULL},
    {"Group", "{}", NULL},
    {"Group", "{'a': 1, 'b': 2, 'd': 3}", NULL},
    {"All", "{'x': 1}", NULL},
    {"All", "{'y': 1, 'x': 2}", NULL},
    {"Numbers",
     "{'ub': '255', 'ul': '18446744073709551615', 'i': '-99999999999999999999', 'p': '1', 'd': "
     "'-1.50', 'f': '1e400', 's': -32768}",
     NULL},
    {"Numbers", "{'ub': 7, 'd': 1, 'f': 2.5}", "{'ub': '7', 'd': '1', 'f': '2.5'}"},
    {"Numbers", "{'f': 'INF', 'small': 9, 'n': -5}", NULL},
    {"Texts",
     "{'b': 'QUJD', 'h': '0aFF', 'n': 'a-b', 't': 'a b', 'l': '1 2', 'u': 'x', 'p': 'abc', 'd': 5}",
     NULL},
    {"Texts", "{'b': 'QQ==', 'h': ''}", NULL},
    {"Attributes", "{'@r': 1}", NULL},
    {"Attributes",
     "{'@r': -1, '@o': 'B', '@lang': 'en', '@free': 'a\\n<\\u0022>&', '@{urn:z}far': 'q', 'e': "
     "'x'}",
     NULL},
    {"Derived", "{'@at': 'x', 'one': 1, 'two': 2, 'three': {'one': 3, 'two': 4}}", NULL},
    {"Restricted", "{'@at': 'x', 'one': 1}", NULL},
    {"Any",
     "{'a': 'x', 'b': {'@k': 'v', '#text': 't', '#any': [{'name': 'n', 'namespace': '', 'content': "
     "''}]}, '#any':"
     " [{'name': 'n', 'namespace': 'urn:n', 'content': {'#any': [{'name': 'm', 'namespace': "
     "'urn:m', 'content': null}]}}]}",
     NULL},
    {"Any", "{'a': null}", NULL},
    {"Amount", "{'value': 7}", NULL},
    {"Amount", "{'value': {'#text': 7, '@unit': 'EUR'}}", NULL},
    {"Colour", "{'value': 'BLUE'}", NULL},
    {"Integer", "{'value': 7}", NULL},
    {"Ref", "{'shared': [1, {'#text': 2, '@unit': 'x'}]}", NULL},
    {"Prices", "{'price': [{'#text': 1}]}", "{'price': [1]}"},
};

static void goes_out_valid_and_comes_back(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const struct contract_operation *op = contract_find(fixture->contract, "S",
                                                            good[i].operation),
                                        *found;
        struct codec_buffer buffer = {0};
        struct codec_error error;
        char *token;
        json_t *arguments = support_json(good[i].arguments), *decoded;
        json_t *expected = support_json(good[i].back == NULL ? good[i].arguments : good[i].back);
        if (codec_encode_request(op, SOAP_1_1, arguments, NULL, &buffer, &error) != CG_OK)
            fail_msg("%s: %s", good[i].arguments, error.text);
        support_assert_valid(&fixture->schema, &buffer, good[i].arguments);
        if (codec_decode_request(fixture->contract, "S", buffer.bytes, buffer.length, &found,
                                 &decoded, &token, &error) != CG_OK)
            fail_msg("%s: %s", good[i].arguments, error.text);
        json_t *plain = support_without_empty_arrays(decoded);
        if (!json_equal(plain, expected))
            fail_msg("%s: %s", good[i].arguments, json_dumps(plain, 0));
        json_decref(plain);
        json_decref(decoded);
        json_decref(arguments);
        json_decref(expected);
        codec_buffer_release(&buffer);
    }
}

static const struct {
    const char *operation, *arguments, *pointer, *expected;
} bad[] = {
    {"Choice", "{}", "", "one of several alternatives"},
    {"Choice", "{'a': 1, 'b': 'x'}", "", "one of several alternatives"},
    {"Choice", "{'c': ['x']}", "/b", "string"},
    {"Choice", "{'a': 1, 'c': []}", "", "members that go together"},
    {"Group", "{'a': 1}", "/b", "integer from -2147483648 to 2147483647"},
    {"Group", "{'c': 1, 'd': 1}", "", "one of several alternatives"},
    {"Numbers", "{'ub': '256'}", "/ub", "string with a number from 0 to 255"},
    {"Numbers", "{'ub': -1}", "/ub", "string with a number from 0 to 255"},
    {"Numbers", "{'ul': '18446744073709551616'}", "/ul",
     "string with a number from 0 to 18446744073709551615"},
    {"Numbers", "{'p': '0'}", "/p", "string with a number of type positiveInteger"},
    {"Numbers", "{'i': '1.0'}", "/i", "string with a number of type integer"},
    {"Numbers", "{'d': '1e3'}", "/d", "string with a decimal number"},
    {"Numbers", "{'f': 'one'}", "/f", "string with a floating-point number"},
    {"Numbers", "{'s': 32768}", "/s", "integer from -32768 to 32767"},
    {"Numbers", "{'small': 10}", "/small", "integer from 1 to 9"},
    {"Numbers", "{'n': -4}", "/n", "integer from -2147483648 to -5"},
    {"Texts", "{'b': 'Q'}", "/b", "string in base64"},
    {"Texts", "{'h': '0'}", "/h", "string of hexadecimal digits"},
    {"Texts", "{'n': 'a:b'}", "/n", "string with an XML name"},
    {"Attributes", "{}", "/@r", "integer from -2147483648 to 2147483647"},
    {"Attributes", "{'@r': 1, '@o': 'C'}", "/@o", "one of A, B"},
    {"Attributes", "{'@r': 1, '@a b': 'C'}", "/@a b", "the name of an attribute"},
    {"Attributes", "{'@r': 1, '@x': 1}", "/@x", "string"},
    {"Restricted", "{'one': 1}", "/@at", "string"},
    {"Restricted", "{'@at': 'x', 'one': 1, 'two': 2}", "/two", "no such member"},
    {"Any", "{'a': 7}", "/a", "string or object"},
    {"Any", "{'a': {'x': 1}}", "/a/x", "no such member"},
    {"Any", "{'a': '', '#any': {}}", "/#any", "array"},
    {"Any", "{'a': '', '#any': [{'name': 'a', 'namespace': 'http://www.w3.org/2000/xmlns/'}]}",
     "/#any/0/namespace", "a namespace"},
    {"Colour", "{}", "/value", "one of RED, BLUE"},
    {"Colour", "{'value': 'GREEN'}", "/value", "one of RED, BLUE"},
    {"Colour", "{'value': 'RED', 'x': 1}", "", "member value alone"},
    {"Amount", "{'value': {'#text': 7, 'x': 1}}", "/value/x", "no such member"},
    {"Ref", "{'shared': [1, 2, 3]}", "/shared", "at most 2 entries"},
};

static void is_refused_with_its_place(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct contract_operation *op =
            contract_find(fixture->contract, "S", bad[i].operation);
        struct codec_buffer buffer = {0};
        struct codec_error error;
        json_t *arguments = support_json(bad[i].arguments);
        if (codec_encode_request(op, SOAP_1_1, arguments, NULL, &buffer, &error) != CG_E_INVALID)
            fail_msg("%s gives %s", bad[i].arguments, buffer.bytes);
        if (strcmp(error.pointer, bad[i].pointer) != 0 ||
            strcmp(error.expected, bad[i].expected) != 0)
            fail_msg("%s: %s", bad[i].arguments, error.text);
        json_decref(arguments);
        codec_buffer_release(&buffer);
    }
}

static void examples_are_valid(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        const struct contract_operation *op = contract_find(fixture->contract, "S", operations[i]);
        /* patterns, lists and lengths are not made examples for */
        int is_plain = strcmp(op->name, "Texts") != 0, is_finite = strcmp(op->name, "Endless") != 0;
        for (int maximal = 0; is_finite && maximal <= is_plain; maximal++) {
            struct codec_buffer buffer = {0};
            struct codec_error error;
            json_t *arguments = codec_example_input(op, maximal);
            if (codec_encode_request(op, SOAP_1_1, arguments, NULL, &buffer, &error) != CG_OK)
                fail_msg("%s: %s", operations[i], error.text);
            support_assert_valid(&fixture->schema, &buffer, operations[i]);
            json_decref(arguments);
            codec_buffer_release(&buffer);
        }
    }
}

/* A type that requires itself has no value; nothing may hang or overflow on it. */
static void endless_types_end(void **state)
{
    struct fixture *fixture = *state;
    const struct contract_operation *op = contract_find(fixture->contract, "S", "Endless");
    struct codec_buffer buffer = {0};
    struct codec_error error;
    json_t *example = codec_example_input(op, 1), *schema = codec_input_schema(op);
    assert_non_null(example);
    assert_string_equal(
        json_string_value(json_object_get(
            json_object_get(json_object_get(schema, "properties"), "next"), "$ref")),
        "#/$defs/Endless");
    assert_true(codec_encode_request(op, SOAP_1_1, example, NULL, &buffer, &error) != CG_OK);
    json_decref(example);
    json_decref(schema);
    codec_buffer_release(&buffer);
}

static void empty_elements_take_their_default(void **state)
{
    struct fixture *fixture = *state;
    const char *xml =
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><TextsOut "
        "xmlns='urn:t'><t>  a \n b </t><d/>"
        "</TextsOut></s:Body></s:Envelope>";
    struct codec_fault fault;
    struct codec_error error;
    json_t *result, *expected = support_json("{'t': 'a b', 'd': 7}");
    assert_int_equal(codec_decode_response(contract_find(fixture->contract, "S", "Texts"), xml,
                                           strlen(xml), &result, &fault, &error),
                     CG_OK);
    assert_true(json_equal(result, expected));
    json_decref(result);
    json_decref(expected);
}

/* An array of an alternative that was not taken is absent, not empty: else it could not be sent. */
static void alternatives_not_taken_are_absent(void **state)
{
    struct fixture *fixture = *state;
    const char *xml = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body>"
                      "<ChoiceOut xmlns='urn:t'><a>1</a></ChoiceOut></s:Body></s:Envelope>";
    struct codec_fault fault;
    struct codec_error error;
    json_t *result, *expected = support_json("{'a': 1}");
    assert_int_equal(codec_decode_response(contract_find(fixture->contract, "S", "Choice"), xml,
                                           strlen(xml), &result, &fault, &error),
                     CG_OK);
    assert_true(json_equal(result, expected));
    json_decref(result);
    json_decref(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_out_valid_and_comes_back),
        cmocka_unit_test(is_refused_with_its_place),
        cmocka_unit_test(examples_are_valid),
        cmocka_unit_test(endless_types_end),
        cmocka_unit_test(empty_elements_take_their_default),
        cmocka_unit_test(alternatives_not_taken_are_absent),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
