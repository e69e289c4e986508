/* cctsim: plays Avaya's CCT SOA Open Interfaces and the CCMM Outbound services for tests and for `make run`. */
#include <getopt.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "admin.h"
#include "calls.h"
#include "counters.h"
#include "faults.h"
#include "http.h"
#include "journal.h"
#include "load.h"
#include "loop.h"
#include "mischief.h"
#include "notify.h"
#include "options.h"
#include "outbound.h"
#include "scenario.h"
#include "sessions.h"
#include "soap.h"
#include "world.h"

struct options options = {
    .contract = "conf/contract",
    .agents = 20,
    .seed = 1,
    .busy = true,
    .password = "secret",
    .domain = "CC",
    .session_timeout_ms = 7200000,
    .notify_batch = 20,
    .notify_parallel = 1,
    .notify_queue = 20000,
    .notify_timeout_ms = 10000,
};

static const char usage[] =
    "Usage: cctsim [option]...\n"
    "Plays a contact centre's CCT SOA Open Interfaces (14 services) and CCMM Outbound services on "
    "127.0.0.1.\n"
    "\n"
    "  --port P                 SOAP port, 0 = a free one (default 0)\n"
    "  --admin-port A           admin port, 0 = a free one (default 0)\n"
    "  --contract DIR           folder with cct/ and outbound/ (default conf/contract)\n"
    "  --agents N               agents on the floor, ids from 2001 (default 20)\n"
    "  --scenario busy|idle     busy: all states and calls of a working floor; idle: nobody logged "
    "in (default busy)\n"
    "  --seed S                 of everything made up (default 1)\n"
    "  --password W             of every CCT and Outbound user (default secret)\n"
    "  --agent-password W       of every agent (default: as --password)\n"
    "  --domain D               of every CCT user (default CC)\n"
    "  --session-timeout-ms N   sliding (default 7200000)\n"
    "  --latency-ms N           before each SOAP reply, --jitter-ms N more at random\n"
    "  --sip                    a SIP system: blind transfer is refused\n"
    "  --message-waiting        message waiting works (otherwise: not supported by any provider)\n"
    "  --priority               AppendContactsToCampaign with the priority field\n"
    "  --outbound-rate-limit    append and close once per second at most\n"
    "  --notify-batch N         messages per Notify at most (default 20)\n"
    "  --notify-parallel N      posts at a time to one consumer, 1 to 16 (default 1: order is "
    "kept)\n"
    "  --notify-queue N         messages that wait for one consumer at most (default 20000)\n"
    "  --notify-timeout-ms N    until a post has failed (default 10000)\n"
    "  --notify JSON            as POST /notify\n"
    "  --lease-max-ms N         longest lease of a subscription (default ten years)\n"
    "  --imminent-ms N          how long before its end a session or lease announces it (default "
    "0: "
    "not)\n"
    "  --journal                keeps what commands were carried out, with all their words, for "
    "GET "
    "/executed\n"
    "\n"
    "When ready it prints one line: {\"event\":\"listening\",\"port\":P,\"adminPort\":A}. SIGTERM "
    "and SIGINT end it.\n"
    "\n"
    "Who is there: user agent2001 owns agent 2001 at terminal \"Line 1.0.1\" with the addresses "
    "52001 (position) and\n"
    "62001 (personal number), and so on; every tenth is a supervisor; every fourth also has the "
    "e-mail terminal\n"
    "CCMM_<id>. Users supervisor, admin and recorder own the whole floor, the route points "
    "RP_Sales, RP_Service and\n"
    "RP_Support and the lobby's \"Phone 1\". Outbound users: outboundadmin, outboundadmin2.\n"
    "\n"
    "SOAP: POST /SOAOICCT/services/<Service>, POST /ccmmoutboundwebservices/<Service>.asmx (1.1 "
    "and 1.2), ?wsdl.\n"
    "\n"
    "Admin API, JSON on the admin port:\n"
    "  GET /health, GET /state (ground truth), GET /counters, POST /counters/reset\n"
    "  POST /latency {\"ms\":150,\"jitterMs\":0}\n"
    "  GET, POST, DELETE /faults "
    "{\"kind\":K,\"service\":\"*\",\"operation\":\"*\",\"count\":0,\"fault\":name,\"message\":text,"
    "\n"
    "    \"execute\":bool}; count 0 = until cleared; K is one of\n"
    "    refuse        closes the listening socket and idle connections; always until cleared\n"
    "    hang reset    reads the request, never answers; or resets the connection\n"
    "    truncate drip half of the reply; one byte of it per 200 ms\n"
    "    garbage html empty http500   200 with random bytes, an HTML page or nothing; 500 in plain "
    "text\n"
    "    huge doctype  a reply without end (1 GiB); a reply with an entity bomb\n"
    "    wrongType     a word where the first boolean or number of the reply was; others stay as "
    "they are\n"
    "    wrongElement  the reply of another operation\n"
    "    fault session a declared fault by name; SessionNotCreatedException\n"
    "    `execute` says whether the operation is carried out all the same; the default is yes for "
    "truncate, drip, huge,\n"
    "    doctype, wrongType and wrongElement, no for the others.\n"
    "  POST /sessions/kill {\"user\":\"*\",\"silently\":false}\n"
    "  POST /calls {\"from\":number,\"to\":agent or "
    "address,\"data\":{},\"answer\":bool,\"offered\":bool}; offered: stays OFFERED;\n"
    "    POST /calls/<id>/answer, POST /calls/<id>/end\n"
    "  POST /agents/<id> "
    "{\"loggedIn\":true,\"ready\":true,\"reasonCode\":\"3\",\"activityCode\":\"12\"}\n"
    "  GET /executed: how often each command was carried out; with --journal\n"
    "  GET /subscriptions, GET /truth (as admin sees it), GET /truth/<user>: with all "
    "capabilities\n"
    "  GET, POST, DELETE /notify {\"drop\":p,\"dropNext\":N,\"duplicate\":p,\"duplicateNext\":N,"
    "\"reorder\":p,\n"
    "    \"reorderNext\":N,\"type\":event type,\"user\":name,\"mute\":[user],\"delayMs\":N,"
    "\"jitterMs\":N,\"batch\":N,\n"
    "    \"parallel\":N,\"seed\":S}: what is done wrong to notifications; p from 0 to 1\n"
    "  POST /events {\"type\":event type,\"address\" | \"terminal\" | \"agent\" | \"contact\" | "
    "\"provider\":key,\n"
    "    \"property\":P,\"value\":V,\"state\":S,\"reason\":R,\"end\":bool}: changes what the "
    "simulator has a state for, and tells\n"
    "  POST /system {\"event\":system event,\"user\":\"*\" or \"subscription\":id,"
    "\"remainingMs\":N,\"reason\":R,\n"
    "    \"info\":text,\"true\":true}: \"true\":false only says it\n"
    "  POST, GET /burst {\"events\":N,\"perSecond\":R,\"kind\":\"ready\" | \"calls\" | "
    "\"mixed\"}\n"
    "  POST, GET /traffic {\"steps\":N,\"seed\":S,\"perSecond\":R}; \"quiet\" in the answer: all "
    "is "
    "done and told;\n"
    "    DELETE /traffic stops both\n"
    "  GET /campaigns: their state, who was appended, when append and close were called; POST "
    "/campaigns/<id>\n"
    "    {\"status\":\"Running\" | \"Waiting\" | \"Paused\" | "
    "\"Completed\",\"beyond\":B,\"append\":N}: B is "
    "what comes "
    "behind the last contact,\n"
    "    \"empty\", \"absent\", \"repeat\" (the last ones again) or \"fault\"\n";

static void fail(const char *what, const char *value)
{
    fprintf(stderr, "cctsim: %s '%s'; --help explains\n", what, value);
    exit(2);
}

static uint64_t number(const char *name, const char *value, uint64_t max)
{
    char *end;
    unsigned long long n = strtoull(value, &end, 10);
    if (*value == '\0' || *value == '-' || *end != '\0' || n > max)
        fail(name, value);
    return n;
}

enum {
    O_PORT = 256,
    O_ADMIN_PORT,
    O_CONTRACT,
    O_AGENTS,
    O_SCENARIO,
    O_SEED,
    O_PASSWORD,
    O_AGENT_PASSWORD,
    O_DOMAIN,
    O_SESSION_TIMEOUT,
    O_LATENCY,
    O_JITTER,
    O_SIP,
    O_MESSAGE_WAITING,
    O_PRIORITY,
    O_RATE_LIMIT,
    O_NOTIFY_BATCH,
    O_NOTIFY_PARALLEL,
    O_NOTIFY_QUEUE,
    O_NOTIFY_TIMEOUT,
    O_NOTIFY,
    O_LEASE_MAX,
    O_IMMINENT,
    O_JOURNAL,
    O_HELP
};

static const struct option long_options[] = {
    {"port", required_argument, NULL, O_PORT},
    {"admin-port", required_argument, NULL, O_ADMIN_PORT},
    {"contract", required_argument, NULL, O_CONTRACT},
    {"agents", required_argument, NULL, O_AGENTS},
    {"scenario", required_argument, NULL, O_SCENARIO},
    {"seed", required_argument, NULL, O_SEED},
    {"password", required_argument, NULL, O_PASSWORD},
    {"agent-password", required_argument, NULL, O_AGENT_PASSWORD},
    {"domain", required_argument, NULL, O_DOMAIN},
    {"session-timeout-ms", required_argument, NULL, O_SESSION_TIMEOUT},
    {"latency-ms", required_argument, NULL, O_LATENCY},
    {"jitter-ms", required_argument, NULL, O_JITTER},
    {"sip", no_argument, NULL, O_SIP},
    {"message-waiting", no_argument, NULL, O_MESSAGE_WAITING},
    {"priority", no_argument, NULL, O_PRIORITY},
    {"outbound-rate-limit", no_argument, NULL, O_RATE_LIMIT},
    {"notify-batch", required_argument, NULL, O_NOTIFY_BATCH},
    {"notify-parallel", required_argument, NULL, O_NOTIFY_PARALLEL},
    {"notify-queue", required_argument, NULL, O_NOTIFY_QUEUE},
    {"notify-timeout-ms", required_argument, NULL, O_NOTIFY_TIMEOUT},
    {"notify", required_argument, NULL, O_NOTIFY},
    {"lease-max-ms", required_argument, NULL, O_LEASE_MAX},
    {"imminent-ms", required_argument, NULL, O_IMMINENT},
    {"journal", no_argument, NULL, O_JOURNAL},
    {"help", no_argument, NULL, O_HELP},
    {NULL, 0, NULL, 0}};

static void take_scenario(const char *value)
{
    options.busy = strcmp(value, "busy") == 0;
    if (!options.busy && strcmp(value, "idle") != 0)
        fail("bad scenario", value);
}

static void take_flag(int option)
{
    switch (option) {
    case O_SIP:
        options.sip = true;
        break;
    case O_MESSAGE_WAITING:
        options.message_waiting = true;
        break;
    case O_PRIORITY:
        options.priority = true;
        break;
    case O_RATE_LIMIT:
        options.outbound_rate_limit = true;
        break;
    case O_JOURNAL:
        options.journal = true;
        break;
    case O_HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        exit(2);
    }
}

/* The options about notifications; false for others. */
static bool take_notify_option(int option, const char *value)
{
    switch (option) {
    case O_NOTIFY_BATCH:
        options.notify_batch = (unsigned)number("bad batch", value, 100000);
        break;
    case O_NOTIFY_PARALLEL:
        options.notify_parallel = (unsigned)number("bad number of posts", value, PARALLEL_MAX);
        break;
    case O_NOTIFY_QUEUE:
        options.notify_queue = number("bad queue", value, 10000000);
        break;
    case O_NOTIFY_TIMEOUT:
        options.notify_timeout_ms = number("bad time-out", value, 3600000);
        break;
    case O_NOTIFY:
        options.notify = value;
        break;
    case O_LEASE_MAX:
        options.lease_max_ms = number("bad lease", value, UINT32_MAX);
        break;
    case O_IMMINENT:
        options.imminent_ms = number("bad time", value, 3600000);
        break;
    default:
        return false;
    }
    if (options.notify_batch == 0 || options.notify_parallel == 0 || options.notify_queue == 0)
        fail("must not be", value);
    return true;
}

static void take_option(int option, const char *value)
{
    if (take_notify_option(option, value))
        return;
    switch (option) {
    case O_PORT:
        options.port = (int)number("bad port", value, 65535);
        break;
    case O_ADMIN_PORT:
        options.admin_port = (int)number("bad port", value, 65535);
        break;
    case O_CONTRACT:
        options.contract = value;
        break;
    case O_AGENTS:
        options.agents = (int)number("bad number of agents", value, 50000);
        break;
    case O_SCENARIO:
        take_scenario(value);
        break;
    case O_SEED:
        options.seed = number("bad seed", value, UINT64_MAX);
        break;
    case O_PASSWORD:
        options.password = value;
        break;
    case O_AGENT_PASSWORD:
        options.agent_password = value;
        break;
    case O_DOMAIN:
        options.domain = value;
        break;
    case O_SESSION_TIMEOUT:
        options.session_timeout_ms = number("bad time-out", value, UINT32_MAX);
        break;
    case O_LATENCY:
        options.latency_ms = number("bad latency", value, 3600000);
        break;
    case O_JITTER:
        options.jitter_ms = number("bad jitter", value, 3600000);
        break;
    default:
        take_flag(option);
    }
}

static void on_signal(struct loop_io *io, uint32_t events)
{
    (void)io;
    (void)events;
    loop_stop();
}

static struct loop_io signals = {.on_ready = on_signal};

static void watch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    loop_add(&signals, EPOLLIN);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void silence(void *context, const char *format, ...)
{
    (void)context;
    (void)format;
}

static int serve(void)
{
    struct http_server *soap =
        http_listen(options.port, &(struct http_handlers){soap_on_request, soap_on_malformed});
    struct http_server *admin =
        soap != NULL
            ? http_listen(options.admin_port, &(struct http_handlers){admin_on_request, NULL})
            : NULL;
    if (admin != NULL) {
        admin_init(soap);
        printf("{\"event\":\"listening\",\"port\":%d,\"adminPort\":%d}\n", http_port(soap),
               http_port(admin));
        fflush(stdout);
        loop_run();
    }
    int rc = admin != NULL ? 0 : 1;
    http_free(&admin);
    http_free(&soap);
    return rc;
}

/* --notify takes what POST /notify takes. */
static bool start_mischief(void)
{
    const char *why = "not a JSON object";
    mischief_init(options.seed);
    json_t *body = options.notify != NULL ? json_loads(options.notify, 0, NULL) : json_object();
    bool ok = json_is_object(body) && mischief_set(body, &why);
    json_decref(body);
    if (!ok)
        fprintf(stderr, "cctsim: bad --notify: %s\n", why);
    return ok;
}

int main(int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        take_option(option, optarg);
    if (optind < argc)
        fail("what is", argv[optind]);
    if (options.agent_password == NULL)
        options.agent_password = options.password;
    raise_descriptor_limit();
    xmlInitParser();
    if (!contract_load(options.contract, options.priority))
        return 1;
    size_t unknown = soap_bind();
    if (unknown > 0)
        fprintf(stderr, "cctsim: %zu operations of the contract are only answered emptily\n",
                unknown);
    xmlSetGenericErrorFunc(NULL, silence);
    soap_set_latency(options.latency_ms, options.jitter_ms);
    loop_init();
    watch_signals();
    if (!start_mischief())
        return 2;
    notify_init();
    loop_on_turn_end(calls_reap); /* after the notifications, which name what is reaped */
    world_build((size_t)options.agents, options.seed);
    if (options.busy)
        scenario_busy();
    outbound_init();
    sessions_init();
    int rc = serve();
    faults_clear();
    load_stop();
    sessions_free();
    notify_free();
    mischief_clear();
    counters_reset();
    journal_clear();
    outbound_free();
    world_free();
    contract_free();
    close(signals.fd);
    loop_free();
    xmlCleanupParser();
    return rc;
}
