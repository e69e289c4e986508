/*
 * The checksum of what is stored: three interleaved lanes of CRC-32C, folded into one. A single lane waits three cycles for
 * each eight bytes; three of them keep the processor's crc32 instruction busy, so that checking a record of 600 bytes costs
 * some 30 ns. It is not the standard CRC-32C of the whole, and need not be: nobody else reads it.
 */
#ifndef CCTGATE_CACHE_CHECKSUM_H
#define CCTGATE_CACHE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* `seed` is 0 or the result for the bytes before, at a boundary that both sides know. Any thread. */
uint32_t checksum(uint32_t seed, const void *bytes, size_t length);

/* The same by tables alone; what checksum() uses where the processor has no crc32 instruction. For tests otherwise. */
uint32_t checksum_portable(uint32_t seed, const void *bytes, size_t length);

#endif
