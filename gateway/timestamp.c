#include "cctgate/timestamp.h"

#include <string.h>
#include <time.h>

#include "cctgate/error.h"

/* ---- to text ---- */

#define LAST_MS 253402300799999 /* of 9999 */

static char *put_digits(char *at, unsigned count, int number, char after)
{
    unsigned i;
    for (i = count; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
    at[count] = after;
    return at + count + 1;
}

size_t timestamp_print(char out[TIMESTAMP_BYTES], int64_t unix_ms)
{
    char *at = out;
    struct tm tm = {0};
    time_t seconds;

    unix_ms = unix_ms < 0 ? 0 : unix_ms > LAST_MS ? LAST_MS : unix_ms;
    seconds = (time_t)(unix_ms / 1000);
    gmtime_r(&seconds, &tm);
    at = put_digits(at, 4, tm.tm_year + 1900, '-');
    at = put_digits(at, 2, tm.tm_mon + 1, '-');
    at = put_digits(at, 2, tm.tm_mday, 'T');
    at = put_digits(at, 2, tm.tm_hour, ':');
    at = put_digits(at, 2, tm.tm_min, ':');
    at = put_digits(at, 2, tm.tm_sec, '.');
    at = put_digits(at, 3, (int)(unix_ms % 1000), 'Z');
    *at = '\0';
    return (size_t)(at - out);
}

/* ---- from text ---- */

static int take_digits(const char **at, unsigned count, int *number)
{
    for (*number = 0; count > 0; --count, ++*at) {
        if (**at < '0' || **at > '9')
            return CG_E_INVALID;
        *number = *number * 10 + (**at - '0');
    }
    return CG_OK;
}

/* By a pattern of digits and what is between them: "4-2-2". */
static int take_fields(const char **at, const char *pattern, int *numbers)
{
    for (; *pattern != '\0'; ++pattern) {
        if (*pattern >= '1' && *pattern <= '9') {
            if (take_digits(at, (unsigned)(*pattern - '0'), numbers++) != CG_OK)
                return CG_E_INVALID;
        } else if (**at == *pattern || (*pattern == 'T' && **at == 't')) {
            ++*at;
        } else {
            return CG_E_INVALID;
        }
    }
    return CG_OK;
}

static int take_fraction(const char **at, int *ms)
{
    int unit = 100;

    *ms = 0;
    if (**at != '.')
        return CG_OK;
    if (*++*at < '0' || **at > '9')
        return CG_E_INVALID;
    for (; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
        *ms += (**at - '0') * unit;
    return CG_OK;
}

static int take_zone(const char **at, enum timestamp_form form, int *minutes)
{
    int zone[2], sign = **at == '-' ? -1 : 1;

    *minutes = 0;
    if (**at == 'Z' || **at == 'z') {
        ++*at;
        return CG_OK;
    }
    if (**at == '\0')
        return form == TIMESTAMP_DATE_TIME ? CG_OK : CG_E_INVALID;
    if (**at != '+' && **at != '-')
        return CG_E_INVALID;
    ++*at;
    if (take_fields(at, "2:2", zone) != CG_OK || zone[0] > 23 || zone[1] > 59)
        return CG_E_INVALID;
    *minutes = sign * (zone[0] * 60 + zone[1]);
    return CG_OK;
}

int timestamp_parse(const char *text, enum timestamp_form form, int64_t *unix_ms)
{
    int f[6], ms, zone;
    struct tm tm;
    int64_t found;

    if (take_fields(&text, "4-2-2T2:2:2", f) != CG_OK || take_fraction(&text, &ms) != CG_OK ||
        take_zone(&text, form, &zone) != CG_OK || *text != '\0' || f[1] < 1 || f[1] > 12 ||
        f[2] < 1 || f[3] > 23 || f[4] > 59 || f[5] > 60)
        return CG_E_INVALID;
    tm = (struct tm){.tm_year = f[0] - 1900,
                     .tm_mon = f[1] - 1,
                     .tm_mday = f[2],
                     .tm_hour = f[3],
                     .tm_min = f[4],
                     .tm_sec = f[5] < 60 ? f[5] : 59}; /* a leap second */
    found = ((int64_t)timegm(&tm) - zone * 60) * 1000 + ms;
    if (tm.tm_mday != f[2] || found < 0)
        return CG_E_INVALID;
    *unix_ms = found;
    return CG_OK;
}
