/*
 * Known answers through our own functions that no other test has: those of
 * RFC 8032 are in identity_test.c, the stream of RFC 8439 in mask_test.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "secure/noise.h"
#include "secure/secure.h"
#include "secure/session/transcript.h"
#include "tests/support/vector.h"
#include "tests/test.h"

enum { TEXT_BYTES = 265, SEALED_BYTES = TEXT_BYTES + FL_NOISE_TAG_BYTES };

static const uint64_t NONCE = 0x0807060504030201;

static void read_vector(uint8_t *dst, size_t expected_len, const char *name)
{
    size_t len;
    uint8_t *bytes = fl_vector_read(&len, "tests/vectors/secure/rfc.md", name);
    assert_non_null(bytes);
    assert_int_equal(len, expected_len);
    memcpy(dst, bytes, len);
    free(bytes);
}

static void assert_product(const char *scalar_name, const char *point_name,
                           const char *product_name)
{
    uint8_t scalar[32], point[32], product[32], expected[32];
    read_vector(scalar, sizeof scalar, scalar_name);
    read_vector(point, sizeof point, point_name);
    read_vector(expected, sizeof expected, product_name);
    assert_ok(fl_transcript_agree(product, scalar, point));
    assert_memory_equal(product, expected, sizeof product);
}

TEST(rfc_7748_products)
{
    assert_ok(fl_secure_start());
    assert_product("scalar 1", "point 1", "product 1");
    assert_product("scalar 2", "point 2", "product 2");
}

TEST(rfc_7748_thousand_products_in_a_row)
{
    uint8_t scalar[32] = {9}, point[32] = {9}, product[32], expected[32];
    fl_transcript_public(product, scalar);
    read_vector(expected, sizeof expected, "after 1");
    assert_memory_equal(product, expected, sizeof product);
    for (int i = 0; i < 1000; i++) {
        assert_ok(fl_transcript_agree(product, scalar, point));
        memcpy(point, scalar, sizeof point);
        memcpy(scalar, product, sizeof scalar);
    }
    read_vector(expected, sizeof expected, "after 1000");
    assert_memory_equal(scalar, expected, sizeof scalar);
}

TEST(rfc_8439_sealing_and_unsealing)
{
    uint8_t key[32], head[12], bytes[SEALED_BYTES];
    uint8_t text[TEXT_BYTES], sealed[SEALED_BYTES];
    read_vector(key, sizeof key, "aead key");
    read_vector(head, sizeof head, "aead head");
    read_vector(text, sizeof text, "aead text");
    read_vector(sealed, sizeof sealed, "aead sealed");

    memcpy(bytes, text, sizeof text);
    fl_noise_seal(key, NONCE, head, sizeof head, bytes, sizeof text);
    assert_memory_equal(bytes, sealed, sizeof sealed);
    assert_ok(
        fl_noise_unseal(key, NONCE, head, sizeof head, bytes, sizeof sealed));
    assert_memory_equal(bytes, text, sizeof text);
}

RUN_TESTS(cmocka_unit_test(rfc_7748_products),
          cmocka_unit_test(rfc_7748_thousand_products_in_a_row),
          cmocka_unit_test(rfc_8439_sealing_and_unsealing))
