/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>

#include "compress/update/rotation.h"
#include "tests/test.h"

static const fl_rotation SIGNS = {5, FL_RANDOM_SIGNS, 1};

static double length(const float *values, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += (double)values[i] * (double)values[i];
    return sqrt(sum);
}

TEST(rotation_pads_to_one_small_block_at_most)
{
    const size_t counts[] = {0, 1, 3, 4, 4097, 8192, 8193, 3 * 8192 + 100};
    const size_t padded[] = {0, 1, 4, 4, 8192, 8192, 8193, 3 * 8192 + 128};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        assert_int_equal(fl_rotation_padded(counts[i]), padded[i]);
}

TEST(rotation_blocks_are_the_largest_that_fit)
{
    assert_int_equal(fl_rotation_block(100000), 8192);
    assert_int_equal(fl_rotation_block(8192), 8192);
    assert_int_equal(fl_rotation_block(8191), 4096);
    assert_int_equal(fl_rotation_block(48), 32);
    assert_int_equal(fl_rotation_block(1), 1);
}

TEST(rotation_keeps_lengths_and_can_be_undone)
{
    for (size_t size = 1; size <= FL_ROTATION_BLOCK; size *= 2) {
        static float block[FL_ROTATION_BLOCK];
        for (size_t i = 0; i < size; i++)
            block[i] = (float)(i % 7) - 2.0F;
        const double before = length(block, size);
        fl_rotation_apply(&SIGNS, 3, block, size);
        assert_true(fabs(length(block, size) - before) < 1e-5 * before);
        fl_rotation_undo(&SIGNS, 3, block, size);
        for (size_t i = 0; i < size; i++)
            assert_true(fabsf(block[i] - ((float)(i % 7) - 2.0F)) < 1e-4F);
    }
}

// A single value, or values that are all the same, end up everywhere alike.
TEST(rotation_spreads_what_is_large)
{
    static float block[FL_ROTATION_BLOCK];
    for (size_t i = 0; i < FL_ROTATION_BLOCK; i++)
        block[i] = 1.0F;
    fl_rotation_apply(&SIGNS, 0, block, FL_ROTATION_BLOCK);
    for (size_t i = 0; i < FL_ROTATION_BLOCK; i++)
        assert_true(fabsf(block[i]) < 6.0F);  // deviation: 1
}

TEST(rotation_differs_by_seed_purpose_group_and_block)
{
    enum { SIZE = 64 };
    const fl_rotation others[] = {
        {6, FL_RANDOM_SIGNS, 1},
        {5, FL_RANDOM_MIX, 1},
        {5, FL_RANDOM_SIGNS, 0},
        SIGNS,
        SIGNS,
    };
    const uint32_t blocks[] = {2, 2, 2, 3, 2};
    float first[SIZE], other[SIZE];
    for (size_t k = 0; k < 5; k++) {
        for (size_t i = 0; i < SIZE; i++)
            first[i] = other[i] = (float)i;
        fl_rotation_apply(&SIGNS, 2, first, SIZE);
        fl_rotation_apply(&others[k], blocks[k], other, SIZE);
        const bool is_same = memcmp(first, other, sizeof first) == 0;
        assert_int_equal(is_same, k == 4);
    }
}

RUN_TESTS(cmocka_unit_test(rotation_pads_to_one_small_block_at_most),
          cmocka_unit_test(rotation_blocks_are_the_largest_that_fit),
          cmocka_unit_test(rotation_keeps_lengths_and_can_be_undone),
          cmocka_unit_test(rotation_spreads_what_is_large),
          cmocka_unit_test(rotation_differs_by_seed_purpose_group_and_block))
