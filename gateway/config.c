#include "cctgate/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/memory.h"
#include "cctgate/secret.h"
#include "gateway/config_internal.h"

/*
 * The text, read whole. Nothing of it stays in memory after the parse: somebody may have written a
 * password into it, which is refused, but only after it was read.
 */
static int read_text(struct config_reader *reader, const char *file, char **text, size_t *length)
{
    const size_t size = CG_CONFIG_BYTES_MAX + 1;
    char quoted[160];
    config_quote(quoted, sizeof quoted, file);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return config_refuse(reader, CG_E_IO, "expected a readable file, found %s: %s", quoted,
                             strerror(errno));
    int rc = CG_OK;
    if ((*text = malloc(size)) == NULL)
        rc = config_refuse(reader, CG_E_NOMEM, "no memory");
    else if ((rc = secret_read_bytes(fd, *text, size, length)) != CG_OK)
        config_refuse(reader, rc, "expected a readable file, found %s: %s", quoted,
                      strerror(errno));
    else if (*length > CG_CONFIG_BYTES_MAX)
        rc = config_refuse(reader, CG_E_INVALID, "expected at most %u MiB, found more",
                           CG_CONFIG_BYTES_MAX / (1024 * 1024));
    close(fd);
    return rc;
}

/* Jansson's text ends in what stands near the error, which may be a secret; the place is enough. */
static int refuse_syntax(struct config_reader *reader, const json_error_t *at)
{
    const char *near = strstr(at->text, " near ");
    int length = near != NULL ? (int)(near - at->text) : (int)strlen(at->text);
    if (json_error_code(at) == json_error_duplicate_key)
        return config_refuse(
            reader, CG_E_INVALID,
            "expected each name once in an object, found one again before line %d, column %d",
            at->line, at->column);
    return config_refuse(reader, CG_E_INVALID, "expected JSON, found at line %d, column %d: %.*s",
                         at->line, at->column, length, at->text);
}

static int parse(struct config_reader *reader, const char *file, json_t **root)
{
    json_error_t at;
    char *text = NULL;
    size_t length = 0;
    int rc = read_text(reader, file, &text, &length);
    if (rc == CG_OK && (*root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &at)) == NULL)
        rc = refuse_syntax(reader, &at);
    if (text != NULL)
        explicit_bzero(text, length);
    free(text);
    return rc;
}

static int is_directory(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* The contract beside the file, else the installed one; one that the file names must be there. */
static int settle_contract(struct config_reader *reader, struct config *config, const json_t *root)
{
    char quoted[160];
    if (is_directory(config->contract))
        return CG_OK;
    if (json_object_get(root, "contract") != NULL) {
        config_point(reader, "/contract");
        return config_refuse(reader, CG_E_IO, "expected a directory, found %s",
                             config_quote(quoted, sizeof quoted, config->contract));
    }
    char *installed = strdup(CONFIG_CONTRACT_INSTALLED);
    if (installed == NULL)
        return config_refuse(reader, CG_E_NOMEM, "no memory");
    free(config->contract);
    config->contract = installed;
    return CG_OK;
}

static void settle_users(struct config *config)
{
    for (size_t i = 0; i < config->num_tokens; i++) {
        struct config_token *token = &config->tokens[i];
        token->every_user = token->num_users == 1 && strcmp(token->users[0], "*") == 0;
    }
}

static int fill(struct config_reader *reader, struct config *config, const json_t *root)
{
    int rc = config_read(reader, root, config);
    if (rc != CG_OK)
        return rc;
    settle_users(config);
    if ((rc = settle_contract(reader, config, root)) != CG_OK)
        return rc;
    return config_check(reader, config);
}

/* Symbolic links are kept: behind one, a new version of the file may appear at any time. */
static char *absolute(const char *file)
{
    if (file[0] == '/')
        return strdup(file);
    char *here = getcwd(NULL, 0);
    char *path = here == NULL ? NULL : config_resolve(here, file);
    free(here);
    return path;
}

static char *directory_of(const char *path)
{
    size_t length = (size_t)(strrchr(path, '/') - path);
    return strndup(path, length > 0 ? length : 1);
}

int config_load(struct config **config, const char *file, struct config_error *error)
{
    struct config_reader reader = {.error = error};
    struct config *fresh = calloc(1, sizeof *fresh);
    json_t *root = NULL;
    char *directory = NULL;
    int rc = CG_OK;
    *config = NULL;
    *error = (struct config_error){"", ""};
    if (fresh == NULL)
        return config_refuse(&reader, CG_E_NOMEM, "no memory");
    atomic_init(&fresh->references, 1);
    if ((fresh->file = absolute(file)) == NULL || (directory = directory_of(fresh->file)) == NULL)
        rc = config_refuse(&reader, CG_E_NOMEM, "no memory");
    reader.directory = directory;
    memory_watch();
    if (rc == CG_OK)
        rc = parse(&reader, fresh->file, &root);
    if (rc == CG_OK)
        rc = fill(&reader, fresh, root);
    if (memory_ran_out())
        rc = config_refuse(&reader, CG_E_NOMEM, "no memory");
    json_decref(root);
    free(directory);
    if (rc == CG_OK)
        *config = fresh;
    else
        config_unref(&fresh);
    return rc;
}

struct config *config_ref(struct config *config)
{
    atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    return config;
}

void config_unref(struct config **config)
{
    struct config *old = *config;
    *config = NULL;
    if (old == NULL || atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) != 1)
        return;
    config_free_rows(config_rows, old);
    free(old->file);
    free(old);
}

static int same(const char *left, const char *right)
{
    if (left == NULL || right == NULL)
        return left == right;
    return strcmp(left, right) == 0;
}

static int same_tls(const struct config_tls_server *a, const struct config_tls_server *b)
{
    return same(a->certificate_file, b->certificate_file) && same(a->key_file, b->key_file) &&
           same(a->client_ca_file, b->client_ca_file) && a->client_optional == b->client_optional;
}

static int same_listen(const struct config *old, const struct config *fresh)
{
    if (old->num_listen != fresh->num_listen)
        return 0;
    for (size_t i = 0; i < old->num_listen; i++) {
        const struct config_listen *a = &old->listen[i], *b = &fresh->listen[i];
        if (!same(a->address, b->address) || a->port != b->port || !same_tls(&a->tls, &b->tls))
            return 0;
    }
    return 1;
}

static int same_data(const struct config *old, const struct config *fresh)
{
    return same(old->data.directory, fresh->data.directory) &&
           old->data.map_size_mib == fresh->data.map_size_mib &&
           old->data.event_log_max_events == fresh->data.event_log_max_events &&
           old->data.event_log_max_mib == fresh->data.event_log_max_mib;
}

/* requestsPerSecond follows a reload. */
static int same_limits(const struct config *old, const struct config *fresh)
{
    return old->limits.max_connections == fresh->limits.max_connections &&
           old->limits.max_connections_per_address == fresh->limits.max_connections_per_address &&
           old->limits.max_body_bytes == fresh->limits.max_body_bytes &&
           old->limits.request_timeout_ms == fresh->limits.request_timeout_ms &&
           old->limits.head_timeout_ms == fresh->limits.head_timeout_ms &&
           old->limits.idle_timeout_ms == fresh->limits.idle_timeout_ms;
}

static int same_consumer(const struct config *old, const struct config *fresh)
{
    return old->consumer.present == fresh->consumer.present &&
           same(old->consumer.address, fresh->consumer.address) &&
           same(old->consumer.public_url, fresh->consumer.public_url) &&
           old->consumer.port == fresh->consumer.port &&
           same_tls(&old->consumer.tls, &fresh->consumer.tls);
}

/* What the transport is started with; pacing, heartbeat and the like follow a reload. */
static int same_upstream(const struct config *old, const struct config *fresh)
{
    if (old->upstream.num_endpoints != fresh->upstream.num_endpoints ||
        old->upstream.max_concurrent != fresh->upstream.max_concurrent ||
        old->upstream.timeout_ms != fresh->upstream.timeout_ms ||
        old->upstream.connect_timeout_ms != fresh->upstream.connect_timeout_ms ||
        !same(old->upstream.tls.ca_file, fresh->upstream.tls.ca_file) ||
        !same(old->upstream.tls.certificate_file, fresh->upstream.tls.certificate_file) ||
        !same(old->upstream.tls.key_file, fresh->upstream.tls.key_file))
        return 0;
    for (size_t i = 0; i < old->upstream.num_endpoints; i++)
        if (!same(old->upstream.endpoints[i].name, fresh->upstream.endpoints[i].name) ||
            !same(old->upstream.endpoints[i].url, fresh->upstream.endpoints[i].url))
            return 0;
    return 1;
}

int config_compatible(const struct config *old, const struct config *fresh, char *what, size_t size)
{
    const struct {
        const char *name;
        int same;
    } settings[] = {{"listen", same_listen(old, fresh)},
                    {"threads", old->threads == fresh->threads},
                    {"contract", same(old->contract, fresh->contract)},
                    {"data", same_data(old, fresh)},
                    {"upstream", same_upstream(old, fresh)},
                    {"limits", same_limits(old, fresh)},
                    {"log.access", old->log.access == fresh->log.access},
                    {"consumer", same_consumer(old, fresh)},
                    {"outbound.url", same(old->outbound.url, fresh->outbound.url)}};
    size_t length = 0;
    what[0] = '\0';
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (settings[i].same || length + 1 >= size)
            continue;
        int wrote = snprintf(what + length, size - length, "%s%s", length > 0 ? ", " : "",
                             settings[i].name);
        length = wrote < 0 || (size_t)wrote >= size - length ? size - 1 : length + (size_t)wrote;
    }
    return what[0] == '\0';
}

unsigned config_role_from_name(const char *name)
{
    for (unsigned i = 0; config_role_names[i] != NULL; i++)
        if (strcmp(config_role_names[i], name) == 0)
            return 1u << i;
    return 0;
}

const char *config_role_name(unsigned role)
{
    for (unsigned i = 0; config_role_names[i] != NULL; i++)
        if (role == 1u << i)
            return config_role_names[i];
    return NULL;
}

const struct config_endpoint *config_campus(const struct config *config)
{
    for (size_t i = 0; i < config->upstream.num_endpoints; i++)
        if (!config->upstream.endpoints[i].is_rgn)
            return &config->upstream.endpoints[i];
    return &config->upstream.endpoints[0];
}
