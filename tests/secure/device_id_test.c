/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proquint.h"
#include "secure/secure.h"
#include "tests/test.h"

TEST(device_id_is_the_beginning_of_the_hash_of_the_key)
{
    uint8_t key[FL_KEY_BYTES], hash[FL_HASH_BYTES], back[6];
    char id[FL_DEVICE_ID_CAP];
    memset(key, 7, sizeof key);
    fl_hash(hash, key, sizeof key);
    fl_device_id(id, key);
    assert_ok(fl_proquint_decode(back, sizeof back, id));
    assert_memory_equal(back, hash, sizeof back);
    assert_true(fl_device_is_name(id));
}

TEST(device_id_is_told_from_a_name)
{
    assert_true(fl_device_is_id("lusab-babad-gutih"));
    assert_true(fl_device_is_id("LUSAB-babad-gutih"));
    assert_false(fl_device_is_id("lusab-babad"));
    assert_false(fl_device_is_id("kitchen"));
    assert_false(fl_device_is_id(""));
}

RUN_TESTS(cmocka_unit_test(device_id_is_the_beginning_of_the_hash_of_the_key),
          cmocka_unit_test(device_id_is_told_from_a_name))
