/*
 * Records, owners and small values as bytes. Everything carries a checksum over its key and its content, so that a value
 * that was damaged, or has come under another key, does not read back. Values in LMDB are aligned to two bytes only:
 * everything here reads them by memcpy.
 */
#ifndef CCTGATE_CACHE_RECORD_H
#define CCTGATE_CACHE_RECORD_H

#include "cctgate/store.h"

#include <lmdb.h>

#define RECORD_HEADER_BYTES 40u

/* Writes RECORD_HEADER_BYTES and the body to `to`. */
void record_encode(const MDB_val *key, const struct record *record, void *to);
/* CG_OK or CG_E_CORRUPT; the body points into `value`. */
int record_decode(const MDB_val *key, const MDB_val *value, struct record *record);
/* The same without a look at the body: for scans that want the times or the user. */
int record_peek(const MDB_val *value, struct record *record);

/* A value of `length` bytes behind a checksum of four. */
#define SEALED_HEADER_BYTES 4u
void sealed_encode(const MDB_val *key, const void *content, size_t length, void *to);
/* CG_OK with *content pointing into `value`, or CG_E_CORRUPT. */
int sealed_decode(const MDB_val *key, const MDB_val *value, const void **content, size_t *length);

/* An entry of the event log: ENTRY_HEADER_BYTES, then the content; its key is its number. */
#define ENTRY_HEADER_BYTES 8u
void entry_encode(const MDB_val *key, const void *content, size_t length, void *to);
/* CG_OK with *content pointing into `value`, or CG_E_CORRUPT. */
int entry_decode(const MDB_val *key, const MDB_val *value, const void **content, size_t *length);

/* What an error of LMDB is to us; 0 and MDB_NOTFOUND as well. */
int store_error(int mdb_rc);

#endif
