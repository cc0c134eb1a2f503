/* SPDX-License-Identifier: Apache-2.0 */
#include "data/names.h"

#include <stdlib.h>

#include "tests/test.h"

enum { MANY = 5000, NAME_CAP = 16 };

static fl_err add(fl_names *names, uint32_t *number, const char *text)
{
    return fl_names_add(names, number, text, strlen(text));
}

TEST(names_gives_a_name_the_same_number_again)
{
    fl_names names;
    fl_names_init(&names, MANY);
    char text[NAME_CAP];
    uint32_t number = 0;
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            snprintf(text, sizeof text, "n%u", i);
            assert_ok(add(&names, &number, text));
            assert_int_equal(number, i);
        }
    }
    assert_int_equal(names.count, MANY);
    assert_string_equal(fl_names_get(&names, 4999), "n4999");
    assert_null(fl_names_get(&names, MANY));
    fl_names_fini(&names);
}

TEST(names_tells_a_name_from_its_beginning)
{
    fl_names names;
    fl_names_init(&names, MANY);
    uint32_t number = 0;
    assert_ok(fl_names_add(&names, &number, "abc", 3));
    assert_ok(fl_names_add(&names, &number, "abc", 2));
    assert_int_equal(number, 1);
    assert_ok(fl_names_add(&names, &number, "", 0));
    assert_int_equal(number, 2);
    assert_ok(fl_names_add(&names, &number, "abcd", 3));
    assert_int_equal(number, 0);
    fl_names_fini(&names);
}

TEST(names_sorts_by_bytes_and_finds_them_still)
{
    fl_names names;
    fl_names_init(&names, MANY);
    uint32_t number = 0, ranks[3];
    assert_ok(add(&names, &number, "b"));
    assert_ok(add(&names, &number, "a"));
    assert_ok(add(&names, &number, "B"));
    assert_ok(fl_names_sort(&names, ranks));
    const uint32_t expected[] = {2, 1, 0};
    assert_memory_equal(ranks, expected, sizeof expected);
    assert_string_equal(fl_names_get(&names, 0), "B");
    assert_ok(add(&names, &number, "b"));
    assert_int_equal(number, 2);
    fl_names_fini(&names);
    fl_names_init(&names, 1);
    assert_ok(fl_names_sort(&names, NULL));
}

TEST(names_refuses_one_too_many_and_zero_bytes)
{
    fl_names names;
    fl_names_init(&names, 1);
    uint32_t number = 9;
    assert_err(fl_names_add(&names, &number, "a\0b", 3), FL_ERR_FORMAT);
    assert_ok(add(&names, &number, "a"));
    assert_err(add(&names, &number, "b"), FL_ERR_LIMIT);
    assert_ok(add(&names, &number, "a"));
    assert_int_equal(names.count, 1);
    assert_err(fl_names_add(&names, &number, "", FL_NAMES_TEXT_MAX + 1),
               FL_ERR_LIMIT);
    fl_names_fini(&names);
}

RUN_TESTS(cmocka_unit_test(names_gives_a_name_the_same_number_again),
          cmocka_unit_test(names_tells_a_name_from_its_beginning),
          cmocka_unit_test(names_sorts_by_bytes_and_finds_them_still),
          cmocka_unit_test(names_refuses_one_too_many_and_zero_bytes))
