/*
 * Looks at an LMDB file before LMDB does. LMDB trusts its file: a truncated one ends in SIGBUS, a damaged page in a wild
 * pointer or an assertion. So every page that the newest meta page reaches is checked first, with nothing but bounded
 * reads: numbers, kinds, offsets, counts, the free list, and that no page is used twice. Records are not looked into; they
 * carry checksums of their own. Costs a pass over the file's tree pages, some 200 ns a page when they are in memory.
 *
 * Layout facts are those of LMDB 0.9 (data version 1) on a 64-bit machine, and only what this store makes: named databases in
 * the main one, no duplicates (mdb.c, struct MDB_page, MDB_node, MDB_db and MDB_meta).
 */
#ifndef CCTGATE_CACHE_INSPECT_H
#define CCTGATE_CACHE_INSPECT_H

/*
 * `path` is a data.mdb that nobody has open. CG_OK: sound, or absent. CG_E_CORRUPT: *damage is a constant that says what is
 * wrong. CG_E_IO, CG_E_NOMEM: could not be looked at.
 */
int inspect_file(const char *path, const char **damage);

#endif
