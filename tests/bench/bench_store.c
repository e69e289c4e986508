/*
 * What the store costs: one JSON object per figure on standard output.
 *   bench_store [directory]    (default: a new one below /tmp, deleted afterwards)
 */
#include "cache/checksum.h"
#include "cctgate/error.h"
#include "cctgate/store.h"

#include <errno.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORDS         100000u
#define BODY_BYTES      600u
#define USERS           20000u
#define PUTS_PER_COMMIT 100u
#define OWNED           5000u
#define MEASURE_S       1.0
#define LOG_EVENTS_MAX  100000u
#define ENTRY_BYTES     400u

static char body[BODY_BYTES];

static double now_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(const char *figure, double value, const char *unit)
{
    printf("{\"bench\":\"store\",\"figure\":\"%s\",\"value\":%.1f,\"unit\":\"%s\"}\n", figure,
           value, unit);
    fflush(stdout);
}

static void check(int rc, const char *what)
{
    if (rc == CG_OK)
        return;
    fprintf(stderr, "bench_store: %s: %s\n", what, cg_error_name(rc));
    exit(1);
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status, (void)flag, (void)ftw;
    return remove(path);
}

static size_t id_of(unsigned i, char id[16])
{
    return (size_t)snprintf(id, 16, "%u", 1000000 + i);
}

static unsigned next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33);
}

static void put_record(struct store_txn *txn, unsigned i)
{
    char id[16];
    size_t length = id_of(i, id);
    struct record record = {.fetched_at_ms = i,
                            .expires_at_ms = i,
                            .user = 1 + i % USERS,
                            .provenance = PROVENANCE_FETCH,
                            .body = body,
                            .body_length = sizeof(body)};
    check(store_put(txn, RECORD_AGENT, id, length, &record), "put");
}

static void fill(struct store *store)
{
    struct store_txn *txn;
    double start = now_s(CLOCK_MONOTONIC);
    check(store_begin(store, &txn), "begin");
    for (unsigned i = 0; i < RECORDS; i++) {
        char id[16];
        size_t length = id_of(i, id);
        put_record(txn, i);
        check(store_add_owner(txn, RECORD_AGENT, id, length, 1 + i % USERS), "add owner");
    }
    check(store_commit(&txn), "commit");
    report("fill with record and owner, one commit", RECORDS / (now_s(CLOCK_MONOTONIC) - start),
           "records/s");
}

/* The hot read: begin, may this user see it, the record, end. */
static void read_one(struct store_reader *reader, unsigned i)
{
    char id[16];
    const uint32_t *users;
    size_t length = id_of(i, id), count;
    struct record record;
    check(store_read_begin(reader), "begin reading");
    check(store_owners(reader, RECORD_AGENT, id, length, &users, &count), "owners");
    check(store_get(reader, RECORD_AGENT, id, length, &record), "get");
    if (users[0] != 1 + i % USERS || record.body_length != BODY_BYTES ||
        record.body[BODY_BYTES - 1] != 'x')
        check(CG_E_CORRUPT, "get");
    store_read_end(reader);
}

static void bench_reads(struct store *store, unsigned distinct, const char *figure)
{
    struct store_reader *reader;
    uint64_t random = 1, reads = 0;
    check(store_reader_new(&reader, store), "reader");
    double start = now_s(CLOCK_MONOTONIC), end;
    do {
        for (unsigned i = 0; i < 1000; i++)
            read_one(reader, next_random(&random) % distinct);
        reads += 1000;
        end = now_s(CLOCK_MONOTONIC);
    } while (end - start < MEASURE_S);
    store_reader_free(&reader);
    report(figure, (double)reads / (end - start), "reads/s");
}

static void bench_commits(struct store *store, unsigned puts, const char *figure)
{
    uint64_t random = 2, commits = 0;
    double start = now_s(CLOCK_MONOTONIC), end;
    do {
        struct store_txn *txn;
        check(store_begin(store, &txn), "begin");
        for (unsigned i = 0; i < puts; i++)
            put_record(txn, next_random(&random) % RECORDS);
        check(store_commit(&txn), "commit");
        commits++;
        end = now_s(CLOCK_MONOTONIC);
    } while (end - start < MEASURE_S);
    report(figure, (double)(commits * puts) / (end - start), "puts/s");
}

static void set_owned(struct store *store, unsigned count, const char *figure)
{
    static char texts[OWNED][16];
    static const char *ids[OWNED];
    for (unsigned i = 0; i < count; i++) {
        id_of(i * 7919 % count, texts[i]);
        ids[i] = texts[i];
    }
    struct store_txn *txn;
    double start = now_s(CLOCK_MONOTONIC);
    check(store_begin(store, &txn), "begin");
    check(store_set_owned(txn, RECORD_TERMINAL, 1, ids, count), "set owned");
    check(store_commit(&txn), "commit");
    report(figure, (now_s(CLOCK_MONOTONIC) - start) * 1e3, "ms");
}

static void bench_checksum(void)
{
    uint32_t sum = 0;
    unsigned rounds = 5000000;
    double start = now_s(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < rounds; i++)
        sum = checksum(sum, body, sizeof(body));
    double took = now_s(CLOCK_THREAD_CPUTIME_ID) - start;
    body[0] = sum == 0 ? '0' : 'x'; /* so that it is not left out */
    report("checksum of 600 bytes", took / rounds * 1e9, "ns");
}

static void bench_evict(struct store *store)
{
    struct store_txn *txn;
    unsigned evicted;
    double start = now_s(CLOCK_MONOTONIC);
    check(store_begin(store, &txn), "begin");
    check(store_evict_oldest(txn, -1, UINT32_MAX, &evicted), "evict");
    report("looking for records to evict, per record",
           (now_s(CLOCK_MONOTONIC) - start) / RECORDS * 1e9, "ns");
    store_abort(&txn);
}

/* Appends and trims as the owner does: in the same transaction, never more dropped than twice what was added. */
static void bench_appends(struct store *store, unsigned appends, const char *figure)
{
    uint64_t commits = 0, seq;
    unsigned dropped;
    double start = now_s(CLOCK_MONOTONIC), end;
    do {
        struct store_txn *txn;
        check(store_begin(store, &txn), "begin");
        for (unsigned i = 0; i < appends; i++)
            check(store_log_append(txn, body, ENTRY_BYTES, &seq), "append");
        check(store_log_trim(txn, LOG_EVENTS_MAX, UINT64_MAX, 2 * appends, &dropped), "trim");
        check(store_commit(&txn), "commit");
        commits++;
        end = now_s(CLOCK_MONOTONIC);
    } while (end - start < MEASURE_S);
    report(figure, (double)(commits * appends) / (end - start), "appends/s");
}

static int on_entry(void *data, uint64_t seq, const void *entry, size_t length)
{
    (void)seq;
    if (length != ENTRY_BYTES || memcmp(entry, body, 8) != 0)
        check(CG_E_CORRUPT, "walk");
    ++*(uint64_t *)data;
    return 0;
}

static void bench_replay(struct store *store)
{
    struct store_reader *reader;
    struct store_log_bounds bounds;
    uint64_t walked = 0, asked = 0;
    check(store_reader_new(&reader, store), "reader");
    check(store_read_begin(reader), "begin reading");
    double start = now_s(CLOCK_MONOTONIC), end;
    do {
        for (unsigned i = 0; i < 1000; i++)
            check(store_log_get_bounds(reader, &bounds), "bounds");
        asked += 1000;
        end = now_s(CLOCK_MONOTONIC);
    } while (end - start < MEASURE_S);
    report("bounds of the log", (end - start) / (double)asked * 1e9, "ns");
    start = now_s(CLOCK_MONOTONIC);
    check(store_log_walk(reader, bounds.first - 1, on_entry, &walked), "walk");
    end = now_s(CLOCK_MONOTONIC);
    report("walking the log", (double)walked / (end - start), "entries/s");
    store_read_end(reader);
    store_reader_free(&reader);
}

static void bench_trim(struct store *store)
{
    unsigned dropped, total = 0;
    double start = now_s(CLOCK_MONOTONIC);
    do {
        struct store_txn *txn;
        check(store_begin(store, &txn), "begin");
        check(store_log_trim(txn, 0, UINT64_MAX, 1000, &dropped), "trim");
        check(store_commit(&txn), "commit");
        total += dropped;
    } while (dropped != 0);
    report("trimming the log, 1000 per commit, per entry",
           (now_s(CLOCK_MONOTONIC) - start) / total * 1e9, "ns");
}

static void bench_log(struct store *store)
{
    bench_appends(store, 1, "1 append of 400 bytes per commit, trimmed to 100000");
    bench_appends(store, 100, "100 appends of 400 bytes per commit, trimmed to 100000");
    bench_replay(store);
    bench_trim(store);
}

static struct store *open_store(const char *directory, const char *figure)
{
    struct store_settings settings = {.directory = directory,
                                      .cache_map_bytes = (size_t)1 << 30,
                                      .durable_map_bytes = (size_t)16 << 20};
    struct store_opened opened;
    struct store *store;
    char error[256];
    double start = now_s(CLOCK_MONOTONIC);
    if (store_open(&store, &settings, &opened, error, sizeof(error)) != CG_OK) {
        fprintf(stderr, "bench_store: %s\n", error);
        exit(1);
    }
    report(figure, (now_s(CLOCK_MONOTONIC) - start) * 1e3, "ms");
    return store;
}

int main(int count, char **arguments)
{
    char made[] = "/tmp/cctgate-bench-XXXXXX";
    const char *directory = count > 1 ? arguments[1] : mkdtemp(made);
    if (directory == NULL) {
        fprintf(stderr, "bench_store: %s: %s\n", made, strerror(errno));
        return 1;
    }
    memset(body, 'x', sizeof(body));
    bench_checksum();
    struct store *store = open_store(directory, "opening a new store");
    fill(store);
    bench_reads(store, RECORDS, "begin, owners, get, end; 100000 records");
    bench_reads(store, 100, "begin, owners, get, end; the same 100 records");
    bench_commits(store, 1, "1 put per commit");
    bench_commits(store, PUTS_PER_COMMIT, "100 puts per commit");
    set_owned(store, OWNED, "5000 ids owned, all new");
    set_owned(store, OWNED, "5000 ids owned, nothing new");
    bench_evict(store);
    bench_log(store);
    store_close(&store);
    store = open_store(directory, "opening with 100000 records, every page looked at");
    store_close(&store);
    if (count <= 1)
        nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
