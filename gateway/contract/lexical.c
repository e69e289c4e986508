#include "gateway/contract/lexical.h"

#include <limits.h>
#include <string.h>

#include <libxml/tree.h>

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

void lexical_trim(const char **text, size_t *length)
{
    while (*length > 0 && is_blank(**text)) {
        (*text)++;
        (*length)--;
    }
    while (*length > 0 && is_blank((*text)[*length - 1]))
        (*length)--;
}

/* Sign and magnitude. 0: no integer. `*overflow`: it is one, but its magnitude does not fit. */
static int parse_integer(const char *text, size_t length, int *negative,
                         unsigned long long *magnitude, int *overflow)
{
    size_t i = 0;
    *magnitude = 0;
    *overflow = 0;
    *negative = length > 0 && text[0] == '-';
    if (length > 0 && (text[0] == '-' || text[0] == '+'))
        i++;
    if (i == length)
        return 0;
    for (; i < length; i++) {
        if (!is_digit(text[i]))
            return 0;
        *overflow |= __builtin_mul_overflow(*magnitude, 10ull, magnitude);
        *overflow |=
            __builtin_add_overflow(*magnitude, (unsigned long long)(text[i] - '0'), magnitude);
    }
    return 1;
}

int lexical_long(const char *text, size_t length, long long *value)
{
    unsigned long long magnitude;
    int negative, overflow;
    if (!parse_integer(text, length, &negative, &magnitude, &overflow) || overflow)
        return 0;
    if (magnitude > (unsigned long long)LLONG_MAX + (unsigned)negative)
        return 0;
    *value = negative ? (long long)(0 - magnitude) : (long long)magnitude;
    return 1;
}

int lexical_boolean(const char *text, size_t length, int *value)
{
    *value = (length == 4 && memcmp(text, "true", 4) == 0) || (length == 1 && text[0] == '1');
    return *value || (length == 5 && memcmp(text, "false", 5) == 0) ||
           (length == 1 && text[0] == '0');
}

static int fits_digits(const struct schema_simple *simple, const char *text, size_t length)
{
    unsigned long long magnitude;
    int negative, overflow;
    if (!parse_integer(text, length, &negative, &magnitude, &overflow))
        return 0;
    if (negative && (magnitude != 0 || overflow))
        return simple->no_minimum;
    if (!simple->no_maximum && (overflow || magnitude > simple->maximum))
        return 0;
    return overflow || simple->no_minimum || magnitude >= (unsigned long long)simple->minimum;
}

/* Digits with at most one point among them; `*digits` how many. Returns what was read. */
static size_t read_decimal(const char *text, size_t length, size_t *digits)
{
    size_t i = 0, points = 0;
    *digits = 0;
    if (i < length && (text[i] == '-' || text[i] == '+'))
        i++;
    for (; i < length; i++) {
        if (is_digit(text[i]))
            (*digits)++;
        else if (text[i] != '.' || points++ > 0)
            break;
    }
    return i;
}

static int fits_decimal(const char *text, size_t length)
{
    size_t digits;
    return read_decimal(text, length, &digits) == length && digits > 0;
}

static int fits_double(const char *text, size_t length)
{
    size_t digits, used = read_decimal(text, length, &digits);
    unsigned long long magnitude;
    int negative, overflow;
    if ((length == 3 && (memcmp(text, "INF", 3) == 0 || memcmp(text, "NaN", 3) == 0)) ||
        (length == 4 && memcmp(text, "-INF", 4) == 0))
        return 1;
    if (digits == 0 || used == length)
        return digits > 0;
    return (text[used] == 'e' || text[used] == 'E') &&
           parse_integer(text + used + 1, length - used - 1, &negative, &magnitude, &overflow);
}

struct reader {
    const char *at, *end;
};

/* Exactly `count` digits. */
static int read_number(struct reader *reader, size_t count, int *value)
{
    *value = 0;
    for (size_t i = 0; i < count; i++) {
        if (reader->at == reader->end || !is_digit(*reader->at))
            return 0;
        *value = *value * 10 + (*reader->at++ - '0');
    }
    return 1;
}

static int read_char(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return 0;
    reader->at++;
    return 1;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* Years of four digits or, without a leading zero, up to nine. */
static int read_date(struct reader *reader)
{
    int year, month, day;
    size_t digits = 0;
    read_char(reader, '-');
    while ((size_t)(reader->end - reader->at) > digits && is_digit(reader->at[digits]))
        digits++;
    if (digits < 4 || digits > 9 || (digits > 4 && *reader->at == '0'))
        return 0;
    return read_number(reader, digits, &year) && year != 0 && read_char(reader, '-') &&
           read_number(reader, 2, &month) && month >= 1 && month <= 12 && read_char(reader, '-') &&
           read_number(reader, 2, &day) && day >= 1 && day <= days_in(year, month);
}

static int read_fraction(struct reader *reader)
{
    const char *start;
    if (!read_char(reader, '.'))
        return 1;
    start = reader->at;
    while (reader->at < reader->end && is_digit(*reader->at))
        reader->at++;
    return reader->at > start;
}

static int read_time(struct reader *reader)
{
    int hour, minute, second;
    if (!read_number(reader, 2, &hour) || !read_char(reader, ':') ||
        !read_number(reader, 2, &minute) || !read_char(reader, ':') ||
        !read_number(reader, 2, &second) || !read_fraction(reader))
        return 0;
    return (hour <= 23 && minute <= 59 && second <= 59) ||
           (hour == 24 && minute == 0 && second == 0);
}

/* An optional time zone, and then the end. */
static int read_zone(struct reader *reader)
{
    int hour, minute;
    if (reader->at == reader->end)
        return 1;
    if (read_char(reader, 'Z'))
        return reader->at == reader->end;
    if (!read_char(reader, '+') && !read_char(reader, '-'))
        return 0;
    return read_number(reader, 2, &hour) && read_char(reader, ':') &&
           read_number(reader, 2, &minute) && reader->at == reader->end && minute <= 59 &&
           (hour <= 13 || (hour == 14 && minute == 0));
}

static int fits_moment(enum simple_kind kind, const char *text, size_t length)
{
    struct reader reader = {text, text + length};
    if (kind != SIMPLE_TIME && !read_date(&reader))
        return 0;
    if (kind == SIMPLE_DATE_TIME && !read_char(&reader, 'T'))
        return 0;
    if (kind != SIMPLE_DATE && !read_time(&reader))
        return 0;
    return read_zone(&reader);
}

static int is_base64(char c)
{
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '+' || c == '/';
}

static int fits_base64(const char *text, size_t length)
{
    size_t digits = 0, padding = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '=')
            padding++;
        else if (is_base64(text[i]) && padding == 0)
            digits++;
        else if (!is_blank(text[i]))
            return 0;
    }
    return padding <= 2 && (digits + padding) % 4 == 0;
}

static int fits_hex(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!is_digit(text[i]) && !(text[i] >= 'A' && text[i] <= 'F') &&
            !(text[i] >= 'a' && text[i] <= 'f'))
            return 0;
    }
    return length % 2 == 0;
}

int lexical_is_name(const char *name)
{
    return xmlValidateNCName((const xmlChar *)name, 0) == 0;
}

int lexical_fits(const struct schema_simple *simple, const char *text, size_t length)
{
    long long number;
    int flag;
    switch (simple->kind) {
    case SIMPLE_INTEGER:
        return lexical_long(text, length, &number) && number >= simple->minimum &&
               number <= (long long)simple->maximum;
    case SIMPLE_BOOLEAN:
        return lexical_boolean(text, length, &flag);
    case SIMPLE_DIGITS:
        return fits_digits(simple, text, length);
    case SIMPLE_DECIMAL:
        return fits_decimal(text, length);
    case SIMPLE_DOUBLE:
        return fits_double(text, length);
    case SIMPLE_DATE_TIME:
    case SIMPLE_DATE:
    case SIMPLE_TIME:
        return fits_moment(simple->kind, text, length);
    case SIMPLE_BASE64:
        return fits_base64(text, length);
    case SIMPLE_HEX:
        return fits_hex(text, length);
    default:
        return 1; /* any text; names are checked where their NUL is certain */
    }
}
