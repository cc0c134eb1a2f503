/* SPDX-License-Identifier: Apache-2.0 */
#include "base/half.h"

#include <float.h>
#include <math.h>

#include "base/random.h"
#include "tests/test.h"

TEST(half_is_that_of_ieee)
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
        assert_int_equal(fl_half_encode(cases[i].value), cases[i].half);
    }
}

TEST(half_of_what_is_too_large_is_the_largest)
{
    assert_int_equal(fl_half_encode(65520.0F), 0x7bff);
    assert_int_equal(fl_half_encode(FLT_MAX), 0x7bff);
    assert_int_equal(fl_half_encode(-FLT_MAX), 0xfbff);
}

TEST(half_comes_back)
{
    for (uint32_t half = 0; half <= 0xffff; half++) {
        const float value = fl_half_decode((uint16_t)half);
        if ((half & 0x7c00) == 0x7c00) {
            assert_false(isfinite(value));
            continue;
        }
        assert_int_equal(fl_half_encode(value), half);
    }
}

TEST(half_is_the_nearest)
{
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    for (int i = 0; i < 100000; i++) {
        const int exponent = (int)fl_random_below(&random, 40) - 26;
        const double value = (double)ldexpf(fl_random_float(&random), exponent);
        const uint16_t half = fl_half_encode((float)value);
        const double off = fabs((double)fl_half_decode(half) - value);
        for (int step = -1; step <= 1; step += 2) {
            if (half == 0 && step < 0) continue;
            const uint16_t other = (uint16_t)(half + step);
            assert_true(off <= fabs((double)fl_half_decode(other) - value));
        }
    }
}

RUN_TESTS(cmocka_unit_test(half_is_that_of_ieee),
          cmocka_unit_test(half_of_what_is_too_large_is_the_largest),
          cmocka_unit_test(half_comes_back),
          cmocka_unit_test(half_is_the_nearest))
