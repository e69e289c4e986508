#include "cache/lockfile.h"

#include "cctgate/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define TEXT_BYTES                                                                                 \
    128 /* of fixed length, so that one write replaces all of it; far below a sector */
#define BOOT_BYTES 40

struct lock_text {
    int pid, clean;
    uint64_t epoch;
    char boot[BOOT_BYTES];
};

static void read_boot(char boot[BOOT_BYTES])
{
    snprintf(boot, BOOT_BYTES, "unknown");
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    char text[BOOT_BYTES];
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (length <= 0)
        return;
    text[length] = '\0';
    text[strcspn(text, " \n")] = '\0';
    if (text[0] != '\0')
        memcpy(boot, text, strlen(text) + 1);
}

static void render(const struct lock_text *text, char out[TEXT_BYTES + 1])
{
    char line[TEXT_BYTES];
    snprintf(line, sizeof(line), "cctgate lock 1 pid %d epoch %llu boot %s clean %d", text->pid,
             (unsigned long long)text->epoch, text->boot, text->clean);
    snprintf(out, TEXT_BYTES + 1, "%-*s\n", TEXT_BYTES - 1, line);
}

/* Believed only when writing it again gives the same bytes. */
static int parse(const char *in, struct lock_text *text)
{
    unsigned long long epoch;
    char again[TEXT_BYTES + 1];
    if (sscanf(in, "cctgate lock 1 pid %9d epoch %19llu boot %39s clean %1d", &text->pid, &epoch,
               text->boot, &text->clean) != 4)
        return 0;
    text->epoch = epoch;
    render(text, again);
    return strcmp(in, again) == 0;
}

static int read_text(int fd, struct lock_text *text)
{
    char in[TEXT_BYTES + 1];
    ssize_t length = pread(fd, in, TEXT_BYTES, 0);
    if (length != TEXT_BYTES)
        return 0;
    in[TEXT_BYTES] = '\0';
    return parse(in, text);
}

static int fail(struct lockfile *lock, int error)
{
    close(lock->fd);
    lock->fd = -1;
    errno = error;
    return CG_E_IO;
}

int lockfile_take(struct lockfile *lock, const char *path)
{
    struct lock_text text;
    *lock = (struct lockfile){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (lock->fd < 0)
        return CG_E_IO;
    int known = 0;
    if (flock(lock->fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        known = read_text(lock->fd, &text);
        lock->holder = known ? text.pid : 0;
        return fail(lock, error);
    }
    known = read_text(lock->fd, &text);
    if (known) {
        char boot[BOOT_BYTES];
        read_boot(boot);
        lock->epoch = text.epoch;
        lock->cache_believable =
            text.clean || (strcmp(boot, text.boot) == 0 && strcmp(boot, "unknown") != 0);
    }
    return CG_OK;
}

int lockfile_write(struct lockfile *lock, uint64_t epoch, int clean)
{
    struct lock_text text = {.pid = (int)getpid(), .epoch = epoch, .clean = clean};
    char out[TEXT_BYTES + 1];
    read_boot(text.boot);
    render(&text, out);
    ssize_t written = pwrite(lock->fd, out, TEXT_BYTES, 0);
    if (written != TEXT_BYTES) {
        if (written >= 0)
            errno = ENOSPC;
        return CG_E_IO;
    }
    return fdatasync(lock->fd) == 0 ? CG_OK : CG_E_IO;
}

void lockfile_release(struct lockfile *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = -1;
}
