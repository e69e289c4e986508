/*
 * The shipped contracts, as the tables that they become. The figures are operations.md's and
 * NOTES.md's.
 */
#include "contract_support.h"

#include <stdlib.h>
#include <string.h>

static int set_up(void **state)
{
    support_init();
    *state = support_load(CONTRACT_DIRECTORY);
    return 0;
}

static int tear_down(void **state)
{
    struct contract *contract = *state;
    contract_free(&contract);
    assert_null(contract);
    contract_free(&contract);
    return 0;
}

static const struct {
    const char *name, *address_path;
    size_t operations;
    int soap12;
} expected_services[] = {
    {"AddressService", "/SOAOICCT/services/AddressService", 22, 0},
    {"AgentService", "/SOAOICCT/services/AgentService", 18, 0},
    {"AgentTerminalConnectionService", "/SOAOICCT/services/AgentTerminalConnectionService", 12, 0},
    {"AgentTerminalService", "/SOAOICCT/services/AgentTerminalService", 16, 0},
    {"ConnectionService", "/SOAOICCT/services/ConnectionService", 16, 0},
    {"ContactService", "/SOAOICCT/services/ContactService", 25, 0},
    {"MetricsService", "/SOAOICCT/services/MetricsService", 5, 0},
    {"NotificationConsumer", "/NotificationConsumer", 1, 0},
    {"NotificationProducer", "/SOAOICCT/services/NotificationProducer", 4, 0},
    {"RoutePointAddressService", "/SOAOICCT/services/RoutePointAddressService", 4, 0},
    {"RoutePointConnectionService", "/SOAOICCT/services/RoutePointConnectionService", 5, 0},
    {"SessionService", "/SOAOICCT/services/SessionService", 43, 0},
    {"TerminalConnectionService", "/SOAOICCT/services/TerminalConnectionService", 20, 0},
    {"TerminalService", "/SOAOICCT/services/TerminalService", 17, 0},
    {"UserService", "/SOAOICCT/services/UserService", 10, 0},
    {"OutboundUtilityWS", "/ccmmoutboundwebservices/OutboundUtilityWS.asmx", 2, 1},
    {"OutboundCampaignWS", "/ccmmoutboundwebservices/OutboundCampaignWS.asmx", 3, 1},
    {"OutboundContactWS", "/ccmmoutboundwebservices/OutboundContactWS.asmx", 5, 1},
};

static void has_every_service_and_operation(void **state)
{
    const struct contract *contract = *state;
    size_t total = 0, count = sizeof(expected_services) / sizeof(expected_services[0]);
    assert_int_equal(count, 18);
    assert_int_equal(contract_num_services(contract), count);
    for (size_t i = 0; i < count; i++) {
        const struct contract_service *service =
            contract_find_service(contract, expected_services[i].name);
        assert_non_null(service);
        assert_string_equal(service->name, expected_services[i].name);
        assert_string_equal(service->address_path, expected_services[i].address_path);
        assert_int_equal(service->num_operations, expected_services[i].operations);
        assert_int_equal(service->soap11, 1);
        assert_int_equal(service->soap12, expected_services[i].soap12);
        total += service->num_operations;
    }
    assert_int_equal(total, 228);
    assert_null(contract_find_service(contract, "SOAOICCT_AgentService"));
    assert_null(contract_find_service(contract, "agentservice"));
    assert_null(contract_find_service(contract, ""));
}

static void has_the_shape_that_the_notes_count(void **state)
{
    const struct contract *contract = *state;
    size_t empty = 0, one_way = 0, wrapped = 0, faults = 0, tokens = 0, cct = 0;
    for (size_t i = 0; i < contract_num_services(contract); i++) {
        const struct contract_service *service = contract_service_at(contract, i);
        for (size_t j = 0; j < service->num_operations && !service->soap12; j++) {
            const struct contract_operation *op = &service->operations[j];
            assert_ptr_equal(op->service, service);
            assert_non_null(op->input);
            assert_ptr_equal(contract_find(contract, service->name, op->name), op);
            cct++;
            empty += op->output == NULL && !op->one_way;
            one_way += op->one_way != 0;
            wrapped += op->wrapped != 0;
            faults += op->num_faults;
            tokens += op->takes_token != 0;
        }
    }
    assert_int_equal(cct, 218);
    assert_int_equal(empty, 70);
    assert_int_equal(one_way, 1);
    /*
     * six in wrapper style, and SendInstantMessage, whose element has the operation's name by
     * accident
     */
    assert_int_equal(wrapped, 7);
    assert_int_equal(faults, 433);
    /* all but Notify, two logins and fourteen GetVersion */
    assert_int_equal(tokens, 218 - 1 - 2 - 14);
}

static const struct contract_operation *find(const struct contract *contract, const char *service,
                                             const char *name)
{
    const struct contract_operation *op = contract_find(contract, service, name);
    if (op == NULL)
        fail_msg("%s.%s is missing", service, name);
    return op;
}

static void keeps_the_oddities(void **state)
{
    const struct contract *contract = *state;
    const struct contract_operation *op = find(contract, "AgentService", "GetType");
    assert_string_equal(op->soap_action,
                        "http://www.nortel.com/soa/oi/cct/AgentService/GetCapabilities");
    assert_string_equal(find(contract, "SessionService", "GetCurrentAddressCount")->soap_action,
                        "http://www.nortel.com/soa/oi/cct/SessionService/GetCurrentAddressCouint");
    op = find(contract, "TerminalService", "GetTerminalConnections");
    assert_int_equal(op->num_faults,
                     2); /* the message GetTerminalConnectionsException has another element */
    assert_string_equal(op->faults[0].name, "GetConnectionsException");
    assert_string_equal(op->faults[1].name, "SessionNotCreatedException");
    op = find(contract, "UserService", "Subscribe");
    assert_true(op->wrapped && op->takes_token);
    op = find(contract, "NotificationConsumer", "Notify");
    assert_true(op->one_way && op->wrapped && !op->takes_token && op->output == NULL &&
                op->num_faults == 0);
    op = find(contract, "OutboundContactWS", "CloseContact");
    assert_non_null(op->documentation);
    assert_string_equal(op->soap_action, "http://nortel.com/CCMMOutboundWebservices/CloseContact");
    assert_true(op->wrapped && !op->takes_token);
    assert_null(contract_find(contract, "AgentService", "Nothing"));
    assert_null(contract_find(contract, "Nothing", "GetType"));
}

#define SESSION_TYPES "http://www.nortel.com/soa/oi/cct/types/SessionService"

static void dispatches_on_service_and_element(void **state)
{
    const struct contract *contract = *state;
    static const char *const shared[] = {"LogInToCCTServerRequest", "LogOffFromCCTServerRequest",
                                         "GetAddressRequest",       "GetAddressesRequest",
                                         "GetTerminalRequest",      "GetTerminalsRequest",
                                         "GetAgentsRequest",        "GetVersionRequest"};
    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
        const struct contract_operation *user =
            contract_dispatch(contract, "UserService", SESSION_TYPES, shared[i]);
        const struct contract_operation *session =
            contract_dispatch(contract, "SessionService", SESSION_TYPES, shared[i]);
        assert_non_null(user);
        assert_non_null(session);
        assert_string_equal(user->service->name, "UserService");
        assert_string_equal(session->service->name, "SessionService");
        assert_string_equal(user->name, session->name);
    }
    assert_string_equal(
        contract_dispatch(contract, "SessionService", SESSION_TYPES, "SetToReadyStatetRequest")
            ->name,
        "SetToReadyState");
    assert_null(
        contract_dispatch(contract, "UserService", SESSION_TYPES, "SetToReadyStatetRequest"));
    assert_null(contract_dispatch(contract, "UserService", "", "GetAddressRequest"));
    assert_null(contract_dispatch(contract, "Nothing", SESSION_TYPES, "GetAddressRequest"));
}

static void a_variant_loads_when_it_is_the_directory(void **state)
{
    (void)state;
    struct contract *variant = support_load(OUTBOUND_DIRECTORY "/variant-priority");
    assert_int_equal(contract_num_services(variant), 1);
    const struct contract_operation *op =
        find(variant, "OutboundCampaignWS", "AppendContactsToCampaign");
    json_t *arguments = codec_example_input(op, 0);
    assert_non_null(json_object_get(arguments, "priority"));
    json_decref(arguments);
    contract_free(&variant);
}

static char *with_new_wsdl(void)
{
    char *wsdl = support_read(CCT_DIRECTORY "/AgentService.wsdl", NULL), *next;
    next = support_replace(wsdl, "<wsdl:portType",
                           "<wsdl:message name=\"GetMoodIn\"><wsdl:part name=\"p\" "
                           "element=\"agt:GetMoodRequest\"/></wsdl:message>"
                           "<wsdl:message name=\"GetMoodOut\"><wsdl:part name=\"p\" "
                           "element=\"agt:GetMoodResponse\"/></wsdl:message>"
                           "<wsdl:portType");
    free(wsdl);
    wsdl =
        support_replace(next, "<wsdl:operation name=\"GetType\">",
                        "<wsdl:operation name=\"GetMood\"><wsdl:input message=\"tns:GetMoodIn\"/>"
                        "<wsdl:output message=\"tns:GetMoodOut\"/></wsdl:operation><wsdl:operation "
                        "name=\"GetType\">");
    free(next);
    const char *binding = strstr(wsdl, "<wsdl:binding");
    char *tail =
        support_replace(binding, "<wsdl:operation name=\"GetType\">",
                        "<wsdl:operation name=\"GetMood\"><soap:operation soapAction=\"urn:mood\"/>"
                        "<wsdl:input><soap:body use=\"literal\"/></wsdl:input>"
                        "<wsdl:output><soap:body use=\"literal\"/></wsdl:output></wsdl:operation>"
                        "<wsdl:operation name=\"GetType\">");
    next = support_format("%.*s%s", (int)(binding - wsdl), wsdl, tail);
    free(wsdl);
    free(tail);
    return next;
}

static char *with_new_xsd(void)
{
    char *xsd = support_read(CCT_DIRECTORY "/AgentService.xsd", NULL);
    char *next = support_replace(
        xsd, "</xs:schema>",
        "<xs:element name=\"GetMoodRequest\"><xs:complexType><xs:sequence>"
        "<xs:element name=\"ssoToken\" type=\"cct:ssoToken\"/><xs:element name=\"agent\" "
        "type=\"cct:agent\"/>"
        "<xs:element name=\"day\" type=\"xs:date\" minOccurs=\"0\" "
        "maxOccurs=\"3\"/></xs:sequence></xs:complexType></xs:element>"
        "<xs:element name=\"GetMoodResponse\"><xs:simpleType><xs:restriction base=\"xs:string\">"
        "<xs:enumeration value=\"GOOD\"/><xs:enumeration "
        "value=\"BAD\"/></xs:restriction></xs:simpleType></xs:element>"
        "</xs:schema>");
    free(xsd);
    return next;
}

static void an_operation_added_to_the_files_is_callable(void **state)
{
    (void)state;
    struct codec_buffer buffer = {0};
    struct codec_error error = {0};
    struct support_schema schema;
    char *folder = support_folder(), *samples = support_format("%s/samples", folder);
    char *check = support_format("%s/soap11-envelope.xsd", samples), *wsdl = with_new_wsdl(),
         *xsd = with_new_xsd();
    char *make = support_format("mkdir '%s'", samples);
    assert_int_equal(system(make), 0);
    support_copy(CCT_DIRECTORY, folder, ".wsdl", ".xsd");
    support_copy(CCT_DIRECTORY "/samples", samples, ".xsd", ".xsd");
    support_write(folder, "AgentService.wsdl", wsdl);
    support_write(folder, "AgentService.xsd", xsd);
    support_schema_load(&schema, check);
    struct contract *contract = support_load(folder);
    const struct contract_operation *op = find(contract, "AgentService", "GetMood");
    assert_int_equal(op->service->num_operations, 19);
    assert_true(op->takes_token);
    for (int maximal = 0; maximal < 2; maximal++) {
        json_t *arguments = codec_example_input(op, maximal);
        assert_int_equal(json_array_size(json_object_get(arguments, "day")), maximal ? 2 : 0);
        assert_int_equal(codec_encode_request(op, SOAP_1_1, arguments, "t", &buffer, &error),
                         CG_OK);
        support_assert_valid(&schema, &buffer, "GetMood");
        json_decref(arguments);
        codec_buffer_release(&buffer);
    }
    json_t *result = support_json("{'value': 'BAD'}"), *decoded;
    struct codec_fault fault;
    assert_int_equal(codec_encode_response(op, SOAP_1_1, result, &buffer, &error), CG_OK);
    support_assert_valid(&schema, &buffer, "GetMood");
    assert_int_equal(
        codec_decode_response(op, buffer.bytes, buffer.length, &decoded, &fault, &error), CG_OK);
    assert_true(json_equal(result, decoded));
    json_decref(result);
    json_decref(decoded);
    codec_buffer_release(&buffer);
    contract_free(&contract);
    support_schema_release(&schema);
    free(make);
    free(wsdl);
    free(xsd);
    free(check);
    free(samples);
    support_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_every_service_and_operation),
        cmocka_unit_test(has_the_shape_that_the_notes_count),
        cmocka_unit_test(keeps_the_oddities),
        cmocka_unit_test(dispatches_on_service_and_element),
        cmocka_unit_test(a_variant_loads_when_it_is_the_directory),
        cmocka_unit_test(an_operation_added_to_the_files_is_callable),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
