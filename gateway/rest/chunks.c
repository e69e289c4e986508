/* A body in chunks, RFC 9112 section 7.1, to the letter: what a lax decoder takes for a line's end is where smuggling begins. */
#include <string.h>

#include "cctgate/limits.h"
#include "gateway/rest/head.h"

#define SIZE_DIGITS_MAX 8 /* far more than a body may have */

enum state { /* a decoder begins zeroed */
             IN_SIZE,
             AFTER_SIZE, /* LF */
             IN_DATA,
             AFTER_DATA, /* CR */
             AFTER_DATA_CR,
             AT_TRAILER, /* the beginning of a line */
             IN_TRAILER,
             AFTER_TRAILER, /* LF */
             AFTER_ALL      /* LF */
};

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_size(struct phr_chunked_decoder *decoder, char c)
{
    int digit = hex(c);

    if (digit >= 0) {
        if (++decoder->hex_count > SIZE_DIGITS_MAX)
            return -1;
        decoder->bytes_left_in_chunk = decoder->bytes_left_in_chunk * 16 + (size_t)digit;
        return 0;
    }
    if (c != '\r' || decoder->hex_count == 0)
        return -1;
    decoder->hex_count = 0;
    decoder->state = AFTER_SIZE;
    return 0;
}

/* Trailers are read and forgotten; bytes_left_in_chunk counts them. */
static int take_trailer(struct phr_chunked_decoder *decoder, char c)
{
    if (++decoder->bytes_left_in_chunk > CG_TRAILER_BYTES_MAX)
        return -1;
    if (c == '\r')
        decoder->state = decoder->state == AT_TRAILER ? AFTER_ALL : AFTER_TRAILER;
    else if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f ||
             (decoder->state == AT_TRAILER && (c == ' ' || c == '\t')))
        return -1;
    else
        decoder->state = IN_TRAILER;
    return 0;
}

/* A byte that is not data: 0, or -1. */
static int take(struct phr_chunked_decoder *decoder, char c)
{
    switch (decoder->state) {
    case IN_SIZE:
        return take_size(decoder, c);
    case AFTER_SIZE:
        decoder->state = decoder->bytes_left_in_chunk > 0 ? IN_DATA : AT_TRAILER;
        return c == '\n' ? 0 : -1;
    case AFTER_DATA:
        decoder->state = AFTER_DATA_CR;
        return c == '\r' ? 0 : -1;
    case AFTER_DATA_CR:
        decoder->state = IN_SIZE;
        return c == '\n' ? 0 : -1;
    case AFTER_TRAILER:
        decoder->state = AT_TRAILER;
        return c == '\n' ? 0 : -1;
    default:
        return take_trailer(decoder, c);
    }
}

static size_t take_data(struct phr_chunked_decoder *decoder, char *to, const char *from,
                        size_t length)
{
    size_t n = length < decoder->bytes_left_in_chunk ? length : decoder->bytes_left_in_chunk;

    memmove(to, from, n);
    if ((decoder->bytes_left_in_chunk -= n) == 0)
        decoder->state = AFTER_DATA;
    return n;
}

ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buffer, size_t *length)
{
    size_t at = 0, decoded = 0, end = *length;
    ssize_t rc = -2;

    while (at < end && rc == -2) {
        if (decoder->state == IN_DATA) {
            size_t n = take_data(decoder, buffer + decoded, buffer + at, end - at);
            at += n;
            decoded += n;
        } else if (decoder->state == AFTER_ALL) {
            rc = buffer[at++] == '\n' ? 0 : -1;
        } else if (take(decoder, buffer[at++]) != 0) {
            rc = -1;
        }
    }
    *length = decoded;
    if (rc != 0)
        return rc;
    memmove(buffer + decoded, buffer + at, end - at);
    return (ssize_t)(end - at);
}
