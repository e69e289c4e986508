/* Points in time: what parses is printed, and what is printed parses as the same; what one form takes the other reads the same. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/timestamp.h"

#define LAST_MS INT64_C(253402300799999) /* the end of the year 9999 */

static int parse(const char *text, enum timestamp_form form, int64_t *ms)
{
    char printed[TIMESTAMP_BYTES];
    int64_t again;

    *ms = -1;
    if (timestamp_parse(text, form, ms) != CG_OK) {
        FUZZ_CHECK(*ms == -1);
        return 0;
    }
    FUZZ_CHECK(*ms >= 0 && *ms <= LAST_MS + 86400000);
    FUZZ_CHECK(timestamp_print(printed, *ms) == TIMESTAMP_BYTES - 1 &&
               strlen(printed) == TIMESTAMP_BYTES - 1);
    FUZZ_CHECK(timestamp_parse(printed, form, &again) == CG_OK);
    FUZZ_CHECK(again == (*ms < LAST_MS ? *ms : LAST_MS));
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *text = malloc(length + 1);
    int64_t strict, loose, printed;
    char out[TIMESTAMP_BYTES];

    FUZZ_CHECK(text != NULL);
    if (length > 0)
        memcpy(text, bytes, length);
    text[length] = '\0';
    if (parse(text, TIMESTAMP_RFC3339, &strict) && parse(text, TIMESTAMP_DATE_TIME, &loose))
        FUZZ_CHECK(strict == loose);
    parse(text, TIMESTAMP_DATE_TIME, &loose);
    if (length >= sizeof(printed)) {
        memcpy(&printed, bytes, sizeof(printed));
        FUZZ_CHECK(timestamp_print(out, printed) == TIMESTAMP_BYTES - 1);
    }
    free(text);
    return 0;
}
