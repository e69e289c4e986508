/* cctgate: what happens in which order. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <curl/curl.h>
#include <jansson.h>

#include "cctgate/config.h"
#include "cctgate/consumer.h"
#include "cctgate/contract.h"
#include "cctgate/error.h"
#include "cctgate/front.h"
#include "cctgate/log.h"
#include "cctgate/hub.h"
#include "cctgate/jwt.h"
#include "cctgate/loop.h"
#include "cctgate/memory.h"
#include "cctgate/owner.h"
#include "cctgate/service_manager.h"
#include "cctgate/store.h"
#include "cctgate/version.h"
#include "cctgate/xml.h"

#define GRACE_MS        5000
#define DURABLE_MAP_MIB 256

struct gateway {
    struct config *config;
    struct config
        *started; /* what listens, threads, data and upstream are made of until a restart */
    struct contract *contract;
    struct store *store;
    struct consumer *consumer; /* NULL: no events are taken */
    struct fronts *fronts;
    struct owner *owner;
    struct watchdog *watchdog;
};

static const char usage[] = "usage: cctgate [--config FILE] [--check-config] [--version] [--help]\n"
                            "\n"
                            "  --config FILE    the configuration (default conf/cctgate.json)\n"
                            "  --check-config   say whether it is good, and end\n"
                            "\n"
                            "SIGTERM and SIGINT end the gateway after the requests in progress; "
                            "SIGHUP reads the configuration again.\n";

static void harden(void)
{
    static const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* a core would hold passwords and tokens */
    prctl(PR_SET_DUMPABLE, 0);
    umask(077);
}

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of the write */
}

static int load_config(const char *file, struct config **config)
{
    struct config_error error;
    int rc = config_load(config, file, &error);

    if (rc != CG_OK)
        log_write(LOG_LEVEL_ERROR, "badConfiguration", error.text, LOG_S("file", file),
                  LOG_S("pointer", error.pointer));
    return rc;
}

static int open_store(struct gateway *gateway, struct store_opened *opened, char *error,
                      size_t error_size)
{
    struct store_settings settings = {gateway->config->data.directory,
                                      (size_t)gateway->config->data.map_size_mib << 20,
                                      (size_t)DURABLE_MAP_MIB << 20, 0};
    int rc = store_open(&gateway->store, &settings, opened, error, error_size);

    if (rc != CG_OK)
        return rc;
    if (opened->cache_set_aside)
        log_write(LOG_LEVEL_WARNING, "cacheSetAside",
                  "The stored cache could not be used and was set aside; it is rebuilt");
    if (opened->durable_set_aside)
        log_write(LOG_LEVEL_ERROR, "durableSetAside",
                  "The durable store could not be used and was set aside");
    return CG_OK;
}

static void on_policy(void *data, struct policy *policy, struct message *told, struct mailbox *to)
{
    fronts_set_policy(data, policy, told, to);
}

static void on_events(void *data, struct event *const *events, size_t num_events)
{
    fronts_publish(data, events, num_events);
}

static void on_reloaded(void *data, int rc)
{
    (void)data;
    manager_ready(rc == CG_OK ? "Serving"
                              : "Serving; the new configuration could not be put in force");
}

static int is_turning(void *data, int64_t silent_ms)
{
    const struct gateway *gateway = data;
    int64_t since = clock_monotonic_ms() - silent_ms;
    return owner_last_turn_ms(gateway->owner) >= since &&
           fronts_last_turn_ms(gateway->fronts) >= since;
}

static int serve(struct gateway *gateway)
{
    int rc = fronts_run(gateway->fronts, gateway->owner);

    if (rc == CG_OK)
        rc = watchdog_start(&gateway->watchdog, is_turning, gateway);
    if (rc == CG_OK)
        manager_ready("Serving");
    return rc;
}

static int start(struct gateway *gateway, char *error, size_t error_size)
{
    struct fronts_settings fronts = {.config = gateway->config};
    struct owner_settings owner = {0};
    int rc;

    if ((rc = contract_load(&gateway->contract, gateway->config->contract, error, error_size)) !=
            CG_OK ||
        (rc = open_store(gateway, &owner.opened, error, error_size)) != CG_OK)
        return rc;
    if (gateway->config->consumer.present &&
        (rc = consumer_new(&gateway->consumer, gateway->config, gateway->contract, error,
                           error_size)) != CG_OK)
        return rc;
    fronts.consumer = gateway->consumer;
    fronts.contract = gateway->contract;
    fronts.store = gateway->store;
    if ((rc = fronts_new(&gateway->fronts, &fronts, error, error_size)) != CG_OK ||
        (rc = fronts_prepare(gateway->fronts)) != CG_OK)
        return rc;
    owner.config = gateway->config;
    owner.contract = gateway->contract;
    owner.store = gateway->store;
    owner.consumer = gateway->consumer;
    owner.on_policy = on_policy;
    owner.on_events = on_events;
    owner.on_reloaded = on_reloaded;
    owner.data = gateway->fronts;
    if ((rc = owner_start(&gateway->owner, &owner, error, error_size)) != CG_OK)
        return rc;
    log_write(LOG_LEVEL_INFO, "started", "cctgate " CCTGATE_VERSION " is running",
              LOG_S("version", CCTGATE_VERSION),
              LOG_I("services", contract_num_services(gateway->contract)),
              LOG_I("epoch", owner.opened.epoch));
    return serve(gateway);
}

static void stop(struct gateway *gateway)
{
    watchdog_stop(&gateway->watchdog);
    if (gateway->fronts != NULL)
        fronts_stop(gateway->fronts, GRACE_MS);
    owner_stop(&gateway->owner);
    fronts_free(&gateway->fronts);
    consumer_free(&gateway->consumer);
    store_close(&gateway->store);
    contract_free(&gateway->contract);
    config_unref(&gateway->started);
    config_unref(&gateway->config);
}

/* A configuration that is bad, or that needs a restart, leaves the old one in force. */
static void reload(struct gateway *gateway, const char *file)
{
    struct config *fresh;
    char what[512];

    manager_reloading();
    if (load_config(file, &fresh) != CG_OK) {
        log_write(LOG_LEVEL_ERROR, "reloadRefused", "The old configuration stays in force",
                  LOG_S("file", file));
        manager_ready("Serving; the configuration is bad, and the old one stays in force");
        return;
    }
    if (fronts_reload_tls(gateway->fronts, what, sizeof(what)) != CG_OK) {
        log_write(LOG_LEVEL_ERROR, "reloadRefused", what, LOG_S("file", file));
        manager_ready("Serving; the certificates are bad, and the old ones stay in force");
        config_unref(&fresh);
        return;
    }
    if (!config_compatible(gateway->started, fresh, what, sizeof(what)))
        log_write(LOG_LEVEL_WARNING, "restartNeeded",
                  "Some changes are in force only after a restart", LOG_S("settings", what));
    log_configure(fresh->log.level, fresh->log.format);
    owner_reload(gateway->owner, fresh);
    config_unref(&gateway->config);
    gateway->config = fresh;
}

static int run(struct gateway *gateway, const char *file, const sigset_t *signals)
{
    char error[512] = "";
    int rc, number;

    gateway->started = config_ref(gateway->config);
    rc = start(gateway, error, sizeof(error));

    if (rc != CG_OK) {
        log_write(LOG_LEVEL_ERROR, "startFailed",
                  error[0] != '\0' ? error : "The gateway could not start",
                  LOG_S("reason", cg_error_name(rc)));
        stop(gateway);
        return EXIT_FAILURE;
    }
    while (sigwait(signals, &number) == 0 && number == SIGHUP)
        reload(gateway, file);
    log_write(LOG_LEVEL_INFO, "stopping", "Stopping");
    manager_stopping();
    stop(gateway);
    log_write(LOG_LEVEL_INFO, "stopped", "Stopped");
    return EXIT_SUCCESS;
}

static int check(struct gateway *gateway, const char *file)
{
    char error[512] = "";
    int rc = contract_load(&gateway->contract, gateway->config->contract, error, sizeof(error));

    if (rc == CG_OK && gateway->config->consumer.present)
        rc = consumer_new(&gateway->consumer, gateway->config, gateway->contract, error,
                          sizeof(error));
    consumer_free(&gateway->consumer);
    if (rc != CG_OK)
        log_write(LOG_LEVEL_ERROR, "badContract", error,
                  LOG_S("directory", gateway->config->contract));
    else
        printf("%s is good\n", file);
    contract_free(&gateway->contract);
    config_unref(&gateway->config);
    return rc == CG_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check-config", no_argument, NULL, 'k'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct gateway gateway = {0};
    const char *file = "conf/cctgate.json";
    int only_check = 0, option;
    sigset_t signals;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case 'k':
            only_check = 1;
            break;
        case 'v':
            puts("cctgate " CCTGATE_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    harden();
    block_signals(&signals);
    memory_init();
    json_object_seed(0);
    xml_init();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    jwt_init();
    if (load_config(file, &gateway.config) != CG_OK)
        return EXIT_FAILURE;
    log_configure(gateway.config->log.level, gateway.config->log.format);
    if (only_check)
        return check(&gateway, file);
    manager_take_sockets();
    return run(&gateway, file, &signals);
}
