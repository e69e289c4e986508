#include "gateway/events/text.h"

#include <stdlib.h>
#include <string.h>

char *text_reserve(struct text *text, size_t more)
{
    size_t capacity = text->capacity == 0 ? 1024 : text->capacity;
    char *bytes;

    if (text->capacity - text->length >= more)
        return text->bytes + text->length;
    if (more > SIZE_MAX / 4 || text->length > SIZE_MAX / 4)
        abort();
    while (capacity - text->length < more)
        capacity *= 2;
    if ((bytes = realloc(text->bytes, capacity)) == NULL)
        abort();
    text->bytes = bytes;
    text->capacity = capacity;
    return bytes + text->length;
}

void text_add(struct text *text, const char *bytes, size_t length)
{
    if (length == 0)
        return;
    memcpy(text_reserve(text, length), bytes, length);
    text->length += length;
}

void text_add_string(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_add_number(struct text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    text_add(text, digits + at, sizeof(digits) - at);
}

void text_release(struct text *text)
{
    free(text->bytes);
    *text = (struct text){NULL, 0, 0};
}
