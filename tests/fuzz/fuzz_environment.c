/*
 * A data directory that something has damaged: the input patches the LMDB file of a small cache (five bytes each: where, from the
 * beginning or, with the highest bit, in steps of a page; then two bytes that are put there). It opens, as itself or as a new one,
 * whatever reads back is what was written, and it can be written and opened once more.
 */
#include "tests/fuzz/fuzz.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cctgate/error.h"
#include "cctgate/limits.h"
#include "cctgate/store.h"

#define RECORDS     40
#define ENTRIES     10
#define PATCH_BYTES 5
#define FILE_MAX    (1u << 20)
#define MAP_BYTES   ((size_t)4 << 20)

static char folder[PATH_MAX], file[PATH_MAX + 32];
static uint8_t *original;
static size_t original_length;

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status, (void)flag, (void)ftw;
    return remove(path);
}

static struct store *open_it(struct store_opened *opened)
{
    struct store_settings settings = {folder, MAP_BYTES, (size_t)1 << 20, 4};
    struct store *store = NULL;
    char error[CG_ERROR_TEXT_MAX] = "";

    if (store_open(&store, &settings, opened, error, sizeof(error)) != CG_OK)
        fprintf(stderr, "%s\n", error);
    FUZZ_CHECK(store != NULL);
    return store;
}

static size_t body_of(unsigned i, char body[512])
{
    size_t length = 20 + i * 11 % 400;
    memset(body, 'a' + (int)(i % 26), length);
    return length;
}

static void fill(struct store *store)
{
    struct store_txn *txn;
    char id[16], body[512];
    unsigned i;
    uint64_t seq;
    uint32_t user;

    FUZZ_CHECK(store_begin(store, &txn) == CG_OK);
    FUZZ_CHECK(store_user_id(txn, "user", &user) == CG_OK);
    for (i = 0; i < RECORDS; ++i) {
        struct record record = {.fetched_at_ms = i + 1,
                                .user = 1 + i % 3,
                                .provenance = PROVENANCE_FETCH,
                                .body = body};
        record.body_length = body_of(i, body);
        snprintf(id, sizeof(id), "id%u", i);
        FUZZ_CHECK(store_put(txn, RECORD_CALL, id, strlen(id), &record) == CG_OK);
        FUZZ_CHECK(store_add_owner(txn, RECORD_CALL, id, strlen(id), 1 + i % 3) == CG_OK);
    }
    for (i = 0; i < ENTRIES; ++i)
        FUZZ_CHECK(store_log_append(txn, body, body_of(i, body), &seq) == CG_OK);
    FUZZ_CHECK(store_commit(&txn) == CG_OK);
    FUZZ_CHECK(store_begin(store, &txn) == CG_OK);
    FUZZ_CHECK(store_delete(txn, RECORD_CALL, "id7", 3) == CG_OK);
    FUZZ_CHECK(store_commit(&txn) == CG_OK);
}

static void prepare(void)
{
    struct store_opened opened;
    struct store *store;
    FILE *in;

    if (original != NULL)
        return;
    fuzz_init();
    snprintf(folder, sizeof(folder), "%s/data", fuzz_folder());
    snprintf(file, sizeof(file), "%s/cache/data.mdb", folder);
    store = open_it(&opened);
    fill(store);
    store_close(&store);
    FUZZ_CHECK((original = malloc(FILE_MAX)) != NULL && (in = fopen(file, "rb")) != NULL);
    original_length = fread(original, 1, FILE_MAX, in);
    fclose(in);
    FUZZ_CHECK(original_length > 0 && original_length < FILE_MAX);
}

static int on_entry(void *data, uint64_t seq, const void *entry, size_t length)
{
    char body[512];
    uint64_t *last = data;

    FUZZ_CHECK(seq > *last && length == body_of((unsigned)seq - 1, body) &&
               memcmp(entry, body, length) == 0);
    *last = seq;
    return 0;
}

static int on_id(void *data, const char *id, size_t length)
{
    (void)id, (void)length;
    return ++*(unsigned *)data > 10 * RECORDS;
}

static void read_records(struct store_reader *reader)
{
    char id[16], body[512];
    struct record record;
    const uint32_t *users;
    size_t count, length;
    unsigned i;

    for (i = 0; i < RECORDS; ++i) {
        snprintf(id, sizeof(id), "id%u", i);
        length = body_of(i, body);
        if (store_get(reader, RECORD_CALL, id, strlen(id), &record) == CG_OK)
            FUZZ_CHECK(record.body_length == length && memcmp(record.body, body, length) == 0);
        if (store_owners(reader, RECORD_CALL, id, strlen(id), &users, &count) == CG_OK)
            FUZZ_CHECK(count == 1 && users[0] == 1 + i % 3);
    }
}

/* Entries are compared only in the log that was filled: another epoch is another log. */
static void read_all(struct store *store, int is_new)
{
    struct store_reader *reader;
    struct store_log_bounds bounds;
    uint64_t last = 0;
    unsigned walked = 0;
    uint32_t user;

    FUZZ_CHECK(store_reader_new(&reader, store) == CG_OK);
    FUZZ_CHECK(store_read_begin(reader) == CG_OK);
    read_records(reader);
    for (user = 0; user < 5; ++user)
        store_walk(reader, RECORD_CALL, user, NULL, 0, on_id, &walked);
    if (store_log_get_bounds(reader, &bounds) == CG_OK && !is_new)
        store_log_walk(reader, 0, on_entry, &last);
    store_read_end(reader);
    store_reader_free(&reader);
}

static void write_more(struct store *store)
{
    struct record record = {.fetched_at_ms = 1,
                            .user = 1,
                            .provenance = PROVENANCE_EVENT,
                            .body = "{}",
                            .body_length = 2};
    struct store_txn *txn;
    unsigned evicted;

    if (store_begin(store, &txn) != CG_OK)
        return;
    store_put(txn, RECORD_AGENT, "new", 3, &record);
    store_add_owner(txn, RECORD_AGENT, "new", 3, 1);
    store_remove_owner(txn, RECORD_CALL, "id1", 3, 2);
    store_evict_oldest(txn, 5, 3, &evicted);
    store_commit(&txn);
}

static void patch(uint8_t *bytes, const uint8_t *at, size_t length)
{
    for (; length >= PATCH_BYTES; at += PATCH_BYTES, length -= PATCH_BYTES) {
        size_t place = (size_t)(at[0] & 0x7f) << 16 | (size_t)at[1] << 8 | at[2];
        if ((at[0] & 0x80) != 0)
            place = (place >> 8) * 4096 + at[2] % 64;
        place %= original_length - 1;
        memcpy(bytes + place, at + 3, 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct store_opened opened;
    struct store *store;
    uint8_t *damaged;
    int is_new;

    prepare();
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    store = open_it(&opened); /* what is beside the file is sound */
    store_close(&store);
    FUZZ_CHECK((damaged = malloc(original_length)) != NULL);
    memcpy(damaged, original, original_length);
    patch(damaged, bytes, length);
    fuzz_write(file, damaged, original_length);
    free(damaged);
    store = open_it(&opened);
    is_new = opened.cache_set_aside;
    FUZZ_CHECK(!opened.durable_set_aside && (!is_new || opened.cache_was_empty));
    read_all(store, is_new);
    write_more(store);
    store_close(&store);
    store = open_it(&opened);
    read_all(store, 1);
    store_close(&store);
    return 0;
}
