/* What stands in header fields, paths and queries, by each of the parsers: what one takes has its form and its bounds. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/freshness.h"
#include "gateway/events/client_message.h"
#include "gateway/events/handshake.h"
#include "gateway/events/network.h"
#include "gateway/rest/intake.h"
#include "gateway/rest/reading.h"

static void cache_control(const char *text, size_t length)
{
    const struct freshness_record record = {1000, 2000, 0, 0};
    const struct freshness_source source = {500, 0, 0};
    const struct freshness_policy policy = {10000, 20000};
    struct freshness_directives directives;
    int64_t now_ms;

    freshness_directives_init(&directives);
    freshness_parse(&directives, text, length);
    FUZZ_CHECK(directives.max_age_ms >= FRESHNESS_UNSET &&
               directives.max_stale_ms >= FRESHNESS_UNSET &&
               directives.min_fresh_ms >= FRESHNESS_UNSET);
    for (now_ms = 1500; now_ms < 50000; now_ms *= 3) {
        struct freshness f = freshness_decide(&record, &source, &policy, &directives, now_ms);
        FUZZ_CHECK(!directives.only_if_cached || f.action != FRESHNESS_FETCH);
        FUZZ_CHECK(!directives.no_cache || directives.only_if_cached ||
                   f.action == FRESHNESS_FETCH);
        FUZZ_CHECK(f.label != SYNC_LIVE);
        f = freshness_decide(NULL, &source, &policy, &directives, now_ms);
        FUZZ_CHECK(f.action == (directives.only_if_cached ? FRESHNESS_NOTHING : FRESHNESS_FETCH));
    }
}

static void path(const char *text, size_t length)
{
    char decoded[CG_ID_BYTES_MAX + 1], again[CG_ID_BYTES_MAX + 1], segment[3 * CG_ID_BYTES_MAX + 1];
    size_t decoded_length, again_length;
    char *end;

    if (path_decode(text, length, decoded, sizeof(decoded), &decoded_length) != CG_OK)
        return;
    FUZZ_CHECK(decoded_length > 0 && decoded_length <= CG_ID_BYTES_MAX &&
               strlen(decoded) == decoded_length);
    end = put_segment(segment, decoded, decoded_length);
    FUZZ_CHECK(path_decode(segment, (size_t)(end - segment), again, sizeof(again), &again_length) ==
               CG_OK);
    FUZZ_CHECK(again_length == decoded_length && memcmp(again, decoded, again_length) == 0);
}

/* As RFC 8941 writes a string. */
static void idempotency_key(const char *text, size_t length)
{
    char key[COMMAND_KEY_BYTES_MAX + 1], again[COMMAND_KEY_BYTES_MAX + 1],
        quoted[2 * COMMAND_KEY_BYTES_MAX + 3], *at = quoted;
    size_t i;

    if (intake_key(key, text, length) != CG_OK)
        return;
    FUZZ_CHECK(key[0] != '\0');
    *at++ = '"';
    for (i = 0; key[i] != '\0'; ++i) {
        FUZZ_CHECK(key[i] > ' ' && key[i] < 0x7f);
        if (key[i] == '"' || key[i] == '\\')
            *at++ = '\\';
        *at++ = key[i];
    }
    *at++ = '"';
    FUZZ_CHECK(intake_key(again, quoted, (size_t)(at - quoted)) == CG_OK);
    FUZZ_CHECK(strcmp(key, again) == 0);
}

static void prefer(const char *text, size_t length)
{
    unsigned wait_ms = 0;

    if (intake_wait(text, length, &wait_ms))
        FUZZ_CHECK(wait_ms <= CG_COMMAND_WAIT_S_MAX * 1000);
    else
        FUZZ_CHECK(wait_ms == 0);
}

static void query(const char *text, size_t length)
{
    struct subscribe subscribe;
    struct message_error error;
    const char *value = NULL;
    size_t value_length = 0;
    int rc;

    if (query_find(text, length, "types", &value, &value_length))
        FUZZ_CHECK(value >= text && value + value_length <= text + length &&
                   memchr(value, '&', value_length) == NULL);
    memset(&error, 0, sizeof(error));
    rc = subscribe_parse_query(&subscribe, text, length, &error);
    FUZZ_CHECK(rc == CG_OK || error.detail[0] != '\0');
    if (rc == CG_OK)
        FUZZ_CHECK(subscribe.filter.num_subjects <= CG_FILTER_MEMBERS_MAX &&
                   subscribe.filter.num_agents <= CG_FILTER_MEMBERS_MAX);
    subscribe_release(&subscribe);
}

static void place(const char *text, size_t length)
{
    struct log_place first, second;
    char printed[48];
    int n;

    if (log_place_parse(&first, text, length) != CG_OK)
        return;
    n = snprintf(printed, sizeof(printed), "%llu-%llu", (unsigned long long)first.epoch,
                 (unsigned long long)first.seq);
    FUZZ_CHECK(log_place_parse(&second, printed, (size_t)n) == CG_OK);
    FUZZ_CHECK(first.epoch == second.epoch && first.seq == second.seq);
}

static void handshake(const char *text, size_t length)
{
    struct handshake_protocols protocols = {0};
    char accept[HANDSHAKE_ACCEPT_BYTES + 1], key[25];
    char *origins[] = {"https://desk.example"};

    handshake_protocols_add(&protocols, text, length);
    handshake_protocols_add(&protocols, text, length);
    FUZZ_CHECK(protocols.tokens % 2 == 0);
    if (protocols.tokens > 0)
        FUZZ_CHECK(protocols.token >= text &&
                   protocols.token + protocols.token_length <= text + length);
    if (handshake_key_is_valid(text, length)) {
        FUZZ_CHECK(length == sizeof(key) - 1);
        memcpy(key, text, length);
        key[length] = '\0';
        handshake_accept(accept, key);
        FUZZ_CHECK(strlen(accept) == HANDSHAKE_ACCEPT_BYTES);
    }
    handshake_origin_is_own(text, length, "desk.example:8443", 17);
    handshake_origin_is_own("https://desk.example:8443", 25, text, length);
    if (handshake_origin_is_listed(text, length, origins, 1))
        FUZZ_CHECK(length >= strlen("https://desk.example"));
    handshake_accepts(text, length, "text/event-stream");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    const char *text = length > 0 ? (const char *)bytes : "";

    fuzz_init();
    cache_control(text, length);
    path(text, length);
    idempotency_key(text, length);
    prefer(text, length);
    query(text, length);
    place(text, length);
    handshake(text, length);
    return 0;
}
