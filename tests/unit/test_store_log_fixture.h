/* What the tests of the event log share: entries that say which they are, and walks that check them. */
#ifndef TEST_STORE_LOG_FIXTURE_H
#define TEST_STORE_LOG_FIXTURE_H

#include "test_store_fixture.h"

static inline struct store_log_bounds bounds_now(struct fixture *f)
{
    struct store_log_bounds bounds;
    struct store_reader *reader;
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    assert_int_equal(store_log_get_bounds(reader, &bounds), CG_OK);
    store_read_end(reader);
    store_reader_free(&reader);
    return bounds;
}

#define assert_bounds(f, the_first, the_last, the_bytes)                                           \
    do {                                                                                           \
        struct store_log_bounds now_ = bounds_now(f);                                              \
        assert_int_equal(now_.first, the_first);                                                   \
        assert_int_equal(now_.last, the_last);                                                     \
        assert_int_equal(now_.bytes, the_bytes);                                                   \
    } while (0)

/* What entry `seq` holds in these tests: its number, then as many letters as it is long. */
static inline size_t entry_of(uint64_t seq, size_t length, char *entry)
{
    memset(entry, 'a' + (char)(seq % 26), length);
    if (length >= sizeof(seq))
        memcpy(entry, &seq, sizeof(seq));
    return length;
}

static inline int append_to(struct store_txn *txn, size_t length, uint64_t *seq)
{
    static char entry[CG_EVENT_ENTRY_BYTES_MAX];
    struct store_log_bounds bounds;
    store_log_txn_bounds(txn, &bounds);
    entry_of(bounds.last + 1, length, entry);
    return store_log_append(txn, entry, length, seq);
}

static inline void append(struct fixture *f, unsigned count, size_t length)
{
    struct store_txn *txn = begin(f);
    uint64_t seq, last = bounds_now(f).last;
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(append_to(txn, length, &seq), CG_OK);
        assert_int_equal(seq, last + 1 + i);
    }
    commit(txn);
}

static inline unsigned trim(struct fixture *f, uint64_t max_events, uint64_t max_bytes,
                            unsigned at_most)
{
    struct store_txn *txn = begin(f);
    unsigned dropped;
    assert_int_equal(store_log_trim(txn, max_events, max_bytes, at_most, &dropped), CG_OK);
    commit(txn);
    return dropped;
}

struct walked {
    uint64_t first, last, count, stop_after, bytes;
};

static inline int on_entry(void *data, uint64_t seq, const void *entry, size_t length)
{
    static char expected[CG_EVENT_ENTRY_BYTES_MAX];
    struct walked *walked = data;
    if (walked->count == 0)
        walked->first = seq;
    else
        assert_int_equal(seq, walked->last + 1);
    assert_memory_equal(entry, expected, entry_of(seq, length, expected));
    walked->last = seq;
    walked->bytes += length;
    return ++walked->count == walked->stop_after;
}

static inline int walk_until(struct fixture *f, uint64_t after, uint64_t stop_after,
                             struct walked *walked)
{
    struct store_reader *reader;
    *walked = (struct walked){.stop_after = stop_after};
    assert_int_equal(store_reader_new(&reader, f->store), CG_OK);
    assert_int_equal(store_read_begin(reader), CG_OK);
    int rc = store_log_walk(reader, after, on_entry, walked);
    store_read_end(reader);
    store_reader_free(&reader);
    return rc;
}

static inline int walk(struct fixture *f, uint64_t after, struct walked *walked)
{
    return walk_until(f, after, 0, walked);
}

/* What the bounds say is there, wholly and in order. */
static inline void assert_log_is_whole(struct fixture *f)
{
    struct store_log_bounds bounds = bounds_now(f);
    struct walked walked;
    assert_int_equal(walk(f, bounds.first - 1, &walked), CG_OK);
    assert_int_equal(walked.count, bounds.last - bounds.first + 1);
    assert_int_equal(walked.bytes, bounds.bytes);
    if (walked.count != 0) {
        assert_int_equal(walked.first, bounds.first);
        assert_int_equal(walked.last, bounds.last);
    }
}

#endif
