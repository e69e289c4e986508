/* The two ways to the checksum agree, and it sees what a checksum must see. */
#include "cache/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static uint8_t bytes[2048];

static int setup(void **state)
{
    uint32_t random = 1;
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        random = random * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(random >> 24);
    }
    return 0;
}

/* Below 24 bytes there is one lane: the CRC-32C that RFC 3720, B.4 gives examples of. */
static void known_values(void **state)
{
    (void)state;
    assert_int_equal(checksum(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(checksum_portable(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(checksum(0, "", 0), 0);
    assert_int_equal(checksum(0x1234, "", 0), 0x1234);
}

static void both_ways_agree(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 1300; length++) {
        for (size_t offset = 0; offset < 9; offset += 3) {
            uint32_t seed = (uint32_t)(length * 2654435761u);
            assert_int_equal(checksum(seed, bytes + offset, length),
                             checksum_portable(seed, bytes + offset, length));
        }
    }
}

static void every_flipped_bit_shows(void **state)
{
    enum { LENGTH = 645 };
    uint32_t right = checksum(0, bytes, LENGTH);
    (void)state;
    for (size_t bit = 0; bit < LENGTH * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_not_equal(checksum(0, bytes, LENGTH), right);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_int_equal(checksum(0, bytes, LENGTH), right);
}

/* The lanes take turns every eight bytes; the same damage in two places must not cancel, whichever lanes they are in. */
static void equal_damage_in_two_places_shows(void **state)
{
    enum { LENGTH = 480 };
    uint32_t right = checksum(0, bytes, LENGTH);
    (void)state;
    for (size_t distance = 1; distance <= 72; distance++) {
        for (size_t at = 0; at + distance < LENGTH; at++) {
            bytes[at] ^= 0x5a;
            bytes[at + distance] ^= 0x5a;
            assert_int_not_equal(checksum(0, bytes, LENGTH), right);
            bytes[at] ^= 0x5a;
            bytes[at + distance] ^= 0x5a;
        }
    }
}

static void words_that_change_places_show(void **state)
{
    enum { LENGTH = 480 };
    uint8_t swapped[LENGTH];
    (void)state;
    for (size_t i = 0; i < LENGTH / 8 - 1; i++) {
        memcpy(swapped, bytes, LENGTH);
        memcpy(swapped + 8 * i, bytes + 8 * (i + 1), 8);
        memcpy(swapped + 8 * (i + 1), bytes + 8 * i, 8);
        assert_int_not_equal(checksum(0, swapped, LENGTH), checksum(0, bytes, LENGTH));
    }
}

static void the_seed_and_the_length_matter(void **state)
{
    static const uint8_t zeros[64];
    (void)state;
    assert_int_not_equal(checksum(0, bytes, 600), checksum(1, bytes, 600));
    for (size_t length = 1; length < 64; length++)
        assert_int_not_equal(checksum(0, zeros, length), checksum(0, zeros, length - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(both_ways_agree),
        cmocka_unit_test(every_flipped_bit_shows),
        cmocka_unit_test(equal_damage_in_two_places_shows),
        cmocka_unit_test(words_that_change_places_show),
        cmocka_unit_test(the_seed_and_the_length_matter),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
