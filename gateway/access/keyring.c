#include "gateway/access/keyring.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/log.h"
#include "cctgate/secret.h"

struct keyring {
    struct jwt_keys *keys;
    struct stat seen; /* the file that was read last, for better or worse */
};

struct keyring *keyring_new(void)
{
    return calloc(1, sizeof(struct keyring));
}

void keyring_free(struct keyring **in)
{
    struct keyring *keyring = *in;

    *in = NULL;
    if (keyring == NULL)
        return;
    jwt_keys_unref(&keyring->keys);
    free(keyring);
}

struct jwt_keys *keyring_keys(const struct keyring *keyring)
{
    return keyring->keys;
}

static int is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static struct jwt_settings settings_of(const struct config *config)
{
    return (struct jwt_settings){.issuer = config->jwt.issuer,
                                 .audience = config->jwt.audience,
                                 .application_claim = config->jwt.application_claim,
                                 .users_claim = config->jwt.users_claim,
                                 .roles_claim = config->jwt.roles_claim,
                                 .allow_every_user = config->jwt.allow_every_user,
                                 .skew_ms = config->jwt.clock_skew_ms};
}

/* A file that is no regular one could block: it is opened so that it does not. */
static int read_file(struct keyring *keyring, const char *file, char *text, size_t *length)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = CG_E_IO;

    if (fd < 0)
        return CG_E_IO;
    if (fstat(fd, &keyring->seen) == 0 && S_ISREG(keyring->seen.st_mode))
        rc = secret_read_bytes(fd, text, JWT_JWKS_BYTES_MAX + 1, length);
    close(fd);
    return rc;
}

static int load(struct keyring *keyring, const struct config *config, struct jwt_keys **keys)
{
    struct jwt_settings settings = settings_of(config);
    char error[256] = "the file cannot be read", *text = malloc(JWT_JWKS_BYTES_MAX + 1);
    size_t length = 0, passed_over = 0;
    int rc = CG_E_NOMEM;

    *keys = NULL;
    if (text != NULL && (rc = read_file(keyring, config->jwt.jwks_file, text, &length)) == CG_OK)
        rc = jwt_keys_new(keys, &settings, text, length, &passed_over, error, sizeof(error));
    free(text);
    if (rc == CG_OK)
        log_write(LOG_LEVEL_INFO, "jwtKeysRead", "The identity provider's keys were read",
                  LOG_S("file", config->jwt.jwks_file), LOG_I("keys", jwt_keys_count(*keys)),
                  LOG_I("passedOver", passed_over));
    else
        log_write(LOG_LEVEL_ERROR, "jwtKeysBad",
                  keyring->keys != NULL ? "The identity provider's keys stay as they were"
                                        : "No token of the identity provider is accepted",
                  LOG_S("file", config->jwt.jwks_file), LOG_S("reason", error));
    return rc;
}

static void replace(struct keyring *keyring, struct jwt_keys *keys)
{
    jwt_keys_unref(&keyring->keys);
    keyring->keys = keys;
}

void keyring_configure(struct keyring *keyring, const struct config *config)
{
    struct jwt_settings settings;
    struct jwt_keys *keys;

    if (config->jwt.issuer == NULL) {
        replace(keyring, NULL);
        return;
    }
    settings = settings_of(config);
    if (keyring->keys != NULL && !jwt_keys_are_for(keyring->keys, &settings))
        replace(keyring, NULL);
    if (load(keyring, config, &keys) == CG_OK)
        replace(keyring, keys);
}

int keyring_check(struct keyring *keyring, const struct config *config)
{
    struct jwt_keys *keys;
    struct stat now;

    if (config->jwt.issuer == NULL || stat(config->jwt.jwks_file, &now) != 0 ||
        is_same_file(&now, &keyring->seen) || load(keyring, config, &keys) != CG_OK)
        return 0;
    replace(keyring, keys);
    return 1;
}
