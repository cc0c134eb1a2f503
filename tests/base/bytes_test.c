/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include "tests/test.h"

static const uint8_t RECORD[] = {
    0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04,        // u8, u16, u32
    0x0f, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08,  // u64
    'e',  'n',  'd',
};

TEST(bytes_reads_little_endian)
{
    fl_reader in = fl_reader_over(RECORD, sizeof RECORD);
    assert_int_equal(fl_reader_u8(&in), 0x01);
    assert_int_equal(fl_reader_u16(&in), 0x0203);
    assert_int_equal(fl_reader_u32(&in), 0x04050607);
    assert_int_equal(fl_reader_u64(&in), UINT64_C(0x08090a0b0c0d0e0f));
    assert_memory_equal(fl_reader_bytes(&in, 3), "end", 3);
    assert_ok(fl_reader_finish(&in));
}

TEST(bytes_writes_what_it_reads)
{
    uint8_t dst[sizeof RECORD];
    fl_writer out = fl_writer_over(dst, sizeof dst);
    fl_writer_u8(&out, 0x01);
    fl_writer_u16(&out, 0x0203);
    fl_writer_u32(&out, 0x04050607);
    fl_writer_u64(&out, UINT64_C(0x08090a0b0c0d0e0f));
    fl_writer_bytes(&out, "end", 3);
    assert_ok(fl_writer_finish(&out));
    assert_int_equal(out.len, sizeof RECORD);
    assert_memory_equal(dst, RECORD, sizeof RECORD);
}

TEST(bytes_puts_and_gets_one_number_anywhere)
{
    uint8_t dst[6] = {0xaa, 0, 0, 0, 0, 0xbb};
    fl_bytes_put_u32(dst + 1, 0x84050607);  // no address is too odd
    const uint8_t expected[] = {0xaa, 0x07, 0x06, 0x05, 0x84, 0xbb};
    assert_memory_equal(dst, expected, sizeof dst);
    assert_int_equal(fl_bytes_get_u32(dst + 1), 0x84050607);
    fl_bytes_put_u32(dst + 1, UINT32_MAX);
    assert_int_equal(fl_bytes_get_u32(dst + 1), UINT32_MAX);
}

TEST(bytes_refuses_a_read_past_the_end)
{
    fl_reader in = fl_reader_over(RECORD, 3);
    assert_int_equal(fl_reader_u32(&in), 0);
    assert_err(fl_reader_finish(&in), FL_ERR_FORMAT);
}

TEST(bytes_reads_zeros_after_a_failure)
{
    fl_reader in = fl_reader_over(RECORD, 3);
    fl_reader_u32(&in);
    assert_int_equal(fl_reader_u8(&in), 0);
    assert_null(fl_reader_bytes(&in, 1));
    assert_null(fl_reader_bytes(&in, 0));
    assert_err(fl_reader_finish(&in), FL_ERR_FORMAT);
}

TEST(bytes_refuses_bytes_left_over)
{
    fl_reader in = fl_reader_over(RECORD, 2);
    fl_reader_u8(&in);
    assert_err(fl_reader_finish(&in), FL_ERR_FORMAT);
}

TEST(bytes_refuses_a_length_that_would_overflow)
{
    fl_reader in = fl_reader_over(RECORD, sizeof RECORD);
    fl_reader_u8(&in);
    assert_null(fl_reader_bytes(&in, SIZE_MAX));
    assert_err(fl_reader_finish(&in), FL_ERR_FORMAT);
}

TEST(bytes_reads_an_empty_source)
{
    fl_reader in = fl_reader_over(NULL, 0);
    assert_null(fl_reader_bytes(&in, 0));
    assert_ok(fl_reader_finish(&in));
}

TEST(bytes_refuses_a_write_that_does_not_fit)
{
    uint8_t dst[5] = {0};
    fl_writer out = fl_writer_over(dst, 4);
    fl_writer_u16(&out, 0xffff);
    fl_writer_u32(&out, 0xffffffff);
    fl_writer_u8(&out, 0xff);  // would fit, but something is missing
    assert_err(fl_writer_finish(&out), FL_ERR_SPACE);
    assert_int_equal(out.len, 2);
    assert_int_equal(dst[2], 0);
    assert_int_equal(dst[4], 0);
}

TEST(bytes_refuses_a_write_whose_length_would_overflow)
{
    uint8_t dst[4] = {0};
    fl_writer out = fl_writer_over(dst, sizeof dst);
    fl_writer_u16(&out, 1);
    fl_writer_bytes(&out, dst, SIZE_MAX);
    assert_err(fl_writer_finish(&out), FL_ERR_SPACE);
}

TEST(bytes_writes_nothing_into_no_room)
{
    fl_writer out = fl_writer_over(NULL, 0);
    fl_writer_bytes(&out, NULL, 0);
    assert_ok(fl_writer_finish(&out));
}

TEST(bytes_multiplies_sizes)
{
    size_t product;
    assert_ok(fl_size_mul(&product, 6, 7));
    assert_int_equal(product, 42);
    assert_err(fl_size_mul(&product, SIZE_MAX / 2, 3), FL_ERR_LIMIT);
}

TEST(bytes_adds_sizes)
{
    size_t sum;
    assert_ok(fl_size_add(&sum, SIZE_MAX - 1, 1));
    assert_int_equal(sum, SIZE_MAX);
    assert_err(fl_size_add(&sum, SIZE_MAX, 1), FL_ERR_LIMIT);
}

RUN_TESTS(cmocka_unit_test(bytes_reads_little_endian),
          cmocka_unit_test(bytes_writes_what_it_reads),
          cmocka_unit_test(bytes_puts_and_gets_one_number_anywhere),
          cmocka_unit_test(bytes_refuses_a_read_past_the_end),
          cmocka_unit_test(bytes_reads_zeros_after_a_failure),
          cmocka_unit_test(bytes_refuses_bytes_left_over),
          cmocka_unit_test(bytes_refuses_a_length_that_would_overflow),
          cmocka_unit_test(bytes_reads_an_empty_source),
          cmocka_unit_test(bytes_refuses_a_write_that_does_not_fit),
          cmocka_unit_test(bytes_refuses_a_write_whose_length_would_overflow),
          cmocka_unit_test(bytes_writes_nothing_into_no_room),
          cmocka_unit_test(bytes_multiplies_sizes),
          cmocka_unit_test(bytes_adds_sizes))
