#include "gateway/contract/codec_buffer.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"

#define BUFFER_FIRST_BYTES 2048

void codec_buffer_release(struct codec_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct codec_buffer){0};
}

static int reserve(struct codec_buffer *buffer, size_t more)
{
    if (more > CG_SOAP_BYTES_MAX || buffer->length > CG_SOAP_BYTES_MAX - more)
        return CG_E_LIMIT;
    size_t need = buffer->length + more + 1;
    if (need <= buffer->capacity)
        return CG_OK;
    size_t capacity =
        buffer->capacity < BUFFER_FIRST_BYTES ? BUFFER_FIRST_BYTES : buffer->capacity * 2;
    while (capacity < need)
        capacity *= 2; /* need is far below SIZE_MAX / 2 */
    char *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL)
        return CG_E_NOMEM;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return CG_OK;
}

int codec_buffer_append(struct codec_buffer *buffer, const char *bytes, size_t length)
{
    int rc = reserve(buffer, length);
    if (rc != CG_OK)
        return rc;
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    buffer->bytes[buffer->length] = '\0';
    return CG_OK;
}

void codec_buffer_truncate(struct codec_buffer *buffer, size_t length)
{
    buffer->length = length;
    if (buffer->bytes != NULL)
        buffer->bytes[length] = '\0';
}

/*
 * What stands for an ASCII character, or NULL when it stands for itself; "" for one that XML cannot
 * carry.
 */
static const char *replacement(unsigned char c, enum codec_escape where)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '\r':
        return "&#13;"; /* as itself it would be read as a line feed */
    case '"':
        return where == ESCAPE_ATTRIBUTE ? "&quot;" : NULL;
    case '\t':
        return where == ESCAPE_ATTRIBUTE ? "&#9;" : NULL;
    case '\n':
        return where == ESCAPE_ATTRIBUTE ? "&#10;" : NULL;
    default:
        return c < 0x20 ? "" : NULL;
    }
}

/* Length of the UTF-8 sequence at `p`; 0 when it is none, or is U+FFFE or U+FFFF. */
static size_t sequence_length(const unsigned char *p, const unsigned char *end)
{
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || (size_t)(end - p) < length)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) /* overlong, surrogates */
        return 0;
    if ((p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f)) /* overlong, beyond U+10FFFF */
        return 0;
    if (p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe)
        return 0;
    return length;
}

int codec_buffer_escape(struct codec_buffer *buffer, const char *text, size_t length,
                        enum codec_escape where)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + length, *plain = p;
    int rc = CG_OK;
    while (rc == CG_OK && p < end) {
        if (*p >= 0x80) {
            size_t sequence = sequence_length(p, end);
            if (sequence == 0)
                return CG_E_INVALID;
            p += sequence;
            continue;
        }
        const char *instead = replacement(*p, where);
        if (instead == NULL) {
            p++;
            continue;
        }
        if (instead[0] == '\0')
            return CG_E_INVALID;
        rc = codec_buffer_append(buffer, (const char *)plain, (size_t)(p - plain));
        if (rc == CG_OK)
            rc = codec_buffer_append(buffer, instead, strlen(instead));
        plain = ++p;
    }
    return rc == CG_OK ? codec_buffer_append(buffer, (const char *)plain, (size_t)(p - plain)) : rc;
}
