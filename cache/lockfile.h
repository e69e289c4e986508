/*
 * <data directory>/lock: one process at a time, and how the last one ended.
 *
 * The cache environment is never synced while it is in use, so what a killed process committed is in the kernel's memory and safe,
 * and what was committed before a power cut is anything at all: pages written in any order, of any age. No look at the
 * file tells the two apart, so this does: the lock file holds the machine's boot id and whether the cache was synced and
 * closed. Another boot without a clean end means that the cache is not to be believed.
 *
 * It holds the epoch as well, so that version numbers never come back even when both environments are lost; and the steady clock
 * (clock.h), so that it goes on under the same kernel, and never goes back under another.
 */
#ifndef CCTGATE_CACHE_LOCKFILE_H
#define CCTGATE_CACHE_LOCKFILE_H

#include <stdint.h>
#include <sys/types.h>

struct lockfile {
    int fd;               /* -1 when not held */
    uint64_t epoch;       /* of the last start, 0 when unknown */
    int cache_believable; /* closed cleanly, or by a process that died under this very kernel */
    pid_t holder; /* who has it, when lockfile_take failed with EWOULDBLOCK; 0 when unknown */
};

/* Makes the file when absent and takes the lock. CG_OK; CG_E_IO with errno, EWOULDBLOCK when another holder has it. */
int lockfile_take(struct lockfile *lock, const char *path);
/* Says on disk (synced) that this process uses the cache, or that it has synced and closed it. CG_OK, CG_E_IO with errno. */
int lockfile_write(struct lockfile *lock, uint64_t epoch, int clean);
void lockfile_release(struct lockfile *lock);

#endif
