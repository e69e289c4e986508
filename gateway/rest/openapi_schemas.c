/*
 * components.schemas of /openapi.json: what resources are made of (render.c), with the values that the contract has for them.
 *
 * Clients must allow for more members than are named; the named ones are fixed. A value that the contract lists may be another one when the
 * contact centre is newer than the contract (DOMAIN rule 2), so those are open.
 */
#include <stdio.h>
#include <string.h>

#include "cctgate/codec.h"
#include "gateway/rest/openapi.h"
#include "gateway/rest/rest.h"

#define REF(name)   "{'$ref':'#/components/schemas/" name "'}"
#define TEXT        "{'type':'string'}"
#define TEXT_NULL   "{'type':['string','null']}"
#define BOOL_NULL   "{'type':['boolean','null']}"
#define INT         "{'type':'integer'}"
#define COUNT_      "{'type':'integer','minimum':0}"
#define LIST(items) "{'type':'array','items':" items "}"
#define OR_NULL(of) "{'anyOf':[" of ",{'type':'null'}]}"
#define OPEN(...)   "{'anyOf':[{'enum':[" __VA_ARGS__ "]},{'type':'string'}]}"
#define SYNC        "'sync':" REF("Sync") ",'staleSince':" REF("Time")

/* clang-format off */
static const struct {
    const char *name, *schema, *example;
} schemas[] = {
    {"Sync", "{'type':'string','enum':['live','cached','stale'],'description':'live: covered by a healthy subscription; cached: within its time to live; stale: upstream or subscription lost'}", NULL},
    {"Time", "{'type':['string','null'],'format':'date-time'}", NULL},
    {"Names", LIST(TEXT), NULL},
    {"Flags", "{'type':'object','additionalProperties':{'type':'boolean'}}", NULL},
    {"ControlProfile", "{'type':'string','enum':['FullControl','MonitorOnly','CallRecorder']}", NULL},
    {"ControlHolder",
        "{'type':'object','required':['profile','application'],'properties':{'profile':" REF("ControlProfile") ",'application':" TEXT ",'since':" REF("Time") ",'expiresAt':" REF("Time") ","
        "'reserved':{'const':true,'description':'The agent is kept for an application that the gateway cannot see'}}}", NULL},
    {"AgentCall",
        "{'type':'object','required':['contactId','terminalConnectionId'],'properties':{'contactId':" TEXT ",'terminalConnectionId':" TEXT ",'terminal':" TEXT ",'state':" OR_NULL(REF("TerminalConnectionState")) ","
        "'calling':" TEXT_NULL ",'called':" TEXT_NULL ",'contactTypes':" REF("Names") "}}", NULL},
    {"Agent",
        "{'type':'object','required':['loginId','sync'],'properties':{'loginId':" TEXT ",'userName':" TEXT_NULL ",'agentType':" OR_NULL(REF("AgentType")) ","
        "'loginStatus':{'type':'string','enum':['LOGGED_IN','LOGGED_OUT']},'readyStatus':{'enum':['READY','NOT_READY',null]},"
        "'notReadyReasonCode':" TEXT_NULL ",'activityCode':" TEXT_NULL ",'presence':{'type':'string','enum':['loggedOut','notReady','ready','busy','afterCallWork']},"
        "'voiceTerminal':" TEXT_NULL ",'terminals':" REF("Names") ",'addresses':" REF("Names") ",'supervisor':" TEXT_NULL ",'contactTypes':" REF("Names") ","
        "'calls':" LIST(REF("AgentCall")) ",'capabilities':" REF("AgentFlags") ",'control':" OR_NULL(REF("ControlHolder")) "," SYNC "}}",
        "{'loginId':'2001','userName':'ann','agentType':'Agent','loginStatus':'LOGGED_IN','readyStatus':'NOT_READY','notReadyReasonCode':'3','activityCode':null,'presence':'notReady',"
        "'voiceTerminal':'Line 1.2001','terminals':['Line 1.2001'],'addresses':['7001'],'supervisor':'2900','contactTypes':['Voice'],"
        "'calls':[{'contactId':'1001','terminalConnectionId':'1001-7001-2001','terminal':'Line 1.2001','state':'HELD','calling':'5550100','called':'7001','contactTypes':['Voice']}],"
        "'capabilities':{'canLogout':true},'control':{'profile':'FullControl','application':'desktop','since':'2030-01-01T08:00:00.000Z','expiresAt':'2030-01-01T08:00:30.000Z'},'sync':'live'}"},
    {"Forwarding", "{'type':'object','properties':{'type':{},'to':" TEXT_NULL ",'caller':" TEXT_NULL ",'whichCalls':{}}}", NULL},
    {"Terminal",
        "{'type':'object','required':['name','sync'],'properties':{'name':" TEXT ",'type':" OR_NULL(REF("TerminalType")) ",'provider':" TEXT_NULL ",'state':" OR_NULL(REF("ResourceState")) ","
        "'addresses':" REF("Names") ",'terminalConnections':" LIST("{'type':'object','required':['terminalConnectionId'],'properties':{'terminalConnectionId':" TEXT ",'contactId':" TEXT_NULL ",'state':" OR_NULL(REF("TerminalConnectionState")) "}}") ","
        "'agent':" TEXT_NULL ",'ready':" BOOL_NULL ",'notReadyReasonCode':" TEXT_NULL ",'activityCode':" TEXT_NULL ",'doNotDisturb':" BOOL_NULL ",'forwarding':" LIST(REF("Forwarding")) ","
        "'contactTypes':" REF("Names") ",'capabilities':" REF("TerminalFlags") "," SYNC "}}",
        "{'name':'Line 1.2001','type':'AGENT','provider':'CS1000','state':'IN_SERVICE','addresses':['7001'],'terminalConnections':[],'agent':'2001','ready':true,'notReadyReasonCode':null,"
        "'activityCode':null,'doNotDisturb':false,'forwarding':[],'contactTypes':['Voice'],'capabilities':{'canOriginate':true},'sync':'cached'}"},
    {"Address",
        "{'type':'object','required':['name','sync'],'properties':{'name':" TEXT ",'type':" OR_NULL(REF("AddressType")) ",'provider':" TEXT_NULL ",'state':" OR_NULL(REF("ResourceState")) ","
        "'terminals':" REF("Names") ",'connections':" LIST("{'type':'object','required':['connectionId'],'properties':{'connectionId':" TEXT ",'contactId':" TEXT_NULL ",'state':" OR_NULL(REF("ConnectionState")) "}}") ","
        "'doNotDisturb':" BOOL_NULL ",'forwarding':" LIST(REF("Forwarding")) ",'messageWaiting':" BOOL_NULL ",'numberOfMessages':{'type':['integer','null']},'presence':{},'uri':" TEXT_NULL ","
        "'controlled':" BOOL_NULL ",'capabilities':" REF("AddressFlags") "," SYNC "}}",
        "{'name':'7001','type':'GENERIC','provider':'CS1000','state':'IN_SERVICE','terminals':['Line 1.2001'],'connections':[],'doNotDisturb':null,'forwarding':[],'messageWaiting':false,"
        "'numberOfMessages':0,'presence':null,'uri':null,'controlled':null,'capabilities':{'canOriginate':true},'sync':'live'}"},
    {"CallLeg", "{'type':'object','required':['terminalConnectionId'],'properties':{'terminalConnectionId':" TEXT ",'terminal':" TEXT_NULL ",'state':" OR_NULL(REF("TerminalConnectionState")) ",'capabilities':" REF("LegFlags") "}}", NULL},
    {"CallConnection",
        "{'type':'object','required':['connectionId'],'properties':{'connectionId':" TEXT ",'address':" TEXT_NULL ",'state':" OR_NULL(REF("ConnectionState")) ",'remote':{'type':'boolean'},"
        "'capabilities':" REF("ConnectionFlags") ",'terminalConnections':" LIST(REF("CallLeg")) "}}", NULL},
    {"AttachedData", "{'type':'object','properties':{'type':" OR_NULL(REF("AttachedDataType")) ",'value':{'description':'An object of text, a text, or base64, as the type says'}}}", NULL},
    {"Call",
        "{'type':'object','required':['contactId','sync'],'properties':{'contactId':" TEXT ",'externalContactId':" TEXT_NULL ",'provider':" TEXT_NULL ",'contactTypes':" REF("Names") ","
        "'calling':" TEXT_NULL ",'called':" TEXT_NULL ",'callingTerminal':" TEXT_NULL ",'originalDestination':" TEXT_NULL ",'lastRedirected':" TEXT_NULL ",'connections':" LIST(REF("CallConnection")) ","
        "'data':" OR_NULL(REF("AttachedData")) ",'intrinsics':" REF("Intrinsics") ",'immutableIntrinsics':" REF("Names") ",'uui':" TEXT_NULL ",'consults':" REF("Names") ","
        "'consultOf':" TEXT_NULL ",'transferredFrom':" REF("Names") ",'notKept':{'description':'What it carries and is not stored (cache.callData): to be read by itself','type':'array','items':" TEXT "},"
        "'capabilities':" REF("CallFlags") "," SYNC "}}",
        "{'contactId':'1001','externalContactId':'00001000021700000000','provider':'CS1000','contactTypes':['Voice'],'calling':'5550100','called':'7001','callingTerminal':null,'originalDestination':'7001','lastRedirected':null,"
        "'connections':[{'connectionId':'1001-7001','address':'7001','state':'ESTABLISHED','remote':false,'capabilities':{'canDisconnect':true},"
        "'terminalConnections':[{'terminalConnectionId':'1001-7001-2001','terminal':'Line 1.2001','state':'ACTIVE','capabilities':{'canHold':true}}]}],"
        "'data':{'type':'KEY_VALUE_PAIRS','value':{'customer':'4711'}},'intrinsics':{},'immutableIntrinsics':[],'uui':null,'consults':[],'consultOf':null,'transferredFrom':[],'capabilities':{'canDrop':true},'sync':'live'}"},
    {"User",
        "{'type':'object','required':['user','sync'],'properties':{'user':" TEXT ",'domain':" TEXT ",'agents':" REF("Names") ",'terminals':" REF("Names") ",'addresses':" REF("Names") ","
        "'session':{'type':'object','properties':{'state':" TEXT ",'since':" REF("Time") "}},'unsupportedMapping':{'type':'boolean'}," SYNC "}}",
        "{'user':'agent2001','domain':'CC','agents':['2001'],'terminals':['Line 1.2001'],'addresses':['7001'],'session':{'state':'up','since':'2030-01-01T08:00:00.000Z'},'sync':'live'}"},
    {"AgentCapabilities", "{'allOf':[" REF("AgentFlags") "],'description':'The flags by name, with sync and staleSince'}", NULL},
    {"TerminalCapabilities", "{'allOf':[" REF("TerminalFlags") "],'description':'The flags by name, with sync and staleSince'}", NULL},
    {"AddressCapabilities", "{'allOf':[" REF("AddressFlags") "],'description':'The flags by name, with sync and staleSince'}", NULL},
    {"CallCapabilities",
        "{'type':'object','allOf':[" REF("CallFlags") "],'properties':{'connections':" LIST(REF("CallConnection")) "},'description':'The flags of the call by name, those of its parts in connections, with sync and staleSince'}", NULL},
    {"CallData",
        "{'description':'Pairs, or type and value','anyOf':[{'type':'object','additionalProperties':" TEXT_NULL "},"
        "{'type':'object','required':['type','value'],'properties':{'type':{'const':'STRING'},'value':" TEXT_NULL "}},"
        "{'type':'object','required':['type','value'],'properties':{'type':{'const':'BINARY'},'value':{'type':['string','null'],'contentEncoding':'base64'}}}]}",
        "{'customer':'4711','reason':'invoice'}"},
    {"CallDataChange",
        "{'description':'Pairs that are merged, null removes one; or what is appended to text or bytes','anyOf':[{'type':'object','additionalProperties':" TEXT_NULL "},"
        "{'type':'object','required':['type','value'],'properties':{'type':{'const':'STRING'},'value':" TEXT "}},"
        "{'type':'object','required':['type','value'],'properties':{'type':{'const':'BINARY'},'value':{'type':'string','contentEncoding':'base64'}}}]}", NULL},
    {"Intrinsics", "{'type':'object','additionalProperties':" TEXT_NULL "}", "{'ORIGINATING_SITE':'1'}"},
    {"IntrinsicsChange", "{'type':'object','additionalProperties':" TEXT_NULL ",'description':'null removes one'}", NULL},
    {"Uui", "{'type':'object','properties':{'uui':" TEXT_NULL "," SYNC "}}", "{'uui':'04C8','sync':'live'}"},
    {"Messages", "{'type':'object','properties':{'items':{'type':['array','null'],'items':{'type':'object'}}," SYNC "}}", "{'items':[],'sync':'live'}"},

    /* what commands answer, and take */
    {"Origin",
        "{'type':'object','description':'Who calls, or where from','minProperties':1,'additionalProperties':false,'properties':{'agent':{'type':'string','minLength':1},"
        "'terminal':{'type':'string','minLength':1},'address':{'type':'string','minLength':1}}}", NULL},
    {"ContactResult", "{'type':'object','required':['contactId'],'properties':{'contactId':" TEXT "}}", NULL},
    {"ConnectionResult", "{'type':'object','required':['connectionId'],'properties':{'connectionId':" TEXT "}}", NULL},
    {"TerminalConnectionResult", "{'type':'object','required':['terminalConnectionId'],'properties':{'terminalConnectionId':" TEXT "}}", NULL},
    {"Lease",
        "{'type':'object','required':['fence','profile','expiresAt'],'properties':{'lease':{'type':'string','pattern':'^[A-Za-z0-9_-]{43}$','description':'A secret. Not in the answer to a renewal'},"
        "'fence':{'type':'integer','minimum':1,'description':'Grows with every grant'},'profile':" REF("ControlProfile") ",'expiresAt':{'type':'string','format':'date-time'}}}", NULL},
    {"ControlTransfer", "{'type':'object','required':['application','expiresAt'],'properties':{'application':" TEXT ",'expiresAt':" REF("Time") "}}", NULL},

    /* the gateway */
    {"Control",
        "{'type':['object','null'],'properties':{'profile':" OR_NULL(REF("ControlProfile")) ",'application':" TEXT_NULL ",'since':" REF("Time") ",'expiresAt':" REF("Time") ",'reserved':{'type':'boolean'},"
        "'fence':{'type':['integer','null']},'instances':" LIST("{'type':'object','required':['profile','application'],'properties':{'profile':" REF("ControlProfile") ",'application':" TEXT ",'since':" REF("Time") ",'expiresAt':" REF("Time") ",'bound':{'type':'boolean'}}}") ","
        "'reservation':" OR_NULL("{'type':'object','required':['application'],'properties':{'application':" TEXT ",'configured':{'type':'boolean'}}}") "}}", NULL},
    {"AuditEntry",
        "{'type':'object','required':['seq','time','what'],'properties':{'seq':{'type':'integer','minimum':1},'time':{'type':'string','format':'date-time'},'what':" TEXT ",'application':" TEXT ",'door':" TEXT ",'agent':" TEXT ","
        "'user':" TEXT ",'command':" TEXT ",'object':" TEXT ",'service':" TEXT ",'operation':" TEXT ",'outcome':" REF("Outcome") ",'problem':" TEXT ",'fault':" TEXT ",'address':" TEXT ",'fence':" INT "}}", NULL},
    {"Audit", "{'type':'object','required':['items'],'properties':{'items':" LIST(REF("AuditEntry")) ",'next':{'type':['integer','null']}}}", NULL},
    {"Session",
        "{'type':'object','required':['user','state'],'properties':{'user':" TEXT ",'domain':" TEXT ",'state':" TEXT ",'since':" REF("Time") ",'staleSince':" REF("Time") ",'endpoint':" TEXT ",'subscription':{}}}", NULL},
    {"Endpoint",
        "{'type':'object','required':['name','role','current','breaker'],'properties':{'name':" TEXT ",'role':{'type':'string','enum':['campus','rgn']},'current':{'type':'boolean','description':'In use'},"
        "'breaker':{'type':'string','enum':['closed','open','halfOpen'],'description':'Of one that is not in use: as it was left'},'opened':" COUNT_ ",'downSince':" REF("Time") "}}", NULL},
    {"Sessions", "{'type':'object','required':['items'],'properties':{'items':" LIST(REF("Session")) ",'endpoints':" LIST(REF("Endpoint")) "}}", NULL},
    {"Failover", "{'type':'object','required':['endpoint'],'additionalProperties':false,'properties':{'endpoint':{'type':'string','minLength':1,'maxLength':256,'description':'A name of upstream.endpoints, or a role: the first of it'},"
        "'reason':{'type':'string','minLength':1,'maxLength':200,'description':'For the audit log'}}}", NULL},
    {"FailoverResult", "{'type':'object','required':['endpoint','role','changed'],'properties':{'endpoint':" TEXT ",'role':{'type':'string','enum':['campus','rgn']},'changed':{'type':'boolean','description':'false: it was in use already'}}}", NULL},
    {"CapacityLevel", "{'type':'string','enum':['ok','warning','exhausted'],'description':'warning: within 15% of the limit'}", NULL},
    {"Gauge", "{'type':'object','required':['value','limit','warningAt','level'],'properties':{'value':" COUNT_ ",'limit':" COUNT_ ",'warningAt':" COUNT_ ",'percent':" COUNT_ ",'level':" REF("CapacityLevel") "}}", NULL},
    {"SignOn",
        "{'type':'object','required':['username','password'],'additionalProperties':false,'properties':{'username':{'type':'string','minLength':1,'maxLength':256},'password':{'type':'string','minLength':1,'maxLength':1024,'format':'password'},"
        "'domain':{'type':['string','null'],'maxLength':256,'description':'Left out: the one of the session that the user has, else none'}}}",
        "{'username':'agent2001','password':'correct-horse','domain':'CC'}"},
    {"SignedOn",
        "{'type':'object','required':['token','expiresAt','user','agents'],'properties':{'token':{'type':'string','pattern':'^[A-Za-z0-9_-]{43}$','description':'A secret: Authorization: Bearer <token>'},"
        "'expiresAt':{'type':'string','format':'date-time','description':'If it is not used until then'},'user':" TEXT ",'agents':" REF("Names") "}}",
        "{'token':'RjJWQnJ6T2tNVnF5WkhHYjBkS2Z3c1hVbzRlTnBpVXQ','expiresAt':'2030-01-01T09:00:00.000Z','user':'agent2001','agents':['2001']}"},
    {"Capacity",
        "{'type':'object','required':['topology','enforce','level','loggedInAgents','contactsPerHour'],'properties':{'topology':" OPEN("'SIP','CS1K'") ",'enforce':{'type':'boolean'},'level':" REF("CapacityLevel") ",'loggedInAgents':" REF("Gauge") ",'contactsPerHour':" REF("Gauge") ","
        "'observed':{'type':'object','properties':{'agents':" COUNT_ ",'contacts':" COUNT_ "}}}}",
        "{'topology':'SIP','enforce':true,'level':'ok','loggedInAgents':{'value':3,'limit':1000,'warningAt':850,'percent':0,'level':'ok'},'contactsPerHour':{'value':12,'limit':10000,'warningAt':8500,'percent':0,'level':'ok'},'observed':{'agents':6,'contacts':12}}"},
    {"OperationKind", "{'type':'string','enum':['read','command','session','subscription']}", NULL},
    {"ServiceOperation",
        "{'type':'object','required':['name','kind'],'properties':{'name':" TEXT ",'kind':" REF("OperationKind") ",'oneWay':{'type':'boolean'},'documentation':" TEXT_NULL ",'input':{'type':'object','description':'JSON Schema 2020-12'},'output':{'type':'object','description':'JSON Schema 2020-12'}}}", NULL},
    {"Service", "{'type':'object','required':['name','operations'],'properties':{'name':" TEXT ",'namespace':" TEXT ",'operations':" LIST(REF("ServiceOperation")) "}}", NULL},
    {"Services", "{'type':'object','required':['items'],'properties':{'items':" LIST(REF("Service")) "}}", NULL},
    {"Ticket", "{'type':'object','required':['ticket'],'properties':{'ticket':" TEXT ",'expiresAt':" REF("Time") "}}", NULL},
    {"Health", "{'type':'object','required':['status'],'properties':{'status':" OPEN("'ok','ownerSilent'") ",'version':" TEXT "}}", "{'status':'ok','version':'1.0.0'}"},
    {"Readiness",
        "{'type':'object','required':['status','reasons'],'properties':{'status':" OPEN("'ready','notReady'") ",'reasons':" REF("Names") ",'endpoints':" LIST(REF("Endpoint")) ",'sessions':{'type':'object','properties':{'total':" COUNT_ ",'up':" COUNT_ ",'denied':" COUNT_ "}}}}",
        "{'status':'ready','reasons':[],'sessions':{'total':3,'up':3,'denied':0}}"},
    {"ProblemType", "{'type':'object','required':['type','title','status','meaning'],'properties':{'type':" TEXT ",'title':" TEXT ",'status':" INT ",'meaning':" TEXT "}}", NULL},

    /* problems */
    {"Outcome", "{'type':'string','enum':['notDone','done','unknown'],'description':'Of what was asked upstream; unknown: it is read anew'}", NULL},
    {"Problem",
        "{'type':'object','required':['type','title','status'],'properties':{'type':" REF("ProblemUri") ",'title':" TEXT ",'status':{'type':'integer','minimum':400,'maximum':599},'detail':" TEXT ","
        "'pointer':{'type':'string','description':'JSON pointer (RFC 6901) to the member of the body that is wrong'},'fault':{'type':'string','description':'The name of the SOAP fault'},"
        "'service':" TEXT ",'operation':" TEXT ",'outcome':" REF("Outcome") ",'retryAfter':{'type':'integer','minimum':0},'agent':{'type':'string','description':'Whose control is needed'},"
        "'capability':{'type':'string','description':'Which one says no'},'dispositions':" REF("Names") ",'holder':" OR_NULL(REF("ControlHolder")) ","
        "'candidates':" LIST("{'type':'object','description':'What may be meant, named as in the body of a command','properties':{'agent':" TEXT_NULL ",'terminal':" TEXT_NULL ",'address':" TEXT_NULL ",'contactId':" TEXT_NULL ",'connectionId':" TEXT_NULL ",'terminalConnectionId':" TEXT_NULL ",'state':" TEXT_NULL "}}") ","
        "'steps':" LIST("{'type':'object','required':['operation','outcome'],'properties':{'service':" TEXT ",'operation':" TEXT ",'outcome':" REF("Outcome") ",'fault':" TEXT_NULL "}}") "}}", NULL},
};

/* What the contract lists: the member of an operation's result, where the contract has it. */
static const struct {
    const char *name, *service, *operation, *member;
} enumerations[] = {
    {"AgentType", "UserService", "GetAgents", "agents/agentType"},
    {"TerminalType", "UserService", "GetTerminals", "terminals/terminalType"},
    {"AddressType", "UserService", "GetAddresses", "addresses/addressType"},
    {"ResourceState", "TerminalService", "GetState", "resourseState"},
    {"ConnectionState", "ConnectionService", "GetState", "connectionStateInfo/currentState/state"},
    {"TerminalConnectionState", "TerminalConnectionService", "GetState", "terminalConnectionStateInfo/currentState/state"},
    {"AttachedDataType", "ContactService", "GetAttachedData", "attachedData/type"},
};

/* Capabilities, by the object they are of; several rows of one name add up. */
static const struct {
    const char *name, *service, *operation, *member;
} flags[] = {
    {"AgentFlags", "AgentService", "GetCapabilities", "agentCapabilities"},
    {"TerminalFlags", "TerminalService", "GetCapabilities", "terminalCapabilities"},
    {"TerminalFlags", "AgentTerminalService", "GetCapabilities", "terminalCapabilities"},
    {"AddressFlags", "AddressService", "GetCapabilities", "addressCapabilities"},
    {"CallFlags", "ContactService", "GetCapabilities", "contactCapabilities"},
    {"ConnectionFlags", "ConnectionService", "GetConnectionCapabilities", "connectionCapabilities"},
    {"ConnectionFlags", "RoutePointConnectionService", "GetCapabilities", "connectionCapabilities"},
    {"LegFlags", "TerminalConnectionService", "GetTerminalConnectionCapabilities", "terminalConnectionCapabilities"},
    {"LegFlags", "AgentTerminalConnectionService", "GetTerminalConnectionCapabilities", "agentTerminalConnectionCapabilities"},
};
/* clang-format on */

#define DEFINITIONS "#/$defs/"
#define HOPS_MAX    8

/* ---- what the contract says ---- */

/* The object behind an element: of one that may be nil, repeats, or is a list of items, too. */
static json_t *object_of(const json_t *root, json_t *schema)
{
    int hops;

    for (hops = 0; schema != NULL && hops < HOPS_MAX; ++hops) {
        const char *reference = json_string_value(json_object_get(schema, "$ref"));
        json_t *item = json_object_get(json_object_get(schema, "properties"), "item");
        if (reference != NULL && strncmp(reference, DEFINITIONS, sizeof(DEFINITIONS) - 1) == 0)
            schema = json_object_get(json_object_get(root, "$defs"),
                                     reference + sizeof(DEFINITIONS) - 1);
        else if (json_object_get(schema, "items") != NULL)
            schema = json_object_get(schema, "items");
        else if (item != NULL)
            schema = item;
        else if (json_object_get(schema, "properties") == NULL)
            schema = json_array_get(json_object_get(schema, "anyOf"), 0);
        else
            return schema;
    }
    return NULL;
}

static json_t *member_of(json_t *root, const char *path)
{
    json_t *at = root;
    while (*path != '\0' && at != NULL) {
        size_t length = strcspn(path, "/");
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)length, path);
        at = json_object_get(json_object_get(at == root ? root : object_of(root, at), "properties"),
                             name);
        path += length + (path[length] == '/');
    }
    return at;
}

static json_t *result_schema(const struct contract *contract, const char *service,
                             const char *operation)
{
    const struct contract_operation *op = contract_find(contract, service, operation);
    return op != NULL ? codec_output_schema(op) : NULL;
}

static void add_enumerations(json_t *all, const struct contract *contract)
{
    size_t i;
    for (i = 0; i < sizeof(enumerations) / sizeof(enumerations[0]); ++i) {
        json_t *root = result_schema(contract, enumerations[i].service, enumerations[i].operation);
        json_t *found = member_of(root, enumerations[i].member);
        if (json_object_get(found, "anyOf") != NULL || json_object_get(found, "type") != NULL)
            json_object_set(all, enumerations[i].name, found);
        else
            json_object_set_new(all, enumerations[i].name, openapi_parse(TEXT));
        json_decref(root);
    }
}

static void add_flags(json_t *all, const struct contract *contract)
{
    size_t i;
    for (i = 0; i < sizeof(flags) / sizeof(flags[0]); ++i) {
        json_t *root = result_schema(contract, flags[i].service, flags[i].operation);
        json_t *found = object_of(root, member_of(root, flags[i].member)), *member;
        json_t *schema = json_object_get(all, flags[i].name);
        const char *name;

        if (schema == NULL) {
            schema = openapi_parse("{'type':'object','properties':{}}");
            json_object_set_new(all, flags[i].name, schema);
        }
        json_object_foreach(json_object_get(found, "properties"), name, member)
        {
            const char *type = json_string_value(json_object_get(member, "type"));
            if (type != NULL && strcmp(type, "boolean") == 0)
                json_object_set(json_object_get(schema, "properties"), name, member);
        }
        json_decref(root);
    }
}

static json_t *problem_uri(void)
{
    json_t *values = json_array();
    size_t i;
    for (i = 0; i < PROBLEMS; ++i)
        json_array_append_new(values, json_sprintf("/problems/%s", problem_rows[i].slug));
    return json_pack("{s:[{s:o}, {s:s, s:s}]}", "anyOf", "enum", values, "type", "string", "format",
                     "uri-reference");
}

json_t *openapi_schemas(const struct contract *contract)
{
    json_t *all = json_object();
    size_t i;

    for (i = 0; i < sizeof(schemas) / sizeof(schemas[0]); ++i)
        json_object_set_new(all, schemas[i].name, openapi_parse(schemas[i].schema));
    add_enumerations(all, contract);
    add_flags(all, contract);
    json_object_set_new(all, "ProblemUri", problem_uri());
    return all;
}

json_t *openapi_example(const char *schema)
{
    size_t i;
    for (i = 0; i < sizeof(schemas) / sizeof(schemas[0]); ++i)
        if (strcmp(schemas[i].name, schema) == 0 && schemas[i].example != NULL)
            return openapi_parse(schemas[i].example);
    return NULL;
}
