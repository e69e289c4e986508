/* Text that grows; aborts without memory, so whoever fills it keeps it within a bound. */
#ifndef CCTGATE_EVENTS_TEXT_H
#define CCTGATE_EVENTS_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes;
    size_t length, capacity;
};

char *text_reserve(struct text *text, size_t more); /* where the next byte goes */
void text_add(struct text *text, const char *bytes, size_t length);
void text_add_string(struct text *text, const char *string);
void text_add_number(struct text *text, uint64_t number);
void text_release(struct text *text);

#endif
