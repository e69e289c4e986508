/* What the upstream sends: kept, typed, or refused with the place; faults of every sort. */
#include "contract_support.h"

#include <stdlib.h>
#include <string.h>

#define SOAP11 "http://schemas.xmlsoap.org/soap/envelope/"
#define SOAP12 "http://www.w3.org/2003/05/soap-envelope"
#define NAMESPACES                                                                                 \
    " xmlns:x='http://www.w3.org/2001/XMLSchema-instance' "                                        \
    "xmlns:agt='http://www.nortel.com/soa/oi/cct/types/AgentService'"                              \
    " xmlns:adr='http://www.nortel.com/soa/oi/cct/types/AddressService' "                          \
    "xmlns:cct='http://www.nortel.com/soa/oi/cct/types'"                                           \
    " xmlns:ses='http://www.nortel.com/soa/oi/cct/types/SessionService'"                           \
    " xmlns:met='http://www.nortel.com/soa/oi/cct/types/MetricsService'"                           \
    " xmlns:flt='http://www.nortel.com/soa/oi/cct/faults' "                                        \
    "xmlns:np='http://www.nortel.com/soa/oi/cct/types/NotificationProducer'"                       \
    " xmlns:nflt='http://www.nortel.com/soa/oi/cct/notification/faults'"                           \
    " xmlns:wsa='http://schemas.xmlsoap.org/ws/2003/03/addressing'"                                \
    " xmlns:wsbf='http://docs.oasis-open.org/wsrf/2004/06/wsrf-WS-BaseFaults-1.2-draft-01.xsd'"

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
    return 0;
}

struct reply {
    int rc;
    json_t *result;
    struct codec_fault fault;
    struct codec_error error;
};

/* The last reply: a fault's name may point into the fault itself, so it stays where it was decoded. */
static struct reply last;

static struct reply *decode_whole(const struct contract *contract, const char *service,
                                  const char *operation, const char *xml)
{
    const struct contract_operation *op = contract_find(contract, service, operation);
    assert_non_null(op);
    last.rc = codec_decode_response(op, xml, strlen(xml), &last.result, &last.fault, &last.error);
    assert_int_equal(last.rc == CG_OK, last.result != NULL);
    return &last;
}

static struct reply *decode_body(const struct contract *contract, const char *service,
                                 const char *operation, const char *body)
{
    char *xml = support_format(
        "<s:Envelope xmlns:s='" SOAP11 "'" NAMESPACES "><s:Body>%s</s:Body></s:Envelope>", body);
    struct reply *reply = decode_whole(contract, service, operation, xml);
    free(xml);
    return reply;
}

static void release(struct reply *reply)
{
    json_decref(reply->result);
    codec_fault_release(&reply->fault);
}

#define ADDRESS(type)                                                                              \
    "<ses:addresses><cct:addressName>1</cct:addressName><cct:addressType>" type                    \
    "</cct:addressType>"                                                                           \
    "<cct:provider><cct:providerName> p "                                                          \
    "</cct:providerName></cct:provider><cct:status>s</cct:status></ses:addresses>"
#define ADDRESS_JSON(type)                                                                         \
    "{'addressName': '1', 'addressType': '" type                                                   \
    "', 'provider': {'providerName': ' p '}, 'status': 's'}"
#define ADDRESSES(content) "<ses:GetAddressesResponse>" content "</ses:GetAddressesResponse>"
#define COUNT(content)                                                                             \
    "<met:GetActiveSessionCountResponse><met:count>" content                                       \
    "</met:count></met:GetActiveSessionCountResponse>"
#define FLAG(content)                                                                              \
    "<agt:IsReadyResponse><agt:response>" content "</agt:response></agt:IsReadyResponse>"
#define REFERENCE(content)                                                                         \
    "<np:SubscribeResponse><np:SubscriptionReference>" content                                     \
    "</np:SubscriptionReference></np:SubscribeResponse>"

static const struct {
    const char *service, *operation, *body, *json;
} good[] = {
    {"UserService", "GetAddresses", ADDRESSES(""), "{'addresses': []}"},
    {"UserService", "GetAddresses", "<ses:GetAddressesResponse/>", "{'addresses': []}"},
    {"UserService", "GetAddresses", ADDRESSES(ADDRESS("AGENT")),
     "{'addresses': [" ADDRESS_JSON("AGENT") "]}"},
    {"UserService", "GetAddresses", ADDRESSES(ADDRESS("AGENT") ADDRESS("TREATMENT")),
     "{'addresses': [" ADDRESS_JSON("AGENT") "," ADDRESS_JSON("TREATMENT") "]}"},
    /* unknown values and elements are kept */
    {"UserService", "GetAddresses", ADDRESSES(ADDRESS("HOLOGRAM")),
     "{'addresses': [" ADDRESS_JSON("HOLOGRAM") "]}"},
    {"UserService", "GetAddresses",
     ADDRESSES("<new xmlns='urn:n' a='1'>x<b/></new>" ADDRESS("AGENT") "<ses:more>y</ses:more>"),
     "{'addresses': [" ADDRESS_JSON(
         "AGENT") "], '#any': [{'name': 'new', 'namespace': 'urn:n', 'content': {'@a': '1', "
                  "'#text': 'x',"
                  " '#any': [{'name': 'b', 'namespace': 'urn:n', 'content': ''}]}}, {'name': "
                  "'more',"
                  " 'namespace': 'http://www.nortel.com/soa/oi/cct/types/SessionService', "
                  "'content': 'y'}]}"},
    {"UserService", "GetAddresses", "<ses:GetAddressesResponse id='7' x:schemaLocation='a b'/>",
     "{'addresses': [], '@id': '7'}"},
    /* nil, types of instances, comments, order */
    {"UserService", "GetAddresses",
     ADDRESSES("<ses:addresses x:nil='true'/><ses:addresses x:nil='1'/>"),
     "{'addresses': [null, null]}"},
    {"MetricsService", "GetActiveSessionCount", COUNT("<!-- c --> 4<?p?>2\n"), "{'count': 42}"},
    {"MetricsService", "GetActiveSessionCount", COUNT("<![CDATA[7]]>"), "{'count': 7}"},
    {"MetricsService", "GetActiveSessionCount", COUNT("-2147483648"), "{'count': -2147483648}"},
    {"MetricsService", "GetActiveSessionCount", COUNT("+0000000000001"), "{'count': 1}"},
    {"MetricsService", "GetActiveSessionCount",
     "<met:GetActiveSessionCountResponse x:type='met:X'>\n <met:count "
     "x:type='xs:int'>1</met:count>\n</met:GetActiveSessionCountResponse>",
     "{'count': 1}"},
    {"AgentService", "IsReady", FLAG("true"), "{'response': true}"},
    {"AgentService", "IsReady", FLAG(" 0 "), "{'response': false}"},
    {"AgentService", "GetType",
     "<agt:GetTypeResponse><agt:response>  a\n b </agt:response></agt:GetTypeResponse>",
     "{'response': '  a\\n b '}"},
    {"AgentService", "GetType", "<agt:GetTypeResponse><agt:response/></agt:GetTypeResponse>",
     "{'response': ''}"},
    {"AgentService", "GetType",
     "<agt:GetTypeResponse><agt:response x:nil='true'/></agt:GetTypeResponse>",
     "{'response': null}"},
    {"UserService", "GetAddress",
     "<ses:AddressResponse><ses:addressResponse><cct:status>s</"
     "cct:status><cct:provider><cct:providerName>p</cct:providerName>"
     "</cct:provider><cct:addressName>1</cct:addressName><cct:addressType>AGENT</cct:addressType></"
     "ses:addressResponse></ses:AddressResponse>",
     "{'addressResponse': {'status': 's', 'provider': {'providerName': 'p'}, 'addressName': '1', "
     "'addressType': 'AGENT'}}"},
    /* text with attributes, qualified names, anything */
    {"NotificationProducer", "Subscribe", "<np:SubscribeResponse/>", "{}"},
    {"NotificationProducer", "Subscribe",
     REFERENCE(
         "<wsa:Address> a  b </wsa:Address><wsa:PortType>np:P</wsa:PortType><wsa:SubscriptionId/>"),
     "{'SubscriptionReference': {'Address': 'a b', 'PortType': "
     "'{http://www.nortel.com/soa/oi/cct/types/NotificationProducer}P',"
     " 'SubscriptionId': ''}}"},
    {"NotificationProducer", "Subscribe",
     REFERENCE("<wsa:Address attributeValue='cct:v'>a</wsa:Address><wsa:ReferenceProperties><n:p "
               "xmlns:n='u' n:q='1'/><b> </b>"
               "<c x:nil='true'/></wsa:ReferenceProperties><wsa:SubscriptionId/>"),
     "{'SubscriptionReference': {'Address': {'@attributeValue': "
     "'{http://www.nortel.com/soa/oi/cct/types}v', '#text': 'a'},"
     " 'ReferenceProperties': {'#any': [{'name': 'p', 'namespace': 'u', 'content': {'@{u}q': '1'}},"
     " {'name': 'b', 'namespace': '', 'content': ' '}, {'name': 'c', 'namespace': '', 'content': "
     "null}]}, 'SubscriptionId': ''}}"},
    /* an empty body */
    {"AgentService", "Logout", "", "{}"},
    {"AgentService", "Logout", " \n <!-- x --> ", "{}"},
};

static void decodes_what_the_contract_names_and_more(void **state)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct reply *reply = decode_body(*state, good[i].service, good[i].operation, good[i].body);
        if (reply->rc != CG_OK)
            fail_msg("%s: %s", good[i].body, reply->error.text);
        json_t *expected = support_json(good[i].json);
        if (!json_equal(expected, reply->result))
            fail_msg("%s: %s", good[i].body, json_dumps(reply->result, 0));
        json_decref(expected);
        release(reply);
    }
}

static const struct {
    const char *service, *operation, *body, *pointer, *expected, *found;
} wrong[] = {
    {"MetricsService", "GetActiveSessionCount", COUNT("2147483648"), "/count",
     "integer from -2147483648 to 2147483647", "other text"},
    {"MetricsService", "GetActiveSessionCount", COUNT("-2147483649"), "/count", NULL, "other text"},
    {"MetricsService", "GetActiveSessionCount", COUNT("99999999999999999999999999"), "/count", NULL,
     "other text"},
    {"MetricsService", "GetActiveSessionCount", COUNT("1.0"), "/count", NULL, "other text"},
    {"MetricsService", "GetActiveSessionCount", COUNT("0x1"), "/count", NULL, "other text"},
    {"MetricsService", "GetActiveSessionCount", COUNT("1 2"), "/count", NULL, "other text"},
    {"MetricsService", "GetActiveSessionCount", COUNT("-"), "/count", NULL, "other text"},
    {"MetricsService", "GetActiveSessionCount", COUNT(""), "/count", NULL, "no text"},
    {"MetricsService", "GetActiveSessionCount", COUNT("1<b/>"), "/count", "text", "elements"},
    {"MetricsService", "GetActiveSessionCount", "<met:GetActiveSessionCountResponse/>", "/count",
     NULL, "absent"},
    {"MetricsService", "GetActiveSessionCount",
     "<met:GetActiveSessionCountResponse>7</met:GetActiveSessionCountResponse>", "", "elements",
     "text"},
    {"MetricsService", "GetActiveSessionCount",
     "<met:GetActiveSessionCountResponse><count>1</count></met:GetActiveSessionCountResponse>",
     "/count", NULL, "absent"},
    {"MetricsService", "GetActiveSessionCount",
     "<met:GetActiveSessionCountResponse><met:count>1</met:count><met:count>1</met:count></"
     "met:GetActiveSessionCountResponse>",
     "/count", "one element", "2 entries"},
    {"AgentService", "IsReady", FLAG("TRUE"), "/response", "boolean", "other text"},
    {"AgentService", "IsReady", FLAG("yes"), "/response", "boolean", "other text"},
    {"AgentService", "IsReady", FLAG(""), "/response", "boolean", "no text"},
    {"UserService", "GetAddresses",
     ADDRESSES(
         ADDRESS("AGENT") "<ses:addresses><cct:addressName>1</cct:addressName></ses:addresses>"),
     "/addresses/1/addressType", NULL, "absent"},
};

static void refuses_values_that_are_not_of_their_type(void **state)
{
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct reply *reply =
            decode_body(*state, wrong[i].service, wrong[i].operation, wrong[i].body);
        if (reply->rc != CG_E_PROTOCOL)
            fail_msg("%s gives %d", wrong[i].body, reply->rc);
        assert_string_equal(reply->error.pointer, wrong[i].pointer);
        assert_string_equal(reply->error.found, wrong[i].found);
        if (wrong[i].expected != NULL)
            assert_string_equal(reply->error.expected, wrong[i].expected);
        release(reply);
    }
}

static const struct {
    const char *operation, *xml;
    int rc;
} envelopes[] = {
    {"Logout", "<html><head><title>Error 404</title></head><body/></html>", CG_E_PROTOCOL},
    {"Logout", "<!DOCTYPE html><html/>", CG_E_XML},
    {"Logout", "<html><p>no end</html>", CG_E_XML},
    {"Logout", "", CG_E_XML},
    {"Logout", "{\"a\": 1}", CG_E_XML},
    {"Logout", "<Envelope><Body/></Envelope>", CG_E_PROTOCOL},
    {"Logout", "<s:Envelope xmlns:s='urn:other'><s:Body/></s:Envelope>", CG_E_PROTOCOL},
    {"Logout", "<s:Envelope xmlns:s='" SOAP11 "'/>", CG_E_PROTOCOL},
    {"Logout", "<s:Envelope xmlns:s='" SOAP11 "'><s:Header/></s:Envelope>", CG_E_PROTOCOL},
    {"Logout", "<s:Envelope xmlns:s='" SOAP11 "'><s:Body/><s:Body/></s:Envelope>", CG_E_PROTOCOL},
    {"Logout", "<s:Envelope xmlns:s='" SOAP11 "' xmlns:t='" SOAP12 "'><t:Body/></s:Envelope>",
     CG_E_PROTOCOL},
    {"Logout", "<s:Envelope xmlns:s='" SOAP11 "'><s:Body><a/><b/></s:Body></s:Envelope>",
     CG_E_PROTOCOL},
    {"Logout", "<s:Envelope xmlns:s='" SOAP11 "'><s:Body>text</s:Body></s:Envelope>",
     CG_E_PROTOCOL},
    {"Logout", "<s:Envelope xmlns:s='" SOAP11 "'><s:Body><other/></s:Body></s:Envelope>",
     CG_E_PROTOCOL},
    {"Logout",
     "<s:Envelope xmlns:s='" SOAP11
     "'><s:Header><a s:mustUnderstand='1'>x</a></s:Header><s:Body/></s:Envelope>",
     CG_OK},
    {"Logout", "\xef\xbb\xbf<s:Envelope xmlns:s='" SOAP12 "'><s:Body/></s:Envelope>", CG_OK},
    {"IsReady", "<s:Envelope xmlns:s='" SOAP11 "'><s:Body/></s:Envelope>", CG_E_PROTOCOL},
    {"IsReady", "<s:Envelope xmlns:s='" SOAP11 "'><s:Body><IsReadyResponse/></s:Body></s:Envelope>",
     CG_E_PROTOCOL},
};

static void a_body_has_one_element(void **state)
{
    static const char *const bodies[] = {FLAG("true") FLAG("true"), FLAG("true") "<other/>",
                                         FLAG("true") "<s:Fault/>", "<s:Fault/>" FLAG("true")};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct reply *reply = decode_body(*state, "AgentService", "IsReady", bodies[i]);
        assert_int_equal(reply->rc, CG_E_PROTOCOL);
        release(reply);
    }
}

static void takes_only_soap_envelopes(void **state)
{
    for (size_t i = 0; i < sizeof(envelopes) / sizeof(envelopes[0]); i++) {
        struct reply *reply =
            decode_whole(*state, "AgentService", envelopes[i].operation, envelopes[i].xml);
        if (reply->rc != envelopes[i].rc)
            fail_msg("%s gives %d: %s", envelopes[i].xml, reply->rc, reply->error.text);
        if (reply->rc != CG_OK)
            assert_true(reply->error.text[0] != '\0');
        release(reply);
    }
}

static void nothing_is_a_reply_to_a_one_way_message(void **state)
{
    struct reply *reply = decode_whole(*state, "NotificationConsumer", "Notify", "");
    assert_int_equal(reply->rc, CG_OK);
    assert_int_equal(json_object_size(reply->result), 0);
    release(reply);
}

static const struct {
    const char *service, *operation, *fault;
    const char *name, *code, *message;
    int declared, session_lost;
    const char *detail; /* NULL: none */
} faults[] = {
    {"AgentService", "SetReady",
     "<s:Fault><faultcode>s:Server</faultcode><faultstring>f</"
     "faultstring><detail><flt:SetReadyException><wsbf:Timestamp>t"
     "</wsbf:Timestamp><wsbf:message>because</wsbf:message></flt:SetReadyException></detail></"
     "s:Fault>",
     "SetReadyException", "Server", "because", 1, 0,
     "{'Timestamp': 't', 'Description': [], 'FaultCause': [], 'message': 'because'}"},
    {"AgentService", "SetReady",
     "<s:Fault><faultcode>s:Server</faultcode><faultstring>f</faultstring><detail> "
     "<flt:SessionNotCreatedException>"
     "<wsbf:FaultCause><wsbf:Timestamp>u</wsbf:Timestamp></wsbf:FaultCause></"
     "flt:SessionNotCreatedException> </detail></s:Fault>",
     "SessionNotCreatedException", "Server", "f", 1, 1,
     "{'Description': [], 'FaultCause': [{'Timestamp': 'u', 'Description': [], 'FaultCause': "
     "[]}]}"},
    /* not declared by the operation, and still the session is gone */
    {"NotificationProducer", "Renew",
     "<s:Fault><faultcode>s:Client</faultcode><faultstring>f</"
     "faultstring><detail><flt:SessionNotCreatedException/></detail></s:Fault>",
     "SessionNotCreatedException", "Client", "f", 0, 1, "''"},
    {"NotificationProducer", "Renew",
     "<s:Fault><faultcode>s:Server</faultcode><faultstring/><detail><a/"
     "><nflt:ResourceUnknownFault><wsbf:Timestamp>t</wsbf:Timestamp>"
     "</nflt:ResourceUnknownFault></detail></s:Fault>",
     "ResourceUnknownFault", "Server", "", 1, 1,
     "{'Timestamp': 't', 'Description': [], 'FaultCause': []}"},
    /* the same local name elsewhere is something else */
    {"AgentService", "SetReady",
     "<s:Fault><faultcode>s:Server</faultcode><faultstring>f</"
     "faultstring><detail><SessionNotCreatedException xmlns='urn:x'>y"
     "</SessionNotCreatedException></detail></s:Fault>",
     "SessionNotCreatedException", "Server", "f", 0, 0, "'y'"},
    {"AgentService", "SetReady",
     "<s:Fault><faultcode>Server.Deep</faultcode><faultstring>a\n\tb</faultstring><detail/></"
     "s:Fault>",
     "Fault", "Server.Deep", "a  b", 0, 0, NULL},
    {"AgentService", "SetReady", "<s:Fault/>", "Fault", "", "", 0, 0, NULL},
    {"AgentService", "SetReady",
     "<s:Fault><s:faultcode>s:Client</s:faultcode><s:faultstring>q</s:faultstring></s:Fault>",
     "Fault", "Client", "q", 0, 0, NULL},
};

static void tells_faults_by_name(void **state)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct reply *reply =
            decode_body(*state, faults[i].service, faults[i].operation, faults[i].fault);
        if (reply->rc != CG_E_FAULT)
            fail_msg("%s gives %d", faults[i].fault, reply->rc);
        assert_string_equal(reply->fault.name, faults[i].name);
        assert_string_equal(reply->fault.code, faults[i].code);
        assert_string_equal(reply->fault.message, faults[i].message);
        assert_int_equal(reply->fault.declared, faults[i].declared);
        assert_int_equal(reply->fault.session_lost, faults[i].session_lost);
        json_t *expected = faults[i].detail == NULL ? NULL : support_json(faults[i].detail);
        if (expected != NULL && !json_equal(expected, reply->fault.detail))
            fail_msg("%s", json_dumps(reply->fault.detail, JSON_ENCODE_ANY));
        assert_int_equal(reply->fault.detail == NULL, expected == NULL);
        json_decref(expected);
        release(reply);
    }
}

static void reads_faults_of_soap_1_2(void **state)
{
    struct reply *reply = decode_whole(
        *state, "OutboundUtilityWS", "OutboundLogin",
        "<s:Envelope xmlns:s='" SOAP12
        "'><s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>x</s:Value>"
        "</s:Subcode></s:Code><s:Reason><s:Text "
        "xml:lang='en'>why</s:Text></s:Reason><s:Detail><d:E xmlns:d='u' a='1'><d:m>1</d:m></d:E>"
        "</s:Detail></s:Fault></s:Body></s:Envelope>");
    json_t *detail =
        support_json("{'@a': '1', '#any': [{'name': 'm', 'namespace': 'u', 'content': '1'}]}");
    assert_int_equal(reply->rc, CG_E_FAULT);
    assert_string_equal(reply->fault.code, "Receiver");
    assert_string_equal(reply->fault.message, "why");
    assert_string_equal(reply->fault.name, "E");
    assert_true(json_equal(reply->fault.detail, detail));
    json_decref(detail);
    release(reply);
}

static void long_texts_of_faults_are_cut_between_characters(void **state)
{
    char text[4000], name[600];
    for (size_t i = 0; i + 3 < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 4);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    char *body = support_format("<s:Fault><faultcode>%s</faultcode><faultstring>%s</"
                                "faultstring><detail><%s/></detail></s:Fault>",
                                text, text, name);
    struct reply *reply = decode_body(*state, "AgentService", "SetReady", body);
    assert_int_equal(reply->rc, CG_E_FAULT);
    assert_int_equal(strlen(reply->fault.message) % 3, 0);
    assert_true(strlen(reply->fault.message) > CG_ERROR_TEXT_MAX - 4);
    assert_int_equal(strlen(reply->fault.code) % 3, 0);
    assert_int_equal(strlen(reply->fault.name), sizeof(reply->fault.storage) - 1);
    release(reply);
    free(body);
}

static void requests_are_dispatched_and_their_token_set_apart(void **state)
{
    const struct contract_operation *op;
    struct codec_error error;
    json_t *arguments;
    char *token;
    const char *start = "<s:Envelope xmlns:s='" SOAP11 "'" NAMESPACES "><s:Body>",
               *end = "</s:Body></s:Envelope>";
    static const struct {
        const char *service, *body, *operation, *token;
        int rc;
    } requests[] = {
        {"UserService",
         "<ses:GetAddressesRequest><ses:ssoToken><cct:token> t&lt; "
         "</cct:token></ses:ssoToken></ses:GetAddressesRequest>",
         "GetAddresses", " t< ", CG_OK},
        {"UserService", "<ses:GetAddressesRequest/>", "GetAddresses", NULL, CG_OK},
        {"UserService", "<ses:GetAddressesRequest><ses:ssoToken/></ses:GetAddressesRequest>",
         "GetAddresses", NULL, CG_OK},
        {"SessionService", "<ses:GetVersionRequest/>", "GetVersion", NULL, CG_OK},
        {"AgentService",
         "<agt:SetReadyRequest><agt:ssoToken><cct:token>t</cct:token></agt:ssoToken></"
         "agt:SetReadyRequest>",
         "SetReady", NULL, CG_E_PROTOCOL},
        {"AgentService", "<agt:Dance/>", NULL, NULL, CG_E_NOTFOUND},
        {"AgentService", "<ses:GetAddressesRequest/>", NULL, NULL, CG_E_NOTFOUND},
        {"NoService", "<ses:GetAddressesRequest/>", NULL, NULL, CG_E_NOTFOUND},
        {"AgentService", "", NULL, NULL, CG_E_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        char *xml = support_format("%s%s%s", start, requests[i].body, end);
        assert_int_equal(codec_decode_request(*state, requests[i].service, xml, strlen(xml), &op,
                                              &arguments, &token, &error),
                         requests[i].rc);
        assert_int_equal(op != NULL, requests[i].operation != NULL);
        if (op != NULL)
            assert_string_equal(op->name, requests[i].operation);
        assert_int_equal(arguments != NULL, requests[i].rc == CG_OK);
        assert_int_equal(token != NULL, requests[i].token != NULL);
        if (token != NULL)
            assert_string_equal(token, requests[i].token);
        if (arguments != NULL)
            assert_int_equal(json_object_size(arguments), 0);
        json_decref(arguments);
        free(token);
        free(xml);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_what_the_contract_names_and_more),
        cmocka_unit_test(refuses_values_that_are_not_of_their_type),
        cmocka_unit_test(takes_only_soap_envelopes),
        cmocka_unit_test(a_body_has_one_element),
        cmocka_unit_test(nothing_is_a_reply_to_a_one_way_message),
        cmocka_unit_test(tells_faults_by_name),
        cmocka_unit_test(reads_faults_of_soap_1_2),
        cmocka_unit_test(long_texts_of_faults_are_cut_between_characters),
        cmocka_unit_test(requests_are_dispatched_and_their_token_set_apart),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
