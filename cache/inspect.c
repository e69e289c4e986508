#include "cache/inspect.h"

#include "cctgate/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(size_t) == 8 && sizeof(void *) == 8,
               "the layout below is that of a 64-bit LMDB");

#define META_MAGIC     0xBEEFC0DEu
#define META_VERSION   1u
#define PAGE_BYTES_MIN 512u
#define PAGE_BYTES_MAX 65536u
#define DEPTH_MAX      32 /* CURSOR_STACK of LMDB */
#define NO_PAGE        UINT64_MAX

enum {
    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    PAGE_META = 0x08,
    PAGE_DIRTY = 0x10
};
enum { NODE_BIG = 0x01, NODE_SUBTREE = 0x02 };
enum { TREE_INTEGER_KEYS = 0x08 };

struct page_header {
    uint64_t number;
    uint16_t pad, flags, lower, upper;
};

struct node_header {
    uint16_t low, high, flags, key_bytes;
};

struct tree {
    uint32_t pad; /* of the free list's tree: the size of a page */
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct meta {
    uint32_t magic, version;
    uint64_t address, map_bytes;
    struct tree free, main;
    uint64_t last_page, transaction;
};

_Static_assert(sizeof(struct page_header) == 16 && sizeof(struct node_header) == 8,
               "packed as in mdb.c");
_Static_assert(sizeof(struct tree) == 48 && sizeof(struct meta) == 136, "packed as in mdb.c");

struct inspection {
    const uint8_t *map;
    size_t bytes, page_bytes;
    uint64_t last_page, transaction, freed_by; /* freed_by: the free list's entry before */
    uint8_t *seen;                             /* a bit per page */
    uint16_t spans[PAGE_BYTES_MAX /
                   2]; /* of the page at hand: where a node begins, how many bytes it takes */
    const char *damage;
};

enum tree_kind { TREE_FREE, TREE_MAIN, TREE_NAMED };

struct walk {
    enum tree_kind kind;
    struct tree found; /* what the pages add up to, to hold against what the tree says */
    uint16_t depth;
    struct {
        const uint8_t *page;
        unsigned next;
    } stack[DEPTH_MAX];
};

static int broken(struct inspection *in, const char *damage)
{
    in->damage = damage;
    return CG_E_CORRUPT;
}

static int mark(struct inspection *in, uint64_t number)
{
    if (number < 2 || number > in->last_page)
        return broken(in, "a page number is out of range");
    uint8_t bit = (uint8_t)(1u << (number % 8));
    if ((in->seen[number / 8] & bit) != 0)
        return broken(in, "a page is used twice");
    in->seen[number / 8] |= bit;
    return CG_OK;
}

static struct page_header header_of(const uint8_t *page)
{
    struct page_header header;
    memcpy(&header, page, sizeof(header));
    header.flags = (uint16_t)(header.flags & ~PAGE_DIRTY);
    return header;
}

static unsigned entries_of(const uint8_t *page)
{
    return (header_of(page).lower - (unsigned)sizeof(struct page_header)) / 2;
}

/* A page that lies in the file and says that it is the one asked for. */
static int page_at(struct inspection *in, uint64_t number, const uint8_t **page)
{
    int rc = mark(in, number);
    if (rc != CG_OK)
        return rc;
    if ((number + 1) * in->page_bytes > in->bytes)
        return broken(in, "the file is truncated");
    *page = in->map + number * in->page_bytes;
    return header_of(*page).number == number ? CG_OK
                                             : broken(in, "a page is not the one it should be");
}

static int check_tree_page(struct inspection *in, const uint8_t *page, uint16_t kind)
{
    struct page_header header = header_of(page);
    if (header.flags != kind)
        return broken(in, "a page is of the wrong kind");
    if (header.lower <= sizeof(header) || header.lower % 2 != 0 || header.upper < header.lower ||
        header.upper > in->page_bytes)
        return broken(in, "a page has impossible bounds");
    return CG_OK;
}

/* The node of an entry, wholly inside its page except for its data. */
static int node_at(struct inspection *in, const uint8_t *page, unsigned entry,
                   struct node_header *node, size_t *offset)
{
    uint16_t at;
    memcpy(&at, page + sizeof(struct page_header) + 2 * (size_t)entry, sizeof(at));
    if (at < header_of(page).upper || at % 2 != 0 || at + sizeof(*node) > in->page_bytes)
        return broken(in, "an entry lies outside its page");
    memcpy(node, page + at, sizeof(*node));
    *offset = at + sizeof(*node);
    return *offset + node->key_bytes <= in->page_bytes ? CG_OK
                                                       : broken(in, "a key lies outside its page");
}

/*
 * The nodes fill a page from `upper` to its end, one behind the other: LMDB deletes one by moving those before it up, so that nodes that
 * overlap would be moved out of the page.
 */
static int check_spans(struct inspection *in, const uint8_t *page, int leaf)
{
    unsigned entries = entries_of(page), found = 0;
    struct node_header node;
    size_t at, size;

    for (unsigned i = 0; i < entries; i++) {
        int rc = node_at(in, page, i, &node, &at);
        if (rc != CG_OK)
            return rc;
        size = sizeof(node) + node.key_bytes;
        if (leaf)
            size += (node.flags & NODE_BIG) != 0 ? 8 : node.low | (size_t)node.high << 16;
        size += size % 2;
        at -= sizeof(node);
        if (size > in->page_bytes - at)
            return broken(in, "a value lies outside its page");
        if (in->spans[at / 2] != 0)
            return broken(in, "entries overlap");
        in->spans[at / 2] = (uint16_t)size;
    }
    for (at = header_of(page).upper; at < in->page_bytes; at += size, found++) {
        if ((size = in->spans[at / 2]) == 0)
            return broken(in, "entries leave a hole");
        in->spans[at / 2] = 0;
    }
    return found == entries ? CG_OK : broken(in, "entries overlap");
}

/* A value too large for its page: a run of pages of its own. */
static int check_overflow(struct inspection *in, struct walk *walk, const uint8_t *reference,
                          size_t length, const uint8_t **value)
{
    uint64_t number;
    uint32_t pages;
    const uint8_t *page;
    memcpy(&number, reference, sizeof(number));
    int rc = page_at(in, number, &page);
    if (rc != CG_OK)
        return rc;
    memcpy(&pages, page + 12, sizeof(pages));
    if (header_of(page).flags != PAGE_OVERFLOW ||
        (sizeof(struct page_header) + length - 1) / in->page_bytes >= pages)
        return broken(in, "a large value has too few pages");
    if (pages > in->last_page || (number + pages) * in->page_bytes > in->bytes)
        return broken(in, "the file is truncated");
    for (uint32_t i = 1; rc == CG_OK && i < pages; i++)
        rc = mark(in, number + i);
    walk->found.overflow_pages += pages;
    *value = page + sizeof(struct page_header);
    return rc;
}

/* A key of the free list: the transaction that freed them. LMDB counts from 1, and takes what an entry before the first has twice. */
static int check_freeing(struct inspection *in, const uint8_t *key, size_t length)
{
    uint64_t transaction;
    if (length != sizeof(transaction))
        return broken(in, "the free list is damaged");
    memcpy(&transaction, key, sizeof(transaction));
    if (transaction <= in->freed_by || transaction > in->transaction)
        return broken(in, "the free list is not in order");
    in->freed_by = transaction;
    return CG_OK;
}

/* A value of the free list: a count, then page numbers, largest first. */
static int check_free_pages(struct inspection *in, const uint8_t *value, size_t length)
{
    uint64_t count, number, before = UINT64_MAX;
    if (length < 8 || length % 8 != 0)
        return broken(in, "the free list is damaged");
    memcpy(&count, value, 8);
    if (count > length / 8 - 1)
        return broken(in, "the free list is damaged");
    int rc = CG_OK;
    for (uint64_t i = 1; rc == CG_OK && i <= count; i++) {
        memcpy(&number, value + 8 * i, 8);
        rc = number < before ? mark(in, number) : broken(in, "the free list is not in order");
        before = number;
    }
    return rc;
}

static int check_tree(struct inspection *in, const struct tree *tree, enum tree_kind kind);

static int check_leaf_entry(struct inspection *in, struct walk *walk, const uint8_t *page,
                            unsigned entry)
{
    struct node_header node;
    size_t offset;
    int rc = node_at(in, page, entry, &node, &offset);
    if (rc != CG_OK)
        return rc;
    const uint8_t *value = page + offset + node.key_bytes;
    size_t length = node.low | (size_t)node.high << 16;
    int big = node.flags == NODE_BIG;
    if (node.flags != (walk->kind == TREE_MAIN ? NODE_SUBTREE : 0) &&
        !(big && walk->kind != TREE_MAIN))
        return broken(in, "an entry is of an unknown kind");
    if (big && (rc = check_overflow(in, walk, value, length, &value)) != CG_OK)
        return rc;
    if (walk->kind == TREE_FREE) {
        rc = check_freeing(in, page + offset, node.key_bytes);
        return rc == CG_OK ? check_free_pages(in, value, length) : rc;
    }
    if (walk->kind == TREE_NAMED)
        return CG_OK;
    struct tree named;
    if (length != sizeof(named))
        return broken(in, "a database has no description");
    memcpy(&named, value, sizeof(named));
    return check_tree(in, &named, TREE_NAMED); /* one level deep: named databases hold no others */
}

/* Puts a page on the walk's stack: a leaf at the tree's depth, a branch above. */
static int descend(struct inspection *in, struct walk *walk, unsigned level, uint64_t number)
{
    const uint8_t *page;
    int leaf = level + 1 == walk->depth;
    int rc = page_at(in, number, &page);
    if (rc == CG_OK)
        rc = check_tree_page(in, page, leaf ? PAGE_LEAF : PAGE_BRANCH);
    if (rc == CG_OK)
        rc = check_spans(in, page, leaf);
    if (rc != CG_OK)
        return rc;
    *(leaf ? &walk->found.leaf_pages : &walk->found.branch_pages) += 1;
    walk->stack[level].page = page;
    walk->stack[level].next = 0;
    return CG_OK;
}

static int check_leaf(struct inspection *in, struct walk *walk, const uint8_t *page)
{
    unsigned entries = entries_of(page);
    int rc = CG_OK;
    for (unsigned i = 0; rc == CG_OK && i < entries; i++)
        rc = check_leaf_entry(in, walk, page, i);
    walk->found.entries += entries;
    return rc;
}

static int check_pages(struct inspection *in, struct walk *walk, uint64_t root)
{
    unsigned level = 0;
    int rc = descend(in, walk, 0, root);
    while (rc == CG_OK) {
        const uint8_t *page = walk->stack[level].page;
        if (level + 1 == walk->depth)
            rc = check_leaf(in, walk, page);
        if (level + 1 == walk->depth || walk->stack[level].next == entries_of(page)) {
            if (level == 0)
                break;
            level--;
            continue;
        }
        struct node_header node;
        size_t offset;
        rc = node_at(in, page, walk->stack[level].next++, &node, &offset);
        if (rc == CG_OK)
            rc = descend(in, walk, ++level,
                         node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32);
    }
    return rc;
}

static int check_tree(struct inspection *in, const struct tree *tree, enum tree_kind kind)
{
    struct walk walk = {.kind = kind, .depth = tree->depth};
    if (tree->flags != (kind == TREE_FREE ? TREE_INTEGER_KEYS : 0) || tree->depth > DEPTH_MAX ||
        (tree->root == NO_PAGE) != (tree->depth == 0))
        return broken(in, "the description of a database is damaged");
    int rc = tree->depth == 0 ? CG_OK : check_pages(in, &walk, tree->root);
    if (rc != CG_OK)
        return rc;
    if (walk.found.branch_pages != tree->branch_pages ||
        walk.found.leaf_pages != tree->leaf_pages ||
        walk.found.overflow_pages != tree->overflow_pages || walk.found.entries != tree->entries)
        return broken(in, "a database does not have the entries it should have");
    return CG_OK;
}

static int read_meta(struct inspection *in, size_t offset, struct meta *meta)
{
    if (offset + sizeof(struct page_header) + sizeof(*meta) > in->bytes)
        return broken(in, "the file is too short");
    memcpy(meta, in->map + offset + sizeof(struct page_header), sizeof(*meta));
    if (header_of(in->map + offset).flags != PAGE_META || meta->magic != META_MAGIC)
        return broken(in, "the file is not LMDB's");
    if (meta->version != META_VERSION)
        return broken(in, "the file is of another version of LMDB");
    return CG_OK;
}

/*
 * Reads both meta pages and takes the newer one, as LMDB does when it opens the file. When it writes, LMDB takes the one that the
 * transaction's number is even or odd for: they have to be the same.
 */
static int pick_meta(struct inspection *in, struct meta *meta)
{
    struct meta other;
    int rc = read_meta(in, 0, meta);
    if (rc != CG_OK)
        return rc;
    in->page_bytes = meta->free.pad;
    if (in->page_bytes < PAGE_BYTES_MIN || in->page_bytes > PAGE_BYTES_MAX ||
        (in->page_bytes & (in->page_bytes - 1)) != 0)
        return broken(in, "the size of a page is impossible");
    rc = read_meta(in, in->page_bytes, &other);
    if (rc == CG_OK && other.free.pad != meta->free.pad)
        rc = broken(in, "the size of a page is impossible");
    if (rc != CG_OK)
        return rc;
    int second = other.transaction > meta->transaction;
    if (second)
        *meta = other;
    return meta->transaction % 2 == (unsigned)second
               ? CG_OK
               : broken(in, "the description of the newest state is damaged");
}

static int check_map(struct inspection *in)
{
    struct meta meta;
    int rc = pick_meta(in, &meta);
    if (rc != CG_OK)
        return rc;
    in->last_page = meta.last_page;
    in->transaction = meta.transaction;
    /* A few pages at the end may be free and never written; a file that is much shorter than it says is not one of ours, and
     * the sum below must not decide how much memory to take. */
    if (meta.last_page < 1 || meta.last_page / 8 > in->bytes)
        return broken(in, "the file is truncated");
    in->seen = calloc(meta.last_page / 8 + 1, 1);
    if (in->seen == NULL)
        return CG_E_NOMEM;
    rc = check_tree(in, &meta.free, TREE_FREE);
    if (rc == CG_OK)
        rc = check_tree(in, &meta.main, TREE_MAIN);
    free(in->seen);
    return rc;
}

static int inspect_open_file(int fd, const char **damage)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return CG_E_IO;
    struct inspection in = {.bytes = (size_t)status.st_size}; /* all else is zero */
    int rc;
    if (!S_ISREG(status.st_mode)) {
        rc = broken(&in, "the data is not a file");
    } else if (status.st_size == 0) {
        rc = broken(&in, "the file is empty");
    } else {
        void *map = mmap(NULL, in.bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            return errno == ENOMEM ? CG_E_NOMEM : CG_E_IO;
        in.map = map;
        rc = check_map(&in);
        munmap(map, in.bytes);
    }
    *damage = in.damage;
    return rc;
}

int inspect_file(const char *path, const char **damage)
{
    *damage = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ENOENT)
            return CG_OK;
        if (errno != EACCES && errno != ELOOP && errno != ENXIO)
            return CG_E_IO;
        *damage = "the file cannot be opened";
        return CG_E_CORRUPT;
    }
    int rc = inspect_open_file(fd, damage);
    close(fd);
    return rc;
}
