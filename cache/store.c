/*
 * Opening and closing. The order matters: the lock first, then the durable environment, then the judgement whether the cache can
 * be believed, and the epoch is on the disk (durable environment and lock file, both synced) before anybody can write a record
 * with a version made of it. The epoch is the highest that any of three places remembers, plus one: losing two of them still
 * never gives a version, and with it an ETag, a second time.
 *
 * Flags. MDB_NOTLS: transactions belong to readers, not to threads. The cache has MDB_NOSYNC, and no MDB_NORDAHEAD: it is meant
 * to fit into memory, and the first look at it after a boot goes from its beginning to its end. Neither has MDB_WRITEMAP: a
 * stray write of ours must not reach the file.
 */
#include "cache/aside.h"
#include "cache/durable_private.h"
#include "cache/record.h"
#include "cache/store_private.h"
#include "cctgate/error.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAP_BYTES_MIN   (1024u * 1024)
#define READERS_DEFAULT 126
#define READERS_OWN     8 /* the owner's gauge, and whoever asks for figures */

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#define BYTE_ORDER_NOTE " Highest byte first."
#else
#define BYTE_ORDER_NOTE ""
#endif

#define CACHE_FORMAT_1                                                                             \
    "cctgate cache, 64 bits, byte order of the machine. state: environment -> sealed {magic, "     \
    "format, description, next user, epoch}. records: kind id -> {format 1, provenance, 0, "       \
    "checksum, user, length, version, fetched, expires} body. owners: kind id -> sealed users. "   \
    "owned: user kind id -> sealed nothing. users: name -> sealed user. Checksum: three lanes of " \
    "CRC-32C."

static const struct environment_layout cache_layout = {
    .name = "cache",
    .format = 2,
    .description = CACHE_FORMAT_1
    " records also: {format 2, provenance, flags, checksum, user, length, version, fetched, "
    "expires, covered} body. state: log -> sealed {epoch, last, events, bytes}. log: number, "
    "highest byte first -> {format 1, 0, checksum} entry." BYTE_ORDER_NOTE,
    .flags = MDB_NOTLS | MDB_NOSYNC,
    .databases = {"state", "records", "owners", "owned", "users", "log"},
    .former_description = CACHE_FORMAT_1 BYTE_ORDER_NOTE,
    .former_databases = DB_LOG,
    .check = log_check};

#define DURABLE_FORMAT_2                                                                           \
    "cctgate durable, 64 bits, byte order of the machine. state: as in the cache. state also: "    \
    "audit -> sealed last number. audit: number, highest byte first -> {format 1, 0, checksum} "   \
    "JSON. leases, reservations, values, outcomes: key -> sealed bytes."
#define DURABLE_FORMAT_3 DURABLE_FORMAT_2 " bearers, sessions: the same."

/* In the order of enum durable_database, durable_private.h. */
static const struct environment_layout durable_layout = {
    .name = "durable",
    .format = 4,
    .description = DURABLE_FORMAT_3 " jobs, jobRows: the same." BYTE_ORDER_NOTE,
    .flags = MDB_NOTLS,
    .databases = {"state", "audit", "leases", "reservations", "values", "outcomes", "bearers",
                  "sessions", "jobs", "jobRows"},
    .former_description = DURABLE_FORMAT_3 BYTE_ORDER_NOTE,
    .former_databases = 8};

struct opening {
    struct store *store;
    const struct store_settings *settings;
    struct store_opened *opened;
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct opening *opening, int rc,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (opening->error != NULL && opening->error_size != 0)
        vsnprintf(opening->error, opening->error_size, format, arguments);
    va_end(arguments);
    return rc;
}

static const char *cause_text(int cause)
{
    return cause < 0 ? mdb_strerror(cause) : strerror(cause);
}

static int make_directory(struct opening *opening)
{
    const char *path = opening->settings->directory;
    struct stat status;
    int length = snprintf(opening->store->directory, sizeof(opening->store->directory), "%s", path);
    if (length < 0 || (size_t)length >= sizeof(opening->store->directory))
        return refuse(opening, CG_E_IO, "the data directory's name is too long");
    if (mkdir(path, 0700) == 0)
        return CG_OK;
    if (errno != EEXIST)
        return refuse(opening, CG_E_IO, "cannot make the data directory %s: %s", path,
                      strerror(errno));
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return refuse(opening, CG_E_IO, "the data directory %s is not a directory", path);
    return CG_OK;
}

static int take_lock(struct opening *opening)
{
    struct store *store = opening->store;
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/lock", store->directory);
    if (length < 0 || (size_t)length >= sizeof(path))
        return refuse(opening, CG_E_IO, "the data directory's name is too long");
    if (lockfile_take(&store->lock, path) == CG_OK)
        return CG_OK;
    if (errno != EWOULDBLOCK)
        return refuse(opening, CG_E_IO, "cannot lock %s: %s", path, strerror(errno));
    if (store->lock.holder == 0)
        return refuse(opening, CG_E_IO, "the data directory %s is in use by another process",
                      store->directory);
    return refuse(opening, CG_E_IO, "the data directory %s is in use by another process (%d)",
                  store->directory, (int)store->lock.holder);
}

static int set_aside(struct opening *opening, const struct environment_layout *layout)
{
    if (aside_move(opening->store->directory, layout->name, (int64_t)time(NULL)) == CG_OK)
        return CG_OK;
    return refuse(opening, CG_E_IO, "cannot set the damaged %s/%s aside: %s",
                  opening->store->directory, layout->name, strerror(errno));
}

/* Opens, and when it is damaged sets aside and opens a new one. *reason is left NULL when nothing was wrong. */
static int open_environment(struct opening *opening, struct environment *environment,
                            const struct environment_layout *layout, size_t map_bytes,
                            const char **reason)
{
    const struct store *store = opening->store;
    const char *damage = NULL;
    int cause = 0, rc = CG_E_CORRUPT;
    unsigned slots = store->readers_max + READERS_OWN;
    if (*reason == NULL)
        rc = environment_open(environment, layout, store->directory, map_bytes, slots, &damage,
                              &cause);
    if (rc == CG_E_CORRUPT) {
        if (*reason == NULL)
            *reason = damage;
        rc = set_aside(opening, layout);
        if (rc != CG_OK)
            return rc;
        rc = environment_open(environment, layout, store->directory, map_bytes, slots, &damage,
                              &cause);
    }
    if (rc == CG_E_CORRUPT)
        return refuse(opening, CG_E_IO, "a new %s/%s is not usable either: %s", store->directory,
                      layout->name, damage);
    if (rc != CG_OK)
        return refuse(opening, rc, "cannot open %s/%s: %s", store->directory, layout->name,
                      cause_text(cause));
    return CG_OK;
}

static int open_durable(struct opening *opening)
{
    struct store *store = opening->store;
    const char *reason = NULL;
    int rc = open_environment(opening, &store->durable, &durable_layout,
                              opening->settings->durable_map_bytes, &reason);
    opening->opened->durable_reason = reason;
    opening->opened->durable_set_aside = reason != NULL;
    return rc;
}

static int cache_exists(const struct store *store)
{
    char path[PATH_MAX + 16];
    struct stat status;
    snprintf(path, sizeof(path), "%s/%s/data.mdb", store->directory, cache_layout.name);
    return lstat(path, &status) == 0;
}

static uint64_t highest_epoch(const struct store *store)
{
    uint64_t epoch = store->lock.epoch;
    if (store->cache.state.epoch > epoch)
        epoch = store->cache.state.epoch;
    return store->durable.state.epoch > epoch ? store->durable.state.epoch : epoch;
}

/* A cache that is not believed may still be the only one who knows how far the epochs have come. */
static void keep_its_epoch(struct opening *opening)
{
    struct store *store = opening->store;
    const char *damage;
    int cause;
    if (environment_open(&store->cache, &cache_layout, store->directory,
                         opening->settings->cache_map_bytes, READERS_OWN, &damage, &cause) != CG_OK)
        return;
    if (store->cache.state.epoch > store->lock.epoch)
        store->lock.epoch = store->cache.state.epoch;
    environment_close(&store->cache);
}

static int open_cache(struct opening *opening)
{
    struct store *store = opening->store;
    const char *reason = NULL;
    /* From here on there may be pages that are not on the disk. */
    if (lockfile_write(&store->lock, highest_epoch(store), 0) != CG_OK)
        return refuse(opening, CG_E_IO, "cannot write %s/lock: %s", store->directory,
                      strerror(errno));
    if (!store->lock.cache_believable && cache_exists(store)) {
        reason = "the machine went down while it was in use";
        keep_its_epoch(opening);
    }
    int rc = open_environment(opening, &store->cache, &cache_layout,
                              opening->settings->cache_map_bytes, &reason);
    opening->opened->cache_reason = reason;
    opening->opened->cache_set_aside = reason != NULL;
    return rc;
}

static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return CG_E_IO;
    int failed = fsync(fd) != 0;
    close(fd);
    return failed ? CG_E_IO : CG_OK;
}

static int sync_names(const struct store *store)
{
    char durable[PATH_MAX + 16];
    snprintf(durable, sizeof(durable), "%s/%s", store->directory, durable_layout.name);
    return sync_directory(durable) == CG_OK && sync_directory(store->directory) == CG_OK ? CG_OK
                                                                                         : CG_E_IO;
}

static int nomem_or_io(int mdb_rc)
{
    return store_error(mdb_rc) == CG_E_NOMEM ? CG_E_NOMEM : CG_E_IO;
}

static int start_epoch(struct opening *opening)
{
    struct store *store = opening->store;
    uint64_t epoch = highest_epoch(store) + 1;
    if (epoch > VERSION_EPOCH_MAX)
        return refuse(opening, CG_E_IO, "the data directory %s has no epoch left",
                      store->directory);
    store->epoch = store->durable.state.epoch = store->cache.state.epoch = epoch;
    int mdb_rc = environment_save_state(&store->durable, &store->durable.state);
    if (mdb_rc != MDB_SUCCESS)
        return refuse(opening, nomem_or_io(mdb_rc), "cannot write %s/durable: %s", store->directory,
                      cause_text(mdb_rc));
    if (lockfile_write(&store->lock, epoch, 0) != CG_OK || sync_names(store) != CG_OK)
        return refuse(opening, CG_E_IO, "cannot write %s/lock: %s", store->directory,
                      strerror(errno));
    mdb_rc = environment_save_state(&store->cache, &store->cache.state);
    if (mdb_rc == MDB_SUCCESS || mdb_rc == MDB_MAP_FULL)
        mdb_rc = log_start(store);
    /* A cache filled to the last page cannot even say this; the other two places have said it. */
    if (mdb_rc != MDB_SUCCESS && mdb_rc != MDB_MAP_FULL)
        return refuse(opening, nomem_or_io(mdb_rc), "cannot write %s/cache: %s", store->directory,
                      cause_text(mdb_rc));
    store->next_user = store->cache.state.next_user;
    return CG_OK;
}

static int look_at_cache(struct opening *opening)
{
    struct store *store = opening->store;
    MDB_stat stat = {.ms_entries = 0};
    int mdb_rc = mdb_txn_begin(store->cache.env, NULL, MDB_RDONLY, &store->gauge);
    if (mdb_rc == MDB_SUCCESS) {
        mdb_rc = mdb_stat(store->gauge, store->cache.databases[DB_RECORDS], &stat);
        mdb_txn_reset(store->gauge);
    }
    if (mdb_rc != MDB_SUCCESS)
        return refuse(opening, nomem_or_io(mdb_rc), "cannot read %s/cache: %s", store->directory,
                      cause_text(mdb_rc));
    opening->opened->cache_was_empty = stat.ms_entries == 0;
    opening->opened->epoch = store->epoch;
    return CG_OK;
}

static void release(struct store *store)
{
    if (store->gauge != NULL)
        mdb_txn_abort(store->gauge);
    environment_close(&store->cache);
    environment_close(&store->durable);
    lockfile_release(&store->lock);
    pthread_mutex_destroy(&store->readers_lock);
    free(store);
}

static int open_all(struct opening *opening)
{
    const struct store_settings *settings = opening->settings;
    if (settings->cache_map_bytes < MAP_BYTES_MIN || settings->durable_map_bytes < MAP_BYTES_MIN)
        return refuse(opening, CG_E_INVALID, "a map must have at least %u bytes", MAP_BYTES_MIN);
    int rc = make_directory(opening);
    if (rc == CG_OK)
        rc = take_lock(opening);
    if (rc == CG_OK)
        rc = open_durable(opening);
    if (rc == CG_OK)
        rc = open_cache(opening);
    if (rc == CG_OK)
        rc = start_epoch(opening);
    if (rc == CG_OK)
        rc = look_at_cache(opening);
    return rc;
}

int store_open(struct store **store, const struct store_settings *settings,
               struct store_opened *opened, char *error, size_t error_size)
{
    *store = NULL;
    *opened = (struct store_opened){.epoch = 0};
    struct opening opening = {
        .settings = settings, .opened = opened, .error = error, .error_size = error_size};
    struct store *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return refuse(&opening, CG_E_NOMEM, "no memory");
    made->lock.fd = -1;
    made->readers_max = settings->max_readers != 0 ? settings->max_readers : READERS_DEFAULT;
    pthread_mutex_init(&made->readers_lock, NULL);
    opening.store = made;
    int rc = open_all(&opening);
    if (rc == CG_OK)
        *store = made;
    else
        release(made);
    return rc;
}

void store_close(struct store **store)
{
    struct store *closing = *store;
    *store = NULL;
    if (closing == NULL)
        return;
    assert(closing->readers == NULL && closing->txn.txn == NULL);
    /* Only what is on the disk may be called so. */
    if (mdb_env_sync(closing->cache.env, 1) == MDB_SUCCESS)
        lockfile_write(&closing->lock, closing->epoch, 1);
    release(closing);
}

/* ---- figures ---- */

static size_t used_bytes(const struct environment *environment, MDB_txn *reading)
{
    struct room room;
    if (room_measure(environment->env, reading, 0, &room) != MDB_SUCCESS ||
        room.free > room.high_water)
        return 0;
    return (room.high_water - room.free) * environment->page_bytes;
}

static void measure_durable(const struct store *store, struct store_stats *stats)
{
    MDB_txn *reading;
    if (mdb_txn_begin(store->durable.env, NULL, MDB_RDONLY, &reading) != MDB_SUCCESS)
        return;
    stats->durable_used_bytes = used_bytes(&store->durable, reading);
    mdb_txn_abort(reading);
}

static void measure_cache(const struct store *store, struct store_stats *stats)
{
    MDB_txn *reading;
    MDB_stat stat;
    if (mdb_txn_begin(store->cache.env, NULL, MDB_RDONLY, &reading) != MDB_SUCCESS)
        return;
    uint64_t newest = mdb_txn_id(reading), oldest = readers_oldest(store, newest, &stats->reading);
    stats->oldest_read_lag = newest - oldest;
    stats->cache_used_bytes = used_bytes(&store->cache, reading);
    if (mdb_stat(reading, store->cache.databases[DB_RECORDS], &stat) == MDB_SUCCESS)
        stats->records = stat.ms_entries;
    mdb_txn_abort(reading);
}

void store_get_stats(const struct store *store, struct store_stats *stats)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&store->readers_lock;
    *stats = (struct store_stats){
        .cache_map_bytes = store->cache.map_pages * store->cache.page_bytes,
        .durable_map_bytes = store->durable.map_pages * store->durable.page_bytes,
        .corrupt_records = atomic_load_explicit(&store->corrupt_records, memory_order_relaxed),
        .commits = atomic_load_explicit(&store->commits, memory_order_relaxed)};
    pthread_mutex_lock(lock);
    stats->readers = store->num_readers;
    pthread_mutex_unlock(lock);
    measure_cache(store, stats);
    measure_durable(store, stats);
}
