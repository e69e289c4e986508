#include "cctgate/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/log.h"

/* Room for a final CRLF, and one byte more to notice what is too long. */
#define READ_BYTES_MAX (CG_SECRET_BYTES_MAX + 3)

static int fail(int rc, char *why, size_t why_size, const char *text)
{
    snprintf(why, why_size, "%s", text);
    return rc;
}

/* One LF or CRLF; a CR alone is part of the secret. */
static size_t without_line_break(const char *bytes, size_t length)
{
    if (length == 0 || bytes[length - 1] != '\n')
        return length;
    length--;
    return length > 0 && bytes[length - 1] == '\r' ? length - 1 : length;
}

static int keep(char **secret, const char *bytes, size_t length, char *why, size_t why_size)
{
    length = without_line_break(bytes, length);
    if (length == 0)
        return fail(CG_E_INVALID, why, why_size, "nothing in it");
    if (length > CG_SECRET_BYTES_MAX)
        return fail(CG_E_LIMIT, why, why_size, "more than 64 KiB");
    if (memchr(bytes, '\0', length) != NULL)
        return fail(CG_E_INVALID, why, why_size, "a NUL byte in it");
    if ((*secret = malloc(length + 1)) == NULL)
        return fail(CG_E_NOMEM, why, why_size, "no memory");
    memcpy(*secret, bytes, length);
    (*secret)[length] = '\0';
    return CG_OK;
}

int secret_read_bytes(int fd, char *buffer, size_t size, size_t *length)
{
    *length = 0;
    while (*length < size) {
        ssize_t got = read(fd, buffer + *length, size - *length);
        if (got == 0)
            break;
        if (got > 0)
            *length += (size_t)got;
        else if (errno != EINTR)
            return CG_E_IO;
    }
    return CG_OK;
}

static int check_file(int fd, const char *path, char *why, size_t why_size)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return fail(CG_E_IO, why, why_size, strerror(errno));
    if (!S_ISREG(about.st_mode))
        return fail(CG_E_IO, why, why_size, S_ISDIR(about.st_mode) ? "a directory" : "no file");
    if ((about.st_mode & S_IROTH) != 0)
        log_write(LOG_LEVEL_WARNING, "secretReadable", "Everybody may read this secret",
                  LOG_S("file", path));
    return CG_OK;
}

int secret_read_file(char **secret, const char *path, char *why, size_t why_size)
{
    char *buffer = NULL;
    size_t length = 0;
    *secret = NULL;
    /* not blocking: a FIFO in the place of a file would hold up the start for ever */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail(CG_E_IO, why, why_size, strerror(errno));
    int rc = check_file(fd, path, why, why_size);
    if (rc != CG_OK)
        goto out;
    if ((buffer = malloc(READ_BYTES_MAX)) == NULL) {
        rc = fail(CG_E_NOMEM, why, why_size, "no memory");
        goto out;
    }
    rc = secret_read_bytes(fd, buffer, READ_BYTES_MAX, &length);
    if (rc != CG_OK)
        fail(rc, why, why_size, strerror(errno));
    else
        rc = keep(secret, buffer, length, why, why_size);
    explicit_bzero(buffer, length);
out:
    free(buffer);
    close(fd);
    return rc;
}

int secret_read_env(char **secret, const char *name, char *why, size_t why_size)
{
    const char *value = getenv(name);
    *secret = NULL;
    if (value == NULL)
        return fail(CG_E_IO, why, why_size, "no such variable");
    return keep(secret, value, strnlen(value, READ_BYTES_MAX), why, why_size);
}

int secret_read_credential(char **secret, const char *name, char *why, size_t why_size)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    char *path = NULL;
    *secret = NULL;
    if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0)
        return fail(CG_E_INVALID, why, why_size, "no credential's name");
    if (directory == NULL || directory[0] == '\0')
        return fail(CG_E_IO, why, why_size, "no CREDENTIALS_DIRECTORY in the environment");
    if (asprintf(&path, "%s/%s", directory, name) < 0)
        return fail(CG_E_NOMEM, why, why_size, "no memory");
    int rc = secret_read_file(secret, path, why, why_size);
    free(path);
    return rc;
}

void secret_wipe(char **secret)
{
    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

int secret_equal(const void *left, const void *right, size_t size)
{
    const volatile uint8_t *a = left, *b = right;
    unsigned difference = 0;
    for (size_t i = 0; i < size; i++)
        difference |= (unsigned)(a[i] ^ b[i]);
    return difference == 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int secret_sha256_from_hex(uint8_t digest[32], const char *hex)
{
    uint8_t bytes[32];
    if (strnlen(hex, 65) != 64)
        return CG_E_INVALID;
    for (size_t i = 0; i < 32; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return CG_E_INVALID;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(digest, bytes, sizeof bytes);
    return CG_OK;
}
