/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/rice.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "tests/test.h"

enum { LEN = 80000, BYTES_MAX = 60000 };

// Ones at random places; returns how many.
static size_t scatter(float *x, size_t len, double density, uint64_t seed)
{
    size_t count = 0;
    fl_random random;
    fl_random_init(&random, seed, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < len; i++) {
        x[i] = fl_random_double(&random) < density ? 1.0F : 0.0F;
        count += x[i] != 0.0F;
    }
    return count;
}

static size_t encode(uint8_t *dst, const float *x, size_t len, unsigned k)
{
    fl_writer out = fl_writer_over(dst, BYTES_MAX);
    fl_bits_writer bits = fl_bits_writer_over(&out);
    fl_rice_encode(&bits, x, len, k);
    fl_bits_end(&bits);
    assert_ok(fl_writer_finish(&out));
    return out.len;
}

static fl_err decode(float *x, size_t len, size_t count, const uint8_t *src,
                     size_t src_len, unsigned k)
{
    fl_reader in = fl_reader_over(src, src_len);
    fl_bits_reader bits = fl_bits_reader_over(&in);
    fl_rice_decode(x, len, count, &bits, k);
    fl_bits_close(&bits);
    return fl_reader_finish(&in);
}

TEST(rice_is_ones_a_zero_and_low_bits)
{
    const float x[] = {0, 0, 0, 0, 0, 1, 1, 0};  // gaps 5 and 0
    uint8_t bytes[BYTES_MAX];
    // k = 1: 110 1, 0 0; from the lowest bit on
    assert_int_equal(encode(bytes, x, 8, 1), 1);
    assert_int_equal(bytes[0], 0x0b);
}

TEST(rice_roundtrips_at_any_density)
{
    static float x[LEN], back[LEN];
    static const double densities[] = {0.0, 1e-4, 0.01, 0.1, 0.5, 0.9, 1.0};
    uint8_t bytes[BYTES_MAX];
    for (size_t i = 0; i < sizeof densities / sizeof *densities; i++) {
        const size_t count = scatter(x, LEN, densities[i], i);
        const unsigned k = fl_rice_fit(x, LEN);
        const size_t len = encode(bytes, x, LEN, k);
        assert_true(len <= (fl_rice_bound(count, LEN) + 7) / 8);
        assert_ok(decode(back, LEN, count, bytes, len, k));
        assert_memory_equal(back, x, sizeof x);
    }
}

TEST(rice_bound_holds_for_any_positions)
{
    static float x[LEN];
    static uint8_t bytes[BYTES_MAX];
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_TEST, 1);
    for (int i = 0; i < 300; i++) {
        const size_t len = 1 + fl_random_below(&random, 3000);
        const size_t count = 1 + fl_random_below(&random, (uint32_t)len);
        // all in a heap at the end, or spread, or a mixture of both
        memset(x, 0, len * sizeof *x);
        for (size_t j = 0; j < count; j++) {
            const uint32_t at = fl_random_below(&random, (uint32_t)len);
            x[i % 3 == 0 || (i % 3 == 1 && j % 2) ? len - 1 - j : at] = 1.0F;
        }
        size_t kept = 0;
        for (size_t j = 0; j < len; j++) {
            kept += x[j] != 0.0F;
        }
        const size_t used = encode(bytes, x, len, fl_rice_fit(x, len));
        assert_true(used <= (fl_rice_bound(kept, len) + 7) / 8);
    }
}

TEST(rice_fits_the_k_that_is_best)
{
    static float x[LEN];
    static const double densities[] = {0.002, 0.01, 0.03, 0.1, 0.3};
    uint8_t bytes[BYTES_MAX];
    for (size_t i = 0; i < sizeof densities / sizeof *densities; i++) {
        scatter(x, LEN, densities[i], 7);
        const size_t best = encode(bytes, x, LEN, fl_rice_fit(x, LEN));
        for (unsigned k = 0; k <= 12; k++) {
            assert_true(best <= encode(bytes, x, LEN, k));
        }
    }
}

// What a coder without memory needs at least for `count` of LEN.
static double entropy_bytes(size_t count)
{
    const double p = (double)count / LEN;
    return -(p * log2(p) + (1 - p) * log2(1 - p)) * LEN / 8;
}

TEST(rice_is_within_five_per_cent_of_the_entropy)
{
    static float x[LEN];
    static const double densities[] = {0.002, 0.005, 0.01, 0.02, 0.05, 0.1};
    uint8_t bytes[BYTES_MAX];
    for (size_t i = 0; i < sizeof densities / sizeof *densities; i++) {
        const size_t count = scatter(x, LEN, densities[i], 3);
        const size_t len = encode(bytes, x, LEN, fl_rice_fit(x, LEN));
        const double ratio = (double)len / entropy_bytes(count);
        print_message("density %g: %zu bytes, %.3f of the entropy\n",
                      densities[i], len, ratio);
        assert_true(ratio <= 1.05);
    }
}

TEST(rice_refuses_values_behind_the_end)
{
    float x[8];
    // k = 0: a gap of 8 is eight ones and a zero
    const uint8_t ones[] = {0xff, 0x00};
    assert_err(decode(x, 8, 1, ones, 2, 0), FL_ERR_FORMAT);
    assert_ok(decode(x, 8, 1, (uint8_t[]){0x7f}, 1, 0));  // a gap of 7
    assert_true(x[7] == 1.0F);
    assert_err(decode(x, 8, 2, (uint8_t[]){0x7f, 0x00}, 2, 0), FL_ERR_FORMAT);
    // k = 4: low bits 8
    assert_err(decode(x, 8, 1, (uint8_t[]){0x10}, 1, 4), FL_ERR_FORMAT);
    assert_err(decode(x, 8, 1, (uint8_t[]){0x01}, 1, 30), FL_ERR_FORMAT);
}

TEST(rice_refuses_bytes_that_are_missing_left_over_or_not_padded_with_zeros)
{
    float x[8];
    assert_err(decode(x, 8, 1, NULL, 0, 0), FL_ERR_FORMAT);
    assert_err(decode(x, 8, 1, (uint8_t[]){0x01, 0x00}, 2, 0), FL_ERR_FORMAT);
    assert_err(decode(x, 8, 1, (uint8_t[]){0x05}, 1, 0), FL_ERR_FORMAT);
    assert_ok(decode(x, 8, 1, (uint8_t[]){0x01}, 1, 0));
}

RUN_TESTS(
    cmocka_unit_test(rice_is_ones_a_zero_and_low_bits),
    cmocka_unit_test(rice_roundtrips_at_any_density),
    cmocka_unit_test(rice_bound_holds_for_any_positions),
    cmocka_unit_test(rice_fits_the_k_that_is_best),
    cmocka_unit_test(rice_is_within_five_per_cent_of_the_entropy),
    cmocka_unit_test(rice_refuses_values_behind_the_end),
    cmocka_unit_test(
        rice_refuses_bytes_that_are_missing_left_over_or_not_padded_with_zeros))
