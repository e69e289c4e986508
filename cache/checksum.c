#include "cache/checksum.h"

#include <string.h>

/* Where lanes two and three begin: any two constants, so that equal lanes do not look equal. */
#define LANE_B 0x9e3779b9u
#define LANE_C 0x7f4a7c15u

/* Nibble table of the reflected Castagnoli polynomial 0x82f63b78. */
static const uint32_t nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};

static uint64_t load_64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static inline uint32_t step_8_portable(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    crc = (crc >> 4) ^ nibbles[crc & 15];
    return (crc >> 4) ^ nibbles[crc & 15];
}

static inline uint64_t step_64_portable(uint64_t from, uint64_t word)
{
    uint32_t crc = (uint32_t)from;
    for (unsigned i = 0; i < 8; i++, word >>= 8)
        crc = step_8_portable(crc, (uint8_t)word);
    return crc;
}

/*
 * Turns a lane over before it joins: one to one, so damage in one lane always shows, and not linear, so that the lanes'
 * polynomials do not line up (folded as they are, the same damage in two words 16 bytes apart would cancel).
 */
static inline uint32_t turn(uint64_t lane, uint32_t factor)
{
    uint32_t x = (uint32_t)lane;
    x ^= x >> 16;
    x *= factor;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

#define DEFINE_CHECKSUM(name, attribute, step_64, step_8)                                          \
    attribute uint32_t name(uint32_t seed, const void *bytes, size_t length)                       \
    {                                                                                              \
        const uint8_t *at = bytes;                                                                 \
        uint64_t a = (uint32_t)~seed, b = LANE_B, c = LANE_C; /* high halves stay 0 */             \
        if (length >= 24) {                                                                        \
            for (; length >= 24; at += 24, length -= 24) {                                         \
                a = step_64(a, load_64(at));                                                       \
                b = step_64(b, load_64(at + 8));                                                   \
                c = step_64(c, load_64(at + 16));                                                  \
            }                                                                                      \
            a ^= turn(b, 0x7feb352du) ^ turn(c, 0x2c1b3c6du);                                      \
        }                                                                                          \
        for (; length >= 8; at += 8, length -= 8)                                                  \
            a = step_64(a, load_64(at));                                                           \
        for (; length != 0; at++, length--)                                                        \
            a = step_8((uint32_t)a, *at);                                                          \
        return ~(uint32_t)a;                                                                       \
    }

DEFINE_CHECKSUM(checksum_portable, , step_64_portable, step_8_portable)

#if defined(__x86_64__)
DEFINE_CHECKSUM(checksum_sse42, __attribute__((target("sse4.2"))) static, __builtin_ia32_crc32di,
                __builtin_ia32_crc32qi)

uint32_t checksum(uint32_t seed, const void *bytes, size_t length)
{
    return __builtin_cpu_supports("sse4.2") ? checksum_sse42(seed, bytes, length)
                                            : checksum_portable(seed, bytes, length);
}
#else
uint32_t checksum(uint32_t seed, const void *bytes, size_t length)
{
    return checksum_portable(seed, bytes, length);
}
#endif
