#include "cache/aside.h"

#include "cctgate/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECONDS_TRIED_MAX 1000
#define REMOVE_DEPTH_MAX  4
#define NAMES_LISTED_MAX  256

static int is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Best effort: what cannot be deleted stays. */
static void remove_tree(int parent, const char *name, unsigned depth)
{
    if (unlinkat(parent, name, 0) == 0 || depth == REMOVE_DEPTH_MAX)
        return;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (!is_dot(entry->d_name))
            remove_tree(fd, entry->d_name, depth + 1);
    }
    closedir(folder);
    unlinkat(parent, name, AT_REMOVEDIR);
}

/* The time in a name such as "cache.aside-1700000000", or -1. */
static int64_t time_in_name(const char *entry, const char *name)
{
    static const char infix[] = ".aside-";
    size_t length = strlen(name);
    if (strncmp(entry, name, length) != 0 || strncmp(entry + length, infix, sizeof(infix) - 1) != 0)
        return -1;
    const char *digits = entry + length + sizeof(infix) - 1;
    size_t count = strspn(digits, "0123456789");
    return count == 0 || count > 18 || digits[count] != '\0' ? -1 : strtoll(digits, NULL, 10);
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static void delete_old(int parent, const char *name)
{
    int64_t times[NAMES_LISTED_MAX];
    size_t count = 0;
    int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *entry; count < NAMES_LISTED_MAX && (entry = readdir(folder)) != NULL;) {
        int64_t time = time_in_name(entry->d_name, name);
        if (time >= 0)
            times[count++] = time;
    }
    closedir(folder);
    qsort(times, count, sizeof(*times), newest_first);
    for (size_t i = ASIDE_KEPT_MAX; i < count; i++) {
        char path[NAME_MAX + 1];
        snprintf(path, sizeof(path), "%s.aside-%lld", name, (long long)times[i]);
        remove_tree(parent, path, 0);
    }
}

static int rename_away(int parent, const char *name, int64_t now_s)
{
    struct stat status;
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? CG_OK : CG_E_IO;
    for (int64_t time = now_s; time < now_s + SECONDS_TRIED_MAX; time++) {
        char path[NAME_MAX + 1];
        snprintf(path, sizeof(path), "%s.aside-%lld", name, (long long)time);
        if (renameat2(parent, name, parent, path, RENAME_NOREPLACE) == 0)
            return CG_OK;
        if (errno != EEXIST)
            return CG_E_IO;
    }
    return CG_E_IO;
}

int aside_move(const char *directory, const char *name, int64_t now_s)
{
    int parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return CG_E_IO;
    int rc = rename_away(parent, name, now_s);
    if (rc == CG_OK) {
        delete_old(parent, name);
        fsync(
            parent); /* best effort: a name that comes back after a power cut is set aside again */
    }
    int saved = errno;
    close(parent);
    errno = saved;
    return rc;
}
