#include "gateway/events/handshake.h"

#include <string.h>
#include <strings.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#define KEY_BYTES 24
#define GUID      "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

int handshake_key_is_valid(const char *key, size_t length)
{
    size_t i;

    if (length != KEY_BYTES || memcmp(key + 22, "==", 2) != 0 || !is_one_of(key[21], "AQgw"))
        return 0;
    for (i = 0; i < 21; ++i)
        if (!is_one_of(key[i], base64_digits))
            return 0;
    return 1;
}

void handshake_accept(char accept[HANDSHAKE_ACCEPT_BYTES + 1], const char *key)
{
    unsigned char text[KEY_BYTES + sizeof(GUID) - 1], digest[SHA_DIGEST_LENGTH];

    memcpy(text, key, KEY_BYTES);
    memcpy(text + KEY_BYTES, GUID, sizeof(GUID) - 1);
    SHA1(text, sizeof(text), digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
}

/* ---- comma-separated lists ---- */

static int is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* The next member of a list, trimmed; 0: there is none. *at moves behind it. */
static int next_member(const char **at, const char *end, const char **member, size_t *length)
{
    const char *from = *at, *stop;

    if (from >= end)
        return 0;
    if ((stop = memchr(from, ',', (size_t)(end - from))) == NULL)
        stop = end;
    *at = stop + 1;
    while (from < stop && is_space(*from))
        ++from;
    while (stop > from && is_space(stop[-1]))
        --stop;
    *member = from;
    *length = (size_t)(stop - from);
    return 1;
}

void handshake_protocols_add(struct handshake_protocols *protocols, const char *field,
                             size_t field_length)
{
    static const char bearer[] = "bearer.";
    const size_t prefix = sizeof(bearer) - 1;
    const char *at = field, *member;
    size_t length;

    while (next_member(&at, field + field_length, &member, &length)) {
        if (length == 0)
            continue;
        protocols->offered = 1;
        if (length == sizeof(HANDSHAKE_SUBPROTOCOL) - 1 &&
            memcmp(member, HANDSHAKE_SUBPROTOCOL, length) == 0)
            protocols->ours = 1;
        if (length > prefix && memcmp(member, bearer, prefix) == 0) {
            ++protocols->tokens;
            protocols->token = member + prefix;
            protocols->token_length = length - prefix;
        }
    }
}

int handshake_accepts(const char *field, size_t field_length, const char *type)
{
    const char *at = field, *member;
    size_t length;

    while (next_member(&at, field + field_length, &member, &length)) {
        const char *semicolon = memchr(member, ';', length);
        if (semicolon != NULL)
            length = (size_t)(semicolon - member);
        while (length > 0 && is_space(member[length - 1]))
            --length;
        if (length == strlen(type) && strncasecmp(member, type, length) == 0)
            return 1;
    }
    return 0;
}

/* ---- Origin, RFC 6454 ---- */

static const struct {
    const char *scheme, *port;
} schemes[] = {{"http://", ":80"}, {"https://", ":443"}};

/* Without the scheme's default port, which an origin leaves out and a Host may name */
static size_t without_port(const char *host, size_t length, const char *port)
{
    size_t suffix = strlen(port);
    return length > suffix && memcmp(host + length - suffix, port, suffix) == 0 ? length - suffix
                                                                                : length;
}

int handshake_origin_is_own(const char *origin, size_t origin_length, const char *host,
                            size_t host_length)
{
    size_t i;

    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); ++i) {
        size_t prefix = strlen(schemes[i].scheme), left, right;
        if (origin_length <= prefix || strncasecmp(origin, schemes[i].scheme, prefix) != 0)
            continue;
        left = without_port(origin + prefix, origin_length - prefix, schemes[i].port);
        right = without_port(host, host_length, schemes[i].port);
        return left == right && strncasecmp(origin + prefix, host, left) == 0;
    }
    return 0;
}

int handshake_origin_is_listed(const char *origin, size_t length, char *const *origins,
                               size_t num_origins)
{
    size_t i;
    for (i = 0; i < num_origins; ++i)
        if (strlen(origins[i]) == length && strncasecmp(origins[i], origin, length) == 0)
            return 1;
    return 0;
}
