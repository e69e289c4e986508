/* What the tests of the store share: a data directory of their own, and short ways to write and read. */
#ifndef CCTGATE_TEST_STORE_FIXTURE_H
#define CCTGATE_TEST_STORE_FIXTURE_H

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1024u * 1024)

struct fixture {
    char directory[64];
    struct store_settings settings;
    struct store *store;
    struct store_opened opened;
    char error[CG_ERROR_TEXT_MAX];
};

static inline int remove_entry(const char *path, const struct stat *status, int flag,
                               struct FTW *ftw)
{
    (void)status, (void)flag, (void)ftw;
    return remove(path);
}

static inline int fixture_open(struct fixture *f)
{
    f->error[0] = '\0';
    return store_open(&f->store, &f->settings, &f->opened, f->error, sizeof(f->error));
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    snprintf(f->directory, sizeof(f->directory), "/tmp/cctgate-store-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->settings = (struct store_settings){.directory = f->directory,
                                          .cache_map_bytes = 64 * MIB,
                                          .durable_map_bytes = 4 * MIB,
                                          .max_readers = 8};
    *state = f;
    return 0;
}

static inline int fixture_setup_open(void **state)
{
    fixture_setup(state);
    struct fixture *f = *state;
    assert_int_equal(fixture_open(f), CG_OK);
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    nftw(f->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static inline const char *fixture_path(const struct fixture *f, const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", f->directory, name);
    return path;
}

static inline void reopen(struct fixture *f)
{
    store_close(&f->store);
    assert_int_equal(fixture_open(f), CG_OK);
}

static inline struct store_txn *begin(struct fixture *f)
{
    struct store_txn *txn;
    assert_int_equal(store_begin(f->store, &txn), CG_OK);
    assert_non_null(txn);
    return txn;
}

static inline void commit(struct store_txn *txn)
{
    assert_int_equal(store_commit(&txn), CG_OK);
    assert_null(txn);
}

static inline int put_at(struct store_txn *txn, enum record_kind kind, const char *id,
                         const char *body, size_t length, int64_t fetched_at_ms, uint64_t *version)
{
    struct record record = {.fetched_at_ms = fetched_at_ms,
                            .expires_at_ms = fetched_at_ms + 1000,
                            .user = 7,
                            .provenance = PROVENANCE_FETCH,
                            .body = body,
                            .body_length = length};
    int rc = store_put(txn, kind, id, strlen(id), &record);
    if (rc == CG_OK && version != NULL)
        *version = record.version;
    return rc;
}

static inline int put(struct store_txn *txn, enum record_kind kind, const char *id,
                      const char *body)
{
    return put_at(txn, kind, id, body, strlen(body), 1000, NULL);
}

static inline void put_one(struct fixture *f, enum record_kind kind, const char *id,
                           const char *body)
{
    struct store_txn *txn = begin(f);
    assert_int_equal(put(txn, kind, id, body), CG_OK);
    commit(txn);
}

/* Reads with a reader of its own; the body is not for use afterwards. */
static inline int get_one(struct fixture *f, enum record_kind kind, const char *id,
                          struct record *record)
{
    struct store_reader *reader;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    int rc = store_get(reader, kind, id, strlen(id), record);
    store_read_end(reader);
    store_reader_free(&reader);
    return rc;
}

static inline int exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

static inline unsigned count_names(const struct fixture *f, const char *prefix)
{
    char command[256], line[32] = "";
    snprintf(command, sizeof(command), "ls -d %s/%s* 2>/dev/null | wc -l", f->directory, prefix);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof(line), pipe));
    pclose(pipe);
    return (unsigned)strtoul(line, NULL, 10);
}

#endif
