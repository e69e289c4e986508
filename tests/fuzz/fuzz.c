#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"
#include "cctgate/xml.h"

void fuzz_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

void fuzz_init(void)
{
    static int done;

    if (done)
        return;
    done = 1;
    json_object_seed(1);
    xml_init();
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
}

void fuzz_split(struct fuzz_input *input, const uint8_t *bytes, size_t length)
{
    const char *text = length > 0 ? (const char *)bytes : "";
    const char *end = length > 0 ? memchr(text, '\n', length) : NULL;
    size_t line = end != NULL ? (size_t)(end - text) : length;

    input->rest = end != NULL ? end + 1 : text + length;
    input->rest_length = end != NULL ? length - line - 1 : 0;
    if (line >= sizeof(input->line))
        line = sizeof(input->line) - 1;
    memcpy(input->line, text, line);
    input->line[line] = '\0';
}

size_t fuzz_choice(const char *text, size_t count)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *text != '\0'; ++text)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return (size_t)(hash % count);
}

const struct contract *fuzz_contract(void)
{
    static struct contract *contract;
    char error[CG_ERROR_TEXT_MAX] = "";

    fuzz_init();
    if (contract == NULL &&
        contract_load(&contract, "conf/contract", error, sizeof(error)) != CG_OK) {
        fprintf(stderr, "conf/contract: %s (run it at the top of the tree)\n", error);
        exit(1);
    }
    return contract;
}

const struct contract_operation *fuzz_operation(const char *text)
{
    const struct contract *contract = fuzz_contract();
    const char *slash = strchr(text, '/');
    const struct contract_operation *op = NULL;
    const struct contract_service *service;

    if (slash != NULL) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)(slash - text), text);
        op = contract_find(contract, name, slash + 1);
    }
    if (op != NULL)
        return op;
    service = contract_service_at(contract, fuzz_choice(text, contract_num_services(contract)));
    return &service->operations[fuzz_choice(text, service->num_operations)];
}

static int is_nothing(const json_t *value)
{
    return value == NULL || (json_is_array(value) && json_array_size(value) == 0);
}

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *next_word(const char *at)
{
    while (is_space(*at))
        ++at;
    return at;
}

static int same_words(const char *left, const char *right)
{
    left = next_word(left);
    right = next_word(right);
    while (*left != '\0' && *right != '\0') {
        if (is_space(*left) != is_space(*right) || (!is_space(*left) && *left != *right))
            return 0;
        left = is_space(*left) ? next_word(left) : left + 1;
        right = is_space(*right) ? next_word(right) : right + 1;
    }
    return *next_word(left) == '\0' && *next_word(right) == '\0';
}

static int compare(const json_t *left, const json_t *right, int loosely);

static int same_object(const json_t *left, const json_t *right, int loosely)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)left, name, value)
    {
        if (!compare(value, json_object_get(right, name), loosely))
            return 0;
    }
    json_object_foreach((json_t *)right, name, value)
    {
        if (json_object_get(left, name) == NULL && !compare(NULL, value, loosely))
            return 0;
    }
    return 1;
}

static int same_array(const json_t *left, const json_t *right, int loosely)
{
    size_t i;

    if (json_array_size(left) != json_array_size(right))
        return 0;
    for (i = 0; i < json_array_size(left); ++i)
        if (!compare(json_array_get(left, i), json_array_get(right, i), loosely))
            return 0;
    return 1;
}

/* Text with attributes that are not there. */
static const json_t *bare(const json_t *value)
{
    const json_t *text = json_object_get(value, "#text");
    return text != NULL && json_object_size(value) == 1 ? text : value;
}

static int is_no_text(const json_t *value)
{
    return value == NULL || (json_is_string(value) && json_string_length(value) == 0);
}

static int compare(const json_t *left, const json_t *right, int loosely)
{
    if (loosely) {
        left = bare(left);
        right = bare(right);
        if (is_no_text(left) && is_no_text(right))
            return 1;
        if (json_is_string(left) && json_is_string(right))
            return same_words(json_string_value(left), json_string_value(right));
    }
    if (is_nothing(left) || is_nothing(right))
        return is_nothing(left) && is_nothing(right);
    if (json_is_object(left) && json_is_object(right))
        return same_object(left, right, loosely);
    if (json_is_array(left) && json_is_array(right))
        return same_array(left, right, loosely);
    return json_equal(left, right);
}

int fuzz_same(const json_t *left, const json_t *right)
{
    return compare(left, right, 0);
}

int fuzz_alike(const json_t *left, const json_t *right)
{
    return compare(left, right, 1);
}

static char folder[PATH_MAX];

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status, (void)flag, (void)ftw;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_folder(void)
{
    const char *below = getenv("TMPDIR");

    if (folder[0] != '\0')
        return folder;
    if (below == NULL)
        below = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof(folder), "%s/cctgate-fuzz-XXXXXX", below);
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        exit(1);
    }
    atexit(remove_folder);
    return folder;
}

void fuzz_write(const char *path, const void *bytes, size_t length)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

    if (fd < 0 || (length > 0 && write(fd, bytes, length) != (ssize_t)length)) {
        perror(path);
        exit(1);
    }
    close(fd);
}
