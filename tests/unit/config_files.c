#include "tests/unit/config_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"

char files_directory[] = "/tmp/cctgate-config-XXXXXX";
json_t *files_full, *files_schema;

char *files_path(const char *name)
{
    char *path = config_resolve(files_directory, name);
    assert_non_null(path);
    return path;
}

void files_write(const char *name, const char *bytes, size_t length, mode_t mode)
{
    char *path = files_path(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    free(path);
}

void files_write_text(const char *name, const char *text)
{
    files_write(name, text, strlen(text), 0600);
}

void files_make_directory(const char *name)
{
    char *path = files_path(name);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
}

static void make_secrets(void)
{
    char *path = files_path("secrets/fifo");
    char *text = calloc(1, CG_SECRET_BYTES_MAX + 3);
    assert_non_null(text);
    memset(text, 'x', CG_SECRET_BYTES_MAX + 1);
    files_write_text("secrets/agent", "first secret\n");
    files_write_text("secrets/outbound", " third\r\n\r\n");
    files_write_text("secrets/empty", "\n");
    files_write("secrets/nul", "a\0b", 3, 0600);
    files_write_text("secrets/long", text);
    text[CG_SECRET_BYTES_MAX] = '\n';
    files_write_text("secrets/longest", text);
    assert_int_equal(mkfifo(path, 0600), 0);
    files_write_text("credentials/supervisor", "fourth");
    free(text);
    free(path);
}

json_t *files_read_json(const char *path)
{
    json_error_t error;
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        fail_msg("%s: line %d: %s", path, error.line, error.text);
    return json;
}

int files_set_up(void **state)
{
    static const char *const names[] = {"secrets", "credentials", "tls", "wsdl"};
    (void)state;
    assert_non_null(mkdtemp(files_directory));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        files_make_directory(names[i]);
    make_secrets();
    files_write_text("tls/cert.pem", "x");
    files_write_text("tls/key.pem", "x");
    files_write_text("tls/ca.pem", "x");
    files_write_text("jwks.json", "{}");
    char *credentials = files_path("credentials");
    setenv("CREDENTIALS_DIRECTORY", credentials, 1);
    setenv("CCTGATE_TEST_PASSWORD", "second", 1);
    setenv("CCTGATE_TEST_EMPTY", "", 1);
    free(credentials);
    files_schema = files_read_json("conf/cctgate.schema.json");
    files_full = files_read_json("tests/unit/config/full.json");
    return 0;
}

static int remove_one(const char *path, const struct stat *about, int flag, struct FTW *place)
{
    (void)about;
    (void)flag;
    (void)place;
    return remove(path);
}

int files_tear_down(void **state)
{
    (void)state;
    json_decref(files_schema);
    json_decref(files_full);
    return nftw(files_directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int files_load_text(struct config **config, const char *text, struct config_error *error)
{
    files_write_text("test.json", text);
    char *path = files_path("test.json");
    int rc = config_load(config, path, error);
    free(path);
    return rc;
}

int files_load_json(struct config **config, const json_t *json, struct config_error *error)
{
    char *text = json_dumps(json, JSON_ENCODE_ANY);
    assert_non_null(text);
    int rc = files_load_text(config, text, error);
    free(text);
    return rc;
}

struct config *files_must_load(const json_t *json)
{
    struct config *config;
    struct config_error error;
    int rc = files_load_json(&config, json, &error);
    if (rc != CG_OK)
        fail_msg("%s: %s", error.pointer, error.text);
    assert_string_equal(error.text, "");
    return config;
}

void files_assert_path(const char *path, const char *name)
{
    char *expected = files_path(name);
    assert_string_equal(path, expected);
    free(expected);
}

/* Finds what a JSON pointer's last segment is in; `last` gets the segment. */
static json_t *find_parent(json_t *root, const char *pointer, char *last, size_t size)
{
    json_t *at = root;
    for (;;) {
        size_t length = 0;
        for (pointer++; *pointer != '\0' && *pointer != '/' && length + 1 < size; pointer++) {
            char c = *pointer;
            if (c == '~')
                c = *++pointer == '0' ? '~' : '/';
            last[length++] = c;
        }
        last[length] = '\0';
        if (*pointer == '\0')
            return at;
        at = json_is_array(at) ? json_array_get(at, (size_t)strtoul(last, NULL, 10))
                               : json_object_get(at, last);
        assert_non_null(at);
    }
}

void files_edit(json_t *root, const char *pointer, json_t *value)
{
    char last[128];
    json_t *parent = find_parent(root, pointer, last, sizeof last);
    size_t index = (size_t)strtoul(last, NULL, 10);
    int rc;
    if (json_is_array(parent))
        rc =
            value != NULL ? json_array_set(parent, index, value) : json_array_remove(parent, index);
    else
        rc = value != NULL ? json_object_set(parent, last, value) : json_object_del(parent, last);
    assert_int_equal(rc, 0);
}
