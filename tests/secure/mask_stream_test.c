/*
 * Masks held against libsodium's ChaCha20, byte for byte.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <sodium.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "secure/mask.h"
#include "tests/test.h"

enum { WORDS_MAX = 5000 };

static void compare(size_t count, size_t first, const uint8_t *key)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    uint64_t words[WORDS_MAX] = {0};
    uint8_t expected[sizeof words] = {0};
    assert_int_equal(crypto_stream_chacha20_xor_ic(expected, expected,
                                                   count * sizeof *words, nonce,
                                                   first / 8, key),
                     0);
    fl_mask_add_from(words, count, first, key, false);
    assert_memory_equal(words, expected, sizeof words);
    fl_mask_add_from(words, count, first, key, true);
    for (size_t i = 0; i < count; i++)
        assert_true(words[i] == 0);
}

static void compare_with_level(const char *level)
{
    static const size_t counts[] = {0,   1,   7,   8,   9,   63,   64,       65,
                                    127, 128, 129, 255, 257, 1000, WORDS_MAX};
    static const size_t firsts[] = {0,
                                    8,
                                    64,
                                    120,
                                    8008,
                                    (size_t)1 << 32,
                                    (((size_t)1 << 32) - 5) * 8,
                                    (((size_t)1 << 32) + 5) * 8,
                                    (((size_t)1 << 60) - 3) * 8};
    uint8_t key[FL_MASK_KEY_BYTES];
    assert_int_equal(setenv("FEDGE_CPU", level, 1), 0);
    if (fl_cpu_check(NULL)) return;
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            randombytes_buf(key, sizeof key);
            compare(counts[k], firsts[i], key);
        }
    }
}

static int let_go(void **state __attribute__((unused)))
{
    return unsetenv("FEDGE_CPU");
}

TEST(mask_stream_is_that_of_libsodium_in_plain_c)
{
    compare_with_level("portable");
}

TEST(mask_stream_is_that_of_libsodium_with_neon)
{
    compare_with_level("smlal");
}

TEST(mask_stream_is_that_of_libsodium_with_avx2)
{
    compare_with_level("avx2");
}

TEST(mask_stream_is_that_of_libsodium_with_avx512)
{
    compare_with_level("avx512");
}

RUN_TESTS(cmocka_unit_test_teardown(mask_stream_is_that_of_libsodium_in_plain_c,
                                    let_go),
          cmocka_unit_test_teardown(mask_stream_is_that_of_libsodium_with_neon,
                                    let_go),
          cmocka_unit_test_teardown(mask_stream_is_that_of_libsodium_with_avx2,
                                    let_go),
          cmocka_unit_test_teardown(
              mask_stream_is_that_of_libsodium_with_avx512, let_go))
