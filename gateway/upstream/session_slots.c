#include "gateway/upstream/session_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cctgate/log.h"

struct slot {
    _Atomic uint16_t key_length; /* 0: free; written last */
    uint16_t length;
    uint8_t bytes[SLOT_BYTES - 4]; /* key, value */
};
_Static_assert(sizeof(struct slot) == SLOT_BYTES, "a slot's size is on disk");

struct slots {
    struct slot *slot;
};

/* The blocks are taken beforehand: where the disk is full, writing to the map would be a signal. */
static int prepare(int fd)
{
    struct stat about;

    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode) || fchmod(fd, 0600) != 0)
        return -1;
    if (about.st_size != (off_t)SLOTS * SLOT_BYTES && ftruncate(fd, 0) != 0)
        return -1;
    errno = posix_fallocate(fd, 0, (off_t)SLOTS * SLOT_BYTES);
    return errno == 0 ? 0 : -1;
}

static struct slot *map(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    void *at = MAP_FAILED;

    if (fd >= 0 && prepare(fd) == 0)
        at = mmap(NULL, (size_t)SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        log_write(LOG_LEVEL_WARNING, "sessionSlotsUnusable",
                  "A crash may leave sessions whose tokens are on their way to the disk",
                  LOG_S("file", path), LOG_S("reason", strerror(errno)));
    if (fd >= 0)
        close(fd);
    return at == MAP_FAILED ? NULL : at;
}

struct slots *slots_open(const char *directory)
{
    char path[PATH_MAX];
    struct slots *slots = calloc(1, sizeof(*slots));

    if (slots == NULL)
        abort();
    if (snprintf(path, sizeof(path), "%s/" SLOTS_FILE, directory) < (int)sizeof(path))
        slots->slot = map(path);
    if (slots->slot == NULL)
        slots_close(&slots);
    return slots;
}

void slots_close(struct slots **slots)
{
    if (*slots != NULL && (*slots)->slot != NULL)
        munmap((*slots)->slot, (size_t)SLOTS * SLOT_BYTES);
    free(*slots);
    *slots = NULL;
}

/* 0: free, or nothing that was written here. */
static size_t key_length_of(const struct slot *slot)
{
    size_t key_length = atomic_load(&slot->key_length);
    return key_length <= sizeof(slot->bytes) && slot->length <= sizeof(slot->bytes) - key_length
               ? key_length
               : 0;
}

void slots_put(struct slots *slots, const void *key, size_t key_length, const void *value,
               size_t length)
{
    struct slot *slot, *end;

    if (slots == NULL || key_length == 0 || key_length > sizeof(slot->bytes) ||
        length > sizeof(slot->bytes) - key_length)
        return;
    for (slot = slots->slot, end = slot + SLOTS; slot < end; ++slot)
        if (key_length_of(slot) == 0)
            break;
    if (slot == end)
        return;
    atomic_store(&slot->key_length, 0);
    memcpy(slot->bytes, key, key_length);
    memcpy(slot->bytes + key_length, value, length);
    slot->length = (uint16_t)length;
    atomic_store(&slot->key_length, (uint16_t)key_length);
}

void slots_drop(struct slots *slots, const void *key, size_t key_length)
{
    struct slot *slot;

    for (slot = slots != NULL ? slots->slot : NULL; slot != NULL && slot < slots->slot + SLOTS;
         ++slot)
        if (key_length_of(slot) == key_length && memcmp(slot->bytes, key, key_length) == 0) {
            atomic_store(&slot->key_length, 0);
            explicit_bzero(slot->bytes, sizeof(slot->bytes));
        }
}

void slots_walk(const struct slots *slots,
                void (*on_row)(void *, const void *, size_t, const void *, size_t), void *data)
{
    const struct slot *slot;
    size_t key_length;

    for (slot = slots != NULL ? slots->slot : NULL; slot != NULL && slot < slots->slot + SLOTS;
         ++slot)
        if ((key_length = key_length_of(slot)) > 0)
            on_row(data, slot->bytes, key_length, slot->bytes + key_length, slot->length);
}
