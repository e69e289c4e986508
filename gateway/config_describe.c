/*
 * How the configuration speaks of its errors. What is found is repeated only where it can't be a
 * secret: a string in the place of a string that is no secret. Everything else is told by its kind.
 */
#include "gateway/config_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"

#define QUOTE_BYTES_MAX 100
#define NAME_BYTES_MAX  64

static const char secret_words[] = "one of {\"file\": \"<path>\"}, {\"env\": \"<variable>\"} or "
                                   "{\"credential\": \"<name>\"}, since a "
                                   "secret is never written into the configuration";

/* snprintf at the end of what is there; returns the new length. */
static size_t append(char *buffer, size_t size, size_t length, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static size_t append(char *buffer, size_t size, size_t length, const char *format, ...)
{
    va_list arguments;
    if (length + 1 >= size)
        return length;
    va_start(arguments, format);
    int wrote = vsnprintf(buffer + length, size - length, format, arguments);
    va_end(arguments);
    if (wrote < 0)
        return length;
    return (size_t)wrote < size - length ? length + (size_t)wrote : size - 1;
}

static int is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Control characters, the C1 ones in their UTF-8 form included, become '?'. */
static void hide_controls(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c != '\0'; c++)
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
            *c = '?';
        else if (is_continuation((char)*c) && c > (unsigned char *)text && c[-1] == '?')
            *c = '?';
}

/* No longer than `most` bytes, and not in the middle of a character. */
static void cut(char *text, size_t most)
{
    if (strlen(text) <= most)
        return;
    while (most > 0 && is_continuation(text[most]))
        most--;
    text[most] = '\0';
}

const char *config_quote(char *buffer, size_t size, const char *text)
{
    char shown[QUOTE_BYTES_MAX + 8];
    snprintf(shown, sizeof shown, "%s", text);
    cut(shown, QUOTE_BYTES_MAX);
    hide_controls(shown);
    snprintf(buffer, size, "\"%s%s\"", shown, strlen(text) > strlen(shown) ? "\xe2\x80\xa6" : "");
    return buffer;
}

/* RFC 6901: '~' is ~0 and '/' is ~1. A pointer that would be too long ends early. */
size_t config_enter(struct config_reader *reader, const char *name)
{
    size_t mark = reader->length, length = mark, size = sizeof reader->pointer;
    length = append(reader->pointer, size, length, "/");
    for (; *name != '\0'; name++) {
        const char *escape = *name == '~' ? "~0" : *name == '/' ? "~1" : NULL;
        length = escape != NULL ? append(reader->pointer, size, length, "%s", escape)
                                : append(reader->pointer, size, length, "%c", *name);
    }
    reader->length = length;
    return mark;
}

size_t config_enter_item(struct config_reader *reader, size_t index)
{
    size_t mark = reader->length;
    reader->length = append(reader->pointer, sizeof reader->pointer, mark, "/%zu", index);
    return mark;
}

void config_leave(struct config_reader *reader, size_t mark)
{
    reader->length = mark;
    reader->pointer[mark] = '\0';
}

void config_point(struct config_reader *reader, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reader->pointer, sizeof reader->pointer, format, arguments);
    va_end(arguments);
    reader->length = strlen(reader->pointer);
}

int config_refuse(struct config_reader *reader, int rc, const char *format, ...)
{
    struct config_error *error = reader->error;
    va_list arguments;
    snprintf(error->pointer, sizeof error->pointer, "%s", reader->pointer);
    cut(error->pointer, sizeof error->pointer - 8);
    hide_controls(error->pointer);
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    cut(error->text, sizeof error->text - 8);
    return rc;
}

static void describe_choices(char *buffer, size_t size, const char *const *choices)
{
    size_t length = 0;
    for (size_t i = 0; choices[i] != NULL; i++) {
        const char *between = i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ";
        length = append(buffer, size, length, "%s\"%s\"", between, choices[i]);
    }
}

static void describe_items(char *buffer, size_t size, const struct config_row *row,
                           const char *what)
{
    if (row->minimum > 0)
        snprintf(buffer, size, "an array of %lld to %lld %s", (long long)row->minimum,
                 (long long)row->maximum, what);
    else
        snprintf(buffer, size, "an array of at most %lld %s", (long long)row->maximum, what);
}

static void describe_text(char *buffer, size_t size, const struct config_row *row)
{
    if (row->expected != NULL)
        snprintf(buffer, size, "%s", row->expected);
    else if (row->minimum > 0)
        snprintf(buffer, size, "a string of %lld to %lld characters", (long long)row->minimum,
                 (long long)row->maximum);
    else
        snprintf(buffer, size, "a string of at most %lld characters", (long long)row->maximum);
}

static void describe_row(char *buffer, size_t size, const struct config_row *row)
{
    switch (row->kind) {
    case CONFIG_INTEGER:
        snprintf(buffer, size, "an integer from %lld to %lld", (long long)row->minimum,
                 (long long)row->maximum);
        break;
    case CONFIG_BOOLEAN:
        snprintf(buffer, size, "true or false");
        break;
    case CONFIG_CHOICE:
    case CONFIG_CHOICE_INDEX:
        describe_choices(buffer, size, row->choices);
        break;
    case CONFIG_CHOICES:
    case CONFIG_STRINGS:
        describe_items(buffer, size, row, "strings");
        break;
    case CONFIG_OBJECTS:
        describe_items(buffer, size, row, "objects");
        break;
    case CONFIG_OBJECT:
        snprintf(buffer, size, "an object");
        break;
    case CONFIG_SECRET:
        snprintf(buffer, size, "%s", secret_words);
        break;
    case CONFIG_SHA256:
        snprintf(buffer, size, "the SHA-256 of the token in 64 hexadecimal digits");
        break;
    default:
        describe_text(buffer, size, row);
    }
}

static int may_repeat(const struct config_row *row, const char *text)
{
    switch (row->kind) {
    case CONFIG_URL:
        return strchr(text, '@') == NULL;
    case CONFIG_STRING:
    case CONFIG_PATH:
    case CONFIG_CHOICE:
    case CONFIG_CHOICE_INDEX:
        return 1;
    default:
        return 0;
    }
}

static void describe_found(char *buffer, size_t size, const struct config_row *row,
                           const json_t *found)
{
    if (found == NULL)
        snprintf(buffer, size, "nothing");
    else if (json_is_string(found) && may_repeat(row, json_string_value(found)))
        config_quote(buffer, size, json_string_value(found));
    else if (json_is_string(found))
        snprintf(buffer, size, "%s", row->kind == CONFIG_URL ? "one with \"@\" in it" : "a string");
    else if (json_is_array(found))
        snprintf(buffer, size, "an array of %zu", json_array_size(found));
    else if (json_is_object(found))
        snprintf(buffer, size, "an object");
    else if (row->kind == CONFIG_SECRET || row->kind == CONFIG_SHA256)
        snprintf(buffer, size, json_is_number(found) ? "a number" : "a literal");
    else if (json_is_integer(found))
        snprintf(buffer, size, "%lld", (long long)json_integer_value(found));
    else if (json_is_real(found))
        snprintf(buffer, size, "%.15g", json_real_value(found));
    else
        snprintf(buffer, size,
                 json_is_null(found)   ? "null"
                 : json_is_true(found) ? "true"
                                       : "false");
}

int config_unexpected(struct config_reader *reader, const struct config_row *row,
                      const json_t *found)
{
    char expected[320], value[160];
    describe_row(expected, sizeof expected, row);
    describe_found(value, sizeof value, row, found);
    return config_refuse(reader, CG_E_INVALID, "expected %s, found %s", expected, value);
}

int config_unexpected_item(struct config_reader *reader, const struct config_row *row,
                           const json_t *found)
{
    struct config_row item = *row;
    item.kind = row->kind == CONFIG_CHOICES   ? CONFIG_CHOICE
                : row->check == config_is_url ? CONFIG_URL
                                              : CONFIG_STRING;
    item.minimum = 1;
    item.maximum = CONFIG_STRING_MAX;
    return config_unexpected(reader, &item, found);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Levenshtein's distance, not counting case. */
static size_t distance(const char *a, const char *b)
{
    size_t costs[NAME_BYTES_MAX + 1], length = strlen(b);
    if (strlen(a) > NAME_BYTES_MAX || length > NAME_BYTES_MAX)
        return NAME_BYTES_MAX;
    for (size_t j = 0; j <= length; j++)
        costs[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = costs[0];
        costs[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t replaced = diagonal + (lower(a[i]) != lower(b[j]));
            diagonal = costs[j + 1];
            costs[j + 1] = least(replaced, least(costs[j], costs[j + 1]) + 1);
        }
    }
    return costs[length];
}

/* The known name that was probably meant; NULL when none is close. */
static const char *nearest(const struct config_row *rows, const char *name)
{
    const char *best = NULL;
    size_t best_distance = strlen(name) > 5 ? 3 : 2; /* one below is the most that is close */
    for (; rows->name != NULL; rows++) {
        size_t d = distance(name, rows->name);
        if (d < best_distance) {
            best = rows->name;
            best_distance = d;
        }
    }
    return best;
}

int config_unknown(struct config_reader *reader, const struct config_row *rows, const char *name)
{
    char quoted[160];
    const char *meant = nearest(rows, name);
    config_quote(quoted, sizeof quoted, name);
    size_t mark = config_enter(reader, name);
    int rc =
        config_refuse(reader, CG_E_INVALID,
                      "expected a known setting, found %s%s%s%s (a name that begins with // is "
                      "a comment)",
                      quoted, meant != NULL ? "; is \"" : "", meant != NULL ? meant : "",
                      meant != NULL ? "\" meant?" : "");
    config_leave(reader, mark);
    return rc;
}
