#include "cache/lockfile.h"

#include "cctgate/clock.h"
#include "cctgate/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define TEXT_BYTES                                                                                 \
    192 /* of fixed length, so that one write replaces all of it; far below a sector */
#define OLD_TEXT_BYTES 128 /* as it was, without the clock */
#define BOOT_BYTES     40

struct lock_text {
    int pid, clean;
    uint64_t epoch;
    char boot[BOOT_BYTES];
    int has_clock;
    int64_t ahead_ms,
        seen_ms; /* how far the steady clock is ahead of boot; what it said when this was written */
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
    char line[TEXT_BYTES], clock[64] = "";
    int length = text->has_clock ? TEXT_BYTES : OLD_TEXT_BYTES;
    if (text->has_clock)
        snprintf(clock, sizeof(clock), " ahead %lld seen %lld", (long long)text->ahead_ms,
                 (long long)text->seen_ms);
    snprintf(line, sizeof(line), "cctgate lock 1 pid %d epoch %llu boot %s clean %d%s", text->pid,
             (unsigned long long)text->epoch, text->boot, text->clean, clock);
    snprintf(out, TEXT_BYTES + 1, "%-*s\n", length - 1, line);
}

/* Believed only when writing it again gives the same bytes. */
static int parse(const char *in, struct lock_text *text)
{
    unsigned long long epoch;
    long long ahead = 0, seen = 0;
    char again[TEXT_BYTES + 1];
    int found = sscanf(
        in, "cctgate lock 1 pid %9d epoch %19llu boot %39s clean %1d ahead %18lld seen %18lld",
        &text->pid, &epoch, text->boot, &text->clean, &ahead, &seen);
    if (found != 4 && found != 6)
        return 0;
    text->epoch = epoch;
    text->has_clock = found == 6;
    text->ahead_ms = ahead;
    text->seen_ms = seen;
    render(text, again);
    return strcmp(in, again) == 0;
}

static int read_text(int fd, struct lock_text *text)
{
    char in[TEXT_BYTES + 1];
    ssize_t length = pread(fd, in, TEXT_BYTES, 0);
    if (length != TEXT_BYTES && length != OLD_TEXT_BYTES)
        return 0;
    in[length] = '\0';
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
        int same_boot = strcmp(boot, text.boot) == 0 && strcmp(boot, "unknown") != 0;
        lock->cache_believable = text.clean || same_boot;
        if (text.has_clock && same_boot)
            clock_steady_resume(text.ahead_ms);
        else if (text.has_clock)
            clock_steady_not_before(text.seen_ms);
    }
    return CG_OK;
}

int lockfile_write(struct lockfile *lock, uint64_t epoch, int clean)
{
    struct lock_text text = {.pid = (int)getpid(),
                             .epoch = epoch,
                             .clean = clean,
                             .has_clock = 1,
                             .ahead_ms = clock_steady_ahead_ms(),
                             .seen_ms = clock_steady_ms()};
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
