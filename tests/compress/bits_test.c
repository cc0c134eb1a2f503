/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/bits.h"

#include "base/random.h"
#include "tests/test.h"

static size_t put_varint(uint8_t dst[FL_BITS_VARINT_MAX], uint64_t value)
{
    fl_writer out = fl_writer_over(dst, FL_BITS_VARINT_MAX);
    fl_bits_put_varint(&out, value);
    assert_ok(fl_writer_finish(&out));
    return out.len;
}

TEST(bits_have_varints_of_seven_bits_a_byte)
{
    uint8_t bytes[FL_BITS_VARINT_MAX];
    assert_int_equal(put_varint(bytes, 127), 1);
    assert_int_equal(bytes[0], 127);
    assert_int_equal(put_varint(bytes, 300), 2);
    assert_memory_equal(bytes, ((uint8_t[]){0xac, 0x02}), 2);
}

TEST(bits_roundtrip_varints_of_every_length)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        for (uint64_t less = 0; less < 2; less++) {
            uint8_t bytes[FL_BITS_VARINT_MAX];
            const uint64_t value = (UINT64_C(1) << bit) - less;
            const size_t len = put_varint(bytes, value);
            fl_reader in = fl_reader_over(bytes, len);
            assert_true(fl_bits_get_varint(&in) == value);
            assert_ok(fl_reader_finish(&in));
        }
    }
    uint8_t bytes[FL_BITS_VARINT_MAX];
    fl_reader in = fl_reader_over(bytes, put_varint(bytes, UINT64_MAX));
    assert_true(fl_bits_get_varint(&in) == UINT64_MAX);
}

TEST(bits_refuse_varints_that_are_cut_too_long_or_too_large)
{
    static const struct {
        size_t len;
        uint8_t bytes[11];
    } cases[] = {
        {0, {0}},
        {1, {0x80}},
        {2, {0x81, 0x00}},
        {2, {0x80, 0x00}},
        {10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2}},
        {11, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_reader in = fl_reader_over(cases[i].bytes, cases[i].len);
        assert_int_equal(fl_bits_get_varint(&in), 0);
        assert_err(fl_reader_finish(&in), FL_ERR_FORMAT);
    }
}

TEST(bits_lie_from_the_lowest_on)
{
    uint8_t bytes[2] = {0};
    fl_writer out = fl_writer_over(bytes, sizeof bytes);
    fl_bits_writer bits = fl_bits_writer_over(&out);
    fl_bits_put(&bits, 1, 3);
    fl_bits_put(&bits, 2, 3);
    fl_bits_put(&bits, 3, 3);
    fl_bits_end(&bits);
    assert_int_equal(out.len, 2);
    assert_memory_equal(bytes, ((uint8_t[]){0xd1, 0x00}), 2);
}

TEST(bits_roundtrip_every_width)
{
    uint8_t bytes[200];
    uint32_t values[33];
    fl_random random;
    fl_writer out = fl_writer_over(bytes, sizeof bytes);
    fl_bits_writer bits = fl_bits_writer_over(&out);
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    for (unsigned width = 0; width <= 32; width++) {
        const uint64_t mask = (UINT64_C(1) << width) - 1;
        values[width] = fl_random_u32(&random) & (uint32_t)mask;
        fl_bits_put(&bits, values[width], width);
    }
    fl_bits_end(&bits);
    assert_ok(fl_writer_finish(&out));

    fl_reader in = fl_reader_over(bytes, out.len);
    fl_bits_reader back = fl_bits_reader_over(&in);
    for (unsigned width = 0; width <= 32; width++) {
        assert_int_equal(fl_bits_get(&back, width), values[width]);
    }
    fl_bits_close(&back);
    assert_ok(fl_reader_finish(&in));
}

TEST(bits_refuse_padding_that_is_not_zero)
{
    fl_reader in = fl_reader_over((uint8_t[]){0x09}, 1);
    fl_bits_reader bits = fl_bits_reader_over(&in);
    assert_int_equal(fl_bits_get(&bits, 3), 1);
    fl_bits_close(&bits);
    assert_err(fl_reader_finish(&in), FL_ERR_FORMAT);
}

TEST(bits_that_are_not_there_are_zeros_and_a_failure)
{
    fl_reader in = fl_reader_over((uint8_t[]){0xff}, 1);
    fl_bits_reader bits = fl_bits_reader_over(&in);
    assert_int_equal(fl_bits_get(&bits, 9), 0);
    assert_err(fl_reader_finish(&in), FL_ERR_FORMAT);
}

RUN_TESTS(
    cmocka_unit_test(bits_have_varints_of_seven_bits_a_byte),
    cmocka_unit_test(bits_roundtrip_varints_of_every_length),
    cmocka_unit_test(bits_refuse_varints_that_are_cut_too_long_or_too_large),
    cmocka_unit_test(bits_lie_from_the_lowest_on),
    cmocka_unit_test(bits_roundtrip_every_width),
    cmocka_unit_test(bits_refuse_padding_that_is_not_zero),
    cmocka_unit_test(bits_that_are_not_there_are_zeros_and_a_failure))
