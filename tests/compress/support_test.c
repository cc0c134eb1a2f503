/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>

#include "compress/update/support.h"
#include "tests/test.h"

enum { GROUP = 1, COUNT = 20000, PADDED = 8192 + 8192 + 4096 };

/* How often each rotated coordinate is in the sample; returns its size. */
static size_t count_picks(const fl_support *support, unsigned *hits)
{
    uint16_t picks[FL_ROTATION_BLOCK];
    uint32_t index = 0;
    size_t total = 0;
    for (size_t at = 0, size; at < support->padded; at += size) {
        size = fl_rotation_block(support->padded - at);
        const size_t count = fl_support_draw(support, picks, index++, at, size);
        assert_true(count <= size);
        for (size_t i = 0; i < count; i++) {
            assert_true(picks[i] < size);
            hits[at + picks[i]]++;
        }
        total += count;
    }
    return total;
}

TEST(support_keeps_the_share_in_sixteens)
{
    assert_int_equal(fl_support_kept(COUNT, 0.05F), 992);  // 1000
    assert_int_equal(fl_support_kept(COUNT, 1.0F), PADDED);
    assert_int_equal(fl_support_kept(COUNT, 1e-9F), 16);
    assert_int_equal(fl_support_kept(100, 0.05F), 16);
    assert_int_equal(fl_support_kept(9, 0.05F), 16);  // all of 16
    assert_int_equal(fl_support_kept(5, 0.05F), 8);   // all of 8
    assert_int_equal(fl_support_kept(1, 0.5F), 1);
    assert_int_equal(fl_support_kept(0, 0.5F), 0);
    assert_int_equal(fl_support_kept(0, 1.0F), 0);
}

TEST(support_has_as_many_as_it_keeps_and_none_twice)
{
    const float densities[] = {1e-9F, 0.05F, 0.25F, 0.9999F};
    for (size_t k = 0; k < sizeof densities / sizeof *densities; k++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            unsigned hits[PADDED] = {0};
            fl_support support;
            fl_support_init(&support, seed, GROUP, COUNT, densities[k]);
            assert_true(support.offset < support.padded);
            assert_int_equal(count_picks(&support, hits), support.kept);
            for (size_t i = 0; i < PADDED; i++)
                assert_true(hits[i] <= 1);
        }
    }
}

TEST(support_of_all_is_in_order)
{
    uint16_t picks[FL_ROTATION_BLOCK];
    fl_support support;
    fl_support_init(&support, 3, GROUP, COUNT, 1.0F);
    assert_int_equal(fl_support_draw(&support, picks, 2, 16384, 4096), 4096);
    for (size_t i = 0; i < 4096; i++)
        assert_int_equal(picks[i], i);
}

static void assert_even(size_t count, float density)
{
    enum { DRAWS = 4000, BLOCK = FL_ROTATION_BLOCK };
    unsigned hits[BLOCK + 64] = {0};
    fl_support support;
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        fl_support_init(&support, seed, GROUP, count, density);
        count_picks(&support, hits);
    }
    const double p = (double)support.kept / (double)support.padded;
    const double deviation = sqrt(DRAWS * p * (1.0 - p));
    double last = 0.0;
    for (size_t i = 0; i < support.padded; i++) {
        assert_true(fabs(hits[i] - DRAWS * p) < 6.0 * deviation);
        if (i >= BLOCK) last += hits[i];
    }
    const double size = (double)support.padded - BLOCK;
    assert_true(fabs(last / size - DRAWS * p) < 5.0 * deviation / sqrt(size));
}

// What decoding relies on: kept / padded for each, also in the last block,
// whose share is rounded to a neighbour at random.
TEST(support_is_as_likely_to_have_one_as_another)
{
    assert_even(8192 + 40, 0.25F);
    assert_even(8192 + 8, 0.002F);  // 16 of all: one in 64 is in the last
}

TEST(support_differs_by_seed_group_and_block)
{
    uint16_t first[FL_ROTATION_BLOCK], other[FL_ROTATION_BLOCK];
    const uint64_t seeds[] = {1, 2, 1, 1};
    const uint32_t groups[] = {0, 0, 1, 0}, blocks[] = {0, 0, 0, 1};
    for (size_t k = 0; k < 4; k++) {
        fl_support support;
        fl_support_init(&support, seeds[k], groups[k], 16384, 0.25F);
        const size_t count =
            fl_support_draw(&support, other, blocks[k], 0, 8192);
        assert_true(count >= 2048 - 1);
        if (k == 0) memcpy(first, other, sizeof first);
        assert_int_equal(memcmp(first, other, 100) == 0, k == 0);
    }
}

RUN_TESTS(cmocka_unit_test(support_keeps_the_share_in_sixteens),
          cmocka_unit_test(support_has_as_many_as_it_keeps_and_none_twice),
          cmocka_unit_test(support_of_all_is_in_order),
          cmocka_unit_test(support_is_as_likely_to_have_one_as_another),
          cmocka_unit_test(support_differs_by_seed_group_and_block))
