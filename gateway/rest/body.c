#include "gateway/rest/body.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/memory.h"

/* jansson descends by recursion: how deep is found out before it is asked. */
static int is_too_deep(const char *text, size_t length)
{
    size_t i;
    int depth = 0, in_string = 0;

    for (i = 0; i < length; ++i) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_string = 0;
        } else if (c == '"') {
            in_string = 1;
        } else if (c == '{' || c == '[') {
            if (++depth > CG_JSON_DEPTH_MAX)
                return 1;
        } else if (c == '}' || c == ']') {
            --depth;
        }
    }
    return 0;
}

int body_parse(json_t **json, const char *text, size_t length, const char *what, char *detail,
               size_t detail_size)
{
    json_error_t at;

    *json = NULL;
    if (is_too_deep(text, length)) {
        snprintf(detail, detail_size, "%s is nested deeper than %d levels", what,
                 CG_JSON_DEPTH_MAX);
        return CG_E_INVALID;
    }
    memory_watch();
    *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &at);
    if (memory_ran_out()) {
        json_decref(*json);
        *json = NULL;
        snprintf(detail, detail_size, "%s needs more memory than there is", what);
        return CG_E_NOMEM;
    }
    if (*json != NULL)
        return CG_OK;
    snprintf(detail, detail_size, "%s is not JSON: line %d, column %d", what, at.line, at.column);
    return CG_E_INVALID;
}

void body_wipe(const char *text, size_t length)
{
    if (length > 0)
        explicit_bzero((void *)(uintptr_t)text, length);
}

/* As deep as body_parse lets it be. */
void body_wipe_json(json_t *json)
{
    const char *name;
    json_t *value;
    size_t i;

    if (json_is_string(json))
        body_wipe(json_string_value(json), json_string_length(json));
    else if (json_is_array(json))
        json_array_foreach(json, i, value) body_wipe_json(value);
    else if (json_is_object(json))
        json_object_foreach(json, name, value) body_wipe_json(value);
}
