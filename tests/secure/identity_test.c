/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "secure/secure.h"
#include "tests/support/vector.h"
#include "tests/test.h"

// The first test: everything below runs on a started library.
TEST(secure_starts_more_than_once)
{
    assert_ok(fl_secure_start());
    assert_ok(fl_secure_start());
}

static void assert_key(const char *seed_hex, const char *expected)
{
    uint8_t seed[FL_SEED_BYTES];
    fl_identity identity;
    char text[FL_HEX_CAP];
    assert_ok(fl_hex_decode(seed, sizeof seed, seed_hex));
    fl_identity_init(&identity, seed);
    fl_hex_encode(text, sizeof text, identity.public_key, FL_KEY_BYTES);
    assert_string_equal(text, expected);
}

TEST(identity_derives_the_public_keys_of_rfc_8032)
{
    assert_key(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_key(
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    assert_key(
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
}

static uint8_t *vector(const char *name, size_t expected_len)
{
    size_t len;
    uint8_t *bytes =
        fl_vector_read(&len, "tests/vectors/secure/ed25519.md", name);
    assert_non_null(bytes);
    assert_int_equal(len, expected_len);
    return bytes;
}

TEST(identity_signs_the_long_message_of_rfc_8032)
{
    uint8_t *seed = vector("seed", FL_SEED_BYTES);
    uint8_t *public_key = vector("public", FL_KEY_BYTES);
    uint8_t *message = vector("message", 1023);
    uint8_t *expected = vector("signature", FL_SIGNATURE_BYTES);
    // A label, a 0 and the rest: that is how everything here is signed.
    const char *label = (const char *)message;
    const size_t start = strlen(label) + 1;
    assert_int_equal(start, 68);

    fl_identity identity;
    uint8_t signature[FL_SIGNATURE_BYTES];
    fl_identity_init(&identity, seed);
    assert_memory_equal(identity.public_key, public_key, FL_KEY_BYTES);
    fl_identity_sign(signature, &identity, label, message + start,
                     1023 - start);
    assert_memory_equal(signature, expected, FL_SIGNATURE_BYTES);
    assert_ok(fl_signature_check(expected, public_key, label, message + start,
                                 1023 - start));
    free(seed);
    free(public_key);
    free(message);
    free(expected);
}

static fl_identity some_identity(uint8_t first_byte)
{
    const uint8_t seed[FL_SEED_BYTES] = {first_byte};
    fl_identity identity;
    fl_identity_init(&identity, seed);
    return identity;
}

TEST(identity_signs_nothing_and_the_most)
{
    const fl_identity me = some_identity(1);
    static uint8_t bytes[FL_SIGNED_BYTES_MAX];
    uint8_t signature[FL_SIGNATURE_BYTES];
    fl_identity_sign(signature, &me, "", NULL, 0);
    assert_ok(fl_signature_check(signature, me.public_key, "", NULL, 0));
    const size_t most = FL_SIGNED_BYTES_MAX - sizeof "label";
    fl_identity_sign(signature, &me, "label", bytes, most);
    assert_ok(
        fl_signature_check(signature, me.public_key, "label", bytes, most));
}

TEST(signature_check_refuses_every_flipped_bit)
{
    const fl_identity me = some_identity(1);
    uint8_t bytes[] = "bytes", signature[FL_SIGNATURE_BYTES];
    uint8_t key[FL_KEY_BYTES];
    memcpy(key, me.public_key, sizeof key);
    fl_identity_sign(signature, &me, "label", bytes, sizeof bytes);

    const struct {
        uint8_t *at;
        size_t len;
    } parts[] = {{signature, sizeof signature},
                 {key, sizeof key},
                 {bytes, sizeof bytes}};
    for (size_t part = 0; part < 3; part++) {
        for (size_t bit = 0; bit < 8 * parts[part].len; bit++) {
            parts[part].at[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_err(fl_signature_check(signature, key, "label", bytes,
                                          sizeof bytes),
                       FL_ERR_AUTH);
            parts[part].at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    assert_ok(fl_signature_check(signature, key, "label", bytes, sizeof bytes));
}

TEST(signature_check_refuses_another_purpose)
{
    const fl_identity me = some_identity(1);
    uint8_t signature[FL_SIGNATURE_BYTES];
    fl_identity_sign(signature, &me, "fedge a", "xy", 2);
    assert_err(fl_signature_check(signature, me.public_key, "fedge b", "xy", 2),
               FL_ERR_AUTH);
    // The border between label and bytes is signed as well.
    assert_err(fl_signature_check(signature, me.public_key, "fedge ax", "y", 1),
               FL_ERR_AUTH);
    assert_err(
        fl_signature_check(signature, me.public_key, "fedge", " a\0xy", 5),
        FL_ERR_AUTH);
}

TEST(signature_check_refuses_another_key)
{
    const fl_identity me = some_identity(1), other = some_identity(2);
    const uint8_t zeros[FL_KEY_BYTES] = {0};
    uint8_t signature[FL_SIGNATURE_BYTES];
    fl_identity_sign(signature, &me, "label", "x", 1);
    assert_err(fl_signature_check(signature, other.public_key, "label", "x", 1),
               FL_ERR_AUTH);
    assert_err(fl_signature_check(signature, zeros, "label", "x", 1),
               FL_ERR_AUTH);
}

TEST(signature_check_refuses_more_than_anybody_signs)
{
    const fl_identity me = some_identity(1);
    static uint8_t bytes[FL_SIGNED_BYTES_MAX];
    const uint8_t signature[FL_SIGNATURE_BYTES] = {0};
    assert_err(fl_signature_check(signature, me.public_key, "", bytes,
                                  FL_SIGNED_BYTES_MAX),
               FL_ERR_AUTH);
    assert_err(
        fl_signature_check(signature, me.public_key, "", bytes, SIZE_MAX),
        FL_ERR_AUTH);
}

TEST(identity_fini_wipes)
{
    fl_identity identity = some_identity(1);
    const fl_identity zeros = {0};
    fl_identity_fini(&identity);
    assert_memory_equal(&identity, &zeros, sizeof zeros);
}

RUN_TESTS(cmocka_unit_test(secure_starts_more_than_once),
          cmocka_unit_test(identity_derives_the_public_keys_of_rfc_8032),
          cmocka_unit_test(identity_signs_the_long_message_of_rfc_8032),
          cmocka_unit_test(identity_signs_nothing_and_the_most),
          cmocka_unit_test(signature_check_refuses_every_flipped_bit),
          cmocka_unit_test(signature_check_refuses_another_purpose),
          cmocka_unit_test(signature_check_refuses_another_key),
          cmocka_unit_test(signature_check_refuses_more_than_anybody_signs),
          cmocka_unit_test(identity_fini_wipes))
