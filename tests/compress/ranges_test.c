/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/ranges.h"

#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/random.h"
#include "tests/support/vector.h"
#include "tests/test.h"

enum { COUNT = 50, BYTES = 4 + 8 * COUNT };

static const fl_range EXAMPLE[] = {
    {0.0F, 1.0F}, {-2.125F, 1.5F}, {0.0F, 0.0F}, {-0x1p-16F, 0x1p16F}};
enum { EXAMPLE_COUNT = sizeof EXAMPLE / sizeof *EXAMPLE };

static void draw(fl_range ranges[COUNT])
{
    fl_random random;
    fl_random_init(&random, 5, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < COUNT; i++) {
        ranges[i].low = -(float)fl_random_exponential(&random);
        ranges[i].high = (float)fl_random_exponential(&random);
    }
}

TEST(ranges_come_back)
{
    fl_range ranges[COUNT], back[COUNT];
    uint8_t bytes[BYTES];
    draw(ranges);
    assert_int_equal(fl_ranges_bytes(COUNT), BYTES);
    assert_ok(fl_ranges_encode(bytes, BYTES, ranges, COUNT));
    assert_ok(fl_ranges_decode(back, COUNT, bytes, BYTES, NULL));
    assert_memory_equal(back, ranges, sizeof ranges);
}

TEST(ranges_may_be_none)
{
    uint8_t bytes[4];
    assert_int_equal(fl_ranges_bytes(0), 4);
    assert_ok(fl_ranges_encode(bytes, 4, NULL, 0));
    assert_ok(fl_ranges_decode(NULL, 0, bytes, 4, NULL));
}

TEST(ranges_need_the_room_they_take)
{
    fl_range ranges[COUNT];
    uint8_t bytes[BYTES];
    draw(ranges);
    assert_err(fl_ranges_encode(bytes, BYTES - 1, ranges, COUNT), FL_ERR_SPACE);
    assert_err(fl_ranges_encode(bytes, 0, ranges, COUNT), FL_ERR_SPACE);
}

TEST(ranges_have_one_encoding)
{
    const fl_range signs[] = {{-0.0F, -0.0F}}, plain[] = {{0.0F, 0.0F}};
    uint8_t a[12], b[12];
    fl_range back;
    fl_reason why = {""};
    assert_ok(fl_ranges_encode(a, sizeof a, signs, 1));
    assert_ok(fl_ranges_encode(b, sizeof b, plain, 1));
    assert_memory_equal(a, b, sizeof a);
    for (size_t at = 7; at < 12; at += 4) {
        b[at] = 0x80;
        assert_err(fl_ranges_decode(&back, 1, b, sizeof b, &why),
                   FL_ERR_FORMAT);
        assert_reason_names(why, "sign");
        b[at] = 0;
    }
}

TEST(ranges_of_another_length_are_refused)
{
    fl_range ranges[COUNT], back[COUNT];
    uint8_t bytes[BYTES + 8] = {0};
    fl_reason why = {""};
    draw(ranges);
    assert_ok(fl_ranges_encode(bytes, BYTES, ranges, COUNT));
    for (size_t len = 0; len <= sizeof bytes; len++) {
        if (len == BYTES) continue;
        assert_err(fl_ranges_decode(back, COUNT, bytes, len, &why),
                   FL_ERR_FORMAT);
        assert_reason_names(why, "not whole ranges");
    }
    fl_bytes_put_u32(bytes, COUNT + 1);
    assert_err(fl_ranges_decode(back, COUNT, bytes, BYTES, &why),
               FL_ERR_FORMAT);
    fl_bytes_put_u32(bytes, UINT32_MAX);
    assert_err(fl_ranges_decode(back, COUNT, bytes, BYTES, &why),
               FL_ERR_FORMAT);
}

TEST(ranges_of_another_model_are_refused)
{
    fl_range ranges[COUNT], back[COUNT];
    uint8_t bytes[BYTES];
    fl_reason why = {""};
    draw(ranges);
    assert_ok(fl_ranges_encode(bytes, BYTES, ranges, COUNT));
    assert_err(fl_ranges_decode(back, COUNT - 1, bytes, BYTES, &why),
               FL_ERR_FORMAT);
    assert_reason_names(why, "50 ranges");
    assert_reason_names(why, "49");
}

static void assert_refused(fl_range bad)
{
    fl_range ranges[COUNT], back[COUNT];
    uint8_t bytes[BYTES];
    fl_reason why = {""};
    draw(ranges);
    ranges[7] = bad;
    assert_ok(fl_ranges_encode(bytes, BYTES, ranges, COUNT));
    assert_err(fl_ranges_decode(back, COUNT, bytes, BYTES, &why),
               FL_ERR_FORMAT);
    assert_reason_names(why, "range 7");
}

TEST(ranges_that_are_none_are_refused)
{
    const float never[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        assert_refused((fl_range){never[i], 1.0F});
        assert_refused((fl_range){-1.0F, never[i]});
    }
    assert_refused((fl_range){1e-30F, 1.0F});
    assert_refused((fl_range){-1.0F, -1e-30F});
    assert_refused((fl_range){1.0F, -1.0F});
}

TEST(ranges_are_as_documented)
{
    uint8_t bytes[4 + 8 * EXAMPLE_COUNT];
    size_t len;
    assert_ok(fl_ranges_encode(bytes, sizeof bytes, EXAMPLE, EXAMPLE_COUNT));
    uint8_t *expected = fl_vector_read(&len, "docs/format.md", "ranges");
    assert_non_null(expected);
    assert_int_equal(len, sizeof bytes);
    assert_memory_equal(bytes, expected, len);
    fl_range back[EXAMPLE_COUNT];
    assert_ok(fl_ranges_decode(back, EXAMPLE_COUNT, expected, len, NULL));
    assert_memory_equal(back, EXAMPLE, sizeof back);
    free(expected);
}

RUN_TESTS(cmocka_unit_test(ranges_come_back),
          cmocka_unit_test(ranges_may_be_none),
          cmocka_unit_test(ranges_need_the_room_they_take),
          cmocka_unit_test(ranges_have_one_encoding),
          cmocka_unit_test(ranges_of_another_length_are_refused),
          cmocka_unit_test(ranges_of_another_model_are_refused),
          cmocka_unit_test(ranges_that_are_none_are_refused),
          cmocka_unit_test(ranges_are_as_documented))
