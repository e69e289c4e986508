/* A configuration file: what is taken is complete enough to run by and needs no restart to become itself; what is refused has a reason. */
#include "tests/fuzz/fuzz.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cctgate/config.h"
#include "cctgate/error.h"
#include "cctgate/policy.h"

static char file[PATH_MAX];

/* What files of the corpus name: secrets, a contract. */
static void prepare(void)
{
    static const char *const names[] = {"secret", "cert.pem", "key.pem", "ca.pem", "jwks.json"};
    char path[PATH_MAX];
    size_t i;

    if (file[0] != '\0')
        return;
    fuzz_init();
    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        snprintf(path, sizeof(path), "%s/%s", fuzz_folder(), names[i]);
        fuzz_write(path, "secret\n", 7);
    }
    snprintf(path, sizeof(path), "%s/contract", fuzz_folder());
    mkdir(path, 0700);
    setenv("FUZZ_SECRET", "secret", 1);
    setenv("CREDENTIALS_DIRECTORY", fuzz_folder(), 1);
    snprintf(file, sizeof(file), "%s/cctgate.json", fuzz_folder());
}

static void look_at(struct config *config)
{
    uint32_t *numbers = calloc(config->num_sessions + 1, sizeof(*numbers));
    struct policy *policy;
    char what[128];
    size_t i;

    FUZZ_CHECK(numbers != NULL);
    FUZZ_CHECK(config->file[0] == '/' && config->contract[0] == '/' &&
               config->data.directory[0] == '/');
    FUZZ_CHECK(config->num_listen > 0 && config->upstream.num_endpoints > 0);
    FUZZ_CHECK(config_campus(config) != NULL && !config_campus(config)->is_rgn);
    for (i = 0; i < config->num_sessions; ++i) {
        FUZZ_CHECK(config->sessions[i].password != NULL && config->sessions[i].password[0] != '\0');
        numbers[i] = (uint32_t)i + 1;
    }
    FUZZ_CHECK(config_compatible(config, config, what, sizeof(what)));
    FUZZ_CHECK((policy = policy_new(config, numbers)) != NULL);
    policy_unref(&policy);
    free(numbers);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct config_error error = {"", ""};
    struct config *config;
    int rc;

    prepare();
    fuzz_write(file, bytes, length);
    rc = config_load(&config, file, &error);
    FUZZ_CHECK((rc == CG_OK) == (config != NULL));
    if (rc == CG_OK)
        look_at(config);
    else
        FUZZ_CHECK(error.text[0] != '\0' && (error.pointer[0] == '\0' || error.pointer[0] == '/'));
    config_unref(&config);
    return 0;
}
