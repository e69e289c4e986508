/*
 * What a table can't say: addresses, names that must differ or refer to each other, settings that
 * go together.
 */
#include "gateway/config_internal.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"

int config_is_address(const char *text)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

int config_is_network(const char *text)
{
    unsigned char bytes[16];
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t length = slash != NULL ? (size_t)(slash - text) : 0;
    if (length == 0 || length >= sizeof address)
        return 0;
    memcpy(address, text, length);
    address[length] = '\0';
    unsigned long bits = strtoul(slash + 1, NULL, 10); /* the pattern allows one to three digits */
    if (inet_pton(AF_INET, address, bytes) == 1)
        return bits <= 32;
    return inet_pton(AF_INET6, address, bytes) == 1 && bits <= 128;
}

/* The pattern has been met; what remains is the port and the address between brackets. */
int config_is_url(const char *text)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    const char *host = strstr(text, "://");
    if (host == NULL)
        return 0;
    host += 3;
    const char *end = host + strcspn(host, host[0] == '[' ? "]" : ":/");
    if (host[0] == '[') {
        size_t length = (size_t)(end - host) - 1;
        if (length >= sizeof address)
            return 0;
        memcpy(address, host + 1, length);
        address[length] = '\0';
        if (inet_pton(AF_INET6, address, bytes) != 1)
            return 0;
        end++;
    }
    if (*end != ':')
        return 1;
    unsigned long port = strtoul(end + 1, NULL, 10);
    return port >= 1 && port <= 65535;
}

struct entry {
    const void *key;
    size_t length, index;
};

static int compare_keys(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->key, b->key, shorter);
    if (order != 0)
        return order;
    return a->length < b->length ? -1 : a->length > b->length;
}

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    int order = compare_keys(left, right);
    if (order != 0)
        return order;
    return a->index < b->index ? -1 : a->index > b->index;
}

/*
 * Sorts, and gives the first index whose key an earlier one has; SIZE_MAX when all differ. Ten
 * thousand sessions are allowed, so not by comparing each with each.
 */
static size_t sort_and_find_repeat(struct entry *entries, size_t count)
{
    size_t repeat = SIZE_MAX;
    qsort(entries, count, sizeof *entries, compare_entries);
    for (size_t i = 1; i < count; i++)
        if (compare_keys(&entries[i - 1], &entries[i]) == 0 && entries[i].index < repeat)
            repeat = entries[i].index;
    return repeat;
}

/* The text at `offset` of each item; the caller frees. */
static struct entry *list_texts(const void *items, size_t count, size_t item_size, size_t offset)
{
    struct entry *entries = calloc(count > 0 ? count : 1, sizeof *entries);
    for (size_t i = 0; entries != NULL && i < count; i++) {
        char *text;
        memcpy(&text, (const char *)items + i * item_size + offset, sizeof text);
        entries[i] = (struct entry){text, strlen(text), i};
    }
    return entries;
}

static int check_texts_differ(struct config_reader *reader, const void *items, size_t count,
                              size_t item_size, size_t offset, const char *array, const char *name)
{
    char quoted[160];
    const char *text;
    struct entry *entries = list_texts(items, count, item_size, offset);
    if (entries == NULL)
        return config_refuse(reader, CG_E_NOMEM, "no memory");
    size_t repeat = sort_and_find_repeat(entries, count);
    free(entries);
    if (repeat == SIZE_MAX)
        return CG_OK;
    memcpy(&text, (const char *)items + repeat * item_size + offset, sizeof text);
    config_point(reader, "%s/%zu/%s", array, repeat, name);
    return config_refuse(reader, CG_E_INVALID, "expected each once, found %s again",
                         config_quote(quoted, sizeof quoted, text));
}

#define TEXTS_DIFFER(reader, items, count, member, array, name)                                    \
    check_texts_differ(reader, items, count, sizeof *(items),                                      \
                       (size_t)((const char *)&(items)->member - (const char *)(items)), array,    \
                       name)

static int check_digests_differ(struct config_reader *reader, const struct config *config)
{
    size_t count = config->num_tokens;
    struct entry *entries = calloc(count > 0 ? count : 1, sizeof *entries);
    if (entries == NULL)
        return config_refuse(reader, CG_E_NOMEM, "no memory");
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct entry){config->tokens[i].sha256, sizeof config->tokens[i].sha256, i};
    size_t repeat = sort_and_find_repeat(entries, count);
    free(entries);
    if (repeat == SIZE_MAX)
        return CG_OK;
    config_point(reader, "/tokens/%zu/sha256", repeat);
    return config_refuse(reader, CG_E_INVALID, "expected each token once, found one again");
}

static int check_user(struct config_reader *reader, const struct entry *known, size_t count,
                      const char *user)
{
    char quoted[160];
    struct entry wanted = {user, strlen(user), 0};
    if (bsearch(&wanted, known, count, sizeof *known, compare_keys) != NULL)
        return CG_OK;
    config_quote(quoted, sizeof quoted, user);
    if (strcmp(user, "*") == 0)
        return config_refuse(reader, CG_E_INVALID, "expected \"*\" alone, found it among others");
    return config_refuse(reader, CG_E_INVALID, "expected a user of sessions, found %s", quoted);
}

static int check_token_users(struct config_reader *reader, const struct config *config)
{
    int rc = CG_OK;
    struct entry *known =
        list_texts(config->sessions, config->num_sessions, sizeof *config->sessions,
                   offsetof(struct config_session, user));
    if (known == NULL)
        return config_refuse(reader, CG_E_NOMEM, "no memory");
    qsort(known, config->num_sessions, sizeof *known, compare_entries);
    for (size_t i = 0; rc == CG_OK && i < config->num_tokens; i++) {
        const struct config_token *token = &config->tokens[i];
        for (size_t j = 0; rc == CG_OK && !token->every_user && j < token->num_users; j++) {
            config_point(reader, "/tokens/%zu/users/%zu", i, j);
            rc = check_user(reader, known, config->num_sessions, token->users[j]);
        }
    }
    free(known);
    return rc;
}

static int check_client_certificate(struct config_reader *reader, const struct config *config)
{
    const struct config_tls_client *tls = &config->upstream.tls;
    if ((tls->certificate_file == NULL) == (tls->key_file == NULL))
        return CG_OK;
    config_point(reader, "/upstream/tls");
    return config_refuse(reader, CG_E_INVALID,
                         "expected both certificateFile and keyFile or neither, found one");
}

static int check_rgn(struct config_reader *reader, const struct config *config)
{
    size_t campus = 0;
    for (size_t i = 0; i < config->upstream.num_endpoints; i++)
        campus += !config->upstream.endpoints[i].is_rgn;
    config_point(reader, "/upstream/endpoints");
    if (campus == 0)
        return config_refuse(reader, CG_E_INVALID,
                             "expected an endpoint with the role \"campus\", found none");
    config_point(reader, "/upstream/rgnAfterMs");
    if (config->upstream.rgn_after_ms > 0 && campus == config->upstream.num_endpoints)
        return config_refuse(reader, CG_E_INVALID,
                             "expected 0 without an endpoint of the role \"rgn\", found %u",
                             config->upstream.rgn_after_ms);
    return CG_OK;
}

/* 0.0.0.0 and :: are where one listens, not where one is called. */
static int check_consumer(struct config_reader *reader, const struct config *config)
{
    const char *address = config->consumer.address;
    if (!config->consumer.present)
        return CG_OK;
    config_point(reader, "/consumer/publicUrl");
    if (config->consumer.public_url == NULL && strspn(address, "0.:") == strlen(address))
        return config_refuse(reader, CG_E_INVALID,
                             "expected a URL at which the contact centre reaches the consumer, "
                             "since its address is %s, found nothing",
                             address);
    return CG_OK;
}

int config_check(struct config_reader *reader, const struct config *config)
{
    int rc = check_rgn(reader, config);
    if (rc == CG_OK)
        rc = check_consumer(reader, config);
    if (rc == CG_OK)
        rc = check_client_certificate(reader, config);
    if (rc == CG_OK)
        rc = TEXTS_DIFFER(reader, config->upstream.endpoints, config->upstream.num_endpoints, name,
                          "/upstream/endpoints", "name");
    if (rc == CG_OK)
        rc =
            TEXTS_DIFFER(reader, config->sessions, config->num_sessions, user, "/sessions", "user");
    if (rc == CG_OK)
        rc = TEXTS_DIFFER(reader, config->control.reserved, config->control.num_reserved, agent,
                          "/control/reserved", "agent");
    if (rc == CG_OK)
        rc = TEXTS_DIFFER(reader, config->workstations, config->num_workstations, name,
                          "/workstations", "name");
    if (rc == CG_OK)
        rc = check_digests_differ(reader, config);
    if (rc == CG_OK)
        rc = check_token_users(reader, config);
    return rc;
}
