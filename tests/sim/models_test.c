/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/models.h"

#include <stdlib.h>

#include "tests/test.h"

enum { LEN = 5, LONG = FL_MODELS_BYTES_MAX / 4 };

static void name_of(uint8_t name[FL_HASH_BYTES], uint8_t number)
{
    memset(name, 0, FL_HASH_BYTES);
    name[FL_HASH_BYTES - 1] = number;
}

// A model of this number: all its bytes are that.
static void add(fl_models *models, uint8_t number, size_t len)
{
    uint8_t name[FL_HASH_BYTES], *bytes = malloc(len);
    assert_non_null(bytes);
    name_of(name, number);
    memset(bytes, number, len);
    fl_models_add(models, name, bytes, len);
    free(bytes);
}

static bool has(const fl_models *models, uint8_t number, size_t len)
{
    uint8_t name[FL_HASH_BYTES];
    size_t found_len = 0;
    name_of(name, number);
    uint8_t *bytes = fl_models_copy(models, name, &found_len);
    if (!bytes) return false;
    assert_int_equal(found_len, len);
    assert_int_equal(bytes[0], number);
    assert_int_equal(bytes[len - 1], number);
    free(bytes);
    return true;
}

TEST(models_gives_copies_of_what_was_added)
{
    fl_models models = {.count = 0};
    assert_false(has(&models, 1, LEN));
    add(&models, 1, LEN);
    add(&models, 2, LEN);
    assert_true(has(&models, 1, LEN));
    assert_true(has(&models, 2, LEN));
    assert_false(has(&models, 3, LEN));
    fl_models_fini(&models);
    assert_false(has(&models, 1, LEN));
}

TEST(models_keeps_one_of_each)
{
    fl_models models = {.count = 0};
    for (int i = 0; i < 3; i++)
        add(&models, 1, LEN);
    assert_int_equal(models.count, 1);
    assert_int_equal(models.bytes, LEN);
    fl_models_fini(&models);
}

TEST(models_gives_up_the_oldest_when_there_are_too_many)
{
    fl_models models = {.count = 0};
    for (uint8_t i = 0; i < FL_MODELS_MAX + 2; i++)
        add(&models, i, LEN);
    for (uint8_t i = 0; i < FL_MODELS_MAX + 2; i++)
        assert_int_equal(has(&models, i, LEN), i >= 2);
    assert_int_equal(models.bytes, FL_MODELS_MAX * LEN);
    fl_models_fini(&models);
}

TEST(models_gives_up_the_oldest_when_they_are_too_long)
{
    fl_models models = {.count = 0};
    for (uint8_t i = 0; i < 4; i++)
        add(&models, i, LONG);
    assert_int_equal(models.count, 4);
    add(&models, 4, LONG + 1);  // in the place of two
    assert_int_equal(models.count, 3);
    assert_true(has(&models, 2, LONG));
    assert_true(has(&models, 4, LONG + 1));
    fl_models_fini(&models);
}

TEST(models_does_not_keep_one_that_is_longer_than_all_may_be)
{
    fl_models models = {.count = 0};
    uint8_t name[FL_HASH_BYTES], bytes[LEN] = {0};
    add(&models, 1, LEN);
    name_of(name, 2);
    fl_models_add(&models, name, bytes, (size_t)FL_MODELS_BYTES_MAX + 1);
    assert_int_equal(models.count, 1);
    assert_true(has(&models, 1, LEN));
    fl_models_fini(&models);
}

RUN_TESTS(
    cmocka_unit_test(models_gives_copies_of_what_was_added),
    cmocka_unit_test(models_keeps_one_of_each),
    cmocka_unit_test(models_gives_up_the_oldest_when_there_are_too_many),
    cmocka_unit_test(models_gives_up_the_oldest_when_they_are_too_long),
    cmocka_unit_test(models_does_not_keep_one_that_is_longer_than_all_may_be))
