/* Memory runs out while contracts are loaded and published, and while messages are encoded and decoded. */
#include "test_allocation_fixture.h"

#include "cctgate/xml.h"
#include "contract_support.h"
#include "gateway/contract/arena.h"

/* ---- the arena's own, which would else fail once in 64 KiB ---- */

void *__real_arena_alloc(struct arena *arena, size_t size);
void *__real_arena_array(struct arena *arena, size_t count, size_t size);
char *__real_arena_strdup(struct arena *arena, const char *text);
char *__real_arena_strndup(struct arena *arena, const char *text, size_t length);
char *__real_arena_join(struct arena *arena, const char *a, const char *b, const char *c);
int __real_list_push(struct arena *arena, struct list *list, void *item);
int __real_map_put(struct arena *arena, struct map *map, size_t kind, const char *a, const char *b,
                   void *value);
void *__wrap_arena_alloc(struct arena *arena, size_t size);
void *__wrap_arena_array(struct arena *arena, size_t count, size_t size);
char *__wrap_arena_strdup(struct arena *arena, const char *text);
char *__wrap_arena_strndup(struct arena *arena, const char *text, size_t length);
char *__wrap_arena_join(struct arena *arena, const char *a, const char *b, const char *c);
int __wrap_list_push(struct arena *arena, struct list *list, void *item);
int __wrap_map_put(struct arena *arena, struct map *map, size_t kind, const char *a, const char *b,
                   void *value);

void *__wrap_arena_alloc(struct arena *arena, size_t size)
{
    return allocation_fails() ? NULL : __real_arena_alloc(arena, size);
}

void *__wrap_arena_array(struct arena *arena, size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_arena_array(arena, count, size);
}

char *__wrap_arena_strdup(struct arena *arena, const char *text)
{
    return allocation_fails() ? NULL : __real_arena_strdup(arena, text);
}

char *__wrap_arena_strndup(struct arena *arena, const char *text, size_t length)
{
    return allocation_fails() ? NULL : __real_arena_strndup(arena, text, length);
}

char *__wrap_arena_join(struct arena *arena, const char *a, const char *b, const char *c)
{
    return allocation_fails() ? NULL : __real_arena_join(arena, a, b, c);
}

int __wrap_list_push(struct arena *arena, struct list *list, void *item)
{
    return allocation_fails() ? CG_E_NOMEM : __real_list_push(arena, list, item);
}

int __wrap_map_put(struct arena *arena, struct map *map, size_t kind, const char *a, const char *b,
                   void *value)
{
    return allocation_fails() ? CG_E_NOMEM : __real_map_put(arena, map, kind, a, b, value);
}

/* ---- a contract with a little of everything ---- */

static const char xsd[] =
    "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' xmlns:t='urn:t' "
    "targetNamespace='urn:t' "
    "elementFormDefault='qualified'>"
    "<xs:simpleType name='Colour'><xs:restriction base='xs:string'><xs:enumeration value='RED'/>"
    "<xs:enumeration value='BLUE'/></xs:restriction></xs:simpleType>"
    "<xs:simpleType name='Small'><xs:restriction base='xs:int'><xs:minInclusive value='1'/>"
    "<xs:maxExclusive value='10'/></xs:restriction></xs:simpleType>"
    "<xs:complexType name='Amount'><xs:simpleContent><xs:extension base='xs:int'><xs:attribute "
    "name='unit' type='t:Colour' "
    "use='required'/></xs:extension></xs:simpleContent></xs:complexType>"
    "<xs:complexType name='Base'><xs:sequence><xs:element name='colour' type='t:Colour'/>"
    "<xs:element name='small' type='t:Small' default='7' minOccurs='0'/></xs:sequence>"
    "<xs:attribute name='mark' type='xs:boolean'/><xs:anyAttribute processContents='lax'/>"
    "</xs:complexType>"
    "<xs:complexType name='Derived'><xs:complexContent><xs:extension base='t:Base'><xs:sequence>"
    "<xs:element name='amount' type='t:Amount' maxOccurs='unbounded'/>"
    "<xs:choice><xs:element name='left' type='xs:dateTime'/><xs:element name='right' "
    "type='xs:base64Binary'/></xs:choice>"
    "<xs:element name='kind' type='xs:QName' minOccurs='0'/>"
    "<xs:element name='words' minOccurs='0'><xs:simpleType><xs:list itemType='xs:int'/>"
    "</xs:simpleType></xs:element>"
    "<xs:element name='either' minOccurs='0'><xs:simpleType><xs:union memberTypes='xs:int "
    "xs:string'/></xs:simpleType></xs:element>"
    "<xs:element name='none' type='xs:string' nillable='true'/>"
    "<xs:element name='more' type='t:Derived' minOccurs='0'/>"
    "<xs:element name='mixed' minOccurs='0'><xs:complexType mixed='true'><xs:sequence>"
    "<xs:element name='b' type='xs:token'/></xs:sequence></xs:complexType></xs:element>"
    "<xs:element name='anything' type='xs:anyType' minOccurs='0'/>"
    "<xs:any namespace='##other' processContents='lax' minOccurs='0' maxOccurs='unbounded'/>"
    "</xs:sequence></xs:extension></xs:complexContent></xs:complexType>"
    "<xs:complexType name='Token'><xs:sequence><xs:element ref='t:text'/></xs:sequence>"
    "</xs:complexType>"
    "<xs:element name='text' type='xs:string'/>"
    "<xs:element name='Do'><xs:complexType><xs:sequence><xs:element name='item' "
    "type='t:Derived' maxOccurs='unbounded'/></xs:sequence></xs:complexType></xs:element>"
    "<xs:element name='Done' type='t:Derived'/>"
    "<xs:element name='Count' type='xs:int'/>"
    "<xs:element name='Wrong'><xs:complexType><xs:sequence><xs:element name='message' "
    "type='xs:string'/></xs:sequence></xs:complexType></xs:element>"
    "</xs:schema>";

static const char wsdl[] =
    "<w:definitions xmlns:w='http://schemas.xmlsoap.org/wsdl/' "
    "xmlns:soap='http://schemas.xmlsoap.org/wsdl/soap/' xmlns:t='urn:t' "
    "xmlns:xs='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:t'><w:types><xs:schema>"
    "<xs:import namespace='urn:t' schemaLocation='t.xsd'/></xs:schema></w:types>"
    "<w:message name='DoIn'><w:part name='p' element='t:Do'/></w:message>"
    "<w:message name='DoOut'><w:part name='p' element='t:Done'/></w:message>"
    "<w:message name='CountOut'><w:part name='p' element='t:Count'/></w:message>"
    "<w:message name='WrongOut'><w:part name='p' element='t:Wrong'/></w:message>"
    "<w:portType name='P'><w:operation name='Do'><w:documentation>does it</w:documentation>"
    "<w:input message='t:DoIn'/><w:output message='t:DoOut'/><w:fault name='f' "
    "message='t:WrongOut'/></w:operation></w:portType>"
    "<w:binding name='B' type='t:P'><soap:binding "
    "transport='http://schemas.xmlsoap.org/soap/http'/>"
    "<w:operation name='Do'><soap:operation soapAction='urn:do'/></w:operation></w:binding>"
    "<w:service name='X'><w:port name='S' binding='t:B'><soap:address "
    "location='http://h/services/S'/></w:port></w:service></w:definitions>";

static const char item[] =
    "{'@mark': true, '@free': 'x', 'colour': 'RED', 'small': 3, 'amount': [{'#text': 1, '@unit': "
    "'BLUE'}, {'#text': 2, '@unit': 'RED'}], 'left': '2030-01-01T00:00:00Z', 'kind': "
    "'{urn:t}name', "
    "'words': '1 2  3', 'either': 'a', 'none': null, 'more': {'colour': 'BLUE', 'amount': "
    "[{'#text': "
    "3, '@unit': 'RED'}], 'right': 'QUJD', 'none': 'some'}, 'mixed': {'#text': 'a & b', 'b': 'c'}, "
    "'anything': {'#any': [{'name': 'n', 'namespace': 'urn:z', 'content': {'@a': 'b', '#text': "
    "'t'}}]}, '#any': [{'name': 'o', 'namespace': 'urn:o', 'content': 'text'}]}";

static struct {
    char *folder;
    struct contract *small, *whole;
    const struct contract_operation *op, *notify;
} fixture;

static int set_up(void **state)
{
    (void)state;
    allocation_init();
    support_init();
    fixture.folder = support_folder();
    support_write(fixture.folder, "S.wsdl", wsdl);
    support_write(fixture.folder, "t.xsd", xsd);
    fixture.small = support_load(fixture.folder);
    fixture.whole = support_load(CCT_DIRECTORY);
    fixture.op = contract_find(fixture.small, "S", "Do");
    fixture.notify = contract_find(fixture.whole, "NotificationConsumer", "Notify");
    assert_non_null(fixture.op);
    assert_non_null(fixture.notify);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    contract_free(&fixture.small);
    contract_free(&fixture.whole);
    support_remove(&fixture.folder);
    return 0;
}

/* ---- loading ---- */

static json_t *maximal_input(const struct contract_operation *op)
{
    return codec_example_input(op, 1);
}

static json_t *maximal_output(const struct contract_operation *op)
{
    return codec_example_output(op, 1);
}

/* By what it makes of the only operation. */
static void assert_same_contract(const struct contract *contract)
{
    json_t *(*const makers[])(const struct contract_operation *) = {
        codec_input_schema, codec_output_schema, maximal_input, maximal_output};
    const struct contract_operation *op = contract_find(contract, "S", "Do");
    struct codec_buffer out[2] = {{0}};
    struct codec_error error;

    assert_int_equal(contract_num_services(contract), 1);
    assert_non_null(op);
    assert_ptr_equal(op, contract_dispatch(contract, "S", "urn:t", "Do"));
    assert_string_equal(op->documentation, "does it");
    assert_string_equal(op->soap_action, "urn:do");
    assert_string_equal(op->service->address_path, "/services/S");
    assert_int_equal(op->num_faults, 1);
    for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
        json_t *made = makers[i](op), *wanted = makers[i](fixture.op);
        assert_true(json_equal(made, wanted));
        if (makers[i] == maximal_input)
            for (size_t side = 0; side < 2; side++)
                assert_int_equal(codec_encode_request(side == 0 ? op : fixture.op, SOAP_1_1, made,
                                                      NULL, &out[side], &error),
                                 CG_OK);
        json_decref(made);
        json_decref(wanted);
    }
    assert_string_equal(out[0].bytes, out[1].bytes);
    codec_buffer_release(&out[0]);
    codec_buffer_release(&out[1]);
}

static int load(void *data)
{
    char error[CG_ERROR_TEXT_MAX] = "";
    struct contract *contract = (struct contract *)&fixture;

    allocation_begin();
    int rc = contract_load(&contract, data, error, sizeof(error));
    allocation_end();
    if (rc != CG_OK) {
        assert_null(contract);
        assert_true(error[0] != '\0');
        return rc;
    }
    assert_same_contract(contract);
    contract_free(&contract);
    return rc;
}

static void test_loading(void **state)
{
    (void)state;
    allocation_torture("contract_load", load, fixture.folder, ALLOCATION_STRICT);
}

static int publish(void *data)
{
    const struct contract_service *service = contract_service_at(fixture.small, 0);
    struct contract_documents documents;
    char error[CG_ERROR_TEXT_MAX] = "";

    (void)data;
    allocation_begin();
    int rc = contract_publish(&documents, fixture.folder, service, "http://gateway/S", error,
                              sizeof(error));
    allocation_end();
    if (rc == CG_OK) {
        assert_int_equal(documents.num_documents, 2);
        assert_non_null(strstr(documents.documents[0].bytes, "http://gateway/S?xsd=1"));
        assert_non_null(strstr(documents.documents[0].bytes, "\"http://gateway/S\""));
        assert_non_null(strstr(documents.documents[1].bytes, "maxExclusive"));
    } else {
        assert_int_equal(documents.num_documents, 0);
        assert_null(documents.documents);
    }
    contract_documents_release(&documents);
    return rc;
}

static void test_publishing(void **state)
{
    (void)state;
    allocation_torture("contract_publish", publish, NULL, ALLOCATION_STRICT);
}

/* ---- requests and replies ---- */

static json_t *request_json(void)
{
    char *text = support_format("{'item': [%s, %s]}", item, item);
    json_t *json = support_json(text);
    free(text);
    return json;
}

struct exchange {
    json_t *json; /* what is encoded, and comes out of decoding */
    struct codec_buffer xml;
};

static int encode(void *data)
{
    struct exchange *exchange = data;
    struct codec_buffer out = {0};
    struct codec_error error = {0};

    allocation_begin();
    int rc = codec_encode_request(fixture.op, SOAP_1_1, exchange->json, NULL, &out, &error);
    allocation_end();
    if (rc == CG_OK)
        assert_string_equal(out.bytes, exchange->xml.bytes);
    else
        assert_int_equal(out.length, 0);
    codec_buffer_release(&out);
    return rc;
}

static int decode_request(void *data)
{
    struct exchange *exchange = data;
    const struct contract_operation *op;
    struct codec_error error = {0};
    json_t *arguments;
    char *token;

    allocation_begin();
    int rc = codec_decode_request(fixture.small, "S", exchange->xml.bytes, exchange->xml.length,
                                  &op, &arguments, &token, &error);
    allocation_end();
    assert_null(token);
    if (rc == CG_OK)
        assert_true(json_equal(arguments, exchange->json));
    else
        assert_null(arguments);
    json_decref(arguments);
    return rc;
}

static void test_requests(void **state)
{
    struct exchange exchange = {.json = request_json()};
    struct codec_error error = {0};
    const struct contract_operation *op;
    char *token;

    (void)state;
    if (codec_encode_request(fixture.op, SOAP_1_1, exchange.json, NULL, &exchange.xml, &error) !=
        CG_OK)
        fail_msg("%s", error.text);
    allocation_torture("codec_encode_request", encode, &exchange, ALLOCATION_STRICT);
    json_decref(exchange.json);
    assert_int_equal(codec_decode_request(fixture.small, "S", exchange.xml.bytes,
                                          exchange.xml.length, &op, &exchange.json, &token, &error),
                     CG_OK);
    allocation_torture("codec_decode_request", decode_request, &exchange, ALLOCATION_STRICT);
    json_decref(exchange.json);
    codec_buffer_release(&exchange.xml);
}

static int decode_token(void *data)
{
    struct exchange *exchange = data;
    const struct contract_operation *op;
    struct codec_error error = {0};
    json_t *arguments;
    char *token;

    allocation_begin();
    int rc = codec_decode_request(fixture.whole, "UserService", exchange->xml.bytes,
                                  exchange->xml.length, &op, &arguments, &token, &error);
    allocation_end();
    if (rc == CG_OK)
        assert_string_equal(token, "secret");
    else
        assert_true(token == NULL && arguments == NULL);
    json_decref(arguments);
    free(token);
    return rc;
}

static void test_token(void **state)
{
    const struct contract_operation *op = contract_find(fixture.whole, "UserService", "GetAgents");
    struct exchange exchange = {.json = codec_example_input(op, 1)};
    struct codec_error error;

    (void)state;
    assert_int_equal(
        codec_encode_request(op, SOAP_1_1, exchange.json, "secret", &exchange.xml, &error), CG_OK);
    allocation_torture("a request with a token", decode_token, &exchange, ALLOCATION_STRICT);
    json_decref(exchange.json);
    codec_buffer_release(&exchange.xml);
}

static int decode(const struct exchange *exchange, json_t **result, struct codec_fault *fault)
{
    struct codec_error error = {0};
    int rc;

    allocation_begin();
    rc = codec_decode_response(fixture.op, exchange->xml.bytes, exchange->xml.length, result, fault,
                               &error);
    allocation_end();
    return rc;
}

static int decode_response(void *data)
{
    struct exchange *exchange = data;
    struct codec_fault fault;
    json_t *result;
    int rc = decode(exchange, &result, &fault);

    if (rc == CG_OK)
        assert_true(json_equal(result, exchange->json));
    else
        assert_null(result);
    assert_null(fault.detail);
    json_decref(result);
    return rc;
}

static void test_reply(void **state)
{
    struct exchange exchange = {.json = support_json(item)};
    struct codec_error error = {0};
    struct codec_fault fault;

    (void)state;
    assert_int_equal(
        codec_encode_response(fixture.op, SOAP_1_2, exchange.json, &exchange.xml, &error), CG_OK);
    json_decref(exchange.json);
    assert_int_equal(codec_decode_response(fixture.op, exchange.xml.bytes, exchange.xml.length,
                                           &exchange.json, &fault, &error),
                     CG_OK);
    allocation_torture("codec_decode_response", decode_response, &exchange, ALLOCATION_STRICT);
    json_decref(exchange.json);
    codec_buffer_release(&exchange.xml);
}

/* That it is a fault, and which, is known even when there is no room for what it says to people. */
static int decode_fault(void *data)
{
    struct exchange *exchange = data;
    struct codec_fault fault;
    json_t *result;
    int rc = decode(exchange, &result, &fault);

    assert_null(result);
    if (rc == CG_E_FAULT) {
        assert_string_equal(fault.name, exchange->json != NULL ? "Wrong" : "Strange");
        assert_int_equal(fault.declared, exchange->json != NULL);
        assert_non_null(fault.detail);
        assert_true(exchange->json == NULL || json_equal(fault.detail, exchange->json));
        if (allocation.failed == 0) {
            assert_string_equal(fault.code, "Server");
            assert_string_equal(fault.message, exchange->json != NULL ? "no such thing" : "oops");
        }
        rc = CG_OK;
    } else {
        assert_null(fault.detail);
    }
    codec_fault_release(&fault);
    return rc;
}

static int encode_fault(void *data)
{
    struct exchange *exchange = data;
    struct codec_buffer out = {0};
    struct codec_error error = {0};

    allocation_begin();
    int rc = codec_encode_fault(fixture.op, SOAP_1_1, "Wrong", exchange->json, "Server", "oops",
                                &out, &error);
    allocation_end();
    if (rc == CG_OK)
        assert_string_equal(out.bytes, exchange->xml.bytes);
    else
        assert_int_equal(out.length, 0);
    codec_buffer_release(&out);
    return rc;
}

static void test_fault(void **state)
{
    static char undeclared[] =
        "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><e:Fault>"
        "<faultcode>e:Server</faultcode><faultstring>o<!-- -->ops</faultstring><detail><z:Strange "
        "xmlns:z='urn:z' a='b'><z:x>1</z:x>text</z:Strange></detail></e:Fault></e:Body>"
        "</e:Envelope>";
    struct exchange exchange = {.json = support_json("{'message': 'no such thing'}")};
    struct exchange strange = {.xml = {undeclared, sizeof(undeclared) - 1, 0}};
    struct codec_error error = {0};

    (void)state;
    assert_int_equal(codec_encode_fault(fixture.op, SOAP_1_1, "Wrong", exchange.json, "Server",
                                        "oops", &exchange.xml, &error),
                     CG_OK);
    allocation_torture("codec_encode_fault", encode_fault, &exchange, ALLOCATION_STRICT);
    allocation_torture("a declared fault", decode_fault, &exchange, ALLOCATION_TOLERANT);
    allocation_torture("an undeclared fault", decode_fault, &strange, ALLOCATION_TOLERANT);
    json_decref(exchange.json);
    codec_buffer_release(&exchange.xml);
}

/* ---- lists ---- */

struct told {
    size_t entries, bad;
};

static void on_entry(void *data, json_t *entry, const struct codec_error *error)
{
    struct told *told = data;
    int armed = allocation.armed;

    allocation.armed = 0;
    if (entry != NULL) {
        assert_string_equal(json_string_value(json_object_get(entry, "SessionId")), "s");
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(entry, "Message"), "EventType")),
            "WHATEVER");
    } else {
        assert_string_equal(error->text, "no memory for a message");
        told->bad++;
    }
    told->entries++;
    allocation.armed = armed;
}

#define MESSAGE                                                                                    \
    "<nc:NotificationMessage><bn:Topic><bn:NotificationTopic/></bn:Topic><bn:Message>"             \
    "<bn:EventType>WHATEVER</bn:EventType></bn:Message><bn:SessionId>s</bn:SessionId>"             \
    "<bn:SubscriptionId>u</bn:SubscriptionId><bn:Timestamp>2030-01-01T00:00:00Z</bn:Timestamp>"    \
    "</nc:NotificationMessage>"

/* An entry that there is no memory for is told as a bad one, and the others are as they were. */
static int decode_list(void *data)
{
    static const char xml[] =
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' "
        "xmlns:nc='http://www.nortel.com/soa/oi/cct/types/NotificationConsumer' "
        "xmlns:bn='http://www.nortel.com/soa/oi/cct/BaseNotification'><s:Body><nc:Notify>" MESSAGE
            MESSAGE "</nc:Notify></s:Body></s:Envelope>";
    struct codec_error error = {0};
    struct told told = {0};

    (void)data;
    allocation_begin();
    int rc = codec_decode_list(fixture.notify, xml, sizeof(xml) - 1, on_entry, &told, &error);
    allocation_end();
    assert_int_equal(told.entries, rc == CG_OK ? 2 : 0);
    if (rc == CG_OK)
        assert_int_equal(told.bad > 0, allocation.failed > 0);
    return rc;
}

static void test_list(void **state)
{
    (void)state;
    allocation_torture("codec_decode_list", decode_list, NULL, ALLOCATION_TOLERANT);
}

/* ---- JSON Schema, examples ---- */

struct making {
    json_t *(*make)(const struct contract_operation *op);
    const struct contract_operation *op;
    json_t *wanted;
};

static int make(void *data)
{
    struct making *making = data;

    allocation_begin();
    json_t *made = making->make(making->op);
    allocation_end();
    if (made == NULL)
        return CG_E_NOMEM;
    assert_true(json_equal(made, making->wanted));
    json_decref(made);
    return CG_OK;
}

static json_t *shared_schemas(const struct contract_operation *op)
{
    struct codec_schemas *schemas = codec_schemas_new("#/x/", 1);
    json_t *own = schemas != NULL ? codec_schemas_add(schemas, op) : NULL;
    json_t *more = own != NULL ? codec_schemas_definitions(schemas) : NULL;

    codec_schemas_free(&schemas);
    if (more == NULL) {
        json_decref(own);
        return NULL;
    }
    return json_pack("[o, o]", own, more);
}

static void test_schemas_and_examples(void **state)
{
    static const struct {
        const char *name;
        json_t *(*make)(const struct contract_operation *op);
    } rows[] = {
        {"codec_input_schema", codec_input_schema}, {"codec_output_schema", codec_output_schema},
        {"codec_told_schema", codec_told_schema},   {"codec_schemas_add", shared_schemas},
        {"codec_example_input", maximal_input},     {"codec_example_output", maximal_output}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        struct making making = {rows[i].make, fixture.op, rows[i].make(fixture.op)};
        allocation_torture(rows[i].name, make, &making, ALLOCATION_STRICT);
        json_decref(making.wanted);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loading),  cmocka_unit_test(test_publishing),
        cmocka_unit_test(test_requests), cmocka_unit_test(test_token),
        cmocka_unit_test(test_reply),    cmocka_unit_test(test_fault),
        cmocka_unit_test(test_list),     cmocka_unit_test(test_schemas_and_examples),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
