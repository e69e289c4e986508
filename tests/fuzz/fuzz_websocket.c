/*
 * What a client says on its WebSocket. After a first byte 't' each line is a text message, "!" in a line of its own lets an event
 * happen; after any other first byte the rest are frames as they come. What comes back are whole frames: unmasked, unfragmented, text
 * is one of our messages, a close has a code that may be sent, and nothing follows it.
 */
#include "tests/fuzz/front.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/events/protocol.h"

#define HANDSHAKE                                                                                  \
    "GET /v1/events HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"    \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                 \
    "Sec-WebSocket-Protocol: cctgate.v1, bearer." FUZZ_TOKEN "\r\n\r\n"

enum { OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

static void check_message(const uint8_t *text, size_t length)
{
    json_t *json = json_loadb((const char *)text, length, JSON_REJECT_DUPLICATES, NULL);
    const char *op = json_string_value(json_object_get(json, "op"));
    size_t i;

    FUZZ_CHECK(op != NULL);
    for (i = 0; i < SERVER_MESSAGES; ++i)
        if (strcmp(server_messages[i].op, op) == 0)
            break;
    FUZZ_CHECK(i < SERVER_MESSAGES || strcmp(op, "event") == 0);
    json_decref(json);
}

static void check_close(const uint8_t *payload, size_t length)
{
    unsigned code;

    FUZZ_CHECK(length != 1);
    if (length == 0)
        return;
    code = (unsigned)payload[0] << 8 | payload[1];
    FUZZ_CHECK(code >= 1000 && code < 5000 && code != 1004 && code != 1005 && code != 1006 &&
               code != 1015);
}

/* The length of the frame at `at`; 0: it is not whole. */
static size_t check_frame(const uint8_t *at, size_t left)
{
    size_t head = 2, length, i;
    unsigned op;

    if (left < 2)
        return 0;
    op = at[0] & 15u;
    length = at[1] & 127u;
    FUZZ_CHECK((at[0] & 0xf0) == 0x80 && (at[1] & 0x80) == 0);
    FUZZ_CHECK(op == OP_TEXT || op == OP_CLOSE || op == OP_PING || op == OP_PONG);
    FUZZ_CHECK(op == OP_TEXT || length <= 125);
    if (length >= 126) {
        size_t bytes = length == 126 ? 2 : 8;
        if (left < head + bytes)
            return 0;
        for (length = 0, i = 0; i < bytes; ++i)
            length = length << 8 | at[head + i];
        head += bytes;
    }
    if (left - head < length)
        return 0;
    if (op == OP_TEXT)
        check_message(at + head, length);
    else if (op == OP_CLOSE)
        check_close(at + head, length);
    return head + length;
}

static void check_answer(const struct fuzz_talk *talk, size_t from)
{
    const uint8_t *at = (const uint8_t *)talk->answer + from;
    size_t left = talk->length - from, size;
    int closed = 0;

    while ((size = check_frame(at, left)) > 0) {
        FUZZ_CHECK(!closed);
        closed = (at[0] & 15) == OP_CLOSE;
        at += size;
        left -= size;
    }
    FUZZ_CHECK(left == 0 || talk->gone);
}

/* Masked with zeroes, which leaves the text readable. */
static void say_text(struct fuzz_talk *talk, const uint8_t *text, size_t length)
{
    uint8_t *frame = malloc(length + 14);
    size_t head = 2;

    FUZZ_CHECK(frame != NULL && length < 1u << 24);
    memset(frame, 0, 14);
    frame[0] = 0x81;
    if (length < 126) {
        frame[1] = (uint8_t)(0x80 | length);
    } else {
        frame[1] = 0x80 | 127;
        frame[7] = (uint8_t)(length >> 16);
        frame[8] = (uint8_t)(length >> 8);
        frame[9] = (uint8_t)length;
        head = 10;
    }
    memcpy(frame + head + 4, text, length);
    fuzz_talk_say(talk, frame, head + 4 + length);
    free(frame);
}

static void say_lines(struct fuzz_talk *talk, const uint8_t *at, size_t left)
{
    while (left > 0) {
        const uint8_t *end = memchr(at, '\n', left);
        size_t length = end != NULL ? (size_t)(end - at) : left;
        if (length == 1 && *at == '!')
            fuzz_publish();
        else
            say_text(talk, at, length);
        left -= end != NULL ? length + 1 : length;
        at += length + 1;
    }
    fuzz_talk_say(talk, "", 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct fuzz_talk talk;
    const char *end;

    if (length == 0)
        return 0;
    fuzz_talk_begin(&talk);
    fuzz_talk_say(&talk, HANDSHAKE, strlen(HANDSHAKE));
    FUZZ_CHECK(strncmp(talk.answer, "HTTP/1.1 101 ", 13) == 0);
    FUZZ_CHECK((end = strstr(talk.answer, "\r\n\r\n")) != NULL);
    size_t from = (size_t)(end + 4 - talk.answer);
    FUZZ_CHECK(from < talk.length);
    if (bytes[0] == 't')
        say_lines(&talk, bytes + 1, length - 1);
    else
        fuzz_talk_say(&talk, bytes + 1, length - 1);
    check_answer(&talk, from);
    fuzz_talk_end(&talk);
    return 0;
}
