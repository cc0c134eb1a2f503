/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/secure.h"
#include "tests/test.h"

TEST(hex_encodes_in_lower_case_with_a_final_0)
{
    char text[9];
    memset(text, 'x', sizeof text);
    fl_hex_encode(text, sizeof text, (uint8_t[]){0x00, 0x1f, 0xab, 0xff}, 4);
    assert_string_equal(text, "001fabff");
}

TEST(hex_encodes_nothing_as_an_empty_text)
{
    char text[1] = "x";
    fl_hex_encode(text, sizeof text, (uint8_t[]){0}, 0);
    assert_string_equal(text, "");
}

TEST(hex_decodes_both_cases)
{
    uint8_t bytes[4];
    assert_ok(fl_hex_decode(bytes, 4, "001fAbFf"));
    assert_memory_equal(bytes, ((uint8_t[]){0x00, 0x1f, 0xab, 0xff}), 4);
}

TEST(hex_roundtrips_every_byte)
{
    uint8_t bytes[256], restored[256];
    char text[2 * 256 + 1];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    fl_hex_encode(text, sizeof text, bytes, sizeof bytes);
    assert_ok(fl_hex_decode(restored, sizeof restored, text));
    assert_memory_equal(restored, bytes, sizeof bytes);
}

TEST(hex_refuses_another_length)
{
    uint8_t bytes[4];
    assert_err(fl_hex_decode(bytes, 4, ""), FL_ERR_FORMAT);
    assert_err(fl_hex_decode(bytes, 4, "001122"), FL_ERR_FORMAT);
    assert_err(fl_hex_decode(bytes, 4, "0011223"), FL_ERR_FORMAT);
    assert_err(fl_hex_decode(bytes, 4, "001122334"), FL_ERR_FORMAT);
    assert_err(fl_hex_decode(bytes, 4, "0011223344"), FL_ERR_FORMAT);
}

TEST(hex_refuses_what_is_not_a_digit)
{
    for (int c = 1; c < 256; c++) {
        if (strchr("0123456789abcdefABCDEF", c)) continue;
        const char first[] = {(char)c, '0', 0}, second[] = {'0', (char)c, 0};
        uint8_t byte;
        assert_err(fl_hex_decode(&byte, 1, first), FL_ERR_FORMAT);
        assert_err(fl_hex_decode(&byte, 1, second), FL_ERR_FORMAT);
    }
}

RUN_TESTS(cmocka_unit_test(hex_encodes_in_lower_case_with_a_final_0),
          cmocka_unit_test(hex_encodes_nothing_as_an_empty_text),
          cmocka_unit_test(hex_decodes_both_cases),
          cmocka_unit_test(hex_roundtrips_every_byte),
          cmocka_unit_test(hex_refuses_another_length),
          cmocka_unit_test(hex_refuses_what_is_not_a_digit))
