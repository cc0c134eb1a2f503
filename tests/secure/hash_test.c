/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/secure.h"
#include "tests/test.h"

static void assert_hash(const void *src, size_t src_len, const char *expected)
{
    uint8_t hash[FL_HASH_BYTES];
    char text[FL_HEX_CAP];
    fl_hash(hash, src, src_len);
    fl_hex_encode(text, sizeof text, hash, sizeof hash);
    assert_string_equal(text, expected);
}

TEST(hash_of_nothing_is_the_published_one)
{
    assert_hash(
        NULL, 0,
        "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

// RFC 7693's message; its digest at 256 bits is the reference code's.
TEST(hash_of_abc_is_the_published_one)
{
    assert_hash(
        "abc", 3,
        "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

TEST(hash_of_many_blocks_is_the_reference_code_s)
{
    static uint8_t bytes[512 * 256];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_hash(
        bytes, sizeof bytes,
        "ba311bc23517ae74d6787efc1abfa3c78654dd54d98c93b8f123b3599cbbb9e2");
}

RUN_TESTS(cmocka_unit_test(hash_of_nothing_is_the_published_one),
          cmocka_unit_test(hash_of_abc_is_the_published_one),
          cmocka_unit_test(hash_of_many_blocks_is_the_reference_code_s))
