/*
 * The reader: obeys the tables, knows no setting. It calls itself for objects in objects, as deep
 * as the tables are (five), however deep a file is.
 */
#include "gateway/config_internal.h"

#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/secret.h"

typedef int (*read_cb)(struct config_reader *, const struct config_row *, const json_t *, char *);

static int read_object(struct config_reader *reader, const struct config_row *rows,
                       const json_t *json, char *base);

static int no_memory(struct config_reader *reader)
{
    return config_refuse(reader, CG_E_NOMEM, "no memory");
}

static void store_pointer(char *base, size_t offset, void *pointer)
{
    memcpy(base + offset, &pointer, sizeof pointer);
}

static void *load_pointer(const char *base, size_t offset)
{
    void *pointer;
    memcpy(&pointer, base + offset, sizeof pointer);
    return pointer;
}

static void store_count(char *base, size_t offset, size_t count)
{
    memcpy(base + offset, &count, sizeof count);
}

static void store_int(char *base, size_t offset, int value)
{
    memcpy(base + offset, &value, sizeof value);
}

char *config_resolve(const char *directory, const char *path)
{
    char *whole = NULL;
    if (path[0] == '/')
        return strdup(path);
    return asprintf(&whole, "%s/%s", directory, path) < 0 ? NULL : whole;
}

static int matches(const char *text, const char *pattern)
{
    regex_t regex;
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return 0;
    int rc = regexec(&regex, text, 0, NULL, 0);
    regfree(&regex);
    return rc == 0;
}

/* Characters, not bytes: a JSON Schema counts so too. -1 for a text with control characters. */
static int64_t characters(const char *text)
{
    int64_t count = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f)
            return -1;
        count += (*c & 0xc0) != 0x80;
    }
    return count;
}

static int fits(const struct config_row *row, const json_t *json, int64_t least, int64_t most)
{
    const char *text = json_string_value(json);
    if (text == NULL)
        return 0;
    int64_t count = characters(text);
    return count >= least && count <= most &&
           (row->pattern == NULL || matches(text, row->pattern)) &&
           (row->check == NULL || row->check(text));
}

static int index_of(const char *const *choices, const char *text)
{
    for (int i = 0; text != NULL && choices[i] != NULL; i++)
        if (strcmp(choices[i], text) == 0)
            return i;
    return -1;
}

static int read_ignored(struct config_reader *reader, const struct config_row *row,
                        const json_t *json, char *base)
{
    (void)base;
    return json_is_string(json) ? CG_OK : config_unexpected(reader, row, json);
}

static int read_integer(struct config_reader *reader, const struct config_row *row,
                        const json_t *json, char *base)
{
    int64_t value = json_integer_value(json);
    if (!json_is_integer(json) || value < row->minimum || value > row->maximum)
        return config_unexpected(reader, row, json);
    uint64_t wide = (uint64_t)value * (row->scale != 0 ? row->scale : 1);
    unsigned narrow = (unsigned)wide; /* the tables' ranges fit; a test walks them */
    if (row->size == sizeof wide)
        memcpy(base + row->offset, &wide, sizeof wide);
    else
        memcpy(base + row->offset, &narrow, sizeof narrow);
    return CG_OK;
}

static int read_boolean(struct config_reader *reader, const struct config_row *row,
                        const json_t *json, char *base)
{
    if (!json_is_boolean(json))
        return config_unexpected(reader, row, json);
    store_int(base, row->offset, json_is_true(json));
    return CG_OK;
}

static int keep_text(struct config_reader *reader, const struct config_row *row, char *base,
                     char *text)
{
    if (text == NULL)
        return no_memory(reader);
    store_pointer(base, row->offset, text);
    return CG_OK;
}

static int read_string(struct config_reader *reader, const struct config_row *row,
                       const json_t *json, char *base)
{
    if (!fits(row, json, row->minimum, row->maximum))
        return config_unexpected(reader, row, json);
    return keep_text(reader, row, base, strdup(json_string_value(json)));
}

static int read_url(struct config_reader *reader, const struct config_row *row, const json_t *json,
                    char *base)
{
    int rc = read_string(reader, row, json, base);
    if (rc != CG_OK)
        return rc;
    char *url = load_pointer(base, row->offset);
    size_t length = strlen(url);
    while (url[length - 1] == '/')
        url[--length] = '\0';
    return CG_OK;
}

static int check_readable(struct config_reader *reader, const char *path)
{
    char quoted[160], why[128];
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int fine = fd >= 0 && fstat(fd, &about) == 0;
    if (!fine)
        snprintf(why, sizeof why, "%m");
    if (fd >= 0)
        close(fd);
    config_quote(quoted, sizeof quoted, path);
    if (!fine)
        return config_refuse(reader, CG_E_IO, "expected a readable file, found %s: %s", quoted,
                             why);
    if (S_ISDIR(about.st_mode))
        return config_refuse(reader, CG_E_IO, "expected a readable file, found %s: a directory",
                             quoted);
    return CG_OK;
}

static int read_path(struct config_reader *reader, const struct config_row *row, const json_t *json,
                     char *base)
{
    if (!fits(row, json, row->minimum, row->maximum))
        return config_unexpected(reader, row, json);
    char *path = config_resolve(reader->directory, json_string_value(json));
    int rc = keep_text(reader, row, base, path);
    if (rc == CG_OK && (row->flags & CONFIG_READABLE) != 0)
        rc = check_readable(reader, path);
    return rc;
}

static int read_choice(struct config_reader *reader, const struct config_row *row,
                       const json_t *json, char *base)
{
    int index = index_of(row->choices, json_string_value(json));
    if (index < 0)
        return config_unexpected(reader, row, json);
    return keep_text(reader, row, base, strdup(row->choices[index]));
}

static int read_choice_index(struct config_reader *reader, const struct config_row *row,
                             const json_t *json, char *base)
{
    int index = index_of(row->choices, json_string_value(json));
    if (index < 0)
        return config_unexpected(reader, row, json);
    store_int(base, row->offset, index);
    return CG_OK;
}

static int check_array(struct config_reader *reader, const struct config_row *row,
                       const json_t *json)
{
    int64_t count = (int64_t)json_array_size(json);
    if (!json_is_array(json) || count < row->minimum || count > row->maximum)
        return config_unexpected(reader, row, json);
    return CG_OK;
}

static int read_choices(struct config_reader *reader, const struct config_row *row,
                        const json_t *json, char *base)
{
    unsigned bits = 0;
    int rc = check_array(reader, row, json);
    for (size_t i = 0; rc == CG_OK && i < json_array_size(json); i++) {
        size_t mark = config_enter_item(reader, i);
        int index = index_of(row->choices, json_string_value(json_array_get(json, i)));
        if (index < 0)
            rc = config_unexpected_item(reader, row, json_array_get(json, i));
        else if ((bits & 1u << index) != 0)
            rc = config_refuse(reader, CG_E_INVALID, "expected each once, found \"%s\" again",
                               row->choices[index]);
        else
            bits |= 1u << index;
        config_leave(reader, mark);
    }
    memcpy(base + row->offset, &bits, sizeof bits);
    return rc;
}

/*
 * Puts an array of zeroed items in place before they are read, so that what is half read can be
 * freed.
 */
static int new_array(struct config_reader *reader, const struct config_row *row, char *base,
                     size_t count, size_t size)
{
    void *items = calloc(count > 0 ? count : 1, size);
    if (items == NULL)
        return no_memory(reader);
    store_pointer(base, row->offset, items);
    store_count(base, row->count_offset, count);
    return CG_OK;
}

static int read_strings(struct config_reader *reader, const struct config_row *row,
                        const json_t *json, char *base)
{
    int rc = check_array(reader, row, json);
    if (rc == CG_OK)
        rc = new_array(reader, row, base, json_array_size(json), sizeof(char *));
    for (size_t i = 0; rc == CG_OK && i < json_array_size(json); i++) {
        const json_t *item = json_array_get(json, i);
        char **strings = load_pointer(base, row->offset);
        size_t mark = config_enter_item(reader, i);
        if (!fits(row, item, 1, CONFIG_STRING_MAX))
            rc = config_unexpected_item(reader, row, item);
        else if ((strings[i] = strdup(json_string_value(item))) == NULL)
            rc = no_memory(reader);
        config_leave(reader, mark);
    }
    return rc;
}

static int read_sha256(struct config_reader *reader, const struct config_row *row,
                       const json_t *json, char *base)
{
    const char *text = json_string_value(json);
    if (text == NULL || secret_sha256_from_hex((uint8_t *)base + row->offset, text) != CG_OK)
        return config_unexpected(reader, row, json);
    return CG_OK;
}

static int is_comment(const char *name)
{
    return strncmp(name, "//", 2) == 0;
}

/*
 * The one member that says where the secret is: its index in config_secret_sources, -1 unless
 * exactly one.
 */
static int secret_source(const json_t *json, const char **value)
{
    const char *name;
    json_t *member;
    int found = -1;
    json_object_foreach((json_t *)json, name, member)
    {
        if (is_comment(name))
            continue;
        int index = index_of(config_secret_sources, name);
        if (index < 0 || found >= 0)
            return -1;
        found = index;
        *value = json_string_value(member);
    }
    return found;
}

static int fetch_secret(struct config_reader *reader, int source, const char *value, char **secret,
                        char *why, size_t why_size)
{
    if (source == 1)
        return secret_read_env(secret, value, why, why_size);
    if (source == 2)
        return secret_read_credential(secret, value, why, why_size);
    char *path = config_resolve(reader->directory, value);
    if (path == NULL)
        return no_memory(reader);
    int rc = secret_read_file(secret, path, why, why_size);
    free(path);
    return rc;
}

static int read_secret(struct config_reader *reader, const struct config_row *row,
                       const json_t *json, char *base)
{
    static const char *const words[] = {"a readable file with the secret",
                                        "an environment variable with the secret",
                                        "a systemd credential with the secret"};
    const char *value = NULL;
    char *secret = NULL, quoted[160], why[128] = "";
    int source = json_is_object(json) ? secret_source(json, &value) : -1;
    if (source < 0)
        return config_unexpected(reader, row, json);
    size_t mark = config_enter(reader, config_secret_sources[source]);
    int rc;
    if (value == NULL || characters(value) < 1 || characters(value) > CONFIG_STRING_MAX) {
        rc = config_refuse(reader, CG_E_INVALID, "expected the name of %s, found no such string",
                           words[source]);
    } else if ((rc = fetch_secret(reader, source, value, &secret, why, sizeof why)) == CG_OK) {
        store_pointer(base, row->offset, secret);
    } else if (rc == CG_E_NOMEM) {
        no_memory(reader);
    } else {
        rc = rc == CG_E_LIMIT ? CG_E_INVALID : rc;
        config_quote(quoted, sizeof quoted, value);
        config_refuse(reader, rc, "expected %s, found %s: %s", words[source], quoted, why);
    }
    config_leave(reader, mark);
    return rc;
}

static int read_nested(struct config_reader *reader, const struct config_row *row,
                       const json_t *json, char *base)
{
    if (!json_is_object(json))
        return config_unexpected(reader, row, json);
    if (row->size != 0)
        store_int(base, row->offset, 1);
    return read_object(reader, row->rows, json, base);
}

static int read_objects(struct config_reader *reader, const struct config_row *row,
                        const json_t *json, char *base)
{
    static const struct config_row one = {.name = "", .kind = CONFIG_OBJECT};
    int rc = check_array(reader, row, json);
    if (rc == CG_OK)
        rc = new_array(reader, row, base, json_array_size(json), row->item_size);
    for (size_t i = 0; rc == CG_OK && i < json_array_size(json); i++) {
        const json_t *item = json_array_get(json, i);
        char *items = load_pointer(base, row->offset);
        size_t mark = config_enter_item(reader, i);
        rc = json_is_object(item) ? read_object(reader, row->rows, item, items + i * row->item_size)
                                  : config_unexpected(reader, &one, item);
        config_leave(reader, mark);
    }
    return rc;
}

static const read_cb readers[] = {
    [CONFIG_IGNORED] = read_ignored, [CONFIG_INTEGER] = read_integer,
    [CONFIG_BOOLEAN] = read_boolean, [CONFIG_STRING] = read_string,
    [CONFIG_URL] = read_url,         [CONFIG_PATH] = read_path,
    [CONFIG_CHOICE] = read_choice,   [CONFIG_CHOICE_INDEX] = read_choice_index,
    [CONFIG_CHOICES] = read_choices, [CONFIG_STRINGS] = read_strings,
    [CONFIG_SHA256] = read_sha256,   [CONFIG_SECRET] = read_secret,
    [CONFIG_OBJECT] = read_nested,   [CONFIG_OBJECTS] = read_objects,
};

static int read_row(struct config_reader *reader, const struct config_row *row,
                    const json_t *object, char *base)
{
    json_t *fallback = NULL;
    const json_t *json = json_object_get(object, row->name);
    if (json == NULL && (row->flags & CONFIG_REQUIRED) != 0)
        return config_unexpected(reader, row, NULL);
    if (json == NULL && row->fallback == NULL)
        return CG_OK;
    if (json == NULL && (fallback = json_loads(row->fallback, JSON_DECODE_ANY, NULL)) == NULL)
        return no_memory(reader);
    int rc = readers[row->kind](reader, row, json != NULL ? json : fallback, base);
    json_decref(fallback);
    return rc;
}

static int refuse_unknown(struct config_reader *reader, const struct config_row *rows,
                          const json_t *object)
{
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)object, name, member)
    {
        const struct config_row *row = rows;
        while (row->name != NULL && strcmp(row->name, name) != 0)
            row++;
        if (row->name == NULL && !is_comment(name))
            return config_unknown(reader, rows, name);
    }
    return CG_OK;
}

static int read_object(struct config_reader *reader, const struct config_row *rows,
                       const json_t *json, char *base)
{
    int rc = refuse_unknown(reader, rows, json);
    for (; rc == CG_OK && rows->name != NULL; rows++) {
        size_t mark = config_enter(reader, rows->name);
        rc = read_row(reader, rows, json, base);
        config_leave(reader, mark);
    }
    return rc;
}

int config_read(struct config_reader *reader, const json_t *root, struct config *config)
{
    static const struct config_row whole = {.name = "", .kind = CONFIG_OBJECT, .rows = config_rows};
    return read_nested(reader, &whole, root, (char *)config);
}

static void free_items(const struct config_row *row, char *base)
{
    char *items = load_pointer(base, row->offset);
    size_t count = 0;
    memcpy(&count, base + row->count_offset, sizeof count);
    for (size_t i = 0; i < count; i++) {
        if (row->kind == CONFIG_STRINGS)
            free(load_pointer(items, i * sizeof(char *)));
        else
            config_free_rows(row->rows, items + i * row->item_size);
    }
    free(items);
}

static void free_secret(const struct config_row *row, const char *base)
{
    char *secret = load_pointer(base, row->offset);
    secret_wipe(&secret);
}

void config_free_rows(const struct config_row *rows, void *base)
{
    for (const struct config_row *row = rows; row->name != NULL; row++) {
        switch (row->kind) {
        case CONFIG_STRING:
        case CONFIG_URL:
        case CONFIG_PATH:
        case CONFIG_CHOICE:
            free(load_pointer(base, row->offset));
            break;
        case CONFIG_SECRET:
            free_secret(row, base);
            break;
        case CONFIG_OBJECT:
            config_free_rows(row->rows, base);
            break;
        case CONFIG_STRINGS:
        case CONFIG_OBJECTS:
            free_items(row, base);
            break;
        default:
            break;
        }
    }
}
