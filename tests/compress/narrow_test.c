/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/narrow.h"

#include <float.h>
#include <math.h>

#include "base/random.h"
#include "tests/test.h"

TEST(narrow_half_is_that_of_ieee)
{
    static const struct {
        float value;
        uint16_t half;
    } cases[] = {
        {0.0F, 0x0000},
        {-0.0F, 0x8000},
        {1.0F, 0x3c00},
        {-2.0F, 0xc000},
        {65504.0F, 0x7bff},
        {0x1p-14F, 0x0400},
        {0x1p-24F, 0x0001},
        {0x3ffp-24F, 0x03ff},
        {1.0F / 3.0F, 0x3555},
        {1.0F + 0x1p-11F, 0x3c00},  // a tie: even
        {1.0F + 0x3p-11F, 0x3c02},
        {0x1p-25F, 0x0000},
        {0x3p-25F, 0x0002},
        {0x1.8p-25F, 0x0001},
        {0x7ffp-25F, 0x0400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(fl_narrow_encode_half(cases[i].value), cases[i].half);
    }
}

TEST(narrow_half_of_what_is_too_large_is_the_largest)
{
    assert_int_equal(fl_narrow_encode_half(65520.0F), 0x7bff);
    assert_int_equal(fl_narrow_encode_half(FLT_MAX), 0x7bff);
    assert_int_equal(fl_narrow_encode_half(-FLT_MAX), 0xfbff);
}

TEST(narrow_half_comes_back)
{
    for (uint32_t half = 0; half <= 0xffff; half++) {
        const float value = fl_narrow_decode_half((uint16_t)half);
        if ((half & 0x7c00) == 0x7c00) {
            assert_false(isfinite(value));
            continue;
        }
        assert_int_equal(fl_narrow_encode_half(value), half);
    }
}

TEST(narrow_half_is_the_nearest)
{
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    for (int i = 0; i < 100000; i++) {
        const int exponent = (int)fl_random_below(&random, 40) - 26;
        const double value = (double)ldexpf(fl_random_float(&random), exponent);
        const uint16_t half = fl_narrow_encode_half((float)value);
        const double off = fabs((double)fl_narrow_decode_half(half) - value);
        for (int step = -1; step <= 1; step += 2) {
            if (half == 0 && step < 0) continue;
            const uint16_t other = (uint16_t)(half + step);
            assert_true(off <=
                        fabs((double)fl_narrow_decode_half(other) - value));
        }
    }
}

TEST(narrow_top_is_below_nearest_or_above)
{
    assert_int_equal(fl_narrow_encode_top(1.0F, FL_NARROW_BELOW), 0x3f80);
    assert_int_equal(fl_narrow_encode_top(1.0F, FL_NARROW_ABOVE), 0x3f80);
    const float value = 1.0F + 0x1p-9F;  // a quarter of a step
    assert_int_equal(fl_narrow_encode_top(value, FL_NARROW_BELOW), 0x3f80);
    assert_int_equal(fl_narrow_encode_top(value, FL_NARROW_NEAREST), 0x3f80);
    assert_int_equal(fl_narrow_encode_top(value, FL_NARROW_ABOVE), 0x3f81);
    assert_int_equal(fl_narrow_encode_top(1.0F + 0x3p-9F, FL_NARROW_NEAREST),
                     0x3f81);
    assert_true(fl_narrow_decode_top(0x3f81) == 1.0F + 0x1p-7F);
    assert_int_equal(fl_narrow_encode_top(-0.0F, FL_NARROW_NEAREST), 0);
}

TEST(narrow_top_is_exact_on_average_when_it_is_rounded_at_random)
{
    double sum = 0.0;
    fl_random random;
    fl_random_init(&random, 2, FL_RANDOM_TEST, 0);
    const float value = 1.0F + 0.3F * 0x1p-7F;
    for (int i = 0; i < 10000; i++) {
        const uint16_t more = (uint16_t)fl_random_u32(&random);
        sum += (double)fl_narrow_decode_top(fl_narrow_encode_top(value, more));
    }
    // The deviation of the mean is below 0.005 steps.
    assert_true(fabs(sum / 10000 - (double)value) < 0.02 * 0x1p-7);
}

RUN_TESTS(cmocka_unit_test(narrow_half_is_that_of_ieee),
          cmocka_unit_test(narrow_half_of_what_is_too_large_is_the_largest),
          cmocka_unit_test(narrow_half_comes_back),
          cmocka_unit_test(narrow_half_is_the_nearest),
          cmocka_unit_test(narrow_top_is_below_nearest_or_above),
          cmocka_unit_test(
              narrow_top_is_exact_on_average_when_it_is_rounded_at_random))
