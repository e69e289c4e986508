#include "gateway/control/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cctgate/clock.h"
#include "cctgate/limits.h"
#include "cctgate/timestamp.h"

#define FORMATTED_BYTES 2048

static int is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* The bytes of the character at `in`, 1 to 4; 0: it is none (RFC 3629 section 4). */
static size_t character_bytes(const unsigned char *in)
{
    unsigned char first = in[0], least = 0x80, most = 0xbf;
    size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4, i;

    if (length == 1)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    if (first == 0xe0)
        least = 0xa0;
    else if (first == 0xed)
        most = 0x9f;
    else if (first == 0xf0)
        least = 0x90;
    else if (first == 0xf4)
        most = 0x8f;
    if (in[1] < least || in[1] > most)
        return 0;
    for (i = 2; i < length; ++i)
        if (!is_continuation(in[i]))
            return 0;
    return length;
}

/* C0, DEL and C1, and the two separators that some readers take for the end of a line. */
static int is_control(const unsigned char *in, size_t length)
{
    if (length == 1)
        return in[0] < 0x20 || in[0] == 0x7f;
    if (length == 2)
        return in[0] == 0xc2 && in[1] < 0xa0;
    return length == 3 && in[0] == 0xe2 && in[1] == 0x80 && (in[2] == 0xa8 || in[2] == 0xa9);
}

size_t text_clean(char *out, size_t size, const char *in)
{
    const unsigned char *at = (const unsigned char *)in;
    size_t written = 0;

    while (*at != '\0') {
        size_t length = character_bytes(at);
        if (length == 0 || is_control(at, length)) {
            at += length == 0 ? 1 : length;
            continue;
        }
        if (written + length + 1 > size)
            break;
        memcpy(out + written, at, length);
        written += length;
        at += length;
    }
    out[written] = '\0';
    return written;
}

int text_is_name(const char *text, size_t max_bytes)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t total = 0;

    while (*at != '\0') {
        size_t length = character_bytes(at);
        if (length == 0 || is_control(at, length) || (total += length) > max_bytes)
            return 0;
        at += length;
    }
    return total > 0;
}

char *text_keep(const char *in, size_t max_bytes)
{
    size_t length;
    char *out;

    if (in == NULL)
        return NULL;
    length = strnlen(in, max_bytes);
    if ((out = malloc(length + 1)) == NULL)
        abort();
    text_clean(out, length + 1, in);
    return out;
}

void text_format(char *out, size_t size, const char *format, ...)
{
    char formatted[FORMATTED_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(formatted, sizeof(formatted), format, arguments);
    va_end(arguments);
    text_clean(out, size, formatted);
}

json_t *time_json(int64_t steady_ms)
{
    char when[TIMESTAMP_BYTES];
    timestamp_print(when, clock_told_ms(steady_ms));
    return json_string(when);
}

void json_set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        abort();
}

void json_set_text(json_t *object, const char *name, const char *value)
{
    char clean[CG_AUDIT_TEXT_BYTES_MAX + 1];

    if (value == NULL)
        return;
    text_clean(clean, sizeof(clean), value);
    json_set(object, name, json_string(clean));
}
