/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/narrow.h"

#include <math.h>

#include "base/random.h"
#include "tests/test.h"

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

RUN_TESTS(cmocka_unit_test(narrow_top_is_below_nearest_or_above),
          cmocka_unit_test(
              narrow_top_is_exact_on_average_when_it_is_rounded_at_random))
