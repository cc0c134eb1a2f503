/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/addend.h"

#include "tests/test.h"

static const uint64_t words[2] = {UINT64_C(0x0807060504030201),
                                  UINT64_C(0xfffefdfcfbfaf9f8)};

static const uint8_t bytes[16] = {
    1, 2, 3, 4, 5, 6, 7, 8, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff};

TEST(addend_travels_as_little_endian_words)
{
    uint8_t encoded[17] = {0};
    uint64_t decoded[2];
    fl_addend_encode(encoded + 1, words, 2);  // bytes need no alignment
    assert_int_equal(encoded[0], 0);
    assert_memory_equal(encoded + 1, bytes, sizeof bytes);
    fl_addend_decode(decoded, encoded + 1, 2);
    assert_memory_equal(decoded, words, sizeof words);
}

TEST(addend_is_added_modulo_two_to_the_64)
{
    uint8_t encoded[17] = {0};
    uint64_t sum[3] = {UINT64_MAX, 9, 7};
    memcpy(encoded + 1, bytes, sizeof bytes);
    fl_addend_add(sum, encoded + 1, 2);
    assert_true(sum[0] == words[0] - 1);
    assert_true(sum[1] == UINT64_C(0xfffefdfcfbfafa01));
    assert_true(sum[2] == 7);
}

TEST(addend_of_no_words_changes_nothing)
{
    uint64_t sum = 7;
    uint8_t byte = 3;
    fl_addend_add(&sum, &byte, 0);
    fl_addend_encode(&byte, &sum, 0);
    fl_addend_decode(&sum, &byte, 0);
    assert_true(sum == 7 && byte == 3);
}

RUN_TESTS(cmocka_unit_test(addend_travels_as_little_endian_words),
          cmocka_unit_test(addend_is_added_modulo_two_to_the_64),
          cmocka_unit_test(addend_of_no_words_changes_nothing))
