/* Secrets: where they come from, and that nothing of them stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/secret.h"
#include "tests/unit/config_files.h"

#define PLANTED "Sw0rdfish-19"

static void test_secret_files(void **state)
{
    char why[128], *secret, *path = files_path("secrets/longest");
    (void)state;
    assert_int_equal(secret_read_file(&secret, path, why, sizeof why), CG_OK);
    assert_int_equal(strlen(secret), CG_SECRET_BYTES_MAX);
    secret_wipe(&secret);
    assert_null(secret);
    secret_wipe(&secret);
    free(path);
    files_write("secrets/return", "a\r", 2, 0600); /* no line break: part of the secret */
    path = files_path("secrets/return");
    assert_int_equal(secret_read_file(&secret, path, why, sizeof why), CG_OK);
    assert_string_equal(secret, "a\r");
    secret_wipe(&secret);
    free(path);
}

static void test_no_credentials_directory(void **state)
{
    char why[128], *secret, *before = strdup(getenv("CREDENTIALS_DIRECTORY"));
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(secret_read_credential(&secret, "supervisor", why, sizeof why), CG_E_IO);
    assert_string_equal(why, "no CREDENTIALS_DIRECTORY in the environment");
    assert_int_equal(secret_read_credential(&secret, "", why, sizeof why), CG_E_INVALID);
    setenv("CREDENTIALS_DIRECTORY", before, 1);
    free(before);
}

static void test_secret_helpers(void **state)
{
    uint8_t digest[32] = {1};
    (void)state;
    assert_int_equal(secret_equal("abc", "abc", 3), 1);
    assert_int_equal(secret_equal("abc", "abd", 3), 0);
    assert_int_equal(secret_equal("bbc", "abc", 3), 0);
    assert_int_equal(secret_equal("a", "b", 0), 1);
    assert_int_equal(secret_sha256_from_hex(digest, "00"), CG_E_INVALID);
    assert_int_equal(digest[0], 1);
}

#define HIDE 0x5a

static int hits_in(const unsigned char *bytes, size_t size, const unsigned char *hidden,
                   size_t length)
{
    const unsigned char *at = bytes, *end = bytes + size;
    int hits = 0;
    while ((size_t)(end - at) >= length &&
           (at = memchr(at, (hidden[0] ^ HIDE), (size_t)(end - at))) != NULL) {
        size_t same = 0;
        while (same < length && at + same < end && at[same] == (hidden[same] ^ HIDE))
            same++;
        hits += same == length;
        at++;
    }
    return hits;
}

/*
 * Looks for text in all memory that this process can write, as a core dump would show it. `hidden`
 * is the text with each byte changed, so that the search itself is no hit.
 */
static int memory_holds(const unsigned char *hidden, size_t length)
{
    static unsigned char buffer[1 << 18];
    char line[512], rights[8];
    unsigned long from, to;
    int hits = 0, memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_true(memory >= 0 && maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[1] != 'w' ||
            to - from > 1ul << 28) /* a sanitizer's shadow is terabytes */
            continue;
        for (unsigned long at = from; at < to; at += sizeof buffer - 256) {
            size_t want = to - at < sizeof buffer ? to - at : sizeof buffer;
            ssize_t got = pread(memory, buffer, want, (off_t)at);
            hits += got > 0 ? hits_in(buffer, (size_t)got, hidden, length) : 0;
            explicit_bzero(buffer, sizeof buffer);
        }
    }
    fclose(maps);
    close(memory);
    return hits;
}

static void test_secrets_leave_memory(void **state)
{
    char text[96];
    unsigned char hidden[96];
    const size_t length = sizeof text, head = 32; /* an allocator may overwrite the head alone */
    struct config *c;
    struct config_error error;
    (void)state;
    for (size_t i = 0; i < length; i++) {
        text[i] = (char)('a' + (i * 7 + 3) % 26);
        hidden[i] = (unsigned char)(text[i] ^ HIDE);
    }
    files_write("secrets/wiped", text, length, 0600);
    explicit_bzero(text, sizeof text);
    static const char with_secret[] = /* the closing brace is added */
        "{\"upstream\":{\"endpoints\":[{\"name\":\"a\",\"url\":\"http://a\"}]},"
        "\"sessions\":[{\"user\":\"u\",\"password\":{\"file\":\"secrets/wiped\"}}],"
        "\"outbound\":{\"url\":\"http://a\",\"user\":\"u\","
        "\"password\":{\"file\":\"secrets/wiped\"}}";
    char whole[512];
    snprintf(whole, sizeof whole, "%s}", with_secret);
    assert_int_equal(files_load_text(&c, whole, &error), CG_OK);
    assert_true(memory_holds(hidden + head, length - head) >
                0); /* the search finds what is there */
    config_unref(&c);
    assert_int_equal(memory_holds(hidden + head, length - head), 0);
    /* and the same when the load fails after the secrets were read */
    snprintf(whole, sizeof whole, "%s,\"log\":1}", with_secret);
    assert_int_equal(files_load_text(&c, whole, &error), CG_E_INVALID);
    assert_string_equal(error.pointer, "/log");
    assert_int_equal(memory_holds(hidden + head, length - head), 0);
}

static int capture_stderr(int *saved)
{
    int fd = (int)memfd_create("log", MFD_CLOEXEC);
    assert_true(fd >= 0);
    *saved = dup(STDERR_FILENO);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    return fd;
}

static void test_world_readable_secret_is_told(void **state)
{
    char text[1024], why[128], *secret, *path = files_path("secrets/open");
    int saved, fd = capture_stderr(&saved);
    (void)state;
    files_write("secrets/open", PLANTED, strlen(PLANTED), 0644);
    int rc = secret_read_file(&secret, path, why, sizeof why);
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
    assert_int_equal(rc, CG_OK);
    assert_true(length > 0);
    text[length] = '\0';
    assert_non_null(strstr(text, "\"event\":\"secretReadable\""));
    assert_non_null(strstr(text, path));
    assert_null(strstr(text, PLANTED));
    secret_wipe(&secret);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret_files),
        cmocka_unit_test(test_no_credentials_directory),
        cmocka_unit_test(test_secret_helpers),
        cmocka_unit_test(test_secrets_leave_memory),
        cmocka_unit_test(test_world_readable_secret_is_told),
    };
    return cmocka_run_group_tests_name("secret", tests, files_set_up, files_tear_down);
}
