/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spelling.h"

#include "tests/test.h"

static const char *nearest(const char *wanted)
{
    static const char *const NAMES[] = {"rounds", "round-size", "seed",
                                        "local-epochs"};
    fl_spelling near = {.wanted = wanted};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        fl_spelling_consider(&near, NAMES[i]);
    return near.name ? near.name : "none";
}

TEST(spelling_finds_the_nearest_name)
{
    assert_string_equal(nearest("round"), "rounds");
    assert_string_equal(nearest("ruonds"), "rounds");
    assert_string_equal(nearest("round-sise"), "round-size");
    assert_string_equal(nearest("localepochs"), "local-epochs");
    assert_string_equal(nearest("lokal-epoch"), "local-epochs");
    assert_string_equal(nearest("seed"), "seed");
}

TEST(spelling_finds_nothing_for_another_word)
{
    assert_string_equal(nearest("threads"), "none");
    assert_string_equal(nearest("x"), "none");
    assert_string_equal(nearest(""), "none");
}

TEST(spelling_takes_names_of_any_length)
{
    static char text[1000];
    memset(text, 'x', sizeof text - 1);
    assert_string_equal(nearest(text), "none");
    fl_spelling near = {.wanted = "round"};
    fl_spelling_consider(&near, text);
    assert_null(near.name);
}

RUN_TESTS(cmocka_unit_test(spelling_finds_the_nearest_name),
          cmocka_unit_test(spelling_finds_nothing_for_another_word),
          cmocka_unit_test(spelling_takes_names_of_any_length))
