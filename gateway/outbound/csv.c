#include "gateway/outbound/csv.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

int csv_init(struct csv *csv, const char *text, size_t length)
{
    *csv = (struct csv){.at = text, .end = text + length, .line = 1, .next_line = 1};
    if (length >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0)
        csv->at += 3;
    csv->scratch = csv->used = malloc(length + 1);
    return csv->scratch != NULL ? CG_OK : CG_E_NOMEM;
}

void csv_release(struct csv *csv)
{
    if (csv->scratch != NULL)
        explicit_bzero(csv->scratch, (size_t)(csv->used - csv->scratch));
    free(csv->scratch);
    csv->scratch = csv->used = NULL;
}

static int refuse(struct csv *csv, const char *error)
{
    csv->error = error;
    csv->at = csv->end;
    return CG_E_INVALID;
}

static int is_line_end(const struct csv *csv)
{
    return csv->at < csv->end &&
           (*csv->at == '\n' || (*csv->at == '\r' && csv->end - csv->at > 1 && csv->at[1] == '\n'));
}

static void take_line_end(struct csv *csv)
{
    csv->at += *csv->at == '\r' ? 2 : 1;
    ++csv->next_line;
}

static int take_quoted(struct csv *csv, char **out)
{
    for (++csv->at; csv->at < csv->end; ++csv->at) {
        if (*csv->at == '\0')
            return refuse(csv, "expected text, found a NUL");
        if (*csv->at == '"' && (csv->end - csv->at == 1 || csv->at[1] != '"'))
            break;
        if (*csv->at == '"')
            ++csv->at;
        if (*csv->at == '\n')
            ++csv->next_line;
        *(*out)++ = *csv->at;
    }
    if (csv->at == csv->end)
        return refuse(csv, "a quote is not closed");
    ++csv->at;
    if (csv->at < csv->end && *csv->at != ',' && !is_line_end(csv))
        return refuse(csv, "expected a comma or the end of the line after a quote");
    return CG_OK;
}

static int take_plain(struct csv *csv, char **out)
{
    for (; csv->at < csv->end && *csv->at != ',' && !is_line_end(csv); ++csv->at) {
        if (*csv->at == '"')
            return refuse(csv, "expected quotes around a field that has one");
        if (*csv->at == '\r' || *csv->at == '\0')
            return refuse(csv, "expected text, found a control character");
        *(*out)++ = *csv->at;
    }
    return CG_OK;
}

/* A comma goes before each field but the first, so that nothing is longer than what it is made of. */
static int take_record(struct csv *csv, struct csv_field *fields, size_t max)
{
    size_t count = 0;
    char *out = csv->scratch;

    for (;;) {
        char *begin = out;
        int rc =
            csv->at < csv->end && *csv->at == '"' ? take_quoted(csv, &out) : take_plain(csv, &out);
        csv->used = out > csv->used ? out : csv->used;
        if (rc != CG_OK)
            return rc;
        if (count == max)
            return refuse(csv, "there are too many fields");
        fields[count++] = (struct csv_field){begin, (size_t)(out - begin)};
        if (csv->at == csv->end || *csv->at != ',')
            break;
        if (++csv->at == csv->end) { /* the last field is empty */
            if (count == max)
                return refuse(csv, "there are too many fields");
            fields[count++] = (struct csv_field){out, 0};
            break;
        }
    }
    if (csv->at < csv->end)
        take_line_end(csv);
    return (int)count;
}

int csv_next(struct csv *csv, struct csv_field *fields, size_t max)
{
    while (is_line_end(csv))
        take_line_end(csv);
    csv->line = csv->next_line;
    return csv->at < csv->end ? take_record(csv, fields, max) : 0;
}
